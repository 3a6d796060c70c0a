/* If these fail, a model file that is not what it says is compiled to a program that computes
 * something else.
 *
 * (That the graph is right is tests/cli/interp.sh's business: the interpreter against recorded
 * truth.) */
#include "tests/unit/test.h"

#include <math.h>
#include <stdlib.h>

#include "compiler/arch/arch.h"

static int setup(void **state)
{
    *state = arena_new(NULL);
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    arena_free(*state);
    return 0;
}

static void assert_says(Arena *a, const Diag *d, const char *part)
{
    const char *text = str_z(a, diag_text(d));

    if (!strstr(text, part)) {
        print_error("'%s' is not in: %s\n", part, text);
        assert_true(false);
    }
}

/* What a case changes in a small sound model: two blocks, 4 heads of 8 on 2, n_embd 32, n_ff 48, 10
 * tokens, tied head. */
typedef struct {
    const char *family;             /* NULL: llama; keys are without its name */
    int n_layer;                    /* 0: 2 */
    int head_dim;                   /* 0: 8, and no key that says so */
    const char *without;            /* a tensor that is left out, or "a,b,c" */
    const char *bent;               /* a tensor whose last dimension doubles */
    const char *extra;              /* a vector of 4 that nobody needs */
    const char *norm_fmt;           /* format of vectors */
    const char *key; uint32_t v;    /* an integer key set after the others */
    const char *fkey; float f;
    const char *scaling;            /* rope.scaling.type */
    const bool *pattern;            /* attention.sliding_window_pattern, one per layer */
    const char *tensors;            /* of a block, beyond the nine: 'b'iases, of 'q'kv only, 'h'ead norms, 'p'ost norms */
    const float *rope_freqs;
    bool head;
} Case;

static const char *family_of(const Case *c) { return c->family ? c->family : "llama"; }

static bool in_list(const char *list, const char *name)
{
    for (size_t n; list && *list; list += n + (list[n] == ',')) {
        n = strcspn(list, ",");
        if (strlen(name) == n && !memcmp(list, name, n))
            return true;
    }
    return false;
}

typedef struct { GgufWriter *w; const Case *c; uint64_t total; } Maker;

static void put(Maker *k, Arena *a, const char *name, int64_t rows, int64_t cols)
{
    const Format *f = format_find(str_of(rows ? "f32" : k->c->norm_fmt ? k->c->norm_fmt : "f32"));
    int64_t dim[2] = { rows, cols };
    uint64_t bytes;

    if (in_list(k->c->without, name))
        return;
    if (in_list(k->c->bent, name))
        dim[1] *= 2;
    gguf_put_tensor(k->w, str_of(str_printf(a, "%s", name)), f, rows ? 2 : 1, rows ? dim : dim + 1);
    assert_true(format_bytes(f, (rows ? dim[0] : 1) * dim[1], &bytes));
    k->total += bytes;
}

static void put_block(Maker *k, Arena *a, int il)
{
    int hd = k->c->head_dim ? k->c->head_dim : 8;
    const struct { const char *name; int rows, cols; char kind; } row[] = {
        { "attn_norm.weight", 0, 32, 0 }, { "attn_q.weight", 4 * hd, 32, 0 }, { "attn_k.weight", 2 * hd, 32, 0 },
        { "attn_v.weight", 2 * hd, 32, 0 }, { "attn_output.weight", 32, 4 * hd, 0 }, { "ffn_norm.weight", 0, 32, 0 },
        { "ffn_gate.weight", 48, 32, 0 }, { "ffn_up.weight", 48, 32, 0 }, { "ffn_down.weight", 32, 48, 0 },
        { "attn_q.bias", 0, 4 * hd, 'q' }, { "attn_k.bias", 0, 2 * hd, 'q' }, { "attn_v.bias", 0, 2 * hd, 'q' },
        { "attn_output.bias", 0, 32, 'b' }, { "ffn_gate.bias", 0, 48, 'b' }, { "ffn_up.bias", 0, 48, 'b' },
        { "ffn_down.bias", 0, 32, 'b' }, { "attn_q_norm.weight", 0, hd, 'h' }, { "attn_k_norm.weight", 0, hd, 'h' },
        { "post_attention_norm.weight", 0, 32, 'p' }, { "post_ffw_norm.weight", 0, 32, 'p' },
    };
    const char *more = k->c->tensors ? k->c->tensors : "";

    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        if (!row[i].kind || strchr(more, row[i].kind))
            put(k, a, str_printf(a, "blk.%d.%s", il, row[i].name), row[i].rows, row[i].cols);
}

static const Model *make(Arena *a, Diag *d, const Case *c)
{
    int n_layer = c->n_layer ? c->n_layer : 2;
    const struct { const char *key; uint32_t v; } keys[] = {
        { "block_count", (uint32_t)n_layer }, { "context_length", 100 }, { "embedding_length", 32 },
        { "feed_forward_length", 48 }, { "attention.head_count", 4 }, { "attention.head_count_kv", 2 },
    };
    const char *f = family_of(c), *eps = "attention.layer_norm_rms_epsilon";
    Buf b = buf_in(a);
    Maker k = { .w = gguf_writer(a, sink_buf(&b), 32), .c = c };
    uint8_t piece[4] = { 0 };
    const Model *m;

    gguf_put_str(k.w, "general.architecture", str_of(f));
    gguf_put_str(k.w, "general.license", STR("0BSD"));
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (!c->key || strcmp(c->key, keys[i].key))
            gguf_put_u32(k.w, str_printf(a, "%s.%s", f, keys[i].key), keys[i].v);
    if (!c->fkey || strcmp(c->fkey, eps))
        gguf_put_f32(k.w, str_printf(a, "%s.%s", f, eps), 1e-5f);
    if (c->head_dim)
        gguf_put_u32(k.w, str_printf(a, "%s.attention.key_length", f), (uint32_t)c->head_dim);
    if (c->key)
        gguf_put_u32(k.w, str_printf(a, "%s.%s", f, c->key), c->v);
    if (c->fkey)
        gguf_put_f32(k.w, str_printf(a, "%s.%s", f, c->fkey), c->f);
    if (c->scaling)
        gguf_put_str(k.w, str_printf(a, "%s.rope.scaling.type", f), str_of(c->scaling));
    if (c->pattern) {
        gguf_put_u32(k.w, str_printf(a, "%s.attention.sliding_window", f), 10);
        gguf_put_bools(k.w, str_printf(a, "%s.attention.sliding_window_pattern", f), c->pattern, 2);
    }
    put(&k, a, "token_embd.weight", 10, 32);
    for (int il = 0; il < n_layer; il++)
        put_block(&k, a, il);
    put(&k, a, "output_norm.weight", 0, 32);
    if (c->head)
        put(&k, a, "output.weight", 10, 32);
    if (c->extra)
        put(&k, a, c->extra, 0, 4);
    if (c->rope_freqs)
        put(&k, a, "rope_freqs.weight", 0, 4);
    assert_true(gguf_begin_data(k.w));
    if (c->rope_freqs)                                       /* the last tensor; zeros before it */
        k.total -= 16;
    for (; k.total; k.total -= 4)
        if (!gguf_data(k.w, piece, 4))
            assert_true(false);
    if (c->rope_freqs)
        assert_true(gguf_data(k.w, c->rope_freqs, 16));
    assert_true(gguf_end(k.w));
    m = model_read(a, d, (Mapped){ "m.gguf", (const uint8_t *)b.p, b.n });
    assert_non_null(m);
    return m;
}

static Module *module_of(Arena *a, Diag *d, const Case *c, int64_t ctx)
{
    BuildOptions o = build_options_default();

    o.model = "m.gguf";
    o.ctx = ctx;
    return arch_module(a, make(a, d, c), &o, d);
}

static void rejects(Arena *a, const Case *c, const char *part)
{
    Diag *d = diag_new(a, NULL);

    assert_null(module_of(a, d, c, 0));
    assert_says(a, d, part);
}

static void a_sound_model_becomes_a_module(void **state)
{
    Arena *a = *state;
    Diag *d = diag_new(a, stderr);
    Module *m = module_of(a, d, &(Case){ 0 }, 0);

    assert_non_null(m);
    assert_true(module_verify(m, d));
    assert_int_equal(m->n_weight,
                     1 + 2 * 9 + 1 + 1); /* the head is tied; one table of frequencies */
    assert_int_equal(m->n_state, 4);
    assert_int_equal(m->n_entry, 2);
    assert_int_equal(module_find_sym(m, STR("T"))->hi, 100);  /* no more than the context */
    assert_int_equal(module_find_sym(m, STR("C"))->hi, 100);
    assert_string_equal(m->state[0]->type.fmt->name, "f16");
    assert_string_equal(module_meta_str(m, "general.license", ""), "0BSD");
    assert_int_equal(module_meta_int(m, "head_dim", 0), 8);

    m = module_of(a, d, &(Case){ .head = true, .tensors = "qb" }, 1000);
    assert_non_null(m);
    assert_true(module_verify(m, d));
    assert_int_equal(m->n_weight, 1 + 2 * 16 + 1 + 1 + 1);
    assert_int_equal(module_find_sym(m, STR("T"))->hi, 256);
    assert_int_equal(module_find_sym(m, STR("C"))->hi, 1000);
    assert_int_equal(diag_n_errors(d), 0);
    assert_says(a, d, "more than the 100 positions");
}

static void norms_in_other_formats_are_converted(void **state)
{
    Arena *a = *state;
    Diag *d = diag_new(a, stderr);
    Module *m = module_of(a, d, &(Case){ .norm_fmt = "f16" }, 0);
    Weight *w;

    assert_non_null(m);
    w = module_find_weight(m, STR("blk.1.ffn_norm.weight"));
    assert_non_null(w);
    assert_string_equal(w->type.fmt->name, "f32");
    assert_int_equal(w->expr->kind, W_convert);
    assert_int_equal(w->expr->a->kind, W_view);
}

static void all_that_is_wrong_is_reported(void **state)
{
    Arena *a = *state;
    Diag *d = diag_new(a, NULL);
    Case c = { .without = "blk.0.attn_k.weight,blk.1.ffn_up.weight,output_norm.weight",
               .bent = "blk.1.attn_q.weight" };

    assert_null(module_of(a, d, &c, 0));
    assert_int_equal(diag_n_errors(d), 4);
    assert_says(a, d, "tensor 'blk.0.attn_k.weight': is missing; its shape would be [16, 32]");
    assert_says(a, d, "tensor 'blk.1.ffn_up.weight': is missing; its shape would be [48, 32]");
    assert_says(a, d, "tensor 'output_norm.weight': is missing");
    assert_says(a, d, "its shape is [32, 64], but the hyperparameters ask for [32, 32]");
    rejects(a, &(Case){ .extra = "blk.0.attn_q_norm.weight" }, "this family has no such tensor");
    rejects(a, &(Case){ .without = "token_embd.weight" }, "tensor 'token_embd.weight': is missing");
}

static void impossible_numbers_are_rejected(void **state)
{
    Arena *a = *state;

    rejects(a, &(Case){ .key = "block_count", .v = 0 }, "0 is not possible");
    rejects(a, &(Case){ .key = "block_count", .v = 4000000000u }, "is not possible");
    rejects(a, &(Case){ .key = "block_count", .v = 4000 },
            "tensor 'blk.2.attn_norm.weight': is missing");
    rejects(a, &(Case){ .key = "block_count", .v = 1 }, "this family has no such tensor");
    rejects(a, &(Case){ .key = "attention.head_count", .v = 0 }, "0 is not possible");
    rejects(a, &(Case){ .key = "attention.head_count_kv", .v = 3 },
            "4 query heads cannot share 3 KV heads");
    rejects(a, &(Case){ .key = "attention.key_length", .v = 0 }, "0 is not possible");
    rejects(a, &(Case){ .key = "attention.key_length", .v = 16 },
            "hyperparameters ask for [64, 32]");
    rejects(a, &(Case){ .key = "attention.value_length", .v = 16 },
            "values of another length than the keys");
    rejects(a, &(Case){ .key = "rope.dimension_count", .v = 7 },
            "cannot be rotated in pairs");
    rejects(a, &(Case){ .key = "rope.dimension_count", .v = 10 },
            "cannot be rotated in pairs");
    rejects(a, &(Case){ .key = "expert_count", .v = 8 }, "mixtures of experts");
    rejects(a, &(Case){ .key = "attention.sliding_window", .v = 3000000000u },
            "is not a length of a window");
    rejects(a, &(Case){ .fkey = "attn_logit_softcapping", .f = 50 }, "capped scores");
    rejects(a, &(Case){ .key = "context_length", .v = 0 }, "0 is not possible");
    rejects(a, &(Case){ .fkey = "attention.layer_norm_rms_epsilon", .f = NAN },
            "must be between 0 and 1");
    rejects(a, &(Case){ .fkey = "rope.freq_base", .f = -1 }, "must be a number over 1");
    rejects(a, &(Case){ .fkey = "rope.scaling.factor", .f = INFINITY },
            "must be a number over 0");
    rejects(a, &(Case){ .scaling = "longrope" }, "'longrope' is not a kind of scaling");
    rejects(a, &(Case){ .scaling = "yarn", .fkey = "rope.scaling.factor", .f = 0.5f },
            "yarn needs factor >= 1");
    rejects(a, &(Case){ .rope_freqs = (const float[]){ 1, 2, 0, 4 } },
            "divisor 2 is not a number over 0");
}

/* ---- families ---------------------------------------------------------------------------------------------------------- */

/* The op of that name, which must be there. */
static const Op *op_of(const Module *m, const char *name)
{
    for (const Op *o = m->first_func->body->first; o; o = o->next)
        if (o->n_out && !strcmp(o->out[0]->name, name))
            return o;
    print_error("no op makes '%s'\n", name);
    assert_true(false);
    return NULL;
}

static int n_ops(const Module *m, OpKind k)
{
    int n = 0;

    for (const Op *o = m->first_func->body->first; o; o = o->next)
        n += o->kind == k;
    return n;
}

static Module *family_module(Arena *a, const Case *c, int64_t ctx)
{
    Diag *d = diag_new(a, stderr);
    Module *m = module_of(a, d, c, ctx);

    assert_non_null(m);
    assert_true(module_verify(m, d));
    assert_int_equal(diag_n_errors(d), 0);
    return m;
}

static void families_ask_for_their_tensors(void **state)
{
    Arena *a = *state;
    Module *m = family_module(a, &(Case){ .family = "qwen2", .tensors = "q" }, 0);

    assert_string_equal(op_str(op_of(m, "blk.1.attn_k_rope"), "pairing", ""), "neox");
    assert_string_equal(op_of(m, "blk.1.attn_k_bias")->from, "attn_k_bias");
    assert_int_equal(op_of(m, "blk.1.attn_k_bias")->layer, 1);
    family_module(a, &(Case){ .family = "qwen2" }, 0);       /* a few files have no biases at all */
    rejects(a, &(Case){ .family = "qwen2", .tensors = "q", .without = "blk.1.attn_v.bias" },
            "tensor 'blk.1.attn_v.bias': is missing; its shape would be [16]");
    rejects(a, &(Case){ .family = "qwen2", .tensors = "qb" }, "this family has no such tensor");

    m = family_module(a, &(Case){ .family = "qwen3", .tensors = "h" }, 0);
    assert_int_equal(dim_hi(type_last(op_of(m, "blk.0.attn_q_norm")->out[0]->type)), 8);
    assert_int_equal(n_ops(m, OP_rmsnorm), 2 * 4 + 1);
    rejects(a, &(Case){ .family = "qwen3" }, "tensor 'blk.1.attn_k_norm.weight': is missing");
    rejects(a, &(Case){ .family = "qwen3", .tensors = "hq" }, "this family has no such tensor");

    m = family_module(a, &(Case){ .family = "gemma3", .tensors = "hp" }, 0);
    assert_int_equal(n_ops(m, OP_rmsnorm), 2 * 6 + 1);
    assert_int_equal(n_ops(m, OP_gelu_tanh), 2);
    assert_true((float)op_float(op_of(m, "embd_scaled"), "by", 0) == sqrtf(32));
    rejects(a, &(Case){ .family = "gemma3", .tensors = "h" },
            "tensor 'blk.0.post_ffw_norm.weight': is missing");
}

static int64_t window_of(const Module *m, int il)
{
    char name[40];

    snprintf(name, sizeof name, "blk.%d.attn", il);
    return op_int(op_of(m, name), "window", 0);
}

static void windows_are_where_the_file_says(void **state)
{
    Arena *a = *state;
    Case c = { .family = "gemma3", .tensors = "hp", .n_layer = 13, .key = "attention.sliding_window", .v = 10 };
    Module *m = family_module(a, &c, 0);

    for (int il = 0; il < 13; il++) {
        char rope[40];

        snprintf(rope, sizeof rope, "blk.%d.attn_q_rope", il);
        assert_int_equal(window_of(m, il), il % 6 == 5 ? 0 : 10);
        assert_string_equal(op_of(m, rope)->in[1]->name, il % 6 == 5 ? "rope_cs" : "rope_cs_local");
    }
    m = family_module(a, &c, 10);                            /* no longer than the window */
    assert_int_equal(window_of(m, 0), 0);
    assert_string_equal(op_of(m, "blk.0.attn_q_rope")->in[1]->name, "rope_cs_local");
    m = family_module(a, &(Case){ .family = "gemma3", .tensors = "hp", .n_layer = 7 }, 0);
    assert_int_equal(window_of(m, 0), 0);                    /* without the key there are no windows */
    assert_string_equal(op_of(m, "blk.0.attn_q_rope")->in[1]->name, "rope_cs");
    m = family_module(
        a, &(Case){ .family = "gemma3", .tensors = "hp", .pattern = (const bool[]){ false, true } }, 0);
    assert_int_equal(window_of(m, 0), 0);
    assert_int_equal(window_of(m, 1), 10);
    m = family_module(a, &(Case){ .key = "attention.sliding_window", .v = 10 }, 0);
    assert_int_equal(window_of(m, 0), 10);                   /* llama: Mistral's, in all layers */
    assert_int_equal(window_of(m, 1), 10);

    rejects(a, &(Case){ .family = "gemma3", .tensors = "hp", .n_layer = 3, .pattern = (const bool[]){ false, true } },
            "or a flag for each of the 3 layers");
    rejects(a, &(Case){ .family = "gemma3", .tensors = "hp", .fkey = "rope.freq_base_swa", .f = 0 },
            "the base must be a number over 1");
    rejects(a, &(Case){ .family = "gemma3", .tensors = "hp", .fkey = "final_logit_softcapping", .f = -1 },
            "-1 is not a bound for logits");
    rejects(a, &(Case){ .family = "gemma3", .tensors = "hp", .fkey = "final_logit_softcapping", .f = 1e-40f },
            "is not a bound for logits");
    rejects(a, &(Case){ .family = "gemma3", .tensors = "hp", .key = "attention.key_length_swa", .v = 16 },
            "heads of several lengths");
}

static bool scale_is(Arena *a, const Case *c, double want)
{
    const Module *m = family_module(a, c, 0);

    return fabs(op_float(op_of(m, "blk.1.attn"), "scale", 0) - want) < 1e-7;
}

/* The largest Gemma 3 divides scores by another root than the others; only its number of layers says so. */
static void scores_are_scaled_as_the_model_was_trained(void **state)
{
    Arena *a = *state;
    Case c = { .head_dim = 16 };                             /* of 4 heads; n_embd 32 */

    assert_true(scale_is(a, &c, 1 / sqrt(16)));
    c = (Case){ .head_dim = 16, .family = "gemma3", .tensors = "hp", .n_layer = 61 };
    assert_true(scale_is(a, &c, 1 / sqrt(16)));
    c.n_layer = 62;
    assert_true(scale_is(a, &c, 1 / sqrt(32 / 4)));
    c.fkey = "attention.scale";
    c.f = 0.5f;
    assert_true(scale_is(a, &c, 0.5));
}

static void unknown_families_are_named(void **state)
{
    Arena *a = *state;

    rejects(a, &(Case){ .family = "gemma2" },
            "'gemma2' is not a model family that this version knows; did you mean 'gemma3'? (it knows: "
            "llama, qwen2, qwen3, gemma3, pocket)");
    rejects(a, &(Case){ .family = "rwkv7-hybrid-base" }, "knows (it knows: llama");
}

/* ---- frequencies -------------------------------------------------------------------------------------------------------- */

static void logarithm_and_exponential_are_exact(void **state)
{
    (void)state;
    for (double x = 1e-3; x < 1e8; x *= 1.37) {
        assert_true(fabs(rope_log(x) - log(x)) <= 4e-16 * fmax(1, fabs(log(x))));
        assert_true(fabs(rope_exp(log(x)) / exp(log(x)) - 1) <= 1e-15);
    }
    assert_true(rope_log(1) == 0 && rope_exp(0) == 1);
    assert_true(rope_exp(-1e4) == 0 && isinf(rope_exp(1e4)));
}

static void frequencies_follow_their_formulas(void **state)
{
    RopeScaling s = { .kind = ROPE_none,
                      .n_rot = 16,
                      .theta = 10000,
                      .factor = 4,
                      .n_ctx_orig = 1024,
                      .attn_factor = 1,
                      .ext_factor = 1,
                      .beta_fast = 32,
                      .beta_slow = 1 };
    float plain[8], x[8], divisor[8] = { 1, 2, 4, 8, 1, 1, 1, 1 };
    double mscale;

    (void)state;
    rope_frequencies(&s, NULL, plain, &mscale);
    assert_true(mscale == 1);
    for (int i = 0; i < 8; i++)
        assert_true(plain[i] == (float)pow(10000, -2.0 * i / 16));
    rope_frequencies(&s, divisor, x, &mscale);
    for (int i = 0; i < 8; i++)
        assert_true(x[i] == (float)(pow(10000, -2.0 * i / 16) / (double)divisor[i]));
    s.kind = ROPE_linear;
    rope_frequencies(&s, NULL, x, &mscale);
    for (int i = 0; i < 8; i++)
        assert_true(fabsf(x[i] / plain[i] - 0.25f) < 1e-7f && mscale == 1);
    s.kind = ROPE_yarn; /* fast pairs are kept, slow ones divided */
    rope_frequencies(&s, NULL, x, &mscale);
    assert_true(fabs(mscale - (1 + 0.1 * log(4))) < 1e-15);
    assert_true(x[0] == plain[0] && fabsf(x[7] / plain[7] - 0.25f) < 1e-7f);
    for (int i = 1; i < 8; i++)
        assert_true(x[i] / plain[i] <= x[i - 1] / plain[i - 1] + 1e-6f);
}

static void divisors_in_the_file_are_used(void **state)
{
    Arena *a = *state;
    Diag *d = diag_new(a, stderr);
    Module *m = module_of(a, d, &(Case){ .rope_freqs = (const float[]){ 1, 2, 4, 8 } }, 0);
    Weight *w;

    assert_non_null(m);
    assert_null(module_find_weight(m, STR("rope_freqs.weight")));
    w = module_find_weight(m, STR("rope_freq"));
    assert_non_null(w);
    assert_true(w->expr->value[0] == 1.0f && w->expr->value[1] == (float)(pow(10000, -0.25) / 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_sound_model_becomes_a_module, setup, teardown),
        cmocka_unit_test_setup_teardown(norms_in_other_formats_are_converted, setup, teardown),
        cmocka_unit_test_setup_teardown(all_that_is_wrong_is_reported, setup, teardown),
        cmocka_unit_test_setup_teardown(impossible_numbers_are_rejected, setup, teardown),
        cmocka_unit_test_setup_teardown(families_ask_for_their_tensors, setup, teardown),
        cmocka_unit_test_setup_teardown(windows_are_where_the_file_says, setup, teardown),
        cmocka_unit_test_setup_teardown(scores_are_scaled_as_the_model_was_trained, setup, teardown),
        cmocka_unit_test_setup_teardown(unknown_families_are_named, setup, teardown),
        cmocka_unit_test_setup_teardown(logarithm_and_exponential_are_exact, setup, teardown),
        cmocka_unit_test_setup_teardown(frequencies_follow_their_formulas, setup, teardown),
        cmocka_unit_test_setup_teardown(divisors_in_the_file_are_used, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
