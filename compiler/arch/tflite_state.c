/* Operators of TensorFlow Lite that keep something from one run to the next: variables, SVDF, LSTM.  See tflite.h.
 *
 * What is kept is a state of kind var.  Variables are known by name (VAR_HANDLE), what a layer keeps by a tensor of its own, which is marked as
 * variable in the file.  A sequence is a `scan` over its rows. */
#include "compiler/arch/tflite.h"

#include <math.h>

/* ---- variables -------------------------------------------------------------------------------------------------------- */

static Str variable_name(TfGraph *g, const TfOp *o)
{
    return flat_str(&g->flat, &o->options, 1);
}

/* The variable that a tensor of the graph is a handle of; NULL after a report. */
static TfVariable *variable_of(Build *b, int i)
{
    if (i >= 0 && b->handle[i])
        return b->handle[i];
    tf_unsupported(b, "its first operand is no variable that VAR_HANDLE has named");
    return NULL;
}

/* The numbers of a constant tensor, written in the Module: what states begin with is read again when C is written. */
static WExpr *numbers_of(Build *b, const TfTensor *x)
{
    WExpr *e = wexpr_new(b->m, W_const, tf_type(b->m, x->fmt, x->rank, x->dim));
    int32_t *v = ARENA_ARRAY(b->m->a, int32_t, x->n + 1);
    float *f = ARENA_ARRAY(b->m->a, float, x->n + 1);

    for (int64_t i = 0; i < x->n; i++) {
        const uint8_t *p = x->p + i * x->fmt->bytes;

        if (x->fmt->kind == FORMAT_float)
            x->fmt->decode(&f[i], p, 1);
        else
            v[i] = x->fmt->bytes == 1 ? tf_is_type(x, "u8") ? p[0] : (int8_t)p[0]
                   : x->fmt->bytes == 2 ? (int16_t)(p[0] | p[1] << 8) : (int32_t)(p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24);
    }
    if (x->fmt->kind == FORMAT_float)
        e->value = f;
    else
        e->ints = v;
    return e;
}

bool tf_var_handle(Build *b)
{
    Str name = variable_name(b->g, tf_op(b));
    TfVariable *v = b->variables;

    while (v && !str_eq(v->name, name))
        v = v->next;
    if (!v) {
        v = ARENA_NEW(b->m->a, TfVariable);
        *v = (TfVariable){ .name = name, .next = b->variables };
        b->variables = v;
    }
    b->handle[tf_op(b)->out[0]] = v;
    return true;
}

static State *add_state(Build *b, Type t)
{
    return module_add_state(b->m, str_printf(b->m->a, "state.%d", b->m->n_state), "var", t);
}

/* A state begins with 0, or with the zero point of int8, as TensorFlow Lite Micro resets what is variable. */
static void begin_with_zero(Build *b, State *s, const TfTensor *t)
{
    int64_t n = type_n(s->type);
    int32_t *v;

    if (!tf_is_i8(t) || t->zero[0] == 0 || n < 0)
        return;
    v = ARENA_ARRAY(b->m->a, int32_t, n + 1);
    for (int64_t i = 0; i < n; i++)
        v[i] = tf_to_i8(t->zero[0]);
    s->init = wexpr_new(b->m, W_const, s->type);
    s->init->ints = v;
}

/* Its state, of the type that tensor t has.  NULL after a report. */
static State *state_of(Build *b, TfVariable *v, const TfTensor *t)
{
    if (!t || !t->fmt || t->rank > MAX_RANK || t->fmt->block > 1) {
        tf_unsupported(b, "keeps something that is not a tensor of a known type");
        return NULL;
    }
    if (!v->state) {
        v->state = add_state(b, tf_type(b->m, t->fmt, t->rank, t->dim));
        v->state->init = v->init;
        if (!v->init)
            begin_with_zero(b, v->state, t);
    }
    if (!type_eq(v->state->type, tf_type(b->m, t->fmt, t->rank, t->dim)) ||
        (v->init && !type_eq(v->init->type, v->state->type))) {
        tf_unsupported(b, "uses a variable with another type or shape than before");
        return NULL;
    }
    return v->state;
}

Value *tf_read_variable(Build *b)
{
    TfVariable *v = variable_of(b, tf_op(b)->in[0]);
    State *s = v ? state_of(b, v, tf_out(b)) : NULL;

    return s ? tf_put(b, OP_load, "", s->value, NULL, 0) : NULL;
}

static bool put_store(Build *b, State *s, Value *x)
{
    Value *in[2] = { s->value, x };

    if (!x)
        return false;
    if (!type_eq(s->type, x->type))
        return tf_unsupported(b, "stores another type or shape than what is kept");
    op_new(b->r, NULL, OP_store, "", in, 2, NULL, 0);
    return true;
}

bool tf_assign_variable(Build *b)
{
    TfVariable *v = variable_of(b, tf_op(b)->in[0]);
    State *s = v ? state_of(b, v, tf_in(b, 1)) : NULL;

    return s && put_store(b, s, tf_operand(b, 1));
}

/* What runs before everything else: variables get constants.  They are what their states begin with. */
bool tf_call_once(Build *b)
{
    int i_sub = tf_option(b, 0, 4, 0) - 1;
    TfGraph *g = i_sub >= 0 && i_sub < b->g->n_sub ? &b->g->sub[i_sub] : NULL;
    Str *name = g ? ARENA_ARRAY(b->m->a, Str, g->n_tensor + 1) : NULL;

    if (!g)
        return tf_unsupported(b, "runs a subgraph that the file does not have");
    for (int i = 0; i < g->n_op; i++) {
        const TfOp *o = &g->op[i];
        const TfTensor *x = o->code == TF_ASSIGN_VARIABLE && o->n_in == 2 && o->in[1] >= 0 ? &g->tensor[o->in[1]] : NULL;
        TfVariable *v;

        if (o->code == TF_VAR_HANDLE && o->n_out == 1) {
            name[o->out[0]] = variable_name(g, o);
            continue;
        }
        if (!x || !x->p || !x->fmt || x->rank > MAX_RANK || o->in[0] < 0 || x->fmt->bytes > 4 || x->fmt->block > 1)
            return tf_unsupported(b, "does something else than giving constants to variables");
        v = ARENA_NEW(b->m->a, TfVariable);
        *v = (TfVariable){ .name = name[o->in[0]], .next = b->variables, .init = numbers_of(b, x) };
        for (const TfVariable *u = b->variables; u; u = u->next)
            if (str_eq(u->name, v->name))
                return tf_unsupported(b, "gives a variable two values, or comes after its use");
        b->variables = v;
    }
    return g->flat.ok;
}

/* The state of a layer: operand k, a tensor that is marked as variable, in a shape of ours.  NULL after a report. */
static State *layer_state(Build *b, int k, const char *format, int rank, const int64_t *dim)
{
    const TfTensor *t = tf_in(b, k);
    State *s;

    if (!t || !t->variable || t->p || !tf_is_type(t, format) || (strcmp(format, "f32") && t->n_scale != 1)) {
        fail(b->d, tf_here(b), "operand %d is no variable of type %s, quantized as a whole", k, format);
        return NULL;
    }
    s = add_state(b, tf_type(b->m, t->fmt, rank, dim));
    begin_with_zero(b, s, t);
    return s;
}

/* ---- SVDF ------------------------------------------------------------------------------------------------------------- */

/* w_time [filters, memory] as [memory, 1, filters], one number of each channel for each row of the state. */
static Value *time_weights(Build *b, const TfTensor *w)
{
    int64_t n_filter = w->dim[0], n_memory = w->dim[1];
    WExpr *e = wexpr_new(b->m, W_const, tf_type(b->m, w->fmt, 3, (int64_t[]){ n_memory, 1, n_filter }));
    int32_t *v = ARENA_ARRAY(b->m->a, int32_t, w->n + 1);
    float *f = ARENA_ARRAY(b->m->a, float, w->n + 1);

    for (int64_t i = 0; i < w->n; i++) {
        int64_t to = i % n_memory * n_filter + i / n_memory;
        const uint8_t *p = w->p + i * w->fmt->bytes;

        if (tf_is_f32(w))
            w->fmt->decode(&f[to], p, 1);
        else
            v[to] = w->fmt->bytes == 1 ? (int8_t)p[0] : (int16_t)(p[0] | p[1] << 8);
    }
    if (tf_is_f32(w))
        e->value = f;
    else
        e->ints = v;
    return tf_add_weight(b, "time", e);
}

/* x + zero, which wraps around in int8.  [EvalIntegerSvdfReference clamps before it adds the zero point] */
static Value *plus_zero(Build *b, Value *x, const TfTensor *t)
{
    int32_t *table = ARENA_ARRAY(b->m->a, int32_t, 256);

    for (int i = 0; i < 256; i++)
        table[i] = (int8_t)(uint8_t)(i - 128 + (int)t->zero[0]);
    return t->zero[0] ? tf_lookup(b, x, table) : x;
}

/* y = f(bias + sum over rank and time of w_time * (w_feature x of the last steps)).  The state is an image [batch, memory, 1, filters], the newest row
 * last, so that what is done over time is a depthwise convolution.  [svdf_common.cc: EvalIntegerSvdfReference] */
Value *tf_svdf(Build *b)
{
    const TfTensor *x = tf_in(b, 0), *wf = tf_in(b, 1), *wt = tf_in(b, 2), *bias = tf_in(b, 3), *kept = tf_in(b, 4), *y = tf_out(b);
    bool real = tf_is_f32(x) && tf_is_f32(wf) && tf_is_f32(wt) && tf_is_f32(y);
    bool quantized = tf_is_i8(x) && tf_is_i8(wf) && tf_is_i8(y) && wt && (tf_is_i8(wt) || tf_is_i16(wt)) && kept && kept->fmt == wt->fmt;
    int64_t rank = tf_option(b, 0, 4, 1), n_batch, n_filter, n_memory;
    Value *v = tf_operand(b, 0), *old;
    double factor;
    State *s;
    Attr a[4];

    if (!v)
        return NULL;
    if (!real && !quantized)
        return tf_refuse_types(b, "FLOAT32 throughout, or quantized INT8 with a state of INT8 or INT16");
    if (x->rank != 2 || wf->rank != 2 || wt->rank != 2 || !wf->p || !wt->p || wf->dim[1] != x->dim[1] || wt->dim[0] != wf->dim[0] || rank < 1 ||
        wf->dim[0] % rank || wf->dim[0] < 1 || wt->dim[1] < 1)
        return tf_refuse(b, "needs constant weights that fit its input");
    if (real ? kept && !tf_is_f32(kept) : wf->n_scale != 1 || wt->n_scale != 1 || wf->zero[0] || wt->zero[0] || kept->n_scale != 1 ||
             (kept->zero[0] && !tf_is_i8(kept)))
        return tf_refuse(b, "its weights are quantized in another way than TensorFlow Lite Micro knows");
    n_batch = x->dim[0];
    n_filter = wf->dim[0];
    n_memory = wt->dim[1];
    s = layer_state(b, 4, wt->fmt->name, 4, (int64_t[]){ n_batch, n_memory, 1, n_filter });
    if (!s)
        return NULL;
    a[0] = attr_int("x_zero", real ? 0 : x->zero[0]);
    v = tf_put_two(b, OP_matmul, "feature", v, tf_weight_as(b, "feature.w", wf, 2, wf->dim), a, quantized);
    if (quantized) {
        factor = (double)(x->scale[0] * wf->scale[0] / kept->scale[0]);
        v = plus_zero(b, tf_requant_part(b, "new", v, 0, kept->fmt->name, 0, factor), kept);
    }
    v = tf_shaped(b, v, 4, (int64_t[]){ n_batch, 1, 1, n_filter });
    if (n_memory > 1) {
        old = tf_put(b, OP_load, "old", s->value, NULL, 0);
        old = tf_put(b, OP_slice, "kept", old, (Attr[]){ attr_int("axis", 1), attr_int("begin", 1), attr_int("end", n_memory) }, 3);
        v = tf_put_two(b, OP_concat, "state", old, v, (Attr[]){ attr_int("axis", 1) }, 1);
    }
    if (!put_store(b, s, v))
        return NULL;
    a[0] = attr_ints("stride", (int64_t[]){ 1, 1 }, 2);
    a[1] = attr_ints("pad", (int64_t[]){ 0, 0, 0, 0 }, 4);
    a[2] = attr_int("x_zero", real ? 0 : kept->zero[0]);
    v = tf_put_two(b, OP_dwconv2d, "time", v, time_weights(b, wt), a, real ? 2 : 3);
    if (rank > 1) {
        v = tf_shaped(b, v, 3, (int64_t[]){ n_batch, n_filter / rank, rank });
        a[0] = attr_ints("axes", (int64_t[]){ 2 }, 1);
        v = tf_put(b, OP_sum, "units", v, a, 1);
    }
    v = tf_shaped(b, v, 2, (int64_t[]){ n_batch, n_filter / rank });
    if (bias) {
        if (!bias->p || !tf_is_type(bias, real ? "f32" : "i32") || bias->n != n_filter / rank)
            return tf_refuse(b, "its bias is no constant of a number for each unit");
        v = tf_put_two(b, OP_add, "bias", v, tf_weight_as(b, "b", bias, 1, &bias->n), NULL, 0);
    }
    if (real)
        return tf_activate(b, v, tf_option(b, 1, 1, ACT_none));
    factor = (double)(kept->scale[0] * wt->scale[0] / y->scale[0]);
    return tf_requant(b, v, 0, y, &factor, 1, ACT_none);    /* the fused activation is not looked at */
}

/* ---- LSTM ------------------------------------------------------------------------------------------------------------- */

/* Operands of UNIDIRECTIONAL_SEQUENCE_LSTM.  [lstm_shared.h] */
enum { LSTM_x, LSTM_w = 1, LSTM_u = 5, LSTM_peephole = 9, LSTM_bias = 12, LSTM_projection = 16, LSTM_h = 18, LSTM_c = 19, LSTM_norm = 20, LSTM_n = 24 };
enum { GATE_input, GATE_forget, GATE_cell, GATE_output };   /* the order of weights and biases */

/* The sigmoid of k / 24 in units of 2^-16.  [tensorflow/lite/kernels/internal/common.h, sigmoid_table_uint16] */
static const uint16_t sigmoid_table[256] = {
    32768, 33451, 34133, 34813, 35493, 36169, 36843, 37513, 38180, 38841, 39498, 40149, 40794, 41432, 42064, 42688,
    43304, 43912, 44511, 45102, 45683, 46255, 46817, 47369, 47911, 48443, 48964, 49475, 49975, 50464, 50942, 51409,
    51865, 52311, 52745, 53169, 53581, 53983, 54374, 54755, 55125, 55485, 55834, 56174, 56503, 56823, 57133, 57433,
    57724, 58007, 58280, 58544, 58800, 59048, 59288, 59519, 59743, 59959, 60168, 60370, 60565, 60753, 60935, 61110,
    61279, 61441, 61599, 61750, 61896, 62036, 62172, 62302, 62428, 62549, 62666, 62778, 62886, 62990, 63090, 63186,
    63279, 63368, 63454, 63536, 63615, 63691, 63765, 63835, 63903, 63968, 64030, 64090, 64148, 64204, 64257, 64308,
    64357, 64405, 64450, 64494, 64536, 64576, 64614, 64652, 64687, 64721, 64754, 64786, 64816, 64845, 64873, 64900,
    64926, 64950, 64974, 64997, 65019, 65039, 65060, 65079, 65097, 65115, 65132, 65149, 65164, 65179, 65194, 65208,
    65221, 65234, 65246, 65258, 65269, 65280, 65291, 65301, 65310, 65319, 65328, 65337, 65345, 65352, 65360, 65367,
    65374, 65381, 65387, 65393, 65399, 65404, 65410, 65415, 65420, 65425, 65429, 65433, 65438, 65442, 65445, 65449,
    65453, 65456, 65459, 65462, 65465, 65468, 65471, 65474, 65476, 65479, 65481, 65483, 65485, 65488, 65489, 65491,
    65493, 65495, 65497, 65498, 65500, 65501, 65503, 65504, 65505, 65507, 65508, 65509, 65510, 65511, 65512, 65513,
    65514, 65515, 65516, 65517, 65517, 65518, 65519, 65520, 65520, 65521, 65522, 65522, 65523, 65523, 65524, 65524,
    65525, 65525, 65526, 65526, 65526, 65527, 65527, 65528, 65528, 65528, 65529, 65529, 65529, 65529, 65530, 65530,
    65530, 65530, 65531, 65531, 65531, 65531, 65531, 65532, 65532, 65532, 65532, 65532, 65532, 65533, 65533, 65533,
    65533, 65533, 65533, 65533, 65533, 65534, 65534, 65534, 65534, 65534, 65534, 65534, 65534, 65534, 65534, 65535,
};

/* Sigmoid or tanh of int16; m, shift: see sigmoid_int. */
static Value *curve(Build *b, bool is_tanh, const char *part, Value *x, int64_t m, int64_t shift)
{
    if (!b->sigmoid) {
        WExpr *e = wexpr_new(b->m, W_const, type_1(b->m, format_find(STR("i16")), 256));
        int32_t *v = ARENA_ARRAY(b->m->a, int32_t, 256);

        for (int i = 0; i < 256; i++)
            v[i] = sigmoid_table[i] - 32768;
        e->ints = v;
        b->sigmoid = module_add_weight(b->m, "sigmoid", e->type, e)->value;
    }
    return tf_put_two(b, is_tanh ? OP_tanh_int : OP_sigmoid_int, part, x, b->sigmoid, (Attr[]){ attr_int("m", m), attr_int("shift", shift) }, 2);
}

/* scale = 2^n?  [CheckedLog2] */
static bool power_of_two(float scale, int *n)
{
    float log2_scale = logf(scale) * (1.0f / logf(2.0f)), rounded = roundf(log2_scale);

    *n = (int)rounded;
    return fabsf(log2_scale - rounded) < 1e-3f;
}

/* LOGISTIC and TANH of int16: x is brought to units of 1 / 12288.  [CalculateArithmeticOpDataLogistic, TanhPrepare] */
Value *tf_curve_i16(Build *b)
{
    const TfTensor *x = tf_in(b, 0), *y = tf_out(b);
    bool is_tanh = tf_op(b)->code == TF_TANH, power;
    double m = (double)x->scale[0] * 4096.0 * 3.0;
    Value *v = tf_operand(b, 0);
    int n, shift = 0;

    if (!v)
        return NULL;
    if (!tf_is_i16(x) || !tf_is_i16(y) || x->zero[0] || y->zero[0] || (is_tanh && y->scale[0] != 1.0f / 32768))
        return tf_refuse(b, "of INT16 has zero points of 0, and TANH an output of scale 1/32768");
    power = power_of_two(x->scale[0], &n);
    if (power && (n == -12 || n == -11))
        return curve(b, is_tanh, "", v, 3 << (n + 12), 0);
    while (m <= 32767.0 / 2.0 && shift <= 30) {
        shift++;
        m *= 2;
    }
    if (m > 32767)
        return tf_refuse(b, "of INT16 has an input of too large a scale");
    return curve(b, is_tanh, "", v, (int64_t)m, shift);
}

typedef struct {
    const TfTensor *x, *h, *c;
    bool real;
    float clip;
    int c_shift;                    /* the cell's scale is 2^(c_shift - 15) */
} Lstm;

/* Numbers of two int16 as i32, added and clamped to int16. */
static Value *saturated_sum(Build *b, const Lstm *l, const char *part, Value *x, Value *y)
{
    static const int32_t one[2] = { 1 << 30, 1 };           /* times 1 */
    Attr a[2] = { attr_str("to", "i16"), attr_int("zero", 0) };

    x = tf_put_two(b, OP_add, l->real ? part : str_printf(b->m->a, "%s.wide", part), x, y, NULL, 0);
    return l->real ? x : tf_put_requant(b, part, x, one, one + 1, 1, a, 2);
}

/* x w + bias in the units of a gate (2^-12), clamped to int16 and kept as i32. */
static Value *gate_part(Build *b, const Lstm *l, const char *part, Value *v, const TfTensor *x, const TfTensor *w, const TfTensor *bias)
{
    int32_t *m = ARENA_ARRAY(b->m->a, int32_t, 2);
    Attr a[4] = { attr_int("x_zero", l->real ? 0 : x->zero[0]) };

    v = tf_put_two(b, OP_matmul, str_printf(b->m->a, "%s.acc", part), v, tf_weight_as(b, str_printf(b->m->a, "%s.w", part), w, 2, w->dim), a, !l->real);
    if (bias)
        v = tf_put_two(b, OP_add, str_printf(b->m->a, "%s.bias", part), v, tf_weight_as(b, str_printf(b->m->a, "%s.b", part), bias, 1, bias->dim), NULL, 0);
    if (l->real)
        return v;
    if (!tf_multiplier(b, (double)x->scale[0] * (double)w->scale[0] / (double)(1.0f / 4096), &m[0], &m[1]))
        return NULL;
    a[0] = attr_str("to", "i32");
    a[1] = attr_int("zero", 0);
    a[2] = attr_int("lo", INT16_MIN);
    a[3] = attr_int("hi", INT16_MAX);
    return tf_put_requant(b, part, v, m, m + 1, 1, a, 4);
}

static Value *gate(Build *b, const Lstm *l, int i, const char *name, Value *x, Value *h)
{
    Value *p = gate_part(b, l, str_printf(b->m->a, "%s.x", name), x, l->x, tf_in(b, LSTM_w + i), tf_in(b, LSTM_bias + i));
    Value *q = gate_part(b, l, str_printf(b->m->a, "%s.h", name), h, l->h, tf_in(b, LSTM_u + i), NULL);
    Value *sum = saturated_sum(b, l, str_printf(b->m->a, "%s.sum", name), p, q);

    if (l->real)
        return tf_put(b, i == GATE_cell ? OP_tanh : OP_sigmoid, name, sum, NULL, 0);
    return curve(b, i == GATE_cell, name, sum, 3, 0);
}

/* a b in another scale: of floats the product. */
static Value *product(Build *b, const Lstm *l, const char *part, Value *x, Value *y, double factor, const char *to, int64_t zero, int64_t lo, int64_t hi)
{
    int32_t *m = ARENA_ARRAY(b->m->a, int32_t, 2);
    Attr a[4] = { attr_str("to", "i32") };

    if (l->real)
        return tf_put_two(b, OP_mul, part, x, y, NULL, 0);
    x = tf_put(b, OP_convert, str_printf(b->m->a, "%s.a", part), x, a, 1);
    y = tf_put(b, OP_convert, str_printf(b->m->a, "%s.b", part), y, a, 1);
    if (!tf_multiplier(b, factor, &m[0], &m[1]))
        return NULL;
    a[0] = attr_str("to", to);
    a[1] = attr_int("zero", zero);
    a[2] = attr_int("lo", lo);
    a[3] = attr_int("hi", hi);
    return tf_put_requant(b, part, tf_put_two(b, OP_mul, str_printf(b->m->a, "%s.acc", part), x, y, NULL, 0), m, m + 1, 1, a, 4);
}

/* One step: c = sigmoid(f) c + sigmoid(i) tanh(g), h = sigmoid(o) tanh(c).  [lstm_eval.h, LstmStep]  false after a report. */
static bool lstm_step(Build *b, const Lstm *l, Value *x, Value **h, Value **c)
{
    const double q15 = 1.0 / 32768;
    Value *forget = gate(b, l, GATE_forget, "forget", x, *h), *input = gate(b, l, GATE_input, "input", x, *h);
    Value *cell = gate(b, l, GATE_cell, "cell", x, *h), *output = gate(b, l, GATE_output, "output", x, *h), *t;
    double c_scale = l->real ? 1 : (double)l->c->scale[0], h_scale = l->real ? 1 : (double)l->h->scale[0];

    t = product(b, l, "keep", forget, *c, q15 * c_scale / c_scale, "i32", 0, INT16_MIN, INT16_MAX);
    *c = saturated_sum(b, l, "c", t, product(b, l, "add", input, cell, q15 * q15 / c_scale, "i32", 0, INT16_MIN, INT16_MAX));
    if (l->clip > 0) {
        double most = l->real ? (double)l->clip : (double)(int16_t)fmin(fmax((double)l->clip / c_scale, -32768.0), 32767.0);

        *c = tf_put(b, OP_clamp, "clip", *c, (Attr[]){ attr_float("lo", -most), attr_float("hi", most) }, 2);
    }
    if (l->real)
        t = tf_put(b, OP_tanh, "tanh", *c, NULL, 0);
    else
        t = curve(b, true, "tanh", *c, l->c_shift < 3 ? 3 : 3 << (l->c_shift - 3), l->c_shift < 3 ? 3 - l->c_shift : 0);
    *h = product(b, l, "h", t, output, q15 * q15 / h_scale, "i8", l->real ? 0 : l->h->zero[0], -128, 127);
    return *h && *c;
}

/* The formats and shapes that lstm_step takes for granted. */
static bool lstm_fits(Build *b, Lstm *l)
{
    const TfTensor *y = tf_out(b);
    int64_t n_in, n_state;

    if (tf_op(b)->n_in != LSTM_n || !l->x || !l->h || !l->c || l->x->rank != 3 || l->h->rank != 2 || l->c->n != l->h->n || y->rank != 3)
        return tf_unsupported(b, "needs a sequence of three dimensions, and its 24 operands");
    n_in = l->x->dim[2];
    n_state = l->h->dim[1];
    l->real = tf_is_f32(l->x) && tf_is_f32(l->h) && tf_is_f32(l->c) && tf_is_f32(y);
    if (!l->real && !(tf_is_i8(l->x) && tf_is_i8(l->h) && tf_is_i16(l->c) && tf_is_i8(y)))
        return tf_refuse_types(b, "FLOAT32 throughout, or INT8 with a cell of INT16"), false;
    for (int i = LSTM_w; i < LSTM_n; i++) {
        bool weight = i < LSTM_peephole, bias = i >= LSTM_bias && i < LSTM_projection;
        const TfTensor *w = tf_in(b, i);

        if (i == LSTM_h || i == LSTM_c)
            continue;
        if (!weight && !bias) {
            if (w)
                return tf_unsupported(b, "has peepholes, a projection or normalization, which TensorFlow Lite Micro does not have");
            continue;
        }
        if (!w || !w->p || w->rank != (weight ? 2 : 1) || w->dim[0] != n_state || (weight && w->dim[1] != (i < LSTM_u ? n_in : n_state)) ||
            !tf_is_type(w, l->real ? "f32" : weight ? "i8" : "i32") || (weight && !l->real && (w->n_scale != 1 || w->zero[0])))
            return tf_unsupported(b, "its weights and biases are not constants that fit it, quantized as a whole");
    }
    if (!l->real && (!power_of_two(l->c->scale[0], &l->c_shift) || (l->c_shift += 15) < 0 || l->c_shift > 15 || l->c->zero[0]))
        return tf_unsupported(b, "its cell's scale is no power of two from 2^-15 to 1, or its zero point is not 0");
    if (tf_option(b, 0, 1, 0) != 4)                         /* ActivationFunctionType_TANH */
        return tf_unsupported(b, "its activation is not TANH");
    if (tf_float_option(b, 2, 0) != 0)
        return tf_unsupported(b, "has a clipped projection");
    return true;
}

/* Weights that ops of a region use become its parameters, each once. */
static void pass_weights(Op *scan, Region *r)
{
    for (Op *o = r->first; o; o = o->next)
        for (int i = 0; i < o->n_in; i++) {
            Value *w = o->in[i];
            int k = 0;

            if (w->kind != VAL_weight)
                continue;
            while (k < scan->n_in && scan->in[k] != w)
                k++;
            if (k == scan->n_in) {
                scan->in[scan->n_in++] = w;
                region_add_param(r, w->name, w->type)->stands_for = VAL_weight;
            }
            o->in[i] = r->param[k];
        }
}

/* Rows of x through lstm_step; what is carried are h and c. */
static Value *lstm_scan(Build *b, const Lstm *l, Value *x, int64_t n_time, Value **h, Value **c)
{
    enum { MOST = 256 };                                    /* operands: 3, and what the ops of one step use of weights */
    Op *scan = op_new_raw(b->r, NULL, OP_scan, MOST, 0), *yield;
    Region *inner = op_add_region(scan), *outer = b->r;
    int64_t n_batch = dim_hi((*h)->type.dim[0]), n_in = l->x->dim[2];
    Type row = x->type;
    Value *px, *ph, *pc;
    bool ok;

    row.dim[0] = dim_const(b->m, 1);
    scan->n_in = 3;
    scan->in[0] = *h;
    scan->in[1] = *c;
    scan->in[2] = x;
    ph = region_add_param(inner, "h", (*h)->type);
    pc = region_add_param(inner, "c", (*c)->type);
    px = region_add_param(inner, "x", row);
    b->r = inner;
    px = tf_shaped(b, px, 2, (int64_t[]){ n_batch, n_in });
    ok = lstm_step(b, l, px, &ph, &pc);
    if (ok) {
        px = tf_put(b, OP_reshape, "row", ph, (Attr[]){ attr_ints("dims", (int64_t[]){ 1, n_batch, dim_hi(ph->type.dim[1]) }, 3) }, 1);
        yield = op_new_raw(inner, NULL, OP_yield, 3, 0);
        yield->in[0] = ph;
        yield->in[1] = pc;
        yield->in[2] = px;
    }
    b->r = outer;
    if (!ok)
        return NULL;
    pass_weights(scan, inner);
    op_set_attr(scan, attr_int("count", n_time));
    op_set_attr(scan, attr_int("carried", 2));
    op_set_attr(scan, attr_int("rows", 1));
    scan->from = tf_from(b);
    *h = op_add_result(scan, func_fresh_name(b->f, "h"), ph->type);
    *c = op_add_result(scan, func_fresh_name(b->f, "c"), pc->type);
    row = px->type;
    row.dim[0] = dim_const(b->m, n_time);
    return op_add_result(scan, func_fresh_name(b->f, "sequence"), row);
}

Value *tf_lstm(Build *b)
{
    Lstm l = { .x = tf_in(b, LSTM_x), .h = tf_in(b, LSTM_h), .c = tf_in(b, LSTM_c), .clip = tf_float_option(b, 1, 0) };
    bool time_major = tf_option(b, 3, 1, 0) != 0;
    Attr perm = attr_ints("perm", (int64_t[]){ 1, 0, 2 }, 3);
    Value *v = tf_operand(b, LSTM_x), *h, *c;
    int64_t n_batch, n_time;
    State *sh, *sc;

    if (!v || !lstm_fits(b, &l))
        return NULL;
    n_time = l.x->dim[!time_major];
    n_batch = l.x->dim[time_major];
    if (n_time < 1 || n_time > 1 << 20 || l.h->dim[0] != n_batch)
        return tf_refuse(b, "its sequence is empty or very long, or its state is not that of its batch");
    sh = layer_state(b, LSTM_h, l.h->fmt->name, 2, l.h->dim);
    sc = sh ? layer_state(b, LSTM_c, l.c->fmt->name, 2, l.h->dim) : NULL;
    if (!sc)
        return NULL;
    if (!time_major)
        v = n_batch == 1 ? tf_shaped(b, v, 3, (int64_t[]){ n_time, 1, l.x->dim[2] }) : tf_put(b, OP_transpose, "turned", v, &perm, 1);
    h = tf_put(b, OP_load, "h", sh->value, NULL, 0);
    c = tf_put(b, OP_load, "c", sc->value, NULL, 0);
    v = v && h && c ? lstm_scan(b, &l, v, n_time, &h, &c) : NULL;
    if (!v || !put_store(b, sh, h) || !put_store(b, sc, c))
        return NULL;
    if (!time_major)
        v = n_batch == 1 ? tf_shaped_out(b, v) : tf_put(b, OP_transpose, "", v, &perm, 1);
    return v;
}
