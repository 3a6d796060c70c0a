/* RISC-V vectors, ternary weights: the layouts of portable/ternary.c; method and rules are rvv.c's.
 *
 * Codes are at most 3, so the 32 products of a group fit in 16 bits.  Base 3: a digit is the high byte of 3 q, what follows it the low
 * byte; both are one multiplication.  A pair of groups is summed in one go, since they share a vector of digits. */
#include "../kernel.h"

/* A group's 32 columns at w, two bits each: one token, 32 rows. */
static SN_APART void sn_sum_i2_rvv(int32_t s[32], const uint8_t *w, const int8_t *q)
{
    const uint8_t *v = w + 128;                                 /* rows 16.. */
    int32_t *s_high = s + 16;
    long a;

    __asm__ volatile(
        "vsetivli zero, 16, e16, m2, ta, ma\n\t"
        "vmv.v.i v8, 0\n\t"
        "vmv.v.i v10, 0\n\t"
        "vsetivli zero, 16, e8, m1, ta, ma\n\t"
        ".irp i, 0, 4\n\t"
        "vlseg4e8.v v0, (%[w])\n\t"
        "vlseg4e8.v v20, (%[v])\n\t"
        "addi %[w], %[w], 64\n\t"
        "addi %[v], %[v], 64\n\t"
        ".irp f, 0, 8, 16\n\t"                                  /* column f + i + c */
        ".irp c, 0, 1, 2, 3\n\t"
        "lb %[a], \\f+\\i+\\c(%[q])\n\t"
        "vand.vi v16, v\\c, 3\n\t"
        "vand.vi v17, v2\\c, 3\n\t"
        "vsrl.vi v\\c, v\\c, 2\n\t"
        "vsrl.vi v2\\c, v2\\c, 2\n\t"
        "vwmaccsu.vx v8, %[a], v16\n\t"
        "vwmaccsu.vx v10, %[a], v17\n\t"
        ".endr\n\t"
        ".endr\n\t"
        ".irp c, 0, 1, 2, 3\n\t"
        "lb %[a], 24+\\i+\\c(%[q])\n\t"
        "vwmaccsu.vx v8, %[a], v\\c\n\t"
        "vwmaccsu.vx v10, %[a], v2\\c\n\t"
        ".endr\n\t"
        ".endr\n\t"
        "vsetivli zero, 16, e16, m2, ta, ma\n\t"
        "vwadd.vx v24, v8, zero\n\t"
        "vwadd.vx v28, v10, zero\n\t"
        "vsetivli zero, 16, e32, m4, ta, ma\n\t"
        "vse32.v v24, (%[s])\n\t"
        "vse32.v v28, (%[u])"
        : [w] "+&r"(w), [v] "+&r"(v), [a] "=&r"(a)
        : [q] "r"(q), [s] "r"(s), [u] "r"(s_high)
        : "v0", "v1", "v2", "v3", "v8", "v9", "v10", "v11", "v16", "v17", "v20", "v21", "v22", "v23", "v24", "v25", "v26",
          "v27", "v28", "v29", "v30", "v31", "memory");
}

/* Four tokens and 16 rows: s[32 t + r]. */
static SN_APART void sn_sum4_i2_rvv(int32_t *s, const uint8_t *w, const SnQ8 *x, int x_stride)
{
    const int8_t *q1 = x[x_stride].q;
    const int8_t *q2 = x[2 * x_stride].q;
    const int8_t *q3 = x[3 * x_stride].q;
    long a;

    __asm__ volatile(
        "vsetivli zero, 16, e16, m2, ta, ma\n\t"
        ".irp t, 8, 10, 12, 14\n\t"
        "vmv.v.i v\\t, 0\n\t"
        ".endr\n\t"
        "vsetivli zero, 16, e8, m1, ta, ma\n\t"
        ".irp i, 0, 4\n\t"
        "vlseg4e8.v v0, (%[w])\n\t"
        "addi %[w], %[w], 64\n\t"
        ".irp f, 0, 8, 16, 24\n\t"
        ".irp c, 0, 1, 2, 3\n\t"
        "vand.vi v4, v\\c, 3\n\t"
        "vsrl.vi v\\c, v\\c, 2\n\t"
        "lb %[a], \\f+\\i+\\c(%[q0])\n\t"
        "vwmaccsu.vx v8, %[a], v4\n\t"
        "lb %[a], \\f+\\i+\\c(%[q1])\n\t"
        "vwmaccsu.vx v10, %[a], v4\n\t"
        "lb %[a], \\f+\\i+\\c(%[q2])\n\t"
        "vwmaccsu.vx v12, %[a], v4\n\t"
        "lb %[a], \\f+\\i+\\c(%[q3])\n\t"
        "vwmaccsu.vx v14, %[a], v4\n\t"
        ".endr\n\t"
        ".endr\n\t"
        ".endr\n\t"
        ".irp t, 8, 10, 12, 14\n\t"
        "vsetivli zero, 16, e16, m2, ta, ma\n\t"
        "vwadd.vx v24, v\\t, zero\n\t"
        "vsetivli zero, 16, e32, m4, ta, ma\n\t"
        "vse32.v v24, (%[s])\n\t"
        "addi %[s], %[s], 128\n\t"
        ".endr"
        : [w] "+&r"(w), [s] "+&r"(s), [a] "=&r"(a)
        : [q0] "r"(x->q), [q1] "r"(q1), [q2] "r"(q2), [q3] "r"(q3)
        : "v0", "v1", "v2", "v3", "v4", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v24", "v25", "v26", "v27",
          "memory");
}

/* One token, 16 rows and the 64 columns of a pair, 15 quads at w, the last one the first digit of `last` times power (3^pair):
 * s of the first 32 columns, u of the others; q is where the first block of activations begins, the second follows. */
static SN_APART void sn_sum_t5_rvv(int32_t *s, int32_t *u, const uint8_t *w, const uint8_t *last, long power, const int8_t *q)
{
    const long three = 3;
    long a;

    __asm__ volatile(
        "vsetivli zero, 16, e16, m2, ta, ma\n\t"
        "vmv.v.i v8, 0\n\t"
        "vmv.v.i v10, 0\n\t"
        "vsetivli zero, 16, e8, m1, ta, ma\n\t"
        "vlseg4e8.v v0, (%[w])\n\t"
        "addi %[w], %[w], 64\n\t"
        ".irp k, 0, 4, 8, 12, 16\n\t"
        ".irp c, 0, 1, 2, 3\n\t"
        "vmulhu.vx v4, v\\c, %[three]\n\t"
        "vmul.vx v\\c, v\\c, %[three]\n\t"
        "lb %[a], \\k+\\c(%[q])\n\t"
        "vwmaccsu.vx v8, %[a], v4\n\t"
        ".endr\n\t"
        ".endr\n\t"
        "vlseg4e8.v v0, (%[w])\n\t"
        "addi %[w], %[w], 64\n\t"
        ".irp k, 20, 24, 28\n\t"
        ".irp c, 0, 1, 2, 3\n\t"
        "vmulhu.vx v4, v\\c, %[three]\n\t"
        "vmul.vx v\\c, v\\c, %[three]\n\t"
        "lb %[a], \\k+\\c(%[q])\n\t"
        "vwmaccsu.vx v8, %[a], v4\n\t"
        ".endr\n\t"
        ".endr\n\t"
        ".irp k, 44, 48\n\t"                                    /* a block of activations has 44 bytes */
        ".irp c, 0, 1, 2, 3\n\t"
        "vmulhu.vx v4, v\\c, %[three]\n\t"
        "vmul.vx v\\c, v\\c, %[three]\n\t"
        "lb %[a], \\k+\\c(%[q])\n\t"
        "vwmaccsu.vx v10, %[a], v4\n\t"
        ".endr\n\t"
        ".endr\n\t"
        "vlseg4e8.v v0, (%[w])\n\t"
        ".irp k, 52, 56, 60, 64, 68\n\t"
        ".irp c, 0, 1, 2, 3\n\t"
        "vmulhu.vx v4, v\\c, %[three]\n\t"
        "vmul.vx v\\c, v\\c, %[three]\n\t"
        "lb %[a], \\k+\\c(%[q])\n\t"
        "vwmaccsu.vx v10, %[a], v4\n\t"
        ".endr\n\t"
        ".endr\n\t"
        "vlseg4e8.v v0, (%[last])\n\t"
        ".irp c, 0, 1, 2, 3\n\t"
        "vmul.vx v\\c, v\\c, %[power]\n\t"
        ".endr\n\t"
        ".irp c, 0, 1, 2, 3\n\t"
        "vmulhu.vx v4, v\\c, %[three]\n\t"
        "lb %[a], 72+\\c(%[q])\n\t"
        "vwmaccsu.vx v10, %[a], v4\n\t"
        ".endr\n\t"
        "vsetivli zero, 16, e16, m2, ta, ma\n\t"
        "vwadd.vx v24, v8, zero\n\t"
        "vwadd.vx v28, v10, zero\n\t"
        "vsetivli zero, 16, e32, m4, ta, ma\n\t"
        "vse32.v v24, (%[s])\n\t"
        "vse32.v v28, (%[u])"
        : [w] "+&r"(w), [a] "=&r"(a)
        : [q] "r"(q), [s] "r"(s), [u] "r"(u), [last] "r"(last), [power] "r"(power), [three] "r"(three)
        : "v0", "v1", "v2", "v3", "v4", "v8", "v9", "v10", "v11", "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31",
          "memory");
}

/* Four tokens: s[32 t + r] and u[32 t + r]. */
static SN_APART void sn_sum4_t5_rvv(int32_t *s, int32_t *u, const uint8_t *w, const uint8_t *last, long power, const SnQ8 *x,
                                    int x_stride)
{
    const int8_t *q1 = x[x_stride].q;
    const int8_t *q2 = x[2 * x_stride].q;
    const int8_t *q3 = x[3 * x_stride].q;
    const long three = 3;
    long a;

    __asm__ volatile(
        "vsetivli zero, 16, e16, m2, ta, ma\n\t"
        ".irp t, 8, 10, 12, 14, 16, 18, 20, 22\n\t"
        "vmv.v.i v\\t, 0\n\t"
        ".endr\n\t"
        "vsetivli zero, 16, e8, m1, ta, ma\n\t"
        "vlseg4e8.v v0, (%[w])\n\t"
        "addi %[w], %[w], 64\n\t"
        ".irp k, 0, 4, 8, 12, 16\n\t"
        ".irp c, 0, 1, 2, 3\n\t"
        "vmulhu.vx v4, v\\c, %[three]\n\t"
        "vmul.vx v\\c, v\\c, %[three]\n\t"
        "lb %[a], \\k+\\c(%[q0])\n\t"
        "vwmaccsu.vx v8, %[a], v4\n\t"
        "lb %[a], \\k+\\c(%[q1])\n\t"
        "vwmaccsu.vx v10, %[a], v4\n\t"
        "lb %[a], \\k+\\c(%[q2])\n\t"
        "vwmaccsu.vx v12, %[a], v4\n\t"
        "lb %[a], \\k+\\c(%[q3])\n\t"
        "vwmaccsu.vx v14, %[a], v4\n\t"
        ".endr\n\t"
        ".endr\n\t"
        "vlseg4e8.v v0, (%[w])\n\t"
        "addi %[w], %[w], 64\n\t"
        ".irp k, 20, 24, 28\n\t"
        ".irp c, 0, 1, 2, 3\n\t"
        "vmulhu.vx v4, v\\c, %[three]\n\t"
        "vmul.vx v\\c, v\\c, %[three]\n\t"
        "lb %[a], \\k+\\c(%[q0])\n\t"
        "vwmaccsu.vx v8, %[a], v4\n\t"
        "lb %[a], \\k+\\c(%[q1])\n\t"
        "vwmaccsu.vx v10, %[a], v4\n\t"
        "lb %[a], \\k+\\c(%[q2])\n\t"
        "vwmaccsu.vx v12, %[a], v4\n\t"
        "lb %[a], \\k+\\c(%[q3])\n\t"
        "vwmaccsu.vx v14, %[a], v4\n\t"
        ".endr\n\t"
        ".endr\n\t"
        ".irp k, 44, 48\n\t"                                    /* a block of activations has 44 bytes */
        ".irp c, 0, 1, 2, 3\n\t"
        "vmulhu.vx v4, v\\c, %[three]\n\t"
        "vmul.vx v\\c, v\\c, %[three]\n\t"
        "lb %[a], \\k+\\c(%[q0])\n\t"
        "vwmaccsu.vx v16, %[a], v4\n\t"
        "lb %[a], \\k+\\c(%[q1])\n\t"
        "vwmaccsu.vx v18, %[a], v4\n\t"
        "lb %[a], \\k+\\c(%[q2])\n\t"
        "vwmaccsu.vx v20, %[a], v4\n\t"
        "lb %[a], \\k+\\c(%[q3])\n\t"
        "vwmaccsu.vx v22, %[a], v4\n\t"
        ".endr\n\t"
        ".endr\n\t"
        "vlseg4e8.v v0, (%[w])\n\t"
        ".irp k, 52, 56, 60, 64, 68\n\t"
        ".irp c, 0, 1, 2, 3\n\t"
        "vmulhu.vx v4, v\\c, %[three]\n\t"
        "vmul.vx v\\c, v\\c, %[three]\n\t"
        "lb %[a], \\k+\\c(%[q0])\n\t"
        "vwmaccsu.vx v16, %[a], v4\n\t"
        "lb %[a], \\k+\\c(%[q1])\n\t"
        "vwmaccsu.vx v18, %[a], v4\n\t"
        "lb %[a], \\k+\\c(%[q2])\n\t"
        "vwmaccsu.vx v20, %[a], v4\n\t"
        "lb %[a], \\k+\\c(%[q3])\n\t"
        "vwmaccsu.vx v22, %[a], v4\n\t"
        ".endr\n\t"
        ".endr\n\t"
        "vlseg4e8.v v0, (%[last])\n\t"
        ".irp c, 0, 1, 2, 3\n\t"
        "vmul.vx v\\c, v\\c, %[power]\n\t"
        ".endr\n\t"
        ".irp c, 0, 1, 2, 3\n\t"
        "vmulhu.vx v4, v\\c, %[three]\n\t"
        "lb %[a], 72+\\c(%[q0])\n\t"
        "vwmaccsu.vx v16, %[a], v4\n\t"
        "lb %[a], 72+\\c(%[q1])\n\t"
        "vwmaccsu.vx v18, %[a], v4\n\t"
        "lb %[a], 72+\\c(%[q2])\n\t"
        "vwmaccsu.vx v20, %[a], v4\n\t"
        "lb %[a], 72+\\c(%[q3])\n\t"
        "vwmaccsu.vx v22, %[a], v4\n\t"
        ".endr\n\t"
        ".irp t, 8, 10, 12, 14\n\t"
        "vsetivli zero, 16, e16, m2, ta, ma\n\t"
        "vwadd.vx v24, v\\t, zero\n\t"
        "vsetivli zero, 16, e32, m4, ta, ma\n\t"
        "vse32.v v24, (%[s])\n\t"
        "addi %[s], %[s], 128\n\t"
        ".endr\n\t"
        ".irp t, 16, 18, 20, 22\n\t"
        "vsetivli zero, 16, e16, m2, ta, ma\n\t"
        "vwadd.vx v24, v\\t, zero\n\t"
        "vsetivli zero, 16, e32, m4, ta, ma\n\t"
        "vse32.v v24, (%[u])\n\t"
        "addi %[u], %[u], 128\n\t"
        ".endr"
        : [w] "+&r"(w), [s] "+&r"(s), [u] "+&r"(u), [a] "=&r"(a)
        : [q0] "r"(x->q), [q1] "r"(q1), [q2] "r"(q2), [q3] "r"(q3), [last] "r"(last), [power] "r"(power), [three] "r"(three)
        : "v0", "v1", "v2", "v3", "v4", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19",
          "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "memory");
}

/* ---- the kernels --------------------------------------------------------------------------------------------------- */

SN_KERNEL(op=dot, layout=i2g256_r32k4, x=q8g256, tile=32x4, isa=rvv, features=v, order=groups_fma)
static SN_APART void sn_dot4_i2g256_r32k4_q8g256_rvv(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                                     const uint8_t *next)
{
    int32_t s[4 * 32];
    float d[32];

    sn_zero(acc, 4 * SN_ROWS);
    for (int b = 0; b < n_in / SN_TERNARY_COLUMNS; b++, w += SN_I2_BLOCK) {
        sn_halves_rvv(d, w + 2048);
        for (int g = 0; g < 8; g++, x++) {
            next = sn_prefetch_on_rvv(next, 256);
            sn_sum4_i2_rvv(s, w + 256 * g, x, x_stride);
            sn_sum4_i2_rvv(s + 16, w + 256 * g + 128, x, x_stride);
            for (int t = 0; t < 4; t++)                         /* w = d * (code - 1) */
                sn_scale_rvv(acc + 32 * t, s + 32 * t, -x[t * x_stride].sum, d, x[t * x_stride].d);
        }
        next = sn_prefetch_on_rvv(next, 64);
    }
}

SN_KERNEL(op=dot, layout=i2g256_r32k4, x=q8g256, tile=32x1, isa=rvv, features=v, order=groups_fma)
static SN_APART void sn_dot_i2g256_r32k4_q8g256_rvv(float acc[32], const uint8_t *w, const SnQ8 *x, int n_in,
                                                    const uint8_t *next)
{
    int32_t s[32];
    float d[32];

    sn_zero(acc, SN_ROWS);
    for (int b = 0; b < n_in / SN_TERNARY_COLUMNS; b++, w += SN_I2_BLOCK) {
        sn_halves_rvv(d, w + 2048);
        for (int g = 0; g < 8; g++, x++) {
            next = sn_prefetch_on_rvv(next, 256);
            sn_sum_i2_rvv(s, w + 256 * g, x->q);
            sn_scale_rvv(acc, s, -x->sum, d, x->d);
        }
        next = sn_prefetch_on_rvv(next, 64);
    }
}

SN_KERNEL(op=dot, layout=t5g256_r32k4, x=q8g256, tile=32x4, isa=rvv, features=v, order=groups_fma)
static SN_APART void sn_dot4_t5g256_r32k4_q8g256_rvv(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                                     const uint8_t *next)
{
    int32_t s[4 * 32];
    int32_t u[4 * 32];
    float d[32];

    sn_zero(acc, 4 * SN_ROWS);
    for (int b = 0; b < n_in / SN_TERNARY_COLUMNS; b++, w += SN_T5_BLOCK) {
        long power = 1;

        next = sn_prefetch_on_rvv(next, SN_T5_BLOCK);
        sn_halves_rvv(d, w + 1664);
        for (int pair = 0; pair < 4; pair++, x += 2, power *= 3) {
            for (int h = 0; h < 2; h++)
                sn_sum4_t5_rvv(s + 16 * h, u + 16 * h, w + 128 + 384 * pair + 192 * h, w + 64 * h, power, x, x_stride);
            for (int t = 0; t < 4; t++) {
                const SnQ8 *y = x + t * x_stride;

                sn_scale_rvv(acc + 32 * t, s + 32 * t, -y->sum, d, y->d);
                sn_scale_rvv(acc + 32 * t, u + 32 * t, -y[1].sum, d, y[1].d);
            }
        }
    }
}

SN_KERNEL(op=dot, layout=t5g256_r32k4, x=q8g256, tile=32x1, isa=rvv, features=v, order=groups_fma)
static SN_APART void sn_dot_t5g256_r32k4_q8g256_rvv(float acc[32], const uint8_t *w, const SnQ8 *x, int n_in,
                                                    const uint8_t *next)
{
    int32_t s[32];
    int32_t u[32];
    float d[32];

    sn_zero(acc, SN_ROWS);
    for (int b = 0; b < n_in / SN_TERNARY_COLUMNS; b++, w += SN_T5_BLOCK) {
        long power = 1;

        next = sn_prefetch_on_rvv(next, SN_T5_BLOCK);
        sn_halves_rvv(d, w + 1664);
        for (int pair = 0; pair < 4; pair++, x += 2, power *= 3) {
            for (int h = 0; h < 2; h++)
                sn_sum_t5_rvv(s + 16 * h, u + 16 * h, w + 128 + 384 * pair + 192 * h, w + 64 * h, power, x->q);
            sn_scale_rvv(acc, s, -x->sum, d, x->d);
            sn_scale_rvv(acc, u, -x[1].sum, d, x[1].d);
        }
    }
}
