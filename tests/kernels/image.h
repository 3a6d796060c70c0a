/* Kernels of integer networks, and the same of floats, against their definitions (runtime/kernels/image.h): random layers of every shape.
 * Included by test_kernels.c.
 *
 * The truth is taken element by element from the formulas: no panels, rounding by division of wide integers. */

/* A layer with everything that belongs to it: images with guards of 64 bytes around them, strides with gaps. */
typedef struct {
    SnWindow l;
    int n_groups;
    bool floats;
    int in_bytes, out_bytes;        /* of the images, from element (0, 0, 0) on */
    int8_t *x, *y, *want;
    int32_t *channels;
    void *weights;
    float lo, hi;
} Layer;

enum { IMAGE_GUARD = 64 };

static int upto(int n)              /* 1 .. n */
{
    return 1 + (int)(random_u32() % (uint32_t)n);
}

static int64_t divided(int64_t v, int64_t by)   /* rounded down */
{
    return v >= 0 ? v / by : -((-v + by - 1) / by);
}

static int true_rescale(int64_t v, int64_t m, int s)
{
    int64_t high = divided((int64_t)(int32_t)(uint32_t)(v * (s > 0 ? 1ll << s : 1)) * m * 2 + (1ll << 31), 1ll << 32), unit = 1ll << (s < 0 ? -s : 0);
    int64_t size = divided(2 * (high < 0 ? -high : high) + unit, 2 * unit);

    return (int)(high < 0 ? -size : size);
}

static int limited(int64_t v, int lo, int hi)
{
    return (int)(v < lo ? lo : v > hi ? hi : v);
}

/* Bytes from one element to the next along each axis, for nhwc, planes or lines, with gaps: `size` is the span of it all. */
static void lay(int h, int w, int c, int unit, int16_t *col, int32_t *row, int32_t *chan, int *size)
{
    int gap = unit * (int)(random_u32() % 3);

    switch (random_u32() % 3) {
    case 0: *chan = unit; *col = (int16_t)(c * unit); *row = w * *col + gap; break;
    case 1: *col = (int16_t)unit; *row = w * unit + gap; *chan = h * *row + gap; break;
    default: *col = (int16_t)unit; *chan = w * unit + gap; *row = c * *chan; break;
    }
    *size = (h - 1) * *row + (w - 1) * *col + (c - 1) * *chan + unit;
}

static void *filled(size_t n)
{
    uint8_t *p = malloc(n + 1);

    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)random_u32();
    return p;
}

static float *floats(int n)
{
    float *p = malloc(((size_t)n + 1) * sizeof *p);

    for (int i = 0; i < n; i++)
        p[i] = random_unit();
    return p;
}

static int weights_of(const Layer *a, const char *op)
{
    int n = a->l.kernel_h * a->l.kernel_w;

    return strstr(op, "pool") ? 0 : strstr(op, "depthwise") ? n * a->l.out_c : n * a->l.out_c * (a->l.in_c / a->n_groups);
}

/* What channels need: bias, multiplier and shift, with the zero point's part in the bias. */
static int32_t *image_channels(const Layer *a, const char *op)
{
    int32_t *q = malloc(12 * (size_t)a->l.out_c);
    bool depthwise = strstr(op, "depthwise") != NULL;
    int n = weights_of(a, op) / a->l.out_c;

    for (int c = 0; c < a->l.out_c; c++) {
        int64_t sum = 0;

        for (int k = 0; k < n; k++)
            sum += ((int8_t *)a->weights)[depthwise ? k * a->l.out_c + c : c * n + k];
        q[3 * c] = (int32_t)((int64_t)(random_unit() * 2000) - a->l.in_zero * sum);
        q[3 * c + 1] = random_u32() % 8 ? (int32_t)(0x40000000u + random_u32() / 4) : (int32_t)(random_u32() / 2);
        q[3 * c + 2] = random_u32() % 8 ? -3 - (int)(random_u32() % 8) : (int)(random_u32() % 40) - 31;
    }
    return q;
}

static Layer image_layer(const Row *k)
{
    Layer a = { .n_groups = 1, .floats = strstr(k->op, "f32") != NULL };
    SnWindow *l = &a.l;
    bool depthwise = strstr(k->op, "depthwise") != NULL, pool = strstr(k->op, "pool") != NULL, plain = !strcmp(k->op, "pointwise");
    int unit = a.floats ? 4 : 1;

    do {
        l->in_h = (int16_t)upto(9), l->in_w = (int16_t)upto(9);
        l->in_c = l->out_c = (int16_t)upto(7);
        if (!pool)
            l->out_c = (int16_t)(depthwise ? l->in_c * upto(2) : upto(7));
        a.n_groups = 1;
        if (strstr(k->op, "conv_"))
            a.n_groups = upto(3), l->in_c = (int16_t)(l->in_c * a.n_groups), l->out_c = (int16_t)(l->out_c * a.n_groups);
        l->kernel_h = (uint8_t)(plain ? 1 : upto(5)), l->kernel_w = (uint8_t)(plain ? 1 : upto(5));
        l->stride_h = (uint8_t)(plain ? 1 : upto(3)), l->stride_w = (uint8_t)(plain ? 1 : upto(3));
        l->dilation_h = (uint8_t)(plain || pool ? 1 : upto(2)), l->dilation_w = (uint8_t)(plain || pool ? 1 : upto(2));
        l->pad_top = (uint8_t)(plain ? 0 : random_u32() % l->kernel_h), l->pad_left = (uint8_t)(plain ? 0 : random_u32() % l->kernel_w);
        l->out_h = (int16_t)divided(l->in_h + 2 * l->pad_top - (l->kernel_h - 1) * l->dilation_h - 1, l->stride_h);
        l->out_w = (int16_t)divided(l->in_w + 2 * l->pad_left - (l->kernel_w - 1) * l->dilation_w - 1, l->stride_w);
        l->out_h++, l->out_w++;
        /* a window in the padding alone has no mean */
    } while (l->out_h < 1 || l->out_w < 1 || (pool && ((l->out_h - 1) * l->stride_h - l->pad_top >= l->in_h || (l->out_w - 1) * l->stride_w - l->pad_left >= l->in_w)));
    lay(l->in_h, l->in_w, l->in_c, unit, &l->in_col, &l->in_row, &l->in_chan, &a.in_bytes);
    lay(l->out_h, l->out_w, l->out_c, unit, &l->out_col, &l->out_row, &l->out_chan, &a.out_bytes);
    l->in_zero = (int8_t)random_u32(), l->zero = (int8_t)random_u32();
    l->lo = (int8_t)(random_u32() % 2 ? -128 : (int)(random_u32() % 100) - 128), l->hi = (int8_t)(random_u32() % 2 ? 127 : (int)(random_u32() % 100) + 27);
    a.lo = random_u32() % 2 ? -0.5f : -INFINITY, a.hi = random_u32() % 2 ? 0.75f : INFINITY;
    a.x = a.floats ? (int8_t *)floats(a.in_bytes / 4) : filled((size_t)a.in_bytes);
    a.y = filled((size_t)a.out_bytes + 2 * IMAGE_GUARD), a.want = malloc((size_t)a.out_bytes + 2 * IMAGE_GUARD);
    memcpy(a.want, a.y, (size_t)a.out_bytes + 2 * IMAGE_GUARD);
    if (!pool) {
        a.weights = a.floats ? (void *)floats(weights_of(&a, k->op)) : filled((size_t)weights_of(&a, k->op));
        a.channels = a.floats ? (int32_t *)(random_u32() % 4 ? floats(l->out_c) : NULL) : image_channels(&a, k->op);
    }
    l->weights = a.weights, l->channels = a.channels;
    return a;
}

static void image_free(Layer *a)
{
    free(a->x), free(a->y), free(a->want), free(a->weights), free(a->channels);
}

static float float_at(const void *p, int i)
{
    float v;

    memcpy(&v, (const char *)p + 4 * i, 4);
    return v;
}

/* What output (i, j, c) is, by definition. */
static double true_output(const Layer *a, const char *op, int i, int j, int c)
{
    const SnWindow *l = &a->l;
    bool depthwise = strstr(op, "depthwise") != NULL, pool = strstr(op, "pool") != NULL, max = strstr(op, "max") != NULL;
    int n_in = depthwise || pool ? 1 : l->in_c / a->n_groups, count = 0;
    int first = pool ? c : depthwise ? c / (l->out_c / l->in_c) : c / (l->out_c / a->n_groups) * n_in;
    double sum = 0;

    for (int u = 0; u < l->kernel_h; u++)
        for (int v = 0; v < l->kernel_w; v++)
            for (int k = 0; k < n_in; k++) {
                int y = i * l->stride_h + u * l->dilation_h - l->pad_top, z = j * l->stride_w + v * l->dilation_w - l->pad_left;
                int w = (u * l->kernel_w + v) * (depthwise ? l->out_c : n_in) + (depthwise ? c : c * l->kernel_h * l->kernel_w * n_in + k);
                bool inside = y >= 0 && y < l->in_h && z >= 0 && z < l->in_w;
                const int8_t *at = a->x + (inside ? y * l->in_row + z * l->in_col + (first + k) * l->in_chan : 0);
                double x = inside ? a->floats ? (double)float_at(at, 0) : *at : a->floats ? 0 : l->in_zero;

                if (pool && !inside)
                    continue;
                if (pool)
                    sum = max ? count && sum > x ? sum : x : sum + x;
                else
                    sum += x * (a->floats ? (double)float_at(a->weights, w) : ((int8_t *)a->weights)[w]);
                count++;
            }
    if (a->floats) {
        sum = pool ? max ? sum : sum / count : sum + (a->channels ? (double)float_at(a->channels, c) : 0);
        return sum < (double)a->lo ? (double)a->lo : sum > (double)a->hi ? (double)a->hi : sum;
    }
    if (pool)
        return limited(max ? (int64_t)sum : (int64_t)round(sum / count), l->lo, l->hi);
    return limited(l->zero + (int64_t)true_rescale((int32_t)(uint32_t)((int64_t)sum + a->channels[3 * c]), a->channels[3 * c + 1], a->channels[3 * c + 2]),
                   l->lo, l->hi);
}

static void true_image(const Layer *a, const char *op)
{
    const SnWindow *l = &a->l;

    for (int i = 0; i < l->out_h; i++)
        for (int j = 0; j < l->out_w; j++)
            for (int c = 0; c < l->out_c; c++) {
                int8_t *to = a->want + IMAGE_GUARD + i * l->out_row + j * l->out_col + c * l->out_chan;
                double v = true_output(a, op, i, j, c);
                float f = (float)v;

                if (a->floats)
                    memcpy(to, &f, sizeof f);
                else
                    *to = (int8_t)v;
            }
}

/* Bytes equal outside of the outputs; these equal, floats nearly. */
static bool image_equal(const Layer *a)
{
    const SnWindow *l = &a->l;
    int8_t *y = a->y + IMAGE_GUARD, *want = a->want + IMAGE_GUARD;

    for (int i = 0; a->floats && i < l->out_h; i++)
        for (int j = 0; j < l->out_w; j++)
            for (int c = 0; c < l->out_c; c++) {
                int at = i * l->out_row + j * l->out_col + c * l->out_chan;

                if (fabs((double)float_at(y + at, 0) - (double)float_at(want + at, 0)) > 1e-5)
                    return false;
                memcpy(y + at, want + at, 4);
            }
    return !memcmp(a->y, a->want, (size_t)a->out_bytes + 2 * IMAGE_GUARD);
}

typedef void (*PanelFn)(const SnWindow *, void *, const int8_t *, int32_t, int32_t);
typedef void (*ToPanelFn)(const SnWindow *, int8_t *, const void *, int32_t, int32_t);
typedef void (*ImageFn)(const void *, int8_t *, const int8_t *, int32_t, int32_t);

/* The panel that im2col makes, and a dot of it; here both at once, a few positions at a time. */
static void run_panel(const Layer *a)
{
    int n = a->l.out_h * a->l.out_w, step = upto(n), k = a->l.kernel_h * a->l.kernel_w * a->l.in_c;
    int8_t *panel = malloc((size_t)(step * k) + 1);

    for (int p = 0; p < n; p += step) {
        int m = n - p < step ? n - p : step;

        sn_im2col_rows(&a->l, panel, a->x, p, m);
        sn_dot_rows(&a->l, a->y + IMAGE_GUARD, panel, p, m);
    }
    free(panel);
}

/* A depthwise convolution into a panel: read back where the panel says. */
static void run_depthwise_panel(const Layer *a, const Row *k)
{
    int n = a->l.out_w * a->l.out_c, rows = upto(a->l.out_h);
    int8_t *panel = malloc((size_t)(rows * n));

    for (int i = 0; i < a->l.out_h; i += rows) {
        int m = a->l.out_h - i < rows ? a->l.out_h - i : rows;

        ((PanelFn)k->fn)(&a->l, panel, a->x, i, m);
        for (int e = 0; e < m * n; e++)
            a->y[IMAGE_GUARD + (i + e / n) * a->l.out_row + e % n / a->l.out_c * a->l.out_col + e % a->l.out_c * a->l.out_chan] = panel[e];
    }
    free(panel);
}

static void test_image(const Row *k)
{
    for (int round = 0; round < 400; round++) {
        Layer a = image_layer(k);
        SnGrouped grouped = { a.l, a.n_groups };
        SnWindowF32 real = { a.l, a.n_groups, a.lo, a.hi };
        const void *layer = a.floats ? (void *)&real : !strcmp(k->op, "conv_groups") ? (void *)&grouped : (void *)&a.l;
        int per = !strcmp(k->op, "pointwise") ? a.l.out_w : 1, n = a.l.out_h * per, step = upto(n);

        true_image(&a, k->op);
        if (!strcmp(k->op, "im2col") || !strcmp(k->op, "dot_panel"))
            run_panel(&a);
        else if (!strcmp(k->op, "depthwise_panel"))
            run_depthwise_panel(&a, k);
        else
            for (int i = 0; i < n; i += step)
                ((ImageFn)k->fn)(layer, a.y + IMAGE_GUARD, a.x, i, n - i < step ? n - i : step);
        CHECK(image_equal(&a), "%dx%dx%d -> %dx%dx%d, window %dx%d, stride %dx%d, dilation %dx%d, %d groups", a.l.in_h, a.l.in_w, a.l.in_c,
              a.l.out_h, a.l.out_w, a.l.out_c, a.l.kernel_h, a.l.kernel_w, a.l.stride_h, a.l.stride_w, a.l.dilation_h, a.l.dilation_w, a.n_groups);
        image_free(&a);
    }
}

static void test_fully(const Row *k)
{
    for (int round = 0; round < 200; round++) {
        int n_in = upto(70), n_out = upto(20);
        int8_t *w = filled((size_t)(n_in * n_out)), *x = filled((size_t)n_in), *y = filled((size_t)n_out + 2);
        int8_t first = y[0], last = y[n_out + 1];
        int32_t *bias = filled(4 * (size_t)n_out);
        SnFully l = { w, bias, n_in, n_out, (int32_t)(random_u32() / 2), (int8_t)(-(int)(random_u32() % 12)), (int8_t)random_u32(), -120, 110 };

        for (int c = 0; c < n_out; c++)
            bias[c] /= 1 << 14;
        ((void (*)(const SnFully *, int8_t *, const int8_t *))k->fn)(&l, y + 1, x);
        for (int c = 0; c < n_out; c++) {
            int64_t sum = bias[c];

            for (int i = 0; i < n_in; i++)
                sum += w[c * n_in + i] * x[i];
            CHECK(y[c + 1] == limited(l.zero + (int64_t)true_rescale(sum, l.mult, l.shift), l.lo, l.hi), "output %d of %d x %d", c, n_out, n_in);
        }
        CHECK(y[0] == first && y[n_out + 1] == last, "writes beside its %d outputs", n_out);
        free(w), free(x), free(y), free(bias);
    }
}

static void test_fully_f32(const Row *k)
{
    for (int round = 0; round < 50; round++) {
        int n_in = upto(70), n_out = upto(20);
        float *w = floats(n_in * n_out), *x = floats(n_in), *y = floats(n_out + 1), *bias = round % 3 ? floats(n_out) : NULL, last = y[n_out];
        SnFullyF32 l = { w, bias, n_in, n_out, -1, 2 };

        ((void (*)(const SnFullyF32 *, float *, const float *))k->fn)(&l, y, x);
        for (int c = 0; c < n_out; c++) {
            double sum = bias ? (double)bias[c] : 0;

            for (int i = 0; i < n_in; i++)
                sum += (double)w[c * n_in + i] * (double)x[i];
            sum = sum < -1 ? -1 : sum > 2 ? 2 : sum;
            CHECK(fabs((double)y[c] - sum) < 1e-5, "output %d of %d x %d", c, n_out, n_in);
        }
        CHECK(y[n_out] == last, "writes beside its %d outputs", n_out);
        free(w), free(x), free(y), free(bias);
    }
}

static void test_add_i8(const Row *k)
{
    for (int round = 0; round < 200; round++) {
        int n = upto(80);
        int8_t *a = filled((size_t)n), *b = filled((size_t)n), *y = round % 3 == 0 ? a : round % 3 == 1 ? b : filled((size_t)n);
        int8_t *a_was = malloc((size_t)n), *b_was = malloc((size_t)n);
        SnAdd l = { (int32_t)(random_u32() / 4 + 0x40000000u), (int32_t)(random_u32() / 4 + 0x40000000u), (int32_t)(random_u32() / 4 + 0x40000000u),
                    (int8_t)-(int)(random_u32() % 6), (int8_t)-(int)(random_u32() % 6), (int8_t)(-17 - (int)(random_u32() % 4)), 20,
                    (int8_t)random_u32(), (int8_t)random_u32(), (int8_t)random_u32(), -128, (int8_t)(random_u32() % 2 ? 127 : 50) };

        memcpy(a_was, a, (size_t)n), memcpy(b_was, b, (size_t)n);
        ((void (*)(const SnAdd *, int8_t *, const int8_t *, const int8_t *, int32_t))k->fn)(&l, y, a, b, n);
        for (int i = 0; i < n; i++) {
            int64_t v = true_rescale((a_was[i] - l.a_zero) * (1ll << 20), l.a_mult, l.a_shift);
            int64_t w = true_rescale((b_was[i] - l.b_zero) * (1ll << 20), l.b_mult, l.b_shift);

            CHECK(y[i] == limited(l.zero + (int64_t)true_rescale(v + w, l.mult, l.shift), l.lo, l.hi), "number %d of %d", i, n);
        }
        if (y != a && y != b)
            free(y);
        free(a), free(b), free(a_was), free(b_was);
    }
}

/* Near the real function, and one in all: that it is gemmlowp's to the bit, recorded models say. */
static void test_softmax_int(const Row *k)
{
    for (int round = 0; round < 200; round++) {
        int n = upto(round % 10 ? 40 : 4096), s = 20 + (int)(random_u32() % 5), sum = 0;
        SnSoftmax l = { (int32_t)(random_u32() / 4 + 0x40000000u), 0, (int8_t)s };
        int8_t *x = filled((size_t)n), *y = malloc((size_t)n);
        double scale = ldexp((double)l.mult, s - 31 - 26), all = 0;
        int max = -128;

        l.diff_min = (int16_t)-floor(31.0 * (1 << 26) / (1 << s));
        for (int i = 0; i < n; i++)
            max = x[i] > max ? x[i] : max;
        for (int i = 0; i < n; i++)
            all += exp((x[i] - max) * scale);
        ((void (*)(const SnSoftmax *, int8_t *, const int8_t *, int32_t))k->fn)(&l, y, x, n);
        for (int i = 0; i < n; i++) {
            double want = 256 * exp((x[i] - max) * scale) / all - 128;

            CHECK(fabs(fmin(want, 127) - y[i]) < 0.51, "number %d of %d is %d, not %g", i, n, y[i], want);
            sum += y[i] + 128;
        }
        CHECK(n > 40 || abs(sum - 256) <= 1 + n / 2, "%d numbers are %d / 256 in all", n, sum);
        free(x), free(y);
    }
}

static void test_softmax_f32(const Row *k)
{
    for (int round = 0; round < 50; round++) {
        int n = upto(60);
        float *x = floats(n), *y = floats(n);
        double max = -INFINITY, all = 0;

        for (int i = 0; i < n; i++)
            x[i] *= 20, max = (double)x[i] > max ? (double)x[i] : max;
        for (int i = 0; i < n; i++)
            all += exp((double)x[i] - max);
        ((void (*)(float *, const float *, int32_t))k->fn)(y, x, n);
        for (int i = 0; i < n; i++)
            CHECK(fabs((double)y[i] - exp((double)x[i] - max) / all) < 1e-6, "number %d of %d", i, n);
        free(x), free(y);
    }
}
