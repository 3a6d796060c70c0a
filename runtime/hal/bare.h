/* libc.h where there is no C library: the four functions that compilers call unasked, which start-up code brings (memory.c), and
 * five that are plain loops. */
#ifndef NAME_LIBC_H
#define NAME_LIBC_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);

static inline size_t NAME_strlen(const char *s)
{
    size_t n = 0;

    while (s[n])
        n++;
    return n;
}

static inline int NAME_strcmp(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return (unsigned char)*a - (unsigned char)*b;
}

static inline const void *NAME_memchr(const void *p, int c, size_t n)
{
    const unsigned char *b = (const unsigned char *)p;

    for (size_t i = 0; i < n; i++)
        if (b[i] == (unsigned char)c)
            return b + i;
    return NULL;
}

static inline const char *NAME_strchr(const char *s, int c)
{
    for (; *s != (char)c; s++)
        if (!*s)
            return NULL;
    return s;
}

#define strlen NAME_strlen
#define strcmp NAME_strcmp
#define memchr NAME_memchr
#define strchr NAME_strchr

#endif
