/* RISC-V vectors, weights and a cache in floats and halves: the plain layouts of portable/dot.c, and portable/attention.c.
 *
 * Rules are rvv.c's, results have its fused multiply-adds.  Weights: a lane is a row, a column is 32 lanes; halves become floats in
 * memory first, a group of columns at a time, which four tokens share.  Attention: in scores a lane is one of the 16 sums, in mixes
 * a column of the cache; both read a position of the cache once for each 16 columns. */
#include "../kernel.h"

/* ---- weights in floats ---------------------------------------------------------------------------------------------- */

/* acc += the sum over n > 0 columns of w[r] x[c]; w may lie anywhere. */
static SN_APART void sn_add_columns_rvv(float acc[32], const uint8_t *w, const float *x, long n)
{
    const long rows = 32;
    const long bytes = 128;
    float a;

    __asm__ volatile(
        "vsetvli zero, %[rows], e32, m8, ta, ma\n\t"
        "vmv.v.i v8, 0\n\t"
        "1:\n\t"
        "vsetvli zero, %[bytes], e8, m8, ta, ma\n\t"
        "vle8.v v16, (%[w])\n\t"
        "vsetvli zero, %[rows], e32, m8, ta, ma\n\t"
        "flw %[a], (%[x])\n\t"
        "addi %[w], %[w], 128\n\t"
        "addi %[x], %[x], 4\n\t"
        "addi %[n], %[n], -1\n\t"
        "vfmacc.vf v8, %[a], v16\n\t"
        "bnez %[n], 1b\n\t"
        "vle32.v v16, (%[acc])\n\t"
        "vfadd.vv v16, v16, v8\n\t"
        "vse32.v v16, (%[acc])"
        : [w] "+&r"(w), [x] "+&r"(x), [n] "+&r"(n), [a] "=&f"(a)
        : [acc] "r"(acc), [rows] "r"(rows), [bytes] "r"(bytes)
        : "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23",
          "memory");
}

/* n > 0 columns of 32 halves as floats, as sn_halves_rvv. */
static SN_APART void sn_unpack_f16_rvv(float *f, const uint8_t *w, long n)
{
    const long rows = 32;
    const long bytes = 64;
    const long magnitude = 0x7fff;
    const long infinite = 0x7c00l << 13;
    const long exponent = 0x7f800000;
    const float up = 0x1p112f;

    __asm__ volatile(
        "1:\n\t"
        "vsetvli zero, %[bytes], e8, m4, ta, ma\n\t"
        "vle8.v v8, (%[w])\n\t"
        "vsetvli zero, %[rows], e32, m8, ta, mu\n\t"
        "vzext.vf2 v16, v8\n\t"
        "addi %[w], %[w], 64\n\t"
        "addi %[n], %[n], -1\n\t"
        "vand.vx v24, v16, %[magnitude]\n\t"
        "vsll.vi v24, v24, 13\n\t"
        "vmsgtu.vx v0, v24, %[infinite]\n\t"
        "vfmul.vf v24, v24, %[up]\n\t"
        "vor.vx v24, v24, %[exponent], v0.t\n\t"
        "vsrl.vi v16, v16, 15\n\t"
        "vsll.vi v16, v16, 31\n\t"
        "vor.vv v24, v24, v16\n\t"
        "vse32.v v24, (%[f])\n\t"
        "addi %[f], %[f], 128\n\t"
        "bnez %[n], 1b"
        : [f] "+&r"(f), [w] "+&r"(w), [n] "+&r"(n)
        : [rows] "r"(rows), [bytes] "r"(bytes), [magnitude] "r"(magnitude), [infinite] "r"(infinite - 1), [exponent] "r"(exponent),
          [up] "f"(up)
        : "v0", "v8", "v9", "v10", "v11", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27",
          "v28", "v29", "v30", "v31", "memory");
}

static SN_APART void sn_unpack_bf16_rvv(float *f, const uint8_t *w, long n)
{
    const long rows = 32;
    const long bytes = 64;

    __asm__ volatile(
        "1:\n\t"
        "vsetvli zero, %[bytes], e8, m4, ta, ma\n\t"
        "vle8.v v8, (%[w])\n\t"
        "vsetvli zero, %[rows], e32, m8, ta, ma\n\t"
        "vzext.vf2 v16, v8\n\t"
        "addi %[w], %[w], 64\n\t"
        "addi %[n], %[n], -1\n\t"
        "vsll.vi v16, v16, 16\n\t"
        "vse32.v v16, (%[f])\n\t"
        "addi %[f], %[f], 128\n\t"
        "bnez %[n], 1b"
        : [f] "+&r"(f), [w] "+&r"(w), [n] "+&r"(n)
        : [rows] "r"(rows), [bytes] "r"(bytes)
        : "v8", "v9", "v10", "v11", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "memory");
}

/* Weights of 16 bits, halves or bfloat16, with `tokens` rows of x: a group of columns becomes floats once. */
__attribute__((always_inline))
static inline void sn_dots_sixteen_rvv(float *acc, const uint8_t *w, const float *x, int x_stride, int n_in, const uint8_t *next,
                                       int bf16, int tokens)
{
    float f[SN_GROUP * SN_ROWS];

    sn_zero(acc, tokens * SN_ROWS);
    for (int c = 0; c < n_in; c += SN_GROUP, w += 64 * SN_GROUP) {
        const int n = sn_columns(n_in, c);

        next = sn_prefetch_on_rvv(next, 64 * n);
        if (bf16)
            sn_unpack_bf16_rvv(f, w, n);
        else
            sn_unpack_f16_rvv(f, w, n);
        for (int t = 0; t < tokens; t++)
            sn_add_columns_rvv(acc + SN_ROWS * t, (const uint8_t *)f, x + t * x_stride + c, n);
    }
}

SN_KERNEL(op=dot, layout=f16_r32k1, x=f32, tile=32x4, isa=rvv, features=v, order=groups_fma)
static SN_APART void sn_dot4_f16_r32k1_f32_rvv(float acc[4 * 32], const uint8_t *w, const float *x, int x_stride, int n_in,
                                               const uint8_t *next)
{
    sn_dots_sixteen_rvv(acc, w, x, x_stride, n_in, next, 0, 4);
}

SN_KERNEL(op=dot, layout=f16_r32k1, x=f32, tile=32x1, isa=rvv, features=v, order=groups_fma)
static SN_APART void sn_dot_f16_r32k1_f32_rvv(float acc[32], const uint8_t *w, const float *x, int n_in, const uint8_t *next)
{
    sn_dots_sixteen_rvv(acc, w, x, 0, n_in, next, 0, 1);
}

SN_KERNEL(op=dot, layout=bf16_r32k1, x=f32, tile=32x4, isa=rvv, features=v, order=groups_fma)
static SN_APART void sn_dot4_bf16_r32k1_f32_rvv(float acc[4 * 32], const uint8_t *w, const float *x, int x_stride, int n_in,
                                                const uint8_t *next)
{
    sn_dots_sixteen_rvv(acc, w, x, x_stride, n_in, next, 1, 4);
}

SN_KERNEL(op=dot, layout=bf16_r32k1, x=f32, tile=32x1, isa=rvv, features=v, order=groups_fma)
static SN_APART void sn_dot_bf16_r32k1_f32_rvv(float acc[32], const uint8_t *w, const float *x, int n_in, const uint8_t *next)
{
    sn_dots_sixteen_rvv(acc, w, x, 0, n_in, next, 1, 1);
}

SN_KERNEL(op=dot, layout=f32_r32k1, x=f32, tile=32x4, isa=rvv, features=v, order=groups_fma)
static SN_APART void sn_dot4_f32_r32k1_f32_rvv(float acc[4 * 32], const uint8_t *w, const float *x, int x_stride, int n_in,
                                               const uint8_t *next)
{
    sn_zero(acc, 4 * SN_ROWS);
    for (int c = 0; c < n_in; c += SN_GROUP, w += 128 * SN_GROUP) {
        const int n = sn_columns(n_in, c);

        next = sn_prefetch_on_rvv(next, 128 * n);
        for (int t = 0; t < 4; t++)
            sn_add_columns_rvv(acc + SN_ROWS * t, w, x + t * x_stride + c, n);
    }
}

SN_KERNEL(op=dot, layout=f32_r32k1, x=f32, tile=32x1, isa=rvv, features=v, order=groups_fma)
static SN_APART void sn_dot_f32_r32k1_f32_rvv(float acc[32], const uint8_t *w, const float *x, int n_in, const uint8_t *next)
{
    sn_zero(acc, SN_ROWS);
    for (int c = 0; c < n_in; c += SN_GROUP, w += 128 * SN_GROUP) {
        const int n = sn_columns(n_in, c);

        next = sn_prefetch_on_rvv(next, 128 * n);
        sn_add_columns_rvv(acc, w, x + c, n);
    }
}

/* ---- attention ------------------------------------------------------------------------------------------------------ */

/* Products of n > 0 entries in 16 sums, halves of them added to halves. */
static SN_APART float sn_sum_half_rvv(const float *q, const uint16_t *k, long n)
{
    const long magnitude = 0x7fff;
    const long infinite = 0x7c00l << 13;
    const long exponent = 0x7f800000;
    const float up = 0x1p112f;
    float sum;

    __asm__ volatile(
        "vsetivli zero, 16, e32, m4, ta, mu\n\t"
        "vmv.v.i v8, 0\n\t"
        "addi %[n], %[n], -16\n\t"
        "bltz %[n], 2f\n\t"
        "1:\n\t"
        "vle16.v v4, (%[k])\n\t"
        "vzext.vf2 v12, v4\n\t"
        "vand.vx v16, v12, %[magnitude]\n\t"
        "vsll.vi v16, v16, 13\n\t"
        "vmsgtu.vx v0, v16, %[infinite]\n\t"
        "vfmul.vf v16, v16, %[up]\n\t"
        "vor.vx v16, v16, %[exponent], v0.t\n\t"
        "vsrl.vi v12, v12, 15\n\t"
        "vsll.vi v12, v12, 31\n\t"
        "vor.vv v16, v16, v12\n\t"
        "vle32.v v12, (%[q])\n\t"
        "vfmacc.vv v8, v12, v16\n\t"
        "addi %[k], %[k], 32\n\t"
        "addi %[q], %[q], 64\n\t"
        "addi %[n], %[n], -16\n\t"
        "bgez %[n], 1b\n\t"
        "2:\n\t"
        "addi %[n], %[n], 16\n\t"
        "beqz %[n], 3f\n\t"
        "vsetvli zero, %[n], e32, m4, tu, mu\n\t"               /* the sums that get nothing stay */
        "vle16.v v4, (%[k])\n\t"
        "vzext.vf2 v12, v4\n\t"
        "vand.vx v16, v12, %[magnitude]\n\t"
        "vsll.vi v16, v16, 13\n\t"
        "vmsgtu.vx v0, v16, %[infinite]\n\t"
        "vfmul.vf v16, v16, %[up]\n\t"
        "vor.vx v16, v16, %[exponent], v0.t\n\t"
        "vsrl.vi v12, v12, 15\n\t"
        "vsll.vi v12, v12, 31\n\t"
        "vor.vv v16, v16, v12\n\t"
        "vle32.v v12, (%[q])\n\t"
        "vfmacc.vv v8, v12, v16\n\t"
        "vsetivli zero, 16, e32, m4, ta, mu\n\t"
        "3:\n\t"
        "vslidedown.vi v12, v8, 8\n\t"
        "vfadd.vv v8, v8, v12\n\t"
        "vslidedown.vi v12, v8, 4\n\t"
        "vfadd.vv v8, v8, v12\n\t"
        "vslidedown.vi v12, v8, 2\n\t"
        "vfadd.vv v8, v8, v12\n\t"
        "vslidedown.vi v12, v8, 1\n\t"
        "vfadd.vv v8, v8, v12\n\t"
        "vfmv.f.s %[sum], v8"
        : [q] "+&r"(q), [k] "+&r"(k), [n] "+&r"(n), [sum] "=&f"(sum)
        : [magnitude] "r"(magnitude), [infinite] "r"(infinite - 1), [exponent] "r"(exponent), [up] "f"(up)
        : "v0", "v4", "v5", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19", "memory");
    return sum;
}

/* Products of n > 0 entries in 16 sums, halves of them added to halves. */
static SN_APART float sn_sum_float_rvv(const float *q, const float *k, long n)
{
    float sum;

    __asm__ volatile(
        "vsetivli zero, 16, e32, m4, ta, mu\n\t"
        "vmv.v.i v8, 0\n\t"
        "addi %[n], %[n], -16\n\t"
        "bltz %[n], 2f\n\t"
        "1:\n\t"
        "vle32.v v16, (%[k])\n\t"
        "vle32.v v12, (%[q])\n\t"
        "vfmacc.vv v8, v12, v16\n\t"
        "addi %[k], %[k], 64\n\t"
        "addi %[q], %[q], 64\n\t"
        "addi %[n], %[n], -16\n\t"
        "bgez %[n], 1b\n\t"
        "2:\n\t"
        "addi %[n], %[n], 16\n\t"
        "beqz %[n], 3f\n\t"
        "vsetvli zero, %[n], e32, m4, tu, mu\n\t"               /* the sums that get nothing stay */
        "vle32.v v16, (%[k])\n\t"
        "vle32.v v12, (%[q])\n\t"
        "vfmacc.vv v8, v12, v16\n\t"
        "vsetivli zero, 16, e32, m4, ta, mu\n\t"
        "3:\n\t"
        "vslidedown.vi v12, v8, 8\n\t"
        "vfadd.vv v8, v8, v12\n\t"
        "vslidedown.vi v12, v8, 4\n\t"
        "vfadd.vv v8, v8, v12\n\t"
        "vslidedown.vi v12, v8, 2\n\t"
        "vfadd.vv v8, v8, v12\n\t"
        "vslidedown.vi v12, v8, 1\n\t"
        "vfadd.vv v8, v8, v12\n\t"
        "vfmv.f.s %[sum], v8"
        : [q] "+&r"(q), [k] "+&r"(k), [n] "+&r"(n), [sum] "=&f"(sum)
        :
        : "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19", "memory");
    return sum;
}

SN_KERNEL(op=score, kv=f16, isa=rvv, features=v, order=lanes16_fma)
static SN_APART void sn_score_f16_rvv(float *s, const float *q, const uint16_t *k, int stride, int n, int head_dim, float scale)
{
    for (int i = 0; i < n; i++, k += stride)
        s[i] = scale * sn_sum_half_rvv(q, k, head_dim);
}

SN_KERNEL(op=score, kv=f32, isa=rvv, features=v, order=lanes16_fma)
static SN_APART void sn_score_f32_rvv(float *s, const float *q, const float *k, int stride, int n, int head_dim, float scale)
{
    for (int i = 0; i < n; i++, k += stride)
        s[i] = scale * sn_sum_float_rvv(q, k, head_dim);
}

/* Some columns, as many as a vector has, of n > 0 positions `step` bytes apart; returns how many of `columns` they are. */
static SN_APART long sn_mix_halves_rvv(float *y, const float *p, const uint16_t *v, long step, long n, long columns)
{
    const long magnitude = 0x7fff;
    const long infinite = 0x7c00l << 13;
    const long exponent = 0x7f800000;
    const float up = 0x1p112f;
    float a;

    __asm__ volatile(
        "vsetvli %[columns], %[columns], e32, m8, ta, mu\n\t"
        "vle32.v v8, (%[y])\n\t"
        "1:\n\t"
        "vle16.v v16, (%[v])\n\t"
        "vzext.vf2 v24, v16\n\t"
        "flw %[a], (%[p])\n\t"
        "add %[v], %[v], %[step]\n\t"
        "addi %[p], %[p], 4\n\t"
        "addi %[n], %[n], -1\n\t"
        "vand.vx v16, v24, %[magnitude]\n\t"
        "vsll.vi v16, v16, 13\n\t"
        "vmsgtu.vx v0, v16, %[infinite]\n\t"
        "vfmul.vf v16, v16, %[up]\n\t"
        "vor.vx v16, v16, %[exponent], v0.t\n\t"
        "vsrl.vi v24, v24, 15\n\t"
        "vsll.vi v24, v24, 31\n\t"
        "vor.vv v16, v16, v24\n\t"
        "vfmacc.vf v8, %[a], v16\n\t"
        "bnez %[n], 1b\n\t"
        "vse32.v v8, (%[y])"
        : [p] "+&r"(p), [v] "+&r"(v), [n] "+&r"(n), [columns] "+&r"(columns), [a] "=&f"(a)
        : [y] "r"(y), [step] "r"(step), [magnitude] "r"(magnitude), [infinite] "r"(infinite - 1), [exponent] "r"(exponent),
          [up] "f"(up)
        : "v0", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23",
          "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31", "memory");
    return columns;
}

/* Some columns, as many as a vector has, of n > 0 positions `step` bytes apart; returns how many of `columns` they are. */
static SN_APART long sn_mix_floats_rvv(float *y, const float *p, const float *v, long step, long n, long columns)
{
    float a;

    __asm__ volatile(
        "vsetvli %[columns], %[columns], e32, m8, ta, mu\n\t"
        "vle32.v v8, (%[y])\n\t"
        "1:\n\t"
        "vle32.v v16, (%[v])\n\t"
        "flw %[a], (%[p])\n\t"
        "add %[v], %[v], %[step]\n\t"
        "addi %[p], %[p], 4\n\t"
        "addi %[n], %[n], -1\n\t"
        "vfmacc.vf v8, %[a], v16\n\t"
        "bnez %[n], 1b\n\t"
        "vse32.v v8, (%[y])"
        : [p] "+&r"(p), [v] "+&r"(v), [n] "+&r"(n), [columns] "+&r"(columns), [a] "=&f"(a)
        : [y] "r"(y), [step] "r"(step)
        : "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23",
          "memory");
    return columns;
}

SN_KERNEL(op=mix, kv=f16, isa=rvv, features=v, order=positions_fma)
static SN_APART void sn_mix_f16_rvv(float *y, const float *p, const uint16_t *v, int stride, int n, int head_dim)
{
    for (int d = 0; d < head_dim && n > 0;)
        d += (int)sn_mix_halves_rvv(y + d, p, v + d, 2 * (long)stride, n, head_dim - d);
}

SN_KERNEL(op=mix, kv=f32, isa=rvv, features=v, order=positions_fma)
static SN_APART void sn_mix_f32_rvv(float *y, const float *p, const float *v, int stride, int n, int head_dim)
{
    for (int d = 0; d < head_dim && n > 0;)
        d += (int)sn_mix_floats_rvv(y + d, p, v + d, 4 * (long)stride, n, head_dim - d);
}
