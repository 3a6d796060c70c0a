# Speculation by lookup.  If one of these fails, a program that guesses says something else than one that does not.
#
# same_ids WHAT COMMAND...   the ids of a run without guesses are those of one with them, whose counts are added up
number() { sed -n "s/.*\"$1\": \([0-9]*\).*/\1/p" stats; }
drafted=0 accepted=0
same_ids() {
    what=$1
    shift
    : > log
    "$@" --print-ids --spec none > none.ids 2> log || { bad "$what: without guesses"; return; }
    "$@" --print-ids --spec lookup --stats json > ids 2> stats || { cp stats log; bad "$what: with guesses"; return; }
    drafted=$((drafted + $(number spec_drafted))) accepted=$((accepted + $(number spec_accepted)))
    that "$what" cmp none.ids ids
}

printf 'The fox sat by the river. The owl sat by the river. The boy sat by the river. The girl sat by' > repeats.txt
printf 'Once upon a time' > plain.txt
printf 'one two three four one two four three one three two four one two three' > few.txt
that 'builds' build "$story" -t portable -o p/story
quiet 'make' make -s -C p/story
case $(uname -m) in
x86_64) targets='p x' && that 'builds for two' build "$story" -t x86_64,x86_64-v4 -o x/story && quiet 'make' make -s -C x/story ;;
*) targets=p ;;
esac
for t in $targets; do
    P=$t/story/story
    for text in repeats plain few; do
        for j in $([ $t = p ] && echo 2 || echo 1 2); do
            same_ids "$t: $text, greedy, -j $j" $P -f $text.txt -n 250 -j $j
            same_ids "$t: $text, beyond the end, -j $j" $P -f $text.txt -n 150 -j $j --ignore-eos
            for seed in 1 2 3; do
                same_ids "$t: $text, seed $seed, -j $j" $P -f $text.txt -n 150 -j $j --temp 0.8 --seed $seed --top-p 0.95 --ignore-eos
            done
            same_ids "$t: $text, penalty, -j $j" $P -f $text.txt -n 150 -j $j --repeat-penalty 1.3 --ignore-eos
            same_ids "$t: $text, penalty and chance, -j $j" $P -f $text.txt -n 150 -j $j --temp 1 --repeat-penalty 1.1 --seed 9 --ignore-eos
        done
    done
    same_ids "$t: until the context is full" $P -f repeats.txt -n 400 --ctx 120 --ignore-eos
    same_ids "$t: a conversation's turn" $P --chat -f plain.txt -n 100
    for n in 1 2 3; do
        same_ids "$t: -n $n" $P -f repeats.txt -n $n
    done
    same_ids "$t: one by one" $P -f repeats.txt -n 60 --one-by-one
    that "$t: one by one guesses nothing" [ "$(number spec_drafted)" = 0 ]
done
# How many depends on this machine's times; what comes out does not.
that "guesses were made and were right ($accepted of $drafted)" [ "$accepted" -gt 30 ]
that "guesses were wrong ($accepted of $drafted)" [ "$drafted" -gt "$accepted" ]

# The text comes out as it does without, and so does a whole conversation, whose turns begin by going back.
P=p/story/story
$P -f repeats.txt -n 100 > none.txt 2> log
$P -f repeats.txt -n 100 --spec lookup > lookup.txt 2> log; that 'the same text' cmp none.txt lookup.txt
printf 'Who are you?\nWhere do you live?\nWho are you?\n/reset\nWho are you?\n/exit\n' > talk
for s in none lookup; do $P --chat -n 60 --spec $s < talk > $s.txt 2> log; done
that 'the same conversation' cmp none.txt lookup.txt

# What a build decides.
that '--spec lookup' build "$story" -t portable --spec lookup -o default/story
quiet 'make' make -s -C default/story
default/story/story -f repeats.txt -n 100 --print-ids --stats json > ids 2> stats; that 'it runs' [ -s ids ]
that 'and guesses by default' [ "$(number spec_drafted)" -gt 0 ]
that '--spec none' build "$story" -t portable --spec none -o never/story
quiet 'make' make -s -C never/story
refuses 1 'built with --spec none' never/story/story -f repeats.txt --spec lookup
never/story/story -f repeats.txt -n 100 > never.txt 2> log
$P -f repeats.txt -n 100 > none.txt 2> log; that '--spec none: the same text' cmp none.txt never.txt
nm never/story/libstory.a 2> log | grep story_lookup_draft > found; none '--spec none: the code is not there'
that 'from its .sir' build never/story/story.sir -o again/story
that 'the same source' cmp never/story/runtime.c again/story/runtime.c

# Where a prompt is summed in another way than an answer, guesses are checked by an entry of their own.  With i8 it takes short prompts, too.
for i in 1 2 3 4 5 6 7 8; do cat repeats.txt; done > long.txt
for act in f32 i8; do
    that "--act prefill=$act,decode=q8" build "$story" -t portable --act prefill=$act,decode=q8 -o $act/story
    quiet 'make' make -s -C $act/story
    same_ids "a prompt in $act" $act/story/story -f repeats.txt -n 100
    that "a prompt in $act: guesses are made" [ "$(number spec_drafted)" -gt 0 ]
    same_ids "a long prompt in $act" $act/story/story -f long.txt -n 40
    for j in 1 3; do $act/story/story -f long.txt -n 0 --logits $act.$j -j $j 2> log; done
    that "a long prompt in $act: the same bits with 1 and 3 threads" cmp $act.1 $act.3
done
p/story/story -f long.txt -n 0 --logits q8.1 2> log
cmp -s i8.1 q8.1 && bad 'prefill=i8 gives the logits of q8: it computed something else' || good
