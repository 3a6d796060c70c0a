/* The llama family: Llama 1 to 3, Mistral, SmolLM and all that have the same graph.
 *
 *     n = rmsnorm(x);   x = x + attention(rope(n Wq), rope(n Wk), n Wv) Wo
 *     n = rmsnorm(x);   x = x + (silu(n Wgate) * (n Wup)) Wdown        [Touvron et al. 2023, arXiv:2302.13971]
 *
 * Any of the seven may have a bias.  Mistral's first version sees a window of positions in every layer
 * [Jiang et al. 2023, arXiv:2310.06825].  GGUF holds the rows of Wq and Wk in the order in which RoPE rotates
 * neighbours (pairing "norm"): llama.cpp's converter has permuted them. */
#include "compiler/arch/arch.h"

bool arch_llama(Module *m, const Model *model, const BuildOptions *o, Diag *d)
{
    static const Family llama = { .name = "llama", .pairing = "norm", .act = OP_silu,
                                  .bias = BIAS_any };

    return arch_decoder(m, model, o, d, &llama);
}
