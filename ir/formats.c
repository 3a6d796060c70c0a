/* The table of formats, made from formats.def.  A row's functions are in ir/formats/NAME.c (block) or ir/formats/plain.c. */
#include "ir/formats.h"

#include "ir/formats/internal.h"

#define CODES_float(name) NULL
#define CODES_int(name) NULL
#define CODES_block(name) &format_codes_##name

const Format format_table[N_FORMATS] = {
#define FORMAT(name, gguf_type, block, bytes, kind, help) \
    { #name, gguf_type, block, bytes, FORMAT_##kind, decode_##name, encode_##name, CODES_##kind(name), help },
#include "ir/formats.def"
};

const char *const format_names[N_FORMATS + 1] = {
#define FORMAT(name, ...) #name,
#include "ir/formats.def"
    NULL
};

const Format *format_find(Str name)
{
    for (int i = 0; i < N_FORMATS; i++)
        if (str_is(name, format_table[i].name))
            return &format_table[i];
    return NULL;
}

const Format *format_of_gguf_type(uint32_t type)
{
    for (int i = 0; i < N_FORMATS; i++)
        if (format_table[i].gguf_type >= 0 && (uint32_t)format_table[i].gguf_type == type)
            return &format_table[i];
    return NULL;
}

bool format_bytes(const Format *f, int64_t n, uint64_t *out)
{
    return n >= 0 && n % f->block == 0 && mul_ok((uint64_t)(n / f->block), (uint64_t)f->bytes, out);
}

const Format *format_i8(int64_t n)
{
    for (int id = FMT_i8g256; id >= (int)FMT_i8g64; id--)
        if (n > 0 && n % format_table[id].block == 0)
            return &format_table[id];
    return NULL;
}

bool format_codes(const Format *f, const uint8_t *block, int *code, FormatScales *scales)
{
    if (!format_has_codes(f))
        return false;
    scales->d = scales->m = 0;
    for (int g = 0; g < FORMAT_MAX_GROUPS; g++)
        scales->s[g] = scales->t[g] = 1;
    f->codes->read(block, code, scales);
    return true;
}

void format_int_range(const Format *f, int64_t *lo, int64_t *hi)
{
    int bits = 8 * f->bytes;

    *lo = format_id(f) == FMT_u8 ? 0 : -((int64_t)1 << (bits - 1));
    *hi = format_id(f) == FMT_u8 ? 255 : ((int64_t)1 << (bits - 1)) - 1;
}
