#!/bin/sh
# Is what the compiler made of the AMX kernels what was meant?  amx.sh OBJECT    (runtime/kernels/x86_64_amx.c, compiled)
# No machine here runs it, and the emulation replaces the instructions; so they are read: the tiles of every product, which tiles are
# loaded, zeroed and stored, that a shape comes first and that gemm_end gives it back, and that loops of products touch neither the
# stack nor a vector register.
failed=0 passed=0
code() { objdump -d --no-show-raw-insn "$object" | awk -v name="<$1>:" '$2 == name { p = 1; next } /^$/ { p = 0 } p'; }
# same WHAT WANTED GOT     GOT's lines, sorted, each once, are the words of WANTED
same() {
    got=$(echo "$3" | sort -u | tr '\n' ' ' | sed 's/ *$//')
    if [ "$got" = "$2" ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAIL $1: '$got', wanted '$2'"; fi
}
object=$1
gemm=$(code sn_gemm_i8_amx)
same products '%tmm6,%tmm4,%tmm0 %tmm6,%tmm5,%tmm2 %tmm7,%tmm4,%tmm1 %tmm7,%tmm5,%tmm3' \
    "$(echo "$gemm" | awk '$2 == "tdpbsud" { print $3 }')"
same loads '%tmm4 %tmm5 %tmm6 %tmm7' "$(echo "$gemm" | awk '$2 == "tileloadd" { sub(/.*,/, "", $3); print $3 }')"
same zeros '%tmm0 %tmm1 %tmm2 %tmm3' "$(echo "$gemm" | awk '$2 == "tilezero" { print $3 }')"
same stores '%tmm0 %tmm1 %tmm2 %tmm3' "$(echo "$gemm" | awk '$2 == "tilestored" { sub(/,.*/, "", $3); print $3 }')"
# The shape is looked at and set, here or in what is inlined or called, and nowhere else is a tile used.
same shapes 'ldtilecfg sttilecfg' "$({ echo "$gemm"; code sn_shape_tiles_amx; } | grep -o -w 'sttilecfg\|ldtilecfg\|tilerelease')"
same 'other functions with tiles' '' "$(objdump -d --no-show-raw-insn "$object" |
    awk '/^[0-9a-f]+ <.*>:$/ { name = $2 } /\t(tile|tdp|ldtile|sttile)/ { gsub(/[<>:]/, "", name); print name }' |
    grep -v -x 'sn_gemm_i8_amx\|sn_shape_tiles_amx\|sn_gemm_end_amx')"
# Innermost loops with products: loads of tiles, products and integer registers, nothing else.
same loops '2 products 4 products' "$(echo "$gemm" | awk '
    { address = $1; sub(":", "", address); text[NR] = $0; op[NR] = $2; at[address] = NR }
    $2 ~ /^j/ && $3 in at { from[++n] = at[$3]; to[n] = NR }
    END {
        for (l = 1; l <= n; l++) {
            inner = 1
            for (k = 1; k <= n; k++)
                inner = inner && !(k != l && from[k] >= from[l] && to[k] <= to[l])
            products = bad = 0
            for (i = from[l]; i <= to[l]; i++) {
                products += op[i] ~ /^tdp/
                bad += text[i] ~ /[xyz]mm[0-9]/ || text[i] ~ /\(%r[sb]p/ || op[i] ~ /^(call|tilezero|tilestored)/
            }
            if (inner && products) print products (bad ? " and more" : " products")
        }
    }')"
echo "AMX instructions: $passed passed, $failed failed, 0 skipped"
[ $failed = 0 ]
