/* sessions: an emitted library, called as an app would.    sessions story.weights
 *
 * Every way to feed the same tokens must leave the same context, bit for bit: at once, one by one, in uneven pieces, after a rewind,
 * from a saved context, with 1, 2, 3 or 7 threads or a lent pool, interleaved with another session, beside sessions in other threads,
 * after a cancelled call.  Says what differs; the last line is "N passed, N failed". */
#include "story.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 45, N_CTX = 64, V = story_N_VOCAB };
typedef struct { story_Session *s; void *block; } Talk;

static int passed, failed;
static int32_t ids[2][N];
static float *want[2];              /* [N, V] of both sequences */

static void check(int ok, const char *what, int i)
{
    if (ok)
        passed++;
    else {
        failed++;
        printf("FAIL sessions: %s (%d)\n", what, i);
    }
}

static float *floats(size_t n)
{
    float *x = malloc(n * sizeof *x);

    if (!x)
        exit(2);
    memset(x, 0x7f, n * sizeof *x);
    return x;
}

static Talk open_talk(const story_Model *m, story_Options o)
{
    Talk t = { NULL, NULL };
    size_t bytes = story_session_bytes(o.n_ctx, o.n_threads);

    if (!bytes || !(t.block = malloc(bytes)))
        exit(2);
    memset(t.block, 0xa5, bytes);                           /* what the block held must not matter */
    if (story_session_open(&t.s, m, t.block, bytes, &o))
        exit(2);
    return t;
}

static void close_talk(Talk t)
{
    story_close(t.s);
    free(t.block);
}

/* ids [from, to) of sequence q; are the logits those that are wanted? */
static int feed(Talk t, int q, int from, int to, float *y)
{
    return story_eval(t.s, ids[q] + from, to - from, y, to - from) == story_OK && story_n_past(t.s) == to &&
           !memcmp(y, want[q] + (size_t)from * V, (size_t)(to - from) * V * sizeof *y);
}

static int feed_pieces(Talk t, int q, int piece, float *y)
{
    int ok = 1;

    for (int from = 0; from < N; from += piece)
        ok &= feed(t, q, from, from + piece < N ? from + piece : N, y);
    return ok;
}

/* A pool that calls in the wrong order, on the caller's thread. */
static void backwards(void *pool, void (*fn)(void *arg, int i), void *arg, int n)
{
    ++*(int *)pool;
    while (n--)
        fn(arg, n);
}

typedef struct { const story_Model *m; int q, ok; } Job;

static void *in_thread(void *arg)
{
    Job *j = arg;
    Talk t = open_talk(j->m, (story_Options){ .n_ctx = N_CTX, .n_threads = 2 });
    float *y = floats((size_t)N * V);

    j->ok = feed_pieces(t, j->q, 7, y) && story_rewind(t.s, 3) == story_OK && feed(t, j->q, 3, N, y);
    free(y);
    close_talk(t);
    return NULL;
}

static void test_orders(const story_Model *m, float *y)
{
    static const int threads[] = { 1, 2, 3, 7 };
    int called = 0;
    Talk a, b;

    for (int k = 0; k < 4; k++) {
        a = open_talk(m, (story_Options){ .n_ctx = N_CTX, .n_threads = threads[k], .flags = story_ALL_THREADS });
        check(feed(a, 0, 0, N, y), "at once, by threads", threads[k]);
        check(!story_rewind(a.s, 0) && feed_pieces(a, 0, 1, y), "token by token, by threads", threads[k]);
        check(!story_rewind(a.s, 0) && feed_pieces(a, 0, 13, y), "in pieces, by threads", threads[k]);
        check(!story_rewind(a.s, 0) && feed_pieces(a, 1, 5, y), "another text in the same session, by threads", threads[k]);
        close_talk(a);
    }
    a = open_talk(m, (story_Options){ .n_ctx = N_CTX, .n_threads = 3, .run = backwards, .pool = &called });
    check(feed(a, 0, 0, N, y) && called, "a lent pool", called);
    close_talk(a);
    a = open_talk(m, (story_Options){ .n_ctx = N_CTX, .n_threads = 1, .flags = story_ONE_BY_ONE });
    check(feed(a, 0, 0, N, y), "the decode entry alone", 0);
    close_talk(a);
    a = open_talk(m, (story_Options){ .n_ctx = N_CTX, .n_threads = 2 });
    b = open_talk(m, (story_Options){ .n_ctx = N_CTX, .n_threads = 1 });
    for (int i = 0, ok; i < N; i++) {
        ok = feed(a, 0, i, i + 1, y) & feed(b, 1, i, i + 1, y);
        check(ok, "two sessions in turn", i);
    }
    close_talk(b);
    close_talk(a);
}

static void test_contexts(const story_Model *m, float *y)
{
    Talk a = open_talk(m, (story_Options){ .n_ctx = N_CTX, .n_threads = 2 }), b = open_talk(m, (story_Options){ .n_ctx = N, .n_threads = 1 });
    size_t bytes;
    uint8_t *saved;

    for (int keep = 0; keep <= N; keep += 9) {
        check(!story_rewind(a.s, 0) && feed(a, 1, 0, N, y) && !story_rewind(a.s, 0) && feed(a, 0, 0, keep, y) + (keep == 0) &&
              feed(a, 0, keep, N, y), "what was rewound leaves no trace", keep);
        check(!story_rewind(a.s, keep) && (keep == N || feed(a, 0, keep, N, y)), "rewind", keep);
    }
    story_rewind(a.s, 20);
    bytes = story_save_bytes(a.s);
    if (!bytes || !(saved = malloc(bytes)))
        exit(2);
    check(story_save(a.s, saved, bytes - 1) == story_E_MEMORY, "save into too little room", 0);
    check(story_save(a.s, saved, bytes) == story_OK, "save", 0);
    check(!story_load(b.s, saved, bytes) && story_n_past(b.s) == 20 && feed(b, 0, 20, N, y), "load into another session", 0);
    saved[bytes / 2] ^= 1;
    check(story_load(b.s, saved, bytes) != story_OK && story_n_past(b.s) == N, "a damaged save is refused and changes nothing", 0);
    check(story_load(b.s, saved, bytes - 4) != story_OK, "a save cut off is refused", 0);
    free(saved);
    check(story_eval(b.s, ids[0], 1, NULL, 0) == story_E_CONTEXT && story_n_past(b.s) == N, "a full context", 0);
    story_cancel(a.s);
    check(story_eval(a.s, ids[0] + 20, N - 20, y, 1) == story_E_CANCELLED, "cancel", 0);
    check(story_n_past(a.s) >= 20 && feed(a, 0, story_n_past(a.s), N, y), "goes on after a cancelled call", story_n_past(a.s));
    check(story_eval(a.s, (int32_t[]){ V }, 1, NULL, 0) == story_E_ARG && story_eval(a.s, (int32_t[]){ -1 }, 1, NULL, 0) == story_E_ARG,
          "ids out of range", 0);
    close_talk(b);
    close_talk(a);
}

int main(int argc, char **argv)
{
    story_Model m;
    Job job[3];
    pthread_t thread[3];
    float *y = floats((size_t)N * V);

    if (argc != 2 || story_open(&m, argv[1])) {
        fputs("usage: sessions story.weights\n", stderr);
        return 2;
    }
    for (int i = 0; i < N; i++) {
        ids[0][i] = (int32_t)(((uint32_t)i * 2654435761u >> 7) % V);
        ids[1][i] = (int32_t)(((uint32_t)(i + 77) * 2246822519u >> 9) % V);
    }
    for (int q = 0; q < 2; q++) {
        Talk t = open_talk(&m, (story_Options){ .n_ctx = N_CTX, .n_threads = 1 });

        want[q] = floats((size_t)N * V);
        check(story_eval(t.s, ids[q], N, want[q], N) == story_OK, "the first evaluation", q);
        close_talk(t);
    }
    check(memcmp(want[0], want[1], (size_t)N * V * sizeof(float)) != 0, "two texts give two results", 0);
    test_orders(&m, y);
    test_contexts(&m, y);
    for (int i = 0; i < 3; i++) {
        job[i] = (Job){ &m, i % 2, 0 };
        if (pthread_create(&thread[i], NULL, in_thread, &job[i]))
            return 2;
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(thread[i], NULL);
        check(job[i].ok, "sessions in threads of the app", i);
    }
    check(story_verify(&m) == story_OK, "the weights are what was written", 0);
    story_close_model(&m);
    for (int q = 0; q < 2; q++)
        free(want[q]);
    free(y);
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
