"""Train the sample model from nothing and write it as GGUF:   python train.py [--out DIR]

    world.documents ──> byte-level BPE ──> rows of tokens ──> Llama, AdamW ──> master.safetensors
                                              └──> interpolated bigram      └──> story.gguf (q8_0)

Training has three parts: everything; then more questions than stories, and new names; then a
balance of the two.


The whole run is a function of the seeds below and of the arithmetic of the machine: one thread,
f32, no randomness but seeded generators. README.md records versions, losses and digests of the
run whose story.gguf is committed here.

The network is Llama (RMSNorm, RoPE, grouped-query attention, SwiGLU, tied head). RoPE turns the
pairs (0,1) (2,3) ... of a head, as GGUF's llama stores them, so the GGUF takes the trained rows as
they are; the master follows Hugging Face, which pairs i with i + head_dim/2: its rows are moved.
"""

import argparse
import hashlib
import itertools
import json
import math
import os
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"

import gguf
import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

import world

N_VOCAB, N_CTX, N_EMBD, N_LAYER, N_FF = 1024, 512, 128, 4, 384
N_HEAD, N_HEAD_KV, HEAD_DIM = 4, 2, 32
ROPE_BASE, NORM_EPS = 10000.0, 1e-5
SEED_HELD, SEED_WEIGHTS, SEEDS_TEXT = 2, 3, (1, 4, 5)
END, IM_START, IM_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
CHAT_TEMPLATE = ("{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + "
                 "message['content']"
                 " + '<|im_end|>' + '\\n'}}{% endfor %}"
                 "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}")
HELD_ROWS = 200                   # of 512 tokens: half tunes the bigram's weights, half is scored


# ---- text to rows of tokens --------------------------------------------------------------------

def as_text(doc):
    """A document with its control tokens; every document ends with <|endoftext|>."""
    if isinstance(doc, str):
        return doc + END
    return "".join(IM_START + role + "\n" + text + IM_END + "\n" for role, text in doc) + END


def train_tokenizer(n_docs=6000):
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tok.decoder = decoders.ByteLevel()
    texts = []
    for doc in itertools.islice(world.documents(SEEDS_TEXT[0]), n_docs):
        texts += [doc] if isinstance(doc, str) else [part for turn in doc for part in turn]
    tok.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=N_VOCAB, special_tokens=[END, IM_START, IM_END], show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())))
    assert tok.get_vocab_size() == N_VOCAB
    return tok


class Rows:
    """Rows of tokens without end. A row begins where a document begins and is cut to a length."""

    def __init__(self, tok, seed, mix=world.EVERYTHING, skip=frozenset()):
        self.tok, self.docs, self.skip, self.seen = tok, world.documents(seed, mix), skip, set()

    def row(self, n):
        ids = []
        while len(ids) < n:
            text = as_text(next(self.docs))
            if text not in self.skip:
                self.seen.add(text)
                ids += self.tok.encode(text).ids
        return ids[:n]

    def batch(self, n_rows, n):
        return np.array([self.row(n) for _ in range(n_rows)], dtype=np.int64)


# ---- the baseline ------------------------------------------------------------------------------

def bigram_loss(train_rows, tune, score):
    """Mean negative log-likelihood, in nats per token, of
         p(b | a) = w2 count(a,b)/count(a) + w1 count(b)/n + w0/n_vocab
    with three weights for each magnitude of count(a), fitted on `tune` by expectation
    maximization."""
    pair = np.zeros((N_VOCAB, N_VOCAB))
    for rows in train_rows:
        np.add.at(pair, (rows[:, :-1].ravel(), rows[:, 1:].ravel()), 1)
    left, uni = pair.sum(1), pair.sum(0) / pair.sum()
    bucket = np.minimum(np.log2(left + 1).astype(int), 20)

    def terms(rows):
        a, b = rows[:, :-1].ravel(), rows[:, 1:].ravel()
        return bucket[a], np.stack([np.full(a.shape, 1 / N_VOCAB), uni[b],
                                    pair[a, b] / np.maximum(left[a], 1)])

    k, t = terms(tune)
    w = np.full((21, 3), 1 / 3)
    for _ in range(50):
        share = w[k].T * t
        share /= share.sum(0)
        for i in range(21):
            if (k == i).any():
                w[i] = share[:, k == i].mean(1)
    k, t = terms(score)
    return -np.log((w[k].T * t).sum(0)).mean()


# ---- the network -------------------------------------------------------------------------------

def init_weights():
    """Tensors by their GGUF names: random, but the first two layers begin as an induction head.

    To copy a word that was said before ("... A B ... A" -> "B") two layers must work together, and
    a small model finds this pair late: without help it had not after 1.6 million tokens, and gave
    Ben's hat to somebody else. So a rough one stands in the first values:

      layer 0, heads 0 and 1 look at the token before. Every embedding has the component `u`; q and
               k read it into fast turning pairs of RoPE, k one step ahead, so that the score is
               greatest at distance 1. What is seen there (P x) is written to the directions R.
      layer 1  compares P x here with what layer 0 wrote elsewhere, in slowly turning pairs. So it
               finds the token that came after the same word, and adds it to the residual stream.

    As all tokens have the same u, it adds the same to all logits and changes no probability."""
    g = torch.Generator().manual_seed(SEED_WEIGHTS)

    def random(n_out, n_in, std):
        return torch.randn(n_out, n_in, generator=g) * std

    w = {"token_embd.weight": random(N_VOCAB, N_EMBD, 0.09)}
    for i in range(N_LAYER):
        b = "blk.%d." % i
        w[b + "attn_norm.weight"] = torch.ones(N_EMBD)
        w[b + "attn_q.weight"] = random(N_HEAD * HEAD_DIM, N_EMBD, 0.02)
        w[b + "attn_k.weight"] = random(N_HEAD_KV * HEAD_DIM, N_EMBD, 0.02)
        w[b + "attn_v.weight"] = random(N_HEAD_KV * HEAD_DIM, N_EMBD, N_EMBD ** -0.5)
        w[b + "attn_output.weight"] = random(N_EMBD, N_HEAD * HEAD_DIM, 0.001)
        w[b + "ffn_norm.weight"] = torch.ones(N_EMBD)
        w[b + "ffn_gate.weight"] = random(N_FF, N_EMBD, N_EMBD ** -0.5)
        w[b + "ffn_up.weight"] = random(N_FF, N_EMBD, N_EMBD ** -0.5)
        w[b + "ffn_down.weight"] = random(N_EMBD, N_FF, 0.001)
    w["output_norm.weight"] = torch.ones(N_EMBD)

    basis = torch.linalg.qr(random(N_EMBD, N_EMBD, 1.0))[0].T
    P, R, u = basis[:HEAD_DIM], basis[HEAD_DIM:2 * HEAD_DIM], basis[-1]
    w["token_embd.weight"] += 0.09 * math.sqrt(N_EMBD) * u
    q, k, v, o = (w["blk.0.attn_%s.weight" % x] for x in ("q", "k", "v", "output"))
    for pair in range(6):
        angle = ROPE_BASE ** (-2 * pair / HEAD_DIM)
        for head in (0, 1):
            q[head * HEAD_DIM + 2 * pair] += 1.5 * u
        k[2 * pair] += 1.5 * math.cos(angle) * u
        k[2 * pair + 1] += 1.5 * math.sin(angle) * u
    v[:HEAD_DIM] = P
    o[:, :HEAD_DIM] += 0.45 * R.T
    q, k, v, o = (w["blk.1.attn_%s.weight" % x] for x in ("q", "k", "v", "output"))
    for head in range(N_HEAD):
        at, kv = head * HEAD_DIM, head // (N_HEAD // N_HEAD_KV) * HEAD_DIM
        q[at + 14:at + HEAD_DIM] += 3 * P[14:]
        if head % 2 == 0:
            k[kv + 14:kv + HEAD_DIM] += 3 * R[14:]
        o[:, at:at + HEAD_DIM] += 0.45 * v[kv:kv + HEAD_DIM].T
    return {name: x.requires_grad_() for name, x in w.items()}


def rope_table(n):
    angle = torch.arange(n)[:, None] * ROPE_BASE ** (-torch.arange(0, HEAD_DIM, 2) / HEAD_DIM)
    return angle.cos(), angle.sin()


def rope(x, cos, sin):
    """x[..., t, 2i] and x[..., t, 2i+1] are turned by t * base^(-2i/head_dim)."""
    a, b = x[..., 0::2], x[..., 1::2]
    return torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(-2)


def logits_of(w, ids, cos, sin):
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
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + F.linear(y.transpose(1, 2).reshape(n, t, -1), w[b + "attn_output.weight"])
        h = norm(x, b + "ffn_norm")
        h = F.silu(F.linear(h, w[b + "ffn_gate.weight"])) * F.linear(h, w[b + "ffn_up.weight"])
        x = x + F.linear(h, w[b + "ffn_down.weight"])
    return F.linear(norm(x, "output_norm"), w["token_embd.weight"])


def loss_of(w, rows, table):
    ids = torch.from_numpy(rows)
    logits = logits_of(w, ids[:, :-1], *table)
    return F.cross_entropy(logits.reshape(-1, N_VOCAB), ids[:, 1:].reshape(-1))


@torch.no_grad()
def held_out_loss(w, rows, table):
    return sum(loss_of(w, rows[i:i + 10],
                       table).item() for i in range(0, len(rows), 10)) / (len(rows) // 10)


# ---- training ----------------------------------------------------------------------------------

STEP_TOKENS = 2048
# what the text is, steps, peak learning rate
PARTS = [(world.EVERYTHING, 2400, 3e-3), (world.QUESTIONS, 900, 2e-3), (world.BALANCED, 700, 2e-3)]


def repeats(rng, n_rows, n, period):
    """Rows of a few random tokens said again and again."""
    return np.stack([np.resize(rng.integers(3, N_VOCAB, rng.integers(3, period)),
                               n) for _ in range(n_rows)])


def schedule(step, steps, peak, warmup=60):
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup))))


def text_batches(rows, steps, rehearse):
    """The text of each step: rows of 256 tokens, in the last fifth of the steps rows of 512. With
    `rehearse` the first half leaves place for one row of repeats."""
    for step in range(steps):
        n = 256 if step < steps * 4 // 5 else N_CTX
        yield rows.batch(STEP_TOKENS // n - (rehearse and step < steps // 2), n + 1)


def train(w, text, steps, peak, table, report, n_first=0):
    """n_first steps of nothing but repeats, which make the rough induction head a good one; then
    the batches of `text`, filled up with repeats so that the head is not forgotten."""
    rng = np.random.default_rng(SEED_WEIGHTS)
    groups = [{"params": [p for p in w.values() if p.dim() == n_dim], "weight_decay": decay}
              for n_dim, decay in ((2, 0.1), (1, 0.0))]
    opt = torch.optim.AdamW(groups, lr=peak, betas=(0.9, 0.98), eps=1e-9)
    mean, start = None, time.process_time()
    for step in range(-n_first, steps):
        if step < 0:
            batch, lr = repeats(rng, STEP_TOKENS // 64, 65, 20), min(peak, 2e-3)
            lr *= min(1, (step + n_first + 1) / 50)
        else:
            batch, lr = text[step], schedule(step, steps, peak)
            n = batch.shape[1] - 1
            if batch.size < STEP_TOKENS:
                batch = np.concatenate([batch, repeats(rng, 1, n + 1, 100)])
        for group in opt.param_groups:
            group["lr"] = lr
        loss = loss_of(w, batch, table)
        opt.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(w.values(), 1.0)
        opt.step()
        mean = loss.item() if mean is None else 0.95 * mean + 0.05 * loss.item()
        if step % 50 == 49 or step == steps - 1:
            seconds = time.process_time() - start
            report("step %5d  loss %.4f  %.0f s of CPU" % (step + 1, mean, seconds))


# ---- writing -----------------------------------------------------------------------------------

def half_split(rows):
    """Rows of q or k from pairs (2i, 2i+1) to pairs (i, i + head_dim/2), head by head."""
    n = rows.shape[0] // HEAD_DIM
    return np.ascontiguousarray(rows.reshape(n, HEAD_DIM // 2, 2,
                                             -1).transpose(0, 2, 1, 3).reshape(rows.shape))


HF_NAMES = {"attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj",
            "attn_k": "self_attn.k_proj",
            "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
            "ffn_norm": "post_attention_layernorm",
            "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}


def hf_tensors(w):
    """The tensors under Hugging Face's names, q and k in its order."""
    out = {}
    for name, x in w.items():
        part = name.split(".")
        if part[0] == "blk":
            x = half_split(x) if part[2] in ("attn_q", "attn_k") else x
            out["model.layers.%s.%s.weight" % (part[1], HF_NAMES[part[2]])] = x
        else:
            out[{"token_embd": "model.embed_tokens.weight",
                 "output_norm": "model.norm.weight"}[part[0]]] = x
    return out


def numpy_of(w):
    return {name: p.detach().numpy() for name, p in w.items()}


def write_gguf(path, w, tok, quantize=True):
    q8, f32 = gguf.GGMLQuantizationType.Q8_0, gguf.GGMLQuantizationType.F32
    g = gguf.GGUFWriter(path, "llama")
    g.add_name("Story")
    g.add_author("the sinter authors")
    g.add_license("MIT")
    g.add_description("A very small model that tells stories about a little valley and answers "
                      "simple questions.")
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
    g.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0 if quantize else gguf.LlamaFileType.ALL_F32)
    g.add_quantization_version(2)

    model = json.loads(tok.to_str())["model"]
    tokens = [t for t, _ in sorted(model["vocab"].items(), key=lambda kv: kv[1])]
    assert tokens[:3] == [END, IM_START, IM_END]
    g.add_tokenizer_model("gpt2")
    g.add_tokenizer_pre("gpt-2")
    g.add_token_list(tokens)
    g.add_token_types([gguf.TokenType.CONTROL] * 3 + [gguf.TokenType.NORMAL] * (N_VOCAB - 3))
    g.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in model["merges"]])
    g.add_bos_token_id(0)
    g.add_eos_token_id(2)
    g.add_add_bos_token(False)
    g.add_chat_template(CHAT_TEMPLATE)
    for name, x in w.items():
        if quantize and x.ndim == 2:
            g.add_tensor(name, gguf.quants.quantize(x, q8), raw_dtype=q8)
        else:
            g.add_tensor(name, x, raw_dtype=f32)
    g.write_header_to_file()
    g.write_kv_data_to_file()
    g.write_tensors_to_file()
    g.close()


def sha256(path):
    return hashlib.sha256(open(path, "rb").read()).hexdigest()


def main():
    a = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    a.add_argument("--out", default="out", help="folder for what is written (default out)")
    a.add_argument("--resume", metavar="DIR", help="a run's folder: take the parts it has finished")
    a = a.parse_args()
    os.makedirs(a.out, exist_ok=True)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    names = ["tokenizer.json", "master.safetensors", "story-f32.gguf", "story.gguf", "held.npy"]
    path = {n: os.path.join(a.out, n) for n in names}

    def report(line):
        print(line, flush=True)

    tok = train_tokenizer()
    tok.save(path["tokenizer.json"])
    table = rope_table(N_CTX)
    w = init_weights()
    report("torch %s, %d parameters" % (torch.__version__, sum(p.numel() for p in w.values())))

    used, seen = [], set()
    for i, (mix, steps, peak) in enumerate(PARTS):
        rows = Rows(tok, SEEDS_TEXT[i], mix)
        text = list(text_batches(rows, steps, rehearse=i == 0))
        used, seen = used + text, seen | rows.seen
        done = os.path.join(a.resume, "part%d-f32.gguf" % (i + 1)) if a.resume else ""
        report("part %d, %d steps" % (i + 1, steps))
        if os.path.exists(done):
            report("read from " + done)
            for x in gguf.GGUFReader(done).tensors:
                w[x.name].data = torch.from_numpy(x.data.copy())
        else:
            train(w, text, steps, peak, table, report, n_first=120 if i == 0 else 0)
        part = os.path.join(a.out, "part%d-f32.gguf" % (i + 1))
        write_gguf(part, numpy_of(w), tok, quantize=False)

    held = Rows(tok, SEED_HELD, skip=seen).batch(HELD_ROWS, N_CTX + 1)
    tune, score = held[:HELD_ROWS // 2], held[HELD_ROWS // 2:]
    report("trained on %d tokens, %d documents" % (sum(r.size for r in used), len(seen)))
    report("held out: %d tokens of documents that are not in the training text, nats per token"
           % score[:, 1:].size)
    report("  interpolated bigram  %.4f" % bigram_loss(used, tune, score))
    report("  model, f32           %.4f" % held_out_loss(w, score, table))

    save_file(hf_tensors(numpy_of(w)), path["master.safetensors"], metadata={"format": "pt"})
    write_gguf(path["story-f32.gguf"], numpy_of(w), tok, quantize=False)
    write_gguf(path["story.gguf"], numpy_of(w), tok)
    np.save(path["held.npy"], score.astype(np.int16))
    for name in ("master.safetensors", "story-f32.gguf", "story.gguf", "held.npy"):
        report("%s  %s  %d bytes" % (sha256(path[name]), name, os.path.getsize(path[name])))


if __name__ == "__main__":
    main()
