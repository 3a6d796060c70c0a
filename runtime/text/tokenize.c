/* Text to tokens and back, with the tables described in tokenizer.h.
 *
 *     text --special tokens--> stretches --words_bpe.c or words_spm.c--> words --merges--> tokens
 *
 * Special tokens are found from left to right, the longest at each place.  A word is looked up as a whole; if it is not one
 * token, its symbols are merged: of all neighbours that have a merge the lowest rank goes first, the leftmost of equal ones.
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

#ifndef NAME_TOK_WINDOW                     /* tests use smaller ones */
#define NAME_TOK_WINDOW 256                 /* bytes; twice the longest token (128 in Llama 3) finds a border nearly always */
#define NAME_TOK_WINDOW_MAX 1024
#endif
/* A window has at most so many symbols: its bytes, and a space before them. */
enum { TOK_WINDOW = NAME_TOK_WINDOW, TOK_WINDOW_MAX = NAME_TOK_WINDOW_MAX, TOK_SYMBOLS = TOK_WINDOW_MAX + 1 };

/* ---- the tables --------------------------------------------------------------------------------------------------- */

static bool tok_inside(const NAME_TokHeader *h, uint32_t off, uint64_t n, uint64_t size)
{
    return off % 4 == 0 && off >= sizeof *h && off <= h->bytes && n * size <= h->bytes - off;
}

bool NAME_tok_check(const void *p, size_t n_bytes)
{
    const NAME_TokHeader *h = p;

    if (!p || (uintptr_t)p % 16 || n_bytes < sizeof *h)
        return false;
    if (h->magic != NAME_TOK_MAGIC || h->version != NAME_TOK_VERSION || h->bytes > n_bytes || h->bytes < sizeof *h)
        return false;
    if (!h->n_vocab || h->n_vocab > h->n_symbol || h->n_symbol > 0x7fffffffu || h->n_class > 256)
        return false;
    if (h->bos < -1 || h->bos >= (int64_t)h->n_vocab || h->eos < -1 || h->eos >= (int64_t)h->n_vocab)
        return false;
    if (!h->n_merge_slot || !h->n_word_slot || h->n_step > NAME_TOK_MAX_STEPS || h->tokenizer > NAME_TOK_SPM)
        return false;
    if (!tok_inside(h, h->begin_off, (uint64_t)h->n_symbol + 1, 4) || !tok_inside(h, h->kind_off, h->n_vocab, 1) ||
        !tok_inside(h, h->byte_off, 256, 4) || !tok_inside(h, h->spell_off, 256, 4) ||
        !tok_inside(h, h->merge_off, h->n_merge_slot, sizeof(NAME_TokMerge)) || !tok_inside(h, h->word_off, h->n_word_slot, 4) ||
        !tok_inside(h, h->special_off, h->n_special, 4) || !tok_inside(h, h->first_off, 257, 4) ||
        !tok_inside(h, h->text_off, 0, 1))
        return false;
    if (h->tokenizer == NAME_TOK_SPM ? !tok_inside(h, h->cut_off, 2048, 4)
                                     : !h->n_class || !h->n_page || !tok_inside(h, h->page_off, NAME_TOK_PAGES, 2) ||
                                       !tok_inside(h, h->class_off, h->n_page, 256))
        return false;
    for (uint32_t i = 0; i < h->n_step; i++)
        if (!h->step[i].n_state || !tok_inside(h, h->step[i].off, (uint64_t)h->step[i].n_state * (h->n_class + 1), 2))
            return false;
    if (h->n_chat_code && (!tok_inside(h, h->chat_code_off, h->n_chat_code, 4) ||
                           !tok_inside(h, h->chat_text_off, h->n_chat_text, sizeof(NAME_TokText))))
        return false;
    return true;
}

const NAME_TokHeader *NAME_tok_tables(const NAME_Model *m)
{
    uint64_t bytes = 0;
    const uint8_t *p = m && m->w ? NAME_section(m, "tok", &bytes) : NULL;

    return p && bytes <= SIZE_MAX && NAME_tok_check(p, (size_t)bytes) ? (const void *)p : NULL;
}

bool NAME_has_text(const NAME_Model *m) { return NAME_tok_tables(m) != NULL; }

static uint32_t tok_rank(const NAME_TokHeader *h, uint32_t left, uint32_t right)
{
    const NAME_TokMerge *m = NAME_tok_merge(h, left, right);

    return m ? m->rank : NAME_TOK_NONE;
}

/* The token whose text is the whole word, NAME_TOK_NONE: none is. */
static uint32_t tok_whole(const NAME_TokHeader *h, NAME_TokSpan w)
{
    const uint32_t *slot = NAME_tok_u32(h, h->word_off);
    uint32_t i = NAME_tok_slot(NAME_tok_hash_text(w.space, w.p, (uint32_t)w.n), h->n_word_slot);

    for (;; i = i + 1 < h->n_word_slot ? i + 1 : 0) {
        uint32_t n_text;

        if (slot[i] == NAME_TOK_NONE)
            return NAME_TOK_NONE;
        const uint8_t *text = NAME_tok_text(h, slot[i], &n_text);
        if (n_text == w.n + w.space && (!w.space || text[0] == ' ') && !memcmp(text + w.space, w.p, w.n))
            return slot[i];
    }
}

/* ---- merging ------------------------------------------------------------------------------------------------------ */

static void tok_put(NAME_TokOut *o, uint32_t id)
{
    if (o->n < o->cap)
        o->ids[o->n++] = (int32_t)id;
    else
        o->status = NAME_E_TEXT;
}

static void tok_put_symbol(NAME_TokOut *o, uint32_t sym)
{
    if (sym < o->h->n_vocab) {
        tok_put(o, sym);
        return;
    }
    uint32_t n;
    const uint8_t *p = NAME_tok_text(o->h, sym, &n);
    const uint32_t *spell = NAME_tok_u32(o->h, o->h->spell_off);
    for (uint32_t i = 0; i < n; i++)
        if (spell[p[i]] != NAME_TOK_NONE)
            tok_put(o, spell[p[i]]);
}

static NAME_TokSpan tok_head(NAME_TokSpan w, size_t n)
{
    w.n = w.n < n ? w.n : n;
    return w;
}

/* The symbols of n <= TOK_WINDOW_MAX bytes, merged; returns how many. */
static int tok_encode(const NAME_TokHeader *h, NAME_TokSpan w, uint32_t *sym)
{
    uint32_t rank[TOK_SYMBOLS];                 /* rank[i]: of the pair sym[i], sym[i + 1] */
    int n = 0;

    while (w.n || w.space)
        sym[n++] = NAME_tok_first(h, &w);
    for (int i = 0; i + 1 < n; i++)
        rank[i] = tok_rank(h, sym[i], sym[i + 1]);
    for (;;) {
        uint32_t best = NAME_TOK_NONE;
        int at = 0;

        for (int i = 0; i + 1 < n; i++)
            if (rank[i] < best)
                best = rank[i], at = i;
        if (best == NAME_TOK_NONE)
            return n;
        sym[at] = NAME_tok_merge(h, sym[at], sym[at + 1])->result;
        n--;
        memmove(sym + at + 1, sym + at + 2, (size_t)(n - at - 1) * sizeof *sym);
        if (at + 1 < n) {
            memmove(rank + at + 1, rank + at + 2, (size_t)(n - at - 2) * sizeof *rank);
            rank[at] = tok_rank(h, sym[at], sym[at + 1]);
        }
        if (at > 0)
            rank[at - 1] = tok_rank(h, sym[at - 1], sym[at]);
    }
}

/* Whether the symbols a and b, which w begins with, stay apart when their text is merged together. */
static bool tok_pair_holds(const NAME_TokHeader *h, NAME_TokSpan w, uint32_t a, uint32_t b)
{
    uint32_t sym[TOK_SYMBOLS];
    NAME_TokSpan rest = w;

    NAME_tok_pass(h, a, &rest);
    NAME_tok_pass(h, b, &rest);
    w.n -= rest.n;
    return w.n <= TOK_WINDOW_MAX && tok_encode(h, w, sym) == 2 && sym[0] == a && sym[1] == b;
}

/* A word of any length in the free part of ids, pass by pass: each pass merges every pair of the lowest rank there is.  It ends
 * early where a merge makes a pair possible that goes before the next one. */
static void tok_encode_slowly(NAME_TokOut *o, NAME_TokSpan w)
{
    const NAME_TokHeader *h = o->h;
    int32_t *sym = o->ids + o->n;
    size_t n = 0;

    if (w.n + w.space > o->cap - o->n) {
        o->status = NAME_E_TEXT;
        return;
    }
    while (w.n || w.space)
        sym[n++] = (int32_t)NAME_tok_first(h, &w);
    for (;;) {
        uint32_t lowest = NAME_TOK_NONE;

        for (size_t i = 0; i + 1 < n; i++) {
            uint32_t r = tok_rank(h, (uint32_t)sym[i], (uint32_t)sym[i + 1]);
            lowest = r < lowest ? r : lowest;
        }
        if (lowest == NAME_TOK_NONE)
            break;
        size_t to = 0;
        bool merging = true;
        for (size_t i = 0; i < n;) {
            const NAME_TokMerge *m = merging && i + 1 < n ? NAME_tok_merge(h, (uint32_t)sym[i], (uint32_t)sym[i + 1]) : NULL;

            if (!m || m->rank != lowest) {
                sym[to++] = sym[i++];
                continue;
            }
            sym[to++] = (int32_t)m->result;
            i += 2;
            merging = !(to > 1 && tok_rank(h, (uint32_t)sym[to - 2], m->result) <= lowest) &&
                      !(i < n && tok_rank(h, m->result, (uint32_t)sym[i]) <= lowest);
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

/* A word by windows of so many bytes; false: no border fits, and nothing was put. */
static bool tok_encode_by_windows(NAME_TokOut *o, NAME_TokSpan w, size_t window)
{
    const NAME_TokHeader *h = o->h;
    uint32_t sym[TOK_SYMBOLS], next[TOK_SYMBOLS];
    size_t n_before = o->n;
    int n_sym = tok_encode(h, tok_head(w, window), sym);

    while (w.n > window) {
        NAME_TokSpan rest = w, last = w;            /* behind the symbols that are kept, and where the last of them begins */
        int kept = 0, n_next = 0;

        for (; kept < n_sym; kept++) {              /* to the last border in the first three quarters */
            NAME_TokSpan behind = rest;

            NAME_tok_pass(h, sym[kept], &behind);
            if (w.n - behind.n > window / 4 * 3)
                break;
            last = rest;
            rest = behind;
        }
        for (int tries = 0;; tries++) {
            if (kept == 0 || tries == 4) {
                o->n = n_before;
                return false;
            }
            n_next = tok_encode(h, tok_head(rest, window), next);
            if (next[0] == sym[kept] || tok_pair_holds(h, last, sym[kept - 1], next[0]))
                break;
            kept -= kept / 4 + 1;
            rest = last = w;
            for (int i = 0; i < kept; i++) {
                last = rest;
                NAME_tok_pass(h, sym[i], &rest);
            }
        }
        for (int i = 0; i < kept; i++)
            tok_put_symbol(o, sym[i]);
        w = rest;
        memcpy(sym, next, (size_t)n_next * sizeof *sym);
        n_sym = n_next;
    }
    for (int i = 0; i < n_sym; i++)
        tok_put_symbol(o, sym[i]);
    return true;
}

void NAME_tok_word(NAME_TokOut *o, NAME_TokSpan word)
{
    if (word.n + word.space <= o->h->max_word_bytes) {
        uint32_t id = tok_whole(o->h, word);

        if (id != NAME_TOK_NONE) {
            tok_put(o, id);
            return;
        }
    }
    for (size_t window = TOK_WINDOW; window <= TOK_WINDOW_MAX; window *= 2)
        if (tok_encode_by_windows(o, word, window))
            return;
    tok_encode_slowly(o, word);
}

/* ---- texts -------------------------------------------------------------------------------------------------------- */

/* The longest special token at p, 1 <= n there; NAME_TOK_NONE: none.  User-defined ones count always, control tokens only if
 * asked for.  They are sorted: those that begin with the first k bytes of p are a range, which each byte narrows. */
static uint32_t tok_special(const NAME_TokHeader *h, const uint8_t *p, size_t n, bool control, uint32_t *len)
{
    const uint32_t *special = NAME_tok_u32(h, h->special_off), *first = NAME_tok_u32(h, h->first_off) + p[0];
    const uint8_t *kind = (const uint8_t *)h + h->kind_off;
    uint32_t lo = first[0], hi = first[1], found = NAME_TOK_NONE, n_text;

    for (uint32_t k = 1; lo < hi; k++) {
        for (; lo < hi; lo++) {                             /* what ends here comes first */
            NAME_tok_text(h, special[lo], &n_text);
            if (n_text != k)
                break;
            if (control || !(kind[special[lo]] & NAME_TOK_CONTROL)) {
                found = special[lo];
                *len = k;
            }
        }
        if (k == n)
            break;
        uint32_t end = hi, from;
        for (from = lo; from < end;) {                      /* the first whose byte k is not below p[k] */
            uint32_t mid = from + (end - from) / 2;
            if (NAME_tok_text(h, special[mid], &n_text)[k] < p[k])
                from = mid + 1;
            else
                end = mid;
        }
        lo = from;
        for (end = hi; from < end;) {                       /* the first whose byte k is above it */
            uint32_t mid = from + (end - from) / 2;
            if (NAME_tok_text(h, special[mid], &n_text)[k] <= p[k])
                from = mid + 1;
            else
                end = mid;
        }
        hi = from;
    }
    return found;
}

static bool tok_is_white(uint8_t c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

NAME_Status NAME_tokenize(const NAME_Model *m, const char *text, size_t n_bytes, int flags,
                          int32_t *ids, size_t cap, size_t *n_ids)
{
    const NAME_TokHeader *h = NAME_tok_tables(m);
    NAME_TokOut o = { .h = h, .ids = ids, .cap = cap };
    NAME_TokSpan gap = { (const uint8_t *)text, 0, false };
    bool special = flags & NAME_TEXT_SPECIAL;

    if (!m || (!text && n_bytes) || (!ids && cap) || !n_ids)
        return NAME_E_ARG;
    *n_ids = 0;
    if (!h)
        return NAME_E_TEXT;
    gap.space = h->flags & NAME_TOK_ADD_SPACE;
    if (special && (h->flags & NAME_TOK_ADD_BOS) && h->bos >= 0)
        tok_put(&o, (uint32_t)h->bos);
    for (size_t at = 0; at < n_bytes && o.status == NAME_OK;) {
        uint32_t len = 0, id = tok_special(h, (const uint8_t *)text + at, n_bytes - at, special, &len);

        if (id == NAME_TOK_NONE) {
            at++;
            gap.n++;
            continue;
        }
        if (gap.n)
            NAME_tok_words(&o, gap);
        tok_put(&o, id);
        at += len;
        if (((const uint8_t *)h + h->kind_off)[id] & NAME_TOK_STRIP)
            while (at < n_bytes && tok_is_white((uint8_t)text[at]))
                at++;
        gap.p = (const uint8_t *)text + at;
        gap.n = 0;
    }
    if (gap.n && o.status == NAME_OK)
        NAME_tok_words(&o, gap);
    if (special && (h->flags & NAME_TOK_ADD_EOS) && h->eos >= 0)
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
    *p = (const char *)NAME_tok_text(h, (uint32_t)id, &n_text);
    *n = n_text;
    return NAME_OK;
}

static int tok_kind(const NAME_Model *m, int32_t id)
{
    const NAME_TokHeader *h = NAME_tok_tables(m);

    return h && id >= 0 && (uint32_t)id < h->n_vocab ? ((const uint8_t *)h + h->kind_off)[id] : 0;
}

NAME_Status NAME_detokenize(const NAME_Model *m, const int32_t *ids, size_t n, int flags, char *out, size_t cap, size_t *n_out)
{
    const NAME_TokHeader *h = NAME_tok_tables(m);
    bool space = h && h->flags & NAME_TOK_ADD_SPACE;        /* the next text begins with one that was added */

    if (!m || (!ids && n) || (!out && cap) || !n_out)
        return NAME_E_ARG;
    *n_out = 0;
    for (size_t i = 0; i < n; i++) {
        int kind = tok_kind(m, ids[i]);
        const char *p = "";
        size_t n_p = 0;
        NAME_Status status = NAME_piece(m, ids[i], &p, &n_p);

        if (status)
            return status;
        if (kind & (NAME_TOK_CONTROL | NAME_TOK_USER)) {
            space = h->flags & NAME_TOK_ADD_SPACE;
            if ((kind & NAME_TOK_CONTROL) && !(flags & NAME_TEXT_SPECIAL))
                continue;
        } else if (n_p) {
            size_t added = space && *p == ' ';

            p += added;
            n_p -= added;
            space = false;
        }
        if (*n_out < cap && n_p)
            memcpy(out + *n_out, p, n_p < cap - *n_out ? n_p : cap - *n_out);
        *n_out += n_p;
    }
    return !h || *n_out > cap ? NAME_E_TEXT : NAME_OK;
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
            int len = u->n ? NAME_tok_char(u->b, (size_t)u->n, &c) : -1;

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
