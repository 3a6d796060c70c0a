/* If this fails, a network without the channels that pass `channels` leaves out computes something else, or the pass leaves in what nobody needs.
 *
 * Small networks with channels that never change (weights of zero; biases that the ReLU cuts off), with all weights written down, run in the interpreter before
 * and after. */
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>

#include "compiler/passes/passes.h"

enum { H = 5, W = 4 };

static unsigned seed;

static int pick(int n)
{
    seed = seed * 1664525 + 1013904223;
    return (int)((seed >> 8) % (unsigned)n);
}

typedef struct {
    Buf weights, ops;
    int n_layer;
    int channels;               /* of what was made last */
    const char *last;           /* its name */
    Arena *a;
} Text;

static void numbers(Buf *b, const char *name, int layer, const char *type, int n, const int *x)
{
    buf_printf(b, "weight @%s%d : %s = const [", name, layer, type);
    for (int i = 0; i < n; i++)
        buf_printf(b, "%s%d", i ? ", " : "", x[i]);
    buf_printf(b, "]\n");
}

enum { DEPTHWISE = 1, POINTWISE = 2, WIDE = 3 };

/* A layer of random numbers.  dead: every second channel or so never changes: as zero point, or (other) as another number. */
static void layer(Text *t, int kind, int n_out, bool dead, bool other)
{
    int w[600], b[16], m[16], s[16], i = t->n_layer++, k = kind == POINTWISE ? 1 : 3, n_in = t->channels, n_w = kind == DEPTHWISE ? k * k * n_in : n_out * k * k * n_in;
    const char *name = str_printf(t->a, "y%d", i);

    for (int j = 0; j < n_w; j++)
        w[j] = pick(255) - 127;
    for (int c = 0; c < n_out; c++) {
        bool gone = dead && c % 2, by_bias = gone && pick(2) && !other;

        b[c] = by_bias ? -10000000 : gone ? (other ? 90000 * c : 0) : pick(40000) - 20000;
        m[c] = 1 << 30 | pick(1 << 30);
        s[c] = -9;
        for (int j = 0; gone && !by_bias && j < n_w; j++)
            if (kind == DEPTHWISE ? j % n_in == c : j / (n_w / n_out) == c)
                w[j] = 0;
    }
    numbers(&t->weights, "w", i, kind == DEPTHWISE ? str_printf(t->a, "i8[%d,%d,%d]", k, k, n_in) : str_printf(t->a, "i8[%d,%d,%d,%d]", n_out, k, k, n_in), n_w, w);
    numbers(&t->weights, "b", i, str_printf(t->a, "i32[%d]", n_out), n_out, b);
    numbers(&t->weights, "m", i, str_printf(t->a, "i32[%d]", n_out), n_out, m);
    numbers(&t->weights, "s", i, str_printf(t->a, "i32[%d]", n_out), n_out, s);
    buf_printf(&t->ops, "  %%c%d = %s %%%s, @w%d {stride=[1, 1], pad=[%d, %d, %d, %d], x_zero=-128} : i32[1,%d,%d,%d]\n", i, kind == DEPTHWISE ? "dwconv2d" : "conv2d", t->last, i,
               k / 2, k / 2, k / 2, k / 2, H, W, n_out);
    buf_printf(&t->ops, "  %%d%d = add %%c%d, @b%d : i32[1,%d,%d,%d]\n", i, i, i, H, W, n_out);
    buf_printf(&t->ops, "  %%%s = requant %%d%d, @m%d, @s%d {to=\"i8\", zero=-128, lo=-128, hi=127} : i8[1,%d,%d,%d]\n", name, i, i, i, H, W, n_out);
    t->last = name;
    t->channels = n_out;
}

static Text text_new(Arena *a)
{
    return (Text){ .weights = buf_in(a), .ops = buf_in(a), .channels = 3, .last = "x", .a = a };
}

static Module *finish(Text *t, Diag *d)
{
    Str s = str_of(str_printf(t->a, "module \"test\"\n%.*sfunc @run(%%x: i8[1,%d,%d,3]) -> (i8[1,%d,%d,%d]) {\n%.*s  return %%%s\n}\nentry run() = @run\n", (int)t->weights.n,
                              (char *)t->weights.p, H, W, H, W, t->channels, (int)t->ops.n, (char *)t->ops.p, t->last));
    Module *m = module_parse(t->a, d, "test", s);

    assert_non_null(m);
    assert_true(module_verify(m, d));
    return m;
}

static void run(Module *m, Diag *d, int32_t *y, int n)
{
    int32_t x[H * W * 3];
    Tensor in = { .i = x, .n = H * W * 3 }, out;

    for (unsigned round = 0; round < 3; round++) {
        Interp *ip = interp_new(m, d, 0);

        for (int i = 0; i < H * W * 3; i++)
            x[i] = (int32_t)((unsigned)i * 2654435761u * (round + 1) >> 13) % 256 - 128;
        assert_true(interp_run(ip, &m->entry[0], NULL, &in, 1, &out, 1));
        assert_int_equal(out.n, n);
        memcpy(y + (int)round * n, out.i, (size_t)n * sizeof *y);
        interp_free(ip);
    }
}

/* Runs the pass; the results must stay.  Returns how many channels went. */
static int64_t check_same(Text *t)
{
    FILE *nowhere = fopen("/dev/null", "w");
    Diag *d = diag_new(t->a, stderr);
    Module *m = finish(t, d);
    BuildOptions o = build_options_default();
    Env env = { .opt = &o, .scratch = arena_child(t->a) };
    int n = H * W * t->channels;
    int32_t *want = calloc((size_t)n, 3 * sizeof *want), *have = calloc((size_t)n, 3 * sizeof *have);

    assert_true(nowhere && want && have);
    run(m, d, want, n);
    assert_true(pass_channels(m, &env, diag_new(t->a, nowhere)));
    assert_true(module_verify(m, d));
    run(m, d, have, n);
    assert_memory_equal(want, have, (size_t)n * 3 * sizeof *want);
    free(want);
    free(have);
    fclose(nowhere);
    return module_meta_int(m, "channels.left_out", 0);
}

static void dead_channels_go(void **state)
{
    (void)state;
    for (seed = 1; seed < 40; seed++) {
        Arena *a = arena_new(NULL);
        Text t = text_new(a);
        unsigned kept = seed;

        layer(&t, WIDE, 8, true, false);        /* 4 of 8, as zero point, */
        layer(&t, DEPTHWISE, 8, true, false);   /* the same 4 here, */
        layer(&t, POINTWISE, 6, true, true);    /* 3 as another number, */
        layer(&t, POINTWISE, 5, false, false);  /* which goes into this one's bias */
        assert_true(check_same(&t) >= 4 + 4 + 3);       /* (a channel of random numbers may be dead, too) */
        arena_free(a);
        seed = kept;
    }
}

/* A constant that is not the zero point looks different at the edge, where a convolution with padding sees it. */
static void constants_stay_where_there_is_padding(void **state)
{
    (void)state;
    for (int wide = 0; wide < 2; wide++) {
        Arena *a = arena_new(NULL);
        Text t = text_new(a);

        seed = 7;
        layer(&t, WIDE, 6, true, true);
        layer(&t, wide ? WIDE : DEPTHWISE, 6, false, false);
        layer(&t, POINTWISE, 2, false, false);
        assert_int_equal(check_same(&t), 0);
        arena_free(a);
    }
}

/* Nobody needs what is multiplied with zeros, and what makes it goes too, however alive it is. */
static void what_nobody_reads_goes(void **state)
{
    Arena *a = arena_new(NULL);
    Text t = text_new(a);
    Module *m;
    Diag *d = diag_new(a, stderr);
    BuildOptions o = build_options_default();
    Env env = { .opt = &o, .scratch = arena_child(a) };
    FILE *nowhere = fopen("/dev/null", "w");
    int32_t want[3 * H * W * 2], have[3 * H * W * 2];
    int32_t *w;

    (void)state;
    seed = 3;
    layer(&t, WIDE, 4, false, false);
    layer(&t, DEPTHWISE, 4, false, false);
    layer(&t, POINTWISE, 2, false, false);
    m = finish(&t, d);
    w = (int32_t *)(uintptr_t)module_find_weight(m, str_of("w2"))->expr->ints;
    w[1] = w[5] = 0;                            /* channel 1 of both outputs */
    run(m, d, want, H * W * 2);
    assert_true(nowhere && pass_channels(m, &env, diag_new(a, nowhere)));
    fclose(nowhere);
    assert_true(module_verify(m, d));
    run(m, d, have, H * W * 2);
    assert_memory_equal(want, have, sizeof want);
    assert_int_equal(module_meta_int(m, "channels.left_out", 0), 2);
    arena_free(a);
}

/* What the outside sees keeps its shape, and one channel stays where all are dead. */
static void results_and_the_last_channel_stay(void **state)
{
    Arena *a = arena_new(NULL);
    Text t = text_new(a), u = text_new(a);

    (void)state;
    seed = 5;
    layer(&t, WIDE, 4, true, false);
    assert_int_equal(check_same(&t), 0);
    layer(&u, WIDE, 1, false, false);
    buf_printf(&u.weights, "weight @zero : i32[1] = const [-10000000]\n");
    for (size_t i = 0; i + 3 < u.ops.n; i++)    /* its bias is that one: dead, but the only one */
        if (!memcmp(u.ops.p + i, "@b0", 3))
            u.ops.n = i;
    buf_printf(&u.ops, "@zero : i32[1,%d,%d,1]\n  %%y0 = requant %%d0, @m0, @s0 {to=\"i8\", zero=-128, lo=-128, hi=127} : i8[1,%d,%d,1]\n", H, W, H, W);
    layer(&u, POINTWISE, 3, false, false);
    assert_int_equal(check_same(&u), 0);
    arena_free(a);
}

static void random_networks_compute_the_same(void **state)
{
    int64_t n = 0;

    (void)state;
    for (unsigned i = 0; i < 200; i++) {
        Arena *a = arena_new(NULL);
        Text t = text_new(a);
        int n_layer;

        seed = i * 77 + 1;
        n_layer = 2 + pick(4);
        for (int k = 0; k < n_layer; k++) {
            int kind = 1 + pick(3);

            layer(&t, kind, kind == DEPTHWISE ? t.channels : 1 + pick(6), pick(3) > 0, pick(3) == 0);
        }
        n += check_same(&t);
        arena_free(a);
    }
    assert_true(n > 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dead_channels_go),
        cmocka_unit_test(constants_stay_where_there_is_padding),
        cmocka_unit_test(what_nobody_reads_goes),
        cmocka_unit_test(results_and_the_last_channel_stay),
        cmocka_unit_test(random_networks_compute_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
