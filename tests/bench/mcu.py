#!/usr/bin/env python3
"""Networks on microcontrollers: instructions, RAM, flash beside TensorFlow Lite Micro's.  `make bench-mcu` starts it.

Builds MLPerf Tiny's four models for a Cortex-M4 and a Cortex-M55 with arm-none-eabi-gcc, runs the recorded input under QEMU, compares the output bytes,
and counts one inference with the plugin of tests/icount.  All of it is exact: the same on every machine with the same compiler.
"""
import argparse
import json
import os
import re
import subprocess
import sys

MODELS = [("kws", "kws_ref_model"), ("ic", "pretrainedResnet_quant"), ("vww", "vww_96_int8"), ("ad", "ad01_int8")]
BOARDS = [("M4", "mps2-an386"), ("M55", "mps3-an547")]

# TensorFlow Lite Micro 90b983c with CMSIS-NN 99f736a, release build, gcc 12.2, same vectors, counted in the same way; and the goals.
PEER = {"M4": {"kws": 7697388, "ic": 29864833, "vww": 24101973, "ad": 582907}, "M55": {"kws": 1813798, "ic": 4914310, "vww": 6558788, "ad": 285566}}
PEER_ARENA = {"M4": {"kws": 22820, "ic": 54996, "vww": 100708, "ad": 2580}, "M55": {"kws": 27300, "ic": 54996, "vww": 100756, "ad": 5172}}
PEER_CODE = {"M4": {"kws": 83930, "ic": 78914, "vww": 83934, "ad": 31684}, "M55": {"kws": 72218, "ic": 66278, "vww": 72222, "ad": 24164}}
PEER_FILE = {"kws": 53936, "ic": 98496, "vww": 333288, "ad": 276976}
GOAL = {"M4": {"kws": 3000000, "ic": 12500000, "vww": 10500000, "ad": 320000}, "M55": {"kws": 800000, "ic": 2700000, "vww": 3200000, "ad": 140000}}
GOAL_RAM = {"kws": 12288, "ic": 36864, "vww": 45056, "ad": 2048}
GOAL_CODE = {"kws": 9216, "ic": 10240, "vww": 12288, "ad": 5120}
GOAL_FLASH = {"kws": 36864, "ic": 91136, "vww": 233472, "ad": 277504}

BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"


def run(*words, **more):
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **more)
    if done.returncode:
        sys.exit(f"bench-mcu: {' '.join(words)}: exit {done.returncode}\n{done.stdout}")
    return done.stdout


def measure(args, board, model, file):
    """One model on one board: builds, checks, counts."""
    folder = os.path.join(args.work, f"{board}-{model}")
    path = os.path.join(args.models, file + ".tflite")
    command = re.search(r'^run: "(.*)"', run(args.sinter, "targets", board), re.M).group(1)
    run(args.sinter, "build", path, "-t", board, "-o", folder, "--name", model, *args.flags.split())
    run("make", "-s", "-C", folder, "clean")
    run("make", "-s", "-C", folder)
    with open(os.path.join(folder, "manifest.json"), encoding="utf-8") as f:    # int8 weights and int32 biases, as they are computed with
        weights = sum(w["bytes"] for w in json.load(f)["weights"] if w["name"].endswith((".w", ".b")))
    for end in "in", "out":
        with open(os.path.join(args.models, f"{model}.{end}"), "rb") as f, open(os.path.join(folder, f"{model}.{end}"), "wb") as g:
            g.write(f.read())
    run(*command.split(), f"{model}.elf", "-append", f"--in {model}.in --out have", cwd=folder)
    with open(os.path.join(folder, "have"), "rb") as f, open(os.path.join(folder, f"{model}.out"), "rb") as g:
        if f.read() != g.read():
            sys.exit(f"bench-mcu: {model} on {board}: other output bytes than recorded")
    counts = run(args.count, args.icount, f"{model}.elf", f"{model}_run", *command.split(), cwd=folder).split()
    size = run("make", "-s", "-C", folder, "size")
    section = dict((m[0], int(m[1])) for m in re.findall(r"^(\.\w+) +\w+ +(\d+)", size, re.M))
    flash = int(re.search(r"^flash +(\d+)", size, re.M).group(1))
    return {"instructions": int(counts[1]), "loads": int(counts[2]), "stores": int(counts[3]), "flash": flash, "code": flash - weights,
            "weights": weights, "text": section[".text"] + section[".start"], "ram": int(re.search(r"^RAM (\d+)", size, re.M).group(1)),
            "stack": int(re.search(r"^stack +(\d+)", size, re.M).group(1)), "memory": int(re.search(r"^memory +(\d+)", size, re.M).group(1))}


def number(n):
    return f"{n:,}"


def row(title, values, goals, peers):
    """One line of the table: ours (bold where the goal is missed), the goal, the peer's."""
    cells = []
    for name, _ in MODELS:
        have = number(values[name]) if values[name] <= goals[name] else f"**{number(values[name])}**"
        cells.append(f"{have} ({number(goals[name])}; {number(peers[name])})")
    return f"| {title} | " + " | ".join(cells) + " |"


def tables(result):
    out = ["Ours (goal; TensorFlow Lite Micro with CMSIS-NN); in bold what misses its goal.", "",
           "| one inference, int8 | " + " | ".join(m[0] for m in MODELS) + " |", "|---|" + "---|" * len(MODELS)]
    for core, board in BOARDS:
        of = {m[0]: result[core, m[0]] for m in MODELS}

        def pick(what):
            return {k: v[what] for k, v in of.items()}
        peer_flash = {k: PEER_CODE[core][k] + PEER_FILE[k] for k in of}
        out += [row(f"{core}: instructions", pick("instructions"), GOAL[core], PEER[core]),
                row(f"{core}: RAM with stack and buffers, bytes", pick("ram"), GOAL_RAM, PEER_ARENA[core]),
                row(f"{core}: code and tables without weights, bytes", pick("code"), GOAL_CODE, PEER_CODE[core]),
                row(f"{core}: flash in all, bytes", pick("flash"), GOAL_FLASH, peer_flash)]
    out += ["", "TensorFlow Lite Micro's RAM is its arena alone; its flash is code and the model's file. Code has start-up code and vector table with it; weights are",
            "int8 weights and int32 biases, of the channels that are left (docs/networks.md); tables are what else is constant.", "",
            "| | instructions | a multiply-add | loads | stores | memory | stack | code | tables | weights |", "|---|---|---|---|---|---|---|---|---|---|"]
    macs = {"kws": 2656768, "ic": 12501632, "vww": 7489664, "ad": 264192}
    for core, _ in BOARDS:
        for name, _ in MODELS:
            r = result[core, name]
            out.append(f"| {name}, {core} | {number(r['instructions'])} | {r['instructions'] / macs[name]:.2f} | {number(r['loads'])} | {number(r['stores'])} | "
                       f"{number(r['memory'])} | {number(r['stack'])} | {number(r['text'])} | {number(r['code'] - r['text'])} | {number(r['weights'])} |")
    return "\n".join(out) + "\n"


def versions():
    def first(*words):
        return run(*words).splitlines()[0]
    return f"{first('arm-none-eabi-gcc', '--version')}; {first('qemu-system-arm', '--version')}; the default flags of the emitted Makefile (-O2).\n"


def write_between_marks(path, text):
    with open(path, encoding="utf-8") as f:
        before, rest = f.read().split(BEGIN)
    _, after = rest.split(END)
    with open(path, "w", encoding="utf-8") as f:
        f.write(before + BEGIN + "\n" + text + END + after)


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--sinter", required=True)
    p.add_argument("--count", required=True, help="tests/firmware/count.sh")
    p.add_argument("--icount", required=True, help="the plugin")
    p.add_argument("--models", required=True, help="folder of MLPerf Tiny's models and vectors")
    p.add_argument("--work", required=True)
    p.add_argument("--flags", default="", help="more words for sinter build")
    p.add_argument("--docs", help="a document that gets the tables, between its two marks")
    args = p.parse_args()
    for path in "sinter", "count", "icount", "models", "work":
        setattr(args, path, os.path.abspath(getattr(args, path)))
    os.makedirs(args.work, exist_ok=True)
    result = {(core, m[0]): measure(args, board, *m) for core, board in BOARDS for m in MODELS}
    text = tables(result) + "\n" + versions()
    sys.stdout.write(text)
    if args.docs:
        write_between_marks(args.docs, text)


if __name__ == "__main__":
    main()
