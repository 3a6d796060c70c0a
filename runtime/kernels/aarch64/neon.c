/* NEON, any 64-bit ARM: one 32-bit lane per row, 4 rows per vector.
 *
 * Layouts and results are those of portable/dot.c and attention.c, with fused multiply-adds.  A tile is read block by block
 * (32 columns); within a block eight groups of 4 rows follow one another; the float sums rest in acc between blocks.  One
 * body serves one token and four (`tokens` is constant where it is inlined).
 *
 * 4-bit codes: a row's 4 x 8 products of at most 15 * 127 are added in 16 bits four lanes wide: 8 * 1905 = 15240 a lane.
 * 8-bit codes: two products of at most 128 * 127 fit in 16 bits, then they go to 32. */
#include <arm_neon.h>
#include "../kernel.h"

/* 4 halves to floats; p may lie anywhere. */
static inline float32x4_t sn_halves_neon(const void *p)
{
    return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8((const uint8_t *)p)));
}

/* Four activations, in every 32-bit lane. */
static inline int8x16_t sn_four_neon(const int8_t *q)
{
    int32_t four;

    __builtin_memcpy(&four, q, sizeof four);
    return vreinterpretq_s8_s32(vdupq_n_s32(four));
}

static inline void sn_clear_neon(float *acc, int n)
{
    for (int i = 0; i < n; i += 4)
        vst1q_f32(acc + i, vdupq_n_f32(0));
}

/* acc[0..3] += the integer sums times d and the activations' scale. */
static inline void sn_scale_neon(float *acc, int32x4_t s, float32x4_t d, float scale)
{
    vst1q_f32(acc, vfmaq_f32(vld1q_f32(acc), vcvtq_f32_s32(s), vmulq_n_f32(d, scale)));
}

/* ---- 8-bit activations ------------------------------------------------------------------------------------------ */

__attribute__((always_inline))
static inline void sn_dots_i8g32_q8_neon(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
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
            int32x4_t lo[4], hi[4];                             /* rows 0 and 1, rows 2 and 3: two lanes each */

            for (int t = 0; t < tokens; t++)
                lo[t] = hi[t] = vdupq_n_s32(0);
            for (int i = 0; i < 8; i += 2) {
                const int8x16_t v = vreinterpretq_s8_u8(veorq_u8(vld1q_u8(codes + 64 * i), middle));
                const int8x16_t u = vreinterpretq_s8_u8(veorq_u8(vld1q_u8(codes + 64 * i + 64), middle));

                for (int t = 0; t < tokens; t++) {
                    const int8x16_t p = sn_four_neon(x[t * x_stride + b].q + 4 * i);
                    const int8x16_t q = sn_four_neon(x[t * x_stride + b].q + 4 * i + 4);
                    const int16x8_t a = vmlal_s8(vmull_s8(vget_low_s8(v), vget_low_s8(p)), vget_low_s8(u), vget_low_s8(q));

                    lo[t] = vpadalq_s16(lo[t], a);
                    hi[t] = vpadalq_s16(hi[t], vmlal_high_s8(vmull_high_s8(v, p), u, q));
                }
            }
            for (int t = 0; t < tokens; t++)
                sn_scale_neon(acc + 32 * t + 4 * g, vpaddq_s32(lo[t], hi[t]), d, x[t * x_stride + b].d);
        }
    }
}

/* The integer sums of 4 rows x 32 columns of 4-bit codes, for every token. */
__attribute__((always_inline))
static inline void sn_sum_codes_i4_neon(int32x4_t *s, const uint8_t *codes, const SnQ8 *x, int x_stride, int tokens)
{
    int16x8_t lo[4], hi[4];

    for (int t = 0; t < tokens; t++)
        lo[t] = hi[t] = vdupq_n_s16(0);
    for (int i = 0; i < 4; i++) {
        const uint8x16_t both = vld1q_u8(codes + 64 * i);
        const int8x16_t v = vreinterpretq_s8_u8(vandq_u8(both, vdupq_n_u8(15)));
        const int8x16_t u = vreinterpretq_s8_u8(vshrq_n_u8(both, 4));

        for (int t = 0; t < tokens; t++) {
            const int8x16_t p = sn_four_neon(x[t * x_stride].q + 4 * i);
            const int8x16_t q = sn_four_neon(x[t * x_stride].q + 16 + 4 * i);

            lo[t] = vmlal_s8(vmlal_s8(lo[t], vget_low_s8(v), vget_low_s8(p)), vget_low_s8(u), vget_low_s8(q));
            hi[t] = vmlal_high_s8(vmlal_high_s8(hi[t], v, p), u, q);
        }
    }
    for (int t = 0; t < tokens; t++)
        s[t] = vpaddlq_s16(vpaddq_s16(lo[t], hi[t]));
}

__attribute__((always_inline))
static inline void sn_dots_i4g32_q8_neon(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
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
            int32x4_t s[4];

            sn_sum_codes_i4_neon(s, w + 256 * (g / 4) + 16 * (g % 4), x + b, x_stride, tokens);
            for (int t = 0; t < tokens; t++)                    /* w = d * (code - 8) */
                sn_scale_neon(acc + 32 * t + 4 * g, vsubq_s32(s[t], vdupq_n_s32(8 * x[t * x_stride + b].sum)), d,
                              x[t * x_stride + b].d);
        }
    }
}

__attribute__((always_inline))
static inline void sn_dots_i4g32m_q8_neon(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
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
            int32x4_t s[4];

            sn_sum_codes_i4_neon(s, w + 256 * (g / 4) + 16 * (g % 4), x + b, x_stride, tokens);
            for (int t = 0; t < tokens; t++) {
                float *out = acc + 32 * t + 4 * g;

                sn_scale_neon(out, s[t], d, x[t * x_stride + b].d);
                vst1q_f32(out, vfmaq_n_f32(vld1q_f32(out), m, x[t * x_stride + b].ds));
            }
        }
    }
}

/* ---- float activations ------------------------------------------------------------------------------------------ */

/* Four columns of 4 rows added to s: w = d * code + o, code in the `mask` bits of each byte of v. */
__attribute__((always_inline))
static inline void sn_add_four_neon(float32x4_t *s, uint32x4_t v, uint32x4_t mask, float32x4_t d, float32x4_t o,
                                    const float *x, int x_stride, int tokens)
{
    for (int j = 0; j < 4; j++) {
        const float32x4_t f = vfmaq_f32(o, vcvtq_f32_u32(vandq_u32(v, mask)), d);

        for (int t = 0; t < tokens; t++)
            s[t] = vfmaq_n_f32(s[t], f, x[t * x_stride + j]);
        v = vshrq_n_u32(v, 8);
    }
}

/* 32 columns of 4-bit codes of 4 rows: the low nibbles are columns 0..15, the high ones 16..31. */
__attribute__((always_inline))
static inline void sn_add_nibbles_neon(float32x4_t *s, const uint8_t *codes, float32x4_t d, float32x4_t o, const float *x,
                                       int x_stride, int tokens)
{
    const uint32x4_t low = vdupq_n_u32(0x0f);

    for (int i = 0; i < 4; i++)
        sn_add_four_neon(s, vreinterpretq_u32_u8(vld1q_u8(codes + 64 * i)), low, d, o, x + 4 * i, x_stride, tokens);
    for (int i = 0; i < 4; i++)
        sn_add_four_neon(s, vshrq_n_u32(vreinterpretq_u32_u8(vld1q_u8(codes + 64 * i)), 4), low, d, o, x + 16 + 4 * i,
                         x_stride, tokens);
}

/* The group's sums go to acc: s[k tokens + t] is token t, rows 4k... */
__attribute__((always_inline))
static inline void sn_add_group_neon(float *acc, const float32x4_t *s, int groups, int tokens)
{
    for (int k = 0; k < groups; k++)
        for (int t = 0; t < tokens; t++) {
            float *out = acc + 32 * t + 4 * k;

            vst1q_f32(out, vaddq_f32(vld1q_f32(out), s[k * tokens + t]));
        }
}

__attribute__((always_inline))
static inline void sn_dots_i8g32_f32_neon(float *acc, const uint8_t *w, const float *x, int x_stride, int n_in,
                                          const uint8_t *next, int tokens)
{
    const uint32x4_t byte = vdupq_n_u32(0xff);

    sn_clear_neon(acc, 32 * tokens);
    for (int c = 0; c < n_in; c += SN_GROUP, w += SN_I8_BLOCK) {
        if (next) {
            sn_prefetch(next, SN_I8_BLOCK);
            next += SN_I8_BLOCK;
        }
        for (int g = 0; g < 8; g++) {
            const uint8_t *codes = w + 512 * (g / 4) + 16 * (g % 4);
            const float32x4_t d = sn_halves_neon(w + 1024 + 8 * g);
            const float32x4_t o = vmulq_n_f32(d, -128.0f);
            float32x4_t s[4];

            for (int t = 0; t < tokens; t++)
                s[t] = vdupq_n_f32(0);
            for (int i = 0; i < 8; i++)
                sn_add_four_neon(s, vreinterpretq_u32_u8(vld1q_u8(codes + 64 * i)), byte, d, o, x + c + 4 * i, x_stride,
                                 tokens);
            sn_add_group_neon(acc + 4 * g, s, 1, tokens);
        }
    }
}

__attribute__((always_inline))
static inline void sn_dots_i4g32_f32_neon(float *acc, const uint8_t *w, const float *x, int x_stride, int n_in,
                                          const uint8_t *next, int tokens)
{
    sn_clear_neon(acc, 32 * tokens);
    for (int c = 0; c < n_in; c += SN_GROUP, w += SN_I4_BLOCK) {
        if (next) {
            sn_prefetch(next, SN_I4_BLOCK);
            next += SN_I4_BLOCK;
        }
        for (int g = 0; g < 8; g++) {
            const float32x4_t d = sn_halves_neon(w + 512 + 8 * g);
            float32x4_t s[4];

            for (int t = 0; t < tokens; t++)
                s[t] = vdupq_n_f32(0);
            sn_add_nibbles_neon(s, w + 256 * (g / 4) + 16 * (g % 4), d, vmulq_n_f32(d, -8.0f), x + c, x_stride, tokens);
            sn_add_group_neon(acc + 4 * g, s, 1, tokens);
        }
    }
}

__attribute__((always_inline))
static inline void sn_dots_i4g32m_f32_neon(float *acc, const uint8_t *w, const float *x, int x_stride, int n_in,
                                           const uint8_t *next, int tokens)
{
    sn_clear_neon(acc, 32 * tokens);
    for (int c = 0; c < n_in; c += SN_GROUP, w += SN_I4M_BLOCK) {
        if (next) {
            sn_prefetch(next, SN_I4M_BLOCK);
            next += SN_I4M_BLOCK;
        }
        for (int g = 0; g < 8; g++) {
            float32x4_t s[4];

            for (int t = 0; t < tokens; t++)
                s[t] = vdupq_n_f32(0);
            sn_add_nibbles_neon(s, w + 256 * (g / 4) + 16 * (g % 4), sn_halves_neon(w + 512 + 8 * g),
                                sn_halves_neon(w + 576 + 8 * g), x + c, x_stride, tokens);
            sn_add_group_neon(acc + 4 * g, s, 1, tokens);
        }
    }
}

/* One column of 4 rows added to the sums of every token. */
__attribute__((always_inline))
static inline void sn_add_column_neon(float32x4_t *s, float32x4_t w, const float *x, int x_stride, int tokens)
{
    for (int t = 0; t < tokens; t++)
        s[t] = vfmaq_n_f32(s[t], w, x[t * x_stride]);
}

/* One token sums all 32 rows at once, four tokens 8 rows: eight sums in either case. */
__attribute__((always_inline))
static inline void sn_dots_f16_f32_neon(float *acc, const uint8_t *w, const float *x, int x_stride, int n_in,
                                        const uint8_t *next, int tokens)
{
    const int groups = 8 / tokens;

    sn_clear_neon(acc, 32 * tokens);
    for (int c = 0; c < n_in; c += SN_GROUP, w += 64 * SN_GROUP) {
        const int n = n_in - c < SN_GROUP ? n_in - c : SN_GROUP;

        if (next) {
            sn_prefetch(next, 64 * n);
            next += 64 * n;
        }
        for (int g = 0; g < 8; g += groups) {
            float32x4_t s[8];

            for (int k = 0; k < 8; k++)
                s[k] = vdupq_n_f32(0);
            for (int i = 0; i < n; i++)
                for (int k = 0; k < groups; k++)
                    sn_add_column_neon(s + k * tokens, sn_halves_neon(w + 64 * i + 8 * (g + k)), x + c + i, x_stride,
                                       tokens);
            sn_add_group_neon(acc + 4 * g, s, groups, tokens);
        }
    }
}

/* 4 bfloat16 to floats. */
static inline float32x4_t sn_bf16_neon(const uint8_t *p)
{
    return vreinterpretq_f32_u32(vshll_n_u16(vreinterpret_u16_u8(vld1_u8(p)), 16));
}

__attribute__((always_inline))
static inline void sn_dots_bf16_f32_neon(float *acc, const uint8_t *w, const float *x, int x_stride, int n_in,
                                         const uint8_t *next, int tokens)
{
    const int groups = 8 / tokens;

    sn_clear_neon(acc, 32 * tokens);
    for (int c = 0; c < n_in; c += SN_GROUP, w += 64 * SN_GROUP) {
        const int n = n_in - c < SN_GROUP ? n_in - c : SN_GROUP;

        if (next) {
            sn_prefetch(next, 64 * n);
            next += 64 * n;
        }
        for (int g = 0; g < 8; g += groups) {
            float32x4_t s[8];

            for (int k = 0; k < 8; k++)
                s[k] = vdupq_n_f32(0);
            for (int i = 0; i < n; i++)
                for (int k = 0; k < groups; k++)
                    sn_add_column_neon(s + k * tokens, sn_bf16_neon(w + 64 * i + 8 * (g + k)), x + c + i, x_stride, tokens);
            sn_add_group_neon(acc + 4 * g, s, groups, tokens);
        }
    }
}

__attribute__((always_inline))
static inline void sn_dots_f32_f32_neon(float *acc, const uint8_t *w, const float *x, int x_stride, int n_in,
                                        const uint8_t *next, int tokens)
{
    const int groups = 8 / tokens;

    sn_clear_neon(acc, 32 * tokens);
    for (int c = 0; c < n_in; c += SN_GROUP, w += 128 * SN_GROUP) {
        const int n = n_in - c < SN_GROUP ? n_in - c : SN_GROUP;

        if (next) {
            sn_prefetch(next, 128 * n);
            next += 128 * n;
        }
        for (int g = 0; g < 8; g += groups) {
            float32x4_t s[8];

            for (int k = 0; k < 8; k++)
                s[k] = vdupq_n_f32(0);
            for (int i = 0; i < n; i++)
                for (int k = 0; k < groups; k++)
                    sn_add_column_neon(s + k * tokens, vreinterpretq_f32_u8(vld1q_u8(w + 128 * i + 16 * (g + k))),
                                       x + c + i, x_stride, tokens);
            sn_add_group_neon(acc + 4 * g, s, groups, tokens);
        }
    }
}

/* ---- the kernels ------------------------------------------------------------------------------------------------ */

SN_KERNEL(op=dot, layout=i8g32_r32k4, x=q8, tile=32x4, isa=neon, order=groups_fma)
static SN_APART void sn_dot4_i8g32_r32k4_q8_neon(float acc[4 * 32], const uint8_t *w, const SnQ8 *x,
                                                 int x_stride, int n_in, const uint8_t *next)
{
    sn_dots_i8g32_q8_neon(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=i8g32_r32k4, x=q8, tile=32x1, isa=neon, order=groups_fma)
static SN_APART void sn_dot_i8g32_r32k4_q8_neon(float acc[32], const uint8_t *w, const SnQ8 *x,
                                                int n_in, const uint8_t *next)
{
    sn_dots_i8g32_q8_neon(acc, w, x, 0, n_in, next, 1);
}

SN_KERNEL(op=dot, layout=i4g32_r32k4, x=q8, tile=32x4, isa=neon, order=groups_fma)
static SN_APART void sn_dot4_i4g32_r32k4_q8_neon(float acc[4 * 32], const uint8_t *w, const SnQ8 *x,
                                                 int x_stride, int n_in, const uint8_t *next)
{
    sn_dots_i4g32_q8_neon(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=i4g32_r32k4, x=q8, tile=32x1, isa=neon, order=groups_fma)
static SN_APART void sn_dot_i4g32_r32k4_q8_neon(float acc[32], const uint8_t *w, const SnQ8 *x,
                                                int n_in, const uint8_t *next)
{
    sn_dots_i4g32_q8_neon(acc, w, x, 0, n_in, next, 1);
}

SN_KERNEL(op=dot, layout=i4g32m_r32k4, x=q8, tile=32x4, isa=neon, order=groups_fma)
static SN_APART void sn_dot4_i4g32m_r32k4_q8_neon(float acc[4 * 32], const uint8_t *w, const SnQ8 *x,
                                                  int x_stride, int n_in, const uint8_t *next)
{
    sn_dots_i4g32m_q8_neon(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=i4g32m_r32k4, x=q8, tile=32x1, isa=neon, order=groups_fma)
static SN_APART void sn_dot_i4g32m_r32k4_q8_neon(float acc[32], const uint8_t *w, const SnQ8 *x,
                                                 int n_in, const uint8_t *next)
{
    sn_dots_i4g32m_q8_neon(acc, w, x, 0, n_in, next, 1);
}

SN_KERNEL(op=dot, layout=i8g32_r32k4, x=f32, tile=32x4, isa=neon, order=groups_fma)
static SN_APART void sn_dot4_i8g32_r32k4_f32_neon(float acc[4 * 32], const uint8_t *w, const float *x,
                                                  int x_stride, int n_in, const uint8_t *next)
{
    sn_dots_i8g32_f32_neon(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=i8g32_r32k4, x=f32, tile=32x1, isa=neon, order=groups_fma)
static SN_APART void sn_dot_i8g32_r32k4_f32_neon(float acc[32], const uint8_t *w, const float *x,
                                                 int n_in, const uint8_t *next)
{
    sn_dots_i8g32_f32_neon(acc, w, x, 0, n_in, next, 1);
}

SN_KERNEL(op=dot, layout=i4g32_r32k4, x=f32, tile=32x4, isa=neon, order=groups_fma)
static SN_APART void sn_dot4_i4g32_r32k4_f32_neon(float acc[4 * 32], const uint8_t *w, const float *x,
                                                  int x_stride, int n_in, const uint8_t *next)
{
    sn_dots_i4g32_f32_neon(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=i4g32_r32k4, x=f32, tile=32x1, isa=neon, order=groups_fma)
static SN_APART void sn_dot_i4g32_r32k4_f32_neon(float acc[32], const uint8_t *w, const float *x,
                                                 int n_in, const uint8_t *next)
{
    sn_dots_i4g32_f32_neon(acc, w, x, 0, n_in, next, 1);
}

SN_KERNEL(op=dot, layout=i4g32m_r32k4, x=f32, tile=32x4, isa=neon, order=groups_fma)
static SN_APART void sn_dot4_i4g32m_r32k4_f32_neon(float acc[4 * 32], const uint8_t *w,
                                                   const float *x, int x_stride, int n_in,
                                                 const uint8_t *next)
{
    sn_dots_i4g32m_f32_neon(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=i4g32m_r32k4, x=f32, tile=32x1, isa=neon, order=groups_fma)
static SN_APART void sn_dot_i4g32m_r32k4_f32_neon(float acc[32], const uint8_t *w, const float *x,
                                                  int n_in, const uint8_t *next)
{
    sn_dots_i4g32m_f32_neon(acc, w, x, 0, n_in, next, 1);
}

SN_KERNEL(op=dot, layout=f16_r32k1, x=f32, tile=32x4, isa=neon, order=groups_fma)
static SN_APART void sn_dot4_f16_r32k1_f32_neon(float acc[4 * 32], const uint8_t *w, const float *x,
                                                int x_stride, int n_in, const uint8_t *next)
{
    sn_dots_f16_f32_neon(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=f16_r32k1, x=f32, tile=32x1, isa=neon, order=groups_fma)
static SN_APART void sn_dot_f16_r32k1_f32_neon(float acc[32], const uint8_t *w, const float *x,
                                               int n_in, const uint8_t *next)
{
    sn_dots_f16_f32_neon(acc, w, x, 0, n_in, next, 1);
}

SN_KERNEL(op=dot, layout=bf16_r32k1, x=f32, tile=32x4, isa=neon, order=groups_fma)
static SN_APART void sn_dot4_bf16_r32k1_f32_neon(float acc[4 * 32], const uint8_t *w, const float *x,
                                                 int x_stride, int n_in, const uint8_t *next)
{
    sn_dots_bf16_f32_neon(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=bf16_r32k1, x=f32, tile=32x1, isa=neon, order=groups_fma)
static SN_APART void sn_dot_bf16_r32k1_f32_neon(float acc[32], const uint8_t *w, const float *x,
                                                int n_in, const uint8_t *next)
{
    sn_dots_bf16_f32_neon(acc, w, x, 0, n_in, next, 1);
}

SN_KERNEL(op=dot, layout=f32_r32k1, x=f32, tile=32x4, isa=neon, order=groups_fma)
static SN_APART void sn_dot4_f32_r32k1_f32_neon(float acc[4 * 32], const uint8_t *w, const float *x,
                                                int x_stride, int n_in, const uint8_t *next)
{
    sn_dots_f32_f32_neon(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=f32_r32k1, x=f32, tile=32x1, isa=neon, order=groups_fma)
static SN_APART void sn_dot_f32_r32k1_f32_neon(float acc[32], const uint8_t *w, const float *x,
                                               int n_in, const uint8_t *next)
{
    sn_dots_f32_f32_neon(acc, w, x, 0, n_in, next, 1);
}

/* ---- attention: see portable/attention.c -------------------------------------------------------------------------- */

/* 16 lanes to one sum, halves added to halves: s[j] holds lanes 4j.. */
static inline float sn_sum16_neon(const float32x4_t *s)
{
    const float32x4_t four = vaddq_f32(vaddq_f32(s[0], s[2]), vaddq_f32(s[1], s[3]));
    const float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));

    return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}

/* The first n < 16 of 16 entries as floats, zeros behind them. */
static inline void sn_some_neon(float y[16], const float *x, int n)
{
    for (int i = 0; i < 16; i++)
        y[i] = i < n ? x[i] : 0;
}

static inline void sn_some_halves_neon(float y[16], const uint16_t *x, int n)
{
    for (int i = 0; i < 16; i++)
        y[i] = i < n ? sn_f16_to_f32(x[i]) : 0;
}

/* Two positions at once, eight chains of multiply-adds side by side; the last one of an odd number is computed twice. */
SN_KERNEL(op=score, kv=f16, isa=neon, order=lanes16_fma)
static SN_APART void sn_score_f16_neon(float *s, const float *q, const uint16_t *k, int stride, int n, int head_dim,
                                       float scale)
{
    for (int i = 0; i < n; i += 2) {
        const uint16_t *e = k + (int64_t)i * stride;
        const uint16_t *f = i + 1 < n ? e + stride : e;
        float32x4_t a[4], b[4];
        int d = 0;

        for (int j = 0; j < 4; j++)
            a[j] = b[j] = vdupq_n_f32(0);
        for (; d + 16 <= head_dim; d += 16)
            for (int j = 0; j < 4; j++) {
                const float32x4_t v = vld1q_f32(q + d + 4 * j);

                a[j] = vfmaq_f32(a[j], v, sn_halves_neon(e + d + 4 * j));
                b[j] = vfmaq_f32(b[j], v, sn_halves_neon(f + d + 4 * j));
            }
        if (d < head_dim) {
            float v[16], x[16], y[16];

            sn_some_neon(v, q + d, head_dim - d);
            sn_some_halves_neon(x, e + d, head_dim - d);
            sn_some_halves_neon(y, f + d, head_dim - d);
            for (int j = 0; j < 4; j++) {
                a[j] = vfmaq_f32(a[j], vld1q_f32(v + 4 * j), vld1q_f32(x + 4 * j));
                b[j] = vfmaq_f32(b[j], vld1q_f32(v + 4 * j), vld1q_f32(y + 4 * j));
            }
        }
        s[i] = scale * sn_sum16_neon(a);
        if (i + 1 < n)
            s[i + 1] = scale * sn_sum16_neon(b);
    }
}

SN_KERNEL(op=score, kv=f32, isa=neon, order=lanes16_fma)
static SN_APART void sn_score_f32_neon(float *s, const float *q, const float *k, int stride, int n, int head_dim,
                                       float scale)
{
    for (int i = 0; i < n; i += 2) {
        const float *e = k + (int64_t)i * stride;
        const float *f = i + 1 < n ? e + stride : e;
        float32x4_t a[4], b[4];
        int d = 0;

        for (int j = 0; j < 4; j++)
            a[j] = b[j] = vdupq_n_f32(0);
        for (; d + 16 <= head_dim; d += 16)
            for (int j = 0; j < 4; j++) {
                const float32x4_t v = vld1q_f32(q + d + 4 * j);

                a[j] = vfmaq_f32(a[j], v, vld1q_f32(e + d + 4 * j));
                b[j] = vfmaq_f32(b[j], v, vld1q_f32(f + d + 4 * j));
            }
        if (d < head_dim) {
            float v[16], x[16], y[16];

            sn_some_neon(v, q + d, head_dim - d);
            sn_some_neon(x, e + d, head_dim - d);
            sn_some_neon(y, f + d, head_dim - d);
            for (int j = 0; j < 4; j++) {
                a[j] = vfmaq_f32(a[j], vld1q_f32(v + 4 * j), vld1q_f32(x + 4 * j));
                b[j] = vfmaq_f32(b[j], vld1q_f32(v + 4 * j), vld1q_f32(y + 4 * j));
            }
        }
        s[i] = scale * sn_sum16_neon(a);
        if (i + 1 < n)
            s[i + 1] = scale * sn_sum16_neon(b);
    }
}

/* 64 columns stay in registers over all positions; what is left of head_dim goes 4 at a time, then one by one. */
SN_KERNEL(op=mix, kv=f16, isa=neon, order=positions_fma)
static SN_APART void sn_mix_f16_neon(float *y, const float *p, const uint16_t *v, int stride, int n, int head_dim)
{
    int d = 0;

    for (; d + 64 <= head_dim; d += 64) {
        float32x4_t s[16];

        for (int j = 0; j < 16; j++)
            s[j] = vld1q_f32(y + d + 4 * j);
        for (int i = 0; i < n; i++) {
            const uint16_t *e = v + (int64_t)i * stride + d;

            for (int j = 0; j < 16; j++)
                s[j] = vfmaq_n_f32(s[j], sn_halves_neon(e + 4 * j), p[i]);
        }
        for (int j = 0; j < 16; j++)
            vst1q_f32(y + d + 4 * j, s[j]);
    }
    for (; d + 4 <= head_dim; d += 4) {
        float32x4_t s = vld1q_f32(y + d);

        for (int i = 0; i < n; i++)
            s = vfmaq_n_f32(s, sn_halves_neon(v + (int64_t)i * stride + d), p[i]);
        vst1q_f32(y + d, s);
    }
    for (d = head_dim & ~3; d < head_dim; d++)
        for (int i = 0; i < n; i++)
            y[d] = __builtin_fmaf(p[i], sn_f16_to_f32(v[(int64_t)i * stride + d]), y[d]);
}

SN_KERNEL(op=mix, kv=f32, isa=neon, order=positions_fma)
static SN_APART void sn_mix_f32_neon(float *y, const float *p, const float *v, int stride, int n, int head_dim)
{
    int d = 0;

    for (; d + 64 <= head_dim; d += 64) {
        float32x4_t s[16];

        for (int j = 0; j < 16; j++)
            s[j] = vld1q_f32(y + d + 4 * j);
        for (int i = 0; i < n; i++) {
            const float *e = v + (int64_t)i * stride + d;

            for (int j = 0; j < 16; j++)
                s[j] = vfmaq_n_f32(s[j], vld1q_f32(e + 4 * j), p[i]);
        }
        for (int j = 0; j < 16; j++)
            vst1q_f32(y + d + 4 * j, s[j]);
    }
    for (; d + 4 <= head_dim; d += 4) {
        float32x4_t s = vld1q_f32(y + d);

        for (int i = 0; i < n; i++)
            s = vfmaq_n_f32(s, vld1q_f32(v + (int64_t)i * stride + d), p[i]);
        vst1q_f32(y + d, s);
    }
    for (d = head_dim & ~3; d < head_dim; d++)
        for (int i = 0; i < n; i++)
            y[d] = __builtin_fmaf(p[i], v[(int64_t)i * stride + d], y[d]);
}

/* n floats to halves. */
SN_KERNEL(op=store_f16, x=f32, isa=neon, order=exact)
static inline void sn_store_f16_neon(uint16_t *y, const float *x, int n)
{
    int i = 0;

    for (; i + 4 <= n; i += 4)
        vst1_u16(y + i, vreinterpret_u16_f16(vcvt_f16_f32(vld1q_f32(x + i))));
    for (; i < n; i++)
        y[i] = sn_f32_to_f16(x[i]);
}
