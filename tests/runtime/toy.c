/* The toy model (toy.h), in the form that the C writer gives to a model. */
#include "tests/runtime/toy.h"
#include "toy_digest.h"                 /* written by mktoy together with the weights */

#include <stdlib.h>
#include <string.h>

void (*toy_before_stage)(const NAME_Worker *me);
void (*toy_before_chunk)(const NAME_Worker *me, int chunk, int count, const uint8_t *next);

uint32_t toy_mix(uint32_t a, uint32_t b)
{
    a = (a ^ b) * 0x9e3779b1u;
    return (a ^ a >> 15) * 0x85ebca6bu + b;
}

/* ---- stages ---------------------------------------------------------------------------------- */

typedef struct { uint64_t embd; int kept; } Layer;

typedef struct NAME_Stages { NAME_StageFn *embed, *keep, *look, *head; } NAME_Stages;

enum {
    X_OFF = 0,
    Y_OFF = TOY_MAX_TOKENS * TOY_WIDTH * 4,
    ARENA = 2 * TOY_MAX_TOKENS * TOY_WIDTH * 4
};

static uint32_t *x_of(const NAME_Run *r) { return (uint32_t *)(void *)(r->arena + X_OFF); }
static uint32_t *y_of(const NAME_Run *r) { return (uint32_t *)(void *)(r->arena + Y_OFF); }

static void hook(const NAME_Worker *me, int c, int count, const uint8_t *next)
{
    if (toy_before_chunk)
        toy_before_chunk(me, c, count, next);
}

static void embed(const NAME_Run *r, const void *layer, NAME_Worker *me, int c, int count,
                  const uint8_t *next)
{
    const Layer *l = layer;
    const uint32_t *row =
        (const uint32_t *)(const void *)(r->w + l->embd) + (size_t)r->ids[c] * TOY_WIDTH;

    hook(me, c, count, next);
    for (uint32_t d = 0; d < TOY_WIDTH; d++)
        x_of(r)[c * TOY_WIDTH + (int)d] = toy_mix(row[d], d);
}

static void keep(const NAME_Run *r, const void *layer, NAME_Worker *me, int c, int count,
                 const uint8_t *next)
{
    const Layer *l = layer;
    uint32_t *k = (uint32_t *)(void *)r->state[l->kept];

    hook(me, c, count, next);
    for (int t = 3 * c; t < 3 * c + 3 && t < r->T; t++)
        memcpy(k + (size_t)(r->P + t) * TOY_WIDTH, x_of(r) + t * TOY_WIDTH, TOY_WIDTH * 4);
}

/* The prologue fills the thread's own scratch with a copy of x; a stage that forgot it would use
 * an older one. */
static void look(const NAME_Run *r, const void *layer, NAME_Worker *me, int c, int count,
                 const uint8_t *next)
{
    const Layer *l = layer;
    const uint32_t *k = (const uint32_t *)(const void *)r->state[l->kept];
    uint32_t *x = (uint32_t *)(void *)me->scratch;
    int t = c / TOY_HEADS, h = c % TOY_HEADS;

    hook(me, c, count, next);
    if (count == 1)
        memcpy(x, x_of(r), (size_t)r->T * TOY_WIDTH * 4);
    for (int d = 4 * h; d < 4 * h + 4; d++) {
        uint32_t sum = x[t * TOY_WIDTH + d];

        for (int p = 0; p <= r->P + t; p++)
            sum = toy_mix(sum, k[p * TOY_WIDTH + 4 * h + p % 4]);
        y_of(r)[t * TOY_WIDTH + d] = sum;
    }
}

static void back(const NAME_Run *r, const void *layer, NAME_Worker *me, int c, int count,
                 const uint8_t *next)
{
    (void)layer;
    hook(me, c, count, next);
    memcpy(x_of(r) + c * TOY_WIDTH, y_of(r) + c * TOY_WIDTH, TOY_WIDTH * 4);
}

static void head(const NAME_Run *r, const void *layer, NAME_Worker *me, int c, int count,
                 const uint8_t *next)
{
    (void)layer;
    hook(me, c, count, next);
    for (int o = 0; o < r->O; o++) {
        uint32_t sum = 0;

        for (int d = 0; d < TOY_WIDTH; d++)
            sum = toy_mix(sum, x_of(r)[(r->T - r->O + o) * TOY_WIDTH + d]);
        for (int v = c * TOY_VOCAB / TOY_HEAD_CHUNKS; v < (c + 1) * TOY_VOCAB / TOY_HEAD_CHUNKS;
             v++)
            r->logits[(size_t)o * TOY_VOCAB + (size_t)v] =
                (float)(toy_mix(sum, (uint32_t)v) >> 12) / 65536.0f;
    }
}

/* ---- schedule -------------------------------------------------------------------------------- */

static const Layer layers[TOY_LAYERS] = { { TOY_EMBD_OFF, 0 },
                                          { TOY_EMBD_OFF, 1 },
                                          { TOY_EMBD_OFF, 2 } };

static void stage(const NAME_Run *r, NAME_Worker *me, NAME_StageFn *fn, const void *layer, int n)
{
    if (toy_before_stage)
        toy_before_stage(me);
    NAME_stage_stream(r, me, fn, layer, n, r->w + TOY_EMBD_OFF, 1000, r->w);
#ifdef NAME_TRACE
    if (me->id == 0 && layer)
        NAME_trace((int)((const Layer *)layer - layers), fn == r->stages->keep ? "keep" : "other",
                   (const float *)(void *)r->arena, 2);
#endif
}

static void run(const NAME_Run *r, NAME_Worker *me)
{
    const NAME_Stages *s = r->stages;

    stage(r, me, s->embed, &layers[0], r->T);
    for (int l = 0; l < TOY_LAYERS; l++) {
        stage(r, me, s->keep, &layers[l], (r->T + 2) / 3);
        stage(r, me, s->look, &layers[l], r->T * TOY_HEADS);
        stage(r, me, back, NULL, r->T);
    }
    stage(r, me, s->head, NULL, r->O ? TOY_HEAD_CHUNKS : 0);
}

static const NAME_Stages stages = { embed, keep, look, head };
static const NAME_StateDesc states[TOY_LAYERS] = { { TOY_WIDTH * 4, 1 },
                                                   { TOY_WIDTH * 4, 1 },
                                                   { TOY_WIDTH * 4, 1 } };
static const char *const features_dream[] = { "a_feature_no_cpu_has", NULL };
#ifdef TOY_DREAM
static const NAME_Isa isas[] = { { "dream", features_dream, &stages } };
#else
static const char *const features_plain[] = { NULL };
static const NAME_Isa isas[] = { { "dream", features_dream, NULL },
                                 { "plain", features_plain, &stages } };
#endif

const NAME_Desc NAME_desc = {
    .digest = { TOY_DIGEST_0, TOY_DIGEST_1 },
    .weights_bytes = TOY_WEIGHTS_BYTES,
    .n_state = TOY_LAYERS,
    .state = states,
    .arena_bytes = ARENA,
    .scratch_bytes = TOY_MAX_TOKENS * TOY_WIDTH * 4,
    .n_ids = TOY_VOCAB,
    .n_vocab = TOY_VOCAB,
    .n_ctx = TOY_CTX,
    .max_tokens = TOY_MAX_TOKENS,
    .decode = run,
    .prefill = run,
    .verify = run,
    .isa = isas,
    .n_isa = (int)(sizeof isas / sizeof isas[0]),
};

/* ---- the same by plain loops ----------------------------------------------------------------- */

void toy_reference(const int32_t *ids, int n, float *logits)
{
    uint32_t *x = malloc((size_t)n * TOY_WIDTH * 4), *y = malloc((size_t)n * TOY_WIDTH * 4);

    for (int t = 0; t < n; t++)
        for (int d = 0; d < TOY_WIDTH; d++)
            x[t * TOY_WIDTH + d] = toy_mix(toy_embd(ids[t], d), (uint32_t)d);
    for (int l = 0; l < TOY_LAYERS; l++) {
        for (int t = 0; t < n; t++)
            for (int d = 0; d < TOY_WIDTH; d++) {
                uint32_t sum = x[t * TOY_WIDTH + d];

                for (int p = 0; p <= t; p++)
                    sum = toy_mix(sum, x[p * TOY_WIDTH + d / 4 * 4 + p % 4]);
                y[t * TOY_WIDTH + d] = sum;
            }
        memcpy(x, y, (size_t)n * TOY_WIDTH * 4);
    }
    for (int t = 0; t < n; t++) {
        uint32_t sum = 0;

        for (int d = 0; d < TOY_WIDTH; d++)
            sum = toy_mix(sum, x[t * TOY_WIDTH + d]);
        for (uint32_t v = 0; v < TOY_VOCAB; v++)
            logits[(size_t)t * TOY_VOCAB + v] = (float)(toy_mix(sum, v) >> 12) / 65536.0f;
    }
    free(x);
    free(y);
}
