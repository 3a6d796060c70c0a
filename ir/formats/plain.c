/* Formats without blocks: floats of 32 and 16 bits, and integers.
 *
 *     f32    s eeeeeeee mmmmmmmmmmmmmmmmmmmmmmm      value = (-1)^s * 1.m * 2^(e - 127)
 *     bf16   s eeeeeeee mmmmmmm                      the upper 16 bits of an f32
 *     f16    s eeeee mmmmmmmmmm                      value = (-1)^s * 1.m * 2^(e - 15);  e = 0: 0.m * 2^-14;  e = 31: inf, NaN
 *
 * All little-endian.  Integers decode to the nearest float and encode by rounding half to even, saturating; NaN encodes as 0. */
#include "ir/formats/internal.h"

#include <math.h>

_Static_assert(sizeof(float) == 4, "float is an IEEE single");

float f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16;
    uint32_t e = h >> 10 & 31, m = h & 0x3ff;

    if (e == 31)
        return bits_float(sign | 0x7f800000 | m << 13);
    if (e == 0) {
        float x = (float)m * (1.0f / (1 << 24));            /* subnormal: m * 2^-24, exact */

        return sign ? -x : x;
    }
    return bits_float(sign | (e + 127 - 15) << 23 | m << 13);
}

uint16_t f32_to_f16(float x)
{
    uint32_t bits = float_bits(x), sign = bits >> 16 & 0x8000, a = bits & 0x7fffffff;

    if (a > 0x7f800000)                                     /* NaN */
        return (uint16_t)(sign | 0x7e00 | (a >> 13 & 0x3ff));
    if (a >= 0x47800000)                                    /* 65536 and more */
        return (uint16_t)(sign | 0x7c00);
    if (a >= 0x38800000) {                                  /* 2^-14 and more: normal; a carry may reach infinity */
        a += 0xfff + (a >> 13 & 1);
        return (uint16_t)(sign | ((a - ((127u - 15u) << 23)) >> 13));
    }
    if (a < 0x33000000)                                     /* less than 2^-25: nearer to 0 than to 2^-24 */
        return (uint16_t)sign;
    {
        uint32_t m = (a & 0x7fffff) | 0x800000;             /* x = m * 2^(e - 150); wanted: a multiple of 2^-24 */
        uint32_t shift = 126 - (a >> 23);                   /* 14 .. 24 */
        uint32_t q = m >> shift, rest = m & ((1u << shift) - 1), half = 1u << (shift - 1);

        q += rest > half || (rest == half && (q & 1));
        return (uint16_t)(sign | q);
    }
}

float bf16_to_f32(uint16_t h)
{
    return bits_float((uint32_t)h << 16);
}

uint16_t f32_to_bf16(float x)
{
    uint32_t bits = float_bits(x);

    if ((bits & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

void decode_f32(float *y, const uint8_t *src, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = bits_float(load32(src + 4 * i));
}

void encode_f32(uint8_t *dst, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        store32(dst + 4 * i, float_bits(x[i]));
}

void decode_f16(float *y, const uint8_t *src, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = f16_to_f32(load16(src + 2 * i));
}

void encode_f16(uint8_t *dst, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        store16(dst + 2 * i, f32_to_f16(x[i]));
}

void decode_bf16(float *y, const uint8_t *src, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = bf16_to_f32(load16(src + 2 * i));
}

void encode_bf16(uint8_t *dst, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        store16(dst + 2 * i, f32_to_bf16(x[i]));
}

void decode_i8(float *y, const uint8_t *src, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = (float)(int8_t)src[i];
}

void encode_i8(uint8_t *dst, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        dst[i] = (uint8_t)clamp_to_int(rintf(x[i]), INT8_MIN, INT8_MAX);
}

void decode_u8(float *y, const uint8_t *src, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = (float)src[i];
}

void encode_u8(uint8_t *dst, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        dst[i] = (uint8_t)clamp_to_int(rintf(x[i]), 0, UINT8_MAX);
}

void decode_i16(float *y, const uint8_t *src, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = (float)(int16_t)load16(src + 2 * i);
}

void encode_i16(uint8_t *dst, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        store16(dst + 2 * i, (uint16_t)clamp_to_int(rintf(x[i]), INT16_MIN, INT16_MAX));
}

void decode_i32(float *y, const uint8_t *src, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = (float)(int32_t)load32(src + 4 * i);
}

void encode_i32(uint8_t *dst, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        store32(dst + 4 * i, (uint32_t)clamp_to_int(rintf(x[i]), INT32_MIN, INT32_MAX));
}

void decode_i64(float *y, const uint8_t *src, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = (float)(int64_t)((uint64_t)load32(src + 8 * i) | (uint64_t)load32(src + 8 * i + 4) << 32);
}

void encode_i64(uint8_t *dst, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        float r = rintf(x[i]);
        uint64_t v = r >= 0x1p63f ? (uint64_t)INT64_MAX : r <= -0x1p63f ? (uint64_t)INT64_MIN :
                     r == r ? (uint64_t)(int64_t)r : 0;

        store32(dst + 8 * i, (uint32_t)v);
        store32(dst + 8 * i + 4, (uint32_t)(v >> 32));
    }
}
