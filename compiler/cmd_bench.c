/* sinter bench: how fast an emitted program is, and how near to what this machine's memory gives.
 *
 * The program is run several times with --stats json; medians are printed.  Decoding reads every
 * weight once per token, so its limit is the machine's read bandwidth, measured here, before and
 * after, with as many threads and on a block of as many bytes, which says by itself whether a cache
 * holds them:
 *
 *     share = tokens per second * bytes per token / bandwidth */
#include "compiler/calibrate.h"
#include "compiler/emitted.h"

#include <jansson.h>
#include <stdlib.h>

/* MAX_PROMPT: its ids are one argument of at most 128 KiB (execve's limit for one), 2 bytes each. */
enum { MAX_RUNS = 100, MAX_PROMPT = 60000, N_STATS = 5, TRIAL_MS = 20 };

static const char *const stat_key[N_STATS] = { "prefill_tps", "decode_tps", "ttft_ms", "load_ms",
                                               "peak_rss_bytes" };

int cmd_bench(Args *args)
{
    Arena *a = args->a;
    int64_t n_run, n_prompt, n_gen, n_thread;
    double stat[N_STATS][MAX_RUNS], mid[N_STATS], share = 0;
    bool json = arg_value(args, "--json") != NULL;
    const char *argv[16];
    uint64_t block;
    int64_t mb_s, after;
    Emitted e;
    int n = 0, readers;

    if (!arg_int(args, "--runs", 1, MAX_RUNS, 5, &n_run) ||
        !arg_int(args, "--prompt", 1, MAX_PROMPT, 128, &n_prompt) ||
        !arg_int(args, "--gen", 1, 100000, 64, &n_gen) ||
        !arg_int(args, "--threads", 1, 1024, 0, &n_thread))
        return EXIT_usage;
    if (!emitted_open(args->fs, a, args->d, args->pos[0], &e) || !emitted_make(a, args->d, e.dir))
        return EXIT_failed;
    argv[n++] = "--ids";
    argv[n++] = emitted_ids(a, n_prompt);
    argv[n++] = "-n";
    argv[n++] = str_printf(a, "%" PRId64, n_gen);
    argv[n++] = "--ignore-eos";
    argv[n++] = "--print-ids";
    argv[n++] = "--stats";
    argv[n++] = "json";
    if (n_thread) {
        argv[n++] = "-j";
        argv[n++] = str_printf(a, "%" PRId64, n_thread);
    }
    argv[n] = NULL;
    block = (uint64_t)e.bytes_per_token;
    block = block < (1 << 20) ? 1 << 20 : block > (UINT64_C(1) << 30) ? UINT64_C(1) << 30 : block;
    readers = n_thread ? (int)n_thread : machine_cores();
    mb_s = *e.run ? 0 : read_bandwidth(block, readers, TRIAL_MS);
    for (int r = 0; r < n_run; r++) {
        double v[N_STATS];
        Str out, err;

        progress(args->d, "bench", (uint64_t)r, (uint64_t)n_run);
        if (!emitted_run(a, args->d, &e, e.program, argv, &out, &err))
            return EXIT_failed;
        if (!emitted_stats(err, stat_key, N_STATS, v)) {
            fail(args->d, AT_FILE(e.program), "printed no statistics");
            return EXIT_failed;
        }
        for (int i = 0; i < N_STATS; i++)
            stat[i][r] = v[i];
    }
    progress(args->d, "bench", (uint64_t)n_run, (uint64_t)n_run);
    for (int i = 0; i < N_STATS; i++)
        mid[i] = median(stat[i], (int)n_run);
    /* The better of before and after: what memory gave in these moments. */
    after = *e.run ? 0 : read_bandwidth(block, readers, TRIAL_MS);
    mb_s = after > mb_s ? after : mb_s;
    if (mb_s > 0)
        share = mid[1] * (double)e.bytes_per_token / (1e6 * (double)mb_s);
    if (json) {
        json_t *root = json_pack(
            "{s:i, s:s, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:I, s:I, s:I, s:f}", "schema", 1,
            "name", e.name, "runs", (json_int_t)n_run, "prompt_tokens", (json_int_t)n_prompt,
            "generated_tokens", (json_int_t)n_gen, "prefill_tps", mid[0], "decode_tps", mid[1],
            "ttft_ms", mid[2], "load_ms", mid[3], "peak_rss_bytes", (json_int_t)mid[4],
            "bytes_per_token", (json_int_t)e.bytes_per_token, "bandwidth_mb_s", (json_int_t)mb_s,
            "bandwidth_share", share);

        if (json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6)))
            fail(args->d, NOWHERE, "the result could not be written as JSON");
        putchar('\n');
        json_decref(root);
        return EXIT_done;
    }
    printf("prefill            %12.1f tok/s    (%" PRId64 " tokens; medians of %" PRId64 " runs)\n",
           mid[0], n_prompt, n_run);
    printf("decode             %12.1f tok/s    (%" PRId64 " tokens)\n", mid[1], n_gen);
    printf("first token after  %12.1f ms\n", mid[2]);
    printf("load               %12.1f ms\n", mid[3]);
    printf("peak memory        %12.1f MB\n", 1e-6 * mid[4]);
    if (mb_s > 0)
        printf("memory bandwidth   %12.1f %%        (%.1f MB per token; %.1f GB/s measured on a "
               "block of %.0f MB)\n",
               100 * share, 1e-6 * (double)e.bytes_per_token, 1e-3 * (double)mb_s,
               1e-6 * (double)block);
    return EXIT_done;
}
