#!/bin/sh
# Golden tests: IR text in, IR text or a message out.
#
#   run.sh [--bless] SINTER [FILE.sir | FILE.md ...]       default: every .sir below tests/golden, and docs/ir.md
#
# A .sir file states what is done with it and what must come out:
#
#   # RUN: sinter opt %s --pass canonicalize               one or more; run in order, outputs one after another
#   # RUN: not sinter opt %s                               exit 1 is expected, and the message is the output
#   # NEEDS: aarch64-linux-gnu-gcc                         skipped where this command is missing
#   # >>>                                                  the expectation: each line after "# "
#   # <<<
#
# %s is the file's path below the repository's root, where everything runs.  --bless writes what came out into the file.
# In a .md file every block fenced with ```sir must be accepted by `sinter opt` and come back as the same text, comments apart.
set -u
bless=
[ "${1-}" != --bless ] || { bless=1; shift; }
sinter=${1:?run.sh [--bless] SINTER [FILE ...]}
shift
case $sinter in /*) ;; *) sinter=$PWD/$sinter ;; esac
cd "$(dirname "$0")/../.." || exit 1
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
n_pass=0 n_fail=0 n_skip=0
[ -x "$sinter" ] || { echo "run.sh: $sinter is not a program" >&2; exit 1; }

report() { # name ok
    if [ "$2" = 0 ]; then
        n_pass=$((n_pass + 1))
    else
        n_fail=$((n_fail + 1))
        echo "FAIL $1"
        sed 's/^/    /' "$tmp/why"
    fi
}

# Runs every RUN line of $1; their outputs go to $tmp/out.  Returns 1 with $tmp/why when an exit status is wrong.
run_lines() {
    : > "$tmp/out"
    sed -n 's/^# RUN: //p' "$1" > "$tmp/lines"
    if [ ! -s "$tmp/lines" ]; then
        echo "it has no RUN line" > "$tmp/why"
        return 1
    fi
    while IFS= read -r line; do
        want=0
        case $line in "not "*) want=1 line=${line#not } ;; esac
        case $line in
        "sinter "*) ;;
        *) echo "this RUN line does not begin with sinter: $line" > "$tmp/why"; return 1 ;;
        esac
        set -f
        # shellcheck disable=SC2086 -- words are what is wanted
        set -- "$1" ${line#sinter }
        set +f
        file=$1
        shift
        for word; do
            shift
            [ "$word" != %s ] || word=$file
            set -- "$@" "$word"
        done
        "$sinter" "$@" > "$tmp/stdout" 2> "$tmp/stderr" < /dev/null
        status=$?
        set -- "$file"
        if [ $status != $want ]; then
            { echo "exit $status, not $want: $line"; cat "$tmp/stderr"; } > "$tmp/why"
            return 1
        fi
        if [ $want = 0 ]; then cat "$tmp/stdout"; else cat "$tmp/stderr"; fi >> "$tmp/out"
    done < "$tmp/lines"
}

golden() {
    needs=$(sed -n 's/^# NEEDS: //p' "$1")
    for command in $needs; do
        command -v "$command" > /dev/null || { n_skip=$((n_skip + 1)); echo "SKIP $1 ($command is missing)"; return; }
    done
    run_lines "$1" || { report "$1" 1; return; }
    sed 's/^/# /; s/ *$//' "$tmp/out" > "$tmp/have"
    if ! grep -q '^# >>>$' "$1" || ! grep -q '^# <<<$' "$1"; then
        echo "it has no expectation (# >>> and # <<<)" > "$tmp/why"
        report "$1" 1
        return
    fi
    if [ "$bless" ]; then
        awk -v have="$tmp/have" '/^# <<<$/ { skip = 0 } !skip { print }
            /^# >>>$/ { skip = 1; while ((getline line < have) > 0) print line }' "$1" > "$tmp/blessed"
        cmp -s "$tmp/blessed" "$1" || { cp "$tmp/blessed" "$1"; echo "blessed $1"; }
    fi
    sed -n '/^# >>>$/,/^# <<<$/p' "$1" | sed '1d;$d' > "$tmp/want"
    diff -u "$tmp/want" "$tmp/have" > "$tmp/why"
    report "$1" $?
}

example() {
    rm -f "$tmp"/example-*
    awk -v dir="$tmp" '/^```sir$/ { n++; on = 1; next } /^```/ { on = 0 } on { print > (dir "/example-" n ".sir") }' "$1"
    for e in "$tmp"/example-*.sir; do
        [ -e "$e" ] || { echo "it has no examples" > "$tmp/why"; report "$1" 1; return; }
        sed 's/ *#.*//; /^$/d' "$e" > "$tmp/want"
        if "$sinter" opt "$e" > "$tmp/have" 2> "$tmp/why"; then
            diff -u "$tmp/want" "$tmp/have" > "$tmp/why"
        else
            false
        fi
        report "$1: $(basename "$e" .sir)" $?
    done
}

[ $# -gt 0 ] || set -- $(find tests/golden -name '*.sir' | LC_ALL=C sort) docs/ir.md
for file; do
    case $file in
    *.sir) golden "$file" ;;
    *.md) example "$file" ;;
    esac
done
echo "$n_pass passed, $n_fail failed, $n_skip skipped"
[ $n_fail = 0 ] && [ $n_pass -gt 0 ]
