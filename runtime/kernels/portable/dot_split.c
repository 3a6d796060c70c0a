/* A head in two parts: 8-bit codes of which the five high bits are read for all rows, the three low ones where they matter.
 *
 * i53g32_r32k4, a tile of n_in / 32 = n groups of columns.  w = d (code - 128), code = 8 high + low:
 *
 *     byte 0                                       704 n        704 n + 128                1088 n + 128
 *          | n x (high: as i5g32_r32k4, and d)  |  R f16[32] | N f16[32]  |  n x low 384  |
 *
 *     low    byte 0          128         256       320       384
 *                 | rows 0-15 | rows 16-31 |  0-15  |  16-31  |     bits 0 and 1 as i6g16s_r32k4's two high bits, bit 2
 *                                                                   as i5g32_r32k4's fifth bit
 *
 * `dot` and `row` read all of it and give i8g32_r32k4's bits.
 *
 * `bound` asks whether a row of the tile can have a logit as large as the k-th best one so far.  With a row's low bits unknown
 * its weights are known up to r[i] = d (low - 3.5), and
 *
 *     w.x  <=  d (8 high - 124.5) . x  +  |r| |x|                                              (Cauchy-Schwarz)
 *
 * R is |r| over the whole row.  Activations have most of their energy in a few groups of columns: reading the low bits of these
 * takes them out of |x|, and adds what they contribute.  So groups are read in the order of their energy until the bound falls
 * below the floor, or it is cheaper to compute the tile.  What floats round is covered by N = |w| + 2 R times an epsilon
 * (sn_best_begin).  R and N are rounded up; anything that is not a number is never ruled out.
 *
 * Stored floors only rise, so what is ruled out stays so, whoever computes which tile in which order. */
#include "../kernel.h"

enum {
    SN_I53_HIGH = 704,              /* bytes of 32 x 32 weights: the part that is always read, and the rest */
    SN_I53_LOW = 384,
    SN_I53_BOUNDS = 128,            /* of a tile, between the two */
    SN_BEST_MOST = 64,              /* best logits that are kept */
    SN_BEST_GROUPS = 8              /* groups of columns whose low bits `bound` may read */
};

/* One thread's search for the k best logits of a token, in its scratch. */
typedef struct {
    float floor;                    /* no logit below it is among the k best; -infinity: nothing is known yet */
    float slack;                    /* what rounding may add, for a row with N = 1 */
    float left[SN_BEST_GROUPS + 1]; /* |x| without its first g groups, rounded up */
    int32_t group[SN_BEST_GROUPS];  /* the groups with most energy, largest first */
    int32_t n_groups;
    int32_t used;                   /* groups that tiles took lately, times 8 */
    int32_t k;
    int32_t n;                      /* how many of kept there are */
    float kept[SN_BEST_MOST];       /* the best of those that this thread has computed, smallest first */
} SnBest;
_Static_assert(sizeof(SnBest) <= 384, "what the pass `memory` provides");

/* Begins the search for the k best (1 .. SN_BEST_MOST) of W x.
 *
 * Rounding.  Sums of n = n_in / 32 floats, each a product of two rounded factors, are off by at most (n + 2) 2^-24 sum |d q x|,
 * and these sums are at most |w||x| for the logit, (|w| + |r|)|x| + |r||x| for the bound: together 2 (n + 2 + groups) units of
 * N |x|; a few more for the bound's own additions.  Products that underflow lose less than 2^-120 in all. */
static SN_APART void sn_best_begin(SnBest *best, const SnQ8 *x, int n_in, int k)
{
    int n = n_in / SN_GROUP;
    double energy[SN_BEST_GROUPS];
    double all = 0;
    double rest;

    best->floor = -__builtin_inff();
    best->k = k < SN_BEST_MOST ? k : SN_BEST_MOST;
    best->n = best->n_groups = best->used = 0;
    for (int b = 0; b < n; b++) {
        int32_t sum = 0;
        double e;
        int i;

        for (int c = 0; c < SN_GROUP; c++)
            sum += x[b].q[c] * x[b].q[c];
        e = (double)x[b].d * (double)x[b].d * sum;
        all += e;
        if (best->n_groups < SN_BEST_GROUPS)
            i = best->n_groups++;
        else if (e > energy[SN_BEST_GROUPS - 1])
            i = SN_BEST_GROUPS - 1;
        else
            continue;
        for (; i > 0 && e > energy[i - 1]; i--) {
            energy[i] = energy[i - 1];
            best->group[i] = best->group[i - 1];
        }
        energy[i] = e;
        best->group[i] = b;
    }
    rest = all;
    for (int g = 0; g <= best->n_groups; g++) {
        /* What is left is a difference, whose rounding (n 2^-53 of all) is added, sn_sqrt is right to a unit of float, and what
         * is below a float's range is below 1e-22.  Beyond it sums of floats may overflow: then nothing is ruled out. */
        best->left[g] = all < 1e36 ? sn_sqrt((float)(rest > 0 ? rest + all * 1e-12 : all * 1e-12)) * 1.000001f + 1e-22f
                                   : __builtin_inff();
        rest -= g < best->n_groups ? energy[g] : 0;
    }
    best->slack = best->left[0] * (float)(2 * n + 64) * 0x1p-24f;
}

/* The exact logits of n rows: which of them are among the best of this thread? */
static SN_APART void sn_best_keep(SnBest *best, const float *logits, int n)
{
    for (int r = 0; r < n; r++) {
        float v = logits[r];
        int i;

        if (!(v >= best->floor) || (best->n == best->k && !(v > best->kept[0])))
            continue;
        if (best->n < best->k) {
            for (i = best->n++; i > 0 && best->kept[i - 1] > v; i--)
                best->kept[i] = best->kept[i - 1];
        } else {
            for (i = 0; i + 1 < best->k && best->kept[i + 1] < v; i++)
                best->kept[i] = best->kept[i + 1];
        }
        best->kept[i] = v;
        if (best->n == best->k && best->kept[0] > best->floor)
            best->floor = best->kept[0];
    }
}

/* 32 rows that are ruled out. */
static inline void sn_best_none(float *logits)
{
    for (int r = 0; r < SN_ROWS; r++)
        logits[r] = -__builtin_inff();
}

/* After `g` groups a tile was ruled out, or given up: how many to ask for early in the next one. */
static inline int sn_best_used(SnBest *best, int g, int may)
{
    best->used += g - best->used / 8;
    return may;
}

/* Asks for a tile's R and N and for the low bits of the groups that are likely to be needed. */
__attribute__((always_inline))
static inline void sn_best_ask(const SnBest *best, const uint8_t *bounds)
{
    int n = best->used / 8 < best->n_groups ? best->used / 8 : best->n_groups;

    sn_ask_lines(bounds, SN_I53_BOUNDS);
    for (int g = 0; g < n; g++)
        sn_ask_lines(bounds + SN_I53_BOUNDS + SN_I53_LOW * best->group[g], SN_I53_LOW);
}

/* What to ask for while block b of a part's n is read at w, `bytes` each: the block that is read `lead` blocks later, in this tile or in
 * the same part of the next one; without a next tile, what is at hand. */
__attribute__((always_inline))
static inline const uint8_t *sn_ahead_in_part(const uint8_t *w, int b, int n, int bytes, int lead, const uint8_t *next)
{
    if (b + lead < n)
        return w + lead * bytes;
    return !next ? w : n < lead ? next + b * bytes : next + (b + lead - n) * bytes;
}

/* Asks for what lies ahead in both parts. */
__attribute__((always_inline))
static inline void sn_ask_i53(const uint8_t *high, const uint8_t *low, int b, int n, const uint8_t *next)
{
    const uint8_t *next_low = next ? next + n * SN_I53_HIGH + SN_I53_BOUNDS : next;
    const int lead = SN_LEAD / (SN_I53_HIGH + SN_I53_LOW);

    sn_ask_lines(sn_ahead_in_part(high, b, n, SN_I53_HIGH, lead, next), SN_I53_HIGH);
    sn_ask_lines(sn_ahead_in_part(low, b, n, SN_I53_LOW, lead, next_low), SN_I53_LOW);
}

/* What lies ahead where only the high part is read. */
__attribute__((always_inline))
static inline const uint8_t *sn_ahead_i53(const uint8_t *high, int b, int n, const uint8_t *next)
{
    return sn_ahead_in_part(high, b, n, SN_I53_HIGH, SN_LEAD / SN_I53_HIGH, next);
}

/* The same pointer, of which the compiler no longer knows that it is: what is read through it is not kept on the stack. */
__attribute__((always_inline))
static inline const uint8_t *sn_same_bytes(const uint8_t *w)
{
    __asm__("" : "+r"(w));
    return w;
}

/* ---- codes ---------------------------------------------------------------------------------------------------------- */

/* The low bits of row r, column c. */
static inline int sn_low_at(const uint8_t *low, int r, int c)
{
    int at = r % 16 * 4 + c % 4;

    return (low[r / 16 * 128 + c / 4 % 2 * 64 + at] >> c / 8 * 2 & 3) | (low[256 + r / 16 * 64 + at] >> c / 4 & 1) << 2;
}

/* The codes of 32 rows x 32 columns as in dot.c, 128 subtracted. */
static SN_APART void sn_codes_i53(int16_t code[SN_GROUP * SN_ROWS], const uint8_t *high, const uint8_t *low)
{
    for (int c = 0; c < SN_GROUP; c++)
        for (int h = 0; h < 2; h++)
            for (int r = 0; r < 16; r++) {
                uint32_t nibble = sn_load_u32(high + 256 * h + c % 16 / 4 * 64 + 4 * r) >> (c % 4 * 8 + c / 16 * 4) & 15u;
                uint32_t fifth = sn_load_u32(high + 512 + 64 * h + 4 * r) >> (c % 4 * 8 + c / 4) & 1u;
                uint32_t two = sn_load_u32(low + 128 * h + c / 4 % 2 * 64 + 4 * r) >> (c % 4 * 8 + c / 8 * 2) & 3u;
                uint32_t one = sn_load_u32(low + 256 + 64 * h + 4 * r) >> (c % 4 * 8 + c / 4) & 1u;

                code[SN_ROWS * c + 16 * h + r] = (int16_t)((int)(fifth << 7 | nibble << 3 | one << 2 | two) - 128);
            }
}

/* Where a tile's R and N are. */
static inline const uint8_t *sn_bounds_i53(const uint8_t *w, int n_in)
{
    return w + n_in / SN_GROUP * SN_I53_HIGH;
}

/* ---- dot, row --------------------------------------------------------------------------------------------------------- */

static SN_APART void sn_dots_i53g32_q8(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in, int tokens)
{
    const uint8_t *low = sn_bounds_i53(w, n_in) + SN_I53_BOUNDS;
    int16_t code[SN_GROUP * SN_ROWS];
    float d[SN_ROWS];

    sn_zero(acc, SN_ROWS * tokens);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I53_HIGH, low += SN_I53_LOW) {
        sn_codes_i53(code, w, low);
        sn_halves(d, w + 640);
        for (int t = 0; t < tokens; t++)
            sn_add_codes(acc + SN_ROWS * t, code, d, x + t * x_stride + b);
    }
}

static SN_APART void sn_dots_i53g32_f32(float *acc, const uint8_t *w, const float *x, int x_stride, int n_in, int tokens)
{
    const uint8_t *low = sn_bounds_i53(w, n_in) + SN_I53_BOUNDS;
    int16_t code[SN_GROUP * SN_ROWS];
    float d[SN_ROWS];
    float f[SN_GROUP * SN_ROWS];

    sn_zero(acc, SN_ROWS * tokens);
    for (int c = 0; c < n_in; c += SN_GROUP, w += SN_I53_HIGH, low += SN_I53_LOW) {
        sn_codes_i53(code, w, low);
        sn_halves(d, w + 640);
        sn_scaled(f, code, d);
        for (int t = 0; t < tokens; t++)
            sn_add_columns(acc + SN_ROWS * t, f, x + t * x_stride + c, SN_GROUP);
    }
}

SN_KERNEL(op=dot, layout=i53g32_r32k4, x=q8, tile=32x4, isa=portable, order=groups)
static inline void sn_dot4_i53g32_r32k4_q8_portable(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride,
                                                    int n_in, const uint8_t *next)
{
    (void)next;
    sn_dots_i53g32_q8(acc, w, x, x_stride, n_in, 4);
}

SN_KERNEL(op=dot, layout=i53g32_r32k4, x=q8, tile=32x1, isa=portable, order=groups)
static inline void sn_dot_i53g32_r32k4_q8_portable(float acc[32], const uint8_t *w, const SnQ8 *x, int n_in,
                                                   const uint8_t *next)
{
    (void)next;
    sn_dots_i53g32_q8(acc, w, x, 0, n_in, 1);
}

SN_KERNEL(op=dot, layout=i53g32_r32k4, x=f32, tile=32x4, isa=portable, order=groups)
static inline void sn_dot4_i53g32_r32k4_f32_portable(float acc[4 * 32], const uint8_t *w, const float *x, int x_stride,
                                                     int n_in, const uint8_t *next)
{
    (void)next;
    sn_dots_i53g32_f32(acc, w, x, x_stride, n_in, 4);
}

SN_KERNEL(op=dot, layout=i53g32_r32k4, x=f32, tile=32x1, isa=portable, order=groups)
static inline void sn_dot_i53g32_r32k4_f32_portable(float acc[32], const uint8_t *w, const float *x, int n_in,
                                                    const uint8_t *next)
{
    (void)next;
    sn_dots_i53g32_f32(acc, w, x, 0, n_in, 1);
}

SN_KERNEL(op=row, layout=i53g32_r32k4, x=f32, isa=portable, order=exact)
static inline void sn_row_i53g32_r32k4(float *y, const uint8_t *tile, int r, int n_in)
{
    const uint8_t *low = sn_bounds_i53(tile, n_in) + SN_I53_BOUNDS;

    for (int b = 0; b < n_in / SN_GROUP; b++, tile += SN_I53_HIGH, low += SN_I53_LOW) {
        float d = sn_f16_to_f32(sn_load_u16(tile + 640 + 2 * r));

        for (int c = 0; c < SN_GROUP; c++) {
            int high = sn_nibble_at(tile, r, c) + sn_fifth_at(tile, r, c);

            y[SN_GROUP * b + c] = d * (float)(8 * high + sn_low_at(low, r, c) - 128);
        }
    }
}

/* ---- bound ------------------------------------------------------------------------------------------------------------ */

/* 1 if a row of the tile may have a logit of best->floor or more, 0 if none has. */
SN_KERNEL(op=bound, layout=i53g32_r32k4, x=q8, tile=32x1, isa=portable, order=bound)
static SN_APART int sn_bound_i53g32_r32k4_q8_portable(SnBest *best, const uint8_t *w, const SnQ8 *x, int n_in,
                                                      const uint8_t *next)
{
    const uint8_t *bounds = sn_bounds_i53(w, n_in);
    int16_t code[SN_GROUP * SN_ROWS];
    float acc[SN_ROWS];
    float d[SN_ROWS];

    (void)next;
    if (best->floor == -__builtin_inff())
        return 1;
    sn_zero(acc, SN_ROWS);
    for (int b = 0; b < n_in / SN_GROUP; b++) {
        sn_codes_i5(code, w + b * SN_I53_HIGH, 16);
        sn_halves(d, w + b * SN_I53_HIGH + 640);
        for (int r = 0; r < SN_ROWS; r++) {
            int32_t sum = 0;

            for (int c = 0; c < SN_GROUP; c++)
                sum += code[SN_ROWS * c + r] * x[b].q[c];
            acc[r] += (float)(16 * sum + 7 * x[b].sum) * (d[r] * (0.5f * x[b].d));
        }
    }
    for (int g = 0;; g++) {
        const uint8_t *low;
        int below = 0;

        for (int r = 0; r < SN_ROWS; r++)
            below += acc[r] + (sn_f16_to_f32(sn_load_u16(bounds + 2 * r)) * best->left[g] +
                               sn_f16_to_f32(sn_load_u16(bounds + 64 + 2 * r)) * best->slack) + 1e-30f < best->floor;
        if (below == SN_ROWS)
            return sn_best_used(best, g, 0);
        if (g == best->n_groups)
            return sn_best_used(best, g, 1);
        low = bounds + SN_I53_BOUNDS + SN_I53_LOW * best->group[g];
        sn_halves(d, w + best->group[g] * SN_I53_HIGH + 640);
        for (int r = 0; r < SN_ROWS; r++) {
            const SnQ8 *y = x + best->group[g];
            int32_t sum = 0;

            for (int c = 0; c < SN_GROUP; c++)
                sum += sn_low_at(low, r, c) * y->q[c];
            acc[r] += (float)(2 * sum - 7 * y->sum) * (d[r] * (0.5f * y->d));
        }
    }
}
