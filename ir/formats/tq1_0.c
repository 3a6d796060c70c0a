/* tq1_0: 256 ternary weights in 54 bytes, 1.69 bits each.      w[i] = d * (digit[i] - 1)
 *
 *     byte  0                  32                    48                   52  54
 *           | weights 0 .. 159 | weights 160 .. 239  | weights 240 .. 255 | d |        d: half
 *             byte k: weights    byte k: weights       byte k: weights
 *             32 p + k, p < 5    160 + 16 p + k        240 + 4 p + k, p < 4
 *
 * A byte holds digits of base 3 as a fraction: for the number n = 81 d0 + 27 d1 + 9 d2 + 3 d3 + d4 it is ceil(256 n / 243).  The
 * first digit is what 3 * byte carries into bit 8, and the eight bits below it hold the others in the same way (the product is an
 * integer, so nothing is lost on the way).  So digit p of byte q is (3^p q mod 256) * 3 / 256.
 *
 * Encoding is ggml's reference quantizer, bit for bit: as tq2_0's.  (Facts from the gguf Python package 0.19.0, quants.py.) */
#include "ir/formats/internal.h"

enum { N = BLOCK_tq1_0, BYTES = BYTES_tq1_0, D = 52 };
_Static_assert(N == 256 && BYTES == D + 2, "tq1_0 has no padding");

static const uint8_t power[5] = { 1, 3, 9, 27, 81 };

/* The byte of weight i, and which of its digits. */
static int byte_of(int i, int *digit)
{
    int first = i < 160 ? 0 : i < 240 ? 160 : 240, n_bytes = i < 160 ? 32 : i < 240 ? 16 : 4;

    *digit = (i - first) / n_bytes;
    return first / 5 + (i - first) % n_bytes;
}

static int code_of(const uint8_t *block, int i)
{
    int p, at = byte_of(i, &p);

    return ((block[at] * power[p] & 255) * 3 >> 8) - 1;
}

static void read_codes(const uint8_t *block, int *code, FormatScales *scales)
{
    scales->d = load16(block + D);
    for (int i = 0; i < N; i++)
        code[i] = code_of(block, i);
}

void decode_tq1_0(float *y, const uint8_t *src, int64_t n)
{
    for (int64_t b = 0; b < n / N; b++, src += BYTES, y += N) {
        float d = f16_to_f32(load16(src + D));

        for (int i = 0; i < N; i++)
            y[i] = d * (float)code_of(src, i);
    }
}

void encode_tq1_0(uint8_t *dst, const float *x, int64_t n)
{
    for (int64_t b = 0; b < n / N; b++, dst += BYTES, x += N) {
        int code[N], number[D] = { 0 };

        store16(dst + D, f32_to_f16(ternary_codes(code, x)));
        for (int i = 0; i < N; i++) {
            int p, at = byte_of(i, &p);

            number[at] += (code[i] + 1) * power[4 - p];
        }
        for (int at = 0; at < D; at++)
            dst[at] = (uint8_t)((256 * number[at] + 242) / 243);
    }
}

const FormatCodes format_codes_tq1_0 = { -1, 1, N, SUBSCALES_none, false, read_codes };
