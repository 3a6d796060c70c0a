/* NAME_weights.h and NAME_weights.c: constant arrays, which a linker puts into flash.
 *
 * Packed weights are words, because kernels load them as such: so they are aligned without a word to the compiler. */
#include "codegen/net.h"

const char *net_add_array(NetWriter *z, const char *stage, const char *what, const char *type, const void *p, uint64_t n, const char *comment)
{
    NetArray *a = &z->array[z->n_array++];

    if (z->n_array > z->cap_array)
        bug("more arrays than were counted");
    *a = (NetArray){ str_printf(z->w->a, "%s_%s_%s", z->w->name, stage, what), type, comment, p, n, z->region };
    return a->name;
}

const char *net_add_words(NetWriter *z, const char *stage, const char *what, const uint8_t *p, uint64_t bytes, const char *comment)
{
    uint8_t *padded = ARENA_ARRAY(z->w->a, uint8_t, align_up(bytes, 4) + 4);

    memcpy(padded, p, bytes);
    return net_add_array(z, stage, what, "uint32_t", padded, (bytes + 3) / 4, comment);
}

static uint32_t word_at(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void put_number(NetWriter *z, Buf *b, const NetArray *a, uint64_t i)
{
    if (!strcmp(a->type, "uint32_t"))
        buf_printf(b, "0x%08" PRIx32, word_at((const uint8_t *)a->p + 4 * i));
    else if (!strcmp(a->type, "float"))
        buf_puts(b, net_float_c(z, (double)((const float *)a->p)[i]));
    else if (((const int32_t *)a->p)[i] == INT32_MIN)
        buf_puts(b, "-2147483647 - 1");
    else
        buf_printf(b, "%" PRId32, ((const int32_t *)a->p)[i]);
}

static void put_array(NetWriter *z, Buf *b, const NetArray *a)
{
    uint64_t n = a->n ? a->n : 1;

    buf_printf(b, "\n/* %s */\nconst %s %s[%" PRIu64 "] = {", a->comment, a->type, a->name, n);
    for (uint64_t i = 0; i < n; i++) {
        buf_puts(b, i % 8 ? " " : "\n    ");
        if (a->n)
            put_number(z, b, a, i);
        else
            buf_puts(b, "0");
        if (i + 1 < n)
            buf_putc(b, ',');
    }
    buf_puts(b, "\n};\n");
}

void net_write_weights(NetWriter *z, Buf *header, Buf *source)
{
    const char *n = z->w->name;
    uint64_t bytes = 0;

    for (int i = 0; i < z->n_array; i++)
        bytes += z->array[i].n * (strcmp(z->array[i].type, "int8_t") ? strcmp(z->array[i].type, "int16_t") ? 4 : 2 : 1);
    buf_printf(header, "/* Weights and tables of %s: constants, for its stages alone. */\n#ifndef %s_WEIGHTS_H\n#define %s_WEIGHTS_H\n\n#include <stdint.h>\n\n",
               n, n, n);
    buf_printf(source, "/* Weights and tables of %s, packed for its kernels: %" PRIu64 " bytes of constants. */\n#include \"%s_weights.h\"\n", n, bytes, n);
    for (int i = 0; i < z->n_array; i++) {
        buf_printf(header, "extern const %s %s[%" PRIu64 "];\n", z->array[i].type, z->array[i].name, z->array[i].n ? z->array[i].n : 1);
        put_array(z, source, &z->array[i]);
    }
    if (!z->n_array)                /* a file without declarations is no C */
        buf_printf(source, "\nextern const uint32_t %s_no_weights;\nconst uint32_t %s_no_weights = 0;\n", n, n);
    buf_puts(header, "\n#endif\n");
}
