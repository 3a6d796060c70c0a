/* Attention of some queries at once, and the maximum of softmax, for 64-bit ARM: see x86_64/avx512vnni_attention.c for what
 * is computed, and for why.
 *
 * A converted entry of K or V is used by up to four queries.  Conversions share the pipes of multiply-adds: 16 dimensions of
 * four queries are 20 instructions there instead of 32.  Sums are added in the order of the kernels for one query (neon.c),
 * so some queries are one after the other, bit for bit. */
#include <arm_neon.h>
#include "../kernel.h"

/* The lanes' sums of four times 16 lanes, halves added to halves; s[j][a] holds lanes 4a.. */
__attribute__((always_inline))
static inline float32x4_t sn_sum_sixteen_neon(float32x4_t (*s)[4])
{
    float32x4_t four[4];
    float32x4_t ab;
    float32x4_t cd;

    for (int j = 0; j < 4; j++)
        four[j] = vaddq_f32(vaddq_f32(s[j][0], s[j][2]), vaddq_f32(s[j][1], s[j][3]));
    ab = vaddq_f32(vcombine_f32(vget_low_f32(four[0]), vget_low_f32(four[1])),
                   vcombine_f32(vget_high_f32(four[0]), vget_high_f32(four[1])));
    cd = vaddq_f32(vcombine_f32(vget_low_f32(four[2]), vget_low_f32(four[3])),
                   vcombine_f32(vget_high_f32(four[2]), vget_high_f32(four[3])));
    return vpaddq_f32(ab, cd);
}

/* All positions for n_q queries, 2 to 4 and known where this is inlined. */
__attribute__((always_inline))
static inline void sn_score_some_neon(float *s, int s_stride, const float *q, int q_stride, int n_q, const uint16_t *k,
                                      int stride, int n, int head_dim, float scale)
{
    for (int i = 0; i < n; i++, k += stride) {
        float32x4_t sum[4][4];
        float32x4_t all;
        int d = 0;

        for (int j = 0; j < 4; j++)
            for (int a = 0; a < 4; a++)
                sum[j][a] = vdupq_n_f32(0);
        for (; d + 16 <= head_dim; d += 16)
            for (int a = 0; a < 4; a++) {
                const float32x4_t e = sn_halves_neon(k + d + 4 * a);

                for (int j = 0; j < n_q; j++)
                    sum[j][a] = vfmaq_f32(sum[j][a], vld1q_f32(q + j * q_stride + d + 4 * a), e);
            }
        if (d < head_dim) {
            float e[16];

            sn_some_halves_neon(e, k + d, head_dim - d);
            for (int j = 0; j < n_q; j++) {
                float u[16];

                sn_some_neon(u, q + j * q_stride + d, head_dim - d);
                for (int a = 0; a < 4; a++)
                    sum[j][a] = vfmaq_f32(sum[j][a], vld1q_f32(u + 4 * a), vld1q_f32(e + 4 * a));
            }
        }
        all = vmulq_n_f32(sn_sum_sixteen_neon(sum), scale);
        s[i] = vgetq_lane_f32(all, 0);
        s[s_stride + i] = vgetq_lane_f32(all, 1);
        if (n_q > 2)
            s[2 * s_stride + i] = vgetq_lane_f32(all, 2);
        if (n_q > 3)
            s[3 * s_stride + i] = vgetq_lane_f32(all, 3);
    }
}

SN_KERNEL(op=score4, kv=f16, isa=neon, order=lanes16_fma)
static SN_APART void sn_score4_f16_neon(float *s, int s_stride, const float *q, int q_stride, int n_q, const uint16_t *k,
                                        int stride, int n, int head_dim, float scale)
{
    for (; n_q >= 4; n_q -= 4, s += 4 * s_stride, q += 4 * q_stride)
        sn_score_some_neon(s, s_stride, q, q_stride, 4, k, stride, n, head_dim, scale);
    if (n_q == 3)
        sn_score_some_neon(s, s_stride, q, q_stride, 3, k, stride, n, head_dim, scale);
    else if (n_q == 2)
        sn_score_some_neon(s, s_stride, q, q_stride, 2, k, stride, n, head_dim, scale);
    else if (n_q == 1)
        sn_score_f16_neon(s, q, k, stride, n, head_dim, scale);
}

/* 16 dimensions of n_q queries (2 to 4, known where this is inlined) stay in registers over all positions; what is left of
 * head_dim goes one query at a time. */
__attribute__((always_inline))
static inline void sn_mix_some_neon(float *y, int y_stride, const float *p, int p_stride, int n_q, const uint16_t *v,
                                    int stride, int n, int head_dim)
{
    int d = 0;

    for (; d + 16 <= head_dim; d += 16) {
        float32x4_t s[4][4];

        for (int j = 0; j < n_q; j++)
            for (int a = 0; a < 4; a++)
                s[j][a] = vld1q_f32(y + j * y_stride + d + 4 * a);
        for (int i = 0; i < n; i++) {
            const uint16_t *e = v + (int64_t)i * stride + d;

            for (int a = 0; a < 4; a++) {
                const float32x4_t u = sn_halves_neon(e + 4 * a);

                for (int j = 0; j < n_q; j++)
                    s[j][a] = vfmaq_n_f32(s[j][a], u, p[j * p_stride + i]);
            }
        }
        for (int j = 0; j < n_q; j++)
            for (int a = 0; a < 4; a++)
                vst1q_f32(y + j * y_stride + d + 4 * a, s[j][a]);
    }
    for (int j = 0; d < head_dim && j < n_q; j++)
        sn_mix_f16_neon(y + j * y_stride + d, p + j * p_stride, v + d, stride, n, head_dim - d);
}

SN_KERNEL(op=mix4, kv=f16, isa=neon, order=positions_fma)
static SN_APART void sn_mix4_f16_neon(float *y, int y_stride, const float *p, int p_stride, int n_q, const uint16_t *v,
                                      int stride, int n, int head_dim)
{
    for (; n_q >= 4; n_q -= 4, y += 4 * y_stride, p += 4 * p_stride)
        sn_mix_some_neon(y, y_stride, p, p_stride, 4, v, stride, n, head_dim);
    if (n_q == 3)
        sn_mix_some_neon(y, y_stride, p, p_stride, 3, v, stride, n, head_dim);
    else if (n_q == 2)
        sn_mix_some_neon(y, y_stride, p, p_stride, 2, v, stride, n, head_dim);
    else if (n_q == 1)
        sn_mix_f16_neon(y, p, v, stride, n, head_dim);
}

/* The largest of n values; -infinity of none. */
SN_KERNEL(op=max, x=f32, isa=neon, order=exact)
static SN_APART float sn_max_neon(const float *s, int n)
{
    float32x4_t a = vdupq_n_f32(-__builtin_inff());
    float32x4_t b = a;
    float max;
    int i = 0;

    for (; i + 8 <= n; i += 8) {
        a = vmaxnmq_f32(a, vld1q_f32(s + i));
        b = vmaxnmq_f32(b, vld1q_f32(s + i + 4));
    }
    max = vmaxnmvq_f32(vmaxnmq_f32(a, b));
    for (; i < n; i++)
        max = s[i] > max ? s[i] : max;
    return max;
}
