/* Plain twins for codes in two planes and for scales of two levels: the meaning of four more layouts.
 *
 * Contracts, order of sums and helpers are dot.c's.  A group's sum is an integer, exactly; then it is multiplied with the
 * weights' scale times the activations' and added, and after it the minimum's part.
 *
 * 32 columns of 32 rows.  The low four bits are i4g32's 512 bytes; the high ones follow, in vectors of 64 B, row r of a half at
 * bytes 4r..4r+3.
 *
 *     low 4 bits   byte 0          256         512
 *                       | rows 0-15 | rows 16-31 |        column 4i+j of vector i in the low nibble, 16+4i+j in the high one
 *     fifth bits   byte 512        576         640
 *                       | rows 0-15 | rows 16-31 |        column 4f+j in bit f of byte j
 *     high 2 bits  byte 512        640         768
 *                       | rows 0-15 | rows 16-31 |        column 4i+8f+j of vector i in bits 2f and 2f+1
 *
 *     i5g32_r32k4     | low 512 | fifth 128 | d f16[32] |                                        704 B    w = d (code - 16)
 *
 *     i4g32ms_r32k4   | d f16[32] | m f16[32] | 8 x (low 512 | s u8[32] | t u8[32])             4736 B    w = d s code + m t
 *     i5g32ms_r32k4   | d f16[32] | m f16[32] | 8 x (low 512 | fifth 128 | s u8[32] | t u8[32]) 5760 B
 *     i6g16s_r32k4    | d f16[32] | 8 x (low 512 | high 256 | s i8[32] | s i8[32])              6720 B    w = d s (code - 32)
 *                                                 the first s for columns 0..15, the second for 16..31
 *
 * d s and m t are exact in a float, and so is s times a group's sum. */
#include "../kernel.h"

enum {
    SN_SPANS = 8,                   /* groups of 32 columns in a block with scales of two levels */
    SN_I5_BLOCK = 704,              /* bytes of 32 x 32 weights: i5g32_r32k4 */
    SN_I4MS_SPAN = 576,             /* the same within a block of eight, with the group's s and t: i4g32ms_r32k4 */
    SN_I5MS_SPAN = 704,             /* i5g32ms_r32k4 */
    SN_I6S_SPAN = 832,              /* i6g16s_r32k4 */
    SN_I4MS_BLOCK = 4736,           /* bytes of 32 x 256 weights */
    SN_I5MS_BLOCK = 5760,
    SN_I6S_BLOCK = 6720
};

/* The codes of 32 rows x 32 columns as in dot.c, 5 bits; `zero` is subtracted. */
static SN_APART void sn_codes_i5(int16_t code[SN_GROUP * SN_ROWS], const uint8_t *w, int zero)
{
    sn_codes_i4(code, w, zero);
    for (int c = 0; c < SN_GROUP; c++)
        for (int r = 0; r < SN_ROWS; r++)
            code[SN_ROWS * c + r] = (int16_t)(code[SN_ROWS * c + r] + (w[512 + 4 * r + c % 4] >> c / 4 & 1) * 16);
}

/* Codes of 6 bits, 32 subtracted, times the s of their group of 16: within -32 * 128 .. 32 * 128. */
static SN_APART void sn_codes_i6s(int16_t code[SN_GROUP * SN_ROWS], const uint8_t *w)
{
    sn_codes_i4(code, w, 32);
    for (int c = 0; c < SN_GROUP; c++)
        for (int r = 0; r < SN_ROWS; r++) {
            const uint8_t *high = w + 512 + r / 16 * 128 + r % 16 * 4;
            int v = code[SN_ROWS * c + r] + (high[c / 4 % 2 * 64 + c % 4] >> c / 8 * 2 & 3) * 16;

            code[SN_ROWS * c + r] = (int16_t)(v * (int8_t)w[768 + c / 16 * 32 + r]);
        }
}

/* The scales of a group: v times its 32 integers. */
static SN_APART void sn_subscales(float d[SN_ROWS], const float *v, const uint8_t *s)
{
    for (int r = 0; r < SN_ROWS; r++)
        d[r] = v[r] * (float)s[r];
}

/* ---- 8-bit activations: n_in is a multiple of 32, or of 256 with scales of two levels --------------------------------- */

static SN_APART void sn_dots_i5g32_q8(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in, int tokens)
{
    int16_t code[SN_GROUP * SN_ROWS];
    float d[SN_ROWS];

    sn_zero(acc, SN_ROWS * tokens);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I5_BLOCK) {
        sn_codes_i5(code, w, 16);
        sn_halves(d, w + 640);
        for (int t = 0; t < tokens; t++)
            sn_add_codes(acc + SN_ROWS * t, code, d, x + t * x_stride + b);
    }
}

/* Codes of 4 bits and, if fifth, 5. */
static SN_APART void sn_dots_g32ms_q8(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in, int tokens, int fifth)
{
    int16_t code[SN_GROUP * SN_ROWS];
    float d[SN_ROWS];
    float m[SN_ROWS];
    float ds[SN_ROWS];
    float mt[SN_ROWS];

    sn_zero(acc, SN_ROWS * tokens);
    for (int b = 0; b < n_in / SN_GROUP; b++) {
        if (b % SN_SPANS == 0) {
            sn_halves(d, w);
            sn_halves(m, w + 64);
            w += 128;
        }
        if (fifth)
            sn_codes_i5(code, w, 0);
        else
            sn_codes_i4(code, w, 0);
        w += fifth ? 640 : 512;
        sn_subscales(ds, d, w);
        sn_subscales(mt, m, w + 32);
        w += 64;
        for (int t = 0; t < tokens; t++) {
            sn_add_codes(acc + SN_ROWS * t, code, ds, x + t * x_stride + b);
            sn_add_minima(acc + SN_ROWS * t, mt, x + t * x_stride + b);
        }
    }
}

static SN_APART void sn_dots_i6g16s_q8(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in, int tokens)
{
    int16_t code[SN_GROUP * SN_ROWS];
    float d[SN_ROWS];

    sn_zero(acc, SN_ROWS * tokens);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I6S_SPAN) {
        if (b % SN_SPANS == 0) {
            sn_halves(d, w);
            w += 64;
        }
        sn_codes_i6s(code, w);
        for (int t = 0; t < tokens; t++)
            sn_add_codes(acc + SN_ROWS * t, code, d, x + t * x_stride + b);
    }
}

SN_KERNEL(op=dot, layout=i5g32_r32k4, x=q8, tile=32x4, isa=portable, order=groups)
static inline void sn_dot4_i5g32_r32k4_q8_portable(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride,
                                                   int n_in, const uint8_t *next)
{
    (void)next;
    sn_dots_i5g32_q8(acc, w, x, x_stride, n_in, 4);
}

SN_KERNEL(op=dot, layout=i5g32_r32k4, x=q8, tile=32x1, isa=portable, order=groups)
static inline void sn_dot_i5g32_r32k4_q8_portable(float acc[32], const uint8_t *w, const SnQ8 *x, int n_in,
                                                  const uint8_t *next)
{
    (void)next;
    sn_dots_i5g32_q8(acc, w, x, 0, n_in, 1);
}

SN_KERNEL(op=dot, layout=i4g32ms_r32k4, x=q8, tile=32x4, isa=portable, order=groups)
static inline void sn_dot4_i4g32ms_r32k4_q8_portable(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride,
                                                     int n_in, const uint8_t *next)
{
    (void)next;
    sn_dots_g32ms_q8(acc, w, x, x_stride, n_in, 4, 0);
}

SN_KERNEL(op=dot, layout=i4g32ms_r32k4, x=q8, tile=32x1, isa=portable, order=groups)
static inline void sn_dot_i4g32ms_r32k4_q8_portable(float acc[32], const uint8_t *w, const SnQ8 *x, int n_in,
                                                    const uint8_t *next)
{
    (void)next;
    sn_dots_g32ms_q8(acc, w, x, 0, n_in, 1, 0);
}

SN_KERNEL(op=dot, layout=i5g32ms_r32k4, x=q8, tile=32x4, isa=portable, order=groups)
static inline void sn_dot4_i5g32ms_r32k4_q8_portable(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride,
                                                     int n_in, const uint8_t *next)
{
    (void)next;
    sn_dots_g32ms_q8(acc, w, x, x_stride, n_in, 4, 1);
}

SN_KERNEL(op=dot, layout=i5g32ms_r32k4, x=q8, tile=32x1, isa=portable, order=groups)
static inline void sn_dot_i5g32ms_r32k4_q8_portable(float acc[32], const uint8_t *w, const SnQ8 *x, int n_in,
                                                    const uint8_t *next)
{
    (void)next;
    sn_dots_g32ms_q8(acc, w, x, 0, n_in, 1, 1);
}

SN_KERNEL(op=dot, layout=i6g16s_r32k4, x=q8, tile=32x4, isa=portable, order=groups)
static inline void sn_dot4_i6g16s_r32k4_q8_portable(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride,
                                                    int n_in, const uint8_t *next)
{
    (void)next;
    sn_dots_i6g16s_q8(acc, w, x, x_stride, n_in, 4);
}

SN_KERNEL(op=dot, layout=i6g16s_r32k4, x=q8, tile=32x1, isa=portable, order=groups)
static inline void sn_dot_i6g16s_r32k4_q8_portable(float acc[32], const uint8_t *w, const SnQ8 *x, int n_in,
                                                   const uint8_t *next)
{
    (void)next;
    sn_dots_i6g16s_q8(acc, w, x, 0, n_in, 1);
}

/* ---- float activations --------------------------------------------------------------------------------------------------- */

/* 32 columns as floats: d code, or d code + m. */
static SN_APART void sn_scaled(float f[SN_GROUP * SN_ROWS], const int16_t *code, const float *d)
{
    for (int c = 0; c < SN_GROUP; c++)
        for (int r = 0; r < SN_ROWS; r++)
            f[SN_ROWS * c + r] = d[r] * (float)code[SN_ROWS * c + r];
}

static SN_APART void sn_scaled_above(float f[SN_GROUP * SN_ROWS], const int16_t *code, const float *d, const float *m)
{
    for (int c = 0; c < SN_GROUP; c++)
        for (int r = 0; r < SN_ROWS; r++)
            f[SN_ROWS * c + r] = d[r] * (float)code[SN_ROWS * c + r] + m[r];
}

static SN_APART void sn_dots_i5g32_f32(float *acc, const uint8_t *w, const float *x, int x_stride, int n_in, int tokens)
{
    int16_t code[SN_GROUP * SN_ROWS];
    float d[SN_ROWS];
    float f[SN_GROUP * SN_ROWS];

    sn_zero(acc, SN_ROWS * tokens);
    for (int c = 0; c < n_in; c += SN_GROUP, w += SN_I5_BLOCK) {
        sn_codes_i5(code, w, 16);
        sn_halves(d, w + 640);
        sn_scaled(f, code, d);
        for (int t = 0; t < tokens; t++)
            sn_add_columns(acc + SN_ROWS * t, f, x + t * x_stride + c, SN_GROUP);
    }
}

static SN_APART void sn_dots_g32ms_f32(float *acc, const uint8_t *w, const float *x, int x_stride, int n_in, int tokens, int fifth)
{
    int16_t code[SN_GROUP * SN_ROWS];
    float d[SN_ROWS];
    float m[SN_ROWS];
    float ds[SN_ROWS];
    float mt[SN_ROWS];
    float f[SN_GROUP * SN_ROWS];

    sn_zero(acc, SN_ROWS * tokens);
    for (int b = 0; b < n_in / SN_GROUP; b++) {
        if (b % SN_SPANS == 0) {
            sn_halves(d, w);
            sn_halves(m, w + 64);
            w += 128;
        }
        if (fifth)
            sn_codes_i5(code, w, 0);
        else
            sn_codes_i4(code, w, 0);
        w += fifth ? 640 : 512;
        sn_subscales(ds, d, w);
        sn_subscales(mt, m, w + 32);
        w += 64;
        sn_scaled_above(f, code, ds, mt);
        for (int t = 0; t < tokens; t++)
            sn_add_columns(acc + SN_ROWS * t, f, x + t * x_stride + SN_GROUP * b, SN_GROUP);
    }
}

static SN_APART void sn_dots_i6g16s_f32(float *acc, const uint8_t *w, const float *x, int x_stride, int n_in, int tokens)
{
    int16_t code[SN_GROUP * SN_ROWS];
    float d[SN_ROWS];
    float f[SN_GROUP * SN_ROWS];

    sn_zero(acc, SN_ROWS * tokens);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I6S_SPAN) {
        if (b % SN_SPANS == 0) {
            sn_halves(d, w);
            w += 64;
        }
        sn_codes_i6s(code, w);
        sn_scaled(f, code, d);
        for (int t = 0; t < tokens; t++)
            sn_add_columns(acc + SN_ROWS * t, f, x + t * x_stride + SN_GROUP * b, SN_GROUP);
    }
}

SN_KERNEL(op=dot, layout=i5g32_r32k4, x=f32, tile=32x4, isa=portable, order=groups)
static inline void sn_dot4_i5g32_r32k4_f32_portable(float acc[4 * 32], const uint8_t *w, const float *x, int x_stride,
                                                    int n_in, const uint8_t *next)
{
    (void)next;
    sn_dots_i5g32_f32(acc, w, x, x_stride, n_in, 4);
}

SN_KERNEL(op=dot, layout=i5g32_r32k4, x=f32, tile=32x1, isa=portable, order=groups)
static inline void sn_dot_i5g32_r32k4_f32_portable(float acc[32], const uint8_t *w, const float *x, int n_in,
                                                   const uint8_t *next)
{
    (void)next;
    sn_dots_i5g32_f32(acc, w, x, 0, n_in, 1);
}

SN_KERNEL(op=dot, layout=i4g32ms_r32k4, x=f32, tile=32x4, isa=portable, order=groups)
static inline void sn_dot4_i4g32ms_r32k4_f32_portable(float acc[4 * 32], const uint8_t *w, const float *x, int x_stride,
                                                      int n_in, const uint8_t *next)
{
    (void)next;
    sn_dots_g32ms_f32(acc, w, x, x_stride, n_in, 4, 0);
}

SN_KERNEL(op=dot, layout=i4g32ms_r32k4, x=f32, tile=32x1, isa=portable, order=groups)
static inline void sn_dot_i4g32ms_r32k4_f32_portable(float acc[32], const uint8_t *w, const float *x, int n_in,
                                                     const uint8_t *next)
{
    (void)next;
    sn_dots_g32ms_f32(acc, w, x, 0, n_in, 1, 0);
}

SN_KERNEL(op=dot, layout=i5g32ms_r32k4, x=f32, tile=32x4, isa=portable, order=groups)
static inline void sn_dot4_i5g32ms_r32k4_f32_portable(float acc[4 * 32], const uint8_t *w, const float *x, int x_stride,
                                                      int n_in, const uint8_t *next)
{
    (void)next;
    sn_dots_g32ms_f32(acc, w, x, x_stride, n_in, 4, 1);
}

SN_KERNEL(op=dot, layout=i5g32ms_r32k4, x=f32, tile=32x1, isa=portable, order=groups)
static inline void sn_dot_i5g32ms_r32k4_f32_portable(float acc[32], const uint8_t *w, const float *x, int n_in,
                                                     const uint8_t *next)
{
    (void)next;
    sn_dots_g32ms_f32(acc, w, x, 0, n_in, 1, 1);
}

SN_KERNEL(op=dot, layout=i6g16s_r32k4, x=f32, tile=32x4, isa=portable, order=groups)
static inline void sn_dot4_i6g16s_r32k4_f32_portable(float acc[4 * 32], const uint8_t *w, const float *x, int x_stride,
                                                     int n_in, const uint8_t *next)
{
    (void)next;
    sn_dots_i6g16s_f32(acc, w, x, x_stride, n_in, 4);
}

SN_KERNEL(op=dot, layout=i6g16s_r32k4, x=f32, tile=32x1, isa=portable, order=groups)
static inline void sn_dot_i6g16s_r32k4_f32_portable(float acc[32], const uint8_t *w, const float *x, int n_in,
                                                    const uint8_t *next)
{
    (void)next;
    sn_dots_i6g16s_f32(acc, w, x, 0, n_in, 1);
}

/* ---- one row (0..31) of a tile as floats, as in row.c --------------------------------------------------------------------- */

/* Column c of row r: the low four bits, and the fifth as 16. */
static inline int sn_nibble_at(const uint8_t *w, int r, int c)
{
    return w[r / 16 * 256 + r % 16 * 4 + c % 16 / 4 * 64 + c % 4] >> c / 16 * 4 & 15;
}

static inline int sn_fifth_at(const uint8_t *w, int r, int c)
{
    return (w[512 + 4 * r + c % 4] >> c / 4 & 1) * 16;
}

SN_KERNEL(op=row, layout=i5g32_r32k4, x=f32, isa=portable, order=exact)
static inline void sn_row_i5g32_r32k4(float *y, const uint8_t *tile, int r, int n_in)
{
    for (int b = 0; b < n_in / SN_GROUP; b++, tile += SN_I5_BLOCK) {
        float d = sn_f16_to_f32(sn_load_u16(tile + 640 + 2 * r));

        for (int c = 0; c < SN_GROUP; c++)
            y[SN_GROUP * b + c] = d * (float)(sn_nibble_at(tile, r, c) + sn_fifth_at(tile, r, c) - 16);
    }
}

SN_KERNEL(op=row, layout=i4g32ms_r32k4, x=f32, isa=portable, order=exact)
static inline void sn_row_i4g32ms_r32k4(float *y, const uint8_t *tile, int r, int n_in)
{
    for (int b = 0; b < n_in / SN_GROUP; b++) {
        const uint8_t *block = tile + b / SN_SPANS * SN_I4MS_BLOCK;
        const uint8_t *w = block + 128 + b % SN_SPANS * SN_I4MS_SPAN;
        float d = sn_f16_to_f32(sn_load_u16(block + 2 * r)) * (float)w[512 + r];
        float m = sn_f16_to_f32(sn_load_u16(block + 64 + 2 * r)) * (float)w[544 + r];

        for (int c = 0; c < SN_GROUP; c++)
            y[SN_GROUP * b + c] = d * (float)sn_nibble_at(w, r, c) + m;
    }
}

SN_KERNEL(op=row, layout=i5g32ms_r32k4, x=f32, isa=portable, order=exact)
static inline void sn_row_i5g32ms_r32k4(float *y, const uint8_t *tile, int r, int n_in)
{
    for (int b = 0; b < n_in / SN_GROUP; b++) {
        const uint8_t *block = tile + b / SN_SPANS * SN_I5MS_BLOCK;
        const uint8_t *w = block + 128 + b % SN_SPANS * SN_I5MS_SPAN;
        float d = sn_f16_to_f32(sn_load_u16(block + 2 * r)) * (float)w[640 + r];
        float m = sn_f16_to_f32(sn_load_u16(block + 64 + 2 * r)) * (float)w[672 + r];

        for (int c = 0; c < SN_GROUP; c++)
            y[SN_GROUP * b + c] = d * (float)(sn_nibble_at(w, r, c) + sn_fifth_at(w, r, c)) + m;
    }
}

SN_KERNEL(op=row, layout=i6g16s_r32k4, x=f32, isa=portable, order=exact)
static inline void sn_row_i6g16s_r32k4(float *y, const uint8_t *tile, int r, int n_in)
{
    for (int b = 0; b < n_in / SN_GROUP; b++) {
        const uint8_t *block = tile + b / SN_SPANS * SN_I6S_BLOCK;
        const uint8_t *w = block + 64 + b % SN_SPANS * SN_I6S_SPAN;
        const uint8_t *high = w + 512 + r / 16 * 128 + r % 16 * 4;
        float d = sn_f16_to_f32(sn_load_u16(block + 2 * r));

        for (int c = 0; c < SN_GROUP; c++) {
            int code = sn_nibble_at(w, r, c) + (high[c / 4 % 2 * 64 + c % 4] >> c / 8 * 2 & 3) * 16 - 32;

            y[SN_GROUP * b + c] = d * (float)(code * (int8_t)w[768 + c / 16 * 32 + r]);
        }
    }
}
