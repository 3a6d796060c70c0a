#!/bin/sh
# How many instructions a call of a function takes, on an emulated board.
#
#     tests/firmware/count.sh ICOUNT_SO ELF FUNCTION QEMU...        prints "calls last loads stores" of FUNCTION
#
# QEMU... is the command that runs ELF, without ELF (a board's `run`).  Counts are exact: the same every time.
set -u
[ $# -gt 3 ] || { sed -n '2,6s/^# *//p' "$0" >&2; exit 2; }
so=$1 elf=$2 name=$3
shift 3
address=$(nm "$elf" 2> /dev/null | awk -v name="$name" '$3 == name { print "0x" $1 }')
[ -n "$address" ] || { echo "count.sh: no function '$name' in $elf" >&2; exit 1; }
"$@" "$elf" -plugin "$so,function=$address,memory=on" 2>&1 | awk -v name="$name" '
    /^icount: calls/ { calls = $3; last = $5 }
    /^icount: loads/ { print calls, last, $3, $5; done = 1 }
    END { if (!done || calls == 0) { print "count.sh: " name " never returned" > "/dev/stderr"; exit 1 } }'
