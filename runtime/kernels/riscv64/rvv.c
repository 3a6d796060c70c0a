/* RISC-V vectors (RVV 1.0, any vector length from 128 bits on): one lane per row.
 *
 * Layouts and results are those of portable/dot.c and attention.c, with fused multiply-adds.  A segment load of four parts
 * takes 16 rows x 4 columns of packed bytes apart: each register then has one column of 16 rows, and is multiplied with one
 * activation, a scalar, into 16 bits:
 *
 *     bytes  r0c0 r0c1 r0c2 r0c3 r1c0 ...  --vlseg4e8-->   v0 | r0c0 r1c0 .. r15c0 |   ..   v3 | r0c3 r1c3 .. r15c3 |
 *
 * 4-bit codes: 16 columns of a nibble fit in 16 bits, 16 * 15 * 127 = 30480, so low and high nibbles have a sum each.  8-bit
 * codes, less 128: two products fit (32512), then they go to 32 bits.
 *
 * Assembler, and not <riscv_vector.h>: the names in there begin with __riscv_ since clang 16 and gcc 13 only, and segment
 * loads have changed since.  Each piece sets its own vector type and leaves nothing in registers for the next: sums go
 * through memory once a block.  The pieces stay functions: a compiler takes each line of assembler for one instruction, and
 * would branch over repeated ones farther than a branch reaches.  No load asks for more alignment than its element has;
 * packed halves are loaded as bytes.  gcc before 13 knows no vector registers, and says so at the lists of what a piece
 * overwrites. */
#include "../kernel.h"

/* ---- a block's integer sums: s[32 t + r] for 32 rows of token t ---------------------------------------------------- */

/* One token, codes of 4 bits (unsigned). */
static SN_APART void sn_sum_i4_rvv(int32_t s[32], const uint8_t *w, const int8_t *q)
{
    const uint8_t *v = w + 256;                                 /* rows 16.. */
    int32_t *s_high = s + 16;
    long a, b;

    __asm__ volatile(
        "vsetivli zero, 16, e16, m2, ta, ma\n\t"
        "vmv.v.i v8, 0\n\t"
        "vmv.v.i v10, 0\n\t"
        "vmv.v.i v12, 0\n\t"
        "vmv.v.i v14, 0\n\t"
        "vsetivli zero, 16, e8, m1, ta, ma\n\t"
        ".irp i, 0, 1, 2, 3\n\t"
        "vlseg4e8.v v0, (%[w])\n\t"
        "vlseg4e8.v v20, (%[v])\n\t"
        "addi %[w], %[w], 64\n\t"
        "addi %[v], %[v], 64\n\t"
        ".irp c, 0, 1, 2, 3\n\t"
        "lb %[a], 4*\\i+\\c(%[q])\n\t"                          /* columns 4i + c and 16 + 4i + c */
        "lb %[b], 16+4*\\i+\\c(%[q])\n\t"
        "vand.vi v16, v\\c, 15\n\t"
        "vsrl.vi v17, v\\c, 4\n\t"
        "vand.vi v18, v2\\c, 15\n\t"
        "vsrl.vi v19, v2\\c, 4\n\t"
        "vwmaccsu.vx v8, %[a], v16\n\t"
        "vwmaccsu.vx v10, %[b], v17\n\t"
        "vwmaccsu.vx v12, %[a], v18\n\t"
        "vwmaccsu.vx v14, %[b], v19\n\t"
        ".endr\n\t"
        ".endr\n\t"
        "vsetivli zero, 16, e16, m2, ta, ma\n\t"
        "vwadd.vv v24, v8, v10\n\t"
        "vwadd.vv v28, v12, v14\n\t"
        "vsetivli zero, 16, e32, m4, ta, ma\n\t"
        "vse32.v v24, (%[s])\n\t"
        "vse32.v v28, (%[u])"
        : [w] "+&r"(w), [v] "+&r"(v), [a] "=&r"(a), [b] "=&r"(b)
        : [q] "r"(q), [s] "r"(s), [u] "r"(s_high)
        : "v0", "v1", "v2", "v3", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20",
          "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31", "memory");
}

/* Four tokens and 16 rows of 4-bit codes: low nibbles in v8..15, high ones in v16..23, two registers a token. */
static SN_APART void sn_sum4_i4_rvv(int32_t *s, const uint8_t *w, const SnQ8 *x, int x_stride)
{
    const int8_t *q1 = x[x_stride].q;
    const int8_t *q2 = x[2 * x_stride].q;
    const int8_t *q3 = x[3 * x_stride].q;
    long a;

    __asm__ volatile(
        "vsetvli %[a], zero, e16, m8, ta, ma\n\t"
        "vmv.v.i v8, 0\n\t"
        "vmv.v.i v16, 0\n\t"
        "vsetivli zero, 16, e8, m1, ta, ma\n\t"
        ".irp i, 0, 1, 2, 3\n\t"
        "vlseg4e8.v v0, (%[w])\n\t"
        "addi %[w], %[w], 64\n\t"
        ".irp c, 0, 1, 2, 3\n\t"
        "vand.vi v4, v\\c, 15\n\t"
        "vsrl.vi v5, v\\c, 4\n\t"
        "lb %[a], 4*\\i+\\c(%[q0])\n\t"
        "vwmaccsu.vx v8, %[a], v4\n\t"
        "lb %[a], 16+4*\\i+\\c(%[q0])\n\t"
        "vwmaccsu.vx v16, %[a], v5\n\t"
        "lb %[a], 4*\\i+\\c(%[q1])\n\t"
        "vwmaccsu.vx v10, %[a], v4\n\t"
        "lb %[a], 16+4*\\i+\\c(%[q1])\n\t"
        "vwmaccsu.vx v18, %[a], v5\n\t"
        "lb %[a], 4*\\i+\\c(%[q2])\n\t"
        "vwmaccsu.vx v12, %[a], v4\n\t"
        "lb %[a], 16+4*\\i+\\c(%[q2])\n\t"
        "vwmaccsu.vx v20, %[a], v5\n\t"
        "lb %[a], 4*\\i+\\c(%[q3])\n\t"
        "vwmaccsu.vx v14, %[a], v4\n\t"
        "lb %[a], 16+4*\\i+\\c(%[q3])\n\t"
        "vwmaccsu.vx v22, %[a], v5\n\t"
        ".endr\n\t"
        ".endr\n\t"
        "vsetivli zero, 16, e16, m2, ta, ma\n\t"
        "vwadd.vv v24, v8, v16\n\t"
        "vwadd.vv v28, v10, v18\n\t"
        "vwadd.vv v0, v12, v20\n\t"
        "vwadd.vv v4, v14, v22\n\t"
        "vsetivli zero, 16, e32, m4, ta, ma\n\t"
        "vse32.v v24, (%[s])\n\t"
        "addi %[s], %[s], 128\n\t"
        "vse32.v v28, (%[s])\n\t"
        "addi %[s], %[s], 128\n\t"
        "vse32.v v0, (%[s])\n\t"
        "addi %[s], %[s], 128\n\t"
        "vse32.v v4, (%[s])"
        : [w] "+&r"(w), [s] "+&r"(s), [a] "=&r"(a)
        : [q0] "r"(x->q), [q1] "r"(q1), [q2] "r"(q2), [q3] "r"(q3)
        : "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16", "v17",
          "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31", "memory");
}

/* One token, codes of 8 bits, less 128. */
static SN_APART void sn_sum_i8_rvv(int32_t s[32], const uint8_t *w, const int8_t *q)
{
    const uint8_t *v = w + 512;
    int32_t *s_high = s + 16;
    long a, b, middle = -128;

    __asm__ volatile(
        "vsetvli %[a], zero, e32, m8, ta, ma\n\t"
        "vmv.v.i v8, 0\n\t"                                     /* v8..11 rows 0.., v12..15 rows 16.. */
        "vsetivli zero, 16, e8, m1, ta, ma\n\t"
        ".irp i, 0, 4, 8, 12, 16, 20, 24, 28\n\t"
        "vlseg4e8.v v0, (%[w])\n\t"
        "vlseg4e8.v v20, (%[v])\n\t"
        "addi %[w], %[w], 64\n\t"
        "addi %[v], %[v], 64\n\t"
        ".irp c, 0, 1, 2, 3\n\t"
        "vxor.vx v\\c, v\\c, %[m]\n\t"
        "vxor.vx v2\\c, v2\\c, %[m]\n\t"
        ".endr\n\t"
        "lb %[a], \\i(%[q])\n\t"
        "lb %[b], \\i+1(%[q])\n\t"
        "vwmul.vx v16, v0, %[a]\n\t"
        "vwmul.vx v24, v20, %[a]\n\t"
        "lb %[a], \\i+2(%[q])\n\t"
        "vwmacc.vx v16, %[b], v1\n\t"
        "vwmacc.vx v24, %[b], v21\n\t"
        "lb %[b], \\i+3(%[q])\n\t"
        "vwmul.vx v18, v2, %[a]\n\t"
        "vwmul.vx v26, v22, %[a]\n\t"
        "vwmacc.vx v18, %[b], v3\n\t"
        "vwmacc.vx v26, %[b], v23\n\t"
        "vsetivli zero, 16, e16, m2, ta, ma\n\t"
        "vwadd.wv v8, v8, v16\n\t"
        "vwadd.wv v12, v12, v24\n\t"
        "vwadd.wv v8, v8, v18\n\t"
        "vwadd.wv v12, v12, v26\n\t"
        "vsetivli zero, 16, e8, m1, ta, ma\n\t"
        ".endr\n\t"
        "vsetivli zero, 16, e32, m4, ta, ma\n\t"
        "vse32.v v8, (%[s])\n\t"
        "vse32.v v12, (%[u])"
        : [w] "+&r"(w), [v] "+&r"(v), [a] "=&r"(a), [b] "=&r"(b)
        : [q] "r"(q), [s] "r"(s), [u] "r"(s_high), [m] "r"(middle)
        : "v0", "v1", "v2", "v3", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20",
          "v21", "v22", "v23", "v24", "v25", "v26", "v27", "memory");
}

/* Four tokens and 16 rows of 8-bit codes: sums in v8..23, four registers a token. */
static SN_APART void sn_sum4_i8_rvv(int32_t *s, const uint8_t *w, const SnQ8 *x, int x_stride)
{
    const int8_t *q1 = x[x_stride].q;
    const int8_t *q2 = x[2 * x_stride].q;
    const int8_t *q3 = x[3 * x_stride].q;
    long a, b, middle = -128;

    __asm__ volatile(
        "vsetvli %[a], zero, e32, m8, ta, ma\n\t"
        "vmv.v.i v8, 0\n\t"
        "vmv.v.i v16, 0\n\t"
        "vsetivli zero, 16, e8, m1, ta, ma\n\t"
        ".irp i, 0, 4, 8, 12, 16, 20, 24, 28\n\t"
        "vlseg4e8.v v0, (%[w])\n\t"
        "addi %[w], %[w], 64\n\t"
        ".irp c, 0, 1, 2, 3\n\t"
        "vxor.vx v\\c, v\\c, %[m]\n\t"
        ".endr\n\t"
        "lb %[a], \\i+0(%[q0])\n\t"
        "lb %[b], \\i+1(%[q0])\n\t"
        "vwmul.vx v24, v0, %[a]\n\t"
        "vwmacc.vx v24, %[b], v1\n\t"
        "lb %[a], \\i+0(%[q1])\n\t"
        "lb %[b], \\i+1(%[q1])\n\t"
        "vwmul.vx v26, v0, %[a]\n\t"
        "vwmacc.vx v26, %[b], v1\n\t"
        "lb %[a], \\i+0(%[q2])\n\t"
        "lb %[b], \\i+1(%[q2])\n\t"
        "vwmul.vx v28, v0, %[a]\n\t"
        "vwmacc.vx v28, %[b], v1\n\t"
        "lb %[a], \\i+0(%[q3])\n\t"
        "lb %[b], \\i+1(%[q3])\n\t"
        "vwmul.vx v30, v0, %[a]\n\t"
        "vwmacc.vx v30, %[b], v1\n\t"
        "vsetivli zero, 16, e16, m2, ta, ma\n\t"
        "vwadd.wv v8, v8, v24\n\t"
        "vwadd.wv v12, v12, v26\n\t"
        "vwadd.wv v16, v16, v28\n\t"
        "vwadd.wv v20, v20, v30\n\t"
        "vsetivli zero, 16, e8, m1, ta, ma\n\t"
        "lb %[a], \\i+2(%[q0])\n\t"
        "lb %[b], \\i+3(%[q0])\n\t"
        "vwmul.vx v24, v2, %[a]\n\t"
        "vwmacc.vx v24, %[b], v3\n\t"
        "lb %[a], \\i+2(%[q1])\n\t"
        "lb %[b], \\i+3(%[q1])\n\t"
        "vwmul.vx v26, v2, %[a]\n\t"
        "vwmacc.vx v26, %[b], v3\n\t"
        "lb %[a], \\i+2(%[q2])\n\t"
        "lb %[b], \\i+3(%[q2])\n\t"
        "vwmul.vx v28, v2, %[a]\n\t"
        "vwmacc.vx v28, %[b], v3\n\t"
        "lb %[a], \\i+2(%[q3])\n\t"
        "lb %[b], \\i+3(%[q3])\n\t"
        "vwmul.vx v30, v2, %[a]\n\t"
        "vwmacc.vx v30, %[b], v3\n\t"
        "vsetivli zero, 16, e16, m2, ta, ma\n\t"
        "vwadd.wv v8, v8, v24\n\t"
        "vwadd.wv v12, v12, v26\n\t"
        "vwadd.wv v16, v16, v28\n\t"
        "vwadd.wv v20, v20, v30\n\t"
        "vsetivli zero, 16, e8, m1, ta, ma\n\t"
        ".endr\n\t"
        "vsetivli zero, 16, e32, m4, ta, ma\n\t"
        "vse32.v v8, (%[s])\n\t"
        "addi %[s], %[s], 128\n\t"
        "vse32.v v12, (%[s])\n\t"
        "addi %[s], %[s], 128\n\t"
        "vse32.v v16, (%[s])\n\t"
        "addi %[s], %[s], 128\n\t"
        "vse32.v v20, (%[s])"
        : [w] "+&r"(w), [s] "+&r"(s), [a] "=&r"(a), [b] "=&r"(b)
        : [q0] "r"(x->q), [q1] "r"(q1), [q2] "r"(q2), [q3] "r"(q3), [m] "r"(middle)
        : "v0", "v1", "v2", "v3", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31", "memory");
}

/* ---- scales --------------------------------------------------------------------------------------------------------- */

/* 32 halves at p, which may lie anywhere, as floats.  Not every vector unit converts halves: exponent and mantissa are moved
 * to a float's places and multiplied by 2^112, which normalizes subnormal halves, too; what was infinite or NaN is made so. */
static SN_APART void sn_halves_rvv(float d[32], const uint8_t *p)
{
    const long n = 32;
    const long n_bytes = 64;
    const long magnitude = 0x7fff;
    const long infinite = 0x7c00l << 13;
    const long exponent = 0x7f800000;
    const float up = 0x1p112f;

    __asm__ volatile(
        "vsetvli zero, %[bytes], e8, m4, ta, ma\n\t"
        "vle8.v v8, (%[p])\n\t"
        "vsetvli zero, %[n], e32, m8, ta, mu\n\t"             /* mu: lanes without v0 keep what they have */
        "vzext.vf2 v16, v8\n\t"
        "vand.vx v24, v16, %[magnitude]\n\t"
        "vsll.vi v24, v24, 13\n\t"
        "vmsgtu.vx v0, v24, %[infinite]\n\t"
        "vfmul.vf v24, v24, %[up]\n\t"
        "vor.vx v24, v24, %[exponent], v0.t\n\t"
        "vsrl.vi v16, v16, 15\n\t"
        "vsll.vi v16, v16, 31\n\t"
        "vor.vv v24, v24, v16\n\t"
        "vse32.v v24, (%[d])"
        :
        : [p] "r"(p), [d] "r"(d), [n] "r"(n), [bytes] "r"(n_bytes), [magnitude] "r"(magnitude), [infinite] "r"(infinite - 1),
          [exponent] "r"(exponent), [up] "f"(up)
        : "v0", "v8", "v9", "v10", "v11", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27",
          "v28", "v29", "v30", "v31", "memory");
}

/* acc += (the integer sums + offset) times d and the activations' scale, 32 rows. */
static SN_APART void sn_scale_rvv(float acc[32], const int32_t s[32], long offset, const float d[32], float scale)
{
    const long n = 32;

    __asm__ volatile(
        "vsetvli zero, %[n], e32, m8, ta, ma\n\t"
        "vle32.v v8, (%[d])\n\t"
        "vle32.v v16, (%[s])\n\t"
        "vle32.v v24, (%[acc])\n\t"
        "vfmul.vf v8, v8, %[scale]\n\t"
        "vadd.vx v16, v16, %[offset]\n\t"
        "vfcvt.f.x.v v16, v16\n\t"
        "vfmacc.vv v24, v16, v8\n\t"
        "vse32.v v24, (%[acc])"
        :
        : [acc] "r"(acc), [s] "r"(s), [d] "r"(d), [n] "r"(n), [offset] "r"(offset), [scale] "f"(scale)
        : "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24",
          "v25", "v26", "v27", "v28", "v29", "v30", "v31", "memory");
}

/* acc += a * v, 32 rows. */
static SN_APART void sn_add_scaled_rvv(float acc[32], const float v[32], float a)
{
    const long n = 32;

    __asm__ volatile(
        "vsetvli zero, %[n], e32, m8, ta, ma\n\t"
        "vle32.v v8, (%[v])\n\t"
        "vle32.v v16, (%[acc])\n\t"
        "vfmacc.vf v16, %[a], v8\n\t"
        "vse32.v v16, (%[acc])"
        :
        : [acc] "r"(acc), [v] "r"(v), [n] "r"(n), [a] "f"(a)
        : "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23",
          "memory");
}

/* y[r] = v[r] * s[r], 32 scales of a block times those of a group. */
static SN_APART void sn_subscales_rvv(float y[32], const float v[32], const uint8_t *s)
{
    const long n = 32;

    __asm__ volatile(
        "vsetvli zero, %[n], e32, m8, ta, ma\n\t"
        "vle8.v v8, (%[s])\n\t"
        "vle32.v v24, (%[v])\n\t"
        "vzext.vf4 v16, v8\n\t"
        "vfcvt.f.xu.v v16, v16\n\t"
        "vfmul.vv v16, v24, v16\n\t"
        "vse32.v v16, (%[y])"
        :
        : [y] "r"(y), [v] "r"(v), [s] "r"(s), [n] "r"(n)
        : "v8", "v9", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30",
          "v31", "memory");
}

/* ---- the kernels: 8-bit activations --------------------------------------------------------------------------------- */

SN_KERNEL(op=dot, layout=i8g32_r32k4, x=q8, tile=32x4, isa=rvv, features=v, order=groups_fma)
static SN_APART void sn_dot4_i8g32_r32k4_q8_rvv(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                                const uint8_t *next)
{
    int32_t s[4 * 32];
    float d[32];

    sn_zero(acc, 4 * SN_ROWS);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I8_BLOCK) {
        if (next) {
            sn_prefetch(next, SN_I8_BLOCK);
            next += SN_I8_BLOCK;
        }
        sn_sum4_i8_rvv(s, w, x + b, x_stride);
        sn_sum4_i8_rvv(s + 16, w + 512, x + b, x_stride);
        sn_halves_rvv(d, w + 1024);
        for (int t = 0; t < 4; t++)
            sn_scale_rvv(acc + 32 * t, s + 32 * t, 0, d, x[t * x_stride + b].d);
    }
}

SN_KERNEL(op=dot, layout=i8g32_r32k4, x=q8, tile=32x1, isa=rvv, features=v, order=groups_fma)
static SN_APART void sn_dot_i8g32_r32k4_q8_rvv(float acc[32], const uint8_t *w, const SnQ8 *x, int n_in, const uint8_t *next)
{
    int32_t s[32];
    float d[32];

    sn_zero(acc, SN_ROWS);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I8_BLOCK) {
        if (next) {
            sn_prefetch(next, SN_I8_BLOCK);
            next += SN_I8_BLOCK;
        }
        sn_sum_i8_rvv(s, w, x[b].q);
        sn_halves_rvv(d, w + 1024);
        sn_scale_rvv(acc, s, 0, d, x[b].d);
    }
}

SN_KERNEL(op=dot, layout=i4g32_r32k4, x=q8, tile=32x4, isa=rvv, features=v, order=groups_fma)
static SN_APART void sn_dot4_i4g32_r32k4_q8_rvv(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                                const uint8_t *next)
{
    int32_t s[4 * 32];
    float d[32];

    sn_zero(acc, 4 * SN_ROWS);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I4_BLOCK) {
        if (next) {
            sn_prefetch(next, SN_I4_BLOCK);
            next += SN_I4_BLOCK;
        }
        sn_sum4_i4_rvv(s, w, x + b, x_stride);
        sn_sum4_i4_rvv(s + 16, w + 256, x + b, x_stride);
        sn_halves_rvv(d, w + 512);
        for (int t = 0; t < 4; t++)                             /* w = d * (code - 8) */
            sn_scale_rvv(acc + 32 * t, s + 32 * t, -8 * x[t * x_stride + b].sum, d, x[t * x_stride + b].d);
    }
}

SN_KERNEL(op=dot, layout=i4g32_r32k4, x=q8, tile=32x1, isa=rvv, features=v, order=groups_fma)
static SN_APART void sn_dot_i4g32_r32k4_q8_rvv(float acc[32], const uint8_t *w, const SnQ8 *x, int n_in, const uint8_t *next)
{
    int32_t s[32];
    float d[32];

    sn_zero(acc, SN_ROWS);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I4_BLOCK) {
        if (next) {
            sn_prefetch(next, SN_I4_BLOCK);
            next += SN_I4_BLOCK;
        }
        sn_sum_i4_rvv(s, w, x[b].q);
        sn_halves_rvv(d, w + 512);
        sn_scale_rvv(acc, s, -8 * x[b].sum, d, x[b].d);
    }
}

SN_KERNEL(op=dot, layout=i4g32m_r32k4, x=q8, tile=32x4, isa=rvv, features=v, order=groups_fma)
static SN_APART void sn_dot4_i4g32m_r32k4_q8_rvv(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                                 const uint8_t *next)
{
    int32_t s[4 * 32];
    float d[32];
    float m[32];

    sn_zero(acc, 4 * SN_ROWS);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I4M_BLOCK) {
        if (next) {
            sn_prefetch(next, SN_I4M_BLOCK);
            next += SN_I4M_BLOCK;
        }
        sn_sum4_i4_rvv(s, w, x + b, x_stride);
        sn_sum4_i4_rvv(s + 16, w + 256, x + b, x_stride);
        sn_halves_rvv(d, w + 512);
        sn_halves_rvv(m, w + 576);
        for (int t = 0; t < 4; t++) {
            sn_scale_rvv(acc + 32 * t, s + 32 * t, 0, d, x[t * x_stride + b].d);
            sn_add_scaled_rvv(acc + 32 * t, m, x[t * x_stride + b].ds);
        }
    }
}

SN_KERNEL(op=dot, layout=i4g32m_r32k4, x=q8, tile=32x1, isa=rvv, features=v, order=groups_fma)
static SN_APART void sn_dot_i4g32m_r32k4_q8_rvv(float acc[32], const uint8_t *w, const SnQ8 *x, int n_in, const uint8_t *next)
{
    int32_t s[32];
    float d[32];
    float m[32];

    sn_zero(acc, SN_ROWS);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I4M_BLOCK) {
        if (next) {
            sn_prefetch(next, SN_I4M_BLOCK);
            next += SN_I4M_BLOCK;
        }
        sn_sum_i4_rvv(s, w, x[b].q);
        sn_halves_rvv(d, w + 512);
        sn_halves_rvv(m, w + 576);
        sn_scale_rvv(acc, s, 0, d, x[b].d);
        sn_add_scaled_rvv(acc, m, x[b].ds);
    }
}

/* ---- scales of two levels: see portable/dot_planes.c ----------------------------------------------------------------- */

SN_KERNEL(op=dot, layout=i4g32ms_r32k4, x=q8, tile=32x4, isa=rvv, features=v, order=groups_fma)
static inline void sn_dot4_i4g32ms_r32k4_q8_rvv(float acc[4 * 32], const uint8_t *w, const SnQ8 *x, int x_stride, int n_in,
                                                const uint8_t *next)
{
    int32_t s[4 * 32];
    float d[32];
    float m[32];
    float ds[32];
    float mt[32];

    sn_zero(acc, 4 * SN_ROWS);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I4MS_SPAN) {
        if (b % SN_SPANS == 0) {
            sn_halves_rvv(d, w);
            sn_halves_rvv(m, w + 64);
            w += 128;
        }
        if (next) {
            sn_prefetch(next, SN_I4MS_SPAN);
            next += SN_I4MS_SPAN;
        }
        sn_sum4_i4_rvv(s, w, x + b, x_stride);
        sn_sum4_i4_rvv(s + 16, w + 256, x + b, x_stride);
        sn_subscales_rvv(ds, d, w + 512);
        sn_subscales_rvv(mt, m, w + 544);
        for (int t = 0; t < 4; t++) {
            sn_scale_rvv(acc + 32 * t, s + 32 * t, 0, ds, x[t * x_stride + b].d);
            sn_add_scaled_rvv(acc + 32 * t, mt, x[t * x_stride + b].ds);
        }
    }
}

SN_KERNEL(op=dot, layout=i4g32ms_r32k4, x=q8, tile=32x1, isa=rvv, features=v, order=groups_fma)
static inline void sn_dot_i4g32ms_r32k4_q8_rvv(float acc[32], const uint8_t *w, const SnQ8 *x, int n_in, const uint8_t *next)
{
    int32_t s[32];
    float d[32];
    float m[32];
    float ds[32];
    float mt[32];

    sn_zero(acc, SN_ROWS);
    for (int b = 0; b < n_in / SN_GROUP; b++, w += SN_I4MS_SPAN) {
        if (b % SN_SPANS == 0) {
            sn_halves_rvv(d, w);
            sn_halves_rvv(m, w + 64);
            w += 128;
        }
        if (next) {
            sn_prefetch(next, SN_I4MS_SPAN);
            next += SN_I4MS_SPAN;
        }
        sn_sum_i4_rvv(s, w, x[b].q);
        sn_subscales_rvv(ds, d, w + 512);
        sn_subscales_rvv(mt, m, w + 544);
        sn_scale_rvv(acc, s, 0, ds, x[b].d);
        sn_add_scaled_rvv(acc, mt, x[b].ds);
    }
}
