/* Helium (Armv8.1-M MVE): convolutions of int8 images through panels.
 *
 * A panel holds the inputs of four positions side by side, 16 bytes at a time, so that one pointer walks through it:
 *
 *     panel rows16      [position / 4][K / 16][4][16]      K = kernel_h * kernel_w * in_c, up to a multiple of 16; what is too much there meets
 *                                                          weights of 0 and may be anything, as may positions behind the last
 *     weights pairs16   [output / 2][K / 16][2][16]        an odd last output stands there twice
 *     channels          [output] of two words              mult and bias * 256 + (shift & 255), bias of 24 bits            pairs16, pairs16_relu
 *                                of three words            bias, mult and left * 256 + (right & 255), right <= 0           pairs16_any
 *
 * The tile is 2 outputs x 4 positions, 8 sums.  VMLADAV (16 products, summed into a core register) takes even registers only: the sums have all
 * of r0, r2, .. r12, lr, and pointers live in the odd ones.  No compiler finds that from intrinsics, so a tile for all outputs is one function in
 * assembly: 14 instructions for 128 products.  Lanes are positions then, so bias, multiplier and shift are scalars, and the
 * outputs are stored with offsets, to wherever the image lies.
 *
 * Rounding.  VQRDMULH rounds halves up, as gemmlowp's high multiplication does.  VRSHL does so too where gemmlowp goes away from zero, which
 * differs for negative halves only: pairs16_relu is for layers whose results below zero are clamped away (lo == zero == -128), the others
 * subtract 1 from negative numbers before a right shift.  (As CMSIS-NN does; arXiv:1801.06601.) */
#include <arm_mve.h>
#include "../image.h"

/* ---- im2col ---------------------------------------------------------------------------------------------------------------- */

/* What im2col copies at once: a piece of the window that lies in one row of the image, whose bytes are a piece of each position's K. */
typedef struct {
    int32_t k;                  /* where the piece begins in K */
    int32_t bytes;              /* of it */
    int32_t chan;               /* bytes of a column */
    int32_t width;              /* columns of it */
} SnPieceMve;

/* One piece of one position, some of whose columns lie outside: bytes lo .. hi-1 of it are in the image. */
static SN_APART void sn_edge_mve(int8_t *d, const int8_t *x, const SnPieceMve *w, int32_t lo, int32_t hi, int32_t zero)
{
    uint8x16_t at = vidupq_n_u8(0, 1);

    if ((w->k | w->bytes | w->chan) % 16 == 0) {
        for (int32_t i = 0; i < w->bytes; i += 16, d += 64)
            vstrbq_s8(d, i >= lo && i < hi ? vldrbq_s8(x + i) : vdupq_n_s8((int8_t)zero));
        return;
    }
    at = vaddq_m_n_u8(at, at, 48, vcmphiq_n_u8(at, (uint8_t)(15 - w->k % 16)));
    for (int32_t i = 0; i < w->bytes; i += 16, d += 64) {
        uint32_t end = hi > i ? (uint32_t)(hi - i) : 0;
        uint32_t begin = lo > i ? (uint32_t)(lo - i) : 0;
        mve_pred16_t in = (mve_pred16_t)(vctp8q(end) & ~vctp8q(begin));
        int8x16_t v = vpselq_s8(vldrbq_z_s8(x + i, in), vdupq_n_s8((int8_t)zero), in);

        vstrbq_scatter_offset_p_s8(d, at, v, vctp8q((uint32_t)(w->bytes - i)));
    }
}

/* The piece of n positions inside the image, `step` bytes apart, from position q of the panel on; k_bytes: of a position. */
static SN_APART void sn_inside_mve(int8_t *panel, const int8_t *x, const SnPieceMve *w, int32_t q, int32_t n, int32_t step, int32_t k_bytes)
{
    int32_t whole = (w->k | w->bytes) % 16 == 0;
    uint8x16_t at = vidupq_n_u8(0, 1);
    mve_pred16_t tail = vctp8q((uint32_t)((w->bytes - 1) % 16 + 1));

    at = vaddq_m_n_u8(at, at, 48, vcmphiq_n_u8(at, (uint8_t)(15 - w->k % 16)));
    panel += q / 4 * 4 * k_bytes + q % 4 * 16;
    for (; n > 0; n--, x += step) {
        const int8_t *s = x;
        int8_t *d = panel;
        int32_t i = w->bytes;

        if (whole) {
            for (i /= 16; i > 0; i--, s += 16, d += 64)
                vstrbq_s8(d, vldrbq_s8(s));
        } else {
            for (; i > 16; i -= 16, s += 16, d += 64)
                vstrbq_scatter_offset_s8(d, at, vldrbq_s8(s));
            vstrbq_scatter_offset_p_s8(d, at, vldrbq_z_s8(s, tail), tail);
        }
        panel += 16;
        if (++q % 4 == 0)
            panel += 4 * k_bytes - 64;
    }
}

/* A piece of positions p .. p+n-1: row i of the window, from its column j on. */
static SN_APART void sn_piece_mve(const SnWindow *l, int8_t *panel, const int8_t *x, const SnPieceMve *w, int32_t p, int32_t n, int32_t i, int32_t j)
{
    int32_t k_bytes = (l->kernel_h * l->kernel_w * l->in_c + 15) & ~15;
    int32_t row = p / l->out_w;
    int32_t col = p % l->out_w;
    int32_t left = l->pad_left - j * l->dilation_w;

    panel += w->k / 16 * 64 + w->k % 16;
    for (int32_t q = 0; q < n; row++, col = 0) {
        int32_t y = row * l->stride_h - l->pad_top + i * l->dilation_h;
        int32_t end = q + l->out_w - col < n ? q + l->out_w - col : n;
        const int8_t *s = x + y * l->in_row;

        while (q < end) {
            int32_t at = col * l->stride_w - left;
            int32_t m = 1;

            if (y >= 0 && y < l->in_h && at >= 0 && at + w->width <= l->in_w) {
                m = (l->in_w - w->width - at) / l->stride_w + 1;
                m = m < end - q ? m : end - q;
                sn_inside_mve(panel, s + at * l->in_col, w, q, m, l->stride_w * l->in_col, k_bytes);
            } else {
                int32_t lo = at < 0 ? (-at < w->width ? -at : w->width) * w->chan : 0;
                int32_t hi = (at + w->width > l->in_w ? l->in_w - at : w->width) * w->chan;

                if (y < 0 || y >= l->in_h || hi < lo)
                    lo = hi = 0;
                sn_edge_mve(panel + q / 4 * 4 * k_bytes + q % 4 * 16, s + at * l->in_col, w, lo, hi, l->in_zero);
            }
            q += m;
            col += m;
        }
    }
}

enum { SN_SMALL_WINDOW = 64 };  /* bytes of K that sn_small_mve takes */

/* A window that begins at x, whose bytes lie `at` behind it: rows lo .. hi-1 and columns left .. right-1 are inside. */
static SN_APART void sn_small_edge_mve(int8_t *d, const int8_t *x, const uint8_t *at, int32_t k_bytes, const int32_t *limits, int32_t zero)
{
    for (int32_t k = 0; k < k_bytes; k += 16, at += 16, d += 64) {
        uint8x16_t row = vldrbq_u8(at + SN_SMALL_WINDOW);
        uint8x16_t col = vldrbq_u8(at + 2 * SN_SMALL_WINDOW);
        mve_pred16_t in = vcmpcsq_n_u8(row, (uint8_t)limits[0]);

        in = vcmphiq_m_u8(vdupq_n_u8((uint8_t)limits[1]), row, in);
        in = vcmpcsq_m_n_u8(col, (uint8_t)limits[2], in);
        in = vcmphiq_m_u8(vdupq_n_u8((uint8_t)limits[3]), col, in);
        vstrbq_s8(d, vpselq_s8(vldrbq_gather_offset_z_s8(x, vldrbq_u8(at), in), vdupq_n_s8((int8_t)zero), in));
    }
}

static inline int32_t sn_within(int32_t v, int32_t lo, int32_t hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

/* Windows of few bytes that lie near each other: 16 bytes of a window are gathered at once, over its rows. */
static SN_APART void sn_small_mve(const SnWindow *l, int8_t *panel, const int8_t *x, int32_t p, int32_t n)
{
    uint8_t at[3 * SN_SMALL_WINDOW];        /* of each byte: where it lies, its row, its column */
    int32_t width = l->kernel_w * l->in_c;
    int32_t k_bytes = (l->kernel_h * width + 15) & ~15;
    int32_t row = p / l->out_w;
    int32_t col = p % l->out_w;

    for (int32_t k = 0, i = 0, j = 0, c = 0; k < k_bytes; k++) {
        int32_t in = i < l->kernel_h;       /* what K is filled up with is outside */

        at[k] = (uint8_t)(in ? i * l->in_row + j * l->in_col + c : 0);
        at[SN_SMALL_WINDOW + k] = (uint8_t)(in ? i : 255);
        at[2 * SN_SMALL_WINDOW + k] = (uint8_t)j;
        if (++c == l->in_c) {
            c = 0;
            if (++j == l->kernel_w) {
                j = 0;
                i++;
            }
        }
    }
    for (int32_t q = 0; q < n; q++) {
        int32_t top = row * l->stride_h - l->pad_top;
        int32_t left = col * l->stride_w - l->pad_left;
        int32_t limits[4] = { sn_within(-top, 0, 254), sn_within(l->in_h - top, 0, l->kernel_h), sn_within(-left, 0, 254),
                              sn_within(l->in_w - left, 0, l->kernel_w) };
        const int8_t *s = x + top * l->in_row + left * l->in_col;
        int8_t *d = panel + q / 4 * 4 * k_bytes + q % 4 * 16;

        if (limits[0] + limits[2] == 0 && limits[1] == l->kernel_h && limits[3] == l->kernel_w) {
            for (int32_t k = 0; k < k_bytes; k += 16, d += 64)
                vstrbq_s8(d, vldrbq_gather_offset_s8(s, vldrbq_u8(at + k)));
        } else
            sn_small_edge_mve(d, s, at, k_bytes, limits, l->in_zero);
        if (++col == l->out_w) {
            col = 0;
            row++;
        }
    }
}

/* Windows of positions p .. p+n-1 into a panel.  Where the columns of a window follow each other in memory a row of it is one piece. */
SN_KERNEL(op=im2col, x=nhwc, panel=rows16, isa=mve, order=exact)
static SN_APART void sn_im2col_nhwc_rows16_mve(const SnWindow *l, void *panel, const int8_t *x, int32_t p, int32_t n)
{
    int32_t width = l->dilation_w == 1 && l->in_col == l->in_c ? l->kernel_w : 1;
    SnPieceMve w = { 0, width * l->in_c, l->in_c, width };

    if (l->kernel_h * l->kernel_w * l->in_c <= SN_SMALL_WINDOW && l->dilation_h == 1 && l->dilation_w == 1 && w.bytes % 16 &&
        (l->kernel_h - 1) * l->in_row + (l->kernel_w - 1) * l->in_col + l->in_c <= 256) {
        sn_small_mve(l, (int8_t *)panel, x, p, n);
        return;
    }
    for (int32_t i = 0; i < l->kernel_h; i++)
        for (int32_t j = 0; j < l->kernel_w; j += width, w.k += w.bytes)
            sn_piece_mve(l, (int8_t *)panel, x, &w, p, n, i, j);
}

/* The same of an image that lies otherwise, byte by byte. */
SN_KERNEL(op=im2col, x=any, panel=rows16, isa=mve, order=exact)
static SN_APART void sn_im2col_any_rows16_mve(const SnWindow *l, void *panel, const int8_t *x, int32_t p, int32_t n)
{
    int32_t k_bytes = (l->kernel_h * l->kernel_w * l->in_c + 15) & ~15;

    for (int32_t q = 0; q < n; q++, p++) {
        int8_t *d = (int8_t *)panel + q / 4 * 4 * k_bytes + q % 4 * 16;
        int32_t k = 0;

        for (int32_t i = 0; i < l->kernel_h; i++)
            for (int32_t j = 0; j < l->kernel_w; j++) {
                int32_t y = p / l->out_w * l->stride_h - l->pad_top + i * l->dilation_h;
                int32_t at = p % l->out_w * l->stride_w - l->pad_left + j * l->dilation_w;
                int32_t in = y >= 0 && y < l->in_h && at >= 0 && at < l->in_w;

                for (int32_t c = 0; c < l->in_c; c++, k++)
                    d[k / 16 * 64 + k % 16] = in ? x[y * l->in_row + at * l->in_col + c * l->in_chan] : l->in_zero;
            }
    }
}

/* ---- dot ------------------------------------------------------------------------------------------------------------------- */

/* What assembly will read through p is in memory now.  (In a naked function no compiler sees a use of its argument, and clang 14 drops what is stored
 * there.) */
static inline void sn_store_mve(const void *p)
{
    __asm__ volatile("" : : "r"(p) : "memory");
}

/* A tile for all pairs of outputs, in the order in which the assembly loads it. */
typedef struct {
    const int8_t *x;            /* four positions of a panel */
    int32_t loops;              /* K: 16 columns, then so many times four of 16; the first time the loop */
    int32_t entry;              /* is entered so many bytes of code before its end, 56 for each 16 columns */
    int32_t zero;               /* of the outputs */
    int32_t step;               /* from one pair to the next */
    const uint16_t *off;        /* for each position two: how far behind y it lies, and its next output */
    const int8_t *weights;
    const int32_t *channels;
    int8_t *y;                  /* output 0 of the first position */
    int32_t n;                  /* pairs */
    uint32_t mask;              /* positions that are stored, 4 bits each */
    int32_t lo;                 /* limits: pairs16_any only */
    int32_t hi;
} SnTileMve;

/* 16 columns: weights of two outputs, then four positions. */
#define SN_TILE_FIRST_MVE                                                                   \
    "vldrb.u8 q0, [r3], #16\n vldrb.u8 q1, [r3], #16\n"                                     \
    "vldrb.u8 q2, [r1], #16\n vmladav.s8 r0, q2, q0\n vmladav.s8 r8, q2, q1\n"              \
    "vldrb.u8 q2, [r1], #16\n vmladav.s8 r2, q2, q0\n vmladav.s8 r10, q2, q1\n"             \
    "vldrb.u8 q2, [r1], #16\n vmladav.s8 r4, q2, q0\n vmladav.s8 r12, q2, q1\n"             \
    "vldrb.u8 q2, [r1], #16\n vmladav.s8 r6, q2, q0\n vmladav.s8 lr, q2, q1\n"
#define SN_TILE_NEXT_MVE                                                                    \
    "vldrb.u8 q0, [r3], #16\n vldrb.u8 q1, [r3], #16\n"                                     \
    "vldrb.u8 q2, [r1], #16\n vmladava.s8 r0, q2, q0\n vmladava.s8 r8, q2, q1\n"            \
    "vldrb.u8 q2, [r1], #16\n vmladava.s8 r2, q2, q0\n vmladava.s8 r10, q2, q1\n"           \
    "vldrb.u8 q2, [r1], #16\n vmladava.s8 r4, q2, q0\n vmladava.s8 r12, q2, q1\n"           \
    "vldrb.u8 q2, [r1], #16\n vmladava.s8 r6, q2, q0\n vmladava.s8 lr, q2, q1\n"

/* r0 t.  Then r1 x, r3 weights, r5 steps, r7 channels, r9 y, r11 pairs; q3 offsets.  On the stack: 0 &t->off, 4 x, 8 loops, 12 where the
 * loop is entered, 16 zero, 20 step. */
#define SN_TILE_BEGIN_MVE                                                                   \
    "push {r4-r11, lr}\n ldm r0!, {r1, r2, r4, r5, r6}\n"                                  \
    "adr.w r8, 3f\n sub r4, r8, r4\n orr r4, r4, #1\n push {r0-r2, r4-r6}\n"              \
    "ldr r4, [r0, #20]\n vmsr p0, r4\n"                                                    \
    "ldm r0, {r2, r3, r7, r9, r11}\n vldrh.u16 q3, [r2]\n"

/* All products of a pair of outputs, and the sums in q0 and q1. */
#define SN_TILE_SUMS_MVE                                                                    \
    "1:\n" SN_TILE_FIRST_MVE                                                                \
    "ldr r5, [sp, #8]\n ldr.w pc, [sp, #12]\n"                                              \
    "2:\n" SN_TILE_NEXT_MVE SN_TILE_NEXT_MVE SN_TILE_NEXT_MVE SN_TILE_NEXT_MVE              \
    "3: subs.w r5, r5, #1\n bne.w 2b\n"                                                     \
    "vmov q0[2], q0[0], r0, r4\n vmov q0[3], q0[1], r2, r6\n"                               \
    "vmov q1[2], q1[0], r8, r12\n vmov q1[3], q1[1], r10, lr\n"

/* Bias and multiplier of both; r2 and r6 hold the shifts in their lowest bytes, which is all that VRSHL looks at. */
#define SN_TILE_SCALE_MVE                                                                   \
    "ldm r7!, {r0, r2, r4, r6}\n asr r8, r2, #8\n asr r10, r6, #8\n"                        \
    "vadd.i32 q0, q0, r8\n vadd.i32 q1, q1, r10\n"                                          \
    "vqrdmulh.s32 q0, q0, r0\n vqrdmulh.s32 q1, q1, r4\n"

#define SN_TILE_TIES_MVE                                                                    \
    "vshr.s32 q2, q0, #31\n vadd.i32 q0, q0, q2\n vshr.s32 q2, q1, #31\n vadd.i32 q1, q1, q2\n"

#define SN_TILE_SHIFT_MVE                                                                   \
    "vrshl.s32 q0, r2\n vrshl.s32 q1, r6\n"

/* 16 bits, outputs a and b in turn, plus the zero point. */
#define SN_TILE_NARROW_MVE                                                                  \
    "vqmovnb.s32 q0, q0\n vqmovnt.s32 q0, q1\n"                                             \
    "ldrd r0, r2, [sp, #16]\n vqadd.s16 q0, q0, r0\n"

#define SN_TILE_STORE_MVE                                                                   \
    "vqmovnb.s16 q0, q0\n vpst\n vstrbt.16 q0, [r9, q3]\n"                                  \
    "add r9, r9, r2\n ldr r1, [sp, #4]\n subs.w r11, r11, #1\n bne.w 1b\n"

__attribute__((naked, noinline, unused, aligned(4)))
static void sn_tile_relu_mve(__attribute__((unused)) const SnTileMve *t)
{
    __asm__ volatile(SN_TILE_BEGIN_MVE SN_TILE_SUMS_MVE SN_TILE_SCALE_MVE SN_TILE_SHIFT_MVE SN_TILE_NARROW_MVE SN_TILE_STORE_MVE
            "add sp, sp, #24\n pop {r4-r11, pc}\n" : : : "memory");
}

/* Results below zero count: shifts are 1 or more to the right. */
__attribute__((naked, noinline, unused, aligned(4)))
static void sn_tile_mve(__attribute__((unused)) const SnTileMve *t)
{
    __asm__ volatile(SN_TILE_BEGIN_MVE SN_TILE_SUMS_MVE SN_TILE_SCALE_MVE SN_TILE_TIES_MVE SN_TILE_SHIFT_MVE SN_TILE_NARROW_MVE SN_TILE_STORE_MVE
            "add sp, sp, #24\n pop {r4-r11, pc}\n" : : : "memory");
}

/* Shifts to the left and none at all, limits. */
__attribute__((naked, noinline, unused, aligned(4)))
static void sn_tile_any_mve(__attribute__((unused)) const SnTileMve *t)
{
    __asm__ volatile(SN_TILE_BEGIN_MVE
            SN_TILE_SUMS_MVE
            "ldm r7!, {r0, r2, r4}\n ldm r7!, {r6, r8, r10}\n"
            "vadd.i32 q0, q0, r0\n vadd.i32 q1, q1, r6\n"
            "asr r0, r4, #8\n asr r6, r10, #8\n vshl.s32 q0, r0\n vshl.s32 q1, r6\n"
            "vqrdmulh.s32 q0, q0, r2\n vqrdmulh.s32 q1, q1, r8\n"
            "sxtb r0, r4\n vdup.32 q2, r0\n vand q2, q2, q0\n vshr.s32 q2, q2, #31\n vadd.i32 q0, q0, q2\n"
            "sxtb r0, r10\n vdup.32 q2, r0\n vand q2, q2, q1\n vshr.s32 q2, q2, #31\n vadd.i32 q1, q1, q2\n"
            "vrshl.s32 q0, r4\n vrshl.s32 q1, r10\n"
            SN_TILE_NARROW_MVE
            "ldr r4, [sp]\n ldrd r4, r6, [r4, #24]\n vdup.16 q1, r4\n vmax.s16 q0, q0, q1\n vdup.16 q1, r6\n vmin.s16 q0, q0, q1\n"
            SN_TILE_STORE_MVE
            "add sp, sp, #24\n pop {r4-r11, pc}\n" : : : "memory");
}

/* Offsets, below 2^16, of four positions from column `col` of a row on, and of their neighbours `chan` bytes further on. */
static SN_APART void sn_offsets_mve(const SnWindow *l, uint16_t off[8], int32_t col, int32_t chan)
{
    int32_t at = 0;

    for (int32_t i = 0; i < 8; i += 2) {
        off[i] = (uint16_t)at;
        off[i + 1] = (uint16_t)(at + chan);
        at += l->out_col;
        if (++col == l->out_w) {
            col = 0;
            at += l->out_row - l->out_w * l->out_col;
        }
    }
}

/* The last of an odd number of outputs, which is packed twice, goes twice to the same place. */
__attribute__((always_inline))
static inline void sn_odd_mve(SnTileMve t, int32_t steps, int32_t words, void (*tile)(const SnTileMve *))
{
    uint16_t off[8];

    for (int32_t i = 0; i < 8; i++)
        off[i] = t.off[i & ~1];
    t.channels += 2 * words * t.n;
    t.y += t.step * t.n;
    t.weights += 32 * steps * t.n;
    t.off = off;
    t.n = 1;
    sn_store_mve(&t);
    tile(&t);
}

/* Positions p .. p+n-1, four at a time; words: of a channel.  Inlined, so that no call goes through a pointer and the stack's depth is known. */
__attribute__((always_inline))
static inline void sn_tiles_mve(const SnWindow *l, int8_t *y, const int8_t *panel, int32_t p, int32_t n, int32_t words, void (*tile)(const SnTileMve *))
{
    uint16_t off[8];
    int32_t steps = (l->kernel_h * l->kernel_w * l->in_c + 15) / 16;
    int32_t row = p / l->out_w;
    int32_t col = p % l->out_w;
    int32_t bent = 1;           /* does off go over the end of a row? */
    SnTileMve t = { panel, (steps + 2) / 4, steps > 1 ? ((steps - 2) % 4 + 1) * 56 : -8, l->zero, 2 * l->out_chan,
                    off, l->weights, l->channels, y, l->out_c / 2, 0, l->lo, l->hi };

    for (; n > 0; n -= 4, t.x += 64 * steps) {
        t.y = y + row * l->out_row + col * l->out_col;
        t.mask = n < 4 ? (1u << 4 * n) - 1 : 0xffff;
        if (bent || col + 4 > l->out_w)
            sn_offsets_mve(l, off, col, l->out_chan);
        bent = col + 4 > l->out_w;
        sn_store_mve(&t);
        if (t.n)
            tile(&t);
        if (l->out_c & 1)
            sn_odd_mve(t, steps, words, tile);
        for (col += 4; col >= l->out_w; col -= l->out_w)
            row++;
    }
}

SN_KERNEL(op=dot_panel, panel=rows16, layout=pairs16_relu, tile=2x4, isa=mve, order=exact)
static SN_APART void sn_dot_pairs16_relu_rows16_mve(const SnWindow *l, int8_t *y, const void *panel, int32_t p, int32_t n)
{
    sn_tiles_mve(l, y, panel, p, n, 2, sn_tile_relu_mve);
}

SN_KERNEL(op=dot_panel, panel=rows16, layout=pairs16, tile=2x4, isa=mve, order=exact)
static SN_APART void sn_dot_pairs16_rows16_mve(const SnWindow *l, int8_t *y, const void *panel, int32_t p, int32_t n)
{
    sn_tiles_mve(l, y, panel, p, n, 2, sn_tile_mve);
}

SN_KERNEL(op=dot_panel, panel=rows16, layout=pairs16_any, tile=2x4, isa=mve, order=exact)
static SN_APART void sn_dot_pairs16_any_rows16_mve(const SnWindow *l, int8_t *y, const void *panel, int32_t p, int32_t n)
{
    sn_tiles_mve(l, y, panel, p, n, 3, sn_tile_any_mve);
}
