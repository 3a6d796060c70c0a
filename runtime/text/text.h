/* The text layer: text to tokens and back, chat prompts, choosing tokens, and a loop that does all of it.
 *
 *   tokenize.c   text -> tokens, tokens -> bytes, bytes -> whole characters
 *   sample.c     logits -> a token
 *   chat.c       messages -> the text of a prompt
 *   generate.c   a prompt -> an answer, piece by piece
 *
 * Text is UTF-8 everywhere.  Nothing here allocates, prints or keeps anything of the caller's. */
#ifndef NAME_TEXT_H
#define NAME_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/core/api.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- tokens (tokenize.c) ------------------------------------------------------------------------------------------ */

enum { NAME_TEXT_PLAIN = 0, NAME_TEXT_SPECIAL = 1 };

/* The tokens of a text of n_bytes bytes.
 *
 *   flags   NAME_TEXT_SPECIAL: the tokens that the model wants at the beginning and end are added, and the names of control
 *           tokens in the text ("<|im_end|>") stand for these tokens.  NAME_TEXT_PLAIN: neither; text is only text.
 *   ids     room for cap tokens; 2 * n_bytes + 8 always suffices, and n_bytes + 8 where no user-defined token has only one byte.
 *           It is also the only workspace.
 *   n_ids   how many there are
 *
 * Bytes that are not valid UTF-8 are kept: each counts as one character of no script (like U+FFFD) and is spelled as a byte.
 * NAME_E_TEXT: the model has no tokenizer, or there are more than cap tokens. */
NAME_Status NAME_tokenize(const NAME_Model *m, const char *text, size_t n_bytes, int flags,
                          int32_t *ids, size_t cap, size_t *n_ids);

/* The bytes of a token, in the mapped weights file; not terminated, and not always whole characters.  Control tokens give their
 * names.  NAME_E_ARG: there is no such token. */
NAME_Status NAME_piece(const NAME_Model *m, int32_t id, const char **p, size_t *n);

/* The text of n tokens: what NAME_tokenize was given, where they are all of what it gave.  Control tokens are left out, with
 * NAME_TEXT_SPECIAL they give their names.  A space that the model wants before a text is taken off again, at the beginning and
 * behind special tokens; the pieces of an answer that goes on from a prompt keep theirs, so show these with NAME_piece.
 *
 *   out, cap   receives the text (not terminated, of any bytes); out may be NULL when cap is 0
 *   n_out      its length, also where it did not fit
 *
 * NAME_E_ARG: an id that does not exist; NAME_E_TEXT: the model has no tokenizer, or there are more than cap bytes. */
NAME_Status NAME_detokenize(const NAME_Model *m, const int32_t *ids, size_t n, int flags, char *out, size_t cap, size_t *n_out);

bool NAME_is_end(const NAME_Model *m, int32_t id);          /* it ends an answer */
bool NAME_is_control(const NAME_Model *m, int32_t id);      /* its name is not meant to be shown */
int32_t NAME_bos(const NAME_Model *m);                      /* -1: none */
int32_t NAME_eos(const NAME_Model *m);                      /* -1: none */

/* Makes whole characters of pieces.  Zeroed to begin. */
typedef struct { uint8_t b[4]; int n; } NAME_Utf8;

/* Takes n more bytes and writes the characters that are complete now; what may still become one is kept.  Bytes that cannot
 * become a character are written as U+FFFD.  out has room for 3 * n + 12 bytes; returns how many were written. */
size_t NAME_utf8_push(NAME_Utf8 *u, const char *p, size_t n, char *out);
/* The end: an incomplete character becomes U+FFFD.  out has room for 3 bytes. */
size_t NAME_utf8_end(NAME_Utf8 *u, char *out);

bool NAME_has_text(const NAME_Model *m);                    /* the model has a tokenizer */
bool NAME_has_chat(const NAME_Model *m);                    /* the model has a chat template */

/* ---- choosing (sample.c) ------------------------------------------------------------------------------------------ */

enum { NAME_SAMPLER_RING = 256 };

typedef struct {
    float temp;                 /* 0: the most probable token, nothing random */
    int top_k;                  /* the k most probable ones; 0: all */
    float top_p;                /* the fewest whose probabilities reach this sum; 1: all */
    float min_p;                /* those at least this probable, relative to the best one; 0: all */
    float repeat_penalty;       /* divides positive and multiplies negative logits of recent tokens; 1: off */
    int repeat_last_n;          /* how many tokens are recent, at most NAME_SAMPLER_RING */
    /* what follows is the sampler's own */
    uint64_t rng;
    int n_ring, i_ring;
    int32_t ring[NAME_SAMPLER_RING];
} NAME_Sampler;

/* temp 0, top_k 40, top_p 1, min_p 0, repeat_penalty 1, repeat_last_n 64.  Random numbers are those of pcg32 (XSH-RR 64/32,
 * stream 54) with this seed; that is a promise: the same logits and seed give the same tokens on any machine, always. */
void NAME_sampler_init(NAME_Sampler *s, uint64_t seed);
/* A token that the text now ends with: of the prompt, or one that was sampled. */
void NAME_sampler_accept(NAME_Sampler *s, int32_t id);

/* How many of the best logits NAME_sample will look at with these settings, for NAME_want_best; 0: at all of them. */
int NAME_sampler_best(const NAME_Sampler *s);

/* Chooses: penalty, top-k, top-p, min-p, temperature, in this order; of equal logits the lower id goes first.  logits
 * [n_vocab] are changed by the penalty; work [n_vocab] is overwritten.  A logit that is not a number is never chosen. */
int32_t NAME_sample(NAME_Sampler *s, float *logits, int n_vocab, int32_t *work);

/* ---- chat (chat.c) ------------------------------------------------------------------------------------------------ */

typedef struct { const char *role, *content; } NAME_Message;         /* "system", "user", "assistant"; both are terminated */

/* The text of a conversation, as the template of the model's file renders it; tokenize it with NAME_TEXT_SPECIAL.
 *
 *   add_generation_prompt   the text ends where the model's answer begins
 *   out, cap                receives the text (not terminated); out may be NULL when cap is 0
 *   n                       its length, also where it did not fit
 *
 * A BOS at the beginning is left out where NAME_tokenize adds it.  Role and content are copied as they are, so content that
 * contains the name of a control token contains that token: a property of the template.
 *
 * NAME_E_ARG: the template refuses this conversation (it raises an exception: roles do not alternate, say).  NAME_E_TEXT: the
 * model has no template that sinter understands (*n is 0), there are more than cap bytes, or the template joins so many texts
 * that they do not fit its workspace. */
NAME_Status NAME_chat(const NAME_Model *m, const NAME_Message *msgs, int n_msgs, bool add_generation_prompt,
                      char *out, size_t cap, size_t *n);

/* ---- the loop (generate.c) ---------------------------------------------------------------------------------------- */

/* Called after each token with the whole characters that it completed (n may be 0; text is not terminated; control tokens have
 * none).  Further calls with id -1 bring the rest of a very long token, and U+FFFD if the answer ends inside a character.
 * false: stop. */
typedef bool NAME_OnToken(void *ctx, int32_t id, const char *text, size_t n);

/* Feeds n tokens (n >= 1), then chooses and feeds up to max_new more.  Ends at a token that ends an answer (it is neither
 * shown nor fed), after max_new, when the callback says so, or when the session is full.
 *
 *   n_vocab        of the model: NAME_N_VOCAB
 *   logits, work   [n_vocab] each: the only workspace
 *   n_new          how many tokens were chosen and passed to the callback; may be NULL
 *
 * Says what it looks at with NAME_want_best, and in the end that all logits are wanted again.
 *
 * NAME_OK also where the callback stopped it; NAME_E_CONTEXT where the prompt does not fit. */
NAME_Status NAME_generate(NAME_Session *s, const NAME_Model *m, NAME_Sampler *sampler, const int32_t *ids, int n, int max_new,
                          int n_vocab, float *logits, int32_t *work, NAME_OnToken *on_token, void *ctx, int *n_new);

#ifdef __cplusplus
}
#endif
#endif
