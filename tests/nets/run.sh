#!/bin/sh
# run.sh OBJ [MODEL]: networks of TensorFlow Lite as C.  Every recorded model (record_tflite.py's, and MLPerf Tiny's and TensorFlow Lite Micro's where
# they are) is built, compiled without a warning by each compiler, and run on its recorded inputs: the outputs' bytes must be the recorded ones
# (floats near them).  Its self-test passes; every stage computes what the interpreter does (sinter verify); the folder made again from its .sir is the same; nothing is read or written out of
# bounds.
#
# If this fails, an emitted program computes other numbers than TensorFlow Lite Micro, or does not compile.
obj=$(cd "$1" && pwd)
only=$2
data=${SINTER_DATA:-../shared}/models
work=$obj/nets
strict='-std=c99 -Wall -Wextra -Wpedantic -Wconversion -Werror'
passed=0 failed=0 skipped=0

fails()                 # WHAT FILE: says so, with the file's first lines
{
    failed=$((failed + 1))
    echo "nets: $1"
    [ ! -f "$2" ] || head -5 "$2" | sed 's/^/    /'
}

# The program of folder DIR, as compiled, on the inputs IN gives OUT.
gives()                 # DIR IN OUT WHAT
{
    if ! "$1/net" --in "$2" --out "$1.out" > "$1.log" 2>&1; then
        fails "$4: does not run" "$1.log"
    elif cmp -s "$1.out" "$3" || { grep -q '^#define net_OUTPUT.*f32' "$1/net.h" && "$obj/tests/nets/near" "$1.out" "$3" > "$1.log"; }; then
        passed=$((passed + 1))
    else
        fails "$4: other outputs than the recorded ones" "$1.log"
    fi
}

one()                   # MODEL IN OUT
{
    name=$(basename "$1" .tflite)
    [ -z "$only" ] || [ "$name" = "$only" ] || return 0
    if [ ! -f "$1" ]; then
        skipped=$((skipped + 1))
        return
    fi
    dir=$work/$name
    rm -rf "$dir" "$dir.again"
    if ! "$obj/sinter" build "$1" -t portable --name net -o "$dir" > "$dir.log" 2>&1; then
        if grep -q 'cannot be written as C yet\|operators* \(is\|are\) not supported' "$dir.log"; then
            skipped=$((skipped + 1))
        else
            fails "$name: is not built" "$dir.log"
        fi
        return
    fi
    for cc in gcc clang; do
        command -v $cc > /dev/null || { skipped=$((skipped + 1)); continue; }
        make -s -C "$dir" clean
        if make -s -C "$dir" CC=$cc CFLAGS="-O2 $strict" > "$dir.log" 2>&1; then
            gives "$dir" "$2" "$3" "$name, $cc"
        else
            fails "$name: $cc does not compile it without a warning" "$dir.log"
        fi
    done
    if "$dir/net" --selftest > "$dir.log" 2>&1; then passed=$((passed + 1)); else fails "$name: its self-test fails" "$dir.log"; fi
    make -s -C "$dir" clean
    if make -s -C "$dir" CC=gcc CFLAGS='-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all' > "$dir.log" 2>&1; then
        gives "$dir" "$2" "$3" "$name, under sanitizers"
    else
        fails "$name: does not compile with sanitizers" "$dir.log"
    fi
    make -s -C "$dir" clean
    if "$obj/sinter" verify "$dir" > "$dir.log" 2>&1; then passed=$((passed + 1)); else fails "$name: sinter verify" "$dir.log"; fi
    mkdir -p "$dir.again"
    if "$obj/sinter" build "$dir/net.sir" -t portable -o "$dir.again/net" > "$dir.log" 2>&1 && diff -r "$dir" "$dir.again/net" > "$dir.log"; then
        passed=$((passed + 1))
    else
        fails "$name: the folder from its .sir is another one" "$dir.log"
    fi
}

mkdir -p "$work"
for model in tests/models/tflite/*.tflite; do
    one "$model" "${model%.tflite}.in" "${model%.tflite}.out"
done
while read -r model name; do
    one "$data/$model.tflite" "$data/${model%/*}/$name.in" "$data/${model%/*}/$name.out"
done << END
mlperf-tiny/kws_ref_model kws
mlperf-tiny/ad01_int8 ad
mlperf-tiny/pretrainedResnet_quant ic
mlperf-tiny/vww_96_int8 vww
tflite-micro/hello_world_int8 hello_world_int8
tflite-micro/micro_speech_quantized micro_speech_quantized
tflite-micro/keyword_scrambled_8bit keyword_scrambled_8bit
tflite-micro/keyword_svdf_test keyword_svdf_test
END
# Random networks: their self-test compares with the interpreter; sanitizers see what is read or written elsewhere.
for seed in 1 2 3 4 5 6 7 8 9 10; do
    [ -z "$only" ] || break
    dir=$work/random_$seed
    rm -rf "$dir"
    tests/nets/random_net.py $seed > "$work/random.sir" || { skipped=$((skipped + 1)); continue; }
    if "$obj/sinter" build "$work/random.sir" -t portable --name net -o "$dir" > "$dir.log" 2>&1 &&
       make -s -C "$dir" CC=gcc CFLAGS='-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all' > "$dir.log" 2>&1 && "$dir/net" --selftest > "$dir.log" 2>&1; then
        passed=$((passed + 1))
    else
        fails "random network $seed: does not compute what the interpreter does" "$dir.log"
    fi
done
# A program whose weights are not the Module's is found out, by its self-test and stage by stage.
dir=$work/bent
rm -rf "$dir"
"$obj/sinter" build tests/models/tflite/conv_same.tflite -t portable --name net -o "$dir" > "$dir.log" 2>&1
awk '/_channels\[/ { at = 1 } at == 1 && /^    / { sub(/-?[0-9]+,/, "77777,"); at = 2 } { print }' "$dir/net_weights.c" > "$dir/bent.c"
mv "$dir/bent.c" "$dir/net_weights.c"
make -s -C "$dir" > "$dir.log" 2>&1
if "$dir/net" --selftest > "$dir.log" 2>&1; then fails 'bent weights pass the self-test'; else passed=$((passed + 1)); fi
if "$obj/sinter" verify "$dir" > "$dir.log" 2>&1 || ! grep -q 'conv_2d_0.* is the first stage that differs' "$dir.log"; then
    fails 'bent weights: verify does not name the stage' "$dir.log"
else
    passed=$((passed + 1))
fi
echo "nets: $passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
