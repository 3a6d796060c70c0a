/* How many threads take part in a call, where cores are shared with other programs.
 *
 * A stage is as slow as the slowest holder of a chunk, and one whose core runs another program holds
 * it for a time slice, 3 to 4 ms on Linux: longer than a token of a small model takes.  A thread
 * that gets half of a core therefore costs more than it gives, and the others are faster alone.
 * What shows it is the waste of a call: the time in which thread 0 was ready and had no core, or
 * waited for others' chunks.
 *
 *                       two of the last eight calls wasted a quarter of their time
 *      all threads  -------------------------------------------------------------->  fewer
 *                   <--------------------------------------------------------------
 *                       after HOLD_LEAST calls, then after 4 times as many, up to HOLD_MOST:
 *                       a trial of TRIAL calls, which must take less time than as many before it
 *
 * A trial ends as soon as its calls have taken a quarter of a call longer than calls of
 * fewer threads do, so that one which fails costs about one call in those that are held.  Calls are counted, not
 * seconds: the share of time that this costs is the same for every model.  Where nothing is wasted
 * nothing is tried, and a pace costs two readings of the clock.
 *
 * Numbers of threads go down by an eighth, and one: 16 13 11 9 7 6 5 4 3 2 1. */
#include "runtime/core/internal.h"

enum {
    WINDOW = 8,                         /* calls, of which two are bad */
    HOLD_LEAST = 8, HOLD_MOST = 256,
    TRIAL = 8,
    RELAPSE = 64,                       /* calls after a trial; fewer of them again soon: it was wrong */
    MEAN_OF = 8,
    WASTE_NS = 100000                   /* less is a hiccup, however short a call is */
};

static int fewer_than(int n)
{
    return n <= 1 ? 1 : n - 1 - n / 8;
}

static int more_than(int n, int most)
{
    int more = most;

    while (fewer_than(more) > n)
        more = fewer_than(more);
    return more;
}

static void change(NAME_Pace *p, int now, int trying)
{
    p->now = now;
    p->trying = trying;
    p->n_calls = 0;
    p->bad = 0;
    p->excess = 0;
}

void NAME_pace_init(NAME_Pace *p, int most)
{
    p->most = most;
    p->hold = HOLD_LEAST;
    p->settled = 1;
    p->mean = p->n_mean = 0;
    change(p, most, 0);
}

static void note_trial(NAME_Pace *p, int64_t ns)
{
    p->excess += ns - p->mean;
    if (p->excess > p->mean / 4 || (p->n_calls == TRIAL && p->excess >= 0)) {
        p->hold = p->hold < HOLD_MOST / 4 ? 4 * p->hold : HOLD_MOST;
        change(p, fewer_than(p->now), 0);
    } else if (p->n_calls == TRIAL) {
        p->settled = 0;
        p->mean = p->n_mean = 0;
        change(p, p->now, 0);
    }
}

void NAME_pace_note(NAME_Pace *p, int64_t ns, int64_t wasted)
{
    int bad = wasted > WASTE_NS && wasted > ns / 4;

    p->n_calls++;
    if (p->trying) {
        note_trial(p, ns);
        return;
    }
    p->bad = (p->bad << 1 | (unsigned)bad) & ((1u << WINDOW) - 1);
    if (p->now > 1 && (p->bad & (p->bad - 1))) {
        p->hold = p->settled ? HOLD_LEAST : p->hold < HOLD_MOST / 4 ? 4 * p->hold : HOLD_MOST;
        p->mean = p->n_mean = 0;
        change(p, fewer_than(p->now), 0);
        return;
    }
    if (p->n_calls == RELAPSE)
        p->settled = 1;
    if (p->n_mean < MEAN_OF)
        p->n_mean++;
    if (p->mean && ns > 2 * p->mean)            /* something held it up; it counts as two */
        ns = 2 * p->mean;
    p->mean += (ns - p->mean) / p->n_mean;
    if (p->now < p->most && p->n_calls >= p->hold)
        change(p, more_than(p->now, p->most), 1);
}
