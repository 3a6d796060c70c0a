/* Ways to pack weights for SMLAD (runtime/kernels/arm/dsp.c draws them): pairs_relu, pairs_any, words, pairs4; taps3 (arm/dsp_depthwise.c).
 *
 * A word of pairs holds weights a, b of two outputs as 256 a + b, which must be 16 bits, and the sum of a's products must come out in 24 bits whatever the
 * inputs are.  What does not fit so goes into words, as it is. */
#include "ir/image_layouts.h"

static int64_t inputs(const ImageLayer *l)              /* of one output */
{
    return l->kernel_h * l->kernel_w * l->n_in;
}

static int64_t fours(const ImageLayer *l)
{
    return (inputs(l) + 3) / 4;
}

/* Weight k of output n, 0 behind the last. */
static int weight(const ImageLayer *l, int64_t n, int64_t k)
{
    return n < l->n_out && k < inputs(l) ? l->w[n * inputs(l) + k] : 0;
}

static int64_t magnitude(int64_t v)
{
    return v < 0 ? -v : v;
}

/* Do outputs a and a + 1 go into words? */
static bool pair_fits(const ImageLayer *l, int64_t a)
{
    int64_t least = l->bias[a], most = l->bias[a];

    for (int64_t k = 0; k < inputs(l); k++) {
        int w = weight(l, a, k), up = w < 0 ? -128 : 127, down = -1 - up;

        if (256 * w + weight(l, a + 1, k) < INT16_MIN)
            return false;
        least += w * down;
        most += w * up;
    }
    return least >= -(1 << 23) && most < 1 << 23;
}

static bool pairs_fit(const ImageLayer *l)
{
    for (int64_t a = 0; a < l->n_out; a += 2)
        if (!pair_fits(l, a))
            return false;
    return true;
}

/* The bias in 24 bits, the shift in what the rounding constant can express; a multiplier of 0 goes with every shift. */
static bool channels_fit(const ImageLayer *l)
{
    for (int64_t c = 0; c < l->n_out; c++)
        if (magnitude(l->bias[c]) >= 1 << 23 || (l->mult[c] && (l->shift[c] > -1 || l->shift[c] < -16)))
            return false;
    return true;
}

static bool any_fits(const ImageLayer *l)
{
    return !l->depthwise && !l->fully && channels_fit(l) && pairs_fit(l);
}

static bool all_of_int8(const ImageLayer *l)
{
    return l->zero == -128 && l->lo == -128 && l->hi == 127;
}

static bool relu_fits(const ImageLayer *l)
{
    return all_of_int8(l) && any_fits(l);
}

static uint8_t *put_word(uint8_t *p, int64_t v)
{
    for (int i = 0; i < 4; i++)
        *p++ = (uint8_t)((uint64_t)v >> 8 * i);
    return p;
}

/* The two words of four inputs 4q .. of outputs a and a + 1. */
static uint8_t *put_four(uint8_t *p, const ImageLayer *l, int64_t a, int64_t q)
{
    for (int64_t k = 4 * q; k < 4 * q + 2; k++) {
        int low = 256 * weight(l, a, k) + weight(l, a + 1, k), high = 256 * weight(l, a, k + 2) + weight(l, a + 1, k + 2);

        p = put_word(p, (low & 0xffff) | (int64_t)(high & 0xffff) << 16);
    }
    return p;
}

static uint64_t pairs_bytes(const ImageLayer *l)
{
    return (uint64_t)((l->n_out + 1) / 2 * (8 * fours(l) + 16));
}

static uint64_t no_bytes(const ImageLayer *l)
{
    (void)l;
    return 0;
}

static void pairs_pack(const ImageLayer *l, uint8_t *weights, uint8_t *channels)
{
    uint8_t *p = weights;

    (void)channels;
    for (int64_t a = 0; a < l->n_out; a += 2) {
        int64_t b = a + 1 < l->n_out ? a + 1 : a;

        for (int64_t c = a; c < a + 2; c++)
            p = put_word(p, c > b ? 1 : l->bias[c] * 256ll + (l->mult[c] ? -l->shift[c] : 1));
        for (int64_t q = 0; q < fours(l); q++)
            p = put_four(p, l, a, q);
        p = put_word(p, l->mult[a]);
        p = put_word(p, l->mult[b]);
    }
}

static bool words_fit(const ImageLayer *l)
{
    return !l->depthwise && !l->fully;
}

static uint64_t words_bytes(const ImageLayer *l)
{
    return (uint64_t)(l->n_out * (4 * fours(l) + 12));
}

static void words_pack(const ImageLayer *l, uint8_t *weights, uint8_t *channels)
{
    uint8_t *p = weights;

    (void)channels;
    for (int64_t c = 0; c < l->n_out; c++) {
        p = put_word(p, l->bias[c]);
        p = put_word(p, l->mult[c]);
        p = put_word(p, l->shift[c]);
        for (int64_t k = 0; k < 4 * fours(l); k++)
            *p++ = (uint8_t)weight(l, c, k);
    }
}

static bool fully_fits(const ImageLayer *l)
{
    int64_t paired = l->n_out / 4 * 4;

    for (int64_t a = 0; a < paired; a += 2)
        if (!pair_fits(l, a))
            return false;
    return l->fully;
}

static uint64_t fully_bytes(const ImageLayer *l)
{
    return (uint64_t)(l->n_out * 4 * fours(l));
}

static uint64_t bias_bytes(const ImageLayer *l)
{
    return 4 * (uint64_t)l->n_out;
}

static void fully_pack(const ImageLayer *l, uint8_t *weights, uint8_t *channels)
{
    uint8_t *p = weights;
    int64_t paired = l->n_out / 4 * 4;

    for (int64_t a = 0; a < paired; a += 4)
        for (int64_t q = 0; q < fours(l); q++) {
            p = put_four(p, l, a, q);
            p = put_four(p, l, a + 2, q);
        }
    for (int64_t c = paired; c < l->n_out; c++)
        for (int64_t k = 0; k < 4 * fours(l); k++)
            *p++ = (uint8_t)weight(l, c, k);
    for (int64_t c = 0; c < l->n_out; c++)
        channels = put_word(channels, l->bias[c]);
}

/* Depthwise, 3 x 3. */
static bool taps_fit(const ImageLayer *l, int64_t stride)
{
    bool ok = l->depthwise && l->n_out == l->in_c && l->kernel_h == 3 && l->kernel_w == 3 && l->dilation_h == 1 && l->dilation_w == 1 &&
              l->stride_h == stride && l->stride_w == stride && l->pad_left <= 1 && l->pad_top <= 2;

    for (int64_t c = 0; ok && c < l->n_out; c++)
        ok = magnitude(l->bias[c]) < 1 << 19 && (!l->mult[c] || (l->shift[c] <= -1 && l->shift[c] >= -16));
    return ok;
}

static bool taps3_fits(const ImageLayer *l)
{
    return all_of_int8(l) && taps_fit(l, 1) && l->out_w >= 4 && l->out_w == l->in_w && l->pad_left == 1;
}

static bool taps3_5_fits(const ImageLayer *l)
{
    return taps3_fits(l) && l->out_w == 5 && l->pad_top == 1 && l->in_h == l->out_h && l->in_h >= 3;
}

static bool taps3_any_fits(const ImageLayer *l)
{
    return taps_fit(l, 1) || taps_fit(l, 2);
}

static uint64_t taps3_bytes(const ImageLayer *l)
{
    return 16 * (uint64_t)l->n_out;
}

static void taps3_pack(const ImageLayer *l, uint8_t *weights, uint8_t *channels)
{
    (void)channels;
    for (int64_t c = 0; c < l->n_out; c++) {
        uint8_t *p = weights + 16 * c;
        int64_t bias = l->bias[c] * 16ll + (l->mult[c] ? -l->shift[c] - 1 : 0);

        for (int u = 0; u < 3; u++) {
            for (int v = 0; v < 3; v++)
                *p++ = (uint8_t)l->w[(3 * u + v) * l->n_out + c];
            *p++ = (uint8_t)((uint64_t)bias >> 8 * u);
        }
        put_word(p, l->mult[c]);
    }
}

const ImageLayout image_layout_taps3 = { .name = "taps3", .help = "channels of a depthwise convolution of 3 x 3, rows of 4 outputs and more",
                                         .fits = taps3_fits, .weight_bytes = taps3_bytes, .channel_bytes = no_bytes, .pack = taps3_pack };
const ImageLayout image_layout_taps3_5 = { .name = "taps3_5", .help = "channels of a depthwise convolution of 3 x 3, rows of 5 outputs",
                                           .fits = taps3_5_fits, .weight_bytes = taps3_bytes, .channel_bytes = no_bytes, .pack = taps3_pack };
const ImageLayout image_layout_taps3_any = { .name = "taps3_any", .help = "channels of a depthwise convolution of 3 x 3, with stride 1 or 2",
                                             .fits = taps3_any_fits, .weight_bytes = taps3_bytes, .channel_bytes = no_bytes, .pack = taps3_pack };
const ImageLayout image_layout_pairs_relu = { .name = "pairs_relu", .help = "pairs of weights of two outputs, which begin at their zero point, -128",
                                              .fits = relu_fits, .weight_bytes = pairs_bytes, .channel_bytes = no_bytes, .pack = pairs_pack };
const ImageLayout image_layout_pairs_any = { .name = "pairs_any", .help = "pairs of weights of two outputs",
                                             .fits = any_fits, .weight_bytes = pairs_bytes, .channel_bytes = no_bytes, .pack = pairs_pack };
const ImageLayout image_layout_words = { .name = "words", .help = "four weights of an output a word",
                                         .fits = words_fit, .weight_bytes = words_bytes, .channel_bytes = no_bytes, .pack = words_pack };
const ImageLayout image_layout_pairs4 = { .name = "pairs4", .help = "pairs of weights of two outputs, four outputs together, of a fully connected layer",
                                          .fits = fully_fits, .weight_bytes = fully_bytes, .channel_bytes = bias_bytes, .pack = fully_pack };
