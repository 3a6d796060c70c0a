/* Ways to pack weights for Helium: drawn in runtime/kernels/arm/helium.c and helium_more.c. */
#include "ir/image_layouts.h"

static int64_t up(int64_t n, int64_t to)
{
    return (n + to - 1) / to * to;
}

static void put_u32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> 8 * i);
}

/* left * 256 + (right & 255), right <= 0 */
static uint32_t shifts(int32_t shift)
{
    return shift > 0 ? (uint32_t)shift << 8 : (uint32_t)shift & 255;
}

static int64_t inputs(const ImageLayer *l)
{
    return l->kernel_h * l->kernel_w * l->n_in;
}

/* Bias in 24 bits beside the shift, nothing but shifts to the right, at least `least`. */
static bool fits_24(const ImageLayer *l, int least)
{
    for (int64_t c = 0; c < l->n_out; c++)
        if (l->bias[c] < -(1 << 23) || l->bias[c] >= 1 << 23 || l->shift[c] > -least)
            return false;
    return l->lo == -128 && l->hi == 127;
}

static void put_24(uint8_t *p, int32_t mult, int32_t bias, int32_t shift)
{
    put_u32(p, (uint32_t)mult);
    put_u32(p + 4, (uint32_t)bias << 8 | ((uint32_t)shift & 255));
}

/* Offsets of a tile's outputs have 16 bits: of four positions in a row or over its end, however the image lies, and of two channels. */
static bool fits_dense(const ImageLayer *l)
{
    return !l->depthwise && !l->fully && l->out_h * (l->out_w + 1) < 1 << 15 && (l->out_w + 4) * l->n_out < 1 << 15;
}

static bool fits_pairs16_relu(const ImageLayer *l)
{
    return fits_dense(l) && fits_24(l, 0) && l->zero == -128;
}

static bool fits_pairs16(const ImageLayer *l)
{
    return fits_dense(l) && fits_24(l, 1);
}

static uint64_t pairs16_weight_bytes(const ImageLayer *l)
{
    return (uint64_t)(up(l->n_out, 2) * up(inputs(l), 16));
}

static uint64_t pairs16_channel_bytes(const ImageLayer *l)
{
    return (uint64_t)(8 * up(l->n_out, 2));
}

static uint64_t pairs16_any_channel_bytes(const ImageLayer *l)
{
    return (uint64_t)(12 * up(l->n_out, 2));
}

/* An odd last output comes twice. */
static int64_t output_of(const ImageLayer *l, int64_t n)
{
    return n < l->n_out ? n : l->n_out - 1;
}

static void pack_pairs16_weights(const ImageLayer *l, uint8_t *weights)
{
    int64_t K = inputs(l);

    memset(weights, 0, pairs16_weight_bytes(l));
    for (int64_t n = 0; n < up(l->n_out, 2); n++)
        for (int64_t k = 0; k < K; k++)
            weights[n / 2 * 2 * up(K, 16) + k / 16 * 32 + n % 2 * 16 + k % 16] = (uint8_t)l->w[output_of(l, n) * K + k];
}

static void pack_pairs16(const ImageLayer *l, uint8_t *weights, uint8_t *channels)
{
    pack_pairs16_weights(l, weights);
    for (int64_t n = 0; n < up(l->n_out, 2); n++) {
        int64_t c = output_of(l, n);

        put_24(channels + 8 * n, l->mult[c], l->bias[c], l->shift[c]);
    }
}

static void pack_pairs16_any(const ImageLayer *l, uint8_t *weights, uint8_t *channels)
{
    pack_pairs16_weights(l, weights);
    for (int64_t n = 0; n < up(l->n_out, 2); n++) {
        int64_t c = output_of(l, n);

        put_u32(channels + 12 * n, (uint32_t)l->bias[c]);
        put_u32(channels + 12 * n + 4, (uint32_t)l->mult[c]);
        put_u32(channels + 12 * n + 8, shifts(l->shift[c]));
    }
}

/* ---- depthwise, any window --------------------------------------------------------------------------------------------------- */

static bool fits_taps4(const ImageLayer *l)
{
    return l->depthwise;
}

static uint64_t taps4_weight_bytes(const ImageLayer *l)
{
    return (uint64_t)(l->kernel_h * l->kernel_w * up(l->n_out, 4));
}

static uint64_t taps4_channel_bytes(const ImageLayer *l)
{
    return (uint64_t)(12 * up(l->n_out, 4));
}

static void pack_taps4(const ImageLayer *l, uint8_t *weights, uint8_t *channels)
{
    memset(weights, 0, taps4_weight_bytes(l));
    memset(channels, 0, taps4_channel_bytes(l));
    for (int64_t t = 0; t < l->kernel_h * l->kernel_w; t++)
        memcpy(weights + t * up(l->n_out, 4), l->w + t * l->n_out, (size_t)l->n_out);
    for (int64_t c = 0; c < l->n_out; c++) {
        uint8_t *p = channels + c / 4 * 48 + c % 4 * 4;

        put_u32(p, (uint32_t)l->bias[c]);
        put_u32(p + 16, (uint32_t)l->mult[c]);
        put_u32(p + 32, shifts(l->shift[c]));
    }
}

/* ---- depthwise on narrow images ---------------------------------------------------------------------------------------------- */

/* A window of 16 bytes in rows that are one longer than the image; offsets of outputs are 16 bits. */
static bool fits_narrow16(const ImageLayer *l)
{
    return l->depthwise && l->kernel_w == 3 && l->in_c == l->n_out && l->stride_h == 1 && l->stride_w == 1 && l->dilation_h == 1 && l->dilation_w == 1 &&
           l->pad_left == 1 && l->out_w == l->in_w && l->in_w >= 2 && l->in_w <= 22 && (l->kernel_h - 1) * (l->in_w + 1) + 3 <= 16 && l->n_out <= 512 &&
           fits_24(l, 0) && l->zero == -128;
}

static uint64_t narrow16_weight_bytes(const ImageLayer *l)
{
    return (uint64_t)(l->n_out * l->kernel_h * 3);
}

static uint64_t narrow16_channel_bytes(const ImageLayer *l)
{
    return (uint64_t)(8 * l->n_out);
}

static void pack_narrow16(const ImageLayer *l, uint8_t *weights, uint8_t *channels)
{
    int64_t n_taps = 3 * l->kernel_h;

    for (int64_t c = 0; c < l->n_out; c++) {
        for (int64_t k = 0; k < n_taps; k++)
            weights[c * n_taps + k] = (uint8_t)l->w[k * l->n_out + c];
        put_24(channels + 8 * c, l->mult[c], l->bias[c], l->shift[c]);
    }
}

/* ---- depthwise 3 x 3 -------------------------------------------------------------------------------------------------------- */

static bool fits_taps8(const ImageLayer *l)
{
    if (!l->depthwise || l->kernel_h != 3 || l->kernel_w != 3 || l->in_c != l->n_out || !fits_24(l, 0) || l->zero != -128)
        return false;
    for (int64_t i = 0; i < 9 * l->n_out; i++)
        if (l->w[i] == -128)
            return false;
    return true;
}

static uint64_t taps8_weight_bytes(const ImageLayer *l)
{
    return (uint64_t)(18 * up(l->n_out, 8));
}

static uint64_t no_bytes(const ImageLayer *l)
{
    (void)l;
    return 0;
}

/* Even channels come first where there are four of them. */
static void pack_taps8(const ImageLayer *l, uint8_t *weights, uint8_t *channels)
{
    (void)channels;
    memset(weights, 0, taps8_weight_bytes(l));
    for (int64_t c = 0; c < l->n_out; c++) {
        uint8_t *p = weights + c / 8 * 144;
        int64_t at = c % 2 * 4 + c % 8 / 2;

        put_u32(p + 4 * at, (uint32_t)l->bias[c]);
        for (int64_t k = 0; k < 9; k++)
            p[32 + k / 2 * 16 + c % 8 * 2 + k % 2] = (uint8_t)l->w[k * l->n_out + c];
        p[96 + c % 8 * 2 + 1] = (uint8_t)l->shift[c];
        put_u32(p + 112 + 4 * at, (uint32_t)l->mult[c]);
    }
}

/* ---- fully connected --------------------------------------------------------------------------------------------------------- */

static bool fits_rows4(const ImageLayer *l)
{
    return l->fully;
}

static uint64_t rows4_weight_bytes(const ImageLayer *l)
{
    return (uint64_t)(up(l->n_out, 4) * up(inputs(l), 16));
}

static uint64_t rows4_channel_bytes(const ImageLayer *l)
{
    return (uint64_t)(4 * up(l->n_out, 4));
}

static void pack_rows4(const ImageLayer *l, uint8_t *weights, uint8_t *channels)
{
    int64_t K = inputs(l);

    memset(weights, 0, rows4_weight_bytes(l));
    memset(channels, 0, rows4_channel_bytes(l));
    for (int64_t n = 0; n < l->n_out; n++) {
        for (int64_t k = 0; k < K; k++)
            weights[n / 4 * 4 * up(K, 16) + k / 16 * 64 + n % 4 * 16 + k % 16] = (uint8_t)l->w[n * K + k];
        put_u32(channels + 4 * n, (uint32_t)l->bias[n]);
    }
}

const ImageLayout image_layout_pairs16_relu = {
    .name = "pairs16_relu", .help = "two outputs in turn, 16 inputs each, for Helium; results below zero are clamped away",
    .fits = fits_pairs16_relu, .weight_bytes = pairs16_weight_bytes, .channel_bytes = pairs16_channel_bytes, .pack = pack_pairs16
};
const ImageLayout image_layout_pairs16 = {
    .name = "pairs16", .help = "the same for results of both signs",
    .fits = fits_pairs16, .weight_bytes = pairs16_weight_bytes, .channel_bytes = pairs16_channel_bytes, .pack = pack_pairs16
};
const ImageLayout image_layout_pairs16_any = {
    .name = "pairs16_any", .help = "the same with any scale and limits",
    .fits = fits_dense, .weight_bytes = pairs16_weight_bytes, .channel_bytes = pairs16_any_channel_bytes, .pack = pack_pairs16_any
};
const ImageLayout image_layout_taps4 = {
    .name = "taps4", .help = "weights of four channels of a depthwise layer, tap by tap, for Helium",
    .fits = fits_taps4, .weight_bytes = taps4_weight_bytes, .channel_bytes = taps4_channel_bytes, .pack = pack_taps4
};
const ImageLayout image_layout_narrow16 = {
    .name = "narrow16", .help = "weights of a depthwise layer on narrow images, channel by channel, for Helium; results below zero are clamped away",
    .fits = fits_narrow16, .weight_bytes = narrow16_weight_bytes, .channel_bytes = narrow16_channel_bytes, .pack = pack_narrow16
};
const ImageLayout image_layout_taps8 = {
    .name = "taps8", .help = "weights and constants of eight channels of a depthwise layer of 3 x 3, for Helium; results below zero are clamped away",
    .fits = fits_taps8, .weight_bytes = taps8_weight_bytes, .channel_bytes = no_bytes, .pack = pack_taps8
};
const ImageLayout image_layout_rows4 = {
    .name = "rows4", .help = "four outputs of a fully connected layer in turn, 16 inputs each, for Helium",
    .fits = fits_rows4, .weight_bytes = rows4_weight_bytes, .channel_bytes = rows4_channel_bytes, .pack = pack_rows4
};
