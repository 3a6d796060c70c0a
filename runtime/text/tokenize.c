/* Text to tokens and back, with the tables described in tokenizer.h.
 *
 *     text --special tokens--> stretches --automata--> words --merges--> tokens
 *
 * Special tokens are found from left to right, the longest at each place.  A stretch between them is cut into words by the
 * pre-tokenizer's expressions, compiled to automata over classes of code points.  A word is looked up as a whole; if it is not
 * one token, its bytes are merged: of all neighbours that have a merge the lowest rank goes first, the leftmost of equal ones.
 *
 * Long words.  The ids that the caller gives are the only memory, so a word is merged in windows on the stack.  Why that gives
 * the same tokens: let BPE(ab) = a b hold for each pair of neighbours in a sequence of tokens.  Suppose that merging the whole
 * text ever crossed one of their borders, and look at the first time.  Until then the two tokens at that border were merged as
 * they would have been alone, so the same merge would cross it in BPE(ab), which it does not.  Hence the sequence is the
 * encoding of the whole text; and neighbours inside an encoding always form such pairs.  So: encode a window, keep its tokens up
 * to a border, encode the next window from that border on, and check the one new pair (it is known to hold if the first token is
 * the one that followed before).  If no border fits, begin the word anew with a larger window, and at last merge all
 * of it in place, slowly. */
#include "runtime/text/text.h"

#include "runtime/text/tokenizer.h"

#include <string.h>

#ifndef NAME_TOK_WINDOW                     /* tests use smaller ones */
#define NAME_TOK_WINDOW 256                 /* bytes; twice the longest token (128 in Llama 3) finds a border nearly always */
#define NAME_TOK_WINDOW_MAX 1024
#endif
enum { TOK_WINDOW = NAME_TOK_WINDOW, TOK_WINDOW_MAX = NAME_TOK_WINDOW_MAX };

typedef struct {
    const uint8_t *t;               /* the blob */
    const NAME_TokHeader *h;
    int32_t *ids;
    size_t cap, n;
    NAME_Status status;
} TokOut;

/* ---- the tables --------------------------------------------------------------------------------------------------- */

static bool tok_inside(const NAME_TokHeader *h, uint32_t off, uint64_t n, uint64_t size)
{
    return off % 4 == 0 && off >= sizeof *h && off <= h->bytes && n * size <= h->bytes - off;
}

static bool tok_text_inside(const NAME_TokHeader *h, NAME_TokText x)
{
    return x.off <= h->bytes && x.n <= h->bytes - x.off;
}

bool NAME_tok_check(const void *p, size_t n_bytes)
{
    const NAME_TokHeader *h = p;

    if (!p || (uintptr_t)p % 16 || n_bytes < sizeof *h)
        return false;
    if (h->magic != NAME_TOK_MAGIC || h->version != NAME_TOK_VERSION || h->bytes > n_bytes || h->bytes < sizeof *h)
        return false;
    if (!h->n_vocab || h->n_vocab > h->n_symbol || h->n_symbol > 0x7fffffffu || !h->n_class || h->n_class > 256)
        return false;
    if (h->bos < -1 || h->bos >= (int64_t)h->n_vocab || h->eos < -1 || h->eos >= (int64_t)h->n_vocab)
        return false;
    if (!h->n_merge_slot || !h->n_word_slot || !h->n_page || h->n_step > NAME_TOK_MAX_STEPS)
        return false;
    if (!tok_inside(h, h->begin_off, (uint64_t)h->n_symbol + 1, 4) || !tok_inside(h, h->kind_off, h->n_vocab, 1) ||
        !tok_inside(h, h->byte_off, 256, 4) || !tok_inside(h, h->merge_off, h->n_merge_slot, sizeof(NAME_TokMerge)) ||
        !tok_inside(h, h->word_off, h->n_word_slot, 4) || !tok_inside(h, h->special_off, h->n_special, 4) ||
        !tok_inside(h, h->first_off, 257, 4) || !tok_inside(h, h->page_off, NAME_TOK_PAGES, 2) ||
        !tok_inside(h, h->class_off, h->n_page, 256) || !tok_inside(h, h->text_off, 0, 1))
        return false;
    for (uint32_t i = 0; i < h->n_step; i++)
        if (!h->step[i].n_state || !tok_inside(h, h->step[i].off, (uint64_t)h->step[i].n_state * (h->n_class + 1), 2))
            return false;
    return tok_text_inside(h, h->chat_system) && tok_text_inside(h, h->chat_head) && tok_text_inside(h, h->chat_mid) &&
           tok_text_inside(h, h->chat_tail) && tok_text_inside(h, h->chat_gen);
}

const NAME_TokHeader *NAME_tok_tables(const NAME_Model *m)
{
    uint64_t bytes = 0;
    const uint8_t *p = m && m->w ? NAME_section(m, "tok", &bytes) : NULL;

    return p && bytes <= SIZE_MAX && NAME_tok_check(p, (size_t)bytes) ? (const void *)p : NULL;
}

bool NAME_has_text(const NAME_Model *m) { return NAME_tok_tables(m) != NULL; }

static const uint32_t *tok_u32(const uint8_t *t, uint32_t off)
{
    return (const uint32_t *)(const void *)(t + off);
}

static const uint8_t *tok_text(const uint8_t *t, uint32_t id, uint32_t *n)
{
    const NAME_TokHeader *h = (const void *)t;
    const uint32_t *begin = tok_u32(t, h->begin_off) + id;

    *n = begin[1] - begin[0];
    return t + h->text_off + begin[0];
}

/* The merge of two symbols, NULL: they have none. */
static const NAME_TokMerge *tok_merge(const uint8_t *t, uint32_t left, uint32_t right)
{
    const NAME_TokHeader *h = (const void *)t;
    const NAME_TokMerge *slot = (const void *)(t + h->merge_off);

    for (uint32_t i = NAME_tok_slot(NAME_tok_hash_pair(left, right), h->n_merge_slot);; i = i + 1 < h->n_merge_slot ? i + 1 : 0) {
        if (slot[i].rank == NAME_TOK_NONE)
            return NULL;
        if (slot[i].left == left && slot[i].right == right)
            return slot + i;
    }
}

static uint32_t tok_rank(const uint8_t *t, uint32_t left, uint32_t right)
{
    const NAME_TokMerge *m = tok_merge(t, left, right);

    return m ? m->rank : NAME_TOK_NONE;
}

/* The token whose text is the whole word, NAME_TOK_NONE: none is. */
static uint32_t tok_word(const uint8_t *t, const uint8_t *p, uint32_t n)
{
    const NAME_TokHeader *h = (const void *)t;
    const uint32_t *slot = tok_u32(t, h->word_off);

    for (uint32_t i = NAME_tok_slot(NAME_tok_hash_bytes(p, n), h->n_word_slot);; i = i + 1 < h->n_word_slot ? i + 1 : 0) {
        uint32_t n_text;

        if (slot[i] == NAME_TOK_NONE)
            return NAME_TOK_NONE;
        const uint8_t *text = tok_text(t, slot[i], &n_text);
        if (n_text == n && !memcmp(text, p, n))
            return slot[i];
    }
}

/* ---- merging ------------------------------------------------------------------------------------------------------ */

static void tok_put(TokOut *o, uint32_t id)
{
    if (o->n < o->cap)
        o->ids[o->n++] = (int32_t)id;
    else
        o->status = NAME_E_TEXT;
}

static void tok_put_symbol(TokOut *o, uint32_t sym)
{
    if (sym < o->h->n_vocab) {
        tok_put(o, sym);
        return;
    }
    uint32_t n;
    const uint8_t *p = tok_text(o->t, sym, &n);
    const uint32_t *of_byte = tok_u32(o->t, o->h->byte_off);
    for (uint32_t i = 0; i < n; i++)
        if (of_byte[p[i]] < o->h->n_vocab)
            tok_put(o, of_byte[p[i]]);
}

/* BPE of n <= TOK_WINDOW_MAX bytes; returns the number of symbols. */
static int tok_encode(const uint8_t *t, const uint8_t *p, int n, uint32_t *sym)
{
    const uint32_t *of_byte = tok_u32(t, ((const NAME_TokHeader *)(const void *)t)->byte_off);
    uint32_t rank[TOK_WINDOW_MAX];              /* rank[i]: of the pair sym[i], sym[i + 1] */

    for (int i = 0; i < n; i++)
        sym[i] = of_byte[p[i]];
    for (int i = 0; i + 1 < n; i++)
        rank[i] = tok_rank(t, sym[i], sym[i + 1]);
    for (;;) {
        uint32_t best = NAME_TOK_NONE;
        int at = 0;

        for (int i = 0; i + 1 < n; i++)
            if (rank[i] < best)
                best = rank[i], at = i;
        if (best == NAME_TOK_NONE)
            return n;
        sym[at] = tok_merge(t, sym[at], sym[at + 1])->result;
        n--;
        memmove(sym + at + 1, sym + at + 2, (size_t)(n - at - 1) * sizeof *sym);
        if (at + 1 < n) {
            memmove(rank + at + 1, rank + at + 2, (size_t)(n - at - 2) * sizeof *rank);
            rank[at] = tok_rank(t, sym[at], sym[at + 1]);
        }
        if (at > 0)
            rank[at - 1] = tok_rank(t, sym[at - 1], sym[at]);
    }
}

/* Whether two neighbouring symbols stay apart when their bytes are merged together. */
static bool tok_pair_holds(const uint8_t *t, const uint8_t *p, uint32_t a, uint32_t b)
{
    uint32_t sym[TOK_WINDOW_MAX], n_a, n_b;

    tok_text(t, a, &n_a);
    tok_text(t, b, &n_b);
    return n_a + n_b <= TOK_WINDOW_MAX && tok_encode(t, p, (int)(n_a + n_b), sym) == 2 && sym[0] == a && sym[1] == b;
}

/* BPE of any number of bytes in the free part of ids, pass by pass: each pass merges every pair of the lowest rank there is.  It
 * ends early where a merge makes a pair of a still lower rank possible. */
static void tok_encode_slowly(TokOut *o, const uint8_t *p, size_t n)
{
    const uint8_t *t = o->t;
    const uint32_t *of_byte = tok_u32(t, o->h->byte_off);
    int32_t *sym = o->ids + o->n;

    if (n > o->cap - o->n) {
        o->status = NAME_E_TEXT;
        return;
    }
    for (size_t i = 0; i < n; i++)
        sym[i] = (int32_t)of_byte[p[i]];
    for (;;) {
        uint32_t lowest = NAME_TOK_NONE;

        for (size_t i = 0; i + 1 < n; i++) {
            uint32_t r = tok_rank(t, (uint32_t)sym[i], (uint32_t)sym[i + 1]);
            lowest = r < lowest ? r : lowest;
        }
        if (lowest == NAME_TOK_NONE)
            break;
        size_t to = 0;
        bool merging = true;
        for (size_t i = 0; i < n;) {
            const NAME_TokMerge *m = merging && i + 1 < n ? tok_merge(t, (uint32_t)sym[i], (uint32_t)sym[i + 1]) : NULL;

            if (!m || m->rank != lowest) {
                sym[to++] = sym[i++];
                continue;
            }
            sym[to++] = (int32_t)m->result;
            i += 2;
            merging = !(to > 1 && tok_rank(t, (uint32_t)sym[to - 2], m->result) < lowest) &&
                      !(i < n && tok_rank(t, m->result, (uint32_t)sym[i]) < lowest);
        }
        n = to;
    }
    /* Symbols become tokens in place: a helper becomes several, so the symbols first move to the end.  They are not
     * overtaken, as no symbol gives more tokens than it has bytes. */
    int32_t *from = o->ids + o->cap - n;
    memmove(from, sym, n * sizeof *sym);
    for (size_t i = 0; i < n; i++)
        tok_put_symbol(o, (uint32_t)from[i]);
}

/* BPE of a word by windows of so many bytes; false: no border fits, and nothing was put. */
static bool tok_encode_by_windows(TokOut *o, const uint8_t *p, size_t n, int window)
{
    const uint8_t *t = o->t;
    uint32_t sym[TOK_WINDOW_MAX], next[TOK_WINDOW_MAX], n_text;
    size_t n_before = o->n;
    int n_sym = tok_encode(t, p, n < (size_t)window ? (int)n : window, sym);

    while (n > (size_t)window) {
        int kept = 0, kept_bytes = 0, n_next = 0, tries = 0;

        for (int at = 0; kept < n_sym; kept++, kept_bytes = at) {   /* to the last border in the first three quarters */
            tok_text(t, sym[kept], &n_text);
            at += (int)n_text;
            if (at > window / 4 * 3)
                break;
        }
        for (;; tries++) {
            if (kept == 0 || tries == 4) {
                o->n = n_before;
                return false;
            }
            const uint8_t *q = p + kept_bytes;
            size_t left = n - (size_t)kept_bytes;

            n_next = tok_encode(t, q, left < (size_t)window ? (int)left : window, next);
            tok_text(t, sym[kept - 1], &n_text);
            if (next[0] == sym[kept] || tok_pair_holds(t, q - n_text, sym[kept - 1], next[0]))
                break;
            for (int drop = kept / 4 + 1; kept > 0 && drop > 0; drop--) {
                tok_text(t, sym[--kept], &n_text);
                kept_bytes -= (int)n_text;
            }
        }
        for (int i = 0; i < kept; i++)
            tok_put_symbol(o, sym[i]);
        p += kept_bytes;
        n -= (size_t)kept_bytes;
        memcpy(sym, next, (size_t)n_next * sizeof *sym);
        n_sym = n_next;
    }
    for (int i = 0; i < n_sym; i++)
        tok_put_symbol(o, sym[i]);
    return true;
}

/* One word. */
static void tok_put_word(TokOut *o, const uint8_t *p, size_t n)
{
    if (n <= o->h->max_word_bytes) {
        uint32_t id = tok_word(o->t, p, (uint32_t)n);

        if (id != NAME_TOK_NONE) {
            tok_put(o, id);
            return;
        }
    }
    for (int window = TOK_WINDOW; window <= TOK_WINDOW_MAX; window *= 2)
        if (tok_encode_by_windows(o, p, n, window))
            return;
    tok_encode_slowly(o, p, n);
}

/* ---- words -------------------------------------------------------------------------------------------------------- */

/* Bytes of the character at p, 1 <= n there; *c is its code point.  0: what is there can not begin a character; -1: it can, but
 * needs bytes after the end. */
static int tok_char(const uint8_t *p, size_t n, uint32_t *c)
{
    uint32_t b = p[0];
    int len = b < 0x80 ? 1 : b < 0xc2 ? 0 : b < 0xe0 ? 2 : b < 0xf0 ? 3 : b < 0xf5 ? 4 : 0;

    *c = len == 1 ? b : b & (0x7fu >> len);
    for (int i = 1; i < len; i++) {
        /* No overlong forms, surrogates or numbers beyond U+10FFFF: the second byte tells. */
        uint32_t lo = i > 1 ? 0x80 : b == 0xe0 ? 0xa0 : b == 0xf0 ? 0x90 : 0x80;
        uint32_t hi = i > 1 ? 0xbf : b == 0xed ? 0x9f : b == 0xf4 ? 0x8f : 0xbf;

        if ((size_t)i >= n)
            return -1;
        if (p[i] < lo || p[i] > hi)
            return 0;
        *c = *c << 6 | (p[i] & 0x3fu);
    }
    return len;
}

static uint32_t tok_class(const TokOut *o, const uint8_t *p, size_t n, int *len)
{
    const uint16_t *page = (const void *)(o->t + o->h->page_off);
    uint32_t c;

    *len = tok_char(p, n, &c);
    if (*len <= 0) {
        *len = 1;
        c = 0xfffd;
    }
    return (o->t + o->h->class_off)[page[c >> 8] * 256u + (c & 255)];
}

/* Bytes of the match of an automaton that begins at p, 0: none. */
static size_t tok_match(const TokOut *o, NAME_TokStep step, const uint8_t *p, size_t n)
{
    const uint16_t *next = (const void *)(o->t + step.off);
    uint32_t n_column = o->h->n_class + 1, state = 0;
    size_t at = 0, best = 0;

    for (;;) {
        int len = 0;
        uint32_t column = at < n ? tok_class(o, p + at, n - at, &len) : o->h->n_class;
        uint32_t e = next[state * n_column + column];

        if (e & NAME_TOK_ACCEPT)
            best = at;
        state = e & NAME_TOK_DEAD;
        if (state == NAME_TOK_DEAD || at >= n)
            return best;
        at += (size_t)len;
    }
}

/* Matches of expression i and the gaps between them go to expression i + 1, pieces of the last one are words. */
static void tok_split(TokOut *o, uint32_t i, const uint8_t *p, size_t n)
{
    size_t gap = 0;

    if (i == o->h->n_step) {
        tok_put_word(o, p, n);
        return;
    }
    for (size_t at = 0; at < n && o->status == NAME_OK;) {
        size_t len = tok_match(o, o->h->step[i], p + at, n - at);
        int n_char;

        if (!len) {
            tok_class(o, p + at, n - at, &n_char);
            at += (size_t)n_char;
            continue;
        }
        if (at > gap)
            tok_split(o, i + 1, p + gap, at - gap);
        tok_split(o, i + 1, p + at, len);
        gap = at += len;
    }
    if (n > gap && o->status == NAME_OK)
        tok_split(o, i + 1, p + gap, n - gap);
}

/* ---- texts -------------------------------------------------------------------------------------------------------- */

/* The longest special token at p, NAME_TOK_NONE: none.  User-defined ones count always, control tokens only if asked for. */
static uint32_t tok_special(const TokOut *o, const uint8_t *p, size_t n, bool control, uint32_t *len)
{
    const uint32_t *first = tok_u32(o->t, o->h->first_off) + p[0];
    const uint32_t *special = tok_u32(o->t, o->h->special_off);
    const uint8_t *kind = o->t + o->h->kind_off;

    for (uint32_t i = first[0]; i < first[1]; i++) {
        const uint8_t *text = tok_text(o->t, special[i], len);

        if (*len <= n && (control || !(kind[special[i]] & NAME_TOK_CONTROL)) && !memcmp(text, p, *len))
            return special[i];
    }
    return NAME_TOK_NONE;
}

NAME_Status NAME_tokenize(const NAME_Model *m, const char *text, size_t n_bytes, int flags,
                          int32_t *ids, size_t cap, size_t *n_ids)
{
    const uint8_t *p = (const uint8_t *)text;
    const NAME_TokHeader *h = NAME_tok_tables(m);
    TokOut o = { .t = (const void *)h, .h = h, .ids = ids, .cap = cap };
    size_t gap = 0;

    if (!m || (!text && n_bytes) || (!ids && cap) || !n_ids)
        return NAME_E_ARG;
    *n_ids = 0;
    if (!h)
        return NAME_E_TEXT;
    if ((flags & NAME_TEXT_SPECIAL) && (h->flags & NAME_TOK_ADD_BOS) && h->bos >= 0)
        tok_put(&o, (uint32_t)h->bos);
    for (size_t at = 0; at < n_bytes && o.status == NAME_OK;) {
        uint32_t len, id = tok_special(&o, p + at, n_bytes - at, flags & NAME_TEXT_SPECIAL, &len);

        if (id == NAME_TOK_NONE) {
            at++;
            continue;
        }
        if (at > gap)
            tok_split(&o, 0, p + gap, at - gap);
        tok_put(&o, id);
        gap = at += len;
    }
    if (n_bytes > gap && o.status == NAME_OK)
        tok_split(&o, 0, p + gap, n_bytes - gap);
    if ((flags & NAME_TEXT_SPECIAL) && (h->flags & NAME_TOK_ADD_EOS) && h->eos >= 0)
        tok_put(&o, (uint32_t)h->eos);
    *n_ids = o.n;
    return o.status;
}

/* ---- tokens ------------------------------------------------------------------------------------------------------- */

NAME_Status NAME_piece(const NAME_Model *m, int32_t id, const char **p, size_t *n)
{
    const NAME_TokHeader *h = NAME_tok_tables(m);
    uint32_t n_text;

    if (!m || !p || !n)
        return NAME_E_ARG;
    if (!h)
        return NAME_E_TEXT;
    if (id < 0 || (uint32_t)id >= h->n_vocab)
        return NAME_E_ARG;
    *p = (const char *)tok_text((const void *)h, (uint32_t)id, &n_text);
    *n = n_text;
    return NAME_OK;
}

static int tok_kind(const NAME_Model *m, int32_t id)
{
    const NAME_TokHeader *h = NAME_tok_tables(m);

    return h && id >= 0 && (uint32_t)id < h->n_vocab ? ((const uint8_t *)h + h->kind_off)[id] : 0;
}

bool NAME_is_end(const NAME_Model *m, int32_t id) { return tok_kind(m, id) & NAME_TOK_END; }
bool NAME_is_control(const NAME_Model *m, int32_t id) { return tok_kind(m, id) & NAME_TOK_CONTROL; }

int32_t NAME_bos(const NAME_Model *m)
{
    const NAME_TokHeader *h = NAME_tok_tables(m);

    return h ? h->bos : -1;
}

int32_t NAME_eos(const NAME_Model *m)
{
    const NAME_TokHeader *h = NAME_tok_tables(m);

    return h ? h->eos : -1;
}

/* ---- whole characters --------------------------------------------------------------------------------------------- */

static size_t utf8_replacement(char *out)
{
    memcpy(out, "\xef\xbf\xbd", 3);
    return 3;
}

size_t NAME_utf8_push(NAME_Utf8 *u, const char *p, size_t n, char *out)
{
    size_t n_out = 0;

    for (size_t i = 0; i < n; i++) {
        u->b[u->n++] = (uint8_t)p[i];
        for (;;) {
            uint32_t c;
            int len = u->n ? tok_char(u->b, (size_t)u->n, &c) : -1;

            if (len < 0)
                break;                                      /* a character may still come of it */
            if (len > 0) {
                memcpy(out + n_out, u->b, (size_t)len);
                n_out += (size_t)len;
                u->n = 0;
                break;
            }
            /* What was kept before the last byte began a character that this byte does not continue: one U+FFFD for all of it
             * (Unicode 15, section 3.9, "maximal subparts"), and the byte begins anew. */
            n_out += utf8_replacement(out + n_out);
            u->b[0] = u->b[u->n - 1];
            u->n = u->n > 1;
        }
    }
    return n_out;
}

size_t NAME_utf8_end(NAME_Utf8 *u, char *out)
{
    bool begun = u->n > 0;

    u->n = 0;
    return begun ? utf8_replacement(out) : 0;
}
