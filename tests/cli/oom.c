/* If this fails, sinter crashes, leaks or leaves half a folder behind when memory runs out.
 *
 *     oom [--most N] [--seed S] MODEL WORK        WORK is a folder that is made
 *
 * A model is compiled to IR, and to C for the portable target; then again and again with the n-th
 * allocation failing, for every n below the number that a whole build makes.  If that is more than
 * N (2000), for N values of n spread evenly, which S shifts.
 *
 * A build whose allocation fails must come back through the jump to its setjmp, as main's does;
 * closing its files must remove what it had begun to write, and what an earlier build left must
 * still be there.  Run under AddressSanitizer, which sees what is not freed. */
#include "compiler/compiler.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

typedef enum { BUILT, REFUSED, OUT_OF_MEMORY } Outcome;

typedef struct { const char *name, *emit, *out; } Case;

/* One build in an arena of its own whose n-th allocation fails (0: none does).  *n_allocs: how many
 * it made, if it came to its end. */
static Outcome build(const char *model, const Case *c, uint64_t n, uint64_t *n_allocs)
{
    jmp_buf oom;
    FileSet *fs = files_new();
    Arena *a = fs ? arena_new(&oom) : NULL;
    volatile Outcome outcome = OUT_OF_MEMORY;

    if (!a)
        bug("no memory for the test itself");
    if (!setjmp(oom)) {
        BuildOptions o = build_options_default();
        Diag *d;

        arena_fail_after(a, n);
        d = diag_new(a, NULL);
        o.model = model;
        o.target = "portable";
        o.emit = c->emit;
        o.out = c->out;
        outcome = pipeline_build(fs, a, d, &o) ? BUILT : REFUSED;
        if (outcome == REFUSED)
            fprintf(stderr, "%s, allocation %" PRIu64 ": " STR_FMT "\n", c->name, n,
                    STR_ARG(diag_text(d)));
        *n_allocs = arena_n_allocs(a);
    }
    files_close(fs);
    arena_free(a);
    return outcome;
}

/* Entries of a folder but . and ..; -1: it cannot be read. */
static int n_entries(const char *dir)
{
    DIR *d = opendir(dir);
    int n = 0;

    if (!d)
        return -1;
    for (struct dirent *e; (e = readdir(d));)
        n += strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
    closedir(d);
    return n;
}

/* The number of failures that were not handled as they must be. */
static int check(const char *model, const char *work, const Case *c, uint64_t most, uint64_t seed)
{
    uint64_t n_allocs = 0, ignored, step, n_tried = 0;
    int bad = 0, n_files;

    if (build(model, c, 0, &n_allocs) != BUILT) {
        printf("FAIL %s: it does not build at all\n", c->name);
        return 1;
    }
    n_files = n_entries(work);
    step = n_allocs / most + 1;
    for (uint64_t n = 1 + seed % step; n <= n_allocs && bad < 5; n += step) {
        Outcome outcome = build(model, c, n, &ignored);
        struct stat st;

        n_tried++;
        if (outcome != OUT_OF_MEMORY) {
            printf("FAIL %s: allocation %" PRIu64 " failed, and the build %s\n", c->name, n,
                   outcome == BUILT ? "went on" : "took it for the user's mistake");
            bad++;
        }
        if (stat(c->out, &st) || n_entries(work) != n_files) {
            printf("FAIL %s: after failed allocation %" PRIu64 " the folder is not as it was\n",
                   c->name, n);
            bad++;
        }
    }
    printf("%s: %" PRIu64 " of %" PRIu64 " allocations failed, %s\n", c->name, n_tried, n_allocs,
           bad ? "not all well" : "each as it must");
    return bad;
}

int main(int argc, char **argv)
{
    uint64_t most = 2000, seed = 0;
    int passed = 0, failed = 0, i = 1;

    for (; i + 1 < argc && argv[i][0] == '-'; i += 2) {
        uint64_t *value = !strcmp(argv[i], "--most")   ? &most
                          : !strcmp(argv[i], "--seed") ? &seed
                                                       : NULL;

        if (!value) {
            fprintf(stderr, "oom: unknown option '%s'\n", argv[i]);
            return 2;
        }
        *value = strtoull(argv[i + 1], NULL, 10);
    }
    if (argc - i != 2 || !most) {
        fputs("usage: oom [--most N] [--seed S] MODEL WORK\n", stderr);
        return 2;
    }
    if (mkdir(argv[i + 1], 0777) && errno != EEXIST) {
        perror(argv[i + 1]);
        return 1;
    }
    Arena *a = arena_new(NULL);
    const char *work = argv[i + 1];
    const Case cases[] = { { "ir", "ir", path_join(a, work, "model.sir") },
                           { "c", "c", path_join(a, work, "model") } };

    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        if (check(argv[i], work, &cases[k], most, seed))
            failed++;
        else
            passed++;
    }
    arena_free(a);
    printf("%d passed, %d failed, 0 skipped\n", passed, failed);
    return failed != 0;
}
