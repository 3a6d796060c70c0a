/* sinter run: build, compile, execute; what was built once is kept.
 *
 * The folder is ${XDG_CACHE_HOME:-~/.cache}/sinter/run/KEY, where KEY is a digest of all that the
 * emitted bytes depend on: the model file, the options, the target and this executable.  The file
 * .made says that compiling it was finished. */
#include "compiler/emitted.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *cache_root(Arena *a, Diag *d)
{
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

    if (xdg && xdg[0] == '/')
        return path_join(a, xdg, "sinter");
    if (home && home[0] == '/')
        return path_join(a, home, ".cache/sinter");
    fail(d, NOWHERE,
         "there is no place to keep the program (set HOME or XDG_CACHE_HOME, or use `sinter "
         "build`)");
    return NULL;
}

static bool make_folders(Arena *a, Diag *d, const char *path)
{
    char *p = str_z(a, str_of(path));

    for (char *s = p + 1;; s++) {
        char c = *s;

        if (c && c != '/')
            continue;
        *s = 0;
        if (mkdir(p, 0777) && errno != EEXIST)
            return fail(d, AT_FILE(p), "this folder cannot be made: %s", strerror(errno));
        *s = c;
        if (!c)
            return true;
    }
}

static void add_text(DigestState *s, const char *text)
{
    digest_add(s, text, strlen(text) + 1); /* with its end, so that texts do not run together */
}

/* What the emitted folder depends on.  NULL after a report. */
static const char *cache_key(FileSet *fs, Arena *a, Diag *d, const BuildOptions *o)
{
    const Target *target[8];
    int n = target_load_set(fs, a, d, o->target, target, 8);
    DigestState *s = digest_begin(a);
    Buf b = buf_in(a);
    Mapped map;

    if (!n || !file_map(fs, a, d, o->model, &map))
        return NULL;
    digest_add(s, map.p, (size_t)map.n);
    for (int i = 0; i < n; i++)
        target_print(&b, target[i]);
    buf_printf(&b, "act %d %d kv %s ctx %" PRId64 " fuse %s link %d quant %s exact %d", (int)o->act_decode,
               (int)o->act_prefill, o->kv->name, o->ctx, o->fuse ? o->fuse : "default",
               o->link_weights, o->quant ? o->quant->name : "none", o->exact);
    add_text(s, buf_z(&b));
    add_text(s, build_name(a, o));
    add_text(s, SINTER_VERSION);
    if (!access("/proc/self/exe", R_OK) && file_map(fs, a, d, "/proc/self/exe", &map))
        digest_add(s, map.p, (size_t)map.n); /* two sinters of one version may differ */
    return digest_hex(a, digest_end(s));
}

int cmd_run(Args *args)
{
    BuildOptions o = args->build;
    const char *root = cache_root(args->a, args->d), *key, *made;
    Emitted e;
    int status;

    o.model = args->pos[0];
    if (!root || !(key = cache_key(args->fs, args->a, args->d, &o)))
        return EXIT_failed;
    o.name = build_name(args->a, &o);
    root = path_join(args->a, root, "run");
    o.out = path_join(args->a, root, key);
    made = path_join(args->a, o.out, ".made");
    if (access(made, R_OK)) {
        if (!make_folders(args->a, args->d, root))
            return EXIT_failed;
        status = pipeline_run(args->fs, args->a, args->d, &o);
        if (status)
            return status;
        if (o.verbose || isatty(STDERR_FILENO))
            fprintf(stderr, "  compiling %s (once; kept in %s)\n", o.name, o.out);
        if (!emitted_make(args->a, args->d, o.out) ||
            !file_write(args->fs, args->a, args->d, made, STR("compiled\n")))
            return EXIT_failed;
    }
    if (!emitted_open(args->fs, args->a, args->d, o.out, &e))
        return EXIT_failed;
    args->rest[args->n_rest] = NULL;
    fflush(NULL);
    {
        const char *const *argv = emitted_argv(args->a, &e, e.program, args->rest);

        execvp(argv[0], (char *const *)argv);
        fail(args->d, AT_FILE(argv[0]), "cannot be executed: %s", strerror(errno));
    }
    return EXIT_failed;
}
