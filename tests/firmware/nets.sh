#!/bin/sh
# If this fails, a network on a microcontroller gives other bytes than TensorFlow Lite Micro did, or takes memory that nobody knows of.
#
#     tests/firmware/nets.sh OBJ [--all [BOARD...]]   Cortex-M4, Cortex-M55 and RV32 with gcc, a few models; --all: these with all recorded models,
#                                                     and every other board and clang with a few (BOARD: only there), as many boards at a time as cores
#
# Random networks (tests/nets/random_net.py) have no recorded bytes: what they give is compared with the interpreter by the self-test alone.
#
# Each model becomes a board's folder, is built without warnings, tests itself under QEMU, and computes the recorded inputs; outputs must be the
# recorded bytes (floats near them).  `make size` must know the stack: no recursion, no arrays of variable length, no calls through pointers; nothing of
# a C library is linked, so nothing allocates.  Boards that QEMU does not have are linked.
set -u
obj=$(cd "$1" && pwd) || exit 1
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"
data=${SINTER_DATA:-$here/../../../shared}/models
work=$(mktemp -d "${TMPDIR:-/tmp}/nets.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
deep="mps2-an386 mps3-an547 riscv-virt" boards=$deep compilers=gcc all=
if [ "${2-}" = --all ]; then
    shift 2
    compilers="gcc clang" all=1 boards=$*
    if [ $# = 0 ]; then
        "$obj/sinter" targets --json | python3 -c 'import json,sys; print(*[t["name"] for t in json.load(sys.stdin)["targets"] if "board" in t], sep="\n")' |
            xargs -P "$(getconf _NPROCESSORS_ONLN)" -n 1 "$0" "$obj" --all
        exit
    fi
fi

# same HAVE WANT HEADER      integers to the byte; floats as near as tests/nets asks
same() { cmp "$1" "$2" || { grep -q '^#define net_OUTPUT.*f32' "$3" && "$obj/tests/nets/near" "$1" "$2"; }; }

# one BOARD COMPILER MODEL INPUT OUTPUT    INPUT -: there are none
one() {
    model=$(basename "$3" .tflite) what="$1 $2 $(basename "$3")"
    dir=$work/$1-$2-$model
    if ! "$obj/sinter" build "$3" -t "$1" -o "$dir" --name net > "$work/log" 2>&1; then
        if grep -q 'cannot be written as C yet' "$work/log"; then
            skip "$what: its operators cannot be written yet"
        elif grep -q 'the weights do not fit' "$work/log"; then
            skip "$what: larger than the board"
        else
            bad "$what: sinter build"
            cat "$work/log"
        fi
        return
    fi
    build "$dir" "$2" "$(family "$1")" CFLAGS="-Werror -Wvla"
    case $? in
    0) ok ;;
    77) skip "$what: no compiler"; return ;;
    *)  if grep -q "region .* overflowed\|will not fit in region" "$dir/log"; then
            skip "$what: larger than the board"
        elif grep -q 'undefined .*__[a-z]*[sd]f[0-9a-z]*' "$dir/log" && [ "$(family "$1")" = riscv32 ]; then
            skip "$what: floats need RV32's libgcc, which is not here"
        else
            bad "$what: does not build"
            cat "$dir/log"
        fi
        return ;;
    esac
    if [ "$2" = gcc ]; then
        build "$dir" "$2" "$(family "$1")" size && grep -q '^RAM [0-9]' "$dir/log" && ok || { bad "$what: make size"; cat "$dir/log"; }
    fi
    run=$(command_of "$1")
    [ -n "$run" ] || return
    has "$(emulator "$(family "$1")")" || { skip "$what: no emulator"; return; }
    # shellcheck disable=SC2086 -- a command with its options
    timeout 120 $run "$dir/net.elf" > "$dir/out" 2>&1 && grep -q 'selftest passed' "$dir/out" && ok || { bad "$what: self-test"; cat "$dir/out"; }
    [ "$4" != - ] || { rm -rf "$dir"; return; }
    cp "$4" "$dir/in"
    # shellcheck disable=SC2086
    (cd "$dir" && timeout 120 $run net.elf -append "--in in --out have") > "$dir/out" 2>&1 && same "$dir/have" "$5" "$dir/net.h" > "$dir/out" 2>&1 && ok ||
        { bad "$what: other outputs than recorded"; cat "$dir/out"; }
    rm -rf "$dir"
}

# models MANY      the models: path, recorded inputs, recorded outputs.  Without MANY a few.
models() {
    for m in "$here"/../models/tflite/*.tflite; do
        case $1-$(basename "$m" .tflite) in
        1-* | -conv_same | -pools | -softmax_sharp) echo "$m" "${m%.tflite}.in" "${m%.tflite}.out" ;;
        esac
    done
    for seed in 1 2 3 4 ${1:+5 6 7 8 9 10 11 12}; do
        "$here/../nets/random_net.py" $seed > "$work/random_$seed.sir" && echo "$work/random_$seed.sir" - -
    done
    while read -r m v many; do
        [ -z "$1" ] && [ "$many" = many ] && continue
        echo "$data/$m.tflite" "$data/${m%/*}/$v.in" "$data/${m%/*}/$v.out"
    done << END
tflite-micro/hello_world_int8 hello_world_int8
tflite-micro/keyword_svdf_test keyword_svdf_test many
tflite-micro/keyword_scrambled_8bit keyword_scrambled_8bit many
tflite-micro/micro_speech_quantized micro_speech_quantized
mlperf-tiny/kws_ref_model kws
mlperf-tiny/ad01_int8 ad
mlperf-tiny/pretrainedResnet_quant ic
mlperf-tiny/vww_96_int8 vww
END
    [ -z "$1" ] || echo "$data/mlperf-tiny/pretrainedResnet.tflite" - -       # floats
}

models "$all" > "$work/many"
models "" > "$work/few"
for board in $boards; do
    for compiler in $compilers; do
        list=few
        case "$compiler $deep" in "gcc "*"$board"*) list=many ;; esac
        while read -r m in out; do
            if [ -f "$m" ]; then one "$board" "$compiler" "$m" "$in" "$out"; else skip "$board: no $(basename "$m")"; fi
        done < "$work/$list"
    done
done
finish
