/* Numbers of a layer: see net_layer.h.  What the zero point of the inputs adds to a sum, - x_zero * (sum of w), goes into the bias, modulo 2^32 as sums
 * are; so what lies outside an image counts as x_zero. */
#include "codegen/net_layer.h"
#include "ir/fixed.h"

#include <math.h>

const int32_t *net_ints(const Module *m, const Weight *w, Arena *a, Diag *d)
{
    int64_t n = net_dim(w->type, w->type.rank - 1), n_row = type_n_rows(w->type);
    int32_t *v = ARENA_ARRAY(a, int32_t, n * n_row + 1);

    for (int64_t i = 0; i < n_row; i++)
        if (!weight_row_ints(m, w, i, v + i * n, d))
            return NULL;
    return v;
}

const float *net_floats(const Module *m, const Weight *w, Arena *a, Diag *d)
{
    int64_t n = net_dim(w->type, w->type.rank - 1), n_row = type_n_rows(w->type);
    float *v = ARENA_ARRAY(a, float, n * n_row + 1);

    for (int64_t i = 0; i < n_row; i++)
        if (!weight_row(m, w, i, v + i * n, d))
            return NULL;
    return v;
}

bool net_at_hand(const Module *m, const Weight *w)
{
    const WExpr *e = w->expr;

    if (e->kind == W_view)
        return m->file[e->file].p != NULL;
    for (int i = 0; e->kind == W_packed && i < m->n_file; i++)
        if (m->file[i].packed && m->file[i].p)
            return true;
    return e->kind != W_packed;
}

void net_range(const NetStage *s, double *lo, double *hi)
{
    const Op *o = s->end ? s->end : s->op;
    const Format *f = o->out[0]->type.fmt;
    int64_t least = 0, most = 0;

    if (f->kind == FORMAT_int) {
        format_int_range(f, &least, &most);
        *lo = (double)op_int(o, "lo", least), *hi = (double)op_int(o, "hi", most);
    } else
        *lo = -INFINITY, *hi = INFINITY;
    if (o->kind == OP_relu)
        *lo = 0;
    if (o->kind == OP_clamp) {
        *lo = op_float(o, "lo", 0) > *lo ? op_float(o, "lo", 0) : *lo;
        *hi = op_float(o, "hi", 0) < *hi ? op_float(o, "hi", 0) : *hi;
    }
}

int64_t net_zero(const NetStage *s)
{
    return s->end ? op_int(s->end, "zero", 0) : 0;
}

/* n numbers of which the weight behind v has as many, or one for all. */
static const int32_t *for_each(const Module *m, const Op *fused, const Value *v, int64_t n, Arena *a, Diag *d)
{
    const Weight *w = net_weight(fused, v);
    const int32_t *given = w ? net_ints(m, w, a, d) : NULL;
    int32_t *all = ARENA_ARRAY(a, int32_t, n + 1);

    for (int64_t i = 0; given && i < n; i++)
        all[i] = given[net_dim(w->type, 0) == 1 ? 0 : i];
    return given ? all : NULL;
}

bool net_layer(const Module *m, const Op *fused, const NetStage *s, Arena *a, Diag *d, ImageLayer *l)
{
    NetWindow w = net_window(s);
    const Weight *weight = net_weight(fused, s->op->in[1]);
    const int32_t *ints = weight ? net_ints(m, weight, a, d) : NULL, *bias = NULL;
    int64_t n = weight ? type_n(weight->type) : 0;
    int8_t *packed = ARENA_ARRAY(a, int8_t, n + 1);
    int32_t *folded = ARENA_ARRAY(a, int32_t, w.out_c + 1);
    double lo, hi;

    if (!ints || (s->bias && !(bias = for_each(m, fused, s->bias->in[1], w.out_c, a, d))))
        return false;
    net_range(s, &lo, &hi);
    *l = (ImageLayer){ .n_out = w.out_c, .kernel_h = w.kernel_h, .kernel_w = w.kernel_w, .depthwise = s->op->kind == OP_dwconv2d,
                       .fully = s->kind == NET_fully, .w = packed, .bias = folded, .zero = (int)net_zero(s), .lo = (int)lo, .hi = (int)hi,
                       .x_zero = (int)op_int(s->op, "x_zero", 0), .w_bits = 8, .stride_h = w.stride_h, .stride_w = w.stride_w,
                       .dilation_h = w.dilation_h, .dilation_w = w.dilation_w, .pad_top = w.pad_top, .pad_left = w.pad_left, .in_h = w.in_h,
                       .in_w = w.in_w, .in_c = w.in_c, .out_h = w.out_h, .out_w = w.out_w };
    l->n_in = l->depthwise ? 1 : w.in_c / w.n_groups;
    l->mult = for_each(m, fused, s->end->in[1], w.out_c, a, d);
    l->shift = for_each(m, fused, s->end->in[2], w.out_c, a, d);
    for (int64_t c = 0; c < w.out_c; c++) {
        int64_t sum = 0, n_w = n / w.out_c;

        for (int64_t k = 0; k < n_w; k++)
            sum += ints[l->depthwise ? k * w.out_c + c : c * n_w + k];
        folded[c] = fixed_wrap((bias ? bias[c] : 0) - l->x_zero * sum);
    }
    for (int64_t i = 0; i < n; i++)
        packed[i] = (int8_t)ints[i];
    return l->mult && l->shift;
}
