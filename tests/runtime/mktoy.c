/* mktoy DIR: writes the toy model's weights, DIR/NAME.weights, and DIR/toy_digest.h, as the
 * compiler does for a model. */
#include "runtime/core/weights_format.h"
#include "tests/runtime/toy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

static void write_file(const char *dir, const char *name, const void *p, size_t n)
{
    char path[4096];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    f = fopen(path, "wb");
    if (!f || fwrite(p, 1, n, f) != n || fclose(f)) {
        perror(path);
        exit(1);
    }
}

int main(int argc, char **argv)
{
    const size_t embd_bytes = (size_t)TOY_EMBD_ROWS * TOY_WIDTH * 4,
                 n_chunks = (embd_bytes - 1) / NAME_WEIGHTS_CHUNK + 1;
    const size_t header =
        sizeof(NAME_WeightsFile) + 2 * sizeof(NAME_WeightsSection) + (n_chunks + 1) * 8;
    const size_t embd_off = NAME_WEIGHTS_LARGE_ALIGN,
                 blob_off = (embd_off + embd_bytes + 63) / 64 * 64 + 64;
    const size_t bytes = blob_off + TOY_BLOB_BYTES + 28;
    uint8_t *w = calloc(1, bytes);
    NAME_WeightsFile *h = (void *)w;
    NAME_WeightsSection *s = (void *)(w + sizeof *h);
    uint64_t *hash = (void *)(s + 2);
    char text[256];

    if (argc != 2 || !w)
        return 2;
    memcpy(h->magic, NAME_WEIGHTS_MAGIC, 8);
    h->version = NAME_WEIGHTS_VERSION;
    h->header_bytes = header;
    h->file_bytes = bytes;
    h->n_sections = 2;
    h->chunk_bytes = NAME_WEIGHTS_CHUNK;
    strcpy(s[0].name, TOY_EMBD);
    s[0].off = embd_off;
    s[0].bytes = embd_bytes;
    s[0].hash_off = (uint64_t)((uint8_t *)hash - w);
    s[0].n_chunks = (uint32_t)n_chunks;
    s[0].kind = NAME_SECTION_BLOB;
    strcpy(s[1].name, TOY_BLOB);
    s[1].off = blob_off;
    s[1].bytes = TOY_BLOB_BYTES;
    s[1].hash_off = s[0].hash_off + 8 * n_chunks;
    s[1].n_chunks = 1;
    s[1].kind = NAME_SECTION_BLOB;
    for (int i = 0; i < TOY_EMBD_ROWS; i++)
        for (int d = 0; d < TOY_WIDTH; d++)
            ((uint32_t *)(void *)(w + embd_off))[i * TOY_WIDTH + d] = toy_embd(i, d);
    for (int i = 0; i < TOY_BLOB_BYTES; i++)
        w[blob_off + (size_t)i] = (uint8_t)(i * i);
    for (size_t c = 0; c < n_chunks; c++) {
        size_t at = c * NAME_WEIGHTS_CHUNK,
               n = embd_bytes - at < NAME_WEIGHTS_CHUNK ? embd_bytes - at : NAME_WEIGHTS_CHUNK;

        hash[c] = XXH64(w + embd_off + at, n, 0);
    }
    hash[n_chunks] = XXH64(w + blob_off, TOY_BLOB_BYTES, 0);
    for (int i = 0; i < 2; i++)
        h->digest[i] =
            XXH64(w + NAME_WEIGHTS_DIGESTED, header - NAME_WEIGHTS_DIGESTED, (uint64_t)i);
    write_file(argv[1], "NAME.weights", w, bytes);
    snprintf(text, sizeof text,
             "#define TOY_DIGEST_0 0x%016llxu\n#define TOY_DIGEST_1 0x%016llxu\n#define "
             "TOY_WEIGHTS_BYTES %zu\n#define TOY_EMBD_OFF %zu\n",
             (unsigned long long)h->digest[0], (unsigned long long)h->digest[1], bytes, embd_off);
    write_file(argv[1], "toy_digest.h", text, strlen(text));
    free(w);
    return 0;
}
