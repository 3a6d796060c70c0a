/* Reference functions of integers and images.
 *
 * Images are [N, H, W, C].  Integer sums are exact; what is rounded is rounded as gemmlowp does it (fixed.h). */
#include "ir/fixed.h"
#include "ir/internal.h"

#include <math.h>
#include <stdlib.h>

static int64_t last_dim(const Tensor *t)
{
    return t->rank ? t->dim[t->rank - 1] : 1;
}

/* ---- elementwise --------------------------------------------------------------------------------------------------------- */

bool ref_requant(const RefArgs *a)
{
    const Tensor *x = a->in[0], *m = a->in[1], *s = a->in[2];
    int64_t lo, hi, zero = op_int(a->op, "zero", 0), x_zero = op_int(a->op, "x_zero", 0), n = last_dim(x);
    int left = (int)op_int(a->op, "left", 0);
    bool single = !strcmp(op_str(a->op, "rounding", "double"), "single"), shortened = !strcmp(op_str(a->op, "rounding", "double"), "short");

    for (int64_t i = 0; i < m->n; i++)
        if (m->i[i] < 0 || s->i[i] < -31 || s->i[i] > (shortened ? 14 : 30))
            return fail(a->d, a->at, "multiplier %" PRId32 " or shift %" PRId32 " is out of range (0 .. 2^31 - 1, -31 .. %d)",
                        m->i[i], s->i[i], shortened ? 14 : 30);
    format_int_range(a->out->type.fmt, &lo, &hi);
    lo = op_int(a->op, "lo", lo);
    hi = op_int(a->op, "hi", hi);
    for (int64_t i = 0; i < x->n; i++) {
        int64_t c = m->n == 1 ? 0 : i % n;
        int32_t v = fixed_wrap((int64_t)((uint64_t)(x->i[i] - x_zero) << left));
        int64_t y = zero + (shortened ? fixed_rescale_short(v, m->i[c], s->i[c]) : fixed_rescale(v, m->i[c], s->i[c], single));

        a->out->i[i] = (int32_t)(y < lo ? lo : y > hi ? hi : y);
    }
    return true;
}

bool ref_quantize(const RefArgs *a)
{
    float scale = (float)op_float(a->op, "scale", 1);
    int64_t lo, hi, zero = op_int(a->op, "zero", 0);

    format_int_range(a->out->type.fmt, &lo, &hi);
    for (int64_t i = 0; i < a->out->n; i++) {
        float q = roundf(a->in[0]->f[i] / scale);
        double y = (double)zero + (q != q ? 0 : (double)q);

        a->out->i[i] = (int32_t)(y < (double)lo ? (double)lo : y > (double)hi ? (double)hi : y);
    }
    return true;
}

bool ref_clamp(const RefArgs *a)
{
    double lo = op_float(a->op, "lo", 0), hi = op_float(a->op, "hi", 0);

    for (int64_t i = 0; i < a->out->n; i++) {
        double v = a->out->i ? (double)a->in[0]->i[i] : (double)a->in[0]->f[i];

        v = v < lo ? lo : v > hi ? hi : v;
        if (a->out->i)
            a->out->i[i] = (int32_t)v;
        else
            a->out->f[i] = (float)v;
    }
    return a->out->i || round_to_format(a->out->type.fmt, a->out->f, a->out->n, a->out->n);
}

/* Sigmoid and tanh between the entries of a table.  [reference/integer_ops/logistic.h, tanh.h: of int16] */
bool ref_curve_int(const RefArgs *a)
{
    bool is_tanh = a->op->kind == OP_tanh_int;
    int64_t m = op_int(a->op, "m", 1), shift = op_int(a->op, "shift", 0);
    const int bits = is_tanh ? 8 : 9;                       /* of what lies between two entries */

    for (int64_t i = 0; i < a->out->n; i++) {
        int64_t v = (a->in[0]->i[i] * m + (shift ? (int64_t)1 << (shift - 1) : 0)) >> shift, size = v < 0 ? -v : v, k = size >> bits, y;

        if (k >= 255)
            y = is_tanh ? 0xffff << 8 : 0x7fff << 10;
        else
            y = ((int64_t)(a->in[1]->i[k] + 32768) << bits) + (size & ((1 << bits) - 1)) * (a->in[1]->i[k + 1] - a->in[1]->i[k]);
        if (is_tanh)
            y = (v < 0 ? (1 << 23) - y - 1 + (1 << 7) : y - (1 << 23) + (1 << 7)) >> 8;
        else
            y = (v < 0 ? (1 << 25) - y + (1 << 9) - 1 : y + (1 << 9)) >> 10;
        a->out->i[i] = (int32_t)(y > INT16_MAX ? INT16_MAX : y < INT16_MIN ? INT16_MIN : y);
    }
    return true;
}

bool ref_lookup(const RefArgs *a)
{
    int64_t lo, hi;

    format_int_range(a->in[0]->type.fmt, &lo, &hi);
    for (int64_t i = 0; i < a->out->n; i++)
        a->out->i[i] = a->in[1]->i[a->in[0]->i[i] - lo];
    return true;
}

/* ---- contractions ------------------------------------------------------------------------------------------------------- */

/* A row of w at a time; x and y are [T, K] and [T, N]. */
bool ref_matmul_int(const RefArgs *a)
{
    const Tensor *x = a->in[0], *index = a->in[2];
    int64_t K = last_dim(x), N = last_dim(a->out), T = N ? a->out->n / N : 0;
    int64_t n_slice = !index ? 1 : a->w[1] ? dim_hi(a->w[1]->type.dim[0]) : a->in[1]->dim[0];
    int64_t x_zero = op_int(a->op, "x_zero", 0), w_zero = op_int(a->op, "w_zero", 0);
    int32_t *row = malloc(((size_t)K + 1) * sizeof *row);
    bool ok = row || fail(a->d, a->at, "no memory for a buffer of the interpreter");

    for (int64_t t = 0; ok && index && t < T; t++)
        if (index->i[t] < 0 || index->i[t] >= n_slice)
            ok = fail(a->d, a->at, "slice %d of a weight of %" PRId64, index->i[t], n_slice);
    for (int64_t s = 0; ok && s < n_slice; s++)
        for (int64_t n = 0; ok && n < N; n++) {
            if (a->w[1])
                ok = weight_row_ints(a->m, a->w[1], s * N + n, row, a->d);
            else
                memcpy(row, a->in[1]->i + (s * N + n) * K, (size_t)K * sizeof *row);
            for (int64_t t = 0; ok && t < T; t++) {
                int64_t sum = 0;

                if (index && index->i[t] != s)
                    continue;
                for (int64_t k = 0; k < K; k++)
                    sum += (x->i[t * K + k] - x_zero) * (row[k] - w_zero);
                a->out->i[t * N + n] = fixed_wrap(sum);
            }
        }
    free(row);
    return ok;
}

/* What both convolutions and both pools walk over. */
typedef struct {
    int64_t n, h, w, c;             /* of x */
    int64_t size[2], stride[2], dilation[2], pad[2];
} Windows;

static void read_ints(const Op *o, const char *name, int64_t *out, int n)
{
    const Attr *t = op_attr(o, name);

    for (int i = 0; t && i < n; i++)
        out[i] = t->ints[i];
}

static Windows windows_of(const RefArgs *a)
{
    const Tensor *x = a->in[0];
    Windows v = { x->dim[0], x->dim[1], x->dim[2], x->dim[3], { 1, 1 }, { 1, 1 }, { 1, 1 }, { 0, 0 } };

    read_ints(a->op, "window", v.size, 2);
    read_ints(a->op, "stride", v.stride, 2);
    read_ints(a->op, "dilation", v.dilation, 2);
    read_ints(a->op, "pad", v.pad, 2);
    return v;
}

/* Where element (u, v) of output (i, j)'s window lies in an image of x: the index of its channel 0, -1: outside. */
static int64_t window_at(const Windows *v, int64_t n, int64_t i, int64_t j, int64_t u, int64_t w)
{
    int64_t y = i * v->stride[0] + u * v->dilation[0] - v->pad[0], x = j * v->stride[1] + w * v->dilation[1] - v->pad[1];

    return y < 0 || y >= v->h || x < 0 || x >= v->w ? -1 : ((n * v->h + y) * v->w + x) * v->c;
}

/* One sum over a window: of channels from..from+n_k-1 of x and the numbers of w that begin at w_at, w_step apart from one window element
 * to the next. */
typedef struct { int64_t from, n_k, w_at, w_step; } Filter;

static void convolve(const RefArgs *a, const Windows *v, const Filter *f, int64_t n, int64_t i, int64_t j, int64_t out)
{
    const Tensor *x = a->in[0], *w = a->in[1];
    int64_t x_zero = op_int(a->op, "x_zero", 0), w_zero = op_int(a->op, "w_zero", 0), sum = 0;
    double real = 0;

    for (int64_t u = 0; u < v->size[0]; u++)
        for (int64_t z = 0; z < v->size[1]; z++) {
            int64_t at = window_at(v, n, i, j, u, z), wk = f->w_at + (u * v->size[1] + z) * f->w_step;

            for (int64_t k = 0; at >= 0 && k < f->n_k; k++)
                if (x->i)
                    sum += (x->i[at + f->from + k] - x_zero) * (w->i[wk + k] - w_zero);
                else
                    real += (double)x->f[at + f->from + k] * (double)w->f[wk + k];
        }
    if (x->i)
        a->out->i[out] = fixed_wrap(sum);
    else
        a->out->f[out] = (float)real;
}

bool ref_conv2d(const RefArgs *a)
{
    const Tensor *w = a->in[1], *y = a->out;
    bool depthwise = a->op->kind == OP_dwconv2d;
    int64_t c_out = y->dim[3], n_k = depthwise ? 1 : w->dim[3];
    Windows v = windows_of(a);

    v.size[0] = w->dim[!depthwise];
    v.size[1] = w->dim[1 + !depthwise];
    for (int64_t at = 0; at < y->n; at++) {
        int64_t c = at % c_out, j = at / c_out % y->dim[2], i = at / c_out / y->dim[2] % y->dim[1];
        int64_t n = at / c_out / y->dim[2] / y->dim[1], n_group = v.c / n_k;
        Filter f = { c / (c_out / n_group) * n_k, n_k, depthwise ? c : c * v.size[0] * v.size[1] * n_k, depthwise ? c_out : n_k };

        convolve(a, &v, &f, n, i, j, at);
    }
    return true;
}

/* One output of a transposed convolution: element u of the filter meets row (i + p0 - u) / s0 of x, where that is a row. */
bool ref_tconv2d(const RefArgs *a)
{
    const Tensor *x = a->in[0], *w = a->in[1];
    Tensor *y = a->out;
    Windows v = windows_of(a);
    int64_t x_zero = op_int(a->op, "x_zero", 0), w_zero = op_int(a->op, "w_zero", 0), n_k = w->dim[3];

    for (int64_t at = 0; at < y->n; at++) {
        int64_t c = at % y->dim[3], j = at / y->dim[3] % y->dim[2], i = at / y->dim[3] / y->dim[2] % y->dim[1];
        int64_t n = at / y->dim[3] / y->dim[2] / y->dim[1], sum = 0;
        double real = 0;

        for (int64_t u = 0; u < w->dim[1]; u++)
            for (int64_t z = 0; z < w->dim[2]; z++) {
                int64_t row = i + v.pad[0] - u, col = j + v.pad[1] - z;
                const int64_t wk = ((c * w->dim[1] + u) * w->dim[2] + z) * n_k;
                int64_t xk;

                if (row < 0 || row % v.stride[0] || row / v.stride[0] >= v.h || col < 0 || col % v.stride[1] || col / v.stride[1] >= v.w)
                    continue;
                xk = ((n * v.h + row / v.stride[0]) * v.w + col / v.stride[1]) * n_k;
                for (int64_t k = 0; k < n_k; k++)
                    if (x->i)
                        sum += (x->i[xk + k] - x_zero) * (w->i[wk + k] - w_zero);
                    else
                        real += (double)x->f[xk + k] * (double)w->f[wk + k];
            }
        if (y->i)
            y->i[at] = fixed_wrap(sum);
        else
            y->f[at] = (float)real;
    }
    return true;
}

/* Where output `at` of `to` lies between two of `from` elements: in units of 2^-10, as ResizeBilinearInteger counts, or as a float.
 * [tensorflow/lite/kernels/internal/reference/resize_bilinear.h] */
typedef struct { int64_t lo, hi, part; float real; } Between;

static Between between(const Op *o, int64_t at, int64_t from, int64_t to)
{
    bool corners = op_int(o, "align_corners", 0) && to > 1, half = op_int(o, "half_pixel", 0) != 0;
    int64_t span = from - corners, steps = to - corners, scale = (span * 1024 + steps / 2) / steps;
    int64_t place = at * scale + (half ? scale / 2 - 512 : 0);

    return (Between){ .lo = place < 0 ? 0 : place / 1024, .hi = (place + 1023) / 1024 < from - 1 ? (place + 1023) / 1024 : from - 1, .part = place };
}

static Between between_float(const Op *o, int64_t at, int64_t from, int64_t to)
{
    bool corners = op_int(o, "align_corners", 0) && to > 1;
    float scale = (float)(from - corners) / (float)(to - corners), place = (float)at * scale;
    Between b;

    if (op_int(o, "half_pixel", 0))
        place = ((float)at + 0.5f) * scale - 0.5f;
    b = (Between){ .lo = (int64_t)floorf(place), .hi = (int64_t)ceilf(place), .real = place };
    b.lo = b.lo < 0 ? 0 : b.lo;
    b.hi = b.hi < from - 1 ? b.hi : from - 1;
    return b;
}

bool ref_resize(const RefArgs *a)
{
    const Tensor *x = a->in[0];
    Tensor *y = a->out;
    int64_t n_c = x->dim[3], h = x->dim[1], w = x->dim[2];

    for (int64_t at = 0; at < y->n; at++) {
        int64_t c = at % n_c, j = at / n_c % y->dim[2], i = at / n_c / y->dim[2] % y->dim[1], n = at / n_c / y->dim[2] / y->dim[1];
        Between r = y->i ? between(a->op, i, h, y->dim[1]) : between_float(a->op, i, h, y->dim[1]);
        Between s = y->i ? between(a->op, j, w, y->dim[2]) : between_float(a->op, j, w, y->dim[2]);
        int64_t p[4] = { ((n * h + r.lo) * w + s.lo) * n_c + c, ((n * h + r.hi) * w + s.lo) * n_c + c,
                         ((n * h + r.lo) * w + s.hi) * n_c + c, ((n * h + r.hi) * w + s.hi) * n_c + c };

        if (y->i) {
            int64_t u = r.part - 1024 * r.lo, v = s.part - 1024 * s.lo;
            int64_t sum = (x->i[p[0]] * (1024 - u) + x->i[p[1]] * u) * (1024 - v) + (x->i[p[2]] * (1024 - u) + x->i[p[3]] * u) * v;

            y->i[at] = (int32_t)((sum + (sum > 0 ? 1 << 19 : -(1 << 19))) / (1 << 20));
        } else {
            double u = (double)(r.real - (float)r.lo), v = (double)(s.real - (float)s.lo);

            y->f[at] = (float)(((double)x->f[p[0]] * (1 - u) + (double)x->f[p[1]] * u) * (1 - v) +
                               ((double)x->f[p[2]] * (1 - u) + (double)x->f[p[3]] * u) * v);
        }
    }
    return y->i || round_to_format(y->type.fmt, y->f, y->n, y->n);
}

/* One window of a pool. */
static void pool(const RefArgs *a, const Windows *v, int64_t n, int64_t i, int64_t j, int64_t c, int64_t out)
{
    const Tensor *x = a->in[0];
    bool max = a->op->kind == OP_maxpool;
    int64_t count = 0, sum = 0;
    double real = 0;

    for (int64_t u = 0; u < v->size[0]; u++)
        for (int64_t z = 0; z < v->size[1]; z++) {
            int64_t at = window_at(v, n, i, j, u, z);

            if (at < 0)
                continue;
            if (x->i)
                sum = !max ? sum + x->i[at + c] : count && sum > x->i[at + c] ? sum : x->i[at + c];
            else
                real = !max ? real + (double)x->f[at + c] : count && real > (double)x->f[at + c] ? real : (double)x->f[at + c];
            count++;
        }
    if (x->i)
        a->out->i[out] = (int32_t)(max ? sum : sum > 0 ? (sum + count / 2) / count : (sum - count / 2) / count);
    else
        a->out->f[out] = (float)(max ? real : real / (double)count);
}

bool ref_pool(const RefArgs *a)
{
    const Tensor *y = a->out;
    Windows v = windows_of(a);

    for (int64_t at = 0; at < y->n; at++) {
        int64_t c = at % v.c, j = at / v.c % y->dim[2], i = at / v.c / y->dim[2] % y->dim[1];

        pool(a, &v, at / v.c / y->dim[2] / y->dim[1], i, j, c, at);
    }
    return y->i || round_to_format(y->type.fmt, y->f, y->n, y->n);
}

/* ---- softmax in fixed point --------------------------------------------------------------------------------------------- */

static int leading_zeros(uint32_t x)
{
    int n = 0;

    for (; n < 32 && !(x & 0x80000000u); x <<= 1)
        n++;
    return n;
}

bool ref_softmax_int(const RefArgs *a)
{
    const Tensor *x = a->in[0];
    int32_t m = (int32_t)op_int(a->op, "m", 0);
    int64_t n = last_dim(x), diff_min = op_int(a->op, "diff_min", 0), lo, hi;
    int s = (int)op_int(a->op, "s", 0);

    format_int_range(a->out->type.fmt, &lo, &hi);
    for (int64_t t = 0; n && t < x->n; t += n) {
        int32_t max = x->i[t];
        int64_t sum = 0;                                    /* Q12.19 */
        int zeros, exponent;
        int32_t scale;

        for (int64_t i = 0; i < n; i++)
            max = x->i[t + i] > max ? x->i[t + i] : max;
        for (int64_t i = 0; i < n; i++)
            if (x->i[t + i] - max >= diff_min)
                sum += fixed_shift(fixed_exp_negative(fixed_rescale(x->i[t + i] - max, m, s, false), 5), 12);
        zeros = leading_zeros((uint32_t)sum);
        scale = fixed_reciprocal((int32_t)(((uint32_t)sum << zeros) - 0x80000000u));
        exponent = 12 - zeros + 31 - 8 * a->out->type.fmt->bytes;
        for (int64_t i = 0; i < n; i++) {
            int32_t d = x->i[t + i] - max;
            int64_t y = lo;

            if (d >= diff_min)
                y += fixed_shift(fixed_mul(scale, fixed_exp_negative(fixed_rescale(d, m, s, false), 5)), exponent);
            a->out->i[t + i] = (int32_t)(y > hi ? hi : y);
        }
    }
    return true;
}

bool ref_l2norm_int(const RefArgs *a)
{
    const Tensor *x = a->in[0];
    int64_t n = last_dim(x), zero = op_int(a->op, "zero", 0);

    for (int64_t t = 0; n && t < x->n; t += n) {
        int64_t sum = 0;
        int32_t m;
        int s;

        for (int64_t i = 0; i < n; i++)
            sum += (x->i[t + i] - zero) * (x->i[t + i] - zero);
        m = fixed_inverse_sqrt((int32_t)sum, &s);
        for (int64_t i = 0; i < n; i++) {
            int32_t y = fixed_rescale((int32_t)(x->i[t + i] - zero), m, s + 7, false);

            a->out->i[t + i] = y < -128 ? -128 : y > 127 ? 127 : y;
        }
    }
    return true;
}

/* ---- moving elements ---------------------------------------------------------------------------------------------------- */

static void copy(Tensor *y, int64_t to, const Tensor *x, int64_t from, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (y->i)
            y->i[to + i] = x->i[from + i];
        else
            y->f[to + i] = x->f[from + i];
}

bool ref_concat(const RefArgs *a)
{
    Tensor *y = a->out;
    int axis = (int)op_int(a->op, "axis", 0);
    int64_t outer = 1, inner = 1, at = 0;

    for (int i = 0; i < y->rank; i++)
        if (i != axis)
            *(i < axis ? &outer : &inner) *= y->dim[i];
    for (int k = 0; k < a->op->n_in; k++) {
        int64_t n = a->in[k]->dim[axis] * inner;

        for (int64_t i = 0; i < outer; i++)
            copy(y, i * y->dim[axis] * inner + at, a->in[k], i * n, n);
        at += n;
    }
    return true;
}

/* The sizes of what lies outside and inside of an axis. */
static void around(const Tensor *x, int axis, int64_t *outer, int64_t *inner)
{
    *outer = *inner = 1;
    for (int i = 0; i < x->rank; i++)
        if (i != axis)
            *(i < axis ? outer : inner) *= x->dim[i];
}

bool ref_gather(const RefArgs *a)
{
    const Tensor *x = a->in[0], *index = a->in[1];
    int axis = (int)op_int(a->op, "axis", 0);
    int64_t n = x->dim[axis], outer, inner;

    around(x, axis, &outer, &inner);
    for (int64_t o = 0; o < outer; o++)
        for (int64_t k = 0; k < index->n; k++) {
            int64_t i = index->i[k] < 0 ? 0 : index->i[k] < n ? index->i[k] : n - 1;

            copy(a->out, (o * index->n + k) * inner, x, (o * n + i) * inner, inner);
        }
    return true;
}

bool ref_argmax(const RefArgs *a)
{
    const Tensor *x = a->in[0];
    int axis = (int)op_int(a->op, "axis", 0);
    int64_t n = x->dim[axis], outer, inner;
    double sign = op_int(a->op, "least", 0) ? -1 : 1;

    around(x, axis, &outer, &inner);
    for (int64_t o = 0; o < outer * inner; o++) {
        int64_t at = o / inner * n * inner + o % inner, best = 0;

        for (int64_t k = 1; k < n; k++) {
            int64_t p = at + k * inner, q = at + best * inner;

            if (sign * (x->i ? (double)x->i[p] : (double)x->f[p]) > sign * (x->i ? (double)x->i[q] : (double)x->f[q]))
                best = k;
        }
        a->out->i[o] = (int32_t)best;
    }
    return true;
}

/* The index of element `at` of y in x, dimension by dimension: x's coordinate is y's of dimension from[i], less before[i]; -1: outside. */
static int64_t index_in(const Tensor *x, const Tensor *y, int64_t at, const int64_t *from, const int64_t *before)
{
    int64_t place[MAX_RANK], i_x = 0;

    for (int i = y->rank - 1; i >= 0; i--) {
        place[i] = at % y->dim[i];
        at /= y->dim[i];
    }
    for (int i = 0; i < x->rank; i++) {
        int64_t k = place[from[i]] - before[i];

        if (k < 0 || k >= x->dim[i])
            return -1;
        i_x = i_x * x->dim[i] + k;
    }
    return i_x;
}

bool ref_pad(const RefArgs *a)
{
    Tensor *y = a->out;
    int64_t before[MAX_RANK] = { 0 }, same[MAX_RANK] = { 0, 1, 2, 3, 4 };
    double value = op_float(a->op, "value", 0);

    read_ints(a->op, "before", before, y->rank);
    for (int64_t i = 0; i < y->n; i++) {
        int64_t k = index_in(a->in[0], y, i, same, before);

        if (k >= 0)
            copy(y, i, a->in[0], k, 1);
        else if (y->i)
            y->i[i] = (int32_t)value;
        else
            y->f[i] = (float)value;
    }
    return y->i || round_to_format(y->type.fmt, y->f, y->n, y->n);
}

bool ref_transpose(const RefArgs *a)
{
    const Tensor *y = a->out;
    int64_t perm[MAX_RANK] = { 0 }, from[MAX_RANK] = { 0 }, none[MAX_RANK] = { 0 };

    read_ints(a->op, "perm", perm, y->rank);
    for (int i = 0; i < y->rank; i++)
        from[perm[i]] = i;
    for (int64_t i = 0; i < y->n; i++)
        copy(a->out, i, a->in[0], index_in(a->in[0], y, i, from, none), 1);
    return true;
}

bool ref_sum(const RefArgs *a)
{
    const Tensor *x = a->in[0];
    Tensor *y = a->out;
    double *real = calloc((size_t)y->n + 1, sizeof *real);

    if (!real)
        return fail(a->d, a->at, "no memory for a buffer of the interpreter");
    for (int64_t i = 0; i < x->n; i++) {
        int64_t at = i, step = 1, k = 0;

        for (int r = x->rank - 1; r >= 0; r--) {
            k += y->dim[r] == 1 ? 0 : at % x->dim[r] * step;
            at /= x->dim[r];
            step *= y->dim[r];
        }
        if (y->i)
            y->i[k] = fixed_wrap((int64_t)y->i[k] + x->i[i]);
        else
            real[k] += (double)x->f[i];
    }
    for (int64_t i = 0; !y->i && i < y->n; i++)
        y->f[i] = (float)real[i];
    free(real);
    return y->i || round_to_format(y->type.fmt, y->f, y->n, y->n);
}
