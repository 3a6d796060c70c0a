/* If these fail, a mistake in a target's or a project's YAML is not reported where it is, or a
 * build is made for the wrong chip. */
#include "tests/unit/test.h"

#include <stdlib.h>
#include <unistd.h>

#include "compiler/cmd.h"
#include "compiler/yaml.h"

static int setup(void **state)
{
    *state = arena_new(NULL);
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    arena_free(*state);
    return 0;
}

static const char *error_of(Arena *a, const char *yaml)
{
    Diag *d = diag_new(a, NULL);

    assert_null(target_parse(a, d, "t.yaml", str_of(yaml)));
    assert_true(diag_n_errors(d) > 0);
    return str_z(a, diag_text(d));
}

static void assert_says(const char *text, const char *part)
{
    if (!strstr(text, part)) {
        print_error("'%s' is not in: %s\n", part, text);
        assert_true(false);
    }
}

static void every_known_target_is_complete(void **state)
{
    Arena *a = *state;
    Diag *d = diag_new(a, stderr);
    FileSet *fs = files_new();
    const char *const *names = target_names(a);
    int n = 0;

    for (; names[n]; n++) {
        const Target *t = target_load(fs, a, d, names[n]);

        assert_non_null(t);
        assert_string_equal(t->name, names[n]);
        assert_true(*t->help && *t->cc && *t->tested);
        if (strcmp(t->family, "cortex-m") && strcmp(t->family, "riscv32"))  /* which have fast memory instead, or small caches */
            assert_true(t->l1d_bytes > 0 && t->l2_bytes > 0 && t->llc_bytes > 0);
        else
            assert_true(*t->machine);
        assert_null(strstr(t->cflags, "fast-math"));
        assert_null(strstr(t->cflags, "-march=x86"));         /* features are named, not CPUs */
        assert_non_null(strstr(t->cflags, "-ffp-contract=off"));
        assert_int_equal(t->portable_only, !strcmp(t->isa[0], "portable"));
        if (n)
            assert_true(strcmp(names[n - 1], names[n]) < 0);
    }
    assert_true(n >= 7);
    files_close(fs);
}

static void printed_targets_read_back(void **state)
{
    Arena *a = *state;
    Diag *d = diag_new(a, stderr);
    FileSet *fs = files_new();
    const char *const *names = target_names(a);

    for (int i = 0; names[i]; i++) {
        Buf once = buf_in(a), twice = buf_in(a);
        const Target *t;

        target_print(&once, target_load(fs, a, d, names[i]));
        t = target_parse(a, d, "printed", buf_str(&once));
        assert_non_null(t);
        target_print(&twice, t);
        assert_true(str_eq(buf_str(&once), buf_str(&twice)));
    }
    files_close(fs);
}

static void native_is_a_known_target_that_this_machine_satisfies(void **state)
{
    Arena *a = *state;
    const Target *t = target_native(a, diag_new(a, stderr));

    assert_non_null(t);
    assert_string_equal(t->name, "native");
    assert_non_null(t->base);
    assert_true(!strcmp(t->family, target_host_family()) || !strcmp(t->family, "portable"));
    for (int i = 0; t->features[i]; i++)
        assert_true(target_host_has(t->features[i]));
    assert_false(target_host_has("no-such-feature"));
}

static void mistakes_are_reported_where_they_are(void **state)
{
    Arena *a = *state;

    assert_says(error_of(a, "name: x\nfamly: x86_64\n"),
                "t.yaml:2:1: unknown key 'famly' (did you mean 'family'?)");
    assert_says(error_of(a, "name: x\n"), "the key 'family' is missing");
    assert_says(error_of(a, "name: x\nfamily: x86_65\nisa: [portable]\n"),
                "t.yaml:2:9: unknown family 'x86_65'");
    assert_says(error_of(a, "name: x\nfamily: x86_64\n"), "the key 'isa' is missing");
    assert_says(error_of(a, "name: x\nfamily: x86_64\nisa: [avx3, portable]\n"),
                "t.yaml:3:7: 'avx3' is not a kernel set");
    assert_says(error_of(a, "name: x\nfamily: x86_64\nisa: [neon, portable]\n"),
                "'neon' is not a kernel set of family x86_64");
    assert_says(error_of(a, "name: x\nfamily: x86_64\nisa: [avx2]\n"), "must end with 'portable'");
    assert_says(error_of(a, "name: x\nfamily: x86_64\nisa: portable\n"), "'isa' must be a list");
    assert_says(error_of(a, "name: x\nfamily: x86_64\nisa: [portable]\nfeatures: [axv2]\n"),
                "'axv2' is not a feature");
    assert_says(error_of(a, "name: x/y\nfamily: portable\nisa: [portable]\n"),
                "t.yaml:1:7: a target's name");
    assert_says(error_of(a, "name: x\nfamily: portable\nisa: [portable]\ncache: {l1d: many}\n"),
                "t.yaml:4:14: 'l1d' must be");
    assert_says(error_of(a, "name: x\nfamily: portable\nisa: [portable]\ncache: {l9: 1}\n"),
                "unknown key 'l9'");
    assert_says(error_of(a, "name: x\nfamily: portable\nisa: [portable]\nthreads: -1\n"),
                "'threads' must be a whole number");
    assert_says(error_of(a, "name: x\nfamily: portable\nisa: [portable]\ncc: \"a\\nb\"\n"),
                "printable ASCII");
    assert_says(error_of(a, "name: x\nname: y\n"),
                "t.yaml:2:1: the key 'name' occurs twice (first in line 1)");
    assert_says(error_of(a, "a: [1\n"), "t.yaml:");
    assert_says(error_of(a, ""), "the file is empty");
    assert_says(error_of(a, "- a\n"), "a mapping is expected");
    assert_says(error_of(a, "a: b\n---\nc: d\n"), "a second document");
    assert_says(error_of(a, "? [x]\n: y\n"), "a key must be plain text");
    assert_says(error_of(a, "name: &a [*a]\nfamily: portable\nisa: [portable]\n"),
                "'name' must be a text");
}

/* Where something lies on a board. */
static const char *region_of(const Board *b, const char *thing)
{
    const char *found = "";
    int n = 0;

    for (int i = 0; i < b->n_region; i++)
        for (int k = 0; b->region[i].holds[k]; k++)
            if (!strcmp(b->region[i].holds[k], thing)) {
                found = b->region[i].name;
                n++;
            }
    assert_int_equal(n, 1);
    return found;
}

#define CHIP "name: x\nfamily: cortex-m\nisa: [portable]\nboard:\n"
#define CODE "    - {name: code, base: 0x0, bytes: 64K, kind: flash, holds: [code]}\n"
#define DATA "    - {name: ram, base: 0x20000000, bytes: 16K, kind: ram, holds: [data]}\n"

static void regions_of_a_board_hold_everything_once(void **state)
{
    Arena *a = *state;
    const Target *t = target_parse(a, diag_new(a, stderr), "t.yaml", STR(CHIP "  regions:\n" CODE DATA
        "    - {name: qspi, base: 0x90000000, bytes: 8M, kind: external, holds: [weights]}\n  header: [0xffffffff, 1]\n"));

    assert_non_null(t);
    assert_non_null(t->board);
    assert_int_equal(t->board->n_region, 3);
    assert_string_equal(region_of(t->board, "start"), "code");
    assert_string_equal(region_of(t->board, "constants"), "code");
    assert_string_equal(region_of(t->board, "weights"), "qspi");
    assert_string_equal(region_of(t->board, "stack"), "ram");
    assert_int_equal(t->board->region[2].base, 0x90000000u);
    assert_int_equal(t->board->region[2].bytes, 8 << 20);
    assert_int_equal(t->board->n_header, 2);
    assert_true(t->board->header[0] == 0xffffffff);
    assert_string_equal(t->board->data, "copied");
}

static void mistakes_of_boards_are_reported_where_they_are(void **state)
{
    Arena *a = *state;

    assert_says(error_of(a, CHIP "  - a\n"), "'board' must be a mapping");
    assert_says(error_of(a, CHIP "  region: []\n"), "t.yaml:5:3: unknown key 'region' (did you mean 'regions'?)");
    assert_says(error_of(a, CHIP "  data: copied\n"), "a list 'regions'");
    assert_says(error_of(a, CHIP "  regions:\n" CODE), "one must hold data");
    assert_says(error_of(a, CHIP "  regions:\n" DATA), "one region must hold code");
    assert_says(error_of(a, CHIP "  regions:\n" CODE DATA CODE), "t.yaml:8:7: two regions are called 'code'");
    assert_says(error_of(a, CHIP "  regions:\n" CODE DATA "    - {name: b, base: 0xffff, bytes: 1K, kind: ram}\n"),
                "t.yaml:8:7: region 'b' overlaps 'code'");
    assert_says(error_of(a, CHIP "  regions:\n" CODE DATA "    - {name: b, base: 0x10000, bytes: 1K, kind: rum}\n"),
                "'kind' must be flash, ram or external");
    assert_says(error_of(a, CHIP "  regions:\n" CODE DATA "    - {name: b, base: 0x10000, bytes: 1K, kind: ram, holds: [heap]}\n"),
                "t.yaml:8:62: 'holds' lists start");
    assert_says(error_of(a, CHIP "  regions:\n" CODE DATA "    - {name: b, base: 0x10000, bytes: 1K, kind: ram, holds: [data]}\n"),
                "'data' is already held by another region");
    assert_says(error_of(a, CHIP "  regions:\n" CODE DATA "    - {name: b, base: 0x10000, bytes: 1K, kind: flash, holds: [stack]}\n"),
                "data and stack lie in a region of kind ram");
    assert_says(error_of(a, CHIP "  regions:\n" CODE DATA "    - {name: B-1, base: 0x10000, bytes: 1K, kind: ram}\n"),
                "a region's name is made of small letters");
    assert_says(error_of(a, CHIP "  regions:\n" CODE DATA "    - {name: b, base: 0xfffff000, bytes: 8K, kind: ram}\n"),
                "a region lies within 4 GiB");
    assert_says(error_of(a, CHIP "  regions:\n" CODE DATA "  header: [0x100000000]\n"), "'header' must be a whole number");
    assert_says(error_of(a, CHIP "  regions:\n" CODE DATA "  data: moved\n"), "'data' must be copied or loaded");
}

static void a_board_is_no_member_of_a_set(void **state)
{
    Arena *a = *state;
    Diag *d = diag_new(a, NULL);
    FileSet *fs = files_new();
    const Target *t[4];

    assert_int_equal(target_load_set(fs, a, d, "cortex-m4f,mps2-an386", t, 4), 0);
    assert_says(str_z(a, diag_text(d)), "'mps2-an386' is a board");
    assert_int_equal(target_load_set(fs, a, d, "mps2-an386", t, 4), 1);
    files_close(fs);
}

static void tuning_is_read_within_bounds(void **state)
{
#define TUNED(keys) "name: x\nfamily: portable\nisa: [portable]\ntuning: {" keys "}\n"
    Arena *a = *state;
    const Target *t = target_parse(a, diag_new(a, stderr), "t.yaml", STR("name: x\nfamily: portable\nisa: [portable]\n"));

    assert_non_null(t);
    assert_int_equal(t->tuning.prefetch, 8192);
    assert_int_equal(t->tuning.chunk, 16384);
    assert_int_equal(t->tuning.span, 128);
    assert_int_equal(t->tuning.tokens, 32);
    t = target_parse(a, diag_new(a, stderr), "t.yaml", STR(TUNED("prefetch: 0, chunk: 16M, span: 1K, tokens: 4096")));
    assert_non_null(t);
    assert_int_equal(t->tuning.prefetch, 0);
    assert_int_equal(t->tuning.chunk, 16 << 20);
    assert_int_equal(t->tuning.span, 1024);
    assert_int_equal(t->tuning.tokens, 4096);
    assert_says(error_of(a, TUNED("prefetch: 100")), "t.yaml:4:20: 'prefetch' must be a multiple of 64 from 0 to 1048576");
    assert_says(error_of(a, TUNED("prefetch: 2M")), "'prefetch' must be a multiple of 64");
    assert_says(error_of(a, TUNED("prefetch: -64")), "'prefetch' must be a size");
    assert_says(error_of(a, TUNED("chunk: 0")), "'chunk' must be a multiple of 1024 from 1024");
    assert_says(error_of(a, TUNED("chunk: 17179869185G")), "'chunk' must be");
    assert_says(error_of(a, TUNED("span: 0")), "'span' must be a multiple of 16 from 16 to 1024");
    assert_says(error_of(a, TUNED("span: 120")), "'span' must be a multiple of 16");
    assert_says(error_of(a, TUNED("span: 1040")), "'span' must be a multiple of 16");
    assert_says(error_of(a, TUNED("tokens: 0")), "'tokens' must be a multiple of 1 from 1 to 4096");
    assert_says(error_of(a, TUNED("tokens: [8]")), "'tokens' must be a size");
    assert_says(error_of(a, TUNED("cunk: 16K")), "unknown key 'cunk' (did you mean 'chunk'?)");
    assert_says(error_of(a, "name: x\nfamily: portable\nisa: [portable]\ntuning: fast\n"), "'tuning' must be a mapping");
#undef TUNED
}

static void sets_are_of_one_family(void **state)
{
    Arena *a = *state;
    FileSet *fs = files_new();
    Diag *d = diag_new(a, NULL);
    const Target *t[2];

    assert_int_equal(target_load_set(fs, a, d, "x86_64-v3,x86_64-v4", t, 2), 2);
    assert_string_equal(t[0]->name, "x86_64-v4");           /* the best first, in whatever order they are named */
    assert_string_equal(t[1]->name, "x86_64-v3");
    assert_int_equal(target_load_set(fs, a, d, "x86_64-v4,x86_64-v4-amx", t, 2), 2);
    assert_string_equal(t[0]->name, "x86_64-v4-amx");
    assert_int_equal(target_load_set(fs, a, d, "x86_64-v3,aarch64", t, 2), 0);
    assert_int_equal(target_load_set(fs, a, d, "aarch64,aarch64", t, 2), 0);
    assert_int_equal(target_load_set(fs, a, d, "x86_64,x86_64-v3,x86_64-v4", t, 2), 0);
    assert_int_equal(target_load_set(fs, a, d, "x86_64,", t, 2), 0);
    assert_int_equal(target_load_set(fs, a, d, "no-such.yaml", t, 2), 0);
    assert_says(str_z(a, diag_text(d)), "are of different families");
    assert_says(str_z(a, diag_text(d)), "named twice");
    assert_says(str_z(a, diag_text(d)), "too many targets");
    files_close(fs);
}

static void sizes_have_units(void **state)
{
    uint64_t v;

    (void)state;
    assert_true(size_parse(STR("12"), &v) && v == 12);
    assert_true(size_parse(STR("3K"), &v) && v == 3072);
    assert_true(size_parse(STR("2M"), &v) && v == 2 << 20);
    assert_true(size_parse(STR("1g"), &v) && v == 1 << 30);
    assert_false(size_parse(STR("K"), &v));
    assert_false(size_parse(STR("-1"), &v));
    assert_false(size_parse(STR("1T"), &v));
    assert_false(size_parse(STR("99999999999G"), &v));
}

static void set_option(Arena *a, BuildOptions *o, const char *name, const char *value,
                       SetResult want)
{
    const char *why = NULL;

    for (const Option *x = build_option_table; x->name; x++)
        if (!strcmp(x->name, name)) {
            assert_int_equal(x->set(o, a, value, &why), want);
            assert_true((want == SET_ok) == (why == NULL));
            return;
        }
    print_error("there is no option %s\n", name);
    assert_true(false);
}

static void options_are_set_or_refused(void **state)
{
    Arena *a = *state;
    BuildOptions o = build_options_default();

    set_option(a, &o, "--act", "prefill=f32,decode=q8", SET_ok);
    assert_true(o.act_prefill == ACT_f32 && o.act_decode == ACT_q8);
    set_option(a, &o, "--act", "prefill=q8,decode=f32", SET_ok);
    assert_true(o.act_prefill == ACT_q8 && o.act_decode == ACT_f32);
    set_option(a, &o, "--act", "f32", SET_ok);
    assert_true(o.act_prefill == ACT_f32 && o.act_decode == ACT_f32);
    set_option(a, &o, "--act", "prefill=i8", SET_ok);
    assert_true(o.act_prefill == ACT_i8 && o.act_decode == ACT_f32);
    set_option(a, &o, "--act", "prefill=i8,decode=q8", SET_ok);
    assert_true(o.act_prefill == ACT_i8 && o.act_decode == ACT_q8);
    set_option(a, &o, "--act", "i8", SET_bad);              /* one token has no use for panels */
    set_option(a, &o, "--act", "decode=i8", SET_bad);
    set_option(a, &o, "--act", "bf16", SET_later);
    set_option(a, &o, "--act", "prefill=q8,", SET_bad);
    set_option(a, &o, "--act", "", SET_bad);
    set_option(a, &o, "--kv", "f32", SET_ok);
    assert_string_equal(o.kv->name, "f32");
    set_option(a, &o, "--kv", "q8", SET_later);
    set_option(a, &o, "--kv", "f64", SET_bad);
    set_option(a, &o, "--ctx", "0", SET_bad);
    set_option(a, &o, "--ctx", "64", SET_ok);
    assert_int_equal(o.ctx, 64);
    set_option(a, &o, "--emit", "opencl", SET_later);
    set_option(a, &o, "--emit", "rust", SET_bad);
    set_option(a, &o, "--spec", "lookup", SET_ok);
    assert_string_equal(o.spec, "lookup");
    set_option(a, &o, "--spec", "none", SET_ok);
    assert_string_equal(o.spec, "none");
    set_option(a, &o, "--spec", "draft", SET_bad);
    set_option(a, &o, "--project", "zephyr", SET_ok);
    set_option(a, &o, "--project", "esp-idf", SET_bad);
    set_option(a, &o, "--print-after", "fuze", SET_bad);
    set_option(a, &o, "--print-after", "fuse", SET_ok);
    set_option(a, &o, "--max-ram", "64M", SET_ok);
    assert_int_equal(o.max_ram, 64 << 20);
    set_option(a, &o, "--max-flash", "0", SET_bad);
    set_option(a, &o, "--name", "main", SET_bad);
    set_option(a, &o, "--name", "1x", SET_bad);
    set_option(a, &o, "--target", "x86_64-v3,boards/mine.yaml", SET_ok);
    set_option(a, &o, "--target", "x86_64-v9", SET_bad);
}

static void folders_give_names(void **state)
{
    static const struct { const char *model, *out, *name; } row[] = {
        { "m/Smol-LM.2.gguf", NULL, "Smol_LM_2" }, { "x.gguf", "build/chat/", "chat" }, { "x.gguf", "3d", "m3d" },
        { "x.gguf", "main", "main_model" },        { "x.gguf", "_a b", "a_b" },          { "x.gguf", "\xc3\xa4", "model" },
        { "text.gguf", NULL, "text_model" },       { "x.gguf", "..", "model" },
    };
    Arena *a = *state;

    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        BuildOptions o = build_options_default();

        o.model = row[i].model;
        o.out = row[i].out;
        assert_string_equal(build_name(a, &o), row[i].name);
        assert_null(bad_build_name(build_name(a, &o)));
    }
}

/* ---- sinter.yaml ----------------------------------------------------------------------------------------------------- */

static int load_config(Arena *a, Diag *d, const char *yaml, const BuildOptions *line,
                       BuildOptions **out)
{
    char path[] = "/tmp/sinter-test-XXXXXX";
    int fd = mkstemp(path), n;
    FileSet *fs = files_new();

    assert_true(fd >= 0);
    assert_int_equal(write(fd, yaml, strlen(yaml)), (int)strlen(yaml));
    close(fd);
    n = config_load(fs, a, d, path, line, out);
    unlink(path);
    files_close(fs);
    return n;
}

static void a_project_names_its_builds(void **state)
{
    Arena *a = *state;
    Diag *d = diag_new(a, stderr);
    BuildOptions line = build_options_default(), *b;
    const char *yaml =
        "model: models/m.gguf\ndigest: 00112233445566778899aabbccddeeff\nout: build/smol\n"
        "targets:\n  - x86_64-v3,x86_64-v4\n  - {target: aarch64, out: arm}\n"
        "options: {act: f32, ctx: 128, link-weights: true}\nbudgets: {ram: 2M}\n";

    assert_int_equal(load_config(a, d, yaml, &line, &b), 2);
    assert_string_equal(b[0].model, "/tmp/models/m.gguf");
    assert_string_equal(b[0].digest, "00112233445566778899aabbccddeeff");
    assert_string_equal(b[0].out, "/tmp/build/smol/x86_64-v3+x86_64-v4");
    assert_string_equal(b[0].target, "x86_64-v3,x86_64-v4");
    assert_string_equal(b[1].out, "/tmp/arm");
    assert_string_equal(b[1].name, "smol");
    assert_string_equal(b[0].name, "smol");
    assert_true(b[1].act_decode == ACT_f32 && b[1].ctx == 128 && b[1].link_weights &&
                b[1].max_ram == 2 << 20);

    line.ctx = 64;                                           /* the command line wins */
    line.target = "portable";
    line.out = "here";
    assert_int_equal(load_config(a, d, yaml, &line, &b), 1);
    assert_string_equal(b[0].target, "portable");
    assert_string_equal(b[0].out, "here");
    assert_int_equal(b[0].ctx, 64);
    assert_true(b[0].act_prefill == ACT_f32);
    assert_int_equal(diag_n_errors(d), 0);
}

static void mistakes_in_a_project_are_reported(void **state)
{
    static const struct { const char *yaml, *say; } row[] = {
        { "modle: x\n", ":1:1: unknown key 'modle' (did you mean 'model'?)" },
        { "name: x\n", "the key 'model' is missing" },
        { "model: x\ndigest: 12\n", ":2:9: 'digest' must be 32" },
        { "model: x\nname: int x\n", ":2:7: 'int x' must consist of" },
        { "model: x\noptions: {act: q9}\n", ":2:16: act: 'q9'" },
        { "model: x\noptions: {prune: heads}\n", "'prune' is not there yet" },
        { "model: x\noptions: {quant: q3_K}\n", "takes q8_0 or q4_0" },
        { "model: x\noptions: {atc: q8}\n", "did you mean 'act'" },
        { "model: x\noptions: {link-weights: maybe}\n", "must be true or false" },
        { "model: x\noptions: q8\n", "'options' must be a mapping" },
        { "model: x\nbudgets: {ram: lots}\n", "ram: 'lots': takes a size" },
        { "model: x\ntargets: []\n", "'targets' is an empty list" },
        { "model: x\ntargets: [x86_64, x86_65]\n", ":2:19: there is no target 'x86_65'" },
        { "model: x\ntargets: [{out: a}]\n", "the key 'target' is missing" },
        { "model: x\ntargets: [x86_64, x86_64]\n", "two targets go to the same folder" },
        { "model: ''\n", "'model' is empty" },
    };
    Arena *a = *state;

    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        BuildOptions line = build_options_default(), *b;
        Diag *d = diag_new(a, NULL);

        assert_int_equal(load_config(a, d, row[i].yaml, &line, &b), 0);
        assert_says(str_z(a, diag_text(d)), row[i].say);
    }
}

static void time_is_modelled_in_integers(void **state)
{
    Target t = { .llc_bytes = 1 << 20, .llc_mb_s = 2000, .dram_mb_s = 1000, .mac8_per_ns = 100 };

    (void)state;
    assert_int_equal(cost_ps(&t, 2000000, 0, 1), UINT64_C(2000000000)); /* 2 MB at 1 GB/s: 2 ms */
    assert_int_equal(cost_ps(&t, 1000000, 0, 1), UINT64_C(500000000)); /* fits the cache: 2 GB/s */
    assert_int_equal(cost_part_ps(&t, 2000000, 1000000, 0, 1), UINT64_C(1000000000)); /* half of 2 MB, which do not fit it */
    assert_int_equal(cost_ps(&t, 0, 4000, 4), UINT64_C(1000000)); /* 4000 multiply-adds, 4 per ns */
    assert_int_equal(cost_tps_x100(&t, 2000000, 0, 1), 50000); /* 500 tokens per second */
    assert_int_equal(cost_ps(&t, UINT64_MAX, 0, 1), UINT64_MAX);
    t.dram_mb_s = 0;
    assert_int_equal(cost_ps(&t, 2000000, 0, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_known_target_is_complete, setup, teardown),
        cmocka_unit_test_setup_teardown(printed_targets_read_back, setup, teardown),
        cmocka_unit_test_setup_teardown(native_is_a_known_target_that_this_machine_satisfies, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(mistakes_are_reported_where_they_are, setup, teardown),
        cmocka_unit_test_setup_teardown(regions_of_a_board_hold_everything_once, setup, teardown),
        cmocka_unit_test_setup_teardown(mistakes_of_boards_are_reported_where_they_are, setup, teardown),
        cmocka_unit_test_setup_teardown(a_board_is_no_member_of_a_set, setup, teardown),
        cmocka_unit_test_setup_teardown(tuning_is_read_within_bounds, setup, teardown),
        cmocka_unit_test_setup_teardown(sets_are_of_one_family, setup, teardown),
        cmocka_unit_test_setup_teardown(sizes_have_units, setup, teardown),
        cmocka_unit_test_setup_teardown(options_are_set_or_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(folders_give_names, setup, teardown),
        cmocka_unit_test_setup_teardown(a_project_names_its_builds, setup, teardown),
        cmocka_unit_test_setup_teardown(mistakes_in_a_project_are_reported, setup, teardown),
        cmocka_unit_test_setup_teardown(time_is_modelled_in_integers, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
