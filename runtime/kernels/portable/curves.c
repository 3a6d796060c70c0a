/* Functions of networks that are no sums: curves of int16, rounding of floats, rows of unit length, images between pixels.  All in integers where
 * the numbers are integers, exactly as ir/ref_int.c computes. */
#include "../image.h"

/* n bytes from x to y; y may be x. */
static SN_APART void sn_copy(uint8_t *y, const uint8_t *x, int32_t n)
{
    for (int32_t i = 0; i < n; i++)
        y[i] = x[i];
}

/* v mult 2^(shift - 31) with mult rounded to 15 bits, rounded once. */
static SN_APART int32_t sn_rescale_short(int32_t v, int32_t mult, int32_t shift)
{
    int32_t upper = mult < 0x7fff0000 ? (mult + (1 << 15)) >> 16 : 0x7fff;
    int64_t y = ((int64_t)v * upper + ((int64_t)1 << (14 - shift))) >> (15 - shift);

    return y > INT32_MAX ? INT32_MAX : y < -INT32_MAX - 1 ? -INT32_MAX - 1 : (int32_t)y;
}

/* Sigmoid in Q0.15: v = x m / 2^shift in units of 1 / 12288, between table[|v| / 512] and the next (units of 2^-16, less 2^15).
 * [tensorflow/lite/kernels/internal/reference/integer_ops/logistic.h] */
static SN_APART int32_t sn_sigmoid_int(int32_t x, const int16_t *table, int32_t m, int32_t shift)
{
    int32_t v = (x * m + (shift > 0 ? 1 << (shift - 1) : 0)) >> shift;
    int32_t size = v < 0 ? -v : v;
    int32_t k = size >> 9;
    int32_t y = 0x7fff << 10;

    if (k < 255)
        y = ((table[k] + 32768) << 9) + (size & 511) * (table[k + 1] - table[k]);
    return (v < 0 ? (1 << 25) - y + (1 << 9) - 1 : y + (1 << 9)) >> 10;
}

/* tanh in Q0.15 as 2 sigmoid(2 x) - 1. */
static SN_APART int32_t sn_tanh_int(int32_t x, const int16_t *table, int32_t m, int32_t shift)
{
    int32_t v = (x * m + (shift > 0 ? 1 << (shift - 1) : 0)) >> shift;
    int32_t size = v < 0 ? -v : v;
    int32_t k = size >> 8;
    int32_t y = 0xffff << 8;

    if (k < 255)
        y = ((table[k] + 32768) << 8) + (size & 255) * (table[k + 1] - table[k]);
    y = (v < 0 ? (1 << 23) - y - 1 + (1 << 7) : y - (1 << 23) + (1 << 7)) >> 8;
    return y > 32767 ? 32767 : y;
}

/* zero + x / scale to nearest, halves away from zero, clamped; NaN as 0. */
static SN_APART int32_t sn_quantize(float x, float scale, int32_t zero, int32_t lo, int32_t hi)
{
    float q = x / scale;
    float size = q < 0.0f ? -q : q;
    int32_t n;

    if (!(size < 131072.0f))                        /* beyond any clamp of 16 bits, or no number */
        return size >= 131072.0f ? (q < 0.0f ? lo : hi) : zero;
    n = (int32_t)size;
    n += size - (float)n >= 0.5f;
    n = q < 0.0f ? zero - n : zero + n;
    return n < lo ? lo : n > hi ? hi : n;
}

/* 1 / sqrt(x) = m 2^(shift - 31): pairs of bits bring x to 1/4 .. 1, then Newton's method in numbers of 3 integer bits.
 * [GetInvSqrtQuantizedMultiplierExp] */
static SN_APART int32_t sn_inverse_sqrt(int32_t x, int32_t *shift)
{
    int32_t right = 11;
    int32_t y = 1 << 28;

    *shift = 0;
    if (x <= 1)
        return INT32_MAX;
    for (; x >= 1 << 29; right++)
        x /= 4;
    for (; x < 1 << 27; right--)
        x *= 4;
    x = sn_round_shift(x >> 1, 1);
    for (int i = 0; i < 5; i++) {
        int32_t y3 = sn_high_mul(sn_high_mul(y, y), y) * 64;

        y = (sn_high_mul(3 << 27, y) - sn_high_mul(x, y3)) * 8;
    }
    y = sn_high_mul(y, 1518500250);                 /* half the root of 2 in Q0.31 */
    if (right < 0)
        return (int32_t)((uint32_t)y << -right);
    *shift = -right;
    return y;
}

/* 128 (x - zero) / |x - zero| of n numbers. */
static SN_APART void sn_l2norm_int(int8_t *y, const int8_t *x, int32_t n, int32_t zero)
{
    int32_t sum = 0;
    int32_t shift;
    int32_t mult;

    for (int32_t i = 0; i < n; i++)
        sum += (x[i] - zero) * (x[i] - zero);
    mult = sn_inverse_sqrt(sum, &shift);
    for (int32_t i = 0; i < n; i++)
        y[i] = (int8_t)sn_clamp(sn_rescale(x[i] - zero, mult, shift + 7), -128, 127);
}

/* Where an output lies between two inputs, in units of 2^-10. */
static inline int32_t sn_between(int32_t at, int32_t scale, int32_t half, int32_t n, int32_t *lo, int32_t *hi)
{
    int32_t place = at * scale + (half ? scale / 2 - 512 : 0);

    *lo = place < 0 ? 0 : place / 1024;
    *hi = (place + 1023) / 1024 < n - 1 ? (place + 1023) / 1024 : n - 1;
    return place - 1024 * *lo;
}

/* Bilinear between four pixels, rounded halves away from zero.  [ResizeBilinearInteger] */
static SN_APART void sn_resize_int(const SnResize *l, int8_t *y, const int8_t *x)
{
    for (int32_t i = 0; i < l->out_h; i++) {
        int32_t r0;
        int32_t r1;
        int32_t u = sn_between(i, l->scale_h, l->half, l->in_h, &r0, &r1);

        for (int32_t j = 0; j < l->out_w; j++) {
            int32_t c0;
            int32_t c1;
            int32_t v = sn_between(j, l->scale_w, l->half, l->in_w, &c0, &c1);
            const int8_t *p00 = x + (r0 * l->in_w + c0) * l->n_c;
            const int8_t *p10 = x + (r1 * l->in_w + c0) * l->n_c;
            const int8_t *p01 = x + (r0 * l->in_w + c1) * l->n_c;
            const int8_t *p11 = x + (r1 * l->in_w + c1) * l->n_c;

            for (int32_t c = 0; c < l->n_c; c++) {
                int64_t sum = (int64_t)(p00[c] * (1024 - u) + p10[c] * u) * (1024 - v) + (int64_t)(p01[c] * (1024 - u) + p11[c] * u) * v;

                *y++ = (int8_t)((sum + (sum > 0 ? 1 << 19 : -(1 << 19))) / (1 << 20));
            }
        }
    }
}

/* The same of floats. */
static inline float sn_between_f32(int32_t at, float scale, int32_t half, int32_t n, int32_t *lo, int32_t *hi)
{
    float place = half ? ((float)at + 0.5f) * scale - 0.5f : (float)at * scale;
    float down = sn_floor(place);

    *lo = down < 0.0f ? 0 : (int32_t)down;
    *hi = (int32_t)down + (place > down);
    *hi = *hi < n - 1 ? *hi : n - 1;
    return place - (float)*lo;
}

static SN_APART void sn_resize_f32(const SnResize *l, float *y, const float *x)
{
    for (int32_t i = 0; i < l->out_h; i++) {
        int32_t r0;
        int32_t r1;
        float u = sn_between_f32(i, l->scale_h_f32, l->half, l->in_h, &r0, &r1);

        for (int32_t j = 0; j < l->out_w; j++) {
            int32_t c0;
            int32_t c1;
            float v = sn_between_f32(j, l->scale_w_f32, l->half, l->in_w, &c0, &c1);
            const float *p00 = x + (r0 * l->in_w + c0) * l->n_c;
            const float *p10 = x + (r1 * l->in_w + c0) * l->n_c;
            const float *p01 = x + (r0 * l->in_w + c1) * l->n_c;
            const float *p11 = x + (r1 * l->in_w + c1) * l->n_c;

            for (int32_t c = 0; c < l->n_c; c++)
                *y++ = (p00[c] * (1.0f - u) + p10[c] * u) * (1.0f - v) + (p01[c] * (1.0f - u) + p11[c] * u) * v;
        }
    }
}
