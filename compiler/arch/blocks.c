/* Decoders made of blocks, each an attention and a gated feed-forward part around one stream x:
 *
 *     x = rows(token_embd, ids)                                       (* sqrt n_embd)
 *     for each block:
 *         n = rmsnorm(x);   q, k, v = n Wq, n Wk, n Wv                (+ biases)
 *         q, k = rope(q), rope(k)                                     (of normed heads)
 *         append k, v to the cache;   y = attention(q, cache) Wo      (+ bias)
 *         x = x + y                                                   (+ rmsnorm(y))
 *         n = rmsnorm(x);   y = (act(n Wgate) * (n Wup)) Wdown        (+ biases)
 *         x = x + y                                                   (+ rmsnorm(y))
 *         (x = x + (act(x Winp) * rows(layer's table, ids)) Wproj)
 *     logits = rmsnorm(last rows of x) Whead                          (capped)
 *
 * What stands in brackets is there in some families only; their files say in which.  The head is
 * token_embd where output.weight is absent (tied). */
#include "compiler/arch/arch.h"

#include <math.h>

typedef struct {
    Weight *attn_norm, *q, *k, *v, *o, *q_bias, *k_bias, *v_bias, *o_bias, *q_norm, *k_norm;
    Weight *attn_post_norm, *ffn_norm, *gate, *up, *down, *gate_bias, *up_bias, *down_bias;
    Weight *ffn_post_norm, *layer_embd, *layer_gate, *layer_proj;
    State *k_cache, *v_cache;
} Block;

/* ---- weights ---------------------------------------------------------------------------------------------------------- */

static Weight *block_matrix(Finder *f, uint32_t il, const char *what, int64_t n_out, int64_t n_in)
{
    return find_matrix(f, str_printf(f->m->a, "blk.%" PRIu32 ".%s.weight", il, what), n_out, n_in);
}

static Weight *block_norm(Finder *f, uint32_t il, const char *what, int64_t n)
{
    return find_vector(f, str_printf(f->m->a, "blk.%" PRIu32 ".%s.weight", il, what), n, true);
}

/* A bias where the family may have one.  Those of q, k and v are there together or not at all where
 * the family has no others: files of a family that always has them, and a few that never have. */
static Weight *block_bias(Finder *f, const Family *fam, uint32_t il, const char *what, bool qkv,
                          int64_t n)
{
    bool all = fam->bias == BIAS_qkv && model_tensor(f->model, "blk.0.attn_q.bias");

    if (fam->bias != BIAS_any && !(all && qkv))
        return NULL;
    return find_vector(f, str_printf(f->m->a, "blk.%" PRIu32 ".%s.bias", il, what), n, all);
}

static void find_block(Finder *f, const Family *fam, const Hyper *h, uint32_t il, Block *b)
{
    int64_t n_q = (int64_t)h->n_head[il] * h->head_dim,
            n_kv = (int64_t)h->n_head_kv[il] * h->head_dim;
    int64_t n_embd = h->n_embd, n_ff = h->n_ff[il];

    b->attn_norm = block_norm(f, il, "attn_norm", n_embd);
    b->q = block_matrix(f, il, "attn_q", n_q, n_embd);
    b->q_bias = block_bias(f, fam, il, "attn_q", true, n_q);
    b->k = block_matrix(f, il, "attn_k", n_kv, n_embd);
    b->k_bias = block_bias(f, fam, il, "attn_k", true, n_kv);
    b->v = block_matrix(f, il, "attn_v", n_kv, n_embd);
    b->v_bias = block_bias(f, fam, il, "attn_v", true, n_kv);
    if (fam->head_norms) {
        b->q_norm = block_norm(f, il, "attn_q_norm", h->head_dim);
        b->k_norm = block_norm(f, il, "attn_k_norm", h->head_dim);
    }
    b->o = block_matrix(f, il, "attn_output", n_embd, n_q);
    b->o_bias = block_bias(f, fam, il, "attn_output", false, n_embd);
    if (fam->post_norms)
        b->attn_post_norm = block_norm(f, il, "post_attention_norm", n_embd);
    b->ffn_norm = block_norm(f, il, "ffn_norm", n_embd);
    b->gate = block_matrix(f, il, "ffn_gate", n_ff, n_embd);
    b->gate_bias = block_bias(f, fam, il, "ffn_gate", false, n_ff);
    b->up = block_matrix(f, il, "ffn_up", n_ff, n_embd);
    b->up_bias = block_bias(f, fam, il, "ffn_up", false, n_ff);
    b->down = block_matrix(f, il, "ffn_down", n_embd, n_ff);
    b->down_bias = block_bias(f, fam, il, "ffn_down", false, n_embd);
    if (fam->post_norms)
        b->ffn_post_norm = block_norm(f, il, "post_ffw_norm", n_embd);
    if (h->n_layer_embd) {
        b->layer_gate = block_matrix(f, il, "inp_gate", h->n_layer_embd, n_embd);
        b->layer_embd = block_matrix(f, il, "per_layer_token_embd", h->n_vocab, h->n_layer_embd);
        b->layer_proj = block_matrix(f, il, "proj", n_embd, h->n_layer_embd);
    }
    /* A buffer that old converters left in the file; the frequencies are computed. */
    find_ignore(f, str_printf(f->m->a, "blk.%" PRIu32 ".attn_rot_embd.weight", il));
}

/* A table of frequencies as a weight of the Module. */
static Weight *add_freqs(Module *m, const char *name, const RopeScaling *s, const float *divisor,
                         double *mscale)
{
    float *freq = ARENA_ARRAY(m->a, float, s->n_rot / 2);
    WExpr *e = wexpr_new(m, W_const, type_1(m, format_find(STR("f32")), s->n_rot / 2));

    rope_frequencies(s, divisor, freq, mscale);
    e->value = freq;
    return module_add_weight(m, name, e->type, e);
}

/* The divisors of the frequencies that a file may have; *out NULL if it has none. */
static bool find_divisors(Finder *f, int n, const float **out)
{
    const ModelTensor *t = model_tensor(f->model, "rope_freqs.weight");
    float *div;

    *out = NULL;
    if (!t)
        return true;
    if (!(t = find_tensor(f, "rope_freqs.weight", 1, (int64_t[]){ n })))
        return false;
    *out = div = ARENA_ARRAY(f->m->a, float, n);
    t->fmt->decode(div, t->p, n);
    for (int i = 0; i < n; i++)
        if (!(div[i] > 0) || !isfinite(div[i]))
            return fail(f->d, model_at_tensor(f->model, t->name),
                        "divisor %d is not a number over 0", i);
    return true;
}

/* ---- the graph -------------------------------------------------------------------------------------------------------- */

/* Ops that are appended to one function, marked with their layer and the model's name for them. */
typedef struct {
    Module *m;
    Region *r;
    const Family *family;
    const Hyper *h;
    int64_t n_ctx;              /* of this build */
    int il;
    Value *ids, *pos, *cs, *cs_local; /* cs_local: of layers with a window, where they have their own */
} Graph;

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

static Value *norm(Graph *g, const char *name, Value *x, const Weight *w)
{
    Attr e = attr_float("eps", (double)g->h->eps);

    return put(g, OP_rmsnorm, name, x, w->value, &e, 1);
}

static Value *reshape(Graph *g, const char *name, Value *x, const int64_t *dim, int n)
{
    int64_t *own = ARENA_ARRAY(g->m->a, int64_t, n);
    Attr a = { .name = "dims", .kind = ATTR_ints, .ints = own, .n_ints = n };

    memcpy(own, dim, (size_t)n * sizeof *own);
    return put(g, OP_reshape, name, x, NULL, &a, 1);
}

/* Each head of q or k normed by itself: its row of n_head * head_dim numbers is looked at as n_head
 * rows. */
static Value *head_norm(Graph *g, const char *name, Value *x, const Weight *w, uint32_t n_head)
{
    int64_t hd = g->h->head_dim;

    x = reshape(g, str_printf(g->m->a, "%s_heads", name), x, (int64_t[]){ -1, n_head, hd }, 3);
    x = norm(g, str_printf(g->m->a, "%s_norm", name), x, w);
    return reshape(g, str_printf(g->m->a, "%s_row", name), x, (int64_t[]){ -1, n_head * hd }, 2);
}

static bool is_local(const Graph *g) { return g->h->window[g->il] != 0; }

static Value *rope(Graph *g, const char *name, Value *x)
{
    Attr attr[] = { attr_int("head_dim", g->h->head_dim), attr_str("pairing", g->family->pairing) };

    return put(g, OP_rope, name, x, is_local(g) && g->cs_local ? g->cs_local : g->cs, attr, 2);
}

static Value *attention(Graph *g, Value *q, const Block *b)
{
    uint32_t window = g->h->window[g->il];
    Attr attr[4] = { attr_int("n_head", g->h->n_head[g->il]),
                     attr_int("n_head_kv", g->h->n_head_kv[g->il]),
                     attr_float("scale", (double)(float)g->h->attn_scale) };
    Value *in[] = { q, b->k_cache->value, b->v_cache->value, g->pos };
    int n = 3;
    Op *o;

    if (window && window < g->n_ctx)                         /* a longer one cuts nothing off */
        attr[n++] = attr_int("window", window);
    o = op_new(g->r, NULL, OP_attention, str_printf(g->m->a, "blk.%d.attn", g->il), in, 4, attr, n);
    o->layer = g->il;
    o->from = "attn";
    return o->out[0];
}

/* The layer's own embedding of each token, let through as far as x wants it. */
static Value *layer_embedding(Graph *g, const Block *b, Value *x)
{
    Value *e = put(g, OP_rows, "layer_embd", b->layer_embd->value, g->ids, NULL, 0), *n;

    n = linear(g, "inp_gate", x, b->layer_gate, NULL);
    n = put(g, g->family->act, "inp_act", n, NULL, NULL, 0);
    n = put(g, OP_mul, "inp_embd", n, e, NULL, 0);
    return put(g, OP_add, "inp_out", x, linear(g, "proj", n, b->layer_proj, NULL), NULL, 0);
}

static Value *block(Graph *g, const Block *b, Value *x)
{
    const Hyper *h = g->h;
    Value *n, *q, *k, *v, *gate, *up;

    n = norm(g, "attn_norm", x, b->attn_norm);
    q = linear(g, "attn_q", n, b->q, b->q_bias);
    k = linear(g, "attn_k", n, b->k, b->k_bias);
    v = linear(g, "attn_v", n, b->v, b->v_bias);
    if (b->q_norm) {
        q = head_norm(g, "attn_q", q, b->q_norm, h->n_head[g->il]);
        k = head_norm(g, "attn_k", k, b->k_norm, h->n_head_kv[g->il]);
    }
    q = rope(g, "attn_q_rope", q);
    k = rope(g, "attn_k_rope", k);
    put(g, OP_append, "attn_k_append", b->k_cache->value, k, NULL, 0);
    put(g, OP_append, "attn_v_append", b->v_cache->value, v, NULL, 0);
    n = linear(g, "attn_output", attention(g, q, b), b->o, b->o_bias);
    if (b->attn_post_norm)
        n = norm(g, "post_attention_norm", n, b->attn_post_norm);
    x = put(g, OP_add, "attn_res", x, n, NULL, 0);

    n = norm(g, "ffn_norm", x, b->ffn_norm);
    gate = linear(g, "ffn_gate", n, b->gate, b->gate_bias);
    up = linear(g, "ffn_up", n, b->up, b->up_bias);
    n = put(g, g->family->act, g->family->act == OP_silu ? "ffn_silu" : "ffn_gelu", gate, NULL,
            NULL, 0);
    n = put(g, OP_mul, "ffn_act", n, up, NULL, 0);
    n = linear(g, "ffn_down", n, b->down, b->down_bias);
    if (b->ffn_post_norm)
        n = norm(g, "post_ffw_norm", n, b->ffn_post_norm);
    x = put(g, OP_add, "ffn_out", x, n, NULL, 0);
    return b->layer_embd ? layer_embedding(g, b, x) : x;
}

static Value *scale(Graph *g, const char *name, Value *x, float by)
{
    Attr a = attr_float("by", (double)by);

    return put(g, OP_scale, name, x, NULL, &a, 1);
}

/* Sines and cosines of every position of a call. */
static Value *angles(Graph *g, const char *name, const Weight *freq, double mscale)
{
    Attr a = attr_float("mscale", (double)(float)mscale);

    return put(g, OP_rope_angles, name, g->pos, freq->value, &a, mscale != 1);
}

static void add_caches(Module *m, const Hyper *h, const Format *kv, const Sym *c, uint32_t il,
                       Block *b)
{
    Dim dim[] = { dim_sym(m, c), dim_const(m, (int64_t)h->n_head_kv[il] * h->head_dim) };
    Type t = type_of(kv, 2, dim);

    b->k_cache = module_add_state(m, str_printf(m->a, "kv.%" PRIu32 ".k", il), "kv", t);
    b->v_cache = module_add_state(m, str_printf(m->a, "kv.%" PRIu32 ".v", il), "kv", t);
}

/* ---- the whole -------------------------------------------------------------------------------------------------------- */

typedef struct {
    Weight *embd, *out_norm, *head, *freq, *freq_local;
    double mscale, mscale_local;
    Block *block;
} Weights;

static bool find_weights(Finder *f, const Family *fam, const Hyper *h, Weights *w)
{
    const float *divisor = NULL;
    bool divisors;

    w->embd = find_matrix(f, "token_embd.weight", -1, h->n_embd);
    w->block = ARENA_ARRAY(f->m->a, Block, h->n_layer);
    for (uint32_t i = 0; i < h->n_layer && f->n_missing < 200; i++)
        find_block(f, fam, h, i, &w->block[i]);
    w->out_norm = find_vector(f, "output_norm.weight", h->n_embd, true);
    w->head = model_tensor(f->model, "output.weight")
                  ? find_matrix(f, "output.weight", h->n_vocab, h->n_embd)
                  : w->embd;
    divisors = find_divisors(f, h->rope.n_rot / 2, &divisor);
    if (!finder_done(f) || !divisors || !w->embd || !w->head || !w->out_norm)
        return false;
    w->freq = add_freqs(f->m, "rope_freq", &h->rope, divisor, &w->mscale);
    if (h->local_rope.n_rot)
        w->freq_local =
            add_freqs(f->m, "rope_freq_local", &h->local_rope, NULL, &w->mscale_local);
    return true;
}

static Func *write_graph(Graph *g, const Weights *w, const Sym *T)
{
    const Hyper *h = g->h;
    Func *fn = module_add_func(g->m, "main");
    Value *x;

    fn->note = "tokens in, logits of the last O of them out";
    g->r = fn->body;
    g->il = -1;
    g->ids = func_add_param(
        fn, "ids", type_of(format_find(STR("i32")), 1, (Dim[]){ dim_sym(g->m, T) }), VAL_result);
    g->pos = put(g, OP_positions, "pos", NULL, NULL, NULL, 0);
    g->cs = angles(g, "rope_cs", w->freq, w->mscale);
    if (w->freq_local)
        g->cs_local = angles(g, "rope_cs_local", w->freq_local, w->mscale_local);
    x = put(g, OP_rows, "embd", w->embd->value, g->ids, NULL, 0);
    if (h->embd_scale != 1)
        x = scale(g, "embd_scaled", x, h->embd_scale);
    for (uint32_t i = 0; i < h->n_layer; i++) {
        g->il = (int)i;
        x = block(g, &w->block[i], x);
    }
    g->il = -1;
    x = put(g, OP_last_rows, "last", x, NULL, NULL, 0);
    x = norm(g, "output_norm", x, w->out_norm);
    x = put(g, OP_matmul, "logits", x, w->head->value, NULL, 0);
    if (h->logit_cap > 0) {
        x = scale(g, "logits_in_caps", x, 1 / h->logit_cap);
        x = put(g, OP_tanh, "logits_tanh", x, NULL, NULL, 0);
        x = scale(g, "logits_capped", x, h->logit_cap);
    }
    op_new(g->r, NULL, OP_return, NULL, &x, 1, NULL, 0)->layer = -1;
    return fn;
}

static void add_entry(Module *m, const char *name, Func *fn, Sym *T, Sym *O, int64_t n_tokens)
{
    Entry *e = module_add_entry(m, name, fn);

    entry_range(e, T, 1, n_tokens);
    entry_range(e, O, 0, n_tokens);
}

bool arch_decoder(Module *m, const Model *model, const BuildOptions *o, Diag *d, const Family *fam)
{
    const int64_t most = o->batch ? o->batch : o->act_prefill == ACT_i8 ? 512 : 256;    /* tokens of one call; panels are made once for all of them */
    Keys k = { m->a, model, d, fam };
    Hyper h;
    Finder f = finder_new(m, model, 0, d);
    Weights w = { .mscale = 1, .mscale_local = 1 };
    int64_t n_ctx, n_tokens;
    Graph g = { .m = m, .family = fam, .h = &h };
    Sym *T, *O, *C;
    Func *fn;

    if (!hyper_read(&k, &h) || !find_weights(&f, fam, &h, &w))
        return false;
    n_ctx = o->ctx ? o->ctx : h.n_ctx;
    n_tokens = n_ctx < most ? n_ctx : most;
    if (n_ctx > h.n_ctx)
        warn(d, AT_FILE(model->file.path),
             "--ctx %" PRId64 " is more than the %" PRIu32 " positions that the model was made "
             "for",
             n_ctx, h.n_ctx);
    g.n_ctx = n_ctx;
    T = module_sym(m, "T", 1, n_tokens);
    O = module_sym(m, "O", 0, n_tokens);
    module_sym(m, "P", 0, n_ctx - 1);
    C = module_sym(m, "C", 1, n_ctx);
    hyper_facts(m, &h);
    module_set_meta(m, "n_ctx", attr_int("n_ctx", n_ctx));
    for (uint32_t i = 0; i < h.n_layer; i++)
        add_caches(m, &h, o->kv, C, i, &w.block[i]);
    fn = write_graph(&g, &w, T);
    add_entry(m, "decode", fn, T, O, 1);
    add_entry(m, "prefill", fn, T, O, n_tokens);
    return true;
}
