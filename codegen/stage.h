/* One stage function while it is printed: what its parts (whole rows, tiles, contractions, attention) share.
 *
 * Functions that can fail have reported it then.  Strings are C expressions or identifiers and live in the writer's arena. */
#ifndef SN_STAGE_H
#define SN_STAGE_H

#include "codegen/c.h"
#include "ir/stages.h"

/* What a value of the region is called in C, while one stage is printed. */
typedef struct {
    const Value *v;
    const char *base; /* pointer to the whole tensor (external values and results), NULL: none */
    const char *row;  /* pointer to the present row (prologues, row stages), NULL: none */
    const char *tile; /* local array of the tile, NULL: none */
    const char *expr; /* value at [k] of the tile, NULL: none */
    const char *block; /* local array of the tiles of a block of tokens, NULL: none */
} Name;

typedef struct {
    Writer *w;
    Emit *e;
    const Func *f;
    const Op *s; /* the stage */
    const Region *r;
    int i_target;
    const KernelUnit *unit;
    bool *wanted; /* of the unit's entities */
    Name *name;
    int n_name;
    const char **taken;
    int n_taken; /* identifiers in use in this function */
} Stage;

/* Where a tile lies in its row: i is its first element, n its width (a C expression), t its row. */
typedef struct {
    const char *i, *n, *t;
    int64_t width;
    int64_t n_row;
} Tile;

/* ---- names: stage.c ---- */

/* An identifier like `base` that this function does not use yet. */
const char *fresh_name(Stage *z, const char *base);

/* What v is called; made on first use. */
Name *name_of(Stage *z, const Value *v);

/* A kernel or helper by its C name, or the one that op o has for `role`: it and what it needs will be in kernels_ISA.h. */
const char *use_kernel(Stage *z, const char *kernel);
const char *kernel_of(Stage *z, const Op *o, const char *role);

/* Reports that the writer has no C for o here; false. */
bool cannot_write(Stage *z, const Op *o);

const char *c_type(const Format *f);

/* Elements of the C type in a row (of i8gG: its bytes): everything behind the first dimension.  A vector of constant length is one row (of a weight),
 * one of symbolic length has a number per row (ids, positions). */
int64_t row_width(const Value *v);

/* Elements along the innermost dimension. */
int64_t inner_width(const Value *v);

/* x as a float constant. */
const char *float_c(Stage *z, double x);

/* ---- whole rows: stage_rows.c ---- */

/* One op on row t (a C expression), in a row stage or a prologue. */
bool row_op(Stage *z, const Op *o, const char *t);

/* The op's expression from the table, with its operands put in. */
const char *expand_op(Stage *z, const Op *o, const char *const *operand);

/* Rotates the heads among the first n numbers of `from` into `to`; cs: the angles' cosines and sines. */
void rope_heads(Stage *z, const Op *o, const char *to, const char *from, const char *cs, const char *n);

bool row_stage(Stage *z);

/* ---- tiles: stage_tiles.c ---- */

/* The ops that come after the contractions whose tiles are at hand, or after an attention, and the stores of results. */
bool epilogue(Stage *z, const Tile *at);

/* Before and inside the loop over the tokens u .. u + n_t - 1 of a block of four: elementwise ops that have kernels and work on results of
 * the n contractions mm, which lie in all[k] token after token, go through the block in one call.  The chain of operations of one vector
 * is long, and token after token would wait for it.  block_tiles declares the tiles of contractions and ops at token t. */
void block_maps(Stage *z, const Op *const *mm, const char *const *all, int n, const Tile *at);
void block_tiles(Stage *z, const Op *const *mm, const char *const *acc, const char *const *all, int n, const Tile *at);

/* Tiles and expressions hold for one group of contractions, or one loop, only. */
void forget_tiles(Stage *z);

/* ---- a head of two stages: stage_head.c ---- */

/* Is o one? */
bool is_two_stage(const Op *o);
/* At the top of the stage; where a thread begins with it: x is its row of n_in activations; the logits of a tile, in acc[0..32). */
void head_begin(Stage *z, const Op *o);
void head_prologue(Stage *z, const Op *o, const char *x, int64_t n_in);
void head_tile(Stage *z, const Op *o, const char *acc, const char *tile, const char *next, const char *x, int64_t n_in,
               const Tile *at);

/* ---- the stages with an anchor ---- */

bool contract_stage(Stage *z);     /* stage_contract.c */
/* The n contractions mm of group g, whose tiles begin at `tile`, through panels, for `rows` tokens, with their epilogue: stage_gemm.c. */
bool many_tokens(Stage *z, const Op *const *mm, int n, int g, const char *const *tile, const char *rows, Tile *at);
bool attention_stage(Stage *z);    /* stage_attention.c */

#endif
