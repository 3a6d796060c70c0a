/* SMLAD: dot products of language models, one token at a time, with the bits of portable/dot.c.
 *
 * A word of a tile is four columns of one row (ir/layouts.def).  Its even and odd bytes are two pairs of 16 bits (UXTB16), and so are those of the
 * activations, which are widened once for 32 rows; four rows at a time share a load of them.  Codes are multiplied as they are stored, from 0 on, and what
 * was added to them is taken off with the sum of the activations: integers are exact, so the order does not matter.  Floats are added as in the plain kernels. */
#include "../kernel.h"

/* 32 activations as pairs: word i has columns 4i, 4i + 2, word 8 + i columns 4i + 1, 4i + 3. */
static inline void sn_pairs_of_q8(uint32_t pair[16], const SnQ8 *x)
{
    for (int i = 0; i < 8; i++) {
        uint32_t v = sn_load_u32((const uint8_t *)x->q + 4 * i);

        pair[i] = sn_sxtb16(v);
        pair[8 + i] = sn_sxtb16_odd(v);
    }
}

static inline uint32_t sn_uxtb16(uint32_t v)
{
    uint32_t r;

    __asm__("uxtb16 %0, %1" : "=r"(r) : "r"(v));
    return r;
}

static inline uint32_t sn_uxtb16_odd(uint32_t v)
{
    uint32_t r;

    __asm__("uxtb16 %0, %1, ror #8" : "=r"(r) : "r"(v));
    return r;
}

/* s + the products of four codes, bytes of v, with columns 4i .. 4i + 3. */
static inline int32_t sn_four_dsp(int32_t s, uint32_t v, const uint32_t *pair)
{
    return sn_smlad(sn_uxtb16_odd(v), pair[8], sn_smlad(sn_uxtb16(v), pair[0], s));
}

/* A finite half as a float: its exponent is 112 too small where a float has it, also of a subnormal one. */
static inline float sn_finite_half(const uint8_t *p)
{
    uint32_t h = sn_load_u16(p);

    return sn_float((h & 0x8000u) << 16 | (h & 0x7fffu) << 13) * 0x1p112f;
}

/* acc += sum * (d * scale), four rows. */
static inline void sn_add_four_dsp(float *acc, const int32_t *sum, const uint8_t *d, float scale)
{
    for (int r = 0; r < 4; r++)
        acc[r] += (float)sum[r] * (sn_finite_half(d + 2 * r) * scale);
}

static SN_APART void sn_add_i8_dsp(float acc[SN_ROWS], const uint8_t *w, const SnQ8 *x)
{
    const uint8_t *d = w + 1024;
    uint32_t pair[16];

    sn_pairs_of_q8(pair, x);
    for (int r = 0; r < SN_ROWS; r += 4) {
        const uint8_t *at = w + 512 * (r / 16) + 4 * (r % 16);
        int32_t s[4] = { -128 * x->sum, -128 * x->sum, -128 * x->sum, -128 * x->sum };

        for (int i = 0; i < 8; i++, at += 64)
            for (int k = 0; k < 4; k++)
                s[k] = sn_four_dsp(s[k], sn_load_u32(at + 4 * k), pair + i);
        sn_add_four_dsp(acc + r, s, d + 2 * r, x->d);
    }
}

static SN_APART void sn_add_i4_dsp(float acc[SN_ROWS], const uint8_t *w, const SnQ8 *x)
{
    const uint8_t *d = w + 512;
    uint32_t pair[16];

    sn_pairs_of_q8(pair, x);
    for (int r = 0; r < SN_ROWS; r += 4) {
        const uint8_t *at = w + 256 * (r / 16) + 4 * (r % 16);
        int32_t s[4] = { -8 * x->sum, -8 * x->sum, -8 * x->sum, -8 * x->sum };

        for (int i = 0; i < 4; i++, at += 64)
            for (int k = 0; k < 4; k++) {
                uint32_t v = sn_load_u32(at + 4 * k);

                s[k] = sn_four_dsp(s[k], v & 0x0f0f0f0fu, pair + i);
                s[k] = sn_four_dsp(s[k], v >> 4 & 0x0f0f0f0fu, pair + 4 + i);
            }
        sn_add_four_dsp(acc + r, s, d + 2 * r, x->d);
    }
}

/* Group w of 32 columns of a block of 256, whose scales are at d. */
static SN_APART void sn_add_i2_dsp(float acc[SN_ROWS], const uint8_t *w, const uint8_t *d, const SnQ8 *x)
{
    uint32_t pair[16];

    sn_pairs_of_q8(pair, x);
    for (int r = 0; r < SN_ROWS; r += 4) {
        const uint8_t *at = w + 128 * (r / 16) + 4 * (r % 16);
        int32_t s[4] = { -x->sum, -x->sum, -x->sum, -x->sum };

        for (int i = 0; i < 2; i++, at += 64)
            for (int k = 0; k < 4; k++) {
                uint32_t v = sn_load_u32(at + 4 * k);

                for (int f = 0; f < 4; f++)
                    s[k] = sn_four_dsp(s[k], v >> 2 * f & 0x03030303u, pair + 2 * f + i);
            }
        sn_add_four_dsp(acc + r, s, d + 2 * r, x->d);
    }
}

SN_KERNEL(op=dot, layout=i8g32_r32k4, x=q8, tile=32x1, isa=dsp, order=groups)
static SN_APART void sn_dot_i8g32_r32k4_q8_dsp(float acc[32], const uint8_t *w, const SnQ8 *x, int n_in, const uint8_t *next)
{
    (void)next;
    sn_zero(acc, SN_ROWS);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I8_BLOCK)
        sn_add_i8_dsp(acc, w, x + b);
}

SN_KERNEL(op=dot, layout=i4g32_r32k4, x=q8, tile=32x1, isa=dsp, order=groups)
static SN_APART void sn_dot_i4g32_r32k4_q8_dsp(float acc[32], const uint8_t *w, const SnQ8 *x, int n_in, const uint8_t *next)
{
    (void)next;
    sn_zero(acc, SN_ROWS);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I4_BLOCK)
        sn_add_i4_dsp(acc, w, x + b);
}

SN_KERNEL(op=dot, layout=i2g256_r32k4, x=q8g256, tile=32x1, isa=dsp, order=groups)
static SN_APART void sn_dot_i2g256_r32k4_q8g256_dsp(float acc[32], const uint8_t *w, const SnQ8 *x, int n_in, const uint8_t *next)
{
    (void)next;
    sn_zero(acc, SN_ROWS);
    for (int b = 0; b < n_in / SN_TERNARY_COLUMNS; b++, w += SN_I2_BLOCK, x += 8)
        for (int g = 0; g < 8; g++)
            sn_add_i2_dsp(acc, w + 256 * g, w + 2048, x + g);
}

/* Four tokens: four times one. */
SN_KERNEL(op=dot, layout=i8g32_r32k4, x=q8, tile=32x4, isa=dsp, order=groups)
static inline void sn_dot4_i8g32_r32k4_q8_dsp(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                              const uint8_t *next)
{
    for (int t = 0; t < 4; t++)
        sn_dot_i8g32_r32k4_q8_dsp(acc + SN_ROWS * t, w, x + t * x_stride, n_in, next);
}

SN_KERNEL(op=dot, layout=i4g32_r32k4, x=q8, tile=32x4, isa=dsp, order=groups)
static inline void sn_dot4_i4g32_r32k4_q8_dsp(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                              const uint8_t *next)
{
    for (int t = 0; t < 4; t++)
        sn_dot_i4g32_r32k4_q8_dsp(acc + SN_ROWS * t, w, x + t * x_stride, n_in, next);
}

SN_KERNEL(op=dot, layout=i2g256_r32k4, x=q8g256, tile=32x4, isa=dsp, order=groups)
static inline void sn_dot4_i2g256_r32k4_q8g256_dsp(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                                   const uint8_t *next)
{
    for (int t = 0; t < 4; t++)
        sn_dot_i2g256_r32k4_q8g256_dsp(acc + SN_ROWS * t, w, x + t * x_stride, n_in, next);
}
