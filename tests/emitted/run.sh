#!/bin/sh
# If this fails, an emitted folder is not what was promised: it does not compile everywhere without a word, calls what it must not, is
# not the same twice, computes something else with more threads or on another CPU, or lets a model's text do more than be text.
#
#     tests/emitted/run.sh OBJ PART...      OBJ holds sinter and tests/emitted/{hostile,compare}
#
# PARTs are the files beside this one: exact folder same numbers hostile lookup head names sets (check-emitted), all-hostile sanitize cross
# (check-emitted-slow).  Several run at a time (JOBS, else the number of CPUs).  Ends with "N passed, N failed, N skipped".
set -u
obj=$(cd "$1" && pwd) || exit 1
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
sinter=$obj/sinter
hostile=$obj/tests/emitted/hostile
compare=$obj/tests/emitted/compare
story=$root/samples/model/story.gguf
text='Once upon a time there was a quiet boy'
clang=$(command -v clang || command -v clang-19 || command -v clang-16 || command -v clang-14 || :)
unset MAKEFLAGS MFLAGS MAKELEVEL CFLAGS obj_ 2> /dev/null || :
export CFLAGS=-O1
shift

passed=0 failed=0 skipped=0
good() { passed=$((passed + 1)); }
bad() { failed=$((failed + 1)); echo "FAIL $part: $1"; [ ! -s log ] || tail -n 6 log | cut -c 1-240 | sed 's/^/     | /'; }
skip() { skipped=$((skipped + 1)); echo "skipped $part: $1"; }
# that DESCRIPTION COMMAND...     exit 0
that() { what=$1; shift; : > log; if "$@" > log 2>&1; then good; else bad "$what"; fi; }
# quiet DESCRIPTION COMMAND...    exit 0 and not a word
quiet() { what=$1; shift; : > log; if "$@" > log 2>&1 && [ ! -s log ]; then good; else bad "$what"; fi; }
# none DESCRIPTION                the file `found` is empty
none() { cp found log; if [ ! -s found ]; then good; else bad "$1"; fi; }
# refuses STATUS PATTERN COMMAND...    that exit status, and a message
refuses() {
    status=$1 pattern=$2
    shift 2
    "$@" > log 2>&1
    got=$?
    if echo $got | grep -qx "$status" && grep -q -e "$pattern" log; then good; else bad "$*: exit $got, wanted $status and '$pattern'"; fi
}
build() { "$sinter" build "$@"; }
# logits PROGRAM FILE OPTIONS...
logits() { p=$1 f=$2; shift 2; "$p" -p "$text" -n 0 --logits "$f" "$@"; }
width() { sed -n "s/.*_N_VOCAB = \([0-9]*\),.*/\1/p" "$1"; }

if [ "${1:-}" = --part ]; then
    part=$2 work=$3
    mkdir -p "$work/$part" && cd "$work/$part" || exit 1
    . "$here/$part.sh"
    echo "$passed $failed $skipped" > "$work/$part.count"
    exit 0
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/check-emitted.XXXXXX") || exit 1
trap 'exit 1' INT TERM
printf '%s\n' "$@" | xargs -P "${JOBS:-$(getconf _NPROCESSORS_ONLN)}" -I PART sh -c '"$0" "$1" --part PART "$2" > "$2/PART.log" 2>&1' "$here/run.sh" "$obj" "$work"
for part; do
    cat "$work/$part.log"
    if read -r p f s < "$work/$part.count"; then
        passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    else
        echo "FAIL $part: did not end" && failed=$((failed + 1))
    fi
done
[ $failed = 0 ] && rm -rf "$work" || echo "what failed is in $work"
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ] && [ $passed -gt 0 ]
