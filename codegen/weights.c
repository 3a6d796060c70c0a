/* NAME.weights, written front to back; the header comes last, when the hashes of all chunks are
 * known.
 *
 * Sections are weights in ascending order of their place: those whose tiles interleave (gate and
 * up) are one section.  A weight whose expression is a view of the source file is transcoded from
 * the mapped bytes, 32 rows at a time; of any other expression the rows are made in the weight's
 * format, and then transcoded the same way.  A Module read from a .sir has its weights
 * packed already: they are copied from the weights file beside it. */
#include "codegen/weights.h"

#include "runtime/core/weights_format.h"

#include <errno.h>
#include <stdlib.h>
#include <xxhash.h>

/* What is written at once, from multiples of it.  Linux keeps what one call wrote in pages as large as that, on file systems that can,
 * and maps them with one entry of the page table each: reading the weights is a tenth faster then. */
enum { WRITE_BYTES = 2 << 20 };

uint64_t weights_header_bytes(uint64_t n_sections, uint64_t n_chunks)
{
    return sizeof(NAME_WeightsFile) + n_sections * sizeof(NAME_WeightsSection) + 8 * n_chunks;
}

uint64_t weights_chunks(uint64_t section_bytes)
{
    return (section_bytes + WEIGHTS_CHUNK_BYTES - 1) / WEIGHTS_CHUNK_BYTES;
}

uint64_t weights_align(uint64_t at, uint64_t section_bytes)
{
    return align_up(at, section_bytes > WEIGHTS_CHUNK_BYTES ? WEIGHTS_LARGE_ALIGN
                                                            : WEIGHTS_SMALL_ALIGN);
}

/* One section: weights whose tiles interleave, or a blob. */
typedef struct {
    uint64_t off, bytes;
    Weight *const *w;
    int n;
    const Blob *blob;
} Section;

typedef struct {
    const Module *m;
    Diag *d;
    FILE *f;
    const char *path;
    uint64_t at;    /* bytes written so far */
    uint8_t *chunk; /* of the present section, not yet hashed */
    size_t n_in_chunk;
    uint64_t *hash;
    int n_hash;
    bool ok;
} Out;

static void put_raw(Out *o, const void *p, size_t n)
{
    if (o->ok && fwrite(p, 1, n, o->f) != n)
        o->ok = fail(o->d, AT_FILE(o->path), "cannot be written: %s", strerror(errno));
    o->at += n;
}

static void end_chunk(Out *o)
{
    if (!o->n_in_chunk)
        return;
    o->hash[o->n_hash++] = XXH64(o->chunk, o->n_in_chunk, 0);
    put_raw(o, o->chunk, o->n_in_chunk);
    o->n_in_chunk = 0;
}

static void put(Out *o, const void *p, uint64_t n)
{
    const uint8_t *b = p;

    while (n) {
        size_t k = WEIGHTS_CHUNK_BYTES - o->n_in_chunk;

        k = k < n ? k : (size_t)n;
        memcpy(o->chunk + o->n_in_chunk, b, k);
        o->n_in_chunk += k;
        b += k;
        n -= k;
        if (o->n_in_chunk == WEIGHTS_CHUNK_BYTES)
            end_chunk(o);
    }
}

static void pad_to(Out *o, uint64_t off)
{
    static const uint8_t zero[4096];

    while (o->at < off)
        put_raw(o, zero, off - o->at < sizeof zero ? (size_t)(off - o->at) : sizeof zero);
}

/* ---- one tile ---- */

/* Room for 32 rows as floats and encoded, and for a tile: enough for the largest weight. */
typedef struct {
    float *row;
    uint8_t *rows;
    uint8_t *tile;
} Work;

static bool pack_tile(Out *o, const Weight *w, int64_t i_tile, Work *k)
{
    const Module *m = o->m;
    int64_t n_in = 1, n_out = type_n_rows(w->type), first = 32 * i_tile;
    int n = n_out - first < 32 ? (int)(n_out - first) : 32;
    uint64_t stride;

    dim_is_const(type_last(w->type), &n_in);
    format_bytes(w->type.fmt, n_in, &stride);
    if (w->expr->kind == W_view) {
        const uint8_t *p = m->file[w->expr->file].p;

        if (!p)
            return fail(
                o->d,
                AT_WHAT(m->file[w->expr->file].name, str_printf(m->a, "weight '%s'", w->name)),
                "its source file is not at hand (put it beside the .sir)");
        layout_pack_tile(w->layout, w->type.fmt, k->tile,
                         p + w->expr->off + (uint64_t)first * stride, stride, n, n_in);
        return true;
    }
    for (int i = 0; i < n; i++)
        if (!wexpr_encoded_row(m, w->expr, first + i, k->rows + (uint64_t)i * stride, k->row, o->d))
            return false;
    layout_pack_tile(w->layout, w->type.fmt, k->tile, k->rows, stride, n, n_in);
    return true;
}

/* A row of integers, little-endian. */
static bool put_ints(Out *o, const Weight *w, Work *k)
{
    int64_t n_in = 1, n_out = type_n_rows(w->type);
    int32_t *x = (int32_t *)(void *)k->row;

    dim_is_const(type_last(w->type), &n_in);
    for (int64_t i = 0; i < n_out; i++) {
        if (!weight_row_ints(o->m, w, i, x, o->d))
            return false;
        for (int64_t c = 0; c < n_in; c++)
            put(o, &x[c], (uint64_t)w->type.fmt->bytes);
    }
    return true;
}

static bool put_rowmajor(Out *o, const Weight *w, Work *k)
{
    int64_t n_in = 1, n_out = type_n_rows(w->type);

    if (w->type.fmt->kind == FORMAT_int)
        return put_ints(o, w, k);
    dim_is_const(type_last(w->type), &n_in);
    for (int64_t i = 0; i < n_out; i++) {
        if (!weight_row(o->m, w, i, k->row, o->d))
            return false;
        put(o, k->row,
            (uint64_t)n_in * sizeof(float)); /* little-endian machines only, as everywhere */
    }
    return true;
}

static const SourceFile *packed_file(const Module *m)
{
    for (int i = 0; i < m->n_file; i++)
        if (m->file[i].packed)
            return &m->file[i];
    return NULL;
}

static bool put_section(Out *o, const Section *s, Work *k)
{
    const SourceFile *packed = packed_file(o->m);
    bool copy = s->blob ? !s->blob->p : s->w[0]->expr->kind == W_packed;

    pad_to(o, s->off);
    if (copy) {
        if (!packed || !packed->p || s->off > packed->bytes || s->bytes > packed->bytes - s->off)
            return fail(
                o->d, AT_FILE(o->path),
                "the packed weights are not at hand (keep the .weights file beside the .sir)");
        put(o, packed->p + s->off, s->bytes);
    } else if (s->blob) {
        put(o, s->blob->p, s->blob->n);
    } else if (s->w[0]->layout->rows == 1) {
        if (!put_rowmajor(o, s->w[0], k))
            return false;
    } else {
        int64_t n_in = 1, n_tile = (type_n_rows(s->w[0]->type) + 31) / 32;
        uint64_t bytes;

        dim_is_const(type_last(s->w[0]->type), &n_in);
        bytes = layout_tile_bytes(s->w[0]->layout, n_in);
        for (int64_t i = 0; i < n_tile; i++)
            for (int q = 0; q < s->n; q++) {
                if (!pack_tile(o, s->w[q], i, k))
                    return false;
                put(o, k->tile, bytes);
            }
    }
    end_chunk(o);
    return o->ok;
}

/* ---- the file ---- */

static int by_place(const void *a, const void *b)
{
    const Weight *x = *(Weight *const *)a, *y = *(Weight *const *)b;

    return x->off < y->off ? -1 : x->off > y->off;
}

static int list_sections(const Module *m, Weight **sorted, Section *out)
{
    int n_weight = 0, n = 0;

    for (int i = 0; i < m->n_weight; i++)
        if (m->weight[i]->layout)
            sorted[n_weight++] = m->weight[i];
    if (n_weight)
        qsort(sorted, (size_t)n_weight, sizeof sorted[0], by_place);
    for (int i = 0; i < n_weight;) {
        int64_t n_in = 1;
        int together;
        Section *s = &out[n++];

        dim_is_const(type_last(sorted[i]->type), &n_in);
        together = sorted[i]->layout->rows == 1
                       ? 1
                       : (int)(sorted[i]->tile_stride / layout_tile_bytes(sorted[i]->layout, n_in));
        *s = (Section){ .off = sorted[i]->off, .w = &sorted[i], .n = together };
        for (int k = 0; k < together && i < n_weight; k++)
            s->bytes += sorted[i++]->bytes;
    }
    for (int i = 0; i < m->n_blob; i++)
        out[n++] = (Section){ .off = m->blob[i].off, .bytes = m->blob[i].n, .blob = &m->blob[i] };
    return n;
}

static void name_section(NAME_WeightsSection *s, const Section *from)
{
    const char *name = from->blob ? from->blob->name : from->w[0]->name;
    size_t n = strlen(name);

    memcpy(s->name, name, n < sizeof s->name - 1 ? n : sizeof s->name - 1);
}

static void largest(const Module *m, int64_t *n_in_max, uint64_t *tile_max, uint64_t *row_max)
{
    *n_in_max = 1;
    *tile_max = *row_max = 1;
    for (int i = 0; i < m->n_weight; i++) {
        const Weight *w = m->weight[i];
        int64_t n_in = 1;
        uint64_t row = 0, tile;

        if (!w->layout)
            continue;
        dim_is_const(type_last(w->type), &n_in);
        format_bytes(w->type.fmt, n_in, &row);
        tile = layout_tile_bytes(w->layout, n_in);
        *n_in_max = n_in > *n_in_max ? n_in : *n_in_max;
        *tile_max = tile > *tile_max ? tile : *tile_max;
        *row_max = row > *row_max ? row : *row_max;
    }
}

bool weights_write(const Module *m, Diag *d, const char *path, WeightsDigest *digest)
{
    Arena *a = m->a;
    int n, cap = m->n_weight + m->n_blob + 1;
    Weight **sorted = ARENA_ARRAY(a, Weight *, cap);
    Section *s = ARENA_ARRAY(a, Section, cap);
    uint64_t n_chunk = 0, header_bytes, tile_max, row_max;
    int64_t n_in_max;
    uint8_t *header;
    NAME_WeightsFile file = { .magic = { 'S', 'I', 'N', 'T', 'E', 'R', 'W', '1' },
                              .version = NAME_WEIGHTS_VERSION,
                              .chunk_bytes = WEIGHTS_CHUNK_BYTES };
    Out o = { .m = m, .d = d, .path = path, .ok = true };
    Work k;
    char *buffer = NULL;

    n = list_sections(m, sorted, s);
    for (int i = 0; i < n; i++)
        n_chunk += weights_chunks(s[i].bytes);
    header_bytes = weights_header_bytes((uint64_t)n, n_chunk);
    header = arena_alloc(a, (size_t)header_bytes, 1);
    largest(m, &n_in_max, &tile_max, &row_max);
    k.row = ARENA_ARRAY(a, float, n_in_max);
    k.rows = arena_alloc(a, 32, (size_t)row_max);
    k.tile = arena_alloc(a, 1, (size_t)tile_max);
    o.hash = ARENA_ARRAY(a, uint64_t, n_chunk + 1);
    o.chunk = arena_alloc(a, WEIGHTS_CHUNK_BYTES, 1);
    if (m->weights_bytes >= WRITE_BYTES)
        buffer = arena_alloc(a, WRITE_BYTES, 1);
    o.f = fopen(path,
                "wb"); /* nothing below allocates from the arena: the file is closed for certain */
    if (!o.f)
        return fail(d, AT_FILE(path), "cannot be created: %s", strerror(errno));
    if (buffer)
        setvbuf(o.f, buffer, _IOFBF, WRITE_BYTES);
    put_raw(&o, header, (size_t)header_bytes);
    for (int i = 0; i < n && o.ok; i++) {
        NAME_WeightsSection *h = (NAME_WeightsSection *)(void *)(header + sizeof file) + i;

        name_section(h, &s[i]);
        h->off = s[i].off;
        h->bytes = s[i].bytes;
        h->hash_off = header_bytes - 8 * n_chunk + 8 * (uint64_t)o.n_hash;
        h->n_chunks = (uint32_t)weights_chunks(s[i].bytes);
        h->kind = s[i].blob ? NAME_SECTION_BLOB : NAME_SECTION_WEIGHTS;
        o.ok = put_section(&o, &s[i], &k) && o.ok;
        progress(d, "packing weights", o.at, m->weights_bytes);
    }
    pad_to(&o, m->weights_bytes);
    memcpy(header + header_bytes - 8 * n_chunk, o.hash, 8 * (size_t)n_chunk);
    file.header_bytes = header_bytes;
    file.file_bytes = m->weights_bytes;
    file.n_sections = (uint32_t)n;
    memcpy(header, &file, sizeof file);
    for (int i = 0; i < 2; i++)
        file.digest[i] = digest->half[i] =
            XXH64(header + NAME_WEIGHTS_DIGESTED, (size_t)header_bytes - NAME_WEIGHTS_DIGESTED,
                  (unsigned long long)i);
    memcpy(header, &file, sizeof file);
    if (o.ok && fseek(o.f, 0, SEEK_SET))
        o.ok = fail(d, AT_FILE(path), "cannot be written: %s", strerror(errno));
    put_raw(&o, header, (size_t)header_bytes);
    if (fclose(o.f) && o.ok)
        o.ok = fail(d, AT_FILE(path), "cannot be written: %s", strerror(errno));
    return o.ok;
}
