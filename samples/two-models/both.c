/* Two models in one program: every name of a model's library begins with the model's name, so they
 * do not meet.
 *
 * Both go on from the same text. */
#define _GNU_SOURCE
#include "story.h"
#include "other.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PROMPT = 256, MAX_NEW = 60 };

typedef struct { char s[4096]; size_t n; } Text;

static bool keep(void *ctx, int32_t id, const char *text, size_t n)
{
    Text *t = ctx;

    (void)id;
    if (n > sizeof t->s - 1 - t->n)
        return false;
    memcpy(t->s + t->n, text, n);
    t->n += n;
    t->s[t->n] = 0;
    return true;
}

static int failed(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    return 1;
}

static int story_goes_on(const char *weights, const char *prompt, Text *out)
{
    story_Model model;
    story_Session *session;
    story_Sampler sampler;
    story_Options options = { .n_threads = 1 }; /* the whole context: pages not used cost nothing */
    size_t bytes = story_session_bytes(0, 1), n;
    void *block = malloc(bytes);
    float *logits = malloc(story_N_VOCAB * sizeof *logits);
    int32_t *work = malloc(story_N_VOCAB * sizeof *work), ids[MAX_PROMPT];
    story_Status s = story_open(&model, weights);

    if (s)
        return failed(weights, story_status_text(s));
    story_sampler_init(&sampler, 1);
    s = story_session_open(&session, &model, block, bytes, &options);
    if (!s)
        s = story_tokenize(&model, prompt, strlen(prompt), story_TEXT_SPECIAL, ids, MAX_PROMPT, &n);
    if (!s)
        s = story_generate(session, &model, &sampler, ids, (int)n, MAX_NEW, story_N_VOCAB, logits,
                           work, keep, out, NULL);
    story_close(session);
    story_close_model(&model);
    free(block);
    free(logits);
    free(work);
    return s ? failed("story", story_status_text(s)) : 0;
}

static int other_goes_on(const char *weights, const char *prompt, Text *out)
{
    other_Model model;
    other_Session *session;
    other_Sampler sampler;
    other_Options options = { .n_threads = 1 };
    size_t bytes = other_session_bytes(0, 1), n;
    void *block = malloc(bytes);
    float *logits = malloc(other_N_VOCAB * sizeof *logits);
    int32_t *work = malloc(other_N_VOCAB * sizeof *work), ids[MAX_PROMPT];
    other_Status s = other_open(&model, weights);

    if (s)
        return failed(weights, other_status_text(s));
    other_sampler_init(&sampler, 1);
    s = other_session_open(&session, &model, block, bytes, &options);
    if (!s)
        s = other_tokenize(&model, prompt, strlen(prompt), other_TEXT_SPECIAL, ids, MAX_PROMPT, &n);
    if (!s)
        s = other_generate(session, &model, &sampler, ids, (int)n, MAX_NEW, other_N_VOCAB, logits,
                           work, keep, out, NULL);
    other_close(session);
    other_close_model(&model);
    free(block);
    free(logits);
    free(work);
    return s ? failed("other", other_status_text(s)) : 0;
}

int main(int argc, char **argv)
{
    static Text a, b;
    const char *prompt = argc > 3 ? argv[3] : "Once upon a time";

    if (argc < 3) {
        fprintf(stderr, "usage: both FIRST.weights SECOND.weights [PROMPT]\n");
        return 2;
    }
    if (story_goes_on(argv[1], prompt, &a) || other_goes_on(argv[2], prompt, &b))
        return 1;
    printf("--- story: %s%s\n--- other: %s%s\n", prompt, a.s, prompt, b.s);
    return 0;
}
