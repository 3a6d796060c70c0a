# What a model takes of a microcontroller: flash by section, and RAM with the deepest stack.
#
#     (size -A ALONE.elf; nm -S NAME.elf; cat *.ci) | awk -f size.awk root=NAME_run where=".start=itcm .weights=bram" -
#
# ALONE.elf is the model with its start-up code, without main.c.  Each .ci file is a call graph with the bytes of stack of each function, as
# gcc -fcallgraph-info=su writes it.  The deepest path from `root` is the stack of a run; what an interrupt needs comes on top.

function region_of(section,    i, n, word, pair)
{
    n = split(where, word, " ")
    for (i = 1; i <= n; i++) {
        split(word[i], pair, "=")
        if (pair[1] == section)
            return pair[2]
    }
    return ""
}

function trouble(what)
{
    print "size.awk: " what
    bad = 1
}

function from_hex(digits,    i, v)
{
    for (i = 1; i <= length(digits); i++)
        v = v * 16 + index("0123456789abcdef", tolower(substr(digits, i, 1))) - 1
    return v
}

# What gcc does not see: functions that are assembly throughout push what they save themselves (runtime/kernels/arm/helium*.c).
function pushed(f)
{
    sub(/^.*:/, "", f)
    return f ~ /^sn_tile.*_mve$/ ? 60 : f ~ /^sn_nine(_panel)?_mve$/ ? 104 : f == "sn_add_loop_mve" ? 100 : f == "sn_narrow_planes_mve" ? 68 : 0
}

# Bytes of the deepest path from f on; next_of[f] is its first step.
function deepest(f,    i, most, below)
{
    if (f in depth)
        return depth[f]
    if (f in open) {
        trouble("recursion through " f)
        return 0
    }
    if (f == "__indirect_call") {
        trouble("a call through a pointer: the stack is not known")
        return 0
    }
    if (!(f in bytes) && !(f in unknown)) {
        unknown[f] = 1
        foreign = foreign " " f
    }
    open[f] = 1
    most = 0
    for (i = 1; i <= n_called[f]; i++) {
        below = deepest(called[f, i])
        if (below > most) {
            most = below
            next_of[f] = called[f, i]
        }
    }
    delete open[f]
    bytes[f] += pushed(f)
    return depth[f] = bytes[f] + most
}

# size -A: .text 1234 5678
/^\./ && NF == 3 { size[$1] = $2; next }

# nm -S: address, bytes, kind, name
NF == 4 && $4 == "memory" && $3 ~ /^[bBdD]$/ {
    memory = from_hex($2)
    next
}

# node: { title: "kws.c:conv" label: "conv\nkws.c:12:5\n24 bytes (static)\n0 dynamic objects" }
/^node:/ {
    split($0, part, "\"")
    if (match(part[4], /[0-9]+ bytes \([a-z,]+\)/)) {
        split(substr(part[4], RSTART, RLENGTH), word, " ")
        bytes[part[2]] = word[1]
        if (word[3] != "(static)")
            dynamic[part[2]] = 1
    }
    next
}

/^edge:/ {
    split($0, part, "\"")
    called[part[2], ++n_called[part[2]]] = part[4]
}

END {
    n = split(where, section, " ")
    for (i = 1; i <= n; i++) {
        sub(/=.*/, "", section[i])
        if (section[i] in size) {
            printf "%-12s %-10s %8d\n", section[i], region_of(section[i]), size[section[i]]
            flash += section[i] == ".bss" ? 0 : size[section[i]]
            variables += section[i] ~ /^\.(data|bss|hot_)/ ? size[section[i]] : 0
        }
    }
    printf "%-23s %8d    start-up code with it, main.c without\n", "flash", flash
    if (!(root in bytes)) {
        print "stack                        not known (gcc's -fcallgraph-info=su tells)"
        exit
    }
    stack = deepest(root)
    printf "%-23s %8d\n%-23s %8d   ", "memory", memory, "stack", stack
    for (f = root; f != ""; f = next_of[f]) {
        name = f
        sub(/^.*:/, "", name)
        printf "%s %s %d", f == root ? "" : ",", name, bytes[f]
        if (f in dynamic)
            trouble(name " has a stack of no fixed size")
    }
    print ""
    if (foreign != "")
        print "without what these need (they are a library's):" foreign
    print "RAM " memory + stack + variables
    exit bad
}
