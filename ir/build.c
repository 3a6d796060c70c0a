/* Making and changing Modules.
 *
 * Everything lives in the Module's arena; arrays that grow double, and the old ones are left to the arena.  Ops are linked lists in
 * regions; values point back at what makes them.  A name is unique among the values of its region: whoever adds a value under a
 * name that is taken gets NAME.1, NAME.2, ... */
#include "ir/internal.h"

#include <assert.h>

void *grow_array(Arena *a, void *p, int n, size_t size)
{
    void *bigger;

    if (n & (n - 1) || (n > 0 && n < 4))                    /* grows when n is 0 or a power of two >= 4 */
        return p;
    bigger = arena_alloc(a, n ? 2 * (size_t)n : 4, size);
    if (n)
        memcpy(bigger, p, (size_t)n * size);
    return bigger;
}

/* ---- the Module --------------------------------------------------------------------------------------------------- */

static const char *keep(Module *m, const char *c)
{
    return c ? str_z(m->a, str_of(c)) : NULL;
}

Module *module_new(Arena *a, const char *name)
{
    Module *m = ARENA_NEW(a, Module);

    m->a = a;
    m->name = keep(m, name);
    return m;
}

int module_add_file(Module *m, const char *name, Digest d, uint64_t bytes, const uint8_t *p)
{
    m->file = grow_array(m->a, m->file, m->n_file, sizeof *m->file);
    m->file[m->n_file] = (SourceFile){ .name = keep(m, name), .digest = d, .bytes = bytes, .p = p };
    return m->n_file++;
}

Weight *module_add_weight(Module *m, const char *name, Type t, WExpr *e)
{
    Weight *w = ARENA_NEW(m->a, Weight);

    *w = (Weight){ .name = keep(m, name), .type = t, .expr = e, .index = m->n_weight };
    w->value = ARENA_NEW(m->a, Value);
    *w->value = (Value){ .kind = VAL_weight, .type = t, .name = w->name, .index = w->index, .weight = w,
                         .stands_for = VAL_weight };
    m->weight = grow_array(m->a, m->weight, m->n_weight, sizeof *m->weight);
    m->weight[m->n_weight++] = w;
    return w;
}

Weight *module_find_weight(const Module *m, Str name)
{
    for (int i = 0; i < m->n_weight; i++)
        if (str_is(name, m->weight[i]->name))
            return m->weight[i];
    return NULL;
}

WExpr *wexpr_new(Module *m, WExprKind k, Type t)
{
    WExpr *e = ARENA_NEW(m->a, WExpr);

    e->kind = k;
    e->type = t;
    return e;
}

State *module_add_state(Module *m, const char *name, const char *kind, Type t)
{
    State *s = ARENA_NEW(m->a, State);

    *s = (State){ .name = keep(m, name), .kind = keep(m, kind), .type = t, .index = m->n_state };
    s->value = ARENA_NEW(m->a, Value);
    *s->value = (Value){ .kind = VAL_state, .type = t, .name = s->name, .index = s->index, .state = s,
                         .stands_for = VAL_state };
    m->state = grow_array(m->a, m->state, m->n_state, sizeof *m->state);
    m->state[m->n_state++] = s;
    return s;
}

Func *module_add_func(Module *m, const char *name)
{
    Func *f = ARENA_NEW(m->a, Func);

    f->name = keep(m, name);
    f->m = m;
    f->body = ARENA_NEW(m->a, Region);
    f->body->func = f;
    if (m->last_func)
        m->last_func->next = f;
    else
        m->first_func = f;
    m->last_func = f;
    return f;
}

Func *module_find_func(const Module *m, Str name)
{
    for (Func *f = m->first_func; f; f = f->next)
        if (str_is(name, f->name))
            return f;
    return NULL;
}

void module_remove_func(Module *m, Func *f)
{
    Func **at = &m->first_func, *before = NULL;

    while (*at && *at != f) {
        before = *at;
        at = &(*at)->next;
    }
    if (!*at)
        bug("function '%s' is not in the Module", f->name);
    *at = f->next;
    if (m->last_func == f)
        m->last_func = before;
    f->next = NULL;
}

Entry *module_add_entry(Module *m, const char *name, Func *f)
{
    m->entry = grow_array(m->a, m->entry, m->n_entry, sizeof *m->entry);
    m->entry[m->n_entry] = (Entry){ .name = keep(m, name), .func = f };
    return &m->entry[m->n_entry++];
}

void entry_range(Entry *e, const Sym *s, int64_t lo, int64_t hi)
{
    if (e->n_range == (int)(sizeof e->range / sizeof *e->range))
        bug("entry '%s' has too many symbols", e->name);
    e->range[e->n_range++] = (SymRange){ s, lo, hi };
}

static Attr attr_keep(Module *m, Attr v)
{
    v.name = keep(m, v.name);
    if (v.kind == ATTR_str)
        v.s = str_copy(m->a, v.s);
    if (v.kind == ATTR_ints) {
        int64_t *copy = ARENA_ARRAY(m->a, int64_t, v.n_ints);

        if (v.n_ints)
            memcpy(copy, v.ints, (size_t)v.n_ints * sizeof *copy);
        v.ints = copy;
    }
    return v;
}

void module_set_meta(Module *m, const char *key, Attr v)
{
    v.name = key;
    for (int i = 0; i < m->n_meta; i++)
        if (!strcmp(m->meta[i].key, key)) {
            m->meta[i].value = attr_keep(m, v);
            return;
        }
    m->meta = grow_array(m->a, m->meta, m->n_meta, sizeof *m->meta);
    v = attr_keep(m, v);
    m->meta[m->n_meta++] = (Meta){ v.name, v };
}

const Attr *module_meta(const Module *m, const char *key)
{
    for (int i = 0; i < m->n_meta; i++)
        if (!strcmp(m->meta[i].key, key))
            return &m->meta[i].value;
    return NULL;
}

const char *module_meta_str(const Module *m, const char *key, const char *otherwise)
{
    const Attr *v = module_meta(m, key);

    return v && v->kind == ATTR_str ? v->s.p : otherwise;       /* str_copy terminates */
}

int64_t module_meta_int(const Module *m, const char *key, int64_t otherwise)
{
    const Attr *v = module_meta(m, key);

    return v && v->kind == ATTR_int ? v->i : otherwise;
}

void module_add_blob(Module *m, const char *name, const void *p, uint64_t n)
{
    m->blob = grow_array(m->a, m->blob, m->n_blob, sizeof *m->blob);
    m->blob[m->n_blob++] = (Blob){ .name = keep(m, name), .p = p, .n = n };
}

Blob *module_find_blob(const Module *m, const char *name)
{
    for (int i = 0; i < m->n_blob; i++)
        if (!strcmp(m->blob[i].name, name))
            return &m->blob[i];
    return NULL;
}

/* ---- names -------------------------------------------------------------------------------------------------------- */

static bool region_has_name(const Region *r, const char *name)
{
    for (int i = 0; i < r->n_param; i++)
        if (!strcmp(r->param[i]->name, name))
            return true;
    for (const Op *o = r->first; o; o = o->next)
        for (int i = 0; i < o->n_out; i++)
            if (!strcmp(o->out[i]->name, name))
                return true;
    return false;
}

static bool func_has_name(const Func *f, const char *name)
{
    if (region_has_name(f->body, name))
        return true;
    for (Op *o = f->body->first; o; o = op_walk(o, f->body))
        for (int i = 0; i < o->n_region; i++)
            if (region_has_name(o->region[i], name))
                return true;
    return false;
}

const char *func_fresh_name(Func *f, const char *base)
{
    const char *name = keep(f->m, base);

    for (int i = 1; func_has_name(f, name); i++)
        name = str_printf(f->m->a, "%s.%d", base, i);
    return name;
}

static const char *region_fresh_name(const Region *r, const char *base)
{
    Module *m = r->func->m;
    const char *name = keep(m, base);

    for (int i = 1; region_has_name(r, name); i++)
        name = str_printf(m->a, "%s.%d", base, i);
    return name;
}

/* ---- parameters --------------------------------------------------------------------------------------------------- */

Value *region_add_param_named(Region *r, const char *name, Type t, ValueKind stands_for)
{
    Module *m = r->func->m;
    Value *v = ARENA_NEW(m->a, Value);

    *v = (Value){ .kind = VAL_param, .type = t, .name = name, .index = r->n_param, .stands_for = stands_for };
    r->param = grow_array(m->a, r->param, r->n_param, sizeof *r->param);
    r->param[r->n_param++] = v;
    return v;
}

Value *region_add_param(Region *r, const char *name, Type t)
{
    return region_add_param_named(r, region_fresh_name(r, name), t, VAL_result);
}

Value *func_add_param(Func *f, const char *name, Type t, ValueKind stands_for)
{
    return region_add_param_named(f->body, region_fresh_name(f->body, name), t, stands_for);
}

/* ---- ops ---------------------------------------------------------------------------------------------------------- */

Op *op_new_detached(Module *m, OpKind k, int n_in)
{
    Op *o = ARENA_NEW(m->a, Op);

    o->kind = k;
    o->layer = -1;
    o->n_in = n_in;
    o->in = ARENA_ARRAY(m->a, Value *, n_in);
    return o;
}

void op_insert(Op *o, Region *r, Op *before)
{
    assert(!before || before->parent == r);
    o->parent = r;
    o->next = before;
    o->prev = before ? before->prev : r->last;
    if (o->prev)
        o->prev->next = o;
    else
        r->first = o;
    if (before)
        before->prev = o;
    else
        r->last = o;
}

Value *op_add_result_named(Op *o, const char *name, Type t)
{
    Module *m = o->parent->func->m;
    Value *v = ARENA_NEW(m->a, Value);

    *v = (Value){ .kind = VAL_result, .type = t, .name = name, .op = o, .index = o->n_out };
    o->out = grow_array(m->a, o->out, o->n_out, sizeof *o->out);
    o->out[o->n_out++] = v;
    return v;
}

Value *op_add_result(Op *o, const char *name, Type t)
{
    return op_add_result_named(o, region_fresh_name(o->parent, name), t);
}

/* n_out results without a type yet, named after the op. */
Op *op_new_raw(Region *r, Op *before, OpKind k, int n_in, int n_out)
{
    Op *o = op_new_detached(r->func->m, k, n_in);

    op_insert(o, r, before);
    for (int i = 0; i < n_out; i++)
        op_add_result(o, op_info[k].name, (Type){ 0 });
    return o;
}

bool op_fits(Region *r, OpKind k, Value *const *in, int n_in, const Attr *attr, int n_attr, Type *type)
{
    Module *m = r->func->m;
    Op o = { .kind = k, .n_in = n_in, .in = (Value **)in, .n_attr = n_attr, .attr = (Attr *)attr, .parent = r };
    Diag *d = diag_new(m->a, NULL);
    Type t[1] = { { 0 } };
    int n = 1;

    if (op_info[k].n_out < 0 || !op_check_table(&o, d, NOWHERE) || !op_result_types(&o, t, &n, d, NOWHERE))
        return false;
    if (type)
        *type = t[0];
    return true;
}

Op *op_new(Region *r, Op *before, OpKind k, const char *name, Value *const *in, int n_in, const Attr *attr,
           int n_attr)
{
    Module *m = r->func->m;
    Op *o = op_new_detached(m, k, n_in);
    Type type[1];
    int n_type = 1;
    Diag *d = diag_new(m->a, NULL);
    Loc at = AT_WHAT(NULL, name ? name : op_info[k].name);

    if (op_info[k].n_out < 0)
        bug("op_new of '%s', whose results depend on its region", op_info[k].name);
    for (int i = 0; i < n_in; i++)
        o->in[i] = in[i];
    op_insert(o, r, before);
    for (int i = 0; i < n_attr; i++)
        op_set_attr(o, attr[i]);
    if (!op_check_table(o, d, at) || !op_result_types(o, type, &n_type, d, at))
        bug("a wrong op in function '%s': " STR_FMT, r->func->name, STR_ARG(diag_text(d)));
    for (int i = 0; i < op_info[k].n_out; i++)
        op_add_result(o, name ? name : op_info[k].name, type[i]);
    return o;
}

Value *op1(Region *r, OpKind k, const char *name, Value *a, Value *b, Value *c, Value *d, const Attr *attr, int n_attr)
{
    Value *in[4] = { a, b, c, d };
    int n = 0;
    Op *o;

    while (n < 4 && in[n])
        n++;
    o = op_new(r, NULL, k, name, in, n, attr, n_attr);
    return o->n_out ? o->out[0] : NULL;
}

Region *op_add_region(Op *o)
{
    Module *m = o->parent->func->m;
    Region *r = ARENA_NEW(m->a, Region);

    r->owner = o;
    r->func = o->parent->func;
    o->region = grow_array(m->a, o->region, o->n_region, sizeof *o->region);
    o->region[o->n_region++] = r;
    return r;
}

void op_remove(Op *o)
{
    Region *r = o->parent;

    if (o->prev)
        o->prev->next = o->next;
    else
        r->first = o->next;
    if (o->next)
        o->next->prev = o->prev;
    else
        r->last = o->prev;
    o->prev = o->next = NULL;
    o->parent = NULL;
}

static void region_set_func(Region *r, Func *f)
{
    r->func = f;
    for (Op *o = r->first; o; o = o->next)
        for (int i = 0; i < o->n_region; i++)
            region_set_func(o->region[i], f);
}

void op_move(Op *o, Region *to, Op *before)
{
    bool other = o->parent != to;

    if (before == o)
        return;
    if (o->parent)
        op_remove(o);
    if (other)                                              /* while it is in no list, so that it does not find itself */
        for (int i = 0; i < o->n_out; i++)
            if (region_has_name(to, o->out[i]->name))
                o->out[i]->name = region_fresh_name(to, o->out[i]->name);
    op_insert(o, to, before);
    for (int i = 0; i < o->n_region; i++)
        region_set_func(o->region[i], to->func);
}

/* ---- attributes --------------------------------------------------------------------------------------------------- */

Attr attr_int(const char *name, int64_t i)
{
    return (Attr){ .name = name, .kind = ATTR_int, .i = i };
}

Attr attr_float(const char *name, double f)
{
    return (Attr){ .name = name, .kind = ATTR_float, .f = f };
}

Attr attr_str(const char *name, const char *s)
{
    return (Attr){ .name = name, .kind = ATTR_str, .s = str_of(s) };
}

Attr attr_ints(const char *name, const int64_t *v, int n)
{
    return (Attr){ .name = name, .kind = ATTR_ints, .ints = v, .n_ints = n };
}

const Attr *op_attr(const Op *o, const char *name)
{
    for (int i = 0; i < o->n_attr; i++)
        if (!strcmp(o->attr[i].name, name))
            return &o->attr[i];
    return NULL;
}

void op_set_attr(Op *o, Attr a)
{
    Module *m = o->parent->func->m;

    a = attr_keep(m, a);
    for (int i = 0; i < o->n_attr; i++)
        if (!strcmp(o->attr[i].name, a.name)) {
            o->attr[i] = a;
            return;
        }
    o->attr = grow_array(m->a, o->attr, o->n_attr, sizeof *o->attr);
    o->attr[o->n_attr++] = a;
}

void op_del_attr(Op *o, const char *name)
{
    for (int i = 0; i < o->n_attr; i++)
        if (!strcmp(o->attr[i].name, name)) {
            memmove(o->attr + i, o->attr + i + 1, (size_t)(o->n_attr - i - 1) * sizeof *o->attr);
            o->n_attr--;
            return;
        }
}

int64_t op_int(const Op *o, const char *name, int64_t otherwise)
{
    const Attr *a = op_attr(o, name);

    return a && a->kind == ATTR_int ? a->i : otherwise;
}

double op_float(const Op *o, const char *name, double otherwise)
{
    const Attr *a = op_attr(o, name);

    return a && a->kind == ATTR_float ? a->f : a && a->kind == ATTR_int ? (double)a->i : otherwise;
}

const char *op_str(const Op *o, const char *name, const char *otherwise)
{
    const Attr *a = op_attr(o, name);

    return a && a->kind == ATTR_str ? a->s.p : otherwise;       /* attr_keep terminates */
}

/* ---- walking and changing ------------------------------------------------------------------------------------------- */

Op *op_walk(Op *o, const Region *top)
{
    for (int i = 0; i < o->n_region; i++)                   /* down, into its first region that is not empty */
        if (o->region[i]->first)
            return o->region[i]->first;
    while (o && !o->next) {                                 /* up, until something follows */
        const Region *r = o->parent;
        Op *owner = r->owner;
        int i = 0;

        if (r == top)
            return NULL;
        while (owner->region[i] != r)
            i++;
        for (i++; i < owner->n_region; i++)
            if (owner->region[i]->first)
                return owner->region[i]->first;
        o = owner;
    }
    return o->next;
}

int value_n_uses(const Region *r, const Value *v)
{
    int n = 0;

    for (Op *o = r->first; o; o = op_walk(o, r))
        for (int i = 0; i < o->n_in; i++)
            n += o->in[i] == v;
    return n;
}

void value_replace(Region *r, Value *old, Value *by)
{
    for (Op *o = r->first; o; o = op_walk(o, r))
        for (int i = 0; i < o->n_in; i++)
            if (o->in[i] == old)
                o->in[i] = by;
}

/* Copies region `from` into the empty region `to`.  Values outside (weights, states) stand for themselves. */
static void region_copy(PtrMap *map, Region *to, const Region *from, const Dim *by)
{
    Module *m = to->func->m;

    for (int i = 0; i < from->n_param; i++) {
        const Value *p = from->param[i];
        Value *q = region_add_param_named(to, p->name, type_subst_all(m, p->type, by), p->stands_for);

        q->layout = p->layout;
        q->tile_stride = p->tile_stride;
        ptrmap_put(map, p, q);
    }
    for (const Op *o = from->first; o; o = o->next) {
        Op *c = op_new_detached(m, o->kind, o->n_in);

        op_insert(c, to, NULL);
        for (int i = 0; i < o->n_in; i++) {
            Value *v = ptrmap_get(map, o->in[i]);

            c->in[i] = v ? v : o->in[i];
        }
        for (int i = 0; i < o->n_attr; i++)
            op_set_attr(c, o->attr[i]);
        c->callee = o->callee;
        c->layer = o->layer;
        c->from = o->from;
        c->by = o->by;
        for (int i = 0; i < o->n_out; i++)
            ptrmap_put(map, o->out[i],
                       op_add_result_named(c, o->out[i]->name, type_subst_all(m, o->out[i]->type, by)));
        for (int i = 0; i < o->n_region; i++)
            region_copy(map, op_add_region(c), o->region[i], by);
    }
}

Func *func_clone(Func *f, const char *name, const Dim *by_sym)
{
    Func *c = module_add_func(f->m, name);
    PtrMap map = ptrmap_in(f->m->a);

    c->note = f->note;
    if (!by_sym)
        by_sym = ARENA_ARRAY(f->m->a, Dim, f->m->n_sym);
    region_copy(&map, c->body, f->body, by_sym);
    return c;
}
