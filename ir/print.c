/* Module -> text.  The language is docs/ir.md; parse.c reads it back to the same Module.
 *
 * One declaration or op a line, two spaces of indentation for each region, everything in the order in which the Module has it.
 * Names that are not plain are quoted, so that any bytes survive; numbers are the shortest that read back the same. */
#include "ir/internal.h"

static void string_print(Buf *b, Str s)
{
    buf_putc(b, '"');
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = (uint8_t)s.p[i];

        if (c == '"' || c == '\\')
            buf_printf(b, "\\%c", c);
        else if (c == '\n')
            buf_puts(b, "\\n");
        else if (c == '\t')
            buf_puts(b, "\\t");
        else if (c < 0x20 || c >= 0x7f)
            buf_printf(b, "\\x%02x", c);
        else
            buf_putc(b, (char)c);
    }
    buf_putc(b, '"');
}

static bool is_plain(const char *name)
{
    if (!*name)
        return false;
    for (; *name; name++)
        if (!(*name >= 'a' && *name <= 'z') && !(*name >= 'A' && *name <= 'Z') && !(*name >= '0' && *name <= '9') &&
            *name != '_' && *name != '.')
            return false;
    return true;
}

void name_print(Buf *b, const char *name)
{
    if (is_plain(name))
        buf_puts(b, name);
    else
        string_print(b, str_of(name));
}

/* A name without a sigil must not look like a number. */
void word_print(Buf *b, const char *name)
{
    if (is_plain(name) && *name != '.' && !(*name >= '0' && *name <= '9'))
        buf_puts(b, name);
    else
        string_print(b, str_of(name));
}

static void attr_value_print(Buf *b, const Attr *a)
{
    switch (a->kind) {
    case ATTR_int:
        buf_printf(b, "%" PRId64, a->i);
        break;
    case ATTR_float:
        buf_puts(b, str_float(b->a, a->f, false));
        break;
    case ATTR_str:
        string_print(b, a->s);
        break;
    case ATTR_ints:
        buf_putc(b, '[');
        for (int i = 0; i < a->n_ints; i++)
            buf_printf(b, "%s%" PRId64, i ? ", " : "", a->ints[i]);
        buf_putc(b, ']');
        break;
    }
}

/* ---- declarations ------------------------------------------------------------------------------------------------- */

static void wexpr_print(Buf *b, const WExpr *e)
{
    switch (e->kind) {
    case W_view:
        buf_printf(b, "view file=%d off=%" PRIu64, e->file, e->off);
        break;
    case W_fill:
        buf_puts(b, "fill ");
        string_print(b, e->name);
        buf_printf(b, " seed=%" PRIu64, e->seed);
        break;
    case W_const: {
        int64_t n = type_n(e->type);

        buf_puts(b, "const [");
        for (int64_t i = 0; i < n; i++) {
            if (i)
                buf_puts(b, i % 8 ? ", " : ",\n    ");
            if (e->ints)
                buf_printf(b, "%" PRId32, e->ints[i]);
            else
                buf_puts(b, str_float(b->a, (double)e->value[i], true));
        }
        buf_putc(b, ']');
        break;
    }
    case W_convert:
        buf_puts(b, "convert (");
        break;
    case W_permute_rows:
        buf_printf(b, "permute_rows perm=rope_half_to_pairs head_dim=%" PRId64 " (", e->head_dim);
        break;
    case W_packed:
        buf_printf(b, "packed off=%" PRIu64, e->off);
        break;
    }
    if (e->a) {
        wexpr_print(b, e->a);
        buf_puts(b, " : ");
        type_print(b, e->a->type);
        buf_putc(b, ')');
    }
}

static void weight_print(Buf *b, const Weight *w)
{
    buf_puts(b, "weight @");
    name_print(b, w->name);
    buf_puts(b, " : ");
    type_print(b, w->type);
    buf_puts(b, " = ");
    wexpr_print(b, w->expr);
    if (w->layout)
        buf_printf(b, " layout=%s off=%" PRIu64 " stride=%" PRIu64 " bytes=%" PRIu64, w->layout->name, w->off,
                   w->tile_stride, w->bytes);
    buf_putc(b, '\n');
}

static void range_print(Buf *b, int64_t lo, int64_t hi)
{
    buf_printf(b, "%" PRId64, lo);
    if (hi != lo)
        buf_printf(b, "..%" PRId64, hi);
}

/* ---- functions ---------------------------------------------------------------------------------------------------- */

static void value_print(Buf *b, const Value *v)
{
    buf_putc(b, v->kind == VAL_weight || v->kind == VAL_state ? '@' : '%');
    name_print(b, v->name);
}

static void values_print(Buf *b, Value *const *v, int n)
{
    for (int i = 0; i < n; i++) {
        if (i)
            buf_puts(b, ", ");
        value_print(b, v[i]);
    }
}

static void types_print(Buf *b, Value *const *v, int n)
{
    for (int i = 0; i < n; i++) {
        if (i)
            buf_puts(b, ", ");
        type_print(b, v[i]->type);
    }
}

static void params_print(Buf *b, const Region *r)
{
    buf_putc(b, '(');
    for (int i = 0; i < r->n_param; i++) {
        const Value *p = r->param[i];

        if (i)
            buf_puts(b, ", ");
        if (p->stands_for == VAL_weight)
            buf_puts(b, "weight ");
        if (p->stands_for == VAL_state)
            buf_puts(b, "state ");
        value_print(b, p);
        buf_puts(b, ": ");
        type_print(b, p->type);
        if (p->layout)
            buf_printf(b, " layout=%s stride=%" PRIu64, p->layout->name, p->tile_stride);
    }
    buf_putc(b, ')');
}

static void ops_print(Buf *b, const Region *r, int indent);

static void op_print(Buf *b, const Op *o, int indent)
{
    buf_printf(b, "%*s", indent, "");
    values_print(b, o->out, o->n_out);
    if (o->n_out)
        buf_puts(b, " = ");
    buf_puts(b, op_info[o->kind].name);
    if (o->callee) {
        buf_puts(b, " @");
        name_print(b, o->callee->name);
        buf_putc(b, '(');
    } else if (o->n_in)
        buf_putc(b, ' ');
    values_print(b, o->in, o->n_in);
    if (o->callee)
        buf_putc(b, ')');
    if (o->n_attr) {
        buf_puts(b, " {");
        for (int i = 0; i < o->n_attr; i++) {
            if (i)
                buf_puts(b, ", ");
            word_print(b, o->attr[i].name);
            buf_putc(b, '=');
            attr_value_print(b, &o->attr[i]);
        }
        buf_putc(b, '}');
    }
    for (int i = 0; i < o->n_region; i++) {
        buf_putc(b, ' ');
        params_print(b, o->region[i]);
        buf_puts(b, " {\n");
        ops_print(b, o->region[i], indent + 2);
        buf_printf(b, "%*s}", indent, "");
    }
    if (o->n_out) {
        buf_puts(b, " : ");
        types_print(b, o->out, o->n_out);
    }
    if (o->layer >= 0)
        buf_printf(b, " layer=%d", o->layer);
    if (o->from && *o->from) {
        buf_puts(b, " from=");
        string_print(b, str_of(o->from));
    }
    if (o->by && *o->by) {
        buf_puts(b, " by=");
        string_print(b, str_of(o->by));
    }
    buf_putc(b, '\n');
}

static void ops_print(Buf *b, const Region *r, int indent)
{
    for (const Op *o = r->first; o; o = o->next)
        op_print(b, o, indent);
}

void func_print(const Func *f, Buf *b)
{
    const Op *end = f->body->last;

    buf_puts(b, "func @");
    name_print(b, f->name);
    params_print(b, f->body);
    buf_puts(b, " -> (");
    if (end)
        types_print(b, end->in, end->n_in);
    buf_putc(b, ')');
    if (f->note && *f->note) {
        buf_puts(b, " note=");
        string_print(b, str_of(f->note));
    }
    buf_puts(b, " {\n");
    ops_print(b, f->body, 2);
    buf_puts(b, "}\n");
}

static void entry_print(Buf *b, const Entry *e)
{
    buf_puts(b, "entry ");
    word_print(b, e->name);
    buf_putc(b, '(');
    for (int i = 0; i < e->n_range; i++) {
        if (i)
            buf_puts(b, ", ");
        word_print(b, e->range[i].sym->name);
        buf_putc(b, '=');
        range_print(b, e->range[i].lo, e->range[i].hi);
    }
    buf_puts(b, ") = @");
    name_print(b, e->func->name);
    buf_putc(b, '\n');
}

void module_print(const Module *m, Buf *b)
{
    buf_puts(b, "module ");
    string_print(b, str_of(m->name));
    buf_putc(b, '\n');
    for (int i = 0; i < m->n_file; i++) {
        if (m->file[i].packed)
            continue;
        buf_printf(b, "file %d ", i);
        string_print(b, str_of(m->file[i].name));
        buf_printf(b, " digest=%s bytes=%" PRIu64 "\n", digest_hex(b->a, m->file[i].digest), m->file[i].bytes);
    }
    if (m->weights_bytes)
        buf_printf(b, "weights_bytes %" PRIu64 "\n", m->weights_bytes);
    for (int i = 0; i < m->n_meta; i++) {
        buf_puts(b, "meta ");
        string_print(b, str_of(m->meta[i].key));
        buf_puts(b, " = ");
        attr_value_print(b, &m->meta[i].value);
        buf_putc(b, '\n');
    }
    for (int i = 0; i < m->n_sym; i++) {
        buf_puts(b, "sym ");
        word_print(b, m->sym[i]->name);
        buf_putc(b, ' ');
        range_print(b, m->sym[i]->lo, m->sym[i]->hi);
        buf_putc(b, '\n');
    }
    for (int i = 0; i < m->n_weight; i++)
        weight_print(b, m->weight[i]);
    for (int i = 0; i < m->n_state; i++) {
        buf_puts(b, "state @");
        name_print(b, m->state[i]->name);
        buf_puts(b, " : ");
        type_print(b, m->state[i]->type);
        buf_puts(b, " kind=");
        word_print(b, m->state[i]->kind);
        if (m->state[i]->init) {
            buf_puts(b, " init=");
            wexpr_print(b, m->state[i]->init);
        }
        buf_putc(b, '\n');
    }
    for (int i = 0; i < m->n_blob; i++) {
        buf_puts(b, "blob ");
        string_print(b, str_of(m->blob[i].name));
        buf_printf(b, " off=%" PRIu64 " bytes=%" PRIu64 "\n", m->blob[i].off, m->blob[i].n);
    }
    for (const Func *f = m->first_func; f; f = f->next)
        func_print(f, b);
    for (int i = 0; i < m->n_entry; i++)
        entry_print(b, &m->entry[i]);
}
