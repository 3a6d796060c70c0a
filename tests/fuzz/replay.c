/* Runs a fuzz target on files, without libFuzzer: so that what the fuzzer found stays fixed with every compiler.
 * Usage: replay FILE|FOLDER ...   Ends with "N passed, 0 failed, 0 skipped"; a finding is a signal. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int n_passed;

/* The bytes in a block of exactly their size, so that AddressSanitizer sees one byte too many. */
static int replay_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data;
    long n;

    if (!f || fseek(f, 0, SEEK_END) != 0 || (n = ftell(f)) < 0 || fseek(f, 0, SEEK_SET) != 0) {
        perror(path);
        if (f)
            fclose(f);
        return 1;
    }
    data = malloc(n ? (size_t)n : 1);
    if (!data || fread(data, 1, (size_t)n, f) != (size_t)n) {
        perror(path);
        fclose(f);
        free(data);
        return 1;
    }
    fclose(f);
    LLVMFuzzerTestOneInput(data, (size_t)n);
    free(data);
    n_passed++;
    return 0;
}

static int replay_dir(DIR *dir, const char *path)
{
    int bad = 0;

    for (struct dirent *e; (e = readdir(dir)) != NULL; ) {
        char name[4096];

        if (e->d_name[0] == '.')
            continue;
        snprintf(name, sizeof name, "%s/%s", path, e->d_name);
        bad |= replay_file(name);
    }
    closedir(dir);
    return bad;
}

int main(int argc, char **argv)
{
    int bad = 0;

    for (int i = 1; i < argc; i++) {
        DIR *dir = opendir(argv[i]);

        bad |= dir ? replay_dir(dir, argv[i]) : replay_file(argv[i]);
    }
    printf("%d passed, %d failed, 0 skipped\n", n_passed, bad);
    return bad || n_passed == 0;
}
