/* What the writer of networks relies on, checked before anything is written: the Module may come from a .sir that somebody has edited.
 *
 * Every element that a stage reads or writes lies inside the memory, numbers fit the descriptors' fields, kernels are there and are what
 * their roles say; and whatever cannot be written is named, all of it at once. */
#include "codegen/board.h"
#include "codegen/codegen.h"
#include "codegen/net.h"

typedef struct {
    const Module *m;
    Diag *d;
    const KernelUnit *unit;
    int64_t arena;
} Check;

static Loc at_stage(const Check *c, const Op *s)
{
    return AT_WHAT(NULL, str_printf(c->m->a, "stage '%s'", str_show(c->m->a, str_of(op_str(s, "stage", "?")), 60)));
}

/* ---- what can be written at all -------------------------------------------------------------------------------------------- */

static bool is_plain_tensor(const Value *v)
{
    FormatId f = format_id(v->type.fmt);

    for (int i = 0; i < v->type.rank; i++)
        if (!dim_is_const(v->type.dim[i], NULL))
            return false;
    return (f == FMT_i8 || f == FMT_u8 || f == FMT_i16 || f == FMT_i32 || f == FMT_f32) && type_n(v->type) > 0 && type_n(v->type) <= INT32_MAX / 16;
}

/* Conversions of floats to integers are not written. */
static bool is_written_map(const Op *o)
{
    if (o->kind == OP_convert && o->in[0]->type.fmt->kind == FORMAT_float && o->out[0]->type.fmt->kind == FORMAT_int)
        return false;
    if (o->kind == OP_requant || o->kind == OP_lookup)
        return o->in[1]->stands_for == VAL_weight || o->in[1]->kind == VAL_weight;
    return true;
}

static bool can_write(const Op *s)
{
    NetStage k = net_stage(s);

    if (k.kind == NET_none)
        return false;
    for (const Op *o = s->region[0]->first; o && o->kind != OP_yield; o = o->next)
        for (int i = 0; i < o->n_out; i++)
            if (!is_plain_tensor(o->out[i]) || (net_is_map(o) && !is_written_map(o)))
                return false;
    for (int i = 0; i < s->n_in; i++)
        if (s->in[i]->kind == VAL_state || (net_is_tensor(s->in[i]) && !is_plain_tensor(s->in[i])))
            return false;
    return true;
}

/* A scan whose tensors are carried or given row by row, and which carries on what it computes. */
static bool can_scan(const Op *o)
{
    int64_t carried = op_int(o, "carried", 0), rows = op_int(o, "rows", 0);
    const Region *r = o->region[0];

    for (int i = 0; i < o->n_in; i++)
        if (net_is_tensor(o->in[i]) ? i >= carried + rows || !is_plain_tensor(o->in[i]) : i < carried + rows)
            return false;
    for (int i = 0; i < r->last->n_in; i++)
        if (!is_plain_tensor(r->last->in[i]) || (net_root(r->last->in[i])->kind != VAL_result && i < carried))
            return false;
    return true;
}

/* All stages and ops that have no C, in one report. */
static bool all_written(const Check *c, const Func *f)
{
    Buf list = buf_in(c->m->a);
    int n = 0;

    for (const Op *o = f->body->first; o; o = net_next(o)) {
        const Op *what = o->kind == OP_fused ? o->region[0]->first : o;

        if (o->kind == OP_fused ? can_write(o) : o->kind == OP_scan ? can_scan(o) : !net_is_stage(o))
            continue;
        if (n++ < 24)
            buf_printf(&list, "%s%s (%s%s%s)", n > 1 ? "; " : "", str_show(c->m->a, str_of(what->n_out ? what->out[0]->name : "?"), 60), op_info[what->kind].name,
                       what->n_in ? " of " : "", what->n_in ? type_text(c->m->a, what->in[0]->type) : "");
    }
    if (n > 24)
        buf_printf(&list, "; and %d more", n - 24);
    return n == 0 || fail(c->d, NOWHERE, "%d stage%s cannot be written as C yet: %s", n, n == 1 ? "" : "s", buf_z(&list));
}

/* ---- numbers of stages ------------------------------------------------------------------------------------------------------ */

static const KernelInfo *kernel_named(const Check *c, const char *name)
{
    for (int i = 0; name && i < c->unit->n_kernels; i++)
        if (!strcmp(c->unit->kernels[i].name, name))
            return &c->unit->kernels[i];
    return NULL;
}

/* The kernel of a role: there, for this op, and for the layout and the panel that the stage says. */
static bool has_kernel(const Check *c, const Op *s, const char *role)
{
    const KernelInfo *k = kernel_named(c, op_str(s, str_printf(c->m->a, "%s.0", role), NULL));

    if (!k || strcmp(k->op, role))
        return fail(c->d, at_stage(c, s), "has no kernel as '%s'", role);
    if ((*k->layout && strcmp(k->layout, op_str(s, op_attr(s, "layout_2") && !strcmp(role, "dot_panel") ? "layout_2" : "layout", ""))) || (*k->panel && strcmp(k->panel, op_str(s, "panel", ""))))
        return fail(c->d, at_stage(c, s), "kernel '%s' wants another layout or panel", k->name);
    return true;
}

static bool check_span(const Check *c, const Op *s, const Value *v, int64_t at, int64_t first, int64_t last)
{
    int64_t unit = v->type.fmt->bytes;

    return (at >= 0 && at % unit == 0 && at <= c->arena && first >= -at && last < c->arena - at) ||
           fail(c->d, at_stage(c, s), "'%s' does not lie in the memory of %" PRId64 " bytes", str_show(c->m->a, str_of(v->name), 60), c->arena);
}

static bool check_place(const Check *c, const Op *s, const Value *v, int64_t at)
{
    uint64_t bytes = 0;

    return !(net_is_tensor(v) || v->kind == VAL_state) || (type_bytes(v->type, &bytes) && check_span(c, s, v, at, 0, (int64_t)bytes - 1));
}

static bool check_places(const Check *c, const Op *s, const char *name, Value *const *v, int n)
{
    const Attr *a = op_attr(s, name);

    if (!a || a->kind != ATTR_ints || a->n_ints != n)
        return fail(c->d, at_stage(c, s), "attribute '%s' does not give %d places", name, n);
    for (int i = 0; i < n; i++)
        if (!check_place(c, s, v[i], a->ints[i]))
            return false;
    return true;
}

/* An image by its strides, each of which is a number of elements and not too large for an image of this size to be addressed. */
static bool check_image(const Check *c, const Op *s, const char *name, const Value *v, int64_t at, int64_t h, int64_t w, int64_t chans)
{
    const Attr *a = op_attr(s, name);
    int64_t size[3] = { h, w, chans }, first = 0, last = v->type.fmt->bytes - 1;

    if (!a || a->kind != ATTR_ints || a->n_ints != 3)
        return fail(c->d, at_stage(c, s), "attribute '%s' does not give three strides", name);
    for (int i = 0; i < 3; i++) {
        if (a->ints[i] < -INT32_MAX || a->ints[i] > INT32_MAX || (i == 1 && (a->ints[i] < INT16_MIN || a->ints[i] > INT16_MAX)) ||
            a->ints[i] % v->type.fmt->bytes)
            return fail(c->d, at_stage(c, s), "attribute '%s': %" PRId64 " is no stride of such an image", name, a->ints[i]);
        *(a->ints[i] < 0 ? &first : &last) += (size[i] - 1) * a->ints[i];
    }
    return check_span(c, s, v, at, first, last);
}

static bool check_window(const Check *c, const Op *s, const NetStage *k)
{
    NetStage last = k->kind == NET_chain ? net_part(s, 1) : *k;
    NetWindow w = net_window(k), v = net_window(&last);
    const Value *x = k->op->in[0];
    int64_t shape[] = { w.in_h, w.in_w, w.in_c, w.out_h, w.out_w, w.out_c, v.out_c };
    int64_t small[] = { w.kernel_h, w.kernel_w, w.stride_h, w.stride_w, w.dilation_h, w.dilation_w, w.pad_top, w.pad_left };

    for (int i = 0; i < 7; i++)
        if (shape[i] < 1 || shape[i] > INT16_MAX)
            return fail(c->d, at_stage(c, s), "a dimension of its images is %" PRId64 " (at most %d)", shape[i], INT16_MAX);
    for (int i = 0; i < 8; i++)
        if (small[i] < 0 || small[i] > UINT8_MAX)
            return fail(c->d, at_stage(c, s), "its window, stride, dilation or padding is %" PRId64 " (at most %d)", small[i], UINT8_MAX);
    if (!check_image(c, s, "x", x, net_place_in(s, net_param(s, x)), w.in_h, w.in_w, w.in_c) ||
        !check_image(c, s, "y", s->out[0], net_place_out(s), v.out_h, v.out_w, v.out_c))
        return false;
    return w.n_images == 1 || (op_attr(s, "x")->ints[0] == w.in_w * op_attr(s, "x")->ints[1] && op_attr(s, "y")->ints[0] == w.out_w * op_attr(s, "y")->ints[1]) ||
           fail(c->d, at_stage(c, s), "several images must lie row by row");
}

static bool check_panel(const Check *c, const Op *s, const NetStage *k)
{
    NetStage last = k->kind == NET_chain ? net_part(s, 1) : *k;
    NetWindow w = net_window(&last);
    const char *panel = op_str(s, "panel", "");
    int64_t n = k->kind != NET_chain ? op_int(s, "positions", 0) : op_int(s, "rows", 0) <= w.out_h ? op_int(s, "rows", 0) * w.out_w : 0, bytes = op_int(s, "panel_bytes", 0), at = op_int(s, "panel_at", -1);

    if (n < 1 || n > w.out_h * w.out_w || bytes < 1 || at < 0 || at % 4 || bytes > c->arena || at > c->arena - bytes ||
        !image_panel_bytes(str_of(panel), 1, 1) || image_panel_bytes(str_of(panel), w.kernel_h * w.kernel_w * w.in_c, n) > (uint64_t)bytes)
        return fail(c->d, at_stage(c, s), "its panel '%s' of %" PRId64 " positions does not lie in the memory of %" PRId64 " bytes",
                    str_show(c->m->a, str_of(panel), 30), n, c->arena);
    return has_kernel(c, s, k->kind == NET_chain ? "depthwise_panel" : "im2col") && has_kernel(c, s, "dot_panel");
}

static bool check_kernels(const Check *c, const Op *s, const NetStage *k)
{
    bool ints = k->op->in[0]->type.fmt->kind == FORMAT_int;
    NetWindow w;

    if (k->kind == NET_chain && !image_layout_find(str_of(op_str(s, "layout_2", ""))))
        return fail(c->d, at_stage(c, s), "has no layout for its second weights");
    if (ints && (k->kind == NET_window || k->kind == NET_fully || k->kind == NET_chain) && !image_layout_find(str_of(op_str(s, "layout", ""))))
        return fail(c->d, at_stage(c, s), "has no layout for its weights");
    switch (k->kind) {
    case NET_chain:
        return check_panel(c, s, k);
    case NET_window:
        w = net_window(k);
        if (!ints)
            return has_kernel(c, s, k->op->kind == OP_dwconv2d ? "depthwise_f32" : "conv_f32");
        if (k->op->kind == OP_dwconv2d)
            return has_kernel(c, s, "depthwise");
        if (w.n_groups > 1)
            return has_kernel(c, s, "conv_groups");
        if (op_attr(s, "pointwise.0"))
            return w.kernel_h * w.kernel_w * w.stride_h * w.stride_w == 1 && w.pad_top + w.pad_left == 0 && w.in_w == w.out_w && w.in_h == w.out_h
                       ? has_kernel(c, s, "pointwise")
                       : fail(c->d, at_stage(c, s), "is no pointwise convolution");
        return check_panel(c, s, k);
    case NET_pool:
        return has_kernel(c, s, str_printf(c->m->a, "%s%s", op_info[k->op->kind].name, ints ? "" : "_f32"));
    case NET_fully:
        return has_kernel(c, s, ints ? "fully" : "fully_f32");
    case NET_add:
        return has_kernel(c, s, "add");
    case NET_softmax:
        return has_kernel(c, s, ints ? "softmax_int" : "softmax_f32");
    default:
        return true;
    }
}

static bool check_stage(const Check *c, const Func *f, const Op *s)
{
    const char *name = op_str(s, "stage", "");
    NetStage k = net_stage(s);

    if (strcmp(op_str(s, "kind", ""), "image") || !is_c_ident(str_of(name)) || str_begins(str_of(name), "sn_"))
        return fail(c->d, at_stage(c, s), "is no stage of a network, or its name is no name of a C function (is the Module scheduled?)");
    for (const Op *o = f->body->first; o && o != s; o = net_next(o))
        if (o->kind == OP_fused && !strcmp(op_str(o, "stage", ""), name))
            return fail(c->d, at_stage(c, s), "two stages have this name");
    if (!check_places(c, s, "in", s->in, s->n_in) || !check_places(c, s, "out", s->out, s->n_out))
        return false;
    for (int i = 0; i < s->n_in; i++)
        if (s->in[i]->kind == VAL_weight && !s->in[i]->weight->layout)
            return fail(c->d, at_stage(c, s), "weight '%s' has no place in the weights file", str_show(c->m->a, str_of(s->in[i]->name), 60));
    if ((k.kind == NET_window || k.kind == NET_pool || k.kind == NET_chain) && (!op_attr(s, "x") || !op_attr(s, "y") || !check_window(c, s, &k)))
        return op_attr(s, "x") && op_attr(s, "y") ? false : fail(c->d, at_stage(c, s), "does not say how its images lie");
    return check_kernels(c, s, &k);
}

/* What copies: loads, stores, the ends of a scan. */
static bool check_copies(const Check *c, const Op *o)
{
    Value **moved = o->kind == OP_scan ? ARENA_ARRAY(c->m->a, Value *, o->n_in + 1) : NULL;

    if (o->kind == OP_reshape || o->kind == OP_return)
        return true;
    if (!check_places(c, o, "in", o->in, o->n_in))
        return false;
    for (int i = 0; moved && i < o->n_in; i++)
        moved[i] = o->region[0]->param[i];
    return (o->kind != OP_load && o->kind != OP_scan) ||
           (check_places(c, o, "out", o->out, o->n_out) && (!moved || check_places(c, o, "params", moved, o->n_in)));
}

/* ---- the network ------------------------------------------------------------------------------------------------------------ */

bool net_check(const Module *m, Diag *d)
{
    Check c = { .m = m, .d = d, .arena = module_meta_int(m, "arena_bytes", 0) };
    const char *isas = module_meta_str(m, "target.0.isa", "");
    const Func *f = m->entry[0].func;
    const Op *end = f->body->last;
    bool one = module_meta_int(m, "build.n_target", 0) == 1;
    Value **state = ARENA_ARRAY(m->a, Value *, m->n_state + 1);

    c.unit = kernel_unit(one ? str_z(m->a, (Str){ isas, strcspn(isas, " ") }) : "portable");
    if (!c.unit)
        return fail(d, NOWHERE, "asks for kernels of '%s', which this sinter does not have", str_show(m->a, str_of(isas), 40));
    if (c.arena < 0 || c.arena > INT32_MAX)
        return fail(d, NOWHERE, "arena_bytes is %" PRId64 ": a network has at most %d bytes of memory", c.arena, INT32_MAX);
    if (m->first_func->next)
        return fail(d, NOWHERE, "a network with more than one function cannot be written yet");
    if (!all_written(&c, f) || (is_microcontroller(m) && !board_check(m, d)))
        return false;
    for (const Op *o = f->body->first; o; o = net_next(o))
        if (o->kind == OP_fused ? !check_stage(&c, f, o) : !check_copies(&c, o))
            return false;
    for (int i = 0; i < end->n_in; i++)
        if (!is_plain_tensor(end->in[i]) || !net_is_tensor(end->in[i]))
            return fail(d, NOWHERE, "output %d is no tensor that can be written", i);
    for (int i = 0; i < f->body->n_param; i++)
        if (!is_plain_tensor(f->body->param[i]) || !net_is_tensor(f->body->param[i]))
            return fail(d, NOWHERE, "input %d is of type %s, which cannot be written yet", i, type_text(m->a, f->body->param[i]->type));
    for (int i = 0; i < m->n_state; i++)
        state[i] = m->state[i]->value;
    return check_places(&c, end, "in", end->in, end->n_in) && (!m->n_state || check_places(&c, end, "states", state, m->n_state)) && check_places(&c, end, "inputs", f->body->param, f->body->n_param);
}
