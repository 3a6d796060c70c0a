/* AVX2, a head in two parts: the layout of portable/dot_split.c.
 *
 * The four pieces of a code are shifted to their place in each byte, and a block of codes is joined before it is used: with the masks
 * that this takes and the sums there are too few registers for both at once.  From there on all is as for i8g32_r32k4, in the same
 * order. */
#include <immintrin.h>
#include "../kernel.h"

/* The three low bits of row group g, columns 4i.., in the bits 0..2 of each byte. */
__attribute__((always_inline))
static inline __m256i sn_low_avx2(const uint8_t *low, int g, int i)
{
    const __m256i q = sn_codes_avx2(low, g, 128, i % 2);
    const __m256i z = _mm256_loadu_si256((const __m256i *)(const void *)(low + 256 + 32 * g));

    return _mm256_or_si256(_mm256_and_si256(_mm256_srli_epi16(q, i / 2 * 2), _mm256_set1_epi8(0x03)),
                           _mm256_and_si256(i < 2 ? _mm256_slli_epi16(z, 2 - i) : _mm256_srli_epi16(z, i - 2),
                                            _mm256_set1_epi8(0x04)));
}

/* The whole codes of 32 rows x 32 columns, as i8g32_r32k4 has them. */
static SN_APART void sn_join_avx2(uint8_t *codes, const uint8_t *high, const uint8_t *low)
{
    for (int g = 0; g < 4; g++) {
        const __m256i p = _mm256_loadu_si256((const __m256i *)(const void *)(high + 512 + 32 * g));

        #pragma GCC unroll 8
        for (int i = 0; i < 8; i++) {
            const __m256i n = sn_codes_avx2(high, g, 256, i % 4);
            const __m256i v = _mm256_or_si256(_mm256_and_si256(i < 4 ? _mm256_slli_epi16(n, 3) : _mm256_srli_epi16(n, 1),
                                                               _mm256_set1_epi8(0x78)),
                                              _mm256_and_si256(_mm256_slli_epi16(p, 7 - i), _mm256_set1_epi8((char)0x80)));

            _mm256_storeu_si256((__m256i *)(void *)(codes + g / 2 * 512 + 64 * i + g % 2 * 32),
                                _mm256_or_si256(v, sn_low_avx2(low, g, i)));
        }
    }
}

__attribute__((always_inline))
static inline void sn_dots_i53g32_q8_avx2(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                          const uint8_t *next, int tokens)
{
    const uint8_t *low = sn_bounds_i53(w, n_in) + SN_I53_BOUNDS;
    const __m256i ones = _mm256_set1_epi16(1);
    const __m256i middle = _mm256_set1_epi8((char)0x80);
    const int groups = 4 / tokens;
    uint8_t joined[1024];
    const uint8_t *codes = sn_same_bytes(joined);

    sn_clear_avx2(acc, 32 * tokens);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I53_HIGH, low += SN_I53_LOW) {
        sn_ask_i53(w, low, b, n_in / SN_GROUP, next);
        sn_join_avx2(joined, w, low);
        #pragma GCC unroll 1
        for (int g = 0; g < 4; g += groups) {
            const SnQ8 *y = sn_same_avx2(x + b);
            __m256i s[4];

            for (int k = 0; k < 4; k++)
                s[k] = _mm256_setzero_si256();
            for (int i = 0; i < 8; i++)
                for (int k = 0; k < groups; k++) {
                    const __m256i v = _mm256_xor_si256(sn_codes_avx2(codes, g + k, 512, i), middle);    /* code - 128 */
                    const __m256i a = _mm256_abs_epi8(v);

                    for (int t = 0; t < tokens; t++) {
                        const __m256i q = _mm256_sign_epi8(sn_four_avx2(y[t * x_stride].q + 4 * i), v);
                        const __m256i p = _mm256_madd_epi16(_mm256_maddubs_epi16(a, q), ones);

                        s[k * tokens + t] = sn_add32_avx2(s[k * tokens + t], p);
                    }
                }
            for (int k = 0; k < groups; k++)
                for (int t = 0; t < tokens; t++)
                    sn_scale_avx2(acc + 32 * t + 8 * (g + k), s[k * tokens + t], sn_halves_avx2(w + 640 + 16 * (g + k)),
                                  y[t * x_stride].d);
        }
    }
}

__attribute__((always_inline))
static inline void sn_dots_i53g32_f32_avx2(float *acc, const uint8_t *w, const float *x, int x_stride, int n_in,
                                           const uint8_t *next, int tokens)
{
    const uint8_t *low = sn_bounds_i53(w, n_in) + SN_I53_BOUNDS;
    const __m256i byte = _mm256_set1_epi32(0xff);
    uint8_t joined[1024];
    const uint8_t *codes = sn_same_bytes(joined);

    sn_clear_avx2(acc, 32 * tokens);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I53_HIGH, low += SN_I53_LOW) {
        sn_ask_i53(w, low, b, n_in / SN_GROUP, next);
        sn_join_avx2(joined, w, low);
        #pragma GCC unroll 1
        for (int g = 0; g < 4; g++) {
            const __m256 d = sn_halves_avx2(w + 640 + 16 * g);
            const __m256 o = _mm256_mul_ps(d, _mm256_set1_ps(-128.0f));
            __m256 s[4];

            for (int t = 0; t < tokens; t++)
                s[t] = _mm256_setzero_ps();
            for (int i = 0; i < 8; i++)
                sn_add_four_avx2(s, sn_codes_avx2(codes, g, 512, i), byte, d, o, x + SN_GROUP * b + 4 * i, x_stride, tokens);
            sn_add_group_avx2(acc + 8 * g, s, 1, tokens);
        }
    }
}

SN_KERNEL(op=dot, layout=i53g32_r32k4, x=q8, tile=32x4, isa=avx2, features=avx2+fma+f16c, order=groups_fma)
static SN_APART void sn_dot4_i53g32_r32k4_q8_avx2(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                                  const uint8_t *next)
{
    sn_dots_i53g32_q8_avx2(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=i53g32_r32k4, x=q8, tile=32x1, isa=avx2, features=avx2+fma+f16c, order=groups_fma)
static SN_APART void sn_dot_i53g32_r32k4_q8_avx2(float acc[32], const uint8_t *w, const SnQ8 *x, int n_in,
                                                 const uint8_t *next)
{
    sn_dots_i53g32_q8_avx2(acc, w, x, 0, n_in, next, 1);
}

SN_KERNEL(op=dot, layout=i53g32_r32k4, x=f32, tile=32x4, isa=avx2, features=avx2+fma+f16c, order=groups_fma)
static SN_APART void sn_dot4_i53g32_r32k4_f32_avx2(float acc[4 * 32], const uint8_t *w, const float *x, int x_stride,
                                                   int n_in, const uint8_t *next)
{
    sn_dots_i53g32_f32_avx2(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=i53g32_r32k4, x=f32, tile=32x1, isa=avx2, features=avx2+fma+f16c, order=groups_fma)
static SN_APART void sn_dot_i53g32_r32k4_f32_avx2(float acc[32], const uint8_t *w, const float *x, int n_in,
                                                  const uint8_t *next)
{
    sn_dots_i53g32_f32_avx2(acc, w, x, 0, n_in, next, 1);
}

/* ---- bound ------------------------------------------------------------------------------------------------------ */

/* Is there a row whose bound is not below the floor? */
static inline int sn_reach_avx2(const float *f, const uint8_t *bounds, const SnBest *best, int g)
{
    __m256 any = _mm256_setzero_ps();

    for (int k = 0; k < 4; k++) {
        const __m256 r = _mm256_mul_ps(sn_halves_avx2(bounds + 16 * k), _mm256_set1_ps(best->left[g]));
        const __m256 e = _mm256_fmadd_ps(sn_halves_avx2(bounds + 64 + 16 * k), _mm256_set1_ps(best->slack), r);
        const __m256 u = _mm256_add_ps(_mm256_add_ps(_mm256_loadu_ps(f + 8 * k), e), _mm256_set1_ps(1e-30f));

        any = _mm256_or_ps(any, _mm256_cmp_ps(u, _mm256_set1_ps(best->floor), _CMP_NLT_UQ));
    }
    return _mm256_movemask_ps(any) != 0;
}

/* f += what the low bits of a group contribute: 2 low - 7 times the activations.  8 * 2 * 7 * 127 fit in 16 bits. */
static SN_APART void sn_add_low_avx2(float *f, const uint8_t *low, const uint8_t *scales, const SnQ8 *x)
{
    for (int g = 0; g < 4; g++) {
        __m256i s = _mm256_setzero_si256();

        #pragma GCC unroll 8
        for (int i = 0; i < 8; i++)
            s = sn_add16_avx2(s, _mm256_maddubs_epi16(sn_low_avx2(low, g, i), sn_four_avx2(x->q + 4 * i)));
        s = _mm256_madd_epi16(s, _mm256_set1_epi16(2));
        s = _mm256_sub_epi32(s, _mm256_set1_epi32(7 * x->sum));
        sn_scale_avx2(f + 8 * g, s, sn_halves_avx2(scales + 16 * g), 0.5f * x->d);
    }
}

/* Given what the high bits contribute: reads groups of low bits until the tile is ruled out (0), or may not be (1). */
static SN_APART int sn_bound_low_avx2(SnBest *best, float *f, const uint8_t *w, const SnQ8 *x, int n_in)
{
    const uint8_t *bounds = sn_bounds_i53(w, n_in);

    for (int g = 0;; g++) {
        if (!sn_reach_avx2(f, bounds, best, g))
            return sn_best_used(best, g, 0);
        if (g == best->n_groups)
            return sn_best_used(best, g, 1);
        sn_add_low_avx2(f, bounds + SN_I53_BOUNDS + SN_I53_LOW * best->group[g], w + SN_I53_HIGH * best->group[g] + 640,
                        x + best->group[g]);
    }
}

SN_KERNEL(op=bound, layout=i53g32_r32k4, x=q8, tile=32x1, isa=avx2, features=avx2+fma+f16c, order=bound)
static SN_APART int sn_bound_i53g32_r32k4_q8_avx2(SnBest *best, const uint8_t *w, const SnQ8 *x, int n_in,
                                                  const uint8_t *next)
{
    float f[32];

    if (best->floor == -__builtin_inff())
        return 1;
    sn_best_ask(best, sn_bounds_i53(w, n_in));
    sn_clear_avx2(f, 32);
    for (int b = 0; b < n_in / SN_GROUP; b++) {
        const uint8_t *high = w + b * SN_I53_HIGH;
        __m256i s[4];

        sn_ask_lines(sn_ahead_i53(high, b, n_in / SN_GROUP, next), SN_I53_HIGH);
        sn_sum_codes_i5_avx2(s, high, 0, 4, x + b, 0, 1);
        for (int k = 0; k < 4; k++)                         /* 16 (code - 16) + 7 */
            sn_scale_avx2(f + 8 * k, _mm256_sub_epi32(_mm256_slli_epi32(s[k], 4), _mm256_set1_epi32(249 * x[b].sum)),
                          sn_halves_avx2(high + 640 + 16 * k), 0.5f * x[b].d);
    }
    return sn_bound_low_avx2(best, f, w, x, n_in);
}
