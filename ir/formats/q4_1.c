/* q4_1: 32 weights in 20 bytes, 5 bits each.      w[i] = d * q[i] + m
 *
 *     byte  0   2   4                                       20
 *           | d | m | q[0] q[16] | q[1] q[17] | ... q[15] q[31] |    d, m: halves; of a byte, the low nibble comes first
 *
 * d * q is exact in a float (11 and 4 bits), so decoding rounds once, fused or not.  Encoding is ggml's reference quantizer,
 * bit for bit: m = min w, d = (max w - m) / 15, q = (w - m) * (1 / d) + 0.5, cut to an integer, at most 15, with d and m before
 * they are rounded to halves.  (Facts from the gguf Python package 0.19.0, quants.py.) */
#include "ir/formats/internal.h"

enum { N = BLOCK_q4_1, BYTES = BYTES_q4_1 };
_Static_assert(N == 32 && BYTES == 2 + 2 + N / 2, "q4_1 has no padding");

void decode_q4_1(float *y, const uint8_t *src, int64_t n)
{
    for (int64_t b = 0; b < n / N; b++, src += BYTES, y += N) {
        float d = f16_to_f32(load16(src)), m = f16_to_f32(load16(src + 2));

        for (int i = 0; i < N / 2; i++) {
            y[i] = d * (float)(src[4 + i] & 15) + m;
            y[i + N / 2] = d * (float)(src[4 + i] >> 4) + m;
        }
    }
}

static int code_of(float x, float min, float inverse)
{
    float above = x - min;
    float scaled = above * inverse; /* a statement of its own, so that no compiler fuses it with the sum */

    return clamp_to_int(scaled + 0.5f, 0, 15);
}

void encode_q4_1(uint8_t *dst, const float *x, int64_t n)
{
    for (int64_t b = 0; b < n / N; b++, dst += BYTES, x += N) {
        float min = x[0], max = x[0], d, inverse;

        for (int i = 1; i < N; i++) {
            min = x[i] < min ? x[i] : min;
            max = x[i] > max ? x[i] : max;
        }
        d = (max - min) / 15;
        inverse = d != 0 ? 1 / d : 0;
        store16(dst, f32_to_f16(d));
        store16(dst + 2, f32_to_f16(min));
        for (int i = 0; i < N / 2; i++)
            dst[4 + i] = (uint8_t)(code_of(x[i], min, inverse) | code_of(x[i + N / 2], min, inverse) << 4);
    }
}

static void read_codes(const uint8_t *block, int *code, FormatScales *scales)
{
    scales->d = load16(block);
    scales->m = load16(block + 2);
    for (int i = 0; i < N / 2; i++) {
        code[i] = block[4 + i] & 15;
        code[i + N / 2] = block[4 + i] >> 4;
    }
}

const FormatCodes format_codes_q4_1 = { 0, 15, N, SUBSCALES_none, true, read_codes };
