/* If these fail, text that sinter prints is not the Module that it had: a dump, a bug report or NAME.sir means something else. */
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/random_module.h"

enum { N_SEEDS = 150 };

static Module *parse(Arena *a, Str text)
{
    Diag *d = diag_new(a, stderr);
    Module *m = module_parse(a, d, "printed", text);

    if (!m)
        fprintf(stderr, STR_FMT, STR_ARG(text));
    assert_non_null(m);
    return m;
}

static Str print(Module *m)
{
    Buf b = buf_in(m->a);

    module_print(m, &b);
    return buf_str(&b);
}

/* Runs T tokens of a fixed sequence from the interpreter's position and copies the logits. */
static void run(Interp *ip, const Module *m, int entry, int n_tokens, float *logits)
{
    int32_t ids[RANDOM_MAX_T];
    int64_t val[8] = { n_tokens, n_tokens };
    Tensor in = { .i = ids, .n = n_tokens }, out;

    for (int i = 0; i < n_tokens; i++)
        ids[i] = (int32_t)((interp_n_past(ip) + i) * 7 + 3) % RANDOM_VOCAB;
    assert_true(interp_run(ip, &m->entry[entry], val, &in, 1, &out, 1));
    assert_int_equal(out.n, n_tokens * RANDOM_VOCAB);
    memcpy(logits, out.f, (size_t)out.n * sizeof *out.f);
}

/* 5 tokens at once, 2 alone, then 3 at once after forgetting one. */
static void run_all(Module *m, float *logits)
{
    Interp *ip = interp_new(m, diag_new(m->a, stderr), RANDOM_MAX_CTX);

    assert_non_null(ip);
    run(ip, m, 1, 5, logits);
    run(ip, m, 0, 1, logits + 5 * RANDOM_VOCAB);
    run(ip, m, 0, 1, logits + 6 * RANDOM_VOCAB);
    interp_rewind(ip, 6);
    run(ip, m, 1, 3, logits + 6 * RANDOM_VOCAB);
    interp_free(ip);
}

static void text_is_the_module(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < N_SEEDS; seed++) {
        Arena *a = arena_new(NULL);
        Diag *d = diag_new(a, stderr);
        Module *m = random_module(a, seed, RANDOM_all), *again;
        Str text;

        assert_true(module_verify(m, d));
        text = print(m);
        again = parse(a, text);
        if (!str_eq(text, print(again)))
            fprintf(stderr, "seed %d:\n" STR_FMT "\nbecame\n" STR_FMT, (int)seed, STR_ARG(text), STR_ARG(print(again)));
        assert_true(str_eq(text, print(again)));
        arena_free(a);
    }
}

static void text_computes_the_same(void **state)
{
    float *have = malloc(9 * RANDOM_VOCAB * sizeof *have), *want = malloc(9 * RANDOM_VOCAB * sizeof *want);

    (void)state;
    for (uint64_t seed = 0; seed < N_SEEDS; seed += 5) {
        Arena *a = arena_new(NULL);
        Module *m = random_module(a, seed, RANDOM_all);

        run_all(m, want);
        run_all(parse(a, print(m)), have);
        assert_memory_equal(have, want, 9 * RANDOM_VOCAB * sizeof *have);
        arena_free(a);
    }
    free(have);
    free(want);
}

/* The entry for many tokens gives what the entry for one gives, and logits are numbers. */
static void prefill_is_token_by_token(void **state)
{
    float *at_once = malloc(8 * RANDOM_VOCAB * sizeof *at_once), *alone = malloc(8 * RANDOM_VOCAB * sizeof *alone);

    (void)state;
    for (uint64_t seed = 1; seed < N_SEEDS; seed += 5) {
        Arena *a = arena_new(NULL);
        Module *m = random_module(a, seed, RANDOM_all);
        Interp *ip = interp_new(m, diag_new(a, stderr), RANDOM_MAX_CTX);

        run(ip, m, 1, 8, at_once);
        interp_rewind(ip, 0);
        for (int t = 0; t < 8; t++)
            run(ip, m, 0, 1, alone + t * RANDOM_VOCAB);
        for (int i = 0; i < 8 * RANDOM_VOCAB; i++)
            assert_true(at_once[i] - at_once[i] == 0);
        assert_memory_equal(at_once, alone, 8 * RANDOM_VOCAB * sizeof *alone);
        interp_free(ip);
        arena_free(a);
    }
    free(at_once);
    free(alone);
}

/* A clone for T = 1 is what specialize makes: it verifies, and computes what the general function computes. */
static void a_clone_computes_the_same(void **state)
{
    float want[2 * RANDOM_VOCAB], have[2 * RANDOM_VOCAB];

    (void)state;
    for (uint64_t seed = 2; seed < N_SEEDS; seed += 5) {
        Arena *a = arena_new(NULL);
        Diag *d = diag_new(a, stderr);
        Module *m = random_module(a, seed, RANDOM_all & ~RANDOM_calls);
        Dim by[8] = { dim_const(m, 1), dim_const(m, 1) };
        Interp *ip = interp_new(m, d, RANDOM_MAX_CTX);
        Func *old = m->entry[0].func;

        run(ip, m, 0, 1, want);
        run(ip, m, 0, 1, want + RANDOM_VOCAB);
        m->entry[0].func = func_clone(old, "clone", by);
        assert_true(module_verify(m, d));
        interp_rewind(ip, 0);
        run(ip, m, 0, 1, have);
        run(ip, m, 0, 1, have + RANDOM_VOCAB);
        assert_memory_equal(have, want, sizeof have);
        interp_free(ip);
        arena_free(a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_the_module),
        cmocka_unit_test(text_computes_the_same),
        cmocka_unit_test(prefill_is_token_by_token),
        cmocka_unit_test(a_clone_computes_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
