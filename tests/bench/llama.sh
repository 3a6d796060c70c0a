#!/bin/sh
# llama.cpp at its best on this machine: prints the folder where llama-bench, peer (peer.c) and built.txt are.
#
#   llama.sh MODEL.gguf           MODEL is run once after a build, to see that the build works here
#
# The source is that of the Python package llama-cpp-python, as pip gets it; it is used only if it has the SHA-256 below.  A build is kept
# in ${XDG_CACHE_HOME:-~/.cache}/sinter, one per CPU, compiler and version, and takes some minutes of all cores (JOBS= says of how many).
#
# Built: Release (-O3), GGML_NATIVE, repacking, OpenMP, statically linked, which starts fastest.  Where the CPU lists AMX, the first of
# these that runs a prompt of 64 tokens is taken, and built.txt says which:
#
#   1. cc as it is        gcc 12 compiles the AMX path to code that dies: its tile intrinsics have no memory clobbers
#   2. clang of version 19 or newer, if there is one
#   3. cc without AMX     a guest may list AMX and yet trap
#
# LLAMA=DIR uses a folder with these three files as it is.  SINTER_OFFLINE=1: nothing is fetched.  Exit 1 after a line that says why.
set -u
[ $# -eq 1 ] || { echo "usage: llama.sh MODEL.gguf" >&2; exit 2; }
model=$1
version=0.3.36
recipe=1                        # one more, whenever what is built below or peer.c changes
digest=832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e
here=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/sinter
archive=$cache/llama_cpp_python-$version.tar.gz
jobs=${JOBS:-$(nproc)}

give_up() {
    echo "bench: $*" >&2
    exit 1
}
say() { echo "bench: $*" >&2; }
sum_of() { sha256sum < "$1" | cut -d' ' -f1; }
has_amx() { grep -q '^flags.* amx_int8' /proc/cpuinfo; }

if [ -n "${LLAMA-}" ]; then
    for file in llama-bench peer built.txt; do
        [ -f "$LLAMA/$file" ] || give_up "LLAMA=$LLAMA has no $file"
    done
    echo "$LLAMA"
    exit 0
fi

get_source() {
    [ ! -f "$archive" ] || [ "$(sum_of "$archive")" != $digest ] || return 0
    [ "${SINTER_OFFLINE:-0}" != 1 ] || give_up "llama.cpp's source is not in $cache, and SINTER_OFFLINE=1"
    say "getting the source of llama-cpp-python $version (77 MB)"
    python3 -m pip download --quiet --disable-pip-version-check --no-cache-dir --no-input --no-deps --retries 1 --timeout 60 \
        --no-binary llama-cpp-python --dest "$tmp/sdist" "llama-cpp-python==$version" > "$tmp/log" 2>&1 < /dev/null
    [ -f "$tmp/sdist/${archive##*/}" ] || give_up "pip could not download llama-cpp-python $version: $(tail -n 1 "$tmp/log")"
    [ "$(sum_of "$tmp/sdist/${archive##*/}")" = $digest ] || give_up "${archive##*/} is not the file that was expected (SHA-256 differs)"
    mv "$tmp/sdist/${archive##*/}" "$archive"
}

# build NAME CC CXX WORDS EXTRA_FLAGS: into $tmp/NAME/bin; false if it does not build or does not run the model.
build() {
    [ -d "$tmp/source" ] || {
        mkdir "$tmp/source"
        tar -xzf "$archive" -C "$tmp/source" --strip-components=3 --exclude='*/llama.cpp/models/*' \
            "llama_cpp_python-$version/vendor/llama.cpp" || give_up "$archive cannot be unpacked"
    }
    say "building llama.cpp with $4 (some minutes; once)"
    b=$tmp/$1
    if ! cmake -S "$tmp/source" -B "$b" -DCMAKE_BUILD_TYPE=Release -DCMAKE_C_COMPILER="$2" -DCMAKE_CXX_COMPILER="$3" \
        -DCMAKE_C_FLAGS="${5-}" -DCMAKE_CXX_FLAGS="${5-}" -DBUILD_SHARED_LIBS=OFF -DGGML_NATIVE=ON -DGGML_CPU_REPACK=ON -DGGML_OPENMP=ON \
        -DGGML_CCACHE=OFF -DLLAMA_OPENSSL=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_SERVER=OFF \
        -DLLAMA_BUILD_APP=OFF > "$tmp/log" 2>&1 ||
        ! cmake --build "$b" --target llama-bench -j "$jobs" >> "$tmp/log" 2>&1; then
        tail -n 5 "$tmp/log" >&2
        return 1
    fi
    libs=
    for lib in src/libllama.a ggml/src/libggml.a ggml/src/libggml-cpu.a ggml/src/libggml-base.a; do libs="$libs $b/$lib"; done
    # shellcheck disable=SC2086 # a list of files
    "$2" -std=c11 -D_GNU_SOURCE -O2 -I "$tmp/source/include" -I "$tmp/source/ggml/include" -c "$here/peer.c" -o "$b/peer.o" &&
        "$3" "$b/peer.o" $libs -fopenmp -lpthread -ldl -lm -o "$b/bin/peer" || return 1
    "$b/bin/llama-bench" -m "$model" -p 64 -n 2 -r 1 -t 1 -fa 1 > "$tmp/log" 2>&1 ||
        { say "llama.cpp built with $4 dies here: $(tail -n 1 "$tmp/log")"; return 1; }
    mkdir "$tmp/done" && cp "$b/bin/llama-bench" "$b/bin/peer" "$tmp/done/"
    echo "$4" > "$tmp/done/built.txt"
}

# The same CPU, compilers and recipe: the same build.
key=$({ echo $recipe; grep -m 1 -E '^(flags|Features|isa)' /proc/cpuinfo; cc --version; clang --version; } 2> /dev/null | sha256sum | cut -c 1-12)
dir=$cache/llama.cpp-$version-$key
if [ ! -f "$dir/built.txt" ]; then
    command -v cmake > /dev/null || give_up "cmake is missing (apt-get install cmake)"
    command -v c++ > /dev/null || give_up "c++ is missing (apt-get install g++)"
    mkdir -p "$cache" || give_up "$cache cannot be made"
    tmp=$(mktemp -d "$cache/llama.XXXXXX") || give_up "$cache cannot be written"
    trap 'rm -rf "$tmp"' EXIT
    trap 'exit 1' INT TERM HUP
    get_source
    with="$(cc --version | head -n 1), -O3 -march=native"
    new_clang=
    for v in 25 24 23 22 21 20 19; do [ -n "$new_clang" ] || ! command -v clang++-$v > /dev/null || new_clang=$v; done
    if ! has_amx; then
        build one cc c++ "$with (no AMX here)" || give_up "llama.cpp could not be built"
    elif build one cc c++ "$with, AMX"; then :
    elif [ -n "$new_clang" ] && build two clang-$new_clang clang++-$new_clang "clang $new_clang, -O3 -march=native, AMX"; then :
    else
        build three cc c++ "$with, without AMX: its AMX path dies here" "-mno-amx-tile -mno-amx-int8 -mno-amx-bf16" ||
            give_up "llama.cpp could not be built"
    fi
    rm -rf "$dir"
    mv "$tmp/done" "$dir" || give_up "$dir cannot be written"
fi
echo "$dir"
