/* Contractions in C: tiles of packed rows times one token or four, with the prologue before and the epilogue behind. */
#include "codegen/stage.h"

static const char *x_pointer(Stage *z, const Value *x, const char *t)
{
    Name *n = name_of(z, x);

    if (n->row)
        return n->row;
    return !strcmp(t, "0")
               ? n->base
               : str_printf(z->w->a, "%s + (size_t)%s * %" PRId64, n->base, t, row_width(x));
}

/* The results of contraction o on the tiles that begin at `tile`, for one token: acc[0..width).
 * `next`: what is read after them. */
static void one_token(Stage *z, const Op *o, const char *acc, const char *tile, const char *next,
                      int64_t n_in, const Tile *at)
{
    const char *dot = kernel_of(z, o, "dot"), *x = x_pointer(z, o->in[0], "0");
    uint64_t stride = o->in[1]->tile_stride;

    if (is_two_stage(o))
        head_tile(z, o, acc, tile, next, x, n_in, at);
    else if (at->width == TILE_ROWS)
        emit(z->e, "%s(%s, %s, %s, %" PRId64 ", %s);\n", dot, acc, tile, x, n_in, next);
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
        to = fresh_name(z, "of_tile");
        from = fresh_name(z, str_printf(z->w->a, "%s_j", tile));
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
    const char *acc[MAX_ANCHORS], *tile[MAX_ANCHORS], *all[MAX_ANCHORS];
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

        acc[k] = fresh_name(z, mm[k]->out[0]->name);
        tile[k] = fresh_name(z, str_printf(a, "%s_tile", mm[k]->out[0]->name));
        emit(e, "const uint8_t *%s = %s + (size_t)(i / 32) * %" PRIu64 ";\n", tile[k],
             name_of(z, w)->base, w->tile_stride);
    }
    if (one) {
        at.t = "0";
        for (int k = 0; k < n; k++)
            emit(e, "float %s[%" PRId64 "];\n", acc[k], width);
        emit(e, "\n");
        for (int k = 0; k < n; k++) {
            one_token(z, mm[k], acc[k], tile[k],
                      k + 1 < n ? tile[k + 1]
                                : str_printf(a, "%s + %" PRIu64, tile[0], mm[0]->in[1]->tile_stride),
                      n_in, &at);
            name_of(z, mm[k]->out[0])->tile = acc[k];
        }
        if (!epilogue(z, &at))
            return false;
    } else if (op_takes_panels(mm[0])) {
        if (!many_tokens(z, mm, n, g, tile, rows, &at))
            return false;
    } else {
        at.t = "t";
        emit_open(e, "for (int u = 0; u < %s; u += 4) {", rows);
        for (int k = 0; k < n; k++)
            emit(e, "float %s[4 * %" PRId64 "];\n", all[k] = str_printf(a, "%s_4", acc[k]), width);
        emit(e, "int n_t = %s - u < 4 ? %s - u : 4;\n\n", rows, rows);
        for (int k = 0; k < n; k++)
            four_tokens(z, mm[k], all[k], tile[k], n_in, &at);
        block_maps(z, mm, all, n, &at);
        emit_open(e, "for (int t = u; t < u + n_t; t++) {");
        block_tiles(z, mm, acc, all, n, &at);
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

bool contract_stage(Stage *z)
{
    Emit *e = z->e;
    int n_group = stage_n_groups(z->s);
    const Attr *chunks = op_attr(z->s, "chunks");
    const Op *head = NULL;
    bool any = false;
    int64_t sum = 0;

    for (const Op *o = z->r->first; o;
         o = o->next) /* pointers of the prologue's rows are needed by every chunk */
        if (stage_is_prologue(z->s, o) && o->kind == OP_last_rows && !name_of(z, o->out[0])->base) {
            if (!row_op(z, o, "0")) /* prints nothing: it is another name for a row */
                return false;
        } else if (stage_is_prologue(z->s, o)) {
            Name *y = name_of(z, o->out[0]);

            y->row = fresh_name(z, o->out[0]->name);
            emit(e, "%s *%s = (%s *)(me->scratch + %" PRId64 ");    /* %s, this thread's own */\n",
                 c_type(o->out[0]->type.fmt), y->row, c_type(o->out[0]->type.fmt),
                 op_int(o, "scratch", 0), shape_c(z->w, o->out[0]->type));
            any = true;
        }
    for (const Op *o = z->r->first; o; o = o->next)
        if (is_two_stage(o)) {
            head_begin(z, o);
            head = o;
        }
    emit(e, "\n");
    if (any || head) {
        emit_open(e, "if (count == 1) {");
        for (const Op *o = z->r->first; o; o = o->next)
            if (stage_is_prologue(z->s, o) && o->kind != OP_last_rows && !row_op(z, o, "0"))
                return false;
        if (head)
            head_prologue(z, head, x_pointer(z, head->in[0], "0"), inner_width(head->in[0]));
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
