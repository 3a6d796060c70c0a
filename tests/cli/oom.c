/* If this fails, running out of memory is a crash, a leak or a torn folder instead of a message.
 *
 *     oom MODEL.gguf DIR [TARGET]
 *
 * Builds the model again and again; the n-th allocation of the arena fails, n rising from 1 until a build succeeds: every n up to 200, then
 * in steps of a fiftieth.  After each failure DIR must not be there, and nothing beside it.  Best run under AddressSanitizer. */
#include "compiler/compiler.h"

#include <dirent.h>
#include <libgen.h>
#include <stdlib.h>
#include <unistd.h>

/* One build.  true: it ended by itself. */
static bool build(const char *model, const char *dir, const char *target, uint64_t n, int *status)
{
    jmp_buf oom;
    FileSet *fs = files_new();
    Arena *a = arena_new(&oom);
    volatile bool ended = false;

    if (!fs || !a)
        abort();
    if (!setjmp(oom)) {
        Diag *d = diag_new(a, NULL);
        BuildOptions o = build_options_default();

        o.model = model;
        o.out = dir;
        o.target = target;
        arena_fail_after(a, n);
        *status = pipeline_run(fs, a, d, &o);
        ended = true;
    }
    files_close(fs);
    arena_free(a);
    return ended;
}

/* Does the folder around DIR hold anything whose name begins like DIR's? */
static bool leftovers(const char *dir)
{
    char *copy = strdup(dir), *base = strdup(dir);
    DIR *around = opendir(dirname(copy));
    const char *name = basename(base);
    struct dirent *f;
    bool found = false;

    while (around && (f = readdir(around)))
        if (!strncmp(f->d_name, name, strlen(name))) {
            fprintf(stderr, "left behind: %s\n", f->d_name);
            found = true;
        }
    if (around)
        closedir(around);
    free(copy);
    free(base);
    return found;
}

int main(int argc, char **argv)
{
    int n_failed = 0, status = -1;

    if (argc < 3) {
        fprintf(stderr, "usage: oom MODEL.gguf DIR [TARGET]\n");
        return 2;
    }
    for (uint64_t n = 1;; n += n < 200 ? 1 : n / 50) {
        if (build(argv[1], argv[2], argc > 3 ? argv[3] : "portable", n, &status))
            break;
        n_failed++;
        if (leftovers(argv[2]))
            return 1;
    }
    printf("%d builds ran out of memory and left nothing behind; then one %s\n", n_failed, status ? "failed" : "succeeded");
    return status != 0 || n_failed < 100;
}
