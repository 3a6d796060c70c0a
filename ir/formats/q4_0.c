/* q4_0: 32 weights in 18 bytes, 4.5 bits each.      w[i] = d * (q[i] - 8)
 *
 *     byte  0   2                                       18
 *           | d | q[0] q[16] | q[1] q[17] | ... q[15] q[31] |        d: half; of a byte, the low nibble comes first
 *
 * Encoding is ggml's reference quantizer, bit for bit: d = (the weight of largest magnitude, with its sign) / -8, so that this
 * weight gets the code 0 and is exact; q = w * (1 / d) + 8.5, cut to an integer, at most 15.  The product is rounded before
 * the sum.  (Facts from the gguf Python package 0.19.0, quants.py.) */
#include "ir/formats/internal.h"

#include <math.h>

enum { N = BLOCK_q4_0, BYTES = BYTES_q4_0 };
_Static_assert(N == 32 && BYTES == 2 + N / 2, "q4_0 has no padding");

void decode_q4_0(float *y, const uint8_t *src, int64_t n)
{
    for (int64_t b = 0; b < n / N; b++, src += BYTES, y += N) {
        float d = f16_to_f32(load16(src));

        for (int i = 0; i < N / 2; i++) {
            y[i] = d * (float)((src[2 + i] & 15) - 8);
            y[i + N / 2] = d * (float)((src[2 + i] >> 4) - 8);
        }
    }
}

static int code_of(float x, float inverse)
{
    float scaled = x * inverse;     /* a statement of its own, so that no compiler fuses it with the sum */

    return clamp_to_int(scaled + 8.5f, 0, 15);
}

void encode_q4_0(uint8_t *dst, const float *x, int64_t n)
{
    for (int64_t b = 0; b < n / N; b++, dst += BYTES, x += N) {
        float largest = x[0], d, inverse;

        for (int i = 1; i < N; i++)
            largest = fabsf(x[i]) > fabsf(largest) ? x[i] : largest;
        d = largest / -8;
        inverse = d != 0 ? 1 / d : 0;
        store16(dst, f32_to_f16(d));
        for (int i = 0; i < N / 2; i++)
            dst[2 + i] = (uint8_t)(code_of(x[i], inverse) | code_of(x[i + N / 2], inverse) << 4);
    }
}

static void read_codes(const uint8_t *block, int *code, FormatScales *scales)
{
    scales->d = load16(block);
    for (int i = 0; i < N / 2; i++) {
        code[i] = (block[2 + i] & 15) - 8;
        code[i + N / 2] = (block[2 + i] >> 4) - 8;
    }
}

const FormatCodes format_codes_q4_0 = { -8, 7, N, SUBSCALES_none, false, read_codes };
