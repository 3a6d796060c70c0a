/* Everything about one stage: its ops, why it is so, chunks, kernels, layouts, places.
 *
 * A reason is printed only where it has been checked on this very Module: that a chunk is what fits
 * so many bytes, that a kernel is the first of its contract, that a layout is the smallest.  What
 * does not hold is left out. */
#include "codegen/codegen.h"
#include "compiler/explain.h"

enum { FITTING_BYTES = 16 * 1024 }; /* a reason: the most tiles that fit so many bytes */

/* ---- where things lie ------------------------------------------------------------------------ */

static int param_index(const Op *s, const Value *v)
{
    for (int i = 0; i < s->region[0]->n_param; i++)
        if (s->region[0]->param[i] == v)
            return i;
    return -1;
}

/* The result of the stage that v, made inside, is; -1: none. */
static int result_index(const Op *s, const Value *v)
{
    const Op *yield = s->region[0]->last;

    for (int i = 0; i < yield->n_in; i++)
        if (yield->in[i] == v)
            return i;
    return -1;
}

/* "arena 704 .. 1215", "the caller's memory, input 0" */
static const char *place_words(Look *k, Type t, int64_t place)
{
    uint64_t bytes = 0;

    if (place <= PLACE_output)
        return str_printf(k->a, "the caller's memory, result %" PRId64, PLACE_output - place);
    if (place <= PLACE_input)
        return str_printf(k->a, "the caller's memory, input %" PRId64, PLACE_input - place);
    if (place < 0 || !type_bytes(t, &bytes))
        return "nowhere";
    return str_printf(k->a, "arena %" PRId64 " .. %" PRIu64, place,
                      (uint64_t)place + (bytes ? bytes - 1 : 0));
}

static const char *weight_words(Look *k, const Value *w)
{
    if (!w->layout)
        return "weight";
    if (w->layout->rows == 1)
        return str_printf(k->a, "weight, %s, %s B", w->layout->name,
                          explain_number(k, explain_weight_bytes(w)));
    return str_printf(k->a, "weight, %s, %s B, a tile of %d rows every %s B", w->layout->name,
                      explain_number(k, explain_weight_bytes(w)), w->layout->rows,
                      explain_number(k, w->tile_stride));
}

/* Where a value of the region lies while the stage runs. */
const char *explain_home(Look *k, const Op *s, const Value *v)
{
    int p = param_index(s, v), r = result_index(s, v);
    const Attr *scratch;

    if (p >= 0 && v->stands_for == VAL_weight)
        return weight_words(k, v);
    if (p >= 0 && v->stands_for == VAL_state)
        return str_printf(k->a, "state, %s B for each position",
                          explain_number(k, explain_row_bytes(k, v)));
    if (p >= 0)
        return place_words(k, v->type, op_attr(s, "in")->ints[p]);
    if (v->kind != VAL_result)
        return "outside";
    scratch = op_attr(v->op, "scratch");
    if (scratch && r >= 0)
        return str_printf(k->a, "scratch %" PRId64 " of each thread, and %s", scratch->i,
                          place_words(k, v->type, op_attr(s, "out")->ints[r]));
    if (scratch)
        return str_printf(k->a, "scratch %" PRId64 " of each thread, a row", scratch->i);
    if (r >= 0)
        return place_words(k, v->type, op_attr(s, "out")->ints[r]);
    return explain_part(s, v->op) == PART_anchor || explain_part(s, v->op) == PART_epilogue
               ? "the tile of results"
               : "the thread's own";
}

static void print_ops(Look *k, const Op *s, Part part, const char *title)
{
    bool any = false;

    for (const Op *o = s->region[0]->first; o; o = o->next) {
        if (o->kind == OP_yield || explain_part(s, o) != part)
            continue;
        if (!any)
            buf_printf(k->out, "  %s\n", title);
        any = true;
        buf_printf(k->out, "    %-16s = %s", o->n_out ? explain_value_name(k, o->out[0]) : "",
                   op_info[o->kind].name);
        for (int i = 0; i < o->n_in; i++)
            buf_printf(k->out, "%s%s %s", i ? ", " : " ", explain_value_name(k, o->in[i]),
                       type_text(k->a, o->in[i]->type));
        if (o->n_out)
            buf_printf(k->out, " : %s", type_text(k->a, o->out[0]->type));
        buf_printf(k->out, "%s%s\n", o->by ? ", put there by pass " : "",
                   o->by ? explain_show(k, o->by) : "");
    }
}

static void print_places(Look *k, const Op *s)
{
    const Region *r = s->region[0];

    buf_puts(k->out, "\nwhere things lie\n");
    for (int i = 0; i < r->n_param; i++)
        buf_printf(k->out, "    %-16s %-16s %s\n", explain_value_name(k, r->param[i]),
                   type_text(k->a, r->param[i]->type), explain_home(k, s, r->param[i]));
    for (const Op *o = r->first; o; o = o->next)
        for (int i = 0; o->kind != OP_yield && i < o->n_out; i++)
            buf_printf(k->out, "    %-16s %-16s %s\n", explain_value_name(k, o->out[i]),
                       type_text(k->a, o->out[i]->type), explain_home(k, s, o->out[i]));
}

/* ---- kernels --------------------------------------------------------------------------------- */

static const KernelInfo *kernel_named(const KernelUnit *u, const char *name)
{
    for (int i = 0; u && i < u->n_kernels; i++)
        if (!strcmp(u->kernels[i].name, name))
            return &u->kernels[i];
    return NULL;
}

/* "dot.0" -> role "dot", target 0 */
bool explain_kernel_attr(const Attr *t, int *target)
{
    const char *dot = strrchr(t->name, '.');
    int64_t n;

    if (!dot || t->kind != ATTR_str || !str_to_i64(str_of(dot + 1), &n) || n < 0 ||
        n >= EXPLAIN_MAX_TARGETS)
        return false;
    *target = (int)n;
    return true;
}

/* Kernels of the same contract that the target could use too: what `have` was preferred to. */
static const char *passed_over(Look *k, const Chip *c, const KernelInfo *have)
{
    Buf b = buf_in(k->a);

    for (int i = 0; c->isas[i]; i++) {
        const char *only[] = { c->isas[i], NULL };
        const KernelInfo *other =
            kernel_find(c->unit, only, have->op, *have->layout ? have->layout : NULL,
                        *have->act ? have->act : NULL, have->tile_tokens);

        if (other && strcmp(other->name, have->name))
            buf_printf(&b, "%s%s", b.n ? ", " : "", other->isa);
    }
    return b.n ? buf_z(&b) : NULL;
}

/* The instruction sets whose kernels are in a unit, best first. */
static const char *unit_words(Look *k, const KernelUnit *u)
{
    Buf b = buf_in(k->a);

    for (int i = 0; u->isas[i]; i++)
        buf_printf(&b, "%s%s", i ? ", " : "", u->isas[i]);
    return buf_z(&b);
}

static void print_kernel(Look *k, const Chip *c, const KernelInfo *u, const char *users)
{
    const KernelInfo *first = kernel_find(c->unit, c->isas, u->op, *u->layout ? u->layout : NULL,
                                          *u->act ? u->act : NULL, u->tile_tokens);
    const char *others = first == u ? passed_over(k, c, u) : NULL;

    buf_printf(k->out, "    %s\n      for %s; op %s", u->name, users, u->op);
    if (*u->layout)
        buf_printf(k->out, ", layout %s", u->layout);
    if (*u->act)
        buf_printf(k->out, ", %s", u->act);
    if (u->tile_rows)
        buf_printf(k->out, ", a tile of %s x %s", explain_many(k, u->tile_rows, "row"),
                   explain_many(k, u->tile_tokens, "token"));
    buf_printf(k->out, "; needs %s; order of sums %s\n",
               *u->features ? u->features : "nothing beyond the baseline",
               *u->order ? u->order : "its own");
    if (first == u)
        buf_printf(k->out, "      the %s with this contract in the unit of %s (%s)%s%s%s\n",
                   others ? "first" : "only one", c->unit->isa, unit_words(k, c->unit),
                   others ? "; " : "", others ? others : "", others ? " follows" : "");
}

static void print_kernels(Look *k, const Op *s)
{
    for (int i = 0; i < k->n_chip; i++) {
        const char **done = ARENA_ARRAY(k->a, const char *, 8 * explain_n_ops(s) + 8);
        int n_done = 0;

        for (const Op *o = s->region[0]->first; o; o = o->next)
            for (int q = 0; q < o->n_attr; q++) {
                const char *name, *users[MAX_ANCHORS];
                const KernelInfo *u;
                int target, n = 0;
                bool again = false;

                if (!explain_kernel_attr(&o->attr[q], &target) || target != i)
                    continue;
                name = str_z(k->a, o->attr[q].s);
                u = kernel_named(k->chip[i].unit, name);
                for (int z = 0; z < n_done; z++)
                    again = again || !strcmp(done[z], name);
                if (again || !u || n_done == 8 * explain_n_ops(s) + 8)
                    continue;
                if (!n_done)
                    buf_printf(k->out, "\nkernels of %s\n", k->chip[i].name);
                done[n_done++] = name;
                for (const Op *p = o; p && n < MAX_ANCHORS; p = p->next)
                    for (int z = 0; z < p->n_attr && n < MAX_ANCHORS; z++)
                        if (explain_kernel_attr(&p->attr[z], &target) && target == i &&
                            str_is(p->attr[z].s, name) &&
                            (!n || strcmp(users[n - 1], explain_op_name(k, p))))
                            users[n++] = explain_op_name(k, p);
                print_kernel(k, &k->chip[i], u, explain_list(k, users, n));
            }
    }
}

/* ---- layouts --------------------------------------------------------------------------------- */

static const char *bits_words(Look *k, const Layout *l)
{
    int64_t n = (int64_t)l->rows * l->cols;
    int64_t hundredths = ((int64_t)l->block_bytes * 800 + n / 2) / n;

    return str_printf(k->a, "%" PRId64 ".%02" PRId64, hundredths / 100, hundredths % 100);
}

static void print_layouts(Look *k, const Op *s)
{
    const Region *r = s->region[0];
    bool any = false;

    for (int i = 0; i < r->n_param; i++) {
        const Value *w = r->param[i];
        const char *who[MAX_ANCHORS];
        int n = 0;
        bool again = false;

        if (w->stands_for != VAL_weight || !w->layout)
            continue;
        for (int q = 0; q < i; q++)
            again =
                again || (r->param[q]->stands_for == VAL_weight &&
                          r->param[q]->layout == w->layout && r->param[q]->type.fmt == w->type.fmt);
        if (again)
            continue;
        for (int q = i; q < r->n_param && n < MAX_ANCHORS; q++)
            if (r->param[q]->stands_for == VAL_weight && r->param[q]->layout == w->layout &&
                r->param[q]->type.fmt == w->type.fmt)
                who[n++] = explain_value_name(k, r->param[q]);
        if (!any)
            buf_puts(k->out, "\nlayouts of the weights\n");
        any = true;
        buf_printf(k->out, "    %s: %s\n      of %s, stored as %s; %s bits per weight",
                   w->layout->name, w->layout->help, explain_list(k, who, n), w->type.fmt->name,
                   bits_words(k, w->layout));
        if (w->layout->rows > 1)
            buf_printf(k->out, "; %d rows x %s are a block of %s B", w->layout->rows,
                       explain_many(k, w->layout->cols, "column"),
                       explain_number(k, (uint64_t)w->layout->block_bytes));
        buf_putc(k->out, '\n');
        if (layout_is_split(w->layout))
            buf_printf(k->out,
                       "      the head in two stages: where the program looks at the best logits only, a token reads the "
                       "high bits, %s of\n      each %s B, and the rest of those tiles that they cannot rule out "
                       "(--head full: all of it)\n",
                       explain_percent(k, 704, 1088), explain_number(k, 1088));
        else if (w->layout == layout_for_format(w->type.fmt))
            buf_printf(k->out,
                       "      the layout that holds %s in the fewest bytes; nothing is rounded\n",
                       w->type.fmt->name);
        else if (layout_takes(w->layout, w->type.fmt))
            buf_printf(k->out, "      holds %s exactly\n", w->type.fmt->name);
        else if (layout_may_take(w->layout, w->type.fmt))
            buf_printf(k->out, "      holds these weights exactly, which do not use all codes of %s, in fewer bytes\n", w->type.fmt->name);
    }
}

/* ---- chunks ---------------------------------------------------------------------------------- */

static void print_group_chunks(Look *k, const Op *s, int g)
{
    int64_t tiles = op_attr(s, "tiles")->ints[g], chunks = op_attr(s, "chunks")->ints[g],
            bytes = explain_chunk_bytes(s, g);
    int64_t unit = stage_width(s, g) / TILE_ROWS, n_tile = 0, tile = 0;
    const char *who[MAX_ANCHORS];
    int64_t fit;
    int n = 0;

    for (const Op *o = s->region[0]->first; o; o = o->next)
        if (o->kind == OP_matmul && stage_group(s, o) == g && n < MAX_ANCHORS) {
            who[n++] = explain_op_name(k, o);
            n_tile = (type_n_rows(o->in[1]->type) + TILE_ROWS - 1) / TILE_ROWS;
            tile += (int64_t)explain_tile_bytes(o->in[1], false);
        }
    buf_printf(k->out, "    %s: %s of %d outputs, %s B of weights each%s, in %s",
               explain_list(k, who, n), explain_many(k, n_tile, "tile"), TILE_ROWS,
               explain_number(k, (uint64_t)tile), n > 1 ? " (of all together)" : "",
               explain_many(k, chunks, "chunk"));
    if (chunks > 1)
        buf_printf(k->out, " of %" PRId64 ", %s B", tiles, explain_number(k, (uint64_t)bytes));
    buf_putc(k->out, '\n');
    fit = tile >= FITTING_BYTES || tile < 1 ? 1 : FITTING_BYTES / tile;
    if (tiles != (fit + unit - 1) / unit * unit)
        return;
    if (n_tile <= tiles && n_tile * tile <= FITTING_BYTES)
        buf_printf(k->out, "      all of them fit %s B\n", explain_number(k, FITTING_BYTES));
    else if (unit == 1 && tile >= FITTING_BYTES)
        buf_printf(k->out, "      one tile alone has %s B or more\n",
                   explain_number(k, FITTING_BYTES));
    else if (unit == 1)
        buf_printf(k->out, "      the most whose weights fit %s B\n",
                   explain_number(k, FITTING_BYTES));
    else
        buf_printf(k->out,
                   "      what fits %s B, or one tile, rounded up to whole epilogues of %s\n",
                   explain_number(k, FITTING_BYTES), explain_many(k, unit, "tile"));
}

/* "3 up to 8 threads, else 1" */
static const char *heads_by_threads(Look *k, const Op *s)
{
    const Attr *heads = op_attr(s, "heads"), *threads = op_attr(s, "threads");
    Buf b = buf_in(k->a);

    for (int i = 0; i < threads->n_ints; i++)
        buf_printf(&b, "%" PRId64 " up to %s, ", heads->ints[i],
                   explain_many(k, threads->ints[i], "thread"));
    buf_printf(&b, "else %" PRId64, heads->ints[threads->n_ints]);
    return buf_z(&b);
}

static void print_chunks(Look *k, const Total *t, const Op *s)
{
    const Op *anchor = stage_anchor(s);
    Facts f = explain_facts(k, s, t->weight_bytes + t->row_bytes);
    int n_threads = k->chip[0].n_threads;
    int64_t tokens = op_int(s, "tokens", 1);

    buf_printf(k->out, "\nchunks: %s; whichever thread takes one computes all of its outputs\n",
               explain_number(k, (uint64_t)f.n_chunk));
    if (anchor && anchor->kind == OP_matmul)
        for (int g = 0; g < stage_n_groups(s); g++)
            print_group_chunks(k, s, g);
    else
        buf_printf(k->out, "    one for %s%s\n", anchor ? explain_heads(k, s, " and ") : "",
                   explain_many(k, tokens, "token"));
    if (op_attr(s, "threads"))
        buf_printf(k->out,
                   "    heads of a group share each read of K and V; with more threads, fewer in a "
                   "chunk: %s\n",
                   heads_by_threads(k, s));
    if (anchor && anchor->kind == OP_matmul && explain_sym(k, "T") > 1)
        buf_puts(k->out, "    each for all tokens of the call: a tile's weights are read once, "
                         "then the tokens pass\n");
    if (n_threads > 1 && f.n_chunk % n_threads)
        buf_printf(k->out,
                   "    %s with %d threads: in the last one only %" PRId64 " of them %s a chunk\n",
                   explain_many(k, (f.n_chunk + n_threads - 1) / n_threads, "round"), n_threads,
                   f.n_chunk % n_threads, f.n_chunk % n_threads == 1 ? "has" : "have");
}

/* ---- reasons --------------------------------------------------------------------------------- */

/* The stage of the same function that made operand i; NULL: it comes from outside. */
static const Op *maker(const Op *s, int i)
{
    const Value *v = s->in[i];

    return v->kind == VAL_result && v->op->kind == OP_fused ? v->op : NULL;
}

static int names_of(Look *k, const Op *s, Part part, const char **out, int cap)
{
    int n = 0;

    for (const Op *o = s->region[0]->first; o && n < cap; o = o->next)
        if (o->kind != OP_yield && explain_part(s, o) == part)
            out[n++] = explain_op(k, s, o);
    return n;
}

static void why_one(Look *k, const Total *t, const Func *in, const Op *s)
{
    int n = explain_n_ops(s), saved = (n - 1) * explain_times(t, in);

    if (n == 1) {
        buf_puts(k->out, "  - It is a single op: nothing is fused in it.\n");
        return;
    }
    buf_printf(k->out,
               "  - Its %d ops are one stage: each alone (--fuse none), a call would have %s more "
               "than the %d that it has",
               n, explain_many(k, saved, "stage"), t->n_stage);
    if (k->chip[0].n_threads > 1)
        buf_printf(k->out, "; at %s for a meeting of the threads, as the cost model has it, %s",
                   explain_time(k, COST_MEETING_PS),
                   explain_time(k, (uint64_t)saved * COST_MEETING_PS));
    buf_puts(k->out, ".\n");
}

static void why_siblings(Look *k, const Op *s)
{
    const char *who[MAX_ANCHORS];
    const Value *x = NULL;
    int n = 0;

    for (const Op *o = s->region[0]->first; o; o = o->next)
        if (o->kind == OP_matmul && (!x || x == o->in[0]) && n < MAX_ANCHORS) {
            x = o->in[0];
            who[n++] = explain_op_name(k, o);
        }
    if (n > 1)
        buf_printf(k->out, "  - %s read the same %s, so they share its row and one meeting.\n",
                   explain_list(k, who, n), explain_value_name(k, x));
    for (int g = 0; g < stage_n_groups(s); g++) {
        uint64_t stride = 0, all = 0;

        n = 0;
        for (const Op *o = s->region[0]->first; o; o = o->next)
            if (o->kind == OP_matmul && stage_group(s, o) == g && n < MAX_ANCHORS) {
                who[n++] = explain_op_name(k, o);
                stride = o->in[1]->tile_stride;
                all += explain_tile_bytes(o->in[1], false);
            }
        if (n > 1)
            buf_printf(k->out,
                       "  - %s meet in one op behind them, so they are computed tile by tile "
                       "together%s.\n",
                       explain_list(k, who, n),
                       stride == all ? ", and their tiles lie in turns in the weights file" : "");
    }
}

static void why_prologue(Look *k, const Func *in, const Op *s)
{
    const Op *anchor = stage_anchor(s);
    const char *who[MAX_ANCHORS];
    int n = names_of(k, s, PART_prologue, who, MAX_ANCHORS), p;
    uint64_t bytes = 0;

    if (!anchor || anchor->kind != OP_matmul)
        return;
    if (n) {
        const Value *x = anchor->in[0];
        bool one = x->type.rank < 2 || dim_is_one(in, x->type.dim[0]);

        for (const Op *o = s->region[0]->first; o; o = o->next)
            if (explain_part(s, o) == PART_prologue && o->n_out && op_attr(o, "scratch")) {
                uint64_t end = (uint64_t)op_int(o, "scratch", 0) + explain_row_bytes(k, o->out[0]);

                bytes = end > bytes ? end : bytes;
            }
        buf_printf(k->out, "  - What makes x (%s) %s: every thread computes it for itself",
                   explain_list(k, who, n), one ? "is a row of one token" : "comes in front");
        if (bytes)
            buf_printf(k->out, " (%s B of its scratch)", explain_number(k, bytes));
        buf_puts(k->out,
                 " after its first claim of a chunk, rather than wait for a stage that does.\n");
        for (const Op *o = s->region[0]->first; o; o = o->next)
            if (o->kind != OP_yield && o->n_out && explain_part(s, o) == PART_prologue &&
                result_index(s, o->out[0]) >= 0)
                buf_printf(k->out,
                           "  - %s is wanted later, too: whoever computes chunk 0 stores it.\n",
                           explain_value_name(k, o->out[0]));
        return;
    }
    p = param_index(s, anchor->in[0]);
    if (p >= 0 && maker(s, p)) {
        const Op *from = maker(s, p);

        buf_printf(k->out, "  - x (%s) is made by stage %s", explain_value_name(k, anchor->in[0]),
                   explain_stage_name(k, from));
        if (!stage_anchor(from) && from->out[0]->type.rank > 1 &&
            !dim_is_one(in, from->out[0]->type.dim[0]))
            buf_printf(k->out,
                       ", not here: it has up to %s, and each thread would compute all of them",
                       explain_many(k, dim_hi(from->out[0]->type.dim[0]), "row"));
        else if (stage_anchor(from) && stage_anchor(from)->kind == OP_attention)
            buf_puts(k->out, ": every output needs all of its heads");
        else if (stage_anchor(from))
            buf_puts(k->out, ": every output needs its whole row");
        buf_puts(k->out, ".\n");
    }
}

/* Does o, an op behind the contractions, work on results of group g? */
static bool follows_group(const Op *s, const Op *o, int g)
{
    for (int i = 0; i < o->n_in; i++) {
        const Value *v = o->in[i];

        if (v->kind != VAL_result || v->op->parent != s->region[0])
            continue;
        if (v->op->kind == OP_matmul ? stage_group(s, v->op) == g : follows_group(s, v->op, g))
            return true;
    }
    return false;
}

static void why_epilogue(Look *k, const Op *s)
{
    const char *who[MAX_ANCHORS];
    const Op *anchor = stage_anchor(s);
    int n = anchor ? names_of(k, s, PART_epilogue, who, MAX_ANCHORS) : 0;

    if (!n)
        return;
    buf_printf(k->out, "  - %s: computed on results before they leave the thread%s.\n",
               explain_part_words(k, s, PART_epilogue),
               anchor->kind == OP_matmul ? ", in a local array" : ", head by head");
    for (int g = 0; anchor->kind == OP_matmul && g < stage_n_groups(s); g++) {
        int64_t width = stage_width(s, g), reach = 1;
        const char *widest = NULL, *group = NULL, *unit_of = "";

        for (const Op *o = s->region[0]->first; o; o = o->next) {
            if (o->kind == OP_matmul && !group && stage_group(s, o) == g)
                group = explain_op_name(k, o);
            if (o->kind == OP_yield || explain_part(s, o) != PART_epilogue ||
                !follows_group(s, o, g))
                continue;
            if (op_reach(o) > reach) {
                reach = op_reach(o);
                widest = explain_op(k, s, o);
                unit_of = o->kind == OP_quant ? "blocks" : reach == 2 ? "pairs" : "heads";
            }
        }
        if (!group)
            continue;
        buf_printf(k->out, "  - Behind %s it works on %" PRId64 " elements at a time: %s", group,
                   width, explain_many(k, width / TILE_ROWS, "tile"));
        if (widest && width > TILE_ROWS)
            buf_printf(k->out, ", because %s must see %" PRId64 " together", widest, reach);
        else if (widest)
            buf_printf(k->out, ", which holds whole %s (%s: %" PRId64 " together)", unit_of, widest,
                       reach);
        else
            buf_puts(k->out, ", and no op of it must see more than one together");
        buf_puts(k->out, ".\n");
    }
}

static void why_places(Look *k, const Op *s)
{
    const Attr *in = op_attr(s, "in"), *out = op_attr(s, "out");

    for (int i = 0; i < s->n_in; i++)
        for (int o = 0; o < s->n_out; o++)
            if (in->ints[i] >= 0 && in->ints[i] == out->ints[o] && stage_in_place(s, i, o))
                buf_printf(k->out,
                           "  - %s overwrites %s in place: each element is read where the result's "
                           "element is written.\n",
                           explain_value_name(k, s->out[o]),
                           explain_value_name(k, s->region[0]->param[i]));
}

static void print_why(Look *k, const Total *t, const Func *in, const Op *s)
{
    buf_puts(k->out, "\nwhy it is so\n");
    why_one(k, t, in, s);
    if (stage_anchor(s) && stage_anchor(s)->kind == OP_matmul)
        why_siblings(k, s);
    why_prologue(k, in, s);
    why_epilogue(k, s);
    why_places(k, s);
    if (strcmp(explain_fuse_spec(k), "default"))
        buf_printf(k->out,
                   "  - The folder was made with --fuse %s, which leaves some fusing out.\n",
                   explain_fuse_spec(k));
}

/* What one run reads and computes. */
static void print_work(Look *k, const Facts *f)
{
    const struct {
        uint64_t n;
        const char *what;
    } work[] = { { f->weight_bytes, "B of weights" },
                 { f->row_bytes, "B of rows of tables" },
                 { f->state_bytes, "B of the cache for each position" },
                 { f->macs, "8-bit multiply-adds" },
                 { f->float_macs, "multiply-adds of floats" } };
    const char *words[sizeof work / sizeof *work];
    int n = 0;

    for (size_t i = 0; i < sizeof work / sizeof *work; i++)
        if (work[i].n)
            words[n++] = str_printf(k->a, "%s %s", explain_number(k, work[i].n), work[i].what);
    buf_printf(k->out, "    one run: %s", n ? explain_list(k, words, n) : "no weights");
}

void explain_print_stage(Look *k, const Total *t, const Func *in, const Op *s)
{
    int times = explain_times(t, in);
    Facts f = explain_facts(k, s, t->weight_bytes + t->row_bytes);

    buf_printf(k->out, "\n%s of %s (%s)", explain_stage_name(k, s), explain_show(k, t->entry->name),
               explain_call(k));
    if (in != t->entry->func)
        buf_printf(k->out, ", in %s, which it runs %s", explain_show(k, in->name),
                   times == 1 ? "once" : explain_many(k, times, "time"));
    buf_printf(k->out, "\n    %s\n    C function %s; kind %s\n", explain_stage(k, s),
               explain_c_name(k, in, s), op_str(s, "kind", "?"));
    print_work(k, &f);
    if (explain_has_figures(&k->chip[0]) && f.ps)
        buf_printf(k->out, "; modelled %s, %s of the call%s", explain_time(k, f.ps),
                   explain_percent(k, f.ps * (uint64_t)times, t->ps),
                   times > 1 ? " with all its runs" : "");
    buf_puts(k->out, "\n\nops, in order\n");
    print_ops(k, s, PART_prologue, "before the contractions, whole rows:");
    print_ops(k, s, PART_anchor,
              stage_anchor(s) && stage_anchor(s)->kind == OP_matmul ? "contractions, tile by tile:"
                                                                    : "attention, head by head:");
    print_ops(k, s, PART_epilogue, "behind them, on the results:");
    print_ops(k, s, PART_row, "row by row:");
    print_why(k, t, in, s);
    print_chunks(k, t, s);
    print_kernels(k, s);
    print_layouts(k, s);
    print_places(k, s);
}
