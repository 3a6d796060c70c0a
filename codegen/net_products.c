/* Stages that are plain loops: contractions that no kernel computes as they stand, moves by tables of places, functions of the kernels' library.
 *
 * A contraction's innermost loops add up one output's products; what follows element by element (bias, requantization) is computed of the sum, so that
 * sums never reach memory. */
#include "codegen/net.h"

static bool is_ints(const Value *v)
{
    return v->type.fmt->kind == FORMAT_int;
}

static void result(const NetCode *c)
{
    const Format *f = c->s->out[0]->type.fmt;

    emit(c->e, "%s *y = %s;\n\n", net_c_type(f), net_address(c->z, net_place_out(c->s), f, false));
}

/* "x[at]", less a zero point. */
static const char *less(Arena *a, const char *x, const char *at, int64_t zero)
{
    if (zero == 0)
        return str_printf(a, "%s[%s]", x, at);
    return str_printf(a, "(%s[%s] %c %" PRId64 ")", x, at, zero < 0 ? '+' : '-', zero < 0 ? -zero : zero);
}

/* The product of an element of x and one of w is added to the sum.  Sums of int16 wrap, which only unsigned numbers do. */
static void add_product(NetCode *c, const char *x, const char *x_at, const char *w, const char *w_at)
{
    const Op *o = c->k.op;
    Arena *a = c->z->w->a;
    const char *p = less(a, x, x_at, op_int(o, "x_zero", 0)), *q = less(a, w, w_at, op_int(o, "w_zero", 0));

    if (is_ints(o->in[0]) && o->in[0]->type.fmt->bytes > 1 && o->in[1]->type.fmt->bytes > 1)
        emit(c->e, "sum = (int32_t)((uint32_t)sum + (uint32_t)(%s * %s));\n", p, q);
    else
        emit(c->e, "sum += %s * %s;\n", p, q);
}

static void open_channels(NetCode *c, int64_t n)
{
    emit_open(c->e, "for (int32_t c = 0; c < %" PRId64 "; c++) {", n);
    emit(c->e, "%s sum = %s;\n\n", is_ints(c->k.op->in[0]) ? "int32_t" : "float", is_ints(c->k.op->in[0]) ? "0" : "0.0f");
}

/* Rows of x by a matrix, or each by the slice that a table names. */
static void write_matmul(NetCode *c, const char *x, const char *w, const char *slice, NetTail *tail)
{
    const Op *o = c->k.op;
    Type tx = o->in[0]->type;
    Arena *a = c->z->w->a;
    int64_t K = net_dim(tx, tx.rank - 1), N = net_dim(o->out[0]->type, tx.rank - 1), n = type_n(o->out[0]->type);
    const char *row = n == N ? "" : N == K ? "i + " : N == 1 ? str_printf(a, "i * %" PRId64 " + ", K) : str_printf(a, "i / %" PRId64 " * %" PRId64 " + ", N, K);
    const char *first = slice ? str_printf(a, "%s[i / %" PRId64 "] * %" PRId64 " + ", slice, N, N * K) : "";

    emit_open(c->e, "for (int32_t i = 0; i < %" PRId64 "; i += %" PRId64 ")", n, N);
    open_channels(c, N);
    emit_open(c->e, "for (int32_t k = 0; k < %" PRId64 "; k++)", K);
    add_product(c, x, str_printf(a, "%sk", row), w, str_printf(a, "%sc * %" PRId64 " + k", first, K));
    c->e->indent--;
    net_tail_write(tail, o->out[0], "sum");
    emit_close(c->e, "");
    c->e->indent--;
}

/* The loop over a filter's rows or columns: of a transposed convolution those that meet a row of x, every stride-th. */
static void open_filter(NetCode *c, const char *u, const char *at, const char *row, int64_t size, int64_t n, int64_t stride, int64_t dilation, int64_t pad)
{
    Arena *a = c->z->w->a;
    const char *to = pad ? str_printf(a, "%s %c %" PRId64, row, c->k.op->kind == OP_tconv2d ? '+' : '-', pad) : row;

    if (c->k.op->kind == OP_tconv2d) {
        emit_open(c->e, stride == 1 ? "for (int32_t %s = 0; %s < %" PRId64 "; %s++) {" : "for (int32_t %s = (%s) %% %" PRId64 "; %s < %" PRId64 "; %s += %" PRId64 ") {",
                  u, stride == 1 ? u : to, stride == 1 ? size : stride, u, size, u, stride);
        emit(c->e, "int32_t %s = %s%s - %s%s;\n\n", at, stride == 1 ? "" : "(", to, u, stride == 1 ? "" : str_printf(a, ") / %" PRId64, stride));
    } else {
        emit_open(c->e, "for (int32_t %s = 0; %s < %" PRId64 "; %s++) {", u, u, size, u);
        emit(c->e, "int32_t %s = %s%s%s%s + %s%s;\n\n", at, row, stride == 1 ? "" : str_printf(a, " * %" PRId64, stride), pad ? " - " : "",
             pad ? str_printf(a, "%" PRId64, pad) : "", u, dilation == 1 ? "" : str_printf(a, " * %" PRId64, dilation));
    }
    emit(c->e, "if (%s < 0 || %s >= %" PRId64 ")\n    continue;\n", at, at, n);
}

static void write_window(NetCode *c, const char *x, const char *w, NetTail *tail)
{
    const Op *o = c->k.op;
    NetWindow v = net_window(&c->k);
    Arena *a = c->z->w->a;
    bool depthwise = o->kind == OP_dwconv2d;
    int64_t n_k = depthwise ? 1 : v.in_c / v.n_groups, per_group = depthwise ? v.out_c / v.in_c : v.out_c / v.n_groups;
    const char *channel = depthwise ? per_group == 1 ? "c" : str_printf(a, "c / %" PRId64, per_group)
                          : v.n_groups == 1 ? "k" : str_printf(a, "c / %" PRId64 " * %" PRId64 " + k", per_group, n_k);

    emit(c->e, "int32_t i = 0;\n\n");
    emit_open(c->e, "for (int32_t n = 0; n < %" PRId64 "; n++)", v.n_images);
    emit_open(c->e, "for (int32_t r = 0; r < %" PRId64 "; r++)", v.out_h);
    emit_open(c->e, "for (int32_t q = 0; q < %" PRId64 "; q++, i += %" PRId64 ")", v.out_w, v.out_c);
    open_channels(c, v.out_c);
    open_filter(c, "u", "row", "r", v.kernel_h, v.in_h, v.stride_h, v.dilation_h, v.pad_top);
    open_filter(c, "v", "col", "q", v.kernel_w, v.in_w, v.stride_w, v.dilation_w, v.pad_left);
    if (!depthwise)
        emit_open(c->e, "for (int32_t k = 0; k < %" PRId64 "; k++)", n_k);
    add_product(c, x, str_printf(a, "((n * %" PRId64 " + row) * %" PRId64 " + col) * %" PRId64 " + %s", v.in_h, v.in_w, v.in_c, channel), w,
                depthwise ? str_printf(a, "(u * %" PRId64 " + v) * %" PRId64 " + c", v.kernel_w, v.out_c)
                          : str_printf(a, "((c * %" PRId64 " + u) * %" PRId64 " + v) * %" PRId64 " + k", v.kernel_h, v.kernel_w, n_k));
    c->e->indent -= !depthwise;
    emit_close(c->e, "");
    emit_close(c->e, "");
    net_tail_write(tail, o->out[0], "sum");
    emit_close(c->e, "");
    c->e->indent -= 3;
}

void net_write_products(NetCode *c)
{
    const Op *o = c->k.op;
    const char *x = net_moved(c, o, 0), *w = net_moved(c, o, 1), *slice = o->n_in > 2 ? net_moved(c, o, 2) : NULL;
    NetTail *tail = net_tail(c, o);

    result(c);
    if (o->kind == OP_matmul)
        write_matmul(c, x, w, slice, tail);
    else
        write_window(c, x, w, tail);
}

/* ---- moves by places ---------------------------------------------------------------------------------------------------------- */

static void around(Type t, int axis, int64_t *outer, int64_t *inner)
{
    *outer = *inner = 1;
    for (int i = 0; i < t.rank; i++)
        if (i != axis)
            *(i < axis ? outer : inner) *= net_dim(t, i);
}

/* Are all places of a table inside 0 .. n-1? */
static bool all_inside(const NetCode *c, const Weight *w, int64_t n)
{
    const int32_t *at = w ? net_ints(c->z->w->m, w, c->z->w->a, c->z->w->d) : NULL;

    for (int64_t i = 0; at && i < type_n(w->type); i++)
        if (at[i] < 0 || at[i] >= n)
            return false;
    return at != NULL;
}

void net_write_gather(NetCode *c, const Op *o, const char *x, const char *index)
{
    int axis = (int)op_int(o, "axis", 0);
    int64_t outer, inner, n = net_dim(o->in[0]->type, axis), many = net_dim(o->in[1]->type, 0);
    Arena *a = c->z->w->a;
    const char *from;

    around(o->in[0]->type, axis, &outer, &inner);
    from = outer > 1 ? str_printf(a, "(i * %" PRId64 " + at)", n) : "at";
    if (outer > 1)
        emit_open(c->e, "for (int32_t i = 0; i < %" PRId64 "; i++)", outer);
    emit_open(c->e, "for (int32_t k = 0; k < %" PRId64 "; k++) {", many);
    if (all_inside(c, net_weight(c->s, o->in[1]), n))
        emit(c->e, "int32_t at = %s[k];\n\n", index);
    else
        emit(c->e, "int32_t at = %s(%s[k], 0, %" PRId64 ");\n\n", net_use(c->z, "sn_clamp"), index, n - 1);
    if (inner == 1)
        emit(c->e, "*y++ = %s[%s];\n", x, from);
    else
        emit(c->e, "for (int32_t j = 0; j < %" PRId64 "; j++)\n    *y++ = %s[%s * %" PRId64 " + j];\n", inner, x, from, inner);
    emit_close(c->e, "");
    c->e->indent -= outer > 1;
}

void net_write_argmax(NetCode *c, const Op *o, const char *x)
{
    int axis = (int)op_int(o, "axis", 0);
    int64_t outer, inner, n = net_dim(o->in[0]->type, axis);

    around(o->in[0]->type, axis, &outer, &inner);
    emit_open(c->e, "for (int32_t i = 0; i < %" PRId64 "; i++) {", outer * inner);
    emit(c->e, "int32_t at = i / %" PRId64 " * %" PRId64 " + i %% %" PRId64 ";\nint32_t best = 0;\n\n", inner, n * inner, inner);
    emit(c->e, "for (int32_t k = 1; k < %" PRId64 "; k++)\n    if (%s[at + k * %" PRId64 "] %c %s[at + best * %" PRId64 "])\n        best = k;\ny[i] = best;\n", n, x,
         inner, op_int(o, "least", 0) ? '<' : '>', x, inner);
    emit_close(c->e, "");
}

/* ---- functions of the library ------------------------------------------------------------------------------------------------- */

static void write_resize(NetCode *c, const char *x)
{
    const Op *o = c->k.op;
    Type t = o->in[0]->type, u = o->out[0]->type;
    int64_t n = net_dim(t, 0), in[2] = { net_dim(t, 1), net_dim(t, 2) }, out[2] = { net_dim(u, 1), net_dim(u, 2) }, chans = net_dim(t, 3), scale[2];
    const char *f[2];

    for (int i = 0; i < 2; i++) {
        bool corners = op_int(o, "align_corners", 0) && out[i] > 1;

        scale[i] = ((in[i] - corners) * 1024 + (out[i] - corners) / 2) / (out[i] - corners);
        f[i] = net_float_c(c->z, (double)((float)(in[i] - corners) / (float)(out[i] - corners)));
    }
    emit(c->e, "static const SnResize layer = {\n    .in_h = %" PRId64 ", .in_w = %" PRId64 ", .n_c = %" PRId64 ", .out_h = %" PRId64 ", .out_w = %" PRId64
         ", .half = %" PRId64 ",\n", in[0], in[1], chans, out[0], out[1], op_int(o, "half_pixel", 0));
    emit(c->e, "    .scale_h = %" PRId64 ", .scale_w = %" PRId64 ", .scale_h_f32 = %s, .scale_w_f32 = %s,\n};\n", scale[0], scale[1], f[0], f[1]);
    emit(c->e, "\nfor (int32_t i = 0; i < %" PRId64 "; i++)\n    %s(&layer, y + i * %" PRId64 ", %s + i * %" PRId64 ");\n", n,
         net_use(c->z, is_ints(o->in[0]) ? "sn_resize_int" : "sn_resize_f32"), out[0] * out[1] * chans, x, in[0] * in[1] * chans);
}

void net_write_call(NetCode *c)
{
    const Op *o = c->k.op;
    int64_t n = net_dim(o->in[0]->type, o->in[0]->type.rank - 1);
    const char *x = net_moved(c, o, 0);

    result(c);
    if (o->kind == OP_resize)
        write_resize(c, x);
    else
        emit(c->e, "for (int32_t i = 0; i < %" PRId64 "; i += %" PRId64 ")\n    %s(y + i, %s + i, %" PRId64 ", %" PRId64 ");\n", type_n(o->in[0]->type), n,
             net_use(c->z, "sn_l2norm_int"), x, n, op_int(o, "zero", 0));
}
