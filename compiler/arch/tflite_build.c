/* What the builders of TensorFlow Lite's operators share: tensors as values, ops, numbers of quantization.  See tflite.h. */
#include "compiler/arch/tflite.h"
#include "ir/fixed.h"

#include <math.h>

/* ---- the operator at hand --------------------------------------------------------------------------------------------- */

Loc tf_here(const Build *b)
{
    return tf_at_op(b->m->a, b->g, b->i_op);
}

bool tf_unsupported(Build *b, const char *what)
{
    return fail(b->d, tf_here(b), "%s", what);
}

Value *tf_refuse(Build *b, const char *what)
{
    tf_unsupported(b, what);
    return NULL;
}

Value *tf_refuse_types(Build *b, const char *supported)
{
    Buf types = buf_in(b->m->a);

    for (int i = 0; i < tf_op(b)->n_in; i++)
        buf_printf(&types, "%s%s", i ? ", " : "", tf_in(b, i) ? tf_in(b, i)->type_name : "none");
    fail(b->d, tf_here(b), "types %s -> %s are not supported (%s)", str_z(b->m->a, buf_str(&types)),
         tf_op(b)->n_out ? tf_out(b)->type_name : "none", supported);
    return NULL;
}

const TfOp *tf_op(const Build *b)
{
    return &b->g->op[b->i_op];
}

const TfTensor *tf_in(const Build *b, int k)
{
    const TfOp *o = tf_op(b);

    return k < o->n_in && o->in[k] >= 0 ? &b->g->tensor[o->in[k]] : NULL;
}

const TfTensor *tf_out(const Build *b)
{
    return &b->g->tensor[tf_op(b)->out[b->i_out]];
}

int tf_option(Build *b, int field, int bytes, int otherwise)
{
    return (int)flat_int(&b->g->flat, &tf_op(b)->options, field, bytes, true, otherwise);
}

float tf_float_option(Build *b, int field, float otherwise)
{
    return flat_float(&b->g->flat, &tf_op(b)->options, field, otherwise);
}

static int64_t number_at(const TfTensor *t, int64_t i)
{
    uint64_t v = 0;

    for (int k = t->fmt->bytes; k-- > 0;)
        v = v << 8 | t->p[i * t->fmt->bytes + k];
    return t->fmt->bytes == 8 ? (int64_t)v : (int32_t)(uint32_t)v;
}

int tf_constant_ints(Build *b, int k, int n, int64_t *out)
{
    const TfTensor *t = tf_in(b, k);

    if (!t || !t->p || !(tf_is_type(t, "i32") || tf_is_type(t, "i64")) || t->n > n) {
        fail(b->d, tf_here(b), "operand %d is no constant of at most %d integers", k, n);
        return -1;
    }
    for (int64_t i = 0; i < t->n; i++)
        out[i] = number_at(t, i);
    return (int)t->n;
}

int tf_axis(Build *b, int64_t axis, int rank)
{
    axis += axis < 0 ? rank : 0;
    if (axis >= 0 && axis < rank)
        return (int)axis;
    tf_unsupported(b, "its axis is not one of its tensors' (a damaged file?)");
    return -1;
}

int tf_axis_operand(Build *b, int k, int rank)
{
    int64_t axis;
    int n = tf_constant_ints(b, k, 1, &axis);

    if (n == 0)
        tf_unsupported(b, "does not say along which axis");
    return n == 1 ? tf_axis(b, axis, rank) : -1;
}

bool tf_is_type(const TfTensor *t, const char *format)
{
    return t && t->fmt && !strcmp(t->fmt->name, format);
}

bool tf_is_i8(const TfTensor *t)
{
    return tf_is_type(t, "i8") && t->n_scale > 0;
}

bool tf_is_i16(const TfTensor *t)
{
    return tf_is_type(t, "i16") && t->n_scale > 0;
}

bool tf_is_f32(const TfTensor *t)
{
    return tf_is_type(t, "f32");
}

bool tf_same_quant(const TfTensor *a, const TfTensor *b)
{
    return a->fmt == b->fmt && a->n_scale == b->n_scale && (!a->n_scale || (a->scale[0] == b->scale[0] && a->zero[0] == b->zero[0]));
}

const char *tf_from(const Build *b)
{
    return tf_op(b)->n_out && tf_out(b)->name.n ? str_z(b->m->a, tf_out(b)->name) : NULL;
}

/* ---- values ----------------------------------------------------------------------------------------------------------- */

/* "conv_2d_3", or "conv_2d_3.acc": values and weights are called after their operator, because tensors' names are long and may be equal.
 * What the file calls the result is in `from`. */
static const char *name_of(Build *b, const char *part)
{
    char *name = str_printf(b->m->a, "%s_%d%s%s", tf_op_name(b->m->a, tf_op(b)->code), b->i_op, *part ? "." : "", part);

    for (char *p = name; *p; p++)
        *p = *p >= 'A' && *p <= 'Z' ? (char)(*p - 'A' + 'a') : *p;
    return name;
}

Value *tf_put_many(Build *b, OpKind k, const char *part, Value *const *in, int n, const Attr *attr, int n_attr)
{
    Op *o;

    for (int i = 0; i < n; i++)
        if (!in[i])
            return NULL;
    if (!op_fits(b->r, k, in, n, attr, n_attr, NULL)) {
        fail(b->d, tf_here(b), "the shapes, types or numbers of its operands do not fit each other (a damaged file?)");
        return NULL;
    }
    o = op_new(b->r, NULL, k, func_fresh_name(b->f, name_of(b, part)), in, n, attr, n_attr);
    o->from = tf_from(b);
    return o->out[0];
}

Value *tf_put(Build *b, OpKind k, const char *part, Value *x, const Attr *attr, int n_attr)
{
    return tf_put_many(b, k, part, &x, 1, attr, n_attr);
}

Value *tf_put_two(Build *b, OpKind k, const char *part, Value *x, Value *y, const Attr *attr, int n_attr)
{
    return tf_put_many(b, k, part, (Value *[]){ x, y }, 2, attr, n_attr);
}

Type tf_type(Module *m, const Format *f, int rank, const int64_t *dim)
{
    Dim d[MAX_RANK];

    for (int i = 0; i < rank; i++)
        d[i] = dim_const(m, dim[i]);
    return type_of(f, rank, d);
}

Value *tf_add_weight(Build *b, const char *part, WExpr *e)
{
    const char *name = name_of(b, part), *unique = name;

    for (int n = 1; module_find_weight(b->m, str_of(unique)); n++)
        unique = str_printf(b->m->a, "%s.%d", name, n);
    return module_add_weight(b->m, unique, e->type, e)->value;
}

Value *tf_weight_as(Build *b, const char *part, const TfTensor *t, int rank, const int64_t *dim)
{
    WExpr *e = wexpr_new(b->m, W_view, tf_type(b->m, t->fmt, rank, dim));

    e->off = t->off;
    return tf_add_weight(b, part, e);
}

Value *tf_int_weight(Build *b, const char *part, const int32_t *v, int n)
{
    WExpr *e = wexpr_new(b->m, W_const, type_1(b->m, format_find(STR("i32")), n));

    e->ints = v;
    return tf_add_weight(b, part, e);
}

Value *tf_float_weight(Build *b, const char *part, float v)
{
    WExpr *e = wexpr_new(b->m, W_const, type_1(b->m, format_find(STR("f32")), 1));
    float *value = ARENA_NEW(b->m->a, float);

    *value = v;
    e->value = value;
    return tf_add_weight(b, part, e);
}

Value *tf_operand(Build *b, int k)
{
    const TfTensor *t = tf_in(b, k);
    int i = t ? tf_op(b)->in[k] : -1;

    if (!t) {
        fail(b->d, tf_here(b), "operand %d is missing", k);
        return NULL;
    }
    if (!b->value[i] && t->p && t->fmt)
        b->value[i] = tf_weight_as(b, "const", t, t->rank ? t->rank : 1, t->rank ? t->dim : (int64_t[]){ 1 });
    if (!b->value[i])
        fail(b->d, tf_here(b), "operand %d, tensor %d, is neither constant nor computed before", k, i);
    return b->value[i];
}

Value *tf_shaped(Build *b, Value *x, int rank, const int64_t *dim)
{
    Attr a = attr_ints("dims", dim, rank);

    if (x && x->type.rank == rank) {
        bool same = true;

        for (int i = 0; i < rank; i++)
            same = same && x->type.dim[i] == dim_const(b->m, dim[i]);
        if (same)
            return x;
    }
    return tf_put(b, OP_reshape, "as", x, &a, 1);
}

Value *tf_shaped_out(Build *b, Value *x)
{
    return tf_shaped(b, x, tf_out(b)->rank, tf_out(b)->dim);
}

Value *tf_put_requant(Build *b, const char *part, Value *x, const int32_t *m, const int32_t *s, int n, const Attr *attr, int n_attr)
{
    const char *dot = *part ? "." : "";

    for (int i = 0; i < n; i++)
        if (s[i] > 30) {
            fail(b->d, tf_here(b), "its scales differ by more than 2^30");
            return NULL;
        }
    return tf_put_many(b, OP_requant, part,
                    (Value *[]){ x, tf_int_weight(b, str_printf(b->m->a, "%s%sm", part, dot), m, n),
                                 tf_int_weight(b, str_printf(b->m->a, "%s%ss", part, dot), s, n) }, 3, attr, n_attr);
}

/* ---- numbers of quantization ------------------------------------------------------------------------------------------ */

bool tf_multiplier(Build *b, double x, int32_t *m, int32_t *s)
{
    int exponent = 0;
    int64_t q;

    if (!(x < 2147483648.0))
        return fail(b->d, tf_here(b), "its scales differ by more than 2^31");
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

bool tf_range(Build *b, const TfTensor *t, int act, int64_t *lo, int64_t *hi)
{
    double from, to;

    if (act < ACT_none || act > ACT_relu6)
        return tf_unsupported(b, "its fused activation function is not supported (RELU, RELU6 and RELU_N1_TO_1 are)");
    format_int_range(t->fmt, lo, hi);
    if (act == ACT_none)
        return true;
    if (t->n_scale == 0)
        return tf_unsupported(b, "its output is not quantized");
    from = quantized(t, act == ACT_relu_n1_to_1 ? -1.0f : 0.0f);
    to = quantized(t, act == ACT_relu_n1_to_1 ? 1.0f : 6.0f);
    *lo = from > (double)*lo ? from > (double)*hi ? *hi : (int64_t)from : *lo;
    if (act != ACT_relu)
        *hi = to < (double)*hi ? to < (double)*lo ? *lo : (int64_t)to : *hi;
    return true;
}

Value *tf_requant(Build *b, Value *acc, int64_t x_zero, const TfTensor *t, const double *factor, int n, int act)
{
    int32_t *m = ARENA_ARRAY(b->m->a, int32_t, n), *s = ARENA_ARRAY(b->m->a, int32_t, n);
    int64_t lo, hi;
    Attr a[5];

    if (!tf_range(b, t, act, &lo, &hi))
        return NULL;
    for (int i = 0; i < n; i++)
        if (!tf_multiplier(b, factor[i], &m[i], &s[i]))
            return NULL;
    a[0] = attr_str("to", t->fmt->name);
    a[1] = attr_int("zero", t->zero[0]);
    a[2] = attr_int("lo", lo);
    a[3] = attr_int("hi", hi);
    a[4] = attr_int("x_zero", x_zero);
    return tf_put_requant(b, "", acc, m, s, n, a, 4 + (x_zero != 0));
}

Value *tf_requant_part(Build *b, const char *part, Value *acc, int64_t x_zero, const char *to, int64_t zero, double factor)
{
    int32_t *m = ARENA_ARRAY(b->m->a, int32_t, 2);
    Attr a[3] = { attr_str("to", to), attr_int("zero", zero), attr_int("x_zero", x_zero) };

    return tf_multiplier(b, factor, &m[0], &m[1]) ? tf_put_requant(b, part, acc, m, m + 1, 1, a, 2 + (x_zero != 0)) : NULL;
}

Value *tf_rescale(Build *b, const char *part, Value *x, int64_t x_zero, int left, double factor)
{
    int32_t *m = ARENA_ARRAY(b->m->a, int32_t, 2);
    Attr a[4] = { attr_str("to", "i32"), attr_int("zero", 0), attr_int("x_zero", x_zero), attr_int("left", left) };

    if (!tf_multiplier(b, factor, &m[0], &m[1]))
        return NULL;
    return tf_put_requant(b, part, x, m, m + 1, 1, a, left ? 4 : 3);
}

Value *tf_activate(Build *b, Value *y, int act)
{
    Attr a[2] = { attr_float("lo", act == ACT_relu_n1_to_1 ? -1 : 0), attr_float("hi", act == ACT_relu_n1_to_1 ? 1 : 6) };

    if (act < ACT_none || act > ACT_relu6)
        return tf_refuse(b, "its fused activation function is not supported (RELU, RELU6 and RELU_N1_TO_1 are)");
    return act == ACT_none ? y : act == ACT_relu ? tf_put(b, OP_relu, "", y, NULL, 0) : tf_put(b, OP_clamp, "", y, a, 2);
}
int32_t tf_to_i8(int64_t v)
{
    return (int32_t)(v < -128 ? -128 : v > 127 ? 127 : v);
}

Value *tf_lookup(Build *b, Value *x, const int32_t *table)
{
    WExpr *e = wexpr_new(b->m, W_const, type_1(b->m, format_find(STR("i8")), 256));

    e->ints = table;
    return tf_put_two(b, OP_lookup, "", x, tf_add_weight(b, "table", e), NULL, 0);
}

