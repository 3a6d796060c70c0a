/* What the machine could give, and how long a program takes, for tests/bench/bench.py, as one line of JSON:
 *
 *   measure read BYTES THREADS     {"mb_s": ...}: read bandwidth of a block of that size
 *   measure mac8 THREADS           {"mac8_per_ns": ..., "unit": "avx512_vnni"}: 8-bit multiply-adds of all threads
 *   measure wall PROGRAM WORD...   {"ms": ...}: from before the program is started until it has ended; its output goes nowhere
 *
 * The first two are what `sinter bench` and `sinter targets --calibrate` measure (compiler/calibrate.h).  The third is here because an
 * interpreter needs a millisecond of its own to start a program.  Exit 0: done, 1: the program failed, 2: wrong usage. */
#include "compiler/calibrate.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MS = 20, MOST_THREADS = 1024 };
extern char **environ;

static int threads_of(const char *s)
{
    int n = atoi(s);

    return n < 1 || n > MOST_THREADS ? 1 : n;
}

static double now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

static int wall(char **argv)
{
    posix_spawn_file_actions_t to_nowhere;
    double begin;
    int status;
    pid_t pid;

    if (posix_spawn_file_actions_init(&to_nowhere) ||
        posix_spawn_file_actions_addopen(&to_nowhere, STDOUT_FILENO, "/dev/null", O_WRONLY, 0))
        return 1;
    begin = now_ms();
    if (posix_spawnp(&pid, argv[0], &to_nowhere, NULL, argv, environ) ||
        waitpid(pid, &status, 0) != pid || status != 0) {
        fprintf(stderr, "measure: %s failed\n", argv[0]);
        return 1;
    }
    printf("{\"ms\": %.3f}\n", now_ms() - begin);
    posix_spawn_file_actions_destroy(&to_nowhere);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 4 && !strcmp(argv[1], "read")) {
        uint64_t bytes = strtoull(argv[2], NULL, 10);

        printf("{\"mb_s\": %" PRId64 "}\n", read_bandwidth(bytes, threads_of(argv[3]), MS));
        return 0;
    }
    if (argc == 3 && !strcmp(argv[1], "mac8")) {
        const char *unit;
        int64_t macs = mac8_peak(threads_of(argv[2]), MS, &unit);

        printf("{\"mac8_per_ns\": %.2f, \"unit\": \"%s\"}\n", 0.01 * (double)macs, unit);
        return 0;
    }
    if (argc >= 3 && !strcmp(argv[1], "wall"))
        return wall(argv + 2);
    fprintf(stderr, "usage: measure read BYTES THREADS | mac8 THREADS | wall PROGRAM WORD...\n");
    return 2;
}
