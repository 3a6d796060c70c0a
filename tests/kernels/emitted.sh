#!/bin/sh
# Does what the kernel reader emits compile by itself?  emitted.sh DIR COMPILER...
# Files are DIR/UNIT@KERNEL.c and DIR/UNIT@all.c.  clang also says which static inline functions of a .c file are unused.
dir=$1
shift
passed=0 failed=0 skipped=0
try() {
    if "$@" -std=c11 -ffreestanding -O0 -Wall -Wextra -Wpedantic -Werror -fsyntax-only "$file"; then
        passed=$((passed + 1))
    else
        echo "$file does not compile with $1"
        failed=$((failed + 1))
    fi
}
for file in "$dir"/*.c; do
    base=${file##*/}
    unit=${base%%@*}
    for cc in "$@"; do
        case $unit-$cc in
        portable-*) try "$cc" ;;
        avx2-*) try "$cc" -march=x86-64-v3 ;;
        avxvnni-*) try "$cc" -march=x86-64-v3 -mavxvnni ;;
        avx512vnni-*) try "$cc" -march=x86-64-v4 -mavx512vnni ;;
        amx-*) try "$cc" -march=x86-64-v4 -mavx512vnni -mamx-tile -mamx-int8 ;;
        neon-clang) try clang --target=aarch64-linux-gnu ;;
        dotprod-clang) try clang --target=aarch64-linux-gnu -march=armv8.2-a+dotprod ;;
        i8mm-clang) try clang --target=aarch64-linux-gnu -march=armv8.2-a+dotprod+i8mm ;;
        sve-clang) try clang --target=aarch64-linux-gnu -march=armv8.2-a+dotprod+i8mm+sve ;;
        simd128-clang) try clang --target=wasm32 -msimd128 ;;
        simd128-gcc) skipped=$((skipped + 1)) ;;        # does not make WebAssembly
        rvv-clang) try clang --target=riscv64-linux-gnu -march=rv64gcv ;;
        rvv-gcc) skipped=$((skipped + 1)) ;;            # the vector registers' names: since gcc 13
        neon-gcc | dotprod-gcc | i8mm-gcc | sve-gcc)
            arch=armv8-a
            [ "$unit" = neon ] || arch=armv8.2-a+dotprod
            [ "$unit" != i8mm ] || arch=$arch+i8mm
            [ "$unit" != sve ] || arch=$arch+i8mm+sve
            if command -v aarch64-linux-gnu-gcc > /dev/null; then
                try aarch64-linux-gnu-gcc -march=$arch
            else
                skipped=$((skipped + 1))
            fi ;;
        *) echo "no flags for unit $unit"; failed=$((failed + 1)) ;;
        esac
    done
done
echo "emitted kernels: $passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ] && [ $passed -gt 0 ]
