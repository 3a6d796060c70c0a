/* Ways to pack weights of integer networks: the table, and the plain ones.
 *
 *   rows     weights as the importer has them, [n_out][kernel_h][kernel_w][n_in]; channels int32 [n_out][3]: bias, multiplier, shift
 *   taps     the same of a depthwise layer, [kernel_h][kernel_w][n_out]
 *   fully    weights of a fully connected layer, [n_out][n_in]; channels int32 [n_out]: bias */
#include "ir/image_layouts.h"

static uint64_t plain_weight_bytes(const ImageLayer *l)
{
    return (uint64_t)(l->n_out * l->kernel_h * l->kernel_w * l->n_in);
}

static uint64_t plain_channel_bytes(const ImageLayer *l)
{
    return 12 * (uint64_t)l->n_out;
}

static void put_i32(uint8_t *p, int32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)((uint32_t)v >> 8 * i);
}

static void plain_pack(const ImageLayer *l, uint8_t *weights, uint8_t *channels)
{
    memcpy(weights, l->w, plain_weight_bytes(l));
    for (int64_t c = 0; c < l->n_out; c++) {
        put_i32(channels + 12 * c, l->bias[c]);
        put_i32(channels + 12 * c + 4, l->mult[c]);
        put_i32(channels + 12 * c + 8, l->shift[c]);
    }
}

static uint64_t bias_bytes(const ImageLayer *l)
{
    return 4 * (uint64_t)l->n_out;
}

static void fully_pack(const ImageLayer *l, uint8_t *weights, uint8_t *channels)
{
    memcpy(weights, l->w, plain_weight_bytes(l));
    for (int64_t c = 0; c < l->n_out; c++)
        put_i32(channels + 4 * c, l->bias[c]);
}

const ImageLayout image_layout_rows = { .name = "rows", .help = "rows of weights, one output's after another",
                                        .weight_bytes = plain_weight_bytes, .channel_bytes = plain_channel_bytes, .pack = plain_pack };
const ImageLayout image_layout_taps = { .name = "taps", .help = "weights of a depthwise layer, all channels of a tap together",
                                        .weight_bytes = plain_weight_bytes, .channel_bytes = plain_channel_bytes, .pack = plain_pack };
const ImageLayout image_layout_fully = { .name = "fully", .help = "rows of weights, for which one multiplier serves",
                                         .weight_bytes = plain_weight_bytes, .channel_bytes = bias_bytes, .pack = fully_pack };

const ImageLayout *const *image_layouts(void)
{
    static const ImageLayout *const table[] = { &image_layout_rows, &image_layout_taps, &image_layout_fully,
                                                &image_layout_pairs_relu, &image_layout_pairs_any, &image_layout_words, &image_layout_pairs4,
                                                &image_layout_taps3_5, &image_layout_taps3, &image_layout_taps3_any,
                                                &image_layout_pairs16_relu, &image_layout_pairs16, &image_layout_pairs16_any,
                                                &image_layout_narrow16, &image_layout_taps8, &image_layout_taps4, &image_layout_rows4, NULL };

    return table;
}

const ImageLayout *image_layout_find(Str name)
{
    for (const ImageLayout *const *l = image_layouts(); *l; l++)
        if (str_eq(name, str_of((*l)->name)))
            return *l;
    return NULL;
}

uint64_t image_panel_bytes(Str panel, int64_t k, int64_t positions)
{
    if (str_eq(panel, str_of("rows")))
        return (uint64_t)(k * positions);
    if (str_is(panel, "pairs3"))
        return (uint64_t)((positions + 2) / 3 * ((k + 3) / 4) * 24);
    if (str_is(panel, "rows16"))
        return (uint64_t)((k + 15) / 16 * 16 * ((positions + 3) / 4 * 4));
    return 0;
}
