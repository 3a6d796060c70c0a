/* sinter targets: the chips and what is known of each; --calibrate measures this one. */
#include "compiler/cmd.h"
#include "compiler/calibrate.h"
#include "compiler/tune.h"

#include <jansson.h>
#include <stdlib.h>

static json_t *list_json(const char *const *v)
{
    json_t *j = json_array();

    for (; *v; v++)
        json_array_append_new(j, json_string(*v));
    return j;
}

static json_t *board_json(const Board *b)
{
    json_t *list = json_array(), *header = json_array();

    for (int i = 0; i < b->n_region; i++)
        json_array_append_new(list, json_pack("{s:s, s:I, s:I, s:s, s:o}", "name", b->region[i].name, "base",
                                              (json_int_t)b->region[i].base, "bytes", (json_int_t)b->region[i].bytes, "kind",
                                              b->region[i].kind, "holds", list_json(b->region[i].holds)));
    for (int i = 0; i < b->n_header; i++)
        json_array_append_new(header, json_integer((json_int_t)b->header[i]));
    return json_pack("{s:o, s:o, s:s}", "regions", list, "header", header, "data", b->data);
}

static json_t *target_json(const Target *t)
{
    json_t *j = json_pack(
        "{s:s, s:s, s:s, s:o, s:o, s:s, s:s, s:s, s:i, s:{s:I, s:I, s:I}, s:{s:I, s:I}, s:I, "
        "s:{s:I, s:I, s:I, s:I}, s:s, s:s}",
        "name", t->name, "help", t->help, "family", t->family, "isa", list_json(t->isa), "features",
        list_json(t->features), "cc", t->cc, "cflags", t->cflags, "run", t->run, "threads",
        t->n_threads, "cache", "l1d", (json_int_t)t->l1d_bytes, "l2", (json_int_t)t->l2_bytes,
        "llc", (json_int_t)t->llc_bytes, "bandwidth", "dram", (json_int_t)t->dram_mb_s, "llc",
        (json_int_t)t->llc_mb_s, "mac8_per_ns_x100", (json_int_t)t->mac8_per_ns, "tuning",
        "prefetch", (json_int_t)t->tuning.prefetch, "chunk", (json_int_t)t->tuning.chunk, "span",
        (json_int_t)t->tuning.span, "tokens", (json_int_t)t->tuning.tokens, "tested",
        t->tested, "machine", t->machine);

    if (t->board)
        json_object_set_new(j, "board", board_json(t->board));
    return j;
}

static int print_json(Args *args, const Target *const *t, int n)
{
    json_t *root = json_object(), *list = json_array();
    char *text;

    json_object_set_new(root, "schema", json_integer(1));
    for (int i = 0; i < n; i++)
        json_array_append_new(list, target_json(t[i]));
    json_object_set_new(root, "targets", list);
    text = json_dumps(root, JSON_INDENT(2));
    json_decref(root);
    if (!text) {
        fail(args->d, NOWHERE, "the targets could not be written as JSON");
        return EXIT_failed;
    }
    puts(text);
    free(text);
    return EXIT_done;
}

static void print_table(Args *args, const Target *const *t, int n)
{
    const Target *native = target_native(args->a, args->d);

    printf("%-16s %-9s %-28s %s\n", "target", "family", "kernels", "what it is");
    for (int i = 0; i < n; i++) {
        Buf b = buf_in(args->a);

        for (int k = 0; t[i]->isa[k]; k++)
            buf_printf(&b, "%s%s", k ? " " : "", t[i]->isa[k]);
        printf("%-16s %-9s %-28s %s (%s)\n", t[i]->name, t[i]->family, buf_z(&b), t[i]->help,
               t[i]->tested);
    }
    if (native)
        printf("%-16s %-9s %-28s this machine: %s\n", "native", native->family, "", native->base);
}

int cmd_targets(Args *args)
{
    const char *const *names = target_names(args->a);
    bool json = arg_value(args, "--json") != NULL;
    const Target **t;
    int n = 0;

    if (arg_value(args, "--quick") && !arg_value(args, "--calibrate"))
        return usage_error(args, "targets: --quick says how --calibrate measures");
    if (arg_value(args, "--calibrate")) {
        enum { MS = 50, QUICK_MS = 5 };
        bool quick = arg_value(args, "--quick") != NULL;
        Target *mine;

        if (args->n_pos)
            return usage_error(args,
                               "targets: --calibrate measures this machine; it takes no name");
        mine = (Target *)target_native(args->a, args->d);
        if (!mine)
            return EXIT_failed;
        calibrate(args->a, args->d, mine, quick ? QUICK_MS : MS);
        if (!tune(args->fs, args->a, args->d, mine, quick))
            return EXIT_failed;
        t = ARENA_ARRAY(args->a, const Target *, 1);
        t[n++] = mine;
    } else if (args->n_pos) {
        t = ARENA_ARRAY(args->a, const Target *, 1);
        if (!(t[n++] = target_load(args->fs, args->a, args->d, args->pos[0])))
            return EXIT_failed;
    } else {
        while (names[n])
            n++;
        t = ARENA_ARRAY(args->a, const Target *, n + 1);
        for (int i = 0; i < n; i++)
            if (!(t[i] = target_load(args->fs, args->a, args->d, names[i])))
                return EXIT_failed;
    }
    if (json)
        return print_json(args, t, n);
    if (n == 1 && (args->n_pos || arg_value(args, "--calibrate"))) {
        Buf b = buf_in(args->a);

        target_print(&b, t[0]);
        fwrite(b.p, 1, b.n, stdout);
        return EXIT_done;
    }
    print_table(args, t, n);
    return EXIT_done;
}
