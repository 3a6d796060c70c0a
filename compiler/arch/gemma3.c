/* Gemma 3, the text models    [Gemma Team 2025, arXiv:2503.19786].
 *
 *     x = rows(token_embd, ids) * sqrt(n_embd)
 *     x = x + rmsnorm(attention(rmsnorm(x)))         q and k normed by head, then RoPE
 *     x = x + rmsnorm(ffn(rmsnorm(x)))               gelu instead of silu
 *
 * Five of six layers see a window of positions and rotate with base 10 000; the sixth sees everything and rotates with the
 * file's base (1e6), stretched if the file says so.  The factor of the embeddings is rounded to f32 (the original rounds it to the type
 * in which it computes).  Norm weights are in the file as they multiply, 1 added by the converter.  Scores are divided by sqrt(head_dim), in the
 * largest model by sqrt(n_embd / n_head): the file does not say so, its number of layers does. */
#include "compiler/arch/arch.h"

#include <math.h>

static bool gemma3_hyper(const Keys *k, Hyper *h)
{
    enum { N_LAYER_27B = 62 };
    float theta = 10000, scale = 0;

    if (!key_base(k, "rope.freq_base_swa", &theta) ||
        !key_f32(k, "attention.scale", &scale, false) ||
        !key_f32(k, "final_logit_softcapping", &h->logit_cap, false))
        return false;
    if (h->logit_cap != 0 && !(h->logit_cap >= 1e-3f && h->logit_cap <= 1e6f))
        return fail(k->d, key_loc(k, "final_logit_softcapping"),
                    "%g is not a bound for logits (0.001 to 1e6 is; 0: none)",
                    (double)h->logit_cap);
    h->embd_scale = (float)sqrt((double)h->n_embd);
    if (h->n_layer == N_LAYER_27B && scale == 0)
        h->attn_scale = 1 / sqrt((double)h->n_embd / h->n_head[0]);
    h->local_rope = (RopeScaling){ .n_rot = h->rope.n_rot, .theta = (double)theta, .factor = 1 };
    return true;
}

bool arch_gemma3(Module *m, const Model *model, const BuildOptions *o, Diag *d)
{
    static const Family gemma3 = { .name = "gemma3", .pairing = "neox", .act = OP_gelu_tanh,
                                   .head_norms = true, .post_norms = true, .window_period = 6,
                                   .hyper = gemma3_hyper };

    return arch_decoder(m, model, o, d, &gemma3);
}
