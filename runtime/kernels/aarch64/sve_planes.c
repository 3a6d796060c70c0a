/* 64-bit ARM with scalable vectors, codes in two planes and scales of two levels: the layouts of portable/dot_planes.c.
 *
 * Steps, predicates and sums are sve.c's, zips those of i8mm_planes.c; at 128 bits dotprod_planes.c and i8mm_planes.c do the work.
 * 6-bit codes lose their 32 before they are multiplied. */
#include <arm_neon.h>
#include <arm_sve.h>
#include "../kernel.h"

/* Bytes to floats, one in every 32-bit lane; the same, signed, as integers. */
static inline svfloat32_t sn_bytes_sve(svbool_t rows, const uint8_t *p)
{
    return svcvt_f32_u32_x(rows, svld1ub_u32(rows, p));
}

static inline svint32_t sn_signed_bytes_sve(svbool_t rows, const uint8_t *p)
{
    return svld1sb_s32(rows, (const int8_t *)p);
}

/* Nibbles (the low ones, already moved down) with the bits of `high` that mask names, which are above them. */
static inline svint8_t sn_join_sve(svuint8_t nibbles, svuint8_t high, svuint8_t mask)
{
    return svreinterpret_s8_u8(svorr_u8_x(svptrue_b8(), nibbles, svand_u8_x(svptrue_b8(), high, mask)));
}

static inline svuint8_t sn_up_sve(svuint8_t v, uint8_t n)
{
    return svlsl_n_u8_x(svptrue_b8(), v, n);
}

static inline svuint8_t sn_down_sve(svuint8_t v, uint8_t n)
{
    return svlsr_n_u8_x(svptrue_b8(), v, n);
}

static inline svuint8_t sn_nibbles_sve(svuint8_t v)
{
    return svand_u8_x(svptrue_b8(), v, svdup_n_u8(15));
}

/* ---- one token --------------------------------------------------------------------------------------------------------- */

/* s + 32 columns of 5-bit codes; fifth is where the rows' fifth bits begin. */
__attribute__((always_inline))
static inline svint32_t sn_sum_i5_sve(svint32_t s, svbool_t bytes, const uint8_t *codes, const uint8_t *fifth, svint8_t lo,
                                      svint8_t hi)
{
    const svuint8_t f = svld1_u8(bytes, fifth);
    const svuint8_t bit = svdup_n_u8(16);
    const svuint8_t v0 = svld1_u8(bytes, codes);
    const svuint8_t v1 = svld1_u8(bytes, codes + 64);
    const svuint8_t v2 = svld1_u8(bytes, codes + 128);
    const svuint8_t v3 = svld1_u8(bytes, codes + 192);

    s = svdot_lane_s32(s, sn_join_sve(sn_nibbles_sve(v0), sn_up_sve(f, 4), bit), lo, 0);
    s = svdot_lane_s32(s, sn_join_sve(sn_nibbles_sve(v1), sn_up_sve(f, 3), bit), lo, 1);
    s = svdot_lane_s32(s, sn_join_sve(sn_nibbles_sve(v2), sn_up_sve(f, 2), bit), lo, 2);
    s = svdot_lane_s32(s, sn_join_sve(sn_nibbles_sve(v3), sn_up_sve(f, 1), bit), lo, 3);
    s = svdot_lane_s32(s, sn_join_sve(sn_down_sve(v0, 4), f, bit), hi, 0);
    s = svdot_lane_s32(s, sn_join_sve(sn_down_sve(v1, 4), sn_down_sve(f, 1), bit), hi, 1);
    s = svdot_lane_s32(s, sn_join_sve(sn_down_sve(v2, 4), sn_down_sve(f, 2), bit), hi, 2);
    return svdot_lane_s32(s, sn_join_sve(sn_down_sve(v3, 4), sn_down_sve(f, 3), bit), hi, 3);
}

/* Codes of 6 bits, 32 subtracted. */
static inline svint8_t sn_six_sve(svuint8_t nibbles, svuint8_t high)
{
    return svsub_s8_x(svptrue_b8(), sn_join_sve(nibbles, high, svdup_n_u8(48)), svdup_n_s8(32));
}

/* The sums of 6-bit codes of both groups of 16 columns, each times its scale. */
__attribute__((always_inline))
static inline svint32_t sn_sum_i6_sve(svbool_t rows, svbool_t bytes, const uint8_t *codes, const uint8_t *upper,
                                      const uint8_t *scales, svint8_t lo, svint8_t hi)
{
    const svuint8_t h0 = svld1_u8(bytes, upper);
    const svuint8_t h1 = svld1_u8(bytes, upper + 64);
    const svuint8_t v0 = svld1_u8(bytes, codes);
    const svuint8_t v1 = svld1_u8(bytes, codes + 64);
    const svuint8_t v2 = svld1_u8(bytes, codes + 128);
    const svuint8_t v3 = svld1_u8(bytes, codes + 192);
    svint32_t a = svdot_lane_s32(svdup_n_s32(0), sn_six_sve(sn_nibbles_sve(v0), sn_up_sve(h0, 4)), lo, 0);
    svint32_t b = svdot_lane_s32(svdup_n_s32(0), sn_six_sve(sn_down_sve(v0, 4), h0), hi, 0);

    a = svdot_lane_s32(a, sn_six_sve(sn_nibbles_sve(v1), sn_up_sve(h1, 4)), lo, 1);
    b = svdot_lane_s32(b, sn_six_sve(sn_down_sve(v1, 4), h1), hi, 1);
    a = svdot_lane_s32(a, sn_six_sve(sn_nibbles_sve(v2), sn_up_sve(h0, 2)), lo, 2);
    b = svdot_lane_s32(b, sn_six_sve(sn_down_sve(v2, 4), sn_down_sve(h0, 2)), hi, 2);
    a = svdot_lane_s32(a, sn_six_sve(sn_nibbles_sve(v3), sn_up_sve(h1, 2)), lo, 3);
    b = svdot_lane_s32(b, sn_six_sve(sn_down_sve(v3, 4), sn_down_sve(h1, 2)), hi, 3);
    a = svmul_s32_x(rows, a, sn_signed_bytes_sve(rows, scales));
    return svmla_s32_x(rows, a, b, sn_signed_bytes_sve(rows, scales + 32));
}

/* Codes of 4 bits and, if fifth, 5. */
__attribute__((always_inline))
static inline void sn_dot_g32ms_q8_sve(float *acc, const uint8_t *w, const SnQ8 *x, int n_in, const uint8_t *next, int fifth)
{
    const int codes = fifth ? 640 : 512;
    const uint8_t *head = w;

    sn_clear_neon(acc, 32);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += codes + 64) {
        const svint8_t lo = svld1rq_s8(svptrue_b8(), x[b].q);
        const svint8_t hi = svld1rq_s8(svptrue_b8(), x[b].q + 16);

        if (b % SN_SPANS == 0) {
            next = sn_prefetch_on_neon(next, 128);
            head = w;
            w += 128;
        }
        next = sn_prefetch_on_neon(next, codes + 64);
        for (int h = 0; h < 2; h++)
            for (int r = 0; r < 16; r += (int)svcntw()) {
                const svbool_t rows = svwhilelt_b32_s32(r, 16);
                const svbool_t bytes = svwhilelt_b8_s32(4 * r, 64);
                const int at = 16 * h + r;
                const svfloat32_t d = svmul_f32_x(rows, sn_bytes_sve(rows, w + codes + at), sn_halves_sve(rows, head + 2 * at));
                const svfloat32_t m = svmul_f32_x(rows, sn_bytes_sve(rows, w + codes + 32 + at),
                                                  sn_halves_sve(rows, head + 64 + 2 * at));
                svint32_t s = svdup_n_s32(0);

                if (fifth)
                    s = sn_sum_i5_sve(s, bytes, w + 256 * h + 4 * r, w + 512 + 64 * h + 4 * r, lo, hi);
                else
                    s = sn_sum_i4_sve(s, bytes, w + 256 * h + 4 * r, lo, hi);
                sn_scale_sve(rows, acc + at, s, d, x[b].d);
                sn_add_minima_sve(rows, acc + at, m, x[b].ds);
            }
    }
}

SN_KERNEL(op=dot, layout=i5g32_r32k4, x=q8, tile=32x1, isa=sve, features=sve+dotprod+i8mm, order=groups_fma)
static SN_APART void sn_dot_i5g32_r32k4_q8_sve(float acc[32], const uint8_t *w, const SnQ8 *x, int n_in, const uint8_t *next)
{
    if (svcntw() == 4) {
        sn_dot_i5g32_r32k4_q8_dotprod(acc, w, x, n_in, next);
        return;
    }
    sn_clear_neon(acc, 32);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I5_BLOCK) {
        const svint8_t lo = svld1rq_s8(svptrue_b8(), x[b].q);
        const svint8_t hi = svld1rq_s8(svptrue_b8(), x[b].q + 16);

        next = sn_prefetch_on_neon(next, SN_I5_BLOCK);
        for (int h = 0; h < 2; h++)
            for (int r = 0; r < 16; r += (int)svcntw()) {
                const svbool_t rows = svwhilelt_b32_s32(r, 16);
                const svbool_t bytes = svwhilelt_b8_s32(4 * r, 64);
                const svint32_t s = sn_sum_i5_sve(svdup_n_s32(-16 * x[b].sum), bytes, w + 256 * h + 4 * r,
                                                  w + 512 + 64 * h + 4 * r, lo, hi);

                sn_scale_sve(rows, acc + 16 * h + r, s, sn_halves_sve(rows, w + 640 + 32 * h + 2 * r), x[b].d);
            }
    }
}

SN_KERNEL(op=dot, layout=i4g32ms_r32k4, x=q8, tile=32x1, isa=sve, features=sve+dotprod+i8mm, order=groups_fma)
static SN_APART void sn_dot_i4g32ms_r32k4_q8_sve(float acc[32], const uint8_t *w, const SnQ8 *x, int n_in, const uint8_t *next)
{
    if (svcntw() == 4)
        sn_dot_i4g32ms_r32k4_q8_dotprod(acc, w, x, n_in, next);
    else
        sn_dot_g32ms_q8_sve(acc, w, x, n_in, next, 0);
}

SN_KERNEL(op=dot, layout=i5g32ms_r32k4, x=q8, tile=32x1, isa=sve, features=sve+dotprod+i8mm, order=groups_fma)
static SN_APART void sn_dot_i5g32ms_r32k4_q8_sve(float acc[32], const uint8_t *w, const SnQ8 *x, int n_in, const uint8_t *next)
{
    if (svcntw() == 4)
        sn_dot_i5g32ms_r32k4_q8_dotprod(acc, w, x, n_in, next);
    else
        sn_dot_g32ms_q8_sve(acc, w, x, n_in, next, 1);
}

SN_KERNEL(op=dot, layout=i6g16s_r32k4, x=q8, tile=32x1, isa=sve, features=sve+dotprod+i8mm, order=groups_fma)
static SN_APART void sn_dot_i6g16s_r32k4_q8_sve(float acc[32], const uint8_t *w, const SnQ8 *x, int n_in, const uint8_t *next)
{
    const uint8_t *head = w;

    if (svcntw() == 4) {
        sn_dot_i6g16s_r32k4_q8_dotprod(acc, w, x, n_in, next);
        return;
    }
    sn_clear_neon(acc, 32);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I6S_SPAN) {
        const svint8_t lo = svld1rq_s8(svptrue_b8(), x[b].q);
        const svint8_t hi = svld1rq_s8(svptrue_b8(), x[b].q + 16);

        if (b % SN_SPANS == 0) {
            next = sn_prefetch_on_neon(next, 64);
            head = w;
            w += 64;
        }
        next = sn_prefetch_on_neon(next, SN_I6S_SPAN);
        for (int h = 0; h < 2; h++)
            for (int r = 0; r < 16; r += (int)svcntw()) {
                const svbool_t rows = svwhilelt_b32_s32(r, 16);
                const svbool_t bytes = svwhilelt_b8_s32(4 * r, 64);
                const svint32_t s = sn_sum_i6_sve(rows, bytes, w + 256 * h + 4 * r, w + 512 + 128 * h + 4 * r,
                                                  w + 768 + 16 * h + r, lo, hi);

                sn_scale_sve(rows, acc + 16 * h + r, s, sn_halves_sve(rows, head + 32 * h + 2 * r), x[b].d);
            }
    }
}

/* ---- four tokens ------------------------------------------------------------------------------------------------------- */

/* 16 columns of 5-bit codes, 8i.. and 16 + 8i..; first and last are the fifth bits zipped with themselves >> 1, moved down by 2i. */
__attribute__((always_inline))
static inline SnSums sn_add16_i5_sve(SnSums s, svbool_t bytes, const uint8_t *codes, svuint8_t first, svuint8_t last,
                                     const SnPairs *y, int i)
{
    const svuint8_t v = svld1_u8(bytes, codes + 128 * i);
    const svuint8_t u = svld1_u8(bytes, codes + 128 * i + 64);
    const svuint8_t a = sn_first_sve(v, u);
    const svuint8_t b = sn_last_sve(v, u);
    const svuint8_t bit = svdup_n_u8(16);

    s = sn_add_sve(s, sn_join_sve(sn_nibbles_sve(a), sn_up_sve(first, 4), bit),
                   sn_join_sve(sn_nibbles_sve(b), sn_up_sve(last, 4), bit), y, i);
    return sn_add_sve(s, sn_join_sve(sn_down_sve(a, 4), first, bit), sn_join_sve(sn_down_sve(b, 4), last, bit), y, 2 + i);
}

__attribute__((always_inline))
static inline SnSums sn_add_i5_sve(SnSums s, svbool_t bytes, const uint8_t *codes, const uint8_t *fifth, const SnPairs *y)
{
    const svuint8_t f = svld1_u8(bytes, fifth);
    const svuint8_t first = sn_first_sve(f, sn_down_sve(f, 1));
    const svuint8_t last = sn_last_sve(f, sn_down_sve(f, 1));

    s = sn_add16_i5_sve(s, bytes, codes, first, last, y, 0);
    return sn_add16_i5_sve(s, bytes, codes, sn_down_sve(first, 2), sn_down_sve(last, 2), y, 1);
}

/* Codes of 4 bits and, if fifth, 5. */
__attribute__((always_inline))
static inline void sn_dot4_g32ms_q8_sve(float *acc, const uint8_t *w, const SnQ8 *x, int x_stride, int n_in, const uint8_t *next,
                                        int fifth)
{
    const int codes = fifth ? 640 : 512;
    const uint8_t *head = w;
    SnPairs y;

    sn_clear_neon(acc, 4 * 32);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += codes + 64) {
        if (b % SN_SPANS == 0) {
            next = sn_prefetch_on_neon(next, 128);
            head = w;
            w += 128;
        }
        next = sn_prefetch_on_neon(next, codes + 64);
        sn_pair_sve(&y, x + b, x_stride, 0);
        for (int h = 0; h < 2; h++)
            for (int r = 0; r < 16; r += (int)svcntw()) {
                const svbool_t rows = svwhilelt_b32_s32(r, 16);
                const svbool_t bytes = svwhilelt_b8_s32(4 * r, 64);
                const int at = 16 * h + r;
                const svfloat32_t d = svmul_f32_x(rows, sn_bytes_sve(rows, w + codes + at), sn_halves_sve(rows, head + 2 * at));
                const svfloat32_t m = svmul_f32_x(rows, sn_bytes_sve(rows, w + codes + 32 + at),
                                                  sn_halves_sve(rows, head + 64 + 2 * at));
                SnSums s = sn_start_sve(&y);

                if (fifth) {
                    s = sn_add_i5_sve(s, bytes, w + 256 * h + 4 * r, w + 512 + 64 * h + 4 * r, &y);
                } else {
                    s = sn_add16_i4_sve(s, bytes, w + 256 * h + 4 * r, &y, 0);
                    s = sn_add16_i4_sve(s, bytes, w + 256 * h + 4 * r, &y, 1);
                }
                sn_scale_sums_sve(rows, acc + at, s, d, x + b, x_stride);
                for (int t = 0; t < 4; t++)
                    sn_add_minima_sve(rows, acc + at + 32 * t, m, x[t * x_stride + b].ds);
            }
    }
}

/* The sums of some rows for one token: of both groups of 16 columns times their scales, then all of it times d. */
static inline void sn_scale_halves_sve(svbool_t rows, float *acc, svint32_t a, svint32_t b, svint32_t s0, svint32_t s1,
                                       svfloat32_t d, float scale)
{
    sn_scale_sve(rows, acc, svmla_s32_x(rows, svmul_s32_x(rows, a, s0), b, s1), d, scale);
}

SN_KERNEL(op=dot, layout=i5g32_r32k4, x=q8, tile=32x4, isa=sve, features=sve+dotprod+i8mm, order=groups_fma)
static SN_APART void sn_dot4_i5g32_r32k4_q8_sve(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                                const uint8_t *next)
{
    SnPairs y;

    if (svcntw() == 4) {
        sn_dot4_i5g32_r32k4_q8_i8mm(acc, w, x, x_stride, n_in, next);
        return;
    }
    sn_clear_neon(acc, 4 * 32);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I5_BLOCK) {
        next = sn_prefetch_on_neon(next, SN_I5_BLOCK);
        sn_pair_sve(&y, x + b, x_stride, 16);                   /* w = d * (code - 16) */
        for (int h = 0; h < 2; h++)
            for (int r = 0; r < 16; r += (int)svcntw()) {
                const svbool_t rows = svwhilelt_b32_s32(r, 16);
                const svbool_t bytes = svwhilelt_b8_s32(4 * r, 64);
                const SnSums s = sn_add_i5_sve(sn_start_sve(&y), bytes, w + 256 * h + 4 * r, w + 512 + 64 * h + 4 * r, &y);

                sn_scale_sums_sve(rows, acc + 16 * h + r, s, sn_halves_sve(rows, w + 640 + 32 * h + 2 * r), x + b, x_stride);
            }
    }
}

SN_KERNEL(op=dot, layout=i4g32ms_r32k4, x=q8, tile=32x4, isa=sve, features=sve+dotprod+i8mm, order=groups_fma)
static SN_APART void sn_dot4_i4g32ms_r32k4_q8_sve(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                                  const uint8_t *next)
{
    if (svcntw() == 4)
        sn_dot4_i4g32ms_r32k4_q8_i8mm(acc, w, x, x_stride, n_in, next);
    else
        sn_dot4_g32ms_q8_sve(acc, w, x, x_stride, n_in, next, 0);
}

SN_KERNEL(op=dot, layout=i5g32ms_r32k4, x=q8, tile=32x4, isa=sve, features=sve+dotprod+i8mm, order=groups_fma)
static SN_APART void sn_dot4_i5g32ms_r32k4_q8_sve(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                                  const uint8_t *next)
{
    if (svcntw() == 4)
        sn_dot4_i5g32ms_r32k4_q8_i8mm(acc, w, x, x_stride, n_in, next);
    else
        sn_dot4_g32ms_q8_sve(acc, w, x, x_stride, n_in, next, 1);
}

SN_KERNEL(op=dot, layout=i6g16s_r32k4, x=q8, tile=32x4, isa=sve, features=sve+dotprod+i8mm, order=groups_fma)
static SN_APART void sn_dot4_i6g16s_r32k4_q8_sve(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                                 const uint8_t *next)
{
    const uint8_t *head = w;
    SnPairs y;

    if (svcntw() == 4) {
        sn_dot4_i6g16s_r32k4_q8_i8mm(acc, w, x, x_stride, n_in, next);
        return;
    }
    sn_clear_neon(acc, 4 * 32);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I6S_SPAN) {
        if (b % SN_SPANS == 0) {
            next = sn_prefetch_on_neon(next, 64);
            head = w;
            w += 64;
        }
        next = sn_prefetch_on_neon(next, SN_I6S_SPAN);
        sn_pair_sve(&y, x + b, x_stride, 0);
        for (int h = 0; h < 2; h++)
            for (int r = 0; r < 16; r += (int)svcntw()) {
                const svbool_t rows = svwhilelt_b32_s32(r, 16);
                const svbool_t bytes = svwhilelt_b8_s32(4 * r, 64);
                const uint8_t *codes = w + 256 * h + 4 * r;
                const uint8_t *upper = w + 512 + 128 * h + 4 * r;
                const svuint8_t a0 = sn_first_sve(svld1_u8(bytes, codes), svld1_u8(bytes, codes + 64));
                const svuint8_t b0 = sn_last_sve(svld1_u8(bytes, codes), svld1_u8(bytes, codes + 64));
                const svuint8_t a1 = sn_first_sve(svld1_u8(bytes, codes + 128), svld1_u8(bytes, codes + 192));
                const svuint8_t b1 = sn_last_sve(svld1_u8(bytes, codes + 128), svld1_u8(bytes, codes + 192));
                const svuint8_t ah = sn_first_sve(svld1_u8(bytes, upper), svld1_u8(bytes, upper + 64));
                const svuint8_t bh = sn_last_sve(svld1_u8(bytes, upper), svld1_u8(bytes, upper + 64));
                const svint32_t s0 = sn_signed_bytes_sve(rows, w + 768 + 16 * h + r);
                const svint32_t s1 = sn_signed_bytes_sve(rows, w + 800 + 16 * h + r);
                const svfloat32_t d = sn_halves_sve(rows, head + 32 * h + 2 * r);
                float *out = acc + 16 * h + r;
                SnSums s = sn_start_sve(&y);
                SnSums u = s;

                s = sn_add_sve(s, sn_six_sve(sn_nibbles_sve(a0), sn_up_sve(ah, 4)),
                               sn_six_sve(sn_nibbles_sve(b0), sn_up_sve(bh, 4)), &y, 0);
                s = sn_add_sve(s, sn_six_sve(sn_nibbles_sve(a1), sn_up_sve(ah, 2)),
                               sn_six_sve(sn_nibbles_sve(b1), sn_up_sve(bh, 2)), &y, 1);
                u = sn_add_sve(u, sn_six_sve(sn_down_sve(a0, 4), ah), sn_six_sve(sn_down_sve(b0, 4), bh), &y, 2);
                u = sn_add_sve(u, sn_six_sve(sn_down_sve(a1, 4), sn_down_sve(ah, 2)),
                               sn_six_sve(sn_down_sve(b1, 4), sn_down_sve(bh, 2)), &y, 3);
                sn_scale_halves_sve(rows, out, svuzp1_s32(svget4_s32(s, 0), svget4_s32(s, 1)),
                                    svuzp1_s32(svget4_s32(u, 0), svget4_s32(u, 1)), s0, s1, d, x[b].d);
                sn_scale_halves_sve(rows, out + 32, svuzp2_s32(svget4_s32(s, 0), svget4_s32(s, 1)),
                                    svuzp2_s32(svget4_s32(u, 0), svget4_s32(u, 1)), s0, s1, d, x[x_stride + b].d);
                sn_scale_halves_sve(rows, out + 64, svuzp1_s32(svget4_s32(s, 2), svget4_s32(s, 3)),
                                    svuzp1_s32(svget4_s32(u, 2), svget4_s32(u, 3)), s0, s1, d, x[2 * x_stride + b].d);
                sn_scale_halves_sve(rows, out + 96, svuzp2_s32(svget4_s32(s, 2), svget4_s32(s, 3)),
                                    svuzp2_s32(svget4_s32(u, 2), svget4_s32(u, 3)), s0, s1, d, x[3 * x_stride + b].d);
            }
    }
}
