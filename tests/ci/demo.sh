#!/bin/sh
# If this fails, the first thing that a newcomer types does not work.
#
#   demo.sh OBJ
#
# `make demo` with an empty cache and no network must say so, and let the sample model talk; with SmolLM2 in the cache it must let
# that talk.  Skipped: the latter, where the model is not in the cache.
set -u
obj=$1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
passed=0 failed=0 skipped=0
unset MAKEFLAGS MFLAGS

try() { # what, lines that must be in the output...; the output is in $work/out
    what=$1
    shift
    for line; do
        grep -q -- "$line" "$work/out" || {
            echo "FAIL $what: no line with '$line':"
            sed 's/^/    /' "$work/out" "$work/err"
            failed=$((failed + 1))
            return
        }
    done
    passed=$((passed + 1))
}
demo() { "${MAKE:-make}" --no-print-directory obj="$obj" demo > "$work/out" 2> "$work/err" < /dev/null || echo "exit $?" >> "$work/out"; }

SINTER_OFFLINE=1 XDG_CACHE_HOME=$work/cache demo
try "make demo without a network" 'NO NETWORK' 'story --chat -p' 'tokens, [0-9]* per second' 'plain C, in'
if tests/fetch.sh --cached smollm2 > /dev/null; then
    demo
    try "make demo" 'SmolLM2-135M-Instruct' 'smollm2 --chat -p' 'scatter' 'tokens, [0-9]* per second' 'plain C, in'
else
    skipped=$((skipped + 1))
    echo "skipped: SmolLM2 is not in the cache"
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
