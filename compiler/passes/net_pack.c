/* pack for networks without tokens: which kernels compute each stage, and so how its weights are packed; a place in NAME.weights for each weight.
 *
 * Kernels are taken by contract, from the best instruction set of the target that can do a stage as a whole: a convolution takes a kernel that
 * reads its image in place, or one that fills panels and one that multiplies them, which speak of the same panel.  What a kernel cannot
 * do (its layout's `fits`) the next one does, in the end plain C.  A set of targets gets plain C: there is one program for all of them.
 *
 * NAME.weights has the weights as the importer has them, because that is what they mean; they are packed for their kernels when C is written.
 *
 * Images lie pixel by pixel (nhwc), but in lines where a depthwise kernel wants that and all that read or write the image can do it: a row is then W numbers of
 * each channel, so that as many bytes as before are a row, and an image may still be overwritten row by row.
 *
 * Leaves on a stage: ROLE.0 for each kernel, layout (of a chain's second part layout_2), panel; x and y: strides of its image and of its result in bytes,
 * [row, column, channel]; on weights layout, off, stride, bytes. */
#include "codegen/kernels.h"
#include "codegen/net_layer.h"
#include "codegen/weights.h"
#include "compiler/passes/net.h"

typedef struct {
    Module *m;
    const Env *env;
    Diag *d;
    const KernelUnit *unit;
    const char *const *isas;    /* best first */
    bool lines;                 /* how the image of the stage at hand lies: each row channel by channel */
    uint64_t packed;            /* bytes of weights and channels of all layers, as their kernels read them */
} Pack;

/* ---- kernels --------------------------------------------------------------------------------------------------------------- */

/* The next kernel of an instruction set for op behind `after` (NULL: the first); panel and act NULL: any. */
static const KernelInfo *next_kernel(const Pack *p, const KernelInfo *after, const char *isa, const char *op, const char *panel)
{
    for (int i = after ? (int)(after - p->unit->kernels) + 1 : 0; i < p->unit->n_kernels; i++) {
        const KernelInfo *k = &p->unit->kernels[i];

        if (!strcmp(k->isa, isa) && !strcmp(k->op, op) && (!panel || !strcmp(k->panel, panel)))
            return k;
    }
    return NULL;
}

/* Does it take an image in lines (each row channel by channel), or else in pixels (each with its channels together)? */
static bool takes(const KernelInfo *k, bool lines)
{
    return !*k->act || !strcmp(k->act, "any") || !strcmp(k->act, lines ? "planar" : "nhwc");
}

/* l NULL: of floats.  Where the weights are not at hand (l->w NULL), only what takes any. */
static bool layout_fits(const KernelInfo *k, const ImageLayer *l)
{
    const ImageLayout *layout = *k->layout ? image_layout_find(str_of(k->layout)) : NULL;

    return !*k->layout || !l || (layout && (!layout->fits || (l->w && layout->fits(l))));
}

static void note_kernel(Pack *p, Op *fused, const KernelInfo *k, const char *layout)
{
    op_set_attr(fused, attr_str(str_printf(p->m->a, "%s.0", k->op), k->name));
    if (*k->layout)
        op_set_attr(fused, attr_str(layout, k->layout));
    if (*k->panel)
        op_set_attr(fused, attr_str("panel", k->panel));
}

/* Which of two kernels that can do a stage is better: the one whose layout comes first in the table, then the one that wants more of its image. */
static int rank(const KernelInfo *k)
{
    const ImageLayout *const *all = image_layouts();
    int i = 0;

    while (*k->layout && all[i] && strcmp(all[i]->name, k->layout))
        i++;
    return 2 * i + !strcmp(k->act, "any");
}

/* The best kernel of an instruction set for op, NULL: it has none for this stage. */
static const KernelInfo *best_kernel(const Pack *p, const char *isa, const char *op, const char *panel, const ImageLayer *l)
{
    const KernelInfo *best = NULL;

    for (const KernelInfo *k = NULL; (k = next_kernel(p, k, isa, op, panel));)
        if (takes(k, p->lines) && layout_fits(k, l) && (!best || rank(k) < rank(best)))
            best = k;
    return best;
}

/* One kernel for all of a stage. */
static bool choose(Pack *p, Op *fused, const char *isa, const char *op, const ImageLayer *l)
{
    const KernelInfo *k = best_kernel(p, isa, op, NULL, l);

    if (k)
        note_kernel(p, fused, k, "layout");
    return k != NULL;
}

/* Two, with a panel between them that `fill`, an op, writes for a layer `first` (NULL: it has no weights); the other one multiplies it with those of `l`. */
static bool choose_two(Pack *p, Op *fused, const char *isa, const char *fill, const ImageLayer *first, const ImageLayer *l, const char *layout)
{
    const KernelInfo *best = NULL;

    for (const KernelInfo *dot = NULL; (dot = next_kernel(p, dot, isa, "dot_panel", NULL));)
        if (layout_fits(dot, l) && best_kernel(p, isa, fill, dot->panel, first) && (!best || rank(dot) < rank(best)))
            best = dot;
    if (best) {
        note_kernel(p, fused, best_kernel(p, isa, fill, best->panel, first), "layout");
        note_kernel(p, fused, best, layout);
    }
    return best != NULL;
}

/* ---- how images lie -------------------------------------------------------------------------------------------------------- */

/* The value of the function behind a value of a stage's region. */
static const Value *outer_value(const Op *fused, const Value *v)
{
    int i = net_param(fused, v);

    return i >= 0 ? fused->in[i] : v;
}

/* Is it a stage whose kernels take, and leave, images at any strides? */
static bool moves_windows(const Op *o)
{
    NetStage s;

    if (o->kind != OP_fused)
        return false;
    s = net_stage(o);
    return (s.kind == NET_window && s.op->kind != OP_matmul) || s.kind == NET_chain || s.kind == NET_pool;
}

/* Does the best depthwise kernel that the stage o may have want lines? */
static bool wants_lines(const Pack *p, const Op *o)
{
    NetStage s = net_stage(o);
    const char *op = s.kind == NET_chain ? "depthwise_panel" : "depthwise";

    if (s.op->kind != OP_dwconv2d || format_id(s.op->in[0]->type.fmt) != FMT_i8)
        return false;
    for (const char *const *isa = p->isas; *isa; isa++)
        for (const KernelInfo *k = NULL; (k = next_kernel(p, k, *isa, op, NULL));)
            if (takes(k, true) || takes(k, false))
                return !takes(k, false);
    return false;
}

/* Does image v of the function lie in lines?  If a depthwise convolution that reads it wants that, and all others that read or write it can. */
static bool in_lines(const Pack *p, const Value *v)
{
    const Func *f = p->m->entry[0].func;
    bool wanted = false;

    if (v->kind != VAL_result || v->type.rank != 4 || net_dim(v->type, 0) != 1 || !moves_windows(v->op))
        return false;
    for (const Op *o = f->body->first; o; o = o->next)
        for (int i = 0; i < o->n_in; i++)
            if (o->in[i] == v) {
                if (!moves_windows(o))
                    return false;
                wanted = wanted || wants_lines(p, o);
            }
    return wanted;
}

/* Strides of rows, columns and channels in bytes. */
static void lay(Op *fused, const char *attr, bool lines, int64_t w, int64_t c, int64_t unit)
{
    if (lines)
        op_set_attr(fused, attr_ints(attr, (int64_t[]){ w * c * unit, unit, w * unit }, 3));
    else
        op_set_attr(fused, attr_ints(attr, (int64_t[]){ w * c * unit, c * unit, unit }, 3));
}

static void lay_images(const Pack *p, Op *fused, const NetStage *s)
{
    NetStage last = s->kind == NET_chain ? net_part(fused, 1) : *s;
    NetWindow first = net_window(s), w = net_window(&last);
    int64_t unit = s->op->in[0]->type.fmt->bytes;

    lay(fused, "x", in_lines(p, outer_value(fused, s->op->in[0])), first.in_w, first.in_c, unit);
    lay(fused, "y", in_lines(p, fused->out[0]), w.out_w, w.out_c, unit);
}

/* ---- which kernels --------------------------------------------------------------------------------------------------------- */

static bool choose_window(Pack *p, Op *fused, const NetStage *s, const char *isa, const ImageLayer *l)
{
    NetWindow w = net_window(s);

    if (!l)
        return choose(p, fused, isa, s->op->kind == OP_dwconv2d ? "depthwise_f32" : "conv_f32", NULL);
    if (s->op->kind == OP_dwconv2d)
        return choose(p, fused, isa, "depthwise", l);
    if (w.n_groups > 1)
        return choose(p, fused, isa, "conv_groups", l);
    return (net_is_pointwise(&w) && choose(p, fused, isa, "pointwise", l)) || choose_two(p, fused, isa, "im2col", NULL, l, "layout");
}

/* By one instruction set.  true as well for stages that need no kernel. */
static bool choose_by(Pack *p, Op *fused, const NetStage *s, const char *isa, const ImageLayer *l, const ImageLayer *second)
{
    bool ints = s->op->in[0]->type.fmt->kind == FORMAT_int;

    switch (s->kind) {
    case NET_window:
        return choose_window(p, fused, s, isa, l);
    case NET_chain:
        return choose_two(p, fused, isa, "depthwise_panel", l, second, "layout_2");
    case NET_fully:
        return choose(p, fused, isa, ints ? "fully" : "fully_f32", l);
    case NET_pool:
        return choose(p, fused, isa, str_printf(p->m->a, "%s%s", op_info[s->op->kind].name, ints ? "" : "_f32"), NULL);
    case NET_add:
        return choose(p, fused, isa, "add", NULL);
    case NET_softmax:
        return choose(p, fused, isa, ints ? "softmax_int" : "softmax_f32", NULL);
    default:
        return true;
    }
}

/* Bytes of a layer's weights as kernels read them. */
static uint64_t packed_bytes(const Op *fused, const char *attr, const ImageLayer *l)
{
    const ImageLayout *layout = image_layout_find(str_of(op_str(fused, attr, "")));

    return l->w && layout ? layout->weight_bytes(l) + layout->channel_bytes(l) : 0;
}

/* The numbers of part i of a stage; without weights where these are not at hand. */
static bool layer_of(Pack *p, const Op *fused, int i, ImageLayer *l)
{
    NetStage s = net_part(fused, i);
    const Weight *w = net_weight(fused, s.op->in[1]);

    *l = (ImageLayer){ 0 };
    return !w || !net_at_hand(p->m, w) || net_layer(p->m, fused, &s, p->env->scratch, p->d, l);
}

static bool choose_kernels(Pack *p, Op *fused)
{
    NetStage s = net_stage(fused);
    ImageLayer layer, second;
    bool weights = s.kind == NET_window || s.kind == NET_fully || s.kind == NET_chain, found = false;
    bool ints = weights && s.op->in[0]->type.fmt->kind == FORMAT_int;
    ArenaMark mark = arena_mark(p->env->scratch);

    if (ints && (!layer_of(p, fused, 0, &layer) || (s.kind == NET_chain && !layer_of(p, fused, 1, &second))))
        return false;
    p->lines = weights || s.kind == NET_pool ? in_lines(p, outer_value(fused, s.op->in[0])) : false;
    for (const char *const *isa = p->isas; *isa && !found; isa++)
        found = choose_by(p, fused, &s, *isa, ints ? &layer : NULL, &second);
    if (found && ints)
        p->packed += packed_bytes(fused, "layout", &layer) + (s.kind == NET_chain ? packed_bytes(fused, "layout_2", &second) : 0);
    else if (found && weights)
        p->packed += 4 * (uint64_t)type_n(s.op->in[1]->type) + (s.bias ? 4 * (uint64_t)type_n(s.bias->in[1]->type) : 0);
    arena_rewind(p->env->scratch, mark);
    if (s.kind == NET_window || s.kind == NET_chain || s.kind == NET_pool)
        lay_images(p, fused, &s);
    return found || fail(p->d, NOWHERE, "there is no kernel for '%s' of %s on %s", op_info[s.op->kind].name, type_text(p->m->a, s.op->in[0]->type),
                         p->env->target[0]->name);
}

/* ---- places in the weights file -------------------------------------------------------------------------------------------- */

static bool is_used(const Module *m, const Weight *w)
{
    for (const Func *f = m->first_func; f; f = f->next)
        if (value_n_uses(f->body, w->value))
            return true;
    return false;
}

static bool place_weights(Pack *p)
{
    Module *m = p->m;
    uint64_t n_section = 0, n_chunk = 0, at;

    for (int i = 0; i < m->n_weight; i++) {
        Weight *w = m->weight[i];

        if (!is_used(m, w))
            continue;
        w->layout = layout_rowmajor(w->type.fmt);
        if (!w->layout || !type_bytes(w->type, &w->bytes))
            return fail(p->d, AT_WHAT(NULL, w->name), "weights of format %s are not those of a network", w->type.fmt->name);
        w->tile_stride = layout_tile_bytes(w->layout, net_dim(w->type, w->type.rank - 1));
        n_section++;
        n_chunk += weights_chunks(w->bytes);
    }
    for (int i = 0; i < m->n_blob; i++, n_section++)
        n_chunk += weights_chunks(m->blob[i].n);
    at = weights_header_bytes(n_section, n_chunk);
    for (int i = 0; i < m->n_weight; i++)
        if (m->weight[i]->layout) {
            m->weight[i]->off = weights_align(at, m->weight[i]->bytes);
            at = m->weight[i]->off + m->weight[i]->bytes;
        }
    for (int i = 0; i < m->n_blob; i++) {
        m->blob[i].off = weights_align(at, m->blob[i].n);
        at = m->blob[i].off + m->blob[i].n;
    }
    m->weights_bytes = align_up(at, WEIGHTS_SMALL_ALIGN);
    return true;
}

bool net_pack(Module *m, const Env *env, Diag *d)
{
    static const char *const plain[] = { "portable", NULL };
    Pack p = { .m = m, .env = env, .d = d, .isas = env->n_target == 1 ? env->target[0]->isa : plain };
    bool ok = true;

    p.unit = kernel_unit(p.isas[0]);
    if (!p.unit)
        return fail(d, NOWHERE, "there are no kernels for '%s'", p.isas[0]);
    for (Func *f = m->first_func; f; f = f->next)
        for (Op *o = f->body->first; o; o = net_next(o))
            if (o->kind == OP_fused && net_stage(o).kind != NET_none)
                ok = choose_kernels(&p, o) && ok;
    module_set_meta(m, "packed_bytes", attr_int("", (int64_t)p.packed));
    return ok && net_selftest(m, env, d) && place_weights(&p);
}
