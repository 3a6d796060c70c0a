#!/usr/bin/env python3
"""peer.py SINTER WORK [N]: the models of MLPerf Tiny as C against TensorFlow Lite Micro, byte by byte, on N random inputs each (1000).

Needs the package tflite_micro (and numpy); what is missing is counted as skipped.  If this fails, an emitted program computes other numbers than
TensorFlow Lite Micro for some input."""
import os
import subprocess
import sys

MODELS = ["mlperf-tiny/kws_ref_model", "mlperf-tiny/pretrainedResnet_quant", "mlperf-tiny/vww_96_int8", "mlperf-tiny/ad01_int8"]


def differing(sinter, work, path, n, numpy, runtime):
    """How many of n random inputs give other bytes."""
    folder = os.path.join(work, os.path.basename(path)[: -len(".tflite")])
    subprocess.run([sinter, "build", path, "-t", "portable", "--name", "net", "-o", folder], check=True, stderr=subprocess.DEVNULL)
    subprocess.run(["make", "-s", "-C", folder, "CFLAGS=-O2"], check=True)
    peer = runtime.Interpreter.from_file(path)
    shape = peer.get_input_details(0)["shape"]
    draw = numpy.random.default_rng(1)
    inputs, wanted = [], []
    for i in range(n):
        x = draw.integers(-128, 128, shape, dtype=numpy.int8)
        if i % 3 == 1:                                  # smooth ones get further into the network
            x = (draw.integers(-128, 128) + numpy.cumsum(draw.integers(-3, 4, x.size)).reshape(shape)).clip(-128, 127).astype(numpy.int8)
        if i % 16 == 2:
            x = numpy.full(shape, draw.integers(-128, 128), dtype=numpy.int8)
        peer.set_input(x, 0)
        peer.invoke()
        inputs.append(x.tobytes())
        wanted.append(peer.get_output(0).tobytes())
    with open(os.path.join(work, "in.bin"), "wb") as f:
        f.write(b"".join(inputs))
    have = subprocess.run([os.path.join(folder, "net"), "--in", os.path.join(work, "in.bin"), "--out", "-"], check=True, stdout=subprocess.PIPE).stdout
    size = len(wanted[0])
    assert len(have) == size * n, "the program wrote %d bytes, not %d" % (len(have), size * n)
    return sum(have[size * i : size * (i + 1)] != wanted[i] for i in range(n))


def main():
    sinter, work, n = sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 1000
    data = os.path.join(os.environ.get("SINTER_DATA", "../shared"), "models")
    passed = failed = skipped = 0
    try:
        import numpy
        import tflite_micro
        runtime = tflite_micro.runtime
    except ImportError:
        numpy = None
    os.makedirs(work, exist_ok=True)
    for model in MODELS:
        path = os.path.join(data, model + ".tflite")
        if numpy is None or not os.path.exists(path):
            skipped += 1
            continue
        bad = differing(sinter, work, path, n, numpy, runtime)
        if bad:
            failed += 1
            print("nets: %s: %d of %d random inputs give other bytes" % (model, bad, n))
        else:
            passed += 1
    print("nets-random: %d passed, %d failed, %d skipped" % (passed, failed, skipped))
    return failed > 0


sys.exit(main())
