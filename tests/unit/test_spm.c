/* If these fail, a model with a SentencePiece vocabulary (Llama 2, Phi-3, Gemma) reads other tokens than it was trained with.
 *
 * Random vocabularies are compared with the definition: of all neighbours whose joined text is a token, those with the best score
 * join first.  Windows for long words are tiny, so that every way through them is taken.  Truth of real vocabularies: tests/text. */
#include "tests/unit/test.h"

#include <math.h>

#include "compiler/import/vocab.h"

#define NAME_TOK_WINDOW 8
#define NAME_TOK_WINDOW_MAX 32
#include "runtime/text/words_spm.c"
#include "runtime/text/tokenize.c"

enum { MAX_TOK = 1024 };
typedef struct {
    Arena *a;
    Diag *d;
    Str token[MAX_TOK];
    float score[MAX_TOK];
    int32_t type[MAX_TOK];
    int n, n_score;             /* n_score -1: no scores */
    bool has_types;
    int unk, add_space, add_bos, bos;   /* -1: no key; unk -2: none */
    const char *name;
} Make;

static const uint8_t *blob;
static uint64_t blob_bytes;
static const NAME_Model model = { .w = (const uint8_t *)"" };

const uint8_t *NAME_section(const NAME_Model *m, const char *name, uint64_t *bytes)
{
    (void)m;
    *bytes = blob_bytes;
    return strcmp(name, "tok") ? NULL : blob;
}

static int add(Make *k, const char *text, int type, float score)
{
    k->token[k->n] = str_copy(k->a, str_of(text));
    k->type[k->n] = type;
    k->score[k->n] = score;
    k->n_score = k->n + 1;
    return k->n++;
}

static Make *make(bool bytes)
{
    Arena *a = arena_new(NULL);
    Make *k = ARENA_NEW(a, Make);

    *k = (Make){ .a = a, .d = diag_new(a, NULL), .has_types = true, .unk = 0, .add_space = 0, .add_bos = 0, .bos = 1 };
    add(k, "<unk>", TOKEN_unknown, 0);
    add(k, "<s>", TOKEN_control, 0);
    add(k, "</s>", TOKEN_control, 0);
    for (int b = 0; bytes && b < 256; b++)
        add(k, str_printf(a, "<0x%02X>", b), TOKEN_byte, 0);
    return k;
}

static bool build(Make *k)
{
    Buf file = buf_in(k->a);
    GgufWriter *w = gguf_writer(k->a, sink_buf(&file), 32);

    gguf_put_str(w, "general.architecture", STR("llama"));
    if (k->name)
        gguf_put_str(w, "general.name", str_of(k->name));
    gguf_put_str(w, "tokenizer.ggml.model", STR("llama"));
    gguf_put_strs(w, "tokenizer.ggml.tokens", k->token, (uint64_t)k->n);
    if (k->n_score >= 0)
        gguf_put_f32s(w, "tokenizer.ggml.scores", k->score, (uint64_t)k->n_score);
    if (k->has_types)
        gguf_put_i32s(w, "tokenizer.ggml.token_type", k->type, (uint64_t)k->n);
    if (k->unk != -1)
        gguf_put_u32(w, "tokenizer.ggml.unknown_token_id", k->unk == -2 ? UINT32_MAX : (uint32_t)k->unk);
    if (k->bos >= 0)
        gguf_put_u32(w, "tokenizer.ggml.bos_token_id", (uint32_t)k->bos);
    if (k->add_space >= 0)
        gguf_put_bool(w, "tokenizer.ggml.add_space_prefix", k->add_space);
    if (k->add_bos >= 0)
        gguf_put_bool(w, "tokenizer.ggml.add_bos_token", k->add_bos);
    if (!gguf_begin_data(w) || !gguf_end(w))
        return false;
    Model *m = model_read(k->a, k->d, (Mapped){ "test.gguf", (const uint8_t *)file.p, file.n });
    Module *built = module_new(k->a, "test");
    blob = NULL;
    if (!m || !vocab_to_module(built, m, k->d))
        return false;
    Blob *b = module_find_blob(built, "tok");
    assert_non_null(b);
    assert_string_equal(module_meta_str(built, "text.kind", "?"), "spm");
    blob = b->p;
    blob_bytes = b->n;
    return true;
}

static void check_ids(const char *text, int flags, const int32_t *want, size_t n_want)
{
    int32_t ids[256];
    size_t n;

    assert_int_equal(NAME_tokenize(&model, text, strlen(text), flags, ids, 256, &n), NAME_OK);
    if (n != n_want || (n && memcmp(ids, want, n * sizeof *ids)))
        for (size_t i = 0; i < n; i++)
            print_error("%s: %d\n", text, ids[i]);
    assert_int_equal(n, n_want);
    if (n)
        assert_memory_equal(ids, want, n * sizeof *ids);
}

/* ---- the definition ----------------------------------------------------------------------------------------------- */

static uint64_t seed;

static uint32_t below(uint32_t n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((seed >> 33) % n);
}

static int token_of(const Make *k, Str s)
{
    for (int i = 0; i < k->n; i++)
        if ((k->type[i] == TOKEN_normal || k->type[i] == TOKEN_user || k->type[i] == TOKEN_unused) && str_eq(k->token[i], s))
            return i;
    return -1;
}

static size_t plain_spm(const Make *k, const char *text, size_t n_text, int32_t *ids)
{
    Arena *a = arena_new(NULL);
    Buf b = buf_in(a);
    size_t n = 0, n_ids = 0;

    if (k->add_space && n_text)
        buf_puts(&b, "▁");
    for (size_t i = 0; i < n_text; i++)
        if (text[i] == ' ')
            buf_puts(&b, "▁");
        else
            buf_putc(&b, text[i]);
    Str *sym = ARENA_ARRAY(a, Str, b.n + 1);
    for (size_t i = 0; i < b.n; n++) {
        uint32_t c;
        int len = NAME_tok_char((const uint8_t *)b.p + i, b.n - i, &c);

        sym[n] = (Str){ b.p + i, len < 1 ? 1 : (size_t)len };
        i += sym[n].n;
    }
    for (;;) {
        size_t at = 0;
        int best = -1;

        for (size_t i = 0; i + 1 < n; i++) {
            int t = token_of(k, (Str){ sym[i].p, sym[i].n + sym[i + 1].n });
            if (t >= 0 && (best < 0 || k->score[t] > k->score[best]))
                best = t, at = i;
        }
        if (best < 0)
            break;
        sym[at].n += sym[at + 1].n;
        n--;
        memmove(sym + at + 1, sym + at + 2, (n - at - 1) * sizeof *sym);
    }
    for (size_t i = 0; i < n; i++) {
        int t = token_of(k, sym[i]);
        bool bytes = k->n > 200;        /* a vocabulary with byte tokens */
        bool mark = str_eq(sym[i], STR("▁"));

        if (t >= 0)
            ids[n_ids++] = t;
        else if (bytes && mark)
            ids[n_ids++] = 3 + ' ';     /* llama.cpp would spell U+2581; a space is what the text has */
        else if (bytes)
            for (size_t j = 0; j < sym[i].n; j++)
                ids[n_ids++] = 3 + (uint8_t)sym[i].p[j];
        else if (k->unk >= 0 && ((uint8_t)sym[i].p[0] & 0xc0) != 0x80)
            ids[n_ids++] = k->unk;
    }
    arena_free(a);
    return n_ids;
}

static Str random_text(Arena *a, int n, int n_letters)
{
    static const char *const letters[] = { "a", "b", "▁", "é", "日", "🙂", "本" };
    Buf b = buf_in(a);

    for (int i = 0; i < n; i++)
        buf_puts(&b, letters[below((uint32_t)n_letters)]);
    return buf_str(&b);
}

static void test_random(void **state)
{
    (void)state;
    seed = 11;
    for (int round = 0; round < 60; round++) {
        Make *k = make(round % 3 != 0);
        int n_letters = 2 + (int)below(6), n_scores = round % 2 ? 4 : 1000;

        k->add_space = round % 4 == 1;
        k->unk = round % 6 ? 0 : -2;
        for (int i = 0, n = (int)below(80); i < n; i++) {
            Str s = random_text(k->a, 1 + (int)below(i < 8 ? 2 : 6), n_letters);

            if (i > 10 && below(2)) {                       /* of two tokens, so that there are ways to it */
                Str l = k->token[k->n - 1 - (int)below(8)], r = k->token[k->n - 1 - (int)below(8)];
                s = str_of(str_printf(k->a, STR_FMT STR_FMT, STR_ARG(l), STR_ARG(r)));
            }
            if (s.n < 60 && !memchr(s.p, '<', s.n) && token_of(k, s) < 0)
                add(k, str_z(k->a, s), below(20) ? TOKEN_normal : TOKEN_unused, -(float)below((uint32_t)n_scores));
        }
        assert_true(build(k));
        for (int i = 0; i < 30; i++) {
            static int32_t want[4096], have[4096];
            Buf b = buf_in(k->a);
            size_t n_have;

            for (int j = (int)below(i < 20 ? 12 : 100); j > 0; j--) {
                Str s = random_text(k->a, 1, n_letters);
                if (str_eq(s, STR("▁")) && below(4))
                    s = STR(" ");
                buf_put(&b, s.p, s.n);
                if (!below(60))
                    buf_putc(&b, (char)(0x80 + below(128)));            /* not UTF-8, or not any more */
                if (!below(60))
                    buf_puts(&b, "xyz");
            }
            size_t n_want = plain_spm(k, b.p, b.n, want);
            assert_int_equal(NAME_tokenize(&model, b.n ? b.p : "", b.n, 0, have, b.n + 8, &n_have), NAME_OK);
            if (n_have != n_want || memcmp(have, want, n_want * sizeof *have))
                print_error("round %d: '%.*s'\n", round, (int)b.n, b.p);
            assert_int_equal(n_have, n_want);
            assert_memory_equal(have, want, n_want * sizeof *have);
        }
        arena_free(k->a);
    }
}

/* ---- one by one --------------------------------------------------------------------------------------------------- */

/* Control tokens are never made by merging, user-defined ones are found first, a text begins with a space. */
static void test_special(void **state)
{
    (void)state;
    Make *k = make(true);
    int sp = add(k, "▁", TOKEN_normal, -5), b = add(k, "b", TOKEN_normal, -7);
    int spa = add(k, "▁a", TOKEN_normal, -1), lt = add(k, "<", TOKEN_normal, -8), s = add(k, "s>", TOKEN_normal, -9);
    int two = add(k, "  ", TOKEN_user, 0), ab = add(k, "ab", TOKEN_user, -100), spsp = add(k, "▁▁", TOKEN_normal, -2);
    const char *p;
    size_t n;

    k->add_space = k->add_bos = 1;
    add(k, "a", TOKEN_normal, -6);
    add(k, "s", TOKEN_normal, -10);
    add(k, ">", TOKEN_normal, -11);
    add(k, "", TOKEN_normal, -12);                          /* an empty one is never used */
    assert_true(build(k));
    check_ids("", NAME_TEXT_SPECIAL, (int32_t[]){ 1 }, 1);
    check_ids("", NAME_TEXT_PLAIN, NULL, 0);
    check_ids("a", NAME_TEXT_SPECIAL, (int32_t[]){ 1, spa }, 2);
    check_ids("b a", NAME_TEXT_PLAIN, (int32_t[]){ sp, b, spa }, 3);
    check_ids("<s>", NAME_TEXT_PLAIN, (int32_t[]){ sp, lt, s }, 3);
    check_ids("b<s>a", NAME_TEXT_SPECIAL, (int32_t[]){ 1, sp, b, 1, spa }, 5);
    check_ids("bab", NAME_TEXT_PLAIN, (int32_t[]){ sp, b, ab }, 3);
    check_ids("b  a", NAME_TEXT_PLAIN, (int32_t[]){ sp, b, two, spa }, 4);      /* a space behind a special token, too */
    check_ids("▁ b", NAME_TEXT_PLAIN, (int32_t[]){ spsp, sp, b }, 3);           /* U+2581 is a space, but not for user-defined ones */
    check_ids("é", NAME_TEXT_PLAIN, (int32_t[]){ sp, 3 + 0xc3, 3 + 0xa9 }, 3);
    assert_int_equal(NAME_piece(&model, spa, &p, &n), NAME_OK);
    assert_int_equal(n, 2);
    assert_memory_equal(p, " a", 2);
    assert_int_equal(NAME_piece(&model, 3 + 0xc3, &p, &n), NAME_OK);
    assert_int_equal(n, 1);
    assert_memory_equal(p, "\xc3", 1);
    assert_true(NAME_is_control(&model, 1) && NAME_is_control(&model, 0) && !NAME_is_control(&model, two));
    static const struct { const char *text, *plain, *special; } back[] = {
        { "b a", "b a", "b a" }, { " b", " b", " b" }, { "b<s>a  <s>", "ba  ", "b<s>a  <s>" }, { "ab a", "ab a", "ab a" }, { "", "", "" } };
    for (size_t i = 0; i < sizeof back / sizeof *back; i++)
        for (int flags = 0; flags < 2; flags++) {
            const char *want = flags ? back[i].special : back[i].plain;
            int32_t ids[64];
            char out[64];
            size_t n_ids;

            assert_int_equal(NAME_tokenize(&model, back[i].text, strlen(back[i].text), NAME_TEXT_SPECIAL, ids, 64, &n_ids), NAME_OK);
            assert_int_equal(NAME_detokenize(&model, ids + 1, n_ids - 1, flags, out, sizeof out, &n), NAME_OK);
            assert_int_equal(n, strlen(want));
            assert_memory_equal(out, want, n);
            assert_int_equal(NAME_detokenize(&model, ids + 1, n_ids - 1, flags, NULL, 0, &n), n ? NAME_E_TEXT : NAME_OK);
            assert_int_equal(n, strlen(want));
        }
    assert_int_equal(NAME_detokenize(&model, &k->n, 1, 0, NULL, 0, &n), NAME_E_ARG);
    k->add_space = k->add_bos = k->bos = -1;                /* what files without these keys mean */
    assert_true(build(k));
    check_ids("a", NAME_TEXT_SPECIAL, (int32_t[]){ 1, spa }, 2);
    arena_free(k->a);
}

/* A space before each stretch between tokens of one byte: the most tokens that a text can have. */
static void test_room(void **state)
{
    (void)state;
    Make *k = make(true);
    int nl = add(k, "\n", TOKEN_user, 0), sp = add(k, "▁", TOKEN_normal, 0);
    char text[300];
    int32_t ids[608];
    size_t n;

    k->add_space = k->add_bos = 1;
    for (int i = 0; i < 300; i++)
        text[i] = i % 2 ? '\n' : 'x';
    assert_true(build(k));
    assert_int_equal(NAME_tokenize(&model, text, 300, NAME_TEXT_SPECIAL, ids, 608, &n), NAME_OK);
    assert_int_equal(n, 451);
    assert_true(ids[1] == sp && ids[2] == 3 + 'x' && ids[3] == nl && ids[4] == sp);
    assert_int_equal(NAME_tokenize(&model, text, 300, NAME_TEXT_SPECIAL, ids, 450, &n), NAME_E_TEXT);
    arena_free(k->a);
}

/* Without types, names tell the bytes; with Phi-3's name, special tokens take the white space behind them. */
static void test_names(void **state)
{
    (void)state;
    Make *k = make(true);
    int a = add(k, "a", TOKEN_normal, -1), end = add(k, "<|end|>", TOKEN_control, 0);

    k->has_types = false;
    assert_true(build(k));
    check_ids("aé", NAME_TEXT_PLAIN, (int32_t[]){ a, 3 + 0xc3, 3 + 0xa9 }, 3);
    k->has_types = true;
    assert_true(build(k));
    check_ids("a<|end|>\n a", NAME_TEXT_SPECIAL, (int32_t[]){ a, end, 3 + '\n', 3 + ' ', a }, 5);
    k->name = "microsoft Phi-3 mini";
    assert_true(build(k));
    check_ids("a<|end|>\n a<|end|> ", NAME_TEXT_SPECIAL, (int32_t[]){ a, end, a, end }, 4);
    check_ids("a<s> a", NAME_TEXT_SPECIAL, (int32_t[]){ a, 1, 3 + ' ', a }, 4);
    arena_free(k->a);
}

static void says(Make *k, const char *what)
{
    Str s;

    assert_false(build(k));
    s = diag_text(k->d);
    if (!memmem(s.p, s.n, what, strlen(what)))
        print_error("want '%s' in: %.*s\n", what, STR_ARG(s));
    assert_non_null(memmem(s.p, s.n, what, strlen(what)));
    arena_free(k->a);
}

static void test_bad(void **state)
{
    (void)state;
    Make *k = make(true);

    k->score[7] = NAN;
    says(k, "scores', index 7: the score of token \"<0x04>\" is not");
    k = make(true);
    k->score[0] = -INFINITY;
    says(k, "scores', index 0");
    k = make(true);
    k->n_score = -1;
    says(k, "scores': is missing");
    k = make(true);
    k->n_score--;
    says(k, "258 scores for 259 tokens");
    k = make(true);
    k->token[5] = STR("<0xG2>");
    says(k, "tokens', index 5: \"<0xG2>\" is not a byte token");
    k = make(true);
    k->token[5] = STR("<0x41>");
    says(k, "tokens', index 68: \"<0x41>\" is already token 5");
    k = make(false);
    add(k, "a", TOKEN_normal, 0);
    add(k, "a", TOKEN_user, 0);
    says(k, "tokens', index 4: the same text as token 3");
    k = make(false);
    k->token[k->n] = (Str){ arena_alloc(k->a, 5000, 1), 5000 };
    memset((char *)k->token[k->n].p, 'a', 5000);
    k->type[k->n++] = TOKEN_normal;
    k->n_score = k->n;
    says(k, "index 3: a token of 5000 bytes");
    k = make(false);
    k->unk = 77;
    says(k, "unknown_token_id': token 77 does not exist");
    k = make(false);                                        /* texts that are not UTF-8 are texts of bytes */
    int odd = add(k, "\xe3\x81", TOKEN_normal, 0), half = add(k, "\xe3", TOKEN_normal, 0);
    add(k, "あ", TOKEN_normal, 0);
    assert_true(build(k));
    check_ids("\xe3", 0, (int32_t[]){ half }, 1);
    check_ids("\xe3\x81", 0, (int32_t[]){ odd }, 1);
    check_ids("\xe3\x81\x82", 0, (int32_t[]){ odd + 2 }, 1);
    arena_free(k->a);
}

static void test_check(void **state)
{
    (void)state;
    Make *k = make(true);
    int n_seen = 0;

    add(k, "ab", TOKEN_normal, 0);
    assert_true(build(k));
    uint8_t *copy = arena_alloc(k->a, blob_bytes, 1);
    memcpy(copy, blob, blob_bytes);
    assert_true(NAME_tok_check(copy, blob_bytes));
    for (size_t i = 0; i < sizeof(NAME_TokHeader); i += 4) {
        uint32_t was, huge = 0xfffffff0u;

        memcpy(&was, copy + i, 4);
        memcpy(copy + i, &huge, 4);
        n_seen += !NAME_tok_check(copy, blob_bytes);
        memcpy(copy + i, &was, 4);
    }
    assert_true(n_seen >= 20);
    arena_free(k->a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random), cmocka_unit_test(test_special), cmocka_unit_test(test_room), cmocka_unit_test(test_names), cmocka_unit_test(test_bad),
        cmocka_unit_test(test_check),
    };
    return cmocka_run_group_tests_name("spm", tests, NULL, NULL);
}
