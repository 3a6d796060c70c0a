/* What fuse.c asks fuse_image.c. */
#ifndef SN_FUSE_H
#define SN_FUSE_H

#include "compiler/passes/passes.h"

/* Groups the ops of a network's function; its return is `end`.  group[i], -1 before, becomes the group of op i, kind[g] what g is; NULL: one op that
 * stays as it is.  chains: depthwise and
 * pointwise windows may be one.  Returns the number of groups, at most n. */
int fuse_image(Op *const *op, int n, const Op *end, bool chains, int *group, const char **kind);
/* Has the target's best instruction set that multiplies panels a depthwise convolution that fills them? */
bool fuse_chains(const Env *env);

#endif
