/* Whole rows in C: the ops of row stages, and of the prologues of contractions. */
#include "codegen/stage.h"

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
const char *expand_op(Stage *z, const Op *o, const char *const *operand)
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

            buf_puts(&b, use_kernel(z, str_z(z->w->a, (Str){ c, n })));
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

void rope_heads(Stage *z, const Op *o, const char *to, const char *from, const char *cs,
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
    emit(e, "%s[u + %s] = a * %s[2 * k] + b * %s(%s[2 * k + 1]);\n", to, i, cs, use_kernel(z, "sn_minus"), cs);
    emit(e, "%s[u + %s] = b * %s[2 * k] + a * %s[2 * k + 1];\n", to, j, cs, cs);
    emit_close(e, "");
    if (n_rot < hd)
        emit(e, "for (int k = %" PRId64 "; k < %" PRId64 "; k++)\n    %s[u + k] = %s[u + k];\n",
             n_rot, hd, to, from);
    emit_close(e, "");
}

bool row_op(Stage *z, const Op *o, const char *t)
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
        const char *name = fresh_name(z, v->name);

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
             use_kernel(z, "sn_sincos"), number_of(z, o->in[0], t), name_of(z, o->in[1])->base, to, to);
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
    case OP_quant: {
        int block = v->type.fmt->block, step = block / BLOCK_Q8;

        if (format_is_i8(v->type.fmt)) {
            int64_t group = v->type.fmt->block, n_in = inner_width(v);

            emit(e, "for (int k = 0; k < %" PRId64 "; k++)\n    %s(%s + %" PRId64 " * k, (SnI8Scale *)(void *)(%s + %" PRId64
                    ") + k, %s + %" PRId64 " * k, %" PRId64 ");\n", n_in / group, kernel_of(z, o, "quant"), to, group, to, n_in,
                 from, group, group);
            return true;
        }
        if (step == 1)
            emit(e, "for (int k = 0; k < %" PRId64 "; k++)\n    %s(%s + k, %s + %d * k);\n", n,
                 kernel_of(z, o, "quant"), to, from, block);
        else
            emit(e, "for (int k = 0; k < %" PRId64 "; k++)\n    %s(%s + %d * k, %s + %d * k);\n", n / step,
                 kernel_of(z, o, "quant"), to, step, from, block);
        return true;
    }
    case OP_convert: {
        const char *read = plain_read(o->in[0]->type.fmt), *write = plain_write(v->type.fmt);

        if (!read || !write)
            return cannot_write(z, o);
        emit(e, "for (int k = 0; k < %" PRId64 "; k++)\n    %s[k] = %s(%s(%s[k]));\n", n, to,
             *write ? use_kernel(z, write) : "", *read ? use_kernel(z, read) : "", from);
        return true;
    }
    case OP_reshape:
        emit(e, "for (int k = 0; k < %" PRId64 "; k++)\n    %s[k] = %s[k];\n", n, to, from);
        return true;
    case OP_slice: {
        const Value *x = o->in[0];

        if (op_int(o, "axis", 0) != x->type.rank - 1 || x->type.rank != 2)
            return cannot_write(z, o);
        emit(e, "for (int k = 0; k < %" PRId64 "; k++)\n    %s[k] = %s[%" PRId64 " + k];\n", n, to,
             from, op_int(o, "begin", 0));
        return true;
    }
    case OP_dequant:
        if (plain_read(o->in[0]->type.fmt)) {
            const char *read = plain_read(o->in[0]->type.fmt);

            emit(e, "for (int k = 0; k < %" PRId64 "; k++)\n    %s[k] = %s(%s[k]);\n", n, to,
                 *read ? use_kernel(z, read) : "", from);
            return true;
        }
        if (format_is_i8(o->in[0]->type.fmt))
            return cannot_write(z, o);
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
                 expand_op(z, o, operand));
            return true;
        }
        return cannot_write(z, o);
    }
}

/* ---- row stages ---- */

bool row_stage(Stage *z)
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
