/* How fast the dot and attention kernels of one unit are: no test, a figure to write beside a change.  One thread; prints for
 * each kernel the median over 15 rounds and the best one.
 *
 *   bench-UNIT             everything in the second-level cache.  dot: a matrix of 12 tiles of 768 columns (62 to 1 180 KB)
 *   bench-UNIT MB [PART]   dot only, weights of MB megabytes read once a round, each tile given the next one as `next`; of
 *                          kernels whose name contains PART
 *
 * dot: GB/s of packed weights, G multiply-adds per second.  score, mix: 256 positions of one head of 64 among 3. */
#include SN_UNIT
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/kernels/layouts.h"

typedef void (*Fn)(void);
typedef struct { const char *name, *op, *layout, *act, *isa; int tokens; Fn fn; } Row;
static const Row rows[] = {
#include SN_TABLE
};

enum { N_IN = 768, N_TILES = 12, N_POSITIONS = 256, HEAD_DIM = 64, STRIDE = 192, ROUNDS = 15 };

static uint8_t *weights;                        /* at a multiple of 64 */
static size_t weights_bytes = N_TILES * N_IN * 128;
static int streaming;
static float x[4 * N_IN], cache[N_POSITIONS * STRIDE], scores[N_POSITIONS];
static SnQ8 q[4 * N_IN / 32];
static volatile float sink;

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static size_t tile_bytes(const char *layout)
{
    int i = layout_index(layout);

    return (size_t)(N_IN / layouts[i].columns) * layouts[i].bytes;
}

static size_t n_tiles(const Row *k)
{
    return streaming ? weights_bytes / tile_bytes(k->layout) : N_TILES;
}

static void once(const Row *k)
{
    float acc[128] = { 0 };
    const uint8_t *w = weights;

    if (!strcmp(k->op, "dot"))
        for (size_t i = 0, n = n_tiles(k), step = tile_bytes(k->layout); i < n; i++, w += step) {
            const uint8_t *next = streaming && i + 1 < n ? w + step : NULL;

            if (k->tokens == 4 && !strncmp(k->act, "q8", 2))
                ((void (*)(float *, const uint8_t *, const SnQ8 *, int, int, const uint8_t *))k->fn)(acc, w, q, N_IN / 32,
                                                                                                     N_IN, next);
            else if (k->tokens == 4)
                ((void (*)(float *, const uint8_t *, const float *, int, int, const uint8_t *))k->fn)(acc, w, x, N_IN, N_IN,
                                                                                                      next);
            else if (!strncmp(k->act, "q8", 2))
                ((void (*)(float *, const uint8_t *, const SnQ8 *, int, const uint8_t *))k->fn)(acc, w, q, N_IN, next);
            else
                ((void (*)(float *, const uint8_t *, const float *, int, const uint8_t *))k->fn)(acc, w, x, N_IN, next);
        }
    else if (!strcmp(k->op, "score"))
        ((void (*)(float *, const float *, const void *, int, int, int, float))k->fn)(scores, x, cache, STRIDE, N_POSITIONS,
                                                                                      HEAD_DIM, 0.125f);
    else
        ((void (*)(float *, const float *, const void *, int, int, int))k->fn)(acc, scores, cache, STRIDE, N_POSITIONS,
                                                                               HEAD_DIM);
    sink = acc[5] + scores[7];
}

static int by_value(const void *a, const void *b)
{
    double p = *(const double *)a, r = *(const double *)b;

    return (p > r) - (p < r);
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        streaming = 1;
        weights_bytes = (size_t)atoi(argv[1]) << 20;
    }
    weights = aligned_alloc(64, weights_bytes);
    if (!weights)
        return 1;
    for (size_t i = 0; i < weights_bytes; i += 2) {             /* no half is infinite or subnormal */
        weights[i] = (uint8_t)(i * 37);
        weights[i + 1] = (uint8_t)(0x20 + i % 16);
    }
    for (int i = 0; i < 4 * N_IN; i++)
        x[i] = (float)(i % 17) - 8;
    for (int i = 0; i < 4 * N_IN / 32; i++)
        sn_quant_q8(&q[i], x + 32 * i);
    for (int i = 0; i < N_POSITIONS * STRIDE; i++)
        cache[i] = sn_float(0x3c003c00u);
    for (int i = 0; i < N_POSITIONS; i++)
        scores[i] = 1.0f / N_POSITIONS;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const Row *k = &rows[i];
        int dot = !strcmp(k->op, "dot"), repeats = streaming ? 1 : 40;
        double t[ROUNDS], work = dot ? (double)n_tiles(k) * 32 * N_IN * k->tokens : (double)N_POSITIONS * HEAD_DIM;
        double bytes = dot ? (double)(n_tiles(k) * tile_bytes(k->layout)) : 0;

        if ((!dot && (streaming || (strcmp(k->op, "score") && strcmp(k->op, "mix")))) ||
            (argc > 2 && !strstr(k->name, argv[2])))
            continue;
        for (int r = 0; r < ROUNDS; r++) {
            double begin = now();

            for (int n = 0; n < repeats; n++)
                once(k);
            t[r] = (now() - begin) / repeats;
        }
        qsort(t, ROUNDS, sizeof t[0], by_value);
        printf("%-42s %8.2f us %7.1f Gmac/s (best %.1f)", k->name, t[ROUNDS / 2] * 1e6, work / t[ROUNDS / 2] * 1e-9,
               work / t[0] * 1e-9);
        if (dot)
            printf(" %7.1f GB/s (best %.1f)", bytes / t[ROUNDS / 2] * 1e-9, bytes / t[0] * 1e-9);
        putchar('\n');
    }
    free(weights);
    return 0;
}
