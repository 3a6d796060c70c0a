/* Boards: the `board` of a target's YAML file, and the same as metadata of a Module.
 *
 *     board:
 *       regions:
 *         - {name: flash, base: 0x08000000, bytes: 512K, kind: flash, holds: [start, code, constants, weights]}
 *         - {name: sram, base: 0x20000000, bytes: 128K, kind: ram, holds: [data, stack]}
 *       header: [0xffffded3, ...]       # what a boot ROM looks for behind the vector table
 *       data: copied                    # or loaded
 *
 * In a Module a board is `board.n_region`, `board.I.name`, `.base`, `.bytes`, `.kind`, `.holds` (words), `board.data` and
 * `board.header` (words in hexadecimal): codegen/board.c reads that back. */
#include "codegen/emit.h"
#include "compiler/compiler.h"
#include "compiler/yaml.h"

enum { MAX_REGIONS = 16, MAX_HEADER = 16 };

static const char *const kinds[] = { "flash", "ram", "external", NULL };
static const char *const things[] = { "start", "code", "constants", "weights", "data", "stack", NULL };

static bool is_one_of(const char *s, const char *const *list)
{
    while (*list && strcmp(*list, s))
        list++;
    return *list != NULL;
}

static bool holds(const BoardRegion *r, const char *thing)
{
    return is_one_of(thing, r->holds);
}

static int place_of(const Board *b, const char *thing)
{
    for (int i = 0; i < b->n_region; i++)
        if (holds(&b->region[i], thing))
            return i;
    return -1;
}

static bool good_region_name(const char *s)
{
    return is_c_ident(str_of(s)) && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(s);
}

static bool read_region(Arena *a, Diag *d, const YamlNode *n, BoardRegion *r)
{
    static const char *const keys[] = { "name", "base", "bytes", "kind", "holds", NULL };
    const YamlNode *v[5];

    if (n->kind != YAML_map)
        return fail(d, n->at, "a region must be a mapping: {name: flash, base: 0x0, bytes: 1M, kind: flash, holds: [code]}");
    if (!yaml_only(d, n, keys))
        return false;
    for (int i = 0; i < 5; i++)
        if (!(v[i] = yaml_get(n, keys[i])) && i < 4)
            return fail(d, n->at, "a region needs the key '%s'", keys[i]);
    if (!yaml_str(a, d, v[0], "name", &r->name) || !yaml_bytes(d, v[1], "base", &r->base) ||
        !yaml_bytes(d, v[2], "bytes", &r->bytes) || !yaml_str(a, d, v[3], "kind", &r->kind))
        return false;
    if (!good_region_name(r->name))
        return fail(d, v[0]->at, "a region's name is made of small letters, digits and '_' (it becomes a symbol of the linker script)");
    if (!r->bytes || r->base > UINT32_MAX || r->bytes > UINT32_MAX || r->base + r->bytes > (uint64_t)UINT32_MAX + 1)
        return fail(d, v[2]->at, "a region lies within 4 GiB and is not empty");
    if (!is_one_of(r->kind, kinds))
        return fail(d, v[3]->at, "'kind' must be flash, ram or external");
    r->holds = ARENA_ARRAY(a, const char *, 1);
    if (!v[4])
        return true;
    if (!yaml_strs(a, d, v[4], "holds", &r->holds))
        return false;
    for (int i = 0; r->holds[i]; i++)
        if (!is_one_of(r->holds[i], things))
            return fail(d, v[4]->child[i]->at, "'holds' lists start, code, constants, weights, data, stack");
    return true;
}

static bool apart(Diag *d, const YamlNode *list, const Board *b)
{
    for (int i = 0; i < b->n_region; i++)
        for (int k = 0; k < i; k++) {
            const BoardRegion *x = &b->region[i], *y = &b->region[k];

            if (!strcmp(x->name, y->name))
                return fail(d, list->child[i]->at, "two regions are called '%s'", x->name);
            if (x->base < y->base + y->bytes && y->base < x->base + x->bytes)
                return fail(d, list->child[i]->at, "region '%s' overlaps '%s'", x->name, y->name);
        }
    return true;
}

/* `thing` joins the region of `neighbour`, unless some region claims it. */
static void by_default(Arena *a, Board *b, const char *thing, const char *neighbour)
{
    BoardRegion *r;
    const char **longer;
    int n = 0;

    if (place_of(b, thing) >= 0)
        return;
    r = &b->region[place_of(b, neighbour)];
    while (r->holds[n])
        n++;
    longer = ARENA_ARRAY(a, const char *, n + 2);
    memcpy(longer, r->holds, (size_t)n * sizeof *longer);
    longer[n] = thing;
    r->holds = longer;
}

static bool place_all(Arena *a, Diag *d, const YamlNode *list, Board *b)
{
    for (int t = 0; things[t]; t++)
        for (int i = 0, n = 0; i < b->n_region; i++)
            if (holds(&b->region[i], things[t]) && n++)
                return fail(d, list->child[i]->at, "'%s' is already held by another region", things[t]);
    if (place_of(b, "code") < 0 || place_of(b, "data") < 0)
        return fail(d, list->at, "one region must hold code and one must hold data");
    by_default(a, b, "start", "code");
    by_default(a, b, "constants", "code");
    by_default(a, b, "weights", "constants");
    by_default(a, b, "stack", "data");
    for (int i = 0; i < b->n_region; i++)
        if ((holds(&b->region[i], "data") || holds(&b->region[i], "stack")) && strcmp(b->region[i].kind, "ram"))
            return fail(d, list->child[i]->at, "data and stack lie in a region of kind ram");
    return true;
}

static bool read_header(Arena *a, Diag *d, const YamlNode *n, Board *b)
{
    if (!n)
        return true;
    if (n->kind != YAML_list || n->n_child > MAX_HEADER)
        return fail(d, n->at, "'header' must be a list of at most %d words", MAX_HEADER);
    b->header = ARENA_ARRAY(a, uint32_t, n->n_child + 1);
    for (int i = 0; i < n->n_child; i++) {
        int64_t v;

        if (!yaml_int(d, n->child[i], "header", 0, UINT32_MAX, &v))
            return false;
        b->header[i] = (uint32_t)v;
    }
    b->n_header = n->n_child;
    return true;
}

const Board *board_read(Arena *a, Diag *d, const YamlNode *n)
{
    static const char *const keys[] = { "regions", "header", "data", NULL };
    const YamlNode *list, *data;
    Board *b = ARENA_NEW(a, Board);

    if (n->kind != YAML_map) {
        fail(d, n->at, "'board' must be a mapping: {regions: [...]}");
        return NULL;
    }
    if (!yaml_only(d, n, keys))
        return NULL;
    list = yaml_get(n, "regions");
    if (!list || list->kind != YAML_list || list->n_child < 1 || list->n_child > MAX_REGIONS) {
        fail(d, list ? list->at : n->at, "a board has a list 'regions' of 1 to %d regions", MAX_REGIONS);
        return NULL;
    }
    b->region = ARENA_ARRAY(a, BoardRegion, list->n_child);
    b->n_region = list->n_child;
    for (int i = 0; i < b->n_region; i++)
        if (!read_region(a, d, list->child[i], &b->region[i]))
            return NULL;
    b->data = "copied";
    data = yaml_get(n, "data");
    if (data && !yaml_str(a, d, data, "data", &b->data))
        return NULL;
    if (strcmp(b->data, "copied") && strcmp(b->data, "loaded")) {
        fail(d, data->at, "'data' must be copied or loaded");
        return NULL;
    }
    return read_header(a, d, yaml_get(n, "header"), b) && apart(d, list, b) && place_all(a, d, list, b) ? b : NULL;
}

static void put_words(Buf *out, const char *const *word, const char *between)
{
    for (int i = 0; word[i]; i++)
        buf_printf(out, "%s%s", i ? between : "", word[i]);
}

static void put_header(Buf *out, const Board *b, const char *between)
{
    for (int i = 0; i < b->n_header; i++)
        buf_printf(out, "%s0x%08" PRIx32, i ? between : "", b->header[i]);
}

void board_print(Buf *out, const Board *b)
{
    buf_puts(out, "board:\n  regions:\n");
    for (int i = 0; i < b->n_region; i++) {
        const BoardRegion *r = &b->region[i];

        buf_printf(out, "    - {name: %s, base: 0x%08" PRIx64 ", bytes: %" PRIu64 ", kind: %s, holds: [", r->name, r->base,
                   r->bytes, r->kind);
        put_words(out, r->holds, ", ");
        buf_puts(out, "]}\n");
    }
    if (b->n_header) {
        buf_puts(out, "  header: [");
        put_header(out, b, ", ");
        buf_puts(out, "]\n");
    }
    buf_printf(out, "  data: %s\n", b->data);
}

void board_to_module(Module *m, const Board *b)
{
    Buf words = buf_in(m->a);

    module_set_meta(m, "board.n_region", attr_int("", b->n_region));
    for (int i = 0; i < b->n_region; i++) {
        const BoardRegion *r = &b->region[i];
        Buf held = buf_in(m->a);

        put_words(&held, r->holds, " ");
        module_set_meta(m, str_printf(m->a, "board.%d.name", i), attr_str("", r->name));
        module_set_meta(m, str_printf(m->a, "board.%d.base", i), attr_int("", (int64_t)r->base));
        module_set_meta(m, str_printf(m->a, "board.%d.bytes", i), attr_int("", (int64_t)r->bytes));
        module_set_meta(m, str_printf(m->a, "board.%d.kind", i), attr_str("", r->kind));
        module_set_meta(m, str_printf(m->a, "board.%d.holds", i), attr_str("", buf_z(&held)));
    }
    module_set_meta(m, "board.data", attr_str("", b->data));
    put_header(&words, b, " ");
    if (b->n_header)
        module_set_meta(m, "board.header", attr_str("", buf_z(&words)));
}
