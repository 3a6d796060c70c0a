/* What a stage is made of.  A fused op's region holds: a prologue (ops on whole rows that make x), one or more contractions or one
 * attention (the anchor), an epilogue (ops on the tile of results that a kernel leaves, or on as many tiles as hold whole heads).  A row stage has no anchor.  Nothing of this is
 * written down: it follows from the region, and these functions are where passes and codegen both ask.
 */
#include "ir/stages.h"

#include <stdlib.h>

bool op_is_elementwise(const Op *o)
{
    return op_info[o->kind].c_expr != NULL;
}

bool dim_is_one(const Func *f, Dim d)
{
    if (d->kind == DIM_sym)
        for (int i = 0; i < f->m->n_entry; i++)
            for (int k = 0; k < f->m->entry[i].n_range; k++)
                if (f->m->entry[i].func == f && f->m->entry[i].range[k].sym == d->sym)
                    return f->m->entry[i].range[k].hi <= 1;
    return dim_hi(d) <= 1;
}

static bool is_anchor(const Op *o)
{
    return o->kind == OP_matmul || o->kind == OP_attention;
}

Op *stage_anchor(const Op *fused)
{
    for (Op *o = fused->region[0]->first; o; o = o->next)
        if (is_anchor(o))
            return o;
    return NULL;
}

/* An op of the region and which contractions it is computed from, through ops of the epilogue. */
typedef struct { const Op *op; uint32_t set; } From;

/* All ops of the region in order, malloc'd; each op's set follows from those before it, so every value is looked at once. */
static From *all_sources(const Region *r, int *n_out)
{
    int n = 0, i_anchor = 0;
    From *from;

    for (const Op *o = r->first; o; o = o->next)
        n++;
    from = malloc(sizeof *from * (size_t)(n + 1));
    if (!from)
        bug("no memory to look at a stage of %d ops", n);
    n = 0;
    for (const Op *o = r->first; o; o = o->next, n++) {
        from[n] = (From){ o, 0 };
        if (is_anchor(o)) {
            if (i_anchor == MAX_ANCHORS)
                bug("a stage with more than %d contractions", MAX_ANCHORS);
            from[n].set = 1u << i_anchor++;
            continue;
        }
        for (int i = 0; i < o->n_in; i++)
            for (int k = n - 1; k >= 0 && o->in[i]->kind == VAL_result; k--)
                if (from[k].op == o->in[i]->op) {
                    from[n].set |= from[k].set;
                    break;
                }
    }
    *n_out = n;
    return from;
}

bool stage_is_prologue(const Op *fused, const Op *o)
{
    From *from;
    int n;
    bool yes = false;

    if (!stage_anchor(fused) || is_anchor(o) || o->kind == OP_yield)
        return false;
    from = all_sources(fused->region[0], &n);
    for (int i = 0; i < n; i++)
        yes = yes || (from[i].op == o && !from[i].set);
    free(from);
    return yes;
}

/* For each contraction, the smallest number of one that it is paired with, itself included. */
static int pair_up(const Op *fused, int *root)
{
    int n = 0, n_op;
    From *from = all_sources(fused->region[0], &n_op);

    for (int i = 0; i < n_op; i++)
        if (is_anchor(from[i].op)) {
            root[n] = n;
            n++;
        }
    for (int i = 0; i < n_op; i++) {
        int first = -1;

        if (!op_is_elementwise(from[i].op))
            continue;
        for (int k = 0; k < n; k++)
            if (from[i].set >> k & 1) {
                int a = first < 0 ? root[k] : first, b = root[k];

                first = a < b ? a : b;
                for (int q = 0; q < n; q++)             /* merge the two classes under the smaller root */
                    if (root[q] == a || root[q] == b)
                        root[q] = first;
            }
    }
    free(from);
    return n;
}

int64_t op_reach(const Op *o)
{
    int64_t n = 1;

    if (o->kind == OP_rmsnorm)
        dim_is_const(type_last(o->in[0]->type), &n);
    else if (o->kind == OP_rope)
        n = strcmp(op_str(o, "pairing", ""), "norm") ? op_int(o, "head_dim", 1) : 2;
    else if (o->kind == OP_quant)
        n = o->out[0]->type.fmt->block;
    return n;
}

int64_t width_of_both(int64_t a, int64_t b)
{
    int64_t x = a, y = b;

    while (y) {                                         /* the greatest common divisor [Euclid] */
        int64_t rest = x % y;

        x = y;
        y = rest;
    }
    return a / x * b;
}

int stage_group(const Op *fused, const Op *matmul)
{
    int root[MAX_ANCHORS], n = pair_up(fused, root), i = 0, group = 0;

    for (const Op *o = fused->region[0]->first; o != matmul; o = o->next)
        i += is_anchor(o);
    for (int k = 0; k < n && k < root[i]; k++)
        group += root[k] == k;
    return group;
}

int stage_n_groups(const Op *fused)
{
    int root[MAX_ANCHORS], n = pair_up(fused, root), groups = 0;

    for (int k = 0; k < n; k++)
        groups += root[k] == k;
    return groups;
}

int64_t stage_width(const Op *fused, int group)
{
    int root[MAX_ANCHORS], n = pair_up(fused, root), n_op, k = 0;
    From *from = all_sources(fused->region[0], &n_op);
    uint32_t members = 0;
    int64_t width = TILE_ROWS;

    for (const Op *o = fused->region[0]->first; o; o = o->next)
        if (is_anchor(o)) {
            if (k < n && stage_group(fused, o) == group)
                members |= 1u << k;
            k++;
        }
    for (int i = 0; i < n_op; i++)
        if ((from[i].set & members) && !is_anchor(from[i].op))
            width = width_of_both(width, op_reach(from[i].op));
    free(from);
    return width;
}

bool op_takes_panels(const Op *matmul)
{
    return matmul->kind == OP_matmul && format_is_i8(matmul->in[0]->type.fmt);
}

uint64_t op_panel_bytes(const Op *matmul)
{
    int64_t n_in = 0, group = matmul->in[0]->type.fmt->block;

    dim_is_const(type_last(matmul->in[0]->type), &n_in);
    return (uint64_t)TILE_ROWS * ((uint64_t)n_in + sizeof(float) * (uint64_t)(n_in / group));
}

bool stage_in_place(const Op *fused, int i_in, int i_out)
{
    const Region *r = fused->region[0];
    const Value *param = r->param[i_in], *out = r->last->in[i_out];
    bool read = false;

    if (param->stands_for != VAL_result || !type_eq(param->type, out->type) || out->kind != VAL_result)
        return false;
    if (!stage_anchor(fused) || !op_is_elementwise(out->op) || stage_is_prologue(fused, out->op))
        return false;
    for (const Op *o = r->first; o; o = o->next)
        for (int i = 0; i < o->n_in; i++)
            if (o->in[i] == param) {
                if (!op_is_elementwise(o) || stage_is_prologue(fused, o) || !type_eq(o->out[0]->type, param->type))
                    return false;
                read = true;
            }
    for (int i = 0; i < r->last->n_in; i++)              /* two results in one place would be one too many */
        if (r->last->in[i] == param)
            return false;
    return read;
}

int64_t stage_heads(const Op *fused, int n_threads)
{
    const Attr *heads = op_attr(fused, "heads"), *threads = op_attr(fused, "threads");

    if (!heads)
        return 1;
    for (int i = 0; threads && i < threads->n_ints && i < heads->n_ints; i++)
        if (n_threads <= threads->ints[i])
            return heads->ints[i];
    return heads->ints[heads->n_ints - 1];
}

int64_t stage_most_heads(const Op *fused)
{
    const Attr *heads = op_attr(fused, "heads");
    int64_t most = 1;

    for (int i = 0; heads && i < heads->n_ints; i++)
        most = heads->ints[i] > most ? heads->ints[i] : most;
    return most;
}

Op *stage_head(const Func *f, const Op *fused)
{
    const Op *last = f->body->last;
    Op *head = NULL;
    int n_uses = 0, n_group = 0;

    for (int i = 0; last && last->n_in == 1 && i < fused->n_out; i++)
        if (fused->out[i] == last->in[0] && fused->region[0]->last->in[i]->kind == VAL_result)
            head = fused->region[0]->last->in[i]->op;
    if (!head || head->kind != OP_matmul || head->n_in != 2 || head->out[0]->type.rank != 2 ||
        !dim_is_one(f, head->out[0]->type.dim[0]))
        return NULL;
    for (const Op *o = fused->region[0]->first; o; o = o->next) {
        for (int i = 0; i < o->n_in; i++)
            n_uses += o->in[i] == head->out[0];
        n_group += o->kind == OP_matmul && stage_group(fused, o) == stage_group(fused, head);
    }
    return n_uses == 1 && n_group == 1 && stage_width(fused, stage_group(fused, head)) == TILE_ROWS ? head : NULL;
}
