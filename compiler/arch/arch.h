/* arch: Model -> Module, one file per model family.
 *
 *   arch.c    the table of families; what every Module gets: its name, the source file, entries, facts
 *   find.c    tensors by name, with the shape that they must have
 *   rope.c    the frequencies of rotary embeddings under each kind of scaling
 *   llama.c   the llama family
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

/* ---- the families -------------------------------------------------------------------------------------------------- */

bool arch_llama(Module *m, const Model *model, const BuildOptions *o, Diag *d);

#endif
