/* Softmax for AVX2.
 *
 * Compilers make scalar code of the portable maximum, and partial vectors of the end of a row: here a maximum takes a tenth of
 * the time, exponentials and their sum four fifths (gcc 12) or three fifths (clang 14), 100 numbers on a Zen 5 core.  Several
 * queries for one read of K and V, as avx512vnni_attention.c has them, gain nothing there: conversions run beside the
 * multiply-adds of 256 bits. */
#include <immintrin.h>
#include "../kernel.h"

/* 8 times portable/scalar.c's sn_exp, step by step, so with the same bits.  A NaN passes both bounds, because a comparison
 * with it takes the second operand. */
static inline __m256 sn_exp_avx2(__m256 x)
{
    const __m256 round = _mm256_set1_ps(12582912.0f);                   /* 1.5 * 2^23: the integer is in the low bits */
    const __m256i bias = _mm256_set1_epi32(127);
    __m256 t;
    __m256 n;
    __m256 r;
    __m256 p;
    __m256i k;
    __m256i half;

    x = _mm256_max_ps(_mm256_set1_ps(-104.0f), x);
    x = _mm256_min_ps(_mm256_set1_ps(89.0f), x);
    t = _mm256_add_ps(_mm256_mul_ps(x, _mm256_set1_ps(1.44269504f)), round);
    n = _mm256_sub_ps(t, round);
    k = _mm256_sub_epi32(_mm256_castps_si256(t), _mm256_castps_si256(round));
    half = _mm256_srai_epi32(k, 1);
    r = _mm256_sub_ps(x, _mm256_mul_ps(n, _mm256_set1_ps(0.693145752f)));
    r = _mm256_sub_ps(r, _mm256_mul_ps(n, _mm256_set1_ps(1.42860677e-6f)));
    p = _mm256_add_ps(_mm256_mul_ps(r, _mm256_set1_ps(0.00138145965f)), _mm256_set1_ps(0.00836871751f));
    p = _mm256_add_ps(_mm256_mul_ps(p, r), _mm256_set1_ps(0.041668389f));
    p = _mm256_add_ps(_mm256_mul_ps(p, r), _mm256_set1_ps(0.166665211f));
    p = _mm256_add_ps(_mm256_mul_ps(p, r), _mm256_set1_ps(0.49999994f));
    p = _mm256_add_ps(_mm256_add_ps(_mm256_mul_ps(p, _mm256_mul_ps(r, r)), r), _mm256_set1_ps(1.0f));
    p = _mm256_mul_ps(p, _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, bias), 23)));
    return _mm256_mul_ps(p, _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(_mm256_sub_epi32(k, half), bias), 23)));
}

/* s[0..n-1] -> e^(s - max), n <= 8; zeros behind them in what is returned. */
static inline __m256 sn_exp_some_avx2(float *s, int n, __m256 max)
{
    const __m256i m = sn_lanes_avx2(n);
    const __m256 e = sn_exp_avx2(_mm256_sub_ps(_mm256_maskload_ps(s, m), max));

    _mm256_maskstore_ps(s, m, e);
    return _mm256_and_ps(e, _mm256_castsi256_ps(m));
}

/* s[i] = e^(s[i] - max); returns their sum, added in 16 interleaved sums, then halves to halves. */
SN_KERNEL(op=exp_sum, x=f32, isa=avx2, features=avx2+fma+f16c, order=lanes16)
static SN_APART float sn_exp_sum_avx2(float *s, int n, float max)
{
    const __m256 from = _mm256_set1_ps(max);
    __m256 lo = _mm256_setzero_ps();
    __m256 hi = lo;
    __m128 four;
    int i = 0;

    for (; i + 16 <= n; i += 16) {
        const __m256 a = sn_exp_avx2(_mm256_sub_ps(_mm256_loadu_ps(s + i), from));
        const __m256 b = sn_exp_avx2(_mm256_sub_ps(_mm256_loadu_ps(s + i + 8), from));

        _mm256_storeu_ps(s + i, a);
        _mm256_storeu_ps(s + i + 8, b);
        lo = _mm256_add_ps(lo, a);
        hi = _mm256_add_ps(hi, b);
    }
    if (i < n)
        lo = _mm256_add_ps(lo, sn_exp_some_avx2(s + i, n - i < 8 ? n - i : 8, from));
    if (i + 8 < n)
        hi = _mm256_add_ps(hi, sn_exp_some_avx2(s + i + 8, n - i - 8, from));
    four = sn_fold_avx2(lo, hi);
    four = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(four, _mm_movehdup_ps(four)));
}

/* The largest of n values; -infinity of none. */
SN_KERNEL(op=max, x=f32, isa=avx2, features=avx2+fma+f16c, order=exact)
static SN_APART float sn_max_avx2(const float *s, int n)
{
    __m256 a = _mm256_set1_ps(-__builtin_inff());
    __m256 b = a;
    __m128 four;
    int i = 0;

    for (; i + 16 <= n; i += 16) {
        a = _mm256_max_ps(_mm256_loadu_ps(s + i), a);
        b = _mm256_max_ps(_mm256_loadu_ps(s + i + 8), b);
    }
    if (i + 8 <= n) {
        a = _mm256_max_ps(_mm256_loadu_ps(s + i), a);
        i += 8;
    }
    if (i < n) {
        const __m256i m = sn_lanes_avx2(n - i);

        b = _mm256_blendv_ps(b, _mm256_max_ps(_mm256_maskload_ps(s + i, m), b), _mm256_castsi256_ps(m));
    }
    a = _mm256_max_ps(a, b);
    four = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    four = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(four, _mm_movehdup_ps(four)));
}
