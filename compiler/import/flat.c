/* FlatBuffers: see flat.h. */
#include "compiler/import/flat.h"

#include "ir/formats/internal.h"

/* n bytes at `at` lie inside the file. */
static bool inside(Flat *f, uint64_t at, uint64_t n)
{
    if (at <= f->n && n <= f->n - at)
        return true;
    if (f->ok)
        fail(f->d, AT_OFF(f->path, at < f->n ? at : f->n), "something is said to lie at byte %" PRIu64 " with %" PRIu64
             " bytes, but the file has %" PRIu64 " (download incomplete, or a damaged file)", at, n, f->n);
    return f->ok = false;
}

static int64_t number(const uint8_t *p, int bytes, bool is_signed)
{
    uint64_t v = 0;

    for (int i = 0; i < bytes; i++)
        v |= (uint64_t)p[i] << (8 * i);
    if (is_signed && bytes < 8 && v >> (8 * bytes - 1))
        v |= ~(uint64_t)0 << (8 * bytes);
    return (int64_t)v;
}

/* The table at `at`: its vtable is read and checked, so that fields can be looked up without a report. */
static FlatTable table_at(Flat *f, uint64_t at)
{
    FlatTable t = { .at = at };
    int64_t vtable;

    if (!inside(f, at, 4))
        return (FlatTable){ 0 };
    vtable = (int64_t)at - number(f->p + at, 4, true);
    if (vtable < 0 || !inside(f, (uint64_t)vtable, 4)) {
        if (f->ok)
            fail(f->d, AT_OFF(f->path, at), "a table's list of fields is said to lie outside the file (a damaged file)");
        f->ok = false;
        return (FlatTable){ 0 };
    }
    t.vtable = (uint64_t)vtable;
    t.vtable_bytes = load16(f->p + vtable);
    t.bytes = load16(f->p + vtable + 2);
    return inside(f, t.vtable, t.vtable_bytes) && inside(f, at, t.bytes) ? t : (FlatTable){ 0 };
}

/* Where a field's `bytes` bytes lie; 0: it is not there. */
static uint64_t field_at(Flat *f, const FlatTable *t, int field, int bytes)
{
    uint32_t slot = 4 + 2 * (uint32_t)field;
    uint16_t off;

    if (!t->at || slot + 2 > t->vtable_bytes)
        return 0;
    off = load16(f->p + t->vtable + slot);
    if (!off)
        return 0;
    if (off + bytes > t->bytes) {
        if (f->ok)
            fail(f->d, AT_OFF(f->path, t->at), "a table's field %d lies outside its table (a damaged file)", field);
        f->ok = false;
        return 0;
    }
    return t->at + off;
}

/* What a field refers to; 0: the field is not there. */
static uint64_t target(Flat *f, uint64_t at)
{
    return at ? at + load32(f->p + at) : 0;
}

FlatTable flat_root(Flat *f)
{
    return inside(f, 0, 8) ? table_at(f, load32(f->p)) : (FlatTable){ 0 };
}

int64_t flat_int(Flat *f, const FlatTable *t, int field, int bytes, bool is_signed, int64_t otherwise)
{
    uint64_t at = field_at(f, t, field, bytes);

    return at ? number(f->p + at, bytes, is_signed) : otherwise;
}

float flat_float(Flat *f, const FlatTable *t, int field, float otherwise)
{
    uint64_t at = field_at(f, t, field, 4);

    return at ? bits_float(load32(f->p + at)) : otherwise;
}

FlatTable flat_table(Flat *f, const FlatTable *t, int field)
{
    uint64_t at = target(f, field_at(f, t, field, 4));

    return at ? table_at(f, at) : (FlatTable){ 0 };
}

FlatVector flat_vector(Flat *f, const FlatTable *t, int field, int bytes)
{
    uint64_t at = target(f, field_at(f, t, field, 4)), n, size;

    if (!at || !inside(f, at, 4))
        return (FlatVector){ 0 };
    n = load32(f->p + at);
    return mul_ok(n, (uint64_t)bytes, &size) && inside(f, at + 4, size) ? (FlatVector){ at + 4, n } : (FlatVector){ 0 };
}

Str flat_str(Flat *f, const FlatTable *t, int field)
{
    FlatVector v = flat_vector(f, t, field, 1);

    return (Str){ v.n ? (const char *)f->p + v.at : "", (size_t)v.n };
}

FlatTable flat_table_in(Flat *f, FlatVector v, uint64_t i)
{
    return i < v.n ? table_at(f, target(f, v.at + 4 * i)) : (FlatTable){ 0 };
}

int64_t flat_int_in(const Flat *f, FlatVector v, uint64_t i, int bytes, bool is_signed)
{
    return i < v.n ? number(f->p + v.at + i * (uint64_t)bytes, bytes, is_signed) : 0;
}

float flat_float_in(const Flat *f, FlatVector v, uint64_t i)
{
    return i < v.n ? bits_float(load32(f->p + v.at + 4 * i)) : 0;
}
