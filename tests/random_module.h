/* Small valid Modules at random, a pure function of the seed: for the parser, the interpreter, passes and the C writer.
 *
 * Every Module has the shape that the compiler makes of a language model: i32 token ids in, f32 logits of the last O rows out, entries
 * `decode` (T = 1) and `prefill` (T = 1..RANDOM_MAX_T), KV states.  In between are random ops on values f32[T, width].  Norms in
 * between keep the numbers near 1.  What passes do not take is left out unless asked for. */
#ifndef SN_RANDOM_MODULE_H
#define SN_RANDOM_MODULE_H

#include "ir/ir.h"

enum { RANDOM_MAX_T = 8, RANDOM_MAX_CTX = 32, RANDOM_VOCAB = 40 };
enum { RANDOM_regions = 1, RANDOM_calls = 2, RANDOM_q8 = 4, RANDOM_odd = 8, RANDOM_hostile_names = 16, RANDOM_all = 31 };

typedef struct {
    Module *m;
    Func *f;
    uint64_t state;
    int flags;
    Sym *T;
    Value *value[128];              /* f32[T, width], usable now */
    int n_value;
    Value *pos, *cs;                /* cs: f32[T, 16], where a rope may be */
    int n_weight, n_state;
} Random;

static uint64_t random_u64(Random *r)
{
    uint64_t x = r->state += UINT64_C(0x9E3779B97F4A7C15);      /* splitmix64 */

    x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
    return x ^ x >> 31;
}

static int random_below(Random *r, int n)
{
    return (int)(random_u64(r) % (uint64_t)n);
}

static int64_t random_width(const Value *v)
{
    int64_t n = 0;

    dim_is_const(type_last(v->type), &n);
    return n;
}

static const char *random_name(Random *r, const char *base)
{
    static const char *const odd[] = { "*/ #error", "%d \"q\"", "\xff\xfe", "int", "a\nb", "$(x)", "..", "0" };

    if (!(r->flags & RANDOM_hostile_names) || random_below(r, 4))
        return base;
    return str_printf(r->m->a, "%s%s", odd[random_below(r, (int)(sizeof odd / sizeof *odd))], base);
}

static Value *random_weight(Random *r, const char *kind, FormatId format, int rank, int64_t n_out, int64_t n_in)
{
    const Format *f = &format_table[format], *f32 = &format_table[FMT_f32];
    const char *name = random_name(r, str_printf(r->m->a, "w.%d.%s", r->n_weight++, kind));
    Type t = rank == 1 ? type_1(r->m, f, n_in) : type_2(r->m, f, n_out, n_in);
    WExpr *fill = wexpr_new(r->m, W_fill, t), *e = fill;

    fill->name = str_of(name);
    fill->seed = random_u64(r);
    if (random_below(r, 4) == 0) {                          /* made as f32, then rounded */
        fill->type.fmt = f32;
        e = wexpr_new(r->m, W_convert, t);
        e->a = fill;
    }
    if (rank == 2 && n_out % 16 == 0 && random_below(r, 4) == 0) {      /* its rows in another order */
        WExpr *p = wexpr_new(r->m, W_permute_rows, t);

        p->a = e;
        p->head_dim = 16;
        e = p;
    }
    return module_add_weight(r->m, name, t, e)->value;
}

static FormatId random_format(Random *r, int64_t width)
{
    static const FormatId any[] = { FMT_f32, FMT_f16, FMT_bf16, FMT_q8_0, FMT_q4_0, FMT_q4_1, FMT_q5_0, FMT_q4_K, FMT_q5_K,
                                    FMT_q6_K, FMT_tq1_0, FMT_tq2_0 };

    return any[random_below(r, width % 32 ? 3 : width % 256 ? 7 : 12)];
}

static Value *random_value(Random *r)
{
    return r->value[random_below(r, r->n_value)];
}

static Value *random_add(Random *r, Region *where, OpKind k, Value *a, Value *b, const Attr *attr, int n_attr)
{
    const char *name = random_name(r, op_info[k].name);

    return op1(where, k, name, a, b, NULL, NULL, attr, n_attr);
}

static Value *random_norm(Random *r, Region *where, Value *x)
{
    Attr eps = attr_float("eps", 1e-5);

    return random_add(r, where, OP_rmsnorm, x, random_weight(r, "norm", FMT_f32, 1, 0, random_width(x)), &eps, 1);
}

static Value *random_matmul(Random *r, Region *where, Value *x, int64_t n_out)
{
    int64_t n_in = random_width(x);
    FormatId format = random_format(r, n_in);
    Attr to = attr_str("to", format == FMT_tq1_0 || format == FMT_tq2_0 ? "q8g256" : "q8");

    /* no kernel takes quantized activations to weights that are not, or with another scale than every 256 columns to ternary ones */
    if (r->flags & RANDOM_q8 && format_table[format].kind == FORMAT_block && random_below(r, 2))
        x = random_add(r, where, OP_quant, x, NULL, &to, 1);
    return random_add(r, where, OP_matmul, x, random_weight(r, "matrix", format, 2, n_out, n_in), NULL, 0);
}

/* One op, or a few that belong together, element by element on values of one shape. */
static Value *random_map(Random *r, Region *where, Value *a, Value *b)
{
    static const OpKind two[] = { OP_add, OP_sub, OP_mul, OP_max, OP_min };
    static const OpKind one[] = { OP_neg, OP_abs, OP_tanh, OP_sigmoid, OP_silu, OP_gelu_tanh, OP_relu };
    Attr by = attr_float("by", (random_below(r, 17) - 8) / 8.0);

    switch (random_below(r, 5)) {
    case 0: case 1: return random_add(r, where, two[random_below(r, 5)], a, b, NULL, 0);
    case 2: return random_add(r, where, OP_scale, a, NULL, &by, 1);
    case 3:
        if (random_below(r, 2))
            return random_add(r, where, OP_exp, random_add(r, where, OP_tanh, a, NULL, NULL, 0), NULL, NULL, 0);
        return random_add(r, where, OP_sqrt, random_add(r, where, OP_abs, a, NULL, NULL, 0), NULL, NULL, 0);
    default: return random_add(r, where, one[random_below(r, 7)], a, NULL, NULL, 0);
    }
}

/* A value of the same width as a. */
static Value *random_like(Random *r, const Value *a)
{
    for (int tries = 0; tries < 8; tries++) {
        Value *v = random_value(r);

        if (type_eq(v->type, a->type))
            return v;
    }
    return (Value *)a;
}

static Value *random_attention(Random *r, Value *x)
{
    Region *body = r->f->body;
    int head_dim = 16 << random_below(r, 2), n_kv = 1 + random_below(r, 2), group = 1 + random_below(r, 3);
    Dim cap = dim_sym(r->m, module_find_sym(r->m, STR("C"))), kv = dim_const(r->m, head_dim * n_kv);
    Type t = type_of(&format_table[random_below(r, 2) ? FMT_f16 : FMT_f32], 2, (Dim[]){ cap, kv });
    Value *k, *v, *q, *in[4], *state[2];
    Attr rope[2] = { attr_int("head_dim", head_dim), attr_str("pairing", random_below(r, 2) ? "norm" : "neox") };
    Attr attr[5] = { attr_int("n_head", n_kv * group), attr_int("n_head_kv", n_kv), attr_float("scale", 0.25) };
    int n_attr = 3;

    if (r->flags & RANDOM_odd && random_below(r, 3) == 0)
        attr[n_attr++] = attr_int("window", 1 + random_below(r, 6));
    if (r->flags & RANDOM_odd && random_below(r, 3) == 0)
        attr[n_attr++] = attr_float("softcap", 4);
    x = random_norm(r, body, x);
    q = random_matmul(r, body, x, head_dim * n_kv * group);
    k = random_matmul(r, body, x, head_dim * n_kv);
    v = random_matmul(r, body, x, head_dim * n_kv);
    if (random_below(r, 4)) {
        q = random_add(r, body, OP_rope, q, r->cs, rope, 2);
        k = random_add(r, body, OP_rope, k, r->cs, rope, 2);
    }
    for (int i = 0; i < 2; i++) {
        const char *name = str_printf(r->m->a, "kv.%d.%c", r->n_state, "kv"[i]);

        state[i] = module_add_state(r->m, name, "kv", t)->value;
    }
    r->n_state++;
    random_add(r, body, OP_append, state[0], k, NULL, 0);
    random_add(r, body, OP_append, state[1], v, NULL, 0);
    in[0] = q, in[1] = state[0], in[2] = state[1], in[3] = r->pos;
    return op_new(body, NULL, OP_attention, random_name(r, "attention"), in, 4, attr, n_attr)->out[0];
}

/* A fused op or a loop over random maps of two values. */
static Value *random_region(Random *r, Value *a, Value *b)
{
    bool loop = random_below(r, 2);
    Op *o = op_new_raw(r->f->body, NULL, loop ? OP_loop : OP_fused, 2, 0), *yield;
    Region *inner = op_add_region(o);
    Value *pa = region_add_param(inner, "a", a->type), *pb = region_add_param(inner, "b", b->type), *y = pa;

    o->in[0] = a;
    o->in[1] = b;
    for (int i = 1 + random_below(r, 4); i > 0; i--)
        y = random_map(r, inner, y, random_below(r, 2) ? pa : pb);
    y = op1(inner, OP_tanh, "y", y, NULL, NULL, NULL, NULL, 0);
    yield = op_new_raw(inner, NULL, OP_yield, 1, 0);
    yield->in[0] = y;
    op_set_attr(o, loop ? attr_int("count", 1 + random_below(r, 3)) : attr_str("kind", "row"));
    return op_add_result(o, "region", y->type);
}

/* A call of a new function: a norm with the weight that it is given, then a map. */
static Value *random_call(Random *r, Value *a)
{
    Func *f = module_add_func(r->m, str_printf(r->m->a, "callee_%d", r->n_weight));
    Value *w = random_weight(r, "norm", FMT_f32, 1, 0, random_width(a)), *x, *pw, *y;
    Attr eps = attr_float("eps", 1e-6);
    Op *call, *ret;

    x = func_add_param(f, "x", a->type, VAL_result);
    pw = func_add_param(f, "w", w->type, VAL_weight);
    y = op1(f->body, OP_rmsnorm, "n", x, pw, NULL, NULL, &eps, 1);
    y = random_map(r, f->body, y, x);
    ret = op_new_raw(f->body, NULL, OP_return, 1, 0);
    ret->in[0] = y;
    call = op_new_raw(r->f->body, NULL, OP_call, 2, 0);
    call->callee = f;
    call->in[0] = a;
    call->in[1] = w;
    return op_add_result(call, "called", y->type);
}

/* Another width and back, or parts of a row. */
static Value *random_shape(Random *r, Value *a)
{
    Region *body = r->f->body;
    int64_t n = random_width(a), dims[3] = { -1, 2, n / 2 }, back[2] = { -1, n };
    Attr to = attr_str("to", random_below(r, 2) ? "f16" : "bf16"), reshape = attr_ints("dims", dims, 3);
    Attr slice[3] = { attr_int("axis", 1), attr_int("begin", 0), attr_int("end", 32) };

    switch (random_below(r, 3)) {
    case 0:
        a = random_add(r, body, OP_convert, a, NULL, &to, 1);
        return random_add(r, body, OP_dequant, a, NULL, NULL, 0);
    case 1:
        if (n % 2)
            return a;
        a = random_add(r, body, OP_reshape, a, NULL, &reshape, 1);
        a = random_add(r, body, OP_softmax, a, NULL, NULL, 0);
        reshape = attr_ints("dims", back, 2);
        return random_add(r, body, OP_reshape, a, NULL, &reshape, 1);
    default:
        return n > 32 ? random_add(r, body, OP_slice, a, NULL, slice, 3) : a;
    }
}

static Value *random_step(Random *r)
{
    static const int64_t widths[] = { 32, 64, 96, 256, 20 };
    Region *body = r->f->body;
    Value *a = random_value(r);

    switch (random_below(r, 12)) {
    case 0: case 1: return random_attention(r, a);
    case 2: case 3: return random_matmul(r, body, random_norm(r, body, a), widths[random_below(r, r->flags & RANDOM_odd ? 5 : 4)]);
    case 4: return random_add(r, body, OP_add, a, random_weight(r, "bias", FMT_f32, 1, 0, random_width(a)), NULL, 0);
    case 5: return random_norm(r, body, a);
    case 6: return r->flags & RANDOM_odd ? random_shape(r, a) : random_norm(r, body, a);
    case 7: return r->flags & RANDOM_regions ? random_region(r, a, random_like(r, a)) : random_map(r, body, a, a);
    case 8: return r->flags & RANDOM_calls ? random_call(r, a) : random_map(r, body, a, random_like(r, a));
    default: return random_map(r, body, a, random_like(r, a));
    }
}

static void random_entry(Random *r, const char *name, int64_t lo, int64_t hi)
{
    Entry *e = module_add_entry(r->m, name, r->f);

    entry_range(e, r->T, lo, hi);
    entry_range(e, module_find_sym(r->m, STR("O")), lo == hi ? lo : 0, hi);
}

/* A Module that verifies, in arena a.  flags: what may be in it. */
static inline Module *random_module(Arena *a, uint64_t seed, int flags)
{
    Module *m = module_new(a, "random");
    Random r = { .m = m, .state = seed * 7919 + 1, .flags = flags };
    Value *x, *ids, *table;
    Attr mscale = attr_float("mscale", 1.25);
    Op *ret;

    r.T = module_sym(m, "T", 1, RANDOM_MAX_T);
    module_sym(m, "O", 0, RANDOM_MAX_T);
    module_sym(m, "P", 0, RANDOM_MAX_CTX);
    module_sym(m, "C", 1, RANDOM_MAX_CTX);
    module_set_meta(m, "general.name", attr_str(NULL, random_name(&r, "random")));
    module_set_meta(m, "n_vocab", attr_int(NULL, RANDOM_VOCAB));
    r.f = module_add_func(m, "main");
    ids = func_add_param(r.f, "ids", type_of(&format_table[FMT_i32], 1, (Dim[]){ dim_sym(m, r.T) }), VAL_result);
    table = random_weight(&r, "embd", random_format(&r, 64), 2, RANDOM_VOCAB, 64);
    r.value[r.n_value++] = op1(r.f->body, OP_rows, "embd", table, ids, NULL, NULL, NULL, 0);
    r.pos = op_new(r.f->body, NULL, OP_positions, "pos", NULL, 0, NULL, 0)->out[0];
    r.cs = op1(r.f->body, OP_rope_angles, "cs", r.pos, random_weight(&r, "freq", FMT_f32, 1, 0, 8), NULL, NULL, &mscale,
               random_below(&r, 2));
    for (int i = 4 + random_below(&r, 12); i > 0; i--) {
        x = random_step(&r);
        if (x->op) {
            x->op->layer = random_below(&r, 3) - 1;
            x->op->from = random_below(&r, 2) ? random_name(&r, "step") : NULL;
        }
        if (random_width(x) % 16 == 0)                      /* odd widths are ends of their own */
            r.value[r.n_value++] = x;
    }
    x = random_norm(&r, r.f->body, r.value[r.n_value - 1]);
    x = op1(r.f->body, OP_last_rows, "last", x, NULL, NULL, NULL, NULL, 0);
    x = random_matmul(&r, r.f->body, x, RANDOM_VOCAB);
    ret = op_new_raw(r.f->body, NULL, OP_return, 1, 0);
    ret->in[0] = x;
    random_entry(&r, "decode", 1, 1);
    random_entry(&r, "prefill", 1, RANDOM_MAX_T);
    return m;
}

#endif
