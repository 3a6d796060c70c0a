#!/bin/sh
# If this fails, a language model on a microcontroller says something else than on a desk, or takes more memory than it has.
#
#     tests/firmware/tokens.sh OBJ [--all]        the sample models on two boards with gcc; --all: on five, gcc and clang
#
# It goes on from a prompt, from weights in flash in 8 and in 4 bits, and must choose the tokens of `-t portable` on the machine that runs the test.
set -u
obj=$(cd "$1" && pwd) || exit 1
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"
story=$here/../../samples/model/story.gguf pocket=$here/../../samples/pocket/pocket.gguf
work=$(mktemp -d "${TMPDIR:-/tmp}/tokens.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
cd "$work" || exit 1
boards="mps2-an386 mps3-an547" compilers=gcc
[ "${2-}" != --all ] || { boards="mps2-an385 mps2-an386 mps2-an500 mps2-an505 mps3-an547" compilers="gcc clang"; }
prompt="Once upon a time there was" n_tokens=24 ram=$((512 * 1024))

# How many bytes a section of the program has.
section() { size -A "$dir/story.elf" | awk -v name="$1" '$1 == name { print $2 }'; }

# The pocket model has ternary weights, and rounding what it has in 8 bits to 8 bits changes nothing.
for quant in q8_0 q4_0 pocket; do
    case $quant in pocket) model=$pocket quant=q8_0 name=pocket ctx=128 ;; *) model=$story name=$quant ctx=256 ;; esac
    "$obj/sinter" build "$model" -t portable --quant $quant --ctx $ctx --name story -o host 2> log && make -s -C host CFLAGS=-O1 >> log 2>&1 ||
        { bad "$name: no program for this machine"; cat log; continue; }
    ids=$(host/story -p "$prompt" --tokenize | tr ' ' ,)
    host/story --ids "$ids" -n $n_tokens --print-ids > want
    host/story -p "$prompt" -n $n_tokens > text
    for board in $boards; do
        command=$(command_of "$board")
        for compiler in $compilers; do
            dir=$name-$board-$compiler
            "$obj/sinter" build "$model" -t "$board" --quant $quant --ctx $ctx --exact --name story -o "$dir" 2> log || { bad "$dir: no folder"; cat log; continue; }
            build "$dir" "$compiler" cortex-m CFLAGS=-Werror
            case $? in
            0) ;;
            77) skip "$board: no $compiler"; continue ;;
            *) bad "$dir: does not build"; cat "$dir/log"; continue ;;
            esac
            used=$(($(section .data) + $(section .bss) + $(section .stack)))
            [ $used -le $ram ] && ok || bad "$dir: $used bytes of RAM, not $ram at most"
            [ "$(section .weights)" = "$(wc -c < "$dir/story.weights")" ] && ok || bad "$dir: the weights are not in flash"
            has qemu-system-arm || { skip "$board: no qemu-system-arm"; continue; }
            # shellcheck disable=SC2086 -- $command is a command with its options
            $command "$dir/story.elf" -append "-n $n_tokens --print-ids --ids $ids" > "$dir/have" 2>&1 && cmp -s want "$dir/have" && ok ||
                { bad "$dir: other tokens"; cat want "$dir/have"; }
            # shellcheck disable=SC2086
            $command "$dir/story.elf" -append "-n $n_tokens -p $prompt" > "$dir/have" 2>&1 && cmp -s text "$dir/have" && ok ||
                { bad "$dir: other text"; cat text "$dir/have"; }
            # shellcheck disable=SC2086
            $command "$dir/story.elf" -append "--ids 1,9999" > "$dir/have" 2>&1
            [ $? = 2 ] && grep -q 'out of its range\|out of range' "$dir/have" && ok || { bad "$dir: takes a token that does not exist"; cat "$dir/have"; }
        done
    done
done
finish
