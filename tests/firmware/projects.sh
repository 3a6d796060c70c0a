#!/bin/sh
# If this fails, a folder for CMake, Arduino or Zephyr does not build where those tools would build it.
#
#     tests/firmware/projects.sh OBJ
#
# CMake builds a board's folder itself.  Arduino and Zephyr are not here: stand-ins do with the folder what their documents say (the sketch's sources
# and src/ are compiled and linked; the module's CMakeLists.txt and Kconfig are read), with the host's compiler and a target whose kernels are plain C.
set -u
obj=$(cd "$1" && pwd) || exit 1
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/projects.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
model=$here/../models/tflite/conv_same.tflite
cd "$work" || exit 1

project() { "$obj/sinter" build "$model" -t "$2" --project "$1" -o "$1" --name tiny > log 2>&1 || { bad "$1: sinter build"; cat log; return 1; }; }

cmake_builds() {
    project cmake mps2-an386 || return
    has cmake && has arm-none-eabi-gcc || { skip "cmake: not here"; return; }
    cmake -S cmake -B cmake/out -DCMAKE_TOOLCHAIN_FILE="$work/cmake/toolchain.cmake" > log 2>&1 && cmake --build cmake/out > log 2>&1 && ok ||
        { bad "cmake: does not build"; cat log; return; }
    has qemu-system-arm || { skip "cmake: no qemu-system-arm"; return; }
    # shellcheck disable=SC2046 -- a command with its options
    timeout 20 $(command_of mps2-an386) cmake/out/tiny.elf > log 2>&1 && grep -q 'selftest passed' log && ok || { bad "cmake: tiny.elf"; cat log; }
}

# The parts of Arduino's core that a sketch of ours uses.
arduino_builds() {
    project arduino cortex-m0plus || return
    for key in name version author maintainer sentence paragraph category url architectures includes; do
        grep -q "^$key=" arduino/library.properties && ok || bad "arduino: library.properties lacks $key"
    done
    mkdir stand_in
    cat > stand_in/Arduino.h << 'END'
#include <cstdio>
#include <cstdlib>
struct { void begin(long) {} void print(const char *s) { fputs(s, stdout); } void println(unsigned long v) { printf("%lu\n", v); } } Serial;
static unsigned long micros() { return 1; }
static void delay(unsigned long) { exit(0); }
END
    cat > stand_in/main.cpp << 'END'
#include "Arduino.h"
#include "../arduino/examples/tiny_selftest/tiny_selftest.ino"
int main() { setup(); for (;;) loop(); }
END
    for c in arduino/src/*.c; do
        ${CC:-cc} -O1 -Wall -Wextra -Werror -c "$c" -o "stand_in/$(basename "$c" .c).o" > log 2>&1 || { bad "arduino: $c"; cat log; return; }
    done
    ${CXX:-c++} -Iarduino/src stand_in/main.cpp stand_in/*.o -o stand_in/sketch > log 2>&1 && ./stand_in/sketch > log 2>&1 && grep -q 'selftest passed' log && ok ||
        { bad "arduino: the sketch"; cat log; }
}

# What Zephyr's build system does with a module and an application, as far as ours reach.
zephyr_builds() {
    project zephyr cortex-m0plus || return
    grep -q '^  cmake: zephyr$' zephyr/zephyr/module.yml && grep -q '^  kconfig: zephyr/Kconfig$' zephyr/zephyr/module.yml && ok || bad "zephyr: module.yml"
    grep -q '^config SINTER_TINY$' zephyr/zephyr/Kconfig && grep -q '^CONFIG_SINTER_TINY=y$' zephyr/samples/selftest/prj.conf && ok || bad "zephyr: Kconfig and prj.conf"
    has cmake || { skip "zephyr: no cmake"; return; }
    mkdir -p base/include/zephyr
    cat > base/ZephyrConfig.cmake << 'END'
project(zephyr_stand_in C)
include_directories(${CMAKE_CURRENT_LIST_DIR}/include)
add_executable(app)
macro(zephyr_library_named name)
    set(zephyr_library ${name})
    add_library(${name} STATIC)
    target_link_libraries(app PRIVATE ${name})
endmacro()
macro(zephyr_library_sources)
    target_sources(${zephyr_library} PRIVATE ${ARGN})
endmacro()
macro(zephyr_library_compile_options)
    target_compile_options(${zephyr_library} PRIVATE ${ARGN})
endmacro()
macro(zephyr_include_directories)
    target_include_directories(app PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/${ARGN})
endmacro()
file(STRINGS ${CMAKE_SOURCE_DIR}/prj.conf lines)
foreach(line ${lines})
    string(REGEX REPLACE "=.*" "" symbol ${line})
    set(${symbol} y)
endforeach()
foreach(module ${ZEPHYR_EXTRA_MODULES})
    add_subdirectory(${module}/zephyr ${CMAKE_BINARY_DIR}/module)
endforeach()
END
    cat > base/include/zephyr/kernel.h << 'END'
#include <stdint.h>
#include <stdio.h>
#define printk printf
static inline uint32_t k_cycle_get_32(void) { return 7; }
END
    ZEPHYR_BASE=$work/base cmake -S zephyr/samples/selftest -B zephyr/out -DZephyr_DIR="$work/base" > log 2>&1 && cmake --build zephyr/out > log 2>&1 && ok ||
        { bad "zephyr: does not build"; cat log; return; }
    ./zephyr/out/app > log 2>&1 && grep -q 'selftest passed' log && ok || { bad "zephyr: the sample"; cat log; }
}

cmake_builds
arduino_builds
zephyr_builds
"$obj/sinter" build "$model" -t portable --project arduino -o none > log 2>&1
grep -q 'is for microcontrollers' log && ok || { bad "arduino for a desktop is not refused"; cat log; }
finish
