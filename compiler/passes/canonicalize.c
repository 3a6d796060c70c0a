/* canonicalize: one way to say each thing.
 *
 * Rewrites by rules.def, then removes ops without effect whose results nobody uses, and weights
 * that no function mentions.
 *
 * Requires: nothing.  Leaves: no pattern of rules.def, no dead op. */
#include "compiler/passes/passes.h"
#include "compiler/passes/rules.h"

static bool is_dead(const Region *r, const Op *o)
{
    if (op_info[o->kind].effect || o->kind == OP_return || o->kind == OP_yield)
        return false;
    for (int i = 0; i < o->n_out; i++)
        if (value_n_uses(r, o->out[i]))
            return false;
    return true;
}

static void remove_dead_ops(Func *f)
{
    for (Op *o = f->body->last, *prev; o; o = prev) {
        prev = o->prev;
        if (is_dead(f->body, o))
            op_remove(o);
    }
}

static bool is_mentioned(const Module *m, const Value *v)
{
    for (const Func *f = m->first_func; f; f = f->next)
        if (value_n_uses(f->body, v))
            return true;
    return false;
}

static void remove_unused_weights(Module *m)
{
    int n = 0;

    for (int i = 0; i < m->n_weight; i++)
        if (is_mentioned(m, m->weight[i]->value)) {
            m->weight[n] = m->weight[i];
            m->weight[n]->index = n;
            n++;
        }
    m->n_weight = n;
}

bool pass_canonicalize(Module *m, const Env *env, Diag *d)
{
    (void)env;
    (void)d;
    for (Func *f = m->first_func; f; f = f->next) {
        rules_apply(f, NULL);
        remove_dead_ops(f);
    }
    if (m->first_func)
        remove_unused_weights(m);
    return true;
}
