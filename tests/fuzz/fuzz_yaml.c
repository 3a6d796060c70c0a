/* If this crashes, a target's YAML file can crash the compiler.  (sinter.yaml is read by the same
 * reader and the same setters.) */
#include <stdlib.h>

#include "compiler/compiler.h"
#include "compiler/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Goes down a few levels as a schema would: every reader on every node, whatever it is. */
static void read_all(Arena *a, Diag *d, const YamlNode *n, int depth)
{
    static const char *const keys[] = { "name", "isa", NULL };
    const char *const *list;
    const char *s;
    uint64_t bytes;
    int64_t i;
    bool b;

    (void)(yaml_str(a, d, n, "x", &s) + yaml_strs(a, d, n, "x", &list) +
           yaml_int(d, n, "x", 0, 9, &i) + yaml_bytes(d, n, "x", &bytes) +
           yaml_bool(d, n, "x", &b));
    if (n->kind == YAML_map)
        yaml_only(d, n, keys);
    for (int k = 0; depth > 0 && k < n->n_child && k < 16; k++)
        read_all(a, d, n->child[k], depth - 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Arena *a = arena_new(NULL);
    Diag *d = diag_new(a, NULL);
    Str text = { (const char *)data, size };
    const YamlNode *root = yaml_read(a, d, "fuzz.yaml", text);
    const Target *t;

    if (!root && !diag_n_errors(d))
        abort();                                             /* rejected without a word */
    if (root)
        read_all(a, d, root, 3);
    t = target_parse(a, d, "fuzz.yaml", text);
    if (t) { /* what was accepted prints and reads back */
        Buf b = buf_in(a);

        target_print(&b, t);
        if (!target_parse(a, d, "printed.yaml", buf_str(&b)))
            abort();
    }
    arena_free(a);
    return 0;
}
