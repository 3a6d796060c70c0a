/* Panels of 8-bit codes with sdot: contracts in portable/gemm.c.
 *
 * gemm: 8 rows x 8 tokens are 16 of the 32 registers; codes lose their 128 once for all eight tokens, and sdot takes a token's four
 * activations from a lane of the 16 that are loaded at a time. */
#include <arm_neon.h>
#include "../kernel.h"

/* A group's columns c .. c + group - 1 of 8 rows for `tokens` tokens, added to acc. */
__attribute__((always_inline))
static inline void sn_gemm_group_dotprod(float *acc, int acc_stride, const uint8_t *w, const float *d, const int8_t *x, int x_stride,
                                         int n_in, int c, int group, int tokens)
{
    const uint8x16_t middle = vdupq_n_u8(0x80);
    int32x4_t s[16];

    for (int i = 0; i < 2 * tokens; i++)
        s[i] = vdupq_n_s32(0);
    for (int k = c; k < c + group; k += 16, w += 16 * SN_ROWS) {
        int8x16_t v[2][4];

        for (int i = 0; i < 4; i++)
            for (int h = 0; h < 2; h++)
                v[h][i] = vreinterpretq_s8_u8(veorq_u8(vld1q_u8(w + 4 * SN_ROWS * i + 16 * h), middle));
        for (int t = 0; t < tokens; t++) {
            const int8x16_t q = vld1q_s8(x + (intptr_t)x_stride * t + k);

            s[2 * t] = sn_dot16_dotprod(s[2 * t], v[0], q);
            s[2 * t + 1] = sn_dot16_dotprod(s[2 * t + 1], v[1], q);
        }
    }
    for (int t = 0; t < tokens; t++) {
        const SnI8Scale *of_x = sn_i8_scales(x + (intptr_t)x_stride * t, n_in);

        for (int h = 0; h < 2; h++) {
            float *y = acc + (intptr_t)acc_stride * t + 4 * h;
            const float32x4_t scale = vmulq_n_f32(vld1q_f32(d + 4 * h), of_x[c / group].d);

            vst1q_f32(y, vaddq_f32(vld1q_f32(y), vmulq_f32(vcvtq_f32_s32(s[2 * t + h]), scale)));
        }
    }
}

SN_KERNEL(op=gemm, x=i8, tile=32x8, isa=dotprod, features=dotprod, order=groups)
static SN_APART void sn_gemm_i8_dotprod(float *acc, int acc_stride, const uint8_t *panel, const int8_t *x, int x_stride, int n_in,
                                        int group, int n)
{
    const float *d = sn_panel_scales(panel, n_in);

    for (int t = 0; t < n; t++)
        for (int r = 0; r < SN_ROWS; r += 4)
            vst1q_f32(acc + (intptr_t)acc_stride * t + r, vdupq_n_f32(0));
    for (int c = 0; c < n_in; c += group, panel += SN_ROWS * group, d += SN_ROWS)
        for (int r = 0; r < SN_ROWS; r += 8) {
            int t = 0;

            for (; t + 8 <= n; t += 8)
                sn_gemm_group_dotprod(acc + (intptr_t)acc_stride * t + r, acc_stride, panel + 4 * r, d + r, x + (intptr_t)x_stride * t,
                                      x_stride, n_in, c, group, 8);
            for (; t < n; t++)
                sn_gemm_group_dotprod(acc + (intptr_t)acc_stride * t + r, acc_stride, panel + 4 * r, d + r, x + (intptr_t)x_stride * t,
                                      x_stride, n_in, c, group, 1);
        }
}
