/* The folder: everything that is not the C of the model itself.
 *
 *   runtime.c, text.c, main.c, NAME_internal.h   sources of runtime/ copied, NAME_ made the model's
 * name Makefile, CMakeLists.txt, NAME.pc            how to build and link it manifest.json what
 * went in, what came out NAME.sir                                     the scheduled Module: what
 * verify, explain and inspect read
 *
 * Every byte follows from the Module: no date, no path, no host name. */
#include "codegen/board.h"
#include "codegen/c.h"
#include "codegen/board.h"
#include "codegen/check.h"
#include "codegen/net.h"
#include "codegen/parts.h"
#include "codegen/report.h"
#include "codegen/weights.h"
#include "ir/base/version.h"

#include <stdlib.h>

/* ---- how to build it ---- */

static const char *meta_of(const Writer *w, int i, const char *what)
{
    return module_meta_str(w->m, str_printf(w->a, "target.%d.%s", i, what), "");
}

/* The flags of target i, for make and CMake. */
static const char *flags_of(const Writer *w, int i)
{
    return emit_flags(w->a, str_of(meta_of(w, i, "cflags")));
}

bool asks_for_amx(const Writer *w)
{
    for (int i = 0; i < w->n_target && w->m->n_entry; i++)
        if (strstr(meta_of(w, i, "features"), "amx"))
            return true;
    return false;
}

static bool has_wasm(const Writer *w)
{
    return !strcmp(meta_of(w, 0, "family"), "wasm32");
}

#define TIGHT "--param=max-completely-peeled-insns=100"

/* A contracted multiply-add would be another sum: the flag is there even where a target's own flags lack it. */
static const char *missing_flags(const Writer *w, int i_target)
{
    return strstr(flags_of(w, i_target), "-ffp-contract=off") ? "" : " -ffp-contract=off";
}

static void write_makefile(Writer *w, Buf *b, bool text, bool link_weights)
{
    const char *n = w->name;

    buf_printf(b,
               "# %s: `make` builds lib%s.a and the program %s.  CC, AR, CFLAGS and LDFLAGS as "
               "everyone expects.\n",
               n, n, n);
    buf_printf(b, "ifeq ($(origin CC),default)\nCC = %s\nendif\n",
               emit_flags(w->a, str_of(meta_of(w, 0, "cc"))));
    if (has_wasm(w)) /* whose objects the system's ar makes no index for */
        buf_puts(b, "ifeq ($(origin AR),default)\nAR = llvm-ar\nendif\n");
    buf_printf(b,
               "CFLAGS ?= -O2\nbase = -std=c11 -D_GNU_SOURCE -Wall -Wextra -ffp-contract=off\n");
    /* A head of 256 numbers is 16 vectors: written out, the stages of Gemma 3 take 102 KB, else
     * 88, at the same speed.  Kernels that keep their sums in registers need what is left. */
    buf_printf(b,
               "\n# gcc writes loops of up to 200 instructions out; half of that is no slower and "
               "a seventh smaller.  clang has no such option.\n"
               "tight := $(shell $(CC) -Werror %s -E -x c /dev/null > /dev/null 2>&1 && echo %s)\n\n",
               TIGHT, TIGHT);
    buf_printf(b, "objects = %s.o runtime.o", n);
    if (text)
        buf_puts(b, " text.o");
    if (link_weights)
        buf_puts(b, " weights.o");
    for (int i = 0; i < w->n_target && w->m->n_entry; i++)
        buf_printf(b, " %s_%s.o", n, w->target[i]);
    buf_printf(b, "\n\nall: lib%s.a %s\n\nlib%s.a: $(objects)\n\trm -f $@\n\t$(AR) rcs $@ "
               "$(objects)\n\n",
               n, n, n);
    buf_printf(
        b, "%s: main.o lib%s.a\n\t$(CC) $(CFLAGS) $(LDFLAGS) main.o lib%s.a -o $@ -lpthread\n\n", n,
        n, n);
    buf_printf(b, "%%.o: %%.c %s.h %s_internal.h\n\t$(CC) $(base) $(CFLAGS) -c $< -o $@\n\n", n, n);
    buf_puts(b, "# Only these files get flags of an instruction set: everything else runs on any "
                "CPU of the family.\n");
    for (int i = 0; i < w->n_target && w->m->n_entry; i++)
        buf_printf(b,
                   "%s_%s.o: %s_%s.c kernels_%s.h %s.h %s_internal.h\n\t$(CC) -std=gnu11 -Wall "
                   "-Wextra $(CFLAGS) $(tight)%s %s -c $< -o $@\n",
                   n, w->target[i], n, w->target[i], w->target[i], n, n, missing_flags(w, i),
                   flags_of(w, i));
    if (link_weights)
        buf_printf(b, "weights.o: weights.c %s.weights\n\t$(CC) $(CFLAGS) -c $< -o $@\n", n);
    buf_printf(b, "\nclean:\n\trm -f *.o lib%s.a %s\n\n.PHONY: all clean\n", n, n);
}

static void write_cmake(Writer *w, Buf *b, bool text, bool link_weights)
{
    const char *n = w->name;

    buf_printf(b,
               "# %s: add_subdirectory() this folder and link the target "
               "`%s`.\ncmake_minimum_required(VERSION 3.13)\nproject(%s C)\n\n",
               n, n, n);
    buf_puts(b, "set(CMAKE_C_STANDARD 11)\nif(NOT CMAKE_BUILD_TYPE)\n  set(CMAKE_BUILD_TYPE "
                "Release)\nendif()\nfind_package(Threads REQUIRED)\n\n");
    buf_printf(b, "add_library(%s STATIC %s.c runtime.c%s%s", n, n, text ? " text.c" : "",
               link_weights ? " weights.c" : "");
    for (int i = 0; i < w->n_target && w->m->n_entry; i++)
        buf_printf(b, " %s_%s.c", n, w->target[i]);
    buf_printf(b,
               ")\ntarget_compile_definitions(%s PRIVATE _GNU_SOURCE)\ntarget_compile_options(%s "
               "PRIVATE -ffp-contract=off)\n",
               n, n);
    buf_printf(b,
               "target_include_directories(%s PUBLIC "
               "${CMAKE_CURRENT_SOURCE_DIR})\ntarget_link_libraries(%s PUBLIC Threads::Threads)\n",
               n, n);
    for (int i = 0; i < w->n_target && w->m->n_entry; i++)
        buf_printf(
            b,
            "set_source_files_properties(%s_%s.c PROPERTIES COMPILE_FLAGS \"-std=gnu11%s %s\")\n",
            n, w->target[i], missing_flags(w, i), flags_of(w, i));
    buf_printf(b,
               "\nif(CMAKE_CURRENT_SOURCE_DIR STREQUAL CMAKE_SOURCE_DIR)\n  add_executable(%s_main "
               "main.c)\n"
               "  set_target_properties(%s_main PROPERTIES OUTPUT_NAME %s)\n  "
               "target_compile_definitions(%s_main PRIVATE _GNU_SOURCE)\n"
               "  target_link_libraries(%s_main PRIVATE %s)\nendif()\n",
               n, n, n, n, n, n);
}

static void write_pkgconfig(Writer *w, Buf *b)
{
    buf_printf(b,
               "prefix=${pcfiledir}\n\nName: %s\nDescription: a model compiled to C by "
               "sinter\nVersion: %s\n",
               w->name, SINTER_VERSION);
    buf_printf(b, "Cflags: -I${prefix}\nLibs: -L${prefix} -l%s -lpthread\n", w->name);
}

/* One object that is the weights file: .incbin takes the path relative to where the compiler is
 * run, which is this folder. */
static void write_linked_weights(Writer *w, Buf *b)
{
    if (is_microcontroller(w->m)) { /* flash is not cut into pages */
        buf_printf(b,
                   "/* The weights, as they lie in flash. */\n"
                   "__asm__(\".section .rodata.%s,\\\"a\\\"\\n\"\n"
                   "        \".balign 64\\n\"\n"
                   "        \".global %s_linked_weights\\n\"\n"
                   "        \"%s_linked_weights:\\n\"\n"
                   "        \".incbin \\\"%s.weights\\\"\\n\"\n"
                   "        \".text\\n\");\n",
                   w->name, w->name, w->name, w->name);
        return;
    }
    if (has_wasm(w)) { /* where a section has a kind, and everything a size */
        buf_printf(b,
                   "/* The weights file as part of the program (--link-weights). */\n"
                   "__asm__(\".section .rodata.%s,\\\"\\\",@\\n\"\n"
                   "        \".p2align 14\\n\"\n"
                   "        \".globl %s_linked_weights\\n\"\n"
                   "        \"%s_linked_weights:\\n\"\n"
                   "        \".incbin \\\"%s.weights\\\"\\n\"\n"
                   "        \".size %s_linked_weights, .-%s_linked_weights\\n\"\n"
                   "        \".text\\n\");\n",
                   w->name, w->name, w->name, w->name, w->name, w->name);
        return;
    }
    buf_printf(b,
               "/* The weights file as part of the program (--link-weights). "
               "*/\n__asm__(\".section .rodata\\n\"\n        \".balign 16384\\n\"\n"
               "        \".global %s_linked_weights\\n\"\n        \"%s_linked_weights:\\n\"\n      "
               "  \".incbin \\\"%s.weights\\\"\\n\"\n"
               "        \".global %s_linked_weights_end\\n\"\n        "
               "\"%s_linked_weights_end:\\n\"\n        \".previous\\n\");\n",
               w->name, w->name, w->name, w->name, w->name);
}

/* ---- manifest.json ---- */

static void json_pair(Writer *w, Buf *b, const char *indent, const char *key, const char *value,
                      bool last)
{
    buf_printf(b, "%s%s: %s%s\n", indent, emit_json(w->a, str_of(key)),
               emit_json(w->a, str_of(value)), last ? "" : ",");
}

/* Bytes of weights that decoding one token reads: everything but rows of tables. */
static uint64_t bytes_per_token(const Module *m)
{
    uint64_t n = 0;

    for (int i = 0; i < m->n_weight; i++) {
        const Weight *x = m->weight[i];
        bool only_rows = true;

        if (x->layout && x->layout == layout_rows_for(x->type.fmt))
            continue;

        for (const Func *f = m->first_func; f; f = f->next)
            for (Op *o = f->body->first; o; o = op_walk(o, f->body))
                for (int k = 0; k < o->n_in; k++)
                    if (o->in[k] == x->value) {
                        const Region *r = o->n_region ? o->region[0] : NULL;

                        if (o->kind == OP_call)
                            only_rows = false;
                        for (const Op *p = r ? r->first : NULL; p; p = p->next)
                            for (int q = 0; q < p->n_in; q++)
                                if (p->in[q] == r->param[k] && p->kind != OP_rows)
                                    only_rows = false;
                    }
        if (!only_rows)
            n += x->bytes;
    }
    return n;
}

static void write_manifest(Writer *w, Buf *b, uint64_t state_bytes)
{
    const Module *m = w->m;

    buf_puts(b, "{\n  \"schema\": 1,\n");
    json_pair(w, b, "  ", "sinter", SINTER_VERSION, false);
    json_pair(w, b, "  ", "name", w->name, false);
    json_pair(w, b, "  ", "command", module_meta_str(m, "build.command", ""), false);
    json_pair(w, b, "  ", "model_name", module_meta_str(m, "general.name", ""), false);
    json_pair(w, b, "  ", "architecture", module_meta_str(m, "general.architecture", ""), false);
    json_pair(w, b, "  ", "licence", module_meta_str(m, "general.license", ""), false);
    buf_puts(b, "  \"inputs\": [");
    for (int i = 0; i < m->n_file; i++)
        if (!m->file[i].packed)
            buf_printf(b, "%s\n    { \"file\": %s, \"bytes\": %" PRIu64 ", \"xxh3_128\": \"%s\" }",
                       i ? "," : "", emit_json(w->a, str_of(m->file[i].name)), m->file[i].bytes,
                       digest_hex(w->a, m->file[i].digest));
    buf_puts(b, "\n  ],\n  \"targets\": [");
    for (int i = 0; i < w->n_target; i++)
        buf_printf(b, "%s\n    { \"name\": %s, \"family\": %s, \"features\": %s, \"cflags\": %s }",
                   i ? "," : "", emit_json(w->a, str_of(meta_of(w, i, "name"))),
                   emit_json(w->a, str_of(meta_of(w, i, "family"))),
                   emit_json(w->a, str_of(meta_of(w, i, "features"))),
                   emit_json(w->a, str_of(meta_of(w, i, "cflags"))));
    buf_puts(b, "\n  ],\n");
    buf_printf(b, "  \"weights_bytes\": %" PRIu64 ",\n  \"bytes_per_token\": %" PRIu64 ",\n",
               m->weights_bytes, bytes_per_token(m));
    buf_printf(b, "  \"arena_bytes\": %" PRId64 ",\n  \"scratch_bytes_per_thread\": %" PRId64 ",\n",
               module_meta_int(m, "arena_bytes", 0), module_meta_int(m, "scratch_bytes", 0));
    buf_printf(b, "  \"state_bytes_per_position\": %" PRIu64 ",\n  \"weights\": [", state_bytes);
    for (int i = 0, n = 0; i < m->n_weight; i++) {
        const Weight *x = m->weight[i];

        if (x->layout)
            buf_printf(
                b,
                "%s\n    { \"name\": %s, \"type\": %s, \"layout\": \"%s\", \"offset\": %" PRIu64
                ", \"tile_stride\": %" PRIu64 ", \"bytes\": %" PRIu64 " }",
                n++ ? "," : "", emit_json(w->a, str_of(x->name)),
                emit_json(w->a, str_of(type_text(w->a, x->type))), x->layout->name, x->off,
                x->tile_stride, x->bytes);
    }
    buf_puts(b, "\n  ]\n}\n");
}

/* ---- NAME.sir ---- */

/* The Module as text that refers to NAME.weights only: weights become sections of it. */
static void write_sir(const Module *m, Buf *b)
{
    Module copy = *m;
    Weight *w;

    copy.weight = ARENA_ARRAY(m->a, Weight *, m->n_weight + 1);
    for (int i = 0; i < m->n_weight; i++) {
        w = ARENA_NEW(m->a, Weight);
        *w = *m->weight[i];
        if (w->layout) {
            w->expr = wexpr_new(&copy, W_packed, w->type);
            w->expr->off = w->off;
        }
        copy.weight[i] = w;
    }
    module_print(&copy, b);
}

/* ---- the folder ---- */

static bool put(Writer *w, FileSet *fs, const char *dir, const char *file, Buf *b)
{
    return file_write(fs, w->a, w->d, path_join(w->a, dir, file), buf_str(b));
}

static const char **split(Arena *a, const char *list)
{
    const char **out = ARENA_ARRAY(a, const char *, strlen(list) / 2 + 2);
    int n = 0;

    while (*list) {
        size_t k = strcspn(list, " ");

        if (k)
            out[n++] = str_z(a, (Str){ list, k });
        list += k + (list[k] == ' ');
    }
    return out;
}

static bool begin(Writer *w)
{
    w->name = module_meta_str(w->m, "build.name", "model");
    w->n_target = (int)module_meta_int(w->m, "build.n_target", 0);
    if (!is_c_ident(str_of(w->name)))
        return fail(w->d, NOWHERE,
                    "'%s' cannot be the name of a C library (give one with --name: a C identifier)",
                    w->name);
    if (w->n_target < 1 || w->n_target > MAX_TARGETS)
        return fail(w->d, NOWHERE, "a build has 1 to %d targets, not %d", MAX_TARGETS, w->n_target);
    for (int i = 0; i < w->n_target; i++) {
        w->target[i] = emit_ident(w->a, str_of(meta_of(w, i, "name")));
        w->isa[i] = split(w->a, meta_of(w, i, "isa"));
        if (!w->isa[i][0])
            return fail(w->d, NOWHERE, "target %d has no kernels (is this Module scheduled?)", i);
    }
    return true;
}

/* The tokenizer of this model's kind, and templates if it has one. */
static void put_text(const Module *m, Buf *b, const char *name)
{
    bool spm = !strcmp(module_meta_str(m, "text.kind", ""), "spm");
    bool chat = *module_meta_str(m, "text.template", "") != 0;

    put_source(b, spm ? "runtime/text/words_spm.c" : "runtime/text/words_bpe.c", name);
    put_sources(b, text_parts, name);
    buf_putc(b, '\n');
    put_source(b, chat ? "runtime/text/chat.c" : "runtime/text/chat_none.c", name);
}

/* What tells of the folder, and makes it again. */
static bool write_account(Writer *w, FileSet *fs, const char *dir, uint64_t state_bytes)
{
    Buf b = buf_in(w->a);

    write_sir(w->m, &b);
    if (!put(w, fs, dir, str_printf(w->a, "%s.sir", w->name), &b))
        return false;
    b = buf_in(w->a);
    report_write(w->m, w->name, &b);
    if (!put(w, fs, dir, "report.html", &b))
        return false;
    b = buf_in(w->a);
    write_manifest(w, &b, state_bytes);
    return put(w, fs, dir, "manifest.json", &b);
}

/* Before the first header, so that no flag is needed: CPU affinity, cgroups, large pages. */
#define GNU "#ifndef _GNU_SOURCE\n#define _GNU_SOURCE\n#endif\n"

/* Makefile, CMakeLists.txt and NAME.pc of a folder for an operating system. */
static bool write_build_files(Writer *w, FileSet *fs, const char *dir, bool text, bool link)
{
    Buf b = buf_in(w->a);

    write_makefile(w, &b, text, link);
    if (!put(w, fs, dir, "Makefile", &b))
        return false;
    b = buf_in(w->a);
    write_cmake(w, &b, text, link);
    if (!put(w, fs, dir, "CMakeLists.txt", &b))
        return false;
    b = buf_in(w->a);
    write_pkgconfig(w, &b);
    return put(w, fs, dir, str_printf(w->a, "%s.pc", w->name), &b);
}

/* What stages and the text layer take of the stack at most, and room for a program's own. */
enum { TOKENS_STACK = 32768 };

/* The files of a microcontroller's folder that are not written by now. */
static bool write_firmware(Writer *w, FileSet *fs, const char *dir, bool text)
{
    const char **source = ARENA_ARRAY(w->a, const char *, 8);
    const char *weights = str_printf(w->a, "%s_weights", w->name);
    Buf b = buf_in(w->a);
    int n = 0;

    write_linked_weights(w, &b);
    if (!put(w, fs, dir, str_printf(w->a, "%s.c", weights), &b))
        return false;
    source[n++] = str_printf(w->a, "%s.c", w->name);
    source[n++] = "runtime.c";
    if (text)
        source[n++] = "text.c";
    if (w->m->n_entry)
        source[n++] = str_printf(w->a, "%s_%s.c", w->name, w->target[0]);
    source[n++] = str_printf(w->a, "%s.c", weights);
    return board_write(w, fs, dir, &(BoardSources){ .source = source, .weights = weights, .stack_bytes = TOKENS_STACK });
}

bool codegen_folder(const Module *m, FileSet *fs, const char *dir, Diag *d)
{
    Writer w = { .m = m, .a = m->a, .d = d, .ok = true };
    bool text = module_find_blob(m, "tok") != NULL,
         link = module_meta_int(m, "build.link_weights", 0) != 0;
    bool one_thread = module_meta_int(m, "build.one_thread", 0) != 0, bare = is_microcontroller(m);
    WeightsDigest digest;
    uint64_t state_bytes = 0;
    Buf b;
    const char *n;

    if (!codegen_check(m, d) || !board_check(m, d) || !begin(&w))
        return false;
    n = w.name;
    for (int i = 0; i < m->n_state; i++) {
        Type t = m->state[i]->type;
        uint64_t bytes;

        t.dim[0] = dim_const((Module *)m, 1);
        if (type_bytes(t, &bytes))
            state_bytes += bytes;
    }
    if (!weights_write(m, d, path_join(w.a, dir, str_printf(w.a, "%s.weights", n)), &digest))
        return false;
    if (module_is_network(m))
        return net_write_folder(&w, fs, dir) && write_account(&w, fs, dir, state_bytes);
    if (!write_model(&w, fs, dir, digest))
        return false;
    b = buf_in(w.a);
    buf_printf(&b,
               "/* The part of the runtime that this model uses. */\n%s#include \"%s_internal.h\"\n\n",
               bare ? "" : GNU, n);
    if (asks_for_amx(&w))
        put_source(&b, "runtime/core/tiles.c", n);
    put_sources(&b, bare ? runtime_parts_bare : one_thread ? runtime_parts_one_thread : runtime_parts, n);
    if (verifying_entry(&w)) {
        buf_putc(&b, '\n');
        put_source(&b, "runtime/text/lookup.c", n);
    }
    if (!put(&w, fs, dir, "runtime.c", &b))
        return false;
    if (text) {
        b = buf_in(w.a);
        buf_printf(
            &b, "/* Text: tokenizer, chat template, sampling. */\n#include \"%s_internal.h\"\n\n",
            n);
        put_text(m, &b, n);
        if (!put(&w, fs, dir, "text.c", &b))
            return false;
    }
    b = buf_in(w.a);
    if (bare)
        buf_printf(&b, "/* A program for trying it out. */\n#include \"%s_internal.h\"\n#include \"semihost.h\"\n\n", n);
    else
        buf_printf(&b, "/* The command-line program. */\n" GNU "#include \"%s_internal.h\"\n\n", n);
    put_sources(&b, bare ? main_parts_bare : main_parts, n);
    if ((!bare || has_board(m)) && !put(&w, fs, dir, "main.c", &b))
        return false;
    if (link && !bare) {
        b = buf_in(w.a);
        write_linked_weights(&w, &b);
        if (!put(&w, fs, dir, "weights.c", &b))
            return false;
    }
    if (bare ? !write_firmware(&w, fs, dir, text) : !write_build_files(&w, fs, dir, text, link))
        return false;
    return write_account(&w, fs, dir, state_bytes);
}
