/* WebAssembly with 128-bit vectors, halves and floats: weights in f16, the cache, attention's scores and mixes.
 *
 * Results and bits are those of portable/dot.c and attention.c.  What is missing here (f32 and bf16 weights, mixes of an f32 cache)
 * clang makes vectors of by itself; of sn_f16_to_f32 it does not. */
#include <wasm_simd128.h>
#include "../kernel.h"

/* n <= 32 columns of f16 weights as floats. */
static SN_APART void sn_unpack_f16_simd128(float f[SN_GROUP * SN_ROWS], const uint8_t *w, int n)
{
    for (int i = 0; i < SN_ROWS * n; i += 4)
        wasm_v128_store(f + i, sn_four_halves_simd128(w + 2 * i));
}

SN_KERNEL(op=dot, layout=f16_r32k1, x=f32, tile=32x4, isa=simd128, features=simd128, order=groups)
static SN_APART void sn_dot4_f16_r32k1_f32_simd128(float acc[4 * 32], const uint8_t *w, const float *x, int x_stride, int n_in,
                                                   const uint8_t *next)
{
    float f[SN_GROUP * SN_ROWS];

    (void)next;
    sn_zero(acc, 4 * SN_ROWS);
    for (int c = 0; c < n_in; c += SN_GROUP, w += 64 * SN_GROUP) {
        int n = sn_columns(n_in, c);

        sn_unpack_f16_simd128(f, w, n);
        for (int t = 0; t < 4; t++)
            sn_add_columns(acc + SN_ROWS * t, f, x + t * x_stride + c, n);
    }
}

/* A column as 8 vectors, added to 8 sums. */
SN_KERNEL(op=dot, layout=f16_r32k1, x=f32, tile=32x1, isa=simd128, features=simd128, order=groups)
static SN_APART void sn_dot_f16_r32k1_f32_simd128(float acc[32], const uint8_t *w, const float *x, int n_in, const uint8_t *next)
{
    (void)next;
    sn_zero(acc, SN_ROWS);
    for (int c = 0; c < n_in; c += SN_GROUP, w += 64 * SN_GROUP) {
        int n = sn_columns(n_in, c);
        v128_t s[8];

        for (int k = 0; k < 8; k++)
            s[k] = wasm_f32x4_splat(0);
        for (int i = 0; i < n; i++)
            for (int k = 0; k < 8; k++) {
                const v128_t f = sn_four_halves_simd128(w + 64 * i + 8 * k);

                s[k] = wasm_f32x4_add(s[k], wasm_f32x4_mul(f, wasm_f32x4_splat(x[c + i])));
            }
        for (int k = 0; k < 8; k++)
            wasm_v128_store(acc + 4 * k, wasm_f32x4_add(wasm_v128_load(acc + 4 * k), s[k]));
    }
}

/* ---- attention ------------------------------------------------------------------------------------------------------- */

/* 16 lanes to one sum, halves added to halves: s[j] holds lanes 4j.. */
static inline float sn_sum16_simd128(const v128_t *s)
{
    const v128_t four = wasm_f32x4_add(wasm_f32x4_add(s[0], s[2]), wasm_f32x4_add(s[1], s[3]));
    const v128_t two = wasm_f32x4_add(four, wasm_i32x4_shuffle(four, four, 2, 3, 0, 1));

    return wasm_f32x4_extract_lane(two, 0) + wasm_f32x4_extract_lane(two, 1);
}

/* Four of 16 sums: + q k. */
static inline v128_t sn_add_product_simd128(v128_t s, const float *q, v128_t k)
{
    return wasm_f32x4_add(s, wasm_f32x4_mul(wasm_v128_load(q), k));
}

SN_KERNEL(op=score, kv=f16, isa=simd128, features=simd128, order=lanes16)
static SN_APART void sn_score_f16_simd128(float *s, const float *q, const uint16_t *k, int stride, int n, int head_dim, float scale)
{
    for (int i = 0; i < n; i++, k += stride) {
        v128_t a[4];
        int d = 0;

        for (int j = 0; j < 4; j++)
            a[j] = wasm_f32x4_splat(0);
        for (; d + 16 <= head_dim; d += 16)
            for (int j = 0; j < 4; j++)
                a[j] = sn_add_product_simd128(a[j], q + d + 4 * j, sn_four_halves_simd128(k + d + 4 * j));
        if (d < head_dim) {
            float sum[16];

            for (int j = 0; j < 4; j++)
                wasm_v128_store(sum + 4 * j, a[j]);
            for (int j = 0; d + j < head_dim; j++)
                sum[j] += q[d + j] * sn_f16_to_f32(k[d + j]);
            for (int j = 0; j < 4; j++)
                a[j] = wasm_v128_load(sum + 4 * j);
        }
        s[i] = scale * sn_sum16_simd128(a);
    }
}

SN_KERNEL(op=score, kv=f32, isa=simd128, features=simd128, order=lanes16)
static SN_APART void sn_score_f32_simd128(float *s, const float *q, const float *k, int stride, int n, int head_dim, float scale)
{
    for (int i = 0; i < n; i++, k += stride) {
        v128_t a[4];
        int d = 0;

        for (int j = 0; j < 4; j++)
            a[j] = wasm_f32x4_splat(0);
        for (; d + 16 <= head_dim; d += 16)
            for (int j = 0; j < 4; j++)
                a[j] = sn_add_product_simd128(a[j], q + d + 4 * j, wasm_v128_load(k + d + 4 * j));
        if (d < head_dim) {
            float sum[16];

            for (int j = 0; j < 4; j++)
                wasm_v128_store(sum + 4 * j, a[j]);
            for (int j = 0; d + j < head_dim; j++)
                sum[j] += q[d + j] * k[d + j];
            for (int j = 0; j < 4; j++)
                a[j] = wasm_v128_load(sum + 4 * j);
        }
        s[i] = scale * sn_sum16_simd128(a);
    }
}

/* 32 columns stay in registers over all positions; what is left of head_dim goes 4 at a time, then one by one. */
SN_KERNEL(op=mix, kv=f16, isa=simd128, features=simd128, order=positions)
static SN_APART void sn_mix_f16_simd128(float *y, const float *p, const uint16_t *v, int stride, int n, int head_dim)
{
    int d = 0;

    for (; d + 32 <= head_dim; d += 32) {
        const uint16_t *e = v + d;
        v128_t s[8];

        for (int j = 0; j < 8; j++)
            s[j] = wasm_v128_load(y + d + 4 * j);
        for (int i = 0; i < n; i++, e += stride)
            for (int j = 0; j < 8; j++)
                s[j] = wasm_f32x4_add(s[j], wasm_f32x4_mul(wasm_f32x4_splat(p[i]),
                                                           sn_four_halves_simd128(e + 4 * j)));
        for (int j = 0; j < 8; j++)
            wasm_v128_store(y + d + 4 * j, s[j]);
    }
    for (; d + 4 <= head_dim; d += 4) {
        const uint16_t *e = v + d;
        v128_t s = wasm_v128_load(y + d);

        for (int i = 0; i < n; i++, e += stride)
            s = wasm_f32x4_add(s, wasm_f32x4_mul(wasm_f32x4_splat(p[i]), sn_four_halves_simd128(e)));
        wasm_v128_store(y + d, s);
    }
    for (; d < head_dim; d++)
        for (int i = 0; i < n; i++)
            y[d] += p[i] * sn_f16_to_f32(v[(int64_t)i * stride + d]);
}

/* n floats to halves: sn_f32_to_f16, four at a time. */
SN_KERNEL(op=store_f16, x=f32, isa=simd128, features=simd128, order=exact)
static SN_APART void sn_store_f16_simd128(uint16_t *y, const float *x, int n)
{
    int i = 0;

    for (; i + 4 <= n; i += 4) {
        const v128_t bits = wasm_v128_load(x + i);
        const v128_t rest = wasm_v128_and(bits, wasm_i32x4_splat(0x7fffffff));
        const v128_t sign = wasm_v128_and(wasm_u32x4_shr(bits, 16), wasm_i32x4_splat(0x8000));
        const v128_t tiny = wasm_i32x4_sub(wasm_f32x4_add(rest, wasm_f32x4_splat(0.5f)), wasm_f32x4_splat(0.5f));
        const v128_t odd = wasm_v128_and(wasm_u32x4_shr(rest, 13), wasm_i32x4_splat(1));
        const v128_t near = wasm_i32x4_add(wasm_i32x4_add(rest, odd), wasm_i32x4_splat(0xfff - (112 << 23)));
        const v128_t nan = wasm_v128_or(wasm_i32x4_splat(0x7e00), wasm_u32x4_shr(rest, 13));
        v128_t half = wasm_v128_bitselect(tiny, wasm_u32x4_shr(near, 13), wasm_i32x4_lt(rest, wasm_i32x4_splat(0x38800000)));

        half = wasm_v128_bitselect(wasm_i32x4_splat(0x7c00), half, wasm_i32x4_gt(rest, wasm_i32x4_splat(0x477fffff)));
        half = wasm_v128_bitselect(nan, half, wasm_i32x4_gt(rest, wasm_i32x4_splat(0x7f800000)));
        half = wasm_v128_or(sign, wasm_v128_and(half, wasm_i32x4_splat(0x7fff)));
        wasm_v128_store64_lane(y + i, wasm_u16x8_narrow_i32x4(half, half), 0);
    }
    for (; i < n; i++)
        y[i] = sn_f32_to_f16(x[i]);
}
