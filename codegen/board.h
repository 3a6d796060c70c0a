/* What a folder for a microcontroller has besides the model's own files (board.c). */
#ifndef SN_BOARD_H
#define SN_BOARD_H

#include "codegen/c.h"

/* An input or output of a network, for main.c. */
typedef struct {
    const char *name;               /* as the model calls it */
    const char *func;               /* the function of NAME.h that says where it lies: kws_input */
    uint64_t bytes;
} BoardPort;

/* An array of the weights that a stage has in a region of its own. */
typedef struct { const char *array, *region; } BoardPlaced;

/* The files that the folder's writer has written. */
typedef struct {
    const char *const *source;      /* C files, NULL-terminated; main.c is none of them, it is there if there is a board */
    const char *const *header;      /* their headers, likewise; NULL: not a network, whose headers no tool is told of */
    const char *weights;            /* the one of them whose constants are the weights, without ".c"; NULL: none */
    int64_t stack_bytes;            /* what the linker script sets aside unless `make STACK=` says otherwise */
    BoardPlaced *placed;            /* what lies elsewhere than the other weights */
    int n_placed;
    const BoardPort *in, *out;      /* of a network, whose main.c is written, too: n_in > 0; NAME.h has the API of docs/networks.md */
    int n_in, n_out;
} BoardSources;

/* Is it built without an operating system and a C library, for a microcontroller?  And for a board with memory and start-up code, too? */
bool is_microcontroller(const Module *m);
bool has_board(const Module *m);

/* Everything in the Module's `board.` metadata is what board.c can write; reports and returns false otherwise. */
bool board_check(const Module *m, Diag *d);

/* Writes what the folder's project kind wants around the sources.  plain: the Makefile for a library, and on a board also NAME.elf, NAME.bin, `make qemu` and `make size`; with startup.c, semihost.[ch] and the
 * linker script NAME.ld beside it.  The Module is one of is_microcontroller that board_check has passed. */
bool board_write(Writer *w, FileSet *fs, const char *dir, const BoardSources *s);

/* ---- project_kinds.c ---- */

/* What stands around the sources (`--project`): our Makefile, or what another tool wants. */
typedef enum { PROJECT_plain, PROJECT_arduino, PROJECT_zephyr } ProjectKind;
ProjectKind project_kind(const Module *m);
/* Moves the sources to src/ and writes what Arduino or Zephyr want to find around them. */
bool project_write(Writer *w, FileSet *fs, const char *dir, const BoardSources *s);
/* CMakeLists.txt and toolchain.cmake, beside the Makefile. */
bool cmake_write(Writer *w, FileSet *fs, const char *dir, const BoardSources *s);

#endif
