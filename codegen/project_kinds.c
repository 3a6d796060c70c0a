/* Folders that other tools take as they are.  Sources are the same; what differs is where they lie and what stands around them.
 *
 *   arduino    library.properties  src/  examples/NAME_selftest/NAME_selftest.ino               [Arduino, "Library specification", 1.5 format]
 *   zephyr     zephyr/{module.yml,CMakeLists.txt,Kconfig}  src/  samples/selftest/             [Zephyr, "Modules (External projects)"]
 *   cmake      CMakeLists.txt and toolchain.cmake beside the sources, which a board's folder always has
 *
 * In the first two the chip, its flags and its start-up code are the tool's. */
#include "codegen/board.h"
#include "codegen/emit.h"

#include <errno.h>
#include <stdio.h>

ProjectKind project_kind(const Module *m)
{
    const char *kind = module_meta_str(m, "build.project", "plain");

    return !strcmp(kind, "arduino") ? PROJECT_arduino : !strcmp(kind, "zephyr") ? PROJECT_zephyr : PROJECT_plain;
}

static bool put(Writer *w, FileSet *fs, const char *dir, const char *file, Buf *b)
{
    const char *path = path_join(w->a, dir, file);

    return file_make_parents(w->a, w->d, path) && file_write(fs, w->a, w->d, path, buf_str(b));
}

/* Moves a file that the folder's writer has written at its top to src/. */
static bool move_to_src(Writer *w, const char *dir, const char *file)
{
    const char *from = path_join(w->a, dir, file), *to = path_join(w->a, dir, str_printf(w->a, "src/%s", file));

    return (file_make_parents(w->a, w->d, to) && rename(from, to) == 0) || fail(w->d, AT_FILE(from), "cannot be moved to src/ (%s)", strerror(errno));
}

static bool move_sources(Writer *w, const char *dir, const BoardSources *s)
{
    for (int i = 0; s->source[i]; i++)
        if (!move_to_src(w, dir, s->source[i]))
            return false;
    for (int i = 0; s->header[i]; i++)
        if (!move_to_src(w, dir, s->header[i]))
            return false;
    return true;
}

static char *in_capitals(Arena *a, const char *name)
{
    char *out = str_z(a, str_of(name));

    for (char *p = out; *p; p++)
        if (*p >= 'a' && *p <= 'z')
            *p = (char)(*p - 'a' + 'A');
    return out;
}

/* What a sketch or sample does: the self-test where there is one, else a run. */
static const char *call_of(const Writer *w)
{
    return module_find_blob(w->m, "selftest") ? "selftest" : "run";
}

/* ---- Arduino ---------------------------------------------------------------------------------------------------------------------- */

static bool write_arduino(Writer *w, FileSet *fs, const char *dir)
{
    const char *n = w->name, *call = call_of(w);
    Buf b = buf_in(w->a);

    buf_printf(&b, "name=%s\nversion=1.0.0\nauthor=sinter\nmaintainer=sinter\nsentence=A neural network as C: %s\n", n, n);
    buf_printf(&b, "paragraph=No interpreter, no allocation: all memory is one %s_Memory that the sketch declares.\n", n);
    buf_printf(&b, "category=Data Processing\nurl=\narchitectures=*\nincludes=%s.h\n", n);
    if (!put(w, fs, dir, "library.properties", &b))
        return false;
    b = buf_in(w->a);
    buf_printf(&b, "// Is what %s computes on this board what it should be?\n#include <%s.h>\n\nstatic %s_Memory memory;\n\n", n, n, n);
    buf_puts(&b, "void setup() {\n  Serial.begin(115200);\n}\n\nvoid loop() {\n  unsigned long begun = micros();\n");
    buf_printf(&b, "  bool ok = %s_%s(&memory) == %s_OK;\n  unsigned long us = micros() - begun;\n\n", n, call, n);
    buf_printf(&b, "  Serial.print(ok ? \"%s: %s passed, us: \" : \"%s: %s failed, us: \");\n  Serial.println(us);\n  delay(2000);\n}\n", n, call, n, call);
    return put(w, fs, dir, str_printf(w->a, "examples/%s_selftest/%s_selftest.ino", n, n), &b);
}

/* ---- Zephyr ------------------------------------------------------------------------------------------------------------------------ */

static bool write_zephyr_module(Writer *w, FileSet *fs, const char *dir, const BoardSources *s)
{
    const char *n = w->name, *symbol = str_printf(w->a, "SINTER_%s", in_capitals(w->a, w->name));
    Buf b = buf_in(w->a);

    buf_printf(&b, "name: %s\nbuild:\n  cmake: zephyr\n  kconfig: zephyr/Kconfig\nsamples:\n  - samples\n", n);
    if (!put(w, fs, dir, "zephyr/module.yml", &b))
        return false;
    b = buf_in(w->a);
    buf_printf(&b, "config %s\n\tbool \"%s: a neural network as C, made by sinter\"\n\thelp\n\t  Adds %s.h and its code.  All memory is one %s_Memory\n"
                   "\t  that the application declares.\n", symbol, n, n, n);
    if (!put(w, fs, dir, "zephyr/Kconfig", &b))
        return false;
    b = buf_in(w->a);
    buf_printf(&b, "if(CONFIG_%s)\n  zephyr_library_named(%s)\n  zephyr_library_sources(", symbol, n);
    for (int i = 0; s->source[i]; i++)
        buf_printf(&b, "%s../src/%s", i ? " " : "", s->source[i]);
    buf_puts(&b, ")\n  zephyr_library_compile_options(-std=gnu11 -O2 -ffp-contract=off)\n  zephyr_include_directories(../src)\nendif()\n");
    return put(w, fs, dir, "zephyr/CMakeLists.txt", &b);
}

static bool write_zephyr_sample(Writer *w, FileSet *fs, const char *dir)
{
    const char *n = w->name, *call = call_of(w);
    Buf b = buf_in(w->a);

    buf_puts(&b, "# west build -b BOARD samples/selftest\ncmake_minimum_required(VERSION 3.20)\n"
                 "list(APPEND ZEPHYR_EXTRA_MODULES ${CMAKE_CURRENT_SOURCE_DIR}/../..)\nfind_package(Zephyr REQUIRED HINTS $ENV{ZEPHYR_BASE})\n");
    buf_printf(&b, "project(%s_selftest)\ntarget_sources(app PRIVATE src/main.c)\n", n);
    if (!put(w, fs, dir, "samples/selftest/CMakeLists.txt", &b))
        return false;
    b = buf_in(w->a);
    buf_printf(&b, "CONFIG_SINTER_%s=y\n", in_capitals(w->a, n));
    if (strstr(module_meta_str(w->m, "target.0.machine", ""), "-mfloat-abi=hard"))
        buf_puts(&b, "CONFIG_FPU=y\n");
    if (!put(w, fs, dir, "samples/selftest/prj.conf", &b))
        return false;
    b = buf_in(w->a);
    buf_printf(&b, "/* Is what %s computes on this board what it should be? */\n#include <%s.h>\n#include <zephyr/kernel.h>\n\nstatic %s_Memory memory;\n\n", n, n, n);
    buf_printf(&b, "int main(void)\n{\n    uint32_t begun = k_cycle_get_32();\n    int bad = %s_%s(&memory) != %s_OK;\n    uint32_t cycles = k_cycle_get_32() - begun;\n\n",
               n, call, n);
    buf_printf(&b, "    printk(\"%s: %s %%s, %%u cycles of the system clock\\n\", bad ? \"failed\" : \"passed\", (unsigned)cycles);\n    return 0;\n}\n", n, call);
    return put(w, fs, dir, "samples/selftest/src/main.c", &b);
}

bool project_write(Writer *w, FileSet *fs, const char *dir, const BoardSources *s)
{
    if (!s->header)
        return fail(w->d, NOWHERE, "--project arduino and zephyr are for networks, not for language models (plain or cmake)");
    if (!move_sources(w, dir, s))
        return false;
    if (project_kind(w->m) == PROJECT_arduino)
        return write_arduino(w, fs, dir);
    return write_zephyr_module(w, fs, dir, s) && write_zephyr_sample(w, fs, dir);
}

/* ---- CMake -------------------------------------------------------------------------------------------------------------------------- */

static const char *flags(Writer *w, const char *key)
{
    return emit_flags(w->a, str_of(module_meta_str(w->m, key, "")));
}

static void put_cmake_program(Writer *w, Buf *b, const BoardSources *s)
{
    const char *n = w->name;

    buf_printf(b, "\nif(CMAKE_CURRENT_SOURCE_DIR STREQUAL CMAKE_SOURCE_DIR)\n  add_executable(%s.elf main.c startup.c semihost.c $<TARGET_OBJECTS:%s>)\n", n, n);
    buf_printf(b, "  target_compile_options(%s.elf PRIVATE -ffreestanding -ffunction-sections -fdata-sections)\n", n);
    buf_printf(b, "  target_include_directories(%s.elf PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})\n", n);
    buf_printf(b, "  set(STACK %" PRId64 " CACHE STRING \"bytes of stack\")\n", s->stack_bytes);
    buf_printf(b, "  target_link_options(%s.elf PRIVATE -static -nostdlib -Wl,--gc-sections -Wl,--build-id=none -Wl,--defsym=stack_bytes=${STACK} "
                  "-T ${CMAKE_CURRENT_SOURCE_DIR}/%s.ld)\n  target_link_libraries(%s.elf PRIVATE gcc)\n", n, n, n);
    buf_printf(b, "  set_target_properties(%s.elf PROPERTIES LINK_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/%s.ld)\nendif()\n", n, n);
}

bool cmake_write(Writer *w, FileSet *fs, const char *dir, const BoardSources *s)
{
    const char *n = w->name;
    Buf b = buf_in(w->a);

    buf_printf(&b, "# %s: add_subdirectory() this folder and link the target `%s`.  By itself: cmake -B build -DCMAKE_TOOLCHAIN_FILE=toolchain.cmake\n"
                   "cmake_minimum_required(VERSION 3.13)\nproject(%s C)\n\nadd_library(%s STATIC", n, n, n, n);
    for (int i = 0; s->source[i]; i++)
        buf_printf(&b, " %s", s->source[i]);
    buf_printf(&b, ")\ntarget_include_directories(%s PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})\n", n);
    buf_printf(&b, "target_compile_options(%s PRIVATE -std=gnu11 -ffunction-sections -fdata-sections %s)\n", n, flags(w, "target.0.cflags"));
    if (has_board(w->m))
        put_cmake_program(w, &b, s);
    if (!put(w, fs, dir, "CMakeLists.txt", &b))
        return false;
    b = buf_in(w->a);
    buf_printf(&b, "# The chip and its compiler, for CMake.  Your own toolchain file serves as well, if its flags name the same core.\n"
                   "set(CMAKE_SYSTEM_NAME Generic)\nset(CMAKE_SYSTEM_PROCESSOR %s)\nset(CMAKE_C_COMPILER %s CACHE STRING \"\")\n",
               !strcmp(module_meta_str(w->m, "target.0.family", ""), "cortex-m") ? "arm" : "riscv32", flags(w, "target.0.cc"));
    buf_printf(&b, "set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)\nset(CMAKE_C_FLAGS_INIT \"%s\")\n", flags(w, "target.0.machine"));
    return put(w, fs, dir, "toolchain.cmake", &b);
}
