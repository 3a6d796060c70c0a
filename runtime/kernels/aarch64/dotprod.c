/* 64-bit ARM with dot product instructions (armv8.2-a+dotprod): sdot adds four products of 8 bits in every 32-bit lane.
 *
 * Everything but the dot products with 8-bit activations is neon.c's.  The activations of a block are two vectors; sdot
 * takes four of them by lane, so nothing is broadcast.  Codes of 4 bits are positive, those of 8 bits lose their 128. */
#include <arm_neon.h>
#include "../kernel.h"

/* s + the products of 4 rows x 16 columns: v[i] has columns 4i..4i+3, x all 16. */
__attribute__((always_inline))
static inline int32x4_t sn_dot16_dotprod(int32x4_t s, const int8x16_t *v, int8x16_t x)
{
    s = vdotq_laneq_s32(s, v[0], x, 0);
    s = vdotq_laneq_s32(s, v[1], x, 1);
    s = vdotq_laneq_s32(s, v[2], x, 2);
    return vdotq_laneq_s32(s, v[3], x, 3);
}

__attribute__((always_inline))
static inline void sn_dots_i8g32_q8_dotprod(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                            const uint8_t *next, int tokens)
{
    const uint8x16_t middle = vdupq_n_u8(0x80);

    sn_clear_neon(acc, 32 * tokens);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I8_BLOCK) {
        if (next) {
            sn_prefetch(next, SN_I8_BLOCK);
            next += SN_I8_BLOCK;
        }
        for (int g = 0; g < 8; g++) {
            const uint8_t *codes = w + 512 * (g / 4) + 16 * (g % 4);
            const float32x4_t d = sn_halves_neon(w + 1024 + 8 * g);
            int8x16_t v[8];

            for (int i = 0; i < 8; i++)
                v[i] = vreinterpretq_s8_u8(veorq_u8(vld1q_u8(codes + 64 * i), middle));
            for (int t = 0; t < tokens; t++) {
                const SnQ8 *q = x + t * x_stride + b;
                int32x4_t s = sn_dot16_dotprod(vdupq_n_s32(0), v, vld1q_s8(q->q));

                s = sn_dot16_dotprod(s, v + 4, vld1q_s8(q->q + 16));
                sn_scale_neon(acc + 32 * t + 4 * g, s, d, q->d);
            }
        }
    }
}

/* 4 rows x 32 columns of 4-bit codes: low[i] has columns 4i.., high[i] columns 16 + 4i.. */
__attribute__((always_inline))
static inline void sn_split_dotprod(int8x16_t low[4], int8x16_t high[4], const uint8_t *codes)
{
    for (int i = 0; i < 4; i++) {
        const uint8x16_t both = vld1q_u8(codes + 64 * i);

        low[i] = vreinterpretq_s8_u8(vandq_u8(both, vdupq_n_u8(15)));
        high[i] = vreinterpretq_s8_u8(vshrq_n_u8(both, 4));
    }
}

__attribute__((always_inline))
static inline void sn_dots_i4g32_q8_dotprod(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                            const uint8_t *next, int tokens)
{
    sn_clear_neon(acc, 32 * tokens);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I4_BLOCK) {
        if (next) {
            sn_prefetch(next, SN_I4_BLOCK);
            next += SN_I4_BLOCK;
        }
        for (int g = 0; g < 8; g++) {
            const float32x4_t d = sn_halves_neon(w + 512 + 8 * g);
            int8x16_t low[4], high[4];

            sn_split_dotprod(low, high, w + 256 * (g / 4) + 16 * (g % 4));
            for (int t = 0; t < tokens; t++) {
                const SnQ8 *q = x + t * x_stride + b;
                int32x4_t s = vdupq_n_s32(-8 * q->sum);                         /* w = d * (code - 8) */

                s = sn_dot16_dotprod(s, low, vld1q_s8(q->q));
                s = sn_dot16_dotprod(s, high, vld1q_s8(q->q + 16));
                sn_scale_neon(acc + 32 * t + 4 * g, s, d, q->d);
            }
        }
    }
}

__attribute__((always_inline))
static inline void sn_dots_i4g32m_q8_dotprod(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                             const uint8_t *next, int tokens)
{
    sn_clear_neon(acc, 32 * tokens);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I4M_BLOCK) {
        if (next) {
            sn_prefetch(next, SN_I4M_BLOCK);
            next += SN_I4M_BLOCK;
        }
        for (int g = 0; g < 8; g++) {
            const float32x4_t d = sn_halves_neon(w + 512 + 8 * g);
            const float32x4_t m = sn_halves_neon(w + 576 + 8 * g);
            int8x16_t low[4], high[4];

            sn_split_dotprod(low, high, w + 256 * (g / 4) + 16 * (g % 4));
            for (int t = 0; t < tokens; t++) {
                const SnQ8 *q = x + t * x_stride + b;
                float *out = acc + 32 * t + 4 * g;
                int32x4_t s = sn_dot16_dotprod(vdupq_n_s32(0), low, vld1q_s8(q->q));

                s = sn_dot16_dotprod(s, high, vld1q_s8(q->q + 16));
                sn_scale_neon(out, s, d, q->d);
                vst1q_f32(out, vfmaq_n_f32(vld1q_f32(out), m, q->ds));
            }
        }
    }
}

/* ---- the kernels ------------------------------------------------------------------------------------------------ */

SN_KERNEL(op=dot, layout=i8g32_r32k4, x=q8, tile=32x4, isa=dotprod, features=dotprod, order=groups_fma)
static SN_APART void sn_dot4_i8g32_r32k4_q8_dotprod(float acc[4 * 32], const uint8_t *w,
                                                    const SnQ8 *x, int x_stride, int n_in,
                                                  const uint8_t *next)
{
    sn_dots_i8g32_q8_dotprod(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=i8g32_r32k4, x=q8, tile=32x1, isa=dotprod, features=dotprod, order=groups_fma)
static SN_APART void sn_dot_i8g32_r32k4_q8_dotprod(float acc[32], const uint8_t *w, const SnQ8 *x,
                                                   int n_in, const uint8_t *next)
{
    sn_dots_i8g32_q8_dotprod(acc, w, x, 0, n_in, next, 1);
}

SN_KERNEL(op=dot, layout=i4g32_r32k4, x=q8, tile=32x4, isa=dotprod, features=dotprod, order=groups_fma)
static SN_APART void sn_dot4_i4g32_r32k4_q8_dotprod(float acc[4 * 32], const uint8_t *w,
                                                    const SnQ8 *x, int x_stride, int n_in,
                                                  const uint8_t *next)
{
    sn_dots_i4g32_q8_dotprod(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=i4g32_r32k4, x=q8, tile=32x1, isa=dotprod, features=dotprod, order=groups_fma)
static SN_APART void sn_dot_i4g32_r32k4_q8_dotprod(float acc[32], const uint8_t *w, const SnQ8 *x,
                                                   int n_in, const uint8_t *next)
{
    sn_dots_i4g32_q8_dotprod(acc, w, x, 0, n_in, next, 1);
}

SN_KERNEL(op=dot, layout=i4g32m_r32k4, x=q8, tile=32x4, isa=dotprod, features=dotprod, order=groups_fma)
static SN_APART void sn_dot4_i4g32m_r32k4_q8_dotprod(float acc[4 * 32], const uint8_t *w,
                                                     const SnQ8 *x, int x_stride, int n_in,
                                                   const uint8_t *next)
{
    sn_dots_i4g32m_q8_dotprod(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=i4g32m_r32k4, x=q8, tile=32x1, isa=dotprod, features=dotprod, order=groups_fma)
static SN_APART void sn_dot_i4g32m_r32k4_q8_dotprod(float acc[32], const uint8_t *w, const SnQ8 *x,
                                                    int n_in, const uint8_t *next)
{
    sn_dots_i4g32m_q8_dotprod(acc, w, x, 0, n_in, next, 1);
}
