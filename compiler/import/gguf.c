/* GGUF, versions 2 and 3: the file format of llama.cpp.  (docs/gguf.md of the ggml project is its description.)
 *
 *     byte 0    "GGUF"
 *          4    u32 version
 *          8    u64 n_tensors
 *         16    u64 n_kv
 *         24    n_kv times      string key, u32 type, value
 *               n_tensors times string name, u32 rank, u64 dim[rank] (innermost first), u32 type, u64 offset
 *               padding to general.alignment (32)
 *               tensor data; offsets count from here, each a multiple of the alignment
 *
 *     string = u64 n, n bytes.   array value = u32 type, u64 n, n values.   All little-endian.
 *
 * Versions 2 and 3 differ only in that 3 also has a big-endian variant, which is refused.
 *
 * Nothing in the file is believed.  The cursor never passes the end; a count is compared with the bytes that so many things
 * would need at least before memory is asked for, so memory stays within a small multiple of the file's size; names are compared
 * by sorting, so time is n log n.  What can be judged alone (a tensor of unknown type, of odd offset) is reported for every
 * tensor; where the structure itself is broken, reading ends. */
#include "compiler/import/model.h"

#include <stdlib.h>

#include "ir/formats/internal.h"

enum {
    VERSION_MIN = 2, VERSION_MAX = 3,
    KV_BYTES_MIN = 8 + 4 + 1,               /* empty key, type, one byte */
    TENSOR_BYTES_MIN = 8 + 4 + 8 + 4 + 8,   /* empty name, rank, one dimension, type, offset */
    DEFAULT_ALIGNMENT = 32,
    SHOWN = 120                             /* bytes of a name that a message shows */
};

/* Names of GGUF's tensor types, by number; NULL: never used or withdrawn.  (ggml.h, enum ggml_type.) */
static const char *const type_names[] = {
    [0] = "f32", [1] = "f16", [2] = "q4_0", [3] = "q4_1", [6] = "q5_0", [7] = "q5_1", [8] = "q8_0", [9] = "q8_1",
    [10] = "q2_K", [11] = "q3_K", [12] = "q4_K", [13] = "q5_K", [14] = "q6_K", [15] = "q8_K", [16] = "iq2_xxs",
    [17] = "iq2_xs", [18] = "iq3_xxs", [19] = "iq1_s", [20] = "iq4_nl", [21] = "iq3_s", [22] = "iq2_s", [23] = "iq4_xs",
    [24] = "i8", [25] = "i16", [26] = "i32", [27] = "i64", [28] = "f64", [29] = "iq1_m", [30] = "bf16", [34] = "tq1_0",
    [35] = "tq2_0", [39] = "mxfp4", [40] = "nvfp4", [41] = "q1_0"
};

const char *gguf_type_name(uint32_t type)
{
    return type < sizeof type_names / sizeof *type_names ? type_names[type] : NULL;
}

/* ---- the cursor ------------------------------------------------------------------------------- */

typedef struct {
    Arena *a;
    Diag *d;
    Model *m;
    const uint8_t *p;
    uint64_t pos, n;
    const char *what;               /* what is being read, for messages */
} Cursor;

static Loc here(const Cursor *c)
{
    Loc at = AT_OFF(c->m->file.path, c->pos);

    at.what = c->what;
    return at;
}

/* n more bytes are there. */
static bool have(Cursor *c, uint64_t n, const char *thing)
{
    if (n <= c->n - c->pos)
        return true;
    return fail(c->d, here(c), "the file ends inside %s: %" PRIu64 " bytes wanted, %" PRIu64 " left "
                "(download incomplete?)", thing, n, c->n - c->pos);
}

static bool read_u32(Cursor *c, uint32_t *out, const char *thing)
{
    if (!have(c, 4, thing))
        return false;
    *out = load32(c->p + c->pos);
    c->pos += 4;
    return true;
}

static bool read_u64(Cursor *c, uint64_t *out, const char *thing)
{
    if (!have(c, 8, thing))
        return false;
    *out = (uint64_t)load32(c->p + c->pos) | (uint64_t)load32(c->p + c->pos + 4) << 32;
    c->pos += 8;
    return true;
}

static bool read_str(Cursor *c, Str *out, const char *thing)
{
    uint64_t n;

    if (!read_u64(c, &n, thing))
        return false;
    if (n > c->n - c->pos) {
        c->pos -= 8;
        return fail(c->d, here(c), "%s claims %" PRIu64 " bytes, but %" PRIu64 " follow "
                    "(download incomplete, or a damaged file)", thing, n, c->n - c->pos - 8);
    }
    *out = (Str){ (const char *)c->p + c->pos, (size_t)n };
    c->pos += n;
    return true;
}

/* A count of things that need at least `each` bytes. */
static bool count_ok(Cursor *c, uint64_t n, uint64_t each, const char *things)
{
    if (n <= (c->n - c->pos) / each)
        return true;
    return fail(c->d, here(c), "the file claims %" PRIu64 " %s, but has only %" PRIu64 " bytes for them "
                "(download incomplete, or a damaged file)", n, things, c->n - c->pos);
}

/* ---- metadata --------------------------------------------------------------------------------- */

/* kv->n values of type kv->elem. */
static bool read_values(Cursor *c, KeyValue *kv)
{
    uint64_t bytes;

    kv->off = c->pos;
    kv->p = c->p + c->pos;
    if (kv->elem == META_str) {
        Str *s;

        if (!count_ok(c, kv->n, 8, "strings"))
            return false;
        s = ARENA_ARRAY(c->a, Str, kv->n);
        kv->str = s;
        for (uint64_t i = 0; i < kv->n; i++)
            if (!read_str(c, &s[i], "a string"))
                return false;
        return true;
    }
    if (!count_ok(c, kv->n, (uint64_t)meta_type_bytes(kv->elem), "values"))
        return false;
    bytes = kv->n * (uint64_t)meta_type_bytes(kv->elem);
    for (uint64_t i = 0; kv->elem == META_bool && i < kv->n; i++)
        if (kv->p[i] > 1) {
            c->pos += i;
            return fail(c->d, here(c), "a boolean has the value %d (a damaged file)", kv->p[i]);
        }
    c->pos += bytes;
    return true;
}

static bool type_ok(Cursor *c, uint32_t type)
{
    if (type < N_META_TYPES)
        return true;
    c->pos -= 4;
    return fail(c->d, here(c), "metadata type %" PRIu32 " is not known (file newer than this sinter, or damaged)", type);
}

static bool read_kv(Cursor *c, KeyValue *kv, uint64_t i)
{
    uint32_t type;

    c->what = str_printf(c->a, "metadata %" PRIu64, i);
    if (!read_str(c, &kv->key, "a key"))
        return false;
    if (kv->key.n == 0)
        return fail(c->d, here(c), "the key is empty (a damaged file)");
    c->what = str_printf(c->a, "key '%s'", str_show(c->a, kv->key, SHOWN));
    if (!read_u32(c, &type, "the type of a value") || !type_ok(c, type))
        return false;
    kv->type = kv->elem = (MetaType)type;
    kv->n = 1;
    if (kv->type == META_array) {
        if (!read_u32(c, &type, "the type of an array") || !type_ok(c, type))
            return false;
        if (type == META_array)
            return fail(c->d, here(c), "arrays in arrays are not used by any model (a damaged file?)");
        kv->elem = (MetaType)type;
        if (!read_u64(c, &kv->n, "the length of an array"))
            return false;
    }
    return read_values(c, kv);
}

static int by_key(const void *x, const void *y)
{
    const KeyValue *a = *(const KeyValue *const *)x, *b = *(const KeyValue *const *)y;
    int c = str_cmp(a->key, b->key);

    return c ? c : (a > b) - (a < b);       /* equal keys: in the order of the file */
}

static bool read_metadata(Cursor *c)
{
    Model *m = c->m;
    bool ok = true;

    m->kv = ARENA_ARRAY(c->a, KeyValue, m->n_kv);
    m->kv_by_key = ARENA_ARRAY(c->a, const KeyValue *, m->n_kv);
    for (uint64_t i = 0; i < m->n_kv; i++) {
        if (!read_kv(c, &m->kv[i], i))
            return false;
        m->kv_by_key[i] = &m->kv[i];
    }
    c->what = NULL;
    if (m->n_kv)
        qsort(m->kv_by_key, m->n_kv, sizeof *m->kv_by_key, by_key);
    for (uint64_t i = 1; i < m->n_kv; i++)
        if (str_eq(m->kv_by_key[i - 1]->key, m->kv_by_key[i]->key))
            ok = fail(c->d, model_at_key(m, m->kv_by_key[i]->key), "is there twice (convert the model again)");
    return ok;
}

static bool read_alignment(Cursor *c)
{
    Model *m = c->m;

    m->alignment = DEFAULT_ALIGNMENT;
    if (!model_u32(m, c->d, "general.alignment", &m->alignment, false))
        return false;
    if (m->alignment == 0 || (m->alignment & (m->alignment - 1)) != 0)
        return fail(c->d, model_at_key(m, STR("general.alignment")), "is %" PRIu32 ", which is not a power of two "
                    "(a damaged file)", m->alignment);
    return true;
}

/* ---- tensors ---------------------------------------------------------------------------------- */

/* What a tensor's record says.  A mistake in it alone leaves t->fmt NULL and is remembered in *ok; false: the end of reading. */
static bool read_tensor(Cursor *c, ModelTensor *t, uint64_t i, bool *ok)
{
    uint32_t rank, type;
    uint64_t dim[MODEL_MAX_RANK], n = 1;
    bool sound = true;
    Loc at;

    c->what = str_printf(c->a, "tensor %" PRIu64, i);
    if (!read_str(c, &t->name, "a tensor's name"))
        return false;
    at = model_at_tensor(c->m, t->name);
    c->what = at.what;
    if (t->name.n == 0)
        return fail(c->d, here(c), "the name of a tensor is empty (a damaged file)");
    if (!read_u32(c, &rank, "a tensor's rank"))
        return false;
    if (rank < 1 || rank > MODEL_MAX_RANK)
        return fail(c->d, here(c), "has %" PRIu32 " dimensions; 1 to %d are possible (a damaged file)", rank,
                    MODEL_MAX_RANK);
    t->rank = (int)rank;
    for (uint32_t k = 0; k < rank; k++)
        if (!read_u64(c, &dim[k], "a tensor's shape"))
            return false;
    if (!read_u32(c, &type, "a tensor's type") || !read_u64(c, &t->off, "a tensor's offset"))
        return false;

    for (uint32_t k = 0; k < rank && sound; k++) {
        if (dim[k] == 0)
            sound = fail(c->d, at, "dimension %" PRIu32 " is 0 (a damaged file)", k);
        else if (!mul_ok(n, dim[k], &n) || n > INT64_MAX)
            sound = fail(c->d, at, "its shape has more than 2^63 elements (a damaged file)");
        else
            t->dim[rank - 1 - k] = (int64_t)dim[k];         /* here, once, they are turned round */
    }
    t->fmt = format_of_gguf_type(type);
    if (!t->fmt && gguf_type_name(type))
        sound = fail(c->d, at, "type %" PRIu32 " (%s) is not supported by this sinter (requantize the model, "
                     "for example to q8_0 or q4_1)", type, gguf_type_name(type));
    else if (!t->fmt)
        sound = fail(c->d, at, "type %" PRIu32 " is not a known format (file newer than this sinter?)", type);
    if (sound && t->dim[rank - 1] % t->fmt->block != 0)
        sound = fail(c->d, at, "rows of %" PRId64 " elements are not whole blocks of %d, which format %s needs "
                     "(a damaged file)", t->dim[rank - 1], t->fmt->block, t->fmt->name);
    else if (sound && !format_bytes(t->fmt, (int64_t)n, &t->bytes))
        sound = fail(c->d, at, "it would be larger than 2^64 bytes (a damaged file)");
    if (t->off % c->m->alignment != 0)
        sound = fail(c->d, at, "its data begin at offset %" PRIu64 ", which is not a multiple of the alignment %" PRIu32
                     " (a damaged file)", t->off, c->m->alignment);
    if (!sound) {
        t->fmt = NULL;
        *ok = false;
    }
    return true;
}

/* Offsets in the file, and that they lie inside it.  A cut file is one mistake, however many tensors it hits. */
static bool place_tensors(Cursor *c)
{
    Model *m = c->m;
    const ModelTensor *first = NULL;
    uint64_t n_outside = 0, room = c->n - m->data_off, wanted = 0;

    for (uint64_t i = 0; i < m->n_tensor; i++) {
        ModelTensor *t = &m->tensor[i];
        uint64_t end;

        if (!t->fmt)
            continue;
        if (!add_ok(t->off, t->bytes, &end) || !add_ok(end, m->data_off, &end))
            end = UINT64_MAX;
        if (t->off > room || t->bytes > room - t->off) {
            if (n_outside++ == 0)
                first = t;
            wanted = end > wanted ? end : wanted;
            continue;
        }
        t->off += m->data_off;
        t->p = c->p + t->off;
    }
    if (n_outside > 1)
        return fail(c->d, model_at_tensor(m, first->name), "its data, and those of %" PRIu64 " more tensors, lie outside the "
                    "file (download incomplete? the file has %" PRIu64 " bytes, they end at %" PRIu64 ")", n_outside - 1,
                    c->n, wanted);
    if (n_outside == 1)
        return fail(c->d, model_at_tensor(m, first->name), "its data lie outside the file (download incomplete? "
                    "the file has %" PRIu64 " bytes, they end at %" PRIu64 ")", c->n, wanted);
    return true;
}

static int by_offset(const void *x, const void *y)
{
    const ModelTensor *a = *(const ModelTensor *const *)x, *b = *(const ModelTensor *const *)y;

    return a->off != b->off ? (a->off > b->off) - (a->off < b->off) : (a > b) - (a < b);
}

/* Names are unique, and no byte belongs to two tensors. */
static bool tensors_apart(Cursor *c)
{
    Model *m = c->m;
    const ModelTensor **t = m->tensor_by_name;
    bool ok = true;

    if (m->n_tensor == 0)
        return true;
    qsort(t, m->n_tensor, sizeof *t, by_offset);
    for (uint64_t i = 1; i < m->n_tensor; i++)
        if (t[i - 1]->fmt && t[i]->fmt && t[i - 1]->p && t[i]->p && t[i]->off - t[i - 1]->off < t[i - 1]->bytes)
            ok = fail(c->d, model_at_tensor(m, t[i]->name), "its data overlap those of tensor '%s' (a damaged file)",
                      str_show(c->a, t[i - 1]->name, SHOWN));
    model_sort_tensors(m);
    t = m->tensor_by_name;
    for (uint64_t i = 1; i < m->n_tensor; i++)
        if (str_eq(t[i - 1]->name, t[i]->name))
            ok = fail(c->d, model_at_tensor(m, t[i]->name), "is there twice (convert the model again)");
    return ok;
}

static bool read_tensors(Cursor *c)
{
    Model *m = c->m;
    bool ok = true;

    m->tensor = ARENA_ARRAY(c->a, ModelTensor, m->n_tensor);
    m->tensor_by_name = ARENA_ARRAY(c->a, const ModelTensor *, m->n_tensor);
    for (uint64_t i = 0; i < m->n_tensor; i++) {
        if (!read_tensor(c, &m->tensor[i], i, &ok))
            return false;
        m->tensor_by_name[i] = &m->tensor[i];
    }
    c->what = NULL;
    m->data_off = align_up(c->pos, m->alignment);
    if (m->data_off > c->n) {
        if (m->n_tensor)
            return fail(c->d, here(c), "the file ends before the tensors' data (download incomplete?)");
        m->data_off = c->n;                                 /* a vocabulary alone need not be padded */
    }
    ok = place_tensors(c) && ok;
    return tensors_apart(c) && ok;
}

/* ---- the file --------------------------------------------------------------------------------- */

Model *gguf_read(Arena *a, Diag *d, Mapped file)
{
    Model *m = ARENA_NEW(a, Model);
    Cursor c = { .a = a, .d = d, .m = m, .p = file.p, .n = file.n, .pos = 4 };
    uint32_t version;

    m->a = a;
    m->file = file;
    m->name = path_base(file.path);
    if (!read_u32(&c, &version, "the header"))
        return NULL;
    c.pos = 4;
    if (version != 0 && (version & 0xffff) == 0) {
        fail(d, here(&c), "the file is big-endian (convert it with gguf_convert_endian.py of the gguf package)");
        return NULL;
    }
    if (version < VERSION_MIN) {
        fail(d, here(&c), "GGUF version %" PRIu32 " is too old (convert the original model again)", version);
        return NULL;
    }
    if (version > VERSION_MAX) {
        fail(d, here(&c), "GGUF version %" PRIu32 " is newer than this sinter, which knows 2 and 3", version);
        return NULL;
    }
    m->container = version == 2 ? "GGUF version 2" : "GGUF version 3";
    c.pos = 8;
    if (!read_u64(&c, &m->n_tensor, "the header") || !read_u64(&c, &m->n_kv, "the header"))
        return NULL;
    if (!count_ok(&c, m->n_kv, KV_BYTES_MIN, "metadata values") || !count_ok(&c, m->n_tensor, TENSOR_BYTES_MIN, "tensors"))
        return NULL;
    if (!read_metadata(&c) || !read_alignment(&c) || !read_tensors(&c))
        return NULL;
    return m;
}
