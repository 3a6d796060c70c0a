/* If these fail, kernels read other weights than the file has. */
#include "tests/unit/test.h"

#include <stdlib.h>

#include "ir/layouts.h"

enum { MAX_IN = 96, ROWS = 32, GUARD = 64 };

/* Rows of random bits in format f: not only what the encoder makes. */
static void make_rows(const Format *f, uint8_t *rows, uint64_t bytes, uint64_t seed)
{
    for (uint64_t i = 0; i < bytes; i++)
        rows[i] = (uint8_t)(int)(fill_value(STR("rows"), i, seed, 128, 0) + 128);
    for (uint64_t b = 0; format_has_codes(f) && b < bytes; b += (uint64_t)f->bytes)
        rows[b + 1] &= 0xbb;                                /* scales and minima are finite */
    for (uint64_t b = 0; format_has_codes(f) && f->codes->has_min && b < bytes; b += (uint64_t)f->bytes)
        rows[b + 3] &= 0xbb;
}

static void check_pair(const Layout *l, const Format *f, int n_rows, int64_t n_in)
{
    uint64_t row_bytes, tile_bytes = layout_tile_bytes(l, n_in), stride;
    uint8_t *rows, *tile;
    float have[MAX_IN], want[MAX_IN];

    assert_true(format_bytes(f, n_in, &row_bytes));
    stride = row_bytes + 3;                                 /* rows need not be dense, nor aligned */
    rows = malloc(stride * ROWS + 1);
    tile = malloc(tile_bytes + GUARD);
    assert_true(rows && tile);
    for (int r = 0; r < n_rows; r++)
        make_rows(f, rows + 1 + stride * (uint64_t)r, row_bytes, (uint64_t)r);
    memset(tile, 0xee, tile_bytes + GUARD);
    layout_pack_tile(l, f, tile, rows + 1, stride, n_rows, n_in);
    for (int r = 0; r < l->rows; r++) {
        layout_row(l, have, tile, r, n_in);
        memset(want, 0, sizeof want);
        if (r < n_rows)
            f->decode(want, rows + 1 + stride * (uint64_t)r, n_in);
        assert_memory_equal(have, want, (size_t)n_in * sizeof *have);
    }
    for (int i = 0; i < GUARD; i++)
        assert_int_equal(tile[tile_bytes + (uint64_t)i], 0xee);
    free(rows);
    free(tile);
}

static void packing_loses_nothing(void **state)
{
    int n_pairs = 0;

    (void)state;
    for (int i = 0; i < N_LAYOUTS; i++)
        for (int k = 0; k < N_FORMATS; k++) {
            const Layout *l = &layout_table[i];
            const Format *f = &format_table[k];
            static const int rows[] = { 1, 31, 32 };

            if (!layout_takes(l, f))
                continue;
            n_pairs++;
            for (int r = 0; r < 3; r++)
                for (int64_t n_in = 0; n_in <= MAX_IN; n_in += f->block > l->cols ? f->block : l->cols)
                    check_pair(l, f, rows[r] < l->rows ? rows[r] : l->rows, n_in);
        }
    /* codes: q8_0 and q4_0 in 8 bits, q4_0 in 4, q4_1 with minimum; f16, bf16; f32 twice: three float and three block formats */
    assert_int_equal(n_pairs, 4 + 2 + 2 * 6);
}

/* The places that layouts.def draws, written out once more by hand. */
static void codes_lie_as_drawn(void **state)
{
    static uint8_t tile[1088], rows[32 * 34];
    int r = 21, c = 30;             /* half 1, row 5 of it */

    (void)state;
    for (int i = 0; i < 32; i++)
        rows[34 * i + 1] = 0x3c;
    rows[34 * r] = 0x55;
    rows[34 * r + 2 + c] = (uint8_t)-3;
    layout_pack_tile(&layout_table[LAYOUT_i8g32_r32k4], &format_table[FMT_q8_0], tile, rows, 34, 32, 32);
    for (int i = 0; i < 1024; i++)  /* vector 7 of half 1, byte 4 * 5 + 2 */
        assert_int_equal(tile[i], i == 512 + 7 * 64 + 4 * 5 + 2 ? 125 : 128);
    assert_int_equal(tile[1024 + 2 * r], 0x55);
    assert_int_equal(tile[1024 + 2 * r + 1], 0x3c);

    memset(rows, 0, sizeof rows);
    for (int i = 0; i < 32; i++)
        memset(rows + 18 * i + 2, 0x88, 16);
    rows[18 * r + 2 + 14] = 0xf8;   /* column 30 = 16 + 14: the high nibble of byte 14 */
    layout_pack_tile(&layout_table[LAYOUT_i4g32_r32k4], &format_table[FMT_q4_0], tile, rows, 18, 32, 32);
    for (int i = 0; i < 512; i++)   /* 14 = 4 * 3 + 2: vector 3 of half 1 */
        assert_int_equal(tile[i], i == 256 + 3 * 64 + 4 * 5 + 2 ? 0xf8 : 0x88);

    memset(rows, 0, sizeof rows);
    rows[20 * r] = 1;
    rows[20 * r + 2] = 2;
    layout_pack_tile(&layout_table[LAYOUT_i4g32m_r32k4], &format_table[FMT_q4_1], tile, rows, 20, 32, 32);
    assert_int_equal(tile[512 + 2 * r], 1);
    assert_int_equal(tile[576 + 2 * r], 2);

    memset(rows, 0, sizeof rows);
    rows[3 * 2 * r + 2 * 2] = 7;    /* f16, rows of three columns: column 2 of row r */
    layout_pack_tile(&layout_table[LAYOUT_f16_r32k1], &format_table[FMT_f16], tile, rows, 6, 32, 3);
    for (int i = 0; i < 192; i++)
        assert_int_equal(tile[i], i == 2 * 64 + 2 * r ? 7 : 0);
}

static void each_format_has_its_layout(void **state)
{
    static const char *const want[][2] = {
        { "q8_0", "i8g32_r32k4" }, { "q4_0", "i4g32_r32k4" }, { "q4_1", "i4g32m_r32k4" }, { "f16", "f16_r32k1" },
        { "bf16", "bf16_r32k1" }, { "f32", "f32_r32k1" },
    };

    (void)state;
    for (int i = 0; i < 6; i++)
        assert_string_equal(layout_for_format(format_find(str_of(want[i][0])))->name, want[i][1]);
    assert_null(layout_for_format(format_find(STR("i32"))));
    assert_null(layout_for_format(format_find(STR("q8"))));
    assert_null(layout_find(STR("i3g32")));
    for (int i = 0; i < N_LAYOUTS; i++) {
        const Layout *l = &layout_table[i];

        assert_true(layout_find(str_of(l->name)) == l);
        if (l->rows > 1)
            assert_int_equal(l->block_bytes % 64, 0);
        assert_int_equal(l->block_bytes, l->rows * (l->cols * l->bits / 8 + (l->scale == SCALE_f16 ? 2 : 0) +
                                                    (l->offset == OFFSET_minimum ? 2 : 0)));
    }
}

static void sizes_round_up_to_tiles(void **state)
{
    const Layout *l = &layout_table[LAYOUT_i4g32m_r32k4];

    (void)state;
    assert_int_equal(layout_tile_bytes(l, 576), 18 * 640);
    assert_int_equal(layout_bytes(l, 49152, 576), 1536 * 18 * 640);
    assert_int_equal(layout_bytes(l, 33, 32), 2 * 640);
    assert_int_equal(layout_bytes(l, 0, 32), 0);
    assert_int_equal(layout_bytes(&layout_table[LAYOUT_rowmajor_f32], 3, 5), 60);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packing_loses_nothing),
        cmocka_unit_test(codes_lie_as_drawn),
        cmocka_unit_test(each_format_has_its_layout),
        cmocka_unit_test(sizes_round_up_to_tiles),
    };

    return cmocka_run_group_tests_name("layouts", tests, NULL, NULL);
}
