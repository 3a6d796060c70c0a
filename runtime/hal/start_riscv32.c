/* Start-up of a 32-bit RISC-V microcontroller in machine mode: global pointer, stack, traps, variables, main. */
int main(void);
void Reset_Handler(void);
void Trap_Handler(void);
void start(void);
void fault(void);

/* What a trap calls, with an empty stack.  A program may have its own. */
__attribute__((weak)) void fault(void)
{
    for (;;)
        __asm__ volatile("");
}

/* mtvec wants a multiple of 4.  The stack may be what is broken: begin it again. */
__attribute__((naked, noreturn, aligned(4))) void Trap_Handler(void)
{
    __asm__ volatile("la sp, stack_end\n\t"
                     "j fault");
}

/* 0x30529073: csrw mtvec, t0, which assemblers take under one spelling of the ISA and refuse under another. */
__attribute__((naked, noreturn, section(".start"), used)) void Reset_Handler(void)
{
    __asm__ volatile(".option push\n\t"
                     ".option norelax\n\t"
                     "la gp, __global_pointer$\n\t"
                     ".option pop\n\t"
                     "la sp, stack_end\n\t"
                     "la t0, Trap_Handler\n\t"
                     ".4byte 0x30529073\n\t"
                     "j start");
}

void start(void)
{
    set_variables();
    main();
    for (;;)
        __asm__ volatile("");
}
