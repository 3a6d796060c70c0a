# --exact: whatever the chip, the logits are those of plain C, bit for bit; so are those of prompts read at once and token by token.
that 'builds plain C' build "$story" -t portable -o plain/story
that 'compiles' make -C plain/story
that 'plain C' logits plain/story/story plain.f32
that 'plain C, token by token' logits plain/story/story plain1.f32 --one-by-one
that 'token by token: the same' cmp plain.f32 plain1.f32
n_exact=0
for t in x86_64 x86_64-v3 x86_64-avxvnni x86_64-v4; do
    that "builds $t" build "$story" -t $t --exact -o $t/story
    that "compiles $t" make -C $t/story
    if ! $t/story/story --ids 1 -n 0 > log 2>&1 && grep -q 'this CPU has no' log; then
        skip "$t: not on this CPU"
        continue
    fi
    that "$t" logits $t/story/story $t.f32
    that "$t: the bits of plain C" cmp plain.f32 $t.f32
    n_exact=$((n_exact + 1))
done
that 'one of them at least has run' [ $n_exact -gt 0 ]
if $sinter targets | grep -q '^x86_64-v4 ' && [ -s x86_64-v4.f32 ]; then    # else the comparison above says nothing
    that 'builds without --exact' build "$story" -t x86_64-v4 -o fast/story
    that 'compiles' make -C fast/story
    that 'without --exact' logits fast/story/story fast.f32
    that 'without --exact: other bits' sh -c '! cmp -s plain.f32 fast.f32'
fi
