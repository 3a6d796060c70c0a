/* Folders for microcontrollers: Makefile, linker script, start-up code.
 *
 * The linker script is written from the board's regions, in their order, each with the sections of what it holds:
 *
 *     start       .start       the vector table, and words that a boot ROM looks for
 *     weights     .weights     constants of the file that holds the weights
 *     code        .text
 *     constants   .constants   other constants; tables that tell start-up code what to copy and what to zero
 *     stack       .stack       at the beginning of its region: what overflows it leaves the region, where there is no memory or something else
 *     data        .data .bss
 *
 * Variables with first values have them behind the constants (`data: copied`), or a boot loader puts them where they belong. */
#include "codegen/board.h"
#include "ir/net.h"
#include "codegen/parts.h"

#include <stdlib.h>

enum { MAX_REGIONS = 16, MAX_HEADER = 16 };

typedef struct { const char *name, *kind, *holds; uint64_t base, bytes; } Memory;

static const char *const things[] = { "start", "weights", "code", "constants", "stack", "data", NULL };

static const struct { const char *name, *thing; } sections[] = {
    { ".start", "start" },         { ".weights", "weights" }, { ".text", "code" },
    { ".constants", "constants" }, { ".data", "data" },       { ".bss", "data" }
};

static bool has_word(const char *list, const char *word)
{
    size_t n = strlen(word);

    for (const char *p = list; (p = strstr(p, word)) != NULL; p += n)
        if ((p == list || p[-1] == ' ') && (!p[n] || p[n] == ' '))
            return true;
    return false;
}

bool is_microcontroller(const Module *m)
{
    const char *family = module_meta_str(m, "target.0.family", "");

    return !strcmp(family, "cortex-m") || !strcmp(family, "riscv32");
}

bool has_board(const Module *m)
{
    return module_meta_int(m, "board.n_region", 0) > 0;
}

static Memory region_of(const Module *m, int i)
{
    const char *key = str_printf(m->a, "board.%d.", i);

    return (Memory){ .name = module_meta_str(m, str_printf(m->a, "%sname", key), ""),
                     .kind = module_meta_str(m, str_printf(m->a, "%skind", key), ""),
                     .holds = module_meta_str(m, str_printf(m->a, "%sholds", key), ""),
                     .base = (uint64_t)module_meta_int(m, str_printf(m->a, "%sbase", key), -1),
                     .bytes = (uint64_t)module_meta_int(m, str_printf(m->a, "%sbytes", key), -1) };
}

/* ---- what the metadata may say --------------------------------------------------------------------------------------------- */

static bool is_words(const char *s, const char *of)
{
    return strspn(s, of) == strlen(s);
}

static bool check_region(Diag *d, const Memory *r)
{
    if (!is_c_ident(str_of(r->name)) || !is_words(r->name, "abcdefghijklmnopqrstuvwxyz0123456789_"))
        return fail(d, NOWHERE, "the Module's board has a region whose name is no name of a region");
    if (strcmp(r->kind, "flash") && strcmp(r->kind, "ram") && strcmp(r->kind, "external"))
        return fail(d, NOWHERE, "region '%s' of the Module's board has no kind", r->name);
    if (r->base > UINT32_MAX || !r->bytes || r->bytes > UINT32_MAX || r->base + r->bytes > (uint64_t)UINT32_MAX + 1)
        return fail(d, NOWHERE, "region '%s' of the Module's board lies outside 4 GiB", r->name);
    return true;
}

static bool is_board_ram(const Module *m, const char *name)
{
    for (int i = 0; i < module_meta_int(m, "board.n_region", 0); i++)
        if (!strcmp(region_of(m, i).name, name) && !strcmp(region_of(m, i).kind, "ram"))
            return true;
    return false;
}

bool board_check(const Module *m, Diag *d)
{
    int64_t n = module_meta_int(m, "board.n_region", 0);

    if (!is_microcontroller(m) && project_kind(m) != PROJECT_plain)
        return fail(d, NOWHERE, "--project %s is for microcontrollers (-t cortex-m4f, a board, ...; `sinter targets` lists them)",
                    module_meta_str(m, "build.project", ""));
    if (!is_microcontroller(m) || n == 0)
        return n == 0 || fail(d, NOWHERE, "the Module has a board, but its target is no microcontroller");
    if (n < 0 || n > MAX_REGIONS)
        return fail(d, NOWHERE, "the Module's board has %" PRId64 " regions (at most %d)", n, MAX_REGIONS);
    for (int i = 0; i < n; i++) {
        Memory r = region_of(m, i);

        if (!check_region(d, &r))
            return false;
    }
    if (*module_meta_str(m, "board.memory", "") && !is_board_ram(m, module_meta_str(m, "board.memory", "")))
        return fail(d, NOWHERE, "the Module's board has no RAM for the model's memory");
    for (int t = 0; things[t]; t++) {
        int found = 0;

        for (int i = 0; i < n; i++)
            found += has_word(region_of(m, i).holds, things[t]);
        if (found != 1)
            return fail(d, NOWHERE, "%d regions of the Module's board hold %s, not one", found, things[t]);
    }
    return true;
}

/* ---- the linker script ------------------------------------------------------------------------------------------------------- */

static Memory holder(const Module *m, const char *thing)
{
    for (int i = 0; i < module_meta_int(m, "board.n_region", 0); i++)
        if (has_word(region_of(m, i).holds, thing))
            return region_of(m, i);
    bug("no region of the board holds '%s'", thing);
}

static bool is_copied(const Module *m)
{
    return strcmp(module_meta_str(m, "board.data", "copied"), "loaded") != 0;
}

/* Where the model's memory lies, "": with the variables. */
static const char *memory_region(const Module *m)
{
    return module_meta_str(m, "board.memory", "");
}

static void put_memory(Emit *e, const Module *m)
{
    emit_open(e, "MEMORY {");
    for (int i = 0; i < module_meta_int(m, "board.n_region", 0); i++) {
        Memory r = region_of(m, i);

        emit(e, "%-9s (%s) : ORIGIN = 0x%08" PRIx64 ", LENGTH = 0x%08" PRIx64 "%s%s%s\n", r.name,
             strcmp(r.kind, "ram") ? "rx" : "rwx", r.base, r.bytes, *r.holds ? "    /* " : "", r.holds, *r.holds ? " */" : "");
    }
    emit_close(e, "");
}

static Memory region_named(const Module *m, const char *name)
{
    for (int i = 0; i < module_meta_int(m, "board.n_region", 0); i++)
        if (!strcmp(region_of(m, i).name, name))
            return region_of(m, i);
    return (Memory){ .name = NULL };
}

static bool is_ram(const Memory *r)
{
    return !strcmp(r->kind, "ram");
}

static bool is_placed_in(const BoardSources *s, const Memory *r)
{
    for (int i = 0; i < s->n_placed; i++)
        if (!strcmp(s->placed[i].region, r->name))
            return true;
    return false;
}

/* The section of weights that lie in a region of their own: in RAM copied there at start. */
static const char *placed_section(const Module *m, const Memory *r)
{
    return str_printf(m->a, ".%s_%s", is_ram(r) ? "hot" : "weights", r->name);
}

/* What pass place has decided: each region with the stages whose weights it has, their bytes, how often each byte is read in a run. */
static void put_plan(Emit *e, const Module *m)
{
    const Func *f = m->n_entry ? m->entry[0].func : NULL;

    for (const Op *o = f ? f->body->first : NULL; o; o = o->next)
        if (o->kind == OP_fused && op_attr(o, "weight_bytes"))
            emit(e, " *   %-32s %9" PRId64 " bytes  in %-10s %8" PRId64 " reads\n", emit_comment(m->a, str_of(op_str(o, "stage", ""))), op_int(o, "weight_bytes", 0),
                 emit_comment(m->a, str_of(op_str(o, "region", holder(m, "weights").name))), op_int(o, "reads", 0));
}

static void put_placed(Emit *e, const Module *m, const BoardSources *s)
{
    for (int i = 0; i < module_meta_int(m, "board.n_region", 0); i++) {
        Memory r = region_of(m, i);

        if (!is_placed_in(s, &r))
            continue;
        emit_open(e, "%s : ALIGN(16) {", placed_section(m, &r));
        for (int k = 0; k < s->n_placed; k++)
            if (!strcmp(s->placed[k].region, r.name))
                emit(e, "*%s.o(.rodata.%s)\n", s->weights, s->placed[k].array);
        emit(e, ". = ALIGN(8);\n");
        emit_close(e, str_printf(m->a, " > %s%s%s", r.name, is_ram(&r) ? " AT> " : "", is_ram(&r) ? holder(m, "weights").name : ""));
    }
}

static void put_tables(Emit *e, const Module *m, const BoardSources *s)
{
    emit(e, ". = ALIGN(4);\ncopied_begin = .;\n");
    if (is_copied(m))
        emit(e, "LONG(LOADADDR(.data)) LONG(ADDR(.data)) LONG(SIZEOF(.data))\n");
    for (int i = 0; i < module_meta_int(m, "board.n_region", 0); i++) {
        Memory r = region_of(m, i);
        const char *name = placed_section(m, &r);

        if (is_ram(&r) && is_placed_in(s, &r))
            emit(e, "LONG(LOADADDR(%s)) LONG(ADDR(%s)) LONG(SIZEOF(%s))\n", name, name, name);
    }
    emit(e, "copied_end = .;\nzeroed_begin = .;\nLONG(ADDR(.bss)) LONG(SIZEOF(.bss))\n");
    if (*memory_region(m))
        emit(e, "LONG(ADDR(.memory)) LONG(SIZEOF(.memory))\n");
    emit(e, "zeroed_end = .;\n");
}

static void put_sections(Emit *e, const Module *m, const BoardSources *s)
{
    const char *data = holder(m, "data").name;

    emit(e, ".start : { KEEP(*(.start)) KEEP(*(.start.header)) } > %s\n", holder(m, "start").name);
    put_placed(e, m, s);
    if (s->weights)
        emit(e, ".weights : ALIGN(16) { *%s.o(.rodata .rodata.*) } > %s\n", s->weights, holder(m, "weights").name);
    emit(e, ".text : ALIGN(16) { *(.text .text.*) } > %s\n", holder(m, "code").name);
    emit_open(e, ".constants : ALIGN(16) {");
    emit(e, "*(.rodata .rodata.* .srodata .srodata.*)\n");
    put_tables(e, m, s);
    emit_close(e, str_printf(m->a, " > %s", holder(m, "constants").name));
    emit(e, ".stack (NOLOAD) : ALIGN(8) { stack_begin = .; . += stack_bytes; . = ALIGN(8); stack_end = .; } > %s\n", holder(m, "stack").name);
    emit(e, ".data : ALIGN(8) { __global_pointer$ = . + 0x800; *(.data .data.* .sdata .sdata.*) . = ALIGN(8); } > %s%s%s\n", data,
         is_copied(m) ? " AT> " : "", is_copied(m) ? holder(m, "constants").name : "");
    if (*memory_region(m))
        emit(e, ".memory (NOLOAD) : ALIGN(16) { *main.o(.bss.memory) . = ALIGN(8); } > %s\n", memory_region(m));
    emit(e, ".bss (NOLOAD) : ALIGN(8) { *(.sbss .sbss.* .bss .bss.* COMMON) . = ALIGN(8); } > %s\n", data);
    emit(e, "/DISCARD/ : { *(.ARM.exidx*) *(.ARM.extab*) *(.eh_frame*) *(.comment) *(.note*) *(.riscv.attributes) }\n");
}

static void write_linker_script(Writer *w, Buf *b, const BoardSources *s)
{
    Emit e = emit_new(w->a);

    emit(&e, "/* %s on %s: what lies where.  Weights, as pass place has put them:\n *\n", w->name, emit_comment(w->a, str_of(module_meta_str(w->m, "target.0.name", ""))));
    put_plan(&e, w->m);
    emit(&e, " */\n");
    emit(&e, "ENTRY(Reset_Handler)\nPROVIDE(stack_bytes = %" PRId64 ");    /* make STACK= */\n\n", s->stack_bytes);
    put_memory(&e, w->m);
    emit(&e, "\n");
    emit_open(&e, "SECTIONS {");
    put_sections(&e, w->m, s);
    emit_close(&e, "");
    buf_printf(b, "%.*s", (int)e.b.n, e.b.p);
}

/* ---- start-up code ------------------------------------------------------------------------------------------------------------ */

static void put_header(Writer *w, Buf *b)
{
    const char *p = module_meta_str(w->m, "board.header", "");
    int n = 0;

    if (!*p)
        return;
    buf_puts(b, "/* What the boot ROM looks for behind the vector table. */\n"
                "__attribute__((section(\".start.header\"), used)) static const uint32_t header[] = {");
    for (char *end; n < MAX_HEADER && *p; p = end, n++) {
        unsigned long v = strtoul(p, &end, 0);

        if (end == p)
            break;
        buf_printf(b, "%s 0x%08lx", n ? "," : "", v & 0xfffffffful);
    }
    buf_puts(b, " };\n\n");
}

static void write_startup(Writer *w, Buf *b)
{
    bool arm = !strcmp(module_meta_str(w->m, "target.0.family", ""), "cortex-m");

    buf_puts(b, "/* From reset to main, and the functions that compilers call unasked: nothing of a C library is needed. */\n"
                "#include <stdbool.h>\n#include <stddef.h>\n#include <stdint.h>\n\n");
    put_header(w, b);
    put_source(b, "runtime/hal/variables.c", w->name);
    buf_putc(b, '\n');
    put_source(b, arm ? "runtime/hal/start_cortex_m.c" : "runtime/hal/start_riscv32.c", w->name);
    buf_putc(b, '\n');
    put_source(b, "runtime/hal/memory.c", w->name);
}

/* ---- the program --------------------------------------------------------------------------------------------------------------- */

static void put_ports(Writer *w, Buf *b, const char *what, const char *number, const BoardPort *port, int n)
{
    Emit e = emit_new(w->a);

    emit(&e, "enum { %s = %d };\n", number, n);
    emit_open(&e, "static const Port %s[%s] = {", what, number);
    for (int i = 0; i < n; i++)
        emit(&e, "{ %s, %" PRIu64 " }%s\n", emit_str(w->a, str_of(port[i].name)), port[i].bytes, i + 1 < n ? "," : "");
    emit_close(&e, ";\n");
    buf_printf(b, "%.*s", (int)e.b.n, e.b.p);
}

/* Where port i lies, which only its function says. */
static void put_place(Writer *w, Buf *b, const char *what, const char *type, const BoardPort *port, int n)
{
    Emit e = emit_new(w->a);

    emit_open(&e, "static %s%s_at(int i)\n{", type, what);
    for (int i = 0; i + 1 < n; i++)
        emit(&e, "if (i == %d)\n    return %s(&memory);\n", i, port[i].func);
    if (n < 2)
        emit(&e, "(void)i;\n");
    emit(&e, "return %s(&memory);\n", port[n - 1].func);
    emit_close(&e, "\n");
    buf_printf(b, "%.*s", (int)e.b.n, e.b.p);
}

static void write_main(Writer *w, Buf *b, const BoardSources *s)
{
    const char *n = w->name;

    buf_printf(b, "/* %s on a board, with a debugger or an emulator that answers semihosting. */\n#include \"%s.h\"\n#include \"semihost.h\"\n\n", n, n);
    if (module_find_blob(w->m, "selftest"))
        buf_puts(b, "#define HAS_SELFTEST 1\n\n");
    if (w->m->n_state && module_is_network(w->m))
        buf_puts(b, "#define HAS_STATE 1\n\n");
    buf_puts(b, "typedef struct { const char *name; size_t bytes; } Port;\n\n");
    buf_printf(b, "static %s_Memory memory;\n\n", n);
    put_ports(w, b, "input", "N_INPUTS", s->in, s->n_in);
    put_ports(w, b, "output", "N_OUTPUTS", s->out, s->n_out);
    put_place(w, b, "input", "void *", s->in, s->n_in);
    put_place(w, b, "output", "const void *", s->out, s->n_out);
    put_source(b, "runtime/hal/main.c", n);
}

/* ---- the Makefile --------------------------------------------------------------------------------------------------------------- */

static const char *flags(Writer *w, const char *key)
{
    return emit_flags(w->a, str_of(module_meta_str(w->m, key, "")));
}

static void put_objects(Buf *b, const BoardSources *s)
{
    for (int i = 0; s->source[i]; i++)
        buf_printf(b, " %.*s.o", (int)strlen(s->source[i]) - 2, s->source[i]);
}

/* `make size`: the model and its start-up code are linked without the program, so that what is counted is what a product has. */
static void put_size(Writer *w, Buf *b, const BoardSources *s)
{
    const char *n = w->name;

    buf_printf(b, "# The model and its start-up code, which calls it: what a product has, whatever its program is.\n"
                  "alone.elf: $(objects) startup.o %s.ld\n\t$(link) -Wl,-u,%s_run -Wl,--defsym=main=%s_run -T %s.ld $(filter %%.o,$^) $(libgcc) -o $@\n\n", n, n, n, n);
    buf_printf(b, "size: alone.elf %s.elf\n\t@($(SIZE) -A alone.elf; $(NM) -S %s.elf; cat *.ci 2>/dev/null) | awk -f size.awk root=%s_run where=\"", n, n, n);
    for (int i = 0; i < (int)(sizeof sections / sizeof *sections); i++)
        buf_printf(b, "%s%s=%s", i ? " " : "", sections[i].name, holder(w->m, sections[i].thing).name);
    for (int i = 0; i < module_meta_int(w->m, "board.n_region", 0); i++) {
        Memory r = region_of(w->m, i);

        if (is_placed_in(s, &r))
            buf_printf(b, " %s=%s", placed_section(w->m, &r), r.name);
    }
    buf_puts(b, "\" -\n\n");
}

/* The sections that are kept in the region of the vector table, as objcopy's words. */
static void put_programmed(Writer *w, Buf *b, const BoardSources *s)
{
    Memory start = holder(w->m, "start");
    bool with_weights = has_word(start.holds, "weights");

    buf_puts(b, " -j .start");
    for (int i = 0; i < (int)(sizeof sections / sizeof *sections); i++)
        if (strcmp(sections[i].thing, "start") && strcmp(sections[i].thing, "data") && has_word(start.holds, sections[i].thing))
            buf_printf(b, " -j %s", sections[i].name);
    if (is_copied(w->m) && has_word(start.holds, "constants"))
        buf_puts(b, " -j .data");
    for (int i = 0; i < module_meta_int(w->m, "board.n_region", 0); i++) {
        Memory r = region_of(w->m, i);

        if (is_placed_in(s, &r) && (is_ram(&r) ? with_weights : !strcmp(r.name, start.name)))
            buf_printf(b, " -j %s", placed_section(w->m, &r));
    }
}

static void put_program(Writer *w, Buf *b, const BoardSources *s)
{
    const char *n = w->name, *run = flags(w, "target.0.run");

    buf_printf(b, "\n# Bytes of stack (the linker script has the default), the command that runs NAME.elf, words for the program.\nSTACK ?= %" PRId64
                  "\nQEMU ?= %s\nARGS ?=\n\n", s->stack_bytes, run);
    buf_puts(b, "# libgcc: of this compiler, or of the one above (clang has none for bare machines).\n"
                "libgcc := $(firstword $(wildcard $(shell $(CC) $(machine) -print-libgcc-file-name 2>/dev/null) \\\n");
    buf_printf(b, "                                 $(shell %s $(machine) -print-libgcc-file-name 2>/dev/null)))\n\n", flags(w, "target.0.cc"));
    buf_puts(b, "link = $(CC) $(machine) $(LDFLAGS) -static -nostdlib -Wl,--gc-sections -Wl,--build-id=none -Wl,--defsym=stack_bytes=$(STACK)\n\n");
    buf_printf(b, "%s.elf: $(objects) main.o startup.o semihost.o %s.ld\n\t$(link) -T %s.ld $(filter %%.o,$^) $(libgcc) -o $@\n\n", n, n, n);
    buf_printf(b, "# What is programmed into the region with the vector table; what lies elsewhere is in the .elf alone.\n"
                  "%s.bin: %s.elf\n\t$(OBJCOPY) -O binary", n, n);
    put_programmed(w, b, s);
    buf_puts(b, " $< $@\n\n");
    if (*run)
        buf_printf(b, "qemu: %s.elf\n\t$(QEMU) $< $(if $(ARGS),-append \"$(ARGS)\")\n\n", n);
    if (s->n_in > 0)
        put_size(w, b, s);
    else
        buf_printf(b, "size: %s.elf\n\t$(SIZE) -A $<\n\n", n);
}

static void write_makefile(Writer *w, Buf *b, const BoardSources *s)
{
    const char *n = w->name;
    bool board = has_board(w->m);

    if (board)
        buf_printf(b, "# %s on %s: `make` builds %s.elf and %s.bin, `make size` shows what is in them%s.\n", n, flags(w, "target.0.name"), n, n,
                   *flags(w, "target.0.run") ? ", `make qemu` runs it" : "");
    else
        buf_printf(b, "# %s for %s: `make` builds lib%s.a.\n", n, flags(w, "target.0.name"), n);
    buf_printf(b, "# CC, AR, OBJCOPY, SIZE, CFLAGS and LDFLAGS as everyone expects; with clang: CC=\"clang --target=%s\".\n",
               !strcmp(module_meta_str(w->m, "target.0.family", ""), "cortex-m") ? "arm-none-eabi" : "riscv32-unknown-elf");
    buf_printf(b, "ifeq ($(origin CC),default)\nCC = %s\nendif\n", flags(w, "target.0.cc"));
    buf_puts(b, "compiler := $(firstword $(CC))\ntools := $(if $(filter %gcc,$(compiler)),$(patsubst %gcc,%,$(compiler)),llvm-)\n"
                "ifeq ($(origin AR),default)\nAR = $(tools)ar\nendif\nOBJCOPY ?= $(tools)objcopy\nSIZE ?= $(tools)size\nNM ?= $(tools)nm\n");
    buf_printf(b, "CFLAGS ?=\nmachine = %s\nbase = -std=gnu11 -ffreestanding -ffunction-sections -fdata-sections -Wall -Wextra $(machine) %s $(stack)\n",
               flags(w, "target.0.machine"), flags(w, "target.0.cflags"));
    buf_puts(b, "# gcc says how much stack each function takes and whom it calls: `make size` adds it up.\n"
                "stack := $(shell $(CC) -Werror -fcallgraph-info=su -E -x c /dev/null > /dev/null 2>&1 && echo -fcallgraph-info=su)\n");
    buf_puts(b, "objects =");
    put_objects(b, s);
    buf_printf(b, "\n\nall: lib%s.a", n);
    if (board)
        buf_printf(b, " %s.elf %s.bin", n, n);
    buf_printf(b, "\n\nlib%s.a: $(objects)\n\trm -f $@\n\t$(AR) rcs $@ $(objects)\n\n", n);
    buf_printf(b, "%%.o: %%.c $(wildcard *.h)\n\t$(CC) $(base) $(CFLAGS) -c $< -o $@\n");
    if (board)
        put_program(w, b, s);
    else
        buf_printf(b, "\nsize: lib%s.a\n\t$(SIZE) $<\n\n", n);
    buf_printf(b, "clean:\n\trm -f *.o *.ci alone.elf lib%s.a%s%s%s%s\n\n.PHONY: all size clean%s\n", n, board ? " " : "", board ? n : "",
               board ? str_printf(w->a, ".elf %s", n) : "", board ? ".bin" : "", board && *flags(w, "target.0.run") ? " qemu" : "");
}

/* ---- the folder ------------------------------------------------------------------------------------------------------------------- */

static bool put(Writer *w, FileSet *fs, const char *dir, const char *file, Buf *b)
{
    return file_write(fs, w->a, w->d, path_join(w->a, dir, file), buf_str(b));
}

bool board_write(Writer *w, FileSet *fs, const char *dir, const BoardSources *s)
{
    Buf b = buf_in(w->a);

    if (project_kind(w->m) != PROJECT_plain)
        return project_write(w, fs, dir, s);
    write_makefile(w, &b, s);
    if (!put(w, fs, dir, "Makefile", &b) || !cmake_write(w, fs, dir, s))
        return false;
    if (!has_board(w->m))
        return true;
    for (int i = 0; i < s->n_placed; i++)
        if (!region_named(w->m, s->placed[i].region).name)
            return fail(w->d, NOWHERE, "the Module has weights in a region that its board does not have");
    b = buf_in(w->a);
    write_linker_script(w, &b, s);
    if (!put(w, fs, dir, str_printf(w->a, "%s.ld", w->name), &b))
        return false;
    b = buf_in(w->a);
    write_startup(w, &b);
    if (!put(w, fs, dir, "startup.c", &b))
        return false;
    if (s->n_in > 0) {
        b = buf_in(w->a);
        write_main(w, &b, s);
        if (!put(w, fs, dir, "main.c", &b))
            return false;
        b = buf_in(w->a);
        put_source(&b, "runtime/hal/size.awk", w->name);
        if (!put(w, fs, dir, "size.awk", &b))
            return false;
    }
    b = buf_in(w->a);
    put_source(&b, "runtime/hal/semihost.h", w->name);
    if (!put(w, fs, dir, "semihost.h", &b))
        return false;
    b = buf_in(w->a);
    buf_puts(&b, "#include \"semihost.h\"\n\n");
    put_source(&b, "runtime/hal/semihost.c", w->name);
    return put(w, fs, dir, "semihost.c", &b);
}
