/* Writing GGUF version 3.  Metadata and tensor records are kept as the bytes that they become (gguf.c draws them); their counts
 * come first in the file, so the header goes out when the last record is known.  Data are streamed: tensor after tensor, padded
 * between them. */
#include "compiler/import/model.h"

#include "ir/formats/internal.h"

typedef struct { uint64_t off, bytes; } Extent;

struct GgufWriter {
    Sink out;
    uint32_t alignment;
    Buf kv, info, extent;           /* extent: one Extent per tensor */
    uint64_t n_kv, n_tensor;
    uint64_t data_bytes;            /* of the tensors so far, padded */
    uint64_t i_tensor, at;          /* the tensor being written, bytes of the data section written */
    bool in_data;
};

static bool put_file(void *ctx, const void *p, size_t n)
{
    return out_write(ctx, p, n);
}

static bool put_buf(void *ctx, const void *p, size_t n)
{
    buf_put(ctx, p, n);
    return true;
}

Sink sink_file(OutFile *o)
{
    return (Sink){ put_file, o };
}

Sink sink_buf(Buf *b)
{
    return (Sink){ put_buf, b };
}

static void put_u32(Buf *b, uint32_t v)
{
    uint8_t bytes[4];

    store32(bytes, v);
    buf_put(b, bytes, sizeof bytes);
}

static void put_u64(Buf *b, uint64_t v)
{
    put_u32(b, (uint32_t)v);
    put_u32(b, (uint32_t)(v >> 32));
}

static void put_str(Buf *b, Str s)
{
    put_u64(b, s.n);
    buf_put(b, s.p, s.n);
}

static void put_float(Buf *b, float v)
{
    put_u32(b, float_bits(v));
}

static Buf *begin_kv(GgufWriter *w, Str key, MetaType type)
{
    if (w->in_data)
        bug("metadata after the data of a GGUF file have begun");
    w->n_kv++;
    put_str(&w->kv, key);
    put_u32(&w->kv, type);
    return &w->kv;
}

static Buf *begin_array(GgufWriter *w, const char *key, MetaType elem, uint64_t n)
{
    Buf *b = begin_kv(w, str_of(key), META_array);

    put_u32(b, elem);
    put_u64(b, n);
    return b;
}

GgufWriter *gguf_writer(Arena *a, Sink out, uint32_t alignment)
{
    GgufWriter *w = ARENA_NEW(a, GgufWriter);

    if (alignment < 8 || (alignment & (alignment - 1)) != 0)
        bug("%" PRIu32 " is not an alignment of GGUF", alignment);
    w->out = out;
    w->alignment = alignment;
    w->kv = w->info = w->extent = buf_in(a);
    if (alignment != 32)
        gguf_put_u32(w, "general.alignment", alignment);
    return w;
}

void gguf_put_u32(GgufWriter *w, const char *key, uint32_t v)
{
    put_u32(begin_kv(w, str_of(key), META_u32), v);
}

void gguf_put_i32(GgufWriter *w, const char *key, int32_t v)
{
    put_u32(begin_kv(w, str_of(key), META_i32), (uint32_t)v);
}

void gguf_put_u64(GgufWriter *w, const char *key, uint64_t v)
{
    put_u64(begin_kv(w, str_of(key), META_u64), v);
}

void gguf_put_f32(GgufWriter *w, const char *key, float v)
{
    put_float(begin_kv(w, str_of(key), META_f32), v);
}

void gguf_put_bool(GgufWriter *w, const char *key, bool v)
{
    buf_putc(begin_kv(w, str_of(key), META_bool), v);
}

void gguf_put_str(GgufWriter *w, const char *key, Str v)
{
    put_str(begin_kv(w, str_of(key), META_str), v);
}

void gguf_put_strs(GgufWriter *w, const char *key, const Str *v, uint64_t n)
{
    Buf *b = begin_array(w, key, META_str, n);

    for (uint64_t i = 0; i < n; i++)
        put_str(b, v[i]);
}

void gguf_put_i32s(GgufWriter *w, const char *key, const int32_t *v, uint64_t n)
{
    Buf *b = begin_array(w, key, META_i32, n);

    for (uint64_t i = 0; i < n; i++)
        put_u32(b, (uint32_t)v[i]);
}

void gguf_put_u32s(GgufWriter *w, const char *key, const uint32_t *v, uint64_t n)
{
    Buf *b = begin_array(w, key, META_u32, n);

    for (uint64_t i = 0; i < n; i++)
        put_u32(b, v[i]);
}

void gguf_put_f32s(GgufWriter *w, const char *key, const float *v, uint64_t n)
{
    Buf *b = begin_array(w, key, META_f32, n);

    for (uint64_t i = 0; i < n; i++)
        put_float(b, v[i]);
}

void gguf_put_bools(GgufWriter *w, const char *key, const bool *v, uint64_t n)
{
    Buf *b = begin_array(w, key, META_bool, n);

    for (uint64_t i = 0; i < n; i++)
        buf_putc(b, v[i]);
}

void gguf_put_kv(GgufWriter *w, const KeyValue *kv)
{
    Buf *b = begin_kv(w, kv->key, kv->type);

    if (kv->type == META_array) {
        put_u32(b, kv->elem);
        put_u64(b, kv->n);
    }
    for (uint64_t i = 0; kv->elem == META_str && i < kv->n; i++)
        put_str(b, kv->str[i]);
    if (kv->elem != META_str)
        buf_put(b, kv->p, kv->n * (uint64_t)meta_type_bytes(kv->elem));
}

void gguf_put_tensor(GgufWriter *w, Str name, const Format *f, int rank, const int64_t *dim)
{
    Extent e = { .off = w->data_bytes };
    uint64_t n = 1;

    if (w->in_data)
        bug("a tensor is declared after the data of a GGUF file have begun");
    if (rank < 1 || rank > MODEL_MAX_RANK || f->gguf_type < 0)
        bug("GGUF has no tensors of rank %d and format %s", rank, f->name);
    put_str(&w->info, name);
    put_u32(&w->info, (uint32_t)rank);
    for (int k = rank - 1; k >= 0; k--) {
        put_u64(&w->info, (uint64_t)dim[k]);
        if (dim[k] < 1 || !mul_ok(n, (uint64_t)dim[k], &n) || n > INT64_MAX)
            bug("a tensor's shape is impossible");
    }
    if (dim[rank - 1] % f->block != 0 || !format_bytes(f, (int64_t)n, &e.bytes))
        bug("a row of %" PRId64 " is not whole blocks of %s", dim[rank - 1], f->name);
    put_u32(&w->info, (uint32_t)f->gguf_type);
    put_u64(&w->info, e.off);
    buf_put(&w->extent, &e, sizeof e);
    w->n_tensor++;
    w->data_bytes = align_up(e.off + e.bytes, w->alignment);
}

static bool put_zeros(GgufWriter *w, uint64_t n)
{
    static const uint8_t zeros[64];

    for (uint64_t i = 0; i < n; ) {
        uint64_t k = n - i < sizeof zeros ? n - i : sizeof zeros;

        if (!w->out.put(w->out.ctx, zeros, k))
            return false;
        i += k;
    }
    return true;
}

bool gguf_begin_data(GgufWriter *w)
{
    Buf head = buf_in(w->kv.a);
    uint64_t n;

    buf_puts(&head, "GGUF");
    put_u32(&head, 3);
    put_u64(&head, w->n_tensor);
    put_u64(&head, w->n_kv);
    w->in_data = true;
    n = head.n + w->kv.n + w->info.n;
    return w->out.put(w->out.ctx, head.p, head.n) && w->out.put(w->out.ctx, w->kv.p, w->kv.n) &&
           w->out.put(w->out.ctx, w->info.p, w->info.n) && put_zeros(w, align_up(n, w->alignment) - n);
}

/* The extent of tensor i; buf_put copied it, so it may not be aligned. */
static Extent extent(const GgufWriter *w, uint64_t i)
{
    Extent e;

    memcpy(&e, w->extent.p + i * sizeof e, sizeof e);
    return e;
}

bool gguf_data(GgufWriter *w, const void *p, size_t n)
{
    const uint8_t *from = p;

    while (n) {
        Extent e;
        uint64_t room, k;

        if (w->i_tensor == w->n_tensor)
            bug("more data than the tensors of a GGUF file have");
        e = extent(w, w->i_tensor);
        if (w->at < e.off && !put_zeros(w, e.off - w->at))
            return false;
        w->at = w->at < e.off ? e.off : w->at;
        room = e.off + e.bytes - w->at;
        k = n < room ? n : room;
        if (!w->out.put(w->out.ctx, from, (size_t)k))
            return false;
        w->at += k;
        from += k;
        n -= (size_t)k;
        if (w->at == e.off + e.bytes)
            w->i_tensor++;
    }
    return true;
}

bool gguf_end(GgufWriter *w)
{
    if (!w->in_data || w->i_tensor != w->n_tensor)
        bug("a GGUF file ends with tensor %" PRIu64 " of %" PRIu64, w->i_tensor, w->n_tensor);
    return put_zeros(w, w->data_bytes - w->at);
}
