/* Which entry computes several tokens as decode would compute each of them: guesses of tokens to
 * come are checked by it (runtime/core/session.c), and it must give decode's bits.
 *
 * That is an entry named "verify", if the Module has one, else prefill, if for every target its
 * kernels sum as decode's do: contracts of kernels name their order of sums (kernels.h).  A kernel
 * of prefill for an op, layout and activations that decode has no kernel for, or one of another
 * order, is another order.  Whatever else a stage is made of is the same plain C for both. */
#include "codegen/c.h"

/* The kernel that an attribute "dot.0", "panel.1" names, and the target it is for; NULL: it is
 * another kind of attribute. */
static const KernelInfo *kernel_named(const Writer *w, const Attr *a, int *target)
{
    const char *dot = strrchr(a->name, '.');
    const KernelUnit *u;

    if (!dot || a->kind != ATTR_str || dot[1] < '0' || dot[1] > '9')
        return NULL;
    *target = dot[1] - '0';
    u = *target < w->n_target ? kernel_unit_of(w->isa[*target]) : NULL;
    for (int i = 0; u && i < u->n_kernels; i++)
        if (str_eq(a->s, str_of(u->kernels[i].name)))
            return &u->kernels[i];
    return NULL;
}

/* "score" and "score4", which does it for four tokens at a time. */
static bool same_op(const char *one, const char *op)
{
    size_t n = strlen(one);

    return !strncmp(one, op, n) && (!op[n] || !strcmp(op + n, "4"));
}

/* Does f, with what it calls, use a kernel of k's contract and order for this target, of as many
 * tokens or of one? */
static bool sums_like(const Writer *w, const Func *f, const KernelInfo *k, int target)
{
    for (Op *o = f->body->first; o; o = op_walk(o, f->body)) {
        if (o->kind == OP_call && sums_like(w, o->callee, k, target))
            return true;
        for (int i = 0; i < o->n_attr; i++) {
            int t;
            const KernelInfo *own = kernel_named(w, &o->attr[i], &t);

            if (own && t == target && same_op(own->op, k->op) && !strcmp(own->layout, k->layout) &&
                !strcmp(own->act, k->act) && !strcmp(own->order, k->order))
                return true;
        }
    }
    return false;
}

/* Is every kernel of f one that `decode` has in the same order? */
static bool all_sums_like(const Writer *w, const Func *f, const Func *decode)
{
    for (Op *o = f->body->first; o; o = op_walk(o, f->body)) {
        if (o->kind == OP_call && !all_sums_like(w, o->callee, decode))
            return false;
        for (int i = 0; i < o->n_attr; i++) {
            int target;
            const KernelInfo *k = kernel_named(w, &o->attr[i], &target);

            if (k && !sums_like(w, decode, k, target))
                return false;
        }
    }
    return true;
}

static const Entry *entry_named(const Module *m, const char *name)
{
    for (int i = 0; i < m->n_entry; i++)
        if (!strcmp(m->entry[i].name, name))
            return &m->entry[i];
    return NULL;
}

const Entry *verifying_entry(const Writer *w)
{
    const Entry *decode = entry_named(w->m, "decode"), *prefill = entry_named(w->m, "prefill"),
                *verify = entry_named(w->m, "verify");

    if (!decode || !strcmp(module_meta_str(w->m, "build.spec", ""), "none"))
        return NULL;
    if (verify)
        return all_sums_like(w, verify->func, decode->func) ? verify : NULL;
    return prefill && all_sums_like(w, prefill->func, decode->func) ? prefill : NULL;
}
