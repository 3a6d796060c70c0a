/* Plain twins of the dot kernels: the meaning of each layout.
 *
 *     acc[r]          = sum over n_in of W[r, :] x[:]                   32 rows, one token
 *     acc[32 * t + r] = the same for x + t * x_stride, t = 0..3         (dot4; x_stride in blocks or floats)
 *
 * w is one packed tile, read once from front to back; `next` is the tile that this thread reads after it, or NULL (plain
 * kernels do not prefetch).  Rows are lanes: no sum crosses them.  Each group of 32 columns is summed first, in order of
 * columns (integers exactly, in q8), then the groups in order; four tokens are four times one token, bit for bit.
 *
 * The layouts, 32 columns of 32 rows at a time (f16, bf16, f32 _r32k1: one column at a time, the rows' values in order):
 *
 *     i8g32_r32k4     byte  0          512        1024          1088
 *                           | rows 0-15 | rows 16-31 | d f16[32] |       8 vectors of 64 B each: row r at bytes 4r..4r+3,
 *                                                                        column 4i+j of vector i in byte j, code + 128
 *     i4g32_r32k4     byte  0          256         512          576
 *     i4g32m_r32k4          | rows 0-15 | rows 16-31 | d f16[32] | m f16[32] |      4 vectors of 64 B each: column 4i+j in
 *                                                                        the low nibble, 16+4i+j in the high one; to 640 */
#include "../kernel.h"

/* The codes of 32 rows x 32 columns, column by column: code[32 c + r].  8 bits, 128 subtracted. */
static SN_APART void sn_codes_i8(int16_t code[SN_GROUP * SN_ROWS], const uint8_t *w)
{
    for (int c = 0; c < SN_GROUP; c++)
        for (int h = 0; h < 2; h++)
            for (int r = 0; r < 16; r++) {
                uint32_t four = sn_load_u32(w + 512 * h + c / 4 * 64 + 4 * r);

                code[SN_ROWS * c + 16 * h + r] = (int16_t)((int)(four >> c % 4 * 8 & 255u) - 128);
            }
}

/* The same for 4 bits; `zero` is subtracted. */
static SN_APART void sn_codes_i4(int16_t code[SN_GROUP * SN_ROWS], const uint8_t *w, int zero)
{
    for (int c = 0; c < SN_GROUP; c++)
        for (int h = 0; h < 2; h++)
            for (int r = 0; r < 16; r++) {
                uint32_t four = sn_load_u32(w + 256 * h + c % 16 / 4 * 64 + 4 * r);

                code[SN_ROWS * c + 16 * h + r] = (int16_t)((int)(four >> (c % 4 * 8 + c / 16 * 4) & 15u) - zero);
            }
}

/* 32 halves as floats. */
static SN_APART void sn_halves(float d[SN_ROWS], const uint8_t *p)
{
    for (int r = 0; r < SN_ROWS; r++)
        d[r] = sn_f16_to_f32(sn_load_u16(p + 2 * r));
}

/* acc += the group's sum times d, times the activations' scale. */
static SN_APART void sn_add_codes(float acc[SN_ROWS], const int16_t *code, const float *d, const SnQ8 *x)
{
    int32_t sum[SN_ROWS] = { 0 };

    for (int c = 0; c < SN_GROUP; c++)
        for (int r = 0; r < SN_ROWS; r++)
            sum[r] += code[SN_ROWS * c + r] * x->q[c];
    for (int r = 0; r < SN_ROWS; r++)
        acc[r] += (float)sum[r] * (d[r] * x->d);
}

/* acc += m times the sum of the activations. */
static inline void sn_add_minima(float acc[SN_ROWS], const float *m, const SnQ8 *x)
{
    for (int r = 0; r < SN_ROWS; r++)
        acc[r] += m[r] * x->ds;
}

/* acc += the sum over n <= 32 columns of w[32 c + r] x[c]. */
static SN_APART void sn_add_columns(float acc[SN_ROWS], const float *w, const float *x, int n)
{
    float sum[SN_ROWS] = { 0 };

    for (int c = 0; c < n; c++)
        for (int r = 0; r < SN_ROWS; r++)
            sum[r] += w[SN_ROWS * c + r] * x[c];
    for (int r = 0; r < SN_ROWS; r++)
        acc[r] += sum[r];
}

static inline void sn_zero(float *acc, int n)
{
    for (int i = 0; i < n; i++)
        acc[i] = 0;
}

/* ---- 8-bit activations: n_in is a multiple of 32 --------------------------------------------------------------- */

SN_KERNEL(op=dot, layout=i8g32_r32k4, x=q8, tile=32x4, isa=portable, order=groups)
static inline void sn_dot4_i8g32_r32k4_q8_portable(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride,
                                                   int n_in, const uint8_t *next)
{
    int16_t code[SN_GROUP * SN_ROWS];
    float d[SN_ROWS];

    (void)next;
    sn_zero(acc, 4 * SN_ROWS);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I8_BLOCK) {
        sn_codes_i8(code, w);
        sn_halves(d, w + 1024);
        for (int t = 0; t < 4; t++)
            sn_add_codes(acc + SN_ROWS * t, code, d, x + t * x_stride + b);
    }
}

SN_KERNEL(op=dot, layout=i8g32_r32k4, x=q8, tile=32x1, isa=portable, order=groups)
static inline void sn_dot_i8g32_r32k4_q8_portable(float acc[32], const uint8_t *w, const SnQ8 *x, int n_in,
                                                  const uint8_t *next)
{
    int16_t code[SN_GROUP * SN_ROWS];
    float d[SN_ROWS];

    (void)next;
    sn_zero(acc, SN_ROWS);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I8_BLOCK) {
        sn_codes_i8(code, w);
        sn_halves(d, w + 1024);
        sn_add_codes(acc, code, d, x + b);
    }
}

SN_KERNEL(op=dot, layout=i4g32_r32k4, x=q8, tile=32x4, isa=portable, order=groups)
static inline void sn_dot4_i4g32_r32k4_q8_portable(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride,
                                                   int n_in, const uint8_t *next)
{
    int16_t code[SN_GROUP * SN_ROWS];
    float d[SN_ROWS];

    (void)next;
    sn_zero(acc, 4 * SN_ROWS);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I4_BLOCK) {
        sn_codes_i4(code, w, 8);
        sn_halves(d, w + 512);
        for (int t = 0; t < 4; t++)
            sn_add_codes(acc + SN_ROWS * t, code, d, x + t * x_stride + b);
    }
}

SN_KERNEL(op=dot, layout=i4g32_r32k4, x=q8, tile=32x1, isa=portable, order=groups)
static inline void sn_dot_i4g32_r32k4_q8_portable(float acc[32], const uint8_t *w, const SnQ8 *x, int n_in,
                                                  const uint8_t *next)
{
    int16_t code[SN_GROUP * SN_ROWS];
    float d[SN_ROWS];

    (void)next;
    sn_zero(acc, SN_ROWS);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I4_BLOCK) {
        sn_codes_i4(code, w, 8);
        sn_halves(d, w + 512);
        sn_add_codes(acc, code, d, x + b);
    }
}

SN_KERNEL(op=dot, layout=i4g32m_r32k4, x=q8, tile=32x4, isa=portable, order=groups)
static inline void sn_dot4_i4g32m_r32k4_q8_portable(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride,
                                                    int n_in, const uint8_t *next)
{
    int16_t code[SN_GROUP * SN_ROWS];
    float d[SN_ROWS];
    float m[SN_ROWS];

    (void)next;
    sn_zero(acc, 4 * SN_ROWS);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I4M_BLOCK) {
        sn_codes_i4(code, w, 0);
        sn_halves(d, w + 512);
        sn_halves(m, w + 576);
        for (int t = 0; t < 4; t++) {
            sn_add_codes(acc + SN_ROWS * t, code, d, x + t * x_stride + b);
            sn_add_minima(acc + SN_ROWS * t, m, x + t * x_stride + b);
        }
    }
}

SN_KERNEL(op=dot, layout=i4g32m_r32k4, x=q8, tile=32x1, isa=portable, order=groups)
static inline void sn_dot_i4g32m_r32k4_q8_portable(float acc[32], const uint8_t *w, const SnQ8 *x, int n_in,
                                                   const uint8_t *next)
{
    int16_t code[SN_GROUP * SN_ROWS];
    float d[SN_ROWS];
    float m[SN_ROWS];

    (void)next;
    sn_zero(acc, SN_ROWS);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I4M_BLOCK) {
        sn_codes_i4(code, w, 0);
        sn_halves(d, w + 512);
        sn_halves(m, w + 576);
        sn_add_codes(acc, code, d, x + b);
        sn_add_minima(acc, m, x + b);
    }
}

/* ---- float activations: weights become floats, then columns are added ------------------------------------------ */

static SN_APART void sn_unpack_i8g32(float f[SN_GROUP * SN_ROWS], const uint8_t *w)
{
    int16_t code[SN_GROUP * SN_ROWS];
    float d[SN_ROWS];

    sn_codes_i8(code, w);
    sn_halves(d, w + 1024);
    for (int c = 0; c < SN_GROUP; c++)
        for (int r = 0; r < SN_ROWS; r++)
            f[SN_ROWS * c + r] = d[r] * (float)code[SN_ROWS * c + r];
}

static SN_APART void sn_unpack_i4g32(float f[SN_GROUP * SN_ROWS], const uint8_t *w)
{
    int16_t code[SN_GROUP * SN_ROWS];
    float d[SN_ROWS];

    sn_codes_i4(code, w, 8);
    sn_halves(d, w + 512);
    for (int c = 0; c < SN_GROUP; c++)
        for (int r = 0; r < SN_ROWS; r++)
            f[SN_ROWS * c + r] = d[r] * (float)code[SN_ROWS * c + r];
}

static SN_APART void sn_unpack_i4g32m(float f[SN_GROUP * SN_ROWS], const uint8_t *w)
{
    int16_t code[SN_GROUP * SN_ROWS];
    float d[SN_ROWS];
    float m[SN_ROWS];

    sn_codes_i4(code, w, 0);
    sn_halves(d, w + 512);
    sn_halves(m, w + 576);
    for (int c = 0; c < SN_GROUP; c++)
        for (int r = 0; r < SN_ROWS; r++)
            f[SN_ROWS * c + r] = d[r] * (float)code[SN_ROWS * c + r] + m[r];
}

/* n <= 32 columns of the plain layouts. */
static SN_APART void sn_unpack_f16(float f[SN_GROUP * SN_ROWS], const uint8_t *w, int n)
{
    for (int i = 0; i < SN_ROWS * n; i++)
        f[i] = sn_f16_to_f32(sn_load_u16(w + 2 * i));
}

static SN_APART void sn_unpack_bf16(float f[SN_GROUP * SN_ROWS], const uint8_t *w, int n)
{
    for (int i = 0; i < SN_ROWS * n; i++)
        f[i] = sn_bf16_to_f32(sn_load_u16(w + 2 * i));
}

static SN_APART void sn_unpack_f32(float f[SN_GROUP * SN_ROWS], const uint8_t *w, int n)
{
    for (int i = 0; i < SN_ROWS * n; i++)
        f[i] = sn_float(sn_load_u32(w + 4 * i));
}

/* How many of n_in columns are left from column c on, at most 32. */
static inline int sn_columns(int n_in, int c)
{
    return n_in - c < SN_GROUP ? n_in - c : SN_GROUP;
}

SN_KERNEL(op=dot, layout=i8g32_r32k4, x=f32, tile=32x4, isa=portable, order=groups)
static inline void sn_dot4_i8g32_r32k4_f32_portable(float acc[4 * 32], const uint8_t *w, const float *x, int x_stride,
                                                    int n_in, const uint8_t *next)
{
    float f[SN_GROUP * SN_ROWS];

    (void)next;
    sn_zero(acc, 4 * SN_ROWS);
    for (int c = 0; c < n_in; c += SN_GROUP, w += SN_I8_BLOCK) {
        sn_unpack_i8g32(f, w);
        for (int t = 0; t < 4; t++)
            sn_add_columns(acc + SN_ROWS * t, f, x + t * x_stride + c, SN_GROUP);
    }
}

SN_KERNEL(op=dot, layout=i8g32_r32k4, x=f32, tile=32x1, isa=portable, order=groups)
static inline void sn_dot_i8g32_r32k4_f32_portable(float acc[32], const uint8_t *w, const float *x, int n_in,
                                                   const uint8_t *next)
{
    float f[SN_GROUP * SN_ROWS];

    (void)next;
    sn_zero(acc, SN_ROWS);
    for (int c = 0; c < n_in; c += SN_GROUP, w += SN_I8_BLOCK) {
        sn_unpack_i8g32(f, w);
        sn_add_columns(acc, f, x + c, SN_GROUP);
    }
}

SN_KERNEL(op=dot, layout=i4g32_r32k4, x=f32, tile=32x4, isa=portable, order=groups)
static inline void sn_dot4_i4g32_r32k4_f32_portable(float acc[4 * 32], const uint8_t *w, const float *x, int x_stride,
                                                    int n_in, const uint8_t *next)
{
    float f[SN_GROUP * SN_ROWS];

    (void)next;
    sn_zero(acc, 4 * SN_ROWS);
    for (int c = 0; c < n_in; c += SN_GROUP, w += SN_I4_BLOCK) {
        sn_unpack_i4g32(f, w);
        for (int t = 0; t < 4; t++)
            sn_add_columns(acc + SN_ROWS * t, f, x + t * x_stride + c, SN_GROUP);
    }
}

SN_KERNEL(op=dot, layout=i4g32_r32k4, x=f32, tile=32x1, isa=portable, order=groups)
static inline void sn_dot_i4g32_r32k4_f32_portable(float acc[32], const uint8_t *w, const float *x, int n_in,
                                                   const uint8_t *next)
{
    float f[SN_GROUP * SN_ROWS];

    (void)next;
    sn_zero(acc, SN_ROWS);
    for (int c = 0; c < n_in; c += SN_GROUP, w += SN_I4_BLOCK) {
        sn_unpack_i4g32(f, w);
        sn_add_columns(acc, f, x + c, SN_GROUP);
    }
}

SN_KERNEL(op=dot, layout=i4g32m_r32k4, x=f32, tile=32x4, isa=portable, order=groups)
static inline void sn_dot4_i4g32m_r32k4_f32_portable(float acc[4 * 32], const uint8_t *w, const float *x, int x_stride,
                                                     int n_in, const uint8_t *next)
{
    float f[SN_GROUP * SN_ROWS];

    (void)next;
    sn_zero(acc, 4 * SN_ROWS);
    for (int c = 0; c < n_in; c += SN_GROUP, w += SN_I4M_BLOCK) {
        sn_unpack_i4g32m(f, w);
        for (int t = 0; t < 4; t++)
            sn_add_columns(acc + SN_ROWS * t, f, x + t * x_stride + c, SN_GROUP);
    }
}

SN_KERNEL(op=dot, layout=i4g32m_r32k4, x=f32, tile=32x1, isa=portable, order=groups)
static inline void sn_dot_i4g32m_r32k4_f32_portable(float acc[32], const uint8_t *w, const float *x, int n_in,
                                                    const uint8_t *next)
{
    float f[SN_GROUP * SN_ROWS];

    (void)next;
    sn_zero(acc, SN_ROWS);
    for (int c = 0; c < n_in; c += SN_GROUP, w += SN_I4M_BLOCK) {
        sn_unpack_i4g32m(f, w);
        sn_add_columns(acc, f, x + c, SN_GROUP);
    }
}

SN_KERNEL(op=dot, layout=f16_r32k1, x=f32, tile=32x4, isa=portable, order=groups)
static inline void sn_dot4_f16_r32k1_f32_portable(float acc[4 * 32], const uint8_t *w, const float *x, int x_stride,
                                                  int n_in, const uint8_t *next)
{
    float f[SN_GROUP * SN_ROWS];

    (void)next;
    sn_zero(acc, 4 * SN_ROWS);
    for (int c = 0; c < n_in; c += SN_GROUP, w += 64 * SN_GROUP) {
        int n = sn_columns(n_in, c);

        sn_unpack_f16(f, w, n);
        for (int t = 0; t < 4; t++)
            sn_add_columns(acc + SN_ROWS * t, f, x + t * x_stride + c, n);
    }
}

SN_KERNEL(op=dot, layout=f16_r32k1, x=f32, tile=32x1, isa=portable, order=groups)
static inline void sn_dot_f16_r32k1_f32_portable(float acc[32], const uint8_t *w, const float *x, int n_in,
                                                 const uint8_t *next)
{
    float f[SN_GROUP * SN_ROWS];

    (void)next;
    sn_zero(acc, SN_ROWS);
    for (int c = 0; c < n_in; c += SN_GROUP, w += 64 * SN_GROUP) {
        int n = sn_columns(n_in, c);

        sn_unpack_f16(f, w, n);
        sn_add_columns(acc, f, x + c, n);
    }
}

SN_KERNEL(op=dot, layout=bf16_r32k1, x=f32, tile=32x4, isa=portable, order=groups)
static inline void sn_dot4_bf16_r32k1_f32_portable(float acc[4 * 32], const uint8_t *w, const float *x, int x_stride,
                                                   int n_in, const uint8_t *next)
{
    float f[SN_GROUP * SN_ROWS];

    (void)next;
    sn_zero(acc, 4 * SN_ROWS);
    for (int c = 0; c < n_in; c += SN_GROUP, w += 64 * SN_GROUP) {
        int n = sn_columns(n_in, c);

        sn_unpack_bf16(f, w, n);
        for (int t = 0; t < 4; t++)
            sn_add_columns(acc + SN_ROWS * t, f, x + t * x_stride + c, n);
    }
}

SN_KERNEL(op=dot, layout=bf16_r32k1, x=f32, tile=32x1, isa=portable, order=groups)
static inline void sn_dot_bf16_r32k1_f32_portable(float acc[32], const uint8_t *w, const float *x, int n_in,
                                                  const uint8_t *next)
{
    float f[SN_GROUP * SN_ROWS];

    (void)next;
    sn_zero(acc, SN_ROWS);
    for (int c = 0; c < n_in; c += SN_GROUP, w += 64 * SN_GROUP) {
        int n = sn_columns(n_in, c);

        sn_unpack_bf16(f, w, n);
        sn_add_columns(acc, f, x + c, n);
    }
}

SN_KERNEL(op=dot, layout=f32_r32k1, x=f32, tile=32x4, isa=portable, order=groups)
static inline void sn_dot4_f32_r32k1_f32_portable(float acc[4 * 32], const uint8_t *w, const float *x, int x_stride,
                                                  int n_in, const uint8_t *next)
{
    float f[SN_GROUP * SN_ROWS];

    (void)next;
    sn_zero(acc, 4 * SN_ROWS);
    for (int c = 0; c < n_in; c += SN_GROUP, w += 128 * SN_GROUP) {
        int n = sn_columns(n_in, c);

        sn_unpack_f32(f, w, n);
        for (int t = 0; t < 4; t++)
            sn_add_columns(acc + SN_ROWS * t, f, x + t * x_stride + c, n);
    }
}

SN_KERNEL(op=dot, layout=f32_r32k1, x=f32, tile=32x1, isa=portable, order=groups)
static inline void sn_dot_f32_r32k1_f32_portable(float acc[32], const uint8_t *w, const float *x, int n_in,
                                                 const uint8_t *next)
{
    float f[SN_GROUP * SN_ROWS];

    (void)next;
    sn_zero(acc, SN_ROWS);
    for (int c = 0; c < n_in; c += SN_GROUP, w += 128 * SN_GROUP) {
        int n = sn_columns(n_in, c);

        sn_unpack_f32(f, w, n);
        sn_add_columns(acc, f, x + c, n);
    }
}
