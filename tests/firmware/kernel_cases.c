/* Cases for the kernels of one unit:   kernel_cases LIST UNIT SEED > cases
 *
 * LIST is what `kernel_reader DIR --list` prints.  For every kernel of the unit's own instruction set that stands in image.h: random layers which its layout
 * can hold, packed as sinter packs them, with what the portable kernels make of them. */
#include "ir/image_layouts.h"
#include "kernel_cases.h"
#include "runtime/kernels/portable.c"

#include <stdlib.h>

typedef struct { char name[48], op[24], layout[24], x[16], panel[16]; } Row;
static Row rows[256];
static int n_rows;
static uint32_t seed;

static uint32_t any(void)
{
    seed ^= seed << 13, seed ^= seed >> 17, seed ^= seed << 5;
    return seed;
}

static int below(int n)
{
    return (int)(any() % (uint32_t)n);
}

static int between(int lo, int hi)
{
    return lo + below(hi - lo + 1);
}

static void value_of(const char *line, const char *key, char *to, size_t n)
{
    char with[32];
    const char *p;

    snprintf(with, sizeof with, "%s=", key);
    for (p = strstr(line, with); p && p[-1] != ' ' && p[-1] != ','; p = strstr(p + 1, with)) {
    }
    size_t len = p ? strcspn(p + strlen(with), ", \n") : 0;

    len = len < n ? len : n - 1;
    memcpy(to, p ? p + strlen(with) : "", len);
    to[len] = 0;
}

static void read_list(const char *path, const char *unit)
{
    char line[512], isa[16], of[16];
    FILE *f = fopen(path, "r");

    for (; f && n_rows < 256 && fgets(line, sizeof line, f);) {
        Row *r = &rows[n_rows];

        value_of(line, "isa", isa, sizeof isa);
        if (sscanf(line, "%15s %47s", of, r->name) != 2 || strcmp(of, unit) || strcmp(isa, unit))
            continue;
        value_of(line, "op", r->op, sizeof r->op);
        value_of(line, "layout", r->layout, sizeof r->layout);
        value_of(line, "x", r->x, sizeof r->x);
        value_of(line, "panel", r->panel, sizeof r->panel);
        n_rows++;
    }
    if (f)
        fclose(f);
}

/* ---- a layer ------------------------------------------------------------------------------------------------------------------ */

typedef struct {
    SnWindow l;
    ImageLayer i;
    int8_t *w;
    int32_t *bias, *mult, *shift;
    int32_t *plain;                     /* channels of the portable kernels */
} Layer;

static void fill(void *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)p)[i] = (uint8_t)any();
}

static void lay(const char *x, int h, int w, int c, int16_t *col, int32_t *row, int32_t *chan)
{
    int gap = below(3), how = !strcmp(x, "nhwc") ? 0 : !strcmp(x, "padded") ? 3 + below(2) : !strcmp(x, "planar") ? 1 + below(2) : below(3);
    int wide = w + (how > 2);

    if (how == 0)
        *chan = 1, *col = (int16_t)(below(4) ? c : c + gap), *row = w * *col + (below(2) ? gap : 0);
    else if (how % 2)
        *col = 1, *row = wide + (how == 1 && below(2) ? gap : 0), *chan = h * *row + 1 + gap;
    else
        *col = 1, *chan = wide + (how > 2 ? 0 : gap), *row = c * *chan;
}

static size_t span(int h, int w, int c, int col, int row, int chan)
{
    return (size_t)((h - 1) * row + (w - 1) * col + (c - 1) * chan + 1);
}

/* Weights, biases, multipliers: of a trained layer's kind, or extremes. */
static void constants(Layer *a, int n_out, int k)
{
    int kind = below(5), scale = 1;         /* 4: small sums, of which many lie halfway between two outputs */
    ImageLayer *i = &a->i;

    a->w = malloc((size_t)(n_out * k) + 1);
    a->bias = malloc(4 * (size_t)n_out), a->mult = malloc(4 * (size_t)n_out), a->shift = malloc(4 * (size_t)n_out);
    for (int e = 0; e < n_out * k; e++)
        a->w[e] = (int8_t)(kind == 0 ? between(-128, 127) : kind == 1 ? (below(2) ? -127 : 127) : kind == 4 ? between(-2, 2) : between(-127, 127) / between(1, 9));
    while (scale * scale < k)
        scale++;
    for (int c = 0; c < n_out; c++) {
        int64_t sum = 0;

        for (int e = 0; e < k; e++)
            sum += a->w[i->depthwise ? e * n_out + c : c * k + e];
        a->bias[c] = (int32_t)(between(-9000, 9000) * (int64_t)scale / 3 - a->i.x_zero * sum);
        a->mult[c] = kind == 0 && below(4) == 0 ? (below(2) ? 0x7fffffff : 0x40000000) : 0x40000000 + (int32_t)(any() >> 2);
        a->shift[c] = kind == 3 && below(20) == 0 ? between(-20, 3) : -between(4, 8) - (scale > 8 ? 2 : scale > 3 ? 1 : 0);
        if (kind == 4)
            a->bias[c] = between(-300, 300), a->mult[c] = 0x40000000, a->shift[c] = -between(1, 4);
        if (kind == 2 && below(30) == 0)
            a->mult[c] = a->shift[c] = 0;
        if (i->fully && c)
            a->mult[c] = a->mult[0], a->shift[c] = a->shift[0];
    }
    i->w = a->w, i->bias = a->bias, i->mult = a->mult, i->shift = a->shift;
    a->plain = malloc(12 * (size_t)n_out);
    for (int c = 0; c < n_out; c++)
        a->plain[3 * c] = a->bias[c], a->plain[3 * c + 1] = a->mult[c], a->plain[3 * c + 2] = a->shift[c];
}

static void range(Layer *a)
{
    int how = below(4);

    a->l.zero = (int8_t)(how < 2 ? -128 : between(-128, 127)), a->l.lo = -128, a->l.hi = 127;
    if (how == 1)
        a->l.lo = (int8_t)between(-128, 0), a->l.hi = (int8_t)between(1, 127);
    if (how == 2)
        a->l.lo = a->l.zero;
}

static void layer_free(Layer *a)
{
    free(a->w), free(a->bias), free(a->mult), free(a->shift), free(a->plain);
}

static void describe(Layer *a)
{
    const SnWindow *l = &a->l;
    ImageLayer *i = &a->i;

    i->n_out = l->out_c, i->kernel_h = l->kernel_h, i->kernel_w = l->kernel_w, i->n_in = i->depthwise ? 1 : l->in_c;
    i->zero = l->zero, i->lo = l->lo, i->hi = l->hi, i->x_zero = l->in_zero, i->w_bits = 8;
    i->stride_h = l->stride_h, i->stride_w = l->stride_w, i->dilation_h = l->dilation_h, i->dilation_w = l->dilation_w;
    i->pad_top = l->pad_top, i->pad_left = l->pad_left;
    i->in_h = l->in_h, i->in_w = l->in_w, i->in_c = l->in_c, i->out_h = l->out_h, i->out_w = l->out_w;
}

static Layer window(const Row *r)
{
    Layer a = { .i = { .depthwise = strstr(r->op, "depthwise") != NULL } };
    bool pool = strstr(r->op, "pool") != NULL, plain = !strcmp(r->op, "pointwise");
    SnWindow *l = &a.l;

    for (;;) {
        int big = below(6) == 0, usual = below(2);

        l->in_h = (int16_t)between(1, 9), l->in_w = (int16_t)(big ? between(1, 50) : usual && below(3) == 0 ? 5 : between(1, 13)), l->in_c = (int16_t)(below(3) ? between(1, 9) : 4 * between(1, big ? 4 : 9));
        l->out_c = (int16_t)(pool ? l->in_c : a.i.depthwise ? l->in_c * (below(4) ? 1 : 2) : between(1, 13));
        l->kernel_h = (uint8_t)(plain ? 1 : usual ? 3 : between(1, 5)), l->kernel_w = (uint8_t)(plain ? 1 : usual ? 3 : between(1, 5));
        l->stride_h = (uint8_t)(plain ? 1 : usual ? between(1, 2) : between(1, 3)), l->stride_w = usual ? l->stride_h : (uint8_t)(plain ? 1 : between(1, 3));
        l->dilation_h = (uint8_t)(plain || pool || usual || below(2) ? 1 : 2), l->dilation_w = (uint8_t)(plain || pool || usual || below(2) ? 1 : 2);
        l->pad_top = (uint8_t)(plain ? 0 : usual ? below(2) : below(l->kernel_h)), l->pad_left = (uint8_t)(plain ? 0 : usual ? below(2) : below(l->kernel_w));
        int h = l->in_h + l->pad_top + (usual ? 1 : below(l->kernel_h)) * !plain - (l->kernel_h - 1) * l->dilation_h - 1;
        int w = l->in_w + l->pad_left + (usual ? 1 : below(l->kernel_w)) * !plain - (l->kernel_w - 1) * l->dilation_w - 1;

        l->out_h = (int16_t)(h / l->stride_h + 1), l->out_w = (int16_t)(w / l->stride_w + 1);
        if (h >= 0 && w >= 0 && (!pool || ((l->out_h - 1) * l->stride_h - l->pad_top < l->in_h && (l->out_w - 1) * l->stride_w - l->pad_left < l->in_w)))
            break;
    }
    lay(r->x, l->in_h, l->in_w, l->in_c, &l->in_col, &l->in_row, &l->in_chan);
    lay("any", l->out_h, l->out_w, l->out_c, &l->out_col, &l->out_row, &l->out_chan);
    l->in_zero = (int8_t)(below(2) ? -128 : between(-128, 127));
    range(&a);
    describe(&a);
    if (!pool)
        constants(&a, l->out_c, (int)(a.i.kernel_h * a.i.kernel_w * a.i.n_in));
    return a;
}

/* The pointwise convolution of a depthwise one's outputs. */
static Layer behind(const Layer *a)
{
    Layer b = { 0 };

    b.l = a->l;
    b.l.in_h = a->l.out_h, b.l.in_w = a->l.out_w, b.l.in_c = a->l.out_c, b.l.out_c = (int16_t)between(1, 9);
    b.l.kernel_h = b.l.kernel_w = b.l.stride_h = b.l.stride_w = b.l.dilation_h = b.l.dilation_w = 1;
    b.l.pad_top = b.l.pad_left = 0, b.l.in_zero = a->l.zero;
    lay("any", b.l.out_h, b.l.out_w, b.l.out_c, &b.l.out_col, &b.l.out_row, &b.l.out_chan);
    range(&b);
    describe(&b);
    constants(&b, b.l.out_c, b.l.in_c);
    return b;
}

/* ---- a case ------------------------------------------------------------------------------------------------------------------- */

typedef struct { uint8_t *p; size_t n; } Part;

static Part part(size_t n)
{
    Part p = { calloc(n + 4, 1), n };

    return p;
}

static Part packed(const ImageLayout *layout, const ImageLayer *i, bool channels)
{
    Part w = part(layout->weight_bytes(i)), c = part(layout->channel_bytes(i));

    layout->pack(i, w.p, c.p);
    free(channels ? w.p : c.p);
    return channels ? c : w;
}

static void write_case(CaseHead *h, Part parts[8])
{
    for (int i = 0; i < 8; i++)
        h->bytes[i] = (int32_t)((parts[i].n + 3) / 4 * 4);
    fwrite(h, sizeof *h, 1, stdout);
    for (int i = 0; i < 8; i++) {
        if (parts[i].p)
            fwrite(parts[i].p, 1, (size_t)h->bytes[i], stdout);
        free(parts[i].p);
    }
}

static void copy_fields(uint8_t *to, const SnWindow *l)
{
    size_t from = offsetof(SnWindow, in_row);

    memcpy(to, (const char *)l + from, sizeof *l - from < CASE_FIELDS ? sizeof *l - from : CASE_FIELDS);
}

static const Row *with_panel(const char *op, const char *panel, const char *x)
{
    const Row *found = NULL;
    int n = 0;

    for (int i = 0; i < n_rows; i++)
        if (!strcmp(rows[i].op, op) && !strcmp(rows[i].panel, panel) && (!x || !strcmp(rows[i].x, x)) && below(++n) == 0)
            found = &rows[i];
    return found;
}

static bool holds(const Row *r, const Layer *a)
{
    const ImageLayout *l = image_layout_find(str_of(r->layout));

    return l && (!l->fits || l->fits(&a->i));
}

/* An image with bytes beside it; where x is padded they are the zero point. */
static Part image(const SnWindow *l, const Row *r, int align)
{
    size_t n = span(l->in_h, l->in_w, l->in_c, l->in_col, l->in_row, l->in_chan);
    Part p = part(n + 2 * CASE_BESIDE + (size_t)align);

    fill(p.p, p.n);
    if (strcmp(r->x, "padded"))
        return p;
    for (int y = 0; y < l->in_h; y++)
        for (int c = 0; c < l->in_c; c++) {
            uint8_t *row = p.p + CASE_BESIDE + align + y * l->in_row + c * l->in_chan;

            row[-1] = row[l->in_w] = (uint8_t)l->in_zero;
        }
    return p;
}

static Part outputs(const SnWindow *l, int align)
{
    Part p = part(span(l->out_h, l->out_w, l->out_c, l->out_col, l->out_row, l->out_chan) + 2 * CASE_BESIDE + (size_t)align);

    fill(p.p, p.n);
    return p;
}

static Part copy(Part a)
{
    Part p = part(a.n);

    memcpy(p.p, a.p, a.n);
    return p;
}

/* Convolutions, pools and chains. */
static bool image_case(const Row *r)
{
    bool pool = strstr(r->op, "pool") != NULL, chain = !strcmp(r->op, "depthwise_panel"), conv = !strcmp(r->op, "im2col") || !strcmp(r->op, "dot_panel");
    const Row *producer = strcmp(r->op, "dot_panel") ? r : with_panel("im2col", r->panel, NULL);
    const Row *dot = conv && producer == r && strcmp(r->op, "dot_panel") ? with_panel("dot_panel", r->panel, NULL) : chain ? with_panel("dot_panel", r->panel, NULL) : r;
    CaseHead h = { .align = below(4) };
    Part parts[8] = { { 0 } };

    if (!producer || !dot)
        return false;
    for (int tries = 0;; tries++) {
        Layer a = window(producer), b = { 0 };
        SnWindow *l = &a.l, *last = l;
        bool fits = pool || holds(chain ? r : dot, &a);

        if (chain) {
            b = behind(&a), last = &b.l;
            fits = fits && holds(dot, &b);
        }
        if (!fits) {
            layer_free(&a), layer_free(&b);
            if (tries > 200000)
                return false;
            continue;
        }
        h.op = conv ? CASE_conv : chain ? CASE_depthwise_panel : !strcmp(r->op, "pointwise") ? CASE_pointwise : CASE_image;
        h.total = l->out_h * (h.op == CASE_conv || h.op == CASE_pointwise ? l->out_w : 1);
        h.step = below(2) ? h.total : between(1, h.total);
        if (h.op == CASE_conv && below(2) && h.step > 12)
            h.step = 12;
        snprintf(h.kernel, sizeof h.kernel, "%s", producer->name);
        snprintf(h.then, sizeof h.then, "%s", conv || chain ? dot->name : "");
        if (conv || chain) {
            int64_t k = chain ? last->in_c : l->kernel_h * l->kernel_w * l->in_c;

            h.panel_bytes = (int32_t)image_panel_bytes(str_of(dot->panel), k, chain ? h.step * l->out_w : h.step);
        }
        copy_fields(h.layer, l), copy_fields(h.second, last);
        if (!pool) {
            const ImageLayout *layout = image_layout_find(str_of((chain ? r : dot)->layout));

            parts[0] = packed(layout, &a.i, false), parts[1] = packed(layout, &a.i, true);
        }
        if (chain) {
            const ImageLayout *layout = image_layout_find(str_of(dot->layout));

            parts[2] = packed(layout, &b.i, false), parts[3] = packed(layout, &b.i, true);
        }
        parts[4] = image(l, producer, h.align);
        parts[6] = outputs(last, h.align), parts[7] = copy(parts[6]);
        const int8_t *x = (int8_t *)parts[4].p + CASE_BESIDE + h.align;
        int8_t *want = (int8_t *)parts[7].p + CASE_BESIDE + h.align;
        int8_t *panel = malloc((size_t)(l->out_h * l->out_w * (l->kernel_h * l->kernel_w * l->in_c + last->in_c + l->out_c)));

        l->weights = a.w, l->channels = a.plain, b.l.weights = b.w, b.l.channels = b.plain;
        if (conv || h.op == CASE_pointwise) {
            sn_im2col_rows(l, panel, x, 0, l->out_h * l->out_w);
            sn_dot_rows(l, want, panel, 0, l->out_h * l->out_w);
        } else if (chain) {
            sn_depthwise_panel_taps(l, panel, x, 0, l->out_h);
            sn_dot_rows(last, want, panel, 0, l->out_h * l->out_w);
        } else
            (!strcmp(r->op, "avgpool") ? sn_avgpool : !strcmp(r->op, "maxpool") ? sn_maxpool : sn_depthwise_taps)(l, want, x, 0, l->out_h);
        free(panel);
        write_case(&h, parts);
        layer_free(&a), layer_free(&b);
        return true;
    }
}

static bool fully_case(const Row *r)
{
    const ImageLayout *layout = image_layout_find(str_of(r->layout));
    CaseHead h = { .op = CASE_fully, .align = below(4) };

    for (int tries = 0; tries < 2000; tries++) {
        Layer a = { .i = { .fully = true, .kernel_h = 1, .kernel_w = 1, .n_in = between(1, below(3) ? 40 : 300), .n_out = between(1, 20), .x_zero = between(-128, 127) } };
        Part parts[8] = { { 0 } };
        SnFully l = { .n_in = (int32_t)a.i.n_in, .n_out = (int32_t)a.i.n_out };

        range(&a);
        a.i.zero = a.l.zero, a.i.lo = a.l.lo, a.i.hi = a.l.hi, a.i.w_bits = 8;
        a.i.stride_h = a.i.stride_w = a.i.dilation_h = a.i.dilation_w = a.i.in_h = a.i.in_w = a.i.out_h = a.i.out_w = 1, a.i.in_c = a.i.n_in;
        constants(&a, l.n_out, l.n_in);
        if (!layout || (layout->fits && !layout->fits(&a.i))) {
            layer_free(&a);
            continue;
        }
        l.mult = a.mult[0], l.shift = (int8_t)a.shift[0], l.zero = a.l.zero, l.lo = a.l.lo, l.hi = a.l.hi, l.weights = a.w, l.bias = a.bias;
        snprintf(h.kernel, sizeof h.kernel, "%s", r->name);
        memcpy(h.layer, &l.n_in, sizeof l - offsetof(SnFully, n_in));
        parts[0] = packed(layout, &a.i, false), parts[1] = packed(layout, &a.i, true);
        parts[4] = part((size_t)l.n_in + 2 * CASE_BESIDE + (size_t)h.align), parts[6] = part((size_t)l.n_out + 2 * CASE_BESIDE + (size_t)h.align);
        fill(parts[4].p, parts[4].n), fill(parts[6].p, parts[6].n);
        parts[7] = copy(parts[6]);
        sn_fully(&l, (int8_t *)parts[7].p + CASE_BESIDE + h.align, (int8_t *)parts[4].p + CASE_BESIDE + h.align);
        write_case(&h, parts);
        layer_free(&a);
        return true;
    }
    return false;
}

/* add and softmax: n numbers, y also over an operand. */
static bool numbers_case(const Row *r)
{
    bool add = !strcmp(r->op, "add");
    CaseHead h = { .op = add ? CASE_add : CASE_softmax, .align = below(4), .total = between(1, below(4) ? 40 : 300), .in_place = below(add ? 3 : 2) };
    Part parts[8] = { { 0 } };
    size_t at = (size_t)(CASE_BESIDE + h.align);
    SnAdd l = { 0x40000000 + (int32_t)(any() >> 2), 0x40000000 + (int32_t)(any() >> 2), 0x40000000 + (int32_t)(any() >> 2), (int8_t)-between(0, 5), (int8_t)-between(0, 5),
                (int8_t)-between(17, 20), 20, (int8_t)any(), (int8_t)any(), (int8_t)any(), (int8_t)(below(2) ? -128 : -50), (int8_t)(below(2) ? 127 : 50) };
    SnSoftmax s = { 0x40000000 + (int32_t)(any() >> 2), -248, (int8_t)between(20, 24) };

    int halved = below(3);              /* as TensorFlow Lite scales sums: one operand's multiplier is a half */

    if (halved == 1)
        l.a_mult = 1 << 30, l.a_shift = 0;
    if (halved == 2)
        l.b_mult = 1 << 30, l.b_shift = 0;
    s.diff_min = (int16_t)-(int)(31.0 * (1 << 26) / (1 << s.shift));
    snprintf(h.kernel, sizeof h.kernel, "%s", r->name);
    memcpy(h.layer, add ? (void *)&l : (void *)&s, add ? sizeof l : sizeof s);
    for (int i = 4; i < 7; i++) {
        parts[i] = part((size_t)h.total + 2 * at);
        fill(parts[i].p, parts[i].n);
    }
    parts[7] = copy(parts[h.in_place ? 3 + h.in_place : 6]);
    if (add)
        sn_add(&l, (int8_t *)parts[7].p + at, (int8_t *)parts[4].p + at, (int8_t *)parts[5].p + at, h.total);
    else
        sn_softmax_int(&s, (int8_t *)parts[7].p + at, (int8_t *)parts[4].p + at, h.total);
    write_case(&h, parts);
    return true;
}

int main(int argc, char **argv)
{
    static const char *const images[] = { "im2col", "dot_panel", "pointwise", "depthwise", "depthwise_panel", "avgpool", "maxpool", NULL };
    CaseHead end = { .op = CASE_end };

    if (argc != 5) {
        fprintf(stderr, "usage: kernel_cases LIST UNIT SEED CASES\n");
        return 2;
    }
    seed = (uint32_t)strtoul(argv[3], NULL, 0) * 2654435761u + 1;
    read_list(argv[1], argv[2]);
    for (int i = 0; i < n_rows; i++) {
        bool image = false;

        for (int k = 0; images[k]; k++)
            image |= !strcmp(rows[i].op, images[k]);
        for (int round = 0; round < atoi(argv[4]); round++) {
            bool made = image ? image_case(&rows[i]) : !strcmp(rows[i].op, "fully") ? fully_case(&rows[i])
                        : !strcmp(rows[i].op, "add") || !strcmp(rows[i].op, "softmax_int") ? numbers_case(&rows[i]) : true;

            if (!made) {
                fprintf(stderr, "kernel_cases: no layer for %s\n", rows[i].name);
                return 1;
            }
        }
    }
    fwrite(&end, sizeof end, 1, stdout);
    return n_rows == 0 || ferror(stdout) || fflush(stdout);
}
