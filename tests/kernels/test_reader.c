/* The kernel reader's tables: is what a kernel needs complete and no more, and is the right kernel found?
 *
 * If this fails, emitted folders do not compile, or carry code that nothing calls.
 *
 *   test-reader                 the tests
 *   test-reader --write DIR     every kernel by itself, and all of a unit together, as C files for emitted.sh */
#include "codegen/kernels.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const unit_names[] = { "portable", "avx2", "avxvnni", "avx512vnni", "amx", "neon", "dotprod",
                                          "i8mm", "sve", "rvv", "simd128" };
enum { N_UNITS = sizeof unit_names / sizeof unit_names[0] };

/* Calls fn for every identifier of C text; comments, strings and numbers are passed over. */
typedef struct { const KernelUnit *u; int entity; bool *named; } Scan;

static void note_identifier(Scan *s, const char *p, size_t n)
{
    for (int i = 0; i < s->u->n_entities; i++)
        if (strlen(s->u->entities[i].name) == n && !strncmp(s->u->entities[i].name, p, n))
            s->named[i] = true;
}

static void scan_text(Scan *s)
{
    const char *p = s->u->entities[s->entity].text;

    while (*p) {
        if (!strncmp(p, "/*", 2))
            p = strstr(p, "*/") + 2;
        else if (!strncmp(p, "//", 2))
            p += strcspn(p, "\n");
        else if (*p == '"' || *p == '\'') {
            char quote = *p++;

            while (*p != quote)
                p += *p == '\\' ? 2 : 1;
            p++;
        } else if (isalpha((unsigned char)*p) || *p == '_') {
            size_t n = strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");

            note_identifier(s, p, n);
            p += n;
        } else if (isdigit((unsigned char)*p))
            p += strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.");
        else
            p++;
    }
}

/* A second opinion on what the cursors found: names in the text. */
static void needs_are_what_the_text_names(void **state)
{
    (void)state;
    for (int k = 0; k < N_UNITS; k++) {
        const KernelUnit *u = kernel_unit(unit_names[k]);
        bool *named = calloc((size_t)u->n_entities, sizeof *named);
        bool *needed = calloc((size_t)u->n_entities, sizeof *needed);

        assert_non_null(named);
        assert_non_null(needed);
        for (int i = 0; i < u->n_entities; i++) {
            const KernelEntity *e = &u->entities[i];
            Scan s = { u, i, named };

            memset(named, 0, (size_t)u->n_entities * sizeof *named);
            memset(needed, 0, (size_t)u->n_entities * sizeof *needed);
            scan_text(&s);
            for (int n = 0; n < e->n_needs; n++)
                needed[e->needs[n]] = true;
            for (int n = 0; n < u->n_entities; n++) {
                bool unnamed = !*u->entities[n].name || !strcmp(u->entities[n].kind, "enum");

                if (n != i && !unnamed && named[n] != needed[n])
                    fail_msg("%s: %s %s %s", u->isa, e->name, named[n] ? "names but does not need" : "needs but does not name",
                             u->entities[n].name);
                if (needed[n] && n > i)
                    fail_msg("%s: %s comes before %s, which it needs", u->isa, e->name, u->entities[n].name);
            }
        }
        free(named);
        free(needed);
    }
}

static void closure_is_transitive_and_small(void **state)
{
    const KernelUnit *u = kernel_unit("avx512vnni");
    const char *dot = "sn_dot_i4g32m_r32k4_q8_avx512vnni", *unknown = "sn_unknown";
    bool *wanted = calloc((size_t)u->n_entities, sizeof *wanted);
    int n = 0, n_asserts = 0;

    (void)state;
    assert_non_null(wanted);
    assert_false(kernel_closure(u, &unknown, 1, wanted));
    for (int i = 0; i < u->n_entities; i++)
        assert_false(wanted[i]);
    assert_true(kernel_closure(u, &dot, 1, wanted));
    for (int i = 0; i < u->n_entities; i++) {
        const KernelEntity *e = &u->entities[i];

        n += wanted[i];
        n_asserts += wanted[i] && !strcmp(e->kind, "assert");
        for (int k = 0; wanted[i] && k < e->n_needs; k++)
            assert_true(wanted[e->needs[k]]);
        if (wanted[i] && (strstr(e->name, "portable") || strstr(e->name, "score") || strstr(e->name, "exp")))
            fail_msg("%s does not need %s", dot, e->name);
    }
    assert_true(n > 5 && n < 20);
    assert_int_equal(n_asserts, 1);             /* SnQ8 has no padding */
    free(wanted);
}

static void finding_prefers_the_first_isa(void **state)
{
    const KernelUnit *u = kernel_unit("dotprod");
    const char *const plain[] = { "portable", NULL };

    (void)state;
    /* Decode is another ISA's where a set has nothing faster, and of one order with its panels. */
    assert_string_equal(kernel_find(kernel_unit("i8mm"), NULL, "dot", "i4g32_r32k4", "q8", 4)->isa, "i8mm");
    assert_string_equal(kernel_find(kernel_unit("i8mm"), NULL, "dot", "i4g32_r32k4", "q8", 1)->isa, "dotprod");
    assert_null(kernel_unit("sse9"));
    assert_string_equal(kernel_find(u, NULL, "dot", "i8g32_r32k4", "q8", 1)->isa, "dotprod");
    assert_string_equal(kernel_find(u, NULL, "dot", "f16_r32k1", "f32", 4)->name, "sn_dot4_f16_r32k1_f32_neon");
    assert_string_equal(kernel_find(u, NULL, "rmsnorm", NULL, NULL, 0)->name, "sn_rmsnorm");
    assert_string_equal(kernel_find(u, plain, "dot", "i8g32_r32k4", "q8", 1)->isa, "portable");
    assert_null(kernel_find(u, NULL, "dot", "i8g32_r32k4", "q8", 3));
    assert_null(kernel_find(u, NULL, "dot", "f16_r32k1", "q8", 1));
    assert_null(kernel_find(u, NULL, "conv", NULL, NULL, 0));
}

/* Whatever pack and the schedule may choose exists in every unit. */
static void every_unit_has_every_contract(void **state)
{
    static const char *const dots[][2] = {
        { "i8g32_r32k4", "q8" }, { "i4g32_r32k4", "q8" }, { "i4g32m_r32k4", "q8" }, { "i8g32_r32k4", "f32" },
        { "i4g32_r32k4", "f32" }, { "i4g32m_r32k4", "f32" }, { "f16_r32k1", "f32" }, { "bf16_r32k1", "f32" },
        { "f32_r32k1", "f32" }, { "i5g32_r32k4", "q8" }, { "i5g32_r32k4", "f32" }, { "i4g32ms_r32k4", "q8" },
        { "i4g32ms_r32k4", "f32" }, { "i5g32ms_r32k4", "q8" }, { "i5g32ms_r32k4", "f32" }, { "i6g16s_r32k4", "q8" },
        { "i6g16s_r32k4", "f32" }, { "i2g256_r32k4", "q8g256" }, { "i2g256_r32k4", "f32" }, { "t5g256_r32k4", "q8g256" },
        { "t5g256_r32k4", "f32" }, { "i53g32_r32k4", "q8" }, { "i53g32_r32k4", "f32" },
    };
    static const char *const others[][2] = {
        { "rmsnorm", "f32" }, { "quant", "f32" }, { "score", "f16" }, { "score", "f32" }, { "mix", "f16" }, { "mix", "f32" },
        { "max", "f32" }, { "exp_sum", "f32" }, { "store_f16", "f32" },
    };

    (void)state;
    for (int k = 0; k < N_UNITS; k++) {
        const KernelUnit *u = kernel_unit(unit_names[k]);

        assert_non_null(u);
        for (size_t i = 0; i < sizeof dots / sizeof dots[0]; i++) {
            const KernelInfo *one = kernel_find(u, NULL, "dot", dots[i][0], dots[i][1], 1);
            const KernelInfo *four = kernel_find(u, NULL, "dot", dots[i][0], dots[i][1], 4);

            assert_non_null(one);
            assert_non_null(four);
            assert_string_equal(one->order, four->order);
            assert_int_equal(one->tile_rows, 32);
            assert_non_null(kernel_find(u, NULL, "row", dots[i][0], NULL, 0));
        }
        for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
            assert_non_null(kernel_find(u, NULL, others[i][0], NULL, others[i][1], 0));
    }
}

/* The C expressions of the table of ops call nothing that is not there. */
static void ops_find_their_functions(void **state)
{
    static const char *const expressions[] = {
#define OP(name, operands, attributes, n, effect, shape, c, meaning) c,
#include "ir/ops.def"
    };
    int n_calls = 0;

    (void)state;
    for (size_t i = 0; i < sizeof expressions / sizeof expressions[0]; i++)
        for (const char *p = expressions[i]; p && (p = strstr(p, "sn_")) != NULL; p += 3) {
            char name[64];
            const char *names[1] = { name };

            snprintf(name, sizeof name, "%.*s", (int)strspn(p, "abcdefghijklmnopqrstuvwxyz0123456789_"), p);
            n_calls++;
            for (int k = 0; k < N_UNITS; k++) {
                const KernelUnit *u = kernel_unit(unit_names[k]);
                bool *wanted = calloc((size_t)u->n_entities, sizeof *wanted);

                assert_non_null(wanted);
                if (!kernel_closure(u, names, 1, wanted))
                    fail_msg("%s has no %s", u->isa, name);
                free(wanted);
            }
        }
    assert_true(n_calls >= 5);
}

/* ---- --write -------------------------------------------------------------------------------------------------------- */

static bool write_one(Arena *a, const char *dir, const KernelUnit *u, const char *base, const char *const *names, int n)
{
    Buf out = buf_in(a);
    bool *wanted = ARENA_ARRAY(a, bool, (size_t)u->n_entities);
    FILE *f = fopen(str_printf(a, "%s/%s@%s.c", dir, u->isa, base), "w");

    if (!f || !kernel_closure(u, names, n, wanted))
        return false;
    kernel_emit(&out, u, wanted, -1);
    buf_puts(&out, "\ntypedef void (*Fn)(void);\nFn const kernels[] = {");
    for (int i = 0; i < n; i++)
        buf_printf(&out, "\n    (Fn)%s,", names[i]);
    buf_puts(&out, "\n};\n");
    fputs(buf_z(&out), f);
    return fclose(f) == 0;
}

static bool write_all(Arena *a, const char *dir)
{
    for (int k = 0; k < N_UNITS; k++) {
        const KernelUnit *u = kernel_unit(unit_names[k]);
        const char **names = ARENA_ARRAY(a, const char *, (size_t)u->n_kernels);

        for (int i = 0; i < u->n_kernels; i++) {
            names[i] = u->kernels[i].name;
            /* one by one: the portable ones, and of the others those whose closure is largest */
            if ((k == 0 || strstr(names[i], "i4g32m") || strstr(names[i], "score")) &&
                !strcmp(u->kernels[i].isa, u->isa) && !write_one(a, dir, u, names[i], &names[i], 1))
                return false;
        }
        if (!write_one(a, dir, u, "all", names, u->n_kernels))
            return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(needs_are_what_the_text_names),
        cmocka_unit_test(closure_is_transitive_and_small),
        cmocka_unit_test(finding_prefers_the_first_isa),
        cmocka_unit_test(every_unit_has_every_contract),
        cmocka_unit_test(ops_find_their_functions),
    };

    if (argc == 3 && !strcmp(argv[1], "--write")) {
        Arena *a = arena_new(NULL);
        bool ok = write_all(a, argv[2]);

        arena_free(a);
        return !ok;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
