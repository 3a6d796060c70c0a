#!/usr/bin/env python3
"""Print facts_formats.h: what the gguf package (0.19.0, numpy 2.4.6) quantizes the numbers of test_formats.c to.

The numbers are the pure function of ir/base/base.h under the name "formats", seed 1, in 4096 blocks of 32; test_formats.c makes
the same ones.  Every 7th block is cubed (outliers), block b is scaled by 2^(b mod 40 - 30), block 5 is zero and block 6 constant.
Of the formats whose quantizer is ours it only has what random blocks decode to: bytes are the upper eight bits of the hashes under
"blocks", with two bits of each half's exponent cleared.  Run by developers only; the tests read what it printed.
"""
import gguf
import numpy as np

U = np.uint64
BLOCKS = 4096


def splitmix64(x):
    x = x + U(0x9E3779B97F4A7C15)
    x = (x ^ (x >> U(30))) * U(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> U(27))) * U(0x94D049BB133111EB)
    return x ^ (x >> U(31))


def fnv1a(data):
    h = 0xCBF29CE484222325
    for byte in data:
        h = (h ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return h


def hashes(name, seed, n):
    with np.errstate(over="ignore"):
        start = U(seed * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF)
        return splitmix64(U(fnv1a(name.encode())) ^ (start + np.arange(n, dtype=U)))


u = (hashes("formats", 1, 32 * BLOCKS) >> U(40)).astype(np.int64) - (1 << 23)
x = (u / 2.0**23).astype(np.float32).reshape(-1, 32)
b = np.arange(BLOCKS)
x[b % 7 == 0] = x[b % 7 == 0] * x[b % 7 == 0] * x[b % 7 == 0]
x = np.ldexp(x, (b % 40 - 30)[:, None]).astype(np.float32)
x[5] = 0
x[6] = x[6, 0]

# Any bits but NaN, as halves and as bfloat16.
bits = (hashes("bits", 1, 65536) >> U(32)).astype(np.uint32)
bits[(bits & 0x7FFFFFFF) > 0x7F800000] &= 0x807FFFFF
near = bits.copy()                      # and exponents that halves have
near[:] = (bits & 0x807FFFFF) | ((bits >> 23) % 48 + 100 - 8) << 23
bits[::2] = near[::2]
f = bits.view(np.float32)

print("/* Made by facts_formats.py; see there.  FNV-1a 64 of the encoded bytes, and the first two blocks. */")
for name in ("q8_0", "q4_0", "q4_1", "q5_0", "tq1_0", "tq2_0"):
    q = gguf.quantize(x if name[0] == "q" else x.reshape(-1, 256), gguf.GGMLQuantizationType[name.upper()])
    y = gguf.dequantize(q, gguf.GGMLQuantizationType[name.upper()])
    print(f'ENCODED({name}, 0x{fnv1a(q.tobytes()):016x}, 0x{fnv1a(y.tobytes()):016x},')
    print(f'        "{q[0].tobytes().hex()}",\n        "{q[1].tobytes().hex()}")')
with np.errstate(over="ignore"):
    print(f"CONVERTED(f16, 0x{fnv1a(f.astype(np.float16).tobytes()):016x})")
    bf = gguf.quantize(f.reshape(-1, 32), gguf.GGMLQuantizationType.BF16)
print(f"CONVERTED(bf16, 0x{fnv1a(bf.tobytes()):016x})")
for name, bytes_, halves in (("q5_0", 22, [0]), ("q4_K", 144, [0, 2]), ("q5_K", 176, [0, 2]), ("q6_K", 210, [208]),
                             ("tq1_0", 54, [52]), ("tq2_0", 66, [64])):
    q = (hashes("blocks", 1, 512 * bytes_) >> U(56)).astype(np.uint8).reshape(512, bytes_)
    for at in halves:
        q[:, at + 1] &= 0xBB
    kind = gguf.GGMLQuantizationType[name.upper() if name[-1] != "K" else name[:1].upper() + name[1:]]
    print(f"DECODED({name}, 0x{fnv1a(gguf.dequantize(q, kind).tobytes()):016x})")
print("#undef ENCODED\n#undef CONVERTED\n#undef DECODED")
