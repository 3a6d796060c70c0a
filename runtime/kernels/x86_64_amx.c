/* The unit of x86-64-v4 with AVX-512 VNNI and AMX (int8). */
#include "x86_64_v4.c"
#include "x86_64/amx_tiles.c"
#include "x86_64/amx.c"
