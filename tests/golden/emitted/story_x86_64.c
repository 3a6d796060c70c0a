/* Stages of story for x86_64.  Compiled with this target's flags; nothing else is. */
#include "story_internal.h"
#include "kernels_x86_64.h"

/* decode_embd: positions (pos) rope_angles (rope_cs) rows (embd).
 *   reads  ids                  i32[1]
 *   writes pos                  i32[1]
 *   writes rope_cs              f32[1,32]
 *   writes embd                 f32[1,128]
 * A chunk is 1 token. */
static void decode_embd(const story_Run *r, const void *layer, story_Worker *me, int c, int count, const uint8_t *next)
{
    (void)layer, (void)me, (void)c, (void)count, (void)next;
    const float *rope_freq = (const float *)(r->w + 2944);    /* f32[16] */
    const uint8_t *token_embd_weight = r->w + 843200;    /* q8_0[1024,128] as i8g32_r32k4 */
    const int32_t *ids = r->ids;    /* i32[1] */
    int32_t *pos_out = (int32_t *)(r->arena + 1344);    /* i32[1] */
    float *rope_cs_out = (float *)(r->arena + 1216);    /* f32[1,32] */
    float *embd_out = (float *)(r->arena + 704);    /* f32[1,128] */

    pos_out[0] = r->P + 0;
    for (int k = 0; k < 16; k++) {
        sn_sincos((double)((float)pos_out[0] * rope_freq[k]), rope_cs_out + 2 * k + 1, rope_cs_out + 2 * k);
    }
    sn_row_i8g32_r32k4(embd_out, token_embd_weight + (size_t)(ids[0] / 32) * 4352, ids[0] % 32, 128);
}

/* decode_logits: last_rows (last) rmsnorm (output_norm) quant (output_norm) matmul (logits).
 *   reads  blk_3_ffn_out        f32[1,128]
 *   writes logits               f32[O,1024]
 * Chunks: 11 of 3 tiles of 32 outputs, each for all tokens of the call. */
static void decode_logits(const story_Run *r, const void *layer, story_Worker *me, int c, int count, const uint8_t *next)
{
    (void)layer, (void)next;
    const float *blk_3_ffn_out = (const float *)(r->arena + 704);    /* f32[1,128] */
    const float *output_norm_weight = (const float *)(r->w + 842688);    /* f32[128] */
    const uint8_t *token_embd_weight = r->w + 843200;    /* q8_0[1024,128] as i8g32_r32k4 */
    float *logits_out = r->logits;    /* f32[O,1024] */
    float *output_norm = (float *)(me->scratch + 0);    /* f32[O,128], this thread's own */
    SnQ8 *output_norm_q8 = (SnQ8 *)(me->scratch + 512);    /* q8[O,128], this thread's own */

    if (count == 1) {
        sn_rmsnorm(output_norm, (blk_3_ffn_out + (size_t)(1 - r->O) * 128), output_norm_weight, 128, 1e-05f);
        for (int k = 0; k < 4; k++)
            sn_quant_q8(output_norm_q8 + k, output_norm + 32 * k);
    }
    for (int i = 96 * c; i < 96 * c + 96 && i < 1024; i += 32) {
        const uint8_t *logits_tile = token_embd_weight + (size_t)(i / 32) * 4352;
        float logits[32];

        sn_dot_i8g32_r32k4_q8_portable(logits, logits_tile, output_norm_q8, 128, logits_tile + 4352);
        for (int k = 0; k < 32; k++)
            logits_out[i + k] = logits[k];
    }
}

/* prefill_embd: positions (pos) rope_angles (rope_cs) rows (embd).
 *   reads  ids                  i32[T]
 *   writes pos                  i32[T]
 *   writes rope_cs              f32[T,32]
 *   writes embd                 f32[T,128]
 * A chunk is 8 tokens. */
static void prefill_embd(const story_Run *r, const void *layer, story_Worker *me, int c, int count, const uint8_t *next)
{
    (void)layer, (void)me, (void)count, (void)next;
    const float *rope_freq = (const float *)(r->w + 2944);    /* f32[16] */
    const uint8_t *token_embd_weight = r->w + 843200;    /* q8_0[1024,128] as i8g32_r32k4 */
    const int32_t *ids = r->ids;    /* i32[T] */
    int32_t *pos_out = (int32_t *)(r->arena + 344064);    /* i32[T] */
    float *rope_cs_out = (float *)(r->arena + 311296);    /* f32[T,32] */
    float *embd_out = (float *)(r->arena + 180224);    /* f32[T,128] */

    for (int t = 8 * c; t < 8 * (c + 1) && t < r->T; t++) {
        pos_out[t] = r->P + t;
        for (int k = 0; k < 16; k++) {
            sn_sincos((double)((float)pos_out[t] * rope_freq[k]), (rope_cs_out + (size_t)t * 32) + 2 * k + 1, (rope_cs_out + (size_t)t * 32) + 2 * k);
        }
        sn_row_i8g32_r32k4((embd_out + (size_t)t * 128), token_embd_weight + (size_t)(ids[t] / 32) * 4352, ids[t] % 32, 128);
    }
}

/* prefill_output_norm: last_rows (last) rmsnorm (output_norm) quant (output_norm).
 *   reads  blk_3_ffn_out        f32[T,128]
 *   writes output_norm_q8       q8[O,128]
 * A chunk is 8 tokens. */
static void prefill_output_norm(const story_Run *r, const void *layer, story_Worker *me, int c, int count, const uint8_t *next)
{
    (void)layer, (void)count, (void)next;
    const float *blk_3_ffn_out = (const float *)(r->arena + 180224);    /* f32[T,128] */
    const float *output_norm_weight = (const float *)(r->w + 842688);    /* f32[128] */
    SnQ8 *output_norm_q8_out = (SnQ8 *)(r->arena + 0);    /* q8[O,128] */

    for (int t = 8 * c; t < 8 * (c + 1) && t < r->O; t++) {
        float *output_norm = (float *)(me->scratch + 0);    /* f32[O,128] */
        sn_rmsnorm(output_norm, (blk_3_ffn_out + (size_t)(r->T - r->O + t) * 128), output_norm_weight, 128, 1e-05f);
        for (int k = 0; k < 4; k++)
            sn_quant_q8((output_norm_q8_out + (size_t)t * 4) + k, output_norm + 32 * k);
    }
}

/* prefill_logits: matmul (logits).
 *   reads  output_norm_q8       q8[O,128]
 *   writes logits               f32[O,1024]
 * Chunks: 11 of 3 tiles of 32 outputs, each for all tokens of the call. */
static void prefill_logits(const story_Run *r, const void *layer, story_Worker *me, int c, int count, const uint8_t *next)
{
    (void)layer, (void)me, (void)count, (void)next;
    const SnQ8 *output_norm_q8 = (const SnQ8 *)(r->arena + 0);    /* q8[O,128] */
    const uint8_t *token_embd_weight = r->w + 843200;    /* q8_0[1024,128] as i8g32_r32k4 */
    float *logits_out = r->logits;    /* f32[O,1024] */

    for (int i = 96 * c; i < 96 * c + 96 && i < 1024; i += 32) {
        const uint8_t *logits_tile = token_embd_weight + (size_t)(i / 32) * 4352;
        for (int u = 0; u < r->O; u += 4) {
            float logits_4[4 * 32];
            int n_t = r->O - u < 4 ? r->O - u : 4;

            if (n_t > 1)
                sn_dot4_i8g32_r32k4_q8_portable(logits_4, logits_tile, output_norm_q8 + (size_t)u * 4, 4, 128, u ? NULL : logits_tile + 4352);
            else
                for (int t = 0; t < n_t; t++)
                    sn_dot_i8g32_r32k4_q8_portable(logits_4 + 32 * t, logits_tile, output_norm_q8 + (size_t)(u + t) * 4, 128, NULL);
            for (int t = u; t < u + n_t; t++) {
                const float *logits = logits_4 + 32 * (t - u);

                for (int k = 0; k < 32; k++)
                    logits_out[(size_t)t * 1024 + (size_t)(i + k)] = logits[k];
            }
        }
    }
}

/* decode_layer_attn_q_k_v: rmsnorm (attn_norm) quant (attn_norm) matmul (attn_q) matmul (attn_k) matmul (attn_v) rope (attn_q_rope) rope (attn_k_rope) append (attn_k_append) append (attn_v_append).
 *   reads  x                    f32[1,128]
 *   reads  rope_cs              f32[1,32]
 *   writes attn_q_rope          f32[1,128]
 * Chunks: 2 of 3 tiles of 32 outputs, 1 of 3 tiles of 32 outputs, 1 of 3 tiles of 32 outputs, each for all tokens of the call. */
static void decode_layer_attn_q_k_v(const story_Run *r, const void *layer, story_Worker *me, int c, int count, const uint8_t *next)
{
    (void)next;
    const story_Layer *args = (const story_Layer *)layer;
    const float *x = (const float *)(r->arena + 704);    /* f32[1,128] */
    const float *attn_norm_w = (const float *)(r->w + args->attn_norm_w);    /* f32[128] */
    const uint8_t *attn_q_w = r->w + args->attn_q_w;    /* q8_0[128,128] as i8g32_r32k4 */
    const uint8_t *attn_k_w = r->w + args->attn_k_w;    /* q8_0[64,128] as i8g32_r32k4 */
    const uint8_t *attn_v_w = r->w + args->attn_v_w;    /* q8_0[64,128] as i8g32_r32k4 */
    const float *rope_cs = (const float *)(r->arena + 1216);    /* f32[1,32] */
    uint16_t *kv_k = (uint16_t *)r->state[args->kv_k];    /* f16[C,64] */
    uint16_t *kv_v = (uint16_t *)r->state[args->kv_v];    /* f16[C,64] */
    float *attn_q_rope_out = (float *)(r->arena + 0);    /* f32[1,128] */
    float *attn_norm = (float *)(me->scratch + 0);    /* f32[1,128], this thread's own */
    SnQ8 *attn_norm_q8 = (SnQ8 *)(me->scratch + 512);    /* q8[1,128], this thread's own */

    if (count == 1) {
        sn_rmsnorm(attn_norm, x, attn_norm_w, 128, 1e-05f);
        for (int k = 0; k < 4; k++)
            sn_quant_q8(attn_norm_q8 + k, attn_norm + 32 * k);
    }
    if (c < 2) {
        for (int i = 96 * c; i < 96 * c + 96 && i < 128; i += 32) {
            const uint8_t *attn_q_tile = attn_q_w + (size_t)(i / 32) * 4352;
            float attn_q[32];

            sn_dot_i8g32_r32k4_q8_portable(attn_q, attn_q_tile, attn_norm_q8, 128, attn_q_tile + 4352);
            float attn_q_rope[32];

            for (int u = 0; u < 32; u += 32) {
                for (int k = 0; k < 16; k++) {
                    float a = attn_q[u + 2 * k], b = attn_q[u + 2 * k + 1];

                    attn_q_rope[u + 2 * k] = a * rope_cs[2 * k] + b * sn_minus(rope_cs[2 * k + 1]);
                    attn_q_rope[u + 2 * k + 1] = b * rope_cs[2 * k] + a * rope_cs[2 * k + 1];
                }
            }
            for (int k = 0; k < 32; k++)
                attn_q_rope_out[i + k] = attn_q_rope[k];
        }
    } else if (c < 3) {
        c -= 2;
        for (int i = 96 * c; i < 96 * c + 96 && i < 64; i += 32) {
            const uint8_t *attn_k_tile = attn_k_w + (size_t)(i / 32) * 4352;
            float attn_k[32];

            sn_dot_i8g32_r32k4_q8_portable(attn_k, attn_k_tile, attn_norm_q8, 128, attn_k_tile + 4352);
            float attn_k_rope[32];

            for (int u = 0; u < 32; u += 32) {
                for (int k = 0; k < 16; k++) {
                    float a = attn_k[u + 2 * k], b = attn_k[u + 2 * k + 1];

                    attn_k_rope[u + 2 * k] = a * rope_cs[2 * k] + b * sn_minus(rope_cs[2 * k + 1]);
                    attn_k_rope[u + 2 * k + 1] = b * rope_cs[2 * k] + a * rope_cs[2 * k + 1];
                }
            }
            sn_store_f16_portable(kv_k + (size_t)r->P * 64 + i, attn_k_rope, 32);
        }
    } else {
        c -= 3;
        for (int i = 96 * c; i < 96 * c + 96 && i < 64; i += 32) {
            const uint8_t *attn_v_tile = attn_v_w + (size_t)(i / 32) * 4352;
            float attn_v[32];

            sn_dot_i8g32_r32k4_q8_portable(attn_v, attn_v_tile, attn_norm_q8, 128, attn_v_tile + 4352);
            sn_store_f16_portable(kv_v + (size_t)r->P * 64 + i, attn_v, 32);
        }
    }
}

/* decode_layer_attention: attention (attn) quant (attn).
 *   reads  attn_q_rope          f32[1,128]
 *   reads  pos                  i32[1]
 *   writes attn_q8              q8[1,128]
 * A chunk is up to 2 heads that share K and V. */
static void decode_layer_attention(const story_Run *r, const void *layer, story_Worker *me, int c, int count, const uint8_t *next)
{
    (void)me, (void)count, (void)next;
    const story_Layer *args = (const story_Layer *)layer;
    const float *attn_q_rope = (const float *)(r->arena + 0);    /* f32[1,128] */
    uint16_t *kv_k = (uint16_t *)r->state[args->kv_k];    /* f16[C,64] */
    uint16_t *kv_v = (uint16_t *)r->state[args->kv_v];    /* f16[C,64] */
    const int32_t *pos = (const int32_t *)(r->arena + 1344);    /* i32[1] */
    SnQ8 *attn_q8_out = (SnQ8 *)(r->arena + 512);    /* q8[1,128] */

    int n = r->n_threads <= 3 ? 2 : 1, h = c * n;    /* heads of this chunk, the first of them */
    int t = 0, g = h / 2 * 32;    /* where their K and V begin */

    for (int j = 0; j < n; j++) {
        int i = (h + j) * 32;    /* where its head begins in a row */
        float attn[32] = { 0 }, s[128], max = -3.4e38f, sum = 0;
        int end = pos[t] + 1;

        for (int p = 0, to; p < end; p = to) {
            float top, shrink;

            to = p / 128 * 128 + 128 < end ? p / 128 * 128 + 128 : end;
            sn_score_f16_portable(s, attn_q_rope + (size_t)t * 128 + i, kv_k + (size_t)p * 64 + g, 64, to - p, 32, 0.17677669f);
            top = sn_max(s, to - p);
            if (top > max) {
                shrink = sn_exp(max - top);
                sum *= shrink;
                for (int k = 0; k < 32; k++)
                    attn[k] *= shrink;
                max = top;
            }
            sum += sn_exp_sum(s, to - p, max);
            sn_mix_f16_portable(attn, s, kv_v + (size_t)p * 64 + g, 64, to - p, 32);
        }
        for (int k = 0; k < 32; k++)
            attn[k] /= sum;
        sn_quant_q8(attn_q8_out + (size_t)t * 4 + i / 32, attn);
    }
}

/* decode_layer_attn_output: matmul (attn_output) add (attn_res).
 *   reads  attn_q8              q8[1,128]
 *   reads  x                    f32[1,128]
 *   writes attn_res             f32[1,128]
 * Chunks: 2 of 3 tiles of 32 outputs, each for all tokens of the call. */
static void decode_layer_attn_output(const story_Run *r, const void *layer, story_Worker *me, int c, int count, const uint8_t *next)
{
    (void)me, (void)count, (void)next;
    const story_Layer *args = (const story_Layer *)layer;
    const SnQ8 *attn_q8 = (const SnQ8 *)(r->arena + 512);    /* q8[1,128] */
    const uint8_t *attn_output_w = r->w + args->attn_output_w;    /* q8_0[128,128] as i8g32_r32k4 */
    const float *x = (const float *)(r->arena + 704);    /* f32[1,128] */
    float *attn_res_out = (float *)(r->arena + 704);    /* f32[1,128] */

    for (int i = 96 * c; i < 96 * c + 96 && i < 128; i += 32) {
        const uint8_t *attn_output_tile = attn_output_w + (size_t)(i / 32) * 4352;
        float attn_output[32];

        sn_dot_i8g32_r32k4_q8_portable(attn_output, attn_output_tile, attn_q8, 128, attn_output_tile + 4352);
        for (int k = 0; k < 32; k++)
            attn_res_out[i + k] = x[i + k] + attn_output[k];
    }
}

/* decode_layer_ffn_gate_up: rmsnorm (ffn_norm) quant (ffn_norm) matmul (ffn_gate) matmul (ffn_up) silu (ffn_silu) mul (ffn_act) quant (ffn_act).
 *   reads  attn_res             f32[1,128]
 *   writes ffn_act_q8           q8[1,384]
 * Chunks: 12 of 1 tile of 32 outputs, each for all tokens of the call. */
static void decode_layer_ffn_gate_up(const story_Run *r, const void *layer, story_Worker *me, int c, int count, const uint8_t *next)
{
    (void)next;
    const story_Layer *args = (const story_Layer *)layer;
    const float *attn_res = (const float *)(r->arena + 704);    /* f32[1,128] */
    const float *ffn_norm_w = (const float *)(r->w + args->ffn_norm_w);    /* f32[128] */
    const uint8_t *ffn_gate_w = r->w + args->ffn_gate_w;    /* q8_0[384,128] as i8g32_r32k4 */
    const uint8_t *ffn_up_w = r->w + args->ffn_up_w;    /* q8_0[384,128] as i8g32_r32k4 */
    SnQ8 *ffn_act_q8_out = (SnQ8 *)(r->arena + 0);    /* q8[1,384] */
    float *ffn_norm = (float *)(me->scratch + 0);    /* f32[1,128], this thread's own */
    SnQ8 *ffn_norm_q8 = (SnQ8 *)(me->scratch + 512);    /* q8[1,128], this thread's own */

    if (count == 1) {
        sn_rmsnorm(ffn_norm, attn_res, ffn_norm_w, 128, 1e-05f);
        for (int k = 0; k < 4; k++)
            sn_quant_q8(ffn_norm_q8 + k, ffn_norm + 32 * k);
    }
    int i = 32 * c;
    const uint8_t *ffn_gate_tile = ffn_gate_w + (size_t)(i / 32) * 8704;
    const uint8_t *ffn_up_tile = ffn_up_w + (size_t)(i / 32) * 8704;
    float ffn_gate[32];
    float ffn_up[32];

    sn_dot_i8g32_r32k4_q8_portable(ffn_gate, ffn_gate_tile, ffn_norm_q8, 128, ffn_up_tile);
    sn_dot_i8g32_r32k4_q8_portable(ffn_up, ffn_up_tile, ffn_norm_q8, 128, ffn_gate_tile + 8704);
    float ffn_act[32];

    for (int k = 0; k < 32; k++)
        ffn_act[k] = sn_silu(ffn_gate[k]) * ffn_up[k];
    sn_quant_q8(ffn_act_q8_out + i / 32, ffn_act);
}

/* decode_layer_ffn_down: matmul (ffn_down) add (ffn_out).
 *   reads  ffn_act_q8           q8[1,384]
 *   reads  attn_res             f32[1,128]
 *   writes ffn_out              f32[1,128]
 * Chunks: 4 of 1 tile of 32 outputs, each for all tokens of the call. */
static void decode_layer_ffn_down(const story_Run *r, const void *layer, story_Worker *me, int c, int count, const uint8_t *next)
{
    (void)me, (void)count, (void)next;
    const story_Layer *args = (const story_Layer *)layer;
    const SnQ8 *ffn_act_q8 = (const SnQ8 *)(r->arena + 0);    /* q8[1,384] */
    const uint8_t *ffn_down_w = r->w + args->ffn_down_w;    /* q8_0[128,384] as i8g32_r32k4 */
    const float *attn_res = (const float *)(r->arena + 704);    /* f32[1,128] */
    float *ffn_out_out = (float *)(r->arena + 704);    /* f32[1,128] */

    int i = 32 * c;
    const uint8_t *ffn_down_tile = ffn_down_w + (size_t)(i / 32) * 13056;
    float ffn_down[32];

    sn_dot_i8g32_r32k4_q8_portable(ffn_down, ffn_down_tile, ffn_act_q8, 384, ffn_down_tile + 13056);
    for (int k = 0; k < 32; k++)
        ffn_out_out[i + k] = attn_res[i + k] + ffn_down[k];
}

/* prefill_layer_attn_norm: rmsnorm (attn_norm) quant (attn_norm).
 *   reads  x                    f32[T,128]
 *   writes attn_norm_q8         q8[T,128]
 * A chunk is 8 tokens. */
static void prefill_layer_attn_norm(const story_Run *r, const void *layer, story_Worker *me, int c, int count, const uint8_t *next)
{
    (void)count, (void)next;
    const story_Layer *args = (const story_Layer *)layer;
    const float *x = (const float *)(r->arena + 180224);    /* f32[T,128] */
    const float *attn_norm_w = (const float *)(r->w + args->attn_norm_w);    /* f32[128] */
    SnQ8 *attn_norm_q8_out = (SnQ8 *)(r->arena + 131072);    /* q8[T,128] */

    for (int t = 8 * c; t < 8 * (c + 1) && t < r->T; t++) {
        float *attn_norm = (float *)(me->scratch + 0);    /* f32[T,128] */
        sn_rmsnorm(attn_norm, (x + (size_t)t * 128), attn_norm_w, 128, 1e-05f);
        for (int k = 0; k < 4; k++)
            sn_quant_q8((attn_norm_q8_out + (size_t)t * 4) + k, attn_norm + 32 * k);
    }
}

/* prefill_layer_attn_q_k_v: matmul (attn_q) matmul (attn_k) matmul (attn_v) rope (attn_q_rope) rope (attn_k_rope) append (attn_k_append) append (attn_v_append).
 *   reads  attn_norm_q8         q8[T,128]
 *   reads  rope_cs              f32[T,32]
 *   writes attn_q_rope          f32[T,128]
 * Chunks: 2 of 3 tiles of 32 outputs, 1 of 3 tiles of 32 outputs, 1 of 3 tiles of 32 outputs, each for all tokens of the call. */
static void prefill_layer_attn_q_k_v(const story_Run *r, const void *layer, story_Worker *me, int c, int count, const uint8_t *next)
{
    (void)me, (void)count, (void)next;
    const story_Layer *args = (const story_Layer *)layer;
    const SnQ8 *attn_norm_q8 = (const SnQ8 *)(r->arena + 131072);    /* q8[T,128] */
    const uint8_t *attn_q_w = r->w + args->attn_q_w;    /* q8_0[128,128] as i8g32_r32k4 */
    const uint8_t *attn_k_w = r->w + args->attn_k_w;    /* q8_0[64,128] as i8g32_r32k4 */
    const uint8_t *attn_v_w = r->w + args->attn_v_w;    /* q8_0[64,128] as i8g32_r32k4 */
    const float *rope_cs = (const float *)(r->arena + 311296);    /* f32[T,32] */
    uint16_t *kv_k = (uint16_t *)r->state[args->kv_k];    /* f16[C,64] */
    uint16_t *kv_v = (uint16_t *)r->state[args->kv_v];    /* f16[C,64] */
    float *attn_q_rope_out = (float *)(r->arena + 0);    /* f32[T,128] */

    if (c < 2) {
        for (int i = 96 * c; i < 96 * c + 96 && i < 128; i += 32) {
            const uint8_t *attn_q_tile = attn_q_w + (size_t)(i / 32) * 4352;
            for (int u = 0; u < r->T; u += 4) {
                float attn_q_4[4 * 32];
                int n_t = r->T - u < 4 ? r->T - u : 4;

                if (n_t > 1)
                    sn_dot4_i8g32_r32k4_q8_portable(attn_q_4, attn_q_tile, attn_norm_q8 + (size_t)u * 4, 4, 128, u ? NULL : attn_q_tile + 4352);
                else
                    for (int t = 0; t < n_t; t++)
                        sn_dot_i8g32_r32k4_q8_portable(attn_q_4 + 32 * t, attn_q_tile, attn_norm_q8 + (size_t)(u + t) * 4, 128, NULL);
                for (int t = u; t < u + n_t; t++) {
                    const float *attn_q = attn_q_4 + 32 * (t - u);

                    float attn_q_rope[32];

                    for (int u = 0; u < 32; u += 32) {
                        for (int k = 0; k < 16; k++) {
                            float a = attn_q[u + 2 * k], b = attn_q[u + 2 * k + 1];

                            attn_q_rope[u + 2 * k] = a * (rope_cs + (size_t)t * 32)[2 * k] + b * sn_minus((rope_cs + (size_t)t * 32)[2 * k + 1]);
                            attn_q_rope[u + 2 * k + 1] = b * (rope_cs + (size_t)t * 32)[2 * k] + a * (rope_cs + (size_t)t * 32)[2 * k + 1];
                        }
                    }
                    for (int k = 0; k < 32; k++)
                        attn_q_rope_out[(size_t)t * 128 + (size_t)(i + k)] = attn_q_rope[k];
                }
            }
        }
    } else if (c < 3) {
        c -= 2;
        for (int i = 96 * c; i < 96 * c + 96 && i < 64; i += 32) {
            const uint8_t *attn_k_tile = attn_k_w + (size_t)(i / 32) * 4352;
            for (int u = 0; u < r->T; u += 4) {
                float attn_k_4[4 * 32];
                int n_t = r->T - u < 4 ? r->T - u : 4;

                if (n_t > 1)
                    sn_dot4_i8g32_r32k4_q8_portable(attn_k_4, attn_k_tile, attn_norm_q8 + (size_t)u * 4, 4, 128, u ? NULL : attn_k_tile + 4352);
                else
                    for (int t = 0; t < n_t; t++)
                        sn_dot_i8g32_r32k4_q8_portable(attn_k_4 + 32 * t, attn_k_tile, attn_norm_q8 + (size_t)(u + t) * 4, 128, NULL);
                for (int t = u; t < u + n_t; t++) {
                    const float *attn_k = attn_k_4 + 32 * (t - u);

                    float attn_k_rope[32];

                    for (int u = 0; u < 32; u += 32) {
                        for (int k = 0; k < 16; k++) {
                            float a = attn_k[u + 2 * k], b = attn_k[u + 2 * k + 1];

                            attn_k_rope[u + 2 * k] = a * (rope_cs + (size_t)t * 32)[2 * k] + b * sn_minus((rope_cs + (size_t)t * 32)[2 * k + 1]);
                            attn_k_rope[u + 2 * k + 1] = b * (rope_cs + (size_t)t * 32)[2 * k] + a * (rope_cs + (size_t)t * 32)[2 * k + 1];
                        }
                    }
                    sn_store_f16_portable(kv_k + (size_t)(r->P + t) * 64 + i, attn_k_rope, 32);
                }
            }
        }
    } else {
        c -= 3;
        for (int i = 96 * c; i < 96 * c + 96 && i < 64; i += 32) {
            const uint8_t *attn_v_tile = attn_v_w + (size_t)(i / 32) * 4352;
            for (int u = 0; u < r->T; u += 4) {
                float attn_v_4[4 * 32];
                int n_t = r->T - u < 4 ? r->T - u : 4;

                if (n_t > 1)
                    sn_dot4_i8g32_r32k4_q8_portable(attn_v_4, attn_v_tile, attn_norm_q8 + (size_t)u * 4, 4, 128, u ? NULL : attn_v_tile + 4352);
                else
                    for (int t = 0; t < n_t; t++)
                        sn_dot_i8g32_r32k4_q8_portable(attn_v_4 + 32 * t, attn_v_tile, attn_norm_q8 + (size_t)(u + t) * 4, 128, NULL);
                for (int t = u; t < u + n_t; t++) {
                    const float *attn_v = attn_v_4 + 32 * (t - u);

                    sn_store_f16_portable(kv_v + (size_t)(r->P + t) * 64 + i, attn_v, 32);
                }
            }
        }
    }
}

/* prefill_layer_attention: attention (attn) quant (attn).
 *   reads  attn_q_rope          f32[T,128]
 *   reads  pos                  i32[T]
 *   writes attn_q8              q8[T,128]
 * A chunk is one head and 32 tokens. */
static void prefill_layer_attention(const story_Run *r, const void *layer, story_Worker *me, int c, int count, const uint8_t *next)
{
    (void)me, (void)count, (void)next;
    const story_Layer *args = (const story_Layer *)layer;
    const float *attn_q_rope = (const float *)(r->arena + 0);    /* f32[T,128] */
    uint16_t *kv_k = (uint16_t *)r->state[args->kv_k];    /* f16[C,64] */
    uint16_t *kv_v = (uint16_t *)r->state[args->kv_v];    /* f16[C,64] */
    const int32_t *pos = (const int32_t *)(r->arena + 344064);    /* i32[T] */
    SnQ8 *attn_q8_out = (SnQ8 *)(r->arena + 131072);    /* q8[T,128] */

    int h = c % 4, i = h * 32;    /* head, and where it begins in a row */
    int g = h / 2 * 32;    /* where its K and V begin: 2 heads share them */
    int u = c / 4 * 32, u_end = u + 32 < r->T ? u + 32 : r->T;

    for (int t = u; t < u_end; t++) {
        float attn[32] = { 0 }, s[128], max = -3.4e38f, sum = 0;
        int end = pos[t] + 1;

        for (int p = 0, to; p < end; p = to) {
            float top, shrink;

            to = p / 128 * 128 + 128 < end ? p / 128 * 128 + 128 : end;
            sn_score_f16_portable(s, attn_q_rope + (size_t)t * 128 + i, kv_k + (size_t)p * 64 + g, 64, to - p, 32, 0.17677669f);
            top = sn_max(s, to - p);
            if (top > max) {
                shrink = sn_exp(max - top);
                sum *= shrink;
                for (int k = 0; k < 32; k++)
                    attn[k] *= shrink;
                max = top;
            }
            sum += sn_exp_sum(s, to - p, max);
            sn_mix_f16_portable(attn, s, kv_v + (size_t)p * 64 + g, 64, to - p, 32);
        }
        for (int k = 0; k < 32; k++)
            attn[k] /= sum;
        sn_quant_q8(attn_q8_out + (size_t)t * 4 + i / 32, attn);
    }
}

/* prefill_layer_attn_output: matmul (attn_output) add (attn_res).
 *   reads  attn_q8              q8[T,128]
 *   reads  x                    f32[T,128]
 *   writes attn_res             f32[T,128]
 * Chunks: 2 of 3 tiles of 32 outputs, each for all tokens of the call. */
static void prefill_layer_attn_output(const story_Run *r, const void *layer, story_Worker *me, int c, int count, const uint8_t *next)
{
    (void)me, (void)count, (void)next;
    const story_Layer *args = (const story_Layer *)layer;
    const SnQ8 *attn_q8 = (const SnQ8 *)(r->arena + 131072);    /* q8[T,128] */
    const uint8_t *attn_output_w = r->w + args->attn_output_w;    /* q8_0[128,128] as i8g32_r32k4 */
    const float *x = (const float *)(r->arena + 180224);    /* f32[T,128] */
    float *attn_res_out = (float *)(r->arena + 180224);    /* f32[T,128] */

    for (int i = 96 * c; i < 96 * c + 96 && i < 128; i += 32) {
        const uint8_t *attn_output_tile = attn_output_w + (size_t)(i / 32) * 4352;
        for (int u = 0; u < r->T; u += 4) {
            float attn_output_4[4 * 32];
            int n_t = r->T - u < 4 ? r->T - u : 4;

            if (n_t > 1)
                sn_dot4_i8g32_r32k4_q8_portable(attn_output_4, attn_output_tile, attn_q8 + (size_t)u * 4, 4, 128, u ? NULL : attn_output_tile + 4352);
            else
                for (int t = 0; t < n_t; t++)
                    sn_dot_i8g32_r32k4_q8_portable(attn_output_4 + 32 * t, attn_output_tile, attn_q8 + (size_t)(u + t) * 4, 128, NULL);
            for (int t = u; t < u + n_t; t++) {
                const float *attn_output = attn_output_4 + 32 * (t - u);

                for (int k = 0; k < 32; k++)
                    attn_res_out[(size_t)t * 128 + (size_t)(i + k)] = x[(size_t)t * 128 + (size_t)(i + k)] + attn_output[k];
            }
        }
    }
}

/* prefill_layer_ffn_norm: rmsnorm (ffn_norm) quant (ffn_norm).
 *   reads  attn_res             f32[T,128]
 *   writes ffn_norm_q8          q8[T,128]
 * A chunk is 8 tokens. */
static void prefill_layer_ffn_norm(const story_Run *r, const void *layer, story_Worker *me, int c, int count, const uint8_t *next)
{
    (void)count, (void)next;
    const story_Layer *args = (const story_Layer *)layer;
    const float *attn_res = (const float *)(r->arena + 180224);    /* f32[T,128] */
    const float *ffn_norm_w = (const float *)(r->w + args->ffn_norm_w);    /* f32[128] */
    SnQ8 *ffn_norm_q8_out = (SnQ8 *)(r->arena + 135168);    /* q8[T,128] */

    for (int t = 8 * c; t < 8 * (c + 1) && t < r->T; t++) {
        float *ffn_norm = (float *)(me->scratch + 0);    /* f32[T,128] */
        sn_rmsnorm(ffn_norm, (attn_res + (size_t)t * 128), ffn_norm_w, 128, 1e-05f);
        for (int k = 0; k < 4; k++)
            sn_quant_q8((ffn_norm_q8_out + (size_t)t * 4) + k, ffn_norm + 32 * k);
    }
}

/* prefill_layer_ffn_gate_up: matmul (ffn_gate) matmul (ffn_up) silu (ffn_silu) mul (ffn_act) quant (ffn_act).
 *   reads  ffn_norm_q8          q8[T,128]
 *   writes ffn_act_q8           q8[T,384]
 * Chunks: 12 of 1 tile of 32 outputs, each for all tokens of the call. */
static void prefill_layer_ffn_gate_up(const story_Run *r, const void *layer, story_Worker *me, int c, int count, const uint8_t *next)
{
    (void)me, (void)count, (void)next;
    const story_Layer *args = (const story_Layer *)layer;
    const SnQ8 *ffn_norm_q8 = (const SnQ8 *)(r->arena + 135168);    /* q8[T,128] */
    const uint8_t *ffn_gate_w = r->w + args->ffn_gate_w;    /* q8_0[384,128] as i8g32_r32k4 */
    const uint8_t *ffn_up_w = r->w + args->ffn_up_w;    /* q8_0[384,128] as i8g32_r32k4 */
    SnQ8 *ffn_act_q8_out = (SnQ8 *)(r->arena + 0);    /* q8[T,384] */

    int i = 32 * c;
    const uint8_t *ffn_gate_tile = ffn_gate_w + (size_t)(i / 32) * 8704;
    const uint8_t *ffn_up_tile = ffn_up_w + (size_t)(i / 32) * 8704;
    for (int u = 0; u < r->T; u += 4) {
        float ffn_gate_4[4 * 32];
        float ffn_up_4[4 * 32];
        int n_t = r->T - u < 4 ? r->T - u : 4;

        if (n_t > 1)
            sn_dot4_i8g32_r32k4_q8_portable(ffn_gate_4, ffn_gate_tile, ffn_norm_q8 + (size_t)u * 4, 4, 128, u ? NULL : ffn_gate_tile + 8704);
        else
            for (int t = 0; t < n_t; t++)
                sn_dot_i8g32_r32k4_q8_portable(ffn_gate_4 + 32 * t, ffn_gate_tile, ffn_norm_q8 + (size_t)(u + t) * 4, 128, NULL);
        if (n_t > 1)
            sn_dot4_i8g32_r32k4_q8_portable(ffn_up_4, ffn_up_tile, ffn_norm_q8 + (size_t)u * 4, 4, 128, u ? NULL : ffn_up_tile + 8704);
        else
            for (int t = 0; t < n_t; t++)
                sn_dot_i8g32_r32k4_q8_portable(ffn_up_4 + 32 * t, ffn_up_tile, ffn_norm_q8 + (size_t)(u + t) * 4, 128, NULL);
        for (int t = u; t < u + n_t; t++) {
            const float *ffn_gate = ffn_gate_4 + 32 * (t - u);
            const float *ffn_up = ffn_up_4 + 32 * (t - u);

            float ffn_act[32];

            for (int k = 0; k < 32; k++)
                ffn_act[k] = sn_silu(ffn_gate[k]) * ffn_up[k];
            sn_quant_q8(ffn_act_q8_out + (size_t)t * 12 + i / 32, ffn_act);
        }
    }
}

/* prefill_layer_ffn_down: matmul (ffn_down) add (ffn_out).
 *   reads  ffn_act_q8           q8[T,384]
 *   reads  attn_res             f32[T,128]
 *   writes ffn_out              f32[T,128]
 * Chunks: 4 of 1 tile of 32 outputs, each for all tokens of the call. */
static void prefill_layer_ffn_down(const story_Run *r, const void *layer, story_Worker *me, int c, int count, const uint8_t *next)
{
    (void)me, (void)count, (void)next;
    const story_Layer *args = (const story_Layer *)layer;
    const SnQ8 *ffn_act_q8 = (const SnQ8 *)(r->arena + 0);    /* q8[T,384] */
    const uint8_t *ffn_down_w = r->w + args->ffn_down_w;    /* q8_0[128,384] as i8g32_r32k4 */
    const float *attn_res = (const float *)(r->arena + 180224);    /* f32[T,128] */
    float *ffn_out_out = (float *)(r->arena + 180224);    /* f32[T,128] */

    int i = 32 * c;
    const uint8_t *ffn_down_tile = ffn_down_w + (size_t)(i / 32) * 13056;
    for (int u = 0; u < r->T; u += 4) {
        float ffn_down_4[4 * 32];
        int n_t = r->T - u < 4 ? r->T - u : 4;

        if (n_t > 1)
            sn_dot4_i8g32_r32k4_q8_portable(ffn_down_4, ffn_down_tile, ffn_act_q8 + (size_t)u * 12, 12, 384, u ? NULL : ffn_down_tile + 13056);
        else
            for (int t = 0; t < n_t; t++)
                sn_dot_i8g32_r32k4_q8_portable(ffn_down_4 + 32 * t, ffn_down_tile, ffn_act_q8 + (size_t)(u + t) * 12, 384, NULL);
        for (int t = u; t < u + n_t; t++) {
            const float *ffn_down = ffn_down_4 + 32 * (t - u);

            for (int k = 0; k < 32; k++)
                ffn_out_out[(size_t)t * 128 + (size_t)(i + k)] = attn_res[(size_t)t * 128 + (size_t)(i + k)] + ffn_down[k];
        }
    }
}

const story_Stages story_stages_x86_64 = {
    decode_embd,
    decode_logits,
    prefill_embd,
    prefill_output_norm,
    prefill_logits,
    decode_layer_attn_q_k_v,
    decode_layer_attention,
    decode_layer_attn_output,
    decode_layer_ffn_gate_up,
    decode_layer_ffn_down,
    prefill_layer_attn_norm,
    prefill_layer_attn_q_k_v,
    prefill_layer_attention,
    prefill_layer_attn_output,
    prefill_layer_ffn_norm,
    prefill_layer_ffn_gate_up,
    prefill_layer_ffn_down,
};
