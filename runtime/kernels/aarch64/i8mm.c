/* 64-bit ARM with 8-bit matrix products (armv8.2-a+dotprod+i8mm): smmla multiplies 2 rows by 2 tokens over 8 columns.
 *
 *     smmla s, a, b       a  | row 0, columns 0..7 | row 1, columns 0..7 |      s  | r0 t0 | r0 t1 | r1 t0 | r1 t1 |
 *                         b  | token 0, the same   | token 1, the same   |
 *
 * That is twice what sdot multiplies, for four tokens at once; one token is dotprod.c's, in the same order of sums.  A packed
 * vector has 4 rows x 4 columns, so two neighbours zipped by 32 bits are rows 0 and 1, and rows 2 and 3, with 8 columns
 * each; codes of 4 bits are zipped before they are split.  Activations are zipped by tokens once a block, and serve all
 * eight groups of 4 rows.  At the end of a block even lanes are one token's sums of 4 rows, odd lanes the other's. */
#include <arm_neon.h>
#include "../kernel.h"

/* A block's activations of four tokens: q[4 p + o] has tokens 2p and 2p + 1, columns 8o... */
__attribute__((always_inline))
static inline void sn_pair_tokens_i8mm(int8x16_t q[8], const SnQ8 *x, int x_stride)
{
    for (int p = 0; p < 2; p++)
        for (int h = 0; h < 2; h++) {
            const int64x2_t a = vreinterpretq_s64_s8(vld1q_s8(x[2 * p * x_stride].q + 16 * h));
            const int64x2_t b = vreinterpretq_s64_s8(vld1q_s8(x[(2 * p + 1) * x_stride].q + 16 * h));

            q[4 * p + 2 * h] = vreinterpretq_s8_s64(vzip1q_s64(a, b));
            q[4 * p + 2 * h + 1] = vreinterpretq_s8_s64(vzip2q_s64(a, b));
        }
}

/* Sums of a block begin at -offset * sum(q): s[2 p + k] is tokens 2p and 2p + 1, rows 2k and 2k + 1. */
__attribute__((always_inline))
static inline void sn_start_i8mm(int32x4_t start[2], const SnQ8 *x, int x_stride, int offset)
{
    for (int p = 0; p < 2; p++) {
        const int32_t two[2] = { -offset * x[2 * p * x_stride].sum, -offset * x[(2 * p + 1) * x_stride].sum };
        const int32x2_t v = vld1_s32(two);

        start[p] = vcombine_s32(v, v);
    }
}

/* 8 columns of 4 rows, `top` rows 0 and 1, `bottom` rows 2 and 3, added to the sums of four tokens. */
__attribute__((always_inline))
static inline void sn_add_i8mm(int32x4_t s[4], int8x16_t top, int8x16_t bottom, int8x16_t q01, int8x16_t q23)
{
    s[0] = vmmlaq_s32(s[0], top, q01);
    s[1] = vmmlaq_s32(s[1], bottom, q01);
    s[2] = vmmlaq_s32(s[2], top, q23);
    s[3] = vmmlaq_s32(s[3], bottom, q23);
}

/* Two vectors of codes that follow one another, zipped by rows. */
static inline uint8x16_t sn_top_i8mm(uint8x16_t v, uint8x16_t u)
{
    return vreinterpretq_u8_u32(vzip1q_u32(vreinterpretq_u32_u8(v), vreinterpretq_u32_u8(u)));
}

static inline uint8x16_t sn_bottom_i8mm(uint8x16_t v, uint8x16_t u)
{
    return vreinterpretq_u8_u32(vzip2q_u32(vreinterpretq_u32_u8(v), vreinterpretq_u32_u8(u)));
}

/* The integer sums of 4 rows, times the weights' and the activations' scales, added to acc. */
__attribute__((always_inline))
static inline void sn_scale_i8mm(float *acc, const int32x4_t s[4], float32x4_t d, const SnQ8 *x, int x_stride)
{
    for (int p = 0; p < 2; p++) {
        sn_scale_neon(acc + 64 * p, vuzp1q_s32(s[2 * p], s[2 * p + 1]), d, x[2 * p * x_stride].d);
        sn_scale_neon(acc + 64 * p + 32, vuzp2q_s32(s[2 * p], s[2 * p + 1]), d, x[(2 * p + 1) * x_stride].d);
    }
}

/* 4 rows x 32 columns of 4-bit codes, added to s. */
__attribute__((always_inline))
static inline void sn_add_codes_i4_i8mm(int32x4_t s[4], const uint8_t *codes, const int8x16_t q[8])
{
    const uint8x16_t low = vdupq_n_u8(15);

    for (int i = 0; i < 2; i++) {                               /* columns 8i.. in the low nibbles, 16 + 8i.. in the high */
        const uint8x16_t v = vld1q_u8(codes + 128 * i);
        const uint8x16_t u = vld1q_u8(codes + 128 * i + 64);
        const uint8x16_t top = sn_top_i8mm(v, u);
        const uint8x16_t bottom = sn_bottom_i8mm(v, u);

        sn_add_i8mm(s, vreinterpretq_s8_u8(vandq_u8(top, low)), vreinterpretq_s8_u8(vandq_u8(bottom, low)), q[i], q[4 + i]);
        sn_add_i8mm(s, vreinterpretq_s8_u8(vshrq_n_u8(top, 4)), vreinterpretq_s8_u8(vshrq_n_u8(bottom, 4)), q[2 + i],
                    q[6 + i]);
    }
}

/* ---- the kernels ------------------------------------------------------------------------------------------------ */

SN_KERNEL(op=dot, layout=i8g32_r32k4, x=q8, tile=32x4, isa=i8mm, features=dotprod+i8mm, order=groups_fma)
static SN_APART void sn_dot4_i8g32_r32k4_q8_i8mm(float acc[4 * 32], const uint8_t *w, const SnQ8 *x,
                                                 int x_stride, int n_in, const uint8_t *next)
{
    const uint8x16_t middle = vdupq_n_u8(0x80);

    sn_clear_neon(acc, 4 * 32);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I8_BLOCK) {
        int8x16_t q[8];

        if (next) {
            sn_prefetch(next, SN_I8_BLOCK);
            next += SN_I8_BLOCK;
        }
        sn_pair_tokens_i8mm(q, x + b, x_stride);
        for (int g = 0; g < 8; g++) {
            const uint8_t *codes = w + 512 * (g / 4) + 16 * (g % 4);
            int32x4_t s[4];

            for (int k = 0; k < 4; k++)
                s[k] = vdupq_n_s32(0);
            for (int i = 0; i < 4; i++) {
                const uint8x16_t v = veorq_u8(vld1q_u8(codes + 128 * i), middle);
                const uint8x16_t u = veorq_u8(vld1q_u8(codes + 128 * i + 64), middle);

                sn_add_i8mm(s, vreinterpretq_s8_u8(sn_top_i8mm(v, u)), vreinterpretq_s8_u8(sn_bottom_i8mm(v, u)), q[i],
                            q[4 + i]);
            }
            sn_scale_i8mm(acc + 4 * g, s, sn_halves_neon(w + 1024 + 8 * g), x + b, x_stride);
        }
    }
}

SN_KERNEL(op=dot, layout=i4g32_r32k4, x=q8, tile=32x4, isa=i8mm, features=dotprod+i8mm, order=groups_fma)
static SN_APART void sn_dot4_i4g32_r32k4_q8_i8mm(float acc[4 * 32], const uint8_t *w, const SnQ8 *x,
                                                 int x_stride, int n_in, const uint8_t *next)
{
    sn_clear_neon(acc, 4 * 32);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I4_BLOCK) {
        int8x16_t q[8];
        int32x4_t start[2];

        if (next) {
            sn_prefetch(next, SN_I4_BLOCK);
            next += SN_I4_BLOCK;
        }
        sn_pair_tokens_i8mm(q, x + b, x_stride);
        sn_start_i8mm(start, x + b, x_stride, 8);               /* w = d * (code - 8) */
        for (int g = 0; g < 8; g++) {
            int32x4_t s[4] = { start[0], start[0], start[1], start[1] };

            sn_add_codes_i4_i8mm(s, w + 256 * (g / 4) + 16 * (g % 4), q);
            sn_scale_i8mm(acc + 4 * g, s, sn_halves_neon(w + 512 + 8 * g), x + b, x_stride);
        }
    }
}

SN_KERNEL(op=dot, layout=i4g32m_r32k4, x=q8, tile=32x4, isa=i8mm, features=dotprod+i8mm, order=groups_fma)
static SN_APART void sn_dot4_i4g32m_r32k4_q8_i8mm(float acc[4 * 32], const uint8_t *w, const SnQ8 *x,
                                                  int x_stride, int n_in, const uint8_t *next)
{
    sn_clear_neon(acc, 4 * 32);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I4M_BLOCK) {
        int8x16_t q[8];

        if (next) {
            sn_prefetch(next, SN_I4M_BLOCK);
            next += SN_I4M_BLOCK;
        }
        sn_pair_tokens_i8mm(q, x + b, x_stride);
        for (int g = 0; g < 8; g++) {
            const float32x4_t m = sn_halves_neon(w + 576 + 8 * g);
            int32x4_t s[4];

            for (int k = 0; k < 4; k++)
                s[k] = vdupq_n_s32(0);
            sn_add_codes_i4_i8mm(s, w + 256 * (g / 4) + 16 * (g % 4), q);
            sn_scale_i8mm(acc + 4 * g, s, sn_halves_neon(w + 512 + 8 * g), x + b, x_stride);
            for (int t = 0; t < 4; t++) {
                float *out = acc + 32 * t + 4 * g;

                vst1q_f32(out, vfmaq_n_f32(vld1q_f32(out), m, x[t * x_stride + b].ds));
            }
        }
    }
}
