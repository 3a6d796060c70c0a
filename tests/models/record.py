#!/usr/bin/env python3
"""Record what transformers computes for the cases in cases.json.

    record.py [NAME ...]            writes truth/NAME.f32 (all cases without names) and truth/made_with.json
    record.py --check [NAME ...]    computes again and compares with what is there
    record.py --dump DIR NAME ...   also leaves DIR/NAME/: the model as a Hugging Face folder, logits_N.npy, seq_N.json

Run by developers only (pip install numpy torch transformers gguf): the tests read what it left, without Python.

Weights are a pure function of (tensor name, index, seed), see fill.c in ir/base/base.h; then they are rounded to the case's
storage type with the gguf package's quantizers and widened again, so that the truth belongs to the numbers that the GGUF file
holds.  Matrices take the storage type, or f16 where a block format does not divide their rows; vectors stay f32.  All
arithmetic after that is fp32, attention "eager".

The tokens of the sequence of length N are a pure function too:  id[t] = (v + 2^23) * vocab >> 24,  where v / 2^23 is
fill_value("ids", t, seed N, scale 1, base 0).

truth/NAME.f32, little-endian float32; for every length N in cases.json, for every position t:
    max |logit| of the row
    the whole row where t is the last position, otherwise the 12 logits of the tokens (12 t + j) mod vocab, j = 0 .. 11
So every position is covered, and every token at some position.
"""
import argparse, json, math, os, sys

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
import numpy as np
import gguf
import torch
import transformers

HERE = os.path.dirname(os.path.abspath(__file__))
WINDOW = 12
U = np.uint64


def splitmix64(x):
    x = x + U(0x9E3779B97F4A7C15)
    x = (x ^ (x >> U(30))) * U(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> U(27))) * U(0x94D049BB133111EB)
    return x ^ (x >> U(31))


def fnv1a(name):
    h = 0xCBF29CE484222325
    for b in name.encode():
        h = (h ^ b) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return h


def fill_u(name, n, seed):
    """The 24-bit signed integers of the tensor's first n elements."""
    start = U(seed * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF)
    with np.errstate(over="ignore"):
        z = splitmix64(U(fnv1a(name)) ^ (start + np.arange(n, dtype=U)))
    return (z >> U(40)).astype(np.int64) - (1 << 23)


def fill(name, shape, seed):
    u = fill_u(name, math.prod(shape), seed)
    if len(shape) >= 2:
        scale, base = 2.0 ** math.floor(math.log2(1.7 / math.sqrt(shape[-1]))), 0.0
    elif "norm" in name:
        scale, base = 0.25, 1.0
        u = u >> 12 << 12
    else:
        scale, base = 0.125, 0.0
    w = base + scale * (u / 2.0 ** 23)
    assert (w.astype(np.float32) == w).all(), name
    return w.astype(np.float32).reshape(shape)


def store(w, kind):
    """What is left of w after it has been stored as `kind`."""
    if w.ndim < 2:
        return w
    t = gguf.GGMLQuantizationType[kind.upper()]
    if w.shape[-1] % gguf.GGML_QUANT_SIZES[t][0]:
        t = gguf.GGMLQuantizationType.F16
    q = gguf.quants.quantize(w, t)
    return gguf.quants.dequantize(q, t).astype(np.float32).reshape(w.shape)


def ids_of(n, vocab):
    return [(int(u) + (1 << 23)) * vocab >> 24 for u in fill_u("ids", n, n)]


def build(case):
    cfg = transformers.LlamaConfig(**case["config"], bos_token_id=0, eos_token_id=0)
    model = transformers.LlamaForCausalLM._from_config(cfg, attn_implementation="eager", dtype=torch.float32).eval()
    own = model.state_dict()
    weights = {k: torch.from_numpy(store(fill(k, tuple(v.shape), case["seed"]), case["type"]).copy())
               for k, v in own.items() if not (cfg.tie_word_embeddings and k == "lm_head.weight")}
    if cfg.tie_word_embeddings:
        weights["lm_head.weight"] = weights["model.embed_tokens.weight"]
    model.load_state_dict(weights, strict=True)
    return model


def pick(logits):
    """What is recorded of the logits [N, vocab] of one sequence."""
    out = []
    for t, row in enumerate(logits):
        out.append(np.abs(row).max(keepdims=True))
        out.append(row if t == len(logits) - 1 else row[(WINDOW * t + np.arange(WINDOW)) % len(row)])
    return np.concatenate(out).astype("<f4")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--check", action="store_true")
    ap.add_argument("--dump", metavar="DIR")
    ap.add_argument("names", nargs="*")
    a = ap.parse_args()
    torch.set_grad_enabled(False)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    spec = json.load(open(os.path.join(HERE, "cases.json")))
    unknown = set(a.names) - {c["name"] for c in spec["cases"]}
    if unknown:
        raise SystemExit(f"record.py: no such case: {' '.join(sorted(unknown))}")
    bad = 0
    for case in spec["cases"]:
        if a.names and case["name"] not in a.names:
            continue
        model, vocab, parts = build(case), case["config"]["vocab_size"], []
        for n in spec["lengths"]:
            ids = ids_of(n, vocab)
            logits = model(torch.tensor([ids])).logits[0].numpy()
            parts.append(pick(logits))
            if a.dump:
                folder = os.path.join(a.dump, case["name"])
                model.save_pretrained(folder)
                np.save(os.path.join(folder, f"logits_{n}.npy"), logits)
                json.dump({"ids": ids}, open(os.path.join(folder, f"seq_{n}.json"), "w"))
        have = np.concatenate(parts)
        path = os.path.join(HERE, "truth", case["name"] + ".f32")
        if a.check:
            want = np.fromfile(path, "<f4")
            diff = float(np.abs(have - want).max()) if have.shape == want.shape else math.inf
            ok = diff <= 1e-5 * max(1.0, float(np.abs(have).max()))
            bad += not ok
            print(f"{'ok' if ok else 'DIFFERS':8s}{case['name']:16s} largest difference {diff:.2e}")
        else:
            have.tofile(path)
            print(f"wrote {case['name']:16s}{have.nbytes:6d} bytes, largest |logit| {np.abs(have).max():.3f}, "
                  f"std {logits.std():.3f}")
    if not a.check:
        with open(os.path.join(HERE, "truth", "made_with.json"), "w") as f:
            json.dump({"torch": torch.__version__, "transformers": transformers.__version__, "numpy": np.__version__,
                       "gguf": __import__("importlib.metadata").metadata.version("gguf")}, f, indent=2)
            f.write("\n")
    return bad != 0


if __name__ == "__main__":
    sys.exit(main())
