/* q8_0: 32 weights in 34 bytes, 8.5 bits each.      w[i] = d * q[i]
 *
 *     byte  0   2                               34
 *           | d | q[0]   q[1]   ...    q[31]    |        d: half, q: int8
 *
 * Encoding is ggml's reference quantizer, bit for bit: d = max |w| / 127 in single precision, q = w * (1 / d) rounded half away
 * from zero with the d that is not yet rounded to a half.  (Facts from the gguf Python package 0.19.0, quants.py.) */
#include "ir/formats/internal.h"

#include <math.h>

enum { N = BLOCK_q8_0, BYTES = BYTES_q8_0 };
_Static_assert(N == 32 && BYTES == 2 + N, "q8_0 has no padding");

void decode_q8_0(float *y, const uint8_t *src, int64_t n)
{
    for (int64_t b = 0; b < n / N; b++, src += BYTES, y += N) {
        float d = f16_to_f32(load16(src));

        for (int i = 0; i < N; i++)
            y[i] = d * (float)(int8_t)src[2 + i];
    }
}

void encode_q8_0(uint8_t *dst, const float *x, int64_t n)
{
    for (int64_t b = 0; b < n / N; b++, dst += BYTES, x += N) {
        float max = 0, d, inverse;

        for (int i = 0; i < N; i++)
            max = fabsf(x[i]) > max ? fabsf(x[i]) : max;
        d = max / 127;
        inverse = d != 0 ? 1 / d : 0;
        store16(dst, f32_to_f16(d));
        for (int i = 0; i < N; i++)
            dst[2 + i] = (uint8_t)clamp_to_int(roundf(x[i] * inverse), INT8_MIN, INT8_MAX);
    }
}

static void read_codes(const uint8_t *block, int *code, FormatScales *scales)
{
    scales->d = load16(block);
    for (int i = 0; i < N; i++)
        code[i] = (int8_t)block[2 + i];
}

const FormatCodes format_codes_q8_0 = { -128, 127, N, SUBSCALES_none, false, read_codes };
