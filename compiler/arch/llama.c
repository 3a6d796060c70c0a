/* The llama family: Llama 1 to 3, Mistral, SmolLM and all that have the same graph.
 *
 *     x = rows(token_embd, ids)
 *     for each block:
 *         n = rmsnorm(x);   q, k, v = n Wq, n Wk, n Wv (+ bias);   q, k = rope(q), rope(k)
 *         append k, v to the cache;   x = x + attention(q, cache) Wo (+ bias)
 *         n = rmsnorm(x);   x = x + (silu(n Wgate) * (n Wup)) Wdown (+ biases)
 *     logits = rmsnorm(last rows of x) Whead                  [Touvron et al. 2023, arXiv:2302.13971]
 *
 * The head is token_embd where output.weight is absent (tied).  GGUF holds the rows of Wq and Wk in
 * the order in which RoPE rotates neighbours (pairing "norm"): llama.cpp's converter has permuted
 * them. */
#include "compiler/arch/arch.h"

#include <math.h>

typedef struct {
    uint32_t n_layer, n_embd, n_ctx;
    uint32_t *n_head, *n_head_kv, *n_ff; /* per layer; n_head_kv 0 is not this family's */
    uint32_t head_dim;
    int64_t n_vocab;
    float eps, attn_scale;
    RopeScaling rope;
} Hyper;

typedef struct {
    Weight *attn_norm, *q, *k, *v, *o, *q_bias, *k_bias, *v_bias, *o_bias;
    Weight *ffn_norm, *gate, *up, *down, *gate_bias, *up_bias, *down_bias;
    State *k_cache, *v_cache;
} Block;

/* ---- hyperparameters -------------------------------------------------------------------------------------------------- */

static bool positive(const Model *model, Diag *d, const char *key, uint32_t v, uint32_t most)
{
    if (v >= 1 && v <= most)
        return true;
    return fail(d, model_at_key(model, str_of(key)),
                "%" PRIu32 " is not possible (1 to %" PRIu32 " is)", v, most);
}

static bool read_rope(Arena *a, const Model *model, Diag *d, Hyper *h)
{
    RopeScaling *r = &h->rope;
    uint32_t n_rot = h->head_dim, n_ctx_orig = h->n_ctx;
    float theta = 10000, factor = 0, scale = 0, ext = 1, fast = 32, slow = 1, attn = 0, total = 0;
    Str type = STR("linear");
    bool yarn;

    if (!model_u32(model, d, "llama.rope.dimension_count", &n_rot, false) ||
        !model_f32(model, d, "llama.rope.freq_base", &theta, false) ||
        !model_str(model, d, "llama.rope.scaling.type", &type, false) ||
        !model_f32(model, d, "llama.rope.scale_linear", &scale, false) ||
        !model_f32(model, d, "llama.rope.scaling.factor", &factor, false) ||
        !model_u32(model, d, "llama.rope.scaling.original_context_length", &n_ctx_orig, false) ||
        !model_f32(model, d, "llama.rope.scaling.attn_factor", &attn, false) ||
        !model_f32(model, d, "llama.rope.scaling.yarn_attn_factor", &total, false) ||
        !model_f32(model, d, "llama.rope.scaling.yarn_ext_factor", &ext, false) ||
        !model_f32(model, d, "llama.rope.scaling.yarn_beta_fast", &fast, false) ||
        !model_f32(model, d, "llama.rope.scaling.yarn_beta_slow", &slow, false))
        return false;
    if (n_rot < 2 || n_rot % 2 || n_rot > h->head_dim)
        return fail(d, model_at_key(model, STR("llama.rope.dimension_count")),
                    "%" PRIu32 " of %" PRIu32 " dimensions cannot be rotated in pairs", n_rot,
                    h->head_dim);
    if (!(theta > 1) || !isfinite(theta))
        return fail(d, model_at_key(model, STR("llama.rope.freq_base")),
                    "the base must be a number over 1");
    if (factor == 0)
        factor = scale;                                      /* the key's name before 2023-11 */
    if (factor == 0 || str_is(type, "none"))
        factor = 1;
    yarn = str_is(type, "yarn");
    if (!yarn && !str_is(type, "linear") && !str_is(type, "none"))
        return fail(d, model_at_key(model, STR("llama.rope.scaling.type")),
                    "'%s' is not a kind of scaling that this version knows (none, linear, yarn; "
                    "llama3 comes as the tensor "
                    "rope_freqs.weight)",
                    str_show(a, type, 40));
    if (!(factor > 0) || !isfinite(factor))
        return fail(d, model_at_key(model, STR("llama.rope.scaling.factor")),
                    "the factor must be a number over 0");
    *r = (RopeScaling){ .kind = yarn          ? ROPE_yarn
                                : factor != 1 ? ROPE_linear
                                              : ROPE_none,
                        .n_rot = (int)n_rot,
                        .theta = (double)theta,
                        .factor = (double)factor,
                        .n_ctx_orig = n_ctx_orig,
                        .attn_factor = 1,
                        .ext_factor = (double)ext,
                        .beta_fast = (double)fast,
                        .beta_slow = (double)slow };
    if (!yarn)
        return true;
    if (!(factor >= 1) || n_ctx_orig < 1 || !(slow > 0) || !(fast >= slow) || !(ext >= 0) ||
        !isfinite(fast) || !isfinite(ext) || !(attn >= 0) || !isfinite(attn) || !(total >= 0) ||
        !isfinite(total))
        return fail(d, model_at_key(model, STR("llama.rope.scaling.type")),
                    "yarn needs factor >= 1, an original context, and beta_fast >= beta_slow > 0");
    /* Two keys for one number: attn_factor multiplies 1 + 0.1 ln factor, yarn_attn_factor stands in
     * its place. */
    if (attn > 0)
        r->attn_factor = (double)attn;
    else if (total > 0)
        r->attn_factor = (double)total / (1 + 0.1 * rope_log(r->factor));
    return true;
}

/* What llama-shaped files may also say and this version does not compute. */
static bool read_unsupported(const Model *model, Diag *d, const Hyper *h)
{
    uint32_t n_expert = 0, window = 0;

    if (!model_u32(model, d, "llama.expert_count", &n_expert, false) ||
        !model_u32(model, d, "llama.attention.sliding_window", &window, false))
        return false;
    if (n_expert)
        return fail(d, model_at_key(model, STR("llama.expert_count")),
                    "mixtures of experts are not there yet in this version");
    if (window && window < h->n_ctx)                         /* a longer window cuts nothing off */
        return fail(d, model_at_key(model, STR("llama.attention.sliding_window")),
                    "attention with a window is not there yet in this version");
    return true;
}

static bool read_hyper(Arena *a, const Model *model, Diag *d, Hyper *h)
{
    const ModelTensor *embd = model_tensor(model, "token_embd.weight");
    uint32_t value_length, n;

    if (!model_u32(model, d, "llama.block_count", &h->n_layer, true) ||
        !model_u32(model, d, "llama.embedding_length", &h->n_embd, true) ||
        !model_u32(model, d, "llama.context_length", &h->n_ctx, true) ||
        !model_f32(model, d, "llama.attention.layer_norm_rms_epsilon", &h->eps, true) ||
        !positive(model, d, "llama.block_count", h->n_layer, 4096) ||
        !positive(model, d, "llama.embedding_length", h->n_embd, 1 << 20) ||
        !positive(model, d, "llama.context_length", h->n_ctx, INT32_MAX) ||
        !read_unsupported(model, d, h))
        return false;
    if (!(h->eps > 0 && h->eps < 1))
        return fail(d, model_at_key(model, STR("llama.attention.layer_norm_rms_epsilon")),
                    "must be between 0 and 1");
    h->n_head = ARENA_ARRAY(a, uint32_t, h->n_layer);
    h->n_head_kv = ARENA_ARRAY(a, uint32_t, h->n_layer);
    h->n_ff = ARENA_ARRAY(a, uint32_t, h->n_layer);
    if (!model_u32_layers(model, d, "llama.attention.head_count", h->n_head, h->n_layer, true))
        return false;
    memcpy(h->n_head_kv, h->n_head, h->n_layer * sizeof *h->n_head);
    if (!model_u32_layers(model, d, "llama.attention.head_count_kv", h->n_head_kv, h->n_layer,
                          false) ||
        !model_u32_layers(model, d, "llama.feed_forward_length", h->n_ff, h->n_layer, true))
        return false;
    for (uint32_t i = 0; i < h->n_layer; i++) {
        if (!positive(model, d, "llama.attention.head_count", h->n_head[i], 1 << 16) ||
            !positive(model, d, "llama.attention.head_count_kv", h->n_head_kv[i], 1 << 16) ||
            !positive(model, d, "llama.feed_forward_length", h->n_ff[i], 1 << 24))
            return false;
        if (h->n_head[i] % h->n_head_kv[i])
            return fail(d, model_at_key(model, STR("llama.attention.head_count_kv")),
                        "block %" PRIu32 ": %" PRIu32 " query heads cannot share %" PRIu32
                        " KV heads evenly",
                        i, h->n_head[i], h->n_head_kv[i]);
    }
    n = h->n_embd / h->n_head[0];
    h->head_dim = n;
    if (!model_u32(model, d, "llama.attention.key_length", &h->head_dim, false) ||
        !positive(model, d, "llama.attention.key_length", h->head_dim, 1 << 14))
        return false;
    value_length = h->head_dim;
    if (!model_u32(model, d, "llama.attention.value_length", &value_length, false))
        return false;
    if (value_length != h->head_dim)
        return fail(d, model_at_key(model, STR("llama.attention.value_length")),
                    "%" PRIu32 " is not the keys' length %" PRIu32
                    " (not there yet in this version)",
                    value_length, h->head_dim);
    h->attn_scale = 0;
    if (!model_f32(model, d, "llama.attention.scale", &h->attn_scale, false))
        return false;
    if (h->attn_scale < 0 || !isfinite(h->attn_scale))
        return fail(d, model_at_key(model, STR("llama.attention.scale")),
                    "must be a number over 0");
    h->n_vocab = embd && embd->rank == 2 ? embd->dim[0] : -1;
    if (h->n_vocab > INT32_MAX)
        return fail(d, model_at_tensor(model, embd->name), "has too many rows for a vocabulary");
    return read_rope(a, model, d, h);
}

/* ---- weights ---------------------------------------------------------------------------------------------------------- */

static Weight *block_matrix(Finder *f, uint32_t il, const char *what, int64_t n_out, int64_t n_in)
{
    return find_matrix(f, str_printf(f->m->a, "blk.%" PRIu32 ".%s.weight", il, what), n_out, n_in);
}

static Weight *block_vector(Finder *f, uint32_t il, const char *what, const char *kind, int64_t n)
{
    return find_vector(f, str_printf(f->m->a, "blk.%" PRIu32 ".%s.%s", il, what, kind), n,
                       !strcmp(kind, "weight"));
}

static void find_block(Finder *f, const Hyper *h, uint32_t il, Block *b)
{
    int64_t n_q = (int64_t)h->n_head[il] * h->head_dim,
            n_kv = (int64_t)h->n_head_kv[il] * h->head_dim;
    int64_t n_embd = h->n_embd, n_ff = h->n_ff[il];

    b->attn_norm = block_vector(f, il, "attn_norm", "weight", n_embd);
    b->q = block_matrix(f, il, "attn_q", n_q, n_embd);
    b->q_bias = block_vector(f, il, "attn_q", "bias", n_q);
    b->k = block_matrix(f, il, "attn_k", n_kv, n_embd);
    b->k_bias = block_vector(f, il, "attn_k", "bias", n_kv);
    b->v = block_matrix(f, il, "attn_v", n_kv, n_embd);
    b->v_bias = block_vector(f, il, "attn_v", "bias", n_kv);
    b->o = block_matrix(f, il, "attn_output", n_embd, n_q);
    b->o_bias = block_vector(f, il, "attn_output", "bias", n_embd);
    b->ffn_norm = block_vector(f, il, "ffn_norm", "weight", n_embd);
    b->gate = block_matrix(f, il, "ffn_gate", n_ff, n_embd);
    b->gate_bias = block_vector(f, il, "ffn_gate", "bias", n_ff);
    b->up = block_matrix(f, il, "ffn_up", n_ff, n_embd);
    b->up_bias = block_vector(f, il, "ffn_up", "bias", n_ff);
    b->down = block_matrix(f, il, "ffn_down", n_embd, n_ff);
    b->down_bias = block_vector(f, il, "ffn_down", "bias", n_embd);
    /* A buffer that old converters left in the file; the frequencies are computed. */
    find_ignore(f, str_printf(f->m->a, "blk.%" PRIu32 ".attn_rot_embd.weight", il));
}

/* The table of frequencies as a weight of the Module. */
static bool add_rope(Finder *f, const Hyper *h, Weight **out, double *mscale)
{
    int n = h->rope.n_rot / 2;
    float *div = NULL, *freq = ARENA_ARRAY(f->m->a, float, n);
    const ModelTensor *t = model_tensor(f->model, "rope_freqs.weight");
    WExpr *e;

    if (t) {
        if (!(t = find_tensor(f, "rope_freqs.weight", 1, (int64_t[]){ n })))
            return false;
        div = ARENA_ARRAY(f->m->a, float, n);
        t->fmt->decode(div, t->p, n);
        for (int i = 0; i < n; i++)
            if (!(div[i] > 0) || !isfinite(div[i]))
                return fail(f->d, model_at_tensor(f->model, t->name),
                            "divisor %d is not a number over 0", i);
    }
    rope_frequencies(&h->rope, div, freq, mscale);
    e = wexpr_new(f->m, W_const, type_1(f->m, format_find(STR("f32")), n));
    e->value = freq;
    *out = module_add_weight(f->m, "rope_freq", e->type, e);
    return true;
}

/* ---- the graph -------------------------------------------------------------------------------------------------------- */

/* Ops that are appended to one function, marked with their layer and the model's name for them. */
typedef struct { Module *m; Region *r; int il; } Graph;

static Value *put(Graph *g, OpKind k, const char *name, Value *a, Value *b, const Attr *attr,
                  int n_attr)
{
    Value *in[2] = { a, b };
    const char *full = g->il >= 0 ? str_printf(g->m->a, "blk.%d.%s", g->il, name) : name;
    Op *o = op_new(g->r, NULL, k, full, in, b ? 2 : a ? 1 : 0, attr, n_attr);

    o->layer = g->il;
    o->from = name;
    return o->n_out ? o->out[0] : NULL;
}

/* y = x W (+ bias) */
static Value *linear(Graph *g, const char *name, Value *x, const Weight *w, const Weight *bias)
{
    Value *y = put(g, OP_matmul, name, x, w->value, NULL, 0);

    return bias ? put(g, OP_add, str_printf(g->m->a, "%s_bias", name), y, bias->value, NULL, 0) : y;
}

static Value *norm(Graph *g, const char *name, Value *x, const Weight *w, float eps)
{
    Attr e = attr_float("eps", (double)eps);

    return put(g, OP_rmsnorm, name, x, w->value, &e, 1);
}

static Value *rope(Graph *g, const char *name, Value *x, Value *cs, const Hyper *h)
{
    Attr attr[] = { attr_int("head_dim", h->head_dim), attr_str("pairing", "norm") };

    return put(g, OP_rope, name, x, cs, attr, 2);
}

static Value *attention(Graph *g, const Hyper *h, Value *q, const Block *b, Value *pos)
{
    double scale = h->attn_scale > 0 ? (double)h->attn_scale : 1 / sqrt((double)h->head_dim);
    Attr attr[] = { attr_int("n_head", h->n_head[g->il]),
                    attr_int("n_head_kv", h->n_head_kv[g->il]),
                    attr_float("scale", (double)(float)scale) };
    Value *in[] = { q, b->k_cache->value, b->v_cache->value, pos };
    Op *o =
        op_new(g->r, NULL, OP_attention, str_printf(g->m->a, "blk.%d.attn", g->il), in, 4, attr, 3);

    o->layer = g->il;
    o->from = "attn";
    return o->out[0];
}

static Value *block(Graph *g, const Hyper *h, const Block *b, Value *x, Value *cs, Value *pos)
{
    Value *n, *q, *k, *v, *gate, *up;

    n = norm(g, "attn_norm", x, b->attn_norm, h->eps);
    q = linear(g, "attn_q", n, b->q, b->q_bias);
    k = linear(g, "attn_k", n, b->k, b->k_bias);
    v = linear(g, "attn_v", n, b->v, b->v_bias);
    q = rope(g, "attn_q_rope", q, cs, h);
    k = rope(g, "attn_k_rope", k, cs, h);
    put(g, OP_append, "attn_k_append", b->k_cache->value, k, NULL, 0);
    put(g, OP_append, "attn_v_append", b->v_cache->value, v, NULL, 0);
    n = linear(g, "attn_output", attention(g, h, q, b, pos), b->o, b->o_bias);
    x = put(g, OP_add, "attn_res", x, n, NULL, 0);

    n = norm(g, "ffn_norm", x, b->ffn_norm, h->eps);
    gate = linear(g, "ffn_gate", n, b->gate, b->gate_bias);
    up = linear(g, "ffn_up", n, b->up, b->up_bias);
    n = put(g, OP_silu, "ffn_silu", gate, NULL, NULL, 0);
    n = put(g, OP_mul, "ffn_act", n, up, NULL, 0);
    n = linear(g, "ffn_down", n, b->down, b->down_bias);
    return put(g, OP_add, "ffn_out", x, n, NULL, 0);
}

static void add_caches(Module *m, const Hyper *h, const Format *kv, const Sym *c, uint32_t il,
                       Block *b)
{
    Dim dim[] = { dim_sym(m, c), dim_const(m, (int64_t)h->n_head_kv[il] * h->head_dim) };
    Type t = type_of(kv, 2, dim);

    b->k_cache = module_add_state(m, str_printf(m->a, "kv.%" PRIu32 ".k", il), "kv", t);
    b->v_cache = module_add_state(m, str_printf(m->a, "kv.%" PRIu32 ".v", il), "kv", t);
}

static void add_facts(Module *m, const Hyper *h)
{
    struct { const char *key; int64_t v; } row[] = {
        { "n_vocab", h->n_vocab }, { "n_ctx_train", h->n_ctx }, { "n_embd", h->n_embd }, { "n_layer", h->n_layer },
        { "n_head", h->n_head[0] }, { "n_head_kv", h->n_head_kv[0] }, { "head_dim", h->head_dim }, { "n_ff", h->n_ff[0] },
        { "n_rot", h->rope.n_rot },
    };

    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        module_set_meta(m, row[i].key, attr_int(row[i].key, row[i].v));
    module_set_meta(m, "rope_theta", attr_float("rope_theta", h->rope.theta));
}

bool arch_llama(Module *m, const Model *model, const BuildOptions *o, Diag *d)
{
    enum { MAX_TOKENS = 256 };                               /* of one call of prefill */
    Hyper h = { 0 };
    Finder f = finder_new(m, model, 0, d);
    Weight *embd, *out_norm, *head, *freq = NULL;
    Block *b;
    double mscale = 1;
    int64_t n_ctx, n_tokens;
    const Format *i32 = format_find(STR("i32"));
    Sym *T, *O, *C;
    Graph g = { .m = m, .il = -1 };
    Func *fn;
    Value *ids, *pos, *cs, *x;
    Attr scale_attr;
    Entry *e;

    if (!read_hyper(m->a, model, d, &h))
        return false;
    embd = find_matrix(&f, "token_embd.weight", -1, h.n_embd);
    b = ARENA_ARRAY(m->a, Block, h.n_layer);
    for (uint32_t i = 0; i < h.n_layer && f.n_missing < 200; i++)
        find_block(&f, &h, i, &b[i]);
    out_norm = find_vector(&f, "output_norm.weight", h.n_embd, true);
    head = model_tensor(model, "output.weight")
               ? find_matrix(&f, "output.weight", h.n_vocab, h.n_embd)
               : embd;
    if (!add_rope(&f, &h, &freq, &mscale))
        f.ok = false;
    if (!finder_done(&f) || !embd || !head || !out_norm)
        return false;

    n_ctx = o->ctx ? o->ctx : h.n_ctx;
    n_tokens = n_ctx < MAX_TOKENS ? n_ctx : MAX_TOKENS;
    if (n_ctx > h.n_ctx)
        warn(d, AT_FILE(model->file.path),
             "--ctx %" PRId64 " is more than the %" PRIu32 " positions that the model was made "
             "for",
             n_ctx, h.n_ctx);
    T = module_sym(m, "T", 1, n_tokens);
    O = module_sym(m, "O", 0, n_tokens);
    module_sym(m, "P", 0, n_ctx - 1);
    C = module_sym(m, "C", 1, n_ctx);
    add_facts(m, &h);
    module_set_meta(m, "n_ctx", attr_int("n_ctx", n_ctx));
    for (uint32_t i = 0; i < h.n_layer; i++)
        add_caches(m, &h, o->kv, C, i, &b[i]);

    fn = module_add_func(m, "main");
    fn->note = "tokens in, logits of the last O of them out";
    g.r = fn->body;
    ids = func_add_param(fn, "ids", type_of(i32, 1, (Dim[]){ dim_sym(m, T) }), VAL_result);
    pos = put(&g, OP_positions, "pos", NULL, NULL, NULL, 0);
    scale_attr = attr_float("mscale", (double)(float)mscale);
    cs = put(&g, OP_rope_angles, "rope_cs", pos, freq->value, &scale_attr, mscale != 1);
    x = put(&g, OP_rows, "embd", embd->value, ids, NULL, 0);
    for (uint32_t i = 0; i < h.n_layer; i++) {
        g.il = (int)i;
        x = block(&g, &h, &b[i], x, cs, pos);
    }
    g.il = -1;
    x = put(&g, OP_last_rows, "last", x, NULL, NULL, 0);
    x = norm(&g, "output_norm", x, out_norm, h.eps);
    x = put(&g, OP_matmul, "logits", x, head->value, NULL, 0);
    op_new(g.r, NULL, OP_return, NULL, &x, 1, NULL, 0)->layer = -1;

    e = module_add_entry(m, "decode", fn);
    entry_range(e, T, 1, 1);
    entry_range(e, O, 0, 1);
    e = module_add_entry(m, "prefill", fn);
    entry_range(e, T, 1, n_tokens);
    entry_range(e, O, 0, n_tokens);
    return true;
}
