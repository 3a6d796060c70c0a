/* NAME.weights: the format is described in runtime/core/weights_format.h. */
#ifndef SN_WEIGHTS_H
#define SN_WEIGHTS_H

#include "ir/ir.h"

enum { WEIGHTS_CHUNK_BYTES = 256 * 1024, WEIGHTS_SMALL_ALIGN = 64, WEIGHTS_LARGE_ALIGN = 16 * 1024 };

/* Bytes before the first section of a file with so many sections, cut into so many chunks. */
uint64_t weights_header_bytes(uint64_t n_sections, uint64_t n_chunks);
uint64_t weights_chunks(uint64_t section_bytes);
/* Where a section of so many bytes begins that comes after byte `at`. */
uint64_t weights_align(uint64_t at, uint64_t section_bytes);

/* Writes the file at `path` (in a folder that is filled beside its final place), packing tile by tile from the weights' expressions, in
 * memory for one tile and one chunk.  *digest is what the generated code must know of it. */
typedef struct { uint64_t half[2]; } WeightsDigest;
bool weights_write(const Module *m, Diag *d, const char *path, WeightsDigest *digest);

#endif
