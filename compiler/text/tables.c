/* A vocabulary -> the tables of runtime/text/tokenizer.h.
 *
 * Merges are given as pairs of texts; here they become pairs of symbols.  Every text that a merge names or makes gets a symbol:
 * the token of that text, or a helper where there is none.  So the emitted program merges exactly as if it compared texts.
 *
 * The table of words holds every token that its own text encodes to, found by encoding each (all tokens, where the pre-tokenizer
 * says that whole words go before merges): most words of a text are then one lookup. */
#include "compiler/import/vocab.h"
#include "runtime/text/tokenizer.h"

#include <assert.h>
#include <stdlib.h>

#define KEY_TOKENS "tokenizer.ggml.tokens"
#define KEY_MERGES "tokenizer.ggml.merges"

/* ---- GPT-2's alphabet --------------------------------------------------------------------------------------------- */

/* bytes_to_unicode() of gpt-2's encoder.py: printable bytes of Latin-1 stand for themselves, the others, in order, for the
 * characters from U+0100 on.  Here the other way round: byte[c] for c < 0x144, -1: not in the alphabet. */
static void alphabet(int16_t byte[0x144])
{
    int n = 0;

    memset(byte, -1, 0x144 * sizeof *byte);
    for (int b = 0; b < 256; b++)
        if ((b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || (b >= 0xae && b <= 0xff))
            byte[b] = (int16_t)b;
        else
            byte[0x100 + n++] = (int16_t)b;
}

/* The bytes that a text in the alphabet stands for; false: some of it is not in the alphabet.  out has room for s.n bytes. */
static bool spell(const int16_t *byte, Str s, uint8_t *out, uint32_t *n)
{
    *n = 0;
    for (size_t i = 0; i < s.n; i++) {
        uint32_t c = (uint8_t)s.p[i];

        if (c >= 0x80) {                                    /* all of the alphabet has at most two bytes */
            if (c < 0xc2 || c > 0xdf || i + 1 == s.n || ((uint8_t)s.p[i + 1] & 0xc0) != 0x80)
                return false;
            c = (c & 0x1f) << 6 | ((uint8_t)s.p[++i] & 0x3f);
        }
        if (c >= 0x144 || byte[c] < 0)
            return false;
        out[(*n)++] = (uint8_t)byte[c];
    }
    return true;
}

/* ---- symbols ------------------------------------------------------------------------------------------------------ */

typedef struct {
    Arena *a;
    const Vocab *v;
    Diag *d;
    int16_t byte[0x144];
    Buf text;                   /* of all symbols, one after another */
    uint32_t *begin;            /* [n + 1] */
    uint32_t n, cap;
    uint32_t *slot, n_slot;     /* symbols by text */
    bool *spelled;              /* [n_token] the text is written in the alphabet */
    uint32_t of_byte[256];
    NAME_TokMerge *merge;
    uint32_t n_merge_slot;
} Maker;

static const uint8_t *text_of(const Maker *k, uint32_t id, uint32_t *n)
{
    *n = k->begin[id + 1] - k->begin[id];
    return (const uint8_t *)k->text.p + k->begin[id];
}

/* The slot where a text is, or where it would go. */
static uint32_t *slot_of(const Maker *k, const uint8_t *p, uint32_t n)
{
    uint32_t i = NAME_tok_slot(NAME_tok_hash_bytes(p, n), k->n_slot);

    for (; k->slot[i] != NAME_TOK_NONE; i = i + 1 < k->n_slot ? i + 1 : 0) {
        uint32_t n_text;
        const uint8_t *text = text_of(k, k->slot[i], &n_text);

        if (n_text == n && !memcmp(text, p, n))
            break;
    }
    return &k->slot[i];
}

static uint32_t new_symbol(Maker *k, const uint8_t *p, uint32_t n)
{
    assert(k->n < k->cap);
    buf_put(&k->text, p, n);
    k->begin[k->n + 1] = (uint32_t)k->text.n;
    return k->n++;
}

static uint32_t symbol(Maker *k, const uint8_t *p, uint32_t n)
{
    uint32_t *s = slot_of(k, p, n);

    if (*s == NAME_TOK_NONE)
        *s = new_symbol(k, p, n);
    return *s;
}

static Loc at_key(const Maker *k, const char *key, int index)
{
    return AT_WHAT(k->v->file, str_printf(k->a, "key '%s', index %d", key, index));
}

static bool add_tokens(Maker *k)
{
    const Vocab *v = k->v;
    uint32_t longest = 0;
    bool ok = true;

    for (int i = 0; i < v->n_token; i++)
        longest = v->token[i].n > longest ? (uint32_t)v->token[i].n : longest;
    uint8_t *buf = arena_alloc(k->a, longest + 1u, 1);
    for (int i = 0; i < v->n_token; i++) {
        uint32_t n = 0;
        bool named = v->type[i] != TOKEN_normal && v->type[i] != TOKEN_byte;    /* its text is a name, not spelled bytes */

        k->spelled[i] = v->token[i].n && spell(k->byte, v->token[i], buf, &n);
        if (!k->spelled[i] || named) {
            new_symbol(k, (const uint8_t *)v->token[i].p, (uint32_t)v->token[i].n);
            if (!k->spelled[i])
                continue;
            /* Where it is written in the alphabet too, merges may make it, unless the texts differ. */
            if (n != v->token[i].n || memcmp(buf, v->token[i].p, n)) {
                k->spelled[i] = false;
                continue;
            }
        } else {
            new_symbol(k, buf, n);
        }
        uint32_t *s = slot_of(k, buf, n);
        if (*s == NAME_TOK_NONE)
            *s = (uint32_t)i;
        else if (v->type[i] != TOKEN_unused && v->type[*s] != TOKEN_unused)
            ok = fail(k->d, at_key(k, KEY_TOKENS, i), "the same text as token %" PRIu32 " (\"%s\"); a tokenizer cannot tell them "
                      "apart (mark one as unused, type 5)", *s, str_show(k->a, v->token[i], 40));
    }
    for (int b = 0; b < 256; b++) {
        uint8_t c = (uint8_t)b;
        k->of_byte[b] = symbol(k, &c, 1);
    }
    return ok;
}

/* ---- merges ------------------------------------------------------------------------------------------------------- */

static NAME_TokMerge *merge_slot(const Maker *k, uint32_t left, uint32_t right)
{
    uint32_t i = NAME_tok_slot(NAME_tok_hash_pair(left, right), k->n_merge_slot);

    while (k->merge[i].rank != NAME_TOK_NONE && (k->merge[i].left != left || k->merge[i].right != right))
        i = i + 1 < k->n_merge_slot ? i + 1 : 0;
    return &k->merge[i];
}

static bool add_merges(Maker *k)
{
    const Vocab *v = k->v;
    size_t longest = 0;
    bool ok = true;

    for (int i = 0; i < v->n_merge; i++)
        longest = v->merge[i].n > longest ? v->merge[i].n : longest;
    uint8_t *buf = arena_alloc(k->a, longest + 1, 1);
    k->n_merge_slot = (uint32_t)v->n_merge / 3 * 4 + 4;
    k->merge = ARENA_ARRAY(k->a, NAME_TokMerge, k->n_merge_slot);
    for (uint32_t i = 0; i < k->n_merge_slot; i++)
        k->merge[i].rank = NAME_TOK_NONE;
    for (int i = 0; i < v->n_merge; i++) {
        Str s = v->merge[i];
        const char *space = s.n ? memchr(s.p, ' ', s.n) : NULL;
        uint32_t n_left, n_right;

        if (!space || space == s.p || space == s.p + s.n - 1) {
            ok = fail(k->d, at_key(k, KEY_MERGES, i), "\"%s\" is not two texts with a space between them",
                      str_show(k->a, s, 40));
            continue;
        }
        Str left = { s.p, (size_t)(space - s.p) }, right = { space + 1, s.n - left.n - 1 };
        if (!spell(k->byte, left, buf, &n_left) || !spell(k->byte, right, buf + n_left, &n_right)) {
            ok = fail(k->d, at_key(k, KEY_MERGES, i), "\"%s\" is not written in the alphabet of byte-level BPE",
                      str_show(k->a, s, 40));
            continue;
        }
        uint32_t l = symbol(k, buf, n_left), r = symbol(k, buf + n_left, n_right);
        NAME_TokMerge *m = merge_slot(k, l, r);
        if (m->rank == NAME_TOK_NONE)                       /* of equal merges the first one counts */
            *m = (NAME_TokMerge){ l, r, (uint32_t)i, symbol(k, buf, n_left + n_right) };
        if (k->text.n > UINT32_MAX / 2)
            return fail(k->d, at_key(k, KEY_MERGES, i), "the texts up to here have more than 2 GiB");
    }
    return ok;
}

/* Whether merging the bytes of a token gives the token.  sym and rank have room for them. */
static bool encodes_to_itself(const Maker *k, uint32_t id, uint32_t *sym, uint32_t *rank)
{
    uint32_t n;
    const uint8_t *p = text_of(k, id, &n);

    for (uint32_t i = 0; i < n; i++)
        sym[i] = k->of_byte[p[i]];
    for (uint32_t i = 0; i + 1 < n; i++)
        rank[i] = merge_slot(k, sym[i], sym[i + 1])->rank;
    while (n > 1) {
        uint32_t at = 0;

        for (uint32_t i = 1; i + 1 < n; i++)
            at = rank[i] < rank[at] ? i : at;
        if (rank[at] == NAME_TOK_NONE)
            return false;
        sym[at] = merge_slot(k, sym[at], sym[at + 1])->result;
        n--;
        for (uint32_t i = at + 1; i < n; i++) {
            sym[i] = sym[i + 1];
            if (i + 1 < n)
                rank[i] = rank[i + 1];
        }
        if (at + 1 < n)
            rank[at] = merge_slot(k, sym[at], sym[at + 1])->rank;
        if (at > 0)
            rank[at - 1] = merge_slot(k, sym[at - 1], sym[at])->rank;
    }
    return sym[0] == id;
}

/* ---- the blob ----------------------------------------------------------------------------------------------------- */

enum { MAX_WORD_BYTES = 256 };             /* longer tokens are found by merging; this bounds the work of encoding each */

static uint32_t begin_part(Buf *b, size_t align)
{
    while (b->n % align)
        buf_putc(b, 0);
    return (uint32_t)b->n;
}

static NAME_TokText put_text(Buf *b, Str s)
{
    NAME_TokText t = { (uint32_t)b->n, (uint32_t)s.n };

    buf_put(b, s.p, s.n);
    return t;
}

static void put_words(const Maker *k, NAME_TokHeader *h, Buf *out)
{
    const Vocab *v = k->v;
    uint32_t *sym = ARENA_ARRAY(k->a, uint32_t, MAX_WORD_BYTES), *rank = ARENA_ARRAY(k->a, uint32_t, MAX_WORD_BYTES);
    uint32_t *word = ARENA_ARRAY(k->a, uint32_t, v->n_token + 1), n_word = 0;

    for (uint32_t i = 0; i < h->n_vocab; i++) {
        uint32_t n;
        const uint8_t *p = text_of(k, i, &n);

        if (!k->spelled[i] || !n || n > MAX_WORD_BYTES || v->type[i] == TOKEN_control || v->type[i] == TOKEN_unknown ||
            *slot_of(k, p, n) != i)
            continue;
        if (v->pretok->whole_words || encodes_to_itself(k, i, sym, rank)) {
            word[n_word++] = i;
            h->max_word_bytes = n > h->max_word_bytes ? n : h->max_word_bytes;
        }
    }
    h->n_word_slot = n_word / 2 * 3 + 4;
    h->word_off = begin_part(out, 4);
    uint32_t *slot = ARENA_ARRAY(k->a, uint32_t, h->n_word_slot);
    memset(slot, 0xff, h->n_word_slot * sizeof *slot);
    for (uint32_t j = 0; j < n_word; j++) {
        uint32_t n;
        const uint8_t *p = text_of(k, word[j], &n);
        uint32_t i = NAME_tok_slot(NAME_tok_hash_bytes(p, n), h->n_word_slot);

        while (slot[i] != NAME_TOK_NONE)
            i = i + 1 < h->n_word_slot ? i + 1 : 0;
        slot[i] = word[j];
    }
    buf_put(out, slot, h->n_word_slot * sizeof *slot);
}

/* qsort has no context, so a special token is sorted with its text. */
typedef struct { Str text; uint32_t id; } Special;

static int by_first_byte_then_longest(const void *pa, const void *pb)
{
    const Special *a = pa, *b = pb;
    int first = (int)(uint8_t)a->text.p[0] - (int)(uint8_t)b->text.p[0];

    if (first)
        return first;
    if (a->text.n != b->text.n)
        return a->text.n > b->text.n ? -1 : 1;
    return a->id < b->id ? -1 : 1;
}

static void put_specials(const Maker *k, NAME_TokHeader *h, Buf *out)
{
    const Vocab *v = k->v;
    Special *s = ARENA_ARRAY(k->a, Special, v->n_token + 1);
    uint32_t first[257] = { 0 };

    for (int i = 0; i < v->n_token; i++)
        if (v->token[i].n && (v->type[i] == TOKEN_control || v->type[i] == TOKEN_user || v->type[i] == TOKEN_unknown))
            s[h->n_special++] = (Special){ v->token[i], (uint32_t)i };
    qsort(s, h->n_special, sizeof *s, by_first_byte_then_longest);
    h->special_off = begin_part(out, 4);
    for (uint32_t i = 0; i < h->n_special; i++) {
        buf_put(out, &s[i].id, 4);
        first[(uint8_t)s[i].text.p[0] + 1]++;
    }
    for (int c = 0; c < 256; c++)
        first[c + 1] += first[c];
    h->first_off = begin_part(out, 4);
    buf_put(out, first, sizeof first);
}

bool text_tables(const Vocab *v, const ChatTemplate *chat, Arena *a, Diag *d, Buf *out)
{
    NAME_TokHeader h = { .magic = NAME_TOK_MAGIC, .version = NAME_TOK_VERSION, .n_vocab = (uint32_t)v->n_token,
                         .bos = v->bos, .eos = v->eos };
    Maker k = { .a = a, .v = v, .d = d, .text = buf_in(a) };
    Pretok pretok;
    int n_expr = 0;

    h.flags = (v->add_bos ? NAME_TOK_ADD_BOS : 0u) | (v->add_eos ? NAME_TOK_ADD_EOS : 0u);
    while (n_expr < PRETOK_MAX_STEPS && v->pretok->expr[n_expr])
        n_expr++;
    if (v->compiled)
        pretok = *v->compiled;
    else if (!pretok_compile(a, d, v->pretok->expr, n_expr, &pretok))
        return false;

    alphabet(k.byte);
    k.cap = (uint32_t)v->n_token + 256 + 3 * (uint32_t)v->n_merge;     /* each merge makes at most three helpers */
    k.begin = ARENA_ARRAY(a, uint32_t, (size_t)k.cap + 1);
    k.spelled = ARENA_ARRAY(a, bool, v->n_token + 1);
    k.n_slot = k.cap / 2 * 3 + 16;
    k.slot = ARENA_ARRAY(a, uint32_t, k.n_slot);
    memset(k.slot, 0xff, k.n_slot * sizeof *k.slot);
    if (!add_tokens(&k) || !add_merges(&k))
        return false;
    h.n_symbol = k.n;

    buf_put(out, &h, sizeof h);                             /* once more at the end, when it is known */
    h.text_off = begin_part(out, 16);
    buf_put(out, k.text.p, k.text.n);
    h.begin_off = begin_part(out, 4);
    buf_put(out, k.begin, ((size_t)k.n + 1) * 4);
    h.kind_off = begin_part(out, 4);
    for (int i = 0; i < v->n_token; i++) {
        int kind = v->type[i] == TOKEN_control || v->type[i] == TOKEN_unknown ? NAME_TOK_CONTROL
                 : v->type[i] == TOKEN_user ? NAME_TOK_USER : 0;
        buf_putc(out, (char)(kind | (v->is_end[i] ? NAME_TOK_END : 0)));
    }
    h.byte_off = begin_part(out, 4);
    buf_put(out, k.of_byte, sizeof k.of_byte);
    h.merge_off = begin_part(out, 16);
    h.n_merge_slot = k.n_merge_slot;
    buf_put(out, k.merge, (size_t)k.n_merge_slot * sizeof *k.merge);
    put_words(&k, &h, out);
    put_specials(&k, &h, out);

    h.page_off = begin_part(out, 4);
    buf_put(out, pretok.page, PRETOK_PAGES * sizeof *pretok.page);
    h.class_off = begin_part(out, 4);
    h.n_page = (uint32_t)pretok.n_page;
    h.n_class = (uint32_t)pretok.n_class;
    buf_put(out, pretok.class_of, (size_t)pretok.n_page * 256);
    h.n_step = (uint32_t)pretok.n_step;
    for (int i = 0; i < pretok.n_step; i++) {
        const PretokDfa *f = &pretok.step[i];

        h.step[i].off = begin_part(out, 4);
        h.step[i].n_state = (uint32_t)f->n_state;
        buf_put(out, f->next, (size_t)f->n_state * (size_t)(pretok.n_class + 1) * sizeof *f->next);
    }
    if (chat->known) {
        h.chat = 1;
        h.chat_system = put_text(out, chat->system);
        h.chat_head = put_text(out, chat->head);
        h.chat_mid = put_text(out, chat->mid);
        h.chat_tail = put_text(out, chat->tail);
        h.chat_gen = put_text(out, chat->gen);
    }
    begin_part(out, 16);
    if (out->n > UINT32_MAX / 2)
        return fail(d, AT_WHAT(v->file, "tokenizer"), "its tables have more than 2 GiB");
    h.bytes = (uint32_t)out->n;
    memcpy(out->p, &h, sizeof h);
    return true;
}
