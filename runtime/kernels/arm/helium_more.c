/* Helium: fully connected layers and additions.
 *
 *     weights rows4     [output / 4][K / 16][4][16], K up to a multiple of 16, zeros behind the last output and column
 *     bias              [outputs up to a multiple of 4] */
#include <arm_mve.h>
#include "../image.h"

/* v mult 2^-right rounded twice, halves away from zero in the second; right <= 0 here, as VRSHL wants it. */
static inline int32x4_t sn_scale_mve(int32x4_t v, int32_t mult, int32_t right)
{
    v = vqrdmulhq_n_s32(v, mult);
    v = vaddq_s32(v, vshrq_n_s32(vandq_s32(v, vdupq_n_s32(right)), 31));
    return vrshlq_n_s32(v, right);
}

/* Four outputs share what is read of x. */
SN_KERNEL(op=fully, layout=rows4, isa=mve, order=exact)
static SN_APART void sn_fully_rows4_mve(const SnFully *l, int8_t *y, const int8_t *x)
{
    const int8_t *w = (const int8_t *)l->weights;
    int32_t left = l->shift > 0 ? l->shift : 0;
    int32_t right = l->shift < 0 ? l->shift : 0;

    for (int32_t c = 0; c < l->n_out; c += 4) {
        int32_t a = 0;
        int32_t b = 0;
        int32_t e = 0;
        int32_t f = 0;
        int32x4_t v = vld1q_s32(l->bias + c);
        int32x4_t sum;

        for (int32_t k = 0; k < l->n_in; k += 16, w += 64) {
            int8x16_t in = vldrbq_z_s8(x + k, vctp8q((uint32_t)(l->n_in - k)));

            a = vmladavaq_s8(a, in, vldrbq_s8(w));
            b = vmladavaq_s8(b, in, vldrbq_s8(w + 16));
            e = vmladavaq_s8(e, in, vldrbq_s8(w + 32));
            f = vmladavaq_s8(f, in, vldrbq_s8(w + 48));
        }
        sum = (int32x4_t){ a, b, e, f };
        v = vaddq_s32(v, sum);
        v = vaddq_n_s32(sn_scale_mve(vshlq_r_s32(v, left), l->mult, right), l->zero);
        v = vminq_s32(vmaxq_s32(v, vdupq_n_s32(l->lo)), vdupq_n_s32(l->hi));
        vstrbq_p_s32(y + c, v, vctp32q((uint32_t)(l->n_out - c)));
    }
}

/* An addition, in the order in which the assembly loads it. */
typedef struct {
    const int8_t *a;            /* r0 */
    const int8_t *b;
    int8_t *y;
    int32_t a_off;              /* r3: -zero * 2^left */
    int32_t b_off;
    int32_t a_mult;
    int32_t b_mult;
    int32_t mult;
    int32_t a_shift;            /* r8 */
    int32_t b_shift;
    int32_t shift;
    int32_t a_ties;             /* r11: 1 where there is a shift */
    int32_t b_ties;
    int32_t n;                  /* lr */
    int32_t one;                /* 2^left */
    int32_t zero;
    int32_t lo;
    int32_t hi;
} SnAddMve;

/* Four numbers in 22 instructions.  q4: 2^left; q5: zero; q6, q7: limits; q3: shift, as a mask of whether there is one. */
__attribute__((naked, noinline, unused, aligned(4)))
static void sn_add_loop_mve(__attribute__((unused)) const SnAddMve *t)
{
    __asm__ volatile("push {r4-r11, lr}\n vpush {d8-d15}\n"
            "ldr r1, [r0, #56]\n vdup.32 q4, r1\n ldr r1, [r0, #60]\n vdup.32 q5, r1\n ldr r1, [r0, #64]\n vdup.32 q6, r1\n"
            "ldr r1, [r0, #68]\n vdup.32 q7, r1\n ldr r1, [r0, #40]\n vdup.32 q3, r1\n"
            "ldm.w r0, {r0-r12, lr}\n dlstp.32 lr, lr\n"
            "1: vldrb.s32 q0, [r0], #4\n vmlas.s32 q0, q4, r3\n vqrdmulh.s32 q0, q0, r5\n"
            "vshr.s32 q2, q0, #31\n vmla.s32 q0, q2, r11\n vrshl.s32 q0, r8\n"
            "vldrb.s32 q1, [r1], #4\n vmlas.s32 q1, q4, r4\n vqrdmulh.s32 q1, q1, r6\n"
            "vshr.s32 q2, q1, #31\n vmla.s32 q1, q2, r12\n vrshl.s32 q1, r9\n"
            "vadd.i32 q0, q0, q1\n vqrdmulh.s32 q0, q0, r7\n vand q2, q0, q3\n vshr.s32 q2, q2, #31\n vadd.i32 q0, q0, q2\n"
            "vrshl.s32 q0, r10\n vadd.i32 q0, q0, q5\n vmax.s32 q0, q0, q6\n vmin.s32 q0, q0, q7\n"
            "vstrb.32 q0, [r2], #4\n letp lr, 1b\n"
            "vpop {d8-d15}\n pop {r4-r11, pc}\n" : : : "memory");
}

/* y may be a or b. */
SN_KERNEL(op=add, in_place=1, isa=mve, order=exact)
static SN_APART void sn_add_mve(const SnAdd *l, int8_t *y, const int8_t *a, const int8_t *b, int32_t n)
{
    int32_t one = 1 << l->left;
    SnAddMve t = { a, b, y, -l->a_zero * one, -l->b_zero * one, l->a_mult, l->b_mult, l->mult, l->a_shift, l->b_shift, l->shift,
                   l->a_shift < 0, l->b_shift < 0, n, one, l->zero, l->lo, l->hi };

    sn_store_mve(&t);
    sn_add_loop_mve(&t);
}
