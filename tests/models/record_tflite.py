#!/usr/bin/env python3
"""Small random models of TensorFlow Lite, each around one kind of operator, and what TensorFlow Lite Micro computes with them.

    record_tflite.py [--check] [NAME ...]      writes tests/models/tflite/NAME.tflite, NAME.in and NAME.out
    --check                                    only compares with what is there

Needs the packages flatbuffers, numpy and tflite_micro (recorded with 0.dev20261023182759).  A case is a few lines below: tensors, operators, and how many
random inputs.  Numbers of fields and enums are those of TensorFlow's schema.fbs; the models are written with flatbuffers' Builder alone."""
import os
import sys

import flatbuffers
import numpy as np
import tflite_micro

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tflite")
TYPES = {"f32": (0, np.float32), "i32": (2, np.int32), "i16": (7, np.int16), "i8": (9, np.int8)}
ADD, AVERAGE_POOL, CONCAT, CONV, DEPTHWISE, FC, MAX_POOL, MUL = 0, 1, 2, 3, 4, 9, 17, 18
RELU, RELU6, RESHAPE, SOFTMAX, PAD, TRANSPOSE, SUB, QUANTIZE = 19, 21, 22, 25, 34, 39, 41, 114
LOGISTIC, TANH, MEAN, STRIDED_SLICE, SLICE, SUM, LEAKY_RELU, HARD_SWISH = 14, 28, 40, 45, 65, 74, 98, 117
SAME, VALID = 0, 1
NO_ACT, ACT_RELU, ACT_N1, ACT_RELU6 = 0, 1, 2, 3


class Model:
    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.tensors, self.ops, self.inputs, self.outputs = [], [], [], []

    def tensor(self, shape, kind="i8", scale=None, zero=0, data=None, axis=0):
        """Its number.  scale: one or a list; data: an array, or "random"."""
        if isinstance(data, str):
            n = int(np.prod(shape))
            if kind == "f32":
                data = self.rng.standard_normal(n)
            else:
                low, high = {"i8": (-127, 128), "i32": (-20000, 20000)}[kind]
                data = self.rng.integers(low, high, n)
        if data is not None:
            data = np.asarray(data, TYPES[kind][1]).reshape(shape)
        self.tensors.append((list(shape), kind, scale, zero, data, axis))
        return len(self.tensors) - 1

    def input(self, shape, kind="i8", scale=0.05, zero=3):
        t = self.tensor(shape, kind, None if kind == "f32" else scale, zero)
        self.inputs.append(t)
        return t

    def op(self, code, ins, shape, options=(), kind="i8", scale=0.1, zero=-5):
        """Appends an operator; options: (union type, [(slot, bytes, value), ...]).  Gives its output."""
        out = self.tensor(shape, kind, None if kind == "f32" else scale, zero)
        self.ops.append((code, list(ins), [out], options))
        return out

    def build(self):
        b = flatbuffers.Builder(1024)
        codes = sorted({o[0] for o in self.ops})

        def vector(kind, values, size, put):
            b.StartVector(size, len(values), size)
            for v in reversed(values):
                put(v)
            return b.EndVector()

        def ints(values):
            return vector("i", values, 4, b.PrependInt32)

        def tables(offsets):
            return vector("t", offsets, 4, b.PrependUOffsetTRelative)

        buffers = [None] + [t[4] for t in self.tensors]
        made = []
        for data in buffers:
            v = None
            if data is not None:
                raw = data.astype(data.dtype.newbyteorder("<")).tobytes()
                b.StartVector(1, len(raw), 16)
                b.head = b.head - len(raw)
                b.Bytes[b.head:b.head + len(raw)] = raw
                v = b.EndVector()
            b.StartObject(1)
            if v is not None:
                b.PrependUOffsetTRelativeSlot(0, v, 0)
            made.append(b.EndObject())
        buffers = tables(made)
        tensors = []
        for i, (shape, kind, scale, zero, data, axis) in enumerate(self.tensors):
            name, dims, q = b.CreateString("t%d" % i), ints(shape), None
            if scale is not None:
                scale = scale if isinstance(scale, list) else [scale]
                s = vector("f", scale, 4, b.PrependFloat32)
                z = vector("l", [zero] * len(scale), 8, b.PrependInt64)
                b.StartObject(7)
                b.PrependUOffsetTRelativeSlot(2, s, 0)
                b.PrependUOffsetTRelativeSlot(3, z, 0)
                b.PrependInt32Slot(6, axis, 0)
                q = b.EndObject()
            b.StartObject(8)
            b.PrependUOffsetTRelativeSlot(0, dims, 0)
            b.PrependInt8Slot(1, TYPES[kind][0], 0)
            b.PrependUint32Slot(2, i + 1 if data is not None else 0, 0)
            b.PrependUOffsetTRelativeSlot(3, name, 0)
            if q is not None:
                b.PrependUOffsetTRelativeSlot(4, q, 0)
            tensors.append(b.EndObject())
        tensors = tables(tensors)
        ops = []
        for code, ins, outs, options in self.ops:
            i, o, table = ints(ins), ints(outs), None
            if options:
                b.StartObject(8)
                for slot, size, value in options[1]:
                    {1: b.PrependInt8Slot, 4: b.PrependInt32Slot, "f": b.PrependFloat32Slot}[size](slot, value, None)
                table = b.EndObject()
            b.StartObject(9)
            b.PrependUint32Slot(0, codes.index(code), 0)
            b.PrependUOffsetTRelativeSlot(1, i, 0)
            b.PrependUOffsetTRelativeSlot(2, o, 0)
            if table is not None:
                b.PrependUint8Slot(3, options[0], 0)
                b.PrependUOffsetTRelativeSlot(4, table, 0)
            ops.append(b.EndObject())
        ops, i, o = tables(ops), ints(self.inputs), ints(self.outputs)
        b.StartObject(5)
        for slot, v in enumerate((tensors, i, o, ops)):
            b.PrependUOffsetTRelativeSlot(slot, v, 0)
        graphs = tables([b.EndObject()])
        made = []
        for code in codes:
            b.StartObject(4)
            b.PrependInt8Slot(0, min(code, 127), 0)
            b.PrependInt32Slot(2, {CONV: 3, DEPTHWISE: 3, FC: 4}.get(code, 2), 1)
            b.PrependInt32Slot(3, code, 0)
            made.append(b.EndObject())
        codes = tables(made)
        b.StartObject(8)
        b.PrependUint32Slot(0, 3, 0)
        b.PrependUOffsetTRelativeSlot(1, codes, 0)
        b.PrependUOffsetTRelativeSlot(2, graphs, 0)
        b.PrependUOffsetTRelativeSlot(4, buffers, 0)
        b.Finish(b.EndObject(), b"TFL3")
        return bytes(b.Output())


def conv(padding, sw, sh, act=NO_ACT, dw=1, dh=1):
    return 1, [(0, 1, padding), (1, 4, sw), (2, 4, sh), (3, 1, act), (4, 4, dw), (5, 4, dh)]


def depthwise(padding, sw, sh, m, act=NO_ACT, dw=1, dh=1):
    return 2, [(0, 1, padding), (1, 4, sw), (2, 4, sh), (3, 4, m), (4, 1, act), (5, 4, dw), (6, 4, dh)]


def pool(padding, sw, sh, w, h, act=NO_ACT):
    return 5, [(0, 1, padding), (1, 4, sw), (2, 4, sh), (3, 4, w), (4, 4, h), (5, 1, act)]


def connected(act=NO_ACT):
    return 8, [(0, 1, act)]


def scales(m, n):
    return [float(x) for x in m.rng.uniform(0.002, 0.02, n).astype(np.float32)]


# ---- the cases: each makes a model and gives the number of random inputs ------------------------------------------------------------------


def conv_same(m):
    x = m.input([1, 7, 6, 3])
    w = m.tensor([5, 3, 2, 3], scale=scales(m, 5), data="random")
    y = m.op(CONV, [x, w, m.tensor([5], "i32", data="random")], [1, 4, 3, 5], conv(SAME, 2, 2, ACT_RELU6), scale=0.03, zero=-128)
    m.outputs = [y]


def conv_dilated(m):
    x = m.input([1, 9, 8, 4], zero=-128)
    w = m.tensor([6, 3, 3, 4], scale=0.004, data="random")
    y = m.op(CONV, [x, w, m.tensor([6], "i32", data="random")], [1, 5, 4, 6], conv(VALID, 1, 1, NO_ACT, 2, 2))
    m.outputs = [y]


def conv_no_bias(m):
    x = m.input([2, 4, 4, 2], zero=127)
    w = m.tensor([3, 1, 1, 2], scale=scales(m, 3), data="random")
    m.outputs = [m.op(CONV, [x, w, -1], [2, 4, 4, 3], conv(SAME, 1, 1, ACT_N1), scale=0.02, zero=4)]


def depthwise_wide(m):
    x = m.input([1, 6, 7, 3])
    w = m.tensor([1, 3, 3, 6], scale=scales(m, 6), data="random", axis=3)
    y = m.op(DEPTHWISE, [x, w, m.tensor([6], "i32", data="random")], [1, 6, 7, 6], depthwise(SAME, 1, 1, 2, ACT_RELU), zero=-100)
    w = m.tensor([1, 2, 4, 6], scale=scales(m, 6), data="random", axis=3)
    m.outputs = [m.op(DEPTHWISE, [y, w, m.tensor([6], "i32", data="random")], [1, 3, 2, 6], depthwise(VALID, 2, 2, 1))]


def connected_int8(m):
    x = m.input([3, 2, 8])
    w = m.tensor([5, 16], scale=0.006, data="random")
    y = m.op(FC, [x, w, m.tensor([5], "i32", data="random")], [3, 5], connected(ACT_RELU), zero=-128)
    w = m.tensor([4, 5], scale=scales(m, 4), data="random")
    m.outputs = [m.op(FC, [y, w, m.tensor([4], "i32", data="random")], [3, 4], connected(), scale=0.3)]


def pools(m):
    x = m.input([1, 7, 7, 3])
    y = m.op(AVERAGE_POOL, [x], [1, 4, 4, 3], pool(SAME, 2, 2, 3, 3, ACT_RELU), scale=0.05, zero=3)
    y = m.op(MAX_POOL, [y], [1, 4, 4, 3], pool(SAME, 1, 1, 2, 3), scale=0.05, zero=3)
    m.outputs = [m.op(AVERAGE_POOL, [y], [1, 1, 1, 3], pool(VALID, 4, 4, 4, 4), scale=0.05, zero=3)]


def arithmetic(m):
    x = m.input([1, 3, 4, 5])
    y = m.op(ADD, [x, m.tensor([5], scale=0.01, zero=9, data="random")], [1, 3, 4, 5], (11, [(0, 1, ACT_RELU)]), scale=0.06, zero=-30)
    y = m.op(MUL, [y, x], [1, 3, 4, 5], (21, [(0, 1, NO_ACT)]), scale=0.4, zero=7)
    z = m.op(SUB, [y, m.tensor([1], scale=0.7, zero=-3, data=[100])], [1, 3, 4, 5], (28, [(0, 1, NO_ACT)]), scale=0.5, zero=20)
    m.outputs = [m.op(ADD, [z, y], [1, 3, 4, 5], (11, [(0, 1, NO_ACT)]), scale=0.9, zero=-6)]


def softmaxes(m):
    x = m.input([4, 11], scale=0.3, zero=-20)
    y = m.op(SOFTMAX, [x], [4, 11], (9, [(0, "f", 1.0)]), scale=1 / 256, zero=-128)
    m.outputs = [y]


def softmax_sharp(m):
    x = m.input([2, 5], scale=0.11, zero=0)
    m.outputs = [m.op(SOFTMAX, [x], [2, 5], (9, [(0, "f", 2.5)]), scale=1 / 256, zero=-128)]


def functions(m):
    x = m.input([1, 40])
    y = m.op(RELU, [x], [1, 40], (), scale=0.02, zero=-90)
    y = m.op(QUANTIZE, [y], [1, 40], (), scale=0.031, zero=11)
    m.outputs = [m.op(RELU6, [y], [1, 40], (), scale=0.031, zero=11)]


def sigmoids(m):
    x = m.input([1, 60], scale=0.06, zero=-7)
    y = m.op(LOGISTIC, [x], [1, 60], (), scale=1 / 256, zero=-128)
    z = m.op(TANH, [x], [1, 60], (), scale=1 / 128, zero=0)
    m.outputs = [m.op(MUL, [y, z], [1, 60], (21, [(0, 1, NO_ACT)]), scale=1 / 128, zero=0)]


def sigmoid_wide(m):
    x = m.input([1, 60], scale=0.2, zero=100)
    m.outputs = [m.op(LOGISTIC, [x], [1, 60], (), scale=1 / 256, zero=-128)]


def tanh_narrow(m):
    x = m.input([1, 60], scale=0.004, zero=0)
    m.outputs = [m.op(TANH, [x], [1, 60], (), scale=1 / 128, zero=0)]


def hinges(m):
    x = m.input([1, 60])
    y = m.op(LEAKY_RELU, [x], [1, 60], (75, [(0, "f", 0.3)]), scale=0.04, zero=-20)
    m.outputs = [m.op(HARD_SWISH, [y], [1, 60], (), scale=0.03, zero=-100)]


def hard_swish_fine(m):
    x = m.input([1, 60], scale=0.011, zero=20)
    m.outputs = [m.op(HARD_SWISH, [x], [1, 60], (), scale=0.02, zero=-20)]


def means(m):
    x = m.input([2, 5, 3, 4])
    y = m.op(MEAN, [x, m.tensor([2], "i32", data=[1, 2])], [2, 1, 1, 4], (27, [(0, 1, 1)]), scale=0.021, zero=9)
    z = m.op(SUM, [x, m.tensor([1], "i32", data=[-1])], [2, 5, 3], (27, [(0, 1, 0)]), scale=0.2, zero=-11)
    z = m.op(MEAN, [z, m.tensor([2], "i32", data=[0, 1])], [3], (27, [(0, 1, 0)]), scale=0.02, zero=0)
    y = m.op(RESHAPE, [y, m.tensor([1], "i32", data=[8])], [8], (), scale=0.021, zero=9)
    y = m.op(QUANTIZE, [y], [8], (), scale=0.02, zero=0)
    m.outputs = [m.op(CONCAT, [y, z], [11], (10, [(0, 4, 0), (1, 1, NO_ACT)]), scale=0.02, zero=0)]


def cuts(m):
    x = m.input([1, 5, 6, 3])
    y = m.op(STRIDED_SLICE, [x] + [m.tensor([4], "i32", data=d) for d in ([0, 1, -4, 0], [0, -1, 5, 2], [1, 1, 1, 1])], [1, 3, 3, 2],
             (32, [(0, 4, 1), (1, 4, 1)]), scale=0.05, zero=3)
    z = m.op(SLICE, [y, m.tensor([4], "i32", data=[0, 1, 0, 1]), m.tensor([4], "i32", data=[1, 2, -1, 1])], [1, 2, 3, 1], (), scale=0.05, zero=3)
    y = m.op(STRIDED_SLICE, [y] + [m.tensor([4], "i32", data=d) for d in ([0, 2, 0, 1], [0, 0, 3, 0], [1, 1, 1, 1])], [3],
             (32, [(4, 4, 11)]), scale=0.05, zero=3)
    y = m.op(RESHAPE, [y, m.tensor([4], "i32", data=[1, 1, 3, 1])], [1, 1, 3, 1], (), scale=0.05, zero=3)
    m.outputs = [m.op(CONCAT, [z, y], [1, 3, 3, 1], (10, [(0, 4, 1), (1, 1, NO_ACT)]), scale=0.05, zero=3)]


def moves(m):
    x = m.input([1, 3, 2, 4])
    y = m.op(PAD, [x, m.tensor([4, 2], "i32", data=[0, 0, 1, 2, 0, 1, 0, 0])], [1, 6, 3, 4], (), scale=0.05, zero=3)
    y = m.op(TRANSPOSE, [y, m.tensor([4], "i32", data=[0, 2, 3, 1])], [1, 3, 4, 6], (), scale=0.05, zero=3)
    z = m.op(RESHAPE, [y, m.tensor([3], "i32", data=[3, 2, 12])], [3, 2, 12], (), scale=0.05, zero=3)
    c = m.tensor([3, 2, 5], scale=0.05, zero=3, data="random")
    m.outputs = [m.op(CONCAT, [z, c, z], [3, 2, 29], (10, [(0, 4, -1), (1, 1, NO_ACT)]), scale=0.05, zero=3)]


def floats(m):
    x = m.input([1, 6, 5, 2], "f32")
    w = m.tensor([4, 3, 3, 2], "f32", data="random")
    y = m.op(CONV, [x, w, m.tensor([4], "f32", data="random")], [1, 3, 3, 4], conv(SAME, 2, 2, ACT_RELU), kind="f32")
    w = m.tensor([1, 2, 2, 8], "f32", data="random")
    y = m.op(DEPTHWISE, [y, w, m.tensor([8], "f32", data="random")], [1, 2, 2, 8], depthwise(VALID, 1, 1, 2, ACT_RELU6), kind="f32")
    y = m.op(AVERAGE_POOL, [y], [1, 2, 2, 8], pool(SAME, 1, 1, 2, 2), kind="f32")
    y = m.op(ADD, [y, m.tensor([8], "f32", data="random")], [1, 2, 2, 8], (11, [(0, 1, NO_ACT)]), kind="f32")
    w = m.tensor([6, 32], "f32", data="random")
    y = m.op(FC, [y, w, m.tensor([6], "f32", data="random")], [1, 6], connected(), kind="f32")
    m.outputs = [m.op(SOFTMAX, [y], [1, 6], (9, [(0, "f", 1.0)]), kind="f32")]


def float_functions(m):
    x = m.input([2, 4, 3], "f32")
    y = m.op(LOGISTIC, [x], [2, 4, 3], (), kind="f32")
    z = m.op(TANH, [x], [2, 4, 3], (), kind="f32")
    y = m.op(SUB, [y, z], [2, 4, 3], (28, [(0, 1, NO_ACT)]), kind="f32")
    y = m.op(LEAKY_RELU, [y], [2, 4, 3], (75, [(0, "f", 0.2)]), kind="f32")
    m.outputs = [m.op(MEAN, [y, m.tensor([1], "i32", data=[1])], [2, 3], (27, [(0, 1, 0)]), kind="f32")]


CASES = [conv_same, conv_dilated, conv_no_bias, depthwise_wide, connected_int8, pools, arithmetic, softmaxes, softmax_sharp, functions, moves, floats,
         sigmoids, sigmoid_wide, tanh_narrow, hinges, hard_swish_fine, means, cuts, float_functions]


def run(data, kind, shape, rng, n):
    it = tflite_micro.runtime.Interpreter.from_bytes(data)
    ins, outs = [], []
    for k in range(n):
        if kind == "f32":
            x = rng.standard_normal(shape).astype(np.float32)
        else:
            x = rng.integers(-128, 128, shape).astype(np.int8)
            if k < 2:
                x[...] = (-128, 127)[k]
        it.set_input(x, 0)
        it.invoke()
        ins.append(x.tobytes())
        outs.append(it.get_output(0).tobytes())
    return b"".join(ins), b"".join(outs)


def main(argv):
    check = "--check" in argv
    names = [a for a in argv if a != "--check"]
    bad = 0
    for i, case in enumerate(CASES):
        if names and case.__name__ not in names:
            continue
        m = Model(100 + i)
        case(m)
        shape, kind = m.tensors[m.inputs[0]][:2]
        data = m.build()
        x, y = run(data, kind, shape, m.rng, max(4, min(24, 2400 // int(np.prod(shape)))))
        for ending, content in ((".tflite", data), (".in", x), (".out", y)):
            path = os.path.join(HERE, case.__name__ + ending)
            if check:
                same = os.path.exists(path) and open(path, "rb").read() == content
                bad += not same
                if not same:
                    print("%s differs" % path)
            else:
                with open(path, "wb") as f:
                    f.write(content)
    return bad


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) != 0)
