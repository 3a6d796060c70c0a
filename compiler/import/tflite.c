/* TensorFlow Lite: a FlatBuffer with the identifier "TFL3".  Field numbers and enums are those of TensorFlow's schema.fbs.
 *
 *     Model      operator_codes, subgraphs, buffers            Tensor    shape, type, buffer, name, quantization, is_variable
 *     SubGraph   tensors, inputs, outputs, operators           Operator  opcode_index, inputs, outputs, options
 *
 * The first subgraph is the model; others are bodies of control flow, which is refused where an operator asks for it.  Counts are compared with the
 * bytes that so many things need before memory is asked for.  A buffer may serve several tensors. */
#include "compiler/import/tflite.h"

#include <math.h>

enum { SHOWN = 120, TABLE_REF = 4, MAX_SUBGRAPHS = 64 };

static const char *const op_names[] = {                     /* enum BuiltinOperator */
    [0] = "ADD", [1] = "AVERAGE_POOL_2D", [2] = "CONCATENATION", [3] = "CONV_2D", [4] = "DEPTHWISE_CONV_2D",
    [5] = "DEPTH_TO_SPACE", [6] = "DEQUANTIZE", [7] = "EMBEDDING_LOOKUP", [8] = "FLOOR", [9] = "FULLY_CONNECTED",
    [10] = "HASHTABLE_LOOKUP", [11] = "L2_NORMALIZATION", [12] = "L2_POOL_2D", [13] = "LOCAL_RESPONSE_NORMALIZATION",
    [14] = "LOGISTIC", [15] = "LSH_PROJECTION", [16] = "LSTM", [17] = "MAX_POOL_2D", [18] = "MUL", [19] = "RELU",
    [20] = "RELU_N1_TO_1", [21] = "RELU6", [22] = "RESHAPE", [23] = "RESIZE_BILINEAR", [24] = "RNN", [25] = "SOFTMAX",
    [26] = "SPACE_TO_DEPTH", [27] = "SVDF", [28] = "TANH", [29] = "CONCAT_EMBEDDINGS", [30] = "SKIP_GRAM", [31] = "CALL",
    [32] = "CUSTOM", [33] = "EMBEDDING_LOOKUP_SPARSE", [34] = "PAD", [35] = "UNIDIRECTIONAL_SEQUENCE_RNN", [36] = "GATHER",
    [37] = "BATCH_TO_SPACE_ND", [38] = "SPACE_TO_BATCH_ND", [39] = "TRANSPOSE", [40] = "MEAN", [41] = "SUB", [42] = "DIV",
    [43] = "SQUEEZE", [44] = "UNIDIRECTIONAL_SEQUENCE_LSTM", [45] = "STRIDED_SLICE", [46] = "BIDIRECTIONAL_SEQUENCE_RNN",
    [47] = "EXP", [48] = "TOPK_V2", [49] = "SPLIT", [50] = "LOG_SOFTMAX", [51] = "DELEGATE", [52] = "BIDIRECTIONAL_SEQUENCE_LSTM",
    [53] = "CAST", [54] = "PRELU", [55] = "MAXIMUM", [56] = "ARG_MAX", [57] = "MINIMUM", [58] = "LESS", [59] = "NEG",
    [60] = "PADV2", [61] = "GREATER", [62] = "GREATER_EQUAL", [63] = "LESS_EQUAL", [64] = "SELECT", [65] = "SLICE", [66] = "SIN",
    [67] = "TRANSPOSE_CONV", [68] = "SPARSE_TO_DENSE", [69] = "TILE", [70] = "EXPAND_DIMS", [71] = "EQUAL", [72] = "NOT_EQUAL",
    [73] = "LOG", [74] = "SUM", [75] = "SQRT", [76] = "RSQRT", [77] = "SHAPE", [78] = "POW", [79] = "ARG_MIN",
    [80] = "FAKE_QUANT", [81] = "REDUCE_PROD", [82] = "REDUCE_MAX", [83] = "PACK", [84] = "LOGICAL_OR", [85] = "ONE_HOT",
    [86] = "LOGICAL_AND", [87] = "LOGICAL_NOT", [88] = "UNPACK", [89] = "REDUCE_MIN", [90] = "FLOOR_DIV", [91] = "REDUCE_ANY",
    [92] = "SQUARE", [93] = "ZEROS_LIKE", [94] = "FILL", [95] = "FLOOR_MOD", [96] = "RANGE", [97] = "RESIZE_NEAREST_NEIGHBOR",
    [98] = "LEAKY_RELU", [99] = "SQUARED_DIFFERENCE", [100] = "MIRROR_PAD", [101] = "ABS", [102] = "SPLIT_V", [103] = "UNIQUE",
    [104] = "CEIL", [105] = "REVERSE_V2", [106] = "ADD_N", [107] = "GATHER_ND", [108] = "COS", [109] = "WHERE", [110] = "RANK",
    [111] = "ELU", [112] = "REVERSE_SEQUENCE", [113] = "MATRIX_DIAG", [114] = "QUANTIZE", [115] = "MATRIX_SET_DIAG",
    [116] = "ROUND", [117] = "HARD_SWISH", [118] = "IF", [119] = "WHILE", [120] = "NON_MAX_SUPPRESSION_V4",
    [121] = "NON_MAX_SUPPRESSION_V5", [122] = "SCATTER_ND", [123] = "SELECT_V2", [124] = "DENSIFY", [125] = "SEGMENT_SUM",
    [126] = "BATCH_MATMUL", [127] = "PLACEHOLDER_FOR_GREATER_OP_CODES", [128] = "CUMSUM", [129] = "CALL_ONCE",
    [130] = "BROADCAST_TO", [131] = "RFFT2D", [132] = "CONV_3D", [133] = "IMAG", [134] = "REAL", [135] = "COMPLEX_ABS",
    [136] = "HASHTABLE", [137] = "HASHTABLE_FIND", [138] = "HASHTABLE_IMPORT", [139] = "HASHTABLE_SIZE", [140] = "REDUCE_ALL",
    [141] = "CONV_3D_TRANSPOSE", [142] = "VAR_HANDLE", [143] = "READ_VARIABLE", [144] = "ASSIGN_VARIABLE",
    [145] = "BROADCAST_ARGS", [146] = "RANDOM_STANDARD_NORMAL", [147] = "BUCKETIZE", [148] = "RANDOM_UNIFORM",
    [149] = "MULTINOMIAL", [150] = "GELU", [151] = "DYNAMIC_UPDATE_SLICE", [152] = "RELU_0_TO_1", [153] = "UNSORTED_SEGMENT_PROD",
    [154] = "UNSORTED_SEGMENT_MAX", [155] = "UNSORTED_SEGMENT_SUM", [156] = "ATAN2", [157] = "UNSORTED_SEGMENT_MIN",
    [158] = "SIGN", [159] = "BITCAST", [160] = "BITWISE_XOR", [161] = "RIGHT_SHIFT", [162] = "STABLEHLO_LOGISTIC",
    [163] = "STABLEHLO_ADD", [164] = "STABLEHLO_DIVIDE", [165] = "STABLEHLO_MULTIPLY", [166] = "STABLEHLO_MAXIMUM",
    [167] = "STABLEHLO_RESHAPE", [168] = "STABLEHLO_CLAMP", [169] = "STABLEHLO_CONCATENATE", [170] = "STABLEHLO_BROADCAST_IN_DIM",
    [171] = "STABLEHLO_CONVOLUTION", [172] = "STABLEHLO_SLICE", [173] = "STABLEHLO_CUSTOM_CALL", [174] = "STABLEHLO_REDUCE",
    [175] = "STABLEHLO_ABS", [176] = "STABLEHLO_AND", [177] = "STABLEHLO_COSINE", [178] = "STABLEHLO_EXPONENTIAL",
    [179] = "STABLEHLO_FLOOR", [180] = "STABLEHLO_LOG", [181] = "STABLEHLO_MINIMUM", [182] = "STABLEHLO_NEGATE",
    [183] = "STABLEHLO_OR", [184] = "STABLEHLO_POWER", [185] = "STABLEHLO_REMAINDER", [186] = "STABLEHLO_RSQRT",
    [187] = "STABLEHLO_SELECT", [188] = "STABLEHLO_SUBTRACT", [189] = "STABLEHLO_TANH", [190] = "STABLEHLO_SCATTER",
    [191] = "STABLEHLO_COMPARE", [192] = "STABLEHLO_CONVERT", [193] = "STABLEHLO_DYNAMIC_SLICE",
    [194] = "STABLEHLO_DYNAMIC_UPDATE_SLICE", [195] = "STABLEHLO_PAD", [196] = "STABLEHLO_IOTA", [197] = "STABLEHLO_DOT_GENERAL",
    [198] = "STABLEHLO_REDUCE_WINDOW", [199] = "STABLEHLO_SORT", [200] = "STABLEHLO_WHILE", [201] = "STABLEHLO_GATHER",
    [202] = "STABLEHLO_TRANSPOSE", [203] = "DILATE", [204] = "STABLEHLO_RNG_BIT_GENERATOR", [205] = "REDUCE_WINDOW",
    [206] = "STABLEHLO_COMPOSITE", [207] = "STABLEHLO_SHIFT_LEFT", [208] = "STABLEHLO_CBRT",
};

const char *tf_op_name(Arena *a, int code)
{
    return code >= 0 && code < (int)(sizeof op_names / sizeof *op_names) && op_names[code] ? op_names[code]
                                                                                          : str_printf(a, "operator %d", code);
}

/* enum TensorType: its name, and our format; bits: of one number where that is not a format's. */
static const struct { const char *name, *fmt; } types[] = {
    { "FLOAT32", "f32" }, { "FLOAT16", "f16" }, { "INT32", "i32" }, { "UINT8", "u8" }, { "INT64", "i64" }, { "STRING", NULL },
    { "BOOL", NULL }, { "INT16", "i16" }, { "COMPLEX64", NULL }, { "INT8", "i8" }, { "FLOAT64", NULL }, { "COMPLEX128", NULL },
    { "UINT64", NULL }, { "RESOURCE", NULL }, { "VARIANT", NULL }, { "UINT32", NULL }, { "UINT16", NULL }, { "INT4", NULL },
};
enum { N_TYPES = sizeof types / sizeof *types };

typedef struct {
    Arena *a;
    Model *m;
    TfGraph *g;
    FlatVector codes, buffers;
} Reader;

static Diag *diag(const Reader *r)
{
    return r->g->flat.d;
}

static Loc at_tensor(const Reader *r, int i)
{
    const TfTensor *t = &r->g->tensor[i];

    return AT_WHAT(r->m->file.path, t->name.n ? str_printf(r->a, "tensor %d, '%s'", i, str_show(r->a, t->name, SHOWN))
                                              : str_printf(r->a, "tensor %d", i));
}

Loc tf_at_op(Arena *a, const TfGraph *g, int i_op)
{
    const TfOp *o = &g->op[i_op];

    return AT_WHAT(g->flat.path, o->code == TF_CUSTOM
                                     ? str_printf(a, "operator %d, custom '%s'", i_op, str_show(a, o->custom, SHOWN))
                                     : str_printf(a, "operator %d, %s", i_op, tf_op_name(a, o->code)));
}

/* ---- tensors ---------------------------------------------------------------------------------------------------------- */

static bool read_shape(Reader *r, int i, const FlatTable *t)
{
    Flat *f = &r->g->flat;
    TfTensor *x = &r->g->tensor[i];
    FlatVector v = flat_vector(f, t, 0, 4);
    uint64_t n = 1;

    if (!f->ok)
        return false;
    if (v.n > TF_MAX_RANK)
        return fail(diag(r), at_tensor(r, i), "has %" PRIu64 " dimensions, the most are %d", v.n, TF_MAX_RANK);
    x->rank = (int)v.n;
    for (int k = 0; k < x->rank; k++) {
        x->dim[k] = flat_int_in(f, v, (uint64_t)k, 4, true);
        if (x->dim[k] < 0)
            return fail(diag(r), at_tensor(r, i), "dimension %d is %" PRId64 " (shapes that are open until a model runs are not "
                        "supported: convert it with fixed shapes)", k, x->dim[k]);
        if (!mul_ok(n, (uint64_t)x->dim[k], &n) || n > (uint64_t)1 << 40)
            return fail(diag(r), at_tensor(r, i), "its shape is too large");
    }
    x->n = (int64_t)n;
    return true;
}

static bool read_quantization(Reader *r, int i, const FlatTable *q)
{
    Flat *f = &r->g->flat;
    TfTensor *x = &r->g->tensor[i];
    FlatVector scale = flat_vector(f, q, 2, 4), zero = flat_vector(f, q, 3, 8);
    int64_t axis = flat_int(f, q, 6, 4, true, 0);
    float *s;
    int64_t *z;

    if (!f->ok || scale.n == 0)
        return f->ok;
    if (axis < 0 || (scale.n > 1 && axis >= x->rank) || (scale.n > 1 && scale.n != (uint64_t)x->dim[axis]))
        return fail(diag(r), at_tensor(r, i), "has %" PRIu64 " scales along dimension %" PRId64 ", which its shape does not have",
                    scale.n, axis);
    if (zero.n > 1 && zero.n != scale.n)
        return fail(diag(r), at_tensor(r, i), "has %" PRIu64 " zero points and %" PRIu64 " scales", zero.n, scale.n);
    x->n_scale = (int)scale.n;
    x->q_dim = (int)axis;
    x->scale = s = ARENA_ARRAY(r->a, float, scale.n);
    x->zero = z = ARENA_ARRAY(r->a, int64_t, scale.n);
    for (int k = 0; k < x->n_scale; k++) {
        s[k] = flat_float_in(f, scale, (uint64_t)k);
        z[k] = flat_int_in(f, zero, zero.n == 1 ? 0 : (uint64_t)k, 8, true);
        if (!(s[k] > 0) || !isfinite(s[k]))
            return fail(diag(r), at_tensor(r, i), "scale %d is not a number over 0", k);
        if (z[k] < INT32_MIN || z[k] > INT32_MAX)
            return fail(diag(r), at_tensor(r, i), "zero point %d is out of range", k);
    }
    return true;
}

/* Its data: those of its buffer, behind the table or (in files over 2 GB) somewhere in the file. */
static bool read_data(Reader *r, int i, int64_t buffer)
{
    Flat *f = &r->g->flat;
    TfTensor *x = &r->g->tensor[i];
    FlatTable b;
    FlatVector data;
    uint64_t off, size, want;

    if (buffer < 0 || (uint64_t)buffer >= r->buffers.n)
        return fail(diag(r), at_tensor(r, i), "its buffer %" PRId64 " is not there; the file has %" PRIu64, buffer, r->buffers.n);
    b = flat_table_in(f, r->buffers, (uint64_t)buffer);
    data = flat_vector(f, &b, 0, 1);
    off = (uint64_t)flat_int(f, &b, 1, 8, false, 0);
    size = (uint64_t)flat_int(f, &b, 2, 8, false, 0);
    if (!f->ok)
        return false;
    if (data.n == 0 && off > 1 && size > 0)
        data = (FlatVector){ off, size };
    if (buffer == 0 || data.n == 0)
        return true;
    if (data.at > f->n || data.n > f->n - data.at)
        return fail(diag(r), at_tensor(r, i), "its data lies outside the file (download incomplete?)");
    if (x->fmt && (!format_bytes(x->fmt, x->n, &want) || want != data.n))
        return fail(diag(r), at_tensor(r, i), "has %" PRIu64 " bytes of data, its shape asks for another number", data.n);
    x->p = f->p + data.at;
    x->off = data.at;
    return true;
}

static bool read_tensor(Reader *r, int i, const FlatTable *t)
{
    Flat *f = &r->g->flat;
    TfTensor *x = &r->g->tensor[i];
    int64_t type = flat_int(f, t, 1, 1, true, 0), buffer = flat_int(f, t, 2, 4, false, 0);
    FlatTable q = flat_table(f, t, 4), sparsity = flat_table(f, t, 6);

    x->name = flat_str(f, t, 3);
    x->variable = flat_int(f, t, 5, 1, false, 0) != 0;
    x->type_name = type >= 0 && type < N_TYPES ? types[type].name : str_printf(r->a, "type %" PRId64, type);
    x->fmt = type >= 0 && type < N_TYPES && types[type].fmt ? format_find(str_of(types[type].fmt)) : NULL;
    if (!f->ok)
        return false;
    if (sparsity.at)
        return fail(diag(r), at_tensor(r, i), "is stored sparsely, which is not supported (convert it without pruning)");
    return read_shape(r, i, t) && read_quantization(r, i, &q) && read_data(r, i, buffer);
}

/* ---- operators -------------------------------------------------------------------------------------------------------- */

static bool read_indices(Reader *r, const FlatTable *t, int field, bool optional, Loc at, int **out, int *n)
{
    Flat *f = &r->g->flat;
    FlatVector v = flat_vector(f, t, field, 4);

    *out = ARENA_ARRAY(r->a, int, v.n + 1);
    *n = (int)v.n;
    for (int i = 0; i < *n; i++) {
        int64_t k = flat_int_in(f, v, (uint64_t)i, 4, true);

        if (k < (optional ? -1 : 0) || k >= r->g->n_tensor)
            return fail(diag(r), at, "names tensor %" PRId64 ", the model has %d", k, r->g->n_tensor);
        (*out)[i] = (int)k;
    }
    return f->ok;
}

static bool read_op(Reader *r, int i, const FlatTable *t)
{
    Flat *f = &r->g->flat;
    TfOp *o = &r->g->op[i];
    int64_t index = flat_int(f, t, 0, 4, false, 0), old, code;
    FlatTable c;
    int *in, *out;

    if (index < 0 || (uint64_t)index >= r->codes.n)
        return f->ok && fail(diag(r), AT_WHAT(r->m->file.path, str_printf(r->a, "operator %d", i)),
                             "its kind %" PRId64 " is not in the file's list of %" PRIu64, index, r->codes.n);
    c = flat_table_in(f, r->codes, (uint64_t)index);
    old = flat_int(f, &c, 0, 1, true, 0);                   /* what files had before there were more than 127 */
    code = flat_int(f, &c, 3, 4, true, 0);
    o->code = (int)(old > code ? old : code);
    o->custom = flat_str(f, &c, 1);
    o->version = (int)flat_int(f, &c, 2, 4, true, 1);
    o->options = flat_table(f, t, 4);
    o->custom_options = flat_vector(f, t, 5, 1);
    if (!f->ok || !read_indices(r, t, 1, true, tf_at_op(r->a, r->g, i), &in, &o->n_in) ||
        !read_indices(r, t, 2, false, tf_at_op(r->a, r->g, i), &out, &o->n_out))
        return false;
    o->in = in;
    o->out = out;
    return true;
}

/* ---- the file --------------------------------------------------------------------------------------------------------- */

/* The Model's list of tensors: those with data, by a name that is unique. */
static void list_tensors(Reader *r)
{
    Model *m = r->m;

    m->tensor = ARENA_ARRAY(r->a, ModelTensor, r->g->n_tensor + 1);
    for (int i = 0; i < r->g->n_tensor; i++) {
        const TfTensor *x = &r->g->tensor[i];
        ModelTensor *t = &m->tensor[m->n_tensor];

        if (!x->p || !x->fmt || x->rank > MODEL_MAX_RANK || x->n == 0)
            continue;
        *t = (ModelTensor){ .name = str_of(str_printf(r->a, "%d:%s", i, str_z(r->a, x->name))), .fmt = x->fmt,
                            .rank = x->rank ? x->rank : 1, .dim = { 1 }, .off = x->off, .p = x->p };
        for (int k = 0; k < x->rank; k++)
            t->dim[k] = x->dim[k];
        format_bytes(x->fmt, x->n, &t->bytes);
        m->n_tensor++;
    }
    model_sort_tensors(m);
}

/* One subgraph, into r->g. */
static bool read_subgraph(Reader *r, const FlatTable *sub)
{
    Flat *f = &r->g->flat;
    TfGraph *g = r->g;
    FlatVector tensors = flat_vector(f, sub, 0, TABLE_REF), ops = flat_vector(f, sub, 3, TABLE_REF);
    bool ok = true;

    if (!f->ok)
        return false;
    if (!sub->at || !tensors.n || !ops.n)
        return fail(diag(r), AT_FILE(r->m->file.path), "has no graph: a subgraph with tensors and operators is missing");
    g->n_tensor = (int)tensors.n;
    g->tensor = ARENA_ARRAY(r->a, TfTensor, tensors.n);
    for (int i = 0; i < g->n_tensor; i++) {
        FlatTable t = flat_table_in(f, tensors, (uint64_t)i);

        ok = read_tensor(r, i, &t) && ok;
    }
    g->n_op = (int)ops.n;
    g->op = ARENA_ARRAY(r->a, TfOp, ops.n);
    for (int i = 0; ok && i < g->n_op; i++) {
        FlatTable t = flat_table_in(f, ops, (uint64_t)i);

        ok = read_op(r, i, &t);
    }
    return ok && read_indices(r, sub, 1, false, AT_FILE(r->m->file.path), &g->in, &g->n_in) &&
           read_indices(r, sub, 2, false, AT_FILE(r->m->file.path), &g->out, &g->n_out) && f->ok;
}

static bool read_graph(Reader *r)
{
    Flat *f = &r->g->flat;
    TfGraph *g = r->g;
    FlatTable root = flat_root(f), sub;
    FlatVector subgraphs = flat_vector(f, &root, 2, TABLE_REF);
    int64_t version = flat_int(f, &root, 0, 4, false, 0);
    bool ok;

    if (f->ok && version != 3)
        return fail(diag(r), AT_FILE(r->m->file.path), "is of version %" PRId64 " of TensorFlow Lite's format; the known one is 3", version);
    r->codes = flat_vector(f, &root, 1, TABLE_REF);
    r->buffers = flat_vector(f, &root, 4, TABLE_REF);
    g->description = flat_str(f, &root, 3);
    sub = flat_table_in(f, subgraphs, 0);
    if (!read_subgraph(r, &sub))
        return false;
    if (subgraphs.n - 1 > MAX_SUBGRAPHS)
        return fail(diag(r), AT_FILE(r->m->file.path), "has %" PRIu64 " subgraphs, the most are %d", subgraphs.n, MAX_SUBGRAPHS + 1);
    g->n_sub = (int)subgraphs.n - 1;
    g->sub = ARENA_ARRAY(r->a, TfGraph, g->n_sub + 1);
    ok = true;
    for (int i = 0; ok && i < g->n_sub; i++) {
        r->g = &g->sub[i];
        r->g->flat = g->flat;
        sub = flat_table_in(&r->g->flat, subgraphs, (uint64_t)i + 1);
        ok = read_subgraph(r, &sub);
    }
    r->g = g;
    return ok;
}

Model *tflite_read(Arena *a, Diag *d, Mapped file)
{
    Reader r = { .a = a, .m = ARENA_NEW(a, Model), .g = ARENA_NEW(a, TfGraph) };

    *r.m = (Model){ .a = a, .file = file, .name = path_base(file.path), .container = "TensorFlow Lite version 3",
                    .alignment = 1, .graph = r.g };
    r.g->flat = (Flat){ .p = file.p, .n = file.n, .path = file.path, .d = d, .ok = true };
    if (!read_graph(&r))
        return NULL;
    list_tensors(&r);
    return r.m;
}
