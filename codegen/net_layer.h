/* The numbers of a layer of an integer network, read from the Module's weights: what packers want (ir/image_layouts.h). */
#ifndef SN_NET_LAYER_H
#define SN_NET_LAYER_H

#include "ir/image_layouts.h"
#include "ir/net.h"

/* Fills *l for a stage of int8 of kind window or fully: weights as they are, biases with the zero point's part in them, a multiplier and a shift for each
 * output.  Arrays are in `a`.  false after a report: a weight is not at hand. */
bool net_layer(const Module *m, const Op *fused, const NetStage *s, Arena *a, Diag *d, ImageLayer *l);

/* Are the bytes of this weight here to be looked at?  (Not where a Module's text is alone.) */
bool net_at_hand(const Module *m, const Weight *w);

/* All numbers of a weight of integers, or of floats. */
const int32_t *net_ints(const Module *m, const Weight *w, Arena *a, Diag *d);
const float *net_floats(const Module *m, const Weight *w, Arena *a, Diag *d);

/* The range that a stage leaves: its format's, or that of its last op. */
void net_range(const NetStage *s, double *lo, double *hi);
/* The zero point of its result (int8). */
int64_t net_zero(const NetStage *s);

#endif
