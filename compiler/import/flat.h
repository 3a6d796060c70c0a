/* FlatBuffers, as far as a reader of TFLite needs them: tables, vectors, strings, scalars.  [flatbuffers.dev, "FlatBuffer Internals"]
 *
 *     table   i32 back to its vtable, then its fields      vtable  u16 bytes of it, u16 bytes of the table, u16 offset of field i (0: not there)
 *     vector  u32 n, n elements                            string  u32 n, n bytes, 0
 *
 * What a field refers to lies u32 bytes behind that field.  All little-endian.
 *
 * Nothing is believed: a getter that would leave the file reports it once (`flat->ok` is false from then on) and answers as if the
 * field were not there.  Offsets only lead forwards, so a chain of references ends; what is wide (the same table reached many times)
 * is the caller's to bound. */
#ifndef SN_FLAT_H
#define SN_FLAT_H

#include "ir/base/base.h"

typedef struct {
    const uint8_t *p;
    uint64_t n;
    const char *path;           /* for messages */
    Diag *d;
    bool ok;
} Flat;

typedef struct { uint64_t at, vtable; uint16_t vtable_bytes, bytes; } FlatTable;     /* at 0: there is none */
typedef struct { uint64_t at, n; } FlatVector;                                       /* of its first element; n 0 also when it is not there */

FlatTable flat_root(Flat *f);

/* Scalars; `otherwise` where the field is not there. */
int64_t flat_int(Flat *f, const FlatTable *t, int field, int bytes, bool is_signed, int64_t otherwise);
float flat_float(Flat *f, const FlatTable *t, int field, float otherwise);

FlatTable flat_table(Flat *f, const FlatTable *t, int field);
Str flat_str(Flat *f, const FlatTable *t, int field);
/* A vector of elements of `bytes` bytes each, all inside the file. */
FlatVector flat_vector(Flat *f, const FlatTable *t, int field, int bytes);
FlatTable flat_table_in(Flat *f, FlatVector v, uint64_t i);                          /* v: of tables */
int64_t flat_int_in(const Flat *f, FlatVector v, uint64_t i, int bytes, bool is_signed);
float flat_float_in(const Flat *f, FlatVector v, uint64_t i);

#endif
