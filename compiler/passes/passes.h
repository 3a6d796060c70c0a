/* passes: Module -> Module.  The table in passes.c is the pipeline, read from top to bottom.
 *
 *   canonicalize.c   rewrite rules (rules.def), then what nobody uses is removed
 *   specialize.c     one clone of a function for each of its entries
 *   act.c            activation formats: puts `quant` in front of contractions with integer codes
 *   fuse.c           which ops become one stage
 *   outline.c        identical layers become one function
 *   pack.c           a layout and a place in the weights file for every weight
 *   schedule.c       kernels, chunks and names of stages
 *   memory.c         addresses in the arena and in each thread's scratch
 *
 * After the last one the Module is *scheduled*: every op of a function is a `fused`, a `call` or the `return`, and carries the
 * attributes that docs/scheduled.md lists; codegen needs nothing else. */
#ifndef SN_PASSES_H
#define SN_PASSES_H

#include "compiler/compiler.h"

bool pass_canonicalize(Module *m, const Env *env, Diag *d);
bool pass_specialize(Module *m, const Env *env, Diag *d);
bool pass_act(Module *m, const Env *env, Diag *d);
bool pass_fuse(Module *m, const Env *env, Diag *d);
bool pass_outline(Module *m, const Env *env, Diag *d);
bool pass_pack(Module *m, const Env *env, Diag *d);
bool pass_schedule(Module *m, const Env *env, Diag *d);
bool pass_memory(Module *m, const Env *env, Diag *d);

/* ---- stages.c: what passes and codegen both ask of a fused op ------------------------------------------------------------ */

/* Most contractions of one stage: sets of them are bit masks. */
enum { MAX_ANCHORS = 32 };

/* An op computed element by element (its C expression is in the table). */
bool op_is_elementwise(const Op *o);
/* The contraction (or attention) of a stage, NULL for a row stage. */
Op *stage_anchor(const Op *fused);
/* Is `o`, an op inside a contract stage, computed before the contractions (whole rows), or after, on a tile? */
bool stage_is_prologue(const Op *fused, const Op *o);
/* May result `i_out` of a stage lie in the same memory as operand `i_in`?  True when the operand is read only by elementwise ops of the
 * epilogue, at the very elements that the result writes. */
bool stage_in_place(const Op *fused, int i_in, int i_out);
/* Contractions of a stage whose results meet in one elementwise op are computed tile by tile together ("paired"); others side by side.
 * Returns the group number of a contraction, groups numbered in order. */
int stage_group(const Op *fused, const Op *matmul);
int stage_n_groups(const Op *fused);
/* Is d at most one, in a function whose entry may bound its symbols (T = 1, O <= 1 in decode)? */
bool dim_is_one(const Func *f, Dim d);

#endif
