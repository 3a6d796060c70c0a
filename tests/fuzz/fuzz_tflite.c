/* Any bytes as a TensorFlow Lite file: read, inspected, and made into a Module, which must verify.  A rejected file is fine; a signal, a leak, a
 * hang or a byte read outside the file is a finding. */
#include <setjmp.h>
#include <stdlib.h>

#include "compiler/compiler.h"
#include "compiler/inspect.h"

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
        Model *m = model_read(a, d, (Mapped){ "fuzz.tflite", data, size });

        if ((m == NULL) != (diag_n_errors(d) > 0))
            abort();                                        /* refused without a word, or read in spite of an error */
        if (m && m->graph) {
            BuildOptions o = { .model = "fuzz.tflite" };
            Module *module;

            inspect_model(&out, d, m, false, size % 2);
            inspect_model(&out, d, m, true, false);
            module = arch_module(a, m, &o, d);
            if ((module == NULL) != (diag_n_errors(d) > 0) || (module && !module_verify(module, d)))
                abort();
        }
    }
    arena_free(a);
    return 0;
}
