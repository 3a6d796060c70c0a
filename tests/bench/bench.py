#!/usr/bin/env python3
"""sinter against llama.cpp: the same files, in turn, in the same minutes.  `make bench` starts it; `make bench MODELS=... THREADS=... ROUNDS=...`
selects.  Needs python3's standard library, and cmake and a C++ compiler the first time (llama.sh builds llama.cpp).

A round, for one model and one number of threads:

    llama.cpp   llama-bench -p 512 -n 128 -fa 1 -r 1 (it warms up first), peer first (peer.c; with and without repacking)
    sinter      the emitted program with 512 prompt tokens, with one prompt token and 128 more, and with one prompt token only; where this
                machine has panels of 8-bit codes, also 512 prompt tokens by a program of --act prefill=i8
    limits      read bandwidth of a block as large as what one token reads; the widest integer unit's multiply-adds; the time in which a
                process maps the weights file and reads it once

Every other round begins with sinter.  Nothing is pinned, no priority is changed.  A round waits for a quiet moment, but not for ever; one in
which other processes (and, on a virtual machine, other guests) took more than BUSY percent of the machine is thrown away and repeated; after
three times as many tries as rounds the least disturbed ones are taken, and the table says so.  Medians and ranges are printed; the ratio is that
of the medians.

Of models with a vocabulary, the emitted program's --spec lookup is measured, too, against --spec none: 256 tokens that go on code, a text that
repeats itself, and prose (lookup_*.txt), which must come out the same.

Shares of limits:
    decode      tokens per second x bytes of weights that one token reads / bandwidth.  Over 100 % only by the error of the measurement.
    prefill     tokens per second x multiply-adds of a token's matrices (without the head, which one token of a prompt needs) / peak
    first token time of reading the weights once / time
Both programs are held to the same bytes and multiply-adds: those of sinter's manifest.
"""
import argparse
import datetime
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "sinter")
N_PROMPT, N_GEN, N_LOOKUP = 512, 128, 256
TEXTS = ("code", "repeats", "prose")
MARK_BEGIN, MARK_END = "<!-- bench: begin -->", "<!-- bench: end -->"


class Missing(Exception):
    """What is needed is not here; its text says what and, in parentheses, what to do."""


def say(text):
    print("bench: " + text, file=sys.stderr, flush=True)


def run(argv, **more):
    """The finished process; a failure is a Missing with its first line that speaks of an error, or its last."""
    p = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)
    if p.returncode != 0:
        lines = [line for line in (p.stderr or p.stdout).splitlines() if line.strip()]
        lines = [line for line in lines if "error: " in line][:1] or lines
        raise Missing(lines[-1] if lines else "%s ended with exit status %d" % (os.path.basename(argv[0]), p.returncode))
    return p


# ---- models ---------------------------------------------------------------------------------------------------------------------------


class Model:
    def __init__(self, name, title, find, has_text=False):
        self.name, self.title, self.find = name, title, find    # find(bench) -> path, or raises Missing
        self.has_text = has_text                                # and is able to go on one


def fetched(what, todo):
    def find(bench):
        try:
            return run([os.path.join(ROOT, "tests", "fetch.sh"), "--cached", what]).stdout.split("\n")[0]
        except Missing:
            raise Missing("the model is not in the cache (%s)" % todo) from None
    return find


def requantized(bench):
    """SmolLM2's Q4_1 file in Q4_0: other bits, the same model; kept beside it."""
    out = os.path.join(CACHE, "SmolLM2-135M-Instruct.Q4_0.gguf")
    if not os.path.exists(out):
        source = model_table["smollm2-q4_1"].find(bench)
        say("making %s" % os.path.basename(out))
        run([os.path.join(bench.llama(source), "peer"), "quantize", source, out + ".tmp"])
        os.rename(out + ".tmp", out)
    return out


# Small enough for the last-level cache of most machines (16 MB in Q4_0): a llama of SmolLM2-135M's width, eight layers of it and few words.
RESIDENT = ["--arch", "llama"] + [w for v in ("num_hidden_layers=8", "hidden_size=576", "intermediate_size=1536", "num_attention_heads=9", "num_key_value_heads=3",
                                             "head_dim=64", "max_position_embeddings=2048") for w in ("--set", v)]


def random_weights(shape, kind):
    """A file with random weights in a published model's shape, or RESIDENT's, made by the fixtures' scripts, which are no part of this project."""
    def find(bench):
        out = os.path.join(CACHE, "random-%s-%s.gguf" % (shape, kind))
        if os.path.exists(out):
            return out
        scripts = os.path.join(os.environ.get("SINTER_DATA") or os.path.join(ROOT, "..", "shared"), "fixtures")
        python = os.environ.get("SINTER_PYTHON") or "python3"
        if not os.path.exists(os.path.join(scripts, "make_gguf.py")):
            raise Missing("random weights cannot be made (SINTER_DATA=DIR: where fixtures/make_fixture.py is)")
        try:
            run([python, "-c", "import torch, transformers, gguf, safetensors"])
        except (Missing, OSError):
            raise Missing("random weights cannot be made (SINTER_PYTHON=FILE: a python3 with torch, transformers, gguf, safetensors)") from None
        work = os.path.join(CACHE, "random.%d" % os.getpid())
        fixture = os.path.join(bench.work, "fixture-" + shape)
        try:
            if not os.path.exists(os.path.join(fixture, "config.json")):
                say("making random weights in the shape of %s" % shape)
                run([python, os.path.join(scripts, "make_fixture.py")] + (RESIDENT if shape == "resident" else ["--shape", shape, "--lens", "5"]) +
                    ["--out", fixture])
            say("making %s" % os.path.basename(out))
            run([python, os.path.join(scripts, "make_gguf.py"), "--in", fixture, "--out", work, "--type", kind])
            os.rename(os.path.join(work, "model.gguf"), out)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        return out
    return find


def given_file(path):
    name = os.path.basename(path)[:-len(".gguf")]
    return Model(re.sub(r"[^A-Za-z0-9._-]", "_", name), name, lambda bench: path, True)


models = [
    Model("smollm2-q4_1", "SmolLM2-135M Q4_1", fetched("smollm2", "tests/fetch.sh smollm2"), True),
    Model("smollm2-q4_0", "SmolLM2-135M Q4_0", requantized),
    Model("gemma3-270m", "Gemma-3-270M Q4_K_M", fetched("gemma", "tests/fetch.sh gemma"), True),
] + [Model("%s-%s" % (shape, kind.lower()), "%s shape, random, %s" % (shape, kind), random_weights(shape, kind))
     for shape in ("qwen2.5-0.5b", "llama-3.2-1b") for kind in ("Q4_0", "Q8_0", "TQ2_0")
] + [Model("resident-%s" % kind.lower(), "8 layers as SmolLM2-135M's, random, %s" % kind, random_weights("resident", kind)) for kind in ("Q4_0", "Q4_1")]
model_table = {m.name: m for m in models}


# ---- what a machine does --------------------------------------------------------------------------------------------------------------


def busy_seconds():
    """CPU seconds that everybody has used, and that this program and what it started have used.  (steal: other guests)"""
    with open("/proc/stat") as f:
        v = [int(x) for x in f.readline().split()[1:9]]
    user, nice, system, _, _, irq, softirq, steal = v
    mine = sum(r.ru_utime + r.ru_stime for r in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK"), mine


class Watch:
    """How much of the machine others took since it was made, in percent of all cores."""
    def __init__(self):
        self.all, self.mine = busy_seconds()
        self.begin = time.monotonic()

    def others(self):
        now, mine = busy_seconds()
        seconds = (time.monotonic() - self.begin) * os.cpu_count()
        return max(0.0, 100 * ((now - self.all) - (mine - self.mine)) / seconds)


def wait_for_quiet(args):
    """Returns when others take no more than args.busy percent for a second, or after args.patience seconds."""
    end = time.monotonic() + args.patience
    while time.monotonic() < end:
        watch = Watch()
        time.sleep(1)
        if watch.others() <= args.busy:
            return
        time.sleep(2)


def machine():
    text = open("/proc/cpuinfo").read()
    name = re.search(r"^(?:model name|Model|isa)\s*: (.*)", text, re.M)
    flags = re.search(r"^(?:flags|Features)\s*: (.*)", text, re.M)
    flags = flags.group(1).split() if flags else []
    units = [f for f in ("amx_int8", "avx512_vnni", "avx_vnni", "avx2", "sve2", "i8mm", "asimddp") if f in flags]
    cache = "/sys/devices/system/cpu/cpu0/cache/index3/size"
    ram = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return "%d %s of %s (%s)%s, %.0f GB" % (
        os.cpu_count(), "virtual cores" if "hypervisor" in flags else "cores", name.group(1) if name else os.uname().machine, " ".join(units),
        ", last cache %s" % open(cache).read().strip() if os.path.exists(cache) else "", 1e-9 * ram)


# ---- the programs ---------------------------------------------------------------------------------------------------------------------


def write_ids(path):
    """A prompt of ids that every vocabulary has."""
    with open(path, "w") as f:
        f.write(",".join(str(3 + i * 37 % 200) for i in range(N_PROMPT)))


class Bench:
    def __init__(self, args):
        self.args, self.work = args, args.work
        self.llama_dir = None
        os.makedirs(self.work, exist_ok=True)
        self.ids = os.path.join(self.work, "ids")
        write_ids(self.ids)

    def llama(self, model):
        """The folder of llama.cpp's programs; built the first time."""
        if not self.llama_dir:
            p = subprocess.run([os.path.join(HERE, "llama.sh"), model], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
            if p.returncode != 0:
                raise SystemExit(1)                             # it has said why
            self.llama_dir = p.stdout.strip()
        return self.llama_dir

    def measure(self, *words):
        return json.loads(run([self.args.measure] + [str(w) for w in words]).stdout)

    def llama_round(self, path, threads):
        """Prefill and decode in tokens per second, start to first token in ms: repacked, as in the file."""
        out = json.loads(run([os.path.join(self.llama(path), "llama-bench"), "-m", path, "-p", str(N_PROMPT), "-n", str(N_GEN), "-t", str(threads),
                              "-fa", "1", "-r", "1", "-o", "json"]).stdout)
        peer = [os.path.join(self.llama(path), "peer"), "first", path, "3", str(threads)]
        return {"prefill": next(x["avg_ts"] for x in out if x["n_prompt"]), "decode": next(x["avg_ts"] for x in out if x["n_gen"]),
                "first_repacked": self.measure("wall", *peer, 1)["ms"], "first_as_is": self.measure("wall", *peer, 0)["ms"]}

    def sinter_round(self, program, panels, threads):
        def stats(words, program=program):
            p = run([program, "-j", str(threads), "--ignore-eos", "--print-ids", "--stats", "json"] + words)
            return json.loads(p.stderr.strip().splitlines()[-1])

        prompt = ["--ids", "@" + self.ids, "-n", "1"]
        more = {"prefill, i8": stats(prompt, panels)["prefill_tps"]} if panels else {}
        return {**more, "prefill": stats(prompt)["prefill_tps"],
                "decode": stats(["--ids", "3", "-n", str(N_GEN + 1)])["decode_tps"],
                "first": self.measure("wall", program, "-j", threads, "--ids", 3, "-n", 1, "--print-ids")["ms"]}

    def build(self, model, path, more=()):
        """The emitted program and its manifest."""
        out = os.path.join(self.work, model.name + ("-i8" if more else ""))
        run([self.args.sinter, "build", path, "-t", "native", "-o", out, "--name", "model"] + self.args.flags.split() + list(more))
        run([os.environ.get("MAKE") or "make", "-s", "-C", out])
        with open(os.path.join(out, "manifest.json")) as f:
            return os.path.join(out, "model"), json.load(f)


def build_panels(bench, model, path):
    """The program that reads prompts through panels of 8-bit codes; None where there are no such kernels, or --flags says something else."""
    if "--act" in bench.args.flags:
        return None
    try:
        return bench.build(model, path, ("--act", "prefill=i8"))[0]
    except Missing as e:
        say("%s, prefill=i8: %s" % (model.name, e))
        return None


def matrices(manifest):
    """(name, elements, bytes) of each."""
    for w in manifest["weights"]:
        shape = re.search(r"\[(\d+),(\d+)\]", w["type"])
        if shape:
            yield w["name"], int(shape.group(1)) * int(shape.group(2)), w["bytes"]


def is_of_the_vocabulary(name):
    return re.match(r"(token_embd|output)\.weight$", name) is not None


def macs_per_token(manifest):
    """Elements of all matrices but the embedding and the head."""
    return sum(n for name, n, _ in matrices(manifest) if not is_of_the_vocabulary(name))


def head_macs(manifest):
    return max([n for name, n, _ in matrices(manifest) if is_of_the_vocabulary(name)], default=0)


PARTS = [("q, k, v", r"attn_(q|k|v|qkv)\.weight$"), ("attention's output", r"attn_output\.weight$"), ("gate, up", r"ffn_(gate|up)\.weight$"),
         ("down", r"ffn_down\.weight$")]


def parts_of_a_token(manifest):
    """Bytes by stage; the head is what is left of the bytes that a token reads."""
    parts = {title: sum(n for name, _, n in matrices(manifest) if re.search(pattern, name)) for title, pattern in PARTS}
    parts["head, norms"] = manifest["bytes_per_token"] - sum(parts.values())
    return parts


# ---- rounds ---------------------------------------------------------------------------------------------------------------------------


def one_round(bench, path, program, panels, bytes_per_token, threads, sinter_first):
    watch = Watch()
    r = {}
    if sinter_first:
        r["sinter"] = bench.sinter_round(program, panels, threads)
    r["llama"] = bench.llama_round(path, threads)
    if not sinter_first:
        r["sinter"] = bench.sinter_round(program, panels, threads)
    r["mb_s"] = bench.measure("read", bytes_per_token, threads)["mb_s"]
    r["touch_ms"] = bench.measure("wall", bench.args.measure, "touch", program + ".weights", threads)["ms"]
    r.update(bench.measure("mac8", threads))
    r["others"] = watch.others()
    return r


def all_rounds(bench, model, path, program, panels, bytes_per_token, threads):
    """bench.args.rounds quiet ones, or the quietest of three times as many."""
    want, good, bad = bench.args.rounds, [], []
    while len(good) < want and len(good) + len(bad) < 3 * want:
        wait_for_quiet(bench.args)
        r = one_round(bench, path, program, panels, bytes_per_token, threads, len(good) % 2 == 1)
        quiet = r["others"] <= bench.args.busy
        (good if quiet else bad).append(r)
        say("%s, %s, round %d of %d: decode %.0f and %.0f, prefill %.0f and %.0f tok/s, first token %.0f and %.0f ms%s" % (
            model.name, plural(threads, "thread"), len(good), want, r["llama"]["decode"], r["sinter"]["decode"], r["llama"]["prefill"],
            r["sinter"]["prefill"], min(r["llama"]["first_repacked"], r["llama"]["first_as_is"]), r["sinter"]["first"],
            "" if quiet else "; others took %.0f %%: again" % r["others"]))
    return good + sorted(bad, key=lambda r: r["others"])[:want - len(good)]


def lookup_round(program, threads, lookup_first):
    """Tokens per second of each text, with and without."""
    watch = Watch()
    r = {}
    for text in TEXTS:
        out = {}
        for spec in ("lookup", "none") if lookup_first else ("none", "lookup"):
            p = run([program, "-j", str(threads), "--spec", spec, "-f", os.path.join(HERE, "lookup_%s.txt" % text), "-n", str(N_LOOKUP),
                     "--ignore-eos", "--print-ids", "--stats", "json"])
            out[spec] = p.stdout
            r[text, spec] = json.loads(p.stderr.strip().splitlines()[-1])["decode_tps"]
        if out["lookup"] != out["none"]:
            raise Missing("--spec lookup went on %s otherwise than --spec none" % text)
    r["others"] = watch.others()
    return r


def lookup_rows(bench, model, program, threads):
    good, bad = [], []
    while len(good) < bench.args.rounds and len(good) + len(bad) < 3 * bench.args.rounds:
        wait_for_quiet(bench.args)
        r = lookup_round(program, threads, len(good) % 2 == 1)
        quiet = r["others"] <= bench.args.busy
        (good if quiet else bad).append(r)
        say("%s, %s, lookup, round %d of %d: %s%s" % (
            model.name, plural(threads, "thread"), len(good), bench.args.rounds,
            ", ".join("%s %.0f and %.0f" % (t, r[t, "none"], r[t, "lookup"]) for t in TEXTS), "" if quiet else "; others took %.0f %%: again" % r["others"]))
    rounds = good + sorted(bad, key=lambda r: r["others"])[:bench.args.rounds - len(good)]
    out = []
    for text in TEXTS:
        none, lookup = spread([r[text, "none"] for r in rounds]), spread([r[text, "lookup"] for r in rounds])
        out.append({"text": text, "threads": threads, "rounds": len(rounds), "others_percent": max(r["others"] for r in rounds), "none": none,
                    "lookup": lookup, "ratio": lookup["median"] / none["median"]})
    return out


def spread(values):
    return {"median": statistics.median(values), "least": min(values), "most": max(values)}


def rows_of(rounds, manifest, threads):
    """Rows: decode, prefill, with panels too where there are any, first token."""
    def column(who, what):
        return spread([r[who][what] for r in rounds])

    def row(what, llama, sinter, **more):
        return {"what": what, "threads": threads, "rounds": len(rounds), "others_percent": max(r["others"] for r in rounds), "llama": llama,
                "sinter": sinter, **more}

    mb_s = statistics.median(r["mb_s"] for r in rounds)
    macs = statistics.median(r["mac8_per_ns"] for r in rounds)
    out = []
    llama, sinter = column("llama", "decode"), column("sinter", "decode")
    out.append(row("decode", llama, sinter, ratio=sinter["median"] / llama["median"], limit="%.1f GB/s" % (1e-3 * mb_s),
                   bandwidth_mb_s=mb_s, bytes_per_token=manifest["bytes_per_token"], parts=parts_of_a_token(manifest),
                   macs_per_token=macs_per_token(manifest) + head_macs(manifest),
                   **{who + "_share": x["median"] * manifest["bytes_per_token"] / (1e6 * mb_s) for who, x in (("llama", llama), ("sinter", sinter))}))
    for what in ("prefill", "prefill, i8"):
        if what not in rounds[0]["sinter"]:
            continue
        llama, sinter = column("llama", "prefill"), column("sinter", what)
        more = {"macs_per_token": macs_per_token(manifest)}
        if macs > 0:
            more.update(limit="%.2f T/s %s" % (1e-3 * macs, rounds[0]["unit"]), mac8_per_ns=macs, unit=rounds[0]["unit"],
                        **{who + "_share": x["median"] * more["macs_per_token"] / (1e9 * macs) for who, x in (("llama", llama), ("sinter", sinter))})
        out.append(row(what, llama, sinter, ratio=sinter["median"] / llama["median"], **more))
    either = [column("llama", "first_repacked"), column("llama", "first_as_is")]
    llama = min(either, key=lambda x: x["median"])
    sinter = column("sinter", "first")
    touch = statistics.median(r["touch_ms"] for r in rounds)
    out.append(row("first token", llama, sinter, ratio=llama["median"] / sinter["median"], repacked=llama is either[0], touch_ms=touch,
                   limit="%.1f ms" % touch, llama_share=touch / llama["median"], sinter_share=touch / sinter["median"]))
    return out


# ---- the report -----------------------------------------------------------------------------------------------------------------------


def plural(n, what):
    return "%d %s%s" % (n, what, "" if n == 1 else "s")


def number(x):
    return "%.0f" % x if x >= 100 else "%.1f" % x


def cell(x):
    return "%s (%s to %s)" % (number(x["median"]), number(x["least"]), number(x["most"]))


def share(row, who):
    return "%.0f %%" % (100 * row[who + "_share"]) if who + "_share" in row else ""


def markdown(result):
    unit = {"decode": "decode of %d, tok/s" % N_GEN, "prefill": "prefill of %d, tok/s" % N_PROMPT,
            "prefill, i8": "prefill of %d, i8, tok/s" % N_PROMPT, "first token": "start to first token, ms"}
    out = ["%s. %s." % (result["date"], result["machine"]),
           "sinter %s, built by %s%s." % (result["sinter"], result["cc"], ", with " + result["flags"] if result["flags"] else ""),
           "llama.cpp %s from llama-cpp-python's source: %s; flash attention on, repacking on." % (result["llama_version"], result["llama_built"]),
           ""]
    out += ["| model | threads | what | llama.cpp | sinter | ratio | sinter's share | llama.cpp's | of the measured |", "|---|---|---|---|---|---|---|---|---|"]
    for m in result["models"]:
        if "missing" in m:
            out.append("| %s | | not measured: %s | | | | | | |" % (m["title"], m["missing"].replace("|", "/")))
        for row in m.get("rows", []):
            out.append("| %s | %d | %s | %s | %s | **%.1f** | %s | %s | %s |" % (
                m["title"], row["threads"], unit[row["what"]], cell(row["llama"]), cell(row["sinter"]), row["ratio"], share(row, "sinter"),
                share(row, "llama"), row.get("limit", "")))
    out.append("")
    measured = [m for m in result["models"] if "rows" in m]
    if measured:
        out.append("Medians (least to most) of %s. llama.cpp holds the weights in: %s." % (
            plural(result["rounds"], "round"), "; ".join("%s: %s" % (m["title"], m["buffers"]) for m in measured)))
    guessed = [m for m in result["models"] if "lookup" in m or "lookup_missing" in m]
    if guessed:
        out += ["", "Speculation by lookup, %d tokens that go on a text, tokens per second:" % N_LOOKUP, "",
                "| model | threads | text | without | `--spec lookup` | ratio |", "|---|---|---|---|---|---|"]
    for m in guessed:
        out += ["| %s | %d | %s | %s | %s | **%.2f** |" % (m["title"], row["threads"], row["text"], cell(row["none"]), cell(row["lookup"]), row["ratio"])
                for row in m.get("lookup", [])]
        if "lookup_missing" in m:
            out.append("| %s | | not measured: %s | | | |" % (m["title"], m["lookup_missing"].replace("|", "/")))
    if guessed:
        out.append("")
    loud = [(m, r) for m in measured for r in m["rows"] if r["others_percent"] > result["busy"] and r["what"] == "decode"]
    for m, r in loud:
        out.append("The machine was not quiet: %s with %s was measured while others took up to %.0f %% of it." % (
            m["title"], plural(r["threads"], "thread"), r["others_percent"]))
    return "\n".join(out) + "\n"


def write_between_marks(path, text):
    with open(path) as f:
        old = f.read()
    if old.count(MARK_BEGIN) != 1 or old.count(MARK_END) != 1:
        raise SystemExit("bench: %s has not one '%s' and one '%s'" % (path, MARK_BEGIN, MARK_END))
    head, rest = old.split(MARK_BEGIN)
    with open(path, "w") as f:
        f.write(head + MARK_BEGIN + "\n" + text + MARK_END + rest.split(MARK_END)[1])


def write_docs(path, text, result):
    """The table into a document, and the figures beside it: roofline.py draws them."""
    write_between_marks(path, text)
    with open(os.path.splitext(path)[0] + ".json", "w") as f:
        json.dump(result, f, indent=1)
        f.write("\n")


def measure_model(bench, model, result):
    """Appends to the result's models: figures, or why there are none."""
    entry = {"name": model.name, "title": model.title}
    result["models"].append(entry)
    try:
        path = model.find(bench)
        program, manifest = bench.build(model, path)
        panels = build_panels(bench, model, path)
        facts = run([os.path.join(bench.llama(path), "peer"), "info", path]).stdout
        entry["buffers"] = ", ".join("%s %s" % m for m in re.findall(r"(\S+) model buffer size = *([\d.]+ MiB)", facts))
        result["llama_version"] = re.search(r"^version (.*)", facts, re.M).group(1)
        result["llama_cpu"] = re.search(r"^system (.*)", facts, re.M).group(1).strip(" |")
        with open(os.path.join(bench.llama(path), "built.txt")) as f:
            result["llama_built"] = f.read().strip()
        rows = []
        for threads in bench.args.threads:
            rounds = all_rounds(bench, model, path, program, panels, manifest["bytes_per_token"], threads)
            rows += rows_of(rounds, manifest, threads)
        entry["rows"] = rows
    except Missing as e:
        entry["missing"] = str(e)
        say("%s: %s" % (model.name, e))
        return
    if model.has_text:
        try:
            entry["lookup"] = [row for threads in bench.args.threads for row in lookup_rows(bench, model, program, threads)]
        except Missing as e:
            entry["lookup_missing"] = str(e)
            say("%s, lookup: %s" % (model.name, e))


def numbers(text):
    return [int(x) for x in re.split(r"[ ,]+", text.strip())]


def main():
    p = argparse.ArgumentParser(description="sinter against llama.cpp, in turn, on the same files")
    p.add_argument("--sinter", required=True, help="the compiler")
    p.add_argument("--measure", required=True, help="measure.c, built")
    p.add_argument("--work", required=True, help="a folder for what is built")
    p.add_argument("--models", default="", help="GGUF files, or some of: " + " ".join(model_table) + " (default: all of these)")
    p.add_argument("--threads", type=numbers, default=[1, 2])
    p.add_argument("--rounds", type=int, default=7)
    p.add_argument("--busy", type=float, default=4, help="percent of the machine that others may take (default: 4)")
    p.add_argument("--patience", type=float, default=60, help="seconds that a round waits for a quiet machine at most (default: 60)")
    p.add_argument("--flags", default="", help="more words for `sinter build`")
    p.add_argument("--json", action="store_true", help="figures instead of the table")
    p.add_argument("--docs", help="a document that gets the table, between its two marks")
    args = p.parse_args()
    chosen = [given_file(name) if name.endswith(".gguf") else model_table.get(name) for name in args.models.split()] or models
    if None in chosen:
        p.error("there is no model '%s' (a .gguf file, or: %s)" % (args.models.split()[chosen.index(None)], " ".join(model_table)))
    if args.rounds < 1 or min(args.threads) < 1:
        p.error("rounds and threads begin at 1")
    bench = Bench(args)
    result = {"schema": 1, "date": datetime.date.today().isoformat(), "machine": machine(), "rounds": args.rounds, "busy": args.busy,
              "sinter": run([args.sinter, "--version"]).stdout.split()[-1], "flags": args.flags,
              "cc": run(["cc", "--version"]).stdout.splitlines()[0], "llama_version": "", "llama_built": "not built", "models": []}
    for model in chosen:
        measure_model(bench, model, result)
    text = markdown(result)
    if args.json:
        json.dump(result, sys.stdout, indent=1)
        print()
    else:
        print(text, end="")
    if args.docs:
        write_docs(args.docs, text, result)
    return 0 if any("rows" in m for m in result["models"]) else 1


if __name__ == "__main__":
    sys.exit(main())
