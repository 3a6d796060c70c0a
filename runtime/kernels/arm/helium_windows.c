/* Helium: depthwise convolutions, pools and additions of images that lie anyhow, four channels at a time.
 *
 * A window is walked over tap by tap; the inputs of four channels are gathered (chan bytes apart, in nhwc next to each other), so there is
 * nothing that a layer may not have.
 *
 *     weights taps4     [tap][channels up to a multiple of 4]
 *     channels          [channels / 4] of  bias[4], mult[4], shift[4]: left * 256 + (right & 255), right <= 0 */
#include <arm_mve.h>
#include "../image.h"

/* v 2^left mult 2^right, rounded as gemmlowp does it; limits. */
static inline int32x4_t sn_rescale_mve(int32x4_t v, int32x4_t mult, int32x4_t shift)
{
    int32x4_t right = vshrq_n_s32(vshlq_n_s32(shift, 24), 24);

    v = vqrdmulhq_s32(vshlq_s32(v, vshrq_n_s32(shift, 8)), mult);
    v = vaddq_s32(v, vshrq_n_s32(vandq_s32(v, right), 31));
    return vrshlq_s32(v, right);
}

/* One window: where it begins in the image, and which part of it lies inside. */
typedef struct {
    const int8_t *x;
    int32_t top, bottom;        /* rows top .. bottom-1 */
    int32_t left, right;
} SnTapsMve;

static inline SnTapsMve sn_taps_mve(const SnWindow *l, const int8_t *x, int32_t i, int32_t j)
{
    int32_t y = i * l->stride_h - l->pad_top;
    int32_t z = j * l->stride_w - l->pad_left;
    int32_t rows = (l->in_h - y + l->dilation_h - 1) / l->dilation_h;
    int32_t cols = (l->in_w - z + l->dilation_w - 1) / l->dilation_w;

    return (SnTapsMve){ x + y * l->in_row + z * l->in_col, y < 0 ? (l->dilation_h - 1 - y) / l->dilation_h : 0, rows < l->kernel_h ? rows : l->kernel_h,
                        z < 0 ? (l->dilation_w - 1 - z) / l->dilation_w : 0, cols < l->kernel_w ? cols : l->kernel_w };
}

/* Where the inputs of output channels c .. c+3 lie, times: outputs of an input channel. */
static inline uint32x4_t sn_chans_mve(const SnWindow *l, int32_t c, int32_t times)
{
    uint32x4_t at = vidupq_n_u32((uint32_t)c, 1);

    if (times > 1)
        for (int32_t i = 0; i < 4; i++)
            at[i] = (uint32_t)((c + i) / times);
    return vmulq_n_u32(at, (uint32_t)l->in_chan);
}

/* Position (i, j) of a depthwise convolution.  Channel c goes to d + c / 16 * block + c % 16 * chan. */
static SN_APART void sn_depthwise_taps4_mve(const SnWindow *l, int8_t *d, int32_t block, int32_t chan, const int8_t *x, int32_t i, int32_t j)
{
    SnTapsMve t = sn_taps_mve(l, x, i, j);
    int32_t step = (l->out_c + 3) & ~3;
    int32_t times = l->out_c / l->in_c;
    const int32_t *q = l->channels;
    uint32x4_t at = vmulq_n_u32(vidupq_n_u32(0, 1), (uint32_t)chan);

    for (int32_t c = 0; c < l->out_c; c += 4, q += 12) {
        mve_pred16_t some = vctp32q((uint32_t)(l->out_c - c));
        uint32x4_t from = sn_chans_mve(l, c, times);
        int32x4_t sum = vld1q_s32(q);
        const int8_t *w = (const int8_t *)l->weights + c;

        for (int32_t u = 0; u < l->kernel_h; u++) {
            const int8_t *row = t.x + u * l->dilation_h * l->in_row;

            for (int32_t v = 0; v < l->kernel_w; v++, w += step) {
                int32x4_t in = vdupq_n_s32(l->in_zero);

                if (u >= t.top && u < t.bottom && v >= t.left && v < t.right)
                    in = vldrbq_gather_offset_z_s32(row + v * l->dilation_w * l->in_col, from, some);
                sum = vaddq_s32(sum, vmulq_s32(in, vldrbq_s32(w)));
            }
        }
        sum = vaddq_n_s32(sn_rescale_mve(sum, vld1q_s32(q + 4), vld1q_s32(q + 8)), l->zero);
        sum = vminq_s32(vmaxq_s32(sum, vdupq_n_s32(l->lo)), vdupq_n_s32(l->hi));
        vstrbq_scatter_offset_p_s32(d + c / 16 * block + c % 16 * chan, at, sum, some);
    }
}

SN_KERNEL(op=depthwise, x=any, layout=taps4, isa=mve, order=exact)
static SN_APART void sn_depthwise_any_taps4_mve(const SnWindow *l, int8_t *y, const int8_t *x, int32_t row, int32_t n)
{
    for (int32_t i = row; i < row + n; i++)
        for (int32_t j = 0; j < l->out_w; j++)
            sn_depthwise_taps4_mve(l, y + i * l->out_row + j * l->out_col, 16 * l->out_chan, l->out_chan, x, i, j);
}

SN_KERNEL(op=depthwise_panel, x=any, panel=rows16, layout=taps4, isa=mve, order=exact)
static SN_APART void sn_depthwise_any_taps4_rows16_mve(const SnWindow *l, void *panel, const int8_t *x, int32_t row, int32_t n)
{
    int32_t k_bytes = (l->out_c + 15) & ~15;

    for (int32_t q = 0; q < n * l->out_w; q++)
        sn_depthwise_taps4_mve(l, (int8_t *)panel + q / 4 * 4 * k_bytes + q % 4 * 16, 64, 1, x, row + q / l->out_w, q % l->out_w);
}

/* To nearest, halves away from zero, within the limits. */
static inline int8_t sn_mean_mve(const SnWindow *l, int32_t sum, int32_t count)
{
    int32_t mean = sum > 0 ? (sum + count / 2) / count : (sum - count / 2) / count;

    return (int8_t)(mean < l->lo ? l->lo : mean > l->hi ? l->hi : mean);
}

/* The mean of what lies inside.  Eight channels, which lie next to each other: a row of the window is summed in 16 bits (at most 255 columns). */
SN_KERNEL(op=avgpool, x=nhwc, isa=mve, order=exact)
static SN_APART void sn_avgpool_nhwc_mve(const SnWindow *l, int8_t *y, const int8_t *x, int32_t row, int32_t n)
{
    for (int32_t i = row; i < row + n; i++)
        for (int32_t j = 0; j < l->out_w; j++) {
            SnTapsMve t = sn_taps_mve(l, x, i, j);
            int32_t count = (t.bottom - t.top) * (t.right - t.left);

            for (int32_t c = 0; c < l->in_c; c += 8) {
                mve_pred16_t some = vctp16q((uint32_t)(l->in_c - c));
                int32x4_t even = vdupq_n_s32(0);
                int32x4_t odd = vdupq_n_s32(0);
                int32_t sums[8];

                for (int32_t u = t.top; u < t.bottom; u++) {
                    const int8_t *s = t.x + u * l->in_row + t.left * l->in_col + c;
                    int16x8_t sum = vdupq_n_s16(0);

                    for (int32_t v = t.right - t.left; v > 0; v--, s += l->in_col)
                        sum = vaddq_s16(sum, vldrbq_z_s16(s, some));
                    even = vaddq_s32(even, vmovlbq_s16(sum));
                    odd = vaddq_s32(odd, vmovltq_s16(sum));
                }
                vst1q_s32(sums, even);
                vst1q_s32(sums + 4, odd);
                for (int32_t k = 0; k < 8 && c + k < l->in_c; k++)
                    y[i * l->out_row + j * l->out_col + (c + k) * l->out_chan] = sn_mean_mve(l, sums[k % 2 * 4 + k / 2], count);
            }
        }
}

/* The same of an image that lies anyhow. */
SN_KERNEL(op=avgpool, x=any, isa=mve, order=exact)
static SN_APART void sn_avgpool_any_mve(const SnWindow *l, int8_t *y, const int8_t *x, int32_t row, int32_t n)
{
    for (int32_t i = row; i < row + n; i++)
        for (int32_t j = 0; j < l->out_w; j++) {
            SnTapsMve t = sn_taps_mve(l, x, i, j);
            int32_t count = (t.bottom - t.top) * (t.right - t.left);

            for (int32_t c = 0; c < l->in_c; c += 4) {
                int32_t m = l->in_c - c < 4 ? l->in_c - c : 4;
                mve_pred16_t some = vctp32q((uint32_t)m);
                uint32x4_t from = sn_chans_mve(l, c, 1);
                int32x4_t sum = vdupq_n_s32(0);
                int32_t sums[4];

                for (int32_t u = t.top; u < t.bottom; u++) {
                    const int8_t *s = t.x + u * l->in_row + t.left * l->in_col;

                    for (int32_t v = t.right - t.left; v > 0; v--, s += l->in_col)
                        sum = vaddq_s32(sum, vldrbq_gather_offset_z_s32(s, from, some));
                }
                vst1q_s32(sums, sum);
                for (int32_t k = 0; k < m; k++)
                    y[i * l->out_row + j * l->out_col + (c + k) * l->out_chan] = sn_mean_mve(l, sums[k], count);
            }
        }
}

/* 16 channels at a time, which lie next to each other. */
SN_KERNEL(op=maxpool, x=nhwc, isa=mve, order=exact)
static SN_APART void sn_maxpool_nhwc_mve(const SnWindow *l, int8_t *y, const int8_t *x, int32_t row, int32_t n)
{
    uint16x8_t at = vmulq_n_u16(vidupq_n_u16(0, 1), (uint16_t)l->out_chan);

    for (int32_t i = row; i < row + n; i++)
        for (int32_t j = 0; j < l->out_w; j++) {
            SnTapsMve t = sn_taps_mve(l, x, i, j);

            for (int32_t c = 0; c < l->in_c; c += 8) {
                mve_pred16_t some = vctp16q((uint32_t)(l->in_c - c));
                int16x8_t max = vdupq_n_s16(l->lo);

                for (int32_t u = t.top; u < t.bottom; u++) {
                    const int8_t *s = t.x + u * l->in_row + t.left * l->in_col + c;

                    for (int32_t v = t.right - t.left; v > 0; v--, s += l->in_col)
                        max = vmaxq_s16(max, vldrbq_z_s16(s, some));
                }
                max = vminq_s16(max, vdupq_n_s16(l->hi));
                vstrbq_scatter_offset_p_s16(y + i * l->out_row + j * l->out_col + c * l->out_chan, at, max, some);
            }
        }
}
