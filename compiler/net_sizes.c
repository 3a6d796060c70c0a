#include "compiler/net_sizes.h"

#include "codegen/board.h"
#include "codegen/net_map.h"
#include "compiler/cmd.h"

#include <stdlib.h>

NetSizes net_sizes(const Module *m)
{
    return (NetSizes){ .weights = (uint64_t)module_meta_int(m, "packed_bytes", 0), .memory = (uint64_t)module_meta_int(m, "arena_bytes", 0) };
}

/* The line of `text` that begins with this word: what follows it. */
static const char *line_of(Arena *a, Str text, const char *word)
{
    size_t n = strlen(word);

    for (const char *p = text.p, *end = text.p + text.n; p && p < end;) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        size_t len = (size_t)((stop ? stop : end) - p);

        if (len > n && !memcmp(p, word, n) && p[n] == ' ')
            return str_z(a, (Str){ p + n + 1, len - n - 1 });
        p = stop ? stop + 1 : NULL;
    }
    return NULL;
}

void net_sizes_measure(NetSizes *s, Arena *a, const Module *m, const char *dir)
{
    const char *const size[] = { "make", "-s", "-C", dir, "size", NULL }, *const clean[] = { "make", "-s", "-C", dir, "clean", NULL };
    Diag *quiet = diag_new(a, NULL);
    const char *flash, *stack, *ram;
    Str out, err;
    char *end;

    if (!has_board(m))
        return;
    if (program_run(a, quiet, size, &out, &err) == 0 && (flash = line_of(a, out, "flash")) && (stack = line_of(a, out, "stack")) && (ram = line_of(a, out, "RAM"))) {
        s->linked = true;
        s->flash = strtoull(flash, NULL, 10);
        s->ram = strtoull(ram, NULL, 10);
        s->stack = strtoull(stack, &end, 10);
        s->deepest = end + strspn(end, " ");
    }
    program_run(a, quiet, clean, &out, &err);
}

void net_sizes_print(const Module *m, Arena *a, const NetSizes *s)
{
    NetMap map = net_map(m, a);
    int peak = map.n_stage ? net_map_peak(&map) : -1;

    printf("weights            %14" PRIu64 " bytes, packed for their kernels\n", s->weights);
    printf("memory             %14" PRIu64 " bytes, inputs and outputs among them\n", s->memory);
    if (s->linked) {
        printf("stack              %14" PRIu64 " bytes: %s\n", s->stack, s->deepest);
        printf("RAM                %14" PRIu64 " bytes: memory, data, stack\n", s->ram);
        printf("flash              %14" PRIu64 " bytes: weights, code, tables, start-up code\n", s->flash);
    } else
        printf("                   without stack and code: %s\n", has_board(m) ? "the board's compiler did not build it here" : "they are known of boards");
    if (peak >= 0) {
        printf("most is needed by '%s':\n", str_show(a, str_of(op_str(map.stage[peak], "stage", "?")), 60));
        for (int i = 0; i < map.n_place; i++)
            if (map.place[i].first <= peak && peak <= map.place[i].last)
                printf("  %14" PRId64 " bytes  at %-9" PRId64 " %s\n", map.place[i].bytes, map.place[i].at, str_show(a, str_of(map.place[i].name), 60));
    }
}

/* "'conv_2d_1' (x 16384, y 16384, panel 1728 bytes)" */
static const char *peak_text(const Module *m, Arena *a)
{
    NetMap map = net_map(m, a);
    Buf b = buf_in(a);
    int peak = net_map_peak(&map), n = 0;

    buf_printf(&b, "'%s' (", str_show(a, str_of(op_str(map.stage[peak], "stage", "?")), 60));
    for (int i = 0; i < map.n_place; i++)
        if (map.place[i].first <= peak && peak <= map.place[i].last)
            buf_printf(&b, "%s%s %" PRId64, n++ ? ", " : "", str_show(a, str_of(map.place[i].name), 60), map.place[i].bytes);
    buf_puts(&b, " bytes)");
    return buf_z(&b);
}

static int64_t weights_of(const Op *o)
{
    int64_t bytes = 0;

    for (int i = 0; i < o->n_in; i++)
        bytes += o->in[i]->kind == VAL_weight ? (int64_t)o->in[i]->weight->bytes : 0;
    return bytes;
}

/* The stages with the most weights: up to three. */
static const char *heaviest(const Module *m, Arena *a)
{
    NetMap map = net_map(m, a);
    bool *named = ARENA_ARRAY(a, bool, map.n_stage + 1);
    Buf b = buf_in(a);

    for (int k = 0; k < 3 && k < map.n_stage; k++) {
        int best = -1;

        for (int i = 0; i < map.n_stage; i++)
            if (!named[i] && (best < 0 || weights_of(map.stage[i]) > weights_of(map.stage[best])))
                best = i;
        named[best] = true;
        buf_printf(&b, "%s'%s' %" PRId64, k ? ", " : "", str_show(a, str_of(op_str(map.stage[best], "stage", "?")), 60), weights_of(map.stage[best]));
    }
    return b.n ? buf_z(&b) : "no stage";
}

bool net_sizes_within(const NetSizes *s, const Module *m, Arena *a, Diag *d, const BuildOptions *o)
{
    uint64_t flash = s->linked ? s->flash : s->weights, ram = s->linked ? s->ram : s->memory;
    bool ok = true;

    if (o->max_flash && flash > o->max_flash)
        ok = fail(d, NOWHERE, "over budget: %s %" PRIu64 " bytes of flash, --max-flash allows %" PRIu64 " (%" PRIu64 " too many; most are weights, of %s bytes)",
                  s->linked ? "weights, code and tables need" : "weights alone need", flash, o->max_flash, flash - o->max_flash, heaviest(m, a));
    if (o->max_ram && ram > o->max_ram)
        ok = fail(d, NOWHERE, "over budget: %s %" PRIu64 " bytes of RAM, --max-ram allows %" PRIu64 " (%" PRIu64 " too many; most is needed by %s%s)",
                  s->linked ? str_printf(a, "memory of %" PRIu64 " and stack of %" PRIu64 " need", s->memory, s->stack) : "memory alone needs", ram, o->max_ram,
                  ram - o->max_ram, peak_text(m, a), s->linked ? "" : "; the stack is not in it");
    if (ok && !s->linked && (o->max_ram || o->max_flash))
        note(d, "the budgets were compared with memory and weights alone: code and stack are known only of boards whose compiler is at hand");
    return ok;
}
