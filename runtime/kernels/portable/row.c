/* What works on rows of plain numbers: norm, quantization, conversion, a row of packed weights. */
#include "../kernel.h"

/* y = x / sqrt(mean(x^2) + eps) * w                                                                    [1910.07467]
 *
 * Squares are added in 16 interleaved sums of doubles, so that every machine adds in one order and a long row loses
 * nothing.  y may be x.  n > 0. */
SN_KERNEL(op=rmsnorm, x=f32, isa=portable, order=lanes16)
static SN_APART void sn_rmsnorm(float *y, const float *x, const float *w, int n, float eps)
{
    double sum[16] = { 0 };
    double total = 0;
    float r;
    int i = 0;

    for (; i + 16 <= n; i += 16)
        for (int j = 0; j < 16; j++)
            sum[j] += (double)x[i + j] * (double)x[i + j];
    for (int j = 0; i + j < n; j++)
        sum[j] += (double)x[i + j] * (double)x[i + j];
    for (int j = 0; j < 16; j++)
        total += sum[j];
    r = (float)sn_rsqrt(total / (double)n + (double)eps);
    for (i = 0; i < n; i++)
        y[i] = x[i] * r * w[i];
}

/* The largest |x| of n numbers, a multiple of 32, as bits.  Integers: their maximum needs no -ffast-math, and a NaN is above all. */
static inline int32_t sn_max_bits(const float *x, int n)
{
    int32_t max_bits = 0;

    for (int i = 0; i < n; i++) {
        int32_t bits = (int32_t)(sn_bits(x[i]) & 0x7fffffffu);

        max_bits = bits > max_bits ? bits : max_bits;
    }
    return max_bits;
}

/* A block whose scale follows from that maximum. */
static inline void sn_quant_by_max(SnQ8 *y, const float *x, int32_t max_bits)
{
    int32_t q[SN_GROUP];
    int32_t sum = 0;
    float max = sn_float((uint32_t)max_bits);
    float inverse = max > 1e-30f ? 127.0f / max : 0.0f;

    for (int i = 0; i < SN_GROUP; i++) {            /* adding 1.5 * 2^23 rounds; the integer is in the low bits */
        uint32_t bits = sn_bits(x[i] * inverse + 12582912.0f) - 0x4b400000u;

        q[i] = (int8_t)(bits & 0xffu);
        sum += q[i];
    }
    for (int i = 0; i < SN_GROUP; i++)
        y->q[i] = (int8_t)q[i];
    y->d = max / 127.0f;
    y->sum = sum;
    y->ds = y->d * (float)sum;
}

/* 32 floats to one block of 8 bits: d = max |x| / 127, q = x * (127 / max |x|) rounded half to even.
 * A block whose largest value is below 1e-30 becomes zeros (127 / max would overflow).  Infinity or NaN in x makes d
 * infinite or NaN, so that it is not lost. */
SN_KERNEL(op=quant, x=f32, isa=portable, order=exact)
static SN_APART void sn_quant_q8(SnQ8 *y, const float *x)
{
    sn_quant_by_max(y, x, sn_max_bits(x, SN_GROUP));
}

/* 256 floats to eight blocks in the same way, with the same d: the largest of all counts (format q8g256). */
SN_KERNEL(op=quant256, x=f32, isa=portable, order=exact)
static SN_APART void sn_quant_q8g256(SnQ8 y[8], const float *x)
{
    int32_t max_bits = sn_max_bits(x, 8 * SN_GROUP);

    for (int g = 0; g < 8; g++)
        sn_quant_by_max(y + g, x + SN_GROUP * g, max_bits);
}

/* n floats to halves. */
SN_KERNEL(op=store_f16, x=f32, isa=portable, order=exact)
static inline void sn_store_f16_portable(uint16_t *y, const float *x, int n)
{
    for (int i = 0; i < n; i++)
        y[i] = sn_f32_to_f16(x[i]);
}

/* Row r (0..31) of a tile as floats, y[0..n_in-1].  These six serve the lookup of an embedding in the weights that the
 * head reads as tiles; layouts are drawn in dot.c. */
SN_KERNEL(op=row, layout=i8g32_r32k4, x=f32, isa=portable, order=exact)
static inline void sn_row_i8g32_r32k4(float *y, const uint8_t *tile, int r, int n_in)
{
    for (int b = 0; b < n_in / SN_GROUP; b++, tile += SN_I8_BLOCK) {
        const uint8_t *codes = tile + r / 16 * 512 + r % 16 * 4;
        float d = sn_f16_to_f32(sn_load_u16(tile + 1024 + 2 * r));

        for (int c = 0; c < SN_GROUP; c++)
            y[SN_GROUP * b + c] = d * (float)(codes[c / 4 * 64 + c % 4] - 128);
    }
}

SN_KERNEL(op=row, layout=i4g32_r32k4, x=f32, isa=portable, order=exact)
static inline void sn_row_i4g32_r32k4(float *y, const uint8_t *tile, int r, int n_in)
{
    for (int b = 0; b < n_in / SN_GROUP; b++, tile += SN_I4_BLOCK) {
        const uint8_t *codes = tile + r / 16 * 256 + r % 16 * 4;
        float d = sn_f16_to_f32(sn_load_u16(tile + 512 + 2 * r));

        for (int c = 0; c < 16; c++) {
            y[SN_GROUP * b + c] = d * (float)((codes[c / 4 * 64 + c % 4] & 15) - 8);
            y[SN_GROUP * b + 16 + c] = d * (float)((codes[c / 4 * 64 + c % 4] >> 4) - 8);
        }
    }
}

SN_KERNEL(op=row, layout=i4g32m_r32k4, x=f32, isa=portable, order=exact)
static inline void sn_row_i4g32m_r32k4(float *y, const uint8_t *tile, int r, int n_in)
{
    for (int b = 0; b < n_in / SN_GROUP; b++, tile += SN_I4M_BLOCK) {
        const uint8_t *codes = tile + r / 16 * 256 + r % 16 * 4;
        float d = sn_f16_to_f32(sn_load_u16(tile + 512 + 2 * r));
        float m = sn_f16_to_f32(sn_load_u16(tile + 576 + 2 * r));

        for (int c = 0; c < 16; c++) {
            y[SN_GROUP * b + c] = d * (float)(codes[c / 4 * 64 + c % 4] & 15) + m;
            y[SN_GROUP * b + 16 + c] = d * (float)(codes[c / 4 * 64 + c % 4] >> 4) + m;
        }
    }
}

SN_KERNEL(op=row, layout=f16_r32k1, x=f32, isa=portable, order=exact)
static inline void sn_row_f16_r32k1(float *y, const uint8_t *tile, int r, int n_in)
{
    for (int c = 0; c < n_in; c++)
        y[c] = sn_f16_to_f32(sn_load_u16(tile + 64 * c + 2 * r));
}

SN_KERNEL(op=row, layout=bf16_r32k1, x=f32, isa=portable, order=exact)
static inline void sn_row_bf16_r32k1(float *y, const uint8_t *tile, int r, int n_in)
{
    for (int c = 0; c < n_in; c++)
        y[c] = sn_bf16_to_f32(sn_load_u16(tile + 64 * c + 2 * r));
}

SN_KERNEL(op=row, layout=f32_r32k1, x=f32, isa=portable, order=exact)
static inline void sn_row_f32_r32k1(float *y, const uint8_t *tile, int r, int n_in)
{
    for (int c = 0; c < n_in; c++)
        y[c] = sn_float(sn_load_u32(tile + 128 * c + 4 * r));
}

/* The same of a tile that is 32 rows one after another: only the row is read. */
SN_KERNEL(op=row, layout=i8g32_rows, x=f32, isa=portable, order=exact)
static inline void sn_row_i8g32_rows(float *y, const uint8_t *tile, int r, int n_in)
{
    const uint8_t *at = tile + (int64_t)r * (n_in / SN_GROUP) * 34;

    for (int b = 0; b < n_in / SN_GROUP; b++, at += 34) {
        float d = sn_f16_to_f32(sn_load_u16(at));

        for (int c = 0; c < SN_GROUP; c++)
            y[SN_GROUP * b + c] = d * (float)(int8_t)at[2 + c];
    }
}

SN_KERNEL(op=row, layout=i4g32_rows, x=f32, isa=portable, order=exact)
static inline void sn_row_i4g32_rows(float *y, const uint8_t *tile, int r, int n_in)
{
    const uint8_t *at = tile + (int64_t)r * (n_in / SN_GROUP) * 18;

    for (int b = 0; b < n_in / SN_GROUP; b++, at += 18) {
        float d = sn_f16_to_f32(sn_load_u16(at));

        for (int c = 0; c < 16; c++) {
            y[SN_GROUP * b + c] = d * (float)((at[2 + c] & 15) - 8);
            y[SN_GROUP * b + 16 + c] = d * (float)((at[2 + c] >> 4) - 8);
        }
    }
}
