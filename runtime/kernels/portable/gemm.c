/* Many tokens at once through panels of 8-bit codes: the meaning of the kernels `quant_i8`, `unpack` and `gemm`.
 *
 * A tile of packed weights is unpacked once for all tokens of a call, whatever its layout, into a *panel*: 8-bit codes of which a
 * whole group of columns shares a scale, so that integer sums run long.  Activations have groups of the same columns.
 *
 *   x, one row     | int8 q[n_in] | SnI8Scale of each group |           x[i] = d q[i],  -127 <= q[i] <= 127;  sum: of the group's q
 *                  rows begin x_stride bytes apart, a multiple of 64; n_in is a multiple of 32
 *   panel          | codes u8 [n_in / 4][32 rows][4 columns] | f32 d[n_in / group][32 rows] |        w[r, i] = d (code - 128), 1..255
 *                  row r, column 4i + j in byte 128 i + 4r + j; begins at a multiple of 64; sn_panel_bytes() long
 *
 * `group` is a multiple of 32, divides n_in and is at most SN_I8_GROUP, so a group's sum is exact in an int32 and in a float.
 * unpack: with max = the largest |w| of a row in a group (w: the float that the layout defines), d = max / 127 and
 * code = 128 + w * (127 / max) rounded half to even; where max is not above 1e-30 all codes are 128, where it is infinite or NaN as
 * well, so that d says it.  quant_i8 does the same with activations.
 *
 * gemm, for n tokens (any number), acc_stride and x_stride from one to the next:
 *
 *     acc[acc_stride t + r] = sum over groups, in order, of (float)(sum of (code - 128) q) * (d_w * d_x)
 *
 * gemm_end, where an ISA has it: a thread calls it after the last gemm of a chunk, because gemm keeps something between calls.
 *
 * with three roundings a group (of d_w * d_x, the product, the sum) and no fused ones, so that every machine gives the same bits. */
#include "../kernel.h"

/* |x| as an integer that compares as |x| does, infinity and NaN above all numbers. */
static inline int32_t sn_magnitude(float x)
{
    return (int32_t)(sn_bits(x) & 0x7fffffffu);
}

/* What a group is multiplied with to become codes; 0: all of its codes are 0. */
static inline float sn_to_codes(float max)
{
    return max > 1e-30f && max <= 3.402823466e38f ? 127.0f / max : 0.0f;
}

/* x * inverse rounded half to even, -127 .. 127; 0 where inverse is. */
static inline int32_t sn_code(float x, float inverse)
{
    return inverse > 0 ? (int32_t)(sn_bits(x * inverse + 12582912.0f) - 0x4b400000u) : 0;
}

/* A group of n activations. */
SN_KERNEL(op=quant_i8, x=f32, isa=portable, order=exact)
static SN_APART void sn_quant_i8(int8_t *q, SnI8Scale *scale, const float *x, int n)
{
    int32_t max_bits = 0;
    int32_t sum = 0;
    float max, inverse;

    for (int i = 0; i < n; i++)
        max_bits = sn_magnitude(x[i]) > max_bits ? sn_magnitude(x[i]) : max_bits;
    max = sn_float((uint32_t)max_bits);
    inverse = sn_to_codes(max);
    for (int i = 0; i < n; i++) {
        int32_t code = sn_code(x[i], inverse);

        q[i] = (int8_t)code;
        sum += code;
    }
    scale->d = max / 127.0f;
    scale->sum = sum;
}

/* Row r of a panel, columns c .. c + group - 1, from what they are as floats. */
static inline void sn_panel_row(uint8_t *panel, int r, int c, const float *w, int n_in, int group)
{
    int32_t max_bits = 0;
    float max, inverse;

    for (int i = 0; i < group; i++)
        max_bits = sn_magnitude(w[i]) > max_bits ? sn_magnitude(w[i]) : max_bits;
    max = sn_float((uint32_t)max_bits);
    inverse = sn_to_codes(max);
    for (int i = 0; i < group; i++)
        panel[(c + i) / 4 * 128 + 4 * r + i % 4] = (uint8_t)(128 + sn_code(w[i], inverse));
    sn_panel_scales(panel, n_in)[c / group * SN_ROWS + r] = max / 127.0f;
}

/* Any layout, by its kernel for one row; `columns` of it are `bytes` of a tile. */
static SN_APART void sn_unpack_rows(uint8_t *panel, const uint8_t *w, int n_in, int group,
                                    void (*row)(float *y, const uint8_t *tile, int r, int n_in), int columns, int bytes)
{
    const int step = columns > group ? columns : group;
    float y[SN_I8_GROUP];

    for (int c = 0; c < n_in; c += step, w += step / columns * bytes)
        for (int r = 0; r < SN_ROWS; r++) {
            row(y, w, r, step);
            for (int g = 0; g < step; g += group)
                sn_panel_row(panel, r, c + g, y + g, n_in, group);
        }
}

SN_KERNEL(op=unpack, layout=i8g32_r32k4, isa=portable, order=exact)
static SN_APART void sn_unpack_i8g32_r32k4_portable(uint8_t *panel, const uint8_t *w, int n_in, int group)
{
    sn_unpack_rows(panel, w, n_in, group, sn_row_i8g32_r32k4, SN_GROUP, SN_I8_BLOCK);
}

SN_KERNEL(op=unpack, layout=i4g32_r32k4, isa=portable, order=exact)
static SN_APART void sn_unpack_i4g32_r32k4_portable(uint8_t *panel, const uint8_t *w, int n_in, int group)
{
    sn_unpack_rows(panel, w, n_in, group, sn_row_i4g32_r32k4, SN_GROUP, SN_I4_BLOCK);
}

SN_KERNEL(op=unpack, layout=i4g32m_r32k4, isa=portable, order=exact)
static SN_APART void sn_unpack_i4g32m_r32k4_portable(uint8_t *panel, const uint8_t *w, int n_in, int group)
{
    sn_unpack_rows(panel, w, n_in, group, sn_row_i4g32m_r32k4, SN_GROUP, SN_I4M_BLOCK);
}

SN_KERNEL(op=unpack, layout=i5g32_r32k4, isa=portable, order=exact)
static SN_APART void sn_unpack_i5g32_r32k4_portable(uint8_t *panel, const uint8_t *w, int n_in, int group)
{
    sn_unpack_rows(panel, w, n_in, group, sn_row_i5g32_r32k4, SN_GROUP, 704);
}

SN_KERNEL(op=unpack, layout=i4g32ms_r32k4, isa=portable, order=exact)
static SN_APART void sn_unpack_i4g32ms_r32k4_portable(uint8_t *panel, const uint8_t *w, int n_in, int group)
{
    sn_unpack_rows(panel, w, n_in, group, sn_row_i4g32ms_r32k4, 256, 4736);
}

SN_KERNEL(op=unpack, layout=i5g32ms_r32k4, isa=portable, order=exact)
static SN_APART void sn_unpack_i5g32ms_r32k4_portable(uint8_t *panel, const uint8_t *w, int n_in, int group)
{
    sn_unpack_rows(panel, w, n_in, group, sn_row_i5g32ms_r32k4, 256, 5760);
}

SN_KERNEL(op=unpack, layout=i6g16s_r32k4, isa=portable, order=exact)
static SN_APART void sn_unpack_i6g16s_r32k4_portable(uint8_t *panel, const uint8_t *w, int n_in, int group)
{
    sn_unpack_rows(panel, w, n_in, group, sn_row_i6g16s_r32k4, 256, 6720);
}

SN_KERNEL(op=unpack, layout=i2g256_r32k4, isa=portable, order=exact)
static SN_APART void sn_unpack_i2g256_r32k4_portable(uint8_t *panel, const uint8_t *w, int n_in, int group)
{
    sn_unpack_rows(panel, w, n_in, group, sn_row_i2g256_r32k4, 256, 2112);
}

SN_KERNEL(op=unpack, layout=t5g256_r32k4, isa=portable, order=exact)
static SN_APART void sn_unpack_t5g256_r32k4_portable(uint8_t *panel, const uint8_t *w, int n_in, int group)
{
    sn_unpack_rows(panel, w, n_in, group, sn_row_t5g256_r32k4, 256, 1728);
}

/* Rows are lanes; a group's codes are read once for each token. */
SN_KERNEL(op=gemm, x=i8, tile=32x1, isa=portable, order=groups)
static SN_APART void sn_gemm_i8_portable(float *acc, int acc_stride, const uint8_t *panel, const int8_t *x, int x_stride,
                                         int n_in, int group, int n)
{
    const float *d = sn_panel_scales(panel, n_in);

    for (int t = 0; t < n; t++)
        for (int r = 0; r < SN_ROWS; r++)
            acc[acc_stride * t + r] = 0;
    for (int c = 0; c < n_in; c += group, d += SN_ROWS)
        for (int t = 0; t < n; t++) {
            const int8_t *q = x + (intptr_t)x_stride * t;
            const SnI8Scale s = sn_i8_scales(q, n_in)[c / group];
            int32_t sum[SN_ROWS];

            for (int r = 0; r < SN_ROWS; r++)
                sum[r] = -128 * s.sum;
            for (int k = c; k < c + group; k += 4)
                for (int r = 0; r < SN_ROWS; r++)
                    for (int j = 0; j < 4; j++)
                        sum[r] += panel[32 * k + 4 * r + j] * q[k + j];
            for (int r = 0; r < SN_ROWS; r++)
                acc[acc_stride * t + r] += (float)sum[r] * (d[r] * s.d);
        }
}
