/* head: a library whose head has two stages, called as an app would.    head story.weights OFF STRIDE
 *
 * What NAME_want_best leaves out must not be among the best: for every token, k and number of threads, the k best logits and all
 * that tie with the k-th are those of the whole head, bit for bit, and whatever else is given is, too.  OFF and STRIDE are where
 * the head's tiles lie in the weights file; some tiles are made equal here, so that logits tie.  The last line is
 * "N passed, N failed". */
#include "story.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { V = story_N_VOCAB, N_IDS = 60 };

static int passed, failed;

static void check(int ok, const char *what, int a, int b)
{
    passed += ok;
    failed += !ok;
    if (!ok)
        printf("FAIL head: %s (%d, %d)\n", what, a, b);
}

static int downwards(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;

    return (x < y) - (x > y);
}

static char *read_file(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    char *p;

    if (!f || fseek(f, 0, SEEK_END))
        exit(2);
    *n = (size_t)ftell(f);
    rewind(f);
    p = aligned_alloc(64, (*n + 63) / 64 * 64);
    if (!p || fread(p, 1, *n, f) != *n)
        exit(2);
    fclose(f);
    return p;
}

static story_Session *open_session(const story_Model *m, int n_threads)
{
    story_Options o = { 0, n_threads, story_ALL_THREADS, NULL, NULL };
    size_t bytes = story_session_bytes(o.n_ctx, o.n_threads);
    void *block = malloc(bytes);
    story_Session *s;

    if (!block || story_session_open(&s, m, block, bytes, &o))
        exit(2);
    return s;
}

/* Of V logits that should be `want` where they are among the k best: how many are left out, -1: one of the best is wrong. */
static int left_out(const float *have, const float *want, int k)
{
    static float sorted[V];
    int n = 0;

    memcpy(sorted, want, sizeof sorted);
    qsort(sorted, V, sizeof *sorted, downwards);
    for (int i = 0; i < V; i++) {
        if (memcmp(&have[i], &want[i], sizeof *have)) {
            if (have[i] > -1e38f || want[i] >= sorted[k - 1])
                return -1;
            n++;
        }
    }
    return n;
}

int main(int argc, char **argv)
{
    static const int threads[] = { 1, 3 }, wanted[] = { 1, 2, 5, 40, 64 };
    static float want[V], have[V], rows[2][V];
    story_Model m;
    size_t bytes, off, stride;
    char *w;

    if (argc != 4)
        return 2;
    w = read_file(argv[1], &bytes);
    off = strtoull(argv[2], NULL, 10);
    stride = strtoull(argv[3], NULL, 10);
    memcpy(w + off + 9 * stride, w + off + 4 * stride, stride);
    memcpy(w + off + 20 * stride, w + off + 4 * stride, stride);
    memcpy(w + off + 5 * stride, w + off + 26 * stride, stride);
    if (story_open_memory(&m, w, bytes))
        return 2;
    for (int t = 0; t < 2; t++) {
        story_Session *all = open_session(&m, 1), *best = open_session(&m, threads[t]);

        for (int i = 0; i < (int)(sizeof wanted / sizeof *wanted); i++) {
            int k = wanted[i], n_out = 0;

            story_want_best(best, k);
            for (int32_t id = 0; id < N_IDS; id++) {
                int n;

                if (story_rewind(all, 0) || story_rewind(best, 0) || story_eval(all, &id, 1, want, 1))
                    return 2;
                if (id % 2 ? story_eval(best, &id, 1, have, 1) : story_next(best, id, 3, have))
                    return 2;
                n = left_out(have, want, k);
                check(n >= 0, "one of the best logits is missing", k, (int)id);
                n_out += n > 0 ? n : 0;
            }
            check(k > 5 || n_out > 0, "nothing is ever left out", k, threads[t]);
        }
        for (int k = 0; k <= 65; k += 65) {             /* all are wanted again, and of several tokens all are given */
            int32_t ids[2] = { 3, 7 };

            story_want_best(best, k);
            story_rewind(best, 0);
            story_rewind(all, 0);
            if (story_eval(all, ids, 2, rows[0], 1) || story_eval(best, ids, 1, have, 1) || story_rewind(all, 0) ||
                story_eval(all, ids, 1, want, 1))
                return 2;
            check(!memcmp(have, want, sizeof want), "all are wanted, not all are given", k, threads[t]);
        }
        story_want_best(best, 1);
        story_rewind(best, 0);
        for (int32_t id = 0; id < 2; id++) {
            int32_t ids[2] = { 11, 12 };

            if (story_eval(id ? all : best, ids, 2, rows[id], 1))
                return 2;
            story_rewind(all, 0);
        }
        check(!memcmp(rows[0], rows[1], sizeof rows[0]), "a prompt's logits differ", 2, threads[t]);
        story_close(all);
        story_close(best);
    }
    story_close_model(&m);
    printf("head: %d passed, %d failed\n", passed, failed);
    return failed > 0;
}
