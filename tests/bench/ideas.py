#!/usr/bin/env python3
"""What each idea is worth: the emitted program with it and without, in turn, for docs/performance.md.  `make bench-ideas` starts it.

Each row changes one thing: an option of the build, of the program, or a line of the emitted C, which is there to be read and changed.  Rounds,
medians and what happens on a busy machine are bench.py's.
"""
import argparse
import json
import os
import re
import statistics
import subprocess
import sys

import bench as b


class Variant:
    """A program, how it is built and run.  `edit`: (file, pattern, by what) of the emitted C; `spinner`: while another process keeps a core busy."""
    def __init__(self, flags="", edit=None, words="", spinner=False):
        self.flags, self.edit, self.words, self.spinner = flags, edit, words, spinner

    def name(self):
        return re.sub(r"[^a-z0-9]+", "_", self.flags + ("_edited_" + self.edit[1] if self.edit else "")).strip("_") or "default"


DECODE, PREFILL = "decode_tps", "prefill_tps"
NO_PREFETCH = ("kernels_native.h", r"__builtin_prefetch\([^;]*\);", "(void)0;")
# title, what is measured, threads, with, without
ideas = [
    ("far prefetch across tiles, chunks and stages", DECODE, 1, Variant(), Variant(edit=NO_PREFETCH)),
    ("the same", DECODE, 2, Variant(), Variant(edit=NO_PREFETCH)),
    ("ops fused to stages", DECODE, 1, Variant(), Variant("--fuse none")),
    ("the same: fewer meetings, too", DECODE, 2, Variant(), Variant("--fuse none")),
    ("of it: a row's norm and quantization by each thread for itself", DECODE, 2, Variant(), Variant("--fuse -prologue")),
    ("of it: results worked on in registers", DECODE, 2, Variant(), Variant("--fuse -epilogue")),
    ("activations in 8 bits", DECODE, 1, Variant(), Variant("--act f32")),
    ("the same, for a prompt", PREFILL, 1, Variant(), Variant("--act f32")),
    ("this CPU's instructions instead of portable C", DECODE, 1, Variant(), Variant("-t portable")),
    ("the same, for a prompt", PREFILL, 1, Variant(), Variant("-t portable")),
    ("a prompt's tokens together instead of one by one", PREFILL, 1, Variant(), Variant(words="--one-by-one")),
    ("a second thread", DECODE, 2, Variant(), Variant(words="-j 1")),
    ("2 threads instead of 1 while one core is busy", DECODE, 2, Variant(spinner=True), Variant(words="-j 1", spinner=True)),
    ("2 threads instead of 8 on two cores", DECODE, 2, Variant(), Variant(words="-j 8")),
]


PICTURE = """![The roofline of one token, and its time by stage beside what sinter and llama.cpp take](roofline.svg)

The picture is drawn from the figures of [benchmarks.md](benchmarks.md) (`tests/bench/roofline.py docs/benchmarks.json docs/roofline.svg`). The
upper bars are the floor: the bytes of each stage over the bandwidth that was measured for a block of the model's size.

"""


def build(args, variant):
    out = os.path.join(args.work, "ideas", variant.name())
    if not os.path.exists(os.path.join(out, "model")):
        b.say("building %s" % variant.name())
        b.run([args.sinter, "build", args.model, "-o", out, "--name", "model"] + (variant.flags or "-t native").split())
        if variant.edit:
            name, what, by = variant.edit
            path = os.path.join(out, name)
            with open(path) as f:
                text = f.read()
            text, n = re.subn(what, by, text)
            if not n:
                raise SystemExit("bench: %s no longer has '%s': ideas.py must follow" % (name, what))
            with open(path, "w") as f:
                f.write(text)
        b.run([os.environ.get("MAKE") or "make", "-s", "-C", out])
    return os.path.join(out, "model")


def cpu_seconds(pid):
    with open("/proc/%d/stat" % pid) as f:
        v = f.read().rsplit(") ", 1)[1].split()
    return (int(v[11]) + int(v[12])) / os.sysconf("SC_CLK_TCK")


def speed(program, what, threads, variant, ids):
    """Tokens per second, and the percent that others took of the machine (a spinner of ours does not count)."""
    words = ["--ids", "@" + ids, "-n", "1"] if what == PREFILL else ["--ids", "3", "-n", str(b.N_GEN + 1)]
    spinner = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if variant.spinner else None
    try:
        watch = b.Watch()
        before = cpu_seconds(spinner.pid) if spinner else 0
        p = b.run([program, "-j", str(threads), "--ignore-eos", "--print-ids", "--stats", "json"] + words + variant.words.split())
        others = watch.others()
        if spinner:
            span = (b.time.monotonic() - watch.begin) * os.cpu_count()
            others = max(0.0, others - 100 * (cpu_seconds(spinner.pid) - before) / span)
    finally:
        if spinner:
            spinner.kill()
            spinner.wait()
    return json.loads(p.stderr.strip().splitlines()[-1])[what], others


def compare(args, title, what, threads, with_it, without, ids):
    programs = build(args, with_it), build(args, without)
    good, bad = [], []
    while len(good) < args.rounds and len(good) + len(bad) < 3 * args.rounds:
        b.wait_for_quiet(args)
        order = (0, 1) if len(good) % 2 == 0 else (1, 0)
        v, others = [0, 0], 0
        for i in order:
            v[i], o = speed(programs[i], what, threads, (with_it, without)[i], ids)
            others = max(others, o)
        (good if others <= args.busy else bad).append((others, v))
    rounds = good + sorted(bad)[:args.rounds - len(good)]
    out = {"title": title, "what": what, "threads": threads, "others_percent": max(r[0] for r in rounds),
           "with": b.spread([r[1][0] for r in rounds]), "without": b.spread([r[1][1] for r in rounds]),
           "ratio": statistics.median(r[1][0] / r[1][1] for r in rounds)}
    b.say("%s, %s: %s against %s" % (title, b.plural(threads, "thread"), b.cell(out["with"]), b.cell(out["without"])))
    return out


def markdown(args, rows):
    out = ["%s. %s. %s, medians (least to most) of %s in turn; the ratio is the median of the rounds' own." % (
        b.datetime.date.today().isoformat(), b.machine(), os.path.basename(args.model)[:-len(".gguf")], b.plural(args.rounds, "round")), "",
           "| idea | measured, tok/s | threads | with | without | ratio |", "|---|---|---|---|---|---|"]
    for r in rows:
        loud = " (others took up to %.0f %% of the machine)" % r["others_percent"] if r["others_percent"] > args.busy else ""
        out.append("| %s | %s%s | %d | %s | %s | **%.2f** |" % (
            r["title"], "decode" if r["what"] == DECODE else "prefill", loud, r["threads"], b.cell(r["with"]), b.cell(r["without"]), r["ratio"]))
    return "\n".join(out) + "\n"


def main():
    p = argparse.ArgumentParser(description="what each idea is worth")
    p.add_argument("--sinter", required=True)
    p.add_argument("--work", required=True, help="a folder for what is built")
    p.add_argument("--model", required=True, help="a GGUF file")
    p.add_argument("--rounds", type=int, default=7)
    p.add_argument("--busy", type=float, default=4)
    p.add_argument("--patience", type=float, default=60)
    p.add_argument("--docs", help="a document that gets the table, between its two marks")
    args = p.parse_args()
    b.shutil.rmtree(os.path.join(args.work, "ideas"), ignore_errors=True)
    os.makedirs(args.work, exist_ok=True)
    ids = os.path.join(args.work, "ids")
    b.write_ids(ids)
    try:
        rows = [compare(args, *idea, ids) for idea in ideas]
    except b.Missing as e:
        raise SystemExit("bench: %s" % e) from None
    text = markdown(args, rows)
    print(text, end="")
    if args.docs:
        drawn = os.path.exists(os.path.join(os.path.dirname(args.docs), "roofline.svg"))
        b.write_between_marks(args.docs, (PICTURE if drawn else "") + text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
