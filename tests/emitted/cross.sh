# Other instruction sets: built with their cross compilers, run under QEMU, compared with this machine's portable build.
for act in q8 f32; do
    that "reference, $act" build "$story" -t portable --act $act --kv f32 -o ref-$act/story
    quiet "make reference, $act" make -s -C ref-$act/story
    that "reference, $act" logits ref-$act/story/story want-$act
    ref-$act/story/story -p "$text" --tokenize > ids 2> log
done
width=$(width ref-q8/story/story.h)
tol() { [ "$1" = f32 ] && echo 1e-4 || echo 0.02; }

# cross NAME TARGET CC RUN...
cross() {
    name=$1 target=$2 cc=$3
    shift 3
    command -v "${cc%% *}" > log && command -v "$1" > log || { skip "$name: $cc or $1 is not installed"; return; }
    for act in q8 f32; do
        d=$name-$act/story
        that "$name, $act: builds" build "$story" -t $target --act $act --kv f32 -o $d
        quiet "$name, $act: make" make -s -C $d CC="$cc" LDFLAGS=-static
        that "$name, $act: runs" "$@" $d/story -p "$text" -n 0 --logits have -j 2
        that "$name, $act: near portable here" "$compare" want-$act have "$width" "$(tol $act)"
        that "$name, $act: one by one" "$@" $d/story -p "$text" -n 0 --logits again -j 1 --one-by-one
        that "$name, $act: one by one: the same" cmp have again
        "$@" $d/story -p "$text" --tokenize > ids.have 2> log; that "$name: tokens of a text" cmp ids ids.have
        [ $target != portable ] || that "$name, $act: portable is portable, bit for bit" cmp want-$act have
        "$@" $d/story -p "$text" -n 12 --temp 0.8 --seed 3 > out 2> log; that "$name, $act: writes" [ -s out ]
    done
}
cross portable-aarch64 portable aarch64-linux-gnu-gcc qemu-aarch64 -cpu cortex-a53
cross portable-riscv64 portable riscv64-linux-gnu-gcc qemu-riscv64
cross aarch64 aarch64 aarch64-linux-gnu-gcc qemu-aarch64 -cpu cortex-a53
cross dotprod aarch64-dotprod aarch64-linux-gnu-gcc qemu-aarch64 -cpu max
cross i8mm aarch64-i8mm aarch64-linux-gnu-gcc qemu-aarch64 -cpu max
cross sve aarch64-sve aarch64-linux-gnu-gcc qemu-aarch64 -cpu max,sve-max-vq=2
cross sve2 aarch64-sve2 aarch64-linux-gnu-gcc qemu-aarch64 -cpu max,sve-max-vq=1
cross riscv64 riscv64 riscv64-linux-gnu-gcc qemu-riscv64
cross rvv riscv64-v 'clang --target=riscv64-linux-gnu' qemu-riscv64 -cpu rv64,v=true,vlen=128,vext_spec=v1.0

# WebAssembly has no fused multiply-add and adds in the portable order: the same bits.
if command -v node > log && command -v wasm-ld > log && command -v llvm-ar > log && [ -e /usr/include/wasm32-wasi/stdio.h ]; then
    cross wasm wasm32 'clang --target=wasm32-wasi' node "$root/tests/wasi.mjs"
    that 'wasm, q8: portable, bit for bit' node "$root/tests/wasi.mjs" wasm-q8/story/story -p "$text" -n 0 --logits have
    that 'wasm, q8: portable, bit for bit' cmp want-q8 have
    that 'wasm, weights inside: builds' build "$story" -t wasm32 --kv f32 --link-weights -o inside/story
    quiet 'wasm, weights inside: make' make -s -C inside/story
    mv inside/story/story.weights inside
    that 'wasm, weights inside: runs' node "$root/tests/wasi.mjs" inside/story/story -p "$text" -n 0 --logits have
    that 'wasm, weights inside: the same' cmp want-q8 have
else skip 'wasm: node, lld, llvm-ar or wasi-libc is not installed'; fi

# A CPU that lacks what was built for; a set of two.
if [ -x dotprod-q8/story/story ]; then
    refuses 1 dotprod\\\|asimddp qemu-aarch64 -cpu cortex-a53 dotprod-q8/story/story -p x
    that 'a set: builds' build "$story" -t aarch64,aarch64-dotprod --kv f32 -o set/story
    quiet 'a set: make' make -s -C set/story CC=aarch64-linux-gnu-gcc LDFLAGS=-static
    for cpu in cortex-a53:aarch64 max:aarch64-dotprod; do
        that "a set on ${cpu%:*}" qemu-aarch64 -cpu "${cpu%:*}" set/story/story -p "$text" -n 0 --logits have --stats json
        cp log stats
        that "a set on ${cpu%:*}: ${cpu#*:}" grep -q "\"isa\": \"${cpu#*:}\"" stats
        that "a set on ${cpu%:*}: near" "$compare" want-q8 have "$width" 0.02
    done
fi
# 32-bit: not promised for large models, but nothing may assume 64-bit pointers.
if echo 'int main(void) { return 0; }' | gcc -m32 -x c - -o m32 2> log && ./m32; then
    that '32-bit: make' make -s -C ref-q8/story clean all CC='gcc -m32 -msse2 -mfpmath=sse'
    that '32-bit: runs' logits ref-q8/story/story have
    that '32-bit: the same' cmp want-q8 have
else skip 'gcc -m32 does not work here'; fi
