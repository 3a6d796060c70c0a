/* If these fail, a program answers to other text than the user wrote, garbles what it shows, or gives other tokens for a seed
 * than it did yesterday.
 *
 * The runtime's sources are included, so that what is static can be tested; windows for long words are made tiny, so that every
 * way through them is taken.  Truth of real vocabularies: tests/text. */
#include "tests/unit/test.h"

#include <math.h>
#include <stdlib.h>

#include "compiler/import/vocab.h"

#define NAME_TOK_WINDOW 8
#define NAME_TOK_WINDOW_MAX 32
#include "runtime/text/chat.c"
#include "runtime/text/generate.c"
#include "runtime/text/sample.c"
#include "runtime/text/tokenize.c"
#include "tests/text/both_words.h"

/* ---- a model made here -------------------------------------------------------------------------------------------- */

enum { MAX_TOK = 4096 };
typedef struct {
    Arena *a;
    Diag *d;
    Str token[MAX_TOK], merge[MAX_TOK];
    int32_t type[MAX_TOK];
    int n_token, n_type, n_merge;
    const char *pre, *kind, *chat;
    int bos, eos;               /* -2: no key */
    int add_bos, add_eos;       /* -1: no key */
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

/* Byte b in GPT-2's alphabet. */
static Str letter(Arena *a, int b)
{
    int n = 0, c = b;
    char utf8[3] = { 0 };

    for (int i = 0; i <= b; i++) {
        bool itself = (i >= 0x21 && i <= 0x7e) || (i >= 0xa1 && i <= 0xac) || i >= 0xae;
        if (i == b && !itself)
            c = 256 + n;
        n += !itself;
    }
    utf8[0] = (char)(c < 128 ? c : 0xc0 | c >> 6);
    utf8[1] = (char)(c < 128 ? 0 : 0x80 | (c & 63));
    return str_copy(a, str_of(utf8));
}

static int add_token(Make *k, Str s, int type)
{
    k->token[k->n_token] = s;
    k->type[k->n_token] = type;
    k->n_type = k->n_token + 1;
    return k->n_token++;
}

static Str join(Arena *a, Str x, const char *between, Str y)
{
    return str_of(str_printf(a, "%.*s%s%.*s", STR_ARG(x), between, STR_ARG(y)));
}

/* All bytes but 4, which the vocabulary lacks. */
static Make *make_bytes(void)
{
    Arena *a = arena_new(NULL);
    Make *k = ARENA_NEW(a, Make);

    *k = (Make){ .a = a, .d = diag_new(a, NULL), .pre = "gpt-2", .kind = "gpt2", .bos = -2, .eos = -2, .add_bos = -1, .add_eos = -1 };
    for (int b = 0; b < 256; b++)
        if (b != 4)
            add_token(k, letter(a, b), TOKEN_normal);
    return k;
}

static Module *built;

/* Through a GGUF file, as in life. */
static bool build(Make *k)
{
    Buf file = buf_in(k->a);
    GgufWriter *w = gguf_writer(k->a, sink_buf(&file), 32);

    gguf_put_str(w, "general.architecture", STR("llama"));
    if (k->kind)
        gguf_put_str(w, "tokenizer.ggml.model", str_of(k->kind));
    if (k->pre)
        gguf_put_str(w, "tokenizer.ggml.pre", str_of(k->pre));
    gguf_put_strs(w, "tokenizer.ggml.tokens", k->token, (uint64_t)k->n_token);
    gguf_put_i32s(w, "tokenizer.ggml.token_type", k->type, (uint64_t)k->n_type);
    gguf_put_strs(w, "tokenizer.ggml.merges", k->merge, (uint64_t)k->n_merge);
    if (k->bos != -2)
        gguf_put_u32(w, "tokenizer.ggml.bos_token_id", (uint32_t)k->bos);
    if (k->eos != -2)
        gguf_put_u32(w, "tokenizer.ggml.eos_token_id", (uint32_t)k->eos);
    if (k->add_bos >= 0)
        gguf_put_bool(w, "tokenizer.ggml.add_bos_token", k->add_bos);
    if (k->add_eos >= 0)
        gguf_put_bool(w, "tokenizer.ggml.add_eos_token", k->add_eos);
    if (k->chat)
        gguf_put_str(w, "tokenizer.chat_template", str_of(k->chat));
    if (!gguf_begin_data(w) || !gguf_end(w))
        return false;
    Model *m = model_read(k->a, k->d, (Mapped){ "test.gguf", (const uint8_t *)file.p, file.n });
    built = module_new(k->a, "test");
    blob = NULL;
    if (!m || !vocab_to_module(built, m, k->d))
        return false;
    Blob *b = module_find_blob(built, "tok");
    if (b) {
        blob = b->p;
        blob_bytes = b->n;
    }
    return true;
}

static uint64_t seed;

static uint32_t below(uint32_t n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((seed >> 33) % n);
}

static void check_ids(const char *text, int flags, const int32_t *want, size_t n_want)
{
    int32_t ids[256];
    size_t n;

    assert_int_equal(NAME_tokenize(&model, text, strlen(text), flags, ids, 256, &n), NAME_OK);
    assert_int_equal(n, n_want);
    assert_memory_equal(ids, want, n * sizeof *ids);
}

/* ---- merging ------------------------------------------------------------------------------------------------------ */

/* BPE as the paper has it, on texts: of all neighbours the first one of lowest rank merges.  ids has room for n. */
static size_t plain_bpe(const Make *k, const char *p, size_t n, int32_t *ids)
{
    Arena *a = arena_new(NULL);
    Str *sym = ARENA_ARRAY(a, Str, n + 1);
    size_t n_ids = 0;

    for (size_t i = 0; i < n; i++)
        sym[i] = letter(a, (unsigned char)p[i]);
    for (;;) {
        size_t at = 0;
        int best = -1;

        for (size_t i = 0; i + 1 < n; i++)
            for (int r = 0; r < (best < 0 ? k->n_merge : best); r++) {
                Str m = k->merge[r];
                if (m.n == sym[i].n + 1 + sym[i + 1].n && !memcmp(m.p, sym[i].p, sym[i].n) && m.p[sym[i].n] == ' ' &&
                    !memcmp(m.p + sym[i].n + 1, sym[i + 1].p, sym[i + 1].n))
                    best = r, at = i;
            }
        if (best < 0)
            break;
        sym[at] = join(a, sym[at], "", sym[at + 1]);
        n--;
        memmove(sym + at + 1, sym + at + 2, (n - at - 1) * sizeof *sym);
    }
    for (size_t i = 0; i < n; i++) {
        bool found = false;
        for (int t = 0; t < k->n_token && !found; t++)
            if (str_eq(k->token[t], sym[i]))
                ids[n_ids++] = t, found = true;
        for (size_t j = 0; j < sym[i].n && !found; j++)     /* of a, b, c only: a letter each */
            for (int t = 0; t < k->n_token; t++)
                if (str_eq(k->token[t], (Str){ sym[i].p + j, 1 }))
                    ids[n_ids++] = t;
    }
    arena_free(a);
    return n_ids;
}

/* Random merges in any order over three letters, some of them of texts that are no tokens; words from nothing to 300 letters. */
static void test_merges(void **state)
{
    (void)state;
    seed = 7;
    for (int round = 0; round < 40; round++) {
        Make *k = make_bytes();
        Str text[128];
        int n_text = 3, n_letters = 2 + (int)below(2);

        for (int i = 0; i < 3; i++)
            text[i] = letter(k->a, 'a' + i);
        n_text = n_letters;
        for (int i = 0, n = (int)below(60); i < n; i++) {
            Str l = text[below((uint32_t)n_text)], r = text[below((uint32_t)n_text)];
            Str lr = join(k->a, l, "", r);
            bool known = lr.n > 20;

            for (int j = 0; j < n_text; j++)
                known |= str_eq(text[j], lr);
            k->merge[k->n_merge++] = join(k->a, l, " ", r);
            if (!known) {
                text[n_text++] = lr;
                if (below(4))
                    add_token(k, lr, TOKEN_normal);
            }
        }
        for (int i = k->n_merge - 1; i > 0; i--) {          /* ranks that contradict each other too */
            int j = round % 2 ? i : (int)below((uint32_t)i + 1);
            Str s = k->merge[i];
            k->merge[i] = k->merge[j];
            k->merge[j] = s;
        }
        assert_true(build(k));
        for (int i = 0; i < 24; i++) {
            char word[300];
            int32_t want[308], have[308];
            size_t n = below(i < 16 ? 24 : 300), n_have;

            for (size_t j = 0; j < n; j++)
                word[j] = (char)('a' + below((uint32_t)n_letters));
            size_t n_want = plain_bpe(k, word, n, want);
            assert_int_equal(NAME_tokenize(&model, word, n, 0, have, n + 8, &n_have), NAME_OK);
            assert_int_equal(n_have, n_want);
            assert_memory_equal(have, want, n_want * sizeof *have);
        }
        arena_free(k->a);
    }
}

/* A chain of merges in which the last letter of a word decides what the first ones become, which no window can know: of the
 * letters A..Z a..z each merges with the next one, later pairs first. */
static void test_far_influence(void **state)
{
    (void)state;
    Make *k = make_bytes();
    char word[52];
    int32_t want[52], have[60];
    size_t n;

    for (int i = 0; i < 52; i++)
        word[i] = (char)(i < 26 ? 'A' + i : 'a' + i - 26);
    for (int i = 50; i >= 0; i--) {
        k->merge[k->n_merge++] = str_of(str_printf(k->a, "%c %c", word[i], word[i + 1]));
        add_token(k, str_of(str_printf(k->a, "%c%c", word[i], word[i + 1])), TOKEN_normal);
    }
    assert_true(build(k));
    for (int from = 0; from < 52; from++)
        for (int to = from; to <= 52; to++) {
            size_t n_want = plain_bpe(k, word + from, (size_t)(to - from), want);

            assert_int_equal(NAME_tokenize(&model, word + from, (size_t)(to - from), 0, have, 60, &n), NAME_OK);
            assert_int_equal(n, n_want);
            assert_memory_equal(have, want, n * sizeof *have);
        }
    arena_free(k->a);
}

/* ---- words and special tokens ------------------------------------------------------------------------------------- */

static void test_special(void **state)
{
    (void)state;
    Make *k = make_bytes();
    int bos = add_token(k, STR("<s>"), TOKEN_control), end = add_token(k, STR("<s>!"), TOKEN_control);
    int user = add_token(k, STR("  "), TOKEN_user), stop = add_token(k, STR("<|im_end|>"), TOKEN_user);
    int ab = add_token(k, STR("ab"), TOKEN_normal);
    const char *p;
    size_t n;
    int32_t ids[4];

    k->merge[k->n_merge++] = STR("a b");
    k->bos = bos;
    k->eos = end;
    k->add_bos = 1;
    assert_true(build(k));
    int a = 'a' - 1, lt = '<' - 1, gt = '>' - 1, s = 's' - 1;       /* ids of bytes: byte 4 is missing */
    check_ids("ab", NAME_TEXT_PLAIN, (int32_t[]){ ab }, 1);
    check_ids("ab", NAME_TEXT_SPECIAL, (int32_t[]){ bos, ab }, 2);
    check_ids("", NAME_TEXT_SPECIAL, (int32_t[]){ bos }, 1);
    check_ids("a<s>b", NAME_TEXT_SPECIAL, (int32_t[]){ bos, a, bos, a + 1 }, 4);
    check_ids("<s>!<s>", NAME_TEXT_SPECIAL, (int32_t[]){ bos, end, bos }, 3);       /* the longest */
    check_ids("<s>", NAME_TEXT_PLAIN, (int32_t[]){ lt, s, gt }, 3);
    check_ids("a  b", NAME_TEXT_PLAIN, (int32_t[]){ a, user, a + 1 }, 3);           /* user-defined ones count always */
    check_ids("a\x04" "b", NAME_TEXT_PLAIN, (int32_t[]){ a, a + 1 }, 2);            /* a byte without a token */
    check_ids("\xff\xc3", NAME_TEXT_PLAIN, (int32_t[]){ 0xfe, 0xc2 }, 2);           /* not UTF-8: bytes */
    assert_int_equal(NAME_tokenize(&model, "ab ab", 5, 0, ids, 1, &n), NAME_E_TEXT);
    assert_int_equal(NAME_tokenize(&model, "ab", 2, 0, NULL, 1, &n), NAME_E_ARG);
    assert_int_equal(NAME_piece(&model, ab, &p, &n), NAME_OK);
    assert_int_equal(n, 2);
    assert_memory_equal(p, "ab", 2);
    assert_int_equal(NAME_piece(&model, k->n_token, &p, &n), NAME_E_ARG);
    assert_int_equal(NAME_piece(&model, -1, &p, &n), NAME_E_ARG);
    assert_true(NAME_is_end(&model, end) && NAME_is_end(&model, stop) && !NAME_is_end(&model, bos) && !NAME_is_end(&model, -1));
    assert_true(NAME_is_control(&model, bos) && !NAME_is_control(&model, user) && !NAME_is_control(&model, ab));
    assert_int_equal(NAME_bos(&model), bos);
    assert_int_equal(NAME_eos(&model), end);
    assert_false(NAME_has_chat(&model));
    arena_free(k->a);
}

/* Where the pre-tokenizer takes whole words first, merges do not matter for them. */
static void test_whole_words(void **state)
{
    (void)state;
    Make *k = make_bytes();
    int word = add_token(k, STR("abc"), TOKEN_normal), bos = add_token(k, STR("<s>"), TOKEN_control);

    k->pre = "llama-bpe";
    k->bos = bos;
    assert_true(build(k));
    check_ids("abc", NAME_TEXT_PLAIN, (int32_t[]){ word }, 1);
    check_ids("abc", NAME_TEXT_SPECIAL, (int32_t[]){ bos, word }, 2);       /* llama-bpe means BOS where the file is silent */
    k->pre = "gpt-2";
    assert_true(build(k));
    check_ids("abc", NAME_TEXT_SPECIAL, (int32_t[]){ 'a' - 1, 'b' - 1, 'c' - 1 }, 3);
    arena_free(k->a);
}

/* smollm: first every digit by itself, then gpt-2's words in what is between them. */
static void test_two_steps(void **state)
{
    (void)state;
    Make *k = make_bytes();
    int n12 = add_token(k, STR("12"), TOKEN_normal), ab = add_token(k, STR("ab"), TOKEN_normal);
    int end = add_token(k, STR("</s>"), TOKEN_control);

    k->merge[k->n_merge++] = STR("1 2");
    k->merge[k->n_merge++] = STR("a b");
    k->eos = end;
    k->add_eos = 1;
    k->pre = "smollm";
    assert_true(build(k));
    check_ids("12ab12ab", NAME_TEXT_PLAIN, (int32_t[]){ '1' - 1, '2' - 1, ab, '1' - 1, '2' - 1, ab }, 6);
    check_ids("1", NAME_TEXT_SPECIAL, (int32_t[]){ '1' - 1, end }, 2);
    k->pre = "gpt-2";
    assert_true(build(k));
    check_ids("12ab12", NAME_TEXT_PLAIN, (int32_t[]){ n12, ab, n12 }, 3);
    arena_free(k->a);
}

/* ---- bad vocabularies --------------------------------------------------------------------------------------------- */

static void says(Make *k, const char *what)
{
    Str s = diag_text(k->d);

    if (!memmem(s.p, s.n, what, strlen(what)))
        print_error("want '%s' in: %.*s\n", what, STR_ARG(s));
    assert_non_null(memmem(s.p, s.n, what, strlen(what)));
    arena_free(k->a);
}

static void test_bad(void **state)
{
    (void)state;
    static const struct { const char *merge, *says; } merges[] = {
        { "ab", "merges', index 0: \"ab\" is not two" }, { "a ", "is not two" }, { " b", "is not two" }, { "", "is not two" },
        { "a b c", "alphabet" }, { "a \xe4\xb8\xad", "alphabet" }, { "a \x01", "alphabet" }, { "a \xff", "alphabet" },
    };
    Make *k;

    for (size_t i = 0; i < sizeof merges / sizeof *merges; i++) {
        k = make_bytes();
        k->merge[k->n_merge++] = str_of(merges[i].merge);
        assert_false(build(k));
        says(k, merges[i].says);
    }
    k = make_bytes();
    add_token(k, STR("a"), TOKEN_normal);
    assert_false(build(k));
    says(k, "tokens', index 255: the same text as token 96");
    k = make_bytes();
    add_token(k, STR("a"), TOKEN_unused);                   /* nobody means that one */
    assert_true(build(k));
    arena_free(k->a);
    k = make_bytes();
    k->type[9] = 77;
    assert_false(build(k));
    says(k, "token_type', index 9: 77 is not");
    k = make_bytes();
    k->n_type--;
    assert_false(build(k));
    says(k, "254 types for 255 tokens");
    k = make_bytes();
    k->bos = 255;
    assert_false(build(k));
    says(k, "bos_token_id': token 255 does not exist");
    k = make_bytes();
    k->eos = -1;                                            /* some writers mean "none" */
    assert_true(build(k));
    assert_int_equal(NAME_eos(&model), -1);
    arena_free(k->a);
    k = make_bytes();
    k->token[5] = (Str){ arena_alloc(k->a, 70000, 1), 70000 };
    assert_false(build(k));
    says(k, "index 5: a token of 70000 bytes");
    k = make_bytes();
    k->n_token = k->n_type = 0;
    assert_false(build(k));
    says(k, "0 tokens");
}

/* A tokenizer that is not known does not stop a build. */
static void test_unknown_kinds(void **state)
{
    (void)state;
    Make *k = make_bytes();

    k->kind = "bert";
    assert_true(build(k));
    assert_null(blob);
    assert_string_equal(module_meta_str(built, "text.kind", "?"), "");
    assert_non_null(strstr(module_meta_str(built, "text.missing", "?"), "'bert'"));
    assert_false(NAME_has_text(&model));
    size_t n;
    assert_int_equal(NAME_tokenize(&model, "a", 1, 0, NULL, 0, &n), NAME_E_TEXT);
    k->kind = "gpt2";
    k->pre = "tekken";
    assert_true(build(k));
    assert_non_null(strstr(module_meta_str(built, "text.missing", "?"), "'tekken'"));
    k->pre = NULL;                                          /* gpt-2's */
    assert_true(build(k));
    assert_string_equal(module_meta_str(built, "text.kind", "?"), "bpe");
    arena_free(k->a);
}

static void test_check(void **state)
{
    (void)state;
    Make *k = make_bytes();

    assert_true(build(k));
    uint8_t *copy = arena_alloc(k->a, blob_bytes + 32, 1);
    memcpy(copy, blob, blob_bytes);
    assert_true(NAME_tok_check(copy, blob_bytes));
    for (uint64_t n = 0; n < blob_bytes; n++)
        assert_false(NAME_tok_check(copy, n));
    memmove(copy + 4, copy, blob_bytes);
    assert_false(NAME_tok_check(copy + 4, blob_bytes));
    memmove(copy, copy + 4, blob_bytes);
    /* Every offset and count beyond the end is seen, whatever it is. */
    int n_seen = 0;
    for (size_t i = 0; i < sizeof(NAME_TokHeader); i += 4) {
        uint32_t was, huge = 0xfffffff0u;

        memcpy(&was, copy + i, 4);
        memcpy(copy + i, &huge, 4);
        n_seen += !NAME_tok_check(copy, blob_bytes);
        memcpy(copy + i, &was, 4);
    }
    assert_true(n_seen >= 27);                              /* all but flags, bos, eos, max_word_bytes, unused steps, chat */
    assert_true(NAME_tok_check(copy, blob_bytes));
    arena_free(k->a);
}

/* ---- whole characters --------------------------------------------------------------------------------------------- */

static void test_utf8(void **state)
{
    (void)state;
    static const struct { const char *in, *out; } cases[] = {
        { "aé€🙂z", "aé€🙂z" }, { "\xff" "a", "\xef\xbf\xbd" "a" }, { "\xc3", "\xef\xbf\xbd" }, { "\xc3(", "\xef\xbf\xbd(" },
        { "\xe2\x82", "\xef\xbf\xbd" }, { "\xe2\x82z", "\xef\xbf\xbdz" }, { "\xf0\x9f\x99\xf0\x9f\x99\x82", "\xef\xbf\xbd🙂" },
        { "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" }, { "\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd" },
        { "\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" }, { "\x80", "\xef\xbf\xbd" },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t step = 1; step <= 4; step++) {
            NAME_Utf8 u = { { 0 }, 0 };
            char out[256];
            size_t n_in = strlen(cases[i].in), n = 0;

            for (size_t at = 0; at < n_in; at += step) {
                size_t n_step = n_in - at < step ? n_in - at : step, add = NAME_utf8_push(&u, cases[i].in + at, n_step, out + n);

                assert_true(add <= 3 * n_step + 12);
                n += add;
            }
            n += NAME_utf8_end(&u, out + n);
            assert_int_equal(n, strlen(cases[i].out));
            assert_memory_equal(out, cases[i].out, n);
        }
}

/* ---- choosing ----------------------------------------------------------------------------------------------------- */

/* The numbers that pcg32-demo of pcg-random.org prints for seed 42, stream 54. */
static void test_pcg32(void **state)
{
    (void)state;
    static const uint32_t want[] = { 0xa15c02b7, 0x7b47f409, 0xba1d3330, 0x83d2f293, 0xbfa4784b, 0xcbed606e };
    NAME_Sampler s;

    NAME_sampler_init(&s, 42);
    for (int i = 0; i < 6; i++)
        assert_int_equal(sample_random(&s), want[i]);
}

static void test_weight(void **state)
{
    (void)state;
    for (int i = 0; i < 20000; i++) {
        float x = -(float)i / 900.0f;
        double want = exp((double)x), have = (double)sample_weight(x, 1) / 4294967296.0;

        assert_true(fabs(have - want) < 3e-9);
    }
    assert_int_equal(sample_weight(0, 0.5f), SAMPLE_ONE);
    assert_int_equal(sample_weight(-INFINITY, 1), 0);
    assert_int_equal(sample_weight(-1, 1e-30f), 0);
}

static int32_t draw(NAME_Sampler *s, const float *logits, int n)
{
    float copy[16];
    int32_t work[16];

    memcpy(copy, logits, (size_t)n * sizeof *copy);
    return NAME_sample(s, copy, n, work);
}

static void test_sampler(void **state)
{
    (void)state;
    static const float logits[8] = { 1, 3, 2, 3, -1, 0, 2.5f, -4 };
    static const float strange[4] = { NAN, -INFINITY, -5, NAN };
    NAME_Sampler s;
    int n[8] = { 0 };

    NAME_sampler_init(&s, 1);
    assert_int_equal(draw(&s, logits, 8), 1);               /* greedy; of equal ones the lower id */
    assert_int_equal(draw(&s, strange, 4), 2);
    s.repeat_penalty = 2;
    NAME_sampler_accept(&s, 1);
    NAME_sampler_accept(&s, 1);                             /* twice counts once: 3 / 2 */
    assert_int_equal(draw(&s, logits, 8), 3);
    NAME_sampler_accept(&s, 3);
    assert_int_equal(draw(&s, logits, 8), 6);
    for (int i = 0; i < 64; i++)
        NAME_sampler_accept(&s, 7);                         /* 1 and 3 are long past */
    assert_int_equal(draw(&s, logits, 8), 1);

    NAME_sampler_init(&s, 1);
    s.temp = 1;
    s.top_k = 0;
    double sum = 0;
    for (int i = 0; i < 8; i++)
        sum += exp((double)logits[i]);
    for (int i = 0; i < 40000; i++)
        n[draw(&s, logits, 8)]++;
    for (int i = 0; i < 8; i++) {
        double p = exp((double)logits[i]) / sum, sigma = sqrt(40000 * p * (1 - p));
        assert_true(fabs(n[i] - 40000 * p) < 5 * sigma);
    }
    struct { int top_k; float top_p, min_p; unsigned want; } cuts[] = {    /* which ids can come, as bits */
        { 3, 1, 0, 1u << 1 | 1u << 3 | 1u << 6 }, { 0, 0.5f, 0, 1u << 1 | 1u << 3 }, { 0, 0, 0, 1u << 1 },
        { 0, 1, 0.5f, 1u << 1 | 1u << 3 | 1u << 6 }, { 0, 1, 1, 1u << 1 | 1u << 3 }, { 1, 1, 0, 1u << 1 },
    };
    for (size_t c = 0; c < sizeof cuts / sizeof *cuts; c++) {
        unsigned seen = 0;

        s.top_k = cuts[c].top_k;
        s.top_p = cuts[c].top_p;
        s.min_p = cuts[c].min_p;
        for (int i = 0; i < 400; i++)
            seen |= 1u << draw(&s, logits, 8);
        assert_int_equal(seen, cuts[c].want);
    }
}

/* What a seed gives is a promise: these were recorded when the sampler was written. */
static void test_promise(void **state)
{
    (void)state;
    static const int32_t want[24] = { 198, 157, 380, 207, 430, 178, 236, 327, 794, 443, 13, 526, 373, 919, 845, 336, 440, 175, 556, 568,
                                      184, 486, 854, 378 };
    NAME_Sampler s;
    int32_t work[1000];
    float logits[1000];

    NAME_sampler_init(&s, 2024);
    s.temp = 0.8f;
    s.top_p = 0.95f;
    s.min_p = 0.05f;
    s.repeat_penalty = 1.1f;
    for (int t = 0; t < 24; t++) {
        for (int i = 0; i < 1000; i++)
            logits[i] = (float)((i * 7919 + t * 104729) % 1009) / 101.0f;
        int32_t id = NAME_sample(&s, logits, 1000, work);
        assert_int_equal(id, want[t]);
        NAME_sampler_accept(&s, id);
    }
}

/* ---- chat --------------------------------------------------------------------------------------------------------- */

static const NAME_Message talk[] = { { "user", "Hi\n" }, { "assistant", "" }, { "user", " {{x}} " } };
static const NAME_Message with_system[] = { { "system", " S\n" }, { "user", "Q" } };
static const NAME_Message wrong[] = { { "assistant", "A" } };

/* Texts are what jinja2 3.1.6 renders with trim_blocks and lstrip_blocks (tests/text/templates.py compares whole templates). */
static void test_templates(void **state)
{
    (void)state;
    static const struct { const char *text, *talk, *with_system, *wrong; } cases[] = {    /* NULL: refused */
        { "{% for message in messages %}{{'<' + message['role'] + '\n' + message['content'] + '>' + '\n'}}{% endfor %}"
          "{% if add_generation_prompt %}{{ '<assistant\n' }}{% endif %}",
          "<user\nHi\n>\n<assistant\n>\n<user\n {{x}} >\n<assistant\n", "<system\n S\n>\n<user\nQ>\n<assistant\n",
          "<assistant\nA>\n<assistant\n" },
        { "{%- for m in messages -%}\n  {{- m.role }}\r\n{{ m.content | trim }}\n  {% endfor %}x", "user\nHi\nassistant\n\nuser\n{{x}}\nx",
          "system\nS\nuser\nQ\nx", "assistant\nA\nx" },
        { "{% if messages[0]['role'] == 'system' %}{% set s = messages[0].content|trim + '!' %}{% set messages = messages[1:] %}"
          "{% else %}{% set s = 'none' %}{% endif %}{{ s }}:{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
          "{{ raise_exception('order') }}{% endif %}{{ loop.index }}{{ m.content }}{% if not loop.last %},{% endif %}{% endfor %}",
          "none:1Hi\n,2,3 {{x}} ", "S!:1Q", NULL },
        { "{% for m in messages %}{% if tools %}{{ m | tojson }}{% elif m.content is string and m.tool_calls is not defined %}"
          "{{ m.role[:0] if custom else 'c' ~ loop.revindex }}{% else %}{{ undefined_function() }}{% endif %}{% endfor %}",
          "c3c2c1", "c2c1", "c1" },
        { "{% set ns = namespace(last='', n=0) %}{% for m in messages[::-1] %}{% set ns.n = ns.n + 1 %}{% set last = m.role %}"
          "{% if m.role == 'user' and not ns.last %}{% set ns.last = m.content + '#' + last %}{% endif %}{% endfor %}"
          "{{ ns.n }}{{ ns.last }}{{ last }}", "3 {{x}} #user", "2Q#user", "1" },
        { "{{ bos_token }}{% for m in messages %}{% if 'i' in m.content %}{{ m.content.split('i')[0] }}|{{ m.content.split('i')[-1] }}"
          "{% endif %}{{ m.content.startswith(' ') }}{{ m.content.rstrip('\\n ').lstrip() }}{{ m.role in ['user', 'x'] }}"
          "{% endfor %}{{ eos_token }}", "H|\nFalseHiTrueFalseFalseTrue{{x}}True", "TrueSFalseFalseQTrue", "FalseAFalse" },
        { "{% macro say(m, end='!') %}{% set x %}[{{ m.role }}{% endset %}{{ x | upper }}]{{ m.content | trim }}{{ end }}{% endmacro %}"
          "{% for m in messages %}{% if m.content == '' %}{% continue %}{% endif %}{{ say(m) + (say(m, end='?') | lower)[:0] if 0 else "
          "say(m, '?') | length }}{{ say(m) }}{% if loop.index == 2 or 'Q' in say(m) %}{% break %}{% endif %}{% endfor %}",
          "9[USER]Hi!12[USER]{{x}}!", "10[SYSTEM]S!8[USER]Q!", "13[ASSISTANT]A!" },
        { "{% for m in messages %}{{ 'x' + m.content | tojson }}{{ m.content.split(' ', 1)[-1] }};{% endfor %}"
          "{{ (messages[0].content ~ '\\x01\\\\\"') | tojson }}", "x\"Hi\\n\"Hi\n;x\"\";x\" {{x}} \"{{x}} ;\"Hi\\n\\u0001\\\\\\\"\"",
          "x\" S\\n\"S\n;x\"Q\"Q;\" S\\n\\u0001\\\\\\\"\"", "x\"A\"A;\"A\\u0001\\\\\\\"\"" },
        { "{% if messages[0].role == 'user' %}{% set ns = namespace(f=false, l=[]) %}{% set ns.f = messages[0].x is false %}{% else %}"
          "{% set ns = namespace(f=true) %}{% endif %}{{ ns.f is true }}{{ ns.f is false }}{{ messages[0].x | default('d') }}{{ ns.f | string }}",
          "FalseTruedFalse", "TrueFalsedTrue", "TrueFalsedTrue" },
        { "{{ messages[1].content }}{{ messages|length }}{% if messages[5] is defined %}x{% else %}y{% endif %}", "3y", "Q2y", NULL },
        { "{% for m in messages %}{% else %}e{% endfor %}{# a comment\n#}\n{{ '' }}a\n\n", "a\n", "a\n", "a\n" },
        { "{% set x = messages | tojson %}{% set y = 'a' %}{% for m in messages %}{% set y = y + 'b' %}{{ y }}{% endfor %}{{ y }}"
          "{{ none }}{{ true and 7 // 2 - 10 % 4 }}", "abababaNone1", "ababaNone1", "abaNone1" },
    };
    static const struct { const char *text, *unknown; } other[] = {
        { "{% for m in messages %}{{ m | tojson }}{% endfor %}", "tojson" },
        { "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "line 1: " }, { "{% set ns = 1 %}{% set ns.x = 2 %}", "namespace" },
        { "{% for m in messages %}{% set x %}{% break %}{% endset %}{% endfor %}", "is left" },
        { "x\n{{ messages | groupby('role') }}", "line 2: the filter" },
        { "\n\n{{ messages[0].content.title() }}", "line 3: the method title" }, { "{{ messages[0].content is sameas 3 }}", "test" },
        { "{% for m in messages", "does not end" }, { "{{ 'a", "does not end" }, { "{% for m in messages %}", "endfor" }, { "{%%}", "statement" },
        { "{{}}", "missing" }, { "{% include 'x' %}", "include" }, { "{% if x %}{% endfor %}{% endif %}", "" }, { "{{ 1.5 }}", "integer" },
        { "{{ messages[0].content ** 2 }}", "more than" }, { "{% for a, b in messages %}{% endfor %}", "two variables" },
    };
    char out[512];
    size_t n;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct { const NAME_Message *msgs; int n; const char *want; } runs[] = {
            { talk, 3, cases[i].talk }, { with_system, 2, cases[i].with_system }, { wrong, 1, cases[i].wrong } };
        Make *k = make_bytes();

        k->chat = cases[i].text;
        assert_true(build(k));
        if (strcmp(module_meta_str(built, "text.template", "?"), "jinja"))
            print_error("%s\n%s\n", k->chat, module_meta_str(built, "text.template.missing", "?"));
        assert_true(NAME_has_chat(&model));
        for (int r = 0; r < 3; r++) {
            NAME_Status status = NAME_chat(&model, runs[r].msgs, runs[r].n, true, out, sizeof out, &n);

            if (!runs[r].want) {
                assert_int_equal(status, NAME_E_ARG);
                continue;
            }
            assert_int_equal(status, NAME_OK);
            if (n != strlen(runs[r].want) || memcmp(out, runs[r].want, n))
                print_error("%s\n'%.*s'\n'%s'\n", k->chat, (int)n, out, runs[r].want);
            assert_int_equal(n, strlen(runs[r].want));
            assert_memory_equal(out, runs[r].want, n);
            size_t whole = n;
            if (n < 3)
                continue;
            assert_int_equal(NAME_chat(&model, runs[r].msgs, runs[r].n, true, out, n - 1, &n), NAME_E_TEXT);
            assert_int_equal(n, whole);
        }
        arena_free(k->a);
    }
    for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
        Make *k = make_bytes();

        k->chat = other[i].text;
        assert_true(build(k));
        const char *missing = module_meta_str(built, "text.template.missing", "?");
        if (*other[i].unknown && !strstr(missing, other[i].unknown))
            print_error("%s: %s\n", other[i].text, missing);
        assert_true(!*other[i].unknown || strstr(missing, other[i].unknown));
        assert_true(!*other[i].unknown || NAME_chat(&model, talk, 3, true, out, sizeof out, &n) == NAME_E_TEXT);
        arena_free(k->a);
    }
}

/* BOS stands once: in the text, unless the tokenizer adds it. */
static void test_bos(void **state)
{
    (void)state;
    static const NAME_Message m[] = { { "user", "<s>" } };
    Make *k = make_bytes();
    char out[64];
    size_t n;

    k->bos = add_token(k, STR("<s>"), TOKEN_control);
    k->chat = "{{ bos_token }}{{ messages[0].content }}<";
    for (k->add_bos = 0; k->add_bos < 2; k->add_bos++) {
        const char *want = k->add_bos ? "<s><" : "<s><s><";

        assert_true(build(k));
        assert_int_equal(NAME_chat(&model, m, 1, false, out, sizeof out, &n), NAME_OK);
        assert_int_equal(n, strlen(want));
        assert_memory_equal(out, want, n);
    }
    k->chat = "<{{ messages[0].content }}";                 /* only its beginning */
    k->add_bos = 1;
    assert_true(build(k));
    assert_int_equal(NAME_chat(&model, m, 1, false, out, sizeof out, &n), NAME_OK);
    assert_int_equal(n, 4);
    assert_memory_equal(out, "<<s>", 4);
    k->chat = "<s";
    assert_true(build(k));
    assert_int_equal(NAME_chat(&model, m, 1, false, out, sizeof out, &n), NAME_OK);
    assert_int_equal(n, 2);
    assert_memory_equal(out, "<s", 2);
    arena_free(k->a);
}

/* A thousand messages need no more room than one: what a turn of a loop held is dropped. */
static void test_long_talk(void **state)
{
    (void)state;
    enum { N = 1000 };
    static NAME_Message m[N];
    Make *k = make_bytes();
    char *out = arena_alloc(k->a, 16 * N, 1);
    size_t n;

    for (int i = 0; i < N; i++)
        m[i] = (NAME_Message){ i % 2 ? "assistant" : "user", "a b" };
    k->chat = "{% set ns = namespace(x='', y='') %}{% for m in messages %}{% set c = m.content + '-' + m.role %}{% set ns.x = c | trim %}"
              "{% set ns.y = ns.x + '.' %}{{ c.split(' ')[0] }}{% endfor %}{{ ns.y }}{{ ns.x }}";
    assert_true(build(k));
    assert_int_equal(NAME_chat(&model, m, N, false, out, 16 * N, &n), NAME_OK);
    assert_int_equal(n, N + 27);
    assert_memory_equal(out + N, "a b-assistant.a b-assistant", 27);
    arena_free(k->a);
}

/* ---- the loop ----------------------------------------------------------------------------------------------------- */

static int n_fed, n_room, n_vocab_fake, n_wanted;
static const int32_t *script;

/* A model that says what the script says. */
NAME_Status NAME_eval(NAME_Session *s, const int32_t *ids, int n, float *logits, int n_logits)
{
    (void)s;
    (void)ids;
    assert_int_equal(n_logits, 1);
    if (n_fed + n > n_room)
        return NAME_E_CONTEXT;
    n_fed += n;
    memset(logits, 0, (size_t)n_vocab_fake * sizeof *logits);
    logits[*script++] = 1;
    return NAME_OK;
}

void NAME_want_best(NAME_Session *s, int k)
{
    (void)s;
    n_wanted = k;
}

NAME_Status NAME_next(NAME_Session *s, int32_t id, int more, float *logits)
{
    (void)more;
    assert_int_equal(n_wanted, 1);                          /* greedy: nobody looks at the others */
    return NAME_eval(s, &id, 1, logits, 1);
}

typedef struct { char text[256]; size_t n; int n_calls, stop_after; } Heard;

static bool hear(void *ctx, int32_t id, const char *text, size_t n)
{
    Heard *h = ctx;

    (void)id;
    memcpy(h->text + h->n, text, n);
    h->n += n;
    return ++h->n_calls != h->stop_after;
}

/* A sampler that asked for too few would choose among logits that are not there. */
static void test_sampler_best(void **state)
{
    NAME_Sampler s;

    (void)state;
    NAME_sampler_init(&s, 0);
    assert_int_equal(NAME_sampler_best(&s), 1);             /* temp 0 */
    s.temp = 0.5f;
    assert_int_equal(NAME_sampler_best(&s), 40);
    s.top_p = 0.9f;
    s.min_p = 0.1f;
    assert_int_equal(NAME_sampler_best(&s), 40);
    s.top_k = 0;
    assert_int_equal(NAME_sampler_best(&s), 0);
    s.top_k = 3;
    s.repeat_penalty = 1.1f;
    assert_int_equal(NAME_sampler_best(&s), 0);
    s.temp = 0;
    assert_int_equal(NAME_sampler_best(&s), 0);
    s.repeat_last_n = 0;
    assert_int_equal(NAME_sampler_best(&s), 1);
}

static void test_generate(void **state)
{
    (void)state;
    Make *k = make_bytes();
    int32_t eos = add_token(k, STR("</s>"), TOKEN_control), ctl = add_token(k, STR("<x>"), TOKEN_control), work[300];
    int32_t e1 = 0xc2, e2 = 0xa8;                           /* the two bytes of é */
    float logits[300];
    NAME_Session *s = (NAME_Session *)(void *)work;          /* never looked into */
    NAME_Sampler sampler;
    int n_new;
    const struct { int32_t say[6]; int max_new, room, stop; const char *text; int n_new; NAME_Status status; } cases[] = {
        { { 'H' - 1, e1, e2, eos }, 10, 100, 0, "Hé", 3, NAME_OK },
        { { 'H' - 1, e1, eos }, 10, 100, 0, "H\xef\xbf\xbd", 2, NAME_OK },
        { { 'H' - 1, ctl, 'i' - 1, eos }, 10, 100, 0, "Hi", 3, NAME_OK },
        { { 'a' - 1, 'b' - 1, 'c' - 1, eos }, 2, 100, 0, "ab", 2, NAME_OK },
        { { 'a' - 1, 'b' - 1, 'c' - 1, eos }, 10, 100, 1, "a", 1, NAME_OK },
        { { 'a' - 1, 'b' - 1, 'c' - 1, eos }, 10, 4, 0, "ab", 2, NAME_OK },         /* full after one of the answer's tokens */
        { { 'a' - 1 }, 10, 2, 0, "", 0, NAME_E_CONTEXT }, { { eos }, 10, 100, 0, "", 0, NAME_OK }, { { 'a' - 1 }, 0, 9, 0, "", 0, NAME_OK },
    };

    k->eos = eos;
    assert_true(build(k));
    n_vocab_fake = k->n_token;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Heard h = { .stop_after = cases[i].stop };

        n_fed = 0;
        n_room = cases[i].room;
        script = cases[i].say;
        NAME_sampler_init(&sampler, 0);
        assert_int_equal(NAME_generate(s, &model, &sampler, (int32_t[]){ 1, 2, 3 }, 3, cases[i].max_new, n_vocab_fake, logits, work,
                                       hear, &h, &n_new), cases[i].status);
        assert_int_equal(n_new, cases[i].n_new);
        assert_int_equal(n_wanted, 0);
        assert_int_equal(h.n, strlen(cases[i].text));
        assert_memory_equal(h.text, cases[i].text, h.n);
    }
    arena_free(k->a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merges), cmocka_unit_test(test_far_influence), cmocka_unit_test(test_special),
        cmocka_unit_test(test_whole_words), cmocka_unit_test(test_two_steps), cmocka_unit_test(test_bad), cmocka_unit_test(test_unknown_kinds),
        cmocka_unit_test(test_check), cmocka_unit_test(test_utf8), cmocka_unit_test(test_pcg32), cmocka_unit_test(test_weight),
        cmocka_unit_test(test_sampler), cmocka_unit_test(test_promise), cmocka_unit_test(test_templates), cmocka_unit_test(test_bos), cmocka_unit_test(test_long_talk),
        cmocka_unit_test(test_sampler_best), cmocka_unit_test(test_generate),
    };
    return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
