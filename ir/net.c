/* Stages of networks: what they are made of follows from the ops in their region, so nothing is written down that could contradict it.
 *
 * Where a kernel for integers does not compute an op's general form (zero points of weights, single rounding, other formats than int8), the
 * stage is of no kind, and whoever writes C says so. */
#include "ir/net.h"
#include "ir/stages.h"

#include <string.h>

bool module_is_network(const Module *m)
{
    return m->n_entry == 1 && !strcmp(m->entry[0].name, "run");
}

int64_t net_dim(Type t, int i)
{
    int64_t n = 1;

    if (i >= 0 && i < t.rank)
        dim_is_const(t.dim[i], &n);
    return n;
}

bool net_is_tensor(const Value *v)
{
    return v->kind == VAL_result || (v->kind == VAL_param && v->stands_for == VAL_result);
}

static int param_of(const Region *r, const Value *v)
{
    for (int i = 0; i < r->n_param; i++)
        if (r->param[i] == v)
            return i;
    return -1;
}

int net_param(const Op *fused, const Value *v)
{
    return fused->n_region ? param_of(fused->region[0], v) : -1;
}

/* From a stage's region outwards: that of a scan has parameters, too. */
const Weight *net_weight(const Op *fused, const Value *v)
{
    for (const Op *o = fused; o; o = o->parent->owner) {
        int i = o->n_region ? param_of(o->region[0], v) : -1;

        if (i >= 0)
            v = o->in[i];
    }
    return v->kind == VAL_weight ? v->weight : NULL;
}

bool net_is_stage(const Op *o)
{
    return o->kind != OP_reshape && o->kind != OP_load && o->kind != OP_store && o->kind != OP_scan && o->kind != OP_yield && o->kind != OP_return;
}

Op *net_next(const Op *o)
{
    if (o->kind == OP_scan && o->n_region == 1 && o->region[0]->first)
        return o->region[0]->first;
    if (o->next)
        return o->next;
    return o->parent->owner ? o->parent->owner->next : NULL;
}

const Value *net_root(const Value *v)
{
    for (;;)
        if (v->kind == VAL_result && v->op->kind == OP_reshape)
            v = v->op->in[0];
        else if (v->kind == VAL_result && v->op->kind == OP_scan && v->index < op_int(v->op, "carried", 0))
            v = v->op->region[0]->param[v->index];
        else
            return v;
}

/* ---- formats of ops ------------------------------------------------------------------------------------------------------ */

static bool is_weight(const Value *v)
{
    return v->kind == VAL_weight || (v->kind == VAL_param && v->stands_for == VAL_weight);
}

static bool is_format(const Value *v, FormatId id)
{
    return format_id(v->type.fmt) == id;
}

bool net_is_map(const Op *o)
{
    if (o->n_out != 1)
        return false;
    switch (o->kind) {
    case OP_requant: case OP_clamp: case OP_lookup: case OP_quantize: case OP_sigmoid_int: case OP_tanh_int:
        return true;
    case OP_convert:
        return o->in[0]->type.fmt->kind != FORMAT_block && o->out[0]->type.fmt->kind != FORMAT_block;
    default:
        return op_is_elementwise(o);
    }
}

static bool is_anchor(const Op *o)
{
    return o->kind == OP_conv2d || o->kind == OP_dwconv2d || o->kind == OP_matmul || o->kind == OP_tconv2d;
}

static bool is_int(const Op *anchor)
{
    return anchor->in[0]->type.fmt->kind == FORMAT_int;
}

/* Is o the `add` of a number for each channel? */
static bool is_bias(const Op *o)
{
    return o->kind == OP_add && is_weight(o->in[1]) && o->in[1]->type.rank == 1 && !is_weight(o->in[0]) &&
           net_dim(o->in[1]->type, 0) == net_dim(o->in[0]->type, o->in[0]->type.rank - 1);
}

/* A requant from sums, or from int8, as kernels do it. */
static bool is_plain_requant(const Op *o, FormatId to)
{
    return o->kind == OP_requant && is_format(o->out[0], to) && is_weight(o->in[1]) && is_weight(o->in[2]) &&
           !strcmp(op_str(o, "rounding", "double"), "double");
}

static bool ends_int(const Op *o)
{
    return is_plain_requant(o, FMT_i8) && op_int(o, "x_zero", 0) == 0 && op_int(o, "left", 0) == 0;
}

static bool ends_float(const Op *o)
{
    return o->kind == OP_relu || o->kind == OP_clamp;
}

/* ---- kinds ----------------------------------------------------------------------------------------------------------------- */

static const Op *next_in_region(const Op *o)
{
    return o && o->next && o->next->kind != OP_yield ? o->next : NULL;
}

bool net_begins_window(const Op *o)
{
    return (o->kind == OP_conv2d || o->kind == OP_dwconv2d) && is_weight(o->in[1]) && op_int(o, "w_zero", 0) == 0 && is_format(o->in[0], FMT_i8) &&
           is_format(o->in[1], FMT_i8);
}

bool net_ends_window(const Op *end)
{
    return ends_int(end);
}

/* What begins with the contraction o; *rest is the first op behind it, NULL: none. */
static NetStage contraction(const Op *o, const Op **rest)
{
    NetStage s = { .kind = NET_none, .op = o };
    const Op *next = next_in_region(o);
    bool ints = is_int(o);

    *rest = NULL;
    if (o->kind == OP_tconv2d || o->n_in != 2 || !is_weight(o->in[1]) || op_int(o, "w_zero", 0) != 0)
        return s;
    if (ints ? !is_format(o->in[0], FMT_i8) || !is_format(o->in[1], FMT_i8) : !is_format(o->in[0], FMT_f32) || !is_format(o->in[1], FMT_f32))
        return s;
    if (next && is_bias(next)) {
        s.bias = next;
        next = next_in_region(next);
    }
    if (next && (ints ? ends_int(next) : ends_float(next))) {
        s.end = next;
        next = next_in_region(next);
    }
    if (ints && !s.end)
        return s;
    *rest = next;
    s.kind = o->kind == OP_matmul && !(ints && net_dim(s.end->in[1]->type, 0) > 1) ? NET_fully : NET_window;
    return s;
}

static NetStage pooling(const Op *o)
{
    NetStage s = { .kind = NET_none, .op = o };
    const Op *next = next_in_region(o);

    if (!is_format(o->in[0], FMT_i8) && !is_format(o->in[0], FMT_f32))
        return s;
    if (next && ends_float(next) && !(next->kind == OP_relu && is_int(o))) {
        s.end = next;
        next = next_in_region(next);
    }
    s.kind = next ? NET_none : NET_pool;
    return s;
}

/* The operand of a sum of int8: scaled up, and rescaled to a common scale.  By one half at the most: a shift to the left is not needed. */
static bool is_rescaled(const Op *o, int64_t left)
{
    return is_plain_requant(o, FMT_i32) && is_format(o->in[0], FMT_i8) && net_is_tensor(o->in[0]) && op_int(o, "zero", 0) == 0 &&
           op_int(o, "left", 0) == left && left <= 20 && !op_attr(o, "lo") && !op_attr(o, "hi") && net_dim(o->in[1]->type, 0) == 1 &&
           o->in[1]->type.rank == 1;
}

/* The sum of images that begins with op o.  The order in which its operands are rescaled does not matter. */
static NetStage addition(const Op *o)
{
    const Op *a = o, *b = next_in_region(a), *sum = next_in_region(b), *end = next_in_region(sum);
    NetStage s = { .kind = NET_none, .op = sum, .end = end };

    if (!end || next_in_region(end) || sum->n_in < 2)
        return s;
    if (sum->in[0] == b->out[0] && sum->in[1] == a->out[0]) {
        a = b;
        b = o;
    }
    s.rescale[0] = a;
    s.rescale[1] = b;
    if (sum->kind == OP_add && is_rescaled(a, op_int(a, "left", 0)) && is_rescaled(b, op_int(a, "left", 0)) && sum->in[0] == a->out[0] &&
        sum->in[1] == b->out[0] && type_eq(a->in[0]->type, b->in[0]->type) && ends_int(end) && net_dim(end->in[1]->type, 0) == 1)
        s.kind = NET_add;
    return s;
}

bool net_is_pointwise(const NetWindow *w)
{
    return w->kernel_h == 1 && w->kernel_w == 1 && w->stride_h == 1 && w->stride_w == 1 && w->pad_top == 0 && w->pad_left == 0 &&
           w->in_h == w->out_h && w->in_w == w->out_w && w->n_groups == 1;
}

/* The pointwise window that alone reads a depthwise one, both of int8; else of no kind. */
static NetStage second_part(const NetStage *first, const Op *rest)
{
    NetStage none = { .kind = NET_none, .op = rest }, s;
    const Op *more;
    NetWindow w;

    if (first->kind != NET_window || first->op->kind != OP_dwconv2d || !is_int(first->op) || rest->kind != OP_conv2d ||
        rest->in[0] != first->end->out[0])
        return none;
    s = contraction(rest, &more);
    w = net_window(&s);
    return s.kind == NET_window && !more && net_is_pointwise(&w) && w.n_images == 1 ? s : none;
}

NetStage net_part(const Op *fused, int i)
{
    const Op *rest;
    NetStage first = contraction(fused->region[0]->first, &rest);

    return i == 0 ? first : second_part(&first, rest);
}

static bool all_map(const Op *o)
{
    for (; o && o->kind != OP_yield; o = o->next)
        if (!net_is_map(o))
            return false;
    return true;
}

/* Products that loops compute: of integers of at most 16 bits, or of floats; sums of int16 wrap. */
static bool is_plain_products(const Op *o)
{
    return o->in[0]->type.fmt->kind == o->in[1]->type.fmt->kind && (is_int(o) ? o->in[0]->type.fmt->bytes <= 2 && o->in[1]->type.fmt->bytes <= 2
                                                                              : is_format(o->in[0], FMT_f32) && is_format(o->in[1], FMT_f32));
}

static const Op *last_of(const Op *fused)
{
    const Op *last = fused->region[0]->last;

    return last->prev ? last->prev : last;
}

NetStage net_stage(const Op *fused)
{
    const Op *o = fused->region[0]->first;
    NetStage s = { .kind = NET_none, .op = o };

    if (fused->n_out != 1 || o->kind == OP_yield)
        return s;
    if (is_anchor(o)) {
        const Op *rest;

        s = contraction(o, &rest);
        if (rest)
            s.kind = second_part(&s, rest).kind == NET_window ? NET_chain : NET_none;
        if (s.kind == NET_none && all_map(o->next) && is_plain_products(o))
            s = (NetStage){ .kind = NET_products, .op = o };
        return s;
    }
    switch (o->kind) {
    case OP_avgpool: case OP_maxpool:
        return pooling(o);
    case OP_softmax_int:
        s.kind = is_format(o->in[0], FMT_i8) && is_format(o->out[0], FMT_i8) && !next_in_region(o) ? NET_softmax : NET_none;
        return s;
    case OP_softmax:
        s.kind = is_format(o->in[0], FMT_f32) && !next_in_region(o) ? NET_softmax : NET_none;
        return s;
    case OP_sum:
        s.kind = all_map(o->next) ? NET_sum : NET_none;
        return s;
    case OP_resize: case OP_l2norm_int:
        s.kind = (is_format(o->in[0], FMT_i8) || is_format(o->in[0], FMT_f32)) && !next_in_region(o) ? NET_call : NET_none;
        return s;
    case OP_concat: case OP_slice: case OP_pad: case OP_transpose: case OP_gather: case OP_argmax:
        s.kind = next_in_region(o) ? NET_none : NET_move;
        return s;
    default:
        if (!all_map(o))
            return s;
        s = addition(o);
        if (s.kind == NET_none)
            s = (NetStage){ .kind = NET_map, .op = last_of(fused) };
        return s;
    }
}

bool net_may_follow(const NetStage *s, const Op *next, int i)
{
    bool ints = s->op && s->op->n_in > 0 && is_int(s->op);

    if (s->kind == NET_map || s->kind == NET_sum)
        return net_is_map(next);
    if (s->end || i != 0)
        return false;
    if (s->kind == NET_pool)
        return ends_float(next) && !(next->kind == OP_relu && ints);
    if (!s->op || !is_anchor(s->op))
        return false;
    return (!s->bias && is_bias(next)) || (ints ? next->kind == OP_requant && is_weight(next->in[1]) && is_weight(next->in[2]) : ends_float(next));
}

/* ---- windows --------------------------------------------------------------------------------------------------------------- */

static void read_two(const Op *o, const char *name, int64_t *first, int64_t *second)
{
    const Attr *a = op_attr(o, name);

    if (a && a->kind == ATTR_ints && a->n_ints >= 2) {
        *first = a->ints[0];
        *second = a->ints[1];
    }
}

NetWindow net_window(const NetStage *s)
{
    const Op *o = s->op;
    Type x = o->in[0]->type, y = o->out[0]->type;
    NetWindow w = { .kernel_h = 1, .kernel_w = 1, .stride_h = 1, .stride_w = 1, .dilation_h = 1, .dilation_w = 1, .n_images = 1, .n_groups = 1,
                    .in_h = 1, .out_h = 1 };

    if (o->kind == OP_matmul) {
        w.in_c = net_dim(x, x.rank - 1);
        w.out_c = net_dim(y, y.rank - 1);
        w.in_w = w.out_w = type_n(x) / (w.in_c ? w.in_c : 1);
        return w;
    }
    w.n_images = net_dim(x, 0);
    w.in_h = net_dim(x, 1), w.in_w = net_dim(x, 2), w.in_c = net_dim(x, 3);
    w.out_h = net_dim(y, 1), w.out_w = net_dim(y, 2), w.out_c = net_dim(y, 3);
    if (is_anchor(o)) {
        bool depthwise = o->kind == OP_dwconv2d;

        w.kernel_h = net_dim(o->in[1]->type, !depthwise), w.kernel_w = net_dim(o->in[1]->type, 1 + !depthwise);
        w.n_groups = depthwise ? 1 : w.in_c / net_dim(o->in[1]->type, 3);
    } else
        read_two(o, "window", &w.kernel_h, &w.kernel_w);
    read_two(o, "stride", &w.stride_h, &w.stride_w);
    read_two(o, "dilation", &w.dilation_h, &w.dilation_w);
    read_two(o, "pad", &w.pad_top, &w.pad_left);
    return w;
}
