/* Sessions: where everything lies in the caller's block, and how tokens go through the entries.
 *
 *     block, aligned up to 128
 *     | NAME_Session | workers | addresses of states | pool | range lines | done lines |
 *     | scratch of thread 0 | ... | arena | state 0: [C][row_bytes] | state 1 | ... |
 *
 * Only the first line of the picture is written when a session is opened; pages of states that no
 * token has reached are never touched.  A state's rows beyond n_past hold leftovers, which nobody
 * reads.
 *
 * A session that guesses has evaluated some tokens more than were asked for: draft[0] was due,
 * draft[1 .. n_draft] are guesses, of which the first n_used have been asked for since:
 *
 *     states     | rows of n_past tokens                 | rows computed ahead |
 *     draft                          0   1 .. n_used       n_used + 1 .. n_draft
 *
 * As long as the next token is draft[n_used + 1] its logits are there; any other, and whatever else
 * is done with the session, begins at n_past as if nothing had been computed ahead. */
#include "runtime/core/internal.h"
#include "runtime/hal/libc.h"

struct NAME_Session {
    const NAME_Model *model;
    NAME_Options opt;
    int n_ctx, n_past;
    NAME_Crew crew;
    NAME_Pool *pool;                    /* NULL: one thread, or the host's pool */
    NAME_Worker *worker;                /* [n_threads] */
    uint8_t **state;                    /* [n_state] */
    uint8_t *arena;
    int best;                           /* logits that the caller looks at, 0: all */
    int n_full, hold_full;              /* calls in which the head is computed whole (note_head) */
#if NAME_THREADS
    NAME_Pace pace[2];                  /* of calls of one token, and of prompts */
#endif
#if NAME_HAS_LOOKUP
    NAME_Lookup *lookup;                /* NULL: it does not guess */
    float *ahead_logits;                /* [NAME_MAX_DRAFT + 1, n_vocab]: of the last evaluation */
    int n_draft, n_used;                /* tokens it guessed, and how many of them came */
    int32_t draft[NAME_MAX_DRAFT + 1];  /* the token that was due, then the guesses */
#endif
};

#if !NAME_THREADS
/* What NAME_SESSION_BYTES counts with. */
typedef char NAME_session_has_room[sizeof(NAME_Session) <= NAME_SESSION_ROOM ? 1 : -1];
typedef char NAME_worker_is_128_bytes[sizeof(NAME_Worker) <= 128 ? 1 : -1];
#endif

/* A head of two stages: most logits that its search keeps (SnBest); calls without the search. */
enum { BEST_MOST = 64, FULL_LEAST = 16, FULL_MOST = 1024 };

/* Offsets in the aligned block. */
typedef struct {
    uint64_t worker, state_table, pool, range, done, scratch, scratch_each, arena, state, end;
} Layout;

enum { BLOCK_ALIGN = 128 };     /* two cache lines: what one thread writes is on lines of its own */

static uint64_t align_up(uint64_t x)
{
    return (x + BLOCK_ALIGN - 1) / BLOCK_ALIGN * BLOCK_ALIGN;
}

static uint64_t state_bytes(int i, int n_ctx)
{
    return align_up((uint64_t)NAME_desc.state[i].row_bytes * (uint64_t)n_ctx);
}

static Layout layout_of(int n_ctx, int n_threads)
{
    uint64_t n = (uint64_t)n_threads;
    Layout l;

    l.worker = align_up(sizeof(NAME_Session));
    l.state_table = align_up(l.worker + n * align_up(sizeof(NAME_Worker)));
    l.pool = align_up(l.state_table + (uint64_t)NAME_desc.n_state * sizeof(uint8_t *));
    l.range = align_up(l.pool + NAME_pool_bytes(n_threads));
    l.done = l.range + n * sizeof(NAME_Line);
    l.scratch = l.done + n * sizeof(NAME_Line);
    l.scratch_each = align_up(NAME_desc.scratch_bytes);
    l.arena = l.scratch + n * l.scratch_each;
    l.state = l.arena + align_up(NAME_desc.arena_bytes);
    l.end = l.state;
    for (int i = 0; i < NAME_desc.n_state; i++)
        l.end += state_bytes(i, n_ctx);
    return l;
}

/* Puts defaults in the place of zeros; 0: out of range. */
static int complete(int *n_ctx, int *n_threads)
{
    *n_ctx = *n_ctx ? *n_ctx : NAME_desc.n_ctx;
    *n_threads = *n_threads ? *n_threads : 1;
    return *n_ctx >= 1 && *n_ctx <= NAME_desc.n_ctx && *n_threads >= 1 &&
           *n_threads <= NAME_MAX_THREADS;
}

size_t NAME_session_bytes(int n_ctx, int n_threads)
{
    uint64_t bytes;

    if (!complete(&n_ctx, &n_threads))
        return 0;
    bytes = layout_of(n_ctx, n_threads).end + BLOCK_ALIGN - 1;
    return bytes <= SIZE_MAX ? (size_t)bytes : 0;
}

NAME_Status NAME_session_open(NAME_Session **out, const NAME_Model *m, void *block, size_t bytes,
                              const NAME_Options *options)
{
    static const NAME_Options all_zero;
    NAME_Options opt = options ? *options : all_zero;
    NAME_Session *s;
    Layout l;
    uint8_t *b, *at;

    *out = NULL;
    if (!m || !m->w || !block || !complete(&opt.n_ctx, &opt.n_threads) ||
        (opt.flags & ~(NAME_ONE_BY_ONE | NAME_ALL_THREADS)))
        return NAME_E_ARG;
    if (!NAME_THREADS && opt.n_threads > 1)
        return NAME_E_THREADS;
    if (NAME_session_bytes(opt.n_ctx, opt.n_threads) == 0 ||
        bytes < NAME_session_bytes(opt.n_ctx, opt.n_threads))
        return NAME_E_MEMORY;
    if (opt.n_threads > 1 && !opt.run && !(opt.flags & NAME_ALL_THREADS)) {
        int n = NAME_default_threads();

        opt.n_threads = n < opt.n_threads ? n : opt.n_threads;
    }
    l = layout_of(opt.n_ctx, opt.n_threads);
    b = (uint8_t *)block + (BLOCK_ALIGN - (uintptr_t)block % BLOCK_ALIGN) % BLOCK_ALIGN;
    memset(b, 0, (size_t)l.scratch);
    s = (NAME_Session *)(void *)b;
    s->model = m;
    s->opt = opt;
    s->n_ctx = opt.n_ctx;
    s->crew.n_threads = opt.n_threads;
#if NAME_THREADS
    NAME_pace_init(&s->pace[0], opt.n_threads);
    NAME_pace_init(&s->pace[1], opt.n_threads);
#endif
    s->crew.range = (NAME_Line *)(void *)(b + l.range);
    s->crew.done = (NAME_Line *)(void *)(b + l.done);
    s->arena = b + l.arena;
    s->worker = (NAME_Worker *)(void *)(b + l.worker);
    for (int t = 0; t < opt.n_threads; t++) {
        s->worker[t].id = t;
        s->worker[t].epoch = 1;               /* the range words say 0: every range is still full */
        s->worker[t].scratch = b + l.scratch + (uint64_t)t * l.scratch_each;
    }
    s->state = (uint8_t **)(void *)(b + l.state_table);
    at = b + l.state;
    for (int i = 0; i < NAME_desc.n_state; i++) {
        s->state[i] = at;
        at += state_bytes(i, opt.n_ctx);
    }
    if (opt.n_threads > 1 && !opt.run) {
        NAME_Status status = NAME_pool_start(&s->pool, b + l.pool, s->worker, opt.n_threads);

        if (status)
            return status;
    }
    *out = s;
    return NAME_OK;
}

void NAME_close(NAME_Session *s)
{
    if (s && s->pool)
        NAME_pool_stop(s->pool);
}

int NAME_n_past(const NAME_Session *s)
{
    return s->n_past;
}

int NAME_n_ctx(const NAME_Session *s)
{
    return s->n_ctx;
}

int NAME_n_threads(const NAME_Session *s)
{
    return s->crew.n_threads;
}

/* ---- eval ------------------------------------------------------------------------------------ */

/* A job for the host's pool. */
typedef struct { NAME_EntryFn *entry; const NAME_Run *run; NAME_Worker *worker; } HostJob;

static void host_job(void *arg, int i)
{
    const HostJob *j = arg;

    j->entry(j->run, &j->worker[i]);
}

static void run_entry(NAME_Session *s, NAME_EntryFn *entry, const NAME_Run *r)
{
    if (r->n_threads == 1)
        entry(r, &s->worker[0]);
    else if (s->pool)
        NAME_pool_run(s->pool, entry, r);
    else {
        HostJob j;

        j.entry = entry;
        j.run = r;
        j.worker = s->worker;
        for (int t = 1; t < r->n_threads; t++) {
            s->worker[t].epoch = s->worker[0].epoch;
            s->worker[t].due = s->worker[0].due;
        }
        s->opt.run(s->opt.pool, host_job, &j, r->n_threads);
    }
}

#if NAME_THREADS
/* The same with as many threads as pay here and now.  A prompt has a pace of its own, kept by calls
 * that are at least half of the longest ones, in time per token; what lies between goes as one token
 * does.  The host's threads are not asked for what they have of their cores, only waited for. */
static void run_paced(NAME_Session *s, NAME_EntryFn *entry, NAME_Run *r)
{
    int prompt = r->T > 1 && 2 * r->T >= NAME_desc.max_tokens;
    NAME_Pace *pace = &s->pace[prompt];
    int64_t waited = s->worker[0].waited_ns, wasted;
    NAME_Clocks begin = NAME_clocks(), end;

    r->n_threads = pace->now;
    run_entry(s, entry, r);
    end = NAME_clocks();
    end.wall -= begin.wall;
    end.cpu -= begin.cpu;
    waited = s->worker[0].waited_ns - waited;
    wasted = s->pool && end.wall - end.cpu > waited ? end.wall - end.cpu : waited;
    if ((r->T == 1 || prompt) && !NAME_FLAG_GET(&s->crew.cancel))
        NAME_pace_note(pace, end.wall / r->T, wasted / r->T);
}
#endif

static int take_cancel(NAME_Session *s)
{
    if (!NAME_FLAG_GET(&s->crew.cancel))
        return 0;
    NAME_FLAG_SET(&s->crew.cancel, 0);
    return 1;
}

/* Takes back what was computed ahead: rows of the states behind n_past, which nobody counts any
 * more. */
static void settle(NAME_Session *s)
{
#if NAME_HAS_LOOKUP
    if (s->n_draft)
        NAME_lookup_used(s->lookup, s->n_used);
    s->n_draft = s->n_used = 0;
#else
    (void)s;
#endif
}

/* The context has n more tokens. */
static void count_tokens(NAME_Session *s, const int32_t *ids, int n)
{
#if NAME_HAS_LOOKUP
    if (s->lookup)
        NAME_lookup_append(s->lookup, ids, n);
#else
    (void)ids;
#endif
    s->n_past += n;
}

/* How many of the best logits this call may stop at; 0: all are wanted.  A trace shows all. */
static int best_of_call(NAME_Session *s, NAME_EntryFn *entry, int O)
{
#ifdef NAME_TRACE
    (void)s;
    (void)entry;
    (void)O;
    return 0;
#else
    if (!s->best || O != 1 || entry != NAME_desc.decode || !NAME_desc.n_head_tile)
        return 0;
    if (s->n_full) {
        s->n_full--;
        return 0;
    }
    return s->best;
#endif
}

static uint32_t tiles_done_whole(const NAME_Session *s)
{
    uint32_t n = 0;

    for (int t = 0; t < s->crew.n_threads; t++)
        n += s->worker[t].n_whole;
    return n;
}

/* Where more than half of the tiles could not be ruled out the search has cost more than it saved:
 * the next calls do without it, twice as many each time in a row. */
static void note_head(NAME_Session *s, uint32_t n_whole)
{
    if (n_whole <= (uint32_t)NAME_desc.n_head_tile / 2) {
        s->hold_full = 0;
        return;
    }
    s->hold_full = !s->hold_full ? FULL_LEAST : s->hold_full < FULL_MOST ? 2 * s->hold_full : FULL_MOST;
    s->n_full = s->hold_full;
}

/* One internal call: T tokens behind n_past, logits of the last O of them.  1: it was cancelled. */
static int run_tokens(NAME_Session *s, NAME_EntryFn *entry, const int32_t *ids, int T, int O,
                      float *logits)
{
    uint32_t whole = tiles_done_whole(s);
    NAME_Run r;

    memset(&r, 0, sizeof r);
    r.w = s->model->w;
    r.arena = s->arena;
    r.state = s->state;
    r.ids = ids;
    r.logits = logits;
    r.T = T;
    r.P = s->n_past;
    r.O = O;
    r.best = best_of_call(s, entry, O);
    r.C = s->n_ctx;
    r.n_threads = s->crew.n_threads;
    r.crew = &s->crew;
    s->crew.floor.v = 0xff800000u;      /* -infinity; no thread is inside a call */
    r.stages = NAME_desc.isa[s->model->isa].stages;
#if NAME_THREADS
    if (r.n_threads > 1 && !(s->opt.flags & NAME_ALL_THREADS))
        run_paced(s, entry, &r);
    else
#endif
        run_entry(s, entry, &r);
    if (r.best && !NAME_FLAG_GET(&s->crew.cancel))
        note_head(s, tiles_done_whole(s) - whole);
    return take_cancel(s);
}

void NAME_want_best(NAME_Session *s, int k)
{
    s->best = k >= 1 && k <= BEST_MOST ? k : 0;
}

NAME_Status NAME_eval(NAME_Session *s, const int32_t *ids, int n, float *logits, int n_logits)
{
    int per_call = s->opt.flags & NAME_ONE_BY_ONE ? 1 : NAME_desc.max_tokens;

    if (n < 0 || n_logits < 0 || n_logits > n || (n > 0 && !ids) || (n_logits > 0 && !logits))
        return NAME_E_ARG;
    if (n > s->n_ctx - s->n_past)
        return NAME_E_CONTEXT;
    for (int i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= NAME_desc.n_ids)
            return NAME_E_ARG;
    if (n > 0)
        settle(s);
    for (int at = 0, wanted_from = n - n_logits; at < n;) {
        int T = n - at < per_call ? n - at : per_call, end = at + T;
        int O = end <= wanted_from ? 0 : at >= wanted_from ? T : end - wanted_from;
        float *to = O ? logits + (size_t)(end - O - wanted_from) * (size_t)NAME_desc.n_vocab : NULL;

        if (take_cancel(s) ||
            run_tokens(s, T == 1                      ? NAME_desc.decode
                          : T <= NAME_desc.few_tokens ? NAME_desc.verify
                                                      : NAME_desc.prefill, ids + at, T, O, to))
            return NAME_E_CANCELLED;
        count_tokens(s, ids + at, T);
        at = end;
    }
    return n == 0 && take_cancel(s) ? NAME_E_CANCELLED : NAME_OK;
}

NAME_Status NAME_rewind(NAME_Session *s, int n_past)
{
    if (n_past < 0 || n_past > s->n_past)
        return NAME_E_ARG;
    settle(s);
#if NAME_HAS_LOOKUP
    if (s->lookup)
        NAME_lookup_shorten(s->lookup, n_past);
#endif
    s->n_past = n_past;
    return NAME_OK;
}

void NAME_cancel(NAME_Session *s)
{
    NAME_FLAG_SET(&s->crew.cancel, 1);
}

void NAME_uncancel(NAME_Session *s)
{
    NAME_FLAG_SET(&s->crew.cancel, 0);
}

/* ---- speculation ----------------------------------------------------------------------------- */

#if NAME_HAS_LOOKUP
/* Of the block: what lookup.c needs, then the logits. */
static uint64_t ahead_bytes(void)
{
    return (uint64_t)(NAME_MAX_DRAFT + 1) * (uint64_t)NAME_desc.n_vocab * sizeof(float);
}

size_t NAME_lookup_bytes(const NAME_Session *s)
{
    uint64_t bytes = NAME_lookup_room(s->n_ctx) + ahead_bytes() + 63;

    return NAME_desc.verify && bytes <= SIZE_MAX ? (size_t)bytes : 0;
}

NAME_Status NAME_lookup_open(NAME_Session *s, void *block, size_t bytes, uint64_t (*now)(void))
{
    uint8_t *b = (uint8_t *)block + (64 - (uintptr_t)block % 64) % 64;

    if (!block || NAME_lookup_bytes(s) == 0)
        return NAME_E_ARG;
    if (bytes < NAME_lookup_bytes(s))
        return NAME_E_MEMORY;
    settle(s);
    s->lookup = NAME_lookup_init(b, s->n_ctx, now);
    s->ahead_logits = (float *)(void *)(b + NAME_lookup_room(s->n_ctx));
    NAME_lookup_forget(s->lookup, s->n_past);
    return NAME_OK;
}

NAME_LookupCounts NAME_lookup_counts(const NAME_Session *s)
{
    NAME_LookupCounts none = { 0, 0, 0 }, c = s->lookup ? NAME_lookup_result(s->lookup) : none;

    c.accepted += s->n_used;            /* of the last evaluation, which may go on */
    return c;
}

/* Evaluates the token and what is guessed to follow it. */
static NAME_Status next_pass(NAME_Session *s, int32_t id, int more, float *logits)
{
    int room = s->n_ctx - s->n_past - 1, n;

    more = more < room ? more : room;
    more = more < NAME_desc.max_tokens - 1 ? more : NAME_desc.max_tokens - 1;
    more = more < 0 || s->opt.flags & NAME_ONE_BY_ONE ? 0 : more;
    settle(s);
    NAME_lookup_append(s->lookup, &id, 1);
    n = NAME_lookup_draft(s->lookup, s->draft + 1, more);
    s->draft[0] = id;
    if (n ? run_tokens(s, NAME_desc.verify, s->draft, n + 1, n + 1, s->ahead_logits)
          : run_tokens(s, NAME_desc.decode, s->draft, 1, 1, logits)) {
        NAME_lookup_shorten(s->lookup, s->n_past);
        return NAME_E_CANCELLED;
    }
    NAME_lookup_computed(s->lookup, n);
    if (n)
        memcpy(logits, s->ahead_logits, (size_t)NAME_desc.n_vocab * sizeof(float));
    else
        NAME_lookup_used(s->lookup, 0);
    s->n_draft = n;
    s->n_past++;
    return NAME_OK;
}

NAME_Status NAME_next(NAME_Session *s, int32_t id, int more, float *logits)
{
    if (!s->lookup || !logits || id < 0 || id >= NAME_desc.n_ids || s->n_past == s->n_ctx)
        return NAME_eval(s, &id, 1, logits, 1);         /* which says what is wrong */
    if (take_cancel(s))
        return NAME_E_CANCELLED;
    if (s->n_used == s->n_draft || s->draft[s->n_used + 1] != id)
        return next_pass(s, id, more, logits);
    s->n_used++;
    memcpy(logits, s->ahead_logits + (size_t)s->n_used * (size_t)NAME_desc.n_vocab,
           (size_t)NAME_desc.n_vocab * sizeof(float));
    count_tokens(s, &id, 1);
    return NAME_OK;
}
#else
NAME_Status NAME_next(NAME_Session *s, int32_t id, int more, float *logits)
{
    (void)more;
    return NAME_eval(s, &id, 1, logits, 1);
}

size_t NAME_lookup_bytes(const NAME_Session *s)
{
    (void)s;
    return 0;
}

NAME_Status NAME_lookup_open(NAME_Session *s, void *block, size_t bytes, uint64_t (*now)(void))
{
    (void)s;
    (void)block;
    (void)bytes;
    (void)now;
    return NAME_E_ARG;
}

NAME_LookupCounts NAME_lookup_counts(const NAME_Session *s)
{
    NAME_LookupCounts none = { 0, 0, 0 };

    (void)s;
    return none;
}
#endif

/* ---- save and load --------------------------------------------------------------------------- */

/* Before the rows of each state, 0 .. n_past-1, one state after the other. */
typedef struct {
    char magic[8];
    uint64_t model[2];                  /* digest of the weights */
    uint64_t states;              /* hash of what the states look like: f16 and f32 caches differ */
    uint64_t rows;                      /* hash of the rows, seeded with n_past */
    uint64_t n_past;
} SavedHead;
static const char saved_magic[8] = { 'S', 'I', 'N', 'T', 'E', 'R', 'S', '1' };

static uint64_t hash_of_states(void)
{
    uint64_t h = (uint64_t)NAME_desc.n_state;

    for (int i = 0; i < NAME_desc.n_state; i++) {
        uint32_t v[2];

        v[0] = NAME_desc.state[i].row_bytes;
        v[1] = (uint32_t)NAME_desc.state[i].kind;
        h = NAME_xxh64(v, sizeof v, h);
    }
    return h;
}

static uint64_t saved_bytes(int n_past)
{
    uint64_t bytes = sizeof(SavedHead);

    for (int i = 0; i < NAME_desc.n_state; i++)
        bytes += (uint64_t)NAME_desc.state[i].row_bytes * (uint64_t)n_past;
    return bytes;
}

size_t NAME_save_bytes(const NAME_Session *s)
{
    return (size_t)saved_bytes(s->n_past);
}

NAME_Status NAME_save(const NAME_Session *s, void *out, size_t cap)
{
    uint8_t *at = (uint8_t *)out + sizeof(SavedHead);
    SavedHead h;

    if (cap < NAME_save_bytes(s))
        return NAME_E_MEMORY;
    memcpy(h.magic, saved_magic, sizeof h.magic);
    memcpy(h.model, NAME_desc.digest, sizeof h.model);
    h.states = hash_of_states();
    h.n_past = (uint64_t)s->n_past;
    for (int i = 0; i < NAME_desc.n_state; i++) {
        size_t n = (size_t)NAME_desc.state[i].row_bytes * (size_t)s->n_past;

        memcpy(at, s->state[i], n);
        at += n;
    }
    h.rows = NAME_xxh64((uint8_t *)out + sizeof h, NAME_save_bytes(s) - sizeof h, h.n_past);
    memcpy(out, &h, sizeof h);
    return NAME_OK;
}

NAME_Status NAME_load(NAME_Session *s, const void *saved, size_t bytes)
{
    const uint8_t *at = (const uint8_t *)saved + sizeof(SavedHead);
    SavedHead h;

    if (bytes < sizeof h)
        return NAME_E_WEIGHTS;
    memcpy(&h, saved, sizeof h);
    if (memcmp(h.magic, saved_magic, sizeof h.magic) != 0 ||
        memcmp(h.model, NAME_desc.digest, sizeof h.model) != 0 || h.states != hash_of_states() ||
        h.n_past > (uint64_t)NAME_desc.n_ctx || bytes != saved_bytes((int)h.n_past) ||
        h.rows != NAME_xxh64(at, bytes - sizeof h, h.n_past))
        return NAME_E_WEIGHTS;
    if (h.n_past > (uint64_t)s->n_ctx)
        return NAME_E_CONTEXT;
    settle(s);
#if NAME_HAS_LOOKUP
    if (s->lookup)
        NAME_lookup_forget(s->lookup, (int)h.n_past);
#endif
    for (int i = 0; i < NAME_desc.n_state; i++) {
        size_t n = (size_t)NAME_desc.state[i].row_bytes * (size_t)h.n_past;

        memcpy(s->state[i], at, n);
        at += n;
    }
    s->n_past = (int)h.n_past;
    return NAME_OK;
}

/* ---- trace ----------------------------------------------------------------------------------- */

#ifdef NAME_TRACE
static NAME_TraceFn *trace_fn;
static void *trace_ctx;

void NAME_trace_to(NAME_TraceFn *fn, void *ctx)
{
    trace_fn = fn;
    trace_ctx = ctx;
}

void NAME_trace(int layer, const char *name, const float *value, size_t n)
{
    if (trace_fn)
        trace_fn(trace_ctx, layer, name, value, n);
}
#endif
