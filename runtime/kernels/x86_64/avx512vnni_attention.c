/* Attention of some queries at once, softmax, activation functions and quantization, for AVX-512.
 *
 * When a prompt is read, neighbouring tokens look at nearly the same positions; when one token is decoded, the heads of a
 * group look at the same ones.  Four queries share each conversion of a cached entry to floats, and 16 chains of
 * multiply-adds run side by side.  Sums are added in the order of the kernels for one query (portable/attention.c), so some
 * queries are one after the other, bit for bit.  j = 0..n_q-1, i = 0..n-1:
 *
 *     s[j * s_stride + i] = scale * dot(q + j * q_stride, k + i * stride)
 *     y[j * y_stride + d] += sum over i of p[j * p_stride + i] * v[i * stride + d]                               */
#include <immintrin.h>
#include "../kernel.h"

/* The lanes' sums of four vectors each, halves added to halves: quarter j of the result has those of v[0][j] .. v[3][j]. */
static inline __m512 sn_sum_sixteen_avx512(__m512 (*v)[4])
{
    __m512 w[4];

    for (int i = 0; i < 4; i++) {
        const __m512 a = _mm512_add_ps(_mm512_shuffle_f32x4(v[i][0], v[i][1], 0x44),       /* lane + lane 8 */
                                       _mm512_shuffle_f32x4(v[i][0], v[i][1], 0xee));
        const __m512 b = _mm512_add_ps(_mm512_shuffle_f32x4(v[i][2], v[i][3], 0x44),
                                       _mm512_shuffle_f32x4(v[i][2], v[i][3], 0xee));

        w[i] = _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xdd));      /* + lane 4 */
    }
    w[0] = _mm512_add_ps(_mm512_shuffle_ps(w[0], w[1], 0x44), _mm512_shuffle_ps(w[0], w[1], 0xee));    /* + lane 2 */
    w[2] = _mm512_add_ps(_mm512_shuffle_ps(w[2], w[3], 0x44), _mm512_shuffle_ps(w[2], w[3], 0xee));
    return _mm512_add_ps(_mm512_shuffle_ps(w[0], w[2], 0x88), _mm512_shuffle_ps(w[0], w[2], 0xdd));    /* + lane 1 */
}

/* Four positions of an f16 cache, 16 dimensions of each (those in m), times those of n_q queries. */
__attribute__((always_inline))
static inline void sn_score_step_avx512(__m512 (*s)[4], const float *q, int q_stride, int n_q, const uint16_t *const *k,
                                        int d, __mmask16 m)
{
    __m512 v[4];

    for (int a = 0; a < 4; a++)
        v[a] = _mm512_cvtph_ps(m == 0xffff ? _mm256_loadu_si256((const __m256i *)(k[a] + d))
                                           : _mm256_maskz_loadu_epi16(m, k[a] + d));
    for (int j = 0; j < n_q; j++) {
        const __m512 u = _mm512_maskz_loadu_ps(m, q + j * q_stride + d);

        for (int a = 0; a < 4; a++)
            s[a][j] = _mm512_fmadd_ps(u, v[a], s[a][j]);
    }
}

/* All positions for n_q queries, 1 to 4 and known where this is inlined. */
__attribute__((always_inline))
static inline void sn_score_some_avx512(float *s, int s_stride, const float *q, int q_stride, int n_q, const uint16_t *k,
                                        int stride, int n, int head_dim, float scale)
{
    for (int i = 0; i < n; i += 4) {
        const int left = n - i < 4 ? n - i : 4;
        const __mmask8 m = (__mmask8)((1 << left) - 1);
        const uint16_t *e[4];
        __m512 sum[4][4];
        __m512 all;
        int d = 0;

        for (int a = 0; a < 4; a++)
            e[a] = k + (int64_t)(i + (a < left ? a : 0)) * stride;
        for (int a = 0; a < 4; a++)
            for (int j = 0; j < 4; j++)
                sum[a][j] = _mm512_setzero_ps();
        for (; d + 16 <= head_dim; d += 16)
            sn_score_step_avx512(sum, q, q_stride, n_q, e, d, 0xffff);
        if (d < head_dim)
            sn_score_step_avx512(sum, q, q_stride, n_q, e, d, (__mmask16)((1u << (head_dim - d)) - 1));
        all = _mm512_mul_ps(_mm512_set1_ps(scale), sn_sum_sixteen_avx512(sum));
        _mm_mask_storeu_ps(s + i, m, _mm512_castps512_ps128(all));
        if (n_q > 1)
            _mm_mask_storeu_ps(s + s_stride + i, m, _mm512_extractf32x4_ps(all, 1));
        if (n_q > 2)
            _mm_mask_storeu_ps(s + 2 * s_stride + i, m, _mm512_extractf32x4_ps(all, 2));
        if (n_q > 3)
            _mm_mask_storeu_ps(s + 3 * s_stride + i, m, _mm512_extractf32x4_ps(all, 3));
    }
}

/* ---- many queries: positions are lanes ------------------------------------------------------------------------------------- */

enum {
    SN_TURNED = 32,             /* positions whose entries are turned at a time */
    SN_TURNED_DIM = 256,        /* most dimensions of them, and what their number must be a multiple of: */
    SN_TURNED_STEP = 16
};

/* Eight dimensions of 32 positions, the first of which lie at k: t[SN_TURNED d + i].  `last`: the last position that is there. */
__attribute__((always_inline))
static inline void sn_turn_eight_avx512(uint16_t *t, const uint16_t *k, int stride, int last)
{
    __m512i v[8], w[8];

    for (int i = 0; i < 8; i++) {           /* 128 bits are eight dimensions of positions i, 8 + i, 16 + i, 24 + i */
        v[i] = _mm512_setzero_si512();
        for (int g = 0; g < 4; g++) {
            const int p = 8 * g + i < last ? 8 * g + i : last;

            v[i] = _mm512_mask_broadcast_i32x4(v[i], (__mmask16)(15 << (4 * g)),
                                               _mm_loadu_si128((const __m128i *)(const void *)(k + (int64_t)p * stride)));
        }
    }
    for (int i = 0; i < 4; i++) {
        w[2 * i] = _mm512_unpacklo_epi16(v[2 * i], v[2 * i + 1]);
        w[2 * i + 1] = _mm512_unpackhi_epi16(v[2 * i], v[2 * i + 1]);
    }
    for (int i = 0; i < 8; i += 4)
        for (int h = 0; h < 2; h++) {
            v[i + 2 * h] = _mm512_unpacklo_epi32(w[i + h], w[i + h + 2]);
            v[i + 2 * h + 1] = _mm512_unpackhi_epi32(w[i + h], w[i + h + 2]);
        }
    for (int i = 0; i < 4; i++) {
        _mm512_storeu_si512(t + SN_TURNED * (2 * i), _mm512_unpacklo_epi64(v[i], v[i + 4]));
        _mm512_storeu_si512(t + SN_TURNED * (2 * i + 1), _mm512_unpackhi_epi64(v[i], v[i + 4]));
    }
}

static SN_APART void sn_turn_entries_avx512(uint16_t *t, const uint16_t *k, int stride, int n, int head_dim)
{
    for (int d = 0; d < head_dim; d += 8) {
        if (n == SN_TURNED)
            sn_turn_eight_avx512(t + SN_TURNED * d, k + d, stride, SN_TURNED - 1);
        else
            sn_turn_eight_avx512(t + SN_TURNED * d, k + d, stride, n - 1);
    }
}

/* What dimensions d, d + 16, ... contribute to the scores of 32 positions for four queries: s[2 j + h] for query j and half h. */
__attribute__((always_inline))
static inline void sn_score_lane_avx512(__m512 *s, const float *q, int q_stride, const uint16_t *t, int d, int head_dim)
{
    #pragma GCC unroll 8
    for (int k = 0; k < 8; k++)
        s[k] = _mm512_setzero_ps();
    for (; d < head_dim; d += 16) {
        const __m512 a = _mm512_cvtph_ps(_mm256_load_si256((const __m256i *)(const void *)(t + SN_TURNED * d)));
        const __m512 b = _mm512_cvtph_ps(_mm256_load_si256((const __m256i *)(const void *)(t + SN_TURNED * d + 16)));

        #pragma GCC unroll 4
        for (int j = 0; j < 4; j++) {
            const __m512 u = _mm512_set1_ps(q[j * q_stride + d]);

            s[2 * j] = _mm512_fmadd_ps(u, a, s[2 * j]);
            s[2 * j + 1] = _mm512_fmadd_ps(u, b, s[2 * j + 1]);
        }
    }
}

/* Scores of SN_TURNED positions, of which n are stored, for four queries.  What the kernel for one query has in lane l is here the sum
 * over dimensions l, l + 16, ...; halves are added to halves: lanes l and l + 8 first, then pairs l and l + 4, and so on.  Pairs come
 * in the order 0 4 2 6 1 5 3 7, and sums that wait for their other half lie in memory. */
static SN_APART void sn_score_turned_avx512vnni(float *s, int s_stride, const float *q, int q_stride, const uint16_t *t, int n, int head_dim,
                                            float scale)
{
    const uint32_t m = 0xffffffffu >> (SN_TURNED - n);
    float waiting[3][8 * 16] __attribute__((aligned(64)));
    __m512 a[8], b[8];

    for (int i = 0; i < 8; i++) {
        const int l = (i & 1) << 2 | (i & 2) | i >> 2;
        int level = 0;

        sn_score_lane_avx512(a, q, q_stride, t, l, head_dim);
        sn_score_lane_avx512(b, q, q_stride, t, l + 8, head_dim);
        #pragma GCC unroll 8
        for (int k = 0; k < 8; k++)
            a[k] = _mm512_add_ps(a[k], b[k]);
        for (; i >> level & 1; level++) {
            #pragma GCC unroll 8
            for (int k = 0; k < 8; k++)
                a[k] = _mm512_add_ps(_mm512_load_ps(waiting[level] + 16 * k), a[k]);
        }
        if (level < 3) {
            #pragma GCC unroll 8
            for (int k = 0; k < 8; k++)
                _mm512_store_ps(waiting[level] + 16 * k, a[k]);
        }
    }
    #pragma GCC unroll 8
    for (int k = 0; k < 8; k++)
        _mm512_mask_storeu_ps(s + k / 2 * s_stride + 16 * (k % 2), (__mmask16)(m >> (16 * (k % 2))),
                              _mm512_mul_ps(_mm512_set1_ps(scale), a[k]));
}

/* Nothing is added across lanes, and each entry is turned once for all queries, whose number is a multiple of 4. */
static SN_APART void sn_score_many_avx512(float *s, int s_stride, const float *q, int q_stride, int n_q, const uint16_t *k,
                                          int stride, int n, int head_dim, float scale)
{
    uint16_t t[SN_TURNED * SN_TURNED_DIM] __attribute__((aligned(64)));

    for (int i = 0; i < n; i += SN_TURNED) {
        const int left = n - i < SN_TURNED ? n - i : SN_TURNED;

        sn_turn_entries_avx512(t, k + (int64_t)i * stride, stride, left, head_dim);
        for (int j = 0; j < n_q; j += 4)
            sn_score_turned_avx512vnni(s + (int64_t)j * s_stride + i, s_stride, q + (int64_t)j * q_stride, q_stride, t, left, head_dim, scale);
    }
}

SN_KERNEL(op=score4, kv=f16, isa=avx512vnni, features=x86_64_v4, order=lanes16_fma)
static SN_APART void sn_score4_f16_avx512vnni(float *s, int s_stride, const float *q, int q_stride, int n_q, const uint16_t *k,
                                              int stride, int n, int head_dim, float scale)
{
    if (n_q >= 8 && head_dim % SN_TURNED_STEP == 0 && head_dim <= SN_TURNED_DIM) {
        const int many = n_q / 4 * 4;

        sn_score_many_avx512(s, s_stride, q, q_stride, many, k, stride, n, head_dim, scale);
        s += (int64_t)many * s_stride;
        q += (int64_t)many * q_stride;
        n_q -= many;
    }
    for (; n_q >= 4; n_q -= 4, s += 4 * s_stride, q += 4 * q_stride)
        sn_score_some_avx512(s, s_stride, q, q_stride, 4, k, stride, n, head_dim, scale);
    if (n_q == 3)
        sn_score_some_avx512(s, s_stride, q, q_stride, 3, k, stride, n, head_dim, scale);
    else if (n_q == 2)
        sn_score_some_avx512(s, s_stride, q, q_stride, 2, k, stride, n, head_dim, scale);
    else if (n_q == 1)
        sn_score_some_avx512(s, s_stride, q, q_stride, 1, k, stride, n, head_dim, scale);
}

/* 64 dimensions of n_q queries (1 to 4, known where this is inlined) stay in registers over all positions; what is left of
 * head_dim goes 16 at a time. */
__attribute__((always_inline))
static inline void sn_mix_some_avx512(float *y, int y_stride, const float *p, int p_stride, int n_q, const uint16_t *v,
                                      int stride, int n, int head_dim)
{
    int d = 0;

    for (; d + 64 <= head_dim; d += 64) {
        __m512 s[4][4];

        for (int j = 0; j < n_q; j++)
            for (int a = 0; a < 4; a++)
                s[j][a] = _mm512_loadu_ps(y + j * y_stride + d + 16 * a);
        for (int i = 0; i < n; i++) {
            const uint16_t *e = v + (int64_t)i * stride + d;
            __m512 u[4];

            for (int a = 0; a < 4; a++)
                u[a] = _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(e + 16 * a)));
            for (int j = 0; j < n_q; j++) {
                const __m512 w = _mm512_set1_ps(p[j * p_stride + i]);

                for (int a = 0; a < 4; a++)
                    s[j][a] = _mm512_fmadd_ps(w, u[a], s[j][a]);
            }
        }
        for (int j = 0; j < n_q; j++)
            for (int a = 0; a < 4; a++)
                _mm512_storeu_ps(y + j * y_stride + d + 16 * a, s[j][a]);
    }
    for (; d < head_dim; d += 16) {
        const __mmask16 m = head_dim - d >= 16 ? (__mmask16)0xffff : (__mmask16)((1u << (head_dim - d)) - 1);
        __m512 s[4];

        for (int j = 0; j < n_q; j++)
            s[j] = _mm512_maskz_loadu_ps(m, y + j * y_stride + d);
        for (int i = 0; i < n; i++) {
            const __m512 u = _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(m, v + (int64_t)i * stride + d));

            for (int j = 0; j < n_q; j++)
                s[j] = _mm512_fmadd_ps(_mm512_set1_ps(p[j * p_stride + i]), u, s[j]);
        }
        for (int j = 0; j < n_q; j++)
            _mm512_mask_storeu_ps(y + j * y_stride + d, m, s[j]);
    }
}

SN_KERNEL(op=mix4, kv=f16, isa=avx512vnni, features=x86_64_v4, order=positions_fma)
static SN_APART void sn_mix4_f16_avx512vnni(float *y, int y_stride, const float *p, int p_stride, int n_q, const uint16_t *v,
                                            int stride, int n, int head_dim)
{
    for (; n_q >= 4; n_q -= 4, y += 4 * y_stride, p += 4 * p_stride)
        sn_mix_some_avx512(y, y_stride, p, p_stride, 4, v, stride, n, head_dim);
    if (n_q == 3)
        sn_mix_some_avx512(y, y_stride, p, p_stride, 3, v, stride, n, head_dim);
    else if (n_q == 2)
        sn_mix_some_avx512(y, y_stride, p, p_stride, 2, v, stride, n, head_dim);
    else if (n_q == 1)
        sn_mix_some_avx512(y, y_stride, p, p_stride, 1, v, stride, n, head_dim);
}

/* 16 times portable/scalar.c's sn_exp, step by step, so with the same bits: one rounding where 2^n is multiplied in, there
 * as here.  A NaN passes both bounds, because a comparison with it takes the second operand. */
static inline __m512 sn_exp_avx512(__m512 x)
{
    __m512 n, r, p;

    x = _mm512_max_ps(_mm512_set1_ps(-104.0f), x);
    x = _mm512_min_ps(_mm512_set1_ps(89.0f), x);
    n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    r = _mm512_sub_ps(x, _mm512_mul_ps(n, _mm512_set1_ps(0.693145752f)));
    r = _mm512_sub_ps(r, _mm512_mul_ps(n, _mm512_set1_ps(1.42860677e-6f)));
    p = _mm512_add_ps(_mm512_mul_ps(r, _mm512_set1_ps(0.00138145965f)), _mm512_set1_ps(0.00836871751f));
    p = _mm512_add_ps(_mm512_mul_ps(p, r), _mm512_set1_ps(0.041668389f));
    p = _mm512_add_ps(_mm512_mul_ps(p, r), _mm512_set1_ps(0.166665211f));
    p = _mm512_add_ps(_mm512_mul_ps(p, r), _mm512_set1_ps(0.49999994f));
    p = _mm512_add_ps(_mm512_add_ps(_mm512_mul_ps(p, _mm512_mul_ps(r, r)), r), _mm512_set1_ps(1.0f));
    return _mm512_scalef_ps(p, n);
}

/* s[i] = e^(s[i] - max); returns their sum, added in 16 interleaved sums, then halves to halves. */
SN_KERNEL(op=exp_sum, x=f32, isa=avx512vnni, features=x86_64_v4, order=lanes16)
static SN_APART float sn_exp_sum_avx512vnni(float *s, int n, float max)
{
    const __m512 from = _mm512_set1_ps(max);
    __m512 sum = _mm512_setzero_ps();
    __m256 eight;
    __m128 four;
    int i = 0;

    for (; i + 16 <= n; i += 16) {
        const __m512 e = sn_exp_avx512(_mm512_sub_ps(_mm512_loadu_ps(s + i), from));

        _mm512_storeu_ps(s + i, e);
        sum = _mm512_add_ps(sum, e);
    }
    if (i < n) {
        const __mmask16 m = (__mmask16)((1u << (n - i)) - 1);
        const __m512 e = sn_exp_avx512(_mm512_sub_ps(_mm512_maskz_loadu_ps(m, s + i), from));

        _mm512_mask_storeu_ps(s + i, m, e);
        sum = _mm512_mask_add_ps(sum, m, sum, e);
    }
    eight = _mm256_add_ps(_mm512_castps512_ps256(sum), _mm512_extractf32x8_ps(sum, 1));
    four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    four = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(four, _mm_movehdup_ps(four)));
}

/* The largest of n values; -infinity of none. */
SN_KERNEL(op=max, x=f32, isa=avx512vnni, features=x86_64_v4, order=exact)
static SN_APART float sn_max_avx512vnni(const float *s, int n)
{
    __m512 a = _mm512_set1_ps(-__builtin_inff());
    __m512 b = a;
    int i = 0;

    for (; i + 32 <= n; i += 32) {
        a = _mm512_max_ps(_mm512_loadu_ps(s + i), a);
        b = _mm512_max_ps(_mm512_loadu_ps(s + i + 16), b);
    }
    if (i + 16 <= n) {
        a = _mm512_max_ps(_mm512_loadu_ps(s + i), a);
        i += 16;
    }
    if (i < n) {
        const __mmask16 m = (__mmask16)((1u << (n - i)) - 1);

        b = _mm512_mask_max_ps(b, m, _mm512_maskz_loadu_ps(m, s + i), b);
    }
    return _mm512_reduce_max_ps(_mm512_max_ps(a, b));
}

/* y[i] = x[i] / (1 + e^-x[i]), with the bits of portable/scalar.c's sn_silu.  Fewer instructions than a compiler makes of that
 * one: bounds without masks, and 2^n in one multiplication. */
SN_KERNEL(op=silu, x=f32, isa=avx512vnni, features=x86_64_v4, order=exact)
static inline void sn_silu_avx512vnni(float *y, const float *x, int n)
{
    const __m512 one = _mm512_set1_ps(1.0f);
    const __m512 sign = _mm512_set1_ps(-0.0f);

    for (int i = 0; i < n; i += 16) {
        const __mmask16 m = n - i >= 16 ? (__mmask16)0xffff : (__mmask16)((1u << (n - i)) - 1);
        const __m512 v = _mm512_maskz_loadu_ps(m, x + i);

        _mm512_mask_storeu_ps(y + i, m, _mm512_div_ps(v, _mm512_add_ps(one, sn_exp_avx512(_mm512_xor_ps(v, sign)))));
    }
}

/* The same for sn_gelu_tanh. */
SN_KERNEL(op=gelu_tanh, x=f32, isa=avx512vnni, features=x86_64_v4, order=exact)
static inline void sn_gelu_tanh_avx512vnni(float *y, const float *x, int n)
{
    const __m512 one = _mm512_set1_ps(1.0f);

    for (int i = 0; i < n; i += 16) {
        const __mmask16 m = n - i >= 16 ? (__mmask16)0xffff : (__mmask16)((1u << (n - i)) - 1);
        const __m512 v = _mm512_maskz_loadu_ps(m, x + i);
        const __m512 cube = _mm512_mul_ps(_mm512_mul_ps(_mm512_mul_ps(_mm512_set1_ps(0.044715f), v), v), v);
        const __m512 u = _mm512_mul_ps(_mm512_set1_ps(-1.59576912f), _mm512_add_ps(v, cube));

        _mm512_mask_storeu_ps(y + i, m, _mm512_div_ps(v, _mm512_add_ps(one, sn_exp_avx512(u))));
    }
}

/* portable/row.c's quantization, 16 numbers at a time.  Rounding is half to even there too. */
SN_KERNEL(op=quant, x=f32, isa=avx512vnni, features=x86_64_v4, order=exact)
static inline void sn_quant_q8_avx512vnni(SnQ8 *y, const float *x)
{
    const __m512i positive = _mm512_set1_epi32(0x7fffffff);
    const __m512 a = _mm512_loadu_ps(x);
    const __m512 b = _mm512_loadu_ps(x + 16);
    const __m512i bits = _mm512_max_epi32(_mm512_and_si512(_mm512_castps_si512(a), positive),
                                          _mm512_and_si512(_mm512_castps_si512(b), positive));
    const float max = sn_float((uint32_t)_mm512_reduce_max_epi32(bits));
    const __m512 inverse = _mm512_set1_ps(max > 1e-30f ? 127.0f / max : 0.0f);
    const __m512 round = _mm512_set1_ps(12582912.0f);                   /* 1.5 * 2^23: the integer is in the low bits */
    const __m512i u = _mm512_castps_si512(_mm512_add_ps(_mm512_mul_ps(a, inverse), round));
    const __m512i v = _mm512_castps_si512(_mm512_add_ps(_mm512_mul_ps(b, inverse), round));
    const __m256i q = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm512_cvtepi32_epi8(u)), _mm512_cvtepi32_epi8(v), 1);
    const __m256i eights = _mm256_sad_epu8(_mm256_xor_si256(q, _mm256_set1_epi8(-128)), _mm256_setzero_si256());   /* + 8 * 128 */
    const __m128i fours = _mm_add_epi32(_mm256_castsi256_si128(eights), _mm256_extracti128_si256(eights, 1));
    const __m128i sum = _mm_sub_epi32(_mm_add_epi32(fours, _mm_unpackhi_epi64(fours, fours)), _mm_cvtsi32_si128(32 * 128));

    _mm256_storeu_si256((__m256i *)(void *)y->q, q);
    y->d = max / 127.0f;
    y->sum = _mm_cvtsi128_si32(sum);
    y->ds = y->d * _mm_cvtss_f32(_mm_cvtepi32_ps(sum));
}
