/* RISC-V vectors, codes in two planes and scales of two levels: the layouts of portable/dot_planes.c.
 *
 * Method and rules are rvv.c's.  Each plane is multiplied by itself, in 16 bits, and the planes are joined as sums (but 6
 * bits for four tokens, which share the work of joining codes):
 *
 *     5 bits     sum(code x) = nibbles + 16 sum(fifth x)                         over 32 columns |fifth x| <= 4064
 *     6 bits     sum((code - 32) x) = nibbles + 16 (sum(high x) - 2 sum(x))      over 16 columns, within 6096 + 4064
 *
 * The fifth bits of 32 rows lie together, so one segment load takes them all; a byte moves down by a bit when one was used.  Sums
 * of 6-bit codes stay apart for the two groups of 16 columns until they have met their scales. */
#include "../kernel.h"

/* ---- codes of 5 bits ------------------------------------------------------------------------------------------------ */

/* s += 16 times the fifth bits at w times the activations: 32 rows, one token. */
static SN_APART void sn_add_fifth_rvv(int32_t s[32], const uint8_t *w, const int8_t *q)
{
    const long n = 32;
    const long weight = 16;
    long a;

    __asm__ volatile(
        "vsetvli zero, %[n], e16, m4, ta, ma\n\t"
        "vmv.v.i v8, 0\n\t"
        "vsetvli zero, %[n], e8, m2, ta, ma\n\t"
        "vlseg4e8.v v0, (%[w])\n\t"
        ".irp f, 0, 1, 2, 3, 4, 5, 6, 7\n\t"
        ".irp v, 0, 2, 4, 6\n\t"                                /* column 4f + v / 2 */
        "lb %[a], 4*\\f+\\v/2(%[q])\n\t"
        "vand.vi v12, v\\v, 1\n\t"
        "vsrl.vi v\\v, v\\v, 1\n\t"
        "vwmaccsu.vx v8, %[a], v12\n\t"
        ".endr\n\t"
        ".endr\n\t"
        "vsetvli zero, %[n], e16, m4, ta, ma\n\t"
        "vle32.v v16, (%[s])\n\t"
        "vwmacc.vx v16, %[weight], v8\n\t"
        "vsetvli zero, %[n], e32, m8, ta, ma\n\t"
        "vse32.v v16, (%[s])"
        : [a] "=&r"(a)
        : [q] "r"(q), [w] "r"(w), [s] "r"(s), [n] "r"(n), [weight] "r"(weight)
        : "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v16", "v17", "v18", "v19",
          "v20", "v21", "v22", "v23", "memory");
}

/* The same for four tokens: s[32 t + r]. */
static SN_APART void sn_add4_fifth_rvv(int32_t *s, const uint8_t *w, const SnQ8 *x, int x_stride)
{
    const int8_t *q1 = x[x_stride].q;
    const int8_t *q2 = x[2 * x_stride].q;
    const int8_t *q3 = x[3 * x_stride].q;
    const long n = 32;
    const long weight = 16;
    long a;

    __asm__ volatile(
        "vsetvli zero, %[n], e16, m4, ta, ma\n\t"
        ".irp t, 8, 12, 16, 20\n\t"
        "vmv.v.i v\\t, 0\n\t"
        ".endr\n\t"
        "vsetvli zero, %[n], e8, m2, ta, ma\n\t"
        "vlseg4e8.v v0, (%[w])\n\t"
        ".irp f, 0, 1, 2, 3, 4, 5, 6, 7\n\t"
        ".irp v, 0, 2, 4, 6\n\t"
        "vand.vi v24, v\\v, 1\n\t"
        "vsrl.vi v\\v, v\\v, 1\n\t"
        "lb %[a], 4*\\f+\\v/2(%[q0])\n\t"
        "vwmaccsu.vx v8, %[a], v24\n\t"
        "lb %[a], 4*\\f+\\v/2(%[q1])\n\t"
        "vwmaccsu.vx v12, %[a], v24\n\t"
        "lb %[a], 4*\\f+\\v/2(%[q2])\n\t"
        "vwmaccsu.vx v16, %[a], v24\n\t"
        "lb %[a], 4*\\f+\\v/2(%[q3])\n\t"
        "vwmaccsu.vx v20, %[a], v24\n\t"
        ".endr\n\t"
        ".endr\n\t"
        ".irp t, 8, 12, 16, 20\n\t"
        "vsetvli zero, %[n], e16, m4, ta, ma\n\t"
        "vle32.v v24, (%[s])\n\t"
        "vwmacc.vx v24, %[weight], v\\t\n\t"
        "vsetvli zero, %[n], e32, m8, ta, ma\n\t"
        "vse32.v v24, (%[s])\n\t"
        "addi %[s], %[s], 128\n\t"
        ".endr"
        : [a] "=&r"(a), [s] "+&r"(s)
        : [q0] "r"(x->q), [q1] "r"(q1), [q2] "r"(q2), [q3] "r"(q3), [w] "r"(w), [n] "r"(n), [weight] "r"(weight)
        : "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16", "v17",
          "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31", "memory");
}

/* ---- codes of 6 bits ------------------------------------------------------------------------------------------------ */

/* -2 times the sum of the first 16 and of the last 16 activations. */
static SN_APART void sn_start_halves_rvv(int32_t start[2], const SnQ8 *x)
{
    long sum;

    __asm__ volatile(
        "vsetivli zero, 16, e8, m1, ta, ma\n\t"
        "vle8.v v1, (%[q])\n\t"
        "vmv.v.i v2, 0\n\t"
        "vwredsum.vs v3, v1, v2\n\t"
        "vsetivli zero, 1, e16, m1, ta, ma\n\t"
        "vmv.x.s %[sum], v3"
        : [sum] "=r"(sum)
        : [q] "r"(x->q)
        : "v1", "v2", "v3", "memory");
    start[0] = (int32_t)(-2 * sum);
    start[1] = (int32_t)(-2 * (x->sum - sum));
}

/* The sums of a span at w for 32 rows and one token, times the scales of both groups of 16 columns.  Nibbles of rows 0.. are
 * summed in v8 and v10 (columns 0.. and 16..), high bits in v12 and v14; rows 16.. have the same from v24 on. */
static SN_APART void sn_sum_i6s_rvv(int32_t s[32], const uint8_t *w, const int8_t *q, const int32_t start[2])
{
    const uint8_t *v = w + 256;                                 /* rows 16.. */
    const uint8_t *h = w + 512;
    const long first = start[0];
    const long second = start[1];
    const long weight = 16;
    long a, b;

    __asm__ volatile(
        "vsetivli zero, 16, e16, m2, ta, ma\n\t"
        ".irp z, 8, 10, 24, 26\n\t"
        "vmv.v.i v\\z, 0\n\t"
        ".endr\n\t"
        "vmv.v.x v12, %[first]\n\t"
        "vmv.v.x v28, %[first]\n\t"
        "vmv.v.x v14, %[second]\n\t"
        "vmv.v.x v30, %[second]\n\t"
        "vsetivli zero, 16, e8, m1, ta, ma\n\t"
        ".irp i, 0, 1, 2, 3\n\t"
        "vlseg4e8.v v0, (%[w])\n\t"
        "vlseg4e8.v v20, (%[v])\n\t"
        "addi %[w], %[w], 64\n\t"
        "addi %[v], %[v], 64\n\t"
        ".irp c, 0, 1, 2, 3\n\t"
        "lb %[a], 4*\\i+\\c(%[q])\n\t"
        "lb %[b], 16+4*\\i+\\c(%[q])\n\t"
        "vand.vi v16, v\\c, 15\n\t"
        "vsrl.vi v17, v\\c, 4\n\t"
        "vand.vi v18, v2\\c, 15\n\t"
        "vsrl.vi v19, v2\\c, 4\n\t"
        "vwmaccsu.vx v8, %[a], v16\n\t"
        "vwmaccsu.vx v10, %[b], v17\n\t"
        "vwmaccsu.vx v24, %[a], v18\n\t"
        "vwmaccsu.vx v26, %[b], v19\n\t"
        ".endr\n\t"
        ".endr\n\t"
        ".irp i, 0, 1\n\t"                                      /* column 8f + 4i + c */
        "vlseg4e8.v v0, (%[h])\n\t"
        "addi %[h], %[h], 128\n\t"
        "vlseg4e8.v v20, (%[h])\n\t"
        "addi %[h], %[h], -64\n\t"
        ".irp f, 0, 1\n\t"
        ".irp c, 0, 1, 2, 3\n\t"
        "lb %[a], 8*\\f+4*\\i+\\c(%[q])\n\t"
        "vand.vi v16, v\\c, 3\n\t"
        "vand.vi v17, v2\\c, 3\n\t"
        "vwmaccsu.vx v12, %[a], v16\n\t"
        "vwmaccsu.vx v28, %[a], v17\n\t"
        "vsrl.vi v\\c, v\\c, 2\n\t"
        "vsrl.vi v2\\c, v2\\c, 2\n\t"
        ".endr\n\t"
        ".endr\n\t"
        ".irp c, 0, 1, 2, 3\n\t"
        "lb %[a], 16+4*\\i+\\c(%[q])\n\t"
        "lb %[b], 24+4*\\i+\\c(%[q])\n\t"
        "vand.vi v16, v\\c, 3\n\t"
        "vand.vi v17, v2\\c, 3\n\t"
        "vsrl.vi v18, v\\c, 2\n\t"
        "vsrl.vi v19, v2\\c, 2\n\t"
        "vwmaccsu.vx v14, %[a], v16\n\t"
        "vwmaccsu.vx v30, %[a], v17\n\t"
        "vwmaccsu.vx v14, %[b], v18\n\t"
        "vwmaccsu.vx v30, %[b], v19\n\t"
        ".endr\n\t"
        ".endr\n\t"
        "addi %[h], %[h], 128\n\t"                              /* the scales: 16 rows, 16 rows, and again */
        "vsetivli zero, 16, e16, m2, ta, ma\n\t"
        "vwmul.vx v0, v12, %[weight]\n\t"
        "vwmul.vx v4, v14, %[weight]\n\t"
        "vwadd.wv v0, v0, v8\n\t"
        "vwadd.wv v4, v4, v10\n\t"
        "vwmul.vx v16, v28, %[weight]\n\t"
        "vwmul.vx v20, v30, %[weight]\n\t"
        "vwadd.wv v16, v16, v24\n\t"
        "vwadd.wv v20, v20, v26\n\t"
        "vsetivli zero, 16, e32, m4, ta, ma\n\t"
        "vle8.v v8, (%[h])\n\t"
        "addi %[h], %[h], 16\n\t"
        "vle8.v v9, (%[h])\n\t"
        "addi %[h], %[h], 16\n\t"
        "vle8.v v10, (%[h])\n\t"
        "addi %[h], %[h], 16\n\t"
        "vle8.v v11, (%[h])\n\t"
        "vsext.vf4 v12, v8\n\t"
        "vsext.vf4 v24, v9\n\t"
        "vmul.vv v0, v0, v12\n\t"
        "vmul.vv v16, v16, v24\n\t"
        "vsext.vf4 v12, v10\n\t"
        "vsext.vf4 v24, v11\n\t"
        "vmacc.vv v0, v4, v12\n\t"
        "vmacc.vv v16, v20, v24\n\t"
        "vse32.v v0, (%[s])\n\t"
        "addi %[a], %[s], 64\n\t"
        "vse32.v v16, (%[a])"
        : [w] "+&r"(w), [v] "+&r"(v), [h] "+&r"(h), [a] "=&r"(a), [b] "=&r"(b)
        : [q] "r"(q), [s] "r"(s), [first] "r"(first), [second] "r"(second), [weight] "r"(weight)
        : "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16", "v17",
          "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31", "memory");
}

/* The same for four tokens and 16 rows, s[32 t + r]: codes at w, high bits at h, scales at `scales` and 32 bytes on.  Here the
 * planes are put together, since four tokens share that; eight products of at most 32 * 127 fit in 16 bits.  n holds the sums of
 * columns 0..7 and 16..23, then those of 8..15 and 24..31, of one token after the other. */
static SN_APART void sn_sum4_i6s_rvv(int32_t *s, const uint8_t *w, const uint8_t *h, const uint8_t *scales, const SnQ8 *x,
                                     int x_stride)
{
    int16_t n[2 * 8 * 16];
    int16_t *p = n;
    const int16_t *before = n;
    const int8_t *q1 = x[x_stride].q;
    const int8_t *q2 = x[2 * x_stride].q;
    const int8_t *q3 = x[3 * x_stride].q;
    const uint8_t *later = scales + 32;
    const long high = 48;
    const long middle = -32;
    long a;

    __asm__ volatile(
        ".irp k, 0, 1\n\t"
        "vsetivli zero, 16, e16, m2, ta, ma\n\t"
        ".irp t, 8, 10, 12, 14, 24, 26, 28, 30\n\t"
        "vmv.v.i v\\t, 0\n\t"
        ".endr\n\t"
        "vsetivli zero, 16, e8, m1, ta, ma\n\t"
        ".irp i, 0, 1\n\t"
        "vlseg4e8.v v0, (%[w])\n\t"
        "vlseg4e8.v v20, (%[h])\n\t"
        "addi %[w], %[w], 64\n\t"
        "addi %[h], %[h], 64\n\t"
        ".irp c, 0, 1, 2, 3\n\t"                                /* v4 column 8k + 4i + c, v6 the 16th after it */
        "vand.vi v4, v\\c, 15\n\t"
        "vsll.vi v5, v2\\c, 4-2*\\k\n\t"
        "vand.vx v5, v5, %[high]\n\t"
        "vor.vv v4, v4, v5\n\t"
        "vadd.vx v4, v4, %[middle]\n\t"
        "vsrl.vi v6, v\\c, 4\n\t"
        "vsrl.vi v7, v2\\c, 2*\\k\n\t"
        "vand.vx v7, v7, %[high]\n\t"
        "vor.vv v6, v6, v7\n\t"
        "vadd.vx v6, v6, %[middle]\n\t"
        "lb %[a], 8*\\k+4*\\i+\\c(%[q0])\n\t"
        "vwmacc.vx v8, %[a], v4\n\t"
        "lb %[a], 16+8*\\k+4*\\i+\\c(%[q0])\n\t"
        "vwmacc.vx v24, %[a], v6\n\t"
        "lb %[a], 8*\\k+4*\\i+\\c(%[q1])\n\t"
        "vwmacc.vx v10, %[a], v4\n\t"
        "lb %[a], 16+8*\\k+4*\\i+\\c(%[q1])\n\t"
        "vwmacc.vx v26, %[a], v6\n\t"
        "lb %[a], 8*\\k+4*\\i+\\c(%[q2])\n\t"
        "vwmacc.vx v12, %[a], v4\n\t"
        "lb %[a], 16+8*\\k+4*\\i+\\c(%[q2])\n\t"
        "vwmacc.vx v28, %[a], v6\n\t"
        "lb %[a], 8*\\k+4*\\i+\\c(%[q3])\n\t"
        "vwmacc.vx v14, %[a], v4\n\t"
        "lb %[a], 16+8*\\k+4*\\i+\\c(%[q3])\n\t"
        "vwmacc.vx v30, %[a], v6\n\t"
        ".endr\n\t"
        ".endr\n\t"
        "addi %[h], %[h], -128\n\t"
        "vsetivli zero, 16, e16, m2, ta, ma\n\t"
        ".irp t, 8, 24, 10, 26, 12, 28, 14, 30\n\t"
        "vse16.v v\\t, (%[p])\n\t"
        "addi %[p], %[p], 32\n\t"
        ".endr\n\t"
        ".endr\n\t"
        "addi %[p], %[p], -256\n\t"                             /* the second half of n */
        "vsetivli zero, 16, e32, m4, ta, ma\n\t"
        "vle8.v v0, (%[scales])\n\t"
        "vle8.v v1, (%[later])\n\t"
        "vsext.vf4 v4, v0\n\t"
        "vsext.vf4 v8, v1\n\t"
        ".irp t, 0, 1, 2, 3\n\t"
        "vsetivli zero, 16, e16, m2, ta, ma\n\t"
        "vle16.v v0, (%[before])\n\t"
        "vle16.v v2, (%[p])\n\t"
        "addi %[before], %[before], 32\n\t"
        "addi %[p], %[p], 32\n\t"
        "vwadd.vv v12, v0, v2\n\t"
        "vle16.v v0, (%[before])\n\t"
        "vle16.v v2, (%[p])\n\t"
        "addi %[before], %[before], 32\n\t"
        "addi %[p], %[p], 32\n\t"
        "vwadd.vv v16, v0, v2\n\t"
        "vsetivli zero, 16, e32, m4, ta, ma\n\t"
        "vmul.vv v12, v12, v4\n\t"
        "vmacc.vv v12, v16, v8\n\t"
        "vse32.v v12, (%[s])\n\t"
        "addi %[s], %[s], 128\n\t"
        ".endr"
        : [w] "+&r"(w), [h] "+&r"(h), [s] "+&r"(s), [p] "+&r"(p), [before] "+&r"(before), [a] "=&r"(a)
        : [q0] "r"(x->q), [q1] "r"(q1), [q2] "r"(q2), [q3] "r"(q3), [scales] "r"(scales), [later] "r"(later), [high] "r"(high),
          [middle] "r"(middle)
        : "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16", "v17",
          "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31", "memory");
}

/* ---- the kernels --------------------------------------------------------------------------------------------------- */

/* Asks for n bytes of the next tile, if there is one; returns what follows them. */
static inline const uint8_t *sn_prefetch_on_rvv(const uint8_t *next, int n)
{
    if (!next)
        return next;
    sn_prefetch(next, n);
    return next + n;
}

SN_KERNEL(op=dot, layout=i5g32_r32k4, x=q8, tile=32x4, isa=rvv, features=v, order=groups_fma)
static SN_APART void sn_dot4_i5g32_r32k4_q8_rvv(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                                const uint8_t *next)
{
    int32_t s[4 * 32];
    float d[32];

    sn_zero(acc, 4 * SN_ROWS);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I5_BLOCK) {
        next = sn_prefetch_on_rvv(next, SN_I5_BLOCK);
        sn_sum4_i4_rvv(s, w, x + b, x_stride);
        sn_sum4_i4_rvv(s + 16, w + 256, x + b, x_stride);
        sn_add4_fifth_rvv(s, w + 512, x + b, x_stride);
        sn_halves_rvv(d, w + 640);
        for (int t = 0; t < 4; t++)                             /* w = d * (code - 16) */
            sn_scale_rvv(acc + 32 * t, s + 32 * t, -16 * x[t * x_stride + b].sum, d, x[t * x_stride + b].d);
    }
}

SN_KERNEL(op=dot, layout=i5g32_r32k4, x=q8, tile=32x1, isa=rvv, features=v, order=groups_fma)
static SN_APART void sn_dot_i5g32_r32k4_q8_rvv(float acc[32], const uint8_t *w, const SnQ8 *x, int n_in, const uint8_t *next)
{
    int32_t s[32];
    float d[32];

    sn_zero(acc, SN_ROWS);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I5_BLOCK) {
        next = sn_prefetch_on_rvv(next, SN_I5_BLOCK);
        sn_sum_i4_rvv(s, w, x[b].q);
        sn_add_fifth_rvv(s, w + 512, x[b].q);
        sn_halves_rvv(d, w + 640);
        sn_scale_rvv(acc, s, -16 * x[b].sum, d, x[b].d);
    }
}

SN_KERNEL(op=dot, layout=i5g32ms_r32k4, x=q8, tile=32x4, isa=rvv, features=v, order=groups_fma)
static SN_APART void sn_dot4_i5g32ms_r32k4_q8_rvv(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                                  const uint8_t *next)
{
    int32_t s[4 * 32];
    float d[32];
    float m[32];
    float ds[32];
    float mt[32];

    sn_zero(acc, 4 * SN_ROWS);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I5MS_SPAN) {
        if (b % SN_SPANS == 0) {
            next = sn_prefetch_on_rvv(next, 128);
            sn_halves_rvv(d, w);
            sn_halves_rvv(m, w + 64);
            w += 128;
        }
        next = sn_prefetch_on_rvv(next, SN_I5MS_SPAN);
        sn_sum4_i4_rvv(s, w, x + b, x_stride);
        sn_sum4_i4_rvv(s + 16, w + 256, x + b, x_stride);
        sn_add4_fifth_rvv(s, w + 512, x + b, x_stride);
        sn_subscales_rvv(ds, d, w + 640);
        sn_subscales_rvv(mt, m, w + 672);
        for (int t = 0; t < 4; t++) {
            sn_scale_rvv(acc + 32 * t, s + 32 * t, 0, ds, x[t * x_stride + b].d);
            sn_add_scaled_rvv(acc + 32 * t, mt, x[t * x_stride + b].ds);
        }
    }
}

SN_KERNEL(op=dot, layout=i5g32ms_r32k4, x=q8, tile=32x1, isa=rvv, features=v, order=groups_fma)
static SN_APART void sn_dot_i5g32ms_r32k4_q8_rvv(float acc[32], const uint8_t *w, const SnQ8 *x, int n_in, const uint8_t *next)
{
    int32_t s[32];
    float d[32];
    float m[32];
    float ds[32];
    float mt[32];

    sn_zero(acc, SN_ROWS);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I5MS_SPAN) {
        if (b % SN_SPANS == 0) {
            next = sn_prefetch_on_rvv(next, 128);
            sn_halves_rvv(d, w);
            sn_halves_rvv(m, w + 64);
            w += 128;
        }
        next = sn_prefetch_on_rvv(next, SN_I5MS_SPAN);
        sn_sum_i4_rvv(s, w, x[b].q);
        sn_add_fifth_rvv(s, w + 512, x[b].q);
        sn_subscales_rvv(ds, d, w + 640);
        sn_subscales_rvv(mt, m, w + 672);
        sn_scale_rvv(acc, s, 0, ds, x[b].d);
        sn_add_scaled_rvv(acc, mt, x[b].ds);
    }
}

SN_KERNEL(op=dot, layout=i6g16s_r32k4, x=q8, tile=32x4, isa=rvv, features=v, order=groups_fma)
static SN_APART void sn_dot4_i6g16s_r32k4_q8_rvv(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                                 const uint8_t *next)
{
    int32_t s[4 * 32];
    float d[32];

    sn_zero(acc, 4 * SN_ROWS);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I6S_SPAN) {
        if (b % SN_SPANS == 0) {
            next = sn_prefetch_on_rvv(next, 64);
            sn_halves_rvv(d, w);
            w += 64;
        }
        next = sn_prefetch_on_rvv(next, SN_I6S_SPAN);
        for (int h = 0; h < 2; h++)
            sn_sum4_i6s_rvv(s + 16 * h, w + 256 * h, w + 512 + 128 * h, w + 768 + 16 * h, x + b, x_stride);
        for (int t = 0; t < 4; t++)
            sn_scale_rvv(acc + 32 * t, s + 32 * t, 0, d, x[t * x_stride + b].d);
    }
}

SN_KERNEL(op=dot, layout=i6g16s_r32k4, x=q8, tile=32x1, isa=rvv, features=v, order=groups_fma)
static SN_APART void sn_dot_i6g16s_r32k4_q8_rvv(float acc[32], const uint8_t *w, const SnQ8 *x, int n_in, const uint8_t *next)
{
    int32_t s[32];
    int32_t start[2];
    float d[32];

    sn_zero(acc, SN_ROWS);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I6S_SPAN) {
        if (b % SN_SPANS == 0) {
            next = sn_prefetch_on_rvv(next, 64);
            sn_halves_rvv(d, w);
            w += 64;
        }
        next = sn_prefetch_on_rvv(next, SN_I6S_SPAN);
        sn_start_halves_rvv(start, x + b);
        sn_sum_i6s_rvv(s, w, x[b].q, start);
        sn_scale_rvv(acc, s, 0, d, x[b].d);
    }
}
