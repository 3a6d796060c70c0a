/* YAML files, read strictly: a small tree in the arena, with the place of every node.
 *
 * sinter's own files (targets/NAME.yaml, sinter.yaml) are mappings of scalars, lists and mappings.  libyaml parses; what is
 * left here is a tree whose readers report unknown keys, wrong kinds and bad numbers with file, line and column. */
#ifndef SN_YAML_H
#define SN_YAML_H

#include "ir/base/base.h"

typedef enum { YAML_scalar, YAML_list, YAML_map } YamlKind;

typedef struct YamlNode YamlNode;
struct YamlNode {
    YamlKind kind;
    Str text;                       /* scalar */
    const YamlNode **child;         /* list: its items; map: key, value, key, value, ... (keys are scalars) */
    int n_child;
    Loc at;                         /* file, line and column, from 1 */
};

/* The root of the only document in `text`, which may be any bytes.  NULL after a report (also when it is not a mapping, a
 * key occurs twice, a key is not a scalar, or the text is longer than 1 MiB).  An alias shares its anchor's node, so the
 * tree may have cycles: readers go down by schema, never to the bottom. */
const YamlNode *yaml_read(Arena *a, Diag *d, const char *file, Str text);

/* The value of a key, NULL if it is not there. */
const YamlNode *yaml_get(const YamlNode *map, const char *key);

/* Every key of the mapping is one of `keys` (NULL-terminated).  Each other one is reported with the nearest known one. */
bool yaml_only(Diag *d, const YamlNode *map, const char *const *keys);

/* Readers: false after a report that names `key`, where the node is of another kind or out of range.  A scalar as text,
 * as an integer in [lo, hi], as bytes (a number with an optional K, M, G: 1024, 1024^2, 1024^3), as true or false, and a
 * list of scalars (NULL-terminated). */
bool yaml_str(Arena *a, Diag *d, const YamlNode *n, const char *key, const char **out);
bool yaml_int(Diag *d, const YamlNode *n, const char *key, int64_t lo, int64_t hi, int64_t *out);
bool yaml_bytes(Diag *d, const YamlNode *n, const char *key, uint64_t *out);
bool yaml_bool(Diag *d, const YamlNode *n, const char *key, bool *out);
bool yaml_strs(Arena *a, Diag *d, const YamlNode *n, const char *key, const char *const **out);

/* "300M" -> bytes; false when it is not a size. */
bool size_parse(Str s, uint64_t *out);

#endif
