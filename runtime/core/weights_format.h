/* NAME.weights: one file of packed weights and tables, used in place.  All integers are
 * little-endian.
 *
 *     0             64                   hashes                sections, in ascending order
 *     | WeightsFile | WeightsSection x n | u64 per chunk | 0 pad | tiles | 0 pad | tables |
 *     '-------------- header_bytes ---------------------------'
 *
 * - Every section begins at a multiple of 64 bytes; one of more than 256 KiB at a multiple of 16
 *   KiB, so that it has pages (and on a phone 16 KiB pages) of its own.  Sections ascend and do
 *   not overlap; bytes between them are 0.
 * - A section is cut into chunks of chunk_bytes, the last one shorter; a chunk never spans
 *   sections.  Each chunk has an XXH64 (seed 0), at hash_off in the header area, so that a chunk
 *   can be checked when it is first read.
 * - digest is two XXH64 of the bytes 32 .. header_bytes-1, with seeds 0 and 1.  These bytes hold
 *   the hash of every chunk, so the digest stands for the whole file, and checking it at load
 *   reads a few kilobytes only.  The generated code holds the digest of its weights: another file,
 *   or one of another build, is refused.
 * - Names: tensors as in the model, cut to 39 bytes and only informative; blobs ("tok") are found
 *   by name.
 * - XXH64 guards against accidents, not against attackers.
 *
 * Written by codegen/weights.c, read by runtime/core/weights.c. */
#ifndef NAME_WEIGHTS_FORMAT_H
#define NAME_WEIGHTS_FORMAT_H

#include <stdint.h>

enum {
    NAME_WEIGHTS_VERSION = 1,
    NAME_WEIGHTS_CHUNK = 256 * 1024,
    NAME_WEIGHTS_DIGESTED = 32,         /* where the bytes that the digest covers begin */
    NAME_WEIGHTS_SMALL_ALIGN = 64,
    NAME_WEIGHTS_LARGE_ALIGN = 16384,   /* of sections of more than NAME_WEIGHTS_CHUNK bytes */
    NAME_SECTION_WEIGHTS = 1,           /* packed tensors */
    NAME_SECTION_BLOB = 2               /* a table with a format of its own */
};
#define NAME_WEIGHTS_MAGIC "SINTERW1"   /* 8 bytes, no terminator in the file */

typedef struct {
    char magic[8];
    uint32_t version;
    uint32_t zero;
    uint64_t digest[2];
    uint64_t header_bytes;           /* this struct, the sections and the hashes; a multiple of 8 */
    uint64_t file_bytes;
    uint32_t n_sections;
    uint32_t chunk_bytes;               /* NAME_WEIGHTS_CHUNK */
    uint64_t zero2;
} NAME_WeightsFile;

typedef struct {
    char name[40];                      /* terminated */
    uint64_t off;                       /* in the file */
    uint64_t bytes;                     /* > 0 */
    uint64_t hash_off;          /* in the file, below header_bytes, a multiple of 8: n_chunks u64 */
    uint32_t n_chunks;                  /* bytes / chunk_bytes, rounded up */
    uint32_t kind;                      /* NAME_SECTION_... */
} NAME_WeightsSection;

/* sizeof is what the picture says */
typedef char NAME_weights_file_is_64_bytes[sizeof(NAME_WeightsFile) == 64 ? 1 : -1];
typedef char NAME_weights_section_is_72_bytes[sizeof(NAME_WeightsSection) == 72 ? 1 : -1];

#endif
