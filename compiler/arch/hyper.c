/* Hyperparameters of decoders: keys under the family's name, "llama.block_count".
 *
 * Every number is hostile until its range has been checked.  What would change the model and is not computed is refused; a
 * key that cannot matter to these families is not looked at. */
#include "compiler/arch/arch.h"

#include <math.h>

const char *key_name(const Keys *k, const char *what)
{
    return str_printf(k->a, "%s.%s", k->family->name, what);
}

Loc key_loc(const Keys *k, const char *what)
{
    return model_at_key(k->model, str_of(key_name(k, what)));
}

bool key_u32(const Keys *k, const char *what, uint32_t *out, bool required)
{
    return model_u32(k->model, k->d, key_name(k, what), out, required);
}

bool key_f32(const Keys *k, const char *what, float *out, bool required)
{
    return model_f32(k->model, k->d, key_name(k, what), out, required);
}

static bool positive(const Keys *k, const char *what, uint32_t v, uint32_t most)
{
    if (v >= 1 && v <= most)
        return true;
    return fail(k->d, key_loc(k, what), "%" PRIu32 " is not possible (1 to %" PRIu32 " is)", v,
                most);
}

bool key_base(const Keys *k, const char *what, float *theta)
{
    if (!key_f32(k, what, theta, false))
        return false;
    if (!(*theta > 1) || !isfinite(*theta))
        return fail(k->d, key_loc(k, what), "the base must be a number over 1");
    return true;
}

/* ---- rotary embeddings ------------------------------------------------------------------------------------------------ */

static bool read_yarn(const Keys *k, const Hyper *h, RopeScaling *r)
{
    uint32_t n_ctx_orig = h->n_ctx;
    float ext = 1, fast = 32, slow = 1, attn = 0, total = 0;

    if (!key_u32(k, "rope.scaling.original_context_length", &n_ctx_orig, false) ||
        !key_f32(k, "rope.scaling.attn_factor", &attn, false) ||
        !key_f32(k, "rope.scaling.yarn_attn_factor", &total, false) ||
        !key_f32(k, "rope.scaling.yarn_ext_factor", &ext, false) ||
        !key_f32(k, "rope.scaling.yarn_beta_fast", &fast, false) ||
        !key_f32(k, "rope.scaling.yarn_beta_slow", &slow, false))
        return false;
    if (!(r->factor >= 1) || n_ctx_orig < 1 || !(slow > 0) || !(fast >= slow) || !(ext >= 0) ||
        !isfinite(fast) || !isfinite(ext) || !(attn >= 0) || !isfinite(attn) || !(total >= 0) ||
        !isfinite(total))
        return fail(k->d, key_loc(k, "rope.scaling.type"),
                    "yarn needs factor >= 1, an original context, and beta_fast >= beta_slow > 0");
    r->n_ctx_orig = n_ctx_orig;
    r->ext_factor = (double)ext;
    r->beta_fast = (double)fast;
    r->beta_slow = (double)slow;
    /* Two keys for one number: attn_factor multiplies 1 + 0.1 ln factor, yarn_attn_factor stands in
     * its place. */
    if (attn > 0)
        r->attn_factor = (double)attn;
    else if (total > 0)
        r->attn_factor = (double)total / (1 + 0.1 * rope_log(r->factor));
    return true;
}

static bool read_rope(const Keys *k, Hyper *h)
{
    uint32_t n_rot = h->head_dim;
    float theta = 10000, factor = 0, scale = 0;
    Str type = STR("linear");
    bool yarn;

    if (!key_u32(k, "rope.dimension_count", &n_rot, false) ||
        !model_str(k->model, k->d, key_name(k, "rope.scaling.type"), &type, false) ||
        !key_f32(k, "rope.scale_linear", &scale, false) ||
        !key_f32(k, "rope.scaling.factor", &factor, false))
        return false;
    if (n_rot < 2 || n_rot % 2 || n_rot > h->head_dim)
        return fail(k->d, key_loc(k, "rope.dimension_count"),
                    "%" PRIu32 " of %" PRIu32 " dimensions cannot be rotated in pairs", n_rot,
                    h->head_dim);
    if (!key_base(k, "rope.freq_base", &theta))
        return false;
    if (factor == 0)
        factor = scale;                                      /* the key's name before 2023-11 */
    if (factor == 0 || str_is(type, "none"))
        factor = 1;
    yarn = str_is(type, "yarn");
    if (!yarn && !str_is(type, "linear") && !str_is(type, "none"))
        return fail(k->d, key_loc(k, "rope.scaling.type"),
                    "'%s' is not a kind of scaling that this version knows (none, linear, yarn; "
                    "llama3 comes as the tensor "
                    "rope_freqs.weight)",
                    str_show(k->a, type, 40));
    if (!(factor > 0) || !isfinite(factor))
        return fail(k->d, key_loc(k, "rope.scaling.factor"), "the factor must be a number over 0");
    h->rope = (RopeScaling){ .kind = yarn          ? ROPE_yarn
                                     : factor != 1 ? ROPE_linear
                                                   : ROPE_none,
                             .n_rot = (int)n_rot,
                             .theta = (double)theta,
                             .factor = (double)factor,
                             .attn_factor = 1 };
    return !yarn || read_yarn(k, h, &h->rope);
}

/* ---- what attention sees ---------------------------------------------------------------------------------------------- */

/* Attention with a window: in which layers.  The pattern is a list of flags, or a period whose last
 * layer sees everything (0: none does); the family has a period for files that say neither. */
static bool read_window(const Keys *k, Hyper *h)
{
    const char *pattern = "attention.sliding_window_pattern";
    const KeyValue *kv = model_find(k->model, key_name(k, pattern));
    uint32_t n = 0, period = k->family->window_period;

    if (!key_u32(k, "attention.sliding_window", &n, false))
        return false;
    if (n > INT32_MAX)
        return fail(k->d, key_loc(k, "attention.sliding_window"),
                    "%" PRIu32 " is not a length of a window", n);
    if (kv && kv->type == META_array) {
        if (kv->n != h->n_layer || !(kv->elem == META_bool || meta_is_int(kv->elem)))
            return fail(k->d, key_loc(k, pattern),
                        "must be one number, or a flag for each of the %" PRIu32 " layers",
                        h->n_layer);
        for (uint32_t i = 0; i < h->n_layer; i++) {
            int64_t flag = 0;

            kv_int(kv, i, &flag);
            h->window[i] = flag ? n : 0;
        }
        return true;
    }
    if (!key_u32(k, pattern, &period, false))
        return false;
    for (uint32_t i = 0; i < h->n_layer; i++)
        h->window[i] = period == 0 || i % period != period - 1 ? n : 0;
    return true;
}

/* What files of these families may also say and this version does not compute. */
static bool read_unsupported(const Keys *k, const Hyper *h)
{
    const struct { const char *key; uint32_t same; const char *says; } row[] = {
        { "expert_count", 0, "mixtures of experts are not there yet in this version" },
        { "attention.value_length", h->head_dim, "values of another length than the keys are not there yet in this version" },
        { "attention.key_length_swa", h->head_dim, "heads of several lengths are not there yet in this version" },
        { "attention.value_length_swa", h->head_dim, "heads of several lengths are not there yet in this version" },
    };
    float softcap = 0;
    bool causal = true;

    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        uint32_t v = row[i].same;

        if (!key_u32(k, row[i].key, &v, false))
            return false;
        if (v != row[i].same)
            return fail(k->d, key_loc(k, row[i].key), "%" PRIu32 ": %s", v, row[i].says);
    }
    if (!key_f32(k, "attn_logit_softcapping", &softcap, false) ||
        !model_bool(k->model, k->d, key_name(k, "attention.causal"), &causal, false))
        return false;
    if (softcap != 0)
        return fail(k->d, key_loc(k, "attn_logit_softcapping"),
                    "capped scores are not what this family computes");
    if (!causal)
        return fail(k->d, key_loc(k, "attention.causal"),
                    "attention to later tokens is not there yet in this version");
    return true;
}

/* ---- all -------------------------------------------------------------------------------------------------------------- */

static bool read_layers(const Keys *k, Hyper *h)
{
    h->n_head = ARENA_ARRAY(k->a, uint32_t, h->n_layer);
    h->n_head_kv = ARENA_ARRAY(k->a, uint32_t, h->n_layer);
    h->n_ff = ARENA_ARRAY(k->a, uint32_t, h->n_layer);
    h->window = ARENA_ARRAY(k->a, uint32_t, h->n_layer);
    if (!model_u32_layers(k->model, k->d, key_name(k, "attention.head_count"), h->n_head,
                          h->n_layer, true))
        return false;
    memcpy(h->n_head_kv, h->n_head, h->n_layer * sizeof *h->n_head);
    if (!model_u32_layers(k->model, k->d, key_name(k, "attention.head_count_kv"), h->n_head_kv,
                          h->n_layer, false) ||
        !model_u32_layers(k->model, k->d, key_name(k, "feed_forward_length"), h->n_ff, h->n_layer,
                          true))
        return false;
    for (uint32_t i = 0; i < h->n_layer; i++) {
        if (!positive(k, "attention.head_count", h->n_head[i], 1 << 16) ||
            !positive(k, "attention.head_count_kv", h->n_head_kv[i], 1 << 16) ||
            !positive(k, "feed_forward_length", h->n_ff[i], 1 << 24))
            return false;
        if (h->n_head[i] % h->n_head_kv[i])
            return fail(k->d, key_loc(k, "attention.head_count_kv"),
                        "block %" PRIu32 ": %" PRIu32 " query heads cannot share %" PRIu32
                        " KV heads evenly",
                        i, h->n_head[i], h->n_head_kv[i]);
    }
    return true;
}

bool hyper_read(const Keys *k, Hyper *h)
{
    const ModelTensor *embd = model_tensor(k->model, "token_embd.weight");
    float scale = 0;

    *h = (Hyper){ .embd_scale = 1 };
    if (!key_u32(k, "block_count", &h->n_layer, true) ||
        !key_u32(k, "embedding_length", &h->n_embd, true) ||
        !key_u32(k, "context_length", &h->n_ctx, true) ||
        !key_f32(k, "attention.layer_norm_rms_epsilon", &h->eps, true) ||
        !positive(k, "block_count", h->n_layer, 4096) ||
        !positive(k, "embedding_length", h->n_embd, 1 << 20) ||
        !positive(k, "context_length", h->n_ctx, INT32_MAX))
        return false;
    if (!(h->eps > 0 && h->eps < 1))
        return fail(k->d, key_loc(k, "attention.layer_norm_rms_epsilon"),
                    "must be between 0 and 1");
    if (!read_layers(k, h) || !read_window(k, h))
        return false;
    h->head_dim = h->n_embd / h->n_head[0];
    if (!key_u32(k, "attention.key_length", &h->head_dim, false) ||
        !positive(k, "attention.key_length", h->head_dim, 1 << 14) || !read_unsupported(k, h) ||
        !key_f32(k, "attention.scale", &scale, false))
        return false;
    if (scale < 0 || !isfinite(scale))
        return fail(k->d, key_loc(k, "attention.scale"), "must be a number over 0");
    h->attn_scale = scale > 0 ? (double)scale : 1 / sqrt((double)h->head_dim);
    h->n_vocab = embd && embd->rank == 2 ? embd->dim[0] : -1;
    if (h->n_vocab > INT32_MAX)
        return fail(k->d, model_at_tensor(k->model, embd->name),
                    "has too many rows for a vocabulary");
    return read_rope(k, h) && (!k->family->hyper || k->family->hyper(k, h));
}

void hyper_facts(Module *m, const Hyper *h)
{
    struct { const char *key; int64_t v; } row[] = {
        { "n_vocab", h->n_vocab }, { "n_ctx_train", h->n_ctx }, { "n_embd", h->n_embd }, { "n_layer", h->n_layer },
        { "n_head", h->n_head[0] }, { "n_head_kv", h->n_head_kv[0] }, { "head_dim", h->head_dim }, { "n_ff", h->n_ff[0] },
        { "n_rot", h->rope.n_rot },
    };

    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        module_set_meta(m, row[i].key, attr_int(row[i].key, row[i].v));
    module_set_meta(m, "rope_theta", attr_float("rope_theta", h->rope.theta));
    for (uint32_t i = 0; i < h->n_layer; i++)
        if (h->window[i]) {
            module_set_meta(m, "window", attr_int("window", h->window[i]));
            break;
        }
}
