/* If these fail, passes see shapes or names that are not there, or a broken Module goes on to the code it becomes. */
#include "tests/unit/test.h"

#include <stdio.h>

#include "ir/ir.h"

typedef struct { Arena *a; Diag *d; Module *m; Sym *T, *P; } Ir;

static int setup(void **state)
{
    Arena *a = arena_new(NULL);
    Ir *ir = ARENA_NEW(a, Ir);

    *ir = (Ir){ .a = a, .d = diag_new(a, NULL), .m = module_new(a, "test") };
    ir->T = module_sym(ir->m, "T", 1, 8);
    ir->P = module_sym(ir->m, "P", 0, 100);
    *state = ir;
    return 0;
}

static int teardown(void **state)
{
    arena_free(((Ir *)*state)->a);
    return 0;
}

/* ---- dimensions ------------------------------------------------------------------------------------------------------ */

static const char *text(Ir *ir, Dim d)
{
    return type_text(ir->a, type_of(&format_table[FMT_f32], 1, &d));
}

/* Equal by algebra is equal by pointer, whatever the way it was built. */
static void equal_dimensions_are_one_pointer(void **state)
{
    Ir *ir = *state;
    Module *m = ir->m;
    Dim t = dim_sym(m, ir->T), p = dim_sym(m, ir->P), one = dim_const(m, 1);

    assert_ptr_equal(dim_add(m, t, p), dim_add(m, p, t));
    assert_ptr_equal(dim_add(m, dim_add(m, t, one), p), dim_add(m, t, dim_add(m, p, one)));
    assert_ptr_equal(dim_add(m, t, t), dim_mul(m, t, 2));
    assert_ptr_equal(dim_mul(m, dim_add(m, t, one), 3), dim_add(m, dim_mul(m, t, 3), dim_const(m, 3)));
    assert_ptr_equal(dim_div(m, dim_mul(m, t, 6), 3), dim_mul(m, t, 2));
    assert_ptr_equal(dim_mul(m, t, 1), t);
    assert_ptr_equal(dim_mul(m, t, 0), dim_const(m, 0));
    assert_ptr_equal(dim_add(m, t, dim_const(m, 0)), t);
    assert_ptr_equal(dim_min(m, t, p), dim_min(m, p, t));
    assert_ptr_equal(dim_max(m, t, t), t);
    assert_true(dim_div(m, t, 2) != dim_div(m, t, 3));
    assert_ptr_equal(dim_div(m, dim_const(m, -1), 2), dim_const(m, -1));    /* floor */
}

static void dimensions_are_written_as_they_are(void **state)
{
    Ir *ir = *state;
    Module *m = ir->m;
    Dim t = dim_sym(m, ir->T), p = dim_sym(m, ir->P);
    Dim sum = dim_add(m, dim_mul(m, t, 2), dim_add(m, p, dim_const(m, -3)));

    assert_string_equal(text(ir, sum), "f32[T*2+P-3]");
    assert_string_equal(text(ir, dim_div(m, sum, 4)), "f32[(T*2+P-3)/4]");
    assert_string_equal(text(ir, dim_mul(m, dim_div(m, t, 4), 3)), "f32[T/4*3]");
    assert_string_equal(text(ir, dim_min(m, dim_const(m, 64), p)), "f32[min(P,64)]");
}

static void dimensions_have_ranges_and_values(void **state)
{
    Ir *ir = *state;
    Module *m = ir->m;
    Dim t = dim_sym(m, ir->T), p = dim_sym(m, ir->P), huge = dim_const(m, INT64_MAX);
    Dim d = dim_add(m, dim_mul(m, dim_div(m, t, 3), 2), dim_min(m, p, dim_const(m, 64)));
    int64_t val[2] = { 7, 80 };

    assert_int_equal(dim_lo(d), 0);
    assert_int_equal(dim_hi(d), 2 * 2 + 64);
    assert_int_equal(dim_eval(d, val), 2 * 2 + 64);
    assert_int_equal(dim_eval(dim_max(m, t, p), val), 80);
    assert_int_equal(dim_hi(dim_add(m, huge, t)), INT64_MAX);
    assert_int_equal(dim_hi(dim_mul(m, dim_add(m, t, dim_const(m, INT64_MAX / 2)), 3)), INT64_MAX);
    assert_ptr_equal(dim_subst(m, d, ir->T, dim_const(m, 1)), dim_min(m, p, dim_const(m, 64)));
}

static void types_have_sizes(void **state)
{
    Ir *ir = *state;
    Module *m = ir->m;
    uint64_t bytes = 0;

    assert_true(type_bytes(type_2(m, &format_table[FMT_q4_1], 3, 64), &bytes));
    assert_int_equal(bytes, 3 * 2 * 20);
    assert_false(type_bytes(type_2(m, &format_table[FMT_q4_1], 32, 63), &bytes));
    assert_false(type_bytes(type_2(m, &format_table[FMT_f32], INT64_MAX / 2, 64), &bytes));
    assert_int_equal(type_n(type_of(&format_table[FMT_f32], 1, (Dim[]){ dim_sym(m, ir->T) })), 8);
    assert_int_equal(type_n(type_2(m, &format_table[FMT_f32], INT64_MAX / 2, 64)), -1);
    assert_true(type_bytes(type_of(&format_table[FMT_f32], 0, NULL), &bytes));
    assert_int_equal(bytes, 4);
}

/* ---- building -------------------------------------------------------------------------------------------------------- */

static Type row(Ir *ir, int64_t n)
{
    return type_of(&format_table[FMT_f32], 2, (Dim[]){ dim_sym(ir->m, ir->T), dim_const(ir->m, n) });
}

/* y = (x + x) + x, with the second add inside a fused op. */
static Func *build(Ir *ir)
{
    Func *f = module_add_func(ir->m, "f");
    Value *x = func_add_param(f, "x", row(ir, 4), VAL_result);
    Value *y = op1(f->body, OP_add, "x", x, x, NULL, NULL, NULL, 0), *p, *q;
    Op *fused = op_new_raw(f->body, NULL, OP_fused, 2, 0), *yield, *ret;
    Region *r = op_add_region(fused);

    fused->in[0] = y;
    fused->in[1] = x;
    op_set_attr(fused, attr_str("kind", "row"));
    p = region_add_param(r, "p", y->type);
    q = region_add_param(r, "p", x->type);
    yield = op_new_raw(r, NULL, OP_yield, 1, 0);
    yield->in[0] = op_new(r, yield, OP_add, "s", (Value *[]){ p, q }, 2, NULL, 0)->out[0];
    y = op_add_result(fused, "y", x->type);
    ret = op_new_raw(f->body, NULL, OP_return, 1, 0);
    ret->in[0] = y;
    return f;
}

/* What op_new would call a bug can be asked first. */
static void fitting_can_be_asked(void **state)
{
    Ir *ir = *state;
    Func *f = build(ir);
    Value *x = f->body->param[0], *w, *xw[2], *wx[2];
    WExpr *e = wexpr_new(ir->m, W_fill, type_1(ir->m, &format_table[FMT_f32], 4));
    Attr by = attr_float("by", 2);
    Type t;

    e->name = STR("w");
    w = module_add_weight(ir->m, "w", e->type, e)->value;
    xw[0] = wx[1] = x;
    xw[1] = wx[0] = w;
    assert_true(op_fits(f->body, OP_sub, xw, 2, NULL, 0, &t));
    assert_true(type_eq(t, x->type));
    assert_false(op_fits(f->body, OP_sub, wx, 2, NULL, 0, NULL));       /* a row is not broadcast into a matrix */
    assert_false(op_fits(f->body, OP_sub, xw, 1, NULL, 0, NULL));
    assert_false(op_fits(f->body, OP_scale, xw, 1, NULL, 0, NULL));
    assert_true(op_fits(f->body, OP_scale, xw, 1, &by, 1, NULL));
    assert_int_equal(f->body->last->n_in, 1);                           /* nothing was added */
    assert_true(module_verify(ir->m, ir->d));
}

static void names_become_unique(void **state)
{
    Ir *ir = *state;
    Func *f = build(ir);

    assert_string_equal(f->body->first->out[0]->name, "x.1");
    assert_string_equal(f->body->first->next->region[0]->param[1]->name, "p.1");
    assert_string_equal(func_fresh_name(f, "x"), "x.2");
    assert_string_equal(func_fresh_name(f, "s"), "s.1");
    assert_string_equal(func_fresh_name(f, "new"), "new");
    assert_true(module_verify(ir->m, ir->d));
}

static void walking_sees_every_op_once(void **state)
{
    Ir *ir = *state;
    Func *f = build(ir);
    const char *want[] = { "add", "fused", "add", "yield", "return" };
    int n = 0;

    for (Op *o = f->body->first; o; o = op_walk(o, f->body))
        assert_string_equal(op_info[o->kind].name, want[n++]);
    assert_int_equal(n, 5);
    n = 0;
    for (Op *o = f->body->first->next->region[0]->first; o; o = op_walk(o, f->body->first->next->region[0]))
        n++;
    assert_int_equal(n, 2);                                 /* a walk of a region stays in it */
    assert_int_equal(value_n_uses(f->body, f->body->param[0]), 3);
    value_replace(f->body, f->body->param[0], f->body->first->out[0]);
    assert_int_equal(value_n_uses(f->body, f->body->param[0]), 0);
}

static void a_clone_is_separate_and_substituted(void **state)
{
    Ir *ir = *state;
    Func *f = build(ir), *c;
    Dim by[2] = { dim_const(ir->m, 1), NULL };
    Buf b = buf_in(ir->a);

    c = func_clone(f, "one", by);
    func_print(c, &b);
    assert_string_equal(buf_z(&b), "func @one(%x: f32[1,4]) -> (f32[1,4]) {\n"
                                   "  %x.1 = add %x, %x : f32[1,4]\n"
                                   "  %y = fused %x.1, %x {kind=\"row\"} (%p: f32[1,4], %p.1: f32[1,4]) {\n"
                                   "    %s = add %p, %p.1 : f32[1,4]\n"
                                   "    yield %s\n"
                                   "  } : f32[1,4]\n"
                                   "  return %y\n"
                                   "}\n");
    module_remove_func(ir->m, f);
    assert_ptr_equal(ir->m->first_func, c);
    assert_ptr_equal(ir->m->last_func, c);
    assert_true(module_verify(ir->m, ir->d));
}

static void attributes_are_set_replaced_and_deleted(void **state)
{
    Ir *ir = *state;
    Op *o = build(ir)->body->first->next;

    for (int i = 0; i < 40; i++)
        op_set_attr(o, attr_int(str_printf(ir->a, "a%d", i), i));
    op_set_attr(o, attr_int("a7", 70));
    op_del_attr(o, "a3");
    op_del_attr(o, "a3");
    assert_int_equal(o->n_attr, 40);
    assert_int_equal(op_int(o, "a7", -1), 70);
    assert_int_equal(op_int(o, "a3", -1), -1);
    assert_int_equal(op_int(o, "a39", -1), 39);
    assert_true(op_float(o, "a7", -1) == 70);
    assert_string_equal(op_str(o, "kind", "none"), "row");
    assert_int_equal(op_int(o, "kind", 5), 5);              /* another kind of attribute */
}

/* ---- text ------------------------------------------------------------------------------------------------------------ */

/* Whatever a model's author put into names comes back byte for byte. */
static void hostile_names_survive(void **state)
{
    static const char *const names[] = { "*/ #error", "\"; system(\"", "a\nb", "\xff\xfe", "\\", "%x", "@", "..", "0", "a b", "\x7f\x01",
                                         "yield", "f32[4]" };
    Ir *ir = *state;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        Module *m = module_new(ir->a, names[i]), *again;
        Type t = type_1(m, &format_table[FMT_f32], 1);
        WExpr *e = wexpr_new(m, W_fill, t);
        Buf b = buf_in(ir->a);
        Func *f = module_add_func(m, names[i]);
        Op *ret = op_new_raw(f->body, NULL, OP_return, 1, 0);

        e->name = str_of(names[i]);
        module_add_weight(m, names[i], t, e);
        module_add_file(m, names[i], (Digest){ { 1 } }, 5, NULL);
        module_set_meta(m, names[i], attr_str("", names[i]));
        module_sym(m, names[i], 3, 4);
        ret->in[0] = func_add_param(f, names[i], type_of(&format_table[FMT_f32], 1, (Dim[]){ dim_sym(m, m->sym[0]) }), VAL_result);
        entry_range(module_add_entry(m, names[i], f), m->sym[0], 3, 4);
        f->note = names[i];
        module_print(m, &b);
        again = module_parse(ir->a, ir->d, "names", buf_str(&b));
        if (!again)
            print_error(STR_FMT "\n" STR_FMT, STR_ARG(diag_text(ir->d)), STR_ARG(buf_str(&b)));
        assert_non_null(again);
        assert_string_equal(again->name, names[i]);
        assert_string_equal(again->weight[0]->name, names[i]);
        assert_true(str_is(again->weight[0]->expr->name, names[i]));
        assert_string_equal(again->file[0].name, names[i]);
        assert_string_equal(module_meta_str(again, names[i], ""), names[i]);
        assert_string_equal(again->sym[0]->name, names[i]);
        assert_string_equal(again->entry[0].name, names[i]);
        assert_string_equal(again->first_func->note, names[i]);
        assert_string_equal(again->first_func->body->param[0]->name, names[i]);
    }
}

/* A float attribute comes back as the same double. */
static void numbers_survive(void **state)
{
    static const double x[] = { 0.0, -0.0, 1e-5, 1.0 / 3, 5e-324, 1.7976931348623157e308, 16777217, 1e16, -1e22 };
    Ir *ir = *state;

    for (size_t i = 0; i < sizeof x / sizeof *x; i++)
        module_set_meta(ir->m, str_printf(ir->a, "%d", (int)i), attr_float("", x[i]));
    module_set_meta(ir->m, "i", attr_int("", INT64_MIN));
    module_set_meta(ir->m, "v", attr_ints("", (int64_t[]){ INT64_MAX, -1, 0 }, 3));
    module_set_meta(ir->m, "e", attr_ints("", NULL, 0));
    {
        Buf b = buf_in(ir->a);
        Module *m;

        module_print(ir->m, &b);
        m = module_parse(ir->a, ir->d, "numbers", buf_str(&b));
        assert_non_null(m);
        for (size_t i = 0; i < sizeof x / sizeof *x; i++)
            assert_memory_equal(&module_meta(m, str_printf(ir->a, "%d", (int)i))->f, &x[i], sizeof x[i]);
        assert_int_equal(module_meta_int(m, "i", 0), INT64_MIN);
        assert_int_equal(module_meta(m, "v")->n_ints, 3);
        assert_int_equal(module_meta(m, "v")->ints[0], INT64_MAX);
        assert_int_equal(module_meta(m, "e")->n_ints, 0);
    }
}

/* Cut anywhere and damaged anywhere, a text gives a Module or a message: never a crash, and never both. */
static void damaged_text_is_reported(void **state)
{
    static const char whole[] =
        "module \"m\" file 0 \"f\" digest=0123456789abcdef0123456789abcdef bytes=99 meta \"k\" = [1, -2] sym T 1..8 sym C 1..9\n"
        "weight @w : q4_1[16,32] = permute_rows perm=rope_half_to_pairs head_dim=4 (convert (fill \"a\" seed=1 : f32[16,32]) : "
        "q4_1[16,32]) state @s : f16[C,16] kind=kv blob \"b\" off=1 bytes=2\n"
        "func @g(%x: f32[T,32], weight %w: q4_1[16,32]) -> (f32[T,16]) note=\"n\" { %y = matmul %x, %w : f32[T,16] layer=1 return %y }\n"
        "func @f(%x: f32[T,32]) { %y = call @g(%x, @w) : f32[T,16] append @s, %y %z = fused %y {kind=\"row\", v=1e-05} (%p: f32[T,16]) "
        "{ %q = neg %p : f32[T,16] yield %q } : f32[T,16] from=\"z\" by=\"p\" return %z } entry e(T=1..8) = @f\n";
    static const char junk[] = "\"(){}[]%@#\\0xT\n\xff";
    Ir *ir = *state;
    char *copy = str_z(ir->a, str_of(whole));
    size_t n = sizeof whole - 1;

    assert_non_null(module_parse(ir->a, ir->d, "whole", str_of(whole)));
    for (size_t cut = 0; cut < n; cut++) {
        Diag *d = diag_new(ir->a, NULL);
        Module *m = module_parse(ir->a, d, "cut", (Str){ str_copy(ir->a, (Str){ whole, cut }).p, cut });

        assert_int_equal(m == NULL, diag_n_errors(d) > 0);
    }
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < sizeof junk - 1; k++) {
            Diag *d = diag_new(ir->a, NULL);
            char was = copy[i];
            ArenaMark mark = arena_mark(ir->a);
            Module *m;

            copy[i] = junk[k];
            m = module_parse(ir->a, d, "damaged", (Str){ copy, n });
            assert_int_equal(m == NULL, diag_n_errors(d) > 0);
            arena_rewind(ir->a, mark);
            copy[i] = was;
        }
}

/* ---- the verifier ---------------------------------------------------------------------------------------------------- */

static void expect_broken(Ir *ir, const char *message)
{
    Diag *d = diag_new(ir->a, NULL);

    assert_false(module_verify(ir->m, d));
    if (!strstr(str_z(ir->a, diag_text(d)), message))
        print_error("no '%s' in: " STR_FMT, message, STR_ARG(diag_text(d)));
    assert_non_null(strstr(str_z(ir->a, diag_text(d)), message));
}

static void use_before_definition(void **state)
{
    Ir *ir = *state;
    Func *f = build(ir);

    f->body->first->in[0] = f->body->first->next->out[0];
    expect_broken(ir, "%y is used but not defined before");
}

static void use_from_outside_a_region(void **state)
{
    Ir *ir = *state;
    Func *f = build(ir);

    f->body->first->next->region[0]->first->in[0] = f->body->param[0];
    expect_broken(ir, "%x is used but not defined before, in this region");
}

static void a_wrong_type(void **state)
{
    Ir *ir = *state;

    build(ir)->body->first->out[0]->type = row(ir, 5);
    expect_broken(ir, "result %x.1 is f32[T,4], not f32[T,5]");
}

static void a_name_twice(void **state)
{
    Ir *ir = *state;

    build(ir)->body->first->out[0]->name = "x";
    expect_broken(ir, "the name %x is used twice");
}

static void a_missing_end(void **state)
{
    Ir *ir = *state;

    op_remove(build(ir)->body->last);
    expect_broken(ir, "a function ends with return");
}

static void a_missing_attribute(void **state)
{
    Ir *ir = *state;

    op_del_attr(build(ir)->body->first->next, "kind");
    expect_broken(ir, "'fused' needs the attribute 'kind'");
}

static void a_removed_callee(void **state)
{
    Ir *ir = *state;
    Func *f = build(ir), *g = module_add_func(ir->m, "g");
    Value *x = func_add_param(g, "x", row(ir, 4), VAL_result);
    Op *call = op_new_raw(g->body, NULL, OP_call, 1, 0), *ret;

    call->callee = f;
    call->in[0] = x;
    op_add_result(call, "y", row(ir, 4));
    ret = op_new_raw(g->body, NULL, OP_return, 1, 0);
    ret->in[0] = call->out[0];
    assert_true(module_verify(ir->m, ir->d));
    call->callee = g;
    expect_broken(ir, "it calls itself");
    call->callee = f;
    module_remove_func(ir->m, f);
    expect_broken(ir, "the function it calls is not of this Module");
}

static void an_unbound_symbol(void **state)
{
    Ir *ir = *state;
    Entry *e = module_add_entry(ir->m, "e", build(ir));

    expect_broken(ir, "does not bind the symbol T");
    entry_range(e, ir->T, 1, 9);
    expect_broken(ir, "is not inside 1..8");
    e->range[0].hi = 8;
    assert_true(module_verify(ir->m, ir->d));
}

static void a_view_outside_its_file(void **state)
{
    Ir *ir = *state;
    Type t = type_2(ir->m, &format_table[FMT_f32], 4, 4);
    WExpr *e = wexpr_new(ir->m, W_view, t);

    module_add_weight(ir->m, "w", t, e);
    expect_broken(ir, "file 0 is not declared");
    module_add_file(ir->m, "f", (Digest){ { 0 } }, 64, NULL);
    assert_true(module_verify(ir->m, ir->d));
    e->off = 1;
    expect_broken(ir, "lie outside file 0");
    e->off = UINT64_MAX;
    expect_broken(ir, "lie outside file 0");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(equal_dimensions_are_one_pointer), TEST(dimensions_are_written_as_they_are),
        TEST(dimensions_have_ranges_and_values), TEST(types_have_sizes), TEST(fitting_can_be_asked), TEST(names_become_unique),
        TEST(walking_sees_every_op_once), TEST(a_clone_is_separate_and_substituted),
        TEST(attributes_are_set_replaced_and_deleted), TEST(hostile_names_survive), TEST(numbers_survive),
        TEST(damaged_text_is_reported), TEST(use_before_definition), TEST(use_from_outside_a_region), TEST(a_wrong_type),
        TEST(a_name_twice), TEST(a_missing_end), TEST(a_missing_attribute), TEST(a_removed_callee), TEST(an_unbound_symbol),
        TEST(a_view_outside_its_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
