/* The tables of a tokenizer that merges, as they lie in the weights file (section "tok") and are used in place.
 *
 * The compiler writes them (compiler/text/tables.c), the emitted program reads them.  One blob, little-endian,
 * position-independent: every offset counts bytes from the header's first byte and is a multiple of 4.
 *
 *     header | symbol texts | begin | kind | byte | spell | merges | words | specials | what cuts text into words | chat texts
 *
 * A *symbol* is a token (id < n_vocab) or a helper: a text that merges pass through but that is no token, or a byte that the
 * vocabulary lacks.  Helpers have ids n_vocab .. n_symbol - 1; one that is left at the end is spelled in the tokens of its
 * bytes, and bytes without a token vanish, as in the tokenizers this follows.
 *
 * Two kinds of tokenizer share merges, words and special tokens.  They differ in how text is cut into words and in what a word
 * consists of before the first merge:
 *
 *     byte-level BPE    words_bpe.c    cut by automata                         bytes
 *     SentencePiece     words_spm.c    cut where no token has both bytes       characters; U+2581 is a space
 *
 * A character of several bytes is itself made by merges of rank 0, which go before all others: "\xe2" and "\x82" become a helper,
 * this and "\xac" become the symbol of the euro sign.  So a character that no token has falls apart into its bytes. */
#ifndef NAME_TOKENIZER_H
#define NAME_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/core/api.h"
#include "runtime/hal/libc.h"

#define NAME_TOK_MAGIC 0x4b4f5453u          /* the bytes "STOK" */
#define NAME_TOK_VERSION 2u
#define NAME_TOK_NONE 0xffffffffu           /* no symbol, an empty slot */
#define NAME_TOK_PAGES 4352u                /* 0x110000 code points in pages of 256 */
#define NAME_TOK_MAX_STEPS 4u

enum { NAME_TOK_BPE, NAME_TOK_SPM };                                           /* kinds of a tokenizer */
/* Flags.  ADD_SPACE: a text that begins, and one behind a special token, is read as if a space stood before it. */
enum { NAME_TOK_ADD_BOS = 1, NAME_TOK_ADD_EOS = 2, NAME_TOK_ADD_SPACE = 4 };
/* Kinds of a token, bits.  STRIP: white space behind this special token belongs to it. */
enum { NAME_TOK_CONTROL = 1, NAME_TOK_USER = 2, NAME_TOK_END = 4, NAME_TOK_STRIP = 8 };

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
    uint32_t tokenizer, flags;
    uint32_t n_vocab, n_symbol;
    int32_t bos, eos;                       /* -1: the vocabulary has none */
    uint32_t max_word_bytes;                /* the longest text in the table of words */
    uint32_t text_off;                      /* the texts of all symbols, one after another */
    uint32_t begin_off;                     /* uint32_t [n_symbol + 1]: where in the texts each begins */
    uint32_t kind_off;                      /* uint8_t [n_vocab] */
    uint32_t byte_off;                      /* uint32_t [256]: the symbol that each byte is before it merges */
    uint32_t spell_off;                     /* uint32_t [256]: the token of a byte of a helper, NAME_TOK_NONE: it vanishes */
    uint32_t merge_off, n_merge_slot;       /* NAME_TokMerge [], open addressing, rank NAME_TOK_NONE: empty */
    uint32_t word_off, n_word_slot;         /* uint32_t []: tokens that are the whole encoding of their text */
    uint32_t special_off, n_special;        /* uint32_t []: tokens looked for in text, sorted by their bytes */
    uint32_t first_off;                     /* uint32_t [257]: where in the specials each first byte begins */
    uint32_t cut_off;                       /* SentencePiece: uint32_t [2048], bit 256 a + b: a token has a, then b begins a character */
    uint32_t page_off;                      /* byte-level: uint16_t [NAME_TOK_PAGES]: page of a code point */
    uint32_t class_off, n_page, n_class;    /* uint8_t [n_page][256]: class of a code point */
    uint32_t n_step;                        /* expressions, each applied to the pieces that the one before leaves */
    NAME_TokStep step[NAME_TOK_MAX_STEPS];
    uint32_t n_chat_code, chat_code_off;    /* uint32_t []: the chat template, see below; 0: none */
    uint32_t n_chat_text, chat_text_off;    /* NAME_TokText []: its texts */
} NAME_TokHeader;

/* A chat template as a program for a machine with a stack (chat.c; compiler/text/template.c writes it).  A word is an operation
 * in bits 0-7 and its argument in bits 8-31; jumps go forward, by so many words from the next one; NEXT goes back.  What is
 * known of every conversation (there are no tools, contents are strings) has been decided: such branches are not there. */
enum {
    NAME_CHAT_END, NAME_CHAT_WRITE,         /* text: writes it */
    NAME_CHAT_OUT, NAME_CHAT_JSON,          /* a ->: writes a; as JSON */
    NAME_CHAT_CAPTURE, NAME_CHAT_CAPTURED,  /* what is written from here on; -> it as a string */
    NAME_CHAT_FAIL,                         /* the template refuses the conversation */
    NAME_CHAT_UNDEFINED, NAME_CHAT_NONE, NAME_CHAT_BOOL, NAME_CHAT_INT, NAME_CHAT_STR,      /* -> the argument's value */
    NAME_CHAT_LOAD, NAME_CHAT_STORE,        /* slot */
    NAME_CHAT_MESSAGES, NAME_CHAT_ANSWER,   /* -> the list of messages (argument 1: an empty one); -> add_generation_prompt */
    NAME_CHAT_LOOP,                         /* -> a field of the innermost loop, NAME_CHAT_LOOP_* */
    NAME_CHAT_JUMP, NAME_CHAT_UNLESS,       /* a ->: jumps if it is not true */
    NAME_CHAT_AND, NAME_CHAT_OR,            /* a -> a and jumps if it decides, else a -> */
    NAME_CHAT_DEFAULT,                      /* a -> a and jumps if it is defined, else a -> */
    NAME_CHAT_FOR, NAME_CHAT_NEXT,          /* list ->: into slot, one after another; the next word: where to go if it is empty */
    NAME_CHAT_BREAK,                        /* ends the innermost loop and jumps */
    NAME_CHAT_FIELD,                        /* message -> 0: its role, 1: its content, 2: what it does not have */
    NAME_CHAT_INDEX, NAME_CHAT_SLICE,       /* list i -> message; list from to -> list, argument 1: backwards */
    NAME_CHAT_LENGTH,
    NAME_CHAT_ADD, NAME_CHAT_SUB, NAME_CHAT_MUL, NAME_CHAT_DIV, NAME_CHAT_MOD, NAME_CHAT_NEG, NAME_CHAT_CAT,
    NAME_CHAT_NOT, NAME_CHAT_EQ, NAME_CHAT_LT, NAME_CHAT_LE, NAME_CHAT_IN,
    NAME_CHAT_AMONG,                        /* a, so many b -> whether a is one of them */
    NAME_CHAT_IS,                           /* a -> whether it is of a kind of the set of bits, 1 << NAME_CHAT_IS_* */
    NAME_CHAT_STRIP,                        /* s chars -> bits 0 and 1: on the left, on the right; bit 2: white space, no chars */
    NAME_CHAT_BEGINS, NAME_CHAT_ENDS,       /* s t -> bool */
    NAME_CHAT_CASE,                         /* s -> in small letters, or (argument 1) capitals; of ASCII only */
    NAME_CHAT_SPLIT,                        /* s separator -> a NAME_CHAT_SPLIT_* */
    NAME_CHAT_REPLACE,                      /* s old new -> s */
    NAME_CHAT_N_OPS
};
enum { NAME_CHAT_SPLIT_FIRST, NAME_CHAT_SPLIT_LAST, NAME_CHAT_SPLIT_SECOND,    /* parts */
       NAME_CHAT_SPLIT_REST, NAME_CHAT_SPLIT_TAIL };        /* all behind the first separator; the same, but all if there is none */
enum { NAME_CHAT_IS_UNDEFINED, NAME_CHAT_IS_NONE, NAME_CHAT_IS_BOOL, NAME_CHAT_IS_INT, NAME_CHAT_IS_STR, NAME_CHAT_IS_MESSAGE,
       NAME_CHAT_IS_LIST, NAME_CHAT_IS_TRUE, NAME_CHAT_IS_FALSE };
enum { NAME_CHAT_LOOP_INDEX0, NAME_CHAT_LOOP_INDEX, NAME_CHAT_LOOP_FIRST, NAME_CHAT_LOOP_LAST, NAME_CHAT_LOOP_LENGTH,
       NAME_CHAT_LOOP_REVINDEX0, NAME_CHAT_LOOP_REVINDEX, NAME_CHAT_LOOP_BEFORE, NAME_CHAT_LOOP_AFTER };
/* The argument of INT that means 0. */
#define NAME_CHAT_ZERO 0x800000
enum { NAME_CHAT_MAX_STACK = 32, NAME_CHAT_MAX_SLOTS = 64, NAME_CHAT_MAX_LOOPS = 8,
       NAME_CHAT_MAX_CAPTURES = 4 };

/* Hashes of the two tables, of a pair and of a text (with a space before it if `space`); a slot is looked for at hash * n_slot / 2^32 and then one after another. */
static inline uint32_t NAME_tok_hash_pair(uint32_t left, uint32_t right)
{
    uint64_t x = (uint64_t)left * 0x9e3779b97f4a7c15u + (uint64_t)right * 0xc2b2ae3d27d4eb4fu;

    x ^= x >> 29;
    x *= 0xbf58476d1ce4e5b9u;
    return (uint32_t)(x >> 32);
}

static inline uint32_t NAME_tok_hash_text(bool space, const uint8_t *p, uint32_t n)
{
    uint64_t x = 0xcbf29ce484222325u;       /* FNV-1a, its high half mixed once more */

    if (space)
        x = (x ^ ' ') * 0x100000001b3u;
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

/* ---- reading the tables ------------------------------------------------------------------------------------------- */

static inline const uint32_t *NAME_tok_u32(const NAME_TokHeader *h, uint32_t off)
{
    return (const uint32_t *)(const void *)((const uint8_t *)h + off);
}

static inline const uint8_t *NAME_tok_text(const NAME_TokHeader *h, uint32_t symbol, uint32_t *n)
{
    const uint32_t *begin = NAME_tok_u32(h, h->begin_off) + symbol;

    *n = begin[1] - begin[0];
    return (const uint8_t *)h + h->text_off + begin[0];
}

/* The merge of two symbols, NULL: they have none. */
static inline const NAME_TokMerge *NAME_tok_merge(const NAME_TokHeader *h, uint32_t left, uint32_t right)
{
    const NAME_TokMerge *slot = (const void *)((const uint8_t *)h + h->merge_off);

    for (uint32_t i = NAME_tok_slot(NAME_tok_hash_pair(left, right), h->n_merge_slot);; i = i + 1 < h->n_merge_slot ? i + 1 : 0) {
        if (slot[i].rank == NAME_TOK_NONE)
            return NULL;
        if (slot[i].left == left && slot[i].right == right)
            return slot + i;
    }
}

/* Bytes of the character at p, 1 <= n there; *c is its code point.  0: what is there can not begin a character; -1: it can, but
 * needs bytes after the end. */
static inline int NAME_tok_char(const uint8_t *p, size_t n, uint32_t *c)
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

/* Whether n bytes at p are such a blob: the header is whole and everything it points to lies inside.  What the tables say is
 * trusted, as the digest of the weights file has been compared. */
bool NAME_tok_check(const void *p, size_t n_bytes);

/* Of runtime/core/weights.c: a section of the weights file by its name. */
const uint8_t *NAME_section(const NAME_Model *m, const char *name, uint64_t *bytes);

/* The tables of an open model, NULL: it has no tokenizer. */
const NAME_TokHeader *NAME_tok_tables(const NAME_Model *m);

/* ---- between tokenize.c and words_bpe.c or words_spm.c ------------------------------------------------------------- */

/* Where tokens go. */
typedef struct {
    const NAME_TokHeader *h;
    int32_t *ids;
    size_t cap, n;
    NAME_Status status;
} NAME_TokOut;

/* A piece of text: n bytes, read as if a space stood before them if `space`. */
typedef struct {
    const uint8_t *p;
    size_t n;
    bool space;
} NAME_TokSpan;

/* tokenize.c: the tokens of a word. */
void NAME_tok_word(NAME_TokOut *o, NAME_TokSpan word);

/* words_*.c: cuts what is between two special tokens into words. */
void NAME_tok_words(NAME_TokOut *o, NAME_TokSpan text);
/* words_*.c: takes the first symbol of a word that is not empty, as it is before the first merge. */
uint32_t NAME_tok_first(const NAME_TokHeader *h, NAME_TokSpan *word);
/* words_*.c: goes behind a symbol that the word was found to begin with. */
void NAME_tok_pass(const NAME_TokHeader *h, uint32_t symbol, NAME_TokSpan *word);

#endif
