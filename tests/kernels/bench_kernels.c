/* How fast the dot and attention kernels of one unit are when everything is in the second-level cache: no test, a figure to
 * write beside a change.  Prints for each kernel the median over 15 rounds; one thread.
 *
 * dot: a matrix of 12 tiles of 576 columns (221 to 885 KB); GB/s of packed weights, G multiply-adds per second.
 * score, mix: 256 positions of one head of 64 among 3. */
#include SN_UNIT
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef void (*Fn)(void);
typedef struct { const char *name, *op, *layout, *act, *isa; int tokens; Fn fn; } Row;
static const Row rows[] = {
#include SN_TABLE
};

enum { N_IN = 576, N_TILES = 12, N_POSITIONS = 256, HEAD_DIM = 64, STRIDE = 192, ROUNDS = 15 };

static uint8_t weights[N_TILES * N_IN * 128 + 64];
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
    return N_IN * (!strcmp(layout, "i8g32_r32k4") ? 34u : !strcmp(layout, "i4g32_r32k4") ? 18u
                   : !strcmp(layout, "i4g32m_r32k4") ? 20u : !strcmp(layout, "f32_r32k1") ? 128u : 64u);
}

static void once(const Row *k)
{
    float acc[128] = { 0 };
    uint8_t *w = (uint8_t *)(((uintptr_t)weights + 63) & ~(uintptr_t)63);

    if (!strcmp(k->op, "dot"))
        for (int i = 0; i < N_TILES; i++, w += tile_bytes(k->layout)) {
            if (k->tokens == 4 && !strcmp(k->act, "q8"))
                ((void (*)(float *, const uint8_t *, const SnQ8 *, int, int, const uint8_t *))k->fn)(acc, w, q, N_IN / 32,
                                                                                                     N_IN, NULL);
            else if (k->tokens == 4)
                ((void (*)(float *, const uint8_t *, const float *, int, int, const uint8_t *))k->fn)(acc, w, x, N_IN, N_IN,
                                                                                                      NULL);
            else if (!strcmp(k->act, "q8"))
                ((void (*)(float *, const uint8_t *, const SnQ8 *, int, const uint8_t *))k->fn)(acc, w, q, N_IN, NULL);
            else
                ((void (*)(float *, const uint8_t *, const float *, int, const uint8_t *))k->fn)(acc, w, x, N_IN, NULL);
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

int main(void)
{
    for (size_t i = 0; i < sizeof weights; i += 2) {            /* no half is infinite or subnormal */
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
        int dot = !strcmp(k->op, "dot");
        double t[ROUNDS], work = dot ? (double)N_TILES * 32 * N_IN * k->tokens : (double)N_POSITIONS * HEAD_DIM;

        if (!dot && strcmp(k->op, "score") && strcmp(k->op, "mix"))
            continue;
        for (int r = 0; r < ROUNDS; r++) {
            double begin = now();

            for (int n = 0; n < 40; n++)
                once(k);
            t[r] = (now() - begin) / 40;
        }
        qsort(t, ROUNDS, sizeof t[0], by_value);
        printf("%-42s %8.2f us %7.1f Gmac/s", k->name, t[ROUNDS / 2] * 1e6, work / t[ROUNDS / 2] * 1e-9);
        if (dot)
            printf(" %7.1f GB/s", (double)(N_TILES * tile_bytes(k->layout)) / t[ROUNDS / 2] * 1e-9);
        putchar('\n');
    }
    return 0;
}
