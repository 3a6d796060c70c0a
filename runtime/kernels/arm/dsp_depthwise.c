/* Depthwise convolutions of 3 x 3 for SMLAD: planes, so that a word of an image is four columns of one channel.
 *
 * SXTB16 of the word at column j is the columns (j, j+2), of the word turned by 8 (j+1, j+3): the first is multiplied with the outer two weights of a row by
 * SMLAD, the middle one by SMLAxB.  Three outputs side by side (positions of one panel's word) take 36 such steps with stride 1:
 *
 *     columns     j  j+1  j+2  j+3  j+4          words A at j and B at j+2; outputs a, b, c
 *     a           w0  w1   w2                    (j, j+2)    from A        j+1 from A turned
 *     b               w0   w1   w2               (j+1, j+3)  from A turned j+2 from A
 *     c                    w0   w1   w2          (j+2, j+4)  from B        j+3 from A turned
 *
 * What lies outside is put into the words: bytes that do not exist are taken out by one mask and become the zero point by another, in the first and last
 * three outputs of a row and where rows are missing.  Up to 4 bytes in front of an image and 8 behind it are read, and not used.
 *
 * layout taps3: 16 bytes a channel
 *
 *     byte  0                          9               12
 *           | nine weights, row by row | bias, e - 1   | m                |      24 bits: bias << 4 | e - 1, e = -shift, 1 .. 16
 *
 * The sums are made of doubled weights, as SMMLAR wants them (dsp.c). */
#include "../image.h"

static inline int32_t sn_smlabb(uint32_t a, uint32_t b, int32_t sum)
{
    int32_t r;

    __asm__("smlabb %0, %1, %2, %3" : "=r"(r) : "r"(a), "r"(b), "r"(sum));
    return r;
}

static inline int32_t sn_smlatb(uint32_t a, uint32_t b, int32_t sum)
{
    int32_t r;

    __asm__("smlatb %0, %1, %2, %3" : "=r"(r) : "r"(a), "r"(b), "r"(sum));
    return r;
}

/* Which bytes of the (up to) three words of three outputs exist, and the zero point for the others. */
typedef struct {
    uint32_t keep[3];
    uint32_t zero[3];
} SnEdge;

/* A channel's constants; outer weights (w0, w2) of each row and the middle one, doubled. */
typedef struct {
    uint32_t outer[3];
    uint32_t middle[3];
    int32_t bias;
    int32_t m;
    int32_t e;
    int32_t round;
} SnTaps3;

static inline SnTaps3 sn_taps3(const SnWindow *l, int32_t c)
{
    const int8_t *w = (const int8_t *)l->weights + 16 * c;
    int32_t bias = (int32_t)sn_load_u32((const uint8_t *)w + 8) >> 8;
    SnTaps3 t;

    for (int32_t u = 0; u < 3; u++, w += 3) {
        t.outer[u] = (uint32_t)(uint16_t)(2 * w[0]) | (uint32_t)(2 * w[2]) << 16;
        t.middle[u] = (uint32_t)(2 * w[1]);
    }
    t.bias = 2 * (bias >> 4);
    t.e = (bias & 15) + 1;
    t.m = (int32_t)sn_load_u32((const uint8_t *)w + 3);
    t.round = ((1 + 2 * l->zero) << t.e) >> 1;
    return t;
}

/* The words of three outputs from column j on: bytes outside of the image's columns are the zero point. */
static inline SnEdge sn_edge_bytes(const SnWindow *l, int32_t j)
{
    SnEdge k;

    for (int32_t i = 0; i < 3; i++, j += 2) {
        k.keep[i] = 0;
        for (int32_t b = 0; b < 4; b++)
            k.keep[i] |= j + b >= 0 && j + b < l->in_w ? 0xffu << 8 * b : 0;
        k.zero[i] = 0x01010101u * (uint8_t)l->in_zero & ~k.keep[i];
    }
    return k;
}

/* A row's part of three outputs. */
static inline void sn_row3(int32_t sum[3], const SnTaps3 *t, int32_t u, const int8_t *from, const SnEdge *k, int32_t stride)
{
    uint32_t a = sn_load_u32((const uint8_t *)from);
    uint32_t b = sn_load_u32((const uint8_t *)from + 2);
    uint32_t c = stride == 2 ? sn_load_u32((const uint8_t *)from + 4) : 0;
    uint32_t odd;

    if (k) {
        a = (a & k->keep[0]) | k->zero[0];
        b = (b & k->keep[1]) | k->zero[1];
        c = stride == 2 ? (c & k->keep[2]) | k->zero[2] : 0;
    }
    odd = sn_sxtb16_odd(a);
    a = sn_sxtb16(a);
    sum[0] = sn_smlad(a, t->outer[u], sum[0]);
    sum[0] = sn_smlabb(odd, t->middle[u], sum[0]);
    if (stride == 1) {
        sum[1] = sn_smlad(odd, t->outer[u], sum[1]);
        sum[1] = sn_smlatb(a, t->middle[u], sum[1]);
        sum[2] = sn_smlad(sn_sxtb16(b), t->outer[u], sum[2]);
        sum[2] = sn_smlatb(odd, t->middle[u], sum[2]);
    } else {
        sum[1] = sn_smlad(sn_sxtb16(b), t->outer[u], sum[1]);
        sum[1] = sn_smlatb(odd, t->middle[u], sum[1]);
        sum[2] = sn_smlad(sn_sxtb16(c), t->outer[u], sum[2]);
        sum[2] = sn_smlatb(sn_sxtb16_odd(b), t->middle[u], sum[2]);
    }
}

/* An output from twice its sum; any: the range is not all of int8, or begins below the zero point. */
static inline int32_t sn_taps3_output(const SnWindow *l, const SnTaps3 *t, int32_t sum, int32_t any)
{
    int32_t v = sn_smmlar(sum, t->m, t->round);

    if (!any)
        return sn_ssat8(v >> t->e);
    v = (v + (sum >> 31)) >> t->e;
    return sn_within(v, l->lo, l->hi);
}

/* n rows of outputs from `row` on; as inputs of a panel, or, wide 0, as bytes of an image. */
static inline void sn_depthwise3(const SnWindow *l, uint8_t *y, const int8_t *x, int32_t row, int32_t n, int32_t wide, int32_t stride, int32_t any)
{
    int32_t three = sn_pairs3_bytes(l->out_c);
    int32_t last = (l->out_w - 1) / 3 * 3;
    SnEdge edge[3] = { sn_edge_bytes(l, -l->pad_left), sn_edge_bytes(l, last * stride - l->pad_left), { { 0 }, { 0 } } };
    SnEdge none;                     /* a row that does not exist */

    for (int32_t i = 0; i < 3; i++) {
        edge[2].keep[i] = ~0u;
        none.keep[i] = 0;
        none.zero[i] = 0x01010101u * (uint8_t)l->in_zero;
    }
    for (int32_t c = 0; c < l->out_c; c++, x += l->in_chan) {
        SnTaps3 t = sn_taps3(l, c);
        uint8_t *plane = wide ? (uint8_t *)sn_pairs3_at(y, c) : y + c * l->out_chan;
        int32_t position = 0;

        for (int32_t i = row; i < row + n; i++, position += l->out_w) {
            const int8_t *from[3];
            int32_t all = 1;
            int32_t top = i * stride - l->pad_top;
            int32_t lane = position % 3;
            uint8_t *to = wide ? plane + position / 3 * three + lane * 4 : plane + i * l->out_row;
            int32_t second = wide ? lane == 2 ? three - 8 : 4 : l->out_col;
            int32_t third = wide ? lane ? three - 4 : 8 : 2 * l->out_col;
            int32_t next = wide ? three : 3 * l->out_col;

            for (int32_t u = 0; u < 3; u++) {
                int32_t inside = top + u >= 0 && top + u < l->in_h;

                from[u] = inside ? x + (top + u) * l->in_row - l->pad_left : 0;
                all &= inside;
            }
            for (int32_t j = 0; j < l->out_w; j += 3, to += next) {
                int32_t sum[3] = { t.bias, t.bias, t.bias };

                if (all && j > 0 && j < last) {
                    for (int32_t u = 0; u < 3; u++, from[u - 1] += 3 * stride)
                        sn_row3(sum, &t, u, from[u], 0, stride);
                } else {
                    const SnEdge *k = &edge[j == 0 ? 0 : j < last ? 2 : 1];

                    for (int32_t u = 0; u < 3; u++) {
                        sn_row3(sum, &t, u, from[u] ? from[u] : x, from[u] ? k : &none, stride);
                        from[u] += from[u] ? 3 * stride : 0;
                    }
                }
                for (int32_t r = 0; r < 3; r++)
                    sum[r] = sn_taps3_output(l, &t, sum[r], any);
                if (wide) {
                    *(int16_t *)(void *)to = (int16_t)sum[0];
                    if (j + 1 < l->out_w)
                        *(int16_t *)(void *)(to + second) = (int16_t)sum[1];
                    if (j + 2 < l->out_w)
                        *(int16_t *)(void *)(to + third) = (int16_t)sum[2];
                } else {
                    to[0] = (uint8_t)sum[0];
                    if (j + 1 < l->out_w)
                        to[second] = (uint8_t)sum[1];
                    if (j + 2 < l->out_w)
                        to[third] = (uint8_t)sum[2];
                }
            }
        }
    }
}

SN_KERNEL(op=depthwise_panel, x=planar, panel=pairs3, layout=taps3, before=4, after=8, isa=dsp, order=exact)
static SN_APART void sn_depthwise_panel_taps3(const SnWindow *l, void *panel, const int8_t *x, int32_t row, int32_t n)
{
    sn_depthwise3(l, (uint8_t *)panel, x, row, n, 1, 1, 0);
}

SN_KERNEL(op=depthwise, x=planar, layout=taps3, before=4, after=8, isa=dsp, order=exact)
static SN_APART void sn_depthwise_taps3(const SnWindow *l, int8_t *y, const int8_t *x, int32_t row, int32_t n)
{
    sn_depthwise3(l, (uint8_t *)y, x, row, n, 0, 1, 0);
}

/* With stride 2. */
SN_KERNEL(op=depthwise_panel, x=planar, panel=pairs3, layout=taps3_2, before=4, after=8, isa=dsp, order=exact)
static SN_APART void sn_depthwise_panel_taps3_2(const SnWindow *l, void *panel, const int8_t *x, int32_t row, int32_t n)
{
    sn_depthwise3(l, (uint8_t *)panel, x, row, n, 1, 2, 0);
}

SN_KERNEL(op=depthwise, x=planar, layout=taps3_2, before=4, after=8, isa=dsp, order=exact)
static SN_APART void sn_depthwise_taps3_2(const SnWindow *l, int8_t *y, const int8_t *x, int32_t row, int32_t n)
{
    sn_depthwise3(l, (uint8_t *)y, x, row, n, 0, 2, 0);
}

/* Either stride, any range of outputs. */
SN_KERNEL(op=depthwise_panel, x=planar, panel=pairs3, layout=taps3_any, before=4, after=8, isa=dsp, order=exact)
static SN_APART void sn_depthwise_panel_taps3_any(const SnWindow *l, void *panel, const int8_t *x, int32_t row, int32_t n)
{
    if (l->stride_w == 1)
        sn_depthwise3(l, (uint8_t *)panel, x, row, n, 1, 1, 1);
    else
        sn_depthwise3(l, (uint8_t *)panel, x, row, n, 1, 2, 1);
}

SN_KERNEL(op=depthwise, x=planar, layout=taps3_any, before=4, after=8, isa=dsp, order=exact)
static SN_APART void sn_depthwise_taps3_any(const SnWindow *l, int8_t *y, const int8_t *x, int32_t row, int32_t n)
{
    if (l->stride_w == 1)
        sn_depthwise3(l, (uint8_t *)y, x, row, n, 0, 1, 1);
    else
        sn_depthwise3(l, (uint8_t *)y, x, row, n, 0, 2, 1);
}
