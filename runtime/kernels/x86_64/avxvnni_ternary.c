/* Ternary weights with AVX-VNNI.  Layouts are drawn in portable/ternary.c, lanes and helpers are avx2.c's and avxvnni.c's.
 *
 * Base 3 is avx512vnni_ternary.c's way: 256 sum(d x) = 3 sum(q x) - sum(q' x) with q' = 3 q mod 256, no digit cut out.  A block is
 * taken row group by row group, because the last digit of each pair of groups comes from one vector. */
#include <immintrin.h>
#include "../kernel.h"

static inline __m256i sn_load_avxvnni(const uint8_t *p)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

/* Row groups k.. of a group of 32 columns, added to the sums, which are laid out as sn_start_avxvnni's. */
__attribute__((always_inline))
static inline void sn_add_i2_avxvnni(__m256i *s, const uint8_t *codes, int k, int groups, const SnQ8 *x, int x_stride,
                                     int tokens)
{
    const __m256i low = _mm256_set1_epi8(3);

    for (int i = 0; i < 2; i++) {
        __m256i v[4];

        for (int j = 0; j < groups; j++)
            v[j] = sn_load_avxvnni(codes + (k + j) / 2 * 128 + (k + j) % 2 * 32 + 64 * i);
        for (int f = 0; f < 4; f++) {
            for (int t = 0; t < tokens; t++) {
                const __m256i q = sn_four_avx2(x[t * x_stride].q + 8 * f + 4 * i);

                for (int j = 0; j < groups; j++)
                    s[j * tokens + t] = sn_dpbusd_avxvnni(s[j * tokens + t], _mm256_and_si256(v[j], low), q);
            }
            for (int j = 0; j < groups; j++)
                v[j] = _mm256_srli_epi16(v[j], 2);
        }
    }
}

__attribute__((always_inline))
static inline void sn_dots_i2g256_q8g256_avxvnni(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                                 const uint8_t *next, int tokens)
{
    const int groups = tokens == 1 ? 4 : 2;

    sn_clear_avx2(acc, 32 * tokens);
    for (int b = 0; b < n_in / SN_TERNARY_COLUMNS; b++, w += SN_I2_BLOCK) {
        const uint8_t *ahead = sn_ahead(w, next);

        for (int g = 0; g < 8; g++, x++) {
            sn_ask_lines(ahead + 256 * g, 256);
            #pragma GCC unroll 1
            for (int k = 0; k < 4; k += groups) {
                const SnQ8 *y = sn_same_avx2(x);
                float *out = sn_same_sums_avxvnni(acc + 8 * k);
                __m256i s[8];

                sn_start_avxvnni(s, y, x_stride, 1, groups, tokens);
                sn_add_i2_avxvnni(s, w + 256 * g, k, groups, y, x_stride, tokens);
                for (int j = 0; j < groups; j++)
                    for (int t = 0; t < tokens; t++)
                        sn_scale_avx2(out + 32 * t + 8 * j, s[j * tokens + t], sn_halves_avx2(w + 2048 + 16 * (k + j)),
                                      y[t * x_stride].d);
            }
        }
        sn_ask(ahead + 2048);
    }
}

/* The first digit of q, times the quad at `at`, for 8 rows: s[t] += q x, n[t] += q' x; returns q'. */
__attribute__((always_inline))
static inline __m256i sn_add_digit_avxvnni(__m256i *s, __m256i *n, __m256i q, const SnQ8 *x, int x_stride, int at, int tokens)
{
    __m256i q3 = _mm256_add_epi8(q, _mm256_add_epi8(q, q));

    __asm__("" : "+x"(q3));                     /* or clang makes products of bytes, which do not exist */
    for (int t = 0; t < tokens; t++) {
        const __m256i v = sn_four_avx2(x[t * x_stride].q + at);

        s[t] = sn_dpbusd_avxvnni(s[t], q, v);
        n[t] = sn_dpbusd_avxvnni(n[t], q3, v);
    }
    return q3;
}

__attribute__((always_inline))
static inline void sn_clear_t5_avxvnni(__m256i *s, __m256i *n, int tokens)
{
    for (int t = 0; t < tokens; t++)
        s[t] = n[t] = _mm256_setzero_si256();
}

/* 3 s - n is a multiple of 256; less what the digits' 1 contributes, times the scales, added to acc. */
__attribute__((always_inline))
static inline void sn_end_t5_avxvnni(float *acc, const __m256i *s, const __m256i *n, const uint8_t *scales, const SnQ8 *x,
                                     int x_stride, int tokens)
{
    const __m256 d = sn_halves_avx2(scales);

    for (int t = 0; t < tokens; t++) {
        const __m256i u = _mm256_sub_epi32(_mm256_add_epi32(s[t], _mm256_add_epi32(s[t], s[t])), n[t]);

        sn_scale_avx2(acc + 32 * t, _mm256_sub_epi32(_mm256_srai_epi32(u, 8), _mm256_set1_epi32(x[t * x_stride].sum)), d,
                      x[t * x_stride].d);
    }
}

__attribute__((always_inline))
static inline void sn_dots_t5g256_q8g256_avxvnni(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                                 const uint8_t *next, int tokens)
{
    sn_clear_avx2(acc, 32 * tokens);
    for (int b = 0; b < n_in / SN_TERNARY_COLUMNS; b++, w += SN_T5_BLOCK, x += 8) {
        const uint8_t *ahead = sn_ahead(w, next);

        for (int k = 0; k < 4; k++) {
            const uint8_t *scales = w + 1664 + 16 * k;
            __m256i last = sn_load_avxvnni(w + 32 * k);

            sn_ask_lines(ahead + 448 * k, k < 3 ? 448 : 384);         /* 27 lines: 7, 7, 7, 6 */
            #pragma GCC unroll 1
            for (int pair = 0; pair < 4; pair++) {
                const uint8_t *codes = w + 128 + 384 * pair + k / 2 * 192 + k % 2 * 32;
                const SnQ8 *y = sn_same_avx2(x + 2 * pair);
                float *out = sn_same_sums_avxvnni(acc + 8 * k);
                __m256i s[4], n[4], q;

                sn_clear_t5_avxvnni(s, n, tokens);
                q = sn_load_avxvnni(codes);
                for (int i = 0; i < 5; i++)
                    q = sn_add_digit_avxvnni(s, n, q, y, x_stride, 4 * i, tokens);
                q = sn_load_avxvnni(codes + 64);
                for (int i = 5; i < 8; i++)
                    q = sn_add_digit_avxvnni(s, n, q, y, x_stride, 4 * i, tokens);
                sn_end_t5_avxvnni(out, s, n, scales, y, x_stride, tokens);

                out = sn_same_sums_avxvnni(out);
                sn_clear_t5_avxvnni(s, n, tokens);
                y++;
                for (int i = 0; i < 2; i++)
                    q = sn_add_digit_avxvnni(s, n, q, y, x_stride, 4 * i, tokens);
                q = sn_load_avxvnni(codes + 128);
                for (int i = 2; i < 7; i++)
                    q = sn_add_digit_avxvnni(s, n, q, y, x_stride, 4 * i, tokens);
                last = sn_add_digit_avxvnni(s, n, last, y, x_stride, 28, tokens);
                sn_end_t5_avxvnni(out, s, n, scales, y, x_stride, tokens);
            }
        }
    }
}

/* ---- the kernels ------------------------------------------------------------------------------------------------ */

SN_KERNEL(op=dot, layout=i2g256_r32k4, x=q8g256, tile=32x4, isa=avxvnni, features=avx2+fma+f16c+avxvnni, order=groups_fma)
static SN_APART void sn_dot4_i2g256_r32k4_q8g256_avxvnni(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                                         const uint8_t *next)
{
    sn_dots_i2g256_q8g256_avxvnni(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=i2g256_r32k4, x=q8g256, tile=32x1, isa=avxvnni, features=avx2+fma+f16c+avxvnni, order=groups_fma)
static SN_APART void sn_dot_i2g256_r32k4_q8g256_avxvnni(float acc[32], const uint8_t *w, const SnQ8 *x, int n_in, const uint8_t *next)
{
    sn_dots_i2g256_q8g256_avxvnni(acc, w, x, 0, n_in, next, 1);
}

SN_KERNEL(op=dot, layout=t5g256_r32k4, x=q8g256, tile=32x4, isa=avxvnni, features=avx2+fma+f16c+avxvnni, order=groups_fma)
static SN_APART void sn_dot4_t5g256_r32k4_q8g256_avxvnni(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                                         const uint8_t *next)
{
    sn_dots_t5g256_q8g256_avxvnni(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=t5g256_r32k4, x=q8g256, tile=32x1, isa=avxvnni, features=avx2+fma+f16c+avxvnni, order=groups_fma)
static SN_APART void sn_dot_t5g256_r32k4_q8g256_avxvnni(float acc[32], const uint8_t *w, const SnQ8 *x, int n_in, const uint8_t *next)
{
    sn_dots_t5g256_q8g256_avxvnni(acc, w, x, 0, n_in, next, 1);
}
