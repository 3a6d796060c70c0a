/* YAML files, read strictly.
 *
 * libyaml owns what it parses through malloc, while an arena that runs out of memory jumps past us.
 * So the text is parsed twice: the first time counts nodes, children and bytes; then everything is
 * allocated at once, with no libyaml object alive; the second time fills it in. */
#include "compiler/yaml.h"

#include <yaml.h>

enum { MAX_BYTES = 1 << 20 };

typedef struct { size_t n_node, n_child, n_text; } Count;

static Loc mark_at(const char *file, yaml_mark_t m)
{
    return AT_LINE(file, (int)m.line + 1, (int)m.column + 1);        /* libyaml counts from 0 */
}

/* Loads the only document of `text`.  On failure nothing is left to delete, and *at and *problem
 * (libyaml's literals) say why. */
static bool load(yaml_document_t *doc, const char *file, Str text, Loc *at, const char **problem)
{
    yaml_parser_t parser;
    yaml_document_t second;
    bool ok = false;

    *at = AT_FILE(file);
    *problem = "out of memory";
    if (!yaml_parser_initialize(&parser))
        return false;
    yaml_parser_set_input_string(&parser, (const unsigned char *)text.p, text.n);
    if (!yaml_parser_load(&parser, doc)) {
        yaml_mark_t m = parser.problem_mark;

        if (parser.problem)
            *problem = parser.problem;
        if (parser.error == YAML_READER_ERROR)
            *at = AT_OFF(file, parser.problem_offset);
        else if (parser.error != YAML_MEMORY_ERROR)
            *at = mark_at(file, m);
        yaml_parser_delete(&parser);
        return false;
    }
    if (!yaml_document_get_root_node(doc)) {
        *problem = "the file is empty";
    } else if (!yaml_parser_load(&parser, &second)) {
        *problem = parser.problem ? parser.problem : "text after the document is not YAML";
        *at = mark_at(file, parser.problem_mark);
    } else {
        if (yaml_document_get_root_node(&second)) {
            *problem = "a second document begins here (one is expected)";
            *at = mark_at(file, second.start_mark);
        } else {
            ok = true;
        }
        yaml_document_delete(&second);
    }
    yaml_parser_delete(&parser);
    if (!ok)
        yaml_document_delete(doc);
    return ok;
}

static size_t n_items(const yaml_node_t *n)
{
    if (n->type == YAML_SEQUENCE_NODE)
        return (size_t)(n->data.sequence.items.top - n->data.sequence.items.start);
    if (n->type == YAML_MAPPING_NODE)
        return 2 * (size_t)(n->data.mapping.pairs.top - n->data.mapping.pairs.start);
    return 0;
}

static Count count(const yaml_document_t *doc)
{
    Count c = { 0, 0, 0 };

    for (const yaml_node_t *n = doc->nodes.start; n < doc->nodes.top; n++) {
        c.n_node++;
        c.n_child += n_items(n);
        if (n->type == YAML_SCALAR_NODE)
            c.n_text += n->data.scalar.length;
    }
    return c;
}

/* Copies the document's nodes into `node`, their lists of children into `child`, their text into
 * `text`. */
static void copy(const yaml_document_t *doc, const char *file, YamlNode *node,
                 const YamlNode **child, char *text)
{
    for (const yaml_node_t *n = doc->nodes.start; n < doc->nodes.top; n++) {
        YamlNode *y = &node[n - doc->nodes.start];

        y->at = mark_at(file, n->start_mark);
        y->kind = n->type == YAML_SEQUENCE_NODE  ? YAML_list
                  : n->type == YAML_MAPPING_NODE ? YAML_map
                                                 : YAML_scalar;
        y->child = child;
        y->n_child = (int)n_items(n);
        child += y->n_child;
        if (n->type == YAML_SCALAR_NODE) {
            memcpy(text, n->data.scalar.value, n->data.scalar.length);
            y->text = (Str){ text, n->data.scalar.length };
            text += n->data.scalar.length;
        } else if (n->type == YAML_SEQUENCE_NODE) {
            for (int i = 0; i < y->n_child; i++)
                y->child[i] =
                    &node[n->data.sequence.items.start[i] - 1]; /* node numbers begin at 1 */
        } else {
            for (int i = 0; i < y->n_child; i += 2) {
                const yaml_node_pair_t *p = &n->data.mapping.pairs.start[i / 2];

                y->child[i] = &node[p->key - 1];
                y->child[i + 1] = &node[p->value - 1];
            }
        }
    }
}

/* Keys are scalars, and no key occurs twice in one mapping. */
static bool check_keys(Arena *a, Diag *d, const YamlNode *node, size_t n_node)
{
    bool ok = true;

    for (size_t k = 0; k < n_node; k++)
        for (int i = 0; node[k].kind == YAML_map && i < node[k].n_child; i += 2) {
            const YamlNode *key = node[k].child[i];

            if (key->kind != YAML_scalar) {
                ok = fail(d, key->at, "a key must be plain text");
                continue;
            }
            for (int j = 0; j < i; j += 2)
                if (node[k].child[j]->kind == YAML_scalar &&
                    str_eq(node[k].child[j]->text, key->text)) {
                    ok = fail(d, key->at, "the key '%s' occurs twice (first in line %d)",
                              str_show(a, key->text, 60), node[k].child[j]->at.line);
                    break;
                }
        }
    return ok;
}

const YamlNode *yaml_read(Arena *a, Diag *d, const char *file, Str text)
{
    yaml_document_t doc;
    const char *problem;
    Loc at;
    Count c;
    YamlNode *node;
    const YamlNode **child;
    char *bytes;

    if (text.n > MAX_BYTES) {
        fail(d, AT_FILE(file), "is too long for a YAML file of sinter's (%zu bytes; at most %d)",
             text.n, MAX_BYTES);
        return NULL;
    }
    if (!load(&doc, file, text, &at, &problem)) {
        fail(d, at, "%s", problem);
        return NULL;
    }
    c = count(&doc);
    yaml_document_delete(&doc);
    if (c.n_node > 4000 || c.n_child > 20000) {
        fail(d, AT_FILE(file), "has too many parts (%zu; at most 4000)", c.n_node);
        return NULL;
    }
    node = ARENA_ARRAY(a, YamlNode, c.n_node);
    child = ARENA_ARRAY(a, const YamlNode *, c.n_child + 1);
    bytes = ARENA_ARRAY(a, char, c.n_text + 1);
    if (!load(&doc, file, text, &at, &problem)) {
        fail(d, at, "%s", problem);
        return NULL;
    }
    copy(&doc, file, node, child, bytes);
    yaml_document_delete(&doc);
    if (node[0].kind != YAML_map) {
        fail(d, node[0].at, "a mapping is expected here (lines of the form 'key: value')");
        return NULL;
    }
    return check_keys(a, d, node, c.n_node) ? node : NULL;
}

const YamlNode *yaml_get(const YamlNode *map, const char *key)
{
    for (int i = 0; i < map->n_child; i += 2)
        if (str_is(map->child[i]->text, key))
            return map->child[i + 1];
    return NULL;
}

bool yaml_only(Diag *d, const YamlNode *map, const char *const *keys)
{
    bool ok = true;

    for (int i = 0; i < map->n_child; i += 2) {
        const YamlNode *key = map->child[i];
        const char *near;
        bool known = false;

        for (int k = 0; keys[k] && !known; k++)
            known = str_is(key->text, keys[k]);
        if (known)
            continue;
        near = str_nearest(key->text, keys);
        ok =
            fail(d, key->at, "unknown key '%.*s'%s%s%s", (int)(key->text.n > 60 ? 60 : key->text.n),
                 key->text.p, near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
    }
    return ok;
}

bool yaml_str(Arena *a, Diag *d, const YamlNode *n, const char *key, const char **out)
{
    if (n->kind != YAML_scalar)
        return fail(d, n->at, "'%s' must be a text", key);
    if (memchr(n->text.p, 0, n->text.n))
        return fail(d, n->at, "'%s' contains a NUL byte", key);
    *out = str_z(a, n->text);
    return true;
}

bool yaml_int(Diag *d, const YamlNode *n, const char *key, int64_t lo, int64_t hi, int64_t *out)
{
    int64_t v;

    if (n->kind != YAML_scalar || !str_to_i64(n->text, &v) || v < lo || v > hi)
        return fail(d, n->at, "'%s' must be a whole number from %" PRId64 " to %" PRId64, key, lo,
                    hi);
    *out = v;
    return true;
}

bool size_parse(Str s, uint64_t *out)
{
    uint64_t unit = 1;
    int64_t v;

    if (s.n > 1) {
        char c = s.p[s.n - 1];

        unit = c == 'K' || c == 'k'   ? 1 << 10
               : c == 'M' || c == 'm' ? 1 << 20
               : c == 'G' || c == 'g' ? 1 << 30
                                      : 1;
        s.n -= unit != 1;
    }
    return str_to_i64(s, &v) && v >= 0 && mul_ok((uint64_t)v, unit, out) && *out <= INT64_MAX;
}

bool yaml_bytes(Diag *d, const YamlNode *n, const char *key, uint64_t *out)
{
    if (n->kind != YAML_scalar || !size_parse(n->text, out))
        return fail(d, n->at, "'%s' must be a size in bytes (a whole number; K, M or G may follow)",
                    key);
    return true;
}

bool yaml_bool(Diag *d, const YamlNode *n, const char *key, bool *out)
{
    if (n->kind != YAML_scalar || (!str_is(n->text, "true") && !str_is(n->text, "false")))
        return fail(d, n->at, "'%s' must be true or false", key);
    *out = str_is(n->text, "true");
    return true;
}

bool yaml_strs(Arena *a, Diag *d, const YamlNode *n, const char *key, const char *const **out)
{
    const char **v;

    if (n->kind != YAML_list)
        return fail(d, n->at, "'%s' must be a list: [a, b]", key);
    v = ARENA_ARRAY(a, const char *, n->n_child + 1);
    for (int i = 0; i < n->n_child; i++)
        if (!yaml_str(a, d, n->child[i], key, &v[i]))
            return false;
    *out = v;
    return true;
}
