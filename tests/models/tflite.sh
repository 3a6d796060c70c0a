#!/bin/sh
# tflite.sh PROGRAM: every recorded model of TensorFlow Lite through PROGRAM (tests/models/tflite.c): our own small ones (record_tflite.py), and
# those of MLPerf Tiny and TensorFlow Lite Micro under $SINTER_DATA/models, default ../shared, where they are.
program=$1
data=${SINTER_DATA:-../shared}/models
passed=0 failed=0 skipped=0

one()                   # MODEL INPUT OUTPUT
{
    if [ ! -f "$1" ]; then
        skipped=$((skipped + 1))
    elif out=$("$program" "$1" "$2" "$3" 2>&1); then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "$out"
    fi
}

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
tflite-micro/keyword_scrambled_8bit keyword_scrambled_8bit
tflite-micro/keyword_svdf_test keyword_svdf_test
tflite-micro/micro_speech_quantized micro_speech_quantized
END
echo "tflite: $passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
