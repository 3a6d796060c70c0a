/* An emitted folder: its manifest, building it, running its program.
 *
 * jansson's objects are not in the arena, so what is wanted from the manifest is taken out before
 * anything is allocated there. */
#include "compiler/emitted.h"

#include <jansson.h>
#include <unistd.h>

enum { NAME_MAX_BYTES = 128 };

/* What is copied out of the JSON text. */
typedef struct {
    char name[NAME_MAX_BYTES], target[NAME_MAX_BYTES], family[NAME_MAX_BYTES];
    json_int_t bytes_per_token, weights_bytes;
} Facts;

static void take(char *to, const char *s)
{
    snprintf(to, NAME_MAX_BYTES, "%s", s);
}

static bool read_facts(const char *text, size_t n, Facts *f)
{
    json_error_t e;
    json_t *root = json_loadb(text, n, 0, &e), *target;
    const char *name = NULL, *sinter = NULL, *tname = "", *family = "";
    bool ok;

    memset(f, 0, sizeof *f);
    ok = root && !json_unpack(root, "{s:s, s:s, s:I, s:I, s:o}", "sinter", &sinter, "name", &name,
                              "bytes_per_token", &f->bytes_per_token, "weights_bytes",
                              &f->weights_bytes, "targets", &target);
    if (ok && json_array_size(target) > 0)
        ok = !json_unpack(json_array_get(target, 0), "{s:s, s:s}", "name", &tname, "family",
                          &family);
    ok = ok && f->bytes_per_token >= 0 && f->weights_bytes >= 0 && strlen(name) < NAME_MAX_BYTES;
    if (ok) {
        take(f->name, name);
        take(f->target, tname);
        take(f->family, family);
    }
    json_decref(root);
    return ok;
}

/* The words of a command, split at blanks. */
static const char *const *words(Arena *a, const char *s)
{
    const char **v = ARENA_ARRAY(a, const char *, strlen(s) / 2 + 2);
    int n = 0;

    while (*(s += strspn(s, " "))) {
        size_t k = strcspn(s, " ");

        v[n++] = str_z(a, (Str){ s, k });
        s += k;
    }
    return v;
}

/* How a program of that family is started here; NULL after a report. */
static const char *const *runner(Arena *a, FileSet *fs, Diag *d, const char *dir, const Facts *f)
{
    const char *const *names = target_names(a);

    if (!*f->family || !strcmp(f->family, "portable") || !strcmp(f->family, target_host_family()))
        return words(a, "");
    for (int pass = 0; pass < 2; pass++) /* the target itself, then any of its family */
        for (int i = 0; names[i]; i++) {
            const Target *t;

            if (pass == 0 && strcmp(names[i], f->target))
                continue;
            t = target_load(fs, a, d, names[i]);
            if (t && !strcmp(t->family, f->family) && *t->run)
                return words(a, t->run);
        }
    fail(d, AT_FILE(dir), "was built for %s, which does not run here", f->target);
    return NULL;
}

static bool read_folder(FileSet *fs, Arena *a, Diag *d, const char *dir, Emitted *out, Facts *f)
{
    const char *path = path_join(a, dir, "manifest.json");
    Mapped map;

    if (access(path, R_OK))
        return fail(d, AT_FILE(dir),
                    "is not a folder that `sinter build` has written (it has no manifest.json)");
    if (!file_map(fs, a, d, path, &map))
        return false;
    if (!read_facts((const char *)map.p, (size_t)map.n, f) || bad_build_name(f->name))
        return fail(d, AT_FILE(path), "is not a manifest of sinter's (build the folder again)");
    *out = (Emitted){ .dir = dir,
                      .name = str_printf(a, "%s", f->name),
                      .bytes_per_token = f->bytes_per_token,
                      .weights_bytes = f->weights_bytes };
    out->program = path_join(a, dir, out->name);
    if (!strchr(out->program, '/'))
        out->program = str_printf(a, "./%s", out->program);
    out->weights = path_join(a, dir, str_printf(a, "%s.weights", out->name));
    out->sir = path_join(a, dir, str_printf(a, "%s.sir", out->name));
    out->linked = access(path_join(a, dir, "weights.c"), R_OK) == 0;
    out->run = words(a, "");
    return true;
}

bool emitted_read(FileSet *fs, Arena *a, Diag *d, const char *dir, Emitted *out)
{
    Facts f;

    return read_folder(fs, a, d, dir, out, &f);
}

bool emitted_open(FileSet *fs, Arena *a, Diag *d, const char *dir, Emitted *out)
{
    Facts f;

    if (!read_folder(fs, a, d, dir, out, &f))
        return false;
    out->run = runner(a, fs, d, dir, &f);
    return out->run != NULL;
}

bool emitted_make(Arena *a, Diag *d, const char *dir)
{
    const char *argv[] = { "make", "-s", "-C", dir, NULL };
    Str out, err;
    int status = program_run(a, d, argv, &out, &err);

    if (status == 0)
        return true;
    if (status > 0) {
        fwrite(out.p, 1, out.n, stderr);
        fwrite(err.p, 1, err.n, stderr);
        fail(d, AT_FILE(dir), "the C could not be compiled (`make -C %s` says why)", dir);
    }
    return false;
}

const char *const *emitted_argv(Arena *a, const Emitted *e, const char *program,
                                const char *const *args)
{
    const char **v;
    int n_run = 0, n_args = 0, n = 0;

    while (e->run[n_run])
        n_run++;
    while (args[n_args])
        n_args++;
    v = ARENA_ARRAY(a, const char *, n_run + n_args + 2);
    for (int i = 0; i < n_run; i++)
        v[n++] = e->run[i];
    v[n++] = program;
    for (int i = 0; i < n_args; i++)
        v[n++] = args[i];
    return v;
}

bool emitted_run(Arena *a, Diag *d, const Emitted *e, const char *program, const char *const *args,
                 Str *out, Str *err)
{
    Str mine;
    int status = program_run(a, d, emitted_argv(a, e, program, args), out, err ? err : &mine);

    if (!err)
        err = &mine;
    if (status > 0) {
        fwrite(err->p, 1, err->n, stderr);
        fail(d, AT_FILE(program), "ended with exit status %d", status);
    }
    return status == 0;
}

const char *emitted_ids(Arena *a, int64_t n)
{
    Buf b = buf_in(a);

    for (int64_t i = 0; i < n; i++)
        buf_printf(&b, "%s%d", i ? "," : "", 1 + (int)(i * 7 % 9));
    return buf_z(&b);
}

bool emitted_stats(Str err, const char *const *key, int n, double *v)
{
    for (size_t end = err.n; end > 0;) {
        size_t begin = end;
        json_t *root;
        bool ok;

        while (begin > 0 && err.p[begin - 1] != '\n')
            begin--;
        root = json_loadb(err.p + begin, end - begin, 0, NULL);
        ok = root != NULL;
        for (int i = 0; ok && i < n; i++) {
            json_t *number = json_object_get(root, key[i]);

            ok = json_is_number(number);
            v[i] = ok ? json_number_value(number) : 0;
        }
        json_decref(root);
        if (ok)
            return true;
        end = begin ? begin - 1 : 0;
    }
    return false;
}
