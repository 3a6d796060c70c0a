#!/bin/sh
# If this fails, weights or memory lie elsewhere than `--place` said, or are not there when the model runs.
#
#     tests/firmware/place.sh OBJ
#
# A model on boards with several memories: where its arrays lie (nm), what it computes from there (QEMU), what does not fit, what is refused.
set -u
obj=$(cd "$1" && pwd) || exit 1
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"
data=$(cd "${SINTER_DATA:-$here/../../../shared}" 2> /dev/null && pwd)/models/mlperf-tiny
work=$(mktemp -d "${TMPDIR:-/tmp}/place.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
cd "$work" || exit 1
if [ ! -f "$data/kws_ref_model.tflite" ] || ! has arm-none-eabi-gcc || ! has qemu-system-arm; then
    skip "no kws, arm-none-eabi-gcc or qemu-system-arm"
    finish
    exit
fi

sinter() { "$obj/sinter" build "$data/kws_ref_model.tflite" -o kws --name kws "$@" > log 2>&1; }

# folder TARGET WORDS...     built and run: the recorded bytes
folder() {
    rm -rf kws
    sinter -t "$@" && make -s -C kws > log 2>&1 && cp "$data/kws.in" kws/in || { bad "$*: does not build"; cat log; return; }
    # shellcheck disable=SC2046 -- a command with its options
    (cd kws && timeout 60 $(command_of mps3-an547) kws.elf -append "--in in --out have") > log 2>&1 && cmp kws/have "$data/kws.out" > log 2>&1 && ok ||
        { bad "$*: other outputs than recorded"; cat log; }
}

# lies SYMBOL FROM TO     its address, as eight hexadecimal digits
lies() {
    at=$(nm kws/kws.elf | awk -v name="$1" '$3 == name { print $1 }')
    [ -n "$at" ] && [ "$(printf '%s\n' "$2" "$at" "$3" | sort | sed -n 2p)" = "$at" ] && ok || bad "$1 lies at '$at', not in $2..$3"
}

refused() {
    want=$1
    shift
    sinter "$@" && bad "$* is not refused"
    grep -q -- "$want" log && ok || { bad "$*: not '$want' but:"; cat log; }
}

folder mps3-an547
lies kws_conv_2d_0_weights 01000000 011fffff
lies memory 20000000 2007ffff
bytes=$(awk '$4 == "bytes" && $5 == "in" { n += $3 } $3 == "bytes" && $4 == "in" { n += $2 } END { print n }' kws/kws.ld)
grep -q '^ \*   conv_2d_0  *[0-9]* bytes  in bram  *125 reads$' kws/kws.ld && ok || bad "the plan is not in kws.ld"

folder mps3-an547 --place weights=qspi,conv_2d_0=ddr,memory=sram
lies kws_conv_2d_0_weights 60000000 6fffffff
lies kws_fully_connected_11_weights 28000000 287fffff
lies memory 21000000 213fffff

folder mps3-an547 --place hot=sram
lies kws_conv_2d_0_weights 21000000 213fffff
make -s -C kws size > log 2>&1 && grep -q '^\.hot_sram  *sram  *[0-9]' log && ok || { bad "make size does not show .hot_sram"; cat log; }

# A board like that one, whose flash is too small for all: the layer that is read once goes elsewhere, the others stay; half of them fit into fast RAM.
"$obj/sinter" targets mps3-an547 | sed 's/^name: .*/name: small/; s/name: bram, base: 0x01000000, bytes: [0-9]*/name: bram, base: 0x01000000, bytes: '$((bytes - 16))'/; s/name: sram, base: 0x21000000, bytes: [0-9]*/name: sram, base: 0x21000000, bytes: 12K/' > small.yaml
folder ./small.yaml
lies kws_conv_2d_0_weights 01000000 010fffff
lies kws_fully_connected_11_weights 00000000 0007ffff
folder ./small.yaml --place hot=sram
lies kws_conv_2d_2_weights 21000000 21002fff
lies kws_conv_2d_8_weights 01000000 010fffff

refused "no region 'flush'" -t mps3-an547 --place weights=flush
refused "no stage 'conv'" -t mps3-an547 --place conv=ddr
refused 'takes WHAT=REGION' -t mps3-an547 --place weights
refused 'weights lie in flash or external memory' -t mps3-an547 --place weights=dtcm
refused 'needs a region of kind ram' -t mps3-an547 --place memory=ddr
refused 'copied into RAM' -t mps3-an547 --place hot=ddr
refused 'is for boards' -t cortex-m55 --place weights=ddr
finish
