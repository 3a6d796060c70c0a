/* i8g64 .. i8g256: activations that meet panels of 8-bit codes, G = 64, 128, 192 or 256 of them with one scale.
 *
 *     block     0               G   G+4     G+8
 *               | q[0] .. q[G-1] | d | sum  |        q: int8, d: float, sum of q: int32
 *
 * The codes are those of the turned numbers: each 64 of x are multiplied with the Hadamard matrix H of order 64 [Sylvester], whose rows
 * are orthogonal, so that x = H (d q) / 8 and a sum of products is the same of turned vectors.  One number that is far larger than
 * its neighbours, as activations have them, becomes 64 that are not [QuaRot, arXiv:2404.00456].
 *
 * H x is made in six rounds of sums and differences, of numbers 1, 2, 4, .. 32 apart, each rounded.  With max = the largest |H x| of a
 * group, q = H x * (127 / max), the product of two floats rounded half to even once, and d = max / 127 / 8; a group whose maximum is not
 * above 1e-30 has codes 0 (127 / max would overflow), as has one with infinity or NaN, where d is infinite or NaN.
 *
 * In a row between stages the codes of all groups come first, then all scales (type_bytes, runtime/kernels/portable/gemm.c), so that
 * a matrix unit reads 64 columns at a time; the numbers are the same.  Weights that meet such activations are rounded to the same format. */
#include "ir/formats/internal.h"

#include <math.h>

enum { TURN = 64 };

static void turn(float *x)
{
    for (int h = 1; h < TURN; h *= 2)
        for (int i = 0; i < TURN; i += 2 * h)
            for (int k = i; k < i + h; k++) {
                float a = x[k], b = x[k + h];

                x[k] = a + b;
                x[k + h] = a - b;
            }
}

static void decode_group(float *y, const uint8_t *src, int64_t n, int group)
{
    for (int64_t b = 0; b < n / group; b++, src += group + 8, y += group) {
        float d = bits_float(load32(src + group));

        for (int i = 0; i < group; i++)
            y[i] = d * (float)(int8_t)src[i];
        for (int i = 0; i < group; i += TURN)
            turn(y + i);
        for (int i = 0; i < group; i++)
            y[i] /= 8;
    }
}

static void encode_group(uint8_t *dst, const float *x, int64_t n, int group)
{
    for (int64_t b = 0; b < n / group; b++, dst += group + 8, x += group) {
        uint32_t max_bits = 0;      /* magnitudes compare like their bits, and a NaN is above all of them */
        float v[FORMAT_MAX_BLOCK], max, inverse;
        int32_t sum = 0;

        memcpy(v, x, (size_t)group * sizeof *v);
        for (int i = 0; i < group; i += TURN)
            turn(v + i);
        for (int i = 0; i < group; i++) {
            uint32_t a = float_bits(v[i]) & 0x7fffffff;

            max_bits = a > max_bits ? a : max_bits;
        }
        max = bits_float(max_bits);
        inverse = max > 1e-30f && !isinf(max) ? 127 / max : 0;
        for (int i = 0; i < group; i++) {
            int q = inverse > 0 ? clamp_to_int((float)rint((double)v[i] * (double)inverse), -127, 127) : 0;

            dst[i] = (uint8_t)q;
            sum += q;
        }
        store32(dst + group, float_bits(max / 127 / 8));
        store32(dst + group + 4, (uint32_t)sum);
    }
}

#define GROUPS_OF(G)                                                                                                    \
    _Static_assert(BLOCK_i8g##G == G && BYTES_i8g##G == G + 8, "i8 has no padding");                                    \
    void decode_i8g##G(float *y, const uint8_t *src, int64_t n) { decode_group(y, src, n, G); }                         \
    void encode_i8g##G(uint8_t *dst, const float *x, int64_t n) { encode_group(dst, x, n, G); }                         \
    const FormatCodes format_codes_i8g##G = { 0 };          /* its scale is a float: no weight layout takes it */

GROUPS_OF(64)
GROUPS_OF(128)
GROUPS_OF(192)
GROUPS_OF(256)
