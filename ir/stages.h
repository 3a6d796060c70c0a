/* What a stage (a `fused` op) is made of: what passes and codegen both ask; see stages.c. */
#ifndef SN_STAGES_H
#define SN_STAGES_H

#include "ir/ir.h"

/* Most contractions of one stage (sets of them are bit masks); rows of a tile of packed weights; most elements that an epilogue holds
 * at a time; most query heads of a chunk of attention. */
enum { MAX_ANCHORS = 32, TILE_ROWS = 32, MAX_WIDTH = 512, MAX_HEADS = 8 };

/* An op computed element by element (its C expression is in the table). */
bool op_is_elementwise(const Op *o);
/* The contraction (or attention) of a stage, NULL for a row stage. */
Op *stage_anchor(const Op *fused);
/* Is `o`, an op inside a contract stage, computed before the contractions (whole rows, by every thread for itself), or after, on a tile?
 * What a prologue makes may be a result of the stage as well: whoever computes the first chunk stores it. */
bool stage_is_prologue(const Op *fused, const Op *o);
/* May result `i_out` of a stage lie in the same memory as operand `i_in`?  True when the operand is read only by elementwise ops of the
 * epilogue, at the very elements that the result writes. */
bool stage_in_place(const Op *fused, int i_in, int i_out);
/* Contractions of a stage whose results meet in one elementwise op are computed tile by tile together ("paired"); others side by side.
 * Returns the group number of a contraction, groups numbered in order. */
int stage_group(const Op *fused, const Op *matmul);
int stage_n_groups(const Op *fused);
/* How many elements of a row op `o` of an epilogue must see together: a head (norms of heads, rope in halves), a block (quant), or 1. */
int64_t op_reach(const Op *o);
/* The smallest number of elements that holds whole numbers of a and of b. */
int64_t width_of_both(int64_t a, int64_t b);
/* Elements of a row that the epilogue of a group of contractions works on at a time: whole tiles and whole heads, 32 or more. */
int64_t stage_width(const Op *fused, int group);
/* Query heads in a chunk of an attention stage: 1, or as many of a group (which share K and V) as its attributes say for so many threads:
 * heads[i] up to threads[i], the last of `heads` for all others. */
int64_t stage_heads(const Op *fused, int n_threads);
/* The most that any number of threads gets. */
int64_t stage_most_heads(const Op *fused);
/* Does a contraction unpack its weights into panels (its activations are i8g64 .. i8g256)?  Bytes of one tile's panel, a multiple of
 * 64: codes, then a scale for each row and group. */
bool op_takes_panels(const Op *matmul);
uint64_t op_panel_bytes(const Op *matmul);
/* The contraction of a stage whose results are what function f, an entry's, returns, just as they are, for one token at most, and that shares its
 * tiles with no other one: the head of decoding.  NULL: the stage has none. */
Op *stage_head(const Func *f, const Op *fused);
/* Is d at most one, in a function whose entry may bound its symbols (T = 1, O <= 1 in decode)? */
bool dim_is_one(const Func *f, Dim d);

#endif
