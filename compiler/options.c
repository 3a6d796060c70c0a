/* The options of a build, as one table: the command line, sinter.yaml and --help read the same
 * rows. */
#include "compiler/cmd.h"
#include "compiler/passes/passes.h"
#include "compiler/yaml.h"

#include "codegen/emit.h"

BuildOptions build_options_default(void)
{
    return (BuildOptions){ .target = "native", .act_decode = ACT_q8, .act_prefill = ACT_q8,
                           .kv = format_find(STR("f16")), .emit = "c" };
}

/* ---- names ----------------------------------------------------------------------------------------------------------- */

/* What the emitted folder holds or its Makefile builds under a name of its own, and prefixes of
 * libc's functions (pthread_cancel, sem_open, mq_close, shm_open). */
static const char *const taken_names[] = { "main",     "runtime", "text",    "kernels",  "kernel",
                                           "Makefile", "all",     "clean",   "install",  "test",
                                           "check",    "lib",     "report",  "manifest", "NAME",
                                           "sn",       "SN",      "weights", "pthread",  "sem",
                                           "mq",       "shm",     NULL };

static bool is_taken(const char *name)
{
    if (!strncmp(name, "kernels_", 8)) /* kernels_TARGET.h */
        return true;
    for (int i = 0; taken_names[i]; i++)
        if (!strcmp(taken_names[i], name))
            return true;
    return false;
}

static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }

const char *bad_build_name(const char *name)
{
    if (!is_letter(name[0]))
        return "must begin with a letter";
    for (const char *p = name; *p; p++)
        if (!is_letter(*p) && !is_digit(*p) && *p != '_')
            return "must consist of letters, digits and '_' (it is the prefix of every C name)";
    if (strlen(name) > 48)
        return "is too long (at most 48 letters)";
    if (is_taken(name))
        return "is a name that the emitted folder or libc needs for itself";
    if (!is_c_ident(str_of(name)))
        return "is a word of C (it is the prefix of every C name)";
    return NULL;
}

/* The last component of a path without its extension. */
static Str stem(const char *path)
{
    Str s = str_of(path_base(path));

    for (size_t i = s.n; i > 1; i--)
        if (s.p[i - 1] == '.')
            return (Str){ s.p, i - 1 };
    return s;
}

const char *build_out(Arena *a, const BuildOptions *o)
{
    Str s;

    if (o->out)
        return o->out;
    s = stem(o->model);
    if (!s.n || str_is(s, ".") || str_is(s, ".."))
        return "./model";
    return str_printf(a, "./%.*s", STR_ARG(s));
}

const char *build_name(Arena *a, const BuildOptions *o)
{
    const char *out = build_out(a, o);
    Str s;
    Buf b = buf_in(a);

    if (o->name)
        return o->name;
    s = str_of(out);
    while (s.n > 1 && s.p[s.n - 1] == '/')
        s.n--;
    s = str_of(path_base(str_printf(a, "%.*s", STR_ARG(s))));
    for (size_t i = 0; i < s.n && b.n < 40; i++) {
        bool good = is_letter(s.p[i]) || is_digit(s.p[i]);

        if (b.n == 0 && !is_letter(s.p[i])) {
            if (!is_digit(s.p[i]))
                continue;                                    /* no name begins with '_' */
            buf_putc(&b, 'm');
        }
        buf_putc(&b, good ? s.p[i] : '_');
    }
    if (!b.n)
        buf_puts(&b, "model");
    if (is_taken(buf_z(&b)) || !is_c_ident(buf_str(&b)))
        buf_puts(&b, "_model");
    return buf_z(&b);
}

/* ---- setters --------------------------------------------------------------------------------------------------------- */

#define SETTER(fn) static SetResult fn(BuildOptions *b, Arena *a, const char *value, const char **why)

static SetResult bad(const char **why, const char *text)
{
    *why = text;
    return SET_bad;
}

static SetResult later(const char **why, const char *text)
{
    *why = text;
    return SET_later;
}

static bool is_one_of(const char *value, const char *const *names)
{
    for (; *names; names++)
        if (!strcmp(value, *names))
            return true;
    return false;
}

/* Names are checked here, so that a slip of the pen is wrong usage; what a file says is checked
 * when it is read. */
SETTER(set_target)
{
    const char *const *known = target_names(a);
    const char **all;
    int n = 0;

    while (known[n])
        n++;
    all = ARENA_ARRAY(a, const char *, n + 2);
    memcpy(all, known, (size_t)n * sizeof *all);
    all[n] = "native";
    for (const char *p = value;; p++) {
        size_t len = strcspn(p, ",");
        const char *name = str_printf(a, "%.*s", (int)len, p), *near;

        if (!is_one_of(name, all) && !strchr(name, '/') && !str_ends(str_of(name), ".yaml")) {
            near = str_nearest(str_of(name), all);
            return bad(why,
                       str_printf(a, "there is no target '%s'%s%s%s; `sinter targets` lists them",
                                  name, near ? " (did you mean '" : "", near ? near : "",
                                  near ? "'?)" : ""));
        }
        p += len;
        if (!*p)
            break;
    }
    b->target = value;
    return SET_ok;
}

SETTER(set_fuse)
{
    unsigned set;
    Str wrong;

    if (!fuse_parse(str_of(value), &set, &wrong)) {
        const char *near = str_nearest(wrong.n && *wrong.p == '-' ? (Str){ wrong.p + 1, wrong.n - 1 }
                                                                 : wrong, fuse_names());

        return bad(why, str_printf(a, "takes default, none, or names out of prologue, epilogue, siblings, "
                                      "rows, each with a - to switch it off%s%s%s",
                                   near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : ""));
    }
    b->fuse = fuse_text(a, set);
    b->given.fuse = true;
    return SET_ok;
}
SETTER(set_link) { (void)a; (void)value; (void)why; b->link_weights = true; return SET_ok; }
SETTER(set_dry) { (void)a; (void)value; (void)why; b->dry_run = true; return SET_ok; }
SETTER(set_verbose) { (void)a; (void)value; (void)why; b->verbose = true; return SET_ok; }
SETTER(set_depfile)
{
    (void)a;
    (void)value;
    (void)why;
    b->depfile = b->depfile ? b->depfile : "";
    return SET_ok;
}

SETTER(set_depfile_name)
{
    (void)a;
    if (!*value)
        return bad(why, "needs a file name");
    b->depfile = value;
    return SET_ok;
}

SETTER(set_out)
{
    (void)a;
    if (!*value)
        return bad(why, "needs a folder's name");
    b->out = value;
    return SET_ok;
}

SETTER(set_name)
{
    (void)a;
    *why = bad_build_name(value);
    if (*why)
        return SET_bad;
    b->name = value;
    return SET_ok;
}

static SetResult parse_act(Str s, Act *out, const char **why)
{
    if (str_is(s, "f32"))
        *out = ACT_f32;
    else if (str_is(s, "q8"))
        *out = ACT_q8;
    else if (str_is(s, "i8"))
        *out = ACT_i8;
    else if (str_is(s, "bf16"))
        return later(why, "bf16 activations are not there yet in this version (f32, q8 and i8 are)");
    else
        return bad(why, "takes f32 or q8, or prefill=X,decode=Y, where X may be i8");
    return SET_ok;
}

SETTER(set_act)
{
    Act act = ACT_q8;
    SetResult r;

    (void)a;
    if (!strchr(value, '=')) {
        r = parse_act(str_of(value), &act, why);
        if (r == SET_ok && act == ACT_i8)
            return bad(why, "i8 is for prompts: say prefill=i8 (one token computes with q8 or f32)");
        if (r == SET_ok)
            b->act_decode = b->act_prefill = act;
        b->given.act_decode = b->given.act_prefill = r == SET_ok;
        return r;
    }
    for (const char *p = value;; p++) {
        size_t n = strcspn(p, ",");
        Str part = { p, n };
        size_t key = str_begins(part, "prefill=") ? 8 : str_begins(part, "decode=") ? 7 : 0;

        if (!key)
            return bad(why, "takes f32 or q8, or prefill=X,decode=Y, where X may be i8");
        r = parse_act((Str){ p + key, n - key }, &act, why);
        if (r != SET_ok)
            return r;
        if (act == ACT_i8 && key != 8)
            return bad(why, "i8 is for prompts: decode takes f32 or q8");
        *(key == 8 ? &b->act_prefill : &b->act_decode) = act;
        *(key == 8 ? &b->given.act_prefill : &b->given.act_decode) = true;
        p += n;
        if (!*p)
            return SET_ok;
    }
}

SETTER(set_kv)
{
    (void)a;
    if (!strcmp(value, "q8") || !strcmp(value, "q4"))
        return later(why,
                     "quantized KV caches are not there yet in this version (f16 and f32 are)");
    if (strcmp(value, "f16") && strcmp(value, "f32"))
        return bad(why, "takes f16 or f32");
    b->kv = format_find(str_of(value));
    b->given.kv = true;
    return SET_ok;
}

SETTER(set_quant)
{
    (void)a;
    if (strcmp(value, "q8_0") && strcmp(value, "q4_0"))
        return bad(why, "takes q8_0 or q4_0");
    b->quant = format_find(str_of(value));
    return SET_ok;
}

SETTER(set_exact) { (void)a; (void)value; (void)why; b->exact = true; return SET_ok; }

SETTER(set_ctx)
{
    int64_t n;

    (void)a;
    if (!str_to_i64(str_of(value), &n) || n < 1 || n > INT32_MAX)
        return bad(why, "takes a number of positions, 1 or more");
    b->ctx = n;
    return SET_ok;
}

SETTER(set_batch)
{
    int64_t n;

    (void)a;
    if (!str_to_i64(str_of(value), &n) || n < 1 || n > 4096)
        return bad(why, "takes a number of tokens, 1 to 4096");
    b->batch = n;
    return SET_ok;
}

SETTER(set_emit)
{
    static const char *const now[] = { "c", "ir", NULL }, *const then[] = { "opencl", "metal",
                                                                            NULL };

    (void)a;
    if (is_one_of(value, then))
        return later(why, "opencl and metal are not there yet in this version (c and ir are)");
    if (!is_one_of(value, now))
        return bad(why, "takes c or ir");
    b->emit = value;
    return SET_ok;
}

SETTER(set_spec)
{
    (void)a;
    if (strcmp(value, "none") && strcmp(value, "lookup"))
        return bad(why, "takes none or lookup");
    b->spec = value;
    return SET_ok;
}

SETTER(set_head)
{
    (void)a;
    if (strcmp(value, "full") && strcmp(value, "two-stage"))
        return bad(why, "takes full or two-stage");
    b->head = value;
    return SET_ok;
}

SETTER(set_project)
{
    static const char *const kinds[] = { "plain", "cmake", "arduino", "zephyr", NULL };

    (void)a;
    if (!is_one_of(value, kinds))
        return bad(why, "takes plain, cmake, arduino or zephyr");
    b->project = value;
    return SET_ok;
}

SETTER(set_place)
{
    (void)a;
    (void)why;
    b->place = value;
    return SET_ok;
}

SETTER(set_print_after)
{
    const char *names[64];
    const char *near;
    int n = 0;

    for (const Pass *p = pass_table; p->name && n < 62; p++)
        names[n++] = p->name;
    names[n++] = "all";
    names[n] = NULL;
    if (is_one_of(value, names)) {
        b->print_after = value;
        return SET_ok;
    }
    near = str_nearest(str_of(value), names);
    return bad(why,
               str_printf(a, "there is no pass '%s'%s%s%s", str_show(a, str_of(value), 40),
                          near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : ""));
}

static SetResult parse_size(const char *value, uint64_t *out, const char **why)
{
    if (!size_parse(str_of(value), out) || !*out)
        return bad(
            why,
            "takes a size in bytes (a whole number; K, M or G may follow: 1024, 1024^2, 1024^3)");
    return SET_ok;
}

SETTER(set_max_ram) { (void)a; return parse_size(value, &b->max_ram, why); }
SETTER(set_max_flash) { (void)a; return parse_size(value, &b->max_flash, why); }

/* ---- the table ------------------------------------------------------------------------------------------------------- */

#define ROW_TARGET { "--target", 't', "TARGET", "native", "chip, set of chips (a,b) or FILE.yaml; see `sinter targets`", set_target, false }
#define ROW_ACT { "--act", 0, "SPEC", "q8", "activations: f32, q8, or prefill=X,decode=Y (X may be i8)", set_act, false }
#define ROW_KV { "--kv", 0, "FORMAT", "f16", "KV cache: f16 or f32", set_kv, false }
#define ROW_FUSE { "--fuse", 0, "SPEC", "default", "what becomes one stage: prologue, epilogue, siblings, rows; none; -NAME: all but that", set_fuse, false }
#define ROW_LINK { "--link-weights", 0, NULL, NULL, "put the weights into the executable", set_link, false }
#define ROW_VERBOSE { "--verbose", 'v', NULL, NULL, "say each step, also in a log", set_verbose, false }
#define ROW_QUANT { "--quant", 0, "FORMAT", "as they are", "round the weights: q8_0 or q4_0", set_quant, false }
#define ROW_PRUNE { "--prune", 0, "SPEC", NULL, "leave out layers, heads or neurons", NULL, true }
#define ROW_EXACT { "--exact", 0, NULL, NULL, "only the portable order of sums: the same tokens on every chip", set_exact, false }
#define ROW_END { NULL, 0, NULL, NULL, NULL, NULL, false }

const Option build_option_table[] = {
    ROW_TARGET,
    { "--out", 'o', "DIR", "./STEM of the model", "the folder to write (FILE.sir, or - , with --emit ir)", set_out, false },
    { "--name", 0, "NAME", "from DIR", "prefix of every C name, and the program's name", set_name, false },
    { "--file", 'f', "YAML", NULL, "read model, targets, options and budgets from a sinter.yaml", NULL, false },
    ROW_ACT, ROW_KV, ROW_FUSE,
    { "--ctx", 0, "N", "the model's", "most positions that a session may have", set_ctx, false },
    { "--batch", 0, "N", "256, on microcontrollers 8", "most tokens of a prompt that are computed at a time", set_batch, false },
    { "--emit", 0, "WHAT", "c", "c, or ir (the Module as text)", set_emit, false },
    ROW_LINK,
    { "--project", 0, "KIND", "plain", "plain or cmake (both files are always there), arduino, zephyr", set_project, false },
    { "--place", 0, "PLAN", NULL, "boards: STAGE=REGION, hot=REGION, weights=REGION, memory=REGION, with commas", set_place, false },
    { "--spec", 0, "SPEC", NULL, "lookup: the program guesses unless told not to; none: it cannot (else: if told to)", set_spec, false },
    { "--head", 0, "HOW", "full", "two-stage: only rows of the head that may win are read whole; full: all", set_head, false },
    { "--max-ram", 0, "SIZE", NULL, "exit 3 if a session with one thread needs more", set_max_ram, false },
    { "--max-flash", 0, "SIZE", NULL, "exit 3 if the weights file is longer", set_max_flash, false },
    { "--dry-run", 0, NULL, NULL, "print the sizes, write nothing", set_dry, false },
    { "--print-after", 0, "PASS", NULL, "print the Module after a pass, or after all", set_print_after, false },
    { "-MD", 0, NULL, NULL, "write a depfile for make: DIR.d", set_depfile, false },
    { "-MF", 0, "FILE", NULL, "the depfile's name; implies -MD", set_depfile_name, false },
    ROW_VERBOSE, ROW_QUANT, ROW_PRUNE, ROW_EXACT,
    { "--kernels", 0, "DIR", NULL, "kernels of your own", NULL, true },
    { "--calib-data", 0, "FILE", NULL, "what calibration found, kept", NULL, true },
    ROW_END,
};

const Option run_option_table[] = {
    ROW_TARGET, ROW_ACT, ROW_KV, ROW_FUSE, ROW_VERBOSE, ROW_QUANT, ROW_PRUNE, ROW_EXACT, ROW_END,
};

#define ROW_JSON { "--json", 0, NULL, NULL, "as JSON, for programs", NULL, false }

const Option inspect_option_table[] = {
    { "--tensors", 0, NULL, NULL, "every tensor, not only the sums by format", NULL, false },
    { "--ir", 0, NULL, NULL, "the Module as text, before any pass", NULL, false },
    { "--dot", 0, NULL, NULL, "the graph, for Graphviz", NULL, true },
    ROW_JSON, ROW_END,
};

const Option opt_option_table[] = {
    { "--pass", 0, "NAME", NULL, "the pass to run; without it the Module is only checked and printed", NULL, false },
    ROW_TARGET, ROW_ACT, ROW_KV, ROW_FUSE, ROW_QUANT, ROW_EXACT,
    { "--print-after", 0, "PASS", NULL, "print the Module after a pass, or after all", set_print_after, false },
    ROW_END,
};

const Option verify_option_table[] = {
    { "--ids", 0, "IDS", "made from the model", "token ids to run: 1,2,3", NULL, false },
    { "--tokens", 0, "N", "8", "how many, where --ids does not say", NULL, false },
    ROW_JSON, ROW_VERBOSE, ROW_END,
};

const Option bench_option_table[] = {
    { "--runs", 0, "N", "5", "how often; the median is printed", NULL, false },
    { "--prompt", 0, "N", "128", "tokens of the prompt", NULL, false },
    { "--gen", 'n', "N", "64", "tokens to generate", NULL, false },
    { "--threads", 'j', "N", "the program's", "threads", NULL, false },
    ROW_JSON, ROW_VERBOSE, ROW_END,
};

const Option targets_option_table[] = {
    { "--calibrate", 0, NULL, NULL, "measure this machine and print its YAML (a minute; needs a C compiler)", NULL, false },
    { "--quick", 0, NULL, NULL, "with --calibrate: in seconds, and not to be relied on", NULL, false },
    ROW_JSON, ROW_END,
};

const Option explain_option_table[] = { ROW_JSON, ROW_END };

const Option no_option_table[] = { ROW_END };
