/* What the parts of the writer for networks share (docs/networks.md shows the folder).
 *
 *   net.c           NAME.h and NAME.c
 *   net_stage.c     stage functions: kernels with their descriptors, loops
 *   net_loops.c     stages that are plain loops: element by element, sums, moves
 *   net_products.c  stages that are plain loops: contractions without a kernel, moves by tables, functions of the library
 *   net_weights.c   NAME_weights.h, NAME_weights.c: what the stages read, packed for their kernels
 *   net_project.c   main.c, NAME_selftest.c, Makefile, CMakeLists.txt
 *   net_check.c     what all of them rely on                                                                                    */
#ifndef SN_CODEGEN_NET_H
#define SN_CODEGEN_NET_H

#include "codegen/c.h"
#include "codegen/net_layer.h"

/* One input or output of the network, as the emitted C calls it. */
typedef struct {
    const char *name;           /* what the model calls it */
    const char *func;           /* "kws_input", or "kws_input_1" where there are several: a function that says where it lies */
    const char *macro;          /* "kws_INPUT", "kws_INPUT_1": _BYTES is its size in bytes, _SCALE and _ZERO of int8 its quantization, where known */
    const char *type;           /* C type of its elements */
    const char *meta;           /* "input.0": what begins the names of its facts in the Module's meta */
    Type shape;
    uint64_t bytes;
    int64_t at;                 /* where it lies in the memory */
} NetPort;

/* Inputs (outputs) in order; their number. */
int net_ports(const Writer *w, bool output, NetPort **ports);

/* One array of NAME_weights.c. */
typedef struct {
    const char *name, *type, *comment;
    const void *p;              /* the numbers: of `type` uint32_t: bytes, little-endian, filled up to words with zeros */
    uint64_t n;                 /* how many; words of uint32_t */
    const char *region;         /* of the board, NULL: where weights lie */
} NetArray;

/* A network while it is printed. */
typedef struct {
    Writer *w;
    const Func *f;
    const KernelUnit *unit;
    bool *wanted;               /* of the unit's entities */
    NetArray *array;
    int n_array, cap_array;
    const char *region;         /* for the arrays of the stage that is printed */
    bool ok;
} NetWriter;

/* A stage while it is printed. */
typedef struct {
    NetWriter *z;
    Emit *e;
    const Op *s;
    NetStage k;                 /* the part at hand: of a chain first the one, then the other */
    const char *name;
    const char *layout;         /* which attribute says how the part's weights are packed */
} NetCode;

/* ---- net_stage.c ---- */

/* The function of a stage; its comment says what it reads and writes. */
void net_write_stage(NetWriter *z, Emit *e, const Op *fused);
/* A kernel or helper by its C name: it and what it needs will be in the kernels' header. */
const char *net_use(NetWriter *z, const char *kernel);
const char *net_c_type(const Format *f);
/* Address of byte `at` of the memory m as a pointer to elements of f. */
const char *net_address(NetWriter *z, int64_t at, const Format *f, bool readonly);
/* The place of operand i, of the result. */
int64_t net_place_in(const Op *fused, int i);
int64_t net_place_out(const Op *fused);
/* A float constant. */
const char *net_float_c(NetWriter *z, double x);

/* ---- net_loops.c ---- */

void net_write_map(NetCode *c);
void net_write_sum(NetCode *c);
void net_write_move(NetCode *c);
/* Operand i of a stage's first op as a C pointer (which is declared), or as the name of an array of constants. */
const char *net_moved(NetCode *c, const Op *o, int i);

/* What follows op o, the first of a stage, element by element.  net_tail declares its operands; net_tail_write computes it of one sum, called `name`, at
 * channel c of the innermost dimension, `i` elements before it. */
typedef struct NetTail NetTail;
NetTail *net_tail(NetCode *c, const Op *o);
void net_tail_write(NetTail *t, const Value *sum, const char *name);

/* ---- net_products.c ---- */

void net_write_products(NetCode *c);
void net_write_call(NetCode *c);
void net_write_gather(NetCode *c, const Op *o, const char *x, const char *index);
void net_write_argmax(NetCode *c, const Op *o, const char *x);

/* ---- net_weights.c ---- */

/* Adds an array; its name, with the model's in front. */
const char *net_add_array(NetWriter *z, const char *stage, const char *what, const char *type, const void *p, uint64_t n, const char *comment);
/* The same of `bytes` bytes as words. */
const char *net_add_words(NetWriter *z, const char *stage, const char *what, const uint8_t *p, uint64_t bytes, const char *comment);
void net_write_weights(NetWriter *z, Buf *header, Buf *source);

/* ---- net_project.c ---- */

void net_write_main(Writer *w, Buf *b);
void net_write_selftest(Writer *w, Buf *b);
void net_write_makefile(Writer *w, Buf *b);
void net_write_cmake(Writer *w, Buf *b);

/* ---- net.c ---- */

/* NAME.h, NAME.c, NAME_weights.[ch], NAME_selftest.c, kernels_ISA.h, main.c, Makefile, CMakeLists.txt. */
bool net_write_folder(Writer *w, FileSet *fs, const char *dir);

/* ---- net_check.c ---- */

/* false after reports: a stage that cannot be written (all of them at once), a place outside the memory, a kernel that is not there. */
bool net_check(const Module *m, Diag *d);

#endif
