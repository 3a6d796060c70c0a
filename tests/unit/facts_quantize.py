#!/usr/bin/env python3
"""Print facts_quantize.h: what the gguf package (0.19.0) makes of the sample model's matrices in q4_0, and of its f32 norms nothing.

samples/model/story.gguf holds q8_0; its matrices are decoded and quantized again.  FNV-1a 64 of what the codes decode to, as f32.
Run by developers only; test_quantize.c reads what it printed.
"""
import gguf
import numpy as np


def fnv1a(data):
    h = 0xCBF29CE484222325
    for byte in data:
        h = (h ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return h


print("/* Made by facts_quantize.py; see there. */")
for t in gguf.GGUFReader("samples/model/story.gguf").tensors:
    if t.n_elements <= 1024 or not any(k in t.name for k in ("token_embd", "blk.0.attn_k", "blk.3.ffn_down")):
        continue
    x = gguf.dequantize(t.data, t.tensor_type)
    y = gguf.dequantize(gguf.quantize(x, gguf.GGMLQuantizationType.Q4_0), gguf.GGMLQuantizationType.Q4_0)
    print(f'ROUNDED("{t.name}", {y.shape[0]}, {y.shape[1]}, 0x{fnv1a(y.astype(np.float32).tobytes()):016x})')
print("#undef ROUNDED")
