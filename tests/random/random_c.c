/* If this fails, the C that sinter prints computes something else than the Module it was printed from.
 *
 *   random_c DIR FIRST_SEED N      random Modules through all passes and the C writer, compiled, run, compared with the interpreter
 *
 * Each seed picks what the Module is made of (tests/random_module.h), the target, and the activations.  The program gets 7 tokens: all at
 * once, then (not with i8, where decode computes something else) with --one-by-one.  With f32 activations logits agree to 1e-4 of the
 * largest; with q8 and i8 the reference is the interpreter run on the Module after pass `act`, and the bound is wider, because a value on the border between two codes may fall on either side. */
#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "codegen/codegen.h"
#include "compiler/compiler.h"
#include "tests/random_module.h"

enum { N_TOKENS = 7 };

static int n_passed, n_failed, n_skipped;

static bool run_interpreter(Module *m, const int32_t *ids, float *logits)
{
    Interp *ip = interp_new(m, diag_new(m->a, stderr), 16);
    int64_t val[8] = { N_TOKENS, N_TOKENS };
    Tensor in = { .i = (int32_t *)ids, .n = N_TOKENS }, out;
    bool ok = false;

    for (int i = 0; i < m->n_entry; i++)
        if (!strcmp(m->entry[i].name, "prefill"))
            ok = interp_run(ip, &m->entry[i], val, &in, 1, &out, 1);
    if (ok)
        memcpy(logits, out.f, sizeof(float) * N_TOKENS * RANDOM_VOCAB);
    interp_free(ip);
    return ok;
}

static bool read_floats(const char *path, float *x, size_t n)
{
    FILE *f = fopen(path, "rb");
    bool ok = f && fread(x, sizeof *x, n, f) == n && getc(f) == EOF;

    if (f)
        fclose(f);
    return ok;
}

static bool run_program(Arena *a, const char *dir, const char *ids, const char *how, float *logits)
{
    const char *out = path_join(a, dir, "logits.f32");

    unlink(out);
    return !system(str_printf(a, "cd %s && ./m --ids %s -n 0 --logits logits.f32 -j 2 %s > run.log 2>&1", dir, ids, how)) &&
           read_floats(out, logits, N_TOKENS * RANDOM_VOCAB);
}

static bool close_enough(const float *want, const float *have, float bound, float *error)
{
    float max = 1;

    *error = 0;
    for (int i = 0; i < N_TOKENS * RANDOM_VOCAB; i++) {
        max = fmaxf(max, fabsf(want[i]));
        *error = fmaxf(*error, isfinite(have[i]) ? fabsf(want[i] - have[i]) : INFINITY);
    }
    return *error <= bound * max;
}

static void try_seed(const char *top, uint64_t seed)
{
    static const int flags[] = { 0, RANDOM_q8, RANDOM_odd, RANDOM_hostile_names, RANDOM_all & ~(RANDOM_calls | RANDOM_regions) };
    static const char *const targets[] = { "portable", "native", "x86_64-v3" };
    Arena *a = arena_new(NULL);
    FileSet *fs = files_new();
    Diag *d = diag_new(a, stderr);
    BuildOptions o = build_options_default();
    const Target *target[1];
    Env env = { .target = target, .opt = &o, .scratch = arena_new(NULL), .fs = fs };
    Module *m = random_module(a, seed, flags[seed % 5]);
    const char *dir = path_join(a, top, str_printf(a, "seed-%d", (int)seed));
    float want[N_TOKENS * RANDOM_VOCAB], have[N_TOKENS * RANDOM_VOCAB], error = 0;
    int32_t ids[N_TOKENS];
    Buf list = buf_in(a);
    bool q8 = seed % 2, i8 = seed % 4 == 3, ok;

    for (int i = 0; i < N_TOKENS; i++) {
        ids[i] = (int32_t)((unsigned)i * 7 + seed) % RANDOM_VOCAB;
        buf_printf(&list, "%s%d", i ? "," : "", ids[i]);
    }
    o.name = "m";
    o.act_decode = o.act_prefill = q8 ? ACT_q8 : ACT_f32;
    if (i8) {                                               /* with an entry "verify" it would take the 7 tokens */
        o.act_prefill = ACT_i8;
        o.spec = "none";
    }
    env.n_target = target_load_set(fs, a, d, i8 ? "portable" : targets[seed % 3], target, 1);
    ok = env.n_target == 1 && passes_run(m, &env, d, "canonicalize") && passes_run(m, &env, d, "specialize") &&
         passes_run(m, &env, d, "act") && run_interpreter(m, ids, want);
    for (const Pass *p = pass_table; ok && p->name; p++)
        if (strcmp(p->name, "canonicalize") && strcmp(p->name, "specialize") && strcmp(p->name, "act"))
            ok = passes_run(m, &env, d, p->name);
    if (ok && system(str_printf(a, "mkdir -p %s", dir)))
        ok = false;
    ok = ok && codegen_folder(m, fs, dir, d) && !system(str_printf(a, "make -C %s CFLAGS='-O1 -Werror' > %s/make.log 2>&1", dir, dir));
    if (!ok)
        printf("FAIL seed %d: not built (%s)\n", (int)seed, dir);
    for (int how = 0; ok && how < (i8 ? 1 : 2); how++) {
        ok = run_program(a, dir, buf_z(&list), how ? "--one-by-one" : "", have) && close_enough(want, have, q8 ? 3e-2f : 1e-4f, &error);
        if (!ok)
            printf("FAIL seed %d (%s, %s%s): logits differ by %g (%s)\n", (int)seed, target[0]->name, i8 ? "i8" : q8 ? "q8" : "f32",
                   how ? ", one by one" : "", (double)error, dir);
    }
    *(ok ? &n_passed : &n_failed) += 1;
    files_close(fs);
    arena_free(env.scratch);
    arena_free(a);
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return fprintf(stderr, "usage: random_c DIR FIRST_SEED N\n"), 2;
    for (int i = 0; i < atoi(argv[3]); i++)
        try_seed(argv[1], (uint64_t)atoi(argv[2]) + (uint64_t)i);
    printf("%d passed, %d failed, %d skipped\n", n_passed, n_failed, n_skipped);
    return n_failed != 0;
}
