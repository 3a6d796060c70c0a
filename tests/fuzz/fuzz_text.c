/* Text of any bytes through tables that are made from the same input: whatever the vocabulary, the tokens of a text with every
 * byte in the vocabulary spell it again, and n_bytes + 8 ids are enough.  Windows for long words are small, so that inputs of a
 * few hundred bytes go through all of them.
 *
 *     input = number of merges, then for each two bytes that choose texts made so far; then the text
 *
 * From 48 merges on it is SentencePiece's: so many less 48 tokens, with scores of four bits; a space may be added. */
#include <stdlib.h>

#include "compiler/import/vocab.h"

#define NAME_TOK_WINDOW 8
#define NAME_TOK_WINDOW_MAX 32
#include "runtime/text/tokenize.c"
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

/* Byte b in GPT-2's alphabet. */
static Str letter(Arena *a, int b)
{
    bool itself = (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
    int c = itself ? b : 256 + (b <= 0x20 ? b : b <= 0xa0 ? b - 0x7f + 33 : 67);

    return str_of(c < 128 ? str_printf(a, "%c", c) : str_printf(a, "%c%c", 0xc0 | c >> 6, 0x80 | (c & 63)));
}

/* The automata of each pre-tokenizer, made once: they are most of the work. */
static const Pretok *automata(int i)
{
    static Pretok made[4];

    if (!made[i].n_step) {
        Arena *a = arena_new(NULL);                         /* stays */
        const char *const *expr = pretok_table[i].expr;

        if (!pretok_compile(a, diag_new(a, NULL), expr, 1 + (expr[1] != NULL), &made[i]))
            abort();
    }
    return &made[i];
}

/* Pieces spell the text, with U+2581 as a space and with the space before it. */
static void spells_spm(const Vocab *v, Arena *a, const char *text, size_t n, int flags)
{
    static const NAME_Model model = { .w = (const uint8_t *)"" };
    Buf want = buf_in(a), have = buf_in(a);
    int32_t *ids = malloc((n + 8) * sizeof *ids);
    size_t n_ids;

    for (size_t i = 0; i < n;) {
        bool two = n - i >= 2 && !memcmp(text + i, "  ", 2), x = flags && n - i >= 5 && !memcmp(text + i, "<|x|>", 5);
        bool first = !want.n || (want.n >= 5 && !memcmp(want.p + want.n - 5, "<|x|>", 5) && flags) ||
                     (i >= 2 && want.n && want.p[want.n - 1] == '\1');

        if (two || x) {
            buf_puts(&want, two ? "  \1" : "<|x|>");           /* \1: a mark, taken out below */
            i += two ? 2 : 5;
            continue;
        }
        if (v->add_space && first)
            buf_putc(&want, ' ');
        bool mark = n - i >= 3 && !memcmp(text + i, "\xe2\x96\x81", 3);
        buf_putc(&want, mark ? ' ' : text[i]);
        i += mark ? 3 : 1;
    }
    if (NAME_tokenize(&model, text, n, flags, ids, n + 8, &n_ids) != NAME_OK)
        abort();
    for (size_t i = 0; i < n_ids; i++) {
        const char *p;
        size_t n_p;

        if (NAME_piece(&model, ids[i], &p, &n_p) != NAME_OK)
            abort();
        buf_put(&have, p, n_p);
    }
    size_t to = 0;
    for (size_t i = 0; i < want.n; i++)
        if (want.p[i] != '\1')
            want.p[to++] = want.p[i];
    if (to != have.n || memcmp(want.n ? want.p : "", have.n ? have.p : "", to))
        abort();
    free(ids);
}

static void spm(Arena *a, Diag *d, const uint8_t *data, size_t size)
{
    enum { N = 256 + 16 + 2 };
    Str token[N];
    uint8_t type[N];
    bool is_end[N] = { 0 };
    float score[N] = { 0 };
    Vocab v = { .file = "fuzz", .kind = VOCAB_spm, .bos = -1, .eos = -1, .unk = -1, .token = token, .has_types = true, .type = type,
                .is_end = is_end, .score = score, .add_space = data[0] >> 6 & 1 };
    Buf out = buf_in(a);
    ChatTemplate chat = { .unknown = "" };
    size_t at = 1, n_new = data[0] % 64 - 48;

    for (; v.n_token < 256; v.n_token++) {
        token[v.n_token] = str_of(str_printf(a, "<0x%02X>", v.n_token));
        type[v.n_token] = TOKEN_byte;
    }
    for (; n_new && at + 2 <= size; n_new--, at += 2) {
        static const char *const letters[] = { "a", "b", "\xe2\x96\x81", "\xc3\xa9", "\xe6\x97\xa5", "\xe6", "<", "|" };
        int made = v.n_token - 256;
        Str l = made && data[at] & 8 ? token[256 + data[at] / 16 % made] : str_of(letters[data[at] % 8]);
        Str r = made && data[at + 1] & 8 ? token[256 + data[at + 1] / 16 % made] : data[at] & 0x40 ? STR("") : str_of(letters[data[at + 1] % 8]);
        Str lr = str_of(str_printf(a, STR_FMT STR_FMT, STR_ARG(l), STR_ARG(r)));
        bool known = lr.n > 64;

        for (int j = 256; j < v.n_token; j++)
            known |= str_eq(token[j], lr);
        if (known)
            continue;
        score[v.n_token] = (float)(data[at + 1] / 16);
        type[v.n_token] = TOKEN_normal;
        token[v.n_token++] = lr;
    }
    token[v.n_token] = STR("<|x|>");
    type[v.n_token++] = TOKEN_control;
    token[v.n_token] = STR("  ");
    type[v.n_token++] = TOKEN_user;
    if (!text_tables(&v, &chat, a, d, &out))
        abort();
    blob = (const uint8_t *)out.p;
    blob_bytes = out.n;
    if (!NAME_tok_check(blob, blob_bytes))
        abort();
    const char *text = (const char *)data + at;
    if (!memchr(text, 1, size - at))
        for (int flags = 0; flags < 2; flags++)
            spells_spm(&v, a, text, size - at, flags);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const NAME_Model model = { .w = (const uint8_t *)"" };
    Arena *a = arena_new(NULL);
    Diag *d = diag_new(a, NULL);
    size_t n_merge = size ? data[0] % 64 : 0, at = 1;
    Str token[256 + 64 + 2], merge[64];
    uint8_t type[256 + 64 + 2];
    bool is_end[256 + 64 + 2] = { 0 };
    Vocab v = { .file = "fuzz", .bos = -1, .eos = -1, .token = token, .type = type, .is_end = is_end, .merge = merge };

    if (!size || size > 4096)
        goto done;
    if (n_merge >= 48) {
        spm(a, d, data, size);
        goto done;
    }
    v.pretok = &pretok_table[data[0] / 64];
    v.compiled = automata(data[0] / 64);
    for (; v.n_token < 256; v.n_token++)
        token[v.n_token] = letter(a, v.n_token);
    for (size_t i = 0; i < n_merge && at + 2 <= size; i++, at += 2) {
        Str l = token[data[at] % v.n_token], r = token[data[at + 1] % v.n_token];
        Str lr = str_of(str_printf(a, STR_FMT STR_FMT, STR_ARG(l), STR_ARG(r)));
        bool known = lr.n > 64;

        if (data[at] % 16 == 0 && v.n_token > 256)          /* longer ones, from what was made last */
            l = token[v.n_token - 1], lr = str_of(str_printf(a, STR_FMT STR_FMT, STR_ARG(l), STR_ARG(r)));
        known |= lr.n > 64;
        for (int j = 0; j < v.n_token; j++)
            known |= str_eq(token[j], lr);
        merge[v.n_merge++] = str_of(str_printf(a, STR_FMT " " STR_FMT, STR_ARG(l), STR_ARG(r)));
        if (!known)
            token[v.n_token++] = lr;
    }
    memset(type, TOKEN_normal, sizeof type);
    token[v.n_token] = STR("<|x|>");
    type[v.n_token++] = TOKEN_control;
    token[v.n_token] = STR("  ");
    type[v.n_token++] = TOKEN_user;

    Buf out = buf_in(a);
    ChatTemplate chat = { .unknown = "" };
    if (!text_tables(&v, &chat, a, d, &out))
        abort();
    blob = (const uint8_t *)out.p;
    blob_bytes = out.n;
    if (!NAME_tok_check(blob, blob_bytes))
        abort();
    const char *text = (const char *)data + (at < size ? at : size);
    size_t n = (size_t)((const char *)data + size - text), n_ids, done = 0;
    for (int flags = 0; flags < 2; flags++) {
        int32_t *ids = malloc((n + 8) * sizeof *ids);

        if (NAME_tokenize(&model, text, n, flags, ids, n + 8, &n_ids) != NAME_OK)
            abort();
        done = 0;
        for (size_t i = 0; i < n_ids; i++) {
            const char *p;
            size_t n_p;

            if (NAME_piece(&model, ids[i], &p, &n_p) != NAME_OK || n_p > n - done || memcmp(p, text + done, n_p))
                abort();
            done += n_p;
        }
        if (done != n)
            abort();
        free(ids);
    }
done:
    arena_free(a);
    return 0;
}
