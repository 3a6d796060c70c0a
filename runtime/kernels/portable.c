/* The portable unit: plain C for any machine.  Every other unit begins with it. */
#include "portable/scalar.c"
#include "portable/row.c"
#include "portable/dot.c"
#include "portable/dot_planes.c"
#include "portable/dot_split.c"
#include "portable/ternary.c"
#include "portable/gemm.c"
#include "portable/attention.c"
