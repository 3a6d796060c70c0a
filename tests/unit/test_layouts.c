/* If these fail, kernels read other weights than the file has. */
#include "tests/unit/test.h"

#include <math.h>
#include <stdlib.h>

#include "ir/layouts.h"

enum { MAX_IN = 768, ROWS = 32, GUARD = 64 };

/* Rows of random bits in format f: not only what the encoder makes. */
static void make_rows(const Format *f, uint8_t *rows, uint64_t bytes, uint64_t seed)
{
    for (uint64_t i = 0; i < bytes; i++)
        rows[i] = (uint8_t)(int)(fill_value(STR("rows"), i, seed, 128, 0) + 128);
    for (uint64_t b = 0; format_has_codes(f) && b < bytes; b += (uint64_t)f->bytes) {
        int d = format_id(f) == FMT_q6_K ? 208 : format_id(f) == FMT_tq1_0 ? 52 : format_id(f) == FMT_tq2_0 ? 64 : 0;

        rows[b + (uint64_t)d + 1] &= 0xbb;                  /* scales and minima are finite */
        if (f->codes->has_min)
            rows[b + 3] &= 0xbb;
    }
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
                for (int64_t n = 0, step = f->block > l->cols ? f->block : l->cols; n <= 3; n++)
                    check_pair(l, f, rows[r] < l->rows ? rows[r] : l->rows, n * step);
        }
    /* codes: q8_0, q4_0 and q5_0 in 8 bits, whole and in two parts, q4_0 in 4 and 5, q5_0 in 5, q4_1 with minimum; q4_K in 4 and 5 bits, q5_K, q6_K; tq1_0
     * and tq2_0 in 2 bits, tq1_0 in base 3; f16, bf16; f32 twice: three float and nine block formats; four of integers; q8_0 and q4_0 row after row */
    assert_int_equal(n_pairs, 7 + 3 + 4 + 3 + 2 + 2 * 12 + 4 + 2);
}

/* tq2_0 in base 3: weights that use three of its four codes come back bit for bit; one that uses the fourth is found. */
static void ternary_without_its_fourth_code(void **state)
{
    const Layout *l = &layout_table[LAYOUT_t5g256_r32k4];
    const Format *f = &format_table[FMT_tq2_0];
    static uint8_t rows[32 * 2 * 66], tile[2 * 1728];
    float want[512], have[512];

    (void)state;
    assert_true(layout_may_take(l, f) && !layout_takes(l, f));
    assert_true(layout_may_take(l, &format_table[FMT_tq1_0]) && layout_takes(l, &format_table[FMT_tq1_0]));
    assert_false(layout_may_take(l, &format_table[FMT_q4_0]) || layout_may_take(&layout_table[LAYOUT_i4g32_r32k4], &format_table[FMT_q4_1]));
    for (int i = 0; i < (int)sizeof rows; i++) {
        uint64_t bits = (uint64_t)(i + 1) * UINT64_C(0x9E3779B97F4A7C15) >> 40;

        rows[i] = (uint8_t)(bits % 3 | bits / 3 % 3 << 2 | bits / 9 % 3 << 4 | bits / 27 % 3 << 6);
        if (i % 66 >= 64)
            rows[i] = i % 66 == 64 ? (uint8_t)bits : 0x2c;
    }
    for (int r = 0; r < 32; r++)
        assert_true(layout_holds(l, f, rows + 132 * r, 512));
    layout_pack_tile(l, f, tile, rows, 132, 32, 512);
    for (int r = 0; r < 32; r++) {
        f->decode(want, rows + 132 * r, 512);
        layout_row(l, have, tile, r, 512);
        for (int i = 0; i < 512; i++)
            assert_true(want[i] == have[i]);
    }
    rows[132 * 7 + 66 + 5] |= 0x30;
    assert_true(layout_holds(l, f, rows + 132 * 7, 256));
    assert_false(layout_holds(l, f, rows + 132 * 7, 512));
    assert_true(layout_holds(&layout_table[LAYOUT_i2g256_r32k4], f, rows + 132 * 7, 512));
}

/* The places that layouts.def draws, written out once more by hand. */
static void codes_lie_as_drawn(void **state)
{
    static uint8_t tile[6720], rows[32 * 210];
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

    memset(rows, 0, sizeof rows);   /* q5_0 */
    rows[22 * r] = 3;
    rows[22 * r + 6 + 14] = 0xf0;
    rows[22 * r + 2 + 3] = 0x40;    /* the fifth bit of column 30 */
    layout_pack_tile(&layout_table[LAYOUT_i5g32_r32k4], &format_table[FMT_q5_0], tile, rows, 22, 32, 32);
    for (int i = 0; i < 512 + 128; i++)     /* byte 4 * 5 + 2 of half 1's one vector, 30 = 4 * 7 + 2: bit 7 */
        assert_int_equal(tile[i], i == 256 + 3 * 64 + 4 * 5 + 2 ? 0xf0 : i == 512 + 64 + 4 * 5 + 2 ? 0x80 : 0);
    assert_int_equal(tile[640 + 2 * r], 3);

    memset(rows, 0, sizeof rows);   /* q5_K: column 222 = 6 * 32 + 30 has code 0x1f; s and t of group 6 are 0x2a and 0x15 */
    rows[176 * r] = 1;
    rows[176 * r + 2] = 2;
    rows[176 * r + 4 + 2] = 2 << 6;
    rows[176 * r + 8 + 2] = 1 << 6;
    rows[176 * r + 12 + 2] = 0xa | 5 << 4;
    rows[176 * r + 16 + 30] = 1 << 6;
    rows[176 * r + 48 + 3 * 32 + 30] = 0x0f;
    layout_pack_tile(&layout_table[LAYOUT_i5g32ms_r32k4], &format_table[FMT_q5_K], tile, rows, 176, 32, 256);
    for (int i = 0; i < 5760; i++) {
        int span = 128 + 6 * 704;

        assert_int_equal(tile[i], i == span + 256 + 3 * 64 + 4 * 5 + 2 ? 0xf0 : i == span + 512 + 64 + 4 * 5 + 2 ? 0x80 :
                                  i == span + 640 + r ? 0x2a : i == span + 672 + r ? 0x15 : i == 2 * r ? 1 :
                                  i == 64 + 2 * r ? 2 : i > 64 && i < 128 && i % 2 ? 0x80 : 0);
    }
    layout_pack_tile(&layout_table[LAYOUT_i5g32ms_r32k4], &format_table[FMT_q4_K], tile, rows, 144, 32, 256);
    for (int i = 0; i < 32; i++)    /* q4_K fits, too; it begins with d */
        assert_memory_equal(tile + 2 * i, rows + 144 * i, 2);

    memset(rows, 0, sizeof rows);   /* q6_K: column 222 = 128 + 2 * 32 + 30 has code 0x2f, its group 13 s = -7 */
    for (int i = 0; i < 32; i++)
        memset(rows + 210 * i + 128, 0xaa, 64);
    rows[210 * r + 64 + 30] = 0xf0;
    rows[210 * r + 192 + 13] = (uint8_t)-7;
    rows[210 * r + 208] = 9;
    layout_pack_tile(&layout_table[LAYOUT_i6g16s_r32k4], &format_table[FMT_q6_K], tile, rows, 210, 32, 256);
    for (int i = 0; i < 6720; i++) {
        int span = 64 + 6 * 832;
        bool upper = i >= 64 && (i - 64) % 832 >= 512 && (i - 64) % 832 < 768;

        assert_int_equal(tile[i], i == span + 256 + 3 * 64 + 4 * 5 + 2 ? 0xf0 : i == span + 768 + 32 + r ? 0xf9 :
                                  i == 2 * r ? 9 : upper ? 0xaa : 0);
    }
    rows[210 * r + 128 + 32 + 30] = 0x9a;   /* its upper bits become 1: 30 = 4 * 7 + 2, vector 7 % 2, field 7 / 2 */
    layout_pack_tile(&layout_table[LAYOUT_i6g16s_r32k4], &format_table[FMT_q6_K], tile, rows, 210, 32, 256);
    assert_int_equal(tile[64 + 6 * 832 + 512 + 128 + 64 + 4 * 5 + 2], 0x6a);

    memset(rows, 0x55, sizeof rows);        /* tq2_0, all weights 0 but column 222 = 128 + 2 * 32 + 30, which is 2 d */
    rows[66 * r + 32 + 30] = 0x75;
    layout_pack_tile(&layout_table[LAYOUT_i2g256_r32k4], &format_table[FMT_tq2_0], tile, rows, 66, 32, 256);
    for (int i = 0; i < 2048; i++)          /* group 6, vector 1 of half 1, 30 = 8 * 3 + 4 * 1 + 2: field 3 */
        assert_int_equal(tile[i], i == 6 * 256 + 128 + 64 + 4 * 5 + 2 ? 0xd5 : 0x55);
    layout_pack_tile(&layout_table[LAYOUT_i2g256_r32k4], &format_table[FMT_tq2_0], tile, rows, 66, r, 256);
    for (int i = 0; i < 2048; i++)          /* rows that are missing are 0, too */
        assert_int_equal(tile[i], 0x55);

    memset(rows, 0x80, sizeof rows);        /* tq1_0, all weights 0: 128 = ceil(256 * 121 / 243), in the layout as well */
    rows[54 * r + 32 + 14] = 131;           /* column 222 = 160 + 16 * 3 + 14 is d: ceil(256 * (121 + 3) / 243) */
    rows[54 * r + 48 + 3] = 212;            /* column 243 = 240 + 3 is d: ceil(256 * (120 + 81) / 243), its last digit 0 */
    rows[54 * r + 52] = 9;
    layout_pack_tile(&layout_table[LAYOUT_t5g256_r32k4], &format_table[FMT_tq1_0], tile, rows, 54, 32, 256);
    for (int i = 0; i < 1664; i++)          /* 64 * 3 + 4 * 7 + 2, 64 * 3 + 4 * 12 + 3: digits 2 of vectors 1, 2 */
        assert_int_equal(tile[i], i == 128 + 3 * 384 + 192 + 64 + 4 * 5 + 2 ? 137 :
                                  i == 128 + 3 * 384 + 192 + 128 + 4 * 5 + 3 ? 137 : 128);
    assert_int_equal(tile[1664 + 2 * r], 9);

    memset(rows, 0, sizeof rows);
    rows[3 * 2 * r + 2 * 2] = 7;    /* f16, rows of three columns: column 2 of row r */
    layout_pack_tile(&layout_table[LAYOUT_f16_r32k1], &format_table[FMT_f16], tile, rows, 6, 32, 3);
    for (int i = 0; i < 192; i++)
        assert_int_equal(tile[i], i == 2 * 64 + 2 * r ? 7 : 0);
}

/* R and N are never below the norms they stand for, and hardly above them. */
static void bounds_of_two_parts(void **state)
{
    enum { N_IN = 96, N = N_IN / 32 };
    const Layout *l = &layout_table[LAYOUT_i53g32_r32k4];
    const Format *f = &format_table[FMT_q8_0];
    static uint8_t rows[32 * N * 34], tile[N * 1088 + 128];

    (void)state;
    assert_true(layout_is_split(l) && layout_split_for(f) == l);
    assert_null(layout_split_for(&format_table[FMT_q5_0]));
    assert_null(layout_split_for(&format_table[FMT_f16]));
    for (int round = 0; round < 20; round++) {
        make_rows(f, rows, sizeof rows, (uint64_t)round);
        layout_pack_tile(l, f, tile, rows, N * 34, 31, N_IN);
        for (int r = 0; r < 32; r++) {
            const uint8_t *bounds = tile + N * 704;
            double rest = 0, all = 0;
            double have_rest = (double)f16_to_f32((uint16_t)(bounds[2 * r] | bounds[2 * r + 1] << 8));
            double have_all = (double)f16_to_f32((uint16_t)(bounds[64 + 2 * r] | bounds[65 + 2 * r] << 8));

            for (int i = 0; r < 31 && i < N_IN; i++) {
                const uint8_t *block = rows + 34 * (N * r + i / 32);
                double d = (double)f16_to_f32((uint16_t)(block[0] | block[1] << 8));
                int code = (int8_t)block[2 + i % 32];

                rest += d * d * (((code + 128) % 8) - 3.5) * (((code + 128) % 8) - 3.5);
                all += d * d * code * code;
            }
            assert_true(have_rest * have_rest >= rest);
            assert_true(have_rest <= sqrt(rest) * 1.001 + 0x1p-24);
            assert_true(have_all >= sqrt(all) + 2 * sqrt(rest));
            assert_true(have_all <= (sqrt(all) + 2 * sqrt(rest)) * 1.001 + 0x1p-23);
        }
    }
    memset(rows, 0, sizeof rows);           /* code 8 * 19 + 5 of row 21, column 30: high bits 3 and 1, low bits 1 and 1 */
    rows[34 * 21 + 1] = 0x3c;
    rows[34 * 21 + 2 + 30] = 8 * 19 + 5 - 128;
    layout_pack_tile(l, f, tile, rows, 34, 32, 32);
    assert_int_equal(tile[256 + 3 * 64 + 4 * 5 + 2], 0x30);
    assert_int_equal(tile[512 + 64 + 4 * 5 + 2], 0xff);
    assert_int_equal(tile[832 + 128 + 64 + 4 * 5 + 2], 0x40);
    assert_int_equal(tile[832 + 256 + 64 + 4 * 5 + 2], 0x80);
    assert_int_equal(tile[640 + 2 * 21 + 1], 0x3c);
}

static void each_format_has_its_layout(void **state)
{
    static const char *const want[][2] = {
        { "q8_0", "i8g32_r32k4" }, { "q4_0", "i4g32_r32k4" }, { "q4_1", "i4g32m_r32k4" }, { "f16", "f16_r32k1" },
        { "bf16", "bf16_r32k1" }, { "f32", "f32_r32k1" }, { "q5_0", "i5g32_r32k4" }, { "q4_K", "i4g32ms_r32k4" },
        { "q5_K", "i5g32ms_r32k4" }, { "q6_K", "i6g16s_r32k4" }, { "tq1_0", "t5g256_r32k4" },
        { "tq2_0", "i2g256_r32k4" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++)
        assert_string_equal(layout_for_format(format_find(str_of(want[i][0])))->name, want[i][1]);
    assert_null(layout_for_format(format_find(STR("i32"))));
    assert_null(layout_for_format(format_find(STR("q8"))));
    assert_null(layout_find(STR("i3g32")));
    for (int i = 0; i < N_LAYOUTS; i++) {
        const Layout *l = &layout_table[i];

        assert_true(layout_find(str_of(l->name)) == l);
        if (l->rows > 1)
            assert_int_equal(l->block_bytes % 64, 0);
        if (l->scale == SCALE_none)
            assert_int_equal(8 * l->block_bytes, l->rows * l->cols * l->bits);
        else if (l->bits == 0)              /* four columns share 13 bytes of five digits: 65 places for 64 of their kind */
            assert_int_equal(l->block_bytes, l->rows * (4 * ((l->cols / 4 + 4) / 5) + 2));
        else
            assert_int_equal(8 * l->block_bytes,
                             l->rows * (l->cols * (l->bits + l->high_bits) + (l->offset == OFFSET_minimum ? 2 : 1) *
                                        (16 + (l->scale == SCALE_f16 ? 0 : 8 * (l->cols / l->group)))));
    }
    /* what packing may cost: q4_K and q5_K 3 %, whose scales are widened to bytes, all others nothing */
    for (int i = 0; i < N_FORMATS; i++) {
        const Format *f = &format_table[i];
        const Layout *l = layout_for_format(f);

        if (format_has_codes(f) && f->codes->sub == SUBSCALES_u6)
            assert_true(100 * l->block_bytes <= 103 * l->rows * f->bytes);
        else if (format_has_codes(f))
            assert_int_equal(l->block_bytes, l->rows * f->bytes);
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
    assert_int_equal(layout_tile_bytes(&layout_table[LAYOUT_i53g32_r32k4], 576), 18 * 1088 + 128);
    assert_int_equal(layout_bytes(&layout_table[LAYOUT_rowmajor_f32], 3, 5), 60);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packing_loses_nothing),
        cmocka_unit_test(codes_lie_as_drawn),
        cmocka_unit_test(ternary_without_its_fourth_code),
        cmocka_unit_test(each_format_has_its_layout),
        cmocka_unit_test(bounds_of_two_parts),
        cmocka_unit_test(sizes_round_up_to_tiles),
    };

    return cmocka_run_group_tests_name("layouts", tests, NULL, NULL);
}
