/* Plain twins of the kernels for ternary weights: the meaning of two layouts with one scale for a row's 256 columns.
 *
 * Contracts, order of sums and helpers are dot.c's: 32 columns are a group with its own sum, eight groups a block.  Four
 * columns are a quad; byte 4r + j of a vector of 64 bytes belongs to row r (of 16) and column j of the quads that it holds.
 *
 *     i2g256_r32k4    2112 B, 2.06 bits a weight: four quads in a byte, 2 bits each.       w = d * (code - 1),  code 0..3
 *
 *         byte  0         256             1792       2048       2112
 *               | group 0 | group 1 | ... | group 7 | d f16[32] |
 *         group: rows 0-15 in 2 vectors, rows 16-31 in 2; column 8f + 4i + j is bits 2f, 2f + 1 of vector i
 *
 *     t5g256_r32k4    1728 B, 1.69 bits a weight: five quads in a byte, base 3.            w = d * (digit - 1), digit 0..2
 *
 *         byte  0      128       512       896       1280      1664        1728
 *               | last | pair 0  | pair 1  | pair 2  | pair 3  | d f16[32] |
 *         pair: 64 columns; rows 0-15 in 3 vectors, rows 16-31 in 3; quad k < 15 is digit k % 5 of vector k / 5
 *         last: rows 0-15, rows 16-31; its digit p is quad 15 of pair p; digit 4 is 1 (w = 0) and belongs to nobody
 *         a byte q is the number n of five digits, n = 81 d0 + 27 d1 + 9 d2 + 3 d3 + d4, as a fraction: q = ceil(256 n / 243).
 *         So 3 q = 256 d0 + q', and q' holds the other digits in the same way (as in ggml's tq1_0).                       */
#include "../kernel.h"

enum {
    SN_TERNARY_COLUMNS = 256,       /* columns of a block of ternary weights */
    SN_I2_BLOCK = 2112,             /* bytes of 32 x 256 weights: i2g256_r32k4 */
    SN_T5_BLOCK = 1728              /* t5g256_r32k4 */
};

/* The codes of group g of a block, 1 subtracted, column by column as in dot.c. */
static SN_APART void sn_codes_i2(int16_t code[SN_GROUP * SN_ROWS], const uint8_t *w, int g)
{
    for (int c = 0; c < SN_GROUP; c++)
        for (int h = 0; h < 2; h++)
            for (int r = 0; r < 16; r++) {
                uint32_t four = sn_load_u32(w + 256 * g + 128 * h + c / 4 % 2 * 64 + 4 * r);

                code[SN_ROWS * c + 16 * h + r] = (int16_t)((int)(four >> (c % 4 * 8 + c / 8 * 2) & 3u) - 1);
            }
}

/* Where the digits of columns 4 quad .. 4 quad + 3 lie in a block, rows 0-15 (rows 16-31: *half bytes later); returns 3 to the
 * power of the digit's number. */
static inline int sn_find_t5(int quad, int *at, int *half)
{
    static const uint8_t power[5] = { 1, 3, 9, 27, 81 };
    int k = quad % 16;

    *at = k == 15 ? 0 : 128 + 384 * (quad / 16) + 64 * (k / 5);
    *half = k == 15 ? 64 : 192;
    return power[k == 15 ? quad / 16 : k % 5];
}

static SN_APART void sn_codes_t5(int16_t code[SN_GROUP * SN_ROWS], const uint8_t *w, int g)
{
    for (int c = 0; c < SN_GROUP; c++) {
        int at, half;
        int power = sn_find_t5(8 * g + c / 4, &at, &half);

        for (int h = 0; h < 2; h++)
            for (int r = 0; r < 16; r++) {
                uint32_t four = sn_load_u32(w + at + half * h + 4 * r);
                uint16_t q = (uint16_t)((four >> c % 4 * 8 & 255u) * (uint32_t)power);

                code[SN_ROWS * c + 16 * h + r] = (int16_t)((3 * (q & 255) >> 8) - 1);
            }
    }
}

/* ---- 8-bit activations: n_in is a multiple of 256 --------------------------------------------------------------- */

SN_KERNEL(op=dot, layout=i2g256_r32k4, x=q8g256, tile=32x4, isa=portable, order=groups)
static inline void sn_dot4_i2g256_r32k4_q8g256_portable(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride,
                                                        int n_in, const uint8_t *next)
{
    int16_t code[SN_GROUP * SN_ROWS];
    float d[SN_ROWS];

    (void)next;
    sn_zero(acc, 4 * SN_ROWS);
    for (int b = 0; b < n_in / SN_TERNARY_COLUMNS; b++, w += SN_I2_BLOCK, x += 8) {
        sn_halves(d, w + 2048);
        for (int g = 0; g < 8; g++) {
            sn_codes_i2(code, w, g);
            for (int t = 0; t < 4; t++)
                sn_add_codes(acc + SN_ROWS * t, code, d, x + t * x_stride + g);
        }
    }
}

SN_KERNEL(op=dot, layout=i2g256_r32k4, x=q8g256, tile=32x1, isa=portable, order=groups)
static inline void sn_dot_i2g256_r32k4_q8g256_portable(float acc[32], const uint8_t *w, const SnQ8 *x, int n_in,
                                                       const uint8_t *next)
{
    int16_t code[SN_GROUP * SN_ROWS];
    float d[SN_ROWS];

    (void)next;
    sn_zero(acc, SN_ROWS);
    for (int b = 0; b < n_in / SN_TERNARY_COLUMNS; b++, w += SN_I2_BLOCK, x += 8) {
        sn_halves(d, w + 2048);
        for (int g = 0; g < 8; g++) {
            sn_codes_i2(code, w, g);
            sn_add_codes(acc, code, d, x + g);
        }
    }
}

SN_KERNEL(op=dot, layout=t5g256_r32k4, x=q8g256, tile=32x4, isa=portable, order=groups)
static inline void sn_dot4_t5g256_r32k4_q8g256_portable(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride,
                                                        int n_in, const uint8_t *next)
{
    int16_t code[SN_GROUP * SN_ROWS];
    float d[SN_ROWS];

    (void)next;
    sn_zero(acc, 4 * SN_ROWS);
    for (int b = 0; b < n_in / SN_TERNARY_COLUMNS; b++, w += SN_T5_BLOCK, x += 8) {
        sn_halves(d, w + 1664);
        for (int g = 0; g < 8; g++) {
            sn_codes_t5(code, w, g);
            for (int t = 0; t < 4; t++)
                sn_add_codes(acc + SN_ROWS * t, code, d, x + t * x_stride + g);
        }
    }
}

SN_KERNEL(op=dot, layout=t5g256_r32k4, x=q8g256, tile=32x1, isa=portable, order=groups)
static inline void sn_dot_t5g256_r32k4_q8g256_portable(float acc[32], const uint8_t *w, const SnQ8 *x, int n_in,
                                                       const uint8_t *next)
{
    int16_t code[SN_GROUP * SN_ROWS];
    float d[SN_ROWS];

    (void)next;
    sn_zero(acc, SN_ROWS);
    for (int b = 0; b < n_in / SN_TERNARY_COLUMNS; b++, w += SN_T5_BLOCK, x += 8) {
        sn_halves(d, w + 1664);
        for (int g = 0; g < 8; g++) {
            sn_codes_t5(code, w, g);
            sn_add_codes(acc, code, d, x + g);
        }
    }
}

/* ---- float activations ------------------------------------------------------------------------------------------ */

/* The codes of a group as weights. */
static SN_APART void sn_unpack_ternary(float f[SN_GROUP * SN_ROWS], const int16_t *code, const float *d)
{
    for (int c = 0; c < SN_GROUP; c++)
        for (int r = 0; r < SN_ROWS; r++)
            f[SN_ROWS * c + r] = d[r] * (float)code[SN_ROWS * c + r];
}

SN_KERNEL(op=dot, layout=i2g256_r32k4, x=f32, tile=32x4, isa=portable, order=groups)
static inline void sn_dot4_i2g256_r32k4_f32_portable(float acc[4 * 32], const uint8_t *w, const float *x, int x_stride,
                                                     int n_in, const uint8_t *next)
{
    int16_t code[SN_GROUP * SN_ROWS];
    float f[SN_GROUP * SN_ROWS];
    float d[SN_ROWS];

    (void)next;
    sn_zero(acc, 4 * SN_ROWS);
    for (int b = 0; b < n_in / SN_TERNARY_COLUMNS; b++, w += SN_I2_BLOCK) {
        sn_halves(d, w + 2048);
        for (int g = 0; g < 8; g++, x += SN_GROUP) {
            sn_codes_i2(code, w, g);
            sn_unpack_ternary(f, code, d);
            for (int t = 0; t < 4; t++)
                sn_add_columns(acc + SN_ROWS * t, f, x + t * x_stride, SN_GROUP);
        }
    }
}

SN_KERNEL(op=dot, layout=i2g256_r32k4, x=f32, tile=32x1, isa=portable, order=groups)
static inline void sn_dot_i2g256_r32k4_f32_portable(float acc[32], const uint8_t *w, const float *x, int n_in,
                                                    const uint8_t *next)
{
    int16_t code[SN_GROUP * SN_ROWS];
    float f[SN_GROUP * SN_ROWS];
    float d[SN_ROWS];

    (void)next;
    sn_zero(acc, SN_ROWS);
    for (int b = 0; b < n_in / SN_TERNARY_COLUMNS; b++, w += SN_I2_BLOCK) {
        sn_halves(d, w + 2048);
        for (int g = 0; g < 8; g++, x += SN_GROUP) {
            sn_codes_i2(code, w, g);
            sn_unpack_ternary(f, code, d);
            sn_add_columns(acc, f, x, SN_GROUP);
        }
    }
}

SN_KERNEL(op=dot, layout=t5g256_r32k4, x=f32, tile=32x4, isa=portable, order=groups)
static inline void sn_dot4_t5g256_r32k4_f32_portable(float acc[4 * 32], const uint8_t *w, const float *x, int x_stride,
                                                     int n_in, const uint8_t *next)
{
    int16_t code[SN_GROUP * SN_ROWS];
    float f[SN_GROUP * SN_ROWS];
    float d[SN_ROWS];

    (void)next;
    sn_zero(acc, 4 * SN_ROWS);
    for (int b = 0; b < n_in / SN_TERNARY_COLUMNS; b++, w += SN_T5_BLOCK) {
        sn_halves(d, w + 1664);
        for (int g = 0; g < 8; g++, x += SN_GROUP) {
            sn_codes_t5(code, w, g);
            sn_unpack_ternary(f, code, d);
            for (int t = 0; t < 4; t++)
                sn_add_columns(acc + SN_ROWS * t, f, x + t * x_stride, SN_GROUP);
        }
    }
}

SN_KERNEL(op=dot, layout=t5g256_r32k4, x=f32, tile=32x1, isa=portable, order=groups)
static inline void sn_dot_t5g256_r32k4_f32_portable(float acc[32], const uint8_t *w, const float *x, int n_in,
                                                    const uint8_t *next)
{
    int16_t code[SN_GROUP * SN_ROWS];
    float f[SN_GROUP * SN_ROWS];
    float d[SN_ROWS];

    (void)next;
    sn_zero(acc, SN_ROWS);
    for (int b = 0; b < n_in / SN_TERNARY_COLUMNS; b++, w += SN_T5_BLOCK) {
        sn_halves(d, w + 1664);
        for (int g = 0; g < 8; g++, x += SN_GROUP) {
            sn_codes_t5(code, w, g);
            sn_unpack_ternary(f, code, d);
            sn_add_columns(acc, f, x, SN_GROUP);
        }
    }
}

/* ---- one row: see row.c ------------------------------------------------------------------------------------------ */

SN_KERNEL(op=row, layout=i2g256_r32k4, x=f32, isa=portable, order=exact)
static inline void sn_row_i2g256_r32k4(float *y, const uint8_t *tile, int r, int n_in)
{
    for (int b = 0; b < n_in / SN_TERNARY_COLUMNS; b++, tile += SN_I2_BLOCK, y += SN_TERNARY_COLUMNS) {
        const uint8_t *codes = tile + r / 16 * 128 + r % 16 * 4;
        float d = sn_f16_to_f32(sn_load_u16(tile + 2048 + 2 * r));

        for (int c = 0; c < SN_TERNARY_COLUMNS; c++)
            y[c] = d * (float)((codes[c / 32 * 256 + c / 4 % 2 * 64 + c % 4] >> c % 32 / 8 * 2 & 3) - 1);
    }
}

SN_KERNEL(op=row, layout=t5g256_r32k4, x=f32, isa=portable, order=exact)
static inline void sn_row_t5g256_r32k4(float *y, const uint8_t *tile, int r, int n_in)
{
    for (int b = 0; b < n_in / SN_TERNARY_COLUMNS; b++, tile += SN_T5_BLOCK, y += SN_TERNARY_COLUMNS) {
        float d = sn_f16_to_f32(sn_load_u16(tile + 1664 + 2 * r));

        for (int quad = 0; quad < 64; quad++) {
            int at, half;
            int power = sn_find_t5(quad, &at, &half);

            for (int j = 0; j < 4; j++) {
                int q = tile[at + half * (r / 16) + 4 * (r % 16) + j] * power & 255;

                y[4 * quad + j] = d * (float)((3 * q >> 8) - 1);
            }
        }
    }
}
