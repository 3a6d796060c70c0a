#!/bin/sh
# If this fails, the command line breaks its contract: other people's scripts hold on to exit codes, messages and JSON.
#
#     tests/cli/cli.sh OBJ       OBJ holds sinter and tests/models/mkmodel
#
# Ends with "N passed, N failed, N skipped".
set -u
obj=$(cd "$1" && pwd) || exit 1
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
passed=0 failed=0 skipped=0
cd "$work" || exit 1
export XDG_CACHE_HOME="$work/cache"

good() { passed=$((passed + 1)); }
bad() { failed=$((failed + 1)); echo "FAIL $*"; sed 's/^/     | /' err | head -n 5; }

# want STATUS PATTERN ARGS...   runs sinter; the exit status and, on standard error, the pattern ("": nothing but notes)
want() {
    status=$1 pattern=$2
    shift 2
    "$obj/sinter" "$@" > out 2> err
    got=$?
    if [ $got != "$status" ]; then
        bad "sinter $*: exit $got, not $status"
    elif [ -z "$pattern" ] && grep -v '^sinter: note: ' err > /dev/null; then
        bad "sinter $*: something on standard error"
    elif [ -n "$pattern" ] && ! grep -q -e "$pattern" err; then
        bad "sinter $*: no '$pattern'"
    else
        good
    fi
}

# says PATTERN   standard output of the last command has it
says() { if grep -q -e "$1" out; then good; else bad "standard output has no '$1'"; fi; }
# that DESCRIPTION COMMAND...   holds
that() { what=$1; shift; if "$@" > /dev/null 2>&1; then good; else bad "$what"; fi; }
json() { if python3 -c 'import json, sys; assert json.load(open("out"))["schema"] == 1' 2> err; then good; else bad "$1: no valid JSON"; fi; }

# ---- help and usage ----------------------------------------------------------------------------------------------------
want 2 'Usage:'
want 0 '' --version
says '^sinter [0-9]'
want 0 '' help
says 'sinter build'
for c in build run inspect opt verify bench targets explore explain eval quantize help; do
    want 0 '' help $c
    says "Usage: sinter $c"
    want 0 '' $c --help
    says "Usage: sinter $c"
done
for c in explore eval quantize; do
    want 1 "sinter $c. is not there yet" $c x.gguf -t native
done
want 2 "there is no command 'bild'; did you mean 'build'" bild m.gguf
want 2 "there is no command 'bild'; did you mean 'build'" help bild
want 2 "unknown option '--taget'; did you mean '--target'" build m.gguf --taget x86_64
want 2 "unknown option '-Q'" build m.gguf -Q
want 2 "did you mean 'x86_64-v4'" build m.gguf -t x86_64-v44
want 2 "'--kv\|--kv: 'f64'" build m.gguf --kv f64
want 2 "'-prolog': takes default, none, or names.*did you mean 'prologue'" build m.gguf --fuse -prolog
want 2 "'epilogue,,rows': takes" build m.gguf --fuse epilogue,,rows
want 2 'needs a value' build m.gguf -t
want 2 'i8 is for prompts' build m.gguf --act i8
want 2 'no model' build
want 2 "unexpected argument 'b.gguf'" build a.gguf b.gguf
want 2 'too few arguments' verify
want 2 'too few arguments' run
want 2 'whole number from 1' bench . --runs 0
want 2 'takes plain, cmake, arduino or zephyr' build m.gguf --project esp-idf
want 2 'takes q8_0 or q4_0' build m.gguf --quant q4_K
for o in '--prune heads' '--kernels k' '--calib-data f' '--emit opencl' '--emit metal' \
    '--act prefill=bf16,decode=q8' '--kv q8'; do
    want 1 'not there yet' build m.gguf $o
done

# ---- targets -----------------------------------------------------------------------------------------------------------
want 0 '' targets
says '^x86_64-v4 .*avx512vnni'
says '^native'
want 0 '' targets --json
json 'targets --json'
for t in portable x86_64 x86_64-v3 x86_64-v4 x86_64-v4-amx native aarch64 aarch64-dotprod riscv64; do
    want 0 '' targets $t
    says '^features: \['
    cp out $t.yaml
    want 0 '' targets ./$t.yaml --json
    json "targets $t.yaml"
done
want 1 "did you mean 'riscv64'" targets riscv46
printf 'name: x\nfamily: x86_64\nisa: [avx2, portable]\ncash: {}\n' > wrong.yaml
want 1 "wrong.yaml:4:1: unknown key 'cash' (did you mean 'cache'?)" targets wrong.yaml
want 1 'missing.yaml' targets missing.yaml

# ---- building ----------------------------------------------------------------------------------------------------------
"$obj/tests/models/mkmodel" --cases "$here/../models/cases.json" gqa2-f32 "$work/m.gguf" || bad mkmodel
want 0 '' build m.gguf -t portable -o first -MD
that 'the folder has no manifest' test -s first/manifest.json
that 'make cannot read the depfile' make -n -f first.d first/manifest.json
that 'the depfile does not name the model' grep -q 'm\.gguf' first.d
want 0 '' build m.gguf -t portable -o 'b b/first' -MF 'b b.d'
that 'two builds of one model differ' diff -r first 'b b/first'
that 'the depfile does not escape blanks' grep -q 'b\\ b/first/manifest.json:' 'b b.d'
want 0 '' build first/first.sir -o again/first
that 'a build of NAME.sir differs' diff -r first again/first
want 0 '' build m.gguf -t portable --emit ir -o m.sir
want 0 '' build m.sir -t portable -o fromir/first
that 'a build of --emit ir has other weights' cmp first/first.weights fromir/first/first.weights
cp "$here/../../samples/model/story.gguf" .
want 0 '' build story.gguf -t portable -o story
want 0 '' build story.gguf -t portable --emit ir --name story -o text.sir
want 0 '' build text.sir -t portable -o fromir/story
that 'a build of --emit ir has no tokenizer, or another' diff -r story fromir/story
want 0 '' build m.gguf --emit ir
says '^func @main'
want 0 '' build m.gguf -t portable --dry-run -o dry
says '^weights file'
that '--dry-run wrote a folder' test ! -e dry
want 0 '# after fuse' build m.gguf -t portable --print-after fuse --dry-run
want 3 'over budget: the weights file has' build m.gguf -t portable --max-flash 1K -o big
want 3 'over budget: a session needs' build m.gguf -t portable --max-ram 1000 -o big
that 'an over-budget build wrote a folder' test ! -e big
# A network: sizes are those of its memory and its weights; of a board also code and stack, where its compiler is there.
cp "$here/../models/tflite/conv_same.tflite" net.tflite
want 0 '' build net.tflite -t portable --dry-run -o dry
says '^memory .* bytes, inputs and outputs among them'
says "^most is needed by '"
that '--dry-run of a network wrote a folder' test ! -e dry
want 3 "over budget: memory alone needs [0-9]* bytes of RAM, --max-ram allows 8 ([0-9]* too many; most is needed by '.*the stack is not in it" build net.tflite -t portable --max-ram 8 -o big
want 3 "over budget: weights alone need [0-9]* bytes of flash, --max-flash allows 8 .*of '" build net.tflite -t portable --max-flash 8 -o big
that 'an over-budget build of a network wrote a folder' test ! -e big
want 0 'the budgets were compared with memory and weights alone' build net.tflite -t portable --max-ram 1M -o net
want 0 '' explain net
says '^  memory: [0-9 ]* B, inputs and outputs in it'
says 'sn_im2col.* + sn_dot'
want 0 '' explain net --json
says '"memory_bytes": [0-9]'
want 2 'of one stage there is no more to say' explain net conv_2d_0
if command -v arm-none-eabi-gcc > /dev/null; then
    want 0 '' build net.tflite -t mps2-an386 --dry-run -o dry
    says '^stack .* bytes: .*_run [0-9]'
    says '^RAM '
    says '^flash '
    want 3 'over budget: memory of [0-9]* and stack of [0-9]* need' build net.tflite -t mps2-an386 --max-ram 64 -o big
    want 0 '' build net.tflite -t mps2-an386 --max-ram 64K --max-flash 64K -o board
    that 'what a budget was measured with is still there' test ! -e board/board.elf
fi
want 1 'nothing.gguf' build nothing.gguf -o failed
want 1 'standard input cannot be mapped' build - -o failed
want 1 'standard input cannot be mapped' build -f -
python3 - << 'END'
import struct
text = lambda s: struct.pack('<Q', len(s)) + s.encode()
kv = lambda key, value: text(key) + struct.pack('<I', 8) + text(value)
open('words.gguf', 'wb').write(b'GGUF' + struct.pack('<IQQ', 3, 0, 3) + kv('general.architecture', 'llama') +
                               kv('tokenizer.ggml.model', 'pigeon') + text('tokenizer.ggml.tokens') +
                               struct.pack('<IIQ', 9, 8, 2) + text('coo') + text('roo'))
END
want 0 "its tokenizer is of kind 'pigeon'.*no tensors either, so the program can do nothing" build words.gguf --dry-run
head -c 3000 m.gguf > cut.gguf
want 1 'cut.gguf' build cut.gguf -o failed
that 'a failed build left something' sh -c '! ls -d failed* 2> /dev/null'
mkdir foreign && echo mine > foreign/file
want 1 'foreign' build m.gguf -t portable -o foreign
that 'a foreign folder was touched' grep -q mine foreign/file
cp -r first old
want 1 'cut.gguf' build cut.gguf -t portable -o old
that 'a failed build changed the old folder' diff -r first old

# ---- explaining ---------------------------------------------------------------------------------------------------------
want 0 '' explain story
says '^  total: 22 stages, 5 in each of 4 layers'
says 'speed: unknown'
says '^    ffn_gate_up .* norm, quantize to q8 -> ffn_gate 384x128 + ffn_up 384x128 of q8_0 -> silu, mul, quantize to q8$'
want 0 '' explain story --json
json 'explain --json'
# what the table says of weights: their sum is what decoding reads, and what the manifest says
weights() {
    python3 -c 'import json, sys
d, per_token = json.load(open(sys.argv[1])), json.load(open(sys.argv[2]))["bytes_per_token"]
e = d["entries"][0]
stages = [(b["times"], s) for b in e["blocks"] for s in b["stages"]]
assert e["name"] == "decode" and sum(n * s["weight_bytes"] for n, s in stages) == e["weight_bytes"] == per_token
assert sum(n for n, s in stages) == e["stages"] and sum(n * s["n_ops"] for n, s in stages) == e["stages_unfused"]' "$1" "$2"
}
cp out story.json
that 'explain: the sum of the weights is another than the manifest says' weights story.json story/manifest.json
for s in $(python3 -c 'import json
print(*{x for e in json.load(open("story.json"))["entries"] for b in e["blocks"] for s in b["stages"] for x in (s["stage"], s["c_name"])})'); do
    want 0 '' explain story "$s"
    says '^why it is so'
    want 0 '' explain story "$s" --json
    json "explain story $s"
done
want 0 '' explain story decode_layer_ffn_gate_up
says 'ffn_gate and ffn_up meet in one op behind them.*their tiles lie in turns'
says 'sn_dot_i8g32_r32k4_q8_portable'
says '8.50 bits per weight'
want 0 '' explain story prefill_layer_attn_q_k_v
says 'made by stage attn_norm, not here: it has up to 256 rows'
want 1 "no stage 'ffn_gate'; did you mean 'ffn_down'\|no stage 'ffn_gate'.*it has embd, logits" explain story ffn_gate
want 1 "no stage 'atention'; did you mean 'attention'" explain story atention
want 1 'is not a folder that' explain foreign
want 1 'is not a folder that' explain nowhere
want 2 'too few arguments' explain
want 0 '' build story.gguf -t portable -o unfused/story --fuse none
want 0 '' explain unfused/story --json
that 'explain: --fuse none gives other stages than it says' python3 -c 'import json
a, b = json.load(open("story.json")), json.load(open("out"))
assert b["fuse"] == "none" and [e["stages_unfused"] for e in a["entries"]] == [e["stages"] for e in b["entries"]]'
want 0 '' build story.gguf -t aarch64-dotprod,aarch64 -o arm --fuse -prologue
want 0 '' explain arm
says '^  fusing    epilogue,siblings,rows$'
says 'modelled for aarch64-dotprod with .* tokens per second'
want 0 '' explain arm attn_q_k_v
says '^kernels of aarch64$'
says 'made with --fuse epilogue,siblings,rows'
cp -r story edited && sed 's/kind="row", stage="embd"/kind="contract", stage="embd"/' story/story.sir > edited/story.sir
want 1 "stage 'embd': is of kind 'contract'" explain edited
for edit in 's/span\.0=128/span.0=2032/|span.0' 's/span\.0=128/span.0=0/|span.0' 's/\(target.0.prefetch" =\) 8192/\1 -64/|target.0.prefetch' \
    's/\(target.0.prefetch" =\) 8192/\1 9223372036854775807/|target.0.prefetch'; do
    sed "${edit%|*}" story/story.sir > edited/story.sir
    want 1 "'${edit#*|}' is .*, not a multiple of" explain edited
done

# ---- a project ----------------------------------------------------------------------------------------------------------
sum=$("$obj/sinter" inspect m.gguf --json | python3 -c 'import json, sys; print(json.load(sys.stdin).get("digest", ""))' 2> err)
printf 'model: m.gguf\ndigest: %s\nname: both\nout: proj\ntargets: [portable, {target: "x86_64,x86_64-v3", out: set}]\noptions: {act: f32, kv: f32, ctx: 64}\nbudgets: {ram: 9M}\n' \
    "${sum:-00000000000000000000000000000000}" > sinter.yaml
if [ -n "$sum" ]; then
    want 0 '' build -f sinter.yaml -MD
    that 'a project builds no folder per target' test -s proj/portable/manifest.json -a -s set/both_x86_64_v3.c
    that 'the depfile does not name sinter.yaml' grep -q 'sinter\.yaml' set.d
    want 0 '' build -f sinter.yaml -t x86_64 --act q8 --kv f16
    that '-t does not build beside the others, or the file wins over --act' \
        grep -q -e '-t x86_64 --name both --act q8 --kv f16 --ctx 64' proj/x86_64/manifest.json
    want 0 '' build -f sinter.yaml -t x86_64,x86_64-v3 --act q8
    that '-t does not take the folder of the file' grep -q -e '--act q8 --kv f32' set/manifest.json
    want 0 '' build -f sinter.yaml -t portable -o alone
    that '-t with -o is not the folder itself' test -s alone/manifest.json
else
    skipped=$((skipped + 9))
fi
sed 's/^digest: .*/digest: 00000000000000000000000000000000/' sinter.yaml > other.yaml
want 1 "m.gguf: its digest is $sum, not 00000000000000000000000000000000" build -f other.yaml
sed 's/act: f32/act: f33/' sinter.yaml > other.yaml
want 1 "other.yaml:6:16: act: 'f33'" build -f other.yaml
sed 's/ram: 9M/ram: 9/; s/out: proj/out: over/' sinter.yaml | grep -v '^digest' > other.yaml
want 3 'over budget' build -f other.yaml
that 'a folder over budget was written' test ! -e over

# ---- an interrupted build leaves the old folder and nothing else ----------------------------------------------------------
# A model large enough that the signal arrives while the weights are written.
"$obj/tests/models/mkmodel" --cases "$here/../models/cases.json" hd128-q8_0 "$work/big.gguf" || bad mkmodel
cp -r first kept
for delay in 0 0.01 0.02 0.03 0.05; do
    "$obj/sinter" build big.gguf -t portable -o kept > out 2> err &
    pid=$!
    sleep $delay
    kill -INT $pid 2> /dev/null
    wait $pid
    got=$?
    if [ $got != 0 ]; then
        that "an interrupted build (after $delay s) changed the old folder" diff -r first kept
    else
        that "a build that was faster than the signal is not whole" test -s kept/manifest.json
        rm -rf kept && cp -r first kept
    fi
    that 'an interrupted build left a temporary folder' sh -c '! ls -d kept.* 2> /dev/null'
done

# ---- what was built -------------------------------------------------------------------------------------------------------
if command -v make > /dev/null && command -v "${CC:-cc}" > /dev/null; then
    want 0 '' verify first --tokens 3
    says '^ok'
    want 0 '' verify first --json
    json 'verify --json'
    cp -r first bent && sed 's/eps=[0-9.e-]*/eps=0.5/' first/first.sir > bent/first.sir
    want 1 'blk\.0\.[a-z_.]* leaves its bound first' verify bent --tokens 3
    says '^WRONG'
    want 0 '' bench first --runs 1 --prompt 8 -n 4 --json
    json 'bench --json'
    want 0 '' bench first --runs 2 --prompt 8 -n 4
    says '^decode'
    want 1 'the prompt has 60000 tokens, the context room for' bench first --prompt 60000
    want 2 'whole number from 1 to 60000' bench first --prompt 60001
    want 0 '' run m.gguf -t portable --ids 1,2,3 -n 4 --print-ids
    cp out once
    want 0 '' run m.gguf -t portable --ids 1,2,3 -n 4 --print-ids
    that 'a second run prints something else' cmp once out
    want 2 'no-such-option' run m.gguf -t portable --no-such-option
else
    skipped=$((skipped + 14))
fi
want 1 'is not a folder that' bench .
want 1 'is not a folder that' verify nowhere
mkdir broken && echo '{"sinter": 1' > broken/manifest.json
want 1 'is not a manifest' bench broken

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
