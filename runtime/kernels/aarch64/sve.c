/* 64-bit ARM with scalable vectors (SVE and its 8-bit matrix products), any vector length: one 32-bit lane per row.
 *
 * Nothing here knows how long a vector is.  A packed vector of 64 bytes is 16 rows x 4 columns; these loops go through it in
 * as many steps as it takes, under predicates: 2 steps at 256 bits, 1 from 512 on.  Activations are the same in
 * every 128 bits of a vector, which is all that sdot by lane and smmla see.  So one program serves Neoverse V1 (256 bits)
 * and N2 or V2 (128); a fixed length would need a target each and gain a few predicates.  At 128 bits these would cost a
 * fifth more instructions than NEON does: dotprod.c and i8mm.c, which compute the same bits, do the work there.
 *
 * Sums are those of dotprod.c and i8mm.c, in the same order.  zip and uzp go across the whole vector and undo one another:
 *
 *     zip1 of two vectors   | row 0, 8 columns | row 1 |  ...  the first half of the rows;  zip2 the second half
 *     smmla with them       | r0 t0 | r0 t1 | r1 t0 | r1 t1 |  ...
 *     uzp1 of both sums     | r0 t0 | r1 t0 | r2 t0 |  ...  all rows of one token;  uzp2 of the other
 *
 * Nothing of SVE2 is needed.  Scores and float activations are neon.c's. */
#include <arm_neon.h>
#include <arm_sve.h>
#include "../kernel.h"

/* Halves to floats, one in every 32-bit lane; p may lie anywhere. */
static inline svfloat32_t sn_halves_sve(svbool_t rows, const void *p)
{
    return svcvt_f32_f16_x(rows, svreinterpret_f16_u32(svld1uh_u32(rows, (const uint16_t *)p)));
}

/* acc += the integer sums times d and the activations' scale. */
static inline void sn_scale_sve(svbool_t rows, float *acc, svint32_t s, svfloat32_t d, float scale)
{
    svst1_f32(rows, acc, svmla_f32_x(rows, svld1_f32(rows, acc), svcvt_f32_s32_x(rows, s), svmul_n_f32_x(rows, d, scale)));
}

/* acc += m times the activations' sum. */
static inline void sn_add_minima_sve(svbool_t rows, float *acc, svfloat32_t m, float ds)
{
    svst1_f32(rows, acc, svmla_n_f32_x(rows, svld1_f32(rows, acc), m, ds));
}

/* The constants are vectors: with a number in the instruction, it overwrites its operand, which is copied first. */
static inline svint8_t sn_low_sve(svuint8_t v)
{
    return svreinterpret_s8_u8(svand_u8_x(svptrue_b8(), v, svdup_n_u8(15)));
}

static inline svint8_t sn_high_sve(svuint8_t v)
{
    return svreinterpret_s8_u8(svlsr_n_u8_x(svptrue_b8(), v, 4));
}

/* Codes of 8 bits lose their 128. */
static inline svint8_t sn_middle_sve(svuint8_t v)
{
    return svreinterpret_s8_u8(sveor_u8_x(svptrue_b8(), v, svdup_n_u8(0x80)));
}

/* ---- one token: the sums of some rows x 32 columns ------------------------------------------------------------------ */

/* s + 4-bit codes; `bytes` are those of the rows, lo and hi the activations of columns 0.. and 16... */
__attribute__((always_inline))
static inline svint32_t sn_sum_i4_sve(svint32_t s, svbool_t bytes, const uint8_t *codes, svint8_t lo, svint8_t hi)
{
    const svuint8_t v0 = svld1_u8(bytes, codes);
    const svuint8_t v1 = svld1_u8(bytes, codes + 64);
    const svuint8_t v2 = svld1_u8(bytes, codes + 128);
    const svuint8_t v3 = svld1_u8(bytes, codes + 192);

    s = svdot_lane_s32(s, sn_low_sve(v0), lo, 0);
    s = svdot_lane_s32(s, sn_low_sve(v1), lo, 1);
    s = svdot_lane_s32(s, sn_low_sve(v2), lo, 2);
    s = svdot_lane_s32(s, sn_low_sve(v3), lo, 3);
    s = svdot_lane_s32(s, sn_high_sve(v0), hi, 0);
    s = svdot_lane_s32(s, sn_high_sve(v1), hi, 1);
    s = svdot_lane_s32(s, sn_high_sve(v2), hi, 2);
    return svdot_lane_s32(s, sn_high_sve(v3), hi, 3);
}

/* s + 16 columns of 8-bit codes. */
__attribute__((always_inline))
static inline svint32_t sn_sum16_i8_sve(svint32_t s, svbool_t bytes, const uint8_t *codes, svint8_t x)
{
    s = svdot_lane_s32(s, sn_middle_sve(svld1_u8(bytes, codes)), x, 0);
    s = svdot_lane_s32(s, sn_middle_sve(svld1_u8(bytes, codes + 64)), x, 1);
    s = svdot_lane_s32(s, sn_middle_sve(svld1_u8(bytes, codes + 128)), x, 2);
    return svdot_lane_s32(s, sn_middle_sve(svld1_u8(bytes, codes + 192)), x, 3);
}

SN_KERNEL(op=dot, layout=i8g32_r32k4, x=q8, tile=32x1, isa=sve, features=sve+dotprod+i8mm, order=groups_fma)
static SN_APART void sn_dot_i8g32_r32k4_q8_sve(float acc[32], const uint8_t *w, const SnQ8 *x, int n_in, const uint8_t *next)
{
    if (svcntw() == 4) {
        sn_dot_i8g32_r32k4_q8_dotprod(acc, w, x, n_in, next);
        return;
    }
    sn_clear_neon(acc, 32);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I8_BLOCK) {
        const svint8_t lo = svld1rq_s8(svptrue_b8(), x[b].q);
        const svint8_t hi = svld1rq_s8(svptrue_b8(), x[b].q + 16);

        if (next) {
            sn_prefetch(next, SN_I8_BLOCK);
            next += SN_I8_BLOCK;
        }
        for (int h = 0; h < 2; h++)
            for (int r = 0; r < 16; r += (int)svcntw()) {
                const svbool_t rows = svwhilelt_b32_s32(r, 16);
                const svbool_t bytes = svwhilelt_b8_s32(4 * r, 64);
                const uint8_t *codes = w + 512 * h + 4 * r;
                svint32_t s = sn_sum16_i8_sve(svdup_n_s32(0), bytes, codes, lo);

                s = sn_sum16_i8_sve(s, bytes, codes + 256, hi);
                sn_scale_sve(rows, acc + 16 * h + r, s, sn_halves_sve(rows, w + 1024 + 32 * h + 2 * r), x[b].d);
            }
    }
}

SN_KERNEL(op=dot, layout=i4g32_r32k4, x=q8, tile=32x1, isa=sve, features=sve+dotprod+i8mm, order=groups_fma)
static SN_APART void sn_dot_i4g32_r32k4_q8_sve(float acc[32], const uint8_t *w, const SnQ8 *x, int n_in, const uint8_t *next)
{
    if (svcntw() == 4) {
        sn_dot_i4g32_r32k4_q8_dotprod(acc, w, x, n_in, next);
        return;
    }
    sn_clear_neon(acc, 32);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I4_BLOCK) {
        const svint8_t lo = svld1rq_s8(svptrue_b8(), x[b].q);
        const svint8_t hi = svld1rq_s8(svptrue_b8(), x[b].q + 16);

        if (next) {
            sn_prefetch(next, SN_I4_BLOCK);
            next += SN_I4_BLOCK;
        }
        for (int h = 0; h < 2; h++)
            for (int r = 0; r < 16; r += (int)svcntw()) {
                const svbool_t rows = svwhilelt_b32_s32(r, 16);
                const svbool_t bytes = svwhilelt_b8_s32(4 * r, 64);
                const svint32_t s = sn_sum_i4_sve(svdup_n_s32(-8 * x[b].sum), bytes, w + 256 * h + 4 * r, lo, hi);

                sn_scale_sve(rows, acc + 16 * h + r, s, sn_halves_sve(rows, w + 512 + 32 * h + 2 * r), x[b].d);
            }
    }
}

SN_KERNEL(op=dot, layout=i4g32m_r32k4, x=q8, tile=32x1, isa=sve, features=sve+dotprod+i8mm, order=groups_fma)
static SN_APART void sn_dot_i4g32m_r32k4_q8_sve(float acc[32], const uint8_t *w, const SnQ8 *x, int n_in, const uint8_t *next)
{
    if (svcntw() == 4) {
        sn_dot_i4g32m_r32k4_q8_dotprod(acc, w, x, n_in, next);
        return;
    }
    sn_clear_neon(acc, 32);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I4M_BLOCK) {
        const svint8_t lo = svld1rq_s8(svptrue_b8(), x[b].q);
        const svint8_t hi = svld1rq_s8(svptrue_b8(), x[b].q + 16);

        if (next) {
            sn_prefetch(next, SN_I4M_BLOCK);
            next += SN_I4M_BLOCK;
        }
        for (int h = 0; h < 2; h++)
            for (int r = 0; r < 16; r += (int)svcntw()) {
                const svbool_t rows = svwhilelt_b32_s32(r, 16);
                const svbool_t bytes = svwhilelt_b8_s32(4 * r, 64);
                const svint32_t s = sn_sum_i4_sve(svdup_n_s32(0), bytes, w + 256 * h + 4 * r, lo, hi);
                float *out = acc + 16 * h + r;

                sn_scale_sve(rows, out, s, sn_halves_sve(rows, w + 512 + 32 * h + 2 * r), x[b].d);
                sn_add_minima_sve(rows, out, sn_halves_sve(rows, w + 576 + 32 * h + 2 * r), x[b].ds);
            }
    }
}

/* ---- four tokens ---------------------------------------------------------------------------------------------------- */

/* A block's activations of four tokens, two by two, as smmla takes them, and where their sums begin: -offset * sum(q). */
typedef struct {
    int8_t q[8][16];                /* q[4 p + o]: columns 8o.. of token 2p, then of token 2p + 1 */
    int32_t start[2][4];            /* tokens 2p, 2p + 1, and again */
} SnPairs;

static inline void sn_pair_sve(SnPairs *y, const SnQ8 *x, int x_stride, int offset)
{
    int8x16_t q[8];
    int32x4_t start[2];

    sn_pair_tokens_i8mm(q, x, x_stride);
    sn_start_i8mm(start, x, x_stride, offset);
    for (int k = 0; k < 8; k++)
        vst1q_s8(y->q[k], q[k]);
    for (int p = 0; p < 2; p++)
        vst1q_s32(y->start[p], start[p]);
}

/* Sums of some rows for four tokens: `first` and `last` half of the rows, tokens 0 and 1, tokens 2 and 3. */
typedef svint32x4_t SnSums;

__attribute__((always_inline))
static inline SnSums sn_start_sve(const SnPairs *y)
{
    const svint32_t a = svld1rq_s32(svptrue_b32(), y->start[0]);
    const svint32_t b = svld1rq_s32(svptrue_b32(), y->start[1]);

    return svcreate4_s32(a, a, b, b);
}

/* 8 columns (the o-th) added. */
__attribute__((always_inline))
static inline SnSums sn_add_sve(SnSums s, svint8_t first, svint8_t last, const SnPairs *y, int o)
{
    const svint8_t a = svld1rq_s8(svptrue_b8(), y->q[o]);
    const svint8_t b = svld1rq_s8(svptrue_b8(), y->q[4 + o]);

    return svcreate4_s32(svmmla_s32(svget4_s32(s, 0), first, a), svmmla_s32(svget4_s32(s, 1), last, a),
                         svmmla_s32(svget4_s32(s, 2), first, b), svmmla_s32(svget4_s32(s, 3), last, b));
}

/* Two vectors of codes that follow one another, 8 columns a row: the first half of the rows, and the last. */
static inline svuint8_t sn_first_sve(svuint8_t v, svuint8_t u)
{
    return svreinterpret_u8_u32(svzip1_u32(svreinterpret_u32_u8(v), svreinterpret_u32_u8(u)));
}

static inline svuint8_t sn_last_sve(svuint8_t v, svuint8_t u)
{
    return svreinterpret_u8_u32(svzip2_u32(svreinterpret_u32_u8(v), svreinterpret_u32_u8(u)));
}

/* 16 columns of 4-bit codes, 8i.. from the low nibbles and 16 + 8i.. from the high ones. */
__attribute__((always_inline))
static inline SnSums sn_add16_i4_sve(SnSums s, svbool_t bytes, const uint8_t *codes, const SnPairs *y, int i)
{
    const svuint8_t v = svld1_u8(bytes, codes + 128 * i);
    const svuint8_t u = svld1_u8(bytes, codes + 128 * i + 64);
    const svuint8_t first = sn_first_sve(v, u);
    const svuint8_t last = sn_last_sve(v, u);

    s = sn_add_sve(s, sn_low_sve(first), sn_low_sve(last), y, i);
    return sn_add_sve(s, sn_high_sve(first), sn_high_sve(last), y, 2 + i);
}

/* 8 columns of 8-bit codes. */
__attribute__((always_inline))
static inline SnSums sn_add8_i8_sve(SnSums s, svbool_t bytes, const uint8_t *codes, const SnPairs *y, int o)
{
    const svuint8_t v = svld1_u8(bytes, codes + 128 * o);
    const svuint8_t u = svld1_u8(bytes, codes + 128 * o + 64);

    return sn_add_sve(s, sn_middle_sve(sn_first_sve(v, u)), sn_middle_sve(sn_last_sve(v, u)), y, o);
}

/* The integer sums, times the weights' and the activations' scales, added to acc. */
__attribute__((always_inline))
static inline void sn_scale_sums_sve(svbool_t rows, float *acc, SnSums s, svfloat32_t d, const SnQ8 *x, int x_stride)
{
    const svint32_t s0 = svget4_s32(s, 0);
    const svint32_t s1 = svget4_s32(s, 1);
    const svint32_t s2 = svget4_s32(s, 2);
    const svint32_t s3 = svget4_s32(s, 3);

    sn_scale_sve(rows, acc, svuzp1_s32(s0, s1), d, x[0].d);
    sn_scale_sve(rows, acc + 32, svuzp2_s32(s0, s1), d, x[x_stride].d);
    sn_scale_sve(rows, acc + 64, svuzp1_s32(s2, s3), d, x[2 * x_stride].d);
    sn_scale_sve(rows, acc + 96, svuzp2_s32(s2, s3), d, x[3 * x_stride].d);
}

SN_KERNEL(op=dot, layout=i8g32_r32k4, x=q8, tile=32x4, isa=sve, features=sve+dotprod+i8mm, order=groups_fma)
static SN_APART void sn_dot4_i8g32_r32k4_q8_sve(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                                const uint8_t *next)
{
    SnPairs y;

    if (svcntw() == 4) {
        sn_dot4_i8g32_r32k4_q8_i8mm(acc, w, x, x_stride, n_in, next);
        return;
    }
    sn_clear_neon(acc, 4 * 32);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I8_BLOCK) {
        if (next) {
            sn_prefetch(next, SN_I8_BLOCK);
            next += SN_I8_BLOCK;
        }
        sn_pair_sve(&y, x + b, x_stride, 0);
        for (int h = 0; h < 2; h++)
            for (int r = 0; r < 16; r += (int)svcntw()) {
                const svbool_t rows = svwhilelt_b32_s32(r, 16);
                const svbool_t bytes = svwhilelt_b8_s32(4 * r, 64);
                SnSums s = sn_start_sve(&y);

                for (int o = 0; o < 4; o++)
                    s = sn_add8_i8_sve(s, bytes, w + 512 * h + 4 * r, &y, o);
                sn_scale_sums_sve(rows, acc + 16 * h + r, s, sn_halves_sve(rows, w + 1024 + 32 * h + 2 * r), x + b, x_stride);
            }
    }
}

SN_KERNEL(op=dot, layout=i4g32_r32k4, x=q8, tile=32x4, isa=sve, features=sve+dotprod+i8mm, order=groups_fma)
static SN_APART void sn_dot4_i4g32_r32k4_q8_sve(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                                const uint8_t *next)
{
    SnPairs y;

    if (svcntw() == 4) {
        sn_dot4_i4g32_r32k4_q8_i8mm(acc, w, x, x_stride, n_in, next);
        return;
    }
    sn_clear_neon(acc, 4 * 32);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I4_BLOCK) {
        if (next) {
            sn_prefetch(next, SN_I4_BLOCK);
            next += SN_I4_BLOCK;
        }
        sn_pair_sve(&y, x + b, x_stride, 8);                    /* w = d * (code - 8) */
        for (int h = 0; h < 2; h++)
            for (int r = 0; r < 16; r += (int)svcntw()) {
                const svbool_t rows = svwhilelt_b32_s32(r, 16);
                const svbool_t bytes = svwhilelt_b8_s32(4 * r, 64);
                SnSums s = sn_start_sve(&y);

                s = sn_add16_i4_sve(s, bytes, w + 256 * h + 4 * r, &y, 0);
                s = sn_add16_i4_sve(s, bytes, w + 256 * h + 4 * r, &y, 1);
                sn_scale_sums_sve(rows, acc + 16 * h + r, s, sn_halves_sve(rows, w + 512 + 32 * h + 2 * r), x + b, x_stride);
            }
    }
}

SN_KERNEL(op=dot, layout=i4g32m_r32k4, x=q8, tile=32x4, isa=sve, features=sve+dotprod+i8mm, order=groups_fma)
static SN_APART void sn_dot4_i4g32m_r32k4_q8_sve(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                                 const uint8_t *next)
{
    SnPairs y;

    if (svcntw() == 4) {
        sn_dot4_i4g32m_r32k4_q8_i8mm(acc, w, x, x_stride, n_in, next);
        return;
    }
    sn_clear_neon(acc, 4 * 32);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I4M_BLOCK) {
        if (next) {
            sn_prefetch(next, SN_I4M_BLOCK);
            next += SN_I4M_BLOCK;
        }
        sn_pair_sve(&y, x + b, x_stride, 0);
        for (int h = 0; h < 2; h++)
            for (int r = 0; r < 16; r += (int)svcntw()) {
                const svbool_t rows = svwhilelt_b32_s32(r, 16);
                const svbool_t bytes = svwhilelt_b8_s32(4 * r, 64);
                const svfloat32_t m = sn_halves_sve(rows, w + 576 + 32 * h + 2 * r);
                float *out = acc + 16 * h + r;
                SnSums s = sn_start_sve(&y);

                s = sn_add16_i4_sve(s, bytes, w + 256 * h + 4 * r, &y, 0);
                s = sn_add16_i4_sve(s, bytes, w + 256 * h + 4 * r, &y, 1);
                sn_scale_sums_sve(rows, out, s, sn_halves_sve(rows, w + 512 + 32 * h + 2 * r), x + b, x_stride);
                for (int t = 0; t < 4; t++)
                    sn_add_minima_sve(rows, out + 32 * t, m, x[t * x_stride + b].ds);
            }
    }
}

/* ---- attention: see portable/attention.c -------------------------------------------------------------------------- */

/* Four vectors of columns stay in registers over all positions; the last ones are partly or wholly empty. */
SN_KERNEL(op=mix, kv=f16, isa=sve, features=sve+dotprod+i8mm, order=positions_fma)
static inline void sn_mix_f16_sve(float *y, const float *p, const uint16_t *v, int stride, int n, int head_dim)
{
    const int lanes = (int)svcntw();

    for (int d = 0; d < head_dim; d += 4 * lanes) {
        const svbool_t c0 = svwhilelt_b32_s32(d, head_dim);
        const svbool_t c1 = svwhilelt_b32_s32(d + lanes, head_dim);
        const svbool_t c2 = svwhilelt_b32_s32(d + 2 * lanes, head_dim);
        const svbool_t c3 = svwhilelt_b32_s32(d + 3 * lanes, head_dim);
        svfloat32_t s0 = svld1_f32(c0, y + d);
        svfloat32_t s1 = svld1_f32(c1, y + d + lanes);
        svfloat32_t s2 = svld1_f32(c2, y + d + 2 * lanes);
        svfloat32_t s3 = svld1_f32(c3, y + d + 3 * lanes);

        for (int i = 0; i < n; i++) {
            const uint16_t *e = v + (int64_t)i * stride + d;

            s0 = svmla_n_f32_x(c0, s0, sn_halves_sve(c0, e), p[i]);
            s1 = svmla_n_f32_x(c1, s1, sn_halves_sve(c1, e + lanes), p[i]);
            s2 = svmla_n_f32_x(c2, s2, sn_halves_sve(c2, e + 2 * lanes), p[i]);
            s3 = svmla_n_f32_x(c3, s3, sn_halves_sve(c3, e + 3 * lanes), p[i]);
        }
        svst1_f32(c0, y + d, s0);
        svst1_f32(c1, y + d + lanes, s1);
        svst1_f32(c2, y + d + 2 * lanes, s2);
        svst1_f32(c3, y + d + 3 * lanes, s3);
    }
}

SN_KERNEL(op=mix, kv=f32, isa=sve, features=sve+dotprod+i8mm, order=positions_fma)
static inline void sn_mix_f32_sve(float *y, const float *p, const float *v, int stride, int n, int head_dim)
{
    const int lanes = (int)svcntw();

    for (int d = 0; d < head_dim; d += 4 * lanes) {
        const svbool_t c0 = svwhilelt_b32_s32(d, head_dim);
        const svbool_t c1 = svwhilelt_b32_s32(d + lanes, head_dim);
        const svbool_t c2 = svwhilelt_b32_s32(d + 2 * lanes, head_dim);
        const svbool_t c3 = svwhilelt_b32_s32(d + 3 * lanes, head_dim);
        svfloat32_t s0 = svld1_f32(c0, y + d);
        svfloat32_t s1 = svld1_f32(c1, y + d + lanes);
        svfloat32_t s2 = svld1_f32(c2, y + d + 2 * lanes);
        svfloat32_t s3 = svld1_f32(c3, y + d + 3 * lanes);

        for (int i = 0; i < n; i++) {
            const float *e = v + (int64_t)i * stride + d;

            s0 = svmla_n_f32_x(c0, s0, svld1_f32(c0, e), p[i]);
            s1 = svmla_n_f32_x(c1, s1, svld1_f32(c1, e + lanes), p[i]);
            s2 = svmla_n_f32_x(c2, s2, svld1_f32(c2, e + 2 * lanes), p[i]);
            s3 = svmla_n_f32_x(c3, s3, svld1_f32(c3, e + 3 * lanes), p[i]);
        }
        svst1_f32(c0, y + d, s0);
        svst1_f32(c1, y + d + lanes, s1);
        svst1_f32(c2, y + d + 2 * lanes, s2);
        svst1_f32(c3, y + d + 3 * lanes, s3);
    }
}
