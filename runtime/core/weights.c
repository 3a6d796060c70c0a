/* The weights, in memory: their tables are checked, nothing is parsed or copied (format:
 * weights_format.h).
 *
 * Opening reads the header area only: a few kilobytes for a model of 100 MB.  It checks the digest
 * against the one compiled into the program and then every offset of the table, so that the rest
 * of the code need not. */
#include "runtime/core/internal.h"
#include "runtime/core/weights_format.h"
#include "runtime/hal/libc.h"

const char *NAME_status_text(NAME_Status s)
{
    switch (s) {
    case NAME_OK: return "done";
    case NAME_E_ARG: return "an argument is out of range";
    case NAME_E_FILE: return "the weights file cannot be read";
    case NAME_E_WEIGHTS:
        return "these are not the weights that this program was built for, or they are damaged";
    case NAME_E_CPU: return "this CPU lacks a feature that the program was compiled for";
    case NAME_E_MEMORY: return "the block of memory is too small";
    case NAME_E_CONTEXT: return "the context is full";
    case NAME_E_CANCELLED: return "cancelled";
    case NAME_E_TEXT: return "the text layer cannot do this";
    case NAME_E_THREADS: return "the threads could not be started";
    }
    return "unknown status";
}

static const NAME_WeightsFile *header_of(const uint8_t *w)
{
    return (const NAME_WeightsFile *)(const void *)w;
}

static const NAME_WeightsSection *section_of(const uint8_t *w, uint32_t i)
{
    return (const NAME_WeightsSection *)(const void *)(w + sizeof(NAME_WeightsFile)) + i;
}

static int section_ok(const NAME_WeightsFile *h, const NAME_WeightsSection *s, uint64_t end_of_last,
                      uint64_t tables_end)
{
    uint64_t align =
        s->bytes > NAME_WEIGHTS_CHUNK ? NAME_WEIGHTS_LARGE_ALIGN : NAME_WEIGHTS_SMALL_ALIGN;

    return memchr(s->name, 0, sizeof s->name) && s->bytes > 0 && s->off % align == 0 &&
           s->off >= end_of_last && s->off <= h->file_bytes && s->bytes <= h->file_bytes - s->off &&
           s->n_chunks == (s->bytes - 1) / NAME_WEIGHTS_CHUNK + 1 && s->hash_off % 8 == 0 &&
           s->hash_off >= tables_end && s->hash_off <= h->header_bytes &&
           s->n_chunks <= (h->header_bytes - s->hash_off) / 8;
}

/* Everything that the other functions rely on. */
static int header_ok(const uint8_t *w, uint64_t bytes)
{
    const NAME_WeightsFile *h = header_of(w);
    uint64_t end, tables_end;

    if (bytes < sizeof *h || memcmp(h->magic, NAME_WEIGHTS_MAGIC, 8) != 0 ||
        h->version != NAME_WEIGHTS_VERSION || h->zero != 0 || h->file_bytes != bytes ||
        bytes != NAME_desc.weights_bytes || h->header_bytes > bytes || h->header_bytes % 8 != 0 ||
        h->header_bytes < sizeof *h || h->chunk_bytes != NAME_WEIGHTS_CHUNK ||
        h->n_sections > (h->header_bytes - sizeof *h) / sizeof(NAME_WeightsSection))
        return 0;
    for (int i = 0; i < 2; i++) {
        size_t n = (size_t)(h->header_bytes - NAME_WEIGHTS_DIGESTED);

        if (h->digest[i] != NAME_desc.digest[i] ||
            h->digest[i] != NAME_xxh64(w + NAME_WEIGHTS_DIGESTED, n, (uint64_t)i))
            return 0;
    }
    end = h->header_bytes;
    tables_end = sizeof *h + (uint64_t)h->n_sections * sizeof(NAME_WeightsSection);
    for (uint32_t i = 0; i < h->n_sections; i++) {
        const NAME_WeightsSection *s = section_of(w, i);

        if (!section_ok(h, s, end, tables_end))
            return 0;
        end = s->off + s->bytes;
    }
    return 1;
}

/* The first instruction set, in order of preference, that this CPU has; -1: none. */
static int choose_isa(void)
{
    for (int i = 0; i < NAME_desc.n_isa; i++)
        if (!NAME_cpu_lacks(NAME_desc.isa[i].features))
            return i;
    return -1;
}

const char *NAME_missing_feature(void)
{
    return choose_isa() >= 0 ? NULL : NAME_cpu_lacks(NAME_desc.isa[NAME_desc.n_isa - 1].features);
}

const char *NAME_isa_name(const NAME_Model *m)
{
    return NAME_desc.isa[m->isa].name;
}

NAME_Status NAME_open_memory(NAME_Model *m, const void *weights, size_t bytes)
{
    int isa = choose_isa();

    memset(m, 0, sizeof *m);
    if (isa < 0)
        return NAME_E_CPU;
    if (!weights || (uintptr_t)weights % NAME_WEIGHTS_SMALL_ALIGN)
        return NAME_E_ARG;
    if (!header_ok(weights, bytes))
        return NAME_E_WEIGHTS;
    m->w = weights;
    m->bytes = bytes;
    m->isa = isa;
    return NAME_OK;
}

static int all_zero(const uint8_t *p, uint64_t n)
{
    uint8_t any = 0;

    for (uint64_t i = 0; i < n; i++)
        any |= p[i];
    return !any;
}

NAME_Status NAME_verify(const NAME_Model *m)
{
    const NAME_WeightsFile *h = header_of(m->w);
    uint64_t end = h->header_bytes;

    if (!header_ok(m->w, m->bytes))
        return NAME_E_WEIGHTS;
    for (uint32_t i = 0; i < h->n_sections; i++) {
        const NAME_WeightsSection *s = section_of(m->w, i);
        const uint64_t *hash = (const uint64_t *)(const void *)(m->w + s->hash_off);

        if (!all_zero(m->w + end, s->off - end))
            return NAME_E_WEIGHTS;
        end = s->off + s->bytes;
        for (uint32_t c = 0; c < s->n_chunks; c++) {
            uint64_t at = (uint64_t)c * NAME_WEIGHTS_CHUNK, left = s->bytes - at;
            size_t n = (size_t)(left < NAME_WEIGHTS_CHUNK ? left : NAME_WEIGHTS_CHUNK);

            if (NAME_xxh64(m->w + s->off + at, n, 0) != hash[c])
                return NAME_E_WEIGHTS;
        }
    }
    return all_zero(m->w + end, h->file_bytes - end) ? NAME_OK : NAME_E_WEIGHTS;
}

const uint8_t *NAME_section(const NAME_Model *m, const char *name, uint64_t *bytes)
{
    for (uint32_t i = 0; i < header_of(m->w)->n_sections; i++) {
        const NAME_WeightsSection *s = section_of(m->w, i);

        if (s->kind == NAME_SECTION_BLOB && strcmp(s->name, name) == 0) {
            *bytes = s->bytes;
            return m->w + s->off;
        }
    }
    *bytes = 0;
    return NULL;
}
