/* What a stage of a network without tokens (integers, images; docs/networks.md) is made of: what its passes and its writer both ask; see net.c.
 *
 * Such a Module has one entry, "run", whose shapes are all constant.  Its functions are lists of stages (`fused` ops of kind "image") and of
 * reshapes, which are no work: their result lies where their operand does. */
#ifndef SN_NET_H
#define SN_NET_H

#include "ir/ir.h"

/* Is this Module such a network? */
bool module_is_network(const Module *m);

/* What is no stage: reshapes, whose result lies where their operand does; `load` and `store` of a state; a `scan`, whose region holds stages again; ends. */
bool net_is_stage(const Op *o);

/* All of them and the stages, in the order in which they run, those of a scan's region (up to its yield) between the scan and what follows it:
 * for (o = f->body->first; o; o = net_next(o)). */
Op *net_next(const Op *o);

/* What a tensor is another name of: the operand of its reshape, the parameter that a scan carries of its result; itself. */
const Value *net_root(const Value *v);

typedef enum {
    NET_none,       /* nothing that has a name: cannot be written */
    NET_window,     /* conv2d or dwconv2d, or a matmul whose outputs have their own multipliers; bias; requant, or of floats relu or clamp */
    NET_pool,       /* avgpool or maxpool; relu or clamp */
    NET_fully,      /* matmul, for each row of x; bias; requant, relu or clamp */
    NET_add,        /* two images of int8 with the same shape: requant, requant, add, requant */
    NET_softmax,    /* softmax_int or softmax */
    NET_chain,      /* a depthwise window of int8 and the pointwise one that alone reads its result: a group of rows goes through both */
    NET_map,        /* element by element; operands of fewer elements repeat */
    NET_sum,        /* sum, and what follows element by element */
    NET_move,       /* one op that moves elements: concat, slice, pad, transpose, gather; argmax, which finds their places */
    NET_products,   /* a contraction that no kernel computes as it stands (transposed, of int16, of two tensors, to other formats than int8), and what
                     * follows element by element: plain loops */
    NET_call        /* one op that is a function of the kernels' library: resize, l2norm_int */
} NetKind;

typedef struct {
    NetKind kind;
    const Op *op;           /* conv2d, dwconv2d, matmul, avgpool, maxpool, add, softmax(_int), sum, what moves; map: its last op */
    const Op *bias;         /* the `add` of a bias; NULL: there is none */
    const Op *end;          /* requant, relu or clamp behind it; NULL: likewise */
    const Op *rescale[2];   /* of an add: what its operands go through */
} NetStage;

/* The numbers of a window: of a matmul those of a window of 1 x 1 over the rows of x.  Attributes left out are those of pools. */
typedef struct {
    int64_t in_h, in_w, in_c, out_h, out_w, out_c;
    int64_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
    int64_t n_images;       /* N */
    int64_t n_groups;       /* of channels; depthwise: 1 */
} NetWindow;

/* By the ops of a stage's region alone.  Of a chain: op, bias and end are those of its first part. */
NetStage net_stage(const Op *fused);
/* Part 0 of a chain, its depthwise window, and part 1, the pointwise one; of other stages part 0 is all. */
NetStage net_part(const Op *fused, int i);
/* Is it a window of 1 x 1 that reads each position of an image of the result's size, without padding? */
bool net_is_pointwise(const NetWindow *w);
/* For fuse, which has no stages yet: can op o, a convolution, begin a window of int8, and may `end` end one? */
bool net_begins_window(const Op *o);
bool net_ends_window(const Op *end);

/* Is it computed element by element (of numbers of any kind), so that a map may hold it? */
bool net_is_map(const Op *o);

/* May `next`, whose operand i is the only use of o's result, be computed in the stage that ends with o?  (o, or what a stage of it already holds.) */
bool net_may_follow(const NetStage *s, const Op *next, int i);

NetWindow net_window(const NetStage *s);

/* A constant dimension of t (all are); beyond its rank, from the left: 1. */
int64_t net_dim(Type t, int i);

/* The weight that a value of a stage's region stands for, NULL: it is a tensor. */
const Weight *net_weight(const Op *fused, const Value *v);
/* Is v a tensor of the network (and no weight, no state)? */
bool net_is_tensor(const Value *v);
/* Which parameter of the region v is, -1: none. */
int net_param(const Op *fused, const Value *v);

#endif
