/* The text layer on real vocabularies, as the emitted program has it: model file -> tables -> runtime/text.
 *
 *     text_tool golden TOK.json MODEL.gguf     every string of a recorded tokenization, plain and special; pieces give the text back
 *     text_tool chat CHAT.json MODEL.gguf      every conversation of a recorded rendering
 *     text_tool render TEMPLATE.jinja          standard input: a JSON array of {messages, add_generation_prompt}; standard output: one
 *                                              of texts, null where the template refuses; bos_token is <s>, eos_token </s>
 *     text_tool encode MODEL.gguf [special]    standard input: strings, each after its length as 4 little-endian bytes; standard
 *                                              output: a line of ids for each
 *     text_tool long MODEL.gguf                a megabyte of one letter, of spaces, of random letters: tokens, and that they spell it
 *
 * Exit 0: all as expected. */
#include <jansson.h>
#include <stdlib.h>
#include <time.h>

#include "compiler/import/vocab.h"
#include "runtime/text/tokenize.c"
#include "tests/text/both_words.h"
#include "runtime/text/chat.c"

static const uint8_t *tables;
static uint64_t tables_bytes;

const uint8_t *NAME_section(const NAME_Model *m, const char *name, uint64_t *bytes)
{
    (void)m;
    *bytes = tables_bytes;
    return strcmp(name, "tok") ? NULL : tables;
}

static const NAME_Model model = { .w = (const uint8_t *)"" };

static bool load(FileSet *fs, Arena *a, Diag *d, const char *path)
{
    Model *m = model_open(fs, a, d, path);
    clock_t begin = clock();
    Module *module = module_new(a, "test");

    if (!m || !vocab_to_module(module, m, d))
        return false;
    Blob *b = module_find_blob(module, "tok");
    if (!b)
        return fail(d, AT_FILE(path), "%s", module_meta_str(module, "text.missing", "?"));
    tables = b->p;
    tables_bytes = b->n;
    fprintf(stderr, "%s: %" PRIu64 " bytes of tables in %.0f ms, template '%s' %s\n", path_base(path), b->n,
            (double)(clock() - begin) * 1e3 / CLOCKS_PER_SEC, module_meta_str(module, "text.template", "?"),
            module_meta_str(module, "text.template.missing", ""));
    return NAME_tok_check(tables, tables_bytes) || fail(d, AT_FILE(path), "the tables do not pass their own check");
}

static json_t *load_json(Diag *d, const char *path)
{
    json_error_t e;
    json_t *j = json_load_file(path, JSON_ALLOW_NUL, &e);

    if (!j)
        fail(d, AT_FILE(path), "%s", e.text);
    return j;
}

static bool lacks_bytes;        /* texts do not come back: bytes without a token vanish, or white space behind special tokens does */

static bool same(Arena *a, Diag *d, Str text, int flags, const json_t *want)
{
    int32_t *ids = ARENA_ARRAY(a, int32_t, text.n + 8);
    size_t n = 0;
    NAME_Status status = NAME_tokenize(&model, text.p, text.n, flags, ids, text.n + 8, &n);
    bool ok = status == NAME_OK && n == json_array_size(want);

    for (size_t i = 0; i < n && ok; i++)
        ok = ids[i] == json_integer_value(json_array_get(want, i));
    if (ok && !lacks_bytes) {                               /* and back: U+2581 is a space to SentencePiece */
        char *back = arena_alloc(a, 4 * text.n + 64, 1);
        size_t n_back = 0, at = 0;

        if (flags && n && ids[0] == NAME_bos(&model) && (NAME_tok_tables(&model)->flags & NAME_TOK_ADD_BOS))
            ids++, n--;
        ok = NAME_detokenize(&model, ids, n, NAME_TEXT_SPECIAL, back, 4 * text.n + 64, &n_back) == NAME_OK;
        for (size_t i = 0; i < text.n && ok; i++) {
            bool mark = text.n - i >= 3 && !memcmp(text.p + i, "\xe2\x96\x81", 3) && at < n_back && back[at] == ' ';

            ok = at < n_back && (mark || back[at] == text.p[i]);
            i += mark ? 2 : 0;
            at++;
        }
        if (!ok || at != n_back)
            return fail(d, NOWHERE, "\"%s\" comes back as \"%s\"", str_show(a, text, 80), str_show(a, (Str){ back, n_back }, 80));
    }
    if (ok)
        return true;
    Buf b = buf_in(a);
    for (size_t i = 0; i < n; i++)
        buf_printf(&b, " %d", (int)ids[i]);
    buf_puts(&b, "; want");
    for (size_t i = 0; i < json_array_size(want); i++)
        buf_printf(&b, " %d", (int)json_integer_value(json_array_get(want, i)));
    return fail(d, NOWHERE, "\"%s\" (%s) gives%s", str_show(a, text, 80), flags ? "special" : "plain", buf_z(&b));
}

static bool golden(Arena *a, Diag *d, const char *path)
{
    json_t *j = load_json(d, path), *s;
    size_t i;

    if (!j)
        return false;
    const NAME_TokHeader *h = NAME_tok_tables(&model);
    for (int b = 0; b < 256; b++)
        lacks_bytes |= NAME_tok_u32(h, h->spell_off)[b] == NAME_TOK_NONE;
    for (uint32_t t = 0; t < h->n_vocab; t++)
        lacks_bytes |= ((const uint8_t *)h + h->kind_off)[t] & NAME_TOK_STRIP;
    json_array_foreach(json_object_get(j, "strings"), i, s) {
        Str text = { json_string_value(json_object_get(s, "text")), json_string_length(json_object_get(s, "text")) };

        same(a, d, text, NAME_TEXT_PLAIN, json_object_get(s, "plain"));
        same(a, d, text, NAME_TEXT_SPECIAL, json_object_get(s, "special"));
    }
    printf("%s: %zu strings, plain and special: %d differ\n", path_base(path), i, diag_n_errors(d));
    json_decref(j);
    return i > 0 && !diag_n_errors(d);
}

static bool chat(Diag *d, const char *path)
{
    json_t *j = load_json(d, path), *c, *msg;
    size_t i, k, n;

    if (!j)
        return false;
    json_array_foreach(json_object_get(j, "cases"), i, c) {
        NAME_Message msgs[32];
        char out[16384];
        json_t *text = json_object_get(c, "text");
        bool add = json_is_true(json_object_get(c, "add_generation_prompt"));

        json_array_foreach(json_object_get(c, "messages"), k, msg)
            msgs[k] = (NAME_Message){ json_string_value(json_object_get(msg, "role")),
                                      json_string_value(json_object_get(msg, "content")) };
        if (NAME_chat(&model, msgs, (int)k, add, out, sizeof out, &n) != NAME_OK || n != json_string_length(text) ||
            memcmp(out, json_string_value(text), n))
            fail(d, AT_FILE(path), "conversation %zu renders differently", i);
    }
    printf("%s: %zu conversations: %d differ\n", path_base(path), i, diag_n_errors(d));
    json_decref(j);
    return i > 0 && !diag_n_errors(d);
}

static bool render(FileSet *fs, Arena *a, Diag *d, const char *path)
{
    static const float score[2];
    static uint8_t type[2] = { TOKEN_control, TOKEN_control };
    static bool is_end[2];
    const Str token[2] = { STR("<s>"), STR("</s>") };
    Vocab v = { .file = path, .kind = VOCAB_spm, .n_token = 2, .token = token, .type = type, .is_end = is_end, .score = score,
                .has_types = true, .bos = 0, .eos = 1, .unk = -1 };
    Mapped file;
    Buf blob = buf_in(a);
    json_error_t e;
    json_t *cases, *c, *msg, *out;
    size_t i, k, n;
    char *text = arena_alloc(a, 1 << 20, 1);

    if (!file_map(fs, a, d, path, &file))
        return false;
    v.chat_template = (Str){ (const char *)file.p, file.n };
    ChatTemplate t = template_compile(a, &v);
    if (!t.known)
        return fail(d, AT_FILE(path), "%s", t.unknown);
    if (!text_tables(&v, &t, a, d, &blob))
        return false;
    tables = (const uint8_t *)blob.p;
    tables_bytes = blob.n;
    fprintf(stderr, "%u words, %u texts\n", t.n_code, t.n_text);
    out = json_array();
    cases = json_loadf(stdin, JSON_ALLOW_NUL, &e);
    json_array_foreach(cases, i, c) {
        NAME_Message msgs[64];
        NAME_Status status;

        json_array_foreach(json_object_get(c, "messages"), k, msg)
            msgs[k] = (NAME_Message){ json_string_value(json_object_get(msg, "role")),
                                      json_string_value(json_object_get(msg, "content")) };
        status = NAME_chat(&model, msgs, (int)json_array_size(json_object_get(c, "messages")),
                           json_is_true(json_object_get(c, "add_generation_prompt")), text, 1 << 20, &n);
        json_array_append_new(out, status == NAME_OK ? json_stringn(text, n)
                                 : status == NAME_E_ARG ? json_null() : json_integer(status));
    }
    json_dumpf(out, stdout, 0);
    json_decref(cases);
    json_decref(out);
    return true;
}

static bool encode(Arena *a, int flags)
{
    uint32_t n;

    while (fread(&n, 4, 1, stdin) == 1) {
        ArenaMark mark = arena_mark(a);
        char *text = arena_alloc(a, n + 1, 1);
        int32_t *ids = ARENA_ARRAY(a, int32_t, n + 8);
        size_t n_ids = 0;

        if (fread(text, 1, n, stdin) != n || NAME_tokenize(&model, text, n, flags, ids, n + 8, &n_ids) != NAME_OK)
            return false;
        for (size_t i = 0; i < n_ids; i++)
            printf(i ? " %d" : "%d", (int)ids[i]);
        putchar('\n');
        arena_rewind(a, mark);
    }
    return true;
}

static bool long_texts(Arena *a, Diag *d)
{
    enum { N = 1 << 20 };
    static const char *const what[] = { "one letter", "spaces", "random letters", "random bytes", "a < b" };
    char *text = arena_alloc(a, N, 1);
    int32_t *ids = ARENA_ARRAY(a, int32_t, N + 8);
    uint64_t x = 1;

    for (int k = 0; k < 5; k++) {
        size_t n, at = 0;
        bool ok;

        for (int i = 0; i < N; i++) {
            x = x * 6364136223846793005u + 1442695040888963407u;
            text[i] = (char)(k == 0 ? 'a' : k == 1 ? ' ' : k == 2 ? 'a' + (int)(x >> 40) % 26 : k == 3 ? (int)(x >> 40) : '<');
        }
        clock_t begin = clock();
        ok = NAME_tokenize(&model, text, N, NAME_TEXT_PLAIN, ids, N + 8, &n) == NAME_OK;
        double ms = (double)(clock() - begin) * 1e3 / CLOCKS_PER_SEC;
        bool space = NAME_tok_tables(&model)->flags & NAME_TOK_ADD_SPACE;
        for (size_t i = 0; i < n && ok; i++) {
            const char *p = NULL;
            size_t n_p = 0;

            NAME_piece(&model, ids[i], &p, &n_p);
            if (k == 3)
                continue;                                   /* bytes that the vocabulary lacks vanish */
            if (!i && space && n_p && *p == ' ')
                p++, n_p--;
            ok = n_p <= N - at && !memcmp(p, text + at, n_p);
            at += n_p;
        }
        if (!ok || (k != 3 && at != N))
            fail(d, NOWHERE, "a megabyte of %s does not come back", what[k]);
        printf("1 MiB of %s: %zu tokens, %.0f ms\n", what[k], n, ms);
    }
    return !diag_n_errors(d);
}

int main(int argc, char **argv)
{
    Arena *a = arena_new(NULL);
    Diag *d = diag_new(a, stderr);
    FileSet *fs = files_new();
    const char *verb = argc > 1 ? argv[1] : "";
    bool ok = false;

    if (!strcmp(verb, "golden") && argc == 4)
        ok = load(fs, a, d, argv[3]) && golden(a, d, argv[2]);
    else if (!strcmp(verb, "chat") && argc == 4)
        ok = load(fs, a, d, argv[3]) && chat(d, argv[2]);
    else if (!strcmp(verb, "encode") && argc >= 3)
        ok = load(fs, a, d, argv[2]) && encode(a, argc > 3 && !strcmp(argv[3], "special") ? NAME_TEXT_SPECIAL : 0);
    else if (!strcmp(verb, "render") && argc == 3)
        ok = render(fs, a, d, argv[2]);
    else if (!strcmp(verb, "long") && argc == 3)
        ok = load(fs, a, d, argv[2]) && long_texts(a, d);
    else
        fprintf(stderr, "usage: text_tool golden|chat JSON MODEL, text_tool encode|long MODEL, text_tool render TEMPLATE\n");
    files_close(fs);
    arena_free(a);
    return !ok;
}
