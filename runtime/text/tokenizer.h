/* The tables of a byte-level BPE tokenizer, as they lie in the weights file (section "tok") and are used in place.
 *
 * The compiler writes them (compiler/text/tables.c), the emitted program reads them (tokenize.c).  One blob, little-endian,
 * position-independent: every offset counts bytes from the header's first byte and is a multiple of 4.
 *
 *     header | symbol texts | begin | kind | byte | merges | words | specials | pages, classes | automata | chat texts
 *
 * A *symbol* is a token (id < n_vocab) or a helper: a text that merges pass through but that is no token, or a byte that the
 * vocabulary lacks.  Helpers have ids n_vocab .. n_symbol - 1; one that is left at the end is spelled in the tokens of its
 * bytes, and bytes without a token vanish, as in the tokenizers this follows. */
#ifndef NAME_TOKENIZER_H
#define NAME_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/core/api.h"

#define NAME_TOK_MAGIC 0x4b4f5453u          /* the bytes "STOK" */
#define NAME_TOK_VERSION 1u
#define NAME_TOK_NONE 0xffffffffu           /* no symbol, an empty slot */
#define NAME_TOK_PAGES 4352u                /* 0x110000 code points in pages of 256 */
#define NAME_TOK_MAX_STEPS 4u

enum { NAME_TOK_ADD_BOS = 1, NAME_TOK_ADD_EOS = 2 };                           /* flags */
enum { NAME_TOK_CONTROL = 1, NAME_TOK_USER = 2, NAME_TOK_END = 4 };            /* kinds of a token, bits */

/* A text in the blob. */
typedef struct { uint32_t off, n; } NAME_TokText;

/* A slot of the table of merges: `left` and `right` side by side become `result`; a lower rank goes first. */
typedef struct { uint32_t left, right, rank, result; } NAME_TokMerge;

/* An automaton: uint16_t [n_state][n_class + 1] at off.  State 0 is the start; column n_class is the end of the text.
 *
 *     bit 15      the text read so far, without the code point of this column, is the best match up to now
 *     bits 0-14   the next state, NAME_TOK_DEAD: nothing longer can match */
typedef struct { uint32_t off, n_state; } NAME_TokStep;
#define NAME_TOK_ACCEPT 0x8000u
#define NAME_TOK_DEAD 0x7fffu

typedef struct {
    uint32_t magic, version;
    uint32_t bytes;                         /* of the whole blob, a multiple of 16 */
    uint32_t flags;
    uint32_t n_vocab, n_symbol;
    int32_t bos, eos;                       /* -1: the vocabulary has none */
    uint32_t max_word_bytes;                /* the longest text in the table of words */
    uint32_t text_off;                      /* the texts of all symbols, one after another */
    uint32_t begin_off;                     /* uint32_t [n_symbol + 1]: where in the texts each begins */
    uint32_t kind_off;                      /* uint8_t [n_vocab] */
    uint32_t byte_off;                      /* uint32_t [256]: the symbol of each byte */
    uint32_t merge_off, n_merge_slot;       /* NAME_TokMerge [], open addressing, rank NAME_TOK_NONE: empty */
    uint32_t word_off, n_word_slot;         /* uint32_t []: tokens that are the whole encoding of their text */
    uint32_t special_off, n_special;        /* uint32_t []: tokens looked for in text, by first byte, then longest first */
    uint32_t first_off;                     /* uint32_t [257]: where in the specials each first byte begins */
    uint32_t page_off;                      /* uint16_t [NAME_TOK_PAGES]: page of a code point */
    uint32_t class_off, n_page, n_class;    /* uint8_t [n_page][256]: class of a code point */
    uint32_t n_step;                        /* expressions, each applied to the pieces that the one before leaves */
    NAME_TokStep step[NAME_TOK_MAX_STEPS];
    uint32_t chat;                          /* 0: no chat template, 1: turns made of the texts below */
    NAME_TokText chat_system;               /* before the first message where that is not a system message */
    NAME_TokText chat_head, chat_mid, chat_tail;    /* head ROLE mid CONTENT tail */
    NAME_TokText chat_gen;                  /* what begins the model's answer */
} NAME_TokHeader;

/* Hashes of the two tables; a slot is looked for at hash * n_slot / 2^32 and then one after another. */
static inline uint32_t NAME_tok_hash_pair(uint32_t left, uint32_t right)
{
    uint64_t x = (uint64_t)left * 0x9e3779b97f4a7c15u + (uint64_t)right * 0xc2b2ae3d27d4eb4fu;

    x ^= x >> 29;
    x *= 0xbf58476d1ce4e5b9u;
    return (uint32_t)(x >> 32);
}

static inline uint32_t NAME_tok_hash_bytes(const uint8_t *p, uint32_t n)
{
    uint64_t x = 0xcbf29ce484222325u;       /* FNV-1a, its high half mixed once more */

    for (uint32_t i = 0; i < n; i++)
        x = (x ^ p[i]) * 0x100000001b3u;
    x ^= x >> 29;
    x *= 0xbf58476d1ce4e5b9u;
    return (uint32_t)(x >> 32);
}

static inline uint32_t NAME_tok_slot(uint32_t hash, uint32_t n_slot)
{
    return (uint32_t)((uint64_t)hash * n_slot >> 32);
}

/* Whether n bytes at p are such a blob: the header is whole and everything it points to lies inside.  What the tables say is
 * trusted, as the digest of the weights file has been compared. */
bool NAME_tok_check(const void *p, size_t n_bytes);

/* Of runtime/core/weights.c: a section of the weights file by its name. */
const uint8_t *NAME_section(const NAME_Model *m, const char *name, uint64_t *bytes);

/* The tables of an open model, NULL: it has no tokenizer. */
const NAME_TokHeader *NAME_tok_tables(const NAME_Model *m);

#endif
