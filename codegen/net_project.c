/* What surrounds a network in its folder: a program for a machine with files, the self-test, and how to build both. */
#include "codegen/net.h"

#include "codegen/parts.h"

/* ---- main.c ------------------------------------------------------------------------------------------------------------------ */

static void write_port_table(Writer *w, Buf *b, bool output)
{
    NetPort *p;
    int n = net_ports(w, output, &p);
    const char *lower = output ? "output" : "input", *c = output ? "const " : "";

    buf_printf(b, "static const Port %s_ports[] = {\n", lower);
    for (int i = 0; i < n; i++)
        buf_printf(b, "    { %s, \"%s\", \"%s\", %s_BYTES },\n", emit_str(w->a, str_of(p[i].name)), p[i].type, shape_c(w, p[i].shape), p[i].macro);
    buf_printf(b, "%s};\n\nstatic %svoid *%s_at(%s%s_Memory *m, int i)\n{\n    switch (i) {\n", n ? "" : "    { \"\", \"\", \"\", 0 }\n", c, lower, c, w->name);
    for (int i = 0; i < n; i++)
        buf_printf(b, "    case %d: return %s(m);\n", i, p[i].func);
    buf_printf(b, "    default: return m->bytes;\n    }\n}\n\n");
}

void net_write_main(Writer *w, Buf *b)
{
    NetPort *p;

    buf_printf(b, "#include \"%s.h\"\n\n#include <stddef.h>\n\n", w->name);
    if (module_find_blob(w->m, "selftest"))
        buf_puts(b, "#define HAS_SELFTEST 1\n\n");
    if (w->m->n_state)
        buf_puts(b, "#define HAS_STATE 1\n\n");
    buf_puts(b, "/* An input or output: its name, the C type of its elements, its shape, its size. */\n"
                "typedef struct { const char *name, *type, *shape; size_t bytes; } Port;\n\n");
    buf_printf(b, "enum { N_INPUTS = %d, N_OUTPUTS = %d };\n\n", net_ports(w, false, &p), net_ports(w, true, &p));
    write_port_table(w, b, false);
    write_port_table(w, b, true);
    put_source(b, "runtime/core/net_main.c", w->name);
}

/* ---- the self-test ------------------------------------------------------------------------------------------------------------ */

/* The bytes of a blob, which are in the Module or in the weights file beside its text; NULL: neither. */
static const uint8_t *blob_bytes(const Module *m, const Blob *blob)
{
    if (blob->p)
        return blob->p;
    for (int i = 0; i < m->n_file; i++)
        if (m->file[i].packed && m->file[i].p && blob->off <= m->file[i].bytes && blob->n <= m->file[i].bytes - blob->off)
            return m->file[i].p + blob->off;
    return NULL;
}

static void write_filler(Emit *e, const NetPort *p)
{
    emit(e, "for (int32_t i = 0; i < %" PRId64 "; i++) {\n", type_n(p->shape));
    emit(e, "    s = s * 1664525u + 1013904223u;\n");
    switch (format_id(p->shape.fmt)) {
    case FMT_f32: emit(e, "    %s(m)[i] = (float)((int32_t)(s >> 8) - 8388608) / 8388608.0f;\n", p->func); break;
    case FMT_u8: emit(e, "    %s(m)[i] = (uint8_t)(s >> 24);\n", p->func); break;
    case FMT_i16: emit(e, "    %s(m)[i] = (int16_t)((int32_t)(s >> 16) - 32768);\n", p->func); break;
    case FMT_i8: emit(e, "    %s(m)[i] = (int8_t)((int32_t)(s >> 24) - 128);\n", p->func); break;
    default: emit(e, "    %s(m)[i] = 0;\n", p->func);
    }
    emit(e, "}\n");
}

/* The recorded outputs as numbers, read from p on. */
static void write_wanted(Writer *w, Emit *e, const NetPort *port, int i, const uint8_t *p)
{
    const Format *f = port->shape.fmt;

    emit(e, "static const %s want_%d[%" PRId64 "] = {", port->type, i, type_n(port->shape));
    for (int64_t k = 0; k < type_n(port->shape); k++, p += f->bytes) {
        const char *text;
        float real;
        int32_t word;

        if (f->kind == FORMAT_float) {
            f->decode(&real, p, 1);
            text = str_printf(w->a, "%.9gf", (double)real);
            text = strpbrk(text, ".en") ? text : str_printf(w->a, "%.1ff", (double)real);
        } else {
            word = f->bytes == 1 ? (format_id(f) == FMT_i8 ? (int8_t)p[0] : p[0]) : f->bytes == 2 ? (int16_t)(p[0] | p[1] << 8)
                 : (int32_t)(p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24);
            text = word == INT32_MIN ? "-2147483647 - 1" : str_printf(w->a, "%" PRId32, word);
        }
        emit(e, "%s%s,", k % 12 ? " " : "\n    ", text);
    }
    emit(e, "\n};\n\n");
}

void net_write_selftest(Writer *w, Buf *b)
{
    Emit e = emit_new(w->a);
    NetPort *in, *out;
    int n_in = net_ports(w, false, &in), n_out = net_ports(w, true, &out);
    const Blob *blob = module_find_blob(w->m, "selftest");
    const uint8_t *p = blob_bytes(w->m, blob);
    uint64_t bytes = 0;

    for (int i = 0; i < n_out; i++)
        bytes += out[i].bytes;
    if (!p || bytes != blob->n) {
        w->ok = fail(w->d, NOWHERE, "the recorded outputs of the self-test are not at hand (keep the .weights file beside the .sir)");
        return;
    }
    emit(&e, "/* %s against what the reference interpreter computed when this code was made, for pseudo-random inputs. */\n#include \"%s.h\"\n\n", w->name, w->name);
    for (int i = 0; i < n_out; i++) {
        write_wanted(w, &e, &out[i], i, p);
        p += out[i].bytes;
    }
    emit_open(&e, "%s_Status %s_selftest(%s_Memory *m)\n{", w->name, w->name, w->name);
    if (n_in)
        emit(&e, "uint32_t s = 1;\n\n");
    if (w->m->n_state)
        emit(&e, "%s_reset(m);\n", w->name);
    for (int i = 0; i < n_in; i++)
        write_filler(&e, &in[i]);
    emit(&e, "%s_run(m);\n", w->name);
    for (int i = 0; i < n_out; i++) {
        emit_open(&e, "for (int32_t i = 0; i < %" PRId64 "; i++) {", type_n(out[i].shape));
        if (out[i].shape.fmt->kind == FORMAT_float) {
            emit(&e, "float size = want_%d[i] < 0.0f ? -want_%d[i] : want_%d[i], off = %s(m)[i] - want_%d[i];\n\n", i, i, i, out[i].func, i);
            emit(&e, "if (!(off <= 1e-4f * (1.0f + size) && off >= -1e-4f * (1.0f + size)))\n");
        } else
            emit(&e, "if (%s(m)[i] != want_%d[i])\n", out[i].func, i);
        emit(&e, "    return %s_E_SELFTEST;\n", w->name);
        emit_close(&e, "");
    }
    if (w->m->n_state)
        emit(&e, "%s_reset(m);\n", w->name);
    emit(&e, "return %s_OK;\n", w->name);
    emit_close(&e, "");
    buf_put(b, e.b.p, e.b.n);
}

/* ---- how to build it ----------------------------------------------------------------------------------------------------------- */

static const char *meta_of(const Writer *w, const char *what)
{
    return w->n_target == 1 ? module_meta_str(w->m, str_printf(w->a, "target.0.%s", what), "") : "";
}

/* Kernels of an instruction set are GNU C. */
static const char *standard(const Writer *w)
{
    return w->n_target > 1 || !strcmp(w->isa[0][0], "portable") ? "c99" : "gnu11";
}

static const char *flags_of(const Writer *w)
{
    return w->n_target > 1 ? "-ffp-contract=off" : emit_flags(w->a, str_of(meta_of(w, "cflags")));
}

void net_write_makefile(Writer *w, Buf *b)
{
    const char *n = w->name, *flags = flags_of(w);
    bool test = module_find_blob(w->m, "selftest") != NULL;

    buf_printf(b, "# %s: `make` builds lib%s.a and the program %s.  CC, AR, CFLAGS and LDFLAGS as everyone expects.\n", n, n, n);
    if (*meta_of(w, "cc"))
        buf_printf(b, "ifeq ($(origin CC),default)\nCC = %s\nendif\n", emit_flags(w->a, str_of(meta_of(w, "cc"))));
    if (!strcmp(meta_of(w, "family"), "wasm32"))
        buf_puts(b, "ifeq ($(origin AR),default)\nAR = llvm-ar\nendif\n");
    buf_puts(b, "CFLAGS ?= -O2\nwarnings = -Wall -Wextra\n");
    buf_printf(b, "objects = %s.o %s_weights.o%s\n\n", n, n, test ? str_printf(w->a, " %s_selftest.o", n) : "");
    buf_printf(b, "all: lib%s.a %s\n\nlib%s.a: $(objects)\n\trm -f $@\n\t$(AR) rcs $@ $(objects)\n\n", n, n, n);
    buf_printf(b, "%s: main.o lib%s.a\n\t$(CC) $(CFLAGS) $(LDFLAGS) main.o lib%s.a -o $@\n\n", n, n, n);
    buf_printf(b, "%s.o: %s.c %s.h %s_weights.h kernels_%s.h\n\t$(CC) -std=%s $(warnings) %s%s $(CFLAGS) -c $< -o $@\n", n, n, n, n, w->target[0], standard(w),
               strstr(flags, "-ffp-contract=off") ? "" : "-ffp-contract=off ", flags);
    buf_printf(b, "%%.o: %%.c %s.h %s_weights.h\n\t$(CC) -std=c99 $(warnings) $(CFLAGS) -c $< -o $@\n\n", n, n);
    buf_printf(b, "clean:\n\trm -f *.o lib%s.a %s\n\n.PHONY: all clean\n", n, n);
}

void net_write_cmake(Writer *w, Buf *b)
{
    const char *n = w->name, *flags = flags_of(w);

    buf_printf(b, "# %s: add_subdirectory() this folder and link the target `%s`.\ncmake_minimum_required(VERSION 3.13)\nproject(%s C)\n\n", n, n, n);
    buf_puts(b, "if(NOT CMAKE_BUILD_TYPE)\n  set(CMAKE_BUILD_TYPE Release)\nendif()\n\n");
    buf_printf(b, "add_library(%s STATIC %s.c %s_weights.c%s)\n", n, n, n, module_find_blob(w->m, "selftest") ? str_printf(w->a, " %s_selftest.c", n) : "");
    buf_printf(b, "target_include_directories(%s PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})\n", n);
    buf_printf(b, "set_source_files_properties(%s.c PROPERTIES COMPILE_FLAGS \"-std=%s %s%s\")\n", n, standard(w),
               strstr(flags, "-ffp-contract=off") ? "" : "-ffp-contract=off ", flags);
    buf_printf(b, "\nif(CMAKE_CURRENT_SOURCE_DIR STREQUAL CMAKE_SOURCE_DIR)\n  add_executable(%s_main main.c)\n"
                  "  set_target_properties(%s_main PROPERTIES OUTPUT_NAME %s)\n  target_link_libraries(%s_main PRIVATE %s)\nendif()\n", n, n, n, n, n);
}
