/* Both kinds of tokenizer in one test program: an emitted program has words_bpe.c or words_spm.c, here the tables decide. */
#ifndef SN_BOTH_WORDS_H
#define SN_BOTH_WORDS_H

#define NAME_tok_words bpe_words
#define NAME_tok_first bpe_first
#define NAME_tok_pass bpe_pass
#include "runtime/text/words_bpe.c"
#undef NAME_tok_words
#undef NAME_tok_first
#undef NAME_tok_pass
#define NAME_tok_words spm_words
#define NAME_tok_first spm_first
#define NAME_tok_pass spm_pass
#include "runtime/text/words_spm.c"
#undef NAME_tok_words
#undef NAME_tok_first
#undef NAME_tok_pass

void NAME_tok_words(NAME_TokOut *o, NAME_TokSpan text)
{
    (o->h->tokenizer == NAME_TOK_SPM ? spm_words : bpe_words)(o, text);
}

uint32_t NAME_tok_first(const NAME_TokHeader *h, NAME_TokSpan *word)
{
    return (h->tokenizer == NAME_TOK_SPM ? spm_first : bpe_first)(h, word);
}

void NAME_tok_pass(const NAME_TokHeader *h, uint32_t symbol, NAME_TokSpan *word)
{
    (h->tokenizer == NAME_TOK_SPM ? spm_pass : bpe_pass)(h, symbol, word);
}

#endif
