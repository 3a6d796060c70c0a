/* Dimensions and types.
 *
 * A dimension is kept in one normal form, so that two dimensions that the constructors can see to be equal are one pointer:
 *
 *     T*2 + P + 3        a sum of atoms times positive constants, atoms in order, the constant last
 *     atom               a symbol, or a floor-division, minimum or maximum of dimensions
 *
 * dim_add merges two such sums, dim_mul distributes over one, dim_div divides one where every part is a multiple.  Nodes are
 * hash-consed in Module.dim_table, chained through DimNode.next.  Constants saturate at INT64_MAX ("overflow"). */
#include "ir/internal.h"

/* ---- arithmetic that saturates ------------------------------------------------------------------------------------ */

static int64_t sat_add(int64_t a, int64_t b)
{
    if (b > 0 && a > INT64_MAX - b)
        return INT64_MAX;
    if (b < 0 && a < INT64_MIN - b)
        return INT64_MIN;
    return a + b;
}

static int64_t sat_mul(int64_t a, int64_t b)       /* b >= 0 */
{
    if (b == 0)
        return 0;
    if (a > INT64_MAX / b)
        return INT64_MAX;
    if (a < INT64_MIN / b)
        return INT64_MIN;
    return a * b;
}

static int64_t floor_div(int64_t a, int64_t c)
{
    return a / c - (a % c < 0);
}

/* ---- symbols ------------------------------------------------------------------------------------------------------ */

Sym *module_find_sym(const Module *m, Str name)
{
    for (int i = 0; i < m->n_sym; i++)
        if (str_is(name, m->sym[i]->name))
            return m->sym[i];
    return NULL;
}

Sym *module_sym(Module *m, const char *name, int64_t lo, int64_t hi)
{
    Sym *s = module_find_sym(m, str_of(name));

    if (s)
        return s;
    s = ARENA_NEW(m->a, Sym);
    *s = (Sym){ .name = str_z(m->a, str_of(name)), .lo = lo, .hi = hi, .index = m->n_sym };
    m->sym = grow_array(m->a, m->sym, m->n_sym, sizeof *m->sym);
    m->sym[m->n_sym++] = s;
    return s;
}

/* ---- nodes -------------------------------------------------------------------------------------------------------- */

static Dim dim_node(Module *m, DimKind kind, int64_t c, const Sym *sym, Dim a, Dim b)
{
    uint64_t h = (uint64_t)kind * 31 + (uint64_t)c;
    DimNode **chain;

    h = h * 0x9E3779B97F4A7C15u + (uint64_t)(uintptr_t)sym;
    h = h * 0x9E3779B97F4A7C15u + (uint64_t)(uintptr_t)a;
    h = h * 0x9E3779B97F4A7C15u + (uint64_t)(uintptr_t)b;
    chain = &m->dim_table[h >> 56];
    for (DimNode *n = *chain; n; n = n->next)
        if (n->kind == kind && n->c == c && n->sym == sym && n->a == a && n->b == b)
            return n;
    DimNode *n = ARENA_NEW(m->a, DimNode);
    *n = (DimNode){ .kind = kind, .c = c, .sym = sym, .a = a, .b = b, .next = *chain };
    *chain = n;
    return n;
}

Dim dim_const(Module *m, int64_t c)
{
    return dim_node(m, DIM_const, c, NULL, NULL, NULL);
}

Dim dim_sym(Module *m, const Sym *s)
{
    return dim_node(m, DIM_sym, 0, s, NULL, NULL);
}

bool dim_is_const(Dim d, int64_t *c)
{
    if (d->kind != DIM_const)
        return false;
    if (c)
        *c = d->c;
    return true;
}

/* A total order that does not depend on addresses: by kind, then symbol, constant and parts. */
static int dim_cmp(Dim a, Dim b)
{
    int c;

    if (a == b)
        return 0;
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    if (a->sym != b->sym)
        return a->sym->index < b->sym->index ? -1 : 1;
    if (a->a) {
        c = dim_cmp(a->a, b->a);
        if (c)
            return c;
    }
    if (a->b) {
        c = dim_cmp(a->b, b->b);
        if (c)
            return c;
    }
    return a->c < b->c ? -1 : a->c > b->c;
}

/* ---- sums --------------------------------------------------------------------------------------------------------- */

typedef struct { Dim atom; int64_t c; } Term;
typedef struct { Term *term; int n; int64_t c; } Sum;

static int count_terms(Dim d)
{
    int n = 1;

    for (; d->kind == DIM_add; d = d->a)
        n++;
    return n;
}

static void add_term(Sum *s, Dim atom, int64_t c)
{
    int i = 0, order = 1;

    while (i < s->n && (order = dim_cmp(s->term[i].atom, atom)) < 0)
        i++;
    if (i < s->n && order == 0) {
        s->term[i].c = sat_add(s->term[i].c, c);
        return;
    }
    memmove(s->term + i + 1, s->term + i, (size_t)(s->n - i) * sizeof(Term));
    s->term[i] = (Term){ atom, c };
    s->n++;
}

static void add_dim(Sum *s, Dim d, int64_t times)
{
    for (; d->kind == DIM_add; d = d->a) {
        Dim last = d->b;

        if (last->kind == DIM_const)
            s->c = sat_add(s->c, sat_mul(last->c, times));
        else
            add_term(s, last->kind == DIM_mul ? last->a : last,
                     sat_mul(last->kind == DIM_mul ? last->c : 1, times));
    }
    if (d->kind == DIM_const)
        s->c = sat_add(s->c, sat_mul(d->c, times));
    else
        add_term(s, d->kind == DIM_mul ? d->a : d, sat_mul(d->kind == DIM_mul ? d->c : 1, times));
}

static Dim sum_dim(Module *m, const Sum *s)
{
    Dim d = NULL;

    for (int i = 0; i < s->n; i++) {
        Dim t = s->term[i].atom;

        if (s->term[i].c != 1)
            t = dim_node(m, DIM_mul, s->term[i].c, NULL, t, NULL);
        d = d ? dim_node(m, DIM_add, 0, NULL, d, t) : t;
    }
    if (!d)
        return dim_const(m, s->c);
    return s->c ? dim_node(m, DIM_add, 0, NULL, d, dim_const(m, s->c)) : d;
}

Dim dim_add(Module *m, Dim a, Dim b)
{
    Sum s = { .n = 0 };

    s.term = ARENA_ARRAY(m->a, Term, count_terms(a) + count_terms(b));
    add_dim(&s, a, 1);
    add_dim(&s, b, 1);
    return sum_dim(m, &s);
}

Dim dim_mul(Module *m, Dim a, int64_t c)
{
    Sum s = { .n = 0 };

    if (c < 0)
        bug("a dimension times %" PRId64, c);
    if (c == 0)
        return dim_const(m, 0);
    s.term = ARENA_ARRAY(m->a, Term, count_terms(a));
    add_dim(&s, a, c);
    return sum_dim(m, &s);
}

Dim dim_div(Module *m, Dim a, int64_t c)
{
    Sum s = { .n = 0 };
    bool whole;

    if (c <= 0)
        bug("a dimension divided by %" PRId64, c);
    if (a->kind == DIM_const)
        return dim_const(m, floor_div(a->c, c));
    s.term = ARENA_ARRAY(m->a, Term, count_terms(a));
    add_dim(&s, a, 1);
    whole = s.c % c == 0;
    for (int i = 0; i < s.n; i++)
        whole = whole && s.term[i].c % c == 0;
    if (!whole)
        return dim_node(m, DIM_div, c, NULL, a, NULL);
    for (int i = 0; i < s.n; i++)
        s.term[i].c /= c;
    s.c /= c;
    return sum_dim(m, &s);
}

static Dim dim_pick(Module *m, DimKind kind, Dim a, Dim b)
{
    if (a == b)
        return a;
    if (a->kind == DIM_const && b->kind == DIM_const)
        return (kind == DIM_min) == (a->c < b->c) ? a : b;
    /* a constant second: min(T,64) */
    if (a->kind == DIM_const || (b->kind != DIM_const && dim_cmp(a, b) > 0))
        return dim_node(m, kind, 0, NULL, b, a);
    return dim_node(m, kind, 0, NULL, a, b);
}

Dim dim_min(Module *m, Dim a, Dim b)
{
    return dim_pick(m, DIM_min, a, b);
}

Dim dim_max(Module *m, Dim a, Dim b)
{
    return dim_pick(m, DIM_max, a, b);
}

/* ---- what a dimension is worth ------------------------------------------------------------------------------------ */

/* Every operation is monotone in its dimensions (constant factors are not negative), so the bounds are those of the parts.
 * val NULL: the low (hi false) or high end of each symbol. */
static int64_t dim_value(Dim d, const int64_t *val, bool hi)
{
    int64_t a, b;

    switch (d->kind) {
    case DIM_const: return d->c;
    case DIM_sym: return val ? val[d->sym->index] : hi ? d->sym->hi : d->sym->lo;
    case DIM_add: return sat_add(dim_value(d->a, val, hi), dim_value(d->b, val, hi));
    case DIM_mul: return sat_mul(dim_value(d->a, val, hi), d->c);
    case DIM_div:
        a = dim_value(d->a, val, hi);
        return a == INT64_MAX ? a : floor_div(a, d->c);
    case DIM_min: case DIM_max:
        a = dim_value(d->a, val, hi);
        b = dim_value(d->b, val, hi);
        return (d->kind == DIM_min) == (a < b) ? a : b;
    }
    bug("a dimension of kind %d", d->kind);
}

int64_t dim_lo(Dim d)
{
    return dim_value(d, NULL, false);
}

int64_t dim_hi(Dim d)
{
    return dim_value(d, NULL, true);
}

int64_t dim_eval(Dim d, const int64_t *val)
{
    return dim_value(d, val, true);
}

void dim_symbols(Dim d, bool *used)
{
    if (d->sym)
        used[d->sym->index] = true;
    if (d->a)
        dim_symbols(d->a, used);
    if (d->b)
        dim_symbols(d->b, used);
}

Dim dim_subst_all(Module *m, Dim d, const Dim *by)
{
    switch (d->kind) {
    case DIM_const: return d;
    case DIM_sym: return by[d->sym->index] ? by[d->sym->index] : d;
    case DIM_add: return dim_add(m, dim_subst_all(m, d->a, by), dim_subst_all(m, d->b, by));
    case DIM_mul: return dim_mul(m, dim_subst_all(m, d->a, by), d->c);
    case DIM_div: return dim_div(m, dim_subst_all(m, d->a, by), d->c);
    case DIM_min: return dim_min(m, dim_subst_all(m, d->a, by), dim_subst_all(m, d->b, by));
    case DIM_max: return dim_max(m, dim_subst_all(m, d->a, by), dim_subst_all(m, d->b, by));
    }
    bug("a dimension of kind %d", d->kind);
}

Dim dim_subst(Module *m, Dim d, const Sym *s, Dim by)
{
    Dim *all = ARENA_ARRAY(m->a, Dim, m->n_sym);

    all[s->index] = by;
    return dim_subst_all(m, d, all);
}

/* ---- types -------------------------------------------------------------------------------------------------------- */

Type type_of(const Format *f, int rank, const Dim *dim)
{
    Type t = { .fmt = f, .rank = rank };

    if (rank < 0 || rank > MAX_RANK)
        bug("a type of rank %d", rank);
    for (int i = 0; i < rank; i++)
        t.dim[i] = dim[i];
    return t;
}

Type type_1(Module *m, const Format *f, int64_t a)
{
    return type_of(f, 1, (Dim[]){ dim_const(m, a) });
}

Type type_2(Module *m, const Format *f, int64_t a, int64_t b)
{
    return type_of(f, 2, (Dim[]){ dim_const(m, a), dim_const(m, b) });
}

bool type_eq(Type a, Type b)
{
    if (a.fmt != b.fmt || a.rank != b.rank)
        return false;
    for (int i = 0; i < a.rank; i++)
        if (a.dim[i] != b.dim[i])
            return false;
    return true;
}

Dim type_last(Type t)
{
    return t.rank ? t.dim[t.rank - 1] : NULL;
}

Type type_subst_all(Module *m, Type t, const Dim *by)
{
    for (int i = 0; i < t.rank; i++)
        t.dim[i] = dim_subst_all(m, t.dim[i], by);
    return t;
}

int64_t type_n(Type t)
{
    uint64_t n = 1;

    for (int i = 0; i < t.rank; i++) {
        int64_t hi = dim_hi(t.dim[i]);

        if (hi < 0 || hi == INT64_MAX || !mul_ok(n, (uint64_t)hi, &n) || n > INT64_MAX)
            return -1;
    }
    return (int64_t)n;
}

bool type_bytes(Type t, uint64_t *out)
{
    int64_t n = type_n(t);

    if (n < 0)
        return false;
    if (format_is_i8(t.fmt)) { /* whole rows, each at a multiple of 64 bytes */
        uint64_t row;

        if (t.rank == 0 || !format_bytes(t.fmt, dim_hi(type_last(t)), &row) || row > UINT64_MAX - 63)
            return false;
        row = (row + 63) / 64 * 64;
        return mul_ok((uint64_t)type_n_rows(t), row, out);
    }
    if (t.fmt->block > 1) {
        if (t.rank == 0 || dim_hi(type_last(t)) % t.fmt->block)
            return false;
        n /= t.fmt->block;
    }
    return mul_ok((uint64_t)n, (uint64_t)t.fmt->bytes, out);
}

int64_t type_n_rows(Type t)
{
    int64_t n = 1;

    for (int i = 0; i + 1 < t.rank; i++)
        n = sat_mul(n, dim_hi(t.dim[i]));
    return n;
}

/* ---- as text ------------------------------------------------------------------------------------------------------ */

/* Only a sum under a product or quotient needs parentheses; a product of a sum is never kept (it is distributed), so only
 * quotients do. */
void dim_print(Buf *b, Dim d)
{
    switch (d->kind) {
    case DIM_const:
        buf_printf(b, "%" PRId64, d->c);
        break;
    case DIM_sym:
        word_print(b, d->sym->name);
        break;
    case DIM_add:
        dim_print(b, d->a);
        if (d->b->kind != DIM_const || d->b->c >= 0)
            buf_putc(b, '+');
        dim_print(b, d->b);
        break;
    case DIM_mul: case DIM_div:
        if (d->a->kind == DIM_add)
            buf_putc(b, '(');
        dim_print(b, d->a);
        if (d->a->kind == DIM_add)
            buf_putc(b, ')');
        buf_printf(b, "%c%" PRId64, d->kind == DIM_mul ? '*' : '/', d->c);
        break;
    case DIM_min: case DIM_max:
        buf_puts(b, d->kind == DIM_min ? "min(" : "max(");
        dim_print(b, d->a);
        buf_putc(b, ',');
        dim_print(b, d->b);
        buf_putc(b, ')');
        break;
    }
}

void type_print(Buf *b, Type t)
{
    buf_puts(b, t.fmt->name);
    buf_putc(b, '[');
    for (int i = 0; i < t.rank; i++) {
        if (i)
            buf_putc(b, ',');
        dim_print(b, t.dim[i]);
    }
    buf_putc(b, ']');
}

char *type_text(Arena *a, Type t)
{
    Buf b = buf_in(a);

    type_print(&b, t);
    return buf_z(&b);
}
