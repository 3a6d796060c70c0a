/* The vocabulary of a model file: tokens, merges, special ids, chat template; and its way into a Module.
 *
 *   vocab.c                    metadata tokenizer.* of a Model -> Vocab -> section "tok" of the Module
 *   compiler/text/pretok.c     the expressions that cut text into words -> automata
 *   compiler/text/bpe.c        tokens and merges, or
 *   compiler/text/spm.c        tokens and scores -> symbols and merges
 *   compiler/text/tables.c     these -> the tables that the emitted program uses in place
 *   compiler/text/jinja.c      the chat template -> a tree
 *   compiler/text/template.c   the tree -> a small program, or the construct that is not known */
#ifndef SN_VOCAB_H
#define SN_VOCAB_H

#include "compiler/import/model.h"
#include "compiler/text/pretok.h"
#include "ir/ir.h"

/* As in GGUF's tokenizer.ggml.token_type. */
typedef enum { TOKEN_normal = 1, TOKEN_unknown, TOKEN_control, TOKEN_user, TOKEN_unused, TOKEN_byte } TokenType;

typedef enum { VOCAB_bpe, VOCAB_spm } VocabKind;

/* A vocabulary; strings are views into the model file, arrays are in the arena.
 *
 *   bpe    byte-level BPE: a token's text is written in GPT-2's alphabet, in which each of the 256 bytes is a printable character;
 *          names of special tokens are written as they are.  It has merges and a pre-tokenizer.
 *   spm    SentencePiece's BPE: a token's text is UTF-8 with U+2581 for a space.  It has scores. */
typedef struct {
    const char *file;           /* for messages */
    VocabKind kind;
    const PretokKind *pretok;   /* of bpe */
    const Pretok *compiled;     /* its automata, where the caller has them; NULL: text_tables makes them */
    int n_token;
    const Str *token;           /* [n_token] */
    bool has_types;             /* the file says of what type tokens are; else all are normal, or bytes by their names */
    uint8_t *type;              /* [n_token] TokenType */
    const float *score;         /* [n_token], of spm: better ones merge first */
    bool *is_end;               /* [n_token] ends an answer */
    bool *strips;               /* [n_token] white space behind it belongs to it; NULL: of none */
    int n_merge;
    const Str *merge;           /* [n_merge] "left right"; earlier ones go first */
    int bos, eos, unk;          /* -1: none */
    bool add_bos, add_eos;
    bool add_space;             /* a text is read as if a space stood before it */
    Str chat_template;          /* n 0: none */
} Vocab;

typedef enum {
    VOCAB_ok,
    VOCAB_absent,               /* the file has no vocabulary, or of a kind that is not known: *missing says which */
    VOCAB_wrong                 /* it is broken; reported with the key and the index */
} VocabResult;
VocabResult vocab_read(const Model *model, Arena *a, Diag *d, Vocab *out, const char **missing);

/* Adds to a Module what the text layer of the emitted program needs:
 *
 *   blob "tok"                 the tables (runtime/text/tokenizer.h)
 *   "text.kind"                "bpe", "spm"; "" without a text layer, and then
 *   "text.missing"             why there is none: a sentence for the user
 *   "text.pre"                 the pre-tokenizer's name; "" for spm
 *   "text.template"            "jinja": it was compiled; "": there is none, or
 *   "text.template.missing"    what is not known of it, and the line; "" if the file has none
 *   "text.n_vocab" "text.bos" "text.eos"
 *
 * A tokenizer that sinter does not know is a note, not an error.  false after a report: the vocabulary is broken. */
bool vocab_to_module(Module *m, const Model *model, Diag *d);

/* ---- compiler/text/tables.c --------------------------------------------------------------------------------------- */

/* A chat template as a program of runtime/text/tokenizer.h; not known: `unknown` says what, and in which line. */
typedef struct {
    bool known;
    const uint32_t *code;
    uint32_t n_code;
    const Str *text;            /* what the program writes and compares with */
    uint32_t n_text;
    const char *unknown;        /* "" where there is no template */
} ChatTemplate;

/* The blob, appended to out, which is empty.  false after a report naming key and index. */
bool text_tables(const Vocab *v, const ChatTemplate *chat, Arena *a, Diag *d, Buf *out);

/* ---- compiler/text/template.c ------------------------------------------------------------------------------------- */

/* Compiles v->chat_template, for conversations of messages with a role and a content.  Everything is in the arena. */
ChatTemplate template_compile(Arena *a, const Vocab *v);

#endif
