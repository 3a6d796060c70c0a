/* Arithmetic of several numbers: sums, products, softmax, reductions of TensorFlow Lite.  See tflite.h. */
#include "compiler/arch/tflite.h"

#include <math.h>

/* [PreprocessSoftmaxScaling, CalculateInputRadius: 5 integer bits] */
Value *tf_softmax(Build *b)
{
    const TfTensor *x = tf_in(b, 0), *y = tf_out(b);
    float beta = flat_float(&b->g->flat, &b->g->op[b->i_op].options, 0, 0);
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
    if (!tf_is_i8(x) || x->rank == 0 || !tf_is_i8(y) || y->zero[0] != -128 || y->scale[0] != 1.0f / 256)
        return tf_refuse(b, "goes from INT8 to INT8 of scale 1/256 and zero point -128, or is FLOAT32");
    scale = (double)beta * (double)x->scale[0] * (double)(1 << 26);
    scale = scale < 2147483647.0 ? scale : 2147483647.0;
    if (!(scale > 1))
        return tf_refuse(b, "its scale times beta is below 2^-26");
    if (x->dim[x->rank - 1] > 1 << 12)
        return tf_refuse(b, "is over more than 4096 numbers, too many for its fixed-point sum");
    if (!tf_multiplier(b, scale, &m, &s))
        return NULL;
    a[0] = attr_str("to", "i8");
    a[1] = attr_int("m", m);
    a[2] = attr_int("s", s);
    a[3] = attr_int("diff_min", -(int64_t)floor(31.0 * (double)(1 << 26) / (double)((int64_t)1 << s)));
    return tf_put(b, OP_softmax_int, "", v, a, 4);
}

/* Both operands of an elementwise operator, the one that is broadcast second.  swapped: they changed places. */
bool tf_two_operands(Build *b, Value **x, Value **y, bool *swapped)
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
    if (rank == 0)
        dim[rank++] = 1;
    for (int i = 0; i < rank; i++)
        if (t[!big]->n != 1 && (rank > t[big]->rank || dim[i] != t[big]->dim[t[big]->rank - rank + i]))
            return tf_unsupported(b, "broadcasts in the middle of a shape, which is not supported");
    *x = v[big];
    *y = v[!big]->kind == VAL_weight ? tf_weight_as(b, "const", t[!big], rank, dim) : tf_shaped(b, v[!big], rank, dim);
    return true;
}

Value *tf_arithmetic(Build *b)
{
    int code = b->g->op[b->i_op].code, act = tf_option(b, 0, 1, ACT_none);
    OpKind kind = code == TF_ADD ? OP_add : code == TF_SUB ? OP_sub : OP_mul;
    const TfTensor *t[2] = { tf_in(b, 0), tf_in(b, 1) }, *y = tf_out(b);
    Value *v[2];
    double factor, twice;
    bool swapped;

    if (!tf_two_operands(b, &v[0], &v[1], &swapped))
        return NULL;
    if (swapped && kind == OP_sub)
        return tf_refuse(b, "subtracts a larger tensor from a smaller one, which is not supported");
    if (swapped) {
        t[0] = tf_in(b, 1);
        t[1] = tf_in(b, 0);
    }
    if (tf_is_type(t[0], "f32") && tf_is_type(t[1], "f32") && tf_is_f32(y))
        return tf_activate(b, tf_put_two(b, kind, "", v[0], v[1], NULL, 0), act);
    if (!tf_is_i8(t[0]) || !tf_is_i8(t[1]) || !tf_is_i8(y)) {
        fail(b->d, tf_here(b), "types %s, %s -> %s are not supported (FLOAT32 throughout, or quantized INT8)", t[0]->type_name,
             t[1]->type_name, y->type_name);
        return NULL;
    }
    if (kind == OP_mul) {
        for (int i = 0; i < 2; i++)
            v[i] = tf_put(b, OP_convert, i ? "b" : "a", v[i],
                       (Attr[]){ attr_str("to", "i32"), attr_int("zero", t[i]->zero[0]) }, 2);
        factor = (double)tf_in(b, 0)->scale[0] * (double)tf_in(b, 1)->scale[0] / (double)y->scale[0];
        return tf_requant(b, tf_put_two(b, OP_mul, "acc", v[0], v[1], NULL, 0), 0, y, &factor, 1, act);
    }
    twice = 2 * (double)(t[0]->scale[0] > t[1]->scale[0] ? t[0]->scale[0] : t[1]->scale[0]);
    for (int i = 0; i < 2; i++)
        v[i] = tf_rescale(b, i ? "b" : "a", v[i], t[i]->zero[0], 20, (double)t[i]->scale[0] / twice);    /* [CalculateOpDataAdd] */
    factor = twice / ((double)(1 << 20) * (double)y->scale[0]);
    if (factor >= 1)
        return tf_refuse(b, "its output's scale is too small for its operands'");
    return tf_requant(b, tf_put_two(b, kind, "acc", v[0], v[1], NULL, 0), 0, y, &factor, 1, act);
}
/* MEAN and SUM over constant axes.  [QuantizedMeanOrSum: the mean's multiplier is divided by the number of elements] */
Value *tf_reduce(Build *b)
{
    bool mean = b->g->op[b->i_op].code == TF_MEAN;
    const TfTensor *x = tf_in(b, 0), *y = tf_out(b);
    int64_t axes[MAX_RANK], n = 1, shift;
    int n_axes = tf_constant_ints(b, 1, MAX_RANK, axes), n_kept = 0;
    Value *v = tf_operand(b, 0);
    int32_t *m = ARENA_ARRAY(b->m->a, int32_t, 2);
    Attr a;

    if (!v || n_axes < 0)
        return NULL;
    for (int i = 0; i < n_axes; i++) {
        int64_t axis = axes[i] < 0 ? axes[i] + x->rank : axes[i];
        bool seen = false;

        for (int k = 0; k < n_kept; k++)
            seen = seen || axes[k] == axis;
        if (axis < 0 || axis >= x->rank || x->dim[axis] < 1)
            return tf_refuse(b, "its axes are not those of its input");
        if (!seen) {
            axes[n_kept++] = axis;
            n *= x->dim[axis];
        }
    }
    a = attr_ints("axes", axes, n_kept);
    if (tf_is_f32(x) && tf_is_f32(y)) {
        Attr by = attr_float("by", 1 / (double)n);

        v = tf_put(b, OP_sum, "sum", v, &a, 1);
        return tf_shaped(b, mean ? tf_put(b, OP_scale, "", v, &by, 1) : v, y->rank, y->dim);
    }
    if (!tf_is_i8(x) || !tf_is_i8(y))
        return tf_refuse(b, "is FLOAT32 or quantized INT8");
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
                    (Attr[]){ attr_str("to", "i8"), attr_int("zero", y->zero[0]), attr_int("x_zero", n * x->zero[0]) }, 3);
    return tf_shaped(b, v, y->rank, y->dim);
}

