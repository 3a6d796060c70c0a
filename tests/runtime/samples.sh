#!/bin/sh
# The samples build and run with an emitted model.    samples.sh SINTER WORK-FOLDER SAMPLES-FOLDER
sinter=$(realpath "$1") work=$2 samples=$(realpath "$3")
passed=0 failed=0 skipped=0
rm -rf "$work" && mkdir -p "$work" && cp -R "$samples" "$work/samples" && cd "$work" || exit 1
work=$PWD

# expect WHAT STRING COMMAND...: exit 0, and the string (if any) is on stdout
expect() {
    what=$1 want=$2
    shift 2
    if "$@" >out 2>err </dev/null && { [ -z "$want" ] || grep -qF -e "$want" out; }
    then passed=$((passed + 1))
    else failed=$((failed + 1)); echo "FAILED: $what"; sed 's/^/    /' err out | tail -20
    fi
}

expect "build a model" "" "$sinter" build samples/model/story.gguf -t portable -o story
expect "build another" "" "$sinter" build samples/model/story.gguf -t portable --act f32 -o other
for s in chat two-conversations two-models pkg-config; do
    expect "make $s" "" make -s -C samples/$s DIR=../../story DIR2=../../other CFLAGS="-O1 -Wall -Wextra -Werror"
done
if command -v cmake >/dev/null; then expect "make cmake" "" make -s -C samples/cmake DIR=../../story
else skipped=$((skipped + 1)); echo "skipped: cmake is not installed"; fi

# What the library brings into a program, and what it calls: no name but story_*, no memory, no output, no exit.
make -s -C story
nm -g --defined-only story/libstory.a | awk 'NF == 3 && $3 !~ /^story_/' >out
nm -u story/libstory.a | grep -wE 'malloc|calloc|realloc|free|exit|abort|f?printf|puts|f?write|setlocale|signal' >err
if [ -s out ] || [ -s err ]; then failed=$((failed + 1)); echo "FAILED: libstory.a"; cat out err; else passed=$((passed + 1)); fi

story/story -p "Once upon a time" -n 64 >want 2>/dev/null
head -c 60 want >begin
expect "pkg-config program" "$(head -1 begin)" samples/pkg-config/build/complete story/story.weights "Once upon a time"
[ -x samples/cmake/build/complete ] &&
    expect "cmake program" "$(head -1 begin)" samples/cmake/build/complete story/story.weights "Once upon a time"
expect "two conversations" "Once upon a time$(head -1 begin)" samples/two-conversations/build/talk story/story.weights
samples/two-conversations/build/talk story/story.weights >again 2>/dev/null
if cmp -s again out; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: two conversations write the same each time"; fi
expect "two models" "--- story: Once upon a time$(head -1 begin)" samples/two-models/build/both story/story.weights other/other.weights
grep -q '^--- other: Once upon a time.' out && passed=$((passed + 1)) || { failed=$((failed + 1)); echo "FAILED: the other model is silent"; }

# A conversation: an answer, an undo, the same question again.
printf 'Who are you?\n/undo\nWho are you?\n/exit\n' | samples/chat/build/chat story/story.weights >out 2>err
if [ $? = 0 ] && [ "$(wc -w <out)" -gt 4 ] && grep -q '(0 messages left)' err; then passed=$((passed + 1))
else failed=$((failed + 1)); echo "FAILED: chat"; cat err out; fi

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
