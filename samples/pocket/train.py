"""Train the pocket model from nothing and write it as GGUF:   python train.py TEXT [--out DIR] [--without IDEA]

    TEXT ──> byte-level BPE ──> rows of tokens ──> AdamW ──> pocket.gguf

The model is a small decoder that was drawn for a microcontroller (compiler/arch/pocket.c):

  ternary   weights of a block are -d, 0 or d, one d for 256 of a row. They are trained so: forward
            with the rounded weights, backward as if they had not been rounded [arXiv:2402.17764]
  ple       per-layer embeddings: every layer has a table with a row for each token. Only one row of
            it is read for a token, so it may stay in slow memory     [Gemma 3n's, without its norms]
  window    a token sees the WINDOW positions before it, in every layer  [arXiv:2310.06825]

`--without ternary|ple|window` trains the same model without that one. TEXT is plain text or .xz; of
its paragraphs (lines) every HELD-th is left out of the training and scored at the end.

The whole run is a function of the seeds and of the arithmetic of the machine: one thread, f32.
"""

import argparse
import json
import lzma
import math
import os
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"

import gguf
import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

N_VOCAB, N_CTX, N_EMBD, N_LAYER, N_FF = 1024, 512, 256, 2, 512
N_HEAD, N_HEAD_KV, HEAD_DIM = 4, 2, 64
N_PLE, WINDOW = 128, 64
ROPE_BASE, NORM_EPS = 10000.0, 1e-5
SEED, HELD, STEP_TOKENS = 1, 100, 2048
GROUP = 256                       # weights with one scale: a block of tq2_0
END = "<|endoftext|>"


# ---- text to rows of tokens --------------------------------------------------------------------

def read_paragraphs(path):
    with lzma.open(path, "rt", encoding="utf-8") if path.endswith(".xz") else open(path, encoding="utf-8") as f:
        return [line.strip() for line in f if line.strip()]


def train_tokenizer(paragraphs):
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tok.decoder = decoders.ByteLevel()
    tok.train_from_iterator(paragraphs, trainers.BpeTrainer(
        vocab_size=N_VOCAB, special_tokens=[END], show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())))
    assert tok.get_vocab_size() == N_VOCAB
    return tok


def stream(tok, paragraphs):
    """Tokens of the paragraphs, each ended by a line break."""
    encoded = tok.encode_batch([p + "\n" for p in paragraphs])
    return np.concatenate([np.array(e.ids, dtype=np.int64) for e in encoded])


# ---- the network -------------------------------------------------------------------------------

def init_weights(ple):
    """Tensors by their GGUF names."""
    g = torch.Generator().manual_seed(SEED)

    def random(n_out, n_in, std):
        return torch.randn(n_out, n_in, generator=g) * std

    w = {"token_embd.weight": random(N_VOCAB, N_EMBD, 0.05)}
    for i in range(N_LAYER):
        b = "blk.%d." % i
        w[b + "attn_norm.weight"] = torch.ones(N_EMBD)
        w[b + "attn_q.weight"] = random(N_HEAD * HEAD_DIM, N_EMBD, N_EMBD ** -0.5)
        w[b + "attn_k.weight"] = random(N_HEAD_KV * HEAD_DIM, N_EMBD, N_EMBD ** -0.5)
        w[b + "attn_v.weight"] = random(N_HEAD_KV * HEAD_DIM, N_EMBD, N_EMBD ** -0.5)
        w[b + "attn_output.weight"] = random(N_EMBD, N_HEAD * HEAD_DIM, 0.02)
        w[b + "ffn_norm.weight"] = torch.ones(N_EMBD)
        w[b + "ffn_gate.weight"] = random(N_FF, N_EMBD, N_EMBD ** -0.5)
        w[b + "ffn_up.weight"] = random(N_FF, N_EMBD, N_EMBD ** -0.5)
        w[b + "ffn_down.weight"] = random(N_EMBD, N_FF, 0.02)
        if ple:
            w[b + "inp_gate.weight"] = random(N_PLE, N_EMBD, N_EMBD ** -0.5)
            w[b + "per_layer_token_embd.weight"] = random(N_VOCAB, N_PLE, 1.0)
            w[b + "proj.weight"] = random(N_EMBD, N_PLE, 0.02)
    w["output_norm.weight"] = torch.ones(N_EMBD)
    return {name: x.requires_grad_() for name, x in w.items()}


def is_ternary(name, x):
    """The matrices of a block whose rows are whole groups."""
    return name.startswith("blk.") and x.ndim == 2 and x.shape[1] % GROUP == 0 and "embd" not in name


def ternary(x):
    """-d, 0 or d, d the mean magnitude of 256 weights of a row, as a half; gradients pass unchanged."""
    g = x.view(x.shape[0], -1, GROUP)
    d = g.detach().abs().mean(-1, keepdim=True).clamp(min=1e-4).half().float()
    q = (g / d).round().clamp(-1, 1) * d
    return x + (q.reshape(x.shape) - x).detach()


def as_computed(w, with_ternary):
    return {n: ternary(x) if with_ternary and is_ternary(n, x) else x for n, x in w.items()}


def rope_table(n):
    angle = torch.arange(n)[:, None] * ROPE_BASE ** (-torch.arange(0, HEAD_DIM, 2) / HEAD_DIM)
    return angle.cos(), angle.sin()


def rope(x, cos, sin):
    """x[..., t, 2i] and x[..., t, 2i+1] are turned by t * base^(-2i/head_dim)."""
    a, b = x[..., 0::2], x[..., 1::2]
    return torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(-2)


def visible(t, window):
    """Whether row i sees column j: itself and window - 1 positions before it; 0: all before it."""
    i, j = torch.arange(t)[:, None], torch.arange(t)[None, :]
    return (j <= i) & ((j > i - window) if window else (j >= 0))


def logits_of(w, ids, cos, sin, mask):
    n, t = ids.shape
    x = F.embedding(ids, w["token_embd.weight"])

    def norm(x, name):
        return F.rms_norm(x, (N_EMBD,), w[name + ".weight"], NORM_EPS)

    def heads(x, name, n_head):
        return F.linear(x, w[name + ".weight"]).view(n, t, n_head, HEAD_DIM).transpose(1, 2)

    for i in range(N_LAYER):
        b = "blk.%d." % i
        h = norm(x, b + "attn_norm")
        q = rope(heads(h, b + "attn_q", N_HEAD), cos[:t], sin[:t])
        k = rope(heads(h, b + "attn_k", N_HEAD_KV), cos[:t], sin[:t])
        v = heads(h, b + "attn_v", N_HEAD_KV)
        k, v = (z.repeat_interleave(N_HEAD // N_HEAD_KV, 1) for z in (k, v))
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        x = x + F.linear(y.transpose(1, 2).reshape(n, t, -1), w[b + "attn_output.weight"])
        h = norm(x, b + "ffn_norm")
        h = F.silu(F.linear(h, w[b + "ffn_gate.weight"])) * F.linear(h, w[b + "ffn_up.weight"])
        x = x + F.linear(h, w[b + "ffn_down.weight"])
        if b + "inp_gate.weight" in w:
            e = F.embedding(ids, w[b + "per_layer_token_embd.weight"])
            h = F.silu(F.linear(x, w[b + "inp_gate.weight"])) * e
            x = x + F.linear(h, w[b + "proj.weight"])
    return F.linear(norm(x, "output_norm"), w["token_embd.weight"])


def loss_of(w, rows, table, mask):
    ids = torch.from_numpy(rows)
    logits = logits_of(w, ids[:, :-1], *table, mask)
    return F.cross_entropy(logits.reshape(-1, N_VOCAB), ids[:, 1:].reshape(-1))


@torch.no_grad()
def held_out_loss(w, rows, table, mask):
    return sum(loss_of(w, rows[i:i + 4], table, mask).item() for i in range(0, len(rows), 4)) / (len(rows) // 4)


# ---- training ----------------------------------------------------------------------------------

def schedule(step, steps, peak, warmup=50):
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup))))


def train(w, with_ternary, tokens, steps, peak, table, mask, report):
    rng = np.random.default_rng(SEED)
    groups = [{"params": [p for p in w.values() if p.dim() == n_dim], "weight_decay": decay}
              for n_dim, decay in ((2, 0.05), (1, 0.0))]
    opt = torch.optim.AdamW(groups, lr=peak, betas=(0.9, 0.98), eps=1e-9)
    mean, start, n = None, time.process_time(), N_CTX
    for step in range(steps):
        at = rng.integers(0, len(tokens) - n - 1, STEP_TOKENS // n)
        batch = np.stack([tokens[a:a + n + 1] for a in at])
        for group in opt.param_groups:
            group["lr"] = schedule(step, steps, peak)
        loss = loss_of(as_computed(w, with_ternary), batch, table, mask)
        opt.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(w.values(), 1.0)
        opt.step()
        mean = loss.item() if mean is None else 0.95 * mean + 0.05 * loss.item()
        if step % 50 == 49 or step == steps - 1:
            report("step %5d  loss %.4f  %.0f s of CPU" % (step + 1, mean, time.process_time() - start))


# ---- writing -----------------------------------------------------------------------------------

def format_of(name, x, with_ternary):
    q = gguf.GGMLQuantizationType
    if x.ndim == 1:
        return q.F32
    if with_ternary and is_ternary(name, x):
        return q.TQ2_0
    return q.Q4_0 if "per_layer_token_embd" in name else q.Q8_0


def write_gguf(path, w, tok, args):
    g = gguf.GGUFWriter(path, "pocket")
    g.add_name("Pocket")
    g.add_author("the sinter authors")
    g.add_license("MIT")
    g.add_description("A very small model of English prose, drawn for a microcontroller.")
    g.add_languages(["en"])
    g.add_context_length(N_CTX)
    g.add_embedding_length(N_EMBD)
    g.add_block_count(N_LAYER)
    g.add_feed_forward_length(N_FF)
    g.add_head_count(N_HEAD)
    g.add_head_count_kv(N_HEAD_KV)
    g.add_key_length(HEAD_DIM)
    g.add_value_length(HEAD_DIM)
    g.add_layer_norm_rms_eps(NORM_EPS)
    g.add_rope_dimension_count(HEAD_DIM)
    g.add_rope_freq_base(ROPE_BASE)
    g.add_vocab_size(N_VOCAB)
    if args.without != "window":
        g.add_sliding_window(WINDOW)
    if args.without != "ple":
        g.add_embedding_length_per_layer_input(N_PLE)

    model = json.loads(tok.to_str())["model"]
    tokens = [t for t, _ in sorted(model["vocab"].items(), key=lambda kv: kv[1])]
    assert tokens[0] == END
    g.add_tokenizer_model("gpt2")
    g.add_tokenizer_pre("gpt-2")
    g.add_token_list(tokens)
    g.add_token_types([gguf.TokenType.CONTROL] + [gguf.TokenType.NORMAL] * (N_VOCAB - 1))
    g.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in model["merges"]])
    g.add_bos_token_id(0)
    g.add_eos_token_id(0)
    g.add_add_bos_token(False)
    stored = {}
    for name, x in as_computed(w, args.without != "ternary").items():
        x = x.detach().numpy()
        fmt = format_of(name, x, args.without != "ternary")
        data = gguf.quants.quantize(x, fmt)
        stored[name] = torch.from_numpy(gguf.quants.dequantize(data, fmt).reshape(x.shape).copy())
        if fmt == gguf.GGMLQuantizationType.TQ2_0:
            assert torch.equal(stored[name], torch.from_numpy(x)), "ternary weights are stored as they are"
        g.add_tensor(name, data, raw_dtype=fmt)
    g.write_header_to_file()
    g.write_kv_data_to_file()
    g.write_tensors_to_file()
    g.close()
    return stored


def main():
    a = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    a.add_argument("text", help="what to learn from")
    a.add_argument("--out", default="pocket.gguf", help="the file (default pocket.gguf)")
    a.add_argument("--without", choices=["ternary", "ple", "window"], help="leave one idea out")
    a.add_argument("--steps", type=int, default=1200)
    a.add_argument("--rate", type=float, default=4e-3)
    a.add_argument("--held", metavar="FILE", help="write the held-out paragraphs as text")
    a = a.parse_args()
    torch.set_num_threads(1)

    def report(line):
        print(line, flush=True)

    paragraphs = read_paragraphs(a.text)
    held = paragraphs[::HELD]
    learned = [p for i, p in enumerate(paragraphs) if i % HELD]
    tok = train_tokenizer(learned[::10])
    tokens, score = stream(tok, learned), stream(tok, held)
    score = score[:len(score) // N_CTX * N_CTX]
    rows = np.stack([score[i:i + N_CTX + 1] for i in range(0, len(score) - N_CTX, N_CTX)])[:100]
    if a.held:
        with open(a.held, "w", encoding="utf-8") as f:
            f.write("".join(p + "\n" for p in held))
    table, mask = rope_table(N_CTX), visible(N_CTX, 0 if a.without == "window" else WINDOW)
    w = init_weights(a.without != "ple")
    report("torch %s, %d parameters, %d tokens to learn from, %d to score" %
           (torch.__version__, sum(p.numel() for p in w.values()), len(tokens), rows[:, 1:].size))
    train(w, a.without != "ternary", tokens, a.steps, a.rate, table, mask, report)
    report("trained on %d tokens; held out, nats per token: %.4f" %
           (a.steps * STEP_TOKENS, held_out_loss(as_computed(w, a.without != "ternary"), rows, table, mask)))
    stored = write_gguf(a.out, w, tok, a)
    report("as stored: %.4f; %s has %d bytes" %
           (held_out_loss(stored, rows, table, mask), a.out, os.path.getsize(a.out)))


if __name__ == "__main__":
    main()
