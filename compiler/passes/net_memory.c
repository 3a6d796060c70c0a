/* memory for networks without tokens: an address for everything that is written, in one block that inputs and outputs lie in as well.
 *
 * A buffer is a tensor with all its reshapes, or the panel of one stage.  Greedy by size, first fit over live ranges [Pisarchyk & Lee 2020,
 * arXiv:2001.03288]: inputs are alive from the beginning to their last use, results of the network to its end.
 *
 * Leaves on a stage: in and out, the place of each operand and result (bytes from the beginning; -1: a weight), and panel_at; on the return in:
 * the places of the results, and inputs: those of the inputs; the Module's meta arena_bytes. */
#include "codegen/codegen.h"
#include "compiler/passes/net.h"

#include <limits.h>

enum { ALIGN = 16 };        /* the widest vector of a microcontroller */

typedef struct {
    const Value *v;         /* NULL: the panel of stage `first` */
    int first, last;
    uint64_t bytes, at;
} Buffer;

typedef struct {
    Module *m;
    Diag *d;
    Func *f;
    Buffer *buf;
    int n;
} Plan;

/* What a chain of reshapes began with. */
static const Value *root(const Value *v)
{
    while (v->kind == VAL_result && v->op->kind == OP_reshape)
        v = v->op->in[0];
    return v;
}

static Buffer *buffer_of(Plan *p, const Value *v)
{
    for (int i = 0; i < p->n; i++)
        if (p->buf[i].v == root(v))
            return &p->buf[i];
    return NULL;
}

static bool add_buffer(Plan *p, const Value *v, int first)
{
    Buffer b = { .v = v, .first = first, .last = first };

    if (!type_bytes(v->type, &b.bytes))
        return fail(p->d, NOWHERE, "buffer '%s' does not fit 64-bit sizes", v->name);
    p->buf[p->n++] = b;
    return true;
}

/* Everything that is written, and from when to when it is needed: stages are counted from 0. */
static bool list_buffers(Plan *p)
{
    int i = 0;

    for (int k = 0; k < p->f->body->n_param; k++)
        if (net_is_tensor(p->f->body->param[k]) && !add_buffer(p, p->f->body->param[k], -1))
            return false;
    for (const Op *o = p->f->body->first; o; o = o->next, i++) {
        for (int k = 0; k < o->n_in; k++)
            if (net_is_tensor(o->in[k]))
                buffer_of(p, o->in[k])->last = o->kind == OP_return ? INT_MAX : i;
        for (int k = 0; k < o->n_out; k++)
            if (o->kind != OP_reshape && !add_buffer(p, o->out[k], i))
                return false;
        if (o->kind == OP_fused && op_int(o, "panel_bytes", 0) > 0)
            p->buf[p->n++] = (Buffer){ .first = i, .last = i, .bytes = (uint64_t)op_int(o, "panel_bytes", 0) };
    }
    return true;
}

static bool meet(const Buffer *a, const Buffer *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* Returns the bytes of all. */
static uint64_t place(Plan *p, Arena *scratch)
{
    Buffer **order = ARENA_ARRAY(scratch, Buffer *, p->n + 1);
    uint64_t total = 0;

    for (int i = 0; i < p->n; i++) {                /* larger first; equal ones in order */
        int k = i;

        for (; k > 0 && order[k - 1]->bytes < p->buf[i].bytes; k--)
            order[k] = order[k - 1];
        order[k] = &p->buf[i];
    }
    for (int i = 0; i < p->n; i++) {
        Buffer *b = order[i];

        for (int k = 0; k < i; k++)
            if (meet(b, order[k]) && b->at < order[k]->at + order[k]->bytes && order[k]->at < b->at + b->bytes) {
                b->at = align_up(order[k]->at + order[k]->bytes, ALIGN);
                k = -1;                             /* again from the first */
            }
        total = b->at + b->bytes > total ? b->at + b->bytes : total;
    }
    return align_up(total, ALIGN);
}

static void write_places(Plan *p, Op *o, const char *attr, Value *const *v, int n)
{
    int64_t *at = ARENA_ARRAY(p->m->a, int64_t, n + 1);

    for (int i = 0; i < n; i++)
        at[i] = net_is_tensor(v[i]) ? (int64_t)buffer_of(p, v[i])->at : PLACE_none;
    op_set_attr(o, attr_ints(attr, at, n));
}

bool net_memory(Module *m, const Env *env, Diag *d)
{
    Plan p = { .m = m, .d = d, .f = m->entry[0].func };
    int n = p.f->body->n_param + 1, i = 0;
    uint64_t total;

    for (const Op *o = p.f->body->first; o; o = o->next)
        n += o->n_out + 1;
    p.buf = ARENA_ARRAY(env->scratch, Buffer, n);
    if (!list_buffers(&p))
        return false;
    total = place(&p, env->scratch);
    for (Op *o = p.f->body->first; o; o = o->next, i++) {
        if (o->kind == OP_fused) {
            write_places(&p, o, "in", o->in, o->n_in);
            write_places(&p, o, "out", o->out, o->n_out);
        }
        for (int k = 0; k < p.n; k++)
            if (!p.buf[k].v && p.buf[k].first == i)
                op_set_attr(o, attr_int("panel_at", (int64_t)p.buf[k].at));
        if (o->kind == OP_return) {
            write_places(&p, o, "in", o->in, o->n_in);
            write_places(&p, o, "inputs", p.f->body->param, p.f->body->n_param);
        }
    }
    module_set_meta(m, "arena_bytes", attr_int("", (int64_t)total));
    return true;
}
