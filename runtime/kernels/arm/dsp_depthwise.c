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
 *     byte  0            3       4            7       8            11      12
 *           | w00 w01 w02 | bias | w10 w11 w12 | bias | w20 w21 w22 | bias | m |      24 bits: bias << 4 | e - 1, e = -shift, 1 .. 16
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

/* A channel's constants; outer weights (w0, w2) of each row and the middle one (low half), doubled. */
typedef struct {
    uint32_t outer[3];
    uint32_t middle[3];
    int32_t bias;
    int32_t m;
    int32_t e;
    int32_t round;
} SnTaps3;

/* Both halves doubled. */
static inline uint32_t sn_twice(uint32_t v)
{
    uint32_t r;

    __asm__("sadd16 %0, %1, %1" : "=r"(r) : "r"(v));
    return r;
}

__attribute__((always_inline))
static inline SnTaps3 sn_taps3(const SnWindow *l, int32_t c)
{
    const uint32_t *w = (const uint32_t *)l->weights + 4 * c;
    uint32_t first = w[0];
    uint32_t second = w[1];
    uint32_t third = w[2];
    int32_t bias = (int32_t)((third & 0xff000000u) | (second >> 24) << 16 | (first >> 24) << 8) >> 8;
    SnTaps3 t;

    t.outer[0] = sn_twice(sn_sxtb16(first));
    t.middle[0] = sn_twice(sn_sxtb16_odd(first));
    t.outer[1] = sn_twice(sn_sxtb16(second));
    t.middle[1] = sn_twice(sn_sxtb16_odd(second));
    t.outer[2] = sn_twice(sn_sxtb16(third));
    t.middle[2] = sn_twice(sn_sxtb16_odd(third));
    t.bias = 2 * (bias >> 4);
    t.e = (bias & 15) + 1;
    t.m = (int32_t)w[3];
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

/* Where row i of the image begins as far as windows go, or any row, if there is no such. */
static inline const int8_t *sn_row_or(const SnWindow *l, const int8_t *x, int32_t i)
{
    return x + (i < 0 || i >= l->in_h ? 0 : i * l->in_row) - l->pad_left;
}

/* A row's part of three outputs. */
__attribute__((always_inline))
static inline void sn_row3(int32_t sum[3], const SnTaps3 *t, int32_t u, const int8_t *from, const SnEdge *k, int32_t stride)
{
    uint32_t a = sn_load_u32((const uint8_t *)from);
    uint32_t b = sn_load_u32((const uint8_t *)from + 2);
    uint32_t c = stride == 2 ? sn_load_u32((const uint8_t *)from + 4) : 0;
    uint32_t odd;

    a = (a & k->keep[0]) | k->zero[0];
    b = (b & k->keep[1]) | k->zero[1];
    c = stride == 2 ? (c & k->keep[2]) | k->zero[2] : 0;
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

/* An output from twice its sum. */
static inline int32_t sn_taps3_output(const SnWindow *l, const SnTaps3 *t, int32_t sum)
{
    return sn_within((sn_smmlar(sum, t->m, t->round) + (sum >> 31)) >> t->e, l->lo, l->hi);
}

/* n rows of outputs from `row` on; as inputs of a panel, or, wide 0, as bytes of an image. */
static SN_APART void sn_depthwise3(const SnWindow *l, uint8_t *y, const int8_t *x, int32_t row, int32_t n, int32_t wide, int32_t stride)
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
            int32_t first = i * stride - l->pad_top;
            const int8_t *from[3] = { sn_row_or(l, x, first), sn_row_or(l, x, first + 1), sn_row_or(l, x, first + 2) };
            int32_t missing = (first < 0 || first >= l->in_h) + 2 * (first < -1 || first + 1 >= l->in_h) + 4 * (first < -2 || first + 2 >= l->in_h);
            int32_t lane = position % 3;
            uint8_t *to = wide ? plane + position / 3 * three + lane * 4 : plane + i * l->out_row;
            int32_t second = wide ? lane == 2 ? three - 8 : 4 : l->out_col;
            int32_t third = wide ? lane ? three - 4 : 8 : 2 * l->out_col;
            int32_t next = wide ? three : 3 * l->out_col;

            for (int32_t j = 0; j < l->out_w; j += 3, to += next) {
                int32_t sum[3];

                sum[0] = sum[1] = sum[2] = t.bias;
                for (int32_t u = 0; u < 3; u++) {
                    const SnEdge *k = missing >> u & 1 ? &none : &edge[j == 0 ? 0 : j < last ? 2 : 1];

                    sn_row3(sum, &t, u, from[u], k, stride);
                    from[u] += 3 * stride;
                }
                sum[0] = sn_taps3_output(l, &t, sum[0]);
                sum[1] = sn_taps3_output(l, &t, sum[1]);
                sum[2] = sn_taps3_output(l, &t, sum[2]);
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

/* ---- rows of five outputs: a whole row at a time, the columns beside it in the biases of its first and last output -------------- */

/* Where outputs of a row lie that begins in one of a panel's three positions. */
typedef struct {
    int32_t second, third;      /* from the first; the fourth is `three` behind the first, the fifth behind the second */
    int32_t advance;            /* to the next row */
    const void *next;           /* and its SnLane */
} SnLane;

/* Rows of one channel, whose windows have all their rows; assembly knows the places. */
typedef struct {
    uint32_t taps[3][2];        /*  0  as in SnRow3 */
    int32_t left;               /* 24  doubled biases of the first output, the last, and the others */
    int32_t right;              /* 28 */
    int32_t bias;               /* 32 */
    int32_t m;                  /* 36 */
    int32_t round;              /* 40 */
    int32_t e;                  /* 44 */
    uint8_t *to;                /* 48 */
    const SnLane *lane;         /* 52 */
    const int8_t *from;         /* 56  the first row of the window */
    int32_t row;                /* 60  bytes from row to row */
    int32_t n;                  /* 64  rows of outputs */
    int32_t three;              /* 68 */
    int32_t pushed[2];          /* what the assembly pushes, so that the compiler counts it as stack */
} SnRow5;
_Static_assert(__builtin_offsetof(SnRow5, three) == 68, "assembly knows where they are");

/* r5: columns (0, 2), r6: (1, 3), r7: (2, 4). */
#define SN_ROW5_LOAD "ldr r5, [r8]\n\t ldr r7, [r8, #2]\n\t add r8, r8, r9\n\t sxtb16 r6, r5, ror #8\n\t sxtb16 r5, r5\n\t sxtb16 r7, r7\n\t"
#define SN_ROW5_SUM \
    "smlabb r0, r5, r12, r0\n\t smlabt r0, r6, r10, r0\n\t smlad r1, r5, r10, r1\n\t smlabb r1, r6, r12, r1\n\t" \
    "smlad r2, r6, r10, r2\n\t smlatb r2, r5, r12, r2\n\t smlad r3, r7, r10, r3\n\t smlatb r3, r6, r12, r3\n\t" \
    "smlatb r4, r6, r10, r4\n\t smlatb r4, r7, r12, r4\n\t"

static SN_APART void sn_row5_panel(SnRow5 *rows)
{
    register SnRow5 *r __asm__("r0") = rows;

    __asm__ volatile(
        "push {r0, r7}\n\t mov r11, r0\n\t add r12, r11, #56\n\t ldmia r12, {r8, r9, lr}\n"
        "1:\n\t"
        SN_ROW5_LOAD
        "ldrd r0, r4, [r11, #24]\n\t ldr r3, [r11, #32]\n\t ldrd r10, r12, [r11]\n\t"
        "smlabb r0, r5, r12, r0\n\t smlabt r0, r6, r10, r0\n\t smlad r1, r5, r10, r3\n\t smlabb r1, r6, r12, r1\n\t"
        "smlad r2, r6, r10, r3\n\t smlatb r2, r5, r12, r2\n\t smlad r3, r7, r10, r3\n\t smlatb r3, r6, r12, r3\n\t"
        "smlatb r4, r6, r10, r4\n\t smlatb r4, r7, r12, r4\n\t"
        SN_ROW5_LOAD "ldrd r10, r12, [r11, #8]\n\t" SN_ROW5_SUM
        SN_ROW5_LOAD "ldrd r10, r12, [r11, #16]\n\t" SN_ROW5_SUM
        "sub r8, r8, r9, lsl #1\n\t"
        "ldrd r5, r6, [r11, #36]\n\t ldr r7, [r11, #44]\n\t"
        "smmlar r0, r0, r5, r6\n\t smmlar r1, r1, r5, r6\n\t smmlar r2, r2, r5, r6\n\t smmlar r3, r3, r5, r6\n\t smmlar r4, r4, r5, r6\n\t"
        "asrs r0, r7\n\t asrs r1, r7\n\t asrs r2, r7\n\t asrs r3, r7\n\t asrs r4, r7\n\t"
        "ssat r0, #8, r0\n\t ssat r1, #8, r1\n\t ssat r2, #8, r2\n\t ssat r3, #8, r3\n\t ssat r4, #8, r4\n\t"
        "ldrd r10, r12, [r11, #48]\n\t ldmia r12, {r5, r6, r7, r12}\n\t"
        "strh r0, [r10]\n\t strh r1, [r10, r5]\n\t strh r2, [r10, r6]\n\t"
        "add r7, r7, r10\n\t strd r7, r12, [r11, #48]\n\t"
        "ldr r6, [r11, #68]\n\t add r10, r10, r6\n\t strh r3, [r10]\n\t strh r4, [r10, r5]\n\t"
        "subs lr, lr, #1\n\t bne 1b\n\t"
        "pop {r0, r7}\n\t"
        : "+r"(r) : : "r1", "r2", "r3", "r4", "r5", "r6", "r8", "r9", "r10", "r11", "r12", "lr", "cc", "memory");
}

/* Windows of rows with these weights, outer and middle, and `bias` for what else there is of the zero point. */
__attribute__((always_inline))
static inline void sn_row5_taps(SnRow5 *r, const uint32_t o[3], const uint32_t m[3], int32_t bias, uint32_t zero)
{
    r->taps[0][0] = o[0];
    r->taps[0][1] = m[0];
    r->taps[1][0] = o[1];
    r->taps[1][1] = m[1];
    r->taps[2][0] = o[2];
    r->taps[2][1] = m[2];
    r->bias = bias;
    r->left = sn_smlabb(o[2], zero, sn_smlabb(o[1], zero, sn_smlabb(o[0], zero, bias)));
    r->right = sn_smlatb(o[2], zero, sn_smlatb(o[1], zero, sn_smlatb(o[0], zero, bias)));
}

/* What a row of the window adds where it is the zero point. */
static inline int32_t sn_row5_gone(uint32_t outer, uint32_t middle, uint32_t zero, int32_t bias)
{
    return sn_smlad(outer, zero, sn_smlabb(middle, zero, bias));
}

SN_KERNEL(op=depthwise_panel, x=planar, panel=pairs3, layout=taps3_5, after=8, isa=dsp, order=exact)
static SN_APART void sn_depthwise_panel_taps3_5(const SnWindow *l, void *panel, const int8_t *x, int32_t row, int32_t n)
{
    int32_t three = sn_pairs3_bytes(l->out_c);
    uint32_t zero = 0x10001u * (uint16_t)l->in_zero;
    SnLane lane[3] = { { 4, 8, three + 8, &lane[2] }, { 4, three - 4, 2 * three - 4, &lane[0] }, { three - 8, three - 4, 2 * three - 4, &lane[1] } };
    SnRow5 r = { .three = three, .row = l->in_row };
    int32_t first = row ? row : 1;                                          /* of the rows whose windows are whole */
    int32_t whole = (row + n < l->out_h ? row + n : l->out_h - 1) - first;
    uint8_t *to = (uint8_t *)panel;

    for (int32_t c = 0; c < l->out_c; c++, x += l->in_chan) {
        SnTaps3 t = sn_taps3(l, c);

        r.m = t.m;
        r.round = t.round;
        r.e = t.e;
        r.to = to;
        r.lane = lane;
        if (row == 0) {                     /* the first row of the window is missing: its other two, and one that does not count */
            const uint32_t outer[3] = { t.outer[1], t.outer[2], 0 };
            const uint32_t middle[3] = { t.middle[1], t.middle[2], 0 };

            sn_row5_taps(&r, outer, middle, sn_row5_gone(t.outer[0], t.middle[0], zero, t.bias), zero);
            r.from = x;
            r.n = 1;
            sn_row5_panel(&r);
        }
        if (whole > 0) {
            sn_row5_taps(&r, t.outer, t.middle, t.bias, zero);
            r.from = x + (first - 1) * l->in_row;
            r.n = whole;
            sn_row5_panel(&r);
        }
        if (row + n == l->out_h) {          /* the last one is */
            const uint32_t outer[3] = { 0, t.outer[0], t.outer[1] };
            const uint32_t middle[3] = { 0, t.middle[0], t.middle[1] };

            sn_row5_taps(&r, outer, middle, sn_row5_gone(t.outer[2], t.middle[2], zero, t.bias), zero);
            r.from = x + (l->in_h - 3) * l->in_row;
            r.n = 1;
            sn_row5_panel(&r);
        }
        to += c & 1 ? (c & 2 ? 10 : -10) : 12;
    }
}

/* ---- rows of four outputs and more, stride 1, outputs -128 .. 127 and -128 their zero point ---------------------------------- */

/* A row of outputs of one channel; assembly knows the places. */
typedef struct {
    uint32_t taps[3][2];        /*  0  of each row: the outer weights, the middle one, doubled */
    int32_t bias;               /* 24  doubled */
    int32_t m;                  /* 28 */
    int32_t round;              /* 32 */
    int32_t e;                  /* 36 */
    int32_t second;             /* 40  where the second and third of three outputs lie, and the next three */
    int32_t third;              /* 44 */
    int32_t next;               /* 48 */
    uint32_t zero;              /* 52  the inputs' zero point, in both halves */
    const int8_t *from[3];      /* 56  the byte before each row */
    uint8_t *to;                /* 68 */
    int32_t n;                  /* 72  outputs, at least 4 */
    int32_t pushed[2];          /* what the assembly pushes, so that the compiler counts it as stack */
} SnRow3;
_Static_assert(__builtin_offsetof(SnRow3, n) == 72, "assembly knows where they are");

/* The pairs of three outputs: r3 columns (j, j+2), r4 (j+1, j+3), r5 (j+2, j+4). */
#define SN_ROW3_LOAD0 "ldr r3, [r8], #3\n\t ldr r5, [r8, #-1]\n\t sxtb16 r4, r3, ror #8\n\t sxtb16 r3, r3\n\t sxtb16 r5, r5\n\t"
#define SN_ROW3_LOAD1 "ldr r3, [r9], #3\n\t ldr r5, [r9, #-1]\n\t sxtb16 r4, r3, ror #8\n\t sxtb16 r3, r3\n\t sxtb16 r5, r5\n\t"
#define SN_ROW3_LOAD2 "ldr r3, [r10], #3\n\t ldr r5, [r10, #-1]\n\t sxtb16 r4, r3, ror #8\n\t sxtb16 r3, r3\n\t sxtb16 r5, r5\n\t"
/* A row's part of r0, r1, r2. */
#define SN_ROW3_SUM0 \
    "ldr r2, [r11, #24]\n\t ldrd r6, r7, [r11]\n\t" \
    "smlad r0, r3, r6, r2\n\t smlad r1, r4, r6, r2\n\t smlad r2, r5, r6, r2\n\t" \
    "smlabb r0, r4, r7, r0\n\t smlatb r1, r3, r7, r1\n\t smlatb r2, r4, r7, r2\n\t"
#define SN_ROW3_SUM \
    "smlad r0, r3, r6, r0\n\t smlad r1, r4, r6, r1\n\t smlad r2, r5, r6, r2\n\t" \
    "smlabb r0, r4, r7, r0\n\t smlatb r1, r3, r7, r1\n\t smlatb r2, r4, r7, r2\n\t"
#define SN_ROW3_SUM1 "ldrd r6, r7, [r11, #8]\n\t" SN_ROW3_SUM
#define SN_ROW3_SUM2 "ldrd r6, r7, [r11, #16]\n\t" SN_ROW3_SUM
/* The zero point for column j, or for the column behind the last of 1, 2, 3 outputs. */
#define SN_ROW3_LEFT "ldr r6, [r11, #52]\n\t pkhbt r3, r6, r3\n\t"
#define SN_ROW3_RIGHT1 "ldr r6, [r11, #52]\n\t pkhbt r3, r3, r6\n\t"
#define SN_ROW3_RIGHT2 "ldr r6, [r11, #52]\n\t pkhbt r4, r4, r6\n\t"
#define SN_ROW3_RIGHT3 "ldr r6, [r11, #52]\n\t pkhbt r5, r5, r6\n\t"
/* Outputs from r0, r1, r2. */
#define SN_ROW3_FINISH \
    "ldrd r6, r7, [r11, #28]\n\t ldr r3, [r11, #36]\n\t" \
    "smmlar r0, r0, r6, r7\n\t smmlar r1, r1, r6, r7\n\t smmlar r2, r2, r6, r7\n\t" \
    "asrs r0, r3\n\t asrs r1, r3\n\t asrs r2, r3\n\t" \
    "ssat r0, #8, r0\n\t ssat r1, #8, r1\n\t ssat r2, #8, r2\n\t" \
    "ldrd r6, r7, [r11, #40]\n\t ldr r3, [r11, #48]\n\t"
#define SN_ROW3_MIDDLE SN_ROW3_LOAD0 SN_ROW3_SUM0 SN_ROW3_LOAD1 SN_ROW3_SUM1 SN_ROW3_LOAD2 SN_ROW3_SUM2 SN_ROW3_FINISH
#define SN_ROW3_FIRST \
    SN_ROW3_LOAD0 SN_ROW3_LEFT SN_ROW3_SUM0 SN_ROW3_LOAD1 SN_ROW3_LEFT SN_ROW3_SUM1 SN_ROW3_LOAD2 SN_ROW3_LEFT SN_ROW3_SUM2 SN_ROW3_FINISH
#define SN_ROW3_LAST1 \
    SN_ROW3_LOAD0 SN_ROW3_RIGHT1 SN_ROW3_SUM0 SN_ROW3_LOAD1 SN_ROW3_RIGHT1 SN_ROW3_SUM1 SN_ROW3_LOAD2 SN_ROW3_RIGHT1 SN_ROW3_SUM2 SN_ROW3_FINISH
#define SN_ROW3_LAST2 \
    SN_ROW3_LOAD0 SN_ROW3_RIGHT2 SN_ROW3_SUM0 SN_ROW3_LOAD1 SN_ROW3_RIGHT2 SN_ROW3_SUM1 SN_ROW3_LOAD2 SN_ROW3_RIGHT2 SN_ROW3_SUM2 SN_ROW3_FINISH
#define SN_ROW3_LAST3 \
    SN_ROW3_LOAD0 SN_ROW3_RIGHT3 SN_ROW3_SUM0 SN_ROW3_LOAD1 SN_ROW3_RIGHT3 SN_ROW3_SUM1 SN_ROW3_LOAD2 SN_ROW3_RIGHT3 SN_ROW3_SUM2 SN_ROW3_FINISH
#define SN_ROW3_BEGIN \
    "push {r0, r7}\n\t mov r11, r0\n\t ldr lr, [r11, #72]\n\t add r12, r11, #56\n\t ldmia r12, {r8, r9, r10, r12}\n\t"

static SN_APART void sn_row3_panel(SnRow3 *row)
{
    register SnRow3 *r __asm__("r0") = row;

    __asm__ volatile(
        SN_ROW3_BEGIN SN_ROW3_FIRST
        "strh r0, [r12]\n\t strh r1, [r12, r6]\n\t strh r2, [r12, r7]\n\t"
        "1:\n\t"
        "add r12, r12, r3\n\t subs lr, lr, #3\n\t cmp lr, #3\n\t ble 2f\n\t"
        SN_ROW3_MIDDLE
        "strh r0, [r12]\n\t strh r1, [r12, r6]\n\t strh r2, [r12, r7]\n\t"
        "b 1b\n"
        "2:\n\t"
        "beq 4f\n\t cmp lr, #2\n\t beq 3f\n\t"
        SN_ROW3_LAST1
        "strh r0, [r12]\n\t"
        "b 5f\n"
        "3:\n\t"
        SN_ROW3_LAST2
        "strh r0, [r12]\n\t strh r1, [r12, r6]\n\t"
        "b 5f\n"
        "4:\n\t"
        SN_ROW3_LAST3
        "strh r0, [r12]\n\t strh r1, [r12, r6]\n\t strh r2, [r12, r7]\n"
        "5:\n\t"
        "pop {r0, r7}\n\t"
        : "+r"(r) : : "r1", "r2", "r3", "r4", "r5", "r6", "r8", "r9", "r10", "r11", "r12", "lr", "cc", "memory");
}

static SN_APART void sn_row3_image(SnRow3 *row)
{
    register SnRow3 *r __asm__("r0") = row;

    __asm__ volatile(
        SN_ROW3_BEGIN SN_ROW3_FIRST
        "strb r0, [r12]\n\t strb r1, [r12, r6]\n\t strb r2, [r12, r7]\n\t"
        "1:\n\t"
        "add r12, r12, r3\n\t subs lr, lr, #3\n\t cmp lr, #3\n\t ble 2f\n\t"
        SN_ROW3_MIDDLE
        "strb r0, [r12]\n\t strb r1, [r12, r6]\n\t strb r2, [r12, r7]\n\t"
        "b 1b\n"
        "2:\n\t"
        "beq 4f\n\t cmp lr, #2\n\t beq 3f\n\t"
        SN_ROW3_LAST1
        "strb r0, [r12]\n\t"
        "b 5f\n"
        "3:\n\t"
        SN_ROW3_LAST2
        "strb r0, [r12]\n\t strb r1, [r12, r6]\n\t"
        "b 5f\n"
        "4:\n\t"
        SN_ROW3_LAST3
        "strb r0, [r12]\n\t strb r1, [r12, r6]\n\t strb r2, [r12, r7]\n"
        "5:\n\t"
        "pop {r0, r7}\n\t"
        : "+r"(r) : : "r1", "r2", "r3", "r4", "r5", "r6", "r8", "r9", "r10", "r11", "r12", "lr", "cc", "memory");
}

/* A channel's weights, for all of its rows. */
static inline void sn_row3_channel(SnRow3 *r, const SnWindow *l, int32_t c)
{
    SnTaps3 t = sn_taps3(l, c);

    r->taps[0][0] = t.outer[0];
    r->taps[0][1] = t.middle[0];
    r->taps[1][0] = t.outer[1];
    r->taps[1][1] = t.middle[1];
    r->taps[2][0] = t.outer[2];
    r->taps[2][1] = t.middle[2];
    r->bias = t.bias;
    r->m = t.m;
    r->round = t.round;
    r->e = t.e;
}

/* Row u of the window does not exist: it is the zero point everywhere. */
static SN_APART void sn_row3_without(SnRow3 *r, int32_t u, int32_t zero)
{
    r->bias += zero * ((int16_t)r->taps[u][0] + ((int32_t)r->taps[u][0] >> 16) + (int16_t)r->taps[u][1]);
    r->taps[u][0] = 0;
    r->taps[u][1] = 0;
}

/* One channel, rows row .. row + n - 1 of outputs; x is its plane. */
__attribute__((always_inline))
static inline void sn_row3_plane(const SnWindow *l, SnRow3 *r, uint8_t *to, const int8_t *x, int32_t c, int32_t row, int32_t n, int32_t wide)
{
    int32_t three = r->next;
    int32_t lane = 0;
    const int8_t *from = x + (row - l->pad_top) * l->in_row - 1;

    sn_row3_channel(r, l, c);
    for (int32_t i = row - l->pad_top; n > 0; n--, i++, from += l->in_row) {
        int32_t whole = i >= 0 && i + 2 < l->in_h;

        r->from[0] = from;
        r->from[1] = from + l->in_row;
        r->from[2] = from + 2 * l->in_row;
        r->to = to;
        if (!whole)
            for (int32_t u = 0; u < 3; u++)
                if (i + u < 0 || i + u >= l->in_h) {
                    sn_row3_without(r, u, l->in_zero);
                    r->from[u] = x;
                }
        if (wide) {
            r->second = lane == 2 ? three - 8 : 4;
            r->third = lane ? three - 4 : 8;
            sn_row3_panel(r);
            lane += l->out_w % 3;
            to += l->out_w / 3 * three + l->out_w % 3 * 4;
            if (lane > 2) {
                lane -= 3;
                to += three - 12;
            }
        } else {
            sn_row3_image(r);
            to += l->out_row;
        }
        if (!whole)
            sn_row3_channel(r, l, c);
    }
}

SN_KERNEL(op=depthwise_panel, x=planar, panel=pairs3, layout=taps3, before=4, after=8, isa=dsp, order=exact)
static SN_APART void sn_depthwise_panel_taps3(const SnWindow *l, void *panel, const int8_t *x, int32_t row, int32_t n)
{
    SnRow3 r = { .zero = 0x10001u * (uint16_t)l->in_zero, .next = sn_pairs3_bytes(l->out_c), .n = l->out_w };

    for (int32_t c = 0; c < l->out_c; c++, x += l->in_chan)
        sn_row3_plane(l, &r, (uint8_t *)sn_pairs3_at((uint8_t *)panel, c), x, c, row, n, 1);
}

SN_KERNEL(op=depthwise, x=planar, layout=taps3, before=4, after=8, isa=dsp, order=exact)
static SN_APART void sn_depthwise_taps3(const SnWindow *l, int8_t *y, const int8_t *x, int32_t row, int32_t n)
{
    SnRow3 r = { .zero = 0x10001u * (uint16_t)l->in_zero, .second = l->out_col, .third = 2 * l->out_col, .next = 3 * l->out_col, .n = l->out_w };

    for (int32_t c = 0; c < l->out_c; c++, x += l->in_chan)
        sn_row3_plane(l, &r, (uint8_t *)y + row * l->out_row + c * l->out_chan, x, c, row, n, 0);
}

/* ---- everything else: behind the kernels above, because the first one that fits is taken ------------------------------------ */

SN_KERNEL(op=depthwise_panel, x=planar, panel=pairs3, layout=taps3_any, before=4, after=8, isa=dsp, order=exact)
static SN_APART void sn_depthwise_panel_taps3_any(const SnWindow *l, void *panel, const int8_t *x, int32_t row, int32_t n)
{
    sn_depthwise3(l, (uint8_t *)panel, x, row, n, 1, l->stride_h);
}

SN_KERNEL(op=depthwise, x=planar, layout=taps3_any, before=4, after=8, isa=dsp, order=exact)
static SN_APART void sn_depthwise_taps3_any(const SnWindow *l, int8_t *y, const int8_t *x, int32_t row, int32_t n)
{
    sn_depthwise3(l, (uint8_t *)y, x, row, n, 0, l->stride_h);
}
