/* act: the format in which activations meet packed weights.
 *
 * A contraction whose weight is stored as integer codes (q4_0, q4_1, q8_0) can be computed in
 * integers if its other operand is quantized too.  With --act q8 (the default) this pass puts
 * `quant {to="q8"}` in front of it: int8 in blocks of 32 with an f32 scale. It says so in the
 * Module: from here on the quantization is part of what the program means, and kernels are held to
 * it exactly. Float weights keep float activations.  One quant serves all contractions that read
 * the same value.
 *
 * Requires: specialize (decode and prefill may differ).  Leaves: x of each such matmul has format
 * q8. */
#include "compiler/passes/passes.h"

/* The quant of x that stands in region r before `user`, or NULL. */
static Value *quant_of(const Region *r, const Value *x, const Op *user)
{
    for (const Op *o = r->first; o && o != user; o = o->next)
        if (o->kind == OP_quant && o->in[0] == x)
            return o->out[0];
    return NULL;
}

static void quantize_inputs(Func *f)
{
    const Format *q8 = format_find(STR("q8"));

    for (Op *o = f->body->first; o; o = o->next) {
        Value *x, *q;
        int64_t n_in;

        if (o->kind != OP_matmul || o->in[0]->type.fmt != format_find(STR("f32")))
            continue;
        x = o->in[0];
        if (o->in[1]->kind != VAL_weight || o->in[1]->type.fmt->kind != FORMAT_block)
            continue;
        if (!dim_is_const(type_last(x->type), &n_in) || n_in % q8->block)
            continue;
        q = quant_of(f->body, x, o);
        if (!q) {
            Attr to = attr_str("to", "q8");
            Op *quant =
                op_new(f->body, o, OP_quant,
                       func_fresh_name(f, str_printf(f->m->a, "%s_q8", x->name)), &x, 1, &to, 1);

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
        bool decode = false;

        for (int k = 0; k < e->n_range; k++)
            if (!strcmp(e->range[k].sym->name, "T"))
                decode = e->range[k].hi == 1;
        if ((decode ? env->opt->act_decode : env->opt->act_prefill) == ACT_q8)
            quantize_inputs(e->func);
    }
    return true;
}
