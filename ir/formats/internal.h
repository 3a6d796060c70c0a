/* What the files of ir/formats share: the functions that the table names, and little-endian loads and stores that need no
 * alignment. */
#ifndef SN_FORMATS_INTERNAL_H
#define SN_FORMATS_INTERNAL_H

#include "ir/formats.h"

#define FORMAT(name, gguf_type, block, bytes, kind, help)        \
    void decode_##name(float *y, const uint8_t *src, int64_t n); \
    void encode_##name(uint8_t *dst, const float *x, int64_t n); \
    extern const FormatCodes format_codes_##name;               /* of kind block only */ \
    enum { BLOCK_##name = block, BYTES_##name = bytes };
#include "ir/formats.def"

static inline uint16_t load16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t load32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline void store16(uint8_t *p, uint16_t x)
{
    p[0] = (uint8_t)x;
    p[1] = (uint8_t)(x >> 8);
}

static inline void store32(uint8_t *p, uint32_t x)
{
    store16(p, (uint16_t)x);
    store16(p + 2, (uint16_t)(x >> 16));
}

static inline uint32_t float_bits(float x)
{
    uint32_t bits;

    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float bits_float(uint32_t bits)
{
    float x;

    memcpy(&x, &bits, sizeof x);
    return x;
}

/* ---- k_scales.c: what q4_K and q5_K share ---- */

enum { K_BLOCK = 256, K_GROUP = 32, K_GROUPS = K_BLOCK / K_GROUP };

/* The first 16 bytes of a block: d, m with its sign turned (so that it is added), s and t of eight groups. */
void k_read_scales(const uint8_t *p, FormatScales *scales);
/* 256 weights from their codes. */
void k_decode(float *y, const int *code, const FormatScales *scales);
/* Chooses scales and codes 0 .. top for 256 weights; writes the 16 bytes, leaves the codes. */
void k_encode(uint8_t *dst, int *code, const float *x, int top);

/* ---- tq2_0.c: what tq1_0 and tq2_0 share ---- */

/* Codes -1 .. 1 for 256 weights; returns their scale, max |x|. */
float ternary_codes(int *code, const float *x);

/* x, which is a whole number already or is cut towards zero, within lo .. hi; NaN gives 0. */
static inline int clamp_to_int(float x, int lo, int hi)
{
    return x >= (float)hi ? hi : x <= (float)lo ? lo : x == x ? (int)x : 0;
}

#endif
