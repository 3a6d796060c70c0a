/* AVX2 with FMA and F16C (x86-64-v3): one 32-bit lane per row, 8 rows per vector.
 *
 * Layouts and results are those of portable/dot.c and attention.c, with fused multiply-adds.  A tile is read block by block
 * (32 columns); for four tokens the four groups of 8 rows follow one another within a block, for one token they go together;
 * the float sums rest in acc between blocks.  One body serves one token and four (`tokens` is constant where it is inlined).
 * Loops over row groups are kept as loops: unrolled, compilers keep the activations that the groups share, and spill.
 *
 * 4-bit codes: vpmaddubsw adds two products in 16 bits, and eight of those fit: 8 * 2 * 15 * 127 = 30480.
 * 8-bit codes: two products of |code| <= 128 and 127 fit (32512), so the sign goes to the activation and the code enters as
 * its absolute value. */
#include <immintrin.h>
#include "../kernel.h"

/* 8 halves to floats. */
static inline __m256 sn_halves_avx2(const void *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
}

/* Codes of row group g (8 rows), columns 4i.. of a block whose 16 rows take `half` bytes. */
static inline __m256i sn_codes_avx2(const uint8_t *w, int g, int half, int i)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)(w + g / 2 * half + 64 * i + g % 2 * 32));
}

/* Four activations, the same in every lane. */
static inline __m256i sn_four_avx2(const int8_t *q)
{
    int32_t four;

    __builtin_memcpy(&four, q, sizeof four);
    return _mm256_set1_epi32(four);
}

/* s + p.  The empty asm keeps a sum in its register and additions in their order: compilers make trees of them, and spill. */
static inline __m256i sn_add16_avx2(__m256i s, __m256i p)
{
    s = _mm256_add_epi16(s, p);
    __asm__("" : "+x"(s));
    return s;
}

static inline __m256i sn_add32_avx2(__m256i s, __m256i p)
{
    s = _mm256_add_epi32(s, p);
    __asm__("" : "+x"(s));
    return s;
}

/* The same pointer, of which the compiler no longer knows that it is: what is read through it in one row group is not kept
 * (on the stack) for the next. */
static inline const SnQ8 *sn_same_avx2(const SnQ8 *x)
{
    __asm__("" : "+r"(x));
    return x;
}

static inline void sn_clear_avx2(float *acc, int n)
{
    for (int i = 0; i < n; i += 8)
        _mm256_storeu_ps(acc + i, _mm256_setzero_ps());
}

/* acc[0..7] += the integer sums times d and the activations' scale. */
static inline void sn_scale_avx2(float *acc, __m256i s, __m256 d, float scale)
{
    _mm256_storeu_ps(acc, _mm256_fmadd_ps(_mm256_cvtepi32_ps(s), _mm256_mul_ps(d, _mm256_set1_ps(scale)),
                                          _mm256_loadu_ps(acc)));
}

/* ---- 8-bit activations ------------------------------------------------------------------------------------------ */

__attribute__((always_inline))
static inline void sn_dots_i8g32_q8_avx2(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                         const uint8_t *next, int tokens)
{
    const __m256i ones = _mm256_set1_epi16(1);
    const __m256i middle = _mm256_set1_epi8((char)0x80);
    const int groups = 4 / tokens;

    sn_clear_avx2(acc, 32 * tokens);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I8_BLOCK) {
        sn_ask_lines(sn_ahead(w, next), SN_I8_BLOCK);
        #pragma GCC unroll 1
        for (int g = 0; g < 4; g += groups) {
            const SnQ8 *y = sn_same_avx2(x + b);
            __m256i s[4];

            for (int k = 0; k < 4; k++)
                s[k] = _mm256_setzero_si256();
            for (int i = 0; i < 8; i++)
                for (int k = 0; k < groups; k++) {
                    const __m256i v = _mm256_xor_si256(sn_codes_avx2(w, g + k, 512, i), middle);    /* code - 128 */
                    const __m256i a = _mm256_abs_epi8(v);

                    for (int t = 0; t < tokens; t++) {
                        const __m256i q = _mm256_sign_epi8(sn_four_avx2(y[t * x_stride].q + 4 * i), v);
                        const __m256i p = _mm256_madd_epi16(_mm256_maddubs_epi16(a, q), ones);

                        s[k * tokens + t] = sn_add32_avx2(s[k * tokens + t], p);
                    }
                }
            for (int k = 0; k < groups; k++)
                for (int t = 0; t < tokens; t++)
                    sn_scale_avx2(acc + 32 * t + 8 * (g + k), s[k * tokens + t], sn_halves_avx2(w + 1024 + 16 * (g + k)),
                                  y[t * x_stride].d);
        }
    }
}

/* Row groups g.. of a block of 4-bit codes added to s, in pairs of 16 bits. */
__attribute__((always_inline))
static inline void sn_add_codes_i4_avx2(__m256i *s, const uint8_t *w, int g, int groups, const SnQ8 *x, int x_stride,
                                        int tokens)
{
    const __m256i low = _mm256_set1_epi8(0x0f);

    for (int i = 0; i < 4; i++)
        for (int k = 0; k < groups; k++) {
            const __m256i v = sn_codes_avx2(w, g + k, 256, i);
            const __m256i lo = _mm256_and_si256(v, low);
            const __m256i hi = _mm256_and_si256(_mm256_srli_epi16(v, 4), low);

            for (int t = 0; t < tokens; t++) {
                const int8_t *q = x[t * x_stride].q + 4 * i;
                __m256i sum = s[k * tokens + t];

                sum = sn_add16_avx2(sum, _mm256_maddubs_epi16(lo, sn_four_avx2(q)));
                s[k * tokens + t] = sn_add16_avx2(sum, _mm256_maddubs_epi16(hi, sn_four_avx2(q + 16)));
            }
        }
}

__attribute__((always_inline))
static inline void sn_dots_i4g32_q8_avx2(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                         const uint8_t *next, int tokens)
{
    const __m256i ones = _mm256_set1_epi16(1);
    const int groups = 4 / tokens;

    sn_clear_avx2(acc, 32 * tokens);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I4_BLOCK) {
        sn_ask_lines(sn_ahead(w, next), SN_I4_BLOCK);
        #pragma GCC unroll 1
        for (int g = 0; g < 4; g += groups) {
            const SnQ8 *y = sn_same_avx2(x + b);
            __m256i s[4];

            for (int k = 0; k < 4; k++)
                s[k] = _mm256_setzero_si256();
            sn_add_codes_i4_avx2(s, w, g, groups, y, x_stride, tokens);
            for (int k = 0; k < groups; k++)
                for (int t = 0; t < tokens; t++) {              /* w = d * (code - 8) */
                    const __m256i eight = _mm256_set1_epi32(8 * y[t * x_stride].sum);

                    sn_scale_avx2(acc + 32 * t + 8 * (g + k),
                                  _mm256_sub_epi32(_mm256_madd_epi16(s[k * tokens + t], ones), eight),
                                  sn_halves_avx2(w + 512 + 16 * (g + k)), y[t * x_stride].d);
                }
        }
    }
}

__attribute__((always_inline))
static inline void sn_dots_i4g32m_q8_avx2(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                          const uint8_t *next, int tokens)
{
    const __m256i ones = _mm256_set1_epi16(1);
    const int groups = 4 / tokens;

    sn_clear_avx2(acc, 32 * tokens);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I4M_BLOCK) {
        sn_ask_lines(sn_ahead(w, next), SN_I4M_BLOCK);
        #pragma GCC unroll 1
        for (int g = 0; g < 4; g += groups) {
            const SnQ8 *y = sn_same_avx2(x + b);
            __m256i s[4];

            for (int k = 0; k < 4; k++)
                s[k] = _mm256_setzero_si256();
            sn_add_codes_i4_avx2(s, w, g, groups, y, x_stride, tokens);
            for (int k = 0; k < groups; k++)
                for (int t = 0; t < tokens; t++) {
                    float *out = acc + 32 * t + 8 * (g + k);

                    sn_scale_avx2(out, _mm256_madd_epi16(s[k * tokens + t], ones), sn_halves_avx2(w + 512 + 16 * (g + k)),
                                  y[t * x_stride].d);
                    _mm256_storeu_ps(out, _mm256_fmadd_ps(sn_halves_avx2(w + 576 + 16 * (g + k)),
                                                          _mm256_set1_ps(y[t * x_stride].ds), _mm256_loadu_ps(out)));
                }
        }
    }
}

/* ---- float activations ------------------------------------------------------------------------------------------ */

/* Four columns of 8 rows added to s: w = d * code + o, code in the `mask` bits of each byte of v. */
__attribute__((always_inline))
static inline void sn_add_four_avx2(__m256 *s, __m256i v, __m256i mask, __m256 d, __m256 o, const float *x, int x_stride,
                                    int tokens)
{
    for (int j = 0; j < 4; j++) {
        const __m256 f = _mm256_fmadd_ps(_mm256_cvtepi32_ps(_mm256_and_si256(v, mask)), d, o);

        for (int t = 0; t < tokens; t++)
            s[t] = _mm256_fmadd_ps(f, _mm256_set1_ps(x[t * x_stride + j]), s[t]);
        v = _mm256_srli_epi32(v, 8);
    }
}

/* 32 columns of 4-bit codes of row group g: the low nibbles are columns 0..15, the high ones 16..31. */
__attribute__((always_inline))
static inline void sn_add_nibbles_avx2(__m256 *s, const uint8_t *w, int g, __m256 d, __m256 o, const float *x, int x_stride,
                                       int tokens)
{
    const __m256i low = _mm256_set1_epi32(0x0f);

    for (int i = 0; i < 4; i++)
        sn_add_four_avx2(s, sn_codes_avx2(w, g, 256, i), low, d, o, x + 4 * i, x_stride, tokens);
    for (int i = 0; i < 4; i++)
        sn_add_four_avx2(s, _mm256_srli_epi32(sn_codes_avx2(w, g, 256, i), 4), low, d, o, x + 16 + 4 * i, x_stride, tokens);
}

/* The group's sums go to acc: s[k tokens + t] is token t, rows 8k... */
__attribute__((always_inline))
static inline void sn_add_group_avx2(float *acc, const __m256 *s, int groups, int tokens)
{
    for (int k = 0; k < groups; k++)
        for (int t = 0; t < tokens; t++) {
            float *out = acc + 32 * t + 8 * k;

            _mm256_storeu_ps(out, _mm256_add_ps(_mm256_loadu_ps(out), s[k * tokens + t]));
        }
}

__attribute__((always_inline))
static inline void sn_dots_i8g32_f32_avx2(float *acc, const uint8_t *w, const float *x, int x_stride, int n_in,
                                          const uint8_t *next, int tokens)
{
    const __m256i byte = _mm256_set1_epi32(0xff);

    sn_clear_avx2(acc, 32 * tokens);
    for (int c = 0; c < n_in; c += SN_GROUP, w += SN_I8_BLOCK) {
        sn_ask_lines(sn_ahead(w, next), SN_I8_BLOCK);
        #pragma GCC unroll 1
        for (int g = 0; g < 4; g++) {
            const __m256 d = sn_halves_avx2(w + 1024 + 16 * g);
            const __m256 o = _mm256_mul_ps(d, _mm256_set1_ps(-128.0f));
            __m256 s[4];

            for (int t = 0; t < tokens; t++)
                s[t] = _mm256_setzero_ps();
            for (int i = 0; i < 8; i++)
                sn_add_four_avx2(s, sn_codes_avx2(w, g, 512, i), byte, d, o, x + c + 4 * i, x_stride, tokens);
            sn_add_group_avx2(acc + 8 * g, s, 1, tokens);
        }
    }
}

__attribute__((always_inline))
static inline void sn_dots_i4g32_f32_avx2(float *acc, const uint8_t *w, const float *x, int x_stride, int n_in,
                                          const uint8_t *next, int tokens)
{
    sn_clear_avx2(acc, 32 * tokens);
    for (int c = 0; c < n_in; c += SN_GROUP, w += SN_I4_BLOCK) {
        sn_ask_lines(sn_ahead(w, next), SN_I4_BLOCK);
        #pragma GCC unroll 1
        for (int g = 0; g < 4; g++) {
            const __m256 d = sn_halves_avx2(w + 512 + 16 * g);
            __m256 s[4];

            for (int t = 0; t < tokens; t++)
                s[t] = _mm256_setzero_ps();
            sn_add_nibbles_avx2(s, w, g, d, _mm256_mul_ps(d, _mm256_set1_ps(-8.0f)), x + c, x_stride, tokens);
            sn_add_group_avx2(acc + 8 * g, s, 1, tokens);
        }
    }
}

__attribute__((always_inline))
static inline void sn_dots_i4g32m_f32_avx2(float *acc, const uint8_t *w, const float *x, int x_stride, int n_in,
                                           const uint8_t *next, int tokens)
{
    sn_clear_avx2(acc, 32 * tokens);
    for (int c = 0; c < n_in; c += SN_GROUP, w += SN_I4M_BLOCK) {
        sn_ask_lines(sn_ahead(w, next), SN_I4M_BLOCK);
        #pragma GCC unroll 1
        for (int g = 0; g < 4; g++) {
            __m256 s[4];

            for (int t = 0; t < tokens; t++)
                s[t] = _mm256_setzero_ps();
            sn_add_nibbles_avx2(s, w, g, sn_halves_avx2(w + 512 + 16 * g), sn_halves_avx2(w + 576 + 16 * g), x + c,
                                x_stride, tokens);
            sn_add_group_avx2(acc + 8 * g, s, 1, tokens);
        }
    }
}

/* One column of 8 rows added to the sums of every token. */
__attribute__((always_inline))
static inline void sn_add_column_avx2(__m256 *s, __m256 w, const float *x, int x_stride, int tokens)
{
    for (int t = 0; t < tokens; t++)
        s[t] = _mm256_fmadd_ps(w, _mm256_set1_ps(x[t * x_stride]), s[t]);
}

/* One token sums all 32 rows at once, four tokens 8 rows: four sums in either case. */
__attribute__((always_inline))
static inline void sn_dots_f16_f32_avx2(float *acc, const uint8_t *w, const float *x, int x_stride, int n_in,
                                        const uint8_t *next, int tokens)
{
    const int groups = 4 / tokens;

    sn_clear_avx2(acc, 32 * tokens);
    for (int c = 0; c < n_in; c += SN_GROUP, w += 64 * SN_GROUP) {
        const int n = n_in - c < SN_GROUP ? n_in - c : SN_GROUP;

        sn_ask_lines(sn_ahead(w, next), 64 * n);
        #pragma GCC unroll 1
        for (int g = 0; g < 4; g += groups) {
            __m256 s[4];

            for (int k = 0; k < 4; k++)
                s[k] = _mm256_setzero_ps();
            for (int i = 0; i < n; i++)
                for (int k = 0; k < groups; k++)
                    sn_add_column_avx2(s + k * tokens, sn_halves_avx2(w + 64 * i + 16 * (g + k)), x + c + i, x_stride,
                                       tokens);
            sn_add_group_avx2(acc + 8 * g, s, groups, tokens);
        }
    }
}

/* 8 bfloat16 to floats. */
static inline __m256 sn_bf16_avx2(const uint8_t *p)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p)), 16));
}

__attribute__((always_inline))
static inline void sn_dots_bf16_f32_avx2(float *acc, const uint8_t *w, const float *x, int x_stride, int n_in,
                                         const uint8_t *next, int tokens)
{
    const int groups = 4 / tokens;

    sn_clear_avx2(acc, 32 * tokens);
    for (int c = 0; c < n_in; c += SN_GROUP, w += 64 * SN_GROUP) {
        const int n = n_in - c < SN_GROUP ? n_in - c : SN_GROUP;

        sn_ask_lines(sn_ahead(w, next), 64 * n);
        #pragma GCC unroll 1
        for (int g = 0; g < 4; g += groups) {
            __m256 s[4];

            for (int k = 0; k < 4; k++)
                s[k] = _mm256_setzero_ps();
            for (int i = 0; i < n; i++)
                for (int k = 0; k < groups; k++)
                    sn_add_column_avx2(s + k * tokens, sn_bf16_avx2(w + 64 * i + 16 * (g + k)), x + c + i, x_stride,
                                       tokens);
            sn_add_group_avx2(acc + 8 * g, s, groups, tokens);
        }
    }
}

__attribute__((always_inline))
static inline void sn_dots_f32_f32_avx2(float *acc, const uint8_t *w, const float *x, int x_stride, int n_in,
                                        const uint8_t *next, int tokens)
{
    const int groups = 4 / tokens;

    sn_clear_avx2(acc, 32 * tokens);
    for (int c = 0; c < n_in; c += SN_GROUP, w += 128 * SN_GROUP) {
        const int n = n_in - c < SN_GROUP ? n_in - c : SN_GROUP;

        sn_ask_lines(sn_ahead(w, next), 128 * n);
        #pragma GCC unroll 1
        for (int g = 0; g < 4; g += groups) {
            __m256 s[4];

            for (int k = 0; k < 4; k++)
                s[k] = _mm256_setzero_ps();
            for (int i = 0; i < n; i++)
                for (int k = 0; k < groups; k++)
                    sn_add_column_avx2(s + k * tokens, _mm256_loadu_ps((const void *)(w + 128 * i + 32 * (g + k))),
                                       x + c + i, x_stride, tokens);
            sn_add_group_avx2(acc + 8 * g, s, groups, tokens);
        }
    }
}

/* ---- the kernels ------------------------------------------------------------------------------------------------ */

SN_KERNEL(op=dot, layout=i8g32_r32k4, x=q8, tile=32x4, isa=avx2, features=avx2+fma+f16c, order=groups_fma)
static SN_APART void sn_dot4_i8g32_r32k4_q8_avx2(float acc[4 * 32], const uint8_t *w, const SnQ8 *x,
                                                 int x_stride, int n_in, const uint8_t *next)
{
    sn_dots_i8g32_q8_avx2(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=i8g32_r32k4, x=q8, tile=32x1, isa=avx2, features=avx2+fma+f16c, order=groups_fma)
static SN_APART void sn_dot_i8g32_r32k4_q8_avx2(float acc[32], const uint8_t *w, const SnQ8 *x,
                                                int n_in, const uint8_t *next)
{
    sn_dots_i8g32_q8_avx2(acc, w, x, 0, n_in, next, 1);
}

SN_KERNEL(op=dot, layout=i4g32_r32k4, x=q8, tile=32x4, isa=avx2, features=avx2+fma+f16c, order=groups_fma)
static SN_APART void sn_dot4_i4g32_r32k4_q8_avx2(float acc[4 * 32], const uint8_t *w, const SnQ8 *x,
                                                 int x_stride, int n_in, const uint8_t *next)
{
    sn_dots_i4g32_q8_avx2(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=i4g32_r32k4, x=q8, tile=32x1, isa=avx2, features=avx2+fma+f16c, order=groups_fma)
static SN_APART void sn_dot_i4g32_r32k4_q8_avx2(float acc[32], const uint8_t *w, const SnQ8 *x,
                                                int n_in, const uint8_t *next)
{
    sn_dots_i4g32_q8_avx2(acc, w, x, 0, n_in, next, 1);
}

SN_KERNEL(op=dot, layout=i4g32m_r32k4, x=q8, tile=32x4, isa=avx2, features=avx2+fma+f16c, order=groups_fma)
static SN_APART void sn_dot4_i4g32m_r32k4_q8_avx2(float acc[4 * 32], const uint8_t *w, const SnQ8 *x,
                                                  int x_stride, int n_in, const uint8_t *next)
{
    sn_dots_i4g32m_q8_avx2(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=i4g32m_r32k4, x=q8, tile=32x1, isa=avx2, features=avx2+fma+f16c, order=groups_fma)
static SN_APART void sn_dot_i4g32m_r32k4_q8_avx2(float acc[32], const uint8_t *w, const SnQ8 *x,
                                                 int n_in, const uint8_t *next)
{
    sn_dots_i4g32m_q8_avx2(acc, w, x, 0, n_in, next, 1);
}

SN_KERNEL(op=dot, layout=i8g32_r32k4, x=f32, tile=32x4, isa=avx2, features=avx2+fma+f16c, order=groups_fma)
static SN_APART void sn_dot4_i8g32_r32k4_f32_avx2(float acc[4 * 32], const uint8_t *w, const float *x,
                                                  int x_stride, int n_in, const uint8_t *next)
{
    sn_dots_i8g32_f32_avx2(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=i8g32_r32k4, x=f32, tile=32x1, isa=avx2, features=avx2+fma+f16c, order=groups_fma)
static SN_APART void sn_dot_i8g32_r32k4_f32_avx2(float acc[32], const uint8_t *w, const float *x,
                                                 int n_in, const uint8_t *next)
{
    sn_dots_i8g32_f32_avx2(acc, w, x, 0, n_in, next, 1);
}

SN_KERNEL(op=dot, layout=i4g32_r32k4, x=f32, tile=32x4, isa=avx2, features=avx2+fma+f16c, order=groups_fma)
static SN_APART void sn_dot4_i4g32_r32k4_f32_avx2(float acc[4 * 32], const uint8_t *w, const float *x,
                                                  int x_stride, int n_in, const uint8_t *next)
{
    sn_dots_i4g32_f32_avx2(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=i4g32_r32k4, x=f32, tile=32x1, isa=avx2, features=avx2+fma+f16c, order=groups_fma)
static SN_APART void sn_dot_i4g32_r32k4_f32_avx2(float acc[32], const uint8_t *w, const float *x,
                                                 int n_in, const uint8_t *next)
{
    sn_dots_i4g32_f32_avx2(acc, w, x, 0, n_in, next, 1);
}

SN_KERNEL(op=dot, layout=i4g32m_r32k4, x=f32, tile=32x4, isa=avx2, features=avx2+fma+f16c, order=groups_fma)
static SN_APART void sn_dot4_i4g32m_r32k4_f32_avx2(float acc[4 * 32], const uint8_t *w,
                                                   const float *x, int x_stride, int n_in,
                                                 const uint8_t *next)
{
    sn_dots_i4g32m_f32_avx2(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=i4g32m_r32k4, x=f32, tile=32x1, isa=avx2, features=avx2+fma+f16c, order=groups_fma)
static SN_APART void sn_dot_i4g32m_r32k4_f32_avx2(float acc[32], const uint8_t *w, const float *x,
                                                  int n_in, const uint8_t *next)
{
    sn_dots_i4g32m_f32_avx2(acc, w, x, 0, n_in, next, 1);
}

SN_KERNEL(op=dot, layout=f16_r32k1, x=f32, tile=32x4, isa=avx2, features=avx2+fma+f16c, order=groups_fma)
static SN_APART void sn_dot4_f16_r32k1_f32_avx2(float acc[4 * 32], const uint8_t *w, const float *x,
                                                int x_stride, int n_in, const uint8_t *next)
{
    sn_dots_f16_f32_avx2(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=f16_r32k1, x=f32, tile=32x1, isa=avx2, features=avx2+fma+f16c, order=groups_fma)
static SN_APART void sn_dot_f16_r32k1_f32_avx2(float acc[32], const uint8_t *w, const float *x,
                                               int n_in, const uint8_t *next)
{
    sn_dots_f16_f32_avx2(acc, w, x, 0, n_in, next, 1);
}

SN_KERNEL(op=dot, layout=bf16_r32k1, x=f32, tile=32x4, isa=avx2, features=avx2+fma+f16c, order=groups_fma)
static SN_APART void sn_dot4_bf16_r32k1_f32_avx2(float acc[4 * 32], const uint8_t *w, const float *x,
                                                 int x_stride, int n_in, const uint8_t *next)
{
    sn_dots_bf16_f32_avx2(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=bf16_r32k1, x=f32, tile=32x1, isa=avx2, features=avx2+fma+f16c, order=groups_fma)
static SN_APART void sn_dot_bf16_r32k1_f32_avx2(float acc[32], const uint8_t *w, const float *x,
                                                int n_in, const uint8_t *next)
{
    sn_dots_bf16_f32_avx2(acc, w, x, 0, n_in, next, 1);
}

SN_KERNEL(op=dot, layout=f32_r32k1, x=f32, tile=32x4, isa=avx2, features=avx2+fma+f16c, order=groups_fma)
static SN_APART void sn_dot4_f32_r32k1_f32_avx2(float acc[4 * 32], const uint8_t *w, const float *x,
                                                int x_stride, int n_in, const uint8_t *next)
{
    sn_dots_f32_f32_avx2(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=f32_r32k1, x=f32, tile=32x1, isa=avx2, features=avx2+fma+f16c, order=groups_fma)
static SN_APART void sn_dot_f32_r32k1_f32_avx2(float acc[32], const uint8_t *w, const float *x,
                                               int n_in, const uint8_t *next)
{
    sn_dots_f32_f32_avx2(acc, w, x, 0, n_in, next, 1);
}

/* ---- attention: see portable/attention.c -------------------------------------------------------------------------- */

/* Which of 8 lanes exist when n are left. */
static inline __m256i sn_lanes_avx2(int n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

/* The first n <= 8 of 8 halves as floats, zeros behind them: pairs by a masked load, an odd one by itself. */
static inline __m256 sn_some_halves_avx2(const uint16_t *p, int n)
{
    const __m128i pairs = _mm_cmpgt_epi32(_mm_set1_epi32(n / 2), _mm_setr_epi32(0, 1, 2, 3));
    __m128i h = _mm_maskload_epi32((const int *)(const void *)p, pairs);

    if (n % 2) {
        const __m128i last = _mm_cmpeq_epi16(_mm_set1_epi16((short)(n - 1)), _mm_setr_epi16(0, 1, 2, 3, 4, 5, 6, 7));

        h = _mm_or_si128(h, _mm_and_si128(last, _mm_set1_epi16((short)p[n - 1])));
    }
    return _mm256_cvtph_ps(h);
}

/* 16 lanes, the first eight in lo, to 4: halves are added to halves. */
static inline __m128 sn_fold_avx2(__m256 lo, __m256 hi)
{
    const __m256 h = _mm256_add_ps(lo, hi);

    return _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
}

/* The sums of four vectors' lanes, side by side. */
static inline __m128 sn_sum_four_avx2(__m128 e, __m128 f, __m128 g, __m128 h)
{
    const __m128 ef = _mm_add_ps(_mm_unpacklo_ps(e, f), _mm_unpackhi_ps(e, f));     /* e0+e2 f0+f2 e1+e3 f1+f3 */
    const __m128 gh = _mm_add_ps(_mm_unpacklo_ps(g, h), _mm_unpackhi_ps(g, h));

    return _mm_add_ps(_mm_movelh_ps(ef, gh), _mm_movehl_ps(gh, ef));
}

/* s[0..n-1] of four. */
static inline void sn_store_some_avx2(float *s, __m128 v, int n)
{
    float four[4];

    if (n == 4) {
        _mm_storeu_ps(s, v);
        return;
    }
    _mm_storeu_ps(four, v);
    for (int i = 0; i < n; i++)
        s[i] = four[i];
}

/* 4 positions at once, so that eight chains of multiply-adds run side by side; the last ones are computed with whatever
 * positions there are, twice if need be. */
SN_KERNEL(op=score, kv=f16, isa=avx2, features=avx2+fma+f16c, order=lanes16_fma)
static SN_APART void sn_score_f16_avx2(float *s, const float *q, const uint16_t *k, int stride, int n, int head_dim,
                                       float scale)
{
    for (int i = 0; i < n; i += 4) {
        const int left = n - i < 4 ? n - i : 4;
        const uint16_t *k0 = k + (int64_t)i * stride;
        const uint16_t *k1 = k0 + (left > 1 ? stride : 0);
        const uint16_t *k2 = k1 + (left > 2 ? stride : 0);
        const uint16_t *k3 = k2 + (left > 3 ? stride : 0);
        __m256 lo0 = _mm256_setzero_ps(), lo1 = lo0, lo2 = lo0, lo3 = lo0;
        __m256 hi0 = lo0, hi1 = lo0, hi2 = lo0, hi3 = lo0;
        int d = 0;

        for (; d + 16 <= head_dim; d += 16) {
            const __m256 u = _mm256_loadu_ps(q + d);
            const __m256 v = _mm256_loadu_ps(q + d + 8);

            lo0 = _mm256_fmadd_ps(u, sn_halves_avx2(k0 + d), lo0);
            hi0 = _mm256_fmadd_ps(v, sn_halves_avx2(k0 + d + 8), hi0);
            lo1 = _mm256_fmadd_ps(u, sn_halves_avx2(k1 + d), lo1);
            hi1 = _mm256_fmadd_ps(v, sn_halves_avx2(k1 + d + 8), hi1);
            lo2 = _mm256_fmadd_ps(u, sn_halves_avx2(k2 + d), lo2);
            hi2 = _mm256_fmadd_ps(v, sn_halves_avx2(k2 + d + 8), hi2);
            lo3 = _mm256_fmadd_ps(u, sn_halves_avx2(k3 + d), lo3);
            hi3 = _mm256_fmadd_ps(v, sn_halves_avx2(k3 + d + 8), hi3);
        }
        if (d < head_dim) {
            const int n_lo = head_dim - d < 8 ? head_dim - d : 8;
            const int n_hi = head_dim - d - n_lo;
            const __m256 u = _mm256_maskload_ps(q + d, sn_lanes_avx2(n_lo));
            const __m256 v = _mm256_maskload_ps(q + d + n_lo, sn_lanes_avx2(n_hi));

            lo0 = _mm256_fmadd_ps(u, sn_some_halves_avx2(k0 + d, n_lo), lo0);
            hi0 = _mm256_fmadd_ps(v, sn_some_halves_avx2(k0 + d + n_lo, n_hi), hi0);
            lo1 = _mm256_fmadd_ps(u, sn_some_halves_avx2(k1 + d, n_lo), lo1);
            hi1 = _mm256_fmadd_ps(v, sn_some_halves_avx2(k1 + d + n_lo, n_hi), hi1);
            lo2 = _mm256_fmadd_ps(u, sn_some_halves_avx2(k2 + d, n_lo), lo2);
            hi2 = _mm256_fmadd_ps(v, sn_some_halves_avx2(k2 + d + n_lo, n_hi), hi2);
            lo3 = _mm256_fmadd_ps(u, sn_some_halves_avx2(k3 + d, n_lo), lo3);
            hi3 = _mm256_fmadd_ps(v, sn_some_halves_avx2(k3 + d + n_lo, n_hi), hi3);
        }
        sn_store_some_avx2(s + i, _mm_mul_ps(_mm_set1_ps(scale),
                                             sn_sum_four_avx2(sn_fold_avx2(lo0, hi0), sn_fold_avx2(lo1, hi1),
                                                              sn_fold_avx2(lo2, hi2), sn_fold_avx2(lo3, hi3))), left);
    }
}

SN_KERNEL(op=score, kv=f32, isa=avx2, features=avx2+fma+f16c, order=lanes16_fma)
static SN_APART void sn_score_f32_avx2(float *s, const float *q, const float *k, int stride, int n, int head_dim,
                                       float scale)
{
    for (int i = 0; i < n; i += 4) {
        const int left = n - i < 4 ? n - i : 4;
        const float *k0 = k + (int64_t)i * stride;
        const float *k1 = k0 + (left > 1 ? stride : 0);
        const float *k2 = k1 + (left > 2 ? stride : 0);
        const float *k3 = k2 + (left > 3 ? stride : 0);
        __m256 lo0 = _mm256_setzero_ps(), lo1 = lo0, lo2 = lo0, lo3 = lo0;
        __m256 hi0 = lo0, hi1 = lo0, hi2 = lo0, hi3 = lo0;
        int d = 0;

        for (; d + 16 <= head_dim; d += 16) {
            const __m256 u = _mm256_loadu_ps(q + d);
            const __m256 v = _mm256_loadu_ps(q + d + 8);

            lo0 = _mm256_fmadd_ps(u, _mm256_loadu_ps(k0 + d), lo0);
            hi0 = _mm256_fmadd_ps(v, _mm256_loadu_ps(k0 + d + 8), hi0);
            lo1 = _mm256_fmadd_ps(u, _mm256_loadu_ps(k1 + d), lo1);
            hi1 = _mm256_fmadd_ps(v, _mm256_loadu_ps(k1 + d + 8), hi1);
            lo2 = _mm256_fmadd_ps(u, _mm256_loadu_ps(k2 + d), lo2);
            hi2 = _mm256_fmadd_ps(v, _mm256_loadu_ps(k2 + d + 8), hi2);
            lo3 = _mm256_fmadd_ps(u, _mm256_loadu_ps(k3 + d), lo3);
            hi3 = _mm256_fmadd_ps(v, _mm256_loadu_ps(k3 + d + 8), hi3);
        }
        if (d < head_dim) {
            const int n_lo = head_dim - d < 8 ? head_dim - d : 8;
            const int n_hi = head_dim - d - n_lo;
            const __m256i m_lo = sn_lanes_avx2(n_lo);
            const __m256i m_hi = sn_lanes_avx2(n_hi);
            const __m256 u = _mm256_maskload_ps(q + d, m_lo);
            const __m256 v = _mm256_maskload_ps(q + d + n_lo, m_hi);

            lo0 = _mm256_fmadd_ps(u, _mm256_maskload_ps(k0 + d, m_lo), lo0);
            hi0 = _mm256_fmadd_ps(v, _mm256_maskload_ps(k0 + d + n_lo, m_hi), hi0);
            lo1 = _mm256_fmadd_ps(u, _mm256_maskload_ps(k1 + d, m_lo), lo1);
            hi1 = _mm256_fmadd_ps(v, _mm256_maskload_ps(k1 + d + n_lo, m_hi), hi1);
            lo2 = _mm256_fmadd_ps(u, _mm256_maskload_ps(k2 + d, m_lo), lo2);
            hi2 = _mm256_fmadd_ps(v, _mm256_maskload_ps(k2 + d + n_lo, m_hi), hi2);
            lo3 = _mm256_fmadd_ps(u, _mm256_maskload_ps(k3 + d, m_lo), lo3);
            hi3 = _mm256_fmadd_ps(v, _mm256_maskload_ps(k3 + d + n_lo, m_hi), hi3);
        }
        sn_store_some_avx2(s + i, _mm_mul_ps(_mm_set1_ps(scale),
                                             sn_sum_four_avx2(sn_fold_avx2(lo0, hi0), sn_fold_avx2(lo1, hi1),
                                                              sn_fold_avx2(lo2, hi2), sn_fold_avx2(lo3, hi3))), left);
    }
}

/* 64 columns stay in registers over all positions; what is left of head_dim goes 8 at a time, then one by one. */
SN_KERNEL(op=mix, kv=f16, isa=avx2, features=avx2+fma+f16c, order=positions_fma)
static SN_APART void sn_mix_f16_avx2(float *y, const float *p, const uint16_t *v, int stride, int n, int head_dim)
{
    int d = 0;

    for (; d + 64 <= head_dim; d += 64) {
        __m256 s[8];

        for (int j = 0; j < 8; j++)
            s[j] = _mm256_loadu_ps(y + d + 8 * j);
        for (int i = 0; i < n; i++) {
            const uint16_t *e = v + (int64_t)i * stride + d;
            const __m256 a = _mm256_set1_ps(p[i]);

            for (int j = 0; j < 8; j++)
                s[j] = _mm256_fmadd_ps(a, sn_halves_avx2(e + 8 * j), s[j]);
        }
        for (int j = 0; j < 8; j++)
            _mm256_storeu_ps(y + d + 8 * j, s[j]);
    }
    for (; d + 8 <= head_dim; d += 8) {
        __m256 s = _mm256_loadu_ps(y + d);

        for (int i = 0; i < n; i++)
            s = _mm256_fmadd_ps(_mm256_set1_ps(p[i]), sn_halves_avx2(v + (int64_t)i * stride + d), s);
        _mm256_storeu_ps(y + d, s);
    }
    for (d = head_dim & ~7; d < head_dim; d++)
        for (int i = 0; i < n; i++)
            y[d] = __builtin_fmaf(p[i], _cvtsh_ss(v[(int64_t)i * stride + d]), y[d]);
}

SN_KERNEL(op=mix, kv=f32, isa=avx2, features=avx2+fma+f16c, order=positions_fma)
static SN_APART void sn_mix_f32_avx2(float *y, const float *p, const float *v, int stride, int n, int head_dim)
{
    int d = 0;

    for (; d + 64 <= head_dim; d += 64) {
        __m256 s[8];

        for (int j = 0; j < 8; j++)
            s[j] = _mm256_loadu_ps(y + d + 8 * j);
        for (int i = 0; i < n; i++) {
            const float *e = v + (int64_t)i * stride + d;
            const __m256 a = _mm256_set1_ps(p[i]);

            for (int j = 0; j < 8; j++)
                s[j] = _mm256_fmadd_ps(a, _mm256_loadu_ps(e + 8 * j), s[j]);
        }
        for (int j = 0; j < 8; j++)
            _mm256_storeu_ps(y + d + 8 * j, s[j]);
    }
    for (; d + 8 <= head_dim; d += 8) {
        __m256 s = _mm256_loadu_ps(y + d);

        for (int i = 0; i < n; i++)
            s = _mm256_fmadd_ps(_mm256_set1_ps(p[i]), _mm256_loadu_ps(v + (int64_t)i * stride + d), s);
        _mm256_storeu_ps(y + d, s);
    }
    for (d = head_dim & ~7; d < head_dim; d++)
        for (int i = 0; i < n; i++)
            y[d] = __builtin_fmaf(p[i], v[(int64_t)i * stride + d], y[d]);
}

/* n floats to halves. */
SN_KERNEL(op=store_f16, x=f32, isa=avx2, features=avx2+fma+f16c, order=exact)
static inline void sn_store_f16_avx2(uint16_t *y, const float *x, int n)
{
    int i = 0;

    for (; i + 8 <= n; i += 8)
        _mm_storeu_si128((__m128i *)(void *)(y + i), _mm256_cvtps_ph(_mm256_loadu_ps(x + i), _MM_FROUND_TO_NEAREST_INT));
    for (; i < n; i++)
        y[i] = sn_f32_to_f16(x[i]);
}
