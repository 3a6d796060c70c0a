/* near: two files of floats, raw and little-endian.
 *
 *     near HAVE WANT
 *
 * Exit 0: both have the same size, and |have - want| <= 1e-5 max(1, |want|) everywhere. */
#include <math.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    FILE *a = argc == 3 ? fopen(argv[1], "rb") : NULL, *b = argc == 3 ? fopen(argv[2], "rb") : NULL;
    long n = 0;
    float x, y;

    if (!a || !b) {
        fprintf(stderr, "near HAVE WANT\n");
        return 2;
    }
    for (;; n++) {
        size_t got = fread(&x, sizeof x, 1, a), wanted = fread(&y, sizeof y, 1, b);

        if (got != wanted) {
            printf("%s and %s have different sizes\n", argv[1], argv[2]);
            return 1;
        }
        if (!got)
            return n == 0;
        if (!(fabsf(x - y) <= 1e-5f * fmaxf(1, fabsf(y)))) {
            printf("number %ld is %.9g, not %.9g\n", n, (double)x, (double)y);
            return 1;
        }
    }
}
