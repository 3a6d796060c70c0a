/* Facts and words about stages: see explain.h.
 *
 * Bytes are those of the packed weights, from the layouts that the stages' parameters name.  Time
 * is cost.c's: the longer of reading them and of the multiply-adds; whether they come from the
 * last-level cache is decided by all that the entry reads in a call. */
#include "compiler/explain.h"

#include "codegen/emit.h"

enum { SHOWN = 60 }; /* bytes of a name */

/* ---- words ----------------------------------------------------------------------------------- */

const char *explain_show(Look *k, const char *s)
{
    return str_show(k->a, str_of(s), SHOWN);
}

/* 1234567 as "1 234 567". */
const char *explain_number(Look *k, uint64_t v)
{
    const char *digits = str_printf(k->a, "%" PRIu64, v);
    size_t n = strlen(digits);
    Buf b = buf_in(k->a);

    for (size_t i = 0; i < n; i++) {
        if (i && (n - i) % 3 == 0)
            buf_putc(&b, ' ');
        buf_putc(&b, digits[i]);
    }
    return buf_z(&b);
}

/* part of whole, with one decimal */
const char *explain_percent(Look *k, uint64_t part, uint64_t whole)
{
    uint64_t x = whole ? (uint64_t)((double)part * 1000 / (double)whole + 0.5) : 0;

    return str_printf(k->a, "%" PRIu64 ".%" PRIu64 " %%", x / 10, x % 10);
}

const char *explain_time(Look *k, uint64_t ps)
{
    uint64_t ns10 = (ps + 50) / 100;

    if (ns10 < 10000)
        return str_printf(k->a, "%" PRIu64 ".%" PRIu64 " ns", ns10 / 10, ns10 % 10);
    if (ns10 < 10000000)
        return str_printf(k->a, "%" PRIu64 ".%02" PRIu64 " us", ns10 / 10000, ns10 % 10000 / 100);
    return str_printf(k->a, "%" PRIu64 ".%02" PRIu64 " ms", ns10 / 10000000,
                      ns10 % 10000000 / 100000);
}

const char *explain_many(Look *k, int64_t n, const char *what)
{
    return str_printf(k->a, "%s %s%s", explain_number(k, (uint64_t)n), what, n == 1 ? "" : "s");
}

/* What a value or an op is called. */
const char *explain_value_name(Look *k, const Value *v)
{
    return explain_show(k, v->name);
}

const char *explain_op_name(Look *k, const Op *o)
{
    if (o->from)
        return explain_show(k, o->from);
    return o->n_out ? explain_value_name(k, o->out[0]) : op_info[o->kind].name;
}

const char *explain_stage_name(Look *k, const Op *s)
{
    return explain_show(k, op_str(s, "stage", "?"));
}

/* The stage's function in the emitted C. */
const char *explain_c_name(Look *k, const Func *f, const Op *s)
{
    return str_printf(k->a, "%s_%s", emit_ident(k->a, str_of(f->name)),
                      emit_ident(k->a, str_of(op_str(s, "stage", "stage"))));
}

/* "a", "a and b", "a, b and c" */
const char *explain_list(Look *k, const char *const *v, int n)
{
    Buf b = buf_in(k->a);

    for (int i = 0; i < n; i++)
        buf_printf(&b, "%s%s", !i ? "" : i + 1 == n ? " and " : ", ", v[i]);
    return buf_z(&b);
}

/* The word behind `option` in the command that made the folder, "" where it is not given. */
static const char *command_word(Look *k, const char *option)
{
    const char *at = strstr(module_meta_str(k->m, "build.command", ""), option);

    if (!at)
        return "";
    at += strlen(option);
    return str_z(k->a, (Str){ at, strcspn(at, " ") });
}

const char *explain_fuse_spec(Look *k)
{
    const char *spec = command_word(k, " --fuse ");

    return *spec ? explain_show(k, spec) : "default";
}

/* ---- facts ----------------------------------------------------------------------------------- */

static bool is_anchor(const Op *o)
{
    return o->kind == OP_matmul || o->kind == OP_attention;
}

Part explain_part(const Op *s, const Op *o)
{
    if (is_anchor(o))
        return PART_anchor;
    if (!stage_anchor(s))
        return PART_row;
    return stage_is_prologue(s, o) ? PART_prologue : PART_epilogue;
}

int explain_n_ops(const Op *s)
{
    int n = 0;

    for (const Op *o = s->region[0]->first; o; o = o->next)
        n += o->kind != OP_yield;
    return n;
}

uint64_t explain_weight_bytes(const Value *w)
{
    uint64_t bytes = 0;
    int64_t n_in = 1;

    if (!w->layout || !w->type.rank) {
        type_bytes(w->type, &bytes);
        return bytes;
    }
    dim_is_const(type_last(w->type), &n_in);
    return layout_bytes(w->layout, type_n_rows(w->type), n_in);
}

/* Bytes of one tile, or of one row where `row`. */
uint64_t explain_tile_bytes(const Value *w, bool row)
{
    int64_t n_in = 1;

    if (!w->type.rank)
        return 0;
    dim_is_const(type_last(w->type), &n_in);
    return w->layout ? layout_tile_bytes(w->layout, n_in) / (uint64_t)(row ? w->layout->rows : 1)
                     : 0;
}

static int64_t rows_of(const Look *k, const Value *v)
{
    return v->type.rank ? dim_eval(v->type.dim[0], k->val) : 1;
}

/* A value with the rows that a stage without contractions goes through: its last op's. */
static const Value *row_value(const Op *s)
{
    const Op *last = s->region[0]->last->prev;

    return last->n_out ? last->out[0] : last->in[last->n_in - 1];
}

/* Weights of one chunk of group g: its tiles of every member. */
int64_t explain_chunk_bytes(const Op *s, int g)
{
    const Attr *tiles = op_attr(s, "tiles");
    uint64_t all = 0;

    for (const Op *o = s->region[0]->first; o; o = o->next)
        if (o->kind == OP_matmul && stage_group(s, o) == g) {
            int64_t n_tile = (type_n_rows(o->in[1]->type) + TILE_ROWS - 1) / TILE_ROWS;

            all += explain_tile_bytes(o->in[1], false) *
                   (uint64_t)(tiles->ints[g] < n_tile ? tiles->ints[g] : n_tile);
        }
    return (int64_t)all;
}

/* Of a tensor of one row or of rows of tokens, and of a state: one position. */
uint64_t explain_row_bytes(Look *k, const Value *v)
{
    Type t = v->type;
    uint64_t bytes = 0;

    if (t.rank > 1)
        t.dim[0] = dim_const(k->m, 1);
    type_bytes(t, &bytes);
    return bytes;
}

static void count_chunks(Look *k, const Op *s, Facts *f)
{
    const Op *anchor = stage_anchor(s);
    const Attr *chunks = op_attr(s, "chunks");
    int64_t tokens = op_int(s, "tokens", 1);

    if (anchor && anchor->kind == OP_matmul) {
        for (int g = 0; g < chunks->n_ints; g++) {
            int64_t bytes = explain_chunk_bytes(s, g);

            f->n_chunk += chunks->ints[g];
            f->chunk_bytes = bytes > f->chunk_bytes ? bytes : f->chunk_bytes;
        }
        return;
    }
    f->n_chunk = (rows_of(k, anchor ? anchor->out[0] : row_value(s)) + tokens - 1) / tokens;
    if (anchor)
        f->n_chunk *= op_int(anchor, "n_head", 1) / stage_heads(s, k->chip[0].n_threads);
}

/* Everything but the time. */
static Facts facts_of(Look *k, const Op *s)
{
    const Region *r = s->region[0];
    Facts f = { 0 };

    for (int i = 0; i < r->n_param; i++) {
        bool whole = false;

        if (r->param[i]->stands_for != VAL_weight)
            continue;
        for (const Op *o = r->first; o; o = o->next)
            for (int q = 0; q < o->n_in; q++)
                whole = whole || (o->in[q] == r->param[i] && o->kind != OP_rows);
        if (whole)
            f.weight_bytes += explain_weight_bytes(r->param[i]);
    }
    for (const Op *o = r->first; o; o = o->next) {
        if (o->kind == OP_rows)
            f.row_bytes += explain_tile_bytes(o->in[0], true) * (uint64_t)rows_of(k, o->out[0]);
        if (o->kind == OP_attention)
            f.state_bytes += explain_row_bytes(k, o->in[1]) + explain_row_bytes(k, o->in[2]);
        if (o->kind == OP_matmul) {
            uint64_t n = (uint64_t)type_n(o->in[1]->type) * (uint64_t)rows_of(k, o->out[0]);

            if (!format_is_q8(o->in[0]->type.fmt) && !op_takes_panels(o))
                f.float_macs += n;
            else
                f.macs += n;
        }
    }
    count_chunks(k, s, &f);
    return f;
}

bool explain_has_figures(const Chip *c)
{
    return c->target && c->target->dram_mb_s > 0 && c->target->mac8_per_ns > 0;
}

Facts explain_facts(Look *k, const Op *s, uint64_t all_bytes)
{
    Facts f = facts_of(k, s);

    if (explain_has_figures(&k->chip[0]))
        f.ps = cost_part_ps(k->chip[0].target, all_bytes, f.weight_bytes + f.row_bytes, f.macs,
                            k->chip[0].n_threads);
    return f;
}

/* ---- an entry -------------------------------------------------------------------------------- */

/* Symbols as one call has them: as many tokens as may be, logits of one. */
static void bind_entry(Look *k, const Entry *e)
{
    for (int i = 0; i < k->m->n_sym; i++)
        k->val[i] = k->m->sym[i]->hi;
    for (int i = 0; i < e->n_range; i++) {
        const SymRange *r = &e->range[i];
        bool one = !strcmp(r->sym->name, "O") && r->lo <= 1 && r->hi >= 1;

        k->val[r->sym->index] = one ? 1 : r->hi;
    }
}

int64_t explain_sym(const Look *k, const char *name)
{
    const Sym *s = module_find_sym(k->m, str_of(name));

    return s ? k->val[s->index] : 1;
}

const Op *explain_next(const Block *b, const Op *s)
{
    return s == b->last ? NULL : s->next;
}

static void find_blocks(Look *k, Total *t)
{
    const Func *f = t->entry->func;
    int n = 0;

    for (const Op *o = f->body->first; o; o = o->next)
        n++;
    t->block = ARENA_ARRAY(k->a, Block, n + 1);
    for (const Op *o = f->body->first; o && o->kind != OP_return; o = o->next) {
        const Func *in = o->kind == OP_call ? o->callee : f;
        Block *last = t->n_block ? &t->block[t->n_block - 1] : NULL;

        if (last && last->func == in && in != f)
            last->times++;
        else if (last && last->func == in)
            last->last = o;
        else {
            Block *b = &t->block[t->n_block++];

            *b = (Block){ in, in == f ? o : in->body->first, in == f ? o : in->body->last->prev, 1,
                          false };
            if (!b->last)
                b->first = NULL; /* a function that only hands on what it was given */
            for (int i = 0; i + 1 < t->n_block; i++)
                b->shown = b->shown || (in != f && t->block[i].func == in);
        }
    }
}

/* The stages of each layer; the layers are numbered in the order in which they run. */
static void count_layers(Look *k, Total *t)
{
    const Func *f = t->entry->func;
    int cap = 0, *n;

    for (const Op *o = f->body->first; o; o = o->next)
        cap = o->layer >= cap ? o->layer + 1 : cap;
    n = ARENA_ARRAY(k->a, int, cap + 1);
    for (const Op *o = f->body->first; o; o = o->next)
        if (o->layer >= 0 && o->kind == OP_call)
            for (const Op *s = o->callee->body->first; s; s = s->next)
                n[o->layer] += s->kind == OP_fused;
        else if (o->layer >= 0)
            n[o->layer]++;
    for (int i = 0; i < cap; i++) {
        if (!n[i])
            continue;
        t->least = !t->n_layer || n[i] < t->least ? n[i] : t->least;
        t->most = n[i] > t->most ? n[i] : t->most;
        t->n_layer++;
    }
}

Total explain_total(Look *k, const Entry *e)
{
    Total t = { .entry = e };
    const Op *layers_end = NULL;

    bind_entry(k, e);
    find_blocks(k, &t);
    count_layers(k, &t);
    /* twice, because whether weights stay in a cache is a question of all of them */
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < t.n_block; i++)
            for (const Op *s = t.block[i].first; s; s = explain_next(&t.block[i], s)) {
                Facts f = explain_facts(k, s, t.weight_bytes + t.row_bytes);
                uint64_t times = (uint64_t)t.block[i].times;

                if (pass) {
                    t.ps += times * f.ps;
                    continue;
                }
                t.n_stage += t.block[i].times;
                t.n_op += t.block[i].times * explain_n_ops(s);
                t.weight_bytes += times * f.weight_bytes;
                t.row_bytes += times * f.row_bytes;
                t.state_bytes += times * f.state_bytes;
                t.float_macs = t.float_macs || f.float_macs;
            }
    for (const Op *o = e->func->body->first; o; o = o->next)
        layers_end = o->layer >= 0 ? o : layers_end;
    for (const Op *o = layers_end ? layers_end->next : NULL; o && o->kind == OP_fused;
         o = o->next) {
        Facts f = explain_facts(k, o, t.weight_bytes + t.row_bytes);

        t.head_bytes += f.weight_bytes;
    }
    return t;
}

int explain_times(const Total *t, const Func *f)
{
    int n = 0;

    for (int i = 0; i < t->n_block; i++)
        n += t->block[i].func == f ? t->block[i].times : 0;
    return f == t->entry->func ? 1 : n;
}

/* With the meetings of the threads; 0: unknown. */
uint64_t explain_token_ps(const Look *k, const Total *t)
{
    uint64_t meetings = k->chip[0].n_threads > 1 ? (uint64_t)t->n_stage * COST_MEETING_PS : 0;

    return explain_has_figures(&k->chip[0]) ? t->ps + meetings : 0;
}

/* ---- a stage in words ------------------------------------------------------------------------ */

/* What an op around a contraction does, in words. */
const char *explain_op(Look *k, const Op *s, const Op *o)
{
    switch (o->kind) {
    case OP_rmsnorm:
        return o->in[0]->type.rank == 3 ? "norm of heads" : "norm";
    case OP_quant:
        return str_printf(k->a, "quantize to %s", o->out[0]->type.fmt->name);
    case OP_append:
        return str_printf(k->a, "store %s", explain_value_name(k, o->in[0]));
    case OP_rope_angles:
        return "rope angles";
    case OP_last_rows:
        return "last rows";
    case OP_rows:
        return "row of a table";
    case OP_add:
        for (int i = 0; i < o->n_in; i++)
            if (o->in[i]->kind == VAL_param && o->in[i]->stands_for == VAL_weight)
                return "bias";
        for (int i = 0; i < o->n_in; i++)
            if (o->in[i]->kind == VAL_param && type_eq(o->in[i]->type, o->out[0]->type) &&
                stage_anchor(s))
                return "residual add";
        return "add";
    default:
        return op_info[o->kind].name;
    }
}

/* "norm, quantize to q8"; what happens twice, in an epilogue at any place and elsewhere in a row,
 * is said once. */
const char *explain_part_words(Look *k, const Op *s, Part part)
{
    int n = explain_n_ops(s), n_word = 0;
    const char **word = ARENA_ARRAY(k->a, const char *, n + 1);
    int *times = ARENA_ARRAY(k->a, int, n + 1);
    Buf b = buf_in(k->a);

    for (const Op *o = s->region[0]->first; o; o = o->next) {
        const char *w;
        int i = 0;

        if (o->kind == OP_yield || explain_part(s, o) != part)
            continue;
        w = explain_op(k, s, o);
        if (part != PART_epilogue && n_word)
            i = n_word - 1;
        while (i < n_word && strcmp(word[i], w))
            i++;
        if (i == n_word)
            word[n_word++] = w;
        times[i]++;
    }
    for (int i = 0; i < n_word; i++) {
        buf_printf(&b, "%s%s", i ? ", " : "", word[i]);
        if (times[i] > 1)
            buf_printf(&b, " x %d", times[i]);
    }
    return b.n ? buf_z(&b) : "";
}

/* "attn_q 128x128, attn_k 64x128 of q8_0"; those of a pair with a + between them. */
static const char *contraction_words(Look *k, const Op *s)
{
    const Format *only = NULL;
    bool one_format = true;
    Buf b = buf_in(k->a);

    for (const Op *o = s->region[0]->first; o; o = o->next)
        if (o->kind == OP_matmul) {
            one_format = one_format && (!only || only == o->in[1]->type.fmt);
            only = o->in[1]->type.fmt;
        }
    for (int g = 0; g < stage_n_groups(s); g++) {
        bool first = true;

        for (const Op *o = s->region[0]->first; o; o = o->next) {
            const char *between = !first ? " + " : b.n ? ", " : "";
            int64_t n_in = 0;

            if (o->kind != OP_matmul || stage_group(s, o) != g)
                continue;
            dim_is_const(type_last(o->in[1]->type), &n_in);
            buf_printf(&b, "%s%s %" PRId64 "x%" PRId64, between, explain_op_name(k, o), type_n_rows(o->in[1]->type), n_in);
            if (!one_format)
                buf_printf(&b, " of %s", o->in[1]->type.fmt->name);
            first = false;
        }
    }
    if (one_format && only)
        buf_printf(&b, " of %s", only->name);
    return buf_z(&b);
}

static const char *anchor_words(Look *k, const Op *s)
{
    const Op *o = stage_anchor(s);

    if (!o || o->kind == OP_matmul)
        return o ? contraction_words(k, s) : explain_part_words(k, s, PART_row);
    return str_printf(
        k->a, "attention of %s over %" PRId64 " of K and V in %s%s",
        explain_many(k, op_int(o, "n_head", 1), "head"), op_int(o, "n_head_kv", 1),
        o->in[1]->type.fmt->name,
        op_attr(o, "window") ? str_printf(k->a, ", window %" PRId64, op_int(o, "window", 0)) : "");
}

const char *explain_stage(Look *k, const Op *s)
{
    const char *before = explain_part_words(k, s, PART_prologue),
               *after = explain_part_words(k, s, PART_epilogue);

    return str_printf(k->a, "%s%s%s%s%s", before, *before ? " -> " : "", anchor_words(k, s),
                      *after ? " -> " : "", after);
}

const char *explain_heads(Look *k, const Op *s, const char *then)
{
    int64_t n = stage_heads(s, k->chip[0].n_threads);

    return str_printf(k->a, "%s%s", n == 1 ? "a head" : explain_many(k, n, "head"), then);
}

const char *explain_chunks(Look *k, const Op *s, const Facts *f)
{
    const Op *anchor = stage_anchor(s);
    const char *n = explain_number(k, (uint64_t)f->n_chunk);

    if (anchor && anchor->kind == OP_matmul)
        return str_printf(k->a, "%s of %s B", n, explain_number(k, (uint64_t)f->chunk_bytes));
    return str_printf(k->a, "%s of %s%s", n, anchor ? explain_heads(k, s, ", ") : "",
                      explain_many(k, op_int(s, "tokens", 1), "token"));
}

const char *explain_call(Look *k)
{
    int64_t n = explain_sym(k, "T"), logits = explain_sym(k, "O");

    if (n == 1)
        return "one token";
    return str_printf(k->a, "%s, logits of %s", explain_many(k, n, "token"),
                      logits == 1 ? "one" : explain_number(k, (uint64_t)logits));
}
