/* image_memory: places in one memory, where stages write over what they have read.
 *
 * 1. Lives.  The touches cut each plane of a buffer into pieces; a piece has a moment from which and one until which it is alive.  Moments count
 * groups: group g of a stage reads first at base + 2 g, and reads and writes at base + 2 g + 1 (g counted in the direction of the stage).
 *
 * 2. Forbidden distances.  Of two buffers A and B the distance d = at(B) - at(A) is forbidden if two pieces that are alive together would meet:
 *
 *        A   |----a----|          d + b + n > a   and   d + b < a + m     for pieces a .. a + m - 1 of A, b .. b + n - 1 of B
 *        B        |--b--|
 *
 * For each pair this is a sorted list of intervals.  It depends on the directions of the stages that touch both, so there is a list for each combination of
 * them (of three or more such stages: one list, of two blocks that may not meet at all).
 *
 * 3. Placing.  In a given sequence each buffer goes to the lowest place that is at no forbidden distance from those placed before.  A stage's direction is
 * decided when the second of two buffers which it touches is placed: the one that allows the lower place.  So a layer that works in place comes out one row higher,
 * the next one lower again.
 *
 * 4. Sequences: all of them for up to MAX_ALL buffers; otherwise by size, by time, by distance from the stage where most is alive, and then changes of the best one:
 * a buffer at the top of the memory moves to the front.  (Offset assignment by greedy placing: Pisarchyk & Lee, arXiv:2001.03288; that operands and results may
 * overlap in part is "diagonal memory optimisation", Blacker et al., arXiv:2010.01000, here for any strides and both directions.) */
#include "compiler/passes/image_memory.h"

#include <stdlib.h>

enum {
    MAX_ALL = 6,                /* buffers of which all sequences are tried: 720 */
    MAX_SHARED = 2,             /* stages in common whose directions a pair distinguishes */
    MAX_RANGES = 1 << 17,       /* intervals of a pair before they are merged; more: the two may not meet at all */
    N_CHANGES = 600
};
#define ALWAYS INT64_MAX

typedef struct { int64_t from, to; } Range;      /* both included */

/* Bytes from .. to - 1 of every plane: alive from `born` to `dies`; `dies_same` where an elementwise stage writes in the same place. */
typedef struct {
    int64_t from, to;
    int64_t born, dies, dies_same;
} Piece;

typedef struct {
    Range *at;                  /* forbidden distances, sorted, disjoint */
    int n;
} Forbidden;

typedef struct {
    int shared[MAX_SHARED], n_shared;            /* stages that touch both */
    Forbidden *by_turn;         /* 1 << n_shared of them; NULL: never alive together */
} Pair;

typedef enum { DOWN, UP, OPEN } Turn;

typedef struct {
    const MemPlan *p;
    Arena *a;
    int64_t *base;              /* of each stage: its first moment; [n_stage]: the end */
    const MemTouch **touch;     /* by buffer: those of b begin at first_touch[b] */
    int *first_touch;
    int64_t *cut;               /* room for the work on one pair */
    Piece *piece[2];
    Range *range;
    Pair *pair;                 /* [i * n_buffer + k], i < k */
    int *beside, *n_beside;     /* of each buffer: those it may meet, [b * n_buffer ..] */
    int64_t *at, *best_at;
    Turn *turn, *best_turn;
    bool *placed;
    int64_t best;
} Plan;

/* ---- lives ---- */

static bool touches(const Plan *s, int buffer, int stage)
{
    for (int i = s->first_touch[buffer]; i < s->first_touch[buffer + 1]; i++)
        if (s->touch[i]->stage == stage)
            return true;
    return false;
}

static void lengthen(Piece *x, int64_t born, int64_t dies, int64_t dies_same)
{
    x->born = born < x->born ? born : x->born;
    x->dies = dies > x->dies ? dies : x->dies;
    x->dies_same = dies_same > x->dies_same ? dies_same : x->dies_same;
}

/* What touch t means for a piece that it covers. */
static void note_touch(const Plan *s, const MemTouch *t, const Turn *turn, Piece *x)
{
    int n = s->p->stage[t->stage].n_group;
    int64_t now = s->base[t->stage] + 2 * (int64_t)(turn[t->stage] == UP ? n - 1 - t->group : t->group);

    switch (t->kind) {
    case MEM_READ_FIRST: lengthen(x, ALWAYS, now, now); break;
    case MEM_READ: lengthen(x, ALWAYS, now + 1, now + 1); break;
    case MEM_READ_SAME: lengthen(x, ALWAYS, now + 1, now); break;
    case MEM_WRITE: lengthen(x, now + 1, now + 1, now + 1); break;
    case MEM_SCRATCH: lengthen(x, s->base[t->stage], s->base[t->stage + 1] - 1, s->base[t->stage + 1] - 1); break;
    }
}

static int compare_numbers(const void *x, const void *y)
{
    int64_t a = *(const int64_t *)x, b = *(const int64_t *)y;

    return (a > b) - (a < b);
}

/* Where the touches cut a plane of a buffer: sorted numbers, each once. */
static int cuts_of(const Plan *s, int buffer)
{
    int n = 0, m = 0;

    for (int i = s->first_touch[buffer]; i < s->first_touch[buffer + 1]; i++) {
        s->cut[n++] = s->touch[i]->from;
        s->cut[n++] = s->touch[i]->to;
    }
    qsort(s->cut, (size_t)n, sizeof *s->cut, compare_numbers);
    for (int i = 0; i < n; i++)
        if (!m || s->cut[i] != s->cut[m - 1])
            s->cut[m++] = s->cut[i];
    return m;
}

/* The piece that begins at this cut. */
static int piece_at(const Plan *s, int n, int64_t from)
{
    int lo = 0, hi = n;

    while (lo < hi) {
        int mid = (lo + hi) / 2;

        if (s->cut[mid] < from)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* The pieces of a buffer; neighbours that live equally are one.  Bytes that nobody touches are in none. */
static int pieces_of(const Plan *s, int buffer, const Turn *turn, Piece *x)
{
    const MemBuffer *b = &s->p->buffer[buffer];
    int n = cuts_of(s, buffer) - 1, m = 0;

    for (int k = 0; k < n; k++)
        x[k] = (Piece){ s->cut[k], s->cut[k + 1], ALWAYS, -1, -1 };
    for (int i = s->first_touch[buffer]; i < s->first_touch[buffer + 1]; i++)
        for (int k = piece_at(s, n, s->touch[i]->from); k < n && x[k].to <= s->touch[i]->to; k++)
            note_touch(s, s->touch[i], turn, &x[k]);
    for (int k = 0; k < n; k++) {
        Piece y = x[k];

        if (y.dies < 0 && !b->kept)             /* between touches */
            continue;
        if (b->given || y.born == ALWAYS)       /* (read, but never written: as if it were given) */
            y.born = -1;
        if (b->kept)
            y.dies = y.dies_same = ALWAYS;
        if (m && x[m - 1].to == y.from && x[m - 1].born == y.born && x[m - 1].dies == y.dies && x[m - 1].dies_same == y.dies_same)
            x[m - 1].to = y.to;
        else
            x[m++] = y;
    }
    return m;
}

/* ---- forbidden distances ---- */

static bool together(const Piece *x, const Piece *y)
{
    return x->born <= y->dies && y->born <= x->dies;
}

static bool together_same(const Piece *x, const Piece *y)
{
    return x->born <= y->dies_same && y->born <= x->dies_same;
}

static int compare_ranges(const void *x, const void *y)
{
    const Range *a = x, *b = y;

    return (a->from > b->from) - (a->from < b->from);
}

static void merge(Range *r, int *n)
{
    int m = 0;

    qsort(r, (size_t)*n, sizeof *r, compare_ranges);
    for (int i = 0; i < *n; i++)
        if (m && r[i].from <= r[m - 1].to + 1)
            r[m - 1].to = r[i].to > r[m - 1].to ? r[i].to : r[m - 1].to;
        else
            r[m++] = r[i];
    *n = m;
}

static int64_t extent(const MemBuffer *b)
{
    return (b->n_plane - 1) * b->step + b->plane_bytes;
}

/* How many intervals two pieces give, and these: planes that are equally far apart meet by their difference alone. */
static int64_t n_meetings(const MemBuffer *a, const MemBuffer *b)
{
    return a->step == b->step ? a->n_plane + b->n_plane - 1 : a->n_plane * b->n_plane;
}

static void add_meetings(const MemBuffer *a, const Piece *x, const MemBuffer *b, const Piece *y, Range *r, int *n)
{
    int64_t from = x->from - y->to + 1, to = x->to - 1 - y->from;

    if (a->step == b->step)
        for (int64_t i = 1 - b->n_plane; i < a->n_plane; i++)
            r[(*n)++] = (Range){ from + i * a->step, to + i * a->step };
    else
        for (int64_t i = 0; i < a->n_plane; i++)
            for (int64_t k = 0; k < b->n_plane; k++)
                r[(*n)++] = (Range){ from + i * a->step - k * b->step, to + i * a->step - k * b->step };
}

static bool in_ranges(const Range *r, int n, int64_t d)
{
    for (int i = 0; i < n; i++)
        if (r[i].from <= d && d <= r[i].to)
            return true;
    return false;
}

/* The distances at which two buffers meet, into s->range; returns how many intervals. */
static int collect(const Plan *s, int i, int n_x, int k, int n_y, bool (*meet)(const Piece *, const Piece *))
{
    const MemBuffer *a = &s->p->buffer[i], *b = &s->p->buffer[k];
    int64_t n_pair = 0;
    int n = 0;

    for (int u = 0; u < n_x; u++)
        for (int v = 0; v < n_y; v++)
            n_pair += meet(&s->piece[0][u], &s->piece[1][v]);
    if (n_pair && n_meetings(a, b) > MAX_RANGES / n_pair) {
        s->range[0] = (Range){ 1 - extent(b), extent(a) - 1 };
        return 1;
    }
    for (int u = 0; u < n_x; u++)
        for (int v = 0; v < n_y; v++)
            if (meet(&s->piece[0][u], &s->piece[1][v]))
                add_meetings(a, &s->piece[0][u], b, &s->piece[1][v], s->range, &n);
    merge(s->range, &n);
    return n;
}

static Forbidden forbidden(const Plan *s, int i, int k, const Turn *turn)
{
    const MemBuffer *a = &s->p->buffer[i], *b = &s->p->buffer[k];
    int n_x = pieces_of(s, i, turn, s->piece[0]), n_y = pieces_of(s, k, turn, s->piece[1]);
    bool same = a->n_plane == b->n_plane && a->step == b->step &&
                !in_ranges(s->range, collect(s, i, n_x, k, n_y, together_same), 0);
    int n = collect(s, i, n_x, k, n_y, together), m = 0;
    Forbidden f = { ARENA_ARRAY(s->a, Range, n + 2), 0 };

    for (int u = 0; u < n; u++) {
        f.at[m++] = s->range[u];
        if (same && f.at[m - 1].from <= 0 && 0 <= f.at[m - 1].to) {     /* elementwise: one on the other exactly */
            f.at[m++] = (Range){ 1, s->range[u].to };
            f.at[m - 2].to = -1;
        }
    }
    f.n = m;
    return f;
}

static void relate(Plan *s, int i, int k)
{
    Pair *q = &s->pair[i * s->p->n_buffer + k];
    bool many = false;

    for (int t = 0; t < s->p->n_stage; t++) {
        s->turn[t] = s->p->stage[t].up ? UP : DOWN;
        if (!s->p->stage[t].may_turn || !touches(s, i, t) || !touches(s, k, t))
            continue;
        if (q->n_shared == MAX_SHARED)
            many = true;
        else
            q->shared[q->n_shared++] = t;
    }
    if (many)
        q->n_shared = 0;
    q->by_turn = ARENA_ARRAY(s->a, Forbidden, (size_t)1 << q->n_shared);
    if (many) {
        q->by_turn[0] = (Forbidden){ ARENA_ARRAY(s->a, Range, 1), 1 };
        q->by_turn[0].at[0] = (Range){ 1 - extent(&s->p->buffer[k]), extent(&s->p->buffer[i]) - 1 };
        return;
    }
    for (int c = 0; c < 1 << q->n_shared; c++) {
        for (int t = 0; t < q->n_shared; t++)
            s->turn[q->shared[t]] = c >> t & 1 ? UP : DOWN;
        q->by_turn[c] = forbidden(s, i, k, s->turn);
    }
}

/* ---- placing ---- */

/* Where must b go, at least, if it may not lie at `at` because of c?  `at` itself if it may. */
static int64_t beyond(const Plan *s, int b, int c, int64_t at)
{
    int i = b < c ? b : c, k = b < c ? c : b, turn = 0, lo = 0, hi;
    const Pair *q = &s->pair[i * s->p->n_buffer + k];
    const Forbidden *f;
    int64_t d = b == k ? at - s->at[c] : s->at[c] - at;

    for (int t = 0; t < q->n_shared; t++)
        turn |= (s->turn[q->shared[t]] == UP) << t;
    f = &q->by_turn[turn];
    hi = f->n;
    while (lo < hi) {                   /* the first interval that does not end before d */
        int mid = (lo + hi) / 2;

        if (f->at[mid].to < d)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == f->n || f->at[lo].from > d)
        return at;
    return b == k ? s->at[c] + f->at[lo].to + 1 : s->at[c] - f->at[lo].from + 1;
}

static int64_t lowest(const Plan *s, int b)
{
    const MemBuffer *x = &s->p->buffer[b];
    int64_t at = (int64_t)align_up((uint64_t)x->before, (uint64_t)x->align);
    bool moved = true;

    while (moved) {
        moved = false;
        for (int i = 0; i < s->n_beside[b]; i++) {
            int c = s->beside[b * s->p->n_buffer + i];
            int64_t to = s->placed[c] ? beyond(s, b, c, at) : at;

            if (to != at) {
                at = (int64_t)align_up((uint64_t)to, (uint64_t)x->align);
                moved = true;
            }
        }
    }
    return at;
}

/* Directions that placing b decides: of stages which it shares with what is placed already. */
static int open_turns(const Plan *s, int b, int *open, int cap)
{
    int n = 0;

    for (int i = 0; i < s->n_beside[b]; i++) {
        int c = s->beside[b * s->p->n_buffer + i];
        const Pair *q = &s->pair[b < c ? b * s->p->n_buffer + c : c * s->p->n_buffer + b];

        for (int t = 0; s->placed[c] && t < q->n_shared; t++) {
            bool known = s->turn[q->shared[t]] != OPEN;

            for (int k = 0; k < n; k++)
                known = known || open[k] == q->shared[t];
            if (!known && n < cap)
                open[n++] = q->shared[t];
            else if (!known)
                s->turn[q->shared[t]] = DOWN;
        }
    }
    return n;
}

static void place_one(Plan *s, int b)
{
    int open[4], n = open_turns(s, b, open, 4), best = 0;
    int64_t at = ALWAYS;

    for (int c = 0; c < 1 << n; c++) {
        int64_t here;

        for (int t = 0; t < n; t++)
            s->turn[open[t]] = c >> t & 1 ? UP : DOWN;
        here = lowest(s, b);
        if (here < at) {
            at = here;
            best = c;
        }
    }
    for (int t = 0; t < n; t++)
        s->turn[open[t]] = best >> t & 1 ? UP : DOWN;
    s->at[b] = at;
    s->placed[b] = true;
}

static int64_t top(const Plan *s, int b)
{
    return s->at[b] + extent(&s->p->buffer[b]) + s->p->buffer[b].after;
}

/* Places all buffers in the given sequence and keeps the result if it is the best so far.  Returns the bytes. */
static int64_t try_sequence(Plan *s, const int *seq, int n)
{
    int64_t total = 0;

    for (int t = 0; t < s->p->n_stage; t++)
        s->turn[t] = s->p->stage[t].may_turn ? OPEN : s->p->stage[t].up ? UP : DOWN;
    for (int b = 0; b < s->p->n_buffer; b++) {
        s->placed[b] = s->p->buffer[b].fixed;
        s->at[b] = s->p->buffer[b].at;
    }
    for (int i = 0; i < n; i++)
        place_one(s, seq[i]);
    for (int b = 0; b < s->p->n_buffer; b++)
        total = top(s, b) > total ? top(s, b) : total;
    if (total < s->best) {
        s->best = total;
        memcpy(s->best_at, s->at, (size_t)s->p->n_buffer * sizeof *s->at);
        memcpy(s->best_turn, s->turn, (size_t)s->p->n_stage * sizeof *s->turn);
    }
    return total;
}

/* ---- sequences ---- */

/* Tries every order of seq[k ..]. */
static void try_all(Plan *s, int *seq, int n, int k)
{
    if (k == n)
        try_sequence(s, seq, n);
    for (int i = k; i < n; i++) {
        int t = seq[i];

        seq[i] = seq[k];
        seq[k] = t;
        try_all(s, seq, n, k + 1);
        seq[k] = seq[i];
        seq[i] = t;
    }
}

static void sort_by(int *seq, int n, const int64_t *key)
{
    for (int i = 1; i < n; i++)
        for (int k = i; k > 0 && key[seq[k]] < key[seq[k - 1]]; k--) {
            int t = seq[k];

            seq[k] = seq[k - 1];
            seq[k - 1] = t;
        }
}

static void first_and_last(const Plan *s, int buffer, int *first, int *last)
{
    *first = s->p->n_stage;
    *last = -1;
    for (int i = s->first_touch[buffer]; i < s->first_touch[buffer + 1]; i++) {
        *first = s->touch[i]->stage < *first ? s->touch[i]->stage : *first;
        *last = s->touch[i]->stage > *last ? s->touch[i]->stage : *last;
    }
    if (s->p->buffer[buffer].given)
        *first = -1;
    if (s->p->buffer[buffer].kept)
        *last = s->p->n_stage;
}

static uint32_t next_random(uint32_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 17;
    return *x ^= *x << 5;
}

/* Moves a buffer that reaches the top of the memory, or any, to an earlier turn. */
static void change(const Plan *s, int *seq, int n, uint32_t *random)
{
    int i = (int)(next_random(random) % (uint32_t)n), to, b;

    for (int tries = 0; tries < 4 && top(s, seq[i]) < s->best; tries++)
        i = (int)(next_random(random) % (uint32_t)n);
    to = (int)(next_random(random) % (uint32_t)(i + 1));
    b = seq[i];
    memmove(seq + to + 1, seq + to, (size_t)(i - to) * sizeof *seq);
    seq[to] = b;
}

static void try_good_ones(Plan *s, int *seq, int n, int64_t bound, int peak)
{
    const MemPlan *p = s->p;
    int64_t *key = ARENA_ARRAY(s->a, int64_t, p->n_buffer + 1);
    int *best = ARENA_ARRAY(s->a, int, n + 1), *now = ARENA_ARRAY(s->a, int, n + 1);
    int64_t best_bytes = ALWAYS;
    uint32_t random = 1;

    for (int way = 0; way < 5; way++) {
        int64_t bytes;

        for (int b = 0; b < p->n_buffer; b++) {
            int first, last;

            first_and_last(s, b, &first, &last);
            key[b] = way == 0   ? -extent(&p->buffer[b])
                     : way == 1 ? first
                     : way == 2 ? -last
                     : way == 3 ? (last < peak ? peak - last : first > peak ? first - peak : 0)
                                : -(int64_t)(last - first + 1) * extent(&p->buffer[b]);
        }
        sort_by(seq, n, key);
        bytes = try_sequence(s, seq, n);
        if (bytes < best_bytes) {
            best_bytes = bytes;
            memcpy(best, seq, (size_t)n * sizeof *seq);
        }
    }
    for (int i = 0; n && i < N_CHANGES && s->best > bound; i++) {
        int64_t bytes;

        memcpy(now, best, (size_t)n * sizeof *now);
        change(s, now, n, &random);
        bytes = try_sequence(s, now, n);
        if (bytes <= best_bytes) {
            best_bytes = bytes;
            memcpy(best, now, (size_t)n * sizeof *now);
        }
    }
}

/* ---- the whole ---- */

static void begin(Plan *s, const MemPlan *p, Arena *a)
{
    int most = 0;

    *s = (Plan){ .p = p, .a = a, .best = ALWAYS };
    s->base = ARENA_ARRAY(a, int64_t, p->n_stage + 1);
    for (int t = 0; t < p->n_stage; t++)
        s->base[t + 1] = s->base[t] + 2 * (int64_t)p->stage[t].n_group;
    s->at = ARENA_ARRAY(a, int64_t, p->n_buffer + 1);
    s->best_at = ARENA_ARRAY(a, int64_t, p->n_buffer + 1);
    s->turn = ARENA_ARRAY(a, Turn, p->n_stage + 1);
    s->best_turn = ARENA_ARRAY(a, Turn, p->n_stage + 1);
    s->placed = ARENA_ARRAY(a, bool, p->n_buffer + 1);
    s->touch = ARENA_ARRAY(a, const MemTouch *, p->n_touch + 1);
    s->first_touch = ARENA_ARRAY(a, int, p->n_buffer + 1);
    for (int b = 0, n = 0; b < p->n_buffer; b++) {
        for (int i = 0; i < p->n_touch; i++)
            if (p->touch[i].buffer == b)
                s->touch[n++] = &p->touch[i];
        s->first_touch[b + 1] = n;
        most = n - s->first_touch[b] > most ? n - s->first_touch[b] : most;
    }
    s->cut = ARENA_ARRAY(a, int64_t, 2 * most + 1);
    s->piece[0] = ARENA_ARRAY(a, Piece, 2 * most + 1);
    s->piece[1] = ARENA_ARRAY(a, Piece, 2 * most + 1);
}

int64_t image_memory_bound(const MemPlan *p, Arena *scratch, int *stage)
{
    ArenaMark mark = arena_mark(scratch);
    Plan s;
    int64_t *alive, most = 0;

    begin(&s, p, scratch);
    for (int t = 0; t < p->n_stage; t++)
        s.turn[t] = p->stage[t].up ? UP : DOWN;
    alive = ARENA_ARRAY(scratch, int64_t, s.base[p->n_stage] + 1);
    *stage = 0;
    for (int b = 0; b < p->n_buffer; b++) {
        const Piece *x = s.piece[0];
        int n = pieces_of(&s, b, s.turn, s.piece[0]);

        for (int k = 0; k < n; k++)     /* elementwise: as if always in place */
            for (int64_t t = x[k].born < 0 ? 0 : x[k].born; t < s.base[p->n_stage] && t <= x[k].dies_same; t++)
                alive[t] += (x[k].to - x[k].from) * p->buffer[b].n_plane;
    }
    for (int t = 0; t < p->n_stage; t++)
        for (int64_t now = s.base[t]; now < s.base[t + 1]; now++)
            if (alive[now] > most) {
                most = alive[now];
                *stage = t;
            }
    arena_rewind(scratch, mark);
    return most;
}

int64_t image_memory_place(MemPlan *p, Arena *scratch)
{
    ArenaMark mark = arena_mark(scratch);
    int *seq = ARENA_ARRAY(scratch, int, p->n_buffer + 1), n = 0, peak;
    int64_t bound = 0;
    Plan s;

    (void)image_memory_bound(p, scratch, &peak);
    begin(&s, p, scratch);
    s.range = ARENA_ARRAY(scratch, Range, MAX_RANGES + 1);
    s.pair = ARENA_ARRAY(scratch, Pair, (int64_t)p->n_buffer * p->n_buffer + 1);
    s.beside = ARENA_ARRAY(scratch, int, (int64_t)p->n_buffer * p->n_buffer + 1);
    s.n_beside = ARENA_ARRAY(scratch, int, p->n_buffer + 1);
    for (int i = 0; i < p->n_buffer; i++) {
        int first, last;

        first_and_last(&s, i, &first, &last);
        for (int k = i + 1; k < p->n_buffer; k++) {
            int first_k, last_k;

            first_and_last(&s, k, &first_k, &last_k);
            if (first <= last_k && first_k <= last) {
                relate(&s, i, k);
                s.beside[i * p->n_buffer + s.n_beside[i]++] = k;
                s.beside[k * p->n_buffer + s.n_beside[k]++] = i;
            }
        }
        bound = extent(&p->buffer[i]) > bound ? extent(&p->buffer[i]) : bound;
        if (!p->buffer[i].fixed)
            seq[n++] = i;
    }
    if (n <= MAX_ALL)
        try_all(&s, seq, n, 0);
    else
        try_good_ones(&s, seq, n, bound, peak);
    for (int b = 0; b < p->n_buffer; b++)
        p->buffer[b].at = s.best_at[b];
    for (int t = 0; t < p->n_stage; t++)
        if (p->stage[t].may_turn)
            p->stage[t].up = s.best_turn[t] == UP;
    arena_rewind(scratch, mark);
    return s.best;
}
