/* fuse: which ops become one stage.
 *
 * A stage is what runs between two meetings of the threads, so fewer stages mean less waiting and
 * fewer trips to memory:
 *
 *   contract    contractions that read one x (q, k and v; gate and up), with what follows them
 *               element by element on the tile of results: bias, norms of heads, rope, silu * mul,
 *               residual add, quantization, the store into the cache.  Where there is one token
 *               only (decode), what makes x (norm, quantize, the residual add behind a norm) goes
 *               in front, recomputed by each thread: a row of a few thousand numbers costs less
 *               than another meeting (54 us against 130 ns x threads per token was measured for
 *               whole SmolLM2).
 *   attention   with what follows it on a head's results.
 *   row         everything else, a token at a time: table lookup, positions, rope angles, norms.
 *
 * Method: greedy over the function in order.  A set of ops may become one stage if no op outside it
 * lies on a path between two of its members; paths also run through state (a read after a write, a
 * write after a read).  Stages are then sorted so that each comes after what it needs, in the order
 * of the first op otherwise.
 *
 * Networks without tokens have stages of another kind: fuse_image.c.
 *
 * --fuse says which of this is done: `siblings` (contractions of one x), `epilogue` (what follows
 * an anchor), `prologue` (what makes x), `rows` (row stages of more than one op).  --fuse none
 * makes every op a stage of its own.
 *
 * Requires: functions that are one list of ops.  Leaves: functions of `fused` ops and the return.
 */
#include "compiler/passes/fuse.h"

#include <stdlib.h>

#include "ir/net.h"


enum { FUSE_prologue = 1, FUSE_epilogue = 2, FUSE_siblings = 4, FUSE_rows = 8, FUSE_all = 15 };

typedef struct {
    Op *op;
    int group;         /* -1: not yet in a stage */
    int *need, n_need; /* ops (indices) that must come before */
} Node;

typedef struct {
    const Op *op;
    int i;
} Place; /* which node an op is */

typedef struct {
    const Env *env;
    Func *f;
    Region *body;                   /* whose ops they are */
    Node *node;
    Place *place; /* sorted by address */
    int n;        /* ops but the return */
    int n_group;
    unsigned may;      /* what --fuse allows */
    const char **kind; /* of each group */
    bool *mark;        /* of each node: see mark_dependents */
    int marked;        /* the group that mark[] speaks of, -1: out of date */
} Fuse;

static int by_address(const void *a, const void *b)
{
    const Op *x = ((const Place *)a)->op, *y = ((const Place *)b)->op;

    return x < y ? -1 : x > y;
}

static int index_of(const Fuse *z, const Op *o)
{
    const Place key = { o, 0 }, *p = bsearch(&key, z->place, (size_t)z->n, sizeof key, by_address);

    return p ? p->i : -1;
}

static void add_need(Node *node, int i)
{
    for (int k = 0; k < node->n_need; k++)
        if (node->need[k] == i)
            return;
    node->need[node->n_need++] = i;
}

/* Edges: operands, and the order of reads and writes of each state. */
static void find_needs(Fuse *z)
{
    Arena *a = z->env->scratch;

    for (int i = 0; i < z->n; i++) {
        Node *node = &z->node[i];

        node->need = ARENA_ARRAY(a, int, node->op->n_in + i + 1);
        for (int k = 0; k < node->op->n_in; k++) {
            const Value *v = node->op->in[k];

            if (v->kind == VAL_result)
                add_need(node, index_of(z, v->op));
            if (v->kind != VAL_state && !(v->kind == VAL_param && v->stands_for == VAL_state))
                continue;
            for (int p = 0; p < i; p++)
                for (int q = 0; q < z->node[p].op->n_in; q++)
                    if (z->node[p].op->in[q] == v &&
                        (op_info[node->op->kind].effect || op_info[z->node[p].op->kind].effect))
                        add_need(node, p);
        }
    }
}

/* Does node i, outside group g, depend on a member of g (through nodes outside or inside it)? Fills
 * mark[]: 1 for all such nodes. */
static void mark_dependents(Fuse *z, int g)
{
    if (z->marked == g)
        return;
    z->marked = g;
    for (int i = 0; i < z->n; i++) {
        z->mark[i] = false;
        if (z->node[i].group == g)
            continue;
        for (int k = 0; k < z->node[i].n_need; k++) {
            int p = z->node[i].need[k];

            z->mark[i] = z->mark[i] || z->node[p].group == g || z->mark[p];
        }
    }
}

static void join(Fuse *z, int i, int g)
{
    z->node[i].group = g;
    z->marked = -1;
}

/* May node i join group g?  Not if it needs something outside g that itself needs g. */
static bool no_detour(Fuse *z, int g, int i)
{
    mark_dependents(z, g);
    for (int k = 0; k < z->node[i].n_need; k++)
        if (z->mark[z->node[i].need[k]])
            return false;
    return true;
}

/* The same for putting a node in front: nothing outside g that needs i may be needed by g. */
static bool no_detour_front(Fuse *z, int g, int i)
{
    int was = z->node[i].group;
    bool ok = true;

    join(z, i, g);
    mark_dependents(z, g);
    for (int m = 0; m < z->n; m++)
        if (z->node[m].group == g)
            for (int k = 0; k < z->node[m].n_need; k++)
                ok = ok && !z->mark[z->node[m].need[k]];
    join(z, i, was);
    return ok;
}

static bool in_group(const Fuse *z, const Value *v, int g)
{
    int i = v->kind == VAL_result ? index_of(z, v->op) : -1;

    return i >= 0 && z->node[i].group == g;
}

/* A whole-row op of a prologue makes a value that is not on the tile. */
static bool on_tile(const Fuse *z, const Value *v, int g)
{
    int i = v->kind == VAL_result ? index_of(z, v->op) : -1;

    if (i < 0 || z->node[i].group != g)
        return false;
    if (v->op->kind == OP_matmul || v->op->kind == OP_attention)
        return true;
    for (int k = 0; k < v->op->n_in; k++)
        if (on_tile(z, v->op->in[k], g))
            return true;
    return false;
}

/* Has v the shape of a row of t (broadcast along tokens), or t's own shape? */
static bool fits_tile(Type v, Type t)
{
    if (type_eq(v, t))
        return true;
    return v.rank == 1 && t.rank <= 2 && v.fmt == t.fmt && v.dim[0] == type_last(t);
}

/* Along a row, results come in multiples of so many: the rows of a tile of weights, or the width of
 * a head. */
static int64_t tile_width(const Op *o)
{
    int64_t n = 0;

    if (o->kind == OP_matmul)
        return 32;
    dim_is_const(type_last(o->in[0]->type), &n);
    return n / op_int(o, "n_head", 1);
}

/* Does it pay to give whole heads to one thread, `width` elements at a time, so that norms of heads
 * and rope need no stage of their own?  A wide piece leaves threads idle at the end of a stage; a
 * stage of its own costs a meeting.  Where the target's figures are unknown: yes. */
static bool wide_pays(const Fuse *z, const Op *anchor, int64_t width)
{
    const Target *t = z->env->n_target ? z->env->target[0] : NULL;
    int n_threads = t && t->n_threads > 0 ? t->n_threads : COMMON_THREADS;
    int64_t n_out = type_n_rows(anchor->in[1]->type);
    uint64_t bytes;

    if (!t || !type_bytes(anchor->in[1]->type, &bytes) ||
        !dim_is_one(z->f, anchor->out[0]->type.dim[0])) /* many tokens: there is enough to share */
        return true;
    return cost_uneven_ps(t, bytes, (n_out + width - 1) / width, n_threads) <=
           cost_uneven_ps(t, bytes, (n_out + TILE_ROWS - 1) / TILE_ROWS, n_threads) +
               COST_MEETING_PS;
}

/* Is y another way to count the elements of the rows of x? */
static bool same_row(Type x, Type y)
{
    return x.rank > 1 && y.rank > 1 && x.dim[0] == y.dim[0] && type_n(x) == type_n(y);
}

/* May an epilogue that works on `width` elements of a row take in an op that reaches over `reach`?
 * Along contractions a tile may become as wide as whole heads, as long as it pays; an attention's
 * is one head. */
static bool widen(Fuse *z, const Op *anchor, int64_t *width, int64_t reach)
{
    int64_t both = width_of_both(*width, reach);

    if (both == *width)
        return true;
    if (anchor->kind != OP_matmul || both > MAX_WIDTH || !wide_pays(z, anchor, both))
        return false;
    *width = both;
    return true;
}

/* Can op i be computed on the tile that group g leaves?  *width: a tile is a multiple of so many
 * elements along the row; it grows where the op needs it. */
static bool can_follow(Fuse *z, int g, int i, const Op *anchor, int64_t *width)
{
    const Op *o = z->node[i].op;
    bool any = false;
    int64_t n;

    if (z->node[i].group >= 0 || o->n_out > 1)
        return false;
    if (op_is_elementwise(o)) {
        for (int k = 0; k < o->n_in; k++) {
            if (on_tile(z, o->in[k], g)) {
                any = true;
                if (!type_eq(o->in[k]->type, o->out[0]->type))
                    return false;
            } else if (in_group(z, o->in[k], g) || !fits_tile(o->in[k]->type, o->out[0]->type))
                return false;
        }
    } else if (o->kind == OP_rope) {
        any = on_tile(z, o->in[0], g) && !on_tile(z, o->in[1], g) &&
              op_int(o, "head_dim", 1) % 2 == 0;
    } else if (o->kind == OP_append) {
        any = on_tile(z, o->in[1], g);
    } else if (o->kind == OP_quant) {
        any = on_tile(z, o->in[0], g) && dim_is_const(type_last(o->in[0]->type), &n) && n % 32 == 0 &&
              o->out[0]->type.fmt->block <= TILE_ROWS;  /* longer groups are many panels, or tiles, at a time */
    } else if (o->kind == OP_reshape) {
        any = on_tile(z, o->in[0], g) && same_row(o->in[0]->type, o->out[0]->type);
    } else if (o->kind == OP_rmsnorm) { /* of heads: of a row that is longer */
        any = on_tile(z, o->in[0], g) && !in_group(z, o->in[1], g) && o->in[0]->type.rank == 3;
    }
    return any && no_detour(z, g, i) && widen(z, anchor, width, op_reach(o));
}

/* Everything that can be computed on the tile, in order, as long as more can. */
static void take_followers(Fuse *z, int g, const Op *anchor)
{
    int64_t width = tile_width(anchor);

    for (int i = 0; i < z->n; i++)
        if (z->node[i].op->layer == anchor->layer && can_follow(z, g, i, anchor, &width))
            join(z, i, g);
}

static bool is_row_of_one(const Fuse *z, const Value *v)
{
    return v->type.rank == 1 || (v->type.rank == 2 && dim_is_one(z->f, v->type.dim[0]));
}

/* Ops of a prologue: what works on one row. */
static bool can_go_in_front(const Fuse *z, const Op *o, int layer)
{
    bool kind = o->kind == OP_quant || o->kind == OP_rmsnorm || o->kind == OP_last_rows ||
                (op_is_elementwise(o) && o->n_out == 1);

    if (!kind || !is_row_of_one(z, o->out[0]) || (o->layer != layer && o->layer < 0))
        return false;
    for (int k = 0; k < o->n_in; k++) /* whole rows of floats: what the writer's loops take */
        if (op_is_elementwise(o) && (!type_eq(o->in[k]->type, o->out[0]->type) &&
                                     !fits_tile(o->in[k]->type, o->out[0]->type)))
            return false;
    return true;
}

/* Does somebody outside group g read x? */
static bool wanted_outside(const Fuse *z, int g, const Value *x)
{
    for (int k = 0; k < z->n; k++)
        for (int q = 0; q < z->node[k].op->n_in; q++)
            if (z->node[k].op->in[q] == x && z->node[k].group != g)
                return true;
    for (int q = 0; q < z->body->last->n_in; q++)
        if (z->body->last->in[q] == x)
            return true;
    return false;
}

/* What makes x, where that is a row of one token: quant, norm, the residual add behind a norm.
 * Every thread computes it for itself; what others want too (the sum of the residual stream) is
 * stored by one. */
static void take_prologue(Fuse *z, int g, const Value *x, int layer)
{
    int i = x->kind == VAL_result ? index_of(z, x->op) : -1;

    if (i < 0 || z->node[i].group >= 0 || !can_go_in_front(z, x->op, layer))
        return;
    if (wanted_outside(z, g, x) && !op_is_elementwise(x->op))
        return;
    if (!no_detour_front(z, g, i))
        return;
    join(z, i, g);
    for (int k = 0; k < x->op->n_in; k++)
        take_prologue(z, g, x->op->in[k], layer);
}

static int new_group(Fuse *z, int i, const char *kind)
{
    z->kind[z->n_group] = kind;
    join(z, i, z->n_group);
    return z->n_group++;
}

static bool same_x_contraction(const Op *a, const Op *b)
{
    return b->kind == OP_matmul && b->n_in == 2 && a->n_in == 2 && a->in[0] == b->in[0] &&
           a->layer == b->layer;
}

/* Contractions and attentions, each with its followers (and its prologue). */
static void group_anchors(Fuse *z)
{
    for (int i = 0; i < z->n; i++) {
        Op *o = z->node[i].op;
        int g;

        if (z->node[i].group >= 0 || (o->kind != OP_matmul && o->kind != OP_attention))
            continue;
        g = new_group(z, i, o->kind == OP_matmul ? "contract" : "attention");
        if (o->kind == OP_matmul && (z->may & FUSE_siblings))
            for (int k = i + 1, n = 1; k < z->n && n < MAX_ANCHORS; k++)
                if (z->node[k].group < 0 && same_x_contraction(o, z->node[k].op) &&
                    no_detour(z, g, k))
                    join(z, k, g), n++;
        if (o->kind == OP_matmul && (z->may & FUSE_prologue))
            take_prologue(z, g, o->in[0], o->layer);
        if (z->may & FUSE_epilogue)
            take_followers(z, g, o);
    }
}

static Dim row_dim(const Op *o)
{
    const Value *v = o->n_out ? o->out[0] : o->in[o->n_in - 1];

    return v->type.rank ? v->type.dim[0] : NULL;
}

/* Everything else: ops of one layer and one number of rows, next to each other, a row at a time. */
static void group_rows(Fuse *z)
{
    for (int i = 0; i < z->n; i++) {
        Op *o = z->node[i].op;
        int g;

        if (z->node[i].group >= 0)
            continue;
        g = new_group(z, i, "row");
        if (!(z->may & FUSE_rows))
            continue;
        for (int k = i + 1; k < z->n; k++) {
            Op *p = z->node[k].op;

            if (z->node[k].group < 0 && p->layer == o->layer && row_dim(p) == row_dim(o) &&
                no_detour(z, g, k))
                join(z, k, g);
        }
    }
}

/* ---- building the stages ---- */

static Value *param_for(Op *fused, Value **outside, int *n, Value *v)
{
    Region *r = fused->region[0];
    Value *p;

    for (int i = 0; i < *n; i++)
        if (outside[i] == v)
            return r->param[i];
    outside[(*n)++] = v;
    p = region_add_param(r, v->name, v->type);
    p->stands_for = v->kind == VAL_weight || v->kind == VAL_state ? v->kind
                    : v->kind == VAL_param                        ? v->stands_for
                                                                  : VAL_result;
    return p;
}

/* Moves the ops of group g into a new fused op in front of the return. */
static void build_stage(Fuse *z, int g)
{
    Module *m = z->f->m;
    Region *body = z->body;
    Value **outside, **given;
    int n_outside = 0, n_given = 0, cap = 0, layer = -1;
    Op *fused, *yield;
    const char *from = NULL;

    for (int i = 0; i < z->n; i++)
        if (z->node[i].group == g)
            cap += z->node[i].op->n_in + 1;
    outside = ARENA_ARRAY(z->env->scratch, Value *, cap + 1);
    given = ARENA_ARRAY(z->env->scratch, Value *, cap + 1);
    fused = op_new_raw(body, body->last, OP_fused, 0, 0);
    op_add_region(fused);
    for (int i = 0; i < z->n; i++) {
        Op *o = z->node[i].op;

        if (z->node[i].group != g)
            continue;
        if (!from || o->kind == OP_matmul || o->kind == OP_attention) {
            from = o->from ? o->from : from;
            layer = o->layer; /* a prologue may begin with the end of the layer before */
        }
        op_move(o, fused->region[0], NULL);
        for (int k = 0; k < o->n_in; k++)
            if (!(o->in[k]->kind == VAL_result && o->in[k]->op->parent == fused->region[0]))
                o->in[k] = param_for(fused, outside, &n_outside, o->in[k]);
    }
    for (int i = 0; i < z->n; i++) { /* what others use becomes a result */
        Op *o = z->node[i].op;

        if (z->node[i].group != g)
            continue;
        for (int k = 0; k < o->n_out; k++) {
            bool used = false;

            for (int p = 0; p < z->n; p++)
                if (z->node[p].group != g)
                    for (int q = 0; q < z->node[p].op->n_in; q++)
                        used = used || z->node[p].op->in[q] == o->out[k];
            for (int q = 0; q < body->last->n_in; q++)
                used = used || body->last->in[q] == o->out[k];
            if (used)
                given[n_given++] = o->out[k];
        }
    }
    yield = op_new_raw(fused->region[0], NULL, OP_yield, n_given, 0);
    for (int k = 0; k < n_given; k++) {
        Value *res = op_add_result(fused, given[k]->name, given[k]->type);

        yield->in[k] = given[k];
        value_replace(body, given[k], res);
        for (const Op *o = fused->region[0]->first; o; o = o->next) /* but not inside */
            for (int q = 0; q < o->n_in; q++)
                if (o->in[q] == res)
                    o->in[q] = given[k];
    }
    fused->in = ARENA_ARRAY(m->a, Value *, n_outside + 1);
    fused->n_in = n_outside;
    for (int k = 0; k < n_outside; k++)
        fused->in[k] = outside[k];
    fused->layer = layer;
    fused->from = from;
    fused->by = "fuse";
    op_set_attr(fused, attr_str("kind", z->kind[g]));
}

/* An op that is no stage comes where its group's turn is. */
static void move_group(Fuse *z, int g)
{
    for (int i = 0; i < z->n; i++)
        if (z->node[i].group == g)
            op_move(z->node[i].op, z->body, z->body->last);
}

/* Groups in an order in which each comes after what it needs; of those ready, the one with the
 * first op [Kahn 1962]. */
static bool sort_groups(Fuse *z, int *order)
{
    Arena *a = z->env->scratch;
    int *n_wait = ARENA_ARRAY(a, int, z->n_group + 1),
        *by_first = ARENA_ARRAY(a, int, z->n_group + 1), n = 0;
    bool *done = ARENA_ARRAY(a, bool, z->n_group + 1);

    for (int i = 0; i < z->n; i++) {
        int g = z->node[i].group;

        if (!done[g])
            by_first[n++] = g;
        done[g] = true;
        for (int q = 0; q < z->node[i].n_need; q++)
            n_wait[g] += z->node[z->node[i].need[q]].group != g;
    }
    for (int g = 0; g < z->n_group; g++)
        done[g] = false;
    for (int k = 0; k < z->n_group; k++) {
        int best = -1;

        for (int i = 0; i < n && best < 0; i++)
            if (!done[by_first[i]] && !n_wait[by_first[i]])
                best = by_first[i];
        if (best < 0)
            return false;
        done[best] = true;
        order[k] = best;
        for (int i = 0; i < z->n; i++)
            for (int q = 0; q < z->node[i].n_need; q++)
                if (z->node[i].group != best && z->node[z->node[i].need[q]].group == best)
                    n_wait[z->node[i].group]--;
    }
    return true;
}

static void group_image(Fuse *z)
{
    Op **op = ARENA_ARRAY(z->env->scratch, Op *, z->n + 1);
    int *group = ARENA_ARRAY(z->env->scratch, int, z->n + 1);

    for (int i = 0; i < z->n; i++) {
        op[i] = z->node[i].op;
        group[i] = -1;
    }
    z->n_group = fuse_image(op, z->n, z->body->last, fuse_chains(z->env), group, z->kind);
    for (int i = 0; i < z->n; i++)
        z->node[i].group = group[i];
}

/* The ops of a function, or of a region of it that is run by itself (of a scan). */
static void fuse_region(const Env *env, Func *f, Region *body, unsigned may)
{
    Fuse z = { .env = env, .f = f, .body = body, .may = may, .marked = -1 };
    int *order;

    for (Op *o = body->first; o && o != body->last; o = o->next) {
        z.n++;
        if (o->kind == OP_scan)
            fuse_region(env, f, o->region[0], may);
    }
    z.node = ARENA_ARRAY(env->scratch, Node, z.n + 1);
    z.kind = ARENA_ARRAY(env->scratch, const char *, z.n + 1);
    z.mark = ARENA_ARRAY(env->scratch, bool, z.n + 1);
    order = ARENA_ARRAY(env->scratch, int, z.n + 1);
    z.n = 0;
    for (Op *o = body->first; o && o != body->last; o = o->next)
        z.node[z.n++] = (Node){ .op = o, .group = -1 };
    z.place = ARENA_ARRAY(env->scratch, Place, z.n + 1);
    for (int i = 0; i < z.n; i++)
        z.place[i] = (Place){ z.node[i].op, i };
    qsort(z.place, (size_t)z.n, sizeof z.place[0], by_address);
    find_needs(&z);
    if (module_is_network(f->m))
        group_image(&z);
    else {
        group_anchors(&z);
        group_rows(&z);
    }
    if (!sort_groups(&z, order)) { /* two groups that need each other: give up on groups */
        z.n_group = 0;
        z.marked = -1;
        for (int i = 0; i < z.n; i++)
            z.node[i].group = -1;
        z.may = 0;
        group_anchors(&z);
        group_rows(&z);
        if (!sort_groups(&z, order))
            bug("function '%s' has a cycle", f->name);
    }
    for (int k = 0; k < z.n_group; k++)
        if (z.kind[order[k]])
            build_stage(&z, order[k]);
        else
            move_group(&z, order[k]);
}

/* ---- --fuse ---- */

static const char *const names[] = { "prologue", "epilogue", "siblings", "rows", NULL };

const char *const *fuse_names(void)
{
    return names;
}

bool fuse_parse(Str spec, unsigned *set, Str *wrong)
{
    unsigned may = str_begins(spec, "-") ? FUSE_all : 0;
    size_t at = 0;

    for (;;) {
        const char *comma = spec.n > at ? memchr(spec.p + at, ',', spec.n - at) : NULL;
        size_t end = comma ? (size_t)(comma - spec.p) : spec.n;
        Str word = { spec.p + at, end - at };
        bool off = str_begins(word, "-");
        Str bare = { word.p + off, word.n - off };
        unsigned bit = !off && str_is(word, "default") ? FUSE_all : 0;

        for (int i = 0; names[i]; i++)
            if (str_is(bare, names[i]))
                bit = 1u << i;
        if (!bit && !str_is(word, "none")) {
            *wrong = word;
            return false;
        }
        may = str_is(word, "none") ? 0 : off ? may & ~bit : may | bit;
        if (!comma)
            break;
        at = end + 1;
    }
    *set = may;
    return true;
}

const char *fuse_text(Arena *a, unsigned set)
{
    Buf b = buf_in(a);

    if (set == FUSE_all)
        return NULL;
    for (int i = 0; names[i]; i++)
        if (set >> i & 1)
            buf_printf(&b, "%s%s", b.n ? "," : "", names[i]);
    return b.n ? buf_z(&b) : "none";
}

bool pass_fuse(Module *m, const Env *env, Diag *d)
{
    unsigned may = FUSE_all;
    Str wrong;

    if (env->opt->fuse && !fuse_parse(str_of(env->opt->fuse), &may, &wrong))
        return fail(d, NOWHERE, "--fuse: '%s' is not what can be fused", str_show(m->a, wrong, 40));
    for (Func *f = m->first_func; f; f = f->next)
        fuse_region(env, f, f->body, may);
    return true;
}
