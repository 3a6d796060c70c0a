/* The table of commands, reading a command line by it, and printing it as help. */
#include "compiler/cmd.h"

/* `later` commands have no function: they are in the help, marked so, and answer that they are not
 * there yet. */
const Command command_table[] = {
    { "build", "MODEL|FILE.sir [options]", "compile a model to a folder of C",
      { build_option_table }, 0, 1, false, cmd_build },
    { "run", "MODEL [options] [-- program options]", "build (cached), compile and execute",
      { run_option_table }, 1, 1, true, cmd_run },
    { "inspect", "MODEL|FILE.sir|DIR", "what is in there",
      { inspect_option_table }, 1, 1, false, cmd_inspect },
    { "opt", "FILE.sir --pass NAME", "run one pass, text to text",
      { opt_option_table }, 1, 1, false, cmd_opt },
    { "verify", "DIR", "the emitted program against the reference interpreter, layer by layer",
      { verify_option_table }, 1, 1, false, cmd_verify },
    { "bench", "DIR", "how fast the emitted program is, and how near to the memory's limit",
      { bench_option_table }, 1, 1, false, cmd_bench },
    { "targets", "[NAME|FILE.yaml]", "the chips, and what is known of each",
      { targets_option_table }, 0, 1, false, cmd_targets },
    { "explore", "MODEL -t TARGET", "the choices and what each costs",
      { no_option_table }, 0, -1, false, NULL },
    { "explain", "DIR [STAGE]", "why this kernel, this tile, this fusion",
      { explain_option_table }, 1, 2, false, cmd_explain },
    { "eval", "MODEL|DIR --text FILE", "perplexity, and divergence from the unquantized model",
      { no_option_table }, 0, -1, false, NULL },
    { "quantize", "MODEL -o OUT.gguf", "write quantized weights back as GGUF",
      { no_option_table }, 0, -1, false, NULL },
    { "help", "[COMMAND]", "this text, or a command's",
      { no_option_table }, 0, 1, false, cmd_help },
    { NULL, NULL, NULL, { NULL }, 0, 0, false, NULL },
};

static const Command *find_command(const char *name)
{
    for (const Command *c = command_table; c->name; c++)
        if (!strcmp(c->name, name))
            return c;
    return NULL;
}

static const char *nearest_command(Arena *a, const char *name)
{
    const char **names;
    int n = 0;

    for (const Command *c = command_table; c->name; c++)
        n++;
    names = ARENA_ARRAY(a, const char *, n + 1);
    for (int i = 0; i < n; i++)
        names[i] = command_table[i].name;
    return str_nearest(str_of(name), names);
}

/* ---- help -------------------------------------------------------------------------------------------------------------- */

static void print_overview(FILE *f)
{
    fprintf(f,
            "sinter %s: a model file goes in, a folder of plain C comes out that runs this one "
            "model.\n\nUsage:\n",
            SINTER_VERSION);
    for (const Command *c = command_table; c->name; c++)
        fprintf(f, "  sinter %-9s %-38s %s%s\n", c->name, c->usage, c->help,
                c->run ? "" : " (not there yet)");
    fprintf(f, "  sinter --version\n\n`sinter help COMMAND` prints a command's options.\n");
}

static void print_option(FILE *f, const Option *o)
{
    char left[80];
    int n = 0;

    n = o->letter ? snprintf(left, sizeof left, "-%c, %s", o->letter, o->name)
                  : snprintf(left, sizeof left, "%s%s", o->name[1] == '-' ? "    " : "", o->name);
    if (o->arg)
        snprintf(left + n, sizeof left - (size_t)n, " %s", o->arg);
    fprintf(f, "  %-24s %s", left, o->help);
    if (o->def)
        fprintf(f, " (default: %s)", o->def);
    fprintf(f, "%s\n", o->later ? " (not there yet)" : "");
}

static void print_command(FILE *f, const Command *c)
{
    fprintf(f, "Usage: sinter %s %s\n  %s%s\n", c->name, c->usage, c->help,
            c->run ? "" : " (not there yet in this version)");
    for (int i = 0; i < 2 && c->options[i]; i++)
        for (const Option *o = c->options[i]; o->name; o++) {
            if (o == c->options[0])
                fprintf(f, "\nOptions:\n");
            print_option(f, o);
        }
    if (c->pass_rest)
        fprintf(f, "\nOther options behind MODEL, and all behind `--`, are the emitted program's: "
                   "-p TEXT, -n N, --chat, ...\n");
}

/* ---- reading ----------------------------------------------------------------------------------------------------------- */

int usage_error(const Args *args, const char *fmt, ...)
{
    va_list ap;
    const char *text;

    va_start(ap, fmt);
    text = str_vprintf(args->a, fmt, ap);
    va_end(ap);
    fail(args->d, NOWHERE, "%s (`sinter help%s%s` says more)", text, args->cmd ? " " : "",
         args->cmd ? args->cmd->name : "");
    return EXIT_usage;
}

const char *arg_value(const Args *args, const char *name)
{
    for (int i = args->n_given; i-- > 0;)
        if (!strcmp(args->given[i]->name, name))
            return args->value[i];
    return NULL;
}

bool arg_int(const Args *args, const char *name, int64_t lo, int64_t hi, int64_t otherwise,
             int64_t *out)
{
    const char *v = arg_value(args, name);

    *out = otherwise;
    if (!v)
        return true;
    if (str_to_i64(str_of(v), out) && *out >= lo && *out <= hi)
        return true;
    usage_error(args, "%s takes a whole number from %" PRId64 " to %" PRId64 ", not '%s'", name, lo,
                hi, v);
    return false;
}

/* The option that `word` names, with *value where the word itself carries one (--name=value,
 * -tvalue). */
static const Option *find_option(const Args *args, const char *word, const char **value)
{
    bool exact = args->cmd->pass_rest &&
                 args->n_pos > 0; /* among a program's options only whole words are ours */

    *value = NULL;
    for (int i = 0; i < 2 && args->cmd->options[i]; i++)
        for (const Option *o = args->cmd->options[i]; o->name; o++) {
            size_t n = strlen(o->name);

            if (!strcmp(word, o->name))
                return o;
            if (o->letter && word[0] == '-' && word[1] == o->letter && !word[2])
                return o;
            if (!exact && o->arg && n > 2 && !strncmp(word, o->name, n) && word[n] == '=') {
                *value = word + n + 1;
                return o;
            }
        }
    for (int i = 0; !exact && i < 2 && args->cmd->options[i]; i++)
        for (const Option *o = args->cmd->options[i]; o->name; o++)
            if (o->letter && o->arg && word[0] == '-' && word[1] == o->letter) {
                *value = word + 2;
                return o;
            }
    return NULL;
}

static int unknown_option(const Args *args, const char *word)
{
    const char *names[96];
    const char *near;
    int n = 0;

    for (int i = 0; i < 2 && args->cmd->options[i]; i++)
        for (const Option *o = args->cmd->options[i]; o->name && n < 95; o++)
            names[n++] = o->name;
    names[n] = NULL;
    near = str_nearest((Str){ word, strcspn(word, "=") }, names);
    return usage_error(args, "%s: unknown option '%s'%s%s%s", args->cmd->name, word,
                       near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static int later_option(const Args *args, const Option *o, const char *why)
{
    fail(args->d, NOWHERE, "%s: %s", o->name, why ? why : "is not there yet in this version");
    return EXIT_failed;
}

/* Applies one option.  Returns EXIT_done or an exit status. */
static int take_option(Args *args, const Option *o, const char *value)
{
    const char *why = NULL;

    if (o->later)
        return later_option(args, o, NULL);
    if (!o->set) {
        args->given[args->n_given] = o;
        args->value[args->n_given++] = value;
        return EXIT_done;
    }
    switch (o->set(&args->build, args->a, value, &why)) {
    case SET_ok:
        return EXIT_done;
    case SET_later:
        return later_option(args, o, why);
    case SET_bad:
        break;
    }
    return usage_error(args, "%s: '%s': %s", o->name, value, why);
}

/* Reads argv behind the command's name.  *help: --help was among it. */
static int read_args(Args *args, int argc, char **argv, bool *help)
{
    bool ended = false;

    for (int i = 0; i < argc; i++) {
        const char *word = argv[i], *value;
        const Option *o;
        int status;

        if (ended || word[0] != '-' || !word[1]) {           /* `-` alone is standard input */
            if (args->cmd->pass_rest && args->n_pos > 0)
                args->rest[args->n_rest++] = word;
            else
                args->pos[args->n_pos++] = word;
            continue;
        }
        if (!strcmp(word, "--")) {
            ended = true;
            continue;
        }
        if ((!strcmp(word, "--help") || !strcmp(word, "-h")) && args->n_rest == 0) {
            *help = true;
            return EXIT_done;
        }
        o = find_option(args, word, &value);
        if (!o && args->cmd->pass_rest && args->n_pos > 0) {
            args->rest[args->n_rest++] = word;
            continue;
        }
        if (!o)
            return unknown_option(args, word);
        if (o->arg && !value) {
            if (i + 1 == argc)
                return usage_error(args, "%s: %s needs a value: %s", args->cmd->name, o->name,
                                   o->arg);
            value = argv[++i];
        }
        status = take_option(args, o, value ? value : "");
        if (status)
            return status;
    }
    return EXIT_done;
}

static int run_command(Arena *a, Diag *d, FileSet *fs, const Command *c, int argc, char **argv)
{
    Args args = { .a = a, .d = d, .fs = fs, .cmd = c, .build = build_options_default() };
    bool help = false;
    int status;

    args.pos = ARENA_ARRAY(a, const char *, argc + 1);
    args.rest = ARENA_ARRAY(a, const char *, argc + 1);
    args.given = ARENA_ARRAY(a, const Option *, argc + 1);
    args.value = ARENA_ARRAY(a, const char *, argc + 1);
    if (!c->run) {
        for (int i = 0; i < argc; i++)
            if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
                print_command(stdout, c);
                return EXIT_done;
            }
        fail(d, NOWHERE, "`sinter %s` is not there yet in this version", c->name);
        return EXIT_failed;
    }
    status = read_args(&args, argc, argv, &help);
    if (status)
        return status;
    if (help) {
        print_command(stdout, c);
        return EXIT_done;
    }
    if (args.n_pos < c->min_pos)
        return usage_error(&args, "%s: too few arguments; it takes %s", c->name, c->usage);
    if (c->max_pos >= 0 && args.n_pos > c->max_pos)
        return usage_error(&args, "%s: unexpected argument '%s'", c->name, args.pos[c->max_pos]);
    return c->run(&args);
}

/* ---- commands ---------------------------------------------------------------------------------------------------------- */

static int unknown_command(Arena *a, Diag *d, const char *name)
{
    const char *near = nearest_command(a, name);

    fail(d, NOWHERE, "there is no command '%s'%s%s%s (`sinter help` lists them)", name,
         near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    return EXIT_usage;
}

int cmd_help(Args *args)
{
    const Command *c;

    if (!args->n_pos) {
        print_overview(stdout);
        return EXIT_done;
    }
    c = find_command(args->pos[0]);
    if (!c)
        return unknown_command(args->a, args->d, args->pos[0]);
    print_command(stdout, c);
    return EXIT_done;
}

int command_run(Arena *a, Diag *d, FileSet *fs, int argc, char **argv)
{
    const Command *c;

    if (argc < 2) {
        print_overview(stderr);
        return EXIT_usage;
    }
    if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
        printf("sinter %s\n", SINTER_VERSION);
        return EXIT_done;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
        print_overview(stdout);
        return EXIT_done;
    }
    c = find_command(argv[1]);
    return c ? run_command(a, d, fs, c, argc - 2, argv + 2) : unknown_command(a, d, argv[1]);
}
