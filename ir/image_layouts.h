/* How weights of integer networks are packed for a kernel: one row for each way.  The kernels are in runtime/kernels (image.h says what a layer
 * is to them), where each way is drawn; contracts name a row by `layout=`.
 *
 * Packing is lossless and needs all of a layer at once: a layer of such a network is small (the largest of MobileNet has 1 MB). */
#ifndef SN_IMAGE_LAYOUTS_H
#define SN_IMAGE_LAYOUTS_H

#include "ir/base/base.h"

/* The numbers of a layer.  A fully connected one has kernel_h = kernel_w = 1. */
typedef struct {
    int64_t n_out;
    int64_t kernel_h, kernel_w;
    int64_t n_in;               /* input channels that one output sees; depthwise: 1 */
    bool depthwise, fully;
    const int8_t *w;            /* [n_out][kernel_h][kernel_w][n_in]; depthwise [kernel_h][kernel_w][n_out] */
    const int32_t *bias;        /* [n_out], with -x_zero * (sum of w) in it */
    const int32_t *mult;        /* [n_out], Q0.31; of a fully connected layer all are equal, and are in its descriptor */
    const int32_t *shift;       /* [n_out]: left > 0, right < 0; likewise */
    int zero, lo, hi;           /* of the outputs */
    int x_zero;                 /* of the inputs */
    int w_bits;                 /* 8, or 4: all weights are -8 .. 7 */
    /* What a kernel may ask for besides (fits); of a fully connected layer 1, 0 or n_in and n_out. */
    int64_t stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
    int64_t in_h, in_w, in_c, out_h, out_w;
} ImageLayer;

typedef struct {
    const char *name;
    const char *help;
    /* Can it hold this layer, so that the kernel's sums do not overflow, and does the kernel take such windows?  NULL: always. */
    bool (*fits)(const ImageLayer *l);
    uint64_t (*weight_bytes)(const ImageLayer *l);
    uint64_t (*channel_bytes)(const ImageLayer *l);
    /* Writes exactly as many bytes, little-endian. */
    void (*pack)(const ImageLayer *l, uint8_t *weights, uint8_t *channels);
} ImageLayout;

const ImageLayout *image_layout_find(Str name);              /* NULL: no such layout */
const ImageLayout *const *image_layouts(void);               /* NULL-terminated */

/* How a panel holds `positions` positions of k inputs each (image.h): its bytes; 0: no such panel. */
uint64_t image_panel_bytes(Str panel, int64_t k, int64_t positions);

/* The ways of one instruction set each stand in a file of their own. */
extern const ImageLayout image_layout_rows, image_layout_taps, image_layout_fully;   /* image_layouts.c: portable */
extern const ImageLayout image_layout_pairs_relu, image_layout_pairs_any, image_layout_words, image_layout_pairs4,     /* image_layouts_dsp.c */
    image_layout_taps3, image_layout_taps3_5, image_layout_taps3_any;
extern const ImageLayout image_layout_pairs16_relu, image_layout_pairs16, image_layout_pairs16_any, image_layout_narrow16, image_layout_taps8, image_layout_taps4,
    image_layout_rows4;                                                              /* image_layouts_mve.c */

#endif
