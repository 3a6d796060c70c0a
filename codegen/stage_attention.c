/* Attention in C: some queries over the cache in spans, with a running maximum and sum.
 *
 * Queries that look at the same K and V go together, where the target has kernels for that: the heads of a group when one
 * token is decoded, up to 32 tokens of one head when a prompt is read.  Spans end where a multiple of the target's span does, so that
 * neighbouring tokens have the same ones, and each query's sums are those that it has alone. */
#include "codegen/stage.h"

enum {
    TOGETHER = 4,           /* queries whose sums over V are made together */
    SCORED = 32             /* most queries that share the scores' reads of K */
};

/* What an attention stage is printed from. */
typedef struct {
    const Op *o;
    int64_t n_head, hd, width, stride, v_stride, window; /* width: of a row of q and of y */
    int64_t together;                                    /* tokens of a prompt that go through a span together */
    int span;   /* cache positions whose scores are held at a time: fixed pieces, whatever the number of threads */
    const char *q, *k, *v, *pos;                         /* pointers */
} Attention;

/* Scores of `count` positions are in `scores`: softmax so far of a query whose running result, maximum and sum are y, max
 * and sum. */
static void soften(Stage *z, const Attention *n, const char *scores, const char *count, const char *y, const char *max,
                   const char *sum)
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

static void score_one(Stage *z, const Attention *n, const char *s, const char *t, const char *p, const char *count)
{
    emit(z->e,
         "%s(%s, %s + (size_t)%s * %" PRId64 " + i, %s + (size_t)%s * %" PRId64 " + g, %" PRId64
         ", %s, %" PRId64 ", %s);\n",
         kernel_of(z, n->o, "score"), s, n->q, t, n->width, n->k, p, n->stride, n->stride, count,
         n->hd, float_c(z, op_float(n->o, "scale", 1)));
}

static void mix_one(Stage *z, const Attention *n, const char *y, const char *s, const char *p, const char *count)
{
    emit(z->e, "%s(%s, %s, %s + (size_t)%s * %" PRId64 " + g, %" PRId64 ", %s, %" PRId64 ");\n",
         kernel_of(z, n->o, "mix"), y, s, n->v, p, n->v_stride, n->v_stride, count, n->hd);
}

/* The same for n queries, the first of which begins at q and the next ones q_stride further on. */
static void score_some(Stage *z, const Attention *n, const char *s, const char *q, int64_t q_stride, const char *p,
                       const char *count)
{
    emit(z->e,
         "%s(%s, %d, %s + %s, %" PRId64 ", n, %s + (size_t)%s * %" PRId64 " + g, %" PRId64
         ", %s, %" PRId64 ", %s);\n",
         kernel_of(z, n->o, "score4"), s, n->span, n->q, q, q_stride, n->k, p, n->stride, n->stride,
         count, n->hd, float_c(z, op_float(n->o, "scale", 1)));
}

static void mix_some(Stage *z, const Attention *n, const char *y, const char *s, const char *n_q, const char *p, const char *count)
{
    emit(z->e,
         "%s(%s, %" PRId64 ", %s, %d, %s, %s + (size_t)%s * %" PRId64 " + g, %" PRId64
         ", %s, %" PRId64 ");\n",
         kernel_of(z, n->o, "mix4"), y, n->hd, s, n->span, n_q, n->v, p, n->v_stride, n->v_stride, count,
         n->hd);
}

/* Where a token that sees the positions before `end` begins to look: at its window's edge, or at the first position. */
static const char *first_position(Stage *z, const Attention *n, const char *end)
{
    return n->window ? str_printf(z->w->a, "%s > %" PRId64 " ? %s - %" PRId64 " : 0", end,
                                  n->window, end, n->window)
                     : "0";
}

/* The running results of so many queries. */
static void declare_some(Stage *z, const Attention *n, const char *y, int64_t most)
{
    emit(z->e, "float %s_all[%" PRId64 "][%" PRId64 "] = { { 0 } }, s[%" PRId64 "][%d];\n", y, most,
         n->hd, most, n->span);
    emit(z->e, "float max[%" PRId64 "], sum[%" PRId64 "] = { 0 };\n", most, most);
}

/* Divides by the sum, and what comes behind attention. */
static bool finish(Stage *z, const Attention *n, const char *y, const char *sum, const Tile *at)
{
    emit(z->e, "for (int k = 0; k < %" PRId64 "; k++)\n    %s[k] /= %s;\n", n->hd, y, sum);
    name_of(z, n->o->out[0])->tile = y;
    return epilogue(z, at);
}

/* The query at i of token t. */
static bool attend_one(Stage *z, const Attention *n, const char *y, const Tile *at)
{
    Emit *e = z->e;

    emit(e, "float %s[%" PRId64 "] = { 0 }, s[%d], max = -3.4e38f, sum = 0;\n", y, n->hd, n->span);
    emit(e, "int end = %s[t] + 1;\n\n", n->pos);
    emit_open(e, "for (int p = %s, to; p < end; p = to) {", first_position(z, n, "end"));
    emit(e, "float top, shrink;\n\n");
    emit(e, "to = p / %d * %d + %d < end ? p / %d * %d + %d : end;\n", n->span, n->span, n->span, n->span, n->span,
         n->span);
    score_one(z, n, "s", "t", "p", "to - p");
    soften(z, n, "s", "to - p", y, "max", "sum");
    mix_one(z, n, y, "s", "p", "to - p");
    emit_close(e, "");
    return finish(z, n, y, "sum", at);
}

/* The n heads from h on, of token t: they look at the same positions of one head of K and V. */
static bool attend_heads(Stage *z, const Attention *n, const char *y, const Tile *at)
{
    Emit *e = z->e;
    const char *y_j = str_printf(z->w->a, "%s_all[j]", y);

    declare_some(z, n, y, stage_most_heads(z->s));
    emit(e, "int end = %s[t] + 1;\n\n", n->pos);
    emit(e, "for (int j = 0; j < n; j++)\n    max[j] = -3.4e38f;\n");
    emit_open(e, "for (int p = %s, to; p < end; p = to) {", first_position(z, n, "end"));
    emit(e, "to = p / %d * %d + %d < end ? p / %d * %d + %d : end;\n", n->span, n->span, n->span, n->span, n->span,
         n->span);
    score_some(z, n, "s[0]",
               str_printf(z->w->a, "(size_t)t * %" PRId64 " + h * %" PRId64, n->width, n->hd),
               n->hd, "p", "to - p");
    emit_open(e, "for (int j = 0; j < n; j++) {");
    emit(e, "float top, shrink;\n\n");
    soften(z, n, "s[j]", "to - p", y_j, "max[j]", "sum[j]");
    emit_close(e, "");
    mix_some(z, n, str_printf(z->w->a, "%s_all[0]", y), "s[0]", "n", "p", "to - p");
    emit_close(e, "");
    emit_open(e, "for (int j = 0; j < n; j++) {");
    emit(e, "float *%s = %s_all[j];\nint i = (h + j) * %" PRId64 ";\n\n", y, y, n->hd);
    if (!finish(z, n, y, "sum[j]", at))
        return false;
    emit_close(e, "");
    return true;
}

/* The query at i of the n tokens from u on, at most n->together.  They share the scores of every position that one of them sees (some
 * too many are not looked at).  Four by four they share the sums over those that all four see; what only some see, at both ends of
 * their range, is added one by one. */
static bool attend_tokens(Stage *z, const Attention *n, const char *y, const Tile *at)
{
    Emit *e = z->e;
    Arena *a = z->w->a;
    const char *y_j = str_printf(a, "%s_all[j]", y), *lo = n->window ? "lo" : "b",
               *p = n->window ? "p" : "b", *all = n->window ? "all" : "b", *s_j;

    s_j = n->window ? "(&s[j][p - lo])" : "s[j]";
    declare_some(z, n, y, n->together);
    emit(e, n->window ? "int from[%" PRId64 "], end[%" PRId64 "];\n\n" : "int end[%" PRId64 "];\n\n", n->together, n->together);
    emit_open(e, "for (int j = 0; j < n; j++) {");
    emit(e, "end[j] = %s[u + j] + 1;\n", n->pos);
    if (n->window)
        emit(e, "from[j] = %s;\n", first_position(z, n, "end[j]"));
    emit(e, "max[j] = -3.4e38f;\n");
    emit_close(e, "");
    emit_open(e, "for (int b = %s; b < end[n - 1]; b += %d) {",
              n->window ? str_printf(a, "from[0] / %d * %d", n->span, n->span) : "0", n->span);
    if (n->window)
        emit(e, "int lo = from[0] > b ? from[0] : b;\n");
    emit(e, "int hi = end[n - 1] < b + %d ? end[n - 1] : b + %d;\n\n", n->span, n->span);
    score_some(z, n, "s[0]", str_printf(a, "(size_t)u * %" PRId64 " + i", n->width), n->width, lo,
               str_printf(a, "hi - %s", lo));
    emit_open(e, "for (int j = 0; j < n; j++) {");
    if (n->window)
        emit(e, "int p = from[j] > b ? from[j] : b;\n");
    emit(e, "int to = end[j] < hi ? end[j] : hi;\n");
    emit(e, "float top, shrink;\n\n");
    emit(e, "if (%s >= to)\n    continue;\n", p);
    soften(z, n, s_j, str_printf(a, "to - %s", p), y_j, "max[j]", "sum[j]");
    emit_close(e, "");
    emit_open(e, "for (int f = 0; f < n; f += %d) {", TOGETHER);
    emit(e, "int four = n - f < %d ? n - f : %d;\n", TOGETHER, TOGETHER);
    if (n->window)
        emit(e, "int all = from[f + four - 1] > b ? from[f + four - 1] : b;\n");
    emit(e, "int all_to = end[f] < hi ? end[f] : hi;    /* all four see %s .. all_to - 1 */\n\n", all);
    if (n->window) {
        emit_open(e, "for (int j = f; j < f + four; j++) {");
        emit(e, "int p = from[j] > b ? from[j] : b;\n");
        emit(e, "int to = end[j] < hi ? end[j] : hi;\n\n");
        emit(e, "if (all < all_to)\n    to = all;\n");
        emit(e, "if (p < to)\n    ");
        mix_one(z, n, y_j, "&s[j][p - lo]", "p", "to - p");
        emit_close(e, "");
    }
    emit(e, "if (%s < all_to)\n    ", all);
    mix_some(z, n, str_printf(a, "%s_all[f]", y), n->window ? "&s[f][all - lo]" : "s[f]", "four", all,
             str_printf(a, "all_to - %s", all));
    if (n->window)
        emit(e, "else\n    continue;\n");
    else
        emit(e, "else\n    all_to = b;\n");
    emit_open(e, "for (int j = f; j < f + four; j++) {");
    emit(e, "int to = end[j] < hi ? end[j] : hi;\n\n");
    emit(e, "if (to > all_to)\n    ");
    mix_one(z, n, y_j, str_printf(a, "&s[j][all_to - %s]", lo), "all_to", "to - all_to");
    emit_close(e, "");
    emit_close(e, "");
    emit_close(e, "");
    emit_open(e, "for (int j = 0; j < n; j++) {");
    emit(e, "float *%s = %s_all[j];\nint t = u + j;\n\n", y, y);
    if (!finish(z, n, y, "sum[j]", at))
        return false;
    emit_close(e, "");
    return true;
}

/* Whether this target computes several queries at a time. */
static bool has_some(const Stage *z, const Op *o)
{
    return op_str(o, str_printf(z->w->a, "score4.%d", z->i_target), NULL) &&
           op_str(o, str_printf(z->w->a, "mix4.%d", z->i_target), NULL);
}

/* One token. */
static bool decode_attention(Stage *z, const Attention *n, const char *y, const Tile *at, int64_t group)
{
    Emit *e = z->e;
    bool some = stage_most_heads(z->s) > 1;
    const char *h = "c";

    if (some) {
        emit(e, "int n = %s, h = c * n;    /* heads of this chunk, the first of them */\n", heads_c(z->w, z->s));
        h = "h";
    }
    emit(e, "int t = 0, g = %s%s * %" PRId64 ";    /* where their K and V begin */\n", h,
         group > 1 ? str_printf(z->w->a, " / %" PRId64, group) : "", n->hd);
    if (some && has_some(z, n->o))
        return attend_heads(z, n, y, at);
    if (some)
        emit_open(e, "\nfor (int j = 0; j < n; j++) {");
    emit(e, "int i = %s * %" PRId64 ";    /* where its head begins in a row */\n", some ? "(h + j)" : "c", n->hd);
    if (!attend_one(z, n, y, at))
        return false;
    if (some)
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
    bool one;
    const char *rows = rows_c(z->w, z->f, o->out[0]->type.dim[0], &one),
               *y = fresh_name(z, o->out[0]->name);
    Attention n = { .o = o,
                    .n_head = n_head,
                    .hd = hd,
                    .width = row_width(o->in[0]),
                    .stride = row_width(o->in[1]),
                    .v_stride = row_width(o->in[2]),
                    .window = op_int(o, "window", 0),
                    .together = tokens < SCORED ? tokens : SCORED,
                    .span = (int)op_int(o, str_printf(z->w->a, "span.%d", z->i_target), SPAN_DEFAULT),
                    .q = name_of(z, o->in[0])->base,
                    .k = name_of(z, o->in[1])->base,
                    .v = name_of(z, o->in[2])->base,
                    .pos = name_of(z, o->in[3])->base };
    Tile at = {
        .i = "i", .n = str_printf(z->w->a, "%" PRId64, hd), .t = "t", .width = hd, .n_row = n.width
    };

    emit(e, "\n");
    if (one)
        return decode_attention(z, &n, y, &at, group);
    emit(e,
         "int h = c %% %" PRId64 ", i = h * %" PRId64
         ";    /* head, and where it begins in a row */\n",
         n_head, hd);
    if (group == 1)
        emit(e, "int g = h * %" PRId64 ";\n", hd);
    else
        emit(e,
             "int g = h / %" PRId64 " * %" PRId64 ";    /* where its K and V begin: %" PRId64
             " heads share them */\n",
             group, hd, group);
    emit(e,
         "int u = c / %" PRId64 " * %" PRId64 ", u_end = u + %" PRId64 " < %s ? u + %" PRId64
         " : %s;\n\n",
         n_head, tokens, tokens, rows, tokens, rows);
    if (has_some(z, o)) {
        emit_open(e, "for (; u < u_end; u += %" PRId64 ") {", n.together);
        emit(e, "int n = u_end - u < %" PRId64 " ? u_end - u : %" PRId64 ";\n", n.together, n.together);
        if (!attend_tokens(z, &n, y, &at))
            return false;
    } else {
        emit_open(e, "for (int t = u; t < u_end; t++) {");
        if (!attend_one(z, &n, y, &at))
            return false;
    }
    emit_close(e, "");
    return true;
}
