/* The model as a library.  No function here prints, exits or allocates memory; each returns a
 * status.
 *
 *   NAME_Model     the weights: read-only after NAME_open, for many sessions and threads at once
 *   NAME_Session   one conversation, in a block of memory that you give
 *
 *     NAME_Model model;
 *     NAME_Session *s;
 *     size_t bytes = NAME_session_bytes(2048, 2);
 *     void *block = malloc(bytes);
 *
 *     if (NAME_open(&model, "NAME.weights") ||
 *         NAME_session_open(&s, &model, block, bytes,
 *                           &(NAME_Options){ .n_ctx = 2048, .n_threads = 2 }))
 *         ...
 *     NAME_eval(s, ids, n, logits, 1);    feeds n tokens, gives the logits after the last of them
 *     NAME_close(s); free(block); NAME_close_model(&model);
 *
 * Errors: a status says what kind; NAME_status_text says it in words.  After NAME_E_FILE errno
 * tells why. */
#ifndef NAME_API_H
#define NAME_API_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    NAME_OK = 0,
    NAME_E_ARG,                 /* an argument is out of its range; nothing was done */
    NAME_E_FILE,               /* the weights file cannot be opened, read or mapped; errno is set */
    NAME_E_WEIGHTS,             /* not the weights that this code was generated for, or damaged */
    NAME_E_CPU,          /* this CPU lacks what the code was compiled for: NAME_missing_feature() */
    NAME_E_MEMORY,              /* the block is too small */
    NAME_E_CONTEXT, /* no room for so many more tokens in the session's context; nothing was done */
    NAME_E_CANCELLED,           /* NAME_cancel was called */
    NAME_E_TEXT,                /* no tokenizer, a template that is not known, or too little room */
    NAME_E_THREADS              /* the threads could not be started */
} NAME_Status;

/* A sentence about a status, for a message.  Never NULL; constant. */
const char *NAME_status_text(NAME_Status s);

/* ---- the model ------------------------------------------------------------------------------- */

/* Owned by you; the fields are read-only for you.  Do not copy it while sessions use it. */
typedef struct {
    const uint8_t *w;           /* the weights file, as it lies in memory */
    uint64_t bytes;             /* of it */
    int isa;                    /* which of the instruction sets compiled in is used */
    int mapped;                 /* 1: NAME_close_model unmaps it */
} NAME_Model;

/* Maps the weights file (read-only, shared between processes), checks its header and tables,
 * chooses the instruction set. Nothing of the tensors is read yet.  weights_path NULL: the weights
 * linked into the program (--link-weights), else NAME_E_ARG. On an error *m is empty and need not
 * be closed. */
NAME_Status NAME_open(NAME_Model *m, const char *weights_path);

/* The same with weights that are in memory already, aligned to 64 bytes; they stay yours and must
 * outlive the model. */
NAME_Status NAME_open_memory(NAME_Model *m, const void *weights, size_t bytes);

/* Reads all weights and compares every chunk with its hash: NAME_OK or NAME_E_WEIGHTS.  Guards
 * against accidents, not attackers. */
NAME_Status NAME_verify(const NAME_Model *m);

/* Sessions of the model must be closed before. */
void NAME_close_model(NAME_Model *m);

/* The first feature that this CPU lacks for the least demanding instruction set compiled in; NULL:
 * it lacks nothing. */
const char *NAME_missing_feature(void);

/* The name of the instruction set that the model uses. */
const char *NAME_isa_name(const NAME_Model *m);

/* How many threads are worth starting here: cores that this process may use, at most its cgroup's
 * CPU quota rounded up; at least 1. */
int NAME_default_threads(void);

/* ---- sessions -------------------------------------------------------------------------------- */

typedef struct NAME_Session NAME_Session;

enum {
    NAME_MAX_THREADS = 256,
    /* flags */
    NAME_ONE_BY_ONE = 1,     /* every token goes through the decode entry, also in a prompt */
    NAME_ALL_THREADS = 2     /* every thread takes part in every call, also where that costs time */
};

/* How a session runs.  All zero is valid: the model's whole context, one thread. */
typedef struct {
    int n_ctx;                  /* most tokens in the context; 0: NAME_N_CTX, which is the most */
    /* 1..NAME_MAX_THREADS; 0: 1.  A session of its own threads has at most NAME_default_threads() of
     * them, and those whose cores other programs use sleep through calls.  What is computed is the
     * same bits for any number. */
    int n_threads;
    int flags;                  /* NAME_ONE_BY_ONE | NAME_ALL_THREADS, or 0 */
    /* Your own thread pool, NULL: the session starts n_threads - 1 threads, which sleep between
     * calls. run(pool, fn, arg, n) calls fn(arg, i) once for each i in 0..n-1 and returns when all
     * have returned; the calls may be concurrent or one after another, in any order.  n is at most
     * n_threads.  With n_threads == 1 it is not used. */
    void (*run)(void *pool, void (*fn)(void *arg, int i), void *arg, int n);
    void *pool;
} NAME_Options;

/* Bytes of the block for a session with these options' n_ctx and n_threads (0 as above); 0: out of
 * range. */
size_t NAME_session_bytes(int n_ctx, int n_threads);

/* Makes a session in `block` (any alignment, contents do not matter), which stays yours and must
 * outlive it, as must *m. NAME_E_ARG, NAME_E_MEMORY (bytes < NAME_session_bytes), NAME_E_THREADS:
 * *out is NULL and nothing is left behind. options NULL: all zero.  *options may go after the
 * call. */
NAME_Status NAME_session_open(NAME_Session **out, const NAME_Model *m, void *block, size_t bytes,
                              const NAME_Options *options);

/* Ends the session's threads.  The block may be freed or used again afterwards.  NULL is allowed.
 */
void NAME_close(NAME_Session *s);

/* A session is used by one thread at a time, except NAME_cancel.  Different sessions are
 * independent. */

/* Appends n >= 0 tokens to the context and writes the logits after each of the last n_logits of
 * them (0..n): [n_logits, n_vocab]. Tokens are fed NAME_MAX_TOKENS at a time; a single one takes
 * the faster decode way.  logits may be NULL if n_logits is 0.
 *   NAME_E_ARG        an id outside 0..n_vocab-1 or a count out of range; nothing was done
 *   NAME_E_CONTEXT    n_past + n > n_ctx; nothing was done
 *   NAME_E_CANCELLED  the context holds the tokens whose work was complete (NAME_n_past says how
 *                     many), logits are undefined
 */
NAME_Status NAME_eval(NAME_Session *s, const int32_t *ids, int n, float *logits, int n_logits);

int NAME_n_past(const NAME_Session *s);         /* tokens in the context */
int NAME_n_ctx(const NAME_Session *s);          /* room for them */
int NAME_n_threads(const NAME_Session *s);      /* that it has, with the caller */

/* Appends one token and writes the logits after it, as NAME_eval(s, &id, 1, logits, 1) does: same
 * bits, same status.  Where the session guesses (NAME_lookup_open) a call may compute several
 * tokens ahead; the calls that follow then cost nothing as long as their tokens are those.
 *   more    how many tokens at most will be appended after this one; 0: nothing is guessed */
NAME_Status NAME_next(NAME_Session *s, int32_t id, int more, float *logits);

/* From now on only the k best logits of a token are looked at, after NAME_next and NAME_eval: for
 * greedy decoding 1, for top-k sampling k.  Those that are among the k best, ties with the k-th
 * included, are as ever; others may be -infinity.  A model built for that (sinter build --head) does
 * not read all of its head then.  k 0, as a session begins, or above 64: all logits. */
void NAME_want_best(NAME_Session *s, int k);

/* Forgets all but the first n_past tokens of the context (0..NAME_n_past(s), else NAME_E_ARG).
 * Takes no time. */
NAME_Status NAME_rewind(NAME_Session *s, int n_past);

/* The context as bytes, to go on later, in another process or another session of the same model
 * and options (n_ctx may differ). NAME_save writes exactly NAME_save_bytes bytes; less room is
 * NAME_E_MEMORY.  NAME_load replaces the session's context; it refuses what another model saved or
 * what is damaged (NAME_E_WEIGHTS) or does not fit into n_ctx (NAME_E_CONTEXT), and then changes
 * nothing. */
size_t NAME_save_bytes(const NAME_Session *s);
NAME_Status NAME_save(const NAME_Session *s, void *out, size_t cap);
NAME_Status NAME_load(NAME_Session *s, const void *saved, size_t bytes);

/* From any thread or a signal handler: the NAME_eval that runs, or else the next one, stops soon
 * (within a fraction of one token's time) with NAME_E_CANCELLED.  Each call stops one NAME_eval;
 * NAME_uncancel takes back a call that none has seen. */
void NAME_cancel(NAME_Session *s);
void NAME_uncancel(NAME_Session *s);

/* ---- speculation by lookup ------------------------------------------------------------------- */

/* Text repeats itself: names, phrases, code.  A session that guesses looks the context's last
 * tokens up in the context; where they have occurred before, NAME_next computes what followed then
 * together with its token, in one pass over the weights.  What you choose from is the same, token
 * for token, whether a guess was right or wrong: it changes time only. */

enum { NAME_MAX_DRAFT = 15 };           /* most tokens guessed at a time */

/* What came of it, since NAME_lookup_open. */
typedef struct {
    int64_t passes;                     /* evaluations of NAME_next, of one token or several */
    int64_t drafted;                    /* tokens guessed */
    int64_t accepted;                   /* of them, those that came */
} NAME_LookupCounts;

/* Bytes of the block that NAME_lookup_open needs; 0: this model cannot guess (it was built with
 * --spec none, or computes a prompt in another order of sums than an answer). */
size_t NAME_lookup_bytes(const NAME_Session *s);

/* From now on the session guesses.  The block (any alignment) stays yours and must outlive the
 * session; tokens that are in the context already are not known to it.
 *   now   a clock in nanoseconds that never goes back, by which it finds out what pays; NULL: it
 *         goes by a rule of thumb
 * NAME_E_ARG: this model cannot guess; NAME_E_MEMORY: bytes < NAME_lookup_bytes(s). */
NAME_Status NAME_lookup_open(NAME_Session *s, void *block, size_t bytes, uint64_t (*now)(void));

NAME_LookupCounts NAME_lookup_counts(const NAME_Session *s);

#ifdef __cplusplus
}
#endif
#endif
