/* q6_K: 256 weights in 210 bytes, 6.5625 bits each.      w[i] = d * s[g] * (q[i] - 32),  g = i / 16
 *
 *     byte  0                    128                    192        208 210
 *           | lower four bits    | upper two bits       | s[0..15] | d |        s: int8, d: half
 *
 * Weights are taken by 128: i = 128 h + 32 f + k.
 *
 *     lower     byte 64 h + 32 (f % 2) + k,  the low nibble for f = 0, 1, the high one for f = 2, 3
 *     upper     byte 128 + 32 h + k,         bits 2 f and 2 f + 1
 *
 * (Facts from the gguf Python package 0.19.0, quants.py.)  Encoding is ours, not ggml's: a group would like its weight of largest
 * magnitude at -32; d makes the largest of those scales -128; each group then takes, of the s next to its wish, the one with the
 * least squared error. */
#include "ir/formats/internal.h"

#include <math.h>

enum { N = BLOCK_q6_K, BYTES = BYTES_q6_K, UPPER = N / 2, SCALES = UPPER + N / 4, D = SCALES + 16, GROUP = 16 };
_Static_assert(N == 256 && BYTES == D + 2, "q6_K has no padding");

/* Where the bits of weight i lie. */
typedef struct {
    int lower, lower_shift, upper, upper_shift;
} Place;

static Place place_of(int i)
{
    int h = i / 128, f = i / 32 % 4, k = i % 32;

    return (Place){ 64 * h + 32 * (f % 2) + k, f / 2 * 4, UPPER + 32 * h + k, 2 * f };
}

static void read_codes(const uint8_t *block, int *code, FormatScales *scales)
{
    scales->d = load16(block + D);
    for (int g = 0; g < N / GROUP; g++)
        scales->s[g] = (int8_t)block[SCALES + g];
    for (int i = 0; i < N; i++) {
        Place p = place_of(i);

        code[i] = ((block[p.lower] >> p.lower_shift & 15) | (block[p.upper] >> p.upper_shift & 3) << 4) - 32;
    }
}

void decode_q6_K(float *y, const uint8_t *src, int64_t n)
{
    for (int64_t b = 0; b < n / N; b++, src += BYTES, y += N) {
        FormatScales scales;
        int code[N];
        float d;

        read_codes(src, code, &scales);
        d = f16_to_f32(scales.d);
        for (int i = 0; i < N; i++) {
            float scale = d * (float)scales.s[i / GROUP];

            y[i] = scale * (float)code[i];
        }
    }
}

/* The codes of one group for this scale; returns the sum of squared errors. */
static float codes_of(int *code, const float *x, float scale)
{
    float inverse = scale != 0 ? 1 / scale : 0, sum = 0;

    for (int i = 0; i < GROUP; i++) {
        float e;

        code[i] = clamp_to_int(rintf(x[i] * inverse), -32, 31);
        e = scale * (float)code[i];
        e = e - x[i];
        e = e * e;
        sum = sum + e;
    }
    return sum;
}

void encode_q6_K(uint8_t *dst, const float *x, int64_t n)
{
    for (int64_t b = 0; b < n / N; b++, dst += BYTES, x += N) {
        float scale[N / GROUP], largest_scale = 0, d;

        memset(dst, 0, BYTES);
        for (int g = 0; g < N / GROUP; g++) {
            float largest = 0;

            for (int i = 0; i < GROUP; i++)
                largest = fabsf(x[g * GROUP + i]) > fabsf(largest) ? x[g * GROUP + i] : largest;
            scale[g] = largest / -32;
            largest_scale = fabsf(scale[g]) > fabsf(largest_scale) ? scale[g] : largest_scale;
        }
        store16(dst + D, f32_to_f16(largest_scale / -128));
        d = f16_to_f32(load16(dst + D));
        for (int g = 0; g < N / GROUP; g++) {
            int s = d != 0 ? clamp_to_int(rintf(scale[g] / d), -128, 127) : 0, code[GROUP], best[GROUP];
            float least = 0;

            for (int k = 0; k < 3; k++) {
                int try_s = s + (k == 1) - (k == 2);
                float sum;

                if (try_s < -128 || try_s > 127)
                    continue;
                sum = codes_of(code, x + g * GROUP, d * (float)try_s);
                if (k == 0 || sum < least) {
                    least = sum;
                    dst[SCALES + g] = (uint8_t)try_s;
                    memcpy(best, code, sizeof best);
                }
            }
            for (int i = 0; i < GROUP; i++) {
                Place p = place_of(g * GROUP + i);

                dst[p.lower] |= (uint8_t)(((best[i] + 32) & 15) << p.lower_shift);
                dst[p.upper] |= (uint8_t)((best[i] + 32) >> 4 << p.upper_shift);
            }
        }
    }
}

const FormatCodes format_codes_q6_K = { -32, 31, GROUP, SUBSCALES_i8, false, read_codes };
