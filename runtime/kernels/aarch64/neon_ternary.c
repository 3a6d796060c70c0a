/* NEON, ternary weights: the layouts of portable/ternary.c; lanes and sums are those of neon.c and neon_planes.c.
 *
 * Base 3: the first digit of q is 3 q / 256, so it is above 0 from 86 on and above 1 from 171 on: two comparisons, whose -1 are
 * added.  So codes are minus the digits here; what follows a digit is 3 q mod 256. */
#include <arm_neon.h>
#include "../kernel.h"

/* acc[0..3] += (`sign` times the sum of 4 rows x 32 columns of codes - the activations' sum) times the scales, for every token. */
__attribute__((always_inline))
static inline void sn_end_ternary_neon(float *acc, const uint8x16_t *low, const uint8x16_t *high, int sign, float32x4_t d,
                                       const SnQ8 *x, int x_stride, int tokens)
{
    for (int t = 0; t < tokens; t++) {
        const SnQ8 *q = x + t * x_stride;
        const int32x4_t s = sn_sum_group_neon(low, high, q), start = vdupq_n_s32(-q->sum);

        sn_scale_neon(acc + 32 * t, sign > 0 ? vaddq_s32(start, s) : vsubq_s32(start, s), d, q->d);
    }
}

__attribute__((always_inline))
static inline void sn_dots_i2g256_q8g256_neon(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                              const uint8_t *next, int tokens)
{
    const uint8x16_t three = vdupq_n_u8(3);

    sn_clear_neon(acc, 32 * tokens);
    for (int b = 0; b < n_in / SN_TERNARY_COLUMNS; b++, w += SN_I2_BLOCK) {
        for (int g = 0; g < 8; g++, x++) {
            next = sn_prefetch_on_neon(next, 256);
            for (int k = 0; k < 8; k++) {
                const uint8_t *codes = w + 256 * g + k / 4 * 128 + k % 4 * 16;
                uint8x16_t low[4], high[4];

                for (int i = 0; i < 2; i++) {                   /* columns 8f + 4i.. in field f */
                    const uint8x16_t v = vld1q_u8(codes + 64 * i);

                    low[i] = vandq_u8(v, three);
                    low[i + 2] = vandq_u8(vshrq_n_u8(v, 2), three);
                    high[i] = vandq_u8(vshrq_n_u8(v, 4), three);
                    high[i + 2] = vshrq_n_u8(v, 6);
                }
                sn_end_ternary_neon(acc + 4 * k, low, high, 1, sn_halves_neon(w + 2048 + 8 * k), x, x_stride, tokens);
            }
        }
        next = sn_prefetch_on_neon(next, 64);
    }
}

/* n digits of 16 bytes p, negated; returns what follows them. */
__attribute__((always_inline))
static inline uint8x16_t sn_digits_neon(uint8x16_t *code, uint8x16_t p, int n)
{
    for (int i = 0; i < n; i++) {
        code[i] = vaddq_u8(vcgeq_u8(p, vdupq_n_u8(86)), vcgeq_u8(p, vdupq_n_u8(171)));
        p = vaddq_u8(p, vaddq_u8(p, p));
    }
    return p;
}

__attribute__((always_inline))
static inline void sn_dots_t5g256_q8g256_neon(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                              const uint8_t *next, int tokens)
{
    sn_clear_neon(acc, 32 * tokens);
    for (int b = 0; b < n_in / SN_TERNARY_COLUMNS; b++, w += SN_T5_BLOCK, x += 8) {
        next = sn_prefetch_on_neon(next, SN_T5_BLOCK);
        for (int k = 0; k < 8; k++) {
            const float32x4_t d = sn_halves_neon(w + 1664 + 8 * k);
            uint8x16_t last = vld1q_u8(w + 16 * k);

            for (int pair = 0; pair < 4; pair++) {
                const uint8_t *codes = w + 128 + 384 * pair + k / 4 * 192 + k % 4 * 16;
                uint8x16_t c[16];                               /* 64 columns */

                sn_digits_neon(c, vld1q_u8(codes), 5);
                sn_digits_neon(c + 5, vld1q_u8(codes + 64), 5);
                sn_digits_neon(c + 10, vld1q_u8(codes + 128), 5);
                last = sn_digits_neon(c + 15, last, 1);
                sn_end_ternary_neon(acc + 4 * k, c, c + 4, -1, d, x + 2 * pair, x_stride, tokens);
                sn_end_ternary_neon(acc + 4 * k, c + 8, c + 12, -1, d, x + 2 * pair + 1, x_stride, tokens);
            }
        }
    }
}

/* ---- the kernels ------------------------------------------------------------------------------------------------ */

SN_KERNEL(op=dot, layout=i2g256_r32k4, x=q8g256, tile=32x4, isa=neon, order=groups_fma)
static SN_APART void sn_dot4_i2g256_r32k4_q8g256_neon(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                                      const uint8_t *next)
{
    sn_dots_i2g256_q8g256_neon(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=i2g256_r32k4, x=q8g256, tile=32x1, isa=neon, order=groups_fma)
static SN_APART void sn_dot_i2g256_r32k4_q8g256_neon(float acc[32], const uint8_t *w, const SnQ8 *x, int n_in,
                                                     const uint8_t *next)
{
    sn_dots_i2g256_q8g256_neon(acc, w, x, 0, n_in, next, 1);
}

SN_KERNEL(op=dot, layout=t5g256_r32k4, x=q8g256, tile=32x4, isa=neon, order=groups_fma)
static SN_APART void sn_dot4_t5g256_r32k4_q8g256_neon(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                                      const uint8_t *next)
{
    sn_dots_t5g256_q8g256_neon(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=t5g256_r32k4, x=q8g256, tile=32x1, isa=neon, order=groups_fma)
static SN_APART void sn_dot_t5g256_r32k4_q8g256_neon(float acc[32], const uint8_t *w, const SnQ8 *x, int n_in,
                                                     const uint8_t *next)
{
    sn_dots_t5g256_q8g256_neon(acc, w, x, 0, n_in, next, 1);
}
