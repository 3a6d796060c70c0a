/* Ternary weights with AVX-512 VNNI.  Layouts are drawn in portable/ternary.c, lanes and helpers are avx512vnni.c's.
 *
 * Two bits: one token multiplies the fields where they lie (masks 3, 12, 48, 192, four sums, shifted once per group); four tokens
 * shift the weights first, because sums for them would not fit into the registers.
 *
 * Base 3, one token: no digit is cut out.  3 q = 256 d + q' and q' = 3 q mod 256, which is two additions of bytes, so
 *
 *     256 sum(d x) = 3 sum(q x) - sum(q' x)
 *
 * and each of the two sums is a product of bytes: 2 vpaddb and 2 vpdpbusd for 64 weights.  For four tokens the digits are cut
 * out after all (two comparisons), which halves the products. */
#include <immintrin.h>
#include "../kernel.h"

/* One group of 32 columns x 32 rows of 2-bit codes, code - 1, one token. */
__attribute__((always_inline))
static inline void sn_sum_i2_avx512(__m512i *sum, const uint8_t *w, const SnQ8 *x)
{
    const __m512i center = _mm512_set1_epi32(-x->sum);

    for (int h = 0; h < 2; h++) {
        const __m512i u = _mm512_loadu_si512(w + 128 * h);
        const __m512i v = _mm512_loadu_si512(w + 128 * h + 64);
        __m512i s[4] = { center, _mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512() };

        for (int f = 0; f < 4; f++) {
            const __m512i mask = _mm512_set1_epi8((char)(3 << 2 * f));

            s[f] = sn_dpbusd_avx512(s[f], _mm512_and_si512(u, mask), sn_four_avx512(x->q + 8 * f));
            s[f] = sn_dpbusd_avx512(s[f], _mm512_and_si512(v, mask), sn_four_avx512(x->q + 8 * f + 4));
        }
        sum[h] = _mm512_add_epi32(_mm512_add_epi32(s[0], _mm512_srai_epi32(s[1], 2)),
                                  _mm512_add_epi32(_mm512_srai_epi32(s[2], 4), _mm512_srai_epi32(s[3], 6)));
    }
}

__attribute__((always_inline))
static inline void sn_dots_i2g256_q8_avx512(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                            const uint8_t *next, int tokens)
{
    const __m512i low = _mm512_set1_epi8(3);
    __m512 f[8];

    sn_clear_avx512(f, 2 * tokens);
    for (int b = 0; b < n_in / SN_TERNARY_COLUMNS; b++, w += SN_I2_BLOCK) {
        for (int g = 0; g < 8; g++, x++) {
            const uint8_t *codes = w + 256 * g;
            __m512i s[8];

            if (next) {
                sn_prefetch(next, 256);
                next += 256;
            }
            if (tokens == 1) {
                sn_sum_i2_avx512(s, codes, x);
            } else {
                sn_start_avx512(s, x, x_stride, 1, tokens);
                for (int i = 0; i < 2; i++) {
                    __m512i u = _mm512_loadu_si512(codes + 64 * i);
                    __m512i v = _mm512_loadu_si512(codes + 64 * i + 128);

                    for (int k = 0; k < 4; k++) {
                        sn_add_codes_avx512(s, _mm512_and_si512(u, low), _mm512_and_si512(v, low), x, x_stride,
                                            4 * i + 8 * k, tokens);
                        u = _mm512_srli_epi16(u, 2);
                        v = _mm512_srli_epi16(v, 2);
                    }
                }
            }
            sn_scale_avx512(f, s, w + 2048, x, x_stride, tokens);
        }
        if (next) {
            sn_prefetch(next, 64);
            next += 64;
        }
    }
    sn_store_sums_avx512(acc, f, tokens);
}

/* The sums of a group.  Four tokens: s[2 t + h] as in avx512vnni.c, less the digits' 1 from the start.  One token: s[2 (k % 2) + h]
 * is sum(q x) over quads k, s[4 + 2 (k % 2) + h] sum(q' x): eight chains, since one vpdpbusd waits five cycles for another. */
__attribute__((always_inline))
static inline void sn_start_t5_avx512(__m512i *s, const SnQ8 *x, int x_stride, int tokens)
{
    if (tokens > 1)
        sn_start_avx512(s, x, x_stride, 1, tokens);
    else
        for (int i = 0; i < 8; i++)
            s[i] = _mm512_setzero_si512();
}

/* The first digits of 64 bytes. */
static inline __m512i sn_digits_avx512(__m512i q)
{
    const __m512i one = _mm512_set1_epi8(1);
    const __m512i d = _mm512_maskz_mov_epi8(_mm512_cmpgt_epu8_mask(q, _mm512_set1_epi8(85)), one);

    return _mm512_mask_add_epi8(d, _mm512_cmpgt_epu8_mask(q, _mm512_set1_epi8((char)170)), d, one);
}

/* Quad k of a group, the first digit of a (rows 0..15) and b (16..31), added to s; then a, b hold the digits that follow. */
__attribute__((always_inline))
static inline void sn_add_quad_avx512(__m512i *s, __m512i *a, __m512i *b, const SnQ8 *x, int x_stride, int k, int tokens)
{
    const __m512i a3 = _mm512_add_epi8(*a, _mm512_add_epi8(*a, *a));
    const __m512i b3 = _mm512_add_epi8(*b, _mm512_add_epi8(*b, *b));

    if (tokens > 1) {
        sn_add_codes_avx512(s, sn_digits_avx512(*a), sn_digits_avx512(*b), x, x_stride, 4 * k, tokens);
    } else {
        sn_add_codes_avx512(s + k % 2 * 2, *a, *b, x, 0, 4 * k, 1);
        sn_add_codes_avx512(s + k % 2 * 2 + 4, a3, b3, x, 0, 4 * k, 1);
    }
    *a = a3;
    *b = b3;
}

/* The group's sums go to f. */
__attribute__((always_inline))
static inline void sn_end_t5_avx512(__m512 *f, __m512i *s, const uint8_t *scales, const SnQ8 *x, int x_stride, int tokens)
{
    for (int h = 0; h < 2 && tokens == 1; h++) {        /* 3 s - s' is a multiple of 256 */
        const __m512i q = _mm512_add_epi32(s[h], s[2 + h]);
        const __m512i u = _mm512_sub_epi32(_mm512_add_epi32(q, _mm512_add_epi32(q, q)), _mm512_add_epi32(s[4 + h], s[6 + h]));

        s[h] = _mm512_sub_epi32(_mm512_srai_epi32(u, 8), _mm512_set1_epi32(x->sum));
    }
    sn_scale_avx512(f, s, scales, x, x_stride, tokens);
}

__attribute__((always_inline))
static inline void sn_dots_t5g256_q8_avx512(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                            const uint8_t *next, int tokens)
{
    __m512 f[8];

    sn_clear_avx512(f, 2 * tokens);
    for (int b = 0; b < n_in / SN_TERNARY_COLUMNS; b++, w += SN_T5_BLOCK) {
        __m512i y = _mm512_loadu_si512(w);              /* a digit of it for each pair of groups */
        __m512i z = _mm512_loadu_si512(w + 64);

        if (next) {
            sn_prefetch(next, 128);
            next += 128;
        }
        for (int p = 0; p < 4; p++, x += 2) {
            const uint8_t *pair = w + 128 + 384 * p;
            __m512i s[8], u, v;

            if (next) {
                sn_prefetch(next, 384);
                next += 384;
            }
            sn_start_t5_avx512(s, x, x_stride, tokens);
            u = _mm512_loadu_si512(pair);
            v = _mm512_loadu_si512(pair + 192);
            for (int k = 0; k < 5; k++)
                sn_add_quad_avx512(s, &u, &v, x, x_stride, k, tokens);
            u = _mm512_loadu_si512(pair + 64);
            v = _mm512_loadu_si512(pair + 192 + 64);
            for (int k = 5; k < 8; k++)
                sn_add_quad_avx512(s, &u, &v, x, x_stride, k, tokens);
            sn_end_t5_avx512(f, s, w + 1664, x, x_stride, tokens);

            sn_start_t5_avx512(s, x + 1, x_stride, tokens);
            for (int k = 0; k < 2; k++)
                sn_add_quad_avx512(s, &u, &v, x + 1, x_stride, k, tokens);
            u = _mm512_loadu_si512(pair + 128);
            v = _mm512_loadu_si512(pair + 192 + 128);
            for (int k = 2; k < 7; k++)
                sn_add_quad_avx512(s, &u, &v, x + 1, x_stride, k, tokens);
            sn_add_quad_avx512(s, &y, &z, x + 1, x_stride, 7, tokens);
            sn_end_t5_avx512(f, s, w + 1664, x + 1, x_stride, tokens);
        }
        if (next) {
            sn_prefetch(next, 64);
            next += 64;
        }
    }
    sn_store_sums_avx512(acc, f, tokens);
}

/* ---- the kernels ------------------------------------------------------------------------------------------------ */

SN_KERNEL(op=dot, layout=i2g256_r32k4, x=q8, tile=32x4, isa=avx512vnni, features=x86_64_v4+avx512vnni, order=groups_fma)
static inline void sn_dot4_i2g256_r32k4_q8_avx512vnni(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride,
                                                      int n_in, const uint8_t *next)
{
    sn_dots_i2g256_q8_avx512(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=i2g256_r32k4, x=q8, tile=32x1, isa=avx512vnni, features=x86_64_v4+avx512vnni, order=groups_fma)
static inline void sn_dot_i2g256_r32k4_q8_avx512vnni(float acc[32], const uint8_t *w, const SnQ8 *x, int n_in,
                                                     const uint8_t *next)
{
    sn_dots_i2g256_q8_avx512(acc, w, x, 0, n_in, next, 1);
}

SN_KERNEL(op=dot, layout=t5g256_r32k4, x=q8, tile=32x4, isa=avx512vnni, features=x86_64_v4+avx512vnni, order=groups_fma)
static inline void sn_dot4_t5g256_r32k4_q8_avx512vnni(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride,
                                                      int n_in, const uint8_t *next)
{
    sn_dots_t5g256_q8_avx512(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=t5g256_r32k4, x=q8, tile=32x1, isa=avx512vnni, features=x86_64_v4+avx512vnni, order=groups_fma)
static inline void sn_dot_t5g256_r32k4_q8_avx512vnni(float acc[32], const uint8_t *w, const SnQ8 *x, int n_in,
                                                     const uint8_t *next)
{
    sn_dots_t5g256_q8_avx512(acc, w, x, 0, n_in, next, 1);
}
