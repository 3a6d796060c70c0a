/* A Model: what a file says, before anybody asks what it means.  Metadata and tensors as views into the mapped file; no graph.
 *
 *   model.c        the table of importers by magic bytes; looking up and reading metadata
 *   gguf.c         GGUF versions 2 and 3
 *   gguf_write.c   a GGUF writer: test models, `sinter quantize`
 *   tflite.c       TensorFlow Lite; flat.c reads its FlatBuffer
 *
 * Strings and tensor data are hostile: names are any bytes, arrays any length that the file really has.  Importers have checked
 * that everything lies inside the file, that sizes do not overflow, that names are unique and that tensors do not overlap. */
#ifndef SN_MODEL_H
#define SN_MODEL_H

#include "ir/base/base.h"
#include "ir/formats.h"

/* ---- metadata ----------------------------------------------------------------------------------------------------- */

/* The numbers are GGUF's. */
typedef enum {
    META_u8, META_i8, META_u16, META_i16, META_u32, META_i32, META_f32, META_bool, META_str, META_array,
    META_u64, META_i64, META_f64,
    N_META_TYPES
} MetaType;
const char *meta_type_name(MetaType t);                      /* "u32", "array", ... */
int meta_type_bytes(MetaType t);                             /* of one little-endian value; 0 for str and array */

typedef struct {
    Str key;
    MetaType type;              /* META_array: n values of type `elem` */
    MetaType elem;              /* of a scalar: = type */
    uint64_t n;                 /* values; of a scalar 1 */
    const uint8_t *p;           /* where they lie in the file; numbers and booleans: little-endian, not aligned */
    const Str *str;             /* strings: n of them, views into the file */
    uint64_t off;               /* where the value begins in the file */
} KeyValue;

/* Value i < n.  kv_int: elem must be an integer type or bool (u64 above INT64_MAX gives false). */
bool kv_int(const KeyValue *kv, uint64_t i, int64_t *out);
bool kv_float(const KeyValue *kv, uint64_t i, double *out);  /* f32, f64 or an integer type */
Str kv_str(const KeyValue *kv, uint64_t i);                  /* elem must be META_str */
bool meta_is_int(MetaType t);                                /* u8 .. i64, not bool */

/* ---- tensors ------------------------------------------------------------------------------------------------------ */

enum { MODEL_MAX_RANK = 4 };
typedef struct {
    Str name;
    const Format *fmt;
    int rank;                   /* 1 .. 4 */
    int64_t dim[MODEL_MAX_RANK];/* outermost first, each > 0; the innermost a multiple of the format's block */
    uint64_t off;               /* in the file */
    uint64_t bytes;
    const uint8_t *p;           /* = file.p + off */
} ModelTensor;

/* ---- the model ---------------------------------------------------------------------------------------------------- */

typedef struct {
    Arena *a;                   /* everything but the mapping is in it */
    Mapped file;                /* path as the user wrote it */
    const char *name;           /* of the file, without folders */
    const char *container;      /* "GGUF version 3" */
    uint64_t data_off;          /* where the tensors' data begin */
    uint32_t alignment;         /* of tensors, bytes */
    KeyValue *kv; uint64_t n_kv;                             /* in the order of the file */
    ModelTensor *tensor; uint64_t n_tensor;                  /* in the order of the file */
    const KeyValue **kv_by_key;                              /* sorted by key */
    const ModelTensor **tensor_by_name;                      /* sorted by name */
    struct TfGraph *graph;      /* what a file of TensorFlow Lite computes (tflite.h); NULL: the file holds tensors alone */
    Digest digest;              /* zero until model_digest has been asked */
} Model;

/* Makes tensor_by_name of the tensors there are; names are unique or keep the file's order. */
void model_sort_tensors(Model *m);

/* Maps a file and reads what its importer finds.  NULL after reports.  All but the mapping is in the arena. */
Model *model_open(FileSet *fs, Arena *a, Diag *d, const char *path);
/* The same for bytes in memory (tests, fuzzing): file.path names them in messages. */
Model *model_read(Arena *a, Diag *d, Mapped file);

/* XXH3-128 of the whole file, computed at the first call. */
Digest model_digest(Model *m);

const KeyValue *model_find(const Model *m, const char *key);         /* NULL: no such key */
const KeyValue *model_find_str(const Model *m, Str key);
const ModelTensor *model_tensor(const Model *m, const char *name);   /* NULL: no such tensor */
const ModelTensor *model_tensor_str(const Model *m, Str name);

/* Typed getters.  false after a report: the key is missing although required, or its value has another type or does not fit.
 * A key that is missing and not required gives true and leaves *out as it was: put the default there first.  Integers may be
 * stored in any integer type, floats as f32 or f64. */
bool model_u32(const Model *m, Diag *d, const char *key, uint32_t *out, bool required);
bool model_i64(const Model *m, Diag *d, const char *key, int64_t *out, bool required);
bool model_f32(const Model *m, Diag *d, const char *key, float *out, bool required);
bool model_bool(const Model *m, Diag *d, const char *key, bool *out, bool required);
bool model_str(const Model *m, Diag *d, const char *key, Str *out, bool required);
/* An array of strings (META_str), of f32 (META_f32: f32 or f64), of any integers (META_i64) or of booleans (META_bool).
 * Missing and not required: *out = NULL. */
bool model_array(const Model *m, Diag *d, const char *key, MetaType kind, const KeyValue **out, bool required);
/* One number per layer: an array of exactly n, or one number that holds for all.  Missing and not required: out as it was. */
bool model_u32_layers(const Model *m, Diag *d, const char *key, uint32_t *out, uint32_t n, bool required);

/* Where in the model something is: for fail(d, model_at_key(m, key), ...).  The text is in the arena. */
Loc model_at_key(const Model *m, Str key);
Loc model_at_tensor(const Model *m, Str name);

/* ---- gguf.c ------------------------------------------------------------------------------------------------------- */

Model *gguf_read(Arena *a, Diag *d, Mapped file);
const char *gguf_type_name(uint32_t type);                   /* "q4_K"; NULL: not a number that GGUF has */

/* ---- gguf_write.c ------------------------------------------------------------------------------------------------- */

/* Where bytes go: a function, so that a file, a buffer and a test look the same.  false: it failed and has reported. */
typedef struct { bool (*put)(void *ctx, const void *p, size_t n); void *ctx; } Sink;
Sink sink_file(OutFile *o);
Sink sink_buf(Buf *b);

/* A GGUF version 3 file, written front to back: first all metadata and tensor names, then the data of the tensors in the same
 * order, in pieces of any size.
 *
 *     GgufWriter *w = gguf_writer(a, sink_file(out), 32);
 *     gguf_put_str(w, "general.architecture", STR("llama"));
 *     gguf_put_tensor(w, STR("output.weight"), format_find(STR("q8_0")), 2, (int64_t[]){ 49152, 576 });
 *     ok = gguf_begin_data(w) && gguf_data(w, rows, n) && ... && gguf_end(w);
 *
 * Writing more or fewer bytes than a tensor has is a bug().  Keys and names are copied, arrays too. */
typedef struct GgufWriter GgufWriter;
GgufWriter *gguf_writer(Arena *a, Sink out, uint32_t alignment);     /* a power of two >= 8; other than 32 is noted as a key */
void gguf_put_u32(GgufWriter *w, const char *key, uint32_t v);
void gguf_put_i32(GgufWriter *w, const char *key, int32_t v);
void gguf_put_u64(GgufWriter *w, const char *key, uint64_t v);
void gguf_put_f32(GgufWriter *w, const char *key, float v);
void gguf_put_bool(GgufWriter *w, const char *key, bool v);
void gguf_put_str(GgufWriter *w, const char *key, Str v);
void gguf_put_strs(GgufWriter *w, const char *key, const Str *v, uint64_t n);
void gguf_put_i32s(GgufWriter *w, const char *key, const int32_t *v, uint64_t n);
void gguf_put_u32s(GgufWriter *w, const char *key, const uint32_t *v, uint64_t n);
void gguf_put_f32s(GgufWriter *w, const char *key, const float *v, uint64_t n);
void gguf_put_bools(GgufWriter *w, const char *key, const bool *v, uint64_t n);
void gguf_put_kv(GgufWriter *w, const KeyValue *kv);         /* a copy of what another file has */
/* dim is outermost first; the innermost must be whole blocks. */
void gguf_put_tensor(GgufWriter *w, Str name, const Format *f, int rank, const int64_t *dim);
bool gguf_begin_data(GgufWriter *w);
bool gguf_data(GgufWriter *w, const void *p, size_t n);      /* continues with the next tensor where one ends */
bool gguf_end(GgufWriter *w);

#endif
