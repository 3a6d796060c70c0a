/* Start-up of test programs on QEMU's mps3-an547 (Cortex-M55), and semihosting: text out, exit.  No libc. */
#include "tests/kernels/mve_start.h"

extern uint32_t stack_top[], bss_begin[], bss_end[];
int main(void);

static uint32_t semihost(uint32_t op, const void *arg)
{
    register uint32_t r0 __asm__("r0") = op;
    register const void *r1 __asm__("r1") = arg;

    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

void say(const char *text)
{
    semihost(0x04, text);                                           /* SYS_WRITE0 */
}

void say_number(int32_t v)
{
    char text[12];
    char *p = text + sizeof text - 1;
    uint32_t u = v < 0 ? -(uint32_t)v : (uint32_t)v;

    *p = 0;
    do
        *--p = (char)('0' + u % 10);
    while (u /= 10);
    if (v < 0)
        *--p = '-';
    say(p);
}

void leave(int status)
{
    uint32_t block[2] = { 0x20026, (uint32_t)status };              /* ADP_Stopped_ApplicationExit */

    semihost(0x20, block);                                          /* SYS_EXIT_EXTENDED */
    for (;;) {
    }
}

static void fault(void)
{
    say("a fault\n");
    leave(3);
}

__attribute__((noreturn)) static void reset(void)
{
    *(volatile uint32_t *)0xE000ED88 |= 0xfu << 20;                 /* CPACR: floating point and MVE */
    *(volatile uint32_t *)0xE000ED14 |= 1u << 19;                   /* CCR.LOB: low-overhead loops */
    __asm__ volatile("dsb\n isb");
    for (uint32_t *p = bss_begin; p < bss_end; p++)
        *p = 0;
    leave(main());
    for (;;) {
    }
}

__attribute__((section(".vectors"), used)) static const void *const vectors[16] = { stack_top, (void *)reset, (void *)fault, (void *)fault,
                                                                                   (void *)fault, (void *)fault, (void *)fault };
