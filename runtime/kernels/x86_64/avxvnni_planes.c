/* AVX-VNNI, codes in two planes and scales of two levels: the layouts of portable/dot_planes.c.
 *
 * The codes are put together as in avx2_planes.c, summed as in avxvnni.c; the results are avx2_planes.c's bit for bit.  Two groups
 * of 16 columns become s0 sum0 + s1 sum1 in floats, exact (below 2^24). */
#include <immintrin.h>
#include "../kernel.h"

/* Row groups g.. of a block of 5-bit codes added to s. */
__attribute__((always_inline))
static inline void sn_add_codes_i5_avxvnni(__m256i *s, const uint8_t *w, int g, int groups, const SnQ8 *x, int x_stride,
                                           int tokens)
{
    for (int i = 0; i < 4; i++)
        for (int up = 0; up < 2; up++) {
            __m256i v[4];

            for (int k = 0; k < groups; k++)
                v[k] = sn_five_avx2(w, g + k, i, up);
            for (int t = 0; t < tokens; t++) {
                const __m256i q = sn_four_avx2(x[t * x_stride].q + 16 * up + 4 * i);

                for (int k = 0; k < groups; k++)
                    s[k * tokens + t] = sn_dpbusd_avxvnni(s[k * tokens + t], v[k], q);
            }
        }
}

__attribute__((always_inline))
static inline void sn_dots_i5g32_q8_avxvnni(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                            const uint8_t *next, int tokens)
{
    const int groups = tokens == 1 ? 2 : 1;

    sn_clear_avx2(acc, 32 * tokens);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I5_BLOCK) {
        sn_ask_lines(sn_ahead(w, next), SN_I5_BLOCK);
        #pragma GCC unroll 1
        for (int g = 0; g < 4; g += groups) {
            const SnQ8 *y = sn_same_avx2(x + b);
            float *out = sn_same_sums_avxvnni(acc + 8 * g);
            __m256i s[8];

            sn_start_avxvnni(s, y, x_stride, 16, groups, tokens);
            sn_add_codes_i5_avxvnni(s, w, g, groups, y, x_stride, tokens);
            for (int k = 0; k < groups; k++)
                for (int t = 0; t < tokens; t++)
                    sn_scale_avx2(out + 32 * t + 8 * k, s[k * tokens + t], sn_halves_avx2(w + 640 + 16 * (g + k)),
                                  y[t * x_stride].d);
        }
    }
}

/* Codes of 4 bits and, if fifth, 5. */
__attribute__((always_inline))
static inline void sn_dots_g32ms_q8_avxvnni(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                            const uint8_t *next, int tokens, int fifth)
{
    const int groups = (tokens == 1 ? 4 : 2) / (1 + fifth);
    const int codes = fifth ? 640 : 512;

    sn_clear_avx2(acc, 32 * tokens);
    for (int b = 0; b < n_in / SN_GROUP; b += SN_SPANS) {
        const uint8_t *ahead = sn_ahead(w, next);
        const uint8_t *head = w;

        sn_ask_lines(ahead, 128);
        w += 128;
        ahead += 128;
        for (int c = b; c < b + SN_SPANS; c++, w += codes + 64, ahead += codes + 64) {
            sn_ask_lines(ahead, codes + 64);
            #pragma GCC unroll 1
            for (int g = 0; g < 4; g += groups) {
                const SnQ8 *y = sn_same_avx2(x + c);
                float *out = sn_same_sums_avxvnni(acc);
                __m256i s[8];

                sn_start_avxvnni(s, y, x_stride, 0, groups, tokens);
                if (fifth)
                    sn_add_codes_i5_avxvnni(s, w, g, groups, y, x_stride, tokens);
                else
                    sn_add_codes_i4_avxvnni(s, w, g, groups, y, x_stride, tokens);
                for (int k = 0; k < groups; k++)
                    sn_scale_ms_avx2(out, s + k * tokens, head, w + codes, g + k, y, x_stride, tokens);
            }
        }
    }
}

/* 32 times the sum of 16 activations, in every lane. */
static inline __m256i sn_sum16_avxvnni(const int8_t *q)
{
    const __m256i v = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)q));
    __m256i s = sn_dpbusd_avxvnni(_mm256_setzero_si256(), _mm256_set1_epi8(32), v);

    s = _mm256_add_epi32(s, _mm256_shuffle_epi32(s, 0xb1));
    return _mm256_add_epi32(s, _mm256_shuffle_epi32(s, 0x4e));
}

/* Row groups g.. of columns 0..15 (`up` 0) or 16..31 (`up` 1) of a block of 6-bit codes: the group's scale times (code - 32) times
 * x, added to f. */
__attribute__((always_inline))
static inline void sn_add_half_avxvnni(__m256 *f, const uint8_t *w, int g, int groups, int up, const SnQ8 *x, int x_stride,
                                       int tokens)
{
    __m256i s[4];

    for (int k = 0; k < groups * tokens; k++)
        s[k] = _mm256_setzero_si256();
    #pragma GCC unroll 1
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < groups; k++) {
            const __m256i u = sn_six_avx2(w + 64 * i, g + k, 0, up);
            const __m256i v = sn_six_avx2(w + 64 * i, g + k, 2, up);

            for (int t = 0; t < tokens; t++) {
                const int8_t *q = x[t * x_stride].q + 16 * up + 4 * i;
                const __m256i sum = sn_dpbusd_avxvnni(s[k * tokens + t], u, sn_four_avx2(q));

                s[k * tokens + t] = sn_dpbusd_avxvnni(sum, v, sn_four_avx2(q + 8));
            }
        }
    for (int t = 0; t < tokens; t++) {
        const __m256i offset = sn_sum16_avxvnni(x[t * x_stride].q + 16 * up);

        for (int k = 0; k < groups; k++)
            f[k * tokens + t] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(_mm256_sub_epi32(s[k * tokens + t], offset)),
                                                sn_signed_bytes_avx2(w + 768 + 32 * up + 8 * (g + k)), f[k * tokens + t]);
    }
}

__attribute__((always_inline))
static inline void sn_dots_i6g16s_q8_avxvnni(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                             const uint8_t *next, int tokens)
{
    const int groups = tokens == 1 ? 2 : 1;

    sn_clear_avx2(acc, 32 * tokens);
    for (int b = 0; b < n_in / SN_GROUP; b += SN_SPANS) {
        const uint8_t *ahead = sn_ahead(w, next);
        const uint8_t *head = w;

        sn_ask(ahead);
        w += 64;
        ahead += 64;
        for (int c = b; c < b + SN_SPANS; c++, w += SN_I6S_SPAN, ahead += SN_I6S_SPAN) {
            sn_ask_lines(ahead, SN_I6S_SPAN);
            #pragma GCC unroll 1
            for (int g = 0; g < 4; g += groups) {
                const SnQ8 *y = sn_same_avx2(x + c);
                float *out = sn_same_sums_avxvnni(acc + 8 * g);
                const uint8_t *again = w;
                __m256 f[4];

                __asm__("" : "+r"(again));                      /* what one half has loaded is not kept for the other */
                for (int k = 0; k < groups * tokens; k++)
                    f[k] = _mm256_setzero_ps();
                sn_add_half_avxvnni(f, w, g, groups, 0, y, x_stride, tokens);
                sn_add_half_avxvnni(f, again, g, groups, 1, y, x_stride, tokens);
                for (int k = 0; k < groups; k++)
                    for (int t = 0; t < tokens; t++) {
                        const __m256 scale = _mm256_mul_ps(sn_halves_avx2(head + 16 * (g + k)),
                                                           _mm256_set1_ps(y[t * x_stride].d));
                        float *sum = out + 32 * t + 8 * k;

                        _mm256_storeu_ps(sum, _mm256_fmadd_ps(f[k * tokens + t], scale, _mm256_loadu_ps(sum)));
                    }
            }
        }
    }
}

/* ---- the kernels ------------------------------------------------------------------------------------------------ */

SN_KERNEL(op=dot, layout=i5g32_r32k4, x=q8, tile=32x4, isa=avxvnni, features=avx2+fma+f16c+avxvnni, order=groups_fma)
static SN_APART void sn_dot4_i5g32_r32k4_q8_avxvnni(float acc[4 * 32], const uint8_t *w,
                                                    const SnQ8 *x, int x_stride, int n_in,
                                                  const uint8_t *next)
{
    sn_dots_i5g32_q8_avxvnni(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=i5g32_r32k4, x=q8, tile=32x1, isa=avxvnni, features=avx2+fma+f16c+avxvnni, order=groups_fma)
static SN_APART void sn_dot_i5g32_r32k4_q8_avxvnni(float acc[32], const uint8_t *w, const SnQ8 *x,
                                                   int n_in, const uint8_t *next)
{
    sn_dots_i5g32_q8_avxvnni(acc, w, x, 0, n_in, next, 1);
}

SN_KERNEL(op=dot, layout=i4g32ms_r32k4, x=q8, tile=32x4, isa=avxvnni, features=avx2+fma+f16c+avxvnni, order=groups_fma)
static SN_APART void sn_dot4_i4g32ms_r32k4_q8_avxvnni(float acc[4 * 32], const uint8_t *w,
                                                      const SnQ8 *x, int x_stride, int n_in,
                                                    const uint8_t *next)
{
    sn_dots_g32ms_q8_avxvnni(acc, w, x, x_stride, n_in, next, 4, 0);
}

SN_KERNEL(op=dot, layout=i4g32ms_r32k4, x=q8, tile=32x1, isa=avxvnni, features=avx2+fma+f16c+avxvnni, order=groups_fma)
static SN_APART void sn_dot_i4g32ms_r32k4_q8_avxvnni(float acc[32], const uint8_t *w, const SnQ8 *x,
                                                     int n_in, const uint8_t *next)
{
    sn_dots_g32ms_q8_avxvnni(acc, w, x, 0, n_in, next, 1, 0);
}

SN_KERNEL(op=dot, layout=i5g32ms_r32k4, x=q8, tile=32x4, isa=avxvnni, features=avx2+fma+f16c+avxvnni, order=groups_fma)
static SN_APART void sn_dot4_i5g32ms_r32k4_q8_avxvnni(float acc[4 * 32], const uint8_t *w,
                                                      const SnQ8 *x, int x_stride, int n_in,
                                                    const uint8_t *next)
{
    sn_dots_g32ms_q8_avxvnni(acc, w, x, x_stride, n_in, next, 4, 1);
}

SN_KERNEL(op=dot, layout=i5g32ms_r32k4, x=q8, tile=32x1, isa=avxvnni, features=avx2+fma+f16c+avxvnni, order=groups_fma)
static SN_APART void sn_dot_i5g32ms_r32k4_q8_avxvnni(float acc[32], const uint8_t *w, const SnQ8 *x,
                                                     int n_in, const uint8_t *next)
{
    sn_dots_g32ms_q8_avxvnni(acc, w, x, 0, n_in, next, 1, 1);
}

SN_KERNEL(op=dot, layout=i6g16s_r32k4, x=q8, tile=32x4, isa=avxvnni, features=avx2+fma+f16c+avxvnni, order=groups_fma)
static SN_APART void sn_dot4_i6g16s_r32k4_q8_avxvnni(float acc[4 * 32], const uint8_t *w,
                                                     const SnQ8 *x, int x_stride, int n_in,
                                                   const uint8_t *next)
{
    sn_dots_i6g16s_q8_avxvnni(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=i6g16s_r32k4, x=q8, tile=32x1, isa=avxvnni, features=avx2+fma+f16c+avxvnni, order=groups_fma)
static SN_APART void sn_dot_i6g16s_r32k4_q8_avxvnni(float acc[32], const uint8_t *w, const SnQ8 *x,
                                                    int n_in, const uint8_t *next)
{
    sn_dots_i6g16s_q8_avxvnni(acc, w, x, 0, n_in, next, 1);
}
