/* Reading cases.json (jansson) and truth/NAME.f32.  A configuration has the names of transformers'
 * LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config or Gemma3TextConfig. */
#include "tests/models/cases.h"

#include <jansson.h>
#include <stdlib.h>

typedef struct {
    Arena *a;
    Diag *d;
    const char *path, *name;
} Reader;

/* The member `key` of `o` as a number; missing ones are reported and give 0, so that all are named
 * in one run. */
static double number(Reader *r, const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);

    if (!json_is_number(v))
        fail(r->d, AT_WHAT(r->path, r->name), "'%s' is missing or not a number", key);
    return json_number_value(v);
}

static double optional(const json_t *o, const char *key)
{
    return json_number_value(json_object_get(o, key));
}

static bool is_true(const json_t *o, const char *key)
{
    return json_is_true(json_object_get(o, key));
}

static const char *text(Reader *r, const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    if (!s)
        fail(r->d, AT_WHAT(r->path, r->name), "'%s' is missing or not a string", key);
    return str_z(r->a, str_of(s));
}

/* What the family has, and its configuration does not say. */
static void read_family(Reader *r, const json_t *g, Case *c)
{
    static const struct {
        const char *family, *arch;
        bool qkv_bias, head_norms, post_norms;
    } row[] = {
        { "llama", "llama", false, false, false },  { "mistral", "llama", false, false, false },
        { "qwen2", "qwen2", true, false, false },   { "qwen3", "qwen3", false, true, false },
        { "gemma3", "gemma3", false, true, true },
    };
    bool attn_bias = is_true(g, "attention_bias");

    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        if (strcmp(row[i].family, c->family) == 0) {
            c->arch = row[i].arch;
            c->qkv_bias = row[i].qkv_bias || attn_bias;
            c->o_bias = attn_bias;
            c->mlp_bias = is_true(g, "mlp_bias");
            c->head_norms = row[i].head_norms;
            c->post_norms = row[i].post_norms;
            return;
        }
    fail(r->d, AT_WHAT(r->path, r->name), "'%s' is not a family of these cases", c->family);
}

static void read_layer_types(Reader *r, const json_t *types, Case *c)
{
    if (!types)
        return;
    if ((int64_t)json_array_size(types) != c->n_layer)
        fail(r->d, AT_WHAT(r->path, r->name), "'layer_types' is not one per layer");
    c->local = ARENA_ARRAY(r->a, bool, c->n_layer);
    for (int64_t i = 0; i < c->n_layer; i++) {
        const char *s = json_string_value(json_array_get(types, (size_t)i));

        c->local[i] = s && strcmp(s, "sliding_attention") == 0;
    }
}

static void read_case(Reader *r, const json_t *j, Case *c)
{
    const json_t *g = json_object_get(j, "config"), *s = json_object_get(g, "rope_parameters"),
                 *full = json_object_get(s, "full_attention");

    c->name = r->name = text(r, j, "name");
    c->type = text(r, j, "type");
    c->why = text(r, j, "why");
    c->family = json_object_get(j, "family") ? text(r, j, "family") : "llama";
    c->seed = (uint64_t)number(r, j, "seed");
    c->n_vocab = (int64_t)number(r, g, "vocab_size");
    c->n_embd = (int64_t)number(r, g, "hidden_size");
    c->n_ff = (int64_t)number(r, g, "intermediate_size");
    c->n_layer = (int64_t)number(r, g, "num_hidden_layers");
    c->n_head = (int64_t)number(r, g, "num_attention_heads");
    c->n_head_kv = (int64_t)number(r, g, "num_key_value_heads");
    c->own_head_dim = json_object_get(g, "head_dim") != NULL;
    c->head_dim = c->own_head_dim ? (int64_t)number(r, g, "head_dim")
                  : c->n_head > 0 ? c->n_embd / c->n_head
                                  : 0;
    c->n_ctx = (int64_t)number(r, g, "max_position_embeddings");
    c->eps = number(r, g, "rms_norm_eps");
    c->tied = is_true(g, "tie_word_embeddings");
    c->window = (int64_t)optional(g, "sliding_window");
    c->score_dim = optional(g, "query_pre_attn_scalar");
    c->logit_cap = optional(g, "final_logit_softcapping");
    c->local_theta = optional(json_object_get(s, "sliding_attention"), "rope_theta");
    read_family(r, g, c);
    read_layer_types(r, json_object_get(g, "layer_types"), c);
    s = full ? full : s;
    c->rope = (RopeScaling){
        .type = text(r, s, "rope_type"),
        .theta = number(r, s, "rope_theta"),
        .factor = optional(s, "factor"),
        .low_freq_factor = optional(s, "low_freq_factor"),
        .high_freq_factor = optional(s, "high_freq_factor"),
        .beta_fast = optional(s, "beta_fast"),
        .beta_slow = optional(s, "beta_slow"),
        .attention_factor = optional(s, "attention_factor"),
        .original_ctx = (int64_t)optional(s, "original_max_position_embeddings"),
    };
}

bool cases_read(Arena *a, Diag *d, const char *path, Cases *out)
{
    json_error_t e;
    json_t *root = json_load_file(path, 0, &e);
    Reader r = { .a = a, .d = d, .path = path };
    int n_errors = diag_n_errors(d);

    if (!root)
        return fail(d, AT_LINE(path, e.line > 0 ? e.line : 0, e.column > 0 ? e.column : 0), "%s",
                    e.text);
    const json_t *cases = json_object_get(root, "cases"),
                 *lengths = json_object_get(root, "lengths");

    out->dir = path_dir(a, path);
    out->n = (int)json_array_size(cases);
    out->n_length = (int)json_array_size(lengths);
    out->c = ARENA_ARRAY(a, Case, out->n);
    out->length = ARENA_ARRAY(a, int64_t, out->n_length);
    for (int i = 0; i < out->n; i++)
        read_case(&r, json_array_get(cases, (size_t)i), &out->c[i]);
    for (int i = 0; i < out->n_length; i++)
        out->length[i] = json_integer_value(json_array_get(lengths, (size_t)i));
    json_decref(root);
    if (out->n == 0 || out->n_length == 0)
        return fail(d, AT_FILE(path), "no cases or no lengths");
    return diag_n_errors(d) == n_errors;
}

const Case *cases_find(const Cases *cs, Diag *d, const char *name)
{
    for (int i = 0; i < cs->n; i++)
        if (strcmp(cs->c[i].name, name) == 0)
            return &cs->c[i];
    fail(d, NOWHERE, "no case is named '%s' (mkmodel --list shows them)", name);
    return NULL;
}

void case_ids(const Case *c, int64_t n, int32_t *ids)
{
    for (int64_t t = 0; t < n; t++) {
        float v = fill_value(STR("ids"), (uint64_t)t, (uint64_t)n, 1, 0);
        int64_t u = (int64_t)(v * (float)(1 << 23)) + (1 << 23); /* 24 bits, exact */

        ids[t] = (int32_t)(u * c->n_vocab >> 24);
    }
}

bool case_truth(Arena *a, FileSet *fs, Diag *d, const Cases *cs, const Case *c, int64_t n,
                TruthRow *rows)
{
    const char *path = path_join(a, cs->dir, str_printf(a, "truth/%s.f32", c->name));
    uint64_t total = 0, before = 0;
    bool known = false;
    Mapped m;

    for (int i = 0; i < cs->n_length; i++) {
        int64_t len = cs->length[i];

        if (len == n && !known) {
            known = true;
            before = total;
        }
        total += (uint64_t)(len + (len - 1) * TRUTH_WINDOW + c->n_vocab);
    }
    if (!known)
        return fail(d, NOWHERE, "no sequence of length %" PRId64 " is recorded", n);
    if (!file_map(fs, a, d, path, &m))
        return false;
    if (m.n != total * sizeof(float))
        return fail(d, AT_FILE(path),
                    "%" PRIu64 " bytes where %" PRIu64 " are due (recorded for another cases.json? "
                    "run record.py)",
                    m.n, (uint64_t)(total * sizeof(float)));
    float *f = ARENA_ARRAY(a, float, total);

    memcpy(f, m.p, m.n); /* little-endian, as every machine that runs these tests */
    f += before;
    for (int64_t t = 0; t < n; t++) {
        bool last = t == n - 1;

        rows[t] = (TruthRow){ .max_abs = *f,
                              .first = last ? 0 : t * TRUTH_WINDOW % c->n_vocab,
                              .n = last ? c->n_vocab : TRUTH_WINDOW,
                              .logit = f + 1 };
        f += 1 + rows[t].n;
    }
    return true;
}
