/* If this fails, a network gives other numbers on a microcontroller than its model: a kernel computes something else than its portable twin, or writes
 * beside its outputs.  Reads the file `cases` (kernel_cases.h), prints what is wrong, exits with 0 if nothing is. */
#include KERNEL_UNIT
#include "kernel_cases.h"
#include "semihost.h"

typedef void (*Fn)(void);
static const struct { const char *name, *op; Fn fn; } rows[] = {
#include KERNEL_TABLE
};

/* Dots of packed weights with 8-bit activations, and their plain twins: the same bits. */
typedef void (*DotOne)(float *, const uint8_t *, const SnQ8 *, int, const uint8_t *);
typedef void (*DotFour)(float *, const uint8_t *, const SnQ8 *, int, int, const uint8_t *);
static const struct { const char *name; DotOne fast, plain; } dots[] = {
#define ONE(fast, plain) { #fast, fast, plain },
#define FOUR(fast, plain)
#include "dots.inc"
    { 0, 0, 0 }
};
#undef ONE
#undef FOUR
static const struct { const char *name; DotFour fast, plain; } dots4[] = {
#define ONE(fast, plain)
#define FOUR(fast, plain) { #fast, fast, plain },
#include "dots.inc"
    { 0, 0, 0 }
};

static uint32_t memory[24576];          /* a case's parts */
static uint32_t panel[16384];

static Fn kernel(const char *name)
{
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unsigned k = 0;

        while (name[k] && rows[i].name[k] == name[k])
            k++;
        if (name[k] == rows[i].name[k])
            return rows[i].fn;
    }
    semihost_print("no such kernel: ");
    semihost_print(name);
    semihost_exit(1);
}

static void copy(void *to, const void *from, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        ((uint8_t *)to)[i] = ((const uint8_t *)from)[i];
}

static SnWindow window(const uint8_t *fields, const void *weights, const void *channels)
{
    SnWindow l = { .weights = weights, .channels = channels };

    copy(&l.in_row, fields, sizeof l - __builtin_offsetof(SnWindow, in_row));
    return l;
}

typedef void (*Produce)(const SnWindow *, void *, const int8_t *, int32_t, int32_t);
typedef void (*Dot)(const SnWindow *, int8_t *, const void *, int32_t, int32_t);
typedef void (*Image)(const SnWindow *, int8_t *, const int8_t *, int32_t, int32_t);
typedef void (*Fully)(const SnFully *, int8_t *, const int8_t *);
typedef void (*Add)(const SnAdd *, int8_t *, const int8_t *, const int8_t *, int32_t);
typedef void (*Softmax)(const SnSoftmax *, int8_t *, const int8_t *, int32_t);

static void run(const CaseHead *h, uint8_t *const part[8])
{
    SnWindow l = window(h->layer, part[0], (const int32_t *)(void *)part[1]);
    SnWindow second = window(h->second, part[2], (const int32_t *)(void *)part[3]);
    int32_t at = CASE_BESIDE + h->align;
    int8_t *x = (int8_t *)part[4] + at;
    int8_t *b = (int8_t *)part[5] + at;
    int8_t *y = h->in_place == 1 ? x : h->in_place == 2 ? b : (int8_t *)part[6] + at;
    Fn fn = kernel(h->kernel);
    SnFully fully = { .weights = part[0], .bias = (const int32_t *)(void *)part[1] };
    SnAdd add;
    SnSoftmax softmax;

    copy(&fully.n_in, h->layer, sizeof fully - __builtin_offsetof(SnFully, n_in));
    copy(&add, h->layer, sizeof add);
    copy(&softmax, h->layer, sizeof softmax);
    switch (h->op) {
    case CASE_fully:
        ((Fully)fn)(&fully, y, x);
        return;
    case CASE_add:
        ((Add)fn)(&add, y, x, b, h->total);
        return;
    case CASE_softmax:
        ((Softmax)fn)(&softmax, y, x, h->total);
        return;
    default:
        break;
    }
    for (int32_t p = 0; p < h->total; p += h->step) {
        int32_t n = h->total - p < h->step ? h->total - p : h->step;

        if (h->op == CASE_conv) {
            ((Produce)fn)(&l, panel, x, p, n);
            ((Dot)kernel(h->then))(&l, y, panel, p, n);
        } else if (h->op == CASE_depthwise_panel) {
            ((Produce)fn)(&l, panel, x, p, n);
            ((Dot)kernel(h->then))(&second, y, panel, p * l.out_w, n * l.out_w);
        } else
            ((Image)fn)(&l, y, x, p, n);
    }
}

static void complain(const CaseHead *h, const char *what, int32_t at)
{
    SnWindow l = window(h->layer, 0, 0);
    const int32_t n[] = { l.in_h, l.in_w, l.in_c, l.out_h, l.out_w, l.out_c, l.kernel_h, l.kernel_w, l.stride_h, l.stride_w, l.dilation_h, l.dilation_w, l.pad_top, l.pad_left,
                          l.in_row, l.in_col, l.in_chan, l.out_row, l.out_col, l.out_chan, h->step, h->total };

    semihost_print(h->kernel);
    semihost_print(" ");
    semihost_print(h->then);
    semihost_print(what);
    semihost_print_number(at);
    semihost_print(" (in, out, window, stride, dilation, padding, strides of x and y, step, all):");
    for (unsigned i = 0; i < sizeof n / sizeof n[0]; i++) {
        semihost_print(" ");
        semihost_print_number(n[i]);
    }
    semihost_print("\n");
}

/* Weights and activations of any bits; scales are numbers. */
static void random_tile(uint8_t *w, SnQ8 *x, int n_in, int n_tokens)
{
    static uint32_t seed = 1;

    for (int i = 0; i < n_in / SN_GROUP * SN_I4M_BLOCK * 2; i++) {
        seed ^= seed << 13, seed ^= seed >> 17, seed ^= seed << 5;
        w[i] = (uint8_t)(i % 2 ? (seed & 0xbf) : seed);             /* no half is infinite */
    }
    for (int b = 0; b < n_in / SN_GROUP * n_tokens; b++) {
        x[b].d = (float)(seed % 1000) / 30000.0f, x[b].sum = 0;
        for (int i = 0; i < SN_GROUP; i++) {
            seed ^= seed << 13, seed ^= seed >> 17, seed ^= seed << 5;
            x[b].q[i] = (int8_t)((int)(seed >> 8) % 255 - 127);
            x[b].sum += x[b].q[i];
        }
        x[b].ds = x[b].d * (float)x[b].sum;
    }
}

static int same_floats(const float *a, const float *b, int n)
{
    for (int i = 0; i < n; i++)
        if (sn_bits(a[i]) != sn_bits(b[i]))
            return 0;
    return 1;
}

static int32_t check_dots(void)
{
    static float have[4 * SN_ROWS], want[4 * SN_ROWS];
    uint8_t *w = (uint8_t *)memory;
    SnQ8 *x = (SnQ8 *)panel;
    int32_t n_bad = 0;

    for (int n_in = 0; n_in <= 288; n_in += 96) {
        for (int i = 0; dots[i].name; i++) {
            random_tile(w, x, n_in, 1);
            dots[i].fast(have, w, x, n_in, 0);
            dots[i].plain(want, w, x, n_in, 0);
            if (!same_floats(have, want, SN_ROWS)) {
                semihost_print(dots[i].name);
                semihost_print(" has other bits than plain C\n");
                n_bad++;
            }
        }
        for (int i = 0; dots4[i].name; i++) {
            random_tile(w, x, n_in, 4);
            dots4[i].fast(have, w, x, n_in / SN_GROUP, n_in, 0);
            dots4[i].plain(want, w, x, n_in / SN_GROUP, n_in, 0);
            if (!same_floats(have, want, 4 * SN_ROWS)) {
                semihost_print(dots4[i].name);
                semihost_print(" has other bits than plain C\n");
                n_bad++;
            }
        }
    }
    return n_bad;
}

int main(void)
{
    static CaseHead h;
    uint8_t *part[8];
    int32_t n_bad = check_dots();
    int32_t n_cases = 0;
    intptr_t file = semihost_open("cases", "rb");

    while (file >= 0 && semihost_read(file, &h, sizeof h) && h.op != CASE_end) {
        uint8_t *p = (uint8_t *)memory;
        int32_t total = 0;

        for (int i = 0; i < 8; i++) {
            part[i] = p + total;
            total += h.bytes[i];
        }
        if ((unsigned)total > sizeof memory || (unsigned)h.panel_bytes + 16 > sizeof panel || !semihost_read(file, p, (size_t)total))
            semihost_exit(3);
        ((uint8_t *)panel)[h.panel_bytes] = 0x5a;
        run(&h, part);
        n_cases++;
        if (((uint8_t *)panel)[h.panel_bytes] != 0x5a) {
            complain(&h, " writes behind its panel ", 0);
            n_bad++;
        }
        uint8_t *y = part[h.in_place ? 3 + h.in_place : 6];
        for (int32_t i = 0; i < h.bytes[7]; i++)
            if (y[i] != part[7][i]) {
                complain(&h, " differs at byte ", i - CASE_BESIDE - h.align);
                n_bad++;
                break;
            }
        if (n_bad > 20)
            break;
    }
    semihost_print_number(n_cases);
    semihost_print(" cases, ");
    semihost_print_number(n_bad);
    semihost_print(" wrong\n");
    semihost_exit(n_cases && h.op == CASE_end ? n_bad != 0 : 2);
}
