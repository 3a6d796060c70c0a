/* sinter verify: an emitted program against the reference interpreter, layer by layer.
 *
 * The program is compiled once more with its trace switched on, in a folder of its own, and run on
 * a few tokens, as one prefill and token by token.  The interpreter executes DIR/NAME.sir, the
 * scheduled Module with the packed weights, on the same tokens.  For every result of every stage,
 * in the same order, there is
 *
 *     from the program       in --trace FILE:  u32 n, n bytes of name, u32 n, n floats
 *     from the interpreter   the value that the stage's region yields
 *
 * Final logits are compared first.  Then the traces are walked side by side, and the first stage
 * that leaves its bound is named.  Both round the same activations to the same formats, so a value
 * near a border may fall to either side: bounds are on the root mean square of the difference,
 * relative to that of the values, and depend on the coarsest format between stages.
 *
 * Networks without tokens: verify_net.c. */
#include "compiler/emitted.h"
#include "ir/net.h"

#include <dirent.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

enum { MAX_TOKENS = 64 };

typedef struct { const char *name; const float *v; int64_t n; } Record;
typedef struct { Record *r; int n, cap; } Trace;

/* ---- what the interpreter computes ------------------------------------------------------------------------------------- */

typedef struct {
    Trace *trace;
    Arena *a;
    Record *inner; int n_inner;     /* values of the stage that runs now, by result */
} Watch;

static void trace_add(Trace *t, Arena *a, Record r)
{
    if (t->n == t->cap) {
        Record *grown = ARENA_ARRAY(a, Record, 2 * t->cap + 64);

        if (t->n)
            memcpy(grown, t->r, (size_t)t->n * sizeof *grown);
        t->r = grown;
        t->cap = 2 * t->cap + 64;
    }
    t->r[t->n++] = r;
}

static bool is_traced(const Value *v)
{
    return !strcmp(v->type.fmt->name, "f32") && v->type.rank == 2;
}

/* Called after each op, innermost first: keeps what a stage will yield, and at the stage itself
 * files it. */
static void watch(void *ctx, const Op *o, const Tensor *t)
{
    Watch *w = ctx;
    const Op *owner = o->parent->owner;

    if (owner && owner->kind == OP_fused) {
        const Op *yield = owner->region[0]->last;

        for (int i = 0; i < yield->n_in && i < 8; i++)
            if (yield->in[i] == o->out[0] && is_traced(owner->out[i])) {
                float *copy = ARENA_ARRAY(w->a, float, t->n);

                if (t->n)
                    memcpy(copy, t->f, (size_t)t->n * sizeof *copy);
                w->inner[i] = (Record){ owner->out[i]->name, copy, t->n };
            }
        return;
    }
    if (o->kind != OP_fused)
        return;
    for (int i = 0; i < o->n_out && i < 8; i++)
        if (is_traced(o->out[i]) && w->inner[i].v) {
            trace_add(w->trace, w->a, w->inner[i]);
            w->inner[i] = (Record){ 0 };
        }
}

static const Entry *entry_of(const Module *m, const char *name)
{
    for (int i = 0; i < m->n_entry; i++)
        if (!strcmp(m->entry[i].name, name))
            return &m->entry[i];
    return NULL;
}

/* Logits of all positions and the trace, `step` tokens per call. */
static bool interpret(Args *args, Module *m, const int32_t *ids, int n, int step, float *logits,
                      int64_t n_vocab, Trace *trace)
{
    Interp *ip = interp_new(m, args->d, n);
    int64_t *sym = ARENA_ARRAY(args->a, int64_t, m->n_sym + 1);
    Record inner[8] = { { 0 } };
    Watch w = { .trace = trace, .a = args->a, .inner = inner };
    bool ok = ip != NULL;

    if (ip)
        interp_trace(ip, watch, &w);
    for (int at = 0; ok && at < n && !pipeline_interrupted(); at += step) {
        bool few = step > 1 && step <= module_meta_int(m, "build.few_tokens", 0) && entry_of(m, "verify");
        const Entry *e = entry_of(m, step == 1 ? "decode" : few ? "verify" : "prefill");
        int32_t now[MAX_TOKENS];
        Tensor in = { .rank = 1, .dim = { step }, .i = now, .n = step }, y;

        memcpy(now, ids + at, (size_t)step * sizeof *now);
        in.type = e->func->body->param[0]->type;
        sym[module_find_sym(m, STR("T"))->index] = step;
        sym[module_find_sym(m, STR("O"))->index] = step;
        progress(args->d, step == 1 ? "interpreter, token by token" : "interpreter", (uint64_t)at,
                 (uint64_t)n);
        ok = interp_run(ip, e, sym, &in, 1, &y, 1) && y.n == step * n_vocab;
        if (ok)
            memcpy(logits + at * n_vocab, y.f, (size_t)y.n * sizeof *logits);
    }
    progress(args->d, "interpreter", (uint64_t)n, (uint64_t)n);
    interp_free(ip);
    return ok && !pipeline_interrupted();
}

/* ---- what the program computes ------------------------------------------------------------------------------------------ */

static bool read_u32(Str *s, uint32_t *v)
{
    if (s->n < 4)
        return false;
    memcpy(v, s->p, 4);
    s->p += 4;
    s->n -= 4;
    return true;
}

static bool read_trace(Arena *a, Diag *d, const char *path, Str s, Trace *t)
{
    while (s.n) {
        uint32_t n_name, n;
        const char *name;
        float *v;

        if (!read_u32(&s, &n_name) || n_name > s.n)
            return fail(d, AT_FILE(path), "the trace ends in the middle of a record");
        name = str_z(a, (Str){ s.p, n_name });
        s.p += n_name;
        s.n -= n_name;
        if (!read_u32(&s, &n) || s.n / sizeof(float) < n)
            return fail(d, AT_FILE(path), "the trace ends in the middle of a record");
        v = ARENA_ARRAY(a, float, n);
        if (n)
            memcpy(v, s.p, n * sizeof *v);
        s.p += n * sizeof *v;
        s.n -= n * sizeof *v;
        trace_add(t, a, (Record){ name, v, n });
    }
    return true;
}

static bool read_floats(Args *args, const char *path, float *v, int64_t n)
{
    Mapped map;

    if (!file_map(args->fs, args->a, args->d, path, &map))
        return false;
    if (map.n != (uint64_t)n * sizeof *v)
        return fail(args->d, AT_FILE(path),
                    "the program wrote %" PRIu64 " bytes of logits, not %" PRId64, map.n,
                    n * (int64_t)sizeof *v);
    memcpy(v, map.p, (size_t)map.n);
    return true;
}

/* Links in `tmp` to every source of the folder: what has been compiled there already stays out of
 * the way. */
static bool link_sources(Args *args, const char *from, const char *tmp)
{
    DIR *dir = opendir(from);
    struct dirent *f;
    bool ok = dir || fail(args->d, AT_FILE(from), "this folder cannot be read");

    while (ok && (f = readdir(dir))) {
        Str s = str_of(f->d_name);

        if (str_is(s, "Makefile") || str_ends(s, ".c") || str_ends(s, ".h") ||
            str_ends(s, ".weights"))
            ok =
                !symlink(path_join(args->a, from, f->d_name), path_join(args->a, tmp, f->d_name)) ||
                fail(args->d, AT_FILE(tmp), "a link could not be made there");
    }
    if (dir)
        closedir(dir);
    return ok;
}

const char *emitted_make_traced(Args *args, const Emitted *e, const char *tmp)
{
    Arena *a = args->a;
    char *dir = realpath(e->dir, NULL);
    const char *from = dir ? str_z(a, str_of(dir)) : NULL;
    const char *argv[] = {
        "make", "-s", "-C", tmp, str_printf(a, "CFLAGS=-O2 -D%s_TRACE", e->name), e->name, NULL
    };
    Str out, err;

    free(dir);
    if (!from || !link_sources(args, from, tmp))
        return NULL;
    if (program_run(a, args->d, argv, &out, &err)) {
        fwrite(err.p, 1, err.n, stderr);
        fail(args->d, AT_FILE(e->dir), "could not be compiled with its trace on");
        return NULL;
    }
    return path_join(a, tmp, e->name);
}

static bool run_traced(Args *args, const Emitted *e, const char *program, const char *tmp,
                       const char *ids, bool one_by_one, float *logits, int64_t n_logits,
                       Trace *trace)
{
    Arena *a = args->a;
    const char *file = path_join(a, tmp, one_by_one ? "one.trace" : "all.trace");
    const char *raw = path_join(a, tmp, one_by_one ? "one.f32" : "all.f32");
    const char *argv[16];
    Mapped map;
    int n = 0;

    argv[n++] = "--ids";
    argv[n++] = ids;
    argv[n++] = "-n";
    argv[n++] = "0";
    argv[n++] = "-j";
    argv[n++] = "1";
    argv[n++] = "--logits";
    argv[n++] = raw;
    argv[n++] = "--trace";
    argv[n++] = file;
    if (one_by_one)
        argv[n++] = "--one-by-one";
    argv[n] = NULL;
    return emitted_run(a, args->d, e, program, argv, NULL, NULL) &&
           read_floats(args, raw, logits, n_logits) && file_map(args->fs, a, args->d, file, &map) &&
           read_trace(a, args->d, file, (Str){ (const char *)map.p, (size_t)map.n }, trace);
}

/* ---- comparing ------------------------------------------------------------------------------------------------------------ */

/* Root mean square of the difference over that of the reference; infinite where one is not a number
 * and the other is. */
static double distance(const float *have, const float *want, int64_t n)
{
    double diff = 0, size = 0;

    for (int64_t i = 0; i < n; i++) {
        double x = (double)have[i] - (double)want[i];

        if (isnan(have[i]) && isnan(want[i]))
            continue;
        diff += x * x;
        size += (double)want[i] * (double)want[i];
    }
    if (!(diff <= 1e300))
        return INFINITY;
    return size > 0 ? sqrt(diff / size) : diff > 0 ? INFINITY : 0;
}

/* How far apart two right computations of this Module may be. */
static double bound_of(const Module *m)
{
    double bound = 1e-4;

    for (int i = 0; i < m->n_state; i++)
        if (strcmp(m->state[i]->type.fmt->name, "f32"))
            bound = bound < 2e-3 ? 2e-3 : bound;
    for (const Func *f = m->first_func; f; f = f->next)
        for (const Op *o = f->body->first; o; o = op_walk((Op *)o, f->body))
            if (o->kind == OP_quant)
                return 5e-2;
    return bound;
}

typedef struct {
    const char *mode;
    double logits, worst;
    const char *first;
    int stages;
    bool ok;
} Result;

/* `base` names what the program calls "name" or "layer:name"; both must mean the same value. */
static bool same_name(const char *have, const char *want)
{
    return str_ends(str_of(have), want);
}

static bool compare(Args *args, const char *mode, const float *have, const float *want, int64_t n,
                    const Trace *h, const Trace *w, double bound, Result *r)
{
    *r = (Result){ .mode = mode, .logits = distance(have, want, n) };
    for (int i = 0; i < h->n && i < w->n; i++) {
        double x;

        if (!same_name(h->r[i].name, w->r[i].name) || h->r[i].n != w->r[i].n)
            return fail(args->d, NOWHERE,
                        "%s: stage %d of the program is '%s' (%" PRId64
                        " values), of the Module '%s' (%" PRId64
                        "): the folder's .sir is not its program's",
                        mode, i, h->r[i].name, h->r[i].n, w->r[i].name, w->r[i].n);
        x = distance(h->r[i].v, w->r[i].v, w->r[i].n);
        r->worst = x > r->worst ? x : r->worst;
        if (!(x <= bound) && !r->first)
            r->first = h->r[i].name;
    }
    if (h->n != w->n || h->n == 0)
        return fail(args->d, NOWHERE, "%s: the program traced %d values, the interpreter %d", mode,
                    h->n, w->n);
    r->stages = h->n;
    r->ok = r->logits <= bound && !r->first;
    return true;
}

static int report(Args *args, const Emitted *e, const Result *r, int n, int n_ids, double bound)
{
    bool ok = true;

    for (int i = 0; i < n; i++)
        ok &= r[i].ok;
    if (arg_value(args, "--json")) {
        json_t *root = json_pack("{s:i, s:s, s:i, s:f, s:b, s:[]}", "schema", 1, "name", e->name,
                                 "tokens", n_ids, "bound", bound, "ok", ok, "modes"),
               *modes = json_object_get(root, "modes");

        for (int i = 0; i < n; i++)
            json_array_append_new(modes,
                                  json_pack("{s:s, s:b, s:f, s:f, s:i, s:s?}", "mode", r[i].mode,
                                            "ok", r[i].ok, "logits", fmin(r[i].logits, 1e9),
                                            "worst_stage", fmin(r[i].worst, 1e9), "stages",
                                            r[i].stages, "first_wrong", r[i].first));
        json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
        putchar('\n');
        json_decref(root);
    } else {
        for (int i = 0; i < n; i++)
            printf("%-8s %-14s logits differ by %.2g, the worst of %d stages by %.2g (bound %.2g, "
                   "%d tokens)\n",
                   r[i].ok ? "ok" : "WRONG", r[i].mode, r[i].logits, r[i].stages, r[i].worst, bound,
                   n_ids);
    }
    for (int i = 0; i < n; i++)
        if (!r[i].ok)
            fail(args->d, AT_FILE(e->dir), "%s: %s leaves its bound first", r[i].mode,
                 r[i].first ? r[i].first : "the head");
    return ok ? EXIT_done : EXIT_failed;
}

static bool choose_ids(Args *args, int64_t n_vocab, int32_t *ids, int *n)
{
    const char *given = arg_value(args, "--ids");
    int64_t want;

    *n = 0;
    if (!arg_int(args, "--tokens", 1, MAX_TOKENS, 8, &want))
        return false;
    if (!given) {
        for (*n = 0; *n < want; ++*n)
            ids[*n] = (int32_t)((uint64_t)(*n + 1) * 2654435761u % (uint64_t)n_vocab);
        return true;
    }
    for (const char *p = given;; p++) {
        size_t k = strcspn(p, ",");
        int64_t id;

        if (*n == MAX_TOKENS || !str_to_i64((Str){ p, k }, &id) || id < 0 || id >= n_vocab) {
            usage_error(args,
                        "--ids takes 1 to %d token ids below %" PRId64 ", separated by commas",
                        MAX_TOKENS, n_vocab);
            return false;
        }
        ids[(*n)++] = (int32_t)id;
        p += k;
        if (!*p)
            return true;
    }
}

void emitted_remove_folder(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *f;
    char name[4096];

    while (dir && (f = readdir(dir)))
        if (strcmp(f->d_name, ".") && strcmp(f->d_name, "..") &&
            snprintf(name, sizeof name, "%s/%s", path, f->d_name) < (int)sizeof name)
            unlink(name);
    if (dir)
        closedir(dir);
    rmdir(path);
}

static bool verify_in(Args *args, const Emitted *e, Module *m, const char *tmp, const int32_t *ids,
                      int n, int64_t n_vocab, Result *r, double bound)
{
    Arena *a = args->a;
    float *have = ARENA_ARRAY(a, float, n * n_vocab), *want = ARENA_ARRAY(a, float, n * n_vocab);
    const char *program = emitted_make_traced(args, e, tmp);
    Buf b = buf_in(a);

    for (int i = 0; i < n; i++)
        buf_printf(&b, "%s%d", i ? "," : "", ids[i]);
    for (int mode = 0; program && mode < 2; mode++) {
        Trace h = { 0 }, w = { 0 };

        if (!run_traced(args, e, program, tmp, buf_z(&b), mode == 1, have, n * n_vocab, &h) ||
            !interpret(args, m, ids, n, mode ? 1 : n, want, n_vocab, &w) ||
            !compare(args, mode ? "token by token" : "prefill", have, want, n * n_vocab, &h, &w,
                     bound, &r[mode]))
            return false;
    }
    return program != NULL;
}

int cmd_verify(Args *args)
{
    BuildOptions none = build_options_default();
    char tmp[] = "/tmp/sinter-verify-XXXXXX";
    int32_t ids[MAX_TOKENS];
    Result r[2];
    int64_t n_vocab;
    Module *m;
    Emitted e;
    bool ok;
    int n;

    if (!emitted_open(args->fs, args->a, args->d, args->pos[0], &e))
        return EXIT_failed;
    m = pipeline_module(args->fs, args->a, args->d, &none, e.sir);
    if (!m)
        return EXIT_failed;
    if (module_is_network(m))
        return verify_network(args, &e, m);
    if (!entry_of(m, "decode") || !entry_of(m, "prefill") || !module_find_sym(m, STR("T")) ||
        !module_find_sym(m, STR("O")) ||
        !dim_is_const(type_last(entry_of(m, "prefill")->func->body->last->in[0]->type), &n_vocab)) {
        fail(args->d, AT_FILE(e.sir),
             "has no entries decode and prefill: there is nothing to compute");
        return EXIT_failed;
    }
    if (!choose_ids(args, n_vocab, ids, &n))
        return EXIT_usage;
    if (!mkdtemp(tmp)) {
        fail(args->d, AT_FILE(tmp), "a temporary folder could not be made");
        return EXIT_failed;
    }
    ok = verify_in(args, &e, m, tmp, ids, n, n_vocab, r, bound_of(m));
    emitted_remove_folder(tmp);
    return ok ? report(args, &e, r, 2, n, bound_of(m)) : EXIT_failed;
}
