/* Ternary weights with AVX2.  Layouts are drawn in portable/ternary.c, lanes and helpers are avx2.c's.
 *
 * Codes 0 .. 3 are shifted down and multiplied by vpmaddubsw; the eight quads of a group fit in 16 bits (8 * 2 * 3 * 127 = 6096).
 * A byte of base 3 is read as p = q - 128: its first digit is 0 below -42 and 2 above 42, and what follows is 3 p, modulo 256.
 * Base 3 takes a block row group by row group, because the last digit of each pair of groups comes from one vector. */
#include <immintrin.h>
#include "../kernel.h"

/* 8 rows x 4 columns of codes, added to the sums of every token; q is where the columns begin in their group. */
__attribute__((always_inline))
static inline void sn_add_ternary_avx2(__m256i *s, __m256i code, const SnQ8 *x, int x_stride, int q, int tokens)
{
    for (int t = 0; t < tokens; t++)
        s[t] = sn_add16_avx2(s[t], _mm256_maddubs_epi16(code, sn_four_avx2(x[t * x_stride].q + q)));
}

/* 8 rows' sums of a group, less what the codes' 1 contributes, times the scales, added to acc. */
__attribute__((always_inline))
static inline void sn_end_ternary_avx2(float *acc, const __m256i *s, const uint8_t *scales, const SnQ8 *x, int x_stride,
                                       int tokens)
{
    const __m256i ones = _mm256_set1_epi16(1);
    const __m256 d = sn_halves_avx2(scales);

    for (int t = 0; t < tokens; t++)
        sn_scale_avx2(acc + 32 * t, _mm256_sub_epi32(_mm256_madd_epi16(s[t], ones), _mm256_set1_epi32(x[t * x_stride].sum)), d,
                      x[t * x_stride].d);
}

__attribute__((always_inline))
static inline void sn_clear_ternary_avx2(__m256i *s, int tokens)
{
    for (int t = 0; t < tokens; t++)
        s[t] = _mm256_setzero_si256();
}

__attribute__((always_inline))
static inline void sn_dots_i2g256_q8g256_avx2(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                              const uint8_t *next, int tokens)
{
    const __m256i low = _mm256_set1_epi8(3);

    sn_clear_avx2(acc, 32 * tokens);
    for (int b = 0; b < n_in / SN_TERNARY_COLUMNS; b++, w += SN_I2_BLOCK) {
        const uint8_t *ahead = sn_ahead(w, next);

        for (int g = 0; g < 8; g++, x++) {
            sn_ask_lines(ahead + 256 * g, 256);
            #pragma GCC unroll 1
            for (int k = 0; k < 4; k++) {
                const uint8_t *codes = w + 256 * g + k / 2 * 128 + k % 2 * 32;
                const SnQ8 *y = sn_same_avx2(x);
                __m256i s[4];

                sn_clear_ternary_avx2(s, tokens);
                for (int i = 0; i < 2; i++) {
                    __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)(codes + 64 * i));

                    for (int f = 0; f < 4; f++) {
                        sn_add_ternary_avx2(s, _mm256_and_si256(v, low), y, x_stride, 8 * f + 4 * i, tokens);
                        v = _mm256_srli_epi16(v, 2);
                    }
                }
                sn_end_ternary_avx2(acc + 8 * k, s, w + 2048 + 16 * k, y, x_stride, tokens);
            }
        }
        sn_ask(ahead + 2048);
    }
}

/* The first digit of p is added to the sums, times the quad at q; returns what follows. */
__attribute__((always_inline))
static inline __m256i sn_add_digit_avx2(__m256i *s, __m256i p, const SnQ8 *x, int x_stride, int q, int tokens)
{
    const __m256i two = _mm256_cmpgt_epi8(p, _mm256_set1_epi8(42));             /* -1 where the digit is 2 */
    const __m256i some = _mm256_cmpgt_epi8(p, _mm256_set1_epi8(-43));           /* -1 where it is 1 or 2 */

    sn_add_ternary_avx2(s, _mm256_abs_epi8(_mm256_add_epi8(two, some)), x, x_stride, q, tokens);
    return _mm256_add_epi8(p, _mm256_add_epi8(p, p));
}

/* The same pointer, unknown to the compiler: sums that rest in acc are not kept in registers (then on the stack) over groups. */
static inline float *sn_same_sums_avx2(float *p)
{
    __asm__("" : "+r"(p));
    return p;
}

/* 32 bytes of base 3, 128 subtracted. */
static inline __m256i sn_load_t5_avx2(const uint8_t *p)
{
    return _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)(const void *)p), _mm256_set1_epi8((char)0x80));
}

__attribute__((always_inline))
static inline void sn_dots_t5g256_q8g256_avx2(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                              const uint8_t *next, int tokens)
{
    sn_clear_avx2(acc, 32 * tokens);
    for (int b = 0; b < n_in / SN_TERNARY_COLUMNS; b++, w += SN_T5_BLOCK, x += 8) {
        const uint8_t *ahead = sn_ahead(w, next);

        for (int k = 0; k < 4; k++) {
            const uint8_t *scales = w + 1664 + 16 * k;
            __m256i last = sn_load_t5_avx2(w + 32 * k);

            sn_ask_lines(ahead + 448 * k, k < 3 ? 448 : 384);         /* 27 lines: 7, 7, 7, 6 */
            #pragma GCC unroll 1
            for (int pair = 0; pair < 4; pair++) {
                const uint8_t *codes = w + 128 + 384 * pair + k / 2 * 192 + k % 2 * 32;
                const SnQ8 *y = sn_same_avx2(x + 2 * pair);
                __m256i s[4], p;

                sn_clear_ternary_avx2(s, tokens);
                p = sn_load_t5_avx2(codes);
                for (int i = 0; i < 5; i++)
                    p = sn_add_digit_avx2(s, p, y, x_stride, 4 * i, tokens);
                p = sn_load_t5_avx2(codes + 64);
                for (int i = 5; i < 8; i++)
                    p = sn_add_digit_avx2(s, p, y, x_stride, 4 * i, tokens);
                sn_end_ternary_avx2(sn_same_sums_avx2(acc + 8 * k), s, scales, y, x_stride, tokens);

                sn_clear_ternary_avx2(s, tokens);
                y++;
                for (int i = 0; i < 2; i++)
                    p = sn_add_digit_avx2(s, p, y, x_stride, 4 * i, tokens);
                p = sn_load_t5_avx2(codes + 128);
                for (int i = 2; i < 7; i++)
                    p = sn_add_digit_avx2(s, p, y, x_stride, 4 * i, tokens);
                last = sn_add_digit_avx2(s, last, y, x_stride, 28, tokens);
                sn_end_ternary_avx2(sn_same_sums_avx2(acc + 8 * k), s, scales, y, x_stride, tokens);
            }
        }
    }
}

/* ---- the kernels ------------------------------------------------------------------------------------------------ */

SN_KERNEL(op=dot, layout=i2g256_r32k4, x=q8g256, tile=32x4, isa=avx2, features=avx2+fma+f16c, order=groups_fma)
static SN_APART void sn_dot4_i2g256_r32k4_q8g256_avx2(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                                      const uint8_t *next)
{
    sn_dots_i2g256_q8g256_avx2(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=i2g256_r32k4, x=q8g256, tile=32x1, isa=avx2, features=avx2+fma+f16c, order=groups_fma)
static SN_APART void sn_dot_i2g256_r32k4_q8g256_avx2(float acc[32], const uint8_t *w, const SnQ8 *x, int n_in, const uint8_t *next)
{
    sn_dots_i2g256_q8g256_avx2(acc, w, x, 0, n_in, next, 1);
}

SN_KERNEL(op=dot, layout=t5g256_r32k4, x=q8g256, tile=32x4, isa=avx2, features=avx2+fma+f16c, order=groups_fma)
static SN_APART void sn_dot4_t5g256_r32k4_q8g256_avx2(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                                      const uint8_t *next)
{
    sn_dots_t5g256_q8g256_avx2(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=t5g256_r32k4, x=q8g256, tile=32x1, isa=avx2, features=avx2+fma+f16c, order=groups_fma)
static SN_APART void sn_dot_t5g256_r32k4_q8g256_avx2(float acc[32], const uint8_t *w, const SnQ8 *x, int n_in, const uint8_t *next)
{
    sn_dots_t5g256_q8g256_avx2(acc, w, x, 0, n_in, next, 1);
}
