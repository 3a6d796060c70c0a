/* q8: activations between stages, 32 in 44 bytes.      x[i] = d * q[i]
 *
 *     byte  0   4    8     12                        44
 *           | d | ds | sum | q[0]  q[1]  ...  q[31]  |        d: float, ds = d * sum: float, sum of q: int32, q: int8
 *
 * The sum serves weights with an offset: sum_i (dw * c[i] + m) * x[i] = dw * d * sum_i c[i] q[i] + m * ds.
 * Encoding is what the kernels' sn_quant_q8 does: d = max |x| / 127, q = x * (127 / max) rounded half to even; a block whose
 * maximum is not above 1e-30 has codes 0 (127 / max would overflow); infinity and NaN make d infinite or NaN and their codes 0.
 *
 * q8g256: eight such blocks whose d is that of the largest x of all, so that their integer sums can be added. */
#include "ir/formats/internal.h"

#include <math.h>

enum { N = BLOCK_q8, BYTES = BYTES_q8 };
_Static_assert(N == 32 && BYTES == 4 + 4 + 4 + N, "q8 has no padding");
_Static_assert(BYTES_q8g256 * N == BYTES * BLOCK_q8g256, "q8g256 is whole blocks of q8");

void decode_q8(float *y, const uint8_t *src, int64_t n)
{
    for (int64_t b = 0; b < n / N; b++, src += BYTES, y += N) {
        float d = bits_float(load32(src));

        for (int i = 0; i < N; i++)
            y[i] = d * (float)(int8_t)src[12 + i];
    }
}

/* n numbers to n / 32 blocks with one d. */
static void encode_group(uint8_t *dst, const float *x, int n)
{
    uint32_t max_bits = 0;          /* magnitudes compare like their bits, and a NaN is above all of them */
    float max, d, inverse;

    for (int i = 0; i < n; i++) {
        uint32_t a = float_bits(x[i]) & 0x7fffffff;

        max_bits = a > max_bits ? a : max_bits;
    }
    max = bits_float(max_bits);
    d = max / 127;
    inverse = max > 1e-30f ? 127 / max : 0;
    for (int b = 0; b < n / N; b++, dst += BYTES, x += N) {
        int32_t sum = 0;

        for (int i = 0; i < N; i++) {
            int q = clamp_to_int(rintf(x[i] * inverse), -127, 127);

            dst[12 + i] = (uint8_t)q;
            sum += q;
        }
        store32(dst, float_bits(d));
        store32(dst + 4, float_bits(d * (float)sum));
        store32(dst + 8, (uint32_t)sum);
    }
}

void encode_q8(uint8_t *dst, const float *x, int64_t n)
{
    for (int64_t b = 0; b < n / N; b++)
        encode_group(dst + BYTES * b, x + N * b, N);
}

void decode_q8g256(float *y, const uint8_t *src, int64_t n)
{
    decode_q8(y, src, n);
}

void encode_q8g256(uint8_t *dst, const float *x, int64_t n)
{
    for (int64_t b = 0; b < n / BLOCK_q8g256; b++)
        encode_group(dst + BYTES_q8g256 * b, x + BLOCK_q8g256 * b, BLOCK_q8g256);
}

const FormatCodes format_codes_q8 = { 0 };                   /* its scale is a float: no weight layout takes it */
const FormatCodes format_codes_q8g256 = { 0 };
