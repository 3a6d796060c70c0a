#!/bin/sh
# Does the kernel reader refuse what it must?  broken.sh READER SCRATCH
# Each case breaks one rule in a copy of the library; the reader must fail and name the reason.
reader=$1
scratch=$2
passed=0 failed=0
try() {                     # try REASON: the text on standard input is appended to portable/attention.c
    rm -rf "$scratch"
    cp -r runtime/kernels "$scratch"
    cat >> "$scratch/portable/attention.c"
    if "$reader" "$scratch" > /dev/null 2> "$scratch/errors"; then
        echo "accepted, though: $1"
        failed=$((failed + 1))
    elif ! grep -q -- "$1" "$scratch/errors"; then
        echo "rejected for another reason than '$1':"
        cat "$scratch/errors"
        failed=$((failed + 1))
    else
        passed=$((passed + 1))
    fi
}
try 'function-like macro' <<'END'
#define TWICE(x) ((x) + (x))
END
try 'condition inside' <<'END'
static inline int sn_f(int x)
{
#ifdef __AVX2__
    x++;
#endif
    return x;
}
END
try 'one declarator' <<'END'
static const int sn_a = 1, sn_b = 2;
END
try "no key 'layuot'" <<'END'
SN_KERNEL(op=max, layuot=x, isa=portable, order=exact)
static inline int sn_f(int x) { return x; }
END
try 'lacks op or order' <<'END'
SN_KERNEL(op=max, isa=portable)
static inline int sn_f(int x) { return x; }
END
try 'not one of this unit' <<'END'
SN_KERNEL(op=max, isa=sse9, order=exact)
static inline int sn_f(int x) { return x; }
END
try 'is not ROWSxTOKENS' <<'END'
SN_KERNEL(op=max, tile=32, isa=portable, order=exact)
static inline int sn_f(int x) { return x; }
END
try 'undeclared' <<'END'
static inline int sn_f(void) { return sn_missing; }
END
rm -rf "$scratch"
echo "broken kernel files: $passed passed, $failed failed, 0 skipped"
[ $failed = 0 ]
