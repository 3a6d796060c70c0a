/* Pre-tokenizers: the regular expressions that cut text into words before merging, compiled to automata.
 *
 * The language is what published tokenizers use: alternation, groups (...) and (?:...), (?i:...) (letters of ASCII match in
 * both cases), classes with ranges and negation, \p{L} and the other general categories, \s \S \d \r \n \t, the quantifiers
 * ? * + {n} {n,} {n,m} (greedy), and a negative lookahead of one code point, (?!\S) or (?![...]).  A match is the one that a
 * backtracking matcher finds first (Perl's rule), not the longest. */
#ifndef SN_PRETOK_H
#define SN_PRETOK_H

#include "ir/base/base.h"

enum { PRETOK_MAX_STEPS = 4, PRETOK_PAGES = 4352 };
enum { PRETOK_ACCEPT = 0x8000, PRETOK_DEAD = 0x7fff };      /* as in runtime/text/tokenizer.h */

typedef struct { int n_state; uint16_t *next; } PretokDfa;  /* next[n_state][n_class + 1]; the last column: end of text */

typedef struct {
    int n_page;
    uint16_t *page;             /* [PRETOK_PAGES] of code point >> 8 */
    uint8_t *class_of;          /* [n_page][256] */
    int n_class;
    int n_step;                 /* expressions, applied one after another to what the one before leaves */
    PretokDfa step[PRETOK_MAX_STEPS];
} Pretok;

/* A pre-tokenizer as model files name it (tokenizer.ggml.pre). */
typedef struct {
    const char *name;
    const char *expr[PRETOK_MAX_STEPS];     /* ended by NULL where fewer */
    bool whole_words;           /* a word that is a token is that token, whatever the merges say */
    bool add_bos;               /* what files that say nothing about it mean */
} PretokKind;
extern const PretokKind pretok_table[];     /* ended by name NULL */
const PretokKind *pretok_find(Str name);    /* NULL: not known */

/* Compiles n expressions that share their classes of code points.  false after a report naming the expression and the column. */
bool pretok_compile(Arena *a, Diag *d, const char *const *expr, int n, Pretok *out);

/* Bytes of the match at the beginning of p, 0: none.  For tests; the emitted program has its own. */
size_t pretok_match(const Pretok *t, int step, const uint32_t *code_point, size_t n);

#endif
