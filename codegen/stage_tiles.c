/* Epilogues in C: what follows a contraction or an attention is computed on the tile of results that lies in a local array.
 * Elementwise ops are composed into one expression; where an op needs a whole array, the expression so far is stored first. */
#include "codegen/stage.h"

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
        const char *expr = tile_expr(z, v, at), *name = fresh_name(z, v->name);

        emit(z->e, "float %s[%" PRId64 "];\n\n", name, at->width);
        emit(z->e, "for (int k = 0; k < %s; k++)\n    %s[k] = %s;\n", at->n, name, expr);
        n->tile = name;
    }
    return n->tile;
}

static void tile_rope(Stage *z, const Op *o, const Tile *at)
{
    Emit *e = z->e;
    const char *x = tile_array(z, o->in[0], at), *y = fresh_name(z, o->out[0]->name),
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

/* An elementwise op of one operand that this target has a kernel for. */
static void tile_map(Stage *z, const Op *o, const Tile *at)
{
    const char *x = tile_array(z, o->in[0], at), *y = fresh_name(z, o->out[0]->name);

    emit(z->e, "float %s[%" PRId64 "];\n\n", y, at->width);
    emit(z->e, "%s(%s, %s, %s);\n", kernel_of(z, o, "map"), y, x, at->n);
    name_of(z, o->out[0])->tile = y;
}

static bool tile_op(Stage *z, const Op *o, const Tile *at)
{
    Emit *e = z->e;

    if (op_str(o, str_printf(z->w->a, "map.%d", z->i_target), NULL)) {
        if (!name_of(z, o->out[0])->tile)
            tile_map(z, o, at);
        return true;
    }
    if (op_is_elementwise(o)) {
        const char *operand[2] = { "", "" };

        for (int i = 0; i < o->n_in && i < 2; i++)
            operand[i] = is_atom(tile_expr(z, o->in[i], at)) || op_info[o->kind].c_expr[0] == 's'
                             ? tile_expr(z, o->in[i],
                                         at) /* an argument of sn_...() is in parentheses already */
                             : str_printf(z->w->a, "(%s)", tile_expr(z, o->in[i], at));
        name_of(z, o->out[0])->expr = expand_op(z, o, operand);
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
        const char *x = tile_array(z, o->in[0], at), *y = fresh_name(z, o->out[0]->name);
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
        return cannot_write(z, o);
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
bool epilogue(Stage *z, const Tile *at)
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

void block_maps(Stage *z, const Op *const *mm, const char *const *all, int n, const Tile *at)
{
    if (strcmp(at->n, str_printf(z->w->a, "%" PRId64, at->width)) != 0)
        return; /* what is behind the last row was not computed */
    for (int k = 0; k < n; k++)
        for (const Op *o = z->r->first; o; o = o->next) {
            const char *block;

            if (!o->n_in || o->in[0] != mm[k]->out[0] || !op_str(o, str_printf(z->w->a, "map.%d", z->i_target), NULL))
                continue;
            block = fresh_name(z, str_printf(z->w->a, "%s_4", o->out[0]->name));
            emit(z->e, "float %s[4 * %" PRId64 "];\n\n", block, at->width);
            emit(z->e, "%s(%s, %s, %" PRId64 " * n_t);\n", kernel_of(z, o, "map"), block, all[k], at->width);
            name_of(z, o->out[0])->block = block;
        }
}

/* Has everything that reads v gone through the block? */
static bool block_has_read(Stage *z, const Value *v)
{
    for (const Op *o = z->r->first; o; o = o->next)
        for (int i = 0; i < o->n_in; i++)
            if (o->in[i] == v && (!o->n_out || !name_of(z, o->out[0])->block))
                return false;
    return true;
}

static const char *block_tile(Stage *z, const char *tile, const char *block, const Tile *at)
{
    emit(z->e, "const float *%s = %s + %" PRId64 " * (t - u);\n", tile, block, at->width);
    return tile;
}

void block_tiles(Stage *z, const Op *const *mm, const char *const *acc, const char *const *all, int n, const Tile *at)
{
    for (int k = 0; k < n; k++)
        if (!block_has_read(z, mm[k]->out[0]))
            name_of(z, mm[k]->out[0])->tile = block_tile(z, acc[k], all[k], at);
    for (const Op *o = z->r->first; o; o = o->next)
        if (o->n_out && name_of(z, o->out[0])->block)
            name_of(z, o->out[0])->tile = block_tile(z, fresh_name(z, o->out[0]->name), name_of(z, o->out[0])->block, at);
}

void forget_tiles(Stage *z)
{
    for (int i = 0; i < z->n_name; i++)
        z->name[i].tile = z->name[i].expr = z->name[i].block = NULL;
}
