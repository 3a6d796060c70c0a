/* Qwen3, the dense ones: the llama family's graph without biases, with a norm for each head of q and k before RoPE (one
 * weight of head_dim for all heads)    [Yang et al. 2025, arXiv:2505.09388].
 *
 * head_dim stands in the file (128): n_head * head_dim is not n_embd.  Pairing "neox". */
#include "compiler/arch/arch.h"

bool arch_qwen3(Module *m, const Model *model, const BuildOptions *o, Diag *d)
{
    static const Family qwen3 = { .name = "qwen3", .pairing = "neox", .act = OP_silu,
                                  .head_norms = true };

    return arch_decoder(m, model, o, d, &qwen3);
}
