/* What a TensorFlow Lite file says: a graph of operators over tensors.  (schema.fbs of TensorFlow Lite, version 3.)
 *
 * Everything that is a number here has been checked: indices lie inside their arrays, data inside the file and as large as the shape says, every
 * shape's product fits.  What operators mean is arch/tflite.c's business. */
#ifndef SN_TFLITE_H
#define SN_TFLITE_H

#include "compiler/import/flat.h"
#include "compiler/import/model.h"

enum { TF_MAX_RANK = 5 };

/* Operators that arch/tflite.c asks for; the numbers are the schema's. */
typedef enum {
    TF_ADD = 0, TF_AVERAGE_POOL_2D = 1, TF_CONCATENATION = 2, TF_CONV_2D = 3, TF_DEPTHWISE_CONV_2D = 4,
    TF_FULLY_CONNECTED = 9, TF_LOGISTIC = 14, TF_MAX_POOL_2D = 17, TF_MUL = 18, TF_RELU = 19, TF_RELU_N1_TO_1 = 20,
    TF_RELU6 = 21, TF_RESHAPE = 22, TF_SOFTMAX = 25, TF_TANH = 28, TF_CUSTOM = 32, TF_PAD = 34, TF_TRANSPOSE = 39, TF_MEAN = 40,
    TF_SUB = 41, TF_SQUEEZE = 43, TF_STRIDED_SLICE = 45, TF_PADV2 = 60, TF_SLICE = 65, TF_EXPAND_DIMS = 70,
    TF_SUM = 74, TF_LEAKY_RELU = 98, TF_QUANTIZE = 114, TF_HARD_SWISH = 117
} TfOpKind;

/* "CONV_2D"; "operator 300" where the number is not known. */
const char *tf_op_name(Arena *a, int code);

typedef struct {
    Str name;
    const Format *fmt;              /* NULL: a type that sinter has no format for (type_name) */
    const char *type_name;          /* the schema's, "INT8" */
    int rank;
    int64_t dim[TF_MAX_RANK];       /* each >= 0 */
    int64_t n;                      /* elements */
    const uint8_t *p;               /* its data, n of them; NULL: it is computed */
    uint64_t off;                   /* of p in the file */
    bool variable;                  /* keeps its value from one run to the next */
    int n_scale;                    /* 0: not quantized; 1: one scale; else one for each of dim[q_dim] */
    const float *scale;             /* finite, > 0 */
    const int64_t *zero;            /* [n_scale] */
    int q_dim;
} TfTensor;

typedef struct {
    int code;
    int version;
    Str custom;                     /* the name of a CUSTOM operator */
    int n_in, n_out;
    const int *in, *out;            /* tensors; in: -1 an operand that is left out */
    FlatTable options;              /* its table of options; at 0: none */
    FlatVector custom_options;
} TfOp;

struct TfGraph {
    Flat flat;                      /* for reading options */
    TfTensor *tensor; int n_tensor;
    TfOp *op; int n_op;
    int *in, n_in, *out, n_out;     /* tensors of the first subgraph */
    Str description;
};
typedef struct TfGraph TfGraph;

/* Where operator i_op is, for messages: "operator 3, CONV_2D". */
Loc tf_at_op(Arena *a, const TfGraph *g, int i_op);

Model *tflite_read(Arena *a, Diag *d, Mapped file);

#endif
