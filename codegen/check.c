/* What the writers rely on, checked before anything is written.
 *
 * The Module may come from a .sir that somebody has edited or damaged, so nothing that the passes
 * promise is taken for granted here: every place lies inside the arena, every kernel exists, every
 * weight inside the file.  And what the writers cannot say yet is refused by name instead of being
 * written wrongly. */
#include "codegen/check.h"

#include "codegen/codegen.h"
#include "codegen/kernels.h"
#include "codegen/net.h"
#include "ir/stages.h"

enum { MAX_CHUNKS = 65535 };

typedef struct {
    const Module *m;
    Diag *d;
    const KernelUnit *unit[MAX_TARGETS];
    int n_target;
    uint64_t arena, scratch;
} Check;

static Loc at_stage(const Check *c, const Op *s)
{
    return AT_WHAT(NULL, str_printf(c->m->a, "stage '%s'",
                                    str_show(c->m->a, str_of(op_str(s, "stage", "?")), 60)));
}

static bool check_size(const Check *c, const char *name, int64_t n, int64_t lo, int64_t hi, int64_t step)
{
    return (n >= lo && n <= hi && n % step == 0) ||
           fail(c->d, NOWHERE, "'%s' is %" PRId64 ", not a multiple of %" PRId64 " from %" PRId64 " to %" PRId64, name, n,
                step, lo, hi);
}

static bool check_targets(Check *c)
{
    c->n_target = (int)module_meta_int(c->m, "build.n_target", 0);
    if (c->n_target < 1 || c->n_target > MAX_TARGETS)
        return fail(c->d, NOWHERE,
                    "a scheduled Module has 1 to %d targets, this one says %d (is it scheduled?)",
                    MAX_TARGETS, c->n_target);
    for (int i = 0; i < c->n_target; i++) {
        const char *list = module_meta_str(c->m, str_printf(c->m->a, "target.%d.isa", i), "");

        for (const char *at = list; *at && !c->unit[i]; at += strspn(at, " ")) {
            size_t n = strcspn(at, " ");

            c->unit[i] = kernel_unit(str_z(c->m->a, (Str){ at, n }));
            at += n;
        }
        if (!c->unit[i])
            return fail(c->d, NOWHERE,
                        "target %d asks for kernels of '%s', which this sinter does not have", i,
                        str_show(c->m->a, str_of(list), 40));
        if (!check_size(c, str_printf(c->m->a, "target.%d.prefetch", i),
                        module_meta_int(c->m, str_printf(c->m->a, "target.%d.prefetch", i), PREFETCH_DEFAULT), 0,
                        PREFETCH_MOST, PREFETCH_STEP))
            return false;
    }
    return true;
}

/* Does every target have the kernel that o names for `role`?  Where `optional`, it need not name
 * one. */
static bool kernel_is_there(Check *c, const Op *s, const Op *o, const char *role, bool optional)
{
    for (int i = 0; i < c->n_target; i++) {
        const char *name = op_str(o, str_printf(c->m->a, "%s.%d", role, i), NULL);
        bool found = !name && optional;

        for (int k = 0; name && k < c->unit[i]->n_kernels; k++)
            found = found || !strcmp(c->unit[i]->kernels[k].name, name);
        if (!found)
            return fail(c->d, at_stage(c, s), "'%s' has no kernel as '%s' for target %d",
                        op_info[o->kind].name, role, i);
    }
    return true;
}

static bool has_kernel(Check *c, const Op *s, const Op *o, const char *role)
{
    return kernel_is_there(c, s, o, role, false);
}

/* Weight operands that a kernel reads in tiles. */
static bool is_packed(Check *c, const Op *s, const Op *o, const Value *w)
{
    if (w->stands_for != VAL_weight || !w->layout || w->layout->rows != 32 || !w->tile_stride)
        return fail(c->d, at_stage(c, s),
                    "'%s' of something that is not a packed weight cannot be written yet",
                    op_info[o->kind].name);
    return true;
}

static bool check_spans(const Check *c, const Op *attention)
{
    for (int i = 0; i < c->n_target; i++) {
        const char *name = str_printf(c->m->a, "span.%d", i);

        if (!check_size(c, name, op_int(attention, name, SPAN_DEFAULT), SPAN_STEP, SPAN_MOST, SPAN_STEP))
            return false;
    }
    return true;
}

/* Room for the panels of contraction o, and the number of tokens that pass at a time. */
static bool check_panels(Check *c, const Func *f, const Op *s, const Op *o)
{
    const Attr *tokens = op_attr(s, "tokens");
    int g = stage_group(s, o);
    uint64_t bytes = (uint64_t)(stage_width(s, g) / TILE_ROWS) * op_panel_bytes(o);

    if (o->in[0]->type.rank < 2 || dim_is_one(f, o->in[0]->type.dim[0]))
        return fail(c->d, at_stage(c, s), "'%s' of one token with activations in %s cannot be written (quantize them to q8)",
                    op_info[o->kind].name, o->in[0]->type.fmt->name);
    if (bytes > c->scratch || (uint64_t)op_int(o, "scratch", 0) > c->scratch - bytes || op_int(o, "scratch", 0) % 64)
        return fail(c->d, at_stage(c, s), "'%s' has its panels outside the scratch of %" PRIu64 " bytes",
                    op_info[o->kind].name, c->scratch);
    if (!tokens || tokens->kind != ATTR_ints || tokens->n_ints != stage_n_groups(s) || tokens->ints[g] < 1 ||
        tokens->ints[g] > MAX_WIDTH)
        return fail(c->d, at_stage(c, s), "attribute 'tokens' does not give %d numbers of 1 to %d", stage_n_groups(s),
                    MAX_WIDTH);
    return true;
}

/* A head of two stages: one row of codes, its tile in two parts, room in every thread's scratch, and every target knows it. */
static bool check_bound(Check *c, const Func *f, const Op *s, const Op *o)
{
    int64_t best = op_int(o, "best", -1);

    if (!op_attr(o, "bound.0"))
        return true;
    if (!layout_is_split(o->in[1]->layout) || strcmp(o->in[0]->type.fmt->name, "q8") || stage_head(f, s) != o)
        return fail(c->d, at_stage(c, s), "only a head in two parts, on q8 activations, can be read in two stages");
    if (best < 0 || best % 4 || (uint64_t)best > c->scratch || BEST_BYTES > c->scratch - (uint64_t)best)
        return fail(c->d, at_stage(c, s), "a head of two stages has no %d bytes in the scratch of %" PRIu64 " bytes",
                    BEST_BYTES, c->scratch);
    return has_kernel(c, s, o, "bound");
}

static bool check_op(Check *c, const Func *f, const Op *s, const Op *o)
{
    int64_t scratch = op_int(o, "scratch", 0);

    if (scratch < 0 || (uint64_t)scratch > c->scratch)
        return fail(c->d, at_stage(c, s),
                    "'%s' has its row outside the scratch of %" PRIu64 " bytes",
                    op_info[o->kind].name, c->scratch);
    switch (o->kind) {
    case OP_matmul:
        if (o->n_in != 2)
            return fail(c->d, at_stage(c, s),
                        "a contraction with an index (mixture of experts) cannot be written yet");
        if (op_takes_panels(o))
            return is_packed(c, s, o, o->in[1]) && has_kernel(c, s, o, "unpack") && has_kernel(c, s, o, "gemm") &&
                   kernel_is_there(c, s, o, "gemm_end", true) && check_panels(c, f, s, o);
        return is_packed(c, s, o, o->in[1]) && has_kernel(c, s, o, "dot") && check_bound(c, f, s, o) &&
               (o->in[0]->type.rank < 2 || dim_is_one(f, o->in[0]->type.dim[0]) ||
                has_kernel(c, s, o, "panel"));
    case OP_rows:
        return is_packed(c, s, o, o->in[0]) && has_kernel(c, s, o, "row");
    case OP_rmsnorm:
        return has_kernel(c, s, o, "rmsnorm");
    case OP_silu:
    case OP_gelu_tanh:
        return kernel_is_there(c, s, o, "map", true);
    case OP_quant:
        if (!format_is_q8(o->out[0]->type.fmt) && !format_is_i8(o->out[0]->type.fmt))
            return fail(c->d, at_stage(c, s),
                        "activations cannot be quantized to %s, only to q8, q8g256 and i8gG, yet",
                        o->out[0]->type.fmt->name);
        return has_kernel(c, s, o, "quant");
    case OP_softmax:
        return has_kernel(c, s, o, "max") && has_kernel(c, s, o, "exp_sum");
    case OP_attention:
        if (o->in[1]->stands_for != VAL_state || o->in[2]->stands_for != VAL_state)
            return fail(c->d, at_stage(c, s),
                        "attention over tensors (encoders, cross-attention) cannot be written yet, "
                        "only over states");
        return has_kernel(c, s, o, "score") && has_kernel(c, s, o, "mix") &&
               kernel_is_there(c, s, o, "score4", true) && kernel_is_there(c, s, o, "mix4", true) &&
               has_kernel(c, s, o, "max") && has_kernel(c, s, o, "exp_sum") && check_spans(c, o);
    case OP_append:
        return strcmp(o->in[0]->type.fmt->name, "f16") || has_kernel(c, s, o, "store");
    default:
        return true;
    }
}

/* The places of operands or results: as many as there are, each inside the arena. */
static bool check_places(Check *c, const Op *s, const char *name, Value *const *v, int n)
{
    const Attr *a = op_attr(s, name);

    if (!a || a->kind != ATTR_ints || a->n_ints != n)
        return fail(c->d, at_stage(c, s), "attribute '%s' does not give %d places", name, n);
    for (int i = 0; i < n; i++) {
        uint64_t bytes;
        int64_t at = a->ints[i];
        bool tensor =
            v[i]->kind == VAL_result || (v[i]->kind == VAL_param && v[i]->stands_for == VAL_result);

        if (!tensor)
            continue;
        if (at == PLACE_input || at == PLACE_output)
            continue;
        if (at < 0 || at % 4 || !type_bytes(v[i]->type, &bytes) || (uint64_t)at > c->arena ||
            bytes > c->arena - (uint64_t)at)
            return fail(c->d, at_stage(c, s), "'%s' does not lie in the arena of %" PRIu64 " bytes",
                        str_show(c->m->a, str_of(v[i]->name), 60), c->arena);
    }
    return true;
}

/* Heads of one chunk share K and V, and only one token's may. */
static bool check_heads(Check *c, const Func *f, const Op *s, const Op *attention)
{
    const Attr *heads = op_attr(s, "heads"), *threads = op_attr(s, "threads");
    int64_t group = op_int(attention, "n_head", 1) / op_int(attention, "n_head_kv", 1);
    int n = threads ? threads->n_ints : 0;

    if (!heads)
        return !threads || fail(c->d, at_stage(c, s), "attribute 'threads' without 'heads'");
    if (heads->kind != ATTR_ints || (threads && threads->kind != ATTR_ints) ||
        heads->n_ints != n + 1 || !dim_is_one(f, attention->out[0]->type.dim[0]))
        return fail(c->d, at_stage(c, s), "attributes 'heads' and 'threads' do not give the heads "
                                          "of one token's chunks");
    for (int i = 0; i < heads->n_ints; i++)
        if (heads->ints[i] < 1 || heads->ints[i] > MAX_HEADS || group % heads->ints[i] ||
            (i < n && threads->ints[i] <= (i ? threads->ints[i - 1] : 0)))
            return fail(c->d, at_stage(c, s),
                        "%" PRId64 " heads for a chunk of attention where %" PRId64
                        " share K and V (a divisor, at most %d)",
                        heads->ints[i], group, MAX_HEADS);
    return true;
}

static bool check_chunks(Check *c, const Func *f, const Op *s)
{
    const Op *anchor = stage_anchor(s);
    const Attr *tiles = op_attr(s, "tiles"), *chunks = op_attr(s, "chunks");
    int64_t tokens = op_int(s, "tokens", 0), total = 0;

    if (!anchor || anchor->kind != OP_matmul)
        return ((tokens >= 1 && tokens <= 65536) ||
                fail(c->d, at_stage(c, s), "attribute 'tokens' is %" PRId64 ", not 1 to 65536",
                     tokens)) &&
               (!anchor || check_heads(c, f, s, anchor));
    if (!tiles || !chunks || tiles->kind != ATTR_ints || chunks->kind != ATTR_ints ||
        tiles->n_ints != stage_n_groups(s) || chunks->n_ints != tiles->n_ints)
        return fail(c->d, at_stage(c, s),
                    "attributes 'tiles' and 'chunks' do not give %d numbers each",
                    stage_n_groups(s));
    for (const Op *o = s->region[0]->first; o; o = o->next)
        if (o->kind == OP_matmul) {
            int g = stage_group(s, o);
            int64_t n_tile = (type_n_rows(o->in[1]->type) + 31) / 32, width = stage_width(s, g);

            if (width > MAX_WIDTH || tiles->ints[g] % (width / TILE_ROWS))
                return fail(c->d, at_stage(c, s),
                            "chunks of %" PRId64 " tiles for an epilogue of %" PRId64
                            " elements (at most %d, and whole ones)",
                            tiles->ints[g], width, MAX_WIDTH);
            if (tiles->ints[g] < 1 || tiles->ints[g] > MAX_CHUNKS * 64 ||
                chunks->ints[g] != (n_tile + tiles->ints[g] - 1) / tiles->ints[g])
                return fail(c->d, at_stage(c, s),
                            "%" PRId64 " chunks of %" PRId64 " tiles are not %" PRId64 " tiles",
                            chunks->ints[g], tiles->ints[g], n_tile);
        }
    for (int i = 0; i < chunks->n_ints; i++)
        total += chunks->ints[i];
    return total <= MAX_CHUNKS ||
           fail(c->d, at_stage(c, s), "%" PRId64 " chunks are more than %d", total, MAX_CHUNKS);
}

static bool check_stage(Check *c, const Func *f, const Op *s)
{
    const char *kind = op_str(s, "kind", "");
    const Op *anchor = stage_anchor(s);
    const char *want = !anchor ? "row" : anchor->kind == OP_matmul ? "contract" : "attention";

    if (!op_attr(s, "stage") || strcmp(kind, want))
        return fail(c->d, at_stage(c, s),
                    "is of kind '%s' where its ops say '%s' (is the Module scheduled?)",
                    str_show(c->m->a, str_of(kind), 40), want);
    for (const Op *o = s->region[0]->first; o; o = o->next)
        if (!check_op(c, f, s, o))
            return false;
    return check_chunks(c, f, s) && check_places(c, s, "in", s->in, s->n_in) &&
           check_places(c, s, "out", s->out, s->n_out);
}

static bool check_weights(Check *c)
{
    for (int i = 0; i < c->m->n_weight; i++) {
        const Weight *w = c->m->weight[i];

        if (w->layout &&
            (w->off > c->m->weights_bytes || w->bytes > c->m->weights_bytes - w->off || w->off % 4))
            return fail(c->d,
                        AT_WHAT(NULL, str_printf(c->m->a, "weight '%s'",
                                                 str_show(c->m->a, str_of(w->name), 60))),
                        "does not lie in the weights file of %" PRIu64 " bytes",
                        c->m->weights_bytes);
    }
    return true;
}

/* Can what calls one entry call the other? */
static bool same_calls(const Entry *a, const Entry *b)
{
    int64_t x = 0, y = 0;
    bool same = a->n_range == b->n_range;

    for (int k = 0; same && k < a->n_range; k++)
        same = a->range[k].sym == b->range[k].sym && a->range[k].lo == b->range[k].lo && a->range[k].hi == b->range[k].hi;
    dim_is_const(type_last(a->func->body->last->in[0]->type), &x);
    dim_is_const(type_last(b->func->body->last->in[0]->type), &y);
    return same && x == y;
}

/* The API of the emitted library is that of a language model. */
static bool check_entries(Check *c)
{
    const Module *m = c->m;
    const Sym *cap = module_find_sym(m, STR("C"));

    for (int i = 0; i < m->n_state; i++)
        if (!m->state[i]->type.rank || m->state[i]->type.dim[0]->kind != DIM_sym ||
            m->state[i]->type.dim[0]->sym != cap)
            return fail(c->d, NOWHERE,
                        "state '%s' has room for %s: only C positions can be written yet",
                        str_show(m->a, str_of(m->state[i]->name), 60),
                        str_show(m->a, str_of(type_text(m->a, m->state[i]->type)), 80));
    if (!m->n_entry)
        return true;
    if (m->n_entry < 2 || m->n_entry > 3 || strcmp(m->entry[0].name, "decode") ||
        strcmp(m->entry[1].name, "prefill") || (m->n_entry == 3 && strcmp(m->entry[2].name, "verify")))
        return fail(c->d, NOWHERE,
                    "the entries of a Module must be decode and prefill (and verify), in this order: others "
                    "cannot be written yet");
    for (int i = 0; i < m->n_entry; i++) {
        const Region *r = m->entry[i].func->body;

        if (r->n_param != 1 || strcmp(r->param[0]->type.fmt->name, "i32") ||
            r->param[0]->type.rank != 1 || r->last->n_in != 1 ||
            strcmp(r->last->in[0]->type.fmt->name, "f32") || r->last->in[0]->type.rank != 2 ||
            !dim_is_const(type_last(r->last->in[0]->type), NULL))
            return fail(c->d, NOWHERE,
                        "entry '%s' must take token ids i32[T] and give logits f32[O, n_vocab]: "
                        "other entries cannot be written yet",
                        m->entry[i].name);
    }
    if (m->n_entry == 3 && !same_calls(&m->entry[1], &m->entry[2]))
        return fail(c->d, NOWHERE, "entry 'verify' must take as many tokens as 'prefill' and give as many logits");
    return true;
}

bool codegen_check(const Module *m, Diag *d)
{
    Check c = { .m = m, .d = d };
    int64_t arena = module_meta_int(m, "arena_bytes", 0),
            scratch = module_meta_int(m, "scratch_bytes", 0);

    if (arena < 0 || scratch < 0 || arena > INT64_MAX / 4 || scratch > INT64_MAX / 4)
        return fail(d, NOWHERE,
                    "arena_bytes %" PRId64 " and scratch_bytes %" PRId64 " are not sizes", arena,
                    scratch);
    c.arena = (uint64_t)arena;
    c.scratch = (uint64_t)scratch;
    if (module_is_network(m))
        return check_targets(&c) && check_weights(&c) && net_check(m, d);
    if (!check_targets(&c) || !check_entries(&c) || !check_weights(&c))
        return false;
    for (const Func *f = m->first_func; f; f = f->next)
        for (const Op *o = f->body->first; o; o = o->next) {
            if (o->kind == OP_fused && !check_stage(&c, f, o))
                return false;
            if (o->kind != OP_fused && o->kind != OP_call && o->kind != OP_return)
                return fail(d, NOWHERE,
                            "function '%s' has a bare '%s': only stages and calls can be written "
                            "(is the Module scheduled?)",
                            str_show(m->a, str_of(f->name), 60), op_info[o->kind].name);
        }
    return true;
}
