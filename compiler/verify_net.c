/* sinter verify of a network without tokens: every stage of the emitted program against the reference interpreter.
 *
 * The program is compiled once more with its trace on and run on pseudo-random inputs; the interpreter executes DIR/NAME.sir, whose weights are those
 * of NAME.weights, on the same ones.  For each stage, in order, there is
 *
 *     from the program       in --trace FILE: a line "NAME BYTES", and these bytes, as they lie in its memory
 *     from the interpreter   the value that the stage yields
 *
 * Integers must be equal, floats near each other; the first stage that is not is named.  How an image lies is the stage's attribute y. */
#include "compiler/emitted.h"
#include "ir/net.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

enum { RUNS = 4 };

typedef struct { const char *stage; const Op *op; const double *v; int64_t n; } Wanted;     /* elements in order of their index */
typedef struct { Arena *a; Wanted *w; int n, cap; } Watch;

/* Keeps the result of each stage, whenever it runs: those of a scan do so often. */
static void watch(void *ctx, const Op *o, const Tensor *t)
{
    Watch *x = ctx;
    double *v;

    if (o->kind != OP_fused || (o->parent->owner && o->parent->owner->kind == OP_fused) || !op_attr(o, "stage"))
        return;
    if (x->n == x->cap) {
        Wanted *more = ARENA_ARRAY(x->a, Wanted, 2 * x->cap + 64);

        if (x->n)
            memcpy(more, x->w, (size_t)x->n * sizeof *more);
        x->w = more;
        x->cap = 2 * x->cap + 64;
    }
    v = ARENA_ARRAY(x->a, double, t->n + 1);
    for (int64_t i = 0; i < t->n; i++)
        v[i] = t->i ? (double)t->i[i] : (double)t->f[i];
    x->w[x->n++] = (Wanted){ op_str(o, "stage", ""), o, v, t->n };
}

/* Element i of n bytes at p, which lie as the stage says. */
static double element(const Op *o, const uint8_t *p, uint64_t n, int64_t i)
{
    const Format *f = o->out[0]->type.fmt;
    const Attr *y = op_attr(o, "y");
    Type t = o->out[0]->type;
    uint64_t at = (uint64_t)(i * f->bytes);
    float real;

    if (y && y->kind == ATTR_ints && y->n_ints == 3 && t.rank == 4) {
        int64_t c = net_dim(t, 3), w = net_dim(t, 2), h = net_dim(t, 1), image = i / (h * w * c), k = i % (h * w * c);

        at = (uint64_t)(image * h * w * c * f->bytes + k / (w * c) * y->ints[0] + k / c % w * y->ints[1] + k % c * y->ints[2]);
    }
    if (at > n || (uint64_t)f->bytes > n - at)
        return NAN;
    switch (format_id(f)) {
    case FMT_i8: return (int8_t)p[at];
    case FMT_u8: return p[at];
    case FMT_i16: return (int16_t)(p[at] | p[at + 1] << 8);
    case FMT_i32: return (int32_t)(p[at] | (uint32_t)p[at + 1] << 8 | (uint32_t)p[at + 2] << 16 | (uint32_t)p[at + 3] << 24);
    default: f->decode(&real, p + at, 1); return (double)real;
    }
}

typedef struct { const char *first; int64_t n_wrong, n_of; int n_stage; double worst; } Result;

/* Walks the trace beside what was wanted. */
static bool compare(Args *args, const char *path, Str s, const Watch *want, Result *r)
{
    for (int i = 0; i < want->n; i++) {
        const Wanted *w = &want->w[i];
        const char *line = s.p, *end = memchr(s.p, '\n', s.n), *space = end ? memchr(line, ' ', (size_t)(end - line)) : NULL;
        const Format *f = w->op->out[0]->type.fmt;
        int64_t bytes = 0, n_wrong = 0;

        if (!space || !str_to_i64((Str){ space + 1, (size_t)(end - space - 1) }, &bytes) || bytes < 0 ||
            (uint64_t)bytes > s.n - (size_t)(end + 1 - line))
            return fail(args->d, AT_FILE(path), "the trace ends before stage '%s'", w->stage);
        if (!str_is((Str){ line, (size_t)(space - line) }, w->stage))
            return fail(args->d, AT_FILE(path), "stage %d of the program is '%s', of the Module '%s': the folder's .sir is not its program's", i,
                        str_show(args->a, (Str){ line, (size_t)(space - line) }, 60), w->stage);
        for (int64_t k = 0; k < w->n; k++) {
            double have = element(w->op, (const uint8_t *)end + 1, (uint64_t)bytes, k), off = fabs(have - w->v[k]);

            n_wrong += !(f->kind == FORMAT_int ? off == 0 : off <= 1e-4 * (1 + fabs(w->v[k])));
            r->worst = off > r->worst || isnan(off) ? off : r->worst;
        }
        if (n_wrong && !r->first) {
            r->first = w->stage;
            r->n_wrong = n_wrong;
            r->n_of = w->n;
        }
        s.n -= (size_t)(end + 1 - line) + (size_t)bytes;
        s.p = end + 1 + bytes;
    }
    r->n_stage = want->n / RUNS;
    return s.n == 0 || fail(args->d, AT_FILE(path), "the program traced more stages than the Module has");
}

/* Inputs of one run, as numbers and as bytes. */
static void fill(Arena *a, const Region *body, Tensor *x, Buf *bytes, uint64_t *s)
{
    for (int i = 0; i < body->n_param; i++) {
        Type t = body->param[i]->type;
        int64_t lo = 0, hi = 0;

        x[i] = (Tensor){ .type = t, .n = type_n(t) };
        if (t.fmt->kind == FORMAT_int) {
            x[i].i = ARENA_ARRAY(a, int32_t, x[i].n + 1);
            format_int_range(t.fmt, &lo, &hi);
        } else
            x[i].f = ARENA_ARRAY(a, float, x[i].n + 1);
        for (int64_t k = 0; k < x[i].n; k++) {
            uint8_t p[8] = { 0 };

            *s = *s * 6364136223846793005u + 1442695040888963407u;
            if (x[i].i) {
                x[i].i[k] = t.fmt->bytes > 2 ? (int32_t)(*s >> 62) : (int32_t)(lo + (int64_t)((*s >> 33) % (uint64_t)(hi - lo + 1)));
                for (int b = 0; b < t.fmt->bytes; b++)
                    p[b] = (uint8_t)((uint32_t)x[i].i[k] >> 8 * b);
            } else {
                x[i].f[k] = (float)((double)(*s >> 40) / 8388608.0 - 1);
                t.fmt->encode(p, &x[i].f[k], 1);
            }
            buf_put(bytes, p, (size_t)t.fmt->bytes);
        }
    }
}

static bool interpret(Args *args, Module *m, Buf *bytes, Watch *want)
{
    const Region *body = m->entry[0].func->body;
    Tensor *x = ARENA_ARRAY(args->a, Tensor, body->n_param + 1), *y = ARENA_ARRAY(args->a, Tensor, body->last->n_in + 1);
    Interp *ip = interp_new(m, args->d, 0);
    uint64_t seed = 1;
    bool ok = ip != NULL;

    if (ip)
        interp_trace(ip, watch, want);
    for (int i = 0; ok && i < RUNS && !pipeline_interrupted(); i++) {
        fill(args->a, body, x, bytes, &seed);
        ok = interp_run(ip, &m->entry[0], NULL, x, body->n_param, y, body->last->n_in);
    }
    if (ip)
        interp_free(ip);
    return ok && !pipeline_interrupted();
}

static int report(Args *args, const Emitted *e, const Result *r)
{
    if (arg_value(args, "--json")) {
        json_t *root = json_pack("{s:i, s:s, s:i, s:b, s:i, s:f, s:s?}", "schema", 1, "name", e->name, "runs", RUNS, "ok", r->first == NULL, "stages",
                                 r->n_stage, "worst", fmin(r->worst, 1e9), "first_wrong", r->first);

        json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
        putchar('\n');
        json_decref(root);
    } else
        printf("%-8s %d stages, %d runs on pseudo-random inputs; the largest difference of a number is %.3g\n", r->first ? "WRONG" : "ok", r->n_stage,
               RUNS, r->worst);
    if (r->first)
        fail(args->d, AT_FILE(e->dir), "%s is the first stage that differs: %" PRId64 " of its %" PRId64 " numbers", r->first, r->n_wrong, r->n_of);
    return r->first ? EXIT_failed : EXIT_done;
}

static bool verify_in(Args *args, const Emitted *e, Module *m, const char *tmp, Result *r)
{
    Arena *a = args->a;
    const char *in = path_join(a, tmp, "inputs.bin"), *out = path_join(a, tmp, "outputs.bin"), *trace = path_join(a, tmp, "run.trace");
    const char *const argv[] = { "--trace", trace, "--in", in, "--out", out, NULL };
    const char *program = emitted_make_traced(args, e, tmp);
    Watch want = { .a = a };
    Buf bytes = buf_in(a);
    Mapped map;

    return program && interpret(args, m, &bytes, &want) && file_write(args->fs, a, args->d, in, buf_str(&bytes)) &&
           emitted_run(a, args->d, e, program, argv, NULL, NULL) && file_map(args->fs, a, args->d, trace, &map) &&
           compare(args, trace, (Str){ (const char *)map.p, (size_t)map.n }, &want, r);
}

int verify_network(Args *args, const Emitted *e, Module *m)
{
    char tmp[] = "/tmp/sinter-verify-XXXXXX";
    Result r = { 0 };
    bool ok;

    if (!mkdtemp(tmp)) {
        fail(args->d, AT_FILE(tmp), "a temporary folder could not be made");
        return EXIT_failed;
    }
    ok = verify_in(args, e, m, tmp, &r);
    emitted_remove_folder(tmp);
    return ok ? report(args, e, &r) : EXIT_failed;
}
