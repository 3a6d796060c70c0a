/* 64-bit ARM with dot product instructions, codes in two planes and scales of two levels: the layouts of
 * portable/dot_planes.c.  The codes are put together as in neon_planes.c, summed by sdot as in dotprod.c. */
#include <arm_neon.h>
#include "../kernel.h"

/* 4 rows x 32 columns of codes below 128, added to s. */
__attribute__((always_inline))
static inline int32x4_t sn_dot32_dotprod(int32x4_t s, const int8x16_t *low, const int8x16_t *high, const SnQ8 *x)
{
    s = sn_dot16_dotprod(s, low, vld1q_s8(x->q));
    return sn_dot16_dotprod(s, high, vld1q_s8(x->q + 16));
}

/* Codes of 5 bits as signed bytes. */
__attribute__((always_inline))
static inline void sn_fives_dotprod(int8x16_t low[4], int8x16_t high[4], const uint8_t *w, int g)
{
    uint8x16_t a[4], b[4];

    sn_fives_neon(a, b, w, g);
    for (int i = 0; i < 4; i++) {
        low[i] = vreinterpretq_s8_u8(a[i]);
        high[i] = vreinterpretq_s8_u8(b[i]);
    }
}

__attribute__((always_inline))
static inline void sn_dots_i5g32_q8_dotprod(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                            const uint8_t *next, int tokens)
{
    sn_clear_neon(acc, 32 * tokens);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I5_BLOCK) {
        next = sn_prefetch_on_neon(next, SN_I5_BLOCK);
        for (int g = 0; g < 8; g++) {
            const float32x4_t d = sn_halves_neon(w + 640 + 8 * g);
            int8x16_t low[4], high[4];

            sn_fives_dotprod(low, high, w, g);
            for (int t = 0; t < tokens; t++) {                  /* w = d * (code - 16) */
                const SnQ8 *q = x + t * x_stride + b;

                sn_scale_neon(acc + 32 * t + 4 * g, sn_dot32_dotprod(vdupq_n_s32(-16 * q->sum), low, high, q), d, q->d);
            }
        }
    }
}

/* Codes of 4 bits and, if fifth, 5. */
__attribute__((always_inline))
static inline void sn_dots_g32ms_q8_dotprod(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                            const uint8_t *next, int tokens, int fifth)
{
    const int codes = fifth ? 640 : 512;

    sn_clear_neon(acc, 32 * tokens);
    for (int b = 0; b < n_in / SN_GROUP; b += SN_SPANS) {
        const uint8_t *head = w;

        next = sn_prefetch_on_neon(next, 128);
        w += 128;
        for (int c = b; c < b + SN_SPANS; c++, w += codes + 64) {
            next = sn_prefetch_on_neon(next, codes + 64);
            for (int g = 0; g < 8; g++) {
                const float32x4_t d = vmulq_f32(sn_bytes_neon(w + codes + 4 * g), sn_halves_neon(head + 8 * g));
                const float32x4_t m = vmulq_f32(sn_bytes_neon(w + codes + 32 + 4 * g), sn_halves_neon(head + 64 + 8 * g));
                int8x16_t low[4], high[4];

                if (fifth)
                    sn_fives_dotprod(low, high, w, g);
                else
                    sn_split_dotprod(low, high, w + 256 * (g / 4) + 16 * (g % 4));
                for (int t = 0; t < tokens; t++) {
                    const SnQ8 *q = x + t * x_stride + c;
                    float *out = acc + 32 * t + 4 * g;

                    sn_scale_neon(out, sn_dot32_dotprod(vdupq_n_s32(0), low, high, q), d, q->d);
                    vst1q_f32(out, vfmaq_n_f32(vld1q_f32(out), m, q->ds));
                }
            }
        }
    }
}

__attribute__((always_inline))
static inline void sn_dots_i6g16s_q8_dotprod(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                             const uint8_t *next, int tokens)
{
    sn_clear_neon(acc, 32 * tokens);
    for (int b = 0; b < n_in / SN_GROUP; b += SN_SPANS) {
        const uint8_t *head = w;

        next = sn_prefetch_on_neon(next, 64);
        w += 64;
        for (int c = b; c < b + SN_SPANS; c++, w += SN_I6S_SPAN) {
            next = sn_prefetch_on_neon(next, SN_I6S_SPAN);
            for (int g = 0; g < 8; g++) {
                const float32x4_t d = sn_halves_neon(head + 8 * g);
                const int32x4_t s0 = sn_signed_bytes_neon(w + 768 + 4 * g);
                const int32x4_t s1 = sn_signed_bytes_neon(w + 800 + 4 * g);
                int8x16_t low[4], high[4];

                sn_sixes_neon(low, high, w, g);
                for (int t = 0; t < tokens; t++) {
                    const SnQ8 *q = x + t * x_stride + c;
                    const int32x4_t a = sn_dot16_dotprod(vdupq_n_s32(0), low, vld1q_s8(q->q));
                    const int32x4_t b16 = sn_dot16_dotprod(vdupq_n_s32(0), high, vld1q_s8(q->q + 16));

                    sn_scale_neon(acc + 32 * t + 4 * g, vmlaq_s32(vmulq_s32(a, s0), b16, s1), d, q->d);
                }
            }
        }
    }
}

/* ---- the kernels ------------------------------------------------------------------------------------------------ */

SN_KERNEL(op=dot, layout=i5g32_r32k4, x=q8, tile=32x4, isa=dotprod, features=dotprod, order=groups_fma)
static SN_APART void sn_dot4_i5g32_r32k4_q8_dotprod(float acc[4 * 32], const uint8_t *w,
                                                    const SnQ8 *x, int x_stride, int n_in,
                                                  const uint8_t *next)
{
    sn_dots_i5g32_q8_dotprod(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=i5g32_r32k4, x=q8, tile=32x1, isa=dotprod, features=dotprod, order=groups_fma)
static SN_APART void sn_dot_i5g32_r32k4_q8_dotprod(float acc[32], const uint8_t *w, const SnQ8 *x,
                                                   int n_in, const uint8_t *next)
{
    sn_dots_i5g32_q8_dotprod(acc, w, x, 0, n_in, next, 1);
}

SN_KERNEL(op=dot, layout=i4g32ms_r32k4, x=q8, tile=32x4, isa=dotprod, features=dotprod, order=groups_fma)
static SN_APART void sn_dot4_i4g32ms_r32k4_q8_dotprod(float acc[4 * 32], const uint8_t *w,
                                                      const SnQ8 *x, int x_stride, int n_in,
                                                    const uint8_t *next)
{
    sn_dots_g32ms_q8_dotprod(acc, w, x, x_stride, n_in, next, 4, 0);
}

SN_KERNEL(op=dot, layout=i4g32ms_r32k4, x=q8, tile=32x1, isa=dotprod, features=dotprod, order=groups_fma)
static SN_APART void sn_dot_i4g32ms_r32k4_q8_dotprod(float acc[32], const uint8_t *w, const SnQ8 *x,
                                                     int n_in, const uint8_t *next)
{
    sn_dots_g32ms_q8_dotprod(acc, w, x, 0, n_in, next, 1, 0);
}

SN_KERNEL(op=dot, layout=i5g32ms_r32k4, x=q8, tile=32x4, isa=dotprod, features=dotprod, order=groups_fma)
static SN_APART void sn_dot4_i5g32ms_r32k4_q8_dotprod(float acc[4 * 32], const uint8_t *w,
                                                      const SnQ8 *x, int x_stride, int n_in,
                                                    const uint8_t *next)
{
    sn_dots_g32ms_q8_dotprod(acc, w, x, x_stride, n_in, next, 4, 1);
}

SN_KERNEL(op=dot, layout=i5g32ms_r32k4, x=q8, tile=32x1, isa=dotprod, features=dotprod, order=groups_fma)
static SN_APART void sn_dot_i5g32ms_r32k4_q8_dotprod(float acc[32], const uint8_t *w, const SnQ8 *x,
                                                     int n_in, const uint8_t *next)
{
    sn_dots_g32ms_q8_dotprod(acc, w, x, 0, n_in, next, 1, 1);
}

SN_KERNEL(op=dot, layout=i6g16s_r32k4, x=q8, tile=32x4, isa=dotprod, features=dotprod, order=groups_fma)
static SN_APART void sn_dot4_i6g16s_r32k4_q8_dotprod(float acc[4 * 32], const uint8_t *w,
                                                     const SnQ8 *x, int x_stride, int n_in,
                                                   const uint8_t *next)
{
    sn_dots_i6g16s_q8_dotprod(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=i6g16s_r32k4, x=q8, tile=32x1, isa=dotprod, features=dotprod, order=groups_fma)
static SN_APART void sn_dot_i6g16s_r32k4_q8_dotprod(float acc[32], const uint8_t *w, const SnQ8 *x,
                                                    int n_in, const uint8_t *next)
{
    sn_dots_i6g16s_q8_dotprod(acc, w, x, 0, n_in, next, 1);
}
