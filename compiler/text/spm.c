/* SentencePiece's BPE: tokens and scores of the file -> symbols and merges [Kudo & Richardson 2018, arXiv:1808.06226].
 *
 * The original has no merges: of all neighbours whose joined text is a token, those with the best score join first, the leftmost
 * of equal ones.  So every way of cutting a token into two texts that can stand side by side is a merge, and its rank is the
 * score's place among all scores.  A text can stand there if it is a token or a single character.
 *
 *     "▁the"  =  ▁ + the  =  ▁t + he  =  ▁th + e          three merges with the rank of "▁the", if all six are tokens
 *
 * Characters of several bytes are made from bytes by merges of rank 0 (tokenizer.h); scores have the ranks from 1 on.  Tokens
 * write a space as U+2581; here it is a space again, so that a token's text is what it shows.  Control and unknown tokens have
 * names, not texts.  A byte token <0xE2> spells a byte that no symbol took.
 *
 * Where tokens are only used when they are found before merging (user-defined ones with a space in their text, as GGUF has
 * Gemma's runs of spaces), no merge makes them; this, and which tokens merge at all, follows llama.cpp. */
#include "compiler/text/tables.h"

#include <math.h>
#include <stdlib.h>

enum { MAX_PIECE = 4096 };                  /* bytes of a token that merges make; published ones have at most 48 */

/* Value of a byte token's text, -1: it is not one. */
static int byte_of(Str s)
{
    int v = 0;

    if (s.n != 6 || memcmp(s.p, "<0x", 3) || s.p[5] != '>')
        return -1;
    for (int i = 3; i < 5; i++) {
        char c = s.p[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;

        if (digit < 0)
            return -1;
        v = v * 16 + digit;
    }
    return v;
}

/* The text with U+2581 made a space; out has room for s.n bytes. */
static uint32_t unescape(Str s, uint8_t *out)
{
    uint32_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        bool mark = s.n - i >= 3 && !memcmp(s.p + i, "\xe2\x96\x81", 3);

        out[n++] = mark ? ' ' : (uint8_t)s.p[i];
        i += mark ? 2 : 0;
    }
    return n;
}

/* Bytes of the character at p; a byte that begins none counts as one. */
static uint32_t char_at(const uint8_t *p, uint32_t n)
{
    uint32_t c;
    int len = NAME_tok_char(p, n, &c);

    return len < 1 ? 1 : (uint32_t)len;
}

static bool add_tokens(Maker *k)
{
    const Vocab *v = k->v;
    size_t longest = 0;
    bool ok = true;

    for (int i = 0; i < v->n_token; i++)
        longest = v->token[i].n > longest ? v->token[i].n : longest;
    uint8_t *buf = arena_alloc(k->a, longest + 1, 1);
    for (int i = 0; i < v->n_token; i++) {
        Str s = v->token[i];
        int byte = v->type[i] == TOKEN_byte || !v->has_types ? byte_of(s) : -1;

        if (v->type[i] == TOKEN_byte && byte < 0)
            ok = fail(k->d, maker_at(k, KEY_TOKENS, i), "\"%s\" is not a byte token (<0x00> to <0xFF>)", str_show(k->a, s, 40));
        if (byte >= 0) {
            uint8_t c = (uint8_t)byte;

            if (k->spell[c] != NAME_TOK_NONE)
                ok = fail(k->d, maker_at(k, KEY_TOKENS, i), "\"%s\" is already token %" PRIu32, str_show(k->a, s, 40), k->spell[c]);
            k->spell[c] = symbol_new(k, &c, 1);
        } else if (v->type[i] == TOKEN_control || v->type[i] == TOKEN_unknown || v->type[i] == TOKEN_byte) {
            symbol_new(k, (const uint8_t *)s.p, (uint32_t)s.n);
        } else if (!s.n || memchr(s.p, ' ', s.n)) {
            symbol_new(k, buf, unescape(s, buf));
        } else {
            if (s.n > MAX_PIECE)
                ok = fail(k->d, maker_at(k, KEY_TOKENS, i), "a token of %zu bytes (merges can make at most %d)", s.n, MAX_PIECE);
            ok &= symbol_add_token(k, i, buf, unescape(s, buf));
        }
    }
    return ok;
}

/* What a text without a token becomes: byte tokens where they are, else the unknown token, once for each character. */
static void fill_bytes(Maker *k)
{
    for (int b = 0; b < 256; b++) {
        uint8_t c = (uint8_t)b;

        k->of_byte[b] = symbol_of(k, &c, 1);
        if (k->spell[b] == NAME_TOK_NONE && k->v->unk >= 0 && (b & 0xc0) != 0x80)
            k->spell[b] = (uint32_t)k->v->unk;
    }
}

/* ---- ranks -------------------------------------------------------------------------------------------------------- */

static int by_score(const void *pa, const void *pb)
{
    float a = *(const float *)pa, b = *(const float *)pb;

    return a > b ? -1 : a < b;
}

/* rank[i] of token i: 1 for the best score of all, the same for equal ones. */
static bool rank_scores(const Maker *k, uint32_t *rank)
{
    int n = k->v->n_token, n_kept = 0;
    float *sorted = ARENA_ARRAY(k->a, float, n);
    bool ok = true;

    for (int i = 0; i < n; i++) {
        float s = k->v->score[i];

        if (!isfinite(s))
            ok = fail(k->d, maker_at(k, KEY_SCORES, i), "the score of token \"%s\" is not a finite number",
                      str_show(k->a, k->v->token[i], 40));
        else if (k->mergeable[i])
            sorted[n_kept++] = s;
    }
    if (!ok)
        return false;
    qsort(sorted, (size_t)n_kept, sizeof *sorted, by_score);
    int n_rank = 0;
    for (int i = 0; i < n_kept; i++)
        if (!i || sorted[i] != sorted[n_rank - 1])
            sorted[n_rank++] = sorted[i];
    for (int i = 0; i < n; i++) {
        const float *at = k->mergeable[i] ? bsearch(&k->v->score[i], sorted, (size_t)n_rank, sizeof *sorted, by_score) : NULL;

        rank[i] = at ? (uint32_t)(at - sorted) + 1 : NAME_TOK_NONE;
    }
    return true;
}

/* ---- merges ------------------------------------------------------------------------------------------------------- */

/* The symbol of a character, and the merges that make it of its bytes. */
static void add_char(Maker *k, const uint8_t *p, uint32_t n, Buf *merges)
{
    uint32_t left = k->of_byte[p[0]];

    for (uint32_t i = 2; i <= n; i++) {                     /* those with the same first bytes are made more than once */
        NAME_TokMerge m = { left, k->of_byte[p[i - 1]], 0, symbol_of(k, p, i) };

        left = m.result;
        buf_put(merges, &m, sizeof m);
    }
}

static void add_merges_of(Maker *k, uint32_t id, uint32_t rank, Buf *merges)
{
    uint32_t n;
    const uint8_t *p = symbol_text(k, id, &n);

    for (uint32_t at = char_at(p, n); at < n; at += char_at(p + at, n - at)) {
        uint32_t left = *symbol_slot(k, p, at), right;

        k->cut[(uint32_t)p[at - 1] << 3 | p[at] >> 5] |= 1u << (p[at] & 31);
        if (left == NAME_TOK_NONE || (right = *symbol_slot(k, p + at, n - at)) == NAME_TOK_NONE)
            continue;
        NAME_TokMerge m = { left, right, rank, id };
        buf_put(merges, &m, sizeof m);
    }
}

static bool is_first_of_its_text(const Maker *k, int i)
{
    uint32_t n;
    const uint8_t *p = symbol_text(k, (uint32_t)i, &n);

    return k->mergeable[i] && *symbol_slot(k, p, n) == (uint32_t)i;
}

bool spm_symbols(Maker *k)
{
    const Vocab *v = k->v;
    Buf merges = buf_in(k->a);
    size_t n_chars = 0;

    for (int i = 0; i < v->n_token; i++)                    /* bytes that begin a character of several: too many at worst */
        for (size_t j = 0; j < v->token[i].n; j++)
            n_chars += (uint8_t)v->token[i].p[j] >= 0xc0;
    n_chars = n_chars < 0x110000 ? n_chars : 0x110000;
    memset(k->spell, 0xff, sizeof k->spell);
    maker_begin(k, (uint32_t)v->n_token + 256 + 3 * (uint32_t)n_chars);
    uint32_t *rank = ARENA_ARRAY(k->a, uint32_t, v->n_token);
    if (!add_tokens(k) || !rank_scores(k, rank))
        return false;
    fill_bytes(k);
    bool *seen = ARENA_ARRAY(k->a, bool, k->cap);           /* characters, by their symbols */
    for (int i = 0; i < v->n_token; i++) {
        uint8_t c[4];
        uint32_t n, len;

        if (!k->mergeable[i])
            continue;
        symbol_text(k, (uint32_t)i, &n);
        for (uint32_t at = 0; at < n; at += len) {
            const uint8_t *p = symbol_text(k, (uint32_t)i, &n) + at;    /* moves when symbols are made */

            len = char_at(p, n - at);
            if (len == 1)
                continue;
            memcpy(c, p, len);
            uint32_t s = symbol_of(k, c, len);
            if (!seen[s])
                add_char(k, c, len, &merges);
            seen[s] = true;
        }
    }
    for (int i = 0; i < v->n_token; i++)
        if (is_first_of_its_text(k, i))
            add_merges_of(k, (uint32_t)i, rank[i], &merges);
    if (k->text.n > UINT32_MAX / 2 || merges.n / sizeof(NAME_TokMerge) > (UINT32_MAX >> 7))
        return fail(k->d, AT_WHAT(v->file, "tokenizer"), "its tables would have more than 2 GiB");
    uint32_t n_merge = (uint32_t)(merges.n / sizeof(NAME_TokMerge));
    merges_begin(k, n_merge);
    for (uint32_t i = 0; i < n_merge; i++) {
        NAME_TokMerge m, *slot;

        memcpy(&m, merges.p + i * sizeof m, sizeof m);
        slot = merge_slot(k, m.left, m.right);
        if (slot->rank == NAME_TOK_NONE || m.rank < slot->rank)
            *slot = m;
    }
    return true;
}
