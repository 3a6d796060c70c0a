# The same logits whatever the number of threads and the way in which tokens are fed.
for t in native portable; do
    that "builds for $t" build "$story" -t $t -o $t/story
    quiet "make $t" make -s -C $t/story
    s=$t/story/story
    that 'logits' logits $s $t.1 -j 1
    for j in 2 3 7; do
        that "-j $j" logits $s $t.x -j $j
        that "-j $j: the same logits" cmp $t.1 $t.x
        that "-j $j: one by one" logits $s $t.x -j $j --one-by-one
        that "-j $j, one by one: the same logits" cmp $t.1 $t.x
    done
    "$s" -p "$text" -n 40 --print-ids -j 1 > ids.1 2> log; that 'generates' [ -s ids.1 ]
    "$s" -p "$text" -n 40 --print-ids -j 3 --one-by-one > ids.3 2> log; that '-j 3, one by one: the same tokens' cmp ids.1 ids.3
    "$s" -p "$text" -n 40 --temp 1.5 --seed 5 --print-ids -j 1 > ids.1 2> log
    "$s" -p "$text" -n 40 --temp 1.5 --seed 5 --print-ids -j 7 > ids.7 2> log; that 'sampled with 7 threads: the same tokens' cmp ids.1 ids.7
done

# How work is cut changes nothing, but for the span, which changes the order of sums.
for tuning in 'prefetch: 0, chunk: 1K, tokens: 1' 'prefetch: 1M, chunk: 16M, tokens: 4096' 'span: 16, chunk: 3K, tokens: 3'; do
    "$sinter" targets native 2> log | sed "s/^tuning: .*/tuning: {$tuning}/" > tuned.yaml
    rm -rf tuned
    that "builds with $tuning" build "$story" -t ./tuned.yaml -o tuned/story
    quiet "make with $tuning" make -s -C tuned/story
    that 'logits' logits tuned/story/story tuned.1 -j 1
    that "$tuning: threads, one by one" logits tuned/story/story tuned.x -j 3 --one-by-one
    that "$tuning: the same logits" cmp tuned.1 tuned.x
    case $tuning in
    span*) that "$tuning: near" "$compare" native.1 tuned.1 "$(width native/story/story.h)" 0.02 ;;
    *) that "$tuning: the bits of any other" cmp native.1 tuned.1 ;;
    esac
done
that 'the sessions program compiles' gcc -std=c11 -O1 -Wall -Wextra -Wpedantic -Inative/story "$here/sessions.c" native/story/libstory.a -lpthread -o sessions
that 'sessions' ./sessions native/story/story.weights
that 'native is near portable' "$compare" portable.1 native.1 "$(width native/story/story.h)" 0.02
printf '\000\000\300\177' | dd of=native.1 bs=1 seek=40 conv=notrunc 2> log
that 'compare sees a NaN' sh -c '! "$@"' sh "$compare" portable.1 native.1 "$(width native/story/story.h)" 0.02
