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
#include "compiler/arch/arch.h"
#include "compiler/import/tflite.h"
#include "ir/fixed.h"

#include <math.h>

enum { PADDING_same = 0, MAX_SHOWN = 24 };

typedef enum { ACT_none, ACT_relu, ACT_relu_n1_to_1, ACT_relu6 } Activation;     /* enum ActivationFunctionType, as far as supported */

typedef struct {
    Module *m;
    Region *r;
    Func *f;
    TfGraph *g;
    Diag *d;
    Value **value;                  /* of each tensor of the graph; NULL: not yet */
    int i_op;                       /* the operator at hand */
} Build;

static Loc here(const Build *b)
{
    return tf_at_op(b->m->a, b->g, b->i_op);
}

static const TfTensor *tensor(const Build *b, int i)
{
    return i < 0 ? NULL : &b->g->tensor[i];
}

/* Operand k, NULL: it is left out. */
static const TfTensor *in_tensor(const Build *b, int k)
{
    const TfOp *o = &b->g->op[b->i_op];

    return k < o->n_in ? tensor(b, o->in[k]) : NULL;
}

static const TfTensor *out_tensor(const Build *b)
{
    return tensor(b, b->g->op[b->i_op].out[0]);
}

static int option(Build *b, int field, int bytes, int otherwise)
{
    return (int)flat_int(&b->g->flat, &b->g->op[b->i_op].options, field, bytes, true, otherwise);
}

/* ---- values ----------------------------------------------------------------------------------------------------------- */

/* "conv_2d_3", or "conv_2d_3.acc": values and weights are called after their operator, because tensors' names are long and may be equal.
 * What the file calls the result is in `from`. */
static const char *name_of(Build *b, const char *part)
{
    char *name = str_printf(b->m->a, "%s_%d%s%s", tf_op_name(b->m->a, b->g->op[b->i_op].code), b->i_op, *part ? "." : "", part);

    for (char *p = name; *p; p++)
        *p = *p >= 'A' && *p <= 'Z' ? (char)(*p - 'A' + 'a') : *p;
    return name;
}

/* Appends an op of n operands.  NULL after a report where they do not fit each other, and without one where one of them is NULL already. */
static Value *put_many(Build *b, OpKind k, const char *part, Value *const *in, int n, const Attr *attr, int n_attr)
{
    Op *o;

    for (int i = 0; i < n; i++)
        if (!in[i])
            return NULL;
    if (!op_fits(b->r, k, in, n, attr, n_attr, NULL)) {
        fail(b->d, here(b), "the shapes, types or numbers of its operands do not fit each other (a damaged file?)");
        return NULL;
    }
    o = op_new(b->r, NULL, k, func_fresh_name(b->f, name_of(b, part)), in, n, attr, n_attr);
    o->from = str_z(b->m->a, out_tensor(b)->name);
    return o->out[0];
}

static Value *put(Build *b, OpKind k, const char *part, Value *x, const Attr *attr, int n_attr)
{
    return put_many(b, k, part, &x, 1, attr, n_attr);
}

static Value *put_two(Build *b, OpKind k, const char *part, Value *x, Value *y, const Attr *attr, int n_attr)
{
    return put_many(b, k, part, (Value *[]){ x, y }, 2, attr, n_attr);
}

static Type type_shaped(Module *m, const Format *f, int rank, const int64_t *dim)
{
    Dim d[MAX_RANK];

    for (int i = 0; i < rank; i++)
        d[i] = dim_const(m, dim[i]);
    return type_of(f, rank, d);
}

static Value *add_weight(Build *b, const char *part, WExpr *e)
{
    const char *name = name_of(b, part), *unique = name;

    for (int n = 1; module_find_weight(b->m, str_of(unique)); n++)
        unique = str_printf(b->m->a, "%s.%d", name, n);
    return module_add_weight(b->m, unique, e->type, e)->value;
}

/* A constant tensor of the file under another shape with as many elements. */
static Value *weight_as(Build *b, const char *part, const TfTensor *t, int rank, const int64_t *dim)
{
    WExpr *e = wexpr_new(b->m, W_view, type_shaped(b->m, t->fmt, rank, dim));

    e->off = t->off;
    return add_weight(b, part, e);
}

static Value *int_weight(Build *b, const char *part, const int32_t *v, int n)
{
    WExpr *e = wexpr_new(b->m, W_const, type_1(b->m, format_find(STR("i32")), n));

    e->ints = v;
    return add_weight(b, part, e);
}

/* Operand k as a tensor: what an operator has made, an input, or a constant.  NULL after a report. */
static Value *operand(Build *b, int k)
{
    int i = k < b->g->op[b->i_op].n_in ? b->g->op[b->i_op].in[k] : -1;
    const TfTensor *t = tensor(b, i);

    if (!t) {
        fail(b->d, here(b), "operand %d is missing", k);
        return NULL;
    }
    if (!b->value[i] && t->p && t->fmt)
        b->value[i] = weight_as(b, "const", t, t->rank ? t->rank : 1, t->rank ? t->dim : (int64_t[]){ 1 });
    if (!b->value[i])
        fail(b->d, here(b), "operand %d, tensor %d, is neither constant nor computed before", k, i);
    return b->value[i];
}

/* x in the shape of tensor t. */
static Value *shaped(Build *b, Value *x, int rank, const int64_t *dim)
{
    Attr a = attr_ints("dims", dim, rank);

    if (x && x->type.rank == rank) {
        bool same = true;

        for (int i = 0; i < rank; i++)
            same = same && x->type.dim[i] == dim_const(b->m, dim[i]);
        if (same)
            return x;
    }
    return put(b, OP_reshape, "as", x, &a, 1);
}

/* x requantized by n multipliers and shifts. */
static Value *put_requant(Build *b, const char *part, Value *x, const int32_t *m, const int32_t *s, int n, const Attr *attr, int n_attr)
{
    const char *dot = *part ? "." : "";

    for (int i = 0; i < n; i++)
        if (s[i] > 30) {
            fail(b->d, here(b), "its scales differ by more than 2^30");
            return NULL;
        }
    return put_many(b, OP_requant, part,
                    (Value *[]){ x, int_weight(b, str_printf(b->m->a, "%s%sm", part, dot), m, n),
                                 int_weight(b, str_printf(b->m->a, "%s%ss", part, dot), s, n) }, 3, attr, n_attr);
}

static bool is_type(const TfTensor *t, const char *format)
{
    return t && t->fmt && !strcmp(t->fmt->name, format);
}

static bool is_i8(const TfTensor *t)
{
    return is_type(t, "i8") && t->n_scale > 0;
}

static bool unsupported(Build *b, const char *what)
{
    return fail(b->d, here(b), "%s", what);
}

/* ---- numbers of quantization ------------------------------------------------------------------------------------------ */

/* x = m 2^(s - 31), m of 31 bits.  [QuantizeMultiplier]  false after a report: x is too large for it. */
static bool multiplier(Build *b, double x, int32_t *m, int32_t *s)
{
    int exponent = 0;
    int64_t q;

    if (!(x < 2147483648.0))
        return fail(b->d, here(b), "its scales differ by more than 2^31");
    q = x == 0 ? 0 : (int64_t)round(frexp(x, &exponent) * 2147483648.0);
    if (q == (int64_t)1 << 31) {
        q /= 2;
        exponent++;
    }
    if (exponent < -31)
        q = exponent = 0;
    *m = (int32_t)q;
    *s = exponent;
    return true;
}

/* A number in t's quantization. */
static double quantized(const TfTensor *t, float x)
{
    return (double)t->zero[0] + (double)roundf(x / t->scale[0]);
}

/* The range that an activation function leaves of t's format. */
static bool range(Build *b, const TfTensor *t, int act, int64_t *lo, int64_t *hi)
{
    double from, to;

    if (act < ACT_none || act > ACT_relu6)
        return unsupported(b, "its fused activation function is not supported (RELU, RELU6 and RELU_N1_TO_1 are)");
    format_int_range(t->fmt, lo, hi);
    if (act == ACT_none)
        return true;
    if (t->n_scale == 0)
        return unsupported(b, "its output is not quantized");
    from = quantized(t, act == ACT_relu_n1_to_1 ? -1.0f : 0.0f);
    to = quantized(t, act == ACT_relu_n1_to_1 ? 1.0f : 6.0f);
    *lo = from > (double)*lo ? from > (double)*hi ? *hi : (int64_t)from : *lo;
    if (act != ACT_relu)
        *hi = to < (double)*hi ? to < (double)*lo ? *lo : (int64_t)to : *hi;
    return true;
}

/* acc rescaled by n factors into tensor t, clamped by an activation. */
static Value *requant(Build *b, Value *acc, const TfTensor *t, const double *factor, int n, int act)
{
    int32_t *m = ARENA_ARRAY(b->m->a, int32_t, n), *s = ARENA_ARRAY(b->m->a, int32_t, n);
    int64_t lo, hi;
    Attr a[4];

    if (!range(b, t, act, &lo, &hi))
        return NULL;
    for (int i = 0; i < n; i++)
        if (!multiplier(b, factor[i], &m[i], &s[i]))
            return NULL;
    a[0] = attr_str("to", t->fmt->name);
    a[1] = attr_int("zero", t->zero[0]);
    a[2] = attr_int("lo", lo);
    a[3] = attr_int("hi", hi);
    return put_requant(b, "", acc, m, s, n, a, 4);
}

/* A float's activation. */
static Value *activate(Build *b, Value *y, int act)
{
    Attr a[2] = { attr_float("lo", act == ACT_relu_n1_to_1 ? -1 : 0), attr_float("hi", act == ACT_relu_n1_to_1 ? 1 : 6) };

    if (act < ACT_none || act > ACT_relu6) {
        unsupported(b, "its fused activation function is not supported (RELU, RELU6 and RELU_N1_TO_1 are)");
        return NULL;
    }
    return act == ACT_none ? y : act == ACT_relu ? put(b, OP_relu, "", y, NULL, 0) : put(b, OP_clamp, "", y, a, 2);
}

/* ---- contractions ----------------------------------------------------------------------------------------------------- */

/* What both convolutions, FULLY_CONNECTED and their quantized forms end with: bias, and the way into the output's quantization. */
static Value *finish(Build *b, Value *acc, const TfTensor *x, const TfTensor *w, int64_t c_out, int act)
{
    const TfTensor *bias = in_tensor(b, 2), *y = out_tensor(b);
    double *factor = ARENA_ARRAY(b->m->a, double, c_out + 1);

    if (bias) {
        if (!bias->p || !is_type(bias, is_i8(x) ? "i32" : "f32") || bias->n != c_out) {
            fail(b->d, here(b), "its bias is no constant of %" PRId64 " numbers of type %s", c_out, is_i8(x) ? "INT32" : "FLOAT32");
            return NULL;
        }
        acc = put_two(b, OP_add, "bias", acc, weight_as(b, "b", bias, 1, &c_out), NULL, 0);
    }
    if (!is_i8(x))
        return activate(b, acc, act);
    for (int64_t i = 0; i < (w->n_scale == 1 ? 1 : c_out); i++)
        factor[i] = (double)x->scale[0] * (double)w->scale[i] / (double)y->scale[0];
    return requant(b, acc, y, factor, w->n_scale == 1 ? 1 : (int)c_out, act);
}

/* Formats that a contraction may have: all f32, or int8 with int8 weights whose zero points are 0. */
static bool contraction_formats(Build *b, const TfTensor *x, const TfTensor *w, int64_t c_out, int w_dim)
{
    const TfTensor *y = out_tensor(b);

    if (is_type(x, "f32") && is_type(w, "f32") && is_type(y, "f32"))
        return true;
    if (is_type(x, "f32") && is_type(w, "i8"))
        return unsupported(b, "has float activations and int8 weights (hybrid): quantize the activations too, or leave the weights in float");
    if (!is_i8(x) || !is_i8(w) || !is_i8(y))
        return fail(b->d, here(b), "types %s, %s -> %s are not supported (FLOAT32 throughout, or quantized INT8)", x->type_name,
                    w->type_name, y->type_name);
    if (w->n_scale > 1 && (w->q_dim != w_dim || w->n_scale != c_out))
        return unsupported(b, "its weights are not quantized along their output channels");
    for (int i = 0; i < w->n_scale; i++)
        if (w->zero[i] != 0)
            return unsupported(b, "its weights' zero points are not 0");
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
static bool windows(Build *b, const TfTensor *x, const int64_t *size, const int64_t *dilation, int64_t *stride, int64_t *pad)
{
    int padding = option(b, 0, 1, PADDING_same);

    stride[1] = option(b, 1, 4, 1);
    stride[0] = option(b, 2, 4, 1);
    for (int i = 0; i < 2; i++) {
        int64_t wide = (size[i] - 1) * dilation[i] + 1;

        if (stride[i] < 1 || dilation[i] < 1 || dilation[i] > 1 << 20)
            return unsupported(b, "a stride or dilation is below 1 (a damaged file)");
        pad[i] = pad[2 + i] = 0;
        if (padding == PADDING_same)
            same_padding(x->dim[1 + i], wide, stride[i], &pad[i], &pad[2 + i]);
        else if (wide > x->dim[1 + i])
            return unsupported(b, "its window is larger than its input");
    }
    return true;
}

static Value *convolution(Build *b)
{
    bool depthwise = b->g->op[b->i_op].code == TF_DEPTHWISE_CONV_2D;
    const TfTensor *x = in_tensor(b, 0), *w = in_tensor(b, 1);
    int64_t stride[2], pad[4], dilation[2], c_out;
    int act = option(b, depthwise ? 4 : 3, 1, ACT_none), n = 0;
    Value *vx = operand(b, 0), *y;
    Attr a[4];

    if (!vx)
        return NULL;
    if (x->rank != 4 || !w || w->rank != 4 || !w->p) {
        unsupported(b, "needs an image of four dimensions and constant weights of four");
        return NULL;
    }
    dilation[1] = option(b, depthwise ? 5 : 4, 4, 1);
    dilation[0] = option(b, depthwise ? 6 : 5, 4, 1);
    c_out = w->dim[depthwise ? 3 : 0];
    if ((depthwise && w->dim[0] != 1) || x->dim[3] < 1 || c_out < 1 ||
        (depthwise ? c_out % x->dim[3] : w->dim[3] < 1 || x->dim[3] % w->dim[3] || c_out % (x->dim[3] / w->dim[3]))) {
        unsupported(b, "the channels of its input and of its weights do not fit");
        return NULL;
    }
    if (!contraction_formats(b, x, w, c_out, depthwise ? 3 : 0) || !windows(b, x, w->dim + 1, dilation, stride, pad))
        return NULL;
    a[n++] = attr_ints("stride", stride, 2);
    a[n++] = attr_ints("pad", pad, 4);
    if (dilation[0] != 1 || dilation[1] != 1)
        a[n++] = attr_ints("dilation", dilation, 2);
    if (is_i8(x))
        a[n++] = attr_int("x_zero", x->zero[0]);
    y = put_two(b, depthwise ? OP_dwconv2d : OP_conv2d, "acc", vx,
                depthwise ? weight_as(b, "w", w, 3, w->dim + 1) : weight_as(b, "w", w, 4, w->dim), a, n);
    return finish(b, y, x, w, c_out, act);
}

static Value *fully_connected(Build *b)
{
    const TfTensor *x = in_tensor(b, 0), *w = in_tensor(b, 1), *y = out_tensor(b);
    Attr a = attr_int("x_zero", is_i8(x) ? x->zero[0] : 0);
    Value *v = operand(b, 0);
    int64_t flat[2];

    if (!v)
        return NULL;
    if (!w || w->rank != 2 || !w->p || w->dim[1] < 1 || x->n % w->dim[1]) {
        unsupported(b, "needs constant weights of two dimensions, the inner one a divisor of its input's size");
        return NULL;
    }
    if (option(b, 1, 1, 0) != 0) {
        unsupported(b, "its weights are shuffled, which is not supported");
        return NULL;
    }
    if (!contraction_formats(b, x, w, w->dim[0], 0))
        return NULL;
    flat[0] = x->n / w->dim[1];
    flat[1] = w->dim[1];
    v = put_two(b, OP_matmul, "acc", shaped(b, v, 2, flat), weight_as(b, "w", w, 2, w->dim), &a, is_i8(x));
    v = finish(b, v, x, w, w->dim[0], option(b, 0, 1, ACT_none));
    return v && y->n == flat[0] * w->dim[0] ? shaped(b, v, y->rank, y->dim) : v;
}

/* ---- pools, softmax, arithmetic --------------------------------------------------------------------------------------- */

static Value *pool(Build *b)
{
    bool max = b->g->op[b->i_op].code == TF_MAX_POOL_2D;
    const TfTensor *x = in_tensor(b, 0), *y = out_tensor(b);
    int64_t stride[2], pad[4], size[2] = { option(b, 4, 4, 1), option(b, 3, 4, 1) }, lo, hi;
    int act = option(b, 5, 1, ACT_none);
    Value *v = operand(b, 0);
    Attr a[3];

    if (!v)
        return NULL;
    if (x->rank != 4 || size[0] < 1 || size[1] < 1 || (!is_type(x, "f32") && !is_i8(x)) || x->fmt != y->fmt) {
        unsupported(b, "needs an image of four dimensions, FLOAT32 or quantized INT8");
        return NULL;
    }
    if (!windows(b, x, size, (int64_t[]){ 1, 1 }, stride, pad))
        return NULL;
    a[0] = attr_ints("window", size, 2);
    a[1] = attr_ints("stride", stride, 2);
    a[2] = attr_ints("pad", pad, 4);
    v = put(b, max ? OP_maxpool : OP_avgpool, "", v, a, 3);
    if (!is_i8(x))
        return activate(b, v, act);
    if (!range(b, y, act, &lo, &hi))
        return NULL;
    if (act == ACT_none)
        return v;
    return put(b, OP_clamp, "", v, (Attr[]){ attr_float("lo", (double)lo), attr_float("hi", (double)hi) }, 2);
}

/* [PreprocessSoftmaxScaling, CalculateInputRadius: 5 integer bits] */
static Value *softmax(Build *b)
{
    const TfTensor *x = in_tensor(b, 0), *y = out_tensor(b);
    float beta = flat_float(&b->g->flat, &b->g->op[b->i_op].options, 0, 0);
    double scale;
    Value *v = operand(b, 0);
    int32_t m, s;
    Attr a[4];

    if (!v)
        return NULL;
    if (is_type(x, "f32") && is_type(y, "f32") && x->rank > 0) {
        a[0] = attr_float("by", (double)beta);
        return put(b, OP_softmax, "", beta == 1 ? v : put(b, OP_scale, "scaled", v, a, 1), NULL, 0);
    }
    if (!is_i8(x) || x->rank == 0 || !is_i8(y) || y->zero[0] != -128 || y->scale[0] != 1.0f / 256) {
        unsupported(b, "goes from INT8 to INT8 of scale 1/256 and zero point -128, or is FLOAT32");
        return NULL;
    }
    scale = (double)beta * (double)x->scale[0] * (double)(1 << 26);
    scale = scale < 2147483647.0 ? scale : 2147483647.0;
    if (!(scale > 1)) {
        unsupported(b, "its scale times beta is below 2^-26");
        return NULL;
    }
    if (x->dim[x->rank - 1] > 1 << 12) {
        unsupported(b, "is over more than 4096 numbers, too many for its fixed-point sum");
        return NULL;
    }
    if (!multiplier(b, scale, &m, &s))
        return NULL;
    a[0] = attr_str("to", "i8");
    a[1] = attr_int("m", m);
    a[2] = attr_int("s", s);
    a[3] = attr_int("diff_min", -(int64_t)floor(31.0 * (double)(1 << 26) / (double)((int64_t)1 << s)));
    return put(b, OP_softmax_int, "", v, a, 4);
}

/* Both operands of an elementwise operator, the one that is broadcast second.  swapped: they changed places. */
static bool two_operands(Build *b, Value **x, Value **y, bool *swapped)
{
    const TfTensor *t[2] = { in_tensor(b, 0), in_tensor(b, 1) };
    Value *v[2] = { operand(b, 0), operand(b, 1) };
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
            return unsupported(b, "broadcasts in the middle of a shape, which is not supported");
    *x = v[big];
    *y = v[!big]->kind == VAL_weight ? weight_as(b, "const", t[!big], rank, dim) : shaped(b, v[!big], rank, dim);
    return true;
}

/* One operand of ADD or SUB on the way to a common scale.  [CalculateOpDataAdd] */
static Value *rescaled(Build *b, Value *x, const TfTensor *t, double factor, const char *name)
{
    int32_t *m = ARENA_ARRAY(b->m->a, int32_t, 2);
    Attr a[4] = { attr_str("to", "i32"), attr_int("zero", 0), attr_int("x_zero", t->zero[0]), attr_int("left", 20) };

    if (!multiplier(b, factor, &m[0], &m[1]))
        return NULL;
    return put_requant(b, name, x, m, m + 1, 1, a, 4);
}

static Value *arithmetic(Build *b)
{
    int code = b->g->op[b->i_op].code, act = option(b, 0, 1, ACT_none);
    OpKind kind = code == TF_ADD ? OP_add : code == TF_SUB ? OP_sub : OP_mul;
    const TfTensor *t[2] = { in_tensor(b, 0), in_tensor(b, 1) }, *y = out_tensor(b);
    Value *v[2];
    double factor, twice;
    bool swapped;

    if (!two_operands(b, &v[0], &v[1], &swapped))
        return NULL;
    if (swapped && kind == OP_sub) {
        unsupported(b, "subtracts a larger tensor from a smaller one, which is not supported");
        return NULL;
    }
    if (swapped) {
        t[0] = in_tensor(b, 1);
        t[1] = in_tensor(b, 0);
    }
    if (is_type(t[0], "f32") && is_type(t[1], "f32") && is_type(y, "f32"))
        return activate(b, put_two(b, kind, "", v[0], v[1], NULL, 0), act);
    if (!is_i8(t[0]) || !is_i8(t[1]) || !is_i8(y)) {
        fail(b->d, here(b), "types %s, %s -> %s are not supported (FLOAT32 throughout, or quantized INT8)", t[0]->type_name,
             t[1]->type_name, y->type_name);
        return NULL;
    }
    if (kind == OP_mul) {
        for (int i = 0; i < 2; i++)
            v[i] = put(b, OP_convert, i ? "b" : "a", v[i],
                       (Attr[]){ attr_str("to", "i32"), attr_int("zero", t[i]->zero[0]) }, 2);
        factor = (double)in_tensor(b, 0)->scale[0] * (double)in_tensor(b, 1)->scale[0] / (double)y->scale[0];
        return requant(b, put_two(b, OP_mul, "acc", v[0], v[1], NULL, 0), y, &factor, 1, act);
    }
    twice = 2 * (double)(t[0]->scale[0] > t[1]->scale[0] ? t[0]->scale[0] : t[1]->scale[0]);
    for (int i = 0; i < 2; i++)
        v[i] = rescaled(b, v[i], t[i], (double)t[i]->scale[0] / twice, i ? "b" : "a");
    factor = twice / ((double)(1 << 20) * (double)y->scale[0]);
    if (factor >= 1) {
        unsupported(b, "its output's scale is too small for its operands'");
        return NULL;
    }
    return requant(b, put_two(b, kind, "acc", v[0], v[1], NULL, 0), y, &factor, 1, act);
}

/* ---- functions of one number ------------------------------------------------------------------------------------------ */

/* RELU and its relatives; in int8 a rescaling too.  [activations_common: CalculateReluOpData] */
static Value *relu(Build *b)
{
    int code = b->g->op[b->i_op].code;
    int act = code == TF_RELU ? ACT_relu : code == TF_RELU6 ? ACT_relu6 : ACT_relu_n1_to_1;
    const TfTensor *x = in_tensor(b, 0), *y = out_tensor(b);
    Value *v = operand(b, 0);
    int64_t lo, hi;
    int32_t *m;
    Attr a[5];

    if (!v)
        return NULL;
    if (is_type(x, "f32") && is_type(y, "f32"))
        return activate(b, v, act);
    if (!is_i8(x) || !is_i8(y) || !range(b, y, act, &lo, &hi)) {
        unsupported(b, "is FLOAT32 or quantized INT8");
        return NULL;
    }
    if (code != TF_RELU)                                    /* these only clamp, in the input's quantization */
        return put(b, OP_clamp, "", v, (Attr[]){ attr_float("lo", (double)lo), attr_float("hi", (double)hi) }, 2);
    m = ARENA_ARRAY(b->m->a, int32_t, 2);
    if (!multiplier(b, (double)(x->scale[0] / y->scale[0]), &m[0], &m[1]))
        return NULL;
    a[0] = attr_str("to", "i8");
    a[1] = attr_int("zero", y->zero[0]);
    a[2] = attr_int("x_zero", x->zero[0]);
    a[3] = attr_int("lo", lo);
    a[4] = attr_int("hi", hi);
    return put_requant(b, "", v, m, m + 1, 1, a, 5);
}

/* int8 to int8: another scale.  [PrepareQuantizeReference] */
static Value *quantize(Build *b)
{
    const TfTensor *x = in_tensor(b, 0), *y = out_tensor(b);
    Value *v = operand(b, 0);
    int32_t *m;

    if (!v)
        return NULL;
    if (!is_i8(x) || !is_i8(y)) {
        fail(b->d, here(b), "types %s -> %s are not supported (quantized INT8 to INT8)", x->type_name, y->type_name);
        return NULL;
    }
    m = ARENA_ARRAY(b->m->a, int32_t, 2);
    if (!multiplier(b, (double)x->scale[0] / (double)y->scale[0], &m[0], &m[1]))
        return NULL;
    return put_requant(b, "", v, m, m + 1, 1,
                       (Attr[]){ attr_str("to", "i8"), attr_int("zero", y->zero[0]), attr_int("x_zero", x->zero[0]) }, 3);
}

/* What an int8 function makes of each of the 256 numbers: entry i of number i - 128. */
static Value *lookup(Build *b, Value *x, const int32_t *table)
{
    WExpr *e = wexpr_new(b->m, W_const, type_1(b->m, format_find(STR("i8")), 256));

    e->ints = table;
    return put_two(b, OP_lookup, "", x, add_weight(b, "table", e), NULL, 0);
}

static int32_t to_i8(int64_t v)
{
    return (int32_t)(v < -128 ? -128 : v > 127 ? 127 : v);
}

/* LOGISTIC and TANH over an input of 4 integer bits; where it has more the function is at its end.
 * [CalculateArithmeticOpDataLogistic; reference/integer_ops/logistic.h, tanh.h] */
static Value *sigmoid(Build *b)
{
    bool is_tanh = b->g->op[b->i_op].code == TF_TANH;
    const TfTensor *x = in_tensor(b, 0), *y = out_tensor(b);
    int32_t *table = ARENA_ARRAY(b->m->a, int32_t, 256), m, s;
    Value *v = operand(b, 0);
    double radius;

    if (!v)
        return NULL;
    if (is_type(x, "f32") && is_type(y, "f32"))
        return put(b, is_tanh ? OP_tanh : OP_sigmoid, "", v, NULL, 0);
    if (!is_i8(x) || !is_i8(y) || (!is_tanh && y->zero[0] != -128)) {
        unsupported(b, "is FLOAT32, or INT8 (LOGISTIC with the zero point -128 of its output)");
        return NULL;
    }
    if (!multiplier(b, (double)x->scale[0] * (double)(1 << 27), &m, &s))
        return NULL;
    radius = floor(15.0 * (double)(1 << 27) / ldexp(1, s));
    for (int i = 0; i < 256; i++) {
        int64_t in = i - 128 - x->zero[0];

        if ((double)in <= -radius || (double)in >= radius)
            table[i] = in < 0 ? -128 : 127;
        else if (is_tanh)
            table[i] = to_i8(fixed_shift(fixed_tanh(fixed_rescale((int32_t)in, m, s, false)), 24));
        else
            table[i] = to_i8(fixed_shift(fixed_logistic(fixed_rescale((int32_t)in, m, s, false)), 23) - 128);
    }
    return lookup(b, v, table);
}

/* [CalculateOpDataLeakyRelu, QuantizeLeakyRelu] */
static Value *leaky_relu(Build *b)
{
    const TfTensor *x = in_tensor(b, 0), *y = out_tensor(b);
    float alpha = flat_float(&b->g->flat, &b->g->op[b->i_op].options, 0, 0);
    int32_t *table = ARENA_ARRAY(b->m->a, int32_t, 256), m[2], s[2];
    Attr a = attr_float("by", (double)alpha);
    Value *v = operand(b, 0);

    if (!v)
        return NULL;
    if (is_type(x, "f32") && is_type(y, "f32") && alpha <= 1)
        return put_two(b, OP_max, "", v, put(b, OP_scale, "scaled", v, &a, 1), NULL, 0);
    if (!is_i8(x) || !is_i8(y) || !isfinite(alpha)) {
        unsupported(b, "is FLOAT32 with alpha up to 1, or INT8");
        return NULL;
    }
    if (!multiplier(b, (double)(x->scale[0] / y->scale[0]), &m[0], &s[0]) ||
        !multiplier(b, (double)(x->scale[0] * fabsf(alpha) / y->scale[0]), &m[1], &s[1]))
        return NULL;
    for (int i = 0; i < 256; i++) {
        int64_t in = i - 128 - x->zero[0], out = fixed_rescale((int32_t)in, m[in < 0], s[in < 0], false);

        table[i] = to_i8(y->zero[0] + (in < 0 && alpha < 0 ? -out : out));
    }
    return lookup(b, v, table);
}

/* 16-bit steps of HARD_SWISH.  [reference/hard_swish.h] */
static int32_t to_i16(int64_t v)
{
    return (int32_t)(v < INT16_MIN ? INT16_MIN : v > INT16_MAX ? INT16_MAX : v);
}

static int32_t mul_i16(int32_t a, int32_t b, bool nearest)
{
    int32_t p = a * b, nudge = p >= 0 ? 1 << 14 : 1 - (1 << 14);

    return a == INT16_MIN && b == INT16_MIN ? INT16_MAX : (p + (nearest ? nudge : 0)) / (1 << 15);
}

/* m in 16 bits.  [DownScaleInt32ToInt16Multiplier] */
static int32_t short_multiplier(int32_t m)
{
    return m >= INT32_MAX - (1 << 15) ? INT16_MAX : (m + (1 << 15)) >> 16;
}

/* x min(6, max(0, x + 3)) / 6. */
static Value *hard_swish(Build *b)
{
    const TfTensor *x = in_tensor(b, 0), *y = out_tensor(b);
    int32_t *table = ARENA_ARRAY(b->m->a, int32_t, 256), m[2], s[2];
    Value *v = operand(b, 0);

    if (!v)
        return NULL;
    if (!is_i8(x) || !is_i8(y)) {
        unsupported(b, "is quantized INT8");
        return NULL;
    }
    if (!multiplier(b, (double)(1.0f / 128 * x->scale[0] / y->scale[0]), &m[0], &s[0]) ||
        !multiplier(b, (double)(1.0f / 128 * x->scale[0] / (3.0f / 32768)), &m[1], &s[1]))
        return NULL;
    if (s[0] > 0 || s[1] > 15 || x->zero[0] < -128 || x->zero[0] > 127) {
        unsupported(b, "its scales are out of the range in which it is defined");
        return NULL;
    }
    for (int i = 0; i < 256; i++) {
        int32_t in = to_i16((i - 128 - x->zero[0]) * 128), gate = in;

        if (s[1] > 0)
            gate = to_i16((int64_t)gate * (1 << (s[1] - 1)));
        gate = mul_i16(gate, short_multiplier(m[1]), true);
        gate = s[1] > 0 ? to_i16((int64_t)gate * 2) : fixed_shift(gate, -s[1]);
        gate = (gate + (1 << 15)) >> 1;
        table[i] = to_i8(y->zero[0] + fixed_shift(mul_i16(gate, mul_i16(in, short_multiplier(m[0]), true), false), -s[0]));
    }
    return lookup(b, v, table);
}

/* ---- moving elements -------------------------------------------------------------------------------------------------- */

/* The numbers of a constant i32 tensor of at most n; their count, -1 after a report. */
static int constant_ints(Build *b, int k, int n, int64_t *out)
{
    const TfTensor *t = in_tensor(b, k);

    if (!t || !t->p || !is_type(t, "i32") || t->n > n) {
        fail(b->d, here(b), "operand %d is no constant of at most %d INT32", k, n);
        return -1;
    }
    for (int i = 0; i < t->n; i++)
        out[i] = (int32_t)(t->p[4 * i] | (uint32_t)t->p[4 * i + 1] << 8 | (uint32_t)t->p[4 * i + 2] << 16 | (uint32_t)t->p[4 * i + 3] << 24);
    return (int)t->n;
}

/* RESHAPE, SQUEEZE, EXPAND_DIMS: the output's shape says all. */
static Value *reshape(Build *b)
{
    const TfTensor *x = in_tensor(b, 0), *y = out_tensor(b);
    Value *v = operand(b, 0);

    if (!v)
        return NULL;
    if (x->n != y->n || x->fmt != y->fmt) {
        unsupported(b, "its output does not have the input's elements");
        return NULL;
    }
    return shaped(b, v, y->rank, y->dim);
}

static Value *transpose(Build *b)
{
    Value *v = operand(b, 0);
    int64_t perm[MAX_RANK];
    Attr a;

    if (!v)
        return NULL;
    if (constant_ints(b, 1, MAX_RANK, perm) != v->type.rank) {
        unsupported(b, "its permutation does not have a number for each dimension");
        return NULL;
    }
    a = attr_ints("perm", perm, v->type.rank);
    return put(b, OP_transpose, "", v, &a, 1);
}

static Value *pad(Build *b)
{
    const TfTensor *x = in_tensor(b, 0), *fill = in_tensor(b, 2);
    int64_t both[2 * MAX_RANK], before[MAX_RANK], after[MAX_RANK];
    double value = is_i8(x) ? (double)x->zero[0] : 0;
    Value *v = operand(b, 0);

    if (!v)
        return NULL;
    if (constant_ints(b, 1, 2 * MAX_RANK, both) != 2 * x->rank) {
        unsupported(b, "its paddings do not have two numbers for each dimension");
        return NULL;
    }
    if (fill) {
        if (!fill->p || fill->n != 1 || fill->fmt != x->fmt || (!is_type(x, "f32") && !is_type(x, "i8"))) {
            unsupported(b, "what it pads with is no constant number of its input's type");
            return NULL;
        }
        if (is_type(x, "f32")) {
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
    return put(b, OP_pad, "", v,
               (Attr[]){ attr_ints("before", before, x->rank), attr_ints("after", after, x->rank), attr_float("value", value) }, 3);
}

/* MEAN and SUM over constant axes.  [QuantizedMeanOrSum: the mean's multiplier is divided by the number of elements] */
static Value *reduce(Build *b)
{
    bool mean = b->g->op[b->i_op].code == TF_MEAN;
    const TfTensor *x = in_tensor(b, 0), *y = out_tensor(b);
    int64_t axes[MAX_RANK], n = 1, shift;
    int n_axes = constant_ints(b, 1, MAX_RANK, axes), n_kept = 0;
    Value *v = operand(b, 0);
    int32_t *m = ARENA_ARRAY(b->m->a, int32_t, 2);
    Attr a;

    if (!v || n_axes < 0)
        return NULL;
    for (int i = 0; i < n_axes; i++) {
        int64_t axis = axes[i] < 0 ? axes[i] + x->rank : axes[i];
        bool seen = false;

        for (int k = 0; k < n_kept; k++)
            seen = seen || axes[k] == axis;
        if (axis < 0 || axis >= x->rank || x->dim[axis] < 1) {
            unsupported(b, "its axes are not those of its input");
            return NULL;
        }
        if (!seen) {
            axes[n_kept++] = axis;
            n *= x->dim[axis];
        }
    }
    a = attr_ints("axes", axes, n_kept);
    if (is_type(x, "f32") && is_type(y, "f32")) {
        Attr by = attr_float("by", 1 / (double)n);

        v = put(b, OP_sum, "sum", v, &a, 1);
        return shaped(b, mean ? put(b, OP_scale, "", v, &by, 1) : v, y->rank, y->dim);
    }
    if (!is_i8(x) || !is_i8(y)) {
        unsupported(b, "is FLOAT32 or quantized INT8");
        return NULL;
    }
    if (!multiplier(b, (double)x->scale[0] / (double)y->scale[0], &m[0], &m[1]))
        return NULL;
    for (shift = 0; mean && shift < 32 && n >> (shift + 1);)
        shift++;
    shift = shift > 31 + m[1] ? 31 + m[1] : shift;
    m[0] = mean ? (int32_t)(((int64_t)m[0] << shift) / n) : m[0];
    m[1] -= (int32_t)shift;
    if (n * x->zero[0] > INT32_MAX || n * x->zero[0] < INT32_MIN) {
        unsupported(b, "its sums need more than 32 bits");
        return NULL;
    }
    v = put_requant(b, "", put(b, OP_sum, "sum", v, &a, 1), m, m + 1, 1,
                    (Attr[]){ attr_str("to", "i8"), attr_int("zero", y->zero[0]), attr_int("x_zero", n * x->zero[0]) }, 3);
    return shaped(b, v, y->rank, y->dim);
}

/* Elements begin .. end of each dimension, one slice at a time. */
static Value *cut(Build *b, Value *v, const int64_t *begin, const int64_t *end, int rank)
{
    for (int i = 0; v && i < rank; i++) {
        Attr a[3] = { attr_int("axis", i), attr_int("begin", begin[i]), attr_int("end", end[i]) };

        if (begin[i] != 0 || v->type.rank <= i || v->type.dim[i] != dim_const(b->m, end[i]))
            v = put(b, OP_slice, "cut", v, a, 3);
    }
    return v;
}

/* SLICE (begin and size) and STRIDED_SLICE (begin and end, steps of 1). */
static Value *slice(Build *b)
{
    bool strided = b->g->op[b->i_op].code == TF_STRIDED_SLICE;
    const TfTensor *x = in_tensor(b, 0), *y = out_tensor(b);
    int64_t begin[MAX_RANK], end[MAX_RANK], step[MAX_RANK];
    int masks[5] = { 0 };
    Value *v = operand(b, 0);

    if (!v)
        return NULL;
    if (constant_ints(b, 1, MAX_RANK, begin) != x->rank || constant_ints(b, 2, MAX_RANK, end) != x->rank ||
        (strided && constant_ints(b, 3, MAX_RANK, step) != x->rank)) {
        unsupported(b, "its limits are not constants, one for each dimension");
        return NULL;
    }
    for (int i = 0; strided && i < 5; i++)                  /* begin, end, ellipsis, new axis, shrink axis */
        masks[i] = option(b, i, 4, 0);
    if (masks[2] || masks[3]) {
        unsupported(b, "has an ellipsis or a new axis, which is not supported");
        return NULL;
    }
    for (int i = 0; i < x->rank; i++) {
        int64_t n = x->dim[i];

        if (strided) {
            if (step[i] != 1) {
                unsupported(b, "has a step other than 1, which is not supported");
                return NULL;
            }
            begin[i] = masks[0] >> i & 1 ? 0 : begin[i] < 0 ? begin[i] + n : begin[i];
            end[i] = masks[4] >> i & 1 ? begin[i] + 1 : masks[1] >> i & 1 ? n : end[i] < 0 ? end[i] + n : end[i];
            begin[i] = begin[i] < 0 ? 0 : begin[i] > n ? n : begin[i];
            end[i] = end[i] > n ? n : end[i];
        } else
            end[i] = end[i] < 0 ? n : begin[i] + end[i];
    }
    v = cut(b, v, begin, end, x->rank);
    return v && y->n == type_n(v->type) ? shaped(b, v, y->rank, y->dim) : v;
}

/* Operands of another scale than the output's are brought to it first.  [concatenation.cc refuses them; the reference does not] */
static Value *concatenation(Build *b)
{
    const TfOp *o = &b->g->op[b->i_op];
    const TfTensor *y = out_tensor(b);
    Value **v = ARENA_ARRAY(b->m->a, Value *, o->n_in + 1);
    int axis = option(b, 0, 4, 0);
    Attr a;

    if (option(b, 1, 1, ACT_none) != ACT_none || axis < -y->rank || axis >= y->rank) {
        unsupported(b, "its axis is not one of its output, or it has a fused activation function");
        return NULL;
    }
    for (int i = 0; i < o->n_in; i++) {
        const TfTensor *x = in_tensor(b, i);

        if (!(v[i] = operand(b, i)))
            return NULL;
        if (x->fmt != y->fmt || x->n_scale != y->n_scale || (x->n_scale && (x->scale[0] != y->scale[0] || x->zero[0] != y->zero[0]))) {
            unsupported(b, "its operands are not quantized like its output");
            return NULL;
        }
    }
    a = attr_int("axis", axis < 0 ? axis + y->rank : axis);
    return put_many(b, OP_concat, "", v, o->n_in, &a, 1);
}

/* ---- the table of operators ------------------------------------------------------------------------------------------- */

typedef Value *OpBuilder(Build *b);
static const struct { int code, min_in; OpBuilder *build; } builders[] = {
    { TF_CONV_2D, 2, convolution },        { TF_DEPTHWISE_CONV_2D, 2, convolution }, { TF_FULLY_CONNECTED, 2, fully_connected },
    { TF_AVERAGE_POOL_2D, 1, pool },       { TF_MAX_POOL_2D, 1, pool },              { TF_SOFTMAX, 1, softmax },
    { TF_ADD, 2, arithmetic },             { TF_SUB, 2, arithmetic },                { TF_MUL, 2, arithmetic },
    { TF_RELU, 1, relu },                  { TF_RELU6, 1, relu },                    { TF_RELU_N1_TO_1, 1, relu },
    { TF_QUANTIZE, 1, quantize },          { TF_RESHAPE, 1, reshape },               { TF_SQUEEZE, 1, reshape },
    { TF_EXPAND_DIMS, 1, reshape },        { TF_TRANSPOSE, 2, transpose },           { TF_PAD, 2, pad },
    { TF_PADV2, 3, pad },                  { TF_CONCATENATION, 1, concatenation },   { TF_LOGISTIC, 1, sigmoid },
    { TF_TANH, 1, sigmoid },               { TF_LEAKY_RELU, 1, leaky_relu },         { TF_HARD_SWISH, 1, hard_swish },
    { TF_MEAN, 2, reduce },                { TF_SUM, 2, reduce },                    { TF_SLICE, 3, slice },
    { TF_STRIDED_SLICE, 4, slice },
};

static OpBuilder *builder_of(const TfOp *o)
{
    for (size_t i = 0; i < sizeof builders / sizeof *builders; i++)
        if (builders[i].code == o->code && o->n_in >= builders[i].min_in && o->n_out == 1)
            return builders[i].build;
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
    const TfTensor *t = out_tensor(b);

    if (t->fmt && type_eq(v->type, type_shaped(b->m, t->fmt, t->rank, t->dim)))
        return true;
    return fail(b->d, here(b), "gives %s, but the file says that its output has another shape or type, %s of %" PRId64 " elements",
                type_text(b->m->a, v->type), t->type_name, t->n);
}

bool arch_tflite(Module *m, TfGraph *g, Diag *d)
{
    Build b = { .m = m, .g = g, .d = d, .value = ARENA_ARRAY(m->a, Value *, g->n_tensor + 1) };
    Value **results = ARENA_ARRAY(m->a, Value *, g->n_out + 1);
    bool ok = true;

    b.f = module_add_func(m, "run");
    b.r = b.f->body;
    for (int i = 0; i < g->n_in; i++) {
        const TfTensor *t = tensor(&b, g->in[i]);

        if (!t->fmt || t->p)
            ok = fail(d, AT_WHAT(g->flat.path, str_printf(m->a, "input %d", i)), "of type %s%s is not supported", t->type_name,
                      t->p ? ", a constant," : "");
        else
            b.value[g->in[i]] = func_add_param(b.f, func_fresh_name(b.f, t->name.n ? str_show(m->a, t->name, 60) : "input"),
                                               type_shaped(m, t->fmt, t->rank, t->dim), VAL_result);
    }
    if (!ok || !all_known(&b))
        return false;
    for (b.i_op = 0; ok && b.i_op < g->n_op; b.i_op++) {
        const TfOp *o = &g->op[b.i_op];
        Value *v = builder_of(o)(&b);

        if (!v || !g->flat.ok || !as_declared(&b, v))
            return false;
        b.value[o->out[0]] = v;
    }
    for (int i = 0; ok && i < g->n_out; i++) {
        results[i] = b.value[g->out[i]];
        if (!results[i] || results[i]->kind != VAL_result)
            ok = fail(d, AT_WHAT(g->flat.path, str_printf(m->a, "output %d", i)), "is not computed by an operator");
    }
    if (!ok || g->n_out == 0)
        return ok && fail(d, AT_FILE(g->flat.path), "has no outputs");
    op_new(b.r, NULL, OP_return, "", results, g->n_out, NULL, 0);
    module_add_entry(m, "run", b.f);
    return true;
}
