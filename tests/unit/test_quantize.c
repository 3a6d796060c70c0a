/* If this fails, --quant does not round as everyone else does: the same model quantized here and there answers differently. */
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "compiler/passes/passes.h"

/* From the model to the folder, and what lies in its weights file, decoded: that is what a program computes with. */
static void test_emitted_weights(void **state)
{
    static const struct { const char *name; int64_t n_out, n_in; uint64_t hash; } fact[] = {
#define ROUNDED(name, n_out, n_in, hash) { name, n_out, n_in, UINT64_C(hash) },
#include "tests/unit/facts_quantize.h"
    };
    Arena *a = arena_new(NULL);
    FileSet *fs = files_new();
    Diag *d = diag_new(a, NULL);
    BuildOptions o = build_options_default();
    char dir[] = "/tmp/test_quantize.XXXXXX";
    Module *m;

    (void)state;
    assert_non_null(mkdtemp(dir));
    o.model = "samples/model/story.gguf";
    o.target = "portable";
    o.quant = format_find(STR("q4_0"));
    o.out = path_join(a, dir, "story");
    assert_int_equal(pipeline_run(fs, a, d, &o), 0);
    m = pipeline_module(fs, a, d, &o, path_join(a, o.out, "story.sir"));
    assert_non_null(m);
    assert_string_equal(module_meta_str(m, "quant.format", ""), "q4_0");
    assert_int_equal(module_meta_int(m, "quant.n_weights", 0), 29);
    for (size_t i = 0; i < sizeof fact / sizeof *fact; i++) {
        Weight *w = module_find_weight(m, str_of(fact[i].name));
        float *y = ARENA_ARRAY(a, float, fact[i].n_out * fact[i].n_in);

        assert_non_null(w);
        assert_string_equal(w->type.fmt->name, "q4_0");
        assert_int_equal(type_n(w->type), fact[i].n_out * fact[i].n_in);
        for (int64_t r = 0; r < fact[i].n_out; r++)
            assert_true(weight_row(m, w, r, y + r * fact[i].n_in, d));
        assert_true(fnv1a(y, (size_t)type_n(w->type) * sizeof *y) == fact[i].hash);
    }
    assert_string_equal(module_find_weight(m, STR("output_norm.weight"))->type.fmt->name, "f32");
    for (const char *const *f = (const char *const[]){ "story.c", "story.h", "story_internal.h", "story_portable.c", "kernels_portable.h", "runtime.c",
                                                       "text.c", "main.c", "Makefile", "CMakeLists.txt", "manifest.json", "report.html", "story.sir",
                                                       "story.weights", "story.pc", NULL };
         *f; f++)
        assert_int_equal(unlink(path_join(a, o.out, *f)), 0);
    assert_int_equal(rmdir(o.out), 0);
    assert_int_equal(rmdir(dir), 0);
    files_close(fs);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_emitted_weights) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
