/* q4_K: 256 weights in 144 bytes, 4.5 bits each.      w[i] = d * s[g] * q[i] - m * t[g],  g = i / 32
 *
 *     byte  0   2   4               16                                                     144
 *           | d | m | s, t: 8 x 2   | 32 bytes: groups 0, 1 | groups 2, 3 | 4, 5 | 6, 7    |       d, m: halves
 *                     of 6 bits       byte k: q[k] in the low nibble, q[32 + k] in the high one
 *
 * How s and t lie in their 12 bytes is drawn in k_scales.c.  Encoding is ours, not ggml's (see k_encode). */
#include "ir/formats/internal.h"

enum { N = BLOCK_q4_K, BYTES = BYTES_q4_K, CODES = 4 + 12 };
_Static_assert(N == (int)K_BLOCK && BYTES == CODES + N / 2, "q4_K has no padding");

static void read_codes(const uint8_t *block, int *code, FormatScales *scales)
{
    k_read_scales(block, scales);
    for (int i = 0; i < N; i++)
        code[i] = block[CODES + i / 64 * 32 + i % 32] >> i / 32 % 2 * 4 & 15;
}

void decode_q4_K(float *y, const uint8_t *src, int64_t n)
{
    for (int64_t b = 0; b < n / N; b++) {
        FormatScales scales;
        int code[N];

        read_codes(src + b * BYTES, code, &scales);
        k_decode(y + b * N, code, &scales);
    }
}

void encode_q4_K(uint8_t *dst, const float *x, int64_t n)
{
    for (int64_t b = 0; b < n / N; b++, dst += BYTES) {
        int code[N];

        k_encode(dst, code, x + b * N, 15);
        memset(dst + CODES, 0, N / 2);
        for (int i = 0; i < N; i++)
            dst[CODES + i / 64 * 32 + i % 32] |= (uint8_t)(code[i] << i / 32 % 2 * 4);
    }
}

const FormatCodes format_codes_q4_K = { 0, 15, K_GROUP, SUBSCALES_u6, true, read_codes };
