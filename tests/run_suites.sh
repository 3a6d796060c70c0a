#!/bin/sh
# Runs suites of tests and adds up what they counted.
#
#   run_suites.sh WHEN...         those of tests/suites.txt whose `when` is one of these
#   run_suites.sh -- SUITE...     these
#
# Prints a line per suite, everything that a failed one printed, and at last "N passed, N failed, N skipped".  A suite is a make
# target.  Its counts are its lines of that form (a name and a colon may stand before) and cmocka's; it fails if make does, if a test
# was skipped that may not be, or if it counted nothing at all.  What it printed is kept in $obj/suites/SUITE.log.
# MAKE, obj, CC, CFLAGS, SANITIZE are obeyed.
set -u
list=$(dirname "$0")/suites.txt
obj=${obj:-build}
export obj
unset MAKEFLAGS MFLAGS
logs=$obj/suites
mkdir -p "$logs" || exit 1

rows() { sed 's/#.*//; /^ *$/d' "$list"; }
if [ "${1-}" = -- ]; then
    shift
    suites=$*
else
    suites=
    for when; do suites="$suites $(rows | awk -v when="$when" '$2 == when { print $1 }')"; done
fi

count() { # "passed failed skipped" of a log
    awk '{ sub(/\r$/, "") }
        /^([^:]+: )?[0-9]+ passed, [0-9]+ failed(, [0-9]+ skipped)?$/ {
            sub(/^[^:]+: /, ""); p += $1; f += $3; s += $5
        }
        /^\[  PASSED  \] [0-9]+ test/ { p += $4 }
        /^\[  FAILED  \] [0-9]+ test/ { f += $4 }
        /^\[  SKIPPED \] [0-9]+ test/ { s += $4 }
        END { print p + 0, f + 0, s + 0 }' "$1"
}

passed=0 failed=0 skipped=0
for suite in $suites; do
    log=$logs/$suite.log
    begun=$(date +%s%N)
    "${MAKE:-make}" --no-print-directory -j"$(getconf _NPROCESSORS_ONLN)" "$suite" > "$log" 2>&1 < /dev/null
    status=$?
    tenths=$((($(date +%s%N) - begun) / 100000000))
    read -r p f s << END
$(count "$log")
END
    why=
    if [ $status != 0 ]; then
        why="make says $status"
    elif [ "$f" != 0 ]; then
        why="$f failed, but make does not say so"
    elif [ $((p + f + s)) = 0 ]; then
        why="it counted no test"
    elif [ "$s" != 0 ] && [ "$(rows | awk -v suite="$suite" '$1 == suite { print $3 }')" != may ]; then
        why="$s skipped that may not be (tests/suites.txt)"
    fi
    [ -z "$why" ] || [ "$f" != 0 ] || f=1
    printf '%-4s  %-20s %4d.%d s  %6d passed %4d failed %4d skipped  %s\n' "$([ -z "$why" ] && echo ok || echo FAIL)" "$suite" \
        $((tenths / 10)) $((tenths % 10)) "$p" "$f" "$s" "$why"
    [ -z "$why" ] || grep -v '^\[ RUN      \]\|^\[       OK \]' "$log" | tail -n 200 | sed 's/^/    | /'
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
done
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ] && [ $passed != 0 ]
