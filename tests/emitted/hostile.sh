# A model whose strings are payloads gives the same program as a harmless one.
#
# For each payload: the folder is built; every file but the few that quote the model is byte for byte the harmless one's, the C of those
# few is so without comments and numbers; what quotes the model is still JSON, HTML with the same tags, a Module that builds the folder.
# With all-hostile each is compiled and run; here one, in which every string is another payload.
all=${all:-}
mkdir -p outside/inside && cd outside/inside || exit 1
cc_for_text="gcc -std=c11 -D_GNU_SOURCE -trigraphs -Wall -Wextra -Wpedantic -fsyntax-only"

# A C file without comments, and without what differs between two weights files: digest, sizes, places (a longer tokenizer has one more
# hash in front of all weights).
plain() {
    gcc -fpreprocessed -dD -E -P "$1" 2> gcc.log | sed -e 's/\.digest = {.*}/.digest/' -e 's/[0-9][0-9][0-9][0-9]*/N/g'
    cat gcc.log
}
# What of a page is not text: if it is the same, no text has become a tag or an attribute.
marks() { tr -cd '<>"' < "$1"; }
shape() { python3 -c '
import json, sys
def shape(x):
    return {k: shape(v) for k, v in x.items()} if type(x) is dict else [shape(v) for v in x] if type(x) is list else type(x).__name__
print(shape(json.load(open(sys.argv[1], encoding="utf-8"))))' "$1"; }
clean() {
    [ -z "$(find ../.. . -name '*pwned*' | head -n 1)" ] && [ ! -e /pwned ] && [ ! -e /tmp/pwned ]
}

# check DIR: against harmless/h
check() {
    for f in harmless/h/*; do
        b=${f##*/}
        case $b in
        *.weights | *.sir) ;;
        h.c | h.h | h_portable.c) plain $f > want; plain "$1/$b" > have; that "$name: $b without comments" cmp want have ;;
        manifest.json) shape $f > want; shape "$1/$b" > have 2>&1; that "$name: $b has the same shape" cmp want have ;;
        report.html) marks $f > want; marks "$1/$b" > have; that "$name: $b has the same tags" cmp want have ;;
        *) that "$name: $b" cmp $f "$1/$b" ;;
        esac
    done
    LC_ALL=C grep -l '[^ -~[:space:]]' "$1"/*.c "$1"/*.h "$1"/Makefile "$1"/CMakeLists.txt > found; none "$name: sources are ASCII"
    LC_ALL=C grep -laP '[\x00-\x08\x0b-\x1f\x7f]' "$1"/*.c "$1"/*.h "$1"/*.html "$1"/*.json "$1"/*.sir > found; none "$name: no control characters"
    quiet "$name: gcc" $cc_for_text "$1/h.c"
    [ -z "$clang" ] || quiet "$name: clang" $clang ${cc_for_text#gcc} "$1/h.c"
    that "$name: builds from the .sir" build "$1/h.sir" -o again
    that "$name: from the .sir: the same bytes" diff -r "$1" again
    for o in '' --json --dot --ir; do
        "$sinter" inspect "$2" $o > out 2> err
        [ $? -lt 126 ]; ok=$?
        LC_ALL=C grep -laP '[\x00-\x08\x0b-\x1f\x7f]' out err > found
        [ $ok = 0 ] || echo 'ended by a signal' >> found
        none "$name: inspect $o writes no control characters"
    done
    "$sinter" inspect "$2" --json > out 2> err; that "$name: inspect --json is JSON" python3 -m json.tool out
}

# exit 0, or 1 with a message: never a signal
ends() { what=$1; shift; "$@" > log 2>&1; [ $? -le 1 ] && good || bad "$what"; }

# run DIR CC
run() {
    quiet "$name: make with $2" make -s -C "$1" CC="$2" CFLAGS=-O0
    head -c 300 payload > prompt
    ends "$name: the payload is a prompt" "$1/h" -f prompt --no-special -n 4 --ignore-eos
    ends "$name: a conversation" "$1/h" --chat -s "$(tr -d '\000' < prompt)" -p x -n 4
    ends "$name: options that are payloads" "$1/h" --weights "$(tr -d '\000' < prompt)/x" -p x
    { printf 'token 0 '; head -c 15000 payload; } > prompt
    "$1/h" -f prompt --tokenize > out 2> log; grep -vx 257 out > found; none "$name: the control token that is the payload is one token"
    that "$name: verify" "$sinter" verify "$1"
}

name=harmless
that 'a harmless model' "$hostile" 0 harmless.gguf
that 'builds' build harmless.gguf -t portable -o harmless/h
"$hostile" 0 none.gguf none                 # text.c has chat or has none: nothing else about it may depend on a string
that 'builds without a template' build none.gguf -t portable -o none/h
"$hostile" --raw 0 > payload
run harmless/h gcc
make -s -C harmless/h clean

"$hostile" --list | sed 1d > list
while read -r i name; do
    "$hostile" "$i" h.gguf
    rm -rf h
    that "$name: builds" build h.gguf -t portable -o h
    check h h.gguf
    for t in bare none; do
        "$hostile" "$i" t.gguf $t
        that "$name: builds, template $t" build t.gguf -t portable -o t/h
        cmp -s harmless/h/main.c t/h/main.c && { cmp -s harmless/h/text.c t/h/text.c || cmp -s none/h/text.c t/h/text.c; }
        that "$name: template $t: the same sources" test $? = 0
    done
    "$hostile" "$i" t.gguf merges
    "$sinter" build t.gguf -t portable -o t/h > log 2>&1
    [ $? -le 1 ]; ok=$?
    LC_ALL=C grep -aP '[\x00-\x08\x0b-\x1f\x7f]' log > found; [ $ok = 0 ] || echo signal >> found
    none "$name: raw merges are accepted or refused with a message that is plain text"
    if [ -n "$all" ]; then "$hostile" --raw "$i" > payload; run h gcc; fi
    that "$name: nothing else was done" clean
done < list

name=mixed
"$hostile" -1 h.gguf
rm -rf h
that "$name: builds" build h.gguf -t portable -o h
check h h.gguf
"$hostile" --list > list
"$hostile" --raw 1 > payload
quiet "$name: make with gcc" make -s -C h CC=gcc CFLAGS=-O0
that "$name: writes" h/h -p x -n 8 --ignore-eos
if [ -n "$clang" ]; then
    make -s -C h clean
    quiet "$name: make with clang" make -s -C h CC="$clang" CFLAGS=-O0
    ends "$name: writes" h/h --chat -p x -n 8 --ignore-eos
else skip 'clang is not installed'; fi
that "$name: nothing else was done" clean

# A Module's text is input, too: what its targets ask of make and CMake.
sed 's/^\(meta "target.0.cflags" = "[^"]*\)"/\1 $(shell touch pwned) `touch pwned`;touch pwned\\n\\ttouch pwned\\"${x}"/' h/h.sir > h/evil.sir
sed -i 's/^\(meta "target.0.cc" = "[^"]*\)"/\1;touch pwned #"/' h/evil.sir
cp h/h.weights h/evil.weights
that 'flags that are payloads: builds' build h/evil.sir -o evil/h
grep -e pwned h/evil.sir > log; that 'flags that are payloads: there are some' grep -q pwned h/evil.sir
make -s -C evil/h CFLAGS=-O0 > log 2>&1
grep -F -e '$(shell touch' -e '`touch' -e ';touch' -e '${x}' evil/h/Makefile evil/h/CMakeLists.txt > found; none 'flags that are payloads: none of it'
that 'flags that are payloads: nothing else was done' clean
