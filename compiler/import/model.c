/* Models: which importer reads a file, and looking things up in what it found.
 *
 * Keys and names are looked up by binary search in sorted arrays.  A hash table would be shorter to search, but its worst case
 * can be provoked by whoever writes the file; sorting costs n log n whatever the names are. */
#include "compiler/import/tflite.h"

#include <stdlib.h>

#include "ir/formats/internal.h"

enum { SHOWN = 120 };               /* bytes of a name from a file that a message shows */

/* ---- metadata values -------------------------------------------------------------------------- */

static const struct { const char *name; int bytes; } meta_types[N_META_TYPES] = {
    [META_u8] = { "u8", 1 },      [META_i8] = { "i8", 1 },     [META_u16] = { "u16", 2 }, [META_i16] = { "i16", 2 },
    [META_u32] = { "u32", 4 },    [META_i32] = { "i32", 4 },   [META_f32] = { "f32", 4 }, [META_bool] = { "bool", 1 },
    [META_str] = { "string", 0 }, [META_array] = { "array", 0 }, [META_u64] = { "u64", 8 }, [META_i64] = { "i64", 8 },
    [META_f64] = { "f64", 8 },
};

const char *meta_type_name(MetaType t)
{
    return meta_types[t].name;
}

int meta_type_bytes(MetaType t)
{
    return meta_types[t].bytes;
}

bool meta_is_int(MetaType t)
{
    return t != META_f32 && t != META_bool && t != META_str && t != META_array && t != META_f64;
}

static uint64_t load64(const uint8_t *p)
{
    return (uint64_t)load32(p) | (uint64_t)load32(p + 4) << 32;
}

bool kv_int(const KeyValue *kv, uint64_t i, int64_t *out)
{
    const uint8_t *p = kv->p + i * (uint64_t)meta_type_bytes(kv->elem);

    switch (kv->elem) {
    case META_u8: *out = p[0]; return true;
    case META_bool: *out = p[0] != 0; return true;
    case META_i8: *out = (int8_t)p[0]; return true;
    case META_u16: *out = load16(p); return true;
    case META_i16: *out = (int16_t)load16(p); return true;
    case META_u32: *out = load32(p); return true;
    case META_i32: *out = (int32_t)load32(p); return true;
    case META_i64: *out = (int64_t)load64(p); return true;
    case META_u64:
        if (load64(p) > INT64_MAX)
            return false;
        *out = (int64_t)load64(p);
        return true;
    default: return false;
    }
}

bool kv_float(const KeyValue *kv, uint64_t i, double *out)
{
    int64_t v;

    if (kv->elem == META_f32) {
        *out = bits_float(load32(kv->p + 4 * i));
        return true;
    }
    if (kv->elem == META_f64) {
        uint64_t bits = load64(kv->p + 8 * i);

        memcpy(out, &bits, sizeof bits);
        return true;
    }
    if (kv->elem == META_bool || !kv_int(kv, i, &v))
        return false;
    *out = (double)v;
    return true;
}

Str kv_str(const KeyValue *kv, uint64_t i)
{
    return kv->str[i];
}

/* ---- importers -------------------------------------------------------------------------------- */

typedef struct {
    int off;                        /* where the magic bytes stand */
    const char *magic;
    const char *name;
    Model *(*read)(Arena *a, Diag *d, Mapped file);         /* NULL: known, but not read */
    const char *advice;
} Importer;

static const Importer importers[] = {
    { 0, "GGUF", "GGUF", gguf_read, "" },
    { 0, "FUGG", "a big-endian GGUF file", NULL, "convert it with gguf_convert_endian.py of the gguf package" },
    { 0, "tjgg", "a GGJT file, which GGUF replaced", NULL, "convert the original model to GGUF" },
    { 0, "lmgg", "a GGML file, which GGUF replaced", NULL, "convert the original model to GGUF" },
    { 4, "TFL3", "a TensorFlow Lite model", tflite_read, "" },
    { 0, "PK\003\004", "a zip archive, perhaps of PyTorch", NULL, "convert the model to GGUF" },
    { 0, "version https://git-lfs", "a pointer of Git LFS, not the file itself", NULL, "fetch it with git lfs pull" },
    { 0, "<!DOCTYPE", "a web page", NULL, "the download got a page instead of the file" },
    { 0, NULL, NULL, NULL, NULL }
};

Model *model_read(Arena *a, Diag *d, Mapped file)
{
    Str bytes = { (const char *)file.p, (size_t)file.n };

    if (file.n == 0) {
        fail(d, AT_FILE(file.path), "is empty (download failed?)");
        return NULL;
    }
    for (const Importer *i = importers; i->magic; i++) {
        if (bytes.n < (size_t)i->off || !str_begins((Str){ bytes.p + i->off, bytes.n - (size_t)i->off }, i->magic))
            continue;
        if (i->read)
            return i->read(a, d, file);
        fail(d, AT_FILE(file.path), "is %s (%s)", i->name, i->advice);
        return NULL;
    }
    fail(d, AT_FILE(file.path), "is not a model that this sinter reads: it begins with '%s' "
         "(a GGUF file begins with 'GGUF')", str_show(a, (Str){ bytes.p, bytes.n < 8 ? bytes.n : 8 }, 8));
    return NULL;
}

Model *model_open(FileSet *fs, Arena *a, Diag *d, const char *path)
{
    Mapped file;

    return file_map(fs, a, d, path, &file) ? model_read(a, d, file) : NULL;
}

Digest model_digest(Model *m)
{
    if (digest_is_zero(m->digest))
        m->digest = digest_of(m->file.p, m->file.n);
    return m->digest;
}

static int by_name(const void *x, const void *y)
{
    const ModelTensor *a = *(const ModelTensor *const *)x, *b = *(const ModelTensor *const *)y;
    int c = str_cmp(a->name, b->name);

    return c ? c : (a > b) - (a < b);
}

void model_sort_tensors(Model *m)
{
    m->tensor_by_name = ARENA_ARRAY(m->a, const ModelTensor *, m->n_tensor + 1);
    for (uint64_t i = 0; i < m->n_tensor; i++)
        m->tensor_by_name[i] = &m->tensor[i];
    if (m->n_tensor)
        qsort(m->tensor_by_name, m->n_tensor, sizeof *m->tensor_by_name, by_name);
}

/* ---- looking up ------------------------------------------------------------------------------- */

const KeyValue *model_find_str(const Model *m, Str key)
{
    uint64_t lo = 0, hi = m->n_kv;

    while (lo < hi) {
        uint64_t mid = lo + (hi - lo) / 2;
        int c = str_cmp(m->kv_by_key[mid]->key, key);

        if (c == 0)
            return m->kv_by_key[mid];
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

const KeyValue *model_find(const Model *m, const char *key)
{
    return model_find_str(m, str_of(key));
}

const ModelTensor *model_tensor_str(const Model *m, Str name)
{
    uint64_t lo = 0, hi = m->n_tensor;

    while (lo < hi) {
        uint64_t mid = lo + (hi - lo) / 2;
        int c = str_cmp(m->tensor_by_name[mid]->name, name);

        if (c == 0)
            return m->tensor_by_name[mid];
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

const ModelTensor *model_tensor(const Model *m, const char *name)
{
    return model_tensor_str(m, str_of(name));
}

Loc model_at_key(const Model *m, Str key)
{
    return AT_WHAT(m->file.path, str_printf(m->a, "key '%s'", str_show(m->a, key, SHOWN)));
}

Loc model_at_tensor(const Model *m, Str name)
{
    return AT_WHAT(m->file.path, str_printf(m->a, "tensor '%s'", str_show(m->a, name, SHOWN)));
}

/* ---- typed getters ---------------------------------------------------------------------------- */

/* The key's value; NULL with *ok set to what the getter returns. */
static const KeyValue *find(const Model *m, Diag *d, const char *key, bool required, bool *ok)
{
    const KeyValue *kv = model_find(m, key);

    *ok = kv || !required;
    if (!*ok)
        fail(d, model_at_key(m, str_of(key)), "is missing (the file is not complete for its architecture: "
             "convert the model again)");
    return kv;
}

static bool wrong_type(const Model *m, Diag *d, const KeyValue *kv, const char *wanted)
{
    if (kv->type == META_array)
        return fail(d, model_at_key(m, kv->key), "is an array of %s, wanted is %s", meta_type_name(kv->elem), wanted);
    return fail(d, model_at_key(m, kv->key), "has the type %s, wanted is %s", meta_type_name(kv->type), wanted);
}

bool model_i64(const Model *m, Diag *d, const char *key, int64_t *out, bool required)
{
    bool ok;
    const KeyValue *kv = find(m, d, key, required, &ok);

    if (!kv)
        return ok;
    if (!meta_is_int(kv->type))
        return wrong_type(m, d, kv, "an integer");
    if (!kv_int(kv, 0, out))
        return fail(d, model_at_key(m, kv->key), "is too large for 63 bits");
    return true;
}

/* A u32 out of value i of kv. */
static bool get_u32(const Model *m, Diag *d, const KeyValue *kv, uint64_t i, uint32_t *out)
{
    int64_t v;

    if (!kv_int(kv, i, &v))
        return fail(d, model_at_key(m, kv->key), "is too large for 32 bits");
    if (v < 0 || v > UINT32_MAX)
        return fail(d, model_at_key(m, kv->key), "is %" PRId64 ", wanted is 0 .. 4294967295", v);
    *out = (uint32_t)v;
    return true;
}

bool model_u32(const Model *m, Diag *d, const char *key, uint32_t *out, bool required)
{
    bool ok;
    const KeyValue *kv = find(m, d, key, required, &ok);

    if (!kv)
        return ok;
    if (!meta_is_int(kv->type))
        return wrong_type(m, d, kv, "an integer");
    return get_u32(m, d, kv, 0, out);
}

bool model_f32(const Model *m, Diag *d, const char *key, float *out, bool required)
{
    bool ok;
    const KeyValue *kv = find(m, d, key, required, &ok);
    double v;

    if (!kv)
        return ok;
    if (kv->type == META_array || !kv_float(kv, 0, &v))
        return wrong_type(m, d, kv, "a number");
    *out = (float)v;
    return true;
}

bool model_bool(const Model *m, Diag *d, const char *key, bool *out, bool required)
{
    bool ok;
    const KeyValue *kv = find(m, d, key, required, &ok);

    if (!kv)
        return ok;
    if (kv->type != META_bool)
        return wrong_type(m, d, kv, "a boolean");
    *out = kv->p[0] != 0;
    return true;
}

bool model_str(const Model *m, Diag *d, const char *key, Str *out, bool required)
{
    bool ok;
    const KeyValue *kv = find(m, d, key, required, &ok);

    if (!kv)
        return ok;
    if (kv->type != META_str)
        return wrong_type(m, d, kv, "a string");
    *out = kv->str[0];
    return true;
}

bool model_array(const Model *m, Diag *d, const char *key, MetaType kind, const KeyValue **out, bool required)
{
    bool ok, fits;
    const KeyValue *kv = find(m, d, key, required, &ok);

    *out = NULL;
    if (!kv)
        return ok;
    fits = kind == META_i64 ? meta_is_int(kv->elem) :
           kind == META_f32 ? kv->elem == META_f32 || kv->elem == META_f64 : kv->elem == kind;
    if (kv->type != META_array || !fits)
        return wrong_type(m, d, kv, kind == META_str ? "an array of strings" : kind == META_f32 ? "an array of floats" :
                          kind == META_bool ? "an array of booleans" : "an array of integers");
    *out = kv;
    return true;
}

bool model_u32_layers(const Model *m, Diag *d, const char *key, uint32_t *out, uint32_t n, bool required)
{
    bool ok;
    const KeyValue *kv = find(m, d, key, required, &ok);

    if (!kv)
        return ok;
    if (!meta_is_int(kv->elem))
        return wrong_type(m, d, kv, "an integer, or an array of one for each layer");
    if (kv->type == META_array && kv->n != n)
        return fail(d, model_at_key(m, kv->key), "has %" PRIu64 " values, wanted is one for each of %" PRIu32 " layers",
                    kv->n, n);
    for (uint32_t i = 0; i < n; i++)
        if (!get_u32(m, d, kv, kv->type == META_array ? i : 0, &out[i]))
            return false;
    return true;
}
