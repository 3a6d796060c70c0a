/* Panels of 8-bit codes with AVX-VNNI: contracts in portable/gemm.c.
 *
 * gemm: 16 rows x 6 tokens are 12 of the 16 registers; two vectors of codes meet each token's four activations, the same in every
 * lane.  A sum begins at what the codes' 128 contribute. */
#include <immintrin.h>
#include "../kernel.h"

/* A group's sums, times both scales, added to 8 rows of a token. */
static inline void sn_add_panel_avxvnni(float *acc, __m256i s, __m256 d, float scale)
{
    const __m256 v = _mm256_mul_ps(d, _mm256_set1_ps(scale));

    _mm256_storeu_ps(acc, _mm256_add_ps(_mm256_loadu_ps(acc), _mm256_mul_ps(_mm256_cvtepi32_ps(s), v)));
}

/* A group's columns c .. c + group - 1 of 16 rows for `tokens` tokens, added to acc. */
__attribute__((always_inline))
static inline void sn_gemm_group_avxvnni(float *acc, int acc_stride, const uint8_t *w, const float *d, const int8_t *x, int x_stride,
                                         int n_in, int c, int group, int tokens)
{
    const int8_t *q[2] = { x, x + (intptr_t)x_stride * 3 };
    __m256i s[12];

    for (int t = 0; t < tokens; t++) {
        const SnI8Scale *scale = sn_i8_scales(x + (intptr_t)x_stride * t, n_in);

        s[2 * t] = s[2 * t + 1] = _mm256_set1_epi32(-128 * scale[c / group].sum);
    }
    for (int k = c; k < c + group; k += 4, w += 4 * SN_ROWS) {
        const __m256i a = _mm256_load_si256((const __m256i *)(const void *)w);
        const __m256i b = _mm256_load_si256((const __m256i *)(const void *)(w + 32));

        for (int t = 0; t < tokens; t++) {
            const __m256i v = sn_four_avx2(q[t / 3] + (intptr_t)x_stride * (t % 3) + k);

            s[2 * t] = sn_dpbusd_avxvnni(s[2 * t], a, v);
            s[2 * t + 1] = sn_dpbusd_avxvnni(s[2 * t + 1], b, v);
        }
    }
    for (int t = 0; t < tokens; t++) {
        const SnI8Scale *scale = sn_i8_scales(x + (intptr_t)x_stride * t, n_in);

        sn_add_panel_avxvnni(acc + (intptr_t)acc_stride * t, s[2 * t], _mm256_loadu_ps(d), scale[c / group].d);
        sn_add_panel_avxvnni(acc + (intptr_t)acc_stride * t + 8, s[2 * t + 1], _mm256_loadu_ps(d + 8), scale[c / group].d);
    }
}

SN_KERNEL(op=gemm, x=i8, tile=32x6, isa=avxvnni, features=avx2+fma+f16c+avxvnni, order=groups)
static SN_APART void sn_gemm_i8_avxvnni(float *acc, int acc_stride, const uint8_t *panel, const int8_t *x, int x_stride, int n_in,
                                        int group, int n)
{
    const float *d = sn_panel_scales(panel, n_in);

    for (int t = 0; t < n; t++)
        for (int r = 0; r < SN_ROWS; r += 8)
            _mm256_storeu_ps(acc + (intptr_t)acc_stride * t + r, _mm256_setzero_ps());
    for (int c = 0; c < n_in; c += group, panel += SN_ROWS * group, d += SN_ROWS)
        for (int r = 0; r < SN_ROWS; r += 16) {
            int t = 0;

            for (; t + 6 <= n; t += 6)
                sn_gemm_group_avxvnni(acc + (intptr_t)acc_stride * t + r, acc_stride, panel + 4 * r, d + r, x + (intptr_t)x_stride * t,
                                      x_stride, n_in, c, group, 6);
            for (; t < n; t++)
                sn_gemm_group_avxvnni(acc + (intptr_t)acc_stride * t + r, acc_stride, panel + 4 * r, d + r, x + (intptr_t)x_stride * t,
                                      x_stride, n_in, c, group, 1);
        }
}
