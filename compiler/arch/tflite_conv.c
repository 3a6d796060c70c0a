/* Convolutions, fully connected layers and pools of TensorFlow Lite.  See tflite.h. */
#include "compiler/arch/tflite.h"

enum { PADDING_same = 0 };

/* ---- contractions ----------------------------------------------------------------------------------------------------- */

/* What both convolutions, FULLY_CONNECTED and their quantized forms end with: bias, and the way into the output's quantization. */
/* Bias of int16 activations, as i32: INT64 in the file, or none.  The sums of TensorFlow Lite have 64 bits then, ours 32: they are equal as long as no sum can
 * leave 32 bits, which follows from the weights.  w: [outer, channels, inner], one sum for each channel.  NULL after a report. */
static Value *short_bias(Build *b, const TfTensor *w, const TfTensor *bias, int64_t n_outer, int64_t c_out)
{
    int64_t inner = w->n / (c_out * n_outer);
    int32_t *v = ARENA_ARRAY(b->m->a, int32_t, c_out);

    for (int64_t c = 0; c < c_out; c++) {
        uint64_t sum = 0;
        int64_t k = 0;

        for (int64_t i = 0; i < w->n / c_out; i++) {
            int64_t q = (int8_t)w->p[(i / inner * c_out + c) * inner + i % inner];

            sum += (uint64_t)(q < 0 ? -q : q);
        }
        for (int i = 7; bias && i >= 0; i--)
            k = (int64_t)((uint64_t)k << 8 | bias->p[8 * c + i]);
        if (k < -INT32_MAX || k > INT32_MAX || sum > (1 << 16) || (sum << 15) + (uint64_t)(k < 0 ? -k : k) > INT32_MAX)
            return tf_refuse(b, "has sums of INT16 that may need more than 32 bits, which is not supported");
        v[c] = (int32_t)k;
    }
    return tf_int_weight(b, "b", v, (int)c_out);
}

static Value *finish(Build *b, Value *acc, const TfTensor *x, const TfTensor *w, const TfTensor *bias, int64_t c_out, int act)
{
    bool wide = tf_is_i16(x) && !tf_is_type(bias, "i32");
    int64_t w_outer = tf_op(b)->code == TF_DEPTHWISE_CONV_2D ? w->n / c_out : 1;
    const TfTensor *y = tf_out(b);
    Value *y_value;
    double *factor = ARENA_ARRAY(b->m->a, double, c_out + 1);

    if (wide && bias && !(bias->p && tf_is_type(bias, "i64") && bias->n == c_out))
        return tf_refuse(b, "its bias is no constant of INT32 or INT64, a number for each output");
    if (!wide && bias && (!bias->p || !tf_is_type(bias, tf_is_f32(x) ? "f32" : "i32") || bias->n != c_out)) {
        fail(b->d, tf_here(b), "its bias is no constant of %" PRId64 " numbers of type %s", c_out, tf_is_f32(x) ? "FLOAT32" : "INT32");
        return NULL;
    }
    if (wide)
        acc = tf_put_two(b, OP_add, "bias", acc, short_bias(b, w, bias, w_outer, c_out), NULL, 0);
    else if (bias)
        acc = tf_put_two(b, OP_add, "bias", acc, tf_weight_as(b, "b", bias, 1, &c_out), NULL, 0);
    if (tf_is_f32(x))
        return tf_activate(b, acc, act);
    for (int64_t i = 0; i < (w->n_scale == 1 ? 1 : c_out); i++)
        if (!((factor[i] = (double)x->scale[0] * (double)w->scale[i] / (double)y->scale[0]) < (wide ? 1 << 13 : 2147483648.0)))
            return tf_refuse(b, "its output's scale is too small for its operands'");
    y_value = tf_requant(b, acc, 0, y, factor, w->n_scale == 1 ? 1 : (int)c_out, act);
    if (wide && y_value)
        op_set_attr(y_value->op, attr_str("rounding", "short"));
    return y_value;
}

/* Formats that a contraction may have: all f32, or int8 with int8 weights whose zero points are 0. */
static bool contraction_formats(Build *b, const TfTensor *x, const TfTensor *w, int64_t c_out, int w_dim)
{
    const TfTensor *y = tf_out(b);

    if (tf_is_f32(x) && tf_is_f32(w) && tf_is_f32(y))
        return true;
    if (tf_is_f32(x) && tf_is_type(w, "i8"))
        return tf_unsupported(b, "has float activations and int8 weights (hybrid): quantize the activations too, or leave the weights in float");
    if (!tf_is_i8(w) || !((tf_is_i8(x) && tf_is_i8(y)) || (tf_is_i16(x) && tf_is_i16(y) && x->zero[0] == 0 && y->zero[0] == 0)))
        return tf_refuse_types(b, "FLOAT32 throughout, or quantized INT8, or INT16 by INT8 with zero points of 0"), false;
    if (w->n_scale > 1 && (w->q_dim != w_dim || w->n_scale != c_out))
        return tf_unsupported(b, "its weights are not quantized along their output channels");
    for (int i = 0; i < w->n_scale; i++)
        if (w->zero[i] != 0)
            return tf_unsupported(b, "its weights' zero points are not 0");
    return true;
}

/* Zero rows before and after, so that windows of `size` taken every `stride` leave ceil(x / stride).  [ComputePaddingHeightWidth] */
static void same_padding(int64_t x, int64_t size, int64_t stride, int64_t *before, int64_t *after)
{
    int64_t out = (x + stride - 1) / stride, total = (out - 1) * stride + size - x;

    total = total > 0 ? total : 0;
    *before = total / 2;
    *after = total - total / 2;
}

/* stride, pad and dilation of an operator with windows: fields padding, stride_w, stride_h at 0, 1, 2. */
bool tf_windows(Build *b, const TfTensor *x, const int64_t *size, const int64_t *dilation, int64_t *stride, int64_t *pad)
{
    int padding = tf_option(b, 0, 1, PADDING_same);

    stride[1] = tf_option(b, 1, 4, 1);
    stride[0] = tf_option(b, 2, 4, 1);
    for (int i = 0; i < 2; i++) {
        int64_t wide = (size[i] - 1) * dilation[i] + 1;

        if (stride[i] < 1 || dilation[i] < 1 || dilation[i] > 1 << 20)
            return tf_unsupported(b, "a stride or dilation is below 1 (a damaged file)");
        pad[i] = pad[2 + i] = 0;
        if (padding == PADDING_same)
            same_padding(x->dim[1 + i], wide, stride[i], &pad[i], &pad[2 + i]);
        else if (wide > x->dim[1 + i])
            return tf_unsupported(b, "its window is larger than its input");
    }
    return true;
}

Value *tf_convolution(Build *b)
{
    bool depthwise = tf_op(b)->code == TF_DEPTHWISE_CONV_2D;
    const TfTensor *x = tf_in(b, 0), *w = tf_in(b, 1);
    int64_t stride[2], pad[4], dilation[2], c_out;
    int act = tf_option(b, depthwise ? 4 : 3, 1, ACT_none), n = 0;
    Value *vx = tf_operand(b, 0), *y;
    Attr a[4];

    if (!vx)
        return NULL;
    if (x->rank != 4 || !w || w->rank != 4 || !w->p)
        return tf_refuse(b, "needs an image of four dimensions and constant weights of four");
    dilation[1] = tf_option(b, depthwise ? 5 : 4, 4, 1);
    dilation[0] = tf_option(b, depthwise ? 6 : 5, 4, 1);
    c_out = w->dim[depthwise ? 3 : 0];
    if ((depthwise && w->dim[0] != 1) || x->dim[3] < 1 || c_out < 1 ||
        (depthwise ? c_out % x->dim[3] : w->dim[3] < 1 || x->dim[3] % w->dim[3] || c_out % (x->dim[3] / w->dim[3])))
        return tf_refuse(b, "the channels of its input and of its weights do not fit");
    if (!contraction_formats(b, x, w, c_out, depthwise ? 3 : 0) || !tf_windows(b, x, w->dim + 1, dilation, stride, pad))
        return NULL;
    a[n++] = attr_ints("stride", stride, 2);
    a[n++] = attr_ints("pad", pad, 4);
    if (dilation[0] != 1 || dilation[1] != 1)
        a[n++] = attr_ints("dilation", dilation, 2);
    if (tf_is_i8(x))
        a[n++] = attr_int("x_zero", x->zero[0]);
    y = tf_put_two(b, depthwise ? OP_dwconv2d : OP_conv2d, "acc", vx,
                depthwise ? tf_weight_as(b, "w", w, 3, w->dim + 1) : tf_weight_as(b, "w", w, 4, w->dim), a, n);
    return finish(b, y, x, w, tf_in(b, 2), c_out, act);
}

/* Operands: the output's shape, weights, the image, a bias.  Padding is that of the convolution that leads from the output to the input. */
Value *tf_transpose_conv(Build *b)
{
    const TfTensor *w = tf_in(b, 1), *x = tf_in(b, 2), *y = tf_out(b);
    int64_t stride[2] = { tf_option(b, 2, 4, 1), tf_option(b, 1, 4, 1) }, pad[4];
    Value *v = tf_operand(b, 2);
    int n = 2;
    Attr a[3];

    if (!v)
        return NULL;
    if (x->rank != 4 || !w || w->rank != 4 || !w->p || y->rank != 4 || w->dim[3] != x->dim[3])
        return tf_refuse(b, "needs an image of four dimensions and constant weights of four");
    if (stride[0] < 1 || stride[1] < 1 || stride[0] > 1 << 20 || stride[1] > 1 << 20)
        return tf_refuse(b, "a stride is below 1 (a damaged file)");
    if (!contraction_formats(b, x, w, w->dim[0], 0))
        return NULL;
    for (int i = 0; i < 2; i++) {
        if (x->dim[1 + i] > 1 << 20 || y->dim[1 + i] > 1 << 20 || w->dim[1 + i] > 1 << 20)
            return tf_refuse(b, "its image is too large");
        pad[i] = 0;
        if (tf_option(b, 0, 1, PADDING_same) == PADDING_same)
            same_padding(y->dim[1 + i], w->dim[1 + i], stride[i], &pad[i], &pad[2 + i]);
        pad[2 + i] = (x->dim[1 + i] - 1) * stride[i] + w->dim[1 + i] - pad[i] - y->dim[1 + i];
    }
    a[0] = attr_ints("stride", stride, 2);
    a[1] = attr_ints("pad", pad, 4);
    if (tf_is_i8(x))
        a[n++] = attr_int("x_zero", x->zero[0]);
    v = tf_put_two(b, OP_tconv2d, "acc", v, tf_weight_as(b, "w", w, 4, w->dim), a, n);
    return finish(b, v, x, w, tf_in(b, 3), w->dim[0], tf_option(b, 3, 1, ACT_none));
}

Value *tf_fully_connected(Build *b)
{
    const TfTensor *x = tf_in(b, 0), *w = tf_in(b, 1), *y = tf_out(b);
    Attr a = attr_int("x_zero", tf_is_i8(x) ? x->zero[0] : 0);
    Value *v = tf_operand(b, 0);
    int64_t flat[2];

    if (!v)
        return NULL;
    if (!w || w->rank != 2 || !w->p || w->dim[1] < 1 || x->n % w->dim[1])
        return tf_refuse(b, "needs constant weights of two dimensions, the inner one a divisor of its input's size");
    if (tf_option(b, 1, 1, 0) != 0)
        return tf_refuse(b, "its weights are shuffled, which is not supported");
    if (!contraction_formats(b, x, w, w->dim[0], 0))
        return NULL;
    flat[0] = x->n / w->dim[1];
    flat[1] = w->dim[1];
    v = tf_put_two(b, OP_matmul, "acc", tf_shaped(b, v, 2, flat), tf_weight_as(b, "w", w, 2, w->dim), &a, tf_is_i8(x));
    v = finish(b, v, x, w, tf_in(b, 2), w->dim[0], tf_option(b, 0, 1, ACT_none));
    return v && y->n == flat[0] * w->dim[0] ? tf_shaped(b, v, y->rank, y->dim) : v;
}
/* The last two dimensions of a value change places, unless they are as wanted. */
static Value *turned(Build *b, const char *part, Value *v, bool turn)
{
    int64_t perm[MAX_RANK];
    int rank = v ? v->type.rank : 0;
    Attr a;

    if (!turn || !v)
        return v;
    for (int i = 0; i < rank; i++)
        perm[i] = i < rank - 2 ? i : 2 * rank - 3 - i;
    a = attr_ints("perm", perm, rank);
    return tf_put(b, OP_transpose, part, v, &a, 1);
}

/* How many matrices a tensor is. */
static int64_t n_matrices(const TfTensor *t)
{
    int64_t n = 1;

    for (int i = 0; i + 2 < t->rank; i++)
        n *= t->dim[i];
    return n;
}

/* Matrix i of the output is made from which matrix of t?  Dimensions of 1 repeat. */
static int64_t matrix_of(const TfTensor *t, const TfTensor *y, int64_t i)
{
    int64_t at = 0, step = 1;

    for (int k = y->rank - 3; k >= 0; k--) {
        int d = k - (y->rank - t->rank);

        if (d >= 0) {
            at += t->dim[d] == 1 ? 0 : i % y->dim[k] * step;
            step *= t->dim[d];
        }
        i /= y->dim[k];
    }
    return at;
}

/* Rows of the first operand's matrices meet the second one's: `matmul` with the number of a matrix for each row. */
Value *tf_batch_matmul(Build *b)
{
    const TfTensor *x = tf_in(b, 0), *w = tf_in(b, 1), *y = tf_out(b);
    bool turn_x = tf_option(b, 0, 1, 0) != 0, turn_w = tf_option(b, 1, 1, 0) == 0, ints = tf_is_i8(x) && tf_is_i8(w) && tf_is_i8(y);
    Value *in[3] = { tf_operand(b, 0), tf_operand(b, 1) };
    int64_t n_row, n_k, n_out, n_w, n_y;
    int32_t *slice;
    double factor;
    Attr a[2];

    if (!in[0] || !in[1])
        return NULL;
    if (!ints && !(tf_is_f32(x) && tf_is_f32(w) && tf_is_f32(y)))
        return tf_refuse_types(b, "FLOAT32 throughout, or quantized INT8");
    if (x->rank < 2 || w->rank < 2 || y->rank < 2 || w->rank > y->rank || n_matrices(x) != n_matrices(y) || (ints && (x->n_scale != 1 || w->n_scale != 1)))
        return tf_refuse(b, "its first operand does not have a matrix for each of its output, or they are quantized along a dimension");
    n_row = y->dim[y->rank - 2];
    n_out = y->dim[y->rank - 1];
    n_k = x->dim[x->rank - (turn_x ? 2 : 1)];
    n_w = n_matrices(w);
    n_y = n_matrices(y);
    if (n_y * n_row > 1 << 16 || x->n != n_y * n_row * n_k || w->n != n_w * n_out * n_k)
        return tf_refuse(b, "its matrices do not fit each other, or have too many rows");
    slice = ARENA_ARRAY(b->m->a, int32_t, n_y * n_row + 1);
    for (int64_t i = 0; i < n_y * n_row; i++)
        slice[i] = (int32_t)matrix_of(w, y, i / n_row);
    in[0] = tf_shaped(b, turned(b, "x", in[0], turn_x), 2, (int64_t[]){ n_y * n_row, n_k });
    in[1] = turned(b, "w", in[1], turn_w);
    in[1] = n_w == 1 ? tf_shaped(b, in[1], 2, (int64_t[]){ n_out, n_k }) : tf_shaped(b, in[1], 3, (int64_t[]){ n_w, n_out, n_k });
    in[2] = n_w == 1 ? NULL : tf_int_weight(b, "matrix", slice, (int)(n_y * n_row));
    a[0] = attr_int("x_zero", ints ? x->zero[0] : 0);
    a[1] = attr_int("w_zero", ints ? w->zero[0] : 0);
    in[0] = tf_put_many(b, OP_matmul, ints ? "acc" : "", in, n_w == 1 ? 2 : 3, a, ints ? 2 : 0);
    factor = ints ? (double)x->scale[0] * (double)w->scale[0] / (double)y->scale[0] : 1;
    return tf_shaped_out(b, ints ? tf_requant(b, in[0], 0, y, &factor, 1, ACT_none) : in[0]);
}

/* ---- pools ------------------------------------------------------------------------------------------------------------ */

Value *tf_pool(Build *b)
{
    bool max = tf_op(b)->code == TF_MAX_POOL_2D;
    const TfTensor *x = tf_in(b, 0), *y = tf_out(b);
    int64_t stride[2], pad[4], size[2] = { tf_option(b, 4, 4, 1), tf_option(b, 3, 4, 1) }, lo, hi;
    int act = tf_option(b, 5, 1, ACT_none);
    Value *v = tf_operand(b, 0);
    Attr a[3];

    if (!v)
        return NULL;
    if (x->rank != 4 || size[0] < 1 || size[1] < 1 || (!tf_is_f32(x) && !tf_is_i8(x)) || x->fmt != y->fmt)
        return tf_refuse(b, "needs an image of four dimensions, FLOAT32 or quantized INT8");
    if (!tf_windows(b, x, size, (int64_t[]){ 1, 1 }, stride, pad))
        return NULL;
    a[0] = attr_ints("window", size, 2);
    a[1] = attr_ints("stride", stride, 2);
    a[2] = attr_ints("pad", pad, 4);
    v = tf_put(b, max ? OP_maxpool : OP_avgpool, "", v, a, 3);
    if (!tf_is_i8(x))
        return tf_activate(b, v, act);
    if (!tf_range(b, y, act, &lo, &hi))
        return NULL;
    if (act == ACT_none)
        return v;
    return tf_put(b, OP_clamp, "", v, (Attr[]){ attr_float("lo", (double)lo), attr_float("hi", (double)hi) }, 2);
}

