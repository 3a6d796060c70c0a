/* The cases of cases.json: small models whose logits are recorded in truth/.
 *
 *   cases.c    reads cases.json, computes token ids, reads truth/NAME.f32
 *
 * record.py, which makes the truth, defines what is recorded and how the ids are computed. */
#ifndef SN_TESTS_CASES_H
#define SN_TESTS_CASES_H

#include "ir/base/base.h"

enum { TRUTH_WINDOW = 12 }; /* logits recorded at a position that is not a sequence's last */

/* Rotary scaling as the Hugging Face configuration says it; what a type does not use is 0. */
typedef struct {
    const char *type; /* "default" "linear" "llama3" "yarn" */
    double theta, factor, low_freq_factor, high_freq_factor, beta_fast, beta_slow, attention_factor;
    int64_t original_ctx;
} RopeScaling;

typedef struct {
    const char *name, *type, *why; /* type: the storage format of matrices */
    const char *family;            /* "llama" "mistral" "qwen2" "qwen3" "gemma3" */
    const char *arch;              /* general.architecture of the file: mistral's is llama */
    uint64_t seed;
    int64_t n_vocab, n_embd, n_ff, n_layer, n_head, n_head_kv, head_dim, n_ctx;
    bool own_head_dim; /* the configuration says it */
    double eps;
    bool tied, qkv_bias, o_bias, mlp_bias, head_norms, post_norms;
    int64_t window;    /* 0: none */
    bool *local;       /* per layer: with the window; NULL: by the family's own pattern */
    double score_dim;  /* scores are divided by its root; 0: head_dim */
    double local_theta, logit_cap;
    RopeScaling rope;
} Case;

typedef struct {
    Case *c;
    int n;
    int64_t *length;
    int n_length;
    const char *dir;
} Cases;

/* Reads PATH (cases.json); everything is in the arena.  false after a report. */
bool cases_read(Arena *a, Diag *d, const char *path, Cases *out);
const Case *cases_find(const Cases *cs, Diag *d, const char *name); /* NULL after a report */

/* The n token ids of the case's sequence of length n. */
void case_ids(const Case *c, int64_t n, int32_t *ids);

/* What is recorded of one position: the largest |logit| of its row, and `n` logits beginning at
 * token `first`, wrapping. */
typedef struct {
    float max_abs;
    int64_t first, n;
    const float *logit;
} TruthRow;

/* rows: n of them, for the sequence of length n, which must be one of cases.json's.  The values are
 * in the arena. */
bool case_truth(Arena *a, FileSet *fs, Diag *d, const Cases *cs, const Case *c, int64_t n,
                TruthRow *rows);

#endif
