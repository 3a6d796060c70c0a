/* Every annotated kernel of one unit against what the layouts say, and against its twins.
 *
 * If this fails, an emitted program computes wrong numbers on that ISA, reads or writes beside its buffers, or gives other
 * tokens in prefill than token by token.
 *
 * Compiled once per unit: SN_UNIT is the unit's file, SN_TABLE the rows that table.awk makes of `kernel_reader --list`, so a
 * new kernel is tested by being annotated, and one whose op has no test here fails.  The truth is computed in double from
 * numbers that this file packs itself; bounds are worst cases for the stated order of sums, relative to sum |w| |x|.
 * Buffers are exactly as long as the contract says (AddressSanitizer sees reads beyond), outputs lie between guards. */
#include SN_UNIT
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/kernels/layouts.h"

int kernel_tests(void);
extern const char kernel_test_unit[];
const char kernel_test_unit[] = SN_UNIT_NAME;

typedef void (*Fn)(void);
typedef struct { const char *name, *op, *layout, *act, *isa; int tokens; Fn fn; } Row;
static const Row rows[] = {
#include SN_TABLE
};
enum { N_ROWS = sizeof rows / sizeof rows[0] };

typedef void (*DotQ8)(float *, const uint8_t *, const SnQ8 *, int, const uint8_t *);
typedef void (*DotF32)(float *, const uint8_t *, const float *, int, const uint8_t *);
typedef void (*Dot4Q8)(float *, const uint8_t *, const SnQ8 *, int, int, const uint8_t *);
typedef void (*Dot4F32)(float *, const uint8_t *, const float *, int, int, const uint8_t *);

static int n_failures;                          /* of the kernel being tested */
static const char *current;

#define CHECK(ok, ...) do { if (!(ok) && n_failures++ < 3) { printf("  %s: ", current); printf(__VA_ARGS__); \
                            putchar('\n'); } } while (0)

/* ---- numbers ------------------------------------------------------------------------------------------------------ */

static uint64_t seed = 1;

static uint32_t random_u32(void)                /* splitmix64 */
{
    uint64_t z = seed += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (uint32_t)(z >> 32);
}

static float random_unit(void)                  /* [-1, 1) */
{
    return (float)(int32_t)random_u32() * 0x1p-31f;
}

static double half_value(uint16_t h)            /* the definition of a half */
{
    int e = h >> 10 & 31, m = h & 1023;
    double v = e == 31 ? (m ? NAN : INFINITY) : e ? ldexp(1024 + m, e - 25) : ldexp(m, -24);

    return h & 0x8000 ? -v : v;
}

static uint16_t nearest_half(double x)          /* to nearest even, by the definition */
{
    uint16_t sign = signbit(x) ? 0x8000 : 0;
    int e;
    double m;

    x = fabs(x);
    if (x >= 65520)
        return sign | 0x7c00;
    frexp(x, &e);
    e = x < 0x1p-14 ? -14 : e - 1;
    m = rint(ldexp(x, 10 - e));                 /* 1024 .. 2048, or below 1024 for a subnormal */
    return sign | (uint16_t)((e + 14) * 1024 + (int)m);
}

enum { FILL_RANDOM, FILL_ZERO, FILL_EXTREME, FILL_INTEGER, N_FILLS };

/* ---- a packed tile and what it stands for -------------------------------------------------------------------------- */

typedef struct {
    uint8_t *alloc, *w;                         /* w is odd within alloc: kernels may not ask for alignment */
    size_t bytes;
    double *value;                              /* [32][n_in] */
    double *size;                               /* the same shape: |d code| + |m|, what rounding errors are measured by */
    float *x;                                   /* [4][x_stride]: the activations as floats */
    SnQ8 *q;                                    /* the same, in blocks; x = d * q exactly as doubles only */
    double *xq;                                 /* the values of q */
    int n_in, x_stride, q_stride;
} Case;

static void *alloc(size_t n)
{
    void *p = malloc(n ? n : 1);

    if (!p)
        abort();
    return p;
}

static uint16_t random_scale(int fill)
{
    if (fill == FILL_ZERO)
        return 0;
    if (fill == FILL_INTEGER)
        return 0x3c00;                          /* 1 */
    if (fill == FILL_EXTREME)                   /* largest, smallest subnormal, negative */
        return (uint16_t[]){ 0x7bff, 0x0001, 0xfbff, 0x8001 }[random_u32() % 4];
    return nearest_half(random_unit() * 0.05f);
}

static int random_code(int fill, int top)
{
    if (fill == FILL_EXTREME)
        return random_u32() % 2 ? top : 0;
    return fill == FILL_ZERO ? 0 : (int)(random_u32() % (unsigned)(top + 1));
}

/* One block of 32 x 32 weights of the layouts with codes, by the drawing in ir/layouts.def. */
static void pack_group(Case *c, const char *layout, uint8_t *w, int col, int fill)
{
    bool eight = !strcmp(layout, "i8g32_r32k4"), minimum = !strcmp(layout, "i4g32m_r32k4");
    uint8_t *scales = w + (eight ? 1024 : 512);

    memset(w, 0, eight ? 1024 : 512);
    for (int r = 0; r < 32; r++) {
        uint16_t d = random_scale(fill), m = minimum ? random_scale(fill) : 0;

        memcpy(scales + 2 * r, &d, 2);
        if (minimum)
            memcpy(scales + 64 + 2 * r, &m, 2);
        for (int k = 0; k < 32; k++) {
            int code = random_code(fill, eight ? 255 : 15);
            int i = k % 16 / 4, half = r / 16, lane = r % 16;

            if (eight)
                w[512 * half + 64 * (k / 4) + 4 * lane + k % 4] = (uint8_t)code;
            else
                w[256 * half + 64 * i + 4 * lane + k % 4] |= (uint8_t)(code << (k < 16 ? 0 : 4));
            code -= minimum ? 0 : eight ? 128 : 8;
            c->value[(size_t)r * c->n_in + col + k] = half_value(d) * code + half_value(m);
            c->size[(size_t)r * c->n_in + col + k] = fabs(half_value(d) * code) + fabs(half_value(m));
        }
    }
}

/* The same where each row is in one piece. */
static void pack_rows(Case *c, const char *layout, uint8_t *w, int col, int fill)
{
    bool eight = !strcmp(layout, "i8g32_rows");
    int bytes = eight ? 34 : 18;

    (void)w;
    for (int r = 0; r < 32; r++) {
        uint8_t *block = c->w + (size_t)bytes * (size_t)(c->n_in / 32 * r + col / 32);
        uint16_t d = random_scale(fill);

        memcpy(block, &d, 2);
        memset(block + 2, 0, (size_t)bytes - 2);
        for (int k = 0; k < 32; k++) {
            int code = random_code(fill, eight ? 255 : 15) - (eight ? 128 : 8);

            if (eight)
                block[2 + k] = (uint8_t)code;
            else
                block[2 + k % 16] |= (uint8_t)((code + 8) << (k < 16 ? 0 : 4));
            c->value[(size_t)r * c->n_in + col + k] = half_value(d) * code;
            c->size[(size_t)r * c->n_in + col + k] = fabs(half_value(d) * code);
        }
    }
}

static int random_subscale(int fill, int lo, int hi)
{
    if (fill == FILL_EXTREME)
        return random_u32() % 2 ? lo : hi;
    return fill == FILL_ZERO ? 0 : fill == FILL_INTEGER ? (int)(random_u32() % 3) : lo + (int)(random_u32() % (unsigned)(hi - lo + 1));
}

/* The same for codes in two planes and for scales of two levels: 32 or 256 columns. */
static void pack_planes(Case *c, const char *layout, uint8_t *w, int col, int fill)
{
    bool two_levels = strcmp(layout, "i5g32_r32k4") != 0, minimum = strstr(layout, "ms_") != NULL;
    int bits = layout[1] - '0', codes = 128 * bits, group = bits == 6 ? 16 : 32;
    int first = !two_levels ? 0 : minimum ? 128 : 64, span_bytes = two_levels ? codes + 64 : codes;

    for (int r = 0; r < 32; r++) {
        int half = r / 16, lane = 4 * (r % 16);
        double d, m = 0;
        uint16_t bits_of_d = random_scale(fill), bits_of_m = random_scale(fill);

        memcpy(w + (two_levels ? 0 : codes) + 2 * r, &bits_of_d, 2);
        if (minimum)
            memcpy(w + 64 + 2 * r, &bits_of_m, 2);
        d = half_value(bits_of_d);
        m = minimum ? half_value(bits_of_m) : 0;
        for (int k = 0; k < (two_levels ? 256 : 32); k++) {
            uint8_t *span = w + first + k / 32 * span_bytes, *low, *high;
            int i = k % 32, code = random_code(fill, (1 << bits) - 1);
            int at = codes + (group == 16 ? i / 16 * 32 : 0) + r;
            size_t out = (size_t)r * (size_t)c->n_in + (size_t)(col + k);
            double scale, least = 0;

            if (two_levels && k % group == 0) {
                span[at] = (uint8_t)(bits == 6 ? random_subscale(fill, -128, 127) : random_subscale(fill, 0, 63));
                if (minimum)
                    span[at + 32] = (uint8_t)random_subscale(fill, 0, 63);
            }
            scale = !two_levels ? d : d * (bits == 6 ? (int8_t)span[at] : span[at]);
            if (minimum)
                least = m * span[at + 32];
            low = span + 256 * half + 64 * (i % 16 / 4) + lane + i % 4;
            *low = (uint8_t)(i < 16 ? (*low & 0xf0) | (code & 15) : (*low & 0x0f) | (code & 15) << 4);
            if (bits == 5) {
                high = span + 512 + 64 * half + lane + i % 4;
                *high = (uint8_t)((*high & ~(1 << i / 4)) | code >> 4 << i / 4);
            } else if (bits == 6) {
                high = span + 512 + 128 * half + 64 * (i / 4 % 2) + lane + i % 4;
                *high = (uint8_t)((*high & ~(3 << i / 8 * 2)) | code >> 4 << i / 8 * 2);
            }
            code -= minimum ? 0 : 1 << (bits - 1);
            c->value[out] = scale * code + least;
            c->size[out] = fabs(scale * code) + fabs(least);
        }
    }
}

/* One block of 32 x 256 ternary weights, by the drawings in ir/layouts.def; two bits hold a fourth value, too. */
static void pack_ternary(Case *c, const char *layout, uint8_t *w, int col, int fill)
{
    bool base3 = !strcmp(layout, "t5g256_r32k4");

    memset(w, 0, base3 ? 1664 : 2048);
    for (int r = 0; r < 32; r++) {
        int half = r / 16, lane = 4 * (r % 16), number[13][4] = { { 0 } };      /* base 3: vectors 0..11, and the last */
        uint16_t d = random_scale(fill);

        memcpy(w + (base3 ? 1664 : 2048) + 2 * r, &d, 2);
        for (int k = 0; k < 256; k++) {
            int code = random_code(fill, base3 ? 2 : 3), j = k % 4;
            int pair = k / 64, quad = k % 64 / 4;

            c->value[(size_t)r * c->n_in + col + k] = half_value(d) * (code - 1);
            c->size[(size_t)r * c->n_in + col + k] = fabs(half_value(d) * code) + fabs(half_value(d));
            if (!base3)
                w[256 * (k / 32) + 128 * half + 64 * (k / 4 % 2) + lane + j] |= (uint8_t)(code << 2 * (k / 8 % 4));
            else if (quad < 15)
                number[3 * pair + quad / 5][j] += code * (int[]){ 81, 27, 9, 3, 1 }[quad % 5];
            else
                number[12][j] += code * (int[]){ 81, 27, 9, 3 }[pair] + (pair == 0);
        }
        for (int v = 0; base3 && v < 13; v++)
            for (int j = 0; j < 4; j++)
                w[(v == 12 ? 64 * half : 128 + 384 * (v / 3) + 192 * half + 64 * (v % 3)) + lane + j] =
                    (uint8_t)((256 * number[v][j] + 242) / 243);
    }
}

static void pack_column(Case *c, const char *layout, uint8_t *w, int col, int fill)
{
    for (int r = 0; r < 32; r++) {
        float v = fill == FILL_ZERO ? 0 : fill == FILL_INTEGER ? (float)(int)(random_u32() % 16) : random_unit();
        double *value = &c->value[(size_t)r * c->n_in + col];

        if (fill == FILL_EXTREME)
            v = (float[]){ 65504.0f, -65504.0f, 0x1p-14f, 0x1p-24f }[random_u32() % 4];
        if (!strcmp(layout, "f16_r32k1")) {
            uint16_t h = nearest_half(v);
            memcpy(w + 2 * r, &h, 2);
            *value = half_value(h);
        } else if (!strcmp(layout, "bf16_r32k1")) {
            uint32_t bits;
            uint16_t h;
            memcpy(&bits, &v, 4);
            h = (uint16_t)(bits >> 16);
            bits &= 0xffff0000u;
            memcpy(&v, &bits, 4);
            memcpy(w + 2 * r, &h, 2);
            *value = v;
        } else {
            memcpy(w + 4 * r, &v, 4);
            *value = v;
        }
        c->size[(size_t)r * c->n_in + col] = fabs(*value);
    }
}

/* A half that is not below x. */
static uint16_t half_above(double x)
{
    uint16_t h = nearest_half(x);

    return half_value(h) < x ? (uint16_t)(h + 1) : h;
}

/* One column of row r of a tile in two parts; the planes' bits are 0 still. */
static void put_split(uint8_t *w, int n_in, int r, int i, int code)
{
    int c = i % 32, lane = 4 * (r % 16) + c % 4, half = r / 16;
    uint8_t *high = w + 704 * (i / 32), *low = w + 704 * (n_in / 32) + 128 + 384 * (i / 32);

    high[256 * half + 64 * (c % 16 / 4) + lane] |= (uint8_t)((code >> 3 & 15) << (c < 16 ? 0 : 4));
    high[512 + 64 * half + lane] |= (uint8_t)((code >> 7) << c / 4);
    low[128 * half + 64 * (c / 4 % 2) + lane] |= (uint8_t)((code & 3) << 2 * (c / 8));
    low[256 + 64 * half + lane] |= (uint8_t)((code >> 2 & 1) << c / 4);
}

/* A whole tile in two parts, by the drawing in ir/layouts.def, with the norms that bound its rows. */
static void pack_split(Case *c, int fill)
{
    int n = c->n_in / 32;

    memset(c->w, 0, c->bytes);
    for (int r = 0; r < 32; r++) {
        double rest = 0, all = 0;
        uint16_t R, N;

        for (int b = 0; b < n; b++) {
            uint16_t d = random_scale(fill);

            memcpy(c->w + 704 * b + 640 + 2 * r, &d, 2);
            for (int i = 32 * b; i < 32 * b + 32; i++) {
                int code = random_code(fill, 255);
                double v = half_value(d) * (code - 128), low = half_value(d) * (code % 8 - 3.5);

                put_split(c->w, c->n_in, r, i, code);
                c->value[(size_t)r * c->n_in + i] = v;
                c->size[(size_t)r * c->n_in + i] = fabs(v);
                rest += low * low;
                all += v * v;
            }
        }
        R = half_above(sqrt(rest));
        N = half_above(sqrt(all) + 2 * sqrt(rest));
        memcpy(c->w + 704 * n + 2 * r, &R, 2);
        memcpy(c->w + 704 * n + 64 + 2 * r, &N, 2);
    }
}

/* `one_scale`: of so many blocks (q8g256: 8). */
static void make_activations(Case *c, int fill, int one_scale)
{
    int groups = c->n_in / 32;

    c->x_stride = c->n_in + 5;
    c->q_stride = groups + 1;
    c->x = alloc(sizeof(float) * (size_t)(3 * c->x_stride + c->n_in));
    c->q = alloc(sizeof(SnQ8) * (size_t)(3 * c->q_stride + groups));
    c->xq = alloc(sizeof(double) * (size_t)(4 * groups * 32));
    for (int t = 0; t < 4; t++) {
        for (int i = 0; i < c->n_in; i++)
            c->x[t * c->x_stride + i] = fill == FILL_ZERO ? 0 : fill == FILL_INTEGER ? (float)(int)(random_u32() % 16)
                                        : fill == FILL_EXTREME && random_u32() % 2 ? -127.0f : random_unit();
        for (int b = 0; b < groups; b++) {
            SnQ8 *q = &c->q[t * c->q_stride + b];

            *q = (SnQ8){ .d = b % one_scale ? q[-1].d : fill == FILL_INTEGER ? 1 : fill == FILL_ZERO ? 0 : (float)(fabsf(random_unit()) + 0.01f) };
            for (int i = 0; i < 32; i++) {
                int v = (int)(random_u32() % 255) - 127;

                if (fill == FILL_EXTREME)
                    v = (int[]){ 127, 127, 127, -127 }[random_u32() % 4];
                q->q[i] = (int8_t)(fill == FILL_ZERO ? 0 : v);
                q->sum += q->q[i];
                c->xq[(t * groups + b) * 32 + i] = (double)q->d * q->q[i];
            }
            q->ds = q->d * (float)q->sum;
        }
    }
}

typedef void (*Pack)(Case *, const char *, uint8_t *, int, int);

static Pack pack_of(const char *layout)
{
    bool planes = strstr(layout, "s_") || !strncmp(layout, "i5", 2);
    int columns = layouts[layout_index(layout)].columns;

    return strstr(layout, "_rows") ? pack_rows : columns == 1 ? pack_column : planes ? pack_planes : columns == 32 ? pack_group : pack_ternary;
}

static Case make_case(const char *layout, int n_in, int fill)
{
    bool split = !strcmp(layout, "i53g32_r32k4");
    Pack pack = pack_of(layout);
    int index = layout_index(layout), step = layouts[index].columns;
    size_t unit = layouts[index].bytes;
    Case c = { .n_in = n_in, .bytes = unit * (size_t)(n_in / step) + (split ? 128 : 0) };

    c.alloc = alloc(c.bytes + 1);
    c.w = c.alloc + 1;
    c.value = alloc(sizeof(double) * 32 * (size_t)n_in);
    c.size = alloc(sizeof(double) * 32 * (size_t)n_in);
    if (split)
        pack_split(&c, fill);
    for (int k = 0; k < n_in && !split; k += step)
        pack(&c, layout, c.w + unit * (size_t)(k / step), k, fill);
    make_activations(&c, fill, pack == pack_ternary ? 8 : 1);
    return c;
}

static void free_case(Case *c)
{
    free(c->alloc);
    free(c->value);
    free(c->size);
    free(c->x);
    free(c->q);
    free(c->xq);
}

/* ---- dot ------------------------------------------------------------------------------------------------------------ */

enum { GUARD = 16 };                            /* floats on either side of an output */

static void set_guards(float *p, int n)
{
    for (int i = 0; i < n + 2 * GUARD; i++)
        p[i] = 12345.0f;
}

static bool guards_intact(const float *p, int n)
{
    for (int i = 0; i < GUARD; i++)
        if (p[i] != 12345.0f || p[GUARD + n + i] != 12345.0f)
            return false;
    return true;
}

static void call_dot(const Row *k, float *acc, const Case *c, const uint8_t *next)
{
    bool q8 = !strncmp(k->act, "q8", 2);

    if (k->tokens == 4 && q8)
        ((Dot4Q8)k->fn)(acc, c->w, c->q, c->q_stride, c->n_in, next);
    else if (k->tokens == 4)
        ((Dot4F32)k->fn)(acc, c->w, c->x, c->x_stride, c->n_in, next);
    else if (q8)
        ((DotQ8)k->fn)(acc, c->w, c->q, c->n_in, next);
    else
        ((DotF32)k->fn)(acc, c->w, c->x, c->n_in, next);
}

static void check_dot(const Row *k, const Case *c, const float *acc, int fill)
{
    bool q8 = !strncmp(k->act, "q8", 2);
    /* Each addition, each product and each scale may round once: worst case over one group, then over groups. */
    double ulps = (q8 ? 6 : 36) + c->n_in / 32.0;

    for (int t = 0; t < k->tokens; t++)
        for (int r = 0; r < 32; r++) {
            double want = 0, mass = 0;
            float have = acc[32 * t + r];

            for (int i = 0; i < c->n_in; i++) {
                double x = q8 ? c->xq[t * c->n_in + i] : c->x[t * c->x_stride + i];
                want += c->value[(size_t)r * c->n_in + i] * x;
                mass += c->size[(size_t)r * c->n_in + i] * fabs(x);
            }
            CHECK(fabs(have - want) <= ulps * 0x1p-24 * mass + 1e-30,
                  "n_in=%d fill=%d t=%d r=%d: %.9g, should be %.9g", c->n_in, fill, t, r, (double)have, want);
            if (fill == FILL_INTEGER && mass < 0x1p24)
                CHECK((double)have == want, "n_in=%d t=%d r=%d: %.9g, should be exactly %.9g", c->n_in, t, r,
                      (double)have, want);
        }
}

/* What decodes beside it: of its own ISA, or of the best one that it falls back on (which the unit includes last). */
static const Row *one_token(const Row *k)
{
    const Row *found = NULL;

    for (int i = 0; i < N_ROWS; i++)
        if (!strcmp(rows[i].op, k->op) && !strcmp(rows[i].layout, k->layout) && !strcmp(rows[i].act, k->act) &&
            rows[i].tokens == 1 && (i < k - rows || !strcmp(rows[i].isa, k->isa)))
            if (!found || strcmp(found->isa, k->isa))
                found = &rows[i];
    return found;
}

static void test_dot(const Row *k)
{
    static const int sizes[] = { 0, 32, 64, 96, 256, 576, 1536, 1, 3, 7, 31, 33, 100 };
    int columns = layouts[layout_index(k->layout)].columns;
    const Row *one = one_token(k);

    CHECK(k->tokens == 1 || k->tokens == 4, "tile has %d tokens", k->tokens);
    CHECK(one, "has no kernel for one token beside it");
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0] && one; s++)
        for (int fill = 0; fill < N_FILLS; fill++) {
            float out[128 + 2 * GUARD], again[128 + 2 * GUARD], *acc = out + GUARD;
            Case c;

            if (sizes[s] % columns)
                continue;
            c = make_case(k->layout, sizes[s], fill);
            set_guards(out, 32 * k->tokens);
            call_dot(k, acc, &c, NULL);
            CHECK(guards_intact(out, 32 * k->tokens), "n_in=%d: writes outside acc", c.n_in);
            check_dot(k, &c, acc, fill);
            memcpy(again, out, sizeof out);
            call_dot(k, again + GUARD, &c, c.w);
            CHECK(!memcmp(again + GUARD, acc, sizeof(float) * 32 * (size_t)k->tokens), "n_in=%d: prefetching changes it",
                  c.n_in);
            for (int t = 0; t < k->tokens; t++) {
                Case shifted = c;
                float alone[32];

                shifted.x = c.x + t * c.x_stride;
                shifted.q = c.q + t * c.q_stride;
                call_dot(one, alone, &shifted, NULL);
                CHECK(!memcmp(alone, acc + 32 * t, sizeof alone), "n_in=%d fill=%d: token %d differs from %s", c.n_in,
                      fill, t, one->name);
            }
            free_case(&c);
        }
}

/* ---- bound ---------------------------------------------------------------------------------------------------------- */

typedef int (*BoundQ8)(SnBest *, const uint8_t *, const SnQ8 *, int, const uint8_t *);

/* Row r alone: the scales and bounds of all others become 0, so that their logits and bounds are. */
static void leave_row(uint8_t *w, const Case *c, int r)
{
    int n = c->n_in / 32;

    memcpy(w, c->w, c->bytes);
    for (int k = 0; k < 32; k++) {
        for (int b = 0; b < n && k != r; b++)
            memset(w + 704 * b + 640 + 2 * k, 0, 2);
        if (k != r) {
            memset(w + 704 * n + 2 * k, 0, 2);
            memset(w + 704 * n + 64 + 2 * k, 0, 2);
        }
    }
}

/* Bits that the bound does not know all pull one way: every weight's low part has the sign of its activation. */
static void aim(Case *c, bool alike)
{
    int n = c->n_in / 32;
    uint16_t one = 0x3c00;

    memset(c->w, 0, c->bytes);
    for (int i = 0; i < c->n_in && alike; i++) {
        SnQ8 *x = &c->q[i / 32];
        int8_t was = x->q[i % 32];

        x->d = 0.25f;
        x->q[i % 32] = was < 0 ? -100 : 100;
        x->sum += x->q[i % 32] - was;
    }
    for (int r = 0; r < 32; r++) {
        uint16_t R = half_above(3.5 * sqrt(c->n_in)), N = half_above(12 * sqrt(c->n_in) + 2 * half_value(R));

        for (int i = 0; i < c->n_in; i++) {
            memcpy(c->w + 704 * (i / 32) + 640 + 2 * r, &one, 2);
            put_split(c->w, c->n_in, r, i, 128 + (r % 2 ? -8 : 0) + (c->q[i / 32].q[i % 32] > 0 ? 7 : 0));
        }
        memcpy(c->w + 704 * n + 2 * r, &R, 2);
        memcpy(c->w + 704 * n + 64 + 2 * r, &N, 2);
    }
}

/* A row must not be ruled out by a floor that its logit reaches, whatever groups are read; it must be by one far above. */
static void test_bound_of(const Row *k, const Case *c, const char *what)
{
    const Row *dot = NULL;
    uint8_t *w = alloc(c->bytes);
    float all[32];
    SnBest best;

    for (int i = 0; i < N_ROWS; i++)
        if (!strcmp(rows[i].op, "dot") && !strcmp(rows[i].layout, k->layout) && !strcmp(rows[i].act, k->act) &&
            !strcmp(rows[i].isa, k->isa) && rows[i].tokens == 1)
            dot = &rows[i];
    CHECK(dot, "has no dot kernel beside it");
    if (!dot)
        return;
    ((DotQ8)dot->fn)(all, c->w, c->q, c->n_in, NULL);
    for (int r = 0; r < 32; r++) {
        double x = 0, rest = half_value(sn_load_u16(c->w + 704 * (c->n_in / 32) + 2 * r));

        for (int i = 0; i < c->n_in; i++)
            x += c->q[i / 32].d * (double)c->q[i / 32].d * c->q[i / 32].q[i % 32] * c->q[i / 32].q[i % 32];
        leave_row(w, c, r);
        for (int groups = 0; groups <= SN_BEST_GROUPS; groups += 4) {
            sn_best_begin(&best, c->q, c->n_in, 1);
            CHECK(((BoundQ8)k->fn)(&best, w, c->q, c->n_in, w), "%s: n_in=%d r=%d: ruled out before anything is known", what,
                  c->n_in, r);
            if (best.n_groups > groups)
                best.n_groups = groups;
            best.floor = all[r];
            if (!(all[r] > 0))                  /* the other rows' logits are 0: they reach it */
                continue;
            CHECK(((BoundQ8)k->fn)(&best, w, c->q, c->n_in, groups ? w : NULL), "%s: n_in=%d r=%d: %d groups rule out %.9g",
                  what, c->n_in, r, groups, (double)all[r]);
            best.floor = (float)((double)all[r] + 2.1 * rest * sqrt(x) + 1e-3 * fabs((double)all[r]) + 1e-17);
            CHECK(!isfinite(rest) || !isfinite(best.floor) || !((BoundQ8)k->fn)(&best, w, c->q, c->n_in, NULL),
                  "%s: n_in=%d r=%d: %d groups do not rule out %.9g, which is far from %.9g", what, c->n_in, r, groups,
                  (double)best.floor, (double)all[r]);
        }
    }
    for (int r = 0; r < 32; r++) {              /* all rows at once, one after the other as the best */
        sn_best_begin(&best, c->q, c->n_in, 1);
        best.floor = all[r];
        CHECK(!isfinite(all[r]) || ((BoundQ8)k->fn)(&best, c->w, c->q, c->n_in, NULL), "%s: n_in=%d: the tile of %.9g is ruled out",
              what, c->n_in, (double)all[r]);
    }
    free(w);
}

static void test_bound(const Row *k)
{
    static const int sizes[] = { 0, 32, 64, 96, 256, 288, 576 };

    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
        for (int fill = 0; fill < N_FILLS + 3; fill++) {
            Case c = make_case(k->layout, sizes[s], fill < N_FILLS ? fill : FILL_RANDOM);

            if (fill >= N_FILLS && fill < N_FILLS + 2)
                aim(&c, fill == N_FILLS);
            for (int b = 0; fill == N_FILLS + 2 && b < c.n_in / 32; b++)       /* energy in few groups, tiny and large */
                c.q[b].d *= (float[]){ 1e-20f, 1e-10f, 1e-3f, 1, 1e-3f, 1e3f, 1e-2f, 1, 0 }[(unsigned)b % 9];
            test_bound_of(k, &c, fill < N_FILLS ? "random" : fill < N_FILLS + 2 ? "aimed" : "uneven");
            if (c.n_in) {                       /* what is no number, or too large for floats, is never ruled out */
                SnBest best;

                for (int i = 0; i < 3; i++) {
                    c.q[0].d = (float[]){ INFINITY, NAN, 1e30f }[i];
                    c.q[0].q[0] = 127;
                    sn_best_begin(&best, c.q, c.n_in, 1);
                    best.floor = 1e30f;
                    CHECK(((BoundQ8)k->fn)(&best, c.w, c.q, c.n_in, NULL), "a scale of %g rules out a tile", (double)c.q[0].d);
                }
            }
            free_case(&c);
        }
}

static int by_size(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;

    return (x < y) - (x > y);
}

/* sn_best_keep: the floor is the k-th best of all that it was shown. */
static void test_keeping(void)
{
    SnQ8 x = { .d = 1, .q = { 1 }, .sum = 1, .ds = 1 };
    float v[320], sorted[320];
    SnBest best;

    for (int round = 0; round < 200; round++) {
        int k = 1 + (int)(random_u32() % SN_BEST_MOST), n_kept = 0;

        sn_best_begin(&best, &x, 32, k);
        for (int n = 32; n <= 320; n += 32) {
            for (int i = n - 32; i < n; i++) {
                v[i] = round % 2 ? random_unit() : (float)(random_u32() % 5);
                sorted[i] = v[i];
            }
            n_kept = n < k ? n : k;
            sn_best_keep(&best, v + n - 32, 32);
            qsort(sorted, (size_t)n, sizeof *sorted, by_size);
            CHECK(best.n == n_kept, "keeps %d of %d", best.n, n);
            CHECK(best.floor == (n < k ? -INFINITY : sorted[k - 1]), "the floor for %d of %d is %g, should be %g", k, n,
                  (double)best.floor, (double)sorted[k - 1]);
        }
    }
    sn_best_begin(&best, &x, 32, 2);
    sn_best_keep(&best, (float[]){ NAN, -INFINITY, NAN, 3, -INFINITY, 4, NAN }, 7);
    CHECK(best.floor == 3, "the floor among NaN is %g", (double)best.floor);
}

/* ---- row, rmsnorm, quant, store_f16 ---------------------------------------------------------------------------------- */

static void test_row(const Row *k)
{
    int columns = layouts[layout_index(k->layout)].columns, step = columns > 32 ? columns : 32;

    for (int n_in = 0; n_in <= 2 * step; n_in += step)
        for (int fill = 0; fill < N_FILLS; fill++) {
            Case c = make_case(k->layout, n_in, fill);
            float out[512 + 2 * GUARD];

            for (int r = 0; r < 32; r++) {
                set_guards(out, n_in);
                ((void (*)(float *, const uint8_t *, int, int))k->fn)(out + GUARD, c.w, r, n_in);
                CHECK(guards_intact(out, n_in), "n_in=%d: writes outside y", n_in);
                for (int i = 0; i < n_in; i++)
                    CHECK(out[GUARD + i] == (float)c.value[(size_t)r * n_in + i], "r=%d column %d: %.9g, should be %.9g", r,
                          i, (double)out[GUARD + i], c.value[(size_t)r * n_in + i]);
            }
            free_case(&c);
        }
}

static void test_rmsnorm(const Row *k)
{
    static const int sizes[] = { 1, 2, 15, 16, 17, 20, 48, 576, 1000, 8192 };

    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
        for (int fill = 0; fill < 2; fill++) {
            int n = sizes[s];
            float *x = alloc(sizeof(float) * (size_t)n), *w = alloc(sizeof(float) * (size_t)n);
            float *out = alloc(sizeof(float) * (size_t)(n + 2 * GUARD));
            double sum = 0, r;

            for (int i = 0; i < n; i++) {
                x[i] = fill == FILL_ZERO ? 0 : random_unit() * (i % 100 ? 1 : 1000);
                w[i] = 1 + random_unit() / 2;
                sum += (double)x[i] * x[i];
            }
            r = 1 / sqrt(sum / n + (double)1e-5f);
            set_guards(out, n);
            ((void (*)(float *, const float *, const float *, int, float))k->fn)(out + GUARD, x, w, n, 1e-5f);
            CHECK(guards_intact(out, n), "n=%d: writes outside y", n);
            for (int i = 0; i < n; i++)
                CHECK(fabs(out[GUARD + i] - x[i] * r * w[i]) <= 2e-7 * fabs(x[i] * r * w[i]), "n=%d: y[%d] is %.9g, should "
                      "be %.9g", n, i, (double)out[GUARD + i], x[i] * r * w[i]);
            free(x);
            free(w);
            free(out);
        }
}

static void test_quant(const Row *k)
{
    void (*quant)(SnQ8 *, const float *) = (void (*)(SnQ8 *, const float *))k->fn;
    SnQ8 y;
    float x[32];

    for (int round = 0; round < 2000; round++) {
        float max = 0, scale = ldexpf(1, (int)(random_u32() % 160) - 80);
        int sum = 0;

        for (int i = 0; i < 32; i++) {
            x[i] = random_unit() * scale;
            if (round % 3 == 0)                                 /* halfway between integers */
                x[i] = (float)((int)(random_u32() % 255) - 127) / 2 * scale;
            max = fmaxf(max, fabsf(x[i]));
        }
        quant(&y, x);
        for (int i = 0; i < 32; i++) {
            float inverse = 127.0f / max, v = x[i] * inverse;

            CHECK(y.q[i] == (int)rintf(v), "%.9g of max %.9g becomes %d", (double)x[i], (double)max, y.q[i]);
            sum += y.q[i];
        }
        CHECK(y.d == max / 127.0f && y.sum == sum && y.ds == y.d * (float)sum, "d, sum or ds is wrong");
    }
    memset(x, 0, sizeof x);
    quant(&y, x);
    CHECK(y.d == 0 && y.ds == 0 && y.sum == 0 && y.q[0] == 0 && y.q[31] == 0, "zeros do not become zeros");
    x[3] = 1e-40f;
    quant(&y, x);
    CHECK(y.sum == 0 && y.q[3] == 0 && y.q[0] == 0, "a subnormal block does not become zeros");
    x[3] = INFINITY;
    quant(&y, x);
    CHECK(isinf(y.d), "infinity is lost");
    x[3] = NAN;
    quant(&y, x);
    CHECK(isnan(y.d), "NaN is lost");
}

/* Eight blocks with the scale of the largest number of all: what the kernel for one block makes of each when that number is in it. */
static void test_quant256(const Row *k)
{
    void (*quant)(SnQ8 *, const float *) = (void (*)(SnQ8 *, const float *))k->fn;
    SnQ8 y[9], want;
    float x[256], one[32];

    for (int round = 0; round < 500; round++) {
        int most = 0;

        for (int i = 0; i < 256; i++) {
            x[i] = round % 3 ? random_unit() : (float)((int)(random_u32() % 255) - 127) / 2;
            most = fabsf(x[i]) > fabsf(x[most]) ? i : most;
        }
        y[8].sum = 12345;
        quant(y, x);
        CHECK(y[8].sum == 12345, "writes behind eight blocks");
        for (int g = 0; g < 8; g++) {
            float inverse = 127.0f / fabsf(x[most]);
            int sum = 0;

            for (int i = 0; i < 32; i++) {
                CHECK(y[g].q[i] == (int)rintf(x[32 * g + i] * inverse), "%.9g of max %.9g becomes %d", (double)x[32 * g + i],
                      (double)x[most], y[g].q[i]);
                sum += y[g].q[i];
            }
            CHECK(y[g].d == fabsf(x[most]) / 127.0f && y[g].sum == sum && y[g].ds == y[g].d * (float)sum, "d, sum or ds is wrong");
        }
        memcpy(one, x + most / 32 * 32, sizeof one);
        sn_quant_q8(&want, one);
        CHECK(!memcmp(&want, &y[most / 32], sizeof want), "the block of the largest number is not what it is alone");
    }
    memset(x, 0, sizeof x);
    quant(y, x);
    CHECK(y[0].d == 0 && y[7].ds == 0 && y[7].sum == 0 && y[3].q[31] == 0, "zeros do not become zeros");
    x[200] = NAN;
    quant(y, x);
    CHECK(isnan(y[0].d) && isnan(y[7].d), "NaN is lost");
}

static void test_store_f16(const Row *k)
{
    void (*store)(uint16_t *, const float *, int) = (void (*)(uint16_t *, const float *, int))k->fn;
    static const int sizes[] = { 0, 1, 7, 8, 9, 16, 20, 48, 64, 100 };
    uint16_t y[128];
    float x[100];

    for (uint32_t h = 0; h < 0x10000; h++) {                    /* each half, and the floats around the middle to the next */
        double v = half_value((uint16_t)h), up = half_value((uint16_t)(h + 1));

        if (isnan(v)) {
            x[0] = NAN;
            store(y, x, 1);
            CHECK((y[0] & 0x7c00) == 0x7c00 && (y[0] & 0x3ff), "NaN becomes %04x", y[0]);
            continue;
        }
        x[0] = (float)v;
        x[1] = isfinite(v) && isfinite(up) ? (float)((v + up) / 2) : x[0];
        x[2] = nextafterf(x[1], INFINITY);
        x[3] = nextafterf(x[1], -INFINITY);
        for (int i = 4; i < 9; i++)
            x[i] = x[i % 4];
        store(y, x, 9);
        for (int i = 0; i < 9; i++)
            CHECK(y[i] == nearest_half(x[i]), "%.9g becomes %04x", (double)x[i], y[i]);
    }
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        for (int i = 0; i < 100; i++)
            x[i] = random_unit() * ldexpf(1, (int)(random_u32() % 60) - 40);
        for (int i = 0; i < 128; i++)
            y[i] = 0xabcd;
        store(y + 8, x, sizes[s]);
        for (int i = 0; i < 120; i++)
            CHECK(y[i] == (i >= 8 && i < 8 + sizes[s] ? nearest_half(x[i - 8]) : 0xabcd), "n=%d: y[%d] is %04x", sizes[s],
                  i - 8, y[i]);
    }
}

/* ---- panels of 8-bit codes: quant_i8, unpack, gemm ------------------------------------------------------------------------ */

static const int panel_shapes[][2] = {          /* n_in, group */
    { 64, 64 }, { 128, 128 }, { 192, 192 }, { 256, 256 }, { 512, 256 }, { 576, 192 }, { 320, 64 }, { 1024, 128 }, { 256, 64 },
};
enum { N_PANEL_SHAPES = sizeof panel_shapes / sizeof panel_shapes[0] };

static float largest(const float *x, int n)     /* |x|; NaN is above all */
{
    float max = 0;

    for (int i = 0; i < n; i++)
        max = isnan(x[i]) || isnan(max) ? NAN : fmaxf(max, fabsf(x[i]));
    return max;
}

static void turn(float *v, int n)               /* Sylvester's matrix of order 64, in the contract's order */
{
    for (int h = 1; h < 64; h *= 2)
        for (int k = 0; k < n; k++)
            if (!(k & h)) {
                float a = v[k], b = v[k + h];

                v[k] = a + b;
                v[k + h] = a - b;
            }
}

static int code_of(float x, float max)          /* the contract's, by rint */
{
    return max > 1e-30f && isfinite(max) ? (int)rint((double)x * (double)(127.0f / max)) : 0;
}

static bool same_float(float a, float b)
{
    return a == b || (isnan(a) && isnan(b));
}

static void test_quant_i8(const Row *k)
{
    void (*quant)(int8_t *, SnI8Scale *, const float *, int) = (void (*)(int8_t *, SnI8Scale *, const float *, int))k->fn;

    for (int n = 64; n <= 256; n += 64)
        for (int round = 0; round < 300; round++) {
            float scale = ldexpf(1, (int)(random_u32() % 160) - 80), max;
            float *x = alloc(sizeof(float) * (size_t)n);
            int8_t q[256 + 64];
            SnI8Scale s = { 77, 77 };
            int sum = 0;

            memset(q, 99, sizeof q);
            for (int i = 0; i < n; i++)
                x[i] = round % 3 == 0 ? (float)((int)(random_u32() % 255) - 127) / 2 * scale : random_unit() * scale;
            if (round == 1)
                memset(x, 0, sizeof(float) * (size_t)n);
            if (round > 1 && round < 5)
                x[random_u32() % (unsigned)n] = (float[]){ INFINITY, NAN, -INFINITY }[round - 2];
            quant(q + 32, &s, x, n);
            turn(x, n);
            max = largest(x, n);
            for (int i = 0; i < n; i++) {
                CHECK(q[32 + i] == code_of(x[i], max), "n=%d: %.9g of %.9g becomes %d", n, (double)x[i], (double)max, q[32 + i]);
                sum += q[32 + i];
            }
            CHECK(same_float(s.d, max / 127.0f / 8) && s.sum == sum, "n=%d: d or sum is wrong", n);
            for (int i = 0; i < 32; i++)
                CHECK(q[i] == 99 && q[32 + n + i] == 99, "n=%d: writes outside q", n);
            free(x);
        }
}

static size_t panel_bytes(int n_in, int group)
{
    return (size_t)(32 * n_in + 128 * (n_in / group));
}

static void *alloc_panel(int n_in, int group)    /* at a multiple of 64, with a guard behind */
{
    uint8_t *p = aligned_alloc(64, (panel_bytes(n_in, group) + 127) / 64 * 64);

    if (!p)
        abort();
    memset(p + panel_bytes(n_in, group), 0xa5, 64);
    return p;
}

static bool panel_guard_intact(const uint8_t *p, int n_in, int group)
{
    for (int i = 0; i < 64; i++)
        if (p[panel_bytes(n_in, group) + (size_t)i] != 0xa5)
            return false;
    return true;
}

static void test_unpack(const Row *k)
{
    int columns = layouts[layout_index(k->layout)].columns;

    for (int s = 0; s < N_PANEL_SHAPES; s++)
        for (int fill = 0; fill < N_FILLS; fill++) {
            int n_in = panel_shapes[s][0], group = panel_shapes[s][1];
            uint8_t *panel;
            Case c;

            if (n_in % columns || (group < columns && columns % group))
                continue;
            panel = alloc_panel(n_in, group);
            c = make_case(k->layout, n_in, fill);
            ((void (*)(uint8_t *, const uint8_t *, int, int))k->fn)(panel, c.w, n_in, group);
            CHECK(panel_guard_intact(panel, n_in, group), "n_in=%d: writes beyond the panel", n_in);
            for (int g = 0; g < n_in; g += group)
                for (int r = 0; r < 32; r++) {
                    float w[256], max, d;

                    for (int i = 0; i < group; i++)
                        w[i] = (float)c.value[(size_t)r * (size_t)n_in + (size_t)(g + i)];
                    turn(w, group);
                    max = largest(w, group);
                    memcpy(&d, panel + 32 * n_in + 4 * (g / group * 32 + r), 4);
                    CHECK(same_float(d, max / 127.0f / 8), "n_in=%d group=%d fill=%d row %d: scale %.9g, should be %.9g", n_in, group,
                          fill, r, (double)d, (double)(max / 127.0f / 8));
                    for (int i = 0; i < group; i++)
                        CHECK(panel[(g + i) / 4 * 128 + 4 * r + i % 4] == 128 + code_of(w[i], max),
                              "n_in=%d group=%d fill=%d row %d column %d: %d, should be %d (%.9g of %.9g)", n_in, group, fill, r,
                              g + i, panel[(g + i) / 4 * 128 + 4 * r + i % 4], 128 + code_of(w[i], max), (double)w[i],
                              (double)max);
                }
            free(panel);
            free_case(&c);
        }
}

/* The contract's sums; compiled like the kernels, so nothing is fused. */
static float gemm_want(const uint8_t *panel, const int8_t *x, int n_in, int group, int r)
{
    float acc = 0;

    for (int g = 0; g < n_in; g += group) {
        int32_t sum = 0;
        SnI8Scale s;
        float d;

        for (int i = g; i < g + group; i++)
            sum += (panel[i / 4 * 128 + 4 * r + i % 4] - 128) * x[i];
        memcpy(&s, x + n_in + 8 * (g / group), sizeof s);
        memcpy(&d, panel + 32 * n_in + 4 * (g / group * 32 + r), 4);
        acc += (float)sum * (d * s.d);
    }
    return acc;
}

static void test_gemm(const Row *k)
{
    void (*gemm)(float *, int, const uint8_t *, const int8_t *, int, int, int, int) =
        (void (*)(float *, int, const uint8_t *, const int8_t *, int, int, int, int))k->fn;

    for (int shape = 0; shape < N_PANEL_SHAPES; shape++)
        for (int n = 0; n <= 49; n += n < 35 ? 1 : 7) {
            int n_in = panel_shapes[shape][0], group = panel_shapes[shape][1], acc_stride = 32 * (1 + n % 3);
            int x_stride = (n_in + 8 * (n_in / group) + 63) / 64 * 64 + 64 * (n % 2);
            uint8_t *panel = alloc_panel(n_in, group);
            int8_t *x = aligned_alloc(64, (size_t)x_stride * (size_t)(n + 1));
            float *out = alloc(sizeof(float) * (size_t)(n * acc_stride + 2 * GUARD)), *acc = out + GUARD;
            bool extreme = n % 4 == 3;

            for (int i = 0; i < 32 * n_in; i++)
                panel[i] = extreme ? (random_u32() % 2 ? 255 : 1) : (uint8_t)(1 + random_u32() % 255);
            for (int i = 0; i < n_in / group * 32; i++) {
                float d = random_unit();
                memcpy(panel + 32 * n_in + 4 * i, &d, 4);
            }
            for (int t = 0; t < n; t++)
                for (int g = 0; g < n_in; g += group) {
                    SnI8Scale s = { random_unit(), 0 };

                    for (int i = g; i < g + group; i++) {
                        int8_t q = (int8_t)(extreme ? (random_u32() % 8 ? 127 : -127) : (int)(random_u32() % 255) - 127);

                        x[t * x_stride + i] = q;
                        s.sum += q;
                    }
                    memcpy(x + t * x_stride + n_in + 8 * (g / group), &s, sizeof s);
                }
            set_guards(out, n * acc_stride);
            gemm(acc, acc_stride, panel, x, x_stride, n_in, group, n);
            CHECK(guards_intact(out, n * acc_stride), "n_in=%d n=%d: writes outside acc", n_in, n);
            for (int t = 0; t < n; t++)
                for (int r = 0; r < acc_stride; r++) {
                    float want = r < 32 ? gemm_want(panel, x + t * x_stride, n_in, group, r) : 12345.0f;

                    CHECK(acc[t * acc_stride + r] == want, "n_in=%d group=%d n=%d: token %d row %d is %.9g, should be %.9g", n_in,
                          group, n, t, r, (double)acc[t * acc_stride + r], (double)want);
                }
            free(panel);
            free(x);
            free(out);
        }
}

/* Before gemm_end, after it, and with other numbers of tokens between, gemm's bits are the same. */
static void test_gemm_end(const Row *k)
{
    for (int i = 0; i < N_ROWS; i++)
        if (!strcmp(rows[i].op, "gemm") && !strcmp(rows[i].isa, k->isa))
            for (int round = 0; round < 2; round++) {
                k->fn();
                test_gemm(&rows[i]);
            }
}

/* ---- attention ------------------------------------------------------------------------------------------------------ */

static const int head_dims[] = { 16, 20, 48, 64, 80, 128, 1, 7, 63, 200, 256, 272 };
static const int lengths[] = { 0, 1, 2, 3, 4, 7, 8, 9, 64, 100 };
enum { N_HEAD_DIMS = sizeof head_dims / sizeof head_dims[0], N_LENGTHS = sizeof lengths / sizeof lengths[0], MAX_LENGTH = 100 };

typedef struct { void *kv; double *value; int stride; } Cache;

static Cache make_cache(bool f16, int n, int head_dim)
{
    int stride = head_dim + 3;
    size_t count = n ? (size_t)(n - 1) * (size_t)stride + (size_t)head_dim : 0;
    Cache c = { alloc(count * (f16 ? 2 : 4)), alloc(sizeof(double) * count), stride };

    for (size_t i = 0; i < count; i++) {
        float v = random_unit();
        uint16_t h = nearest_half(v);

        if (f16)
            ((uint16_t *)c.kv)[i] = h;
        else
            ((float *)c.kv)[i] = v;
        c.value[i] = f16 ? half_value(h) : v;
    }
    return c;
}

static void call_score(const Row *k, float *s, const float *q, const Cache *c, int n, int head_dim)
{
    if (!strcmp(k->act, "f16"))
        ((void (*)(float *, const float *, const uint16_t *, int, int, int, float))k->fn)(s, q, c->kv, c->stride, n, head_dim,
                                                                                          0.125f);
    else
        ((void (*)(float *, const float *, const float *, int, int, int, float))k->fn)(s, q, c->kv, c->stride, n, head_dim,
                                                                                       0.125f);
}

static void test_score(const Row *k)
{
    for (int a = 0; a < N_HEAD_DIMS; a++)
        for (int b = 0; b < N_LENGTHS; b++) {
            int hd = head_dims[a], n = lengths[b];
            Cache c = make_cache(!strcmp(k->act, "f16"), n, hd);
            float *q = alloc(sizeof(float) * (size_t)hd), out[MAX_LENGTH + 2 * GUARD], part[MAX_LENGTH];

            for (int d = 0; d < hd; d++)
                q[d] = random_unit();
            set_guards(out, n);
            call_score(k, out + GUARD, q, &c, n, hd);
            CHECK(guards_intact(out, n), "head_dim=%d n=%d: writes outside s", hd, n);
            for (int i = 0; i < n; i++) {
                double want = 0, mass = 0;

                for (int d = 0; d < hd; d++) {
                    want += q[d] * c.value[(size_t)i * (size_t)c.stride + (size_t)d] / 8;
                    mass += fabs(q[d] * c.value[(size_t)i * (size_t)c.stride + (size_t)d]) / 8;
                }
                CHECK(fabs(out[GUARD + i] - want) <= (hd / 16.0 + 8) * 0x1p-24 * mass, "head_dim=%d n=%d: s[%d] is %.9g, "
                      "should be %.9g", hd, n, i, (double)out[GUARD + i], want);
            }
            for (int m = 0; m < n && m < 10; m++) {             /* a shorter span gives the same scores */
                call_score(k, part, q, &c, m, hd);
                CHECK(!memcmp(part, out + GUARD, sizeof(float) * (size_t)m), "head_dim=%d: %d of %d positions differ", hd,
                      m, n);
            }
            free(q);
            free(c.kv);
            free(c.value);
        }
}

static void call_mix(const Row *k, float *y, const float *p, const Cache *c, int from, int n, int head_dim)
{
    size_t skip = (size_t)from * (size_t)c->stride;

    if (!strcmp(k->act, "f16"))
        ((void (*)(float *, const float *, const uint16_t *, int, int, int))k->fn)(y, p + from, (uint16_t *)c->kv + skip,
                                                                                   c->stride, n, head_dim);
    else
        ((void (*)(float *, const float *, const float *, int, int, int))k->fn)(y, p + from, (float *)c->kv + skip, c->stride,
                                                                                n, head_dim);
}

static void test_mix(const Row *k)
{
    for (int a = 0; a < N_HEAD_DIMS; a++)
        for (int b = 0; b < N_LENGTHS; b++) {
            int hd = head_dims[a], n = lengths[b];
            Cache c = make_cache(!strcmp(k->act, "f16"), n, hd);
            float *out = alloc(sizeof(float) * (size_t)(hd + 2 * GUARD)), *again = alloc(sizeof(float) * (size_t)hd);
            float p[MAX_LENGTH + 1], *y = out + GUARD;

            for (int i = 0; i < n; i++)
                p[i] = fabsf(random_unit());
            set_guards(out, hd);
            for (int d = 0; d < hd; d++)
                y[d] = again[d] = (float)d;
            call_mix(k, y, p, &c, 0, n, hd);
            CHECK(guards_intact(out, hd), "head_dim=%d n=%d: writes outside y", hd, n);
            for (int d = 0; d < hd; d++) {
                double want = d, mass = d;

                for (int i = 0; i < n; i++) {
                    want += p[i] * c.value[(size_t)i * (size_t)c.stride + (size_t)d];
                    mass += fabs(p[i] * c.value[(size_t)i * (size_t)c.stride + (size_t)d]);
                }
                CHECK(fabs(y[d] - want) <= (n + 2) * 0x1p-24 * mass, "head_dim=%d n=%d: y[%d] is %.9g, should be %.9g", hd,
                      n, d, (double)y[d], want);
            }
            if (n > 1) {                                        /* span by span gives the same sums */
                call_mix(k, again, p, &c, 0, n / 2, hd);
                call_mix(k, again, p, &c, n / 2, n - n / 2, hd);
                CHECK(!memcmp(again, y, sizeof(float) * (size_t)hd), "head_dim=%d n=%d: two spans differ from one", hd, n);
            }
            free(out);
            free(again);
            free(c.kv);
            free(c.value);
        }
}

/* The kernel for one query whose results this one for four gives. */
static const Row *one_query(const Row *k)
{
    for (int i = 0; i < N_ROWS; i++)
        if (!strncmp(rows[i].op, k->op, strlen(k->op) - 1) && strlen(rows[i].op) + 1 == strlen(k->op) &&
            !strcmp(rows[i].act, k->act) && !strcmp(rows[i].isa, k->isa))
            return &rows[i];
    return NULL;
}

enum { MOST_QUERIES = 14, SOME_STRIDE = MAX_LENGTH + 2 * GUARD, SOME_WIDTH = 272 + 2 * GUARD };

static void test_score4(const Row *k)
{
    const Row *one = one_query(k);

    CHECK(one && !strcmp(k->act, "f16"), "there is no kernel for one query of f16 to compare with");
    for (int a = 0; one && a < N_HEAD_DIMS; a++)
        for (int b = 0; b < N_LENGTHS; b++) {
            int hd = head_dims[a], n = lengths[b];
            Cache c = make_cache(true, n, hd);
            float *out = alloc(sizeof(float) * (MOST_QUERIES + 1) * SOME_STRIDE), want[MAX_LENGTH];

            for (int n_q = 0; n_q <= MOST_QUERIES; n_q++) {
                float *q = alloc(sizeof(float) * (size_t)(n_q ? (n_q - 1) * (hd + 5) + hd : 0));

                for (int d = 0; n_q && d < (n_q - 1) * (hd + 5) + hd; d++)
                    q[d] = random_unit();
                for (int j = 0; j <= MOST_QUERIES; j++)
                    set_guards(out + j * SOME_STRIDE, j < n_q ? n : 0);
                ((void (*)(float *, int, const float *, int, int, const uint16_t *, int, int, int, float))k->fn)(
                    out + GUARD, SOME_STRIDE, q, hd + 5, n_q, c.kv, c.stride, n, hd, 0.125f);
                for (int j = 0; j <= MOST_QUERIES; j++)
                    CHECK(guards_intact(out + j * SOME_STRIDE, j < n_q ? n : 0),
                          "head_dim=%d n=%d n_q=%d: writes outside s of query %d", hd, n, n_q, j);
                for (int j = 0; j < n_q; j++) {
                    call_score(one, want, q + j * (hd + 5), &c, n, hd);
                    CHECK(!memcmp(want, out + j * SOME_STRIDE + GUARD, sizeof(float) * (size_t)n),
                          "head_dim=%d n=%d: query %d of %d differs from one alone", hd, n, j, n_q);
                }
                free(q);
            }
            free(out);
            free(c.kv);
            free(c.value);
        }
}

static void test_mix4(const Row *k)
{
    const Row *one = one_query(k);

    CHECK(one && !strcmp(k->act, "f16"), "there is no kernel for one query of f16 to compare with");
    for (int a = 0; one && a < N_HEAD_DIMS; a++)
        for (int b = 0; b < N_LENGTHS; b++) {
            int hd = head_dims[a], n = lengths[b];
            Cache c = make_cache(true, n, hd);
            float *out = alloc(sizeof(float) * (MOST_QUERIES + 1) * SOME_WIDTH), want[SOME_WIDTH];

            for (int n_q = 0; n_q <= MOST_QUERIES; n_q++) {
                float *p = alloc(sizeof(float) * (size_t)(n_q ? (n_q - 1) * (n + 1) + n : 0));

                for (int i = 0; n_q && i < (n_q - 1) * (n + 1) + n; i++)
                    p[i] = fabsf(random_unit());
                for (int j = 0; j <= MOST_QUERIES; j++) {
                    set_guards(out + j * SOME_WIDTH, j < n_q ? hd : 0);
                    for (int d = 0; j < n_q && d < hd; d++)
                        out[j * SOME_WIDTH + GUARD + d] = (float)(d + j);
                }
                ((void (*)(float *, int, const float *, int, int, const uint16_t *, int, int, int))k->fn)(
                    out + GUARD, SOME_WIDTH, p, n + 1, n_q, c.kv, c.stride, n, hd);
                for (int j = 0; j <= MOST_QUERIES; j++)
                    CHECK(guards_intact(out + j * SOME_WIDTH, j < n_q ? hd : 0),
                          "head_dim=%d n=%d n_q=%d: writes outside y of query %d", hd, n, n_q, j);
                for (int j = 0; j < n_q; j++) {
                    for (int d = 0; d < hd; d++)
                        want[d] = (float)(d + j);
                    call_mix(one, want, p + j * (n + 1), &c, 0, n, hd);
                    CHECK(!memcmp(want, out + j * SOME_WIDTH + GUARD, sizeof(float) * (size_t)hd),
                          "head_dim=%d n=%d: query %d of %d differs from one alone", hd, n, j, n_q);
                }
                free(p);
            }
            free(out);
            free(c.kv);
            free(c.value);
        }
}

static void test_max(const Row *k)
{
    float (*max)(const float *, int) = (float (*)(const float *, int))k->fn;

    CHECK(max(NULL, 0) == -INFINITY, "of nothing it is not -infinity");
    for (int n = 1; n <= 100; n++) {
        float *s = alloc(sizeof(float) * (size_t)n), want = -INFINITY;

        for (int i = 0; i < n; i++) {
            s[i] = random_unit() - 2;
            want = fmaxf(want, s[i]);
        }
        CHECK(max(s, n) == want, "n=%d: %.9g, should be %.9g", n, (double)max(s, n), (double)want);
        free(s);
    }
}

/* Elementwise functions of whole arrays have the bits of one number's. */
static void test_map(const Row *k)
{
    for (int n = 0; n <= 70; n++) {
        float out[70 + 2 * GUARD], *x = alloc(sizeof(float) * (size_t)n), *y = out + GUARD;

        for (int i = 0; i < n; i++)
            x[i] = i % 9 == 8 ? ldexpf(random_unit(), (int)(random_u32() % 260) - 130) : 12 * random_unit();
        for (int i = 0; n == 70 && i < 4; i++)
            x[5 * i] = (float[]){ 0, -0.0f, INFINITY, -3e38f }[i];
        set_guards(out, n);
        ((void (*)(float *, const float *, int))k->fn)(y, x, n);
        CHECK(guards_intact(out, n), "n=%d: writes outside y", n);
        for (int i = 0; i < n; i++) {
            float want = !strcmp(k->op, "silu") ? sn_silu(x[i]) : sn_gelu_tanh(x[i]);

            CHECK(sn_bits(y[i]) == sn_bits(want) || (isnan(y[i]) && isnan(want)), "%s of %.9g is %.9g, should be %.9g", k->op,
                  (double)x[i], (double)y[i], (double)want);
        }
        if (n) {
            x[n - 1] = NAN;
            ((void (*)(float *, const float *, int))k->fn)(y, x, n);
            CHECK(isnan(y[n - 1]), "n=%d: a NaN is lost", n);
        }
        free(x);
    }
}

static void test_exp_sum(const Row *k)
{
    for (int n = 0; n <= 100; n++) {
        float out[100 + 2 * GUARD], *s = out + GUARD;
        double want[100], sum = 0;
        float same[100], have, same_sum;

        set_guards(out, n);
        for (int i = 0; i < n; i++) {
            s[i] = 10 - fabsf(random_unit()) * (i % 7 ? 10 : 120);
            s[i] = i == 5 ? -INFINITY : s[i];
            want[i] = exp((double)(s[i] - 10.0f));
            sum += want[i];
        }
        memcpy(same, s, sizeof(float) * (size_t)n);
        same_sum = sn_exp_sum(same, n, 10.0f);
        have = ((float (*)(float *, int, float))k->fn)(s, n, 10.0f);
        CHECK(have == same_sum && !memcmp(s, same, sizeof(float) * (size_t)n), "n=%d: not the portable one's bits", n);
        CHECK(guards_intact(out, n), "n=%d: writes outside s", n);
        CHECK(fabs(have - sum) <= 1e-6 * sum + 2e-45 * n, "n=%d: sum %.9g, should be %.9g", n, (double)have, sum);
        for (int i = 0; i < n; i++)
            CHECK(fabs(s[i] - want[i]) <= 2e-7 * want[i] + 2e-45, "s[%d] is %.9g, should be %.9g", i, (double)s[i], want[i]);
    }
    for (int n = 1; n <= 40; n++) {                                     /* every exponent; nothing hides a NaN */
        float s[40], same[40];

        for (int i = 0; i < n; i++)
            s[i] = same[i] = i == n - 1 && n % 2 ? NAN : 100 - (float)(n * i) * 0.1783f;
        CHECK(isnan(((float (*)(float *, int, float))k->fn)(s, n, 10.0f)) == (n % 2 == 1), "n=%d: a NaN is lost", n);
        sn_exp_sum(same, n, 10.0f);
        CHECK(!memcmp(s, same, sizeof(float) * (size_t)(n % 2 ? n - 1 : n)), "n=%d: not the portable one's bits", n);
    }
}

/* ---- scalar mathematics: no contract, used by emitted epilogues ------------------------------------------------------ */

static bool near(double have, double want, double bound)
{
    return fabs(have - want) <= bound * fabs(want) + 1e-38;
}

static void test_scalars(void)
{
    for (float x = -87; x < 88; x += 0.0137f)
        CHECK(near(sn_exp(x), exp(x), 2e-7), "sn_exp(%.9g) is %.9g", (double)x, (double)sn_exp(x));
    CHECK(sn_exp(-INFINITY) == 0 && sn_exp(-1000) == 0, "sn_exp of much below zero is not 0");
    CHECK(isinf(sn_exp(INFINITY)) && isinf(sn_exp(89)), "sn_exp of 89 is not infinite");
    CHECK(isnan(sn_exp(NAN)) && isnan(sn_tanh(NAN)) && isnan(sn_silu(NAN)) && isnan(sn_gelu_tanh(NAN)), "NaN is lost");
    CHECK(sn_exp(0) == 1 && sn_tanh(0) == 0 && sn_sigmoid(0) == 0.5f && sn_silu(0) == 0, "wrong at 0");
    CHECK(sn_tanh(100) == 1 && sn_tanh(-100) == -1, "sn_tanh does not end at 1");
    for (float x = -20; x < 20; x += 0.00317f) {
        double gelu = x * 0.5 * erfc(-x / sqrt(2.0)), u = sqrt(2 / acos(-1)) * (x + 0.044715 * (double)x * x * x);

        CHECK(near(sn_tanh(x), tanh(x), 4e-7), "sn_tanh(%.9g) is %.9g", (double)x, (double)sn_tanh(x));
        CHECK(near(sn_sigmoid(x), 1 / (1 + exp(-(double)x)), 1e-6), "sn_sigmoid(%.9g) is %.9g", (double)x,
              (double)sn_sigmoid(x));
        CHECK(near(sn_silu(x), x / (1 + exp(-(double)x)), 1e-6), "sn_silu(%.9g) is %.9g", (double)x, (double)sn_silu(x));
        CHECK(fabs(sn_gelu_tanh(x) - x / (1 + exp(-2 * u))) <= 1e-6 * fmax(1e-3, fabs(x / (1 + exp(-2 * u)))),
              "sn_gelu_tanh(%.9g) is %.9g", (double)x, (double)sn_gelu_tanh(x));
        CHECK(fabs(sn_gelu_tanh(x) - gelu) < 1e-3, "sn_gelu_tanh(%.9g) is %.9g, gelu is %.9g", (double)x,
              (double)sn_gelu_tanh(x), gelu);
    }
    for (int i = 0; i < 200000; i++) {
        double x = random_unit() * (i % 3 ? 1e7 : i % 2 ? 1e3 : 4), want_s, want_c;
        float s, c;

        x = i % 5 ? x : floor(x);
        want_s = sin(x);
        want_c = cos(x);
        sn_sincos(x, &s, &c);
        CHECK(fabs(s - want_s) <= 3.1e-8 && fabs(c - want_c) <= 3.1e-8, "sn_sincos(%.17g) is %.9g, %.9g", x, (double)s,
              (double)c);
    }
    for (uint32_t h = 0; h < 0x10000; h++) {
        double v = half_value((uint16_t)h);
        float f = sn_f16_to_f32((uint16_t)h);

        CHECK(isnan(v) ? isnan(f) : f == v && !signbit(f) == !signbit(v), "sn_f16_to_f32(%04x) is %.9g", h, (double)f);
        CHECK(isnan(v) || sn_f32_to_f16(f) == h, "%04x does not come back: %04x", h, sn_f32_to_f16(f));
    }
    for (uint32_t bits = 1; bits < 0x7f800000u; bits += 99991) {
        float x;

        memcpy(&x, &bits, sizeof x);
        CHECK(sn_sqrt(x) == sqrtf(x) && sn_abs(-x) == x && sn_abs(x) == x, "sn_sqrt(%.9g) is %.9g", (double)x,
              (double)sn_sqrt(x));
    }
    CHECK(sn_sqrt(0) == 0 && isinf(sn_sqrt(INFINITY)) && isnan(sn_sqrt(-1)) && isnan(sn_sqrt(NAN)), "sn_sqrt at its ends");
    for (double x = 1e-44; x < 3e38; x *= 1.0037)
        CHECK(fabs(sn_log((float)x) - log((double)(float)x)) <= 3e-7 * fabs(log((double)(float)x)), "sn_log(%.9g) is %.9g", x,
              (double)sn_log((float)x));
    CHECK(sn_log(1) == 0 && sn_log(INFINITY) == INFINITY && sn_log(0) == -INFINITY && isnan(sn_log(-1)) && isnan(sn_log(NAN)),
          "sn_log at its ends");
    for (float x = -20; x < 20; x += 0.125f)
        CHECK(sn_round(x) == nearbyintf(x) && sn_floor(x) == floorf(x), "sn_round(%g), sn_floor", (double)x);
    for (float x = 1e-20f; x < 1e20f; x *= 1.7f)
        CHECK(sn_round(x) == nearbyintf(x) && sn_floor(-x) == floorf(-x), "sn_round(%g), sn_floor(-x)", (double)x);
    CHECK(isnan(sn_round(NAN)) && isnan(sn_floor(NAN)) && sn_floor(-INFINITY) == -INFINITY, "sn_round and sn_floor at their ends");
    for (double x = 1e-30; x < 1e30; x *= 1.37)
        CHECK(fabs(sn_rsqrt(x) * sqrt(x) - 1) < 1e-15, "sn_rsqrt(%.9g)", x);
    CHECK(sn_rsqrt((double)INFINITY) == 0 && isnan(sn_rsqrt((double)NAN)), "sn_rsqrt of infinity or NaN");
}

#include "tests/kernels/image.h"

static const struct { const char *op; void (*test)(const Row *); } tests[] = {
    { "dot", test_dot }, { "bound", test_bound }, { "row", test_row }, { "rmsnorm", test_rmsnorm }, { "quant", test_quant },
    { "quant256", test_quant256 }, { "quant_i8", test_quant_i8 }, { "unpack", test_unpack },
    { "gemm", test_gemm }, { "gemm_end", test_gemm_end },
    { "score", test_score }, { "score4", test_score4 }, { "mix", test_mix }, { "mix4", test_mix4 }, { "max", test_max },
    { "exp_sum", test_exp_sum }, { "silu", test_map }, { "gelu_tanh", test_map }, { "store_f16", test_store_f16 },
    { "im2col", test_image }, { "dot_panel", test_image }, { "pointwise", test_image }, { "conv_groups", test_image },
    { "depthwise", test_image }, { "depthwise_panel", test_image }, { "avgpool", test_image }, { "maxpool", test_image },
    { "conv_f32", test_image }, { "depthwise_f32", test_image }, { "avgpool_f32", test_image }, { "maxpool_f32", test_image },
    { "fully", test_fully }, { "fully_f32", test_fully_f32 }, { "add", test_add_i8 }, { "softmax_int", test_softmax_int },
    { "softmax_f32", test_softmax_f32 },
};

int kernel_tests(void)
{
    int failed = 0;

    current = "scalar mathematics";
    n_failures = 0;
    test_scalars();
    failed += n_failures > 0;
    current = "keeping the best";
    n_failures = 0;
    test_keeping();
    failed += n_failures > 0;
    for (int i = 0; i < N_ROWS; i++) {
        bool known = false;

        current = rows[i].name;
        n_failures = 0;
        for (size_t t = 0; t < sizeof tests / sizeof tests[0]; t++)
            if (!strcmp(tests[t].op, rows[i].op)) {
                known = true;
                tests[t].test(&rows[i]);
            }
        CHECK(known, "there is no test for op '%s'", rows[i].op);
        failed += n_failures > 0;
    }
    printf("kernels %s: %d passed, %d failed, 0 skipped\n", kernel_test_unit, N_ROWS + 2 - failed, failed);
    return failed;
}
