#!/bin/sh
# Emitted programs against the recorded logits of cases.json.
#
#     tests/models/run.sh OBJ                every case, its target taken in turn from $TARGETS by the number of commits
#     FULL=1 tests/models/run.sh OBJ         every case on every target
#     CASES="a b" TARGETS="portable" ...     only these
#
# OBJ holds sinter and tests/models/{mkmodel,check_logits} (make check-models builds them).  For a case and a target:
#
#     mkmodel CASE            the file is, byte for byte, what the gguf package writes (truth/SHA256SUMS)
#     sinter build            with --act f32 --kv f32; then make, without a warning
#     --logits                of every recorded sequence as one prefill and --one-by-one, within 1e-4 of the truth
#     -j 1, 2, 3, 7           the same bytes
#
# Prints a line per failure, keeps the folders of failed cases, and ends with "N passed, N failed, N skipped".
set -u
obj=$1
here=$(dirname "$0")
bin=$obj/tests/models
sinter=$obj/sinter
cases=$here/cases.json

# One case on one target.  Prints FAIL lines; says "pass" or "fail" on the last line.
one() {
    name=$1 target=$2 dir=$work/$1-$2 bad=0
    mkdir -p "$dir"
    say() { bad=1; echo "FAIL $name on $target: $*"; }
    "$bin/mkmodel" --cases "$cases" "$name" "$dir/$name.gguf" || { say "mkmodel"; echo fail; return; }
    sum=$(sha256sum < "$dir/$name.gguf" | cut -d' ' -f1)
    grep -q "^$sum  $name.gguf\$" "$here/truth/SHA256SUMS" || say "the GGUF file is not what was recorded"
    if ! "$sinter" build "$dir/$name.gguf" -t "$target" -o "$dir/model" --act f32 --kv f32 > "$dir/build.log" 2>&1; then
        say "sinter build: $(tail -n 3 "$dir/build.log")"; echo fail; return
    fi
    if ! make -s -C "$dir/model" > "$dir/make.log" 2>&1; then
        say "make: $(grep -m 3 error "$dir/make.log")"; echo fail; return
    fi
    grep -q 'warning:' "$dir/make.log" && say "a warning: $(grep -m 1 'warning:' "$dir/make.log")"
    for n in $lengths; do
        "$bin/mkmodel" --cases "$cases" --ids "$n" "$name" > "$dir/ids.$n"
        for mode in prefill one-by-one; do
            out=$dir/$mode.$n flag=
            [ $mode = prefill ] || flag=--one-by-one
            for j in 1 2 3 7; do
                timeout 60 "$dir/model/model" --ids "@$dir/ids.$n" -n 0 --logits "$out.$j" -j $j $flag > "$dir/run.log" 2>&1 || {
                    say "$mode of $n tokens, -j $j: exit $? (124: still running after a minute): $(tail -n 2 "$dir/run.log")"
                    continue 2
                }
                cmp -s "$out.1" "$out.$j" || say "$mode of $n tokens: -j $j gives other logits than -j 1"
            done
            "$bin/check_logits" --cases "$cases" "$name" "$n" "$out.1" > "$dir/check.log" 2>&1 ||
                say "$mode: $(cat "$dir/check.log")"
            [ -z "${VERBOSE:-}" ] || echo "$target $mode: $(cat "$dir/check.log")"
        done
    done
    # The comparison itself: a logit moved by a hundredth must not pass.
    cp "$dir/prefill.1.1" "$dir/bent" 2> /dev/null && printf '\000\000\200\100' |
        dd of="$dir/bent" bs=1 seek=8 conv=notrunc 2> /dev/null
    "$bin/check_logits" --cases "$cases" "$name" 1 "$dir/bent" > /dev/null 2>&1 && say "check_logits accepts a wrong logit"
    [ $bad = 0 ] && rm -rf "$dir" && echo pass || echo fail
}

if [ "${2:-}" = --one ]; then
    work=$3 lengths=$4
    one "$5" "$6" > "$work/log.$5.$6" 2>&1
    exit 0
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/check-models.XXXXXX")
trap 'exit 1' INT TERM
lengths=$("$bin/mkmodel" --cases "$cases" --lengths | tr '\n' ' ')
turn=$(git -C "$here" rev-list --count HEAD 2> /dev/null || echo 0)
targets=${TARGETS:-portable native}
set -- $targets
n_targets=$#
for name in ${CASES:-$("$bin/mkmodel" --cases "$cases" --list | cut -d' ' -f1)}; do
    i=0
    for target in $targets; do
        [ -n "${FULL:-}" ] || [ $(((turn + i) % n_targets)) = 0 ] && echo "$name $target"
        i=$((i + 1))
    done
    turn=$((turn + 1))
done > "$work/plan"
xargs -P "${JOBS:-$(getconf _NPROCESSORS_ONLN)}" -L 1 "$here/run.sh" "$obj" --one "$work" "$lengths" < "$work/plan"

passed=0 failed=0
while read -r name target; do
    sed '$d' "$work/log.$name.$target"
    if [ "$(tail -n 1 "$work/log.$name.$target")" = pass ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
done < "$work/plan"
[ $failed = 0 ] && rm -rf "$work" || echo "what failed is in $work"
echo "$passed passed, $failed failed, 0 skipped"
[ $failed = 0 ] && [ $passed -gt 0 ]
