/* What must hold between passes.
 *
 * One walk over every function.  `seen` holds the values that an op may use at this point: parameters and results of earlier ops of
 * the same region, and in a function's own list also the Module's weights and states.  Regions are isolated from above, so each is
 * checked with a set of its own.  Then what concerns the Module as a whole: names, weights' bytes, calls without cycles, entries. */
#include "ir/internal.h"

typedef struct { const Module *m; Diag *d; const Func *f; PtrMap member; } Verify;

static Loc at_func(const Verify *v)
{
    return AT_WHAT(NULL, str_printf(v->m->a, "function @%s", v->f->name));
}

static Loc at_op(const Verify *v, const Op *o)
{
    return AT_WHAT(NULL, str_printf(v->m->a, "function @%s: %s%s%s%s", v->f->name, o->n_out ? "%" : "",
                                    o->n_out && o->out[0]->name ? o->out[0]->name : "", o->n_out ? " = " : "",
                                    (unsigned)o->kind < N_OPS ? op_info[o->kind].name : "?"));
}

bool type_check(Type t, Diag *d, Loc at)
{
    uint64_t bytes;

    if (!t.fmt || t.rank < 0 || t.rank > MAX_RANK)
        return fail(d, at, "a value without a type");
    for (int i = 0; i < t.rank; i++)
        if (dim_lo(t.dim[i]) < 0 || dim_hi(t.dim[i]) > MAX_DIM)
            return fail(d, at, "dimension %d of a tensor can be negative or over 2^40", i);
    if (t.fmt->block > 1 && (t.rank == 0 || !dim_is_const(type_last(t), NULL) || type_last(t)->c % t.fmt->block))
        return fail(d, at, "the innermost dimension of a %s tensor must be a multiple of %d", t.fmt->name, t.fmt->block);
    if (!type_bytes(t, &bytes) || bytes > (uint64_t)INT64_MAX / 8)
        return fail(d, at, "a tensor that is too large");
    return true;
}

/* ---- regions -------------------------------------------------------------------------------------------------------- */

static bool check_name(const Verify *v, StrMap *names, const Value *value, Loc at)
{
    if (!value->name || !*value->name)
        return fail(v->d, at, "a value without a name");
    return strmap_add(names, str_of(value->name), (void *)value) ||
           fail(v->d, at, "the name %%%s is used twice", value->name);
}

static bool check_operands(Verify *v, const Op *o, const PtrMap *seen, bool top)
{
    Loc at = at_op(v, o);

    for (int i = 0; i < o->n_in; i++) {
        const Value *x = o->in[i];

        if (!x)
            return fail(v->d, at, "operand %d is missing", i);
        if (x->kind == VAL_weight || x->kind == VAL_state) {
            if (!top)
                return fail(v->d, at, "@%s is used inside a region (pass it as an operand)", x->name);
            if (ptrmap_get(&v->member, x) != x)
                return fail(v->d, at, "@%s is not of this Module", x->name);
        } else if (!ptrmap_get(seen, x)) {
            return fail(v->d, at, "%%%s is used but not defined before, in this region", x->name);
        }
    }
    return true;
}

static bool check_region(Verify *v, const Region *r, int depth);

static bool check_results(Verify *v, const Op *o)
{
    Loc at = at_op(v, o);
    int n = o->n_out;
    Type *t = ARENA_ARRAY(v->m->a, Type, n + 1);

    if (!op_result_types(o, t, &n, v->d, at))
        return false;
    if (n != o->n_out)
        return fail(v->d, at, "it has %d results, not %d", n, o->n_out);
    for (int i = 0; i < n; i++) {
        if (!type_check(o->out[i]->type, v->d, at))
            return false;
        if (!type_eq(o->out[i]->type, t[i]))
            return fail(v->d, at, "result %%%s is %s, not %s", o->out[i]->name, type_text(v->m->a, t[i]),
                        type_text(v->m->a, o->out[i]->type));
    }
    return true;
}

static bool check_op(Verify *v, const Op *o, const PtrMap *seen, bool top, int depth)
{
    bool ok = true;

    if ((unsigned)o->kind >= N_OPS)
        return fail(v->d, at_func(v), "an op of kind %d", (int)o->kind);
    if (!check_operands(v, o, seen, top) || !op_check_table(o, v->d, at_op(v, o)))
        return false;
    if (o->n_region && o->kind != OP_fused && o->kind != OP_loop && o->kind != OP_scan)
        return fail(v->d, at_op(v, o), "'%s' owns no region", op_info[o->kind].name);
    if (o->callee && o->kind != OP_call)
        return fail(v->d, at_op(v, o), "'%s' calls no function", op_info[o->kind].name);
    for (int i = 0; i < o->n_region; i++) {
        if (o->region[i]->owner != o || o->region[i]->func != v->f)
            return fail(v->d, at_op(v, o), "a region that belongs to another op");
        ok = check_region(v, o->region[i], depth + 1) && ok;
    }
    return ok && check_results(v, o);
}

static bool check_region(Verify *v, const Region *r, int depth)
{
    PtrMap seen = ptrmap_in(v->m->a);
    StrMap names = strmap_in(v->m->a);
    OpKind end = r->owner ? OP_yield : OP_return;
    bool ok = true;

    if (depth > MAX_NESTING)
        return fail(v->d, at_func(v), "regions are nested more than %d deep", MAX_NESTING);
    for (int i = 0; i < r->n_param; i++) {
        Value *p = r->param[i];

        if (p->kind != VAL_param || p->index != i)
            return fail(v->d, at_func(v), "parameter %d is not where it says", i);
        ok = check_name(v, &names, p, at_func(v)) && type_check(p->type, v->d, at_func(v)) && ok;
        ptrmap_put(&seen, p, p);
    }
    for (const Op *o = r->first; o; o = o->next) {
        if (o->parent != r || (o->next && o->next->prev != o))
            return fail(v->d, at_op(v, o), "an op that is not linked as it says");
        if ((o->kind == OP_yield || o->kind == OP_return) != !o->next || (!o->next && o->kind != end))
            return fail(v->d, at_op(v, o), "%s, and only at its end",
                        end == OP_yield ? "a region ends with yield" : "a function ends with return");
        ok = check_op(v, o, &seen, !r->owner, depth) && ok;
        for (int i = 0; i < o->n_out; i++) {
            if (o->out[i]->kind != VAL_result || o->out[i]->op != o || o->out[i]->index != i)
                return fail(v->d, at_op(v, o), "result %d is not where it says", i);
            ok = check_name(v, &names, o->out[i], at_op(v, o)) && ok;
            ptrmap_put(&seen, o->out[i], o->out[i]);
        }
    }
    if (!r->last)
        return fail(v->d, at_func(v), end == OP_yield ? "a region without yield" : "it has no return");
    return ok;
}

/* ---- calls ---------------------------------------------------------------------------------------------------------- */

/* Depth-first over calls: state of a function 1 while it is being looked at, 2 when done.  Depth is the number of functions. */
static bool check_cycle(Verify *v, const Func *f, PtrMap *state, int depth)
{
    static const char busy, done;
    const void *s = ptrmap_get(state, f);

    if (s == &done)
        return true;
    v->f = f;
    if (s == &busy)
        return fail(v->d, at_func(v), "it calls itself");
    if (depth > 4 * MAX_NESTING)
        return fail(v->d, at_func(v), "calls are nested more than %d deep", 4 * MAX_NESTING);
    ptrmap_put(state, f, (void *)&busy);
    for (Op *o = f->body->first; o; o = op_walk(o, f->body))
        if (o->callee && !check_cycle(v, o->callee, state, depth + 1))
            return false;
    ptrmap_put(state, f, (void *)&done);
    return true;
}

static void func_symbols(const Func *f, bool *used, PtrMap *done)
{
    if (ptrmap_get(done, f))
        return;
    ptrmap_put(done, f, (void *)f);
    for (int i = 0; i < f->body->n_param; i++)
        for (int k = 0; k < f->body->param[i]->type.rank; k++)
            dim_symbols(f->body->param[i]->type.dim[k], used);
    for (Op *o = f->body->first; o; o = op_walk(o, f->body)) {
        if (o->callee)
            func_symbols(o->callee, used, done);
        for (int i = 0; i < o->n_out; i++)
            for (int k = 0; k < o->out[i]->type.rank; k++)
                dim_symbols(o->out[i]->type.dim[k], used);
    }
}

/* ---- the Module ----------------------------------------------------------------------------------------------------- */

bool wexpr_check(const Module *m, const WExpr *e, Diag *d, Loc at)
{
    uint64_t bytes;
    int depth = 0;

    for (; e; e = e->a) {
        if (++depth > MAX_NESTING)
            return fail(d, at, "a weight expression nested more than %d deep", MAX_NESTING);
        if (!type_check(e->type, d, at))
            return false;
        for (int i = 0; i < e->type.rank; i++)
            if (!dim_is_const(e->type.dim[i], NULL))
                return fail(d, at, "a weight's dimensions must be constant");
        if (e->type.rank == 0)
            return fail(d, at, "a weight has at least one dimension");
        if ((e->a != NULL) != (e->kind == W_convert || e->kind == W_permute_rows))
            return fail(d, at, "a weight expression %s", e->a ? "with an operand too many" : "without its operand");
        type_bytes(e->type, &bytes);
        switch (e->kind) {
        case W_view:
            if (e->file < 0 || e->file >= m->n_file)
                return fail(d, at, "file %d is not declared", e->file);
            if (e->off > m->file[e->file].bytes || bytes > m->file[e->file].bytes - e->off)
                return fail(d, at, "its %" PRIu64 " bytes at %" PRIu64 " lie outside file %d, which has %" PRIu64, bytes, e->off,
                            e->file, m->file[e->file].bytes);
            break;
        case W_fill:
            if (e->type.fmt->kind == FORMAT_int)
                return fail(d, at, "fill makes floats, not %s", e->type.fmt->name);
            break;
        case W_const:
            if (e->type.fmt->kind == FORMAT_int ? e->type.fmt->bytes > 4 : e->type.fmt != &format_table[FMT_f32])
                return fail(d, at, "const is f32 or an integer of at most 32 bits, not %s (convert it)", e->type.fmt->name);
            if (!e->value && !e->ints && type_n(e->type))
                return fail(d, at, "const without numbers");
            break;
        case W_convert: case W_permute_rows:
            if (e->a->type.rank != e->type.rank)
                return fail(d, at, "the operand of a weight expression has another shape");
            for (int i = 0; i < e->type.rank; i++)
                if (e->a->type.dim[i] != e->type.dim[i])
                    return fail(d, at, "the operand of a weight expression has another shape");
            if (e->kind == W_convert && (e->type.fmt->kind == FORMAT_int || e->a->type.fmt->kind == FORMAT_int))
                return fail(d, at, "convert is between float formats");
            if (e->kind == W_permute_rows) {
                if (e->a->type.fmt != e->type.fmt)
                    return fail(d, at, "permute_rows changes no format (convert does)");
                if (e->head_dim < 2 || e->head_dim % 2 || type_n_rows(e->type) % e->head_dim)
                    return fail(d, at, "permute_rows: head_dim %" PRId64 " is not even or does not divide the number of rows",
                                e->head_dim);
            }
            break;
        case W_packed:
            break;
        }
    }
    return true;
}

static bool check_weight(const Verify *v, const Weight *w, int i)
{
    Loc at = AT_WHAT(NULL, str_printf(v->m->a, "weight @%s", w->name));
    int64_t n_in;
    uint64_t tile;

    if (w->index != i || !w->value || w->value->weight != w || !w->expr)
        return fail(v->d, at, "it is not where it says");
    if (!type_eq(w->type, w->expr->type) || !type_eq(w->type, w->value->type))
        return fail(v->d, at, "its type, its expression's and its value's differ");
    if (!wexpr_check(v->m, w->expr, v->d, at))
        return false;
    if (w->expr->kind == W_packed && !w->layout)
        return fail(v->d, at, "a packed weight needs a layout");
    if (!w->layout)
        return true;
    n_in = type_last(w->type)->c;
    if (n_in % w->layout->cols)
        return fail(v->d, at, "layout %s needs rows of a multiple of %d", w->layout->name, w->layout->cols);
    tile = layout_tile_bytes(w->layout, n_in);
    if (w->tile_stride < tile || w->bytes != layout_bytes(w->layout, type_n_rows(w->type), n_in))
        return fail(v->d, at, "a stride of %" PRIu64 " and %" PRIu64 " bytes are not those of layout %s (a tile has %" PRIu64
                    ", all of them %" PRIu64 ")", w->tile_stride, w->bytes, w->layout->name, tile,
                    layout_bytes(w->layout, type_n_rows(w->type), n_in));
    return true;
}

static bool check_state(const Verify *v, const State *s, int i)
{
    Loc at = AT_WHAT(NULL, str_printf(v->m->a, "state @%s", s->name));

    if (s->index != i || !s->value || s->value->state != s || !type_eq(s->type, s->value->type))
        return fail(v->d, at, "it is not where it says");
    if (!type_check(s->type, v->d, at))
        return false;
    if (!strcmp(s->kind, "var")) {
        if (s->type.fmt->block > 1)
            return fail(v->d, at, "a state is not stored in blocks");
        for (int k = 0; k < s->type.rank; k++)
            if (!dim_is_const(s->type.dim[k], NULL))
                return fail(v->d, at, "a state of kind var has constant dimensions");
        return !s->init || (type_eq(s->init->type, s->type) ? wexpr_check(v->m, s->init, v->d, at)
                                                            : fail(v->d, at, "it begins with another type than its own"));
    }
    if (strcmp(s->kind, "kv"))
        return fail(v->d, at, "'%s' is not a kind of state (there are: kv, var)", s->kind);
    if (s->init)
        return fail(v->d, at, "a state of kind kv begins empty");
    if (s->type.rank < 1 || s->type.fmt->kind != FORMAT_float)
        return fail(v->d, at, "a state is a float tensor whose first dimension is its capacity");
    for (int k = 1; k < s->type.rank; k++)
        if (!dim_is_const(s->type.dim[k], NULL))
            return fail(v->d, at, "only the first dimension of a state may be a symbol");
    return true;
}

static bool check_entry(const Verify *v, const Entry *e)
{
    const Module *m = v->m;
    Loc at = AT_WHAT(NULL, str_printf(m->a, "entry %s", e->name));
    bool *used = ARENA_ARRAY(m->a, bool, m->n_sym + 1), ok = true;
    PtrMap done = ptrmap_in(m->a);

    if (!e->func || ptrmap_get(&v->member, e->func) != e->func)
        return fail(v->d, at, "its function is not of this Module");
    for (int i = 0; i < e->func->body->n_param; i++)
        if (e->func->body->param[i]->stands_for != VAL_result)
            ok = fail(v->d, at, "parameter %%%s of @%s is not a tensor", e->func->body->param[i]->name, e->func->name);
    func_symbols(e->func, used, &done);
    for (int i = 0; i < e->n_range; i++) {
        const SymRange *r = &e->range[i];

        if (r->sym->index >= m->n_sym || m->sym[r->sym->index] != r->sym)
            return fail(v->d, at, "a symbol that is not of this Module");
        if (r->lo > r->hi || r->lo < r->sym->lo || r->hi > r->sym->hi)
            ok = fail(v->d, at, "the range of %s, %" PRId64 "..%" PRId64 ", is not inside %" PRId64 "..%" PRId64, r->sym->name,
                      r->lo, r->hi, r->sym->lo, r->sym->hi);
        for (int k = 0; k < i; k++)
            if (e->range[k].sym == r->sym)
                ok = fail(v->d, at, "%s is bound twice", r->sym->name);
        used[r->sym->index] = false;
    }
    for (int i = 0; i < m->n_sym; i++)              /* what is in the state and how much it holds is the session's to say */
        if (used[i] && strcmp(m->sym[i]->name, "P") && strcmp(m->sym[i]->name, "C"))
            ok = fail(v->d, at, "it does not bind the symbol %s of @%s", m->sym[i]->name, e->func->name);
    return ok;
}

static void check_global_name(const Verify *v, StrMap *names, const char *what, const char *name, void *value)
{
    if (!name || !*name)
        fail(v->d, NOWHERE, "%s without a name", what);
    else if (!strmap_add(names, str_of(name), value))
        fail(v->d, AT_WHAT(NULL, name), "%s with the name of another one", what);
}

bool module_verify(const Module *m, Diag *d)
{
    Verify v = { .m = m, .d = d, .member = ptrmap_in(m->a) };
    StrMap values = strmap_in(m->a), funcs = strmap_in(m->a), entries = strmap_in(m->a);
    PtrMap state = ptrmap_in(m->a);
    int errors = diag_n_errors(d);

    for (int i = 0; i < m->n_sym; i++)
        if (m->sym[i]->index != i || m->sym[i]->lo < 0 || m->sym[i]->lo > m->sym[i]->hi || m->sym[i]->hi > MAX_DIM)
            fail(d, AT_WHAT(NULL, m->sym[i]->name), "a symbol whose range is empty, negative or over 2^40");
    for (int i = 0; i < m->n_weight; i++) {
        check_global_name(&v, &values, "a weight", m->weight[i]->name, m->weight[i]);
        if (check_weight(&v, m->weight[i], i))
            ptrmap_put(&v.member, m->weight[i]->value, m->weight[i]->value);
    }
    for (int i = 0; i < m->n_state; i++) {
        check_global_name(&v, &values, "a state", m->state[i]->name, m->state[i]);
        if (check_state(&v, m->state[i], i))
            ptrmap_put(&v.member, m->state[i]->value, m->state[i]->value);
    }
    for (const Func *f = m->first_func; f; f = f->next) {
        check_global_name(&v, &funcs, "a function", f->name, (void *)f);
        ptrmap_put(&v.member, f, (void *)f);
    }
    for (v.f = m->first_func; v.f; v.f = v.f->next)
        for (Op *o = v.f->body->first; o; o = op_walk(o, v.f->body))
            if (o->callee && ptrmap_get(&v.member, o->callee) != o->callee)
                return fail(d, at_op(&v, o), "the function it calls is not of this Module");
    for (const Func *f = m->first_func; f; f = f->next)
        if (!check_cycle(&v, f, &state, 0))
            return false;
    for (v.f = m->first_func; v.f; v.f = v.f->next)
        check_region(&v, v.f->body, 0);
    if (diag_n_errors(d) > errors)
        return false;
    for (int i = 0; i < m->n_entry; i++) {
        check_global_name(&v, &entries, "an entry", m->entry[i].name, &m->entry[i]);
        check_entry(&v, &m->entry[i]);
    }
    return diag_n_errors(d) == errors;
}
