/* channels: channels that a network of integers does not need.
 *
 * Training with ReLU leaves channels behind that are zero whatever the input is, and so do tools that prune.  Of the integers of a finished model that can be proved:
 *
 * 1. Forward, the least and the largest number that each channel can be: of a sum, from the least and the largest of its terms; through bias and requantization,
 * which are monotone.  A channel whose two are equal is a constant.
 *
 * 2. Backward, who could do without a channel.  What a convolution makes, and all that is computed of it channel by channel (bias, requantization, pools, depthwise
 * convolutions), is a *group*: channel c of it goes as a whole or stays.  It goes if every convolution or fully connected layer that reads the group
 *      - multiplies it with zeros for all outputs that stay, or
 *      - reads it as a constant: (constant - zero point) * (sum of its weights) is added to the bias.  With padding the constant must be the zero point, which is what lies
 *        outside the image.
 * Any other use needs all channels.
 *
 * Outputs are the same, bit for bit, for every input.  (Of the "visual wake words" network of MLPerf Tiny 1,650 of 2,738 channels go, and with them 85 % of its weights and half of its
 * multiplications.)
 *
 * Requires: nothing.  Leaves: weights of fewer channels, as constants of the Module; meta "channels.left_out". */
#include "compiler/passes/passes.h"
#include "ir/fixed.h"

/* Channels that go together. */
typedef struct {
    int64_t n;
    bool *gone;
    bool stays;                 /* all of it: an input, or somebody needs all */
} Group;

/* What is known of a value: its group, and between which numbers each channel lies. */
typedef struct {
    Value *v;
    Group *group;
    int64_t *lo, *hi;
} Fact;

typedef struct {
    Module *m;
    Func *f;
    Arena *a;
    Diag *d;
    Fact *fact;
    int n_fact;
} Channels;

static Fact *fact_of(const Channels *p, const Value *v)
{
    for (int i = 0; i < p->n_fact; i++)
        if (p->fact[i].v == v)
            return &p->fact[i];
    return NULL;
}

/* NULL group: a new one. */
static Fact *add_fact(Channels *p, Value *v, Group *g)
{
    Fact *x = &p->fact[p->n_fact++];
    int64_t n = dim_hi(type_last(v->type));

    if (!g) {
        g = ARENA_ARRAY(p->a, Group, 1);
        g->n = n;
        g->gone = ARENA_ARRAY(p->a, bool, n);
        for (int64_t c = 0; c < n; c++)
            g->gone[c] = true;
    }
    *x = (Fact){ v, g, ARENA_ARRAY(p->a, int64_t, n), ARENA_ARRAY(p->a, int64_t, n) };
    for (int64_t c = 0; c < n; c++)
        format_int_range(v->type.fmt, &x->lo[c], &x->hi[c]);
    return x;
}

/* ---- weights ---- */

static int n_uses(const Module *m, const Value *v)
{
    int n = 0;

    for (const Func *f = m->first_func; f; f = f->next)
        n += value_n_uses(f->body, v);
    return n;
}

/* May the numbers of w be read, and changed without anybody else noticing? */
static bool is_ours(const Channels *p, const Value *v)
{
    const Weight *w = v->kind == VAL_weight ? v->weight : NULL;

    return w && w->type.fmt->kind == FORMAT_int && w->type.fmt->bytes <= 4 && w->type.rank >= 1 && n_uses(p->m, v) == 1 &&
           (w->expr->kind == W_const || (w->expr->kind == W_view && p->m->file[w->expr->file].p));
}

/* All numbers of a weight, row by row. */
static int32_t *numbers(const Channels *p, const Value *v)
{
    int64_t n = dim_hi(type_last(v->type)), rows = type_n_rows(v->type);
    int32_t *x = ARENA_ARRAY(p->a, int32_t, n * rows + 1);

    for (int64_t i = 0; i < rows; i++)
        if (!weight_row_ints(p->m, v->weight, i, x + i * n, p->d))
            bug("a weight that is at hand cannot be read");
    return x;
}

/* A contraction: [n_out][n_window][n_in] numbers; depthwise: [n_window][n_out]. */
typedef struct {
    const Op *o;
    bool depthwise, padded;
    int64_t n_out, n_window, n_in, x_zero;
    int32_t *w;
} Layer;

static bool is_layer(const Channels *p, const Op *o)
{
    Type x, w;

    if ((o->kind != OP_conv2d && o->kind != OP_dwconv2d && o->kind != OP_matmul) || o->n_in != 2 || !is_ours(p, o->in[1]) || op_int(o, "w_zero", 0))
        return false;
    x = o->in[0]->type;
    w = o->in[1]->type;
    return x.fmt->kind == FORMAT_int && x.rank >= 1 && dim_is_const(type_last(x), NULL) && w.rank == (o->kind == OP_matmul ? 2 : o->kind == OP_conv2d ? 4 : 3) &&
           dim_hi(type_last(w)) == dim_hi(type_last(x));        /* no groups, no multiplier of depth */
}

static Layer layer_of(const Channels *p, const Op *o)
{
    Type w = o->in[1]->type;
    Layer l = { .o = o, .depthwise = o->kind == OP_dwconv2d, .n_in = dim_hi(type_last(w)), .n_window = 1, .x_zero = op_int(o, "x_zero", 0) };
    const Attr *pad = op_attr(o, "pad");

    for (int i = 0; pad && i < pad->n_ints; i++)
        l.padded = l.padded || pad->ints[i];
    l.n_out = l.depthwise ? l.n_in : dim_hi(w.dim[0]);
    for (int i = l.depthwise ? 0 : 1; i + 1 < w.rank; i++)
        l.n_window *= dim_hi(w.dim[i]);
    l.w = numbers(p, o->in[1]);
    return l;
}

static int32_t weight_at(const Layer *l, int64_t out, int64_t window, int64_t in)
{
    return l->depthwise ? l->w[window * l->n_out + out] : l->w[(out * l->n_window + window) * l->n_in + in];
}

/* ---- forward ---- */

/* The only user of a value. */
static Op *only_user(const Channels *p, const Value *v)
{
    if (value_n_uses(p->f->body, v) != 1)
        return NULL;
    for (Op *o = p->f->body->first; o; o = o->next)
        for (int i = 0; i < o->n_in; i++)
            if (o->in[i] == v)
                return o;
    return NULL;
}

static bool is_bias(const Channels *p, const Op *o)
{
    return o->kind == OP_add && is_ours(p, o->in[1]) && o->in[1]->type.rank == 1 && dim_hi(type_last(o->in[1]->type)) == dim_hi(type_last(o->in[0]->type));
}

/* One number for each channel of x, or one for all. */
static bool fits(const Channels *p, const Value *v, const Value *x)
{
    return is_ours(p, v) && v->type.rank == 1 && (dim_hi(v->type.dim[0]) == 1 || dim_hi(v->type.dim[0]) == dim_hi(type_last(x->type)));
}

static bool is_requant(const Channels *p, const Op *o)
{
    return o->kind == OP_requant && fits(p, o->in[1], o->in[0]) && fits(p, o->in[2], o->in[0]) && !op_int(o, "left", 0) && !op_int(o, "x_zero", 0);
}

/* Is channel c of the result made of channel c of the first operand alone? */
static bool is_by_channel(const Channels *p, const Op *o)
{
    switch (o->kind) {
    case OP_add: return is_bias(p, o);
    case OP_requant: return is_requant(p, o);
    case OP_dwconv2d: return is_layer(p, o);
    case OP_avgpool: case OP_maxpool: return true;
    case OP_reshape: return o->out[0]->type.rank >= 1 && dim_is_const(type_last(o->out[0]->type), NULL) && type_last(o->out[0]->type) == type_last(o->in[0]->type);
    default: return false;
    }
}

static void sum_range(const Layer *l, const Fact *x, Fact *y)
{
    for (int64_t n = 0; n < l->n_out; n++) {
        int64_t lo = 0, hi = 0;

        for (int64_t u = 0; u < l->n_window; u++)
            for (int64_t k = l->depthwise ? n : 0; k < (l->depthwise ? n + 1 : l->n_in); k++) {
                int64_t w = weight_at(l, n, u, k), a = w * (x->lo[k] - l->x_zero), b = w * (x->hi[k] - l->x_zero);
                int64_t least = a < b ? a : b, most = a < b ? b : a;

                lo += l->padded && least > 0 ? 0 : least;
                hi += l->padded && most < 0 ? 0 : most;
            }
        if (lo >= y->lo[n] && hi <= y->hi[n]) {         /* no sum wraps */
            y->lo[n] = lo;
            y->hi[n] = hi;
        }
    }
}

static void bias_range(const Channels *p, const Op *o, const Fact *x, Fact *y)
{
    const int32_t *b = numbers(p, o->in[1]);

    for (int64_t c = 0; c < x->group->n; c++)
        if (x->lo[c] + b[c] >= y->lo[c] && x->hi[c] + b[c] <= y->hi[c]) {
            y->lo[c] = x->lo[c] + b[c];
            y->hi[c] = x->hi[c] + b[c];
        }
}

static void requant_range(const Channels *p, const Op *o, const Fact *x, Fact *y)
{
    const int32_t *m = numbers(p, o->in[1]), *s = numbers(p, o->in[2]);
    bool single = !strcmp(op_str(o, "rounding", "double"), "single"), one = dim_hi(type_last(o->in[1]->type)) == 1;
    bool one_s = dim_hi(type_last(o->in[2]->type)) == 1;
    int64_t zero = op_int(o, "zero", 0), lo = op_int(o, "lo", y->lo[0]), hi = op_int(o, "hi", y->hi[0]);

    for (int64_t c = 0; c < x->group->n; c++) {
        int32_t mult = m[one ? 0 : c], shift = s[one_s ? 0 : c];
        int64_t end[2] = { x->lo[c], x->hi[c] };

        if (mult < 0 || shift < -31 || shift > 30)
            continue;                           /* the interpreter says what is wrong */
        for (int i = 0; i < 2; i++) {
            end[i] = zero + fixed_rescale((int32_t)end[i], mult, shift, single);
            end[i] = end[i] < lo ? lo : end[i] > hi ? hi : end[i];
        }
        y->lo[c] = end[0];
        y->hi[c] = end[1];
    }
}

/* Facts of an op's result, if it is of a kind that is known here. */
static void follow(Channels *p, const Op *o)
{
    Fact *x = o->n_in ? fact_of(p, o->in[0]) : NULL, *y;

    if (o->n_out != 1 || o->out[0]->type.fmt->kind != FORMAT_int)
        return;
    if (x && is_by_channel(p, o)) {
        y = add_fact(p, o->out[0], x->group);
        if (o->kind == OP_dwconv2d) {
            Layer l = layer_of(p, o);

            sum_range(&l, x, y);
        } else if (o->kind == OP_add) {
            bias_range(p, o, x, y);
        } else if (o->kind == OP_requant) {
            requant_range(p, o, x, y);
        } else {
            memcpy(y->lo, x->lo, (size_t)x->group->n * sizeof *y->lo);
            memcpy(y->hi, x->hi, (size_t)x->group->n * sizeof *y->hi);
        }
    } else if (x && (o->kind == OP_conv2d || o->kind == OP_matmul) && is_layer(p, o)) {
        Layer l = layer_of(p, o);
        const Op *user = only_user(p, o->out[0]);

        y = add_fact(p, o->out[0], NULL);
        y->group->stays = !user || !is_bias(p, user);
        sum_range(&l, x, y);
    } else if (o->out[0]->type.rank >= 1 && dim_is_const(type_last(o->out[0]->type), NULL)) {
        add_fact(p, o->out[0], NULL)->group->stays = true;
    }
}

/* ---- backward ---- */

/* Does the layer need channel k of what it reads? */
static bool needs(const Layer *l, const Fact *x, const Group *out, int64_t k)
{
    bool zero = true;

    if (x->lo[k] == x->hi[k] && (!l->padded || x->lo[k] == l->x_zero))
        return false;
    for (int64_t n = 0; n < l->n_out; n++)
        for (int64_t u = 0; !out->gone[n] && u < l->n_window; u++)
            zero = zero && !weight_at(l, n, u, k);
    return !zero;
}

/* One channel stays, where all could go: there are no tensors without elements. */
static void settle(Group *g)
{
    bool any = false;

    for (int64_t c = 0; c < g->n; c++) {
        g->gone[c] = g->gone[c] && !g->stays;
        any = any || !g->gone[c];
    }
    if (!any)
        g->gone[0] = false;
}

static void demand(const Channels *p, const Op *o)
{
    Fact *x;

    if ((o->kind == OP_conv2d || o->kind == OP_matmul) && is_layer(p, o) && fact_of(p, o->out[0]) && fact_of(p, o->in[0])) {
        const Op *user = only_user(p, o->out[0]);
        Layer l = layer_of(p, o);

        x = fact_of(p, o->in[0]);
        settle(fact_of(p, o->out[0])->group);
        for (int64_t k = 0; k < l.n_in; k++)
            x->group->gone[k] = x->group->gone[k] && user && is_bias(p, user) && !needs(&l, x, fact_of(p, o->out[0])->group, k);
        return;
    }
    if (o->n_in && (x = fact_of(p, o->in[0])) && o->n_out == 1 && is_by_channel(p, o) && fact_of(p, o->out[0]) &&
        fact_of(p, o->out[0])->group == x->group)
        return;
    for (int i = 0; i < o->n_in; i++)
        if ((x = fact_of(p, o->in[i])))
            x->group->stays = true;
}

/* ---- what goes ---- */

static int64_t n_kept(const Group *g)
{
    int64_t n = 0;

    for (int64_t c = 0; c < g->n; c++)
        n += !g->gone[c];
    return n;
}

static void set_numbers(Channels *p, Value *v, const int64_t *dim, int32_t *x)
{
    Weight *w = v->weight;
    WExpr *e;

    for (int i = 0; i < w->type.rank; i++)
        w->type.dim[i] = dim_const(p->m, dim[i]);
    v->type = w->type;
    e = wexpr_new(p->m, W_const, w->type);
    e->ints = x;
    w->expr = e;
}

/* A weight with one number for each channel (or one for all). */
static void cut_vector(Channels *p, Value *v, const Group *g)
{
    int64_t n = n_kept(g), k = 0;
    const int32_t *old = numbers(p, v);
    int32_t *x = ARENA_ARRAY(p->m->a, int32_t, n);

    if (dim_hi(type_last(v->type)) != g->n || n == g->n)
        return;
    for (int64_t c = 0; c < g->n; c++)
        if (!g->gone[c])
            x[k++] = old[c];
    set_numbers(p, v, &n, x);
}

static void cut_depthwise(Channels *p, const Op *o, const Group *g)
{
    Layer l = layer_of(p, o);
    int64_t n = n_kept(g), i = 0, dim[3] = { dim_hi(o->in[1]->type.dim[0]), dim_hi(o->in[1]->type.dim[1]), n };
    int32_t *x = ARENA_ARRAY(p->m->a, int32_t, n * l.n_window);

    for (int64_t u = 0; u < l.n_window; u++)
        for (int64_t c = 0; c < l.n_out; c++)
            if (!g->gone[c])
                x[i++] = l.w[u * l.n_out + c];
    set_numbers(p, o->in[1], dim, x);
}

/* Rows of the outputs that stay, columns of the inputs that stay; the constants of the others go into the bias. */
static void cut_layer(Channels *p, const Op *o)
{
    const Fact *x = fact_of(p, o->in[0]);
    const Group *in = x->group, *out = fact_of(p, o->out[0])->group;
    Layer l = layer_of(p, o);
    int64_t n = n_kept(out), k = n_kept(in), i = 0, dim[MAX_RANK];
    Value *bias;
    int32_t *w, *b;

    if (n == out->n && k == in->n)
        return;
    if (k < in->n) {                            /* (the bias is cut where it is added) */
        bias = only_user(p, o->out[0])->in[1];
        b = ARENA_ARRAY(p->m->a, int32_t, l.n_out);
        memcpy(b, numbers(p, bias), (size_t)l.n_out * sizeof *b);
        for (int64_t c = 0; c < l.n_out; c++)
            for (int64_t u = 0; u < l.n_window; u++)
                for (int64_t j = 0; j < l.n_in; j++)
                    if (in->gone[j] && x->lo[j] == x->hi[j])
                        b[c] = fixed_wrap(b[c] + weight_at(&l, c, u, j) * (x->lo[j] - l.x_zero));
        set_numbers(p, bias, &l.n_out, b);
    }
    w = ARENA_ARRAY(p->m->a, int32_t, n * l.n_window * k);
    for (int64_t c = 0; c < l.n_out; c++)
        for (int64_t u = 0; !out->gone[c] && u < l.n_window; u++)
            for (int64_t j = 0; j < l.n_in; j++)
                if (!in->gone[j])
                    w[i++] = weight_at(&l, c, u, j);
    for (int r = 0; r < o->in[1]->type.rank; r++)
        dim[r] = dim_hi(o->in[1]->type.dim[r]);
    dim[0] = n;
    dim[o->in[1]->type.rank - 1] = k;
    set_numbers(p, o->in[1], dim, w);
}

static void cut_op(Channels *p, Op *o)
{
    const Fact *y = o->n_out == 1 ? fact_of(p, o->out[0]) : NULL;
    bool by_channel = y && is_by_channel(p, o) && fact_of(p, o->in[0]);

    if (y && (o->kind == OP_conv2d || o->kind == OP_matmul) && is_layer(p, o) && fact_of(p, o->in[0]))
        cut_layer(p, o);
    if (!by_channel || n_kept(y->group) == y->group->n)
        return;
    if (o->kind == OP_dwconv2d) {
        cut_depthwise(p, o, y->group);
    } else if (o->kind == OP_reshape) {
        const Attr *dims = op_attr(o, "dims");
        int64_t to[MAX_RANK];

        memcpy(to, dims->ints, (size_t)dims->n_ints * sizeof *to);
        to[dims->n_ints - 1] = n_kept(y->group);
        op_set_attr(o, attr_ints("dims", to, dims->n_ints));
    }
    for (int i = 1; (o->kind == OP_add || o->kind == OP_requant) && i < o->n_in; i++)
        cut_vector(p, o->in[i], y->group);
}

static int64_t leave_out(Module *m, Func *f, Arena *a, Diag *d, int64_t *n_channel)
{
    Channels p = { .m = m, .f = f, .a = a, .d = d };
    int n = f->body->n_param;
    int64_t n_gone = 0;

    for (const Op *o = f->body->first; o; o = o->next)
        n += o->n_out;
    p.fact = ARENA_ARRAY(a, Fact, n + 1);
    for (int i = 0; i < f->body->n_param; i++) {
        Value *v = f->body->param[i];

        if (v->stands_for == VAL_result && v->type.fmt->kind == FORMAT_int && v->type.rank >= 1 && dim_is_const(type_last(v->type), NULL))
            add_fact(&p, v, NULL)->group->stays = true;
    }
    for (const Op *o = f->body->first; o; o = o->next)
        follow(&p, o);
    for (const Op *o = f->body->last; o; o = o->prev)
        demand(&p, o);
    for (int i = 0; i < p.n_fact; i++)
        settle(p.fact[i].group);
    for (Op *o = f->body->first; o; o = o->next)
        cut_op(&p, o);
    for (int i = 0; i < p.n_fact; i++) {
        Value *v = p.fact[i].v;
        const Group *g = p.fact[i].group;
        bool made = v->op && v->op->kind == OP_requant;

        v->type.dim[v->type.rank - 1] = dim_const(m, n_kept(g));
        *n_channel += made ? g->n : 0;
        n_gone += made ? g->n - n_kept(g) : 0;
    }
    return n_gone;
}

static bool has_images(const Func *f)
{
    for (const Op *o = f->body->first; o; o = o->next)
        if (o->kind == OP_requant)
            return true;
    return false;
}

bool pass_channels(Module *m, const Env *env, Diag *d)
{
    int64_t n_channel = 0, n_gone = 0;

    for (Func *f = m->first_func; f; f = f->next)
        if (has_images(f))
            n_gone += leave_out(m, f, env->scratch, d, &n_channel);
    if (n_gone) {
        module_set_meta(m, "channels.left_out", attr_int("", n_gone));
        note(d, "%" PRId64 " of %" PRId64 " channels never change, or are never needed: they are left out, and nothing that is computed changes", n_gone, n_channel);
    }
    return true;
}
