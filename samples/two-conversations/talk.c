/* Two conversations on one model, at the same time.
 *
 * The model is opened once; it is read-only and shared.  Each thread has a session of its own: its
 * context and its buffers are in a block that the thread allocates.  Both print what they wrote
 * when both are done. */
#define _GNU_SOURCE
#include "story.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_CTX = story_N_CTX < 512 ? story_N_CTX : 512, MAX_NEW = 100 };

typedef struct {
    const story_Model *model;
    const char *prompt;
    char text[4096];
    size_t n;
    story_Status status;
} Talk;

static bool keep(void *ctx, int32_t id, const char *text, size_t n)
{
    Talk *t = ctx;

    (void)id;
    if (n > sizeof t->text - t->n)
        return false;
    memcpy(t->text + t->n, text, n);
    t->n += n;
    return true;
}

static void *talk(void *arg)
{
    Talk *t = arg;
    story_Options options = { .n_ctx = N_CTX, .n_threads = 1 };
    size_t bytes = story_session_bytes(options.n_ctx, options.n_threads), n;
    void *block = malloc(bytes);
    float *logits = malloc(story_N_VOCAB * sizeof *logits);
    int32_t *work = malloc(story_N_VOCAB * sizeof *work), ids[N_CTX];
    story_Session *session = NULL;
    story_Sampler sampler;

    story_sampler_init(&sampler, 1);
    t->status =
        story_tokenize(t->model, t->prompt, strlen(t->prompt), story_TEXT_SPECIAL, ids, N_CTX, &n);
    if (!t->status)
        t->status = story_session_open(&session, t->model, block, bytes, &options);
    if (!t->status)
        t->status = story_generate(session, t->model, &sampler, ids, (int)n, MAX_NEW, story_N_VOCAB,
                                   logits, work, keep, t, NULL);
    story_close(session);
    free(block);
    free(logits);
    free(work);
    return NULL;
}

int main(int argc, char **argv)
{
    story_Model model;
    Talk talks[2] = { { .model = &model, .prompt = "Once upon a time" },
                      { .model = &model, .prompt = "The little dog" } };
    pthread_t thread[2];
    story_Status s;

    if (argc != 2 && argc != 4) {
        fprintf(stderr, "usage: talk FILE.weights [PROMPT PROMPT]\n");
        return 2;
    }
    s = story_open(&model, argv[1]);
    if (s) {
        fprintf(stderr, "%s: %s\n", argv[1], story_status_text(s));
        return 1;
    }
    for (int i = 0; i < 2; i++) {
        if (argc == 4)
            talks[i].prompt = argv[2 + i];
        if (pthread_create(&thread[i], NULL, talk, &talks[i])) {
            perror("pthread_create");
            return 1;
        }
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(thread[i], NULL);
        if (talks[i].status)
            fprintf(stderr, "%s: %s\n", talks[i].prompt, story_status_text(talks[i].status));
        s = s ? s : talks[i].status;
        printf("--- %s%.*s\n", talks[i].prompt, (int)talks[i].n, talks[i].text);
    }
    story_close_model(&model);
    return s != story_OK;
}
