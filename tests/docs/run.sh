#!/bin/sh
# Runs the commands that the documents show, so that none of them is wrong for whoever types it.
#
#   run.sh SINTER [FILE.md ...]            default: README.md and docs/*.md
#
# Fenced blocks are marked by what stands behind the language:
#
#   ```sh run              run.  Lines that begin with "$ " are commands (a \ at the end goes on); what follows one is what it
#                          prints, standard error included: compared exactly, but "[...]" is any text, over lines, too.  A
#                          command that shows nothing may print anything.  "# exit 3" at a command's end: that exit status.
#                          A block without "$ " is one script.
#   ```LANGUAGE file=NAME  becomes the file NAME
#   <!-- sh run: COMMAND --> run, and not shown to the reader
#   ```sh sketch           not run.  Any other block with a line that begins with "sinter " or "$ sinter " is a mistake.
#
# Each document has a folder of its own, in which blocks run in order.  sinter is on the PATH; model.gguf, m.gguf and story.gguf are
# the sample model.  Nothing reaches a network or the user's cache.
set -u
sinter=${1:?run.sh SINTER [FILE.md ...]}
shift
sinter=$(cd "$(dirname "$sinter")" && pwd)/$(basename "$sinter") || exit 1
cd "$(dirname "$0")/../.." || exit 1
root=$PWD
[ -x "$sinter" ] || { echo "run.sh: $sinter is not a program" >&2; exit 1; }
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
mkdir "$tmp/bin" "$tmp/home" "$tmp/cache"
ln -s "$sinter" "$tmp/bin/sinter"
PATH=$tmp/bin:$PATH HOME=$tmp/home XDG_CACHE_HOME=$tmp/cache SINTER_OFFLINE=1 LC_ALL=C
export PATH HOME XDG_CACHE_HOME SINTER_OFFLINE LC_ALL
unset MAKEFLAGS MFLAGS MAKELEVEL obj V SANITIZE 2> /dev/null
n_pass=0 n_fail=0

# Cuts $1 into steps in folder $2: N.cmd with N.want (if the document shows what it prints), N.exit; or N.file (a name) with N.text.
# N.line is where it stands.  Mistakes in the marks go to `mistakes`.
cut_up() {
    awk -v dir="$2" -v doc="$1" '
        function begin() { n++; base = sprintf("%s/%04d", dir, n); print NR > (base ".line"); wanted = 0 }
        function command(text) {
            if (match(text, / *# exit [0-9]+$/)) {
                print substr(text, RSTART + RLENGTH - 1) + 0 > (base ".exit")
                text = substr(text, 1, RSTART - 1)
            }
            print text > (base ".cmd")
            more = text ~ /\\$/
        }
        !on && /^ *```[a-z]/ {
            on = 1; kind = "shown"; shell = script = 0
            indent = index($0, "`") - 1
            if ($0 ~ /^ *```sh run$/) kind = "run"
            else if ($0 ~ /^ *```sh sketch$/) kind = "sketch"
            else if (match($0, /file=[^ ]+$/)) {
                kind = "file"; begin()
                print substr($0, RSTART + 5) > (base ".file"); printf "" > (base ".text")
            }
            next
        }
        !on && /^ *```/ { on = 1; kind = "shown"; indent = index($0, "`") - 1; next }
        on && /^ *```$/ { on = 0; more = 0; next }
        !on && /^ *<!-- sh run: .* -->$/ {
            begin()
            sub(/^ *<!-- sh run: /, "")
            sub(/ -->$/, "")
            command($0)
            next
        }
        !on { next }
        { line = substr($0, indent + 1) }
        kind == "shown" && line ~ /^(\$ )?sinter / {
            printf "%s:%d: is it run? (mark the block: sh run, or sh sketch)\n", doc, NR > (dir "/mistakes")
        }
        kind == "file" { print line > (base ".text") }
        kind != "run" { next }
        more { command(line); next }
        line ~ /^\$ / { begin(); shell = 1; command(substr(line, 3)); next }
        shell { print line > (base ".want"); next }
        { if (!script) begin(); script = 1; print line > (base ".cmd") }' "$1"
}

# Is $1 (what was printed) what $2 (what the document shows) says?  Parts between "[...]" are found from left to right, the last one at
# the end.
same_text() {
    awk -v want="$2" '
        BEGIN {
            while ((getline line < want) > 0) text = text line "\n"
            n = split(text, part, /\[\.\.\.\]/)
        }
        { have = have $0 "\n" }
        END {
            if (n == 1) exit have == text ? 0 : 1
            if (substr(have, 1, length(part[1])) != part[1]) exit 1
            have = substr(have, length(part[1]) + 1)
            for (i = 2; i < n; i++) {
                at = index(have, part[i])
                if (part[i] != "" && !at) exit 1
                if (at) have = substr(have, at + length(part[i]))
            }
            from = length(have) - length(part[n]) + 1
            exit from > 0 && substr(have, from) == part[n] ? 0 : 1
        }' "$1"
}

failed() { # where
    n_fail=$((n_fail + 1))
    echo "FAIL $1"
    sed 's/^/    /' "$tmp/why"
}

document() {
    doc=$1
    steps=$tmp/steps work=$tmp/work
    rm -rf "$steps" "$work"
    mkdir "$steps" "$work"
    for name in model m story; do cp "$root/samples/model/story.gguf" "$work/$name.gguf"; done
    cut_up "$doc" "$steps"
    if [ -e "$steps/mistakes" ]; then
        cp "$steps/mistakes" "$tmp/why"
        failed "$doc"
    fi
    for line in "$steps"/*.line; do
        [ -e "$line" ] || break
        step=${line%.line}
        where=$doc:$(cat "$line")
        if [ -e "$step.file" ]; then
            mkdir -p "$work/$(dirname "$(cat "$step.file")")"
            cp "$step.text" "$work/$(cat "$step.file")"
            continue
        fi
        want=0
        [ ! -e "$step.exit" ] || want=$(cat "$step.exit")
        (cd "$work" && exec timeout 300 sh -e "$step.cmd") > "$tmp/have" 2>&1 < /dev/null
        status=$?
        if [ $status != "$want" ]; then
            { sed 's/^/$ /' "$step.cmd"; echo "exit $status, not $want"; tail -n 20 "$tmp/have"; } > "$tmp/why"
            failed "$where"
        elif [ -e "$step.want" ] && ! same_text "$tmp/have" "$step.want"; then
            { sed 's/^/$ /' "$step.cmd"; diff -u --label shown --label printed "$step.want" "$tmp/have"; } > "$tmp/why"
            failed "$where"
        else
            n_pass=$((n_pass + 1))
        fi
    done
}

[ $# -gt 0 ] || set -- README.md docs/*.md
for file; do
    document "$file"
done
echo "$n_pass passed, $n_fail failed, 0 skipped"
[ $n_fail = 0 ] && [ $n_pass -gt 0 ]
