/* memory: an address in the arena for every buffer between stages, and in each thread's scratch for
 * what stays within one.
 *
 * 1. Values that must or may share a place become one buffer: an argument and the parameter it is
 * bound to, a call's result and what the callee returns, and the result of a stage that overwrites
 * an operand in place (residual adds).
 * 2. Each function's own buffers get places, greedy by size, first fit over live ranges [Pisarchyk
 * & Lee 2020, arXiv:2001.03288].  The callees' own buffers are one block in their caller, alive
 * from the first call to the last: no two callees run at the same time, and nothing of theirs is
 * needed between calls, so all of them use the same bytes (and stages that are alike have the same
 * addresses).
 * 3. Entries do not run at the same time: they share the arena, which is as large as the largest of
 * them.
 *
 * Requires: schedule.  Leaves on each stage `in` and `out`: one place per operand and result (bytes
 * from the arena's beginning, or one of PLACE_*); on ops inside a stage `scratch`: bytes from the
 * beginning of the thread's scratch, on a head of two stages `best` likewise; the Module's meta `arena_bytes` and `scratch_bytes`. */
#include "codegen/codegen.h"
#include "compiler/passes/net.h"

#include <limits.h>

enum { ALIGN = 64 }; /* one cache line, one vector */

typedef struct {
    int begin, end;
    uint64_t bytes;
    int64_t at;
    bool external;
    int64_t place;
} Buffer;

/* Values of an entry's function and its callees, each with the buffer it lies in and its life: the
 * indices of the op that makes it (-1: a parameter) and of the last one that needs it. */
typedef struct {
    const Value *v;
    int root;
    const Func *f;
    int def, end;
} Slot;
typedef struct {
    Slot *slot;
    int n, cap;
} Slots;

static int slot_of(Slots *s, const Value *v)
{
    for (int i = 0; i < s->n; i++)
        if (s->slot[i].v == v)
            return i;
    if (s->n == s->cap)
        bug("more values than were counted");
    s->slot[s->n] = (Slot){ .v = v, .root = s->n };
    return s->n++;
}

static int find(Slots *s, int i)
{
    while (s->slot[i].root != i)
        i = s->slot[i].root = s->slot[s->slot[i].root].root;
    return i;
}

static void join(Slots *s, int i, int k)
{
    i = find(s, i);
    k = find(s, k);
    s->slot[i > k ? i : k].root = i < k ? i : k;
}

static bool is_tensor(const Value *v)
{
    return v->kind == VAL_result || (v->kind == VAL_param && v->stands_for == VAL_result);
}

static void note_lives(Slots *s, const Func *f)
{
    int i_op = 0;

    for (int i = 0; i < f->body->n_param; i++)
        if (is_tensor(f->body->param[i])) {
            Slot *t = &s->slot[slot_of(s, f->body->param[i])];

            t->f = f;
            t->def = t->end = -1;
        }
    for (const Op *o = f->body->first; o; o = o->next, i_op++) {
        for (int i = 0; i < o->n_out; i++) {
            Slot *t = &s->slot[slot_of(s, o->out[i])];

            t->f = f;
            t->def = t->end = i_op;
        }
        for (int i = 0; i < o->n_in; i++)
            if (is_tensor(o->in[i]))
                s->slot[slot_of(s, o->in[i])].end = i_op;
    }
}

/* An argument that its caller needs after the call, or gives twice, is alive to the callee's end.
 */
static void lengthen_lives(Slots *s, const Func *caller)
{
    int i_op = 0;

    for (const Op *o = caller->body->first; o; o = o->next, i_op++)
        for (int i = 0; o->kind == OP_call && i < o->n_in; i++) {
            bool again = false;

            if (!is_tensor(o->in[i]))
                continue;
            for (int k = 0; k < o->n_in; k++)
                again = again || (k != i && o->in[k] == o->in[i]);
            if (again || s->slot[slot_of(s, o->in[i])].end > i_op)
                s->slot[slot_of(s, o->callee->body->param[i])].end = INT_MAX;
        }
}

static bool clash(Slots *s, int a, int b);

/* May op o leave its result i_out where its operand v lies, which nobody needs afterwards? */
static bool in_place(Slots *s, const Op *o, const Value *v, int i_out)
{
    for (int k = 0; k < o->n_in; k++) {
        const Region *r;

        if (o->in[k] != v)
            continue;
        if (o->kind == OP_fused && !stage_in_place(o, k, i_out))
            return false;
        r = o->kind == OP_call ? o->callee->body : NULL;
        if (r && clash(s, slot_of(s, r->param[k]), slot_of(s, r->last->in[i_out])))
            return false;
    }
    return o->kind == OP_fused || o->kind == OP_call;
}

/* Are two values needed at the same time, so that they cannot lie in one place?  Of values of
 * different functions this is not known here: those that meet are joined by their call. */
static bool clash(Slots *s, int a, int b)
{
    const Slot *x = &s->slot[a], *y = &s->slot[b];

    if (a == b || x->f != y->f)
        return false;
    if (x->def > y->def) {
        const Slot *t = x;

        x = y;
        y = t;
    }
    if (x->end < y->def)
        return false;
    return !(x->end == y->def && x->def < y->def && in_place(s, y->v->op, x->v, y->v->index));
}

/* Do values of two buffers (or of one, given twice) clash? */
static bool buffers_clash(Slots *s, int root_a, int root_b, int *at_a, int *at_b)
{
    for (int a = 0; a < s->n; a++)
        for (int b = 0; find(s, a) == root_a && b < s->n; b++)
            if (find(s, b) == root_b && clash(s, a, b)) {
                *at_a = a;
                *at_b = b;
                return true;
            }
    return false;
}

/* Results of stages that can lie on an operand do, each on the first one where nothing clashes.
 * Never on an input of the entry: that is the caller's memory, which is only read. */
static void join_in_place(Slots *s, const int64_t *place_of, const Func *f)
{
    for (const Op *o = f->body->first; o; o = o->next) {
        if (o->kind != OP_fused)
            continue;
        for (int i = 0; i < o->n_out; i++)
            for (int k = 0; k < o->n_in; k++) {
                int in, out = find(s, slot_of(s, o->out[i])), unused;

                if (!is_tensor(o->in[k]) || !stage_in_place(o, k, i))
                    continue;
                in = find(s, slot_of(s, o->in[k]));
                if (in == out)
                    break;
                if (place_of[in] != PLACE_none || place_of[out] != PLACE_none ||
                    buffers_clash(s, in, out, &unused, &unused))
                    continue;
                join(s, in, out);
                break;
            }
    }
}

static int count_values(const Func *f)
{
    int n = f->body->n_param + 1;

    for (const Op *o = f->body->first; o; o = o->next)
        n += o->n_in + o->n_out + (o->kind == OP_call ? count_values(o->callee) : 0);
    return n;
}

static bool value_bytes(const Value *v, uint64_t *out, Diag *d)
{
    if (!type_bytes(v->type, out))
        return fail(d, NOWHERE, "buffer '%s' does not fit 64-bit sizes", v->name);
    return true;
}

/* Places for buffers [0, n) so that those alive together do not overlap.  Returns the bytes needed.
 */
static uint64_t place(Buffer *b, int n, Arena *a)
{
    int *order = ARENA_ARRAY(a, int, n + 1);
    uint64_t total = 0;

    for (int i = 0; i < n; i++)
        order[i] = i;
    for (int i = 1; i < n; i++) /* larger first; equal ones in order */
        for (int k = i; k > 0 && b[order[k]].bytes > b[order[k - 1]].bytes; k--) {
            int t = order[k];

            order[k] = order[k - 1];
            order[k - 1] = t;
        }
    for (int i = 0; i < n; i++) {
        Buffer *x = &b[order[i]];
        uint64_t at = 0;
        bool moved = true;

        if (x->external)
            continue;
        while (moved) {
            moved = false;
            for (int k = 0; k < i; k++) {
                const Buffer *y = &b[order[k]];

                if (!y->external && y->begin <= x->end && x->begin <= y->end &&
                    at < (uint64_t)y->at + y->bytes && (uint64_t)y->at < at + x->bytes) {
                    at = align_up((uint64_t)y->at + y->bytes, ALIGN);
                    moved = true;
                }
            }
        }
        x->at = (int64_t)at;
        if (at + x->bytes > total)
            total = at + x->bytes;
    }
    return align_up(total, ALIGN);
}

/* ---- one function ---- */

typedef struct {
    Slots slots;
    const Env *env;
    Diag *d;
    int64_t *place_of; /* of each slot's root: a place, or PLACE_none when not yet known */
} Plan;

static void touch(Buffer *b, int at)
{
    if (b->begin < 0)
        b->begin = at;
    b->end = at > b->end ? at : b->end;
}

/* Gives places to the buffers of f that do not have one yet (parameters of callees lie where the
 * caller put their arguments). base: where f's block begins, known only after its caller has been
 * planned; so a first round measures, a second one writes. */
static bool plan_func(Plan *p, Func *f, bool is_entry, uint64_t base, bool write,
                      uint64_t *bytes_out)
{
    Arena *a = p->env->scratch;
    Slots *s = &p->slots;
    int n_op = 0, n_buf = 0, i_op = 0, n_callee = 0, block = -1;
    int *buf_of_root = ARENA_ARRAY(a, int, s->cap + 1), *root_of_buf;
    Func **callee;
    Buffer *buf;
    uint64_t total;

    for (const Op *o = f->body->first; o; o = o->next)
        n_op++;
    buf = ARENA_ARRAY(a, Buffer,
                      s->cap + n_op + 1); /* by capacity: values are numbered as they are met */
    root_of_buf = ARENA_ARRAY(a, int, s->cap + n_op + 1);
    callee = ARENA_ARRAY(a, Func *, s->cap + n_op + 1);
    for (int i = 0; i <= s->cap; i++)
        buf_of_root[i] = -1;
    for (const Op *o = f->body->first; o; o = o->next, i_op++) {
        for (int k = 0; k < o->n_in + o->n_out; k++) {
            const Value *v = k < o->n_in ? o->in[k] : o->out[k - o->n_in];
            int root;
            uint64_t bytes;

            if (!is_tensor(v))
                continue;
            root = find(s, slot_of(s, v));
            if (buf_of_root[root] < 0) {
                buf_of_root[root] = n_buf;
                root_of_buf[n_buf] = root;
                buf[n_buf++] =
                    (Buffer){ .begin = -1, .end = -1, .external = p->place_of[root] != PLACE_none };
            }
            if (!value_bytes(v, &bytes, p->d))
                return false;
            if (bytes > buf[buf_of_root[root]].bytes)
                buf[buf_of_root[root]].bytes = bytes;
            touch(&buf[buf_of_root[root]], i_op);
        }
        if (o->kind == OP_call) {
            int c = 0;

            while (c < n_callee && callee[c] != o->callee)
                c++;
            if (c == n_callee) {
                uint64_t bytes;

                /* parameters of the callee have no place of their own: mark them external while
                 * measuring */
                for (int k = 0; k < o->callee->body->n_param; k++)
                    if (is_tensor(o->callee->body->param[k])) {
                        int root = find(s, slot_of(s, o->callee->body->param[k]));

                        if (p->place_of[root] == PLACE_none)
                            p->place_of[root] = PLACE_later;
                    }
                if (!plan_func(p, o->callee, false, 0, false, &bytes))
                    return false;
                callee[n_callee++] = o->callee;
                if (block < 0) {
                    block = n_buf;
                    root_of_buf[n_buf] = -1;
                    buf[n_buf++] = (Buffer){ .begin = i_op, .end = i_op };
                }
                if (bytes > buf[block].bytes)
                    buf[block].bytes = bytes;
            }
            touch(&buf[block], i_op);
        }
    }
    for (int i = 0; i < n_buf;
         i++) /* those marked while measuring callees are this function's to place */
        if (root_of_buf[i] >= 0 && p->place_of[root_of_buf[i]] == PLACE_later && is_entry)
            buf[i].external = false;
    total = place(buf, n_buf, a);
    if (bytes_out)
        *bytes_out = total;
    if (!write)
        return true;
    for (int i = 0; i < n_buf; i++)
        if (root_of_buf[i] >= 0 && !buf[i].external)
            p->place_of[root_of_buf[i]] = (int64_t)base + buf[i].at;
    for (int i = 0; i < n_callee; i++)
        if (!plan_func(p, callee[i], false, base + (uint64_t)buf[block].at, true, NULL))
            return false;
    return true;
}

/* ---- writing it down ---- */

static int64_t place_of(Plan *p, const Value *v)
{
    if (!is_tensor(v))
        return PLACE_none;
    return p->place_of[find(&p->slots, slot_of(&p->slots, v))];
}

static void write_places(Plan *p, Func *f)
{
    Module *m = f->m;

    for (Op *o = f->body->first; o; o = o->next) {
        int64_t *in, *out;

        if (o->kind == OP_call)
            write_places(p, o->callee);
        if (o->kind != OP_fused)
            continue;
        in = ARENA_ARRAY(m->a, int64_t, o->n_in + 1);
        out = ARENA_ARRAY(m->a, int64_t, o->n_out + 1);
        for (int i = 0; i < o->n_in; i++)
            in[i] = place_of(p, o->in[i]);
        for (int i = 0; i < o->n_out; i++)
            out[i] = place_of(p, o->out[i]);
        op_set_attr(o, attr_ints("in", in, o->n_in));
        op_set_attr(o, attr_ints("out", out, o->n_out));
    }
}

static bool yielded(const Region *r, const Value *v)
{
    for (int i = 0; i < r->last->n_in; i++)
        if (r->last->in[i] == v)
            return true;
    return false;
}

/* Panels of a stage's contractions, from byte `at` of the scratch: those of one group at a time.  Returns where they end. */
static uint64_t place_panels(Op *fused, uint64_t at)
{
    uint64_t end = at;

    for (int g = 0; stage_anchor(fused) && g < stage_n_groups(fused); g++) {
        uint64_t place = at;

        for (Op *o = fused->region[0]->first; o; o = o->next)
            if (op_takes_panels(o) && stage_group(fused, o) == g) {
                op_set_attr(o, attr_int("scratch", (int64_t)place));
                place += (uint64_t)(stage_width(fused, g) / TILE_ROWS) * op_panel_bytes(o);
            }
        end = place > end ? place : end;
    }
    return end;
}

/* Scratch of a thread for one stage: rows that a prologue makes (every thread its own, also of what
 * is handed on), or that a row stage makes and does not hand on, and panels. */
static bool place_scratch(Func *f, Diag *d, uint64_t *max)
{
    for (Op *o = f->body->first; o; o = o->next) {
        uint64_t at = 0;

        if (o->kind != OP_fused)
            continue;
        for (Op *p = o->region[0]->first; p; p = p->next) {
            uint64_t bytes;
            Type row;

            if (p->n_out != 1 || p->kind == OP_last_rows)
                continue;
            if (stage_anchor(o) ? !stage_is_prologue(o, p) : yielded(o->region[0], p->out[0]))
                continue;
            row = p->out[0]->type;
            if (row.rank >= 2)
                row.dim[0] = dim_const(f->m, 1);
            if (!type_bytes(row, &bytes))
                return fail(d, NOWHERE, "buffer '%s' does not fit 64-bit sizes", p->out[0]->name);
            op_set_attr(p, attr_int("scratch", (int64_t)at));
            at = align_up(at + bytes, ALIGN);
        }
        at = place_panels(o, at);
        for (Op *p = o->region[0]->first; p; p = p->next)
            if (op_attr(p, "bound.0")) {
                op_set_attr(p, attr_int("best", (int64_t)at));
                at = align_up(at + BEST_BYTES, ALIGN);
            }
        *max = at > *max ? at : *max;
    }
    return true;
}

static bool is_called(const Func *f, const Func *g)
{
    for (const Op *o = f->body->first; o; o = o->next)
        if (o->kind == OP_call && o->callee == g)
            return true;
    return false;
}

/* Arguments lie where the parameters do, results where what is returned does. */
static void join_calls(Slots *s, const Func *f)
{
    for (const Op *o = f->body->first; o; o = o->next) {
        const Region *r = o->kind == OP_call ? o->callee->body : NULL;

        for (int i = 0; r && i < o->n_in; i++)
            if (is_tensor(r->param[i]))
                join(s, slot_of(s, o->in[i]), slot_of(s, r->param[i]));
        for (int i = 0; r && i < o->n_out; i++)
            join(s, slot_of(s, o->out[i]), slot_of(s, r->last->in[i]));
    }
}

static bool plan_entry(Module *m, const Env *env, Diag *d, const Entry *e, uint64_t *arena_max)
{
    Plan p = { .env = env, .d = d };
    Func *f = e->func;
    int n = count_values(f);
    uint64_t bytes = 0;

    p.slots = (Slots){ ARENA_ARRAY(env->scratch, Slot, n), 0, n };
    p.place_of = ARENA_ARRAY(env->scratch, int64_t, n);
    for (int i = 0; i < n; i++)
        p.place_of[i] = PLACE_none;
    note_lives(&p.slots, f);
    for (const Func *g = m->first_func; g; g = g->next)
        if (is_called(f, g))
            note_lives(&p.slots, g);
    lengthen_lives(&p.slots, f);
    join_calls(&p.slots, f);
    for (int i = 0; i < f->body->n_param; i++)
        if (is_tensor(f->body->param[i]))
            p.place_of[find(&p.slots, slot_of(&p.slots, f->body->param[i]))] = PLACE_input - i;
    for (int i = 0; i < p.slots.n; i++) {
        int x, y;

        if (find(&p.slots, i) == i && buffers_clash(&p.slots, i, i, &x, &y))
            return fail(d,
                        AT_WHAT(NULL, str_printf(m->a, "function '%s'", p.slots.slot[x].f->name)),
                        "calls put '%s' and '%s' into one place while both are needed",
                        p.slots.slot[x].v->name, p.slots.slot[y].v->name);
    }
    for (const Func *g = m->first_func; g; g = g->next)
        if (is_called(f, g))
            join_in_place(&p.slots, p.place_of, g);
    join_in_place(&p.slots, p.place_of, f);
    for (int i = 0; i < f->body->last->n_in; i++) {
        const Value *v = f->body->last->in[i];
        int64_t *place = &p.place_of[find(&p.slots, slot_of(&p.slots, v))];

        if (!is_tensor(v) || *place != PLACE_none)
            return fail(d, AT_WHAT(NULL, str_printf(m->a, "entry '%s'", e->name)),
                        "result %d, '%s', is also %s, and nothing lies in two places "
                        "(compute a copy)",
                        i, v->name,
                        !is_tensor(v)           ? "a weight"
                        : *place > PLACE_output ? "an input"
                                                : "another result");
        *place = PLACE_output - i;
    }
    if (!plan_func(&p, f, true, 0, true, &bytes))
        return false;
    write_places(&p, f);
    *arena_max = bytes > *arena_max ? bytes : *arena_max;
    return true;
}

bool pass_memory(Module *m, const Env *env, Diag *d)
{
    uint64_t arena = 0, scratch = 0;

    if (module_is_network(m)) {
        module_set_meta(m, "scheduled", attr_int("", 1));
        return net_memory(m, env, d);
    }
    for (int i = 0; i < m->n_entry; i++)
        if (!plan_entry(m, env, d, &m->entry[i], &arena))
            return false;
    for (Func *f = m->first_func; f; f = f->next)
        if (!place_scratch(f, d, &scratch))
            return false;
    module_set_meta(m, "arena_bytes", attr_int("", (int64_t)arena));
    module_set_meta(m, "scratch_bytes", attr_int("", (int64_t)scratch));
    module_set_meta(m, "scheduled", attr_int("", 1));
    return true;
}
