/* schedule: kernels, chunks and names of stages.
 *
 * A stage is cut into chunks that threads claim; a chunk owns its outputs, so results do not depend
 * on who computes what.
 *
 *   contract    a chunk is a run of tiles of one group of contractions, for all tokens of the call:
 * the tile's weights are read once and stay in the first-level cache while tokens pass. The
 * target's `chunk` in bytes of weights or one tile (or a head, where the epilogue needs whole ones), whichever is more:
 * between 11 and 60 KB the size was found not to matter, smaller ones leave more to steal.
 * Where activations are i8, a tile is unpacked into a panel first and the tokens pass in blocks:
 * as many as leave PANEL_SUMS results of a contraction, a multiple of 16 and of 12 if they can.
 * attention   a chunk is one head and a few tokens, or, when one token is decoded, the heads of a
 * group that share K and V, as many as leave the threads busy (cost.c). row         a chunk is a few
 * tokens.
 *
 * Kernels are looked up in the library by contract (op, layout, activations), best instruction set
 * of the target first.
 *
 * Requires: pack.  Leaves on each stage: stage (its name), tiles and chunks (per group), tokens, heads and threads (stage_heads); on
 * ops inside: the kernels' names per target: dot.0 and panel.0 (unpack.0 and gemm.0) for the first
 * target of the set, and so on; span.0 of attention likewise.  The Module's meta says what the targets are.  The first one's tuning decides about chunks,
 * which all of them share. */
#include "codegen/emit.h"
#include "codegen/kernels.h"
#include "compiler/passes/net.h"

enum { PANEL_TOKENS = 48, PANEL_SUMS = 4096 };
enum { ROW_TOKENS = 8, MAX_CHUNKS = 65535 };
enum { EXACT_SPAN = 128 };      /* of attention with --exact, whatever the target's tuning says: it decides about the order of sums */

typedef struct {
    Module *m;
    const Env *env;
    Diag *d;
} Sched;

/* The kernel of that contract for target t, NULL: none.  With --exact it is the best one that adds as the portable one does. */
static const KernelInfo *kernel_for(const Sched *s, const Target *t, const char *op, const char *layout,
                                    const char *act, int tokens)
{
    const KernelUnit *u = kernel_unit_of(t->isa);
    const KernelInfo *plain;

    if (!u || !s->env->opt->exact)
        return u ? kernel_find(u, t->isa, op, layout, act, tokens) : NULL;
    plain = kernel_find(u, (const char *const[]){ "portable", NULL }, op, layout, act, tokens);
    for (const char *const *isa = t->isa; plain && *isa; isa++) {
        const KernelInfo *k = kernel_find(u, (const char *const[]){ *isa, NULL }, op, layout, act, tokens);

        if (k && !strcmp(k->order, plain->order))
            return k;
    }
    return plain;
}

/* Notes on op `o` which kernel computes `role` for each target. */
static bool choose(Sched *s, Op *o, const char *role, const char *op, const char *layout,
                   const char *act, int tokens)
{
    for (int i = 0; i < s->env->n_target; i++) {
        const Target *t = s->env->target[i];
        const KernelInfo *k = kernel_for(s, t, op, layout, act, tokens);

        if (!k)
            return fail(s->d, NOWHERE,
                        "there is no kernel '%s' for layout %s, activations %s on %s", op,
                        layout ? layout : "any", act ? act : "any", t->name);
        op_set_attr(o, attr_str(str_printf(s->m->a, "%s.%d", role, i), k->name));
    }
    return true;
}

/* Notes kernels that do the work of `role` for some queries at once, where there are some of the
 * same order of sums, so that a query's bits do not depend on its neighbours. */
static void choose_four(Sched *s, Op *o, const char *role, const char *op, const char *act)
{
    for (int i = 0; i < s->env->n_target; i++) {
        const Target *t = s->env->target[i];
        const KernelUnit *u = kernel_unit_of(t->isa);
        const KernelInfo *one = kernel_for(s, t, role, NULL, act, 0),
                         *four = kernel_find(u, t->isa, op, NULL, act, 0);

        if (one && four && !strcmp(one->order, four->order))
            op_set_attr(o, attr_str(str_printf(s->m->a, "%s.%d", op, i), four->name));
    }
}

/* Query heads that share the K and V of one. */
static int64_t group_size(const Op *attention)
{
    return op_int(attention, "n_head", 1) / op_int(attention, "n_head_kv", 1);
}

/* Notes kernels that compute the elementwise op o for a whole array, where there are some that give
 * the bits of its expression. */
static void choose_map(Sched *s, Op *o)
{
    for (int i = 0; i < s->env->n_target; i++) {
        const Target *t = s->env->target[i];
        const KernelInfo *k =
            kernel_find(kernel_unit_of(t->isa), t->isa, op_info[o->kind].name, NULL, "f32", 0);

        if (k && !strcmp(k->order, "exact"))
            op_set_attr(o, attr_str(str_printf(s->m->a, "map.%d", i), k->name));
    }
}

/* The kernel that rules tiles of a head out, where pack has chosen the layout that it reads. */
static bool choose_bound(Sched *s, const Func *f, const Op *fused)
{
    Op *head = NULL;

    for (int i = 0; i < s->m->n_entry; i++)
        if (s->m->entry[i].func == f)
            head = stage_head(f, fused);
    return !head || !head->in[1]->layout || !layout_is_split(head->in[1]->layout) ||
           choose(s, head, "bound", "bound", head->in[1]->layout->name, head->in[0]->type.fmt->name, 1);
}

/* Notes what ends the gemm that o names, where that one's instruction set has such a kernel. */
static void choose_end(Sched *s, Op *o)
{
    for (int i = 0; i < s->env->n_target; i++) {
        const KernelUnit *u = kernel_unit_of(s->env->target[i]->isa);
        const char *gemm = op_str(o, str_printf(s->m->a, "gemm.%d", i), NULL);
        const KernelInfo *end = kernel_find(u, s->env->target[i]->isa, "gemm_end", NULL, NULL, 0);

        for (int k = 0; end && k < u->n_kernels; k++)
            if (!strcmp(u->kernels[k].name, gemm) && !strcmp(u->kernels[k].isa, end->isa))
                op_set_attr(o, attr_str(str_printf(s->m->a, "gemm_end.%d", i), end->name));
    }
}

/* Have all targets panels of their own?  The plain ones are there to compare with: they are many times slower than dot products. */
static bool panels_pay(Sched *s)
{
    for (int i = 0; i < s->env->n_target; i++) {
        const Target *t = s->env->target[i];
        const KernelInfo *k = kernel_for(s, t, "gemm", NULL, "i8", 0);

        if (k && !strcmp(k->isa, "portable") && !t->portable_only)
            return fail(s->d, NOWHERE, "--act prefill=i8 has no kernels for %s (targets with AVX-VNNI, AVX-512 VNNI, AMX or "
                        "ARM's dot products have; use prefill=q8)",
                        t->name);
    }
    return true;
}

static bool choose_for(Sched *s, const Func *f, Op *o)
{
    switch (o->kind) {
    case OP_matmul: {
        const char *act = o->in[0]->type.fmt->name,
                   *layout = o->in[1]->layout ? o->in[1]->layout->name : NULL;

        if (op_takes_panels(o)) {
            if (!panels_pay(s) || !choose(s, o, "unpack", "unpack", layout, NULL, 0) ||
                !choose(s, o, "gemm", "gemm", NULL, "i8", 0))
                return false;
            choose_end(s, o);
            return true;
        }
        if (!choose(s, o, "dot", "dot", layout, act, 1))
            return false;
        return o->in[0]->type.rank < 2 || dim_is_one(f, o->in[0]->type.dim[0]) ||
               choose(s, o, "panel", "dot", layout, act, 4);
    }
    case OP_rows:
        return choose(s, o, "row", "row", o->in[0]->layout ? o->in[0]->layout->name : NULL, NULL,
                      0);
    case OP_rmsnorm:
        return choose(s, o, "rmsnorm", "rmsnorm", NULL, NULL, 0);
    case OP_quant:
        return choose(s, o, "quant", format_is_i8(o->out[0]->type.fmt)            ? "quant_i8"
                                     : o->out[0]->type.fmt->block > BLOCK_Q8 ? "quant256"
                                                                             : "quant", NULL, NULL, 0);
    case OP_softmax:
        return choose(s, o, "max", "max", NULL, NULL, 0) &&
               choose(s, o, "exp_sum", "exp_sum", NULL, NULL, 0);
    case OP_attention: {
        const char *k = o->in[1]->type.fmt->name, *v = o->in[2]->type.fmt->name;

        if (!dim_is_one(f, o->out[0]->type.dim[0]) || group_size(o) > 1) {
            choose_four(s, o, "score", "score4", k);
            choose_four(s, o, "mix", "mix4", v);
        }
        for (int i = 0; i < s->env->n_target; i++)
            op_set_attr(o, attr_int(str_printf(s->m->a, "span.%d", i),
                                    s->env->opt->exact ? EXACT_SPAN : s->env->target[i]->tuning.span));
        return choose(s, o, "score", "score", NULL, k, 0) &&
               choose(s, o, "mix", "mix", NULL, v, 0) &&
               choose(s, o, "max", "max", NULL, NULL, 0) &&
               choose(s, o, "exp_sum", "exp_sum", NULL, NULL, 0);
    }
    case OP_append:
        if (strcmp(o->in[0]->type.fmt->name, "f16"))
            return true;
        return choose(s, o, "store", "store_f16", NULL, NULL, 0);
    case OP_silu:
    case OP_gelu_tanh:
        choose_map(s, o);
        return true;
    default:
        return true;
    }
}

/* ---- names ---- */

/* "attn_q", "attn_k", "attn_v" -> "attn_q_k_v": the common beginning up to a `_` is said once. */
static const char *stage_name(Sched *s, const Op *fused)
{
    const Region *r = fused->region[0];
    const char *first = NULL;
    Buf b = buf_in(s->m->a);
    const Op *anchor = stage_anchor(fused);

    if (anchor && anchor->kind == OP_attention)
        return "attention";
    for (const Op *o = r->first; o; o = o->next) {
        size_t same = 0;

        if (!o->from || (anchor && o->kind != OP_matmul))
            continue;
        if (!first || !anchor) { /* a row stage is named after what it ends with */
            first = o->from;
            b.n = 0;
            buf_puts(&b, first);
            continue;
        }
        for (size_t i = 0; first[i] && first[i] == o->from[i]; i++)
            if (first[i] == '_')
                same = i + 1;
        buf_printf(&b, "_%s", o->from + same);
    }
    return b.n ? buf_z(&b) : op_info[r->first->kind].name;
}

/* Is `name` base, or base and a number? */
static bool is_numbered(const char *name, const char *base)
{
    size_t n = strlen(base);

    if (strncmp(name, base, n))
        return false;
    return !name[n] || (name[n] == '_' && name[n + 1] &&
                        strspn(name + n + 1, "0123456789") == strlen(name + n + 1));
}

/* A name that no stage of f has once it is a C identifier; equal ones are numbered from where the
 * last of them ended. */
static const char *fresh_stage_name(Sched *s, const Func *f, const Op *fused)
{
    const char *base = emit_ident(s->m->a, str_of(stage_name(s, fused))), *name = base;
    int first = 0;

    for (const Op *o = f->body->first; o && o != fused; o = o->next)
        first += o->kind == OP_fused && is_numbered(op_str(o, "stage", ""), base);
    if (first)
        name = str_printf(s->m->a, "%s_%d", base, first);
    for (int n = first + 1;; n++) {
        bool taken = false;

        for (const Op *o = f->body->first; o && o != fused; o = o->next)
            taken = taken || (o->kind == OP_fused && !strcmp(op_str(o, "stage", ""), name));
        if (!taken)
            return name;
        name = str_printf(s->m->a, "%s_%d", base, n);
    }
}

/* ---- chunks ---- */

static bool cut_contract(Sched *s, Op *fused)
{
    int n_group = stage_n_groups(fused);
    int64_t *tiles = ARENA_ARRAY(s->m->a, int64_t, n_group),
            *chunks = ARENA_ARRAY(s->m->a, int64_t, n_group),
            *tokens = ARENA_ARRAY(s->m->a, int64_t, n_group);
    int64_t total = 0, chunk_bytes = s->env->target[0]->tuning.chunk;

    for (const Op *o = fused->region[0]->first; o; o = o->next) {
        const Value *w;
        int64_t n_tile, per_chunk, unit, g;
        uint64_t tile_bytes;

        if (o->kind != OP_matmul)
            continue;
        w = o->in[1];
        g = stage_group(fused, o);
        n_tile = (type_n_rows(w->type) + 31) / 32;
        tile_bytes = w->tile_stride ? w->tile_stride : 1;
        per_chunk = tile_bytes >= (uint64_t)chunk_bytes ? 1 : chunk_bytes / (int64_t)tile_bytes;
        unit = stage_width(fused, (int)g) / TILE_ROWS;
        per_chunk = (per_chunk + unit - 1) / unit * unit;
        while ((n_tile + per_chunk - 1) / per_chunk > MAX_CHUNKS / n_group)
            per_chunk *= 2;
        tiles[g] = per_chunk;
        chunks[g] = (n_tile + per_chunk - 1) / per_chunk;
        tokens[g] = PANEL_SUMS / (unit * TILE_ROWS) / 16 * 16;
        tokens[g] = tokens[g] < 16 ? 16 : tokens[g] > PANEL_TOKENS ? PANEL_TOKENS : tokens[g];
    }
    for (int g = 0; g < n_group; g++)
        total += chunks[g];
    op_set_attr(fused, attr_ints("tiles", tiles, n_group));
    op_set_attr(fused, attr_ints("chunks", chunks, n_group));
    if (op_takes_panels(stage_anchor(fused)))
        op_set_attr(fused, attr_ints("tokens", tokens, n_group));
    return total <= MAX_CHUNKS;
}

/* How many heads of a group a chunk of attention takes when one token is decoded: that depends on
 * the number of threads, which a run decides.  All heads of some of 1..`many` threads go in one
 * entry of the list. */
static void cut_heads(Op *fused, const Op *attention)
{
    enum { MANY = 64 };
    int64_t heads[MANY], threads[MANY];
    int n = 0;

    if (group_size(attention) == 1 || !op_str(attention, "score4.0", NULL) ||
        !op_str(attention, "mix4.0", NULL))
        return;
    for (int t = 1; t <= MANY; t++) { /* above: as with MANY */
        int64_t h = cost_heads(op_int(attention, "n_head", 1), group_size(attention), MAX_HEADS, t);

        if (n && heads[n - 1] == h) {
            threads[n - 1] = t;
            continue;
        }
        heads[n] = h;
        threads[n++] = t;
    }
    op_set_attr(fused, attr_ints("heads", heads, n));
    if (n > 1)
        op_set_attr(fused, attr_ints("threads", threads, n - 1));
}

/* A value with the rows that a row stage goes through: its last op's. */
static const Value *rows_of_stage(const Op *fused)
{
    const Op *last = fused->region[0]->last->prev;

    return last->n_out ? last->out[0] : last->in[last->n_in - 1];
}

static bool schedule_stage(Sched *s, Func *f, Op *fused)
{
    const Op *anchor = stage_anchor(fused);
    const Value *rows = anchor ? anchor->out[0] : rows_of_stage(fused);
    int64_t tokens = anchor ? s->env->target[0]->tuning.tokens : ROW_TOKENS;
    bool one;

    op_set_attr(fused, attr_str("stage", fresh_stage_name(s, f, fused)));
    for (Op *o = fused->region[0]->first; o; o = o->next)
        if (!choose_for(s, f, o))
            return false;
    if (!choose_bound(s, f, fused))
        return false;
    if (anchor && anchor->kind == OP_matmul)
        return cut_contract(s, fused);
    one = !rows->type.rank || dim_is_one(f, rows->type.dim[0]);
    if (one)
        tokens = 1;
    else
        while ((dim_hi(rows->type.dim[0]) + tokens - 1) / tokens *
                       (anchor ? op_int(anchor, "n_head", 1) : 1) >
                   MAX_CHUNKS &&
               tokens < 65536)
            tokens *= 2;
    op_set_attr(fused, attr_int("tokens", tokens));
    if (anchor && one)
        cut_heads(fused, anchor);
    return !anchor || op_int(anchor, "n_head", 1) <= MAX_CHUNKS ||
           fail(s->d, NOWHERE, "attention with %" PRId64 " heads has more than %d chunks",
                op_int(anchor, "n_head", 1), MAX_CHUNKS);
}

static const char *act_name(Act a)
{
    return a == ACT_q8 ? "q8" : a == ACT_i8 ? "i8" : "f32";
}

/* The command that makes this folder again, without paths: the options that matter, in one order.
 */
static const char *command_line(Sched *s)
{
    const BuildOptions *o = s->env->opt;
    Buf b = buf_in(s->m->a);

    buf_printf(&b, "sinter build %s -t ", s->m->n_file ? s->m->file[0].name : "MODULE.sir");
    for (int i = 0; i < s->env->n_target; i++)
        buf_printf(&b, "%s%s", i ? "," : "", s->env->target[i]->name);
    if (o->name)
        buf_printf(&b, " --name %s", o->name);
    if (o->project && strcmp(o->project, "plain"))
        buf_printf(&b, " --project %s", o->project);
    if (o->place)
        buf_printf(&b, " --place %s", o->place);
    if (module_is_network(s->m))
        return buf_z(&b);
    if (o->act_decode == o->act_prefill)
        buf_printf(&b, " --act %s", act_name(o->act_decode));
    else
        buf_printf(&b, " --act prefill=%s,decode=%s", act_name(o->act_prefill),
                   act_name(o->act_decode));
    if (o->kv)
        buf_printf(&b, " --kv %s", o->kv->name);
    if (o->ctx)
        buf_printf(&b, " --ctx %" PRId64, o->ctx);
    if (o->batch)
        buf_printf(&b, " --batch %" PRId64, o->batch);
    if (o->quant)
        buf_printf(&b, " --quant %s", o->quant->name);
    if (o->exact)
        buf_puts(&b, " --exact");
    if (o->fuse)
        buf_printf(&b, " --fuse %s", o->fuse);
    if (o->link_weights)
        buf_puts(&b, " --link-weights");
    if (o->spec)
        buf_printf(&b, " --spec %s", o->spec);
    if (o->head)
        buf_printf(&b, " --head %s", o->head);
    return buf_z(&b);
}

/* What codegen must know of the targets and of the build, so that the Module alone says it. */
static void note_build(Sched *s)
{
    Module *m = s->m;

    if (s->env->opt->name)
        module_set_meta(m, "build.name", attr_str("", s->env->opt->name));
    if (!strcmp(s->env->target[0]->family, "wasm32") || target_is_bare(s->env->target[0])) /* which have no threads */
        module_set_meta(m, "build.one_thread", attr_int("", 1));
    module_set_meta(m, "build.link_weights", attr_int("", s->env->opt->link_weights));
    if (s->env->opt->spec)
        module_set_meta(m, "build.spec", attr_str("", s->env->opt->spec));
    module_set_meta(m, "build.command", attr_str("", command_line(s)));
    module_set_meta(m, "build.n_target", attr_int("", s->env->n_target));
    for (int i = 0; i < s->env->n_target; i++)
        target_to_module(m, i, s->env->target[i]);
}

/* Up to how many tokens are cheaper without panels.  Unpacking costs as much as multiplying 40 tokens with AVX-512 VNNI (measured,
 * SmolLM2), which saves a fifth of a token's dot products; a matrix unit saves two thirds of them. */
static void note_few_tokens(Sched *s)
{
    for (const Func *f = s->m->first_func; f; f = f->next)
        for (Op *o = f->body->first; o; o = op_walk(o, f->body)) {
            const char *gemm = o->kind == OP_matmul ? op_str(o, "gemm.0", NULL) : NULL;

            if (gemm)
                module_set_meta(s->m, "build.few_tokens", attr_int("", strstr(gemm, "amx") ? 48 : 128));
        }
}

bool pass_schedule(Module *m, const Env *env, Diag *d)
{
    Sched s = { m, env, d };
    bool network = module_is_network(m);

    if (network && !net_schedule(m, env, d))
        return false;
    for (Func *f = m->first_func; !network && f; f = f->next)
        for (Op *o = f->body->first; o; o = o->next)
            if (o->kind == OP_fused && !schedule_stage(&s, f, o))
                return false;
    note_few_tokens(&s);
    note_build(&s);
    return true;
}
