/* The table of model families, and what every Module gets whatever its family. */
#include "compiler/arch/arch.h"
#include "compiler/import/vocab.h"

const Arch arch_table[] = {
    { "llama", "Llama 1 to 3, Mistral, SmolLM: RMS norm, RoPE, grouped-query attention, SwiGLU", arch_llama },
    { "qwen2", "Qwen2, Qwen2.5: biases on q, k, v", arch_qwen2 },
    { "qwen3", "Qwen3 (dense): norms of the heads of q and k", arch_qwen3 },
    { "gemma3", "Gemma 3 (text): attention with a window in five of six layers, norms around each part, GeGLU", arch_gemma3 },
    { "pocket", "Pocket, a model of sinter's for microcontrollers: llama's blocks, with a table of embeddings in each layer", arch_pocket },
    { NULL, NULL, NULL },
};

/* Facts about the model that its folder repeats (manifest, report, comments): who made it and under
 * which licence. */
static void add_general(Module *m, const Model *model)
{
    static const char *const keys[] = {
        "general.name",         "general.basename", "general.size_label",   "general.license",
        "general.license.link", "general.author",   "general.organization", "general.url",
        "general.source.url",   "general.finetune", "general.version"
    };

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const KeyValue *kv = model_find(model, keys[i]);
        Attr v = { .name = keys[i], .kind = ATTR_str };

        if (!kv || kv->type != META_str)
            continue;
        v.s = kv_str(kv, 0);
        if (v.s.n > 0 && v.s.n <= 4096) /* longer is not a name: left in the file */
            module_set_meta(m, keys[i], v);
    }
}

static const Arch *family(Arena *a, const Model *model, Diag *d, Str name)
{
    const char *names[32];
    const char *near;
    Buf known = buf_in(a);
    int n = 0;

    for (const Arch *f = arch_table; f->name; f++) {
        if (str_is(name, f->name))
            return f;
        if (n < 31)
            names[n++] = f->name;
        buf_printf(&known, "%s%s", f == arch_table ? "" : ", ", f->name);
    }
    names[n] = NULL;
    near = str_nearest(name, names);
    fail(d, model_at_key(model, STR("general.architecture")),
         "'%s' is not a model family that this version knows%s%s%s (it knows: %s)",
         str_show(a, name, 60), near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "",
         str_z(a, buf_str(&known)));
    return NULL;
}

Module *arch_module(Arena *a, const Model *model, const BuildOptions *o, Diag *d)
{
    Module *m = module_new(a, build_name(a, o));
    const Arch *arch = NULL;
    Str name;

    if (model->graph) {
        module_add_file(m, model->name, model_digest((Model *)model), model->file.n, model->file.p);
        module_set_meta(m, "general.architecture", attr_str("general.architecture", "tflite"));
        return arch_tflite(m, model->graph, d) ? m : NULL;
    }
    if (!model_str(model, d, "general.architecture", &name, true))
        return NULL;
    if (model->n_tensor > 0 && !(arch = family(a, model, d, name)))
        return NULL;
    /* The digest is a cache inside the Model: asking for it changes nothing else. */
    module_add_file(m, model->name, model_digest((Model *)model), model->file.n, model->file.p);
    module_set_meta(m, "general.architecture",
                    (Attr){ .name = "general.architecture", .kind = ATTR_str, .s = name });
    add_general(m, model);
    if (!arch) {                                             /* a vocabulary alone: any family's */
        if (!model_find(model, "tokenizer.ggml.tokens")) {
            fail(d, AT_FILE(model->file.path), "holds neither tensors nor a vocabulary");
            return NULL;
        }
        return vocab_to_module(m, model, d) ? m : NULL;
    }
    if (!arch->build(m, model, o, d) || !vocab_to_module(m, model, d))
        return NULL;
    return m;
}
