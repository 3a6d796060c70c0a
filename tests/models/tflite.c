/* tflite: models of TensorFlow Lite through the interpreter, against recorded bytes.
 *
 *     tflite MODEL.tflite INPUT OUTPUT        runs the model on each of the inputs that lie one after another in a file and compares its
 *                                             outputs: integers must be equal, floats equal to 1e-5; -: prints them
 *
 * It is run twice: as it was imported, and without the channels that pass `channels` leaves out; both must be right.
 *
 * The file of inputs holds whole runs: all inputs of the model, then all of the next run.  Outputs likewise.  State (variables) goes on
 * from one run to the next. */
#include "compiler/arch/arch.h"
#include "compiler/import/model.h"
#include "compiler/passes/passes.h"

#include <math.h>
#include <stdlib.h>

/* n values of a format between bytes and a tensor. */
static void load(Tensor *t, const Format *f, const uint8_t *p)
{
    for (int64_t i = 0; i < t->n; i++)
        switch (format_id(f)) {
        case FMT_i8: t->i[i] = (int8_t)p[i]; break;
        case FMT_u8: t->i[i] = p[i]; break;
        case FMT_i16: t->i[i] = (int16_t)(p[2 * i] | p[2 * i + 1] << 8); break;
        case FMT_i32: memcpy(&t->i[i], p + 4 * i, 4); break;
        default: f->decode(t->f + i, p + i * f->bytes, 1);
        }
}

static void store(uint8_t *p, const Format *f, const Tensor *t)
{
    for (int64_t i = 0; i < t->n; i++)
        switch (format_id(f)) {
        case FMT_i8: case FMT_u8: p[i] = (uint8_t)t->i[i]; break;
        case FMT_i16: p[2 * i] = (uint8_t)t->i[i]; p[2 * i + 1] = (uint8_t)(t->i[i] >> 8); break;
        case FMT_i32: memcpy(p + 4 * i, &t->i[i], 4); break;
        default: f->encode(p + i * f->bytes, t->f + i, 1);
        }
}

/* How many of t's numbers are not those at p. */
static int64_t n_different(const Tensor *t, const Format *f, const uint8_t *p, Arena *a)
{
    Tensor want = { .n = t->n, .i = t->i ? ARENA_ARRAY(a, int32_t, t->n + 1) : NULL, .f = t->f ? ARENA_ARRAY(a, float, t->n + 1) : NULL };
    int64_t n = 0;

    load(&want, f, p);
    for (int64_t i = 0; i < t->n; i++)
        n += t->i ? t->i[i] != want.i[i] : !(fabsf(t->f[i] - want.f[i]) <= 1e-5f * fmaxf(1, fabsf(want.f[i])));
    return n;
}

static uint64_t bytes_of(Type t)
{
    uint64_t n = 0;

    type_bytes(t, &n);
    return n;
}

/* Its text parses to a Module with the same text. */
static bool prints_back(Arena *a, Diag *d, const Module *m)
{
    Buf text = buf_in(a), again = buf_in(a);
    Module *parsed;

    module_print(m, &text);
    parsed = module_parse(a, d, "printed", buf_str(&text));
    if (parsed)
        module_print(parsed, &again);
    return parsed && module_verify(parsed, d) && str_eq(buf_str(&text), buf_str(&again));
}

static int run(FileSet *fs, Arena *a, Diag *d, char **argv, bool fewer_channels)
{
    Model *model = model_open(fs, a, d, argv[1]);
    BuildOptions o = { .model = argv[1] };
    Module *m = model ? arch_module(a, model, &o, d) : NULL;
    bool print = !strcmp(argv[3], "-");
    Mapped in, want = { 0 };
    uint64_t in_bytes = 0, out_bytes = 0, n_run;
    const Region *body;
    Tensor *x, *y;
    Interp *ip;
    int64_t n_diff = 0, n_all = 0;

    if (!m || !module_verify(m, d) || !file_map(fs, a, d, argv[2], &in) || (!print && !file_map(fs, a, d, argv[3], &want)))
        return 1;
    if (!prints_back(a, d, m)) {
        printf("%s: its text is not its own\n", argv[1]);
        return 1;
    }
    if (fewer_channels) {
        Env env = { .opt = &o, .scratch = arena_child(a), .fs = fs };
        Arena *quiet = arena_child(a);
        FILE *nowhere = fopen("/dev/null", "w");

        if (!nowhere || !pass_channels(m, &env, diag_new(quiet, nowhere)) || !module_verify(m, d))
            return 1;
        fclose(nowhere);
        if (!module_meta(m, "channels.left_out"))
            return 0;                   /* the same Module */
    }
    body = m->entry[0].func->body;
    x = ARENA_ARRAY(a, Tensor, body->n_param + 1);
    y = ARENA_ARRAY(a, Tensor, body->last->n_in + 1);
    for (int i = 0; i < body->n_param; i++) {
        x[i].n = type_n(body->param[i]->type);
        if (body->param[i]->type.fmt->kind == FORMAT_int)
            x[i].i = ARENA_ARRAY(a, int32_t, x[i].n + 1);
        else
            x[i].f = ARENA_ARRAY(a, float, x[i].n + 1);
        in_bytes += bytes_of(body->param[i]->type);
    }
    for (int i = 0; i < body->last->n_in; i++)
        out_bytes += bytes_of(body->last->in[i]->type);
    n_run = in_bytes ? in.n / in_bytes : 0;
    if (!n_run || in.n % in_bytes || (!print && want.n != n_run * out_bytes)) {
        printf("%s: inputs of %" PRIu64 " bytes and outputs of %" PRIu64 " do not fit the files\n", argv[1], in_bytes, out_bytes);
        return 1;
    }
    ip = interp_new(m, d, 0);
    for (uint64_t k = 0; ip && k < n_run; k++) {
        const uint8_t *p = in.p + k * in_bytes;
        uint64_t at = k * out_bytes;

        for (int i = 0; i < body->n_param; i++) {
            Type t = body->param[i]->type;

            load(&x[i], t.fmt, p);
            p += bytes_of(t);
        }
        if (!interp_run(ip, &m->entry[0], NULL, x, body->n_param, y, body->last->n_in))
            return 1;
        for (int i = 0; i < body->last->n_in; i++) {
            Type t = body->last->in[i]->type;
            uint8_t *got = ARENA_ARRAY(a, uint8_t, bytes_of(t) + 1);

            store(got, t.fmt, &y[i]);
            if (print)
                fwrite(got, 1, bytes_of(t), stdout);
            else
                n_diff += n_different(&y[i], t.fmt, want.p + at, a);
            n_all += y[i].n;
            at += bytes_of(t);
        }
    }
    interp_free(ip);
    if (!print)
        printf("%s: %" PRIu64 " runs, %" PRId64 " of %" PRId64 " numbers differ\n", path_base(argv[1]), n_run, n_diff, n_all);
    return n_diff != 0;
}

int main(int argc, char **argv)
{
    Arena *a = arena_new(NULL);
    Diag *d = diag_new(a, stderr);
    FileSet *fs = files_new();
    int rc;

    if (argc != 4) {
        fprintf(stderr, "tflite MODEL.tflite INPUT OUTPUT|-\n");
        return 2;
    }
    rc = run(fs, a, d, argv, false);
    if (!rc && strcmp(argv[3], "-"))
        rc = run(fs, a, d, argv, true);
    files_close(fs);
    arena_free(a);
    return rc;
}
