/* quantize: weights rounded to a smaller format (--quant).
 *
 * Matrices that contractions multiply with, and tables that rows are looked up in, a tied embedding
 * among them, become `convert`s of what they were: each block is rounded by itself, as the format's
 * reference quantizer does it, with no regard for what the weights meet.  Norms, biases and other
 * vectors stay as they are, and so do matrices that have no more bytes already (to round those again
 * would lose something for nothing) and those whose rows are not whole blocks.
 *
 * Requires: nothing.  Leaves: the converts; meta "quant.format" and "quant.n_weights", and where the source is
 * at hand "quant.rms_error", the distance to what was, as a share of its root mean square. */
#include "compiler/passes/passes.h"

#include <math.h>

/* Sums of squares, over all weights that are rounded. */
typedef struct { double error, all; const char *worst; double worst_share; } Loss;

/* Is w read as a matrix: a contraction's weight, or a table of rows? */
static bool is_matrix(const Module *m, const Weight *w)
{
    for (const Func *f = m->first_func; f; f = f->next)
        for (Op *o = f->body->first; o; o = op_walk(o, f->body))
            if ((o->kind == OP_matmul && o->in[1] == w->value) || (o->kind == OP_rows && o->in[0] == w->value))
                return true;
    return false;
}

static bool is_smaller(const Format *f, const Weight *w)
{
    uint64_t now, then;
    int64_t n_in = dim_hi(type_last(w->type));

    return w->type.fmt->kind != FORMAT_int && format_bytes(f, n_in, &then) && format_bytes(w->type.fmt, n_in, &now) && then < now;
}

static bool at_hand(const Module *m, const WExpr *e)
{
    return e->a ? at_hand(m, e->a) : e->kind == W_view ? m->file[e->file].p != NULL : e->kind != W_packed;
}

/* Adds what rounding w to f loses.  x, y: room for a row. */
static bool add_loss(const Module *m, const Weight *w, const WExpr *rounded, float *x, float *y, Loss *loss, Diag *d)
{
    int64_t n_in = dim_hi(type_last(w->type)), n_out = type_n_rows(w->type);
    double error = 0, all = 0;

    for (int64_t i = 0; i < n_out; i++) {
        if (!wexpr_row(m, w->expr, i, x, d) || !wexpr_row(m, rounded, i, y, d))
            return false;
        for (int64_t k = 0; k < n_in; k++) {
            error += ((double)x[k] - (double)y[k]) * ((double)x[k] - (double)y[k]);
            all += (double)x[k] * (double)x[k];
        }
    }
    if (all > 0 && error / all > loss->worst_share) {
        loss->worst = w->name;
        loss->worst_share = error / all;
    }
    loss->error += error;
    loss->all += all;
    return true;
}

static void report(Module *m, const Format *f, int n, const Loss *loss, Diag *d)
{
    double share = loss->all > 0 ? sqrt(loss->error / loss->all) : 0;

    module_set_meta(m, "quant.format", attr_str("", f->name));
    module_set_meta(m, "quant.n_weights", attr_int("", n));
    if (!loss->all)
        return;
    module_set_meta(m, "quant.rms_error", attr_float("", share));
    note(d, "%d weights rounded to %s: off by %.2f %% of their root mean square (%s: %.2f %%)", n, f->name, 100 * share,
         loss->worst ? loss->worst : "-", 100 * sqrt(loss->worst_share));
}

bool pass_quantize(Module *m, const Env *env, Diag *d)
{
    const Format *f = env->opt->quant;
    Loss loss = { 0 };
    int n = 0;

    for (int i = 0; f && i < m->n_weight; i++) {
        Weight *w = m->weight[i];
        int64_t n_in = w->type.rank ? dim_hi(type_last(w->type)) : 0;
        WExpr *e;

        if (!is_matrix(m, w) || !is_smaller(f, w))
            continue;
        e = wexpr_new(m, W_convert, w->type);
        e->type.fmt = f;
        e->a = w->expr;
        if (at_hand(m, w->expr)) {
            ArenaMark mark = arena_mark(env->scratch);
            float *x = ARENA_ARRAY(env->scratch, float, 2 * n_in);

            if (!add_loss(m, w, e, x, x + n_in, &loss, d))
                return false;
            arena_rewind(env->scratch, mark);
        }
        w->expr = e;
        w->type.fmt = w->value->type.fmt = f;
        n++;
        progress(d, "rounding weights", (uint64_t)i + 1, (uint64_t)m->n_weight);
    }
    if (n)
        report(m, f, n, &loss, d);
    return true;
}
