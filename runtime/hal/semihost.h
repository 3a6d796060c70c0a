/* Semihosting: a debugger or emulator does for a program what an operating system would [Arm, "Semihosting for AArch32 and AArch64"; RISC-V,
 * "RISC-V Semihosting"].  Without one that listens, the instruction is a fault: a product links none of this. */
#ifndef SEMIHOST_H
#define SEMIHOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void semihost_print(const char *text);
void semihost_print_number(int32_t v);
/* Ends the program; QEMU exits with `status`. */
_Noreturn void semihost_exit(int status);

/* The words that the program was given, in one line; false: there are none, or they do not fit. */
bool semihost_command_line(char *line, size_t n);

/* Files of the host.  `mode` as fopen's: "rb", "wb".  A handle, or -1. */
intptr_t semihost_open(const char *path, const char *mode);
/* All n bytes, or false. */
bool semihost_read(intptr_t file, void *to, size_t n);
bool semihost_write(intptr_t file, const void *from, size_t n);
intptr_t semihost_length(intptr_t file);            /* bytes; -1: unknown */
void semihost_close(intptr_t file);

#endif
