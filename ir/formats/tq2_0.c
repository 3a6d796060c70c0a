/* tq2_0: 256 ternary weights in 66 bytes, 2.06 bits each.      w[i] = d * (q[i] - 1)
 *
 *     byte  0                       32                        64  66
 *           | weights 0 .. 127      | weights 128 .. 255      | d |        d: half
 *             byte k of a half, lowest bits first: q[k], q[32 + k], q[64 + k], q[96 + k], two bits each
 *
 * Two bits hold a fourth value, w = 2 d, which the encoder never writes.  Encoding is ggml's reference quantizer, bit for bit:
 * d = max |w|, q = w * (1 / d) rounded half away from zero, plus 1.  (Facts from the gguf Python package 0.19.0, quants.py.) */
#include "ir/formats/internal.h"

#include <math.h>

enum { N = BLOCK_tq2_0, BYTES = BYTES_tq2_0, D = N / 4 };
_Static_assert(N == 256 && BYTES == D + 2, "tq2_0 has no padding");

static void read_codes(const uint8_t *block, int *code, FormatScales *scales)
{
    scales->d = load16(block + D);
    for (int i = 0; i < N; i++)
        code[i] = (block[i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3) - 1;
}

void decode_tq2_0(float *y, const uint8_t *src, int64_t n)
{
    for (int64_t b = 0; b < n / N; b++, src += BYTES, y += N) {
        float d = f16_to_f32(load16(src + D));

        for (int i = 0; i < N; i++)
            y[i] = d * (float)((src[i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3) - 1);
    }
}

float ternary_codes(int *code, const float *x)
{
    float max = 0, inverse;

    for (int i = 0; i < N; i++)
        max = fabsf(x[i]) > max ? fabsf(x[i]) : max;
    inverse = max != 0 ? 1 / max : 0;
    for (int i = 0; i < N; i++)
        code[i] = clamp_to_int(roundf(x[i] * inverse), -1, 1);
    return max;
}

void encode_tq2_0(uint8_t *dst, const float *x, int64_t n)
{
    for (int64_t b = 0; b < n / N; b++, dst += BYTES, x += N) {
        int code[N];

        store16(dst + D, f32_to_f16(ternary_codes(code, x)));
        memset(dst, 0, D);
        for (int i = 0; i < N; i++)
            dst[i / 128 * 32 + i % 32] |= (uint8_t)((code[i] + 1) << i % 128 / 32 * 2);
    }
}

const FormatCodes format_codes_tq2_0 = { -1, 2, N, SUBSCALES_none, false, read_codes };
