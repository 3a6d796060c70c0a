/* If this fails, a rewrite rule changes what a model computes. */
#include "compiler/passes/rules.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

enum { N = 64 };

/* A Module whose function computes one side of a rule from three inputs. */
static Module *side(Arena *a, const char *pattern)
{
    Module *m = module_new(a, "rule");
    Func *f = module_add_func(m, "side");
    Type t = type_1(m, format_find(STR("f32")), N);
    Value *var[MAX_PATTERN_VARS] = { 0 }, *y;
    Op *ret;
    Entry *e;

    for (int i = 0; i < 3; i++)
        var[i] = func_add_param(f, (const char *[]){ "x", "y", "z" }[i], t, VAL_result);
    y = pattern_build(f->body, NULL, pattern, var);
    ret = op_new_raw(f->body, NULL, OP_return, 1, 0);
    ret->in[0] = y;
    e = module_add_entry(m, "side", f);
    (void)e;
    return m;
}

static void run(Arena *a, Module *m, float in[3][N], float out[N])
{
    Diag *d = diag_new(a, stderr);
    Interp *ip = interp_new(m, d, 1);
    Tensor t[3], y;
    int64_t sym[8] = { 0 };

    for (int i = 0; i < 3; i++)
        t[i] = (Tensor){ .type = m->first_func->body->param[i]->type, .rank = 1, .dim = { N }, .f = in[i], .n = N };
    assert_true(module_verify(m, d));
    assert_true(interp_run(ip, &m->entry[0], sym, t, 3, &y, 1));
    memcpy(out, y.f, N * sizeof *out);
    interp_free(ip);
}

static void both_sides_agree(void **state)
{
    float in[3][N];

    (void)state;
    for (const Rule *r = rule_table; r->name; r++)
        for (uint64_t seed = 1; seed <= 4; seed++) {
            Arena *a = arena_new(NULL);
            float l[N], rr[N];

            for (int i = 0; i < 3; i++)
                for (int k = 0; k < N; k++)
                    in[i][k] = fill_value(str_of(r->name), (uint64_t)(i * N + k), seed, 4.0f, 0.0f);
            run(a, side(a, r->match), in, l);
            run(a, side(a, r->replacement), in, rr);
            for (int k = 0; k < N; k++)
                if (fabsf(l[k] - rr[k]) > 1e-6f * (1 + fabsf(l[k])))
                    fail_msg("rule %s: element %d is %g on the left, %g on the right", r->name, k, (double)l[k], (double)rr[k]);
            arena_free(a);
        }
}

/* Each rule is found by the engine in its own pattern, and the result is the other side. */
static void each_rule_applies(void **state)
{
    (void)state;
    for (const Rule *r = rule_table; r->name; r++) {
        Arena *a = arena_new(NULL);
        Module *m = side(a, r->match);
        int count[64] = { 0 };

        assert_int_equal(rules_apply(m->first_func, count), 1);
        assert_int_equal(count[r - rule_table], 1);
        assert_true(module_verify(m, diag_new(a, stderr)));
        arena_free(a);
    }
}

/* An inner op that somebody else uses stays. */
static void shared_inner_op_is_kept(void **state)
{
    Arena *a = arena_new(NULL);
    Module *m = side(a, "(mul ?x (sigmoid ?x))");
    Op *ret = m->first_func->body->last;
    Value *sigmoid = ret->in[0]->op->in[1];

    (void)state;
    ret->in = ARENA_ARRAY(a, Value *, 2);
    ret->in[0] = m->first_func->body->last->prev->out[0];
    ret->in[1] = sigmoid;
    ret->n_in = 2;
    assert_int_equal(rules_apply(m->first_func, NULL), 0);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(both_sides_agree), cmocka_unit_test(each_rule_applies),
                                        cmocka_unit_test(shared_inner_op_is_kept) };

    return cmocka_run_group_tests_name("rules", tests, NULL, NULL);
}
