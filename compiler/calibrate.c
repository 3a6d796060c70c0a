/* What this machine gives: read bandwidth, because decoding reads every weight once per token and
 * does little else, and 8-bit multiply-adds, because that is what reading a prompt does.
 *
 * Bandwidth.  A core that reads line after line waits for each miss that its hardware prefetchers
 * did not foresee; how far they look differs from chip to chip and ends at each page.  So several
 * ways are tried in turn: one, two or four streams, with a prefetch some KB ahead or none (into L2:
 * non-temporal ones bypass the caches, and are slower).  The best way's median counts: a maximum
 * would be luck, and a mean would be whatever else the machine did.  A block much larger than the
 * last cache measures DRAM; one of half its size measures the cache.
 *
 * Multiply-adds.  The instruction itself, on registers, with enough independent sums to hide its
 * latency: twelve to fourteen on vectors, four on tiles. */
#include "compiler/calibrate.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#endif

enum { N_TRIALS = 5, MAX_TRIES = 10, HUGE_PAGE = 2 << 20 };

int machine_cores(void)
{
    cpu_set_t set;

    if (!sched_getaffinity(0, sizeof set, &set) && CPU_COUNT(&set) > 0)
        return CPU_COUNT(&set);
    return 1;
}

static double seconds(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_value(const void *x, const void *y)
{
    double a = *(const double *)x, b = *(const double *)y;

    return (a > b) - (a < b);
}

double median(double *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, by_value);
    return n % 2 ? v[n / 2] : 0.5 * (v[n / 2 - 1] + v[n / 2]);
}

/* ---- a trial: the same work on some threads for some time ------------------------------------ */

typedef struct Job Job;
struct Job {
    uint64_t (*work)(Job *j);       /* some of it; returns how much (bytes, multiply-adds) */
    const char *p;
    size_t n;                       /* bytes, a multiple of READ_STEP for every way */
    int way;
    double until;
    uint64_t done, sum;             /* sum: of what was read, so that reading is not for nothing */
    bool alone;                     /* it had a core for itself */
    pthread_t thread;
};

static void *run_job(void *arg)
{
    Job *j = arg;
    double wall = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_THREAD_CPUTIME_ID);

    do
        j->done += j->work(j);
    while (seconds(CLOCK_MONOTONIC) < j->until);
    wall = seconds(CLOCK_MONOTONIC) - wall;
    j->alone = seconds(CLOCK_THREAD_CPUTIME_ID) - cpu > 0.98 * wall;
    return NULL;
}

/* Work per second of all n threads; 0 if they could not be started.  *alone: nobody disturbed
 * them. */
static double one_trial(Job *j, int n, int ms, bool *alone)
{
    double begin = seconds(CLOCK_MONOTONIC), end;
    uint64_t done = 0;
    int started = 1;

    for (int i = 0; i < n; i++) {
        j[i].until = begin + 1e-3 * ms;
        j[i].done = 0;
    }
    while (started < n && !pthread_create(&j[started].thread, NULL, run_job, &j[started]))
        started++;
    run_job(&j[0]);
    for (int i = 1; i < started; i++)
        pthread_join(j[i].thread, NULL);
    end = seconds(CLOCK_MONOTONIC);
    *alone = true;
    for (int i = 0; i < started; i++) {
        done += j[i].done;
        *alone = *alone && j[i].alone;
    }
    return started == n ? (double)done / (end - begin) : 0;
}

/* The best way's median.  Ways take turns, so that a slow moment is nobody's. */
static double best_way(Job *j, int n_threads, int n_ways, int ms)
{
    enum { MAX_WAYS = 8 };
    double v[MAX_WAYS][N_TRIALS], best = 0;
    int n[MAX_WAYS] = { 0 };

    for (int t = 0; t < MAX_TRIES; t++)
        for (int w = 0; w < n_ways; w++) {
            bool alone;
            double x;

            if (n[w] == N_TRIALS)
                continue;
            for (int i = 0; i < n_threads; i++)
                j[i].way = w;
            x = one_trial(j, n_threads, ms, &alone);
            /* Disturbed ones count from where the tries that are left are no more than needed. */
            if (alone || MAX_TRIES - t <= N_TRIALS - n[w])
                v[w][n[w]++] = x;
        }
    for (int w = 0; w < n_ways; w++) {
        double x = median(v[w], n[w]);

        best = x > best ? x : best;
    }
    return best;
}

/* ---- reading --------------------------------------------------------------------------------- */

typedef uint64_t Line __attribute__((vector_size(64), may_alias));
enum { N_WAYS = 5, READ_STEP = 1024 }; /* four lines of at most four streams */

/* The sum of n bytes, read as so many streams; `ahead` bytes before use they are asked for. */
static inline __attribute__((always_inline)) uint64_t sum_lines(const char *p, size_t n,
                                                                int streams, size_t ahead)
{
    Line a = { 0 }, b = { 0 }, c = { 0 }, d = { 0 };
    size_t part = n / (size_t)streams;
    uint64_t sum = 0;

    for (size_t i = 0; i < part; i += 256)
        for (int s = 0; s < streams; s++) {
            const char *q = p + (size_t)s * part + i;

            if (ahead)
                for (size_t k = 0; k < 256; k += 64)
                    __builtin_prefetch(q + ahead + k, 0, 2);
            a += *(const Line *)(q);
            b += *(const Line *)(q + 64);
            c += *(const Line *)(q + 128);
            d += *(const Line *)(q + 192);
        }
    a += b + c + d;
    for (int i = 0; i < 8; i++)
        sum += a[i];
    return sum;
}

static inline __attribute__((always_inline)) uint64_t sum_way(const Job *j)
{
    switch (j->way) {
    case 0:
        return sum_lines(j->p, j->n, 1, 0);
    case 1:
        return sum_lines(j->p, j->n, 1, 8192);
    case 2:
        return sum_lines(j->p, j->n, 2, 0);
    case 3:
        return sum_lines(j->p, j->n, 2, 8192);
    default:
        return sum_lines(j->p, j->n, 4, 2048);
    }
}

static uint64_t read_plain(Job *j)
{
    j->sum += sum_way(j);
    return j->n;
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static uint64_t read_avx2(Job *j)
{
    j->sum += sum_way(j);
    return j->n;
}

__attribute__((target("avx512f"))) static uint64_t read_avx512(Job *j)
{
    j->sum += sum_way(j);
    return j->n;
}
#endif

static uint64_t (*widest_reader(void))(Job *)
{
#if defined(__x86_64__)
    if (target_host_has("avx512f"))
        return read_avx512;
    if (target_host_has("avx2"))
        return read_avx2;
#endif
    return read_plain;
}

bool read_once(const void *p, size_t n, int n_threads)
{
    enum { FAR_AHEAD = 1 };
    size_t part = n / (size_t)n_threads / READ_STEP * READ_STEP;
    Job *j = calloc((size_t)n_threads, sizeof *j);
    volatile uint64_t sink = 0;
    bool alone, ok = j != NULL;

    if (ok) {
        for (int i = 0; i < n_threads; i++)
            j[i] = (Job){ .work = widest_reader(),
                          .p = (const char *)p + part * (size_t)i,
                          .n = part,
                          .way = FAR_AHEAD };
        ok = one_trial(j, n_threads, 0, &alone) > 0;
        for (int i = 0; i < n_threads; i++)
            sink += j[i].sum;
    }
    (void)sink;
    free(j);
    return ok;
}

int64_t read_bandwidth(uint64_t bytes, int n_threads, int ms)
{
    size_t part = (size_t)(bytes / (uint64_t)n_threads / READ_STEP * READ_STEP),
           n = part * (size_t)n_threads + HUGE_PAGE;
    Job *j = calloc((size_t)n_threads, sizeof *j);
    char *map = MAP_FAILED;
    volatile uint64_t sink = 0;
    double best = 0;

    if (part)
        map = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (j && map != MAP_FAILED) {
        char *block = map + (HUGE_PAGE - (uintptr_t)map % HUGE_PAGE) % HUGE_PAGE;

#ifdef MADV_HUGEPAGE
        madvise(map, n, MADV_HUGEPAGE); /* what memory gives, not what the page tables cost */
#endif
        memset(map, 1, n);              /* pages that nobody wrote share one frame of zeros */
        for (int i = 0; i < n_threads; i++)
            j[i] = (Job){
                .work = widest_reader(), .p = block + part * (size_t)i, .n = part
            };
        best = best_way(j, n_threads, N_WAYS, ms);
        for (int i = 0; i < n_threads; i++)
            sink += j[i].sum;
    }
    (void)sink;
    if (map != MAP_FAILED)
        munmap(map, n);
    free(j);
    return (int64_t)(1e-6 * best);
}

/* ---- multiply-adds --------------------------------------------------------------------------- */

enum { N_LOOPS = 20000 }; /* of one call: some microseconds */

#if defined(__x86_64__)
#define XMM_0_TO_15 \
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", \
        "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"

/* 14 sums of 64 multiply-adds. */
static uint64_t mac_avx512_vnni(Job *j)
{
    uint64_t n = N_LOOPS;

    (void)j;
    __asm__ volatile("vpternlogd $0xff, %%zmm14, %%zmm14, %%zmm14\n"
                     "vpternlogd $0xff, %%zmm15, %%zmm15, %%zmm15\n"
                     "1:\n"
                     ".irp r, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13\n"
                     "vpdpbusd %%zmm14, %%zmm15, %%zmm\\r\n"
                     ".endr\n"
                     "dec %0\n"
                     "jnz 1b\n"
                     "vzeroupper\n"
                     : "+r"(n)
                     :
                     : "cc", XMM_0_TO_15);
    return (uint64_t)N_LOOPS * 14 * 64;
}

/* 14 sums of 32. */
static uint64_t mac_avx_vnni(Job *j)
{
    uint64_t n = N_LOOPS;

    (void)j;
    __asm__ volatile("vpcmpeqd %%ymm14, %%ymm14, %%ymm14\n"
                     "vpcmpeqd %%ymm15, %%ymm15, %%ymm15\n"
                     "1:\n"
                     ".irp r, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13\n"
                     "%{vex%} vpdpbusd %%ymm14, %%ymm15, %%ymm\\r\n"
                     ".endr\n"
                     "dec %0\n"
                     "jnz 1b\n"
                     "vzeroupper\n"
                     : "+r"(n)
                     :
                     : "cc", XMM_0_TO_15);
    return (uint64_t)N_LOOPS * 14 * 32;
}

/* 6 sums of 32, each in three instructions: products in pairs, pairs in fours, the sum. */
static uint64_t mac_avx2(Job *j)
{
    uint64_t n = N_LOOPS;

    (void)j;
    __asm__ volatile("vpcmpeqd %%ymm14, %%ymm14, %%ymm14\n"
                     "vpcmpeqd %%ymm15, %%ymm15, %%ymm15\n"
                     "1:\n"
                     ".irp r, 6, 7, 8, 9, 10, 11\n"
                     "vpmaddubsw %%ymm14, %%ymm15, %%ymm\\r\n"
                     ".endr\n"
                     ".irp r, 6, 7, 8, 9, 10, 11\n"
                     "vpmaddwd %%ymm15, %%ymm\\r, %%ymm\\r\n"
                     ".endr\n"
                     "vpaddd %%ymm6, %%ymm0, %%ymm0\n"
                     "vpaddd %%ymm7, %%ymm1, %%ymm1\n"
                     "vpaddd %%ymm8, %%ymm2, %%ymm2\n"
                     "vpaddd %%ymm9, %%ymm3, %%ymm3\n"
                     "vpaddd %%ymm10, %%ymm4, %%ymm4\n"
                     "vpaddd %%ymm11, %%ymm5, %%ymm5\n"
                     "dec %0\n"
                     "jnz 1b\n"
                     "vzeroupper\n"
                     : "+r"(n)
                     :
                     : "cc", XMM_0_TO_15);
    return (uint64_t)N_LOOPS * 6 * 32;
}

/* Four tiles of 16 x 16 sums, each of 64 products.  The shapes lie in memory, which the instruction
 * does not tell the compiler. */
static uint64_t mac_amx_int8(Job *j)
{
    struct {
        uint8_t palette, start, zero[14];
        uint16_t columns[16];       /* bytes of a row */
        uint8_t rows[16];
    } shape = { .palette = 1 };
    uint8_t ones[16 * 64];
    uint64_t n = N_LOOPS / 4;

    (void)j;
    memset(ones, 1, sizeof ones);
    for (int i = 0; i < 8; i++) {
        shape.columns[i] = 64;
        shape.rows[i] = 16;
    }
    __asm__ volatile("ldtilecfg (%1)\n"
                     "tilezero %%tmm0\n"
                     "tilezero %%tmm1\n"
                     "tilezero %%tmm2\n"
                     "tilezero %%tmm3\n"
                     "tileloadd (%2,%3,1), %%tmm4\n"
                     "tileloadd (%2,%3,1), %%tmm5\n"
                     "tileloadd (%2,%3,1), %%tmm6\n"
                     "tileloadd (%2,%3,1), %%tmm7\n"
                     "1:\n"
                     "tdpbssd %%tmm6, %%tmm4, %%tmm0\n"
                     "tdpbssd %%tmm7, %%tmm4, %%tmm1\n"
                     "tdpbssd %%tmm6, %%tmm5, %%tmm2\n"
                     "tdpbssd %%tmm7, %%tmm5, %%tmm3\n"
                     "dec %0\n"
                     "jnz 1b\n"
                     "tilerelease\n"
                     : "+r"(n)
                     : "r"(&shape), "r"(ones), "r"((uint64_t)64)
                     : "cc", "memory");
    return (uint64_t)(N_LOOPS / 4) * 4 * 16 * 16 * 64;
}

/* Does the CPU list AMX for 8 bits, and does the system let this process use it? */
static bool amx_allowed(void)
{
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18, TILE = 1 << 24, INT8 = 1 << 25 };
    unsigned a, b, c, d;

    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & TILE) && (d & INT8) &&
           !syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA);
}

/* A guest may be shown AMX and yet be stopped by its first tile: a child tries, and only a child
 * gets hurt. */
static bool amx_works(void)
{
    int status = -1;
    pid_t pid;

    if (!amx_allowed())
        return false;
    fflush(NULL);
    pid = fork();
    if (pid == 0) {
        Job j = { 0 };

        mac_amx_int8(&j);
        _exit(0);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}
#endif

#if defined(__aarch64__)
#define V_0_TO_15 \
    "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", \
        "v14", "v15"

/* 12 sums of 16 multiply-adds: sdot vR.4s, v14.16b, v15.16b, as a number, which any assembler
 * knows. */
static uint64_t mac_asimddp(Job *j)
{
    uint64_t n = N_LOOPS;

    (void)j;
    __asm__ volatile("movi v14.16b, #1\n"
                     "movi v15.16b, #1\n"
                     "1:\n"
                     ".irp r, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11\n"
                     ".inst 0x4e8f95c0 + \\r\n"
                     ".endr\n"
                     "subs %0, %0, #1\n"
                     "b.ne 1b\n"
                     : "+r"(n)
                     :
                     : "cc", V_0_TO_15);
    return (uint64_t)N_LOOPS * 12 * 16;
}

/* 12 matrices of 2 x 2 sums, each of 8 products: smmla vR.4s, v14.16b, v15.16b. */
static uint64_t mac_i8mm(Job *j)
{
    uint64_t n = N_LOOPS;

    (void)j;
    __asm__ volatile("movi v14.16b, #1\n"
                     "movi v15.16b, #1\n"
                     "1:\n"
                     ".irp r, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11\n"
                     ".inst 0x4e8fa5c0 + \\r\n"
                     ".endr\n"
                     "subs %0, %0, #1\n"
                     "b.ne 1b\n"
                     : "+r"(n)
                     :
                     : "cc", V_0_TO_15);
    return (uint64_t)N_LOOPS * 12 * 32;
}
#endif

/* The widest unit that is here; NULL: none that is known. */
static uint64_t (*mac_unit(const char **unit))(Job *)
{
    const struct {
        const char *name;
        bool here;
        uint64_t (*work)(Job *);
    } units[] = {
#if defined(__x86_64__)
        { "amx_int8", amx_works(), mac_amx_int8 },
        { "avx512_vnni", target_host_has("avx512_vnni"), mac_avx512_vnni },
        { "avx_vnni", target_host_has("avx_vnni"), mac_avx_vnni },
        { "avx2", target_host_has("avx2"), mac_avx2 },
#elif defined(__aarch64__)
        { "i8mm", target_host_has("i8mm"), mac_i8mm },
        { "asimddp", target_host_has("asimddp"), mac_asimddp },
#endif
        { "", false, NULL },
    };

    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (units[i].here) {
            *unit = units[i].name;
            return units[i].work;
        }
    *unit = "";
    return NULL;
}

int64_t mac8_peak(int n_threads, int ms, const char **unit)
{
    uint64_t (*work)(Job *) = mac_unit(unit);
    Job *j = calloc((size_t)n_threads, sizeof *j);
    double best = 0;

    if (j && work) {
        for (int i = 0; i < n_threads; i++)
            j[i].work = work;
        best = best_way(j, n_threads, 1, ms);
    }
    free(j);
    return (int64_t)(100 * 1e-9 * best);
}

/* ---- a target -------------------------------------------------------------------------------- */

/* Bytes of the last cache that this core can fill, as Linux knows them: the C library may count the
 * caches of all clusters of the socket as one.  0: not known. */
static uint64_t last_cache(void)
{
    uint64_t most = 0;

    for (int i = 0; i < 8; i++) {
        char path[64], unit = 0;
        unsigned long long n;
        FILE *f;

        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/size", i);
        f = fopen(path, "r");
        if (!f)
            break;
        if (fscanf(f, "%llu%c", &n, &unit) >= 1 && n < 1 << 30) {
            n <<= unit == 'K' ? 10 : unit == 'M' ? 20 : 0;
            most = n > most ? n : most;
        }
        fclose(f);
    }
    return most;
}

void calibrate(Arena *a, Diag *d, Target *t, int ms)
{
    /* A guest may be told of its host's whole last cache, of which it has a part: no more than 64
     * MB are taken to be its own. */
    enum { MOST_CACHE = 64 << 20 };
    uint64_t known = last_cache(),
             llc = known              ? known
                   : t->llc_bytes > 0 ? (uint64_t)t->llc_bytes
                                      : UINT64_C(32) << 20,
             cache = llc / 2 < MOST_CACHE ? llc / 2 : MOST_CACHE,
             dram = 4 * llc < (UINT64_C(256) << 20) ? UINT64_C(256) << 20 : 4 * llc,
             quarter = (uint64_t)sysconf(_SC_PHYS_PAGES) / 4 * (uint64_t)sysconf(_SC_PAGESIZE);
    int n = machine_cores();
    int64_t one_dram, one_llc, macs;
    const char *unit;

    t->llc_bytes = (int64_t)llc;
    dram = dram > quarter ? quarter : dram;
    one_dram = read_bandwidth(dram, 1, ms);
    one_llc = read_bandwidth(cache, 1, ms);
    t->dram_mb_s = read_bandwidth(dram, n, ms);
    t->llc_mb_s = read_bandwidth(cache, n, ms);
    macs = mac8_peak(1, ms, &unit);
    if (macs > 0)
        t->mac8_per_ns = macs;
    t->n_threads = n;
    t->help = str_printf(a, "%s, measured", t->help);
    t->name = "calibrated";
    note(d,
         "%d core%s; one thread reads %" PRId64 " MB/s from DRAM, all of them %" PRId64
         "; from the last cache %" PRId64 ", all of them %" PRId64,
         n, n == 1 ? "" : "s", one_dram, t->dram_mb_s, one_llc, t->llc_mb_s);
    if (macs > 0)
        note(d, "one core does %" PRId64 " 8-bit multiply-adds per ns (%s)", macs / 100, unit);
}
