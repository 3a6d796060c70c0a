# A head of two stages.  If one of these fails, a program that does not read all of the head chooses other tokens than one that does.
#
# 1000 tokens do not fill the last tile; 96 columns are not a multiple of 64.
cat > head.sir <<'SIR'
module "story"
meta "n_vocab" = 1000
meta "n_ctx" = 16
sym T 1..16
sym O 0..16
sym C 1..16
weight @embd : q8_0[1000,96] = fill "embd" seed=1
weight @norm : f32[96] = fill "norm" seed=2
weight @head : q8_0[1000,96] = fill "head" seed=3
func @main(%ids: i32[T]) -> (f32[O,1000]) {
  %x = rows @embd, %ids : f32[T,96]
  %l = last_rows %x : f32[O,96]
  %n = rmsnorm %l, @norm {eps=1e-5} : f32[O,96]
  %y = matmul %n, @head : f32[O,1000]
  return %y
}
entry decode(T=1, O=0..1) = @main
entry prefill(T=1..16, O=0..16) = @main
SIR
sed 's/@head : q8_0/@unused : q8_0/; s/%n, @head/%n, @embd/; /@unused/d' head.sir > tied.sir

# x86-64's targets that this machine runs; any machine runs `portable`.
targets=portable
flags=" $(sed -n 's/^flags[^:]*: //p' /proc/cpuinfo | head -n 1) "
has() { for f; do case $flags in *" $f "*) ;; *) return 1 ;; esac; done; }
[ "$(uname -m)" != x86_64 ] || {
    has avx2 fma f16c && targets="$targets x86_64-v3"
    has avx2 fma f16c avx_vnni && targets="$targets x86_64-avxvnni"
    has avx512f avx512bw avx512vl avx512dq avx512cd avx512_vnni && targets="$targets x86_64-v4"
}
for t in $targets; do
    for m in head tied; do
        d=$t-$m/story
        that "$t, $m: builds" build $m.sir -t $t --head two-stage -o $d
        quiet "$t, $m: make" make -s -C $d libstory.a
        that "$t, $m: is in two parts" grep -q 'layout=i53g32_r32k4' $d/story.sir
        that "$t, $m: verify" "$sinter" verify $d
        place=$(sed -n 's/^weight @\(head\|embd\) .*layout=i53g32_r32k4 off=\([0-9]*\) stride=\([0-9]*\) .*/\2 \3/p' $d/story.sir)
        that "$t, $m: the program compiles" gcc -std=c11 -O1 -Wall -Wextra -Wpedantic -I$d "$here/head.c" $d/libstory.a -lpthread -o $t-$m.out
        that "$t, $m: the best logits" ./$t-$m.out $d/story.weights $place
    done
done
that 'from its .sir' build portable-head/story/story.sir -o again/story
that 'the same stages' cmp portable-head/story/story_portable.c again/story/story_portable.c
cp -r portable-head bad
sed 's/ best=[0-9]*/ best=999999/' portable-head/story/story.sir > bad/story/story.sir
refuses 1 'no 384 bytes in the scratch' "$sinter" build bad/story/story.sir -o refused/story

# What a whole program says, greedy and by chance, with guesses and without.
case $(uname -m) in x86_64) set=x86_64,x86_64-v4 ;; *) set=portable ;; esac
that 'builds' build "$story" -t $set --head two-stage -o story
quiet 'make' make -s -C story
same() { story/story "$@" --print-ids > best.ids 2> log; story/story "$@" --print-ids --all-logits > all.ids 2>> log; that "$*" cmp best.ids all.ids; }
for j in 1 2; do
    same -p "$text" -n 150 -j $j --ignore-eos
    same -p "$text" -n 100 -j $j --spec lookup
    for seed in 1 2 3 4; do
        same -p "$text" -n 100 -j $j --temp 0.9 --seed $seed
        same -p "$text" -n 100 -j $j --temp 1.2 --top-k 5 --seed $seed --ignore-eos
    done
    same -p "$text" -n 100 -j $j --temp 1 --top-k 0 --seed 5
    same -p "$text" -n 100 -j $j --temp 1 --top-p 0.9 --min-p 0.05 --seed 6
    same -p "$text" -n 100 -j $j --temp 0.8 --repeat-penalty 1.2 --seed 7
done
that 'something was said' [ -s best.ids ]

# Who decides.
that '--head full' build "$story" -t $set --head full -o full/story
that 'is whole' grep -q 'layout=i8g32_r32k4' full/story/story.sir
that 'unasked' build "$story" -t $set -o unasked/story
that 'the head is whole' cmp full/story/story.weights unasked/story/story.weights
case $(uname -m) in
x86_64)
    that 'a target without kernels' build head.sir -t aarch64 --head two-stage -o arm/story
    grep i53 arm/story/story.sir > found; none 'a target without kernels has it whole'
esac
