/* Looking things up in the kernel library: see kernels.h.  The tables are printed by
 * codegen/tools/kernel_reader.c. */
#include "codegen/kernels.h"

#include <string.h>

const KernelUnit *kernel_unit(const char *isa)
{
    for (const KernelUnit *u = kernel_units; u->isa; u++)
        if (!strcmp(u->isa, isa))
            return u;
    return NULL;
}

const KernelUnit *kernel_unit_of(const char *const *isas)
{
    const KernelUnit *u = NULL;

    while (*isas && !u)
        u = kernel_unit(*isas++);
    return u;
}

static bool matches(const KernelInfo *k, const char *isa, const char *op, const char *layout,
                    const char *act, int tokens)
{
    return !strcmp(k->isa, isa) && !strcmp(k->op, op) && (!layout || !strcmp(k->layout, layout)) &&
           (!act || !strcmp(k->act, act)) && (!tokens || k->tile_tokens == tokens);
}

const KernelInfo *kernel_find(const KernelUnit *u, const char *const *isas, const char *op,
                              const char *layout, const char *act, int tile_tokens)
{
    for (isas = isas ? isas : u->isas; *isas; isas++)
        for (int i = 0; i < u->n_kernels; i++)
            if (matches(&u->kernels[i], *isas, op, layout, act, tile_tokens))
                return &u->kernels[i];
    return NULL;
}

static int find_entity(const KernelUnit *u, const char *name)
{
    int found = -1;

    for (int i = 0; i < u->n_entities;
         i++) /* the last one: a definition comes after its declarations */
        if (!strcmp(u->entities[i].name, name))
            found = i;
    return found;
}

static void mark(const KernelUnit *u, int i, bool *wanted)
{
    if (wanted[i])
        return;
    wanted[i] = true;
    for (int k = 0; k < u->entities[i].n_needs; k++)
        mark(u, u->entities[i].needs[k], wanted);
}

static void mark_assertions(const KernelUnit *u, bool *wanted)
{
    for (int i = 0; i < u->n_entities; i++) {
        const KernelEntity *e = &u->entities[i];
        bool all = e->n_needs > 0;

        if (strcmp(e->kind, "assert"))
            continue;
        for (int k = 0; k < e->n_needs; k++)
            all = all && wanted[e->needs[k]];
        wanted[i] = wanted[i] || all;
    }
}

bool kernel_closure(const KernelUnit *u, const char *const *names, int n, bool *wanted)
{
    for (int i = 0; i < n; i++)
        if (find_entity(u, names[i]) < 0)
            return false;
    for (int i = 0; i < n; i++)
        mark(u, find_entity(u, names[i]), wanted);
    mark_assertions(u, wanted);
    return true;
}

/* Whether a marked entity stands in the file that includes include i. */
static bool included(const KernelUnit *u, int i, const bool *wanted)
{
    for (int k = 0; k < u->n_entities; k++)
        if (wanted[k] && u->entities[k].file == u->includes[i].file)
            return true;
    return false;
}

/* The text of an entity; where it defines SN_LEAD, with another number. */
static void put_text(Buf *out, const char *text, int64_t lead)
{
    const char *begin = lead < 0 ? NULL : strstr(text, "enum { SN_LEAD = ");

    if (begin) {
        begin += strlen("enum { SN_LEAD = ");
        buf_put(out, text, (size_t)(begin - text));
        buf_printf(out, "%" PRId64, lead);
        text = begin + strspn(begin, "0123456789");
    }
    buf_puts(out, text);
}

void kernel_emit(Buf *out, const KernelUnit *u, const bool *wanted, int64_t lead)
{
    for (int i = 0; i < u->n_includes; i++) {
        bool again = !included(u, i, wanted);

        for (int k = 0; k < i; k++)
            again = again || (included(u, k, wanted) &&
                              !strcmp(u->includes[k].header, u->includes[i].header));
        if (!again)
            buf_printf(out, "#include <%s>\n", u->includes[i].header);
    }
    for (int i = 0; i < u->n_entities; i++)
        if (wanted[i]) {
            buf_putc(out, '\n');
            put_text(out, u->entities[i].text, lead);
            buf_putc(out, '\n');
        }
}
