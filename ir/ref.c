/* Reference functions: what each op computes, slowly and plainly.
 *
 * Floats come and go as f32.  A sum is kept in f64 and added in the order of its index; exp, tanh, sin and the like are libm's in f64,
 * rounded to f32 once.  What an operand is rounded to when it is stored (f16 state, q8 activations) is in its values already. */
#include "ir/internal.h"

#include <math.h>
#include <stdlib.h>

static int64_t last_dim(const Tensor *t)
{
    return t->rank ? t->dim[t->rank - 1] : 1;
}

static int64_t n_rows(const Tensor *t)
{
    return last_dim(t) ? t->n / last_dim(t) : 0;
}

static bool no_memory(const RefArgs *a)
{
    return fail(a->d, a->at, "no memory for a buffer of the interpreter");
}

/* ---- elementwise ------------------------------------------------------------------------------------------------------ */

static float map_float(const Op *o, float a, float b)
{
    double x = (double)a;

    switch (o->kind) {
    case OP_add: return a + b;
    case OP_sub: return a - b;
    case OP_mul: return a * b;
    case OP_div: return a / b;
    case OP_max: return a > b ? a : b;
    case OP_min: return a < b ? a : b;
    case OP_neg: return -a;
    case OP_abs: return fabsf(a);
    case OP_exp: return (float)exp(x);
    case OP_sqrt: return sqrtf(a);
    case OP_tanh: return (float)tanh(x);
    case OP_sigmoid: return (float)(1 / (1 + exp(-x)));
    case OP_silu: return (float)(x / (1 + exp(-x)));
    case OP_gelu_tanh: return (float)(x / 2 * (1 + tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x))));
    case OP_relu: return a > 0 ? a : 0;
    case OP_log: return (float)log(x);
    case OP_rsqrt: return 1 / sqrtf(a);
    case OP_floor: return floorf(a);
    case OP_round: return nearbyintf(a);
    case OP_scale: return a * (float)op_float(o, "by", 1);
    default: bug("'%s' is not elementwise", op_info[o->kind].name);
    }
}

/* Integers wrap, as they do in every machine that will run them. */
static int32_t map_int(const Op *o, int32_t a, int32_t b)
{
    uint32_t x = (uint32_t)a, y = (uint32_t)b;

    switch (o->kind) {
    case OP_add: return (int32_t)(x + y);
    case OP_sub: return (int32_t)(x - y);
    case OP_mul: return (int32_t)(x * y);
    case OP_max: return a > b ? a : b;
    case OP_min: return a < b ? a : b;
    case OP_neg: return (int32_t)(0 - x);
    case OP_abs: return a < 0 ? (int32_t)(0 - x) : a;
    case OP_relu: return a > 0 ? a : 0;
    default: bug("'%s' is not defined for integers", op_info[o->kind].name);
    }
}

/* b has a's innermost dimensions or one element, so element i of a meets element i mod n of b. */
static bool ref_map(const RefArgs *a)
{
    const Tensor *x = a->in[0], *y = a->in[1];
    Tensor *z = a->out;

    for (int64_t i = 0; i < z->n; i++)
        if (z->i)
            z->i[i] = map_int(a->op, x->i[i], y ? y->i[i % y->n] : 0);
        else
            z->f[i] = map_float(a->op, x->f[i], y ? y->f[i % y->n] : 0);
    return z->i || round_to_format(z->type.fmt, z->f, z->n, z->n);
}

/* ---- formats and shapes ----------------------------------------------------------------------------------------------- */

static void copy_values(Tensor *y, int64_t to, const Tensor *x, int64_t from, int64_t n)
{
    if (n <= 0)
        return;
    if (y->i)
        memcpy(y->i + to, x->i + from, (size_t)n * sizeof *y->i);
    else
        memcpy(y->f + to, x->f + from, (size_t)n * sizeof *y->f);
}

static int32_t to_i32(float x)
{
    double r = nearbyint((double)x);

    return r != r ? 0 : r >= 2147483647.0 ? INT32_MAX : r <= -2147483648.0 ? INT32_MIN : (int32_t)r;
}

static bool ref_convert(const RefArgs *a)
{
    const Tensor *x = a->in[0];
    Tensor *y = a->out;
    int64_t zero = op_int(a->op, "zero", 0);

    for (int64_t i = 0; i < y->n; i++)
        if (y->i)
            y->i[i] = x->i ? x->i[i] - (int32_t)zero : to_i32(x->f[i]);
        else
            y->f[i] = x->i ? (float)(x->i[i] - zero) : x->f[i];
    return y->i || round_to_format(y->type.fmt, y->f, last_dim(y), y->n);
}

static bool ref_quant(const RefArgs *a)
{
    return ref_convert(a);
}

static bool ref_dequant(const RefArgs *a)
{
    return ref_convert(a);
}

static bool ref_reshape(const RefArgs *a)
{
    copy_values(a->out, 0, a->in[0], 0, a->out->n);
    return true;
}

static bool ref_slice(const RefArgs *a)
{
    const Tensor *x = a->in[0];
    int axis = (int)op_int(a->op, "axis", 0);
    int64_t begin = op_int(a->op, "begin", 0), width = op_int(a->op, "end", 0) - begin, outer = 1, inner = 1;

    for (int i = 0; i < x->rank; i++)
        *(i < axis ? &outer : &inner) *= i == axis ? 1 : x->dim[i];
    for (int64_t i = 0; i < outer; i++)
        copy_values(a->out, i * width * inner, x, (i * x->dim[axis] + begin) * inner, width * inner);
    return true;
}

static bool ref_last_rows(const RefArgs *a)
{
    const Tensor *x = a->in[0];
    int64_t rows = x->dim[0], want = a->out->dim[0], row;

    if (want > rows)
        return fail(a->d, a->at, "the last %" PRId64 " of %" PRId64 " rows", want, rows);
    row = rows ? x->n / rows : 0;
    copy_values(a->out, 0, x, (rows - want) * row, want * row);
    return true;
}

/* ---- tables, contractions, rows --------------------------------------------------------------------------------------- */

/* Row `row` of operand i, a weight or a tensor, into y. */
static bool operand_row(const RefArgs *a, int i, int64_t row, float *y)
{
    int64_t n;

    if (a->w[i])
        return weight_row(a->m, a->w[i], row, y, a->d);
    n = last_dim(a->in[i]);
    memcpy(y, a->in[i]->f + row * n, (size_t)n * sizeof *y);
    return true;
}

static bool ref_rows(const RefArgs *a)
{
    const Tensor *ids = a->in[1];
    int64_t n_table = a->w[0] ? type_n_rows(a->w[0]->type) : a->in[0]->dim[0];

    for (int64_t t = 0; t < ids->n; t++) {
        if (ids->i[t] < 0 || ids->i[t] >= n_table)
            return fail(a->d, a->at, "row %d of a table of %" PRId64 " (a token id that the vocabulary does not have?)",
                        ids->i[t], n_table);
        if (!operand_row(a, 0, ids->i[t], a->out->f + t * a->out->dim[1]))
            return false;
    }
    return true;
}

/* Rows of w are decoded eight at a time and laid side by side, so that eight sums run together, each in the order of k.  With an index
 * operand, row t of x meets slice i[t] of w only.  Activations of i8g64 .. i8g256 meet weights rounded to the same format. */
static bool ref_matmul(const RefArgs *a)
{
    enum { R = 8 };
    const Tensor *x = a->in[0], *index = a->in[2];
    int64_t K = last_dim(x), N = last_dim(a->out), T = N ? a->out->n / N : 0;
    int64_t n_slice = !index ? 1 : a->w[1] ? dim_hi(a->w[1]->type.dim[0]) : a->in[1]->dim[0];
    float *row = malloc((size_t)(K + 1) * sizeof *row);
    double *side = malloc(((size_t)K * R + 1) * sizeof *side);
    bool ok = row && side, panel = format_is_i8(x->type.fmt);

    if (x->i) {
        free(row);
        free(side);
        return ref_matmul_int(a);
    }
    if (!ok)
        no_memory(a);
    for (int64_t t = 0; ok && index && t < T; t++)
        if (index->i[t] < 0 || index->i[t] >= n_slice)
            ok = fail(a->d, a->at, "slice %d of a weight of %" PRId64, index->i[t], n_slice);
    for (int64_t s = 0; ok && s < n_slice; s++)
        for (int64_t n = 0; ok && n < N; n += R) {
            int64_t n_row = N - n < R ? N - n : R;

            memset(side, 0, (size_t)K * R * sizeof *side);
            for (int64_t r = 0; ok && r < n_row; r++) {
                ok = operand_row(a, 1, s * N + n + r, row) && (!panel || round_to_format(x->type.fmt, row, K, K));
                for (int64_t k = 0; ok && k < K; k++)
                    side[k * R + r] = (double)row[k];
            }
            for (int64_t t = 0; ok && t < T; t++) {
                double sum[R] = { 0 };

                if (index && index->i[t] != s)
                    continue;
                for (int64_t k = 0; k < K; k++)
                    for (int r = 0; r < R; r++)
                        sum[r] += (double)x->f[t * K + k] * side[k * R + r];
                for (int64_t r = 0; r < n_row; r++)
                    a->out->f[t * N + n + r] = (float)sum[r];
            }
        }
    free(row);
    free(side);
    return ok;
}

static bool ref_rmsnorm(const RefArgs *a)
{
    const Tensor *x = a->in[0], *w = a->in[1];
    int64_t n = last_dim(x);
    double eps = op_float(a->op, "eps", 0);

    for (int64_t t = 0; t < n_rows(x); t++) {
        const float *in = x->f + t * n;
        double sum = 0, inv;

        for (int64_t i = 0; i < n; i++)
            sum += (double)in[i] * (double)in[i];
        inv = 1 / sqrt(sum / (double)n + eps);
        for (int64_t i = 0; i < n; i++)
            a->out->f[t * n + i] = (float)((double)in[i] * inv * (double)w->f[i]);
    }
    return round_to_format(a->out->type.fmt, a->out->f, a->out->n, a->out->n);
}

static bool ref_softmax(const RefArgs *a)
{
    const Tensor *x = a->in[0];
    int64_t n = last_dim(x);

    for (int64_t t = 0; t < n_rows(x); t++) {
        const float *in = x->f + t * n;
        double max = -INFINITY, sum = 0;

        for (int64_t i = 0; i < n; i++)
            max = (double)in[i] > max ? (double)in[i] : max;
        for (int64_t i = 0; i < n; i++)
            sum += exp((double)in[i] - max);
        for (int64_t i = 0; i < n; i++)
            a->out->f[t * n + i] = (float)(exp((double)in[i] - max) / sum);
    }
    return round_to_format(a->out->type.fmt, a->out->f, a->out->n, a->out->n);
}

/* ---- positions and attention ------------------------------------------------------------------------------------------ */

static bool ref_positions(const RefArgs *a)
{
    for (int64_t t = 0; t < a->out->n; t++)
        a->out->i[t] = (int32_t)(a->n_past + t);
    return true;
}

/* The product is f32, as in the frameworks that trained the models: at position 8191 that is a difference of 2e-4. */
static bool ref_rope_angles(const RefArgs *a)
{
    const Tensor *pos = a->in[0], *freq = a->in[1];
    double mscale = op_float(a->op, "mscale", 1);

    for (int64_t t = 0; t < pos->n; t++)
        for (int64_t i = 0; i < freq->n; i++) {
            float angle = (float)pos->i[t] * freq->f[i];
            float *y = a->out->f + (t * freq->n + i) * 2;

            y[0] = (float)(cos((double)angle) * mscale);
            y[1] = (float)(sin((double)angle) * mscale);
        }
    return true;
}

static bool ref_rope(const RefArgs *a)
{
    const Tensor *x = a->in[0], *cs = a->in[1];
    bool norm = !strcmp(op_str(a->op, "pairing", ""), "norm");
    int64_t head_dim = op_int(a->op, "head_dim", 2), half = cs->dim[1] / 2;
    int64_t row = x->dim[0] ? x->n / x->dim[0] : 0;

    memcpy(a->out->f, x->f, (size_t)x->n * sizeof *x->f);
    for (int64_t t = 0; t < x->dim[0]; t++)
        for (int64_t head = 0; head < row; head += head_dim)
            for (int64_t i = 0; i < half; i++) {
                int64_t at = t * row + head, i0 = at + (norm ? 2 * i : i), i1 = at + (norm ? 2 * i + 1 : i + half);
                double c = (double)cs->f[t * 2 * half + 2 * i], s = (double)cs->f[t * 2 * half + 2 * i + 1];
                double x0 = (double)x->f[i0], x1 = (double)x->f[i1];

                a->out->f[i0] = (float)(x0 * c - x1 * s);
                a->out->f[i1] = (float)(x0 * s + x1 * c);
            }
    return round_to_format(a->out->type.fmt, a->out->f, a->out->n, a->out->n);
}

static bool ref_append(const RefArgs *a)
{
    const Tensor *s = a->in[0], *x = a->in[1];
    int64_t rows = s->dim[0], row = rows ? s->n / rows : 0;

    if (a->n_past > rows || x->dim[0] > rows - a->n_past)
        return fail(a->d, a->at, "%" PRId64 " rows after %" PRId64 " do not fit a state of %" PRId64, x->dim[0], a->n_past, rows);
    memcpy(s->f + a->n_past * row, x->f, (size_t)x->n * sizeof *x->f);
    return round_to_format(s->type.fmt, s->f + a->n_past * row, x->n, x->n);
}

/* One head of one token: scores over positions lo..hi, their softmax, and the values' mean by it. */
static void attend(float *y, const float *q, const float *k, int64_t k_row, int64_t k_dim, const float *v, int64_t v_row,
                   int64_t v_dim, int64_t lo, int64_t hi, double scale, double softcap, double *score, double *acc)
{
    double max = -INFINITY, sum = 0;

    for (int64_t p = lo; p <= hi; p++) {
        double s = 0;

        for (int64_t i = 0; i < k_dim; i++)
            s += (double)q[i] * (double)k[p * k_row + i];
        s *= scale;
        if (softcap > 0)
            s = softcap * tanh(s / softcap);
        score[p - lo] = s;
        max = s > max ? s : max;
    }
    for (int64_t i = 0; i < v_dim; i++)
        acc[i] = 0;
    for (int64_t p = lo; p <= hi; p++) {
        double e = exp(score[p - lo] - max);

        sum += e;
        for (int64_t i = 0; i < v_dim; i++)
            acc[i] += e * (double)v[p * v_row + i];
    }
    for (int64_t i = 0; i < v_dim; i++)
        y[i] = (float)(acc[i] / sum);
}

static bool ref_attention(const RefArgs *a)
{
    const Tensor *q = a->in[0], *k = a->in[1], *v = a->in[2], *pos = a->in[3];
    int64_t n_head = op_int(a->op, "n_head", 1), n_head_kv = op_int(a->op, "n_head_kv", 1), group = n_head / n_head_kv;
    int64_t k_dim = k->dim[1] / n_head_kv, v_dim = v->dim[1] / n_head_kv;
    int64_t window = op_int(a->op, "window", INT64_MAX);
    double scale = op_float(a->op, "scale", 1), softcap = op_float(a->op, "softcap", 0);
    double *score = malloc(((size_t)k->dim[0] + 1) * sizeof *score), *acc = malloc(((size_t)v_dim + 1) * sizeof *acc);
    bool ok = score && acc;

    if (!ok)
        no_memory(a);
    for (int64_t t = 0; ok && t < q->dim[0]; t++) {
        int64_t hi = pos->i[t], lo = hi >= window ? hi - window + 1 : 0;

        if (hi < 0 || hi >= k->dim[0])
            ok = fail(a->d, a->at, "position %" PRId64 " of %" PRId64, hi, k->dim[0]);
        for (int64_t h = 0; ok && h < n_head; h++)
            attend(a->out->f + (t * n_head + h) * v_dim, q->f + (t * n_head + h) * k_dim, k->f + h / group * k_dim, k->dim[1],
                   k_dim, v->f + h / group * v_dim, v->dim[1], v_dim, lo, hi, scale, softcap, score, acc);
    }
    free(score);
    free(acc);
    return ok;
}

static bool ref_load(const RefArgs *a)
{
    copy_values(a->out, 0, a->in[0], 0, a->out->n);
    return true;
}

/* Interp owns the state's memory, a->in[0] is it. */
static bool ref_store(const RefArgs *a)
{
    Tensor state = *a->in[0];

    copy_values(&state, 0, a->in[1], 0, state.n);
    return true;
}

/* ---- the table -------------------------------------------------------------------------------------------------------- */

RefFn *const ref_table[N_OPS] = {
    [OP_add] = ref_map, [OP_sub] = ref_map, [OP_mul] = ref_map, [OP_div] = ref_map, [OP_max] = ref_map, [OP_min] = ref_map,
    [OP_neg] = ref_map, [OP_abs] = ref_map, [OP_exp] = ref_map, [OP_sqrt] = ref_map, [OP_tanh] = ref_map,
    [OP_sigmoid] = ref_map, [OP_silu] = ref_map, [OP_gelu_tanh] = ref_map, [OP_relu] = ref_map, [OP_scale] = ref_map,
    [OP_convert] = ref_convert, [OP_quant] = ref_quant, [OP_dequant] = ref_dequant, [OP_reshape] = ref_reshape,
    [OP_slice] = ref_slice, [OP_last_rows] = ref_last_rows, [OP_rows] = ref_rows, [OP_matmul] = ref_matmul,
    [OP_rmsnorm] = ref_rmsnorm, [OP_softmax] = ref_softmax, [OP_positions] = ref_positions,
    [OP_conv2d] = ref_conv2d, [OP_dwconv2d] = ref_conv2d, [OP_maxpool] = ref_pool, [OP_avgpool] = ref_pool,
    [OP_requant] = ref_requant, [OP_clamp] = ref_clamp, [OP_lookup] = ref_lookup, [OP_softmax_int] = ref_softmax_int,
    [OP_concat] = ref_concat, [OP_pad] = ref_pad, [OP_transpose] = ref_transpose, [OP_sum] = ref_sum,
    [OP_log] = ref_map, [OP_rsqrt] = ref_map, [OP_floor] = ref_map, [OP_round] = ref_map, [OP_quantize] = ref_quantize,
    [OP_tconv2d] = ref_tconv2d, [OP_resize] = ref_resize, [OP_l2norm_int] = ref_l2norm_int, [OP_argmax] = ref_argmax,
    [OP_gather] = ref_gather, [OP_sigmoid_int] = ref_curve_int, [OP_tanh_int] = ref_curve_int, [OP_load] = ref_load, [OP_store] = ref_store,
    [OP_rope_angles] = ref_rope_angles, [OP_rope] = ref_rope, [OP_append] = ref_append, [OP_attention] = ref_attention,
};
