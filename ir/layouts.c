/* Packing weights for the kernels that read them, and reading a row back.
 *
 * There are two shapes, both with rows as lanes.  Codes: a tile block holds small integers in one or two planes, 32 rows x 32
 * columns at a time, or digits of base 3, and scales (and minima) of one or two levels for each row.  Values: a tile block is one
 * column of the tile, the rows' values side by side.
 * Integers and halves are moved, never recomputed, so that packing loses nothing; only f32 layouts take other formats, and
 * they hold what those decode to.  The places are those that layouts.def draws. */
#include "ir/layouts.h"

#include <assert.h>

#include "ir/formats/internal.h"

const Layout layout_table[N_LAYOUTS] = {
#define LAYOUT(name, bits, high_bits, group, scale, offset, rows, cols, block_bytes, help) \
    { #name, bits, high_bits, group, SCALE_##scale, OFFSET_##offset, rows, cols, block_bytes, help },
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
    return l->offset > 0 ? (int)l->offset : 0;
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

static LayoutScale scale_of(const FormatCodes *c)
{
    return c->sub == SUBSCALES_none ? SCALE_f16 : c->sub == SUBSCALES_u6 ? SCALE_f16_u8 : SCALE_f16_i8;
}

/* Codes 0 .. n - 1 are what a layout's codes may be. */
static int n_codes(const Layout *l)
{
    return l->bits ? 1 << (l->bits + l->high_bits) : 3;
}

bool layout_takes(const Layout *l, const Format *f)
{
    if (holds_codes(l))
        return format_has_codes(f) && f->block == l->cols && f->codes->group == l->group &&
               scale_of(f->codes) == l->scale && f->codes->has_min == (l->offset == OFFSET_minimum) &&
               f->codes->lo + center(l) >= 0 && f->codes->hi + center(l) < n_codes(l);
    if (value_format(l) == &format_table[FMT_f32])
        return f->kind == FORMAT_float || format_has_codes(f);
    return value_format(l) == f;
}

const Layout *layout_for_format(const Format *f)
{
    const Layout *best = NULL;

    for (const Layout *l = layout_table; l < layout_table + N_LAYOUTS; l++)
        if (l->rows > 1 && layout_takes(l, f) && (!best || l->block_bytes * best->cols < best->block_bytes * l->cols))
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

/* ---- codes ---- */

enum { SPAN = 32 };                 /* columns whose codes lie together */

/* A plane of codes of b bits: which byte of row 0 has column c, and how far up. */
typedef struct {
    int bits, mask;
    int at[SPAN], shift[SPAN];
} Plane;

/* Where things lie in a tile block: see layouts.def. */
typedef struct {
    Plane low, high;
    int high_at;                    /* the second plane, from a span's begin */
    int span;                       /* the first span of columns, and bytes from one to the next */
    int span_bytes;
    int d, m;                       /* of row 0 */
    int s, t;                       /* of row 0, group 0 of a span, from its begin; the next group's lie 32 bytes later */
} Places;

static Plane plane_of(int bits)
{
    Plane p = { .bits = bits, .mask = (1 << bits) - 1 };

    for (int c = 0; bits && c < SPAN; c++) {
        p.at[c] = 64 * (c / 4 % bits) + c % 4;
        p.shift[c] = bits * (c / 4 / bits);
    }
    return p;
}

/* Where row r begins in a plane. */
static int row_at(const Plane *p, int r)
{
    return 64 * p->bits * (r / 16) + r % 16 * 4;
}

static Places places_of(const Layout *l)
{
    int low = l->rows * SPAN * l->bits / 8, codes = low + l->rows * SPAN * l->high_bits / 8;
    int halves = 2 * l->rows, subs = SPAN / l->group * l->rows;
    bool minimum = l->offset == OFFSET_minimum;
    Places p = { .low = plane_of(l->bits), .high = plane_of(l->high_bits), .high_at = low };

    if (l->scale == SCALE_f16) {
        p.span_bytes = codes;
        p.d = codes * (l->cols / SPAN);
        p.m = p.d + halves;
    } else {
        p.m = halves;
        p.span = minimum ? 2 * halves : halves;
        p.s = codes;
        p.t = codes + subs;
        p.span_bytes = minimum ? p.t + subs : p.t;
    }
    return p;
}

/* Row r of a tile block, of which all bits are 0 still, from the codes of l->cols weights. */
static void pack_codes(const Layout *l, const Places *p, uint8_t *block, const int *code, const FormatScales *scales, int r)
{
    bool minimum = l->offset == OFFSET_minimum;
    int add = center(l);

    store16(block + p->d + 2 * r, scales->d);
    if (minimum)
        store16(block + p->m + 2 * r, scales->m);
    for (int c = 0; c < l->cols; c += SPAN) {
        uint8_t *span = block + p->span + c / SPAN * p->span_bytes;
        uint8_t *low = span + row_at(&p->low, r), *high = span + p->high_at + row_at(&p->high, r);

        for (int i = 0; i < SPAN; i++)
            low[p->low.at[i]] |= (uint8_t)(((code[c + i] + add) & p->low.mask) << p->low.shift[i]);
        for (int i = 0; l->high_bits && i < SPAN; i++)
            high[p->high.at[i]] |= (uint8_t)((code[c + i] + add) >> l->bits << p->high.shift[i]);
        for (int g = 0; l->scale != SCALE_f16 && g < SPAN / l->group; g++) {
            span[p->s + l->rows * g + r] = (uint8_t)scales->s[c / l->group + g];
            if (minimum)
                span[p->t + l->rows * g + r] = (uint8_t)scales->t[c / l->group + g];
        }
    }
}

static void read_row(const Layout *l, const Places *p, float *y, const uint8_t *block, int r)
{
    bool minimum = l->offset == OFFSET_minimum;
    float d = f16_to_f32(load16(block + p->d + 2 * r)), m = minimum ? f16_to_f32(load16(block + p->m + 2 * r)) : 0;

    for (int c = 0; c < l->cols; c++) {
        const uint8_t *span = block + p->span + c / SPAN * p->span_bytes;
        int i = c % SPAN, sub = l->rows * (i / l->group) + r;
        int code = span[row_at(&p->low, r) + p->low.at[i]] >> p->low.shift[i] & p->low.mask;
        float scale = d, min = m;

        if (l->high_bits)
            code |= (span[p->high_at + row_at(&p->high, r) + p->high.at[i]] >> p->high.shift[i] & p->high.mask) << l->bits;
        code -= center(l);
        if (l->scale != SCALE_f16)
            scale = d * (float)(l->scale == SCALE_f16_i8 ? (int8_t)span[p->s + sub] : span[p->s + sub]);
        if (l->scale != SCALE_f16 && minimum)
            min = m * (float)span[p->t + sub];
        y[c] = minimum ? scale * (float)code + min : scale * (float)code;
    }
}

/* ---- base 3 ---- */

enum { DIGITS = 5, PAIR = 64, PAIRS = 4, PAIR_BYTES = 384, LAST_BYTES = 128 };

/* Where column c of row r is in a tile block of base 3: the byte, and which of its digits. */
static int digit_at(int r, int c, int *digit)
{
    int pair = c / PAIR, quad = c % PAIR / 4, lane = r % 16 * 4 + c % 4;

    if (quad == 15) {
        *digit = pair;
        return 64 * (r / 16) + lane;
    }
    *digit = quad % DIGITS;
    return LAST_BYTES + PAIR_BYTES * pair + PAIR_BYTES / 2 * (r / 16) + 64 * (quad / DIGITS) + lane;
}

static int base3_scales_at(const Layout *l)
{
    return l->block_bytes - 2 * l->rows;
}

/* Row r of a tile block; every byte of that row is written. */
static void pack_digits(const Layout *l, uint8_t *block, const int *code, uint16_t d, int r)
{
    static const int power[DIGITS] = { 81, 27, 9, 3, 1 };
    uint8_t number[LAST_BYTES + PAIRS * PAIR_BYTES] = { 0 };

    assert(base3_scales_at(l) == (int)sizeof number);
    for (int j = 0; j < 4; j++)
        number[64 * (r / 16) + r % 16 * 4 + j] = 1;        /* digit 4 of `last` */
    for (int c = 0; c < l->cols; c++) {
        int digit, at = digit_at(r, c, &digit);

        number[at] = (uint8_t)(number[at] + (code[c] + 1) * power[digit]);
    }
    for (int c = 0; c < l->cols; c++) {
        int digit, at = digit_at(r, c, &digit);

        block[at] = (uint8_t)((256 * number[at] + 242) / 243);
    }
    store16(block + base3_scales_at(l) + 2 * r, d);
}

static void read_digits(const Layout *l, float *y, const uint8_t *block, int r)
{
    static const int power[DIGITS] = { 1, 3, 9, 27, 81 };
    float d = f16_to_f32(load16(block + base3_scales_at(l) + 2 * r));

    for (int c = 0; c < l->cols; c++) {
        int digit, at = digit_at(r, c, &digit);

        y[c] = d * (float)(((block[at] * power[digit] & 255) * 3 >> 8) - 1);
    }
}

static void pack_tile_of_codes(const Layout *l, const Format *f, uint8_t *tile, const uint8_t *rows,
                               uint64_t row_stride_bytes, int n_rows, int64_t n_in)
{
    Places p = places_of(l);

    memset(tile, 0, layout_tile_bytes(l, n_in));
    for (int r = 0; r < l->rows; r++)
        for (int64_t b = 0; b < n_in / l->cols; b++) {
            FormatScales scales = { 0 };
            int code[FORMAT_MAX_BLOCK] = { 0 };             /* of a missing row, as its scales */

            if (r < n_rows)
                format_codes(f, rows + row_stride_bytes * (uint64_t)r + b * f->bytes, code, &scales);
            if (l->bits)
                pack_codes(l, &p, tile + b * l->block_bytes, code, &scales, r);
            else
                pack_digits(l, tile + b * l->block_bytes, code, scales.d, r);
        }
}

/* ---- values ---- */

/* n numbers of format f as floats, n at most a block or, without blocks, 64; then into column c and on. */
static void pack_decoded(const Layout *l, const Format *f, uint8_t *tile, const uint8_t *src, int r, int64_t n_in)
{
    float x[FORMAT_MAX_BLOCK];
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
    if (holds_codes(l)) {
        pack_tile_of_codes(l, f, tile, rows, row_stride_bytes, n_rows, n_in);
        return;
    }
    if (n_rows < l->rows)
        memset(tile, 0, layout_tile_bytes(l, n_in));
    for (int r = 0; r < n_rows; r++) {
        const uint8_t *src = rows + row_stride_bytes * (uint64_t)r;

        if (l->bits == 16) {
            for (int64_t c = 0; c < n_in; c++)
                memcpy(tile + c * l->block_bytes + 2 * r, src + 2 * c, 2);
        } else {
            pack_decoded(l, f, tile, src, r, n_in);
        }
    }
}

void layout_row(const Layout *l, float *y, const uint8_t *tile, int r, int64_t n_in)
{
    Places p;

    assert(r >= 0 && r < l->rows && n_in % l->cols == 0);
    if (!holds_codes(l)) {
        const Format *f = value_format(l);

        for (int64_t c = 0; c < n_in; c++)
            f->decode(y + c, tile + c * l->block_bytes + f->bytes * r, 1);
        return;
    }
    p = places_of(l);
    for (int64_t b = 0; b < n_in / l->cols; b++)
        if (l->bits)
            read_row(l, &p, y + b * l->cols, tile + b * l->block_bytes, r);
        else
            read_digits(l, y + b * l->cols, tile + b * l->block_bytes, r);
}
