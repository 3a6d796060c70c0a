/* pack: a layout and a place in the weights file for every weight.
 *
 * The layout follows from how the weight is stored and how it is used, over all entries:
 * contractions and table lookups read tiles of 32 rows in the layout of the stored format (nothing
 * is rounded); a table that no contraction reads has its rows in one piece each, where there is such a layout, so that a
 * token touches nothing but its row; everything else (norms, biases, tables) reads plain floats.  Each weight is packed
 * once.
 *
 * A format may have codes that no weight of the model uses: tq2_0 has four, and ternary weights are
 * three.  Then base 3 holds them, too, in 18 % fewer bytes, for twice the products.  It is taken
 * where that costs less on every target.
 *
 * The file holds the weights in the order in which decoding one token reads them, so that one
 * stream with far prefetch serves it. Contractions that are computed tile by tile together (gate
 * and up) are interleaved tile by tile.
 *
 *     | header and tables | weight 0 | weight 1 | ...
 *
 * A head of 8-bit codes, the contraction that ends decoding, may be read in two stages: then it is
 * packed in two parts.  It must not cost the other uses of its weight anything, so every target of
 * the set needs kernels for that layout of the ISA that has those for the whole codes; and, unless
 * --head says so, reading less must be worth something where the model will run (cost.c).
 *
 * Each begins at a multiple of 64 bytes, one of more than 256 KiB at a multiple of 16 KiB.
 *
 * Requires: fuse and outline.  Leaves: Weight.layout, off, tile_stride, bytes; layout and stride on
 * the parameters that stand for weights; blobs placed behind the weights; Module.weights_bytes. */
#include "codegen/kernels.h"
#include "codegen/weights.h"
#include "compiler/passes/net.h"

typedef struct {
    Module *m;
    const Env *env;
    Diag *d;
    Weight **order;
    int n_order;     /* in order of first use */
    int *n_together; /* of order[i]: how many from i on are interleaved; 0: inside such a group */
    const Layout **want; /* of each weight (by index): what its uses ask for; NULL: not used */
    bool *multiplied;    /* of each weight: a contraction reads it */
    const Weight *split; /* the head that is packed in two parts, NULL: none */
    bool apart;          /* no weights are interleaved */
    const Layout *tiles[N_FORMATS]; /* of weights in a format, in tiles; NULL: not asked for yet */
} Pack;

/* Products that a contraction makes for each weight: digits of base 3 are not cut out, two products
 * stand for one. */
static uint64_t n_products(const Layout *l)
{
    return l->bits ? 1 : 2;
}

/* Bytes that a token reads of all weights in tiles, about. */
static uint64_t bytes_of_token(const Module *m)
{
    uint64_t all = 0;

    for (int i = 0; i < m->n_weight; i++) {
        const Type t = m->weight[i]->type;
        const Layout *l = layout_for_format(t.fmt);
        int64_t n_in = 1;

        if (l && t.rank >= 2 && dim_is_const(type_last(t), &n_in) && n_in % l->cols == 0)
            all += layout_bytes(l, type_n_rows(t), n_in);
    }
    return all;
}

/* Is decoding faster on target t if l holds n weights instead of `other`, where a token reads `all`
 * bytes?  Not by plain C, which is slower than any memory. */
static bool pays_on(const Target *t, const Layout *l, const Layout *other, uint64_t n, uint64_t all)
{
    const KernelUnit *u = kernel_unit_of(t->isa);
    const KernelInfo *k = u ? kernel_find(u, t->isa, "dot", l->name, NULL, 1) : NULL;
    int n_threads = t->n_threads > 0 ? t->n_threads : COMMON_THREADS;
    uint64_t per_block = (uint64_t)l->rows * (uint64_t)l->cols;

    return k && strcmp(k->isa, "portable") != 0 &&
           cost_part_ps(t, all, n / per_block * (uint64_t)l->block_bytes, n * n_products(l),
                        n_threads) <
               cost_part_ps(t, all, n / per_block * (uint64_t)other->block_bytes,
                            n * n_products(other), n_threads);
}

/* Are the bytes that e makes a weight of here, to be looked at?  (Not in a Module alone.) */
static bool at_hand(const Module *m, const WExpr *e)
{
    return e->a ? at_hand(m, e->a) : e->kind == W_view ? m->file[e->file].p != NULL : e->kind != W_packed;
}

/* Does l hold weight w as it is?  row, x: room for a row of it. */
static bool holds(Pack *p, const Layout *l, const Weight *w, uint8_t *row, float *x)
{
    int64_t n_in = dim_hi(type_last(w->type)), n_out = type_n_rows(w->type);

    for (int64_t i = 0; i < n_out; i++)
        if (!wexpr_encoded_row(p->m, w->expr, i, row, x, p->d) || !layout_holds(l, w->type.fmt, row, n_in))
            return false;
    return true;
}

/* Does l hold all weights of format f, and does it pay?  (Layers share functions, and so layouts: it is all of them or none.) */
static bool serves_all(Pack *p, const Layout *l, const Layout *other, const Format *f)
{
    ArenaMark mark = arena_mark(p->env->scratch);
    bool ok = p->env->n_target > 0 && p->env->opt->act_decode != ACT_f32;
    uint64_t n = 0, most_bytes = 0, bytes;
    int64_t most = 0;
    uint8_t *row;
    float *x;

    for (int i = 0; i < p->m->n_weight; i++) {
        const Weight *w = p->m->weight[i];

        if (w->type.fmt != f)
            continue;
        ok = ok && at_hand(p->m, w->expr) && format_bytes(f, dim_hi(type_last(w->type)), &bytes);
        if (!ok)
            return false;
        n += (uint64_t)type_n(w->type);
        most = dim_hi(type_last(w->type)) > most ? dim_hi(type_last(w->type)) : most;
        most_bytes = bytes > most_bytes ? bytes : most_bytes;
    }
    for (int i = 0; i < p->env->n_target; i++)
        ok = ok && pays_on(p->env->target[i], l, other, n, bytes_of_token(p->m));
    row = ARENA_ARRAY(p->env->scratch, uint8_t, ok ? most_bytes : 0);
    x = ARENA_ARRAY(p->env->scratch, float, ok ? most : 0);
    for (int i = 0; ok && i < p->m->n_weight; i++)
        ok = p->m->weight[i]->type.fmt != f || holds(p, l, p->m->weight[i], row, x);
    arena_rewind(p->env->scratch, mark);
    return ok;
}

/* The layout of tiles of weights in format f: the smallest one that holds whatever f can say, or one that holds what these
 * weights are. */
static const Layout *tiles_of(Pack *p, const Format *f)
{
    const Layout **l = &p->tiles[format_id(f)], *any = layout_for_format(f);

    if (*l || !any)
        return *l;
    *l = any;
    for (const Layout *k = layout_table; k < layout_table + N_LAYOUTS; k++)
        if (k->block_bytes * any->cols < any->block_bytes * k->cols && layout_may_take(k, f) && !layout_takes(k, f) &&
            serves_all(p, k, any, f))
            *l = k;
    return *l;
}

/* The weight behind a value of a stage's region: through the stage's operands and the call's
 * arguments. */
static Weight *weight_of(const Op *fused, const Op *call, const Value *v)
{
    if (v->kind == VAL_param && v->stands_for == VAL_weight) {
        const Region *r = fused->region[0];

        for (int i = 0; i < r->n_param; i++)
            if (r->param[i] == v)
                v = fused->in[i];
    }
    if (v->kind == VAL_param && v->stands_for == VAL_weight && call) {
        const Region *r = call->callee->body;

        for (int i = 0; i < r->n_param; i++)
            if (r->param[i] == v)
                v = call->in[i];
    }
    return v->kind == VAL_weight ? v->weight : NULL;
}

/* ---- a head in two parts ---- */

/* Has the target for `split` what it has for `whole`, of the same ISA, and what rules rows out? */
static bool has_split_kernels(const Target *t, const Layout *whole, const Layout *split)
{
    const KernelUnit *u = kernel_unit_of(t->isa);
    const KernelInfo *bound = u ? kernel_find(u, t->isa, "bound", split->name, "q8", 1) : NULL;

    if (!bound || !kernel_find(u, t->isa, "row", split->name, NULL, 0))
        return false;
    for (int i = 0; i < 4; i++) {
        const char *act = i % 2 ? "f32" : "q8";
        int tokens = i / 2 ? 4 : 1;
        const KernelInfo *k = kernel_find(u, t->isa, "dot", whole->name, act, tokens);
        const KernelInfo *l = kernel_find(u, t->isa, "dot", split->name, act, tokens);

        if (!k || !l || strcmp(k->isa, l->isa) || strcmp(k->order, l->order) ||
            (i == 0 && strcmp(bound->isa, l->isa)))
            return false;
    }
    return true;
}

/* Is w unpacked into panels anywhere?  There are none of a weight in two parts. */
static bool takes_panels(const Module *m, const Weight *w)
{
    for (int i = 0; i < m->n_entry; i++)
        for (const Op *s = m->entry[i].func->body->first; s; s = s->next)
            for (const Op *o = s->kind == OP_fused ? s->region[0]->first : NULL; o; o = o->next)
                if (o->kind == OP_matmul && op_takes_panels(o) && weight_of(s, NULL, o->in[1]) == w)
                    return true;
    return false;
}

/* The weight of decoding's head if it shall be in two parts, or NULL. */
static const Weight *split_head(const Pack *p)
{
    const BuildOptions *o = p->env->opt;

    if (!o->head || strcmp(o->head, "two-stage"))
        return NULL;
    for (int i = 0; i < p->m->n_entry; i++)
        for (const Op *s = p->m->entry[i].func->body->first; s; s = s->next) {
            const Op *head = s->kind == OP_fused ? stage_head(p->m->entry[i].func, s) : NULL;
            const Weight *w = head ? weight_of(s, NULL, head->in[1]) : NULL;
            const Layout *split = w ? layout_split_for(w->type.fmt) : NULL;
            bool can = split && !takes_panels(p->m, w) && !strcmp(head->in[0]->type.fmt->name, "q8");

            for (int k = 0; can && k < p->env->n_target; k++)
                can = has_split_kernels(p->env->target[k], layout_for_format(w->type.fmt), split);
            if (can)
                return w;
        }
    return NULL;
}

static bool want_layout(Pack *p, Weight *w, bool tiled, const Op *user)
{
    const Layout *l = !tiled                                                ? layout_find(STR("rowmajor_f32"))
                      : w == p->split                                       ? layout_split_for(w->type.fmt)
                      : !p->multiplied[w->index] && layout_rows_for(w->type.fmt) ? layout_rows_for(w->type.fmt)
                                                                            : tiles_of(p, w->type.fmt);

    if (!l || (!tiled && w->type.fmt != format_find(STR("f32"))))
        return fail(p->d, AT_WHAT(NULL, str_printf(p->m->a, "weight '%s'", w->name)),
                    "format %s has no layout that '%s' can read", w->type.fmt->name,
                    op_info[user->kind].name);
    if (!p->want[w->index])
        p->want[w->index] = l;
    else if (p->want[w->index] != l)
        return fail(p->d, AT_WHAT(NULL, str_printf(p->m->a, "weight '%s'", w->name)),
                    "is used both in tiles and as plain floats, which no layout serves");
    return true;
}

static bool seen(const Pack *p, const Weight *w)
{
    for (int i = 0; i < p->n_order; i++)
        if (p->order[i] == w)
            return true;
    return false;
}

/* The contractions of one group of a stage go side by side if they are new and alike. */
static void place_group(Pack *p, const Op *fused, const Op *call, int group)
{
    Weight *w[64];
    int n = 0;
    bool alike = !p->apart;

    for (const Op *o = fused->region[0]->first; o; o = o->next)
        if (o->kind == OP_matmul && n < 64 && stage_group(fused, o) == group)
            w[n++] = weight_of(fused, call, o->in[1]);
    for (int i = 0; i < n; i++) {
        alike = alike && w[i] && !seen(p, w[i]) && type_eq(w[i]->type, w[0]->type);
        for (int k = 0; k < i; k++)
            alike = alike && w[i] != w[k];
    }
    for (int i = 0; i < n; i++)
        if (w[i] && !seen(p, w[i])) {
            p->n_together[p->n_order] = !alike ? 1 : i == 0 ? n : 0;
            p->order[p->n_order++] = w[i];
        }
}

static void note_contractions(Pack *p, const Op *fused, const Op *call)
{
    for (const Op *o = fused->region[0]->first; o; o = o->next) {
        Weight *w = o->kind == OP_matmul ? weight_of(fused, call, o->in[1]) : NULL;

        if (w)
            p->multiplied[w->index] = true;
    }
}

/* Which weights contractions read: a table that only rows are looked up in is not interleaved. */
static void find_contractions(Pack *p)
{
    for (int i = 0; i < p->m->n_entry; i++)
        for (const Op *o = p->m->entry[i].func->body->first; o; o = o->next) {
            if (o->kind == OP_fused)
                note_contractions(p, o, NULL);
            if (o->kind == OP_call)
                for (const Op *s = o->callee->body->first; s; s = s->next)
                    if (s->kind == OP_fused)
                        note_contractions(p, s, o);
        }
}

static bool place_stage(Pack *p, const Op *fused, const Op *call)
{
    bool ok = true;

    for (const Op *o = fused->region[0]->first; o; o = o->next) {
        for (int i = 0; i < o->n_in; i++) {
            Weight *w = weight_of(fused, call, o->in[i]);

            if (w)
                ok = want_layout(p, w,
                                 (o->kind == OP_matmul && i == 1) || (o->kind == OP_rows && i == 0),
                                 o) &&
                     ok;
        }
        if (o->kind == OP_matmul)
            place_group(p, fused, call, stage_group(fused, o));
        for (int i = 0; i < o->n_in; i++) {
            Weight *w = weight_of(fused, call, o->in[i]);

            if (w && o->kind != OP_rows &&
                !seen(p,
                      w)) { /* a table is read by the row: it comes last, unless it is the head */
                p->n_together[p->n_order] = 1;
                p->order[p->n_order++] = w;
            }
        }
    }
    return ok;
}

static bool walk(Pack *p, const Func *f)
{
    bool ok = true;

    for (const Op *o = f->body->first; o; o = o->next) {
        if (o->kind == OP_fused)
            ok = place_stage(p, o, NULL) && ok;
        if (o->kind == OP_call)
            for (const Op *s = o->callee->body->first; s; s = s->next)
                if (s->kind == OP_fused)
                    ok = place_stage(p, s, o) && ok;
    }
    return ok;
}

/* Whatever only `rows` reads. */
static void place_rest(Pack *p)
{
    for (int i = 0; i < p->m->n_weight; i++)
        if (p->want[i] && !seen(p, p->m->weight[i])) {
            p->n_together[p->n_order] = 1;
            p->order[p->n_order++] = p->m->weight[i];
        }
}

/* What is known of a weight, told to the parameters that stand for it.  false: another weight has said
 * something else, because one of the two is interleaved and the other is not. */
static bool tell(Value *param, const Layout *l, uint64_t stride)
{
    if (param->layout && (param->layout != l || param->tile_stride != stride))
        return false;
    param->layout = l;
    param->tile_stride = stride;
    return true;
}

static bool tell_params(const Func *f)
{
    bool ok = true;

    for (const Op *o = f->body->first; o; o = o->next) {
        Region *r = o->kind == OP_call    ? o->callee->body
                    : o->kind == OP_fused ? o->region[0]
                                          : NULL;

        for (int i = 0; r && i < r->n_param; i++) {
            const Value *v = o->in[i];

            if (v->kind == VAL_weight)
                ok = tell(r->param[i], v->weight->layout, v->weight->tile_stride) && ok;
            else if (v->kind == VAL_param && v->stands_for == VAL_weight)
                ok = tell(r->param[i], v->layout, v->tile_stride) && ok;
        }
        if (o->kind == OP_call)
            ok = tell_params(o->callee) && ok;
    }
    return ok;
}

static void forget_params(const Func *f)
{
    for (int i = 0; i < f->body->n_param; i++)
        f->body->param[i]->layout = NULL;
    for (const Op *o = f->body->first; o; o = o->next)
        for (int i = 0; o->kind == OP_fused && i < o->region[0]->n_param; i++)
            o->region[0]->param[i]->layout = NULL;
}

/* Bytes of the section that begins with weight i of the order, and of one tile of one of its
 * weights. */
static uint64_t section_bytes(Pack *p, int i, uint64_t *tile)
{
    uint64_t bytes = 0;

    for (int k = i; k < i + p->n_together[i]; k++) {
        Weight *w = p->order[k];
        int64_t n_in = 1, n_out = type_n_rows(w->type);

        w->layout = p->want[w->index];
        dim_is_const(type_last(w->type), &n_in);
        if (w->layout->rows == 1) { /* not tiled: one run of floats */
            n_in *= n_out;
            n_out = 1;
        }
        w->bytes = layout_bytes(w->layout, n_out, n_in);
        *tile = layout_tile_bytes(w->layout, n_in);
        bytes += w->bytes;
    }
    return bytes;
}

static void assign(Pack *p)
{
    Module *m = p->m;
    uint64_t n_section = 0, n_chunk = 0, at, tile = 0;

    for (int i = 0; i < p->n_order; i += p->n_together[i], n_section++)
        n_chunk += weights_chunks(section_bytes(p, i, &tile));
    for (int i = 0; i < m->n_blob; i++, n_section++)
        n_chunk += weights_chunks(m->blob[i].n);
    at = weights_header_bytes(n_section, n_chunk);
    for (int i = 0; i < p->n_order; i += p->n_together[i]) {
        uint64_t bytes = section_bytes(p, i, &tile);

        at = weights_align(at, bytes);
        for (int k = i; k < i + p->n_together[i]; k++) {
            p->order[k]->off = at + (uint64_t)(k - i) * tile;
            p->order[k]->tile_stride = (uint64_t)p->n_together[i] * tile;
        }
        at += bytes;
    }
    for (int i = 0; i < m->n_blob; i++) {
        m->blob[i].off = weights_align(at, m->blob[i].n);
        at = m->blob[i].off + m->blob[i].n;
    }
    m->weights_bytes = align_up(at, WEIGHTS_SMALL_ALIGN);
}

/* Places for all weights.  false: a user's mistake has been reported. */
static bool place_all(Pack *p)
{
    bool ok = true;

    p->n_order = 0;
    for (int i = 0; i < p->m->n_entry; i++)
        ok = walk(p, p->m->entry[i].func) && ok;
    if (!ok)
        return false;
    place_rest(p);
    assign(p);
    return true;
}

static bool tell_all(const Module *m)
{
    bool ok = true;

    for (const Func *f = m->first_func; f; f = f->next)
        forget_params(f);
    for (int i = 0; i < m->n_entry; i++)
        ok = tell_params(m->entry[i].func) && ok;
    return ok;
}

/* Layers that share a part of their weights (up, but not gate) cannot all have theirs interleaved, and
 * their one function has one stride: then nothing is. */
bool pass_pack(Module *m, const Env *env, Diag *d)
{
    Pack p = { .m = m, .env = env, .d = d };

    if (module_is_network(m))
        return net_pack(m, env, d);
    p.order = ARENA_ARRAY(env->scratch, Weight *, m->n_weight + 1);
    p.n_together = ARENA_ARRAY(env->scratch, int, m->n_weight + 1);
    p.want = ARENA_ARRAY(env->scratch, const Layout *, m->n_weight + 1);
    p.multiplied = ARENA_ARRAY(env->scratch, bool, m->n_weight + 1);
    find_contractions(&p);
    p.split = split_head(&p);
    if (!place_all(&p))
        return false;
    if (!tell_all(m)) {
        p.apart = true;
        place_all(&p);
        if (!tell_all(m))
            bug("a parameter stands for weights of two layouts");
    }
    return true;
}
