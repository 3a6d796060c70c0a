/* What the generated files and the runtime share; not for users of the model.
 *
 *   xxh64.c               hashes
 *   weights.c             the weights file
 *   cpu.c                 what this CPU can do
 *   tiles.c               whether AMX works; only where an instruction set needs it
 *   threads.c             the crew's threads, or threads_one.c: none
 *   pace.c                how many of them take part
 *   session.c             sessions
 *   lookup.c              (in runtime/text) guesses of the tokens to come
 *   NAME.c                (generated) NAME_desc, and a function per entry that calls its stages
 *   NAME_ISA.c            (generated) the stages
 *
 * The writer makes runtime.c of these files (codegen/sources.c has their order) and asks for the
 * GNU interfaces before the first of them; no two of them use one static name, and lines that
 * include "runtime/..." are left out.
 *
 * How a stage is shared among threads.  A stage is n chunks of work, each of which owns its
 * outputs.  Thread t owns the chunks n*t/N .. n*(t+1)/N-1; it takes them from the front, then from
 * the back of the others' ranges:
 *
 *     thread 0                  thread 1
 *     |0 1 2 3 4|               |5 6 7 8 9|
 *      ->            then  <- 9                 (taken from thread 1's end)
 *
 * What is left of a range is one 64-bit word on its own cache line, epoch:32 first:16 end:16,
 * changed by compare-and-swap.  The epoch is the running number of the stage, so nothing is ever
 * reset: a word of an older epoch means "still full", of a younger one "you are late, this stage
 * is over".  Each thread counts on another line of its own the chunks it has done, ever; a stage
 * is over when these counts add up to the number of chunks of all stages so far.  So a thread that
 * holds no chunk is not waited for, and a late one runs through finished stages without touching
 * their data: it has its own copy of the Run.
 *
 * Therefore an entry function must not read or write anything but *r, *me and constants between
 * stages, and whatever a thread computes for itself (me->scratch) comes after it has taken a
 * chunk: while one is held, the stage's inputs stay as they are. */
#ifndef NAME_INTERNAL_H
#define NAME_INTERNAL_H

#include "runtime/core/api.h"

#ifndef NAME_THREADS
#define NAME_THREADS 1                  /* 0: threads_one.c, neither atomics nor pthreads */
#endif

#ifndef NAME_SESSION_ROOM
#define NAME_SESSION_ROOM 512           /* bytes of a session's own, without threads */
#endif

#ifndef NAME_HAS_TILES
#define NAME_HAS_TILES 1                /* 0: no instruction set needs AMX; tiles.c is left out */
#endif

#ifndef NAME_HAS_LOOKUP
#define NAME_HAS_LOOKUP 1               /* 0: lookup.c is left out (sinter build --spec none) */
#endif

#if NAME_THREADS
#include <stdatomic.h>
typedef atomic_int NAME_Flag;
#define NAME_FLAG_GET(f) atomic_load_explicit((f), memory_order_relaxed)
#define NAME_FLAG_SET(f, v) atomic_store_explicit((f), (v), memory_order_relaxed)
/* 128 bytes: two cache lines, which CPUs fetch in pairs. */
typedef struct { _Atomic uint64_t v; char pad[120]; } NAME_Line;
#else
typedef volatile int NAME_Flag;         /* what a signal handler may write, wherever there are signals */
#define NAME_FLAG_GET(f) (*(f))
#define NAME_FLAG_SET(f, v) (*(f) = (v))
typedef struct { uint64_t v; char pad[120]; } NAME_Line;
#endif

/* The threads of one session, as stages see them. */
typedef struct {
    int n_threads;
    NAME_Line *range;                   /* [n_threads] */
    NAME_Line *done;                    /* [n_threads] */
    NAME_Line floor;                 /* bits of a float: no logit below it is among the best (share_floor) */
    NAME_Flag cancel;                /* set: chunks are taken and counted, but no longer computed */
} NAME_Crew;

struct NAME_Stages;                     /* generated: the stage functions of one instruction set */

/* One internal call, read-only; every thread has a copy of its own. */
typedef struct NAME_Run {
    const uint8_t *w;                   /* the weights file */
    uint8_t *arena;    /* buffers, at the addresses that the pass `memory` chose; 64-byte aligned */
    uint8_t *const *state;              /* address of each state: [C][row_bytes], 64-byte aligned */
    const int32_t *ids;                 /* [T] */
    float *logits;                      /* [O, n_vocab], NULL if O is 0 */
    int T;                              /* tokens of this call, 1..max_tokens */
    int P;                              /* positions already in the state */
    int O;                              /* rows of logits wanted: the last O tokens, 0..T */
    int best;      /* k: logits may be -infinity where they are not among the k best; 0: all are wanted */
    int C;                              /* positions that the state has room for */
    int n_threads;                      /* of the crew's, that take part in this call: 0 .. n - 1 */
    NAME_Crew *crew;
    const struct NAME_Stages *stages;
} NAME_Run;

/* A thread's place in the program. */
typedef struct NAME_Worker {
    int id;                             /* 0: the caller of NAME_eval */
    uint32_t epoch;                     /* running number of the next stage */
    uint64_t due;                       /* chunks of all stages so far */
    uint64_t mine;                      /* chunks that this thread has done, ever */
    int64_t waited_ns;   /* for others' chunks, ever; waits that end while it spins do not count */
    uint32_t n_whole;                   /* tiles of a head that it computed although r->best was set, ever */
    uint8_t *scratch;                   /* desc.scratch_bytes of its own, 64-byte aligned */
} NAME_Worker;

/* Computes chunk `chunk` of a stage.
 *   layer   what differs between calls of one stage (offsets of weights, numbers of states); NULL:
 *           nothing does
 *   count   chunks that this thread has taken in this stage, this one included: at 1 its own
 *           prologue is due
 *   next    what this thread reads next, to be prefetched; NULL: unknown */
typedef void NAME_StageFn(const NAME_Run *r, const void *layer, NAME_Worker *me, int chunk,
                          int count, const uint8_t *next);

/* Runs all stages of an entry, in order; called by every thread of the crew.  Printed by the
 * generator. */
typedef void NAME_EntryFn(const NAME_Run *r, NAME_Worker *me);

/* ---- what the generator says about the model (NAME.c) ---------------------------------------- */

/* kind 1: rows are appended at position P and rewound by shortening. */
typedef struct { uint32_t row_bytes; int kind; } NAME_StateDesc;

typedef struct NAME_Isa {
    const char *name;                   /* of the target: "x86_64-v4" */
    const char *const *features;        /* what the CPU must have (names: cpu.c), NULL-terminated */
    const struct NAME_Stages *stages;
} NAME_Isa;

typedef struct {
    uint64_t digest[2];                 /* of the weights file */
    uint64_t weights_bytes;
    const uint8_t *linked;          /* the weights linked into the program, NULL: they are a file */
    int n_state;
    const NAME_StateDesc *state;
    size_t arena_bytes;
    size_t scratch_bytes;               /* per thread */
    int n_ids;                          /* token ids 0..n_ids-1 can be fed: every table has a row for them */
    int n_vocab;                        /* logits of a row */
    int n_ctx;                          /* most positions */
    int max_tokens;                     /* most tokens of one internal call */
    int n_head_tile;      /* tiles of a head that minds NAME_Run.best; 0: it gives all logits, always */
    NAME_EntryFn *decode;               /* T = 1 */
    NAME_EntryFn *prefill;              /* 1 <= T <= max_tokens */
    NAME_EntryFn *verify;    /* the same with decode's bits, whatever prefill's are; NULL: none */
    int few_tokens;          /* calls of 2 to so many tokens are verify's, too: prefill unpacks all weights first; or 0 */
    const NAME_Isa *isa;       /* in order of preference; the first that this CPU can run is used */
    int n_isa;
} NAME_Desc;

extern const NAME_Desc NAME_desc;

/* ---- xxh64.c --------------------------------------------------------------------------------- */

/* XXH64 of n bytes. */
uint64_t NAME_xxh64(const void *p, size_t n, uint64_t seed);

/* ---- weights.c ------------------------------------------------------------------------------- */

/* A section of the weights file by its name ("tok"): its first byte, and its size; NULL: there is
 * none. *m is open, so its tables have been checked: the section lies inside the file. */
const uint8_t *NAME_section(const NAME_Model *m, const char *name, uint64_t *bytes);

/* ---- cpu.c ----------------------------------------------------------------------------------- */

/* The first of the named features that this CPU (or its operating system) lacks, NULL: none.
 * Unknown names are lacking.
 *
 * Asking for amx_* on Linux asks the system for the tiles' registers: where it grants them, signal frames of the whole process are
 * about 11 KB long from then on, and sigaltstack(2) refuses stacks too small for them.  amx_int8 and amx_bf16 are also tried, in a
 * child process that the program does not notice (tiles.c). */
const char *NAME_cpu_lacks(const char *const *features);

/* ---- threads.c, threads_one.c ---------------------------------------------------------------- */

typedef struct NAME_Pool NAME_Pool;

size_t NAME_pool_bytes(int n_threads);
/* Starts n_threads - 1 threads that sleep until there is work; worker[0] is the caller's.  The
 * block is aligned to 64. */
NAME_Status NAME_pool_start(NAME_Pool **out, void *block, NAME_Worker *worker, int n_threads);
/* The first r->n_threads threads run entry(r, worker), the others sleep on; returns when every stage is over. */
void NAME_pool_run(NAME_Pool *p, NAME_EntryFn *entry, const NAME_Run *r);
void NAME_pool_stop(NAME_Pool *p);
/* Waits, at first spinning, then giving the core away, until the crew has done `due` chunks.
 * Nanoseconds from when it gave the core away first; 0: it only spun. */
int64_t NAME_wait_for(NAME_Crew *crew, uint64_t due);

/* Two clocks, in nanoseconds from some moment on. */
typedef struct {
    int64_t wall;
    int64_t cpu;                        /* goes only while the calling thread has a core */
} NAME_Clocks;
NAME_Clocks NAME_clocks(void);

/* Linux: the CPU quota of a process's cgroups in cores, rounded up; 0: none.  self is its
 * /proc/self/cgroup, root where the groups are: /sys/fs/cgroup. */
int NAME_quota_cores(const char *self, const char *root);

/* ---- pace.c ---------------------------------------------------------------------------------- */

/* What is known of calls of one kind; the fields are pace.c's own, but `now`. */
typedef struct {
    int now;                            /* threads that take part in the next call */
    int most;
    int trying;                         /* whether `now` is a trial */
    int n_calls;                        /* since `now` or `trying` changed */
    int hold;                           /* calls until the next trial */
    int settled;                        /* the last trial that was won is long ago */
    unsigned bad;                       /* of the last calls, the last one lowest */
    int64_t mean, n_mean;               /* time of a call of `now` threads, or of fewer in a trial */
    int64_t excess;                     /* time that the trial took longer than so many of these */
} NAME_Pace;

void NAME_pace_init(NAME_Pace *p, int most);
/* A call of p->now threads took `ns`, of which thread 0 was kept from work for `wasted`: had no core
 * or waited for others.  Both may be in any unit of which 100,000 are a hiccup. */
void NAME_pace_note(NAME_Pace *p, int64_t ns, int64_t wasted);

/* ---- lookup.c -------------------------------------------------------------------------------- */

typedef struct NAME_Lookup NAME_Lookup;

uint64_t NAME_lookup_room(int n_ctx);       /* bytes; a multiple of 64 */
/* An empty one in NAME_lookup_room(n_ctx) bytes, aligned to 64. */
NAME_Lookup *NAME_lookup_init(void *block, int n_ctx, uint64_t (*now)(void));

/* What the context holds, in step with the session: n more tokens; only the first n; n tokens that
 * are not known. */
void NAME_lookup_append(NAME_Lookup *l, const int32_t *ids, int n);
void NAME_lookup_shorten(NAME_Lookup *l, int n);
void NAME_lookup_forget(NAME_Lookup *l, int n);

/* An evaluation begins: what may follow the context, as many tokens as pay, at most `most`
 * (0..NAME_MAX_DRAFT).  At most one evaluation is open. */
int NAME_lookup_draft(NAME_Lookup *l, int32_t *draft, int most);
/* It was computed: n_draft is what NAME_lookup_draft returned. */
void NAME_lookup_computed(NAME_Lookup *l, int n_draft);
/* It is over: so many of its drafted tokens were used. */
void NAME_lookup_used(NAME_Lookup *l, int n_used);

NAME_LookupCounts NAME_lookup_result(const NAME_Lookup *l);

/* ---- stages ---------------------------------------------------------------------------------- */

/* One thread's way through one stage. */
typedef struct {
    int n;                              /* chunks of the stage */
    int victim;   /* 0: taking from the own range; v: from that of the v-th thread after this one */
    int count;                          /* chunks that this thread has taken */
    int ahead;                 /* the chunk it will most likely take next, -1: none in this stage */
} NAME_Stage;

#if NAME_THREADS
static inline int NAME_range_begin(int n_threads, int n, int t)
{
    return n * t / n_threads;
}

/* A chunk of thread t's range of n chunks, from its front or back; -1: none is left. */
static inline int NAME_claim(const NAME_Run *r, int t, uint32_t epoch, int n, int back)
{
    _Atomic uint64_t *word = &r->crew->range[t].v;
    uint64_t v = atomic_load_explicit(word, memory_order_relaxed);

    for (;;) {
        uint32_t e = (uint32_t)(v >> 32);
        uint32_t lo = (uint32_t)NAME_range_begin(r->n_threads, n, t),
                 hi = (uint32_t)NAME_range_begin(r->n_threads, n, t + 1), got;

        if ((int32_t)(e - epoch) > 0)
            return -1;                                  /* younger: this thread is late */
        if (e == epoch) {
            lo = (uint32_t)(v >> 16) & 0xffff;
            hi = (uint32_t)v & 0xffff;
        }
        if (lo >= hi)
            return -1;
        got = back ? --hi : lo++;
        if (atomic_compare_exchange_weak_explicit(word, &v,
                                                  (uint64_t)epoch << 32 | (uint64_t)lo << 16 | hi,
                                                  memory_order_relaxed, memory_order_relaxed))
            return (int)got;
    }
}
#endif

/* What a thread knows of the k best logits, shared: k logits are not below `mine`.  The largest of such
 * floors, of all threads in this call so far. */
static inline float NAME_share_floor(const NAME_Run *r, float mine)
{
    union { float f; uint32_t u; } a, b;

    a.f = mine;
#if NAME_THREADS
    uint64_t v = atomic_load_explicit(&r->crew->floor.v, memory_order_relaxed);

    for (b.u = (uint32_t)v; b.f < a.f; b.u = (uint32_t)v)
        if (atomic_compare_exchange_weak_explicit(&r->crew->floor.v, &v, (uint64_t)a.u,
                                                  memory_order_relaxed, memory_order_relaxed))
            return mine;
#else
    b.u = (uint32_t)r->crew->floor.v;
    if (b.f < a.f) {
        r->crew->floor.v = a.u;
        return mine;
    }
#endif
    return b.f;
}

/* The next chunk for this thread, or -1. */
static inline int NAME_stage_chunk(const NAME_Run *r, const NAME_Worker *me, NAME_Stage *s)
{
    int c = -1;

    if (r->n_threads == 1) {
        c = s->count < s->n ? s->count : -1;
        s->ahead = s->count + 1 < s->n ? s->count + 1 : -1;
    }
#if NAME_THREADS
    else {
        if (s->victim == 0) {
            c = NAME_claim(r, me->id, me->epoch, s->n, 0);
            s->ahead = c + 1 < NAME_range_begin(r->n_threads, s->n, me->id + 1) ? c + 1 : -1;
            s->victim = c < 0;
        }
        while (c < 0 && s->victim < r->n_threads) {
            c = NAME_claim(r, (me->id + s->victim) % r->n_threads, me->epoch, s->n, 1);
            s->ahead = c - 1;
            s->victim += c < 0;
        }
    }
#else
    (void)me;
#endif
    s->count += c >= 0;
    return c;
}

/* Publishes what this thread did, and waits until every chunk of the stage is done. */
static inline void NAME_stage_end(const NAME_Run *r, NAME_Worker *me, const NAME_Stage *s)
{
    me->due += (uint64_t)s->n;
    me->mine += (uint64_t)s->count;
    me->epoch++;
#if NAME_THREADS
    if (r->n_threads > 1) {
        atomic_store_explicit(&r->crew->done[me->id].v, me->mine, memory_order_release);
        me->waited_ns += NAME_wait_for(r->crew, me->due);
    }
#else
    (void)r;
#endif
}

/* One stage of n_chunks <= 65535 chunks, which read the weights w, chunk_bytes each, one after the
 * other; `after` is what the thread reads first in the next stage.  w NULL: nothing is known of
 * that, and fn gets next == NULL. */
static inline void NAME_stage_stream(const NAME_Run *r, NAME_Worker *me, NAME_StageFn *fn,
                                     const void *layer, int n_chunks, const uint8_t *w,
                                     size_t chunk_bytes, const uint8_t *after)
{
    NAME_Stage s = { 0, 0, 0, 0 };
    int c;

    s.n = n_chunks;
    while ((c = NAME_stage_chunk(r, me, &s)) >= 0)
        if (!NAME_FLAG_GET(&r->crew->cancel))
            fn(r, layer, me, c, s.count,
               w && s.ahead >= 0 ? w + (size_t)s.ahead * chunk_bytes : after);
    NAME_stage_end(r, me, &s);
}

/* The same without prefetching. */
static inline void NAME_stage(const NAME_Run *r, NAME_Worker *me, NAME_StageFn *fn,
                              const void *layer, int n_chunks)
{
    NAME_stage_stream(r, me, fn, layer, n_chunks, (const uint8_t *)0, 0, (const uint8_t *)0);
}

/* ---- -DNAME_TRACE: what each stage computed, for `sinter verify`; one thread, one session ---- */

#ifdef NAME_TRACE
typedef void NAME_TraceFn(void *ctx, int layer, const char *name, const float *value, size_t n);
/* From now on every traced value goes to fn; NULL: nowhere.  The session must have one thread:
 * others would go on to change it. */
void NAME_trace_to(NAME_TraceFn *fn, void *ctx);
/* Called by generated code after the stage that computed value[n]; layer -1: outside layers. */
void NAME_trace(int layer, const char *name, const float *value, size_t n);
#endif

#endif
