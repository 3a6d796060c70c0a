/* Qwen2 and Qwen2.5: the llama family's graph, with biases on q, k and v    [Yang et al. 2024, arXiv:2407.10671].
 *
 * RoPE rotates dimension i with i + n_rot / 2 (pairing "neox"): rows of Wq and Wk are in the file as they were trained. */
#include "compiler/arch/arch.h"

bool arch_qwen2(Module *m, const Model *model, const BuildOptions *o, Diag *d)
{
    static const Family qwen2 = { .name = "qwen2", .pairing = "neox", .act = OP_silu,
                                  .bias = BIAS_qkv };

    return arch_decoder(m, model, o, d, &qwen2);
}
