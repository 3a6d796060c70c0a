/* SentencePiece's BPE: a word consists of characters, and a space is a character like any other (tokens write it U+2581, and
 * where a text has U+2581 it counts as a space).  A text begins with a space that is not there, if the model wants that.
 *
 * The original merges the whole text at once.  Here it is cut first, where no merge can ever cross: between two characters that
 * stand side by side in no token.  That is decided by the last byte of the one and the first byte of the other, a table of
 * 65 536 bits.  As hardly a token has a space inside, words come out. */
#include "runtime/text/tokenizer.h"

static void spm_skip(NAME_TokSpan *word, uint32_t n)
{
    word->p += n;
    word->n -= n;
}

/* A character without a symbol of its own comes byte by byte. */
uint32_t NAME_tok_first(const NAME_TokHeader *h, NAME_TokSpan *word)
{
    const uint32_t *of_byte = NAME_tok_u32(h, h->byte_off);
    const NAME_TokMerge *m = NULL;
    const uint8_t *p = word->p;
    uint32_t c = 0, whole;
    int n, i = 1;

    if (word->space) {
        word->space = false;
        return of_byte[' '];
    }
    n = NAME_tok_char(p, word->n, &c);
    if (n == 3 && c == 0x2581) {
        spm_skip(word, 3);
        return of_byte[' '];
    }
    for (whole = of_byte[p[0]]; i < n && (m = NAME_tok_merge(h, whole, of_byte[p[i]])) != NULL; i++)
        whole = m->result;
    if (i < n) {
        whole = of_byte[p[0]];
        i = 1;
    }
    spm_skip(word, (uint32_t)i);
    return whole;
}

/* As many bytes as the symbol's text has, but that a space may be written in three bytes or in none. */
void NAME_tok_pass(const NAME_TokHeader *h, uint32_t symbol, NAME_TokSpan *word)
{
    uint32_t n;
    const uint8_t *text = NAME_tok_text(h, symbol, &n);

    for (uint32_t i = 0; i < n; i++)
        if (word->space)
            word->space = false;
        else
            spm_skip(word, text[i] == ' ' && word->p[0] != ' ' ? 3 : 1);
}

void NAME_tok_words(NAME_TokOut *o, NAME_TokSpan text)
{
    const uint32_t *cut = NAME_tok_u32(o->h, o->h->cut_off);
    const uint8_t *p = text.p;
    size_t begin = 0, at = 0;
    uint32_t before = ' ';
    bool space = text.space;

    while (at < text.n && o->status == NAME_OK) {
        uint32_t first = p[at], last = first;
        size_t len = 1;

        if (first >= 0x80) {
            uint32_t c;
            int n = NAME_tok_char(p + at, text.n - at, &c);

            if (n > 1) {
                len = (size_t)n;
                last = p[at + len - 1];
                if (c == 0x2581)
                    first = last = ' ';
            }
        }
        if (at > begin && !(cut[(before << 8 | first) >> 5] >> (first & 31) & 1)) {
            NAME_tok_word(o, (NAME_TokSpan){ p + begin, at - begin, space });
            begin = at;
            space = false;
        }
        before = last;
        at += len;
    }
    if (at > begin && o->status == NAME_OK)
        NAME_tok_word(o, (NAME_TokSpan){ p + begin, at - begin, space });
}
