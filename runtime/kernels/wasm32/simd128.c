/* WebAssembly with 128-bit vectors (simd128): 4 rows per vector, one 32-bit lane per row in the end.
 *
 * Layouts, results and bits are those of portable/dot.c: this machine has no fused multiply-add, so floats are multiplied and
 * added as there.  A vector of packed codes has 4 rows x 4 columns; widened to 16 bits it is two vectors, which
 * i32x4.dot_i16x8 multiplies with four activations, widened once a block:
 *
 *     widened   | r0 c0..c3 | r1 c0..c3 |   and   | r2 c0..c3 | r3 c0..c3 |
 *     sums      | r0 even, r0 odd pairs, r1, r1 |   and   | r2, r2, r3, r3 |      added across once a block
 *
 * One body serves one token and four (`tokens` is constant where it is inlined). */
#include <wasm_simd128.h>
#include "../kernel.h"

/* Four halves, each in 32 bits, as floats: sn_f16_to_f32. */
static inline v128_t sn_four_floats_simd128(v128_t h)
{
    const v128_t rest = wasm_v128_and(h, wasm_i32x4_splat(0x7fff));
    const v128_t sign = wasm_i32x4_shl(wasm_v128_xor(h, rest), 16);
    const v128_t bias = wasm_i32x4_splat(112 << 23);            /* 127 - 15 in a float's exponent; twice for infinity and NaN */
    const v128_t large = wasm_v128_and(wasm_i32x4_gt(rest, wasm_i32x4_splat(0x7bff)), bias);
    const v128_t bits = wasm_i32x4_add(wasm_i32x4_add(wasm_i32x4_shl(rest, 13), bias), large);
    const v128_t half = wasm_f32x4_splat(0.5f);                 /* has steps of 2^-24 */
    const v128_t tiny = wasm_f32x4_sub(wasm_i32x4_add(rest, half), half);

    return wasm_v128_or(sign, wasm_v128_bitselect(tiny, bits, wasm_i32x4_lt(rest, wasm_i32x4_splat(0x400))));
}

/* The same of four halves at p, which may lie anywhere. */
static inline v128_t sn_four_halves_simd128(const void *p)
{
    v128_t h = wasm_u32x4_load16x4(p);

    __asm__("" : "+r"(h));                                      /* or clang 14 goes on with 16 bits and widens every step */
    return sn_four_floats_simd128(h);
}

static SN_APART void sn_halves_simd128(float d[SN_ROWS], const uint8_t *p)
{
    for (int r = 0; r < SN_ROWS; r += 4)
        wasm_v128_store(d + r, sn_four_halves_simd128(p + 2 * r));
}

/* d[r] = v[r] times its group's scale, 32 rows. */
static inline void sn_subscales_simd128(float d[SN_ROWS], const float *v, const uint8_t *s)
{
    for (int r = 0; r < SN_ROWS; r += 4) {
        const v128_t four = wasm_u32x4_extend_low_u16x8(wasm_u16x8_extend_low_u8x16(wasm_v128_load32_zero(s + r)));

        wasm_v128_store(d + r, wasm_f32x4_mul(wasm_v128_load(v + r), wasm_f32x4_convert_i32x4(four)));
    }
}

/* acc += m times the sum of the activations. */
static inline void sn_add_minima_simd128(float acc[SN_ROWS], const float *m, const SnQ8 *x)
{
    for (int r = 0; r < SN_ROWS; r += 4) {
        const v128_t f = wasm_f32x4_mul(wasm_v128_load(m + r), wasm_f32x4_splat(x->ds));

        wasm_v128_store(acc + r, wasm_f32x4_add(wasm_v128_load(acc + r), f));
    }
}

/* A block's activations of each token in 16 bits. */
__attribute__((always_inline))
static inline void sn_widen_simd128(int16_t *y, const SnQ8 *x, int x_stride, int tokens)
{
    for (int t = 0; t < tokens; t++)
        for (int i = 0; i < SN_GROUP; i += 8)
            wasm_v128_store(y + SN_GROUP * t + i, wasm_i16x8_load8x8(x[t * x_stride].q + i));
}

/* Four columns of 4 rows added to the sums of every token: s[2 t] rows 0 and 1, s[2 t + 1] rows 2 and 3; q is where the
 * first token's activations of these columns are. */
__attribute__((always_inline))
static inline void sn_add_codes_simd128(v128_t *s, v128_t top, v128_t bottom, const int16_t *q, int tokens)
{
    for (int t = 0; t < tokens; t++) {
        const v128_t x = wasm_v128_load64_splat(q + SN_GROUP * t);

        s[2 * t] = wasm_i32x4_add(s[2 * t], wasm_i32x4_dot_i16x8(top, x));
        s[2 * t + 1] = wasm_i32x4_add(s[2 * t + 1], wasm_i32x4_dot_i16x8(bottom, x));
    }
}

/* 4 rows x 32 columns of 4-bit codes. */
__attribute__((always_inline))
static inline void sn_add_block_i4_simd128(v128_t *s, const uint8_t *codes, const int16_t *q, int tokens)
{
    for (int i = 0; i < 4; i++) {
        const v128_t both = wasm_v128_load(codes + 64 * i);
        const v128_t low = wasm_v128_and(both, wasm_i8x16_splat(15));
        const v128_t high = wasm_u8x16_shr(both, 4);

        sn_add_codes_simd128(s, wasm_u16x8_extend_low_u8x16(low), wasm_u16x8_extend_high_u8x16(low), q + 4 * i, tokens);
        sn_add_codes_simd128(s, wasm_u16x8_extend_low_u8x16(high), wasm_u16x8_extend_high_u8x16(high), q + 16 + 4 * i, tokens);
    }
}

/* The integer sums of 4 rows and each token, + offset * sum(q), times d and the activations' scale, added to acc. */
__attribute__((always_inline))
static inline void sn_scale_simd128(float *acc, const v128_t *s, int offset, v128_t d, const SnQ8 *x, int x_stride, int tokens)
{
    for (int t = 0; t < tokens; t++) {
        const SnQ8 *q = x + t * x_stride;
        const v128_t even = wasm_i32x4_shuffle(s[2 * t], s[2 * t + 1], 0, 2, 4, 6);
        const v128_t odd = wasm_i32x4_shuffle(s[2 * t], s[2 * t + 1], 1, 3, 5, 7);
        const v128_t sum = wasm_i32x4_add(wasm_i32x4_add(even, odd), wasm_i32x4_splat(offset * q->sum));
        const v128_t f = wasm_f32x4_mul(wasm_f32x4_convert_i32x4(sum), wasm_f32x4_mul(d, wasm_f32x4_splat(q->d)));

        wasm_v128_store(acc + 32 * t, wasm_f32x4_add(wasm_v128_load(acc + 32 * t), f));
    }
}

__attribute__((always_inline))
static inline void sn_dots_i8g32_q8_simd128(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in, int tokens)
{
    int16_t q[4 * SN_GROUP];
    float d[SN_ROWS];

    sn_zero(acc, SN_ROWS * tokens);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I8_BLOCK) {
        sn_widen_simd128(q, x + b, x_stride, tokens);
        sn_halves_simd128(d, w + 1024);
        for (int g = 0; g < 8; g++) {
            const uint8_t *codes = w + 512 * (g / 4) + 16 * (g % 4);
            v128_t s[8];

            for (int k = 0; k < 2 * tokens; k++)
                s[k] = wasm_i32x4_splat(0);
            for (int i = 0; i < 8; i++) {
                const v128_t v = wasm_v128_load(codes + 64 * i);

                sn_add_codes_simd128(s, wasm_u16x8_extend_low_u8x16(v), wasm_u16x8_extend_high_u8x16(v), q + 4 * i, tokens);
            }
            sn_scale_simd128(acc + 4 * g, s, -128, wasm_v128_load(d + 4 * g), x + b, x_stride, tokens);
        }
    }
}

__attribute__((always_inline))
static inline void sn_dots_i4g32_q8_simd128(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in, int tokens)
{
    int16_t q[4 * SN_GROUP];
    float d[SN_ROWS];

    sn_zero(acc, SN_ROWS * tokens);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I4_BLOCK) {
        sn_widen_simd128(q, x + b, x_stride, tokens);
        sn_halves_simd128(d, w + 512);
        for (int g = 0; g < 8; g++) {
            v128_t s[8];

            for (int k = 0; k < 2 * tokens; k++)
                s[k] = wasm_i32x4_splat(0);
            sn_add_block_i4_simd128(s, w + 256 * (g / 4) + 16 * (g % 4), q, tokens);
            sn_scale_simd128(acc + 4 * g, s, -8, wasm_v128_load(d + 4 * g), x + b, x_stride, tokens);
        }
    }
}

__attribute__((always_inline))
static inline void sn_dots_i4g32m_q8_simd128(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in, int tokens)
{
    int16_t q[4 * SN_GROUP];
    float d[SN_ROWS];
    float m[SN_ROWS];

    sn_zero(acc, SN_ROWS * tokens);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I4M_BLOCK) {
        sn_widen_simd128(q, x + b, x_stride, tokens);
        sn_halves_simd128(d, w + 512);
        sn_halves_simd128(m, w + 576);
        for (int g = 0; g < 8; g++) {
            v128_t s[8];

            for (int k = 0; k < 2 * tokens; k++)
                s[k] = wasm_i32x4_splat(0);
            sn_add_block_i4_simd128(s, w + 256 * (g / 4) + 16 * (g % 4), q, tokens);
            sn_scale_simd128(acc + 4 * g, s, 0, wasm_v128_load(d + 4 * g), x + b, x_stride, tokens);
        }
        for (int t = 0; t < tokens; t++)
            sn_add_minima_simd128(acc + SN_ROWS * t, m, x + t * x_stride + b);
    }
}

/* Scales of two levels: see portable/dot_planes.c. */
__attribute__((always_inline))
static inline void sn_dots_i4g32ms_q8_simd128(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in, int tokens)
{
    int16_t q[4 * SN_GROUP];
    float d[SN_ROWS];
    float m[SN_ROWS];
    float ds[SN_ROWS];
    float mt[SN_ROWS];

    sn_zero(acc, SN_ROWS * tokens);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I4MS_SPAN) {
        if (b % SN_SPANS == 0) {
            sn_halves_simd128(d, w);
            sn_halves_simd128(m, w + 64);
            w += 128;
        }
        sn_widen_simd128(q, x + b, x_stride, tokens);
        sn_subscales_simd128(ds, d, w + 512);
        sn_subscales_simd128(mt, m, w + 544);
        for (int g = 0; g < 8; g++) {
            v128_t s[8];

            for (int k = 0; k < 2 * tokens; k++)
                s[k] = wasm_i32x4_splat(0);
            sn_add_block_i4_simd128(s, w + 256 * (g / 4) + 16 * (g % 4), q, tokens);
            sn_scale_simd128(acc + 4 * g, s, 0, wasm_v128_load(ds + 4 * g), x + b, x_stride, tokens);
        }
        for (int t = 0; t < tokens; t++)
            sn_add_minima_simd128(acc + SN_ROWS * t, mt, x + t * x_stride + b);
    }
}

/* ---- the kernels (nothing prefetches here) ------------------------------------------------------------------------- */

SN_KERNEL(op=dot, layout=i8g32_r32k4, x=q8, tile=32x4, isa=simd128, features=simd128, order=groups)
static SN_APART void sn_dot4_i8g32_r32k4_q8_simd128(float acc[4 * 32], const uint8_t *w, const SnQ8 *x,
                                                    int x_stride, int n_in, const uint8_t *next)
{
    (void)next;
    sn_dots_i8g32_q8_simd128(acc, w, x, x_stride, n_in, 4);
}

SN_KERNEL(op=dot, layout=i8g32_r32k4, x=q8, tile=32x1, isa=simd128, features=simd128, order=groups)
static SN_APART void sn_dot_i8g32_r32k4_q8_simd128(float acc[32], const uint8_t *w, const SnQ8 *x,
                                                   int n_in, const uint8_t *next)
{
    (void)next;
    sn_dots_i8g32_q8_simd128(acc, w, x, 0, n_in, 1);
}

SN_KERNEL(op=dot, layout=i4g32_r32k4, x=q8, tile=32x4, isa=simd128, features=simd128, order=groups)
static SN_APART void sn_dot4_i4g32_r32k4_q8_simd128(float acc[4 * 32], const uint8_t *w, const SnQ8 *x,
                                                    int x_stride, int n_in, const uint8_t *next)
{
    (void)next;
    sn_dots_i4g32_q8_simd128(acc, w, x, x_stride, n_in, 4);
}

SN_KERNEL(op=dot, layout=i4g32_r32k4, x=q8, tile=32x1, isa=simd128, features=simd128, order=groups)
static SN_APART void sn_dot_i4g32_r32k4_q8_simd128(float acc[32], const uint8_t *w, const SnQ8 *x,
                                                   int n_in, const uint8_t *next)
{
    (void)next;
    sn_dots_i4g32_q8_simd128(acc, w, x, 0, n_in, 1);
}

SN_KERNEL(op=dot, layout=i4g32m_r32k4, x=q8, tile=32x4, isa=simd128, features=simd128, order=groups)
static SN_APART void sn_dot4_i4g32m_r32k4_q8_simd128(float acc[4 * 32], const uint8_t *w, const SnQ8 *x,
                                                     int x_stride, int n_in, const uint8_t *next)
{
    (void)next;
    sn_dots_i4g32m_q8_simd128(acc, w, x, x_stride, n_in, 4);
}

SN_KERNEL(op=dot, layout=i4g32m_r32k4, x=q8, tile=32x1, isa=simd128, features=simd128, order=groups)
static SN_APART void sn_dot_i4g32m_r32k4_q8_simd128(float acc[32], const uint8_t *w, const SnQ8 *x,
                                                    int n_in, const uint8_t *next)
{
    (void)next;
    sn_dots_i4g32m_q8_simd128(acc, w, x, 0, n_in, 1);
}

SN_KERNEL(op=dot, layout=i4g32ms_r32k4, x=q8, tile=32x4, isa=simd128, features=simd128, order=groups)
static inline void sn_dot4_i4g32ms_r32k4_q8_simd128(float acc[4 * 32], const uint8_t *w, const SnQ8 *x,
                                                    int x_stride, int n_in, const uint8_t *next)
{
    (void)next;
    sn_dots_i4g32ms_q8_simd128(acc, w, x, x_stride, n_in, 4);
}

SN_KERNEL(op=dot, layout=i4g32ms_r32k4, x=q8, tile=32x1, isa=simd128, features=simd128, order=groups)
static inline void sn_dot_i4g32ms_r32k4_q8_simd128(float acc[32], const uint8_t *w, const SnQ8 *x,
                                                   int n_in, const uint8_t *next)
{
    (void)next;
    sn_dots_i4g32ms_q8_simd128(acc, w, x, 0, n_in, 1);
}
