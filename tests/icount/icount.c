/* A plugin of QEMU that counts the instructions a program executes, and prints the number when it ends:
 *
 *     qemu-aarch64 -d plugin -plugin ./icount.so PROGRAM ...                      icount: 1234
 *     qemu-system-arm ... -plugin ./icount.so,function=0x1a0,memory=on            icount: 5678
 *                                                                                 icount: calls 2 last 1200 least 1200 most 1210
 *                                                                                 icount: loads 200 stores 100
 *
 * With `function`, the address of one, also how many each call of it took, from its first instruction to its last, with all that it calls.
 * With `memory`, the loads and stores of the last such call (or of everything), each instruction once for every access that it makes.
 *
 * Whenever QEMU translates a block, an addition of the block's length is put in front of it.  A call ends a block, so a function returns where the
 * block before its first one ended: with `function` each block calls us, and we remember.  The interface is version 1 of QEMU's TCG plugins
 * [QEMU, include/qemu/qemu-plugin.h]; Debian's QEMU ships without that header, so the few declarations are here. */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef uint64_t PluginId;

void qemu_plugin_register_vcpu_tb_trans_cb(PluginId id, void (*translated)(PluginId, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, void (*runs)(unsigned cpu, void *data), int flags, void *data);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb, int op, void *counter, uint64_t n);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn, void (*accessed)(unsigned cpu, uint32_t info, uint64_t address, void *data),
                                      int flags, int rw, void *data);
bool qemu_plugin_mem_is_store(uint32_t info);
void qemu_plugin_register_atexit_cb(PluginId id, void (*ended)(PluginId, void *), void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);

enum { ADD_U64 = 0, VERSION = 1, NO_REGISTERS = 0, READS_AND_WRITES = 3 };

__attribute__((visibility("default"))) int qemu_plugin_version = VERSION;

/* Of a program with one thread: additions are not atomic. */
typedef struct { uint64_t instructions, loads, stores; } Counts;
static Counts now, at_call, of_call;

typedef struct Block { uint64_t begin, end, n; struct Block *older; } Block;
static Block *blocks;

static uint64_t function, back, last_end;       /* its address; where the call that runs returns to; where the last block ended */
static bool with_function, with_memory, inside;
static uint64_t n_calls, least = UINT64_MAX, most;

static void block_runs(unsigned cpu, void *data)
{
    const Block *b = data;

    (void)cpu;
    if (inside && b->begin == back) {
        of_call = (Counts){ now.instructions - at_call.instructions, now.loads - at_call.loads, now.stores - at_call.stores };
        least = of_call.instructions < least ? of_call.instructions : least;
        most = of_call.instructions > most ? of_call.instructions : most;
        n_calls++;
        inside = false;
    }
    if (!inside && b->begin == function) {
        at_call = now;
        back = last_end;
        inside = true;
    }
    now.instructions += b->n;
    last_end = b->end;
}

/* Additions in line would be faster, but QEMU 7.2 takes loads for stores there. */
static void accessed(unsigned cpu, uint32_t info, uint64_t address, void *data)
{
    (void)cpu;
    (void)address;
    (void)data;
    *(qemu_plugin_mem_is_store(info) ? &now.stores : &now.loads) += 1;
}

/* A block that is translated again is the same one: blocks stay, because QEMU may still run its older translation. */
static Block *block_of(struct qemu_plugin_tb *tb, size_t n)
{
    const struct qemu_plugin_insn *last = qemu_plugin_tb_get_insn(tb, n - 1);
    Block *b = calloc(1, sizeof *b);

    if (!b)
        abort();
    *b = (Block){ qemu_plugin_tb_vaddr(tb), qemu_plugin_insn_vaddr(last) + qemu_plugin_insn_size(last), n, blocks };
    blocks = b;
    return b;
}

static void translated(PluginId id, struct qemu_plugin_tb *tb)
{
    size_t n = qemu_plugin_tb_n_insns(tb);

    (void)id;
    if (with_function)
        qemu_plugin_register_vcpu_tb_exec_cb(tb, block_runs, NO_REGISTERS, block_of(tb, n));
    else
        qemu_plugin_register_vcpu_tb_exec_inline(tb, ADD_U64, &now.instructions, n);
    for (size_t i = 0; with_memory && i < n; i++)
        qemu_plugin_register_vcpu_mem_cb(qemu_plugin_tb_get_insn(tb, i), accessed, NO_REGISTERS, READS_AND_WRITES, NULL);
}

static void ended(PluginId id, void *data)
{
    const Counts *of = with_function ? &of_call : &now;

    (void)id;
    (void)data;
    fprintf(stderr, "icount: %" PRIu64 "\n", now.instructions);
    if (with_function)
        fprintf(stderr, "icount: calls %" PRIu64 " last %" PRIu64 " least %" PRIu64 " most %" PRIu64 "\n", n_calls, of_call.instructions,
                n_calls ? least : 0, most);
    if (with_memory)
        fprintf(stderr, "icount: loads %" PRIu64 " stores %" PRIu64 "\n", of->loads, of->stores);
    while (blocks) {
        Block *b = blocks;

        blocks = b->older;
        free(b);
    }
}

__attribute__((visibility("default"))) int qemu_plugin_install(PluginId id, const void *info, int argc, char **argv);
int qemu_plugin_install(PluginId id, const void *info, int argc, char **argv)
{
    (void)info;
    for (int i = 0; i < argc; i++)
        if (!strncmp(argv[i], "function=", 9)) {
            function = strtoull(argv[i] + 9, NULL, 0) & ~(uint64_t)1;       /* bit 0 says Thumb */
            with_function = true;
        } else if (!strcmp(argv[i], "memory=on"))
            with_memory = true;
        else {
            fprintf(stderr, "icount: unknown word '%s' (function=ADDRESS, memory=on)\n", argv[i]);
            return -1;
        }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return 0;
}
