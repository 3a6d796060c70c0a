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

/* y may be a or b. */
SN_KERNEL(op=add, isa=mve, order=exact)
static SN_APART void sn_add_mve(const SnAdd *l, int8_t *y, const int8_t *a, const int8_t *b, int32_t n)
{
    int32x4_t lo = vdupq_n_s32(l->lo);
    int32x4_t hi = vdupq_n_s32(l->hi);

    for (int32_t i = 0; i < n; i += 4) {
        mve_pred16_t some = vctp32q((uint32_t)(n - i));
        int32x4_t v = vshlq_r_s32(vsubq_n_s32(vldrbq_z_s32(a + i, some), l->a_zero), l->left);
        int32x4_t w = vshlq_r_s32(vsubq_n_s32(vldrbq_z_s32(b + i, some), l->b_zero), l->left);

        v = vaddq_s32(sn_scale_mve(v, l->a_mult, l->a_shift), sn_scale_mve(w, l->b_mult, l->b_shift));
        v = vaddq_n_s32(sn_scale_mve(v, l->mult, l->shift), l->zero);
        vstrbq_p_s32(y + i, vminq_s32(vmaxq_s32(v, lo), hi), some);
    }
}
