/* Guesses of the tokens to come: what followed when the context's last tokens occurred before.
 * Known as prompt lookup [Saxena 2023, github.com/apoorvumang/prompt-lookup-decoding]; checking
 * several guessed tokens in one evaluation is from Leviathan et al. [arXiv:2211.17192].  Here
 * nothing is accepted by a rule of its own: session.c only has logits ready that are asked for.
 *
 *     context   the cat sat on the mat and the cat ?
 *                       at             <-len->             guess: sat on the mat and ...
 *
 * The match.  `at` is the token after an earlier place whose `len` last tokens are the context's
 * last ones.  While the context goes on as that place did, both move on; otherwise the last 4, 3
 * and 2 tokens are looked up in tables of the newest place after each such run of tokens.  Where
 * that finds nothing they move on nevertheless, with length 0, past up to MISSES tokens that differ:
 * a name or a number has changed in a text that goes on alike.  A table has one slot per hash, the
 * newest wins, and what it says is compared with the tokens, so that a wrong or outdated slot is
 * only a guess less.  All of it is O(1) per token.
 *
 * What a guess is worth.  Each token that comes is compared with the one at `at`, guessed or not,
 * which counts how often a match of that length is right: p[length].  k guesses give 1 + p + p p'
 * + ... tokens on average, and cost what k + 1 tokens in one evaluation take, relative to one:
 * ratio[k], measured.  The k with the most tokens per time is taken, if it beats guessing nothing;
 * k + 1 is a multiple of 4, as contractions take four tokens at a time (SmolLM2, AVX-512 VNNI, one
 * thread: 2, 3, 4, 5, 8 tokens take 1.44, 1.75, 1.21, 1.50, 1.97 times as long as one).
 *
 * What it may cost.  `credit` is time: what guesses have won so far, what they have lost taken off,
 * and a fiftieth of the time of every token that was computed alone.  A guess whose evaluation
 * could cost more than that is not made.  So whatever the text, guessing costs at most 2 % of the
 * time, and the time of one token at the beginning and of CREDIT_MAX where a text that repeats
 * itself turns into one that does not.  Times change what is guessed, never what comes out. */
#include "runtime/core/internal.h"
#include "runtime/hal/libc.h"

#if NAME_HAS_LOOKUP
enum {
    RUN_MIN = 2, RUN_MAX = 4,           /* tokens looked up */
    MISSES = 2,
    PANEL = 4,                          /* tokens that kernels take at a time */
    LEN_MAX = 6,                        /* lengths from here on are one */
    ONE = 1 << 16,                      /* of a probability */
    SAME = 256,                         /* of a ratio: as long as one token */
    SLOPE = 48,                         /* what a token more adds to the ratio, until it is known */
    CREDIT_MAX = 8,                     /* times the time of a token */
    CREDIT_SHARE = 50,
    ALONE_AFTER = 32,                   /* guesses in a row until a token is timed alone again */
    TRUST = 64                          /* tokens alone until ratios are measured anew */
};

struct NAME_Lookup {
    int32_t *id;          /* [n_ctx]: the context; -1: not known, which only its beginning can be */
    int n;
    uint32_t *slot[RUN_MAX - RUN_MIN + 1];      /* where a run of tokens ended; 0: nowhere */
    int shift;                          /* 32 less the bits of a slot's number */
    int at, len;                        /* the match; at 0: none */
    int misses;                         /* tokens in a row that were not those at `at` */
    uint32_t p[LEN_MAX + 1];            /* how often a match of that length is right */
    uint32_t seen[LEN_MAX + 1];         /* on how many tokens that stands, at most P_SLOWEST */
    uint64_t (*now)(void);
    uint64_t begin;                     /* of the evaluation that is open */
    uint64_t one;                       /* time of a token alone; 0: not known yet */
    uint32_t ratio[NAME_MAX_DRAFT + 1]; /* [k]: time with k guesses, relative to it */
    uint8_t known[NAME_MAX_DRAFT + 1];  /* the ratio was measured */
    uint32_t slope;
    int64_t credit;
    uint64_t spent;                     /* by the open evaluation; 0: none guesses */
    int in_a_row, alone;
    NAME_LookupCounts counts;
};

enum { P_SLOWEST = 32 };                /* p is the mean of about so many tokens */

static uint64_t lookup_slots(int n_ctx)
{
    uint64_t n = 64;

    while (n < (uint64_t)n_ctx)
        n *= 2;
    return n;
}

uint64_t NAME_lookup_room(int n_ctx)
{
    uint64_t n = sizeof(NAME_Lookup) + (uint64_t)n_ctx * sizeof(int32_t) +
                 (RUN_MAX - RUN_MIN + 1) * lookup_slots(n_ctx) * sizeof(uint32_t);

    return (n + 127) / 64 * 64;
}

NAME_Lookup *NAME_lookup_init(void *block, int n_ctx, uint64_t (*now)(void))
{
    NAME_Lookup *l = block;
    uint32_t *slot = (uint32_t *)(void *)((uint8_t *)block + (sizeof *l + 63) / 64 * 64);

    memset(block, 0, (size_t)NAME_lookup_room(n_ctx));
    l->shift = 32;
    for (uint64_t n = lookup_slots(n_ctx); n > 1; n /= 2)
        l->shift--;
    for (int r = 0; r <= RUN_MAX - RUN_MIN; r++)
        l->slot[r] = slot + (uint64_t)r * lookup_slots(n_ctx);
    l->id = (int32_t *)(void *)(l->slot[RUN_MAX - RUN_MIN] + lookup_slots(n_ctx));
    l->now = now;
    for (int len = 0; len <= LEN_MAX; len++)        /* before anything is seen: 1/4 .. 7/8 */
        l->p[len] = (uint32_t)(ONE / 4 + ONE * 5 / 8 / LEN_MAX * len);
    l->slope = SLOPE;
    for (int k = 0; k <= NAME_MAX_DRAFT; k++)
        l->ratio[k] = (uint32_t)(SAME + SLOPE * k);
    return l;
}

/* ---- the match ------------------------------------------------------------------------------- */

/* The slot of the `run` tokens before place `end`. */
static uint32_t *lookup_slot(const NAME_Lookup *l, int run, int end)
{
    uint64_t x = 0;

    for (int i = end - run; i < end; i++)
        x = (x ^ (uint32_t)l->id[i]) * 0x9e3779b97f4a7c15u;
    return &l->slot[run - RUN_MIN][(uint32_t)(x >> 32) >> l->shift];
}

/* How many tokens before `end` and before the context's end are equal, up to LEN_MAX. */
static int lookup_length(const NAME_Lookup *l, int end)
{
    int len = 0;

    while (len < LEN_MAX && len < end && l->id[end - 1 - len] == l->id[l->n - 1 - len] &&
           l->id[end - 1 - len] >= 0)
        len++;
    return len;
}

/* p follows what is seen: the mean of the first tokens, then of about the last P_SLOWEST. */
static void lookup_observe(NAME_Lookup *l, int right)
{
    uint32_t *p = &l->p[l->len], *seen = &l->seen[l->len];
    uint32_t slow = *seen + 2;

    *p = right ? *p + (ONE - *p) / slow : *p - *p / slow;
    *seen += *seen < P_SLOWEST;
}

static void lookup_add(NAME_Lookup *l, int32_t id)
{
    int right = l->at > 0 && l->id[l->at] == id;

    if (l->at > 0)
        lookup_observe(l, right);
    l->id[l->n++] = id;
    l->misses = right ? 0 : l->misses + 1;
    l->at = l->at > 0 && l->misses <= MISSES ? l->at + 1 : 0;
    l->len = right ? l->len + (l->len < LEN_MAX) : 0;
    for (int run = RUN_MAX; run >= RUN_MIN && run <= l->n; run--) {
        uint32_t *slot = lookup_slot(l, run, l->n);

        if (run > l->len && *slot > 0 && *slot < (uint32_t)l->n) {
            int len = lookup_length(l, (int)*slot);

            if (len >= run && len > l->len) {
                l->at = (int)*slot;
                l->len = len;
            }
        }
        *slot = (uint32_t)l->n;
    }
}

void NAME_lookup_append(NAME_Lookup *l, const int32_t *ids, int n)
{
    for (int i = 0; i < n; i++)
        lookup_add(l, ids[i]);
}

void NAME_lookup_shorten(NAME_Lookup *l, int n)
{
    l->n = n;
    l->at = l->len = 0;
}

void NAME_lookup_forget(NAME_Lookup *l, int n)
{
    for (int i = 0; i < n; i++)
        l->id[i] = -1;
    NAME_lookup_shorten(l, n);
}

/* ---- what pays ------------------------------------------------------------------------------- */

static int lookup_guesses(NAME_Lookup *l, int most)
{
    uint64_t share = ONE, tokens = ONE, best_tokens = ONE, best_ratio = SAME + SAME / 64;
    int best = 0, len = l->len;

    if (!l->one || l->in_a_row >= ALONE_AFTER)
        return 0;
    for (int k = 1; k <= most; k++) {
        share = share * l->p[len] / ONE;
        tokens += share;
        len += len < LEN_MAX;
        if (((k + 1) % PANEL == 0 || k == most) &&
            (int64_t)((l->ratio[k] - SAME) * l->one / SAME) <= l->credit &&
            tokens * best_ratio > best_tokens * l->ratio[k]) {
            best = k;
            best_tokens = tokens;
            best_ratio = l->ratio[k];
        }
    }
    return best;
}

int NAME_lookup_draft(NAME_Lookup *l, int32_t *draft, int most)
{
    int k = 0;

    if (!l->now && !l->one) {           /* the rule of thumb: SLOPE */
        l->one = 1 << 12;
        l->credit = (int64_t)l->one;
    }
    if (l->at > 0)
        k = lookup_guesses(l, most < NAME_MAX_DRAFT ? most : NAME_MAX_DRAFT);
    for (int i = 0; i < k; i++)         /* at the context's end a guess goes on with itself */
        draft[i] = l->at + i < l->n ? l->id[l->at + i] : draft[l->at + i - l->n];
    l->begin = l->now ? l->now() : 0;
    return k;
}

/* A time that follows x: quickly down, slowly up, so that what disturbed one evaluation is soon
 * forgotten. */
static uint64_t lookup_follow(uint64_t value, uint64_t x)
{
    return x < value ? value - (value - x) / 2 : value + ((x < 2 * value ? x : 2 * value) - value) / 8;
}

static void lookup_measured(NAME_Lookup *l, int k, uint64_t spent)
{
    uint64_t r = spent * SAME / l->one;

    r = r < SAME ? SAME : r > (uint64_t)2 * l->ratio[k] ? 2 * l->ratio[k] : r;
    l->ratio[k] = l->known[k] ? (uint32_t)lookup_follow(l->ratio[k], r) : (uint32_t)r;
    l->known[k] = 1;
    l->slope = (uint32_t)lookup_follow(l->slope, (r - SAME) / (uint64_t)k);
    for (int i = 1; i <= NAME_MAX_DRAFT; i++)
        if (!l->known[i])
            l->ratio[i] = SAME + l->slope * (uint32_t)i;
}

void NAME_lookup_computed(NAME_Lookup *l, int n_draft)
{
    uint64_t expected = l->one * l->ratio[n_draft] / SAME;
    uint64_t spent = l->now ? l->now() - l->begin : expected;

    spent += spent == 0;
    l->counts.passes++;
    l->counts.drafted += n_draft;
    l->spent = 0;
    if (n_draft) {
        l->spent = spent < 4 * expected ? spent : 4 * expected;
        l->in_a_row++;
        l->alone = 0;
        lookup_measured(l, n_draft, spent);
        return;
    }
    l->in_a_row = 0;
    if (!l->one)
        l->credit = (int64_t)spent;
    l->one = l->one ? lookup_follow(l->one, spent) : spent;
    l->credit += (int64_t)(l->one / CREDIT_SHARE);
    if (++l->alone == TRUST) {
        l->alone = 0;
        memset(l->known, 0, sizeof l->known);
        l->slope = (l->slope * 3 + SLOPE) / 4;
        for (int k = 1; k <= NAME_MAX_DRAFT; k++)
            l->ratio[k] = SAME + l->slope * (uint32_t)k;
    }
}

void NAME_lookup_used(NAME_Lookup *l, int n_used)
{
    int64_t most = (int64_t)l->one * CREDIT_MAX;

    l->counts.accepted += n_used;
    if (l->spent)
        l->credit += (int64_t)l->one * (1 + n_used) - (int64_t)l->spent;
    l->spent = 0;
    l->credit = l->credit < most ? l->credit : most;
}

NAME_LookupCounts NAME_lookup_result(const NAME_Lookup *l)
{
    return l->counts;
}
#endif
