"""Score pocket.gguf with gguf and PyTorch, and write golden.json:   python check.py [--held TEXT]

The graph is train.py's, the weights are those of the file, decoded by the gguf package: nothing of sinter's.
The sequence is the beginning of TEXT (what train.py --held wrote); without it that of golden.json again.
"""

import argparse
import json

import gguf
import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

import train


def tokenizer_of(reader):
    def texts(key):
        field = reader.fields[key]
        return [bytes(field.parts[i]).decode("utf-8") for i in field.data]

    tokens = texts("tokenizer.ggml.tokens")
    merges = [tuple(m.split(" ")) for m in texts("tokenizer.ggml.merges")]
    tok = Tokenizer(models.BPE({t: i for i, t in enumerate(tokens)}, merges))
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tok.decoder = decoders.ByteLevel()
    return tok


@torch.no_grad()
def score(w, ids, window):
    """Of each next token its negative log-likelihood; behind every token the best one, and how sure it is."""
    row = torch.tensor([ids])
    logits = train.logits_of(w, row, *train.rope_table(len(ids)), train.visible(len(ids), window))[0]
    nll = torch.nn.functional.cross_entropy(logits[:-1], row[0, 1:], reduction="none")
    best = logits.topk(2, dim=-1)
    margin = best.values[:, 0] - best.values[:, 1]
    return {"ids": ids, "fp32_nll": [round(v, 6) for v in nll.tolist()], "fp32_argmax": best.indices[:, 0].tolist(),
            "fp32_margin": [round(v, 6) for v in margin.tolist()], "fp32_mean_nll": nll.mean().item()}


def main():
    a = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    a.add_argument("--gguf", default="pocket.gguf")
    a.add_argument("--held", help="text that the model has not learned from")
    a.add_argument("-o", default="golden.json")
    a = a.parse_args()
    torch.set_num_threads(1)
    reader = gguf.GGUFReader(a.gguf)
    w = {t.name: torch.from_numpy(np.array(gguf.dequantize(t.data, t.tensor_type)).reshape(tuple(t.shape)[::-1]).astype(np.float32))
         for t in reader.tensors}
    window = int(reader.fields["pocket.attention.sliding_window"].parts[-1][0])
    if a.held:
        ids = tokenizer_of(reader).encode(open(a.held, encoding="utf-8").read(20000)).ids[:train.N_CTX]
    else:
        ids = json.load(open(a.o))["long"]["ids"]
    golden = {"model": "pocket", "made_with": "gguf 0.19.0, torch %s" % torch.__version__, "long": score(w, ids, window)}
    with open(a.o, "w") as f:
        json.dump(golden, f)
        f.write("\n")
    print("%d tokens, %.4f nats per token" % (len(ids), golden["long"]["fp32_mean_nll"]))


if __name__ == "__main__":
    main()
