/* The unit of 64-bit ARM, any CPU. */
#include "portable.c"
#include "aarch64/neon.c"
#include "aarch64/neon_planes.c"
#include "aarch64/neon_ternary.c"
#include "aarch64/neon_gemm.c"
