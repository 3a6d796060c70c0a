/* What this machine's memory gives: read bandwidth, because decoding reads every weight once per
 * token and does little else.
 *
 * Each thread sums its own part of a block, eight independent 64-byte accumulations at a time,
 * which a compiler turns into wide loads on any chip.  A block much larger than the last cache
 * measures DRAM; one of half its size measures the cache. */
#include "compiler/calibrate.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

int machine_cores(void)
{
    cpu_set_t set;

    if (!sched_getaffinity(0, sizeof set, &set) && CPU_COUNT(&set) > 0)
        return CPU_COUNT(&set);
    return 1;
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef struct {
    const uint64_t *p;
    size_t n;                       /* words, a multiple of 64 */
    double until;
    uint64_t n_read, sum;
    pthread_t thread;
} Reader;

static uint64_t sum_words(const uint64_t *p, size_t n)
{
    uint64_t s[64] = { 0 }, total = 0;

    for (size_t i = 0; i < n; i += 64)
        for (int k = 0; k < 64; k++)
            s[k] += p[i + (size_t)k];
    for (int k = 0; k < 64; k++)
        total += s[k];
    return total;
}

static void *read_part(void *arg)
{
    Reader *r = arg;

    do {
        for (int i = 0; i < 4; i++) {
            r->sum += sum_words(r->p, r->n);
            r->n_read += r->n;
        }
    } while (now() < r->until);
    return NULL;
}

/* Words read by all threads and the seconds that took. */
static bool one_round(Reader *r, int n, int ms, double *mb_s)
{
    double begin = now(), end;
    uint64_t words = 0;
    int started = 0;

    for (int i = 0; i < n; i++) {
        r[i].until = begin + 1e-3 * ms;
        r[i].n_read = 0;
    }
    for (int i = 1; i < n; i++, started++)
        if (pthread_create(&r[i].thread, NULL, read_part, &r[i]))
            break;
    read_part(&r[0]);
    for (int i = 1; i <= started; i++)
        pthread_join(r[i].thread, NULL);
    end = now();
    for (int i = 0; i <= started; i++)
        words += r[i].n_read;
    *mb_s = 8e-6 * (double)words / (end - begin);
    return started == n - 1;
}

int64_t read_bandwidth(uint64_t bytes, int n_threads, int ms)
{
    size_t part = (size_t)(bytes / (uint64_t)n_threads / 8 / 64 * 64),
           n = part * 8 * (size_t)n_threads;
    Reader *r = calloc((size_t)n_threads, sizeof *r);
    uint64_t *block =
        n ? mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) : MAP_FAILED;
    volatile uint64_t sink = 0;
    double best = 0, x;

    if (r && block != MAP_FAILED) {
        memset(block, 1, n); /* pages that nobody wrote share one frame of zeros */
        for (int i = 0; i < n_threads; i++)
            r[i] = (Reader){ .p = block + part * (size_t)i, .n = part };
        for (int i = 0; i < 3; i++)
            if (one_round(r, n_threads, ms, &x) && x > best)
                best = x;
        for (int i = 0; i < n_threads; i++)
            sink += r[i].sum;                                /* the sums are used: the loops stay */
    }
    (void)sink;
    if (block != MAP_FAILED)
        munmap(block, n);
    free(r);
    return (int64_t)best;
}

void calibrate(Arena *a, Diag *d, Target *t)
{
    int n = machine_cores();
    uint64_t llc = t->llc_bytes > 0 ? (uint64_t)t->llc_bytes : UINT64_C(32) << 20;
    uint64_t dram = 4 * llc < (UINT64_C(256) << 20) ? UINT64_C(256) << 20 : 4 * llc;
    uint64_t quarter = (uint64_t)sysconf(_SC_PHYS_PAGES) / 4 * (uint64_t)sysconf(_SC_PAGESIZE);
    int64_t one;

    dram = dram > quarter ? quarter : dram;                  /* a guest may be told its host's cache size */
    one = read_bandwidth(dram, 1, 200);
    t->dram_mb_s = read_bandwidth(dram, n, 200);
    t->llc_mb_s = read_bandwidth(llc / 2, n, 200);
    t->n_threads = n;
    t->help = str_printf(a, "%s, measured", t->help);
    t->name = "calibrated";
    note(d,
         "%d core%s; one thread reads %" PRId64 " MB/s from DRAM, all of them %" PRId64
         "; from the last cache %" PRId64,
         n, n == 1 ? "" : "s", one, t->dram_mb_s, t->llc_mb_s);
}
