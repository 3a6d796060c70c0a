/* 64-bit ARM with 8-bit matrix products, codes in two planes and scales of two levels: panels of four tokens for the layouts of
 * portable/dot_planes.c.
 *
 * Tokens, sums and scales are those of i8mm.c.  Vectors are zipped while their codes are still packed; the planes are put together
 * afterwards, so that a zip serves as many columns as a packed byte has:
 *
 *     nibbles       vectors 2i and 2i + 1 zipped      columns 8i.. in the low nibbles, 16 + 8i.. in the high ones
 *     fifth bits    a vector zipped with itself >> 1  columns 8i.. in bit 2i
 *     high 2 bits   vectors 0 and 1 zipped            columns 8f.. in bits 2f and 2f + 1
 *
 * One token is dotprod_planes.c's. */
#include <arm_neon.h>
#include "../kernel.h"

/* 4 rows x 32 columns of 5-bit codes, added to s; g is the group of rows. */
__attribute__((always_inline))
static inline void sn_add_fives_i8mm(int32x4_t s[4], const uint8_t *w, int g, const int8x16_t q[8])
{
    const uint8_t *codes = w + 256 * (g / 4) + 16 * (g % 4);
    const uint8x16_t low = vdupq_n_u8(15), one = vdupq_n_u8(1);
    const uint8x16_t fifth = vld1q_u8(w + 512 + 16 * g);
    const uint8x16_t first = sn_top_i8mm(fifth, vshrq_n_u8(fifth, 1));
    const uint8x16_t last = sn_bottom_i8mm(fifth, vshrq_n_u8(fifth, 1));

    for (int i = 0; i < 2; i++) {
        const uint8x16_t v = vld1q_u8(codes + 128 * i);
        const uint8x16_t u = vld1q_u8(codes + 128 * i + 64);
        const uint8x16_t top = sn_top_i8mm(v, u), f = i ? vshrq_n_u8(first, 2) : first;
        const uint8x16_t bottom = sn_bottom_i8mm(v, u), h = i ? vshrq_n_u8(last, 2) : last;

        sn_add_i8mm(s, vreinterpretq_s8_u8(vsliq_n_u8(vandq_u8(top, low), vandq_u8(f, one), 4)),
                    vreinterpretq_s8_u8(vsliq_n_u8(vandq_u8(bottom, low), vandq_u8(h, one), 4)), q[i], q[4 + i]);
        sn_add_i8mm(s, vreinterpretq_s8_u8(vsliq_n_u8(vshrq_n_u8(top, 4), vandq_u8(vshrq_n_u8(f, 4), one), 4)),
                    vreinterpretq_s8_u8(vsliq_n_u8(vshrq_n_u8(bottom, 4), vandq_u8(vshrq_n_u8(h, 4), one), 4)), q[2 + i],
                    q[6 + i]);
    }
}

/* acc += m times the sum of each token's activations. */
__attribute__((always_inline))
static inline void sn_add_minima_i8mm(float *acc, float32x4_t m, const SnQ8 *x, int x_stride)
{
    for (int t = 0; t < 4; t++)
        vst1q_f32(acc + 32 * t, vfmaq_n_f32(vld1q_f32(acc + 32 * t), m, x[t * x_stride].ds));
}

/* Codes of 4 bits and, if fifth, 5. */
__attribute__((always_inline))
static inline void sn_dots_g32ms_q8_i8mm(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                         const uint8_t *next, int fifth)
{
    const int codes = fifth ? 640 : 512;

    sn_clear_neon(acc, 4 * 32);
    for (int b = 0; b < n_in / SN_GROUP; b += SN_SPANS) {
        const uint8_t *head = w;

        next = sn_prefetch_on_neon(next, 128);
        w += 128;
        for (int c = b; c < b + SN_SPANS; c++, w += codes + 64) {
            int8x16_t q[8];

            next = sn_prefetch_on_neon(next, codes + 64);
            sn_pair_tokens_i8mm(q, x + c, x_stride);
            for (int g = 0; g < 8; g++) {
                const float32x4_t d = vmulq_f32(sn_bytes_neon(w + codes + 4 * g), sn_halves_neon(head + 8 * g));
                const float32x4_t m = vmulq_f32(sn_bytes_neon(w + codes + 32 + 4 * g), sn_halves_neon(head + 64 + 8 * g));
                int32x4_t s[4];

                for (int k = 0; k < 4; k++)
                    s[k] = vdupq_n_s32(0);
                if (fifth)
                    sn_add_fives_i8mm(s, w, g, q);
                else
                    sn_add_codes_i4_i8mm(s, w + 256 * (g / 4) + 16 * (g % 4), q);
                sn_scale_i8mm(acc + 4 * g, s, d, x + c, x_stride);
                sn_add_minima_i8mm(acc + 4 * g, m, x + c, x_stride);
            }
        }
    }
}

/* 8 columns of 4 rows of 6-bit codes: nibbles and high bits as they were zipped, both moved down. */
__attribute__((always_inline))
static inline int8x16_t sn_six_i8mm(uint8x16_t nibbles, uint8x16_t high)
{
    return vreinterpretq_s8_u8(vsliq_n_u8(vandq_u8(nibbles, vdupq_n_u8(15)), vandq_u8(high, vdupq_n_u8(3)), 4));
}

/* Where the sums of both groups of 16 columns begin, since codes keep their 32: start[2 p + h], as sn_start_i8mm's. */
__attribute__((always_inline))
static inline void sn_start_halves_i8mm(int32x4_t start[4], const SnQ8 *x, int x_stride)
{
    for (int p = 0; p < 2; p++) {
        const SnQ8 *a = x + 2 * p * x_stride;
        const SnQ8 *b = a + x_stride;
        const int32_t a0 = vaddlvq_s8(vld1q_s8(a->q)), b0 = vaddlvq_s8(vld1q_s8(b->q));
        const int32_t two[4] = { -32 * a0, -32 * b0, -32 * (a->sum - a0), -32 * (b->sum - b0) };

        start[2 * p] = vcombine_s32(vld1_s32(two), vld1_s32(two));
        start[2 * p + 1] = vcombine_s32(vld1_s32(two + 2), vld1_s32(two + 2));
    }
}

/* The sums of both groups of 16 columns times their scales of 4 rows, which go where smmla's sums lie: s first + u second. */
__attribute__((always_inline))
static inline void sn_join_halves_i8mm(int32x4_t s[4], const int32x4_t u[4], int32x4_t first, int32x4_t second)
{
    const int32x4_t f[2] = { vzip1q_s32(first, first), vzip2q_s32(first, first) };
    const int32x4_t g[2] = { vzip1q_s32(second, second), vzip2q_s32(second, second) };

    for (int k = 0; k < 4; k++)
        s[k] = vmlaq_s32(vmulq_s32(s[k], f[k % 2]), u[k], g[k % 2]);
}

/* ---- the kernels ------------------------------------------------------------------------------------------------ */

SN_KERNEL(op=dot, layout=i5g32_r32k4, x=q8, tile=32x4, isa=i8mm, features=dotprod+i8mm, order=groups_fma)
static SN_APART void sn_dot4_i5g32_r32k4_q8_i8mm(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                                 const uint8_t *next)
{
    sn_clear_neon(acc, 4 * 32);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I5_BLOCK) {
        int8x16_t q[8];
        int32x4_t start[2];

        next = sn_prefetch_on_neon(next, SN_I5_BLOCK);
        sn_pair_tokens_i8mm(q, x + b, x_stride);
        sn_start_i8mm(start, x + b, x_stride, 16);              /* w = d * (code - 16) */
        for (int g = 0; g < 8; g++) {
            int32x4_t s[4] = { start[0], start[0], start[1], start[1] };

            sn_add_fives_i8mm(s, w, g, q);
            sn_scale_i8mm(acc + 4 * g, s, sn_halves_neon(w + 640 + 8 * g), x + b, x_stride);
        }
    }
}

SN_KERNEL(op=dot, layout=i4g32ms_r32k4, x=q8, tile=32x4, isa=i8mm, features=dotprod+i8mm, order=groups_fma)
static SN_APART void sn_dot4_i4g32ms_r32k4_q8_i8mm(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                                   const uint8_t *next)
{
    sn_dots_g32ms_q8_i8mm(acc, w, x, x_stride, n_in, next, 0);
}

SN_KERNEL(op=dot, layout=i5g32ms_r32k4, x=q8, tile=32x4, isa=i8mm, features=dotprod+i8mm, order=groups_fma)
static SN_APART void sn_dot4_i5g32ms_r32k4_q8_i8mm(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                                   const uint8_t *next)
{
    sn_dots_g32ms_q8_i8mm(acc, w, x, x_stride, n_in, next, 1);
}

SN_KERNEL(op=dot, layout=i6g16s_r32k4, x=q8, tile=32x4, isa=i8mm, features=dotprod+i8mm, order=groups_fma)
static SN_APART void sn_dot4_i6g16s_r32k4_q8_i8mm(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                                  const uint8_t *next)
{
    sn_clear_neon(acc, 4 * 32);
    for (int b = 0; b < n_in / SN_GROUP; b += SN_SPANS) {
        const uint8_t *head = w;

        next = sn_prefetch_on_neon(next, 64);
        w += 64;
        for (int c = b; c < b + SN_SPANS; c++, w += SN_I6S_SPAN) {
            int8x16_t q[8];
            int32x4_t start[4];

            next = sn_prefetch_on_neon(next, SN_I6S_SPAN);
            sn_pair_tokens_i8mm(q, x + c, x_stride);
            sn_start_halves_i8mm(start, x + c, x_stride);
            for (int g = 0; g < 8; g++) {
                const uint8_t *codes = w + 256 * (g / 4) + 16 * (g % 4);
                const uint8_t *upper = w + 512 + 128 * (g / 4) + 16 * (g % 4);
                const uint8x16_t t0 = sn_top_i8mm(vld1q_u8(codes), vld1q_u8(codes + 64));
                const uint8x16_t b0 = sn_bottom_i8mm(vld1q_u8(codes), vld1q_u8(codes + 64));
                const uint8x16_t t1 = sn_top_i8mm(vld1q_u8(codes + 128), vld1q_u8(codes + 192));
                const uint8x16_t b1 = sn_bottom_i8mm(vld1q_u8(codes + 128), vld1q_u8(codes + 192));
                const uint8x16_t th = sn_top_i8mm(vld1q_u8(upper), vld1q_u8(upper + 64));
                const uint8x16_t bh = sn_bottom_i8mm(vld1q_u8(upper), vld1q_u8(upper + 64));
                int32x4_t s[4] = { start[0], start[0], start[2], start[2] };
                int32x4_t u[4] = { start[1], start[1], start[3], start[3] };

                sn_add_i8mm(s, sn_six_i8mm(t0, th), sn_six_i8mm(b0, bh), q[0], q[4]);
                sn_add_i8mm(s, sn_six_i8mm(t1, vshrq_n_u8(th, 2)), sn_six_i8mm(b1, vshrq_n_u8(bh, 2)), q[1], q[5]);
                sn_add_i8mm(u, sn_six_i8mm(vshrq_n_u8(t0, 4), vshrq_n_u8(th, 4)),
                            sn_six_i8mm(vshrq_n_u8(b0, 4), vshrq_n_u8(bh, 4)), q[2], q[6]);
                sn_add_i8mm(u, sn_six_i8mm(vshrq_n_u8(t1, 4), vshrq_n_u8(th, 6)),
                            sn_six_i8mm(vshrq_n_u8(b1, 4), vshrq_n_u8(bh, 6)), q[3], q[7]);
                sn_join_halves_i8mm(s, u, sn_signed_bytes_neon(w + 768 + 4 * g), sn_signed_bytes_neon(w + 800 + 4 * g));
                sn_scale_i8mm(acc + 4 * g, s, sn_halves_neon(head + 8 * g), x + c, x_stride);
            }
        }
    }
}
