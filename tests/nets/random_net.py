#!/usr/bin/env python3
"""random_net.py SEED: a random network of int8 images as a Module's text, with windows of many shapes, residual additions and pools.

The self-test of the C that is made of it compares with the interpreter: where places lie over one another wrongly, or rows are stepped in a wrong
order, it fails."""
import random
import sys

rnd = random.Random(int(sys.argv[1]))
weights, ops = [], []
n_weight = 0


def weight(fmt, dims, lo, hi):
    global n_weight
    n = 1
    for d in dims:
        n *= d
    name = "w%d" % n_weight
    n_weight += 1
    weights.append("weight @%s : %s[%s] = const [%s]" % (name, fmt, ",".join(map(str, dims)), ", ".join(str(rnd.randint(lo, hi)) for _ in range(n))))
    return name


class Image:
    def __init__(self, name, h, w, c):
        self.name, self.h, self.w, self.c = name, h, w, c
        self.zero = rnd.choice([-128, -128, -128, -3])
        self.depthwise = False

    def type(self, fmt="i8"):
        return "%s[1,%d,%d,%d]" % (fmt, self.h, self.w, self.c)


def out_size(n, k, stride, pad_both):
    return (n + pad_both - k) // stride + 1


def window(x, i, op, pointwise=False):
    c = x.c if op == "dwconv2d" else rnd.choice([rnd.randint(1, 9), rnd.randint(1, 9), 16, 21, 32])
    for _ in range(50):
        kh, kw = rnd.choice([1, 1, 2, 3, 3, 5]), rnd.choice([1, 1, 2, 3, 3, 4])
        sh, sw = rnd.choice([1, 1, 2]), rnd.choice([1, 1, 2])
        if op == "dwconv2d" and rnd.random() < 0.6:
            kh = kw = 3
            sw = sh
        if pointwise or (op == "conv2d" and rnd.random() < 0.3):
            kh = kw = 1
        if pointwise:
            sh = sw = 1
        pad = [rnd.randint(0, kh // 2), rnd.randint(0, kw // 2), rnd.randint(0, kh // 2), rnd.randint(0, kw // 2)]
        h, w = out_size(x.h, kh, sh, pad[0] + pad[2]), out_size(x.w, kw, sw, pad[1] + pad[3])
        if h >= 1 and w >= 1:
            break
    else:
        kh = kw = sh = sw = 1
        pad, h, w = [0] * 4, x.h, x.w
    y = Image("y%d" % i, h, w, c)
    k = weight("i8", [kh, kw, c] if op == "dwconv2d" else [c, kh, kw, x.c], -127, 127)
    b, m, s = weight("i32", [c], -3000, 3000), weight("i32", [c], 1 << 30, (1 << 31) - 1), weight("i32", [c], -9, -6)
    y.depthwise = op == "dwconv2d"
    ops.append("%%a%d = %s %%%s, @%s {stride=[%d, %d], pad=[%s], x_zero=%d} : %s" % (i, op, x.name, k, sh, sw, ", ".join(map(str, pad)), x.zero, y.type("i32")))
    ops.append("%%b%d = add %%a%d, @%s : %s" % (i, i, b, y.type("i32")))
    ops.append('%%%s = requant %%b%d, @%s, @%s {to="i8", zero=%d, lo=-128, hi=127} : %s' % (y.name, i, m, s, y.zero, y.type()))
    return y


def pool(x, i):
    kh, kw = rnd.randint(1, min(3, x.h)), rnd.randint(1, min(3, x.w))
    y = Image("y%d" % i, out_size(x.h, kh, kh, 0), out_size(x.w, kw, kw, 0), x.c)
    ops.append("%%%s = %s %%%s {window=[%d, %d], stride=[%d, %d], pad=[0, 0, 0, 0]} : %s" % (y.name, rnd.choice(["avgpool", "maxpool"]), x.name, kh, kw, kh, kw, y.type()))
    return y


def addition(x, z, i):
    y = Image("y%d" % i, x.h, x.w, x.c)
    m, s, t = weight("i32", [1], 1 << 30, (1 << 31) - 1), weight("i32", [1], -1, 0), weight("i32", [1], -20, -19)
    for side, v in (("p", x), ("q", z)):
        ops.append('%%%s%d = requant %%%s, @%s, @%s {to="i32", zero=0, x_zero=%d, left=20} : %s' % (side, i, v.name, m, s, rnd.randint(-20, 20), y.type("i32")))
    ops.append("%%s%d = add %%p%d, %%q%d : %s" % (i, i, i, y.type("i32")))
    ops.append('%%%s = requant %%s%d, @%s, @%s {to="i8", zero=%d, lo=-128, hi=127} : %s' % (y.name, i, m, t, rnd.randint(-9, 9), y.type()))
    return y


x = Image("x", rnd.choice([1, 5, 12, 25, 40]), rnd.randint(1, 14), rnd.randint(1, 4))
head = "func @run(%%x: %s) -> (" % x.type()
images = [x]
for i in range(rnd.randint(2, 9)):
    x = images[-1] if rnd.random() < 0.8 else rnd.choice(images)
    others = [z for z in images if z is not x and (z.h, z.w, z.c) == (x.h, x.w, x.c)]
    if others and rnd.random() < 0.6:
        images.append(addition(x, rnd.choice(others), i))
    elif rnd.random() < 0.12:
        images.append(pool(x, i))
    else:
        images.append(window(x, i, *(("conv2d", True) if x.depthwise and rnd.random() < 0.7 else ("dwconv2d" if rnd.random() < 0.4 else "conv2d",))))
results = [images[-1]] + ([rnd.choice(images[1:-1])] if len(images) > 3 and rnd.random() < 0.2 else [])
print('module "random"')
print("\n".join(weights))
print(head + ", ".join(y.type() for y in results) + ") {")
print("\n".join("  " + o for o in ops))
print("  return %s\n}\nentry run() = @run" % ", ".join("%" + y.name for y in results))
