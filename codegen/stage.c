/* Stage functions: NAME_ISA.c and kernels_ISA.h.
 *
 * Each stage of the Module becomes one C function that computes one chunk:
 *
 *     static void decode_attn_q_k_v(const NAME_Run *r, const void *args, NAME_Worker *me, int c,
 * int count, const uint8_t *next)
 *
 * A contraction's chunk is a loop over tiles of 32 outputs (or over heads, where the epilogue needs
 * whole ones), inside it a loop over tokens; a micro-kernel leaves a tile of results in a local
 * array, and the epilogue is plain C over that array: expressions composed from the table of ops.
 * Where an op needs a whole array (rope's pairs, quantization, the store into a cache) the
 * expression so far is stored first.  Everything printed here follows from the Module's attributes;
 * no choice is made. */
#include "codegen/stage.h"

/* ---- names ---- */

const char *fresh_name(Stage *z, const char *base)
{
    const char *name = emit_ident(z->w->a, str_of(base));

    for (int n = 2;; n++) {
        bool taken = false;

        for (int i = 0; i < z->n_taken; i++)
            taken = taken || !strcmp(z->taken[i], name);
        if (!taken)
            break;
        name = str_printf(z->w->a, "%s_%d", emit_ident(z->w->a, str_of(base)), n);
    }
    z->taken[z->n_taken++] = name;
    return name;
}

Name *name_of(Stage *z, const Value *v)
{
    for (int i = 0; i < z->n_name; i++)
        if (z->name[i].v == v)
            return &z->name[i];
    z->name[z->n_name] = (Name){ .v = v };
    return &z->name[z->n_name++];
}

const char *use_kernel(Stage *z, const char *kernel)
{
    if (!kernel_closure(z->unit, &kernel, 1, z->wanted))
        bug("the library of %s has no '%s'", z->unit->isa, kernel);
    return kernel;
}

const char *kernel_of(Stage *z, const Op *o, const char *role)
{
    const char *k = op_str(o, str_printf(z->w->a, "%s.%d", role, z->i_target), NULL);

    if (!k)
        bug("op '%s' of stage '%s' has no kernel for '%s'", op_info[o->kind].name,
            op_str(z->s, "stage", "?"), role);
    return use_kernel(z, k);
}

bool cannot_write(Stage *z, const Op *o)
{
    z->w->ok = false;
    return fail(z->w->d, NOWHERE,
                "the C writer cannot compute '%s' (%s) in a stage of kind '%s' yet",
                op_info[o->kind].name, o->n_out ? o->out[0]->name : "", op_str(z->s, "kind", "?"));
}

const char *c_type(const Format *f)
{
    return !strcmp(f->name, "f32")                               ? "float"
           : !strcmp(f->name, "f16") || !strcmp(f->name, "bf16") ? "uint16_t"
           : format_is_q8(f)                                     ? "SnQ8"
           : !strcmp(f->name, "i8") || format_is_i8(f)           ? "int8_t"
                                                                 : "int32_t";
}

int64_t inner_width(const Value *v)
{
    int64_t n = 1;

    if (v->type.rank)
        dim_is_const(type_last(v->type), &n);
    return n;
}

/* Numbers in an element of the C type. */
static int numbers_in(const Format *f)
{
    return format_is_q8(f) ? BLOCK_Q8 : f->block;
}

int64_t row_width(const Value *v)
{
    int64_t n = 1, d = 1;

    if (v->type.rank == 1 && dim_is_const(v->type.dim[0], &d) && v->kind == VAL_param &&
        v->stands_for != VAL_result)
        return d / numbers_in(v->type.fmt);
    if (format_is_i8(v->type.fmt)) /* codes, scales, and what is left to a multiple of 64 */
        return (int64_t)align_up((uint64_t)(inner_width(v) + 8 * (inner_width(v) / v->type.fmt->block)), 64);
    for (int i = 1; i < v->type.rank; i++)
        if (dim_is_const(v->type.dim[i], &d))
            n *= d;
    return n / numbers_in(v->type.fmt);
}

const char *float_c(Stage *z, double x)
{
    const char *s = str_float(z->w->a, x, true);

    if (x != x || x - x != 0) /* only ISA files print numbers, and they are GNU C */
        return x != x ? "__builtin_nanf(\"\")" : x > 0 ? "__builtin_inff()" : "-__builtin_inff()";
    return str_printf(z->w->a, "%s%sf", s, strpbrk(s, ".ein") ? "" : ".0");
}

/* ---- operands and results at the top of the function ---- */

static const char *place_c(Stage *z, int64_t place, const char *type, bool readonly)
{
    const char *c = readonly ? "const " : "";

    if (place >= 0)
        return str_printf(z->w->a, "(%s%s *)(r->arena + %" PRId64 ")", c, type, place);
    if (place <= PLACE_output)
        return "r->logits";
    return "r->ids";
}

static bool is_read(const Stage *z, const Value *param)
{
    for (const Op *o = z->r->first; o; o = o->next)
        for (int i = 0; i < o->n_in; i++)
            if (o->in[i] == param)
                return true;
    return false;
}

static int param_index(const Region *r, const Value *v)
{
    for (int i = 0; i < r->n_param; i++)
        if (r->param[i] == v)
            return i;
    return -1;
}

static void bind_param(Stage *z, int i)
{
    const Value *p = z->r->param[i], *outer = z->s->in[i];
    const char *name = fresh_name(z, p->name), *at;
    int i_arg = outer->kind == VAL_param ? param_index(z->f->body, outer) : -1;
    const char *shape = shape_c(z->w, p->type);
    Name *n = name_of(z, p);

    n->base = name;
    if (!is_read(z, p))
        return;
    switch (p->stands_for) {
    case VAL_weight:
        at = i_arg >= 0 ? str_printf(z->w->a, "args->%s", arg_field(z->w, z->f, i_arg))
                        : str_printf(z->w->a, "%" PRIu64, outer->weight->off);
        if (p->layout && p->layout->rows == 1)
            emit(z->e, "const float *%s = (const float *)(r->w + %s);    /* %s */\n", name, at,
                 shape);
        else
            emit(z->e, "const uint8_t *%s = r->w + %s;    /* %s as %s */\n", name, at, shape,
                 p->layout ? p->layout->name : "?");
        break;
    case VAL_state:
        at = i_arg >= 0 ? str_printf(z->w->a, "args->%s", arg_field(z->w, z->f, i_arg))
                        : str_printf(z->w->a, "%d", outer->state->index);
        emit(z->e, "%s *%s = (%s *)r->state[%s];    /* %s */\n", c_type(p->type.fmt), name,
             c_type(p->type.fmt), at, shape);
        break;
    default:
        emit(z->e, "const %s *%s = %s;    /* %s */\n", c_type(p->type.fmt), name,
             place_c(z, op_attr(z->s, "in")->ints[i], c_type(p->type.fmt), true), shape);
    }
}

static void bind_result(Stage *z, int i)
{
    const Value *v = z->r->last->in[i];
    Name *n = name_of(z, v);

    if (v->kind == VAL_param || n->base)
        return;
    n->base = fresh_name(z, str_printf(z->w->a, "%s_out", v->name));
    emit(z->e, "%s *%s = %s;    /* %s */\n", c_type(v->type.fmt), n->base,
         place_c(z, op_attr(z->s, "out")->ints[i], c_type(v->type.fmt), false),
         shape_c(z->w, v->type));
}

/* ---- one stage ---- */

/* What the stage computes, as a formula over the names of its ops. */
static void describe(Stage *z)
{
    Arena *a = z->w->a;
    const Attr *chunks = op_attr(z->s, "chunks"), *tiles = op_attr(z->s, "tiles");
    const char *kind = op_str(z->s, "kind", "row");

    emit(z->e, "/* %s:", stage_c_name(z->w, z->f, z->s));
    for (const Op *o = z->r->first; o; o = o->next)
        if (o->kind != OP_yield)
            emit(z->e, " %s%s%s%s", op_info[o->kind].name, o->from ? " (" : "",
                 o->from ? emit_comment(a, str_of(o->from)) : "", o->from ? ")" : "");
    emit(z->e, ".\n");
    for (int i = 0; i < z->s->n_in; i++)
        if (z->r->param[i]->stands_for == VAL_result)
            emit(z->e, " *   reads  %-20s %s\n", emit_ident(a, str_of(z->r->param[i]->name)),
                 shape_c(z->w, z->r->param[i]->type));
    for (int i = 0; i < z->s->n_out; i++)
        emit(z->e, " *   writes %-20s %s\n", emit_ident(a, str_of(z->s->out[i]->name)),
             shape_c(z->w, z->s->out[i]->type));
    if (chunks) {
        emit(z->e, " * Chunks:");
        for (int i = 0; i < chunks->n_ints; i++)
            emit(z->e, "%s %" PRId64 " of %" PRId64 " tile%s of 32 outputs", i ? "," : "",
                 chunks->ints[i], tiles->ints[i], tiles->ints[i] == 1 ? "" : "s");
        emit(z->e, ", each for all tokens of the call. */\n");
    } else if (stage_most_heads(z->s) > 1)
        emit(z->e, " * A chunk is up to %" PRId64 " heads that share K and V. */\n",
             stage_most_heads(z->s));
    else if (!strcmp(kind, "attention"))
        emit(z->e, " * A chunk is one head and %" PRId64 " token%s. */\n",
             op_int(z->s, "tokens", 1), op_int(z->s, "tokens", 1) == 1 ? "" : "s");
    else
        emit(z->e, " * A chunk is %" PRId64 " token%s. */\n", op_int(z->s, "tokens", 1),
             op_int(z->s, "tokens", 1) == 1 ? "" : "s");
}

static bool mentions(const char *text, const char *word)
{
    size_t n = strlen(word);

    for (const char *at = text; (at = strstr(at, word)); at += n) {
        char before = at == text ? ' ' : at[-1], after = at[n];

        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_", before) &&
            !strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_", after))
            return true;
    }
    return false;
}

/* Stage functions printed so far, by what is in their braces. */
typedef struct {
    const char **body, **name;
    int n;
} Printed;

static bool write_stage(Writer *w, int i_target, const KernelUnit *unit, bool *wanted, Emit *out,
                        const Func *f, const Op *s, Printed *printed, const char **name)
{
    Emit body = emit_new(w->a);
    Stage z = { .w = w,
                .e = &body,
                .f = f,
                .s = s,
                .r = s->region[0],
                .i_target = i_target,
                .unit = unit,
                .wanted = wanted };
    const ArgsType *args = args_of(w, f);
    const char *kind = op_str(s, "kind", "row"), *text;
    int n = s->n_in + 8, n_op = 0, n_void = 0;
    bool ok;

    for (const Op *o = z.r->first; o; o = o->next, n_op++)
        n += o->n_in + o->n_out;
    z.name = ARENA_ARRAY(w->a, Name, n);
    z.taken = ARENA_ARRAY(w->a, const char *, 8 * n + 64);
    body.indent = 1;
    for (const char *const *k =
             (const char *const[]){ "args", "top",  "shrink", "sum", "max", "end", "pos_",
                                    "cos",  "sin",  "a",      "b",   "h",   "g",   "j",
                                    "k",    "s",    "t",      "u",   "lo",  "hi",  "to",
                                    "p",    "from", "u_end",  "n_t", "n",
                                    "all",  "all_to", "best", NULL };
         *k; k++)
        z.taken[z.n_taken++] = *k;
    for (int i = 0; i < z.r->n_param; i++)
        bind_param(&z, i);
    for (int i = 0; i < s->n_out; i++)
        bind_result(&z, i);
    ok = !strcmp(kind, "contract")    ? contract_stage(&z)
         : !strcmp(kind, "attention") ? attention_stage(&z)
                                      : row_stage(&z);
    if (!ok)
        return false;
    text = str_printf(w->a, "%s%s", args ? args->type : "", buf_z(&body.b));
    for (int i = 0; i < printed->n; i++)
        if (!strcmp(printed->body[i],
                    text)) { /* kinds of layers often differ in some stages only */
            *name = printed->name[i];
            return true;
        }
    *name = stage_c_name(w, f, s);
    printed->body[printed->n] = text;
    printed->name[printed->n++] = *name;
    text = buf_z(&body.b);
    z.e = out;
    describe(&z);
    emit(out,
         "static void %s(const %s_Run *r, const void *layer, %s_Worker *me, int c, int count, "
         "const uint8_t *next)\n{\n",
         *name, w->name, w->name);
    for (const char *const *p =
             (const char *const[]){ "r", "layer", "me", "c", "count", "next", NULL };
         *p; p++)
        if (!(mentions(text, *p) || (!strcmp(*p, "layer") && args && mentions(text, "args")))) {
            emit(out, "%s(void)%s", n_void ? ", " : "    ", *p);
            n_void++;
        }
    if (n_void)
        emit(out, ";\n");
    if (args && mentions(text, "args"))
        emit(out, "    const %s *args = (const %s *)layer;\n", args->type, args->type);
    buf_put(&out->b, text, strlen(text));
    emit(out, "}\n\n");
    return true;
}

void write_stages(Writer *w, int i_target, Buf *c, Buf *kernels)
{
    Emit e = emit_new(w->a);
    const KernelUnit *unit = kernel_unit_of(w->isa[i_target]);
    bool *wanted;
    Printed printed = { 0 };
    const char **name;
    int n = 0;

    if (!unit)
        bug("there is no kernel library for '%s'", w->isa[i_target][0]);
    wanted = ARENA_ARRAY(w->a, bool, unit->n_entities + 1);
    for (const Func *f = w->m->first_func; f; f = f->next)
        for (const Op *o = f->body->first; o; o = o->next)
            n += o->kind == OP_fused;
    name = ARENA_ARRAY(w->a, const char *, n + 1);
    printed.body = ARENA_ARRAY(w->a, const char *, n + 1);
    printed.name = ARENA_ARRAY(w->a, const char *, n + 1);
    n = 0;
    emit(&e, "/* Stages of %s for %s.  Compiled with this target's flags; nothing else is. */\n",
         w->name, w->target[i_target]);
    emit(&e, "#include \"%s_internal.h\"\n#include \"kernels_%s.h\"\n\n", w->name,
         w->target[i_target]);
    for (const Func *f = w->m->first_func; f; f = f->next)
        for (const Op *o = f->body->first; o; o = o->next)
            if (o->kind == OP_fused &&
                !write_stage(w, i_target, unit, wanted, &e, f, o, &printed, &name[n++]))
                return;
    emit(&e, "const %s_Stages %s_stages_%s = {\n", w->name, w->name, w->target[i_target]);
    n = 0;
    for (const Func *f = w->m->first_func; f; f = f->next)
        for (const Op *o = f->body->first; o; o = o->next)
            if (o->kind == OP_fused) {
                const char *own = stage_c_name(w, f, o), *used = name[n++];

                if (strcmp(own, used))
                    emit(&e, "    %s,    /* %s is the same */\n", used, own);
                else
                    emit(&e, "    %s,\n", own);
            }
    emit(&e, "};\n");
    buf_put(c, e.b.p, e.b.n);
    buf_printf(kernels,
               "/* The micro-kernels that %s uses on %s. */\n#ifndef %s_KERNELS_%s_H\n#define "
               "%s_KERNELS_%s_H\n\n",
               w->name, w->target[i_target], w->name, w->target[i_target], w->name,
               w->target[i_target]);
    kernel_emit(kernels, unit, wanted,
                module_meta_int(w->m, str_printf(w->a, "target.%d.prefetch", i_target), PREFETCH_DEFAULT));
    buf_puts(kernels, "\n#endif\n");
}
