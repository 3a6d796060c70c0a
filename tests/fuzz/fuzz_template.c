/* Chat templates and pre-tokenizer expressions from files: any text is compiled or refused with a reason, never a crash; and what
 * was compiled renders any conversation or refuses it. */
#include <stdlib.h>

#include "compiler/import/vocab.h"
#include "runtime/text/tokenize.c"
#include "runtime/text/chat.c"
#include "tests/text/both_words.h"

static const uint8_t *blob;
static uint64_t blob_bytes;

const uint8_t *NAME_section(const NAME_Model *m, const char *name, uint64_t *bytes)
{
    (void)m;
    (void)name;
    *bytes = blob_bytes;
    return blob;
}

static void render(Arena *a, Diag *d, const Vocab *v, const ChatTemplate *t)
{
    static const NAME_Model model = { .w = (const uint8_t *)"" };
    static const NAME_Message talk[] = { { "system", " be\n" }, { "user", "Hi <think> there" }, { "assistant", "a\xc3\xa9</think> b " },
                                         { "user", "" }, { "assistant", "\xff \xe3\x80\x80" } };
    Buf out = buf_in(a);
    char text[4096], again[4096];
    size_t n, m;

    if (!text_tables(v, t, a, d, &out))
        abort();
    blob = (const uint8_t *)out.p;
    blob_bytes = out.n;
    if (!NAME_tok_check(blob, blob_bytes))
        abort();
    for (int from = 0; from < 2; from++)
        for (int to = from; to <= 5; to++) {
            NAME_Status s = NAME_chat(&model, talk + from, to - from, to & 1, text, sizeof text, &n);

            if (s == NAME_OK && (NAME_chat(&model, talk + from, to - from, to & 1, again, n, &m) || m != n || memcmp(text, again, n)))
                abort();
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Arena *a = arena_new(NULL);
    Diag *d = diag_new(a, NULL);
    Str text = { (const char *)data, size };
    static const float score[2] = { 0, 0 };
    uint8_t type[2] = { TOKEN_control, TOKEN_control };
    bool is_end[2] = { 0 };
    const Str token[2] = { STR("<s>"), STR("</s>") };
    Vocab v = { .file = "fuzz", .kind = VOCAB_spm, .n_token = 2, .token = token, .has_types = true, .type = type, .is_end = is_end,
                .score = score, .eos = 1, .unk = -1, .add_bos = size & 1, .chat_template = text };
    ChatTemplate t = template_compile(a, &v);
    Pretok p;

    if (!t.known && size && !*t.unknown)
        abort();                                            /* refused without a reason */
    if (t.known)
        render(a, d, &v, &t);
    if (size < 64) {
        const char *expr = str_z(a, text);

        if (!pretok_compile(a, d, &expr, 1, &p) && !diag_n_errors(d))
            abort();
    }
    arena_free(a);
    return 0;
}
