/* The unit of x86-64 with AVX2, FMA and F16C. */
#include "portable.c"
#include "x86_64/avx2.c"
#include "x86_64/avx2_ternary.c"
#include "x86_64/avx2_planes.c"
#include "x86_64/avx2_split.c"
#include "x86_64/avx2_gemm.c"
