/* mkboard TARGET DIR NAME [FILE.c...]       a board's folder around programs that are not models.
 *
 * Writes into DIR (which exists) what sinter writes for a board beside the model's own files: Makefile, NAME.ld, startup.c, semihost.[ch].
 * DIR must then be given main.c and each FILE.c (base names).  The constants of NAME_weights.c, if it is named, are the weights. */
#include "codegen/board.h"
#include "compiler/compiler.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    Arena *a = arena_new(NULL);
    Diag *d = diag_new(a, stderr);
    FileSet *fs = files_new();
    Module *m = module_new(a, "board");
    const Target *t = argc > 3 ? target_load(fs, a, d, argv[1]) : NULL;
    Writer w = { .m = m, .a = a, .d = d, .ok = true };
    BoardSources s = { .source = (const char *const *)argv + 4, .stack_bytes = 4096 };

    if (argc <= 3)
        fprintf(stderr, "usage: mkboard TARGET DIR NAME [FILE.c...]\n");
    if (!t)
        return 1;
    w.name = argv[3];
    for (int i = 4; i < argc; i++)
        if (!strcmp(argv[i], str_printf(a, "%s_weights.c", w.name)))
            s.weights = str_printf(a, "%s_weights", w.name);
    target_to_module(m, 0, t);
    return board_check(m, d) && board_write(&w, fs, argv[2], &s) ? 0 : 1;
}
