/* What this CPU can do, asked in ways that every CPU of the family answers.
 *
 * x86: cpuid leaves 1, 7 and 0x80000001 [Intel SDM vol. 2A, CPUID], and XCR0, which says which
 * registers the operating system saves: a CPU with AVX-512 under a system that does not save zmm
 * must not use them.  AMX must be granted by the system, too, and is tried (tiles.c).
 *
 *     XCR0 bit   1: xmm   2: upper halves of ymm   5: opmasks   6: upper halves of zmm0-15
 *                7: zmm16-31   17, 18: tiles
 *
 * aarch64 and riscv64 Linux: the auxiliary vector.  Other systems: what the compiler was allowed
 * to use anyway.
 *
 * Feature names are those of /proc/cpuinfo, as the target descriptions use them; an unknown name
 * counts as lacking. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "runtime/core/internal.h"
#include "runtime/core/tiles.c"

#include <string.h>

#if (defined(__x86_64__) || defined(__i386__)) && defined(__GNUC__)
#include <cpuid.h>

enum { XMM_YMM = 0x6, ZMM = 0xe6, TILE = 0x60000 };

/* Register 0..3 is eax, ebx, ecx, edx. */
typedef struct { const char *name; uint32_t leaf, sub; int reg, bit; uint32_t saved; } CpuBit;
static const CpuBit cpu_bits[] = {
    { "sse3", 1, 0, 2, 0, 0 },
    { "pni", 1, 0, 2, 0, 0 },                           /* as Linux calls sse3 */
    { "ssse3", 1, 0, 2, 9, 0 },
    { "cx16", 1, 0, 2, 13, 0 },
    { "sse4_1", 1, 0, 2, 19, 0 },
    { "sse4_2", 1, 0, 2, 20, 0 },
    { "movbe", 1, 0, 2, 22, 0 },
    { "popcnt", 1, 0, 2, 23, 0 },
    { "fma", 1, 0, 2, 12, XMM_YMM },
    { "avx", 1, 0, 2, 28, XMM_YMM },
    { "f16c", 1, 0, 2, 29, XMM_YMM },
    { "sse2", 1, 0, 3, 26, 0 },
    { "bmi1", 7, 0, 1, 3, 0 },
    { "avx2", 7, 0, 1, 5, XMM_YMM },
    { "bmi2", 7, 0, 1, 8, 0 },
    { "avx512f", 7, 0, 1, 16, ZMM },
    { "avx512dq", 7, 0, 1, 17, ZMM },
    { "avx512ifma", 7, 0, 1, 21, ZMM },
    { "avx512cd", 7, 0, 1, 28, ZMM },
    { "avx512bw", 7, 0, 1, 30, ZMM },
    { "avx512vl", 7, 0, 1, 31, ZMM },
    { "avx512vbmi", 7, 0, 2, 1, ZMM },
    { "avx512_vbmi2", 7, 0, 2, 6, ZMM },
    { "avx512_vnni", 7, 0, 2, 11, ZMM },
    { "avx512_bitalg", 7, 0, 2, 12, ZMM },
    { "avx512_vpopcntdq", 7, 0, 2, 14, ZMM },
    { "avx512_bf16", 7, 1, 0, 5, ZMM },
    { "avx512_fp16", 7, 0, 3, 23, ZMM },
    { "avx_vnni", 7, 1, 0, 4, XMM_YMM },
    { "amx_bf16", 7, 0, 3, 22, TILE },
    { "amx_tile", 7, 0, 3, 24, TILE },
    { "amx_int8", 7, 0, 3, 25, TILE },
    { "lzcnt", 0x80000001u, 0, 2, 5, 0 },
    { "abm", 0x80000001u, 0, 2, 5, 0 },                 /* as Linux calls lzcnt */
    { "lahf_lm", 0x80000001u, 0, 2, 0, 0 },
};

/* XCR0, 0 where the system does not save extended registers at all (or the CPU has none). */
static uint32_t saved_registers(void)
{
    uint32_t a, b, c, d;

    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c >> 27 & 1))
        return 0;
    __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    return a;
}

static int cpu_has(const char *name)
{
    for (size_t i = 0; i < sizeof cpu_bits / sizeof cpu_bits[0]; i++) {
        const CpuBit *f = &cpu_bits[i];
        uint32_t r[4];

        if (strcmp(name, f->name) != 0)
            continue;
        if (!__get_cpuid_count(f->leaf, f->sub, &r[0], &r[1], &r[2], &r[3]) ||
            !(r[f->reg] >> f->bit & 1))
            return 0;
        if ((saved_registers() & f->saved) != f->saved)
            return 0;
#if NAME_HAS_TILES
        if (f->saved == TILE)
            return strcmp(name, "amx_tile") == 0 ? tiles_granted() : tiles_work();
#endif
        return f->saved != TILE;
    }
    return 0;
}

#elif (defined(__aarch64__) || defined(__riscv)) && defined(__linux__)
#include <sys/auxv.h>

/* Bits of AT_HWCAP (word 0) and AT_HWCAP2 (word 1): the kernel's uapi/asm/hwcap.h. */
typedef struct { const char *name; int word, bit; } CpuBit;
static const CpuBit cpu_bits[] = {
#ifdef __aarch64__
    { "fp", 0, 0 }, { "asimd", 0, 1 }, { "neon", 0, 1 }, { "fphp", 0, 9 }, { "asimdhp", 0, 10 },
    { "asimddp", 0, 20 }, { "dotprod", 0, 20 }, { "sve", 0, 22 },
    { "sve2", 1, 1 }, { "svei8mm", 1, 9 }, { "i8mm", 1, 13 }, { "bf16", 1, 14 },
#else
    { "i", 0, 'i' - 'a' }, { "m", 0, 'm' - 'a' }, { "a", 0, 0 },         { "f", 0, 'f' - 'a' },
    { "d", 0, 'd' - 'a' }, { "c", 0, 'c' - 'a' }, { "v", 0, 'v' - 'a' },
#endif
};

static int cpu_has(const char *name)
{
    for (size_t i = 0; i < sizeof cpu_bits / sizeof cpu_bits[0]; i++)
        if (strcmp(name, cpu_bits[i].name) == 0)
            return (int)(getauxval(cpu_bits[i].word ? AT_HWCAP2 : AT_HWCAP) >> cpu_bits[i].bit & 1);
    return 0;
}

#else

static int cpu_has(const char *name)
{
#if defined(__ARM_NEON)
    if (strcmp(name, "asimd") == 0 || strcmp(name, "neon") == 0)
        return 1;
#endif
#if defined(__ARM_FEATURE_DOTPROD)
    if (strcmp(name, "asimddp") == 0 || strcmp(name, "dotprod") == 0)
        return 1;
#endif
    (void)name;
    return 0;
}

#endif

const char *NAME_cpu_lacks(const char *const *features)
{
    for (; *features; features++)
        if (!cpu_has(*features))
            return *features;
    return NULL;
}
