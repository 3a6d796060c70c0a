/* AVX-512 with VNNI, codes in two planes and scales of two levels: the layouts of portable/dot_planes.c.
 *
 * As in avx512vnni.c a lane is a row, one body serves one token and four, and both halves of a block go together.  A vector of
 * codes is put together in its bytes (a nibble, and above it the bits of the second plane, shifted to their place); vpternlog does
 * "nibble | (high & mask)" at once.  Two levels: d s and m t are made in floats, where they are exact; two groups of 16 columns
 * become s0 sum0 + s1 sum1 in floats, exact as well (below 2^24). */
#include <immintrin.h>
#include "../kernel.h"

/* low | (high & mask). */
static inline __m512i sn_merge_avx512(__m512i low, __m512i high, __m512i mask)
{
    return _mm512_ternarylogic_epi32(low, high, mask, 0xf8);
}

/* 16 bytes, unsigned or signed, as floats. */
static inline __m512 sn_bytes_avx512(const uint8_t *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p)));
}

static inline __m512 sn_signed_bytes_avx512(const uint8_t *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p)));
}

/* ---- 8-bit activations ------------------------------------------------------------------------------------------ */

/* 32 x 32 codes of 5 bits: column 4i+j's fifth bit is bit i of the high vectors, column 16+4i+j's bit 4 + i.
 * Asks for as much at `ahead`. */
__attribute__((always_inline))
static inline void sn_add_block_i5_avx512(__m512i *s, const uint8_t *w, const uint8_t *ahead, const SnQ8 *x, int x_stride,
                                          int tokens)
{
    const __m512i low = _mm512_set1_epi8(0x0f);
    const __m512i fifth = _mm512_set1_epi8(0x10);
    __m512i a1 = _mm512_loadu_si512(w + 512), b1 = _mm512_loadu_si512(w + 576);
    __m512i a0 = _mm512_slli_epi16(a1, 4), b0 = _mm512_slli_epi16(b1, 4);

    for (int i = 0; i < 4; i++) {
        const __m512i u = _mm512_loadu_si512(w + 64 * i);
        const __m512i v = _mm512_loadu_si512(w + 256 + 64 * i);

        sn_ask(ahead + 128 * i);
        sn_ask(ahead + 128 * i + 64);
        sn_add_codes_avx512(s, sn_merge_avx512(_mm512_and_si512(u, low), a0, fifth),
                            sn_merge_avx512(_mm512_and_si512(v, low), b0, fifth), x, x_stride, 4 * i, tokens);
        sn_add_codes_avx512(s, sn_merge_avx512(_mm512_and_si512(_mm512_srli_epi16(u, 4), low), a1, fifth),
                            sn_merge_avx512(_mm512_and_si512(_mm512_srli_epi16(v, 4), low), b1, fifth), x, x_stride,
                            16 + 4 * i, tokens);
        a0 = _mm512_srli_epi16(a0, 1);
        b0 = _mm512_srli_epi16(b0, 1);
        a1 = _mm512_srli_epi16(a1, 1);
        b1 = _mm512_srli_epi16(b1, 1);
    }
    sn_ask(ahead + 512);
    sn_ask(ahead + 576);
}

__attribute__((always_inline))
static inline void sn_dots_i5g32_q8_avx512(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                           const uint8_t *next, int tokens)
{
    __m512 f[8];

    sn_clear_avx512(f, 2 * tokens);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I5_BLOCK) {
        const uint8_t *ahead = sn_ahead(w, next);
        __m512i s[8];

        sn_start_avx512(s, x + b, x_stride, 16, tokens);
        sn_add_block_i5_avx512(s, w, ahead, x + b, x_stride, tokens);
        sn_ask(ahead + 640);
        sn_scale_avx512(f, s, w + 640, x + b, x_stride, tokens);
    }
    sn_store_sums_avx512(acc, f, tokens);
}

/* A group's integer sums times d s, and m t: `head` is the block's d and m, `subs` the group's s and t. */
__attribute__((always_inline))
static inline void sn_scale_ms_avx512(__m512 *f, const __m512i *s, const uint8_t *head, const uint8_t *subs, const SnQ8 *x,
                                      int x_stride, int tokens)
{
    const __m512 d0 = _mm512_mul_ps(sn_bytes_avx512(subs), sn_halves_avx512(head));
    const __m512 d1 = _mm512_mul_ps(sn_bytes_avx512(subs + 16), sn_halves_avx512(head + 32));
    const __m512 m0 = _mm512_mul_ps(sn_bytes_avx512(subs + 32), sn_halves_avx512(head + 64));
    const __m512 m1 = _mm512_mul_ps(sn_bytes_avx512(subs + 48), sn_halves_avx512(head + 96));

    for (int t = 0; t < tokens; t++) {
        const __m512 v = _mm512_set1_ps(x[t * x_stride].d);
        const __m512 z = _mm512_set1_ps(x[t * x_stride].ds);

        f[2 * t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(s[2 * t]), _mm512_mul_ps(d0, v), f[2 * t]);
        f[2 * t + 1] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(s[2 * t + 1]), _mm512_mul_ps(d1, v), f[2 * t + 1]);
        f[2 * t] = _mm512_fmadd_ps(m0, z, f[2 * t]);
        f[2 * t + 1] = _mm512_fmadd_ps(m1, z, f[2 * t + 1]);
    }
}

__attribute__((always_inline))
static inline void sn_dots_i4g32ms_q8_avx512(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                             const uint8_t *next, int tokens)
{
    __m512 f[8];

    sn_clear_avx512(f, 2 * tokens);
    for (int b = 0; b < n_in / SN_GROUP; b += SN_SPANS) {
        const uint8_t *ahead = sn_ahead(w, next);
        const uint8_t *head = w;

        sn_ask_lines(ahead, 128);
        w += 128;
        ahead += 128;
        for (int g = b; g < b + SN_SPANS; g++, w += SN_I4MS_SPAN, ahead += SN_I4MS_SPAN) {
            __m512i s[8];

            sn_start_avx512(s, x + g, x_stride, 0, tokens);
            sn_add_block_i4_avx512(s, w, ahead, x + g, x_stride, tokens);
            sn_ask(ahead + 512);
            sn_scale_ms_avx512(f, s, head, w + 512, x + g, x_stride, tokens);
        }
    }
    sn_store_sums_avx512(acc, f, tokens);
}

__attribute__((always_inline))
static inline void sn_dots_i5g32ms_q8_avx512(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                             const uint8_t *next, int tokens)
{
    __m512 f[8];

    sn_clear_avx512(f, 2 * tokens);
    for (int b = 0; b < n_in / SN_GROUP; b += SN_SPANS) {
        const uint8_t *ahead = sn_ahead(w, next);
        const uint8_t *head = w;

        sn_ask_lines(ahead, 128);
        w += 128;
        ahead += 128;
        for (int g = b; g < b + SN_SPANS; g++, w += SN_I5MS_SPAN, ahead += SN_I5MS_SPAN) {
            __m512i s[8];

            sn_start_avx512(s, x + g, x_stride, 0, tokens);
            sn_add_block_i5_avx512(s, w, ahead, x + g, x_stride, tokens);
            sn_ask(ahead + 640);
            sn_scale_ms_avx512(f, s, head, w + 640, x + g, x_stride, tokens);
        }
    }
    sn_store_sums_avx512(acc, f, tokens);
}

/* 32 times the sum of the first 16 activations, in every lane. */
static inline __m512i sn_sum16_avx512(const int8_t *q)
{
    const __m512i v = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)q));
    __m512i s = _mm512_dpbusd_epi32(_mm512_setzero_si512(), _mm512_set1_epi8(32), v);

    s = _mm512_add_epi32(s, _mm512_shuffle_epi32(s, _MM_PERM_CDAB));
    return _mm512_add_epi32(s, _mm512_shuffle_epi32(s, _MM_PERM_BADC));
}

/* s[..] = the sums of columns 0..15 (code - 32), z[..] those of columns 16..31.  The two high bits of columns 4i+j and 16+4i+j
 * are bits 2 (i / 2) and 4 + 2 (i / 2) of vector i % 2. */
__attribute__((always_inline))
static inline void sn_sum_block_i6_avx512(__m512i *s, __m512i *z, const uint8_t *w, const SnQ8 *x, int x_stride, int tokens)
{
    const __m512i low = _mm512_set1_epi8(0x0f);
    const __m512i high = _mm512_set1_epi8(0x30);

    for (int t = 0; t < tokens; t++) {
        const __m512i first = sn_sum16_avx512(x[t * x_stride].q);

        s[2 * t] = s[2 * t + 1] = _mm512_sub_epi32(_mm512_setzero_si512(), first);
        z[2 * t] = z[2 * t + 1] = _mm512_sub_epi32(first, _mm512_set1_epi32(32 * x[t * x_stride].sum));
    }
    for (int i = 0; i < 2; i++) {
        const __m512i a = _mm512_loadu_si512(w + 512 + 64 * i);
        const __m512i b = _mm512_loadu_si512(w + 640 + 64 * i);
        __m512i u = _mm512_loadu_si512(w + 64 * i);
        __m512i v = _mm512_loadu_si512(w + 256 + 64 * i);

        sn_add_codes_avx512(s, sn_merge_avx512(_mm512_and_si512(u, low), _mm512_slli_epi16(a, 4), high),
                            sn_merge_avx512(_mm512_and_si512(v, low), _mm512_slli_epi16(b, 4), high), x, x_stride, 4 * i,
                            tokens);
        sn_add_codes_avx512(z, sn_merge_avx512(_mm512_and_si512(_mm512_srli_epi16(u, 4), low), a, high),
                            sn_merge_avx512(_mm512_and_si512(_mm512_srli_epi16(v, 4), low), b, high), x, x_stride,
                            16 + 4 * i, tokens);
        u = _mm512_loadu_si512(w + 64 * (i + 2));
        v = _mm512_loadu_si512(w + 256 + 64 * (i + 2));
        sn_add_codes_avx512(s, sn_merge_avx512(_mm512_and_si512(u, low), _mm512_slli_epi16(a, 2), high),
                            sn_merge_avx512(_mm512_and_si512(v, low), _mm512_slli_epi16(b, 2), high), x, x_stride,
                            8 + 4 * i, tokens);
        sn_add_codes_avx512(z, sn_merge_avx512(_mm512_and_si512(_mm512_srli_epi16(u, 4), low), _mm512_srli_epi16(a, 2), high),
                            sn_merge_avx512(_mm512_and_si512(_mm512_srli_epi16(v, 4), low), _mm512_srli_epi16(b, 2), high),
                            x, x_stride, 24 + 4 * i, tokens);
    }
}

/* The float sums rest in acc: 16 integer sums for four tokens leave no registers for them. */
__attribute__((always_inline))
static inline void sn_dots_i6g16s_q8_avx512(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                            const uint8_t *next, int tokens)
{
    for (int i = 0; i < 32 * tokens; i += 16)
        _mm512_storeu_ps(acc + i, _mm512_setzero_ps());
    for (int b = 0; b < n_in / SN_GROUP; b += SN_SPANS) {
        const uint8_t *ahead = sn_ahead(w, next);
        const uint8_t *head = w;

        sn_ask(ahead);
        w += 64;
        ahead += 64;
        for (int g = b; g < b + SN_SPANS; g++, w += SN_I6S_SPAN, ahead += SN_I6S_SPAN) {
            __m512i s[8], z[8];

            sn_ask_lines(ahead, SN_I6S_SPAN);                   /* between the loads they are slower here */
            sn_sum_block_i6_avx512(s, z, w, x + g, x_stride, tokens);
            for (int h = 0; h < 2; h++) {
                const __m512 d = sn_halves_avx512(head + 32 * h);
                const __m512 s0 = sn_signed_bytes_avx512(w + 768 + 16 * h);
                const __m512 s1 = sn_signed_bytes_avx512(w + 800 + 16 * h);

                for (int t = 0; t < tokens; t++) {
                    float *out = acc + 32 * t + 16 * h;
                    const __m512 first = _mm512_mul_ps(_mm512_cvtepi32_ps(s[2 * t + h]), s0);
                    const __m512 both = _mm512_fmadd_ps(_mm512_cvtepi32_ps(z[2 * t + h]), s1, first);
                    const __m512 v = _mm512_set1_ps(x[t * x_stride + g].d);

                    _mm512_storeu_ps(out, _mm512_fmadd_ps(both, _mm512_mul_ps(d, v), _mm512_loadu_ps(out)));
                }
            }
        }
    }
}

/* ---- float activations ------------------------------------------------------------------------------------------ */

/* 32 columns of 5-bit codes. */
__attribute__((always_inline))
static inline void sn_add_fives_avx512(__m512 *s, const uint8_t *w, const __m512 *d, const __m512 *o, const float *x,
                                       int x_stride, int tokens)
{
    const __m512i nibble = _mm512_set1_epi8(0x0f);
    const __m512i fifth = _mm512_set1_epi8(0x10);
    const __m512i low = _mm512_set1_epi32(0x1f);
    __m512i a = _mm512_slli_epi16(_mm512_loadu_si512(w + 512), 4);
    __m512i b = _mm512_slli_epi16(_mm512_loadu_si512(w + 576), 4);

    for (int i = 0; i < 4; i++) {
        const __m512i u = _mm512_and_si512(_mm512_loadu_si512(w + 64 * i), nibble);
        const __m512i v = _mm512_and_si512(_mm512_loadu_si512(w + 256 + 64 * i), nibble);

        sn_add_four_avx512(s, sn_merge_avx512(u, a, fifth), sn_merge_avx512(v, b, fifth), low, d, o, x + 4 * i, x_stride,
                           tokens);
        a = _mm512_srli_epi16(a, 1);
        b = _mm512_srli_epi16(b, 1);
    }
    a = _mm512_loadu_si512(w + 512);
    b = _mm512_loadu_si512(w + 576);
    for (int i = 0; i < 4; i++) {
        const __m512i u = _mm512_and_si512(_mm512_srli_epi16(_mm512_loadu_si512(w + 64 * i), 4), nibble);
        const __m512i v = _mm512_and_si512(_mm512_srli_epi16(_mm512_loadu_si512(w + 256 + 64 * i), 4), nibble);

        sn_add_four_avx512(s, sn_merge_avx512(u, a, fifth), sn_merge_avx512(v, b, fifth), low, d, o, x + 16 + 4 * i, x_stride,
                           tokens);
        a = _mm512_srli_epi16(a, 1);
        b = _mm512_srli_epi16(b, 1);
    }
}

/* Columns 4i.. and 8 + 4i.. (`up` 0, the low nibbles) or 16 + 4i.. and 24 + 4i.. (`up` 1, the high ones) of 6-bit codes. */
__attribute__((always_inline))
static inline void sn_add_sixes_avx512(__m512 *s, const uint8_t *w, int up, const __m512 *d, const __m512 *o, const float *x,
                                       int x_stride, int tokens)
{
    const __m512i nibble = _mm512_set1_epi8(0x0f);
    const __m512i high = _mm512_set1_epi8(0x30);
    const __m512i low = _mm512_set1_epi32(0x3f);

    #pragma GCC unroll 1
    for (int i = 0; i < 2; i++, w += 64, x += 4) {
        const __m512i a = _mm512_loadu_si512(w + 512);
        const __m512i b = _mm512_loadu_si512(w + 640);
        __m512i u = _mm512_loadu_si512(w);
        __m512i v = _mm512_loadu_si512(w + 256);

        u = _mm512_and_si512(up ? _mm512_srli_epi16(u, 4) : u, nibble);
        v = _mm512_and_si512(up ? _mm512_srli_epi16(v, 4) : v, nibble);
        sn_add_four_avx512(s, sn_merge_avx512(u, up ? a : _mm512_slli_epi16(a, 4), high),
                           sn_merge_avx512(v, up ? b : _mm512_slli_epi16(b, 4), high), low, d, o, x, x_stride, tokens);
        u = _mm512_loadu_si512(w + 128);
        v = _mm512_loadu_si512(w + 384);
        u = _mm512_and_si512(up ? _mm512_srli_epi16(u, 4) : u, nibble);
        v = _mm512_and_si512(up ? _mm512_srli_epi16(v, 4) : v, nibble);
        sn_add_four_avx512(s, sn_merge_avx512(u, up ? _mm512_srli_epi16(a, 2) : _mm512_slli_epi16(a, 2), high),
                           sn_merge_avx512(v, up ? _mm512_srli_epi16(b, 2) : _mm512_slli_epi16(b, 2), high), low, d, o, x + 8,
                           x_stride, tokens);
    }
}

__attribute__((always_inline))
static inline void sn_dots_i5g32_f32_avx512(float *acc, const uint8_t *w, const float *x, int x_stride, int n_in,
                                            const uint8_t *next, int tokens)
{
    const __m512 middle = _mm512_set1_ps(-16.0f);
    __m512 f[8];

    sn_clear_avx512(f, 2 * tokens);
    for (int c = 0; c < n_in; c += SN_GROUP, w += SN_I5_BLOCK) {
        const __m512 d[2] = { sn_halves_avx512(w + 640), sn_halves_avx512(w + 672) };
        const __m512 o[2] = { _mm512_mul_ps(d[0], middle), _mm512_mul_ps(d[1], middle) };
        __m512 s[8];

        sn_ask_lines(sn_ahead(w, next), SN_I5_BLOCK);
        sn_clear_avx512(s, 2 * tokens);
        sn_add_fives_avx512(s, w, d, o, x + c, x_stride, tokens);
        sn_add_group_avx512(f, s, tokens);
    }
    sn_store_sums_avx512(acc, f, tokens);
}

/* Codes of 4 bits and, if fifth, 5: d[h] = d s and o[h] = m t. */
__attribute__((always_inline))
static inline void sn_dots_g32ms_f32_avx512(float *acc, const uint8_t *w, const float *x, int x_stride, int n_in,
                                            const uint8_t *next, int tokens, int fifth)
{
    const int codes = fifth ? 640 : 512;
    __m512 f[8];

    sn_clear_avx512(f, 2 * tokens);
    for (int c = 0; c < n_in; c += SN_SPANS * SN_GROUP) {
        const uint8_t *ahead = sn_ahead(w, next);
        const uint8_t *head = w;

        sn_ask_lines(ahead, 128);
        w += 128;
        ahead += 128;
        for (int k = c; k < c + SN_SPANS * SN_GROUP; k += SN_GROUP, w += codes + 64, ahead += codes + 64) {
            const __m512 d[2] = { _mm512_mul_ps(sn_bytes_avx512(w + codes), sn_halves_avx512(head)),
                                  _mm512_mul_ps(sn_bytes_avx512(w + codes + 16), sn_halves_avx512(head + 32)) };
            const __m512 o[2] = { _mm512_mul_ps(sn_bytes_avx512(w + codes + 32), sn_halves_avx512(head + 64)),
                                  _mm512_mul_ps(sn_bytes_avx512(w + codes + 48), sn_halves_avx512(head + 96)) };
            __m512 s[8];

            sn_ask_lines(ahead, codes + 64);
            sn_clear_avx512(s, 2 * tokens);
            if (fifth)
                sn_add_fives_avx512(s, w, d, o, x + k, x_stride, tokens);
            else
                sn_add_nibbles_avx512(s, w, d, o, x + k, x_stride, tokens);
            sn_add_group_avx512(f, s, tokens);
        }
    }
    sn_store_sums_avx512(acc, f, tokens);
}

/* The 16 columns with the g-th s. */
__attribute__((always_inline))
static inline void sn_add_half_group_avx512(__m512 *s, const uint8_t *w, const uint8_t *head, int g, const float *x,
                                            int x_stride, int tokens)
{
    const __m512 middle = _mm512_set1_ps(-32.0f);
    const uint8_t *subs = w + 768 + 32 * g;
    const __m512 d[2] = { _mm512_mul_ps(sn_signed_bytes_avx512(subs), sn_halves_avx512(head)),
                          _mm512_mul_ps(sn_signed_bytes_avx512(subs + 16), sn_halves_avx512(head + 32)) };
    const __m512 o[2] = { _mm512_mul_ps(d[0], middle), _mm512_mul_ps(d[1], middle) };

    sn_add_sixes_avx512(s, w, g, d, o, x, x_stride, tokens);
}

/* The empty asm keeps the compiler from holding all of acc in registers, which it then lacks. */
__attribute__((always_inline))
static inline void sn_dots_i6g16s_f32_avx512(float *acc, const uint8_t *w, const float *x, int x_stride, int n_in,
                                             const uint8_t *next, int tokens)
{
    for (int i = 0; i < 32 * tokens; i += 16)
        _mm512_storeu_ps(acc + i, _mm512_setzero_ps());
    for (int c = 0; c < n_in; c += SN_SPANS * SN_GROUP) {
        const uint8_t *ahead = sn_ahead(w, next);
        const uint8_t *head = w;

        sn_ask(ahead);
        w += 64;
        ahead += 64;
        for (int k = c; k < c + SN_SPANS * SN_GROUP; k += SN_GROUP, w += SN_I6S_SPAN, ahead += SN_I6S_SPAN) {
            float *out = acc;
            __m512 s[8];

            sn_ask_lines(ahead, SN_I6S_SPAN);
            sn_clear_avx512(s, 2 * tokens);
            sn_add_half_group_avx512(s, w, head, 0, x + k, x_stride, tokens);
            sn_add_half_group_avx512(s, w, head, 1, x + k + 16, x_stride, tokens);
            __asm__("" : "+r"(out));
            for (int i = 0; i < 2 * tokens; i++)
                _mm512_storeu_ps(out + 16 * i, _mm512_add_ps(_mm512_loadu_ps(out + 16 * i), s[i]));
        }
    }
}

/* ---- the kernels ------------------------------------------------------------------------------------------------ */

SN_KERNEL(op=dot, layout=i5g32_r32k4, x=q8, tile=32x4, isa=avx512vnni, features=x86_64_v4+avx512vnni, order=groups_fma)
static SN_APART void sn_dot4_i5g32_r32k4_q8_avx512vnni(float acc[4 * 32], const uint8_t *w,
                                                       const SnQ8 *x, int x_stride, int n_in,
                                                     const uint8_t *next)
{
    sn_dots_i5g32_q8_avx512(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=i5g32_r32k4, x=q8, tile=32x1, isa=avx512vnni, features=x86_64_v4+avx512vnni, order=groups_fma)
static SN_APART void sn_dot_i5g32_r32k4_q8_avx512vnni(float acc[32], const uint8_t *w, const SnQ8 *x,
                                                      int n_in, const uint8_t *next)
{
    sn_dots_i5g32_q8_avx512(acc, w, x, 0, n_in, next, 1);
}

SN_KERNEL(op=dot, layout=i4g32ms_r32k4, x=q8, tile=32x4, isa=avx512vnni, features=x86_64_v4+avx512vnni, order=groups_fma)
static SN_APART void sn_dot4_i4g32ms_r32k4_q8_avx512vnni(float acc[4 * 32], const uint8_t *w,
                                                         const SnQ8 *x, int x_stride, int n_in,
                                                       const uint8_t *next)
{
    sn_dots_i4g32ms_q8_avx512(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=i4g32ms_r32k4, x=q8, tile=32x1, isa=avx512vnni, features=x86_64_v4+avx512vnni, order=groups_fma)
static SN_APART void sn_dot_i4g32ms_r32k4_q8_avx512vnni(float acc[32], const uint8_t *w,
                                                        const SnQ8 *x, int n_in, const uint8_t *next)
{
    sn_dots_i4g32ms_q8_avx512(acc, w, x, 0, n_in, next, 1);
}

SN_KERNEL(op=dot, layout=i5g32ms_r32k4, x=q8, tile=32x4, isa=avx512vnni, features=x86_64_v4+avx512vnni, order=groups_fma)
static SN_APART void sn_dot4_i5g32ms_r32k4_q8_avx512vnni(float acc[4 * 32], const uint8_t *w,
                                                         const SnQ8 *x, int x_stride, int n_in,
                                                       const uint8_t *next)
{
    sn_dots_i5g32ms_q8_avx512(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=i5g32ms_r32k4, x=q8, tile=32x1, isa=avx512vnni, features=x86_64_v4+avx512vnni, order=groups_fma)
static SN_APART void sn_dot_i5g32ms_r32k4_q8_avx512vnni(float acc[32], const uint8_t *w,
                                                        const SnQ8 *x, int n_in, const uint8_t *next)
{
    sn_dots_i5g32ms_q8_avx512(acc, w, x, 0, n_in, next, 1);
}

SN_KERNEL(op=dot, layout=i6g16s_r32k4, x=q8, tile=32x4, isa=avx512vnni, features=x86_64_v4+avx512vnni, order=groups_fma)
static SN_APART void sn_dot4_i6g16s_r32k4_q8_avx512vnni(float acc[4 * 32], const uint8_t *w,
                                                        const SnQ8 *x, int x_stride, int n_in,
                                                      const uint8_t *next)
{
    sn_dots_i6g16s_q8_avx512(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=i6g16s_r32k4, x=q8, tile=32x1, isa=avx512vnni, features=x86_64_v4+avx512vnni, order=groups_fma)
static SN_APART void sn_dot_i6g16s_r32k4_q8_avx512vnni(float acc[32], const uint8_t *w, const SnQ8 *x,
                                                       int n_in, const uint8_t *next)
{
    sn_dots_i6g16s_q8_avx512(acc, w, x, 0, n_in, next, 1);
}

SN_KERNEL(op=dot, layout=i5g32_r32k4, x=f32, tile=32x4, isa=avx512vnni, features=x86_64_v4+avx512vnni, order=groups_fma)
static SN_APART void sn_dot4_i5g32_r32k4_f32_avx512vnni(float acc[4 * 32], const uint8_t *w,
                                                        const float *x, int x_stride, int n_in,
                                                      const uint8_t *next)
{
    sn_dots_i5g32_f32_avx512(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=i5g32_r32k4, x=f32, tile=32x1, isa=avx512vnni, features=x86_64_v4+avx512vnni, order=groups_fma)
static SN_APART void sn_dot_i5g32_r32k4_f32_avx512vnni(float acc[32], const uint8_t *w,
                                                       const float *x, int n_in, const uint8_t *next)
{
    sn_dots_i5g32_f32_avx512(acc, w, x, 0, n_in, next, 1);
}

SN_KERNEL(op=dot, layout=i4g32ms_r32k4, x=f32, tile=32x4, isa=avx512vnni, features=x86_64_v4+avx512vnni, order=groups_fma)
static SN_APART void sn_dot4_i4g32ms_r32k4_f32_avx512vnni(float acc[4 * 32], const uint8_t *w,
                                                          const float *x, int x_stride, int n_in,
                                                        const uint8_t *next)
{
    sn_dots_g32ms_f32_avx512(acc, w, x, x_stride, n_in, next, 4, 0);
}

SN_KERNEL(op=dot, layout=i4g32ms_r32k4, x=f32, tile=32x1, isa=avx512vnni, features=x86_64_v4+avx512vnni, order=groups_fma)
static SN_APART void sn_dot_i4g32ms_r32k4_f32_avx512vnni(float acc[32], const uint8_t *w,
                                                         const float *x, int n_in,
                                                       const uint8_t *next)
{
    sn_dots_g32ms_f32_avx512(acc, w, x, 0, n_in, next, 1, 0);
}

SN_KERNEL(op=dot, layout=i5g32ms_r32k4, x=f32, tile=32x4, isa=avx512vnni, features=x86_64_v4+avx512vnni, order=groups_fma)
static SN_APART void sn_dot4_i5g32ms_r32k4_f32_avx512vnni(float acc[4 * 32], const uint8_t *w,
                                                          const float *x, int x_stride, int n_in,
                                                        const uint8_t *next)
{
    sn_dots_g32ms_f32_avx512(acc, w, x, x_stride, n_in, next, 4, 1);
}

SN_KERNEL(op=dot, layout=i5g32ms_r32k4, x=f32, tile=32x1, isa=avx512vnni, features=x86_64_v4+avx512vnni, order=groups_fma)
static SN_APART void sn_dot_i5g32ms_r32k4_f32_avx512vnni(float acc[32], const uint8_t *w,
                                                         const float *x, int n_in,
                                                       const uint8_t *next)
{
    sn_dots_g32ms_f32_avx512(acc, w, x, 0, n_in, next, 1, 1);
}

SN_KERNEL(op=dot, layout=i6g16s_r32k4, x=f32, tile=32x4, isa=avx512vnni, features=x86_64_v4+avx512vnni, order=groups_fma)
static SN_APART void sn_dot4_i6g16s_r32k4_f32_avx512vnni(float acc[4 * 32], const uint8_t *w,
                                                         const float *x, int x_stride, int n_in,
                                                       const uint8_t *next)
{
    sn_dots_i6g16s_f32_avx512(acc, w, x, x_stride, n_in, next, 4);
}

SN_KERNEL(op=dot, layout=i6g16s_r32k4, x=f32, tile=32x1, isa=avx512vnni, features=x86_64_v4+avx512vnni, order=groups_fma)
static SN_APART void sn_dot_i6g16s_r32k4_f32_avx512vnni(float acc[32], const uint8_t *w,
                                                        const float *x, int n_in, const uint8_t *next)
{
    sn_dots_i6g16s_f32_avx512(acc, w, x, 0, n_in, next, 1);
}
