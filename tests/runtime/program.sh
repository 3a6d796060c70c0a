#!/bin/sh
# The command-line program around the toy model: options, exit codes, messages, and what goes to stdout.
#
#   program.sh FOLDER     holds NAME (without a text layer), NAME-text, NAME-trace, NAME-dream (for a CPU that is not there),
#                         each built from runtime/core/main.c, and NAME.weights
cd "$1" || exit 1
passed=0 failed=0

ok() { passed=$((passed + 1)); }
bad() { failed=$((failed + 1)); echo "FAILED: $*"; sed 's/^/    /' err out; }

# check TEXT CODE STDOUT STDERR ARGS...: exit code; stdout is exactly this ("*": anything); stderr holds this
# text, or nothing at all if it is ""
check() {
    what=$1 code=$2 want_out=$3 want_err=$4
    shift 4
    "$@" >out 2>err </dev/null
    have=$?
    if [ $have -ne "$code" ]; then bad "$what: exit $have, not $code"
    elif [ "$want_out" != "*" ] && [ "$(cat out)" != "$want_out" ]; then bad "$what: stdout is not '$want_out'"
    elif [ -z "$want_err" ] && [ -s err ]; then bad "$what: stderr is not empty"
    elif [ -n "$want_err" ] && ! grep -qF -e "$want_err" err; then bad "$what: stderr lacks '$want_err'"
    else ok; fi
}

same() {
    if cmp -s "$2" "$3"; then ok; else bad "$1: $2 and $3 differ"; fi
}

P=./NAME

# What the user got wrong: exit 2, nothing on stdout, and what to do.
check "no prompt" 2 "" "there is no prompt" $P
check "unknown option" 2 "" "did you mean --temp?" $P --tmp 1
check "unknown option, far from all" 2 "" "there is no option '--zzzzzzzzzz'" $P --zzzzzzzzzz
check "not an option" 2 "" "given with -p" $P hello
check "no value" 2 "" "-n needs a value" $P --ids 1 -n
check "not a number" 2 "" "takes a whole number" $P --ids 1 -n ten
check "out of range" 2 "" "takes a number from 0 to 1" $P --ids 1 --top-p 1.5
check "no threads" 2 "" "from 1 to 256" $P --ids 1 -j 0
check "bad seed" 2 "" "--seed takes" $P --ids 1 --seed -1
check "two prompts" 2 "" "exclude each other" $P --ids 1 -p x
check "-s alone" 2 "" "--chat" $P -p x -s y
check "--spec of what" 2 "" "--spec takes none or lookup, not 'draft'" $P --ids 1 --spec draft
check "stats in what" 2 "" "--stats takes json" $P --ids 1 --stats xml
check "help" 0 "*" "" $P --help
grep -q -- "--perplexity FILE" out && ok || bad "help lacks --perplexity"

# What failed: exit 1, and where.
check "no tokenizer for -p" 1 "" "-p needs a tokenizer" $P -p hello
check "no tokenizer for --chat" 1 "" "--chat needs a tokenizer" $P --chat
check "no such weights" 1 "" "/no/such: No such file" $P --ids 1 --weights /no/such
head -c 1000 NAME.weights >cut
check "cut weights" 1 "" "not the weights that this program was built for" $P --ids 1 --weights cut
check "an unknown id" 1 "" "there is no token 501" $P --ids 1,501
check "a word for an id" 1 "" "'two' is not a number" $P --ids 1,two
check "no ids" 1 "" "the prompt is empty" $P --ids ,
check "no file of ids" 1 "" "nowhere: No such file" $P --ids @nowhere
check "a context too large" 1 "" "more than the 300 tokens" $P --ids 1 --ctx 301
check "a prompt too long" 1 "" "the prompt has 3 tokens, the context room for 2" $P --ids 1,2,3 --ctx 2
check "nowhere to write" 1 "*" "/no/such/place: No such file" $P --ids 1 -n 0 --logits /no/such/place
check "a CPU without" 1 "" "this CPU has no a_feature_no_cpu_has" ./NAME-dream --ids 1

# What works.
$P --ids 1,2,3 -n 8 --print-ids >eight 2>err
check "greedy" 0 "$(cat eight)" "" $P --ids 1,2,3 -n8 --print-ids
[ "$(wc -w <eight)" = 8 ] && ok || bad "not eight ids"
for j in 1 2 3 7; do
    check "-j $j" 0 "$(cat eight)" "" $P --ids "1 2 3" -n 8 --print-ids -j $j
done
check "one by one" 0 "$(cat eight)" "" $P --ids 1,2,3 -n 8 --print-ids --one-by-one
check "an = sign" 0 "$(cat eight)" "" $P --ids=1,2,3 -n 8 --print-ids --temp=0
echo "1, 2
3" >ids
check "ids from a file" 0 "$(cat eight)" "" $P --ids @ids -n 8 --print-ids
check "tokenize ids" 0 "1 2 3" "" $P --ids 1,2,3 --tokenize
check "the context gets full" 0 "$(cut -d' ' -f1-3 eight)" "full after 3 new ones" $P --ids 1,2,3 -n 8 --ctx 5 --print-ids
check "nothing to generate" 0 "" "" $P --ids 1,2,3 -n 0 --logits all
[ "$(wc -c <all)" = $((3 * 501 * 4)) ] && ok || bad "--logits: wrong size"
check "logits one by one" 0 "" "" $P --ids 1,2,3 -n 0 --logits each --one-by-one -j 3
same "logits one by one" all each
seq 0 99 >hundred
check "logits of many tokens" 0 "" "" $P --ids @hundred -n 0 --logits all -j 3
check "logits of many tokens, one by one" 0 "" "" $P --ids @hundred -n 0 --logits each --one-by-one
same "logits of many tokens" all each
check "check weights" 0 "" "bytes are as they were written" $P --check-weights
cp NAME.weights flipped
printf x | dd of=flipped bs=1 seek=300000 conv=notrunc 2>/dev/null
check "a flipped byte, not looked for" 0 "$(cat eight)" "" $P --ids 1,2,3 -n 8 --print-ids --weights flipped
check "a flipped byte, looked for" 1 "" "a chunk does not have the hash" $P --ids 1,2,3 --check-weights --weights flipped
check "stats" 0 "*" '"prefill_tps":' $P --ids 1,2,3 -n 8 --print-ids --stats json
if python3 -c 'import json,sys; s=json.load(open("err")); sys.exit(not(s["tokens"]==8 and s["prompt_tokens"]==3 and s["session_bytes"]>0))'
then ok; else bad "stats are not right"; fi
# Guesses.  The toy never goes on as its prompt did, so whatever were guessed would be wrong.
phrase=7,8,9,10,11,7,8,9,10,11,7,8,9,10,11,7,8,9
for more in "-n 60" "-n 60 --temp 1 --seed 5" "-n 60 --repeat-penalty 1.5" "-n 400 --ctx 90" "-n 1" "-n 2" "-n 20 --one-by-one"; do
    for P in ./NAME ./NAME-text; do
        case "$P $more" in "./NAME "*temp* | "./NAME "*penalty*) continue ;; esac
        $P --ids $phrase $more --print-ids -j 2 >plain 2>err
        note=$(cat err)
        check "$P $more: guesses change nothing" 0 "$(cat plain)" "$note" $P --ids $phrase $more --print-ids -j 2 --spec lookup
    done
done
P=./NAME
check "counts of guesses" 0 "*" '"spec_accepted": 0}' $P --ids $phrase -n 60 --print-ids --spec lookup --stats json
(cd / && "$OLDPWD/NAME" --ids 1,2,3 -n 8 --print-ids) >out 2>err
same "from another folder" out eight
$P --ids 1,2,3 -n 0 >/dev/full 2>err && ok || bad "nothing to write is no error"
$P --ids 1,2,3 -n 8 --print-ids >/dev/full 2>err
[ $? = 1 ] && ok || bad "a full disk is exit 1"

# The trace: records of the prompt's stages.
check "trace" 0 "*" "" ./NAME-trace --ids 1,2,3 -n 0 --trace records -j 4
if python3 - <<'END'
import struct, sys
b, at, names = open("records", "rb").read(), 0, []
while at < len(b):
    n = struct.unpack_from("<I", b, at)[0]
    names.append(b[at + 4:at + 4 + n].decode())
    at += 4 + n
    at += 4 + 4 * struct.unpack_from("<I", b, at)[0]
sys.exit(not (at == len(b) and names.count("blk.2.keep") == 1 and "blk.0.other" in names))
END
then ok; else bad "trace: not the records that were due"; fi
check "no trace in the ordinary program" 2 "" "--trace" $P --ids 1 --trace records

# With the text layer, but a model without a tokenizer.
P=./NAME-text
check "a model without a tokenizer" 1 "" "tokeniz" $P -p hello
check "a model without a template" 1 "" "no chat template" $P --chat -p hello
check "text layer, ids" 0 "$(cat eight)" "" $P --ids 1,2,3 -n 8 --print-ids
$P --ids 1,2,3 -n 40 --print-ids --temp 1 --seed 7 >a 2>err
check "a seed" 0 "$(cat a)" "" $P --ids 1,2,3 -n 40 --print-ids --temp 1 --seed 7 -j 3
check "another seed" 0 "*" "" $P --ids 1,2,3 -n 40 --print-ids --temp 1 --seed 8
cmp -s a out && bad "two seeds, one text" || ok

echo "$passed passed, $failed failed, 0 skipped"
[ $failed = 0 ]
