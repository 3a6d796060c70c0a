/* Additions and means for Cortex-M4, M7 and M33.  An addition is three high multiplications an element, each with what its shift needs for rounding (dsp.c). */
#include "../image.h"

/* Half a unit of a shift to the right. */
static inline int32_t sn_half(int32_t shift)
{
    return shift < 0 ? 1 << (-shift - 1) : 0;
}

/* y may be a or b.  SMMLAR wants operands twice; below zero a unit is taken off where there is a shift. */
SN_KERNEL(op=add, in_place=1, isa=dsp, order=exact)
static SN_APART void sn_add_dsp(const SnAdd *l, int8_t *y, const int8_t *a, const int8_t *b, int32_t n)
{
    int32_t up = l->left + 1;
    int32_t a_zero = l->a_zero;
    int32_t b_zero = l->b_zero;
    int32_t a_half = sn_half(l->a_shift);
    int32_t b_half = sn_half(l->b_shift);
    int32_t half = sn_half(l->shift);

    for (const int8_t *end = a + n; a != end;) {
        int32_t v = (*a++ - a_zero) * (1 << up);
        int32_t w = (*b++ - b_zero) * (1 << up);
        int32_t sum;

        v = (sn_smmlar(v, l->a_mult, a_half) + (a_half ? v >> 31 : 0)) >> -l->a_shift;
        w = (sn_smmlar(w, l->b_mult, b_half) + (b_half ? w >> 31 : 0)) >> -l->b_shift;
        sum = 2 * (v + w);
        sum = (sn_smmlar(sum, l->mult, half) + (half ? sum >> 31 : 0)) >> -l->shift;
        *y++ = (int8_t)sn_within(sum + l->zero, l->lo, l->hi);
    }
}

/* The mean of what lies inside, to nearest, halves away from zero: the window is cut to the image first, and then summed without questions. */
SN_KERNEL(op=avgpool, x=any, isa=dsp, order=exact)
static SN_APART void sn_avgpool_dsp(const SnWindow *l, int8_t *y, const int8_t *x, int32_t row, int32_t n)
{
    for (int32_t i = row; i < row + n; i++)
        for (int32_t j = 0; j < l->out_w; j++) {
            int32_t top = i * l->stride_h - l->pad_top;
            int32_t left = j * l->stride_w - l->pad_left;
            int32_t bottom = top + l->kernel_h < l->in_h ? top + l->kernel_h : l->in_h;
            int32_t right = left + l->kernel_w < l->in_w ? left + l->kernel_w : l->in_w;
            int32_t count;
            int32_t half;

            top = top > 0 ? top : 0;
            left = left > 0 ? left : 0;
            count = (bottom - top) * (right - left);
            half = count / 2;
            for (int32_t c = 0; c < l->out_c; c++) {
                const int8_t *first = x + top * l->in_row + left * l->in_col + c * l->in_chan;
                int32_t sum = 0;

                for (int32_t u = bottom - top; u > 0; u--, first += l->in_row) {
                    const int8_t *from = first;

                    int32_t v = right - left;

                    for (; l->in_col == 1 && v >= 4; v -= 4, from += 4) {
                        uint32_t four = sn_load_u32((const uint8_t *)from);

                        sum = sn_smlad(sn_sxtb16_odd(four), 0x10001, sn_smlad(sn_sxtb16(four), 0x10001, sum));
                    }
                    for (; v > 0; v--, from += l->in_col)
                        sum += *from;
                }
                sum = (sum + (sum > 0 ? half : -half)) / count;
                y[i * l->out_row + j * l->out_col + c * l->out_chan] = (int8_t)sn_within(sum, l->lo, l->hi);
            }
        }
}
