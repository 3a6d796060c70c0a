# The emitted program and library under the sanitizers.
export ASAN_OPTIONS=abort_on_error=0:detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1 TSAN_OPTIONS=halt_on_error=1
for k in 1 2 3 4 5 6 7 8 9 10 11 12; do printf 'Line %d: %s, who lived in a house. \n\n' $k "$text"; done > long.txt
head -c 1000 long.txt > short.txt
printf 'Who are you?\n/undo\nAnd you?\nWhat do you like?\n' > questions

exercise() {
    s=$1 with=$2
    for j in 1 3 7; do
        that "$with: -j $j" "$s" -p "$text" -n 24 -j $j --logits l.$j
        that "$with: -j $j: the same logits" cmp l.1 l.$j
    done
    that "$with: one by one" "$s" -p "$text" -n 8 -j 3 --one-by-one
    that "$with: sampled" "$s" -p "$text" -n 24 -j 2 --temp 1.2 --top-k 20 --top-p 0.9 --min-p 0.01 --repeat-penalty 1.2 --seed 7
    that "$with: perplexity" "$s" --perplexity long.txt --chunk 64 --chunks 2 -j 3
    that "$with: a question" "$s" --chat -s 'Be brief.' -p 'Who are you?' -n 24 -j 2
    that "$with: a conversation" sh -c '"$1" --chat -n 16 -j 2 < questions' sh "$s"
    that "$with: to the end of the context" "$s" -p "$text" -n 400 --ctx 48 -j 2 --ignore-eos
    that "$with: a long prompt" "$s" -f short.txt -n 4 -j 3
    that "$with: odd text" sh -c 'head -c 300 "$1.weights" > odd; "$1" -f odd -n 2' sh "$s"
    that "$with: --check-weights" "$s" -p x -n 0 --check-weights
    refuses 1 . "$s" -p x --weights long.txt
    refuses 1 999999 "$s" --ids 1,2,999999
}
# program KIND TARGET FLAGS [BUILD OPTIONS]
program() {
    kind=$1 target=$2 flags=$3
    shift 3
    d=$kind-$target/story
    echo 'int main(void) { return 0; }' | gcc -x c $flags - -o works 2> log && ./works 2> log || { skip "$kind: does not work here"; return; }
    that "$kind, $target: builds" build "$story" -t $target "$@" -o $d
    quiet "$kind, $target: make" make -s -C $d CFLAGS="-O1 -g $flags"
    exercise $d/story "$kind, $target"
    that "$kind, $target: sessions.c" gcc -std=c11 -O1 -g $flags -I$d "$here/sessions.c" $d/libstory.a -lpthread -o sessions
    that "$kind, $target: sessions" ./sessions $d/story.weights
}
checks='-fsanitize=address,undefined -fno-sanitize-recover=all'
program asan-ubsan portable "$checks"
program asan-ubsan native "$checks" --act f32 --kv f32
program tsan native -fsanitize=thread
program asan-ubsan-linked portable "$checks" --link-weights 2> log
