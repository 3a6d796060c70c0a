/* AMX for programs on a CPU without it: a library for LD_PRELOAD that carries out, in a handler of SIGILL, what trapped.
 *
 *     cc -shared -fPIC tests/kernels/amx_traps.c -o amx_traps.so && LD_PRELOAD=./amx_traps.so PROGRAM
 *
 * So compiled kernels run as they are, with their tiles' numbers, addresses and order, in every thread.  Written from the
 * instructions' pages in [Intel SDM vol. 2]; what would trap on hardware, too, is left to trap.  Linux on x86-64.
 *
 *     C4 | R X B 00010 | 0 vvvv 0 pp | opcode | modrm | sib, displacement           R X B vvvv are stored inverted
 *     opcode 49: ldtilecfg (pp 0), sttilecfg (66), tilerelease (pp 0, modrm C0), tilezero (F2)
 *            4B: tileloadd (F2), tilestored (F3)      5E: tdpbsud (F3): modrm.reg += modrm.rm (signed) * vvvv (unsigned)
 *
 * AMX_TRAPS=1 in the environment: how many instructions, at the program's end, to standard error. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

typedef struct {
    uint8_t palette, start_row, zero[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} Shape;

static __thread Shape shape;
static __thread uint8_t tile[8][16][64];
static unsigned long n_done;

static int usable(int t)
{
    return shape.palette == 1 && t < 8 && shape.rows[t] && shape.row_bytes[t] && shape.row_bytes[t] % 4 == 0;
}

static int set_shape(const uint8_t *p)
{
    static const uint8_t zero[16];
    Shape s;

    memcpy(&s, p, sizeof s);
    if (s.palette > 1 || s.start_row || memcmp(s.zero, zero, 14) || memcmp(s.row_bytes + 8, zero, 16) || memcmp(s.rows + 8, zero, 8))
        return 0;
    for (int t = 0; t < 8; t++)
        if (s.rows[t] > 16 || s.row_bytes[t] > 64 || !s.rows[t] != !s.row_bytes[t])
            return 0;
    shape = s;
    memset(tile, 0, sizeof tile);
    return 1;
}

static int multiply(int c, int a, int b)
{
    if (!usable(a) || !usable(b) || !usable(c) || a == b || a == c || b == c || shape.rows[c] != shape.rows[a] ||
        shape.row_bytes[c] != shape.row_bytes[b] || shape.row_bytes[a] != 4 * shape.rows[b])
        return 0;
    for (int m = 0; m < shape.rows[c]; m++)
        for (int n = 0; n < shape.row_bytes[c] / 4; n++) {
            uint32_t sum;

            memcpy(&sum, &tile[c][m][4 * n], 4);
            for (int k = 0; k < 4 * shape.rows[b]; k++)
                sum += (uint32_t)((int8_t)tile[a][m][k] * tile[b][k / 4][4 * n + k % 4]);
            memcpy(&tile[c][m][4 * n], &sum, 4);
        }
    return 1;
}

/* A register by its number in an instruction. */
static uint64_t reg(const ucontext_t *u, int number)
{
    static const int at[16] = { REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15 };

    return (uint64_t)u->uc_mcontext.gregs[at[number]];
}

/* One instruction at p: its length, 0 where it is none of ours or traps on hardware, too. */
static int carry_out(const ucontext_t *u, const uint8_t *p)
{
    int index_high = p[1] & 0x40 ? 0 : 8, base_high = p[1] & 0x20 ? 0 : 8;
    int v = ~p[2] >> 3 & 15, pp = p[2] & 3, mod = p[4] >> 6, r = p[4] >> 3 & 7, rm = p[4] & 7, n = 5;
    uint64_t base = 0, stride = 0;
    int32_t far = 0;

    if (p[0] != 0xc4 || (p[1] & 0x9f) != 0x82 || p[2] & 0x84)
        return 0;
    if (mod == 3) {
        if (p[3] == 0x49 && pp == 0 && p[4] == 0xc0)
            memset(&shape, 0, sizeof shape);
        else if (p[3] == 0x49 && pp == 3 && usable(r))
            memset(tile[r], 0, sizeof tile[r]);
        else if (p[3] != 0x5e || pp != 2 || !multiply(r, rm, v))
            return 0;
        return n;
    }
    if (rm == 4) {
        int sib = p[n++], index = (sib >> 3 & 7) + index_high;

        stride = index == 4 ? 0 : reg(u, index) << (sib >> 6);
        base = mod == 0 && (sib & 7) == 5 ? 0 : reg(u, (sib & 7) + base_high);
        if (mod == 0 && (sib & 7) == 5)
            mod = 2;
    } else if (p[3] == 0x4b)
        return 0;                                           /* tiles' rows need a stride */
    else if (mod == 0 && rm == 5)
        base = (uint64_t)u->uc_mcontext.gregs[REG_RIP] + 9, mod = 2;
    else
        base = reg(u, rm + base_high);
    if (mod == 1)
        far = (int8_t)p[n++];
    else if (mod == 2) {
        memcpy(&far, p + n, 4);
        n += 4;
    }
    base += (uint64_t)(int64_t)far;
    if (p[3] == 0x49 && r == 0 && pp == 0)
        return set_shape((const uint8_t *)(base + stride)) ? n : 0;
    if (p[3] == 0x49 && r == 0 && pp == 1) {
        memcpy((uint8_t *)(base + stride), &shape, sizeof shape);
        return n;
    }
    if (p[3] != 0x4b || pp < 2 || !usable(r))
        return 0;
    if (pp == 3)
        memset(tile[r], 0, sizeof tile[r]);
    for (int i = 0; i < shape.rows[r]; i++, base += stride)
        if (pp == 3)
            memcpy(tile[r][i], (const uint8_t *)base, shape.row_bytes[r]);
        else
            memcpy((uint8_t *)base, tile[r][i], shape.row_bytes[r]);
    return n;
}

static void on_trap(int number, siginfo_t *info, void *context)
{
    ucontext_t *u = context;
    int n = carry_out(u, (const uint8_t *)u->uc_mcontext.gregs[REG_RIP]);

    (void)info;
    if (n) {
        u->uc_mcontext.gregs[REG_RIP] += n;
        __atomic_fetch_add(&n_done, 1, __ATOMIC_RELAXED);
    } else
        signal(number, SIG_DFL);                            /* it traps again, and ends the program */
}

/* Threads that block all signals (the runtime's do) leave SIGILL open: blocked, it ends the program. */
int pthread_sigmask(int how, const sigset_t *set, sigset_t *before)
{
    sigset_t open;

    if (!set)
        return sigprocmask(how, NULL, before) ? errno : 0;
    open = *set;
    if (how != SIG_UNBLOCK)
        sigdelset(&open, SIGILL);
    return sigprocmask(how, &open, before) ? errno : 0;
}

static void say(void)
{
    fprintf(stderr, "AMX instructions carried out: %lu\n", n_done);
}

__attribute__((constructor))
static void begin(void)
{
    struct sigaction s = { .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO };

    sigemptyset(&s.sa_mask);
    sigaction(SIGILL, &s, NULL);
    if (getenv("AMX_TRAPS"))
        atexit(say);
}
