/* The unit `amx` with its instructions replaced by plain C, so that its kernels run on every machine with AVX-512 VNNI.
 *
 * If this fails, the kernels break a rule of AMX: a shape that ldtilecfg refuses, tiles that do not fit each other, use without a
 * shape (each traps on hardware), or they compute something else than their twins.
 *
 * The functions are those of runtime/kernels/x86_64/amx_tiles.c; what each does, and when it traps, is the instruction's page
 * in [Intel SDM vol. 2]. */
#include "runtime/kernels/x86_64_v4.c"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    uint8_t palette;
    uint8_t start_row;
    uint8_t zero[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} SnTiles;

static SnTiles tiles_shape;                     /* palette 0: none */
static uint8_t tile_data[8][16][64];

#define TRAP_IF(bad) do { if (bad) { printf("AMX would trap: %s, line %d\n", #bad, __LINE__); abort(); } } while (0)

static inline void sn_tiles_begin_amx(const SnTiles *shape)
{
    static const uint8_t zero[16];

    TRAP_IF(shape->palette != 1 || shape->start_row || memcmp(shape->zero, zero, sizeof shape->zero));
    TRAP_IF(memcmp(shape->row_bytes + 8, zero, 16) || memcmp(shape->rows + 8, zero, 8));
    for (int i = 0; i < 8; i++)
        TRAP_IF(shape->rows[i] > 16 || shape->row_bytes[i] > 64 || !shape->rows[i] != !shape->row_bytes[i]);
    tiles_shape = *shape;
    memset(tile_data, 0, sizeof tile_data);
}

static inline void sn_tiles_shape_amx(SnTiles *shape)
{
    *shape = tiles_shape;
}

static inline void sn_tiles_end_amx(void)
{
    memset(&tiles_shape, 0, sizeof tiles_shape);
    memset(tile_data, 0xa5, sizeof tile_data);
}

static inline void emulate_check(int tile)
{
    TRAP_IF(tiles_shape.palette != 1 || tile < 0 || tile > 7 || !tiles_shape.rows[tile] || tiles_shape.row_bytes[tile] % 4);
}

static inline void sn_tile_zero_amx(int c)
{
    emulate_check(c);
    memset(tile_data[c], 0, sizeof tile_data[c]);
}

static inline void sn_tile_load_amx(int tile, const void *p, intptr_t stride)
{
    emulate_check(tile);
    memset(tile_data[tile], 0, sizeof tile_data[tile]);
    for (int i = 0; i < tiles_shape.rows[tile]; i++)
        memcpy(tile_data[tile][i], (const uint8_t *)p + i * stride, tiles_shape.row_bytes[tile]);
}

static inline void sn_tile_add_amx(int c)
{
    int a = 4 + c / 2, b = 6 + c % 2, n = tiles_shape.row_bytes[c] / 4;

    emulate_check(a);
    emulate_check(b);
    emulate_check(c);
    TRAP_IF(tiles_shape.rows[c] != tiles_shape.rows[a] || tiles_shape.row_bytes[c] != tiles_shape.row_bytes[b] ||
            tiles_shape.row_bytes[a] != 4 * tiles_shape.rows[b]);
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < 16; j++) {
            int32_t sum = 0;

            memcpy(&sum, &tile_data[c][i][4 * j], 4);
            for (int k = 0; k < 4 * tiles_shape.rows[b]; k++)
                sum += (int8_t)tile_data[a][i][k] * tile_data[b][k / 4][4 * j + k % 4];
            if (i >= tiles_shape.rows[c] || j >= n)
                sum = 0;
            memcpy(&tile_data[c][i][4 * j], &sum, 4);
        }
}

static inline void sn_tile_store_amx(int c, void *p, intptr_t stride)
{
    emulate_check(c);
    for (int i = 0; i < tiles_shape.rows[c]; i++)
        memcpy((uint8_t *)p + i * stride, tile_data[c][i], tiles_shape.row_bytes[c]);
}

#include "runtime/kernels/x86_64/amx.c"
