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

/* x, which is a whole number already or is cut towards zero, within lo .. hi; NaN gives 0. */
static inline int clamp_to_int(float x, int lo, int hi)
{
    return x >= (float)hi ? hi : x <= (float)lo ? lo : x == x ? (int)x : 0;
}

#endif
