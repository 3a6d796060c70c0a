/* What a weight expression is worth: rows as floats.
 *
 * Rows are asked for one at a time, so that nothing of a large model is ever held: a view decodes from the mapped file, the others
 * change a row on its way.  A row is the innermost dimension; all others are flattened into the row's number. */
#include "ir/internal.h"

#include <unistd.h>

bool round_to_format(const Format *f, float *x, int64_t n_row, int64_t n)
{
    uint8_t buf[1024];
    int64_t step = (int64_t)sizeof buf / f->bytes * f->block;       /* as many whole blocks as fit */

    if (f == &format_table[FMT_f32])
        return true;
    if (n_row % f->block || step == 0)
        return false;
    for (int64_t i = 0; i < n; i += step) {
        int64_t k = n - i < step ? n - i : step;

        f->encode(buf, x + i, k);
        f->decode(x + i, buf, k);
    }
    return true;
}

static const SourceFile *weights_file(const Module *m)
{
    for (int i = 0; i < m->n_file; i++)
        if (m->file[i].packed)
            return &m->file[i];
    return NULL;
}

static void fill_row(const WExpr *e, int64_t row, float *y)
{
    int64_t dim[MAX_RANK], n = dim_hi(type_last(e->type));
    float scale, base;

    for (int i = 0; i < e->type.rank; i++)
        dim[i] = dim_hi(e->type.dim[i]);
    fill_scale(e->name, e->type.rank, dim, &scale, &base);
    for (int64_t i = 0; i < n; i++)
        y[i] = fill_value(e->name, (uint64_t)(row * n + i), e->seed, scale, base);
}

/* A head's rows come as two halves (x0 x1 .. | y0 y1 ..) and leave as pairs (x0 y0 x1 y1 ..). */
static int64_t permuted_row(const WExpr *e, int64_t row)
{
    int64_t head = row / e->head_dim, i = row % e->head_dim;

    return head * e->head_dim + i / 2 + i % 2 * (e->head_dim / 2);
}

bool wexpr_row(const Module *m, const WExpr *e, int64_t row, float *y, Diag *d)
{
    int64_t n = dim_hi(type_last(e->type));
    const Format *f = e->type.fmt;
    uint64_t row_bytes;

    switch (e->kind) {
    case W_view:
        if (!m->file[e->file].p)
            return fail(d, AT_FILE(m->file[e->file].name), "the file is not at hand, and a weight lies in it");
        if (!format_bytes(f, n, &row_bytes))
            bug("a view whose rows are not whole blocks");
        f->decode(y, m->file[e->file].p + e->off + (uint64_t)row * row_bytes, n);
        return true;
    case W_fill:
        fill_row(e, row, y);
        return round_to_format(f, y, n, n);
    case W_const:
        for (int64_t i = 0; i < n; i++)
            y[i] = e->ints ? (float)e->ints[row * n + i] : e->value[row * n + i];
        return true;
    case W_convert:
        return wexpr_row(m, e->a, row, y, d) && round_to_format(f, y, n, n);
    case W_permute_rows:
        return wexpr_row(m, e->a, permuted_row(e, row), y, d);
    case W_packed:
        return fail(d, NOWHERE, "a packed weight is read through its layout");
    }
    bug("a weight expression of kind %d", e->kind);
}

bool wexpr_encoded_row(const Module *m, const WExpr *e, int64_t row, uint8_t *dst, float *x, Diag *d)
{
    int64_t n = dim_hi(type_last(e->type));
    uint64_t row_bytes;

    if (!format_bytes(e->type.fmt, n, &row_bytes))
        bug("a weight whose rows are not whole blocks");
    switch (e->kind) {
    case W_view:
        if (!m->file[e->file].p)
            return fail(d, AT_FILE(m->file[e->file].name), "the file is not at hand, and a weight lies in it");
        memcpy(dst, m->file[e->file].p + e->off + (uint64_t)row * row_bytes, row_bytes);
        return true;
    case W_permute_rows:
        return wexpr_encoded_row(m, e->a, permuted_row(e, row), dst, x, d);
    case W_fill:
        fill_row(e, row, x);
        break;
    case W_convert:
        if (!wexpr_row(m, e->a, row, x, d))
            return false;
        break;
    case W_const: case W_packed:
        if (!wexpr_row(m, e, row, x, d))
            return false;
    }
    e->type.fmt->encode(dst, x, n);
    return true;
}

/* One stored integer. */
static int32_t stored_int(const Format *f, const uint8_t *p)
{
    switch (format_id(f)) {
    case FMT_i8: return (int8_t)p[0];
    case FMT_u8: return p[0];
    case FMT_i16: return (int16_t)(p[0] | p[1] << 8);
    case FMT_i32: return (int32_t)(p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24);
    default: bug("integers of format %s", f->name);
    }
}

bool weight_row_ints(const Module *m, const Weight *w, int64_t row, int32_t *y, Diag *d)
{
    const WExpr *e = w->expr;
    int64_t n = dim_hi(type_last(w->type));
    const Format *f = w->type.fmt;
    const SourceFile *file;

    if (row < 0 || row >= type_n_rows(w->type))
        return fail(d, AT_WHAT(NULL, w->name), "row %" PRId64 " of %" PRId64, row, type_n_rows(w->type));
    if (e->kind == W_const) {
        memcpy(y, e->ints + row * n, (size_t)n * sizeof *y);
        return true;
    }
    if ((e->kind != W_view && e->kind != W_packed) || f->kind != FORMAT_int || f->bytes > 4)
        return fail(d, AT_WHAT(NULL, w->name), "integers of format %s are not read from such a weight", f->name);
    file = e->kind == W_view ? &m->file[e->file] : weights_file(m);
    if (!file || !file->p)
        return fail(d, file ? AT_FILE(file->name) : AT_WHAT(NULL, w->name), "the file is not at hand, and a weight lies in it");
    if (e->off > file->bytes || (uint64_t)((row + 1) * n * f->bytes) > file->bytes - e->off)
        return fail(d, AT_WHAT(file->name, w->name), "it lies outside the file");
    for (int64_t i = 0; i < n; i++)
        y[i] = stored_int(f, file->p + e->off + (uint64_t)((row * n + i) * f->bytes));
    return true;
}

static bool at_hand(const Module *m, const WExpr *e)
{
    for (; e; e = e->a)
        if (e->kind == W_packed || (e->kind == W_view && !m->file[e->file].p))
            return false;
    return true;
}

static bool packed_row(const Module *m, const Weight *w, int64_t row, float *y, Diag *d)
{
    const SourceFile *f = weights_file(m);
    int64_t n_in = dim_hi(type_last(w->type)), tile = row / w->layout->rows;
    uint64_t off, tile_bytes = layout_tile_bytes(w->layout, n_in);

    if (!f || !f->p)
        return fail(d, AT_WHAT(NULL, w->name), "the weights file is not at hand");
    if (!mul_ok((uint64_t)tile, w->tile_stride, &off) || !add_ok(off, w->off, &off) || off > f->bytes ||
        tile_bytes > f->bytes - off)
        return fail(d, AT_WHAT(f->name, w->name), "its tiles lie outside the weights file");
    layout_row(w->layout, y, f->p + off, (int)(row % w->layout->rows), n_in);
    return true;
}

bool weight_row(const Module *m, const Weight *w, int64_t row, float *y, Diag *d)
{
    if (row < 0 || row >= type_n_rows(w->type))
        return fail(d, AT_WHAT(NULL, w->name), "row %" PRId64 " of %" PRId64, row, type_n_rows(w->type));
    if (w->layout && !at_hand(m, w->expr))
        return packed_row(m, w, row, y, d);
    return wexpr_row(m, w->expr, row, y, d);
}

/* Files are looked for under their last component only: a Module's text cannot name a file elsewhere. */
bool module_attach(Module *m, FileSet *fs, Diag *d, const char *dir, bool check)
{
    bool *missing = ARENA_ARRAY(m->a, bool, m->n_file + 1), ok = true;

    for (int i = 0; i < m->n_file; i++) {
        SourceFile *f = &m->file[i];
        char *path = path_join(m->a, dir, path_base(f->name));
        Mapped map;

        if (f->p)
            continue;
        if (access(path, F_OK)) {
            missing[i] = true;
            continue;
        }
        if (!file_map(fs, m->a, d, path, &map)) {
            ok = false;
        } else if (map.n != f->bytes) {
            ok = fail(d, AT_FILE(path), "it has %" PRIu64 " bytes, but the Module was made from a file of %" PRIu64 " (another version?)",
                      map.n, f->bytes);
        } else if (check && !digest_eq(digest_of(map.p, map.n), f->digest)) {
            ok = fail(d, AT_FILE(path), "its digest is %s, but the Module was made from %s (another version?)",
                      digest_hex(m->a, digest_of(map.p, map.n)), digest_hex(m->a, f->digest));
        } else {
            f->p = map.p;
        }
    }
    for (int i = 0; i < m->n_weight; i++) {                 /* a source file is not missed where the packed weights are there */
        const Weight *w = m->weight[i];
        const SourceFile *packed = weights_file(m);

        if (w->layout && packed && packed->p)
            continue;
        for (const WExpr *e = w->expr; e; e = e->a)
            if (e->kind == W_view && missing[e->file]) {
                missing[e->file] = false;
                ok = fail(d, AT_FILE(path_join(m->a, dir, path_base(m->file[e->file].name))),
                          "the file is missing; weight '%s' lies in it (put it beside the .sir)", w->name);
            }
    }
    return ok;
}
