/* AMX's instructions, each a function: what amx.c computes with, and what the emulation in tests/kernels replaces.
 *
 * Eight tiles of up to 16 rows of 64 bytes [Intel SDM vol. 2, AMX].  Which are what:
 *
 *                        B 6            B 7             B: 16 rows of 16 x 4 columns, unsigned: 64 columns of 16 weights' rows
 *                  +-------------+-------------+
 *            A 4   |     C 0     |     C 1     |        A: 16 tokens x 64 columns, signed
 *                  +-------------+-------------+
 *            A 5   |     C 2     |     C 3     |        C: 16 tokens x 16 sums of 32 bits
 *                  +-------------+-------------+
 *
 * Assembler with a "memory" clobber: gcc 12's intrinsics lack it, and the shape is not in memory when it is loaded.  Compilers
 * know nothing of the tiles' contents, so none may be live where another function could use them.  A tile's number is part of its
 * instruction: where these functions are inlined the switch is gone. */
#include <immintrin.h>
#include "../kernel.h"

/* What each tile is: its rows, and the bytes of a row. */
typedef struct {
    uint8_t palette;                                /* 1 */
    uint8_t start_row;
    uint8_t zero[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} SnTiles;
_Static_assert(sizeof(SnTiles) == 64, "SnTiles has no padding");

__attribute__((always_inline))
static inline void sn_tiles_begin_amx(const SnTiles *shape)
{
    __asm__ volatile("ldtilecfg %0" : : "m"(*shape) : "memory");
}

/* The tiles' shape as it is; palette 0 where there is none. */
__attribute__((always_inline))
static inline void sn_tiles_shape_amx(SnTiles *shape)
{
    __asm__ volatile("sttilecfg %0" : "=m"(*shape) : : "memory");
}

/* Until there is another shape, no tile may be used; the system need not save them, and cores may sleep deeply. */
__attribute__((always_inline))
static inline void sn_tiles_end_amx(void)
{
    __asm__ volatile("tilerelease" : : : "memory");
}

/* C[c] = 0 */
__attribute__((always_inline))
static inline void sn_tile_zero_amx(int c)
{
    switch (c) {
    case 0: __asm__ volatile("tilezero %%tmm0" : : : "memory"); break;
    case 1: __asm__ volatile("tilezero %%tmm1" : : : "memory"); break;
    case 2: __asm__ volatile("tilezero %%tmm2" : : : "memory"); break;
    default: __asm__ volatile("tilezero %%tmm3" : : : "memory"); break;
    }
}

/* Tile 4 .. 7 from rows that begin `stride` bytes apart. */
__attribute__((always_inline))
static inline void sn_tile_load_amx(int tile, const void *p, intptr_t stride)
{
    switch (tile) {
    case 4: __asm__ volatile("tileloadd (%0,%1,1), %%tmm4" : : "r"(p), "r"(stride) : "memory"); break;
    case 5: __asm__ volatile("tileloadd (%0,%1,1), %%tmm5" : : "r"(p), "r"(stride) : "memory"); break;
    case 6: __asm__ volatile("tileloadd (%0,%1,1), %%tmm6" : : "r"(p), "r"(stride) : "memory"); break;
    default: __asm__ volatile("tileloadd (%0,%1,1), %%tmm7" : : "r"(p), "r"(stride) : "memory"); break;
    }
}

/* C[c] += A B, of the A in its row and the B in its column above. */
__attribute__((always_inline))
static inline void sn_tile_add_amx(int c)
{
    switch (c) {
    case 0: __asm__ volatile("tdpbsud %%tmm6, %%tmm4, %%tmm0" : : : "memory"); break;
    case 1: __asm__ volatile("tdpbsud %%tmm7, %%tmm4, %%tmm1" : : : "memory"); break;
    case 2: __asm__ volatile("tdpbsud %%tmm6, %%tmm5, %%tmm2" : : : "memory"); break;
    default: __asm__ volatile("tdpbsud %%tmm7, %%tmm5, %%tmm3" : : : "memory"); break;
    }
}

/* C[c] to rows that begin `stride` bytes apart. */
__attribute__((always_inline))
static inline void sn_tile_store_amx(int c, void *p, intptr_t stride)
{
    switch (c) {
    case 0: __asm__ volatile("tilestored %%tmm0, (%0,%1,1)" : : "r"(p), "r"(stride) : "memory"); break;
    case 1: __asm__ volatile("tilestored %%tmm1, (%0,%1,1)" : : "r"(p), "r"(stride) : "memory"); break;
    case 2: __asm__ volatile("tilestored %%tmm2, (%0,%1,1)" : : "r"(p), "r"(stride) : "memory"); break;
    default: __asm__ volatile("tilestored %%tmm3, (%0,%1,1)" : : "r"(p), "r"(stride) : "memory"); break;
    }
}
