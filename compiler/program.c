/* Programs that sinter starts: make, and what it has emitted.
 *
 * Output that is wanted goes to unnamed files instead of pipes: nothing can fill up while nobody
 * reads, whatever is written first. */
#include "compiler/cmd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_OUTPUT = 64 << 20, EXEC_FAILED = 127 };

static bool read_back(Arena *a, int fd, Str *out)
{
    off_t n = lseek(fd, 0, SEEK_END);
    char *p;

    if (n < 0 || n > MAX_OUTPUT || lseek(fd, 0, SEEK_SET) < 0)
        return false;
    p = ARENA_ARRAY(a, char, n + 1);
    for (off_t at = 0; at < n;) {
        ssize_t k = read(fd, p + at, (size_t)(n - at));

        if (k <= 0)
            return false;
        at += k;
    }
    *out = (Str){ p, (size_t)n };
    return true;
}

/* A file without a name, open for reading and writing; -1 on failure. */
static int open_unnamed(void)
{
    FILE *f = tmpfile();
    int fd = f ? dup(fileno(f)) : -1;

    if (f)
        fclose(f);
    return fd;
}

int program_run(Arena *a, Diag *d, const char *const *argv, Str *out, Str *err)
{
    int fd_out = -1, fd_err = -1, status = 0, result = -1;
    const char *why = NULL;
    pid_t pid;

    if (out)
        *out = (Str){ "", 0 };
    if (err)
        *err = (Str){ "", 0 };
    fflush(NULL);
    if ((out && (fd_out = open_unnamed()) < 0) || (err && (fd_err = open_unnamed()) < 0)) {
        why = "no temporary file could be made";
    } else if ((pid = fork()) < 0) {
        why = strerror(errno);
    } else if (pid == 0) {
        if (fd_out >= 0)
            dup2(fd_out, STDOUT_FILENO);
        if (fd_err >= 0)
            dup2(fd_err, STDERR_FILENO);
        execvp(argv[0], (char *const *)argv);
        _exit(EXEC_FAILED);
    } else {
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ; /* an interrupt reaches the program too: it ends by itself */
        result = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        if (result == EXEC_FAILED)
            why = "it cannot be executed (is it installed?)";
    }
    /* Reading back allocates; a jump out of it would leave two descriptors open until the program
     * ends, which it then does. */
    if (!why && ((out && !read_back(a, fd_out, out)) || (err && !read_back(a, fd_err, err))))
        why = "what it printed could not be read";
    if (fd_out >= 0)
        close(fd_out);
    if (fd_err >= 0)
        close(fd_err);
    if (!why)
        return result;
    fail(d, AT_FILE(argv[0]), "%s", why);
    return -1;
}
