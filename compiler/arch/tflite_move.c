/* Operators of TensorFlow Lite that move elements and compute nothing.  See tflite.h. */
#include "compiler/arch/tflite.h"

/* RESHAPE, SQUEEZE, EXPAND_DIMS: the output's shape says all. */
Value *tf_reshape(Build *b)
{
    const TfTensor *x = tf_in(b, 0), *y = tf_out(b);
    Value *v = tf_operand(b, 0);

    if (!v)
        return NULL;
    if (x->n != y->n || x->fmt != y->fmt)
        return tf_refuse(b, "its output does not have the input's elements");
    return tf_shaped(b, v, y->rank, y->dim);
}

Value *tf_transpose(Build *b)
{
    Value *v = tf_operand(b, 0);
    int64_t perm[MAX_RANK];
    Attr a;

    if (!v)
        return NULL;
    if (tf_constant_ints(b, 1, MAX_RANK, perm) != v->type.rank)
        return tf_refuse(b, "its permutation does not have a number for each dimension");
    a = attr_ints("perm", perm, v->type.rank);
    return tf_put(b, OP_transpose, "", v, &a, 1);
}

Value *tf_pad(Build *b)
{
    const TfTensor *x = tf_in(b, 0), *fill = tf_in(b, 2);
    int64_t both[2 * MAX_RANK], before[MAX_RANK], after[MAX_RANK];
    double value = tf_is_i8(x) ? (double)x->zero[0] : 0;
    Value *v = tf_operand(b, 0);

    if (!v)
        return NULL;
    if (tf_constant_ints(b, 1, 2 * MAX_RANK, both) != 2 * x->rank)
        return tf_refuse(b, "its paddings do not have two numbers for each dimension");
    if (fill) {
        if (!fill->p || fill->n != 1 || fill->fmt != x->fmt || (!tf_is_f32(x) && !tf_is_type(x, "i8")))
            return tf_refuse(b, "what it pads with is no constant number of its input's type");
        if (tf_is_f32(x)) {
            float f;

            fill->fmt->decode(&f, fill->p, 1);
            value = (double)f;
        } else
            value = (double)(int8_t)fill->p[0];
    }
    for (int i = 0; i < x->rank; i++) {
        before[i] = both[2 * i];
        after[i] = both[2 * i + 1];
    }
    return tf_put(b, OP_pad, "", v,
               (Attr[]){ attr_ints("before", before, x->rank), attr_ints("after", after, x->rank), attr_float("value", value) }, 3);
}

/* Elements begin .. end of each dimension, one slice at a time. */
static Value *cut(Build *b, Value *v, const int64_t *begin, const int64_t *end, int rank)
{
    for (int i = 0; v && i < rank; i++) {
        Attr a[3] = { attr_int("axis", i), attr_int("begin", begin[i]), attr_int("end", end[i]) };

        if (begin[i] != 0 || v->type.rank <= i || v->type.dim[i] != dim_const(b->m, end[i]))
            v = tf_put(b, OP_slice, "cut", v, a, 3);
    }
    return v;
}

/* SLICE (begin and size) and STRIDED_SLICE (begin and end, steps of 1). */
Value *tf_slice(Build *b)
{
    bool strided = b->g->op[b->i_op].code == TF_STRIDED_SLICE;
    const TfTensor *x = tf_in(b, 0), *y = tf_out(b);
    int64_t begin[MAX_RANK], end[MAX_RANK], step[MAX_RANK];
    int masks[5] = { 0 };
    Value *v = tf_operand(b, 0);

    if (!v)
        return NULL;
    if (tf_constant_ints(b, 1, MAX_RANK, begin) != x->rank || tf_constant_ints(b, 2, MAX_RANK, end) != x->rank ||
        (strided && tf_constant_ints(b, 3, MAX_RANK, step) != x->rank))
        return tf_refuse(b, "its limits are not constants, one for each dimension");
    for (int i = 0; strided && i < 5; i++)                  /* begin, end, ellipsis, new axis, shrink axis */
        masks[i] = tf_option(b, i, 4, 0);
    if (masks[2] || masks[3])
        return tf_refuse(b, "has an ellipsis or a new axis, which is not supported");
    for (int i = 0; i < x->rank; i++) {
        int64_t n = x->dim[i];

        if (strided) {
            if (step[i] != 1)
                return tf_refuse(b, "has a step other than 1, which is not supported");
            begin[i] = masks[0] >> i & 1 ? 0 : begin[i] < 0 ? begin[i] + n : begin[i];
            end[i] = masks[4] >> i & 1 ? begin[i] + 1 : masks[1] >> i & 1 ? n : end[i] < 0 ? end[i] + n : end[i];
            begin[i] = begin[i] < 0 ? 0 : begin[i] > n ? n : begin[i];
            end[i] = end[i] > n ? n : end[i];
        } else
            end[i] = end[i] < 0 ? n : begin[i] + end[i];
    }
    v = cut(b, v, begin, end, x->rank);
    return v && y->n == type_n(v->type) ? tf_shaped(b, v, y->rank, y->dim) : v;
}

/* Operands of another scale than the output's are brought to it first.  [concatenation.cc refuses them; the reference does not] */
Value *tf_concatenation(Build *b)
{
    const TfOp *o = &b->g->op[b->i_op];
    const TfTensor *y = tf_out(b);
    Value **v = ARENA_ARRAY(b->m->a, Value *, o->n_in + 1);
    int axis = tf_option(b, 0, 4, 0);
    Attr a;

    if (tf_option(b, 1, 1, ACT_none) != ACT_none || axis < -y->rank || axis >= y->rank)
        return tf_refuse(b, "its axis is not one of its output, or it has a fused activation function");
    for (int i = 0; i < o->n_in; i++) {
        const TfTensor *x = tf_in(b, i);

        if (!(v[i] = tf_operand(b, i)))
            return NULL;
        if (x->fmt != y->fmt || x->n_scale != y->n_scale || (x->n_scale && (x->scale[0] != y->scale[0] || x->zero[0] != y->zero[0])))
            return tf_refuse(b, "its operands are not quantized like its output");
    }
    a = attr_int("axis", axis < 0 ? axis + y->rank : axis);
    return tf_put_many(b, OP_concat, "", v, o->n_in, &a, 1);
}
