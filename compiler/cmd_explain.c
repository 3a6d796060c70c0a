/* sinter explain: the stages of an emitted folder, and why each is as it is.
 *
 * Everything is read from DIR/NAME.sir, the scheduled Module (docs/scheduled.md), which
 * codegen_check has found sound.  Times are modelled (cost.c) from what is known of the target by
 * its name, and only if that is still the same target. */
#include "codegen/check.h"
#include "codegen/emit.h"
#include "compiler/emitted.h"
#include "compiler/explain.h"
#include "ir/net.h"

enum {
    MAX_LISTED = 24     /* stages that a message names */
};

/* ---- the table ------------------------------------------------------------------------------- */

static void print_stage_line(Look *k, const Total *t, const Op *s, int indent)
{
    Facts f = explain_facts(k, s, t->weight_bytes + t->row_bytes);
    uint64_t bytes = f.weight_bytes + f.row_bytes;
    bool known = explain_has_figures(&k->chip[0]);

    buf_printf(k->out, "  %*s%-*s %-10s %-20s %13s %11s %8s  %s\n", indent, "", 20 - indent,
               explain_stage_name(k, s), op_str(s, "kind", "?"), explain_chunks(k, s, &f),
               bytes ? str_printf(k->a, "%s B", explain_number(k, bytes)) : "-",
               known ? (f.ps ? explain_time(k, f.ps) : "-") : "unknown",
               known ? explain_percent(k, f.ps, t->ps)
                     : explain_percent(k, bytes, t->weight_bytes + t->row_bytes),
               explain_stage(k, s));
}

static void print_total(Look *k, const Total *t)
{
    const Chip *c = &k->chip[0];
    uint64_t ps = explain_token_ps(k, t), tokens = (uint64_t)explain_sym(k, "T");

    buf_printf(k->out, "  total: %s", explain_many(k, t->n_stage, "stage"));
    if (t->n_layer && t->least == t->most)
        buf_printf(k->out, ", %d in each of %s", t->least, explain_many(k, t->n_layer, "layer"));
    else if (t->n_layer)
        buf_printf(k->out, ", %d to %d in each of %s", t->least, t->most,
                   explain_many(k, t->n_layer, "layer"));
    buf_printf(k->out,
               c->n_threads > 1 ? "; the threads meet after each\n" : "; it has one thread\n");
    buf_printf(k->out,
               "         %s B of weights %s, of which what follows the last layer (the LM head) %s "
               "B, %s\n",
               explain_number(k, t->weight_bytes), tokens == 1 ? "a token" : "a call",
               explain_number(k, t->head_bytes),
               explain_percent(k, t->head_bytes, t->weight_bytes));
    if (t->row_bytes)
        buf_printf(k->out, "         %s B of rows of tables\n", explain_number(k, t->row_bytes));
    if (t->state_bytes)
        buf_printf(k->out,
                   "         attention reads %s B of the cache for each position that it sees\n",
                   explain_number(k, t->state_bytes));
    if (!ps) {
        buf_printf(k->out,
                   "         speed: unknown (nothing is known here of the memory and arithmetic of "
                   "target %s)\n",
                   c->name);
        return;
    }
    buf_printf(k->out, "         modelled for %s with %s%s: %s", c->name,
               explain_many(k, c->n_threads, "thread"),
               c->target->n_threads > 0 || c->n_threads == 1 ? "" : " (it does not say how many)",
               explain_time(k, t->ps));
    if (c->n_threads > 1)
        buf_printf(k->out, " and %s for meetings", explain_time(k, ps - t->ps));
    buf_printf(k->out, ", %s tokens per second\n",
               explain_number(k, UINT64_C(1000000000000) * tokens / ps));
}

static void print_entry(Look *k, const Entry *e)
{
    Total t = explain_total(k, e);

    buf_printf(k->out, "\n%s: %s\n  %-20s %-10s %-20s %13s %11s %8s  %s\n",
               explain_show(k, e->name), explain_call(k), "stage", "kind", "chunks", "weights",
               "modelled", explain_has_figures(&k->chip[0]) ? "of time" : "of bytes",
               "what is fused in it");
    for (int i = 0; i < t.n_block; i++) {
        const Block *b = &t.block[i];
        bool called = b->func != e->func;

        if (called)
            buf_printf(k->out, "  %s x %d%s\n", explain_show(k, b->func->name), b->times,
                       b->shown ? ", as above" : b->times > 1 ? ", each:" : ":");
        for (const Op *s = b->shown ? NULL : b->first; s; s = explain_next(b, s))
            print_stage_line(k, &t, s, called ? 2 : 0);
    }
    print_total(k, &t);
}

/* The number of target i that `name` has: of the Module, or, of attention's first op, an attribute. */
static int64_t tuning_of(const Look *k, const char *name, int i)
{
    const Module *m = k->m;
    const char *of_op = str_printf(k->a, "%s.%d", name, i);

    for (const Func *f = m->first_func; f; f = f->next)
        for (const Op *s = f->body->first; s; s = s->next)
            for (const Op *o = s->kind == OP_fused ? s->region[0]->first : NULL; o; o = o->next)
                if (o->kind == OP_attention && op_attr(o, of_op))
                    return op_int(o, of_op, 0);
    return module_meta_int(m, str_printf(k->a, "target.%d.%s", i, name), 0);
}

static void print_head(Look *k)
{
    buf_printf(k->out, "%s: %s\n", explain_show(k, k->name),
               explain_show(k, module_meta_str(k->m, "general.name", "a model")));
    buf_printf(k->out, "  made by   %s\n",
               str_show(k->a, str_of(module_meta_str(k->m, "build.command", "?")), 400));
    if (!module_is_network(k->m))
        buf_printf(k->out, "  fusing    %s\n", explain_fuse_spec(k));
    for (int i = 0; i < k->n_chip; i++) {
        const Chip *c = &k->chip[i];

        buf_printf(
            k->out, "  target    %s, kernels of %s", c->name,
            explain_show(k, module_meta_str(k->m, str_printf(k->a, "target.%d.isa", i), "")));
        if (tuning_of(k, "prefetch", i) > 0)
            buf_printf(k->out, "; prefetch %s B", explain_number(k, (uint64_t)tuning_of(k, "prefetch", i)));
        if (tuning_of(k, "span", i) > 0)
            buf_printf(k->out, ", attention in spans of %s", explain_number(k, (uint64_t)tuning_of(k, "span", i)));
        if (explain_has_figures(c))
            buf_printf(k->out,
                       "; memory %s MB/s, last cache %s B at %s MB/s, %d.%02d 8-bit multiply-adds "
                       "per ns and core",
                       explain_number(k, (uint64_t)c->target->dram_mb_s),
                       explain_number(k, (uint64_t)c->target->llc_bytes),
                       explain_number(k, (uint64_t)c->target->llc_mb_s),
                       (int)(c->target->mac8_per_ns / 100), (int)(c->target->mac8_per_ns % 100));
        buf_putc(k->out, '\n');
    }
}

static void print_table(Look *k)
{
    bool floats = false;

    print_head(k);
    if (module_is_network(k->m)) {
        explain_net_print(k);
        return;
    }
    if (!k->m->n_entry)
        buf_puts(k->out, "\nno entries: a vocabulary alone, there is nothing to compute\n");
    for (int i = 0; i < k->m->n_entry; i++) {
        print_entry(k, &k->m->entry[i]);
        floats = floats || explain_total(k, &k->m->entry[i]).float_macs;
    }
    if (k->m->n_entry && explain_has_figures(&k->chip[0]))
        buf_printf(k->out,
                   "\nModelled is the longer of reading a stage's weights and of its 8-bit "
                   "multiply-adds%s. Norms, attention and the cache are "
                   "not in it%s.\n",
                   floats ? " (those of floats are not in it)" : "",
                   k->n_chip > 1 ? "; it is for the first target of the set" : "");
    if (k->m->n_entry)
        buf_puts(k->out, "`sinter explain DIR STAGE` says why a stage is as it is.\n");
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static const char *js(Look *k, const char *s)
{
    return emit_json(k->a, str_of(s));
}

/* A number, or null where it is unknown. */
static const char *known_number(Look *k, bool known, uint64_t v)
{
    return known ? str_printf(k->a, "%" PRIu64, v) : "null";
}

static void json_ops(Look *k, const Op *s)
{
    static const char *const part[] = { "prologue", "anchor", "epilogue", "row" };

    buf_puts(k->out, ", \"ops\": [");
    for (const Op *o = s->region[0]->first; o && o->kind != OP_yield; o = o->next) {
        int target;
        bool any = false;

        buf_printf(k->out, "%s{\"op\": \"%s\", \"name\": %s, \"part\": \"%s\", \"operands\": [",
                   o == s->region[0]->first ? "" : ", ", op_info[o->kind].name,
                   js(k, explain_op_name(k, o)), part[explain_part(s, o)]);
        for (int i = 0; i < o->n_in; i++)
            buf_printf(k->out, "%s{\"name\": %s, \"type\": %s, \"place\": %s}", i ? ", " : "",
                       js(k, o->in[i]->name), js(k, type_text(k->a, o->in[i]->type)),
                       js(k, explain_home(k, s, o->in[i])));
        buf_puts(k->out, "], \"results\": [");
        for (int i = 0; i < o->n_out; i++)
            buf_printf(k->out, "%s{\"name\": %s, \"type\": %s, \"place\": %s}", i ? ", " : "",
                       js(k, o->out[i]->name), js(k, type_text(k->a, o->out[i]->type)),
                       js(k, explain_home(k, s, o->out[i])));
        buf_puts(k->out, "], \"kernels\": {");
        for (int i = 0; i < o->n_attr; i++)
            if (explain_kernel_attr(&o->attr[i], &target)) {
                buf_printf(k->out, "%s%s: %s", any ? ", " : "", js(k, o->attr[i].name),
                           emit_json(k->a, o->attr[i].s));
                any = true;
            }
        buf_puts(k->out, "}}");
    }
    buf_puts(k->out, "]");
}

static void json_ints(Look *k, const char *name, const Attr *list)
{
    buf_printf(k->out, ", \"%s\": [", name);
    for (int i = 0; i < list->n_ints; i++)
        buf_printf(k->out, "%s%" PRId64, i ? ", " : "", list->ints[i]);
    buf_puts(k->out, "]");
}

/* `times`: how often it runs, in a block or altogether. */
static void json_stage(Look *k, const Total *t, const Func *in, int times, const Op *s, bool all)
{
    Facts f = explain_facts(k, s, t->weight_bytes + t->row_bytes);
    bool tiled = stage_anchor(s) && stage_anchor(s)->kind == OP_matmul;

    buf_printf(k->out,
               "{\"stage\": %s, \"entry\": %s, \"function\": %s, \"c_name\": %s, \"times\": %d, "
               "\"kind\": %s, \"fused\": %s, "
               "\"n_ops\": %d, \"chunks\": %" PRId64
               ", \"chunk_bytes\": %s, \"chunk_tokens\": %s, \"weight_bytes\": %" PRIu64
               ", \"row_bytes\": %" PRIu64 ", \"state_bytes_per_position\": %" PRIu64
               ", \"multiply_adds\": %" PRIu64 ", \"modelled_ps\": %s",
               js(k, op_str(s, "stage", "?")), js(k, t->entry->name), js(k, in->name),
               js(k, explain_c_name(k, in, s)), times, js(k, op_str(s, "kind", "?")),
               js(k, explain_stage(k, s)), explain_n_ops(s), f.n_chunk,
               known_number(k, tiled, (uint64_t)f.chunk_bytes),
               known_number(k, !tiled, (uint64_t)op_int(s, "tokens", 1)), f.weight_bytes,
               f.row_bytes, f.state_bytes, f.macs + f.float_macs,
               known_number(k, explain_has_figures(&k->chip[0]), f.ps));
    if (all && tiled) {
        json_ints(k, "tiles", op_attr(s, "tiles"));
        json_ints(k, "chunks_of_groups", op_attr(s, "chunks"));
    }
    if (all)
        json_ops(k, s);
    buf_puts(k->out, "}");
}

static void json_entry(Look *k, const Entry *e)
{
    Total t = explain_total(k, e);
    bool first = true;

    buf_printf(k->out,
               "\n    {\"name\": %s, \"function\": %s, \"tokens\": %" PRId64
               ", \"stages\": %d, \"stages_unfused\": %d, \"layers\": %d, "
               "\"stages_per_layer\": [%d, %d],\n     \"weight_bytes\": %" PRIu64
               ", \"row_bytes\": %" PRIu64 ", \"head_bytes\": %" PRIu64
               ", \"state_bytes_per_position\": %" PRIu64
               ", \"modelled_ps\": %s, \"meetings_ps\": %s,"
               "\n     \"blocks\": [",
               js(k, e->name), js(k, e->func->name), explain_sym(k, "T"), t.n_stage, t.n_op,
               t.n_layer, t.least, t.most, t.weight_bytes, t.row_bytes, t.head_bytes, t.state_bytes,
               known_number(k, explain_has_figures(&k->chip[0]), t.ps),
               known_number(k, explain_has_figures(&k->chip[0]), explain_token_ps(k, &t) - t.ps));
    for (int i = 0; i < t.n_block; i++) {
        const Block *b = &t.block[i];

        buf_printf(k->out, "%s\n      {\"function\": %s, \"times\": %d, \"stages\": [",
                   i ? "," : "", js(k, b->func->name), b->times);
        first = true;
        for (const Op *s = b->first; s; s = explain_next(b, s)) {
            buf_printf(k->out, "%s\n        ", first ? "" : ",");
            json_stage(k, &t, b->func, b->times, s, false);
            first = false;
        }
        buf_puts(k->out, "]}");
    }
    buf_puts(k->out, "]}");
}

static void json_begin(Look *k)
{
    buf_printf(k->out,
               "{\n  \"schema\": 1,\n  \"name\": %s,\n  \"command\": %s,\n  \"fuse\": %s,\n  "
               "\"targets\": [",
               js(k, k->name), js(k, module_meta_str(k->m, "build.command", "")),
               js(k, explain_fuse_spec(k)));
    for (int i = 0; i < k->n_chip; i++)
        buf_printf(k->out, "%s{\"name\": %s, \"isa\": %s, \"threads\": %d, \"figures\": %s}",
                   i ? ", " : "", js(k, k->chip[i].name),
                   js(k, module_meta_str(k->m, str_printf(k->a, "target.%d.isa", i), "")),
                   k->chip[i].n_threads, explain_has_figures(&k->chip[i]) ? "true" : "false");
    buf_puts(k->out, "]");
}

static void json_table(Look *k)
{
    json_begin(k);
    if (module_is_network(k->m)) {
        explain_net_json(k);
        return;
    }
    buf_puts(k->out, ",\n  \"entries\": [");
    for (int i = 0; i < k->m->n_entry; i++) {
        buf_puts(k->out, i ? "," : "");
        json_entry(k, &k->m->entry[i]);
    }
    buf_puts(k->out, "]\n}\n");
}

/* ---- the command ----------------------------------------------------------------------------- */

/* Is this stage the one that the user means: its name, or its function's in the emitted C? */
static bool is_meant(Look *k, const Func *f, const Op *s, const char *name)
{
    return !strcmp(op_str(s, "stage", ""), name) || !strcmp(explain_c_name(k, f, s), name);
}

static bool unknown_stage(Look *k, const char *dir, const char *name)
{
    const char **names, *near;
    int n = 0, cap = 0;

    for (const Func *f = k->m->first_func; f; f = f->next)
        for (const Op *o = f->body->first; o; o = o->next)
            cap++;
    names = ARENA_ARRAY(k->a, const char *, cap + 1);
    for (const Func *f = k->m->first_func; f; f = f->next)
        for (const Op *o = f->body->first; o; o = o->next) {
            bool again = o->kind != OP_fused;

            for (int i = 0; !again && i < n; i++)
                again = !strcmp(names[i], explain_stage_name(k, o));
            if (!again)
                names[n++] = explain_stage_name(k, o);
        }
    near = str_nearest(str_of(name), names);
    return fail(k->d, AT_FILE(dir), "has no stage '%s'%s%s%s (it has %s%s)", explain_show(k, name),
                near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "",
                n ? explain_list(k, names, n < MAX_LISTED ? n : MAX_LISTED) : "none",
                n > MAX_LISTED ? str_printf(k->a, " and %d more", n - MAX_LISTED) : "");
}

/* Every stage of that name: layers of another kind and other entries have some of the same. */
static bool all_of_name(Look *k, const char *dir, const char *name, bool json)
{
    int n = 0;

    if (json) {
        json_begin(k);
        buf_puts(k->out, ",\n  \"stages\": [");
    }
    for (int i = 0; i < k->m->n_entry; i++) {
        Total t = explain_total(k, &k->m->entry[i]);

        for (int q = 0; q < t.n_block; q++) {
            const Block *b = &t.block[q];

            for (const Op *s = b->shown ? NULL : b->first; s; s = explain_next(b, s)) {
                if (!is_meant(k, b->func, s, name))
                    continue;
                if (json) {
                    buf_puts(k->out, n ? ",\n    " : "\n    ");
                    json_stage(k, &t, b->func, explain_times(&t, b->func), s, true);
                } else
                    explain_print_stage(k, &t, b->func, s);
                n++;
            }
        }
    }
    if (!n)
        return unknown_stage(k, dir, name);
    if (json)
        buf_puts(k->out, "]\n}\n");
    return true;
}

/* What this sinter knows of the target by that name, if it is the same one: a YAML file's own is
 * not known here. */
static const Target *known_target(Look *k, FileSet *fs, const char *name, const char *isa)
{
    const char *const *names = target_names(k->a);
    const Target *t = NULL;
    Diag *quiet = diag_new(k->a, NULL);
    Buf b = buf_in(k->a);

    if (!strcmp(name, "native"))
        t = target_native(k->a, quiet);
    for (int i = 0; !t && names[i]; i++)
        if (!strcmp(names[i], name))
            t = target_load(fs, k->a, quiet, name);
    for (int i = 0; t && t->isa[i]; i++)
        buf_printf(&b, "%s%s", i ? " " : "", t->isa[i]);
    return t && !strcmp(buf_z(&b), isa) ? t : NULL;
}

static const char *const *words_of(Look *k, const char *text)
{
    const char **v = ARENA_ARRAY(k->a, const char *, strlen(text) / 2 + 2);
    int n = 0;

    while (*(text += strspn(text, " "))) {
        size_t len = strcspn(text, " ");

        v[n++] = str_z(k->a, (Str){ text, len });
        text += len;
    }
    return v;
}

static void find_chips(Look *k, FileSet *fs)
{
    k->n_chip = (int)module_meta_int(k->m, "build.n_target", 0);
    for (int i = 0; i < k->n_chip; i++) {
        const char *isa = module_meta_str(k->m, str_printf(k->a, "target.%d.isa", i), "");
        const char *name = module_meta_str(k->m, str_printf(k->a, "target.%d.name", i), "?");
        Chip *c = &k->chip[i];

        *c = (Chip){ .target = known_target(k, fs, name, isa),
                     .name = explain_show(k, name),
                     .isas = words_of(k, isa) };
        c->unit = kernel_unit_of(c->isas);
        c->n_threads =
            c->target && c->target->n_threads > 0 ? c->target->n_threads : COMMON_THREADS;
        if (module_meta_int(k->m, "build.one_thread", 0))
            c->n_threads = 1;
    }
}

/* The scheduled Module of a folder; the weights and the model that it was made from need not be at
 * hand. */
static Module *read_folder(Args *args, const Emitted *e)
{
    Mapped file;
    Module *m;

    if (!file_map(args->fs, args->a, args->d, e->sir, &file))
        return NULL;
    m = module_parse(args->a, args->d, file.path, (Str){ (const char *)file.p, (size_t)file.n });
    if (!m || !module_verify(m, args->d))
        return NULL;
    if (!codegen_check(m, args->d)) {
        note(args->d, "build the folder again if another version of sinter has written it");
        return NULL;
    }
    for (const Func *f = m->first_func; f; f = f->next)
        for (const Op *o = f->body->first; o; o = o->next)
            for (const Op *p = o->kind == OP_call ? o->callee->body->first : NULL; p; p = p->next)
                if (p->kind == OP_call) {
                    fail(args->d, AT_FILE(e->sir),
                         "function '%s' is called and calls others: no scheduled Module does that",
                         str_show(args->a, str_of(o->callee->name), 60));
                    return NULL;
                }
    return m;
}

int cmd_explain(Args *args)
{
    Look k = { .a = args->a, .d = args->d };
    bool json = arg_value(args, "--json") != NULL;
    Buf out = buf_in(args->a);
    Emitted e;

    if (!emitted_read(args->fs, args->a, args->d, args->pos[0], &e))
        return EXIT_failed;
    k.m = read_folder(args, &e);
    if (!k.m)
        return EXIT_failed;
    k.name = e.name;
    k.val = ARENA_ARRAY(args->a, int64_t, k.m->n_sym + 1);
    k.out = &out;
    find_chips(&k, args->fs);
    if (args->n_pos > 1) {
        if (module_is_network(k.m)) {
            fail(args->d, AT_FILE(args->pos[0]), "is a network: of one stage there is no more to say than the table does (leave the name out)");
            return EXIT_usage;
        }
        if (!all_of_name(&k, args->pos[0], args->pos[1], json))
            return EXIT_failed;
    } else if (json)
        json_table(&k);
    else
        print_table(&k);
    fwrite(out.p ? out.p : "", 1, out.n, stdout);
    return EXIT_done;
}
