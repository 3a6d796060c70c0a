/* A program for every board: does main find what C promises it, and does the host hear of what happens?  Exits with the number of what is wrong.
 *
 *   without words     everything below
 *   words: overflow   calls itself until the stack is gone, which must end in fault(): status 99 */
#include "semihost.h"

void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
void fault(void);

extern const int8_t start_weights[];
int32_t first_value = 41;
int16_t odd_value[3] = { 1, 2, 3 };
int32_t zeros[64];
uint8_t more_zeros;
extern uint32_t stack_begin[], stack_end[];

void fault(void)
{
    semihost_exit(99);
}

/* The same functions, byte by byte, for every offset and length that words and their rests have. */
static bool memory_functions_are_right(void)
{
    static uint8_t a[64], b[64];

    for (int to = 0; to < 5; to++)
        for (int from = 0; from < 5; from++)
            for (int n = 0; n < 20; n++) {
                for (int i = 0; i < 64; i++)
                    a[i] = b[i] = (uint8_t)(i * 37 + 11);
                memmove(a + 20 + to, a + 22 + from, (size_t)n);
                for (int i = 0; i < 64; i++)
                    if (a[i] != (i >= 20 + to && i < 20 + to + n ? b[i - to + 2 + from] : b[i]))
                        return false;
                memcpy(a, b, 64);
                memmove(a + 22 + from, a + 20 + to, (size_t)n);
                for (int i = 0; i < 64; i++)
                    if (a[i] != (i >= 22 + from && i < 22 + from + n ? b[i - from - 2 + to] : b[i]))
                        return false;
                memset(a + to, 0xa5, (size_t)n);
                if (n && (a[to] != 0xa5 || a[to + n - 1] != 0xa5))
                    return false;
                if (a[to + n] != (to + n < 22 + from ? b[to + n] : a[to + n]))
                    return false;
            }
    a[7] = 1;
    b[7] = 200;
    return memcmp(a, a, 64) == 0 && memcmp(a + 7, b + 7, 1) < 0 && memcmp(b + 7, a + 7, 1) > 0;
}

#ifdef __ARM_FEATURE_MVE
typedef int8_t Bytes __attribute__((vector_size(16)));

/* Helium: 16 products in one instruction, which traps while the unit is off. */
static bool vectors_work(void)
{
    Bytes x, y;
    int32_t sum = 1, want = 1;

    for (int i = 0; i < 16; i++) {
        x[i] = (int8_t)(i * 17 - 128);
        y[i] = (int8_t)(100 - i * 13);
        want += x[i] * y[i];
    }
    __asm__ volatile("vmladava.s8 %0, %q1, %q2" : "+Te"(sum) : "w"(x), "w"(y));
    return sum == want;
}
#endif

static bool files_work(const char *path)
{
    intptr_t f = semihost_open(path, "wb");
    static uint8_t have[300];

    if (f == -1 || !semihost_write(f, start_weights, 300))
        return false;
    semihost_close(f);
    f = semihost_open(path, "rb");
    if (f == -1 || semihost_length(f) != 300 || !semihost_read(f, have, 300) || semihost_read(f, have, 1))
        return false;
    semihost_close(f);
    return memcmp(have, start_weights, 300) == 0 && semihost_open("no/such/file", "rb") == -1;
}

/* For the counter: 2 + 99 * 2 + 4 instructions, among them 1 load and 2 stores. */
void counted(int32_t *word);
#ifdef __arm__
__attribute__((naked)) void counted(__attribute__((unused)) int32_t *word)
{
    __asm__ volatile(".syntax unified\n\t"
                     "mov r3, r0\n\t"
                     "movs r1, #99\n"
                     "1:\n\t"
                     "subs r1, #1\n\t"
                     "bne 1b\n\t"
                     "ldr r2, [r3]\n\t"
                     "str r2, [r3]\n\t"
                     "str r2, [r3]\n\t"
                     "bx lr");
}
#else
__attribute__((naked)) void counted(__attribute__((unused)) int32_t *word)
{
    __asm__ volatile("mv a3, a0\n\t"
                     "li a1, 99\n"
                     "1:\n\t"
                     "addi a1, a1, -1\n\t"
                     "bnez a1, 1b\n\t"
                     "lw a2, 0(a3)\n\t"
                     "sw a2, 0(a3)\n\t"
                     "sw a2, 0(a3)\n\t"
                     "ret");
}
#endif

__attribute__((noinline)) static int32_t deeper(volatile int32_t *above, int32_t n)
{
    volatile int32_t here[16];

    here[n & 15] = n + *above;
    return (n ? deeper(here, n - 1) : 0) + here[0];
}

static bool ends_with(const char *line, const char *word)
{
    size_t n = 0, k = 0;

    while (line[n])
        n++;
    while (word[k])
        k++;
    return n >= k && memcmp(line + n - k, word, k) == 0;
}

int main(void)
{
    char line[100];
    int32_t sum = more_zeros;
    volatile int32_t top = 0;
#ifdef __ARM_FP
    volatile float third = 1.0f / 3.0f, one = 3.0f;
#endif

    if (!semihost_command_line(line, sizeof line))
        semihost_exit(10);
    if (ends_with(line, "overflow"))
        return deeper(&top, 1000000);
    for (int i = 0; i < 64; i++)
        sum |= zeros[i];
    if (sum)
        semihost_exit(11);
    if (first_value != 41 || odd_value[0] != 1 || odd_value[2] != 3)
        semihost_exit(12);
    first_value = 42;
    if (*(volatile int32_t *)&first_value != 42)
        semihost_exit(13);
    if ((uintptr_t)&line < (uintptr_t)stack_begin || (uintptr_t)&line > (uintptr_t)stack_end)
        semihost_exit(14);
    for (int i = 0; i < 300; i++)
        if (start_weights[i] != (int8_t)(i * 7))
            semihost_exit(15);
    if (!memory_functions_are_right())
        semihost_exit(16);
#ifdef __ARM_FP
    if (third * one != 1.0f)
        semihost_exit(17);
#endif
#ifdef __ARM_FEATURE_MVE
    if (!vectors_work())
        semihost_exit(18);
#endif
    counted(&first_value);
    counted(&first_value);
    if (!files_work("start.out"))
        semihost_exit(19);
    semihost_print("started ");
    semihost_print_number(-2147483647 - 1);
    semihost_print("\n");
    semihost_exit(0);
}
