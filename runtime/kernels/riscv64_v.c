/* The unit of 64-bit RISC-V with vectors. */
#include "portable.c"
#include "riscv64/rvv.c"
#include "riscv64/rvv_planes.c"
#include "riscv64/rvv_ternary.c"
#include "riscv64/rvv_floats.c"
#include "riscv64/rvv_row.c"
