# The kernels of one unit as rows for tests/kernels/test_kernels.c, from `kernel_reader DIR --list`.
# Usage: awk -v unit=avx2 -f table.awk
$1 == unit {
    split("", value)
    for (i = 3; i <= NF; i++) {
        split($i, pair, "=")
        sub(/,$/, "", pair[2])
        value[pair[1]] = pair[2]
    }
    tokens = value["tile"]
    sub(/^[0-9]+x/, "", tokens)
    printf "{ \"%s\", \"%s\", \"%s\", \"%s%s\", \"%s\", %d, (Fn)%s },\n", $2, value["op"], value["layout"], value["x"],
           value["kv"], value["isa"], tokens, $2
}
