/* TensorFlow Lite -> Module: each operator becomes a few ops.
 *
 * Quantized operators become explicit integer ops, with the numbers that TensorFlow Lite Micro computes when it prepares an operator, in the same
 * float or double arithmetic: `requant` carries its multipliers and shifts, `lookup` a function of 256 values.  So the Module's meaning is
 * TensorFlow Lite Micro's to the bit (rounding "double"; tensorflow/lite/kernels/kernel_util.cc, quantization_util.cc and
 * tensorflow/lite/micro/kernels/ are where the numbers come from; where its source of August 2026 and its package of October differ, in
 * the product of FULLY_CONNECTED's scales, which was made in float, it is the package's double).
 *
 *     CONV_2D            conv2d, add (bias), requant           ADD, SUB    requant each to i32, add, requant
 *     FULLY_CONNECTED    reshape, matmul, add, requant         MUL         convert (less the zero point), mul, requant
 *
 * Operators that are not supported are reported all at once. */
#include "compiler/arch/tflite.h"

enum { MAX_SHOWN = 24, ANY = -1 };

/* Operands at least; outputs, or ANY number of them: then the builder is asked for each.  Without a builder: what it does instead of giving tensors. */
typedef struct { int code, min_in, n_out; OpBuilder *build; OpEffect *effect; } Builder;

static const Builder builders[] = {
    { TF_CONV_2D, 2, 1, tf_convolution, NULL },
    { TF_DEPTHWISE_CONV_2D, 2, 1, tf_convolution, NULL },
    { TF_TRANSPOSE_CONV, 3, 1, tf_transpose_conv, NULL },
    { TF_FULLY_CONNECTED, 2, 1, tf_fully_connected, NULL },
    { TF_BATCH_MATMUL, 2, 1, tf_batch_matmul, NULL },
    { TF_AVERAGE_POOL_2D, 1, 1, tf_pool, NULL },
    { TF_MAX_POOL_2D, 1, 1, tf_pool, NULL },

    { TF_ADD, 2, 1, tf_arithmetic, NULL },
    { TF_SUB, 2, 1, tf_arithmetic, NULL },
    { TF_MUL, 2, 1, tf_arithmetic, NULL },
    { TF_DIV, 2, 1, tf_arithmetic, NULL },
    { TF_SQUARED_DIFFERENCE, 2, 1, tf_arithmetic, NULL },
    { TF_MAXIMUM, 2, 1, tf_extremum, NULL },
    { TF_MINIMUM, 2, 1, tf_extremum, NULL },
    { TF_PRELU, 2, 1, tf_prelu, NULL },
    { TF_SOFTMAX, 1, 1, tf_softmax, NULL },
    { TF_L2_NORMALIZATION, 1, 1, tf_l2_normalization, NULL },
    { TF_MEAN, 2, 1, tf_reduce, NULL },
    { TF_SUM, 2, 1, tf_reduce, NULL },
    { TF_REDUCE_MAX, 2, 1, tf_reduce_extremum, NULL },
    { TF_REDUCE_MIN, 2, 1, tf_reduce_extremum, NULL },
    { TF_ARG_MAX, 2, 1, tf_arg_extremum, NULL },
    { TF_ARG_MIN, 2, 1, tf_arg_extremum, NULL },

    { TF_RELU, 1, 1, tf_relu, NULL },
    { TF_RELU6, 1, 1, tf_relu, NULL },
    { TF_RELU_N1_TO_1, 1, 1, tf_relu, NULL },
    { TF_LOGISTIC, 1, 1, tf_sigmoid, NULL },
    { TF_TANH, 1, 1, tf_sigmoid, NULL },
    { TF_ELU, 1, 1, tf_elu, NULL },
    { TF_LEAKY_RELU, 1, 1, tf_leaky_relu, NULL },
    { TF_HARD_SWISH, 1, 1, tf_hard_swish, NULL },
    { TF_ABS, 1, 1, tf_abs, NULL },
    { TF_RSQRT, 1, 1, tf_rsqrt, NULL },
    { TF_EXP, 1, 1, tf_float_function, NULL },
    { TF_LOG, 1, 1, tf_float_function, NULL },
    { TF_SQRT, 1, 1, tf_float_function, NULL },
    { TF_SQUARE, 1, 1, tf_float_function, NULL },
    { TF_NEG, 1, 1, tf_float_function, NULL },
    { TF_FLOOR, 1, 1, tf_float_function, NULL },
    { TF_CEIL, 1, 1, tf_float_function, NULL },
    { TF_ROUND, 1, 1, tf_float_function, NULL },
    { TF_QUANTIZE, 1, 1, tf_quantize, NULL },
    { TF_DEQUANTIZE, 1, 1, tf_dequantize, NULL },
    { TF_CAST, 1, 1, tf_cast, NULL },

    { TF_RESHAPE, 1, 1, tf_reshape, NULL },
    { TF_SQUEEZE, 1, 1, tf_reshape, NULL },
    { TF_EXPAND_DIMS, 1, 1, tf_reshape, NULL },
    { TF_BROADCAST_TO, 1, 1, tf_broadcast, NULL },
    { TF_TRANSPOSE, 2, 1, tf_transpose, NULL },
    { TF_PAD, 2, 1, tf_pad, NULL },
    { TF_PADV2, 3, 1, tf_pad, NULL },
    { TF_MIRROR_PAD, 2, 1, tf_mirror_pad, NULL },
    { TF_CONCATENATION, 1, 1, tf_concatenation, NULL },
    { TF_PACK, 1, 1, tf_pack, NULL },
    { TF_UNPACK, 1, ANY, tf_unpack, NULL },
    { TF_SPLIT, 2, ANY, tf_split, NULL },
    { TF_SPLIT_V, 3, ANY, tf_split, NULL },
    { TF_SLICE, 3, 1, tf_slice, NULL },
    { TF_STRIDED_SLICE, 4, 1, tf_strided_slice, NULL },
    { TF_GATHER, 2, 1, tf_gather, NULL },
    { TF_REVERSE_V2, 2, 1, tf_reverse, NULL },
    { TF_RESIZE_NEAREST_NEIGHBOR, 2, 1, tf_resize, NULL },
    { TF_RESIZE_BILINEAR, 2, 1, tf_resize, NULL },
    { TF_SPACE_TO_DEPTH, 1, 1, tf_depth_and_space, NULL },
    { TF_DEPTH_TO_SPACE, 1, 1, tf_depth_and_space, NULL },
    { TF_SPACE_TO_BATCH_ND, 3, 1, tf_batch_and_space, NULL },
    { TF_BATCH_TO_SPACE_ND, 3, 1, tf_batch_and_space, NULL },

    { TF_VAR_HANDLE, 0, 1, NULL, tf_var_handle },
    { TF_READ_VARIABLE, 1, 1, tf_read_variable, NULL },
    { TF_ASSIGN_VARIABLE, 2, 0, NULL, tf_assign_variable },
    { TF_CALL_ONCE, 0, 0, NULL, tf_call_once },
    { TF_SVDF, 5, 1, tf_svdf, NULL },
    { TF_UNIDIRECTIONAL_SEQUENCE_LSTM, 20, 1, tf_lstm, NULL },
};

static const Builder *builder_of(const TfOp *o)
{
    for (size_t i = 0; i < sizeof builders / sizeof *builders; i++)
        if (builders[i].code == o->code && o->n_in >= builders[i].min_in && (builders[i].n_out == ANY || o->n_out == builders[i].n_out))
            return &builders[i];
    return NULL;
}

/* Every operator that has no builder, at once. */
static bool all_known(Build *b)
{
    Buf list = buf_in(b->m->a);
    int n = 0;

    for (int i = 0; i < b->g->n_op; i++) {
        if (builder_of(&b->g->op[i]))
            continue;
        if (n++ < MAX_SHOWN)
            buf_printf(&list, "%s%s", n > 1 ? "; " : "", tf_at_op(b->m->a, b->g, i).what);
    }
    if (n > MAX_SHOWN)
        buf_printf(&list, "; and %d more", n - MAX_SHOWN);
    return n == 0 || fail(b->d, AT_FILE(b->g->flat.path), "%d operator%s not supported: %s", n, n == 1 ? " is" : "s are",
                          str_z(b->m->a, buf_str(&list)));
}

/* The result has the shape and the type that the file says. */
static bool as_declared(Build *b, const Value *v)
{
    const TfTensor *t = tf_out(b);

    if (t->fmt && type_eq(v->type, tf_type(b->m, t->fmt, t->rank, t->dim)))
        return true;
    return fail(b->d, tf_here(b), "gives %s, but the file says that its output has another shape or type, %s of %" PRId64 " elements",
                type_text(b->m->a, v->type), t->type_name, t->n);
}

/* The operator at hand, output by output. */
static bool build_op(Build *b)
{
    const TfOp *o = tf_op(b);
    const Builder *k = builder_of(o);

    if (k->effect)
        return k->effect(b) && b->g->flat.ok;
    for (b->i_out = 0; b->i_out < o->n_out; b->i_out++) {
        Value *v = k->build(b);

        if (!v || !b->g->flat.ok || !as_declared(b, v))
            return false;
        b->value[o->out[b->i_out]] = v;
    }
    b->i_out = 0;
    return true;
}

/* How numbers of input (output) i stand for real ones, where one scale does: facts "input.0.scale" and "input.0.zero". */
static void note_quantization(Module *m, const TfTensor *t, const char *port, int i)
{
    if (t->n_scale != 1)
        return;
    module_set_meta(m, str_printf(m->a, "%s.%d.scale", port, i), attr_float("", (double)t->scale[0]));
    module_set_meta(m, str_printf(m->a, "%s.%d.zero", port, i), attr_int("", t->zero[0]));
}

bool arch_tflite(Module *m, TfGraph *g, Diag *d)
{
    Build b = { .m = m, .g = g, .d = d, .value = ARENA_ARRAY(m->a, Value *, g->n_tensor + 1),
                .handle = ARENA_ARRAY(m->a, TfVariable *, g->n_tensor + 1) };
    Value **results = ARENA_ARRAY(m->a, Value *, g->n_out + 1);
    bool ok = true;

    b.f = module_add_func(m, "run");
    b.r = b.f->body;
    for (int i = 0; i < g->n_in; i++) {
        const TfTensor *t = &g->tensor[g->in[i]];

        if (!t->fmt || t->p)
            ok = fail(d, AT_WHAT(g->flat.path, str_printf(m->a, "input %d", i)), "of type %s%s is not supported", t->type_name,
                      t->p ? ", a constant," : "");
        else
            b.value[g->in[i]] = func_add_param(b.f, func_fresh_name(b.f, t->name.n ? str_show(m->a, t->name, 60) : "input"),
                                               tf_type(m, t->fmt, t->rank, t->dim), VAL_result);
    }
    if (!ok || !all_known(&b))
        return false;
    for (b.i_op = 0; b.i_op < g->n_op; b.i_op++)
        if (!build_op(&b))
            return false;
    for (int i = 0; ok && i < g->n_out; i++) {
        results[i] = b.value[g->out[i]];
        if (!results[i] || results[i]->kind != VAL_result)
            ok = fail(d, AT_WHAT(g->flat.path, str_printf(m->a, "output %d", i)), "is not computed by an operator");
    }
    if (!ok || g->n_out == 0)
        return ok && fail(d, AT_FILE(g->flat.path), "has no outputs");
    for (int i = 0; i < g->n_in; i++)
        note_quantization(m, &g->tensor[g->in[i]], "input", i);
    for (int i = 0; i < g->n_out; i++)
        note_quantization(m, &g->tensor[g->out[i]], "output", i);
    op_new(b.r, NULL, OP_return, "", results, g->n_out, NULL, 0);
    module_add_entry(m, "run", b.f);
    return true;
}
