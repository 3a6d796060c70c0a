/* sinter.yaml: what to build, kept beside the project that uses it.
 *
 *     model: models/smollm2.gguf          # relative to this file
 *     digest: 0123...                     # XXH3-128 of the model, 32 digits: no other file
 *     name: smol
 *     out: build                          # several targets go to build/TARGET
 *     targets:                            # one, or a list: a name, a set a,b, a FILE.yaml ...
 *       - x86_64-v3,x86_64-v4
 *       - target: aarch64-dotprod         # ... or with its folder
 *         out: build/arm
 *     options: {act: q8, kv: f16, ctx: 2048}      # names as on the command line
 *     budgets: {ram: 64M, flash: 120M}
 *
 * What the command line says wins over the file. */
#include "compiler/compiler.h"
#include "compiler/yaml.h"

typedef struct { Arena *a; Diag *d; const char *dir; } Config;

/* A path of the file's, seen from where sinter runs. */
static const char *from_here(const Config *c, const char *path)
{
    if (path[0] == '/' || !strcmp(c->dir, "."))
        return path;
    return path_join(c->a, c->dir, path);
}

static bool read_path(const Config *c, const YamlNode *map, const char *key, const char **out)
{
    const YamlNode *n = yaml_get(map, key);
    const char *s;

    if (!n)
        return true;
    if (!yaml_str(c->a, c->d, n, key, &s))
        return false;
    if (!*s)
        return fail(c->d, n->at, "'%s' is empty", key);
    *out = from_here(c, s);
    return true;
}

static bool set_option(const Config *c, BuildOptions *b, const YamlNode *at, const char *name,
                       const char *value)
{
    for (const Option *o = build_option_table; o->name; o++) {
        const char *why = "is not there yet in this version";

        if (strcmp(o->name, name) || (!o->set && !o->later))
            continue;
        if (!o->arg) {
            if (!strcmp(value, "false"))
                return true;
            if (strcmp(value, "true"))
                return fail(c->d, at->at, "'%s' must be true or false", name + 2);
            value = "";
        }
        if (o->later)
            return fail(c->d, at->at, "'%s' %s", name + 2, why);
        if (o->set(b, c->a, value, &why) != SET_ok)
            return fail(c->d, at->at, "%s: '%s': %s", name + 2, value, why);
        return true;
    }
    bug("the option '%s' of sinter.yaml is not in the table", name);
}

/* The mapping `options` (or `budgets`, whose names get a prefix). */
static bool read_options(const Config *c, const YamlNode *root, const char *part,
                         const char *const *keys, const char *prefix, BuildOptions *b)
{
    const YamlNode *map = yaml_get(root, part);
    bool ok = true;

    if (!map)
        return true;
    if (map->kind != YAML_map)
        return fail(c->d, map->at, "'%s' must be a mapping: {%s: ...}", part, keys[0]);
    if (!yaml_only(c->d, map, keys))
        return false;
    for (int i = 0; i < map->n_child; i += 2) {
        const char *key = str_z(c->a, map->child[i]->text), *value;

        ok = yaml_str(c->a, c->d, map->child[i + 1], key, &value) &&
             set_option(c, b, map->child[i + 1], str_printf(c->a, "--%s%s", prefix, key), value) &&
             ok;
    }
    return ok;
}

/* A target of the list: its name, and its own folder if it has one. */
static bool read_target(const Config *c, const YamlNode *n, BuildOptions *b, bool *has_out)
{
    static const char *const keys[] = { "target", "out", NULL };
    const YamlNode *t = n;
    const char *name, *why = NULL;

    *has_out = false;
    if (n->kind == YAML_map) {
        if (!yaml_only(c->d, n, keys))
            return false;
        t = yaml_get(n, "target");
        if (!t)
            return fail(c->d, n->at, "the key 'target' is missing");
        *has_out = yaml_get(n, "out") != NULL;
        if (!read_path(c, n, "out", &b->out))
            return false;
    }
    if (!yaml_str(c->a, c->d, t, "target", &name))
        return false;
    if (strchr(name, '/') || str_ends(str_of(name), ".yaml"))
        name = from_here(c, name);
    for (const Option *o = build_option_table; o->name; o++)
        if (!strcmp(o->name, "--target") && o->set(b, c->a, name, &why) != SET_ok)
            return fail(c->d, t->at, "%s", why);
    return true;
}

/* A folder's name for a target: "x86_64-v3,x86_64-v4" -> "x86_64-v3+x86_64-v4", "boards/mine.yaml"
 * -> "mine". */
static const char *target_folder(Arena *a, const char *target)
{
    char *s = strchr(target, '/') || str_ends(str_of(target), ".yaml") ? path_stem(a, target)
                                                                       : str_z(a, str_of(target));

    for (char *p = s; *p; p++)
        if (*p == ',' || *p == '/')
            *p = '+';
    return s;
}

/* What the command line has set wins, be it to the default. */
static void override(BuildOptions *b, const BuildOptions *line)
{
    if (line->given.act_decode)
        b->act_decode = line->act_decode;
    if (line->given.act_prefill)
        b->act_prefill = line->act_prefill;
    if (line->given.kv)
        b->kv = line->kv;
    if (line->given.fuse)
        b->fuse = line->fuse;
    b->ctx = line->ctx ? line->ctx : b->ctx;
    b->batch = line->batch ? line->batch : b->batch;
    b->name = line->name ? line->name : b->name;
    b->max_ram = line->max_ram ? line->max_ram : b->max_ram;
    b->max_flash = line->max_flash ? line->max_flash : b->max_flash;
    b->quant = line->quant ? line->quant : b->quant;
    b->exact |= line->exact;
    b->link_weights |= line->link_weights;
    b->dry_run = line->dry_run;
    b->verbose = line->verbose;
    b->print_after = line->print_after;
    b->depfile = line->depfile;
    b->emit = line->emit;
}

static bool read_digest(const Config *c, const YamlNode *root, const char **out)
{
    const YamlNode *n = yaml_get(root, "digest");
    Digest digest;

    if (!n)
        return true;
    if (!yaml_str(c->a, c->d, n, "digest", out))
        return false;
    if (!digest_parse(str_of(*out), &digest))
        return fail(
            c->d, n->at,
            "'digest' must be 32 hexadecimal digits (`sinter inspect MODEL` prints a file's)");
    return true;
}

/* -t: that target alone.  One of the file goes to its folder; another one goes where it would if it
 * were in the list; -o is the folder itself. */
static int only_target(Arena *a, const BuildOptions *project, const BuildOptions *line,
                       BuildOptions *build, int n)
{
    BuildOptions b = *project;

    b.name = build_name(a, project);
    b.target = line->target;
    if (n > 1)
        b.out = path_join(a, build_out(a, project), target_folder(a, line->target));
    for (int i = 0; i < n; i++)
        if (!strcmp(build[i].target, line->target))
            b = build[i];
    if (line->out)
        b.out = line->out;
    build[0] = b;
    return 1;
}

int config_load(FileSet *fs, Arena *a, Diag *d, const char *file, const BuildOptions *line,
                BuildOptions **out)
{
    static const char *const keys[] = { "model",   "digest",  "name",    "out",
                                        "targets", "options", "budgets", NULL };
    static const char *const options[] = {
        "act",   "kv",    "fuse",  "ctx",     "batch", "link-weights", "project", "spec",
        "head",
        "quant", "prune", "exact", "kernels", "calib-data",   NULL
    };
    static const char *const budgets[] = { "ram", "flash", NULL };
    static const YamlNode native = { .kind = YAML_scalar, .text = { "native", 6 } };
    Config c = { a, d, path_dir(a, file) };
    BuildOptions b = build_options_default();
    const YamlNode *root, *targets, *name;
    const char *why;
    Mapped map;
    int n;

    if (!file_map(fs, a, d, file, &map) ||
        !(root = yaml_read(a, d, file, (Str){ (const char *)map.p, (size_t)map.n })) ||
        !yaml_only(d, root, keys))
        return 0;
    b.model = line->model;
    b.out = NULL;
    name = yaml_get(root, "name");
    if ((!b.model && !read_path(&c, root, "model", &b.model)) ||
        !read_path(&c, root, "out", &b.out) || !read_digest(&c, root, &b.digest) ||
        (name && !yaml_str(a, d, name, "name", &b.name)) ||
        !read_options(&c, root, "options", options, "", &b) ||
        !read_options(&c, root, "budgets", budgets, "max-", &b))
        return 0;
    if (b.name && (why = bad_build_name(b.name)))
        return fail(d, name->at, "'%s' %s", b.name, why);
    if (!b.model)
        return fail(d, root->at, "the key 'model' is missing");
    override(&b, line);
    b.depends = file;
    targets = yaml_get(root, "targets");
    if (!targets)
        targets = &native;
    n = targets->kind == YAML_list ? targets->n_child : 1;
    if (n == 0)
        return fail(d, targets->at, "'targets' is an empty list");
    *out = ARENA_ARRAY(a, BuildOptions, n);
    for (int i = 0; i < n; i++) {
        bool has_out;

        (*out)[i] = b;
        if (!read_target(&c, targets->kind == YAML_list ? targets->child[i] : targets, &(*out)[i],
                         &has_out))
            return 0;
        /* The name comes from the folder for the whole project, not from build/TARGET. */
        (*out)[i].name = build_name(a, &b);
        if (line->out)
            (*out)[i].out = line->out;
        if (n > 1 && (!has_out || line->out))
            (*out)[i].out = path_join(a, line->out ? line->out : build_out(a, &b),
                                      target_folder(a, (*out)[i].target));
        for (int k = 0; k < i; k++)
            if (!strcmp(build_out(a, &(*out)[k]), build_out(a, &(*out)[i])))
                return fail(d, targets->at,
                            "two targets go to the same folder '%s' (give one its own: {target: "
                            "..., out: ...})",
                            build_out(a, &(*out)[i]));
    }
    if (line->target != build_options_default().target)    /* -t was given */
        return only_target(a, &b, line, *out, n);
    return n;
}
