/* compare: two files of logits, raw f32 [T, n_vocab].
 *
 *     compare A B N_VOCAB TOL
 *
 * Exit 0: both have the same size, whole rows, no NaN or infinity; |a - b| <= TOL * max(1, max |a|) everywhere; and the best token is
 * the same in every row where A's best is further than 2 * that bound above A's second. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct { float *x; size_t n; } Floats;

static Floats read_floats(const char *path)
{
    Floats f = { NULL, 0 };
    FILE *in = fopen(path, "rb");
    long bytes;

    if (!in || fseek(in, 0, SEEK_END) || (bytes = ftell(in)) < 4 || bytes % 4 || fseek(in, 0, SEEK_SET) || !(f.x = malloc((size_t)bytes)) ||
        fread(f.x, 1, (size_t)bytes, in) != (size_t)bytes) {
        fprintf(stderr, "compare: %s: not a file of floats\n", path);
        exit(2);
    }
    fclose(in);
    f.n = (size_t)bytes / 4;
    return f;
}

static size_t best(const float *x, size_t n, size_t except)
{
    size_t at = except ? 0 : 1;

    for (size_t i = 0; i < n; i++)
        if (i != except && x[i] > x[at])
            at = i;
    return at;
}

int main(int argc, char **argv)
{
    Floats a, b;
    size_t n_vocab;
    double tol, bound = 1, worst = 0;

    if (argc != 5) {
        fputs("usage: compare A B N_VOCAB TOL\n", stderr);
        return 2;
    }
    a = read_floats(argv[1]);
    b = read_floats(argv[2]);
    n_vocab = strtoul(argv[3], NULL, 10);
    tol = strtod(argv[4], NULL);
    if (n_vocab < 2 || a.n != b.n || a.n % n_vocab) {
        fprintf(stderr, "compare: %zu and %zu floats, rows of %zu\n", a.n, b.n, n_vocab);
        return 1;
    }
    for (size_t i = 0; i < a.n; i++) {
        if (!isfinite(a.x[i]) || !isfinite(b.x[i])) {
            fprintf(stderr, "compare: logit %zu is not a number\n", i);
            return 1;
        }
        bound = fmax(bound, fabs((double)a.x[i]));
        worst = fmax(worst, fabs((double)a.x[i] - (double)b.x[i]));
    }
    printf("largest difference %.3g, allowed %.3g\n", worst, tol * bound);
    if (!(worst <= tol * bound))
        return 1;
    for (size_t t = 0; t < a.n; t += n_vocab) {
        size_t i = best(a.x + t, n_vocab, n_vocab), k = best(a.x + t, n_vocab, i);

        if ((double)a.x[t + i] - (double)a.x[t + k] > 2 * tol * bound && best(b.x + t, n_vocab, n_vocab) != i) {
            fprintf(stderr, "compare: row %zu: another best token\n", t / n_vocab);
            return 1;
        }
    }
    free(a.x);
    free(b.x);
    return 0;
}
