#!/usr/bin/env python3
"""Record what transformers computes for the cases in cases.json.

    record.py [NAME ...]            writes truth/NAME.f32 (all cases without names); then truth/SHA256SUMS, made_with.json
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

truth/SHA256SUMS: digests of the cases' GGUF files as the gguf package writes them, with the keys, tensor names and reordered
rows of llama.cpp's converter (conversion/llama.py, qwen.py, gemma.py, base.py).  mkmodel.c must write the same bytes.
"""
import argparse, hashlib, json, math, os, sys, tempfile

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


def storage(w, kind):
    """The type that a tensor has in the file."""
    t = gguf.GGMLQuantizationType[kind.upper()]
    if w.ndim < 2:
        return gguf.GGMLQuantizationType.F32
    return gguf.GGMLQuantizationType.F16 if w.shape[-1] % gguf.GGML_QUANT_SIZES[t][0] else t


def store(w, kind):
    """What is left of w after it has been stored as `kind`."""
    t = storage(w, kind)
    return gguf.quants.dequantize(gguf.quants.quantize(w, t), t).astype(np.float32).reshape(w.shape)


def ids_of(n, vocab):
    return [(int(u) + (1 << 23)) * vocab >> 24 for u in fill_u("ids", n, n)]


def family(case):
    return case.get("family", "llama")


def build(case):
    name = {"llama": "Llama", "mistral": "Mistral", "qwen2": "Qwen2", "qwen3": "Qwen3", "gemma3": "Gemma3"}[family(case)]
    gemma = family(case) == "gemma3"
    cfg = getattr(transformers, name + ("TextConfig" if gemma else "Config"))(**case["config"], bos_token_id=0, eos_token_id=0)
    cls = getattr(transformers, name + "ForCausalLM")
    model = cls._from_config(cfg, attn_implementation="eager", dtype=torch.float32).eval()
    own = model.state_dict()
    weights = {k: torch.from_numpy(store(fill(k, tuple(v.shape), case["seed"]), case["type"]).copy())
               for k, v in own.items() if not (cfg.tie_word_embeddings and k == "lm_head.weight")}
    if gemma:                                       # its norms multiply by 1 + weight
        weights = {k: w - 1 if k.endswith("norm.weight") else w for k, w in weights.items()}
    if cfg.tie_word_embeddings:
        weights["lm_head.weight"] = weights["model.embed_tokens.weight"]
    model.load_state_dict(weights, strict=True)
    return model


def pairs(w, heads):
    """Rows of q and k (or their biases): from halves of a head to neighbours, as GGUF files of this family have them."""
    half = w.shape[0] // heads // 2
    return np.stack([w.reshape(heads, 2, half, -1)[:, s] for s in (0, 1)], axis=2).reshape(w.shape)


def rope_freqs(c):
    """llama3's scaling as the divisors that the file holds."""
    r, dim = c["rope_parameters"], c["head_dim"]
    old, low, high = r["original_max_position_embeddings"], r["low_freq_factor"], r["high_freq_factor"]
    out = []
    for i in range(dim // 2):
        wavelength = 2 * math.pi * r["rope_theta"] ** (2 * i / dim)
        part = (old / wavelength - low) / (high - low)
        out.append(1.0 if wavelength < old / high else r["factor"] if wavelength > old / low
                   else 1 / ((1 - part) / r["factor"] + part))
    return np.array(out, np.float32)


def window_keys(w, c, local_theta):
    """What is at its default stays unsaid, as in files of older converters."""
    if c.get("sliding_window"):
        w.add_sliding_window(c["sliding_window"])
    if "layer_types" in c:
        w.add_sliding_window_pattern([t == "sliding_attention" for t in c["layer_types"]])
    if local_theta != 10000:
        w.add_rope_freq_base_swa(local_theta)
    if c.get("query_pre_attn_scalar", c.get("head_dim")) != c.get("head_dim"):
        w.add_attention_scale(c["query_pre_attn_scalar"] ** -0.5)
    if "final_logit_softcapping" in c:
        w.add_final_logit_softcapping(c["final_logit_softcapping"])


def write_gguf(case, path):
    c, kind, fam = case["config"], case["type"], family(case)
    r = c["rope_parameters"].get("full_attention", c["rope_parameters"])
    heads, kv, embd, ff = (c[k] for k in ("num_attention_heads", "num_key_value_heads", "hidden_size", "intermediate_size"))
    hd = c.get("head_dim", embd // heads)
    arch = "llama" if fam == "mistral" else fam
    w = gguf.GGUFWriter(path, arch)
    w.add_name(case["name"])
    w.add_context_length(c["max_position_embeddings"])
    w.add_embedding_length(embd)
    w.add_block_count(c["num_hidden_layers"])
    w.add_feed_forward_length(ff)
    w.add_head_count(heads)
    w.add_layer_norm_rms_eps(c["rms_norm_eps"])
    w.add_rope_freq_base(r["rope_theta"])
    w.add_vocab_size(c["vocab_size"])
    w.add_head_count_kv(kv)
    if "head_dim" in c:
        w.add_key_length(hd)
        w.add_value_length(hd)
    if arch == "llama":
        w.add_rope_dimension_count(hd)
    window_keys(w, c, c["rope_parameters"].get("sliding_attention", {}).get("rope_theta", 10000))
    if r["rope_type"] in ("linear", "yarn"):
        w.add_rope_scaling_type(gguf.RopeScalingType(r["rope_type"]))
        w.add_rope_scaling_factor(r["factor"])
    if r["rope_type"] == "yarn":
        w.add_rope_scaling_orig_ctx_len(r["original_max_position_embeddings"])
        if "attention_factor" in r:                 # twice: the converter's key, and the one that llama.cpp reads
            w.add_rope_scaling_yarn_attn_factor(r["attention_factor"])
            w.add_rope_scaling_attn_factors(r["attention_factor"] / (0.1 * math.log(r["factor"]) + 1))
        if "beta_fast" in r:
            w.add_rope_scaling_yarn_beta_fast(r["beta_fast"])
        if "beta_slow" in r:
            w.add_rope_scaling_yarn_beta_slow(r["beta_slow"])
    w.add_quantization_version(2)
    w.add_file_type(gguf.LlamaFileType["ALL_F32" if kind == "f32" else "MOSTLY_" + kind.upper()])

    def add(name, x):
        t = storage(x, kind)
        w.add_tensor(name, gguf.quants.quantize(x, t), raw_dtype=t)

    def linear(name, hf, shape, bias, order=lambda x: x):
        add(name + ".weight", order(fill(hf + ".weight", shape, case["seed"])))
        if bias:
            add(name + ".bias", order(fill(hf + ".bias", shape[:1], case["seed"])))

    def norm(name, hf, n):
        linear(name, hf, (n,), False)

    def order(n):
        return (lambda x: pairs(x, n)) if arch == "llama" else lambda x: x

    linear("token_embd", "model.embed_tokens", (c["vocab_size"], embd), False)
    if not c["tie_word_embeddings"]:
        linear("output", "lm_head", (c["vocab_size"], embd), False)
    norm("output_norm", "model.norm", embd)
    ob, mb = c.get("attention_bias", False), c.get("mlp_bias", False)
    ab = ob or fam == "qwen2"
    for i in range(c["num_hidden_layers"]):
        b, h = f"blk.{i}.", f"model.layers.{i}."
        linear(b + "attn_q", h + "self_attn.q_proj", (heads * hd, embd), ab, order(heads))
        linear(b + "attn_k", h + "self_attn.k_proj", (kv * hd, embd), ab, order(kv))
        linear(b + "attn_v", h + "self_attn.v_proj", (kv * hd, embd), ab)
        if fam in ("qwen3", "gemma3"):
            norm(b + "attn_q_norm", h + "self_attn.q_norm", hd)
            norm(b + "attn_k_norm", h + "self_attn.k_norm", hd)
        linear(b + "attn_output", h + "self_attn.o_proj", (embd, heads * hd), ob)
        norm(b + "attn_norm", h + "input_layernorm", embd)
        if fam == "gemma3":
            norm(b + "post_attention_norm", h + "post_attention_layernorm", embd)
            norm(b + "ffn_norm", h + "pre_feedforward_layernorm", embd)
            norm(b + "post_ffw_norm", h + "post_feedforward_layernorm", embd)
        else:
            norm(b + "ffn_norm", h + "post_attention_layernorm", embd)
        linear(b + "ffn_gate", h + "mlp.gate_proj", (ff, embd), mb)
        linear(b + "ffn_up", h + "mlp.up_proj", (ff, embd), mb)
        linear(b + "ffn_down", h + "mlp.down_proj", (embd, ff), mb)
    if r["rope_type"] == "llama3":
        add("rope_freqs.weight", rope_freqs(c))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def digest_of(case):
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "m.gguf")
        write_gguf(case, path)
        return hashlib.sha256(open(path, "rb").read()).hexdigest()


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
    sums = "".join(f"{digest_of(c)}  {c['name']}.gguf\n" for c in spec["cases"])
    sums_path = os.path.join(HERE, "truth", "SHA256SUMS")
    if not a.check:
        open(sums_path, "w").write(sums)
    elif open(sums_path).read() != sums:
        print("DIFFERS SHA256SUMS")
        bad += 1
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
