/* Sources of runtime/, as sinter carries them inside, copied into an emitted folder with NAME made
 * the model's name. */
#include "codegen/parts.h"

const char *const runtime_parts[] = { "runtime/core/xxh64.c",       "runtime/core/weights.c",
                                      "runtime/hal/weights_file.c", "runtime/core/cpu.c",
                                      "runtime/core/threads.c",     "runtime/core/pace.c",
                                      "runtime/core/session.c",     NULL };
const char *const runtime_parts_one_thread[] = {
    "runtime/core/xxh64.c", "runtime/core/weights.c",     "runtime/hal/weights_file.c",
    "runtime/core/cpu.c",   "runtime/core/threads_one.c", "runtime/core/session.c", NULL
};
const char *const runtime_parts_bare[] = {
    "runtime/core/xxh64.c",    "runtime/core/weights.c",     "runtime/hal/weights_linked.c",
    "runtime/hal/cpu_fixed.c", "runtime/core/threads_one.c", "runtime/core/session.c", NULL
};
const char *const text_parts[] = { "runtime/text/tokenize.c", "runtime/text/sample.c",
                                   "runtime/text/generate.c", NULL };
const char *const main_parts[] = { "runtime/core/main.c", NULL };
const char *const main_parts_bare[] = { "runtime/hal/main_tokens.c", NULL };

static bool is_ident_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* The text with every identifier NAME and prefix NAME_ replaced. */
static void put_renamed(Buf *out, const char *text, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        bool begins = i == 0 || !is_ident_char(text[i - 1]);

        if (begins && n - i >= 4 && !memcmp(text + i, "NAME", 4) &&
            (i + 4 == n || text[i + 4] == '_' || !is_ident_char(text[i + 4]))) {
            buf_puts(out, name);
            i += 3;
        } else
            buf_putc(out, text[i]);
    }
}

/* One source of the runtime behind another in one file: its includes of our own headers are left
 * out (they are at the top of the file). */
void put_source(Buf *out, const char *path, const char *name)
{
    const Embedded *f = embedded_find(path);
    const char *p, *end;

    if (!f)
        bug("'%s' is not inside this sinter", path);
    for (p = f->text, end = f->text + f->n; p < end;) {
        const char *nl = memchr(p, '\n', (size_t)(end - p));
        size_t n = nl ? (size_t)(nl - p) + 1 : (size_t)(end - p);

        if (strncmp(p, "#include \"", 10))
            put_renamed(out, p, n, name);
        p += n;
    }
}

void put_sources(Buf *out, const char *const *paths, const char *name)
{
    for (; *paths; paths++) {
        if (out->n)
            buf_putc(out, '\n');
        put_source(out, *paths, name);
    }
}
