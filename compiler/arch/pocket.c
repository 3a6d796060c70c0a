/* Pocket: a small decoder drawn for a microcontroller, ours (samples/pocket).
 *
 *     n = rmsnorm(x);   x = x + attention(rope(n Wq), rope(n Wk), n Wv) Wo
 *     n = rmsnorm(x);   x = x + (silu(n Wgate) * (n Wup)) Wdown
 *     x = x + (silu(x Wgate') * E[id]) Wproj
 *
 * The first two lines are llama's, with attention to a window of positions [Mistral, arXiv:2310.06825].  The third is a layer's own table of
 * embeddings E, after Gemma 3n's but without norms and with silu: of E, which may be larger than all the rest, a token needs one row, so it
 * may lie in slow memory.  A file without the key embedding_length_per_layer_input has neither E nor that line, one without
 * attention.sliding_window no window.  Ternary weights are nothing but their format (tq2_0). */
#include "compiler/arch/arch.h"

static bool pocket_hyper(const Keys *k, Hyper *h)
{
    uint32_t n = 0;

    if (!key_u32(k, "embedding_length_per_layer_input", &n, false))
        return false;
    if (n > 1 << 16)
        return fail(k->d, key_loc(k, "embedding_length_per_layer_input"), "%" PRIu32 " is not possible (0 to 65536 is)", n);
    h->n_layer_embd = n;
    return true;
}

bool arch_pocket(Module *m, const Model *model, const BuildOptions *o, Diag *d)
{
    static const Family pocket = { .name = "pocket", .pairing = "norm", .act = OP_silu, .bias = BIAS_none, .hyper = pocket_hyper };

    return arch_decoder(m, model, o, d, &pocket);
}
