/* The IR: SSA over typed tensors, with a textual form that prints and parses back to the same Module.
 *
 *   types.c    dimensions (expressions in named symbols) and types
 *   build.c    making and changing Modules
 *   print.c    Module -> .sir text            parse.c    .sir text -> Module       (the language: docs/ir.md)
 *   shape.c    the type of an op's results    verify.c   what must hold between passes
 *   weight.c   what a weight expression is worth: rows as floats
 *   stages.c   what a fused op is made of (stages.h)
 *   interp.c, ref.c   the reference interpreter: the meaning of the IR
 *
 * Everything belongs to the Module's arena.  ir knows nothing of files' formats, targets or C. */
#ifndef SN_IR_H
#define SN_IR_H

#include "ir/base/base.h"
#include "ir/formats.h"
#include "ir/layouts.h"

/* ---- dimensions and types (types.c) ------------------------------------------------------------------------------ */

/* A named size that is known only as a range while compiling: T tokens of a call, O rows of logits, P tokens already in the
 * state, C positions that the state has room for. */
typedef struct { const char *name; int64_t lo, hi; int index; } Sym;

typedef enum { DIM_const, DIM_sym, DIM_add, DIM_mul, DIM_div, DIM_min, DIM_max } DimKind;

/* A dimension: an expression, hash-consed in its Module, so equal expressions are equal pointers.
 *   const c | sym | a + b | a * c | a / c (floor) | min(a, b) | max(a, b) */
typedef struct DimNode DimNode;
typedef const DimNode *Dim;
struct DimNode { DimKind kind; int64_t c; const Sym *sym; Dim a, b; DimNode *next; };

enum { MAX_RANK = 5 };
typedef struct { const Format *fmt; int rank; Dim dim[MAX_RANK]; } Type;     /* shapes are outermost first */

typedef struct Module Module;
typedef struct Func Func;
typedef struct Region Region;
typedef struct Op Op;
typedef struct Value Value;

Sym *module_sym(Module *m, const char *name, int64_t lo, int64_t hi);        /* makes it, or widens nothing: same name, same Sym */
Sym *module_find_sym(const Module *m, Str name);
Dim dim_const(Module *m, int64_t c);
Dim dim_sym(Module *m, const Sym *s);
Dim dim_add(Module *m, Dim a, Dim b);
Dim dim_mul(Module *m, Dim a, int64_t c);
Dim dim_div(Module *m, Dim a, int64_t c);                    /* c > 0 */
Dim dim_min(Module *m, Dim a, Dim b);
Dim dim_max(Module *m, Dim a, Dim b);
bool dim_is_const(Dim d, int64_t *c);                        /* c may be NULL */
int64_t dim_lo(Dim d);
int64_t dim_hi(Dim d);                                       /* the range: bounds by interval arithmetic, INT64_MAX: overflow */
/* The value under a binding of symbols: val[sym->index]. */
int64_t dim_eval(Dim d, const int64_t *val);
/* d with symbol s replaced by another dimension. */
Dim dim_subst(Module *m, Dim d, const Sym *s, Dim by);

Type type_of(const Format *f, int rank, const Dim *dim);
Type type_1(Module *m, const Format *f, int64_t a);          /* of constant dimensions */
Type type_2(Module *m, const Format *f, int64_t a, int64_t b);
bool type_eq(Type a, Type b);
Dim type_last(Type t);                                       /* the innermost dimension; rank 0: NULL */
/* Bytes of a row-major tensor at the maximum of its range (rows of i8g64 .. i8g256 padded to multiples of 64); false: does not fit 64 bits or last dimension not whole blocks. */
bool type_bytes(Type t, uint64_t *out);
int64_t type_n(Type t);                                      /* elements at the maximum; -1: overflow */
char *type_text(Arena *a, Type t);                           /* "f32[T,576]" */

/* ---- attributes --------------------------------------------------------------------------------------------------- */

typedef enum { ATTR_int, ATTR_float, ATTR_str, ATTR_ints } AttrKind;        /* booleans are ints 0 and 1 */
typedef struct {
    const char *name;
    AttrKind kind;
    int64_t i;
    double f;
    Str s;
    const int64_t *ints;
    int n_ints;
} Attr;

/* ---- weights and state -------------------------------------------------------------------------------------------- */

/* p NULL: not at hand.  `packed`: the weights file of a scheduled Module, attached beside the others; no part of its text. */
typedef struct { const char *name; Digest digest; uint64_t bytes; const uint8_t *p; bool packed; } SourceFile;

typedef enum {
    W_view,         /* bytes of a source file: file, off, fmt; shape is the type's */
    W_fill,         /* the pure function of base.h: name, seed (test models) */
    W_const,        /* numbers written in the Module: f32 or integers */
    W_convert,      /* a, in the format of this expression's type (values rounded once) */
    W_permute_rows, /* a, row i taken from row perm(i): attribute `perm` = "rope_half_to_pairs", head_dim */
    W_packed        /* done: a section of the weights file: off; layout and tiles as in the Weight */
} WExprKind;

typedef struct WExpr WExpr;
struct WExpr {
    WExprKind kind;
    Type type;
    int file;                   /* view: index into Module.file */
    uint64_t off;               /* view: byte offset in the file; packed: in the weights file */
    Str name;                   /* fill: name of the tensor */
    uint64_t seed;
    const float *value;         /* const of f32 */
    const int32_t *ints;        /* const of an integer format */
    WExpr *a;
    int64_t head_dim;           /* permute_rows */
};

/* A weight.  `type` is what ops see.  What `pack` adds: the layout, and where the tiles lie in the weights file. */
typedef struct {
    const char *name;
    Type type;
    WExpr *expr;
    Value *value;               /* the Value that stands for it as an operand */
    const Layout *layout;       /* NULL until packed */
    uint64_t off;               /* byte offset in the weights file */
    uint64_t tile_stride;       /* bytes from one tile to the next (> tile bytes where tiles of several weights interleave) */
    uint64_t bytes;             /* of its tiles alone */
    int index;
} Weight;

/* State that lives in a session.  kind: a row of the state table ("kv": rows appended at position P, rewound by shortening; "var": a tensor
 * that is loaded and stored as a whole). */
typedef struct {
    const char *name;
    const char *kind;
    Type type;                  /* kv: [C, ...], the first dimension is the capacity */
    WExpr *init;                /* var: what it begins with; NULL: zeros */
    Value *value;
    int index;
} State;

/* ---- ops ---------------------------------------------------------------------------------------------------------- */

typedef enum {
#define OP(name, ...) OP_##name,
#include "ir/ops.def"
    N_OPS
} OpKind;

typedef enum { VAL_result, VAL_param, VAL_weight, VAL_state } ValueKind;

struct Value {
    ValueKind kind;
    Type type;
    const char *name;           /* without sigil; unique in its function (module for weights and states) */
    Op *op;                     /* of a result */
    int index;                  /* which result, or which parameter */
    Weight *weight;             /* VAL_weight; also of a parameter: NULL */
    State *state;
    ValueKind stands_for;       /* of a parameter: VAL_result (a tensor), VAL_weight or VAL_state */
    const Layout *layout;       /* of a weight parameter after pack: the layout all its arguments have */
    uint64_t tile_stride;
};

struct Op {
    OpKind kind;
    int n_in, n_out, n_attr, n_region;
    Value **in, **out;
    Attr *attr;
    Region **region;
    Func *callee;               /* of a call */
    int layer;                  /* which layer of the model it belongs to, -1: none; set by arch, used by outline */
    const char *from;           /* the model's name for it ("attn_q"), kept through passes; NULL: none */
    const char *by;             /* the pass that made it; NULL: the importer */
    Op *prev, *next;
    Region *parent;
};

/* A list of ops with parameters, ended by `yield` (in an op) or `return` (of a function). */
struct Region { Value **param; int n_param; Op *first, *last; Op *owner; Func *func; };

struct Func {
    const char *name;
    Region *body;
    const char *note;           /* a line for the emitted comment: what it computes */
    Module *m;
    Func *next;
};

typedef struct { const Sym *sym; int64_t lo, hi; } SymRange;

/* A function that the outside may call.  A symbol with lo == hi is fixed. */
typedef struct { const char *name; Func *func; SymRange range[4]; int n_range; } Entry;

/* A fact about the model that later stages print or use: `meta "general.name" = "SmolLM2"`. */
typedef struct { const char *key; Attr value; } Meta;

/* Bytes that go into the weights file as a section of their own: tokenizer tables.  p NULL: still in the file at `off`. */
typedef struct { const char *name; const uint8_t *p; uint64_t n; uint64_t off; } Blob;

struct Module {
    Arena *a;
    const char *name;
    SourceFile *file; int n_file;
    Sym **sym; int n_sym;
    Weight **weight; int n_weight;
    State **state; int n_state;
    Func *first_func, *last_func;
    Entry *entry; int n_entry;
    Meta *meta; int n_meta;
    Blob *blob; int n_blob;
    uint64_t weights_bytes;     /* of the weights file, once packed */
    DimNode *dim_table[256];
};

/* What the tables say about an op. */
typedef struct {
    const char *name;
    const char *operands;       /* "x w i?"; "..." any number */
    const char *attrs;          /* "eps:float n_head:int mode:str?" */
    int n_out;
    bool effect;                /* writes state: keeps its place in the order */
    const char *c_expr;         /* elementwise: the C expression over $a $b; NULL otherwise */
    const char *help;
} OpInfo;
extern const OpInfo op_info[N_OPS];
OpKind op_find(Str name);                                    /* N_OPS: unknown */

/* ---- build.c ------------------------------------------------------------------------------------------------------ */

Module *module_new(Arena *a, const char *name);
int module_add_file(Module *m, const char *name, Digest d, uint64_t bytes, const uint8_t *p);
Weight *module_add_weight(Module *m, const char *name, Type t, WExpr *e);
Weight *module_find_weight(const Module *m, Str name);
WExpr *wexpr_new(Module *m, WExprKind k, Type t);
State *module_add_state(Module *m, const char *name, const char *kind, Type t);
Func *module_add_func(Module *m, const char *name);
Func *module_find_func(const Module *m, Str name);
void module_remove_func(Module *m, Func *f);
Entry *module_add_entry(Module *m, const char *name, Func *f);
void entry_range(Entry *e, const Sym *s, int64_t lo, int64_t hi);
void module_set_meta(Module *m, const char *key, Attr v);
const Attr *module_meta(const Module *m, const char *key);   /* NULL: not there */
const char *module_meta_str(const Module *m, const char *key, const char *otherwise);
int64_t module_meta_int(const Module *m, const char *key, int64_t otherwise);
void module_add_blob(Module *m, const char *name, const void *p, uint64_t n);
Blob *module_find_blob(const Module *m, const char *name);

Value *func_add_param(Func *f, const char *name, Type t, ValueKind stands_for);
Value *region_add_param(Region *r, const char *name, Type t);
/* A name not yet used in f: base, base.1, base.2 ... */
const char *func_fresh_name(Func *f, const char *base);

/* Appends an op to a region (or inserts it before `before`).  Results get types by the shape rule (shape.c); an op whose operands
 * do not fit is a bug() of the caller, except in the parser, which uses op_new_unchecked.  `name` names its first result. */
Op *op_new(Region *r, Op *before, OpKind k, const char *name, Value *const *in, int n_in, const Attr *attr, int n_attr);
/* Would op_new accept this?  *type (may be NULL) becomes the type of its result.  false: no, and nothing is reported.  Not for ops
 * with regions or calls. */
bool op_fits(Region *r, OpKind k, Value *const *in, int n_in, const Attr *attr, int n_attr, Type *type);
/* Convenience for the common case: 1 to 4 operands (NULL-terminated), returns the first result. */
Value *op1(Region *r, OpKind k, const char *name, Value *a, Value *b, Value *c, Value *d, const Attr *attr, int n_attr);
Op *op_new_raw(Region *r, Op *before, OpKind k, int n_in, int n_out);        /* empty operand and result arrays, no check */
Value *op_add_result(Op *o, const char *name, Type t);
Region *op_add_region(Op *o);
void op_remove(Op *o);                                       /* unlinks it */
void op_move(Op *o, Region *to, Op *before);                 /* unlinks and inserts; before NULL: at the end */
void op_set_attr(Op *o, Attr a);                             /* replaces one of the same name */
void op_del_attr(Op *o, const char *name);
const Attr *op_attr(const Op *o, const char *name);          /* NULL: not there */
int64_t op_int(const Op *o, const char *name, int64_t otherwise);
double op_float(const Op *o, const char *name, double otherwise);
const char *op_str(const Op *o, const char *name, const char *otherwise);
Attr attr_int(const char *name, int64_t i);
Attr attr_float(const char *name, double f);
Attr attr_str(const char *name, const char *s);
Attr attr_ints(const char *name, const int64_t *v, int n);

/* Every op of a region in order, nested regions after their owner: for (Op *o = r->first; o; o = op_walk(o, r)) */
Op *op_walk(Op *o, const Region *top);
int value_n_uses(const Region *r, const Value *v);           /* operands anywhere inside r */
void value_replace(Region *r, Value *old, Value *by);
/* A copy of a function with symbols replaced: dim[i] for Module.sym[i], NULL entries: kept. */
Func *func_clone(Func *f, const char *name, const Dim *by_sym);

/* ---- shape.c, verify.c -------------------------------------------------------------------------------------------- */

/* Types of the results from operands and attributes.  false after a report naming the op. */
bool op_infer(Op *o, Diag *d, Loc at);
/* Everything that must hold: defined before use, operands and attributes as in the table, inferred types equal written ones, regions
 * ended, names unique, entries bind every free symbol, state written only through ops with effect. */
bool module_verify(const Module *m, Diag *d);

/* ---- print.c, parse.c --------------------------------------------------------------------------------------------- */

void module_print(const Module *m, Buf *out);
void func_print(const Func *f, Buf *out);
/* NULL after reports with file, line and column.  Source files and packed weights are attached later by module_attach. */
Module *module_parse(Arena *a, Diag *d, const char *file, Str text);
/* Finds each SourceFile beside `dir` by its name, maps it, checks size and digest (digest only if check). */
bool module_attach(Module *m, FileSet *fs, Diag *d, const char *dir, bool check);

/* ---- weight.c ----------------------------------------------------------------------------------------------------- */

/* Row `row` (all but the innermost dimension flattened) of a weight expression as floats; n_in of them. */
bool wexpr_row(const Module *m, const WExpr *e, int64_t row, float *y, Diag *d);
/* The same row as it is stored in the expression's format: bytes of a file as they are, anything else encoded once (encoding what
 * was decoded need not give the same bytes).  x: room for the row as floats. */
bool wexpr_encoded_row(const Module *m, const WExpr *e, int64_t row, uint8_t *dst, float *x, Diag *d);
/* Same of a weight, packed or not; of a packed one the weights file must be attached (SourceFile.packed). */
bool weight_row(const Module *m, const Weight *w, int64_t row, float *y, Diag *d);
int64_t type_n_rows(Type t);                                 /* of a constant type */
/* The same of an integer weight (i8, u8, i16, i32) that is not packed. */
bool weight_row_ints(const Module *m, const Weight *w, int64_t row, int32_t *y, Diag *d);

/* ---- interp.c ----------------------------------------------------------------------------------------------------- */

/* A value at run time.  float and block formats (and quantized activations) are held as f32 in `f` after rounding to the format;
 * integers in `i`. */
typedef struct { Type type; int rank; int64_t dim[MAX_RANK]; float *f; int32_t *i; int64_t n; } Tensor;

typedef struct Interp Interp;
/* Called after each op with its first result: for `verify`, layer by layer. */
typedef void InterpTrace(void *ctx, const Op *o, const Tensor *result);

/* State with room for n_ctx positions.  The Module may be at any stage between arch and schedule (regions are executed as they are). */
Interp *interp_new(Module *m, Diag *d, int64_t n_ctx);
void interp_free(Interp *ip);                                /* its tensors are malloc'd: they outgrow an arena */
void interp_trace(Interp *ip, InterpTrace *fn, void *ctx);
/* Runs one entry.  sym_val[i] for Module.sym[i] (P and C are filled in).  in: n tensors in order of the parameters;
 * out: results, valid until the next run.  Afterwards P has grown by T. */
bool interp_run(Interp *ip, const Entry *e, const int64_t *sym_val, const Tensor *in, int n_in, Tensor *out, int n_out);
void interp_rewind(Interp *ip, int64_t n_past);
int64_t interp_n_past(const Interp *ip);

#endif
