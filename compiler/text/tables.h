/* What the files that make the tokenizer's tables share: symbols by text, merges by pair.
 *
 *   bpe.c      tokens and merges of byte-level BPE -> symbols and merges
 *   spm.c      tokens and scores of SentencePiece -> the same
 *   tables.c   symbols and merges -> the blob of runtime/text/tokenizer.h */
#ifndef SN_TABLES_H
#define SN_TABLES_H

#include "compiler/import/vocab.h"
#include "runtime/text/tokenizer.h"

#define KEY_TOKENS "tokenizer.ggml.tokens"
#define KEY_MERGES "tokenizer.ggml.merges"
#define KEY_SCORES "tokenizer.ggml.scores"

typedef struct {
    Arena *a;
    const Vocab *v;
    Diag *d;
    Buf text;                   /* of all symbols, one after another */
    uint32_t *begin;            /* [n + 1] */
    uint32_t n, cap;            /* symbols: first the tokens, then helpers */
    uint32_t *slot, n_slot;     /* symbols by text */
    bool *mergeable;            /* [n_token] merges may make it: it is what text of its bytes becomes */
    uint32_t of_byte[256];      /* what each byte is before the first merge */
    uint32_t spell[256];        /* the token that a byte of a helper becomes; NAME_TOK_NONE: nothing */
    NAME_TokMerge *merge;
    uint32_t n_merge_slot;
    uint32_t cut[2048];         /* of SentencePiece: as in tokenizer.h */
} Maker;

Loc maker_at(const Maker *k, const char *key, int index);           /* key and index of an array of the file */

/* ---- tables.c ----------------------------------------------------------------------------------------------------- */

/* Room for so many symbols; before the first one. */
void maker_begin(Maker *k, uint32_t cap);
const uint8_t *symbol_text(const Maker *k, uint32_t id, uint32_t *n);
uint32_t *symbol_slot(const Maker *k, const uint8_t *p, uint32_t n);    /* where a text is, or where it would go (NAME_TOK_NONE) */
uint32_t symbol_new(Maker *k, const uint8_t *p, uint32_t n);            /* not to be found by its text */
uint32_t symbol_of(Maker *k, const uint8_t *p, uint32_t n);             /* the one of this text, made if there is none */
/* Token i, the next symbol, is what this text becomes.  false after a report: an earlier token is, too. */
bool symbol_add_token(Maker *k, int i, const uint8_t *p, uint32_t n);

void merges_begin(Maker *k, uint32_t n);                                /* room for n merges */
/* The slot of a pair, or where it would go (rank NAME_TOK_NONE). */
NAME_TokMerge *merge_slot(const Maker *k, uint32_t left, uint32_t right);

/* ---- bpe.c, spm.c ------------------------------------------------------------------------------------------------- */

/* Symbols, merges, of_byte, spell (and cut) of a vocabulary.  false after reports. */
bool bpe_symbols(Maker *k);
bool spm_symbols(Maker *k);

#endif
