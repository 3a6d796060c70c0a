/* The threads of a session (POSIX).
 *
 * Between calls they sleep on a condition variable; the caller is thread 0, begins at once and
 * never waits for the others to wake: whoever comes takes the chunks that are left (internal.h).
 * Each thread copies the job before it begins, so one that comes or goes late works on a copy of a
 * finished job, finds nothing to do and sleeps again, while the caller may be several jobs ahead.
 * Threads that the last job had no part for sleep on a condition of their own, so that jobs which
 * need no more threads than that one do not wake them.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "runtime/core/internal.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SPINS = 2000 };        /* pauses, about 50 us, before a waiting thread gives its core away */

typedef struct {
    NAME_Pool *pool;
    NAME_Worker *worker;
    pthread_t id;
} PoolThread;

struct NAME_Pool {
    pthread_mutex_t lock;               /* of all below */
    pthread_cond_t wake;                /* there is a job */
    pthread_cond_t more;                /* there is one of more threads than the job before */
    uint64_t job;                       /* running number; threads wait for it to change */
    int quit;
    NAME_EntryFn *entry;
    NAME_Run run;
    uint32_t epoch;                     /* where the job begins */
    uint64_t due;
    int n_threads;                      /* with the caller */
    NAME_Worker *worker;
    PoolThread *thread;                 /* [n_threads - 1] */
};

static size_t pool_head_bytes(void)
{
    return (sizeof(NAME_Pool) + 63) / 64 * 64;
}

size_t NAME_pool_bytes(int n_threads)
{
    return pool_head_bytes() + (size_t)n_threads * sizeof(PoolThread);
}

static void *pool_thread(void *arg)
{
    PoolThread *t = arg;
    NAME_Pool *p = t->pool;
    NAME_Worker *me = t->worker;
    uint64_t seen = 0;

    for (;;) {
        NAME_EntryFn *entry;
        NAME_Run run;

        pthread_mutex_lock(&p->lock);
        while (p->job == seen && !p->quit)
            pthread_cond_wait(me->id < p->run.n_threads ? &p->wake : &p->more, &p->lock);
        if (p->quit) {
            pthread_mutex_unlock(&p->lock);
            return NULL;
        }
        seen = p->job;
        entry = p->entry;
        run = p->run;
        me->epoch = p->epoch;
        me->due = p->due;
        pthread_mutex_unlock(&p->lock);
        if (me->id < run.n_threads)
            entry(&run, me);
    }
}

static void pool_join(NAME_Pool *p, int n_started)
{
    pthread_mutex_lock(&p->lock);
    p->quit = 1;
    pthread_cond_broadcast(&p->wake);
    pthread_cond_broadcast(&p->more);
    pthread_mutex_unlock(&p->lock);
    for (int i = 0; i < n_started; i++)
        pthread_join(p->thread[i].id, NULL);
    pthread_cond_destroy(&p->more);
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
}

NAME_Status NAME_pool_start(NAME_Pool **out, void *block, NAME_Worker *worker, int n_threads)
{
    NAME_Pool *p = block;
    sigset_t all, before;
    int n_started = 0;

    *out = NULL;
    memset(p, 0, NAME_pool_bytes(n_threads));
    p->n_threads = n_threads;
    p->worker = worker;
    p->thread = (PoolThread *)(void *)((uint8_t *)block + pool_head_bytes());
    if (pthread_mutex_init(&p->lock, NULL))
        return NAME_E_THREADS;
    if (pthread_cond_init(&p->wake, NULL)) {
        pthread_mutex_destroy(&p->lock);
        return NAME_E_THREADS;
    }
    if (pthread_cond_init(&p->more, NULL)) {
        pthread_cond_destroy(&p->wake);
        pthread_mutex_destroy(&p->lock);
        return NAME_E_THREADS;
    }
    sigfillset(&all);                   /* signals are the host's: its own threads handle them */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (; n_started < n_threads - 1; n_started++) {
        PoolThread *t = &p->thread[n_started];

        t->pool = p;
        t->worker = &worker[n_started + 1];
        if (pthread_create(&t->id, NULL, pool_thread, t))
            break;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (n_started < n_threads - 1) {
        pool_join(p, n_started);
        return NAME_E_THREADS;
    }
    *out = p;
    return NAME_OK;
}

void NAME_pool_run(NAME_Pool *p, NAME_EntryFn *entry, const NAME_Run *r)
{
    int more;

    pthread_mutex_lock(&p->lock);
    more = r->n_threads > p->run.n_threads;
    p->entry = entry;
    p->run = *r;
    p->epoch = p->worker[0].epoch;
    p->due = p->worker[0].due;
    p->job++;
    pthread_cond_broadcast(&p->wake);
    if (more)
        pthread_cond_broadcast(&p->more);
    pthread_mutex_unlock(&p->lock);
    entry(r, &p->worker[0]);
}

void NAME_pool_stop(NAME_Pool *p)
{
    pool_join(p, p->n_threads - 1);
}

/* ---- waiting --------------------------------------------------------------------------------- */

static inline void pause_cpu(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static int64_t now_ns(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

NAME_Clocks NAME_clocks(void)
{
    NAME_Clocks c;

    c.wall = now_ns(CLOCK_MONOTONIC);
    c.cpu = now_ns(CLOCK_THREAD_CPUTIME_ID);
    return c;
}

int64_t NAME_wait_for(NAME_Crew *crew, uint64_t due)
{
    int64_t begun = 0;

    for (int spins = 0;; spins++) {
        uint64_t sum = 0;

        for (int t = 0; t < crew->n_threads; t++)
            sum += atomic_load_explicit(&crew->done[t].v, memory_order_acquire);
        if (sum >= due)
            return begun ? now_ns(CLOCK_MONOTONIC) - begun : 0;
        if (spins < SPINS)
            pause_cpu();
        else {
            begun = begun ? begun : now_ns(CLOCK_MONOTONIC);
            sched_yield();
            spins = 0;
        }
    }
}

/* ---- how many -------------------------------------------------------------------------------- */

#ifdef __linux__
/* Reads a small file; its length, 0: not there.  Always terminated. */
static size_t read_file(const char *path, char *out, size_t cap)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, out, cap - 1);

    if (fd >= 0)
        close(fd);
    out[n > 0 ? n : 0] = 0;
    return n > 0 ? (size_t)n : 0;
}

static uint64_t read_number(const char **p)
{
    uint64_t v = 0;

    while (**p == ' ')
        (*p)++;
    for (; **p >= '0' && **p <= '9' && v < UINT64_MAX / 16; (*p)++)
        v = 10 * v + (uint64_t)(**p - '0');
    return v;
}

/* a, n_b bytes of b, and c as one path; 0: it does not fit. */
static int join(char *out, size_t cap, const char *a, const char *b, size_t n_b, const char *c)
{
    size_t n_a = strlen(a), n_c = strlen(c);

    if (n_a + n_b + n_c >= cap)
        return 0;
    memcpy(out, a, n_a);
    memcpy(out + n_a, b, n_b);
    memcpy(out + n_a + n_b, c, n_c + 1);
    return 1;
}

/* The quota of one group in cores, rounded up; 0: none.  Version 2 says "200000 100000" or "max
 * 100000" (microseconds, and per how many of them) in one file, version 1 has two, the first of
 * which says -1 where there is no quota. */
static int group_cores(const char *root, const char *group, size_t len, int version)
{
    char path[1024], text[64], per[64] = "";
    const char *p = text, *q = per;
    uint64_t quota, period, n;

    if (!join(path, sizeof path, root, group, len,
              version == 2 ? "/cpu.max" : "/cpu.cfs_quota_us") ||
        !read_file(path, text, sizeof text) || *p < '0' || *p > '9')
        return 0;
    if (version == 1 && (!join(path, sizeof path, root, group, len, "/cpu.cfs_period_us") ||
                         !read_file(path, per, sizeof per)))
        return 0;
    quota = read_number(&p);
    period = read_number(version == 2 ? &p : &q);
    n = period ? (quota + period - 1) / period : 0;
    return n < NAME_MAX_THREADS ? (int)n : 0;
}

/* The least quota of the process's group and of those around it.  Lines of `self` are "0::/a/b"
 * (version 2) and "4:cpu,cpuacct:/a/b" (version 1); quotas lie in root/a/b and in root/cpu/a/b.
 * [Linux, Documentation/admin-guide/cgroup-v2.rst; Documentation/scheduler/sched-bwc.rst] */
int NAME_quota_cores(const char *self, const char *root)
{
    char text[4096], cpu[1024];
    int least = 0;

    if (!read_file(self, text, sizeof text) || !join(cpu, sizeof cpu, root, "", 0, "/cpu"))
        return 0;
    for (const char *line = text, *end; *line; line = *end ? end + 1 : end) {
        const char *kinds = strchr(line, ':'), *group = kinds ? strchr(kinds + 1, ':') : NULL;
        int version = 0;

        end = line + strcspn(line, "\n");
        if (!group || group > end)
            continue;
        if (group == kinds + 1)
            version = 2;
        for (const char *k = kinds; k < group; k++)
            if (strncmp(k + 1, "cpu", 3) == 0 && (k[4] == ',' || k[4] == ':'))
                version = 1;
        for (size_t len = (size_t)(end - group) - 1; version;) {
            int n = group_cores(version == 2 ? root : cpu, group + 1, len, version);

            if (n > 0 && (least == 0 || n < least))
                least = n;
            if (len == 0)
                break;
            while (len > 0 && group[len--] != '/')
                ;
        }
    }
    return least;
}
#endif

int NAME_default_threads(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);

#ifdef __linux__
    cpu_set_t set;
    int quota = NAME_quota_cores("/proc/self/cgroup", "/sys/fs/cgroup");

    if (sched_getaffinity(0, sizeof set, &set) == 0)
        n = CPU_COUNT(&set);
    if (quota > 0 && quota < n)
        n = quota;
#endif
    return n < 1 ? 1 : n > NAME_MAX_THREADS ? NAME_MAX_THREADS : (int)n;
}
