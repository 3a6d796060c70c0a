/* A chat in the terminal.
 *
 *   Ctrl-C    stops the answer, not the program           story_cancel, from a signal handler
 *   /undo     takes back your last message and its answer  story_rewind
 *   /exit     ends
 *
 * The context holds the whole conversation as tokens.  Each turn renders all messages with the
 * model's template, keeps the tokens that are the same as before, and feeds only the rest. */
#define _GNU_SOURCE
#include "story.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    N_CTX = story_N_CTX < 2048 ? story_N_CTX : 2048,
    MAX_TURNS = 200,
    MAX_NEW = 400,
    MAX_ANSWER = 16384
};

static story_Model model;
static story_Session *session;
static volatile sig_atomic_t answering;
static float logits[story_N_VOCAB];
static int32_t work[story_N_VOCAB];

static void on_ctrl_c(int sig)
{
    (void)sig;
    if (answering)
        story_cancel(session);
}

/* The tokens in the context: story_n_past(session) of them are valid. */
static int32_t context[N_CTX];

typedef struct { char text[MAX_ANSWER]; size_t n; int32_t *ids; int n_ids; } Answer;

/* Called for each new token, with the characters it completes. */
static bool show(void *ctx, int32_t id, const char *text, size_t n)
{
    Answer *a = ctx;

    if (id >= 0 && a->ids + a->n_ids < context + N_CTX)
        a->ids[a->n_ids++] = id;
    if (n > sizeof a->text - 1 - a->n)
        n = sizeof a->text - 1 - a->n;
    memcpy(a->text + a->n, text, n);
    a->n += n;
    a->text[a->n] = 0;
    fwrite(text, 1, n, stdout);
    fflush(stdout);
    return true;
}

/* The ids of the conversation so far; NULL: there is no memory or no template. */
static int32_t *render(const story_Message *msgs, int n_msgs, int *n_ids)
{
    size_t n = 0, n_out = 0;
    int32_t *ids = NULL;
    char *text;

    story_chat(&model, msgs, n_msgs, true, NULL, 0, &n);        /* how long is it? */
    text = malloc(n + 1);
    if (text && n && story_chat(&model, msgs, n_msgs, true, text, n, &n) == story_OK)
        ids = malloc((n + 8) * sizeof *ids);
    if (ids)
        story_tokenize(&model, text, n, story_TEXT_SPECIAL, ids, n + 8, &n_out);
    free(text);
    *n_ids = (int)n_out;
    return ids;
}

/* Answers the last message; what was answered, also when it was cut short. */
static char *answer(const story_Message *msgs, int n_msgs, story_Sampler *sampler)
{
    static Answer a;
    int n, same = 0, n_new;
    int32_t *ids = render(msgs, n_msgs, &n);
    story_Status s;

    if (!ids || n == 0 || n >= N_CTX) {
        fprintf(stderr,
                "(this conversation cannot go on: too long, or the model has no chat template)\n");
        free(ids);
        return strdup("");
    }
    while (same < story_n_past(session) && same < n - 1 && context[same] == ids[same])
        same++;
    story_rewind(session, same);
    memcpy(context, ids, (size_t)n * sizeof *ids);
    memset(&a, 0, sizeof a);
    a.ids = context + n;
    story_uncancel(session);
    answering = 1;
    s = story_generate(session, &model, sampler, ids + same, n - same, MAX_NEW, story_N_VOCAB,
                       logits, work, show, &a, &n_new);
    answering = 0;
    puts(s == story_E_CANCELLED ? " ..." : "");
    if (s && s != story_E_CANCELLED)
        fprintf(stderr, "(%s)\n", story_status_text(s));
    free(ids);
    return strdup(a.text);
}

int main(int argc, char **argv)
{
    story_Message msgs[MAX_TURNS];
    story_Sampler sampler;
    story_Options options = { .n_ctx = N_CTX, .n_threads = story_default_threads() };
    size_t bytes = story_session_bytes(options.n_ctx, options.n_threads), cap = 0;
    void *block = malloc(bytes);
    struct sigaction act = { .sa_handler = on_ctrl_c };
    int n = 0;
    char *line = NULL;
    story_Status s;

    if (argc != 2) {
        fprintf(stderr, "usage: chat FILE.weights\n");
        return 2;
    }
    s = story_open(&model, argv[1]);
    if (!s)
        s = story_session_open(&session, &model, block, bytes, &options);
    if (s) {
        fprintf(stderr, "%s: %s\n", argv[1], story_status_text(s));
        return 1;
    }
    story_sampler_init(&sampler, 1);
    sampler.temp = 0.6f;
    sampler.repeat_penalty = 1.1f;
    sigaction(SIGINT, &act, NULL);
    for (;;) {
        fputs("> ", stderr);
        if (getline(&line, &cap, stdin) < 0) {
            if (!feof(stdin)) {                     /* Ctrl-C at the prompt */
                clearerr(stdin);
                fputs("\n(/exit ends, /undo takes back)\n", stderr);
                continue;
            }
            break;
        }
        line[strcspn(line, "\n")] = 0;
        if (strcmp(line, "/exit") == 0)
            break;
        if (strcmp(line, "/undo") == 0) {
            for (int i = 0; i < 2 && n > 0; i++)
                free((char *)msgs[--n].content);
            fprintf(stderr, "(%d messages left)\n", n);
            continue;                      /* the next answer() rewinds to what is still the same */
        }
        if (!*line || n + 2 > MAX_TURNS)
            continue;
        msgs[n++] = (story_Message){ "user", strdup(line) };
        msgs[n] = (story_Message){ "assistant", answer(msgs, n, &sampler) };
        n++;
    }
    while (n > 0)
        free((char *)msgs[--n].content);
    story_close(session);
    story_close_model(&model);
    free(line);
    free(block);
    return 0;
}
