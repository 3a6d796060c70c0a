/* act: the format in which activations meet packed weights.
 *
 * A contraction whose weight is stored as integer codes (q4_0, q4_1, q8_0) can be computed in
 * integers if its other operand is quantized too.  With --act q8 (the default) this pass puts
 * `quant {to="q8"}` in front of it: int8 in blocks of 32 with an f32 scale. It says so in the
 * Module: from here on the quantization is part of what the program means, and kernels are held to
 * it exactly. Float weights keep float activations.  One quant serves all contractions that read
 * the same value.
 *
 * Weights with one scale for 256 columns (ternary ones) get activations that have one, too (q8g256):
 * then integer sums run over 256 columns.
 *
 * With prefill=i8 contractions over all tokens of a prompt get activations in groups as long as
 * their rows allow (i8g256 at most), and their weights mean what they are in such groups; those over
 * the rows whose logits are wanted, of which there may be one, keep q8 or q8g256.
 *
 * Requires: specialize (decode and prefill may differ).  Leaves: x of each such matmul has format
 * q8, q8g256 or i8gG. */
#include "compiler/passes/passes.h"

/* The quant of x to `f` that stands in region r before `user`, or NULL. */
static Value *quant_of(const Region *r, const Value *x, const Format *f, const Op *user)
{
    for (const Op *o = r->first; o && o != user; o = o->next)
        if (o->kind == OP_quant && o->in[0] == x && o->out[0]->type.fmt == f)
            return o->out[0];
    return NULL;
}

/* What the activations of weights in format w are rounded to. */
static const Format *q8_for(const Format *w)
{
    const Format *long_groups = format_find(STR("q8g256"));

    return w->codes && w->codes->group == long_groups->block ? long_groups : format_find(STR("q8"));
}

/* Has x a row for each token of the call? */
static bool of_all_tokens(const Value *x)
{
    return x->type.rank == 2 && x->type.dim[0]->kind == DIM_sym && !strcmp(x->type.dim[0]->sym->name, "T");
}

static void quantize_inputs(Func *f, Act act)
{
    for (Op *o = f->body->first; o; o = o->next) {
        const Format *to;
        Value *x, *q;
        int64_t n_in;

        if (o->kind != OP_matmul || o->in[0]->type.fmt != format_find(STR("f32")))
            continue;
        x = o->in[0];
        if (o->in[1]->kind != VAL_weight || o->in[1]->type.fmt->kind != FORMAT_block)
            continue;
        if (!dim_is_const(type_last(x->type), &n_in) || n_in % BLOCK_Q8)
            continue;
        to = q8_for(o->in[1]->type.fmt);
        if (act == ACT_i8 && of_all_tokens(x) && o->n_in == 2 && format_i8(n_in))
            to = format_i8(n_in);
        q = quant_of(f->body, x, to, o);
        if (!q) {
            Attr attr = attr_str("to", to->name);
            const char *name = str_printf(f->m->a, "%s_%s", x->name, format_is_i8(to) ? "i8" : "q8");
            Op *quant = op_new(f->body, o, OP_quant, func_fresh_name(f, name), &x, 1, &attr, 1);

            quant->layer = o->layer;
            quant->by = "act";
            quant->from = x->op ? x->op->from : NULL;
            q = quant->out[0];
        }
        o->in[0] = q;
    }
}

bool pass_act(Module *m, const Env *env, Diag *d)
{
    (void)d;
    for (int i = 0; i < m->n_entry; i++) {
        const Entry *e = &m->entry[i];
        bool decode = !strcmp(e->name, "verify"); /* it has decode's bits */
        Act act;

        for (int k = 0; k < e->n_range; k++)
            if (!strcmp(e->range[k].sym->name, "T"))
                decode = decode || e->range[k].hi == 1;
        act = decode ? env->opt->act_decode : env->opt->act_prefill;
        if (act != ACT_f32)
            quantize_inputs(e->func, act);
    }
    return true;
}
