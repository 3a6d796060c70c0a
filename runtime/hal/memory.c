/* What compilers call without being asked [C11 7.24; gcc manual, "Language Standards Supported by GCC"; Arm RTABI, 4.3.4].  Words where all is
 * aligned, else bytes.  The empty assembler lines keep the loops from becoming calls of what they define. */
void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);

static bool whole_words(uintptr_t together)
{
    return together % 4 == 0;
}

static void copy_up(unsigned char *to, const unsigned char *from, size_t n)
{
    size_t i = 0;

    if (whole_words((uintptr_t)to | (uintptr_t)from))
        for (; i + 4 <= n; i += 4) {
            *(uint32_t *)(void *)(to + i) = *(const uint32_t *)(const void *)(from + i);
            __asm__ volatile("" ::: "memory");
        }
    for (; i < n; i++) {
        to[i] = from[i];
        __asm__ volatile("" ::: "memory");
    }
}

static void fill(unsigned char *to, unsigned char c, size_t n)
{
    uint32_t word = c * 0x01010101u;
    size_t i = 0;

    if (whole_words((uintptr_t)to))
        for (; i + 4 <= n; i += 4) {
            *(uint32_t *)(void *)(to + i) = word;
            __asm__ volatile("" ::: "memory");
        }
    for (; i < n; i++) {
        to[i] = c;
        __asm__ volatile("" ::: "memory");
    }
}

void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
    copy_up(to, from, n);
    return to;
}

void *memmove(void *to, const void *from, size_t n)
{
    unsigned char *t = to;
    const unsigned char *f = from;

    if (t <= f)
        copy_up(t, f, n);
    else
        while (n-- > 0) {
            t[n] = f[n];
            __asm__ volatile("" ::: "memory");
        }
    return to;
}

void *memset(void *to, int c, size_t n)
{
    fill(to, (unsigned char)c, n);
    return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const unsigned char *x = a, *y = b;

    for (size_t i = 0; i < n; i++)
        if (x[i] != y[i])
            return x[i] < y[i] ? -1 : 1;
    return 0;
}

#ifdef __arm__
/* Arm's names for them, which clang uses: the number before the byte, and no result. */
void __aeabi_memcpy(void *to, const void *from, size_t n);
void __aeabi_memcpy4(void *to, const void *from, size_t n) __attribute__((alias("__aeabi_memcpy")));
void __aeabi_memcpy8(void *to, const void *from, size_t n) __attribute__((alias("__aeabi_memcpy")));
void __aeabi_memmove(void *to, const void *from, size_t n);
void __aeabi_memmove4(void *to, const void *from, size_t n) __attribute__((alias("__aeabi_memmove")));
void __aeabi_memmove8(void *to, const void *from, size_t n) __attribute__((alias("__aeabi_memmove")));
void __aeabi_memset(void *to, size_t n, int c);
void __aeabi_memset4(void *to, size_t n, int c) __attribute__((alias("__aeabi_memset")));
void __aeabi_memset8(void *to, size_t n, int c) __attribute__((alias("__aeabi_memset")));
void __aeabi_memclr(void *to, size_t n);
void __aeabi_memclr4(void *to, size_t n) __attribute__((alias("__aeabi_memclr")));
void __aeabi_memclr8(void *to, size_t n) __attribute__((alias("__aeabi_memclr")));

void __aeabi_memcpy(void *to, const void *from, size_t n)
{
    copy_up(to, from, n);
}

void __aeabi_memmove(void *to, const void *from, size_t n)
{
    memmove(to, from, n);
}

void __aeabi_memset(void *to, size_t n, int c)
{
    fill(to, (unsigned char)c, n);
}

void __aeabi_memclr(void *to, size_t n)
{
    fill(to, 0, n);
}
#endif
