/* The C writer: NAME.h, NAME_internal.h, NAME.c and, per target, NAME_TARGET.c with
 * kernels_TARGET.h (stage.c).
 *
 * NAME.c holds what does not depend on the instruction set: the table of what differs between
 * layers (offsets of weights, numbers of states), and one function per function of the Module that
 * calls stages in order. */
#include "codegen/c.h"

#include "codegen/board.h"
#include "codegen/parts.h"
#include "ir/base/version.h"
#include "ir/stages.h"

/* ---- what differs between calls ---- */

static bool is_arg(const Value *p)
{
    return p->stands_for == VAL_weight || p->stands_for == VAL_state;
}

static void print_args_types(Writer *w, Emit *e)
{
    for (int i = 0; i < w->n_args; i++) {
        bool seen = false;

        for (int k = 0; k < i; k++)
            seen = seen || !strcmp(w->args[k].type, w->args[i].type);
        if (seen)
            continue;
        emit(e,
             "/* What differs between layers: where their weights lie in %s.weights (bytes), which "
             "states are theirs. */\n",
             w->name);
        emit(e, "typedef struct {\n");
        emit(e, "%s", w->args[i].fields);
        emit(e, "} %s;\n\n", w->args[i].type);
    }
}

static const char *row_of_call(Writer *w, const Op *call)
{
    Buf b = buf_in(w->a);
    const Func *f = call->callee;

    for (int i = 0; i < f->body->n_param; i++) {
        const Value *v = call->in[i];

        if (!is_arg(f->body->param[i]))
            continue;
        if (v->kind == VAL_weight)
            buf_printf(&b, "%s%" PRIu64, b.n ? ", " : "", v->weight->off);
        else if (v->kind == VAL_state)
            buf_printf(&b, "%s%d", b.n ? ", " : "", v->state->index);
        else
            bug("a call passes on a parameter for a weight");
    }
    return buf_z(&b);
}

/* The table of all calls of f in caller: "decode_layers"; equal tables are printed once and shared.
 */
typedef struct {
    const char *name, *text, *type;
} Table;

static const char *table_of(Writer *w, Emit *e, Table *tables, int *n_tables, const Func *caller,
                            const Func *callee)
{
    Buf b = buf_in(w->a);
    const ArgsType *t = args_of(w, callee);
    const char *text;
    int n = 0;

    for (const Op *o = caller->body->first; o; o = o->next)
        if (o->kind == OP_call && o->callee == callee) {
            buf_printf(&b, "    { %s },\n", row_of_call(w, o));
            n++;
        }
    text = buf_z(&b);
    for (int i = 0; i < *n_tables; i++)
        if (!strcmp(tables[i].text, text) && !strcmp(tables[i].type, t->type))
            return tables[i].name;
    tables[*n_tables] =
        (Table){ *n_tables ? str_printf(w->a, "layers_%d", *n_tables + 1) : "layers", text,
                 t->type };
    emit(e, "static const %s %s[%d] = {\n%s};\n\n", t->type, tables[*n_tables].name, n, text);
    return tables[(*n_tables)++].name;
}

/* ---- the schedule ---- */

static const char *n_chunks_c(Writer *w, const Func *f, const Op *s)
{
    const Attr *chunks = op_attr(s, "chunks");
    const Region *r = s->region[0];
    const Op *anchor = stage_anchor(s), *last = r->last->prev;
    const Value *v = anchor ? anchor->out[0] : last->n_out ? last->out[0] : last->in[1];
    int64_t tokens = op_int(s, "tokens", 1), sum = 0;
    Dim rows_dim = v->type.rank ? v->type.dim[0] : NULL;
    bool one;
    const char *rows;

    if (v->type.rank == 1 && dim_is_const(rows_dim, NULL) && anchor && anchor->kind == OP_matmul)
        rows_dim = NULL; /* one row without a dimension for it */
    rows = rows_c(w, f, rows_dim, &one);
    for (int i = 0; chunks && i < chunks->n_ints; i++)
        sum += chunks->ints[i];
    if (chunks)
        return strcmp(rows, "r->O") ? str_printf(w->a, "%" PRId64, sum)
                                    : str_printf(w->a, "r->O ? %" PRId64 " : 0", sum);
    if (anchor)
        sum = op_int(anchor, "n_head", 1);
    if (stage_most_heads(s) > 1) /* of one token */
        return op_attr(s, "threads") ? str_printf(w->a, "%" PRId64 " / (%s)", sum, heads_c(w, s))
                                     : str_printf(w->a, "%" PRId64, sum / stage_heads(s, 1));
    if (tokens > 1)
        rows = str_printf(w->a, "(%s + %" PRId64 ") / %" PRId64, rows, tokens - 1, tokens);
    return !sum || sum == 1     ? rows
           : !strcmp(rows, "1") ? str_printf(w->a, "%" PRId64, sum)
                                : str_printf(w->a, "%" PRId64 " * (%s)", sum, rows);
}

/* Under -DNAME_TRACE a stage's results go to the trace, named as the Module names them; in a layer
 * with the layer's number. */
static void emit_trace(Writer *w, Emit *e, const Func *f, const Op *s, bool in_layer)
{
    const Attr *out = op_attr(s, "out");

    emit(e, "#ifdef %s_TRACE\n", w->name);
    for (int i = 0; i < s->n_out; i++) {
        const Value *v = s->out[i];
        int64_t width = 1;
        bool one;
        const char *rows = rows_c(w, f, v->type.rank > 1 ? v->type.dim[0] : NULL, &one);

        if (strcmp(v->type.fmt->name, "f32") || v->type.rank != 2 ||
            !dim_is_const(type_last(v->type), &width))
            continue;
        emit(e, "if (me->id == 0)\n    %s_trace(%s, %s, ", w->name, in_layer ? "layer" : "-1",
             emit_str(w->a, str_of(v->name)));
        if (out->ints[i] >= 0)
            emit(e, "(const float *)(r->arena + %" PRId64 ")", out->ints[i]);
        else
            emit(e, "r->logits");
        emit(e, ", (size_t)(%s) * %" PRId64 ");\n", rows, width);
    }
    emit(e, "#endif\n");
}

static void emit_stage(Writer *w, Emit *e, const Func *f, const Op *s, bool in_layer)
{
    emit(e, "%s_stage(r, me, s->%s, %s, %s);\n", w->name, stage_c_name(w, f, s),
         in_layer ? "args" : "NULL", n_chunks_c(w, f, s));
    emit_trace(w, e, f, s, in_layer);
}

static void emit_layer_func(Writer *w, Emit *e, const Func *f)
{
    const ArgsType *t = args_of(w, f);

    emit_open(e, "static void %s(const %s_Run *r, %s_Worker *me, const %s *args, int layer)\n{",
              emit_ident(w->a, str_of(f->name)), w->name, w->name, t->type);
    emit(e, "const %s_Stages *s = r->stages;\n\n", w->name);
    emit(e, "(void)layer;\n");
    for (const Op *o = f->body->first; o; o = o->next)
        if (o->kind == OP_fused)
            emit_stage(w, e, f, o, true);
    emit_close(e, "\n");
}

static void emit_entry_func(Writer *w, Emit *e, const Func *f, Table *tables, int *n_tables)
{
    const char **table;
    const Func **callee;
    int *at, n_callee = 0, n_op = 0;

    for (const Op *o = f->body->first; o; o = o->next)
        n_op++;
    table = ARENA_ARRAY(w->a, const char *, n_op + 1);
    callee = ARENA_ARRAY(w->a, const Func *, n_op + 1);
    at = ARENA_ARRAY(w->a, int, n_op + 1);

    for (const Op *o = f->body->first; o; o = o->next)
        if (o->kind == OP_call) {
            bool seen = false;

            for (int i = 0; i < n_callee; i++)
                seen = seen || callee[i] == o->callee;
            if (seen)
                continue;
            callee[n_callee] = o->callee;
            table[n_callee] = table_of(w, e, tables, n_tables, f, o->callee);
            at[n_callee++] = 0;
        }
    for (int i = 0; i < n_callee; i++)
        emit_layer_func(w, e, callee[i]);
    emit_open(e, "static void %s(const %s_Run *r, %s_Worker *me)\n{",
              emit_ident(w->a, str_of(f->name)), w->name, w->name);
    emit(e, "const %s_Stages *s = r->stages;\n\n", w->name);
    for (const Op *o = f->body->first; o; o = o->next) {
        int c = 0, n = 1;
        bool in_order = true;

        if (o->kind == OP_fused)
            emit_stage(w, e, f, o, false);
        if (o->kind != OP_call)
            continue;
        while (callee[c] != o->callee)
            c++;
        for (const Op *p = o;
             p->next && p->next->kind == OP_call && p->next->callee == o->callee && in_order;
             p = p->next) {
            in_order = p->next->layer == p->layer + 1;
            n += in_order;
        }
        if (n > 1) {
            emit(e, "for (int i = 0; i < %d; i++)\n", n);
            emit(e, "    %s(r, me, &%s[%d + i], %d + i);\n",
                 emit_ident(w->a, str_of(o->callee->name)), table[c], at[c], o->layer);
        } else
            emit(e, "%s(r, me, &%s[%d], %d);\n", emit_ident(w->a, str_of(o->callee->name)),
                 table[c], at[c], o->layer);
        at[c] += n;
        for (; n > 1; n--)
            o = o->next;
    }
    emit_close(e, "\n");
}

/* ---- files ---- */

static void print_stages_type(Writer *w, Emit *e)
{
    emit(e, "/* The stages of every function in order of execution; one table per target, in the "
            "file compiled for it. */\n");
    emit(e, "typedef struct %s_Stages {\n", w->name);
    for (const Func *f = w->m->first_func; f; f = f->next)
        for (const Op *o = f->body->first; o; o = o->next)
            if (o->kind == OP_fused)
                emit(e, "    %s_StageFn *%s;\n", w->name, stage_c_name(w, f, o));
    emit(e, "} %s_Stages;\n", w->name);
    for (int i = 0; i < w->n_target; i++)
        emit(e, "extern const %s_Stages %s_stages_%s;\n", w->name, w->name, w->target[i]);
}

/* What a model is, as far as its API shows it. */
typedef struct {
    int64_t n_vocab, n_ids, n_ctx, max_tokens;
    const Entry *decode, *prefill;
} Shape;

static const Entry *entry_named(const Module *m, const char *name)
{
    for (int i = 0; i < m->n_entry; i++)
        if (!strcmp(m->entry[i].name, name))
            return &m->entry[i];
    return NULL;
}

/* Token ids that every table has a row for. */
static int64_t rows_of_tables(const Module *m)
{
    int64_t n = INT32_MAX;

    for (const Func *f = m->first_func; f; f = f->next)
        for (Op *o = f->body->first; o; o = op_walk(o, f->body))
            if (o->kind == OP_rows && type_n_rows(o->in[0]->type) < n)
                n = type_n_rows(o->in[0]->type);
    return n;
}

/* Tiles of decoding's head if it can be read in two stages, else 0. */
static int64_t head_tiles(const Module *m)
{
    for (int i = 0; i < m->n_entry; i++)
        for (Op *o = m->entry[i].func->body->first; o; o = op_walk(o, m->entry[i].func->body))
            if (o->kind == OP_matmul && op_attr(o, "bound.0"))
                return (type_n_rows(o->in[1]->type) + 31) / 32;
    return 0;
}

static Shape shape_of(const Module *m)
{
    Shape s = { .decode = entry_named(m, "decode"), .prefill = entry_named(m, "prefill") };
    const Sym *c = module_find_sym(m, STR("C")), *t = module_find_sym(m, STR("T"));

    s.n_ctx = c ? c->hi : 0;
    s.max_tokens = t ? t->hi : 0;
    for (int k = 0; s.prefill && k < s.prefill->n_range; k++)
        if (s.prefill->range[k].sym == t)
            s.max_tokens = s.prefill->range[k].hi;
    if (s.prefill)
        dim_is_const(type_last(s.prefill->func->body->last->in[0]->type), &s.n_vocab);
    else
        s.n_vocab = module_meta_int(m, "n_vocab", 0);
    s.n_ids = rows_of_tables(m) < s.n_vocab ? rows_of_tables(m) : s.n_vocab;
    return s;
}

/* What a session has in front of its scratch, for one thread (runtime/core/session.c: layout_of), and what aligning its block may cost. */
enum { SESSION_ROOM = 256, SESSION_ROOM_LOOKUP = 512, SESSION_WORKER = 128, SESSION_LINES = 256, SESSION_ALIGN = 128 };

static int64_t session_room(const Writer *w)
{
    return verifying_entry(w) ? SESSION_ROOM_LOOKUP : SESSION_ROOM;
}

static uint64_t session_bytes(const Writer *w)
{
    const Module *m = w->m;
    uint64_t n = (uint64_t)session_room(w) + SESSION_WORKER + SESSION_LINES + align_up(8 * (uint64_t)m->n_state, SESSION_ALIGN) +
                 align_up((uint64_t)module_meta_int(m, "scratch_bytes", 0), SESSION_ALIGN) +
                 align_up((uint64_t)module_meta_int(m, "arena_bytes", 0), SESSION_ALIGN);

    for (int i = 0; i < m->n_state; i++) {
        uint64_t bytes = 0;

        type_bytes(m->state[i]->type, &bytes);
        n += align_up(bytes, SESSION_ALIGN);
    }
    return n + SESSION_ALIGN - 1;
}

static void write_header(Writer *w, Buf *b, const Shape *s)
{
    const Module *m = w->m;
    Buf api = buf_in(w->a);
    const char *at, *mark = "#include <stdint.h>\n";

    put_source(&api, "runtime/core/api.h", w->name);
    at = strstr(buf_z(&api), mark);
    if (!at)
        bug("runtime/core/api.h does not include <stdint.h>");
    buf_printf(b,
               "/* %s: %s%s%s\n *\n * made by  %s\n * sinter %s; this code is 0BSD, the weights "
               "have their model's licence%s%s. */\n",
               w->name, emit_comment(w->a, str_of(module_meta_str(m, "general.name", "a model"))),
               module_meta_str(m, "general.architecture", NULL) ? ", architecture " : "",
               emit_comment(w->a, str_of(module_meta_str(m, "general.architecture", ""))),
               emit_comment(w->a, str_of(module_meta_str(m, "build.command", ""))), SINTER_VERSION,
               module_meta_str(m, "general.license", NULL) ? ": " : "",
               emit_comment(w->a, str_of(module_meta_str(m, "general.license", ""))));
    buf_put(b, api.p, (size_t)(at - api.p) + strlen(mark));
    buf_printf(b,
               "\nenum {\n    %s_N_VOCAB = %" PRId64
               ",    /* logits of a row */\n    %s_N_CTX = %" PRId64
               ",    /* most tokens of a context */\n    %s_MAX_TOKENS = %" PRId64
               "    /* most tokens computed at a time */\n};\n",
               w->name, s->n_vocab, w->name, s->n_ctx, w->name, s->max_tokens);
    if (module_meta_int(m, "build.one_thread", 0))
        buf_printf(b, "#define %s_SESSION_BYTES %" PRIu64 "    /* of a block for a session with the whole context, at most */\n", w->name,
                   session_bytes(w));
    buf_printf(b, "#define %s_HAS_TEXT %d    /* whether there is a tokenizer */\n", w->name,
               module_find_blob(m, "tok") != NULL);
    buf_printf(b, "#define %s_HAS_MODEL %d    /* whether there are weights */\n", w->name,
               m->n_entry > 0);
    buf_printf(b, "#define %s_HAS_LOOKUP %d    /* whether a session can guess tokens to come */\n",
               w->name, verifying_entry(w) != NULL);
    buf_puts(b, at + strlen(mark));
    if (module_find_blob(m, "tok"))
        put_source(b, "runtime/text/text.h", w->name);
}

static void write_internal(Writer *w, Buf *b, bool one_thread)
{
    Emit e = emit_new(w->a);

    buf_printf(b, "#include \"%s.h\"\n", w->name);
    put_source(b, is_microcontroller(w->m) ? "runtime/hal/bare.h" : "runtime/hal/libc.h", w->name);
    buf_printf(b, "#define %s_HAS_TILES %d    /* whether AMX is asked for, and tried */\n", w->name,
               asks_for_amx(w));
    if (one_thread)
        buf_printf(b, "#define %s_THREADS 0\n#define %s_SESSION_ROOM %" PRId64 "\n", w->name, w->name, session_room(w));
    if (verifying_entry(w) && !strcmp(module_meta_str(w->m, "build.spec", ""), "lookup"))
        buf_printf(b, "#define %s_SPEC \"lookup\"    /* what the program does by default */\n",
                   w->name);
    put_source(b, "runtime/core/internal.h", w->name);
    put_source(b, "runtime/core/weights_format.h", w->name);
    if (module_find_blob(w->m, "tok"))
        put_source(b, "runtime/text/tokenizer.h", w->name);
    if (!w->m->n_entry)
        return;
    emit(&e, "\n#ifndef %s_MODEL_INTERNAL_H\n#define %s_MODEL_INTERNAL_H\n\n", w->name, w->name);
    print_args_types(w, &e);
    print_stages_type(w, &e);
    emit(&e, "\n#endif\n");
    buf_put(b, e.b.p, e.b.n);
}

static void print_desc(Writer *w, Emit *e, const Shape *s, WeightsDigest digest)
{
    const Module *m = w->m;
    const char *n = w->name;
    bool link = module_meta_int(m, "build.link_weights", 0) != 0;

    if (link)
        emit(e, "extern const uint8_t %s_linked_weights[];\n\n", n);
    if (m->n_state) {
        emit(e,
             "/* Bytes of one position of each state. */\nstatic const %s_StateDesc states[%d] = "
             "{\n",
             n, m->n_state);
        for (int i = 0; i < m->n_state; i++) {
            Type t = m->state[i]->type;
            uint64_t bytes = 0;

            t.dim[0] = dim_const((Module *)m, 1);
            type_bytes(t, &bytes);
            emit(e, "    { %" PRIu64 ", 1 },    /* %s */\n", bytes,
                 emit_comment(w->a, str_of(m->state[i]->name)));
        }
        emit(e, "};\n\n");
    }
    for (int i = 0; i < w->n_target; i++) {
        const char *list = module_meta_str(m, str_printf(w->a, "target.%d.features", i), "");

        emit(e, "static const char *const features_%s[] = { ", w->target[i]);
        while (*list) {
            size_t k = strcspn(list, " ");

            emit(e, "%s, ", emit_str(w->a, (Str){ list, k }));
            list += k + (list[k] == ' ');
        }
        emit(e, "NULL };\n");
    }
    emit(e,
         "\n/* Best first: the first that this CPU can run is used. */\nstatic const %s_Isa "
         "isas[%d] = {\n",
         n, w->n_target);
    for (int i = 0; i < w->n_target; i++) {
        char *name =
            emit_str(w->a, str_of(module_meta_str(m, str_printf(w->a, "target.%d.name", i), "")));

        if (m->n_entry)
            emit(e, "    { %s, features_%s, &%s_stages_%s },\n", name, w->target[i], n,
                 w->target[i]);
        else
            emit(e, "    { %s, features_%s, NULL },\n", name, w->target[i]);
    }
    emit(e, "};\n\nconst %s_Desc %s_desc = {\n", n, n);
    emit(e, "    .digest = { 0x%016" PRIx64 "u, 0x%016" PRIx64 "u },\n", digest.half[0],
         digest.half[1]);
    emit(e, "    .weights_bytes = %" PRIu64 "u,\n", m->weights_bytes);
    emit(e, "    .linked = %s,\n", link ? str_printf(w->a, "%s_linked_weights", n) : "NULL");
    emit(e, "    .n_state = %d,\n    .state = %s,\n", m->n_state, m->n_state ? "states" : "NULL");
    emit(e, "    .arena_bytes = %" PRId64 ",\n    .scratch_bytes = %" PRId64 ",\n",
         module_meta_int(m, "arena_bytes", 0), module_meta_int(m, "scratch_bytes", 0));
    emit(e, "    .n_ids = %" PRId64 ",\n", s->n_ids);
    emit(e,
         "    .n_vocab = %" PRId64 ",\n    .n_ctx = %" PRId64 ",\n    .max_tokens = %" PRId64 ",\n",
         s->n_vocab, s->n_ctx, s->max_tokens);
    emit(e, "    .n_head_tile = %" PRId64 ",\n", head_tiles(m));
    emit(e, "    .decode = %s,\n    .prefill = %s,\n",
         s->decode ? emit_ident(w->a, str_of(s->decode->func->name)) : "NULL",
         s->prefill ? emit_ident(w->a, str_of(s->prefill->func->name)) : "NULL");
    emit(e, "    .verify = %s,\n",
         verifying_entry(w) ? emit_ident(w->a, str_of(verifying_entry(w)->func->name)) : "NULL");
    if (verifying_entry(w) && verifying_entry(w) != s->prefill) {
        int64_t few = module_meta_int(m, "build.few_tokens", 0);

        emit(e, "    .few_tokens = %" PRId64 ",\n", few < 0 ? 0 : few > s->max_tokens ? s->max_tokens : few);
    }
    emit(e, "    .isa = isas,\n    .n_isa = %d,\n};\n", w->n_target);
}

static void write_main_source(Writer *w, Buf *b, const Shape *s, WeightsDigest digest)
{
    const Module *m = w->m;
    Emit e = emit_new(w->a);
    Table *tables;
    int n_tables = 0, n_func = 0;

    for (const Func *f = m->first_func; f; f = f->next)
        n_func++;
    tables = ARENA_ARRAY(w->a, Table, n_func + 1);

    emit(&e, "/* The schedule of %s.\n *\n", w->name);
    emit(&e, " * made by  %s\n",
         emit_comment(w->a, str_of(module_meta_str(m, "build.command", ""))));
    for (int i = 0; i < m->n_file; i++)
        if (!m->file[i].packed)
            emit(&e, " * from     %s, %" PRIu64 " bytes, XXH3-128 %s\n",
                 emit_comment(w->a, str_of(m->file[i].name)), m->file[i].bytes,
                 digest_hex(w->a, m->file[i].digest));
    emit(&e,
         " * weights  %" PRIu64 " B   arena %" PRId64 " B   scratch %" PRId64
         " B per thread   up to %" PRId64 " tokens at a time\n */\n",
         m->weights_bytes, module_meta_int(m, "arena_bytes", 0),
         module_meta_int(m, "scratch_bytes", 0), s->max_tokens);
    emit(&e, "#include \"%s_internal.h\"\n\n", w->name);
    for (const Func *f = m->first_func; f; f = f->next)
        for (int i = 0; i < m->n_entry; i++)
            if (m->entry[i].func == f)
                emit_entry_func(w, &e, f, tables, &n_tables);
    print_desc(w, &e, s, digest);
    buf_put(b, e.b.p, e.b.n);
}

static bool put_file(Writer *w, FileSet *fs, const char *dir, const char *name, Buf *b)
{
    return file_write(fs, w->a, w->d, path_join(w->a, dir, name), buf_str(b));
}

bool write_model(Writer *w, FileSet *fs, const char *dir, WeightsDigest digest)
{
    Shape s = shape_of(w->m);
    Buf b = buf_in(w->a);

    find_args(w);
    write_header(w, &b, &s);
    if (!put_file(w, fs, dir, str_printf(w->a, "%s.h", w->name), &b))
        return false;
    b = buf_in(w->a);
    write_internal(w, &b, module_meta_int(w->m, "build.one_thread", 0) != 0);
    if (!put_file(w, fs, dir, str_printf(w->a, "%s_internal.h", w->name), &b))
        return false;
    b = buf_in(w->a);
    write_main_source(w, &b, &s, digest);
    if (!put_file(w, fs, dir, str_printf(w->a, "%s.c", w->name), &b))
        return false;
    for (int i = 0; i < w->n_target && w->m->n_entry; i++) {
        Buf c = buf_in(w->a), k = buf_in(w->a);

        write_stages(w, i, &c, &k);
        if (!w->ok ||
            !put_file(w, fs, dir, str_printf(w->a, "%s_%s.c", w->name, w->target[i]), &c) ||
            !put_file(w, fs, dir, str_printf(w->a, "kernels_%s.h", w->target[i]), &k))
            return false;
    }
    return true;
}
