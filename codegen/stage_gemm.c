/* Contractions over many tokens in C: a tile of packed rows is unpacked into a panel of 8-bit codes once, then tokens pass in blocks.
 *
 *     for each tile (or as many as hold whole heads) of the chunk
 *         unpack the tiles of all contractions that are computed together, into this thread's scratch
 *         for each block of tokens
 *             gemm: 32 rows x the block's tokens, all columns, into a local array
 *             for each token: the epilogue
 *         gemm_end, where the kernels have one */
#include "codegen/stage.h"

/* "for (int j = 0; j < n; j += 32)" where the epilogue works on several tiles, nothing where it is one. */
static const char *each_tile(Stage *z, const Tile *at)
{
    return at->width == TILE_ROWS ? "" : str_printf(z->w->a, "for (int j = 0; j < %s; j += 32)\n    ", at->n);
}

static const char *of_tile(Stage *z, const Tile *at, const char *base, uint64_t bytes)
{
    return at->width == TILE_ROWS ? base : str_printf(z->w->a, "%s + (size_t)(j / 32) * %" PRIu64, base, bytes);
}

bool many_tokens(Stage *z, const Op *const *mm, int n, int g, const char *const *tile, const char *rows, Tile *at)
{
    Emit *e = z->e;
    const char *panel[MAX_ANCHORS], *all[MAX_ANCHORS];
    int64_t tokens = op_attr(z->s, "tokens")->ints[g];

    for (int k = 0; k < n; k++) {
        panel[k] = fresh_name(z, str_printf(z->w->a, "%s_panel", mm[k]->out[0]->name));
        all[k] = fresh_name(z, str_printf(z->w->a, "%s_all", mm[k]->out[0]->name));
        emit(e, "uint8_t *%s = me->scratch + %" PRId64 ";\n", panel[k], op_int(mm[k], "scratch", 0));
    }
    emit(e, "\n");
    for (int k = 0; k < n; k++) {
        const Value *w = mm[k]->in[1];

        emit(e, "%s%s(%s, %s, %" PRId64 ", %d);\n", each_tile(z, at), kernel_of(z, mm[k], "unpack"),
             of_tile(z, at, panel[k], op_panel_bytes(mm[k])), of_tile(z, at, tile[k], w->tile_stride),
             inner_width(mm[k]->in[0]), mm[k]->in[0]->type.fmt->block);
    }
    emit_open(e, "for (int u = 0; u < %s; u += %" PRId64 ") {", rows, tokens);
    for (int k = 0; k < n; k++)
        emit(e, "float %s[%" PRId64 " * %" PRId64 "];\n", all[k], tokens, at->width);
    emit(e, "int n_t = %s - u < %" PRId64 " ? %s - u : %" PRId64 ";\n\n", rows, tokens, rows, tokens);
    for (int k = 0; k < n; k++) {
        const Value *x = mm[k]->in[0];

        emit(e, "%s%s(%s%s, %" PRId64 ", %s, %s + (size_t)u * %" PRId64 ", %" PRId64 ", %" PRId64 ", %d, n_t);\n",
             each_tile(z, at), kernel_of(z, mm[k], "gemm"), all[k], at->width == TILE_ROWS ? "" : " + j", at->width,
             of_tile(z, at, panel[k], op_panel_bytes(mm[k])), name_of(z, x)->base, row_width(x), row_width(x), inner_width(x),
             x->type.fmt->block);
    }
    at->t = "t";
    emit_open(e, "for (int t = u; t < u + n_t; t++) {");
    for (int k = 0; k < n; k++) {
        const char *acc = fresh_name(z, mm[k]->out[0]->name);

        emit(e, "const float *%s = %s + %" PRId64 " * (t - u);\n", acc, all[k], at->width);
        name_of(z, mm[k]->out[0])->tile = acc;
    }
    emit(e, "\n");
    if (!epilogue(z, at))
        return false;
    emit_close(e, "");
    emit_close(e, "");
    if (op_str(mm[0], str_printf(z->w->a, "gemm_end.%d", z->i_target), NULL))
        emit(e, "%s();\n", kernel_of(z, mm[0], "gemm_end"));
    return true;
}
