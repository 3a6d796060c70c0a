/* AVX2, codes in two planes and scales of two levels: the layouts of portable/dot_planes.c.
 *
 * As in avx2.c a lane is a row, 8 rows make a vector, one token sums four such groups at once and four tokens one after another.
 *
 * 5-bit codes: 2 * 31 * 127 for a vpmaddubsw, and four of those fit in 16 bits (31496).
 * 6-bit codes: four do not fit, but their sums with 32 subtracted from every code do: within 8 * 32 * 127 = 32512.  So 32 times
 * the activations' sum is subtracted in 16 bits, where it does not matter that numbers wrap around on the way.  What vpmaddwd
 * then multiplies with is not 1 but the group's s. */
#include <immintrin.h>
#include "../kernel.h"

/* 8 unsigned bytes as floats. */
static inline __m256 sn_bytes_avx2(const uint8_t *p)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p)));
}

/* 8 signed ones. */
static inline __m256 sn_signed_bytes_avx2(const uint8_t *p)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p)));
}

/* 8 signed bytes, each twice, as 16-bit numbers. */
static inline __m256i sn_twice_avx2(const uint8_t *p)
{
    const __m128i v = _mm_loadl_epi64((const __m128i *)(const void *)p);

    return _mm256_cvtepi8_epi16(_mm_unpacklo_epi8(v, v));
}

/* Codes of row group g, columns 4i+j (`up` 0) or 16+4i+j (`up` 1), one in a byte: of 5 bits and of 6. */
__attribute__((always_inline))
static inline __m256i sn_five_avx2(const uint8_t *w, int g, int i, int up)
{
    const __m256i v = sn_codes_avx2(w, g, 256, i);
    const __m256i h = _mm256_loadu_si256((const __m256i *)(const void *)(w + 512 + 32 * g));

    return _mm256_or_si256(_mm256_and_si256(up ? _mm256_srli_epi16(v, 4) : v, _mm256_set1_epi8(0x0f)),
                           _mm256_and_si256(up ? _mm256_srli_epi16(h, i) : _mm256_slli_epi16(h, 4 - i),
                                            _mm256_set1_epi8(0x10)));
}

__attribute__((always_inline))
static inline __m256i sn_six_avx2(const uint8_t *w, int g, int i, int up)
{
    const __m256i v = sn_codes_avx2(w, g, 256, i);
    const __m256i h = sn_codes_avx2(w + 512, g, 128, i % 2);
    const int field = i / 2 * 2;

    return _mm256_or_si256(_mm256_and_si256(up ? _mm256_srli_epi16(v, 4) : v, _mm256_set1_epi8(0x0f)),
                           _mm256_and_si256(up ? _mm256_srli_epi16(h, field) : _mm256_slli_epi16(h, 4 - field),
                                            _mm256_set1_epi8(0x30)));
}

/* ---- 8-bit activations ------------------------------------------------------------------------------------------ */

/* The integer sums of row groups g.. of a block of 5-bit codes: two vectors of nibbles, then 32 bits. */
__attribute__((always_inline))
static inline void sn_sum_codes_i5_avx2(__m256i *s, const uint8_t *w, int g, int groups, const SnQ8 *x, int x_stride,
                                        int tokens)
{
    const __m256i ones = _mm256_set1_epi16(1);

    for (int k = 0; k < 4; k++)
        s[k] = _mm256_setzero_si256();
    for (int half = 0; half < 2; half++)
        for (int k = 0; k < groups; k++) {
            __m256i p[4];

            for (int t = 0; t < tokens; t++)
                p[t] = _mm256_setzero_si256();
            for (int i = 2 * half; i < 2 * half + 2; i++) {
                const __m256i lo = sn_five_avx2(w, g + k, i, 0);
                const __m256i hi = sn_five_avx2(w, g + k, i, 1);

                for (int t = 0; t < tokens; t++) {
                    const int8_t *q = x[t * x_stride].q + 4 * i;

                    p[t] = sn_add16_avx2(p[t], _mm256_maddubs_epi16(lo, sn_four_avx2(q)));
                    p[t] = sn_add16_avx2(p[t], _mm256_maddubs_epi16(hi, sn_four_avx2(q + 16)));
                }
            }
            for (int t = 0; t < tokens; t++)
                s[k * tokens + t] = sn_add32_avx2(s[k * tokens + t], _mm256_madd_epi16(p[t], ones));
        }
}

__attribute__((always_inline))
static inline void sn_dots_i5g32_q8_avx2(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                         const uint8_t *next, int tokens)
{
    const int groups = 4 / tokens;

    sn_clear_avx2(acc, 32 * tokens);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I5_BLOCK) {
        sn_ask_lines(sn_ahead(w, next), SN_I5_BLOCK);
        #pragma GCC unroll 1
        for (int g = 0; g < 4; g += groups) {
            const SnQ8 *y = sn_same_avx2(x + b);
            __m256i s[4];

            sn_sum_codes_i5_avx2(s, w, g, groups, y, x_stride, tokens);
            for (int k = 0; k < groups; k++)
                for (int t = 0; t < tokens; t++) {              /* w = d * (code - 16) */
                    const __m256i offset = _mm256_set1_epi32(16 * y[t * x_stride].sum);

                    sn_scale_avx2(acc + 32 * t + 8 * (g + k), _mm256_sub_epi32(s[k * tokens + t], offset),
                                  sn_halves_avx2(w + 640 + 16 * (g + k)), y[t * x_stride].d);
                }
        }
    }
}

/* A group's integer sums of rows 8g.. times d s, and m t: `head` is the block's d and m, `subs` the group's s and t. */
__attribute__((always_inline))
static inline void sn_scale_ms_avx2(float *acc, const __m256i *s, const uint8_t *head, const uint8_t *subs, int g,
                                    const SnQ8 *x, int x_stride, int tokens)
{
    const __m256 d = _mm256_mul_ps(sn_bytes_avx2(subs + 8 * g), sn_halves_avx2(head + 16 * g));
    const __m256 m = _mm256_mul_ps(sn_bytes_avx2(subs + 32 + 8 * g), sn_halves_avx2(head + 64 + 16 * g));

    for (int t = 0; t < tokens; t++) {
        float *out = acc + 32 * t + 8 * g;

        sn_scale_avx2(out, s[t], d, x[t * x_stride].d);
        _mm256_storeu_ps(out, _mm256_fmadd_ps(m, _mm256_set1_ps(x[t * x_stride].ds), _mm256_loadu_ps(out)));
    }
}

/* Codes of 4 bits and, if fifth, 5. */
__attribute__((always_inline))
static inline void sn_dots_g32ms_q8_avx2(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                         const uint8_t *next, int tokens, int fifth)
{
    const __m256i ones = _mm256_set1_epi16(1);
    const int groups = 4 / tokens;
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
                __m256i s[4];

                if (fifth) {
                    sn_sum_codes_i5_avx2(s, w, g, groups, y, x_stride, tokens);
                } else {
                    for (int k = 0; k < 4; k++)
                        s[k] = _mm256_setzero_si256();
                    sn_add_codes_i4_avx2(s, w, g, groups, y, x_stride, tokens);
                    for (int k = 0; k < 4; k++)
                        s[k] = _mm256_madd_epi16(s[k], ones);
                }
                for (int k = 0; k < groups; k++)
                    sn_scale_ms_avx2(acc, s + k * tokens, head, w + codes, g + k, y, x_stride, tokens);
            }
        }
    }
}

/* 32 times the sums of 16 activations, those of columns 4i, 4i+1 in even 16-bit lanes, 4i+2, 4i+3 in odd ones. */
static inline __m256i sn_sums32_avx2(const int8_t *q)
{
    const __m256i v = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)q));
    __m256i s = _mm256_maddubs_epi16(_mm256_set1_epi8(32), v);

    s = _mm256_add_epi16(s, _mm256_shuffle_epi32(s, 0xb1));
    return _mm256_add_epi16(s, _mm256_shuffle_epi32(s, 0x4e));
}

/* Row groups g.. of columns 0..15 (`up` 0) or 16..31 (`up` 1) of a block of 6-bit codes: the group's scale
 * times (code - 32) times x, added to s. */
__attribute__((always_inline))
static inline void sn_sum_codes_i6_avx2(__m256i *s, const uint8_t *w, int g, int groups, int up, const SnQ8 *x, int x_stride,
                                        int tokens)
{
    __m256i p[4];

    for (int k = 0; k < 4; k++)
        p[k] = _mm256_setzero_si256();
    #pragma GCC unroll 1
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < groups; k++) {
            const __m256i u = sn_six_avx2(w + 64 * i, g + k, 0, up);
            const __m256i v = sn_six_avx2(w + 64 * i, g + k, 2, up);

            for (int t = 0; t < tokens; t++) {
                const int8_t *q = x[t * x_stride].q + 16 * up + 4 * i;
                __m256i sum = p[k * tokens + t];

                sum = sn_add16_avx2(sum, _mm256_maddubs_epi16(u, sn_four_avx2(q)));
                p[k * tokens + t] = sn_add16_avx2(sum, _mm256_maddubs_epi16(v, sn_four_avx2(q + 8)));
            }
        }
    for (int t = 0; t < tokens; t++) {
        const __m256i offset = sn_sums32_avx2(x[t * x_stride].q + 16 * up);

        for (int k = 0; k < groups; k++) {
            const __m256i sum = _mm256_sub_epi16(p[k * tokens + t], offset);
            const __m256i scale = sn_twice_avx2(w + 768 + 32 * up + 8 * (g + k));

            s[k * tokens + t] = sn_add32_avx2(s[k * tokens + t], _mm256_madd_epi16(sum, scale));
        }
    }
}

__attribute__((always_inline))
static inline void sn_dots_i6g16s_q8_avx2(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
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
                float *out = acc + 8 * g;
                __m256i s[4];

                __asm__("" : "+r"(out));                        /* or gcc keeps acc in registers that it lacks */
                for (int k = 0; k < 4; k++)
                    s[k] = _mm256_setzero_si256();
                sn_sum_codes_i6_avx2(s, w, g, groups, 0, y, x_stride, tokens);
                y = sn_same_avx2(y);
                sn_sum_codes_i6_avx2(s, w, g, groups, 1, y, x_stride, tokens);
                for (int k = 0; k < groups; k++)
                    for (int t = 0; t < tokens; t++)
                        sn_scale_avx2(out + 32 * t + 8 * k, s[k * tokens + t], sn_halves_avx2(head + 16 * (g + k)),
                                      y[t * x_stride].d);
            }
        }
    }
}

/* ---- float activations ------------------------------------------------------------------------------------------ */

/* 32 columns of 5-bit codes of row group g. */
__attribute__((always_inline))
static inline void sn_add_fives_avx2(__m256 *s, const uint8_t *w, int g, __m256 d, __m256 o, const float *x, int x_stride,
                                     int tokens)
{
    const __m256i low = _mm256_set1_epi32(0x1f);

    for (int i = 0; i < 4; i++)
        sn_add_four_avx2(s, sn_five_avx2(w, g, i, 0), low, d, o, x + 4 * i, x_stride, tokens);
    for (int i = 0; i < 4; i++)
        sn_add_four_avx2(s, sn_five_avx2(w, g, i, 1), low, d, o, x + 16 + 4 * i, x_stride, tokens);
}

/* 16 columns of 6-bit codes. */
__attribute__((always_inline))
static inline void sn_add_sixes_avx2(__m256 *s, const uint8_t *w, int g, int up, __m256 d, __m256 o, const float *x,
                                     int x_stride, int tokens)
{
    const __m256i low = _mm256_set1_epi32(0x3f);

    for (int i = 0; i < 4; i++)
        sn_add_four_avx2(s, sn_six_avx2(w, g, i, up), low, d, o, x + 4 * i, x_stride, tokens);
}

__attribute__((always_inline))
static inline void sn_dots_i5g32_f32_avx2(float *acc, const uint8_t *w, const float *x, int x_stride, int n_in,
                                          const uint8_t *next, int tokens)
{
    sn_clear_avx2(acc, 32 * tokens);
    for (int c = 0; c < n_in; c += SN_GROUP, w += SN_I5_BLOCK) {
        sn_ask_lines(sn_ahead(w, next), SN_I5_BLOCK);
        #pragma GCC unroll 1
        for (int g = 0; g < 4; g++) {
            const __m256 d = sn_halves_avx2(w + 640 + 16 * g);
            __m256 s[4];

            for (int t = 0; t < tokens; t++)
                s[t] = _mm256_setzero_ps();
            sn_add_fives_avx2(s, w, g, d, _mm256_mul_ps(d, _mm256_set1_ps(-16.0f)), x + c, x_stride, tokens);
            sn_add_group_avx2(acc + 8 * g, s, 1, tokens);
        }
    }
}

__attribute__((always_inline))
static inline void sn_dots_g32ms_f32_avx2(float *acc, const uint8_t *w, const float *x, int x_stride, int n_in,
                                          const uint8_t *next, int tokens, int fifth)
{
    const int codes = fifth ? 640 : 512;

    sn_clear_avx2(acc, 32 * tokens);
    for (int b = 0; b < n_in; b += SN_SPANS * SN_GROUP) {
        const uint8_t *ahead = sn_ahead(w, next);
        const uint8_t *head = w;

        sn_ask_lines(ahead, 128);
        w += 128;
        ahead += 128;
        for (int c = b; c < b + SN_SPANS * SN_GROUP; c += SN_GROUP, w += codes + 64, ahead += codes + 64) {
            sn_ask_lines(ahead, codes + 64);
            #pragma GCC unroll 1
            for (int g = 0; g < 4; g++) {
                const __m256 d = _mm256_mul_ps(sn_bytes_avx2(w + codes + 8 * g), sn_halves_avx2(head + 16 * g));
                const __m256 m = _mm256_mul_ps(sn_bytes_avx2(w + codes + 32 + 8 * g), sn_halves_avx2(head + 64 + 16 * g));
                __m256 s[4];

                for (int t = 0; t < tokens; t++)
                    s[t] = _mm256_setzero_ps();
                if (fifth)
                    sn_add_fives_avx2(s, w, g, d, m, x + c, x_stride, tokens);
                else
                    sn_add_nibbles_avx2(s, w, g, d, m, x + c, x_stride, tokens);
                sn_add_group_avx2(acc + 8 * g, s, 1, tokens);
            }
        }
    }
}

__attribute__((always_inline))
static inline void sn_dots_i6g16s_f32_avx2(float *acc, const uint8_t *w, const float *x, int x_stride, int n_in,
                                           const uint8_t *next, int tokens)
{
    const __m256 middle = _mm256_set1_ps(-32.0f);

    sn_clear_avx2(acc, 32 * tokens);
    for (int b = 0; b < n_in; b += SN_SPANS * SN_GROUP) {
        const uint8_t *ahead = sn_ahead(w, next);
        const uint8_t *head = w;

        sn_ask(ahead);
        w += 64;
        ahead += 64;
        for (int c = b; c < b + SN_SPANS * SN_GROUP; c += SN_GROUP, w += SN_I6S_SPAN, ahead += SN_I6S_SPAN) {
            sn_ask_lines(ahead, SN_I6S_SPAN);
            #pragma GCC unroll 1
            for (int g = 0; g < 4; g++) {
                const __m256 d = sn_halves_avx2(head + 16 * g);
                const __m256 d0 = _mm256_mul_ps(sn_signed_bytes_avx2(w + 768 + 8 * g), d);
                const __m256 d1 = _mm256_mul_ps(sn_signed_bytes_avx2(w + 800 + 8 * g), d);
                __m256 s[4];

                for (int t = 0; t < tokens; t++)
                    s[t] = _mm256_setzero_ps();
                sn_add_sixes_avx2(s, w, g, 0, d0, _mm256_mul_ps(d0, middle), x + c, x_stride, tokens);
                sn_add_sixes_avx2(s, w, g, 1, d1, _mm256_mul_ps(d1, middle), x + c + 16, x_stride, tokens);
                sn_add_group_avx2(acc + 8 * g, s, 1, tokens);
            }
        }
    }
}

/* ---- the kernels ------------------------------------------------------------------------------------------------ */

SN_KERNEL(op=dot, layout=i5g32_r32k4, x=q8, tile=32x4, isa=avx2, features=avx2+fma+f16c, order=groups_fma)
static SN_APART void sn_dot4_i5g32_r32k4_q8_avx2(float acc[4 * 32], const uint8_t *w, const SnQ8 *x,
                                                 int x_stride, int n_in, const uint8_t *next)
{
    sn_dots_i5g32_q8_avx2(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=i5g32_r32k4, x=q8, tile=32x1, isa=avx2, features=avx2+fma+f16c, order=groups_fma)
static SN_APART void sn_dot_i5g32_r32k4_q8_avx2(float acc[32], const uint8_t *w, const SnQ8 *x,
                                                int n_in, const uint8_t *next)
{
    sn_dots_i5g32_q8_avx2(acc, w, x, 0, n_in, next, 1);
}

SN_KERNEL(op=dot, layout=i4g32ms_r32k4, x=q8, tile=32x4, isa=avx2, features=avx2+fma+f16c, order=groups_fma)
static SN_APART void sn_dot4_i4g32ms_r32k4_q8_avx2(float acc[4 * 32], const uint8_t *w, const SnQ8 *x,
                                                   int x_stride, int n_in, const uint8_t *next)
{
    sn_dots_g32ms_q8_avx2(acc, w, x, x_stride, n_in, next, 4, 0);
}

SN_KERNEL(op=dot, layout=i4g32ms_r32k4, x=q8, tile=32x1, isa=avx2, features=avx2+fma+f16c, order=groups_fma)
static SN_APART void sn_dot_i4g32ms_r32k4_q8_avx2(float acc[32], const uint8_t *w, const SnQ8 *x,
                                                  int n_in, const uint8_t *next)
{
    sn_dots_g32ms_q8_avx2(acc, w, x, 0, n_in, next, 1, 0);
}

SN_KERNEL(op=dot, layout=i5g32ms_r32k4, x=q8, tile=32x4, isa=avx2, features=avx2+fma+f16c, order=groups_fma)
static SN_APART void sn_dot4_i5g32ms_r32k4_q8_avx2(float acc[4 * 32], const uint8_t *w, const SnQ8 *x,
                                                   int x_stride, int n_in, const uint8_t *next)
{
    sn_dots_g32ms_q8_avx2(acc, w, x, x_stride, n_in, next, 4, 1);
}

SN_KERNEL(op=dot, layout=i5g32ms_r32k4, x=q8, tile=32x1, isa=avx2, features=avx2+fma+f16c, order=groups_fma)
static SN_APART void sn_dot_i5g32ms_r32k4_q8_avx2(float acc[32], const uint8_t *w, const SnQ8 *x,
                                                  int n_in, const uint8_t *next)
{
    sn_dots_g32ms_q8_avx2(acc, w, x, 0, n_in, next, 1, 1);
}

SN_KERNEL(op=dot, layout=i6g16s_r32k4, x=q8, tile=32x4, isa=avx2, features=avx2+fma+f16c, order=groups_fma)
static SN_APART void sn_dot4_i6g16s_r32k4_q8_avx2(float acc[4 * 32], const uint8_t *w, const SnQ8 *x,
                                                  int x_stride, int n_in, const uint8_t *next)
{
    sn_dots_i6g16s_q8_avx2(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=i6g16s_r32k4, x=q8, tile=32x1, isa=avx2, features=avx2+fma+f16c, order=groups_fma)
static SN_APART void sn_dot_i6g16s_r32k4_q8_avx2(float acc[32], const uint8_t *w, const SnQ8 *x,
                                                 int n_in, const uint8_t *next)
{
    sn_dots_i6g16s_q8_avx2(acc, w, x, 0, n_in, next, 1);
}

SN_KERNEL(op=dot, layout=i5g32_r32k4, x=f32, tile=32x4, isa=avx2, features=avx2+fma+f16c, order=groups_fma)
static SN_APART void sn_dot4_i5g32_r32k4_f32_avx2(float acc[4 * 32], const uint8_t *w, const float *x,
                                                  int x_stride, int n_in, const uint8_t *next)
{
    sn_dots_i5g32_f32_avx2(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=i5g32_r32k4, x=f32, tile=32x1, isa=avx2, features=avx2+fma+f16c, order=groups_fma)
static SN_APART void sn_dot_i5g32_r32k4_f32_avx2(float acc[32], const uint8_t *w, const float *x,
                                                 int n_in, const uint8_t *next)
{
    sn_dots_i5g32_f32_avx2(acc, w, x, 0, n_in, next, 1);
}

SN_KERNEL(op=dot, layout=i4g32ms_r32k4, x=f32, tile=32x4, isa=avx2, features=avx2+fma+f16c, order=groups_fma)
static SN_APART void sn_dot4_i4g32ms_r32k4_f32_avx2(float acc[4 * 32], const uint8_t *w,
                                                    const float *x, int x_stride, int n_in,
                                                  const uint8_t *next)
{
    sn_dots_g32ms_f32_avx2(acc, w, x, x_stride, n_in, next, 4, 0);
}

SN_KERNEL(op=dot, layout=i4g32ms_r32k4, x=f32, tile=32x1, isa=avx2, features=avx2+fma+f16c, order=groups_fma)
static SN_APART void sn_dot_i4g32ms_r32k4_f32_avx2(float acc[32], const uint8_t *w, const float *x,
                                                   int n_in, const uint8_t *next)
{
    sn_dots_g32ms_f32_avx2(acc, w, x, 0, n_in, next, 1, 0);
}

SN_KERNEL(op=dot, layout=i5g32ms_r32k4, x=f32, tile=32x4, isa=avx2, features=avx2+fma+f16c, order=groups_fma)
static SN_APART void sn_dot4_i5g32ms_r32k4_f32_avx2(float acc[4 * 32], const uint8_t *w,
                                                    const float *x, int x_stride, int n_in,
                                                  const uint8_t *next)
{
    sn_dots_g32ms_f32_avx2(acc, w, x, x_stride, n_in, next, 4, 1);
}

SN_KERNEL(op=dot, layout=i5g32ms_r32k4, x=f32, tile=32x1, isa=avx2, features=avx2+fma+f16c, order=groups_fma)
static SN_APART void sn_dot_i5g32ms_r32k4_f32_avx2(float acc[32], const uint8_t *w, const float *x,
                                                   int n_in, const uint8_t *next)
{
    sn_dots_g32ms_f32_avx2(acc, w, x, 0, n_in, next, 1, 1);
}

SN_KERNEL(op=dot, layout=i6g16s_r32k4, x=f32, tile=32x4, isa=avx2, features=avx2+fma+f16c, order=groups_fma)
static SN_APART void sn_dot4_i6g16s_r32k4_f32_avx2(float acc[4 * 32], const uint8_t *w,
                                                   const float *x, int x_stride, int n_in,
                                                 const uint8_t *next)
{
    sn_dots_i6g16s_f32_avx2(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=i6g16s_r32k4, x=f32, tile=32x1, isa=avx2, features=avx2+fma+f16c, order=groups_fma)
static SN_APART void sn_dot_i6g16s_r32k4_f32_avx2(float acc[32], const uint8_t *w, const float *x,
                                                  int n_in, const uint8_t *next)
{
    sn_dots_i6g16s_f32_avx2(acc, w, x, 0, n_in, next, 1);
}
