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
TYPES = {"f32": (0, np.float32), "i32": (2, np.int32), "i16": (7, np.int16), "i64": (4, np.int64), "i8": (9, np.int8), "resource": (13, np.int8)}
ADD, AVERAGE_POOL, CONCAT, CONV, DEPTHWISE, FC, MAX_POOL, MUL = 0, 1, 2, 3, 4, 9, 17, 18
RELU, RELU6, RESHAPE, SOFTMAX, PAD, TRANSPOSE, SUB, QUANTIZE = 19, 21, 22, 25, 34, 39, 41, 114
LOGISTIC, TANH, MEAN, STRIDED_SLICE, SLICE, SUM, LEAKY_RELU, HARD_SWISH = 14, 28, 40, 45, 65, 74, 98, 117
DEPTH_TO_SPACE, DEQUANTIZE, FLOOR, L2_NORM, RESIZE_BILINEAR, SPACE_TO_DEPTH, GATHER = 5, 6, 8, 11, 23, 26, 36
BATCH_TO_SPACE, SPACE_TO_BATCH, DIV, EXP, SPLIT, CAST, PRELU, MAXIMUM, ARG_MAX, MINIMUM, NEG = 37, 38, 42, 47, 49, 53, 54, 55, 56, 57, 59
TRANSPOSE_CONV, LOG, SQRT, RSQRT, ARG_MIN, REDUCE_MAX, PACK, UNPACK, REDUCE_MIN, SQUARE = 67, 73, 75, 76, 79, 82, 83, 88, 89, 92
RESIZE_NEAREST, SQUARED_DIFFERENCE, MIRROR_PAD, ABS, SPLIT_V, CEIL, REVERSE, ELU, ROUND, BROADCAST_TO = 97, 99, 100, 101, 102, 104, 105, 111, 116, 130
SVDF, LSTM, CALL_ONCE, VAR_HANDLE, READ_VARIABLE, ASSIGN_VARIABLE, BATCH_MATMUL = 27, 44, 129, 142, 143, 144, 126
SAME, VALID = 0, 1
NO_ACT, ACT_RELU, ACT_N1, ACT_RELU6 = 0, 1, 2, 3


class Model:
    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.tensors, self.ops, self.inputs, self.outputs, self.variables = [], [], [], [], set()
        self.others = []                        # Models of the other subgraphs

    def variable(self, shape, kind, scale=None, zero=0):
        """A tensor that keeps its value from run to run."""
        self.variables.add(len(self.tensors))
        return self.tensor(shape, kind, scale, zero)

    def tensor(self, shape, kind="i8", scale=None, zero=0, data=None, axis=0):
        """Its number.  scale: one or a list; data: an array, or "random"."""
        if isinstance(data, str):
            n = int(np.prod(shape))
            if kind == "f32":
                data = self.rng.standard_normal(n)
            else:
                low, high = {"i8": (-127, 128), "i32": (-20000, 20000), "i16": (-3000, 3001), "i64": (-2000000, 2000000)}[kind]
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

    def several(self, code, ins, shapes, options=(), kind="i8", scale=0.05, zero=3):
        """The same of an operator with an output of each shape."""
        outs = [self.tensor(shape, kind, None if kind == "f32" else scale, zero) for shape in shapes]
        self.ops.append((code, list(ins), outs, options))
        return outs

    def ints(self, *values):
        return self.tensor([len(values)], "i32", data=values)

    def build(self):
        b = flatbuffers.Builder(1024)
        models = [self] + self.others
        codes = sorted({o[0] for m in models for o in m.ops})
        buffers = [None] + [t[4] for m in models for t in m.tensors]
        base = {id(m): 1 + sum(len(n.tensors) for n in models[:i]) for i, m in enumerate(models)}

        def vector(kind, values, size, put):
            b.StartVector(size, len(values), size)
            for v in reversed(values):
                put(v)
            return b.EndVector()

        def ints(values):
            return vector("i", values, 4, b.PrependInt32)

        def tables(offsets):
            return vector("t", offsets, 4, b.PrependUOffsetTRelative)

        def graph(m):
            tensors = []
            for i, (shape, kind, scale, zero, data, axis) in enumerate(m.tensors):
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
                b.PrependUint32Slot(2, base[id(m)] + i if data is not None else 0, 0)
                b.PrependUOffsetTRelativeSlot(3, name, 0)
                b.PrependBoolSlot(5, i in m.variables, False)
                if q is not None:
                    b.PrependUOffsetTRelativeSlot(4, q, 0)
                tensors.append(b.EndObject())
            tensors = tables(tensors)
            ops = []
            for code, ins, outs, options in m.ops:
                i, o, table = ints(ins), ints(outs), None
                if options:
                    values = [(slot, size, b.CreateString(v) if size == "s" else v) for slot, size, v in options[1]]
                    b.StartObject(8)
                    for slot, size, value in values:
                        if size == "s":
                            b.PrependUOffsetTRelativeSlot(slot, value, 0)
                        else:
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
            ops, i, o = tables(ops), ints(m.inputs), ints(m.outputs)
            b.StartObject(5)
            for slot, v in enumerate((tensors, i, o, ops)):
                b.PrependUOffsetTRelativeSlot(slot, v, 0)
            return b.EndObject()

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
        graphs = tables([graph(m) for m in models])
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


def transposed(padding, stride_h, stride_w, act=0):
    return 49, [(0, 1, padding), (1, 4, stride_w), (2, 4, stride_h), (3, 1, act)]


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


def transpose_convs(m):
    x = m.input([1, 3, 4, 2])
    w = m.tensor([5, 3, 3, 2], scale=[0.01, 0.02, 0.005, 0.007, 0.011], data="random")
    y = m.op(TRANSPOSE_CONV, [m.ints(1, 6, 8, 5), w, x, m.tensor([5], "i32", data="random")], [1, 6, 8, 5], transposed(SAME, 2, 2, ACT_RELU), scale=0.1, zero=-128)
    w = m.tensor([2, 4, 2, 5], scale=0.013, data="random")
    y = m.op(TRANSPOSE_CONV, [m.ints(1, 21, 15, 2), w, y], [1, 21, 15, 2], transposed(VALID, 3, 2), scale=0.09)
    w = m.tensor([3, 1, 2, 2], scale=0.02, data="random")           # steps wider than the filter
    m.outputs = [m.op(TRANSPOSE_CONV, [m.ints(1, 42, 45, 3), w, y], [1, 42, 45, 3], transposed(SAME, 2, 3), scale=0.1)]


def steps(m):
    x = m.input([1, 7, 9, 3])
    same = dict(scale=0.05, zero=3)
    y = m.op(STRIDED_SLICE, [x, m.ints(0, 1, -1, 2), m.ints(1, 7, 0, -4), m.ints(1, 2, -3, -1)], [1, 3, 3, 3], (32, [(0, 4, 0), (1, 4, 0)]), **same)
    z = m.op(STRIDED_SLICE, [x, m.ints(0, 0, 0, 1), m.ints(1, 9, 7, 2), m.ints(1, 3, 4, 1)], [1, 3, 2], (32, [(0, 4, 5), (1, 4, 2), (4, 4, 8)]), **same)
    z = m.op(PACK, [z, z, z], [1, 3, 2, 3], (59, [(0, 4, 3), (1, 4, -1)]), **same)
    z = m.op(CONCAT, [y, z], [1, 3, 5, 3], (10, [(0, 4, 2), (1, 1, NO_ACT)]), **same)
    m.outputs = [m.op(REVERSE, [z, m.ints(2, 1)], [1, 3, 5, 3], (), **same)]


def parts(m):
    x = m.input([2, 6, 5])
    a, b, c = m.several(SPLIT, [m.tensor([1], "i32", data=[1]), x], [[2, 2, 5]] * 3, (35, [(0, 4, 3)]))
    d, e = m.several(SPLIT_V, [x, m.ints(4, -1), m.tensor([1], "i32", data=[-1])], [[2, 6, 4], [2, 6, 1]], (79, [(0, 4, 2)]))
    f, g = m.several(UNPACK, [d], [[6, 4], [6, 4]], (64, [(0, 4, 2), (1, 4, 0)]))
    y = m.op(MAXIMUM, [a, c], [2, 2, 5], (39, []), scale=0.05, zero=3)
    y = m.op(MINIMUM, [y, m.tensor([5], scale=0.05, zero=3, data="random")], [2, 2, 5], (39, []), scale=0.05, zero=3)
    m.outputs = [b, e, m.op(ADD, [f, g], [6, 4], (11, [(0, 1, NO_ACT)])), y]


def resizes(m):
    x = m.input([1, 5, 4, 3])
    same = dict(scale=0.05, zero=3)
    y = m.op(RESIZE_BILINEAR, [x, m.ints(8, 9)], [1, 8, 9, 3], (15, [(3, 1, 1)]), **same)
    z = m.op(RESIZE_BILINEAR, [x, m.ints(8, 9)], [1, 8, 9, 3], (15, [(2, 1, 1)]), **same)
    y = m.op(ADD, [y, z], [1, 8, 9, 3], (11, [(0, 1, NO_ACT)]))
    z = m.op(RESIZE_BILINEAR, [x, m.ints(3, 3)], [1, 3, 3, 3], (15, []), **same)
    m.outputs = [y, m.op(RESIZE_NEAREST, [z, m.ints(7, 5)], [1, 7, 5, 3], (74, []), **same),
                 m.op(RESIZE_NEAREST, [z, m.ints(7, 5)], [1, 7, 5, 3], (74, [(1, 1, 1)]), **same),
                 m.op(RESIZE_NEAREST, [x, m.ints(4, 9)], [1, 4, 9, 3], (74, [(0, 1, 1)]), **same)]


def blocks(m):
    x = m.input([1, 4, 6, 8])
    same = dict(scale=0.05, zero=3)
    y = m.op(DEPTH_TO_SPACE, [x], [1, 8, 12, 2], (94, [(0, 4, 2)]), **same)
    z = m.op(SPACE_TO_DEPTH, [x], [1, 2, 3, 32], (19, [(0, 4, 2)]), **same)
    s = m.op(SPACE_TO_BATCH, [x, m.ints(2, 3), m.tensor([2, 2], "i32", data=[0, 0, 0, 0])], [6, 2, 2, 8], (), **same)
    w = m.tensor([1, 2, 2, 8], scale=0.02, data="random")
    s = m.op(DEPTHWISE, [s, w], [6, 2, 2, 8], depthwise(SAME, 1, 1, 1))
    s = m.op(BATCH_TO_SPACE, [s, m.ints(2, 3), m.tensor([2, 2], "i32", data=[1, 0, 0, 2])], [1, 3, 4, 8], (), scale=0.1, zero=-5)
    t = m.op(RESHAPE, [x, m.ints(1, 24, 8)], [1, 24, 8], (), **same)
    t = m.op(SPACE_TO_BATCH, [t, m.ints(4), m.tensor([1, 2], "i32", data=[0, 0])], [4, 6, 8], (), **same)
    m.outputs = [y, z, s, t, m.op(MIRROR_PAD, [x, m.tensor([4, 2], "i32", data=[0, 0, 2, 1, 0, 3, 1, 0])], [1, 7, 9, 9], (77, [(0, 1, 0)]), **same),
                 m.op(MIRROR_PAD, [x, m.tensor([4, 2], "i32", data=[0, 0, 2, 4, 6, 0, 0, 0])], [1, 10, 12, 8], (77, [(0, 1, 1)]), **same)]


def gathers(m):
    x = m.input([2, 5, 4])
    i = m.op(ARG_MAX, [x, m.tensor([1], "i32", data=[-1])], [2, 5], (40, [(0, 1, 2)]), kind="i32", scale=None)
    j = m.op(ARG_MIN, [x, m.tensor([1], "i32", data=[0])], [5, 4], (57, [(0, 1, 2)]), kind="i32", scale=None)
    y = m.op(GATHER, [x, m.ints(4, 0, 0)], [2, 3, 4], (23, [(0, 4, 1)]), scale=0.05, zero=3)
    table = m.tensor([6, 3], scale=0.05, zero=3, data="random")
    z = m.op(GATHER, [table, i], [2, 5, 3], (23, [(0, 4, 0)]), scale=0.05, zero=3)
    m.outputs = [j, y, z]


def quantizations(m):
    x = m.input([3, 20], "f32")
    y = m.op(QUANTIZE, [x], [3, 20], (), scale=0.017, zero=-9)
    z = m.op(QUANTIZE, [x], [3, 20], (), kind="i16", scale=0.0001, zero=0)
    y16 = m.op(QUANTIZE, [y], [3, 20], (), kind="i16", scale=0.0002, zero=0)
    z8 = m.op(QUANTIZE, [z], [3, 20], (), scale=0.02, zero=5)
    y32 = m.op(QUANTIZE, [y], [3, 20], (), kind="i32", scale=0.0004, zero=0)
    f = m.op(DEQUANTIZE, [m.op(QUANTIZE, [y32], [3, 20], (), scale=0.03, zero=1)], [3, 20], (), kind="f32")
    m.outputs = [y, z, y16, z8, f, m.op(DEQUANTIZE, [z], [3, 20], (), kind="f32"), m.op(CAST, [y], [3, 20], (37, []), kind="f32")]


def broadcasts(m):
    x = m.input([1, 3, 4, 5])
    y = m.op(MEAN, [x, m.ints(3)], [1, 3, 4, 1], (27, [(0, 1, 1)]), scale=0.03, zero=1)
    z = m.op(MEAN, [x, m.ints(1)], [1, 1, 4, 5], (27, [(0, 1, 1)]), scale=0.03, zero=1)
    c = m.op(MEAN, [x, m.ints(1, 2)], [1, 1, 1, 5], (27, [(0, 1, 1)]), scale=0.03, zero=1)
    a = m.op(SUB, [c, x], [1, 3, 4, 5], (28, [(0, 1, NO_ACT)]))
    b = m.op(MUL, [y, x], [1, 3, 4, 5], (21, [(0, 1, NO_ACT)]))
    d = m.op(ADD, [y, c], [1, 3, 4, 5], (11, [(0, 1, NO_ACT)]))
    e = m.op(SQUARED_DIFFERENCE, [x, y], [1, 3, 4, 5], (76, []), scale=0.3, zero=-100)
    m.outputs = [a, b, d, e, m.op(BROADCAST_TO, [z, m.ints(1, 3, 4, 5)], [1, 3, 4, 5], (104, []), scale=0.03, zero=1)]


def extremes(m):
    x = m.input([1, 6, 5, 4])
    same = dict(scale=0.05, zero=3)
    y = m.op(REDUCE_MAX, [x, m.ints(1, 2)], [1, 4], (27, [(0, 1, 0)]), **same)
    z = m.op(REDUCE_MIN, [x, m.ints(-1, 1)], [1, 1, 5, 1], (27, [(0, 1, 1)]), **same)
    m.outputs = [y, z, m.op(PRELU, [x, m.tensor([1, 1, 4], scale=0.004, zero=-3, data="random")], [1, 6, 5, 4], ()),
                 m.op(L2_NORM, [x], [1, 6, 5, 4], (12, [(0, 1, NO_ACT)]), scale=1 / 128, zero=0)]


def tables(m):
    x = m.input([1, 60], scale=0.06, zero=-128)
    y = m.op(RSQRT, [x], [1, 60], (), scale=0.02, zero=-100)
    z = m.op(RELU, [x], [1, 60], (), scale=0.05, zero=10)
    e = m.op(ELU, [m.op(SUB, [y, z], [1, 60], (28, [(0, 1, NO_ACT)]))], [1, 60], (), scale=0.07, zero=-40)
    m.outputs = [y, e, m.op(ABS, [e], [1, 60], (), scale=0.05, zero=-60), m.op(ABS, [e], [1, 60], (), scale=0.07, zero=-60)]


def float_all(m):
    x = m.input([1, 6, 5, 2], "f32")
    f = dict(kind="f32")
    shape = [1, 6, 5, 2]
    a = m.op(ABS, [x], shape, (), **f)
    outs = [m.op(code, [a], shape, (), **f) for code in (SQRT, RSQRT, LOG, EXP, SQUARE, CEIL, FLOOR)]
    outs += [m.op(code, [x], shape, (), **f) for code in (NEG, ROUND, ELU, HARD_SWISH)]
    outs.append(m.op(LEAKY_RELU, [x], shape, (75, [(0, "f", 1.5)]), **f))
    outs.append(m.op(DIV, [x, a], shape, (29, [(0, 1, ACT_N1)]), **f))
    outs.append(m.op(PRELU, [x, m.tensor([1, 1, 2], "f32", data="random")], shape, (), **f))
    outs.append(m.op(L2_NORM, [x], shape, (12, [(0, 1, NO_ACT)]), **f))
    outs.append(m.op(SQUARED_DIFFERENCE, [x, m.op(MEAN, [x, m.ints(3)], [1, 6, 5, 1], (27, [(0, 1, 1)]), **f)], shape, (76, []), **f))
    outs.append(m.op(REDUCE_MIN, [x, m.ints(1)], [1, 1, 5, 2], (27, [(0, 1, 1)]), **f))
    outs.append(m.op(RESIZE_BILINEAR, [x, m.ints(9, 3)], [1, 9, 3, 2], (15, [(3, 1, 1)]), **f))
    w = m.tensor([3, 3, 3, 2], "f32", data="random")
    outs.append(m.op(TRANSPOSE_CONV, [m.ints(1, 12, 10, 3), w, x, m.tensor([3], "f32", data="random")], [1, 12, 10, 3], transposed(SAME, 2, 2), **f))
    m.outputs = outs


def svdf(m, x, shape, units, memory, rank, kind, scale, zero, state_scale, state_zero=0, act=NO_ACT):
    batch, n_in = shape
    quantized = kind != "f32"
    w = m.tensor([units * rank, n_in], "i8" if quantized else kind, scale=0.01 if quantized else None, data="random")
    wt = m.tensor([units * rank, memory], kind, scale=0.008 if quantized else None, data="random")
    bias = m.tensor([units], "i32" if quantized else kind, scale=state_scale * 0.008 if quantized else None, data="random")
    state = m.variable([batch, memory * units * rank], kind, state_scale if quantized else None, state_zero)
    return m.op(SVDF, [x, w, wt, bias, state], [batch, units], (6, [(0, 4, rank), (1, 1, act)]), kind="i8" if quantized else kind, scale=scale, zero=zero)


def svdf_wide(m):
    x = m.input([2, 8])
    m.outputs = [svdf(m, x, (2, 8), 5, 4, 2, "i16", 12.0, 4, 0.0002)]


def svdf_narrow(m):
    x = m.input([1, 6])
    y = svdf(m, x, (1, 6), 4, 5, 1, "i8", 0.07, -9, 0.05, 7)
    m.outputs = [svdf(m, y, (1, 4), 3, 1, 3, "i8", 0.06, 0, 0.04)]


def svdf_float(m):
    x = m.input([2, 5], "f32")
    m.outputs = [svdf(m, x, (2, 5), 4, 3, 2, "f32", None, 0, 0, act=ACT_RELU)]


def lstm(m, x, batch, time, n_in, n, kind="i8", time_major=0, clip=0.0, cell=2.0 ** -11, zero=5):
    real = kind == "f32"

    def weight(*shape):
        return m.tensor(list(shape), kind, None if real else 0.006 + 0.001 * len(m.tensors) % 0.003, data=m.rng.standard_normal(shape) * (0.5 if real else 50))

    ws = [weight(n, n_in) for i in range(4)] + [weight(n, n) for i in range(4)]
    biases = [m.tensor([n], "f32" if real else "i32", data=m.rng.standard_normal(n) * (1 if real else 3000)) for i in range(4)]
    h = m.variable([batch, n], kind, None if real else 1 / 128, zero)
    c = m.variable([batch, n], kind if real else "i16", None if real else cell)
    shape = [time, batch, n] if time_major else [batch, time, n]
    return m.op(LSTM, [x] + ws + [-1] * 3 + biases + [-1] * 2 + [h, c] + [-1] * 4, shape,
                (71, [(0, 1, 4), (1, "f", clip), (2, "f", 0.0), (3, 1, time_major)]), kind=kind, scale=1 / 128, zero=zero)


def lstm_int8(m):
    x = m.input([1, 7, 5], scale=0.02)
    m.outputs = [lstm(m, x, 1, 7, 5, 6)]


def lstm_batches(m):
    x = m.input([2, 4, 3], scale=0.03, zero=-20)
    y = lstm(m, x, 2, 4, 3, 5, clip=2.5, zero=0)
    y = m.op(TRANSPOSE, [y, m.ints(1, 0, 2)], [4, 2, 5], (), scale=1 / 128, zero=0)
    m.outputs = [lstm(m, y, 2, 4, 5, 4, time_major=1, cell=2.0 ** -14, zero=-3)]


def lstm_float(m):
    x = m.input([2, 6, 4], "f32")
    m.outputs = [lstm(m, x, 2, 6, 4, 5, kind="f32", clip=1.0)]


def curves(m):
    x = m.input([1, 60], "i16", scale=1 / 4096, zero=0)
    y = m.input([1, 60], "i16", scale=0.0004, zero=0)
    outs = [m.op(code, [t], [1, 60], (), kind="i16", scale=1 / 32768, zero=0) for code in (LOGISTIC, TANH) for t in (x, y)]
    m.outputs = outs + [m.op(ADD, [outs[0], outs[3]], [1, 60], (11, [(0, 1, ACT_RELU)]), kind="i16", scale=1 / 16000, zero=0),
                        m.op(MUL, [outs[1], outs[2]], [1, 60], (21, [(0, 1, NO_ACT)]), kind="i16", scale=1 / 20000, zero=0)]


def variables(m):
    """A running mean and a line of delay: read, shifted, assigned; one begins with numbers, one with zeros."""
    x = m.input([1, 1, 6])
    first = Model(0)
    handle = first.op(VAR_HANDLE, [], [1], (111, [(0, "s", ""), (1, "s", "line")]), kind="resource", scale=None)
    value = first.tensor([1, 3, 6], scale=0.05, zero=3, data=m.rng.integers(-128, 128, 18))
    first.ops.append((ASSIGN_VARIABLE, [handle, value], [], (113, [])))
    m.others = [first]
    m.ops.append((CALL_ONCE, [], [], (103, [(0, 4, 1)])))
    line = m.op(VAR_HANDLE, [], [1], (111, [(0, "s", ""), (1, "s", "line")]), kind="resource", scale=None)
    mean = m.op(VAR_HANDLE, [], [1], (111, [(0, "s", ""), (1, "s", "mean")]), kind="resource", scale=None)
    old = m.op(READ_VARIABLE, [line], [1, 3, 6], (112, []), scale=0.05, zero=3)
    new = m.op(CONCAT, [m.op(SLICE, [old, m.ints(0, 1, 0), m.ints(1, 2, 6)], [1, 2, 6], (), scale=0.05, zero=3), x], [1, 3, 6],
               (10, [(0, 4, 1), (1, 1, NO_ACT)]), scale=0.05, zero=3)
    m.ops.append((ASSIGN_VARIABLE, [line, new], [], (113, [])))
    y = m.op(ADD, [m.op(READ_VARIABLE, [mean], [1, 1, 6], (112, []), scale=0.06, zero=-1), x], [1, 1, 6], (11, [(0, 1, NO_ACT)]), scale=0.06, zero=-1)
    m.ops.append((ASSIGN_VARIABLE, [mean, y], [], (113, [])))
    m.outputs = [m.op(MEAN, [new, m.ints(1)], [1, 6], (27, [(0, 1, 0)]), scale=0.05, zero=3), y]


def matmuls(m):
    """Attention without its softmax: queries by keys, their products by values; and matrices that are turned, shared, constant."""
    x = m.input([2, 3, 4, 5])
    k = m.input([2, 3, 6, 5], scale=0.04, zero=-7)
    y = m.op(BATCH_MATMUL, [x, k], [2, 3, 4, 6], (101, [(1, 1, 1)]), scale=0.3)
    z = m.op(BATCH_MATMUL, [y, k], [2, 3, 4, 5], (101, []), scale=1.5, zero=9)
    w = m.tensor([3, 4, 7], scale=0.01, data="random")
    u = m.op(BATCH_MATMUL, [x, w], [2, 3, 5, 7], (101, [(0, 1, 1)]), scale=0.1)
    m.outputs = [z, u, m.op(BATCH_MATMUL, [x, m.tensor([5, 2], scale=0.01, data="random")], [2, 3, 4, 2], (101, []), scale=0.05)]


def matmul_float(m):
    x = m.input([2, 3, 4], "f32")
    y = m.op(BATCH_MATMUL, [x, x], [2, 3, 3], (101, [(1, 1, 1)]), kind="f32")
    m.outputs = [m.op(BATCH_MATMUL, [m.op(SOFTMAX, [y], [2, 3, 3], (9, [(0, "f", 1.0)]), kind="f32"), x], [2, 3, 4], (101, []), kind="f32")]


def int16_layers(m):
    """Activations of int16, weights of int8, biases of int64 (sums of 64 bits, short multipliers), of int32, and none."""
    x = m.input([1, 6, 5, 3], "i16", scale=0.0003, zero=0)
    w = m.tensor([4, 3, 3, 3], scale=scales(m, 4), data="random")
    y = m.op(CONV, [x, w, m.tensor([4], "i64", data="random")], [1, 3, 3, 4], conv(SAME, 2, 2, ACT_RELU), kind="i16", scale=0.002, zero=0)
    w = m.tensor([1, 2, 2, 8], scale=scales(m, 8), axis=3, data="random")
    y = m.op(DEPTHWISE, [y, w, m.tensor([8], "i64", data="random")], [1, 2, 2, 8], depthwise(VALID, 1, 1, 2), kind="i16", scale=0.002, zero=0)
    u = m.op(CONV, [y, m.tensor([3, 1, 1, 8], scale=0.004, data="random"), m.tensor([3], "i32", data="random")], [1, 2, 2, 3], conv(VALID, 1, 1), kind="i16", scale=0.003, zero=0)
    t = m.op(TRANSPOSE_CONV, [m.ints(1, 4, 4, 2), m.tensor([2, 2, 2, 8], scale=0.004, data="random"), y, m.tensor([2], "i64", data="random")], [1, 4, 4, 2],
             transposed(SAME, 2, 2), kind="i16", scale=0.004, zero=0)
    z = m.op(FC, [y, m.tensor([5, 32], scale=0.005, data="random"), m.tensor([5], "i64", data="random")], [1, 5], connected(), kind="i16", scale=0.005, zero=0)
    m.outputs = [u, t, m.op(RELU, [z], [1, 5], (), kind="i16", scale=0.004, zero=0), m.op(QUANTIZE, [z], [1, 5], (), scale=1.0, zero=-4)]


CASES = [conv_same, conv_dilated, conv_no_bias, depthwise_wide, connected_int8, pools, arithmetic, softmaxes, softmax_sharp, functions, moves, floats,
         sigmoids, sigmoid_wide, tanh_narrow, hinges, hard_swish_fine, means, cuts, float_functions, transpose_convs, steps, parts, resizes, blocks, gathers,
         quantizations, broadcasts, extremes, tables, float_all, svdf_wide,
         svdf_narrow, svdf_float, lstm_int8, lstm_batches, lstm_float, curves, variables, matmuls, matmul_float,
         int16_layers]


def draw(kind, shape, rng, k):
    if kind == "f32":
        return rng.standard_normal(shape).astype(np.float32)
    low, high = {"i8": (-128, 127), "i16": (-32768, 32767)}[kind]
    x = rng.integers(low, high + 1, shape).astype(TYPES[kind][1])
    if k < 2:
        x[...] = (low, high)[k]
    return x


def run(data, inputs, n_out, rng, n):
    it = tflite_micro.runtime.Interpreter.from_bytes(data, arena_size=1 << 20)
    ins, outs = [], []
    for k in range(n):
        for i, (shape, kind) in enumerate(inputs):
            x = draw(kind, shape, rng, k)
            it.set_input(x, i)
            ins.append(x.tobytes())
        it.invoke()
        outs += [it.get_output(i).tobytes() for i in range(n_out)]
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
        data = m.build()
        inputs = [m.tensors[t][:2] for t in m.inputs]
        n_in, n_out = (sum(int(np.prod(m.tensors[t][0])) for t in ts) for ts in (m.inputs, m.outputs))
        x, y = run(data, inputs, len(m.outputs), m.rng, max(4, min(24, 2400 // n_in, 4000 // n_out)))
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
