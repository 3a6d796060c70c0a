/* Armv7E-M and Armv8-M with the DSP extension (Cortex-M4, M7, M33): convolutions of images as panels, and fully connected layers.
 *
 * SMLAD multiplies two pairs of 16-bit numbers and adds both products: two multiply-adds an instruction.  Inputs are widened to 16 bits once, by who
 * writes the panel, and are used by all outputs.  SXTB16 widens bytes 0 and 2 of a word, and bytes 1 and 3 of the word turned by 8: so the pairs of four
 * inputs are (0, 2) and (1, 3).
 *
 *     panel pairs3: for each three positions, for each four inputs 4q .. 4q + 3 (those behind the last are anything, their weights are 0)
 *
 *         word   0              1              2              3              4              5
 *                | 4q, 4q+2     | 4q, 4q+2     | 4q, 4q+2     | 4q+1, 4q+3   | 4q+1, 4q+3   | 4q+1, 4q+3   |
 *                  position 0     position 1     position 2     position 0     position 1     position 2
 *
 * Weights stay 8 bits.  A word has those of two outputs, a and b, for a pair of inputs i, j:
 *
 *         bits   0 .. 15                  16 .. 31
 *                | 256 a[i] + b[i]        | 256 a[j] + b[j]        |
 *
 * SMLAD of it as it is sums C = 256 A + B, of its SXTB16 B: so one instruction unpacks four weights, and A is (C - B) / 256 exactly, as long as it
 * has 24 bits.  Two outputs of three positions take 17 instructions for 24 multiply-adds, all 14 registers, and 60 more at their end.
 *
 * From sums to outputs.  SMMLAR(2 v, m, c) is the high multiplication with its rounding, plus c; c is what rounds the shift (half a unit) and the zero
 * point of the outputs, (1 + 2 zero) 2^(e - 1), where e is the shift to the right; SSAT limits.  Halves go away from zero: below zero a unit is taken off
 * first, which does not matter where the range begins at the zero point.  Of C - B = 256 A, SMMLA leaves 7 bits more, so that the rounding constants of both
 * multiplications are in c. */
#include "../image.h"

/* ---- instructions -------------------------------------------------------------------------------------------------------- */

/* Bytes 0 and 2, or 1 and 3, of a word as two 16-bit numbers. */
static inline uint32_t sn_sxtb16(uint32_t v)
{
    uint32_t r;

    __asm__("sxtb16 %0, %1" : "=r"(r) : "r"(v));
    return r;
}

static inline uint32_t sn_sxtb16_odd(uint32_t v)
{
    uint32_t r;

    __asm__("sxtb16 %0, %1, ror #8" : "=r"(r) : "r"(v));
    return r;
}

/* sum + the low half of a times that of b + the high halves' product. */
static inline int32_t sn_smlad(uint32_t a, uint32_t b, int32_t sum)
{
    int32_t r;

    __asm__("smlad %0, %1, %2, %3" : "=r"(r) : "r"(a), "r"(b), "r"(sum));
    return r;
}

/* (a b + 2^31) / 2^32 + c, rounded down. */
static inline int32_t sn_smmlar(int32_t a, int32_t b, int32_t c)
{
    int32_t r;

    __asm__("smmlar %0, %1, %2, %3" : "=r"(r) : "r"(a), "r"(b), "r"(c));
    return r;
}

static inline int32_t sn_ssat8(int32_t v)
{
    int32_t r;

    __asm__("ssat %0, #8, %1" : "=r"(r) : "r"(v));
    return r;
}

/* ---- panels -------------------------------------------------------------------------------------------------------------- */

/* Bytes that three positions of k inputs take. */
static inline int32_t sn_pairs3_bytes(int32_t k)
{
    return (k + 3) / 4 * 24;
}

/* Where input k of a position lies. */
static inline int16_t *sn_pairs3_at(uint8_t *position, int32_t k)
{
    return (int16_t *)(void *)(position + (k >> 2) * 24 + (k & 1) * 12 + (k & 2));
}

/* n fours of bytes, none as well. */
#define SN_PAIRS3_PUT "ldr r3, [%[from]], #4\n\t sxtb16 r2, r3\n\t sxtb16 r3, r3, ror #8\n\t str r2, [%[to]], #12\n\t str r3, [%[to]], #12\n\t"
static inline uint32_t *sn_pairs3_fours(uint32_t *to, const int8_t *from, int32_t n)
{
    __asm__ volatile(
        "subs %[n], %[n], #4\n\t blt 2f\n"
        "1:\n\t" SN_PAIRS3_PUT SN_PAIRS3_PUT SN_PAIRS3_PUT SN_PAIRS3_PUT "subs %[n], %[n], #4\n\t bge 1b\n"
        "2:\n\t"
        "adds %[n], %[n], #4\n\t beq 4f\n"
        "3:\n\t" SN_PAIRS3_PUT "subs %[n], %[n], #1\n\t bne 3b\n"
        "4:\n\t"
        : [to] "+r"(to), [from] "+r"(from), [n] "+r"(n) : : "r2", "r3", "cc", "memory");
    return to;
}

/* n bytes, one after another, become inputs k .. k + n - 1. */
static SN_APART void sn_pairs3_put(uint8_t *position, int32_t k, const int8_t *from, int32_t n)
{
    uint32_t *to;

    for (; (k & 3) && n > 0; n--)
        *sn_pairs3_at(position, k++) = *from++;
    to = (uint32_t *)(void *)sn_pairs3_at(position, k);
    to = sn_pairs3_fours(to, from, n / 4);
    from += n & ~3;
    n &= 3;
    for (int16_t *last = (int16_t *)(void *)to; n > 0; n--, last += last == (int16_t *)(void *)to ? 6 : -5)
        *last = *from++;
}

/* Inputs k .. k + n - 1 are the zero point. */
static SN_APART void sn_pairs3_fill(uint8_t *position, int32_t k, int32_t zero, int32_t n)
{
    uint32_t pair = 0x10001u * (uint16_t)zero;

    while (n > 0)
        if ((k & 3) || n < 4) {
            *sn_pairs3_at(position, k++) = (int16_t)zero;
            n--;
        } else {
            uint32_t *to = (uint32_t *)(void *)sn_pairs3_at(position, k);

            to[0] = pair;
            to[3] = pair;
            k += 4;
            n -= 4;
        }
}

enum { SN_SMALL_WINDOW = 64 };      /* bytes */

/* A window of at most SN_SMALL_WINDOW bytes whose rows are bytes one after another: put together first, then widened. */
static inline void sn_window_small(const SnWindow *l, uint8_t *position, const int8_t *x, int32_t i, int32_t j)
{
    uint32_t line[SN_SMALL_WINDOW / 4];
    int32_t bytes = l->kernel_w * l->in_c;
    int32_t fours = (l->kernel_h * bytes + 3) / 4;
    int32_t left = j < 0 ? -j : 0;
    int32_t right = j + l->kernel_w > l->in_w ? j + l->kernel_w - l->in_w : 0;
    int32_t n = (l->kernel_w - left - right) * l->in_c;
    uint8_t *to = (uint8_t *)line + left * l->in_c;
    const uint8_t *from = (const uint8_t *)x + i * l->in_row + (j + left) * l->in_col;

    if (left || right || i < 0 || i + (l->kernel_h - 1) * l->dilation_h >= l->in_h)
        for (int32_t q = 0; q < fours; q++)
            line[q] = 0x01010101u * (uint8_t)l->in_zero;
    for (int32_t u = l->kernel_h; u > 0; u--, i += l->dilation_h, to += bytes, from += l->dilation_h * l->in_row) {
        int32_t b = 0;

        if (i < 0 || i >= l->in_h)
            continue;
        for (; b + 4 <= n; b += 4) {
            uint32_t v = sn_load_u32(from + b);

            __builtin_memcpy(to + b, &v, 4);
        }
        for (; b < n; b++)
            to[b] = from[b];
    }
    sn_pairs3_fours((uint32_t *)(void *)position, (const int8_t *)line, fours);
}

/* The window of one output of an image whose channels lie side by side: rows of it are bytes one after another, as far as they are inside. */
static inline void sn_window_nhwc(const SnWindow *l, uint8_t *position, const int8_t *x, int32_t i, int32_t j)
{
    int32_t c = l->in_c;
    int32_t dense = l->dilation_w == 1 && l->in_col == c;
    int32_t runs = dense ? 1 : l->kernel_w;             /* pieces of a row, each of `across` pixels */
    int32_t across = dense ? l->kernel_w : 1;
    int32_t k = 0;

    if (dense && l->kernel_h * across * c <= SN_SMALL_WINDOW) {
        sn_window_small(l, position, x, i, j);
        return;
    }
    if (dense && !(across * c & 3) && j >= 0 && j + across <= l->in_w) {
        uint32_t *to = (uint32_t *)(void *)position;
        const int8_t *from = x + i * l->in_row + j * c;

        for (int32_t u = l->kernel_h; u > 0; u--, from += l->dilation_h * l->in_row, i += l->dilation_h)
            if (i >= 0 && i < l->in_h)
                to = sn_pairs3_fours(to, from, across * c / 4);
            else
                for (int32_t q = across * c / 4; q > 0; q--, to += 6) {
                    to[0] = 0x10001u * (uint16_t)l->in_zero;
                    to[3] = to[0];
                }
        return;
    }
    for (int32_t u = 0; u < l->kernel_h; u++, i += l->dilation_h) {
        const int8_t *row = x + i * l->in_row;
        int32_t at = j;

        for (int32_t v = 0; v < runs; v++, at += l->dilation_w, k += across * c) {
            int32_t left = at < 0 ? -at : 0;
            int32_t right = at + across > l->in_w ? at + across - l->in_w : 0;

            if (i < 0 || i >= l->in_h || left >= across || right >= across) {
                sn_pairs3_fill(position, k, l->in_zero, across * c);
                continue;
            }
            if (left)
                sn_pairs3_fill(position, k, l->in_zero, left * c);
            sn_pairs3_put(position, k + left * c, row + (at + left) * l->in_col, (across - left - right) * c);
            if (right)
                sn_pairs3_fill(position, k + (across - right) * c, l->in_zero, right * c);
        }
    }
}

SN_KERNEL(op=im2col, x=nhwc, panel=pairs3, isa=dsp, order=exact)
static SN_APART void sn_im2col_nhwc_pairs3(const SnWindow *l, void *panel, const int8_t *x, int32_t p, int32_t n)
{
    int32_t three = sn_pairs3_bytes(l->kernel_h * l->kernel_w * l->in_c);
    int32_t i = p / l->out_w;
    int32_t j = p % l->out_w;
    uint8_t *to = (uint8_t *)panel;

    for (int32_t t = 0; t < n; t++) {
        sn_window_nhwc(l, to, x, i * l->stride_h - l->pad_top, j * l->stride_w - l->pad_left);
        to += t % 3 == 2 ? three - 8 : 4;
        if (++j == l->out_w) {
            j = 0;
            i++;
        }
    }
}

/* The same of an image that lies in any way. */
SN_KERNEL(op=im2col, x=any, panel=pairs3, isa=dsp, order=exact)
static SN_APART void sn_im2col_any_pairs3(const SnWindow *l, void *panel, const int8_t *x, int32_t p, int32_t n)
{
    int32_t three = sn_pairs3_bytes(l->kernel_h * l->kernel_w * l->in_c);
    int32_t i = p / l->out_w;
    int32_t j = p % l->out_w;
    uint8_t *to = (uint8_t *)panel;

    for (int32_t t = 0; t < n; t++) {
        int32_t k = 0;

        for (int32_t u = 0; u < l->kernel_h; u++) {
            int32_t y = i * l->stride_h - l->pad_top + u * l->dilation_h;

            for (int32_t v = 0; v < l->kernel_w; v++, k += l->in_c) {
                int32_t z = j * l->stride_w - l->pad_left + v * l->dilation_w;
                const int8_t *from = x + y * l->in_row + z * l->in_col;

                if (y < 0 || y >= l->in_h || z < 0 || z >= l->in_w)
                    sn_pairs3_fill(to, k, l->in_zero, l->in_c);
                else
                    for (int32_t c = 0; c < l->in_c; c++, from += l->in_chan)
                        *sn_pairs3_at(to, k + c) = *from;
            }
        }
        to += t % 3 == 2 ? three - 8 : 4;
        if (++j == l->out_w) {
            j = 0;
            i++;
        }
    }
}

/* ---- panels times weights ------------------------------------------------------------------------------------------------ */

/* What the tile below works on; assembly knows the places.
 *
 * Weights of two outputs lie in the order of their use, everything 32 bits:
 *
 *     | bias[a] << 8 | e[a] |  bias[b] << 8 | e[b] |  the words drawn above  |  m[a]  |  m[b]  |          e = -shift, 1 .. 16 */
typedef struct {
    uint32_t bias[2];           /*  0  of the weights, as they are there: the low bytes are shifts */
    int32_t round;              /*  8  64 (1 + 2 zero) */
    int8_t *y[3];               /* 12  output a of each position; a surplus position has the last one's */
    int32_t at;                 /* 24  how far outputs a are from there */
    int32_t chan;               /* 28  and outputs b from a; 0: there is no b */
    const void *end;            /* 32  of the weights */
    const void *panel;          /* 36 */
    int32_t fours;              /* 40  inputs / 4 */
    const void *w;              /* 44 */
    int32_t pushed[2];          /* what the assembly pushes, so that the compiler counts it as stack */
} SnPairs3;
_Static_assert(__builtin_offsetof(SnPairs3, w) == 44, "assembly knows where they are");

/* Four inputs: the tile's inner part.  r0-r2: C of three positions, r3-r5: B, r11: weights, r12: panel. */
#define SN_PAIRS3_FOUR \
    "ldrd r6, r7, [r11], #8\n\t" \
    "ldmia r12!, {r8, r9, r10}\n\t" \
    "smlad r0, r6, r8, r0\n\t smlad r1, r6, r9, r1\n\t smlad r2, r6, r10, r2\n\t sxtb16 r6, r6\n\t" \
    "smlad r3, r6, r8, r3\n\t smlad r4, r6, r9, r4\n\t smlad r5, r6, r10, r5\n\t" \
    "ldmia r12!, {r8, r9, r10}\n\t" \
    "smlad r0, r7, r8, r0\n\t smlad r1, r7, r9, r1\n\t smlad r2, r7, r10, r2\n\t sxtb16 r7, r7\n\t" \
    "smlad r3, r7, r8, r3\n\t smlad r4, r7, r9, r4\n\t smlad r5, r7, r10, r5\n\t"

/* Sums of two outputs of three positions: 256 A + B in r0-r2, B in r3-r5; then r7, r12: multipliers of a and b, r8, r9:
 * words whose low bytes are their shifts, r10: the rounding constant of b, lr: of a, 7 bits more; r6: the address of y. */
#define SN_PAIRS3_SUMS \
    "push {r0, r7}\n\t" \
    "ldr r11, [r0, #44]\n" \
    "1:\n\t" \
    "ldr r6, [sp]\n\t" \
    "ldmia r11!, {r0, r3}\n\t" \
    "strd r0, r3, [r6]\n\t" \
    "ldrd r12, lr, [r6, #36]\n\t" \
    "asrs r3, r3, #8\n\t bic r0, r0, #255\n\t add r0, r0, r3\n\t mov r1, r0\n\t mov r2, r0\n\t mov r4, r3\n\t mov r5, r3\n\t" \
    "subs lr, lr, #8\n\t blt 3f\n" \
    "2:\n\t" \
    SN_PAIRS3_FOUR SN_PAIRS3_FOUR SN_PAIRS3_FOUR SN_PAIRS3_FOUR SN_PAIRS3_FOUR SN_PAIRS3_FOUR SN_PAIRS3_FOUR SN_PAIRS3_FOUR \
    "subs lr, lr, #8\n\t bge 2b\n" \
    "3:\n\t" \
    "adds lr, lr, #8\n\t beq 5f\n" \
    "4:\n\t" \
    SN_PAIRS3_FOUR \
    "subs lr, lr, #1\n\t bne 4b\n" \
    "5:\n\t" \
    "ldr r6, [sp]\n\t" \
    "ldmia r6!, {r8, r9, r10}\n\t ldrd r7, r12, [r11], #8\n\t lsl lr, r10, r8\n\t lsl r10, r10, r9\n\t asr r10, r10, #7\n\t" \
    "subs r0, r0, r3\n\t subs r1, r1, r4\n\t subs r2, r2, r5\n\t"

/* Outputs b, then a, from the last position to the first; then the next two outputs.  Where there is no b, or no such position, a wins. */
#define SN_PAIRS3_STORE \
    "ldmia r6, {r7, r8, r9, r10, r12, lr}\n\t" \
    "add r10, r10, r12\n\t" \
    "strb r5, [r9, r10]\n\t strb r4, [r8, r10]\n\t strb r3, [r7, r10]\n\t" \
    "sub r10, r10, r12\n\t" \
    "strb r2, [r9, r10]\n\t strb r1, [r8, r10]\n\t strb r0, [r7, r10]\n\t" \
    "add r10, r10, r12, lsl #1\n\t str r10, [r6, #12]\n\t" \
    "cmp r11, lr\n\t bne 1b\n\t" \
    "pop {r0, r7}\n\t"

/* All outputs of three positions; outputs are -128 .. 127 and -128 is their zero point. */
static SN_APART void sn_pairs3_tile_relu(SnPairs3 *tile)
{
    register SnPairs3 *t __asm__("r0") = tile;

    __asm__ volatile(
        SN_PAIRS3_SUMS
        "add lr, lr, #64\n\t add r8, r8, #7\n\t"
        "smmla r0, r0, r7, lr\n\t smmla r1, r1, r7, lr\n\t smmla r2, r2, r7, lr\n\t"
        "asr r0, r0, r8\n\t asr r1, r1, r8\n\t asr r2, r2, r8\n\t"
        "ssat r0, #8, r0\n\t ssat r1, #8, r1\n\t ssat r2, #8, r2\n\t"
        "lsls r3, r3, #1\n\t lsls r4, r4, #1\n\t lsls r5, r5, #1\n\t"
        "smmlar r3, r3, r12, r10\n\t smmlar r4, r4, r12, r10\n\t smmlar r5, r5, r12, r10\n\t"
        "asr r3, r3, r9\n\t asr r4, r4, r9\n\t asr r5, r5, r9\n\t"
        "ssat r3, #8, r3\n\t ssat r4, #8, r4\n\t ssat r5, #8, r5\n\t"
        SN_PAIRS3_STORE
        : "+r"(t) : : "r1", "r2", "r3", "r4", "r5", "r6", "r8", "r9", "r10", "r11", "r12", "lr", "cc", "memory");
}

/* The same where outputs may be below their zero point. */
static SN_APART void sn_pairs3_tile_any(SnPairs3 *tile)
{
    register SnPairs3 *t __asm__("r0") = tile;

    __asm__ volatile(
        SN_PAIRS3_SUMS
        "asr lr, lr, #7\n\t"
        "asrs r0, r0, #7\n\t asrs r1, r1, #7\n\t asrs r2, r2, #7\n\t"
        "smmlar r12, r0, r7, lr\n\t add r0, r12, r0, asr #31\n\t"
        "smmlar r12, r1, r7, lr\n\t add r1, r12, r1, asr #31\n\t"
        "smmlar r12, r2, r7, lr\n\t add r2, r12, r2, asr #31\n\t"
        "ldr r12, [r11, #-4]\n\t"
        "asr r0, r0, r8\n\t asr r1, r1, r8\n\t asr r2, r2, r8\n\t"
        "ssat r0, #8, r0\n\t ssat r1, #8, r1\n\t ssat r2, #8, r2\n\t"
        "lsls r3, r3, #1\n\t lsls r4, r4, #1\n\t lsls r5, r5, #1\n\t"
        "smmlar lr, r3, r12, r10\n\t add r3, lr, r3, asr #31\n\t"
        "smmlar lr, r4, r12, r10\n\t add r4, lr, r4, asr #31\n\t"
        "smmlar lr, r5, r12, r10\n\t add r5, lr, r5, asr #31\n\t"
        "asr r3, r3, r9\n\t asr r4, r4, r9\n\t asr r5, r5, r9\n\t"
        "ssat r3, #8, r3\n\t ssat r4, #8, r4\n\t ssat r5, #8, r5\n\t"
        SN_PAIRS3_STORE
        : "+r"(t) : : "r1", "r2", "r3", "r4", "r5", "r6", "r8", "r9", "r10", "r11", "r12", "lr", "cc", "memory");
}

/* The outputs of n positions from p on, three at a time. */
static inline void sn_pairs3_dot(const SnWindow *l, int8_t *y, const void *panel, int32_t p, int32_t n, void (*tile)(SnPairs3 *))
{
    int32_t k = l->kernel_h * l->kernel_w * l->in_c;
    int32_t fours = (k + 3) / 4;
    const uint8_t *even = (const uint8_t *)l->weights + l->out_c / 2 * (8 * fours + 16);    /* the end of whole pairs */
    int32_t i = p / l->out_w;
    int32_t j = p % l->out_w;
    SnPairs3 t = { .panel = panel, .fours = fours, .round = 64 * (1 + 2 * l->zero) };

    while (n > 0) {
        for (int32_t r = 0; r < 3; r++, n--) {
            t.y[r] = n > 0 ? y + i * l->out_row + j * l->out_col : t.y[r - 1];
            if (++j == l->out_w) {
                j = 0;
                i++;
            }
        }
        t.at = 0;
        t.chan = l->out_chan;
        t.w = l->weights;
        t.end = even;
        if (l->out_c > 1)
            tile(&t);
        if (l->out_c & 1) {
            t.chan = 0;
            t.w = even;
            t.end = even + 8 * fours + 16;
            tile(&t);
        }
        t.panel = (const uint8_t *)t.panel + 24 * fours;
    }
}

SN_KERNEL(op=dot_panel, panel=pairs3, layout=pairs_relu, tile=2x3, isa=dsp, order=exact)
static SN_APART void sn_dot_pairs_relu(const SnWindow *l, int8_t *y, const void *panel, int32_t p, int32_t n)
{
    sn_pairs3_dot(l, y, panel, p, n, sn_pairs3_tile_relu);
}

static inline int32_t sn_within(int32_t v, int32_t lo, int32_t hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

/* Any range: what is narrower than int8 is limited afterwards. */
SN_KERNEL(op=dot_panel, panel=pairs3, layout=pairs_any, tile=2x3, isa=dsp, order=exact)
static SN_APART void sn_dot_pairs_any(const SnWindow *l, int8_t *y, const void *panel, int32_t p, int32_t n)
{
    sn_pairs3_dot(l, y, panel, p, n, sn_pairs3_tile_any);
    if (l->lo == -128 && l->hi == 127)
        return;
    for (int32_t e = p; e < p + n; e++) {
        int8_t *to = y + e / l->out_w * l->out_row + e % l->out_w * l->out_col;

        for (int32_t c = 0; c < l->out_c; c++, to += l->out_chan)
            *to = (int8_t)sn_within(*to, l->lo, l->hi);
    }
}

/* v m 2^(shift - 31), rounded twice, for any shift. */
static inline int32_t sn_rescale_dsp(int32_t v, int32_t m, int32_t shift)
{
    int32_t left = shift > 0 ? shift : 0;
    int32_t right = left - shift;
    int32_t mask = (int32_t)((1u << right) - 1u);

    v = (int32_t)(((int64_t)(int32_t)((uint32_t)v << left) * m + (1 << 30)) >> 31);
    return (v >> right) + ((v & mask) > (mask >> 1) + (v < 0));
}

/* Sums of any size, weights of all values: layout words, for each output bias, multiplier, shift, then four weights a word, 0 behind the last. */
SN_KERNEL(op=dot_panel, panel=pairs3, layout=words, tile=1x3, isa=dsp, order=exact)
static SN_APART void sn_dot_words(const SnWindow *l, int8_t *y, const void *panel, int32_t p, int32_t n)
{
    int32_t fours = (l->kernel_h * l->kernel_w * l->in_c + 3) / 4;

    for (const uint32_t *x = (const uint32_t *)panel; n > 0; n -= 3, p += 3, x += 6 * fours) {
        const uint32_t *w = (const uint32_t *)l->weights;

        for (int32_t c = 0; c < l->out_c; c++) {
            int32_t m = (int32_t)w[1];
            int32_t shift = (int32_t)w[2];
            int32_t sum[3];

            sum[0] = sum[1] = sum[2] = (int32_t)w[0];
            w += 3;
            for (int32_t q = 0; q < 6 * fours; q += 6) {
                uint32_t even = sn_sxtb16(*w);
                uint32_t odd = sn_sxtb16_odd(*w++);

                for (int32_t r = 0; r < 3; r++)
                    sum[r] = sn_smlad(odd, x[q + 3 + r], sn_smlad(even, x[q + r], sum[r]));
            }
            for (int32_t r = 0; r < 3 && r < n; r++)
                y[(p + r) / l->out_w * l->out_row + (p + r) % l->out_w * l->out_col + c * l->out_chan] =
                    (int8_t)sn_within(l->zero + sn_rescale_dsp(sum[r], m, shift), l->lo, l->hi);
        }
    }
}

/* ---- fully connected layers ------------------------------------------------------------------------------------------------ */

/* An output, for any shift and range. */
static SN_APART int8_t sn_fully_any(const SnFully *l, int32_t sum)
{
    return (int8_t)sn_within(l->zero + sn_rescale_dsp(sum, l->mult, l->shift), l->lo, l->hi);
}

/* The same where e, from 1 to 16, is the shift to the right, and all of int8 the range; 0: another layer. */
static inline int8_t sn_fully_finish(const SnFully *l, int32_t sum, int32_t m, int32_t round, int32_t e)
{
    return e ? (int8_t)sn_ssat8((sn_smmlar(2 * sum, m, round) + (sum >> 31)) >> e) : sn_fully_any(l, sum);
}

/* What the sum of four outputs works on; assembly knows the places. */
typedef struct {
    const uint32_t *w;          /*  0 */
    const int8_t *x;            /*  4 */
    const int8_t *end;          /*  8  of x */
    int32_t sum[4];             /* 12  before: 256 (bias a) + bias b, bias b, and those of c and d; afterwards with the products */
    int32_t pushed[2];          /* what the assembly pushes, so that the compiler counts it as stack */
} SnPairs4;

/* Four inputs: r1 weights, r2 inputs, r4-r7 sums. */
#define SN_PAIRS4_FOUR \
    "ldr r12, [r2], #4\n\t ldmia r1!, {r8, r9, r10, r11}\n\t" \
    "sxtb16 lr, r12, ror #8\n\t sxtb16 r12, r12\n\t" \
    "smlad r4, r8, r12, r4\n\t sxtb16 r8, r8\n\t smlad r4, r9, lr, r4\n\t sxtb16 r9, r9\n\t" \
    "smlad r6, r10, r12, r6\n\t sxtb16 r10, r10\n\t smlad r6, r11, lr, r6\n\t sxtb16 r11, r11\n\t" \
    "smlad r5, r8, r12, r5\n\t smlad r5, r9, lr, r5\n\t" \
    "smlad r7, r10, r12, r7\n\t smlad r7, r11, lr, r7\n\t"

/* Moves w on; 16 instructions for 16 multiply-adds. */
static inline void sn_pairs4_sum(SnPairs4 *sum)
{
    register SnPairs4 *s __asm__("r0") = sum;

    __asm__ volatile(
        "push {r0, r7}\n\t"
        "ldmia r0, {r1, r2, r3, r4, r5, r6, r7}\n\t"
        "sub r0, r3, r2\n\t tst r0, #4\n\t beq 1f\n\t"
        SN_PAIRS4_FOUR
        "cmp r2, r3\n\t beq 2f\n"
        "1:\n\t"
        SN_PAIRS4_FOUR SN_PAIRS4_FOUR
        "cmp r2, r3\n\t bne 1b\n"
        "2:\n\t"
        "ldr r0, [sp]\n\t"
        "stmia r0, {r1, r2, r3, r4, r5, r6, r7}\n\t"
        "pop {r0, r7}\n\t"
        : "+r"(s) : : "r1", "r2", "r3", "r4", "r5", "r6", "r8", "r9", "r10", "r11", "r12", "lr", "cc", "memory");
}

/* Four outputs at a time, which share the widening of four inputs; one output at a time those behind the last four.
 *
 * layout pairs4: for each four outputs a, b, c, d, for each four inputs, four words as in panels:
 *
 *     | a, b: inputs 0, 2 |  a, b: 1, 3 |  c, d: 0, 2 |  c, d: 1, 3 |
 *
 * then the others' weights as they are, each output's up to a multiple of 4, 0 behind the last.  The bias apart. */
SN_KERNEL(op=fully, layout=pairs4, after=3, isa=dsp, order=exact)
static SN_APART void sn_fully_pairs4(const SnFully *l, int8_t *y, const int8_t *x)
{
    const int32_t *bias = l->bias;
    SnPairs4 s = { .w = (const uint32_t *)l->weights, .end = x + (l->n_in + 3) / 4 * 4 };
    int32_t m = l->mult;
    int32_t e = l->shift < 0 && l->shift >= -16 && l->lo == -128 && l->hi == 127 ? -l->shift : 0;
    int32_t round = ((1 + 2 * l->zero) << e) >> 1;

    for (int32_t n = l->n_out / 4; n > 0; n--, bias += 4, y += 4) {
        s.x = x;
        s.sum[0] = (int32_t)((uint32_t)bias[0] << 8) + bias[1];
        s.sum[1] = bias[1];
        s.sum[2] = (int32_t)((uint32_t)bias[2] << 8) + bias[3];
        s.sum[3] = bias[3];
        sn_pairs4_sum(&s);
        y[0] = sn_fully_finish(l, (s.sum[0] - s.sum[1]) >> 8, m, round, e);
        y[1] = sn_fully_finish(l, s.sum[1], m, round, e);
        y[2] = sn_fully_finish(l, (s.sum[2] - s.sum[3]) >> 8, m, round, e);
        y[3] = sn_fully_finish(l, s.sum[3], m, round, e);
    }
    for (int32_t n = l->n_out & 3; n > 0; n--) {
        int32_t sum = *bias++;

        for (const int8_t *from = x; from != s.end; from += 4) {
            uint32_t v = sn_load_u32((const uint8_t *)from);
            uint32_t a = *s.w++;

            sum = sn_smlad(sn_sxtb16(a), sn_sxtb16(v), sn_smlad(sn_sxtb16_odd(a), sn_sxtb16_odd(v), sum));
        }
        *y++ = sn_fully_finish(l, sum, m, round, e);
    }
}
