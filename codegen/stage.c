/* Stage functions: NAME_ISA.c and kernels_ISA.h.
 *
 * Each stage of the Module becomes one C function that computes one chunk:
 *
 *     static void decode_attn_q_k_v(const NAME_Run *r, const void *args, NAME_Worker *me, int c,
 * int count, const uint8_t *next)
 *
 * A contraction's chunk is a loop over tiles of 32 outputs (or over heads, where the epilogue needs
 * whole ones), inside it a loop over tokens; a micro-kernel leaves a tile of results in a local
 * array, and the epilogue is plain C over that array: expressions composed from the table of ops.
 * Where an op needs a whole array (rope's pairs, quantization, the store into a cache) the
 * expression so far is stored first.  Everything printed here follows from the Module's attributes;
 * no choice is made. */
#include "codegen/c.h"
#include "ir/stages.h"

/* What a value of the region is called in C, while one stage is printed. */
typedef struct {
    const Value *v;
    const char *base; /* pointer to the whole tensor (external values and results), NULL: none */
    const char *row;  /* pointer to the present row (prologues, row stages), NULL: none */
    const char *tile; /* local array of the tile, NULL: none */
    const char *expr; /* value at [k] of the tile, NULL: none */
} Name;

typedef struct {
    Writer *w;
    Emit *e;
    const Func *f;
    const Op *s; /* the stage */
    const Region *r;
    int i_target;
    const KernelUnit *unit;
    bool *wanted; /* of the unit's entities */
    Name *name;
    int n_name;
    const char **taken;
    int n_taken; /* identifiers in use in this function */
} Stage;

/* ---- names ---- */

static const char *fresh(Stage *z, const char *base)
{
    const char *name = emit_ident(z->w->a, str_of(base));

    for (int n = 2;; n++) {
        bool taken = false;

        for (int i = 0; i < z->n_taken; i++)
            taken = taken || !strcmp(z->taken[i], name);
        if (!taken)
            break;
        name = str_printf(z->w->a, "%s_%d", emit_ident(z->w->a, str_of(base)), n);
    }
    z->taken[z->n_taken++] = name;
    return name;
}

static Name *name_of(Stage *z, const Value *v)
{
    for (int i = 0; i < z->n_name; i++)
        if (z->name[i].v == v)
            return &z->name[i];
    z->name[z->n_name] = (Name){ .v = v };
    return &z->name[z->n_name++];
}

/* A kernel or helper by its C name: it and what it needs will be in kernels_ISA.h. */
static const char *use(Stage *z, const char *kernel)
{
    if (!kernel_closure(z->unit, &kernel, 1, z->wanted))
        bug("the library of %s has no '%s'", z->unit->isa, kernel);
    return kernel;
}

static const char *kernel_of(Stage *z, const Op *o, const char *role)
{
    const char *k = op_str(o, str_printf(z->w->a, "%s.%d", role, z->i_target), NULL);

    if (!k)
        bug("op '%s' of stage '%s' has no kernel for '%s'", op_info[o->kind].name,
            op_str(z->s, "stage", "?"), role);
    return use(z, k);
}

static bool cannot(Stage *z, const Op *o)
{
    z->w->ok = false;
    return fail(z->w->d, NOWHERE,
                "the C writer cannot compute '%s' (%s) in a stage of kind '%s' yet",
                op_info[o->kind].name, o->n_out ? o->out[0]->name : "", op_str(z->s, "kind", "?"));
}

static const char *c_type(const Format *f)
{
    return !strcmp(f->name, "f32")                               ? "float"
           : !strcmp(f->name, "f16") || !strcmp(f->name, "bf16") ? "uint16_t"
           : !strcmp(f->name, "q8")                              ? "SnQ8"
           : !strcmp(f->name, "i8")                              ? "int8_t"
                                                                 : "int32_t";
}

/* Elements of the C type in a row: everything behind the first dimension.  A vector of constant
 * length is one row (of a weight), one of symbolic length has a number per row (ids, positions). */
static int64_t row_width(const Value *v)
{
    int64_t n = 1, d = 1;

    if (v->type.rank == 1 && dim_is_const(v->type.dim[0], &d) && v->kind == VAL_param &&
        v->stands_for != VAL_result)
        return d / v->type.fmt->block;
    for (int i = 1; i < v->type.rank; i++)
        if (dim_is_const(v->type.dim[i], &d))
            n *= d;
    return n / v->type.fmt->block;
}

/* Elements along the innermost dimension. */
static int64_t inner_width(const Value *v)
{
    int64_t n = 1;

    if (v->type.rank)
        dim_is_const(type_last(v->type), &n);
    return n;
}

static const char *float_c(Stage *z, double x)
{
    const char *s = str_float(z->w->a, x, true);

    if (x != x || x - x != 0) /* only ISA files print numbers, and they are GNU C */
        return x != x ? "__builtin_nanf(\"\")" : x > 0 ? "__builtin_inff()" : "-__builtin_inff()";
    return str_printf(z->w->a, "%s%sf", s, strpbrk(s, ".ein") ? "" : ".0");
}

/* ---- operands and results at the top of the function ---- */

static const char *place_c(Stage *z, int64_t place, const char *type, bool readonly)
{
    const char *c = readonly ? "const " : "";

    if (place >= 0)
        return str_printf(z->w->a, "(%s%s *)(r->arena + %" PRId64 ")", c, type, place);
    if (place <= PLACE_output)
        return "r->logits";
    return "r->ids";
}

static bool is_read(const Stage *z, const Value *param)
{
    for (const Op *o = z->r->first; o; o = o->next)
        for (int i = 0; i < o->n_in; i++)
            if (o->in[i] == param)
                return true;
    return false;
}

static int param_index(const Region *r, const Value *v)
{
    for (int i = 0; i < r->n_param; i++)
        if (r->param[i] == v)
            return i;
    return -1;
}

static void bind_param(Stage *z, int i)
{
    const Value *p = z->r->param[i], *outer = z->s->in[i];
    const char *name = fresh(z, p->name), *at;
    int i_arg = outer->kind == VAL_param ? param_index(z->f->body, outer) : -1;
    const char *shape = shape_c(z->w, p->type);
    Name *n = name_of(z, p);

    n->base = name;
    if (!is_read(z, p))
        return;
    switch (p->stands_for) {
    case VAL_weight:
        at = i_arg >= 0 ? str_printf(z->w->a, "args->%s", arg_field(z->w, z->f, i_arg))
                        : str_printf(z->w->a, "%" PRIu64, outer->weight->off);
        if (p->layout && p->layout->rows == 1)
            emit(z->e, "const float *%s = (const float *)(r->w + %s);    /* %s */\n", name, at,
                 shape);
        else
            emit(z->e, "const uint8_t *%s = r->w + %s;    /* %s as %s */\n", name, at, shape,
                 p->layout ? p->layout->name : "?");
        break;
    case VAL_state:
        at = i_arg >= 0 ? str_printf(z->w->a, "args->%s", arg_field(z->w, z->f, i_arg))
                        : str_printf(z->w->a, "%d", outer->state->index);
        emit(z->e, "%s *%s = (%s *)r->state[%s];    /* %s */\n", c_type(p->type.fmt), name,
             c_type(p->type.fmt), at, shape);
        break;
    default:
        emit(z->e, "const %s *%s = %s;    /* %s */\n", c_type(p->type.fmt), name,
             place_c(z, op_attr(z->s, "in")->ints[i], c_type(p->type.fmt), true), shape);
    }
}

static void bind_result(Stage *z, int i)
{
    const Value *v = z->r->last->in[i];
    Name *n = name_of(z, v);

    if (v->kind == VAL_param || n->base)
        return;
    n->base = fresh(z, str_printf(z->w->a, "%s_out", v->name));
    emit(z->e, "%s *%s = %s;    /* %s */\n", c_type(v->type.fmt), n->base,
         place_c(z, op_attr(z->s, "out")->ints[i], c_type(v->type.fmt), false),
         shape_c(z->w, v->type));
}

/* ---- whole rows: row stages and prologues ---- */

/* The present row of a value: a pointer expression.  t: the row's number. */
static const char *row_of(Stage *z, const Value *v, const char *t)
{
    Name *n = name_of(z, v);

    if (n->row)
        return n->row;
    if (!n->base)
        bug("value '%s' has no place in stage '%s'", v->name, op_str(z->s, "stage", "?"));
    if (v->type.rank < 2 && dim_is_const(v->type.rank ? v->type.dim[0] : NULL, NULL))
        return n->base; /* a row of weights: the same for every token */
    if (!strcmp(t, "0"))
        return n->base;
    return str_printf(z->w->a, "(%s + (size_t)%s * %" PRId64 ")", n->base, t, row_width(v));
}

/* The present number of a value that has one per row (ids, positions). */
static const char *number_of(Stage *z, const Value *v, const char *t)
{
    const Name *n = name_of(z, v);

    return n->row ? str_printf(z->w->a, "%s[0]", n->row)
                  : str_printf(z->w->a, "%s[%s]", n->base, t);
}

/* $a, $b ... of an op's C expression replaced. */
static const char *expand(Stage *z, const Op *o, const char *const *operand)
{
    Buf b = buf_in(z->w->a);

    for (const char *c = op_info[o->kind].c_expr; *c; c++) {
        if (*c == '$' && !strncmp(c, "$by", 3)) {
            buf_puts(&b, float_c(z, op_float(o, "by", 1)));
            c += 2;
        } else if (*c == '$') {
            c++;
            buf_puts(&b, operand[*c == 'b' ? 1 : 0]);
        } else if (!strncmp(c, "sn_", 3)) {
            size_t n = strspn(c, "abcdefghijklmnopqrstuvwxyz_0123456789");

            buf_puts(&b, use(z, str_z(z->w->a, (Str){ c, n })));
            c += n - 1;
        } else
            buf_putc(&b, *c);
    }
    return buf_z(&b);
}

/* The function that reads (writes) a plain float format, "" for f32, NULL for others. */
static const char *plain_read(const Format *f)
{
    return !strcmp(f->name, "f32")    ? ""
           : !strcmp(f->name, "f16")  ? "sn_f16_to_f32"
           : !strcmp(f->name, "bf16") ? "sn_bf16_to_f32"
                                      : NULL;
}

static const char *plain_write(const Format *f)
{
    return !strcmp(f->name, "f32")    ? ""
           : !strcmp(f->name, "f16")  ? "sn_f32_to_f16"
           : !strcmp(f->name, "bf16") ? "sn_f32_to_bf16"
                                      : NULL;
}

/* Does every operand of an elementwise op have the result's row, or one row for all tokens that is
 * as wide? */
static bool same_rows(const Op *o)
{
    for (int i = 0; i < o->n_in; i++)
        if (row_width(o->in[i]) != row_width(o->out[0]))
            return false;
    return true;
}

/* Rotates the heads among the first n numbers of `from` into `to`; cs: the angles' cosines and
 * sines. */
static void rope_heads(Stage *z, const Op *o, const char *to, const char *from, const char *cs,
                       const char *n)
{
    Emit *e = z->e;
    int64_t hd = op_int(o, "head_dim", 1), n_rot = row_width(o->in[1]);
    bool norm = !strcmp(op_str(o, "pairing", ""), "norm");
    const char *i = norm ? "2 * k" : "k", /* the pair that is turned by angle k */
        *j = norm ? "2 * k + 1" : str_printf(z->w->a, "k + %" PRId64, n_rot / 2);

    emit_open(e, "for (int u = 0; u < %s; u += %" PRId64 ") {", n, hd);
    emit_open(e, "for (int k = 0; k < %" PRId64 "; k++) {", n_rot / 2);
    emit(e, "float a = %s[u + %s], b = %s[u + %s];\n\n", from, i, from, j);
    emit(e, "%s[u + %s] = a * %s[2 * k] - b * %s[2 * k + 1];\n", to, i, cs, cs);
    emit(e, "%s[u + %s] = b * %s[2 * k] + a * %s[2 * k + 1];\n", to, j, cs, cs);
    emit_close(e, "");
    if (n_rot < hd)
        emit(e, "for (int k = %" PRId64 "; k < %" PRId64 "; k++)\n    %s[u + k] = %s[u + k];\n",
             n_rot, hd, to, from);
    emit_close(e, "");
}

static bool row_op(Stage *z, const Op *o, const char *t)
{
    Emit *e = z->e;
    const Value *v = o->n_out ? o->out[0] : o->n_in ? o->in[o->n_in - 1] : NULL;
    int64_t n = v ? row_width(v) : 0;
    Name *y = o->n_out ? name_of(z, o->out[0]) : NULL;
    const char *to = NULL, *from = NULL;

    if (o->kind == OP_yield)
        return true;
    if (o->kind == OP_last_rows && !(y && y->base)) {
        const char *rows = rows_c(z->w, z->f, o->in[0]->type.dim[0], NULL),
                   *last = rows_c(z->w, z->f, o->out[0]->type.dim[0], NULL);

        if (!name_of(z, o->in[0])
                 ->base) /* made in this stage, so it has as many rows: they are the last ones */
            y->row = row_of(z, o->in[0], t);
        else if (!strcmp(t, "0"))
            y->row = str_printf(z->w->a, "(%s + (size_t)(%s - %s) * %" PRId64 ")",
                                name_of(z, o->in[0])->base, rows, last, n);
        else
            y->row = str_printf(z->w->a, "(%s + (size_t)(%s - %s + %s) * %" PRId64 ")",
                                name_of(z, o->in[0])->base, rows, last, t, n);
        return true;
    }
    if (o->n_in && o->in[0]->stands_for != VAL_weight && o->in[0]->kind != VAL_state &&
        o->kind != OP_last_rows &&
        !(o->in[0]->kind == VAL_param && o->in[0]->stands_for != VAL_result))
        from = row_of(z, o->in[0], t);
    if (y && !y->base && !y->row) { /* a row in this thread's scratch */
        const char *name = fresh(z, v->name);

        emit(e, "%s *%s = (%s *)(me->scratch + %" PRId64 ");    /* %s */\n", c_type(v->type.fmt),
             name, c_type(v->type.fmt), op_int(o, "scratch", 0), shape_c(z->w, v->type));
        y->row = name;
    }
    if (y)
        to = row_of(z, o->out[0], t);
    switch (o->kind) {
    case OP_positions:
        emit(e, "%s = r->P + %s;\n", number_of(z, v, t), t);
        return true;
    case OP_rope_angles: {
        double mscale = op_float(o, "mscale", 1);

        emit_open(e, "for (int k = 0; k < %" PRId64 "; k++) {", n / 2);
        emit(e, "%s((double)((float)%s * %s[k]), %s + 2 * k + 1, %s + 2 * k);\n",
             use(z, "sn_sincos"), number_of(z, o->in[0], t), name_of(z, o->in[1])->base, to, to);
        if (mscale != 1) {
            emit(e, "%s[2 * k] *= %s;\n", to, float_c(z, mscale));
            emit(e, "%s[2 * k + 1] *= %s;\n", to, float_c(z, mscale));
        }
        emit_close(e, "");
        return true;
    }
    case OP_rows:
        emit(e, "%s(%s, %s + (size_t)(%s / 32) * %" PRIu64 ", %s %% 32, %" PRId64 ");\n",
             kernel_of(z, o, "row"), to, name_of(z, o->in[0])->base, number_of(z, o->in[1], t),
             o->in[0]->tile_stride, number_of(z, o->in[1], t), n);
        return true;
    case OP_last_rows:
        emit(e, "for (int k = 0; k < %" PRId64 "; k++)\n", n);
        emit(e, "    %s[k] = %s[(size_t)(%s - %s + %s) * %" PRId64 " + (size_t)k];\n", to,
             name_of(z, o->in[0])->base, rows_c(z->w, z->f, o->in[0]->type.dim[0], NULL),
             rows_c(z->w, z->f, v->type.dim[0], NULL), t, n);
        return true;
    case OP_rmsnorm:
        if (inner_width(v) < n) { /* each head of the row on its own */
            emit(e,
                 "for (int k = 0; k < %" PRId64 "; k += %" PRId64
                 ")\n    %s(%s + k, %s + k, %s, %" PRId64 ", %s);\n",
                 n, inner_width(v), kernel_of(z, o, "rmsnorm"), to, from,
                 name_of(z, o->in[1])->base, inner_width(v), float_c(z, op_float(o, "eps", 0)));
            return true;
        }
        emit(e, "%s(%s, %s, %s, %" PRId64 ", %s);\n", kernel_of(z, o, "rmsnorm"), to, from,
             name_of(z, o->in[1])->base, n, float_c(z, op_float(o, "eps", 0)));
        return true;
    case OP_quant:
        emit(e, "for (int k = 0; k < %" PRId64 "; k++)\n    %s(%s + k, %s + 32 * k);\n", n,
             kernel_of(z, o, "quant"), to, from);
        return true;
    case OP_convert: {
        const char *read = plain_read(o->in[0]->type.fmt), *write = plain_write(v->type.fmt);

        if (!read || !write)
            return cannot(z, o);
        emit(e, "for (int k = 0; k < %" PRId64 "; k++)\n    %s[k] = %s(%s(%s[k]));\n", n, to,
             *write ? use(z, write) : "", *read ? use(z, read) : "", from);
        return true;
    }
    case OP_reshape:
        emit(e, "for (int k = 0; k < %" PRId64 "; k++)\n    %s[k] = %s[k];\n", n, to, from);
        return true;
    case OP_slice: {
        const Value *x = o->in[0];

        if (op_int(o, "axis", 0) != x->type.rank - 1 || x->type.rank != 2)
            return cannot(z, o);
        emit(e, "for (int k = 0; k < %" PRId64 "; k++)\n    %s[k] = %s[%" PRId64 " + k];\n", n, to,
             from, op_int(o, "begin", 0));
        return true;
    }
    case OP_dequant:
        if (plain_read(o->in[0]->type.fmt)) {
            const char *read = plain_read(o->in[0]->type.fmt);

            emit(e, "for (int k = 0; k < %" PRId64 "; k++)\n    %s[k] = %s(%s[k]);\n", n, to,
                 *read ? use(z, read) : "", from);
            return true;
        }
        emit(e,
             "for (int k = 0; k < %" PRId64
             "; k++)\n    %s[k] = %s[k / 32].d * (float)%s[k / 32].q[k %% 32];\n",
             n, to, from, from);
        return true;
    case OP_softmax: {
        int64_t inner = inner_width(v);

        emit(e, "for (int k = 0; k < %" PRId64 "; k++)\n    %s[k] = %s[k];\n", n, to, from);
        emit_open(e, "for (int u = 0; u < %" PRId64 "; u += %" PRId64 ") {", n, inner);
        emit(e, "float sum = %s(%s + u, %" PRId64 ", %s(%s + u, %" PRId64 "));\n\n",
             kernel_of(z, o, "exp_sum"), to, inner, kernel_of(z, o, "max"), to, inner);
        emit(e, "for (int k = 0; k < %" PRId64 "; k++)\n    %s[u + k] /= sum;\n", inner, to);
        emit_close(e, "");
        return true;
    }
    case OP_rope:
        rope_heads(z, o, to, from, row_of(z, o->in[1], t), str_printf(z->w->a, "%" PRId64, n));
        return true;
    case OP_append: {
        const char *x = row_of(z, o->in[1], t), *state = name_of(z, o->in[0])->base;

        if (!strcmp(o->in[0]->type.fmt->name, "f16"))
            emit(e, "%s(%s + (size_t)(r->P + %s) * %" PRId64 ", %s, %" PRId64 ");\n",
                 kernel_of(z, o, "store"), state, t, n, x, n);
        else
            emit(e,
                 "for (int k = 0; k < %" PRId64 "; k++)\n    %s[(size_t)(r->P + %s) * %" PRId64
                 " + (size_t)k] = %s[k];\n",
                 n, state, t, n, x);
        return true;
    }
    default:
        if (op_is_elementwise(o) && !strcmp(v->type.fmt->name, "f32") && same_rows(o)) {
            const char *operand[2] = { "", "" };

            for (int i = 0; i < o->n_in && i < 2; i++)
                operand[i] = str_printf(z->w->a, "%s[k]", row_of(z, o->in[i], t));
            emit(e, "for (int k = 0; k < %" PRId64 "; k++)\n    %s[k] = %s;\n", n, to,
                 expand(z, o, operand));
            return true;
        }
        return cannot(z, o);
    }
}

/* ---- tiles: epilogues ---- */

/* Where the tile lies in its row: i is its first element, n its width (a C expression), t its row.
 */
typedef struct {
    const char *i, *n, *t;
    int64_t width;
    int64_t n_row;
} Tile;

static int n_uses_inside(const Stage *z, const Value *v)
{
    int n = 0;

    for (const Op *o = z->r->first; o; o = o->next)
        for (int i = 0; i < o->n_in; i++)
            n += o->in[i] == v;
    return n;
}

/* The value of v at element k of the tile. */
static const char *tile_expr(Stage *z, const Value *v, const Tile *at)
{
    Name *n = name_of(z, v);

    if (n->tile)
        return str_printf(z->w->a, "%s[k]", n->tile);
    if (n->expr)
        return n->expr;
    if (v->type.rank == 1 && v->kind == VAL_param)
        return str_printf(z->w->a, "%s[%s + k]", n->base, at->i);
    return !strcmp(at->t, "0")
               ? str_printf(z->w->a, "%s[%s + k]", n->base, at->i)
               : str_printf(z->w->a, "%s[(size_t)%s * %" PRId64 " + (size_t)(%s + k)]", n->base,
                            at->t, at->n_row, at->i);
}

/* v as a local array, computed now if it is an expression so far. */
static const char *tile_array(Stage *z, const Value *v, const Tile *at)
{
    Name *n = name_of(z, v);

    if (!n->tile) {
        const char *expr = tile_expr(z, v, at), *name = fresh(z, v->name);

        emit(z->e, "float %s[%" PRId64 "];\n\n", name, at->width);
        emit(z->e, "for (int k = 0; k < %s; k++)\n    %s[k] = %s;\n", at->n, name, expr);
        n->tile = name;
    }
    return n->tile;
}

static void tile_rope(Stage *z, const Op *o, const Tile *at)
{
    Emit *e = z->e;
    const char *x = tile_array(z, o->in[0], at), *y = fresh(z, o->out[0]->name),
               *cs = name_of(z, o->in[1])->base;
    int64_t hd = op_int(o, "head_dim", 1), n_rot = row_width(o->in[1]);
    const char *row = !strcmp(at->t, "0") ? cs
                                          : str_printf(z->w->a, "(%s + (size_t)%s * %" PRId64 ")",
                                                       cs, at->t, n_rot);

    emit(e, "float %s[%" PRId64 "];\n\n", y, at->width);
    name_of(z, o->out[0])->tile = y;
    if (at->width % hd == 0) { /* whole heads */
        rope_heads(z, o, y, x, row, at->n);
        return;
    }
    emit_open(e, "for (int k = 0; k < %s; k += 2) {", at->n);
    emit(e, "int p = (%s + k) %% %" PRId64 ";    /* place in the head */\n", at->i, hd);
    emit(e, "float cos = %s, sin = %s;\n\n",
         n_rot < hd ? str_printf(z->w->a, "p < %" PRId64 " ? %s[p] : 1", n_rot, row)
                    : str_printf(z->w->a, "%s[p]", row),
         n_rot < hd ? str_printf(z->w->a, "p < %" PRId64 " ? %s[p + 1] : 0", n_rot, row)
                    : str_printf(z->w->a, "%s[p + 1]", row));
    emit(e, "%s[k] = %s[k] * cos - %s[k + 1] * sin;\n", y, x, x);
    emit(e, "%s[k + 1] = %s[k + 1] * cos + %s[k] * sin;\n", y, x, x);
    emit_close(e, "");
}

/* Does the expression need parentheses as an operand?  Not if nothing but brackets and calls holds
 * it together. */
static bool is_atom(const char *expr)
{
    int depth = 0;

    for (; *expr; expr++) {
        depth += (*expr == '(' || *expr == '[') - (*expr == ')' || *expr == ']');
        if (*expr == ' ' && !depth)
            return false;
    }
    return true;
}

static bool tile_op(Stage *z, const Op *o, const Tile *at)
{
    Emit *e = z->e;

    if (op_is_elementwise(o)) {
        const char *operand[2] = { "", "" };

        for (int i = 0; i < o->n_in && i < 2; i++)
            operand[i] = is_atom(tile_expr(z, o->in[i], at)) || op_info[o->kind].c_expr[0] == 's'
                             ? tile_expr(z, o->in[i],
                                         at) /* an argument of sn_...() is in parentheses already */
                             : str_printf(z->w->a, "(%s)", tile_expr(z, o->in[i], at));
        name_of(z, o->out[0])->expr = expand(z, o, operand);
        if (n_uses_inside(z, o->out[0]) > 1)
            tile_array(z, o->out[0], at);
        return true;
    }
    switch (o->kind) {
    case OP_rope:
        tile_rope(z, o, at);
        return true;
    case OP_reshape: { /* another way to count the same elements of a row */
        const char *x = tile_array(z, o->in[0], at);

        name_of(z, o->out[0])->tile = x;
        return true;
    }
    case OP_rmsnorm: { /* of each head */
        const char *x = tile_array(z, o->in[0], at), *y = fresh(z, o->out[0]->name);
        int64_t hd = inner_width(o->in[0]);

        emit(e, "float %s[%" PRId64 "];\n\n", y, at->width);
        emit(e,
             "for (int u = 0; u < %s; u += %" PRId64 ")\n    %s(%s + u, %s + u, %s, %" PRId64
             ", %s);\n",
             at->n, hd, kernel_of(z, o, "rmsnorm"), y, x, name_of(z, o->in[1])->base, hd,
             float_c(z, op_float(o, "eps", 0)));
        name_of(z, o->out[0])->tile = y;
        return true;
    }
    case OP_append: {
        const char *x = tile_array(z, o->in[1], at), *state = name_of(z, o->in[0])->base;
        const char *pos = strcmp(at->t, "0") ? str_printf(z->w->a, "(r->P + %s)", at->t) : "r->P";
        const char *to =
            str_printf(z->w->a, "%s + (size_t)%s * %" PRId64 " + %s", state, pos, at->n_row, at->i);

        if (!strcmp(o->in[0]->type.fmt->name, "f16"))
            emit(e, "%s(%s, %s, %s);\n", kernel_of(z, o, "store"), to, x, at->n);
        else
            emit(e, "for (int k = 0; k < %s; k++)\n    (%s)[k] = %s[k];\n", at->n, to, x);
        return true;
    }
    case OP_quant: {
        const char *x = tile_array(z, o->in[0], at), *to = name_of(z, o->out[0])->base;

        for (int64_t k = 0; k < at->width; k += 32)
            emit(e, "%s(%s%s + %s / 32%s, %s%s);\n", kernel_of(z, o, "quant"), to,
                 strcmp(at->t, "0")
                     ? str_printf(z->w->a, " + (size_t)%s * %" PRId64, at->t, at->n_row / 32)
                     : "",
                 at->i, k ? str_printf(z->w->a, " + %" PRId64, k / 32) : "", x,
                 k ? str_printf(z->w->a, " + %" PRId64, k) : "");
        return true;
    }
    default:
        return cannot(z, o);
    }
}

/* Results that are still expressions or local arrays go to memory. */
static void store_results(Stage *z, const Tile *at)
{
    for (int i = 0; i < z->r->last->n_in; i++) {
        const Value *v = z->r->last->in[i];
        Name *n = name_of(z, v);
        const char *to;

        if (v->kind == VAL_param || (!n->tile && !n->expr))
            continue;
        to = !strcmp(at->t, "0")
                 ? str_printf(z->w->a, "%s[%s + k]", n->base, at->i)
                 : str_printf(z->w->a, "%s[(size_t)%s * %" PRId64 " + (size_t)(%s + k)]", n->base,
                              at->t, at->n_row, at->i);
        emit(z->e, "for (int k = 0; k < %s; k++)\n    %s = %s;\n", at->n, to, tile_expr(z, v, at));
    }
}

/* The ops that come after the contractions whose tiles are at hand, or after an attention. */
static bool epilogue(Stage *z, const Tile *at)
{
    bool ok = true;

    for (const Op *o = z->r->first; ok && o; o = o->next) {
        bool ready = false;

        if (o->kind == OP_matmul || o->kind == OP_attention || o->kind == OP_yield ||
            stage_is_prologue(z->s, o))
            continue;
        for (int i = 0; i < o->n_in;
             i++) { /* it belongs to this group if something it reads does */
            const Name *n = name_of(z, o->in[i]);

            ready = ready || n->tile || n->expr;
        }
        if (ready)
            ok = tile_op(z, o, at);
    }
    if (ok)
        store_results(z, at);
    return ok;
}

/* ---- contract stages ---- */

static void forget_tiles(Stage *z)
{
    for (int i = 0; i < z->n_name; i++)
        z->name[i].tile = z->name[i].expr = NULL;
}

static const char *x_pointer(Stage *z, const Value *x, const char *t)
{
    Name *n = name_of(z, x);

    if (n->row)
        return n->row;
    return !strcmp(t, "0")
               ? n->base
               : str_printf(z->w->a, "%s + (size_t)%s * %" PRId64, n->base, t, row_width(x));
}

/* The results of contraction o on the tiles that begin at `tile`, for one token: acc[0..width). */
static void one_token(Stage *z, const Op *o, const char *acc, const char *tile, int64_t n_in,
                      const Tile *at)
{
    const char *dot = kernel_of(z, o, "dot"), *x = x_pointer(z, o->in[0], "0");
    uint64_t stride = o->in[1]->tile_stride;

    if (at->width == TILE_ROWS)
        emit(z->e, "%s(%s, %s, %s, %" PRId64 ", %s + %" PRIu64 ");\n", dot, acc, tile, x, n_in,
             tile, stride);
    else
        emit(z->e,
             "for (int j = 0; j < %s; j += 32)\n    %s(%s + j, %s + (size_t)(j / 32) * %" PRIu64
             ", %s, %" PRId64 ", %s + (size_t)(j / 32 + 1) * %" PRIu64 ");\n",
             at->n, dot, acc, tile, stride, x, n_in, tile, stride);
}

/* The same for the n_t tokens from u on: four_acc[width * (token - u) ..]. */
static void four_tokens(Stage *z, const Op *o, const char *four_acc, const char *tile, int64_t n_in,
                        const Tile *at)
{
    Emit *e = z->e;
    const char *x = name_of(z, o->in[0])->base, *to = four_acc, *from = tile;
    int64_t xw = row_width(o->in[0]);
    uint64_t stride = o->in[1]->tile_stride;
    bool wide = at->width != TILE_ROWS;

    if (wide) { /* a kernel leaves 32 results of a token, then those of the next one */
        emit_open(e, "for (int j = 0; j < %s; j += 32) {", at->n);
        to = fresh(z, "of_tile");
        from = fresh(z, str_printf(z->w->a, "%s_j", tile));
        emit(e, "const uint8_t *%s = %s + (size_t)(j / 32) * %" PRIu64 ";\n", from, tile, stride);
        emit(e, "float %s[4 * 32];\n\n", to);
    }
    /* Where the buffer of x has whole fours of rows, four tokens cost less than two alone: what is
     * left over of the last four is computed from whatever lies there, and nobody reads it. */
    emit(e, "if (n_t %s)\n", dim_hi(o->in[0]->type.dim[0]) % 4 == 0 ? "> 1" : "== 4");
    emit(e,
         "    %s(%s, %s, %s + (size_t)u * %" PRId64 ", %" PRId64 ", %" PRId64
         ", u ? NULL : %s + %" PRIu64 ");\n",
         kernel_of(z, o, "panel"), to, from, x, xw, xw, n_in, from, stride);
    emit(e, "else\n    for (int t = 0; t < n_t; t++)\n");
    emit(e, "        %s(%s + 32 * t, %s, %s + (size_t)(u + t) * %" PRId64 ", %" PRId64 ", NULL);\n",
         kernel_of(z, o, "dot"), to, from, x, xw, n_in);
    if (wide) {
        emit(e, "for (int t = 0; t < n_t; t++)\n    for (int k = 0; k < 32; k++)\n");
        emit(e, "        %s[%" PRId64 " * t + j + k] = %s[32 * t + k];\n", four_acc, at->width, to);
        emit_close(e, "");
    }
}

static bool contract_group(Stage *z, int g)
{
    Emit *e = z->e;
    Arena *a = z->w->a;
    const Op *mm[MAX_ANCHORS];
    const char *acc[MAX_ANCHORS], *tile[MAX_ANCHORS];
    int n = 0;
    int64_t n_out, n_in, width = stage_width(z->s, g),
                         span = TILE_ROWS * op_attr(z->s, "tiles")->ints[g];
    bool one, loop;
    const char *rows;
    Tile at = { .i = "i", .width = width };

    for (const Op *o = z->r->first; o; o = o->next)
        if (o->kind == OP_matmul && n < MAX_ANCHORS && stage_group(z->s, o) == g)
            mm[n++] = o;
    n_out = type_n_rows(mm[0]->in[1]->type);
    dim_is_const(type_last(mm[0]->in[1]->type), &n_in);
    at.n_row = n_out;
    rows =
        rows_c(z->w, z->f, mm[0]->out[0]->type.rank > 1 ? mm[0]->out[0]->type.dim[0] : NULL, &one);
    loop = span != width || n_out % width;
    if (!loop)
        emit(e, "int i = %" PRId64 " * c;\n", width);
    else
        emit_open(e,
                  "for (int i = %" PRId64 " * c; i < %" PRId64 " * c + %" PRId64 " && i < %" PRId64
                  "; i += %" PRId64 ") {",
                  span, span, span, n_out, width);
    at.n = str_printf(a, "%" PRId64, width);
    if (n_out % width) {
        emit(e, "int n = %" PRId64 " - i < %s ? %" PRId64 " - i : %s;\n", n_out, at.n, n_out, at.n);
        at.n = "n";
    }
    for (int k = 0; k < n; k++) {
        const Value *w = mm[k]->in[1];

        acc[k] = fresh(z, mm[k]->out[0]->name);
        tile[k] = fresh(z, str_printf(a, "%s_tile", mm[k]->out[0]->name));
        emit(e, "const uint8_t *%s = %s + (size_t)(i / 32) * %" PRIu64 ";\n", tile[k],
             name_of(z, w)->base, w->tile_stride);
    }
    if (one) {
        at.t = "0";
        for (int k = 0; k < n; k++)
            emit(e, "float %s[%" PRId64 "];\n", acc[k], width);
        emit(e, "\n");
        for (int k = 0; k < n; k++) {
            one_token(z, mm[k], acc[k], tile[k], n_in, &at);
            name_of(z, mm[k]->out[0])->tile = acc[k];
        }
        if (!epilogue(z, &at))
            return false;
    } else {
        at.t = "t";
        emit_open(e, "for (int u = 0; u < %s; u += 4) {", rows);
        for (int k = 0; k < n; k++)
            emit(e, "float %s_4[4 * %" PRId64 "];\n", acc[k], width);
        emit(e, "int n_t = %s - u < 4 ? %s - u : 4;\n\n", rows, rows);
        for (int k = 0; k < n; k++)
            four_tokens(z, mm[k], str_printf(a, "%s_4", acc[k]), tile[k], n_in, &at);
        emit_open(e, "for (int t = u; t < u + n_t; t++) {");
        for (int k = 0; k < n; k++) {
            emit(e, "const float *%s = %s_4 + %" PRId64 " * (t - u);\n", acc[k], acc[k], width);
            name_of(z, mm[k]->out[0])->tile = acc[k];
        }
        emit(e, "\n");
        if (!epilogue(z, &at))
            return false;
        emit_close(e, "");
        emit_close(e, "");
    }
    if (loop)
        emit_close(e, "");
    forget_tiles(z);
    return true;
}

/* A result that the prologue has made: everybody has it, whoever computes the first chunk stores
 * it. */
static void store_prologue(Stage *z)
{
    for (int i = 0; i < z->r->last->n_in; i++) {
        const Value *v = z->r->last->in[i];
        const Name *n;

        if (v->kind != VAL_result || !stage_is_prologue(z->s, v->op))
            continue;
        n = name_of(z, v);
        emit(z->e,
             "if (c == 0)\n    for (int k = 0; k < %" PRId64 "; k++)\n        %s[k] = %s[k];\n",
             row_width(v), n->base, n->row);
    }
}

static bool contract_stage(Stage *z)
{
    Emit *e = z->e;
    int n_group = stage_n_groups(z->s);
    const Attr *chunks = op_attr(z->s, "chunks");
    bool any = false;
    int64_t sum = 0;

    for (const Op *o = z->r->first; o;
         o = o->next) /* pointers of the prologue's rows are needed by every chunk */
        if (stage_is_prologue(z->s, o) && o->kind == OP_last_rows && !name_of(z, o->out[0])->base) {
            if (!row_op(z, o, "0")) /* prints nothing: it is another name for a row */
                return false;
        } else if (stage_is_prologue(z->s, o)) {
            Name *y = name_of(z, o->out[0]);

            y->row = fresh(z, o->out[0]->name);
            emit(e, "%s *%s = (%s *)(me->scratch + %" PRId64 ");    /* %s, this thread's own */\n",
                 c_type(o->out[0]->type.fmt), y->row, c_type(o->out[0]->type.fmt),
                 op_int(o, "scratch", 0), shape_c(z->w, o->out[0]->type));
            any = true;
        }
    emit(e, "\n");
    if (any) {
        emit_open(e, "if (count == 1) {");
        for (const Op *o = z->r->first; o; o = o->next)
            if (stage_is_prologue(z->s, o) && o->kind != OP_last_rows && !row_op(z, o, "0"))
                return false;
        emit_close(e, "");
        store_prologue(z); /* by whoever has chunk 0, be it not its first one */
    }
    for (int g = 0; g < n_group; g++) {
        if (n_group > 1) {
            const char *tail = g + 1 < n_group ? str_printf(z->w->a, "if (c < %" PRId64 ") {",
                                                            sum + chunks->ints[g])
                                               : "{";

            if (g)
                emit(e, "} else ");
            emit_open(e, "%s", tail);
            if (sum)
                emit(e, "c -= %" PRId64 ";\n", sum);
        }
        sum += chunks->ints[g];
        if (!contract_group(z, g))
            return false;
        if (n_group > 1)
            e->indent--;
    }
    if (n_group > 1)
        emit(e, "}\n");
    return true;
}

/* ---- attention stages ---- */

enum {
    SPAN = 128
}; /* cache positions whose scores are held at a time: fixed pieces, whatever the number of threads
    */

/* What an attention stage is printed from. */
typedef struct {
    const Op *o;
    int64_t n_head, hd, width, stride, v_stride, window; /* width: of a row of q and of y */
    const char *q, *k, *v, *pos;                         /* pointers */
} Attention;

/* Scores of positions p[j]..end[j]-1 in span b are in s, from s[p[j] - b] on: softmax so far and
 * weighted sum of query `j`.  y, top and sum: its running result, maximum and sum. */
static void soften(Stage *z, const Attention *n, const char *scores, const char *count,
                   const char *y, const char *max, const char *sum)
{
    Emit *e = z->e;
    const Op *o = n->o;
    double cap = op_float(o, "softcap", 0);

    if (cap > 0)
        emit(e, "for (int k = 0; k < %s; k++)\n    %s[k] = %s * %s(%s[k] / %s);\n", count, scores,
             float_c(z, cap), use(z, "sn_tanh"), scores, float_c(z, cap));
    emit(e, "top = %s(%s, %s);\n", kernel_of(z, o, "max"), scores, count);
    emit_open(e, "if (top > %s) {", max);
    emit(e, "shrink = %s(%s - top);\n", use(z, "sn_exp"), max);
    emit(e, "%s *= shrink;\n", sum);
    emit(e, "for (int k = 0; k < %" PRId64 "; k++)\n    %s[k] *= shrink;\n", n->hd, y);
    emit(e, "%s = top;\n", max);
    emit_close(e, "");
    emit(e, "%s += %s(%s, %s, %s);\n", sum, kernel_of(z, o, "exp_sum"), scores, count, max);
}

static void score_one(Stage *z, const Attention *n, const char *s, const char *t, const char *p,
                      const char *count)
{
    emit(z->e,
         "%s(%s, %s + (size_t)%s * %" PRId64 " + i, %s + (size_t)%s * %" PRId64 " + g, %" PRId64
         ", %s, %" PRId64 ", %s);\n",
         kernel_of(z, n->o, "score"), s, n->q, t, n->width, n->k, p, n->stride, n->stride, count,
         n->hd, float_c(z, op_float(n->o, "scale", 1)));
}

static void mix_one(Stage *z, const Attention *n, const char *y, const char *s, const char *p,
                    const char *count)
{
    emit(z->e, "%s(%s, %s, %s + (size_t)%s * %" PRId64 " + g, %" PRId64 ", %s, %" PRId64 ");\n",
         kernel_of(z, n->o, "mix"), y, s, n->v, p, n->v_stride, n->v_stride, count, n->hd);
}

/* Where token `t` begins to look: at its window's edge, or at the first position. */
static const char *first_position(Stage *z, const Attention *n, const char *end)
{
    return n->window ? str_printf(z->w->a, "%s > %" PRId64 " ? %s - %" PRId64 " : 0", end,
                                  n->window, end, n->window)
                     : "0";
}

/* One query after the other: spans end where a multiple of SPAN does, so that neighbouring tokens
 * have the same ones. */
static bool attend_one(Stage *z, const Attention *n, const char *y, const Tile *at)
{
    Emit *e = z->e;

    emit(e, "float %s[%" PRId64 "] = { 0 }, s[%d], max = -3.4e38f, sum = 0;\n", y, n->hd, SPAN);
    emit(e, "int end = %s[t] + 1;\n\n", n->pos);
    emit_open(e, "for (int p = %s, to; p < end; p = to) {", first_position(z, n, "end"));
    emit(e, "float top, shrink;\n\n");
    emit(e, "to = p / %d * %d + %d < end ? p / %d * %d + %d : end;\n", SPAN, SPAN, SPAN, SPAN, SPAN,
         SPAN);
    score_one(z, n, "s", "t", "p", "to - p");
    soften(z, n, "s", "to - p", y, "max", "sum");
    mix_one(z, n, y, "s", "p", "to - p");
    emit_close(e, "");
    emit(e, "for (int k = 0; k < %" PRId64 "; k++)\n    %s[k] /= sum;\n", n->hd, y);
    name_of(z, n->o->out[0])->tile = y;
    return epilogue(z, at);
}

/* Four tokens, u and on, share what they read: of each span the positions that all four look at,
 * while what only some see, at both ends, goes one by one.  Every token's sums are those of
 * attend_one. */
static bool attend_four(Stage *z, const Attention *n, const char *y, const Tile *at)
{
    Emit *e = z->e;
    const char *score4 = kernel_of(z, n->o, "score4"), *mix4 = kernel_of(z, n->o, "mix4");

    emit(e, "float %s_4[4][%" PRId64 "] = { { 0 } }, s[4][%d], max[4], sum[4] = { 0 };\n", y, n->hd,
         SPAN);
    emit(e, "int from[4], end[4];\n\n");
    emit_open(e, "for (int j = 0; j < 4; j++) {");
    emit(e, "end[j] = %s[u + j] + 1;\n", n->pos);
    emit(e, "from[j] = %s;\n", first_position(z, n, "end[j]"));
    emit(e, "max[j] = -3.4e38f;\n");
    emit_close(e, "");
    emit_open(e, "for (int b = from[0] / %d * %d; b < end[3]; b += %d) {", SPAN, SPAN, SPAN);
    emit(e,
         "int lo = from[3] > b ? from[3] : b, hi = end[0] < b + %d ? end[0] : b + %d;    /* seen "
         "by all four */\n\n",
         SPAN, SPAN);
    emit(e, "if (lo < hi)\n");
    emit(e,
         "    %s(&s[0][lo - b], %d, %s + (size_t)u * %" PRId64 " + i, %" PRId64
         ", %s + (size_t)lo * %" PRId64 " + g, %" PRId64 ", hi - lo, %" PRId64 ", %s);\n",
         score4, SPAN, n->q, n->width, n->width, n->k, n->stride, n->stride, n->hd,
         float_c(z, op_float(n->o, "scale", 1)));
    emit(e, "else\n    lo = hi = b;\n");
    emit_open(e, "for (int j = 0; j < 4; j++) {");
    emit(e, "int p = from[j] > b ? from[j] : b, to = end[j] < b + %d ? end[j] : b + %d;\n", SPAN,
         SPAN);
    emit(e, "float top, shrink;\n\n");
    emit(e, "if (p >= to)\n    continue;\n");
    emit_open(e, "if (lo == hi) {");
    score_one(z, n, "&s[j][p - b]", "(u + j)", "p", "to - p");
    emit_close(e, " else {");
    e->indent++;
    score_one(z, n, "&s[j][p - b]", "(u + j)", "p", "lo - p");
    score_one(z, n, "&s[j][hi - b]", "(u + j)", "hi", "to - hi");
    emit_close(e, "");
    soften(z, n, "(&s[j][p - b])", "to - p", str_printf(z->w->a, "%s_4[j]", y), "max[j]", "sum[j]");
    mix_one(z, n, str_printf(z->w->a, "%s_4[j]", y), "&s[j][p - b]", "p",
            "(lo < hi ? lo : to) - p");
    emit_close(e, "");
    emit_open(e, "if (lo < hi) {");
    emit(e,
         "%s(%s_4[0], %" PRId64 ", &s[0][lo - b], %d, %s + (size_t)lo * %" PRId64 " + g, %" PRId64
         ", hi - lo, %" PRId64 ");\n",
         mix4, y, n->hd, SPAN, n->v, n->v_stride, n->v_stride, n->hd);
    emit_open(e, "for (int j = 0; j < 4; j++) {");
    emit(e, "int to = end[j] < b + %d ? end[j] : b + %d;\n\n", SPAN, SPAN);
    mix_one(z, n, str_printf(z->w->a, "%s_4[j]", y), "&s[j][hi - b]", "hi", "to - hi");
    emit_close(e, "");
    emit_close(e, "");
    emit_close(e, "");
    emit_open(e, "for (int t = u; t < u + 4; t++) {");
    emit(e, "float *%s = %s_4[t - u];\n\n", y, y);
    emit(e, "for (int k = 0; k < %" PRId64 "; k++)\n    %s[k] /= sum[t - u];\n", n->hd, y);
    name_of(z, n->o->out[0])->tile = y;
    if (!epilogue(z, at))
        return false;
    emit_close(e, "");
    return true;
}

static bool attention_stage(Stage *z)
{
    Emit *e = z->e;
    const Op *o = stage_anchor(z->s);
    int64_t n_head = op_int(o, "n_head", 1), n_kv = op_int(o, "n_head_kv", 1),
            group = n_head / n_kv, tokens = op_int(z->s, "tokens", 1),
            hd = row_width(o->in[0]) / n_head;
    bool one, four = op_str(o, str_printf(z->w->a, "score4.%d", z->i_target), NULL) &&
                     op_str(o, str_printf(z->w->a, "mix4.%d", z->i_target), NULL);
    const char *rows = rows_c(z->w, z->f, o->out[0]->type.dim[0], &one),
               *y = fresh(z, o->out[0]->name);
    Attention n = { .o = o,
                    .n_head = n_head,
                    .hd = hd,
                    .width = row_width(o->in[0]),
                    .stride = row_width(o->in[1]),
                    .v_stride = row_width(o->in[2]),
                    .window = op_int(o, "window", 0),
                    .q = name_of(z, o->in[0])->base,
                    .k = name_of(z, o->in[1])->base,
                    .v = name_of(z, o->in[2])->base,
                    .pos = name_of(z, o->in[3])->base };
    Tile at = {
        .i = "i", .n = str_printf(z->w->a, "%" PRId64, hd), .t = "t", .width = hd, .n_row = n.width
    };

    emit(e, "\n");
    emit(e,
         "int h = c %% %" PRId64 ", i = h * %" PRId64
         ";    /* head, and where it begins in a row */\n",
         n_head, hd);
    if (group == 1)
        emit(e, "int g = h * %" PRId64 ";\n\n", hd);
    else
        emit(e,
             "int g = h / %" PRId64 " * %" PRId64 ";    /* where its K and V begin: %" PRId64
             " heads share them */\n\n",
             group, hd, group);
    if (one) {
        emit(e, "int t = 0;\n");
        return attend_one(z, &n, y, &at);
    }
    emit(e,
         "int u = c / %" PRId64 " * %" PRId64 ", u_end = u + %" PRId64 " < %s ? u + %" PRId64
         " : %s;\n\n",
         n_head, tokens, tokens, rows, tokens, rows);
    if (four) {
        emit_open(e, "for (; u + 4 <= u_end; u += 4) {");
        if (!attend_four(z, &n, y, &at))
            return false;
        emit_close(e, "");
        forget_tiles(z);
        y = fresh(z, o->out[0]->name);
    }
    emit_open(e, "for (int t = u; t < u_end; t++) {");
    if (!attend_one(z, &n, y, &at))
        return false;
    emit_close(e, "");
    return true;
}

/* ---- row stages ---- */

static bool row_stage(Stage *z)
{
    Emit *e = z->e;
    int64_t tokens = op_int(z->s, "tokens", 1);
    const Op *last = z->r->last->prev;
    const Value *v = last->n_out ? last->out[0] : last->in[1];
    bool one;
    const char *rows = rows_c(z->w, z->f, v->type.rank ? v->type.dim[0] : NULL, &one), *t = "t";

    emit(e, "\n");
    if (one && !strcmp(rows, "1"))
        t = "0";
    else
        emit_open(e, "for (int t = %" PRId64 " * c; t < %" PRId64 " * (c + 1) && t < %s; t++) {",
                  tokens, tokens, rows);
    for (const Op *o = z->r->first; o; o = o->next)
        if (!row_op(z, o, t))
            return false;
    if (strcmp(t, "0"))
        emit_close(e, "");
    return true;
}

/* ---- one stage ---- */

/* What the stage computes, as a formula over the names of its ops. */
static void describe(Stage *z)
{
    Arena *a = z->w->a;
    const Attr *chunks = op_attr(z->s, "chunks"), *tiles = op_attr(z->s, "tiles");
    const char *kind = op_str(z->s, "kind", "row");

    emit(z->e, "/* %s:", stage_c_name(z->w, z->f, z->s));
    for (const Op *o = z->r->first; o; o = o->next)
        if (o->kind != OP_yield)
            emit(z->e, " %s%s%s%s", op_info[o->kind].name, o->from ? " (" : "",
                 o->from ? emit_comment(a, str_of(o->from)) : "", o->from ? ")" : "");
    emit(z->e, ".\n");
    for (int i = 0; i < z->s->n_in; i++)
        if (z->r->param[i]->stands_for == VAL_result)
            emit(z->e, " *   reads  %-20s %s\n", emit_ident(a, str_of(z->r->param[i]->name)),
                 shape_c(z->w, z->r->param[i]->type));
    for (int i = 0; i < z->s->n_out; i++)
        emit(z->e, " *   writes %-20s %s\n", emit_ident(a, str_of(z->s->out[i]->name)),
             shape_c(z->w, z->s->out[i]->type));
    if (chunks) {
        emit(z->e, " * Chunks:");
        for (int i = 0; i < chunks->n_ints; i++)
            emit(z->e, "%s %" PRId64 " of %" PRId64 " tile%s of 32 outputs", i ? "," : "",
                 chunks->ints[i], tiles->ints[i], tiles->ints[i] == 1 ? "" : "s");
        emit(z->e, ", each for all tokens of the call. */\n");
    } else if (!strcmp(kind, "attention"))
        emit(z->e, " * A chunk is one head and %" PRId64 " token%s. */\n",
             op_int(z->s, "tokens", 1), op_int(z->s, "tokens", 1) == 1 ? "" : "s");
    else
        emit(z->e, " * A chunk is %" PRId64 " token%s. */\n", op_int(z->s, "tokens", 1),
             op_int(z->s, "tokens", 1) == 1 ? "" : "s");
}

static bool mentions(const char *text, const char *word)
{
    size_t n = strlen(word);

    for (const char *at = text; (at = strstr(at, word)); at += n) {
        char before = at == text ? ' ' : at[-1], after = at[n];

        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_", before) &&
            !strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_", after))
            return true;
    }
    return false;
}

/* Stage functions printed so far, by what is in their braces. */
typedef struct {
    const char **body, **name;
    int n;
} Printed;

static bool write_stage(Writer *w, int i_target, const KernelUnit *unit, bool *wanted, Emit *out,
                        const Func *f, const Op *s, Printed *printed, const char **name)
{
    Emit body = emit_new(w->a);
    Stage z = { .w = w,
                .e = &body,
                .f = f,
                .s = s,
                .r = s->region[0],
                .i_target = i_target,
                .unit = unit,
                .wanted = wanted };
    const ArgsType *args = args_of(w, f);
    const char *kind = op_str(s, "kind", "row"), *text;
    int n = s->n_in + 8, n_op = 0, n_void = 0;
    bool ok;

    for (const Op *o = z.r->first; o; o = o->next, n_op++)
        n += o->n_in + o->n_out;
    z.name = ARENA_ARRAY(w->a, Name, n);
    z.taken = ARENA_ARRAY(w->a, const char *, 8 * n + 64);
    body.indent = 1;
    for (const char *const *k =
             (const char *const[]){ "args", "top",  "shrink", "sum", "max", "end", "pos_",
                                    "cos",  "sin",  "a",      "b",   "h",   "g",   "j",
                                    "k",    "s",    "t",      "u",   "lo",  "hi",  "to",
                                    "p",    "from", "u_end",  "n_t", NULL };
         *k; k++)
        z.taken[z.n_taken++] = *k;
    for (int i = 0; i < z.r->n_param; i++)
        bind_param(&z, i);
    for (int i = 0; i < s->n_out; i++)
        bind_result(&z, i);
    ok = !strcmp(kind, "contract")    ? contract_stage(&z)
         : !strcmp(kind, "attention") ? attention_stage(&z)
                                      : row_stage(&z);
    if (!ok)
        return false;
    text = str_printf(w->a, "%s%s", args ? args->type : "", buf_z(&body.b));
    for (int i = 0; i < printed->n; i++)
        if (!strcmp(printed->body[i],
                    text)) { /* kinds of layers often differ in some stages only */
            *name = printed->name[i];
            return true;
        }
    *name = stage_c_name(w, f, s);
    printed->body[printed->n] = text;
    printed->name[printed->n++] = *name;
    text = buf_z(&body.b);
    z.e = out;
    describe(&z);
    emit(out,
         "static void %s(const %s_Run *r, const void *layer, %s_Worker *me, int c, int count, "
         "const uint8_t *next)\n{\n",
         *name, w->name, w->name);
    for (const char *const *p =
             (const char *const[]){ "r", "layer", "me", "c", "count", "next", NULL };
         *p; p++)
        if (!(mentions(text, *p) || (!strcmp(*p, "layer") && args && mentions(text, "args")))) {
            emit(out, "%s(void)%s", n_void ? ", " : "    ", *p);
            n_void++;
        }
    if (n_void)
        emit(out, ";\n");
    if (args && mentions(text, "args"))
        emit(out, "    const %s *args = (const %s *)layer;\n", args->type, args->type);
    buf_put(&out->b, text, strlen(text));
    emit(out, "}\n\n");
    return true;
}

void write_stages(Writer *w, int i_target, Buf *c, Buf *kernels)
{
    Emit e = emit_new(w->a);
    const KernelUnit *unit = kernel_unit(w->isa[i_target][0]);
    bool *wanted;
    Printed printed = { 0 };
    const char **name;
    int n = 0;

    if (!unit)
        bug("there is no kernel library for '%s'", w->isa[i_target][0]);
    wanted = ARENA_ARRAY(w->a, bool, unit->n_entities + 1);
    for (const Func *f = w->m->first_func; f; f = f->next)
        for (const Op *o = f->body->first; o; o = o->next)
            n += o->kind == OP_fused;
    name = ARENA_ARRAY(w->a, const char *, n + 1);
    printed.body = ARENA_ARRAY(w->a, const char *, n + 1);
    printed.name = ARENA_ARRAY(w->a, const char *, n + 1);
    n = 0;
    emit(&e, "/* Stages of %s for %s.  Compiled with this target's flags; nothing else is. */\n",
         w->name, w->target[i_target]);
    emit(&e, "#include \"%s_internal.h\"\n#include \"kernels_%s.h\"\n\n", w->name,
         w->target[i_target]);
    for (const Func *f = w->m->first_func; f; f = f->next)
        for (const Op *o = f->body->first; o; o = o->next)
            if (o->kind == OP_fused &&
                !write_stage(w, i_target, unit, wanted, &e, f, o, &printed, &name[n++]))
                return;
    emit(&e, "const %s_Stages %s_stages_%s = {\n", w->name, w->name, w->target[i_target]);
    n = 0;
    for (const Func *f = w->m->first_func; f; f = f->next)
        for (const Op *o = f->body->first; o; o = o->next)
            if (o->kind == OP_fused) {
                const char *own = stage_c_name(w, f, o), *used = name[n++];

                if (strcmp(own, used))
                    emit(&e, "    %s,    /* %s is the same */\n", used, own);
                else
                    emit(&e, "    %s,\n", own);
            }
    emit(&e, "};\n");
    buf_put(c, e.b.p, e.b.n);
    buf_printf(kernels,
               "/* The micro-kernels that %s uses on %s. */\n#ifndef %s_KERNELS_%s_H\n#define "
               "%s_KERNELS_%s_H\n\n",
               w->name, w->target[i_target], w->name, w->target[i_target], w->name,
               w->target[i_target]);
    kernel_emit(kernels, unit, wanted);
    buf_puts(kernels, "\n#endif\n");
}
