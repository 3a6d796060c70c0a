#!/bin/sh
# If this fails, firmware does not get as far as the model on some board: vectors, units, stack, variables, or the linker script are wrong.
#
#     tests/firmware/start.sh OBJ [--all]       three boards with gcc; --all: every board of sinter's, gcc and clang
#
# One program (start.c) in the folder that sinter writes for a board.  What QEMU has runs; the others are linked.
set -u
obj=$(cd "$1" && pwd) || exit 1
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/start.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
cd "$work" || exit 1
boards="mps2-an386 mps3-an547 riscv-virt" compilers=gcc
if [ "${2-}" = --all ]; then
    boards=$("$obj/sinter" targets --json | python3 -c 'import json,sys; print(*[t["name"] for t in json.load(sys.stdin)["targets"] if "board" in t])')
    compilers="gcc clang"
fi

# run BOARD COMPILER WORDS STATUS
run() {
    (cd "$dir" && timeout 20 $command start.elf -append "$3" > out 2>&1)
    status=$?
    if [ "$status" = "$4" ]; then ok; else bad "$1 $2 '$3': status $status, not $4"; cat "$dir/out"; fi
}

for board in $boards; do
    family=$(family "$board") command=$(command_of "$board")
    for compiler in $compilers; do
        dir=$board-$compiler
        mkdir "$dir" && "$obj/tests/firmware/mkboard" "$board" "$dir" start start_weights.c || { bad "$board: no folder"; continue; }
        cp "$here/start.c" "$dir/main.c" && cp "$here/start_weights.c" "$dir"
        build "$dir" "$compiler" "$family" CFLAGS="-Werror -Wconversion"
        case $? in
        0) ;;
        77) skip "$board: no $compiler for $family"; continue ;;
        *) bad "$board $compiler: does not build"; cat "$dir/log"; continue ;;
        esac
        [ -s "$dir/start.bin" ] && ok || bad "$board $compiler: start.bin is empty"
        [ -z "$command" ] && continue
        has "$(emulator "$family")" || { skip "$board: no $(emulator "$family")"; continue; }
        run "$board" "$compiler" "a b" 0
        grep -qx 'started -2147483648' "$dir/out" && ok || bad "$board $compiler: said $(cat "$dir/out")"
        # shellcheck disable=SC2086 -- $command is a command with its options
        counts=$(cd "$dir" && "$here/count.sh" "$obj/tests/firmware/icount.so" start.elf counted $command)
        [ "$counts" = "2 204 1 2" ] && ok || bad "$board $compiler: 'counted' took '$counts', not '2 204 1 2' (calls, instructions, loads, stores)"
        # Where RAM follows RAM below the stack nothing tells.
        [ "$family" != cortex-m ] || run "$board" "$compiler" overflow 99
    done
done
finish
