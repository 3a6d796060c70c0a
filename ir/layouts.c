/* Packing weights for the kernels that read them, and reading a row back.
 *
 * There are two shapes with rows as lanes, and rows as they are.  Codes: a tile block holds small integers in one or two planes, 32 rows x 32
 * columns at a time, or digits of base 3, and scales (and minima) of one or two levels for each row.  Values: a tile block is one
 * column of the tile, the rows' values side by side.
 * Integers and halves are moved, never recomputed, so that packing loses nothing; only f32 layouts take other formats, and
 * they hold what those decode to.  The places are those that layouts.def draws. */
#include "ir/layouts.h"

#include <assert.h>
#include <math.h>

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
    case LAYOUT_rowmajor_i8: return &format_table[FMT_i8];
    case LAYOUT_rowmajor_u8: return &format_table[FMT_u8];
    case LAYOUT_rowmajor_i16: return &format_table[FMT_i16];
    case LAYOUT_rowmajor_i32: return &format_table[FMT_i32];
    default: return &format_table[FMT_f32];
    }
}

/* The format whose rows a layout holds one after another, as they are; NULL: its rows are interleaved. */
static const Format *row_format(const Layout *l)
{
    switch ((LayoutId)(l - layout_table)) {
    case LAYOUT_i8g32_rows: return &format_table[FMT_q8_0];
    case LAYOUT_i4g32_rows: return &format_table[FMT_q4_0];
    default: return NULL;
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

bool layout_may_take(const Layout *l, const Format *f)
{
    if (row_format(l))
        return row_format(l) == f;
    if (holds_codes(l))
        return format_has_codes(f) && f->block == l->cols && f->codes->group == l->group &&
               scale_of(f->codes) == l->scale && f->codes->has_min == (l->offset == OFFSET_minimum);
    return layout_takes(l, f);
}

bool layout_takes(const Layout *l, const Format *f)
{
    if (row_format(l))
        return row_format(l) == f;
    if (holds_codes(l))
        return layout_may_take(l, f) && f->codes->lo + center(l) >= 0 && f->codes->hi + center(l) < n_codes(l);
    if (value_format(l) == &format_table[FMT_f32])
        return f->kind == FORMAT_float || format_has_codes(f);
    return value_format(l) == f;
}

bool layout_holds(const Layout *l, const Format *f, const uint8_t *src, int64_t n)
{
    int first = center(l), end = n_codes(l), code[FORMAT_MAX_BLOCK];
    FormatScales scales;

    assert(layout_may_take(l, f) && n % f->block == 0);
    for (int64_t b = 0; !layout_takes(l, f) && b < n / f->block; b++) {
        format_codes(f, src + b * f->bytes, code, &scales);
        for (int i = 0; i < f->block; i++)
            if (code[i] + first < 0 || code[i] + first >= end)
                return false;
    }
    return true;
}

const Layout *layout_for_format(const Format *f)
{
    const Layout *best = NULL;

    for (const Layout *l = layout_table; l < layout_table + N_LAYOUTS; l++)
        if (l->rows > 1 && !row_format(l) && layout_takes(l, f) && (!best || l->block_bytes * best->cols < best->block_bytes * l->cols))
            best = l;
    return best;
}

const Layout *layout_rowmajor(const Format *f)
{
    for (const Layout *l = layout_table; l < layout_table + N_LAYOUTS; l++)
        if (l->rows == 1 && value_format(l) == f)
            return l;
    return NULL;
}

const Layout *layout_rows_for(const Format *f)
{
    for (const Layout *l = layout_table; l < layout_table + N_LAYOUTS; l++)
        if (row_format(l) == f)
            return l;
    return NULL;
}

bool layout_is_split(const Layout *l)
{
    return l == &layout_table[LAYOUT_i53g32_r32k4];
}

const Layout *layout_split_for(const Format *f)
{
    const Layout *l = &layout_table[LAYOUT_i53g32_r32k4];

    return layout_for_format(f) == &layout_table[LAYOUT_i8g32_r32k4] ? l : NULL;
}

enum { HIGH_BYTES = 704, LOW_BYTES = 384, BOUND_BYTES = 128, LOW_BITS = 3 };     /* of a layout in two parts */

uint64_t layout_tile_bytes(const Layout *l, int64_t n_in)
{
    assert(n_in >= 0 && n_in % l->cols == 0);
    return (uint64_t)(n_in / l->cols) * (uint64_t)l->block_bytes + (layout_is_split(l) ? BOUND_BYTES : 0);
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

/* ---- two parts ---- */

/* The planes of a block's high part and, elsewhere, of its low one. */
typedef struct {
    Plane high[2], low[2];
} SplitPlanes;

static SplitPlanes split_planes(void)
{
    return (SplitPlanes){ { plane_of(4), plane_of(1) }, { plane_of(2), plane_of(1) } };
}

/* Adds the bits of the code of row r, column c of 32 to the two planes at `at`, or reads them there. */
static void put_bits(uint8_t *at, const Plane *p, int r, int c, int code)
{
    at[row_at(&p[0], r) + p[0].at[c]] |= (uint8_t)((code & p[0].mask) << p[0].shift[c]);
    at += SPAN * 32 * p[0].bits / 8;
    at[row_at(&p[1], r) + p[1].at[c]] |= (uint8_t)((code >> p[0].bits & p[1].mask) << p[1].shift[c]);
}

static int get_bits(const uint8_t *at, const Plane *p, int r, int c)
{
    int code = at[row_at(&p[0], r) + p[0].at[c]] >> p[0].shift[c] & p[0].mask;

    at += SPAN * 32 * p[0].bits / 8;
    return code | (at[row_at(&p[1], r) + p[1].at[c]] >> p[1].shift[c] & p[1].mask) << p[0].bits;
}

/* The smallest half that is not below x >= 0; what is no number stays none. */
static uint16_t half_above(double x)
{
    uint16_t h = f32_to_f16((float)x);

    while ((double)f16_to_f32(h) < x)
        h++;
    return h;
}

/* Row r of a tile, of which all bits are 0 still. */
static void pack_split(const SplitPlanes *p, const Format *f, uint8_t *tile, const uint8_t *row, int r, int64_t n_in)
{
    int64_t n = n_in / SPAN;
    uint8_t *bounds = tile + n * HIGH_BYTES;
    double rest = 0, all = 0;

    for (int64_t b = 0; b < n; b++) {
        uint8_t *high = tile + b * HIGH_BYTES, *low = bounds + BOUND_BYTES + b * LOW_BYTES;
        FormatScales scales = { 0 };
        int code[FORMAT_MAX_BLOCK] = { 0 };
        double d;

        if (row)
            format_codes(f, row + b * f->bytes, code, &scales);
        d = (double)f16_to_f32(scales.d);
        store16(high + HIGH_BYTES - 64 + 2 * r, scales.d);
        for (int c = 0; c < SPAN; c++) {
            int stored = code[c] + OFFSET_center128, part = stored & ((1 << LOW_BITS) - 1);

            put_bits(high, p->high, r, c, stored >> LOW_BITS);
            put_bits(low, p->low, r, c, part);
            rest += d * (part - 3.5) * (d * (part - 3.5));
            all += d * code[c] * (d * code[c]);
        }
    }
    /* Sums of a thousand doubles are right to 2^-43. */
    rest = sqrt(rest) * (1 + 1e-9);
    store16(bounds + 2 * r, half_above(rest));
    store16(bounds + 64 + 2 * r, half_above(sqrt(all) * (1 + 1e-9) + 2 * rest));
}

static void read_split(float *y, const uint8_t *tile, int r, int64_t n_in)
{
    const uint8_t *low = tile + n_in / SPAN * HIGH_BYTES + BOUND_BYTES;
    SplitPlanes p = split_planes();

    for (int64_t c = 0; c < n_in; c++) {
        const uint8_t *high = tile + c / SPAN * HIGH_BYTES;
        int code = get_bits(high, p.high, r, (int)(c % SPAN)) << LOW_BITS |
                   get_bits(low + c / SPAN * LOW_BYTES, p.low, r, (int)(c % SPAN));

        y[c] = f16_to_f32(load16(high + HIGH_BYTES - 64 + 2 * r)) * (float)(code - OFFSET_center128);
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

        assert(code[c] >= -1 && code[c] <= 1);
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

/* ---- rows as they are ---- */

static void pack_rows(const Format *f, uint8_t *tile, const uint8_t *rows, uint64_t row_stride_bytes, int n_rows, int n_all, int64_t n_in)
{
    uint64_t row_bytes = (uint64_t)(n_in / f->block) * (uint64_t)f->bytes;

    for (int r = 0; r < n_all; r++, tile += row_bytes) {
        if (r < n_rows) {
            memcpy(tile, rows + row_stride_bytes * (uint64_t)r, row_bytes);
            continue;
        }
        memset(tile, f == &format_table[FMT_q4_0] ? 0x88 : 0, row_bytes);              /* codes that stand for 0 */
        for (int64_t b = 0; b < n_in / f->block; b++)
            store16(tile + b * f->bytes, 0);
    }
}

void layout_pack_tile(const Layout *l, const Format *f, uint8_t *tile, const uint8_t *rows, uint64_t row_stride_bytes,
                      int n_rows, int64_t n_in)
{
    assert(layout_may_take(l, f) && n_rows >= 0 && n_rows <= l->rows && n_in % l->cols == 0 && n_in % f->block == 0);
    if (row_format(l)) {
        pack_rows(f, tile, rows, row_stride_bytes, n_rows, l->rows, n_in);
        return;
    }
    if (layout_is_split(l)) {
        SplitPlanes p = split_planes();

        memset(tile, 0, layout_tile_bytes(l, n_in));
        for (int r = 0; r < l->rows; r++)
            pack_split(&p, f, tile, r < n_rows ? rows + row_stride_bytes * (uint64_t)r : NULL, r, n_in);
        return;
    }
    if (holds_codes(l)) {
        pack_tile_of_codes(l, f, tile, rows, row_stride_bytes, n_rows, n_in);
        return;
    }
    if (n_rows < l->rows)
        memset(tile, 0, layout_tile_bytes(l, n_in));
    for (int r = 0; r < n_rows; r++) {
        const uint8_t *src = rows + row_stride_bytes * (uint64_t)r;

        if (value_format(l) != &format_table[FMT_f32]) {
            for (int64_t c = 0; c < n_in; c++)
                memcpy(tile + c * l->block_bytes + f->bytes * r, src + f->bytes * c, (size_t)f->bytes);
        } else {
            pack_decoded(l, f, tile, src, r, n_in);
        }
    }
}

void layout_row(const Layout *l, float *y, const uint8_t *tile, int r, int64_t n_in)
{
    Places p;

    assert(r >= 0 && r < l->rows && n_in % l->cols == 0);
    if (row_format(l)) {
        row_format(l)->decode(y, tile + layout_tile_bytes(l, n_in) / (uint64_t)l->rows * (uint64_t)r, n_in);
        return;
    }
    if (!holds_codes(l)) {
        const Format *f = value_format(l);

        for (int64_t c = 0; c < n_in; c++)
            f->decode(y + c, tile + c * l->block_bytes + f->bytes * r, 1);
        return;
    }
    if (layout_is_split(l)) {
        read_split(y, tile, r, n_in);
        return;
    }
    p = places_of(l);
    for (int64_t b = 0; b < n_in / l->cols; b++)
        if (l->bits)
            read_row(l, &p, y + b * l->cols, tile + b * l->block_bytes, r);
        else
            read_digits(l, y + b * l->cols, tile + b * l->block_bytes, r);
}
