/* RISC-V vectors, rows of plain numbers: norm and quantization, with the bits of portable/row.c.
 *
 * Rules are rvv.c's.  Squares of floats are exact in doubles, so a fused multiply-add gives the same sums; the 16 sums are added
 * in order. */
#include "../kernel.h"

/* The sum of n > 0 squares, in 16 interleaved sums. */
static SN_APART double sn_squares_rvv(const float *x, long n)
{
    double sum;

    __asm__ volatile(
        "vsetivli zero, 16, e64, m8, ta, ma\n\t"
        "vmv.v.i v8, 0\n\t"
        "addi %[n], %[n], -16\n\t"
        "bltz %[n], 2f\n\t"
        "1:\n\t"
        "vsetivli zero, 16, e32, m4, ta, ma\n\t"
        "vle32.v v4, (%[x])\n\t"
        "addi %[x], %[x], 64\n\t"
        "addi %[n], %[n], -16\n\t"
        "vfwcvt.f.f.v v16, v4\n\t"
        "vsetivli zero, 16, e64, m8, ta, ma\n\t"
        "vfmacc.vv v8, v16, v16\n\t"
        "bgez %[n], 1b\n\t"
        "2:\n\t"
        "addi %[n], %[n], 16\n\t"
        "beqz %[n], 3f\n\t"
        "vsetvli zero, %[n], e32, m4, ta, ma\n\t"
        "vle32.v v4, (%[x])\n\t"
        "vfwcvt.f.f.v v16, v4\n\t"
        "vsetvli zero, %[n], e64, m8, tu, ma\n\t"               /* the sums that get nothing stay */
        "vfmacc.vv v8, v16, v16\n\t"
        "3:\n\t"
        "vsetivli zero, 16, e64, m8, ta, ma\n\t"
        "vmv.s.x v16, zero\n\t"
        "vfredosum.vs v16, v8, v16\n\t"
        "vfmv.f.s %[sum], v16"
        : [x] "+&r"(x), [n] "+&r"(n), [sum] "=&f"(sum)
        :
        : "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20",
          "v21", "v22", "v23", "memory");
    return sum;
}

SN_KERNEL(op=rmsnorm, x=f32, isa=rvv, features=v, order=lanes16)
static SN_APART void sn_rmsnorm_rvv(float *y, const float *x, const float *w, int n, float eps)
{
    const float r = (float)sn_rsqrt(sn_squares_rvv(x, n) / (double)n + (double)eps);
    long left = n;
    long now;

    __asm__ volatile(
        "1:\n\t"
        "vsetvli %[now], %[left], e32, m8, ta, ma\n\t"
        "vle32.v v8, (%[x])\n\t"
        "vle32.v v16, (%[w])\n\t"
        "sub %[left], %[left], %[now]\n\t"
        "slli %[now], %[now], 2\n\t"
        "vfmul.vf v8, v8, %[r]\n\t"
        "add %[x], %[x], %[now]\n\t"
        "add %[w], %[w], %[now]\n\t"
        "vfmul.vv v8, v8, v16\n\t"
        "vse32.v v8, (%[y])\n\t"
        "add %[y], %[y], %[now]\n\t"
        "bnez %[left], 1b"
        : [y] "+&r"(y), [x] "+&r"(x), [w] "+&r"(w), [left] "+&r"(left), [now] "=&r"(now)
        : [r] "f"(r)
        : "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23",
          "memory");
}

/* The largest of 32 absolute values, as bits. */
static SN_APART uint32_t sn_max32_rvv(const float *x)
{
    const long n = 32;
    const long magnitude = 0x7fffffff;
    long max;

    __asm__ volatile(
        "vsetvli zero, %[n], e32, m8, ta, ma\n\t"
        "vle32.v v8, (%[x])\n\t"
        "vmv.s.x v16, zero\n\t"
        "vand.vx v8, v8, %[magnitude]\n\t"
        "vredmaxu.vs v16, v8, v16\n\t"
        "vmv.x.s %[max], v16"
        : [max] "=r"(max)
        : [x] "r"(x), [n] "r"(n), [magnitude] "r"(magnitude)
        : "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16", "memory");
    return (uint32_t)max;
}

SN_KERNEL(op=quant, x=f32, isa=rvv, features=v, order=exact)
static SN_APART void sn_quant_q8_rvv(SnQ8 *y, const float *x)
{
    const float max = sn_float(sn_max32_rvv(x));
    const float inverse = max > 1e-30f ? 127.0f / max : 0.0f;
    const float round = 12582912.0f;                            /* 1.5 * 2^23: the integer is in the low bits */
    const long n = 32;
    long sum;

    __asm__ volatile(
        "vsetvli zero, %[n], e32, m8, ta, ma\n\t"
        "vle32.v v8, (%[x])\n\t"
        "vfmul.vf v8, v8, %[inverse]\n\t"
        "vfadd.vf v8, v8, %[round]\n\t"
        "vsetvli zero, %[n], e16, m4, ta, ma\n\t"
        "vnsrl.wi v16, v8, 0\n\t"
        "vsetvli zero, %[n], e8, m2, ta, ma\n\t"
        "vnsrl.wi v20, v16, 0\n\t"
        "vse8.v v20, (%[q])\n\t"
        "vmv.v.i v24, 0\n\t"
        "vwredsum.vs v26, v20, v24\n\t"
        "vsetivli zero, 1, e16, m1, ta, ma\n\t"
        "vmv.x.s %[sum], v26"
        : [sum] "=r"(sum)
        : [x] "r"(x), [q] "r"(y->q), [n] "r"(n), [inverse] "f"(inverse), [round] "f"(round)
        : "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v24", "v25",
          "v26", "memory");
    y->d = max / 127.0f;
    y->sum = (int32_t)sum;
    y->ds = y->d * (float)y->sum;
}
