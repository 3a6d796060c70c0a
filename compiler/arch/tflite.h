/* What the builders of TensorFlow Lite's operators share (compiler/arch only).
 *
 * A builder makes ops of the operator at hand, b->i_op, and gives the value of its output (b->i_out, of those with several): NULL after a report.
 * Operands that are NULL go through all helpers without a second report, so a builder is one expression after another.
 *
 *   tflite.c         the table of operators, and the walk through a graph
 *   tflite_build.c   tensors as values, ops, numbers of quantization
 *   tflite_conv.c    convolutions, fully connected layers, pools
 *   tflite_math.c    arithmetic of several numbers, softmax, reductions
 *   tflite_unary.c   functions of one number
 *   tflite_move.c    what moves elements and computes nothing
 *   tflite_state.c   variables, and layers that keep state */
#ifndef SN_ARCH_TFLITE_H
#define SN_ARCH_TFLITE_H

#include "compiler/arch/arch.h"
#include "compiler/import/tflite.h"

/* enum ActivationFunctionType, as far as supported */
typedef enum { ACT_none, ACT_relu, ACT_relu_n1_to_1, ACT_relu6 } Activation;

/* What VAR_HANDLE gives a name to. */
typedef struct TfVariable TfVariable;
struct TfVariable {
    Str name;
    State *state;                   /* NULL until it is read or assigned: its type is known by then */
    WExpr *init;                    /* what CALL_ONCE gives it; NULL: zeros */
    TfVariable *next;
};

typedef struct {
    Module *m;
    Region *r;
    Func *f;
    TfGraph *g;
    Diag *d;
    Value **value;                  /* of each tensor of the graph; NULL: not yet */
    TfVariable **handle;            /* of each tensor that is the handle of a variable; NULL: none */
    TfVariable *variables;
    Value *sigmoid;                 /* the table of sigmoid_int; NULL: none yet */
    int i_op, i_out;                /* the operator and the output at hand */
} Build;

typedef Value *OpBuilder(Build *b);
typedef bool OpEffect(Build *b);    /* of an operator that gives no tensor; false after a report */

/* ---- tflite_build.c --------------------------------------------------------------------------------------------------- */

Loc tf_here(const Build *b);
/* Reports what the operator at hand asks for that is not supported; gives NULL, as a builder does. */
Value *tf_refuse(Build *b, const char *what);
bool tf_unsupported(Build *b, const char *what);                /* the same; gives false */
/* The same of its tensors' types; supported: "FLOAT32 throughout, or quantized INT8". */
Value *tf_refuse_types(Build *b, const char *supported);

const TfOp *tf_op(const Build *b);
const TfTensor *tf_in(const Build *b, int k);                   /* operand k; NULL: it is left out */
const TfTensor *tf_out(const Build *b);                         /* the output at hand */
const char *tf_from(const Build *b);                            /* what the file calls it, for Op.from; NULL: nothing */
int tf_option(Build *b, int field, int bytes, int otherwise);
float tf_float_option(Build *b, int field, float otherwise);
/* The numbers of operand k, a constant i32 (or i64) tensor of at most n; their count, -1 after a report. */
int tf_constant_ints(Build *b, int k, int n, int64_t *out);
/* An axis of a tensor of some rank, from one that may count from the end; -1 after a report. */
int tf_axis(Build *b, int64_t axis, int rank);
int tf_axis_operand(Build *b, int k, int rank);                 /* the same of operand k, a constant number */

bool tf_is_type(const TfTensor *t, const char *format);         /* "f32" */
bool tf_is_i8(const TfTensor *t);                               /* quantized int8 */
bool tf_is_i16(const TfTensor *t);
bool tf_is_f32(const TfTensor *t);
bool tf_same_quant(const TfTensor *a, const TfTensor *b);       /* type, scale and zero point */

/* Operand k as a tensor: what an operator has made, an input, or a constant.  NULL after a report. */
Value *tf_operand(Build *b, int k);
Value *tf_put(Build *b, OpKind k, const char *part, Value *x, const Attr *attr, int n_attr);
Value *tf_put_two(Build *b, OpKind k, const char *part, Value *x, Value *y, const Attr *attr, int n_attr);
/* Appends an op of n operands.  NULL after a report where they do not fit each other, and without one where one of them is NULL already. */
Value *tf_put_many(Build *b, OpKind k, const char *part, Value *const *in, int n, const Attr *attr, int n_attr);
/* x in another shape with as many elements. */
Value *tf_shaped(Build *b, Value *x, int rank, const int64_t *dim);
Value *tf_shaped_out(Build *b, Value *x);                       /* in the shape of the output */
Type tf_type(Module *m, const Format *f, int rank, const int64_t *dim);
/* A constant tensor of the file under another shape with as many elements. */
Value *tf_weight_as(Build *b, const char *part, const TfTensor *t, int rank, const int64_t *dim);
Value *tf_add_weight(Build *b, const char *part, WExpr *e);
Value *tf_int_weight(Build *b, const char *part, const int32_t *v, int n);          /* i32; v stays */
Value *tf_float_weight(Build *b, const char *part, float v);                        /* f32[1] */
/* y = table[x + 128]: what a function makes of each int8. */
Value *tf_lookup(Build *b, Value *x, const int32_t *table);

/* x = m 2^(s - 31), m of 31 bits.  [QuantizeMultiplier]  false after a report: x is too large for it. */
bool tf_multiplier(Build *b, double x, int32_t *m, int32_t *s);
/* The range that an activation function leaves of t's format. */
bool tf_range(Build *b, const TfTensor *t, int act, int64_t *lo, int64_t *hi);
/* (x less x_zero) 2^left, rescaled by factor, as i32. */
Value *tf_rescale(Build *b, const char *part, Value *x, int64_t x_zero, int left, double factor);
/* acc, less x_zero, rescaled by n factors into tensor t's quantization, clamped by an activation. */
Value *tf_requant(Build *b, Value *acc, int64_t x_zero, const TfTensor *t, const double *factor, int n, int act);
/* The same by one factor, under another name than the operator's. */
Value *tf_requant_part(Build *b, const char *part, Value *acc, int64_t x_zero, const char *to, int64_t zero, double factor);
/* x requantized by n multipliers and shifts. */
Value *tf_put_requant(Build *b, const char *part, Value *x, const int32_t *m, const int32_t *s, int n, const Attr *attr, int n_attr);
Value *tf_activate(Build *b, Value *y, int act);                /* of floats */
int32_t tf_to_i8(int64_t v);

/* ---- the builders ----------------------------------------------------------------------------------------------------- */

/* tflite_conv.c */
OpBuilder tf_convolution, tf_transpose_conv, tf_fully_connected, tf_batch_matmul, tf_pool;
/* tflite_math.c */
OpBuilder tf_softmax, tf_arithmetic, tf_extremum, tf_prelu, tf_l2_normalization, tf_reduce, tf_reduce_extremum, tf_arg_extremum;
/* tflite_unary.c */
OpBuilder tf_relu, tf_quantize, tf_dequantize, tf_cast, tf_float_function, tf_sigmoid, tf_elu, tf_abs, tf_rsqrt, tf_leaky_relu, tf_hard_swish;
Value *tf_min_zero(Build *b, Value *x);                         /* min(x, 0) of floats or i32 */
/* tflite_move.c */
OpBuilder tf_reshape, tf_broadcast, tf_transpose, tf_pad, tf_slice, tf_strided_slice, tf_split, tf_unpack, tf_pack, tf_concatenation, tf_gather,
          tf_reverse, tf_mirror_pad, tf_resize, tf_depth_and_space, tf_batch_and_space;
/* x in to's shape: dimensions of 1 are repeated. */
Value *tf_spread(Build *b, Value *x, const TfTensor *to);
/* tflite_state.c */
OpEffect tf_var_handle, tf_assign_variable, tf_call_once;
OpBuilder tf_read_variable, tf_svdf, tf_lstm, tf_curve_i16;

#endif
