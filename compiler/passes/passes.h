/* passes: Module -> Module.  The table in passes.c is the pipeline, read from top to bottom.
 *
 *   canonicalize.c   rewrite rules (rules.def), then what nobody uses is removed
 *   quantize.c       --quant: weights rounded to a smaller format
 *   channels.c       channels of integer networks that nothing depends on
 *   specialize.c     one clone of a function for each of its entries
 *   act.c            activation formats: puts `quant` in front of contractions with integer codes
 *   fuse.c           which ops become one stage
 *   outline.c        identical layers become one function
 *   pack.c           a layout and a place in the weights file for every weight
 *   schedule.c       kernels, chunks and names of stages
 *   place.c          memories of a board
 *   memory.c         addresses in the arena and in each thread's scratch
 *
 * After the last one the Module is *scheduled*: every op of a function is a `fused`, a `call` or the `return`, and carries the
 * attributes that docs/scheduled.md lists; codegen needs nothing else. */
#ifndef SN_PASSES_H
#define SN_PASSES_H

#include "compiler/compiler.h"
#include "ir/stages.h"

enum { COMMON_THREADS = 4 };    /* where the target does not say: how many cores that do the work */

bool pass_canonicalize(Module *m, const Env *env, Diag *d);
bool pass_quantize(Module *m, const Env *env, Diag *d);
bool pass_channels(Module *m, const Env *env, Diag *d);
bool pass_specialize(Module *m, const Env *env, Diag *d);
bool pass_act(Module *m, const Env *env, Diag *d);
bool pass_fuse(Module *m, const Env *env, Diag *d);
bool pass_outline(Module *m, const Env *env, Diag *d);
bool pass_pack(Module *m, const Env *env, Diag *d);
bool pass_schedule(Module *m, const Env *env, Diag *d);
bool pass_memory(Module *m, const Env *env, Diag *d);
bool pass_place(Module *m, const Env *env, Diag *d);

/* ---- fuse.c: what may be fused, as a set of names ---- */

/* Reads SPEC: names separated by commas, from left to right.  `default` is all of them, `none` is the empty set, a name adds and -NAME
 * takes away; where SPEC begins with -NAME, it begins with all.  false: *wrong is the first word that is no such name. */
bool fuse_parse(Str spec, unsigned *set, Str *wrong);
/* The SPEC by which a folder names a set: NULL where it is all, "none", or the names. */
const char *fuse_text(Arena *a, unsigned set);
const char *const *fuse_names(void);                         /* NULL-terminated */

#endif
