#!/bin/sh
# Do hot loops keep their sums in registers, and do dot kernels ask for what they read next?  spills.sh OBJECT...
# Disassembles dot, score and mix kernels and looks into innermost loops (from a backward jump's target to the jump, with no
# other such loop inside) for vector registers that go to or come from the stack.  gcc 12 does that readily: half the speed.
# (A movq is no sum: gcc keeps pointers in vector registers where it has no others left.)
# It also drops calls of functions that only prefetch: a tenth to a quarter of the speed from memory.
passed=0 failed=0
for object in "$@"; do
    isa=${object##*/test-}
    isa=${isa%.o}
    out=$(objdump -d --no-show-raw-insn "$object" | awk -v isa="_$isa" '
        function judge(    i, k, inner, bad) {
            for (i = 1; i <= n_loops; i++) {
                inner = 1
                for (k = 1; k <= n_loops; k++)
                    if (k != i && from[k] >= from[i] && to[k] <= to[i])
                        inner = 0
                for (k = from[i]; inner && k <= to[i]; k++)
                    if (text[k] ~ /%[xyz]mm/ && text[k] ~ /\(%rsp/ && text[k] !~ /\tv?movq /)
                        bad = bad "\n    " text[k]
            }
            if (name ~ /^sn_dot/ && !asks)
                bad = bad "\n    never prefetches"
            if (name)
                print (bad ? "spills" : "clean"), name bad
        }
        /^[0-9a-f]+ <.*>:$/ {
            judge()
            name = $2
            gsub(/[<>:]/, "", name)
            if (name !~ /^sn_(dot|dot4|gemm|score|score4|score_turned|mix|mix4)_/ || substr(name, length(name) - length(isa) + 1) != isa)
                name = ""
            n = n_loops = asks = 0
            split("", at)
            next
        }
        name && /^ +[0-9a-f]+:/ {
            address = $1
            sub(":", "", address)
            text[++n] = $0
            asks = asks || /prefetch/
            at[address] = n
            if ($2 ~ /^j/ && $3 in at) {
                from[++n_loops] = at[$3]
                to[n_loops] = n
            }
        }
        END { judge() }')
    echo "$out" | grep -A 5 '^spills'
    passed=$((passed + $(echo "$out" | grep -c '^clean')))
    failed=$((failed + $(echo "$out" | grep -c '^spills')))
done
echo "registers in hot loops: $passed passed, $failed failed, 0 skipped"
[ $failed = 0 ]
