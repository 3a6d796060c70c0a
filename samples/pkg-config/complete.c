/* The least that it takes: goes on from a text.    complete FILE.weights TEXT */
#include "story.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool show(void *ctx, int32_t id, const char *text, size_t n)
{
    (void)ctx;
    (void)id;
    fwrite(text, 1, n, stdout);
    fflush(stdout);
    return true;
}

int main(int argc, char **argv)
{
    static float logits[story_N_VOCAB];
    static int32_t work[story_N_VOCAB], ids[story_N_CTX];
    story_Options options = { .n_threads = story_default_threads() };
    size_t bytes = story_session_bytes(0, options.n_threads), n;
    void *block = malloc(bytes);
    story_Model model;
    story_Session *session;
    story_Sampler sampler;
    story_Status s;

    if (argc != 3) {
        fprintf(stderr, "usage: complete FILE.weights TEXT\n");
        return 2;
    }
    s = story_open(&model, argv[1]);
    if (!s)
        s = story_session_open(&session, &model, block, bytes, &options);
    if (!s)
        s = story_tokenize(&model, argv[2], strlen(argv[2]), story_TEXT_SPECIAL, ids, story_N_CTX,
                           &n);
    if (!s) {
        story_sampler_init(&sampler, 1);
        s = story_generate(session, &model, &sampler, ids, (int)n, 64, story_N_VOCAB, logits, work,
                           show, NULL, NULL);
    }
    if (s) {
        fprintf(stderr, "%s: %s\n", argv[1], story_status_text(s));
        return 1;
    }
    putchar('\n');
    story_close(session);
    story_close_model(&model);
    free(block);
    return 0;
}
