/* Stage functions of networks: one C function for each stage, with the places of its operands, the descriptor of its kernel and a loop over groups.
 *
 *     static void conv_2d_0(uint8_t *m)
 *     {
 *         static const SnWindow layer = { ... };
 *         ...
 *         for (int32_t p = 0; p < 125; p += 50) {
 *             sn_im2col_rows(&layer, panel, x, p, n);
 *             sn_dot_rows(&layer, y, panel, p, n);
 *         }
 *     }
 *
 * m is the memory.  Everything follows from the Module's attributes; no choice is made here. */
#include "codegen/net.h"

#include <math.h>

#include "ir/image_layouts.h"

const char *net_use(NetWriter *z, const char *kernel)
{
    if (!kernel_closure(z->unit, &kernel, 1, z->wanted))
        bug("the library of %s has no '%s'", z->unit->isa, kernel);
    return kernel;
}

static const char *kernel_of(const NetCode *c, const char *role)
{
    return net_use(c->z, op_str(c->s, str_printf(c->z->w->a, "%s.0", role), "?"));
}

static bool has_kernel(const NetCode *c, const char *role)
{
    return op_attr(c->s, str_printf(c->z->w->a, "%s.0", role)) != NULL;
}

const char *net_c_type(const Format *f)
{
    switch (format_id(f)) {
    case FMT_i8: return "int8_t";
    case FMT_u8: return "uint8_t";
    case FMT_i16: return "int16_t";
    case FMT_i32: return "int32_t";
    default: return "float";
    }
}

const char *net_address(NetWriter *z, int64_t at, const Format *f, bool readonly)
{
    const char *type = net_c_type(f);

    return str_printf(z->w->a, "(%s%s *)%s(m + %" PRId64 ")", readonly ? "const " : "", type, f->bytes > 1 ? "(void *)" : "", at);
}

int64_t net_place_in(const Op *fused, int i)
{
    return op_attr(fused, "in")->ints[i];
}

int64_t net_place_out(const Op *fused)
{
    return op_attr(fused, "out")->ints[0];
}

const char *net_float_c(NetWriter *z, double x)
{
    const char *s = str_float(z->w->a, x, true);

    if (x - x != 0)                     /* no clamp at this side, or no number at all */
        return x > 0 ? "3.402823466e38f" : x < 0 ? "-3.402823466e38f" : "(0.0f / 0.0f)";
    return str_printf(z->w->a, "%s%sf", s, strpbrk(s, ".e") ? "" : ".0");
}

/* ---- what every stage begins with ----------------------------------------------------------------------------------------- */

static uint64_t bytes_of(Type t)
{
    uint64_t n = 0;

    type_bytes(t, &n);
    return n;
}

static const char *what_it_is(const NetCode *c)
{
    Arena *a = c->z->w->a;
    Buf b = buf_in(a);

    if (c->k.kind == NET_window || c->k.kind == NET_pool || c->k.kind == NET_chain) {
        NetWindow w = net_window(&c->k);

        buf_printf(&b, "%s%s %" PRId64 " x %" PRId64, c->k.op->kind == OP_dwconv2d ? "depthwise " : "",
                   c->k.op->kind == OP_avgpool   ? "means of"
                   : c->k.op->kind == OP_maxpool ? "largest of"
                                                 : "convolution",
                   w.kernel_h, w.kernel_w);
        if (w.stride_h != 1 || w.stride_w != 1)
            buf_printf(&b, ", stride %" PRId64 " x %" PRId64, w.stride_h, w.stride_w);
        if (w.dilation_h != 1 || w.dilation_w != 1)
            buf_printf(&b, ", dilation %" PRId64 " x %" PRId64, w.dilation_h, w.dilation_w);
        if (w.n_groups > 1)
            buf_printf(&b, ", %" PRId64 " groups of channels", w.n_groups);
        if (c->k.kind == NET_chain)
            buf_puts(&b, ", then a convolution 1 x 1");
        return buf_z(&b);
    }
    for (const Op *o = c->s->region[0]->first; o && o->kind != OP_yield; o = o->next)
        buf_printf(&b, "%s%s", b.n ? ", " : "", op_info[o->kind].name);
    return buf_z(&b);
}

static void describe(const NetCode *c)
{
    Arena *a = c->z->w->a;
    const Region *r = c->s->region[0];

    emit(c->e, "/* %s: %s", c->name, what_it_is(c));
    if (c->s->from)
        emit(c->e, "   (%s)", emit_comment(a, str_of(str_show(a, str_of(c->s->from), 60))));
    emit(c->e, "\n *\n");
    for (int i = 0; i < c->s->n_in; i++)
        if (r->param[i]->stands_for == VAL_result)
            emit(c->e, " *   reads   %-24s %-18s bytes %" PRId64 " .. %" PRId64 "\n", emit_ident(a, str_of(c->s->in[i]->name)),
                 shape_c(c->z->w, c->s->in[i]->type), net_place_in(c->s, i), net_place_in(c->s, i) + (int64_t)bytes_of(c->s->in[i]->type) - 1);
    emit(c->e, " *   writes  %-24s %-18s bytes %" PRId64 " .. %" PRId64, emit_ident(a, str_of(c->s->out[0]->name)), shape_c(c->z->w, c->s->out[0]->type),
         net_place_out(c->s), net_place_out(c->s) + (int64_t)bytes_of(c->s->out[0]->type) - 1);
    if (op_attr(c->s, "panel"))
        emit(c->e, "\n *   between %-24s %-18s bytes %" PRId64 " .. %" PRId64,
             op_attr(c->s, "rows") ? str_printf(a, "panel of %" PRId64 " rows", op_int(c->s, "rows", 1))
                                   : str_printf(a, "panel of %" PRId64 " positions", op_int(c->s, "positions", 1)),
             emit_comment(a, str_of(op_str(c->s, "panel", ""))), op_int(c->s, "panel_at", 0),
             op_int(c->s, "panel_at", 0) + op_int(c->s, "panel_bytes", 0) - 1);
    emit(c->e, " */\n");
}

/* The operand of op `o` of the region as a pointer called `name`. */
static void operand(const NetCode *c, const char *name, const Value *v)
{
    emit(c->e, "const %s *%s = %s;\n", net_c_type(v->type.fmt), name, net_address(c->z, net_place_in(c->s, net_param(c->s, v)), v->type.fmt, true));
}

static void result(const NetCode *c)
{
    emit(c->e, "%s *y = %s;\n", net_c_type(c->s->out[0]->type.fmt), net_address(c->z, net_place_out(c->s), c->s->out[0]->type.fmt, false));
}

/* ---- windows --------------------------------------------------------------------------------------------------------------- */

/* Packs the layer's weights; the lines of its descriptor that name them. */
static bool window_weights(NetCode *c, Emit *e)
{
    NetWriter *z = c->z;
    Arena *a = z->w->a;

    if (c->k.op->in[0]->type.fmt->kind == FORMAT_int) {
        const ImageLayout *layout = image_layout_find(str_of(op_str(c->s, c->layout, "")));
        ImageLayer l;
        uint8_t *weights, *channels;
        const char *w_name, *c_name;

        if (!net_layer(z->w->m, c->s, &c->k, a, z->w->d, &l))
            return false;
        if (!layout || (layout->fits && !layout->fits(&l)))
            return fail(z->w->d, NOWHERE, "stage '%s': layout '%s' does not hold its weights", c->name, op_str(c->s, c->layout, ""));
        weights = ARENA_ARRAY(a, uint8_t, layout->weight_bytes(&l) + 1);
        channels = ARENA_ARRAY(a, uint8_t, layout->channel_bytes(&l) + 4);
        layout->pack(&l, weights, channels);
        w_name = net_add_words(z, c->name, "weights", weights, layout->weight_bytes(&l), str_printf(a, "%s, as %s", shape_c(z->w, c->k.op->in[1]->type), layout->name));
        if (layout->channel_bytes(&l) % 4)
            bug("layout %s has channels of %" PRIu64 " bytes", layout->name, layout->channel_bytes(&l));
        for (uint64_t i = 0; i < layout->channel_bytes(&l); i += 4) {
            uint32_t v = channels[i] | (uint32_t)channels[i + 1] << 8 | (uint32_t)channels[i + 2] << 16 | (uint32_t)channels[i + 3] << 24;

            memcpy(channels + i, &v, 4);
        }
        emit(e, ".weights = %s,\n", w_name);
        if (!layout->channel_bytes(&l))         /* they lie among the weights */
            return true;
        c_name = net_add_array(z, c->name, l.fully ? "bias" : "channels", "int32_t", (const void *)channels, layout->channel_bytes(&l) / 4,
                               l.fully ? "bias of each output" : str_printf(a, "for %" PRId64 " outputs, as %s", l.n_out, layout->name));
        emit(e, ".%s = %s,\n", l.fully ? "bias" : "channels", c_name);
        if (l.fully)
            emit(e, ".mult = %" PRId32 ",\n.shift = %" PRId32 ",\n", l.mult[0], l.shift[0]);
        return true;
    }
    {
        const Weight *w = net_weight(c->s, c->k.op->in[1]), *b = c->k.bias ? net_weight(c->s, c->k.bias->in[1]) : NULL;
        const float *weights = net_floats(z->w->m, w, a, z->w->d), *bias = b ? net_floats(z->w->m, b, a, z->w->d) : NULL;

        if (!weights || (b && !bias))
            return false;
        emit(e, ".weights = %s,\n", net_add_array(z, c->name, "weights", "float", weights, (uint64_t)type_n(w->type), shape_c(z->w, w->type)));
        if (bias && c->k.kind == NET_fully)
            emit(e, ".channels = %s,\n", net_add_array(z, c->name, "bias", "float", bias, (uint64_t)type_n(b->type), "bias of each output"));
        else if (bias)
            emit(e, ".channels = (const int32_t *)(const void *)%s,\n",
                 net_add_array(z, c->name, "bias", "float", bias, (uint64_t)type_n(b->type), "bias of each output"));
    }
    return true;
}

static void strides_of(const NetCode *c, const char *attr, int64_t *s)
{
    for (int i = 0; i < 3; i++)
        s[i] = op_attr(c->s, attr)->ints[i];
}

/* The fields of an SnWindow. */
static bool window_fields(NetCode *c, Emit *e, const NetWindow *w, bool from_image, bool to_image)
{
    bool ints = c->k.op->in[0]->type.fmt->kind == FORMAT_int;
    int64_t x[3], y[3];
    double lo, hi;

    strides_of(c, "x", x);
    strides_of(c, "y", y);
    net_range(&c->k, &lo, &hi);
    if (c->k.kind == NET_window && !window_weights(c, e))
        return false;
    if (from_image)
        emit(e, ".in_row = %" PRId64 ", .in_col = %" PRId64 ", .in_chan = %" PRId64 ",\n", x[0], x[1], x[2]);
    if (to_image)
        emit(e, ".out_row = %" PRId64 ", .out_col = %" PRId64 ", .out_chan = %" PRId64 ",\n", y[0], y[1], y[2]);
    emit(e, ".in_h = %" PRId64 ", .in_w = %" PRId64 ", .in_c = %" PRId64 ",\n", w->in_h, w->in_w, w->in_c);
    emit(e, ".out_h = %" PRId64 ", .out_w = %" PRId64 ", .out_c = %" PRId64 ",\n", w->out_h, w->out_w, w->out_c);
    emit(e, ".kernel_h = %" PRId64 ", .kernel_w = %" PRId64 ", .stride_h = %" PRId64 ", .stride_w = %" PRId64 ",\n", w->kernel_h, w->kernel_w,
         w->stride_h, w->stride_w);
    emit(e, ".dilation_h = %" PRId64 ", .dilation_w = %" PRId64 ", .pad_top = %" PRId64 ", .pad_left = %" PRId64 ",\n", w->dilation_h,
         w->dilation_w, w->pad_top, w->pad_left);
    if (ints)
        emit(e, ".in_zero = %" PRId64 ", .zero = %" PRId64 ", .lo = %.0f, .hi = %.0f,\n", op_int(c->k.op, "x_zero", 0), net_zero(&c->k), lo, hi);
    return true;
}

/* `static const TYPE layer = { ... };` */
static bool window_layer(NetCode *c, const char *name, const NetWindow *w, bool from_image, bool to_image)
{
    bool ints = c->k.op->in[0]->type.fmt->kind == FORMAT_int, grouped = has_kernel(c, "conv_groups");
    double lo, hi;

    net_range(&c->k, &lo, &hi);
    emit(c->e, "static const %s %s = {\n", !ints ? "SnWindowF32" : grouped ? "SnGrouped" : "SnWindow", name);
    c->e->indent++;
    if (!ints || grouped)
        emit(c->e, ".window = {\n"), c->e->indent++;
    if (!window_fields(c, c->e, w, from_image, to_image))
        return false;
    if (!ints || grouped) {
        c->e->indent--;
        emit(c->e, "},\n.n_groups = %" PRId64 ",\n", w->n_groups);
    }
    if (!ints)
        emit(c->e, ".lo = %s, .hi = %s,\n", net_float_c(c->z, lo), net_float_c(c->z, hi));
    c->e->indent--;
    emit(c->e, "};\n");
    return true;
}

/* A loop over groups of `step` of `all` (positions, rows), in the order of the stage; *n: how many a group has.  false: there is one group, and no loop. */
static bool open_groups(NetCode *c, const char *i, int64_t all, int64_t step, const char **n)
{
    bool up = !strcmp(op_str(c->s, "order", ""), "up");
    int64_t last = step > 0 ? (all - 1) / step * step : 0;

    if (step <= 0 || step >= all) {
        *n = str_printf(c->z->w->a, "%" PRId64, all);
        return false;
    }
    if (up)
        emit_open(c->e, "for (int32_t %s = %" PRId64 "; %s >= 0; %s -= %" PRId64 ") {", i, last, i, i, step);
    else
        emit_open(c->e, "for (int32_t %s = 0; %s < %" PRId64 "; %s += %" PRId64 ") {", i, i, all, i, step);
    *n = str_printf(c->z->w->a, "%" PRId64, step);
    if (all % step) {
        emit(c->e, "int32_t n = %s < %" PRId64 " ? %" PRId64 " : %" PRId64 ";\n\n", i, last, step, all % step);
        *n = "n";
    }
    return true;
}

/* Groups of positions, with a panel. */
static void panel_loop(NetCode *c, const NetWindow *w, const char *x, const char *y)
{
    const char *im2col = kernel_of(c, "im2col"), *dot = kernel_of(c, "dot_panel"), *n;
    bool loop = open_groups(c, "p", w->out_h * w->out_w, op_int(c->s, "positions", 1), &n);
    const char *p = loop ? "p" : "0";

    emit(c->e, "%s(&layer, panel, %s, %s, %s);\n%s(&layer, %s, panel, %s, %s);\n", im2col, x, p, n, dot, y, p, n);
    if (loop)
        emit_close(c->e, "");
}

/* Groups of rows, by a kernel that needs no panel; `unit`: what it counts in a row. */
static void row_loop(NetCode *c, const char *kernel, const NetWindow *w, int64_t unit, const char *x, const char *y)
{
    const char *n;
    bool loop = open_groups(c, unit > 1 ? "p" : "row", w->out_h * unit, op_int(c->s, "rows", 0) * unit, &n);

    emit(c->e, "%s(&layer, %s, %s, %s, %s);\n", kernel, y, x, loop ? (unit > 1 ? "p" : "row") : "0", n);
    if (loop)
        emit_close(c->e, "");
}

static const char *const row_kernels[] = { "depthwise", "conv_groups", "avgpool", "maxpool", "conv_f32", "depthwise_f32", "avgpool_f32",
                                           "maxpool_f32", NULL };

static bool write_window(NetCode *c)
{
    NetWindow w = net_window(&c->k);
    const Format *f = c->k.op->in[0]->type.fmt;
    const char *x = "x", *y = "y";

    if (!window_layer(c, "layer", &w, true, true))
        return false;
    emit(c->e, "const int8_t *x = (const int8_t *)(m + %" PRId64 ");\n", net_place_in(c->s, net_param(c->s, c->k.op->in[0])));
    emit(c->e, "int8_t *y = (int8_t *)(m + %" PRId64 ");\n", net_place_out(c->s));
    if (op_attr(c->s, "panel"))
        emit(c->e, "uint8_t *panel = m + %" PRId64 ";\n", op_int(c->s, "panel_at", 0));
    emit(c->e, "\n");
    if (w.n_images > 1) {
        emit_open(c->e, "for (int32_t i = 0; i < %" PRId64 "; i++) {", w.n_images);
        x = str_printf(c->z->w->a, "x + i * %" PRId64, w.in_h * w.in_w * w.in_c * f->bytes);
        y = str_printf(c->z->w->a, "y + i * %" PRId64, w.out_h * w.out_w * w.out_c * f->bytes);
    }
    if (has_kernel(c, "pointwise"))
        row_loop(c, kernel_of(c, "pointwise"), &w, w.out_w, x, y);
    else if (op_attr(c->s, "panel"))
        panel_loop(c, &w, x, y);
    for (const char *const *k = row_kernels; *k; k++)
        if (has_kernel(c, *k))
            row_loop(c, kernel_of(c, *k), &w, 1, x, y);
    if (w.n_images > 1)
        emit_close(c->e, "");
    return true;
}

/* The name of a part of a chain: that of its operator. */
static const char *part_name(const NetCode *c)
{
    const char *name = c->k.op->out[0]->name;

    return emit_ident(c->z->w->a, (Str){ name, strcspn(name, ".") });
}

/* A depthwise window into a panel, a pointwise one from there, a group of rows after the other. */
static bool write_chain(NetCode *c)
{
    NetCode first = *c, second = *c;
    NetWindow w = net_window(&c->k), v;
    const char *n, *row, *fill = kernel_of(c, "depthwise_panel"), *dot = kernel_of(c, "dot_panel");
    bool loop;

    first.k = net_part(c->s, 0);
    second.k = net_part(c->s, 1);
    second.layout = "layout_2";
    first.name = part_name(&first);
    second.name = part_name(&second);
    v = net_window(&second.k);
    if (!window_layer(&first, "depthwise", &w, true, false) || !window_layer(&second, "pointwise", &v, false, true))
        return false;
    emit(c->e, "const int8_t *x = (const int8_t *)(m + %" PRId64 ");\n", net_place_in(c->s, net_param(c->s, c->k.op->in[0])));
    emit(c->e, "int8_t *y = (int8_t *)(m + %" PRId64 ");\nuint8_t *panel = m + %" PRId64 ";\n\n", net_place_out(c->s), op_int(c->s, "panel_at", 0));
    loop = open_groups(c, "row", w.out_h, op_int(c->s, "rows", 1), &n);
    row = loop ? "row" : "0";
    emit(c->e, "%s(&depthwise, panel, x, %s, %s);\n", fill, row, n);
    emit(c->e, "%s(&pointwise, y, panel, %s * %" PRId64 ", %s * %" PRId64 ");\n", dot, row, w.out_w, n, w.out_w);
    if (loop)
        emit_close(c->e, "");
    return true;
}

/* ---- other kernels --------------------------------------------------------------------------------------------------------- */

static bool write_fully(NetCode *c)
{
    bool ints = c->k.op->in[0]->type.fmt->kind == FORMAT_int;
    int64_t n_in = net_dim(c->k.op->in[0]->type, c->k.op->in[0]->type.rank - 1), n_out = net_dim(c->k.op->in[1]->type, 0);
    int64_t rows = n_in ? type_n(c->k.op->in[0]->type) / n_in : 0;
    const char *kernel = kernel_of(c, ints ? "fully" : "fully_f32");
    double lo, hi;

    net_range(&c->k, &lo, &hi);
    emit(c->e, "static const %s layer = {\n", ints ? "SnFully" : "SnFullyF32");
    c->e->indent++;
    if (!window_weights(c, c->e))
        return false;
    emit(c->e, ".n_in = %" PRId64 ",\n.n_out = %" PRId64 ",\n", n_in, n_out);
    if (ints)
        emit(c->e, ".zero = %" PRId64 ",\n.lo = %.0f,\n.hi = %.0f,\n", net_zero(&c->k), lo, hi);
    else
        emit(c->e, ".lo = %s,\n.hi = %s,\n", net_float_c(c->z, lo), net_float_c(c->z, hi));
    c->e->indent--;
    emit(c->e, "};\n");
    operand(c, "x", c->k.op->in[0]);
    result(c);
    emit(c->e, "\n");
    if (rows == 1)
        emit(c->e, "%s(&layer, y, x);\n", kernel);
    else
        emit(c->e, "for (int32_t t = 0; t < %" PRId64 "; t++)\n    %s(&layer, y + t * %" PRId64 ", x + t * %" PRId64 ");\n", rows, kernel, n_out, n_in);
    return true;
}

/* The multiplier and the shift of a requant that has one of each. */
static bool one_scale(const NetCode *c, const Op *requant, int32_t *m, int32_t *s)
{
    const Writer *w = c->z->w;
    const int32_t *mult = net_ints(w->m, net_weight(c->s, requant->in[1]), w->a, w->d), *shift = net_ints(w->m, net_weight(c->s, requant->in[2]), w->a, w->d);

    if (!mult || !shift)
        return false;
    *m = mult[0];
    *s = shift[0];
    return true;
}

static bool write_add(NetCode *c)
{
    const Op *a = c->k.rescale[0], *b = c->k.rescale[1];
    int32_t mult[3], shift[3];
    double lo, hi;

    if (!one_scale(c, a, &mult[0], &shift[0]) || !one_scale(c, b, &mult[1], &shift[1]) || !one_scale(c, c->k.end, &mult[2], &shift[2]))
        return false;
    net_range(&c->k, &lo, &hi);
    emit(c->e, "static const SnAdd layer = {\n");
    c->e->indent++;
    emit(c->e, ".a_mult = %" PRId32 ", .b_mult = %" PRId32 ", .mult = %" PRId32 ",\n", mult[0], mult[1], mult[2]);
    emit(c->e, ".a_shift = %" PRId32 ", .b_shift = %" PRId32 ", .shift = %" PRId32 ", .left = %" PRId64 ",\n", shift[0], shift[1], shift[2],
         op_int(a, "left", 0));
    emit(c->e, ".a_zero = %" PRId64 ", .b_zero = %" PRId64 ", .zero = %" PRId64 ", .lo = %.0f, .hi = %.0f,\n", op_int(a, "x_zero", 0),
         op_int(b, "x_zero", 0), net_zero(&c->k), lo, hi);
    c->e->indent--;
    emit(c->e, "};\n");
    operand(c, "a", a->in[0]);
    operand(c, "b", b->in[0]);
    result(c);
    emit(c->e, "\n%s(&layer, y, a, b, %" PRId64 ");\n", kernel_of(c, "add"), type_n(c->s->out[0]->type));
    return true;
}

static bool write_softmax(NetCode *c)
{
    const Op *o = c->k.op;
    int64_t n = net_dim(o->in[0]->type, o->in[0]->type.rank - 1), rows = n ? type_n(o->in[0]->type) / n : 0, least = op_int(o, "diff_min", 0);
    bool ints = o->kind == OP_softmax_int;
    const char *kernel = kernel_of(c, ints ? "softmax_int" : "softmax_f32"), *layer = ints ? "&layer, " : "";

    if (ints)
        emit(c->e, "static const SnSoftmax layer = { .mult = %" PRId64 ", .diff_min = %" PRId64 ", .shift = %" PRId64 " };\n", op_int(o, "m", 0),
             least < -256 ? -256 : least, op_int(o, "s", 0));
    operand(c, "x", o->in[0]);
    result(c);
    emit(c->e, "\n");
    if (rows == 1)
        emit(c->e, "%s(%sy, x, %" PRId64 ");\n", kernel, layer, n);
    else
        emit(c->e, "for (int32_t t = 0; t < %" PRId64 "; t++)\n    %s(%sy + t * %" PRId64 ", x + t * %" PRId64 ", %" PRId64 ");\n", rows, kernel, layer,
             n, n, n);
    return true;
}

/* ---- a stage ---------------------------------------------------------------------------------------------------------------- */

void net_write_stage(NetWriter *z, Emit *e, const Op *fused)
{
    NetCode c = { z, e, fused, net_stage(fused), emit_ident(z->w->a, str_of(op_str(fused, "stage", "stage"))), "layout" };

    z->region = op_str(fused, "region", NULL);
    describe(&c);
    emit_open(e, "static void %s(uint8_t *m)\n{", c.name);
    switch (c.k.kind) {
    case NET_window: case NET_pool: z->ok = write_window(&c) && z->ok; break;
    case NET_chain: z->ok = write_chain(&c) && z->ok; break;
    case NET_fully: z->ok = write_fully(&c) && z->ok; break;
    case NET_add: z->ok = write_add(&c) && z->ok; break;
    case NET_softmax: z->ok = write_softmax(&c) && z->ok; break;
    case NET_map: net_write_map(&c); break;
    case NET_sum: net_write_sum(&c); break;
    case NET_move: net_write_move(&c); break;
    case NET_products: net_write_products(&c); break;
    case NET_call: net_write_call(&c); break;
    case NET_none: bug("a stage that is nothing came to the writer");
    }
    emit_close(e, "\n");
}
