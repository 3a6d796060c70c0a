/* Packing weights for the kernels that read them, and reading a row back.
 *
 * There are two shapes, both with rows as lanes.  Codes: a tile block holds 32 rows x 32 columns of small integers and, after
 * them, a scale (and a minimum) for each row.  Values: a tile block is one column of the tile, the rows' values side by side.
 * Integers and halves are moved, never recomputed, so that packing loses nothing; only f32 layouts take other formats, and
 * they hold what those decode to.  The places are those that layouts.def draws. */
#include "ir/layouts.h"

#include <assert.h>

#include "ir/formats/internal.h"

const Layout layout_table[N_LAYOUTS] = {
#define LAYOUT(name, bits, group, scale, offset, rows, cols, block_bytes, help) \
    { #name, bits, group, SCALE_##scale, OFFSET_##offset, rows, cols, block_bytes, help },
#include "ir/layouts.def"
};

const Layout *layout_find(Str name)
{
    for (int i = 0; i < N_LAYOUTS; i++)
        if (str_is(name, layout_table[i].name))
            return &layout_table[i];
    return NULL;
}

/* What a stored code is minus what the weight is in units of its scale. */
static int center(const Layout *l)
{
    return l->offset == OFFSET_center8 ? 8 : l->offset == OFFSET_center128 ? 128 : 0;
}

static bool holds_codes(const Layout *l)
{
    return l->scale != SCALE_none;
}

/* The one format whose values a layout without scales moves as they are. */
static const Format *value_format(const Layout *l)
{
    switch ((LayoutId)(l - layout_table)) {
    case LAYOUT_f16_r32k1: return &format_table[FMT_f16];
    case LAYOUT_bf16_r32k1: return &format_table[FMT_bf16];
    default: return &format_table[FMT_f32];
    }
}

bool layout_takes(const Layout *l, const Format *f)
{
    if (holds_codes(l))
        return format_has_codes(f) && f->block == l->group && f->codes->has_min == (l->offset == OFFSET_minimum) &&
               f->codes->lo + center(l) >= 0 && f->codes->hi + center(l) < 1 << l->bits;
    if (value_format(l) == &format_table[FMT_f32])
        return f->kind == FORMAT_float || format_has_codes(f);
    return value_format(l) == f;
}

const Layout *layout_for_format(const Format *f)
{
    const Layout *best = NULL;

    for (const Layout *l = layout_table; l < layout_table + N_LAYOUTS; l++)
        if (l->rows > 1 && layout_takes(l, f) &&
            (!best || l->block_bytes / l->cols < best->block_bytes / best->cols))
            best = l;
    return best;
}

uint64_t layout_tile_bytes(const Layout *l, int64_t n_in)
{
    assert(n_in >= 0 && n_in % l->cols == 0);
    return (uint64_t)(n_in / l->cols) * (uint64_t)l->block_bytes;
}

uint64_t layout_bytes(const Layout *l, int64_t n_out, int64_t n_in)
{
    assert(n_out >= 0);
    return ((uint64_t)n_out + (uint64_t)l->rows - 1) / (uint64_t)l->rows * layout_tile_bytes(l, n_in);
}

/* Where a code of row r, column c lies in a tile block: byte, and for 4 bits the shift of its nibble. */
static int code8_at(int r, int c)
{
    return r / 16 * 512 + c / 4 * 64 + r % 16 * 4 + c % 4;
}

static int code4_at(int r, int c, int *shift)
{
    *shift = c / 16 * 4;
    c %= 16;
    return r / 16 * 256 + c / 4 * 64 + r % 16 * 4 + c % 4;
}

/* The codes of a tile block end where its scales begin. */
static int scales_at(const Layout *l)
{
    return l->rows * l->cols * l->bits / 8;
}

static void pack_codes(const Layout *l, const Format *f, uint8_t *block, const uint8_t *src, int r)
{
    int code[32], add = center(l), at = scales_at(l) + 2 * r;
    uint16_t d, m = 0;

    f->codes->read(src, code, &d, &m);
    store16(block + at, d);
    if (l->offset == OFFSET_minimum)
        store16(block + at + 2 * l->rows, m);
    if (l->bits == 8) {
        for (int c = 0; c < 32; c++)
            block[code8_at(r, c)] = (uint8_t)(code[c] + add);
    } else {
        for (int c = 0; c < 16; c++) {
            int shift;

            block[code4_at(r, c, &shift)] = (uint8_t)((code[c] + add) | (code[c + 16] + add) << 4);
        }
    }
}

/* n numbers of format f as floats, n at most a block or, without blocks, 64; then into column c and on. */
static void pack_decoded(const Layout *l, const Format *f, uint8_t *tile, const uint8_t *src, int r, int64_t n_in)
{
    float x[64];
    int64_t step = f->block > 1 ? f->block : 64;

    for (int64_t c = 0; c < n_in; c += step) {
        int64_t n = n_in - c < step ? n_in - c : step;

        f->decode(x, src + c / f->block * f->bytes, n);
        for (int64_t i = 0; i < n; i++)
            store32(tile + (c + i) * l->block_bytes + 4 * r, float_bits(x[i]));
    }
}

void layout_pack_tile(const Layout *l, const Format *f, uint8_t *tile, const uint8_t *rows, uint64_t row_stride_bytes,
                      int n_rows, int64_t n_in)
{
    assert(layout_takes(l, f) && n_rows >= 0 && n_rows <= l->rows && n_in % l->cols == 0 && n_in % f->block == 0);
    if (n_rows < l->rows) {
        memset(tile, 0, layout_tile_bytes(l, n_in));
        for (int64_t b = 0; holds_codes(l) && b < n_in / l->cols; b++)      /* code 0 of a missing row is the center */
            memset(tile + b * l->block_bytes, center(l) == 8 ? 0x88 : center(l), (size_t)scales_at(l));
    }
    for (int r = 0; r < n_rows; r++) {
        const uint8_t *src = rows + row_stride_bytes * (uint64_t)r;

        if (holds_codes(l)) {
            for (int64_t b = 0; b < n_in / l->cols; b++)
                pack_codes(l, f, tile + b * l->block_bytes, src + b * f->bytes, r);
        } else if (l->bits == 16) {
            for (int64_t c = 0; c < n_in; c++)
                memcpy(tile + c * l->block_bytes + 2 * r, src + 2 * c, 2);
        } else {
            pack_decoded(l, f, tile, src, r, n_in);
        }
    }
}

void layout_row(const Layout *l, float *y, const uint8_t *tile, int r, int64_t n_in)
{
    assert(r >= 0 && r < l->rows && n_in % l->cols == 0);
    if (!holds_codes(l)) {
        const Format *f = value_format(l);

        for (int64_t c = 0; c < n_in; c++)
            f->decode(y + c, tile + c * l->block_bytes + f->bytes * r, 1);
        return;
    }
    for (int64_t b = 0; b < n_in / l->cols; b++, tile += l->block_bytes, y += l->cols) {
        const uint8_t *scale = tile + scales_at(l) + 2 * r;
        float d = f16_to_f32(load16(scale));
        float m = l->offset == OFFSET_minimum ? f16_to_f32(load16(scale + 2 * l->rows)) : 0;

        for (int c = 0; c < l->cols; c++) {
            int shift = 0;
            int at = l->bits == 8 ? code8_at(r, c) : code4_at(r, c, &shift);
            int code = (tile[at] >> shift & ((1 << l->bits) - 1)) - center(l);

            y[c] = l->offset == OFFSET_minimum ? d * (float)code + m : d * (float)code;
        }
    }
}
