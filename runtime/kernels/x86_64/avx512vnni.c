/* AVX-512 with VNNI (x86-64-v4 + avx512vnni): one 32-bit lane per row, so that no sum of a dot product crosses lanes.
 *
 * Layouts and results are those of portable/dot.c and attention.c, with fused multiply-adds.  A vector of packed codes holds
 * 16 rows x 4 columns: vpdpbusd multiplies it with four 8-bit activations, the same in every lane (a memory broadcast costs
 * nothing).  One body serves one token and four (`tokens` is constant where it is inlined), so their sums are the same.
 * 32 rows x 4 tokens take 8 of the 32 registers for float sums and 8 for a block's own.  Both halves of a block go together:
 * one after the other, compilers keep all the activations that they share, and spill.  Lines ahead are asked for between the
 * loads of codes. */
#include <immintrin.h>
#include "../kernel.h"

/* 16 halves to floats. */
static inline __m512 sn_halves_avx512(const void *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}

/* Four activations, the same in every lane. */
static inline __m512i sn_four_avx512(const int8_t *q)
{
    int32_t four;

    __builtin_memcpy(&four, q, sizeof four);
    return _mm512_set1_epi32(four);
}

/* s + four products in every lane.  The empty asm keeps the sum in its register: gcc 12 spills it otherwise. */
static inline __m512i sn_dpbusd_avx512(__m512i s, __m512i w, __m512i x)
{
    s = _mm512_dpbusd_epi32(s, w, x);
    __asm__("" : "+v"(s));
    return s;
}

/* Start of a kernel's sums, and their end: f[2 t + h] is rows 16h.. of token t. */
__attribute__((always_inline))
static inline void sn_clear_avx512(__m512 *f, int n)
{
    for (int i = 0; i < n; i++)
        f[i] = _mm512_setzero_ps();
}

__attribute__((always_inline))
static inline void sn_store_sums_avx512(float *acc, const __m512 *f, int tokens)
{
    for (int t = 0; t < tokens; t++) {
        _mm512_storeu_ps(acc + 32 * t, f[2 * t]);
        _mm512_storeu_ps(acc + 32 * t + 16, f[2 * t + 1]);
    }
}

/* ---- 8-bit activations ------------------------------------------------------------------------------------------ */

/* The integer sums start at what the codes' offset contributes: -offset * sum(q). */
__attribute__((always_inline))
static inline void sn_start_avx512(__m512i *s, const SnQ8 *x, int x_stride, int offset, int tokens)
{
    for (int t = 0; t < tokens; t++)
        s[2 * t] = s[2 * t + 1] = _mm512_set1_epi32(-offset * x[t * x_stride].sum);
}

/* Four columns of 32 rows, a and b, added to the sums of every token; q is where they begin in its block. */
__attribute__((always_inline))
static inline void sn_add_codes_avx512(__m512i *s, __m512i a, __m512i b, const SnQ8 *x, int x_stride, int q, int tokens)
{
    for (int t = 0; t < tokens; t++) {
        const __m512i v = sn_four_avx512(x[t * x_stride].q + q);

        s[2 * t] = sn_dpbusd_avx512(s[2 * t], a, v);
        s[2 * t + 1] = sn_dpbusd_avx512(s[2 * t + 1], b, v);
    }
}

/* The integer sums of a block, times the weights' and the activations' scales, added to f. */
__attribute__((always_inline))
static inline void sn_scale_avx512(__m512 *f, const __m512i *s, const uint8_t *scales, const SnQ8 *x, int x_stride,
                                   int tokens)
{
    const __m512 d0 = sn_halves_avx512(scales);
    const __m512 d1 = sn_halves_avx512(scales + 32);

    for (int t = 0; t < tokens; t++) {
        const __m512 v = _mm512_set1_ps(x[t * x_stride].d);

        f[2 * t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(s[2 * t]), _mm512_mul_ps(d0, v), f[2 * t]);
        f[2 * t + 1] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(s[2 * t + 1]), _mm512_mul_ps(d1, v), f[2 * t + 1]);
    }
}

__attribute__((always_inline))
static inline void sn_dots_i8g32_q8_avx512(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                           const uint8_t *next, int tokens)
{
    __m512 f[8];

    sn_clear_avx512(f, 2 * tokens);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I8_BLOCK) {
        const uint8_t *ahead = sn_ahead(w, next);
        __m512i s[8];

        sn_start_avx512(s, x + b, x_stride, 128, tokens);
        for (int i = 0; i < 8; i++) {
            sn_ask(ahead + 128 * i);
            sn_ask(ahead + 128 * i + 64);
            sn_add_codes_avx512(s, _mm512_loadu_si512(w + 64 * i), _mm512_loadu_si512(w + 512 + 64 * i), x + b, x_stride,
                                4 * i, tokens);
        }
        sn_ask(ahead + 1024);
        sn_scale_avx512(f, s, w + 1024, x + b, x_stride, tokens);
    }
    sn_store_sums_avx512(acc, f, tokens);
}

/* A block of 32 x 32 codes of 4 bits; asks for as much at `ahead`. */
__attribute__((always_inline))
static inline void sn_add_block_i4_avx512(__m512i *s, const uint8_t *w, const uint8_t *ahead, const SnQ8 *x, int x_stride,
                                          int tokens)
{
    const __m512i low = _mm512_set1_epi8(0x0f);

    for (int i = 0; i < 4; i++) {
        const __m512i u = _mm512_loadu_si512(w + 64 * i);
        const __m512i v = _mm512_loadu_si512(w + 256 + 64 * i);

        sn_ask(ahead + 128 * i);
        sn_ask(ahead + 128 * i + 64);
        sn_add_codes_avx512(s, _mm512_and_si512(u, low), _mm512_and_si512(v, low), x, x_stride, 4 * i, tokens);
        sn_add_codes_avx512(s, _mm512_and_si512(_mm512_srli_epi16(u, 4), low),
                            _mm512_and_si512(_mm512_srli_epi16(v, 4), low), x, x_stride, 16 + 4 * i, tokens);
    }
}

__attribute__((always_inline))
static inline void sn_dots_i4g32_q8_avx512(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                           const uint8_t *next, int tokens)
{
    __m512 f[8];

    sn_clear_avx512(f, 2 * tokens);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I4_BLOCK) {
        const uint8_t *ahead = sn_ahead(w, next);
        __m512i s[8];

        sn_start_avx512(s, x + b, x_stride, 8, tokens);
        sn_add_block_i4_avx512(s, w, ahead, x + b, x_stride, tokens);
        sn_ask(ahead + 512);
        sn_scale_avx512(f, s, w + 512, x + b, x_stride, tokens);
    }
    sn_store_sums_avx512(acc, f, tokens);
}

__attribute__((always_inline))
static inline void sn_dots_i4g32m_q8_avx512(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                            const uint8_t *next, int tokens)
{
    __m512 f[8];

    sn_clear_avx512(f, 2 * tokens);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I4M_BLOCK) {
        const uint8_t *ahead = sn_ahead(w, next);
        const __m512 m0 = sn_halves_avx512(w + 576);
        const __m512 m1 = sn_halves_avx512(w + 608);
        __m512i s[8];

        sn_start_avx512(s, x + b, x_stride, 0, tokens);
        sn_add_block_i4_avx512(s, w, ahead, x + b, x_stride, tokens);
        sn_ask(ahead + 512);
        sn_ask(ahead + 576);
        sn_scale_avx512(f, s, w + 512, x + b, x_stride, tokens);
        for (int t = 0; t < tokens; t++) {
            const __m512 v = _mm512_set1_ps(x[t * x_stride + b].ds);

            f[2 * t] = _mm512_fmadd_ps(m0, v, f[2 * t]);
            f[2 * t + 1] = _mm512_fmadd_ps(m1, v, f[2 * t + 1]);
        }
    }
    sn_store_sums_avx512(acc, f, tokens);
}

/* ---- float activations ------------------------------------------------------------------------------------------ */

/* One column of 32 rows, a and b, added to the sums of every token. */
__attribute__((always_inline))
static inline void sn_add_column_avx512(__m512 *s, __m512 a, __m512 b, const float *x, int x_stride, int tokens)
{
    for (int t = 0; t < tokens; t++) {
        const __m512 v = _mm512_set1_ps(x[t * x_stride]);

        s[2 * t] = _mm512_fmadd_ps(a, v, s[2 * t]);
        s[2 * t + 1] = _mm512_fmadd_ps(b, v, s[2 * t + 1]);
    }
}

/* The group's sums go to the kernel's. */
__attribute__((always_inline))
static inline void sn_add_group_avx512(__m512 *f, const __m512 *s, int tokens)
{
    for (int i = 0; i < 2 * tokens; i++)
        f[i] = _mm512_add_ps(f[i], s[i]);
}

/* Four columns of 32 rows added to s: w = d * code + o, where d[0], o[0] and the bits `mask` of each byte of u are rows
 * 0..15, d[1], o[1] and v rows 16..31. */
__attribute__((always_inline))
static inline void sn_add_four_avx512(__m512 *s, __m512i u, __m512i v, __m512i mask, const __m512 *d, const __m512 *o,
                                      const float *x, int x_stride, int tokens)
{
    for (int j = 0; j < 4; j++) {
        sn_add_column_avx512(s, _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_and_si512(u, mask)), d[0], o[0]),
                             _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_and_si512(v, mask)), d[1], o[1]), x + j, x_stride,
                             tokens);
        u = _mm512_srli_epi32(u, 8);
        v = _mm512_srli_epi32(v, 8);
    }
}

/* 32 columns of 4-bit codes: the low nibbles are columns 0..15, the high ones 16..31. */
__attribute__((always_inline))
static inline void sn_add_nibbles_avx512(__m512 *s, const uint8_t *w, const __m512 *d, const __m512 *o, const float *x,
                                         int x_stride, int tokens)
{
    const __m512i low = _mm512_set1_epi32(0x0f);

    for (int i = 0; i < 4; i++)
        sn_add_four_avx512(s, _mm512_loadu_si512(w + 64 * i), _mm512_loadu_si512(w + 256 + 64 * i), low, d, o, x + 4 * i,
                           x_stride, tokens);
    for (int i = 0; i < 4; i++)
        sn_add_four_avx512(s, _mm512_srli_epi32(_mm512_loadu_si512(w + 64 * i), 4),
                           _mm512_srli_epi32(_mm512_loadu_si512(w + 256 + 64 * i), 4), low, d, o, x + 16 + 4 * i, x_stride,
                           tokens);
}

__attribute__((always_inline))
static inline void sn_dots_i8g32_f32_avx512(float *acc, const uint8_t *w, const float *x, int x_stride, int n_in,
                                            const uint8_t *next, int tokens)
{
    const __m512i byte = _mm512_set1_epi32(0xff);
    const __m512 middle = _mm512_set1_ps(-128.0f);
    __m512 f[8];

    sn_clear_avx512(f, 2 * tokens);
    for (int c = 0; c < n_in; c += SN_GROUP, w += SN_I8_BLOCK) {
        const __m512 d[2] = { sn_halves_avx512(w + 1024), sn_halves_avx512(w + 1056) };
        const __m512 o[2] = { _mm512_mul_ps(d[0], middle), _mm512_mul_ps(d[1], middle) };
        __m512 s[8];

        sn_ask_lines(sn_ahead(w, next), SN_I8_BLOCK);
        sn_clear_avx512(s, 2 * tokens);
        for (int i = 0; i < 8; i++)
            sn_add_four_avx512(s, _mm512_loadu_si512(w + 64 * i), _mm512_loadu_si512(w + 512 + 64 * i), byte, d, o,
                               x + c + 4 * i, x_stride, tokens);
        sn_add_group_avx512(f, s, tokens);
    }
    sn_store_sums_avx512(acc, f, tokens);
}

__attribute__((always_inline))
static inline void sn_dots_i4g32_f32_avx512(float *acc, const uint8_t *w, const float *x, int x_stride, int n_in,
                                            const uint8_t *next, int tokens)
{
    const __m512 middle = _mm512_set1_ps(-8.0f);
    __m512 f[8];

    sn_clear_avx512(f, 2 * tokens);
    for (int c = 0; c < n_in; c += SN_GROUP, w += SN_I4_BLOCK) {
        const __m512 d[2] = { sn_halves_avx512(w + 512), sn_halves_avx512(w + 544) };
        const __m512 o[2] = { _mm512_mul_ps(d[0], middle), _mm512_mul_ps(d[1], middle) };
        __m512 s[8];

        sn_ask_lines(sn_ahead(w, next), SN_I4_BLOCK);
        sn_clear_avx512(s, 2 * tokens);
        sn_add_nibbles_avx512(s, w, d, o, x + c, x_stride, tokens);
        sn_add_group_avx512(f, s, tokens);
    }
    sn_store_sums_avx512(acc, f, tokens);
}

__attribute__((always_inline))
static inline void sn_dots_i4g32m_f32_avx512(float *acc, const uint8_t *w, const float *x, int x_stride, int n_in,
                                             const uint8_t *next, int tokens)
{
    __m512 f[8];

    sn_clear_avx512(f, 2 * tokens);
    for (int c = 0; c < n_in; c += SN_GROUP, w += SN_I4M_BLOCK) {
        const __m512 d[2] = { sn_halves_avx512(w + 512), sn_halves_avx512(w + 544) };
        const __m512 o[2] = { sn_halves_avx512(w + 576), sn_halves_avx512(w + 608) };
        __m512 s[8];

        sn_ask_lines(sn_ahead(w, next), SN_I4M_BLOCK);
        sn_clear_avx512(s, 2 * tokens);
        sn_add_nibbles_avx512(s, w, d, o, x + c, x_stride, tokens);
        sn_add_group_avx512(f, s, tokens);
    }
    sn_store_sums_avx512(acc, f, tokens);
}

__attribute__((always_inline))
static inline void sn_dots_f16_f32_avx512(float *acc, const uint8_t *w, const float *x, int x_stride, int n_in,
                                          const uint8_t *next, int tokens)
{
    __m512 f[8];

    sn_clear_avx512(f, 2 * tokens);
    for (int c = 0; c < n_in; c += SN_GROUP) {
        const int n = n_in - c < SN_GROUP ? n_in - c : SN_GROUP;
        const uint8_t *ahead = sn_ahead(w, next);
        __m512 s[8];

        sn_clear_avx512(s, 2 * tokens);
        for (int i = 0; i < n; i++, w += 64, ahead += 64) {
            sn_ask(ahead);
            sn_add_column_avx512(s, sn_halves_avx512(w), sn_halves_avx512(w + 32), x + c + i, x_stride, tokens);
        }
        sn_add_group_avx512(f, s, tokens);
    }
    sn_store_sums_avx512(acc, f, tokens);
}

/* 16 bfloat16 to floats. */
static inline __m512 sn_bf16_avx512(const uint8_t *p)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p)), 16));
}

__attribute__((always_inline))
static inline void sn_dots_bf16_f32_avx512(float *acc, const uint8_t *w, const float *x, int x_stride, int n_in,
                                           const uint8_t *next, int tokens)
{
    __m512 f[8];

    sn_clear_avx512(f, 2 * tokens);
    for (int c = 0; c < n_in; c += SN_GROUP) {
        const int n = n_in - c < SN_GROUP ? n_in - c : SN_GROUP;
        const uint8_t *ahead = sn_ahead(w, next);
        __m512 s[8];

        sn_clear_avx512(s, 2 * tokens);
        for (int i = 0; i < n; i++, w += 64, ahead += 64) {
            sn_ask(ahead);
            sn_add_column_avx512(s, sn_bf16_avx512(w), sn_bf16_avx512(w + 32), x + c + i, x_stride, tokens);
        }
        sn_add_group_avx512(f, s, tokens);
    }
    sn_store_sums_avx512(acc, f, tokens);
}

__attribute__((always_inline))
static inline void sn_dots_f32_f32_avx512(float *acc, const uint8_t *w, const float *x, int x_stride, int n_in,
                                          const uint8_t *next, int tokens)
{
    __m512 f[8];

    sn_clear_avx512(f, 2 * tokens);
    for (int c = 0; c < n_in; c += SN_GROUP) {
        const int n = n_in - c < SN_GROUP ? n_in - c : SN_GROUP;
        const uint8_t *ahead = sn_ahead(w, next);
        __m512 s[8];

        sn_clear_avx512(s, 2 * tokens);
        for (int i = 0; i < n; i++, w += 128, ahead += 128) {
            sn_ask(ahead);
            sn_ask(ahead + 64);
            sn_add_column_avx512(s, _mm512_loadu_ps((const void *)w), _mm512_loadu_ps((const void *)(w + 64)), x + c + i,
                                 x_stride, tokens);
        }
        sn_add_group_avx512(f, s, tokens);
    }
    sn_store_sums_avx512(acc, f, tokens);
}

/* ---- the kernels ------------------------------------------------------------------------------------------------ */

SN_KERNEL(op=dot, layout=i8g32_r32k4, x=q8, tile=32x4, isa=avx512vnni, features=x86_64_v4+avx512vnni, order=groups_fma)
static SN_APART void sn_dot4_i8g32_r32k4_q8_avx512vnni(float acc[4 * 32], const uint8_t *w,
                                                       const SnQ8 *x, int x_stride, int n_in,
                                                     const uint8_t *next)
{
    sn_dots_i8g32_q8_avx512(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=i8g32_r32k4, x=q8, tile=32x1, isa=avx512vnni, features=x86_64_v4+avx512vnni, order=groups_fma)
static SN_APART void sn_dot_i8g32_r32k4_q8_avx512vnni(float acc[32], const uint8_t *w, const SnQ8 *x,
                                                      int n_in, const uint8_t *next)
{
    sn_dots_i8g32_q8_avx512(acc, w, x, 0, n_in, next, 1);
}

SN_KERNEL(op=dot, layout=i4g32_r32k4, x=q8, tile=32x4, isa=avx512vnni, features=x86_64_v4+avx512vnni, order=groups_fma)
static SN_APART void sn_dot4_i4g32_r32k4_q8_avx512vnni(float acc[4 * 32], const uint8_t *w,
                                                       const SnQ8 *x, int x_stride, int n_in,
                                                     const uint8_t *next)
{
    sn_dots_i4g32_q8_avx512(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=i4g32_r32k4, x=q8, tile=32x1, isa=avx512vnni, features=x86_64_v4+avx512vnni, order=groups_fma)
static SN_APART void sn_dot_i4g32_r32k4_q8_avx512vnni(float acc[32], const uint8_t *w, const SnQ8 *x,
                                                      int n_in, const uint8_t *next)
{
    sn_dots_i4g32_q8_avx512(acc, w, x, 0, n_in, next, 1);
}

SN_KERNEL(op=dot, layout=i4g32m_r32k4, x=q8, tile=32x4, isa=avx512vnni, features=x86_64_v4+avx512vnni, order=groups_fma)
static SN_APART void sn_dot4_i4g32m_r32k4_q8_avx512vnni(float acc[4 * 32], const uint8_t *w,
                                                        const SnQ8 *x, int x_stride, int n_in,
                                                      const uint8_t *next)
{
    sn_dots_i4g32m_q8_avx512(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=i4g32m_r32k4, x=q8, tile=32x1, isa=avx512vnni, features=x86_64_v4+avx512vnni, order=groups_fma)
static SN_APART void sn_dot_i4g32m_r32k4_q8_avx512vnni(float acc[32], const uint8_t *w, const SnQ8 *x,
                                                       int n_in, const uint8_t *next)
{
    sn_dots_i4g32m_q8_avx512(acc, w, x, 0, n_in, next, 1);
}

SN_KERNEL(op=dot, layout=i8g32_r32k4, x=f32, tile=32x4, isa=avx512vnni, features=x86_64_v4+avx512vnni, order=groups_fma)
static SN_APART void sn_dot4_i8g32_r32k4_f32_avx512vnni(float acc[4 * 32], const uint8_t *w,
                                                        const float *x, int x_stride, int n_in,
                                                      const uint8_t *next)
{
    sn_dots_i8g32_f32_avx512(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=i8g32_r32k4, x=f32, tile=32x1, isa=avx512vnni, features=x86_64_v4+avx512vnni, order=groups_fma)
static SN_APART void sn_dot_i8g32_r32k4_f32_avx512vnni(float acc[32], const uint8_t *w,
                                                       const float *x, int n_in, const uint8_t *next)
{
    sn_dots_i8g32_f32_avx512(acc, w, x, 0, n_in, next, 1);
}

SN_KERNEL(op=dot, layout=i4g32_r32k4, x=f32, tile=32x4, isa=avx512vnni, features=x86_64_v4+avx512vnni, order=groups_fma)
static SN_APART void sn_dot4_i4g32_r32k4_f32_avx512vnni(float acc[4 * 32], const uint8_t *w,
                                                        const float *x, int x_stride, int n_in,
                                                      const uint8_t *next)
{
    sn_dots_i4g32_f32_avx512(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=i4g32_r32k4, x=f32, tile=32x1, isa=avx512vnni, features=x86_64_v4+avx512vnni, order=groups_fma)
static SN_APART void sn_dot_i4g32_r32k4_f32_avx512vnni(float acc[32], const uint8_t *w,
                                                       const float *x, int n_in, const uint8_t *next)
{
    sn_dots_i4g32_f32_avx512(acc, w, x, 0, n_in, next, 1);
}

SN_KERNEL(op=dot, layout=i4g32m_r32k4, x=f32, tile=32x4, isa=avx512vnni, features=x86_64_v4+avx512vnni, order=groups_fma)
static SN_APART void sn_dot4_i4g32m_r32k4_f32_avx512vnni(float acc[4 * 32], const uint8_t *w,
                                                         const float *x, int x_stride, int n_in,
                                                       const uint8_t *next)
{
    sn_dots_i4g32m_f32_avx512(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=i4g32m_r32k4, x=f32, tile=32x1, isa=avx512vnni, features=x86_64_v4+avx512vnni, order=groups_fma)
static SN_APART void sn_dot_i4g32m_r32k4_f32_avx512vnni(float acc[32], const uint8_t *w,
                                                        const float *x, int n_in, const uint8_t *next)
{
    sn_dots_i4g32m_f32_avx512(acc, w, x, 0, n_in, next, 1);
}

SN_KERNEL(op=dot, layout=f16_r32k1, x=f32, tile=32x4, isa=avx512vnni, features=x86_64_v4+avx512vnni, order=groups_fma)
static SN_APART void sn_dot4_f16_r32k1_f32_avx512vnni(float acc[4 * 32], const uint8_t *w,
                                                      const float *x, int x_stride, int n_in,
                                                    const uint8_t *next)
{
    sn_dots_f16_f32_avx512(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=f16_r32k1, x=f32, tile=32x1, isa=avx512vnni, features=x86_64_v4+avx512vnni, order=groups_fma)
static SN_APART void sn_dot_f16_r32k1_f32_avx512vnni(float acc[32], const uint8_t *w, const float *x,
                                                     int n_in, const uint8_t *next)
{
    sn_dots_f16_f32_avx512(acc, w, x, 0, n_in, next, 1);
}

SN_KERNEL(op=dot, layout=bf16_r32k1, x=f32, tile=32x4, isa=avx512vnni, features=x86_64_v4+avx512vnni, order=groups_fma)
static SN_APART void sn_dot4_bf16_r32k1_f32_avx512vnni(float acc[4 * 32], const uint8_t *w,
                                                       const float *x, int x_stride, int n_in,
                                                     const uint8_t *next)
{
    sn_dots_bf16_f32_avx512(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=bf16_r32k1, x=f32, tile=32x1, isa=avx512vnni, features=x86_64_v4+avx512vnni, order=groups_fma)
static SN_APART void sn_dot_bf16_r32k1_f32_avx512vnni(float acc[32], const uint8_t *w, const float *x,
                                                      int n_in, const uint8_t *next)
{
    sn_dots_bf16_f32_avx512(acc, w, x, 0, n_in, next, 1);
}

SN_KERNEL(op=dot, layout=f32_r32k1, x=f32, tile=32x4, isa=avx512vnni, features=x86_64_v4+avx512vnni, order=groups_fma)
static SN_APART void sn_dot4_f32_r32k1_f32_avx512vnni(float acc[4 * 32], const uint8_t *w,
                                                      const float *x, int x_stride, int n_in,
                                                    const uint8_t *next)
{
    sn_dots_f32_f32_avx512(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=f32_r32k1, x=f32, tile=32x1, isa=avx512vnni, features=x86_64_v4+avx512vnni, order=groups_fma)
static SN_APART void sn_dot_f32_r32k1_f32_avx512vnni(float acc[32], const uint8_t *w, const float *x,
                                                     int n_in, const uint8_t *next)
{
    sn_dots_f32_f32_avx512(acc, w, x, 0, n_in, next, 1);
}

/* ---- attention: see portable/attention.c -------------------------------------------------------------------------- */

/* Which of 16 lanes exist when n are left. */
static inline __mmask16 sn_lanes_avx512(int n)
{
    return n >= 16 ? (__mmask16)0xffff : (__mmask16)((1u << n) - 1);
}

/* 16 lanes to 4: halves are added to halves. */
static inline __m128 sn_fold_avx512(__m512 v)
{
    const __m256 h = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));

    return _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
}

/* The sums of four vectors' lanes, side by side. */
static inline __m128 sn_sum_four_avx512(__m512 a, __m512 b, __m512 c, __m512 d)
{
    const __m128 e = sn_fold_avx512(a);
    const __m128 f = sn_fold_avx512(b);
    const __m128 g = sn_fold_avx512(c);
    const __m128 h = sn_fold_avx512(d);
    const __m128 ef = _mm_add_ps(_mm_unpacklo_ps(e, f), _mm_unpackhi_ps(e, f));     /* e0+e2 f0+f2 e1+e3 f1+f3 */
    const __m128 gh = _mm_add_ps(_mm_unpacklo_ps(g, h), _mm_unpackhi_ps(g, h));

    return _mm_add_ps(_mm_movelh_ps(ef, gh), _mm_movehl_ps(gh, ef));
}

/* 4 positions at once, so that four chains of multiply-adds run side by side; the last ones are computed with whatever
 * positions there are, twice if need be. */
SN_KERNEL(op=score, kv=f16, isa=avx512vnni, features=x86_64_v4, order=lanes16_fma)
static SN_APART void sn_score_f16_avx512vnni(float *s, const float *q, const uint16_t *k, int stride, int n, int head_dim,
                                             float scale)
{
    for (int i = 0; i < n; i += 4) {
        const int left = n - i < 4 ? n - i : 4;
        const uint16_t *k0 = k + (int64_t)i * stride;
        const uint16_t *k1 = k0 + (left > 1 ? stride : 0);
        const uint16_t *k2 = k1 + (left > 2 ? stride : 0);
        const uint16_t *k3 = k2 + (left > 3 ? stride : 0);
        __m512 s0 = _mm512_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
        int d = 0;

        for (; d + 16 <= head_dim; d += 16) {
            const __m512 v = _mm512_loadu_ps(q + d);

            s0 = _mm512_fmadd_ps(v, sn_halves_avx512(k0 + d), s0);
            s1 = _mm512_fmadd_ps(v, sn_halves_avx512(k1 + d), s1);
            s2 = _mm512_fmadd_ps(v, sn_halves_avx512(k2 + d), s2);
            s3 = _mm512_fmadd_ps(v, sn_halves_avx512(k3 + d), s3);
        }
        if (d < head_dim) {
            const __mmask16 m = sn_lanes_avx512(head_dim - d);
            const __m512 v = _mm512_maskz_loadu_ps(m, q + d);

            s0 = _mm512_fmadd_ps(v, _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(m, k0 + d)), s0);
            s1 = _mm512_fmadd_ps(v, _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(m, k1 + d)), s1);
            s2 = _mm512_fmadd_ps(v, _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(m, k2 + d)), s2);
            s3 = _mm512_fmadd_ps(v, _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(m, k3 + d)), s3);
        }
        _mm_mask_storeu_ps(s + i, (__mmask8)((1 << left) - 1),
                           _mm_mul_ps(_mm_set1_ps(scale), sn_sum_four_avx512(s0, s1, s2, s3)));
    }
}

SN_KERNEL(op=score, kv=f32, isa=avx512vnni, features=x86_64_v4, order=lanes16_fma)
static SN_APART void sn_score_f32_avx512vnni(float *s, const float *q, const float *k, int stride, int n, int head_dim,
                                             float scale)
{
    for (int i = 0; i < n; i += 4) {
        const int left = n - i < 4 ? n - i : 4;
        const float *k0 = k + (int64_t)i * stride;
        const float *k1 = k0 + (left > 1 ? stride : 0);
        const float *k2 = k1 + (left > 2 ? stride : 0);
        const float *k3 = k2 + (left > 3 ? stride : 0);
        __m512 s0 = _mm512_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;

        for (int d = 0; d < head_dim; d += 16) {
            const __mmask16 m = sn_lanes_avx512(head_dim - d);
            const __m512 v = _mm512_maskz_loadu_ps(m, q + d);

            s0 = _mm512_fmadd_ps(v, _mm512_maskz_loadu_ps(m, k0 + d), s0);
            s1 = _mm512_fmadd_ps(v, _mm512_maskz_loadu_ps(m, k1 + d), s1);
            s2 = _mm512_fmadd_ps(v, _mm512_maskz_loadu_ps(m, k2 + d), s2);
            s3 = _mm512_fmadd_ps(v, _mm512_maskz_loadu_ps(m, k3 + d), s3);
        }
        _mm_mask_storeu_ps(s + i, (__mmask8)((1 << left) - 1),
                           _mm_mul_ps(_mm_set1_ps(scale), sn_sum_four_avx512(s0, s1, s2, s3)));
    }
}

/* 64 columns stay in registers over all positions; what is left of head_dim goes 16 at a time. */
SN_KERNEL(op=mix, kv=f16, isa=avx512vnni, features=x86_64_v4, order=positions_fma)
static SN_APART void sn_mix_f16_avx512vnni(float *y, const float *p, const uint16_t *v, int stride, int n, int head_dim)
{
    int d = 0;

    for (; d + 64 <= head_dim; d += 64) {
        __m512 s0 = _mm512_loadu_ps(y + d), s1 = _mm512_loadu_ps(y + d + 16);
        __m512 s2 = _mm512_loadu_ps(y + d + 32), s3 = _mm512_loadu_ps(y + d + 48);

        for (int i = 0; i < n; i++) {
            const uint16_t *e = v + (int64_t)i * stride + d;
            const __m512 a = _mm512_set1_ps(p[i]);

            s0 = _mm512_fmadd_ps(a, sn_halves_avx512(e), s0);
            s1 = _mm512_fmadd_ps(a, sn_halves_avx512(e + 16), s1);
            s2 = _mm512_fmadd_ps(a, sn_halves_avx512(e + 32), s2);
            s3 = _mm512_fmadd_ps(a, sn_halves_avx512(e + 48), s3);
        }
        _mm512_storeu_ps(y + d, s0);
        _mm512_storeu_ps(y + d + 16, s1);
        _mm512_storeu_ps(y + d + 32, s2);
        _mm512_storeu_ps(y + d + 48, s3);
    }
    for (; d < head_dim; d += 16) {
        const __mmask16 m = sn_lanes_avx512(head_dim - d);
        __m512 s = _mm512_maskz_loadu_ps(m, y + d);

        for (int i = 0; i < n; i++)
            s = _mm512_fmadd_ps(_mm512_set1_ps(p[i]),
                                _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(m, v + (int64_t)i * stride + d)), s);
        _mm512_mask_storeu_ps(y + d, m, s);
    }
}

SN_KERNEL(op=mix, kv=f32, isa=avx512vnni, features=x86_64_v4, order=positions_fma)
static SN_APART void sn_mix_f32_avx512vnni(float *y, const float *p, const float *v, int stride, int n, int head_dim)
{
    int d = 0;

    for (; d + 64 <= head_dim; d += 64) {
        __m512 s0 = _mm512_loadu_ps(y + d), s1 = _mm512_loadu_ps(y + d + 16);
        __m512 s2 = _mm512_loadu_ps(y + d + 32), s3 = _mm512_loadu_ps(y + d + 48);

        for (int i = 0; i < n; i++) {
            const float *e = v + (int64_t)i * stride + d;
            const __m512 a = _mm512_set1_ps(p[i]);

            s0 = _mm512_fmadd_ps(a, _mm512_loadu_ps(e), s0);
            s1 = _mm512_fmadd_ps(a, _mm512_loadu_ps(e + 16), s1);
            s2 = _mm512_fmadd_ps(a, _mm512_loadu_ps(e + 32), s2);
            s3 = _mm512_fmadd_ps(a, _mm512_loadu_ps(e + 48), s3);
        }
        _mm512_storeu_ps(y + d, s0);
        _mm512_storeu_ps(y + d + 16, s1);
        _mm512_storeu_ps(y + d + 32, s2);
        _mm512_storeu_ps(y + d + 48, s3);
    }
    for (; d < head_dim; d += 16) {
        const __mmask16 m = sn_lanes_avx512(head_dim - d);
        __m512 s = _mm512_maskz_loadu_ps(m, y + d);

        for (int i = 0; i < n; i++)
            s = _mm512_fmadd_ps(_mm512_set1_ps(p[i]), _mm512_maskz_loadu_ps(m, v + (int64_t)i * stride + d), s);
        _mm512_mask_storeu_ps(y + d, m, s);
    }
}

/* n floats to halves. */
SN_KERNEL(op=store_f16, x=f32, isa=avx512vnni, features=x86_64_v4, order=exact)
static inline void sn_store_f16_avx512vnni(uint16_t *y, const float *x, int n)
{
    for (int i = 0; i < n; i += 16) {
        const __mmask16 m = sn_lanes_avx512(n - i);

        _mm256_mask_storeu_epi16(y + i, m, _mm512_cvtps_ph(_mm512_maskz_loadu_ps(m, x + i),
                                                           _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
    }
}
