/* What the reference interpreter computes of a model file, for comparison with recorded truth.
 *
 *     interp_logits MODEL.gguf IDS OUT.f32 [STEP]
 *
 * Runs the Module that arch makes (f32 cache, before any pass) on the token ids in the file IDS
 * (1,2,3), STEP tokens per call (0, the default: all at once), and writes the logits of every
 * position, raw little-endian. */
#include "compiler/compiler.h"

#include <stdlib.h>

enum { MAX_IDS = 4096 };

static int read_ids(const char *path, int32_t *ids)
{
    FILE *f = fopen(path, "r");
    int n = 0;
    long v;

    while (f && n < MAX_IDS && fscanf(f, "%ld", &v) == 1) {
        ids[n++] = (int32_t)v;
        if (fgetc(f) != ',')
            break;
    }
    if (f)
        fclose(f);
    return n;
}

static const Entry *entry_of(const Module *m, const char *name)
{
    for (int i = 0; i < m->n_entry; i++)
        if (!strcmp(m->entry[i].name, name))
            return &m->entry[i];
    return NULL;
}

int main(int argc, char **argv)
{
    static int32_t ids[MAX_IDS];
    FileSet *fs = files_new();
    Arena *a = arena_new(NULL);
    Diag *d = diag_new(a, stderr);
    BuildOptions o = build_options_default();
    int n = argc >= 4 ? read_ids(argv[2], ids) : 0, step = argc > 4 ? atoi(argv[4]) : 0;
    Module *m;
    Interp *ip;
    FILE *out;
    int64_t *sym;

    if (n < 1) {
        fprintf(stderr, "usage: interp_logits MODEL.gguf IDS OUT.f32 [STEP]\n");
        return 2;
    }
    o.model = argv[1];
    o.kv = format_find(STR("f32"));
    m = pipeline_module(fs, a, d, &o, argv[1]);
    if (!m || !module_verify(m, d))
        return 1;
    ip = interp_new(m, d, n);
    out = fopen(argv[3], "wb");
    if (!ip || !out)
        return 1;
    sym = ARENA_ARRAY(a, int64_t, m->n_sym);
    if (step < 1)
        step = n;
    for (int at = 0; at < n; at += step) {
        int k = n - at < step ? n - at : step;
        Tensor in = { .type = m->entry[0].func->body->param[0]->type,
                      .rank = 1,
                      .dim = { k },
                      .i = ids + at,
                      .n = k },
               y;

        sym[module_find_sym(m, STR("T"))->index] = k;
        sym[module_find_sym(m, STR("O"))->index] = k;
        if (!interp_run(ip, entry_of(m, k == 1 ? "decode" : "prefill"), sym, &in, 1, &y, 1))
            return 1;
        if (fwrite(y.f, sizeof *y.f, (size_t)y.n, out) != (size_t)y.n)
            return 1;
    }
    interp_free(ip);
    files_close(fs);
    arena_free(a);
    return fclose(out) != 0;
}
