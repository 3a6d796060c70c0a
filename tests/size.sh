#!/bin/sh
# What an emitted library adds to a program: bytes of code and of constant tables, per file of the library.
#
#   size.sh SINTER WORK [MODEL]         default: SmolLM2 where the cache has it (tests/fetch.sh), else the sample model
#
# Counted are the sections .text* and .rodata* of the members that a program using the whole API links (all of them).  A library of more
# than 96 KB is a failure.
set -u
sinter=$1 work=$2
model=${3:-$("$(dirname "$0")/fetch.sh" --cached smollm2 || echo samples/model/story.gguf)}

mkdir -p "$work" || exit 1
most=98304
for target in native portable; do
    "$sinter" build "$model" -t $target -o "$work/model" > "$work/log" 2>&1 &&
        make -s -C "$work/model" > "$work/log" 2>&1 || { cat "$work/log"; exit 1; }
    echo "$(basename "$model"), $target:"
    size -A "$work/model/libmodel.a" | awk -v most=$most '
        / : *$|\(ex / { file = $1 }
        $1 ~ /^\.text/ { code += $2; c[file] += $2 }
        $1 ~ /^\.rodata/ { table += $2; t[file] += $2 }
        { if (file != "" && !(file in seen)) { seen[file] = 1; order[++n] = file } }
        END {
            for (i = 1; i <= n; i++) printf "  %-24s %8d code %8d tables\n", order[i], c[order[i]], t[order[i]]
            printf "  %-24s %8d code %8d tables, together %d bytes, of at most %d\n", "all", code, table, code + table, most
            exit code + table > most
        }' || { echo "the library is too large"; exit 1; }
done
