/* If this fails, a pass changes what a model computes: the emitted program answers something else than the model. */
#include "tests/unit/test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "compiler/passes/passes.h"
#include "tests/random_module.h"

enum { N_SEEDS = 60, N_TOKENS = 7 };

static void run(Interp *ip, const Module *m, const char *entry, int n_tokens, float *logits)
{
    int32_t ids[RANDOM_MAX_T];
    int64_t val[8] = { n_tokens, n_tokens };
    Tensor in = { .i = ids, .n = n_tokens }, out;

    for (int i = 0; i < n_tokens; i++)
        ids[i] = (int32_t)((interp_n_past(ip) + i) * 7 + 3) % RANDOM_VOCAB;
    for (int i = 0; i < m->n_entry; i++)
        if (!strcmp(m->entry[i].name, entry)) {
            assert_true(interp_run(ip, &m->entry[i], val, &in, 1, &out, 1));
            memcpy(logits, out.f, (size_t)out.n * sizeof *out.f);
            return;
        }
    assert_string_equal(entry, "one of the Module's entries");
}

/* 5 tokens at once, then 2 alone. */
static void run_all(Module *m, float *logits)
{
    Interp *ip = interp_new(m, diag_new(m->a, stderr), 16);

    run(ip, m, "prefill", 5, logits);
    run(ip, m, "decode", 1, logits + 5 * RANDOM_VOCAB);
    run(ip, m, "decode", 1, logits + 6 * RANDOM_VOCAB);
    interp_free(ip);
}

static void check_passes(uint64_t seed, int flags, const char *target_name)
{
    Arena *a = arena_new(NULL);
    FileSet *fs = files_new();
    Diag *d = diag_new(a, stderr);
    BuildOptions o = build_options_default();
    const Target *target[1];
    Env env = { .target = target, .opt = &o, .scratch = arena_child(a), .fs = fs };
    float want[N_TOKENS * RANDOM_VOCAB], have[N_TOKENS * RANDOM_VOCAB], max = 1;
    Module *m = random_module(a, seed, flags);

    o.act_decode = o.act_prefill = ACT_f32;
    env.n_target = target_load_set(fs, a, d, target_name, target, 1);
    assert_int_equal(env.n_target, 1);
    run_all(m, want);
    for (int i = 0; i < N_TOKENS * RANDOM_VOCAB; i++)
        max = fmaxf(max, fabsf(want[i]));
    for (const Pass *p = pass_table; p->name; p++) {
        float error = 0;

        assert_true(passes_run(m, &env, d, p->name));
        run_all(m, have);
        for (int i = 0; i < N_TOKENS * RANDOM_VOCAB; i++)
            error = fmaxf(error, fabsf(have[i] - want[i]));
        if (!(error <= 1e-5f * max))
            print_error("seed %d, flags %d: pass %s changes the result by %g of %g\n", (int)seed, flags, p->name, (double)error,
                        (double)max);
        assert_true(error <= 1e-5f * max);
    }
    files_close(fs);
    arena_free(a);
}

static void passes_keep_the_meaning(void **state)
{
    static const int flags[] = { 0, RANDOM_q8, RANDOM_odd, RANDOM_regions, RANDOM_all & ~RANDOM_calls };

    (void)state;
    for (uint64_t seed = 0; seed < N_SEEDS; seed++)
        check_passes(seed, flags[seed % 5], seed % 2 ? "portable" : "x86_64-v4");
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(passes_keep_the_meaning) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
