/* Stages that are plain loops over row-major tensors: element by element, sums over dimensions, moves of elements.
 *
 * A map computes each op in a local of its own, named after it, so that the C reads as the Module does.  Where an operand has fewer elements
 * than the result it repeats: one number, or the innermost dimensions. */
#include "codegen/net.h"

#include "ir/stages.h"

/* ---- element by element ---------------------------------------------------------------------------------------------------- */

/* What a value is called at the present element. */
typedef struct { const Value *v; const char *expr; } Local;

typedef struct {
    NetCode *c;
    int64_t n, inner;       /* elements; those of operands that repeat, 1: there are none */
    Local *local;
    int n_local;
} Map;

static const char *find_local(const Map *x, const Value *v)
{
    for (int i = 0; i < x->n_local; i++)
        if (x->local[i].v == v)
            return x->local[i].expr;
    bug("a map uses a value that it has not");
}

static bool is_int_format(const Format *f)
{
    return f->kind == FORMAT_int;
}

/* The index of the present element in something of k elements. */
static const char *index_in(const Map *x, int64_t k)
{
    if (k == x->n)
        return x->inner == 1 ? "i" : x->inner == x->n ? "c" : "i + c";
    return k == 1 ? "0" : k == x->inner ? "c" : str_printf(x->c->z->w->a, "%s %% %" PRId64, x->inner == 1 ? "i" : "(i + c)", k);
}

/* An array of i32 (multipliers, shifts, constants) in the weights file. */
static const char *ints_array(const Map *x, const Weight *w, const char *what)
{
    NetWriter *z = x->c->z;
    const int32_t *v = net_ints(z->w->m, w, z->w->a, z->w->d);

    if (!v) {
        z->ok = false;
        return "0";
    }
    return net_add_array(z, x->c->name, what, net_c_type(w->type.fmt), v, (uint64_t)type_n(w->type), shape_c(z->w, w->type));
}

/* A number for each channel, or one for all, which is written out. */
static const char *scale_c(const Map *x, const Value *v, const char *what)
{
    NetWriter *z = x->c->z;
    const Weight *w = net_weight(x->c->s, v);

    if (type_n(w->type) == 1) {
        const int32_t *one = net_ints(z->w->m, w, z->w->a, z->w->d);

        z->ok = z->ok && one;
        return one ? str_printf(z->w->a, "%" PRId32, one[0]) : "0";
    }
    return str_printf(z->w->a, "%s[%s]", ints_array(x, w, what), index_in(x, type_n(w->type)));
}

/* Something less a zero point. */
static const char *less(Arena *a, const char *v, int64_t zero)
{
    return zero == 0 ? v : zero > 0 ? str_printf(a, "(%s - %" PRId64 ")", v, zero) : str_printf(a, "(%s + %" PRId64 ")", v, -zero);
}

static const char *requant_c(Map *x, const Op *o)
{
    NetWriter *z = x->c->z;
    Arena *a = z->w->a;
    int64_t lo, hi, zero = op_int(o, "zero", 0), left = op_int(o, "left", 0);
    const char *rounding = op_str(o, "rounding", "double");
    bool wide = !strcmp(o->out[0]->type.fmt->name, "i32");
    const char *v = less(a, find_local(x, o->in[0]), op_int(o, "x_zero", 0));
    const char *stem = x->n_local > 0 ? str_printf(a, "scale_%d", x->n_local) : "scale";

    if (left)
        v = str_printf(a, "%s * (1 << %" PRId64 ")", v, left);
    v = str_printf(a, "%s(%s, %s, %s)", net_use(z, !strcmp(rounding, "single") ? "sn_rescale_once" : !strcmp(rounding, "short") ? "sn_rescale_short" : "sn_rescale"), v, scale_c(x, o->in[1], str_printf(a, "%s_mult", stem)),
                   scale_c(x, o->in[2], str_printf(a, "%s_shift", stem)));
    if (zero)
        v = str_printf(a, "%s %c %" PRId64, v, zero < 0 ? '-' : '+', zero < 0 ? -zero : zero);
    format_int_range(o->out[0]->type.fmt, &lo, &hi);
    lo = op_int(o, "lo", lo);
    hi = op_int(o, "hi", hi);
    if (wide && !op_attr(o, "lo") && !op_attr(o, "hi"))
        return v;
    return str_printf(a, "%s(%s, %" PRId64 ", %" PRId64 ")", net_use(z, "sn_clamp"), v, lo, hi);
}

static const char *clamp_c(Map *x, const Op *o)
{
    NetWriter *z = x->c->z;
    const char *v = find_local(x, o->in[0]);

    if (is_int_format(o->out[0]->type.fmt))
        return str_printf(z->w->a, "%s(%s, %.0f, %.0f)", net_use(z, "sn_clamp"), v, op_float(o, "lo", 0), op_float(o, "hi", 0));
    return str_printf(z->w->a, "%s(%s, %s, %s)", net_use(z, "sn_clamp_f32"), v, net_float_c(z, op_float(o, "lo", 0)), net_float_c(z, op_float(o, "hi", 0)));
}

static const char *convert_c(Map *x, const Op *o)
{
    Arena *a = x->c->z->w->a;
    bool from = is_int_format(o->in[0]->type.fmt), to = is_int_format(o->out[0]->type.fmt);
    const char *v = find_local(x, o->in[0]);

    if (from)
        v = less(a, v, op_int(o, "zero", 0));
    if (from && !to)
        return str_printf(a, "(float)%s", v);
    return v;
}

/* $a, $b of an op's expression replaced. */
static const char *expand(Map *x, const Op *o)
{
    NetWriter *z = x->c->z;
    Buf b = buf_in(z->w->a);

    for (const char *c = op_info[o->kind].c_expr; *c; c++) {
        if (*c == '$' && !strncmp(c, "$by", 3)) {
            buf_puts(&b, net_float_c(z, op_float(o, "by", 1)));
            c += 2;
        } else if (*c == '$') {
            c++;
            buf_puts(&b, find_local(x, o->in[*c == 'b']));
        } else if (!strncmp(c, "sn_", 3)) {
            size_t n = strspn(c, "abcdefghijklmnopqrstuvwxyz_0123456789");

            buf_puts(&b, net_use(z, str_z(z->w->a, (Str){ c, n })));
            c += n - 1;
        } else
            buf_putc(&b, *c);
    }
    return buf_z(&b);
}

static const char *map_c(Map *x, const Op *o)
{
    switch (o->kind) {
    case OP_requant: return requant_c(x, o);
    case OP_clamp: return clamp_c(x, o);
    case OP_convert: return convert_c(x, o);
    case OP_lookup: {
        int64_t lo, hi;

        format_int_range(o->in[0]->type.fmt, &lo, &hi);
        return str_printf(x->c->z->w->a, "%s[%s]", ints_array(x, net_weight(x->c->s, o->in[1]), str_printf(x->c->z->w->a, "table_%d", x->n_local)),
                          less(x->c->z->w->a, find_local(x, o->in[0]), lo));
    }
    case OP_quantize: {
        int64_t lo, hi;

        format_int_range(o->out[0]->type.fmt, &lo, &hi);
        return str_printf(x->c->z->w->a, "%s(%s, %s, %" PRId64 ", %" PRId64 ", %" PRId64 ")", net_use(x->c->z, "sn_quantize"), find_local(x, o->in[0]),
                          net_float_c(x->c->z, op_float(o, "scale", 1)), op_int(o, "zero", 0), lo, hi);
    }
    case OP_sigmoid_int: case OP_tanh_int:
        return str_printf(x->c->z->w->a, "%s(%s, %s, %" PRId64 ", %" PRId64 ")", net_use(x->c->z, o->kind == OP_tanh_int ? "sn_tanh_int" : "sn_sigmoid_int"),
                          find_local(x, o->in[0]), ints_array(x, net_weight(x->c->s, o->in[1]), str_printf(x->c->z->w->a, "curve_%d", x->n_local)),
                          op_int(o, "m", 1), op_int(o, "shift", 0));
    default: return expand(x, o);
    }
}

/* Is operand i of o read element by element (and not as multipliers or a table)? */
static bool is_element(const Op *o, int i)
{
    return i == 0 || (o->kind != OP_requant && o->kind != OP_lookup && o->kind != OP_sigmoid_int && o->kind != OP_tanh_int);
}

/* What is loaded: tensors, and constants of more than one number. */
static void bind_operands(Map *x, const Op *first)
{
    NetCode *c = x->c;
    const Region *r = c->s->region[0];

    for (int i = 0; i < r->n_param; i++) {
        const Value *v = r->param[i];
        const Weight *w = net_weight(c->s, v);
        const char *name = i < 2 ? i ? "b" : "a" : str_printf(c->z->w->a, "a%d", i);
        bool element = false;

        for (const Op *o = first; o && o->kind != OP_yield; o = o->next)
            for (int k = 0; k < o->n_in; k++)
                element = element || (o->in[k] == v && is_element(o, k) && net_is_map(o));
        if (!element)
            continue;
        if (w) {
            const float *f = is_int_format(w->type.fmt) ? NULL : net_floats(c->z->w->m, w, c->z->w->a, c->z->w->d);
            const char *array = is_int_format(w->type.fmt) ? ints_array(x, w, name)
                                : f ? net_add_array(c->z, c->name, name, "float", f, (uint64_t)type_n(w->type), shape_c(c->z->w, w->type)) : "?";

            c->z->ok = c->z->ok && (f || is_int_format(w->type.fmt));
            name = array;
        } else
            emit(c->e, "const %s *%s = %s;\n", net_c_type(v->type.fmt), name, net_address(c->z, net_place_in(c->s, i), v->type.fmt, true));
        x->local[x->n_local++] = (Local){ v, str_printf(c->z->w->a, "%s[%s]", name, index_in(x, type_n(v->type))) };
    }
}

/* How many numbers the operands have that repeat: those of the one with the most. */
static int64_t repeated(const NetCode *c, int64_t n)
{
    const Region *r = c->s->region[0];
    int64_t inner = 1;

    for (int i = 0; i < r->n_param; i++) {
        int64_t k = type_n(r->param[i]->type);
        bool used = false;

        for (const Op *o = r->first; o && o->kind != OP_yield; o = o->next)
            for (int q = 0; q < o->n_in; q++)
                used = used || (o->in[q] == r->param[i] && net_is_map(o) && (is_element(o, q) || o->kind == OP_requant));
        if (used && k < n && k > inner)
            inner = k;
    }
    return inner;
}

/* The locals of the ops from `first` on, and the result's store; `at`: where. */
static void map_body(Map *x, const Op *first, const char *at)
{
    NetCode *c = x->c;
    const Format *f = c->s->out[0]->type.fmt;
    int n = 0;

    for (const Op *o = first; o && o->kind != OP_yield; o = o->next) {
        const char *v = map_c(x, o), *name = str_printf(c->z->w->a, "v%d", ++n);

        if (o->next->kind == OP_yield) {
            emit(c->e, "%s = %s%s%s;\n", at, is_int_format(f) && f->bytes < 4 ? str_printf(c->z->w->a, "(%s)(", net_c_type(f)) : "", v,
                 is_int_format(f) && f->bytes < 4 ? ")" : "");
            return;
        }
        emit(c->e, "%s %s = %s;    /* %s */\n", is_int_format(o->out[0]->type.fmt) ? "int32_t" : "float", name, v, op_info[o->kind].name);
        x->local[x->n_local++] = (Local){ o->out[0], name };
    }
}

static int count_locals(const Op *fused)
{
    int n = fused->region[0]->n_param + 2;

    for (const Op *o = fused->region[0]->first; o; o = o->next)
        n++;
    return n;
}

void net_write_map(NetCode *c)
{
    const Format *f = c->s->out[0]->type.fmt;
    Map x = { .c = c, .n = type_n(c->s->out[0]->type), .local = ARENA_ARRAY(c->z->w->a, Local, count_locals(c->s)) };

    x.inner = repeated(c, x.n);
    if (x.n % x.inner)
        x.inner = 1;
    bind_operands(&x, c->s->region[0]->first);
    emit(c->e, "%s *y = %s;\n\n", net_c_type(f), net_address(c->z, net_place_out(c->s), f, false));
    if (x.inner > 1) {
        emit_open(c->e, "for (int32_t i = 0; i < %" PRId64 "; i += %" PRId64 ")", x.n, x.inner);
        emit_open(c->e, "for (int32_t c = 0; c < %" PRId64 "; c++) {", x.inner);
        map_body(&x, c->s->region[0]->first, "y[i + c]");
        emit_close(c->e, "");
        c->e->indent--;
    } else {
        emit_open(c->e, "for (int32_t i = 0; i < %" PRId64 "; i++) {", x.n);
        map_body(&x, c->s->region[0]->first, "y[i]");
        emit_close(c->e, "");
    }
}

/* ---- what follows a sum ----------------------------------------------------------------------------------------------------- */

struct NetTail { Map map; const Op *first; };

NetTail *net_tail(NetCode *c, const Op *o)
{
    NetTail *t = ARENA_NEW(c->z->w->a, NetTail);
    Type y = o->out[0]->type;

    *t = (NetTail){ { .c = c, .n = type_n(y), .inner = net_dim(y, y.rank - 1), .local = ARENA_ARRAY(c->z->w->a, Local, count_locals(c->s)) }, o->next };
    if (o->next->kind != OP_yield)
        bind_operands(&t->map, o->next);
    return t;
}

void net_tail_write(NetTail *t, const Value *sum, const char *name)
{
    const char *at = str_printf(t->map.c->z->w->a, "y[%s]", index_in(&t->map, t->map.n));

    t->map.local[t->map.n_local++] = (Local){ sum, name };
    if (t->first->kind == OP_yield)
        emit(t->map.c->e, "%s = %s;\n", at, name);
    else
        map_body(&t->map, t->first, at);
}

/* ---- loops over dimensions ------------------------------------------------------------------------------------------------- */

/* Nested loops over dimensions, each with its steps in two tensors. */
typedef struct {
    int n;
    int64_t dim[MAX_RANK], x[MAX_RANK], y[MAX_RANK];
} Loops;

/* Takes dimensions of 1 out, and makes one of two that lie one in the other in both tensors. */
static void simplify(Loops *l)
{
    Loops k = { 0 };

    for (int i = 0; i < l->n; i++) {
        if (l->dim[i] == 1)
            continue;
        if (k.n && k.x[k.n - 1] == l->x[i] * l->dim[i] && k.y[k.n - 1] == l->y[i] * l->dim[i]) {
            k.dim[k.n - 1] *= l->dim[i];
            k.x[k.n - 1] = l->x[i];
            k.y[k.n - 1] = l->y[i];
            continue;
        }
        k.dim[k.n] = l->dim[i];
        k.x[k.n] = l->x[i];
        k.y[k.n++] = l->y[i];
    }
    *l = k;
}

static const char *const counter[MAX_RANK] = { "i", "j", "k", "p", "q" };

/* "12 + i * 4 + j": `first` is how many counters come before this nest's. */
static const char *place_c(Arena *a, int64_t base, const int64_t *step, int n, int first)
{
    Buf b = buf_in(a);

    if (base)
        buf_printf(&b, "%" PRId64, base);
    for (int i = 0; i < n; i++)
        if (step[i]) {
            buf_printf(&b, "%s%s", b.n ? " + " : "", counter[first + i]);
            if (step[i] != 1)
                buf_printf(&b, " * %" PRId64, step[i]);
        }
    return b.n ? buf_z(&b) : "0";
}

static void open_loops(Emit *e, const Loops *l, int first, bool brace)
{
    for (int i = 0; i < l->n; i++)
        emit_open(e, "for (int32_t %s = 0; %s < %" PRId64 "; %s++)%s", counter[first + i], counter[first + i], l->dim[i], counter[first + i],
                  brace && i + 1 == l->n ? " {" : "");
}

static void strides_of(Type t, int64_t *step)
{
    int64_t n = 1;

    for (int i = t.rank - 1; i >= 0; i--) {
        step[i] = n;
        n *= net_dim(t, i);
    }
}

/* y[..] = x[..] over the dimensions of l. */
static void copy(NetCode *c, Loops l, const char *from, int64_t x_base, int64_t y_base)
{
    simplify(&l);
    open_loops(c->e, &l, 0, false);
    emit(c->e, "y[%s] = %s[%s];\n", place_c(c->z->w->a, y_base, l.y, l.n, 0), from, place_c(c->z->w->a, x_base, l.x, l.n, 0));
    c->e->indent -= l.n;
}

/* ---- moves ------------------------------------------------------------------------------------------------------------------ */

static void write_concat(NetCode *c, const Op *o, const char *const *from)
{
    int axis = (int)op_int(o, "axis", 0);
    int64_t at = 0, y[MAX_RANK];

    strides_of(o->out[0]->type, y);
    for (int i = 0; i < o->n_in; i++) {
        Loops l = { .n = o->out[0]->type.rank };

        strides_of(o->in[i]->type, l.x);
        for (int k = 0; k < l.n; k++) {
            l.dim[k] = net_dim(o->in[i]->type, k);
            l.y[k] = y[k];
        }
        copy(c, l, from[i], 0, at * y[axis]);
        at += l.dim[axis];
    }
}

static void write_pad(NetCode *c, const Op *o, const char *from)
{
    const Attr *before = op_attr(o, "before");
    const Format *f = o->out[0]->type.fmt;
    double value = op_float(o, "value", 0);
    Loops l = { .n = o->in[0]->type.rank };
    int64_t base = 0;

    strides_of(o->in[0]->type, l.x);
    strides_of(o->out[0]->type, l.y);
    for (int i = 0; i < l.n; i++) {
        l.dim[i] = net_dim(o->in[0]->type, i);
        base += before->ints[i] * l.y[i];
    }
    emit(c->e, "for (int32_t i = 0; i < %" PRId64 "; i++)\n    y[i] = %s;\n", type_n(o->out[0]->type),
         is_int_format(f) ? str_printf(c->z->w->a, "%.0f", value) : net_float_c(c->z, value));
    copy(c, l, from, 0, base);
}

static void write_slice(NetCode *c, const Op *o, const char *from)
{
    int axis = (int)op_int(o, "axis", 0);
    Loops l = { .n = o->out[0]->type.rank };

    strides_of(o->in[0]->type, l.x);
    strides_of(o->out[0]->type, l.y);
    for (int i = 0; i < l.n; i++)
        l.dim[i] = net_dim(o->out[0]->type, i);
    copy(c, l, from, op_int(o, "begin", 0) * l.x[axis], 0);
}

static void write_transpose(NetCode *c, const Op *o, const char *from)
{
    const Attr *perm = op_attr(o, "perm");
    Loops l = { .n = o->out[0]->type.rank };
    int64_t x[MAX_RANK];

    strides_of(o->in[0]->type, x);
    strides_of(o->out[0]->type, l.y);
    for (int i = 0; i < l.n; i++) {
        l.dim[i] = net_dim(o->out[0]->type, i);
        l.x[i] = x[perm->ints[i]];
    }
    copy(c, l, from, 0, 0);
}

/* An operand that moves: a tensor, or a constant. */
const char *net_moved(NetCode *c, const Op *o, int i)
{
    const Value *v = o->in[i];
    const Weight *w = net_weight(c->s, v);
    const char *name = str_printf(c->z->w->a, "x%d", i);

    if (w) {
        const void *p = is_int_format(w->type.fmt) ? (const void *)net_ints(c->z->w->m, w, c->z->w->a, c->z->w->d)
                                                   : (const void *)net_floats(c->z->w->m, w, c->z->w->a, c->z->w->d);

        c->z->ok = c->z->ok && p;
        return p ? net_add_array(c->z, c->name, name, net_c_type(w->type.fmt), p, (uint64_t)type_n(w->type), shape_c(c->z->w, w->type)) : "?";
    }
    name = o->n_in == 1 ? "x" : name;
    for (int k = 0; k < i; k++)
        if (o->in[k] == v)
            return str_printf(c->z->w->a, "x%d", k);
    emit(c->e, "const %s *%s = %s;\n", net_c_type(v->type.fmt), name, net_address(c->z, net_place_in(c->s, net_param(c->s, v)), v->type.fmt, true));
    return name;
}

void net_write_move(NetCode *c)
{
    const Op *o = c->k.op;
    const char **from = ARENA_ARRAY(c->z->w->a, const char *, o->n_in + 1);
    const Format *f = o->out[0]->type.fmt;

    for (int i = 0; i < o->n_in; i++)
        from[i] = net_moved(c, o, i);
    emit(c->e, "%s *y = %s;\n\n", net_c_type(f), net_address(c->z, net_place_out(c->s), f, false));
    switch (o->kind) {
    case OP_concat: write_concat(c, o, from); break;
    case OP_pad: write_pad(c, o, from[0]); break;
    case OP_slice: write_slice(c, o, from[0]); break;
    case OP_gather: net_write_gather(c, o, from[0], from[1]); break;
    case OP_argmax: net_write_argmax(c, o, from[0]); break;
    default: write_transpose(c, o, from[0]); break;
    }
}

/* ---- sums ------------------------------------------------------------------------------------------------------------------- */

static bool is_summed(const Op *sum, int axis)
{
    const Attr *axes = op_attr(sum, "axes");

    for (int i = 0; axes && i < axes->n_ints; i++)
        if (axes->ints[i] == axis)
            return true;
    return false;
}

void net_write_sum(NetCode *c)
{
    const Op *o = c->k.op;
    Type t = o->in[0]->type;
    Loops kept = { 0 }, over = { 0 };
    Map x = { .c = c, .n = type_n(o->out[0]->type), .inner = 1, .local = ARENA_ARRAY(c->z->w->a, Local, count_locals(c->s)) };
    int64_t step[MAX_RANK], y[MAX_RANK];
    bool ints = is_int_format(t.fmt);
    const char *from, *at;

    strides_of(t, step);
    strides_of(o->out[0]->type, y);
    for (int i = 0; i < t.rank; i++) {
        Loops *l = is_summed(o, i) ? &over : &kept;

        l->dim[l->n] = net_dim(t, i);
        l->x[l->n] = step[i];
        l->y[l->n++] = is_summed(o, i) ? step[i] : y[i];
    }
    simplify(&kept);
    simplify(&over);
    from = net_moved(c, o, 0);
    bind_operands(&x, o->next);
    emit(c->e, "%s *y = %s;\n\n", net_c_type(c->s->out[0]->type.fmt), net_address(c->z, net_place_out(c->s), c->s->out[0]->type.fmt, false));
    open_loops(c->e, &kept, 0, true);
    if (!kept.n)
        emit_open(c->e, "{");
    emit(c->e, "%s sum = %s;\n\n", ints ? "int32_t" : "float", ints ? "0" : "0.0f");
    open_loops(c->e, &over, kept.n, false);
    at = place_c(c->z->w->a, 0, kept.x, kept.n, 0);
    emit(c->e, "sum += %s[%s%s%s];\n", from, strcmp(at, "0") ? at : "", strcmp(at, "0") && over.n ? " + " : "",
         over.n ? place_c(c->z->w->a, 0, over.x, over.n, kept.n) : strcmp(at, "0") ? "" : "0");
    c->e->indent -= over.n;
    x.local[x.n_local++] = (Local){ o->out[0], "sum" };
    at = str_printf(c->z->w->a, "y[%s]", place_c(c->z->w->a, 0, kept.y, kept.n, 0));
    if (o->next->kind == OP_yield)
        emit(c->e, "%s = sum;\n", at);
    else
        map_body(&x, o->next, at);
    c->e->indent -= kept.n ? kept.n - 1 : 0;
    emit_close(c->e, "");
}
