#!/bin/sh
# If this fails, a kernel for a microcontroller computes something else than its portable twin, for some shape of layer.
#
#     tests/firmware/kernels.sh OBJ [--all]      a board for each instruction set, gcc; --all: every core, gcc and clang, other layers
set -u
obj=$(cd "$1" && pwd) || exit 1
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
. "$here/lib.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/kernels.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
cd "$work" || exit 1
boards="dsp:mps2-an386 mve:mps3-an547" compilers=gcc seeds=1 cases=60
if [ "${2-}" = --all ]; then
    boards="dsp:mps2-an386 dsp:mps2-an500 dsp:mps2-an505 mve:mps3-an547" compilers="gcc clang" seeds="2 3" cases=200
fi
"$obj/tools/kernel_reader" "$root/runtime/kernels" --list > list || { bad "kernels cannot be read"; finish; exit 1; }

unit_file() { case $1 in dsp) echo armv7em_dsp.c ;; mve) echo armv81m_mve.c ;; esac; }

for pair in $boards; do
    unit=${pair%%:*} board=${pair#*:}
    grep -q "^$unit " list || { skip "$unit: no kernels"; continue; }
    family=$(family "$board") command=$(command_of "$board")
    has "$(emulator "$family")" || { skip "$board: no $(emulator "$family")"; continue; }
    for compiler in $compilers; do
        dir=$board-$compiler
        mkdir "$dir" && "$obj/tests/firmware/mkboard" "$board" "$dir" kernels || { bad "$board: no folder"; continue; }
        sed -n "s/^$unit \(sn_[a-z0-9_]*\) .*op=\([a-z0-9_]*\).*isa=$unit[, ].*/{ \"\1\", \"\2\", (Fn)\1 },/p" list > "$dir/table.inc"
        sed -n -e "s/^$unit \(sn_dot_[a-z0-9_]*_q8\)_$unit op=dot,.*/ONE(\1_$unit, \1_portable)/p" \
            -e "s/^$unit \(sn_dot4_[a-z0-9_]*_q8\)_$unit op=dot,.*/FOUR(\1_$unit, \1_portable)/p" list > "$dir/dots.inc"
        printf '#define KERNEL_UNIT "%s"\n#define KERNEL_TABLE "table.inc"\n#include "tests/firmware/kernels.c"\n' "runtime/kernels/$(unit_file "$unit")" > "$dir/main.c"
        # clang 14 makes loops with VCVT.F32.S32 q, q, #24 of plain C's halves below 2^-14, of which QEMU 7.2 makes other numbers than scalar code does
        plain=
        [ "$compiler" = gcc ] || plain="-fno-vectorize -fno-slp-vectorize"
        build "$dir" "$compiler" "$family" STACK=16384 CFLAGS="-O2 -Werror -I. -I$root -I$here -Wno-unused-function $plain"
        case $? in
        0) ;;
        2) skip "$board: no $compiler for $family"; continue ;;
        *) bad "$board $compiler: does not build"; cat "$dir/log"; continue ;;
        esac
        for seed in $seeds; do
            "$obj/tests/firmware/kernel_cases" list "$unit" "$seed" "$cases" > "$dir/cases" || { bad "$unit: no cases"; continue; }
            if (cd "$dir" && timeout 300 $command kernels.elf > out 2>&1); then ok; else bad "$board $compiler, seed $seed"; tail -12 "$dir/out"; fi
        done
    done
done
finish
