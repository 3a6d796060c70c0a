/* Functions of one number of TensorFlow Lite: of int8 they are tables of 256 results.  See tflite.h. */
#include "compiler/arch/tflite.h"
#include "ir/fixed.h"

#include <math.h>

/* RELU and its relatives; in int8 a rescaling too.  [activations_common: CalculateReluOpData] */
Value *tf_relu(Build *b)
{
    int code = b->g->op[b->i_op].code;
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
    if (!tf_is_i8(x) || !tf_is_i8(y) || !tf_range(b, y, act, &lo, &hi))
        return tf_refuse(b, "is FLOAT32 or quantized INT8");
    if (code != TF_RELU)                                    /* these only clamp, in the input's quantization */
        return tf_put(b, OP_clamp, "", v, (Attr[]){ attr_float("lo", (double)lo), attr_float("hi", (double)hi) }, 2);
    m = ARENA_ARRAY(b->m->a, int32_t, 2);
    if (!tf_multiplier(b, (double)(x->scale[0] / y->scale[0]), &m[0], &m[1]))
        return NULL;
    a[0] = attr_str("to", "i8");
    a[1] = attr_int("zero", y->zero[0]);
    a[2] = attr_int("x_zero", x->zero[0]);
    a[3] = attr_int("lo", lo);
    a[4] = attr_int("hi", hi);
    return tf_put_requant(b, "", v, m, m + 1, 1, a, 5);
}

/* int8 to int8: another scale.  [PrepareQuantizeReference] */
Value *tf_quantize(Build *b)
{
    const TfTensor *x = tf_in(b, 0), *y = tf_out(b);
    Value *v = tf_operand(b, 0);
    int32_t *m;

    if (!v)
        return NULL;
    if (!tf_is_i8(x) || !tf_is_i8(y)) {
        fail(b->d, tf_here(b), "types %s -> %s are not supported (quantized INT8 to INT8)", x->type_name, y->type_name);
        return NULL;
    }
    m = ARENA_ARRAY(b->m->a, int32_t, 2);
    if (!tf_multiplier(b, (double)x->scale[0] / (double)y->scale[0], &m[0], &m[1]))
        return NULL;
    return tf_put_requant(b, "", v, m, m + 1, 1,
                       (Attr[]){ attr_str("to", "i8"), attr_int("zero", y->zero[0]), attr_int("x_zero", x->zero[0]) }, 3);
}

/* LOGISTIC and TANH over an input of 4 integer bits; where it has more the function is at its end.
 * [CalculateArithmeticOpDataLogistic; reference/integer_ops/logistic.h, tanh.h] */
Value *tf_sigmoid(Build *b)
{
    bool is_tanh = b->g->op[b->i_op].code == TF_TANH;
    const TfTensor *x = tf_in(b, 0), *y = tf_out(b);
    int32_t *table = ARENA_ARRAY(b->m->a, int32_t, 256), m, s;
    Value *v = tf_operand(b, 0);
    double radius;

    if (!v)
        return NULL;
    if (tf_is_f32(x) && tf_is_f32(y))
        return tf_put(b, is_tanh ? OP_tanh : OP_sigmoid, "", v, NULL, 0);
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

/* [CalculateOpDataLeakyRelu, QuantizeLeakyRelu] */
Value *tf_leaky_relu(Build *b)
{
    const TfTensor *x = tf_in(b, 0), *y = tf_out(b);
    float alpha = flat_float(&b->g->flat, &b->g->op[b->i_op].options, 0, 0);
    int32_t *table = ARENA_ARRAY(b->m->a, int32_t, 256), m[2], s[2];
    Attr a = attr_float("by", (double)alpha);
    Value *v = tf_operand(b, 0);

    if (!v)
        return NULL;
    if (tf_is_f32(x) && tf_is_f32(y) && alpha <= 1)
        return tf_put_two(b, OP_max, "", v, tf_put(b, OP_scale, "scaled", v, &a, 1), NULL, 0);
    if (!tf_is_i8(x) || !tf_is_i8(y) || !isfinite(alpha))
        return tf_refuse(b, "is FLOAT32 with alpha up to 1, or INT8");
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
    if (!tf_is_i8(x) || !tf_is_i8(y))
        return tf_refuse(b, "is quantized INT8");
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
