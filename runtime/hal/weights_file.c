/* The weights as a file: mapped, read-only, shared between processes. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "runtime/core/internal.h"
#include "runtime/hal/libc.h"

#include <errno.h>

#if defined(__unix__) || defined(__APPLE__)
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#define HAVE_MMAP 1
#else
#define HAVE_MMAP 0
#endif

#if HAVE_MMAP
/* Maps the file; NULL: errno tells why, 0: the file is empty. */
static void *map_file(const char *path, size_t *bytes)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), why;
    void *p = NULL;
    struct stat st;

    if (fd < 0)
        return NULL;
    if (fstat(fd, &st) == 0) {
        if (!S_ISREG(st.st_mode)) {
            errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
        } else if (st.st_size <= 0 || (uint64_t)st.st_size > SIZE_MAX) {
            errno = st.st_size > 0 ? EFBIG : 0;
        } else {
            *bytes = (size_t)st.st_size;
            p = mmap(NULL, *bytes, PROT_READ, MAP_SHARED, fd, 0);
            if (p == MAP_FAILED)
                p = NULL;
        }
    }
    why = errno;
    close(fd);
    errno = why;
    return p;
}
#endif

NAME_Status NAME_open(NAME_Model *m, const char *path)
{
    memset(m, 0, sizeof *m);
    if (!path)
        return NAME_desc.linked
                   ? NAME_open_memory(m, NAME_desc.linked, (size_t)NAME_desc.weights_bytes)
                   : NAME_E_ARG;
    if (NAME_missing_feature())
        return NAME_E_CPU;
#if HAVE_MMAP
    {
        size_t bytes = 0;
        void *p = map_file(path, &bytes);
        NAME_Status s;

        if (!p)
            return errno ? NAME_E_FILE : NAME_E_WEIGHTS;
        s = NAME_open_memory(m, p, bytes);
        m->mapped = s == NAME_OK;
        if (s)
            munmap(p, bytes);
        return s;
    }
#else
    errno = ENOSYS;                     /* read the file yourself and give it to NAME_open_memory */
    return NAME_E_FILE;
#endif
}

void NAME_close_model(NAME_Model *m)
{
#if HAVE_MMAP
    if (m->mapped)
        munmap((void *)(uintptr_t)m->w, (size_t)m->bytes);
#endif
    memset(m, 0, sizeof *m);
}
