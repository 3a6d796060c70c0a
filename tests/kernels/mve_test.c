/* Kernels of Helium against plain C, on the board itself: if this fails, networks compute wrong numbers on a Cortex-M55.
 *
 * Layers of random shapes, strides, padding and scales; images lie in memory in every way that a contract allows; outputs are computed in
 * groups of random size.  Whole memories are compared, so that a byte written beside an image is found. */
#include "ir/image_layouts.h"
#include "runtime/kernels/armv81m_mve.c"
#include "tests/kernels/mve_start.h"

extern const ImageLayout image_layout_pairs16_relu, image_layout_pairs16, image_layout_pairs16_any;

enum { IMAGE = 40000, WEIGHTS = 60000, CHANNELS = 300, PANEL = 60000 };

static struct {
    int8_t in[IMAGE], out[IMAGE], want[IMAGE], w[WEIGHTS];
    int32_t bias[CHANNELS], mult[CHANNELS], shift[CHANNELS];
    int32_t packed_channels[3 * CHANNELS + 8];
    int8_t packed[2 * WEIGHTS] __attribute__((aligned(16)));
    int8_t panel[PANEL] __attribute__((aligned(16)));
} m;

static uint32_t state = 1;
static int n_passed, n_failed;

static uint32_t rnd(void)
{
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

static int among(int lo, int hi)
{
    return lo + (int)(rnd() % (uint32_t)(hi - lo + 1));
}

static void check(int ok, const char *what, const SnWindow *l)
{
    const int32_t facts[] = { l->in_h, l->in_w, l->in_c, l->kernel_h, l->kernel_w, l->stride_h, l->stride_w, l->dilation_h, l->dilation_w,
                              l->pad_top, l->pad_left, l->out_h, l->out_w, l->out_c };

    n_passed += ok;
    n_failed += !ok;
    if (ok || n_failed > 20)
        return;
    say("  fails: ");
    say(what);
    for (unsigned i = 0; i < sizeof facts / sizeof facts[0]; i++) {
        say(" ");
        say_number(facts[i]);
    }
    say("\n");
}

/* gemmlowp's way, in 64 bits. */
static int32_t rescale(int32_t sum, int32_t mult, int32_t shift)
{
    int64_t v = (int32_t)((uint32_t)sum << (shift > 0 ? shift : 0));
    int right = shift < 0 ? -shift : 0;
    int64_t half = right ? (int64_t)1 << (right - 1) : 0;

    v = (v * mult + (1 << 30)) >> 31;
    return (int32_t)((v + half - (right && v < 0)) >> right);
}

static int8_t finish(const SnWindow *l, int c, int32_t sum)
{
    int64_t y = (int64_t)rescale(sum + m.bias[c], m.mult[c], m.shift[c]) + l->zero;

    return (int8_t)(y < l->lo ? l->lo : y > l->hi ? l->hi : y);
}

/* ---- layers ---- */

typedef enum { NHWC, PLANAR, PADDED, LINES, SPARSE } Lie;

/* Strides of an image, and how many bytes it takes; SPARSE: nothing is next to anything. */
static int lay(Lie lie, int h, int w, int c, int32_t *row, int16_t *col, int32_t *chan)
{
    int pad = lie == PADDED;

    *chan = lie == NHWC ? 1 : lie == LINES ? w : lie == SPARSE ? 3 : h * (w + pad);
    *col = (int16_t)(lie == NHWC ? c : lie == SPARSE ? 3 * c + 1 : 1);
    *row = lie == NHWC ? w * c : lie == LINES ? w * c : lie == SPARSE ? (3 * c + 1) * w + 5 : w + pad;
    return (h - 1) * *row + (w - 1) * *col + (c - 1) * *chan + 1 + pad;
}

static int fits_memory(const SnWindow *l, int in, int out)
{
    return in + 64 <= IMAGE && out + 64 <= IMAGE && l->kernel_h * l->kernel_w * l->in_c * l->out_c <= WEIGHTS - 64 && l->out_c <= CHANNELS;
}

/* A scale: `kind` 0: results cover the range, shifts to the right; 1: extreme ones. */
static void random_scales(const SnWindow *l, int kind, int k)
{
    for (int c = 0; c < l->out_c; c++) {
        int right = 1;

        while (k >> (2 * right) > 0)
            right++;
        m.bias[c] = kind ? (int32_t)rnd() >> among(0, 20) : among(-3000, 3000);
        m.mult[c] = kind && rnd() % 4 == 0 ? 0x7fffffff - (int32_t)(rnd() % 3) : (1 << 30) + (int32_t)(rnd() >> 2);
        m.shift[c] = kind ? among(-31, 8) : -(right + among(4, 8));
        if (rnd() % 16 == 0)
            m.mult[c] = 1 << 30;                                    /* halves are frequent */
    }
}

static void fill(int8_t *p, int n)
{
    int kind = among(0, 3);

    for (int i = 0; i < n; i++)
        p[i] = (int8_t)(kind == 0 ? rnd() % 2 * 255 - 128 : rnd() >> 24);
}

/* A random window; false: too large for the memory here. */
static int random_window(SnWindow *l, Lie in, Lie out, int depthwise, int small, int *in_bytes, int *out_bytes)
{
    static const uint8_t kernels[] = { 1, 1, 2, 3, 3, 3, 4, 5, 7, 10 };
    int h, w;

    *l = (SnWindow){ .in_h = (int16_t)among(1, small ? 6 : 20), .in_w = (int16_t)among(1, small ? 6 : 50),
                     .kernel_h = kernels[rnd() % 10], .kernel_w = kernels[rnd() % 10], .stride_h = (uint8_t)among(1, 3),
                     .stride_w = (uint8_t)among(1, 3), .dilation_h = (uint8_t)(rnd() % 5 ? 1 : 2), .dilation_w = (uint8_t)(rnd() % 5 ? 1 : 2) };
    l->in_c = (int16_t)(rnd() % 3 ? among(1, 20) : 16 * among(1, 4));
    l->out_c = depthwise ? l->in_c : (int16_t)(rnd() % 2 ? among(1, 9) : among(1, 70));
    h = (l->kernel_h - 1) * l->dilation_h + 1;
    w = (l->kernel_w - 1) * l->dilation_w + 1;
    if (rnd() % 2) {                                                /* SAME: as many outputs as steps */
        l->out_h = (int16_t)((l->in_h + l->stride_h - 1) / l->stride_h);
        l->out_w = (int16_t)((l->in_w + l->stride_w - 1) / l->stride_w);
        l->pad_top = (uint8_t)((l->out_h - 1) * l->stride_h + h > l->in_h ? ((l->out_h - 1) * l->stride_h + h - l->in_h) / 2 : 0);
        l->pad_left = (uint8_t)((l->out_w - 1) * l->stride_w + w > l->in_w ? ((l->out_w - 1) * l->stride_w + w - l->in_w) / 2 : 0);
    } else if (l->in_h < h || l->in_w < w) {
        return 0;
    } else {
        l->out_h = (int16_t)((l->in_h - h) / l->stride_h + 1);
        l->out_w = (int16_t)((l->in_w - w) / l->stride_w + 1);
    }
    l->in_zero = (int8_t)(rnd() >> 24);
    *in_bytes = lay(in, l->in_h, l->in_w, l->in_c, &l->in_row, &l->in_col, &l->in_chan);
    *out_bytes = lay(out, l->out_h, l->out_w, l->out_c, &l->out_row, &l->out_col, &l->out_chan);
    return fits_memory(l, *in_bytes, *out_bytes);
}

/* The layer in plain C, from m.in + 32 to m.want + 32. */
static void reference(const SnWindow *l, int depthwise)
{
    for (int y = 0; y < l->out_h; y++)
        for (int x = 0; x < l->out_w; x++)
            for (int c = 0; c < l->out_c; c++) {
                int32_t sum = 0;

                for (int i = 0; i < l->kernel_h; i++)
                    for (int j = 0; j < l->kernel_w; j++)
                        for (int k = 0; k < (depthwise ? 1 : l->in_c); k++) {
                            int v = y * l->stride_h - l->pad_top + i * l->dilation_h, u = x * l->stride_w - l->pad_left + j * l->dilation_w;
                            int in = v >= 0 && v < l->in_h && u >= 0 && u < l->in_w;
                            int n = depthwise ? c : k;
                            int a = in ? m.in[32 + v * l->in_row + u * l->in_col + n * l->in_chan] : l->in_zero;
                            int b = depthwise ? m.w[(i * l->kernel_w + j) * l->out_c + c]
                                              : m.w[((c * l->kernel_h + i) * l->kernel_w + j) * l->in_c + k];

                            sum += a * b;
                        }
                m.want[32 + y * l->out_row + x * l->out_col + c * l->out_chan] = finish(l, c, sum);
            }
}

static int same(int n)
{
    for (int i = 0; i < n; i++)
        if (m.out[i] != m.want[i])
            return 0;
    return 1;
}

static ImageLayer layer_of(const SnWindow *l, int depthwise)
{
    return (ImageLayer){ .n_out = l->out_c, .kernel_h = l->kernel_h, .kernel_w = l->kernel_w, .n_in = depthwise ? 1 : l->in_c,
                         .depthwise = depthwise, .w = m.w, .bias = m.bias, .mult = m.mult, .shift = m.shift,
                         .zero = l->zero, .lo = l->lo, .hi = l->hi };
}

/* Packs with the layout; false: it cannot hold the layer. */
static int pack(SnWindow *l, const ImageLayout *layout, int depthwise)
{
    ImageLayer layer = layer_of(l, depthwise);

    if (layout->fits && !layout->fits(&layer))
        return 0;
    layout->pack(&layer, (uint8_t *)m.packed, (uint8_t *)m.packed_channels);
    l->weights = m.packed;
    l->channels = m.packed_channels;
    return 1;
}

static void random_range(SnWindow *l, int kind)
{
    l->lo = -128;
    l->hi = 127;
    l->zero = kind == 0 ? -128 : (int8_t)(rnd() >> 24);
    if (kind == 2 && rnd() % 2) {
        l->lo = (int8_t)among(-128, 0);
        l->hi = (int8_t)among(1, 127);
    }
}

static void begin(int out_bytes)
{
    fill(m.out, out_bytes + 64);
    for (int i = 0; i < out_bytes + 64; i++)
        m.want[i] = m.out[i];
}

/* ---- convolutions ---- */

static void test_conv(Lie in, Lie out, const ImageLayout *layout, int kind, void (*dot)(const SnWindow *, int8_t *, const void *, int32_t, int32_t))
{
    SnWindow l;
    int in_bytes, out_bytes, k_bytes, n_positions;

    if (!random_window(&l, in, out, 0, 0, &in_bytes, &out_bytes))
        return;
    k_bytes = (l.kernel_h * l.kernel_w * l.in_c + 15) / 16 * 16;
    if (k_bytes * 8 > PANEL)
        return;
    random_scales(&l, kind == 2, l.kernel_h * l.kernel_w * l.in_c);
    random_range(&l, kind);
    fill(m.in, in_bytes + 64);
    fill(m.w, l.kernel_h * l.kernel_w * l.in_c * l.out_c);
    begin(out_bytes);
    if (!pack(&l, layout, 0)) {
        check(0, "the layout does not fit", &l);
        return;
    }
    reference(&l, 0);
    n_positions = l.out_h * l.out_w;
    for (int p = 0, n; p < n_positions; p += n) {
        n = 4 * among(1, PANEL / (4 * k_bytes) < 12 ? PANEL / (4 * k_bytes) : 12);
        n = p + n > n_positions ? n_positions - p : n;
        if (in == NHWC)
            sn_im2col_nhwc_rows16_mve(&l, m.panel, m.in + 32, p, n);
        else
            sn_im2col_any_rows16_mve(&l, m.panel, m.in + 32, p, n);
        dot(&l, m.out + 32, m.panel, p, n);
    }
    check(same(out_bytes + 64), layout->name, &l);
}

static void report(const char *what)
{
    say(what);
    say(": ");
    say_number(n_passed);
    say(" passed, ");
    say_number(n_failed);
    say(" failed, 0 skipped\n");
}

int main(void)
{
    for (int i = 0; i < 400; i++)
        for (int in = NHWC; in <= SPARSE; in++) {
            Lie out = (Lie)among(NHWC, SPARSE);

            test_conv((Lie)in, out, &image_layout_pairs16_relu, 0, sn_dot_pairs16_relu_rows16_mve);
            test_conv((Lie)in, out, &image_layout_pairs16, 1, sn_dot_pairs16_rows16_mve);
            test_conv((Lie)in, out, &image_layout_pairs16_any, 2, sn_dot_pairs16_any_rows16_mve);
        }
    report("kernels mve");
    return n_failed != 0;
}
