/* q5_0: 32 weights in 22 bytes, 5.5 bits each.      w[i] = d * (q[i] - 16)
 *
 *     byte  0   2     6                                       22
 *           | d | top | q[0] q[16] | q[1] q[17] | ... q[15] q[31] |        d: half; of a byte, the low nibble comes first
 *
 * The nibbles are the lower four bits of q; the fifth of q[i] is bit i of top, 32 bits little-endian.
 *
 * Encoding is ggml's reference quantizer, bit for bit: d = (the weight of largest magnitude, with its sign) / -16, so that this
 * weight gets the code 0 and is exact; q = w * (1 / d) + 16.5, cut to an integer, at most 31.  The product is rounded before
 * the sum.  (Facts from the gguf Python package 0.19.0, quants.py.) */
#include "ir/formats/internal.h"

#include <math.h>

enum { N = BLOCK_q5_0, BYTES = BYTES_q5_0 };
_Static_assert(N == 32 && BYTES == 2 + 4 + N / 2, "q5_0 has no padding");

static void read_codes(const uint8_t *block, int *code, FormatScales *scales)
{
    uint32_t top = load32(block + 2);

    scales->d = load16(block);
    for (int i = 0; i < N / 2; i++) {
        code[i] = (int)((block[6 + i] & 15u) | (top >> i & 1) << 4) - 16;
        code[i + N / 2] = (int)((uint32_t)block[6 + i] >> 4 | (top >> (i + N / 2) & 1) << 4) - 16;
    }
}

void decode_q5_0(float *y, const uint8_t *src, int64_t n)
{
    for (int64_t b = 0; b < n / N; b++, src += BYTES, y += N) {
        FormatScales scales;
        int code[N];
        float d;

        read_codes(src, code, &scales);
        d = f16_to_f32(scales.d);
        for (int i = 0; i < N; i++)
            y[i] = d * (float)code[i];
    }
}

static uint32_t code_of(float x, float inverse)
{
    float scaled = x * inverse;     /* a statement of its own, so that no compiler fuses it with the sum */

    return (uint32_t)clamp_to_int(scaled + 16.5f, 0, 31);
}

void encode_q5_0(uint8_t *dst, const float *x, int64_t n)
{
    for (int64_t b = 0; b < n / N; b++, dst += BYTES, x += N) {
        float largest = x[0], d, inverse;
        uint32_t top = 0;

        for (int i = 1; i < N; i++)
            largest = fabsf(x[i]) > fabsf(largest) ? x[i] : largest;
        d = largest / -16;
        inverse = d != 0 ? 1 / d : 0;
        store16(dst, f32_to_f16(d));
        for (int i = 0; i < N / 2; i++) {
            uint32_t lo = code_of(x[i], inverse), hi = code_of(x[i + N / 2], inverse);

            dst[6 + i] = (uint8_t)((lo & 15) | (hi & 15) << 4);
            top |= lo >> 4 << i | hi >> 4 << (i + N / 2);
        }
        store32(dst + 2, top);
    }
}

const FormatCodes format_codes_q5_0 = { -16, 15, N, SUBSCALES_none, false, read_codes };
