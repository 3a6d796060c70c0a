/* What an op's operands and attributes must be, and the types of its results.
 *
 * The table ops.def gives the number of operands, the attributes and the name of a shape rule; the rules are functions here.  A rule
 * sees operands that are there and not NULL, and checks everything else itself, because the parser hands it whatever was written.
 * Every rule reports at most one mistake. */
#include "ir/internal.h"

#include <float.h>

/* ---- the table ------------------------------------------------------------------------------------------------------ */

const OpInfo op_info[N_OPS] = {
#define OP(name, operands, attrs, n_out, effect, shape, c_expr, help)                                                   \
    [OP_##name] = { #name, operands, attrs, n_out, effect, c_expr, help },
#include "ir/ops.def"
};

OpKind op_find(Str name)
{
    for (int k = 0; k < N_OPS; k++)
        if (str_is(name, op_info[k].name))
            return (OpKind)k;
    return N_OPS;
}

/* The next word of a list like "x w i?", without its '?'; false at the end. */
static bool next_word(const char **list, Str *word, bool *optional)
{
    const char *p = *list;

    while (*p == ' ')
        p++;
    if (!*p)
        return false;
    word->p = p;
    while (*p && *p != ' ')
        p++;
    word->n = (size_t)(p - word->p);
    *list = p;
    *optional = word->p[word->n - 1] == '?';
    word->n -= *optional;
    return true;
}

void op_arity(OpKind k, int *lo, int *hi)
{
    const char *list = op_info[k].operands;
    bool optional;
    Str word;

    *lo = *hi = 0;
    while (next_word(&list, &word, &optional)) {
        if (str_is(word, "...")) {
            *hi = MAX_OPERANDS;
            return;
        }
        *lo += !optional;
        ++*hi;
    }
}

static const char *const kind_names[] = { "int", "float", "str", "ints" };

/* Finds attribute `name` in the op's list.  Sets *others where the list allows any. */
static bool find_attr(OpKind k, const char *name, AttrKind *kind, bool *others)
{
    const char *list = op_info[k].attrs;
    bool optional;
    Str word;

    *others = strchr(name, '.') || !strcmp(name, "scratch") || !strcmp(name, "best");     /* notes of schedule (kernels: "dot.0") and of memory */
    while (next_word(&list, &word, &optional)) {
        const char *colon = memchr(word.p, ':', word.n);

        if (!colon) {
            *others = true;
            continue;
        }
        if (!str_is((Str){ word.p, (size_t)(colon - word.p) }, name))
            continue;
        for (int i = 0; i < 4; i++)
            if (str_is((Str){ colon + 1, (size_t)(word.p + word.n - colon - 1) }, kind_names[i]))
                *kind = (AttrKind)i;
        return true;
    }
    return false;
}

static bool check_attrs(const Op *o, Diag *d, Loc at)
{
    const OpInfo *info = &op_info[o->kind];
    const char *list = info->attrs;
    bool optional, others, ok = true;
    AttrKind kind = ATTR_int;
    Str word;

    for (int i = 0; i < o->n_attr; i++) {
        const Attr *a = &o->attr[i];

        if (!find_attr(o->kind, a->name, &kind, &others)) {
            if (!others)
                ok = fail(d, at, "'%s' has no attribute '%s' (it has: %s)", info->name, a->name,
                          *info->attrs ? info->attrs : "none");
        } else if (a->kind != kind && !(kind == ATTR_float && a->kind == ATTR_int)) {
            ok = fail(d, at, "attribute '%s' of '%s' is %s, not %s", a->name, info->name, kind_names[a->kind],
                      kind_names[kind]);
        }
        for (int k = 0; k < i; k++)
            if (!strcmp(o->attr[k].name, a->name))
                ok = fail(d, at, "attribute '%s' is given twice", a->name);
    }
    while (next_word(&list, &word, &optional)) {
        const char *colon = memchr(word.p, ':', word.n);
        bool there = false;

        if (optional || !colon)
            continue;
        word.n = (size_t)(colon - word.p);
        for (int i = 0; i < o->n_attr; i++)
            there = there || str_is(word, o->attr[i].name);
        if (!there)
            ok = fail(d, at, "'%s' needs the attribute '" STR_FMT "'", info->name, STR_ARG(word));
    }
    return ok;
}

bool op_check_table(const Op *o, Diag *d, Loc at)
{
    const OpInfo *info = &op_info[o->kind];
    const char *list = info->operands;
    bool optional, ok = true;
    int lo, hi, i = 0;
    Str word;

    op_arity(o->kind, &lo, &hi);
    if (o->n_in < lo || o->n_in > hi)
        return fail(d, at, "'%s' has %d operand%s, not %d (%s)", info->name, lo, lo == 1 ? "" : "s", o->n_in,
                    *info->operands ? info->operands : "none");
    while (next_word(&list, &word, &optional) && !str_is(word, "...") && i < o->n_in) {
        ValueKind role = value_role(o->in[i++]);

        if (str_is(word, "state")) {
            if (role != VAL_state)
                ok = fail(d, at, "operand 'state' of '%s' must be a state", info->name);
        } else if (role == VAL_state && o->kind != OP_attention) {
            ok = fail(d, at, "operand '" STR_FMT "' of '%s' must not be a state (only append, attention, load and store use one)",
                      STR_ARG(word), info->name);
        }
    }
    if (o->kind == OP_yield || o->kind == OP_return)
        for (i = 0; i < o->n_in; i++)
            if (value_role(o->in[i]) != VAL_result)
                ok = fail(d, at, "'%s' takes tensors only, not weights or states", info->name);
    return check_attrs(o, d, at) && ok;
}

/* ---- what the rules ask ----------------------------------------------------------------------------------------------- */

typedef struct { const Op *o; Type *t; Diag *d; Loc at; Module *m; } Rule;

static const Format *fmt(FormatId id)
{
    return &format_table[id];
}

static bool is_float(Type t)
{
    return t.fmt->kind == FORMAT_float;
}

static Type in_type(const Rule *r, int i)
{
    return r->o->in[i]->type;
}

static const char *show(const Rule *r, Type t)
{
    return type_text(r->m->a, t);
}

static const char *name(const Rule *r)
{
    return op_info[r->o->kind].name;
}

/* Whether operand i is of a plain float format. */
static bool want_float(const Rule *r, int i)
{
    return is_float(in_type(r, i)) ||
           fail(r->d, r->at, "'%s' computes with floats, operand %d is %s", name(r), i, show(r, in_type(r, i)));
}

static bool want_rank(const Rule *r, int i, int rank)
{
    return in_type(r, i).rank == rank ||
           fail(r->d, r->at, "operand %d of '%s' has %d dimension%s, not those of %s", i, name(r), rank,
                rank == 1 ? "" : "s", show(r, in_type(r, i)));
}

static bool want_i32(const Rule *r, int i)
{
    return in_type(r, i).fmt == fmt(FMT_i32) ||
           fail(r->d, r->at, "operand %d of '%s' must be i32, not %s", i, name(r), show(r, in_type(r, i)));
}

static bool want_equal(const Rule *r, Dim a, Dim b, const char *what)
{
    Buf t = buf_in(r->m->a);

    if (a == b)
        return true;
    dim_print(&t, a);
    buf_puts(&t, " and ");
    dim_print(&t, b);
    return fail(r->d, r->at, "'%s': %s must be equal, not %s", name(r), what, buf_z(&t));
}

/* An attribute that must be in lo..hi. */
static bool want_int(const Rule *r, const char *attr, int64_t lo, int64_t hi, int64_t *out)
{
    *out = op_int(r->o, attr, lo);
    return (*out >= lo && *out <= hi) ||
           fail(r->d, r->at, "attribute '%s' of '%s' must be in %" PRId64 "..%" PRId64 ", not %" PRId64, attr, name(r), lo,
                hi, *out);
}

/* The result's first dimension is the one it has, or the symbol's. */
static bool free_dim(const Rule *r, const char *sym, Dim *out)
{
    const Sym *s;

    if (r->o->n_out == 1 && r->o->out[0]->type.fmt && r->o->out[0]->type.rank > 0) {
        *out = r->o->out[0]->type.dim[0];
        return true;
    }
    s = module_find_sym(r->m, str_of(sym));
    if (!s)
        return fail(r->d, r->at, "'%s' needs the symbol %s (declare it: sym %s 1..256)", name(r), sym, sym);
    *out = dim_sym(r->m, s);
    return true;
}

/* ---- the rules -------------------------------------------------------------------------------------------------------- */

static bool shape_none(const Rule *r)
{
    (void)r;
    return true;
}

/* Integers that a Tensor's 32 bits hold. */
static bool is_small_int(Type t)
{
    return t.fmt->kind == FORMAT_int && t.fmt->bytes <= 4;
}

static bool shape_broadcast(const Rule *r)
{
    Type a = in_type(r, 0), b = in_type(r, 1);
    bool same = b.rank <= a.rank;

    if (!is_float(a) && !(a.fmt == fmt(FMT_i32) && r->o->kind != OP_div) && !(is_small_int(a) && (r->o->kind == OP_max || r->o->kind == OP_min)))
        return fail(r->d, r->at, "'%s' cannot compute with %s (convert or dequant it first)", name(r), show(r, a));
    for (int i = 0; same && i < b.rank; i++)
        same = b.dim[i] == a.dim[a.rank - b.rank + i];
    same = same || (b.rank == 1 && dim_is_const(b.dim[0], NULL) && b.dim[0]->c == 1);
    if (a.fmt != b.fmt || !same)
        return fail(r->d, r->at, "'%s': %s does not broadcast over %s (formats equal; b has a's innermost dimensions, or "
                    "one element)", name(r), show(r, b), show(r, a));
    r->t[0] = a;
    return true;
}

static bool shape_same(const Rule *r)
{
    Type x = in_type(r, 0);
    OpKind k = r->o->kind;
    int64_t head_dim, n_rot;

    if (!(x.fmt == fmt(FMT_i32) && (k == OP_neg || k == OP_abs || k == OP_relu)) && !want_float(r, 0))
        return false;
    if ((k == OP_rmsnorm || k == OP_softmax) && x.rank == 0)
        return fail(r->d, r->at, "'%s' needs an innermost dimension", name(r));
    if (k == OP_rmsnorm) {
        if (!want_rank(r, 1, 1) || !want_equal(r, type_last(x), in_type(r, 1).dim[0], "the innermost dimensions of x and w"))
            return false;
        if (in_type(r, 1).fmt->kind == FORMAT_int)
            return want_float(r, 1);
    }
    if (k == OP_rope) {
        Type cs = in_type(r, 1);

        if (!want_rank(r, 1, 2) || !want_float(r, 1) || !want_int(r, "head_dim", 2, MAX_DIM, &head_dim))
            return false;
        if (x.rank < 2)
            return want_rank(r, 0, 2);
        if (!want_equal(r, x.dim[0], cs.dim[0], "the numbers of rows of x and cs"))
            return false;
        if (!dim_is_const(type_last(x), NULL) || type_last(x)->c % head_dim)
            return fail(r->d, r->at, "'rope': the innermost dimension of %s is not a multiple of head_dim %" PRId64,
                        show(r, x), head_dim);
        if (!dim_is_const(type_last(cs), &n_rot) || n_rot % 2 || n_rot > head_dim)
            return fail(r->d, r->at, "'rope': the width of cs must be even and at most head_dim, not %s", show(r, cs));
        if (strcmp(op_str(r->o, "pairing", ""), "norm") && strcmp(op_str(r->o, "pairing", ""), "neox"))
            return fail(r->d, r->at, "'rope': pairing is \"norm\" or \"neox\", not \"%s\"", op_str(r->o, "pairing", ""));
    }
    r->t[0] = x;
    return true;
}

/* A number that one can subtract from x's integers without leaving 32 bits for products: x_zero, w_zero, zero. */
static bool want_zero(const Rule *r, const char *attr, Type x)
{
    int64_t lo, hi, zero;

    if (!op_attr(r->o, attr))
        return true;
    if (x.fmt->kind != FORMAT_int || x.fmt->bytes > 4)
        return fail(r->d, r->at, "'%s': %s of %s, which has no integers of at most 32 bits", name(r), attr, show(r, x));
    format_int_range(x.fmt, &lo, &hi);
    zero = op_int(r->o, attr, 0);
    return (zero >= lo && zero <= hi) ||
           fail(r->d, r->at, "'%s': %s must be a number of %s, not %" PRId64, name(r), attr, x.fmt->name, zero);
}

/* Formats of whose products i32 sums are made: 8 bits. */
static bool is_byte(Type t)
{
    return t.fmt == fmt(FMT_i8) || t.fmt == fmt(FMT_u8);
}

/* Integers whose products have i32 sums: bytes, and i16 by i8 (which wrap, if there are many). */
static bool are_factors(Type x, Type w)
{
    return is_byte(w) && (is_byte(x) || (x.fmt == fmt(FMT_i16) && w.fmt == fmt(FMT_i8)));
}

/* How many products of bytes certainly fit an i32 sum: 2^15 of 255 * 255, 2^16 of 255 * 128. */
static int64_t most_terms(const Rule *r)
{
    return op_int(r->o, "w_zero", 0) || in_type(r, 1).fmt == fmt(FMT_u8) ? 1 << 15 : 1 << 16;
}

static bool shape_convert(const Rule *r)
{
    const Attr *to = op_attr(r->o, "to");
    const Format *f = to && to->kind == ATTR_str ? format_find(to->s) : NULL;
    Type x = in_type(r, 0);
    const char *near;

    if (!f) {
        near = to ? str_nearest(to->s, format_names) : NULL;
        return fail(r->d, r->at, "'%s': '%s' is not a format%s%s%s", name(r), op_str(r->o, "to", ""), near ? " (did you mean '" : "",
                    near ? near : "", near ? "'?)" : "");
    }
    if (r->o->kind == OP_quant) {
        if (!want_float(r, 0))
            return false;
        if (f->kind != FORMAT_block)
            return fail(r->d, r->at, "'quant' to %s, which is not a quantized format (use convert)", f->name);
        if (x.rank == 0 || !dim_is_const(type_last(x), NULL) || type_last(x)->c % f->block)
            return fail(r->d, r->at, "'quant': the innermost dimension of %s is not a multiple of %d", show(r, x), f->block);
    } else if (f->kind == FORMAT_block) {
        return fail(r->d, r->at, "'convert' to %s, which is a quantized format (use quant)", f->name);
    } else if (!is_float(x) && (x.fmt->kind != FORMAT_int || x.fmt->bytes > 4)) {
        return fail(r->d, r->at, "'convert' of %s (use dequant)", show(r, x));
    } else if (f->kind == FORMAT_int && f != fmt(FMT_i32)) {
        return fail(r->d, r->at, "'convert' to %s is not defined (f32, f16, bf16 or i32; requant makes others)", f->name);
    } else if (!want_zero(r, "zero", x)) {
        return false;
    }
    x.fmt = f;
    r->t[0] = x;
    return true;
}

static bool shape_quantize(const Rule *r)
{
    const Attr *to = op_attr(r->o, "to");
    const Format *f = to && to->kind == ATTR_str ? format_find(to->s) : NULL;
    Type x = in_type(r, 0);
    double scale = op_float(r->o, "scale", 0);
    int64_t lo, hi, zero;

    if (!want_float(r, 0))
        return false;
    if (!f || f->kind != FORMAT_int || f->bytes > 2)
        return fail(r->d, r->at, "'quantize' to '%s', which is no integer format of at most 16 bits", op_str(r->o, "to", ""));
    if (!(scale > 0) || !(scale <= (double)FLT_MAX))
        return fail(r->d, r->at, "'quantize': the scale must be a number over 0");
    format_int_range(f, &lo, &hi);
    if (!want_int(r, "zero", lo, hi, &zero))
        return false;
    x.fmt = f;
    r->t[0] = x;
    return true;
}

static bool shape_dequant(const Rule *r)
{
    Type x = in_type(r, 0);

    if (x.fmt->kind == FORMAT_int)
        return want_float(r, 0);
    x.fmt = fmt(FMT_f32);
    r->t[0] = x;
    return true;
}

static bool shape_reshape(const Rule *r)
{
    const Attr *dims = op_attr(r->o, "dims");
    Type x = in_type(r, 0), y = { .fmt = x.fmt };
    uint64_t have = 1, want = 1;                            /* products of the constant dimensions */
    Dim var = NULL;                                         /* the one that is not constant */
    int open = -1;

    if (!dims || dims->kind != ATTR_ints || dims->n_ints > MAX_RANK)
        return fail(r->d, r->at, "'reshape': dims has more than %d dimensions", MAX_RANK);
    if (x.fmt->block > 1)
        return fail(r->d, r->at, "'reshape' of %s, which is stored in blocks", show(r, x));
    for (int i = 0; i < x.rank; i++) {
        int64_t c;

        if (!dim_is_const(x.dim[i], &c)) {
            if (var)
                return fail(r->d, r->at, "'reshape' of %s, which has two dimensions that are not constant", show(r, x));
            var = x.dim[i];
        } else if (!mul_ok(have, (uint64_t)c, &have)) {
            return fail(r->d, r->at, "'reshape' of %s, which is too large", show(r, x));
        }
    }
    y.rank = dims->n_ints;
    for (int i = 0; i < y.rank; i++) {
        if (dims->ints[i] == -1 && open < 0) {
            open = i;
            continue;
        }
        if (dims->ints[i] < 0 || dims->ints[i] > MAX_DIM || !mul_ok(want, (uint64_t)dims->ints[i], &want))
            return fail(r->d, r->at, "'reshape': dimension %" PRId64 " is not possible (one may be -1)", dims->ints[i]);
        y.dim[i] = dim_const(r->m, dims->ints[i]);
    }
    if (open < 0 ? var || have != want : want == 0 || have % want != 0)
        return fail(r->d, r->at, "'reshape': %s does not have as many elements as the new shape", show(r, x));
    if (open >= 0) {
        if (have / want > (uint64_t)MAX_DIM)
            return fail(r->d, r->at, "'reshape' of %s, which is too large", show(r, x));
        y.dim[open] = var ? dim_mul(r->m, var, (int64_t)(have / want)) : dim_const(r->m, (int64_t)(have / want));
    }
    r->t[0] = y;
    return true;
}

static bool shape_slice(const Rule *r)
{
    Type x = in_type(r, 0);
    int64_t axis, begin = op_int(r->o, "begin", 0), end = op_int(r->o, "end", 0);

    if (x.fmt->block > 1)
        return fail(r->d, r->at, "'slice' of %s, which is stored in blocks", show(r, x));
    if (x.rank == 0)
        return fail(r->d, r->at, "'slice' of a single number");
    if (!want_int(r, "axis", 0, x.rank - 1, &axis))
        return false;
    if (begin < 0 || end < begin || end > dim_lo(x.dim[axis]))
        return fail(r->d, r->at, "'slice': %" PRId64 "..%" PRId64 " is not inside axis %" PRId64 " of %s", begin, end, axis,
                    show(r, x));
    x.dim[axis] = dim_const(r->m, end - begin);
    r->t[0] = x;
    return true;
}

static bool shape_last_rows(const Rule *r)
{
    Type x = in_type(r, 0);
    Dim n;

    if (x.rank == 0)
        return fail(r->d, r->at, "'last_rows' of a single number");
    if (!free_dim(r, "O", &n))
        return false;
    x.dim[0] = n;
    r->t[0] = x;
    return true;
}

static bool shape_rows(const Rule *r)
{
    Type w = in_type(r, 0), ids = in_type(r, 1);

    if (!want_rank(r, 0, 2) || !want_i32(r, 1) || !want_rank(r, 1, 1))
        return false;
    if (w.fmt->kind == FORMAT_int)
        return want_float(r, 0);
    r->t[0] = type_of(fmt(FMT_f32), 2, (Dim[]){ ids.dim[0], w.dim[1] });
    return true;
}

static bool shape_matmul(const Rule *r)
{
    Type x = in_type(r, 0), w = in_type(r, 1), y;
    int lead = 0;                                           /* dimensions of w in front of [n, k]: those that i selects */

    if (r->o->n_in == 3) {
        if (!want_i32(r, 2))
            return false;
        lead = 1;
    }
    if (!want_rank(r, 1, 2 + lead))
        return false;
    if (x.rank == 0 || ((x.fmt->kind == FORMAT_int || w.fmt->kind == FORMAT_int) && !are_factors(x, w)))
        return fail(r->d, r->at, "'matmul' of %s and %s is not defined", show(r, x), show(r, w));
    if (!want_zero(r, "x_zero", x) || !want_zero(r, "w_zero", w))
        return false;
    if (is_byte(x) && dim_hi(type_last(x)) > most_terms(r))
        return fail(r->d, r->at, "'matmul': sums of %s need more than 32 bits", show(r, x));
    if (!want_equal(r, type_last(x), type_last(w), "the innermost dimensions of x and w"))
        return false;
    if (lead && (in_type(r, 2).rank != 1 || x.rank != 2 || in_type(r, 2).dim[0] != x.dim[0]))
        return fail(r->d, r->at, "'matmul': %s does not give a slice of w for each row of %s", show(r, in_type(r, 2)),
                    show(r, x));
    y = x;
    y.fmt = fmt(x.fmt->kind == FORMAT_int ? FMT_i32 : FMT_f32);
    y.dim[y.rank - 1] = w.dim[lead];
    r->t[0] = y;
    return true;
}

/* ---- integers and images ---------------------------------------------------------------------------------------------- */

/* n numbers in lo..hi. */
static bool want_ints(const Rule *r, const char *attr, int n, int64_t lo, int64_t hi, int64_t *out)
{
    const Attr *a = op_attr(r->o, attr);

    if (!a || a->kind != ATTR_ints || a->n_ints != n)
        return fail(r->d, r->at, "attribute '%s' of '%s' must be %d numbers", attr, name(r), n);
    for (int i = 0; i < n; i++) {
        out[i] = a->ints[i];
        if (out[i] < lo || out[i] > hi)
            return fail(r->d, r->at, "attribute '%s' of '%s' must be in %" PRId64 "..%" PRId64 ", not %" PRId64, attr, name(r),
                        lo, hi, out[i]);
    }
    return true;
}

/* All dimensions of operand i, which must be constant. */
static bool want_const(const Rule *r, int i, int64_t *dim)
{
    Type x = in_type(r, i);

    for (int k = 0; k < x.rank; k++)
        if (!dim_is_const(x.dim[k], &dim[k]) || dim[k] < 1)
            return fail(r->d, r->at, "operand %d of '%s' has dimensions that are not constant, or empty ones: %s", i, name(r),
                        show(r, x));
    return true;
}

enum { MAX_IMAGE = 1 << 20 };                               /* rows, columns, strides: their products fit 64 bits */

/* The image that windows of size[] leave of x: [N, H_out, W_out, c]. */
static bool windows_of(const Rule *r, const int64_t *x, const int64_t *size, const Format *f, int64_t c)
{
    int64_t stride[2], pad[4], out[2];

    if (!want_ints(r, "stride", 2, 1, MAX_IMAGE, stride) || !want_ints(r, "pad", 4, 0, MAX_IMAGE, pad))
        return false;
    for (int i = 0; i < 2; i++) {
        int64_t room = x[1 + i] + pad[i] + pad[2 + i] - size[i];

        if (x[1 + i] > MAX_IMAGE || size[i] > MAX_IMAGE || room < 0)
            return fail(r->d, r->at, "'%s': a window of %" PRId64 " does not fit %s with its padding", name(r), size[i],
                        show(r, in_type(r, 0)));
        out[i] = room / stride[i] + 1;
    }
    r->t[0] = type_of(f, 4, (Dim[]){ in_type(r, 0).dim[0], dim_const(r->m, out[0]), dim_const(r->m, out[1]), dim_const(r->m, c) });
    return true;
}

static bool shape_conv2d(const Rule *r)
{
    bool depthwise = r->o->kind == OP_dwconv2d;
    Type x = in_type(r, 0), w = in_type(r, 1);
    int64_t dx[MAX_RANK], dw[MAX_RANK], dilation[2] = { 1, 1 }, size[2], c_out;
    const int64_t *window = dw + !depthwise;                /* rows and columns of the filter */

    if (!want_rank(r, 0, 4) || !want_rank(r, 1, depthwise ? 3 : 4) || !want_const(r, 0, dx) || !want_const(r, 1, dw))
        return false;
    if (!(is_float(x) && is_float(w)) && !are_factors(x, w) && !(depthwise && x.fmt == fmt(FMT_i16) && w.fmt == fmt(FMT_i16)))
        return fail(r->d, r->at, "'%s' of %s and %s is not defined", name(r), show(r, x), show(r, w));
    if (!want_zero(r, "x_zero", x) || !want_zero(r, "w_zero", w))
        return false;
    if (op_attr(r->o, "dilation") && !want_ints(r, "dilation", 2, 1, MAX_IMAGE, dilation))
        return false;
    c_out = depthwise ? dw[2] : dw[0];
    if (depthwise ? c_out % dx[3] : dx[3] % dw[3] || c_out % (dx[3] / dw[3]))
        return fail(r->d, r->at, "'%s': the channels of %s and %s do not fit", name(r), show(r, x), show(r, w));
    if (window[0] > 1 << 15 || window[1] > 1 << 15 ||
        (is_byte(x) && window[0] * window[1] > most_terms(r) / (depthwise ? 1 : dw[3])))
        return fail(r->d, r->at, "'%s': sums over %s need more than 32 bits", name(r), show(r, w));
    for (int i = 0; i < 2; i++)
        size[i] = (window[i] - 1) * dilation[i] + 1;
    return windows_of(r, dx, size, fmt(is_float(x) ? FMT_f32 : FMT_i32), c_out);
}

static bool shape_tconv2d(const Rule *r)
{
    Type x = in_type(r, 0), w = in_type(r, 1);
    int64_t dx[MAX_RANK], dw[MAX_RANK], stride[2], pad[4], out[2];

    if (!want_rank(r, 0, 4) || !want_rank(r, 1, 4) || !want_const(r, 0, dx) || !want_const(r, 1, dw))
        return false;
    if (!(is_float(x) && is_float(w)) && !are_factors(x, w))
        return fail(r->d, r->at, "'tconv2d' of %s and %s is not defined", show(r, x), show(r, w));
    if (!want_zero(r, "x_zero", x) || !want_zero(r, "w_zero", w) || !want_equal(r, x.dim[3], w.dim[3], "the channels of x and w"))
        return false;
    if (!want_ints(r, "stride", 2, 1, MAX_IMAGE, stride) || !want_ints(r, "pad", 4, -MAX_IMAGE, MAX_IMAGE, pad))
        return false;
    if (dw[1] > 1 << 15 || dw[2] > 1 << 15 || (is_byte(x) && dw[1] * dw[2] > most_terms(r) / dw[3]))
        return fail(r->d, r->at, "'tconv2d': sums over %s need more than 32 bits", show(r, w));
    for (int i = 0; i < 2; i++) {
        out[i] = dx[1 + i] > MAX_IMAGE ? 0 : (dx[1 + i] - 1) * stride[i] + dw[1 + i] - pad[i] - pad[2 + i];
        if (out[i] < 1 || out[i] > MAX_IMAGE)
            return fail(r->d, r->at, "'tconv2d': nothing is left of %s, or too much", show(r, x));
    }
    r->t[0] = type_of(fmt(is_float(x) ? FMT_f32 : FMT_i32), 4, (Dim[]){ x.dim[0], dim_const(r->m, out[0]), dim_const(r->m, out[1]), w.dim[0] });
    return true;
}

static bool shape_resize(const Rule *r)
{
    int64_t dx[MAX_RANK], to[2], flag;
    Type x = in_type(r, 0);

    if (!want_rank(r, 0, 4) || !want_const(r, 0, dx) || !want_ints(r, "dims", 2, 1, 1 << 15, to))
        return false;
    if (!is_float(x) && !is_byte(x) && x.fmt != fmt(FMT_i16))
        return fail(r->d, r->at, "'resize' of %s is not defined", show(r, x));
    if (dx[1] > 1 << 15 || dx[2] > 1 << 15)                 /* places in units of 2^-10 fit 31 bits */
        return fail(r->d, r->at, "'resize' of %s, which is too large", show(r, x));
    for (const char *const *k = (const char *const[]){ "align_corners", "half_pixel", NULL }; *k; k++)
        if (op_attr(r->o, *k) && !want_int(r, *k, 0, 1, &flag))
            return false;
    x.dim[1] = dim_const(r->m, to[0]);
    x.dim[2] = dim_const(r->m, to[1]);
    r->t[0] = x;
    return true;
}

static bool shape_pool(const Rule *r)
{
    int64_t dx[MAX_RANK], size[2], pad[4];
    Type x = in_type(r, 0);

    if (!want_rank(r, 0, 4) || !want_const(r, 0, dx) || !want_ints(r, "window", 2, 1, 1 << 11, size))
        return false;
    if (!is_float(x) && !is_byte(x) && x.fmt != fmt(FMT_i16))
        return fail(r->d, r->at, "'%s' of %s is not defined", name(r), show(r, x));
    if (!want_ints(r, "pad", 4, 0, MAX_IMAGE, pad))
        return false;
    for (int i = 0; i < 4; i++)
        if (pad[i] >= size[i % 2])
            return fail(r->d, r->at, "'%s': a window could lie in the padding alone", name(r));
    return windows_of(r, dx, size, x.fmt, dx[3]);
}

static bool shape_requant(const Rule *r)
{
    const Attr *to = op_attr(r->o, "to");
    const Format *f = to && to->kind == ATTR_str ? format_find(to->s) : NULL;
    const char *rounding = op_str(r->o, "rounding", "double");
    Type x = in_type(r, 0);
    int64_t lo, hi, v;

    if (x.fmt->kind != FORMAT_int || x.fmt->bytes > 4)
        return fail(r->d, r->at, "'requant' of %s, which has no integers of at most 32 bits", show(r, x));
    if (!f || f->kind != FORMAT_int || f->bytes > 4)
        return fail(r->d, r->at, "'requant' to '%s', which is no integer format of at most 32 bits", op_str(r->o, "to", ""));
    if (strcmp(rounding, "double") && strcmp(rounding, "single") && strcmp(rounding, "short"))
        return fail(r->d, r->at, "'requant': rounding is \"double\", \"single\" or \"short\", not \"%s\"", rounding);
    for (int i = 1; i < 3; i++)
        if (!want_i32(r, i) || !want_rank(r, i, 1))
            return false;
    if (!want_equal(r, in_type(r, 1).dim[0], in_type(r, 2).dim[0], "the numbers of multipliers and of shifts"))
        return false;
    if (!(dim_is_const(in_type(r, 1).dim[0], &v) && v == 1) &&
        (x.rank == 0 || !want_equal(r, in_type(r, 1).dim[0], type_last(x), "the numbers of multipliers and of channels")))
        return x.rank > 0 ? false : fail(r->d, r->at, "'requant' of a single number has one multiplier");
    if (!want_zero(r, "x_zero", x))
        return false;
    if (op_attr(r->o, "left") && !want_int(r, "left", 0, 30, &v))
        return false;
    format_int_range(f, &lo, &hi);
    for (const char *const *k = (const char *const[]){ "zero", "lo", "hi", NULL }; *k; k++)
        if (op_attr(r->o, *k) && !want_int(r, *k, lo, hi, &v))
            return false;
    if (op_int(r->o, "lo", lo) > op_int(r->o, "hi", hi))
        return fail(r->d, r->at, "'requant': lo is larger than hi");
    x.fmt = f;
    r->t[0] = x;
    return true;
}

static bool shape_clamp(const Rule *r)
{
    Type x = in_type(r, 0);

    if (!is_float(x) && !(x.fmt->kind == FORMAT_int && x.fmt->bytes <= 4))
        return want_float(r, 0);
    if (!(op_float(r->o, "lo", 0) <= op_float(r->o, "hi", 0)))
        return fail(r->d, r->at, "'clamp': lo must be at most hi");
    r->t[0] = x;
    return true;
}

static bool shape_lookup(const Rule *r)
{
    Type x = in_type(r, 0), w = in_type(r, 1);
    int64_t n;

    if (!is_byte(x) && x.fmt != fmt(FMT_i16))
        return fail(r->d, r->at, "'lookup' by %s is not defined (i8, u8 or i16)", show(r, x));
    if (!want_rank(r, 1, 1))
        return false;
    if (w.fmt->kind != FORMAT_int || w.fmt->bytes > 4 || !dim_is_const(w.dim[0], &n) || n != (int64_t)1 << (8 * x.fmt->bytes))
        return fail(r->d, r->at, "'lookup': %s does not have a number for each of %s", show(r, w), x.fmt->name);
    x.fmt = w.fmt;
    r->t[0] = x;
    return true;
}

static bool shape_curve_int(const Rule *r)
{
    Type x = in_type(r, 0), w = in_type(r, 1);
    int64_t n, v;

    if (x.fmt != fmt(FMT_i16) || w.fmt != fmt(FMT_i16) || w.rank != 1 || !dim_is_const(w.dim[0], &n) || n != 256)
        return fail(r->d, r->at, "'%s' of %s by %s is not defined (i16, and a table i16[256])", name(r), show(r, x), show(r, w));
    if (!want_int(r, "m", 1, INT16_MAX, &v) || !want_int(r, "shift", 0, 31, &v))
        return false;
    r->t[0] = x;
    return true;
}

static bool shape_softmax_int(const Rule *r)
{
    const Attr *to = op_attr(r->o, "to");
    const Format *f = to && to->kind == ATTR_str ? format_find(to->s) : NULL;
    Type x = in_type(r, 0);
    int64_t v;

    if (x.fmt != fmt(FMT_i8) || x.rank == 0 || !f || (f != fmt(FMT_i8) && f != fmt(FMT_i16)))
        return fail(r->d, r->at, "'softmax_int' goes from i8 to i8 or i16, not from %s to '%s'", show(r, x),
                    op_str(r->o, "to", ""));
    if (dim_hi(type_last(x)) > 1 << 12)                     /* the sum has 12 integer bits */
        return fail(r->d, r->at, "'softmax_int' of more than %d numbers", 1 << 12);
    if (!want_int(r, "m", 1 << 30, INT32_MAX, &v) || !want_int(r, "s", 0, 31, &v) || !want_int(r, "diff_min", -(1 << 30), 0, &v))
        return false;
    x.fmt = f;
    r->t[0] = x;
    return true;
}

static bool want_axis(const Rule *r, Type x, int64_t *axis)
{
    if (x.rank == 0)
        return fail(r->d, r->at, "'%s' of a single number", name(r));
    return want_int(r, "axis", 0, x.rank - 1, axis);
}

static bool shape_l2norm_int(const Rule *r)
{
    Type x = in_type(r, 0);

    if (x.fmt != fmt(FMT_i8) || x.rank == 0)
        return fail(r->d, r->at, "'l2norm_int' of %s is not defined (i8)", show(r, x));
    if (dim_hi(type_last(x)) > 1 << 14)                     /* 255^2 each, in 31 bits */
        return fail(r->d, r->at, "'l2norm_int' of more than %d numbers", 1 << 14);
    if (!want_zero(r, "zero", x))
        return false;
    r->t[0] = x;
    return true;
}

static bool shape_argmax(const Rule *r)
{
    Type x = in_type(r, 0);
    int64_t axis, least;

    if (!want_axis(r, x, &axis) || (op_attr(r->o, "least") && !want_int(r, "least", 0, 1, &least)))
        return false;
    if (!is_float(x) && !is_small_int(x))
        return want_float(r, 0);
    if (!dim_is_const(x.dim[axis], NULL) || x.dim[axis]->c < 1 || x.dim[axis]->c > INT32_MAX)
        return fail(r->d, r->at, "'argmax' over axis %" PRId64 " of %s, which is empty or not constant", axis, show(r, x));
    for (int i = (int)axis; i + 1 < x.rank; i++)
        x.dim[i] = x.dim[i + 1];
    x.rank--;
    x.fmt = fmt(FMT_i32);
    r->t[0] = x;
    return true;
}

static bool shape_gather(const Rule *r)
{
    Type x = in_type(r, 0), i = in_type(r, 1);
    int64_t axis;

    if (!want_axis(r, x, &axis) || !want_i32(r, 1) || !want_rank(r, 1, 1))
        return false;
    if (!is_float(x) && !is_small_int(x))
        return fail(r->d, r->at, "'gather' of %s is not defined", show(r, x));
    if (!dim_is_const(x.dim[axis], NULL) || x.dim[axis]->c < 1 || x.dim[axis]->c > INT32_MAX)
        return fail(r->d, r->at, "'gather' along axis %" PRId64 " of %s, which is empty or not constant", axis, show(r, x));
    x.dim[axis] = i.dim[0];
    r->t[0] = x;
    return true;
}

static bool shape_concat(const Rule *r)
{
    int64_t axis;
    Type y;

    if (r->o->n_in == 0)
        return fail(r->d, r->at, "'concat' of nothing");
    y = in_type(r, 0);
    if (!want_axis(r, y, &axis))
        return false;
    if (y.fmt->block > 1)
        return fail(r->d, r->at, "'concat' of %s, which is stored in blocks", show(r, y));
    for (int i = 1; i < r->o->n_in; i++) {
        Type x = in_type(r, i);
        bool same = x.fmt == y.fmt && x.rank == y.rank;

        for (int k = 0; same && k < x.rank; k++)
            same = k == axis || x.dim[k] == y.dim[k];
        if (!same)
            return fail(r->d, r->at, "'concat': %s does not go behind %s", show(r, x), show(r, in_type(r, 0)));
        y.dim[axis] = dim_add(r->m, y.dim[axis], x.dim[axis]);
        if (dim_hi(y.dim[axis]) > MAX_DIM)
            return fail(r->d, r->at, "'concat': the result is too large");
    }
    r->t[0] = y;
    return true;
}

static bool shape_pad(const Rule *r)
{
    int64_t before[MAX_RANK], after[MAX_RANK];
    Type x = in_type(r, 0);

    if (x.fmt->block > 1 || (x.fmt->kind == FORMAT_int && x.fmt->bytes > 4))
        return fail(r->d, r->at, "'pad' of %s is not defined", show(r, x));
    if (!want_ints(r, "before", x.rank, 0, MAX_IMAGE, before) || !want_ints(r, "after", x.rank, 0, MAX_IMAGE, after))
        return false;
    for (int i = 0; i < x.rank; i++)
        x.dim[i] = dim_add(r->m, x.dim[i], dim_const(r->m, before[i] + after[i]));
    r->t[0] = x;
    return true;
}

static bool shape_transpose(const Rule *r)
{
    Type x = in_type(r, 0), y = x;
    int64_t perm[MAX_RANK];
    bool seen[MAX_RANK] = { false };

    if (x.fmt->block > 1)
        return fail(r->d, r->at, "'transpose' of %s, which is stored in blocks", show(r, x));
    if (!want_ints(r, "perm", x.rank, 0, x.rank - 1, perm))
        return false;
    for (int i = 0; i < x.rank; i++) {
        if (seen[perm[i]])
            return fail(r->d, r->at, "'transpose': perm names dimension %" PRId64 " twice", perm[i]);
        seen[perm[i]] = true;
        y.dim[i] = x.dim[perm[i]];
    }
    r->t[0] = y;
    return true;
}

static bool shape_sum(const Rule *r)
{
    const Attr *axes = op_attr(r->o, "axes");
    Type x = in_type(r, 0);
    int64_t n = 1;

    if (!is_float(x) && !is_small_int(x))
        return fail(r->d, r->at, "'sum' of %s is not defined", show(r, x));
    for (int i = 0; axes && i < axes->n_ints; i++) {
        if (axes->ints[i] < 0 || axes->ints[i] >= x.rank)
            return fail(r->d, r->at, "'sum': %s has no dimension %" PRId64, show(r, x), axes->ints[i]);
        n = dim_hi(x.dim[axes->ints[i]]) < 1 << 15 ? n * dim_hi(x.dim[axes->ints[i]]) : 1 << 30;
        if (!is_float(x) && x.fmt->bytes < 4 && n > 1 << 15)
            return fail(r->d, r->at, "'sum' over %s needs more than 32 bits", show(r, x));
        x.dim[axes->ints[i]] = dim_const(r->m, 1);
    }
    if (!is_float(x))
        x.fmt = fmt(FMT_i32);
    r->t[0] = x;
    return true;
}

/* ---- positions, attention, regions -------------------------------------------------------------------------------------- */

static bool shape_positions(const Rule *r)
{
    Dim n;

    if (!free_dim(r, "T", &n))
        return false;
    r->t[0] = type_of(fmt(FMT_i32), 1, &n);
    return true;
}

static bool shape_rope_angles(const Rule *r)
{
    Type pos = in_type(r, 0), freq = in_type(r, 1);

    if (!want_i32(r, 0) || !want_rank(r, 0, 1) || !want_rank(r, 1, 1) || !want_float(r, 1))
        return false;
    r->t[0] = type_of(fmt(FMT_f32), 2, (Dim[]){ pos.dim[0], dim_mul(r->m, freq.dim[0], 2) });
    return true;
}

static bool shape_append(const Rule *r)
{
    Type s = in_type(r, 0), x = in_type(r, 1);
    bool same = s.rank == x.rank && s.rank > 0;

    if (!want_float(r, 1))
        return false;
    for (int i = 1; same && i < s.rank; i++)
        same = s.dim[i] == x.dim[i];
    return same || fail(r->d, r->at, "'append': rows of %s are not rows of the state %s", show(r, x), show(r, s));
}

/* A state of which load and store take the whole. */
static bool want_var(const Rule *r)
{
    const Value *s = r->o->in[0];

    return !s->state || !strcmp(s->state->kind, "var") ||
           fail(r->d, r->at, "'%s' of @%s, a state of kind %s, not var", name(r), s->name, s->state->kind);
}

static bool shape_load(const Rule *r)
{
    r->t[0] = in_type(r, 0);
    return want_var(r);
}

static bool shape_store(const Rule *r)
{
    return want_var(r) && (type_eq(in_type(r, 0), in_type(r, 1)) ||
                           fail(r->d, r->at, "'store': %s is not %s, the state's type", show(r, in_type(r, 1)), show(r, in_type(r, 0))));
}

static bool shape_attention(const Rule *r)
{
    Type q = in_type(r, 0), k = in_type(r, 1), v = in_type(r, 2), pos = in_type(r, 3);
    int64_t n_head, n_head_kv, window, q_dim, k_dim, v_dim;

    if (!want_float(r, 0) || !want_float(r, 1) || !want_float(r, 2) || !want_i32(r, 3))
        return false;
    if (!want_rank(r, 0, 2) || !want_rank(r, 1, 2) || !want_rank(r, 2, 2) || !want_rank(r, 3, 1))
        return false;
    if (!want_int(r, "n_head", 1, 1 << 20, &n_head) || !want_int(r, "n_head_kv", 1, 1 << 20, &n_head_kv))
        return false;
    if (op_attr(r->o, "window") && !want_int(r, "window", 1, MAX_DIM, &window))
        return false;
    if (n_head % n_head_kv)
        return fail(r->d, r->at, "'attention': n_head %" PRId64 " is not a multiple of n_head_kv %" PRId64, n_head, n_head_kv);
    if (!want_equal(r, q.dim[0], pos.dim[0], "the numbers of rows of q and pos") ||
        !want_equal(r, k.dim[0], v.dim[0], "the numbers of rows of k and v"))
        return false;
    if (!dim_is_const(q.dim[1], &q_dim) || !dim_is_const(k.dim[1], &k_dim) || !dim_is_const(v.dim[1], &v_dim) ||
        q_dim % n_head || k_dim % n_head_kv || v_dim % n_head_kv || q_dim / n_head != k_dim / n_head_kv)
        return fail(r->d, r->at, "'attention': %s, %s and %s are not %" PRId64 " heads over %" PRId64, show(r, q), show(r, k),
                    show(r, v), n_head, n_head_kv);
    if (v_dim / n_head_kv > MAX_DIM / n_head)
        return fail(r->d, r->at, "'attention': the result is too large");
    r->t[0] = type_of(fmt(FMT_f32), 2, (Dim[]){ q.dim[0], dim_const(r->m, v_dim / n_head_kv * n_head) });
    return true;
}

/* Of region ops: the operands become the parameters, the yielded values the results. */
static bool region_of(const Rule *r, const Op **yield)
{
    const Op *o = r->o;
    const Region *body = o->n_region == 1 ? o->region[0] : NULL;

    if (!body)
        return fail(r->d, r->at, "'%s' owns one region, not %d", name(r), o->n_region);
    if (body->n_param != o->n_in)
        return fail(r->d, r->at, "'%s' has %d operands and its region %d parameters", name(r), o->n_in, body->n_param);
    for (int i = 0; i < o->n_in; i++) {
        if (value_role(o->in[i]) != value_role(body->param[i]))
            return fail(r->d, r->at, "'%s': operand %d and parameter %%%s must both be a tensor, a weight or a state", name(r),
                        i, body->param[i]->name);
        if (!type_eq(o->in[i]->type, body->param[i]->type))
            return fail(r->d, r->at, "'%s': operand %d is %s, parameter %%%s is %s", name(r), i, show(r, in_type(r, i)),
                        body->param[i]->name, show(r, body->param[i]->type));
    }
    *yield = body->last;
    if (!*yield || (*yield)->kind != OP_yield)
        return fail(r->d, r->at, "the region of '%s' does not end with yield", name(r));
    return true;
}

static bool shape_fused(const Rule *r)
{
    const Op *yield;

    if (!region_of(r, &yield))
        return false;
    for (int i = 0; i < yield->n_in; i++)
        r->t[i] = yield->in[i]->type;
    return true;
}

static bool shape_loop(const Rule *r)
{
    const Op *yield;
    int64_t count;

    if (!region_of(r, &yield) || !want_int(r, "count", 1, 1 << 20, &count))
        return false;
    if (yield->n_in > r->o->n_in)
        return fail(r->d, r->at, "'loop' yields %d values but has only %d operands to feed them to", yield->n_in, r->o->n_in);
    for (int i = 0; i < yield->n_in; i++) {
        if (value_role(r->o->in[i]) != VAL_result || !type_eq(yield->in[i]->type, in_type(r, i)))
            return fail(r->d, r->at, "'loop': value %d that is fed back is %s, the parameter %s", i,
                        show(r, yield->in[i]->type), show(r, in_type(r, i)));
        r->t[i] = yield->in[i]->type;
    }
    return true;
}

static bool shape_scan(const Rule *r)
{
    const Op *o = r->o;
    const Region *body = o->n_region == 1 ? o->region[0] : NULL;
    const Op *yield = body ? body->last : NULL;
    int64_t count, carried, rows;

    if (!want_int(r, "count", 1, 1 << 20, &count) || !want_int(r, "carried", 0, o->n_in, &carried) ||
        !want_int(r, "rows", 0, o->n_in - carried, &rows))
        return false;
    if (!body || body->n_param != o->n_in || !yield || yield->kind != OP_yield || yield->n_in < carried)
        return fail(r->d, r->at, "'scan' owns one region, with a parameter for each operand, that yields what is carried");
    for (int i = 0; i < o->n_in; i++) {
        Type want = in_type(r, i);
        bool row = i >= carried && i < carried + rows, tensor = value_role(o->in[i]) == VAL_result;

        if (row && (want.rank == 0 || want.dim[0] != dim_const(r->m, count)))
            return fail(r->d, r->at, "'scan': operand %d, %s, does not have %" PRId64 " rows", i, show(r, want), count);
        if (row)
            want.dim[0] = dim_const(r->m, 1);
        if (value_role(o->in[i]) != value_role(body->param[i]) || (i < carried + rows && !tensor) || !type_eq(want, body->param[i]->type))
            return fail(r->d, r->at, "'scan': operand %d does not fit parameter %%%s, %s", i, body->param[i]->name,
                        show(r, body->param[i]->type));
    }
    for (int i = 0; i < yield->n_in; i++) {
        Type t = yield->in[i]->type;

        if (i < carried && !type_eq(t, in_type(r, i)))
            return fail(r->d, r->at, "'scan': value %d that is carried is %s, the operand %s", i, show(r, t), show(r, in_type(r, i)));
        if (i >= carried && (t.rank == 0 || t.dim[0] != dim_const(r->m, 1)))
            return fail(r->d, r->at, "'scan': value %d that is yielded, %s, is no row", i, show(r, t));
        if (i >= carried)
            t.dim[0] = dim_const(r->m, count);
        r->t[i] = t;
    }
    return true;
}

static bool shape_call(const Rule *r)
{
    const Op *o = r->o;
    const Region *body = o->callee ? o->callee->body : NULL;

    if (!body)
        return fail(r->d, r->at, "'call' names no function");
    if (body->n_param != o->n_in)
        return fail(r->d, r->at, "function @%s has %d parameters, not %d", o->callee->name, body->n_param, o->n_in);
    for (int i = 0; i < o->n_in; i++) {
        const Value *p = body->param[i], *v = o->in[i];
        const Layout *l = v->kind == VAL_weight ? v->weight->layout : v->layout;

        if (value_role(v) != value_role(p))
            return fail(r->d, r->at, "argument %d of @%s and parameter %%%s must both be a tensor, a weight or a state", i,
                        o->callee->name, p->name);
        if (!type_eq(v->type, p->type))
            return fail(r->d, r->at, "argument %d of @%s is %s, parameter %%%s is %s", i, o->callee->name,
                        show(r, v->type), p->name, show(r, p->type));
        if (p->layout && l != p->layout)
            return fail(r->d, r->at, "argument %d of @%s has layout %s, parameter %%%s %s", i, o->callee->name,
                        l ? l->name : "none", p->name, p->layout->name);
    }
    if (!body->last || body->last->kind != OP_return)
        return fail(r->d, r->at, "function @%s does not end with return", o->callee->name);
    for (int i = 0; i < body->last->n_in; i++)
        r->t[i] = body->last->in[i]->type;
    return true;
}

typedef bool ShapeRule(const Rule *r);
static ShapeRule *const shape_table[N_OPS] = {
#define OP(name, operands, attrs, n_out, effect, shape, c_expr, help) [OP_##name] = shape,
#include "ir/ops.def"
};

/* How many results an op with a table entry of -1 has. */
static int n_results(const Op *o)
{
    const Region *r = o->kind == OP_call ? (o->callee ? o->callee->body : NULL) : o->n_region ? o->region[0] : NULL;

    if (op_info[o->kind].n_out >= 0)
        return op_info[o->kind].n_out;
    return r && r->last && (r->last->kind == OP_yield || r->last->kind == OP_return) ? r->last->n_in : 0;
}

bool op_result_types(const Op *o, Type *t, int *n, Diag *d, Loc at)
{
    Rule r = { o, t, d, at, o->parent->func->m };
    int room = *n;

    *n = n_results(o);
    if (*n > room)
        return fail(d, at, "'%s' has %d result%s, not %d", op_info[o->kind].name, *n, *n == 1 ? "" : "s", room);
    return shape_table[o->kind](&r);
}

bool op_infer(Op *o, Diag *d, Loc at)
{
    int n = n_results(o);
    Type *t = ARENA_ARRAY(o->parent->func->m->a, Type, n + 1);

    if (!op_check_table(o, d, at) || !op_result_types(o, t, &n, d, at))
        return false;
    if (o->n_out != n)
        return fail(d, at, "'%s' has %d results, not %d", op_info[o->kind].name, n, o->n_out);
    for (int i = 0; i < n; i++)
        o->out[i]->type = t[i];
    return true;
}
