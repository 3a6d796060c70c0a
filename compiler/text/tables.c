/* Symbols and merges -> the tables of runtime/text/tokenizer.h.
 *
 * The table of words holds every token that its own text encodes to, found by encoding each (all tokens, where the pre-tokenizer
 * says that whole words go before merges): most words of a text are then one lookup. */
#include "compiler/text/tables.h"

#include <assert.h>
#include <stdlib.h>

/* ---- symbols ------------------------------------------------------------------------------------------------------ */

void maker_begin(Maker *k, uint32_t cap)
{
    k->cap = cap;
    k->begin = ARENA_ARRAY(k->a, uint32_t, (size_t)cap + 1);
    k->mergeable = ARENA_ARRAY(k->a, bool, k->v->n_token + 1);
    k->n_slot = cap / 2 * 3 + 16;
    k->slot = ARENA_ARRAY(k->a, uint32_t, k->n_slot);
    memset(k->slot, 0xff, k->n_slot * sizeof *k->slot);
}

const uint8_t *symbol_text(const Maker *k, uint32_t id, uint32_t *n)
{
    *n = k->begin[id + 1] - k->begin[id];
    return (const uint8_t *)k->text.p + k->begin[id];
}

uint32_t *symbol_slot(const Maker *k, const uint8_t *p, uint32_t n)
{
    uint32_t i = NAME_tok_slot(NAME_tok_hash_text(false, p, n), k->n_slot);

    for (; k->slot[i] != NAME_TOK_NONE; i = i + 1 < k->n_slot ? i + 1 : 0) {
        uint32_t n_text;
        const uint8_t *text = symbol_text(k, k->slot[i], &n_text);

        if (n_text == n && !memcmp(text, p, n))
            break;
    }
    return &k->slot[i];
}

uint32_t symbol_new(Maker *k, const uint8_t *p, uint32_t n)
{
    assert(k->n < k->cap);
    buf_put(&k->text, p, n);
    k->begin[k->n + 1] = (uint32_t)k->text.n;
    return k->n++;
}

uint32_t symbol_of(Maker *k, const uint8_t *p, uint32_t n)
{
    uint32_t *s = symbol_slot(k, p, n);

    if (*s == NAME_TOK_NONE)
        *s = symbol_new(k, p, n);
    return *s;
}

bool symbol_add_token(Maker *k, int i, const uint8_t *p, uint32_t n)
{
    const Vocab *v = k->v;
    uint32_t *s = symbol_slot(k, p, n);

    assert(k->n == (uint32_t)i);
    symbol_new(k, p, n);
    k->mergeable[i] = true;
    if (*s == NAME_TOK_NONE)
        *s = (uint32_t)i;
    else if (v->type[i] != TOKEN_unused && v->type[*s] != TOKEN_unused)
        return fail(k->d, maker_at(k, KEY_TOKENS, i), "the same text as token %" PRIu32 " (\"%s\"); a tokenizer cannot tell them "
                    "apart (mark one as unused, type 5)", *s, str_show(k->a, v->token[i], 40));
    return true;
}

Loc maker_at(const Maker *k, const char *key, int index)
{
    return AT_WHAT(k->v->file, str_printf(k->a, "key '%s', index %d", key, index));
}

/* ---- merges ------------------------------------------------------------------------------------------------------- */

void merges_begin(Maker *k, uint32_t n)
{
    k->n_merge_slot = n / 3 * 4 + 4;
    k->merge = ARENA_ARRAY(k->a, NAME_TokMerge, k->n_merge_slot);
    for (uint32_t i = 0; i < k->n_merge_slot; i++)
        k->merge[i].rank = NAME_TOK_NONE;
}

NAME_TokMerge *merge_slot(const Maker *k, uint32_t left, uint32_t right)
{
    uint32_t i = NAME_tok_slot(NAME_tok_hash_pair(left, right), k->n_merge_slot);

    while (k->merge[i].rank != NAME_TOK_NONE && (k->merge[i].left != left || k->merge[i].right != right))
        i = i + 1 < k->n_merge_slot ? i + 1 : 0;
    return &k->merge[i];
}

/* Whether merging the bytes of a token gives the token.  sym and rank have room for them. */
static bool encodes_to_itself(const Maker *k, uint32_t id, uint32_t *sym, uint32_t *rank)
{
    uint32_t n;
    const uint8_t *p = symbol_text(k, id, &n);

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

static void put_words(const Maker *k, NAME_TokHeader *h, Buf *out)
{
    const Vocab *v = k->v;
    uint32_t *sym = ARENA_ARRAY(k->a, uint32_t, MAX_WORD_BYTES), *rank = ARENA_ARRAY(k->a, uint32_t, MAX_WORD_BYTES);
    uint32_t *word = ARENA_ARRAY(k->a, uint32_t, v->n_token + 1), n_word = 0;

    for (uint32_t i = 0; i < h->n_vocab; i++) {
        uint32_t n;
        const uint8_t *p = symbol_text(k, i, &n);

        if (!k->mergeable[i] || !n || n > MAX_WORD_BYTES || v->type[i] == TOKEN_control || v->type[i] == TOKEN_unknown ||
            *symbol_slot(k, p, n) != i)
            continue;
        if ((v->pretok && v->pretok->whole_words) || encodes_to_itself(k, i, sym, rank)) {
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
        const uint8_t *p = symbol_text(k, word[j], &n);
        uint32_t i = NAME_tok_slot(NAME_tok_hash_text(false, p, n), h->n_word_slot);

        while (slot[i] != NAME_TOK_NONE)
            i = i + 1 < h->n_word_slot ? i + 1 : 0;
        slot[i] = word[j];
    }
    buf_put(out, slot, h->n_word_slot * sizeof *slot);
}

/* qsort has no context, so a special token is sorted with its text. */
typedef struct { Str text; uint32_t id; } Special;

static int by_text(const void *pa, const void *pb)
{
    const Special *a = pa, *b = pb;
    int order = memcmp(a->text.p, b->text.p, a->text.n < b->text.n ? a->text.n : b->text.n);

    if (order)
        return order;
    if (a->text.n != b->text.n)
        return a->text.n < b->text.n ? -1 : 1;
    return a->id > b->id ? -1 : 1;                          /* of equal ones the last in this order is found */
}

static void put_specials(const Maker *k, NAME_TokHeader *h, Buf *out)
{
    const Vocab *v = k->v;
    Special *s = ARENA_ARRAY(k->a, Special, v->n_token + 1);
    uint32_t first[257] = { 0 };

    for (int i = 0; i < v->n_token; i++)
        if (v->token[i].n && (v->type[i] == TOKEN_control || v->type[i] == TOKEN_user || v->type[i] == TOKEN_unknown))
            s[h->n_special++] = (Special){ v->token[i], (uint32_t)i };
    qsort(s, h->n_special, sizeof *s, by_text);
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

/* The automata that cut text into words. */
static bool put_automata(const Maker *k, NAME_TokHeader *h, Buf *out)
{
    const Vocab *v = k->v;
    Pretok pretok;
    int n_expr = 0;

    while (n_expr < PRETOK_MAX_STEPS && v->pretok->expr[n_expr])
        n_expr++;
    if (v->compiled)
        pretok = *v->compiled;
    else if (!pretok_compile(k->a, k->d, v->pretok->expr, n_expr, &pretok))
        return false;
    h->page_off = begin_part(out, 4);
    buf_put(out, pretok.page, PRETOK_PAGES * sizeof *pretok.page);
    h->class_off = begin_part(out, 4);
    h->n_page = (uint32_t)pretok.n_page;
    h->n_class = (uint32_t)pretok.n_class;
    buf_put(out, pretok.class_of, (size_t)pretok.n_page * 256);
    h->n_step = (uint32_t)pretok.n_step;
    for (int i = 0; i < pretok.n_step; i++) {
        const PretokDfa *f = &pretok.step[i];

        h->step[i].off = begin_part(out, 4);
        h->step[i].n_state = (uint32_t)f->n_state;
        buf_put(out, f->next, (size_t)f->n_state * (size_t)(pretok.n_class + 1) * sizeof *f->next);
    }
    return true;
}

static void put_kinds(const Vocab *v, Buf *out)
{
    for (int i = 0; i < v->n_token; i++) {
        int kind = v->type[i] == TOKEN_control || v->type[i] == TOKEN_unknown ? NAME_TOK_CONTROL
                 : v->type[i] == TOKEN_user ? NAME_TOK_USER : 0;
        kind |= v->is_end[i] ? NAME_TOK_END : 0;
        kind |= v->strips && v->strips[i] ? NAME_TOK_STRIP : 0;
        buf_putc(out, (char)kind);
    }
}

static void put_chat(Arena *a, const ChatTemplate *chat, NAME_TokHeader *h, Buf *out)
{
    NAME_TokText *text = ARENA_ARRAY(a, NAME_TokText, chat->n_text + 1);

    for (uint32_t i = 0; i < chat->n_text; i++) {
        text[i] = (NAME_TokText){ (uint32_t)out->n, (uint32_t)chat->text[i].n };
        buf_put(out, chat->text[i].p, chat->text[i].n);
    }
    h->chat_text_off = begin_part(out, 4);
    h->n_chat_text = chat->n_text;
    buf_put(out, text, chat->n_text * sizeof *text);
    h->chat_code_off = begin_part(out, 4);
    h->n_chat_code = chat->n_code;
    buf_put(out, chat->code, chat->n_code * sizeof *chat->code);
}

bool text_tables(const Vocab *v, const ChatTemplate *chat, Arena *a, Diag *d, Buf *out)
{
    NAME_TokHeader h = { .magic = NAME_TOK_MAGIC, .version = NAME_TOK_VERSION, .n_vocab = (uint32_t)v->n_token,
                         .tokenizer = v->kind == VOCAB_spm ? NAME_TOK_SPM : NAME_TOK_BPE, .bos = v->bos, .eos = v->eos };
    Maker *k = ARENA_NEW(a, Maker);

    k->a = a;
    k->v = v;
    k->d = d;
    k->text = buf_in(a);
    h.flags = (v->add_bos ? NAME_TOK_ADD_BOS : 0u) | (v->add_eos ? NAME_TOK_ADD_EOS : 0u) |
              (v->add_space ? NAME_TOK_ADD_SPACE : 0u);
    if (!(v->kind == VOCAB_spm ? spm_symbols(k) : bpe_symbols(k)))
        return false;
    h.n_symbol = k->n;

    buf_put(out, &h, sizeof h);                             /* once more at the end, when it is known */
    h.text_off = begin_part(out, 16);
    buf_put(out, k->text.p, k->text.n);
    h.begin_off = begin_part(out, 4);
    buf_put(out, k->begin, ((size_t)k->n + 1) * 4);
    h.kind_off = begin_part(out, 4);
    put_kinds(v, out);
    h.byte_off = begin_part(out, 4);
    buf_put(out, k->of_byte, sizeof k->of_byte);
    h.spell_off = begin_part(out, 4);
    buf_put(out, k->spell, sizeof k->spell);
    h.merge_off = begin_part(out, 16);
    h.n_merge_slot = k->n_merge_slot;
    buf_put(out, k->merge, (size_t)k->n_merge_slot * sizeof *k->merge);
    put_words(k, &h, out);
    put_specials(k, &h, out);
    if (v->kind == VOCAB_spm) {
        h.cut_off = begin_part(out, 4);
        buf_put(out, k->cut, sizeof k->cut);
    } else if (!put_automata(k, &h, out)) {
        return false;
    }
    if (chat->known)
        put_chat(a, chat, &h, out);
    begin_part(out, 16);
    if (out->n > UINT32_MAX / 2)
        return fail(d, AT_WHAT(v->file, "tokenizer"), "its tables have more than 2 GiB");
    h.bytes = (uint32_t)out->n;
    memcpy(out->p, &h, sizeof h);
    return true;
}
