/* If these fail, weights are read as other numbers than the file means, or a test model's file differs from what ggml writes. */
#include "tests/unit/test.h"

#include <math.h>
#include <stdlib.h>

#include "ir/formats.h"

enum { N_BLOCKS = 4096, N = 32 * N_BLOCKS };

/* The numbers that facts_formats.py quantized. */
static void make_numbers(float *x)
{
    for (int i = 0; i < N; i++) {
        int b = i / 32;

        x[i] = fill_value(STR("formats"), (uint64_t)i, 1, 1, 0);
        if (b % 7 == 0)
            x[i] = x[i] * x[i] * x[i];
        x[i] = ldexpf(x[i], b % 40 - 30);
        if (b == 5)
            x[i] = 0;
        if (b == 6)
            x[i] = x[6 * 32];
    }
}

static void assert_hex(const uint8_t *p, const char *hex)
{
    for (; *hex; p++, hex += 2) {
        char byte[3] = { hex[0], hex[1], 0 };

        assert_int_equal(*p, strtol(byte, NULL, 16));
    }
}

static void check_encoded(const char *name, uint64_t encoded, uint64_t decoded, const char *block0, const char *block1)
{
    const Format *f = format_find(str_of(name));
    float *x = malloc(N * sizeof *x);
    uint8_t *q;
    uint64_t bytes = 0;

    assert_true(x && f && format_bytes(f, N, &bytes));
    q = malloc(bytes);
    assert_non_null(q);
    make_numbers(x);
    f->encode(q, x, N);
    assert_hex(q, block0);
    assert_hex(q + f->bytes, block1);
    assert_true(fnv1a(q, bytes) == encoded);
    f->decode(x, q, N);
    assert_true(fnv1a(x, N * sizeof *x) == decoded);
    free(x);
    free(q);
}

static void encoding_is_ggml_bit_for_bit(void **state)
{
    (void)state;
#define ENCODED(name, encoded, decoded, block0, block1) check_encoded(#name, encoded, decoded, block0, block1);
#define CONVERTED(name, hash)
#define DECODED(name, hash)
#include "tests/unit/facts_formats.h"
}

/* 32 pseudo-random bits, 16 from each of two values. */
static uint32_t pattern(uint64_t i)
{
    int32_t hi = (int32_t)fill_value(STR("bits"), 2 * i, 1, 8388608, 0);
    int32_t lo = (int32_t)fill_value(STR("bits"), 2 * i + 1, 1, 8388608, 0);

    return ((uint32_t)hi & 0xffff) << 16 | ((uint32_t)lo & 0xffff);
}

static void halves_are_nearest_ties_to_even(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 200000; i++) {
        uint32_t bits = pattern(i);
        float x;
        uint16_t h;
        double err, below, above;

        if (i % 2)                                          /* exponents that halves have */
            bits = (bits & 0x807fffff) | ((bits >> 23) % 48 + 92) << 23;
        if (i % 8 == 3)
            bits &= 0xfffff000;                             /* ties */
        memcpy(&x, &bits, 4);
        if (isnan(x))
            continue;
        h = f32_to_f16(x);
        assert_int_equal(h >> 15, bits >> 31);
        if (fabsf(x) >= 65520) {
            assert_int_equal(h & 0x7fff, 0x7c00);
            continue;
        }
        err = fabs((double)f16_to_f32(h) - x);
        below = h & 0x7fff ? fabs((double)f16_to_f32((uint16_t)(h - 1)) - x) : INFINITY;
        above = (h & 0x7fff) == 0x7bff ? INFINITY : fabs((double)f16_to_f32((uint16_t)(h + 1)) - x);
        assert_true(err <= below && err <= above);
        if (err == below || err == above)
            assert_int_equal(h & 1, 0);
    }
}

static void every_half_survives(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        float x = f16_to_f32((uint16_t)h), y = bf16_to_f32((uint16_t)h);

        if ((h & 0x7fff) > 0x7c00) {
            assert_true(isnan(x));
            assert_int_equal(f32_to_f16(x), h | 0x200);     /* NaN becomes quiet */
        } else {
            assert_int_equal(f32_to_f16(x), h);
        }
        if ((h & 0x7fff) > 0x7f80) {
            assert_true(isnan(y));
            assert_int_equal(f32_to_bf16(y), h | 0x40);
        } else {
            assert_int_equal(f32_to_bf16(y), h);
        }
    }
    assert_true(f16_to_f32(0x3c00) == 1 && f16_to_f32(0xc000) == -2 && f16_to_f32(0x0001) == 0x1p-24f);
    assert_true(f16_to_f32(0x7bff) == 65504 && f16_to_f32(0x0400) == 0x1p-14f && isinf(f16_to_f32(0xfc00)));
    assert_int_equal(f32_to_f16(65519.996f), 0x7bff);
    assert_int_equal(f32_to_f16(65520), 0x7c00);
    assert_int_equal(f32_to_f16(0x1p-25f), 0);              /* a tie with 0 */
    assert_int_equal(f32_to_f16(0x1.000002p-25f), 1);
    assert_int_equal(f32_to_bf16(0x1.01p0f), 0x3f80);       /* a tie: to even */
    assert_int_equal(f32_to_bf16(0x1.03p0f), 0x3f82);
    assert_int_equal(f32_to_bf16(0x1.fffffep127f), 0x7f80);
}

/* The same as numpy and the gguf package on bits that facts_formats.py made. */
static uint64_t splitmix64(uint64_t x)
{
    x += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

static void check_converted(const char *name, uint64_t hash)
{
    static float x[65536];
    static uint8_t y[2 * 65536];

    for (uint64_t i = 0; i < 65536; i++) {
        uint32_t bits = (uint32_t)(splitmix64(fnv1a("bits", 4) ^ (UINT64_C(0x9E3779B97F4A7C15) + i)) >> 32);

        if ((bits & 0x7fffffff) > 0x7f800000)
            bits &= 0x807fffff;
        if (i % 2 == 0)
            bits = (bits & 0x807fffff) | ((bits >> 23) % 48 + 92) << 23;
        memcpy(&x[i], &bits, 4);
    }
    format_find(str_of(name))->encode(y, x, 65536);
    assert_true(fnv1a(y, sizeof y) == hash);
}

static void halves_are_those_of_numpy(void **state)
{
    (void)state;
#define ENCODED(name, encoded, decoded, block0, block1)
#define CONVERTED(name, hash) check_converted(#name, hash);
#define DECODED(name, hash)
#include "tests/unit/facts_formats.h"
}

/* Where a block's halves lie. */
static void clear_exponents(const Format *f, uint8_t *block)
{
    if (format_id(f) == FMT_q6_K || format_id(f) == FMT_tq1_0 || format_id(f) == FMT_tq2_0) {
        block[f->bytes - 1] &= 0xbb;
    } else {
        block[1] &= 0xbb;                                   /* finite */
        if (f->codes->has_min)
            block[3] &= 0xbb;
    }
}

/* Any bits at all, not only what an encoder makes. */
static void check_decoded(const char *name, uint64_t hash)
{
    const Format *f = format_find(str_of(name));
    static uint8_t block[512 * FORMAT_MAX_BYTES];
    static float y[512 * FORMAT_MAX_BLOCK];

    assert_non_null(f);
    for (uint64_t i = 0; i < 512 * (uint64_t)f->bytes; i++)
        block[i] = (uint8_t)(splitmix64(fnv1a("blocks", 6) ^ (UINT64_C(0x9E3779B97F4A7C15) + i)) >> 56);
    for (int b = 0; b < 512; b++)
        clear_exponents(f, block + b * f->bytes);
    f->decode(y, block, 512 * f->block);
    assert_true(fnv1a(y, (size_t)(512 * f->block) * sizeof *y) == hash);
}

static void decoding_is_ggml_bit_for_bit(void **state)
{
    (void)state;
#define ENCODED(name, encoded, decoded, block0, block1)
#define CONVERTED(name, hash)
#define DECODED(name, hash) check_decoded(#name, hash);
#include "tests/unit/facts_formats.h"
}

/* The pictures at the top of the files. */
static void bytes_lie_as_drawn(void **state)
{
    float x[256];
    uint8_t b[FORMAT_MAX_BYTES];

    (void)state;
    for (int i = 0; i < 32; i++)
        x[i] = (float)(i < 16 ? i : i - 32);                /* -16 .. 15 */
    x[31] = -127;
    format_table[FMT_q8_0].encode(b, x, 32);
    assert_hex(b, "003c00010203040506070809");              /* d = 1 */
    assert_int_equal((int8_t)b[2 + 16], -16);
    assert_int_equal((int8_t)b[2 + 31], -127);

    for (int i = 0; i < 32; i++)
        x[i] = (float)(i % 16 - 8);
    format_table[FMT_q4_0].encode(b, x, 32);
    assert_hex(b, "003c00112233445566778899aabbccddeeff");  /* d = 1, both nibbles of byte i: code i */
    x[16] = 7;
    format_table[FMT_q4_0].encode(b, x, 32);
    assert_int_equal(b[2], 0xf0);                           /* element 16 is the high nibble of the first byte */

    for (int i = 0; i < 32; i++)
        x[i] = 2 + (float)(i % 16) / 2;
    format_table[FMT_q4_1].encode(b, x, 32);
    assert_hex(b, "0038004000112233445566778899aabbccddeeff");      /* d = 0.5, m = 2 */

    for (int i = 0; i < 32; i++)
        x[i] = (float)i;
    x[0] = -127;
    format_table[FMT_q8].encode(b, x, 32);
    assert_hex(b, "0000803f" "0080b843" "71010000" "81010203");     /* d = 1.0f, ds = 369.0f, sum = 369 */
    memset(x + 32, 0, 224 * sizeof *x);
    x[32 + 4] = 2;
    x[224] = -254;
    format_table[FMT_q8g256].encode(b, x, 256);             /* d = 2.0f in all blocks; the second one has sum 1, the last -127 */
    assert_hex(b, "00000040");
    assert_hex(b + 44, "00000040" "00000040" "01000000" "0000000001");
    assert_hex(b + 7 * 44, "00000040" "00007ec3" "81ffffff" "8100");

    for (int i = 0; i < 32; i++)
        x[i] = (float)(i - 16);
    format_table[FMT_q5_0].encode(b, x, 32);
    assert_hex(b, "003c" "0000ffff" "00112233445566778899aabbccddeeff");    /* d = 1, code i: the upper half has the fifth bit */

    for (int i = 0; i < 256; i++) {                         /* s = 2, 4, .. 14, 63 and t = 0, 1, .. 6, 63 */
        int g = i / 32;

        x[i] = (float)(8 * (g < 7 ? 2 * g + 2 : 63) * (i % 16) - 4 * (g < 7 ? g : 63));
    }
    format_table[FMT_q4_K].encode(b, x, 256);
    assert_hex(b, "0048" "0044");                           /* d = 8, m = 4 */
    assert_hex(b + 4, "020406c8" "000102c3" "4a5c6eff");    /* 8 of group 3 below the 63 of group 7, 10 = 0xa of group 4 */
    assert_int_equal(b[16 + 5], 0x55);                      /* weight 5 in the low nibble, 37 in the high one */
    assert_int_equal(b[16 + 32 + 9], 0x99);                 /* weights 73 and 105 */

    for (int i = 0; i < 256; i++)
        x[i] = (float)(i % 32);
    format_table[FMT_q5_K].encode(b, x, 256);
    for (int i = 0; i < 32; i++) {
        assert_int_equal(b[16 + i], i < 16 ? 0 : 0xff);     /* bit g of byte k: group g, weight k */
        assert_int_equal(b[48 + 32 + i], i % 16 * 0x11);
    }
    x[6 * 32 + 3] = 16;
    format_table[FMT_q5_K].encode(b, x, 256);
    assert_int_equal(b[16 + 3], 1 << 6);
    assert_int_equal(b[48 + 3 * 32 + 3], 0x30);             /* group 6 is the low nibble: 16 is 0 and a fifth bit */

    for (int i = 0; i < 256; i++)
        x[i] = (float)(i % 16 == 0 ? -32 : i % 16) * (i / 16 ? 1 : 128);
    format_table[FMT_q6_K].encode(b, x, 256);
    assert_hex(b + 208, "00bc");                            /* d = -1: the largest scale is -128 */
    assert_int_equal((int8_t)b[192], -128);
    for (int g = 1; g < 16; g++)
        assert_int_equal((int8_t)b[192 + g], -1);
    assert_int_equal(b[7], 7 | 7 << 4);                     /* codes 39 of weights 7 and 71 */
    assert_int_equal(b[128 + 7], 0xaa);                     /* and of 7, 39, 71, 103: 2 each */
    assert_int_equal(b[128 + 32], 0);                       /* -32 has code 0 */
}

/* i8gG: a number far larger than its neighbours becomes 64 equal ones; what is decoded is as near as they are. */
static void turned_numbers_are_even(void **state)
{
    float x[192] = { 0 }, y[192];
    uint8_t b[FORMAT_MAX_BYTES];

    (void)state;
    x[64 + 5] = 127;                                        /* H x is +-127: +1 for element 64, as all bits of 5 & 0 are 0 */
    format_table[FMT_i8g192].encode(b, x, 192);
    assert_hex(b + 63, "00" "7f817f81817f817f" "7f81");     /* minus where 5 & k has an odd number of bits */
    assert_hex(b + 192, "0000003e" "00000000");             /* d = 1/8, sum = 0 */
    format_table[FMT_i8g192].decode(y, b, 192);
    for (int i = 0; i < 192; i++)
        assert_true(y[i] == x[i]);
    for (int i = 0; i < 192; i++)
        x[i] = fill_value(STR("turned"), (uint64_t)i, 0, 1, 0);
    x[100] = 1000;
    format_table[FMT_i8g192].encode(b, x, 192);
    format_table[FMT_i8g192].decode(y, b, 192);
    for (int i = 0; i < 192; i++)
        assert_true(fabsf(x[i] - y[i]) < 4);                /* steps of 1000 / 127 in 64 directions; unturned all others were 0 +- 4 */
}

/* And the pictures of tq1_0 and tq2_0. */
static void digits_lie_as_drawn(void **state)
{
    float x[256] = { 0 };
    uint8_t b[FORMAT_MAX_BYTES];

    (void)state;
    x[5] = 2;                                               /* d */
    x[37] = -1;                                             /* half of it: away from zero */
    x[69] = 0.99f;
    x[128 + 96 + 31] = -2;
    format_table[FMT_tq2_0].encode(b, x, 256);
    assert_int_equal(b[5], 2 | 0 << 2 | 1 << 4 | 1 << 6);
    assert_int_equal(b[32 + 31], 1 | 1 << 2 | 1 << 4 | 0 << 6);
    assert_int_equal(b[6], 0x55);
    assert_hex(b + 64, "0040");
    format_table[FMT_tq1_0].encode(b, x, 256);
    assert_int_equal(b[5], (256 * (2 * 81 + 0 * 27 + 9 + 3 + 1) + 242) / 243);
    assert_int_equal(b[48 + 3], (256 * (81 + 27 + 9 + 0) + 242) / 243);     /* 255 = 240 + 4 * 3 + 3 */
    assert_int_equal(b[6], 128);
    assert_int_equal(b[48], (256 * 120 + 242) / 243);       /* four digits only */
    assert_hex(b + 52, "0040");
    x[128 + 96 + 31] = 0;
    x[160 + 4 * 16 + 15] = -2;
    format_table[FMT_tq1_0].encode(b, x, 256);
    assert_int_equal(b[32 + 15], (256 * 120 + 242) / 243);
}

static void scales_and_codes_are_told_apart(void **state)
{
    float x[FORMAT_MAX_BLOCK], y[FORMAT_MAX_BLOCK];
    uint8_t b[FORMAT_MAX_BYTES];

    (void)state;
    for (int i = 0; i < N_FORMATS; i++) {
        const Format *f = &format_table[i];
        int code[FORMAT_MAX_BLOCK];
        FormatScales scales;

        assert_true(format_find(str_of(f->name)) == f && format_id(f) == (FormatId)i);
        assert_string_equal(format_names[i], f->name);
        assert_true(f->gguf_type < 0 || format_of_gguf_type((uint32_t)f->gguf_type) == f);
        assert_true(f->bytes <= (int)sizeof b);
        if (!format_has_codes(f)) {
            assert_false(format_codes(f, b, code, &scales));
            continue;
        }
        assert_true(f->block <= FORMAT_MAX_BLOCK && f->block % f->codes->group == 0 &&
                    f->block / f->codes->group <= FORMAT_MAX_GROUPS);
        for (int k = 0; k < f->block; k++)
            x[k] = fill_value(STR("codes"), (uint64_t)k, (uint64_t)i, 1, 0);
        f->encode(b, x, f->block);
        f->decode(y, b, f->block);
        assert_true(format_codes(f, b, code, &scales));
        assert_true(f->codes->has_min || scales.m == 0);
        for (int k = 0; k < f->block; k++) {
            int g = k / f->codes->group;

            assert_in_range(code[k] - f->codes->lo, 0, f->codes->hi - f->codes->lo);
            if (f->codes->sub == SUBSCALES_none)
                assert_true(scales.s[g] == 1 && scales.t[g] == 1);
            assert_true(f16_to_f32(scales.d) * (float)scales.s[g] * (float)code[k] +
                        f16_to_f32(scales.m) * (float)scales.t[g] == y[k]);
        }
    }
    assert_null(format_find(STR("q2_K")));
    assert_null(format_of_gguf_type(10));
    assert_null(format_of_gguf_type(UINT32_MAX));
}

/* The largest error for numbers within -1 .. 1 (integers: -100 .. 100) in which a scale that is a half adds 2^-11. */
static float largest_error(const Format *f)
{
    switch (format_id(f)) {
    case FMT_f32: return 0;
    case FMT_f16: return 0x1p-11f;
    case FMT_bf16: return 0x1p-8f;
    case FMT_q8_0: case FMT_q8: case FMT_q8g256: return 1.13f / 127 / 2;
    case FMT_i8g64: case FMT_i8g128: case FMT_i8g192: case FMT_i8g256: return 0.03f;    /* most sums of 64 are below 24 */
    case FMT_q4_1: return 2.02f / 15 / 2;
    case FMT_q4_0: return 2.02f / 8 / 2;                    /* the far side of the largest weight is cut, not rounded */
    case FMT_q5_0: return 2.02f / 16 / 2;
    case FMT_q4_K: return 2.0f / 15;                        /* half a step, the rest for rounded scales and minima */
    case FMT_q5_K: return 2.0f / 31;
    case FMT_q6_K: return 2.0f / 32;                        /* as q5_0, and rounded scales */
    default: return 0.5f;
    }
}

/* What comes back is as near as the block's scale promises, and exact for the numbers that the format has. */
static void round_trips_are_near(void **state)
{
    static float x[N], y[N];
    static uint8_t b[8 * N];

    (void)state;
    for (int i = 0; i < N_FORMATS; i++) {
        const Format *f = &format_table[i];
        int n = 1024 / f->block * f->block;

        for (int k = 0; k < 1024; k++)
            x[k] = fill_value(STR("round trip"), (uint64_t)k, (uint64_t)i, f->kind == FORMAT_int ? 100 : 1, 0);
        if (format_id(f) == FMT_u8)
            for (int k = 0; k < 1024; k++)
                x[k] = fabsf(x[k]);
        f->encode(b, x, n);
        f->decode(y, b, n);
        for (int k = 0; k < n; k++)
            assert_true(fabsf(x[k] - y[k]) <= largest_error(f) * 1.001f);
    }
}

static void extremes_are_defined(void **state)
{
    static const float special[] = { INFINITY, -INFINITY, NAN, 3e38f, -3e38f, 1e-42f, -1e-42f, 0 };
    float x[256], y[256];
    uint8_t b[8 * 256];

    (void)state;
    for (int i = 0; i < N_FORMATS; i++)
        for (int s = 0; s < 8; s++) {                       /* UBSan sees what conversions do */
            for (int k = 0; k < 256; k++)
                x[k] = k == 9 ? special[s] : (float)k / 8;
            format_table[i].encode(b, x, 256);
            format_table[i].decode(y, b, 256);
        }
    x[0] = 300; x[1] = -300; x[2] = NAN; x[3] = 2.5f; x[4] = 3.5f; x[5] = -2.5f;
    format_table[FMT_i8].encode(b, x, 6);
    assert_hex(b, "7f80000204fe");
    format_table[FMT_u8].encode(b, x, 6);
    assert_hex(b, "ff0000020400");
    x[0] = 1e30f; x[1] = -1e30f;
    format_table[FMT_i64].encode(b, x, 2);
    assert_hex(b, "ffffffffffffff7f" "0000000000000080");
}

static void sizes_are_checked(void **state)
{
    uint64_t bytes = 1;

    (void)state;
    assert_true(format_bytes(&format_table[FMT_q4_1], 64, &bytes) && bytes == 40);
    assert_true(format_bytes(&format_table[FMT_f32], 0, &bytes) && bytes == 0);
    assert_false(format_bytes(&format_table[FMT_q4_1], 33, &bytes));
    assert_false(format_bytes(&format_table[FMT_q4_1], -32, &bytes));
    assert_false(format_bytes(&format_table[FMT_i64], INT64_MAX, &bytes));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encoding_is_ggml_bit_for_bit),
        cmocka_unit_test(decoding_is_ggml_bit_for_bit),
        cmocka_unit_test(halves_are_nearest_ties_to_even),
        cmocka_unit_test(every_half_survives),
        cmocka_unit_test(halves_are_those_of_numpy),
        cmocka_unit_test(bytes_lie_as_drawn),
        cmocka_unit_test(turned_numbers_are_even),
        cmocka_unit_test(digits_lie_as_drawn),
        cmocka_unit_test(scales_and_codes_are_told_apart),
        cmocka_unit_test(round_trips_are_near),
        cmocka_unit_test(extremes_are_defined),
        cmocka_unit_test(sizes_are_checked),
    };

    return cmocka_run_group_tests_name("formats", tests, NULL, NULL);
}
