/* codegen: a scheduled Module -> files.  Prints decisions and makes none: the same Module gives the same bytes, whether it comes from the
 * passes or from its .sir text with the weights file beside it.
 *
 *   emit.c       the writer, and the doors through which text from a model reaches C, make, JSON, HTML and file names
 *   weights.c    NAME.weights: header, table of sections, tiles, tables
 *   c.c          NAME.h, NAME_internal.h, NAME.c: API, tables, schedule
 *   stage.c      NAME_ISA.c: stage functions
 *   names.c      what things are called in the emitted C
 *   sources.c    runtime sources, renamed
 *   project.c    the folder: Makefile, CMakeLists.txt, manifest.json, NAME.sir
 *   report.c     report.html
 *   kernels.h    the kernel library as the kernel reader saw it                                                                 */
#ifndef SN_CODEGEN_H
#define SN_CODEGEN_H

#include "ir/ir.h"

/* How work is cut: what a target may ask for (targets/NAME.yaml, `tuning`), and what is taken where nothing is said.  Bytes, but for
 * `span` (positions of the cache) and `tokens`. */
enum {
    PREFETCH_DEFAULT = 8192, PREFETCH_STEP = 64, PREFETCH_MOST = 1 << 20,
    CHUNK_DEFAULT = 16384, CHUNK_STEP = 1024, CHUNK_MOST = 1 << 24,
    SPAN_DEFAULT = 128, SPAN_STEP = 16, SPAN_MOST = 1024,
    TOKENS_DEFAULT = 32, TOKENS_MOST = 4096
};

/* Of a thread's scratch: what a head of two stages keeps there (SnBest in runtime/kernels). */
enum { BEST_BYTES = 384 };

/* Where a stage's operand or result lies: a byte offset in the arena, or one of these (pass memory writes them, the C writer reads them). */
enum {
    PLACE_none = -1,                /* a weight or a state: found through its parameter */
    PLACE_later = -2,               /* inside pass memory only: the caller decides */
    PLACE_input = -100,             /* PLACE_input - i: the entry's i-th input, in the caller's memory */
    PLACE_output = -200             /* PLACE_output - i: the entry's i-th result, in the caller's memory */
};

/* Writes the whole folder into `dir` (which exists). */
bool codegen_folder(const Module *m, FileSet *fs, const char *dir, Diag *d);

/* Sources of the runtime and targets that sinter carries inside (generated: codegen/tools/embed.c). */
typedef struct { const char *path; const char *text; size_t n; } Embedded;
extern const Embedded embedded_files[];                      /* ended by path NULL; path as in the tree: "runtime/core/threads.c" */
const Embedded *embedded_find(const char *path);

#endif
