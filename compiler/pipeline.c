/* From a path to a folder: open, arch, passes, codegen; each step is one call.
 *
 * The folder is filled beside its final place and renamed when it is complete, so an interrupted or
 * failed build leaves what was there. An interrupt only sets a flag: the build stops before its
 * next step, and main cleans up as after any failure. */
#include "compiler/compiler.h"
#include "codegen/codegen.h"
#include "compiler/import/vocab.h"
#include "compiler/net_sizes.h"
#include "ir/net.h"

#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { MAX_SET = 8 };

/* ---- interrupts -------------------------------------------------------------------------------------------------------- */

static volatile sig_atomic_t interrupted; /* the only thing that a signal handler may touch */

void pipeline_interrupt(int sig)
{
    (void)sig;
    interrupted = 1;
}

bool pipeline_interrupted(void)
{
    return interrupted != 0;
}

/* ---- saying what is done ---------------------------------------------------------------------------------------------- */

typedef struct { bool on; double begun; } Steps;

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static Steps steps_begin(const BuildOptions *o)
{
    return (Steps){ .on = o->verbose || isatty(STDERR_FILENO), .begun = now() };
}

/* A line for the step that has ended; false when the build was interrupted meanwhile. */
static bool step(Steps *s, Diag *d, const char *fmt, ...)
{
    double t = now();
    va_list ap;

    if (s->on) {
        fprintf(stderr, "  %6.0f ms  ", 1e3 * (t - s->begun));
        va_start(ap, fmt);
        vfprintf(stderr, fmt, ap);
        va_end(ap);
        fputc('\n', stderr);
    }
    s->begun = now();
    return !interrupted || fail(d, NOWHERE, "interrupted (what was there before is unchanged)");
}

/* ---- the Module -------------------------------------------------------------------------------------------------------- */

static bool is_sir(const char *path)
{
    return str_ends(str_of(path), ".sir");
}

/* A Module that came out of the last pass: codegen takes it as it is. */
static bool is_scheduled(const Module *m)
{
    return module_meta_int(m, "build.n_target", 0) > 0;
}

/* The weights file of a scheduled Module, beside its .sir: maps it as the source file "weights". */
static bool attach_packed(FileSet *fs, Diag *d, const char *sir, Module *m)
{
    const char *path = str_printf(m->a, "%.*s.weights", (int)(strlen(sir) - 4), sir);
    Mapped map;
    int i;

    if (!file_map(fs, m->a, d, path, &map))
        return false;
    if (map.n != m->weights_bytes)
        return fail(d, AT_FILE(path),
                    "has %" PRIu64 " bytes, the Module's has %" PRIu64 " (of another build?)",
                    map.n, m->weights_bytes);
    i = module_add_file(m, "weights", (Digest){ { 0 } }, map.n, map.p);
    m->file[i].packed = true;
    return true;
}

/* The text says how long the tokenizer's tables are, not what is in them: they are made again from
 * the model that the weights are views of, which module_attach has found beside the .sir. */
static bool attach_tables(Diag *d, const char *sir, Module *m)
{
    Blob *tok = module_find_blob(m, "tok"), *made;
    Module *text = module_new(m->a, "text");
    Model *model;

    if (!tok || tok->p)
        return true;
    if (!m->n_file || !m->file[0].p)
        return fail(d, AT_FILE(sir), "the tokenizer's tables are not at hand (put the model file beside the .sir)");
    model = model_read(m->a, d, (Mapped){ .path = m->file[0].name, .p = m->file[0].p, .n = m->file[0].bytes });
    if (!model || !vocab_to_module(text, model, d))
        return false;
    made = module_find_blob(text, "tok");
    if (!made || made->n != tok->n)
        return fail(d, AT_FILE(sir), "the tokenizer's tables have %" PRIu64 " bytes, those of the model beside it %" PRIu64
                    " (of another sinter? make the .sir again)", tok->n, made ? made->n : 0);
    tok->p = made->p;
    return true;
}

static Module *read_sir(FileSet *fs, Arena *a, Diag *d, const char *path)
{
    Mapped map;
    Module *m;

    if (!file_map(fs, a, d, path, &map))
        return NULL;
    m = module_parse(a, d, path, (Str){ (const char *)map.p, (size_t)map.n });
    if (!m || !module_verify(m, d) || (is_scheduled(m) && !attach_packed(fs, d, path, m)) ||
        !module_attach(m, fs, d, path_dir(a, path), true) ||
        (!is_scheduled(m) && !attach_tables(d, path, m)))
        return NULL;
    return m;
}

static bool check_digest(const Model *model, Diag *d, const char *want)
{
    Digest digest;

    if (!want || (digest_parse(str_of(want), &digest) && digest_eq(digest, model->digest)))
        return true;
    return fail(d, AT_FILE(model->file.path), "its digest is %s, not %s (another version of the model?)",
                digest_hex(model->a, model->digest), want);
}

Module *pipeline_module(FileSet *fs, Arena *a, Diag *d, const BuildOptions *o, const char *path)
{
    BuildOptions named = *o;
    Model *model;

    if (is_sir(path))
        return read_sir(fs, a, d, path);
    model = model_open(fs, a, d, path);
    if (!model)
        return NULL;
    model_digest(model);
    if (!check_digest(model, d, o->digest))
        return NULL;
    named.model = path;
    return arch_module(a, model, &named, d);
}

/* ---- budgets and sizes -------------------------------------------------------------------------------------------------- */

typedef struct { uint64_t weights, arena, scratch, state, n_ctx, session; } Sizes;

static Sizes sizes_of(const Module *m)
{
    Sizes s = { .weights = m->weights_bytes,
                .arena = (uint64_t)module_meta_int(m, "arena_bytes", 0),
                .scratch = (uint64_t)module_meta_int(m, "scratch_bytes", 0),
                .n_ctx = (uint64_t)module_meta_int(m, "n_ctx", 0) };

    for (int i = 0; i < m->n_state; i++) {
        uint64_t bytes;

        if (type_bytes(m->state[i]->type, &bytes))
            s.state += bytes; /* at the most positions that a session may have */
    }
    s.session = s.arena + s.scratch + s.state;
    return s;
}

static void print_sizes(const Sizes *s)
{
    printf("weights file       %14" PRIu64 " bytes\n", s->weights);
    printf("session            %14" PRIu64 " bytes, one thread, %" PRIu64 " positions\n",
           s->session, s->n_ctx);
    printf("  activations      %14" PRIu64 "\n", s->arena);
    printf("  scratch, thread  %14" PRIu64 "\n", s->scratch);
    printf("  KV cache         %14" PRIu64 "\n", s->state);
}

/* The budgets are asked one after the other, so that both are reported. */
static bool within_budget(Diag *d, const BuildOptions *o, const Sizes *s)
{
    bool ok = true;

    if (o->max_flash && s->weights > o->max_flash)
        ok = fail(d, NOWHERE,
                  "over budget: the weights file has %" PRIu64 " bytes, --max-flash allows %" PRIu64
                  " (%" PRIu64 " too many; a smaller format, or a smaller model)",
                  s->weights, o->max_flash, s->weights - o->max_flash);
    if (o->max_ram && s->session > o->max_ram)
        ok = fail(d, NOWHERE,
                  "over budget: a session needs %" PRIu64 " bytes, --max-ram allows %" PRIu64
                  " (%" PRIu64 " too many: KV cache %" PRIu64 ", activations %" PRIu64
                  ", scratch %" PRIu64 "; try --ctx or --kv f16)",
                  s->session, o->max_ram, s->session - o->max_ram, s->state, s->arena, s->scratch);
    return ok;
}

/* ---- the depfile -------------------------------------------------------------------------------------------------------- */

/* A path as make reads it: what separates words or rules with a backslash, $ doubled. */
static void put_dep(Buf *b, const char *path)
{
    for (; *path; path++) {
        if (strchr(" \t#\\:|", *path))
            buf_putc(b, '\\');
        if (*path == '$')
            buf_putc(b, '$');
        buf_putc(b, *path);
    }
}

static bool write_depfile(FileSet *fs, Arena *a, Diag *d, const BuildOptions *o, const char *out,
                          const Target *const *target, int n_target)
{
    const char *path = *o->depfile ? o->depfile : str_printf(a, "%s.d", out);
    const char *dep[2 + MAX_SET];
    Buf b = buf_in(a);
    int n = 0;

    dep[n++] = o->model;
    if (o->depends)
        dep[n++] = o->depends;
    for (int i = 0; i < n_target; i++)
        if (target[i]->file)
            dep[n++] = target[i]->file;
    for (int i = 0; i < n; i++)
        if (strpbrk(dep[i], "\r\n;") || strpbrk(out, "\r\n;"))
            return fail(d, AT_FILE(path), "make cannot read a path with a line break or ';' (rename it)");
    put_dep(&b, path_join(a, out, "manifest.json"));
    buf_putc(&b, ':');
    for (int i = 0; i < n; i++) {
        buf_puts(&b, " \\\n  ");
        put_dep(&b, dep[i]);
    }
    buf_putc(&b, '\n');
    for (int i = 0; i < n; i++) { /* an empty rule each, so that a removed file stops nobody */
        buf_putc(&b, '\n');
        put_dep(&b, dep[i]);
        buf_puts(&b, ":\n");
    }
    return file_write(fs, a, d, path, buf_str(&b));
}

/* ---- the build ---------------------------------------------------------------------------------------------------------- */

static bool write_ir(FileSet *fs, Arena *a, Diag *d, const BuildOptions *o, const Module *m)
{
    Buf b = buf_in(a);

    module_print(m, &b);
    if (o->out && strcmp(o->out, "-"))
        return file_write(fs, a, d, o->out, buf_str(&b));
    fwrite(b.p, 1, b.n, stdout);
    return true;
}

static char *without_slashes(Arena *a, const char *path)
{
    size_t n = strlen(path);

    while (n > 1 && path[n - 1] == '/')
        n--;
    return str_z(a, (Str){ path, n });
}

/* A microcontroller has no files and little memory: weights are constants of the program, prompts pass in small pieces, and nobody guesses. */
static void choose_for_bare(BuildOptions *o)
{
    enum { BARE_BATCH = 8 };

    o->link_weights = true;
    o->batch = o->batch ? o->batch : BARE_BATCH;
    o->spec = o->spec ? o->spec : "none";
}

/* A network's sizes are all known before anything runs, but its code and its stack are the target compiler's: where they are asked for, the folder is compiled
 * before it gets its place.  Returns the exit status. */
static int network_folder(FileSet *fs, Arena *a, Diag *d, const BuildOptions *o, Steps *s, const Module *m, const char *out)
{
    const char *tmp = getenv("TMPDIR"), *where = o->dry_run ? str_printf(a, "%s/sinter-sizes-%ld", tmp && *tmp ? tmp : "/tmp", (long)getpid()) : out;
    NetSizes sizes = net_sizes(m);
    OutDir *dir = outdir_open(fs, a, d, where);

    if (!dir || !codegen_folder(m, fs, outdir_path(dir), d) || !step(s, d, "written"))
        return 1;
    if (o->dry_run || o->max_ram || o->max_flash) {
        net_sizes_measure(&sizes, a, m, outdir_path(dir));
        if (!step(s, d, sizes.linked ? "compiled" : "not compiled"))
            return 1;
    }
    if (!net_sizes_within(&sizes, m, a, d, o))
        return 3;
    if (o->dry_run) {                           /* (the folder is removed with all that is not complete) */
        net_sizes_print(m, a, &sizes);
        return 0;
    }
    if (!outdir_commit(dir))
        return 1;
    if (s->on)
        fprintf(stderr, "  %s: %" PRIu64 " bytes of weights, %" PRIu64 " bytes of memory; next: make -C %s\n", out, sizes.weights, sizes.memory, out);
    return 0;
}

int pipeline_run(FileSet *fs, Arena *a, Diag *d, const BuildOptions *given)
{
    BuildOptions o = *given;
    const Target *target[MAX_SET];
    Env env = { .target = target, .opt = &o, .fs = fs };
    const char *out = without_slashes(a, build_out(a, &o));
    Steps s = steps_begin(&o);
    Module *m;
    Sizes sizes;
    OutDir *dir;

    env.n_target = target_load_set(fs, a, d, o.target, target, MAX_SET);
    if (!env.n_target)
        return 1;
    if (target_is_bare(target[0]))
        choose_for_bare(&o);
    m = pipeline_module(fs, a, d, &o, o.model);
    if (!m || !step(&s, d, "read %s", path_base(o.model)))
        return 1;
    if (!strcmp(o.emit, "ir"))
        return !write_ir(fs, a, d, &o, m);
    if (o.project && strcmp(o.project, "plain") && strcmp(o.project, "cmake"))      /* whose files are always there */
        module_set_meta(m, "build.project", attr_str("", o.project));
    if (is_scheduled(m)) {
        o.name = given->name ? given->name : module_meta_str(m, "build.name", build_name(a, &o));
        if (given->name)
            module_set_meta(m, "build.name", attr_str("build.name", given->name));
    } else {
        o.name = build_name(a, &o);
        env.scratch = arena_child(a);
        if (!passes_run(m, &env, d, NULL) || !step(&s, d, "passes"))
            return 1;
    }
    if (module_is_network(m)) {
        int rc = network_folder(fs, a, d, &o, &s, m, out);

        return rc || o.dry_run || !o.depfile || write_depfile(fs, a, d, &o, out, target, env.n_target) ? rc : 1;
    }
    sizes = sizes_of(m);
    if (!within_budget(d, &o, &sizes))
        return 3;
    if (o.dry_run) {
        print_sizes(&sizes);
        return 0;
    }
    dir = outdir_open(fs, a, d, out);
    if (!dir || !codegen_folder(m, fs, outdir_path(dir), d) || !step(&s, d, "written") ||
        !outdir_commit(dir))
        return 1;
    if (o.depfile && !write_depfile(fs, a, d, &o, out, target, env.n_target))
        return 1;
    if (s.on)
        fprintf(stderr,
                "  %s: %.1f MB of weights, %.1f MB for a session of %" PRIu64
                " positions; next: make -C %s\n",
                out, 1e-6 * (double)sizes.weights, 1e-6 * (double)sizes.session, sizes.n_ctx, out);
    return 0;
}

bool pipeline_build(FileSet *fs, Arena *a, Diag *d, const BuildOptions *o)
{
    return pipeline_run(fs, a, d, o) == 0;
}
