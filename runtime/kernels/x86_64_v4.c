/* The unit of x86-64-v4 with AVX-512 VNNI. */
#include "portable.c"
#include "x86_64/avx512vnni.c"
#include "x86_64/avx512vnni_attention.c"
#include "x86_64/avx512vnni_planes.c"
#include "x86_64/avx512vnni_split.c"
#include "x86_64/avx512vnni_ternary.c"
#include "x86_64/avx512vnni_gemm.c"
