/* AVX-VNNI (x86-64-v3 + avxvnni: Alder Lake and later): vpdpbusd on vectors of 256 bits, 8 rows per vector.
 *
 * Everything but the dot products with 8-bit activations is avx2.c's; the results are avx2.c's bit for bit, because integers
 * are added exactly and floats in the same order.  vpdpbusd takes unsigned codes as they are packed and adds four products
 * in 32 bits: neither signs nor sums of 16 bits are in the way.  What a code's offset contributes is where a sum begins.
 *
 * One token goes through all four groups of 8 rows together, four tokens through two groups: four or eight of the 16
 * registers are sums, and each activation that is broadcast serves two or four vectors of codes. */
#include <immintrin.h>
#include "../kernel.h"

/* s + four products in every lane.  The empty asm keeps the sum in its register, as in avx512vnni.c. */
static inline __m256i sn_dpbusd_avxvnni(__m256i s, __m256i w, __m256i x)
{
    s = _mm256_dpbusd_avx_epi32(s, w, x);
    __asm__("" : "+x"(s));
    return s;
}

/* The same pointer, unknown to the compiler, as sn_same_avx2: it would keep all of acc on the stack over the blocks. */
static inline float *sn_same_sums_avxvnni(float *acc)
{
    __asm__("" : "+r"(acc));
    return acc;
}

/* Sums of `groups` row groups, token by token, begin at -offset * sum(q). */
__attribute__((always_inline))
static inline void sn_start_avxvnni(__m256i *s, const SnQ8 *x, int x_stride, int offset, int groups, int tokens)
{
    for (int t = 0; t < tokens; t++)
        for (int k = 0; k < groups; k++)
            s[k * tokens + t] = _mm256_set1_epi32(-offset * x[t * x_stride].sum);
}

/* Row groups g.. of a block of 4-bit codes added to s. */
__attribute__((always_inline))
static inline void sn_add_codes_i4_avxvnni(__m256i *s, const uint8_t *w, int g, int groups, const SnQ8 *x, int x_stride,
                                           int tokens)
{
    const __m256i low = _mm256_set1_epi8(0x0f);

    for (int i = 0; i < 4; i++) {
        __m256i v[4];

        for (int k = 0; k < groups; k++)
            v[k] = sn_codes_avx2(w, g + k, 256, i);
        for (int t = 0; t < tokens; t++) {
            const __m256i q = sn_four_avx2(x[t * x_stride].q + 4 * i);

            for (int k = 0; k < groups; k++)
                s[k * tokens + t] = sn_dpbusd_avxvnni(s[k * tokens + t], _mm256_and_si256(v[k], low), q);
        }
        for (int t = 0; t < tokens; t++) {
            const __m256i q = sn_four_avx2(x[t * x_stride].q + 16 + 4 * i);

            for (int k = 0; k < groups; k++)
                s[k * tokens + t] = sn_dpbusd_avxvnni(s[k * tokens + t],
                                                      _mm256_and_si256(_mm256_srli_epi16(v[k], 4), low), q);
        }
    }
}

__attribute__((always_inline))
static inline void sn_dots_i8g32_q8_avxvnni(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                            const uint8_t *next, int tokens)
{
    const int groups = tokens == 1 ? 4 : 2;

    sn_clear_avx2(acc, 32 * tokens);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I8_BLOCK) {
        sn_ask_lines(sn_ahead(w, next), SN_I8_BLOCK);
        #pragma GCC unroll 1
        for (int g = 0; g < 4; g += groups) {
            const SnQ8 *y = sn_same_avx2(x + b);
            float *out = sn_same_sums_avxvnni(acc + 8 * g);
            __m256i s[8];

            sn_start_avxvnni(s, y, x_stride, 128, groups, tokens);
            for (int i = 0; i < 8; i++) {
                __m256i v[4];

                for (int k = 0; k < groups; k++)
                    v[k] = sn_codes_avx2(w, g + k, 512, i);
                for (int t = 0; t < tokens; t++) {
                    const __m256i q = sn_four_avx2(y[t * x_stride].q + 4 * i);

                    for (int k = 0; k < groups; k++)
                        s[k * tokens + t] = sn_dpbusd_avxvnni(s[k * tokens + t], v[k], q);
                }
            }
            for (int k = 0; k < groups; k++)
                for (int t = 0; t < tokens; t++)
                    sn_scale_avx2(out + 32 * t + 8 * k, s[k * tokens + t], sn_halves_avx2(w + 1024 + 16 * (g + k)),
                                  y[t * x_stride].d);
        }
    }
}

__attribute__((always_inline))
static inline void sn_dots_i4g32_q8_avxvnni(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                            const uint8_t *next, int tokens)
{
    const int groups = tokens == 1 ? 4 : 2;

    sn_clear_avx2(acc, 32 * tokens);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I4_BLOCK) {
        sn_ask_lines(sn_ahead(w, next), SN_I4_BLOCK);
        #pragma GCC unroll 1
        for (int g = 0; g < 4; g += groups) {
            const SnQ8 *y = sn_same_avx2(x + b);
            float *out = sn_same_sums_avxvnni(acc + 8 * g);
            __m256i s[8];

            sn_start_avxvnni(s, y, x_stride, 8, groups, tokens);
            sn_add_codes_i4_avxvnni(s, w, g, groups, y, x_stride, tokens);
            for (int k = 0; k < groups; k++)
                for (int t = 0; t < tokens; t++)
                    sn_scale_avx2(out + 32 * t + 8 * k, s[k * tokens + t], sn_halves_avx2(w + 512 + 16 * (g + k)),
                                  y[t * x_stride].d);
        }
    }
}

__attribute__((always_inline))
static inline void sn_dots_i4g32m_q8_avxvnni(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                             const uint8_t *next, int tokens)
{
    const int groups = tokens == 1 ? 4 : 2;

    sn_clear_avx2(acc, 32 * tokens);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I4M_BLOCK) {
        sn_ask_lines(sn_ahead(w, next), SN_I4M_BLOCK);
        #pragma GCC unroll 1
        for (int g = 0; g < 4; g += groups) {
            const SnQ8 *y = sn_same_avx2(x + b);
            float *out = sn_same_sums_avxvnni(acc + 8 * g);
            __m256i s[8];

            sn_start_avxvnni(s, y, x_stride, 0, groups, tokens);
            sn_add_codes_i4_avxvnni(s, w, g, groups, y, x_stride, tokens);
            for (int k = 0; k < groups; k++)
                for (int t = 0; t < tokens; t++) {
                    float *f = out + 32 * t + 8 * k;

                    sn_scale_avx2(f, s[k * tokens + t], sn_halves_avx2(w + 512 + 16 * (g + k)), y[t * x_stride].d);
                    _mm256_storeu_ps(f, _mm256_fmadd_ps(sn_halves_avx2(w + 576 + 16 * (g + k)),
                                                          _mm256_set1_ps(y[t * x_stride].ds), _mm256_loadu_ps(f)));
                }
        }
    }
}

/* ---- the kernels ------------------------------------------------------------------------------------------------ */

SN_KERNEL(op=dot, layout=i8g32_r32k4, x=q8, tile=32x4, isa=avxvnni, features=avx2+fma+f16c+avxvnni, order=groups_fma)
static SN_APART void sn_dot4_i8g32_r32k4_q8_avxvnni(float acc[4 * 32], const uint8_t *w, const SnQ8 *x,
                                                    int x_stride, int n_in, const uint8_t *next)
{
    sn_dots_i8g32_q8_avxvnni(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=i8g32_r32k4, x=q8, tile=32x1, isa=avxvnni, features=avx2+fma+f16c+avxvnni, order=groups_fma)
static SN_APART void sn_dot_i8g32_r32k4_q8_avxvnni(float acc[32], const uint8_t *w, const SnQ8 *x,
                                                   int n_in, const uint8_t *next)
{
    sn_dots_i8g32_q8_avxvnni(acc, w, x, 0, n_in, next, 1);
}

SN_KERNEL(op=dot, layout=i4g32_r32k4, x=q8, tile=32x4, isa=avxvnni, features=avx2+fma+f16c+avxvnni, order=groups_fma)
static SN_APART void sn_dot4_i4g32_r32k4_q8_avxvnni(float acc[4 * 32], const uint8_t *w, const SnQ8 *x,
                                                    int x_stride, int n_in, const uint8_t *next)
{
    sn_dots_i4g32_q8_avxvnni(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=i4g32_r32k4, x=q8, tile=32x1, isa=avxvnni, features=avx2+fma+f16c+avxvnni, order=groups_fma)
static SN_APART void sn_dot_i4g32_r32k4_q8_avxvnni(float acc[32], const uint8_t *w, const SnQ8 *x,
                                                   int n_in, const uint8_t *next)
{
    sn_dots_i4g32_q8_avxvnni(acc, w, x, 0, n_in, next, 1);
}

SN_KERNEL(op=dot, layout=i4g32m_r32k4, x=q8, tile=32x4, isa=avxvnni, features=avx2+fma+f16c+avxvnni, order=groups_fma)
static SN_APART void sn_dot4_i4g32m_r32k4_q8_avxvnni(float acc[4 * 32], const uint8_t *w, const SnQ8 *x,
                                                     int x_stride, int n_in, const uint8_t *next)
{
    sn_dots_i4g32m_q8_avxvnni(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=i4g32m_r32k4, x=q8, tile=32x1, isa=avxvnni, features=avx2+fma+f16c+avxvnni, order=groups_fma)
static SN_APART void sn_dot_i4g32m_r32k4_q8_avxvnni(float acc[32], const uint8_t *w, const SnQ8 *x,
                                                    int n_in, const uint8_t *next)
{
    sn_dots_i4g32m_q8_avxvnni(acc, w, x, 0, n_in, next, 1);
}
