/* tokenizer.* of a model file -> Vocab -> the Module's section "tok".
 *
 * What the keys mean: GGUF's documentation (ggml/docs/gguf.md, "Tokenizer"), and for what files leave out, llama.cpp. */
#include "compiler/import/vocab.h"

#include <assert.h>
#include <math.h>

#define KEY(x) "tokenizer." x
enum { MAX_TOKENS = 1 << 22, MAX_MERGES = 1 << 23, MAX_TEXT = 65535, MAX_ALL_TEXT = 1 << 30 };

/* A key that is missing leaves *out as it was. */
static bool read_id(const Model *m, Diag *d, const char *key, int n_token, int *out)
{
    uint32_t id = UINT32_MAX;

    if (!model_u32(m, d, key, &id, false))
        return false;
    if (id == UINT32_MAX) {
        if (model_find(m, key))
            *out = -1;                                      /* some writers mean "none" */
        return true;
    }
    if (id >= (uint32_t)n_token)
        return fail(d, model_at_key(m, str_of(key)), "token %" PRIu32 " does not exist (the vocabulary has %d)", id, n_token);
    *out = (int)id;
    return true;
}

/* Tokens of these names end an answer; files rarely say so.  The list follows llama.cpp's (llama-vocab.cpp). */
static bool is_end_name(Str s)
{
    static const char *const names[] = { "<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<end_of_turn>",
        "<|endoftext|>", "<|end_of_text|>", "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "</s>", "<end_of_utterance>", NULL };

    for (int i = 0; names[i]; i++)
        if (str_is(s, names[i]))
            return true;
    return false;
}

static bool read_merges(const Model *m, Arena *a, Diag *d, Vocab *v)
{
    const KeyValue *merges;
    bool ok = true;

    if (!model_array(m, d, KEY("ggml.merges"), META_str, &merges, true))
        return false;
    if (merges->n > MAX_MERGES)
        return fail(d, model_at_key(m, merges->key), "%" PRIu64 " merges (at most %d are possible)", merges->n, MAX_MERGES);
    v->n_merge = (int)merges->n;
    v->merge = merges->str;
    for (int i = 0; i < v->n_merge; i++)
        if (v->merge[i].n > 2 * MAX_TEXT + 1) {
            const char *place = str_printf(a, "key '%s', index %d", KEY("ggml.merges"), i);
            ok = fail(d, AT_WHAT(v->file, place), "a merge of %zu bytes", v->merge[i].n);
        }
    return ok;
}

static bool read_scores(const Model *m, Arena *a, Diag *d, Vocab *v)
{
    const KeyValue *scores;
    float *score = ARENA_ARRAY(a, float, v->n_token);

    if (!model_array(m, d, KEY("ggml.scores"), META_f32, &scores, true))
        return false;
    if (scores->n != (uint64_t)v->n_token)
        return fail(d, model_at_key(m, scores->key), "%" PRIu64 " scores for %d tokens", scores->n, v->n_token);
    for (int i = 0; i < v->n_token; i++) {
        double s = 0;

        kv_float(scores, (uint64_t)i, &s);
        score[i] = s > 3e38 ? INFINITY : s < -3e38 ? -INFINITY : (float)s;
    }
    v->score = score;
    return true;
}

static bool read_tokens(const Model *m, Arena *a, Diag *d, Vocab *v)
{
    const KeyValue *tokens, *types;
    uint64_t all = 0;
    bool ok = true;

    if (!model_array(m, d, KEY("ggml.tokens"), META_str, &tokens, true) ||
        !model_array(m, d, KEY("ggml.token_type"), META_i64, &types, false))
        return false;
    if (!tokens->n || tokens->n > MAX_TOKENS)
        return fail(d, model_at_key(m, tokens->key), "%" PRIu64 " tokens (1 to %d are possible)", tokens->n, MAX_TOKENS);
    if (types && types->n != tokens->n)
        return fail(d, model_at_key(m, types->key), "%" PRIu64 " types for %" PRIu64 " tokens", types->n, tokens->n);
    v->n_token = (int)tokens->n;
    v->token = tokens->str;
    v->has_types = types != NULL;
    v->type = ARENA_ARRAY(a, uint8_t, v->n_token);
    v->is_end = ARENA_ARRAY(a, bool, v->n_token);
    for (int i = 0; i < v->n_token; i++) {
        int64_t type = TOKEN_normal;
        const char *place = NULL;

        all += v->token[i].n;
        if (v->token[i].n > MAX_TEXT) {
            place = str_printf(a, "key '%s', index %d", KEY("ggml.tokens"), i);
            ok = fail(d, AT_WHAT(v->file, place), "a token of %zu bytes (at most %d are possible)", v->token[i].n, MAX_TEXT);
        }
        if (types && (!kv_int(types, (uint64_t)i, &type) || type < 0 || type > TOKEN_byte)) {
            place = str_printf(a, "key '%s', index %d", KEY("ggml.token_type"), i);
            ok = fail(d, AT_WHAT(v->file, place), "%" PRId64 " is not a type of token (0 to %d)", type, TOKEN_byte);
            type = TOKEN_normal;
        }
        v->type[i] = (uint8_t)(type ? type : TOKEN_normal);
        if (is_end_name(v->token[i])) {
            v->is_end[i] = v->type[i] == TOKEN_control || v->type[i] == TOKEN_user;
            if (v->is_end[i])
                v->type[i] = TOKEN_control;                 /* conversions sometimes call it user-defined */
        }
    }
    if (all > MAX_ALL_TEXT)
        return fail(d, model_at_key(m, tokens->key), "%" PRIu64 " bytes of tokens (at most %d are possible)", all, MAX_ALL_TEXT);
    return ok;
}

/* Phi-3's special tokens take the white space behind them, which no key of the file says; llama.cpp goes by the model's name. */
static void strip_like_phi3(const Model *m, Arena *a, Vocab *v)
{
    const KeyValue *kv = model_find(m, "general.name");
    Str name = kv && kv->type == META_str ? str_copy(a, kv_str(kv, 0)) : STR("");
    bool phi3 = false;

    for (size_t i = 0; i + 4 <= name.n && !phi3; i++) {
        const char *p = name.p + i;
        phi3 = (p[0] | 0x20) == 'p' && (p[1] | 0x20) == 'h' && (p[2] | 0x20) == 'i' &&
               (p[3] == '3' || (p[3] == '-' && i + 5 <= name.n && p[4] == '3'));
    }
    if (!phi3)
        return;
    v->strips = ARENA_ARRAY(a, bool, v->n_token);
    for (int i = 0; i < v->n_token; i++)
        v->strips[i] = v->type[i] != TOKEN_normal && v->type[i] != TOKEN_byte && !str_is(v->token[i], "<unk>") &&
                       !str_is(v->token[i], "<s>") && !str_is(v->token[i], "<|endoftext|>");
}

static bool read_special(const Model *model, Diag *d, Vocab *v)
{
    int eot = -1, n = v->n_token;

    /* What files of SentencePiece that say nothing mean. */
    if (v->kind == VOCAB_spm && n > 2) {
        v->unk = 0;
        v->bos = 1;
        v->eos = 2;
    }
    if (!read_id(model, d, KEY("ggml.bos_token_id"), n, &v->bos) || !read_id(model, d, KEY("ggml.eos_token_id"), n, &v->eos) ||
        !read_id(model, d, KEY("ggml.unknown_token_id"), n, &v->unk) || !read_id(model, d, KEY("ggml.eot_token_id"), n, &eot) ||
        !model_bool(model, d, KEY("ggml.add_bos_token"), &v->add_bos, false) ||
        !model_bool(model, d, KEY("ggml.add_eos_token"), &v->add_eos, false) ||
        !model_bool(model, d, KEY("ggml.add_space_prefix"), &v->add_space, false) ||
        !model_str(model, d, KEY("chat_template"), &v->chat_template, false))
        return false;
    v->add_space &= v->kind == VOCAB_spm;                   /* byte-level BPE has no such thing, whatever files say */
    if (v->eos >= 0)
        v->is_end[v->eos] = true;
    if (eot >= 0)
        v->is_end[eot] = true;
    return true;
}

VocabResult vocab_read(const Model *model, Arena *a, Diag *d, Vocab *v, const char **missing)
{
    Str kind = { NULL, 0 }, pre = STR("gpt-2");

    *v = (Vocab){ .file = model->file.path, .bos = -1, .eos = -1, .unk = -1 };
    *missing = "the model's file has no tokenizer";
    if (!model_find(model, KEY("ggml.model")) && !model_find(model, KEY("ggml.tokens")))
        return VOCAB_absent;
    if (!model_str(model, d, KEY("ggml.model"), &kind, true) || !model_str(model, d, KEY("ggml.pre"), &pre, false))
        return VOCAB_wrong;
    if (str_is(kind, "llama")) {
        v->kind = VOCAB_spm;
        v->add_bos = v->add_space = true;
        if (!read_tokens(model, a, d, v) || !read_scores(model, a, d, v) || !read_special(model, d, v))
            return VOCAB_wrong;
        strip_like_phi3(model, a, v);
        return VOCAB_ok;
    }
    if (!str_is(kind, "gpt2")) {
        *missing = str_printf(a, "its tokenizer is of kind '%s', and sinter knows only 'gpt2' (byte-level BPE) and 'llama' "
                              "(SentencePiece) yet", str_show(a, kind, 40));
        return VOCAB_absent;
    }
    if (str_is(pre, "default"))
        pre = STR("gpt-2");
    v->pretok = pretok_find(pre);
    if (!v->pretok) {
        *missing = str_printf(a, "its pre-tokenizer is '%s', which sinter does not know yet", str_show(a, pre, 40));
        return VOCAB_absent;
    }
    v->add_bos = v->pretok->add_bos;
    if (!read_tokens(model, a, d, v) || !read_merges(model, a, d, v) || !read_special(model, d, v))
        return VOCAB_wrong;
    return VOCAB_ok;
}

static void set_str(Module *m, const char *key, Str s)
{
    module_set_meta(m, key, (Attr){ .name = key, .kind = ATTR_str, .s = s });
}

static void set_int(Module *m, const char *key, int64_t i)
{
    module_set_meta(m, key, attr_int(key, i));
}

bool vocab_to_module(Module *m, const Model *model, Diag *d)
{
    const char *missing;
    Vocab v;
    VocabResult r = vocab_read(model, m->a, d, &v, &missing);

    if (r == VOCAB_wrong)
        return false;
    if (r == VOCAB_absent) {
        set_str(m, "text.kind", STR(""));
        set_str(m, "text.missing", str_of(missing));
        note(d, "no text layer: %s; %s", missing,
             model->n_tensor ? "the program takes --ids" : "there are no tensors either, so the program can do nothing");
        return true;
    }
    ChatTemplate chat = template_compile(m->a, &v);
    Buf blob = buf_in(m->a);
    if (!text_tables(&v, &chat, m->a, d, &blob))
        return false;
    module_add_blob(m, "tok", blob.p, blob.n);
    set_str(m, "text.kind", v.kind == VOCAB_spm ? STR("spm") : STR("bpe"));
    set_str(m, "text.pre", v.pretok ? str_of(v.pretok->name) : STR(""));
    set_str(m, "text.template", chat.known ? STR("jinja") : STR(""));
    if (!chat.known) {
        set_str(m, "text.template.missing", str_of(chat.unknown));
        if (*chat.unknown)
            note(d, "no --chat: the chat template has something that sinter does not know: %s", chat.unknown);
    }
    set_int(m, "text.n_vocab", v.n_token);
    set_int(m, "text.bos", v.bos);
    set_int(m, "text.eos", v.eos);
    return true;
}
