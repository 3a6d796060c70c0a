/* The pipeline as a table, and the loop that runs it. */
#include "compiler/passes/passes.h"

const Pass pass_table[] = {
    { "canonicalize", "rewrite by the rules of the algebra; remove what nobody uses",
      pass_canonicalize },
    { "quantize", "round the weights of contractions and tables to a smaller format (--quant)",
      pass_quantize },
    { "channels", "leave out channels of integer networks that never change, or that nobody needs", pass_channels },
    { "specialize", "one clone of each function for each of its entries", pass_specialize },
    { "act", "activation formats: quantize in front of contractions with integer codes", pass_act },
    { "fuse", "decide which ops are computed as one stage", pass_fuse },
    { "outline", "make identical layers one function", pass_outline },
    { "pack", "give every weight a layout and a place in the weights file", pass_pack },
    { "schedule", "choose kernels, cut stages into chunks, name them", pass_schedule },
    { "memory", "give every buffer its address", pass_memory },
    { "place", "choose a memory of the board for each stage's weights (--place)", pass_place },
    { NULL, NULL, NULL },
};

static bool print_wanted(const Env *env, const char *pass)
{
    const char *w = env->opt->print_after;

    return w && (!strcmp(w, "all") || !strcmp(w, pass));
}

bool passes_run(Module *m, const Env *env, Diag *d, const char *only)
{
    bool found = false;

    for (const Pass *p = pass_table; p->name; p++) {
        ArenaMark mark;

        if (only && strcmp(only, p->name))
            continue;
        found = true;
        mark = arena_mark(env->scratch);
        if (!p->run(m, env, d))
            return false;
        arena_rewind(env->scratch, mark);
        if (!module_verify(m, d))
            bug("the Module does not verify after pass '%s'", p->name);
        if (print_wanted(env, p->name)) {
            Buf b = buf_in(m->a);

            module_print(m, &b);
            fprintf(stderr, "# after %s\n", p->name);
            fwrite(b.p, 1, b.n, stderr);
        }
    }
    if (!found) {
        const char *names[32];
        const char *near;
        int n = 0;

        for (const Pass *p = pass_table; p->name; p++)
            names[n++] = p->name;
        names[n] = NULL;
        near = str_nearest(str_of(only), names);
        return fail(d, NOWHERE, "there is no pass '%s'%s%s%s", only, near ? " (did you mean '" : "",
                    near ? near : "", near ? "'?)" : "");
    }
    return true;
}
