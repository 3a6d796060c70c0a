/* The reference interpreter: runs a Module as it is, at any stage between arch and schedule.  It is the meaning of the IR.
 *
 * Ops run in the order in which they are written.  Each region has a frame: one slot per value, which holds a tensor, a weight or a
 * state.  Regions see only their parameters, so a fused op, a loop and a call all run the same way: operands become the slots of the
 * parameters, what is yielded becomes the results.  A tensor is freed after its last use, so a prefill needs the memory of what is
 * alive, not of what was computed.  Weights are never decoded whole where an op can read them row by row. */
#include "ir/internal.h"

#include <stdlib.h>

typedef struct {
    Tensor t;
    bool owns;                      /* t's memory goes with the slot */
    const Weight *w;                /* instead of t */
    int state;                      /* index of a state instead of t, -1: none */
    int uses;                       /* operands that will still read it */
} Slot;

/* What is worked out once per region: where each value's slot is and how often it is read. */
typedef struct { PtrMap index; int n; int *uses; } Frame;

struct Interp {
    Module *m;
    Diag *d;
    Arena *a;                       /* frames: a child of the Module's arena, gone with it */
    PtrMap frames;                  /* Region -> Frame */
    Tensor *state;                  /* of Module.state[i]: the whole capacity */
    int64_t n_ctx, n_past;
    int64_t *val;                   /* of Module.sym[i] in this run */
    InterpTrace *trace;
    void *trace_ctx;
    Slot *kept;                     /* results of the last run */
    int n_kept;
};

/* ---- tensors ---------------------------------------------------------------------------------------------------------- */

/* Zeroed memory for a value of type t under the run's symbols. */
static bool tensor_new(Interp *ip, Type t, Loc at, Tensor *out)
{
    uint64_t n = 1;

    *out = (Tensor){ .type = t, .rank = t.rank };
    for (int i = 0; i < t.rank; i++) {
        out->dim[i] = dim_eval(t.dim[i], ip->val);
        if (out->dim[i] < 0 || !mul_ok(n, (uint64_t)out->dim[i], &n) || n > (uint64_t)1 << 36)
            return fail(ip->d, at, "a tensor that is too large for the interpreter");
    }
    out->n = (int64_t)n;
    if (t.fmt->kind == FORMAT_int)
        out->i = calloc(n + 1, sizeof *out->i);
    else
        out->f = calloc(n + 1, sizeof *out->f);
    return out->i || out->f || fail(ip->d, at, "no memory for a tensor of %" PRIu64 " elements", n);
}

static void tensor_free(Tensor *t)
{
    free(t->f);
    free(t->i);
    t->f = NULL;
    t->i = NULL;
}

static void slot_free(Slot *s)
{
    if (s->owns)
        tensor_free(&s->t);
    *s = (Slot){ .state = -1 };
}

/* A copy with memory of its own. */
static bool tensor_dup(Interp *ip, const Tensor *t, Loc at, Tensor *out)
{
    *out = *t;
    out->f = t->f ? malloc(((size_t)t->n + 1) * sizeof *t->f) : NULL;
    out->i = t->i ? malloc(((size_t)t->n + 1) * sizeof *t->i) : NULL;
    if (!out->f && !out->i)
        return fail(ip->d, at, "no memory for a tensor of %" PRId64 " elements", t->n);
    if (t->f)
        memcpy(out->f, t->f, (size_t)t->n * sizeof *t->f);
    else
        memcpy(out->i, t->i, (size_t)t->n * sizeof *t->i);
    return true;
}

/* ---- frames ----------------------------------------------------------------------------------------------------------- */

static Frame *frame_of(Interp *ip, const Region *r)
{
    Frame *f = ptrmap_get(&ip->frames, r);

    if (f)
        return f;
    f = ARENA_NEW(ip->a, Frame);
    f->index = ptrmap_in(ip->a);
    f->n = r->n_param;
    for (const Op *o = r->first; o; o = o->next)
        f->n += o->n_out;
    f->uses = ARENA_ARRAY(ip->a, int, f->n + 1);
    f->n = 0;
    for (int i = 0; i < r->n_param; i++)                    /* index + 1, because a map gives NULL for what it lacks */
        ptrmap_put(&f->index, r->param[i], (void *)(intptr_t)++f->n);
    for (const Op *o = r->first; o; o = o->next) {
        for (int i = 0; i < o->n_in; i++) {
            intptr_t k = (intptr_t)ptrmap_get(&f->index, o->in[i]);

            if (k)
                f->uses[k - 1]++;
        }
        for (int i = 0; i < o->n_out; i++)
            ptrmap_put(&f->index, o->out[i], (void *)(intptr_t)++f->n);
    }
    ptrmap_put(&ip->frames, r, f);
    return f;
}

/* ---- ops -------------------------------------------------------------------------------------------------------------- */

static Loc at_op(const Op *o)
{
    const char *name = op_info[o->kind].name;

    return AT_WHAT(NULL, o->from && *o->from ? o->from : o->n_out ? o->out[0]->name : name);
}

static bool run_region(Interp *ip, const Region *r, const Slot *arg, Slot *result);

/* Weights that are operands of other ops than matmul and rows are small (norms, biases, frequencies): decoded whole. */
static bool weight_tensor(Interp *ip, const Weight *w, Loc at, Tensor *out)
{
    int64_t n = dim_hi(type_last(w->type));

    if (!tensor_new(ip, w->type, at, out))
        return false;
    for (int64_t i = 0; i < type_n_rows(w->type); i++)
        if (!(out->i ? weight_row_ints(ip->m, w, i, out->i + i * n, ip->d) : weight_row(ip->m, w, i, out->f + i * n, ip->d)))
            return tensor_free(out), false;
    return true;
}

static bool run_plain(Interp *ip, const Op *o, const Slot *in, Slot *out)
{
    RefArgs a = { .op = o, .m = ip->m, .d = ip->d, .at = at_op(o), .n_past = ip->n_past };
    size_t n = (size_t)o->n_in + 4;
    Tensor *decoded = calloc(n, sizeof *decoded);
    bool ok = true;

    a.in = calloc(n, sizeof *a.in);
    a.w = calloc(n, sizeof *a.w);
    if (!ref_table[o->kind])
        bug("'%s' has no reference function", op_info[o->kind].name);
    if (!decoded || !a.in || !a.w)
        ok = fail(ip->d, a.at, "no memory for an op's operands");
    for (int i = 0; ok && i < o->n_in; i++) {
        bool streams = (o->kind == OP_matmul && i == 1) || (o->kind == OP_rows && i == 0);

        if (in[i].state >= 0) {
            a.in[i] = &ip->state[in[i].state];
        } else if (in[i].w && streams) {
            a.w[i] = in[i].w;
        } else if (in[i].w) {
            ok = weight_tensor(ip, in[i].w, a.at, &decoded[i]);
            a.in[i] = &decoded[i];
        } else {
            a.in[i] = &in[i].t;
        }
    }
    if (ok && o->n_out) {
        ok = tensor_new(ip, o->out[0]->type, a.at, &out->t);
        out->owns = ok;
        a.out = &out->t;
    }
    ok = ok && ref_table[o->kind](&a);
    for (size_t i = 0; decoded && i < n; i++)
        tensor_free(&decoded[i]);
    free(decoded);
    free(a.in);
    free(a.w);
    return ok;
}

static bool run_loop(Interp *ip, const Op *o, Slot *in, Slot *out)
{
    int64_t count = op_int(o, "count", 1);
    bool ok = true;

    for (int64_t k = 0; ok && k < count; k++) {
        Slot *yielded = calloc((size_t)o->n_out + 1, sizeof *yielded);

        if (!yielded)
            return fail(ip->d, at_op(o), "no memory for a loop");
        ok = run_region(ip, o->region[0], in, yielded);
        for (int i = 0; i < o->n_out; i++) {
            slot_free(&out[i]);
            out[i] = yielded[i];
            in[i] = (Slot){ .t = out[i].t, .state = -1 };       /* borrowed: the frame will not free it */
        }
        free(yielded);
    }
    return ok;
}

/* Row k of a tensor, borrowed; or, of a result, the place where row k goes. */
static Tensor row_of(const Tensor *t, int64_t k)
{
    Tensor row = *t;

    row.dim[0] = 1;
    row.n = t->dim[0] ? t->n / t->dim[0] : 0;
    row.f = t->f ? t->f + k * row.n : NULL;
    row.i = t->i ? t->i + k * row.n : NULL;
    return row;
}

static bool run_scan(Interp *ip, const Op *o, Slot *in, Slot *out)
{
    int64_t count = op_int(o, "count", 1), carried = op_int(o, "carried", 0), rows = op_int(o, "rows", 0);
    Slot *arg = calloc((size_t)o->n_in + 1, sizeof *arg), *yielded = calloc((size_t)o->n_out + 1, sizeof *yielded);
    bool ok = (arg && yielded) || fail(ip->d, at_op(o), "no memory for a scan");

    for (int i = 0; ok && i < o->n_in; i++)
        arg[i] = in[i];
    for (int64_t i = carried; ok && i < o->n_out; i++)
        ok = out[i].owns = tensor_new(ip, o->out[i]->type, at_op(o), &out[i].t);
    for (int64_t k = 0; ok && k < count; k++) {
        for (int64_t i = carried; i < carried + rows; i++)
            arg[i].t = row_of(&in[i].t, k);
        ok = run_region(ip, o->region[0], arg, yielded);
        for (int64_t i = 0; i < o->n_out; i++) {
            if (i < carried) {
                slot_free(&out[i]);
                out[i] = yielded[i];
                arg[i] = (Slot){ .t = out[i].t, .state = -1 };
            } else {
                Tensor to = row_of(&out[i].t, k);

                if (ok && to.f)
                    memcpy(to.f, yielded[i].t.f, (size_t)to.n * sizeof *to.f);
                else if (ok)
                    memcpy(to.i, yielded[i].t.i, (size_t)to.n * sizeof *to.i);
                slot_free(&yielded[i]);
            }
            yielded[i] = (Slot){ .state = -1 };
        }
    }
    free(arg);
    free(yielded);
    return ok;
}

static bool run_op(Interp *ip, const Op *o, Slot *in, Slot *out)
{
    switch (o->kind) {
    case OP_fused: return run_region(ip, o->region[0], in, out);
    case OP_loop: return run_loop(ip, o, in, out);
    case OP_scan: return run_scan(ip, o, in, out);
    case OP_call: return run_region(ip, o->callee->body, in, out);
    default: return run_plain(ip, o, in, out);
    }
}

/* What an operand is: a slot of the frame, or the Module's weight or state. */
static Slot operand(const Frame *f, const Slot *slot, const Value *v)
{
    Slot s = { .state = -1 };

    if (v->kind == VAL_weight)
        s.w = v->weight;
    else if (v->kind == VAL_state)
        s.state = v->state->index;
    else
        s = slot[(intptr_t)ptrmap_get(&f->index, v) - 1];
    s.owns = false;
    return s;
}

/* Gives the yielded values to the results: moved where nobody else reads them, copied otherwise. */
static bool give_results(Interp *ip, const Frame *f, Slot *slot, const Op *end, Slot *result)
{
    for (int i = 0; i < end->n_in; i++) {
        Slot *s = &slot[(intptr_t)ptrmap_get(&f->index, end->in[i]) - 1];

        result[i] = *s;
        if (s->owns && --s->uses == 0) {
            s->owns = false;
        } else if (!tensor_dup(ip, &s->t, at_op(end), &result[i].t)) {
            result[i].owns = false;
            return false;
        }
        result[i].owns = true;
    }
    return true;
}

/* arg: one slot per parameter, borrowed.  result: room for what the region yields; they own their tensors. */
static bool run_region(Interp *ip, const Region *r, const Slot *arg, Slot *result)
{
    Frame *f = frame_of(ip, r);
    Slot *slot = calloc((size_t)f->n + 1, sizeof *slot), *in = NULL, *out = NULL;
    int max_in = 0, max_out = 0, n_slot = r->n_param;
    bool ok = true;

    for (const Op *o = r->first; o; o = o->next) {
        max_in = o->n_in > max_in ? o->n_in : max_in;
        max_out = o->n_out > max_out ? o->n_out : max_out;
    }
    in = calloc((size_t)max_in + 1, sizeof *in);
    out = calloc((size_t)max_out + 1, sizeof *out);
    if (!slot || !in || !out)
        ok = fail(ip->d, NOWHERE, "no memory for a frame of the interpreter");
    for (int i = 0; ok && i < f->n; i++) {
        slot[i] = i < r->n_param ? arg[i] : (Slot){ .state = -1 };
        slot[i].owns = false;
        slot[i].uses = f->uses[i];
    }
    for (const Op *o = r->first; ok && o; o = o->next) {
        if (o->kind == OP_yield || o->kind == OP_return) {
            ok = give_results(ip, f, slot, o, result);
            break;
        }
        for (int i = 0; i < o->n_in; i++)
            in[i] = operand(f, slot, o->in[i]);
        for (int i = 0; i < o->n_out; i++)
            out[i] = (Slot){ .state = -1 };
        ok = run_op(ip, o, in, out);
        for (int i = 0; i < o->n_out; i++) {
            out[i].uses = f->uses[n_slot];
            slot[n_slot++] = out[i];
        }
        if (ok && ip->trace && o->n_out)
            ip->trace(ip->trace_ctx, o, &slot[n_slot - o->n_out].t);
        for (int i = 0; i < o->n_in; i++) {
            intptr_t k = (intptr_t)ptrmap_get(&f->index, o->in[i]);

            if (k && --slot[k - 1].uses == 0)
                slot_free(&slot[k - 1]);
        }
    }
    for (int i = 0; slot && i < f->n; i++)
        slot_free(&slot[i]);
    free(slot);
    free(in);
    free(out);
    return ok;
}

/* ---- the interface ---------------------------------------------------------------------------------------------------- */

static void set_sym(Interp *ip, const char *name, int64_t v)
{
    const Sym *s = module_find_sym(ip->m, str_of(name));

    if (s)
        ip->val[s->index] = v;
}

static bool state_new(Interp *ip, int i)
{
    const State *s = ip->m->state[i];
    const Weight init = { .name = s->name, .type = s->type, .expr = s->init };
    Loc at = AT_WHAT(NULL, s->name);

    return s->init ? weight_tensor(ip, &init, at, &ip->state[i]) : tensor_new(ip, s->type, at, &ip->state[i]);
}

Interp *interp_new(Module *m, Diag *d, int64_t n_ctx)
{
    const Sym *c = module_find_sym(m, STR("C"));
    Arena *frames;
    Interp *ip;

    if (n_ctx < 0 || (c && (n_ctx < c->lo || n_ctx > c->hi))) {
        fail(d, NOWHERE, "a context of %" PRId64 " positions is not in the Module's range, %" PRId64 "..%" PRId64, n_ctx,
             c ? c->lo : 0, c ? c->hi : 0);
        return NULL;
    }
    frames = arena_child(m->a);
    ip = calloc(1, sizeof *ip);
    if (!ip) {
        fail(d, NOWHERE, "no memory for the interpreter");
        return NULL;
    }
    ip->a = frames;
    ip->m = m;
    ip->d = d;
    ip->n_ctx = n_ctx;
    ip->frames = ptrmap_in(ip->a);
    ip->val = ARENA_ARRAY(ip->a, int64_t, m->n_sym + 1);
    ip->state = ARENA_ARRAY(ip->a, Tensor, m->n_state + 1);
    set_sym(ip, "C", n_ctx);
    for (int i = 0; i < m->n_state; i++)
        if (!state_new(ip, i)) {
            interp_free(ip);
            return NULL;
        }
    return ip;
}

static void drop_kept(Interp *ip)
{
    for (int i = 0; i < ip->n_kept; i++)
        slot_free(&ip->kept[i]);
    free(ip->kept);
    ip->kept = NULL;
    ip->n_kept = 0;
}

void interp_free(Interp *ip)
{
    if (!ip)
        return;
    drop_kept(ip);
    for (int i = 0; i < ip->m->n_state; i++)
        tensor_free(&ip->state[i]);
    free(ip);
}

void interp_trace(Interp *ip, InterpTrace *fn, void *ctx)
{
    ip->trace = fn;
    ip->trace_ctx = ctx;
}

void interp_rewind(Interp *ip, int64_t n_past)
{
    if (n_past < 0 || n_past > ip->n_past)
        bug("a rewind from %" PRId64 " to %" PRId64, ip->n_past, n_past);
    ip->n_past = n_past;
}

int64_t interp_n_past(const Interp *ip)
{
    return ip->n_past;
}

/* Binds the entry's symbols, P and C. */
static bool bind_symbols(Interp *ip, const Entry *e, const int64_t *sym_val, Loc at, int64_t *n_new)
{
    *n_new = 0;
    for (int i = 0; i < ip->m->n_sym; i++)
        ip->val[i] = ip->m->sym[i]->lo;
    for (int i = 0; i < e->n_range; i++) {
        const SymRange *r = &e->range[i];
        int64_t v = r->lo == r->hi ? r->lo : sym_val[r->sym->index];

        if (v < r->lo || v > r->hi)
            return fail(ip->d, at, "%s = %" PRId64 " is not in %" PRId64 "..%" PRId64, r->sym->name, v, r->lo, r->hi);
        ip->val[r->sym->index] = v;
        if (!strcmp(r->sym->name, "T"))
            *n_new = v;
    }
    if (*n_new > ip->n_ctx - ip->n_past && ip->m->n_state)
        return fail(ip->d, at, "%" PRId64 " positions after %" PRId64 " do not fit a context of %" PRId64, *n_new, ip->n_past,
                    ip->n_ctx);
    set_sym(ip, "C", ip->n_ctx);
    set_sym(ip, "P", ip->n_past);
    return true;
}

bool interp_run(Interp *ip, const Entry *e, const int64_t *sym_val, const Tensor *in, int n_in, Tensor *out, int n_out)
{
    const Region *body = e->func->body;
    Loc at = AT_WHAT(NULL, e->name);
    Slot *arg;
    int64_t n_new;
    bool ok = true;

    drop_kept(ip);
    if (n_in != body->n_param || n_out != body->last->n_in)
        return fail(ip->d, at, "the entry has %d inputs and %d outputs, not %d and %d", body->n_param, body->last->n_in, n_in,
                    n_out);
    if (!bind_symbols(ip, e, sym_val, at, &n_new))
        return false;
    arg = calloc((size_t)n_in + 1, sizeof *arg);
    ip->kept = calloc((size_t)n_out + 1, sizeof *ip->kept);
    if (!arg || !ip->kept)
        ok = fail(ip->d, at, "no memory for the inputs");
    for (int i = 0; ok && i < n_in; i++) {
        Type t = body->param[i]->type;
        uint64_t n = 1;

        arg[i] = (Slot){ .t = in[i], .state = -1 };
        arg[i].t.type = t;
        arg[i].t.rank = t.rank;
        for (int k = 0; k < t.rank; k++) {
            arg[i].t.dim[k] = dim_eval(t.dim[k], ip->val);
            if (arg[i].t.dim[k] < 0 || !mul_ok(n, (uint64_t)arg[i].t.dim[k], &n))
                ok = fail(ip->d, at, "input %d is too large", i);
        }
        if (ok && (n != (uint64_t)in[i].n || (t.fmt->kind == FORMAT_int ? !in[i].i : !in[i].f)))
            ok = fail(ip->d, at, "input %d has %" PRId64 " elements, or not of the kind that %s has (%" PRIu64 ")", i, in[i].n,
                      body->param[i]->name, n);
    }
    if (ok) {
        ip->n_kept = n_out;
        ok = run_region(ip, body, arg, ip->kept);
    }
    free(arg);
    for (int i = 0; ok && i < n_out; i++)
        out[i] = ip->kept[i].t;
    if (ok)
        ip->n_past += n_new;
    return ok;
}
