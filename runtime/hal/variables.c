/* Variables before main: the linker script lists what has first values, and where they are kept, and what begins as zeros. */
typedef struct { const uint32_t *from; uint32_t *to; uint32_t bytes; } Copied;
typedef struct { uint32_t *to; uint32_t bytes; } Zeroed;

extern const Copied copied_begin[], copied_end[];
extern const Zeroed zeroed_begin[], zeroed_end[];

/* The empty assembler lines keep the compiler from making calls of memcpy and memset out of the loops. */
static void set_variables(void)
{
    for (const Copied *c = copied_begin; c != copied_end; c++)
        for (uint32_t i = 0; i < c->bytes / 4; i++) {
            c->to[i] = c->from[i];
            __asm__ volatile("");
        }
    for (const Zeroed *z = zeroed_begin; z != zeroed_end; z++)
        for (uint32_t i = 0; i < z->bytes / 4; i++) {
            z->to[i] = 0;
            __asm__ volatile("");
        }
}
