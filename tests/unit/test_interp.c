/* If these fail, the meaning of an op has changed: every kernel and pass is compared with the interpreter. */
#include "tests/unit/test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "ir/ir.h"

/* A function over %x (f32, shape of the case) and %i (i32[T]), its result, and what it must be. */
typedef struct {
    const char *name;
    const char *decls;              /* weights and states */
    const char *x;                  /* shape of %x */
    const char *body;               /* ops; the result is %y */
    const char *type;               /* of %y */
    const float *in;
    const int32_t *ids;
    int T, O, n_in;
    const float *want;
    int n_want;
} Case;

#define F(...) (const float[]){ __VA_ARGS__ }, sizeof((const float[]){ __VA_ARGS__ }) / sizeof(float)
#define IN(t, o, ids, ...) (const float[]){ __VA_ARGS__ }, ids, t, o, sizeof((const float[]){ __VA_ARGS__ }) / sizeof(float)
#define IDS(...) (const int32_t[]){ __VA_ARGS__ }

static const Case cases[] = {
    { "add", "", "T,2", "%y = add %x, %x : f32[T,2]", "f32[T,2]", IN(2, 0, IDS(0, 0), 1, 2, 3, -4), F(2, 4, 6, -8) },
    { "a row is added to each row", "weight @b : f32[2] = const [10.0, 20.0]", "T,2", "%y = add %x, @b : f32[T,2]", "f32[T,2]",
      IN(2, 0, IDS(0, 0), 1, 2, 3, 4), F(11, 22, 13, 24) },
    { "one number is multiplied with all", "weight @b : f32[1] = const [-2.0]", "T,2", "%y = mul %x, @b : f32[T,2]", "f32[T,2]",
      IN(2, 0, IDS(0, 0), 1, 2, 3, 4), F(-2, -4, -6, -8) },
    { "sub div max min", "weight @b : f32[4] = const [1.0, 4.0, 2.0, 0.5]", "T,4",
      "%a = sub %x, @b : f32[T,4] %c = div %a, @b : f32[T,4] %d = max %c, %x : f32[T,4] %y = min %d, @b : f32[T,4]", "f32[T,4]",
      IN(1, 0, IDS(0), 3, 8, -6, 0.25f), F(1, 4, -4, 0.25f) },
    { "neg abs relu scale", "", "T,3",
      "%a = neg %x : f32[T,3] %b = relu %a : f32[T,3] %c = scale %b {by=0.5} : f32[T,3] %d = sub %c, %x : f32[T,3] "
      "%y = abs %d : f32[T,3]", "f32[T,3]", IN(1, 0, IDS(0), 4, -4, 0), F(4, 6, 0) },
    { "exp", "", "T,3", "%y = exp %x : f32[T,3]", "f32[T,3]", IN(1, 0, IDS(0), 0, 1, -1), F(1, 2.7182817f, 0.36787944f) },
    { "sqrt", "", "T,2", "%y = sqrt %x : f32[T,2]", "f32[T,2]", IN(1, 0, IDS(0), 2, 9), F(1.4142135f, 3) },
    { "tanh", "", "T,2", "%y = tanh %x : f32[T,2]", "f32[T,2]", IN(1, 0, IDS(0), 0.5f, -20), F(0.46211717f, -1) },
    { "sigmoid", "", "T,3", "%y = sigmoid %x : f32[T,3]", "f32[T,3]", IN(1, 0, IDS(0), 0, 2, -90), F(0.5f, 0.880797f, 8.194013e-40f) },
    { "silu", "", "T,3", "%y = silu %x : f32[T,3]", "f32[T,3]", IN(1, 0, IDS(0), 1, -1, 30), F(0.7310586f, -0.26894143f, 30) },
    { "gelu_tanh", "", "T,3", "%y = gelu_tanh %x : f32[T,3]", "f32[T,3]", IN(1, 0, IDS(0), 1, -1, 3),
      F(0.841192f, -0.158808f, 2.9963627f) },
    { "convert rounds to half, ties to even", "", "T,3", "%a = convert %x {to=\"f16\"} : f16[T,3] %y = dequant %a : f32[T,3]",
      "f32[T,3]", IN(1, 0, IDS(0), 2049, 2051, 0.1f), F(2048, 2052, 0.099975586f) },
    { "convert to integers and back", "", "T,4", "%a = convert %x {to=\"i32\"} : i32[T,4] %b = mul %a, %a : i32[T,4] "
      "%y = convert %b {to=\"f32\"} : f32[T,4]", "f32[T,4]", IN(1, 0, IDS(0), 2.5f, 3.5f, -1.2f, 46341),
      F(4, 16, 1, -2147479040) },
    { "reshape", "", "T,4", "%a = reshape %x {dims=[-1, 2, 2]} : f32[T,2,2] %b = slice %a {axis=2, begin=1, end=2} : f32[T,2,1] "
      "%y = reshape %b {dims=[-1, 2]} : f32[T,2]", "f32[T,2]", IN(2, 0, IDS(0, 0), 1, 2, 3, 4, 5, 6, 7, 8), F(2, 4, 6, 8) },
    { "slice along a middle axis", "", "T,3,2", "%y = slice %x {axis=1, begin=1, end=3} : f32[T,2,2]", "f32[T,2,2]",
      IN(1, 0, IDS(0), 1, 2, 3, 4, 5, 6), F(3, 4, 5, 6) },
    { "last_rows", "", "T,2", "%y = last_rows %x : f32[O,2]", "f32[O,2]", IN(3, 2, IDS(0, 0, 0), 1, 2, 3, 4, 5, 6), F(3, 4, 5, 6) },
    { "rows", "weight @w : f32[3,2] = const [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]", "T,1", "%y = rows @w, %i : f32[T,2]", "f32[T,2]",
      IN(3, 0, IDS(2, 0, 2), 0, 0, 0), F(5, 6, 1, 2, 5, 6) },
    { "matmul", "weight @w : f32[3,2] = const [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]", "T,2", "%y = matmul %x, @w : f32[T,3]", "f32[T,3]",
      IN(2, 0, IDS(0, 0), 1, 10, -1, 1), F(21, 43, 65, 1, 1, 1) },
    { "matmul with a weight per row", "weight @w : f32[2,1,2] = const [1.0, 2.0, 3.0, 4.0]", "T,2",
      "%y = matmul %x, @w, %i : f32[T,1]", "f32[T,1]", IN(3, 0, IDS(1, 0, 1), 1, 1, 1, 1, 2, 1), F(7, 3, 10) },
    { "sums are wider than floats, and in order", "weight @w : f32[1,4] = const [1.0, 1.0, 1.0, 1.0]", "T,4",
      "%y = matmul %x, @w : f32[T,1]", "f32[T,1]", IN(1, 0, IDS(0), 1e9f, 1, -1e9f, 1), F(2) },
    { "rmsnorm", "weight @w : f32[2] = const [1.0, 2.0]", "T,2", "%y = rmsnorm %x, @w {eps=0.0} : f32[T,2]", "f32[T,2]",
      IN(2, 0, IDS(0, 0), 3, 4, 1, 1), F(0.84852815f, 2.2627418f, 1, 2) },
    { "softmax of large numbers", "", "T,2", "%y = softmax %x : f32[T,2]", "f32[T,2]", IN(2, 0, IDS(0, 0), 1000, 1000, 0, 1.0986123f),
      F(0.5f, 0.5f, 0.25f, 0.75f) },
    { "rope_angles", "weight @freq : f32[2] = const [1.0, 0.5]", "T,1",
      "%p = positions : i32[T] %y = rope_angles %p, @freq {mscale=2.0} : f32[T,4]", "f32[T,4]", IN(2, 0, IDS(0, 0), 0, 0),
      F(2, 0, 2, 0, 1.0806046f, 1.682942f, 1.7551651f, 0.9588511f) },
    { "rope turns pairs by quarter and half", "weight @cs : f32[1,4] = const [0.0, 1.0, -1.0, 0.0]", "1,4",
      "%y = rope %x, @cs {head_dim=4, pairing=\"norm\"} : f32[1,4]", "f32[1,4]", IN(1, 0, IDS(0), 1, 2, 3, 4), F(-2, 1, -3, -4) },
    { "rope of halves, of each head, the rest stays", "weight @cs : f32[1,4] = const [0.0, 1.0, -1.0, 0.0]", "1,12",
      "%y = rope %x, @cs {head_dim=6, pairing=\"neox\"} : f32[1,12]", "f32[1,12]",
      IN(1, 0, IDS(0), 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12), F(-3, -2, 1, -4, 5, 6, -9, -8, 7, -10, 11, 12) },
    { "attention sees what is before", "state @k : f32[C,1] kind=kv state @v : f32[C,1] kind=kv", "T,1",
      "%p = positions : i32[T] %z = sub %x, %x : f32[T,1] append @k, %z append @v, %x "
      "%y = attention %x, @k, @v, %p {n_head=1, n_head_kv=1, scale=1.0} : f32[T,1]", "f32[T,1]",
      IN(4, 0, IDS(0, 0, 0, 0), 1, 3, 5, 7), F(1, 2, 3, 4) },
    { "attention with a window of two", "state @k : f32[C,1] kind=kv state @v : f32[C,1] kind=kv", "T,1",
      "%p = positions : i32[T] %z = sub %x, %x : f32[T,1] append @k, %z append @v, %x "
      "%y = attention %x, @k, @v, %p {n_head=1, n_head_kv=1, scale=1.0, window=2} : f32[T,1]", "f32[T,1]",
      IN(4, 0, IDS(0, 0, 0, 0), 1, 3, 5, 7), F(1, 2, 4, 6) },
    { "attention's heads share keys by groups, softcap", "state @k : f16[C,2] kind=kv state @v : f16[C,2] kind=kv", "T,2",
      "%p = positions : i32[T] append @k, %x append @v, %x %q = slice %x {axis=1, begin=0, end=1} : f32[T,1] "
      "%w = reshape %x {dims=[-1, 2]} : f32[T,2] %y = attention %w, @k, @v, %p {n_head=2, n_head_kv=2, scale=0.5, softcap=1.0} "
      ": f32[T,2]", "f32[T,2]", IN(2, 0, IDS(0, 0), 0, 1, 2, 1), F(0, 1, 1.4478553f, 1) },
    { "conv2d: a 2x2 sum with padding below and right, two groups", "weight @w : f32[2,2,2,1] = const [1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, -1.0]",
      "1,2,2,2", "%y = conv2d %x, @w {stride=[1, 1], pad=[0, 0, 1, 1]} : f32[1,2,2,2]", "f32[1,2,2,2]",
      IN(1, 0, IDS(0), 1, 10, 2, 20, 3, 30, 4, 40), F(10, -30, 6, 20, 7, 30, 4, 40) },
    { "conv2d with stride and dilation", "weight @w : f32[1,1,2,1] = const [1.0, 100.0]", "1,1,5,1",
      "%y = conv2d %x, @w {stride=[1, 2], pad=[0, 0, 0, 0], dilation=[1, 2]} : f32[1,1,2,1]", "f32[1,1,2,1]",
      IN(1, 0, IDS(0), 1, 2, 3, 4, 5), F(301, 503) },
    { "dwconv2d: two results for each channel", "weight @w : f32[1,2,4] = const [1.0, 2.0, 3.0, 4.0, 10.0, 20.0, 30.0, 40.0]", "1,1,2,2",
      "%y = dwconv2d %x, @w {stride=[1, 1], pad=[0, 0, 0, 0]} : f32[1,1,1,4]", "f32[1,1,1,4]",
      IN(1, 0, IDS(0), 1, 2, 3, 4), F(31, 62, 126, 168) },
    { "pools see what is inside", "", "1,2,2,1",
      "%a = maxpool %x {window=[2, 2], stride=[1, 1], pad=[1, 1, 0, 0]} : f32[1,2,2,1] "
      "%b = avgpool %x {window=[2, 2], stride=[1, 1], pad=[1, 1, 0, 0]} : f32[1,2,2,1] %y = sub %a, %b : f32[1,2,2,1]", "f32[1,2,2,1]",
      IN(1, 0, IDS(0), -4, 2, 6, 0), F(0, 3, 5, 5) },
    { "integers: conv2d less its zero point, and a mean rounded away from zero", "weight @m : i32[1] = const [1073741824] "
      "weight @s : i32[1] = const [1] weight @w : i8[1,1,2,1] = const [3, -2]", "1,1,2,1",
      "%a = convert %x {to=\"i32\"} : i32[1,1,2,1] %b = requant %a, @m, @s {to=\"i8\", zero=0} : i8[1,1,2,1] "
      "%c = conv2d %b, @w {stride=[1, 1], pad=[0, 0, 0, 1], x_zero=5} : i32[1,1,2,1] "
      "%d = requant %c, @m, @s {to=\"i8\", zero=1, lo=-100, hi=90} : i8[1,1,2,1] "
      "%e = avgpool %d {window=[1, 2], stride=[1, 1], pad=[0, 0, 0, 0]} : i8[1,1,1,1] %y = convert %e {to=\"f32\", zero=-3} : f32[1,1,1,1]",
      "f32[1,1,1,1]", IN(1, 0, IDS(0), 10, -120), F((90 - 100 - 1) / 2 + 3) },
    { "requant: twice rounded, and once", "weight @m : i32[4] = const [1073741824, 1073741824, 1073741824, 1073741824] "
      "weight @s : i32[4] = const [0, -1, -1, -2]", "1,4",
      "%a = convert %x {to=\"i32\"} : i32[1,4] %b = requant %a, @m, @s {to=\"i32\", zero=0} : i32[1,4] "
      "%c = requant %a, @m, @s {to=\"i32\", zero=0, rounding=\"single\"} : i32[1,4] %d = concat %b, %c {axis=0} : i32[2,4] "
      "%y = convert %d {to=\"f32\"} : f32[2,4]", "f32[2,4]", IN(1, 0, IDS(0), -3, 5, -5, 11), F(-1, 2, -1, 2, -1, 1, -1, 1) },
    { "tconv2d: each number spreads its filter, and what lies behind a wide step stays 0", "weight @w : f32[1,1,2,2] = const [1.0, 10.0, 2.0, 20.0]",
      "1,1,2,2", "%y = tconv2d %x, @w {stride=[1, 3], pad=[0, 1, 0, -1]} : f32[1,1,5,1]", "f32[1,1,5,1]",
      IN(1, 0, IDS(0), 1, 2, 3, 4), F(42, 0, 43, 86, 0) },
    { "resize: between pixels, at corners or at middles", "", "1,1,2,1",
      "%a = resize %x {dims=[1, 3], align_corners=1} : f32[1,1,3,1] %b = resize %x {dims=[1, 4], half_pixel=1} : f32[1,1,4,1] "
      "%y = concat %a, %b {axis=2} : f32[1,1,7,1]", "f32[1,1,7,1]", IN(1, 0, IDS(0), 0, 8), F(0, 4, 8, 0, 2, 6, 8) },
    { "quantize: halves away from zero, and clamped", "", "1,5",
      "%a = quantize %x {to=\"i8\", scale=2.0, zero=-3} : i8[1,5] %y = convert %a {to=\"f32\"} : f32[1,5]", "f32[1,5]",
      IN(1, 0, IDS(0), 1, -1, 0.9f, 1000, -1000), F(-2, -4, -3, 127, -128) },
    { "gather by computed places, one of them outside", "weight @i : i32[3] = const [2, 0, 9]", "1,3",
      "%a = gather %x, @i {axis=1} : f32[1,3] %b = argmax %a {axis=1, least=1} : i32[1] %y = gather %a, %b {axis=1} : f32[1,1]", "f32[1,1]",
      IN(1, 0, IDS(0), 4, 2, 7), F(4) },
    { "a state keeps what was stored", "state @s : f32[1,2] kind=var init=const [1.0, 0.5]", "1,2",
      "%a = load @s : f32[1,2] store @s, %x %b = load @s : f32[1,2] %y = sub %b, %a : f32[1,2]", "f32[1,2]", IN(1, 0, IDS(0), 3, 4), F(2, 3.5f) },
    { "log rsqrt floor round", "", "1,2",
      "%a = log %x : f32[1,2] %b = rsqrt %x : f32[1,2] %c = floor %x : f32[1,2] %d = round %x : f32[1,2] "
      "%y = concat %a, %b, %c, %d {axis=1} : f32[1,8]", "f32[1,8]", IN(1, 0, IDS(0), 2.5f, 6.25f),
      F(0.91629073f, 1.8325815f, 0.63245553f, 0.4f, 2, 6, 2, 6) },
    { "clamp pad transpose", "", "1,3",
      "%a = clamp %x {lo=-1.0, hi=1.5} : f32[1,3] %b = pad %a {before=[1, 0], after=[0, 1], value=7.0} : f32[2,4] "
      "%y = transpose %b {perm=[1, 0]} : f32[4,2]", "f32[4,2]", IN(1, 0, IDS(0), -5, 1, 2), F(7, -1, 7, 1, 7, 1.5f, 7, 7) },
    { "sum over the outer and the inner dimension", "", "2,2,2",
      "%y = sum %x {axes=[0, 2]} : f32[1,2,1]", "f32[1,2,1]", IN(1, 0, IDS(0), 1, 2, 3, 4, 10, 20, 30, 40), F(33, 77) },
    { "loop feeds back", "", "T,2", "%y = loop %x, %x {count=3} (%a: f32[T,2], %b: f32[T,2]) { %c = add %a, %b : f32[T,2] yield %c } "
      ": f32[T,2]", "f32[T,2]", IN(1, 0, IDS(0), 1, 10), F(4, 40) },
    { "scan: a running sum, and the rows on the way", "weight @w : f32[1] = const [10.0]", "3,2",
      "%z = slice %x {axis=0, begin=0, end=1} : f32[1,2] %s, %r = scan %z, %x, @w {count=3, carried=1, rows=1} (%a: f32[1,2], %b: f32[1,2], weight %k: f32[1]) "
      "{ %c = add %a, %b : f32[1,2] %d = mul %c, %k : f32[1,2] yield %c, %d } : f32[1,2], f32[3,2] %y = concat %s, %r {axis=0} : f32[4,2]", "f32[4,2]",
      IN(1, 0, IDS(0), 1, 2, 3, 4, 5, 6), F(10, 14, 20, 40, 50, 80, 100, 140) },
    { "fused gives two results", "", "T,2",
      "%a, %b = fused %x {kind=\"row\"} (%p: f32[T,2]) { %c = neg %p : f32[T,2] %d = abs %c : f32[T,2] yield %d, %p } "
      ": f32[T,2], f32[T,2] %y = sub %a, %b : f32[T,2]", "f32[T,2]", IN(1, 0, IDS(0), -1, 1), F(2, 0) },
};

static Module *module_of(Arena *a, Diag *d, const Case *c)
{
    char *text = str_printf(a, "sym T 1..8 sym O 0..8 sym P 0..64 sym C 1..64\n%s\n"
                            "func @f(%%x: f32[%s], %%i: i32[T]) -> (%s) { %s return %%y }\nentry e(T=1..8, O=0..8) = @f", c->decls,
                            c->x, c->type, c->body);

    return module_parse(a, d, c->name, str_of(text));
}

static void ops_mean_what_they_say(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const Case *c = &cases[i];
        Arena *a = arena_new(NULL);
        Diag *d = diag_new(a, stderr);
        Module *m = module_of(a, d, c);
        int64_t val[4] = { c->T, c->O };
        Tensor in[2] = { { .f = (float *)c->in, .n = c->n_in }, { .i = (int32_t *)c->ids, .n = c->T } }, out;
        Interp *ip;

        if (!m)
            print_error("%s\n", c->name);
        assert_non_null(m);
        ip = interp_new(m, d, 16);
        assert_true(interp_run(ip, &m->entry[0], val, in, 2, &out, 1));
        assert_int_equal(out.n, c->n_want);
        for (int k = 0; k < c->n_want; k++) {
            if (!(fabsf(out.f[k] - c->want[k]) <= 2e-6f * fmaxf(1e-30f, fabsf(c->want[k]))))
                print_error("%s: result %d is %.9g, not %.9g\n", c->name, k, (double)out.f[k], (double)c->want[k]);
            assert_true(fabsf(out.f[k] - c->want[k]) <= 2e-6f * fmaxf(1e-30f, fabsf(c->want[k])));
        }
        interp_free(ip);
        arena_free(a);
    }
}

/* State goes on where the last run ended, and is forgotten by a rewind. */
static void state_goes_on(void **state)
{
    static const Case c = { "state", "state @k : f32[C,1] kind=kv state @v : f32[C,1] kind=kv", "T,1",
                            "%p = positions : i32[T] %z = sub %x, %x : f32[T,1] append @k, %z append @v, %x "
                            "%y = attention %x, @k, @v, %p {n_head=1, n_head_kv=1, scale=1.0} : f32[T,1]", "f32[T,1]",
                            NULL, NULL, 1, 0, 1, NULL, 0 };
    Arena *a = arena_new(NULL);
    Diag *d = diag_new(a, NULL);
    Module *m = module_of(a, d, &c);
    Interp *ip = interp_new(m, d, 3);
    int64_t val[4] = { 1, 0 };
    float x[3] = { 2, 4, 6 };
    int32_t ids[1] = { 0 };
    Tensor out;

    (void)state;
    for (int t = 0; t < 3; t++) {
        Tensor in[2] = { { .f = &x[t], .n = 1 }, { .i = ids, .n = 1 } };

        assert_int_equal(interp_n_past(ip), t);
        assert_true(interp_run(ip, &m->entry[0], val, in, 2, &out, 1));
        assert_true(out.f[0] == (float)(2 + t));
    }
    Tensor in[2] = { { .f = x, .n = 1 }, { .i = ids, .n = 1 } };
    assert_false(interp_run(ip, &m->entry[0], val, in, 2, &out, 1));        /* the context of 3 is full */
    assert_non_null(strstr(str_z(a, diag_text(d)), "do not fit a context of 3"));
    interp_rewind(ip, 1);
    assert_true(interp_run(ip, &m->entry[0], val, in, 2, &out, 1));
    assert_true(out.f[0] == 2);
    interp_free(ip);
    arena_free(a);
}

/* What the shapes cannot exclude is an error, never a read outside. */
static void wrong_inputs_are_reported(void **state)
{
    static const Case c = { "ids", "weight @w : f32[3,2] = const [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]", "T,1",
                            "%y = rows @w, %i : f32[T,2]", "f32[T,2]", NULL, NULL, 1, 0, 1, NULL, 0 };
    static const int32_t bad[] = { 3, -1, INT32_MAX };
    Arena *a = arena_new(NULL);
    Diag *d = diag_new(a, NULL);
    Module *m = module_of(a, d, &c);
    Interp *ip = interp_new(m, d, 3);
    int64_t val[4] = { 1, 0 };
    float x[1] = { 0 };
    Tensor out;

    (void)state;
    for (int i = 0; i < 3; i++) {
        Tensor in[2] = { { .f = x, .n = 1 }, { .i = (int32_t *)&bad[i], .n = 1 } };

        assert_false(interp_run(ip, &m->entry[0], val, in, 2, &out, 1));
        assert_int_equal(diag_n_errors(d), i + 1);
    }
    Tensor in[2] = { { .f = x, .n = 1 }, { .i = (int32_t *)&bad[0], .n = 1 } };
    val[0] = 9;
    assert_false(interp_run(ip, &m->entry[0], val, in, 2, &out, 1));        /* T is at most 8 */
    val[0] = 2;
    assert_false(interp_run(ip, &m->entry[0], val, in, 2, &out, 1));        /* one element, not two */
    assert_false(interp_run(ip, &m->entry[0], val, in, 1, &out, 1));
    assert_null(interp_new(m, d, 65));                                      /* C is at most 64 */
    interp_free(ip);
    arena_free(a);
}

/* Weights: what a file's bytes, a fill, a conversion and a permutation are worth. */
static void weight_rows(void **state)
{
    static const uint8_t file[] = { 0xff, 0x00, 0x3c, 0x00, 0x40, 0x00, 0x42, 0x00, 0x44, 0, 0, 0, 0 };      /* halves 1 2 3 4 */
    static const char text[] =
        "file 0 \"m.bin\" digest=00000000000000000000000000000000 bytes=9\n"
        "weight @view : f16[2,2] = view file=0 off=1\n"
        "weight @perm : f32[4,1] = permute_rows perm=rope_half_to_pairs head_dim=4 (const [0.0, 1.0, 2.0, 3.0] : f32[4,1])\n"
        "weight @conv : f16[1,2] = convert (const [2049.0, 0.1] : f32[1,2])\n";
    static const float want[] = { 1, 2, 3, 4, 0, 2, 1, 3, 2048, 0.099975586f };
    Arena *a = arena_new(NULL);
    Diag *d = diag_new(a, NULL);
    Module *m = module_parse(a, d, "weights", str_of(text));
    float y[2];
    int n = 0;

    (void)state;
    assert_non_null(m);
    assert_false(weight_row(m, m->weight[0], 0, y, d));                     /* the file is not there yet */
    m->file[0].p = file;
    for (int i = 0; i < m->n_weight; i++)
        for (int64_t r = 0; r < type_n_rows(m->weight[i]->type); r++) {
            assert_true(weight_row(m, m->weight[i], r, y, d));
            for (int k = 0; k < (int)type_last(m->weight[i]->type)->c; k++)
                assert_true(y[k] == want[n++]);
        }
    assert_int_equal(n, 10);
    assert_false(weight_row(m, m->weight[0], 2, y, d));
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ops_mean_what_they_say),
        cmocka_unit_test(state_goes_on),
        cmocka_unit_test(wrong_inputs_are_reported),
        cmocka_unit_test(weight_rows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
