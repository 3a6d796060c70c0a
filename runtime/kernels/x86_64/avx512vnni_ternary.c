/* Ternary weights with AVX-512 VNNI.  Layouts are drawn in portable/ternary.c, lanes and helpers are avx512vnni.c's.
 *
 * Weights and activations (q8g256) have one scale for 256 columns, so integer sums run over a whole block of them.
 *
 * Two bits: one token multiplies the fields where they lie (masks 3, 12, 48, 192, four sums, shifted once per block); four tokens
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

/* sn_ask(p), in its place: behind what makes s and before what uses it.  Compilers would ask for all lines of a block at once, which
 * costs a tenth from DRAM. */
static inline __m512i sn_ask_here_avx512(__m512i s, const uint8_t *p)
{
    __asm__("prefetcht0 %1" : "+v"(s) : "m"(*p));
    return s;
}

/* The sum of a block's activations: what the codes' 1 contributes. */
static inline int sn_sum_block(const SnQ8 *x)
{
    int sum = 0;

    for (int g = 0; g < 8; g++)
        sum += x[g].sum;
    return sum;
}

/* Sums of a block of `tokens` tokens begin at what the codes' 1 contributes. */
__attribute__((always_inline))
static inline void sn_start_block_avx512(__m512i *s, const SnQ8 *x, int x_stride, int tokens)
{
    for (int t = 0; t < tokens; t++)
        s[2 * t] = s[2 * t + 1] = _mm512_set1_epi32(-sn_sum_block(x + t * x_stride));
}

/* A block of 2-bit codes, one token: sum[h] = (code - 1) q of rows 16h.. over 256 columns. */
__attribute__((always_inline))
static inline void sn_sum_i2_avx512(__m512i *sum, const uint8_t *w, const uint8_t *ahead, const SnQ8 *x)
{
    const __m512i center = _mm512_set1_epi32(-sn_sum_block(x));
    __m512i s[8];

    for (int i = 0; i < 8; i++)
        s[i] = i % 4 ? _mm512_setzero_si512() : center;
    for (int g = 0; g < 8; g++)
        for (int h = 0; h < 2; h++) {
            const __m512i u = _mm512_loadu_si512(w + 256 * g + 128 * h);
            const __m512i v = _mm512_loadu_si512(w + 256 * g + 128 * h + 64);

            s[4 * h] = sn_ask_here_avx512(s[4 * h], ahead + 256 * g + 128 * h);
            for (int f = 0; f < 4; f++) {
                const __m512i mask = _mm512_set1_epi8((char)(3 << 2 * f));

                s[4 * h + f] = sn_dpbusd_avx512(s[4 * h + f], _mm512_and_si512(u, mask), sn_four_avx512(x[g].q + 8 * f));
                s[4 * h + f] = sn_dpbusd_avx512(s[4 * h + f], _mm512_and_si512(v, mask), sn_four_avx512(x[g].q + 8 * f + 4));
            }
            s[4 * h + 3] = sn_ask_here_avx512(s[4 * h + 3], ahead + 256 * g + 128 * h + 64);
        }
    for (int h = 0; h < 2; h++)
        sum[h] = _mm512_add_epi32(_mm512_add_epi32(s[4 * h], _mm512_srai_epi32(s[4 * h + 1], 2)),
                                  _mm512_add_epi32(_mm512_srai_epi32(s[4 * h + 2], 4), _mm512_srai_epi32(s[4 * h + 3], 6)));
}

__attribute__((always_inline))
static inline void sn_dots_i2g256_q8g256_avx512(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                                const uint8_t *next, int tokens)
{
    const __m512i low = _mm512_set1_epi8(3);
    __m512 f[8];

    sn_clear_avx512(f, 2 * tokens);
    for (int b = 0; b < n_in / SN_TERNARY_COLUMNS; b++, w += SN_I2_BLOCK, x += 8) {
        const uint8_t *ahead = sn_ahead(w, next);
        __m512i s[8];

        sn_ask(ahead + 2048);
        if (tokens == 1) {
            sn_sum_i2_avx512(s, w, ahead, x);
        } else {
            sn_start_block_avx512(s, x, x_stride, tokens);
            for (int g = 0; g < 8; g++) {
                const uint8_t *codes = w + 256 * g;

                sn_ask_lines(ahead + 256 * g, 256);
                for (int i = 0; i < 2; i++) {
                    __m512i u = _mm512_loadu_si512(codes + 64 * i);
                    __m512i v = _mm512_loadu_si512(codes + 64 * i + 128);

                    for (int k = 0; k < 4; k++) {
                        sn_add_codes_avx512(s, _mm512_and_si512(u, low), _mm512_and_si512(v, low), x + g, x_stride,
                                            4 * i + 8 * k, tokens);
                        u = _mm512_srli_epi16(u, 2);
                        v = _mm512_srli_epi16(v, 2);
                    }
                }
            }
        }
        sn_scale_avx512(f, s, w + 2048, x, x_stride, tokens);
    }
    sn_store_sums_avx512(acc, f, tokens);
}

/* What is left of 64 bytes of base 3 after their first digits.  The empty asm keeps the steps apart: clang makes products with
 * 9, 27 and 81 of them, for which there are no instructions on bytes. */
static inline __m512i sn_triple_avx512(__m512i q)
{
    q = _mm512_add_epi8(q, _mm512_add_epi8(q, q));
    __asm__("" : "+v"(q));
    return q;
}

/* The first digits of 64 bytes. */
static inline __m512i sn_digits_avx512(__m512i q)
{
    const __m512i one = _mm512_set1_epi8(1);
    const __m512i d = _mm512_maskz_mov_epi8(_mm512_cmpgt_epu8_mask(q, _mm512_set1_epi8(85)), one);

    return _mm512_mask_add_epi8(d, _mm512_cmpgt_epu8_mask(q, _mm512_set1_epi8((char)170)), d, one);
}

/* One token: the first digits of a (rows 0..15) and b (16..31) times four activations: s[0], s[1] += q x, s[2], s[3] += q' x; then a
 * and b hold the digits that follow. */
__attribute__((always_inline))
static inline void sn_add_digits_avx512(__m512i *s, __m512i *a, __m512i *b, const int8_t *q)
{
    const __m512i x = sn_four_avx512(q);

    s[0] = sn_dpbusd_avx512(s[0], *a, x);
    s[1] = sn_dpbusd_avx512(s[1], *b, x);
    *a = sn_triple_avx512(*a);
    *b = sn_triple_avx512(*b);
    s[2] = sn_dpbusd_avx512(s[2], *a, x);
    s[3] = sn_dpbusd_avx512(s[3], *b, x);
}

/* One token: the p-th pair of groups is added to s[0..3] and s[4..7]; y and z are what is left of the block's last vectors.  The
 * groups go side by side, so that there are eight chains of vpdpbusd, each of which waits for the one before. */
__attribute__((always_inline))
static inline void sn_add_pair_avx512(__m512i *s, __m512i *y, __m512i *z, const uint8_t *pair, const uint8_t *ahead, const SnQ8 *x)
{
    __m512i u = _mm512_loadu_si512(pair), v = _mm512_loadu_si512(pair + 192);
    __m512i m = _mm512_loadu_si512(pair + 128), n = _mm512_loadu_si512(pair + 192 + 128);

    for (int k = 0; k < 5; k++) {
        if (k < 4)
            s[0] = sn_ask_here_avx512(s[0], ahead + 64 * k);
        sn_add_digits_avx512(s, &u, &v, x[0].q + 4 * k);
        sn_add_digits_avx512(s + 4, &m, &n, x[1].q + 8 + 4 * k);
    }
    u = _mm512_loadu_si512(pair + 64);
    v = _mm512_loadu_si512(pair + 192 + 64);
    s[4] = sn_ask_here_avx512(s[4], ahead + 256);
    sn_add_digits_avx512(s + 4, y, z, x[1].q + 28);
    for (int k = 5; k < 8; k++)
        sn_add_digits_avx512(s, &u, &v, x[0].q + 4 * k);
    s[4] = sn_ask_here_avx512(s[4], ahead + 320);
    for (int k = 0; k < 2; k++)
        sn_add_digits_avx512(s + 4, &u, &v, x[1].q + 4 * k);
}

/* A block of base 3, one token: sum[h] = (digit - 1) q of rows 16h.. over 256 columns.  3 s - s' is a multiple of 256. */
__attribute__((always_inline))
static inline void sn_sum_t5_avx512(__m512i *sum, const uint8_t *w, const uint8_t *ahead, const SnQ8 *x)
{
    const __m512i center = _mm512_set1_epi32(sn_sum_block(x));
    __m512i y = _mm512_loadu_si512(w), z = _mm512_loadu_si512(w + 64);
    __m512i s[8];

    for (int i = 0; i < 8; i++)
        s[i] = _mm512_setzero_si512();
    for (int p = 0; p < 4; p++)
        sn_add_pair_avx512(s, &y, &z, w + 128 + 384 * p, ahead + 128 + 384 * p, x + 2 * p);
    for (int h = 0; h < 2; h++) {
        const __m512i u = _mm512_add_epi32(s[h], s[4 + h]);
        const __m512i v = _mm512_add_epi32(s[2 + h], s[6 + h]);

        sum[h] = _mm512_sub_epi32(_mm512_add_epi32(u, _mm512_add_epi32(u, u)), v);
        sum[h] = _mm512_sub_epi32(_mm512_srai_epi32(sum[h], 8), center);
    }
}

/* Four tokens: the next quad of a group, digits cut out. */
__attribute__((always_inline))
static inline void sn_add_quad_avx512(__m512i *s, __m512i *a, __m512i *b, const SnQ8 *x, int x_stride, int k, int tokens)
{
    sn_add_codes_avx512(s, sn_digits_avx512(*a), sn_digits_avx512(*b), x, x_stride, 4 * k, tokens);
    *a = sn_triple_avx512(*a);
    *b = sn_triple_avx512(*b);
}

/* Four tokens, the p-th pair of groups, one after the other. */
__attribute__((always_inline))
static inline void sn_add_pairs_avx512(__m512i *s, __m512i *y, __m512i *z, const uint8_t *pair, const SnQ8 *x, int x_stride,
                                       int tokens)
{
    __m512i u = _mm512_loadu_si512(pair), v = _mm512_loadu_si512(pair + 192);

    for (int k = 0; k < 5; k++)
        sn_add_quad_avx512(s, &u, &v, x, x_stride, k, tokens);
    u = _mm512_loadu_si512(pair + 64);
    v = _mm512_loadu_si512(pair + 192 + 64);
    for (int k = 5; k < 8; k++)
        sn_add_quad_avx512(s, &u, &v, x, x_stride, k, tokens);
    x++;
    for (int k = 0; k < 2; k++)
        sn_add_quad_avx512(s, &u, &v, x, x_stride, k, tokens);
    u = _mm512_loadu_si512(pair + 128);
    v = _mm512_loadu_si512(pair + 192 + 128);
    for (int k = 2; k < 7; k++)
        sn_add_quad_avx512(s, &u, &v, x, x_stride, k, tokens);
    sn_add_quad_avx512(s, y, z, x, x_stride, 7, tokens);
}

__attribute__((always_inline))
static inline void sn_dots_t5g256_q8g256_avx512(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                                const uint8_t *next, int tokens)
{
    __m512 f[8];

    sn_clear_avx512(f, 2 * tokens);
    for (int b = 0; b < n_in / SN_TERNARY_COLUMNS; b++, w += SN_T5_BLOCK, x += 8) {
        const uint8_t *ahead = sn_ahead(w, next);
        __m512i s[8];

        sn_ask_lines(ahead, 128);
        if (tokens == 1) {
            sn_sum_t5_avx512(s, w, ahead, x);
        } else {
            __m512i y = _mm512_loadu_si512(w), z = _mm512_loadu_si512(w + 64);    /* a digit of it for each pair of groups */

            sn_start_block_avx512(s, x, x_stride, tokens);
            for (int p = 0; p < 4; p++) {
                sn_ask_lines(ahead + 128 + 384 * p, 384);
                sn_add_pairs_avx512(s, &y, &z, w + 128 + 384 * p, x + 2 * p, x_stride, tokens);
            }
        }
        sn_ask(ahead + 1664);
        sn_scale_avx512(f, s, w + 1664, x, x_stride, tokens);
    }
    sn_store_sums_avx512(acc, f, tokens);
}

/* ---- the kernels ------------------------------------------------------------------------------------------------ */

SN_KERNEL(op=dot, layout=i2g256_r32k4, x=q8g256, tile=32x4, isa=avx512vnni, features=x86_64_v4+avx512vnni, order=blocks_fma)
static SN_APART void sn_dot4_i2g256_r32k4_q8g256_avx512vnni(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride,
                                                            int n_in, const uint8_t *next)
{
    sn_dots_i2g256_q8g256_avx512(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=i2g256_r32k4, x=q8g256, tile=32x1, isa=avx512vnni, features=x86_64_v4+avx512vnni, order=blocks_fma)
static SN_APART void sn_dot_i2g256_r32k4_q8g256_avx512vnni(float acc[32], const uint8_t *w, const SnQ8 *x, int n_in,
                                                           const uint8_t *next)
{
    sn_dots_i2g256_q8g256_avx512(acc, w, x, 0, n_in, next, 1);
}

SN_KERNEL(op=dot, layout=t5g256_r32k4, x=q8g256, tile=32x4, isa=avx512vnni, features=x86_64_v4+avx512vnni, order=blocks_fma)
static SN_APART void sn_dot4_t5g256_r32k4_q8g256_avx512vnni(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride,
                                                            int n_in, const uint8_t *next)
{
    sn_dots_t5g256_q8g256_avx512(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=t5g256_r32k4, x=q8g256, tile=32x1, isa=avx512vnni, features=x86_64_v4+avx512vnni, order=blocks_fma)
static SN_APART void sn_dot_t5g256_r32k4_q8g256_avx512vnni(float acc[32], const uint8_t *w, const SnQ8 *x, int n_in,
                                                           const uint8_t *next)
{
    sn_dots_t5g256_q8g256_avx512(acc, w, x, 0, n_in, next, 1);
}
