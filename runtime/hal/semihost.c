/* Each operation is a number and a block of words; the answer is a word. */
enum { SYS_OPEN = 0x01, SYS_CLOSE = 0x02, SYS_WRITE0 = 0x04, SYS_WRITE = 0x05, SYS_READ = 0x06, SYS_FLEN = 0x0c, SYS_GET_CMDLINE = 0x15,
       SYS_EXIT_EXTENDED = 0x20 };
enum { STOPPED_BY_ITSELF = 0x20026 };               /* ADP_Stopped_ApplicationExit */

#ifdef __arm__
static intptr_t ask(int operation, const void *block)
{
    register intptr_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = block;

    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}
#else
/* The three instructions are uncompressed and on one page. */
__attribute__((noinline)) static intptr_t ask(int operation, const void *block)
{
    register intptr_t a0 __asm__("a0") = operation;
    register const void *a1 __asm__("a1") = block;

    __asm__ volatile(".balign 16\n\t"
                     ".option push\n\t"
                     ".option norvc\n\t"
                     "slli x0, x0, 0x1f\n\t"
                     "ebreak\n\t"
                     "srai x0, x0, 7\n\t"
                     ".option pop"
                     : "+r"(a0)
                     : "r"(a1)
                     : "memory");
    return a0;
}
#endif

static size_t length(const char *s)
{
    size_t n = 0;

    while (s[n])
        n++;
    return n;
}

void semihost_print(const char *text)
{
    ask(SYS_WRITE0, text);
}

void semihost_print_number(int32_t v)
{
    char digit[12];
    size_t i = sizeof digit;
    uint32_t rest = v < 0 ? 0 - (uint32_t)v : (uint32_t)v;

    digit[--i] = 0;
    do {
        digit[--i] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest);
    if (v < 0)
        digit[--i] = '-';
    semihost_print(digit + i);
}

_Noreturn void semihost_exit(int status)
{
    uintptr_t block[2] = { STOPPED_BY_ITSELF, (uintptr_t)status };

    ask(SYS_EXIT_EXTENDED, block);
    for (;;)
        __asm__ volatile("");
}

bool semihost_command_line(char *line, size_t n)
{
    uintptr_t block[2] = { (uintptr_t)line, n };

    return ask(SYS_GET_CMDLINE, block) == 0;
}

intptr_t semihost_open(const char *path, const char *mode)
{
    uintptr_t block[3] = { (uintptr_t)path, mode[0] == 'w' ? 5 : 1, length(path) };

    return ask(SYS_OPEN, block);
}

bool semihost_read(intptr_t file, void *to, size_t n)
{
    uintptr_t block[3] = { (uintptr_t)file, (uintptr_t)to, n };

    return ask(SYS_READ, block) == 0;               /* how many bytes were not read */
}

bool semihost_write(intptr_t file, const void *from, size_t n)
{
    uintptr_t block[3] = { (uintptr_t)file, (uintptr_t)from, n };

    return ask(SYS_WRITE, block) == 0;
}

intptr_t semihost_length(intptr_t file)
{
    return ask(SYS_FLEN, &file);
}

void semihost_close(intptr_t file)
{
    ask(SYS_CLOSE, &file);
}
