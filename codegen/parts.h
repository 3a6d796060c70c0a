/* Which sources of runtime/ become which file of an emitted folder, and the functions of codegen that only project.c calls. */
#ifndef SN_PARTS_H
#define SN_PARTS_H

#include "codegen/c.h"
#include "codegen/weights.h"

extern const char *const runtime_parts[], *const runtime_parts_one_thread[], *const runtime_parts_bare[], *const text_parts[];
extern const char *const main_parts[], *const main_parts_bare[];      /* bare: of microcontrollers */

/* The text of an embedded source with NAME replaced, its #includes of our own headers left out; and of several, one after another. */
void put_source(Buf *out, const char *path, const char *name);
void put_sources(Buf *out, const char *const *paths, const char *name);

/* NAME.h, NAME_internal.h, NAME.c and the files of each target. */
bool write_model(Writer *w, FileSet *fs, const char *dir, WeightsDigest digest);

#endif
