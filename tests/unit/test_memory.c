/* If this fails, two buffers lie on one another while both are needed: the emitted program computes
 * with what another stage has left there.
 *
 * The plan is followed, not recomputed: memory is an array with the name of who wrote each 4 bytes
 * last.  Stages run in order, through calls; each operand must still be what its producer wrote,
 * where the stage looks for it.  Only the places that pass memory wrote down are used, none of its
 * functions. */
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>

#include "codegen/codegen.h"
#include "compiler/passes/passes.h"
#include "tests/random_module.h"

enum { MAX_VALUES = 4096, MAX_OUTER = 16 };

typedef struct {
    const Value *v;
    int tensor;
} Bound; /* a value, in one call of its function */

typedef struct {
    const Module *m;
    const Entry *e;
    int64_t val[64]; /* symbols at their largest */
    int *owner;      /* of each 4 bytes of the arena */
    int64_t n_owner;
    int input[MAX_OUTER], output[MAX_OUTER]; /* owners of the caller's buffers */
    int n_tensor;
    const char *why; /* what went wrong first; NULL: nothing */
} Memory;

static void wrong(Memory *y, const char *why)
{
    if (!y->why)
        y->why = why;
}

static int64_t bytes_of(const Memory *y, Type t)
{
    int64_t n = t.rank ? dim_eval(type_last(t), y->val) : 1;

    n = n / t.fmt->block * t.fmt->bytes;
    for (int i = 0; i + 1 < t.rank; i++)
        n *= dim_eval(t.dim[i], y->val);
    return n;
}

static bool is_buffer(const Value *v)
{
    return v->kind == VAL_result || (v->kind == VAL_param && v->stands_for == VAL_result);
}

static void write_to(Memory *y, int64_t place, int64_t bytes, int tensor)
{
    if (place <= PLACE_output && PLACE_output - place < MAX_OUTER)
        y->output[PLACE_output - place] = tensor;
    else if (place < 0)
        wrong(y, "a result has no place, or the caller's input");
    else if (place % 64 || (place + bytes + 3) / 4 > y->n_owner)
        wrong(y, "a result is not aligned, or does not lie in the arena");
    else
        for (int64_t i = place / 4; i < (place + bytes + 3) / 4; i++)
            y->owner[i] = tensor;
}

static void read_from(Memory *y, int64_t place, int64_t bytes, int tensor)
{
    bool ok = true;

    if (place <= PLACE_output && PLACE_output - place < MAX_OUTER)
        ok = y->output[PLACE_output - place] == tensor;
    else if (place <= PLACE_input && PLACE_input - place < MAX_OUTER)
        ok = y->input[PLACE_input - place] == tensor;
    else if (place < 0 || (place + bytes + 3) / 4 > y->n_owner)
        ok = false;
    else
        for (int64_t i = place / 4; i < (place + bytes + 3) / 4; i++)
            ok = ok && y->owner[i] == tensor;
    if (!ok)
        wrong(y, "a stage reads what is no longer, or never was, where it looks");
}

/* Is v computed from the contraction's results? */
static bool after_anchor(const Value *v)
{
    if (v->kind != VAL_result)
        return false;
    if (v->op->kind == OP_matmul || v->op->kind == OP_attention)
        return true;
    for (int i = 0; i < v->op->n_in; i++)
        if (after_anchor(v->op->in[i]))
            return true;
    return false;
}

/* An operand that the stage overwrites may be read only at the element that is written, and by no
 * one before. */
static bool read_at_the_end_only(const Region *r, const Value *param)
{
    for (const Op *o = r->first; o; o = o->next)
        for (int i = 0; i < o->n_in; i++)
            if (o->in[i] == param && (!op_info[o->kind].c_expr || !after_anchor(o->out[0]) ||
                                      !type_eq(o->out[0]->type, param->type)))
                return false;
    return true;
}

static bool overlap(int64_t a, int64_t a_bytes, int64_t b, int64_t b_bytes)
{
    if (a < 0 || b < 0)
        return a == b;
    return a < b + b_bytes && b < a + a_bytes;
}

static void check_scratch(Memory *y, const Op *stage)
{
    const Region *r = stage->region[0];
    bool anchored = false;

    for (const Op *o = r->first; o; o = o->next)
        anchored = anchored || o->kind == OP_matmul || o->kind == OP_attention;
    for (const Op *o = r->first; o; o = o->next) {
        const Attr *at = op_attr(o, "scratch");
        bool handed_on = false;
        Type row;

        for (int i = 0; i < r->last->n_in; i++)
            handed_on = handed_on || (o->n_out && r->last->in[i] == o->out[0]);
        if (o->n_out == 1 && !handed_on && o->kind != OP_last_rows &&
            !(anchored && after_anchor(o->out[0])) && !at)
            wrong(y, "a row that stays within a stage has no place in its scratch");
        if (!at || !o->n_out)
            continue;
        row = o->out[0]->type;
        if (row.rank > 1)
            row.dim[0] = type_1((Module *)y->m, row.fmt, 1).dim[0];
        if (at->i + bytes_of(y, row) > module_meta_int(y->m, "scratch_bytes", 0))
            wrong(y, "a row does not fit the scratch");
        for (const Op *p = r->first; p != o; p = p->next) {
            const Attr *other = op_attr(p, "scratch");
            Type t;

            if (!other)
                continue;
            t = p->out[0]->type;
            if (t.rank > 1)
                t.dim[0] = row.rank ? type_1((Module *)y->m, row.fmt, 1).dim[0] : t.dim[0];
            if (overlap(at->i, bytes_of(y, row), other->i, bytes_of(y, t)))
                wrong(y, "two rows of one stage share scratch");
        }
    }
}

static int lookup(const Bound *b, int n, const Value *v)
{
    for (int i = n - 1; i >= 0; i--)
        if (b[i].v == v)
            return b[i].tensor;
    return -1;
}

static void follow(Memory *y, const Func *f, const int *arg, int *result);

static void follow_stage(Memory *y, const Op *o, Bound *b, int *n)
{
    const Attr *in = op_attr(o, "in"), *out = op_attr(o, "out");

    if (!in || !out || in->n_ints != o->n_in || out->n_ints != o->n_out) {
        wrong(y, "a stage without places");
        return;
    }
    for (int i = 0; i < o->n_in; i++)
        if (is_buffer(o->in[i]))
            read_from(y, in->ints[i], bytes_of(y, o->in[i]->type), lookup(b, *n, o->in[i]));
    for (int k = 0; k < o->n_out; k++) {
        int64_t bytes = bytes_of(y, o->out[k]->type);

        for (int i = 0; i < k; i++)
            if (overlap(out->ints[k], bytes, out->ints[i], bytes_of(y, o->out[i]->type)))
                wrong(y, "two results of a stage lie on one another");
        for (int i = 0; i < o->n_in; i++)
            if (is_buffer(o->in[i]) &&
                overlap(out->ints[k], bytes, in->ints[i], bytes_of(y, o->in[i]->type)) &&
                !(out->ints[k] == in->ints[i] && type_eq(o->out[k]->type, o->in[i]->type) &&
                  read_at_the_end_only(o->region[0], o->region[0]->param[i])))
                wrong(y, "a stage writes where it still reads");
    }
    for (int k = 0; k < o->n_out; k++) {
        b[(*n)++] = (Bound){o->out[k], ++y->n_tensor};
        write_to(y, out->ints[k], bytes_of(y, o->out[k]->type), y->n_tensor);
    }
    check_scratch(y, o);
}

static void follow(Memory *y, const Func *f, const int *arg, int *result)
{
    Bound *b = malloc(sizeof *b * MAX_VALUES);
    int n = 0;

    for (int i = 0; i < f->body->n_param; i++)
        b[n++] = (Bound){f->body->param[i], arg[i]};
    for (const Op *o = f->body->first; o; o = o->next) {
        if (o->kind == OP_fused)
            follow_stage(y, o, b, &n);
        if (o->kind == OP_call) {
            int args[64], results[64];

            assert_true(o->n_in <= 64 && o->n_out <= 64);
            for (int i = 0; i < o->n_in; i++)
                args[i] = lookup(b, n, o->in[i]);
            follow(y, o->callee, args, results);
            for (int i = 0; i < o->n_out; i++)
                b[n++] = (Bound){o->out[i], results[i]};
        }
        assert_true(n < MAX_VALUES - 64);
    }
    for (int i = 0; i < f->body->last->n_in; i++)
        result[i] = lookup(b, n, f->body->last->in[i]);
    free(b);
}

/* NULL, or what is wrong with the plan of a scheduled Module. */
static const char *check_plan(const Module *m)
{
    Memory y = {.m = m};

    y.n_owner = (module_meta_int(m, "arena_bytes", 0) + 3) / 4;
    for (int i = 0; i < m->n_entry && !y.why; i++) {
        const Entry *e = &m->entry[i];
        int arg[MAX_OUTER], result[MAX_OUTER];

        assert_true(e->func->body->n_param <= MAX_OUTER && e->func->body->last->n_in <= MAX_OUTER);
        y.e = e;
        for (int k = 0; k < m->n_sym; k++)
            y.val[k] = m->sym[k]->hi;
        for (int k = 0; k < e->n_range; k++)
            y.val[e->range[k].sym->index] = e->range[k].hi;
        y.owner = calloc((size_t)y.n_owner + 1, sizeof *y.owner);
        memset(y.output, 0, sizeof y.output);
        for (int k = 0; k < e->func->body->n_param; k++)
            y.input[k] = arg[k] = ++y.n_tensor;
        follow(&y, e->func, arg, result);
        for (int k = 0; k < e->func->body->last->n_in; k++)
            if (y.output[k] != result[k])
                wrong(&y, "a result is not where the caller wants it");
        free(y.owner);
    }
    return y.why;
}

/* Runs the whole pipeline on m; false: a pass has refused it. */
static bool schedule(Arena *a, Module *m, BuildOptions *o)
{
    FileSet *fs = files_new();
    const Target *target[1];
    Env env = {.target = target, .opt = o, .scratch = arena_child(a), .fs = fs};
    Diag *d = diag_new(a, stderr);
    bool ok;

    env.n_target = target_load_set(fs, a, d, "portable", target, 1);
    ok = env.n_target == 1 && passes_run(m, &env, d, NULL);
    files_close(fs);
    return ok;
}

static void check(Arena *a, Module *m, BuildOptions *o, const char *what, int seed)
{
    const char *why;

    assert_true(schedule(a, m, o));
    why = check_plan(m);
    if (why)
        print_error("%s %d: %s\n", what, seed, why);
    assert_null(why);
}

static void random_modules(void **state)
{
    static const int flags[] = {0, RANDOM_q8, RANDOM_odd, RANDOM_regions,
                                RANDOM_all & ~RANDOM_calls};

    (void)state;
    for (int seed = 0; seed < 150; seed++) {
        Arena *a = arena_new(NULL);
        BuildOptions o = build_options_default();

        o.act_decode = o.act_prefill = seed % 2 ? ACT_q8 : ACT_f32;
        o.fuse = seed % 7 == 6 ? "none" : NULL;
        check(a, random_module(a, (uint64_t)seed + 1000, flags[seed % 5]), &o, "random Module",
              seed);
        arena_free(a);
    }
}

/* A language model as text, in many variations: what a layer reads from outside, where its result
 * can lie, which layers are alike. */
static Module *layered(Arena *a, int seed)
{
    uint64_t s = (uint64_t)seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    Buf b = buf_in(a);
    int n_layer = 1 + seed % 5, n_embd = 32 << seed % 3, n_kv = 32;
    bool floats_in = seed % 4 == 3; /* x is the entry's input, not a lookup */
    Module *m;

    buf_printf(&b,
               "module \"m\"\nsym T 1..16\nsym O 0..16\nsym C 1..32\nweight @embd : q8_0[40,%d] = "
               "fill \"e\" seed=1\n"
               "weight @freq : f32[8] = fill \"f\" seed=1\n",
               n_embd);
    for (int l = 0; l < n_layer; l++)
        buf_printf(&b,
                   "weight @n.%d : f32[%d] = fill \"n\" seed=1\nweight @q.%d : q4_0[%d,%d] = fill "
                   "\"q\" seed=1\n"
                   "weight @k.%d : f16[%d,%d] = fill \"k\" seed=1\nweight @o.%d : q8_0[%d,%d] = "
                   "fill \"o\" seed=1\n"
                   "weight @up.%d : q4_1[96,%d] = fill \"u\" seed=1\nweight @down.%d : q4_0[%d,96] "
                   "= fill \"d\" seed=1\n"
                   "weight @ple.%d : f32[40,%d] = fill \"p\" seed=1\n"
                   "state @kv.%d.k : f16[C,%d] kind=kv\nstate @kv.%d.v : f16[C,%d] kind=kv\n",
                   l, n_embd, l, n_embd, n_embd, l, n_kv, n_embd, l, n_embd, n_embd, l, n_embd, l,
                   n_embd, l, n_embd, l, n_kv, l, n_kv);
    buf_printf(&b,
               "func @main(%%ids: i32[T]%s) -> (f32[O,40]) {\n  %%pos = positions : i32[T]\n"
               "  %%cs = rope_angles %%pos, @freq : f32[T,16]\n",
               floats_in ? str_printf(a, ", %%x0: f32[T,%d]", n_embd) : "");
    if (!floats_in)
        buf_printf(&b, "  %%x0 = rows @embd, %%ids : f32[T,%d]\n", n_embd);
    for (int l = 0; l < n_layer; l++)
        buf_printf(&b, "  %%ple%d = rows @ple.%d, %%ids : f32[T,%d]\n", l, l, n_embd);
    for (int l = 0; l < n_layer; l++) {
        int kind = (int)((s = s * UINT64_C(6364136223846793005) + 1) >> 61);
        const char *ending = kind & 1 ? "silu" : "relu";

        buf_printf(&b, "  %%n%d = rmsnorm %%x%d, @n.%d {eps=1e-05} : f32[T,%d] layer=%d\n", l, l, l,
                   n_embd, l);
        buf_printf(&b, "  %%q%d = matmul %%n%d, @q.%d : f32[T,%d] layer=%d\n", l, l, l, n_embd, l);
        buf_printf(&b, "  %%k%d = matmul %%n%d, @k.%d : f32[T,%d] layer=%d\n", l, l, l, n_kv, l);
        buf_printf(
            &b, "  %%qr%d = rope %%q%d, %%cs {head_dim=32, pairing=\"%s\"} : f32[T,%d] layer=%d\n",
            l, l, kind & 2 ? "norm" : "neox", n_embd, l);
        buf_printf(&b, "  append @kv.%d.k, %%k%d layer=%d\n  append @kv.%d.v, %%k%d layer=%d\n", l,
                   l, l, l, l, l);
        buf_printf(&b,
                   "  %%a%d = attention %%qr%d, @kv.%d.k, @kv.%d.v, %%pos {n_head=%d, n_head_kv=1, "
                   "scale=0.2} : "
                   "f32[T,%d] layer=%d\n",
                   l, l, l, l, n_embd / 32, n_embd, l);
        buf_printf(&b, "  %%o%d = matmul %%a%d, @o.%d : f32[T,%d] layer=%d\n", l, l, l, n_embd, l);
        buf_printf(&b, "  %%y%d = add %%%s%d, %%o%d : f32[T,%d] layer=%d\n", l,
                   kind == 5 ? "n" : "x", l, l, n_embd, l);
        buf_printf(&b, "  %%u%d = matmul %%y%d, @up.%d : f32[T,96] layer=%d\n", l, l, l, l);
        buf_printf(&b, "  %%g%d = %s %%u%d : f32[T,96] layer=%d\n", l, ending, l, l);
        buf_printf(&b, "  %%d%d = matmul %%g%d, @down.%d : f32[T,%d] layer=%d\n", l, l, l, n_embd,
                   l);
        if (kind & 4)
            buf_printf(&b, "  %%e%d = mul %%d%d, %%ple%d : f32[T,%d] layer=%d\n", l, l, l, n_embd,
                       l);
        else
            buf_printf(&b, "  %%e%d = neg %%d%d : f32[T,%d] layer=%d\n", l, l, n_embd, l);
        buf_printf(&b, "  %%x%d = add %%y%d, %%e%d : f32[T,%d] layer=%d\n", l + 1, l, l, n_embd, l);
    }
    buf_printf(&b,
               "  %%z = add %%x%d, %%x%d : f32[T,%d]\n  %%last = last_rows %%z : f32[O,%d]\n"
               "  %%logits = matmul %%last, @embd : f32[O,40]\n  return %%logits\n}\n"
               "entry decode(T=1, O=0..1) = @main\nentry prefill(T=1..16, O=0..16) = @main\n",
               n_layer, seed % 6 == 5 && !floats_in ? 0 : n_layer, n_embd, n_embd);
    m = module_parse(a, diag_new(a, stderr), "layered.sir", buf_str(&b));
    assert_non_null(m);
    return m;
}

static void models_with_layers(void **state)
{
    int n_calls = 0;

    (void)state;
    for (int seed = 0; seed < 120; seed++) {
        Arena *a = arena_new(NULL);
        BuildOptions o = build_options_default();
        Module *m = layered(a, seed);

        o.act_decode = o.act_prefill = seed % 2 ? ACT_f32 : ACT_q8;
        o.fuse = seed % 11 == 10 ? "none" : NULL;
        check(a, m, &o, "model with layers", seed);
        for (int i = 0; i < m->n_entry; i++)
            for (const Op *op = m->entry[i].func->body->first; op; op = op->next)
                n_calls += op->kind == OP_call;
        arena_free(a);
    }
    assert_true(n_calls > 100); /* layers were called as functions */
}

/* The check itself sees a plan that was made wrong on purpose: any one place moved onto another
 * one. */
static void a_wrong_plan_is_seen(void **state)
{
    int n_seen = 0, n_moved = 0;

    (void)state;
    for (int seed = 0; seed < 12; seed++) {
        Arena *a = arena_new(NULL);
        BuildOptions o = build_options_default();
        Module *m = layered(a, seed);

        assert_true(schedule(a, m, &o));
        for (Func *f = m->first_func; f; f = f->next)
            for (Op *op = f->body->first; op; op = op->next) {
                const Attr *out = op_attr(op, "out");
                int64_t *ints;

                if (op->kind != OP_fused || !out || !out->n_ints || out->ints[0] < 0)
                    continue;
                ints = (int64_t *)out->ints;
                ints[0] += 64;
                n_moved++;
                n_seen += check_plan(m) != NULL;
                ints[0] -= 64;
            }
        assert_null(check_plan(m));
        arena_free(a);
    }
    assert_true(n_moved > 50);
    assert_int_equal(n_seen, n_moved);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_modules),
        cmocka_unit_test(models_with_layers),
        cmocka_unit_test(a_wrong_plan_is_seen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
