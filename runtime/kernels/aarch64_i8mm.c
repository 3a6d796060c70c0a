/* The unit of 64-bit ARM with dot product and 8-bit matrix product instructions. */
#include "portable.c"
#include "aarch64/neon.c"
#include "aarch64/neon_planes.c"
#include "aarch64/dotprod.c"
#include "aarch64/dotprod_planes.c"
#include "aarch64/dotprod_ternary.c"
#include "aarch64/i8mm.c"
#include "aarch64/i8mm_planes.c"
