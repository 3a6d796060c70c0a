/* What things of the Module are called in the emitted C: stages, the structs of what differs
 * between layers, numbers of rows. */
#include "codegen/c.h"
#include "ir/stages.h"

const char *shape_c(const Writer *w, Type t)
{
    return emit_comment(w->a, str_of(type_text(w->a, t)));
}

const char *stage_c_name(const Writer *w, const Func *f, const Op *fused)
{
    return str_printf(w->a, "%s_%s", emit_ident(w->a, str_of(f->name)),
                      emit_ident(w->a, str_of(op_str(fused, "stage", "stage"))));
}

const ArgsType *args_of(const Writer *w, const Func *f)
{
    for (int i = 0; i < w->n_args; i++)
        if (w->args[i].func == f)
            return &w->args[i];
    return NULL;
}

const char *arg_field(const Writer *w, const Func *f, int i)
{
    const Region *r = f->body;
    const char *name = emit_ident(w->a, str_of(r->param[i]->name));

    for (int k = 0; k < i; k++)
        if (!strcmp(emit_ident(w->a, str_of(r->param[k]->name)), name))
            return str_printf(w->a, "%s__%d", name, i);
    return name;
}

const char *rows_c(const Writer *w, const Func *f, Dim d, bool *is_one)
{
    int64_t c;

    if (is_one)
        *is_one = !d || dim_is_one(f, d);
    if (!d)
        return "1";
    if (dim_is_const(d, &c))
        return str_printf(w->a, "%" PRId64, c);
    if (d->kind == DIM_sym && (!strcmp(d->sym->name, "T") || !strcmp(d->sym->name, "O")))
        return str_printf(w->a, "r->%s", d->sym->name);
    ((Writer *)w)->ok = fail(
        w->d, NOWHERE,
        "the C writer cannot count the rows of a stage of '%s' (neither a number nor T nor O) yet",
        f->name);
    return "0";
}

const char *heads_c(const Writer *w, const Op *fused)
{
    const Attr *heads = op_attr(fused, "heads"), *threads = op_attr(fused, "threads");
    Buf b = buf_in(w->a);

    if (!heads || heads->n_ints == 1)
        return str_printf(w->a, "%" PRId64, stage_heads(fused, 1));
    for (int i = 0; i < heads->n_ints; i++)
        if (i + 1 < heads->n_ints)
            buf_printf(&b, "r->n_threads <= %" PRId64 " ? %" PRId64 " : ", threads->ints[i],
                       heads->ints[i]);
        else
            buf_printf(&b, "%" PRId64, heads->ints[i]);
    return buf_z(&b);
}

/* The dimensions alone: layers that differ in the formats of their weights have one struct. */
static const char *dims_c(const Writer *w, Type t)
{
    const char *text = shape_c(w, t), *dims = strchr(text, '[');

    return dims ? dims : text;
}

static const char *fields_of(Writer *w, const Func *f)
{
    Buf b = buf_in(w->a);

    for (int i = 0; i < f->body->n_param; i++) {
        const Value *p = f->body->param[i];

        if (p->stands_for == VAL_weight)
            buf_printf(&b, "    uint64_t %s;    /* weight %s */\n", arg_field(w, f, i),
                       dims_c(w, p->type));
        else if (p->stands_for == VAL_state)
            buf_printf(&b, "    int %s;    /* number of a state: %s */\n", arg_field(w, f, i),
                       shape_c(w, p->type));
    }
    return buf_z(&b);
}

/* Functions with the same fields share a struct: decode's layers and prefill's. */
void find_args(Writer *w)
{
    int n = 0, n_type = 0;

    for (const Func *f = w->m->first_func; f; f = f->next)
        n++;
    w->args = ARENA_ARRAY(w->a, ArgsType, n + 1);
    for (const Func *f = w->m->first_func; f; f = f->next) {
        const char *fields = fields_of(w, f), *type = NULL;

        for (int i = 0; i < w->n_args; i++)
            if (!strcmp(w->args[i].fields, fields))
                type = w->args[i].type;
        if (!*fields)
            continue;
        if (!type)
            type = n_type++ ? str_printf(w->a, "%s_Layer%d", w->name, n_type)
                            : str_printf(w->a, "%s_Layer", w->name);
        w->args[w->n_args++] = (ArgsType){ f, type, fields };
    }
}
