/* Additions and means for Cortex-M4, M7 and M33.  An addition is three high multiplications an element, each with what its shift needs for rounding (dsp.c). */
#include "../image.h"

/* Half a unit of a shift to the right. */
static inline int32_t sn_half(int32_t shift)
{
    return shift < 0 ? 1 << (-shift - 1) : 0;
}

/* Any addition.  SMMLAR wants operands twice; below zero a unit is taken off where there is a shift. */
static SN_APART void sn_add_general(const SnAdd *l, int8_t *y, const int8_t *a, const int8_t *b, int32_t n)
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

/* TensorFlow Lite scales sums by twice the larger operand's scale, so that operand's multiplier is a half: it is only shifted.  `halved` is that
 * one, other_mult and other_down are the second's multiplier and shift.  An element takes 13 instructions. */
static SN_APART void sn_add_halved(const SnAdd *l, int8_t *y, const int8_t *halved, int32_t halved_zero, const int8_t *other, int32_t other_zero,
                                   int32_t other_mult, int32_t other_down, int32_t n)
{
    int32_t none = -(halved_zero * (1 << 20));          /* what zero points are in units of the sum, and of an operand's double */
    int32_t other_none = -(other_zero * (1 << 21));
    int32_t other_half = 1 << (other_down - 1);
    int32_t mult = l->mult;
    int32_t down = -l->shift;
    int32_t round = (1 << (down - 1)) + l->zero * (1 << down);

    for (int8_t *end = y + n; y != end;) {
        int32_t v = *other++ * (1 << 21) + other_none;
        int32_t sum;

        v = (sn_smmlar(v, other_mult, other_half) + (v >> 31)) >> other_down;
        sum = *halved++ * (1 << 20) + (none + 2 * v);
        *y++ = (int8_t)sn_ssat8((sn_smmlar(sum, mult, round) + (sum >> 31)) >> down);
    }
}

/* y may be a or b. */
SN_KERNEL(op=add, in_place=1, isa=dsp, order=exact)
static SN_APART void sn_add_dsp(const SnAdd *l, int8_t *y, const int8_t *a, const int8_t *b, int32_t n)
{
    int32_t usual = l->left == 20 && l->lo == -128 && l->hi == 127 && l->shift < 0 && l->shift >= -22;

    if (usual && l->a_mult == 1 << 30 && l->a_shift == 0 && l->b_shift < 0) {
        sn_add_halved(l, y, a, l->a_zero, b, l->b_zero, l->b_mult, -l->b_shift, n);
        return;
    }
    if (usual && l->b_mult == 1 << 30 && l->b_shift == 0 && l->a_shift < 0) {
        sn_add_halved(l, y, b, l->b_zero, a, l->a_zero, l->a_mult, -l->a_shift, n);
        return;
    }
    sn_add_general(l, y, a, b, n);
}

/* sum and the four bytes of a word. */
static inline int32_t sn_plus_bytes(int32_t sum, uint32_t four)
{
    return sn_smlad(sn_sxtb16_odd(four), 0x10001, sn_smlad(sn_sxtb16(four), 0x10001, sum));
}

/* sum / count to nearest, halves away from zero. */
static inline int8_t sn_mean(const SnWindow *l, int32_t sum, int32_t count)
{
    return (int8_t)sn_within((sum + (sum > 0 ? count / 2 : -(count / 2))) / count, l->lo, l->hi);
}

/* Both halves of a and b added. */
static inline uint32_t sn_sadd16(uint32_t a, uint32_t b)
{
    uint32_t r;

    __asm__("sadd16 %0, %1, %2" : "=r"(r) : "r"(a), "r"(b));
    return r;
}

/* Means of a window of h x w, at most 255 positions, of an image whose channels lie side by side: four of them at a time, in halves of words. */
static SN_APART void sn_means_nhwc(const SnWindow *l, int8_t *y, const int8_t *x, int32_t h, int32_t w)
{
    for (int32_t c = 0; c < l->out_c; c += 4) {
        const int8_t *row = x + c;
        uint32_t even = 0;
        uint32_t odd = 0;
        int32_t left = l->out_c - c;

        for (int32_t u = h; u > 0; u--, row += l->in_row) {
            const int8_t *from = row;

            for (int32_t v = w; v > 0; v--, from += l->in_col) {
                uint32_t four = sn_load_u32((const uint8_t *)from);

                even = sn_sadd16(even, sn_sxtb16(four));
                odd = sn_sadd16(odd, sn_sxtb16_odd(four));
            }
        }
        for (int32_t k = 0; k < 4 && k < left; k++) {
            uint32_t both = k & 1 ? odd : even;

            y[(c + k) * l->out_chan] = sn_mean(l, (int16_t)(k < 2 ? both : both >> 16), h * w);
        }
    }
}

/* The mean of what lies inside, to nearest, halves away from zero: the window is cut to the image first, and then summed without questions. */
SN_KERNEL(op=avgpool, x=any, after=3, isa=dsp, order=exact)
static SN_APART void sn_avgpool_dsp(const SnWindow *l, int8_t *y, const int8_t *x, int32_t row, int32_t n)
{
    for (int32_t i = row; i < row + n; i++)
        for (int32_t j = 0; j < l->out_w; j++) {
            int32_t top = i * l->stride_h - l->pad_top;
            int32_t left = j * l->stride_w - l->pad_left;
            int32_t bottom = top + l->kernel_h < l->in_h ? top + l->kernel_h : l->in_h;
            int32_t right = left + l->kernel_w < l->in_w ? left + l->kernel_w : l->in_w;
            int32_t words = 0;          /* a row of the window: whole words, and what is used of another; or bytes that lie apart */
            uint32_t rest = 0;
            int32_t single = 0;
            int32_t count;

            top = top > 0 ? top : 0;
            left = left > 0 ? left : 0;
            count = (bottom - top) * (right - left);
            if (l->in_chan == 1 && count <= 255) {
                sn_means_nhwc(l, y + i * l->out_row + j * l->out_col, x + top * l->in_row + left * l->in_col, bottom - top, right - left);
                continue;
            }
            if (l->in_col == 1) {
                words = (right - left) / 4;
                rest = (1u << 8 * ((right - left) & 3)) - 1;
            } else
                single = right - left;
            for (int32_t c = 0; c < l->out_c; c++) {
                const int8_t *first = x + top * l->in_row + left * l->in_col + c * l->in_chan;
                int32_t sum = 0;

                for (int32_t u = bottom - top; u > 0; u--, first += l->in_row) {
                    const int8_t *from = first;

                    for (int32_t v = words; v > 0; v--, from += 4)
                        sum = sn_plus_bytes(sum, sn_load_u32((const uint8_t *)from));
                    if (rest)
                        sum = sn_plus_bytes(sum, sn_load_u32((const uint8_t *)from) & rest);
                    for (int32_t v = single; v > 0; v--, from += l->in_col)
                        sum += *from;
                }
                y[i * l->out_row + j * l->out_col + c * l->out_chan] = sn_mean(l, sum, count);
            }
        }
}
