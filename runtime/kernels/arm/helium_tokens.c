/* Helium: dot products of language models, one token at a time, with the bits of portable/dot.c.
 *
 * A tile's rows are lanes of 32 bits, four columns each (layouts are drawn in ir/layouts.def).  VMLADAV adds up a vector, so a row's columns are brought
 * side by side: one gathering load takes four words 64 bytes apart, which are 16 columns of a row in 8 bits, or 32 in 4 bits.  Integer sums are exact, and
 * floats are added group after group as in the plain kernels; only products below 1.2e-38, which Helium makes 0, may differ.  Scales are finite.
 *
 * Per row of 32 columns: i8 2 loads, 2 exclusive ors, 2 products; i4 1 load, 2 cuts, 2 products; i2 of two groups at once 1 load, 7 cuts, 8 products. */
#include <arm_mve.h>
#include "../kernel.h"

/* Four finite halves as floats.  (Not by VCVTB, which gave zeros under QEMU 7.2.) */
static inline float32x4_t sn_halves_mve(const uint8_t *p)
{
    uint32x4_t h = vldrhq_u32((const uint16_t *)(const void *)p);
    uint32x4_t rest = vandq_u32(h, vdupq_n_u32(0x7fff));
    uint32x4_t sign = vshlq_n_u32(veorq_u32(h, rest), 16);
    uint32x4_t normal = vaddq_u32(vshlq_n_u32(rest, 13), vdupq_n_u32(112u << 23));
    uint32x4_t tiny = vreinterpretq_u32_f32(vmulq_f32(vcvtq_f32_u32(rest), vdupq_n_f32(0x1p-24f)));
    uint32x4_t bits = vpselq_u32(tiny, normal, vcmphiq_u32(vdupq_n_u32(0x400), rest));

    return vreinterpretq_f32_u32(vorrq_u32(bits, sign));
}

/* acc += sum * (d * scale), 32 rows. */
static inline void sn_add_sums_mve(float *acc, const int32_t *sum, const uint8_t *d, float scale)
{
    for (int r = 0; r < SN_ROWS; r += 4) {
        float32x4_t f = vmulq_f32(sn_halves_mve(d + 2 * r), vdupq_n_f32(scale));
        float32x4_t product = vmulq_f32(vcvtq_f32_s32(vldrwq_s32(sum + r)), f);

        vstrwq_f32(acc + r, vaddq_f32(vldrwq_f32(acc + r), product));
    }
}

static inline void sn_zero_mve(float *acc)
{
    for (int r = 0; r < SN_ROWS; r += 4)
        vstrwq_f32(acc + r, vdupq_n_f32(0.0f));
}

/* Four words 64 bytes apart, as bytes. */
static inline uint8x16_t sn_words_mve(const uint8_t *w, uint32x4_t at)
{
    return vreinterpretq_u8_u32(vldrwq_gather_offset_u32((const uint32_t *)(const void *)w, at));
}

static SN_APART void sn_sums_i8_mve(int32_t sum[SN_ROWS], const uint8_t *w, const SnQ8 *x)
{
    const uint32x4_t at = vmulq_n_u32(vidupq_n_u32(0, 1), 64);
    const uint8x16_t center = vdupq_n_u8(128);
    const int8x16_t first = vldrbq_s8(x->q);
    const int8x16_t second = vldrbq_s8(x->q + 16);

    for (int h = 0; h < 2; h++, w += 512, sum += 16)
        for (int r = 0; r < 16; r++) {
            int8x16_t a = vreinterpretq_s8_u8(veorq_u8(sn_words_mve(w + 4 * r, at), center));
            int8x16_t b = vreinterpretq_s8_u8(veorq_u8(sn_words_mve(w + 256 + 4 * r, at), center));

            sum[r] = vmladavaq_s8(vmladavq_s8(a, first), b, second);
        }
}

static SN_APART void sn_sums_i4_mve(int32_t sum[SN_ROWS], const uint8_t *w, const SnQ8 *x)
{
    const uint32x4_t at = vmulq_n_u32(vidupq_n_u32(0, 1), 64);
    const uint8x16_t low = vdupq_n_u8(15);
    const int8x16_t first = vldrbq_s8(x->q);
    const int8x16_t second = vldrbq_s8(x->q + 16);
    const int32_t center = -8 * x->sum;

    for (int h = 0; h < 2; h++, w += 256, sum += 16)
        for (int r = 0; r < 16; r++) {
            uint8x16_t v = sn_words_mve(w + 4 * r, at);
            int32_t s = vmladavaq_s8(center, vreinterpretq_s8_u8(vandq_u8(v, low)), first);

            sum[r] = vmladavaq_s8(s, vreinterpretq_s8_u8(vshrq_n_u8(v, 4)), second);
        }
}

/* Of two groups of 32 columns, x[0] and x[1]: sum[0..31] and sum[32..63]. */
static SN_APART void sn_sums_i2_mve(int32_t sum[2 * SN_ROWS], const uint8_t *w, const SnQ8 *x)
{
    static const uint32_t offset[4] = { 0, 64, 256, 320 };
    const uint32x4_t at = vldrwq_u32(offset);
    const uint8x16_t low = vdupq_n_u8(3);
    const mve_pred16_t group0 = 0x00ff;
    const mve_pred16_t group1 = 0xff00;
    int8_t side[4][16];

    for (int f = 0; f < 4; f++) {
        __builtin_memcpy(side[f], x[0].q + 8 * f, 8);
        __builtin_memcpy(side[f] + 8, x[1].q + 8 * f, 8);
    }
    for (int h = 0; h < 2; h++, w += 128, sum += 16) {
        const int8x16_t x0 = vldrbq_s8(side[0]);
        const int8x16_t x1 = vldrbq_s8(side[1]);
        const int8x16_t x2 = vldrbq_s8(side[2]);
        const int8x16_t x3 = vldrbq_s8(side[3]);

        for (int r = 0; r < 16; r++) {
            uint8x16_t v = sn_words_mve(w + 4 * r, at);
            int8x16_t c0 = vreinterpretq_s8_u8(vandq_u8(v, low));
            int8x16_t c1 = vreinterpretq_s8_u8(vandq_u8(vshrq_n_u8(v, 2), low));
            int8x16_t c2 = vreinterpretq_s8_u8(vandq_u8(vshrq_n_u8(v, 4), low));
            int8x16_t c3 = vreinterpretq_s8_u8(vshrq_n_u8(v, 6));
            int32_t a = vmladavaq_p_s8(-x[0].sum, c0, x0, group0);
            int32_t b = vmladavaq_p_s8(-x[1].sum, c0, x0, group1);

            a = vmladavaq_p_s8(a, c1, x1, group0);
            b = vmladavaq_p_s8(b, c1, x1, group1);
            a = vmladavaq_p_s8(a, c2, x2, group0);
            b = vmladavaq_p_s8(b, c2, x2, group1);
            sum[r] = vmladavaq_p_s8(a, c3, x3, group0);
            sum[SN_ROWS + r] = vmladavaq_p_s8(b, c3, x3, group1);
        }
    }
}

SN_KERNEL(op=dot, layout=i8g32_r32k4, x=q8, tile=32x1, isa=mve, order=groups)
static SN_APART void sn_dot_i8g32_r32k4_q8_mve(float acc[32], const uint8_t *w, const SnQ8 *x, int n_in, const uint8_t *next)
{
    int32_t sum[SN_ROWS];

    (void)next;
    sn_zero_mve(acc);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I8_BLOCK) {
        sn_sums_i8_mve(sum, w, x + b);
        sn_add_sums_mve(acc, sum, w + 1024, x[b].d);
    }
}

SN_KERNEL(op=dot, layout=i4g32_r32k4, x=q8, tile=32x1, isa=mve, order=groups)
static SN_APART void sn_dot_i4g32_r32k4_q8_mve(float acc[32], const uint8_t *w, const SnQ8 *x, int n_in, const uint8_t *next)
{
    int32_t sum[SN_ROWS];

    (void)next;
    sn_zero_mve(acc);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I4_BLOCK) {
        sn_sums_i4_mve(sum, w, x + b);
        sn_add_sums_mve(acc, sum, w + 512, x[b].d);
    }
}

SN_KERNEL(op=dot, layout=i2g256_r32k4, x=q8g256, tile=32x1, isa=mve, order=groups)
static SN_APART void sn_dot_i2g256_r32k4_q8g256_mve(float acc[32], const uint8_t *w, const SnQ8 *x, int n_in, const uint8_t *next)
{
    int32_t sum[2 * SN_ROWS];

    (void)next;
    sn_zero_mve(acc);
    for (int b = 0; b < n_in / SN_TERNARY_COLUMNS; b++, w += SN_I2_BLOCK, x += 8)
        for (int g = 0; g < 8; g += 2) {
            sn_sums_i2_mve(sum, w + 256 * g, x + g);
            sn_add_sums_mve(acc, sum, w + 2048, x[g].d);
            sn_add_sums_mve(acc, sum + SN_ROWS, w + 2048, x[g + 1].d);
        }
}

/* Four tokens: four times one. */
SN_KERNEL(op=dot, layout=i8g32_r32k4, x=q8, tile=32x4, isa=mve, order=groups)
static inline void sn_dot4_i8g32_r32k4_q8_mve(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                              const uint8_t *next)
{
    for (int t = 0; t < 4; t++)
        sn_dot_i8g32_r32k4_q8_mve(acc + SN_ROWS * t, w, x + t * x_stride, n_in, next);
}

SN_KERNEL(op=dot, layout=i4g32_r32k4, x=q8, tile=32x4, isa=mve, order=groups)
static inline void sn_dot4_i4g32_r32k4_q8_mve(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                              const uint8_t *next)
{
    for (int t = 0; t < 4; t++)
        sn_dot_i4g32_r32k4_q8_mve(acc + SN_ROWS * t, w, x + t * x_stride, n_in, next);
}

SN_KERNEL(op=dot, layout=i2g256_r32k4, x=q8g256, tile=32x4, isa=mve, order=groups)
static inline void sn_dot4_i2g256_r32k4_q8g256_mve(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                                   const uint8_t *next)
{
    for (int t = 0; t < 4; t++)
        sn_dot_i2g256_r32k4_q8g256_mve(acc + SN_ROWS * t, w, x + t * x_stride, n_in, next);
}
