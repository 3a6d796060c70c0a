/* AVX-512 with VNNI, a head in two parts: the layout of portable/dot_split.c.
 *
 * The four pieces of a code are shifted to their place in each byte and put together by vpternlog, which takes each bit from one
 * of two vectors; from there on all is as for i8g32_r32k4, in the same order. */
#include <immintrin.h>
#include "../kernel.h"

/* The bits of a where mask is set, those of b elsewhere. */
static inline __m512i sn_select_avx512(__m512i mask, __m512i a, __m512i b)
{
    return _mm512_ternarylogic_epi32(mask, a, b, 0xca);
}

/* Codes of the rows 16h.., columns 4i.., one in a byte. */
__attribute__((always_inline))
static inline __m512i sn_whole_avx512(const uint8_t *high, const uint8_t *low, int h, int i)
{
    const __m512i n = _mm512_loadu_si512(high + 256 * h + 64 * (i % 4));
    const __m512i p = _mm512_loadu_si512(high + 512 + 64 * h);
    const __m512i q = _mm512_loadu_si512(low + 128 * h + 64 * (i % 2));
    const __m512i z = _mm512_loadu_si512(low + 256 + 64 * h);
    __m512i v = i < 2 ? _mm512_slli_epi16(z, 2 - i) : _mm512_srli_epi16(z, i - 2);                  /* bit 2 */

    v = sn_select_avx512(_mm512_set1_epi8(0x03), _mm512_srli_epi16(q, i / 2 * 2), v);               /* bits 0 and 1 */
    v = sn_select_avx512(_mm512_set1_epi8(0x78), i < 4 ? _mm512_slli_epi16(n, 3) : _mm512_srli_epi16(n, 1), v);
    return sn_select_avx512(_mm512_set1_epi8((char)0x80), _mm512_slli_epi16(p, 7 - i), v);
}

/* The same pointer, known only once s is: codes are not put together before those in front of them are used. */
__attribute__((always_inline))
static inline const uint8_t *sn_after_avx512(const uint8_t *w, __m512 s)
{
    __asm__("" : "+r"(w) : "v"(s));
    return w;
}

/* The sums of all tokens from acc and back: 16 registers are free for a block's own, and its codes. */
__attribute__((always_inline))
static inline void sn_load_sums_avx512(__m512 *f, const float *acc, int tokens)
{
    for (int t = 0; t < tokens; t++) {
        f[2 * t] = _mm512_loadu_ps(acc + 32 * t);
        f[2 * t + 1] = _mm512_loadu_ps(acc + 32 * t + 16);
    }
}

__attribute__((always_inline))
static inline void sn_dots_i53g32_q8_avx512(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                            const uint8_t *next, int tokens)
{
    const int n = n_in / SN_GROUP;
    const uint8_t *low = w + n * SN_I53_HIGH + SN_I53_BOUNDS;
    __m512 f[8];

    sn_clear_avx512(f, 2 * tokens);
    sn_store_sums_avx512(acc, f, tokens);
    for (int b = 0; b < n; b++, w += SN_I53_HIGH, low += SN_I53_LOW) {
        __m512i s[8];

        sn_ask_i53(w, low, b, n, next);
        sn_start_avx512(s, x + b, x_stride, 128, tokens);
        #pragma GCC unroll 8
        for (int i = 0; i < 8; i++, w = sn_same_bytes(w), low = sn_same_bytes(low))
            sn_add_codes_avx512(s, sn_whole_avx512(w, low, 0, i), sn_whole_avx512(w, low, 1, i), x + b, x_stride, 4 * i,
                                tokens);
        sn_load_sums_avx512(f, acc, tokens);
        sn_scale_avx512(f, s, w + 640, x + b, x_stride, tokens);
        sn_store_sums_avx512(acc, f, tokens);
    }
}

__attribute__((always_inline))
static inline void sn_dots_i53g32_f32_avx512(float *acc, const uint8_t *w, const float *x, int x_stride, int n_in,
                                             const uint8_t *next, int tokens)
{
    const int n = n_in / SN_GROUP;
    const uint8_t *low = w + n * SN_I53_HIGH + SN_I53_BOUNDS;
    const __m512i byte = _mm512_set1_epi32(0xff);
    const __m512 middle = _mm512_set1_ps(-128.0f);
    __m512 f[8];

    sn_clear_avx512(f, 2 * tokens);
    sn_store_sums_avx512(acc, f, tokens);
    for (int b = 0; b < n; b++, w += SN_I53_HIGH, low += SN_I53_LOW) {
        const __m512 d[2] = { sn_halves_avx512(w + 640), sn_halves_avx512(w + 672) };
        const __m512 o[2] = { _mm512_mul_ps(d[0], middle), _mm512_mul_ps(d[1], middle) };
        __m512 s[8];

        sn_ask_i53(w, low, b, n, next);
        sn_clear_avx512(s, 2 * tokens);
        #pragma GCC unroll 8
        for (int i = 0; i < 8; i++, w = sn_after_avx512(w, s[0]), low = sn_after_avx512(low, s[0]))
            sn_add_four_avx512(s, sn_whole_avx512(w, low, 0, i), sn_whole_avx512(w, low, 1, i), byte, d, o,
                               x + SN_GROUP * b + 4 * i, x_stride, tokens);
        __asm__("" : "+r"(acc) : "v"(s[0]));
        sn_load_sums_avx512(f, acc, tokens);
        sn_add_group_avx512(f, s, tokens);
        sn_store_sums_avx512(acc, f, tokens);
    }
}

SN_KERNEL(op=dot, layout=i53g32_r32k4, x=q8, tile=32x4, isa=avx512vnni, features=x86_64_v4+avx512vnni, order=groups_fma)
static SN_APART void sn_dot4_i53g32_r32k4_q8_avx512vnni(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride,
                                                        int n_in, const uint8_t *next)
{
    sn_dots_i53g32_q8_avx512(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=i53g32_r32k4, x=q8, tile=32x1, isa=avx512vnni, features=x86_64_v4+avx512vnni, order=groups_fma)
static SN_APART void sn_dot_i53g32_r32k4_q8_avx512vnni(float acc[32], const uint8_t *w, const SnQ8 *x, int n_in,
                                                       const uint8_t *next)
{
    sn_dots_i53g32_q8_avx512(acc, w, x, 0, n_in, next, 1);
}

SN_KERNEL(op=dot, layout=i53g32_r32k4, x=f32, tile=32x4, isa=avx512vnni, features=x86_64_v4+avx512vnni, order=groups_fma)
static SN_APART void sn_dot4_i53g32_r32k4_f32_avx512vnni(float acc[4 * 32], const uint8_t *w, const float *x, int x_stride,
                                                         int n_in, const uint8_t *next)
{
    sn_dots_i53g32_f32_avx512(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=i53g32_r32k4, x=f32, tile=32x1, isa=avx512vnni, features=x86_64_v4+avx512vnni, order=groups_fma)
static SN_APART void sn_dot_i53g32_r32k4_f32_avx512vnni(float acc[32], const uint8_t *w, const float *x, int n_in,
                                                        const uint8_t *next)
{
    sn_dots_i53g32_f32_avx512(acc, w, x, 0, n_in, next, 1);
}

/* ---- bound ------------------------------------------------------------------------------------------------------ */

/* f += the integer sums times half the activations' and the weights' scales. */
static inline __m512 sn_add_half_avx512(__m512 f, __m512i s, const uint8_t *scales, float d)
{
    return _mm512_fmadd_ps(_mm512_cvtepi32_ps(s), _mm512_mul_ps(sn_halves_avx512(scales), _mm512_set1_ps(0.5f * d)), f);
}

/* The rows 16h.. whose bound is not below the floor. */
static inline __mmask16 sn_reach_avx512(__m512 f, const uint8_t *bounds, int h, const SnBest *best, int g)
{
    const __m512 r = _mm512_mul_ps(sn_halves_avx512(bounds + 32 * h), _mm512_set1_ps(best->left[g]));
    const __m512 e = _mm512_fmadd_ps(sn_halves_avx512(bounds + 64 + 32 * h), _mm512_set1_ps(best->slack), r);

    f = _mm512_add_ps(_mm512_add_ps(f, e), _mm512_set1_ps(1e-30f));
    return _mm512_cmp_ps_mask(f, _mm512_set1_ps(best->floor), _CMP_NLT_UQ);
}

/* What the low bits of rows 16h.. of a group sum up to: 2 low - 7 times the activations. */
static inline __m512i sn_sum_low_avx512(const uint8_t *low, int h, const SnQ8 *x)
{
    const __m512i z = _mm512_loadu_si512(low + 256 + 64 * h);
    __m512i s = _mm512_setzero_si512();

    #pragma GCC unroll 8
    for (int i = 0; i < 8; i++) {
        const __m512i q = _mm512_loadu_si512(low + 128 * h + 64 * (i % 2));
        __m512i v = i < 2 ? _mm512_slli_epi16(z, 2 - i) : _mm512_srli_epi16(z, i - 2);

        v = sn_select_avx512(_mm512_set1_epi8(0x03), _mm512_srli_epi16(q, i / 2 * 2), v);
        s = _mm512_dpbusd_epi32(s, _mm512_and_si512(v, _mm512_set1_epi8(0x07)), sn_four_avx512(x->q + 4 * i));
    }
    return _mm512_sub_epi32(_mm512_slli_epi32(s, 1), _mm512_set1_epi32(7 * x->sum));
}

SN_KERNEL(op=bound, layout=i53g32_r32k4, x=q8, tile=32x1, isa=avx512vnni, features=x86_64_v4+avx512vnni, order=bound)
static SN_APART int sn_bound_i53g32_r32k4_q8_avx512vnni(SnBest *best, const uint8_t *w, const SnQ8 *x, int n_in,
                                                        const uint8_t *next)
{
    const int n = n_in / SN_GROUP;
    const uint8_t *bounds = w + n * SN_I53_HIGH;
    __m512 f0 = _mm512_setzero_ps();
    __m512 f1 = _mm512_setzero_ps();

    if (best->floor == -__builtin_inff())
        return 1;
    sn_best_ask(best, bounds);
    for (int b = 0; b < n; b++) {
        const uint8_t *high = w + b * SN_I53_HIGH;
        const uint8_t *ahead = sn_ahead_i53(high, b, n, next);
        const __m512i middle = _mm512_set1_epi32(7 * x[b].sum);
        __m512i s[2];

        sn_start_avx512(s, x + b, 0, 16, 1);
        sn_add_block_i5_avx512(s, high, ahead, x + b, 0, 1);
        sn_ask(ahead + 640);
        f0 = sn_add_half_avx512(f0, _mm512_add_epi32(_mm512_slli_epi32(s[0], 4), middle), high + 640, x[b].d);
        f1 = sn_add_half_avx512(f1, _mm512_add_epi32(_mm512_slli_epi32(s[1], 4), middle), high + 672, x[b].d);
    }
    for (int g = 0;; g++) {
        const uint8_t *low;
        const uint8_t *scales;
        const SnQ8 *y;

        if (!sn_reach_avx512(f0, bounds, 0, best, g) && !sn_reach_avx512(f1, bounds, 1, best, g))
            return sn_best_used(best, g, 0);
        if (g == best->n_groups)
            return sn_best_used(best, g, 1);
        low = bounds + SN_I53_BOUNDS + SN_I53_LOW * best->group[g];
        scales = w + SN_I53_HIGH * best->group[g] + 640;
        y = x + best->group[g];
        f0 = sn_add_half_avx512(f0, sn_sum_low_avx512(low, 0, y), scales, y->d);
        f1 = sn_add_half_avx512(f1, sn_sum_low_avx512(low, 1, y), scales + 32, y->d);
    }
}
