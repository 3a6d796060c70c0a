/* sinter explain: the stages of an emitted folder, and why each is as it is.
 *
 * Everything is read from DIR/NAME.sir, the scheduled Module (docs/scheduled.md), which codegen_check has found sound.  Times are modelled
 * (cost.c) from what is known of the target by its name; they are shown only where the Module's target is one that this sinter knows.
 *
 *   1. facts       a stage's ops by role, its chunks, the bytes and multiply-adds of one run, its modelled time
 *   2. the table   without STAGE: each entry's stages in the order of execution, and totals
 *   3. a stage     ops and places, kernels with their contracts, layouts, chunks, and reasons
 *   4. JSON        the same facts
 *
 * A reason is printed only where it has been checked on this very Module: that a chunk is what fits so many bytes, that a kernel is the
 * first of its contract, that a layout is the smallest.  What does not hold is left out. */
#include "compiler/emitted.h"

#include "codegen/check.h"
#include "codegen/codegen.h"
#include "codegen/emit.h"
#include "codegen/kernels.h"
#include "compiler/passes/passes.h"

enum {
    MAX_TARGETS = 8,
    COMMON_THREADS = 4,             /* of the model, where the target does not say */
    FITTING_BYTES = 16 * 1024,      /* a reason: the most tiles that fit so many bytes */
    MAX_LISTED = 24,                /* stages that a message names */
    SHOWN = 60                      /* bytes of a name */
};

typedef struct {
    const Target *target;           /* NULL: nothing is known of its speed */
    int n_threads;
    const char *name;
    const KernelUnit *unit;
    const char *const *isas;
} Chip;

/* What is the same for all stages. */
typedef struct {
    Arena *a;
    Diag *d;
    Module *m;
    const char *name;               /* of the folder's program */
    Chip chip[MAX_TARGETS];
    int n_chip;
    int64_t *val;                   /* of each symbol, for the entry at hand */
    Buf *out;
} Look;

/* Stages that run one after another, once for each of `times` calls with weights of their own. */
typedef struct { const Func *func; const Op *first, *last; int times; bool shown; } Block;

/* One run of a stage. */
typedef struct {
    uint64_t weight_bytes;          /* tensors that it reads as a whole */
    uint64_t row_bytes;             /* rows of tables */
    uint64_t state_bytes;           /* of the cache, for each position that attention sees */
    uint64_t macs;                  /* 8-bit multiply-adds */
    uint64_t float_macs;            /* others, which the model does not time */
    int64_t n_chunk, chunk_bytes;   /* chunk_bytes: weights of the largest chunk, 0: it reads none of its own */
    uint64_t ps;
} Facts;

/* One run of an entry. */
typedef struct {
    const Entry *entry;
    Block *block;
    int n_block;
    int n_stage, n_op;              /* executed; ops: what `--fuse none` would make stages of */
    int n_layer, least, most;       /* layers, and stages of each */
    uint64_t weight_bytes, row_bytes, state_bytes, head_bytes, macs, ps, head_ps;
    bool float_macs;
} Total;

/* ---- words ------------------------------------------------------------------------------------------------------------- */

static const char *show(Look *k, const char *s)
{
    return str_show(k->a, str_of(s), SHOWN);
}

/* 1234567 as "1 234 567". */
static const char *spaced(Look *k, uint64_t v)
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
static const char *percent(Look *k, uint64_t part, uint64_t whole)
{
    uint64_t x = whole ? (uint64_t)((double)part * 1000 / (double)whole + 0.5) : 0;

    return str_printf(k->a, "%" PRIu64 ".%" PRIu64 " %%", x / 10, x % 10);
}

static const char *time_text(Look *k, uint64_t ps)
{
    uint64_t ns10 = (ps + 50) / 100;

    if (ns10 < 10000)
        return str_printf(k->a, "%" PRIu64 ".%" PRIu64 " ns", ns10 / 10, ns10 % 10);
    if (ns10 < 10000000)
        return str_printf(k->a, "%" PRIu64 ".%02" PRIu64 " us", ns10 / 10000, ns10 % 10000 / 100);
    return str_printf(k->a, "%" PRIu64 ".%02" PRIu64 " ms", ns10 / 10000000, ns10 % 10000000 / 100000);
}

static const char *many(Look *k, int64_t n, const char *what)
{
    return str_printf(k->a, "%s %s%s", spaced(k, (uint64_t)n), what, n == 1 ? "" : "s");
}

/* What a value or an op is called. */
static const char *value_name(Look *k, const Value *v)
{
    return show(k, v->name);
}

static const char *op_name(Look *k, const Op *o)
{
    if (o->from)
        return show(k, o->from);
    return o->n_out ? value_name(k, o->out[0]) : op_info[o->kind].name;
}

static const char *stage_name(Look *k, const Op *s)
{
    return show(k, op_str(s, "stage", "?"));
}

/* The stage's function in the emitted C. */
static const char *c_name(Look *k, const Func *f, const Op *s)
{
    return str_printf(k->a, "%s_%s", emit_ident(k->a, str_of(f->name)), emit_ident(k->a, str_of(op_str(s, "stage", "stage"))));
}

/* "a", "a and b", "a, b and c" */
static const char *listed(Look *k, const char *const *v, int n)
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

static const char *fuse_spec(Look *k)
{
    const char *spec = command_word(k, " --fuse ");

    return *spec ? show(k, spec) : "default";
}

/* ---- 1. facts ---------------------------------------------------------------------------------------------------------- */

typedef enum { IN_prologue, IN_anchor, IN_epilogue, IN_row } Part;

static bool is_anchor(const Op *o)
{
    return o->kind == OP_matmul || o->kind == OP_attention;
}

static Part part_of(const Op *s, const Op *o)
{
    if (is_anchor(o))
        return IN_anchor;
    if (!stage_anchor(s))
        return IN_row;
    return stage_is_prologue(s, o) ? IN_prologue : IN_epilogue;
}

static int count_ops(const Op *s)
{
    int n = 0;

    for (const Op *o = s->region[0]->first; o; o = o->next)
        n += o->kind != OP_yield;
    return n;
}

static uint64_t whole_bytes(const Value *w)
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
static uint64_t tile_bytes(const Value *w, bool row)
{
    int64_t n_in = 1;

    if (!w->type.rank)
        return 0;
    dim_is_const(type_last(w->type), &n_in);
    return w->layout ? layout_tile_bytes(w->layout, n_in) / (uint64_t)(row ? w->layout->rows : 1) : 0;
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
static int64_t chunk_bytes(const Op *s, int g)
{
    const Attr *tiles = op_attr(s, "tiles");
    uint64_t all = 0;

    for (const Op *o = s->region[0]->first; o; o = o->next)
        if (o->kind == OP_matmul && stage_group(s, o) == g) {
            int64_t n_tile = (type_n_rows(o->in[1]->type) + TILE_ROWS - 1) / TILE_ROWS;

            all += tile_bytes(o->in[1], false) * (uint64_t)(tiles->ints[g] < n_tile ? tiles->ints[g] : n_tile);
        }
    return (int64_t)all;
}

/* Of a tensor of one row or of rows of tokens, and of a state: one position. */
static uint64_t row_bytes(Look *k, const Value *v)
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
            int64_t bytes = chunk_bytes(s, g);

            f->n_chunk += chunks->ints[g];
            f->chunk_bytes = bytes > f->chunk_bytes ? bytes : f->chunk_bytes;
        }
        return;
    }
    f->n_chunk = (rows_of(k, anchor ? anchor->out[0] : row_value(s)) + tokens - 1) / tokens;
    if (anchor)
        f->n_chunk *= op_int(anchor, "n_head", 1);
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
            f.weight_bytes += whole_bytes(r->param[i]);
    }
    for (const Op *o = r->first; o; o = o->next) {
        if (o->kind == OP_rows)
            f.row_bytes += tile_bytes(o->in[0], true) * (uint64_t)rows_of(k, o->out[0]);
        if (o->kind == OP_attention)
            f.state_bytes += row_bytes(k, o->in[1]) + row_bytes(k, o->in[2]);
        if (o->kind == OP_matmul) {
            uint64_t n = (uint64_t)type_n(o->in[1]->type) * (uint64_t)rows_of(k, o->out[0]);

            if (strcmp(o->in[0]->type.fmt->name, "q8"))
                f.float_macs += n;
            else
                f.macs += n;
        }
    }
    count_chunks(k, s, &f);
    return f;
}

static bool has_figures(const Chip *c)
{
    return c->target && c->target->dram_mb_s > 0 && c->target->mac8_per_ns > 0;
}

static Facts timed(Look *k, const Op *s, uint64_t all_bytes)
{
    Facts f = facts_of(k, s);

    if (has_figures(&k->chip[0]))
        f.ps = cost_part_ps(k->chip[0].target, all_bytes, f.weight_bytes + f.row_bytes, f.macs, k->chip[0].n_threads);
    return f;
}

/* ---- an entry ---------------------------------------------------------------------------------------------------------- */

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

static int64_t sym_value(const Look *k, const char *name)
{
    const Sym *s = module_find_sym(k->m, str_of(name));

    return s ? k->val[s->index] : 1;
}

static const Op *next_stage(const Block *b, const Op *s)
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

            *b = (Block){ in, in == f ? o : in->body->first, in == f ? o : in->body->last->prev, 1, false };
            if (!b->last)
                b->first = NULL;        /* a function that only hands on what it was given */
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

static Total total_of(Look *k, const Entry *e)
{
    Total t = { .entry = e };
    const Op *layers_end = NULL;

    bind_entry(k, e);
    find_blocks(k, &t);
    count_layers(k, &t);
    for (int pass = 0; pass < 2; pass++)            /* whether weights stay in a cache is a question of all of them */
        for (int i = 0; i < t.n_block; i++)
            for (const Op *s = t.block[i].first; s; s = next_stage(&t.block[i], s)) {
                Facts f = timed(k, s, t.weight_bytes + t.row_bytes);
                uint64_t times = (uint64_t)t.block[i].times;

                if (pass) {
                    t.ps += times * f.ps;
                    continue;
                }
                t.n_stage += t.block[i].times;
                t.n_op += t.block[i].times * count_ops(s);
                t.weight_bytes += times * f.weight_bytes;
                t.row_bytes += times * f.row_bytes;
                t.state_bytes += times * f.state_bytes;
                t.macs += times * f.macs;
                t.float_macs = t.float_macs || f.float_macs;
            }
    for (const Op *o = e->func->body->first; o; o = o->next)
        layers_end = o->layer >= 0 ? o : layers_end;
    for (const Op *o = layers_end ? layers_end->next : NULL; o && o->kind == OP_fused; o = o->next) {
        Facts f = timed(k, o, t.weight_bytes + t.row_bytes);

        t.head_bytes += f.weight_bytes;
        t.head_ps += f.ps;
    }
    return t;
}

/* With the meetings of the threads; 0: unknown. */
static uint64_t token_ps(const Look *k, const Total *t)
{
    uint64_t meetings = k->chip[0].n_threads > 1 ? (uint64_t)t->n_stage * COST_MEETING_PS : 0;

    return has_figures(&k->chip[0]) ? t->ps + meetings : 0;
}

/* ---- 2. the table ------------------------------------------------------------------------------------------------------ */

/* What an op around a contraction does, in words. */
static const char *op_words(Look *k, const Op *s, const Op *o)
{
    switch (o->kind) {
    case OP_rmsnorm:
        return o->in[0]->type.rank == 3 ? "norm of heads" : "norm";
    case OP_quant:
        return str_printf(k->a, "quantize to %s", o->out[0]->type.fmt->name);
    case OP_append:
        return str_printf(k->a, "store %s", value_name(k, o->in[0]));
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
            if (o->in[i]->kind == VAL_param && type_eq(o->in[i]->type, o->out[0]->type) && stage_anchor(s))
                return "residual add";
        return "add";
    default:
        return op_info[o->kind].name;
    }
}

/* "norm, quantize to q8"; what happens twice, in an epilogue at any place and elsewhere in a row, is said once. */
static const char *part_words(Look *k, const Op *s, Part part)
{
    int n = count_ops(s), n_word = 0;
    const char **word = ARENA_ARRAY(k->a, const char *, n + 1);
    int *times = ARENA_ARRAY(k->a, int, n + 1);
    Buf b = buf_in(k->a);

    for (const Op *o = s->region[0]->first; o; o = o->next) {
        const char *w;
        int i = 0;

        if (o->kind == OP_yield || part_of(s, o) != part)
            continue;
        w = op_words(k, s, o);
        if (part != IN_epilogue && n_word)
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
            int64_t n_in = 0;

            if (o->kind != OP_matmul || stage_group(s, o) != g)
                continue;
            dim_is_const(type_last(o->in[1]->type), &n_in);
            buf_printf(&b, "%s%s %" PRId64 "x%" PRId64, !first ? " + " : b.n ? ", " : "", op_name(k, o),
                       type_n_rows(o->in[1]->type), n_in);
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
        return o ? contraction_words(k, s) : part_words(k, s, IN_row);
    return str_printf(k->a, "attention of %s over %" PRId64 " of K and V in %s%s", many(k, op_int(o, "n_head", 1), "head"),
                      op_int(o, "n_head_kv", 1), o->in[1]->type.fmt->name,
                      op_attr(o, "window")
                          ? str_printf(k->a, ", window %" PRId64, op_int(o, "window", 0))
                          : "");
}

static const char *stage_words(Look *k, const Op *s)
{
    const char *before = part_words(k, s, IN_prologue), *after = part_words(k, s, IN_epilogue);

    return str_printf(k->a, "%s%s%s%s%s", before, *before ? " -> " : "", anchor_words(k, s), *after ? " -> " : "", after);
}

static const char *chunk_words(Look *k, const Op *s, const Facts *f)
{
    const Op *anchor = stage_anchor(s);
    const char *n = spaced(k, (uint64_t)f->n_chunk);

    if (anchor && anchor->kind == OP_matmul)
        return str_printf(k->a, "%s of %s B", n, spaced(k, (uint64_t)f->chunk_bytes));
    return str_printf(k->a, "%s of %s%s", n, anchor ? "a head, " : "", many(k, op_int(s, "tokens", 1), "token"));
}

static void print_stage_line(Look *k, const Total *t, const Op *s, int indent)
{
    Facts f = timed(k, s, t->weight_bytes + t->row_bytes);
    uint64_t bytes = f.weight_bytes + f.row_bytes;
    bool known = has_figures(&k->chip[0]);

    buf_printf(k->out, "  %*s%-*s %-10s %-20s %13s %11s %8s  %s\n", indent, "", 20 - indent, stage_name(k, s),
               op_str(s, "kind", "?"), chunk_words(k, s, &f), bytes ? str_printf(k->a, "%s B", spaced(k, bytes)) : "-",
               !known ? "unknown" : f.ps ? time_text(k, f.ps) : "-",
               known ? percent(k, f.ps, t->ps) : percent(k, bytes, t->weight_bytes + t->row_bytes), stage_words(k, s));
}

static const char *call_words(Look *k)
{
    int64_t n = sym_value(k, "T"), logits = sym_value(k, "O");

    if (n == 1)
        return "one token";
    return str_printf(k->a, "%s, logits of %s", many(k, n, "token"), logits == 1 ? "one" : spaced(k, (uint64_t)logits));
}

static void print_total(Look *k, const Total *t)
{
    const Chip *c = &k->chip[0];
    uint64_t ps = token_ps(k, t), tokens = (uint64_t)sym_value(k, "T");

    buf_printf(k->out, "  total: %s", many(k, t->n_stage, "stage"));
    if (t->n_layer && t->least == t->most)
        buf_printf(k->out, ", %d in each of %s", t->least, many(k, t->n_layer, "layer"));
    else if (t->n_layer)
        buf_printf(k->out, ", %d to %d in each of %s", t->least, t->most, many(k, t->n_layer, "layer"));
    buf_printf(k->out, c->n_threads > 1 ? "; the threads meet after each\n" : "; it has one thread\n");
    buf_printf(k->out, "         %s B of weights %s, of which what follows the last layer (the LM head) %s B, %s\n",
               spaced(k, t->weight_bytes), tokens == 1 ? "a token" : "a call", spaced(k, t->head_bytes), percent(k, t->head_bytes, t->weight_bytes));
    if (t->row_bytes)
        buf_printf(k->out, "         %s B of rows of tables\n", spaced(k, t->row_bytes));
    if (t->state_bytes)
        buf_printf(k->out, "         attention reads %s B of the cache for each position that it sees\n",
                   spaced(k, t->state_bytes));
    if (!ps) {
        buf_printf(k->out, "         speed: unknown (nothing is known here of the memory and arithmetic of target %s)\n", c->name);
        return;
    }
    buf_printf(k->out, "         modelled for %s with %s%s: %s", c->name, many(k, c->n_threads, "thread"),
               c->target->n_threads > 0 || c->n_threads == 1 ? "" : " (it does not say how many)", time_text(k, t->ps));
    if (c->n_threads > 1)
        buf_printf(k->out, " and %s for meetings", time_text(k, ps - t->ps));
    buf_printf(k->out, ", %s tokens per second\n", spaced(k, UINT64_C(1000000000000) * tokens / ps));
}

static void print_entry(Look *k, const Entry *e)
{
    Total t = total_of(k, e);

    buf_printf(k->out, "\n%s: %s\n  %-20s %-10s %-20s %13s %11s %8s  %s\n", show(k, e->name), call_words(k), "stage", "kind",
               "chunks", "weights", "modelled", has_figures(&k->chip[0]) ? "of time" : "of bytes", "what is fused in it");
    for (int i = 0; i < t.n_block; i++) {
        const Block *b = &t.block[i];
        bool called = b->func != e->func;

        if (called)
            buf_printf(k->out, "  %s x %d%s\n", show(k, b->func->name), b->times,
                       b->shown ? ", as above" : b->times > 1 ? ", each:" : ":");
        for (const Op *s = b->shown ? NULL : b->first; s; s = next_stage(b, s))
            print_stage_line(k, &t, s, called ? 2 : 0);
    }
    print_total(k, &t);
}

static void print_head(Look *k)
{
    buf_printf(k->out, "%s: %s\n", show(k, k->name), show(k, module_meta_str(k->m, "general.name", "a model")));
    buf_printf(k->out, "  made by   %s\n", str_show(k->a, str_of(module_meta_str(k->m, "build.command", "?")), 400));
    buf_printf(k->out, "  fusing    %s\n", fuse_spec(k));
    for (int i = 0; i < k->n_chip; i++) {
        const Chip *c = &k->chip[i];

        buf_printf(k->out, "  target    %s, kernels of %s", c->name,
                   show(k, module_meta_str(k->m, str_printf(k->a, "target.%d.isa", i), "")));
        if (has_figures(c))
            buf_printf(k->out, "; memory %s MB/s, last cache %s B at %s MB/s, %d.%02d 8-bit multiply-adds per ns and core",
                       spaced(k, (uint64_t)c->target->dram_mb_s), spaced(k, (uint64_t)c->target->llc_bytes),
                       spaced(k, (uint64_t)c->target->llc_mb_s), (int)(c->target->mac8_per_ns / 100),
                       (int)(c->target->mac8_per_ns % 100));
        buf_putc(k->out, '\n');
    }
}

static void print_table(Look *k)
{
    bool floats = false;

    print_head(k);
    if (!k->m->n_entry)
        buf_puts(k->out, "\nno entries: a vocabulary alone, there is nothing to compute\n");
    for (int i = 0; i < k->m->n_entry; i++) {
        print_entry(k, &k->m->entry[i]);
        floats = floats || total_of(k, &k->m->entry[i]).float_macs;
    }
    if (k->m->n_entry && has_figures(&k->chip[0]))
        buf_printf(k->out,
                   "\nModelled is the longer of reading a stage's weights and of its 8-bit multiply-adds%s. Norms, attention and the cache are "
                   "not in it%s.\n",
                   floats ? " (those of floats are not in it)" : "",
                   k->n_chip > 1 ? "; it is for the first target of the set" : "");
    if (k->m->n_entry)
        buf_puts(k->out, "`sinter explain DIR STAGE` says why a stage is as it is.\n");
}

/* ---- 3. a stage -------------------------------------------------------------------------------------------------------- */

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
    return str_printf(k->a, "arena %" PRId64 " .. %" PRIu64, place, (uint64_t)place + (bytes ? bytes - 1 : 0));
}

static const char *weight_words(Look *k, const Value *w)
{
    if (!w->layout)
        return "weight";
    if (w->layout->rows == 1)
        return str_printf(k->a, "weight, %s, %s B", w->layout->name, spaced(k, whole_bytes(w)));
    return str_printf(k->a, "weight, %s, %s B, a tile of %d rows every %s B", w->layout->name, spaced(k, whole_bytes(w)),
                      w->layout->rows, spaced(k, w->tile_stride));
}

/* Where a value of the region lies while the stage runs. */
static const char *home(Look *k, const Op *s, const Value *v)
{
    int p = param_index(s, v), r = result_index(s, v);
    const Attr *scratch;

    if (p >= 0 && v->stands_for == VAL_weight)
        return weight_words(k, v);
    if (p >= 0 && v->stands_for == VAL_state)
        return str_printf(k->a, "state, %s B for each position", spaced(k, row_bytes(k, v)));
    if (p >= 0)
        return place_words(k, v->type, op_attr(s, "in")->ints[p]);
    scratch = op_attr(v->op, "scratch");
    if (scratch && r >= 0)
        return str_printf(k->a, "scratch %" PRId64 " of each thread, and %s", scratch->i,
                          place_words(k, v->type, op_attr(s, "out")->ints[r]));
    if (scratch)
        return str_printf(k->a, "scratch %" PRId64 " of each thread, a row", scratch->i);
    if (r >= 0)
        return place_words(k, v->type, op_attr(s, "out")->ints[r]);
    return part_of(s, v->op) == IN_anchor || part_of(s, v->op) == IN_epilogue ? "the tile of results" : "the thread's own";
}

static void print_ops(Look *k, const Op *s, Part part, const char *title)
{
    bool any = false;

    for (const Op *o = s->region[0]->first; o; o = o->next) {
        if (o->kind == OP_yield || part_of(s, o) != part)
            continue;
        if (!any)
            buf_printf(k->out, "  %s\n", title);
        any = true;
        buf_printf(k->out, "    %-16s = %s", o->n_out ? value_name(k, o->out[0]) : "", op_info[o->kind].name);
        for (int i = 0; i < o->n_in; i++)
            buf_printf(k->out, "%s%s %s", i ? ", " : " ", value_name(k, o->in[i]), type_text(k->a, o->in[i]->type));
        if (o->n_out)
            buf_printf(k->out, " : %s", type_text(k->a, o->out[0]->type));
        buf_printf(k->out, "%s%s\n", o->by ? ", put there by pass " : "", o->by ? show(k, o->by) : "");
    }
}

static void print_places(Look *k, const Op *s)
{
    const Region *r = s->region[0];

    buf_puts(k->out, "\nwhere things lie\n");
    for (int i = 0; i < r->n_param; i++)
        buf_printf(k->out, "    %-16s %-16s %s\n", value_name(k, r->param[i]), type_text(k->a, r->param[i]->type),
                   home(k, s, r->param[i]));
    for (const Op *o = r->first; o; o = o->next)
        for (int i = 0; o->kind != OP_yield && i < o->n_out; i++)
            buf_printf(k->out, "    %-16s %-16s %s\n", value_name(k, o->out[i]), type_text(k->a, o->out[i]->type),
                       home(k, s, o->out[i]));
}

/* ---- kernels ---- */

static const KernelInfo *kernel_named(const KernelUnit *u, const char *name)
{
    for (int i = 0; u && i < u->n_kernels; i++)
        if (!strcmp(u->kernels[i].name, name))
            return &u->kernels[i];
    return NULL;
}

/* "dot.0" -> role "dot", target 0 */
static bool is_kernel_attr(const Attr *t, int *target)
{
    const char *dot = strrchr(t->name, '.');
    int64_t n;

    if (!dot || t->kind != ATTR_str || !str_to_i64(str_of(dot + 1), &n) || n < 0 || n >= MAX_TARGETS)
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
        const KernelInfo *other = kernel_find(c->unit, only, have->op, *have->layout ? have->layout : NULL,
                                              *have->act ? have->act : NULL, have->tile_tokens);

        if (other && strcmp(other->name, have->name))
            buf_printf(&b, "%s%s", b.n ? ", " : "", other->isa);
    }
    return b.n ? buf_z(&b) : NULL;
}

static void print_kernel(Look *k, const Chip *c, const KernelInfo *u, const char *users)
{
    const KernelInfo *first = kernel_find(c->unit, c->isas, u->op, *u->layout ? u->layout : NULL, *u->act ? u->act : NULL,
                                          u->tile_tokens);
    const char *others = first == u ? passed_over(k, c, u) : NULL;

    buf_printf(k->out, "    %s\n      for %s; op %s", u->name, users, u->op);
    if (*u->layout)
        buf_printf(k->out, ", layout %s", u->layout);
    if (*u->act)
        buf_printf(k->out, ", %s", u->act);
    if (u->tile_rows)
        buf_printf(k->out, ", a tile of %s x %s", many(k, u->tile_rows, "row"), many(k, u->tile_tokens, "token"));
    buf_printf(k->out, "; needs %s; order of sums %s\n", *u->features ? u->features : "nothing beyond the baseline",
               *u->order ? u->order : "its own");
    if (first == u)
        buf_printf(k->out, "      the first of this contract among the kernels of %s%s%s%s\n",
                   u->isa, others ? "; " : ", and the only one", others ? others : "", others ? " has one too, later in the list" : "");
}

static void print_kernels(Look *k, const Op *s)
{
    for (int i = 0; i < k->n_chip; i++) {
        const char **done = ARENA_ARRAY(k->a, const char *, 8 * count_ops(s) + 8);
        int n_done = 0;

        for (const Op *o = s->region[0]->first; o; o = o->next)
            for (int q = 0; q < o->n_attr; q++) {
                const char *name, *users[MAX_ANCHORS];
                const KernelInfo *u;
                int target, n = 0;
                bool again = false;

                if (!is_kernel_attr(&o->attr[q], &target) || target != i)
                    continue;
                name = str_z(k->a, o->attr[q].s);
                u = kernel_named(k->chip[i].unit, name);
                for (int z = 0; z < n_done; z++)
                    again = again || !strcmp(done[z], name);
                if (again || !u || n_done == 8 * count_ops(s) + 8)
                    continue;
                if (!n_done)
                    buf_printf(k->out, "\nkernels of %s\n", k->chip[i].name);
                done[n_done++] = name;
                for (const Op *p = o; p && n < MAX_ANCHORS; p = p->next)
                    for (int z = 0; z < p->n_attr && n < MAX_ANCHORS; z++)
                        if (is_kernel_attr(&p->attr[z], &target) && target == i && str_is(p->attr[z].s, name) &&
                            (!n || strcmp(users[n - 1], op_name(k, p))))
                            users[n++] = op_name(k, p);
                print_kernel(k, &k->chip[i], u, listed(k, users, n));
            }
    }
}

/* ---- layouts ---- */

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
            again = again || (r->param[q]->stands_for == VAL_weight && r->param[q]->layout == w->layout &&
                              r->param[q]->type.fmt == w->type.fmt);
        if (again)
            continue;
        for (int q = i; q < r->n_param && n < MAX_ANCHORS; q++)
            if (r->param[q]->stands_for == VAL_weight && r->param[q]->layout == w->layout && r->param[q]->type.fmt == w->type.fmt)
                who[n++] = value_name(k, r->param[q]);
        if (!any)
            buf_puts(k->out, "\nlayouts of the weights\n");
        any = true;
        buf_printf(k->out, "    %s: %s\n      of %s, stored as %s; %s bits per weight", w->layout->name, w->layout->help,
                   listed(k, who, n), w->type.fmt->name, bits_words(k, w->layout));
        if (w->layout->rows > 1)
            buf_printf(k->out, "; %d rows x %s are a block of %s B", w->layout->rows, many(k, w->layout->cols, "column"),
                       spaced(k, (uint64_t)w->layout->block_bytes));
        buf_putc(k->out, '\n');
        if (w->layout == layout_for_format(w->type.fmt))
            buf_printf(k->out, "      the layout that holds %s in the fewest bytes; nothing is rounded\n", w->type.fmt->name);
        else if (layout_takes(w->layout, w->type.fmt))
            buf_printf(k->out, "      holds %s exactly\n", w->type.fmt->name);
    }
}

/* ---- chunks ---- */

static void print_group_chunks(Look *k, const Op *s, int g)
{
    int64_t tiles = op_attr(s, "tiles")->ints[g], chunks = op_attr(s, "chunks")->ints[g], bytes = chunk_bytes(s, g);
    int64_t unit = stage_width(s, g) / TILE_ROWS, n_tile = 0, tile = 0;
    const char *who[MAX_ANCHORS];
    int64_t fit;
    int n = 0;

    for (const Op *o = s->region[0]->first; o; o = o->next)
        if (o->kind == OP_matmul && stage_group(s, o) == g && n < MAX_ANCHORS) {
            who[n++] = op_name(k, o);
            n_tile = (type_n_rows(o->in[1]->type) + TILE_ROWS - 1) / TILE_ROWS;
            tile += (int64_t)tile_bytes(o->in[1], false);
        }
    buf_printf(k->out, "    %s: %s of %d outputs, %s B of weights each%s, in %s", listed(k, who, n), many(k, n_tile, "tile"),
               TILE_ROWS, spaced(k, (uint64_t)tile), n > 1 ? " (of all together)" : "", many(k, chunks, "chunk"));
    if (chunks > 1)
        buf_printf(k->out, " of %" PRId64 ", %s B", tiles, spaced(k, (uint64_t)bytes));
    buf_putc(k->out, '\n');
    fit = tile >= FITTING_BYTES || tile < 1 ? 1 : FITTING_BYTES / tile;
    if (tiles != (fit + unit - 1) / unit * unit)
        return;
    if (n_tile <= tiles && n_tile * tile <= FITTING_BYTES)
        buf_printf(k->out, "      all of them fit %s B\n", spaced(k, FITTING_BYTES));
    else if (unit == 1 && tile >= FITTING_BYTES)
        buf_printf(k->out, "      one tile alone has %s B or more\n", spaced(k, FITTING_BYTES));
    else if (unit == 1)
        buf_printf(k->out, "      the most whose weights fit %s B\n", spaced(k, FITTING_BYTES));
    else
        buf_printf(k->out, "      what fits %s B, or one tile, rounded up to whole epilogues of %s\n", spaced(k, FITTING_BYTES),
                   many(k, unit, "tile"));
}

static void print_chunks(Look *k, const Total *t, const Op *s)
{
    const Op *anchor = stage_anchor(s);
    Facts f = timed(k, s, t->weight_bytes + t->row_bytes);
    int n_threads = k->chip[0].n_threads;
    int64_t tokens = op_int(s, "tokens", 1);

    buf_printf(k->out, "\nchunks: %s; whichever thread takes one computes all of its outputs\n", spaced(k, (uint64_t)f.n_chunk));
    if (anchor && anchor->kind == OP_matmul)
        for (int g = 0; g < stage_n_groups(s); g++)
            print_group_chunks(k, s, g);
    else
        buf_printf(k->out, "    one for %s%s\n", anchor ? "a head and " : "", many(k, tokens, "token"));
    if (anchor && anchor->kind == OP_matmul && sym_value(k, "T") > 1)
        buf_puts(k->out, "    each for all tokens of the call: a tile's weights are read once, then the tokens pass\n");
    if (n_threads > 1 && f.n_chunk % n_threads)
        buf_printf(k->out, "    %s with %d threads: in the last %s only %" PRId64 " of them %s a chunk\n",
                   many(k, (f.n_chunk + n_threads - 1) / n_threads, "round"), n_threads, "one",
                   f.n_chunk % n_threads, f.n_chunk % n_threads == 1 ? "has" : "have");
}

/* ---- reasons ---- */

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
        if (o->kind != OP_yield && part_of(s, o) == part)
            out[n++] = op_words(k, s, o);
    return n;
}

static void why_one(Look *k, const Total *t, const Block *b, const Op *s)
{
    int n = count_ops(s), saved = (n - 1) * b->times;

    if (n == 1) {
        buf_puts(k->out, "  - It is a single op: nothing is fused in it.\n");
        return;
    }
    buf_printf(k->out, "  - Its %d ops are one stage: each alone (--fuse none), threads would meet %s more a call, where now they meet %d times",
               n, many(k, saved, "time"), t->n_stage);
    if (k->chip[0].n_threads > 1)
        buf_printf(k->out, "; at %s a meeting, as the cost model has it, that is %s", time_text(k, COST_MEETING_PS),
                   time_text(k, (uint64_t)saved * COST_MEETING_PS));
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
            who[n++] = op_name(k, o);
        }
    if (n > 1)
        buf_printf(k->out, "  - %s read the same %s, so they share its row and one meeting.\n", listed(k, who, n), value_name(k, x));
    for (int g = 0; g < stage_n_groups(s); g++) {
        uint64_t stride = 0, all = 0;

        n = 0;
        for (const Op *o = s->region[0]->first; o; o = o->next)
            if (o->kind == OP_matmul && stage_group(s, o) == g && n < MAX_ANCHORS) {
                who[n++] = op_name(k, o);
                stride = o->in[1]->tile_stride;
                all += tile_bytes(o->in[1], false);
            }
        if (n > 1)
            buf_printf(k->out, "  - %s meet in one op behind them, so they are computed tile by tile together%s.\n", listed(k, who, n),
                       stride == all ? ", and their tiles lie in turns in the weights file" : "");
    }
}

static void why_prologue(Look *k, const Func *in, const Op *s)
{
    const Op *anchor = stage_anchor(s);
    const char *who[MAX_ANCHORS];
    int n = names_of(k, s, IN_prologue, who, MAX_ANCHORS), p;
    uint64_t bytes = 0;

    if (!anchor || anchor->kind != OP_matmul)
        return;
    if (n) {
        for (const Op *o = s->region[0]->first; o; o = o->next)
            if (part_of(s, o) == IN_prologue && o->n_out && op_attr(o, "scratch")) {
                bytes += row_bytes(k, o->out[0]);
            }
        buf_printf(k->out, "  - What makes x (%s) is a row of one token: every thread computes it for itself", listed(k, who, n));
        if (bytes)
            buf_printf(k->out, " (%s B of its scratch)", spaced(k, bytes));
        buf_puts(k->out, " after its first claim of a chunk, rather than wait for a stage that does.\n");
        for (const Op *o = s->region[0]->first; o; o = o->next)
            if (o->kind != OP_yield && o->n_out && part_of(s, o) == IN_prologue && result_index(s, o->out[0]) >= 0)
                buf_printf(k->out, "  - %s is wanted later, too: whoever computes chunk 0 stores it.\n", value_name(k, o->out[0]));
        return;
    }
    p = param_index(s, anchor->in[0]);
    if (p >= 0 && maker(s, p)) {
        const Op *from = maker(s, p);

        buf_printf(k->out, "  - x (%s) is made by stage %s", value_name(k, anchor->in[0]), stage_name(k, from));
        if (!stage_anchor(from) && from->out[0]->type.rank > 1 && !dim_is_one(in, from->out[0]->type.dim[0]))
            buf_printf(k->out, ", not here: it has up to %s, and each thread would compute all of them",
                       many(k, dim_hi(from->out[0]->type.dim[0]), "row"));
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
    int n = anchor ? names_of(k, s, IN_epilogue, who, MAX_ANCHORS) : 0;

    if (!n)
        return;
    buf_printf(k->out, "  - %s: computed on results before they leave the thread%s.\n", part_words(k, s, IN_epilogue),
               anchor->kind == OP_matmul ? ", in a local array" : ", head by head");
    for (int g = 0; anchor->kind == OP_matmul && g < stage_n_groups(s); g++) {
        int64_t width = stage_width(s, g), reach = 1;
        const char *widest = NULL, *group = NULL, *unit_of = "";

        for (const Op *o = s->region[0]->first; o; o = o->next) {
            if (o->kind == OP_matmul && !group && stage_group(s, o) == g)
                group = op_name(k, o);
            if (o->kind == OP_yield || part_of(s, o) != IN_epilogue || !follows_group(s, o, g))
                continue;
            if (op_reach(o) > reach) {
                reach = op_reach(o);
                widest = op_words(k, s, o);
                unit_of = o->kind == OP_quant ? "blocks" : reach == 2 ? "pairs" : "heads";
            }
        }
        if (!group)
            continue;
        buf_printf(k->out, "  - Behind %s it works on %" PRId64 " elements at a time: %s", group, width, many(k, width / TILE_ROWS, "tile"));
        if (widest && width > TILE_ROWS)
            buf_printf(k->out, ", because %s must see %" PRId64 " together", widest, reach);
        else if (widest)
            buf_printf(k->out, ", which holds whole %s (%s: %" PRId64 " together)", unit_of, widest, reach);
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
                           "  - %s overwrites %s in place: each element is read where the result's element is written.\n",
                           value_name(k, s->out[o]), value_name(k, s->region[0]->param[i]));
}

static void print_why(Look *k, const Total *t, const Block *b, const Op *s)
{
    buf_puts(k->out, "\nwhy it is so\n");
    why_one(k, t, b, s);
    if (stage_anchor(s) && stage_anchor(s)->kind == OP_matmul)
        why_siblings(k, s);
    why_prologue(k, b->func, s);
    why_epilogue(k, s);
    why_places(k, s);
    if (strcmp(fuse_spec(k), "default"))
        buf_printf(k->out, "  - The folder was made with --fuse %s, which leaves some fusing out.\n", fuse_spec(k));
}

static void print_stage(Look *k, const Total *t, const Block *b, const Op *s)
{
    Facts f = timed(k, s, t->weight_bytes + t->row_bytes);

    buf_printf(k->out, "\n%s of %s (%s)", stage_name(k, s), show(k, t->entry->name), call_words(k));
    if (b->func != t->entry->func)
        buf_printf(k->out, ", in %s, which runs %s in a row here", show(k, b->func->name), b->times == 1 ? "once" : many(k, b->times, "time"));
    buf_printf(k->out, "\n    %s\n    C function %s; kind %s\n", stage_words(k, s), c_name(k, b->func, s), op_str(s, "kind", "?"));
    buf_printf(k->out, "    one run reads %s B of weights%s%s%s", spaced(k, f.weight_bytes),
               f.row_bytes ? str_printf(k->a, " and %s B of rows of tables", spaced(k, f.row_bytes)) : "",
               f.state_bytes ? str_printf(k->a, " and %s B of the cache for each position", spaced(k, f.state_bytes)) : "",
               f.macs + f.float_macs ? str_printf(k->a, ", %s multiply-adds%s", spaced(k, f.macs + f.float_macs),
                                                  f.float_macs ? " of floats" : " of 8 bits") : "");
    if (has_figures(&k->chip[0]))
        buf_printf(k->out, "; modelled %s, %s of the call%s", f.ps ? time_text(k, f.ps) : "nothing", percent(k, f.ps * (uint64_t)b->times, t->ps),
                   b->times > 1 ? " with all its runs" : "");
    buf_puts(k->out, "\n\nops, in order\n");
    print_ops(k, s, IN_prologue, "before the contractions, whole rows:");
    print_ops(k, s, IN_anchor, stage_anchor(s) && stage_anchor(s)->kind == OP_matmul ? "contractions, tile by tile:" : "attention, head by head:");
    print_ops(k, s, IN_epilogue, "behind them, on the results:");
    print_ops(k, s, IN_row, "row by row:");
    print_why(k, t, b, s);
    print_chunks(k, t, s);
    print_kernels(k, s);
    print_layouts(k, s);
    print_places(k, s);
}

/* ---- 4. JSON ----------------------------------------------------------------------------------------------------------- */

static const char *js(Look *k, const char *s)
{
    return emit_json(k->a, str_of(s));
}

/* A number, or null where it is unknown. */
static const char *known_number(Look *k, bool known, uint64_t v)
{
    return known ? str_printf(k->a, "%" PRIu64, v) : "null";
}

static void json_ops(Look *k, const Op *s)
{
    static const char *const part[] = { "prologue", "anchor", "epilogue", "row" };

    buf_puts(k->out, ", \"ops\": [");
    for (const Op *o = s->region[0]->first; o && o->kind != OP_yield; o = o->next) {
        int target;
        bool any = false;

        buf_printf(k->out, "%s{\"op\": \"%s\", \"name\": %s, \"part\": \"%s\", \"operands\": [",
                   o == s->region[0]->first ? "" : ", ", op_info[o->kind].name, js(k, op_name(k, o)), part[part_of(s, o)]);
        for (int i = 0; i < o->n_in; i++)
            buf_printf(k->out, "%s{\"name\": %s, \"type\": %s, \"place\": %s}", i ? ", " : "", js(k, o->in[i]->name),
                       js(k, type_text(k->a, o->in[i]->type)), js(k, home(k, s, o->in[i])));
        buf_puts(k->out, "], \"results\": [");
        for (int i = 0; i < o->n_out; i++)
            buf_printf(k->out, "%s{\"name\": %s, \"type\": %s, \"place\": %s}", i ? ", " : "", js(k, o->out[i]->name),
                       js(k, type_text(k->a, o->out[i]->type)), js(k, home(k, s, o->out[i])));
        buf_puts(k->out, "], \"kernels\": {");
        for (int i = 0; i < o->n_attr; i++)
            if (is_kernel_attr(&o->attr[i], &target)) {
                buf_printf(k->out, "%s%s: %s", any ? ", " : "", js(k, o->attr[i].name), emit_json(k->a, o->attr[i].s));
                any = true;
            }
        buf_puts(k->out, "}}");
    }
    buf_puts(k->out, "]");
}

static void json_ints(Look *k, const char *name, const Attr *list)
{
    buf_printf(k->out, ", \"%s\": [", name);
    for (int i = 0; i < list->n_ints; i++)
        buf_printf(k->out, "%s%" PRId64, i ? ", " : "", list->ints[i]);
    buf_puts(k->out, "]");
}

static void json_stage(Look *k, const Total *t, const Block *b, const Op *s, bool all)
{
    Facts f = timed(k, s, t->weight_bytes + t->row_bytes);
    bool tiled = stage_anchor(s) && stage_anchor(s)->kind == OP_matmul;

    buf_printf(k->out,
               "{\"stage\": %s, \"entry\": %s, \"function\": %s, \"c_name\": %s, \"times\": %d, \"kind\": %s, \"fused\": %s, "
               "\"n_ops\": %d, \"chunks\": %" PRId64 ", \"chunk_bytes\": %s, \"chunk_tokens\": %s, \"weight_bytes\": %" PRIu64
               ", \"row_bytes\": %" PRIu64 ", \"state_bytes_per_position\": %" PRIu64 ", \"multiply_adds\": %" PRIu64
               ", \"modelled_ps\": %s",
               js(k, op_str(s, "stage", "?")), js(k, t->entry->name), js(k, b->func->name), js(k, c_name(k, b->func, s)), b->times,
               js(k, op_str(s, "kind", "?")), js(k, stage_words(k, s)), count_ops(s), f.n_chunk,
               known_number(k, tiled, (uint64_t)f.chunk_bytes), known_number(k, !tiled, (uint64_t)op_int(s, "tokens", 1)), f.weight_bytes,
               f.row_bytes, f.state_bytes, f.macs + f.float_macs, known_number(k, has_figures(&k->chip[0]), f.ps));
    if (all && tiled) {
        json_ints(k, "tiles", op_attr(s, "tiles"));
        json_ints(k, "chunks_of_groups", op_attr(s, "chunks"));
    }
    if (all)
        json_ops(k, s);
    buf_puts(k->out, "}");
}

static void json_entry(Look *k, const Entry *e)
{
    Total t = total_of(k, e);
    bool first = true;

    buf_printf(k->out,
               "\n    {\"name\": %s, \"function\": %s, \"tokens\": %" PRId64 ", \"stages\": %d, \"stages_unfused\": %d, \"layers\": %d, "
               "\"stages_per_layer\": [%d, %d],\n     \"weight_bytes\": %" PRIu64 ", \"row_bytes\": %" PRIu64
               ", \"head_bytes\": %" PRIu64 ", \"state_bytes_per_position\": %" PRIu64 ", \"modelled_ps\": %s, \"meetings_ps\": %s,"
               "\n     \"blocks\": [",
               js(k, e->name), js(k, e->func->name), sym_value(k, "T"), t.n_stage, t.n_op, t.n_layer, t.least, t.most, t.weight_bytes,
               t.row_bytes, t.head_bytes, t.state_bytes, known_number(k, has_figures(&k->chip[0]), t.ps),
               known_number(k, has_figures(&k->chip[0]), token_ps(k, &t) - t.ps));
    for (int i = 0; i < t.n_block; i++) {
        const Block *b = &t.block[i];

        buf_printf(k->out, "%s\n      {\"function\": %s, \"times\": %d, \"stages\": [", i ? "," : "", js(k, b->func->name), b->times);
        first = true;
        for (const Op *s = b->first; s; s = next_stage(b, s)) {
            buf_printf(k->out, "%s\n        ", first ? "" : ",");
            json_stage(k, &t, b, s, false);
            first = false;
        }
        buf_puts(k->out, "]}");
    }
    buf_puts(k->out, "]}");
}

static void json_begin(Look *k)
{
    buf_printf(k->out, "{\n  \"schema\": 1,\n  \"name\": %s,\n  \"command\": %s,\n  \"fuse\": %s,\n  \"targets\": [", js(k, k->name),
               js(k, module_meta_str(k->m, "build.command", "")), js(k, fuse_spec(k)));
    for (int i = 0; i < k->n_chip; i++)
        buf_printf(k->out, "%s{\"name\": %s, \"isa\": %s, \"threads\": %d, \"figures\": %s}", i ? ", " : "", js(k, k->chip[i].name),
                   js(k, module_meta_str(k->m, str_printf(k->a, "target.%d.isa", i), "")), k->chip[i].n_threads,
                   has_figures(&k->chip[i]) ? "true" : "false");
    buf_puts(k->out, "]");
}

static void json_table(Look *k)
{
    json_begin(k);
    buf_puts(k->out, ",\n  \"entries\": [");
    for (int i = 0; i < k->m->n_entry; i++) {
        buf_puts(k->out, i ? "," : "");
        json_entry(k, &k->m->entry[i]);
    }
    buf_puts(k->out, "]\n}\n");
}

/* ---- the command ------------------------------------------------------------------------------------------------------- */

/* Is this stage the one that the user means: its name, or its function's in the emitted C? */
static bool is_meant(Look *k, const Func *f, const Op *s, const char *name)
{
    return !strcmp(op_str(s, "stage", ""), name) || !strcmp(c_name(k, f, s), name);
}

static bool unknown_stage(Look *k, const char *dir, const char *name)
{
    const char **names, *near;
    int n = 0, cap = 0;

    for (const Func *f = k->m->first_func; f; f = f->next)
        for (const Op *o = f->body->first; o; o = o->next)
            cap++;
    names = ARENA_ARRAY(k->a, const char *, cap + 1);
    for (const Func *f = k->m->first_func; f; f = f->next)
        for (const Op *o = f->body->first; o; o = o->next) {
            bool again = o->kind != OP_fused;

            for (int i = 0; !again && i < n; i++)
                again = !strcmp(names[i], stage_name(k, o));
            if (!again)
                names[n++] = stage_name(k, o);
        }
    near = str_nearest(str_of(name), names);
    return fail(k->d, AT_FILE(dir), "has no stage '%s'%s%s%s (it has %s%s)", show(k, name), near ? "; did you mean '" : "",
                near ? near : "", near ? "'?" : "", n ? listed(k, names, n < MAX_LISTED ? n : MAX_LISTED) : "none",
                n > MAX_LISTED ? str_printf(k->a, " and %d more", n - MAX_LISTED) : "");
}

/* Every stage of that name: layers of another kind and other entries have some of the same. */
static bool explain_stage(Look *k, const char *dir, const char *name, bool json)
{
    int n = 0;

    if (json) {
        json_begin(k);
        buf_puts(k->out, ",\n  \"stages\": [");
    }
    for (int i = 0; i < k->m->n_entry; i++) {
        Total t = total_of(k, &k->m->entry[i]);

        for (int q = 0; q < t.n_block; q++)
            for (const Op *s = t.block[q].shown ? NULL : t.block[q].first; s; s = next_stage(&t.block[q], s)) {
                if (!is_meant(k, t.block[q].func, s, name))
                    continue;
                if (json)
                    buf_puts(k->out, n ? ",\n    " : "\n    ");
                if (json)
                    json_stage(k, &t, &t.block[q], s, true);
                else
                    print_stage(k, &t, &t.block[q], s);
                n++;
            }
    }
    if (!n)
        return unknown_stage(k, dir, name);
    if (json)
        buf_puts(k->out, "]\n}\n");
    return true;
}

/* What this sinter knows of the target by that name, if it is the same one: a YAML file's own is not known here. */
static const Target *known_target(Look *k, FileSet *fs, const char *name, const char *isa)
{
    const char *const *names = target_names(k->a);
    const Target *t = NULL;
    Diag *quiet = diag_new(k->a, NULL);
    Buf b = buf_in(k->a);

    if (!strcmp(name, "native"))
        t = target_native(k->a, quiet);
    for (int i = 0; !t && names[i]; i++)
        if (!strcmp(names[i], name))
            t = target_load(fs, k->a, quiet, name);
    for (int i = 0; t && t->isa[i]; i++)
        buf_printf(&b, "%s%s", i ? " " : "", t->isa[i]);
    return t && !strcmp(buf_z(&b), isa) ? t : NULL;
}

static const char *const *words_of(Look *k, const char *text)
{
    const char **v = ARENA_ARRAY(k->a, const char *, strlen(text) / 2 + 2);
    int n = 0;

    while (*(text += strspn(text, " "))) {
        size_t len = strcspn(text, " ");

        v[n++] = str_z(k->a, (Str){ text, len });
        text += len;
    }
    return v;
}

static void find_chips(Look *k, FileSet *fs)
{
    k->n_chip = (int)module_meta_int(k->m, "build.n_target", 0);
    for (int i = 0; i < k->n_chip; i++) {
        const char *isa = module_meta_str(k->m, str_printf(k->a, "target.%d.isa", i), "");
        const char *name = module_meta_str(k->m, str_printf(k->a, "target.%d.name", i), "?");
        Chip *c = &k->chip[i];

        *c = (Chip){ .target = known_target(k, fs, name, isa), .name = show(k, name), .isas = words_of(k, isa) };
        c->unit = kernel_unit(c->isas[0]);
        c->n_threads = c->target && c->target->n_threads > 0 ? c->target->n_threads : COMMON_THREADS;
        if (module_meta_int(k->m, "build.one_thread", 0))
            c->n_threads = 1;
    }
}

/* The scheduled Module of a folder; the weights and the model that it was made from need not be at hand. */
static Module *read_folder(Args *args, const Emitted *e)
{
    Mapped file;
    Module *m;

    if (!file_map(args->fs, args->a, args->d, e->sir, &file))
        return NULL;
    m = module_parse(args->a, args->d, file.path, (Str){ (const char *)file.p, (size_t)file.n });
    if (!m || !module_verify(m, args->d))
        return NULL;
    if (!codegen_check(m, args->d)) {
        note(args->d, "build the folder again if another version of sinter has written it");
        return NULL;
    }
    for (const Func *f = m->first_func; f; f = f->next)
        for (const Op *o = f->body->first; o; o = o->next)
            for (const Op *p = o->kind == OP_call ? o->callee->body->first : NULL; p; p = p->next)
                if (p->kind == OP_call) {
                    fail(args->d, AT_FILE(e->sir), "function '%s' is called and calls others: no scheduled Module does that",
                         str_show(args->a, str_of(o->callee->name), SHOWN));
                    return NULL;
                }
    return m;
}

int cmd_explain(Args *args)
{
    Look k = { .a = args->a, .d = args->d };
    bool json = arg_value(args, "--json") != NULL;
    Buf out = buf_in(args->a);
    Emitted e;

    if (!emitted_read(args->fs, args->a, args->d, args->pos[0], &e))
        return EXIT_failed;
    k.m = read_folder(args, &e);
    if (!k.m)
        return EXIT_failed;
    k.name = e.name;
    k.val = ARENA_ARRAY(args->a, int64_t, k.m->n_sym + 1);
    k.out = &out;
    find_chips(&k, args->fs);
    if (args->n_pos > 1) {
        if (!explain_stage(&k, args->pos[0], args->pos[1], json))
            return EXIT_failed;
    } else if (json)
        json_table(&k);
    else
        print_table(&k);
    fwrite(out.p ? out.p : "", 1, out.n, stdout);
    return EXIT_done;
}
