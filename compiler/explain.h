/* explain: what the stages of a scheduled Module are made of, what they cost, and why they are as they are.
 *
 *   explain.c          facts and words: a stage's ops by role, its bytes, chunks and modelled time; an entry's totals
 *   explain_stage.c    everything about one stage, with reasons
 *   explain_net.c      networks without tokens
 *   cmd_explain.c      the command, the table of stages, JSON
 *
 * The Module has passed module_verify and codegen_check, and no function that is called calls others. */
#ifndef SN_EXPLAIN_H
#define SN_EXPLAIN_H

#include "codegen/kernels.h"
#include "compiler/passes/passes.h"

enum { EXPLAIN_MAX_TARGETS = 8 };

/* A target of the folder. */
typedef struct {
    const Target *target;           /* NULL: nothing is known of its speed */
    int n_threads;                  /* of the model */
    const char *name;
    const KernelUnit *unit;
    const char *const *isas;
} Chip;

/* What is the same for all stages. */
typedef struct {
    Arena *a;
    Diag *d;
    Module *m;
    const char *name;               /* of the folder's program */
    Chip chip[EXPLAIN_MAX_TARGETS]; /* times are those of the first */
    int n_chip;
    int64_t *val;                   /* of each symbol, for the entry at hand: explain_total sets them */
    Buf *out;
} Look;

/* Stages that run one after another, once for each of `times` calls with weights of their own. */
typedef struct {
    const Func *func;
    const Op *first, *last;         /* first NULL: none */
    int times;
    bool shown;                     /* the same stages as an earlier block's */
} Block;

/* One run of a stage. */
typedef struct {
    uint64_t weight_bytes;          /* tensors that it reads as a whole */
    uint64_t row_bytes;             /* rows of tables */
    uint64_t state_bytes;           /* of the cache, for each position that attention sees */
    uint64_t macs;                  /* 8-bit multiply-adds */
    uint64_t float_macs;            /* others, which the model does not time */
    int64_t n_chunk, chunk_bytes;   /* chunk_bytes: weights of the largest chunk, 0: it reads none of its own */
    uint64_t ps;                    /* modelled; 0: unknown, or nothing that the model knows of */
} Facts;

/* One run of an entry: as many tokens as it may have, logits of one. */
typedef struct {
    const Entry *entry;
    Block *block;
    int n_block;
    int n_stage, n_op;              /* executed; ops: what `--fuse none` would make stages of */
    int n_layer, least, most;       /* layers, and stages of each */
    uint64_t weight_bytes, row_bytes, state_bytes, ps;
    uint64_t head_bytes;            /* of weight_bytes: what follows the last layer */
    bool float_macs;
} Total;

/* What an op is to its stage. */
typedef enum { PART_prologue, PART_anchor, PART_epilogue, PART_row } Part;

/* ---- explain.c: words -------------------------------------------------------------------------------------------------- */

const char *explain_show(Look *k, const char *s);                        /* safe to print, and not too long */
const char *explain_number(Look *k, uint64_t v);                         /* "1 234 567" */
const char *explain_percent(Look *k, uint64_t part, uint64_t whole);     /* "14.3 %" */
const char *explain_time(Look *k, uint64_t ps);                          /* "5.79 us" */
const char *explain_many(Look *k, int64_t n, const char *what);          /* "1 head", "2 heads" */
const char *explain_list(Look *k, const char *const *v, int n);          /* "a, b and c" */
const char *explain_value_name(Look *k, const Value *v);
const char *explain_op_name(Look *k, const Op *o);
const char *explain_stage_name(Look *k, const Op *s);
const char *explain_c_name(Look *k, const Func *f, const Op *s);         /* of the stage's function in the emitted C */
const char *explain_fuse_spec(Look *k);                                  /* what --fuse was when the folder was made */
const char *explain_op(Look *k, const Op *s, const Op *o);               /* what an op around a contraction does: "residual add" */
const char *explain_part_words(Look *k, const Op *s, Part part);         /* "norm, quantize to q8"; "" where there is none */
const char *explain_stage(Look *k, const Op *s);                         /* prologue -> contractions -> epilogue */
/* The query heads of a chunk of attention, with so many threads as the first target has: "a head", "3 heads", and what follows. */
const char *explain_heads(Look *k, const Op *s, const char *then);
const char *explain_chunks(Look *k, const Op *s, const Facts *f);        /* "12 of 8 704 B" */
const char *explain_call(Look *k);                                       /* "256 tokens, logits of one" */

/* ---- explain.c: facts -------------------------------------------------------------------------------------------------- */

Part explain_part(const Op *s, const Op *o);
int explain_n_ops(const Op *s);
uint64_t explain_weight_bytes(const Value *w);                           /* of all tiles */
uint64_t explain_tile_bytes(const Value *w, bool row);                   /* of one tile, or of a row of one */
uint64_t explain_row_bytes(Look *k, const Value *v);                     /* one token's row of a tensor, one position of a state */
int64_t explain_chunk_bytes(const Op *s, int g);                         /* weights of one chunk of group g */
bool explain_has_figures(const Chip *c);
/* Of a stage whose entry reads all_bytes of weights in a call. */
Facts explain_facts(Look *k, const Op *s, uint64_t all_bytes);
Total explain_total(Look *k, const Entry *e);
int explain_times(const Total *t, const Func *f);                        /* how often a call of the entry runs a function's stages */
uint64_t explain_token_ps(const Look *k, const Total *t);                /* of a call with the meetings of its threads; 0: unknown */
int64_t explain_sym(const Look *k, const char *name);                    /* a symbol's value in the entry at hand; 1: there is none */
const Op *explain_next(const Block *b, const Op *s);                     /* the stage behind s in its block, or NULL */

/* ---- explain_stage.c --------------------------------------------------------------------------------------------------- */

/* Is this attribute the name of a kernel for a target: "dot.0"? */
bool explain_kernel_attr(const Attr *t, int *target);
const char *explain_home(Look *k, const Op *s, const Value *v);          /* where a value of the region lies: "arena 704 .. 1215" */
void explain_print_stage(Look *k, const Total *t, const Func *f, const Op *s);


/* ---- explain_net.c ----------------------------------------------------------------------------------------------------- */

/* Stages, kernels, the memory; JSON: what follows the head, to the end. */
void explain_net_print(Look *k);
void explain_net_json(Look *k);

#endif
