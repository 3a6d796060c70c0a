/* memory for networks without tokens: a place in one block for everything that is written, inputs and outputs too, such that the block is small.
 *
 * What each stage reads and writes, group of rows by group of rows, is told to the planner (image_memory.h), which finds places and directions.  A buffer is
 * a tensor with all its reshapes, or the panel of one stage.  A stage with a panel has the groups that schedule gave it.  Other kernels that work row by row
 * can be called for a row at a time as well: then the result may lie over rows of the operand that are not needed any more.  That is done where the
 * memory becomes smaller by it, and only there.
 *
 * States lie there, too, from run to run.  What is loaded from one is read where it lies, unless it is still needed when the state has changed.  What a scan carries
 * lies in the parameters of its region, and so do the rows that it is given; its results are the parameters, and rows that are written one after another.
 *
 * Leaves on a stage: in and out, the place of each operand and result (bytes from the beginning; -1: a weight), panel_at; order="up" where groups run from the
 * last to the first; rows, where a kernel that works row by row is called for so many at a time; on the return in: the places of the results, and inputs: those
 * of the inputs, and states: those of the states; on a load out, on a store in, on a scan in, params and out, on its yield in; the Module's meta arena_bytes. */
#include "codegen/codegen.h"
#include "codegen/kernels.h"
#include "compiler/passes/image_memory.h"
#include "compiler/passes/net.h"

enum {
    MAX_TRIES = 48,             /* stages of which it is tried whether they need to be cut */
    MAX_GROUPS = 128,           /* groups of a stage that are looked at one by one */
    MAX_WORK = 400000           /* touches in all tries together: a bound on the time */
};

typedef struct {
    Module *m;
    const Env *env;
    Diag *d;
    Func *f;
    const KernelUnit *unit;
    MemPlan plan;
    const Value **value;        /* of each buffer; NULL: the panel of a stage */
    Op **op;                    /* of each stage of the plan */
    int *panel;                 /* of each stage: the buffer of its panel, or -1 */
    bool *cut;                  /* of each stage: row by row, though it has no panel */
    MemTouch *touch;
    int cap_touch;
} Plan;

/* Is what a load gives used after its state has changed? */
static bool outlives(const Op *load)
{
    bool changed = false;

    for (const Op *o = load->next; o; o = net_next(o)) {
        for (int i = 0; changed && i < o->n_in; i++)
            if (net_is_tensor(o->in[i]) && net_root(o->in[i]) == load->out[0])
                return true;
        changed = changed || (o->kind == OP_store && o->in[0] == load->in[0]);
        if (o->kind == OP_store && o->in[0] == load->in[0] && net_root(o->in[1]) == load->out[0])
            return true;
    }
    return false;
}

/* Whose place a tensor has. */
static const Value *root(const Value *v)
{
    v = net_root(v);
    return v->kind == VAL_result && v->op->kind == OP_load && !outlives(v->op) ? v->op->in[0] : v;
}

static int buffer_of(const Plan *p, const Value *v)
{
    for (int i = 0; i < p->plan.n_buffer; i++)
        if (p->value[i] == root(v))
            return i;
    bug("a tensor without a place: %s", v->name);
}

/* ---- buffers ---- */

static bool add_buffer(Plan *p, const Value *v, bool given)
{
    uint64_t bytes;

    if (!type_bytes(v->type, &bytes) || bytes > INT64_MAX / 4)
        return fail(p->d, NOWHERE, "buffer '%s' does not fit 64-bit sizes", v->name);
    p->value[p->plan.n_buffer] = v;
    p->plan.buffer[p->plan.n_buffer++] = (MemBuffer){ .name = v->name, .n_plane = 1, .plane_bytes = (int64_t)bytes, .step = (int64_t)bytes, .align = 4,
                                                      .given = given, .kept = v->kind == VAL_state };
    return true;
}

/* Has operand k of a scan a place of its own inside: what is carried, and a row?  The rest is where it is. */
static bool is_moved(const Op *scan, int k)
{
    return k < op_int(scan, "carried", 0) + op_int(scan, "rows", 0);
}

static bool list_buffers(Plan *p)
{
    for (int k = 0; k < p->f->body->n_param; k++)
        if (net_is_tensor(p->f->body->param[k]) && !add_buffer(p, p->f->body->param[k], true))
            return false;
    for (int k = 0; k < p->m->n_state; k++)
        if (!add_buffer(p, p->m->state[k]->value, true))
            return false;
    for (const Op *o = p->f->body->first; o; o = net_next(o)) {
        for (int k = 0; o->kind == OP_scan && k < o->n_in; k++)
            if (is_moved(o, k) && !add_buffer(p, o->region[0]->param[k], false))
                return false;
        for (int k = 0; k < o->n_out; k++)
            if (root(o->out[k]) == o->out[k] && !add_buffer(p, o->out[k], false))
                return false;
        for (int k = 0; o->kind == OP_return && k < o->n_in; k++)
            if (net_is_tensor(o->in[k]))
                p->plan.buffer[buffer_of(p, o->in[k])].kept = true;
    }
    return true;
}

/* An image lies as its strides say: planes, or rows with all their channels. */
static void lay_image(Plan *p, const Value *v, const Attr *strides, int64_t h, int64_t c)
{
    MemBuffer *b = &p->plan.buffer[buffer_of(p, v)];
    int64_t row = strides->ints[0], chan = strides->ints[2];

    b->n_plane = chan >= h * row && c > 1 ? c : 1;
    b->plane_bytes = h * row;
    b->step = b->n_plane > 1 ? chan : h * row;
    if (row % 4)
        b->align = v->type.fmt->bytes;
}

/* ---- stages ---- */

static void touch(Plan *p, int group, int buffer, MemKind kind, int64_t from, int64_t to)
{
    if (p->plan.n_touch == p->cap_touch) {
        MemTouch *more = ARENA_ARRAY(p->env->scratch, MemTouch, 2 * p->cap_touch + 64);

        if (p->plan.n_touch)
            memcpy(more, p->touch, (size_t)p->plan.n_touch * sizeof *more);
        p->touch = more;
        p->cap_touch = 2 * p->cap_touch + 64;
    }
    p->touch[p->plan.n_touch++] = (MemTouch){ p->plan.n_stage - 1, group, buffer, kind, from, to };
}

static void touch_all(Plan *p, const Value *v, MemKind kind)
{
    int b = buffer_of(p, v);

    touch(p, 0, b, kind, 0, p->plan.buffer[b].plane_bytes);
}

/* What the kernels of a stage read beside its images. */
static void note_margins(Plan *p, const Op *o)
{
    for (int i = 0; i < o->n_attr; i++)
        for (int k = 0; o->attr[i].kind == ATTR_str && k < p->unit->n_kernels; k++) {
            const KernelInfo *f = &p->unit->kernels[k];

            if (!str_eq(o->attr[i].s, str_of(f->name)))
                continue;
            for (int x = 0; x < o->n_in; x++)
                if (net_is_tensor(o->in[x])) {
                    MemBuffer *b = &p->plan.buffer[buffer_of(p, o->in[x])];

                    b->before = f->before > b->before ? f->before : b->before;
                    b->after = f->after > b->after ? f->after : b->after;
                    b->align = f->align > b->align ? f->align : b->align;
                }
        }
}

static bool works_by_rows(const Op *o, const NetStage *s)
{
    return (s->kind == NET_window || s->kind == NET_pool) && !op_attr(o, "panel") && net_window(s).n_images == 1;
}

/* How many outputs (rows times columns) a group of the stage has. */
static int64_t outputs_of_group(const Plan *p, int stage, const NetWindow *w)
{
    int64_t all = w->out_h * w->out_w;

    if (w->n_images > 1)
        return all;
    if (op_attr(p->op[stage], "panel"))
        return op_attr(p->op[stage], "rows") ? op_int(p->op[stage], "rows", 1) * w->out_w : op_int(p->op[stage], "positions", all);
    return p->cut[stage] ? w->out_w : all;
}

static void touch_windows(Plan *p, const Op *o, const NetStage *s)
{
    NetWindow w = net_window(s);
    const Value *x_value = o->in[net_param(o, s->op->in[0])];
    const Attr *in = op_attr(o, "x"), *out = op_attr(o, "y");
    int stage = p->plan.n_stage - 1, x = buffer_of(p, x_value), y = buffer_of(p, o->out[0]);
    int64_t all = w.out_h * w.out_w, group = outputs_of_group(p, stage, &w), n = group * ((all + group - 1) / group / MAX_GROUPS + 1);
    MemKind read = op_attr(o, "panel") && n == group ? MEM_READ_FIRST : MEM_READ;       /* (of several groups as one, some read when others have written) */
    bool whole_rows = n % w.out_w == 0 || p->plan.buffer[y].n_plane > 1 || out->ints[0] != w.out_w * out->ints[1];

    if (w.n_images > 1) {
        touch_all(p, x_value, MEM_READ);
        touch_all(p, o->out[0], MEM_WRITE);
        return;
    }
    p->plan.stage[stage].n_group = (int)((all + n - 1) / n);
    for (int g = 0; g < p->plan.stage[stage].n_group; g++) {
        int64_t first = g * n, end = first + n < all ? first + n : all, y0 = first / w.out_w, y1 = (end - 1) / w.out_w;
        int64_t x0 = y0 * w.stride_h - w.pad_top, x1 = y1 * w.stride_h - w.pad_top + (w.kernel_h - 1) * w.dilation_h + 1;

        x0 = x0 < 0 ? 0 : x0 > w.in_h ? w.in_h : x0;
        x1 = x1 > w.in_h ? w.in_h : x1 < x0 ? x0 : x1;
        if (x1 > x0)
            touch(p, g, x, read, x0 * in->ints[0], x1 * in->ints[0]);
        if (whole_rows)
            touch(p, g, y, MEM_WRITE, y0 * out->ints[0], (y1 + 1) * out->ints[0]);
        else
            touch(p, g, y, MEM_WRITE, first * out->ints[1], end * out->ints[1]);
    }
}

/* Element by element: each is read before the one in its place is written. */
static bool is_elementwise(const Op *o, const NetStage *s, int i)
{
    const Value *x = o->in[i], *y = o->out[0];

    return (s->kind == NET_add || s->kind == NET_map || s->kind == NET_softmax) && x->type.fmt->bytes == y->type.fmt->bytes &&
           type_n(x->type) == type_n(y->type);
}

/* A stage that only copies: a load that needs a place of its own, a store, the beginning and the end of a scan. */
static void add_copies(Plan *p, Op *o)
{
    const Op *scan = o->kind == OP_yield ? o->parent->owner : o;
    int64_t carried = op_int(scan, "carried", 0);

    if (o->kind == OP_load && root(o->out[0]) != o->out[0])
        return;
    p->op[p->plan.n_stage] = o;
    p->panel[p->plan.n_stage] = -1;
    p->plan.stage[p->plan.n_stage++] = (MemStage){ .n_group = 1 };
    switch (o->kind) {
    case OP_load:
        touch_all(p, o->in[0], MEM_READ);
        touch_all(p, o->out[0], MEM_WRITE);
        return;
    case OP_store:
        touch_all(p, o->in[1], MEM_READ);
        touch_all(p, o->in[0], MEM_WRITE);
        return;
    case OP_scan:                                           /* rows of results are written now and then, so they have their place from now on */
        for (int k = 0; k < o->n_in; k++)
            if (net_is_tensor(o->in[k]))
                touch_all(p, o->in[k], MEM_READ);
        for (int k = 0; k < o->n_in; k++)
            if (is_moved(o, k))
                touch_all(p, o->region[0]->param[k], MEM_WRITE);
        for (int64_t k = carried; k < o->n_out; k++)
            touch_all(p, o->out[k], MEM_WRITE);
        return;
    default:                                                /* the yield: everything that the next round reads is needed until here */
        for (int k = 0; k < o->n_in; k++)
            touch_all(p, o->in[k], MEM_READ);
        for (int k = 0; k < scan->n_in; k++)
            if (net_is_tensor(scan->in[k]) && k >= carried)
                touch_all(p, scan->in[k], MEM_READ);
        for (int64_t k = carried; k < scan->n_out; k++)
            touch_all(p, scan->out[k], MEM_READ);
        for (int64_t k = 0; k < carried; k++)
            touch_all(p, scan->region[0]->param[k], MEM_WRITE);
    }
}

static void add_stage(Plan *p, Op *o)
{
    NetStage s = net_stage(o);
    int stage = p->plan.n_stage++;
    int64_t panel = op_int(o, "panel_bytes", 0);

    p->op[stage] = o;
    p->plan.stage[stage] = (MemStage){ .n_group = 1, .may_turn = true };
    p->panel[stage] = -1;
    if (panel > 0) {
        p->panel[stage] = p->plan.n_buffer;
        p->value[p->plan.n_buffer] = NULL;
        p->plan.buffer[p->plan.n_buffer++] = (MemBuffer){ .name = "panel", .n_plane = 1, .plane_bytes = panel, .step = panel, .align = 16 };
        touch(p, 0, p->panel[stage], MEM_SCRATCH, 0, panel);
    }
    note_margins(p, o);
    if (s.kind == NET_window || s.kind == NET_pool || s.kind == NET_chain) {    /* of a chain: a window whose results go through another one */
        touch_windows(p, o, &s);
        return;
    }
    for (int i = 0; i < o->n_in; i++)
        if (net_is_tensor(o->in[i]))
            touch_all(p, o->in[i], is_elementwise(o, &s, i) ? MEM_READ_SAME : MEM_READ);
    for (int i = 0; i < o->n_out; i++)
        touch_all(p, o->out[i], MEM_WRITE);
}

/* How images lie is said by the stages that move windows over them. */
static void lay_images(Plan *p)
{
    for (const Op *o = p->f->body->first; o; o = net_next(o)) {
        NetStage s;
        NetWindow w;

        if (o->kind != OP_fused)
            continue;
        s = net_stage(o);
        if (s.kind != NET_window && s.kind != NET_pool && s.kind != NET_chain)
            continue;
        w = net_window(&s);
        if (w.n_images > 1)
            continue;
        lay_image(p, o->in[net_param(o, s.op->in[0])], op_attr(o, "x"), w.in_h, w.in_c);
        lay_image(p, o->out[0], op_attr(o, "y"), w.out_h, net_dim(o->out[0]->type, o->out[0]->type.rank - 1));
    }
}

/* Plans with the stages cut as p->cut says.  Returns the bytes of all, -1 after a report. */
static int64_t try_plan(Plan *p)
{
    int64_t bytes;

    p->plan.n_buffer = p->plan.n_stage = p->plan.n_touch = 0;
    if (!list_buffers(p))
        return -1;
    lay_images(p);
    for (Op *o = p->f->body->first; o; o = net_next(o))
        if (o->kind == OP_fused)
            add_stage(p, o);
        else if (o->kind == OP_load || o->kind == OP_store || o->kind == OP_scan || o->kind == OP_yield)
            add_copies(p, o);
    p->plan.touch = p->touch;
    bytes = image_memory_place(&p->plan, p->env->scratch);
    return (int64_t)align_up((uint64_t)bytes, 8);
}

/* Cuts stages into rows where that makes the memory smaller; the plan that stays is the last one tried. */
static int64_t best_plan(Plan *p)
{
    int64_t whole = try_plan(p), best;
    int i = 0, n_tries = 0, n_stage = p->plan.n_stage;

    if (whole < 0)
        return -1;
    for (; i < n_stage; i++) {
        NetStage s = { .kind = NET_none };

        if (p->op[i]->kind == OP_fused)
            s = net_stage(p->op[i]);
        p->cut[i] = works_by_rows(p->op[i], &s);
    }
    best = try_plan(p);
    for (i = 0; i < n_stage && (best >= whole || (n_tries < MAX_TRIES && n_tries * p->plan.n_touch < MAX_WORK)); i++) {
        if (!p->cut[i])
            continue;
        p->cut[i] = false;
        if (best < whole && try_plan(p) > best)
            p->cut[i] = true;
        n_tries++;
    }
    return try_plan(p);
}

/* ---- what is left on the ops ---- */

static void write_places(Plan *p, Op *o, const char *attr, Value *const *v, int n)
{
    int64_t *at = ARENA_ARRAY(p->m->a, int64_t, n + 1);

    for (int i = 0; i < n; i++)
        at[i] = net_is_tensor(v[i]) || v[i]->kind == VAL_state ? p->plan.buffer[buffer_of(p, v[i])].at : PLACE_none;
    op_set_attr(o, attr_ints(attr, at, n));
}

/* The places of a scan's parameters: -1 where an operand is used as it is. */
static void write_params(Plan *p, Op *scan)
{
    int64_t *at = ARENA_ARRAY(p->m->a, int64_t, scan->n_in + 1);

    for (int i = 0; i < scan->n_in; i++)
        at[i] = is_moved(scan, i) ? p->plan.buffer[buffer_of(p, scan->region[0]->param[i])].at : PLACE_none;
    op_set_attr(scan, attr_ints("params", at, scan->n_in));
}

static void write_states(Plan *p, Op *end)
{
    int64_t *at = ARENA_ARRAY(p->m->a, int64_t, p->m->n_state + 1);

    for (int i = 0; i < p->m->n_state; i++)
        at[i] = p->plan.buffer[buffer_of(p, p->m->state[i]->value)].at;
    if (p->m->n_state)
        op_set_attr(end, attr_ints("states", at, p->m->n_state));
}

static void write_stage(Plan *p, int stage)
{
    Op *o = p->op[stage];

    write_places(p, o, "in", o->in, o->n_in);
    write_places(p, o, "out", o->out, o->n_out);
    if (p->panel[stage] >= 0)
        op_set_attr(o, attr_int("panel_at", p->plan.buffer[p->panel[stage]].at));
    if (p->plan.stage[stage].n_group > 1 && p->plan.stage[stage].up)
        op_set_attr(o, attr_str("order", "up"));
    if (p->cut[stage])
        op_set_attr(o, attr_int("rows", 1));
}

bool net_memory(Module *m, const Env *env, Diag *d)
{
    Plan p = { .m = m, .env = env, .d = d, .f = m->entry[0].func };
    int n = p.f->body->n_param + 1, n_stage = 0;
    int64_t total;

    p.unit = kernel_unit(env->n_target == 1 ? env->target[0]->isa[0] : "portable");
    n += m->n_state;
    for (const Op *o = p.f->body->first; o; o = net_next(o)) {
        n += o->n_out + 1 + (o->kind == OP_scan ? o->n_in : 0);
        n_stage++;
    }
    p.plan.buffer = ARENA_ARRAY(env->scratch, MemBuffer, n);
    p.value = ARENA_ARRAY(env->scratch, const Value *, n);
    p.plan.stage = ARENA_ARRAY(env->scratch, MemStage, n_stage + 1);
    p.op = ARENA_ARRAY(env->scratch, Op *, n_stage + 1);
    p.panel = ARENA_ARRAY(env->scratch, int, n_stage + 1);
    p.cut = ARENA_ARRAY(env->scratch, bool, n_stage + 1);
    total = best_plan(&p);
    if (total < 0)
        return false;
    for (int i = 0; i < p.plan.n_stage; i++)
        if (p.op[i]->kind == OP_fused)
            write_stage(&p, i);
    for (Op *o = p.f->body->first; o; o = net_next(o)) {
        if (o->kind != OP_fused && o->kind != OP_reshape)
            write_places(&p, o, "in", o->in, o->n_in);
        if (o->kind == OP_load || o->kind == OP_scan)
            write_places(&p, o, "out", o->out, o->n_out);
        if (o->kind == OP_scan)
            write_params(&p, o);
        if (o->kind == OP_return) {
            write_places(&p, o, "inputs", p.f->body->param, p.f->body->n_param);
            write_states(&p, o);
        }
    }
    module_set_meta(m, "arena_bytes", attr_int("", total));
    return true;
}
