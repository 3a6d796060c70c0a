# One program for several CPUs, and one that carries its weights.
isa_of() { sed -n 's/.*"isa": "\([^"]*\)".*/\1/p' "$1"; }
case $(uname -m) in
x86_64) ;;
*) skip 'sets of x86-64 targets need an x86-64 machine'; return 0 2> /dev/null ;;
esac

that 'builds' build "$story" -t x86_64-v3 -o plain/story
quiet 'make' make -s -C plain/story
that 'builds with --link-weights' build "$story" -t x86_64-v3 --link-weights -o linked/story
quiet 'make' make -s -C linked/story
mkdir -p away && cp linked/story/story away/ && rm -r linked
cd away || exit 1
./story -p "$text" -n 20 --print-ids > ../linked.ids 2> log; that 'linked weights: runs alone' [ -s ../linked.ids ]
that 'linked weights: --check-weights' ./story --check-weights -p x -n 0
cd ..
have_v3=$(grep -c -m 1 '\bavx2\b.*\bfma\b\|\bfma\b.*\bavx2\b' /proc/cpuinfo)
if [ "$have_v3" -gt 0 ]; then
    plain/story/story -p "$text" -n 20 --print-ids > plain.ids 2> log
    that 'linked weights: the same tokens' cmp plain.ids linked.ids
fi
rm plain/story/story.weights
refuses 1 story.weights plain/story/story -p x

for order in x86_64,x86_64-v3,x86_64-v4 x86_64-v3,x86_64-v4; do
    n=$(echo $order | tr -c 'a-z0-9\n' _)
    that "builds for $order" build "$story" -t $order -o $n/story
    quiet "make $order" make -s -C $n/story
done
all=x86_64_x86_64_v3_x86_64_v4/story/story two=x86_64_v3_x86_64_v4/story/story
width=$(width x86_64_x86_64_v3_x86_64_v4/story/story.h)
that 'here' logits $all here.logits --stats json
isa_of log > here.isa
best=x86_64
[ "$have_v3" = 0 ] || best=x86_64-v3
grep -q -w avx512_vnni /proc/cpuinfo && grep -q -w avx512bw /proc/cpuinfo && grep -q -w avx512vl /proc/cpuinfo && best=x86_64-v4
that "here: the best, $best" grep -qx -e $best here.isa

# AMX: a machine that lacks it, or lists it and refuses or traps, takes the next target or says what is lacking.
for targets in x86_64-v4-amx x86_64-v4-amx,x86_64; do
    n=amx_$(echo $targets | tr -c 'a-z0-9\n' _)
    that "builds for $targets" build "$story" -t $targets -o $n/story
    quiet "make $targets" make -s -C $n/story
done
amx=amx_x86_64_v4_amx_x86_64/story/story
that 'a set with AMX' logits $amx amx.logits --stats json
isa_of log > isa
that 'a set with AMX: near' "$compare" here.logits amx.logits "$width" 0.02
if grep -q -w amx_int8 /proc/cpuinfo; then
    that 'AMX is listed: tried' grep -qx 'x86_64\(-v4-amx\)\?' isa
else
    that 'no AMX: the next of the set' grep -qx x86_64 isa
    refuses 1 'amx_tile\|avx' amx_x86_64_v4_amx/story/story -p x
fi

# Panels on another instruction set: the same bits, as far as those of attention are.
if grep -q -w avx_vnni /proc/cpuinfo && grep -q -w avx512_vnni /proc/cpuinfo; then
    long=$(for i in 1 2 3 4 5 6 7 8 9 10 11 12 13; do printf '%s who saw a little dog. ' "$text"; done)
    for targets in x86_64-avxvnni x86_64-v4; do
        that "builds for $targets, i8" build "$story" -t $targets --act prefill=i8 -o panels_$targets/story
        quiet "make $targets, i8" make -s -C panels_$targets/story
        that "panels of $targets" panels_$targets/story/story -p "$long" -n 0 --logits panels_$targets.logits
    done
    that 'panels of AVX-VNNI and of AVX-512: the same logits' cmp panels_x86_64-avxvnni.logits panels_x86_64-v4.logits
else
    skip 'panels of two instruction sets: this CPU has not both'
fi
refuses 1 'prefill=i8 has no kernels for x86_64-v3' build "$story" -t x86_64-v3 --act prefill=i8 -o panels_v3/story

# A prompt through AMX's tiles, as compiled, with the bits of AVX-512's.  Where the CPU has none, the program is told that it has, and
# what traps is carried out in a handler of SIGILL.
if grep -q -w avx512_vnni /proc/cpuinfo && grep -q -w avx512bw /proc/cpuinfo && ! grep -q -w amx_int8 /proc/cpuinfo; then
    quiet 'amx_traps.so' cc -std=c11 -O2 -shared -fPIC "$root/tests/kernels/amx_traps.c" -o amx_traps.so
    for targets in x86_64-v4-amx x86_64-v4; do
        that "builds for $targets, i8" build "$story" -t $targets --act prefill=i8 -o i8_$targets/story
        sed 's/"amx_tile", "amx_int8", //' i8_$targets/story/story.c > story.c && mv story.c i8_$targets/story/story.c
        quiet "make $targets, i8" make -s -C i8_$targets/story
    done
    # long enough for panels, the last block of tokens short
    long=$(for i in 1 2 3 4 5 6 7 8 9 10 11 12 13; do printf '%s who saw a little dog. ' "$text"; done)
    that 'panels without AMX' i8_x86_64-v4/story/story -p "$long" -n 0 --logits i8.logits
    for j in 1 3; do
        LD_PRELOAD=$PWD/amx_traps.so AMX_TRAPS=1 i8_x86_64-v4-amx/story/story -p "$long" -n 0 -j $j --logits amx$j.logits > traps.log 2>&1
        that "AMX's instructions ran, $j threads" grep -q 'carried out: [1-9]' traps.log
        that "AMX's logits, $j threads" cmp i8.logits amx$j.logits
    done
else
    skip 'AMX as it traps: this CPU has AMX, or no AVX-512 VNNI'
fi

# Other CPUs: the best that each can run, the same answer; never an illegal instruction.
if command -v qemu-x86_64 > log; then
    for cpu in Nehalem:x86_64 Westmere:x86_64 Haswell:x86_64-v3 EPYC:x86_64-v3 max:x86_64-v3; do
        that "on ${cpu%:*}" qemu-x86_64 -cpu "${cpu%:*}" $all -p "$text" -n 0 --logits qemu.logits --stats json
        isa_of log > isa
        that "on ${cpu%:*}: ${cpu#*:}" grep -qx "${cpu#*:}" isa
        that "on ${cpu%:*}: near" "$compare" here.logits qemu.logits "$width" 0.02
    done
    for cpu in qemu64 Nehalem SandyBridge; do
        refuses 1 "$(printf 'avx\|fma\|f16c')" qemu-x86_64 -cpu $cpu $two -p x
        refuses 1 "$(printf 'avx\|fma\|f16c')" qemu-x86_64 -cpu $cpu plain/story/story -p x
    done
    that 'a CPU without: --help' qemu-x86_64 -cpu Nehalem $two --help
else
    skip 'qemu-x86_64 is not installed'
fi
