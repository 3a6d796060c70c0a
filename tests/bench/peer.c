/* What tests/bench asks of llama.cpp beside llama-bench, through its C interface and nothing else:
 *
 *   peer first MODEL ID THREADS REPACK     load the model, feed one token, print the id that follows: process start to first token.
 *                                          No tokenizing, no sampling, no warm-up; llama.cpp's own programs need longer.
 *   peer quantize IN OUT                   IN in Q4_0, as `llama-quantize --allow-requantize IN OUT q4_0` writes it
 *   peer info MODEL                        version, what it was compiled for, and the buffers that hold the model
 *
 * REPACK is 1 (llama.cpp's default: weights are rearranged for this CPU while loading) or 0 (they stay as they are in the file, which
 * loads sooner).  Exit 0: done, 1: failed, 2: wrong usage. */
#include <llama.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* With *user set: the lines that say which buffers there are. */
static void log_line(enum ggml_log_level level, const char *text, void *user)
{
    const bool *buffers = user;

    if (*buffers ? strstr(text, "model buffer size") != NULL : level == GGML_LOG_LEVEL_ERROR)
        fputs(text, *buffers ? stdout : stderr);
}

static struct llama_model *load(const char *path, bool repack)
{
    struct llama_model_params p = llama_model_default_params();

    p.n_gpu_layers = 0;
    p.use_extra_bufts = repack;
    return llama_model_load_from_file(path, p);
}

static int first(const char *path, int32_t id, int n_threads, bool repack)
{
    struct llama_context_params p = llama_context_default_params();
    struct llama_model *model = load(path, repack);
    struct llama_context *ctx;
    const float *logits;
    int32_t best = 0, n;

    p.n_ctx = 256;
    p.n_batch = p.n_ubatch = 1;
    p.n_threads = p.n_threads_batch = n_threads;
    p.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_ENABLED;
    if (!model || !(ctx = llama_init_from_model(model, p)))
        return 1;
    if (llama_decode(ctx, llama_batch_get_one(&id, 1)) || !(logits = llama_get_logits_ith(ctx, -1)))
        return 1;
    n = llama_vocab_n_tokens(llama_model_get_vocab(model));
    for (int32_t i = 1; i < n; i++)
        if (logits[i] > logits[best])
            best = i;
    printf("%d\n", best);
    fflush(stdout);
    _Exit(0);                                       /* tearing down is not what is timed */
}

static int quantize(const char *in, const char *out)
{
    struct llama_model_quantize_params p = llama_model_quantize_default_params();

    p.ftype = LLAMA_FTYPE_MOSTLY_Q4_0;
    p.allow_requantize = true;
    return llama_model_quantize(in, out, &p) != 0;
}

static int info(const char *path, bool *buffers)
{
    printf("version %s\n", llama_version());
    printf("system %s\n", llama_print_system_info());
    *buffers = true;
    return load(path, true) == NULL;
}

int main(int argc, char **argv)
{
    bool buffers = false;

    llama_log_set(log_line, &buffers);
    llama_backend_init();
    if (argc == 6 && !strcmp(argv[1], "first"))
        return first(argv[2], atoi(argv[3]), atoi(argv[4]), atoi(argv[5]) != 0);
    if (argc == 4 && !strcmp(argv[1], "quantize"))
        return quantize(argv[2], argv[3]);
    if (argc == 3 && !strcmp(argv[1], "info"))
        return info(argv[2], &buffers);
    fprintf(stderr, "usage: peer first MODEL ID THREADS REPACK | quantize IN OUT | info MODEL\n");
    return 2;
}
