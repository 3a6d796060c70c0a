/* What the parts of the C writer share: names.c (what things are called), stage.c (stage functions), c.c (schedule, tables, API). */
#ifndef SN_CODEGEN_C_H
#define SN_CODEGEN_C_H

#include "codegen/codegen.h"
#include "codegen/emit.h"
#include "codegen/kernels.h"

enum { MAX_TARGETS = 8 };

/* A struct of the emitted code that holds what differs between calls of one function: offsets of weights, numbers of states. */
typedef struct { const Func *func; const char *type; const char *fields; } ArgsType;

/* One writing of one Module. */
typedef struct {
    const Module *m;
    Arena *a;
    Diag *d;
    const char *name;               /* NAME */
    int n_target;
    const char *target[MAX_TARGETS];/* their names as C identifiers: x86_64_v4 */
    const char **isa[MAX_TARGETS];  /* NULL-terminated lists */
    ArgsType *args; int n_args;     /* one per function that is called */
    bool ok;                        /* false once something could not be written (reported) */
} Writer;

/* ---- names.c ---- */

/* Fills Writer.args: functions with the same fields (decode's layer and prefill's) share a struct. */
void find_args(Writer *w);
/* A type for a comment. */
const char *shape_c(const Writer *w, Type t);
/* Name of the stage function of `fused` in function f, without prefix: decode_attn_q_k_v. */
const char *stage_c_name(const Writer *w, const Func *f, const Op *fused);
/* The C type of the arguments of f, NULL for an entry function (which has none). */
const ArgsType *args_of(const Writer *w, const Func *f);
/* The field that parameter i of a called function is in. */
const char *arg_field(const Writer *w, const Func *f, int i);
/* How many rows a stage has: "1", "r->T", "r->O"; sets *is_one when it is at most one. */
const char *rows_c(const Writer *w, const Func *f, Dim d, bool *is_one);

/* Query heads in a chunk of an attention stage: a number, or an expression of r->n_threads. */
const char *heads_c(const Writer *w, const Op *fused);

/* ---- verify.c ---- */

/* The entry that computes several tokens with decode's bits for each, NULL: there is none (or --spec none). */
const Entry *verifying_entry(const Writer *w);

/* Does an instruction set need AMX?  Then the runtime asks the system for it and tries it (runtime/core/tiles.c). */
bool asks_for_amx(const Writer *w);

/* ---- stage.c ---- */

/* Writes NAME_ISA.c and kernels_ISA.h for target i. */
void write_stages(Writer *w, int i_target, Buf *c, Buf *kernels);

#endif
