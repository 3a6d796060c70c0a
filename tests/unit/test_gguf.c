/* If these fail, a damaged or malicious model file crashes the compiler, or a good one is read as something else. */
#include "tests/unit/test.h"

#include <math.h>
#include <stdlib.h>

#include "compiler/import/model.h"

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

/* A small file with every kind of value and three tensors:
 * "a" f32 [2, 3] (24 bytes at 0), "b" q8_0 [32] (34 bytes at 32), "c.weight" f16 [2, 1, 5] (20 bytes at 96). */
static Str small_file(Arena *a, size_t piece)
{
    Buf b = buf_in(a);
    GgufWriter *w = gguf_writer(a, sink_buf(&b), 32);
    static const int32_t ints[] = { -1, 0, 7 };
    static const uint32_t layers[] = { 4, 5 };
    static const float floats[] = { 0.5f, -2 };
    static const bool bools[] = { true, false, true };
    const Str strs[] = { STR("one"), STR(""), STR("th\0ree") };
    uint8_t data[24 + 34 + 20];

    gguf_put_str(w, "general.architecture", STR("llama"));
    gguf_put_str(w, "general.name", STR("a \x1b[2J\nname\xff"));
    gguf_put_u32(w, "llama.block_count", 2);
    gguf_put_i32(w, "negative", -3);
    gguf_put_u64(w, "large", UINT64_C(1) << 40);
    gguf_put_u64(w, "largest", UINT64_MAX);
    gguf_put_f32(w, "eps", 1e-5f);
    gguf_put_bool(w, "flag", true);
    gguf_put_strs(w, "strings", strs, 3);
    gguf_put_i32s(w, "ints", ints, 3);
    gguf_put_u32s(w, "layers", layers, 2);
    gguf_put_f32s(w, "floats", floats, 2);
    gguf_put_bools(w, "bools", bools, 3);
    gguf_put_strs(w, "nothing", NULL, 0);
    gguf_put_tensor(w, STR("a"), format_find(STR("f32")), 2, (int64_t[]){ 2, 3 });
    gguf_put_tensor(w, STR("b"), format_find(STR("q8_0")), 1, (int64_t[]){ 32 });
    gguf_put_tensor(w, STR("c.weight"), format_find(STR("f16")), 3, (int64_t[]){ 2, 1, 5 });
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i + 1);
    assert_true(gguf_begin_data(w));
    for (size_t i = 0; i < sizeof data; i += piece)
        assert_true(gguf_data(w, data + i, sizeof data - i < piece ? sizeof data - i : piece));
    assert_true(gguf_end(w));
    return buf_str(&b);
}

/* The bytes at the end of a block of their own, so that AddressSanitizer sees one byte too many. */
static Model *read_copy(Arena *a, Diag *d, Str file, uint8_t **copy)
{
    *copy = malloc(file.n ? file.n : 1);
    assert_non_null(*copy);
    memcpy(*copy, file.p, file.n);
    return model_read(a, d, (Mapped){ "m.gguf", *copy, file.n });
}

static void what_is_written_is_read(void **state)
{
    Arena *a = *state;
    Str file = small_file(a, 1000);
    Diag *d = diag_new(a, stderr);
    Model *m = model_read(a, d, (Mapped){ "dir/m.gguf", (const uint8_t *)file.p, file.n });
    const ModelTensor *t;
    const KeyValue *kv;
    uint32_t u = 9, layers[2];
    int64_t i = 0;
    double x;
    float f = 0;
    bool flag = false;
    Str s;

    assert_non_null(m);
    assert_string_equal(m->name, "m.gguf");
    assert_string_equal(m->container, "GGUF version 3");
    assert_int_equal(m->n_kv, 14);
    assert_int_equal(m->n_tensor, 3);
    assert_int_equal(m->data_off % 32, 0);
    assert_true(digest_eq(model_digest(m), digest_of(file.p, file.n)));

    t = model_tensor(m, "a");
    assert_true(t && t->fmt == format_find(STR("f32")) && t->rank == 2 && t->dim[0] == 2 && t->dim[1] == 3);
    assert_true(t->bytes == 24 && t->p[0] == 1 && t->p[23] == 24 && t->p == m->file.p + t->off);
    t = model_tensor(m, "b");
    assert_true(t && t->bytes == 34 && t->p[0] == 25 && t->p[33] == 58);
    t = model_tensor(m, "c.weight");
    assert_true(t && t->rank == 3 && t->dim[0] == 2 && t->dim[1] == 1 && t->dim[2] == 5 && t->p[0] == 59);
    assert_null(model_tensor(m, "c"));
    assert_null(model_tensor(m, ""));

    assert_true(model_u32(m, d, "llama.block_count", &u, true) && u == 2);
    assert_true(model_i64(m, d, "negative", &i, true) && i == -3);
    assert_true(model_i64(m, d, "large", &i, true) && i == INT64_C(1) << 40);
    assert_true(model_f32(m, d, "eps", &f, true) && f == 1e-5f);
    assert_true(model_f32(m, d, "negative", &f, true) && f == -3);
    assert_true(model_bool(m, d, "flag", &flag, true) && flag);
    assert_true(model_str(m, d, "general.architecture", &s, true) && str_is(s, "llama"));
    assert_true(model_array(m, d, "strings", META_str, &kv, true) && kv->n == 3);
    assert_true(str_is(kv_str(kv, 0), "one") && kv_str(kv, 1).n == 0 && str_eq(kv_str(kv, 2), STR("th\0ree")));
    assert_true(model_array(m, d, "ints", META_i64, &kv, true) && kv_int(kv, 0, &i) && i == -1 && kv_int(kv, 2, &i) && i == 7);
    assert_true(model_array(m, d, "floats", META_f32, &kv, true) && kv_float(kv, 1, &x) && x == -2);
    assert_true(model_array(m, d, "bools", META_bool, &kv, true) && kv_int(kv, 0, &i) && i == 1 && kv_int(kv, 1, &i) && i == 0);
    assert_true(model_array(m, d, "nothing", META_str, &kv, true) && kv->n == 0);
    assert_true(model_u32_layers(m, d, "layers", layers, 2, true) && layers[0] == 4 && layers[1] == 5);
    assert_true(model_u32_layers(m, d, "llama.block_count", layers, 2, true) && layers[0] == 2 && layers[1] == 2);

    u = 77;
    assert_true(model_u32(m, d, "absent", &u, false) && u == 77);
    assert_true(model_array(m, d, "absent", META_str, &kv, false) && kv == NULL);
    assert_int_equal(diag_n_errors(d), 0);

    d = diag_new(a, NULL);
    assert_false(model_u32(m, d, "absent", &u, true));
    assert_false(model_u32(m, d, "negative", &u, true));
    assert_false(model_u32(m, d, "large", &u, true));
    assert_false(model_u32(m, d, "eps", &u, true));
    assert_false(model_u32(m, d, "layers", &u, true));
    assert_false(model_i64(m, d, "largest", &i, true));
    assert_false(model_bool(m, d, "llama.block_count", &flag, true));
    assert_false(model_str(m, d, "flag", &s, true));
    assert_false(model_f32(m, d, "general.architecture", &f, true));
    assert_false(model_f32(m, d, "nothing", &f, true));
    assert_false(model_array(m, d, "floats", META_str, &kv, true));
    assert_false(model_array(m, d, "eps", META_f32, &kv, true));
    assert_false(model_u32_layers(m, d, "layers", layers, 3, true));
    assert_false(model_u32_layers(m, d, "flag", layers, 2, true));
    assert_int_equal(diag_n_errors(d), 14);
    assert_true(u == 77);
    assert_true(str_begins(diag_text(d), "sinter: error: dir/m.gguf: key 'absent': is missing"));
}

static void writing_in_pieces_gives_the_same_bytes(void **state)
{
    Arena *a = *state;
    Str whole = small_file(a, 1000);

    for (size_t piece = 1; piece < 80; piece++)
        assert_true(str_eq(whole, small_file(a, piece)));
    assert_int_equal(whole.n % 32, 0);
}

static void a_copy_of_all_metadata_is_the_same_file(void **state)
{
    Arena *a = *state;
    Str file = small_file(a, 1000);
    Model *m = model_read(a, diag_new(a, stderr), (Mapped){ "m", (const uint8_t *)file.p, file.n });
    Buf b = buf_in(a);
    GgufWriter *w = gguf_writer(a, sink_buf(&b), 32);

    for (uint64_t i = 0; i < m->n_kv; i++)
        gguf_put_kv(w, &m->kv[i]);
    for (uint64_t i = 0; i < m->n_tensor; i++)
        gguf_put_tensor(w, m->tensor[i].name, m->tensor[i].fmt, m->tensor[i].rank, m->tensor[i].dim);
    assert_true(gguf_begin_data(w));
    for (uint64_t i = 0; i < m->n_tensor; i++)
        assert_true(gguf_data(w, m->tensor[i].p, m->tensor[i].bytes));
    assert_true(gguf_end(w));
    assert_true(str_eq(buf_str(&b), file));
}

/* Cut at every byte: an error with the file's name, never a crash.  Only the padding behind the last tensor may be missing. */
static void a_cut_file_is_an_error(void **state)
{
    Str file = small_file(*state, 1000);
    size_t needed = file.n - 12;    /* "c.weight" ends 20 bytes after a multiple of 32 */

    for (size_t n = 0; n <= file.n; n++) {
        Arena *a = arena_new(NULL);
        Diag *d = diag_new(a, NULL);
        uint8_t *copy;
        Model *m = read_copy(a, d, (Str){ file.p, n }, &copy);

        assert_true((m != NULL) == (n >= needed));
        assert_int_equal(diag_n_errors(d) > 0, m == NULL);
        if (!m)
            assert_true(str_begins(diag_text(d), "sinter: error: m.gguf: "));
        free(copy);
        arena_free(a);
    }
}

/* Every byte in turn takes extreme values: read or refused, but nothing outside the file is touched, and what was read can be used. */
static void a_damaged_file_never_crashes(void **state)
{
    Str file = small_file(*state, 1000);
    static const uint8_t values[] = { 0x00, 0x01, 0x7f, 0x80, 0xff };

    for (size_t i = 0; i < file.n; i++)
        for (size_t v = 0; v < sizeof values; v++) {
            Arena *a = arena_new(NULL);
            Diag *d = diag_new(a, NULL);
            Buf b = buf_in(a);
            uint8_t *copy;
            Model *m;
            uint64_t sum = 0;

            buf_put(&b, file.p, file.n);
            b.p[i] = (char)values[v];
            m = read_copy(a, d, buf_str(&b), &copy);
            assert_int_equal(diag_n_errors(d) > 0, m == NULL);
            for (uint64_t k = 0; m && k < m->n_tensor; k++)
                for (uint64_t byte = 0; byte < m->tensor[k].bytes; byte++)
                    sum += m->tensor[k].p[byte];
            for (uint64_t k = 0; m && k < m->n_kv; k++)
                for (uint64_t n = 0; n < m->kv[k].n; n++) {
                    double x = 0;

                    if (m->kv[k].elem == META_str)
                        sum += kv_str(&m->kv[k], n).n;
                    else
                        kv_float(&m->kv[k], n, &x);
                }
            assert_true(sum < UINT64_MAX);
            free(copy);
            arena_free(a);
        }
}

/* The n-th allocation fails: it jumps, and nothing else happens. */
static void running_out_of_memory_is_clean(void **state)
{
    Str file = small_file(*state, 1000);
    jmp_buf oom;
    volatile uint64_t n = 0;
    volatile bool done = false;

    while (!done) {
        Arena *volatile a = arena_new(&oom);

        n++;
        if (setjmp(oom) == 0) {
            arena_fail_after(a, n);
            assert_non_null(model_read(a, diag_new(a, stderr), (Mapped){ "m", (const uint8_t *)file.p, file.n }));
            done = true;
        }
        arena_free(a);
    }
    assert_true(n > 20);
}

/* ---- one mistake each -------------------------------------------------------------------------- */

/* Where `name` (with its length before it) is followed by what it names. */
static size_t after(Str file, const char *name)
{
    uint64_t n = strlen(name);

    for (size_t i = 0; i + 8 + n <= file.n; i++)
        if (memcmp(file.p + i, &n, 8) == 0 && memcmp(file.p + i + 8, name, n) == 0)
            return i + 8 + n;
    assert_true(false);
    return 0;
}

typedef struct {
    const char *after;              /* NULL: from the beginning of the file */
    size_t skip;
    uint64_t value;
    int n_bytes;
    const char *message;            /* part of it */
    int n_errors;
} Mistake;

/* Offsets in a tensor's record: rank 0, dims 4 .., type, offset. */
static const Mistake mistakes[] = {
    { NULL, 0, 'g', 1, "m.gguf: is not a model that this sinter reads: it begins with 'gGUF", 1 },
    { NULL, 0, 0x04034b50, 4, "is a zip archive", 1 },
    { NULL, 4, 1, 4, "byte 4: GGUF version 1 is too old", 1 },
    { NULL, 4, 4, 4, "GGUF version 4 is newer than this sinter", 1 },
    { NULL, 4, 0x03000000, 4, "the file is big-endian (convert it", 1 },
    { NULL, 8, UINT64_MAX, 8, "the file claims 18446744073709551615 tensors, but has only", 1 },
    { NULL, 16, UINT64_C(1) << 60, 8, "the file claims 1152921504606846976 metadata values", 1 },
    { NULL, 24, UINT64_MAX, 8, "metadata 0: byte 24: a key claims 18446744073709551615 bytes", 1 },
    { NULL, 24, 0, 8, "the key is empty", 1 },
    { "general.architecture", 0, 13, 4, "key 'general.architecture': byte 52: metadata type 13 is not known", 1 },
    { "general.architecture", 4, 1 << 20, 8, "key 'general.architecture': byte 56: a string claims 1048576 bytes", 1 },
    { "flag", 4, 2, 1, "key 'flag': byte", 1 },
    { "ints", 4, 9, 4, "arrays in arrays", 1 },
    { "ints", 4, 77, 4, "metadata type 77 is not known", 1 },
    { "ints", 8, UINT64_C(1) << 62, 8, "key 'ints': byte", 1 },
    { "strings", 8, UINT64_C(1) << 61, 8, "the file claims 2305843009213693952 strings", 1 },
    { "a", 0, 0, 4, "tensor 'a': byte", 1 },
    { "a", 0, 5, 4, "has 5 dimensions; 1 to 4 are possible", 1 },
    { "a", 4, 0, 8, "tensor 'a': dimension 0 is 0", 1 },
    { "a", 4, UINT64_C(1) << 62, 8, "tensor 'a': its shape has more than 2^63 elements", 1 },
    { "a", 4, UINT64_C(1) << 61, 8, "tensor 'a': it would be larger than 2^64 bytes", 1 },
    { "a", 4, UINT64_C(1) << 59, 8, "tensor 'a': its data lie outside the file", 1 },
    { "a", 20, 97, 4, "tensor 'a': type 97 is not a known format (file newer than this sinter?)", 1 },
    { "a", 20, 10, 4, "tensor 'a': type 10 (q2_K) is not supported by this sinter", 1 },
    { "a", 20, 8, 4, "tensor 'a': rows of 3 elements are not whole blocks of 32", 1 },
    { "a", 24, 16, 8, "tensor 'a': its data begin at offset 16, which is not a multiple of the alignment 32", 1 },
    { "a", 24, 32, 8, "tensor 'b': its data overlap those of tensor 'a'", 1 },
    { "a", 24, UINT64_MAX - 31, 8, "tensor 'a': its data lie outside the file", 1 },
    { "b", 4, 64, 8, "tensor 'c.weight': its data overlap those of tensor 'b'", 1 },
};

static void each_mistake_is_named(void **state)
{
    Str file = small_file(*state, 1000);

    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        const Mistake *x = &mistakes[i];
        Arena *a = arena_new(NULL);
        Diag *d = diag_new(a, NULL);
        size_t at = (x->after ? after(file, x->after) : 0) + x->skip;
        uint8_t *copy;
        Buf b = buf_in(a);

        buf_put(&b, file.p, file.n);
        for (int k = 0; k < x->n_bytes; k++)
            b.p[at + (size_t)k] = (char)(x->value >> 8 * k);
        assert_null(read_copy(a, d, buf_str(&b), &copy));
        if (!strstr(str_z(a, diag_text(d)), x->message))
            print_error("wanted '%s' in:\n%s", x->message, str_z(a, diag_text(d)));
        assert_non_null(strstr(str_z(a, diag_text(d)), x->message));
        assert_int_equal(diag_n_errors(d), x->n_errors);
        free(copy);
        arena_free(a);
    }
}

static void version_2_is_read(void **state)
{
    Arena *a = *state;
    Str file = small_file(a, 1000);
    Model *m;

    ((char *)file.p)[4] = 2;
    m = model_read(a, diag_new(a, stderr), (Mapped){ "m", (const uint8_t *)file.p, file.n });
    assert_non_null(m);
    assert_string_equal(m->container, "GGUF version 2");
}

static Model *read_buf(Arena *a, Diag *d, const Buf *b)
{
    return model_read(a, d, (Mapped){ "m.gguf", (const uint8_t *)b->p, b->n });
}

static void every_bad_tensor_is_listed(void **state)
{
    Arena *a = *state;
    Diag *d = diag_new(a, NULL);
    Buf b = buf_in(a);
    GgufWriter *w = gguf_writer(a, sink_buf(&b), 64);
    float zero[16] = { 0 };

    for (int i = 0; i < 4; i++)
        gguf_put_tensor(w, str_of(str_printf(a, "t%d", i)), format_find(STR("f32")), 1, (int64_t[]){ 4 });
    gguf_begin_data(w);
    gguf_data(w, zero, 64);
    gguf_end(w);
    assert_int_equal(read_buf(a, d, &b)->alignment, 64);
    b.p[after(buf_str(&b), "t1") + 12] = 10;
    b.p[after(buf_str(&b), "t3") + 12] = 97;
    assert_null(read_buf(a, d, &b));
    assert_int_equal(diag_n_errors(d), 2);
    assert_non_null(strstr(str_z(a, diag_text(d)), "tensor 't1': type 10 (q2_K)"));
    assert_non_null(strstr(str_z(a, diag_text(d)), "tensor 't3': type 97"));
}

static void names_are_unique(void **state)
{
    Arena *a = *state;
    Diag *d = diag_new(a, NULL);
    Buf b = buf_in(a);
    GgufWriter *w = gguf_writer(a, sink_buf(&b), 32);
    float zero[8] = { 0 };

    gguf_put_u32(w, "x", 1);
    gguf_put_u32(w, "y", 2);
    gguf_put_u32(w, "x", 3);
    gguf_begin_data(w);
    gguf_end(w);
    assert_null(read_buf(a, d, &b));
    assert_string_equal(str_z(a, diag_text(d)), "sinter: error: m.gguf: key 'x': is there twice (convert the model again)\n");

    d = diag_new(a, NULL);
    b = buf_in(a);
    w = gguf_writer(a, sink_buf(&b), 32);
    gguf_put_tensor(w, STR("t"), format_find(STR("f32")), 1, (int64_t[]){ 4 });
    gguf_put_tensor(w, STR("t"), format_find(STR("f32")), 1, (int64_t[]){ 4 });
    gguf_begin_data(w);
    gguf_data(w, zero, 32);
    gguf_end(w);
    assert_null(read_buf(a, d, &b));
    assert_non_null(strstr(str_z(a, diag_text(d)), "tensor 't': is there twice"));
}

static void an_alignment_that_is_none_is_refused(void **state)
{
    Arena *a = *state;
    static const uint32_t bad[] = { 0, 33, UINT32_MAX };

    for (int i = 0; i < 3; i++) {
        Diag *d = diag_new(a, NULL);
        Buf b = buf_in(a);
        GgufWriter *w = gguf_writer(a, sink_buf(&b), 32);

        gguf_put_u32(w, "general.alignment", bad[i]);
        gguf_begin_data(w);
        gguf_end(w);
        assert_null(read_buf(a, d, &b));
        assert_non_null(strstr(str_z(a, diag_text(d)), "key 'general.alignment': is "));
    }
}

/* Names from the file cannot write to the terminal, and a name of a megabyte does not fill it. */
static void messages_show_names_safely(void **state)
{
    Arena *a = *state;
    Diag *d = diag_new(a, NULL);
    Buf b = buf_in(a), name = buf_in(a);
    GgufWriter *w = gguf_writer(a, sink_buf(&b), 32);

    buf_puts(&name, "\x1b]0;x\a\r\n");
    for (int i = 0; i < 1 << 20; i++)
        buf_putc(&name, (char)i);
    gguf_put_u32(w, "n", 1);
    gguf_put_tensor(w, buf_str(&name), format_find(STR("f32")), 1, (int64_t[]){ 4 });
    gguf_begin_data(w);
    assert_null(read_buf(a, d, &b));        /* the data are missing */
    assert_true(diag_text(d).n < 1000);
    assert_non_null(strstr(str_z(a, diag_text(d)), "tensor '\\x1b]0;x\\x07\\x0d\\x0a\\x00\\x01"));
}

/* Lookups stay quick with many names, and all of them are found. */
static void many_names_are_found(void **state)
{
    Arena *a = *state;
    Buf b = buf_in(a);
    GgufWriter *w = gguf_writer(a, sink_buf(&b), 32);
    enum { MANY = 20000 };
    Model *m;

    for (uint32_t i = 0; i < MANY; i++)
        gguf_put_u32(w, str_printf(a, "key.%u", i * 7919 % MANY), i);
    gguf_begin_data(w);
    gguf_end(w);
    m = read_buf(a, diag_new(a, stderr), &b);
    assert_non_null(m);
    for (uint32_t i = 0; i < MANY; i++) {
        uint32_t v;

        assert_true(model_u32(m, diag_new(a, stderr), str_printf(a, "key.%u", i * 7919 % MANY), &v, true) && v == i);
    }
}

static void other_files_get_advice(void **state)
{
    Arena *a = *state;
    static const struct { Str bytes; const char *message; } files[] = {
        { { "", 0 }, "is empty" },
        { { "GG", 2 }, "is not a model" },
        { { "GGUF", 4 }, "the file ends inside the header: 4 bytes wanted, 0 left" },
        { { "\x1c\0\0\0TFL3", 8 }, "something is said to lie at byte" },
        { { "version https://git-lfs.github.com/spec/v1\n", 42 }, "is a pointer of Git LFS" },
        { { "<!DOCTYPE html>", 15 }, "is a web page" },
    };

    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        Diag *d = diag_new(a, NULL);
        uint8_t *copy;

        assert_null(read_copy(a, d, files[i].bytes, &copy));
        assert_non_null(strstr(str_z(a, diag_text(d)), files[i].message));
        free(copy);
    }
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(what_is_written_is_read),
        T(writing_in_pieces_gives_the_same_bytes),
        T(a_copy_of_all_metadata_is_the_same_file),
        T(a_cut_file_is_an_error),
        T(a_damaged_file_never_crashes),
        T(running_out_of_memory_is_clean),
        T(each_mistake_is_named),
        T(version_2_is_read),
        T(every_bad_tensor_is_listed),
        T(names_are_unique),
        T(an_alignment_that_is_none_is_refused),
        T(messages_show_names_safely),
        T(many_names_are_found),
        T(other_files_get_advice),
    };

    return cmocka_run_group_tests_name("gguf", tests, NULL, NULL);
}
