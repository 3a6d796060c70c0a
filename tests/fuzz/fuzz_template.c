/* Chat templates and pre-tokenizer expressions from files: any text is recognised or refused with a reason, never a crash. */
#include <stdlib.h>

#include "compiler/import/vocab.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Arena *a = arena_new(NULL);
    Diag *d = diag_new(a, NULL);
    Str text = { (const char *)data, size };
    ChatTemplate t = template_recognise(a, text);
    Pretok p;

    if (t.known ? t.head.n + t.mid.n + t.tail.n + t.gen.n + t.system.n > 2 * size : size && !*t.unknown)
        abort();                                            /* texts from nowhere, or refused without a reason */
    if (size < 64) {
        const char *expr = str_z(a, text);

        if (!pretok_compile(a, d, &expr, 1, &p) && !diag_n_errors(d))
            abort();
    }
    arena_free(a);
    return 0;
}
