#!/bin/sh
# The C that sinter writes for the sample model, committed: a change of a writer is reviewed by reading what it now writes.
#
#   emitted.sh SINTER            compares tests/golden/emitted with what SINTER writes
#   emitted.sh SINTER bless      replaces it
#
# Left out of the comparison: the size and digest of the weights file, which follow the Unicode tables of the machine's utf8proc.
set -u
cd "$(dirname "$0")/../.." || exit 1
sinter=$1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
passed=0 failed=0

"$sinter" build samples/model/story.gguf -t x86_64,x86_64-v4 --name story -o "$work/story" || exit 1
for f in story.c story_x86_64.c story_x86_64_v4.c Makefile; do
    sed -e '/\.digest = /d' -e '/\.weights_bytes = /d' -e 's/^ \* weights  [0-9]* B/ * weights/' "$work/story/$f" > "$work/have"
    if [ "${2-}" = bless ]; then
        mkdir -p tests/golden/emitted && cp "$work/have" "tests/golden/emitted/$f"
    elif diff -u "tests/golden/emitted/$f" "$work/have"; then
        passed=$((passed + 1))
    else
        echo "FAIL $f is no longer what it was (make bless, then read the difference)"
        failed=$((failed + 1))
    fi
done
echo "$passed passed, $failed failed, 0 skipped"
[ $failed = 0 ]
