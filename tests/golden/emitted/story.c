/* The schedule of story.
 *
 * made by  sinter build story.gguf -t x86_64-v4,x86_64 --name story --act q8 --kv f16
 * from     story.gguf, 1009952 bytes, XXH3-128 e1a8885ed87bcdb2f7af7d1547e57066
 * weights   arena 345088 B   scratch 704 B per thread   up to 256 tokens at a time
 */
#include "story_internal.h"

static const story_Layer layers[4] = {
    { 3008, 3520, 20928, 29632, 0, 1, 38336, 55744, 56256, 60608, 160704 },
    { 212928, 213440, 230848, 239552, 2, 3, 248256, 265664, 266176, 270528, 370624 },
    { 422848, 423360, 440768, 449472, 4, 5, 458176, 475584, 476096, 480448, 580544 },
    { 632768, 633280, 650688, 659392, 6, 7, 668096, 685504, 686016, 690368, 790464 },
};

static void decode_layer(const story_Run *r, story_Worker *me, const story_Layer *args, int layer)
{
    const story_Stages *s = r->stages;

    (void)layer;
    story_stage(r, me, s->decode_layer_attn_q_k_v, args, 4);
#ifdef story_TRACE
    if (me->id == 0)
        story_trace(layer, "attn_q_rope", (const float *)(r->arena + 0), (size_t)(1) * 128);
#endif
    story_stage(r, me, s->decode_layer_attention, args, 4 / (r->n_threads <= 3 ? 2 : 1));
#ifdef story_TRACE
#endif
    story_stage(r, me, s->decode_layer_attn_output, args, 2);
#ifdef story_TRACE
    if (me->id == 0)
        story_trace(layer, "attn_res", (const float *)(r->arena + 704), (size_t)(1) * 128);
#endif
    story_stage(r, me, s->decode_layer_ffn_gate_up, args, 12);
#ifdef story_TRACE
#endif
    story_stage(r, me, s->decode_layer_ffn_down, args, 4);
#ifdef story_TRACE
    if (me->id == 0)
        story_trace(layer, "ffn_out", (const float *)(r->arena + 704), (size_t)(1) * 128);
#endif
}

static void decode(const story_Run *r, story_Worker *me)
{
    const story_Stages *s = r->stages;

    story_stage(r, me, s->decode_embd, NULL, 1);
#ifdef story_TRACE
    if (me->id == 0)
        story_trace(-1, "rope_cs", (const float *)(r->arena + 1216), (size_t)(1) * 32);
    if (me->id == 0)
        story_trace(-1, "embd", (const float *)(r->arena + 704), (size_t)(1) * 128);
#endif
    for (int i = 0; i < 4; i++)
        decode_layer(r, me, &layers[0 + i], 0 + i);
    story_stage(r, me, s->decode_logits, NULL, r->O ? 11 : 0);
#ifdef story_TRACE
    if (me->id == 0)
        story_trace(-1, "logits", r->logits, (size_t)(r->O) * 1024);
#endif
}

static void prefill_layer(const story_Run *r, story_Worker *me, const story_Layer *args, int layer)
{
    const story_Stages *s = r->stages;

    (void)layer;
    story_stage(r, me, s->prefill_layer_attn_norm, args, (r->T + 7) / 8);
#ifdef story_TRACE
#endif
    story_stage(r, me, s->prefill_layer_attn_q_k_v, args, 4);
#ifdef story_TRACE
    if (me->id == 0)
        story_trace(layer, "attn_q_rope", (const float *)(r->arena + 0), (size_t)(r->T) * 128);
#endif
    story_stage(r, me, s->prefill_layer_attention, args, 4 * ((r->T + 31) / 32));
#ifdef story_TRACE
#endif
    story_stage(r, me, s->prefill_layer_attn_output, args, 2);
#ifdef story_TRACE
    if (me->id == 0)
        story_trace(layer, "attn_res", (const float *)(r->arena + 180224), (size_t)(r->T) * 128);
#endif
    story_stage(r, me, s->prefill_layer_ffn_norm, args, (r->T + 7) / 8);
#ifdef story_TRACE
#endif
    story_stage(r, me, s->prefill_layer_ffn_gate_up, args, 12);
#ifdef story_TRACE
#endif
    story_stage(r, me, s->prefill_layer_ffn_down, args, 4);
#ifdef story_TRACE
    if (me->id == 0)
        story_trace(layer, "ffn_out", (const float *)(r->arena + 180224), (size_t)(r->T) * 128);
#endif
}

static void prefill(const story_Run *r, story_Worker *me)
{
    const story_Stages *s = r->stages;

    story_stage(r, me, s->prefill_embd, NULL, (r->T + 7) / 8);
#ifdef story_TRACE
    if (me->id == 0)
        story_trace(-1, "rope_cs", (const float *)(r->arena + 311296), (size_t)(r->T) * 32);
    if (me->id == 0)
        story_trace(-1, "embd", (const float *)(r->arena + 180224), (size_t)(r->T) * 128);
#endif
    for (int i = 0; i < 4; i++)
        prefill_layer(r, me, &layers[0 + i], 0 + i);
    story_stage(r, me, s->prefill_output_norm, NULL, (r->O + 7) / 8);
#ifdef story_TRACE
#endif
    story_stage(r, me, s->prefill_logits, NULL, r->O ? 11 : 0);
#ifdef story_TRACE
    if (me->id == 0)
        story_trace(-1, "logits", r->logits, (size_t)(r->O) * 1024);
#endif
}

/* Bytes of one position of each state. */
static const story_StateDesc states[8] = {
    { 128, 1 },    /* kv.0.k */
    { 128, 1 },    /* kv.0.v */
    { 128, 1 },    /* kv.1.k */
    { 128, 1 },    /* kv.1.v */
    { 128, 1 },    /* kv.2.k */
    { 128, 1 },    /* kv.2.v */
    { 128, 1 },    /* kv.3.k */
    { 128, 1 },    /* kv.3.v */
};

static const char *const features_x86_64_v4[] = { "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vl", "avx512dq", "avx512cd", "avx512_vnni", NULL };
static const char *const features_x86_64[] = { NULL };

/* Best first: the first that this CPU can run is used. */
static const story_Isa isas[2] = {
    { "x86_64-v4", features_x86_64_v4, &story_stages_x86_64_v4 },
    { "x86_64", features_x86_64, &story_stages_x86_64 },
};

const story_Desc story_desc = {
    .linked = NULL,
    .n_state = 8,
    .state = states,
    .arena_bytes = 345088,
    .scratch_bytes = 704,
    .n_ids = 1024,
    .n_vocab = 1024,
    .n_ctx = 512,
    .max_tokens = 256,
    .n_head_tile = 0,
    .decode = decode,
    .prefill = prefill,
    .verify = prefill,
    .isa = isas,
    .n_isa = 2,
};
