/* place: which memory of a board each stage's weights lie in, and the model's memory.
 *
 * A byte of weights is read as often as its window moves: of a convolution over 32 x 32 positions a thousand times, of a fully connected layer once.  So what
 * is read most for its size belongs into the fastest memory, and what is read once may lie in slow flash.  For boards, from `--place`:
 *
 *     STAGE=REGION      this stage's weights
 *     hot=REGION        the most read weights, as many as fit, are copied into this RAM at start (from where the others lie)
 *     weights=REGION    all others (the board says where otherwise)
 *     memory=REGION     the model's memory: inputs, outputs, everything between
 *
 * Language models have `weights` alone: theirs are one piece.
 *
 * What does not fit into the region of the weights goes to the next one that keeps its contents, least read first.  Requires what schedule leaves
 * (stages, layouts).  Leaves on a stage `region`, if it is another than the one that holds weights; `board.N.holds` as asked; `board.memory`.
 * NAME.ld shows the plan. */
#include "codegen/net_layer.h"
#include "compiler/passes/net.h"

/* Of the region with the code, what weights leave to it; of the region with variables, what the stack gets; of each, what sections lose between them. */
enum { CODE_BYTES = 32768, STACK_BYTES = 4096, BETWEEN_BYTES = 64 };

typedef struct { Op *fused; const char *name; uint64_t bytes, reads; int region; } Placed;

typedef struct {
    Module *m;
    Diag *d;
    const Board *board;
    Placed *stage;
    int n_stage;
    uint64_t *free;             /* of each region */
    int weights, memory;        /* regions */
} Places;

static bool holds(const BoardRegion *r, const char *thing)
{
    for (int i = 0; r->holds[i]; i++)
        if (!strcmp(r->holds[i], thing))
            return true;
    return false;
}

static int holder(const Board *b, const char *thing)
{
    for (int i = 0; i < b->n_region; i++)
        if (holds(&b->region[i], thing))
            return i;
    return -1;
}

static bool is_ram(const Places *p, int region)
{
    return !strcmp(p->board->region[region].kind, "ram");
}

/* ---- what there is to place --------------------------------------------------------------------------------------------------- */

/* Bytes of the stage's numbers as its layout packs them; of others (floats, tables) as the Module has them. */
static bool count_part(Places *p, Placed *s, int part)
{
    NetStage k = net_part(s->fused, part);
    const ImageLayout *layout = image_layout_find(str_of(op_str(s->fused, part ? "layout_2" : "layout", "")));
    NetWindow w;
    ImageLayer l;

    if (k.kind == NET_window || k.kind == NET_pool) {
        w = net_window(&k);
        s->reads += (uint64_t)(w.out_h * w.out_w);
    } else
        s->reads++;
    if (!layout || (k.kind != NET_window && k.kind != NET_fully) || format_id(k.op->in[1]->type.fmt) != FMT_i8)
        return true;
    if (!net_layer(p->m, s->fused, &k, p->m->a, p->d, &l))
        return false;
    s->bytes += layout->weight_bytes(&l) + layout->channel_bytes(&l);
    return true;
}

static bool count_stage(Places *p, Op *fused)
{
    Placed *s = &p->stage[p->n_stage++];

    *s = (Placed){ fused, op_str(fused, "stage", ""), 0, 0, p->weights };
    if (!count_part(p, s, 0) || (net_stage(fused).kind == NET_chain && !count_part(p, s, 1)))
        return false;
    for (int i = 0; i < p->m->n_weight && !s->bytes; i++)
        for (int k = 0; k < fused->n_in; k++)
            if (fused->in[k] == p->m->weight[i]->value)
                s->bytes += p->m->weight[i]->bytes;
    return true;
}

/* ---- what is asked for ---------------------------------------------------------------------------------------------------------- */

static int find_region(const Places *p, Str name)
{
    for (int i = 0; i < p->board->n_region; i++)
        if (str_is(name, p->board->region[i].name))
            return i;
    fail(p->d, NOWHERE, "--place: the board has no region '%.*s' (`sinter targets` shows them)", STR_ARG(name));
    return -1;
}

/* Takes bytes of a region; false where they do not fit. */
static bool take(Places *p, int region, uint64_t bytes)
{
    if (p->free[region] < bytes)
        return false;
    p->free[region] -= bytes;
    return true;
}

/* The same for weights of a stage: what lies in RAM is copied from where weights are kept. */
static bool take_weights(Places *p, int region, uint64_t bytes)
{
    if (!take(p, region, bytes))
        return false;
    if (!is_ram(p, region) || take(p, p->weights, bytes))
        return true;
    p->free[region] += bytes;
    return false;
}

static bool place_stage(Places *p, Str what, int region)
{
    for (int i = 0; i < p->n_stage; i++)
        if (str_is(what, p->stage[i].name)) {
            p->stage[i].region = region;
            return take_weights(p, region, p->stage[i].bytes) || fail(p->d, NOWHERE, "--place: the weights of '%s' (%" PRIu64 " bytes) do not fit into '%s'",
                                                              p->stage[i].name, p->stage[i].bytes, p->board->region[region].name);
        }
    return fail(p->d, NOWHERE, "--place: there is no stage '%.*s' (weights, memory, hot, or a stage's name as NAME.c has it)", STR_ARG(what));
}

/* One round through the words: those of a kind that the caller asks for, because memory comes before stages, and stages before hot ones. */
typedef enum { ROUND_regions, ROUND_stages, ROUND_hot } Round;

static bool read_words(Places *p, const char *words, Round round, int *hot)
{
    for (const char *at = words; *at;) {
        size_t n = strcspn(at, ","), k = strcspn(at, "=");
        Str what = { at, k < n ? k : n }, where = { at + k + 1, k < n ? n - k - 1 : 0 };
        bool region = str_is(what, "weights") || str_is(what, "memory");
        int to;

        if (k >= n)
            return fail(p->d, NOWHERE, "--place takes WHAT=REGION, separated by commas, not '%.*s'", (int)n, at);
        if ((to = find_region(p, where)) < 0)
            return false;
        if (round == ROUND_regions && str_is(what, "weights"))
            p->weights = to;
        else if (round == ROUND_regions && str_is(what, "memory"))
            p->memory = to;
        else if (round == ROUND_hot && str_is(what, "hot"))
            *hot = to;
        else if (round == ROUND_stages && !region && !str_is(what, "hot") && !place_stage(p, what, to))
            return false;
        at += n + (at[n] == ',');
    }
    return true;
}

/* ---- the plan --------------------------------------------------------------------------------------------------------------------- */

/* The stage without a place (region == open) that is read most for its size; equal ones in their order; -1: none. */
static int most_read(const Places *p, int open)
{
    int best = -1;

    for (int i = 0; i < p->n_stage; i++)
        if (p->stage[i].region == open && p->stage[i].bytes && (best < 0 || p->stage[i].reads > p->stage[best].reads))
            best = i;
    return best;
}

static void place_hot(Places *p, int open, int hot)
{
    enum { TOO_LARGE = -2 };

    for (int i; (i = most_read(p, open)) >= 0;)
        p->stage[i].region = take_weights(p, hot, p->stage[i].bytes) ? hot : TOO_LARGE;
    for (int i = 0; i < p->n_stage; i++)
        if (p->stage[i].region == TOO_LARGE)
            p->stage[i].region = open;
}

static bool place_rest(Places *p, int open)
{
    for (int i; (i = most_read(p, open)) >= 0;) {
        int to = p->weights;

        if (!take(p, to, p->stage[i].bytes)) {
            for (to = 0; to < p->board->n_region; to++)
                if (!is_ram(p, to) && take(p, to, p->stage[i].bytes))
                    break;
            if (to == p->board->n_region)
                return fail(p->d, NOWHERE, "the weights do not fit: stage '%s' (%" PRIu64 " bytes) has no region left", p->stage[i].name, p->stage[i].bytes);
        }
        p->stage[i].region = to;
    }
    return true;
}

/* `thing` moves from the region that holds it to another one. */
static void move_thing(Module *m, const Board *b, const char *thing, int to)
{
    for (int i = 0; i < b->n_region; i++) {
        Buf words = buf_in(m->a);

        for (int k = 0; b->region[i].holds[k]; k++)
            if (strcmp(b->region[i].holds[k], thing))
                buf_printf(&words, "%s%s", words.n ? " " : "", b->region[i].holds[k]);
        if (i == to)
            buf_printf(&words, "%s%s", words.n ? " " : "", thing);
        module_set_meta(m, str_printf(m->a, "board.%d.holds", i), attr_str("", buf_z(&words)));
    }
}

static void leave(Places *p)
{
    if (p->weights != holder(p->board, "weights"))
        move_thing(p->m, p->board, "weights", p->weights);
    if (p->memory != holder(p->board, "data"))
        module_set_meta(p->m, "board.memory", attr_str("", p->board->region[p->memory].name));
    for (int i = 0; i < p->n_stage; i++) {
        if (!p->stage[i].bytes)
            continue;
        op_set_attr(p->stage[i].fused, attr_int("weight_bytes", (int64_t)p->stage[i].bytes));
        op_set_attr(p->stage[i].fused, attr_int("reads", (int64_t)p->stage[i].reads));
        if (p->stage[i].region != p->weights)
            op_set_attr(p->stage[i].fused, attr_str("region", p->board->region[p->stage[i].region].name));
    }
}

bool pass_place(Module *m, const Env *env, Diag *d)
{
    enum { OPEN = -3 };
    const Board *b = env->target[0]->board;
    const char *words = env->opt->place;
    const Func *f = m->n_entry ? m->entry[0].func : NULL;
    bool network = module_is_network(m);
    Places p = { .m = m, .d = d, .board = b };
    int n = 0, hot = -1;

    if (!b)
        return !words || fail(d, NOWHERE, "--place is for boards (`sinter targets` lists them; a core has no regions)");
    for (const Op *o = network ? f->body->first : NULL; o; o = o->next)
        n += o->kind == OP_fused;
    p.stage = ARENA_ARRAY(m->a, Placed, n + 1);
    p.free = ARENA_ARRAY(m->a, uint64_t, b->n_region);
    p.weights = holder(b, "weights");
    p.memory = holder(b, "data");
    words = words ? words : "";
    for (int i = 0; i < b->n_region; i++)
        p.free[i] = b->region[i].bytes > BETWEEN_BYTES ? b->region[i].bytes - BETWEEN_BYTES : 0;
    if (!take(&p, holder(b, "code"), CODE_BYTES))
        p.free[holder(b, "code")] = 0;
    if (!read_words(&p, words, ROUND_regions, &hot))
        return false;
    if (is_ram(&p, p.weights))
        return fail(d, NOWHERE, "--place: weights lie in flash or external memory; what RAM has room for is hot=REGION");
    if (!is_ram(&p, p.memory))
        return fail(d, NOWHERE, "--place: the memory is written: it needs a region of kind ram");
    if (!network && p.memory != holder(b, "data"))
        return fail(d, NOWHERE, "--place memory= is for networks; a language model's session lies where the program puts it");
    if (!take(&p, holder(b, "stack"), STACK_BYTES) || !take(&p, p.memory, (uint64_t)module_meta_int(m, "arena_bytes", 0)))
        p.free[p.memory] = 0;                       /* the linker says what is missing */
    for (Op *o = network ? f->body->first : NULL; o; o = o->next)
        if (o->kind == OP_fused && !count_stage(&p, o))
            return false;
    for (int i = 0; i < p.n_stage; i++)
        p.stage[i].region = OPEN;
    if (!read_words(&p, words, ROUND_stages, &hot) || !read_words(&p, words, ROUND_hot, &hot))
        return false;
    if (hot >= 0 && !is_ram(&p, hot))
        return fail(d, NOWHERE, "--place: hot weights are copied into RAM; '%s' is none", b->region[hot].name);
    if (hot >= 0)
        place_hot(&p, OPEN, hot);
    if (!place_rest(&p, OPEN))
        return false;
    leave(&p);
    return true;
}
