/* Helium: depthwise convolutions on narrow images, whose whole window is 16 bytes of a plane.
 *
 * Eight channels of a few rows are turned into planes first, with a zero point behind each row, which is also the one before the next, and with rows of
 * zero points where the window leaves the image:
 *
 *     . x x x x x . x x x x x . x x x x x .       rows of 5: a window of 3 x 3 begins anywhere and is 2 * 6 + 3 = 15 bytes long
 *
 * so one load takes it all, and one VMLADAV sums it: 2 instructions for 9 products.  What is computed where rows meet is not stored.
 *
 *     weights narrow16   [channel][tap], spread over 16 bytes when they are loaded
 *     channels           [channel] of two words: mult, and bias * 256 + (shift & 255)
 *
 * Results below zero are clamped away (zero == lo == -128), so VRSHL's way with halves is gemmlowp's. */
#include <arm_mve.h>
#include "../image.h"

enum {
    SN_NARROW_AT = 24,          /* places of windows in a plane, outputs and what lies between rows */
    SN_NARROW_PLANE = 48        /* bytes of a plane: so many places and 15 that are read behind the last, to a multiple of 16 */
};

/* Up to eight planes, in the order in which the assembly looks for it. */
typedef struct {
    const int8_t *x;            /* 0: first plane; SN_NARROW_PLANE bytes each */
    const int8_t *w;            /* 4 */
    int32_t n_taps;             /* 8 */
    const uint8_t *index;       /* 12: which tap goes where in the 16 bytes */
    uint32_t mask;              /* 16: where there is one */
    int32_t n;                  /* 20: eights of places */
    const int16_t *off;         /* 24: of each place, where its output lies behind y, in the order 0, 4, 1, 5, 2, 6, 3, 7; -1: nowhere */
    int32_t zero;               /* 28 */
    int32_t step;               /* 32: from one channel's outputs to the next */
    int32_t channels;           /* 36 */
    int8_t *y;                  /* 40 */
    const int32_t *q;           /* 44: constants */
} SnNarrowMve;

/* r11 t, r1 x, r3 eights, r5 offsets, r7 y, r9 constants; even registers are sums.  q4 index, q5 weights. */
__attribute__((naked, noinline, unused, aligned(4)))
static void sn_narrow_planes_mve(__attribute__((unused)) SnNarrowMve *t)
{
    __asm__ volatile("push {r4-r11, lr}\n vpush {d8-d11}\n mov r11, r0\n"
            "ldr r0, [r11, #12]\n vldrb.u8 q4, [r0]\n ldr r7, [r11, #40]\n ldr r9, [r11, #44]\n"
            "1: ldr r0, [r11, #16]\n vmsr p0, r0\n ldrd r0, r2, [r11, #4]\n vpst\n vldrbt.u8 q5, [r0, q4]\n add r0, r0, r2\n str r0, [r11, #4]\n"
            "ldr r1, [r11]\n add r0, r1, #48\n str r0, [r11]\n ldr r3, [r11, #20]\n ldr r5, [r11, #24]\n"
            "2: vldrb.u8 q0, [r1], #1\n vmladav.s8 r0, q0, q5\n vldrb.u8 q1, [r1], #1\n vmladav.s8 r2, q1, q5\n"
            "vldrb.u8 q2, [r1], #1\n vmladav.s8 r4, q2, q5\n vldrb.u8 q3, [r1], #1\n vmladav.s8 r6, q3, q5\n"
            "vldrb.u8 q0, [r1], #1\n vmladav.s8 r8, q0, q5\n vldrb.u8 q1, [r1], #1\n vmladav.s8 r10, q1, q5\n"
            "vldrb.u8 q2, [r1], #1\n vmladav.s8 r12, q2, q5\n vldrb.u8 q3, [r1], #1\n vmladav.s8 lr, q3, q5\n"
            "vmov q0[2], q0[0], r0, r4\n vmov q0[3], q0[1], r2, r6\n vmov q1[2], q1[0], r8, r12\n vmov q1[3], q1[1], r10, lr\n"
            "ldrd r0, r2, [r9]\n asr r4, r2, #8\n vadd.i32 q0, q0, r4\n vadd.i32 q1, q1, r4\n"
            "vqrdmulh.s32 q0, q0, r0\n vqrdmulh.s32 q1, q1, r0\n vrshl.s32 q0, r2\n vrshl.s32 q1, r2\n"
            "vqmovnb.s32 q0, q0\n vqmovnt.s32 q0, q1\n ldr r4, [r11, #28]\n vqadd.s16 q0, q0, r4\n vqmovnb.s16 q0, q0\n"
            "vldrh.u16 q3, [r5], #16\n vpt.s16 ge, q3, zr\n vstrbt.16 q0, [r7, q3]\n"
            "subs.w r3, r3, #1\n bne.w 2b\n"
            "ldrd r0, r2, [r11, #32]\n add r9, r9, #8\n add r7, r7, r0\n subs.w r2, r2, #1\n str r2, [r11, #36]\n bne.w 1b\n"
            "vpop {d8-d11}\n pop {r4-r11, pc}\n" : : : "memory");
}

/* n columns of a row, eight channels. */
__attribute__((always_inline))
static inline void sn_turn_row_mve(int8_t *d, const int8_t *x, int32_t n, int32_t col, uint16x8_t at)
{
    for (; n > 0; n--, x += col)
        vstrbq_scatter_offset_s16(d++, at, vldrbq_s16(x));
}

/* Rows `top` .. top+rows-1 of eight channels as planes of `pitch` bytes a row, one more than the image is wide; what lies outside stays. */
static SN_APART void sn_turn_mve(const SnWindow *l, int8_t *plane, const int8_t *x, int32_t top, int32_t rows, int32_t pitch)
{
    uint16x8_t at = vmulq_n_u16(vidupq_n_u16(0, 1), SN_NARROW_PLANE);
    int32_t n = l->in_w;
    int32_t row = l->in_row;
    int32_t col = l->in_col;
    int32_t outside = top < 0 ? -top : 0;

    rows = top + rows > l->in_h ? l->in_h - top : rows;
    plane += 1 + outside * pitch;
    x += (top + outside) * row;
    for (rows -= outside; rows > 0; rows--, plane += pitch, x += row)
        sn_turn_row_mve(plane, x, n, col, at);
}

/* Rows row .. row+n-1.  y: their outputs' place; in a panel, where the first position is number q (else -1). */
static SN_APART void sn_narrow_mve(const SnWindow *l, int8_t *y, const int8_t *x, int32_t row, int32_t n, int32_t q)
{
    int8_t plane[8 * SN_NARROW_PLANE];
    int16_t off[SN_NARROW_AT];
    uint8_t index[16] = { 0 };
    uint32_t mask = 0;
    int32_t panel = q >= 0;
    int32_t pitch = l->in_w + 1;
    int32_t most = SN_NARROW_AT / pitch;
    int32_t k_bytes = (l->out_c + 15) & ~15;
    SnNarrowMve t;

    for (int32_t i = 0, k = 0; i < l->kernel_h; i++)
        for (int32_t j = 0; j < 3; j++, k++) {
            index[i * pitch + j] = (uint8_t)k;
            mask |= 1u << (i * pitch + j);
        }
    for (int32_t m; n > 0; n -= m, row += m) {
        m = n < most ? n : most;
        for (int32_t i = 0, j = 0, k = 0; k < SN_NARROW_AT; k++) {
            int32_t to = panel ? (q >> 2) * 4 * k_bytes + (q & 3) * 16 : i * l->out_row + j * l->out_col;
            int32_t out = i < m && j < l->out_w;

            off[(k & ~7) + (k & 3) * 2 + (k >> 2 & 1)] = (int16_t)(out ? to : -1);
            q += out & panel;
            if (++j == pitch) {
                j = 0;
                i++;
            }
        }
        for (int32_t i = 0; i < 8 * SN_NARROW_PLANE; i += 16)
            vst1q_s8(plane + i, vdupq_n_s8(l->in_zero));
        for (int32_t c = 0; c < l->out_c; c += 8) {
            sn_turn_mve(l, plane, x + c, row - l->pad_top, m + l->kernel_h - 1, pitch);
            t = (SnNarrowMve){ plane, (const int8_t *)l->weights + c * 3 * l->kernel_h, 3 * l->kernel_h, index, mask, (m * pitch + 6) / 8, off, l->zero,
                               panel ? 1 : l->out_chan, l->out_c - c < 8 ? l->out_c - c : 8, y, l->channels + 2 * c };
            t.y += panel ? c / 16 * 64 + c % 16 : row * l->out_row + c * l->out_chan;
            sn_store_mve(&t);
            sn_narrow_planes_mve(&t);
        }
    }
}

SN_KERNEL(op=depthwise, x=nhwc, layout=narrow16, after=8, isa=mve, order=exact)
static inline void sn_depthwise_nhwc_narrow16_mve(const SnWindow *l, int8_t *y, const int8_t *x, int32_t row, int32_t n)
{
    sn_narrow_mve(l, y, x, row, n, -1);
}

SN_KERNEL(op=depthwise_panel, x=nhwc, panel=rows16, layout=narrow16, after=8, isa=mve, order=exact)
static inline void sn_depthwise_nhwc_narrow16_rows16_mve(const SnWindow *l, void *panel, const int8_t *x, int32_t row, int32_t n)
{
    sn_narrow_mve(l, (int8_t *)panel, x, row, n, 0);
}
