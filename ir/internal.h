/* What only the files of ir/ share. */
#ifndef SN_IR_INTERNAL_H
#define SN_IR_INTERNAL_H

#include "ir/ir.h"

/* ---- map.c: from pointers, and from names, to pointers; in an arena, growing, never shrinking ---------------------- */

typedef struct { const void *key; void *value; } PtrSlot;
typedef struct { Arena *a; PtrSlot *slot; size_t n, cap; } PtrMap;
PtrMap ptrmap_in(Arena *a);
void ptrmap_put(PtrMap *m, const void *key, void *value);   /* key not NULL; replaces */
void *ptrmap_get(const PtrMap *m, const void *key);         /* NULL: not there */

typedef struct { Str key; void *value; } StrSlot;
typedef struct { Arena *a; StrSlot *slot; size_t n, cap; } StrMap;
StrMap strmap_in(Arena *a);
/* false (and nothing changed) when the key is there already.  The key's bytes must stay. */
bool strmap_add(StrMap *m, Str key, void *value);
void *strmap_get(const StrMap *m, Str key);                 /* NULL: not there */

/* ---- types.c -------------------------------------------------------------------------------------------------------- */

enum { MAX_DIM_TERMS = 32 };                                /* of a written dimension */
#define MAX_DIM ((int64_t)1 << 40)                          /* a larger dimension is an error in a written Module */

/* d with every symbol s replaced by by[s->index] where that is not NULL, all at once. */
Dim dim_subst_all(Module *m, Dim d, const Dim *by);
Type type_subst_all(Module *m, Type t, const Dim *by);
/* Sets used[s->index] for each symbol in d. */
void dim_symbols(Dim d, bool *used);
void dim_print(Buf *b, Dim d);
void type_print(Buf *b, Type t);

/* ---- build.c -------------------------------------------------------------------------------------------------------- */

void *grow_array(Arena *a, void *p, int n, size_t size);    /* room for element n of an array that holds n (doubling) */
/* A result without the search for an equal name. */
Value *op_add_result_named(Op *o, const char *name, Type t);
Value *region_add_param_named(Region *r, const char *name, Type t, ValueKind stands_for);
Op *op_new_detached(Module *m, OpKind k, int n_in);
void op_insert(Op *o, Region *r, Op *before);

/* Is v a weight, or a parameter that stands for one?  The same for state; everything else is a tensor. */
static inline ValueKind value_role(const Value *v)
{
    return v->kind == VAL_param ? v->stands_for : v->kind;
}

/* ---- shape.c -------------------------------------------------------------------------------------------------------- */

enum { MAX_OPERANDS = 4096, MAX_ATTRS = 64 };

/* The number of operands that the table allows: *lo..*hi (hi MAX_OPERANDS for "..."). */
void op_arity(OpKind k, int *lo, int *hi);
/* Are the operands' number and roles and the attributes as the table says?  Reports every mistake. */
bool op_check_table(const Op *o, Diag *d, Loc at);
/* The types of the results, into t (room for *n of them; *n is set).  Neither op nor operands change.  Results that are there
 * already may decide a free dimension (positions, last_rows).  A call or region op: what its callee or region yields. */
bool op_result_types(const Op *o, Type *t, int *n, Diag *d, Loc at);

/* ---- verify.c ------------------------------------------------------------------------------------------------------- */

/* Is a weight expression well-formed, and does everything it reads lie inside its file? */
bool wexpr_check(const Module *m, const WExpr *e, Diag *d, Loc at);
bool type_check(Type t, Diag *d, Loc at);

/* ---- print.c -------------------------------------------------------------------------------------------------------- */

/* A name as the language writes it: as it is when all its bytes are [A-Za-z0-9_.], quoted otherwise. */
void name_print(Buf *b, const char *name);
/* The same where no sigil stands before it: quoted also when it begins with a digit or a dot. */
void word_print(Buf *b, const char *name);

/* ---- parse.c -------------------------------------------------------------------------------------------------------- */

enum { MAX_NESTING = 16 };                                  /* of regions, weight expressions and dimensions */

/* ---- ref.c ---------------------------------------------------------------------------------------------------------- */

/* What an op's reference function works on.  Tensors of operands and results are ready (zeroed); weights are given row by row. */
typedef struct {
    const Op *op;
    const Module *m;
    Diag *d;
    Loc at;
    const Tensor **in;          /* [n_in, at least 4]; NULL: a weight that is read through w, or absent */
    const Weight **w;
    Tensor *out;
    int64_t n_past;             /* P */
} RefArgs;

typedef bool RefFn(const RefArgs *a);
extern RefFn *const ref_table[N_OPS];                       /* NULL: regions, calls, ends: interp.c does these */
/* ref_int.c: what the table names there. */
RefFn ref_requant, ref_clamp, ref_lookup, ref_matmul_int, ref_conv2d, ref_pool, ref_softmax_int, ref_concat, ref_pad, ref_transpose,
      ref_sum, ref_tconv2d, ref_resize, ref_quantize, ref_l2norm_int, ref_argmax, ref_gather, ref_curve_int;
/* Rounds n floats to a format, as if they had been stored in it. */
bool round_to_format(const Format *f, float *x, int64_t n_row, int64_t n);

#endif
