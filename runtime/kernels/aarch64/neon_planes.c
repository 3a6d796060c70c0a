/* NEON, codes in two planes and scales of two levels: the layouts of portable/dot_planes.c.
 *
 * As in neon.c a lane is a row and 4 rows make a vector; within a block eight groups of 4 rows follow one another.
 *
 * 5-bit codes: a 16-bit lane adds eight products of at most 31 * 127 (31496).  6-bit codes lose their 32 first; a lane adds the
 * four products of its group of 16 columns, at most 32 * 127 each, and the group's s is multiplied in 32 bits. */
#include <arm_neon.h>
#include "../kernel.h"

/* Asks for n bytes of the next tile, if there is one; returns what follows them. */
static inline const uint8_t *sn_prefetch_on_neon(const uint8_t *next, int n)
{
    if (!next)
        return next;
    sn_prefetch(next, n);
    return next + n;
}

/* 4 bytes, unsigned and signed. */
static inline float32x4_t sn_bytes_neon(const uint8_t *p)
{
    return vcvtq_f32_u32(vmovl_u16(vget_low_u16(vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(sn_load_u32(p)))))));
}

static inline int32x4_t sn_signed_bytes_neon(const uint8_t *p)
{
    return vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_u32(vdup_n_u32(sn_load_u32(p))))));
}

/* The nibbles of 4 rows, `codes` where they begin: columns 4i.. and 16 + 4i.. */
static inline uint8x16_t sn_nibble_neon(const uint8_t *codes, int i, int up)
{
    const uint8x16_t both = vld1q_u8(codes + 64 * i);

    return up ? vshrq_n_u8(both, 4) : vandq_u8(both, vdupq_n_u8(15));
}

/* Codes of 5 bits of 4 rows: low[i] has columns 4i.., high[i] columns 16 + 4i..  g is the group of rows. */
__attribute__((always_inline))
static inline void sn_fives_neon(uint8x16_t low[4], uint8x16_t high[4], const uint8_t *w, int g)
{
    const uint8_t *codes = w + 256 * (g / 4) + 16 * (g % 4);
    uint8x16_t fifth = vld1q_u8(w + 512 + 16 * g);

    for (int i = 0; i < 8; i++) {
        const uint8x16_t code = vsliq_n_u8(sn_nibble_neon(codes, i % 4, i / 4), vandq_u8(fifth, vdupq_n_u8(1)), 4);

        if (i < 4)
            low[i] = code;
        else
            high[i - 4] = code;
        fifth = vshrq_n_u8(fifth, 1);
    }
}

/* The same of 6 bits, 32 subtracted: low has the first group of 16 columns, high the second. */
__attribute__((always_inline))
static inline void sn_sixes_neon(int8x16_t low[4], int8x16_t high[4], const uint8_t *w, int g)
{
    const uint8_t *codes = w + 256 * (g / 4) + 16 * (g % 4);
    const uint8_t *upper = w + 512 + 128 * (g / 4) + 16 * (g % 4);
    const uint8x16_t three = vdupq_n_u8(3);

    for (int i = 0; i < 2; i++) {
        const uint8x16_t h = vld1q_u8(upper + 64 * i);
        const uint8x16_t a = vsliq_n_u8(sn_nibble_neon(codes, i, 0), vandq_u8(h, three), 4);
        const uint8x16_t b = vsliq_n_u8(sn_nibble_neon(codes, i + 2, 0), vandq_u8(vshrq_n_u8(h, 2), three), 4);
        const uint8x16_t c = vsliq_n_u8(sn_nibble_neon(codes, i, 1), vandq_u8(vshrq_n_u8(h, 4), three), 4);
        const uint8x16_t d = vsliq_n_u8(sn_nibble_neon(codes, i + 2, 1), vshrq_n_u8(h, 6), 4);

        low[i] = vreinterpretq_s8_u8(vsubq_u8(a, vdupq_n_u8(32)));
        low[i + 2] = vreinterpretq_s8_u8(vsubq_u8(b, vdupq_n_u8(32)));
        high[i] = vreinterpretq_s8_u8(vsubq_u8(c, vdupq_n_u8(32)));
        high[i + 2] = vreinterpretq_s8_u8(vsubq_u8(d, vdupq_n_u8(32)));
    }
}

/* ---- 8-bit activations ------------------------------------------------------------------------------------------ */

/* 4 rows x 32 columns of codes below 32 times the activations. */
__attribute__((always_inline))
static inline int32x4_t sn_sum_group_neon(const uint8x16_t *low, const uint8x16_t *high, const SnQ8 *x)
{
    int16x8_t a = vdupq_n_s16(0), b = vdupq_n_s16(0);           /* rows 0 and 1, rows 2 and 3 */

    for (int i = 0; i < 4; i++) {
        const int8x16_t u = vreinterpretq_s8_u8(low[i]), v = vreinterpretq_s8_u8(high[i]);
        const int8x16_t p = sn_four_neon(x->q + 4 * i), q = sn_four_neon(x->q + 16 + 4 * i);

        a = vmlal_s8(vmlal_s8(a, vget_low_s8(u), vget_low_s8(p)), vget_low_s8(v), vget_low_s8(q));
        b = vmlal_high_s8(vmlal_high_s8(b, u, p), v, q);
    }
    return vpaddq_s32(vpaddlq_s16(a), vpaddlq_s16(b));
}

/* 4 rows x 16 columns of codes within -32 .. 31. */
__attribute__((always_inline))
static inline int32x4_t sn_sum_half_neon(const int8x16_t *v, const int8_t *x)
{
    int16x8_t a = vdupq_n_s16(0), b = vdupq_n_s16(0);

    for (int i = 0; i < 4; i++) {
        const int8x16_t p = sn_four_neon(x + 4 * i);

        a = vmlal_s8(a, vget_low_s8(v[i]), vget_low_s8(p));
        b = vmlal_high_s8(b, v[i], p);
    }
    return vpaddq_s32(vpaddlq_s16(a), vpaddlq_s16(b));
}

__attribute__((always_inline))
static inline void sn_dots_i5g32_q8_neon(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                         const uint8_t *next, int tokens)
{
    sn_clear_neon(acc, 32 * tokens);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I5_BLOCK) {
        next = sn_prefetch_on_neon(next, SN_I5_BLOCK);
        for (int g = 0; g < 8; g++) {
            const float32x4_t d = sn_halves_neon(w + 640 + 8 * g);
            uint8x16_t low[4], high[4];

            sn_fives_neon(low, high, w, g);
            for (int t = 0; t < tokens; t++) {                  /* w = d * (code - 16) */
                const SnQ8 *q = x + t * x_stride + b;
                const int32x4_t s = vsubq_s32(sn_sum_group_neon(low, high, q), vdupq_n_s32(16 * q->sum));

                sn_scale_neon(acc + 32 * t + 4 * g, s, d, q->d);
            }
        }
    }
}

/* Codes of 4 bits and, if fifth, 5. */
__attribute__((always_inline))
static inline void sn_dots_g32ms_q8_neon(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
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
                uint8x16_t low[4], high[4];
                int32x4_t s[4];

                if (fifth) {
                    sn_fives_neon(low, high, w, g);
                    for (int t = 0; t < tokens; t++)
                        s[t] = sn_sum_group_neon(low, high, x + t * x_stride + c);
                } else {
                    sn_sum_codes_i4_neon(s, w + 256 * (g / 4) + 16 * (g % 4), x + c, x_stride, tokens);
                }
                for (int t = 0; t < tokens; t++) {
                    const SnQ8 *q = x + t * x_stride + c;
                    float *out = acc + 32 * t + 4 * g;

                    sn_scale_neon(out, s[t], d, q->d);
                    vst1q_f32(out, vfmaq_n_f32(vld1q_f32(out), m, q->ds));
                }
            }
        }
    }
}

__attribute__((always_inline))
static inline void sn_dots_i6g16s_q8_neon(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
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
                    const int32x4_t s = vmulq_s32(sn_sum_half_neon(low, q->q), s0);

                    sn_scale_neon(acc + 32 * t + 4 * g, vmlaq_s32(s, sn_sum_half_neon(high, q->q + 16), s1), d, q->d);
                }
            }
        }
    }
}

/* ---- float activations ------------------------------------------------------------------------------------------ */

/* 32 columns of 5-bit codes of row group g. */
__attribute__((always_inline))
static inline void sn_add_fives_neon(float32x4_t *s, const uint8_t *w, int g, float32x4_t d, float32x4_t o, const float *x,
                                     int x_stride, int tokens)
{
    const uint32x4_t mask = vdupq_n_u32(0x1f);
    uint8x16_t low[4], high[4];

    sn_fives_neon(low, high, w, g);
    for (int i = 0; i < 4; i++)
        sn_add_four_neon(s, vreinterpretq_u32_u8(low[i]), mask, d, o, x + 4 * i, x_stride, tokens);
    for (int i = 0; i < 4; i++)
        sn_add_four_neon(s, vreinterpretq_u32_u8(high[i]), mask, d, o, x + 16 + 4 * i, x_stride, tokens);
}

/* Columns of a group of 16, four in each v: codes + 32, so that they are positive again. */
__attribute__((always_inline))
static inline void sn_add_sixes_neon(float32x4_t *s, const int8x16_t *v, float32x4_t d, const float *x, int x_stride, int tokens)
{
    const uint32x4_t mask = vdupq_n_u32(0x3f);
    const float32x4_t o = vmulq_n_f32(d, -32.0f);

    for (int i = 0; i < 4; i++) {
        const uint8x16_t code = vaddq_u8(vreinterpretq_u8_s8(v[i]), vdupq_n_u8(32));

        sn_add_four_neon(s, vreinterpretq_u32_u8(code), mask, d, o, x + 4 * i, x_stride, tokens);
    }
}

__attribute__((always_inline))
static inline void sn_dots_i5g32_f32_neon(float *acc, const uint8_t *w, const float *x, int x_stride, int n_in,
                                          const uint8_t *next, int tokens)
{
    sn_clear_neon(acc, 32 * tokens);
    for (int c = 0; c < n_in; c += SN_GROUP, w += SN_I5_BLOCK) {
        next = sn_prefetch_on_neon(next, SN_I5_BLOCK);
        for (int g = 0; g < 8; g++) {
            const float32x4_t d = sn_halves_neon(w + 640 + 8 * g);
            float32x4_t s[4];

            for (int t = 0; t < tokens; t++)
                s[t] = vdupq_n_f32(0);
            sn_add_fives_neon(s, w, g, d, vmulq_n_f32(d, -16.0f), x + c, x_stride, tokens);
            sn_add_group_neon(acc + 4 * g, s, 1, tokens);
        }
    }
}

__attribute__((always_inline))
static inline void sn_dots_g32ms_f32_neon(float *acc, const uint8_t *w, const float *x, int x_stride, int n_in,
                                          const uint8_t *next, int tokens, int fifth)
{
    const int codes = fifth ? 640 : 512;

    sn_clear_neon(acc, 32 * tokens);
    for (int b = 0; b < n_in; b += SN_SPANS * SN_GROUP) {
        const uint8_t *head = w;

        next = sn_prefetch_on_neon(next, 128);
        w += 128;
        for (int c = b; c < b + SN_SPANS * SN_GROUP; c += SN_GROUP, w += codes + 64) {
            next = sn_prefetch_on_neon(next, codes + 64);
            for (int g = 0; g < 8; g++) {
                const float32x4_t d = vmulq_f32(sn_bytes_neon(w + codes + 4 * g), sn_halves_neon(head + 8 * g));
                const float32x4_t m = vmulq_f32(sn_bytes_neon(w + codes + 32 + 4 * g), sn_halves_neon(head + 64 + 8 * g));
                float32x4_t s[4];

                for (int t = 0; t < tokens; t++)
                    s[t] = vdupq_n_f32(0);
                if (fifth)
                    sn_add_fives_neon(s, w, g, d, m, x + c, x_stride, tokens);
                else
                    sn_add_nibbles_neon(s, w + 256 * (g / 4) + 16 * (g % 4), d, m, x + c, x_stride, tokens);
                sn_add_group_neon(acc + 4 * g, s, 1, tokens);
            }
        }
    }
}

__attribute__((always_inline))
static inline void sn_dots_i6g16s_f32_neon(float *acc, const uint8_t *w, const float *x, int x_stride, int n_in,
                                           const uint8_t *next, int tokens)
{
    sn_clear_neon(acc, 32 * tokens);
    for (int b = 0; b < n_in; b += SN_SPANS * SN_GROUP) {
        const uint8_t *head = w;

        next = sn_prefetch_on_neon(next, 64);
        w += 64;
        for (int c = b; c < b + SN_SPANS * SN_GROUP; c += SN_GROUP, w += SN_I6S_SPAN) {
            next = sn_prefetch_on_neon(next, SN_I6S_SPAN);
            for (int g = 0; g < 8; g++) {
                const float32x4_t d = sn_halves_neon(head + 8 * g);
                const float32x4_t d0 = vmulq_f32(vcvtq_f32_s32(sn_signed_bytes_neon(w + 768 + 4 * g)), d);
                const float32x4_t d1 = vmulq_f32(vcvtq_f32_s32(sn_signed_bytes_neon(w + 800 + 4 * g)), d);
                int8x16_t low[4], high[4];
                float32x4_t s[4];

                for (int t = 0; t < tokens; t++)
                    s[t] = vdupq_n_f32(0);
                sn_sixes_neon(low, high, w, g);
                sn_add_sixes_neon(s, low, d0, x + c, x_stride, tokens);
                sn_add_sixes_neon(s, high, d1, x + c + 16, x_stride, tokens);
                sn_add_group_neon(acc + 4 * g, s, 1, tokens);
            }
        }
    }
}

/* ---- the kernels ------------------------------------------------------------------------------------------------ */

SN_KERNEL(op=dot, layout=i5g32_r32k4, x=q8, tile=32x4, isa=neon, order=groups_fma)
static SN_APART void sn_dot4_i5g32_r32k4_q8_neon(float acc[4 * 32], const uint8_t *w, const SnQ8 *x,
                                                 int x_stride, int n_in, const uint8_t *next)
{
    sn_dots_i5g32_q8_neon(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=i5g32_r32k4, x=q8, tile=32x1, isa=neon, order=groups_fma)
static SN_APART void sn_dot_i5g32_r32k4_q8_neon(float acc[32], const uint8_t *w, const SnQ8 *x,
                                                int n_in, const uint8_t *next)
{
    sn_dots_i5g32_q8_neon(acc, w, x, 0, n_in, next, 1);
}

SN_KERNEL(op=dot, layout=i4g32ms_r32k4, x=q8, tile=32x4, isa=neon, order=groups_fma)
static SN_APART void sn_dot4_i4g32ms_r32k4_q8_neon(float acc[4 * 32], const uint8_t *w, const SnQ8 *x,
                                                   int x_stride, int n_in, const uint8_t *next)
{
    sn_dots_g32ms_q8_neon(acc, w, x, x_stride, n_in, next, 4, 0);
}

SN_KERNEL(op=dot, layout=i4g32ms_r32k4, x=q8, tile=32x1, isa=neon, order=groups_fma)
static SN_APART void sn_dot_i4g32ms_r32k4_q8_neon(float acc[32], const uint8_t *w, const SnQ8 *x,
                                                  int n_in, const uint8_t *next)
{
    sn_dots_g32ms_q8_neon(acc, w, x, 0, n_in, next, 1, 0);
}

SN_KERNEL(op=dot, layout=i5g32ms_r32k4, x=q8, tile=32x4, isa=neon, order=groups_fma)
static SN_APART void sn_dot4_i5g32ms_r32k4_q8_neon(float acc[4 * 32], const uint8_t *w, const SnQ8 *x,
                                                   int x_stride, int n_in, const uint8_t *next)
{
    sn_dots_g32ms_q8_neon(acc, w, x, x_stride, n_in, next, 4, 1);
}

SN_KERNEL(op=dot, layout=i5g32ms_r32k4, x=q8, tile=32x1, isa=neon, order=groups_fma)
static SN_APART void sn_dot_i5g32ms_r32k4_q8_neon(float acc[32], const uint8_t *w, const SnQ8 *x,
                                                  int n_in, const uint8_t *next)
{
    sn_dots_g32ms_q8_neon(acc, w, x, 0, n_in, next, 1, 1);
}

SN_KERNEL(op=dot, layout=i6g16s_r32k4, x=q8, tile=32x4, isa=neon, order=groups_fma)
static SN_APART void sn_dot4_i6g16s_r32k4_q8_neon(float acc[4 * 32], const uint8_t *w, const SnQ8 *x,
                                                  int x_stride, int n_in, const uint8_t *next)
{
    sn_dots_i6g16s_q8_neon(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=i6g16s_r32k4, x=q8, tile=32x1, isa=neon, order=groups_fma)
static SN_APART void sn_dot_i6g16s_r32k4_q8_neon(float acc[32], const uint8_t *w, const SnQ8 *x,
                                                 int n_in, const uint8_t *next)
{
    sn_dots_i6g16s_q8_neon(acc, w, x, 0, n_in, next, 1);
}

SN_KERNEL(op=dot, layout=i5g32_r32k4, x=f32, tile=32x4, isa=neon, order=groups_fma)
static SN_APART void sn_dot4_i5g32_r32k4_f32_neon(float acc[4 * 32], const uint8_t *w, const float *x,
                                                  int x_stride, int n_in, const uint8_t *next)
{
    sn_dots_i5g32_f32_neon(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=i5g32_r32k4, x=f32, tile=32x1, isa=neon, order=groups_fma)
static SN_APART void sn_dot_i5g32_r32k4_f32_neon(float acc[32], const uint8_t *w, const float *x,
                                                 int n_in, const uint8_t *next)
{
    sn_dots_i5g32_f32_neon(acc, w, x, 0, n_in, next, 1);
}

SN_KERNEL(op=dot, layout=i4g32ms_r32k4, x=f32, tile=32x4, isa=neon, order=groups_fma)
static SN_APART void sn_dot4_i4g32ms_r32k4_f32_neon(float acc[4 * 32], const uint8_t *w,
                                                    const float *x, int x_stride, int n_in,
                                                  const uint8_t *next)
{
    sn_dots_g32ms_f32_neon(acc, w, x, x_stride, n_in, next, 4, 0);
}

SN_KERNEL(op=dot, layout=i4g32ms_r32k4, x=f32, tile=32x1, isa=neon, order=groups_fma)
static SN_APART void sn_dot_i4g32ms_r32k4_f32_neon(float acc[32], const uint8_t *w, const float *x,
                                                   int n_in, const uint8_t *next)
{
    sn_dots_g32ms_f32_neon(acc, w, x, 0, n_in, next, 1, 0);
}

SN_KERNEL(op=dot, layout=i5g32ms_r32k4, x=f32, tile=32x4, isa=neon, order=groups_fma)
static SN_APART void sn_dot4_i5g32ms_r32k4_f32_neon(float acc[4 * 32], const uint8_t *w,
                                                    const float *x, int x_stride, int n_in,
                                                  const uint8_t *next)
{
    sn_dots_g32ms_f32_neon(acc, w, x, x_stride, n_in, next, 4, 1);
}

SN_KERNEL(op=dot, layout=i5g32ms_r32k4, x=f32, tile=32x1, isa=neon, order=groups_fma)
static SN_APART void sn_dot_i5g32ms_r32k4_f32_neon(float acc[32], const uint8_t *w, const float *x,
                                                   int n_in, const uint8_t *next)
{
    sn_dots_g32ms_f32_neon(acc, w, x, 0, n_in, next, 1, 1);
}

SN_KERNEL(op=dot, layout=i6g16s_r32k4, x=f32, tile=32x4, isa=neon, order=groups_fma)
static SN_APART void sn_dot4_i6g16s_r32k4_f32_neon(float acc[4 * 32], const uint8_t *w,
                                                   const float *x, int x_stride, int n_in,
                                                 const uint8_t *next)
{
    sn_dots_i6g16s_f32_neon(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=i6g16s_r32k4, x=f32, tile=32x1, isa=neon, order=groups_fma)
static SN_APART void sn_dot_i6g16s_r32k4_f32_neon(float acc[32], const uint8_t *w, const float *x,
                                                  int n_in, const uint8_t *next)
{
    sn_dots_i6g16s_f32_neon(acc, w, x, 0, n_in, next, 1);
}
