/* A plugin of QEMU that counts the instructions a program executes, and prints the number when it ends:
 *
 *     qemu-aarch64 -d plugin -plugin ./icount.so PROGRAM ...          icount: 1234
 *
 * Whenever QEMU translates a block, an addition of the block's length is put in front of it.  The interface is version 1 of
 * QEMU's TCG plugins [QEMU, include/qemu/qemu-plugin.h]; Debian's qemu-user ships without that header, so the few
 * declarations are here. */
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct qemu_plugin_tb;
typedef uint64_t PluginId;

void qemu_plugin_register_vcpu_tb_trans_cb(PluginId id, void (*translated)(PluginId, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb, int op, void *counter, uint64_t n);
void qemu_plugin_register_atexit_cb(PluginId id, void (*ended)(PluginId, void *), void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);

enum { ADD_U64 = 0, VERSION = 1 };

__attribute__((visibility("default"))) int qemu_plugin_version = VERSION;

static uint64_t n_instructions;                 /* of a program with one thread: additions are not atomic */

static void translated(PluginId id, struct qemu_plugin_tb *tb)
{
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_inline(tb, ADD_U64, &n_instructions, qemu_plugin_tb_n_insns(tb));
}

static void ended(PluginId id, void *data)
{
    (void)id;
    (void)data;
    fprintf(stderr, "icount: %" PRIu64 "\n", n_instructions);
}

__attribute__((visibility("default"))) int qemu_plugin_install(PluginId id, const void *info, int argc, char **argv);
int qemu_plugin_install(PluginId id, const void *info, int argc, char **argv)
{
    (void)info;
    (void)argc;
    (void)argv;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return 0;
}
