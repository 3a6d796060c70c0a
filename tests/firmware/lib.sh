# What the scripts here share: which compilers and emulators there are, counting, building a folder.
# shellcheck shell=sh
passed=0 failed=0 skipped=0
ok() { passed=$((passed + 1)); }
bad() { failed=$((failed + 1)); echo "FAIL $*"; }
skip() { skipped=$((skipped + 1)); echo "skip $*"; }
has() { command -v "$1" > /dev/null 2>&1; }
finish() { echo "$passed passed, $failed failed, $skipped skipped"; [ "$failed" = 0 ]; }

# toolchain COMPILER FAMILY     prints words for make, fails where that compiler is not here
toolchain() {
    case $1-$2 in
    gcc-cortex-m) has arm-none-eabi-gcc && echo ;;
    clang-cortex-m) has clang && has ld.lld && has llvm-objcopy && echo "CC=clang --target=arm-none-eabi" ;;
    gcc-riscv32) # Debian's bare-metal gcc, or the one for Linux, which knows RV32 but has no libgcc of it
        if has riscv64-unknown-elf-gcc; then echo; else has riscv64-linux-gnu-gcc && echo "CC=riscv64-linux-gnu-gcc"; fi ;;
    clang-riscv32) has clang && has ld.lld && has llvm-objcopy && echo "CC=clang --target=riscv32-unknown-elf" ;;
    esac
}

# emulator FAMILY
emulator() { case $1 in cortex-m) echo qemu-system-arm ;; *) echo qemu-system-riscv32 ;; esac; }

# build DIR COMPILER FAMILY [words for make...]      into DIR/log; status 77 where the compiler is not here
build() {
    build_dir=$1 build_cc=$(toolchain "$2" "$3") || return 77
    build_ld=; [ "$2-$3" != clang-riscv32 ] || build_ld="LDFLAGS=-fuse-ld=lld"
    shift 3
    make -s -C "$build_dir" ${build_cc:+"$build_cc"} ${build_ld:+"$build_ld"} "$@" > "$build_dir/log" 2>&1 || return 1       # make itself fails with 2
}

# family TARGET          as the target's description says
family() { "$obj/sinter" targets "$1" | sed -n 's/^family: "\(.*\)"/\1/p'; }
command_of() { "$obj/sinter" targets "$1" | sed -n 's/^run: "\(.*\)"/\1/p'; }
