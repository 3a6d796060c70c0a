/* specialize: one clone of a function for each of its entries.
 *
 * An entry that fixes a symbol (decode: T = 1) gets a function in which that symbol is the number,
 * so that later passes fuse, tile and place it for that case alone.  Clones are named after their
 * entries; functions that no entry calls any more are removed.
 *
 * If prefill gets other activation formats than decode, a third entry, "verify", is made beside it.
 *
 * Requires: functions without calls.  Leaves: every entry has a function of its own. */
#include "compiler/passes/passes.h"

static const Entry *entry_named(const Module *m, const char *name)
{
    for (int i = 0; i < m->n_entry; i++)
        if (!strcmp(m->entry[i].name, name))
            return &m->entry[i];
    return NULL;
}

/* Where prefill will compute in another precision than decode, guesses of tokens to come need an entry for several tokens that has
 * decode's: "verify", with prefill's ranges.  Not where --spec none says that nobody guesses, or the Module has one. */
static void add_verify(Module *m, const BuildOptions *o)
{
    const Entry *prefill = entry_named(m, "prefill");
    SymRange range[4];
    int n_range;
    Entry *e;

    if (o->act_prefill == o->act_decode || !prefill || !entry_named(m, "decode") || entry_named(m, "verify") ||
        (o->spec && !strcmp(o->spec, "none")))
        return;
    n_range = prefill->n_range;
    memcpy(range, prefill->range, sizeof range);
    e = module_add_entry(m, "verify", prefill->func);
    for (int k = 0; k < n_range; k++)
        entry_range(e, range[k].sym, range[k].lo, range[k].hi);
}

bool pass_specialize(Module *m, const Env *env, Diag *d)
{
    Func *old = m->first_func;
    int n_old = 0;

    for (Func *f = old; f; f = f->next) {
        n_old++;
        for (const Op *o = f->body->first; o; o = o->next)
            if (o->kind == OP_call)
                return fail(
                    d, AT_WHAT(NULL, str_printf(m->a, "function '%s'", f->name)),
                    "calls '%s': functions with calls cannot be specialized (write them as one)",
                    o->callee->name);
    }
    add_verify(m, env->opt);
    for (int i = 0; i < m->n_entry; i++) {
        Entry *e = &m->entry[i];
        Dim *by = ARENA_ARRAY(env->scratch, Dim, m->n_sym + 1);
        const char *name = e->name;

        for (int k = 0; k < e->n_range; k++)
            if (e->range[k].lo == e->range[k].hi)
                by[e->range[k].sym->index] = dim_const(m, e->range[k].lo);
        if (module_find_func(m, str_of(name)))
            name = str_printf(m->a, "%s.entry", name);
        e->func = func_clone(e->func, name, by);
    }
    for (Func *f = old, *next; n_old-- > 0; f = next) {
        next = f->next;
        module_remove_func(m, f);
    }
    return true;
}
