/* Runs the tests of one unit of the kernel library, or says why this machine cannot.  Compiled for the baseline, so that it
 * starts everywhere; the tests are in test_kernels.c, compiled with the unit's flags. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int kernel_tests(void);                         /* the number of kernels that failed; prints its own summary */
extern const char kernel_test_unit[];

#if defined __x86_64__
#include <cpuid.h>
#include "runtime/core/tiles.c"
static int avxvnni(void)                        /* gcc 12's __builtin_cpu_supports does not know it */
{
    unsigned a, b, c, d;

    return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 4 & 1);
}

static const char *lacking(void)
{
    __builtin_cpu_init();
    if (!strcmp(kernel_test_unit, "avx2"))
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? NULL : "avx2 or fma";
    if (!strcmp(kernel_test_unit, "avxvnni"))
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && avxvnni() ? NULL : "avx2, fma or avxvnni";
    if (!strcmp(kernel_test_unit, "avx512vnni") || !strncmp(kernel_test_unit, "amx", 3)) {
        if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") || !__builtin_cpu_supports("avx512dq") ||
            !__builtin_cpu_supports("avx512vl") || !__builtin_cpu_supports("avx512vnni"))
            return "avx512vnni or a part of x86-64-v4";
        if (!strcmp(kernel_test_unit, "amx") && !tiles_work() && !(getenv("AMX_TRAPS") && tiles_multiply()))
            return "amx_int8";                  /* nor is there amx_traps.c, which carries out what traps */
        return NULL;
    }
    return NULL;
}
#elif defined __aarch64__
#include <sys/auxv.h>
static const char *lacking(void)
{
    if (!strcmp(kernel_test_unit, "neon") || !strcmp(kernel_test_unit, "portable"))
        return NULL;
    if (!(getauxval(AT_HWCAP) >> 20 & 1))
        return "asimddp";
    if (!strcmp(kernel_test_unit, "dotprod"))
        return NULL;
    if (!(getauxval(AT_HWCAP2) >> 13 & 1))
        return "i8mm";
    return strcmp(kernel_test_unit, "sve") || (getauxval(AT_HWCAP) >> 22 & getauxval(AT_HWCAP2) >> 9 & 1) ? NULL : "sve";
}
#elif defined __riscv
#include <sys/auxv.h>
static const char *lacking(void)
{
    return strcmp(kernel_test_unit, "rvv") || getauxval(AT_HWCAP) >> ('v' - 'a') & 1 ? NULL : "v";
}
#else
static const char *lacking(void)
{
    return NULL;
}
#endif

int main(void)
{
    const char *what = lacking();

    if (what) {
        printf("kernels %s: skipped, this CPU lacks %s\n0 passed, 0 failed, 1 skipped\n", kernel_test_unit, what);
        return 0;
    }
    return kernel_tests() != 0;
}
