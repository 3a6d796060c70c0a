/* The same of floats: windows of any kind, a fully connected layer, softmax.  Sums are taken in f32 in the order of the indices. */
#include "../image.h"

static inline float sn_at_f32(const int8_t *p)
{
    float v;

    __builtin_memcpy(&v, p, sizeof v);
    return v;
}

/* Not a NaN's comparison with lo: it stays. */
static inline float sn_clamp_f32(float v, float lo, float hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

static inline void sn_put_f32(const SnWindowF32 *g, int8_t *y, int32_t i, int32_t j, int32_t c, float v)
{
    const SnWindow *l = &g->window;
    float *to = (float *)(void *)(y + i * l->out_row + j * l->out_col + c * l->out_chan);

    *to = sn_clamp_f32(v, g->lo, g->hi);
}

/* Where element (u, v) of output (i, j)'s window lies, NULL: outside. */
static inline const int8_t *sn_window_at(const SnWindow *l, const int8_t *x, int32_t i, int32_t j, int32_t u, int32_t v)
{
    int32_t row = i * l->stride_h - l->pad_top + u * l->dilation_h;
    int32_t col = j * l->stride_w - l->pad_left + v * l->dilation_w;

    return row < 0 || row >= l->in_h || col < 0 || col >= l->in_w ? 0 : x + row * l->in_row + col * l->in_col;
}

SN_KERNEL(op=conv_f32, x=any, layout=rows, isa=portable, order=index)
static SN_APART void sn_conv_f32(const SnWindowF32 *g, int8_t *y, const int8_t *x, int32_t row, int32_t n)
{
    const SnWindow *l = &g->window;
    const float *bias = (const float *)(const void *)l->channels;
    int32_t n_in = l->in_c / g->n_groups;
    int32_t n_out = l->out_c / g->n_groups;

    for (int32_t i = row; i < row + n; i++)
        for (int32_t j = 0; j < l->out_w; j++) {
            const float *w = (const float *)l->weights;

            for (int32_t c = 0; c < l->out_c; c++) {
                float sum = bias ? bias[c] : 0.0f;

                for (int32_t u = 0; u < l->kernel_h; u++)
                    for (int32_t v = 0; v < l->kernel_w; v++, w += n_in) {
                        const int8_t *from = sn_window_at(l, x, i, j, u, v);

                        for (int32_t k = 0; from && k < n_in; k++)
                            sum += sn_at_f32(from + (c / n_out * n_in + k) * l->in_chan) * w[k];
                    }
                sn_put_f32(g, y, i, j, c, sum);
            }
        }
}

SN_KERNEL(op=depthwise_f32, x=any, layout=taps, isa=portable, order=index)
static SN_APART void sn_depthwise_f32(const SnWindowF32 *g, int8_t *y, const int8_t *x, int32_t row, int32_t n)
{
    const SnWindow *l = &g->window;
    const float *bias = (const float *)(const void *)l->channels;

    for (int32_t i = row; i < row + n; i++)
        for (int32_t j = 0; j < l->out_w; j++)
            for (int32_t c = 0; c < l->out_c; c++) {
                const float *w = (const float *)l->weights + c;
                float sum = bias ? bias[c] : 0.0f;

                for (int32_t u = 0; u < l->kernel_h; u++)
                    for (int32_t v = 0; v < l->kernel_w; v++, w += l->out_c) {
                        const int8_t *from = sn_window_at(l, x, i, j, u, v);

                        sum += from ? sn_at_f32(from + c / (l->out_c / l->in_c) * l->in_chan) * *w : 0.0f;
                    }
                sn_put_f32(g, y, i, j, c, sum);
            }
}

SN_KERNEL(op=avgpool_f32, x=any, isa=portable, order=index)
static SN_APART void sn_avgpool_f32(const SnWindowF32 *g, int8_t *y, const int8_t *x, int32_t row, int32_t n)
{
    const SnWindow *l = &g->window;

    for (int32_t i = row; i < row + n; i++)
        for (int32_t j = 0; j < l->out_w; j++)
            for (int32_t c = 0; c < l->out_c; c++) {
                float sum = 0.0f;
                int32_t count = 0;

                for (int32_t u = 0; u < l->kernel_h; u++)
                    for (int32_t v = 0; v < l->kernel_w; v++) {
                        const int8_t *from = sn_window_at(l, x, i, j, u, v);

                        sum += from ? sn_at_f32(from + c * l->in_chan) : 0.0f;
                        count += from != 0;
                    }
                sn_put_f32(g, y, i, j, c, sum / (float)count);
            }
}

SN_KERNEL(op=maxpool_f32, x=any, isa=portable, order=index)
static SN_APART void sn_maxpool_f32(const SnWindowF32 *g, int8_t *y, const int8_t *x, int32_t row, int32_t n)
{
    const SnWindow *l = &g->window;

    for (int32_t i = row; i < row + n; i++)
        for (int32_t j = 0; j < l->out_w; j++)
            for (int32_t c = 0; c < l->out_c; c++) {
                float max = -3.402823466e38f;

                for (int32_t u = 0; u < l->kernel_h; u++)
                    for (int32_t v = 0; v < l->kernel_w; v++) {
                        const int8_t *from = sn_window_at(l, x, i, j, u, v);

                        if (from && sn_at_f32(from + c * l->in_chan) > max)
                            max = sn_at_f32(from + c * l->in_chan);
                    }
                sn_put_f32(g, y, i, j, c, max);
            }
}

SN_KERNEL(op=fully_f32, layout=rows, isa=portable, order=index)
static SN_APART void sn_fully_f32(const SnFullyF32 *l, float *y, const float *x)
{
    const float *w = (const float *)l->weights;
    const float *bias = (const float *)l->channels;

    for (int32_t c = 0; c < l->n_out; c++) {
        float sum = bias ? bias[c] : 0.0f;

        for (int32_t k = 0; k < l->n_in; k++)
            sum += x[k] * *w++;
        y[c] = sn_clamp_f32(sum, l->lo, l->hi);
    }
}

/* Softmax of n numbers; y may be x. */
SN_KERNEL(op=softmax_f32, isa=portable, order=index)
static SN_APART void sn_softmax_f32(float *y, const float *x, int32_t n)
{
    float max = x[0];
    float sum = 0.0f;

    for (int32_t i = 1; i < n; i++)
        max = x[i] > max ? x[i] : max;
    for (int32_t i = 0; i < n; i++) {
        y[i] = sn_exp(x[i] - max);
        sum += y[i];
    }
    for (int32_t i = 0; i < n; i++)
        y[i] = y[i] / sum;
}
