/* mkmodel: the GGUF file of a case, without Python.
 *
 *     mkmodel [--cases FILE] --list               name, storage type and purpose of every case
 *     mkmodel [--cases FILE] --lengths            the lengths of the recorded sequences
 *     mkmodel [--cases FILE] --ids N NAME         the N token ids of a sequence: 1,2,3
 *     mkmodel [--cases FILE] NAME OUT.gguf        the model
 *
 * Tensors are computed by fill_value() under their Hugging Face names and written under their GGUF
 * names.  The file is what llama.cpp's converter writes for the same folder [conversion/llama.py,
 * qwen.py, gemma.py]: in files of the llama family, rows of q and k reordered from halves to pairs
 *
 *     half-split   head: x0 x1 .. x(h/2-1) | y0 y1 .. y(h/2-1)     rotates (x[i], y[i])
 *     pairs        head: x0 y0 x1 y1 ..                            row 2i + s  <-  row s * h/2 + i
 *
 * (their biases likewise), llama3's rope scaling as the tensor rope_freqs.weight, linear and yarn
 * as keys.  A norm's weight is what multiplies (gemma's original holds one less).  No tokenizer:
 * these models are fed token ids.
 *
 * The writer is this file's own and not compiler/import/gguf_write.c, so that the importer is held
 * against a second reading of the format:  magic, version 3, counts, key/value pairs, tensor infos
 * (dims innermost first), data aligned to 32. */
#include "ir/formats.h"
#include "tests/models/cases.h"

#include <math.h>
#include <stdlib.h>

enum { T_U32 = 4, T_F32 = 6, T_BOOL = 7, T_STR = 8, T_ARRAY = 9, ALIGNMENT = 32 };

typedef struct {
    const char *gguf, *hf;
    int64_t n_out, n_in, heads;
} Tensor; /* n_out 0: a vector; heads > 0: reorder */

typedef struct {
    Arena *a;
    const Case *c;
    const Format *fmt;
    Buf kv, info, data;
    uint64_t n_kv, n_tensor;
} Gguf;

static void put_u32(Buf *b, uint32_t x) { buf_put(b, &x, sizeof x); }
static void put_u64(Buf *b, uint64_t x) { buf_put(b, &x, sizeof x); }
static void put_str(Buf *b, const char *s)
{
    put_u64(b, strlen(s));
    buf_puts(b, s);
}

/* A key of the family, or of all where `key` begins with "general.". */
static void put_key(Gguf *g, const char *key, uint32_t type)
{
    bool general = strncmp(key, "general.", 8) == 0;

    put_str(&g->kv, general ? key : str_printf(g->a, "%s.%s", g->c->arch, key));
    put_u32(&g->kv, type);
    g->n_kv++;
}

static void key_u32(Gguf *g, const char *key, int64_t x)
{
    put_key(g, key, T_U32);
    put_u32(&g->kv, (uint32_t)x);
}

static void key_f32(Gguf *g, const char *key, double x)
{
    float f = (float)x;

    put_key(g, key, T_F32);
    buf_put(&g->kv, &f, sizeof f);
}

static void key_str(Gguf *g, const char *key, const char *x)
{
    put_key(g, key, T_STR);
    put_str(&g->kv, x);
}

static void key_bools(Gguf *g, const char *key, const bool *x, int64_t n)
{
    put_key(g, key, T_ARRAY);
    put_u32(&g->kv, T_BOOL);
    put_u64(&g->kv, (uint64_t)n);
    for (int64_t i = 0; i < n; i++)
        buf_putc(&g->kv, x[i] ? 1 : 0);
}

/* Rows of n_in floats in the tensor's format, with its info. */
static void put_tensor(Gguf *g, const char *name, const Format *f, const float *x, int64_t n_out,
                       int64_t n_in)
{
    int64_t rows = n_out ? n_out : 1;
    size_t row_bytes = (size_t)(n_in / f->block * f->bytes);
    uint8_t *q = ARENA_ARRAY(g->a, uint8_t, row_bytes);

    put_str(&g->info, name);
    put_u32(&g->info, n_out ? 2 : 1);
    put_u64(&g->info, (uint64_t)n_in);
    if (n_out)
        put_u64(&g->info, (uint64_t)n_out);
    put_u32(&g->info, (uint32_t)f->gguf_type);
    put_u64(&g->info, g->data.n);
    for (int64_t r = 0; r < rows; r++) {
        f->encode(q, x + r * n_in, n_in);
        buf_put(&g->data, q, row_bytes);
    }
    while (g->data.n % ALIGNMENT)
        buf_putc(&g->data, 0);
    g->n_tensor++;
}

/* Where row `i` of the file comes from in the Hugging Face tensor. */
static int64_t source_row(const Tensor *t, int64_t i)
{
    int64_t rows = t->n_out ? t->n_out : t->n_in, h = t->heads ? rows / t->heads : 0;

    return t->heads ? i / h * h + i % h / 2 + i % 2 * (h / 2) : i;
}

static void add(Gguf *g, Tensor t)
{
    int64_t dim[2] = { t.n_out, t.n_in };
    int rank = t.n_out ? 2 : 1;
    int64_t n_in = t.n_out ? t.n_in : 1, rows = t.n_out ? t.n_out : t.n_in;
    float *x = ARENA_ARRAY(g->a, float, rows *n_in), scale, base;
    const Format *f = rank == 1                ? format_find(STR("f32"))
                      : t.n_in % g->fmt->block ? format_find(STR("f16"))
                                               : g->fmt;

    fill_scale(str_of(t.hf), rank, rank == 2 ? dim : dim + 1, &scale, &base);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t k = 0; k < n_in; k++)
            x[r * n_in + k] = fill_value(str_of(t.hf), (uint64_t)(source_row(&t, r) * n_in + k),
                                         g->c->seed, scale, base);
    put_tensor(g, t.gguf, f, x, t.n_out, t.n_in);
}

/* One linear layer of block i: its weight, and its bias if it has one. */
static void add_linear(Gguf *g, int64_t i, const char *gguf, const char *hf, int64_t n_out,
                       int64_t n_in, int64_t heads, bool bias)
{
    const char *gn = str_printf(g->a, "blk.%" PRId64 ".%s", i, gguf),
               *hn = str_printf(g->a, "model.layers.%" PRId64 ".%s", i, hf);

    add(g, (Tensor){ str_printf(g->a, "%s.weight", gn), str_printf(g->a, "%s.weight", hn), n_out,
                     n_in, heads });
    if (bias)
        add(g, (Tensor){ str_printf(g->a, "%s.bias", gn), str_printf(g->a, "%s.bias", hn), 0, n_out,
                         heads });
}

static void add_norm(Gguf *g, int64_t i, const char *gguf, const char *hf, int64_t n)
{
    add_linear(g, i, gguf, hf, 0, n, 0, false);
}

static void add_tensors(Gguf *g)
{
    const Case *c = g->c;
    int64_t n_q = c->n_head * c->head_dim, n_kv = c->n_head_kv * c->head_dim;
    bool pairs = strcmp(c->arch, "llama") == 0;

    add(g, (Tensor){ "token_embd.weight", "model.embed_tokens.weight", c->n_vocab, c->n_embd, 0 });
    if (!c->tied)
        add(g, (Tensor){ "output.weight", "lm_head.weight", c->n_vocab, c->n_embd, 0 });
    add(g, (Tensor){ "output_norm.weight", "model.norm.weight", 0, c->n_embd, 0 });
    for (int64_t i = 0; i < c->n_layer; i++) {
        add_linear(g, i, "attn_q", "self_attn.q_proj", n_q, c->n_embd, pairs ? c->n_head : 0,
                   c->qkv_bias);
        add_linear(g, i, "attn_k", "self_attn.k_proj", n_kv, c->n_embd, pairs ? c->n_head_kv : 0,
                   c->qkv_bias);
        add_linear(g, i, "attn_v", "self_attn.v_proj", n_kv, c->n_embd, 0, c->qkv_bias);
        if (c->head_norms) {
            add_norm(g, i, "attn_q_norm", "self_attn.q_norm", c->head_dim);
            add_norm(g, i, "attn_k_norm", "self_attn.k_norm", c->head_dim);
        }
        add_linear(g, i, "attn_output", "self_attn.o_proj", c->n_embd, n_q, 0, c->o_bias);
        add_norm(g, i, "attn_norm", "input_layernorm", c->n_embd);
        if (c->post_norms) {
            add_norm(g, i, "post_attention_norm", "post_attention_layernorm", c->n_embd);
            add_norm(g, i, "ffn_norm", "pre_feedforward_layernorm", c->n_embd);
            add_norm(g, i, "post_ffw_norm", "post_feedforward_layernorm", c->n_embd);
        } else {
            add_norm(g, i, "ffn_norm", "post_attention_layernorm", c->n_embd);
        }
        add_linear(g, i, "ffn_gate", "mlp.gate_proj", c->n_ff, c->n_embd, 0, c->mlp_bias);
        add_linear(g, i, "ffn_up", "mlp.up_proj", c->n_ff, c->n_embd, 0, c->mlp_bias);
        add_linear(g, i, "ffn_down", "mlp.down_proj", c->n_embd, c->n_ff, 0, c->mlp_bias);
    }
}

/* Llama 3's scaling: frequencies whose wavelength is over original_ctx / low are divided by
 * `factor`, those under original_ctx / high are kept, between the two the divisor is interpolated.
 * The file holds the divisors. */
static void add_rope_freqs(Gguf *g)
{
    const RopeScaling *s = &g->c->rope;
    float *x = ARENA_ARRAY(g->a, float, g->c->head_dim / 2);
    double low = (double)s->original_ctx / s->low_freq_factor,
           high = (double)s->original_ctx / s->high_freq_factor;

    for (int64_t i = 0; i < g->c->head_dim / 2; i++) {
        double wavelength =
            2 * 3.14159265358979323846 * pow(s->theta, 2.0 * (double)i / (double)g->c->head_dim);
        double part = ((double)s->original_ctx / wavelength - s->low_freq_factor) /
                      (s->high_freq_factor - s->low_freq_factor);

        x[i] = (float)(wavelength < high  ? 1
                       : wavelength > low ? s->factor
                                          : 1 / ((1 - part) / s->factor + part));
    }
    put_tensor(g, "rope_freqs.weight", format_find(STR("f32")), x, 0, g->c->head_dim / 2);
}

/* What is at its default stays unsaid, as in files of older converters.  attention.scale and a list as the pattern are keys
 * that readers know and no converter writes for gemma3. */
static void add_window_keys(Gguf *g)
{
    const Case *c = g->c;

    if (c->window)
        key_u32(g, "attention.sliding_window", c->window);
    if (c->local)
        key_bools(g, "attention.sliding_window_pattern", c->local, c->n_layer);
    if (c->local_theta != 0 && c->local_theta != 10000)
        key_f32(g, "rope.freq_base_swa", c->local_theta);
    if (c->score_dim != 0 && c->score_dim != (double)c->head_dim)
        key_f32(g, "attention.scale", 1 / sqrt(c->score_dim));
    if (c->logit_cap != 0)
        key_f32(g, "final_logit_softcapping", c->logit_cap);
}

/* yarn's attention factor has two keys: yarn_attn_factor is what multiplies cos and sin;
 * attn_factor is what is left of it after 0.1 ln(factor) + 1, which llama.cpp applies by itself.
 * The converter writes the first, its readers use the second. */
static void add_keys(Gguf *g)
{
    const Case *c = g->c;
    const RopeScaling *s = &c->rope;
    static const struct {
        const char *type;
        int number;
    } ftype[] = {
        /* general.file_type, as llama.cpp numbers it */
        { "f32", 0 }, { "f16", 1 }, { "q4_0", 2 }, { "q4_1", 3 }, { "q8_0", 7 }, { "q5_0", 8 }, { "bf16", 32 },
        { "tq1_0", 36 }, { "tq2_0", 37 },
    };

    key_str(g, "general.architecture", c->arch);
    key_str(g, "general.name", c->name);
    key_u32(g, "context_length", c->n_ctx);
    key_u32(g, "embedding_length", c->n_embd);
    key_u32(g, "block_count", c->n_layer);
    key_u32(g, "feed_forward_length", c->n_ff);
    key_u32(g, "attention.head_count", c->n_head);
    key_f32(g, "attention.layer_norm_rms_epsilon", c->eps);
    key_f32(g, "rope.freq_base", s->theta);
    key_u32(g, "vocab_size", c->n_vocab);
    key_u32(g, "attention.head_count_kv", c->n_head_kv);
    if (c->own_head_dim) {
        key_u32(g, "attention.key_length", c->head_dim);
        key_u32(g, "attention.value_length", c->head_dim);
    }
    if (strcmp(c->arch, "llama") == 0)
        key_u32(g, "rope.dimension_count", c->head_dim);
    add_window_keys(g);
    if (strcmp(s->type, "linear") == 0 || strcmp(s->type, "yarn") == 0) {
        key_str(g, "rope.scaling.type", s->type);
        key_f32(g, "rope.scaling.factor", s->factor);
    }
    if (strcmp(s->type, "yarn") == 0) {
        key_u32(g, "rope.scaling.original_context_length", s->original_ctx);
        if (s->attention_factor != 0) {
            key_f32(g, "rope.scaling.yarn_attn_factor", s->attention_factor);
            key_f32(g, "rope.scaling.attn_factor",
                    s->attention_factor / (0.1 * log(s->factor) + 1));
        }
        if (s->beta_fast != 0)
            key_f32(g, "rope.scaling.yarn_beta_fast", s->beta_fast);
        if (s->beta_slow != 0)
            key_f32(g, "rope.scaling.yarn_beta_slow", s->beta_slow);
    }
    key_u32(g, "general.quantization_version", 2);
    for (size_t i = 0; i < sizeof ftype / sizeof *ftype; i++)
        if (strcmp(ftype[i].type, c->type) == 0)
            key_u32(g, "general.file_type", ftype[i].number);
}

static bool write_model(FileSet *fs, Arena *a, Diag *d, const Case *c, const char *path)
{
    Gguf g = { .a = a,
               .c = c,
               .fmt = format_find(str_of(c->type)),
               .kv = buf_in(a),
               .info = buf_in(a),
               .data = buf_in(a) };
    Buf out = buf_in(a);

    if (!g.fmt || !g.fmt->encode || g.fmt->gguf_type < 0)
        return fail(d, AT_WHAT(path, c->name), "'%s' is not a format that a GGUF file can store",
                    c->type);
    add_keys(&g);
    add_tensors(&g);
    if (strcmp(c->rope.type, "llama3") == 0)
        add_rope_freqs(&g);
    buf_puts(&out, "GGUF");
    put_u32(&out, 3);
    put_u64(&out, g.n_tensor);
    put_u64(&out, g.n_kv);
    buf_put(&out, g.kv.p, g.kv.n);
    buf_put(&out, g.info.p, g.info.n);
    while (out.n % ALIGNMENT)
        buf_putc(&out, 0);
    buf_put(&out, g.data.p, g.data.n);
    return file_write(fs, a, d, path, buf_str(&out));
}

static void print_ids(Arena *a, const Case *c, int64_t n)
{
    int32_t *ids = ARENA_ARRAY(a, int32_t, n);

    case_ids(c, n, ids);
    for (int64_t t = 0; t < n; t++)
        printf("%" PRId32 "%c", ids[t], t == n - 1 ? '\n' : ',');
}

static int run(FileSet *fs, Arena *a, Diag *d, int argc, char **argv)
{
    const char *path = "tests/models/cases.json";
    const Case *c;
    Cases cs;

    if (argc > 2 && strcmp(argv[1], "--cases") == 0) {
        path = argv[2];
        argv += 2;
        argc -= 2;
    }
    if (argc < 2 || !cases_read(a, d, path, &cs)) {
        if (argc < 2)
            fputs(
                "usage: mkmodel [--cases FILE] --list | --lengths | --ids N NAME | NAME OUT.gguf\n",
                stderr);
        return argc < 2 ? 2 : 1;
    }
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        for (int i = 0; i < cs.n; i++)
            printf("%-14s %-5s %s\n", cs.c[i].name, cs.c[i].type, cs.c[i].why);
        return 0;
    }
    if (argc == 2 && strcmp(argv[1], "--lengths") == 0) {
        for (int i = 0; i < cs.n_length; i++)
            printf("%" PRId64 "\n", cs.length[i]);
        return 0;
    }
    if (argc == 4 && strcmp(argv[1], "--ids") == 0) {
        int64_t n;

        if (!str_to_i64(str_of(argv[2]), &n) || n < 1 || n > 1 << 20 ||
            !(c = cases_find(&cs, d, argv[3])))
            return 2;
        print_ids(a, c, n);
        return 0;
    }
    if (argc != 3 || argv[1][0] == '-') {
        fputs("usage: mkmodel [--cases FILE] --list | --lengths | --ids N NAME | NAME OUT.gguf\n",
              stderr);
        return 2;
    }
    c = cases_find(&cs, d, argv[1]);
    return c && write_model(fs, a, d, c, argv[2]) ? 0 : 1;
}

int main(int argc, char **argv)
{
    Arena *a = arena_new(NULL);
    FileSet *fs = files_new();
    int rc = run(fs, a, diag_new(a, stderr), argc, argv);

    files_close(fs);
    arena_free(a);
    return rc;
}
