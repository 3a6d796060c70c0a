/* What a stage is made of.  A fused op's region holds, in order: a prologue (ops on whole rows), one or more contractions or one
 * attention (the anchor), an epilogue (ops on the tile of results that a kernel leaves).  A row stage has no anchor.  Nothing of this is
 * written down: it follows from the region, and these functions are where passes and codegen both ask.
 *
 * Sets of contractions are bit masks; a stage has at most MAX_ANCHORS of them. */
#include "compiler/passes/passes.h"

enum { MAX_ANCHORS = 32 };

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

/* Which contractions a value of the region is computed from, through ops of the epilogue. */
static uint32_t sources(const Region *r, const Value *v)
{
    uint32_t set = 0;
    int i_anchor = 0;

    if (v->kind != VAL_result || v->op->parent != r)
        return 0;
    for (const Op *o = r->first; o; o = o->next)
        if (is_anchor(o)) {
            if (o == v->op)
                return 1u << i_anchor;
            i_anchor++;
        }
    for (int i = 0; i < v->op->n_in; i++)
        set |= sources(r, v->op->in[i]);
    return set;
}

bool stage_is_prologue(const Op *fused, const Op *o)
{
    const Region *r = fused->region[0];
    uint32_t set = 0;

    if (!stage_anchor(fused) || is_anchor(o) || o->kind == OP_yield)
        return false;
    for (int i = 0; i < o->n_in; i++)
        set |= sources(r, o->in[i]);
    return set == 0;
}

/* For each contraction, the smallest number of one that it is paired with, itself included. */
static int pair_up(const Op *fused, int *root)
{
    const Region *r = fused->region[0];
    int n = 0;

    for (const Op *o = r->first; o; o = o->next)
        if (is_anchor(o)) {
            if (n == MAX_ANCHORS)
                bug("a stage with more than %d contractions", MAX_ANCHORS);
            root[n] = n;
            n++;
        }
    for (const Op *o = r->first; o; o = o->next) {
        uint32_t set = 0;
        int first = -1;

        if (!op_is_elementwise(o))
            continue;
        for (int i = 0; i < o->n_in; i++)
            set |= sources(r, o->in[i]);
        for (int i = 0; i < n; i++)
            if (set >> i & 1) {
                int from = root[i];

                if (first < 0)
                    first = root[i];
                for (int k = 0; k < n; k++)             /* merge the two classes under the smaller root */
                    if (root[k] == from || root[k] == first)
                        root[k] = first < from ? first : from;
                first = root[i];
            }
    }
    return n;
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

bool stage_in_place(const Op *fused, int i_in, int i_out)
{
    const Region *r = fused->region[0];
    const Value *param = r->param[i_in], *out = r->last->in[i_out];
    bool read = false;

    if (param->stands_for != VAL_result || !type_eq(param->type, out->type) || out->kind != VAL_result)
        return false;
    if (!stage_anchor(fused) || !op_is_elementwise(out->op))
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
