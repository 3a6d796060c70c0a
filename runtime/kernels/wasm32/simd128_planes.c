/* WebAssembly with 128-bit vectors, codes in two planes and scales of two levels: the layouts of portable/dot_planes.c.
 *
 * Lanes, sums and bits are simd128.c's.  The planes are put together in bytes, 4 rows x 4 columns a vector.  Bits of a plane move as
 * 16-bit numbers, which is cheap also where bytes cannot be shifted; what comes from the neighbour is masked out.  6-bit codes keep
 * their 32 until their group of 16 columns is summed. */
#include <wasm_simd128.h>
#include "../kernel.h"

/* 4 rows x 4 columns of codes, one a byte, added to the sums of every token. */
__attribute__((always_inline))
static inline void sn_add_bytes_simd128(v128_t *s, v128_t code, const int16_t *q, int tokens)
{
    sn_add_codes_simd128(s, wasm_u16x8_extend_low_u8x16(code), wasm_u16x8_extend_high_u8x16(code), q, tokens);
}

__attribute__((always_inline))
static inline void sn_clear_sums_simd128(v128_t *s, int tokens)
{
    for (int k = 0; k < 2 * tokens; k++)
        s[k] = wasm_i32x4_splat(0);
}

/* 4 rows x 32 columns of 5-bit codes; g is the group of rows. */
__attribute__((always_inline))
static inline void sn_add_block_i5_simd128(v128_t *s, const uint8_t *w, int g, const int16_t *q, int tokens)
{
    const uint8_t *codes = w + 256 * (g / 4) + 16 * (g % 4);
    const v128_t fifth = wasm_v128_load(w + 512 + 16 * g);      /* columns 4i.. have bit i of a byte, 16 + 4i.. bit 4 + i */
    const v128_t bit = wasm_i8x16_splat(16);

    for (int i = 0; i < 4; i++) {
        const v128_t both = wasm_v128_load(codes + 64 * i);
        const v128_t low = wasm_v128_and(both, wasm_i8x16_splat(15));
        const v128_t high = wasm_u8x16_shr(both, 4);

        sn_add_bytes_simd128(s, wasm_v128_or(low, wasm_v128_and(wasm_i16x8_shl(fifth, 4 - i), bit)), q + 4 * i, tokens);
        sn_add_bytes_simd128(s, wasm_v128_or(high, wasm_v128_and(wasm_u16x8_shr(fifth, i), bit)), q + 16 + 4 * i, tokens);
    }
}

__attribute__((always_inline))
static inline void sn_dots_i5g32_q8_simd128(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in, int tokens)
{
    int16_t q[4 * SN_GROUP];
    float d[SN_ROWS];

    sn_zero(acc, SN_ROWS * tokens);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I5_BLOCK) {
        sn_widen_simd128(q, x + b, x_stride, tokens);
        sn_halves_simd128(d, w + 640);
        for (int g = 0; g < 8; g++) {
            v128_t s[8];

            sn_clear_sums_simd128(s, tokens);
            sn_add_block_i5_simd128(s, w, g, q, tokens);
            sn_scale_simd128(acc + 4 * g, s, -16, wasm_v128_load(d + 4 * g), x + b, x_stride, tokens);
        }
    }
}

__attribute__((always_inline))
static inline void sn_dots_i5g32ms_q8_simd128(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in, int tokens)
{
    int16_t q[4 * SN_GROUP];
    float d[SN_ROWS];
    float m[SN_ROWS];
    float ds[SN_ROWS];
    float mt[SN_ROWS];

    sn_zero(acc, SN_ROWS * tokens);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I5MS_SPAN) {
        if (b % SN_SPANS == 0) {
            sn_halves_simd128(d, w);
            sn_halves_simd128(m, w + 64);
            w += 128;
        }
        sn_widen_simd128(q, x + b, x_stride, tokens);
        sn_subscales_simd128(ds, d, w + 640);
        sn_subscales_simd128(mt, m, w + 672);
        for (int g = 0; g < 8; g++) {
            v128_t s[8];

            sn_clear_sums_simd128(s, tokens);
            sn_add_block_i5_simd128(s, w, g, q, tokens);
            sn_scale_simd128(acc + 4 * g, s, 0, wasm_v128_load(ds + 4 * g), x + b, x_stride, tokens);
        }
        for (int t = 0; t < tokens; t++)
            sn_add_minima_simd128(acc + SN_ROWS * t, mt, x + t * x_stride + b);
    }
}

/* The first 16 of 32 widened activations, added up. */
static inline int32_t sn_half_sum_simd128(const int16_t *q)
{
    const v128_t one = wasm_i16x8_splat(1);
    const v128_t s = wasm_i32x4_add(wasm_i32x4_dot_i16x8(wasm_v128_load(q), one),
                                    wasm_i32x4_dot_i16x8(wasm_v128_load(q + 8), one));

    return wasm_i32x4_extract_lane(s, 0) + wasm_i32x4_extract_lane(s, 1) + wasm_i32x4_extract_lane(s, 2) +
           wasm_i32x4_extract_lane(s, 3);
}

/* Sums of 4 rows as sn_add_codes_simd128 leaves them, + start, times 4 signed bytes. */
static inline v128_t sn_scaled_sums_simd128(const v128_t *s, int32_t start, const uint8_t *scales)
{
    const v128_t sum = wasm_i32x4_add(wasm_i32x4_shuffle(s[0], s[1], 0, 2, 4, 6), wasm_i32x4_shuffle(s[0], s[1], 1, 3, 5, 7));
    const v128_t four = wasm_i32x4_extend_low_i16x8(wasm_i16x8_extend_low_i8x16(wasm_v128_load32_zero(scales)));

    return wasm_i32x4_mul(wasm_i32x4_add(sum, wasm_i32x4_splat(start)), four);
}

__attribute__((always_inline))
static inline void sn_dots_i6g16s_q8_simd128(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in, int tokens)
{
    const v128_t high = wasm_i8x16_splat(48);
    int16_t q[4 * SN_GROUP];
    int32_t start[4];                                           /* of columns 0..; of 16.. it is -32 sum(q) less this */
    float d[SN_ROWS];

    sn_zero(acc, SN_ROWS * tokens);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I6S_SPAN) {
        if (b % SN_SPANS == 0) {
            sn_halves_simd128(d, w);
            w += 64;
        }
        sn_widen_simd128(q, x + b, x_stride, tokens);
        for (int t = 0; t < tokens; t++)
            start[t] = -32 * sn_half_sum_simd128(q + SN_GROUP * t);
        for (int g = 0; g < 8; g++) {
            const uint8_t *codes = w + 256 * (g / 4) + 16 * (g % 4);
            const uint8_t *upper = w + 512 + 128 * (g / 4) + 16 * (g % 4);
            v128_t s[8];
            v128_t u[8];

            sn_clear_sums_simd128(s, tokens);
            sn_clear_sums_simd128(u, tokens);
            for (int i = 0; i < 2; i++) {                       /* columns 4i.., 8 + 4i.., 16 + 4i.., 24 + 4i.. */
                const v128_t h = wasm_v128_load(upper + 64 * i);
                const v128_t v0 = wasm_v128_load(codes + 64 * i);
                const v128_t v1 = wasm_v128_load(codes + 64 * i + 128);
                const v128_t low = wasm_i8x16_splat(15);

                sn_add_bytes_simd128(s, wasm_v128_or(wasm_v128_and(v0, low), wasm_v128_and(wasm_i16x8_shl(h, 4), high)),
                                     q + 4 * i, tokens);
                sn_add_bytes_simd128(s, wasm_v128_or(wasm_v128_and(v1, low), wasm_v128_and(wasm_i16x8_shl(h, 2), high)),
                                     q + 8 + 4 * i, tokens);
                sn_add_bytes_simd128(u, wasm_v128_or(wasm_u8x16_shr(v0, 4), wasm_v128_and(h, high)), q + 16 + 4 * i, tokens);
                sn_add_bytes_simd128(u, wasm_v128_or(wasm_u8x16_shr(v1, 4), wasm_v128_and(wasm_u16x8_shr(h, 2), high)),
                                     q + 24 + 4 * i, tokens);
            }
            for (int t = 0; t < tokens; t++) {
                const SnQ8 *y = x + t * x_stride + b;
                float *out = acc + SN_ROWS * t + 4 * g;
                const v128_t first = sn_scaled_sums_simd128(s + 2 * t, start[t], w + 768 + 4 * g);
                const v128_t sum = wasm_i32x4_add(first, sn_scaled_sums_simd128(u + 2 * t, -32 * y->sum - start[t],
                                                                                w + 800 + 4 * g));
                const v128_t scale = wasm_f32x4_mul(wasm_v128_load(d + 4 * g), wasm_f32x4_splat(y->d));

                wasm_v128_store(out, wasm_f32x4_add(wasm_v128_load(out), wasm_f32x4_mul(wasm_f32x4_convert_i32x4(sum), scale)));
            }
        }
    }
}

/* ---- the kernels ---------------------------------------------------------------------------------------------------- */

SN_KERNEL(op=dot, layout=i5g32_r32k4, x=q8, tile=32x4, isa=simd128, features=simd128, order=groups)
static SN_APART void sn_dot4_i5g32_r32k4_q8_simd128(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                                    const uint8_t *next)
{
    (void)next;
    sn_dots_i5g32_q8_simd128(acc, w, x, x_stride, n_in, 4);
}

SN_KERNEL(op=dot, layout=i5g32_r32k4, x=q8, tile=32x1, isa=simd128, features=simd128, order=groups)
static SN_APART void sn_dot_i5g32_r32k4_q8_simd128(float acc[32], const uint8_t *w, const SnQ8 *x, int n_in, const uint8_t *next)
{
    (void)next;
    sn_dots_i5g32_q8_simd128(acc, w, x, 0, n_in, 1);
}

SN_KERNEL(op=dot, layout=i5g32ms_r32k4, x=q8, tile=32x4, isa=simd128, features=simd128, order=groups)
static SN_APART void sn_dot4_i5g32ms_r32k4_q8_simd128(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                                      const uint8_t *next)
{
    (void)next;
    sn_dots_i5g32ms_q8_simd128(acc, w, x, x_stride, n_in, 4);
}

SN_KERNEL(op=dot, layout=i5g32ms_r32k4, x=q8, tile=32x1, isa=simd128, features=simd128, order=groups)
static SN_APART void sn_dot_i5g32ms_r32k4_q8_simd128(float acc[32], const uint8_t *w, const SnQ8 *x, int n_in, const uint8_t *next)
{
    (void)next;
    sn_dots_i5g32ms_q8_simd128(acc, w, x, 0, n_in, 1);
}

SN_KERNEL(op=dot, layout=i6g16s_r32k4, x=q8, tile=32x4, isa=simd128, features=simd128, order=groups)
static SN_APART void sn_dot4_i6g16s_r32k4_q8_simd128(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                                     const uint8_t *next)
{
    (void)next;
    sn_dots_i6g16s_q8_simd128(acc, w, x, x_stride, n_in, 4);
}

SN_KERNEL(op=dot, layout=i6g16s_r32k4, x=q8, tile=32x1, isa=simd128, features=simd128, order=groups)
static SN_APART void sn_dot_i6g16s_r32k4_q8_simd128(float acc[32], const uint8_t *w, const SnQ8 *x, int n_in, const uint8_t *next)
{
    (void)next;
    sn_dots_i6g16s_q8_simd128(acc, w, x, 0, n_in, 1);
}
