/* AVX-VNNI, a head in two parts: the layout of portable/dot_split.c, codes as in avx2_split.c, sums as in avxvnni.c. */
#include <immintrin.h>
#include "../kernel.h"

__attribute__((always_inline))
static inline void sn_dots_i53g32_q8_avxvnni(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                             const uint8_t *next, int tokens)
{
    const uint8_t *low = sn_bounds_i53(w, n_in) + SN_I53_BOUNDS;
    const int groups = tokens == 1 ? 4 : 2;
    uint8_t joined[1024];
    const uint8_t *codes = sn_same_bytes(joined);

    sn_clear_avx2(acc, 32 * tokens);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I53_HIGH, low += SN_I53_LOW) {
        sn_ask_i53(w, low, b, n_in / SN_GROUP, next);
        sn_join_avx2(joined, w, low);
        #pragma GCC unroll 1
        for (int g = 0; g < 4; g += groups) {
            const SnQ8 *y = sn_same_avx2(x + b);
            float *out = sn_same_sums_avxvnni(acc + 8 * g);
            __m256i s[8];

            sn_start_avxvnni(s, y, x_stride, 128, groups, tokens);
            for (int i = 0; i < 8; i++) {
                __m256i v[4];

                for (int k = 0; k < groups; k++)
                    v[k] = sn_codes_avx2(codes, g + k, 512, i);
                for (int t = 0; t < tokens; t++) {
                    const __m256i q = sn_four_avx2(y[t * x_stride].q + 4 * i);

                    for (int k = 0; k < groups; k++)
                        s[k * tokens + t] = sn_dpbusd_avxvnni(s[k * tokens + t], v[k], q);
                }
            }
            for (int k = 0; k < groups; k++)
                for (int t = 0; t < tokens; t++)
                    sn_scale_avx2(out + 32 * t + 8 * k, s[k * tokens + t], sn_halves_avx2(w + 640 + 16 * (g + k)),
                                  y[t * x_stride].d);
        }
    }
}

SN_KERNEL(op=dot, layout=i53g32_r32k4, x=q8, tile=32x4, isa=avxvnni, features=avx2+fma+f16c+avxvnni, order=groups_fma)
static SN_APART void sn_dot4_i53g32_r32k4_q8_avxvnni(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride,
                                                     int n_in, const uint8_t *next)
{
    sn_dots_i53g32_q8_avxvnni(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=i53g32_r32k4, x=q8, tile=32x1, isa=avxvnni, features=avx2+fma+f16c+avxvnni, order=groups_fma)
static SN_APART void sn_dot_i53g32_r32k4_q8_avxvnni(float acc[32], const uint8_t *w, const SnQ8 *x, int n_in,
                                                    const uint8_t *next)
{
    sn_dots_i53g32_q8_avxvnni(acc, w, x, 0, n_in, next, 1);
}

SN_KERNEL(op=bound, layout=i53g32_r32k4, x=q8, tile=32x1, isa=avxvnni, features=avx2+fma+f16c+avxvnni, order=bound)
static SN_APART int sn_bound_i53g32_r32k4_q8_avxvnni(SnBest *best, const uint8_t *w, const SnQ8 *x, int n_in,
                                                     const uint8_t *next)
{
    float f[32];

    if (best->floor == -__builtin_inff())
        return 1;
    sn_best_ask(best, sn_bounds_i53(w, n_in));
    sn_clear_avx2(f, 32);
    for (int b = 0; b < n_in / SN_GROUP; b++) {
        const uint8_t *high = w + b * SN_I53_HIGH;

        sn_ask_lines(sn_ahead_i53(high, b, n_in / SN_GROUP, next), SN_I53_HIGH);
        #pragma GCC unroll 1
        for (int g = 0; g < 4; g += 2) {
            float *out = sn_same_sums_avxvnni(f + 8 * g);
            __m256i s[2];

            sn_start_avxvnni(s, x + b, 0, 16, 2, 1);
            sn_add_codes_i5_avxvnni(s, high, g, 2, x + b, 0, 1);
            for (int k = 0; k < 2; k++)                     /* 16 (code - 16) + 7 */
                sn_scale_avx2(out + 8 * k, _mm256_add_epi32(_mm256_slli_epi32(s[k], 4), _mm256_set1_epi32(7 * x[b].sum)),
                              sn_halves_avx2(high + 640 + 16 * (g + k)), 0.5f * x[b].d);
        }
    }
    return sn_bound_low_avx2(best, f, w, x, n_in);
}
