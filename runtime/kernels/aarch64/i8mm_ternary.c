/* 64-bit ARM with 8-bit matrix products, ternary weights: panels of four tokens for the layouts of portable/ternary.c.
 *
 * Tokens, sums and scales are those of i8mm.c; one token is dotprod_ternary.c's.  Two bits: both vectors of 4 rows zipped have
 * columns 8f.. in field f.  Base 3: digits as in neon_ternary.c, negated; the vectors of two quads are zipped. */
#include <arm_neon.h>
#include "../kernel.h"

SN_KERNEL(op=dot, layout=i2g256_r32k4, x=q8g256, tile=32x4, isa=i8mm, features=dotprod+i8mm, order=groups_fma)
static SN_APART void sn_dot4_i2g256_r32k4_q8g256_i8mm(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                                      const uint8_t *next)
{
    const uint8x16_t three = vdupq_n_u8(3);

    sn_clear_neon(acc, 4 * 32);
    for (int b = 0; b < n_in / SN_TERNARY_COLUMNS; b++, w += SN_I2_BLOCK) {
        for (int g = 0; g < 8; g++, x++) {
            int8x16_t q[8];
            int32x4_t start[2];

            next = sn_prefetch_on_neon(next, 256);
            sn_pair_tokens_i8mm(q, x, x_stride);
            sn_start_i8mm(start, x, x_stride, 1);               /* w = d * (code - 1) */
            for (int k = 0; k < 8; k++) {
                const uint8_t *codes = w + 256 * g + k / 4 * 128 + k % 4 * 16;
                const uint8x16_t v = vld1q_u8(codes), u = vld1q_u8(codes + 64);
                const uint8x16_t top = sn_top_i8mm(v, u), bottom = sn_bottom_i8mm(v, u);
                int32x4_t s[4] = { start[0], start[0], start[1], start[1] };

                sn_add_i8mm(s, vreinterpretq_s8_u8(vandq_u8(top, three)), vreinterpretq_s8_u8(vandq_u8(bottom, three)), q[0], q[4]);
                sn_add_i8mm(s, vreinterpretq_s8_u8(vandq_u8(vshrq_n_u8(top, 2), three)),
                            vreinterpretq_s8_u8(vandq_u8(vshrq_n_u8(bottom, 2), three)), q[1], q[5]);
                sn_add_i8mm(s, vreinterpretq_s8_u8(vandq_u8(vshrq_n_u8(top, 4), three)),
                            vreinterpretq_s8_u8(vandq_u8(vshrq_n_u8(bottom, 4), three)), q[2], q[6]);
                sn_add_i8mm(s, vreinterpretq_s8_u8(vshrq_n_u8(top, 6)), vreinterpretq_s8_u8(vshrq_n_u8(bottom, 6)), q[3], q[7]);
                sn_scale_i8mm(acc + 4 * k, s, sn_halves_neon(w + 2048 + 8 * k), x, x_stride);
            }
        }
        next = sn_prefetch_on_neon(next, 64);
    }
}

/* A group of 32 columns of 4 rows, codes negated and quad by quad: acc += its sums times the scales. */
__attribute__((always_inline))
static inline void sn_end_t5_i8mm(float *acc, const uint8x16_t *c, float32x4_t d, const int8x16_t q[8], const int32x4_t start[2],
                                  const SnQ8 *x, int x_stride)
{
    int32x4_t s[4] = { start[0], start[0], start[1], start[1] };

    for (int o = 0; o < 4; o++)
        sn_add_i8mm(s, vreinterpretq_s8_u8(sn_top_i8mm(c[2 * o], c[2 * o + 1])),
                    vreinterpretq_s8_u8(sn_bottom_i8mm(c[2 * o], c[2 * o + 1])), q[o], q[4 + o]);
    for (int k = 0; k < 4; k++)
        s[k] = vnegq_s32(s[k]);
    sn_scale_i8mm(acc, s, d, x, x_stride);
}

SN_KERNEL(op=dot, layout=t5g256_r32k4, x=q8g256, tile=32x4, isa=i8mm, features=dotprod+i8mm, order=groups_fma)
static SN_APART void sn_dot4_t5g256_r32k4_q8g256_i8mm(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                                      const uint8_t *next)
{
    sn_clear_neon(acc, 4 * 32);
    for (int b = 0; b < n_in / SN_TERNARY_COLUMNS; b++, w += SN_T5_BLOCK) {
        uint8x16_t last[8];

        next = sn_prefetch_on_neon(next, SN_T5_BLOCK);
        for (int k = 0; k < 8; k++)
            last[k] = vld1q_u8(w + 16 * k);
        for (int pair = 0; pair < 4; pair++, x += 2) {
            int8x16_t q[2][8];
            int32x4_t start[2][2];

            for (int h = 0; h < 2; h++) {
                sn_pair_tokens_i8mm(q[h], x + h, x_stride);
                sn_start_i8mm(start[h], x + h, x_stride, -1);   /* codes are minus the digits: all of it is negated at the end */
            }
            for (int k = 0; k < 8; k++) {
                const uint8_t *codes = w + 128 + 384 * pair + k / 4 * 192 + k % 4 * 16;
                const float32x4_t d = sn_halves_neon(w + 1664 + 8 * k);
                uint8x16_t c[16];

                sn_digits_neon(c, vld1q_u8(codes), 5);
                sn_digits_neon(c + 5, vld1q_u8(codes + 64), 5);
                sn_digits_neon(c + 10, vld1q_u8(codes + 128), 5);
                last[k] = sn_digits_neon(c + 15, last[k], 1);
                sn_end_t5_i8mm(acc + 4 * k, c, d, q[0], start[0], x, x_stride);
                sn_end_t5_i8mm(acc + 4 * k, c + 8, d, q[1], start[1], x + 1, x_stride);
            }
        }
    }
}
