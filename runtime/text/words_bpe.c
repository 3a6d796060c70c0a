/* Byte-level BPE: a word consists of bytes, and text is cut into words by expressions that were compiled to automata over
 * classes of code points.  They are applied one after another: matches of the first, and the gaps between them, are what the
 * second sees; what the last one leaves are words. */
#include "runtime/text/tokenizer.h"

static uint32_t bpe_class(const NAME_TokHeader *h, const uint8_t *p, size_t n, int *len)
{
    const uint8_t *t = (const void *)h;
    const uint16_t *page = (const void *)(t + h->page_off);
    uint32_t c;

    *len = NAME_tok_char(p, n, &c);
    if (*len <= 0) {
        *len = 1;
        c = 0xfffd;
    }
    return (t + h->class_off)[page[c >> 8] * 256u + (c & 255)];
}

/* Bytes of the match of an automaton that begins at p, 0: none. */
static size_t bpe_match(const NAME_TokHeader *h, NAME_TokStep step, const uint8_t *p, size_t n)
{
    const uint16_t *next = (const void *)((const uint8_t *)h + step.off);
    uint32_t n_column = h->n_class + 1, state = 0;
    size_t at = 0, best = 0;

    for (;;) {
        int len = 0;
        uint32_t column = at < n ? bpe_class(h, p + at, n - at, &len) : h->n_class;
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
static void bpe_split(NAME_TokOut *o, uint32_t i, const uint8_t *p, size_t n)
{
    size_t gap = 0;

    if (i == o->h->n_step) {
        NAME_tok_word(o, (NAME_TokSpan){ p, n, false });
        return;
    }
    for (size_t at = 0; at < n && o->status == NAME_OK;) {
        size_t len = bpe_match(o->h, o->h->step[i], p + at, n - at);
        int n_char;

        if (!len) {
            bpe_class(o->h, p + at, n - at, &n_char);
            at += (size_t)n_char;
            continue;
        }
        if (at > gap)
            bpe_split(o, i + 1, p + gap, at - gap);
        bpe_split(o, i + 1, p + at, len);
        gap = at += len;
    }
    if (n > gap && o->status == NAME_OK)
        bpe_split(o, i + 1, p + gap, n - gap);
}

void NAME_tok_words(NAME_TokOut *o, NAME_TokSpan text)
{
    bpe_split(o, 0, text.p, text.n);
}

uint32_t NAME_tok_first(const NAME_TokHeader *h, NAME_TokSpan *word)
{
    word->n--;
    return NAME_tok_u32(h, h->byte_off)[*word->p++];
}

void NAME_tok_pass(const NAME_TokHeader *h, uint32_t symbol, NAME_TokSpan *word)
{
    uint32_t n;

    NAME_tok_text(h, symbol, &n);
    word->p += n;
    word->n -= n;
}
