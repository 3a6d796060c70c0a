/* Tuning a target: the real thing, built and timed.
 *
 * Two llamas with random weights, so that what is measured is what sinter emits, with its kernels, stages and threads:
 *
 *     stream      many layers, three times the last cache at least: decoding it is reading it      prefetch (one thread), chunk (all)
 *     attention   two narrow layers and a prompt of a thousand tokens: mostly attention            span (one thread), tokens (all)
 *
 * Each number is varied by itself while the others stay as they are; they hardly depend on each other.  Candidates take turns, round after
 * round, and each is compared with the present value in the same round, so that a slow moment is nobody's.  A candidate wins when the median
 * of these ratios is the largest and at least MARGIN above 1: otherwise the number stays, because a difference that cannot be told from
 * noise is no reason for other bits or other files. */
#include "compiler/tune.h"

#include "codegen/codegen.h"
#include "compiler/calibrate.h"
#include "compiler/emitted.h"
#include "compiler/passes/passes.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_VALUES = 8, MAX_ROUNDS = 9, MARGIN_PERCENT = 2 };

/* ---- models -------------------------------------------------------------------------------------------------------- */

typedef struct {
    const char *name;               /* of the file and of the folders */
    uint32_t n_embd, n_ff, n_head, n_head_kv, n_layer, n_ctx;
    int prompt, generated;          /* tokens of a run */
    const char *stat;               /* what counts: a key of --stats json */
} Shape;

typedef struct { char name[64]; int64_t rows, cols; bool quantized; } Part;

/* Tensor i of the model; false: there are no more. */
static bool tensor_at(const Shape *s, int i, Part *t)
{
    enum { N_BEFORE = 2, N_LAYER = 9 };
    int64_t kv = s->n_embd / s->n_head * s->n_head_kv;
    const struct { const char *name; int64_t rows, cols; } before[] = { { "token_embd", 256, s->n_embd },
                                                                         { "output_norm", 1, s->n_embd } },
                                                           layer[] = {
        { "attn_norm", 1, s->n_embd },   { "attn_q", s->n_embd, s->n_embd },      { "attn_k", kv, s->n_embd },
        { "attn_v", kv, s->n_embd },     { "attn_output", s->n_embd, s->n_embd }, { "ffn_norm", 1, s->n_embd },
        { "ffn_gate", s->n_ff, s->n_embd }, { "ffn_up", s->n_ff, s->n_embd },     { "ffn_down", s->n_embd, s->n_ff },
    };
    int k = i < N_BEFORE ? i : (i - N_BEFORE) % N_LAYER, l = (i - N_BEFORE) / N_LAYER;

    if (i >= N_BEFORE + N_LAYER * (int)s->n_layer)
        return false;
    t->rows = i < N_BEFORE ? before[k].rows : layer[k].rows;
    t->cols = i < N_BEFORE ? before[k].cols : layer[k].cols;
    t->quantized = t->rows > 1;
    if (i < N_BEFORE)
        snprintf(t->name, sizeof t->name, "%s.weight", before[k].name);
    else
        snprintf(t->name, sizeof t->name, "blk.%d.%s.weight", l, layer[k].name);
    return true;
}

/* So many blocks of q4_0 with random codes and one small scale: 18 bytes each, an fp16 and 32 nibbles. */
static uint8_t *random_blocks(Arena *a, int n)
{
    enum { SCALE = 0x1d1f };        /* 0.005: values stay small through many layers */
    uint8_t *p = ARENA_ARRAY(a, uint8_t, 18 * n);
    uint64_t x = 88172645463325252u;                         /* xorshift64 [Marsaglia 2003] */

    for (int i = 0; i < n; i++) {
        p[18 * i] = SCALE & 0xff;
        p[18 * i + 1] = SCALE >> 8;
        for (int k = 2; k < 18; k++) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            p[18 * i + k] = (uint8_t)(x >> 32);
        }
    }
    return p;
}

static bool put_tensor(GgufWriter *w, const Part *t, const uint8_t *blocks, int n_block, const float *ones)
{
    if (!t->quantized)
        return gguf_data(w, ones, (size_t)t->cols * sizeof *ones);
    for (int64_t left = t->rows * t->cols / 32; left > 0; left -= n_block)
        if (!gguf_data(w, blocks, 18 * (size_t)(left < n_block ? left : n_block)))
            return false;
    return true;
}

static bool write_model(FileSet *fs, Arena *a, Diag *d, const Shape *s, const char *path)
{
    enum { N_BLOCK = 4096 };
    OutFile *out = out_open(fs, a, d, path);
    GgufWriter *w;
    const uint8_t *blocks = random_blocks(a, N_BLOCK);
    float *ones = ARENA_ARRAY(a, float, s->n_embd);
    Part t;
    bool ok;

    if (!out)
        return false;
    for (uint32_t i = 0; i < s->n_embd; i++)
        ones[i] = 1;
    w = gguf_writer(a, sink_file(out), 32);
    gguf_put_str(w, "general.architecture", STR("llama"));
    gguf_put_u32(w, "llama.context_length", s->n_ctx);
    gguf_put_u32(w, "llama.embedding_length", s->n_embd);
    gguf_put_u32(w, "llama.block_count", s->n_layer);
    gguf_put_u32(w, "llama.feed_forward_length", s->n_ff);
    gguf_put_u32(w, "llama.attention.head_count", s->n_head);
    gguf_put_u32(w, "llama.attention.head_count_kv", s->n_head_kv);
    gguf_put_f32(w, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
    for (int i = 0; tensor_at(s, i, &t); i++)
        gguf_put_tensor(w, str_of(str_printf(a, "%s", t.name)), format_find(t.quantized ? STR("q4_0") : STR("f32")),
                        t.quantized ? 2 : 1, t.quantized ? (int64_t[]){ t.rows, t.cols } : (int64_t[]){ t.cols });
    ok = gguf_begin_data(w);
    for (int i = 0; ok && tensor_at(s, i, &t); i++)
        ok = put_tensor(w, &t, blocks, N_BLOCK, ones);
    return ok && gguf_end(w) && out_commit(out);
}

/* ---- programs ------------------------------------------------------------------------------------------------------ */

typedef struct {
    FileSet *fs;
    Arena *a;
    Diag *d;
    const char *dir;
    int n_rounds, n_core;
    int done, n_step;               /* for the progress bar */
} Tune;

static void next_step(Tune *k)
{
    progress(k->d, "tuning", (uint64_t)k->done, (uint64_t)k->n_step);
    k->done++;
}

/* One number of the tuning: where it is, what may be better, and how it is measured. */
typedef struct {
    const char *key, *unit;
    int64_t *(*of)(Target *t);
    int n_value;
    int64_t value[MAX_VALUES];
    const Shape *shape;
    int n_thread;
} Knob;

static int64_t *prefetch_of(Target *t) { return &t->tuning.prefetch; }
static int64_t *chunk_of(Target *t) { return &t->tuning.chunk; }
static int64_t *span_of(Target *t) { return &t->tuning.span; }
static int64_t *tokens_of(Target *t) { return &t->tuning.tokens; }

static const char *weights_of(Tune *k, const char *dir)
{
    return str_printf(k->a, "%s/tune.weights", dir);
}

/* The folder `dir` of shape s, for t, compiled. */
static bool build(Tune *k, const Shape *s, const Target *t, const char *dir)
{
    BuildOptions o = build_options_default();
    const char *argv[] = { "make", "-s", "-j", str_printf(k->a, "%d", k->n_core), "-C", dir, "tune", NULL };
    Arena *a = arena_child(k->a);
    Env env = { .target = &t, .n_target = 1, .opt = &o, .fs = k->fs, .scratch = arena_child(k->a) };
    Diag *quiet = diag_new(k->a, NULL);                      /* notes about these models are nobody's business */
    Module *m;
    Str out, err;
    int status;

    o.model = str_printf(k->a, "%s/%s.gguf", k->dir, s->name);
    o.name = "tune";
    o.spec = "none";
    next_step(k);
    if (mkdir(dir, 0777))
        return fail(k->d, AT_FILE(dir), "cannot make the folder: %s", strerror(errno));
    m = pipeline_module(k->fs, a, quiet, &o, o.model);
    if (!m || !passes_run(m, &env, quiet, NULL) || !codegen_folder(m, k->fs, dir, quiet)) {
        fwrite(diag_text(quiet).p, 1, diag_text(quiet).n, stderr);
        return fail(k->d, AT_FILE(dir), "a model to measure with could not be built");
    }
    status = program_run(k->a, k->d, argv, &out, &err);
    if (status > 0) {
        fwrite(err.p, 1, err.n, stderr);
        fail(k->d, AT_FILE(dir), "the C could not be compiled");
    }
    return status == 0;
}

/* Tokens per second of one run; 0 after a report. */
static double run(Tune *k, const Shape *s, const char *dir, const char *weights, int n_thread)
{
    const char *argv[] = { str_printf(k->a, "%s/tune", dir), "--weights", weights, "--ids", emitted_ids(k->a, s->prompt), "-n",
                           str_printf(k->a, "%d", s->generated), "--ignore-eos", "--print-ids", "--stats", "json", "-j",
                           str_printf(k->a, "%d", n_thread), NULL };
    Str out, err;
    double v = 0;
    int status = program_run(k->a, k->d, argv, &out, &err);

    if (status == 0 && emitted_stats(err, &s->stat, 1, &v) && v > 0)
        return v;
    if (status >= 0)
        fail(k->d, AT_FILE(argv[0]), "ended with exit status %d and without statistics", status);
    return 0;
}

/* ---- one number ---------------------------------------------------------------------------------------------------- */

/* The programs of a knob's candidates take turns; *best becomes the value that wins.  `base` is the folder of the present one. */
static bool turn(Tune *k, const Knob *knob, const Target *t, const char *base, int64_t *best)
{
    const char *dir[MAX_VALUES];
    double ratio[MAX_VALUES][MAX_ROUNDS], most = 1 + 0.01 * MARGIN_PERCENT;
    Buf line = buf_in(k->a);
    Target with = *t;
    int64_t now = *knob->of(&with);

    *best = now;
    for (int i = 0; i < knob->n_value; i++) {
        dir[i] = str_printf(k->a, "%s/%s-%s-%" PRId64, k->dir, knob->shape->name, knob->key, knob->value[i]);
        *knob->of(&with) = knob->value[i];
        if (!build(k, knob->shape, &with, dir[i]))
            return false;
        unlink(weights_of(k, dir[i]));  /* they are base's, whatever the tuning */
    }
    for (int r = 0; r < k->n_rounds; r++) {
        double present;

        next_step(k);
        present = run(k, knob->shape, base, weights_of(k, base), knob->n_thread);
        for (int i = 0; i < knob->n_value; i++) {
            double v = present > 0 ? run(k, knob->shape, dir[i], weights_of(k, base), knob->n_thread) : 0;

            if (v <= 0)
                return false;
            ratio[i][r] = v / present;
        }
    }
    for (int i = 0; i < knob->n_value; i++) {
        double x = median(ratio[i], k->n_rounds);

        buf_printf(&line, "%s%" PRId64 ": %+.1f %%", i ? ", " : "", knob->value[i], 100 * x - 100);
        if (x > most) {
            most = x;
            *best = knob->value[i];
        }
    }
    note(k->d, "%s: %" PRId64 "%s%s; beside %" PRId64 " are %s", knob->key, *best, knob->unit,
         *best == now ? " stays" : " is better", now, buf_z(&line));
    return true;
}

/* Values other than the present one. */
static void keep_others(Knob *knob, Target *t)
{
    int n = 0;

    for (int i = 0; i < knob->n_value; i++)
        if (knob->value[i] != *knob->of(t))
            knob->value[n++] = knob->value[i];
    knob->n_value = n;
}

/* ---- all of them --------------------------------------------------------------------------------------------------- */

/* Bytes of weights of a layer of `s` in q4_0, about. */
static uint64_t layer_bytes(const Shape *s)
{
    uint64_t e = s->n_embd, kv = e / s->n_head * s->n_head_kv;

    return (2 * e * e + 2 * e * kv + 3 * e * s->n_ff) * 18 / 32;
}

bool tune(FileSet *fs, Arena *a, Diag *d, Target *t, bool quick)
{
    enum { STREAM_LEAST = 64 << 20, STREAM_MOST = 384 << 20 };
    Shape stream = { "stream", 768, 3072, 12, 4, 2, 512, 4, quick ? 8 : 48, "decode_tps" },
          attention = { "attention", 512, 512, 8, 2, 2, 2048, quick ? 96 : 1024, 1, "prefill_tps" };
    int n_core = machine_cores();
    Knob knobs[] = {
        { "prefetch", " bytes", prefetch_of, quick ? 1 : 6, { 4096, 0, 2048, 8192, 16384, 32768 }, &stream, 1 },
        { "chunk", " bytes", chunk_of, quick ? 1 : 4, { 32768, 8192, 16384, 65536 }, &stream, n_core },
        { "span", "", span_of, quick ? 1 : 4, { 64, 128, 256, 512 }, &attention, 1 },
        { "tokens", "", tokens_of, quick ? 1 : 4, { 16, 4, 8, 32 }, &attention, n_core },
    };
    enum { N_KNOB = sizeof knobs / sizeof *knobs };
    Tune k = { .fs = fs, .a = a, .d = d, .n_rounds = quick ? 1 : 7, .n_core = n_core, .n_step = 2 };
    const char *root = getenv("TMPDIR"), *base[2];
    uint64_t bytes = 3 * (uint64_t)t->llc_bytes;
    OutDir *dir = outdir_open(fs, a, d, str_printf(a, "%s/sinter-tune", root && *root ? root : "/tmp"));
    int64_t best[N_KNOB];

    if (!dir)
        return false;
    k.dir = outdir_path(dir);       /* never committed: goes when the files are closed, whatever happens */
    bytes = bytes < STREAM_LEAST ? STREAM_LEAST : bytes > STREAM_MOST ? STREAM_MOST : bytes;
    if (quick)
        stream.n_embd = stream.n_ff = 384, stream.n_head = 6, stream.n_head_kv = 2;
    else
        stream.n_layer = (uint32_t)(bytes / layer_bytes(&stream)) + 1;
    for (int i = 0; i < N_KNOB; i++) {
        keep_others(&knobs[i], t);
        if (knobs[i].of == prefetch_of && strcmp(t->family, "x86_64"))
            knobs[i].n_value = 0;   /* nobody else's kernels look at it */
        if (knobs[i].n_value)
            k.n_step += knobs[i].n_value + k.n_rounds;
    }
    for (int s = 0; s < 2; s++) {
        const Shape *shape = s ? &attention : &stream;

        base[s] = str_printf(a, "%s/%s-base", k.dir, shape->name);
        if (!write_model(fs, a, d, shape, str_printf(a, "%s/%s.gguf", k.dir, shape->name)) || !build(&k, shape, t, base[s]))
            return false;
    }
    for (int i = 0; i < N_KNOB; i++) {
        best[i] = *knobs[i].of(t);
        if (knobs[i].n_value && !turn(&k, &knobs[i], t, base[knobs[i].shape == &attention], &best[i]))
            return false;
    }
    progress(d, "tuning", (uint64_t)k.n_step, (uint64_t)k.n_step);
    for (int i = 0; i < N_KNOB; i++)
        *knobs[i].of(t) = best[i];
    return true;
}
