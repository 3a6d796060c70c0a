/* What the machine could give, and how long a program takes, for tests/bench/bench.py, as one line of JSON:
 *
 *   measure read BYTES THREADS     {"mb_s": ...}: read bandwidth of a block of that size
 *   measure mac8 THREADS           {"mac8_per_ns": ..., "unit": "avx512_vnni"}: 8-bit multiply-adds of all threads
 *   measure touch FILE THREADS     nothing: maps the file and reads it once; `measure wall measure touch ...` is how long that takes
 *   measure wall PROGRAM WORD...   {"ms": ...}: from before the program is started until it has ended; its output goes nowhere
 *
 * read and mac8 are what `sinter bench` and `sinter targets --calibrate` measure (compiler/calibrate.h).  wall is here because an
 * interpreter needs a millisecond of its own to start a program.  Exit 0: done, 1: the program failed, 2: wrong usage. */
#include "compiler/calibrate.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/mman.h>
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

static int touch(const char *path, int n_threads)
{
    int fd = open(path, O_RDONLY);
    off_t n = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
    void *p = n <= 0 ? MAP_FAILED : mmap(NULL, (size_t)n, PROT_READ, MAP_SHARED, fd, 0);

    if (p == MAP_FAILED || !read_once(p, (size_t)n, n_threads)) {
        fprintf(stderr, "measure: %s cannot be read\n", path);
        return 1;
    }
    return 0;
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
    if (argc == 4 && !strcmp(argv[1], "touch"))
        return touch(argv[2], threads_of(argv[3]));
    if (argc >= 3 && !strcmp(argv[1], "wall"))
        return wall(argv + 2);
    fprintf(stderr, "usage: measure read BYTES THREADS | mac8 THREADS | touch FILE THREADS | wall PROGRAM WORD...\n");
    return 2;
}
