/* Whether this process can multiply with AMX, found out by doing it.
 *
 * That a CPU has tiles (cpuid) and that the system saves them (XCR0) is not enough.  Linux hands them out on request only, from
 * 5.16 on: arch_prctl(ARCH_REQ_XCOMP_PERM, 18) [Linux, Documentation/arch/x86/xstate.rst].  The permission belongs to the whole
 * process, to threads that exist already as to later ones, and cannot be given back.  It is refused where some thread has an
 * alternate signal stack too small for the larger frames, and sandboxes refuse it.  And a virtual machine may list AMX and trap
 * at the first instruction.
 *
 * So one small product is computed, in a child process: what traps there ends the child alone, with the default action, whatever
 * handlers the process has.  No handler is touched.  The child is made by the system call itself, so that nothing registered with
 * pthread_atfork runs; it has no exit signal, so that neither SIGCHLD's handler nor a plain wait() of the program's sees it; all
 * signals are blocked around it, so that a handler of the program's never runs in the child; and it may not write a core file.
 * Where no child can be made, there is no AMX.
 *
 *     A (signed)  2 rows x 8 bytes      B (unsigned)  2 rows of 4 columns x 4 bytes      C  2 rows x 4 sums
 *
 * The instructions stand as bytes, because assemblers before 2021 and compilers without -mamx-tile do not know their names
 * [Intel SDM vol. 2, AMX]. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__)
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* The system grants this process the tiles' registers (component 18 of its extended state), now or before. */
static int tiles_granted(void)
{
    enum { REQ_XCOMP_PERM = 0x1023, XTILE_DATA = 18 };
    int errno_before = errno, granted = syscall(SYS_arch_prctl, REQ_XCOMP_PERM, XTILE_DATA) == 0;

    errno = errno_before;
    return granted;
}

/* A product of tiles is what it should be; traps where there are none. */
static int tiles_multiply(void)
{
    static const int8_t a[2][8] = { { -128, 127, -1, 3, 5, -7, 11, 13 }, { 17, -19, 23, -29, 31, 37, -41, 43 } };
    static const uint8_t b[2][16] = { { 255, 1, 2, 3, 254, 128, 127, 7, 9, 200, 0, 1, 100, 50, 25, 12 },
                                      { 3, 5, 250, 9, 1, 129, 60, 70, 255, 255, 255, 255, 2, 4, 8, 16 } };
    int32_t c[2][4];
    uint8_t shape[64] = { 1 };                          /* palette 1; bytes of a row from 16 on, rows from 48 on */

    memset(c, 0x55, sizeof c);
    shape[16] = 16;                                     /* tile 0: C */
    shape[18] = 8;                                      /* tile 1: A */
    shape[20] = 16;                                     /* tile 2: B */
    shape[48] = shape[49] = shape[50] = 2;
    __asm__ volatile(".byte 0xc4, 0xe2, 0x78, 0x49, 0x00\n\t"               /* ldtilecfg (%rax) */
                     ".byte 0xc4, 0xe2, 0x7b, 0x49, 0xc0\n\t"               /* tilezero %tmm0 */
                     ".byte 0xc4, 0xe2, 0x7b, 0x4b, 0x0c, 0x39\n\t"         /* tileloadd (%rcx,%rdi,1), %tmm1 */
                     ".byte 0xc4, 0xe2, 0x7b, 0x4b, 0x14, 0x1a\n\t"         /* tileloadd (%rdx,%rbx,1), %tmm2 */
                     ".byte 0xc4, 0xe2, 0x6a, 0x5e, 0xc1\n\t"               /* tdpbsud %tmm2, %tmm1, %tmm0 */
                     ".byte 0xc4, 0xe2, 0x7a, 0x4b, 0x04, 0x1e\n\t"         /* tilestored %tmm0, (%rsi,%rbx,1) */
                     ".byte 0xc4, 0xe2, 0x78, 0x49, 0xc0"                   /* tilerelease */
                     :
                     : "a"(shape), "c"(a), "d"(b), "S"(c), "D"((long)sizeof a[0]), "b"((long)sizeof b[0])
                     : "memory");
    for (int m = 0; m < 2; m++)
        for (int n = 0; n < 4; n++) {
            int32_t sum = 0;

            for (int k = 0; k < 8; k++)
                sum += a[m][k] * b[k / 4][4 * n + k % 4];
            if (c[m][n] != sum)
                return 0;
        }
    return 1;
}

/* The same, tried in a child. */
static int tiles_tried(void)
{
    sigset_t all, before;
    int status = -1, errno_before = errno;
    pid_t child;

    sigfillset(&all);
    if (sigprocmask(SIG_SETMASK, &all, &before) != 0)
        return 0;
    child = (pid_t)syscall(SYS_clone, 0L, NULL, NULL, NULL, 0L);
    if (child == 0) {
        const struct rlimit none = { 0, 0 };

        setrlimit(RLIMIT_CORE, &none);
        syscall(SYS_exit_group, tiles_multiply() ? 0 : 1);
    }
    while (child > 0 && waitpid(child, &status, (int)__WCLONE) < 0)
        if (errno != EINTR)
            break;
    sigprocmask(SIG_SETMASK, &before, NULL);
    errno = errno_before;
    return child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int tiles_work(void)
{
    return tiles_granted() && tiles_tried();
}

#else

static int tiles_granted(void)
{
    return 0;
}

static int tiles_work(void)
{
    return 0;
}

#endif
