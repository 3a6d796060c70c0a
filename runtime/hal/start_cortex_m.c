/* Start-up of a Cortex-M: vector table, float and vector unit, stack limit, variables, main.
 *
 * The table has the sixteen vectors of the architecture [Armv7-M ARM, B1.5.3]; the chip's interrupts follow where a project has some.  Nothing is
 * set up that the model does not need: clocks, flash wait states, caches and watchdogs are as after reset. */
extern uint32_t stack_begin[], stack_end[];
int main(void);
void Reset_Handler(void);
void Fault_Handler(void);
void fault(void);

/* What a fault calls, with an empty stack.  A program may have its own. */
__attribute__((weak)) void fault(void)
{
    for (;;)
        __asm__ volatile("");
}

/* The stack may be what is broken: begin it again. */
__attribute__((naked, noreturn)) void Fault_Handler(void)
{
    __asm__ volatile("ldr r0, =stack_end\n\t"
                     "mov sp, r0\n\t"
                     "bl fault\n\t"
                     ".ltorg");
}

typedef struct { uint32_t *stack; void (*handler[15])(void); } Vectors;

__attribute__((section(".start"), used)) static const Vectors vectors = {
    stack_end,
    { Reset_Handler, Fault_Handler, Fault_Handler, Fault_Handler, Fault_Handler, Fault_Handler, Fault_Handler, 0, 0, 0, Fault_Handler,
      Fault_Handler, 0, Fault_Handler, Fault_Handler }
};

/* Access to CP10 and CP11, which are the float unit and Helium (CPACR, bits 20 to 23); loops without branches cached (CCR.LOB, bit 19). */
static void switch_units_on(void)
{
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
    *(volatile uint32_t *)0xe000ed88 |= 0xfu << 20;
#endif
#if defined(__ARM_FEATURE_MVE)
    *(volatile uint32_t *)0xe000ed14 |= 1u << 19;
#endif
#if __ARM_ARCH >= 8
    __asm__ volatile("msr msplim, %0" ::"r"(stack_begin));
#endif
    __asm__ volatile("dsb\n\tisb" ::: "memory");
}

__attribute__((noinline)) static void start(void)
{
    set_variables();
    main();
}

void Reset_Handler(void)
{
    switch_units_on();
    start();                                        /* not inlined: nothing may use the units before */
    for (;;)
        __asm__ volatile("");
}
