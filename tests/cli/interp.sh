#!/bin/sh
# If this fails, the meaning of a model is wrong: the interpreter on the Module that arch makes, against recorded truth.
#
#     tests/cli/interp.sh OBJ         every case of tests/models/cases.json, at once, token by token, and 5 tokens per call
set -u
obj=$1
here=$(dirname "$0")/../models
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
passed=0 failed=0
for name in $(sed -n 's/.*"name": "\([^"]*\)".*/\1/p' "$here/cases.json"); do
    bad=0
    "$obj/tests/models/mkmodel" --cases "$here/cases.json" "$name" "$work/m.gguf" || bad=1
    for n in $(sed -n 's/.*"lengths": \[\([^]]*\)\].*/\1/p' "$here/cases.json" | tr -d ,); do
        "$obj/tests/models/mkmodel" --cases "$here/cases.json" --ids "$n" "$name" > "$work/ids" || bad=1
        for step in 0 1 5; do
            "$obj/tests/cli/interp_logits" "$work/m.gguf" "$work/ids" "$work/out" $step 2> "$work/log" &&
                "$obj/tests/models/check_logits" --cases "$here/cases.json" "$name" "$n" "$work/out" > "$work/log" 2>&1 ||
                { bad=1; echo "FAIL $name, $n tokens, $step per call: $(cat "$work/log")"; }
        done
    done
    [ $bad = 0 ] && passed=$((passed + 1)) || failed=$((failed + 1))
done
echo "$passed passed, $failed failed, 0 skipped"
[ $failed = 0 ] && [ $passed -gt 0 ]
