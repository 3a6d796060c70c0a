/* If these fail, `sinter inspect` shows wrong sizes, or a model file writes to the terminal of whoever looks at it. */
#include "tests/unit/test.h"

#include <jansson.h>

#include "compiler/inspect.h"

static int setup(void **state)
{
    *state = arena_new(NULL);
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    arena_free(*state);
    return 0;
}

#define EVIL "x\x1b]0;owned\a\r\n\xff\xe2\x80\xae</script>\"; system("

static Model *small_model(Arena *a)
{
    Buf b = buf_in(a);
    GgufWriter *w = gguf_writer(a, sink_buf(&b), 32);
    const Str tokens[] = { STR(EVIL), STR("b"), STR("") };
    uint8_t data[4 * 20 + 128 + 96 + 20] = { 0 };

    gguf_put_str(w, "general.architecture", STR("llama"));
    gguf_put_str(w, "general.name", STR(EVIL));
    gguf_put_str(w, EVIL, STR("a\0b"));
    gguf_put_u32(w, "llama.block_count", 2);
    gguf_put_f32(w, "llama.eps", 1e-5f);
    gguf_put_f32(w, "llama.inf", 1e38f * 100);
    gguf_put_u64(w, "largest", UINT64_MAX);
    gguf_put_strs(w, "tokenizer.ggml.tokens", tokens, 3);
    gguf_put_tensor(w, STR("blk.0.a"), format_find(STR("q4_1")), 2, (int64_t[]){ 2, 32 });
    gguf_put_tensor(w, STR("blk.1.a"), format_find(STR("q4_1")), 2, (int64_t[]){ 2, 32 });
    gguf_put_tensor(w, STR(EVIL), format_find(STR("f32")), 1, (int64_t[]){ 32 });
    gguf_put_tensor(w, STR("blk.2.a"), format_find(STR("f32")), 1, (int64_t[]){ 24 });
    gguf_put_tensor(w, STR("blk.10.a"), format_find(STR("q4_1")), 1, (int64_t[]){ 32 });
    gguf_begin_data(w);
    gguf_data(w, data, sizeof data);
    gguf_end(w);
    return model_read(a, diag_new(a, stderr), (Mapped){ "dir/" EVIL, (const uint8_t *)b.p, b.n });
}

static void a_report_is_printable_text(void **state)
{
    Arena *a = *state;

    for (int all = 0; all < 2; all++) {
        Buf out = buf_in(a);

        assert_true(inspect_model(&out, diag_new(a, stderr), small_model(a), false, all));
        for (size_t i = 0; i < out.n; i++)
            assert_true(out.p[i] == '\n' || ((uint8_t)out.p[i] >= 0x20 && (uint8_t)out.p[i] < 0x7f));
        buf_z(&out);
        assert_non_null(strstr(out.p, "x\\x1b]0;owned\\x07\\x0d\\x0a\\xff\\xe2\\x80\\xae</script>"));
        assert_non_null(strstr(out.p, "hyperparameters of llama\n  block_count"));
        assert_non_null(strstr(out.p, "  q4_1            3              160              100    5.00"));
        assert_non_null(strstr(out.p, "  all             5              216              324   12.00"));
        assert_int_equal(strstr(out.p, "2 x  blk.N.a                           q4_1   [2,32]") != NULL, !all);
        assert_int_equal(strstr(out.p, "q4_1   blk.10.a                          [32]") != NULL, all);
    }
}

static void json_has_everything(void **state)
{
    Arena *a = *state;
    Buf out = buf_in(a);
    json_error_t error;
    json_t *j, *meta, *tensors;

    assert_true(inspect_model(&out, diag_new(a, stderr), small_model(a), true, false));
    for (size_t i = 0; i < out.n; i++)
        assert_true(out.p[i] == '\n' || ((uint8_t)out.p[i] >= 0x20 && (uint8_t)out.p[i] < 0x7f));
    j = json_loadb(out.p, out.n, JSON_ALLOW_NUL, &error);
    assert_non_null(j);
    assert_int_equal(json_integer_value(json_object_get(j, "schema")), 1);
    assert_int_equal(json_integer_value(json_object_get(j, "weights")), 216);
    assert_int_equal(json_integer_value(json_object_get(j, "weight_bytes")), 324);
    meta = json_object_get(j, "metadata");
    assert_int_equal(json_object_size(meta), 8);
    assert_int_equal(json_integer_value(json_object_get(meta, "llama.block_count")), 2);
    assert_true(json_real_value(json_object_get(meta, "llama.eps")) == 1e-5);
    assert_string_equal(json_string_value(json_object_get(meta, "llama.inf")), "inf");
    assert_string_equal(json_string_value(json_object_get(meta, "largest")), "more than 2^63");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(meta, "tokenizer.ggml.tokens"), "n")), 3);
    tensors = json_object_get(j, "tensors");
    assert_int_equal(json_array_size(tensors), 5);
    assert_string_equal(json_string_value(json_object_get(json_array_get(tensors, 0), "name")), "blk.0.a");
    assert_int_equal(json_integer_value(json_array_get(json_object_get(json_array_get(tensors, 0), "shape"), 1)), 32);
    json_decref(j);
}

/* A Module of two weights. */
static void a_module_is_counted(void **state)
{
    Arena *a = *state;
    Diag *d = diag_new(a, stderr);
    Module *m = module_new(a, "tiny");
    Type t = type_2(m, format_find(STR("f32")), 4, 8);
    Buf out = buf_in(a);
    json_error_t error;
    json_t *j;

    module_add_weight(m, "w", t, wexpr_new(m, W_fill, t));
    module_add_weight(m, "v", t, wexpr_new(m, W_fill, t));
    module_add_func(m, "main");
    assert_true(inspect_module(&out, d, m, false, true));
    assert_non_null(strstr(buf_z(&out), "tiny: a Module, 2 weights, 0 states, 0 entries"));
    assert_non_null(strstr(out.p, "  f32      -                     2               64              256   32.00"));
    out = buf_in(a);
    assert_true(inspect_module(&out, d, m, true, false));
    j = json_loadb(out.p, out.n, 0, &error);
    assert_non_null(j);
    assert_int_equal(json_array_size(json_object_get(j, "weights")), 2);
    assert_string_equal(json_string_value(json_object_get(json_array_get(json_object_get(j, "weights"), 0), "type")), "f32[4,8]");
    json_decref(j);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_report_is_printable_text),
        T(json_has_everything),
        T(a_module_is_counted),
    };

    return cmocka_run_group_tests_name("inspect", tests, NULL, NULL);
}
