/* What kernels of integer networks share: how images lie in memory, and what a layer is to the kernel that computes it.
 *
 * Elements are int8_t with a zero point.  An image [H, W, C] (one at a time, N = 1) lies wherever its strides say, in bytes:
 *
 *     element (y, x, c) at p + y * row + x * col + c * chan
 *
 *     nhwc      chan = 1, col = C, row = W * C
 *     planar    col = 1, chan = bytes of a plane (H * row, or more), row = W, or W + 1: then the byte behind each row, which is also the
 *               one before the next row, holds the zero point, and so does the byte before the first one ("padded")
 *     lines     col = 1, chan = W (or W + 1), row = C * chan: planes cut into rows; what is computed row by row may overwrite what it came from
 *
 * Zero points.  Sums are taken of x as it is stored; what the zero point adds to them, -zero * sum of w, is part of the bias already, and
 * what lies outside an image is the zero point.  So no kernel subtracts anything.
 *
 * A convolution is two kernels with a *panel* between them: a *producer* writes the inputs of a few positions (outputs of one or more rows, one after another)
 * side by side, in the form that the *dot* wants; the dot multiplies them with the packed weights and stores finished outputs.
 * Producers: im2col, which copies the window of each position, and a depthwise convolution, whose outputs are a pointwise one's inputs.
 * A group of rows is  producer(layer, .., y, n);  dot(layer, .., y, n).  Where a kernel takes a pointwise convolution's input as it lies,
 * there is no producer.
 *
 *   panel=rows     [position][K], one byte each                                (portable)
 *   panel=rows16   [position / 4][K / 16][4][16], K up to a multiple of 16     (Helium; drawn in arm/helium.c)
 *   panel=pairs3   [position / 3][K / 4][2][3] of two int16_t                  (DSP; drawn in arm/dsp.c)
 *
 * From sums to outputs, for channel c, exactly (gemmlowp's way, as TensorFlow Lite Micro computes; arXiv:1712.05877):
 *
 *     v = sum + bias[c];  v = round(v * 2^left * mult[c] / 2^31), halves up;  v = round(v / 2^right), halves away from zero;
 *     y = clamp(v + zero, lo, hi)                                             shift[c] = left - right, one of them 0
 *
 * Each instruction set packs weights and these constants as it likes: ir/image_layouts.c, drawn there.
 *
 * What the kernel of an op is called with.  x and y are the addresses of elements (0, 0, 0), or of n numbers one after another; panels are
 * aligned to 4 bytes (rows16: 16).  Outputs lie at any strides; `x=` of the contract says which inputs a kernel takes: any; nhwc (chan = 1);
 * planar (col = 1); padded (planar, with the bytes of the zero point).  Places may overlap: nothing is `restrict`.  An output may
 * overwrite what has been read for it and before it.
 *
 *   im2col            (layer, panel, x, p, n)     inputs of the n outputs from output p on, counted row by row
 *   dot_panel         (layer, y, panel, p, n)     these outputs
 *   pointwise         (layer, y, x, p, n)         the same without a panel
 *   conv_groups       (layer, y, x, row, n)       n rows of outputs; SnGrouped
 *   depthwise         (layer, y, x, row, n)
 *   depthwise_panel   (layer, panel, x, row, n)   inputs of the pointwise convolution behind it
 *   avgpool, maxpool  (layer, y, x, row, n)
 *   fully             (layer, y, x)
 *   add               (layer, y, a, b, n)         y may be a or b
 *   softmax_int       (layer, y, x, n)            y may be x
 *
 * What else a contract may say: `before=`, `after=`: bytes beside the image that the kernel reads, whatever they are; `align=` of the image,
 * otherwise it has none; `in_place=1`: each output is written after everything that it and later ones need at that place or before it was read.
 *
 * and of floats: conv_f32, depthwise_f32, avgpool_f32, maxpool_f32 (layer, y, x, row, n), fully_f32 (layer, y, x), softmax_f32 (y, x, n). */
#ifndef SN_IMAGE_H
#define SN_IMAGE_H

#include "kernel.h"

/* A window that moves over an image: convolution, depthwise convolution, pooling. */
typedef struct {
    const void *weights;        /* packed; pools: NULL */
    const int32_t *channels;    /* packed: bias, multiplier, shift of each output channel */
    const int8_t *outside;      /* in_w + kernel_w bytes of the input's zero point: a row that lies outside (depthwise only; or NULL) */
    int32_t in_row;             /* strides in bytes, as above */
    int32_t in_chan;
    int32_t out_row;
    int32_t out_chan;
    int16_t in_col;
    int16_t out_col;
    int16_t in_h;               /* shapes */
    int16_t in_w;
    int16_t in_c;
    int16_t out_h;
    int16_t out_w;
    int16_t out_c;
    uint8_t kernel_h;
    uint8_t kernel_w;
    uint8_t stride_h;
    uint8_t stride_w;
    uint8_t dilation_h;
    uint8_t dilation_w;
    uint8_t pad_top;
    uint8_t pad_left;
    int8_t in_zero;             /* what lies outside */
    int8_t zero;                /* of the outputs */
    int8_t lo;                  /* their range */
    int8_t hi;
} SnWindow;

/* A convolution whose channels are in groups: outputs of one see inputs of one. */
typedef struct {
    SnWindow window;
    int32_t n_groups;
} SnGrouped;

/* The same of floats: weights are floats, channels the bias alone as floats, or NULL; strides are in bytes as well. */
typedef struct {
    SnWindow window;
    int32_t n_groups;
    float lo;
    float hi;
} SnWindowF32;

/* A fully connected layer: y[n] = requantized sum over k of x[k] w[n, k] + bias[n].  One multiplier for all: where channels have their own it is
 * a window of 1 x 1 over an image of 1 x 1. */
typedef struct {
    const void *weights;
    const int32_t *bias;        /* packed */
    int32_t n_in;
    int32_t n_out;
    int32_t mult;
    int8_t shift;               /* left > 0, right < 0 */
    int8_t zero;
    int8_t lo;
    int8_t hi;
} SnFully;

/* The same of floats; channels: the bias, or NULL. */
typedef struct {
    const void *weights;
    const void *channels;
    int32_t n_in;
    int32_t n_out;
    float lo;
    float hi;
} SnFullyF32;

/* y = clamp(zero + requant(requant((a - a_zero) << left) + requant((b - b_zero) << left))): TensorFlow Lite's ADD.  shift as above, <= 0 */
typedef struct {
    int32_t a_mult;
    int32_t b_mult;
    int32_t mult;
    int8_t a_shift;
    int8_t b_shift;
    int8_t shift;
    int8_t left;
    int8_t a_zero;
    int8_t b_zero;
    int8_t zero;
    int8_t lo;
    int8_t hi;
} SnAdd;

/* An image [in_h, in_w, n_c] made larger or smaller, bilinear: how far one output is from the next in the input, in units of 2^-10, and as a float. */
typedef struct {
    int32_t in_h;
    int32_t in_w;
    int32_t n_c;
    int32_t out_h;
    int32_t out_w;
    int32_t half;               /* 1: pixels are where their middles are */
    int32_t scale_h;
    int32_t scale_w;
    float scale_h_f32;
    float scale_w_f32;
} SnResize;

/* softmax of int8 in fixed point, as gemmlowp does it: e^(d mult 2^(shift - 31) / 2^26) where d = x - max >= diff_min, 0 elsewhere */
typedef struct {
    int32_t mult;
    int16_t diff_min;
    int8_t shift;
} SnSoftmax;

#endif
