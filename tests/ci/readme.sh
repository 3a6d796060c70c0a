#!/bin/sh
# If this fails, the README promises something that is not so.
#
#   readme.sh OBJ
#
# The program in README.md is built as the README says, against the sample model in the place of SmolLM2, without a warning; it must say
# what the model's own program says.  The function that uses a network must compile.  Every `make TARGET` there must exist, and every link in README.md and docs/ lead to a file,
# and every suite that `make help` shows be in tests/suites.txt.
set -u
obj=$1
work=$obj/tests/readme
passed=0 failed=0
unset MAKEFLAGS MFLAGS
rm -rf "$work"
mkdir -p "$work" || exit 1
ok() { passed=$((passed + 1)); }
bad() { failed=$((failed + 1)); echo "FAIL: $*"; }

# block LANGUAGE [N]: all blocks in it, or the Nth
block() {
    awk -v lang="^\`\`\`$1( |\$)" -v which="${2:-0}" '/^```$/ { on = 0 } on && (!which || which == n) { print } $0 ~ lang { on = 1; n++ }' README.md |
        sed "s|build/demo/|$work/|g"
}
block c 1 > "$work/app.c"
block c 2 > "$work/listen.c"
block sh | grep '^cc ' | sed "s|app\.c|$work/app.c|; s|-o app|-Wall -Wextra -Wpedantic -Werror -o $work/app|" > "$work/cc.sh"
[ -s "$work/app.c" ] && [ -s "$work/cc.sh" ] || bad "README.md: there is no program, or no line that builds it"
if ! "$obj/sinter" build samples/model/story.gguf -o "$work/smollm2" > "$work/log" 2>&1 ||
    ! make -s -C "$work/smollm2" > "$work/log" 2>&1 || ! sh -e "$work/cc.sh" > "$work/log" 2>&1; then
    bad "README.md: its program does not build: $(head -n 5 "$work/log")"
else
    question=$(sed -n 's/.*"user", "\(.*\)".*/\1/p' "$work/app.c")
    "$work/app" > "$work/have" 2>&1
    "$work/smollm2/smollm2" --chat -p "$question" > "$work/want" 2> /dev/null
    if [ -s "$work/want" ] && cmp -s "$work/have" "$work/want"; then ok; else bad "README.md: its program says: $(head -c 200 "$work/have")"; fi
fi

if "$obj/sinter" build tests/models/tflite/conv_same.tflite -t portable --name kws -o "$work/kws" > "$work/log" 2>&1 &&
    cc -std=c99 -Wall -Wextra -Wpedantic -Werror -I "$work/kws" -c "$work/listen.c" -o "$work/listen.o" 2> "$work/log"; then
    ok
else
    bad "README.md: its function for a network does not compile: $(head -n 5 "$work/log")"
fi

make --no-print-directory help > "$work/help"
for target in $(grep -oh '`make [a-z][a-z-]*[` ]' README.md docs/building.md | tr -d '`' | sort -u | sed 's/make //'); do
    if grep -q "^  $target " "$work/help"; then ok; else bad "README.md: there is no 'make $target'"; fi
done
for file in README.md docs/*.md; do
    for link in $(sed '/^```/,/^```$/d; s/`[^`]*`//g' "$file" | grep -o '](\([^)#]*\)' | sed 's/](//; /^[a-z]*:/d'); do
        if [ -e "$(dirname "$file")/$link" ]; then ok; else bad "$file links to $link"; fi
    done
done
for suite in $(sed -n 's/^  \(check-[a-z-]*\) .*/\1/p' "$work/help"); do
    if grep -q "^$suite " tests/suites.txt; then ok; else bad "nobody runs $suite: it is not in tests/suites.txt"; fi
done
echo "$passed passed, $failed failed, 0 skipped"
[ $failed = 0 ]
