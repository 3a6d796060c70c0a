/* What the emitted NAME_selftest compares with: the outputs that the interpreter computes for a pseudo-random input, as a section of
 * NAME.weights.  The input is made again by the emitted code (codegen/net_project.c), number by number from s = 1664525 s + 1013904223, s = 1 before
 * the first: integers are its high bits, floats are in [-1, 1), 32-bit integers 0. */
#include "codegen/net_layer.h"
#include "compiler/passes/net.h"

static void fill(Tensor *t, Type type, uint32_t *s)
{
    for (int64_t i = 0; i < t->n; i++) {
        *s = *s * 1664525u + 1013904223u;
        switch (format_id(type.fmt)) {
        case FMT_f32: t->f[i] = (float)((int32_t)(*s >> 8) - 8388608) / 8388608.0f; break;
        case FMT_u8: t->i[i] = (int32_t)(*s >> 24); break;
        case FMT_i16: t->i[i] = (int32_t)(*s >> 16) - 32768; break;
        case FMT_i8: t->i[i] = (int32_t)(*s >> 24) - 128; break;
        default: t->i[i] = 0;
        }
    }
}

static Tensor tensor_of(Arena *a, Type t)
{
    Tensor x = { .type = t, .n = type_n(t) };

    if (t.fmt->kind == FORMAT_int)
        x.i = ARENA_ARRAY(a, int32_t, x.n + 1);
    else
        x.f = ARENA_ARRAY(a, float, x.n + 1);
    return x;
}

static bool can_record(const Module *m, const Region *r)
{
    for (int i = 0; i < m->n_weight; i++)
        if (!net_at_hand(m, m->weight[i]))
            return false;
    for (int i = 0; i < r->n_param + r->last->n_in; i++) {
        const Format *f = (i < r->n_param ? r->param[i] : r->last->in[i - r->n_param])->type.fmt;

        if (f->kind != FORMAT_int && format_id(f) != FMT_f32)
            return false;
    }
    return true;
}

bool net_selftest(Module *m, const Env *env, Diag *d)
{
    const Region *r = m->entry[0].func->body;
    Tensor *x = ARENA_ARRAY(env->scratch, Tensor, r->n_param + 1), *y = ARENA_ARRAY(env->scratch, Tensor, r->last->n_in + 1);
    Buf bytes = buf_in(m->a);
    uint32_t s = 1;
    Interp *ip;
    bool ok;

    if (!can_record(m, r))
        return true;
    for (int i = 0; i < r->n_param; i++) {
        x[i] = tensor_of(env->scratch, r->param[i]->type);
        fill(&x[i], r->param[i]->type, &s);
    }
    ip = interp_new(m, d, 0);
    ok = ip && interp_run(ip, &m->entry[0], NULL, x, r->n_param, y, r->last->n_in);
    for (int i = 0; ok && i < r->last->n_in; i++) {
        const Format *f = r->last->in[i]->type.fmt;

        for (int64_t k = 0; k < y[i].n; k++) {
            uint8_t p[8] = { 0 };

            if (f->kind == FORMAT_float)
                f->encode(p, &y[i].f[k], 1);
            for (int q = 0; f->kind == FORMAT_int && q < f->bytes; q++)
                p[q] = (uint8_t)((uint32_t)y[i].i[k] >> 8 * q);
            buf_put(&bytes, p, (size_t)f->bytes);
        }
    }
    if (ip)
        interp_free(ip);
    if (ok)
        module_add_blob(m, "selftest", bytes.p, bytes.n);
    return ok;
}
