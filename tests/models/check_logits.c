/* check_logits: a file of logits against the recorded truth of a case.
 *
 *     check_logits [--cases FILE] [--tol X] NAME N FILE.f32
 *
 * FILE holds raw little-endian f32 [N, vocab], what --logits writes.
 * At every position every recorded logit must be within X * max(1, largest |logit| of the row) (X:
 * 1e-4), and so must the largest |logit| of the row itself: a wrong logit that is not recorded
 * shows there if it is large.  Prints the worst position, in tolerances; exit 0 within, 1 outside,
 * 2 wrong usage. */
#include "tests/models/cases.h"

#include <math.h>
#include <stdlib.h>

typedef struct {
    int64_t pos, token;
    double have, want, tol, ratio;
} Worst; /* token -1: the row's maximum */

static void compare(Worst *w, int64_t pos, int64_t token, double have, double want, double tol)
{
    double ratio = fabs(have - want) / tol;

    if (isnan(ratio))
        ratio = INFINITY;
    if (ratio >= w->ratio)
        *w = (Worst){ pos, token, have, want, tol, ratio };
}

/* The worst of all positions; *n_outside counts positions with a value outside its tolerance. */
static Worst compare_all(const TruthRow *rows, const float *logits, int64_t n, int64_t n_vocab,
                         double x, int64_t *n_outside)
{
    Worst all = { .pos = -1 };

    *n_outside = 0;
    for (int64_t t = 0; t < n; t++) {
        const float *row = logits + t * n_vocab;
        double tol = x * fmax(1, rows[t].max_abs), max_abs = 0;
        Worst w = { .pos = t };

        for (int64_t k = 0; k < n_vocab; k++)
            max_abs = fabs(row[k]) <= max_abs ? max_abs : fabs(row[k]); /* a NaN is kept */
        compare(&w, t, -1, max_abs, rows[t].max_abs, tol);
        for (int64_t j = 0; j < rows[t].n; j++) {
            int64_t k = (rows[t].first + j) % n_vocab;

            compare(&w, t, k, row[k], rows[t].logit[j], tol);
        }
        *n_outside += w.ratio > 1;
        if (w.ratio >= all.ratio)
            all = w;
    }
    return all;
}

static int run(FileSet *fs, Arena *a, Diag *d, int argc, char **argv)
{
    const char *path = "tests/models/cases.json";
    double x = 1e-4;
    int64_t n, n_outside;
    const Case *c;
    Cases cs;
    Mapped m;

    while (argc > 2 && strncmp(argv[1], "--", 2) == 0) {
        if (strcmp(argv[1], "--cases") == 0)
            path = argv[2];
        else if (strcmp(argv[1], "--tol") != 0 || !str_to_double(str_of(argv[2]), &x) || !(x > 0))
            break;
        argv += 2;
        argc -= 2;
    }
    if (argc != 4 || !str_to_i64(str_of(argv[2]), &n) || n < 1 || n > 1 << 20) {
        fputs("usage: check_logits [--cases FILE] [--tol X] NAME N FILE.f32\n", stderr);
        return 2;
    }
    if (!cases_read(a, d, path, &cs) || !(c = cases_find(&cs, d, argv[1])))
        return 1;
    TruthRow *rows = ARENA_ARRAY(a, TruthRow, n);

    if (!case_truth(a, fs, d, &cs, c, n, rows) || !file_map(fs, a, d, argv[3], &m))
        return 1;
    if (m.n != (uint64_t)(n * c->n_vocab) * sizeof(float)) {
        fail(d, AT_FILE(argv[3]),
             "%" PRIu64 " bytes, but %" PRId64 " positions of %" PRId64 " logits are %" PRId64, m.n,
             n, c->n_vocab, n * c->n_vocab * (int64_t)sizeof(float));
        return 1;
    }
    float *logits = ARENA_ARRAY(a, float, n * c->n_vocab);

    memcpy(logits, m.p, m.n);
    Worst w = compare_all(rows, logits, n, c->n_vocab, x, &n_outside);

    printf("%s %s, %" PRId64 " tokens: worst at position %" PRId64 " ",
           n_outside ? "DIFFERS" : "ok", c->name, n, w.pos);
    if (w.token < 0)
        printf("in the largest |logit|");
    else
        printf("token %" PRId64, w.token);
    printf(": %.7g, recorded %.7g, %.3f of the tolerance %.2e", w.have, w.want, w.ratio, w.tol);
    if (n_outside)
        printf("; %" PRId64 " of %" PRId64 " positions outside", n_outside, n);
    putchar('\n');
    return n_outside ? 1 : 0;
}

int main(int argc, char **argv)
{
    Arena *a = arena_new(NULL);
    FileSet *fs = files_new();
    int rc = run(fs, a, diag_new(a, stderr), argc, argv);

    files_close(fs);
    arena_free(a);
    return rc;
}
