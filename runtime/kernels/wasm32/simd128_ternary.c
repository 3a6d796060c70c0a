/* Ternary weights for WebAssembly with 128-bit vectors: the layouts of portable/ternary.c; lanes, sums and bits are simd128.c's.
 *
 * Base 3: the first digit of q is 3 q / 256, so it is above 0 from 86 on and above 1 from 171 on: two comparisons, each -1 where
 * true.  What follows it is 3 q mod 256.  All of it holds for p = q - 128 as well, whose signed comparisons are one instruction
 * everywhere: p > -43, p > 42, 3 p mod 256. */
#include <wasm_simd128.h>
#include "../kernel.h"

__attribute__((always_inline))
static inline void sn_dots_i2g256_q8g256_simd128(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in, int tokens)
{
    int16_t q[4 * SN_GROUP];
    float d[SN_ROWS];

    sn_zero(acc, SN_ROWS * tokens);
    for (int b = 0; b < n_in / SN_TERNARY_COLUMNS; b++, w += SN_I2_BLOCK) {
        sn_halves_simd128(d, w + 2048);
        for (int g = 0; g < 8; g++, x++) {
            sn_widen_simd128(q, x, x_stride, tokens);
            for (int k = 0; k < 8; k++) {
                const uint8_t *codes = w + 256 * g + k / 4 * 128 + k % 4 * 16;
                v128_t s[8];

                sn_clear_sums_simd128(s, tokens);
                for (int i = 0; i < 2; i++) {
                    const v128_t four = wasm_v128_load(codes + 64 * i);

                    for (int f = 0; f < 4; f++)
                        sn_add_bytes_simd128(s, wasm_v128_and(wasm_u16x8_shr(four, 2 * f), wasm_i8x16_splat(3)),
                                             q + 8 * f + 4 * i, tokens);
                }
                sn_scale_simd128(acc + 4 * k, s, -1, wasm_v128_load(d + 4 * k), x, x_stride, tokens);
            }
        }
    }
}

/* 16 bytes of base 3, 128 subtracted. */
static inline v128_t sn_load_t5_simd128(const uint8_t *p)
{
    return wasm_v128_xor(wasm_v128_load(p), wasm_u8x16_splat(128));
}

/* n digits of 4 rows, from the first one of p on, added to the sums; returns what follows them. */
__attribute__((always_inline))
static inline v128_t sn_add_digits_simd128(v128_t *s, v128_t p, int n, const int16_t *q, int tokens)
{
    for (int i = 0; i < n; i++) {
        const v128_t one = wasm_i8x16_sub(wasm_i8x16_splat(0), wasm_i8x16_gt(p, wasm_i8x16_splat(-43)));
        v128_t twice;

        sn_add_bytes_simd128(s, wasm_i8x16_sub(one, wasm_i8x16_gt(p, wasm_i8x16_splat(42))), q + 4 * i, tokens);
        twice = wasm_i8x16_add(p, p);
        __asm__("" : "+r"(twice));                              /* or clang 14 multiplies by 3, byte by byte */
        p = wasm_i8x16_add(p, twice);
    }
    return p;
}

__attribute__((always_inline))
static inline void sn_dots_t5g256_q8g256_simd128(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in, int tokens)
{
    int16_t q[2][4 * SN_GROUP];
    float d[SN_ROWS];

    sn_zero(acc, SN_ROWS * tokens);
    for (int b = 0; b < n_in / SN_TERNARY_COLUMNS; b++, w += SN_T5_BLOCK) {
        v128_t last[8];

        sn_halves_simd128(d, w + 1664);
        for (int k = 0; k < 8; k++)
            last[k] = sn_load_t5_simd128(w + 16 * k);
        for (int pair = 0; pair < 4; pair++, x += 2) {
            sn_widen_simd128(q[0], x, x_stride, tokens);
            sn_widen_simd128(q[1], x + 1, x_stride, tokens);
            for (int k = 0; k < 8; k++) {
                const uint8_t *codes = w + 128 + 384 * pair + k / 4 * 192 + k % 4 * 16;
                const v128_t scale = wasm_v128_load(d + 4 * k);
                v128_t s[8];
                v128_t p;

                sn_clear_sums_simd128(s, tokens);
                sn_add_digits_simd128(s, sn_load_t5_simd128(codes), 5, q[0], tokens);
                p = sn_add_digits_simd128(s, sn_load_t5_simd128(codes + 64), 3, q[0] + 20, tokens);
                sn_scale_simd128(acc + 4 * k, s, -1, scale, x, x_stride, tokens);
                sn_clear_sums_simd128(s, tokens);
                sn_add_digits_simd128(s, p, 2, q[1], tokens);
                sn_add_digits_simd128(s, sn_load_t5_simd128(codes + 128), 5, q[1] + 8, tokens);
                last[k] = sn_add_digits_simd128(s, last[k], 1, q[1] + 28, tokens);
                sn_scale_simd128(acc + 4 * k, s, -1, scale, x + 1, x_stride, tokens);
            }
        }
    }
}

/* ---- the kernels ---------------------------------------------------------------------------------------------------- */

SN_KERNEL(op=dot, layout=i2g256_r32k4, x=q8g256, tile=32x4, isa=simd128, features=simd128, order=groups)
static SN_APART void sn_dot4_i2g256_r32k4_q8g256_simd128(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride,
                                                         int n_in, const uint8_t *next)
{
    (void)next;
    sn_dots_i2g256_q8g256_simd128(acc, w, x, x_stride, n_in, 4);
}

SN_KERNEL(op=dot, layout=i2g256_r32k4, x=q8g256, tile=32x1, isa=simd128, features=simd128, order=groups)
static SN_APART void sn_dot_i2g256_r32k4_q8g256_simd128(float acc[32], const uint8_t *w, const SnQ8 *x, int n_in,
                                                        const uint8_t *next)
{
    (void)next;
    sn_dots_i2g256_q8g256_simd128(acc, w, x, 0, n_in, 1);
}

SN_KERNEL(op=dot, layout=t5g256_r32k4, x=q8g256, tile=32x4, isa=simd128, features=simd128, order=groups)
static SN_APART void sn_dot4_t5g256_r32k4_q8g256_simd128(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride,
                                                         int n_in, const uint8_t *next)
{
    (void)next;
    sn_dots_t5g256_q8g256_simd128(acc, w, x, x_stride, n_in, 4);
}

SN_KERNEL(op=dot, layout=t5g256_r32k4, x=q8g256, tile=32x1, isa=simd128, features=simd128, order=groups)
static SN_APART void sn_dot_t5g256_r32k4_q8g256_simd128(float acc[32], const uint8_t *w, const SnQ8 *x, int n_in,
                                                        const uint8_t *next)
{
    (void)next;
    sn_dots_t5g256_q8g256_simd128(acc, w, x, 0, n_in, 1);
}
