#!/usr/bin/env python3
"""Random strings through the text layer and through the `tokenizers` library, side by side.

    differential.py TEXT_TOOL MODEL.gguf [N] [SEED]

The reference is built from the same vocabulary and merges, with the pre-tokenizer that the model's tokenizer.json has.  Prints
the first ten differences, and how many there are.  Known differences, by design (docs/text.md):
  - a byte that the vocabulary lacks: `tokenizers` drops it before merging, so its neighbours may merge over it (counted apart)
  - U+017F in a contraction ('ſ), which Unicode folds to s in (?i:...): llama.cpp and sinter fold ASCII only
  - code points that one of the Unicode versions does not know as letters or numbers
Needs: gguf, tokenizers (versions used: gguf 0.19, tokenizers 0.23)."""
import random
import struct
import subprocess
import sys

from gguf import GGUFReader
from tokenizers import Regex, Tokenizer, models, pre_tokenizers

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")


def alphabet():
    """GPT-2's character of each byte."""
    themselves = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in themselves]
    return {chr(b): b for b in themselves} | {chr(256 + i): b for i, b in enumerate(others)}


ALPHABET = alphabet()


def strings(reader, key):
    field = reader.fields[key]
    return [bytes(field.parts[i]).decode("utf-8") for i in field.data]


def reference(path):
    reader = GGUFReader(path)
    tokens = strings(reader, "tokenizer.ggml.tokens")
    types = reader.fields["tokenizer.ggml.token_type"]
    normal = {t for t, i in zip(tokens, types.data) if types.parts[i][0] == 1}
    merges = [tuple(m.split(" ")) for m in strings(reader, "tokenizer.ggml.merges")]
    pre = reader.fields["tokenizer.ggml.pre"].contents()
    vocab = {t: i for i, t in enumerate(tokens) if t in normal}
    bpe = Tokenizer(models.BPE(vocab, merges, ignore_merges=pre == "llama-bpe"))
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=pre in ("smollm", "gpt-2"))
    if pre == "smollm":
        steps = [pre_tokenizers.Digits(individual_digits=True), byte_level]
    elif pre == "gpt-2":
        steps = [byte_level]
    else:
        expr = LLAMA3 if pre == "llama-bpe" else LLAMA3.replace("{1,3}", "")
        steps = [pre_tokenizers.Split(Regex(expr), behavior="isolated", invert=False), byte_level]
    bpe.pre_tokenizer = pre_tokenizers.Sequence(steps)
    return bpe, tokens


POOLS = [
    lambda r: chr(r.randrange(0x20, 0x7F)),
    lambda r: r.choice("  \t\n\r\n \u00a0\u3000\u2028\u0085\x0b\x0c\x1c"),
    lambda r: r.choice("etaoinshrdlu ETAOIN "),
    lambda r: r.choice("0123456789٣五Ⅷ²¾𝟙"),
    lambda r: r.choice(["'s", "'S", "'LL", "'re", "'Ve", "'", "’s", "'d ", "'M"]),
    lambda r: r.choice(["the ", " and", "ing", "tion", " of", "http", "://", "()", "    ", "\n\n", " =", "=="]),
    lambda r: chr(r.randrange(0xA0, 0x250)),
    lambda r: chr(r.randrange(0x370, 0x700)),
    lambda r: chr(r.randrange(0x900, 0xE80)),
    lambda r: chr(r.randrange(0x4E00, 0x9FFF)),
    lambda r: chr(r.randrange(0xAC00, 0xD7A4)),
    lambda r: r.choice("🙂👩‍🚀🇵🇹️́ïﬁ"),
    lambda r: chr(r.choice([r.randrange(0x20, 0xD800), r.randrange(0xE000, 0x110000)])),
    lambda r: chr(r.randrange(0, 0x20)),
]


def random_text(r):
    pools = r.sample(POOLS, r.randrange(1, 5))
    return "".join(r.choice(pools)(r) for _ in range(int(r.expovariate(1 / 30)) + 1))


def main():
    tool, path = sys.argv[1], sys.argv[2]
    n = int(sys.argv[3]) if len(sys.argv) > 3 else 20000
    r = random.Random(int(sys.argv[4]) if len(sys.argv) > 4 else 1)
    ref, tokens = reference(path)
    texts = [random_text(r) for _ in range(n)]
    data = b"".join(struct.pack("<I", len(b)) + b for b in (t.encode("utf-8") for t in texts))
    out = subprocess.run([tool, "encode", path], input=data, capture_output=True, check=True).stdout.decode().split("\n")
    has = {t for t in tokens if len(t) == 1}
    lacking = {b for c, b in ALPHABET.items() if c not in has}
    differ = known = 0
    for text, line in zip(texts, out):
        ours = [int(x) for x in line.split()]
        theirs = ref.encode(text, add_special_tokens=False).ids
        if ours == theirs:
            continue
        if lacking & set(text.encode("utf-8")):
            known += 1
            continue
        differ += 1
        if differ <= 10:
            at = next((i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b), min(len(ours), len(theirs)))
            print(ascii(text))
            print("   ours  ", [tokens[i] for i in ours[max(at - 2, 0):at + 4]])
            print("   theirs", [tokens[i] for i in theirs[max(at - 2, 0):at + 4]])
    print(f"{path.rsplit('/', 1)[-1]}: {n} strings, {known} differ that have bytes the vocabulary lacks, {differ} others")
    return differ > 0


sys.exit(main())
