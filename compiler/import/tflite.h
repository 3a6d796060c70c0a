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
    TF_ADD = 0, TF_AVERAGE_POOL_2D = 1, TF_CONCATENATION = 2, TF_CONV_2D = 3, TF_DEPTHWISE_CONV_2D = 4, TF_DEPTH_TO_SPACE = 5,
    TF_DEQUANTIZE = 6, TF_FLOOR = 8, TF_FULLY_CONNECTED = 9, TF_L2_NORMALIZATION = 11, TF_LOGISTIC = 14, TF_MAX_POOL_2D = 17,
    TF_MUL = 18, TF_RELU = 19, TF_RELU_N1_TO_1 = 20, TF_RELU6 = 21, TF_RESHAPE = 22, TF_RESIZE_BILINEAR = 23, TF_SOFTMAX = 25,
    TF_SPACE_TO_DEPTH = 26, TF_SVDF = 27, TF_TANH = 28, TF_CUSTOM = 32, TF_PAD = 34, TF_GATHER = 36, TF_BATCH_TO_SPACE_ND = 37,
    TF_SPACE_TO_BATCH_ND = 38, TF_TRANSPOSE = 39, TF_MEAN = 40, TF_SUB = 41, TF_DIV = 42, TF_SQUEEZE = 43,
    TF_UNIDIRECTIONAL_SEQUENCE_LSTM = 44, TF_STRIDED_SLICE = 45, TF_EXP = 47, TF_SPLIT = 49, TF_CAST = 53, TF_PRELU = 54,
    TF_MAXIMUM = 55, TF_ARG_MAX = 56, TF_MINIMUM = 57, TF_NEG = 59, TF_PADV2 = 60, TF_SLICE = 65, TF_TRANSPOSE_CONV = 67,
    TF_EXPAND_DIMS = 70, TF_LOG = 73, TF_SUM = 74, TF_SQRT = 75, TF_RSQRT = 76, TF_ARG_MIN = 79, TF_REDUCE_MAX = 82, TF_PACK = 83,
    TF_UNPACK = 88, TF_REDUCE_MIN = 89, TF_SQUARE = 92, TF_RESIZE_NEAREST_NEIGHBOR = 97, TF_LEAKY_RELU = 98,
    TF_SQUARED_DIFFERENCE = 99, TF_MIRROR_PAD = 100, TF_ABS = 101, TF_SPLIT_V = 102, TF_CEIL = 104, TF_REVERSE_V2 = 105,
    TF_ELU = 111, TF_QUANTIZE = 114, TF_ROUND = 116, TF_HARD_SWISH = 117, TF_BATCH_MATMUL = 126, TF_CALL_ONCE = 129,
    TF_BROADCAST_TO = 130, TF_VAR_HANDLE = 142, TF_READ_VARIABLE = 143, TF_ASSIGN_VARIABLE = 144
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

typedef struct TfGraph TfGraph;
struct TfGraph {
    Flat flat;                      /* for reading options */
    TfTensor *tensor; int n_tensor;
    TfOp *op; int n_op;
    int *in, n_in, *out, n_out;     /* tensors */
    Str description;
    TfGraph *sub; int n_sub;        /* the other subgraphs, what CALL_ONCE runs; they have none themselves */
};

/* Where operator i_op is, for messages: "operator 3, CONV_2D". */
Loc tf_at_op(Arena *a, const TfGraph *g, int i_op);

Model *tflite_read(Arena *a, Diag *d, Mapped file);

#endif
