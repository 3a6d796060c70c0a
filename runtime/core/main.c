/* The command-line program of a model: a prompt goes in, tokens come out.  It uses the library as
 * any program would.
 *
 *     options > prompt > ids > NAME_eval, many at a time > choose > NAME_eval, one at a time
 *
 * Results go to stdout, everything else to stderr.  Exit 0: done, 1: failed, 2: wrong usage. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "runtime/core/internal.h"

#ifndef NAME_HAS_TEXT
#define NAME_HAS_TEXT 0             /* the tokenizer, the chat template and the sampler are there */
#endif
#ifndef NAME_HAS_MODEL
#define NAME_HAS_MODEL 1                /* 0: a vocabulary without tensors */
#endif
#ifndef NAME_SPEC
#define NAME_SPEC "none"                /* --spec, where it is not given */
#endif
#if NAME_HAS_TEXT
#include "runtime/text/text.h"
#endif

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#ifndef __wasi__                        /* WebAssembly's system has neither signals nor use of resources */
#include <signal.h>
#include <sys/resource.h>
#endif

/* ---- errors, memory, time -------------------------------------------------------------------- */

static void complain(const char *kind, const char *fmt, va_list ap)
{
    fflush(stdout);
    fprintf(stderr, "NAME: %s", kind);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
}

#if defined(__GNUC__)
__attribute__((format(printf, 1, 2)))
#endif
static void note(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    complain("", fmt, ap);
    va_end(ap);
}

/* The program cannot do it. */
#if defined(__GNUC__)
__attribute__((format(printf, 1, 2), noreturn))
#endif
static void fail(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    complain("error: ", fmt, ap);
    va_end(ap);
    exit(1);
}

/* The command line is wrong. */
#if defined(__GNUC__)
__attribute__((format(printf, 1, 2), noreturn))
#endif
static void usage_error(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    complain("error: ", fmt, ap);
    va_end(ap);
    fprintf(stderr, "NAME: see NAME --help\n");
    exit(2);
}

#if NAME_HAS_TEXT || NAME_HAS_MODEL
static void *need(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size ? size : 1);

    if (!p)
        fail("no memory for %zu x %zu bytes (a smaller --ctx needs less)", n, size);
    return p;
}
#endif

static void *grow(void *p, size_t bytes)
{
    p = realloc(p, bytes ? bytes : 1);
    if (!p)
        fail("no memory for %zu bytes", bytes);
    return p;
}

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static double now_ms(void)
{
    return (double)now_ns() * 1e-6;
}

/* ---- options --------------------------------------------------------------------------------- */

typedef struct {
    const char *prompt, *file, *ids, *system, *weights, *logits, *perplexity, *stats, *trace, *spec;
    int n, top_k, threads, ctx, chunk, chunks;
    float temp, top_p, min_p, repeat_penalty;
    uint64_t seed;
    bool chat, no_special, ignore_eos, check_weights, print_ids, tokenize, one_by_one, all_logits, help;
} Options;

typedef enum { OPT_FLAG, OPT_TEXT, OPT_INT, OPT_FLOAT, OPT_SEED } OptKind;
typedef struct {
    const char *name, *arg;
    OptKind kind;
    size_t at;                          /* of the field */
    double lo, hi;                      /* of a number */
    const char *help;
} Opt;

#define AT(field) offsetof(Options, field)
static const Opt opts[] = {
    { "-p", "TEXT", OPT_TEXT, AT(prompt), 0, 0, "the prompt" },
    { "-f", "FILE", OPT_TEXT, AT(file), 0, 0, "the prompt is in a file; - is standard input" },
    { "--ids", "1,2,3", OPT_TEXT, AT(ids), 0, 0,
      "the prompt as token ids; @FILE reads them from a file" },
    { "--no-special", NULL, OPT_FLAG, AT(no_special), 0, 0,
      "no BOS is added, names of special tokens in the prompt are text" },
    { "--chat", NULL, OPT_FLAG, AT(chat), 0, 0,
      "the prompt is a user's message; without a prompt: a conversation" },
    { "-s", "TEXT", OPT_TEXT, AT(system), 0, 0, "the system message of --chat" },
    { "-n", "N", OPT_INT, AT(n), 0, INT_MAX, "most tokens to generate (128)" },
    { "--temp", "X", OPT_FLOAT, AT(temp), 0, 1e6,
      "temperature (0: always the most probable token)" },
    { "--top-k", "K", OPT_INT, AT(top_k), 0, INT_MAX,
      "choose among the K most probable (40; 0: all)" },
    { "--top-p", "P", OPT_FLOAT, AT(top_p), 0, 1,
      "choose among those that make up the share P (1: all)" },
    { "--min-p", "P", OPT_FLOAT, AT(min_p), 0, 1,
      "choose among those P times as probable as the best (0: all)" },
    { "--repeat-penalty", "X", OPT_FLOAT, AT(repeat_penalty), 1e-3, 1e3,
      "make the last 64 tokens less probable (1: off)" },
    { "--seed", "S", OPT_SEED, AT(seed), 0, 0, "of the random generator, pcg32 (0)" },
    { "--ignore-eos", NULL, OPT_FLAG, AT(ignore_eos), 0, 0,
      "go on after a token that ends the answer" },
    { "-j", "THREADS", OPT_INT, AT(threads), 1, NAME_MAX_THREADS,
      "threads (as many as there are cores to use)" },
    { "--ctx", "N", OPT_INT, AT(ctx), 1, INT_MAX,
      "room for N tokens (what prompt and -n need; a conversation: 4096)" },
    { "--weights", "FILE", OPT_TEXT, AT(weights), 0, 0,
      "the weights (NAME.weights beside the program)" },
    { "--check-weights", NULL, OPT_FLAG, AT(check_weights), 0, 0,
      "check every byte of the weights first" },
    { "--spec", "none|lookup", OPT_TEXT, AT(spec), 0, 0,
      "lookup: guess tokens from the text so far; the same text, sooner (" NAME_SPEC ")" },
    { "--print-ids", NULL, OPT_FLAG, AT(print_ids), 0, 0, "print generated ids instead of text" },
    { "--logits", "FILE", OPT_TEXT, AT(logits), 0, 0,
      "write the logits of every position of the prompt: f32 [T, vocab]" },
    { "--tokenize", NULL, OPT_FLAG, AT(tokenize), 0, 0, "print the prompt's token ids, and stop" },
    { "--perplexity", "FILE", OPT_TEXT, AT(perplexity), 0, 0,
      "print the perplexity of a text, and stop" },
    { "--chunk", "N", OPT_INT, AT(chunk), 4, INT_MAX, "its tokens per chunk (512)" },
    { "--chunks", "N", OPT_INT, AT(chunks), 1, INT_MAX, "only its first N chunks (all)" },
    { "--one-by-one", NULL, OPT_FLAG, AT(one_by_one), 0, 0, "feed the prompt token by token" },
    { "--all-logits", NULL, OPT_FLAG, AT(all_logits), 0, 0,
      "compute those, too, that cannot be chosen; the same text, later" },
    { "--stats", "json", OPT_TEXT, AT(stats), 0, 0, "counts and times as JSON on stderr" },
#ifdef NAME_TRACE
    { "--trace", "FILE", OPT_TEXT, AT(trace), 0, 0,
      "write what every stage computed (one thread)" },
#endif
    { "--help", NULL, OPT_FLAG, AT(help), 0, 0, "this" },
};
#undef AT
enum { N_OPTS = sizeof opts / sizeof opts[0] };

static void print_help(void)
{
    printf("NAME: one language model, compiled by sinter.\n\n"
           "  NAME -p TEXT | -f FILE | --ids 1,2,3   go on from a prompt\n"
           "  NAME --chat                            a conversation; /exit ends it, Ctrl-C cuts an "
           "answer short\n\n");
    for (int i = 0; i < N_OPTS; i++) {
        char left[64];

        snprintf(left, sizeof left, "%s%s%s", opts[i].name, opts[i].arg ? " " : "",
                 opts[i].arg ? opts[i].arg : "");
        printf("  %-22s %s\n", left, opts[i].help);
    }
}

/* Edit distance, for "did you mean". */
static int distance(const char *a, const char *b)
{
    int row[32], n = (int)strlen(b);

    if (n > 31)
        return INT_MAX;
    for (int k = 0; k <= n; k++)
        row[k] = k;
    for (int i = 1; a[i - 1]; i++) {
        int diagonal = row[0];

        row[0] = i;
        for (int k = 1; k <= n; k++) {
            int best = diagonal + (a[i - 1] != b[k - 1]);

            diagonal = row[k];
            best = best < row[k] + 1 ? best : row[k] + 1;
            row[k] = best < row[k - 1] + 1 ? best : row[k - 1] + 1;
        }
    }
    return row[n];
}

static void unknown_option(const char *given)
{
    const char *nearest = NULL;
    int least = 4;

    for (int i = 0; i < N_OPTS && strlen(given) < 64; i++)
        if (distance(given, opts[i].name) < least) {
            least = distance(given, opts[i].name);
            nearest = opts[i].name;
        }
    if (given[0] != '-')
        usage_error("'%s' is not an option (a prompt is given with -p)", given);
    if (nearest)
        usage_error("there is no option '%s' (did you mean %s?)", given, nearest);
    usage_error("there is no option '%s'", given);
}

static void set_option(Options *o, const Opt *opt, const char *value)
{
    char *field = (char *)o + opt->at, *end = NULL;

    errno = 0;
    if (opt->kind == OPT_FLAG) {
        *(bool *)(void *)field = true;
    } else if (opt->kind == OPT_TEXT) {
        *(const char **)(void *)field = value;
    } else if (opt->kind == OPT_SEED) {
        unsigned long long v = strtoull(value, &end, 0);

        if (end == value || *end || errno || *value == '-')
            usage_error("%s takes a number from 0 to 2^64 - 1, not '%s'", opt->name, value);
        *(uint64_t *)(void *)field = v;
    } else if (opt->kind == OPT_INT) {
        long v = strtol(value, &end, 10);

        if (end == value || *end || errno || (double)v < opt->lo || (double)v > opt->hi)
            usage_error("%s takes a whole number from %.0f to %.0f, not '%s'", opt->name, opt->lo,
                        opt->hi, value);
        *(int *)(void *)field = (int)v;
    } else {
        double v = strtod(value, &end);

        if (end == value || *end || !(v >= opt->lo && v <= opt->hi))
            usage_error("%s takes a number from %g to %g, not '%s'", opt->name, opt->lo, opt->hi,
                        value);
        *(float *)(void *)field = (float)v;
    }
}

/* The option that an argument names: "-n", "--temp"; also with its value: "-n5", "--temp=0.5". */
static const Opt *find_option(const char *arg, const char **value)
{
    *value = NULL;
    for (int i = 0; i < N_OPTS; i++) {
        size_t n = strlen(opts[i].name);

        if (strncmp(arg, opts[i].name, n) != 0)
            continue;
        if (!arg[n])
            return &opts[i];
        if (opts[i].kind != OPT_FLAG && n > 2 && arg[n] == '=') {
            *value = arg + n + 1;
            return &opts[i];
        }
        if (opts[i].kind == OPT_INT && n == 2 && arg[n] >= '0' && arg[n] <= '9') {
            *value = arg + n;
            return &opts[i];
        }
    }
    return NULL;
}

static Options read_options(int argc, char **argv)
{
    Options o;

    memset(&o, 0, sizeof o);
    o.n = 128;
    o.top_k = 40;
    o.top_p = 1;
    o.repeat_penalty = 1;
    o.spec = NAME_SPEC;
    o.chunk = 512;
    o.chunks = INT_MAX;
    o.threads = NAME_default_threads();
    for (int i = 1; i < argc; i++) {
        const char *value;
        const Opt *opt = find_option(argv[i], &value);

        if (!opt) {
            unknown_option(argv[i]);
            continue;
        }
        if (opt->kind != OPT_FLAG && !value) {
            if (++i == argc)
                usage_error("%s needs a value (%s)", opt->name, opt->arg);
            value = argv[i];
        }
        set_option(&o, opt, value);
    }
    if (o.help)
        return o;
    if (!!o.prompt + !!o.file + !!o.ids > 1)
        usage_error("-p, -f and --ids exclude each other");
    if (o.perplexity && (o.prompt || o.file || o.ids || o.chat))
        usage_error("--perplexity brings its own text");
    if (o.system && !o.chat)
        usage_error("-s is the system message of --chat");
    if (o.chat && (o.ids || o.no_special))
        usage_error("--chat takes text, with special tokens");
    if (!o.prompt && !o.file && !o.ids && !o.perplexity && !o.chat && !o.check_weights)
        usage_error("there is no prompt (-p TEXT, -f FILE, --ids 1,2,3, or --chat)");
    if (o.chat && !o.prompt && !o.file && (o.tokenize || o.logits || o.print_ids))
        usage_error("--tokenize, --logits and --print-ids need a prompt");
    if (o.stats && strcmp(o.stats, "json") != 0)
        usage_error("--stats takes json, not '%s'", o.stats);
    if (strcmp(o.spec, "none") != 0 && strcmp(o.spec, "lookup") != 0)
        usage_error("--spec takes none or lookup, not '%s'", o.spec);
    return o;
}

/* ---- the program ----------------------------------------------------------------------------- */

typedef struct { int32_t *v; int n; } Ids;

typedef struct {
    Options o;
    NAME_Model model;
    NAME_Session *session;
    void *block, *lookup;
    size_t session_bytes;
    float *logits;                      /* [N_VOCAB] */
    int32_t *work;                      /* [N_VOCAB] */
    double start_ms, load_ms, first_ms, prefill_ms, decode_ms;
    long n_prompt, n_new, n_decoded;    /* n_decoded: tokens fed one at a time to go on */
#if NAME_HAS_TEXT
    NAME_Sampler sampler;
#endif
} Program;

static char *read_whole(const char *path, size_t *n)
{
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    char *text = NULL;
    size_t cap = 0;

    if (!f)
        fail("%s: %s", path, strerror(errno));
    for (*n = 0;;) {
        size_t got;

        if (cap - *n < 4096)
            text = grow(text, cap = 2 * cap + 65536);
        got = fread(text + *n, 1, cap - *n - 1, f);
        if (got == 0)
            break;
        *n += got;
    }
    if (ferror(f))
        fail("%s: %s", path, strerror(errno));
    if (f != stdin)
        fclose(f);
    text[*n] = 0;
    return text;
}

/* Token ids, separated by commas or white space. */
static Ids read_ids(const char *arg)
{
    size_t n_text, cap = 0;
    char *text = arg[0] == '@' ? read_whole(arg + 1, &n_text) : NULL;
    const char *p = text ? text : arg, *where = text ? arg + 1 : "--ids";
    Ids ids = { NULL, 0 };

    for (;;) {
        char *end;
        long v;

        p += strspn(p, ", \t\r\n");
        if (!*p)
            break;
        errno = 0;
        v = strtol(p, &end, 10);
        if (end == p || (*end && !strchr(", \t\r\n", *end)))
            fail("%s: id %d: '%.20s' is not a number (write 1,2,3)", where, ids.n, p);
        if (errno || v < 0 || v >= NAME_desc.n_ids)
            fail("%s: id %d: there is no token %ld (ids are 0 to %d)", where, ids.n, v,
                 NAME_desc.n_ids - 1);
        if ((size_t)ids.n == cap)
            ids.v = grow(ids.v, (cap = 2 * cap + 256) * sizeof *ids.v);
        ids.v[ids.n++] = (int32_t)v;
        p = end;
    }
    free(text);
    return ids;
}

static void print_ids(const int32_t *v, int n)
{
    for (int i = 0; i < n; i++)
        printf("%s%ld", i ? " " : "", (long)v[i]);
    putchar('\n');
}

/* The weights beside the program: into path[cap]. */
static void default_weights(const char *argv0, char *path, size_t cap)
{
    static const char file[] = "NAME.weights";
    size_t room = cap - sizeof file;
    ssize_t n = readlink("/proc/self/exe", path, room);
    char *slash;

    if (n <= 0)
        strncpy(path, argv0, room);
    path[n <= 0 ? (ssize_t)room : n] = 0;
    slash = strrchr(path, '/');
    strcpy(slash ? slash + 1 : path, file);
}

#ifdef __wasi__
/* A file cannot be mapped there: it is read into memory of its own, which stays. */
static NAME_Status open_file(NAME_Model *m, const char *path)
{
    FILE *f = fopen(path, "rb");
    NAME_Status s = NAME_E_FILE;
    long bytes;

    if (!f)
        return s;
    if (fseek(f, 0, SEEK_END) == 0 && (bytes = ftell(f)) >= 0 && fseek(f, 0, SEEK_SET) == 0) {
        void *w = aligned_alloc(64, ((size_t)bytes + 127) / 64 * 64);

        if (w && fread(w, 1, (size_t)bytes, f) == (size_t)bytes)
            s = NAME_open_memory(m, w, (size_t)bytes);
    }
    fclose(f);
    return s;
}
#else
static NAME_Status open_file(NAME_Model *m, const char *path)
{
    return NAME_open(m, path);
}
#endif

static void open_model(Program *p, const char *argv0)
{
    NAME_Status s = p->o.weights ? NAME_E_ARG : NAME_open(&p->model, NULL);
    const char *path = "the weights inside this program";
    char beside[8192];

    if (s == NAME_E_ARG) {
        path = p->o.weights ? p->o.weights : beside;
        default_weights(argv0, beside, sizeof beside);
        s = open_file(&p->model, path);
    }
    if (s == NAME_E_CPU)
        fail("this CPU has no %s, which the program was compiled for (build it for another target, "
             "e.g. sinter build -t portable)", NAME_missing_feature());
    if (s == NAME_E_FILE)
        fail("%s: %s (--weights FILE says where the weights are)", path, strerror(errno));
    if (s)
        fail("%s: %s (build again, or give the right file with --weights)", path,
             NAME_status_text(s));
    if (p->o.check_weights) {
        s = NAME_verify(&p->model);
        if (s)
            fail("%s: a chunk does not have the hash it was written with (damaged: build or copy "
                 "it again)",
                 path);
        note("%s: all %llu bytes are as they were written", path,
             (unsigned long long)p->model.bytes);
    }
    p->load_ms = now_ms() - p->start_ms;
}

#if NAME_HAS_MODEL
static void open_session(Program *p, long n_ctx)
{
    NAME_Options opt;
    NAME_Status s;

    if (p->o.ctx > NAME_desc.n_ctx)
        fail("--ctx %d is more than the %d tokens that the program was built for (sinter build "
             "--ctx)",
             p->o.ctx, NAME_desc.n_ctx);
    if (p->o.ctx)
        n_ctx = p->o.ctx;
    memset(&opt, 0, sizeof opt);
    opt.n_ctx = n_ctx > NAME_desc.n_ctx ? NAME_desc.n_ctx : n_ctx < 1 ? 1 : (int)n_ctx;
    opt.n_threads = NAME_THREADS ? p->o.threads : 1;
    opt.flags = p->o.one_by_one ? NAME_ONE_BY_ONE : 0;
#ifdef NAME_TRACE
    if (p->o.trace)
        opt.n_threads = 1;
#endif
    p->session_bytes = NAME_session_bytes(opt.n_ctx, opt.n_threads);
    p->block = malloc(p->session_bytes);
    if (!p->block)
        fail("no memory for %zu bytes of session (a smaller --ctx needs less)", p->session_bytes);
    s = NAME_session_open(&p->session, &p->model, p->block, p->session_bytes, &opt);
    if (s)
        fail("%s", NAME_status_text(s));
    if (strcmp(p->o.spec, "lookup") == 0) {
        size_t bytes = NAME_lookup_bytes(p->session);

        if (bytes == 0)
            fail("--spec lookup is not in this program (it was built with --spec none, or with other "
                 "sums for prompts than for answers, as --act prefill=...,decode=... gives)");
        p->lookup = malloc(bytes);
        if (!p->lookup)
            fail("no memory for %zu bytes of guesses (--spec none needs none)", bytes);
        s = NAME_lookup_open(p->session, p->lookup, bytes, now_ns);
        if (s)
            fail("%s", NAME_status_text(s));
        p->session_bytes += bytes;
    }
    p->logits = need((size_t)NAME_desc.n_vocab, sizeof(float));
    p->work = need((size_t)NAME_desc.n_vocab, sizeof(int32_t));
}

/* ---- choosing -------------------------------------------------------------------------------- */

static void start_choosing(Program *p)
{
#if NAME_HAS_TEXT
    NAME_sampler_init(&p->sampler, p->o.seed);
    p->sampler.temp = p->o.temp;
    p->sampler.top_k = p->o.top_k;
    p->sampler.top_p = p->o.top_p;
    p->sampler.min_p = p->o.min_p;
    p->sampler.repeat_penalty = p->o.repeat_penalty;
#else
    if (p->o.temp != 0 || p->o.repeat_penalty != 1)
        fail("without a vocabulary the program only chooses the most probable token (--temp 0)");
#endif
}

/* Only these logits are computed for certain. */
static int best_wanted(const Program *p)
{
    if (p->o.all_logits)
        return 0;
#if NAME_HAS_TEXT
    return NAME_sampler_best(&p->sampler);
#else
    return 1;
#endif
}

static void accept_token(Program *p, int32_t id)
{
#if NAME_HAS_TEXT
    NAME_sampler_accept(&p->sampler, id);
#else
    (void)p;
    (void)id;
#endif
}

static int32_t choose(Program *p)
{
#if NAME_HAS_TEXT
    return NAME_sample(&p->sampler, p->logits, NAME_desc.n_vocab, p->work);
#else
    int32_t best = 0;

    for (int32_t i = 1; i < NAME_desc.n_vocab; i++)
        if (p->logits[i] > p->logits[best])
            best = i;
    return best;
#endif
}

static bool ends_answer(const Program *p, int32_t id)
{
#if NAME_HAS_TEXT
    return !p->o.ignore_eos && NAME_is_end(&p->model, id);
#else
    (void)p;
    (void)id;
    return false;
#endif
}

/* ---- generating ------------------------------------------------------------------------------ */

/* What the answer so far is, as ids and as text. */
typedef struct {
    int32_t *ids;
    int n_ids, cap_ids;
    char *text;
    size_t n_text, cap_text;
#if NAME_HAS_TEXT
    NAME_Utf8 utf8;
#endif
} Answer;

static void put_text(Answer *a, const char *text, size_t n)
{
    if (n + 1 > a->cap_text - a->n_text)
        a->text = grow(a->text, a->cap_text = 2 * a->cap_text + n + 256);
    memcpy(a->text + a->n_text, text, n);
    a->n_text += n;
    a->text[a->n_text] = 0;
    fwrite(text, 1, n, stdout);
    fflush(stdout);
}

static void put_token(Program *p, Answer *a, int32_t id)
{
    if (a->n_ids == a->cap_ids)
        a->ids = grow(a->ids, (size_t)(a->cap_ids = 2 * a->cap_ids + 64) * sizeof *a->ids);
    a->ids[a->n_ids++] = id;
    if (p->o.print_ids)
        return;
#if NAME_HAS_TEXT
    {
        const char *piece;
        char *out;
        size_t n;

        if (NAME_is_control(&p->model, id) || NAME_piece(&p->model, id, &piece, &n) != NAME_OK)
            return;
        out = need(3 * n + 12, 1);
        n = NAME_utf8_push(&a->utf8, piece, n, out);
        put_text(a, out, n);
        free(out);
    }
#endif
}

static void end_text(Program *p, Answer *a)
{
#if NAME_HAS_TEXT
    char out[16];

    if (!p->o.print_ids)
        put_text(a, out, NAME_utf8_end(&a->utf8, out));
#else
    (void)p;
    (void)a;
    (void)put_text;
#endif
}

/* Chooses and feeds up to n tokens; p->logits are those after the context.  Why it ended: NAME_OK
 * (an end token, or n), NAME_E_CONTEXT or NAME_E_CANCELLED. */
static NAME_Status generate(Program *p, Answer *a, int n)
{
    double begin = now_ms();
    NAME_Status s = NAME_OK;

    NAME_want_best(p->session, best_wanted(p));
    for (int i = 0; i < n && !s; i++) {
        int32_t id = choose(p);

        if (p->first_ms == 0)
            p->first_ms = now_ms() - p->start_ms;
        if (ends_answer(p, id))
            break;
        accept_token(p, id);
        p->n_new++;
        put_token(p, a, id);
        if (i + 1 < n) {
            s = NAME_next(p->session, id, n - i - 2, p->logits);
            p->n_decoded += !s;
        }
    }
    NAME_want_best(p->session, 0);
    p->decode_ms += now_ms() - begin;
    return s;
}

/* ---- logits, trace --------------------------------------------------------------------------- */

static FILE *create(const char *path)
{
    FILE *f = fopen(path, "wb");

    if (!f)
        fail("%s: %s", path, strerror(errno));
    return f;
}

static void close_written(FILE *f, const char *path)
{
    if (ferror(f) | fclose(f))
        fail("%s: it could not be written (is the disk full?)", path);
}

#ifdef NAME_TRACE
/* A record: u32 bytes of the name, the name ("blk.3.ffn_out"), u32 n, f32[n]. */
static void trace(void *ctx, int layer, const char *value_name, const float *value, size_t n)
{
    FILE *f = ctx;
    char text[256];
    int len = layer < 0 ? snprintf(text, sizeof text, "%s", value_name)
                        : snprintf(text, sizeof text, "blk.%d.%s", layer, value_name);
    uint32_t head = len < (int)sizeof text ? (uint32_t)len : (uint32_t)sizeof text - 1,
             count = (uint32_t)n;

    fwrite(&head, sizeof head, 1, f);
    fwrite(text, 1, head, f);
    fwrite(&count, sizeof count, 1, f);
    fwrite(value, sizeof *value, n, f);
}
#endif

/* Feeds the prompt; p->logits are those after its last token. */
static void prefill(Program *p, Ids ids)
{
    double begin = now_ms();
    NAME_Status s = NAME_OK;

    if (p->o.logits) {
        FILE *f = create(p->o.logits);
        int step = p->o.one_by_one ? 1 : NAME_desc.max_tokens;
        size_t row = (size_t)NAME_desc.n_vocab;
        float *rows = need((size_t)(ids.n < step ? ids.n : step) * row, sizeof(float));

        for (int at = 0; at < ids.n && !s; at += step) {
            int n = ids.n - at < step ? ids.n - at : step;

            s = NAME_eval(p->session, ids.v + at, n, rows, n);
            fwrite(rows, sizeof(float), (size_t)n * row, f);
            memcpy(p->logits, rows + (size_t)(n - 1) * row, row * sizeof(float));
        }
        close_written(f, p->o.logits);
        free(rows);
    } else
        s = NAME_eval(p->session, ids.v, ids.n, p->logits, 1);
    if (s)
        fail("%s", NAME_status_text(s));
    p->n_prompt += ids.n;
    p->prefill_ms += now_ms() - begin;
}

/* ---- perplexity ------------------------------------------------------------------------------ */

/* e^x for x <= 0, to 1e-15 relative: e^x = 2^k e^r, |r| <= ln 2 / 2, by its power series.  Not
 * libm's, so that the program needs no library and its figures are the same everywhere. */
static double exp_of(double x)
{
    double k, r, sum = 1, term = 1;

    if (x < -700)
        return 0;
    k = (double)(long)(x * 1.4426950408889634 - 0.5);
    r = (x - k * 0.693147180369123816490) - k * 1.90821492927058770002e-10;  /* ln 2 in two parts */
    for (int i = 1; i < 18; i++) {
        term *= r / i;
        sum += term;
    }
    for (; k < 0; k++)
        sum *= 0.5;
    return sum;
}

/* ln x for x > 0: x = 2^k m, ln m = 2 (t + t^3/3 + t^5/5 + ...) with t = (m - 1) / (m + 1). */
static double log_of(double x)
{
    double k = 0, t, power, sum = 0;

    for (; x > 1.4142135623730951; x *= 0.5)
        k++;
    for (; x < 0.7071067811865476; x *= 2)
        k--;
    t = (x - 1) / (x + 1);
    power = t;
    for (int i = 1; i < 40; i += 2) {
        sum += power / i;
        power *= t * t;
    }
    return 2 * sum + k * 0.6931471805599453;
}

static double root_of(double x)
{
    double y = x > 1 ? x : 1;

    for (int i = 0; i < 60; i++)
        y = 0.5 * (y + x / y);
    return y;
}

/* -ln of the probability that the logits give to a token. */
static double nll_of(const float *logits, int32_t id)
{
    double max = logits[0], sum = 0;

    for (int i = 1; i < NAME_desc.n_vocab; i++)
        max = logits[i] > max ? logits[i] : max;
    for (int i = 0; i < NAME_desc.n_vocab; i++)
        sum += exp_of(logits[i] - max);
    return log_of(sum) + max - logits[id];
}

/* The text is cut into chunks of `chunk` tokens, each fed alone into an empty context, its first
 * token replaced by BOS where the model wants one; scored are the tokens of the second half, by
 * what the tokens before them predict. */
static void perplexity(Program *p, Ids ids, int32_t bos)
{
    int chunk = p->o.chunk, half = chunk / 2, step = p->o.one_by_one ? 1 : NAME_desc.max_tokens,
        n_chunks = ids.n / chunk;
    double begin = now_ms(), sum = 0, sum2 = 0;
    long scored = 0;
    float *rows =
        need((size_t)(step < chunk - half ? step : chunk - half) * (size_t)NAME_desc.n_vocab,
             sizeof(float));

    if (n_chunks < 1)
        fail("%s: its %d tokens are fewer than one chunk of %d (a longer text, or a smaller "
             "--chunk)",
             p->o.perplexity, ids.n, chunk);
    if (n_chunks > p->o.chunks)
        n_chunks = p->o.chunks;
    for (int c = 0; c < n_chunks; c++) {
        int32_t *v = ids.v + (size_t)c * (size_t)chunk;
        double of_chunk = 0;
        NAME_Status s;

        if (bos >= 0)
            v[0] = bos;
        NAME_rewind(p->session, 0);
        s = NAME_eval(p->session, v, half, NULL, 0);
        for (int at = half; at < chunk && !s; at += step) {
            int n = chunk - at < step ? chunk - at : step;

            s = NAME_eval(p->session, v + at, n, rows, n);
            for (int i = 0; i < n && at + i + 1 < chunk && !s; i++) {
                double nll = nll_of(rows + (size_t)i * (size_t)NAME_desc.n_vocab, v[at + i + 1]);

                of_chunk += nll;
                sum2 += nll * nll;
            }
        }
        if (s)
            fail("%s: chunk %d: %s", p->o.perplexity, c, NAME_status_text(s));
        sum += of_chunk;
        scored += chunk - half - 1;
        fprintf(stderr, "chunk %d of %d: mean nll %.5f, perplexity so far %.4f\n", c + 1, n_chunks,
                of_chunk / (chunk - half - 1), 1 / exp_of(-sum / (double)scored));
    }
    {
        double mean = sum / (double)scored, var = sum2 / (double)scored - mean * mean,
               ppl = 1 / exp_of(-mean);

        fprintf(stderr, "mean nll %.6f over %ld tokens, standard error of the perplexity %.4f\n",
                mean, scored,
                scored > 1 && var > 0 ? ppl * root_of(var / (double)(scored - 1)) : 0.0);
        printf("%.6f\n", ppl);
    }
    free(rows);
    p->n_prompt += (long)n_chunks * chunk;
    p->prefill_ms += now_ms() - begin;
}
#endif

/* ---- text ------------------------------------------------------------------------------------ */

static void need_text(const char *option)
{
#if NAME_HAS_TEXT
    (void)option;
#else
    fail("%s needs a tokenizer, and the model's file has none that sinter knows (give token ids "
         "with --ids)",
         option);
#endif
}

static Ids tokenize(Program *p, const char *text, size_t n, bool special)
{
    Ids ids = { NULL, 0 };

#if NAME_HAS_TEXT
    size_t n_ids = 0;
    NAME_Status s;

    if (n > INT_MAX / 2 - 4)
        fail("the text has more than 1 GB");
    ids.v = need(2 * n + 8, sizeof *ids.v);
    s = NAME_tokenize(&p->model, text, n, special ? NAME_TEXT_SPECIAL : NAME_TEXT_PLAIN, ids.v,
                      2 * n + 8, &n_ids);
    if (s)
        fail("the text could not be tokenized: %s", NAME_status_text(s));
    ids.n = (int)n_ids;
#else
    (void)p;
    (void)text;
    (void)n;
    (void)special;
#endif
    return ids;
}

#if NAME_HAS_TEXT
/* The ids of a conversation, as the model's template renders it. */
static Ids render(Program *p, const NAME_Message *msgs, int n_msgs)
{
    size_t n = 0;
    char *text;
    Ids ids;

    if (!NAME_has_chat(&p->model))
        fail("the model's file has no chat template that sinter knows (use -p with the whole "
             "prompt)");
    NAME_chat(&p->model, msgs, n_msgs, true, NULL, 0, &n);
    text = need(n + 1, 1);
    if (NAME_chat(&p->model, msgs, n_msgs, true, text, n, &n))
        fail("the model's chat template refuses this conversation");
    ids = tokenize(p, text, n, true);
    free(text);
    return ids;
}
#endif

static Ids read_prompt(Program *p)
{
    const Options *o = &p->o;
    char *from_file = NULL;
    const char *text;
    size_t n;
    Ids ids;

    if (o->ids)
        return read_ids(o->ids);
    need_text(o->chat ? "--chat" : o->prompt ? "-p" : "-f");
    if (o->file)
        from_file = read_whole(o->file, &n);
    text = from_file ? from_file : o->prompt;
    n = from_file ? n : strlen(text);
#if NAME_HAS_TEXT
    if (o->chat) {
        NAME_Message msgs[2] = { { "system", o->system }, { "user", text } };

        if (strlen(text) != n)
            fail("%s: a message cannot hold a NUL byte", o->file);
        ids = render(p, o->system ? msgs : msgs + 1, o->system ? 2 : 1);
        free(from_file);
        return ids;
    }
#endif
    ids = tokenize(p, text, n, !o->no_special);
    free(from_file);
    return ids;
}

/* ---- a conversation -------------------------------------------------------------------------- */

#if NAME_HAS_TEXT && NAME_HAS_MODEL
/* The session that Ctrl-C cancels; NULL: none is answering. */
static NAME_Session *volatile interrupted_session;

#ifdef __wasi__
static void catch_interrupts(void)
{
}
#else
static void on_interrupt(int sig)
{
    (void)sig;
    if (interrupted_session)
        NAME_cancel(interrupted_session);
}

static void catch_interrupts(void)
{
    struct sigaction act;

    memset(&act, 0, sizeof act);
    act.sa_handler = on_interrupt;      /* without SA_RESTART: reading a line comes back */
    sigaction(SIGINT, &act, NULL);
}
#endif

/* A line of standard input without its end; NULL at its end.  After Ctrl-C it asks again. */
static char *read_line(bool ask)
{
    char *line = NULL;
    size_t cap = 0;

    for (;;) {
        ssize_t n;

        if (ask) {
            fputs("> ", stderr);
            fflush(stderr);
        }
        errno = 0;
        n = getline(&line, &cap, stdin);
        if (n >= 0) {
            while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
                line[--n] = 0;
            return line;
        }
        if (errno != EINTR) {
            free(line);
            return NULL;
        }
        clearerr(stdin);
        fputs("\n(/exit ends the conversation)\n", stderr);
    }
}

/* Brings the context from `have` to `want`: the beginning that is equal stays, the rest is fed. */
static NAME_Status feed_difference(Program *p, Ids have, Ids want)
{
    int same = 0, n_past = NAME_n_past(p->session);
    double begin = now_ms();
    NAME_Status s;

    while (same < have.n && same < n_past && same < want.n - 1 && have.v[same] == want.v[same])
        same++;
    NAME_rewind(p->session, same);
    s = NAME_eval(p->session, want.v + same, want.n - same, p->logits, 1);
    p->n_prompt += s ? 0 : want.n - same;
    p->prefill_ms += now_ms() - begin;
    return s;
}

static void forget(NAME_Message *msgs, int n)
{
    for (int i = 0; i < n; i++)
        if (strcmp(msgs[i].role, "system") != 0)
            free((char *)(uintptr_t)msgs[i].content);
}

static void converse(Program *p)
{
    bool ask = isatty(STDIN_FILENO);
    NAME_Message *msgs = NULL;
    Ids have = { NULL, 0 };             /* what the context holds */
    int n = 0, cap = 0;
    char *line;

    catch_interrupts();
    open_session(p, p->o.ctx ? p->o.ctx : 4096);
    start_choosing(p);
    while ((line = read_line(ask)) != NULL && strcmp(line, "/exit") != 0) {
        Answer a;
        NAME_Status s;
        Ids want;

        if (!*line) {
            free(line);
            continue;
        }
        if (strcmp(line, "/reset") == 0) {
            free(line);
            forget(msgs, n);
            n = 0;
            continue;
        }
        memset(&a, 0, sizeof a);
        if (n + 3 > cap)
            msgs = grow(msgs, (size_t)(cap = 2 * cap + 16) * sizeof *msgs);
        if (n == 0 && p->o.system)
            msgs[n++] = (NAME_Message){ "system", p->o.system };
        msgs[n++] = (NAME_Message){ "user", line };
        want = render(p, msgs, n);
        NAME_uncancel(p->session);
        interrupted_session = p->session;
        s = feed_difference(p, have, want);
        for (int i = 0; i < want.n; i++)
            accept_token(p, want.v[i]);
        if (!s)
            s = generate(p, &a, p->o.n);
        interrupted_session = NULL;
        end_text(p, &a);
        putchar('\n');
        fflush(stdout);
        if (s == NAME_E_CONTEXT)
            note("the context of %d tokens is full (/reset begins anew; --ctx gives more room)",
                 NAME_n_ctx(p->session));
        else if (s && s != NAME_E_CANCELLED)
            fail("%s", NAME_status_text(s));
        free(have.v);
        have.v = need((size_t)(want.n + a.n_ids), sizeof *have.v);
        memcpy(have.v, want.v, (size_t)want.n * sizeof *have.v);
        if (a.n_ids)
            memcpy(have.v + want.n, a.ids, (size_t)a.n_ids * sizeof *have.v);
        have.n = want.n + a.n_ids;
        if (NAME_n_past(p->session) < have.n)
            have.n = NAME_n_past(p->session);
        put_text(&a, "", 0);            /* an empty answer is a text, too */
        msgs[n++] = (NAME_Message){ "assistant", a.text };
        free(want.v);
        free(a.ids);
    }
    free(line);
    forget(msgs, n);
    free(msgs);
    free(have.v);
}
#endif

/* ---- from one end to the other --------------------------------------------------------------- */

static double per_second(long n, double ms)
{
    return ms > 0 ? (double)n * 1e3 / ms : 0;
}

/* 0 where the system does not say. */
static long long peak_rss_bytes(void)
{
#ifdef __wasi__
    return 0;
#else
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
#ifdef __APPLE__
    u.ru_maxrss /= 1024;                /* bytes there, KiB elsewhere */
#endif
    return (long long)u.ru_maxrss * 1024;
#endif
}

static void print_stats(const Program *p)
{
    NAME_LookupCounts spec = { 0, 0, 0 };

    if (p->session)
        spec = NAME_lookup_counts(p->session);
    fprintf(
        stderr,
        "{\"schema\": 1, \"tokens\": %ld, \"prompt_tokens\": %ld, \"prefill_tps\": %.3f, "
        "\"decode_tps\": %.3f, "
        "\"ttft_ms\": %.3f, \"load_ms\": %.3f, \"session_bytes\": %zu, \"weights_bytes\": %llu, "
        "\"peak_rss_bytes\": %lld, \"threads\": %d, \"isa\": \"%s\", "
        "\"spec_drafted\": %lld, \"spec_accepted\": %lld}\n",
        p->n_new, p->n_prompt, per_second(p->n_prompt, p->prefill_ms),
        per_second(p->n_decoded, p->decode_ms), p->first_ms, p->load_ms, p->session_bytes,
        (unsigned long long)p->model.bytes, peak_rss_bytes(),
        p->session ? NAME_n_threads(p->session) : 0, NAME_isa_name(&p->model),
        (long long)spec.drafted, (long long)spec.accepted);
}

#if NAME_HAS_MODEL
static void run_perplexity(Program *p)
{
    size_t n;
    char *text;
    int32_t bos = -1;
    Ids ids;

    need_text("--perplexity");
    text = read_whole(p->o.perplexity, &n);
    ids = tokenize(p, "", 0, true);
#if NAME_HAS_TEXT
    bos = ids.n > 0 && ids.v[0] == NAME_bos(&p->model) ? ids.v[0] : -1;
#endif
    free(ids.v);
    ids = tokenize(p, text, n, false);
    free(text);
    open_session(p, p->o.chunk);
    if (NAME_n_ctx(p->session) < p->o.chunk)
        fail("--chunk %d does not fit the context of %d tokens", p->o.chunk,
             NAME_n_ctx(p->session));
    perplexity(p, ids, bos);
    free(ids.v);
}

static void run_prompt(Program *p, Ids ids)
{
    Answer a;
    long want = (long)ids.n + p->o.n;
    NAME_Status s;

    memset(&a, 0, sizeof a);
    open_session(p, want);
    if (ids.n > NAME_n_ctx(p->session))
        fail("the prompt has %d tokens, the context room for %d (--ctx; the model has at most %d)",
             ids.n, NAME_n_ctx(p->session), NAME_desc.n_ctx);
    start_choosing(p);
#ifdef NAME_TRACE
    {
        FILE *f = p->o.trace ? create(p->o.trace) : NULL;

        NAME_trace_to(f ? trace : NULL, f);
        prefill(p, ids);
        if (f)
            close_written(f, p->o.trace);
        NAME_trace_to(NULL, NULL);
    }
#else
    prefill(p, ids);
#endif
    for (int i = 0; i < ids.n; i++)
        accept_token(p, ids.v[i]);
    s = generate(p, &a, p->o.n);
    if (p->o.print_ids)
        print_ids(a.ids, a.n_ids);
    else if (p->o.n > 0) {
        end_text(p, &a);
        putchar('\n');
    }
    fflush(stdout);
    if (s == NAME_E_CONTEXT)
        note("the context of %d tokens is full after %d new ones", NAME_n_ctx(p->session), a.n_ids);
    else if (s)
        fail("%s", NAME_status_text(s));
    free(a.ids);
    free(a.text);
}
#endif

static void run_program(Program *p)
{
    const Options *o = &p->o;
    Ids ids;

#if NAME_HAS_MODEL
    if (o->perplexity) {
        run_perplexity(p);
        return;
    }
#if NAME_HAS_TEXT
    if (o->chat && !o->prompt && !o->file) {
        converse(p);
        return;
    }
#else
    if (o->chat)
        need_text("--chat");
#endif
#else
    if (!o->tokenize && (o->prompt || o->file || o->ids || o->perplexity || o->chat))
        fail("the model's file has a vocabulary but no tensors: only --tokenize works");
#endif
    if (!o->prompt && !o->file && !o->ids)
        return;                         /* --check-weights alone */
    ids = read_prompt(p);
    if (o->tokenize) {
        print_ids(ids.v, ids.n);
        free(ids.v);
        return;
    }
    if (ids.n == 0)
        fail("the prompt is empty");
#if NAME_HAS_MODEL
    run_prompt(p, ids);
#endif
    free(ids.v);
}

int main(int argc, char **argv)
{
    static Program p;

    p.start_ms = now_ms();
    p.o = read_options(argc, argv);
    if (p.o.help) {
        print_help();
        return 0;
    }
    open_model(&p, argv[0]);
    run_program(&p);
    if (p.o.stats)
        print_stats(&p);
    NAME_close(p.session);
    free(p.block);
    free(p.lookup);
    free(p.logits);
    free(p.work);
    NAME_close_model(&p.model);
    if (fflush(stdout) || ferror(stdout))
        fail("standard output could not be written: %s", strerror(errno));
    return 0;
}
