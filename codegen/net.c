/* A network as C: NAME.h, its API, and NAME.c, its stages; see net.h for the other files, docs/networks.md for how the folder looks.
 *
 * There is one program: where a set of targets is asked for, it is plain C that all of them compile. */
#include "codegen/net.h"
#include "codegen/net_map.h"

#include "codegen/board.h"
#include "ir/base/version.h"

int net_ports(const Writer *w, bool output, NetPort **ports)
{
    const Region *r = w->m->entry[0].func->body;
    int n = output ? r->last->n_in : r->n_param;
    const char *lower = output ? "output" : "input", *upper = output ? "OUTPUT" : "INPUT";
    const Attr *at = op_attr(r->last, output ? "in" : "inputs");

    *ports = ARENA_ARRAY(w->a, NetPort, n + 1);
    for (int i = 0; i < n; i++) {
        const Value *v = output ? r->last->in[i] : r->param[i];
        const char *number = n == 1 ? "" : str_printf(w->a, "_%d", i);
        NetPort p = { .name = output && v->op && v->op->from ? v->op->from : v->name, .func = str_printf(w->a, "%s_%s%s", w->name, lower, number),
                      .macro = str_printf(w->a, "%s_%s%s", w->name, upper, number), .type = net_c_type(v->type.fmt),
                      .meta = str_printf(w->a, "%s.%d", lower, i), .shape = v->type, .at = at->ints[i] };

        type_bytes(v->type, &p.bytes);
        (*ports)[i] = p;
    }
    return n;
}

/* ---- NAME.h ------------------------------------------------------------------------------------------------------------------ */

static const char *float_text(Arena *a, double x)
{
    const char *s = str_float(a, x, true);

    return str_printf(a, "%s%sf", s, strpbrk(s, ".ein") ? "" : ".0");
}

static const Attr *port_fact(const Writer *w, const NetPort *p, const char *what)
{
    return module_meta(w->m, str_printf(w->a, "%s.%s", p->meta, what));
}

/* "i8[1,49,10,1]; real = 0.58 * (q - 83)" */
static const char *port_comment(const Writer *w, const NetPort *p)
{
    const Attr *scale = port_fact(w, p, "scale"), *zero = port_fact(w, p, "zero");

    if (!scale || scale->kind != ATTR_float || !zero || zero->kind != ATTR_int)
        return str_printf(w->a, "%s", shape_c(w, p->shape));
    if (zero->i == 0)
        return str_printf(w->a, "%s, real = %s * q", shape_c(w, p->shape), str_float(w->a, scale->f, true));
    return str_printf(w->a, "%s, real = %s * (q %c %" PRId64 ")", shape_c(w, p->shape), str_float(w->a, scale->f, true), zero->i < 0 ? '+' : '-',
                      zero->i < 0 ? -zero->i : zero->i);
}

static void write_head(const Writer *w, Emit *e, const char *what)
{
    const Module *m = w->m;

    emit(e, "/* %s: %s\n *\n * made by  %s\n", w->name, what, emit_comment(w->a, str_of(module_meta_str(m, "build.command", ""))));
    for (int i = 0; i < m->n_file; i++)
        if (!m->file[i].packed)
            emit(e, " * from     %s, %" PRIu64 " bytes, XXH3-128 %s\n", emit_comment(w->a, str_of(m->file[i].name)), m->file[i].bytes,
                 digest_hex(w->a, m->file[i].digest));
}

static void write_ports(const Writer *w, Emit *e, const NetPort *p, int n, bool output)
{
    for (int i = 0; i < n; i++) {
        emit(e, "\n/* %s: %s.  %s */\n", output ? "What it has computed" : "What it is to look at", port_comment(w, &p[i]),
             output ? "Valid until the next run, or until an input is written." : "Overwritten by the run: fill it in before each.");
        if (output)
            emit(e, "const %s *%s(const %s_Memory *m);\n", p[i].type, p[i].func, w->name);
        else
            emit(e, "%s *%s(%s_Memory *m);\n", p[i].type, p[i].func, w->name);
    }
}

static void write_port_macros(const Writer *w, Emit *e, const NetPort *p, int n)
{
    for (int i = 0; i < n; i++) {
        const Attr *scale = port_fact(w, &p[i], "scale"), *zero = port_fact(w, &p[i], "zero");

        emit(e, "#define %s_BYTES %" PRIu64 "    /* %s: %s */\n", p[i].macro, p[i].bytes, emit_comment(w->a, str_of(str_show(w->a, str_of(p[i].name), 60))),
             shape_c(w, p[i].shape));
        if (scale && scale->kind == ATTR_float && zero && zero->kind == ATTR_int)
            emit(e, "#define %s_SCALE %s\n#define %s_ZERO %s%" PRId64 "%s\n", p[i].macro, float_text(w->a, scale->f), p[i].macro, zero->i < 0 ? "(" : "",
                 zero->i, zero->i < 0 ? ")" : "");
    }
}

static void write_header(const Writer *w, Buf *b)
{
    Emit e = emit_new(w->a);
    const char *n = w->name;
    int64_t bytes = module_meta_int(w->m, "arena_bytes", 0);
    NetPort *in, *out;
    int n_in = net_ports(w, false, &in), n_out = net_ports(w, true, &out);

    write_head(w, &e, "a network as C");
    emit(&e, " * sinter %s; this code is 0BSD, the weights have their model's licence.\n *\n", SINTER_VERSION);
    emit(&e, " *     static %s_Memory memory;\n *\n", n);
    for (int i = 0; i < n_in; i++)
        emit(&e, " *     fill %s(&memory) with %s_BYTES bytes;\n", in[i].func, in[i].macro);
    if (w->m->n_state)
        emit(&e, " *     %s_reset(&memory), once, before the first run;\n", n);
    emit(&e, " *     %s_run(&memory);\n", n);
    for (int i = 0; i < n_out; i++)
        emit(&e, " *     look at %s(&memory)\n", out[i].func);
    emit(&e, " *\n * No function here allocates, prints, exits or recurses, and nothing is written but the memory that it is given. */\n");
    emit(&e, "#ifndef %s_H\n#define %s_H\n\n#include <stdint.h>\n\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n", n, n);
    emit(&e, "#define %s_MEMORY_BYTES %" PRId64 "\n", n, bytes);
    write_port_macros(w, &e, in, n_in);
    write_port_macros(w, &e, out, n_out);
    emit(&e, "\ntypedef enum {\n    %s_OK = 0,\n    %s_E_SELFTEST    /* %s_selftest has found other results than those that were recorded */\n} %s_Status;\n\n",
         n, n, n, n);
    emit(&e, "/* Everything that is written while it runs, inputs and outputs among it: give it a place, static.  Each run may have another one. */\n");
    emit(&e, "typedef union {\n    uint64_t align;\n    uint8_t bytes[%s_MEMORY_BYTES];\n} %s_Memory;\n", n, n);
    write_ports(w, &e, in, n_in, false);
    write_ports(w, &e, out, n_out, true);
    emit(&e, "\n/* Computes the outputs from the inputs. */\n%s_Status %s_run(%s_Memory *m);\n", n, n, n);
    if (w->m->n_state)
        emit(&e, "\n/* Forgets what earlier runs have left: before the first run, and where a new sequence begins. */\nvoid %s_reset(%s_Memory *m);\n", n, n);
    if (module_find_blob(w->m, "selftest"))
        emit(&e, "\n/* Runs an input whose outputs were computed when this code was made: %s_OK, or %s_E_SELFTEST.  In a file of its own: who does not call it,\n"
                 " * does not link it. */\n%s_Status %s_selftest(%s_Memory *m);\n", n, n, n, n, n);
    emit(&e, "\n#ifdef %s_TRACE\n/* Yours, where everything is compiled with -D%s_TRACE: called after each stage with what it has written. */\n"
             "void %s_trace(const char *stage, const void *p, uint32_t bytes);\n#endif\n", n, n, n);
    emit(&e, "\n#ifdef __cplusplus\n}\n#endif\n#endif\n");
    buf_put(b, e.b.p, e.b.n);
}

/* ---- NAME.c ------------------------------------------------------------------------------------------------------------------ */

static int count_arrays(const Func *f)
{
    int n = 1 + f->m->n_state;

    for (Op *o = f->body->first; o; o = op_walk(o, f->body))
        n += o->n_in + 2;
    return n;
}

/* Who lies where, stage by stage. */
static void write_map_comment(const Writer *w, Emit *e)
{
    NetMap map = net_map(w->m, w->a);

    emit(e, " *\n * The memory, %" PRId64 " bytes, stage by stage:\n *\n", module_meta_int(w->m, "arena_bytes", 0));
    emit(e, " *   %-28s %9s %9s   %-14s   %s\n", "stage", "from", "to", "writes", "where");
    for (int i = 0; i < map.n_place; i++) {
        const NetPlace *p = &map.place[i];
        const char *over = p->first >= 0 ? net_map_over(&map, p->first, w->a) : "input";

        if (!p->v || p->v->kind == VAL_state)
            continue;
        if (p->last == map.n_stage)
            over = str_printf(w->a, "%s%soutput", over, *over ? "; " : "");
        emit(e, " *   %-28s %9" PRId64 " %9" PRId64 "   ", emit_ident(w->a, str_of(p->first >= 0 ? op_str(map.stage[p->first], "stage", "?") : p->name)), p->at,
             p->at + p->bytes - 1);
        emit(e, *over ? "%-14s   %s\n" : "%s%s\n", shape_c(w, p->v->type), emit_comment(w->a, str_of(over)));
    }
    for (int i = 0; i < w->m->n_state; i++) {
        int64_t at = op_attr(w->m->entry[0].func->body->last, "states")->ints[i];
        uint64_t bytes = 0;

        type_bytes(w->m->state[i]->type, &bytes);
        emit(e, " *   %-28s %9" PRId64 " %9" PRId64 "   %s, from run to run\n", emit_ident(w->a, str_of(w->m->state[i]->name)), at, at + (int64_t)bytes - 1,
             shape_c(w, w->m->state[i]->type));
    }
    emit(e, " */\n");
}

static void write_access(const Writer *w, Emit *e, NetWriter *z, bool output)
{
    NetPort *p;
    int n = net_ports(w, output, &p);

    for (int i = 0; i < n; i++) {
        const char *c = output ? "const " : "";

        emit(e, "%s%s *%s(%s%s_Memory *memory)\n{\n    %suint8_t *m = memory->bytes;\n\n    return %s;\n}\n\n", c, p[i].type, p[i].func, c, w->name, c,
             net_address(z, p[i].at, p[i].shape.fmt, output));
    }
}

/* Bytes of a tensor; of one of `n` rows of it. */
static int64_t row_bytes(Type t, int64_t n)
{
    uint64_t bytes = 0;

    type_bytes(t, &bytes);
    return (int64_t)bytes / n;
}

/* y = x, of n bytes; steps: how far the next round's are, 0: they are the same.  Nothing where it is there already. */
static void write_copy(NetWriter *z, Emit *e, int64_t y, int64_t y_step, int64_t x, int64_t x_step, int64_t n)
{
    Arena *a = z->w->a;

    if (y == x && !x_step && !y_step)
        return;
    emit(e, "%s(m + %" PRId64 "%s, m + %" PRId64 "%s, %" PRId64 ");\n", net_use(z, "sn_copy"), y, y_step ? str_printf(a, " + step * %" PRId64, y_step) : "", x,
         x_step ? str_printf(a, " + step * %" PRId64, x_step) : "", n);
}

static int64_t place_of(const Op *o, const char *attr, int i)
{
    return op_attr(o, attr)->ints[i];
}

/* What is carried goes into its places, then round by round a row of each operand. */
static void begin_scan(NetWriter *z, Emit *e, const Op *o)
{
    int64_t count = op_int(o, "count", 1), carried = op_int(o, "carried", 0), rows = op_int(o, "rows", 0);

    for (int i = 0; i < carried; i++)
        write_copy(z, e, place_of(o, "params", i), 0, place_of(o, "in", i), 0, row_bytes(o->in[i]->type, 1));
    emit_open(e, "for (int32_t step = 0; step < %" PRId64 "; step++) {", count);
    for (int i = (int)carried; i < carried + rows; i++) {
        int64_t n = row_bytes(o->in[i]->type, count);

        write_copy(z, e, place_of(o, "params", i), 0, place_of(o, "in", i), n, n);
    }
}

static void end_scan(NetWriter *z, Emit *e, const Op *yield)
{
    const Op *o = yield->parent->owner;
    int64_t count = op_int(o, "count", 1), carried = op_int(o, "carried", 0);

    for (int i = (int)carried; i < yield->n_in; i++) {
        int64_t n = row_bytes(o->out[i]->type, count);

        write_copy(z, e, place_of(o, "out", i), n, place_of(yield, "in", i), 0, n);
    }
    for (int i = 0; i < carried; i++)
        write_copy(z, e, place_of(o, "params", i), 0, place_of(yield, "in", i), 0, row_bytes(yield->in[i]->type, 1));
    emit_close(e, "");
}

static void write_call(const Writer *w, Emit *e, const Op *o)
{
    const char *name = emit_ident(w->a, str_of(op_str(o, "stage", "?")));
    uint64_t bytes = 0;

    type_bytes(o->out[0]->type, &bytes);
    emit(e, "%s(m);\n#ifdef %s_TRACE\n%s_trace(\"%s\", m + %" PRId64 ", %" PRIu64 ");\n#endif\n", name, w->name, w->name, name, net_place_out(o), bytes);
}

static void write_run(NetWriter *z, Emit *e, const Func *f)
{
    const Writer *w = z->w;

    emit_open(e, "%s_Status %s_run(%s_Memory *memory)\n{", w->name, w->name, w->name);
    emit(e, "uint8_t *m = memory->bytes;\n\n");
    for (const Op *o = f->body->first; o; o = net_next(o))
        switch (o->kind) {
        case OP_fused: write_call(w, e, o); break;
        case OP_load: write_copy(z, e, place_of(o, "out", 0), 0, place_of(o, "in", 0), 0, row_bytes(o->out[0]->type, 1)); break;
        case OP_store: write_copy(z, e, place_of(o, "in", 0), 0, place_of(o, "in", 1), 0, row_bytes(o->in[1]->type, 1)); break;
        case OP_scan: begin_scan(z, e, o); break;
        case OP_yield: end_scan(z, e, o); break;
        default: break;
        }
    emit(e, "return %s_OK;\n", w->name);
    emit_close(e, "");
}

/* NAME_reset: what states begin with. */
static bool write_reset(NetWriter *z, Emit *e, const Func *f)
{
    const Writer *w = z->w;
    const Module *m = w->m;

    if (!m->n_state)
        return true;
    emit_open(e, "\nvoid %s_reset(%s_Memory *memory)\n{", w->name, w->name);
    emit(e, "uint8_t *m = memory->bytes;\n\n");
    for (int i = 0; i < m->n_state; i++) {
        const State *s = m->state[i];
        const Weight init = { .name = s->name, .type = s->type, .expr = s->init };
        bool ints = s->type.fmt->kind == FORMAT_int;
        const void *v = !s->init ? NULL : ints ? (const void *)net_ints(m, &init, w->a, w->d) : (const void *)net_floats(m, &init, w->a, w->d);
        int64_t at = place_of(f->body->last, "states", i), n = type_n(s->type);

        if (s->init && !v)
            return false;
        if (v)
            emit(e, "for (int32_t i = 0; i < %" PRId64 "; i++)\n    (%s)[i] = %s[i];\n", n, net_address(z, at, s->type.fmt, false),
                 net_add_array(z, "state", str_printf(w->a, "%d", i), net_c_type(s->type.fmt), v, (uint64_t)n, shape_c(w, s->type)));
        else
            emit(e, "for (int32_t i = 0; i < %" PRId64 "; i++)\n    m[%" PRId64 " + i] = 0;\n", row_bytes(s->type, 1), at);
    }
    emit_close(e, "");
    return true;
}

static bool write_source(NetWriter *z, Buf *b)
{
    const Writer *w = z->w;
    Emit e = emit_new(w->a);

    write_head(w, &e, "its stages, in the order in which they run");
    write_map_comment(w, &e);
    emit(&e, "#include \"%s.h\"\n#include \"%s_weights.h\"\n#include \"kernels_%s.h\"\n\n", w->name, w->name, w->target[0]);
    for (const Op *o = z->f->body->first; o; o = net_next(o))
        if (o->kind == OP_fused)
            net_write_stage(z, &e, o);
    write_access(w, &e, z, false);
    write_access(w, &e, z, true);
    write_run(z, &e, z->f);
    z->ok = write_reset(z, &e, z->f) && z->ok;
    buf_put(b, e.b.p, e.b.n);
    return z->ok && w->ok;
}

/* ---- the folder -------------------------------------------------------------------------------------------------------------- */

static bool put(const Writer *w, FileSet *fs, const char *dir, const char *file, Buf *b)
{
    return file_write(fs, w->a, w->d, path_join(w->a, dir, file), buf_str(b));
}

static BoardPort *board_ports(const Writer *w, bool output, int *n)
{
    NetPort *p;
    BoardPort *b;

    *n = net_ports(w, output, &p);
    b = ARENA_ARRAY(w->a, BoardPort, *n + 1);
    for (int i = 0; i < *n; i++)
        b[i] = (BoardPort){ p[i].name, p[i].func, p[i].bytes };
    return b;
}

static bool write_for_board(const NetWriter *z, FileSet *fs, const char *dir)
{
    Writer *w = z->w;
    const char *const source[] = { str_printf(w->a, "%s.c", w->name), str_printf(w->a, "%s_weights.c", w->name),
                                   module_find_blob(w->m, "selftest") ? str_printf(w->a, "%s_selftest.c", w->name) : NULL, NULL };
    const char *const header[] = { str_printf(w->a, "%s.h", w->name), str_printf(w->a, "%s_weights.h", w->name),
                                   str_printf(w->a, "kernels_%s.h", w->target[0]), NULL };
    BoardSources s = { .source = source, .header = header, .weights = str_printf(w->a, "%s_weights", w->name), .stack_bytes = 4096 };

    s.placed = ARENA_ARRAY(w->a, BoardPlaced, z->n_array + 1);
    for (int i = 0; i < z->n_array; i++)
        if (z->array[i].region)
            s.placed[s.n_placed++] = (BoardPlaced){ z->array[i].name, z->array[i].region };
    s.in = board_ports(w, false, &s.n_in);
    s.out = board_ports(w, true, &s.n_out);
    return board_write(w, fs, dir, &s);
}

static bool write_build_files(const NetWriter *z, FileSet *fs, const char *dir)
{
    Writer *w = z->w;
    Buf b = buf_in(w->a);

    if (is_microcontroller(w->m))
        return write_for_board(z, fs, dir);
    net_write_makefile(w, &b);
    if (!put(w, fs, dir, "Makefile", &b))
        return false;
    b = buf_in(w->a);
    net_write_cmake(w, &b);
    if (!put(w, fs, dir, "CMakeLists.txt", &b))
        return false;
    b = buf_in(w->a);
    net_write_main(w, &b);
    return put(w, fs, dir, "main.c", &b);
}

bool net_write_folder(Writer *w, FileSet *fs, const char *dir)
{
    const Func *f = w->m->entry[0].func;
    NetWriter z = { .w = w, .f = f, .unit = kernel_unit(w->n_target == 1 ? w->isa[0][0] : "portable"), .ok = true, .cap_array = count_arrays(f) };
    Buf source = buf_in(w->a), b = buf_in(w->a), weights = buf_in(w->a);

    if (w->n_target > 1)
        w->target[0] = "portable";
    z.wanted = ARENA_ARRAY(w->a, bool, z.unit->n_entities + 1);
    z.array = ARENA_ARRAY(w->a, NetArray, z.cap_array);
    if (!write_source(&z, &source) || !put(w, fs, dir, str_printf(w->a, "%s.c", w->name), &source))
        return false;
    write_header(w, &b);
    if (!put(w, fs, dir, str_printf(w->a, "%s.h", w->name), &b))
        return false;
    b = buf_in(w->a);
    net_write_weights(&z, &b, &weights);
    if (!put(w, fs, dir, str_printf(w->a, "%s_weights.h", w->name), &b) || !put(w, fs, dir, str_printf(w->a, "%s_weights.c", w->name), &weights))
        return false;
    b = buf_in(w->a);
    buf_printf(&b, "/* The kernels that %s uses on %s. */\n#ifndef %s_KERNELS_H\n#define %s_KERNELS_H\n\n", w->name, w->target[0], w->name, w->name);
    kernel_emit(&b, z.unit, z.wanted, -1);
    buf_puts(&b, "\n#endif\n");
    if (!put(w, fs, dir, str_printf(w->a, "kernels_%s.h", w->target[0]), &b))
        return false;
    if (module_find_blob(w->m, "selftest")) {
        b = buf_in(w->a);
        net_write_selftest(w, &b);
        if (!w->ok || !put(w, fs, dir, str_printf(w->a, "%s_selftest.c", w->name), &b))
            return false;
    }
    return write_build_files(&z, fs, dir);
}
