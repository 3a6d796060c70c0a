/* IR text under libFuzzer: any bytes give a Module that prints and parses back to itself, or messages; a Module that runs in little
 * memory also goes through the interpreter. */
#include <stdlib.h>

#include "ir/ir.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "fuzz_ir: %s\n", what);
        abort();
    }
}

static Str print(Module *m)
{
    Buf b = buf_in(m->a);

    module_print(m, &b);
    return buf_str(&b);
}

/* Small enough to be computed at T = 2 in well under a second. */
static bool is_small(const Module *m)
{
    uint64_t work = 0;

    for (int i = 0; i < m->n_sym; i++)
        if (m->sym[i]->hi > 1024)
            return false;
    for (int i = 0; i < m->n_weight; i++)
        if (type_n(m->weight[i]->type) > 1 << 14)
            return false;
    for (int i = 0; i < m->n_state; i++)
        if (type_n(m->state[i]->type) > 1 << 14)
            return false;
    for (const Func *f = m->first_func; f; f = f->next)
        for (Op *o = f->body->first; o; o = op_walk(o, f->body)) {
            if (o->kind == OP_loop || o->kind == OP_scan || o->kind == OP_call)   /* these multiply work */
                return false;
            for (int i = 0; i < o->n_out; i++)
                work += (uint64_t)type_n(o->out[i]->type);
            if (work > 1 << 16)
                return false;
        }
    for (int i = 0; i < m->n_entry; i++)
        for (int k = 0; k < m->entry[i].func->body->n_param; k++)
            if (type_n(m->entry[i].func->body->param[k]->type) > 1 << 14)
                return false;
    return true;
}

static void run(Module *m, Diag *d)
{
    Interp *ip = interp_new(m, d, 4);

    for (int i = 0; ip && i < m->n_entry && i < 2; i++) {
        const Region *body = m->entry[i].func->body;
        int64_t *val = ARENA_ARRAY(m->a, int64_t, m->n_sym + 1);
        Tensor *in = ARENA_ARRAY(m->a, Tensor, body->n_param + 1), *out = ARENA_ARRAY(m->a, Tensor, body->last->n_in + 1);

        for (int k = 0; k < m->n_sym; k++)
            val[k] = m->sym[k]->lo > 2 ? m->sym[k]->lo : m->sym[k]->hi < 2 ? m->sym[k]->hi : 2;
        for (int k = 0; k < m->entry[i].n_range; k++) {
            const SymRange *r = &m->entry[i].range[k];

            val[r->sym->index] = r->hi < 2 ? r->hi : r->lo > 2 ? r->lo : 2;
        }
        for (int k = 0; k < body->n_param; k++) {
            Type t = body->param[k]->type;

            in[k].n = 1;
            for (int q = 0; q < t.rank; q++)
                in[k].n *= dim_eval(t.dim[q], val);
            in[k].f = ARENA_ARRAY(m->a, float, type_n(t) + in[k].n + 1);
            in[k].i = t.fmt->kind == FORMAT_int ? ARENA_ARRAY(m->a, int32_t, type_n(t) + in[k].n + 1) : NULL;
        }
        interp_run(ip, &m->entry[i], val, in, body->n_param, out, body->last->n_in);
    }
    interp_free(ip);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    Arena *a = arena_new(NULL);
    Diag *d = diag_new(a, NULL);
    Module *m = module_parse(a, d, "fuzz", (Str){ (const char *)data, n });

    check((m == NULL) == (diag_n_errors(d) > 0), "a Module and an error, or neither");
    if (m) {
        Str once = print(m);
        Module *again = module_parse(a, d, "printed", once);

        check(again != NULL, "the printed Module does not parse");
        check(str_eq(once, print(again)), "the printed Module parses to another one");
        if (is_small(m))
            run(m, d);
    }
    arena_free(a);
    return 0;
}
