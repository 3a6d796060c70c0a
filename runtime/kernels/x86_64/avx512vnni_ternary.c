/* Ternary weights with AVX-512 VNNI.  Layouts are drawn in portable/ternary.c, lanes and helpers are avx512vnni.c's.
 *
 * Two bits: one token multiplies the fields where they lie (masks 3, 12, 48, 192, four sums, shifted once per group); four tokens
 * shift the weights first, because sums for them would not fit into the registers.
 *
 * Base 3: no digit is ever cut out.  3 q = 256 d + q' and q' = 3 q mod 256, which is two additions of bytes, so
 *
 *     256 sum(d x) = 3 sum(q x) - sum(q' x)
 *
 * and each of the two sums is a product of bytes: 2 vpaddb and 2 vpdpbusd for 64 weights. */
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

            s[f] = sn_dpbusd_avx512(s[f], _mm512_and_si512(u, mask), sn_four_avx512(x->q + 4 * f));
            s[f] = sn_dpbusd_avx512(s[f], _mm512_and_si512(v, mask), sn_four_avx512(x->q + 16 + 4 * f));
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
                                            16 * i + 4 * k, tokens);
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

/* The next quad of rows 0..15 (a) and 16..31 (b): s += q x, n += q' x, and a, b become q'.  s[2 t + h] as in avx512vnni.c. */
__attribute__((always_inline))
static inline void sn_add_digit_avx512(__m512i *s, __m512i *n, __m512i *a, __m512i *b, const SnQ8 *x, int x_stride, int q,
                                       int tokens)
{
    const __m512i a3 = _mm512_add_epi8(*a, _mm512_add_epi8(*a, *a));
    const __m512i b3 = _mm512_add_epi8(*b, _mm512_add_epi8(*b, *b));

    for (int t = 0; t < tokens; t++) {
        const __m512i v = sn_four_avx512(x[t * x_stride].q + q);

        s[2 * t] = sn_dpbusd_avx512(s[2 * t], *a, v);
        s[2 * t + 1] = sn_dpbusd_avx512(s[2 * t + 1], *b, v);
        n[2 * t] = sn_dpbusd_avx512(n[2 * t], a3, v);
        n[2 * t + 1] = sn_dpbusd_avx512(n[2 * t + 1], b3, v);
    }
    *a = a3;
    *b = b3;
}

__attribute__((always_inline))
static inline void sn_start_t5_avx512(__m512i *s, __m512i *n, int tokens)
{
    for (int i = 0; i < 2 * tokens; i++)
        s[i] = n[i] = _mm512_setzero_si512();
}

/* What 16 rows' sums stand for: (3 s - n) / 256, without remainder, less what the digits' 1 contributes. */
static inline __m512 sn_sum_t5_avx512(__m512i s, __m512i n, __m512i sum)
{
    const __m512i u = _mm512_sub_epi32(_mm512_add_epi32(s, _mm512_add_epi32(s, s)), n);

    return _mm512_cvtepi32_ps(_mm512_sub_epi32(_mm512_srai_epi32(u, 8), sum));
}

/* A group ends: the sums times the scales, added to acc. */
__attribute__((always_inline))
static inline void sn_end_t5_avx512(float *acc, const __m512i *s, const __m512i *n, const uint8_t *scales, const SnQ8 *x,
                                    int x_stride, int tokens)
{
    for (int t = 0; t < tokens; t++) {
        const __m512i sum = _mm512_set1_epi32(x[t * x_stride].sum);
        const __m512 v = _mm512_set1_ps(x[t * x_stride].d);

        for (int h = 0; h < 2; h++) {
            float *out = acc + 32 * t + 16 * h;

            _mm512_storeu_ps(out, _mm512_fmadd_ps(sn_sum_t5_avx512(s[2 * t + h], n[2 * t + h], sum),
                                                  _mm512_mul_ps(sn_halves_avx512(scales + 32 * h), v), _mm512_loadu_ps(out)));
        }
    }
}

__attribute__((always_inline))
static inline void sn_dots_t5g256_q8_avx512(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                            const uint8_t *next, int tokens)
{
    for (int i = 0; i < 32 * tokens; i += 16)
        _mm512_storeu_ps(acc + i, _mm512_setzero_ps());
    for (int b = 0; b < n_in / SN_TERNARY_COLUMNS; b++, w += SN_T5_BLOCK) {
        __m512i y0 = _mm512_loadu_si512(w);
        __m512i y1 = _mm512_loadu_si512(w + 64);

        if (next) {
            sn_prefetch(next, 128);
            next += 128;
        }
        for (int p = 0; p < 4; p++, x += 2) {
            const uint8_t *pair = w + 128 + 384 * p;
            __m512i s[8], n[8], a, c;

            if (next) {
                sn_prefetch(next, 384);
                next += 384;
            }
            sn_start_t5_avx512(s, n, tokens);
            a = _mm512_loadu_si512(pair);
            c = _mm512_loadu_si512(pair + 192);
            for (int k = 0; k < 5; k++)
                sn_add_digit_avx512(s, n, &a, &c, x, x_stride, 4 * k, tokens);
            a = _mm512_loadu_si512(pair + 64);
            c = _mm512_loadu_si512(pair + 192 + 64);
            for (int k = 5; k < 8; k++)
                sn_add_digit_avx512(s, n, &a, &c, x, x_stride, 4 * k, tokens);
            sn_end_t5_avx512(acc, s, n, w + 1664, x, x_stride, tokens);
            sn_start_t5_avx512(s, n, tokens);
            for (int k = 0; k < 2; k++)
                sn_add_digit_avx512(s, n, &a, &c, x + 1, x_stride, 4 * k, tokens);
            a = _mm512_loadu_si512(pair + 128);
            c = _mm512_loadu_si512(pair + 192 + 128);
            for (int k = 2; k < 7; k++)
                sn_add_digit_avx512(s, n, &a, &c, x + 1, x_stride, 4 * k, tokens);
            sn_add_digit_avx512(s, n, &y0, &y1, x + 1, x_stride, 28, tokens);
            sn_end_t5_avx512(acc, s, n, w + 1664, x + 1, x_stride, tokens);
        }
        if (next) {
            sn_prefetch(next, 64);
            next += 64;
        }
    }
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
