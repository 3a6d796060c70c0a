/* Functions of one number of TensorFlow Lite: of int8 they are tables of 256 results.  See tflite.h. */
#include "compiler/arch/tflite.h"
#include "ir/fixed.h"

#include <math.h>
#include <stdlib.h>

Value *tf_min_zero(Build *b, Value *x)
{
    x = tf_put(b, OP_relu, "minus", tf_put(b, OP_neg, "neg", x, NULL, 0), NULL, 0);
    return tf_put(b, OP_neg, "below", x, NULL, 0);
}

/* RELU and its relatives; in int8 a rescaling too.  [activations_common: CalculateReluOpData] */
Value *tf_relu(Build *b)
{
    int code = tf_op(b)->code;
    int act = code == TF_RELU ? ACT_relu : code == TF_RELU6 ? ACT_relu6 : ACT_relu_n1_to_1;
    const TfTensor *x = tf_in(b, 0), *y = tf_out(b);
    Value *v = tf_operand(b, 0);
    int64_t lo, hi;
    int32_t *m;
    Attr a[5];

    if (!v)
        return NULL;
    if (tf_is_f32(x) && tf_is_f32(y))
        return tf_activate(b, v, act);
    if (!(tf_is_i8(x) && tf_is_i8(y)) && !(tf_is_i16(x) && tf_is_i16(y)))
        return tf_refuse_types(b, "FLOAT32 throughout, or quantized INT8 or INT16");
    if (!tf_range(b, y, act, &lo, &hi))
        return NULL;
    if (code != TF_RELU)                                    /* these only clamp, in the input's quantization */
        return tf_put(b, OP_clamp, "", v, (Attr[]){ attr_float("lo", (double)lo), attr_float("hi", (double)hi) }, 2);
    m = ARENA_ARRAY(b->m->a, int32_t, 2);
    if (!tf_multiplier(b, (double)(x->scale[0] / y->scale[0]), &m[0], &m[1]))
        return NULL;
    a[0] = attr_str("to", y->fmt->name);
    a[1] = attr_int("zero", y->zero[0]);
    a[2] = attr_int("x_zero", x->zero[0]);
    a[3] = attr_int("lo", lo);
    a[4] = attr_int("hi", hi);
    return tf_put_requant(b, "", v, m, m + 1, 1, a, 5);
}

/* Of floats to integers, or of integers to another scale.  [PrepareQuantizeReference, AffineQuantize] */
Value *tf_quantize(Build *b)
{
    static const char *const known[] = { "f32 i8", "f32 i16", "i16 i8", "i8 i8", "i8 u8", "u8 i8", "i8 i16", "i8 i32", "i16 i16", "i16 i32",
                                         "i32 i8", "i32 i16", NULL };
    const TfTensor *x = tf_in(b, 0), *y = tf_out(b);
    Value *v = tf_operand(b, 0);
    bool ok = false;
    double factor;

    if (!v)
        return NULL;
    for (int i = 0; known[i] && x->fmt && y->fmt; i++)
        ok = ok || !strcmp(known[i], str_printf(b->m->a, "%s %s", x->fmt->name, y->fmt->name));
    if (!ok || y->n_scale != 1 || (!tf_is_f32(x) && x->n_scale != 1))
        return tf_refuse_types(b, "FLOAT32 to INT8 or INT16, or from one quantized integer to another as TensorFlow Lite Micro does it");
    if (tf_is_f32(x))
        return tf_put(b, OP_quantize, "", v,
                      (Attr[]){ attr_str("to", y->fmt->name), attr_float("scale", (double)y->scale[0]), attr_int("zero", y->zero[0]) }, 3);
    factor = (double)x->scale[0] / (double)y->scale[0];
    return tf_requant(b, v, x->zero[0], y, &factor, 1, ACT_none);
}

Value *tf_dequantize(Build *b)
{
    const TfTensor *x = tf_in(b, 0), *y = tf_out(b);
    Value *v = tf_operand(b, 0);
    Attr by;

    if (!v)
        return NULL;
    if (x->n_scale != 1 || !(tf_is_i8(x) || tf_is_i16(x) || tf_is_type(x, "u8")) || !tf_is_f32(y))
        return tf_refuse_types(b, "INT8, INT16 or UINT8, quantized as a whole, to FLOAT32");
    by = attr_float("by", (double)x->scale[0]);
    return tf_put(b, OP_scale, "", tf_put(b, OP_convert, "float", v, (Attr[]){ attr_str("to", "f32"), attr_int("zero", x->zero[0]) }, 2), &by, 1);
}

/* Integers to wider ones, or to floats. */
Value *tf_cast(Build *b)
{
    const TfTensor *x = tf_in(b, 0), *y = tf_out(b);
    Value *v = tf_operand(b, 0);
    Attr to = attr_str("to", y->fmt ? y->fmt->name : "");

    if (!v || (x->fmt && x->fmt == y->fmt))
        return v;
    if (!(tf_is_type(x, "i8") || tf_is_type(x, "i16") || tf_is_type(x, "i32")) || !(tf_is_f32(y) || tf_is_type(y, "i32")))
        return tf_refuse_types(b, "INT8, INT16 or INT32 to INT32 or FLOAT32");
    return tf_put(b, OP_convert, "", v, &to, 1);
}

/* Functions that are one op of floats, and of nothing else. */
Value *tf_float_function(Build *b)
{
    static const struct { int code; OpKind kind; } ops[] = {
        { TF_EXP, OP_exp }, { TF_LOG, OP_log }, { TF_SQRT, OP_sqrt }, { TF_NEG, OP_neg }, { TF_FLOOR, OP_floor }, { TF_ROUND, OP_round },
    };
    int code = tf_op(b)->code;
    Value *v = tf_operand(b, 0);

    if (!v)
        return NULL;
    if (!tf_is_f32(tf_in(b, 0)) || !tf_is_f32(tf_out(b)))
        return tf_refuse_types(b, "FLOAT32 throughout");
    if (code == TF_SQUARE)
        return tf_put_two(b, OP_mul, "", v, v, NULL, 0);
    if (code == TF_CEIL)                                    /* - floor(-x) */
        return tf_put(b, OP_neg, "", tf_put(b, OP_floor, "floor", tf_put(b, OP_neg, "minus", v, NULL, 0), NULL, 0), NULL, 0);
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        if (ops[i].code == code)
            return tf_put(b, ops[i].kind, "", v, NULL, 0);
    bug("operator %d is no function of floats", code);
}

/* LOGISTIC and TANH over an input of 4 integer bits; where it has more the function is at its end.
 * [CalculateArithmeticOpDataLogistic; reference/integer_ops/logistic.h, tanh.h] */
Value *tf_sigmoid(Build *b)
{
    bool is_tanh = tf_op(b)->code == TF_TANH;
    const TfTensor *x = tf_in(b, 0), *y = tf_out(b);
    int32_t *table = ARENA_ARRAY(b->m->a, int32_t, 256), m, s;
    Value *v = tf_operand(b, 0);
    double radius;

    if (!v)
        return NULL;
    if (tf_is_f32(x) && tf_is_f32(y))
        return tf_put(b, is_tanh ? OP_tanh : OP_sigmoid, "", v, NULL, 0);
    if (tf_is_i16(x))
        return tf_curve_i16(b);
    if (!tf_is_i8(x) || !tf_is_i8(y) || (!is_tanh && y->zero[0] != -128))
        return tf_refuse(b, "is FLOAT32, or INT8 (LOGISTIC with the zero point -128 of its output)");
    if (!tf_multiplier(b, (double)x->scale[0] * (double)(1 << 27), &m, &s))
        return NULL;
    radius = floor(15.0 * (double)(1 << 27) / ldexp(1, s));
    for (int i = 0; i < 256; i++) {
        int64_t in = i - 128 - x->zero[0];

        if ((double)in <= -radius || (double)in >= radius)
            table[i] = in < 0 ? -128 : 127;
        else if (is_tanh)
            table[i] = tf_to_i8(fixed_shift(fixed_tanh(fixed_rescale((int32_t)in, m, s, false)), 24));
        else
            table[i] = tf_to_i8(fixed_shift(fixed_logistic(fixed_rescale((int32_t)in, m, s, false)), 23) - 128);
    }
    return tf_lookup(b, v, table);
}

/* [PopulateLookupTable of elu.cc, in float] */
Value *tf_elu(Build *b)
{
    const TfTensor *x = tf_in(b, 0), *y = tf_out(b);
    int32_t *table = ARENA_ARRAY(b->m->a, int32_t, 256);
    Value *v = tf_operand(b, 0), *below;

    if (!v)
        return NULL;
    if (tf_is_f32(x) && tf_is_f32(y)) {                     /* max(x, 0) + (e^min(x, 0) - 1) */
        below = tf_put(b, OP_exp, "exp", tf_min_zero(b, v), NULL, 0);
        below = tf_put_two(b, OP_sub, "below", below, tf_float_weight(b, "one", 1), NULL, 0);
        return tf_put_two(b, OP_add, "", tf_put(b, OP_relu, "above", v, NULL, 0), below, NULL, 0);
    }
    if (!tf_is_i8(x) || !tf_is_i8(y))
        return tf_refuse_types(b, "FLOAT32 throughout, or quantized INT8");
    for (int i = 0; i < 256; i++) {
        float real = x->scale[0] * (float)(i - 128 - x->zero[0]), inverse = 1 / y->scale[0];
        float q = roundf((real < 0.0f ? expf(real) - 1.0f : real) * inverse) + (float)y->zero[0];

        table[i] = q < -128 ? -128 : q > 127 ? 127 : (int32_t)q;
    }
    return tf_lookup(b, v, table);
}

/* [AbsEvalQuantized: rescaled only where the scales differ] */
Value *tf_abs(Build *b)
{
    const TfTensor *x = tf_in(b, 0), *y = tf_out(b);
    int32_t *table = ARENA_ARRAY(b->m->a, int32_t, 256), m, s;
    Value *v = tf_operand(b, 0);

    if (!v || (tf_is_f32(x) && tf_is_f32(y)))
        return v ? tf_put(b, OP_abs, "", v, NULL, 0) : NULL;
    if (!tf_is_i8(x) || !tf_is_i8(y))
        return tf_refuse_types(b, "FLOAT32 throughout, or quantized INT8");
    if (!tf_multiplier(b, (double)(x->scale[0] / y->scale[0]), &m, &s))
        return NULL;
    for (int i = 0; i < 256; i++) {
        int32_t in = abs(i - 128 - (int32_t)x->zero[0]);

        table[i] = tf_to_i8(y->zero[0] + (x->scale[0] == y->scale[0] ? in : fixed_rescale(in, m, s, false)));
    }
    return tf_lookup(b, v, table);
}

/* What is below the zero point has no root: TensorFlow Lite Micro stops there, here it is as at the zero point.  [RsqrtEvalQuantized] */
Value *tf_rsqrt(Build *b)
{
    const TfTensor *x = tf_in(b, 0), *y = tf_out(b);
    int32_t *table = ARENA_ARRAY(b->m->a, int32_t, 256), m, s;
    Value *v = tf_operand(b, 0);

    if (!v || (tf_is_f32(x) && tf_is_f32(y)))
        return v ? tf_put(b, OP_rsqrt, "", v, NULL, 0) : NULL;
    if (!tf_is_i8(x) || !tf_is_i8(y))
        return tf_refuse_types(b, "FLOAT32 throughout, or quantized INT8");
    if (!tf_multiplier(b, 1. / (double)(sqrtf(x->scale[0]) * y->scale[0]), &m, &s))
        return NULL;
    if (s - 20 < -31 || s - 20 > 30)
        return tf_refuse(b, "its scales are out of the range in which it is defined");
    for (int i = 0; i < 256; i++) {
        int64_t in = i - 128 - x->zero[0];
        int shift;
        int32_t root = fixed_inverse_sqrt(in > 0 ? (int32_t)in : 0, &shift);

        table[i] = in <= 0 ? 127 : tf_to_i8(y->zero[0] + fixed_rescale(fixed_rescale(1, root, shift + 20, false), m, s - 20, false));
    }
    return tf_lookup(b, v, table);
}

/* [CalculateOpDataLeakyRelu, QuantizeLeakyRelu] */
Value *tf_leaky_relu(Build *b)
{
    const TfTensor *x = tf_in(b, 0), *y = tf_out(b);
    float alpha = tf_float_option(b, 0, 0);
    int32_t *table = ARENA_ARRAY(b->m->a, int32_t, 256), m[2], s[2];
    Attr a = attr_float("by", (double)alpha);
    Value *v = tf_operand(b, 0);

    if (!v)
        return NULL;
    if (tf_is_f32(x) && tf_is_f32(y))
        return tf_put_two(b, alpha <= 1 ? OP_max : OP_min, "", v, tf_put(b, OP_scale, "scaled", v, &a, 1), NULL, 0);
    if (!tf_is_i8(x) || !tf_is_i8(y) || !isfinite(alpha))
        return tf_refuse(b, "is FLOAT32 or INT8, with a finite alpha");
    if (!tf_multiplier(b, (double)(x->scale[0] / y->scale[0]), &m[0], &s[0]) ||
        !tf_multiplier(b, (double)(x->scale[0] * fabsf(alpha) / y->scale[0]), &m[1], &s[1]))
        return NULL;
    for (int i = 0; i < 256; i++) {
        int64_t in = i - 128 - x->zero[0], out = fixed_rescale((int32_t)in, m[in < 0], s[in < 0], false);

        table[i] = tf_to_i8(y->zero[0] + (in < 0 && alpha < 0 ? -out : out));
    }
    return tf_lookup(b, v, table);
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
Value *tf_hard_swish(Build *b)
{
    const TfTensor *x = tf_in(b, 0), *y = tf_out(b);
    int32_t *table = ARENA_ARRAY(b->m->a, int32_t, 256), m[2], s[2];
    Value *v = tf_operand(b, 0);

    if (!v)
        return NULL;
    if (tf_is_f32(x) && tf_is_f32(y)) {
        Attr by = attr_float("by", 1.0 / 6);
        Value *gate = tf_put_two(b, OP_add, "plus", v, tf_float_weight(b, "three", 3), NULL, 0);

        gate = tf_put(b, OP_clamp, "gate", gate, (Attr[]){ attr_float("lo", 0), attr_float("hi", 6) }, 2);
        return tf_put(b, OP_scale, "", tf_put_two(b, OP_mul, "product", v, gate, NULL, 0), &by, 1);
    }
    if (!tf_is_i8(x) || !tf_is_i8(y))
        return tf_refuse_types(b, "FLOAT32 throughout, or quantized INT8");
    if (!tf_multiplier(b, (double)(1.0f / 128 * x->scale[0] / y->scale[0]), &m[0], &s[0]) ||
        !tf_multiplier(b, (double)(1.0f / 128 * x->scale[0] / (3.0f / 32768)), &m[1], &s[1]))
        return NULL;
    if (s[0] > 0 || s[1] > 15 || x->zero[0] < -128 || x->zero[0] > 127)
        return tf_refuse(b, "its scales are out of the range in which it is defined");
    for (int i = 0; i < 256; i++) {
        int32_t in = to_i16((i - 128 - x->zero[0]) * 128), gate = in;

        if (s[1] > 0)
            gate = to_i16((int64_t)gate * (1 << (s[1] - 1)));
        gate = mul_i16(gate, short_multiplier(m[1]), true);
        gate = s[1] > 0 ? to_i16((int64_t)gate * 2) : fixed_shift(gate, -s[1]);
        gate = (gate + (1 << 15)) >> 1;
        table[i] = tf_to_i8(y->zero[0] + fixed_shift(mul_i16(gate, mul_i16(in, short_multiplier(m[0]), true), false), -s[0]));
    }
    return tf_lookup(b, v, table);
}
