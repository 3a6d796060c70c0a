/* Integer networks and images in plain C: what every other kernel for them is compared with (image.h says what they are given).
 *
 * Any strides, any window, any padding.  Weights: layout rows, [n_out][kernel_h][kernel_w][n_in], and taps, [kernel_h][kernel_w][n_out];
 * channels: for each output three numbers, bias, multiplier, shift. */
#include "../image.h"

/* ---- from sums to outputs ---------------------------------------------------------------------------------------------- */

/* a b / 2^31 to nearest, halves up. */
static inline int32_t sn_high_mul(int32_t a, int32_t b)
{
    return (int32_t)(((int64_t)a * b + (1 << 30)) >> 31);
}

/* v / 2^n to nearest, halves away from zero; 0 <= n <= 31. */
static inline int32_t sn_round_shift(int32_t v, int32_t n)
{
    int32_t mask = (int32_t)((1u << n) - 1u);

    return (v >> n) + ((v & mask) > (mask >> 1) + (v < 0));
}

/* v mult 2^(shift - 31), rounded twice; -31 <= shift <= 30. */
static SN_APART int32_t sn_rescale(int32_t v, int32_t mult, int32_t shift)
{
    if (shift > 0)
        return sn_high_mul((int32_t)((uint32_t)v << shift), mult);
    return sn_round_shift(sn_high_mul(v, mult), -shift);
}

/* The same rounded once. */
static SN_APART int32_t sn_rescale_once(int32_t v, int32_t mult, int32_t shift)
{
    return (int32_t)(((int64_t)v * mult + ((int64_t)1 << (30 - shift))) >> (31 - shift));
}

static inline int32_t sn_clamp(int32_t v, int32_t lo, int32_t hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

/* The output of a sum (without its bias) in channel c. */
static inline int8_t sn_finish(const int32_t *channels, int32_t c, int32_t sum, int32_t zero, int32_t lo, int32_t hi)
{
    const int32_t *q = channels + 3 * c;

    return (int8_t)sn_clamp(zero + sn_rescale(sum + q[0], q[1], q[2]), lo, hi);
}

/* ---- convolutions -------------------------------------------------------------------------------------------------------- */

/* Row i of the image, NULL: it lies outside. */
static inline const int8_t *sn_image_row(const SnWindow *l, const int8_t *x, int32_t i)
{
    return i < 0 || i >= l->in_h ? 0 : x + i * l->in_row;
}

/* Windows of the n outputs from output p on, one after another. */
SN_KERNEL(op=im2col, x=any, panel=rows, isa=portable, order=exact)
static SN_APART void sn_im2col_rows(const SnWindow *l, void *panel, const int8_t *x, int32_t p, int32_t n)
{
    int8_t *to = (int8_t *)panel;
    int32_t y = p / l->out_w;
    int32_t z = p % l->out_w;

    for (; n > 0; n--) {
        for (int32_t u = 0; u < l->kernel_h; u++) {
            const int8_t *row = sn_image_row(l, x, y * l->stride_h - l->pad_top + u * l->dilation_h);

            for (int32_t v = 0; v < l->kernel_w; v++) {
                int32_t j = z * l->stride_w - l->pad_left + v * l->dilation_w;
                const int8_t *from = row && j >= 0 && j < l->in_w ? row + j * l->in_col : 0;

                for (int32_t c = 0; c < l->in_c; c++)
                    *to++ = from ? from[c * l->in_chan] : l->in_zero;
            }
        }
        if (++z == l->out_w) {
            z = 0;
            y++;
        }
    }
}

/* The outputs of these positions. */
SN_KERNEL(op=dot_panel, panel=rows, layout=rows, tile=1x1, isa=portable, order=exact)
static SN_APART void sn_dot_rows(const SnWindow *l, int8_t *y, const void *panel, int32_t p, int32_t n)
{
    const int8_t *x = (const int8_t *)panel;
    int32_t n_k = l->kernel_h * l->kernel_w * l->in_c;

    for (; n > 0; n--, p++, x += n_k) {
        const int8_t *w = (const int8_t *)l->weights;
        int8_t *to = y + p / l->out_w * l->out_row + p % l->out_w * l->out_col;

        for (int32_t c = 0; c < l->out_c; c++, to += l->out_chan) {
            int32_t sum = 0;

            for (int32_t k = 0; k < n_k; k++)
                sum += x[k] * *w++;
            *to = sn_finish(l->channels, c, sum, l->zero, l->lo, l->hi);
        }
    }
}

/* A pointwise convolution from the image as it lies. */
SN_KERNEL(op=pointwise, x=any, layout=rows, isa=portable, order=exact)
static SN_APART void sn_pointwise_rows(const SnWindow *l, int8_t *y, const int8_t *x, int32_t p, int32_t n)
{
    for (; n > 0; n--, p++) {
        const int8_t *w = (const int8_t *)l->weights;
        const int8_t *from = x + p / l->out_w * l->in_row + p % l->out_w * l->in_col;
        int8_t *to = y + p / l->out_w * l->out_row + p % l->out_w * l->out_col;

        for (int32_t c = 0; c < l->out_c; c++, to += l->out_chan) {
            int32_t sum = 0;

            for (int32_t k = 0; k < l->in_c; k++)
                sum += from[k * l->in_chan] * *w++;
            *to = sn_finish(l->channels, c, sum, l->zero, l->lo, l->hi);
        }
    }
}

/* Rows row .. row+n-1 of a convolution whose channels are in groups: outputs of one see inputs of one. */
SN_KERNEL(op=conv_groups, x=any, layout=rows, isa=portable, order=exact)
static SN_APART void sn_conv_groups_rows(const SnGrouped *g, int8_t *y, const int8_t *x, int32_t row, int32_t n)
{
    const SnWindow *l = &g->window;
    int32_t n_in = l->in_c / g->n_groups;
    int32_t n_out = l->out_c / g->n_groups;

    for (int32_t i = row; i < row + n; i++)
        for (int32_t j = 0; j < l->out_w; j++) {
            const int8_t *w = (const int8_t *)l->weights;

            for (int32_t c = 0; c < l->out_c; c++) {
                int32_t sum = 0;

                for (int32_t u = 0; u < l->kernel_h; u++) {
                    const int8_t *from = sn_image_row(l, x, i * l->stride_h - l->pad_top + u * l->dilation_h);

                    for (int32_t v = 0; v < l->kernel_w; v++) {
                        int32_t at = j * l->stride_w - l->pad_left + v * l->dilation_w;
                        int inside = from && at >= 0 && at < l->in_w;

                        for (int32_t k = c / n_out * n_in; k < (c / n_out + 1) * n_in; k++)
                            sum += (inside ? from[at * l->in_col + k * l->in_chan] : l->in_zero) * *w++;
                    }
                }
                y[i * l->out_row + j * l->out_col + c * l->out_chan] = sn_finish(l->channels, c, sum, l->zero, l->lo, l->hi);
            }
        }
}

/* Output (i, j, c) of a depthwise convolution. */
static inline int8_t sn_depthwise_at(const SnWindow *l, const int8_t *x, int32_t i, int32_t j, int32_t c)
{
    const int8_t *w = (const int8_t *)l->weights + c;
    int32_t chan = c / (l->out_c / l->in_c) * l->in_chan;
    int32_t sum = 0;

    for (int32_t u = 0; u < l->kernel_h; u++) {
        const int8_t *from = sn_image_row(l, x, i * l->stride_h - l->pad_top + u * l->dilation_h);

        for (int32_t v = 0; v < l->kernel_w; v++, w += l->out_c) {
            int32_t at = j * l->stride_w - l->pad_left + v * l->dilation_w;

            sum += (from && at >= 0 && at < l->in_w ? from[at * l->in_col + chan] : l->in_zero) * *w;
        }
    }
    return sn_finish(l->channels, c, sum, l->zero, l->lo, l->hi);
}

SN_KERNEL(op=depthwise, x=any, layout=taps, isa=portable, order=exact)
static SN_APART void sn_depthwise_taps(const SnWindow *l, int8_t *y, const int8_t *x, int32_t row, int32_t n)
{
    for (int32_t i = row; i < row + n; i++)
        for (int32_t j = 0; j < l->out_w; j++)
            for (int32_t c = 0; c < l->out_c; c++)
                y[i * l->out_row + j * l->out_col + c * l->out_chan] = sn_depthwise_at(l, x, i, j, c);
}

/* The same as inputs of a pointwise convolution. */
SN_KERNEL(op=depthwise_panel, x=any, panel=rows, layout=taps, isa=portable, order=exact)
static SN_APART void sn_depthwise_panel_taps(const SnWindow *l, void *panel, const int8_t *x, int32_t row, int32_t n)
{
    int8_t *to = (int8_t *)panel;

    for (int32_t i = row; i < row + n; i++)
        for (int32_t j = 0; j < l->out_w; j++)
            for (int32_t c = 0; c < l->out_c; c++)
                *to++ = sn_depthwise_at(l, x, i, j, c);
}

/* ---- everything else ------------------------------------------------------------------------------------------------------ */

SN_KERNEL(op=fully, layout=fully, isa=portable, order=exact)
static SN_APART void sn_fully(const SnFully *l, int8_t *y, const int8_t *x)
{
    const int8_t *w = (const int8_t *)l->weights;

    for (int32_t c = 0; c < l->n_out; c++) {
        int32_t sum = l->bias[c];

        for (int32_t k = 0; k < l->n_in; k++)
            sum += x[k] * *w++;
        y[c] = (int8_t)sn_clamp(l->zero + sn_rescale(sum, l->mult, l->shift), l->lo, l->hi);
    }
}

/* The mean of what lies inside, to nearest, halves away from zero. */
SN_KERNEL(op=avgpool, x=any, isa=portable, order=exact)
static SN_APART void sn_avgpool(const SnWindow *l, int8_t *y, const int8_t *x, int32_t row, int32_t n)
{
    for (int32_t i = row; i < row + n; i++)
        for (int32_t j = 0; j < l->out_w; j++)
            for (int32_t c = 0; c < l->out_c; c++) {
                int32_t sum = 0;
                int32_t count = 0;

                for (int32_t u = 0; u < l->kernel_h; u++) {
                    const int8_t *from = sn_image_row(l, x, i * l->stride_h - l->pad_top + u);

                    for (int32_t v = 0; v < l->kernel_w; v++) {
                        int32_t at = j * l->stride_w - l->pad_left + v;

                        if (from && at >= 0 && at < l->in_w) {
                            sum += from[at * l->in_col + c * l->in_chan];
                            count++;
                        }
                    }
                }
                sum = sum > 0 ? (sum + count / 2) / count : (sum - count / 2) / count;
                y[i * l->out_row + j * l->out_col + c * l->out_chan] = (int8_t)sn_clamp(sum, l->lo, l->hi);
            }
}

SN_KERNEL(op=maxpool, x=any, isa=portable, order=exact)
static SN_APART void sn_maxpool(const SnWindow *l, int8_t *y, const int8_t *x, int32_t row, int32_t n)
{
    for (int32_t i = row; i < row + n; i++)
        for (int32_t j = 0; j < l->out_w; j++)
            for (int32_t c = 0; c < l->out_c; c++) {
                int32_t max = -128;

                for (int32_t u = 0; u < l->kernel_h; u++) {
                    const int8_t *from = sn_image_row(l, x, i * l->stride_h - l->pad_top + u);

                    for (int32_t v = 0; v < l->kernel_w; v++) {
                        int32_t at = j * l->stride_w - l->pad_left + v;

                        if (from && at >= 0 && at < l->in_w && from[at * l->in_col + c * l->in_chan] > max)
                            max = from[at * l->in_col + c * l->in_chan];
                    }
                }
                y[i * l->out_row + j * l->out_col + c * l->out_chan] = (int8_t)sn_clamp(max, l->lo, l->hi);
            }
}

/* y may be a or b. */
SN_KERNEL(op=add, isa=portable, order=exact)
static SN_APART void sn_add(const SnAdd *l, int8_t *y, const int8_t *a, const int8_t *b, int32_t n)
{
    for (int32_t i = 0; i < n; i++) {
        int32_t v = sn_rescale((a[i] - l->a_zero) * (1 << l->left), l->a_mult, l->a_shift);
        int32_t w = sn_rescale((b[i] - l->b_zero) * (1 << l->left), l->b_mult, l->b_shift);

        y[i] = (int8_t)sn_clamp(l->zero + sn_rescale(v + w, l->mult, l->shift), l->lo, l->hi);
    }
}

/* e^x of x <= 0 in units of 2^-26, as Q0.31.  x is a multiple of 1/4, whose bits choose factors, and a rest, of which Taylor's terms about -1/8
 * are taken.  [gemmlowp, exp_on_negative_values] */
static SN_APART int32_t sn_exp_fixed(int32_t x)
{
    static const int32_t factor[7] = {          /* e^(-1/4), e^(-1/2), e^-1, e^-2 .. e^-16 in Q0.31 */
        1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242,
    };
    int32_t rest = (x & 0xffffff) - (1 << 24);
    int32_t multiple = rest - x;
    int32_t v = rest * 32 + (1 << 28);
    int32_t v2 = sn_high_mul(v, v);
    int32_t v3 = sn_high_mul(v2, v);
    int32_t v4 = sn_high_mul(v2, v2);
    int32_t terms = sn_round_shift(sn_high_mul(sn_round_shift(v4, 2) + v3, 715827883) + v2, 1);
    int32_t y = 1895147668 + sn_high_mul(1895147668, v + terms);    /* e^(-1/8) */

    for (int i = 0; i < 7; i++)
        if (multiple >> (24 + i) & 1)
            y = sn_high_mul(y, factor[i]);
    return x == 0 ? INT32_MAX : y;
}

/* 1 / (1 + x) of x in Q0.31 by Newton's method on half of 1 + x, three steps from 48/17 - 32/17 half.  [gemmlowp,
 * one_over_one_plus_x_for_x_in_0_1] */
static inline int32_t sn_reciprocal(int32_t x)
{
    int32_t half = (int32_t)(((int64_t)x + INT32_MAX + 1) / 2);
    int32_t y = 1515870810 + sn_high_mul(half, -1010580540);

    for (int i = 0; i < 3; i++)
        y += sn_high_mul(y, (1 << 29) - sn_high_mul(half, y)) * 4;
    return y > INT32_MAX / 2 ? INT32_MAX : y * 2;
}

/* Softmax of n numbers, n from 1 to 4096; y may be x. */
SN_KERNEL(op=softmax_int, isa=portable, order=exact)
static SN_APART void sn_softmax_int(const SnSoftmax *l, int8_t *y, const int8_t *x, int32_t n)
{
    int32_t max = -128;
    int32_t zeros = 0;
    int32_t scale;
    uint32_t sum = 0;                   /* Q12.19 */

    for (int32_t i = 0; i < n; i++)
        max = x[i] > max ? x[i] : max;
    for (int32_t i = 0; i < n; i++)
        if (x[i] - max >= l->diff_min)
            sum += (uint32_t)sn_round_shift(sn_exp_fixed(sn_rescale(x[i] - max, l->mult, l->shift)), 12);
    for (; sum < 0x80000000u; sum <<= 1)
        zeros++;
    scale = sn_reciprocal((int32_t)(sum - 0x80000000u));
    for (int32_t i = 0; i < n; i++) {
        int32_t v = 0;

        if (x[i] - max >= l->diff_min && zeros >= 4)    /* zeros < 4: each is less than half of 1/256 */
            v = sn_round_shift(sn_high_mul(scale, sn_exp_fixed(sn_rescale(x[i] - max, l->mult, l->shift))), 35 - zeros);
        y[i] = (int8_t)sn_clamp(v - 128, -128, 127);
    }
}
