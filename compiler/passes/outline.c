/* outline: identical layers become one function called with different weights and states.
 *
 * Two layers are identical when their stages print alike once names are numbers: the same ops,
 * attributes and types, wired alike.  What differs (which weights, which states, where x comes
 * from) becomes parameters.  Every call works on the same buffers, so that addresses are constants:
 * a layer qualifies if each tensor that it hands on can lie where one that it takes lay, which is
 * so if that one is no longer needed when the other is made, or is overwritten in place
 * (stage_in_place). Most layers hand on x alone; where a norm stands behind the sublayers, its
 * stage is the first of the next layer, and a layer hands on the residual stream and what is to be
 * normed.  Other tensors (positions, angles) must be the same ones in each call, for the same
 * reason.
 *
 * Requires: fuse.  Leaves: functions of `fused`, `call` and the return; one readable function per
 * kind of layer. */
#include "compiler/passes/passes.h"

/* The stages of one layer: consecutive ops of a function. */
typedef struct {
    Op *first, *last;
    int layer;
    Value **ext;
    int n_ext; /* values from outside, in order of first use */
    Value **out;
    int n_out; /* results used outside */
    Str signature;
    int *on;  /* of each of out: the one of ext in whose place it lies */
    int kind; /* layers of one kind share a function; -1: none */
} Run;

static bool op_in_run(const Run *r, const Op *o)
{
    for (const Op *p = r->first; p; p = p->next) {
        if (p == o)
            return true;
        if (p == r->last)
            break;
    }
    return false;
}

static bool inside(const Run *r, const Value *v)
{
    return v->kind == VAL_result && op_in_run(r, v->op);
}

static int ext_index(Run *r, Value *v)
{
    for (int i = 0; i < r->n_ext; i++)
        if (r->ext[i] == v)
            return i;
    r->ext[r->n_ext++] = v;
    return r->n_ext - 1;
}

static void print_attrs(Buf *b, const Op *o)
{
    for (int i = 0; i < o->n_attr; i++) {
        const Attr *t = &o->attr[i];

        buf_printf(b, " %s=%" PRId64 "/%a/%.*s", t->name, t->i, t->f, STR_ARG(t->s));
        for (int k = 0; k < t->n_ints; k++)
            buf_printf(b, ",%" PRId64, t->ints[k]);
    }
}

/* The number of a value inside a region: parameters first, then results in order. */
static int number_in(const Region *r, const Value *v)
{
    int n = 0;

    for (int i = 0; i < r->n_param; i++, n++)
        if (r->param[i] == v)
            return n;
    for (const Op *o = r->first; o; o = o->next)
        for (int i = 0; i < o->n_out; i++, n++)
            if (o->out[i] == v)
                return n;
    return -1;
}

static void print_region(Buf *b, Arena *a, const Region *r)
{
    for (int i = 0; i < r->n_param; i++)
        buf_printf(b, "(%d %s)", r->param[i]->stands_for, type_text(a, r->param[i]->type));
    for (const Op *o = r->first; o; o = o->next) {
        buf_printf(b, "%s", op_info[o->kind].name);
        print_attrs(b, o);
        for (int i = 0; i < o->n_in; i++)
            buf_printf(b, " %d", number_in(r, o->in[i]));
        for (int i = 0; i < o->n_out; i++)
            buf_printf(b, ":%s", type_text(a, o->out[i]->type));
        for (int i = 0; i < o->n_region; i++)
            print_region(b, a, o->region[i]);
        buf_putc(b, '\n');
    }
}

/* The run as text in which only what may differ between identical layers is missing. */
static void sign(Run *r, const Func *f, Arena *a)
{
    Buf b = buf_in(a);
    int n = 0;

    for (Op *o = r->first;; o = o->next) {
        n += o->n_in + o->n_out;
        if (o == r->last)
            break;
    }
    r->ext = ARENA_ARRAY(a, Value *, n + 1);
    r->out = ARENA_ARRAY(a, Value *, n + 1);
    for (Op *o = r->first;; o = o->next) {
        buf_puts(&b, op_info[o->kind].name);
        print_attrs(&b, o);
        for (int i = 0; i < o->n_in; i++) {
            Value *v = o->in[i];

            if (inside(r, v)) {
                int d = 0;

                for (const Op *p = r->first; p != v->op; p = p->next)
                    d++;
                buf_printf(&b, " r%d.%d", d, v->index);
            } else
                buf_printf(&b, " e%d:%d:%s", ext_index(r, v), v->kind, type_text(a, v->type));
        }
        for (int i = 0; i < o->n_out; i++) {
            bool used = false;

            for (const Op *p = f->body->first; p; p = p->next)
                if (!op_in_run(r, p))
                    for (int k = 0; k < p->n_in; k++)
                        used = used || p->in[k] == o->out[i];
            if (used)
                r->out[r->n_out++] = o->out[i];
            buf_printf(&b, "%c", used ? '!' : '.');
        }
        for (int i = 0; i < o->n_region; i++)
            print_region(&b, a, o->region[i]);
        if (o == r->last)
            break;
    }
    r->signature = buf_str(&b);
}

static bool used_after(const Op *o, const Value *v)
{
    for (o = o->next; o; o = o->next)
        for (int i = 0; i < o->n_in; i++)
            if (o->in[i] == v)
                return true;
    return false;
}

/* May result v of a stage of the run lie where `e`, which the run takes, lay? */
static bool can_lie_on(const Run *r, const Value *v, const Value *e)
{
    bool made = false;

    if (e->kind != VAL_result || !type_eq(e->type, v->type) || used_after(r->last, e))
        return false;
    for (const Op *o = r->first;; o = o->next) {
        for (int i = 0; i < o->n_in; i++)
            if (o->in[i] == e &&
                (made || (o == v->op && !(o->kind == OP_fused && stage_in_place(o, i, v->index)))))
                return false;
        made = made || o == v->op;
        if (o == r->last)
            return true;
    }
}

static bool is_on(const Run *r, int i_ext)
{
    for (int i = 0; i < r->n_out; i++)
        if (r->on[i] == i_ext)
            return true;
    return false;
}

/* Was a made before b?  Both are results of ops of f. */
static bool made_before(const Func *f, const Value *a, const Value *b)
{
    if (a->op == b->op)
        return a->index < b->index;
    for (const Op *o = f->body->first; o; o = o->next)
        if (o == a->op || o == b->op)
            return o == a->op;
    return false;
}

/* For each result, the last made first, the tensor it lies on: of those that are left what was made
 * last, as the layer before hands on what this one does.  false: there is none for one of them. */
static bool find_places(Run *r, const Func *f, Arena *a)
{
    r->on = ARENA_ARRAY(a, int, r->n_out + 1);
    for (int i = 0; i < r->n_out; i++)
        r->on[i] = -1;
    for (int i = r->n_out - 1; i >= 0; i--) {
        int best = -1;

        for (int k = 0; k < r->n_ext; k++)
            if (!is_on(r, k) && can_lie_on(r, r->out[i], r->ext[k]) &&
                (best < 0 || made_before(f, r->ext[best], r->ext[k])))
                best = k;
        if (best < 0)
            return false;
        r->on[i] = best;
    }
    return r->n_out > 0;
}

/* Does run b take what run a hands on in the same order, if it takes it at all?  Otherwise two
 * buffers would have to be one. */
static bool hands_on_to(const Run *a, const Run *b)
{
    for (int i = 0; i < a->n_out; i++)
        for (int k = 0; k < b->n_ext; k++)
            if (b->ext[k] == a->out[i] && (i >= b->n_out || b->on[i] != k))
                return false;
    return true;
}

/* What follows ".N." in a name, N the number of the layer or of the one before it, whose last ops
 * may stand in this one's first stage; NULL: neither is there.  *at: where the number begins. */
static const char *behind_number(Arena *a, const char *name, int layer, const char **at)
{
    for (int n = layer; n >= 0 && n >= layer - 1; n--) {
        char *number = str_printf(a, ".%d.", n);

        *at = strstr(name, number);
        if (*at)
            return *at + strlen(number);
    }
    return NULL;
}

/* "blk.7.attn_q.weight" in layer 7 is "attn_q" to the function of its kind. */
static const char *name_in_layer(Arena *a, const char *name, int layer)
{
    const char *at, *rest = behind_number(a, name, layer, &at);
    Str s = str_of(rest ? rest : name);

    if (str_ends(s, ".weight"))
        s.n -=
            strlen("eight"); /* "attn_q.w": the weight, not the result of the contraction with it */
    return s.n ? str_z(a, s) : name;
}

/* "kv.7.k" in layer 7 is "kv.k". */
static const char *name_without_layer(Arena *a, const char *name, int layer)
{
    const char *at, *rest = behind_number(a, name, layer, &at);

    return rest ? str_printf(a, "%.*s%s", (int)(at - name) + 1, name, rest) : name;
}

/* The names of values inside the function, free of the number of the layer they were taken from. */
static void rename_results(Module *m, Region *r, int layer)
{
    for (int i = 0; i < r->n_param; i++)
        r->param[i]->name = name_in_layer(m->a, r->param[i]->name, layer);
    for (Op *o = r->first; o; o = o->next) {
        for (int i = 0; i < o->n_out; i++)
            o->out[i]->name = name_in_layer(m->a, o->out[i]->name, layer);
        for (int i = 0; i < o->n_region; i++)
            rename_results(m, o->region[i], layer);
    }
}

/* Is `name` a value of r that comes before parameter i_param, or before result i_out of op `end`?
 */
static bool taken(const Region *r, const char *name, int i_param, const Op *end, int i_out)
{
    for (int i = 0; i < i_param; i++)
        if (!strcmp(r->param[i]->name, name))
            return true;
    for (const Op *o = end ? r->first : NULL; o; o = o->next) {
        for (int i = 0; i < (o == end ? i_out : o->n_out); i++)
            if (!strcmp(o->out[i]->name, name))
                return true;
        if (o == end)
            break;
    }
    return false;
}

/* Names that became equal without the layer's number are numbered. */
static void make_unique(Module *m, Region *r)
{
    for (int i = 0; i < r->n_param; i++) {
        const char *base = r->param[i]->name;

        for (int n = 1; taken(r, r->param[i]->name, i, NULL, 0); n++)
            r->param[i]->name = str_printf(m->a, "%s.%d", base, n);
    }
    for (Op *o = r->first; o; o = o->next) {
        for (int i = 0; i < o->n_out; i++) {
            const char *base = o->out[i]->name;

            for (int n = 1; taken(r, o->out[i]->name, r->n_param, o, i); n++)
                o->out[i]->name = str_printf(m->a, "%s.%d", base, n);
        }
        for (int i = 0; i < o->n_region; i++)
            make_unique(m, o->region[i]);
    }
}

/* The value that runs through the layers is "x" (with another one behind it, the first of the two).
 */
static Func *make_func(Module *m, Func *caller, const Run *r, int n_kinds, int kind)
{
    Func *f = module_add_func(m, n_kinds > 1 ? str_printf(m->a, "%s_layer_%d", caller->name, kind)
                                             : str_printf(m->a, "%s_layer", caller->name));
    Op *ret;

    for (int i = 0; i < r->n_ext; i++) {
        Value *v = r->ext[i];
        ValueKind as = v->kind == VAL_param    ? v->stands_for
                       : v->kind == VAL_result ? VAL_result
                                               : v->kind;
        const char *name = i == r->on[0]           ? "x"
                           : is_on(r, i)           ? name_in_layer(m->a, v->name, v->op->layer)
                           : v->kind == VAL_weight ? name_in_layer(m->a, v->name, r->layer)
                           : v->kind == VAL_state  ? name_without_layer(m->a, v->name, r->layer)
                                                   : v->name;

        func_add_param(f, func_fresh_name(f, name), v->type, as);
    }
    for (Op *o = r->first, *next;; o = next) {
        next = o->next;
        for (int i = 0; i < o->n_in; i++)
            for (int k = 0; k < r->n_ext; k++)
                if (o->in[i] == r->ext[k])
                    o->in[i] = f->body->param[k];
        op_move(o, f->body, NULL);
        o->layer = -1;
        for (int i = 0; i < o->n_region; i++)
            for (Op *p = o->region[i]->first; p; p = p->next)
                p->layer = -1;
        if (o == r->last)
            break;
    }
    ret = op_new_raw(f->body, NULL, OP_return, r->n_out, 0);
    for (int i = 0; i < r->n_out; i++)
        ret->in[i] = r->out[i];
    rename_results(m, f->body, r->layer);
    for (Op *o = f->body->first; o;
         o = o->next) /* a stage calls its operands what the function calls them */
        for (int i = 0; o->kind == OP_fused && i < o->n_in; i++)
            o->region[0]->param[i]->name = o->in[i]->name;
    make_unique(m, f->body);
    return f;
}

/* Do two runs of one signature take the same tensors, but for those that run through the layers?
 * A parameter has one address: tensors that differ from call to call (an embedding for each layer)
 * would have to lie in one place while all of them are alive. */
static bool same_tensors(const Run *a, const Run *b)
{
    for (int i = 0; i < a->n_out; i++)
        if (a->on[i] != b->on[i])
            return false;
    for (int i = 0; i < a->n_ext; i++) {
        const Value *v = a->ext[i];

        if ((v->kind == VAL_result || v->kind == VAL_param) && !is_on(a, i) && v != b->ext[i])
            return false;
    }
    return true;
}

static void outline_func(Module *m, Func *f, const Env *env)
{
    Arena *a = env->scratch;
    int n_run = 0, n_kind = 0, n_op = 0;
    Run *run;
    Func **func;

    for (Op *o = f->body->first; o; o = o->next)
        n_op++;
    run = ARENA_ARRAY(a, Run, n_op + 1);
    func = ARENA_ARRAY(a, Func *, n_op + 1);
    for (Op *o = f->body->first; o; o = o->next) {
        if (o->kind != OP_fused || o->layer < 0)
            continue;
        if (n_run && run[n_run - 1].layer == o->layer && run[n_run - 1].last == o->prev)
            run[n_run - 1].last = o;
        else
            run[n_run++] = (Run){ .first = o, .last = o, .layer = o->layer };
    }
    for (int i = 0; i < n_run; i++) {
        Run *r = &run[i];
        bool in_order = true;

        sign(r, f, a);
        r->kind = -1;
        if (!find_places(r, f, a))
            continue;
        for (int k = 0; k < i; k++)
            in_order = in_order && (run[k].kind < 0 || hands_on_to(&run[k], r));
        if (!in_order)
            continue;
        for (int k = 0; k < i && r->kind < 0; k++)
            if (run[k].kind >= 0 && str_eq(run[k].signature, r->signature) &&
                same_tensors(&run[k], r))
                r->kind = run[k].kind;
        if (r->kind < 0)
            r->kind = n_kind++;
    }
    for (int i = 0; i < n_run; i++) {
        Run *r = &run[i];
        Op *call, *before;

        if (r->kind < 0)
            continue;
        before = r->last->next;
        call = op_new_raw(f->body, before, OP_call, r->n_ext, 0);
        for (int k = 0; k < r->n_ext; k++)
            call->in[k] = r->ext[k];
        call->layer = r->layer;
        call->by = "outline";
        for (int k = 0; k < r->n_out; k++) {
            Value *v = op_add_result(call, r->out[k]->name, r->out[k]->type);

            for (Op *o = call->next; o; o = o->next)
                for (int q = 0; q < o->n_in; q++)
                    if (o->in[q] == r->out[k])
                        o->in[q] = v;
            for (int w = i + 1; w < n_run; w++) /* runs still to come have noted the old value */
                for (int q = 0; q < run[w].n_ext; q++)
                    if (run[w].ext[q] == r->out[k])
                        run[w].ext[q] = v;
        }
        if (!func[r->kind])
            func[r->kind] = make_func(m, f, r, n_kind, r->kind);
        else
            for (Op *o = r->first, *next;; o = next) {
                next = o->next;
                op_remove(o);
                if (o == r->last)
                    break;
            }
        call->callee = func[r->kind];
    }
}

bool pass_outline(Module *m, const Env *env, Diag *d)
{
    (void)d;
    for (int i = 0; i < m->n_entry; i++)
        outline_func(m, m->entry[i].func, env);
    return true;
}
