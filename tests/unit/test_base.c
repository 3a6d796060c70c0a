/* If these fail, messages lie about places, numbers change with the user's locale, or an interrupted build destroys its output. */
#include "tests/unit/test.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ir/base/base.h"

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

/* ---- arena ------------------------------------------------------------------------------------ */

static void arena_gives_zeroed_aligned_memory(void **state)
{
    Arena *a = *state;
    ArenaMark mark = arena_mark(a);

    for (int round = 0; round < 2; round++) {
        for (size_t n = 0; n < 300; n++) {
            uint8_t *p = ARENA_ARRAY(a, uint8_t, n * n);

            assert_int_equal((uintptr_t)p % 16, 0);
            for (size_t i = 0; i < n * n; i++)
                assert_int_equal(p[i], 0);
            memset(p, 0xff, n * n);
        }
        arena_rewind(a, mark);
    }
}

static void arena_rewind_keeps_what_is_older(void **state)
{
    Arena *a = *state;
    char *old = str_printf(a, "kept");
    ArenaMark mark = arena_mark(a);
    void *first = arena_alloc(a, 10, 1);

    memset(arena_alloc(a, 1 << 20, 1), 1, 1 << 20);
    arena_rewind(a, mark);
    assert_string_equal(old, "kept");
    assert_ptr_equal(arena_alloc(a, 10, 1), first);
}

/* The n-th allocation fails, for every n of a piece of work; so does one that overflows. */
static void arena_failures_jump(void **state)
{
    jmp_buf oom;
    volatile int n_jumps = 0;
    volatile uint64_t n = 1;

    (void)state;
    for (; ; n++) {
        Arena *a = arena_new(&oom);

        if (setjmp(oom) == 0) {
            arena_fail_after(a, n);
            for (int i = 0; i < 10; i++)
                arena_alloc(a, 1000, 1000);
            arena_free(a);
            break;
        }
        n_jumps++;
        assert_int_equal(arena_n_allocs(a), n);
        arena_free(a);
    }
    assert_int_equal(n_jumps, 10);
    {
        Arena *a = arena_new(&oom);
        volatile bool jumped = false;

        if (setjmp(oom) == 0)
            arena_alloc(a, SIZE_MAX / 2, 3);
        else
            jumped = true;
        assert_true(jumped);
        arena_free(a);
    }
}

/* ---- strings ---------------------------------------------------------------------------------- */

static void strings_compare_bytewise(void **state)
{
    Arena *a = *state;

    assert_true(str_eq(STR("a\0b"), STR("a\0b")));
    assert_false(str_eq(STR("a\0b"), STR("a\0c")));
    assert_true(str_eq(str_of(NULL), STR("")));
    assert_true(str_cmp(STR("a"), STR("ab")) < 0);
    assert_true(str_cmp(STR("\xff"), STR("a")) > 0);
    assert_int_equal(str_cmp(STR(""), STR("")), 0);
    assert_true(str_begins(STR("blk.0"), "blk.") && !str_begins(STR("bl"), "blk."));
    assert_true(str_ends(STR("a.gguf"), ".gguf") && !str_ends(STR("gguf"), ".gguf"));
    assert_string_equal(str_z(a, STR("a\0b")), "a");
    assert_int_equal(str_copy(a, STR("a\0b")).n, 3);
}

static void shown_text_is_safe_for_a_terminal(void **state)
{
    Arena *a = *state;

    assert_string_equal(str_show(a, STR("plain 'text'"), 100), "plain 'text'");
    assert_string_equal(str_show(a, STR("gr\xc3\xbc\xc3\x9f"), 100), "gr\xc3\xbc\xc3\x9f");
    assert_string_equal(str_show(a, STR("a\nb\x1b[2J\0c\x7f"), 100), "a\\x0ab\\x1b[2J\\x00c\\x7f");
    assert_string_equal(str_show(a, STR("\xff\xc3"), 100), "\\xff\\xc3");
    assert_string_equal(str_show(a, STR("\xc0\xaf \xed\xa0\x80"), 100), "\\xc0\\xaf \\xed\\xa0\\x80");   /* overlong, surrogate */
    assert_string_equal(str_show(a, STR("x\xe2\x80\xaey"), 100), "x\\xe2\\x80\\xaey");    /* right-to-left override */
    assert_string_equal(str_show(a, STR("\xc2\x9b"), 100), "\\xc2\\x9b");                 /* a control of 8 bits */
    assert_string_equal(str_show(a, STR("abcdef"), 3), "abc...");
    assert_string_equal(str_show(a, STR("abc"), 3), "abc");
    assert_string_equal(str_show(a, STR("ab\xc3\xbc"), 3), "ab...");                      /* no half characters */
}

static void a_mistyped_name_finds_its_neighbour(void **state)
{
    static const char *const names[] = { "build", "run", "explore", "inspect", "verify", NULL };

    (void)state;
    assert_string_equal(str_nearest(STR("biuld"), names), "build");
    assert_string_equal(str_nearest(STR("inspct"), names), "inspect");
    assert_string_equal(str_nearest(STR("runn"), names), "run");
    assert_null(str_nearest(STR("quantize"), names));
    assert_null(str_nearest(STR(""), names));
}

static void buffers_grow(void **state)
{
    Arena *a = *state;
    Buf b = buf_in(a);

    assert_string_equal(buf_z(&b), "");
    for (int i = 0; i < 1000; i++)
        buf_printf(&b, "%d,", i);
    assert_int_equal(b.n, 10 * 2 + 90 * 3 + 900 * 4);
    assert_true(str_ends(buf_str(&b), ",998,999,"));
    buf_put(&b, "\0x", 2);
    assert_int_equal(buf_str(&b).p[b.n - 2], 0);
}

static void sizes_do_not_overflow(void **state)
{
    uint64_t x = 7;

    (void)state;
    assert_true(mul_ok(UINT64_MAX, 1, &x) && x == UINT64_MAX);
    assert_true(mul_ok(0, UINT64_MAX, &x) && x == 0);
    assert_false(mul_ok(UINT64_C(1) << 32, UINT64_C(1) << 32, &x));
    assert_int_equal(x, 0);
    assert_false(add_ok(UINT64_MAX, 1, &x));
    assert_true(add_ok(UINT64_MAX - 1, 1, &x) && x == UINT64_MAX);
    assert_int_equal(align_up(33, 32), 64);
}

/* ---- numbers ---------------------------------------------------------------------------------- */

static void numbers_look_like_this(Arena *a)
{
    assert_string_equal(str_float(a, 0.1f, true), "0.1");
    assert_string_equal(str_float(a, 0.1, false), "0.1");
    assert_string_equal(str_float(a, 0.1f, false), "0.10000000149011612");
    assert_string_equal(str_float(a, 1, true), "1.0");
    assert_string_equal(str_float(a, -2.5, true), "-2.5");
    assert_string_equal(str_float(a, 1e-5f, true), "1e-05");
    assert_string_equal(str_float(a, 0.0001, false), "0.0001");
    assert_string_equal(str_float(a, 1e15, false), "1000000000000000.0");
    assert_string_equal(str_float(a, 1e16, false), "1e+16");
    assert_string_equal(str_float(a, 1.5e300, false), "1.5e+300");
    assert_string_equal(str_float(a, FLT_MAX, true), "3.4028235e+38");
    assert_string_equal(str_float(a, 0x1p-149, true), "1e-45");
    assert_string_equal(str_float(a, 0x1p-1074, false), "5e-324");
    assert_string_equal(str_float(a, -0.0, true), "-0.0");
    assert_string_equal(str_float(a, INFINITY, true), "inf");
    assert_string_equal(str_float(a, -INFINITY, true), "-inf");
    assert_string_equal(str_float(a, NAN, true), "nan");
    assert_string_equal(str_float(a, 100000, true), "100000.0");
}

static void numbers_read_back(Arena *a)
{
    uint64_t x = 1;

    for (int i = 0; i < 3000; i++) {
        uint32_t bits;
        float f;
        double d, back;

        x = x * UINT64_C(6364136223846793005) + 1442695040888963407u;
        bits = (uint32_t)(x >> 32);
        memcpy(&f, &bits, 4);
        if (isfinite(f)) {
            assert_true(str_to_double(str_of(str_float(a, f, true)), &back));
            assert_true((float)back == f);
        }
        memcpy(&d, &x, 8);
        if (isfinite(d)) {
            assert_true(str_to_double(str_of(str_float(a, d, false)), &back));
            assert_true(back == d);
        }
    }
}

static void numbers_are_read(void)
{
    static const struct { const char *text; double value; } good[] = {
        { "0", 0 }, { "12.5e3", 12500 }, { "-.5", -0.5 }, { "+7.", 7 }, { "1e400", INFINITY }, { "1e-400", 0 },
        { "0.00000000000000000000001", 1e-23 }, { "100000000000000000000000", 1e23 }, { "inf", INFINITY },
        { "0e999999999", 0 }, { "9007199254740993", 9007199254740992.0 },
    };
    static const char *const bad[] = { "", "-", ".", "1,5", "1e", "1e+", "1 ", " 1", "0x10", "infinity", "1.2.3", "e5" };
    double d;

    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(str_to_double(str_of(good[i].text), &d));
        assert_true(d == good[i].value);
    }
    assert_true(str_to_double(STR("nan"), &d) && isnan(d));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(str_to_double(str_of(bad[i]), &d));
}

/* A decimal a hair above a tie, the hair 900 digits away: it must round up. */
static void long_decimals_are_not_ties(Arena *a)
{
    Buf b = buf_in(a);
    double d;

    buf_puts(&b, "9007199254740993.");
    for (int i = 0; i < 900; i++)
        buf_putc(&b, '0');
    assert_true(str_to_double(buf_str(&b), &d) && d == 9007199254740992.0);
    buf_putc(&b, '1');
    assert_true(str_to_double(buf_str(&b), &d) && d == 9007199254740994.0);
}

static void numbers_ignore_the_locale(void **state)
{
    Arena *a = *state;
    static const char *const locales[] = { "C", "de_DE.UTF-8", "fr_FR.UTF-8", "ar_EG.UTF-8", "de_DE", "" };
    int n = 0;

    for (size_t i = 0; i < sizeof locales / sizeof *locales; i++) {
        if (!setlocale(LC_ALL, locales[i]))
            continue;
        numbers_look_like_this(a);
        numbers_read_back(a);
        numbers_are_read();
        long_decimals_are_not_ties(a);
        n++;
    }
    setlocale(LC_ALL, "C");
    assert_true(n >= 1);
}

static void integers_are_read(void **state)
{
    static const struct { const char *text; int64_t value; } good[] = {
        { "0", 0 }, { "-1", -1 }, { "+5", 5 }, { "0x1F", 31 }, { "-0xff", -255 }, { "9223372036854775807", INT64_MAX },
        { "-9223372036854775808", INT64_MIN },
    };
    static const char *const bad[] = { "", "-", "0x", "9223372036854775808", "-9223372036854775809", "1a", " 1", "1.0",
                                       "99999999999999999999999999" };
    int64_t v;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(str_to_i64(str_of(good[i].text), &v));
        assert_true(v == good[i].value);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(str_to_i64(str_of(bad[i]), &v));
}

/* ---- diagnostics ------------------------------------------------------------------------------ */

static void messages_name_the_place(void **state)
{
    Arena *a = *state;
    Diag *d = diag_new(a, NULL);
    Loc both = { .file = "m.gguf", .what = "key 'k'", .off = 12 };

    assert_false(fail(d, AT_WHAT("m.gguf", "tensor 'x'"), "type %d is wrong", 97));
    assert_false(fail(d, AT_LINE("t.yaml", 3, 7), "what is this?"));
    assert_false(fail(d, both, "cut"));
    warn(d, NOWHERE, "careful");
    note(d, "by the way");
    assert_int_equal(diag_n_errors(d), 3);
    assert_string_equal(str_z(a, diag_text(d)),
                        "sinter: error: m.gguf: tensor 'x': type 97 is wrong\n"
                        "sinter: error: t.yaml:3:7: what is this?\n"
                        "sinter: error: m.gguf: key 'k': byte 12: cut\n"
                        "sinter: warning: careful\n"
                        "sinter: note: by the way\n");
}

static void messages_are_limited_and_escaped(void **state)
{
    Arena *a = *state;
    Diag *d = diag_new(a, NULL);

    fail(d, AT_FILE("a\nsinter: all is well"), "bad \x1b[2Jthing\nand a second line");
    assert_string_equal(str_z(a, diag_text(d)), "sinter: error: a\\x0asinter: all is well: bad \\x1b[2Jthing\nand a second line\n");
    diag_limit(d, 3);
    for (int i = 0; i < 10; i++)
        fail(d, NOWHERE, "number %d", i);
    assert_int_equal(diag_n_errors(d), 11);
    assert_true(str_ends(diag_text(d), "number 1\n"));
}

/* ---- digests and fill -------------------------------------------------------------------------- */

static void digests_are_those_of_xxhash(void **state)
{
    Arena *a = *state;
    uint8_t data[1000];
    DigestState *s = digest_begin(a);
    Digest d, back;

    for (int i = 0; i < 1000; i++)
        data[i] = (uint8_t)(i * 7);
    /* XXH3 128 bits of nothing, as the xxHash specification gives it. */
    assert_string_equal(digest_hex(a, digest_of("", 0)), "99aa06d3014798d86001c324468d497f");
    for (int i = 0; i < 1000; i += 50)
        digest_add(s, data + i, 50);
    d = digest_end(s);
    assert_true(digest_eq(d, digest_of(data, sizeof data)));
    assert_true(digest_parse(str_of(digest_hex(a, d)), &back) && digest_eq(d, back));
    assert_false(digest_parse(STR("99aa06d3014798d86001c324468d497"), &back));
    assert_false(digest_parse(STR("99AA06d3014798d86001c324468d497f"), &back));
    assert_false(digest_is_zero(d));
    assert_true(digest64("", 0) == UINT64_C(0x2d06800538d394c2));
}

/* The three values are what fill() in tests/models/record.py gives. */
static void fill_is_the_function_that_python_has(void **state)
{
    static const int64_t matrix[] = { 7, 576 }, vector[] = { 64 }, tiny[] = { 3, 2 };
    Str name = STR("model.layers.0.self_attn.q_proj.weight"), norm = STR("model.norm.weight");
    float scale, base;

    (void)state;
    fill_scale(name, 2, matrix, &scale, &base);
    assert_true(scale == 0.0625f && base == 0);
    fill_scale(name, 2, tiny, &scale, &base);
    assert_true(scale == 1 && base == 0);
    fill_scale(norm, 1, vector, &scale, &base);
    assert_true(scale == 0.25f && base == 1);
    fill_scale(STR("x.bias"), 1, vector, &scale, &base);
    assert_true(scale == 0.125f && base == 0);
    assert_true(fill_value(name, 0, 1, 0.0625f, 0) == 0x1.337c4p-6f);
    assert_true(fill_value(name, 4031, 1, 0.0625f, 0) == 0x1.8b6da8p-6f);
    assert_true(fill_value(norm, 5, 3, 0.25f, 1) == 0x1.f03p-1f);
}

/* ---- files ------------------------------------------------------------------------------------- */

static char *scratch_dir(Arena *a)
{
    char *dir = str_printf(a, "%s/sinter-test-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");

    assert_non_null(mkdtemp(dir));
    return dir;
}

static Str content(FileSet *fs, Arena *a, const char *path)
{
    Mapped m;

    assert_true(file_map(fs, a, diag_new(a, stderr), path, &m));
    return (Str){ (const char *)m.p, (size_t)m.n };
}

static int n_entries(Arena *a, const char *dir)
{
    FILE *p = popen(str_printf(a, "ls -A '%s' | wc -l", dir), "r");
    int n = -1;

    assert_non_null(p);
    assert_int_equal(fscanf(p, "%d", &n), 1);
    pclose(p);
    return n;
}

static void paths_come_apart(void **state)
{
    Arena *a = *state;

    assert_string_equal(path_base("a/b.c"), "b.c");
    assert_string_equal(path_base("b.c"), "b.c");
    assert_string_equal(path_base("/"), "");
    assert_string_equal(path_stem(a, "x/SmolLM2.Q4_1.gguf"), "SmolLM2.Q4_1");
    assert_string_equal(path_stem(a, ".profile"), ".profile");
    assert_string_equal(path_stem(a, "a/b/"), "b");
    assert_string_equal(path_dir(a, "a/b/c"), "a/b");
    assert_string_equal(path_dir(a, "c"), ".");
    assert_string_equal(path_dir(a, "/c"), "/");
    assert_string_equal(path_join(a, "a", "b"), "a/b");
    assert_string_equal(path_join(a, "a/", "b"), "a/b");
    assert_string_equal(path_join(a, "a", "/b"), "/b");
}

static void an_output_file_appears_whole_or_not_at_all(void **state)
{
    Arena *a = *state;
    char *dir = scratch_dir(a), *path = path_join(a, dir, "out");
    Diag *d = diag_new(a, NULL);
    FileSet *fs = files_new();
    OutFile *o;

    assert_true(file_write(fs, a, d, path, STR("old")));
    o = out_open(fs, a, d, path);
    assert_non_null(o);
    assert_true(out_write(o, "new", 3));
    assert_true(str_is(content(fs, a, path), "old"));
    files_close(fs);                /* as after a failure: o was not committed */
    assert_int_equal(n_entries(a, dir), 1);
    fs = files_new();
    assert_true(str_is(content(fs, a, path), "old"));
    o = out_open(fs, a, d, path);
    assert_true(out_write(o, "new", 3) && out_commit(o));
    assert_true(str_is(content(fs, a, path), "new"));
    assert_int_equal(n_entries(a, dir), 1);
    assert_int_equal(diag_n_errors(d), 0);
    assert_null(out_open(fs, a, d, dir));
    assert_null(out_open(fs, a, d, path_join(a, path, "below")));
    assert_int_equal(diag_n_errors(d), 2);
    assert_true(file_write(fs, a, d, "/dev/null", STR("gone")));
    files_close(fs);
    remove(path);
    assert_int_equal(rmdir(dir), 0);
}

static void inputs_that_cannot_be_mapped_are_reported(void **state)
{
    Arena *a = *state;
    char *dir = scratch_dir(a), *empty = path_join(a, dir, "empty"), *fifo = path_join(a, dir, "fifo");
    Diag *d = diag_new(a, NULL);
    FileSet *fs = files_new();
    Mapped m;

    assert_false(file_map(fs, a, d, path_join(a, dir, "none"), &m));
    assert_true(strstr(str_z(a, diag_text(d)), "none: cannot open: No such file") != NULL);
    assert_false(file_map(fs, a, d, dir, &m));
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_false(file_map(fs, a, d, fifo, &m));
    assert_int_equal(diag_n_errors(d), 3);
    assert_true(file_write(fs, a, d, empty, STR("")));
    assert_true(file_map(fs, a, d, empty, &m));
    assert_true(m.n == 0 && m.p != NULL);
    files_close(fs);
    remove(empty);
    remove(fifo);
    assert_int_equal(rmdir(dir), 0);
}

static void an_output_folder_replaces_only_ours(void **state)
{
    Arena *a = *state;
    char *dir = scratch_dir(a), *out = path_join(a, dir, "deep/er/out"), *file = path_join(a, out, "file");
    Diag *d = diag_new(a, NULL);
    FileSet *fs = files_new();
    OutDir *o = outdir_open(fs, a, d, out);

    assert_non_null(o);
    assert_true(file_write(fs, a, d, path_join(a, outdir_path(o), "file"), STR("first")));
    assert_int_not_equal(access(out, F_OK), 0);
    assert_true(outdir_commit(o));
    assert_true(str_is(content(fs, a, file), "first"));

    assert_null(outdir_open(fs, a, d, out));                /* not empty, and no manifest of ours */
    assert_int_equal(diag_n_errors(d), 1);
    assert_true(file_write(fs, a, d, path_join(a, out, "manifest.json"), STR("{ \"other\": 1 }")));
    assert_null(outdir_open(fs, a, d, out));
    assert_true(file_write(fs, a, d, path_join(a, out, "manifest.json"), STR("{ \"sinter\": \"1\" }")));

    o = outdir_open(fs, a, d, str_printf(a, "%s/", out));
    assert_non_null(o);
    assert_true(file_write(fs, a, d, path_join(a, outdir_path(o), "file"), STR("second")));
    files_close(fs);                /* interrupted: the old one stays, nothing is left beside it */
    fs = files_new();
    assert_true(str_is(content(fs, a, file), "first"));
    assert_int_equal(n_entries(a, path_dir(a, out)), 1);

    o = outdir_open(fs, a, d, out);
    assert_true(file_write(fs, a, d, path_join(a, outdir_path(o), "file"), STR("second")));
    assert_true(outdir_commit(o));
    assert_true(str_is(content(fs, a, file), "second"));
    assert_int_equal(n_entries(a, out), 1);
    assert_int_equal(n_entries(a, path_dir(a, out)), 1);
    assert_null(outdir_open(fs, a, d, file));               /* a file */
    assert_null(outdir_open(fs, a, d, ""));
    files_close(fs);
    assert_int_equal(system(str_printf(a, "rm -r '%s'", dir)), 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(arena_gives_zeroed_aligned_memory),
        T(arena_rewind_keeps_what_is_older),
        T(arena_failures_jump),
        T(strings_compare_bytewise),
        T(shown_text_is_safe_for_a_terminal),
        T(a_mistyped_name_finds_its_neighbour),
        T(buffers_grow),
        T(sizes_do_not_overflow),
        T(numbers_ignore_the_locale),
        T(integers_are_read),
        T(messages_name_the_place),
        T(messages_are_limited_and_escaped),
        T(digests_are_those_of_xxhash),
        T(fill_is_the_function_that_python_has),
        T(paths_come_apart),
        T(an_output_file_appears_whole_or_not_at_all),
        T(inputs_that_cannot_be_mapped_are_reported),
        T(an_output_folder_replaces_only_ours),
    };

    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
