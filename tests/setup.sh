#!/bin/sh
# Installs the Debian packages that something needs, and only those that are missing.
#
#   setup.sh build        what builds sinter, and what it emits
#   setup.sh demo         build, and pip to get a model
#   setup.sh test         build, and what the tests need
#   setup.sh --missing KIND     prints what is missing, one a line, and installs nothing
#
# With nothing missing it says nothing and asks for no rights.  Packages are installed by root, or by sudo where that asks no
# password; otherwise the one line that installs them is printed, and the exit status is 1.  On a system without dpkg it looks
# for commands and headers instead, and names what it does not find.
set -u
only_show=
[ "${1-}" != --missing ] || { only_show=1; shift; }
kind=${1-}
case $kind in
build | demo | test) ;;
*) echo "usage: setup.sh [--missing] build|demo|test" >&2; exit 2 ;;
esac

# Rows: what needs it, package, and a command that is true where it is there already (from another package or by hand).
has() { command -v "$1" > /dev/null 2>&1; }
header() { echo "#include <$1>" | ${CC:-cc} -E - > /dev/null 2>&1; }
libclang() { ls /usr/lib/llvm-*/include/clang-c/Index.h > /dev/null 2>&1 || header clang-c/Index.h; }
clang_rt() { # libFuzzer and the sanitizers of the clang that is there
    has clang && [ -e "$(clang -print-file-name=libclang_rt.fuzzer-"$(uname -m)".a)" ]
}
clang_rt_wasm() {
    has clang && [ -e "$(clang --target=wasm32-wasi -print-libgcc-file-name)" ]
}
clang_rt_package() {
    version=$(has clang && clang -dumpversion | cut -d. -f1)
    [ -n "$version" ] || version=$(apt-cache depends clang 2> /dev/null | sed -n 's/.*Depends: clang-\([0-9]*\)$/\1/p')
    echo "libclang-rt-${version:-14}-dev"
}
libc_of() { ls /usr/"$1"/lib/libc.so.6 /usr/"$1"/lib/libc.a > /dev/null 2>&1; }

missing=
need() { # package, then the command that tells
    package=$1
    shift
    "$@" || missing="$missing $package"
}
list() {
    missing=
    need gcc has "${CC:-cc}"
    need libc6-dev header stdio.h
    need make has make
    need pkg-config has pkg-config
    need libyaml-dev header yaml.h
    need libjansson-dev header jansson.h
    need libxxhash-dev header xxhash.h
    need libutf8proc-dev header utf8proc.h
    need libclang-dev libclang
    case $kind in
    demo)
        need python3 has python3
        need python3-pip python3 -m pip --version
        ;;
    test)
        need binutils has nm
        need git has git
        need python3 has python3
        need libcmocka-dev header cmocka.h
        need clang has clang
        need "$(clang_rt_package)" clang_rt
        need cmake has cmake
        need qemu-user has qemu-aarch64
        need gcc-arm-none-eabi has arm-none-eabi-gcc
        need qemu-system-arm has qemu-system-arm
        need qemu-system-misc has qemu-system-riscv32
        need lld has wasm-ld
        need llvm has llvm-ar
        need wasi-libc [ -e /usr/include/wasm32-wasi/stdio.h ]
        need "$(clang_rt_package)-wasm32" clang_rt_wasm
        need nodejs has node
        [ "$(uname -m)" = aarch64 ] || {
            need gcc-aarch64-linux-gnu has aarch64-linux-gnu-gcc
            need libc6-dev-arm64-cross libc_of aarch64-linux-gnu
        }
        [ "$(uname -m)" = riscv64 ] || {
            need gcc-riscv64-linux-gnu has riscv64-linux-gnu-gcc
            need libc6-dev-riscv64-cross libc_of riscv64-linux-gnu
        }
        ;;
    esac
}

list > /dev/null 2>&1
if [ -n "$only_show" ]; then
    for package in $missing; do echo "$package"; done
    exit 0
fi
[ -n "$missing" ] || exit 0

if ! has apt-get; then
    echo "Please install these (Debian's names):$missing" >&2
    exit 1
elif [ "$(id -u)" = 0 ]; then
    root=
elif has sudo && sudo -n true 2> /dev/null; then
    root="sudo -n"
else
    echo "Some packages are missing, and installing them needs root.  This line does it:" >&2
    echo "sudo apt-get update && sudo apt-get install -y --no-install-recommends$missing" >&2
    exit 1
fi

log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
echo "installing$missing"
apt() { $root env DEBIAN_FRONTEND=noninteractive apt-get -y -q -o DPkg::Lock::Timeout=300 "$@" > "$log" 2>&1 < /dev/null; }
# An old list of packages is better than none: when the update fails, the installation says whether that matters.
apt update || echo "apt-get update failed; going on with the lists that are here" >&2
# shellcheck disable=SC2086 -- one word per package
apt install --no-install-recommends $missing || { tail -n 20 "$log"; echo "setup.sh: apt-get could not install them" >&2; exit 1; }

list > /dev/null 2>&1
[ -z "$missing" ] || { echo "setup.sh: installed, but still not found:$missing" >&2; exit 1; }
