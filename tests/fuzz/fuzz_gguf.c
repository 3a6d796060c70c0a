/* Any bytes as a GGUF file: read, asked for every kind of value, and inspected as text and as JSON.  A rejected file is fine; a
 * signal, a leak, a hang or a byte read outside the file is a finding. */
#include <setjmp.h>
#include <stdlib.h>

#include "compiler/inspect.h"

static void ask(Diag *d, const Model *m)
{
    static const char *const keys[] = { "general.architecture", "general.alignment", "llama.block_count", "a", "b", "c" };
    uint32_t u[4];
    int64_t i;
    float f;
    bool b;
    Str s;
    const KeyValue *kv;

    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
        model_u32(m, d, keys[k], u, k % 2);
        model_i64(m, d, keys[k], &i, k % 2);
        model_f32(m, d, keys[k], &f, k % 2);
        model_bool(m, d, keys[k], &b, k % 2);
        model_str(m, d, keys[k], &s, k % 2);
        model_u32_layers(m, d, keys[k], u, 4, k % 2);
        model_array(m, d, keys[k], (MetaType)(k % 2 ? META_i64 : META_str), &kv, false);
        model_tensor(m, keys[k]);
    }
    for (uint64_t t = 0; t < m->n_tensor; t++) {            /* found again, and its bytes are there */
        if (model_tensor_str(m, m->tensor[t].name) != &m->tensor[t] || digest64(m->tensor[t].p, m->tensor[t].bytes) == 1)
            abort();
    }
    for (uint64_t k = 0; k < m->n_kv; k++)
        if (model_find_str(m, m->kv[k].key) != &m->kv[k])
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    jmp_buf oom;
    Arena *a = arena_new(&oom);

    if (!a)
        return 0;
    if (setjmp(oom) == 0) {
        Diag *d = diag_new(a, NULL);
        Buf out = buf_in(a);
        Model *m = model_read(a, d, (Mapped){ "fuzz.gguf", data, size });

        if ((m == NULL) != (diag_n_errors(d) > 0))
            abort();                                        /* refused without a word, or read in spite of an error */
        if (m) {
            inspect_model(&out, d, m, false, size % 2);
            inspect_model(&out, d, m, true, false);
            ask(d, m);
        }
    }
    arena_free(a);
    return 0;
}
