/* A head of two stages: what is printed in place of a contraction's call where a token may ask for the best logits only.
 *
 * A thread keeps the best logits that it has computed, in its scratch.  A tile of the head is computed if the bound of one of its rows
 * reaches the worst of these, otherwise its logits are -infinity.  The floor is shared: the largest of the threads' floors is one, too. */
#include "codegen/stage.h"

bool is_two_stage(const Op *o)
{
    return o->kind == OP_matmul && op_attr(o, "bound.0");
}

void head_begin(Stage *z, const Op *o)
{
    emit(z->e, "SnBest *best = (SnBest *)(me->scratch + %" PRId64 ");    /* the best logits so far, this thread's own */\n",
         op_int(o, "best", 0));
}

void head_prologue(Stage *z, const Op *o, const char *x, int64_t n_in)
{
    (void)o;
    emit(z->e, "if (r->best)\n    %s(best, %s, %" PRId64 ", r->best);\n", use_kernel(z, "sn_best_begin"), x, n_in);
}

void head_tile(Stage *z, const Op *o, const char *acc, const char *tile, const char *next, const char *x, int64_t n_in,
               const Tile *at)
{
    Emit *e = z->e;

    emit(e, "if (r->best)\n    best->floor = %s_share_floor(r, best->floor);\n", z->w->name);
    emit_open(e, "if (r->best && !%s(best, %s, %s, %" PRId64 ", %s)) {", kernel_of(z, o, "bound"), tile, x, n_in, next);
    emit(e, "%s(%s);    /* none of them is among the r->best best */\n", use_kernel(z, "sn_best_none"), acc);
    e->indent--;
    emit_open(e, "} else {");
    emit(e, "%s(%s, %s, %s, %" PRId64 ", %s);\n", kernel_of(z, o, "dot"), acc, tile, x, n_in, next);
    emit_open(e, "if (r->best) {");
    emit(e, "%s(best, %s, %s);\n", use_kernel(z, "sn_best_keep"), acc, at->n);
    emit(e, "me->n_whole++;\n");
    emit_close(e, "");
    emit_close(e, "");
}
