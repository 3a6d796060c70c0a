/* A toy model: what the C writer would print for a network whose every output depends on every
 * token before it.
 *
 *     x[t][d]   = mix(embd[id][d], d)                    stage embed, a chunk per token
 *     layer l:    k_l[P+t][d] = x[t][d]                  stage keep, a chunk per 3 tokens
 *                 x[t][d] = mix over p = 0..P+t of       stage look, a chunk per token and head
 *                           k_l[p][4 (d / 4) + p % 4]
 *     logits[v] = top 20 bits of mix(sum of x[T-1], v)   stage head, 8 chunks
 *
 * Integers mod 2^32, so every schedule must give exactly what the plain loops of toy_reference
 * give. */
#ifndef TOY_H
#define TOY_H

#include "runtime/core/internal.h"

enum {
    TOY_VOCAB = 501,
    TOY_WIDTH = 16,
    TOY_HEADS = 4,
    TOY_LAYERS = 3,
    TOY_CTX = 300,
    TOY_MAX_TOKENS = 16,
    TOY_HEAD_CHUNKS = 8
};
#define TOY_EMBD "embd"                 /* section: u32 [TOY_EMBD_ROWS, TOY_WIDTH]: three chunks */
#define TOY_BLOB "words"                /* section: TOY_BLOB_BYTES bytes, byte i is i * i */
enum { TOY_EMBD_ROWS = 10000, TOY_BLOB_BYTES = 100 };

uint32_t toy_mix(uint32_t a, uint32_t b);
/* What the weights hold: element d of row `row`. */
static inline uint32_t toy_embd(int row, int d)
{
    return (uint32_t)row * 2654435761u ^ (uint32_t)d * 40503u;
}

/* The logits after each of n tokens, [n, TOY_VOCAB], by plain loops. */
void toy_reference(const int32_t *ids, int n, float *logits);

/* Hooks of the tests, NULL: none.  Called before each stage by every thread, and before each chunk
 * by the one that computes it. */
extern void (*toy_before_stage)(const NAME_Worker *me);
extern void (*toy_before_chunk)(const NAME_Worker *me, int chunk, int count, const uint8_t *next);

#endif
