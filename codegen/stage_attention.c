/* Attention in C: a head and one token or some, over the cache in spans, with a running maximum and sum. */
#include "codegen/stage.h"

/* Cache positions whose scores are held at a time: fixed pieces, whatever the number of threads. */
enum { SPAN = 128 };

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
             float_c(z, cap), use_kernel(z, "sn_tanh"), scores, float_c(z, cap));
    emit(e, "top = %s(%s, %s);\n", kernel_of(z, o, "max"), scores, count);
    emit_open(e, "if (top > %s) {", max);
    emit(e, "shrink = %s(%s - top);\n", use_kernel(z, "sn_exp"), max);
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

bool attention_stage(Stage *z)
{
    Emit *e = z->e;
    const Op *o = stage_anchor(z->s);
    int64_t n_head = op_int(o, "n_head", 1), n_kv = op_int(o, "n_head_kv", 1),
            group = n_head / n_kv, tokens = op_int(z->s, "tokens", 1),
            hd = row_width(o->in[0]) / n_head;
    bool one, four = op_str(o, str_printf(z->w->a, "score4.%d", z->i_target), NULL) &&
                     op_str(o, str_printf(z->w->a, "mix4.%d", z->i_target), NULL);
    const char *rows = rows_c(z->w, z->f, o->out[0]->type.dim[0], &one),
               *y = fresh_name(z, o->out[0]->name);
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
        y = fresh_name(z, o->out[0]->name);
    }
    emit_open(e, "for (int t = u; t < u_end; t++) {");
    if (!attend_one(z, &n, y, &at))
        return false;
    emit_close(e, "");
    return true;
}
