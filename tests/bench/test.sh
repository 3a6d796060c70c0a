#!/bin/sh
# make bench itself, with a llama.cpp of constant speed in llama.cpp's place: a wrong table would be believed.
#
#   test.sh OBJ
set -u
obj=$(cd "${1:?test.sh OBJ}" && pwd) || exit 1
cd "$(dirname "$0")/../.." || exit 1
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
n_pass=0 n_fail=0
measure=$obj/tests/bench/measure

ok() { # NAME COMMAND...: the command succeeds
    what=$1
    shift
    if "$@" > "$tmp/out" 2>&1; then
        n_pass=$((n_pass + 1))
    else
        n_fail=$((n_fail + 1))
        echo "FAIL $what"
        sed 's/^/    /' "$tmp/out"
    fi
}
# is FILE EXPRESSION: true of x, the JSON in FILE
is() { python3 -c 'import json, sys; x = json.load(open(sys.argv[1])); v = eval("(" + sys.argv[2] + ")"); print(v, x); sys.exit(not v)' "$1" "$2"; }
status() { # N COMMAND...: it ends with N
    n=$1
    shift
    "$@" > /dev/null 2> "$tmp/err"
    s=$?
    cat "$tmp/err"
    [ $s = "$n" ]
}

# ---- measure.c
"$measure" read 1048576 1 > "$tmp/read" && "$measure" mac8 1 > "$tmp/mac8" && "$measure" wall sleep 0.05 > "$tmp/wall"
ok "a block is read, between 0.1 and 10000 GB/s" is "$tmp/read" '100 < x["mb_s"] < 10000000'
ok "a block that cannot be had is 0" sh -c "[ '$("$measure" read 4000000000000000000 1)' = '{\"mb_s\": 0}' ]"
if grep -qE '^(flags|Features).* (avx2|asimddp)' /proc/cpuinfo; then
    ok "a known unit multiplies" is "$tmp/mac8" '1 < x["mac8_per_ns"] < 100000 and x["unit"]'
else
    ok "no known unit is 0" is "$tmp/mac8" 'x == {"mac8_per_ns": 0, "unit": ""}'
fi
ok "a program's time is its whole time" is "$tmp/wall" '50 <= x["ms"] < 5000'
ok "a file is read once" status 0 "$measure" touch samples/model/story.gguf 2
ok "a file that is not there is not read" status 1 "$measure" touch "$tmp/nothing" 1
ok "a program that fails is no time" status 1 "$measure" wall false
ok "a program that is not there is no time" status 1 "$measure" wall "$tmp/nothing"
ok "measure says how it is used" status 2 "$measure" read

mkdir "$tmp/here"
TMPDIR="$tmp/here" "$obj/sinter" targets --calibrate --quick > "$tmp/calibrated.yaml" 2> "$tmp/notes" && "$obj/sinter" targets "$tmp/calibrated.yaml" --json > "$tmp/calibrated"
ok "what --calibrate prints is a target, with bandwidths" is "$tmp/calibrated" 'x["targets"][0]["bandwidth"]["dram"] > 100 and
    x["targets"][0]["bandwidth"]["llc"] > 100 and x["targets"][0]["name"] == "calibrated"'
ok "it says of each number what it found" sh -c 'for k in chunk span tokens; do grep -q "note: $k: [0-9]* .*; beside [0-9]* are " "$0" || exit 1; done' "$tmp/notes"
ok "nothing of it is left behind" rmdir "$tmp/here"
ok "what it prints builds a model" "$obj/sinter" build samples/model/story.gguf -t "$tmp/calibrated.yaml" -o "$tmp/tuned/story"
ok "which can be made" make -s -C "$tmp/tuned/story"

# ---- bench.py: llama.cpp reads a prompt at 1000 tokens a second, writes 10, starts in 0.1 s repacked and 0.6 s as it is
mkdir "$tmp/llama" "$tmp/cache"
echo 'a compiler' > "$tmp/llama/built.txt"
cat > "$tmp/llama/llama-bench" << 'FAKE'
#!/bin/sh
echo "$*" >> "${0%/*}/calls"
echo '[{"n_prompt": 512, "n_gen": 0, "avg_ts": 1000.0}, {"n_prompt": 0, "n_gen": 128, "avg_ts": 10.0}]'
FAKE
cat > "$tmp/llama/peer" << 'FAKE'
#!/bin/sh
case "$1 ${5-}" in
"info "*) printf 'version 9.9\nsystem CPU : X = 1 | \nload_tensors: CPU_REPACK model buffer size =    12.50 MiB\n' ;;
"first 1") sleep 0.1 ;;
"first 0") sleep 0.6 ;;
*) exit 1 ;;
esac
FAKE
chmod +x "$tmp/llama/llama-bench" "$tmp/llama/peer"
LLAMA=$tmp/llama XDG_CACHE_HOME=$tmp/cache SINTER_OFFLINE=1 SINTER_DATA=$tmp/nothing
export LLAMA XDG_CACHE_HOME SINTER_OFFLINE SINTER_DATA
bench() { tests/bench/bench.py --sinter "$obj/sinter" --measure "$measure" --work "$tmp/work" --patience 0 "$@" 2>> "$tmp/log"; }
printf 'before\n<!-- bench: begin -->\nstale\n<!-- bench: end -->\nafter\n' > "$tmp/page.md"
head -c 1000 samples/model/story.gguf > "$tmp/cut.gguf"

bench --models "samples/model/story.gguf $tmp/cut.gguf smollm2-q4_1 qwen2.5-0.5b-q4_0" --threads 1 --rounds 2 --busy 100 --json \
    --docs "$tmp/page.md" > "$tmp/result"
ok "a model is measured, in the order that was asked for" is "$tmp/result" '[m["name"] for m in x["models"]][:2] == ["story", "cut"] and
    [r["what"] for r in x["models"][0]["rows"] if r["what"] != "prefill, i8"] == ["decode", "prefill", "first token"]'
panels=$(grep -c avx512_vnni /proc/cpuinfo)
ok "prompts through panels are a row of their own where the machine has kernels for them" is "$tmp/result" \
    "sum(r['what'] == 'prefill, i8' for r in x['models'][0]['rows']) == ($panels > 0)"
ok "the ratio of tokens per second" is "$tmp/result" 'all(abs(r["ratio"] * r["llama"]["median"] / r["sinter"]["median"] - 1) < 1e-9 and
    r["llama"]["median"] == speed and r["rounds"] == 2 for r, speed in zip(x["models"][0]["rows"], (10, 1000)))'
ok "the ratio of times is turned round, and the sooner start counts" is "$tmp/result" 'next(100 <= r["llama"]["median"] < 600 and r["repacked"] and
    abs(r["ratio"] * r["sinter"]["median"] / r["llama"]["median"] - 1) < 1e-9 for r in x["models"][0]["rows"] if r["what"] == "first token")'
ok "the share of bandwidth" is "$tmp/result" 'next(abs(r["sinter_share"] * r["bandwidth_mb_s"] * 1e6 / r["bytes_per_token"] / r["sinter"]["median"] - 1)
    < 1e-9 for r in x["models"][0]["rows"] if r["what"] == "decode")'
ok "the share of multiply-adds: 4 layers of 128 x (128 + 64 + 64 + 128 + 3 x 384)" is "$tmp/result" \
    'next(r["macs_per_token"] == 4 * 128 * (128 + 64 + 64 + 128 + 3 * 384) for r in x["models"][0]["rows"] if r["what"] == "prefill")'
ok "the bytes of a token by stage: 4 layers, 34 bytes for 32 weights" is "$tmp/result" 'next(r["parts"]["gate, up"] == 4 * 2 * 384 * 128 * 34 / 32 and
    sum(r["parts"].values()) == r["bytes_per_token"] and min(r["parts"].values()) > 0 for r in x["models"][0]["rows"] if r["what"] == "decode")'
ok "the share of a first token" is "$tmp/result" 'next(abs(r["sinter_share"] * r["sinter"]["median"] / r["touch_ms"] - 1) < 1e-9
    for r in x["models"][0]["rows"] if r["what"] == "first token")'
ok "speculation: each text with and without" is "$tmp/result" '[r["text"] for r in x["models"][0]["lookup"]] == ["code", "repeats", "prose"] and
    all(abs(r["ratio"] * r["none"]["median"] / r["lookup"]["median"] - 1) < 1e-9 for r in x["models"][0]["lookup"])'
ok "what cannot be built is a row that says why" is "$tmp/result" '"cut.gguf" in x["models"][1]["missing"]'
ok "what is not here is a row that says what to do" is "$tmp/result" '"tests/fetch.sh smollm2" in x["models"][2]["missing"] and
    "SINTER_DATA" in x["models"][3]["missing"]'
ok "llama.cpp runs with flash attention, the same threads and lengths" sh -c \
    "[ \$(wc -l < '$tmp/llama/calls') = 2 ] && ! grep -v -- '-p 512 -n 128 -t 1 -fa 1' '$tmp/llama/calls'"
ok "a document gets the table between its marks and keeps the rest" sh -c \
    "sed -n '1,2p; \$p' '$tmp/page.md' | tr '\n' ' ' | grep -q 'before <!-- bench: begin --> after' && ! grep stale '$tmp/page.md' && grep 'story | 1 | decode' '$tmp/page.md'"
ok "and its figures beside it" is "$tmp/page.json" 'x["models"][0]["name"] == "story"'
echo nothing > "$tmp/page.md"
ok "a document without marks is left alone" sh -c "! (LLAMA='$tmp/llama' tests/bench/bench.py --sinter '$obj/sinter' --measure '$measure' \
    --work '$tmp/work' --models smollm2-q4_1 --docs '$tmp/page.md') && [ \"\$(cat '$tmp/page.md')\" = nothing ]"

# Others always take more than nothing less one percent: no round is quiet.
rm "$tmp/llama/calls"
bench --models samples/model/story.gguf --threads 1 --rounds 1 --busy -1 > "$tmp/loud"
ok "a busy machine: three times as many tries, and the table says so" sh -c \
    "[ \$(wc -l < '$tmp/llama/calls') = 3 ] && grep 'The machine was not quiet: story with 1 thread' '$tmp/loud'"
ok "an unknown model is wrong usage" status 2 bench --models smollm3
ok "nothing measured is a failure" status 1 bench --models smollm2-q4_1
ok "llama.cpp that is not where LLAMA says" sh -c "! (LLAMA='$tmp' tests/bench/llama.sh x) 2>&1"
ok "llama.cpp's source is not fetched when offline" sh -c "! (unset LLAMA; tests/bench/llama.sh x) 2>&1"

echo "bench: $n_pass passed, $n_fail failed, 0 skipped"
[ $n_fail = 0 ]
