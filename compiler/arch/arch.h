/* arch: Model -> Module, one file per model family.
 *
 *   arch.c    the table of families; what every Module gets: its name, the source file, entries, facts
 *   find.c    tensors by name, with the shape that they must have
 *   rope.c    the frequencies of rotary embeddings under each kind of scaling
 *   hyper.c   the hyperparameters of decoders, by key
 *   blocks.c  the graph of decoders that are made of attention and a gated feed-forward part
 *   llama.c qwen2.c qwen3.c gemma3.c pocket.c    a family each: what it does in its own way
 *   tflite.c  files that bring their graph along: operator by operator
 *
 * A family reads hyperparameters, asks for its tensors, and writes down the forward pass as ops.  It decides nothing that depends on a chip or on
 * speed, and it reports every tensor that is missing or misshaped, not the first. */
#ifndef SN_ARCH_H
#define SN_ARCH_H

#include "compiler/compiler.h"

/* ---- find.c -------------------------------------------------------------------------------------------------------- */

/* The tensors of a Model becoming the weights of a Module.  What was asked for is remembered, so that what was not can be reported. */
typedef struct {
    Module *m;
    const Model *model;
    Diag *d;
    int file;                   /* of the Module: the Model's */
    bool *used;                 /* one flag per tensor of the model */
    bool ok;                    /* false once something was missing or misshaped */
    int n_missing;
} Finder;
Finder finder_new(Module *m, const Model *model, int file, Diag *d);

/* The weight `name`: a matrix [n_out, n_in] in the format that it has, or a vector [n] as f32 (converted if it is not).
 * want_n etc. < 0: whatever it has.  NULL after a report, or when it is not there and `required` is false. */
Weight *find_matrix(Finder *f, const char *name, int64_t n_out, int64_t n_in);
Weight *find_vector(Finder *f, const char *name, int64_t n, bool required);
/* A tensor whose numbers the family itself needs now; it does not become a weight. */
const ModelTensor *find_tensor(Finder *f, const char *name, int rank, const int64_t *dim);
/* Tensors that a file may have and that this family does not need. */
void find_ignore(Finder *f, const char *name);
/* Reports the tensors that nobody asked for: a model with weights that are not used would compute something else. */
bool finder_done(Finder *f);

/* ---- rope.c -------------------------------------------------------------------------------------------------------- */

typedef enum { ROPE_none, ROPE_linear, ROPE_yarn } RopeKind;
typedef struct {
    RopeKind kind;
    int n_rot;                  /* dimensions of a head that are rotated, even */
    double theta;               /* the base of the frequencies */
    double factor;              /* > 0: how much longer the context is than the original */
    double n_ctx_orig;          /* yarn */
    double attn_factor, ext_factor, beta_fast, beta_slow;    /* yarn */
} RopeScaling;

/* freq[i], i < n_rot / 2, and the factor of sine and cosine.  `divisor` (n_rot / 2 numbers) divides the frequencies; NULL: none.
 * The same bits on every machine: computed with + - * / alone. */
void rope_frequencies(const RopeScaling *s, const float *divisor, float *freq, double *mscale);
double rope_log(double x);      /* x > 0: natural logarithm */
double rope_exp(double x);

/* ---- hyper.c ------------------------------------------------------------------------------------------------------- */

typedef struct Family Family;

/* What a family reads its keys through. */
typedef struct { Arena *a; const Model *model; Diag *d; const Family *family; } Keys;

/* "llama.block_count" for "block_count", and where it is. */
const char *key_name(const Keys *k, const char *what);
Loc key_loc(const Keys *k, const char *what);
/* As model_u32 and model_f32. */
bool key_u32(const Keys *k, const char *what, uint32_t *out, bool required);
bool key_f32(const Keys *k, const char *what, float *out, bool required);
/* The base of RoPE's frequencies: over 1, and *theta as it was where the file does not say. */
bool key_base(const Keys *k, const char *what, float *theta);

/* All in the arena of the Module; everything in range. */
typedef struct {
    uint32_t n_layer, n_embd, n_ctx, head_dim;
    uint32_t *n_head, *n_head_kv, *n_ff;                     /* per layer; n_head a multiple of n_head_kv > 0 */
    uint32_t *window;           /* per layer: how many positions a token sees, its own among them; 0: all */
    int64_t n_vocab;            /* rows of token_embd.weight; -1: it is not there */
    float eps;
    float embd_scale;           /* embeddings are multiplied by it */
    uint32_t n_layer_embd;      /* columns of each layer's own table of embeddings; 0: there are none */
    float logit_cap;            /* c: logits become c tanh(logits / c); 0: they stay */
    double attn_scale;          /* of q . k */
    RopeScaling rope;
    RopeScaling local_rope;     /* of the layers with a window; n_rot 0: the same as the others' */
} Hyper;

/* Reads all of it.  false after a report, also where the file asks for something that is not there yet. */
bool hyper_read(const Keys *k, Hyper *h);
void hyper_facts(Module *m, const Hyper *h);                 /* as meta of the Module: n_embd, n_layer, ... */

/* ---- blocks.c ------------------------------------------------------------------------------------------------------ */

typedef enum {
    BIAS_none,
    BIAS_qkv,                   /* on q, k and v, in all layers or in none */
    BIAS_any                    /* on each matrix of a block there may be one */
} Bias;

/* In what one family of decoders differs from the others. */
struct Family {
    const char *name;           /* general.architecture, and what its keys begin with */
    const char *pairing;        /* of RoPE: "norm" or "neox" (ir/ops.def) */
    OpKind act;                 /* on the gate: OP_silu or OP_gelu_tanh */
    Bias bias;
    bool head_norms;            /* each head of q and k is normed, before RoPE */
    bool post_norms;            /* what attention and the feed-forward part add to x is normed */
    uint32_t window_period;     /* a window is there in all layers but the last of so many; 0: in all */
    bool (*hyper)(const Keys *k, Hyper *h);                  /* what else it reads or sets, at the end; NULL: nothing */
};
bool arch_decoder(Module *m, const Model *model, const BuildOptions *o, Diag *d, const Family *fam);

/* ---- the families -------------------------------------------------------------------------------------------------- */

bool arch_llama(Module *m, const Model *model, const BuildOptions *o, Diag *d);
bool arch_qwen2(Module *m, const Model *model, const BuildOptions *o, Diag *d);
bool arch_qwen3(Module *m, const Model *model, const BuildOptions *o, Diag *d);
bool arch_pocket(Module *m, const Model *model, const BuildOptions *o, Diag *d);
bool arch_gemma3(Module *m, const Model *model, const BuildOptions *o, Diag *d);

/* ---- tflite.c ------------------------------------------------------------------------------------------------------ */

struct TfGraph;
bool arch_tflite(Module *m, struct TfGraph *g, Diag *d);     /* entry "run", with the file's inputs and outputs */

#endif
