#!/bin/sh
# golden.sh TEXT_TOOL GOLDEN FOLDER...: the text layer against every recorded tokenization and rendering in GOLDEN whose model
# file is found in one of the folders (its name is in the recording).  Fails if one differs; names what it skips.
tool=$1 golden=$2
shift 2
passed=0 failed=0 skipped=0

find_file() {
    name=$1
    shift
    for folder; do
        [ -f "$folder/$name" ] && echo "$folder/$name" && return
    done
}

try() { if "$tool" "$@" 2>&1; then passed=$((passed + 1)); else failed=$((failed + 1)); fi; }

for pair in smollm2-135m-instruct-q4_1:SmolLM2-135M-Instruct.Q4_1.gguf vocab-gpt-2:ggml-vocab-gpt-2.gguf \
            vocab-llama-bpe:ggml-vocab-llama-bpe.gguf vocab-qwen2:ggml-vocab-qwen2.gguf \
            vocab-llama-spm:ggml-vocab-llama-spm.gguf vocab-phi-3:ggml-vocab-phi-3.gguf \
            gemma-3-270m-q4_k_m:gemma-3-270m-q4_k_m.gguf; do
    record=$golden/tok-${pair%%:*}.json
    model=$(find_file "${pair#*:}" "$@")
    if [ ! -f "$record" ] || [ -z "$model" ]; then
        echo "skipped: tok-${pair%%:*} (${pair#*:} or its recording is not here)"
        skipped=$((skipped + 1))
        continue
    fi
    try golden "$record" "$model"
    if [ "${pair%%:*}" = smollm2-135m-instruct-q4_1 ] && [ -f "$golden/chat-smollm2.json" ]; then
        try chat "$golden/chat-smollm2.json" "$model"
        try long "$model"
    fi
done
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
