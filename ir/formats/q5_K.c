/* q5_K: 256 weights in 176 bytes, 5.5 bits each.      w[i] = d * s[g] * q[i] - m * t[g],  g = i / 32
 *
 *     byte  0   2   4               16          48                                                     176
 *           | d | m | s, t: 8 x 2   | fifth     | 32 bytes: groups 0, 1 | groups 2, 3 | 4, 5 | 6, 7    |       d, m: halves
 *                     of 6 bits       bits        as in q4_K: the lower four bits
 *
 * The fifth bit of q[32 g + k] is bit g of byte 16 + k.  How s and t lie in their 12 bytes is drawn in k_scales.c.  Encoding is
 * ours, not ggml's (see k_encode). */
#include "ir/formats/internal.h"

enum { N = BLOCK_q5_K, BYTES = BYTES_q5_K, FIFTH = 4 + 12, CODES = FIFTH + N / 8 };
_Static_assert(N == (int)K_BLOCK && BYTES == CODES + N / 2, "q5_K has no padding");

static void read_codes(const uint8_t *block, int *code, FormatScales *scales)
{
    k_read_scales(block, scales);
    for (int i = 0; i < N; i++)
        code[i] = (block[CODES + i / 64 * 32 + i % 32] >> i / 32 % 2 * 4 & 15) | (block[FIFTH + i % 32] >> i / 32 & 1) << 4;
}

void decode_q5_K(float *y, const uint8_t *src, int64_t n)
{
    for (int64_t b = 0; b < n / N; b++) {
        FormatScales scales;
        int code[N];

        read_codes(src + b * BYTES, code, &scales);
        k_decode(y + b * N, code, &scales);
    }
}

void encode_q5_K(uint8_t *dst, const float *x, int64_t n)
{
    for (int64_t b = 0; b < n / N; b++, dst += BYTES) {
        int code[N];

        k_encode(dst, code, x + b * N, 31);
        memset(dst + FIFTH, 0, BYTES - FIFTH);
        for (int i = 0; i < N; i++) {
            dst[CODES + i / 64 * 32 + i % 32] |= (uint8_t)((code[i] & 15) << i / 32 % 2 * 4);
            dst[FIFTH + i % 32] |= (uint8_t)(code[i] >> 4 << i / 32);
        }
    }
}

const FormatCodes format_codes_q5_K = { 0, 31, K_GROUP, SUBSCALES_u6, true, read_codes };
