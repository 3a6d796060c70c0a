/* Panels of 8-bit codes with AVX-512 VNNI: contracts in portable/gemm.c.
 *
 * gemm: 32 rows x 12 tokens are 24 vectors of integer sums; two vectors of weights (four columns of 32 rows) meet each token's four
 * activations, the same in every lane.  A group of columns passes for all tokens before the next one, so that its part of the panel
 * (6 KB for 192 columns) stays in the first-level cache; the float sums wait in memory.
 *
 * unpack: the layout's own codes go to their places in the panel as bytes first, what they are multiplied with and what is added
 * (SnSubs) to the stack, as 32 floats for every `sub` columns that share them.  Then a group is turned and rounded where it lies, 16 rows at a time.  Rows are lanes, four columns of a row the four bytes of a lane, so
 * turning adds vectors: three rounds of 8 columns in registers, and three more of 8 columns that are 8 apart. */
#include <immintrin.h>
#include "../kernel.h"

/* ---- gemm ------------------------------------------------------------------------------------------------------------------ */

/* What a group adds for `tokens` tokens, at most 3: the sums' start, four columns of 32 rows, and the end.  Three at a time because
 * compilers give up on loops that become too long, and then keep the sums in memory. */
__attribute__((always_inline))
static inline void sn_gemm_start_avx512(__m512i *s, const SnI8Scale *scale, int x_stride, int tokens)
{
    for (int t = 0; t < tokens; t++) {
        const SnI8Scale *of = (const SnI8Scale *)(const void *)((const int8_t *)scale + (intptr_t)x_stride * t);

        s[2 * t] = s[2 * t + 1] = _mm512_set1_epi32(-128 * of->sum);
    }
}

__attribute__((always_inline))
static inline void sn_gemm_step_avx512(__m512i *s, __m512i a, __m512i b, const int8_t *q, int x_stride, int tokens)
{
    for (int t = 0; t < tokens; t++) {
        const __m512i v = sn_four_avx512(q + (intptr_t)x_stride * t);

        s[2 * t] = sn_dpbusd_avx512(s[2 * t], a, v);
        s[2 * t + 1] = sn_dpbusd_avx512(s[2 * t + 1], b, v);
    }
}

__attribute__((always_inline))
static inline void sn_gemm_finish_avx512(float *acc, int acc_stride, const __m512i *s, __m512 d0, __m512 d1, const SnI8Scale *scale,
                                         int x_stride, int tokens)
{
    for (int t = 0; t < tokens; t++) {
        const SnI8Scale *of = (const SnI8Scale *)(const void *)((const int8_t *)scale + (intptr_t)x_stride * t);
        const __m512 v = _mm512_set1_ps(of->d);
        float *y = acc + (intptr_t)acc_stride * t;

        _mm512_storeu_ps(y, _mm512_add_ps(_mm512_loadu_ps(y), _mm512_mul_ps(_mm512_cvtepi32_ps(s[2 * t]), _mm512_mul_ps(d0, v))));
        _mm512_storeu_ps(y + 16, _mm512_add_ps(_mm512_loadu_ps(y + 16),
                                               _mm512_mul_ps(_mm512_cvtepi32_ps(s[2 * t + 1]), _mm512_mul_ps(d1, v))));
    }
}

/* A group's columns c .. c + group - 1 for `tokens` tokens (12, or 1 to 3), added to acc. */
__attribute__((always_inline))
static inline void sn_gemm_group_avx512(float *acc, int acc_stride, const uint8_t *w, const float *d, const int8_t *x, int x_stride,
                                        int n_in, int c, int group, int tokens)
{
    const int three = tokens < 3 ? tokens : 3;
    const intptr_t x3 = (intptr_t)x_stride * 3;
    const intptr_t y3 = (intptr_t)acc_stride * 3;
    const SnI8Scale *scale = sn_i8_scales(x, n_in) + c / group;
    const __m512 d0 = _mm512_loadu_ps(d);
    const __m512 d1 = _mm512_loadu_ps(d + 16);
    __m512i s[24];

    sn_gemm_start_avx512(s, scale, x_stride, three);
    if (tokens == 12) {
        sn_gemm_start_avx512(s + 6, sn_i8_scales(x + x3, n_in) + c / group, x_stride, 3);
        sn_gemm_start_avx512(s + 12, sn_i8_scales(x + 2 * x3, n_in) + c / group, x_stride, 3);
        sn_gemm_start_avx512(s + 18, sn_i8_scales(x + 3 * x3, n_in) + c / group, x_stride, 3);
    }
    for (int k = c; k < c + group; k += 4, w += 128) {
        const __m512i a = _mm512_load_si512((const void *)w);
        const __m512i b = _mm512_load_si512((const void *)(w + 64));

        sn_gemm_step_avx512(s, a, b, x + k, x_stride, three);
        if (tokens == 12) {
            sn_gemm_step_avx512(s + 6, a, b, x + x3 + k, x_stride, 3);
            sn_gemm_step_avx512(s + 12, a, b, x + 2 * x3 + k, x_stride, 3);
            sn_gemm_step_avx512(s + 18, a, b, x + 3 * x3 + k, x_stride, 3);
        }
    }
    sn_gemm_finish_avx512(acc, acc_stride, s, d0, d1, scale, x_stride, three);
    if (tokens == 12) {
        sn_gemm_finish_avx512(acc + y3, acc_stride, s + 6, d0, d1, sn_i8_scales(x + x3, n_in) + c / group, x_stride, 3);
        sn_gemm_finish_avx512(acc + 2 * y3, acc_stride, s + 12, d0, d1, sn_i8_scales(x + 2 * x3, n_in) + c / group, x_stride, 3);
        sn_gemm_finish_avx512(acc + 3 * y3, acc_stride, s + 18, d0, d1, sn_i8_scales(x + 3 * x3, n_in) + c / group, x_stride, 3);
    }
}

SN_KERNEL(op=gemm, x=i8, tile=32x12, isa=avx512vnni, features=x86_64_v4+avx512vnni, order=groups)
static SN_APART void sn_gemm_i8_avx512vnni(float *acc, int acc_stride, const uint8_t *panel, const int8_t *x, int x_stride, int n_in,
                                           int group, int n)
{
    const float *d = sn_panel_scales(panel, n_in);

    for (int t = 0; t < n; t++) {
        _mm512_storeu_ps(acc + (intptr_t)acc_stride * t, _mm512_setzero_ps());
        _mm512_storeu_ps(acc + (intptr_t)acc_stride * t + 16, _mm512_setzero_ps());
    }
    for (int c = 0; c < n_in; c += group, panel += 32 * group, d += SN_ROWS) {
        int t = 0;

        for (; t + 12 <= n; t += 12)
            sn_gemm_group_avx512(acc + (intptr_t)acc_stride * t, acc_stride, panel, d, x + (intptr_t)x_stride * t, x_stride, n_in, c,
                                 group, 12);
        for (; t + 3 <= n; t += 3)
            sn_gemm_group_avx512(acc + (intptr_t)acc_stride * t, acc_stride, panel, d, x + (intptr_t)x_stride * t, x_stride, n_in, c,
                                 group, 3);
        for (; t < n; t++)
            sn_gemm_group_avx512(acc + (intptr_t)acc_stride * t, acc_stride, panel, d, x + (intptr_t)x_stride * t, x_stride, n_in, c,
                                 group, 1);
    }
}

/* ---- unpack ---------------------------------------------------------------------------------------------------------------- */

/* Sums and differences of what is `h` apart among 8 vectors. */
__attribute__((always_inline))
static inline void sn_turn8_avx512(__m512 *v, int h)
{
    for (int k = 0; k < 8; k++)
        if (!(k & h)) {
            const __m512 sum = _mm512_add_ps(v[k], v[k + h]);

            v[k + h] = _mm512_sub_ps(v[k], v[k + h]);
            v[k] = sum;
        }
}

/* Columns of 16 rows, from their codes at p, turned: v[16 c + r], for 64 of them.  d[2], o[2]: of their first and second 32.
 * Returns what max_bits becomes. */
__attribute__((always_inline))
static inline __m512i sn_turn_codes_avx512(float *v, const uint8_t *p, const float *d, const float *o, int sub, __m512i max_bits)
{
    const __m512i byte = _mm512_set1_epi32(0xff);
    const __m512i positive = _mm512_set1_epi32(0x7fffffff);

    #pragma GCC unroll 1
    for (int i = 0; i < 16; i += 2) {
        const __m512 scale = _mm512_loadu_ps(d + 32 * (4 * i / sub));
        const __m512 offset = _mm512_loadu_ps(o + 32 * (4 * i / sub));
        __m512 w[8];

        for (int k = 0; k < 2; k++) {
            const __m512i u = _mm512_loadu_si512(p + 128 * (i + k));

            w[4 * k] = _mm512_cvtepi32_ps(_mm512_and_si512(u, byte));
            w[4 * k + 1] = _mm512_cvtepi32_ps(_mm512_and_si512(_mm512_srli_epi32(u, 8), byte));
            w[4 * k + 2] = _mm512_cvtepi32_ps(_mm512_and_si512(_mm512_srli_epi32(u, 16), byte));
            w[4 * k + 3] = _mm512_cvtepi32_ps(_mm512_srli_epi32(u, 24));
        }
        for (int k = 0; k < 8; k++)
            w[k] = _mm512_fmadd_ps(w[k], scale, offset);
        sn_turn8_avx512(w, 1);
        sn_turn8_avx512(w, 2);
        sn_turn8_avx512(w, 4);
        for (int k = 0; k < 8; k++)
            _mm512_storeu_ps(v + 16 * (4 * i + k), w[k]);
    }
    #pragma GCC unroll 1
    for (int i = 0; i < 8; i++) {
        __m512 w[8];

        for (int k = 0; k < 8; k++)
            w[k] = _mm512_loadu_ps(v + 16 * (8 * k + i));
        sn_turn8_avx512(w, 1);
        sn_turn8_avx512(w, 2);
        sn_turn8_avx512(w, 4);
        for (int k = 0; k < 8; k++) {
            max_bits = _mm512_max_epi32(max_bits, _mm512_and_si512(_mm512_castps_si512(w[k]), positive));
            _mm512_storeu_ps(v + 16 * (8 * k + i), w[k]);
        }
    }
    return max_bits;
}

/* The codes around 0 of 32 columns of 16 rows, at p, turned in quads: v[i] is quad i's bytes plus 128.  Eight codes of at most 5 bits
 * add up to no more than a byte holds. */
__attribute__((always_inline))
static inline void sn_turn_quads_avx512(__m512i *v, const uint8_t *p, __m512i center)
{
    #pragma GCC unroll 8
    for (int i = 0; i < 8; i++)
        v[i] = _mm512_sub_epi8(_mm512_loadu_si512(p + 128 * i), center);
    #pragma GCC unroll 3
    for (int h = 1; h < 8; h *= 2) {
        #pragma GCC unroll 8
        for (int i = 0; i < 8; i++)
            if (!(i & h)) {
                const __m512i sum = _mm512_add_epi8(v[i], v[i + h]);

                v[i + h] = _mm512_sub_epi8(v[i], v[i + h]);
                v[i] = sum;
            }
    }
    #pragma GCC unroll 8
    for (int i = 0; i < 8; i++)
        v[i] = _mm512_xor_si512(v[i], _mm512_set1_epi8(-128));
}

/* sn_turn_codes_avx512 of codes of at most 5 bits without offsets.  Inside 32 columns, which share a scale, sums are integers: they have
 * 10 bits and the scale 11, so the float sums of the definition are exact too, and only the last round rounds. */
__attribute__((always_inline))
static inline __m512i sn_turn_integers_avx512(float *v, const uint8_t *p, const float *d, int center, __m512i max_bits)
{
    const __m512i positive = _mm512_set1_epi32(0x7fffffff);
    const __m512i start[4] = { _mm512_set1_epi32(-4 * 128), _mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512() };
    const __m512i sign[4] = { _mm512_set1_epi32(0x01010101), _mm512_set1_epi32((int)0xff01ff01), _mm512_set1_epi32((int)0xffff0101),
                              _mm512_set1_epi32(0x01ffff01) };
    const __m512 d0 = _mm512_loadu_ps(d);
    const __m512 d1 = _mm512_loadu_ps(d + 32);
    __m512i a[8], b[8];

    sn_turn_quads_avx512(a, p, _mm512_set1_epi8((char)center));
    sn_turn_quads_avx512(b, p + 1024, _mm512_set1_epi8((char)center));
    #pragma GCC unroll 8
    for (int i = 0; i < 8; i++) {
        #pragma GCC unroll 4
        for (int k = 0; k < 4; k++) {
            const __m512 x = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_dpbusd_epi32(start[k], a[i], sign[k])), d0);
            const __m512 y = _mm512_cvtepi32_ps(_mm512_dpbusd_epi32(start[k], b[i], sign[k]));
            const __m512 sum = _mm512_fmadd_ps(y, d1, x);
            const __m512 difference = _mm512_fnmadd_ps(y, d1, x);

            max_bits = _mm512_max_epi32(max_bits, _mm512_max_epi32(_mm512_and_si512(_mm512_castps_si512(sum), positive),
                                                                   _mm512_and_si512(_mm512_castps_si512(difference), positive)));
            _mm512_storeu_ps(v + 16 * (4 * i + k), sum);
            _mm512_storeu_ps(v + 16 * (32 + 4 * i + k), difference);
        }
    }
    return max_bits;
}

/* The codes of a group, which lie at `panel`, turned and rounded to 8 bits; its scales to scale[32].  center: of codes that
 * sn_turn_integers_avx512 takes, or 0. */
__attribute__((always_inline))
static inline void sn_round_avx512(uint8_t *panel, float *scale, const SnSubs *subs, int group, int sub, int center)
{
    const __m512 middle = _mm512_set1_ps(12583040.0f);      /* 1.5 * 2^23 + 128: rounds, and leaves code + 128 in the low byte */
    const __m512i up = _mm512_broadcast_i32x4(_mm_set_epi8(12, 12, 12, 12, 8, 8, 8, 8, 4, 4, 4, 4, 0, 0, 0, 0));
    float v[SN_I8_GROUP * 16];

    for (int h = 0; h < 2; h++) {
        __m512i max_bits = _mm512_setzero_si512();
        __m512 max, inverse;
        __mmask16 sound;

        for (int c = 0; c < group; c += SN_TURN)
            if (center)
                max_bits = sn_turn_integers_avx512(v + 16 * c, panel + 32 * c + 64 * h, subs->d + c + 16 * h, center, max_bits);
            else
                max_bits = sn_turn_codes_avx512(v + 16 * c, panel + 32 * c + 64 * h, subs->d + 32 * (c / sub) + 16 * h,
                                                subs->o + 32 * (c / sub) + 16 * h, sub, max_bits);
        max = _mm512_castsi512_ps(max_bits);
        sound = _mm512_cmp_ps_mask(max, _mm512_set1_ps(1e-30f), _CMP_GT_OQ) &
                _mm512_cmp_ps_mask(max, _mm512_set1_ps(3.402823466e38f), _CMP_LE_OQ);
        inverse = _mm512_maskz_div_ps(sound, _mm512_set1_ps(127.0f), max);
        _mm512_storeu_ps(scale + 16 * h, _mm512_mul_ps(_mm512_div_ps(max, _mm512_set1_ps(127.0f)), _mm512_set1_ps(0.125f)));
        for (int i = 0; i < group / 4; i++) {
            __m512i w[4];

            for (int j = 0; j < 4; j++)
                w[j] = _mm512_castps_si512(_mm512_fmadd_ps(_mm512_maskz_loadu_ps(sound, v + 16 * (4 * i + j)), inverse, middle));
            w[0] = _mm512_mask_shuffle_epi8(w[0], 0x2222222222222222u, w[1], up);
            w[0] = _mm512_mask_shuffle_epi8(w[0], 0x4444444444444444u, w[2], up);
            w[0] = _mm512_mask_shuffle_epi8(w[0], 0x8888888888888888u, w[3], up);
            _mm512_storeu_si512(panel + 128 * i + 64 * h, w[0]);
        }
    }
}

static SN_APART void sn_round32_avx512(uint8_t *panel, float *scale, const SnSubs *subs, int group)
{
    sn_round_avx512(panel, scale, subs, group, 32, 0);
}

static SN_APART void sn_round_integers_avx512(uint8_t *panel, float *scale, const SnSubs *subs, int group, int center)
{
    sn_round_avx512(panel, scale, subs, group, 32, center);
}

static SN_APART void sn_round16_avx512(uint8_t *panel, float *scale, const SnSubs *subs, int group)
{
    sn_round_avx512(panel, scale, subs, group, 16, 0);
}

/* Four columns of 32 rows to their place. */
static inline void sn_put_quad_avx512(uint8_t *panel, int quad, __m512i a, __m512i b)
{
    _mm512_storeu_si512(panel + 128 * quad, a);
    _mm512_storeu_si512(panel + 128 * quad + 64, b);
}

/* The codes of 32 x 32 weights as bytes: 8 bits, and 4. */
static inline void sn_put_i8_avx512(uint8_t *panel, const uint8_t *w)
{
    for (int i = 0; i < 8; i++)
        sn_put_quad_avx512(panel, i, _mm512_loadu_si512(w + 64 * i), _mm512_loadu_si512(w + 512 + 64 * i));
}

static inline void sn_put_i4_avx512(uint8_t *panel, const uint8_t *w)
{
    const __m512i low = _mm512_set1_epi8(0x0f);

    for (int i = 0; i < 4; i++) {
        const __m512i u = _mm512_loadu_si512(w + 64 * i);
        const __m512i v = _mm512_loadu_si512(w + 256 + 64 * i);

        sn_put_quad_avx512(panel, i, _mm512_and_si512(u, low), _mm512_and_si512(v, low));
        sn_put_quad_avx512(panel, 4 + i, _mm512_and_si512(_mm512_srli_epi16(u, 4), low),
                           _mm512_and_si512(_mm512_srli_epi16(v, 4), low));
    }
}

/* 5 bits: column 4i+j's fifth bit is bit i of its byte of the high vector, column 16+4i+j's bit 4 + i. */
static inline void sn_put_i5_avx512(uint8_t *panel, const uint8_t *w)
{
    const __m512i low = _mm512_set1_epi8(0x0f);
    const __m512i fifth = _mm512_set1_epi8(0x10);
    __m512i a1 = _mm512_loadu_si512(w + 512);
    __m512i b1 = _mm512_loadu_si512(w + 576);
    __m512i a0 = _mm512_slli_epi16(a1, 4);
    __m512i b0 = _mm512_slli_epi16(b1, 4);

    for (int i = 0; i < 4; i++) {
        const __m512i u = _mm512_loadu_si512(w + 64 * i);
        const __m512i v = _mm512_loadu_si512(w + 256 + 64 * i);

        sn_put_quad_avx512(panel, i, sn_merge_avx512(_mm512_and_si512(u, low), a0, fifth),
                           sn_merge_avx512(_mm512_and_si512(v, low), b0, fifth));
        sn_put_quad_avx512(panel, 4 + i, sn_merge_avx512(_mm512_and_si512(_mm512_srli_epi16(u, 4), low), a1, fifth),
                           sn_merge_avx512(_mm512_and_si512(_mm512_srli_epi16(v, 4), low), b1, fifth));
        a0 = _mm512_srli_epi16(a0, 1);
        b0 = _mm512_srli_epi16(b0, 1);
        a1 = _mm512_srli_epi16(a1, 1);
        b1 = _mm512_srli_epi16(b1, 1);
    }
}

/* 6 bits: the two high ones of columns 4i+j and 16+4i+j are bits 2 (i / 2) and 4 + 2 (i / 2) of their byte of vector i % 2. */
static inline void sn_put_i6_avx512(uint8_t *panel, const uint8_t *w)
{
    const __m512i low = _mm512_set1_epi8(0x0f);
    const __m512i high = _mm512_set1_epi8(0x30);

    for (int i = 0; i < 4; i++) {
        const __m512i u = _mm512_loadu_si512(w + 64 * i);
        const __m512i v = _mm512_loadu_si512(w + 256 + 64 * i);
        const __m512i a = _mm512_loadu_si512(w + 512 + 64 * (i % 2));
        const __m512i b = _mm512_loadu_si512(w + 640 + 64 * (i % 2));

        sn_put_quad_avx512(panel, i, sn_merge_avx512(_mm512_and_si512(u, low), _mm512_slli_epi16(a, 4 - i / 2 * 2), high),
                           sn_merge_avx512(_mm512_and_si512(v, low), _mm512_slli_epi16(b, 4 - i / 2 * 2), high));
        sn_put_quad_avx512(panel, 4 + i,
                           sn_merge_avx512(_mm512_and_si512(_mm512_srli_epi16(u, 4), low), _mm512_srli_epi16(a, i / 2 * 2), high),
                           sn_merge_avx512(_mm512_and_si512(_mm512_srli_epi16(v, 4), low), _mm512_srli_epi16(b, i / 2 * 2), high));
    }
}

/* 2 bits: columns 4i + 8f + j are field f of vector i. */
static inline void sn_put_i2_avx512(uint8_t *panel, const uint8_t *w)
{
    const __m512i low = _mm512_set1_epi8(3);

    for (int i = 0; i < 8; i++)
        sn_put_quad_avx512(panel, i, _mm512_and_si512(_mm512_srli_epi16(_mm512_loadu_si512(w + 64 * (i % 2)), i / 2 * 2), low),
                           _mm512_and_si512(_mm512_srli_epi16(_mm512_loadu_si512(w + 128 + 64 * (i % 2)), i / 2 * 2), low));
}

/* d and o of sub b, rows 16 h and up. */
static inline void sn_put_sub_avx512(SnSubs *subs, int b, int h, __m512 d, __m512 o)
{
    _mm512_storeu_ps(subs->d + 32 * b + 16 * h, d);
    _mm512_storeu_ps(subs->o + 32 * b + 16 * h, o);
}

/* One scale a row: halves at `scales`; o = -center d, or the minima behind them. */
static inline void sn_put_halves_avx512(SnSubs *subs, int b, const uint8_t *scales, float center, int minimum)
{
    for (int h = 0; h < 2; h++) {
        const __m512 d = sn_halves_avx512(scales + 32 * h);

        sn_put_sub_avx512(subs, b, h, d,
                          minimum ? sn_halves_avx512(scales + 64 + 32 * h) : _mm512_mul_ps(d, _mm512_set1_ps(-center)));
    }
}

/* Layouts whose scales are halves, one level: codes of 4, 5 or 8 bits in blocks of `bytes` bytes, scales (and minima) at `scales`, codes
 * around `center`. */
__attribute__((always_inline))
static inline void sn_unpack_one_level_avx512(uint8_t *panel, const uint8_t *w, int n_in, int group, int bits, int bytes, int scales,
                                              int center, int minimum)
{
    SnSubs subs;

    for (int c = 0; c < n_in; c += group) {
        for (int b = 0; b < group / 32; b++, w += bytes) {
            uint8_t *to = panel + 32 * (c + 32 * b);

            if (bits == 8)
                sn_put_i8_avx512(to, w);
            else if (bits == 5)
                sn_put_i5_avx512(to, w);
            else
                sn_put_i4_avx512(to, w);
            sn_put_halves_avx512(&subs, b, w + scales, center, minimum);
        }
        if (bits < 8 && !minimum)
            sn_round_integers_avx512(panel + 32 * c, sn_panel_scales(panel, n_in) + c / group * SN_ROWS, &subs, group, center);
        else
            sn_round32_avx512(panel + 32 * c, sn_panel_scales(panel, n_in) + c / group * SN_ROWS, &subs, group);
    }
}

SN_KERNEL(op=unpack, layout=i8g32_r32k4, isa=avx512vnni, features=x86_64_v4, order=exact)
static SN_APART void sn_unpack_i8g32_r32k4_avx512vnni(uint8_t *panel, const uint8_t *w, int n_in, int group)
{
    sn_unpack_one_level_avx512(panel, w, n_in, group, 8, SN_I8_BLOCK, 1024, 128, 0);
}

SN_KERNEL(op=unpack, layout=i4g32_r32k4, isa=avx512vnni, features=x86_64_v4+avx512vnni, order=exact)
static SN_APART void sn_unpack_i4g32_r32k4_avx512vnni(uint8_t *panel, const uint8_t *w, int n_in, int group)
{
    sn_unpack_one_level_avx512(panel, w, n_in, group, 4, SN_I4_BLOCK, 512, 8, 0);
}

SN_KERNEL(op=unpack, layout=i4g32m_r32k4, isa=avx512vnni, features=x86_64_v4, order=exact)
static SN_APART void sn_unpack_i4g32m_r32k4_avx512vnni(uint8_t *panel, const uint8_t *w, int n_in, int group)
{
    sn_unpack_one_level_avx512(panel, w, n_in, group, 4, SN_I4M_BLOCK, 512, 0, 1);
}

SN_KERNEL(op=unpack, layout=i5g32_r32k4, isa=avx512vnni, features=x86_64_v4+avx512vnni, order=exact)
static SN_APART void sn_unpack_i5g32_r32k4_avx512vnni(uint8_t *panel, const uint8_t *w, int n_in, int group)
{
    sn_unpack_one_level_avx512(panel, w, n_in, group, 5, SN_I5_BLOCK, 640, 16, 0);
}

/* Two levels with minima: d s and m t; `head` is the block's d and m, `at` the group's s and t. */
static inline void sn_put_ms_avx512(SnSubs *subs, int b, const uint8_t *head, const uint8_t *at)
{
    for (int h = 0; h < 2; h++)
        sn_put_sub_avx512(subs, b, h, _mm512_mul_ps(sn_bytes_avx512(at + 16 * h), sn_halves_avx512(head + 32 * h)),
                          _mm512_mul_ps(sn_bytes_avx512(at + 32 + 16 * h), sn_halves_avx512(head + 64 + 32 * h)));
}

SN_KERNEL(op=unpack, layout=i4g32ms_r32k4, isa=avx512vnni, features=x86_64_v4, order=exact)
static SN_APART void sn_unpack_i4g32ms_r32k4_avx512vnni(uint8_t *panel, const uint8_t *w, int n_in, int group)
{
    SnSubs subs;

    for (int c = 0; c < n_in; c += group) {
        for (int b = 0; b < group / 32; b++) {
            const uint8_t *head = w + (c / 32 + b) / SN_SPANS * SN_I4MS_BLOCK;
            const uint8_t *span = head + 128 + (c / 32 + b) % SN_SPANS * SN_I4MS_SPAN;

            sn_put_i4_avx512(panel + 32 * (c + 32 * b), span);
            sn_put_ms_avx512(&subs, b, head, span + 512);
        }
        sn_round32_avx512(panel + 32 * c, sn_panel_scales(panel, n_in) + c / group * SN_ROWS, &subs, group);
    }
}

SN_KERNEL(op=unpack, layout=i5g32ms_r32k4, isa=avx512vnni, features=x86_64_v4, order=exact)
static SN_APART void sn_unpack_i5g32ms_r32k4_avx512vnni(uint8_t *panel, const uint8_t *w, int n_in, int group)
{
    SnSubs subs;

    for (int c = 0; c < n_in; c += group) {
        for (int b = 0; b < group / 32; b++) {
            const uint8_t *head = w + (c / 32 + b) / SN_SPANS * SN_I5MS_BLOCK;
            const uint8_t *span = head + 128 + (c / 32 + b) % SN_SPANS * SN_I5MS_SPAN;

            sn_put_i5_avx512(panel + 32 * (c + 32 * b), span);
            sn_put_ms_avx512(&subs, b, head, span + 640);
        }
        sn_round32_avx512(panel + 32 * c, sn_panel_scales(panel, n_in) + c / group * SN_ROWS, &subs, group);
    }
}

SN_KERNEL(op=unpack, layout=i6g16s_r32k4, isa=avx512vnni, features=x86_64_v4, order=exact)
static SN_APART void sn_unpack_i6g16s_r32k4_avx512vnni(uint8_t *panel, const uint8_t *w, int n_in, int group)
{
    SnSubs subs;

    for (int c = 0; c < n_in; c += group) {
        for (int b = 0; b < group / 32; b++) {
            const uint8_t *head = w + (c / 32 + b) / SN_SPANS * SN_I6S_BLOCK;
            const uint8_t *span = head + 64 + (c / 32 + b) % SN_SPANS * SN_I6S_SPAN;

            sn_put_i6_avx512(panel + 32 * (c + 32 * b), span);
            for (int k = 0; k < 4; k++) {                       /* two groups of 16 columns, two halves of the rows */
                const __m512 d = _mm512_mul_ps(sn_signed_bytes_avx512(span + 768 + 16 * k), sn_halves_avx512(head + 32 * (k % 2)));

                sn_put_sub_avx512(&subs, 2 * b + k / 2, k % 2, d, _mm512_mul_ps(d, _mm512_set1_ps(-32.0f)));
            }
        }
        sn_round16_avx512(panel + 32 * c, sn_panel_scales(panel, n_in) + c / group * SN_ROWS, &subs, group);
    }
}

SN_KERNEL(op=unpack, layout=i2g256_r32k4, isa=avx512vnni, features=x86_64_v4, order=exact)
static SN_APART void sn_unpack_i2g256_r32k4_avx512vnni(uint8_t *panel, const uint8_t *w, int n_in, int group)
{
    SnSubs subs;

    for (int c = 0; c < n_in; c += group) {
        for (int b = 0; b < group / 32; b++) {
            const uint8_t *block = w + (c / 32 + b) / 8 * SN_I2_BLOCK;

            sn_put_i2_avx512(panel + 32 * (c + 32 * b), block + (c / 32 + b) % 8 * 256);
            sn_put_halves_avx512(&subs, b, block + 2048, 1, 0);
        }
        sn_round32_avx512(panel + 32 * c, sn_panel_scales(panel, n_in) + c / group * SN_ROWS, &subs, group);
    }
}

/* Base 3: five digits in a byte; quad k < 15 of 64 columns is digit k % 5 of vector k / 5, quad 15 of the p-th 64 digit p of the first. */
SN_KERNEL(op=unpack, layout=t5g256_r32k4, isa=avx512vnni, features=x86_64_v4, order=exact)
static SN_APART void sn_unpack_t5g256_r32k4_avx512vnni(uint8_t *panel, const uint8_t *w, int n_in, int group)
{
    for (int c = 0; c < n_in; c += SN_TERNARY_COLUMNS, w += SN_T5_BLOCK) {
        __m512i last[2] = { _mm512_loadu_si512(w), _mm512_loadu_si512(w + 64) };
        SnSubs subs;

        for (int p = 0; p < 4; p++)
            for (int h = 0; h < 2; h++) {
                uint8_t *to = panel + 32 * (c + 64 * p) + 64 * h;

                for (int v = 0; v < 3; v++) {
                    __m512i q = _mm512_loadu_si512(w + 128 + 384 * p + 192 * h + 64 * v);

                    for (int k = 0; k < 5; k++) {
                        _mm512_storeu_si512(to + 128 * (5 * v + k), sn_digits_avx512(q));
                        q = sn_triple_avx512(q);
                    }
                }
                _mm512_storeu_si512(to + 128 * 15, sn_digits_avx512(last[h]));
                last[h] = sn_triple_avx512(last[h]);
            }
        for (int b = 0; b < group / 32; b++)
            sn_put_halves_avx512(&subs, b, w + 1664, 1, 0);
        for (int g = 0; g < SN_TERNARY_COLUMNS; g += group)
            sn_round32_avx512(panel + 32 * (c + g), sn_panel_scales(panel, n_in) + (c + g) / group * SN_ROWS, &subs, group);
    }
}

/* ---- activations ----------------------------------------------------------------------------------------------------------- */

/* Sums and differences of lanes whose numbers differ in one bit: `other` has them exchanged, `sign` is -1 where the bit is set.  The
 * product is exact, so one operation adds here and subtracts there with the bits of either. */
static inline __m512 sn_turn_lanes_avx512(__m512 v, __m512 other, __m512 sign)
{
    return _mm512_fmadd_ps(v, sign, other);
}

static inline __m512 sn_turn16_avx512(__m512 v)
{
    const __m512 one = _mm512_set1_ps(1.0f);
    const __m512 minus = _mm512_set1_ps(-1.0f);

    v = sn_turn_lanes_avx512(v, _mm512_permute_ps(v, 0xb1), _mm512_mask_blend_ps(0xaaaa, one, minus));
    v = sn_turn_lanes_avx512(v, _mm512_permute_ps(v, 0x4e), _mm512_mask_blend_ps(0xcccc, one, minus));
    v = sn_turn_lanes_avx512(v, _mm512_shuffle_f32x4(v, v, 0xb1), _mm512_mask_blend_ps(0xf0f0, one, minus));
    return sn_turn_lanes_avx512(v, _mm512_shuffle_f32x4(v, v, 0x4e), _mm512_mask_blend_ps(0xff00, one, minus));
}

SN_KERNEL(op=quant_i8, x=f32, isa=avx512vnni, features=x86_64_v4, order=exact)
static SN_APART void sn_quant_i8_avx512vnni(int8_t *q, SnI8Scale *scale, const float *x, int n)
{
    const __m512i positive = _mm512_set1_epi32(0x7fffffff);
    const __m512 middle = _mm512_set1_ps(12582912.0f);
    __m512i max_bits = _mm512_setzero_si512();
    __m512i sum = _mm512_setzero_si512();
    float turned[SN_I8_GROUP];
    float max, inverse;

    for (int i = 0; i < n; i += SN_TURN) {
        __m512 v[4], w[4];

        for (int k = 0; k < 4; k++)
            v[k] = sn_turn16_avx512(_mm512_loadu_ps(x + i + 16 * k));
        w[0] = _mm512_add_ps(v[0], v[1]);
        w[1] = _mm512_sub_ps(v[0], v[1]);
        w[2] = _mm512_add_ps(v[2], v[3]);
        w[3] = _mm512_sub_ps(v[2], v[3]);
        v[0] = _mm512_add_ps(w[0], w[2]);
        v[1] = _mm512_add_ps(w[1], w[3]);
        v[2] = _mm512_sub_ps(w[0], w[2]);
        v[3] = _mm512_sub_ps(w[1], w[3]);
        for (int k = 0; k < 4; k++) {
            max_bits = _mm512_max_epi32(max_bits, _mm512_and_si512(_mm512_castps_si512(v[k]), positive));
            _mm512_storeu_ps(turned + i + 16 * k, v[k]);
        }
    }
    max = sn_float((uint32_t)_mm512_reduce_max_epi32(max_bits));
    inverse = sn_to_codes(max);
    for (int i = 0; i < n; i += SN_TURN) {
        const __mmask16 sound = inverse > 0 ? 0xffff : 0;

        for (int k = 0; k < SN_TURN; k += 16) {                 /* a code is the low byte of its float */
            const __m512 v = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(sound, turned + i + k), _mm512_set1_ps(inverse), middle);

            _mm_storeu_si128((__m128i *)(void *)(q + i + k), _mm512_cvtepi32_epi8(_mm512_castps_si512(v)));
        }
        sum = _mm512_add_epi64(sum, _mm512_sad_epu8(_mm512_xor_si512(_mm512_loadu_si512(q + i), _mm512_set1_epi8(-128)),
                                                    _mm512_setzero_si512()));
    }
    scale->d = max / 127.0f * 0.125f;
    scale->sum = (int32_t)_mm512_reduce_add_epi64(sum) - 128 * n;
}
