#!/bin/sh
# Instructions of one token in one layer, on targets that QEMU emulates.
#
#     tests/icount/icount.sh OBJ [TARGET]...      OBJ holds sinter and tests/models/mkmodel; without targets, all
#
# One table of the formats with one scale, one of codes in two planes and scales of two levels.  A layer is the difference of
# two models of 2 and 3 layers (cases.json); a token is the difference of two runs: of 4 and 5 generated tokens (decode), or of
# prompts of 32 and 64 (prefill, divided by 32).  One thread, so counts repeat exactly but for what the system's libraries do, a
# few dozen.  Prints rows of Markdown for docs/targets.md.
set -u
obj=$(cd "$1" && pwd) || exit 1
shift
wanted=" $* "
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/icount.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
cd "$work" || exit 1
cc -shared -fPIC -O2 "$here/icount.c" -o icount.so || exit 1
ids() { seq -s, 1 "$1"; }

# counted PROGRAM OPTIONS...     under $run
counted() {
    # shellcheck disable=SC2086 -- $run is a command with its options
    $run -d plugin -plugin ./icount.so "$@" --ignore-eos --print-ids -j 1 2>&1 > ids | sed -n 's/^icount: //p'
}

# row TARGET CC RUN
row() {
    target=$1 cc=$2 run=$3 line="| $1"
    case $wanted in '  ' | *" $target "*) ;; *) return ;; esac
    for type in $types; do
        for layers in 2 3; do
            d=$target-$type-$layers
            "$obj/tests/models/mkmodel" --cases "$here/cases.json" $type-$layers $d.gguf > log 2>&1 &&
                "$obj/sinter" build $d.gguf -t "$target" -o $d --name m > log 2>&1 &&
                make -s -C $d CC="$cc" CFLAGS=-O2 LDFLAGS=-static > log 2>&1 || { cat log; exit 1; }
            eval "decode_$layers=$(($(counted $d/m --ids "$(ids 8)" -n 5) - $(counted $d/m --ids "$(ids 8)" -n 4)))"
            eval "prefill_$layers=$(($(counted $d/m --ids "$(ids 64)" -n 1) - $(counted $d/m --ids "$(ids 32)" -n 1)))"
        done
        # shellcheck disable=SC2154 -- set by eval
        line="$line | $(((decode_3 - decode_2 + 500) / 1000)) | $(((prefill_3 - prefill_2 + 16000) / 32000))"
    done
    echo "$line |"
}

table() {
    types=$1
    echo "| target |$(printf ' %s: decode | prefill |' $types)"
    echo "|---|$(printf -- '---|---|%.0s' $types)"
    row portable "$arm" 'qemu-aarch64 -cpu max'
    row aarch64 "$arm" 'qemu-aarch64 -cpu max'
    row aarch64-dotprod "$arm" 'qemu-aarch64 -cpu max'
    row aarch64-i8mm "$arm" 'qemu-aarch64 -cpu max'
    row aarch64-sve2 "$arm" 'qemu-aarch64 -cpu max,sve-max-vq=1'
    row aarch64-sve "$arm" 'qemu-aarch64 -cpu max,sve-max-vq=2'
    row riscv64 "$riscv" qemu-riscv64
    row riscv64-v "$riscv" 'qemu-riscv64 -cpu rv64,v=true,vlen=128,vext_spec=v1.0'
}

arm=aarch64-linux-gnu-gcc riscv='clang --target=riscv64-linux-gnu'
table 'q4_0 q8_0'
echo
table 'q5_0 q4_K q5_K q6_K'
