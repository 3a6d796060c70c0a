/* Many tokens at once through panels of 8-bit codes: the meaning of the kernels `quant_i8`, `unpack` and `gemm`.
 *
 * A tile of packed weights is unpacked once for all tokens of a call, whatever its layout, into a *panel*: 8-bit codes of which a
 * whole group of columns shares a scale, so that integer sums run long.  Activations have groups of the same columns.
 *
 *   x, one row     | int8 q[n_in] | SnI8Scale of each group |           H x = 8 d q,  -127 <= q[i] <= 127;  sum: of the group's q
 *                  rows begin x_stride bytes apart, a multiple of 64; n_in is a multiple of 64
 *   panel          | codes u8 [n_in / 4][32 rows][4 columns] | f32 d[n_in / group][32 rows] |      H w[r] = 8 d (code - 128), 1..255
 *                  row r, column 4i + j in byte 128 i + 4r + j; begins at a multiple of 64; 32 n_in + 128 n_in / group bytes
 *
 * `group` is 64, 128, 192 or 256 and divides n_in, so a group's sum is exact in an int32 and in a float.  H is the Hadamard matrix of
 * order 64: both sides are turned by it, 64 columns at a time, which leaves their products' sum what it is (H H = 64) and makes even
 * what is uneven: an activation far above its neighbours would take their bits from them [QuaRot, arXiv:2404.00456].
 *
 * H v is made in six rounds, h = 1, 2, 4, .. 32: v[k] and v[k + h] become their sum and their difference, where k has bit h clear.  With
 * max = the largest |H v| of a row (of weights as the layout defines them, or of activations) in a group, d = max / 127 / 8 and the
 * code is the exact product of H v and the float 127 / max, rounded half to even (one fused multiply-add with 1.5 * 2^23 does it);
 * where max is not above 1e-30 all codes are 0.  Where it is infinite or NaN so is d, and all codes are 0.
 *
 * gemm, for n tokens (any number), acc_stride and x_stride from one to the next:
 *
 *     acc[acc_stride t + r] = sum over groups, in order, of (float)(sum of (code - 128) q) * (d_w * d_x)
 *
 * gemm_end, where an ISA has it: a thread calls it after the last gemm of a chunk, because gemm keeps something between calls.
 *
 * with three roundings a group (of d_w * d_x, the product, the sum) and no fused ones, so that every machine gives the same bits. */
#include "../kernel.h"

/* |x| as an integer that compares as |x| does, infinity and NaN above all numbers. */
static inline int32_t sn_magnitude(float x)
{
    return (int32_t)(sn_bits(x) & 0x7fffffffu);
}

/* What a group is multiplied with to become codes; 0: all of its codes are 0. */
static inline float sn_to_codes(float max)
{
    return max > 1e-30f && max <= 3.402823466e38f ? 127.0f / max : 0.0f;
}

/* x * inverse, exact in a double, rounded half to even (adding 1.5 * 2^52 does it); 0 where inverse is. */
static inline int32_t sn_code(float x, float inverse)
{
    return inverse > 0 ? (int32_t)((double)x * (double)inverse + 6755399441055744.0 - 6755399441055744.0) : 0;
}

/* n floats become H times them, 64 at a time. */
static SN_APART void sn_turn(float *v, int n)
{
    for (int b = 0; b < n; b += SN_TURN)
        for (int h = 1; h < SN_TURN; h *= 2)
            for (int i = b; i < b + SN_TURN; i += 2 * h)
                for (int k = i; k < i + h; k++) {
                    const float sum = v[k] + v[k + h];

                    v[k + h] = v[k] - v[k + h];
                    v[k] = sum;
                }
}

/* A group of n activations. */
SN_KERNEL(op=quant_i8, x=f32, isa=portable, order=exact)
static SN_APART void sn_quant_i8(int8_t *q, SnI8Scale *scale, const float *x, int n)
{
    int32_t max_bits = 0;
    int32_t sum = 0;
    float v[SN_I8_GROUP];
    float max, inverse;

    for (int i = 0; i < n; i++)
        v[i] = x[i];
    sn_turn(v, n);
    for (int i = 0; i < n; i++)
        max_bits = sn_magnitude(v[i]) > max_bits ? sn_magnitude(v[i]) : max_bits;
    max = sn_float((uint32_t)max_bits);
    inverse = sn_to_codes(max);
    for (int i = 0; i < n; i++) {
        int32_t code = sn_code(v[i], inverse);

        q[i] = (int8_t)code;
        sum += code;
    }
    scale->d = max / 127.0f * 0.125f;
    scale->sum = sum;
}

enum {
    SN_MAX_SUBS = SN_I8_GROUP / 16,
    SN_LANES = 16               /* rows that are turned together: a compiler makes vectors of them */
};

/* What `sub` columns are worth in each row: w = d code + o, exact but for the sum with a minimum. */
typedef struct {
    float d[SN_MAX_SUBS * SN_ROWS];
    float o[SN_MAX_SUBS * SN_ROWS];
} SnSubs;

/* Three rounds of H for SN_LANES rows, v[SN_LANES k + r]: h = step, 2 step, 4 step. */
__attribute__((always_inline))
static inline void sn_turn_rows(float *v, int step)
{
    for (int k = 0; k < SN_TURN; k++)
        if (!(k & 7 * step)) {
            float *p = v + SN_LANES * k;
            const int far = SN_LANES * step;

            for (int r = 0; r < SN_LANES; r++) {
                const float a0 = p[r] + p[far + r];
                const float a1 = p[r] - p[far + r];
                const float a2 = p[2 * far + r] + p[3 * far + r];
                const float a3 = p[2 * far + r] - p[3 * far + r];
                const float a4 = p[4 * far + r] + p[5 * far + r];
                const float a5 = p[4 * far + r] - p[5 * far + r];
                const float a6 = p[6 * far + r] + p[7 * far + r];
                const float a7 = p[6 * far + r] - p[7 * far + r];
                const float b0 = a0 + a2;
                const float b1 = a1 + a3;
                const float b2 = a0 - a2;
                const float b3 = a1 - a3;
                const float b4 = a4 + a6;
                const float b5 = a5 + a7;
                const float b6 = a4 - a6;
                const float b7 = a5 - a7;

                p[r] = b0 + b4;
                p[far + r] = b1 + b5;
                p[2 * far + r] = b2 + b6;
                p[3 * far + r] = b3 + b7;
                p[4 * far + r] = b0 - b4;
                p[5 * far + r] = b1 - b5;
                p[6 * far + r] = b2 - b6;
                p[7 * far + r] = b3 - b7;
            }
        }
}

/* Quads of SN_LANES rows become floats: v[SN_LANES c + r], `columns` of them, which share d and o. */
static SN_APART void sn_decode_rows(float *v, const uint8_t *panel, const float *d, const float *o, int columns)
{
    for (int i = 0; i < columns / 4; i++, v += 4 * SN_LANES, panel += 4 * SN_ROWS) {
        uint32_t quad[SN_LANES];

        __builtin_memcpy(quad, panel, sizeof quad);
        for (int j = 0; j < 4; j++)
            for (int r = 0; r < SN_LANES; r++)
                v[SN_LANES * j + r] = (float)(int32_t)(quad[r] >> 8 * j & 255) * d[r] + o[r];
    }
}

/* Floats become codes + 128; inverse[r]: what row r is multiplied with. */
static SN_APART void sn_encode_rows(uint8_t *panel, const float *v, const float *inverse, int columns)
{
    for (int i = 0; i < columns / 4; i++, v += 4 * SN_LANES, panel += 4 * SN_ROWS) {
        uint32_t quad[SN_LANES] = { 0 };

        for (int j = 0; j < 4; j++)
            for (int r = 0; r < SN_LANES; r++) {
                const double code = (double)v[SN_LANES * j + r] * (double)inverse[r] + 6755399441055744.0 - 6755399441055744.0;

                quad[r] |= (uint32_t)(128 + (int32_t)code) << 8 * j;
            }
        __builtin_memcpy(panel, quad, sizeof quad);
    }
}

/* The layout's codes of a group, which lie at `panel`, turned and rounded to 8 bits; its scales to scale[32]. */
static SN_APART void sn_round_panel(uint8_t *panel, float *scale, const SnSubs *subs, int group, int sub)
{
    float v[SN_I8_GROUP * SN_LANES];

    for (int h = 0; h < SN_ROWS; h += SN_LANES) {
        int32_t max_bits[SN_LANES] = { 0 };
        float inverse[SN_LANES];

        for (int c = 0; c < group; c += sub)
            sn_decode_rows(v + SN_LANES * c, panel + SN_ROWS * c + 4 * h, subs->d + SN_ROWS * (c / sub) + h,
                           subs->o + SN_ROWS * (c / sub) + h, sub);
        for (int c = 0; c < group; c += SN_TURN) {
            sn_turn_rows(v + SN_LANES * c, 1);
            sn_turn_rows(v + SN_LANES * c, 8);
        }
        for (int c = 0; c < group; c++)
            for (int r = 0; r < SN_LANES; r++) {
                const int32_t bits = sn_magnitude(v[SN_LANES * c + r]);

                max_bits[r] = bits > max_bits[r] ? bits : max_bits[r];
            }
        for (int r = 0; r < SN_LANES; r++) {
            const float max = sn_float((uint32_t)max_bits[r]);

            inverse[r] = sn_to_codes(max);
            scale[h + r] = max / 127.0f * 0.125f;
            for (int c = 0; !(inverse[r] > 0) && c < group; c++)
                v[SN_LANES * c + r] = 0;
        }
        sn_encode_rows(panel + 4 * h, v, inverse, group);
    }
}

/* A block's codes go to their places as bytes: 64 of a layout's vector are four columns of 16 rows, half a quad of the panel. */
static inline void sn_put_i8(uint8_t *panel, const uint8_t *w)
{
    for (int i = 0; i < 16; i++)
        for (int b = 0; b < 64; b++)
            panel[128 * (i % 8) + 64 * (i / 8) + b] = w[64 * i + b];
}

static inline void sn_put_i4(uint8_t *panel, const uint8_t *w)
{
    for (int i = 0; i < 8; i++)
        for (int b = 0; b < 64; b++) {
            uint8_t *to = panel + 128 * (i % 4) + 64 * (i / 4) + b;

            to[0] = w[64 * i + b] & 15;
            to[512] = w[64 * i + b] >> 4;
        }
}

/* 5 bits: column 4i+j's fifth bit is bit i of its byte of the high vector, column 16+4i+j's bit 4 + i. */
static inline void sn_put_i5(uint8_t *panel, const uint8_t *w)
{
    sn_put_i4(panel, w);
    for (int i = 0; i < 8; i++)
        for (int b = 0; b < 64; b++) {
            uint8_t *to = panel + 128 * (i % 4) + 64 * (i / 4) + b;
            const uint8_t high = w[512 + 64 * (i / 4) + b];

            to[0] = (uint8_t)(to[0] | (high >> i % 4 & 1) << 4);
            to[512] = (uint8_t)(to[512] | (high >> (4 + i % 4) & 1) << 4);
        }
}

/* 6 bits: the two high ones of columns 4i+j and 16+4i+j are bits 2 (i / 2) and 4 + 2 (i / 2) of their byte of vector i % 2. */
static inline void sn_put_i6(uint8_t *panel, const uint8_t *w)
{
    sn_put_i4(panel, w);
    for (int i = 0; i < 8; i++)
        for (int b = 0; b < 64; b++) {
            uint8_t *to = panel + 128 * (i % 4) + 64 * (i / 4) + b;
            const uint8_t high = w[512 + 128 * (i / 4) + 64 * (i % 2) + b];

            to[0] = (uint8_t)(to[0] | (high >> i % 4 / 2 * 2 & 3) << 4);
            to[512] = (uint8_t)(to[512] | (high >> (4 + i % 4 / 2 * 2) & 3) << 4);
        }
}

/* 2 bits: columns 4i + 8f + j are field f of vector i. */
static inline void sn_put_i2(uint8_t *panel, const uint8_t *w)
{
    for (int i = 0; i < 16; i++)
        for (int b = 0; b < 64; b++)
            panel[128 * (i % 8) + 64 * (i / 8) + b] = w[128 * (i / 8) + 64 * (i % 2) + b] >> i % 8 / 2 * 2 & 3;
}

/* Sub b: one scale a row, halves at `scales`; o = -center d, or the minima behind them. */
static inline void sn_put_halves(SnSubs *subs, int b, const uint8_t *scales, float center, int minimum)
{
    for (int r = 0; r < SN_ROWS; r++) {
        const float d = sn_f16_to_f32(sn_load_u16(scales + 2 * r));

        subs->d[SN_ROWS * b + r] = d;
        subs->o[SN_ROWS * b + r] = minimum ? sn_f16_to_f32(sn_load_u16(scales + 2 * SN_ROWS + 2 * r)) : d * -center;
    }
}

/* Two levels with minima: d s and m t; `head` is the block's d and m, `at` the group's s and t. */
static inline void sn_put_ms(SnSubs *subs, int b, const uint8_t *head, const uint8_t *at)
{
    for (int r = 0; r < SN_ROWS; r++) {
        subs->d[SN_ROWS * b + r] = sn_f16_to_f32(sn_load_u16(head + 2 * r)) * (float)at[r];
        subs->o[SN_ROWS * b + r] = sn_f16_to_f32(sn_load_u16(head + 2 * SN_ROWS + 2 * r)) * (float)at[SN_ROWS + r];
    }
}

/* Each layout's unpack; `round` is what turns and rounds a group: sn_round_panel, or an instruction set's own.
 *
 * Scales of one level, in halves: codes of 4, 5 or 8 bits in blocks of `bytes` bytes, scales (and minima) at `scales`. */
__attribute__((always_inline))
static inline void sn_unpack_one_level(uint8_t *panel, const uint8_t *w, int n_in, int group, int bits, int bytes, int scales, int center,
                                       int minimum, void (*round)(uint8_t *, float *, const SnSubs *, int, int))
{
    SnSubs subs;

    for (int c = 0; c < n_in; c += group) {
        for (int b = 0; b < group / SN_GROUP; b++, w += bytes) {
            uint8_t *to = panel + SN_ROWS * (c + SN_GROUP * b);

            if (bits == 8)
                sn_put_i8(to, w);
            else if (bits == 5)
                sn_put_i5(to, w);
            else
                sn_put_i4(to, w);
            sn_put_halves(&subs, b, w + scales, (float)center, minimum);
        }
        round(panel + SN_ROWS * c, sn_panel_scales(panel, n_in) + c / group * SN_ROWS, &subs, group, SN_GROUP);
    }
}

/* Codes of 4 or 5 bits with scales and minima of two levels. */
__attribute__((always_inline))
static inline void sn_unpack_two_levels(uint8_t *panel, const uint8_t *w, int n_in, int group, int bits, int block, int span, int scales,
                                        void (*round)(uint8_t *, float *, const SnSubs *, int, int))
{
    SnSubs subs;

    for (int c = 0; c < n_in; c += group) {
        for (int b = 0; b < group / SN_GROUP; b++) {
            const uint8_t *head = w + (c / SN_GROUP + b) / SN_SPANS * block;
            const uint8_t *at = head + 128 + (c / SN_GROUP + b) % SN_SPANS * span;

            if (bits == 5)
                sn_put_i5(panel + SN_ROWS * (c + SN_GROUP * b), at);
            else
                sn_put_i4(panel + SN_ROWS * (c + SN_GROUP * b), at);
            sn_put_ms(&subs, b, head, at + scales);
        }
        round(panel + SN_ROWS * c, sn_panel_scales(panel, n_in) + c / group * SN_ROWS, &subs, group, SN_GROUP);
    }
}

__attribute__((always_inline))
static inline void sn_unpack_i6g16s(uint8_t *panel, const uint8_t *w, int n_in, int group,
                                  void (*round)(uint8_t *, float *, const SnSubs *, int, int))
{
    SnSubs subs;

    for (int c = 0; c < n_in; c += group) {
        for (int b = 0; b < group / SN_GROUP; b++) {
            const uint8_t *head = w + (c / SN_GROUP + b) / SN_SPANS * SN_I6S_BLOCK;
            const uint8_t *at = head + 64 + (c / SN_GROUP + b) % SN_SPANS * SN_I6S_SPAN;

            sn_put_i6(panel + SN_ROWS * (c + SN_GROUP * b), at);
            for (int r = 0; r < 2 * SN_ROWS; r++) {             /* two groups of 16 columns */
                const float d = sn_f16_to_f32(sn_load_u16(head + 2 * (r % SN_ROWS))) * (float)(int8_t)at[768 + r];

                subs.d[2 * SN_ROWS * b + r] = d;
                subs.o[2 * SN_ROWS * b + r] = d * -32.0f;
            }
        }
        round(panel + SN_ROWS * c, sn_panel_scales(panel, n_in) + c / group * SN_ROWS, &subs, group, 16);
    }
}

__attribute__((always_inline))
static inline void sn_unpack_i2g256(uint8_t *panel, const uint8_t *w, int n_in, int group,
                                  void (*round)(uint8_t *, float *, const SnSubs *, int, int))
{
    SnSubs subs;

    for (int c = 0; c < n_in; c += group) {
        for (int b = 0; b < group / SN_GROUP; b++) {
            const uint8_t *block = w + (c / SN_GROUP + b) / 8 * SN_I2_BLOCK;

            sn_put_i2(panel + SN_ROWS * (c + SN_GROUP * b), block + (c / SN_GROUP + b) % 8 * 256);
            sn_put_halves(&subs, b, block + 2048, 1, 0);
        }
        round(panel + SN_ROWS * c, sn_panel_scales(panel, n_in) + c / group * SN_ROWS, &subs, group, SN_GROUP);
    }
}

/* Base 3: a byte times 3 has the first of its digits above and the others below. */
static inline void sn_put_digits(uint8_t *to, uint8_t *q)
{
    for (int b = 0; b < 64; b++) {
        const int three = 3 * q[b];

        to[b] = (uint8_t)(three >> 8);
        q[b] = (uint8_t)three;
    }
}

/* Quad k < 15 of 64 columns is digit k % 5 of vector k / 5, quad 15 of the p-th 64 digit p of the first. */
__attribute__((always_inline))
static inline void sn_unpack_t5g256(uint8_t *panel, const uint8_t *w, int n_in, int group,
                                  void (*round)(uint8_t *, float *, const SnSubs *, int, int))
{
    for (int c = 0; c < n_in; c += SN_TERNARY_COLUMNS, w += SN_T5_BLOCK) {
        uint8_t last[128];
        SnSubs subs;

        __builtin_memcpy(last, w, sizeof last);
        for (int i = 0; i < 8; i++) {
            uint8_t *to = panel + SN_ROWS * (c + 64 * (i / 2)) + 64 * (i % 2);

            for (int v = 0; v < 3; v++) {
                uint8_t q[64];

                __builtin_memcpy(q, w + 128 + 192 * i + 64 * v, sizeof q);
                for (int k = 0; k < 5; k++)
                    sn_put_digits(to + 128 * (5 * v + k), q);
            }
            sn_put_digits(to + 128 * 15, last + 64 * (i % 2));
        }
        for (int b = 0; b < group / SN_GROUP; b++)
            sn_put_halves(&subs, b, w + 1664, 1, 0);
        for (int g = 0; g < SN_TERNARY_COLUMNS; g += group)
            round(panel + SN_ROWS * (c + g), sn_panel_scales(panel, n_in) + (c + g) / group * SN_ROWS, &subs, group, SN_GROUP);
    }
}

SN_KERNEL(op=unpack, layout=i8g32_r32k4, isa=portable, order=exact)
static SN_APART void sn_unpack_i8g32_r32k4_portable(uint8_t *panel, const uint8_t *w, int n_in, int group)
{
    sn_unpack_one_level(panel, w, n_in, group, 8, SN_I8_BLOCK, 1024, 128, 0, sn_round_panel);
}

SN_KERNEL(op=unpack, layout=i4g32_r32k4, isa=portable, order=exact)
static SN_APART void sn_unpack_i4g32_r32k4_portable(uint8_t *panel, const uint8_t *w, int n_in, int group)
{
    sn_unpack_one_level(panel, w, n_in, group, 4, SN_I4_BLOCK, 512, 8, 0, sn_round_panel);
}

SN_KERNEL(op=unpack, layout=i4g32m_r32k4, isa=portable, order=exact)
static SN_APART void sn_unpack_i4g32m_r32k4_portable(uint8_t *panel, const uint8_t *w, int n_in, int group)
{
    sn_unpack_one_level(panel, w, n_in, group, 4, SN_I4M_BLOCK, 512, 0, 1, sn_round_panel);
}

SN_KERNEL(op=unpack, layout=i5g32_r32k4, isa=portable, order=exact)
static SN_APART void sn_unpack_i5g32_r32k4_portable(uint8_t *panel, const uint8_t *w, int n_in, int group)
{
    sn_unpack_one_level(panel, w, n_in, group, 5, SN_I5_BLOCK, 640, 16, 0, sn_round_panel);
}

SN_KERNEL(op=unpack, layout=i4g32ms_r32k4, isa=portable, order=exact)
static SN_APART void sn_unpack_i4g32ms_r32k4_portable(uint8_t *panel, const uint8_t *w, int n_in, int group)
{
    sn_unpack_two_levels(panel, w, n_in, group, 4, SN_I4MS_BLOCK, SN_I4MS_SPAN, 512, sn_round_panel);
}

SN_KERNEL(op=unpack, layout=i5g32ms_r32k4, isa=portable, order=exact)
static SN_APART void sn_unpack_i5g32ms_r32k4_portable(uint8_t *panel, const uint8_t *w, int n_in, int group)
{
    sn_unpack_two_levels(panel, w, n_in, group, 5, SN_I5MS_BLOCK, SN_I5MS_SPAN, 640, sn_round_panel);
}

SN_KERNEL(op=unpack, layout=i6g16s_r32k4, isa=portable, order=exact)
static SN_APART void sn_unpack_i6g16s_r32k4_portable(uint8_t *panel, const uint8_t *w, int n_in, int group)
{
    sn_unpack_i6g16s(panel, w, n_in, group, sn_round_panel);
}

SN_KERNEL(op=unpack, layout=i2g256_r32k4, isa=portable, order=exact)
static SN_APART void sn_unpack_i2g256_r32k4_portable(uint8_t *panel, const uint8_t *w, int n_in, int group)
{
    sn_unpack_i2g256(panel, w, n_in, group, sn_round_panel);
}

SN_KERNEL(op=unpack, layout=t5g256_r32k4, isa=portable, order=exact)
static SN_APART void sn_unpack_t5g256_r32k4_portable(uint8_t *panel, const uint8_t *w, int n_in, int group)
{
    sn_unpack_t5g256(panel, w, n_in, group, sn_round_panel);
}

/* Rows are lanes; a group's codes are read once for each token. */
SN_KERNEL(op=gemm, x=i8, tile=32x1, isa=portable, order=groups)
static SN_APART void sn_gemm_i8_portable(float *acc, int acc_stride, const uint8_t *panel, const int8_t *x, int x_stride,
                                         int n_in, int group, int n)
{
    const float *d = sn_panel_scales(panel, n_in);

    for (int t = 0; t < n; t++)
        for (int r = 0; r < SN_ROWS; r++)
            acc[acc_stride * t + r] = 0;
    for (int c = 0; c < n_in; c += group, d += SN_ROWS)
        for (int t = 0; t < n; t++) {
            const int8_t *q = x + (intptr_t)x_stride * t;
            const SnI8Scale s = sn_i8_scales(q, n_in)[c / group];
            int32_t sum[SN_ROWS];

            for (int r = 0; r < SN_ROWS; r++)
                sum[r] = -128 * s.sum;
            for (int k = c; k < c + group; k += 4)
                for (int r = 0; r < SN_ROWS; r++)
                    for (int j = 0; j < 4; j++)
                        sum[r] += panel[32 * k + 4 * r + j] * q[k + j];
            for (int r = 0; r < SN_ROWS; r++)
                acc[acc_stride * t + r] += (float)sum[r] * (d[r] * s.d);
        }
}
