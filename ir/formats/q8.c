/* q8: activations between stages, 32 in 44 bytes.      x[i] = d * q[i]
 *
 *     byte  0   4    8     12                        44
 *           | d | ds | sum | q[0]  q[1]  ...  q[31]  |        d: float, ds = d * sum: float, sum of q: int32, q: int8
 *
 * The sum serves weights with an offset: sum_i (dw * c[i] + m) * x[i] = dw * d * sum_i c[i] q[i] + m * ds.
 * Encoding is what the kernels' sn_quant_q8 does: d = max |x| / 127, q = x * (127 / max) rounded half to even; a block whose
 * maximum is not above 1e-30 has codes 0 (127 / max would overflow); infinity and NaN make d infinite or NaN and their codes 0. */
#include "ir/formats/internal.h"

#include <math.h>

enum { N = BLOCK_q8, BYTES = BYTES_q8 };
_Static_assert(N == 32 && BYTES == 4 + 4 + 4 + N, "q8 has no padding");

void decode_q8(float *y, const uint8_t *src, int64_t n)
{
    for (int64_t b = 0; b < n / N; b++, src += BYTES, y += N) {
        float d = bits_float(load32(src));

        for (int i = 0; i < N; i++)
            y[i] = d * (float)(int8_t)src[12 + i];
    }
}

void encode_q8(uint8_t *dst, const float *x, int64_t n)
{
    for (int64_t b = 0; b < n / N; b++, dst += BYTES, x += N) {
        uint32_t max_bits = 0;      /* magnitudes compare like their bits, and a NaN is above all of them */
        float max, d, inverse;
        int32_t sum = 0;

        for (int i = 0; i < N; i++) {
            uint32_t a = float_bits(x[i]) & 0x7fffffff;

            max_bits = a > max_bits ? a : max_bits;
        }
        max = bits_float(max_bits);
        d = max / 127;
        inverse = max > 1e-30f ? 127 / max : 0;
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

const FormatCodes format_codes_q8 = { 0 };                   /* its scale is a float: no weight layout takes it */
