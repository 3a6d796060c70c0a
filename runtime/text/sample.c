/* Choosing a token.  Everything after the penalty is done on integers, so that the same logits and seed give the same token with
 * any compiler, processor or libm: the weight of a token is
 *
 *     w = 2^32 * exp(logit - best)            0 <= w <= 2^32, computed by a polynomial in fixed point
 *
 * and probabilities are ratios of sums of weights.  What is left of floating point are single subtractions, divisions and
 * multiplications, which IEEE 754 rounds alike everywhere.
 *
 * Penalty: CTRL [arXiv:1909.05858], for each recent token once.  top-p: Holtzman et al. [1904.09751].  min-p: [2407.01082].
 * Random numbers: PCG XSH-RR 64/32 (O'Neill 2014, pcg-random.org), seeded as pcg32_srandom(seed, 54) does. */
#include "runtime/text/text.h"
#include "runtime/hal/libc.h"

#define SAMPLE_ONE ((uint64_t)1 << 32)
#define PCG_INC ((uint64_t)54 << 1 | 1)

/* ---- random numbers ----------------------------------------------------------------------------------------------- */

static uint32_t sample_random(NAME_Sampler *s)
{
    uint64_t old = s->rng;
    uint32_t x = (uint32_t)((old >> 18 ^ old) >> 27), turn = (uint32_t)(old >> 59);

    s->rng = old * 6364136223846793005u + PCG_INC;
    return x >> turn | x << (-turn & 31);
}

void NAME_sampler_init(NAME_Sampler *s, uint64_t seed)
{
    memset(s, 0, sizeof *s);
    s->top_k = 40;
    s->top_p = 1;
    s->repeat_penalty = 1;
    s->repeat_last_n = 64;
    sample_random(s);
    s->rng += seed;
    sample_random(s);
}

void NAME_sampler_accept(NAME_Sampler *s, int32_t id)
{
    s->ring[s->i_ring] = id;
    s->i_ring = (s->i_ring + 1) % NAME_SAMPLER_RING;
    if (s->n_ring < NAME_SAMPLER_RING)
        s->n_ring++;
}

/* ---- weights ------------------------------------------------------------------------------------------------------ */

/* 2^32 * exp(x / temp) for x <= 0. */
static uint64_t sample_weight(float x, float temp)
{
    /* ln(2)^n / n!, times 2^32: 2^-f = sum of c[n] (-f)^n, 0 <= f < 1; the next term is below 2^-33. */
    static const uint64_t c[] = { 4294967296u, 2977044472u, 1031764991u, 238388332u, 41309550u, 5726720u, 661577u, 65510u,
                                  5676u, 437u, 30u, 2u };
    double y = (double)x / (double)temp * -1.4426950408889634;             /* 1 / ln(2) */

    if (!(x < 0))
        return SAMPLE_ONE;                                  /* the best one; also of several infinite ones */
    if (!(y < 33))
        return 0;
    uint64_t fixed = (uint64_t)(y * 4294967296.0), f = fixed & 0xffffffffu;
    uint64_t sum = 0;                                       /* Horner: never negative, as c[n] > c[n + 1] */
    for (int n = 11; n >= 0; n--)
        sum = c[n] - (sum * f >> 32);
    return sum >> (fixed >> 32);
}

/* ---- candidates --------------------------------------------------------------------------------------------------- */

static bool sample_before(const float *logits, int32_t a, int32_t b)
{
    return logits[a] > logits[b] || (logits[a] == logits[b] && a < b);
}

/* The last element of heap[0..n) sinks from i; the worst candidate is at the top. */
static void sample_sift(const float *logits, int32_t *heap, int n, int i)
{
    int32_t x = heap[i];

    for (int child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && sample_before(logits, heap[child], heap[child + 1]))
            child++;
        if (!sample_before(logits, x, heap[child]))
            break;
        heap[i] = heap[child];
    }
    heap[i] = x;
}

/* The k best ids, best first; returns how many there are (ids whose logits are numbers, at most k). */
static int sample_best(const float *logits, int n_vocab, int k, int32_t *best)
{
    int n = 0;

    for (int i = 0; i < n_vocab; i++) {
        if (logits[i] != logits[i])
            continue;
        if (n < k) {
            best[n++] = i;
            if (n == k)
                for (int j = n / 2 - 1; j >= 0; j--)
                    sample_sift(logits, best, n, j);
        } else if (sample_before(logits, i, best[0])) {
            best[0] = i;
            sample_sift(logits, best, n, 0);
        }
    }
    if (n < k)
        for (int j = n / 2 - 1; j >= 0; j--)
            sample_sift(logits, best, n, j);
    for (int end = n - 1; end > 0; end--) {                 /* heap sort: the worst goes to the end */
        int32_t worst = best[0];

        best[0] = best[end];
        best[end] = worst;
        sample_sift(logits, best, end, 0);
    }
    return n;
}

static void sample_penalize(const NAME_Sampler *s, float *logits, int n_vocab)
{
    int last_n = s->repeat_last_n < s->n_ring ? s->repeat_last_n : s->n_ring;

    if (!(s->repeat_penalty > 0) || s->repeat_penalty == 1)
        return;
    for (int i = 1; i <= last_n; i++) {
        int32_t id = s->ring[(s->i_ring - i + NAME_SAMPLER_RING) % NAME_SAMPLER_RING];
        bool again = id < 0 || id >= n_vocab;

        for (int j = 1; j < i && !again; j++)
            again = s->ring[(s->i_ring - j + NAME_SAMPLER_RING) % NAME_SAMPLER_RING] == id;
        if (!again)
            logits[id] = logits[id] > 0 ? logits[id] / s->repeat_penalty : logits[id] * s->repeat_penalty;
    }
}

int NAME_sampler_best(const NAME_Sampler *s)
{
    if (s->repeat_penalty > 0 && s->repeat_penalty != 1 && s->repeat_last_n > 0)
        return 0;                                           /* what is second best before it may be the best after it */
    return s->temp > 0 ? s->top_k > 0 ? s->top_k : 0 : 1;
}

/* A part of a whole: share * whole, share in 0..1. */
static uint64_t sample_share(float share, uint64_t whole)
{
    return (uint64_t)((double)share * (double)whole);
}

int32_t NAME_sample(NAME_Sampler *s, float *logits, int n_vocab, int32_t *work)
{
    int n, k = s->top_k > 0 && s->top_k < n_vocab ? s->top_k : n_vocab;
    uint64_t sum = 0, part = 0;

    sample_penalize(s, logits, n_vocab);
    if (!(s->temp > 0))
        k = 1;
    n = sample_best(logits, n_vocab, k, work);
    if (n <= 1)
        return n ? work[0] : 0;

    float best = logits[work[0]];
    if (s->top_p < 1) {
        for (int i = 0; i < n; i++)
            sum += sample_weight(logits[work[i]] - best, 1);
        uint64_t enough = s->top_p > 0 ? sample_share(s->top_p, sum) : 0;
        for (int i = 0; i < n; i++) {
            part += sample_weight(logits[work[i]] - best, 1);
            if (part >= enough) {
                n = i + 1;
                break;
            }
        }
    }
    if (s->min_p > 0) {
        uint64_t least = s->min_p < 1 ? sample_share(s->min_p, SAMPLE_ONE) : SAMPLE_ONE;
        while (n > 1 && sample_weight(logits[work[n - 1]] - best, 1) < least)
            n--;
    }

    /* r is uniform in 0 .. sum - 1 but for 2^-32: sum * random / 2^32, in two halves. */
    sum = part = 0;
    for (int i = 0; i < n; i++)
        sum += sample_weight(logits[work[i]] - best, s->temp);
    uint64_t random = sample_random(s), r = (sum >> 32) * random + ((sum & 0xffffffffu) * random >> 32);
    for (int i = 0; i < n - 1; i++) {
        part += sample_weight(logits[work[i]] - best, s->temp);
        if (r < part)
            return work[i];
    }
    return work[n - 1];
}
