/* sinter opt: one pass, text to text.  What a pass does is seen, tested and reported with this command alone.
 *
 * The files that a Module's weights lie in are not opened: passes decide from types and sizes. */
#include "compiler/cmd.h"

static bool read_stdin(Arena *a, Diag *d, Str *out)
{
    Buf b = buf_in(a);
    char chunk[4096];
    size_t n;

    while ((n = fread(chunk, 1, sizeof chunk, stdin)) > 0)
        buf_put(&b, chunk, n);
    *out = buf_str(&b);
    return !ferror(stdin) || fail(d, AT_FILE("-"), "standard input cannot be read");
}

static bool read_text(Args *args, const char *path, Str *out)
{
    Mapped map;

    if (!strcmp(path, "-"))
        return read_stdin(args->a, args->d, out);
    if (!file_map(args->fs, args->a, args->d, path, &map))
        return false;
    *out = (Str){ (const char *)map.p, map.n };
    return true;
}

int cmd_opt(Args *args)
{
    enum { MAX_SET = 8 };
    const char *path = args->pos[0], *pass = arg_value(args, "--pass");
    const Target *target[MAX_SET];
    Env env = { .target = target, .opt = &args->build, .fs = args->fs };
    Buf b = buf_in(args->a);
    Module *m;
    Str text;
    bool ok = true;

    if (!read_text(args, path, &text))
        return EXIT_failed;
    m = module_parse(args->a, args->d, path, text);
    if (!m)
        return EXIT_failed;
    if (pass) {
        env.n_target = target_load_set(args->fs, args->a, args->d, args->build.target, target, MAX_SET);
        if (!env.n_target)
            return EXIT_failed;
        env.scratch = arena_child(args->a);
        ok = passes_run(m, &env, args->d, pass);
    }
    if (!ok)
        return EXIT_failed;
    module_print(m, &b);
    fwrite(b.p, 1, b.n, stdout);
    return EXIT_done;
}
