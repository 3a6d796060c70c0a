/* The unit of 64-bit ARM with the dot product instructions. */
#include "portable.c"
#include "aarch64/neon.c"
#include "aarch64/neon_planes.c"
#include "aarch64/neon_ternary.c"
#include "aarch64/dotprod.c"
#include "aarch64/dotprod_planes.c"
#include "aarch64/dotprod_ternary.c"
