#!/bin/sh
# Does this tree's sinter emit the same bytes as another commit's?
#
#   same_output.sh OBJ REF          OBJ holds sinter (make same-output REF=main)
#
# REF's sources are built in OBJ/same-output/src; both compile the sample model and the cases of tests/models in several ways, for
# every target, and the folders are compared byte for byte.
# The last line is "N passed, N failed, N skipped"; a folder that REF cannot build is skipped.
set -u
obj=$1 ref=$2
work=$obj/same-output
unset MAKEFLAGS MFLAGS

commit=$(git rev-parse --verify "$ref^{commit}") || exit 1
rm -rf "$work"
mkdir -p "$work/src" || exit 1
git archive "$commit" | tar -x -C "$work/src" || exit 1
"${MAKE:-make}" -s -j"$(getconf _NPROCESSORS_ONLN)" -C "$work/src" obj=build all > "$work/log" 2>&1 || { tail "$work/log"; exit 1; }
"${MAKE:-make}" -s obj="$obj" "$obj/tests/models/mkmodel" || exit 1

cp samples/model/story.gguf "$work/story.gguf"
for name in gqa3-q4_1 odd-f16 yarn-q8_0; do
    "$obj/tests/models/mkmodel" --cases tests/models/cases.json $name "$work/$name.gguf" || exit 1
done

passed=0 failed=0 skipped=0
both() { # what, then the arguments of both
    what=$1
    shift
    rm -rf "$work/ours" "$work/theirs"
    mkdir "$work/ours" "$work/theirs"
    if ! "$work/src/build/sinter" build "$@" -o "$work/theirs/model" > "$work/log" 2>&1; then
        skipped=$((skipped + 1))
        echo "skipped $what: $ref does not build it"
    elif ! "$obj/sinter" build "$@" -o "$work/ours/model" > "$work/log" 2>&1; then
        failed=$((failed + 1))
        echo "FAIL $what: $(tail -n 1 "$work/log")"
    elif ! diff -rq "$work/theirs/model" "$work/ours/model" > "$work/log"; then
        failed=$((failed + 1))
        echo "DIFFERS $what:"
        sed 's/^/    /' "$work/log"
    else
        passed=$((passed + 1))
    fi
}
for model in "$work"/*.gguf; do
    for target in portable x86_64-v3,x86_64-v4 aarch64,aarch64-dotprod riscv64; do
        both "$(basename "$model") for $target" "$model" -t $target
    done
    both "$(basename "$model") --act f32 --kv f32" "$model" -t portable --act f32 --kv f32
done
[ $failed = 0 ] && rm -rf "$work"
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ] && [ $passed != 0 ]
