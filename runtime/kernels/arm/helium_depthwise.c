/* Helium: depthwise convolutions of 3 x 3 on nhwc images, eight channels at a time.
 *
 * Inputs are widened to 16 bits when they are loaded, so VMULLB, which multiplies even bytes, takes them; two taps' weights are in one register,
 * the second one's in odd bytes.  A product fits into 16 bits, and so does the sum of two (no weight is -128), which is then widened and added:
 * 11 instructions for two taps of eight channels.  Each tap has a pointer of its own, so a tap that lies outside points to zero points,
 * and stride and dilation are of no concern.  Assembly, because gcc 12 spills half of it; loads that widen take r0 .. r7 only, so the ninth
 * tap gathers.
 *
 *     layout taps8   for each 8 channels, 144 bytes:
 *                    bias[2][4]    even channels, odd channels
 *                    taps[4][8][2] two taps in turn
 *                    last[8][2]    the ninth tap, and right shifts (0 or less)
 *                    mult[2][4]
 *
 * Results below zero are clamped away (zero == lo == -128), so VRSHL's way with halves is gemmlowp's. */
#include <arm_mve.h>
#include "../image.h"

/* Neighbouring positions, in the order in which the assembly loads it. */
typedef struct {
    const int8_t *x[9];         /* r0 .. r8 */
    const int8_t *w;            /* r9 */
    int32_t advance;            /* r10: from eight channels' outputs to the next; in a panel 8, then 56 */
    int8_t *y;                  /* r11 */
    int32_t channels;           /* r12 */
    int32_t zero;               /* lr */
    int32_t n;                  /* positions */
    int32_t x_step;             /* from one to the next, less the channels up to a multiple of 8 */
    int32_t y_step;
    int32_t chan;               /* from one channel's output to the next */
} SnNineMve;

#define SN_NINE_ADD_MVE "vmovlb.s16 q3, q2\n vadd.i32 q0, q0, q3\n vmovlt.s16 q2, q2\n vadd.i32 q1, q1, q2\n"

/* Eight channels: outputs in q0, and the predicate of those that exist.  q7: 0, 1, .. 7. */
#define SN_NINE_SUMS_MVE                                                                                                \
    "vldrw.32 q0, [r9], #16\n vldrw.32 q1, [r9], #16\n"                                                                 \
    "vldrb.u8 q3, [r9], #16\n vldrb.s16 q2, [r0], #8\n vmullb.s8 q2, q2, q3\n vrev16.8 q3, q3\n"                          \
    "vldrb.s16 q4, [r1], #8\n vmullb.s8 q4, q4, q3\n vadd.i16 q2, q2, q4\n" SN_NINE_ADD_MVE                             \
    "vldrb.u8 q3, [r9], #16\n vldrb.s16 q2, [r2], #8\n vmullb.s8 q2, q2, q3\n vrev16.8 q3, q3\n"                          \
    "vldrb.s16 q4, [r3], #8\n vmullb.s8 q4, q4, q3\n vadd.i16 q2, q2, q4\n" SN_NINE_ADD_MVE                             \
    "vldrb.u8 q3, [r9], #16\n vldrb.s16 q2, [r4], #8\n vmullb.s8 q2, q2, q3\n vrev16.8 q3, q3\n"                          \
    "vldrb.s16 q4, [r5], #8\n vmullb.s8 q4, q4, q3\n vadd.i16 q2, q2, q4\n" SN_NINE_ADD_MVE                             \
    "vldrb.u8 q3, [r9], #16\n vldrb.s16 q2, [r6], #8\n vmullb.s8 q2, q2, q3\n vrev16.8 q3, q3\n"                          \
    "vldrb.s16 q4, [r7], #8\n vmullb.s8 q4, q4, q3\n vadd.i16 q2, q2, q4\n" SN_NINE_ADD_MVE                             \
    "vldrb.u8 q6, [r9], #16\n vldrb.s16 q2, [r8, q7]\n add r8, r8, #8\n vmullb.s8 q2, q2, q6\n" SN_NINE_ADD_MVE         \
    "vldrw.32 q2, [r9], #16\n vqrdmulh.s32 q0, q0, q2\n vldrw.32 q2, [r9], #16\n vqrdmulh.s32 q1, q1, q2\n"              \
    "vshr.u32 q2, q6, #8\n vrshl.s32 q0, q0, q2\n vshr.u32 q2, q6, #24\n vrshl.s32 q1, q1, q2\n"                         \
    "vqmovnb.s32 q0, q0\n vqmovnt.s32 q0, q1\n vqadd.s16 q0, q0, lr\n vqmovnb.s16 q0, q0\n"                             \
    "vctp.16 r12\n vpst\n"

/* The next eight channels, the next position. */
#define SN_NINE_NEXT_MVE                                                                                            \
    "subs.w r12, r12, #8\n bhi.w 1b\n"                                                                              \
    "ldr r10, [sp, #64]\n ldr r12, [r10, #56]\n subs.w r12, r12, #1\n beq 2f\n str r12, [r10, #56]\n"               \
    "ldr r11, [r10, #44]\n ldrd r9, r12, [r10, #60]\n add r11, r11, r12\n str r11, [r10, #44]\n"                    \
    "add r0, r0, r9\n add r1, r1, r9\n add r2, r2, r9\n add r3, r3, r9\n add r4, r4, r9\n add r5, r5, r9\n"         \
    "add r6, r6, r9\n add r7, r7, r9\n add r8, r8, r9\n"                                                            \
    "ldr r9, [r10, #36]\n ldr r12, [r10, #48]\n ldr r10, [r10, #40]\n b.w 1b\n"                                     \
    "2: vpop {d8-d15}\n pop {r0, r4-r11, pc}\n"

#define SN_NINE_BEGIN_MVE "push {r0, r4-r11, lr}\n vpush {d8-d15}\n mov r2, #0\n vidup.u16 q7, r2, #1\n"

/* To an image. */
__attribute__((naked, noinline, unused, aligned(4)))
static void sn_nine_mve(__attribute__((unused)) SnNineMve *t)
{
    __asm__ volatile(SN_NINE_BEGIN_MVE "ldr r1, [r0, #68]\n vmul.i16 q5, q7, r1\n"
            "ldm.w r0, {r0-r12, lr}\n"
            "1:\n" SN_NINE_SUMS_MVE "vstrbt.16 q0, [r11, q5]\n add r11, r11, r10\n" SN_NINE_NEXT_MVE : : : "memory");
}

/* To a panel rows16. */
__attribute__((naked, noinline, unused, aligned(4)))
static void sn_nine_panel_mve(__attribute__((unused)) SnNineMve *t)
{
    __asm__ volatile(SN_NINE_BEGIN_MVE
            "ldm.w r0, {r0-r12, lr}\n"
            "1:\n" SN_NINE_SUMS_MVE "vstrbt.16 q0, [r11, q7]\n add r11, r11, r10\n rsb r10, r10, #64\n" SN_NINE_NEXT_MVE : : : "memory");
}

enum { SN_NINE_EDGE = 64 };     /* channels at a time where taps lie outside */

/* The nine taps of the window whose first element is (top, left), x; true: some lie outside. */
static SN_APART int32_t sn_nine_taps_mve(const SnWindow *l, const int8_t *tap[9], const int8_t *x, int32_t top, int32_t left, const int8_t *outside)
{
    int32_t n = 0;
    int32_t row = l->dilation_h * l->in_row;
    int32_t col = l->dilation_w * l->in_col;

    for (int32_t i = 0; i < 3; i++, top += l->dilation_h, x += row)
        for (int32_t j = 0; j < 3; j++) {
            int32_t at = left + j * l->dilation_w;
            int32_t in = (uint32_t)top < (uint32_t)l->in_h && (uint32_t)at < (uint32_t)l->in_w;

            *tap++ = in ? x + j * col : outside;
            n += !in;
        }
    return n;
}

/* Row i of the outputs; q: its first position in the panel, or -1. */
__attribute__((always_inline))
static inline void sn_nine_row_mve(const SnWindow *l, int8_t *y, const int8_t *x, int32_t i, int32_t q, void (*nine)(SnNineMve *))
{
    int8_t outside[SN_NINE_EDGE];
    int32_t panel = q >= 0;
    int32_t k_bytes = (l->out_c + 15) & ~15;
    int32_t top = i * l->stride_h - l->pad_top;
    int32_t m;

    for (int32_t c = 0; c < SN_NINE_EDGE; c += 16)
        vst1q_s8(outside + c, vdupq_n_s8(l->in_zero));
    for (int32_t j = 0; j < l->out_w; j += m, q += m) {
        int32_t left = j * l->stride_w - l->pad_left;
        int8_t *to = panel ? y + (q >> 2) * 4 * k_bytes + (q & 3) * 16 : y + j * l->out_col;
        int32_t n_chan;

        m = 1;
        for (int32_t c = 0; c < l->out_c; c += n_chan) {
            SnNineMve t = { .w = (const int8_t *)l->weights + c * 18, .advance = panel ? 8 : 8 * l->out_chan,
                            .y = to + (panel ? 4 * c : c * l->out_chan), .zero = l->zero, .n = 1, .x_step = l->stride_w * l->in_col - ((l->out_c + 7) & ~7),
                            .y_step = panel ? 16 : l->out_col, .chan = l->out_chan };

            n_chan = l->out_c - c;
            if (!sn_nine_taps_mve(l, t.x, x + top * l->in_row + left * l->in_col + c, top, left, outside)) {
                m = (l->in_w - 1 - 2 * l->dilation_w - left) / l->stride_w + 1;
                m = m < l->out_w - j ? m : l->out_w - j;
                m = panel && m > 4 - (q & 3) ? 4 - (q & 3) : m;
                t.n = m;
            } else if (n_chan > SN_NINE_EDGE)
                n_chan = SN_NINE_EDGE;
            t.channels = n_chan;
            sn_store_mve(&t);
            nine(&t);
        }
    }
}

SN_KERNEL(op=depthwise, x=nhwc, layout=taps8, after=8, isa=mve, order=exact)
static SN_APART void sn_depthwise_nhwc_taps8_mve(const SnWindow *l, int8_t *y, const int8_t *x, int32_t row, int32_t n)
{
    for (int32_t i = row; i < row + n; i++)
        sn_nine_row_mve(l, y + i * l->out_row, x, i, -1, sn_nine_mve);
}

SN_KERNEL(op=depthwise_panel, x=nhwc, panel=rows16, layout=taps8, after=8, isa=mve, order=exact)
static SN_APART void sn_depthwise_nhwc_taps8_rows16_mve(const SnWindow *l, void *panel, const int8_t *x, int32_t row, int32_t n)
{
    for (int32_t i = 0; i < n; i++)
        sn_nine_row_mve(l, (int8_t *)panel, x, row + i, i * l->out_w, sn_nine_panel_mve);
}
