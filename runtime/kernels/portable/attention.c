/* Attention of one query head over a span of cached positions: scores, softmax, weighted sum.
 *
 * Entries of position i lie at k + i * stride (v + i * stride), head_dim of them; stride counts elements and is usually
 * n_head_kv * head_dim.  What a position contributes never depends on how many others there are, so prefill and
 * token-by-token give the same bits.  Any head_dim and any n, also 0. */
#include "../kernel.h"

/* 16 sums to one: halves are added to halves. */
static inline float sn_sum16(float s[16])
{
    for (int h = 8; h > 0; h /= 2)
        for (int j = 0; j < h; j++)
            s[j] += s[j + h];
    return s[0];
}

/* s[i] = scale * dot(q, k + i * stride), the products added in 16 interleaved sums. */
SN_KERNEL(op=score, kv=f16, isa=portable, order=lanes16)
static SN_APART void sn_score_f16_portable(float *s, const float *q, const uint16_t *k, int stride, int n, int head_dim,
                                           float scale)
{
    for (int i = 0; i < n; i++, k += stride) {
        float sum[16] = { 0 };
        int d = 0;

        for (; d + 16 <= head_dim; d += 16)
            for (int j = 0; j < 16; j++)
                sum[j] += q[d + j] * sn_f16_to_f32(k[d + j]);
        for (int j = 0; d + j < head_dim; j++)
            sum[j] += q[d + j] * sn_f16_to_f32(k[d + j]);
        s[i] = scale * sn_sum16(sum);
    }
}

SN_KERNEL(op=score, kv=f32, isa=portable, order=lanes16)
static SN_APART void sn_score_f32_portable(float *s, const float *q, const float *k, int stride, int n, int head_dim,
                                           float scale)
{
    for (int i = 0; i < n; i++, k += stride) {
        float sum[16] = { 0 };
        int d = 0;

        for (; d + 16 <= head_dim; d += 16)
            for (int j = 0; j < 16; j++)
                sum[j] += q[d + j] * k[d + j];
        for (int j = 0; d + j < head_dim; j++)
            sum[j] += q[d + j] * k[d + j];
        s[i] = scale * sn_sum16(sum);
    }
}

/* y[d] += sum over i of p[i] * v[i * stride + d], in order of i. */
SN_KERNEL(op=mix, kv=f16, isa=portable, order=positions)
static inline void sn_mix_f16_portable(float *y, const float *p, const uint16_t *v, int stride, int n, int head_dim)
{
    for (int i = 0; i < n; i++, v += stride)
        for (int d = 0; d < head_dim; d++)
            y[d] += p[i] * sn_f16_to_f32(v[d]);
}

SN_KERNEL(op=mix, kv=f32, isa=portable, order=positions)
static inline void sn_mix_f32_portable(float *y, const float *p, const float *v, int stride, int n, int head_dim)
{
    for (int i = 0; i < n; i++, v += stride)
        for (int d = 0; d < head_dim; d++)
            y[d] += p[i] * v[d];
}

/* The largest of n values; -infinity of none. */
SN_KERNEL(op=max, x=f32, isa=portable, order=exact)
static SN_APART float sn_max(const float *s, int n)
{
    float max[16];
    int i = 0;

    for (int j = 0; j < 16; j++)
        max[j] = -__builtin_inff();
    for (; i + 16 <= n; i += 16)
        for (int j = 0; j < 16; j++)
            max[j] = s[i + j] > max[j] ? s[i + j] : max[j];
    for (int j = 0; i + j < n; j++)
        max[j] = s[i + j] > max[j] ? s[i + j] : max[j];
    for (int h = 8; h > 0; h /= 2)
        for (int j = 0; j < h; j++)
            max[j] = max[j + h] > max[j] ? max[j + h] : max[j];
    return max[0];
}

/* s[i] = e^(s[i] - max); returns their sum, added in 16 interleaved sums. */
SN_KERNEL(op=exp_sum, x=f32, isa=portable, order=lanes16)
static SN_APART float sn_exp_sum(float *s, int n, float max)
{
    float sum[16] = { 0 };
    int i = 0;

    for (; i + 16 <= n; i += 16)
        for (int j = 0; j < 16; j++) {
            s[i + j] = sn_exp(s[i + j] - max);
            sum[j] += s[i + j];
        }
    for (int j = 0; i + j < n; j++) {
        s[i + j] = sn_exp(s[i + j] - max);
        sum[j] += s[i + j];
    }
    return sn_sum16(sum);
}
