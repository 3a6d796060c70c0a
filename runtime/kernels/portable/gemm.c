/* Many tokens at once through panels of 8-bit codes: the meaning of the kernels `quant_i8`, `unpack` and `gemm`.
 *
 * A tile of packed weights is unpacked once for all tokens of a call, whatever its layout, into a *panel*: 8-bit codes of which a
 * whole group of columns shares a scale, so that integer sums run long.  Activations have groups of the same columns.
 *
 *   x, one row     | int8 q[n_in] | SnI8Scale of each group |           H x = 8 d q,  -127 <= q[i] <= 127;  sum: of the group's q
 *                  rows begin x_stride bytes apart, a multiple of 64; n_in is a multiple of 64
 *   panel          | codes u8 [n_in / 4][32 rows][4 columns] | f32 d[n_in / group][32 rows] |      H w[r] = 8 d (code - 128), 1..255
 *                  row r, column 4i + j in byte 128 i + 4r + j; begins at a multiple of 64; 32 n_in + 128 n_in / group bytes
 *
 * `group` is 64, 128, 192 or 256 and divides n_in, so a group's sum is exact in an int32 and in a float.  H is the Hadamard matrix of
 * order 64: both sides are turned by it, 64 columns at a time, which leaves their products' sum what it is (H H = 64) and makes even
 * what is uneven: an activation far above its neighbours would take their bits from them [QuaRot, arXiv:2404.00456].
 *
 * H v is made in six rounds, h = 1, 2, 4, .. 32: v[k] and v[k + h] become their sum and their difference, where k has bit h clear.  With
 * max = the largest |H v| of a row (of weights as the layout defines them, or of activations) in a group, d = max / 127 / 8 and the
 * code is the exact product of H v and the float 127 / max, rounded half to even (one fused multiply-add with 1.5 * 2^23 does it);
 * where max is not above 1e-30 all codes are 0.  Where it is infinite or NaN so is d, and all codes are 0.
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

/* x * inverse, exact in a double, rounded half to even (adding 1.5 * 2^52 does it); 0 where inverse is. */
static inline int32_t sn_code(float x, float inverse)
{
    return inverse > 0 ? (int32_t)((double)x * (double)inverse + 6755399441055744.0 - 6755399441055744.0) : 0;
}

/* n floats become H times them, 64 at a time. */
static SN_APART void sn_turn(float *v, int n)
{
    for (int b = 0; b < n; b += SN_TURN)
        for (int h = 1; h < SN_TURN; h *= 2)
            for (int i = b; i < b + SN_TURN; i += 2 * h)
                for (int k = i; k < i + h; k++) {
                    const float sum = v[k] + v[k + h];

                    v[k + h] = v[k] - v[k + h];
                    v[k] = sum;
                }
}

/* A group of n activations. */
SN_KERNEL(op=quant_i8, x=f32, isa=portable, order=exact)
static SN_APART void sn_quant_i8(int8_t *q, SnI8Scale *scale, const float *x, int n)
{
    int32_t max_bits = 0;
    int32_t sum = 0;
    float v[SN_I8_GROUP];
    float max, inverse;

    for (int i = 0; i < n; i++)
        v[i] = x[i];
    sn_turn(v, n);
    for (int i = 0; i < n; i++)
        max_bits = sn_magnitude(v[i]) > max_bits ? sn_magnitude(v[i]) : max_bits;
    max = sn_float((uint32_t)max_bits);
    inverse = sn_to_codes(max);
    for (int i = 0; i < n; i++) {
        int32_t code = sn_code(v[i], inverse);

        q[i] = (int8_t)code;
        sum += code;
    }
    scale->d = max / 127.0f * 0.125f;
    scale->sum = sum;
}

/* Row r of a panel, columns c .. c + group - 1, from what they are as floats, which are turned here. */
static inline void sn_panel_row(uint8_t *panel, int r, int c, float *w, int n_in, int group)
{
    int32_t max_bits = 0;
    float max, inverse;

    sn_turn(w, group);
    for (int i = 0; i < group; i++)
        max_bits = sn_magnitude(w[i]) > max_bits ? sn_magnitude(w[i]) : max_bits;
    max = sn_float((uint32_t)max_bits);
    inverse = sn_to_codes(max);
    for (int i = 0; i < group; i++)
        panel[(c + i) / 4 * 128 + 4 * r + i % 4] = (uint8_t)(128 + sn_code(w[i], inverse));
    sn_panel_scales(panel, n_in)[c / group * SN_ROWS + r] = max / 127.0f * 0.125f;
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
