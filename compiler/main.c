/* The program `sinter`: memory, files and signals of one run.
 *
 * Everything is in one arena.  When it is exhausted it jumps back to the only setjmp, here; files
 * and unfinished output hang on the FileSet, which is not in the arena, and are closed and removed
 * whatever happens.  The first interrupt asks the build to stop at its next step, so that it cleans
 * up as after a failure; a second one ends the program at once. */
#include "compiler/cmd.h"

#include <signal.h>
#include <stdlib.h>

static void catch_interrupts(void)
{
    static const int sig[] = { SIGINT, SIGTERM, SIGHUP };
    struct sigaction act = { .sa_handler = pipeline_interrupt, .sa_flags = SA_RESETHAND };

    for (size_t i = 0; i < sizeof sig / sizeof *sig; i++)
        sigaction(sig[i], &act, NULL);
}

int main(int argc, char **argv)
{
    jmp_buf oom;
    FileSet *fs = files_new();
    Arena *a = fs ? arena_new(&oom) : NULL;
    int status;

    if (!a) {
        fputs("sinter: error: out of memory\n", stderr);
        return EXIT_failed;
    }
    catch_interrupts();
    if (setjmp(oom)) {
        fputs("sinter: error: out of memory\n", stderr);
        status = EXIT_failed;
    } else {
        status = command_run(a, diag_new(a, stderr), fs, argc, argv);
    }
    files_close(fs);
    arena_free(a);
    if (fflush(stdout) || ferror(stdout)) {
        fputs("sinter: error: standard output could not be written\n", stderr);
        return EXIT_failed;
    }
    return status;
}
