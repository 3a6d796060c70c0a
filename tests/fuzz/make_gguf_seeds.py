#!/usr/bin/env python3
"""Write the GGUF seeds of the fuzzer, with the gguf package (0.19.0), which is not our writer.  Run by developers only."""
import os
import struct
import sys

import gguf
import numpy as np

out = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "corpus", "gguf")
os.makedirs(out, exist_ok=True)


def write(name, fill, alignment=None):
    w = gguf.GGUFWriter(os.path.join(out, name), "llama")
    if alignment:
        w.add_custom_alignment(alignment)
    fill(w)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def values(w):
    w.add_uint8("u8", 1)
    w.add_int8("i8", -1)
    w.add_uint16("u16", 1)
    w.add_int16("i16", -1)
    w.add_uint32("llama.block_count", 2)
    w.add_int32("i32", -1)
    w.add_uint64("u64", 1 << 63)
    w.add_int64("i64", -1)
    w.add_float32("f32", 0.5)
    w.add_float64("f64", 0.5)
    w.add_bool("a", True)
    w.add_string("b", "text\n\u202e")
    w.add_array("c", [1, 2, 3])


def vocabulary(w):
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("gpt-2")
    w.add_token_list(["a", "b", "ab", "<|end|>"])
    w.add_token_types([1, 1, 1, 3])
    w.add_token_merges(["a b"])
    w.add_chat_template("{{ x }}")


def tensors(w):
    x = np.arange(-32, 32, dtype=np.float32).reshape(2, 32)
    w.add_tensor("plain", x)
    w.add_tensor("half", x.astype(np.float16))
    for t in ("BF16", "Q8_0", "Q4_0", "Q4_1"):
        kind = gguf.GGMLQuantizationType[t]
        w.add_tensor(f"blk.0.{t}", gguf.quantize(x, kind), raw_dtype=kind)
    w.add_tensor("integers", np.arange(3, dtype=np.int32))


def unknown(w):
    w.add_tensor("new", np.zeros((1, 144), np.uint8), raw_dtype=gguf.GGMLQuantizationType.Q4_K)


write("values.gguf", values)
write("vocabulary.gguf", vocabulary)
write("tensors.gguf", tensors)
write("aligned.gguf", tensors, 64)
write("unknown.gguf", unknown)
with open(os.path.join(out, "values.gguf"), "rb") as f:
    data = bytearray(f.read())
data[4:8] = struct.pack("<I", 2)
with open(os.path.join(out, "version2.gguf"), "wb") as f:
    f.write(data)
with open(os.path.join(out, "empty.gguf"), "wb") as f:
    f.write(b"GGUF" + struct.pack("<IQQ", 3, 0, 0))
