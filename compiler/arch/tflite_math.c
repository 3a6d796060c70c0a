/* Arithmetic of several numbers: sums, products, softmax, reductions of TensorFlow Lite.  See tflite.h. */
#include "compiler/arch/tflite.h"

#include <math.h>

/* [PreprocessSoftmaxScaling, CalculateInputRadius: 5 integer bits] */
Value *tf_softmax(Build *b)
{
    const TfTensor *x = tf_in(b, 0), *y = tf_out(b);
    float beta = tf_float_option(b, 0, 0);
    double scale;
    Value *v = tf_operand(b, 0);
    int32_t m, s;
    Attr a[4];

    if (!v)
        return NULL;
    if (tf_is_f32(x) && tf_is_f32(y) && x->rank > 0) {
        a[0] = attr_float("by", (double)beta);
        return tf_put(b, OP_softmax, "", beta == 1 ? v : tf_put(b, OP_scale, "scaled", v, a, 1), NULL, 0);
    }
    if (!tf_is_i8(x) || x->rank == 0 || !((tf_is_i8(y) && y->zero[0] == -128 && y->scale[0] == 1.0f / 256) ||
                                          (tf_is_i16(y) && y->zero[0] == -32768 && fabsf(y->scale[0] - 1.0f / 65536) <= 0.001f / 65536)))
        return tf_refuse(b, "goes from INT8 to INT8 of scale 1/256 and zero point -128, or to INT16 of 1/65536 and -32768, or is FLOAT32");
    scale = (double)beta * (double)x->scale[0] * (double)(1 << 26);
    scale = scale < 2147483647.0 ? scale : 2147483647.0;
    if (!(scale > 1))
        return tf_refuse(b, "its scale times beta is below 2^-26");
    if (x->dim[x->rank - 1] > 1 << 12)
        return tf_refuse(b, "is over more than 4096 numbers, too many for its fixed-point sum");
    if (!tf_multiplier(b, scale, &m, &s))
        return NULL;
    a[0] = attr_str("to", y->fmt->name);
    a[1] = attr_int("m", m);
    a[2] = attr_int("s", s);
    a[3] = attr_int("diff_min", -(int64_t)floor(31.0 * (double)(1 << 26) / (double)((int64_t)1 << s)));
    return tf_put(b, OP_softmax_int, "", v, a, 4);
}

/* Both operands in the shape of the output. */
static bool spread_both(Build *b, Value **x, Value **y, bool *swapped)
{
    *x = tf_spread(b, tf_operand(b, 0), tf_out(b));
    *y = *x ? tf_spread(b, tf_operand(b, 1), tf_out(b)) : NULL;
    *swapped = false;
    return *x && *y;
}

/* Both operands of an elementwise operator, the one that is broadcast second.  swapped: they changed places, which in_order forbids. */
static bool two_operands(Build *b, bool in_order, Value **x, Value **y, bool *swapped)
{
    const TfTensor *t[2] = { tf_in(b, 0), tf_in(b, 1) };
    Value *v[2] = { tf_operand(b, 0), tf_operand(b, 1) };
    int64_t dim[MAX_RANK];
    int big, rank = 0;

    if (!v[0] || !v[1])
        return false;
    big = t[1]->n > t[0]->n || (t[1]->n == t[0]->n && t[1]->rank > t[0]->rank);
    *swapped = big == 1;
    for (int i = 0; i < t[!big]->rank; i++)                 /* ones in front are no dimensions */
        if (rank || t[!big]->dim[i] != 1 || t[!big]->rank - i <= 0)
            dim[rank++] = t[!big]->dim[i];
    if (t[0]->rank == t[1]->rank && t[0]->n == t[1]->n) {
        *x = v[0];
        *y = v[1];
        *swapped = false;
        return true;
    }
    if (in_order && *swapped)
        return spread_both(b, x, y, swapped);
    if (rank == 0)
        dim[rank++] = 1;
    for (int i = 0; i < rank; i++)
        if (t[!big]->n != 1 && (rank > t[big]->rank || dim[i] != t[big]->dim[t[big]->rank - rank + i]))
            return spread_both(b, x, y, swapped);
    *x = v[big];
    *y = v[!big]->kind == VAL_weight ? tf_weight_as(b, "const", t[!big], rank, dim) : tf_shaped(b, v[!big], rank, dim);
    return true;
}

/* The larger operand's scale, twice, is what ADD and SUB compute in: left bits under it.  [CalculateOpDataAdd, CalculateOpDataSub] */
static Value *add_quantized(Build *b, OpKind kind, Value **v, const TfTensor **t, int act)
{
    const TfTensor *y = tf_out(b);
    int left = tf_is_i16(y) ? 15 : 20;
    double twice = 2 * (double)(t[0]->scale[0] > t[1]->scale[0] ? t[0]->scale[0] : t[1]->scale[0]);
    double factor = twice / ((double)(1 << left) * (double)y->scale[0]);

    if (factor >= 1)
        return tf_refuse(b, "its output's scale is too small for its operands'");
    for (int i = 0; i < 2; i++)
        v[i] = tf_rescale(b, i ? "b" : "a", v[i], t[i]->zero[0], left, (double)t[i]->scale[0] / twice);
    return tf_requant(b, tf_put_two(b, kind, "acc", v[0], v[1], NULL, 0), 0, y, &factor, 1, act);
}

static Value *mul_quantized(Build *b, Value **v, const TfTensor **t, int act)
{
    double factor = (double)tf_in(b, 0)->scale[0] * (double)tf_in(b, 1)->scale[0] / (double)tf_out(b)->scale[0];

    for (int i = 0; i < 2; i++)
        v[i] = tf_put(b, OP_convert, i ? "b" : "a", v[i], (Attr[]){ attr_str("to", "i32"), attr_int("zero", t[i]->zero[0]) }, 2);
    return tf_requant(b, tf_put_two(b, OP_mul, "acc", v[0], v[1], NULL, 0), 0, tf_out(b), &factor, 1, act);
}

/* 7 bits under twice the larger scale, and the square of the difference.  [squared_difference.cc] */
static Value *squared_quantized(Build *b, Value **v, const TfTensor **t)
{
    double twice = 2 * (double)(t[0]->scale[0] > t[1]->scale[0] ? t[0]->scale[0] : t[1]->scale[0]);
    double factor = twice * twice / (double)((float)(1 << 14) * tf_out(b)->scale[0]);
    Value *d;

    for (int i = 0; i < 2; i++)
        v[i] = tf_rescale(b, i ? "b" : "a", v[i], t[i]->zero[0], 7, (double)t[i]->scale[0] / twice);
    d = tf_put_two(b, OP_sub, "d", v[0], v[1], NULL, 0);
    return tf_requant(b, tf_put_two(b, OP_mul, "acc", d, d, NULL, 0), 0, tf_out(b), &factor, 1, ACT_none);
}

/* ADD, SUB, MUL, DIV, SQUARED_DIFFERENCE. */
Value *tf_arithmetic(Build *b)
{
    int code = tf_op(b)->code, act = code == TF_SQUARED_DIFFERENCE ? ACT_none : tf_option(b, 0, 1, ACT_none);
    OpKind kind = code == TF_ADD ? OP_add : code == TF_MUL ? OP_mul : code == TF_DIV ? OP_div : OP_sub;
    const TfTensor *t[2] = { tf_in(b, 0), tf_in(b, 1) }, *y = tf_out(b);
    bool swapped, squared = code == TF_SQUARED_DIFFERENCE;
    Value *v[2];

    if (!two_operands(b, kind == OP_sub || kind == OP_div, &v[0], &v[1], &swapped))
        return NULL;
    if (swapped) {
        t[0] = tf_in(b, 1);
        t[1] = tf_in(b, 0);
    }
    if (tf_is_f32(t[0]) && tf_is_f32(t[1]) && tf_is_f32(y)) {
        Value *z = tf_put_two(b, kind, squared ? "d" : "", v[0], v[1], NULL, 0);

        return squared ? tf_put_two(b, OP_mul, "", z, z, NULL, 0) : tf_activate(b, z, act);
    }
    if (t[0]->fmt == t[1]->fmt && t[0]->fmt == y->fmt) {
        if (tf_is_i8(t[0]) && tf_is_i8(t[1]) && tf_is_i8(y) && squared)
            return squared_quantized(b, v, t);
        if (((tf_is_i8(t[0]) && tf_is_i8(t[1]) && tf_is_i8(y)) || (tf_is_i16(t[0]) && tf_is_i16(t[1]) && tf_is_i16(y))) && !squared && kind != OP_div)
            return kind == OP_mul ? mul_quantized(b, v, t, act) : add_quantized(b, kind, v, t, act);
    }
    return tf_refuse_types(b, squared ? "FLOAT32 throughout, or quantized INT8" : kind == OP_div ? "FLOAT32 throughout"
                              : "FLOAT32 throughout, or quantized INT8 or INT16");
}

/* MAXIMUM and MINIMUM compare numbers as they are stored: all have the quantization of the output. */
Value *tf_extremum(Build *b)
{
    const TfTensor *y = tf_out(b);
    Value *v[2];
    bool swapped;

    if (!two_operands(b, false, &v[0], &v[1], &swapped))
        return NULL;
    if (!tf_same_quant(tf_in(b, 0), y) || !tf_same_quant(tf_in(b, 1), y))
        return tf_refuse(b, "its operands are not quantized like its output");
    return tf_put_two(b, tf_op(b)->code == TF_MAXIMUM ? OP_max : OP_min, "", v[0], v[1], NULL, 0);
}

/* max(x, 0) + alpha min(x, 0), each part rescaled by itself.  [CalculatePreluParams] */
Value *tf_prelu(Build *b)
{
    const TfTensor *x = tf_in(b, 0), *alpha = tf_in(b, 1), *y = tf_out(b);
    Value *v = tf_operand(b, 0), *k, *below;
    double one = 1;
    bool swapped;

    if (!v || !two_operands(b, true, &v, &k, &swapped))
        return NULL;
    if (tf_is_f32(x) && tf_is_f32(alpha) && tf_is_f32(y)) {
        below = tf_min_zero(b, v);
        return tf_put_two(b, OP_add, "", tf_put(b, OP_relu, "above", v, NULL, 0), tf_put_two(b, OP_mul, "scaled", below, k, NULL, 0), NULL, 0);
    }
    if (!tf_is_i8(x) || !tf_is_i8(alpha) || !tf_is_i8(y))
        return tf_refuse_types(b, "FLOAT32 throughout, or quantized INT8");
    v = tf_put(b, OP_convert, "x", v, (Attr[]){ attr_str("to", "i32"), attr_int("zero", x->zero[0]) }, 2);
    k = tf_put(b, OP_convert, "alpha", k, (Attr[]){ attr_str("to", "i32"), attr_int("zero", alpha->zero[0]) }, 2);
    below = tf_min_zero(b, v);
    below = tf_rescale(b, "b", tf_put_two(b, OP_mul, "scaled", below, k, NULL, 0), 0, 0,
                       (double)x->scale[0] * (double)alpha->scale[0] / (double)y->scale[0]);
    v = tf_rescale(b, "a", tf_put(b, OP_relu, "above", v, NULL, 0), 0, 0, (double)x->scale[0] / (double)y->scale[0]);
    return tf_requant(b, tf_put_two(b, OP_add, "acc", v, below, NULL, 0), 0, y, &one, 1, ACT_none);
}

Value *tf_l2_normalization(Build *b)
{
    const TfTensor *x = tf_in(b, 0), *y = tf_out(b);
    Value *v = tf_operand(b, 0), *sum;
    Attr axes = attr_ints("axes", (int64_t[]){ x ? x->rank - 1 : 0 }, 1);

    if (!v)
        return NULL;
    if (x->rank < 1 || tf_option(b, 0, 1, ACT_none) != ACT_none)
        return tf_refuse(b, "needs an innermost dimension and no fused activation function");
    if (tf_is_i8(x) && tf_is_i8(y) && y->scale[0] == 1.0f / 128 && y->zero[0] == 0)
        return tf_put(b, OP_l2norm_int, "", v, (Attr[]){ attr_int("zero", x->zero[0]) }, 1);
    if (!tf_is_f32(x) || !tf_is_f32(y))
        return tf_refuse_types(b, "FLOAT32 throughout, or quantized INT8, its output of scale 1/128 and zero point 0");
    sum = tf_put(b, OP_sqrt, "norm", tf_put(b, OP_sum, "sum", tf_put_two(b, OP_mul, "squares", v, v, NULL, 0), &axes, 1), NULL, 0);
    sum = tf_put(b, OP_clamp, "floor", sum, (Attr[]){ attr_float("lo", 1e-6), attr_float("hi", (double)INFINITY) }, 2);
    return tf_put_two(b, OP_div, "", v, tf_spread(b, sum, x), NULL, 0);
}

/* ---- reductions ------------------------------------------------------------------------------------------------------- */

/* The axes of operand 1, each once; their number, -1 after a report.  *n: how many elements become one. */
static int axes_of(Build *b, int64_t *axes, int64_t *n)
{
    const TfTensor *x = tf_in(b, 0);
    int n_axes = tf_constant_ints(b, 1, MAX_RANK, axes), n_kept = 0;

    *n = 1;
    for (int i = 0; i < n_axes; i++) {
        int axis = tf_axis(b, axes[i], x->rank);
        bool seen = false;

        if (axis < 0 || x->dim[axis] < 1)
            return axis < 0 ? -1 : (tf_unsupported(b, "is over nothing: a dimension of its input is 0"), -1);
        for (int k = 0; k < n_kept; k++)
            seen = seen || axes[k] == axis;
        if (!seen) {
            axes[n_kept++] = axis;
            *n *= x->dim[axis];
        }
    }
    return n_axes < 0 ? -1 : n_kept;
}

/* MEAN and SUM over constant axes.  [QuantizedMeanOrSum: the mean's multiplier is divided by the number of elements] */
Value *tf_reduce(Build *b)
{
    bool mean = tf_op(b)->code == TF_MEAN;
    const TfTensor *x = tf_in(b, 0), *y = tf_out(b);
    int32_t *m = ARENA_ARRAY(b->m->a, int32_t, 2);
    Value *v = tf_operand(b, 0);
    int64_t axes[MAX_RANK], n, shift;
    int n_axes = v ? axes_of(b, axes, &n) : -1;
    Attr a;

    if (n_axes < 0)
        return NULL;
    a = attr_ints("axes", axes, n_axes);
    if (tf_is_f32(x) && tf_is_f32(y)) {
        Attr by = attr_float("by", 1 / (double)n);

        v = tf_put(b, OP_sum, "sum", v, &a, 1);
        return tf_shaped_out(b, mean ? tf_put(b, OP_scale, "", v, &by, 1) : v);
    }
    if (!(tf_is_i8(x) && tf_is_i8(y)) && !(tf_is_i16(x) && tf_is_i16(y)))
        return tf_refuse_types(b, "FLOAT32 throughout, or quantized INT8 or INT16");
    if (!tf_multiplier(b, (double)x->scale[0] / (double)y->scale[0], &m[0], &m[1]))
        return NULL;
    for (shift = 0; mean && shift < 32 && n >> (shift + 1);)
        shift++;
    shift = shift > 31 + m[1] ? 31 + m[1] : shift;
    m[0] = mean ? (int32_t)(((int64_t)m[0] << shift) / n) : m[0];
    m[1] -= (int32_t)shift;
    if (n * x->zero[0] > INT32_MAX || n * x->zero[0] < INT32_MIN)
        return tf_refuse(b, "its sums need more than 32 bits");
    v = tf_put_requant(b, "", tf_put(b, OP_sum, "sum", v, &a, 1), m, m + 1, 1,
                       (Attr[]){ attr_str("to", y->fmt->name), attr_int("zero", y->zero[0]), attr_int("x_zero", n * x->zero[0]) }, 3);
    return tf_shaped_out(b, v);
}

/* What is least becomes what is most: -1 - x of int8, -x of a float. */
static Value *mirrored(Build *b, Value *v, const TfTensor *t)
{
    int32_t *table = ARENA_ARRAY(b->m->a, int32_t, 256);

    for (int i = 0; i < 256; i++)
        table[i] = -1 - (i - 128);
    return tf_is_f32(t) ? tf_put(b, OP_neg, "neg", v, NULL, 0) : tf_lookup(b, v, table);
}

/* REDUCE_MAX and REDUCE_MIN: a pool over each axis. */
Value *tf_reduce_extremum(Build *b)
{
    bool least = tf_op(b)->code == TF_REDUCE_MIN;
    const TfTensor *x = tf_in(b, 0), *y = tf_out(b);
    Value *v = tf_operand(b, 0);
    int64_t axes[MAX_RANK], n, dim[MAX_RANK];
    int n_axes = v ? axes_of(b, axes, &n) : -1;

    if (n_axes < 0)
        return NULL;
    if (!(tf_is_f32(x) && tf_is_f32(y)) && !(tf_is_i8(x) && tf_same_quant(x, y)))
        return tf_refuse_types(b, "FLOAT32 throughout, or INT8 of equal quantization");
    memcpy(dim, x->dim, sizeof dim);
    v = least ? mirrored(b, v, x) : v;
    for (int i = 0; i < n_axes; i++) {
        int64_t outer = 1, inner = 1, size = dim[axes[i]];

        for (int k = 0; k < x->rank; k++)
            *(k < axes[i] ? &outer : &inner) *= k == axes[i] ? 1 : dim[k];
        v = tf_put(b, OP_maxpool, "", tf_shaped(b, v, 4, (int64_t[]){ outer, size, 1, inner }),
                   (Attr[]){ attr_ints("window", (int64_t[]){ size, 1 }, 2), attr_ints("stride", (int64_t[]){ 1, 1 }, 2),
                             attr_ints("pad", (int64_t[]){ 0, 0, 0, 0 }, 4) }, 3);
        dim[axes[i]] = 1;
    }
    return tf_shaped_out(b, least ? mirrored(b, v, x) : v);
}

/* ARG_MAX and ARG_MIN. */
Value *tf_arg_extremum(Build *b)
{
    const TfTensor *x = tf_in(b, 0), *y = tf_out(b);
    Value *v = tf_operand(b, 0);
    int axis = v ? tf_axis_operand(b, 1, x->rank) : -1;

    if (axis < 0)
        return NULL;
    if (!tf_is_type(y, "i32") || !(tf_is_f32(x) || tf_is_type(x, "i8")))
        return tf_refuse_types(b, "FLOAT32 or INT8 to INT32");
    return tf_shaped_out(b, tf_put(b, OP_argmax, "", v, (Attr[]){ attr_int("axis", axis), attr_int("least", 1) },
                                   tf_op(b)->code == TF_ARG_MIN ? 2 : 1));
}
