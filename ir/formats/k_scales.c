/* What q4_K and q5_K share: 256 weights in 8 groups of 32, each with a scale and a minimum of 6 bits.
 *
 *     w = d * s[g] * q - m * t[g],      g = i / 32,  d and m halves for all 256
 *
 * The sixteen 6-bit numbers fill 12 bytes.  Small letters are low bits, S and T the upper two of groups 4..7:
 *
 *     byte 0..3     S S s s s s s s      s of group 0..3;  S: bits 5, 4 of s of group 4..7
 *     byte 4..7     T T t t t t t t      t of group 0..3;  T: bits 5, 4 of t of group 4..7
 *     byte 8..11    t t t t s s s s      the lower four bits of t and s of group 4..7
 *
 * (Facts from the gguf Python package 0.19.0, quants.py.) */
#include "ir/formats/internal.h"

void k_read_scales(const uint8_t *p, FormatScales *scales)
{
    scales->d = load16(p);
    scales->m = load16(p + 2) ^ 0x8000;
    p += 4;
    for (int g = 0; g < 4; g++) {
        scales->s[g] = p[g] & 63;
        scales->t[g] = p[4 + g] & 63;
        scales->s[4 + g] = (int16_t)((p[8 + g] & 15) | p[g] >> 6 << 4);
        scales->t[4 + g] = (int16_t)(p[8 + g] >> 4 | p[4 + g] >> 6 << 4);
    }
}

static void write_scales(uint8_t *p, const FormatScales *scales)
{
    store16(p, scales->d);
    store16(p + 2, scales->m ^ 0x8000);
    p += 4;
    for (int g = 0; g < 4; g++) {
        p[g] = (uint8_t)(scales->s[g] | scales->s[4 + g] >> 4 << 6);
        p[4 + g] = (uint8_t)(scales->t[g] | scales->t[4 + g] >> 4 << 6);
        p[8 + g] = (uint8_t)((scales->s[4 + g] & 15) | (scales->t[4 + g] & 15) << 4);
    }
}

void k_decode(float *y, const int *code, const FormatScales *scales)
{
    float d = f16_to_f32(scales->d), m = f16_to_f32(scales->m);

    for (int i = 0; i < K_BLOCK; i++) {
        float scale = d * (float)scales->s[i / K_GROUP], min = m * (float)scales->t[i / K_GROUP];

        y[i] = scale * (float)code[i] + min;                /* the product is exact: fused or not, one rounding */
    }
}

/* The codes 0 .. top of one group for these scales; returns the sum of squared errors. */
static float codes_of(int *code, const float *x, float scale, float min, int top)
{
    float inverse = scale != 0 ? 1 / scale : 0, sum = 0;

    for (int i = 0; i < K_GROUP; i++) {
        float q = (x[i] - min) * inverse;
        float e;

        code[i] = clamp_to_int(q + 0.5f, 0, top);
        e = scale * (float)code[i];
        e = e + min - x[i];
        e = e * e;
        sum = sum + e;
    }
    return sum;
}

/* Largest code and least weight decide what a group would like; the block's d and m make the largest of those wishes 63; then
 * each group takes, of the nine pairs of numbers around its wish, the one with the least squared error, the wish itself first. */
void k_encode(uint8_t *dst, int *code, const float *x, int top)
{
    FormatScales scales = { 0 };
    float scale[K_GROUPS], below[K_GROUPS], max_scale = 0, max_below = 0, d, m;

    for (int g = 0; g < K_GROUPS; g++) {
        float lo = 0, hi = x[g * K_GROUP];

        for (int i = 0; i < K_GROUP; i++) {
            float v = x[g * K_GROUP + i];

            lo = v < lo ? v : lo;
            hi = v > hi ? v : hi;
        }
        scale[g] = hi > lo ? (hi - lo) / (float)top : 0;
        below[g] = -lo;
        max_scale = scale[g] > max_scale ? scale[g] : max_scale;
        max_below = below[g] > max_below ? below[g] : max_below;
    }
    scales.d = f32_to_f16(max_scale / 63);
    scales.m = f32_to_f16(max_below / 63) ^ 0x8000;
    d = f16_to_f32(scales.d);
    m = f16_to_f32(scales.m);
    for (int g = 0; g < K_GROUPS; g++) {
        static const int8_t step[9][2] = { { 0, 0 }, { 0, 1 }, { 0, -1 }, { 1, 0 }, { 1, 1 }, { 1, -1 }, { -1, 0 }, { -1, 1 },
                                           { -1, -1 } };
        int s = d != 0 ? clamp_to_int(scale[g] / d + 0.5f, 0, 63) : 0;
        int t = m != 0 ? clamp_to_int(below[g] / -m + 0.5f, 0, 63) : 0;
        float least = 0;

        for (int k = 0; k < 9; k++) {
            int try_s = s + step[k][0], try_t = t + step[k][1], try_code[K_GROUP];
            float sum;

            if (try_s < 0 || try_s > 63 || try_t < 0 || try_t > 63)
                continue;
            sum = codes_of(try_code, x + g * K_GROUP, d * (float)try_s, m * (float)try_t, top);
            if (k == 0 || sum < least) {
                least = sum;
                scales.s[g] = (int16_t)try_s;
                scales.t[g] = (int16_t)try_t;
                memcpy(code + g * K_GROUP, try_code, sizeof try_code);
            }
        }
    }
    write_scales(dst, &scales);
}
