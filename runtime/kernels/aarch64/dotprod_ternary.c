/* Ternary weights with the dot product instructions.  Layouts are drawn in portable/ternary.c, lanes and helpers are neon.c's and
 * dotprod.c's: 4 rows per vector.
 *
 * Two bits: fields 0, 1 and 2 are multiplied where they lie (times 1, 4, 16), the sums are shifted once per group; field 3 comes
 * down by a shift of its own.
 *
 * Base 3: with p = q - 128, the digits of p are d - 1 = -1 .. 1 and 3 p = 256 (d - 1) + p', so that no digit is cut out:
 *
 *     256 sum(w x) = 3 sum(p x) - sum(p' x),      p' = 3 p mod 256 */
#include <arm_neon.h>
#include "../kernel.h"

__attribute__((always_inline))
static inline void sn_dots_i2g256_q8g256_dotprod(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                                 const uint8_t *next, int tokens)
{
    sn_clear_neon(acc, 32 * tokens);
    for (int b = 0; b < n_in / SN_TERNARY_COLUMNS; b++, w += SN_I2_BLOCK) {
        for (int g = 0; g < 8; g++, x++) {
            if (next) {
                sn_prefetch(next, 256);
                next += 256;
            }
            for (int k = 0; k < 8; k++) {
                const uint8_t *codes = w + 256 * g + k / 4 * 128 + k % 4 * 16;
                const float32x4_t d = sn_halves_neon(w + 2048 + 8 * k);
                const uint8x16_t u = vld1q_u8(codes);
                const uint8x16_t v = vld1q_u8(codes + 64);
                int8x16_t c[8];

                for (int f = 0; f < 3; f++) {
                    c[2 * f] = vreinterpretq_s8_u8(vandq_u8(u, vdupq_n_u8((uint8_t)(3 << 2 * f))));
                    c[2 * f + 1] = vreinterpretq_s8_u8(vandq_u8(v, vdupq_n_u8((uint8_t)(3 << 2 * f))));
                }
                c[6] = vreinterpretq_s8_u8(vshrq_n_u8(u, 6));
                c[7] = vreinterpretq_s8_u8(vshrq_n_u8(v, 6));
                for (int t = 0; t < tokens; t++) {
                    const SnQ8 *y = x + t * x_stride;
                    const int8x16_t p = vld1q_s8(y->q);
                    const int8x16_t q = vld1q_s8(y->q + 16);
                    int32x4_t s = vdotq_laneq_s32(vdupq_n_s32(-y->sum), c[0], p, 0);
                    int32x4_t s4 = vdotq_laneq_s32(vdupq_n_s32(0), c[2], p, 2);
                    int32x4_t s16 = vdotq_laneq_s32(vdupq_n_s32(0), c[4], q, 0);

                    s = vdotq_laneq_s32(s, c[1], p, 1);
                    s4 = vdotq_laneq_s32(s4, c[3], p, 3);
                    s16 = vdotq_laneq_s32(s16, c[5], q, 1);
                    s = vdotq_laneq_s32(s, c[6], q, 2);
                    s = vdotq_laneq_s32(s, c[7], q, 3);
                    sn_scale_neon(acc + 32 * t + 4 * k, vsraq_n_s32(vsraq_n_s32(s, s4, 2), s16, 4), d, y->d);
                }
            }
        }
        if (next) {
            sn_prefetch(next, 64);
            next += 64;
        }
    }
}

/* The sums of a group, 4 rows: of p x and of p' x for every token. */
__attribute__((always_inline))
static inline int8x16_t sn_add_digit_dotprod(int32x4_t *s, int32x4_t *n, int8x16_t p, const SnQ8 *x, int x_stride, int q,
                                             int tokens)
{
    const int8x16_t p3 = vaddq_s8(p, vaddq_s8(p, p));

    for (int t = 0; t < tokens; t++) {
        const int8x16_t v = sn_four_neon(x[t * x_stride].q + q);

        s[t] = vdotq_s32(s[t], p, v);
        n[t] = vdotq_s32(n[t], p3, v);
    }
    return p3;
}

__attribute__((always_inline))
static inline void sn_clear_t5_dotprod(int32x4_t *s, int32x4_t *n, int tokens)
{
    for (int t = 0; t < tokens; t++)
        s[t] = n[t] = vdupq_n_s32(0);
}

/* (3 s - n) / 256, without remainder, times the scales, added to acc. */
__attribute__((always_inline))
static inline void sn_end_t5_dotprod(float *acc, const int32x4_t *s, const int32x4_t *n, float32x4_t d, const SnQ8 *x,
                                     int x_stride, int tokens)
{
    for (int t = 0; t < tokens; t++)
        sn_scale_neon(acc + 32 * t, vshrq_n_s32(vsubq_s32(vmulq_n_s32(s[t], 3), n[t]), 8), d, x[t * x_stride].d);
}

/* 16 bytes of base 3, 128 subtracted. */
static inline int8x16_t sn_load_t5_neon(const uint8_t *p)
{
    return vreinterpretq_s8_u8(veorq_u8(vld1q_u8(p), vdupq_n_u8(0x80)));
}

__attribute__((always_inline))
static inline void sn_dots_t5g256_q8g256_dotprod(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                                 const uint8_t *next, int tokens)
{
    sn_clear_neon(acc, 32 * tokens);
    for (int b = 0; b < n_in / SN_TERNARY_COLUMNS; b++, w += SN_T5_BLOCK, x += 8) {
        if (next) {
            sn_prefetch(next, SN_T5_BLOCK);
            next += SN_T5_BLOCK;
        }
        for (int k = 0; k < 8; k++) {
            const float32x4_t d = sn_halves_neon(w + 1664 + 8 * k);
            int8x16_t last = sn_load_t5_neon(w + 16 * k);

            for (int pair = 0; pair < 4; pair++) {
                const uint8_t *codes = w + 128 + 384 * pair + k / 4 * 192 + k % 4 * 16;
                const SnQ8 *y = x + 2 * pair;
                int32x4_t s[4], n[4];
                int8x16_t p;

                sn_clear_t5_dotprod(s, n, tokens);
                p = sn_load_t5_neon(codes);
                for (int i = 0; i < 5; i++)
                    p = sn_add_digit_dotprod(s, n, p, y, x_stride, 4 * i, tokens);
                p = sn_load_t5_neon(codes + 64);
                for (int i = 5; i < 8; i++)
                    p = sn_add_digit_dotprod(s, n, p, y, x_stride, 4 * i, tokens);
                sn_end_t5_dotprod(acc + 4 * k, s, n, d, y, x_stride, tokens);

                sn_clear_t5_dotprod(s, n, tokens);
                y++;
                for (int i = 0; i < 2; i++)
                    p = sn_add_digit_dotprod(s, n, p, y, x_stride, 4 * i, tokens);
                p = sn_load_t5_neon(codes + 128);
                for (int i = 2; i < 7; i++)
                    p = sn_add_digit_dotprod(s, n, p, y, x_stride, 4 * i, tokens);
                last = sn_add_digit_dotprod(s, n, last, y, x_stride, 28, tokens);
                sn_end_t5_dotprod(acc + 4 * k, s, n, d, y, x_stride, tokens);
            }
        }
    }
}

/* ---- the kernels ------------------------------------------------------------------------------------------------ */

SN_KERNEL(op=dot, layout=i2g256_r32k4, x=q8g256, tile=32x4, isa=dotprod, features=dotprod, order=groups_fma)
static SN_APART void sn_dot4_i2g256_r32k4_q8g256_dotprod(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                                         const uint8_t *next)
{
    sn_dots_i2g256_q8g256_dotprod(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=i2g256_r32k4, x=q8g256, tile=32x1, isa=dotprod, features=dotprod, order=groups_fma)
static SN_APART void sn_dot_i2g256_r32k4_q8g256_dotprod(float acc[32], const uint8_t *w, const SnQ8 *x, int n_in, const uint8_t *next)
{
    sn_dots_i2g256_q8g256_dotprod(acc, w, x, 0, n_in, next, 1);
}

SN_KERNEL(op=dot, layout=t5g256_r32k4, x=q8g256, tile=32x4, isa=dotprod, features=dotprod, order=groups_fma)
static SN_APART void sn_dot4_t5g256_r32k4_q8g256_dotprod(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                                         const uint8_t *next)
{
    sn_dots_t5g256_q8g256_dotprod(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=t5g256_r32k4, x=q8g256, tile=32x1, isa=dotprod, features=dotprod, order=groups_fma)
static SN_APART void sn_dot_t5g256_r32k4_q8g256_dotprod(float acc[32], const uint8_t *w, const SnQ8 *x, int n_in, const uint8_t *next)
{
    sn_dots_t5g256_q8g256_dotprod(acc, w, x, 0, n_in, next, 1);
}
