/* The only place that turns work into time.
 *
 * A stage takes as long as the slower of two things: its bytes through memory (the last-level cache
 * where they fit it, DRAM where they do not: weights are read once per token, so a model that fits
 * stays there), its multiply-adds through the cores. Integers throughout, rounded up, so that a
 * choice made with these numbers is the same everywhere. */
#include "compiler/compiler.h"

/* a * b / c rounded up, saturating. */
static uint64_t mul_div(uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t whole = a / c, rest = a % c, hi, lo;

    if (!mul_ok(whole, b, &hi) || !mul_ok(rest, b, &lo) || !add_ok(hi, lo / c + (lo % c != 0), &hi))
        return UINT64_MAX;
    return hi;
}

uint64_t cost_ps(const Target *t, uint64_t bytes, uint64_t macs, int n_threads)
{
    return cost_part_ps(t, bytes, bytes, macs, n_threads);
}

uint64_t cost_part_ps(const Target *t, uint64_t all_bytes, uint64_t bytes, uint64_t macs, int n_threads)
{
    int64_t mb_s = t->llc_mb_s && all_bytes <= (uint64_t)t->llc_bytes ? t->llc_mb_s : t->dram_mb_s;
    uint64_t read, compute;

    if (mb_s <= 0 || t->mac8_per_ns <= 0 || n_threads < 1)
        return 0;
    read = mul_div(bytes, 1000000, (uint64_t)mb_s);           /* 1 MB/s is a byte in 10^6 ps */
    compute = mul_div(macs, 100000, (uint64_t)t->mac8_per_ns * (uint64_t)n_threads);
    return read > compute ? read : compute;
}

uint64_t cost_uneven_ps(const Target *t, uint64_t bytes, int64_t n_chunk, int n_threads)
{
    uint64_t even = cost_ps(t, bytes, 0, n_threads);
    uint64_t rounds = ((uint64_t)n_chunk + (uint64_t)n_threads - 1) / (uint64_t)n_threads;

    return mul_div(even, rounds * (uint64_t)n_threads, (uint64_t)n_chunk);
}

int64_t cost_heads(int64_t n_head, int64_t group, int64_t most, int n_threads)
{
    int64_t best = 1;
    uint64_t best_cost = UINT64_MAX;

    for (int64_t h = 1; h <= group && h <= most; h++) {
        uint64_t rounds, cost;

        if (group % h)
            continue;
        rounds = ((uint64_t)(n_head / h) + (uint64_t)n_threads - 1) / (uint64_t)n_threads;
        cost = rounds * (uint64_t)(COST_KV_SHARED + COST_KV_HEAD * h);
        if (cost <= best_cost) {
            best = h;
            best_cost = cost;
        }
    }
    return best;
}

uint64_t cost_tps_x100(const Target *t, uint64_t bytes_per_token, uint64_t macs_per_token,
                       int n_threads)
{
    uint64_t ps = cost_ps(t, bytes_per_token, macs_per_token, n_threads);

    return ps ? UINT64_C(100000000000000) / ps : 0;
}
