/* hostile: GGUF files of a tiny llama model whose strings are payloads.
 *
 *     hostile --list                       "N NAME" of every payload
 *     hostile N OUT.gguf [TEMPLATE]        all strings of the file are payload N; N = 0: harmless strings; N = -1: each another one
 *     hostile --raw N                      the payload's bytes on standard output
 *
 * Payloads are where strings are free: general.*, names of metadata keys and their values, tokens, merges, the chat template.
 * TEMPLATE: chatml (the payload is the text that ChatML puts around messages and the default system message; the default), bare
 * (the payload is the template), merges (chatml, and a merge that is the payload as it is, outside the alphabet), none.
 *
 *     tokens    0..255 the bytes, 256 a merge of two of them, 257.. the payload as normal, control and user-defined token
 *     tensors   one layer, n_embd 32, two heads; values are a pure function of name and index */
#include "compiler/import/model.h"
#include "ir/formats.h"

#include <stdlib.h>

enum { N_EMBD = 32, N_FF = 64, MEGABYTE = 1 << 20 };

#define P(name, text) { name, text, sizeof text - 1 }
static const struct { const char *name, *text; size_t n; } payload[] = {
    P("harmless", "a model of no interest"),
    P("comment", "*/ #error \"out of the comment\"\n/* // */ int escaped;"),
    P("comment-borders", "/*/ */*/ **/ /**/ //*/ *"),
    P("directive", "\n#error directive\n#include \"/etc/passwd\"\n#define int error\n_Pragma(\"GCC error\")"),
    P("shell", "$(shell touch pwned) `touch pwned` $(touch pwned); touch pwned & | touch pwned > pwned"),
    P("make", "\n\ttouch pwned\nall:: ; touch pwned\n$(shell touch pwned)\n%: ; #\\\n$$(x) ${y} := ="),
    P("string", "\"; system(\"touch pwned\"); char *s = \""),
    P("html", "</script><script>alert(1)</script></title><img src=x onerror=alert(1)>&lt;' onload=\"x"),
    P("json", "\", \"injected\": true, \"x\": {\"\\u0000\": [1e999]}}"),
    P("path", "../../pwned"),
    P("absolute", "/tmp/../../../pwned"),
    P("newlines", "a\nb\r\nc\rd\v\fe\xe2\x80\xa8" "f\xe2\x80\xa9" "g\xc2\x85h"),
    P("nul", "before\0after \"*/\0"),
    P("invalid-utf-8", "\xff\xfe\xc0\x80\xed\xa0\x80\xf8\x88\x80\x80\x80 \x80 \xe2\x82 \xf0\x9f"),
    P("keywords", "int while return struct if else for void static"),
    P("trigraphs", "?\?/ ?\?= ?\?' ?\?( ?\?) ?\?! ?\?< ?\?> ?\?- ?\?/\n#error trigraph"),
    P("format", "%s%n%d%999999999d%p %1$s %*.*f"),
    P("splice", "line \\\n#error spliced \\\\\n\\"),
    P("terminal", "\x1b]0;pwned\x07\x1b[2J\x1b[31m\x9b" "31m\x7f\b\b"),
    P("direction", "\xe2\x80\xae" "gnp.exe\xe2\x80\xac \xef\xbb\xbf\xe2\x81\xa6"),
    P("template", "{{ '{%' }} {% for x in y %}{% endfor %} {{ 7*7 }} {# #} {%- raw -%}"),
    P("sir", "\"\n}\nfunc evil() {\n  %x = extern @system(\"touch pwned\")\n}\nweight @w = view \"../../x\""),
    P("cmake", "${CMAKE_COMMAND} \") execute_process(COMMAND touch pwned) message(\" ]] [[ ;$ENV{HOME}"),
    P("empty", ""),
    P("space", "   \t  "),
    P("assembler", "\\n.incbin \\\"/etc/passwd\\\"\\n\" ::: \"memory\"); .incbin \"/etc/passwd\""),
    P("long", "\001"),                          /* made by payload_of: a megabyte of a few of the others */
};
enum { N_PAYLOAD = sizeof payload / sizeof *payload, LONG = N_PAYLOAD - 1 };

static Str payload_of(Arena *a, int i)
{
    Buf b = buf_in(a);

    if (i != LONG)
        return (Str){ payload[i].text, payload[i].n };
    while (b.n < MEGABYTE)
        for (int k = 1; k < LONG; k++)
            buf_put(&b, payload[k].text, payload[k].n);
    return buf_str(&b);
}

/* Bytes as byte-level BPE spells them: those that have no picture of their own become U+0100 and following. */
static void put_byte(Buf *b, int c)
{
    int code = c, n = 0;

    if (c < '!' || (c > '~' && c < 0xa1) || c == 0xad) {
        for (int k = 0; k < c; k++)
            n += k < '!' || (k > '~' && k < 0xa1) || k == 0xad;
        code = 256 + n;
    }
    if (code < 0x80)
        buf_putc(b, (char)code);
    else {
        buf_putc(b, (char)(0xc0 | code >> 6));
        buf_putc(b, (char)(0x80 | (code & 63)));
    }
}

static Str spelled(Arena *a, Str s)
{
    Buf b = buf_in(a);

    for (size_t i = 0; i < s.n; i++)
        put_byte(&b, (unsigned char)s.p[i]);
    return buf_str(&b);
}

static Str join(Arena *a, Str x, Str y)
{
    Buf b = buf_in(a);

    buf_put(&b, x.p, x.n);
    buf_put(&b, y.p, y.n);
    return buf_str(&b);
}

/* A Jinja string literal. */
static void put_literal(Buf *b, Str s)
{
    buf_putc(b, '\'');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\\' || s.p[i] == '\'')
            buf_putc(b, '\\');
        buf_putc(b, s.p[i]);
    }
    buf_putc(b, '\'');
}

static Str chatml(Arena *a, Str p)
{
    Buf b = buf_in(a);

    buf_puts(&b, "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ ");
    put_literal(&b, p);
    buf_puts(&b, " }}{% endif %}{{ ");
    put_literal(&b, p);
    buf_puts(&b, " + message['role'] + '\n' + message['content'] + ");
    put_literal(&b, p);
    buf_puts(&b, " }}{% endfor %}{% if add_generation_prompt %}{{ ");
    put_literal(&b, p);
    buf_puts(&b, " }}{% endif %}");
    return buf_str(&b);
}

typedef struct { GgufWriter *w; Arena *a; int n; struct { const char *name; int64_t rows, cols; } t[16]; } Tensors;

static void tensor(Tensors *s, const char *name, int64_t rows, int64_t cols)
{
    gguf_put_tensor(s->w, str_of(name), format_find(STR("f32")), rows ? 2 : 1, rows ? (int64_t[]){ rows, cols } : (int64_t[]){ cols });
    s->t[s->n].name = name;
    s->t[s->n].rows = rows ? rows : 1;
    s->t[s->n++].cols = cols;
}

static bool tensor_data(Tensors *s)
{
    for (int i = 0; i < s->n; i++) {
        int64_t n = s->t[i].rows * s->t[i].cols, dim[2] = { s->t[i].rows, s->t[i].cols };
        bool vector = s->t[i].rows == 1;
        float *x = ARENA_ARRAY(s->a, float, n), scale, base;

        fill_scale(str_of(s->t[i].name), vector ? 1 : 2, vector ? dim + 1 : dim, &scale, &base);
        for (int64_t k = 0; k < n; k++)
            x[k] = fill_value(str_of(s->t[i].name), (uint64_t)k, 7, scale, base);
        if (!gguf_data(s->w, x, (size_t)n * sizeof *x))
            return false;
    }
    return true;
}

typedef struct { Arena *a; int i, next; } Source;

/* The next string: always the same payload, or one after the other. */
static Str next(Source *s)
{
    if (s->i >= 0)
        return payload_of(s->a, s->i);
    s->next = s->next % (N_PAYLOAD - 1) + 1;
    return payload_of(s->a, s->next);
}

static Str at_most(Str s, size_t n)
{
    return (Str){ s.p, s.n < n ? s.n : n };
}

static void put_strings(GgufWriter *w, Source *s, const char *template)
{
    static const char *const key[] = { "general.name", "general.author", "general.license", "general.organization", "general.basename",
                                       "general.description", "general.url", "general.license.link", "general.source.url" };
    enum { N_KEYS = sizeof key / sizeof *key, N_BYTES = 256, TOKEN_MAX = 60000 };
    Str token[N_BYTES + 5], merge[2];
    int32_t type[N_BYTES + 5];
    int n = 0;

    for (int i = 0; i < N_KEYS; i++)
        gguf_put_str(w, key[i], next(s));
    gguf_put_strs(w, "general.tags", (Str[]){ next(s), next(s) }, 2);
    for (int i = 0; i < N_PAYLOAD && s->i; i++) {            /* keys that nobody asks for; a C string here, so up to the first NUL */
        Str k = s->i > 0 ? at_most(next(s), 200) : payload_of(s->a, i);

        if (i < LONG && (s->i < 0 || !i))
            gguf_put_str(w, str_printf(s->a, "x%d.%.*s", i, STR_ARG(k)), next(s));
    }
    for (int c = 0; c < N_BYTES; c++) {
        Buf b = buf_in(s->a);

        put_byte(&b, c);
        token[n] = buf_str(&b);
        type[n++] = 1;
    }
    token[n] = STR("th");
    type[n++] = 1;
    for (int i = 0; i < 4; i++) {
        static const int types[] = { 3, 1, 4, 3 };           /* control, normal, user-defined, control */
        Str p = at_most(next(s), TOKEN_MAX / 4);

        p = join(s->a, str_of(str_printf(s->a, "token %d ", i)), p);
        token[n] = types[i] == 1 ? spelled(s->a, p) : p;
        type[n++] = types[i];
    }
    merge[0] = STR("t h");
    merge[1] = next(s);
    if (strcmp(template, "merges")) {
        merge[1] = at_most(merge[1], 1000);
        merge[1] = join(s->a, join(s->a, STR("x"), spelled(s->a, merge[1])), join(s->a, STR(" y"), spelled(s->a, merge[1])));
    }
    gguf_put_str(w, "tokenizer.ggml.model", STR("gpt2"));
    gguf_put_str(w, "tokenizer.ggml.pre", STR("smollm"));
    gguf_put_strs(w, "tokenizer.ggml.tokens", token, (uint64_t)n);
    gguf_put_i32s(w, "tokenizer.ggml.token_type", type, (uint64_t)n);
    gguf_put_strs(w, "tokenizer.ggml.merges", merge, s->i == 0 ? 1 : 2);
    gguf_put_u32(w, "tokenizer.ggml.eos_token_id", (uint32_t)n - 1);
    if (strcmp(template, "none"))
        gguf_put_str(w, "tokenizer.chat_template", !strcmp(template, "bare") ? next(s) : chatml(s->a, next(s)));
    gguf_put_u32(w, "llama.vocab_size", (uint32_t)n);
}

static bool write_model(FileSet *fs, Arena *a, Diag *d, int i, const char *path, const char *template)
{
    OutFile *out = out_open(fs, a, d, path);
    GgufWriter *w;
    Source s = { .a = a, .i = i };
    Tensors t = { .a = a };
    int64_t n_vocab = 256 + 5;

    if (!out)
        return false;
    t.w = w = gguf_writer(a, sink_file(out), 32);
    gguf_put_str(w, "general.architecture", STR("llama"));
    gguf_put_u32(w, "llama.context_length", 1024);
    gguf_put_u32(w, "llama.embedding_length", N_EMBD);
    gguf_put_u32(w, "llama.block_count", 1);
    gguf_put_u32(w, "llama.feed_forward_length", N_FF);
    gguf_put_u32(w, "llama.attention.head_count", 2);
    gguf_put_f32(w, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
    put_strings(w, &s, template);
    tensor(&t, "token_embd.weight", n_vocab, N_EMBD);
    tensor(&t, "output_norm.weight", 0, N_EMBD);
    tensor(&t, "blk.0.attn_q.weight", N_EMBD, N_EMBD);
    tensor(&t, "blk.0.attn_k.weight", N_EMBD, N_EMBD);
    tensor(&t, "blk.0.attn_v.weight", N_EMBD, N_EMBD);
    tensor(&t, "blk.0.attn_output.weight", N_EMBD, N_EMBD);
    tensor(&t, "blk.0.attn_norm.weight", 0, N_EMBD);
    tensor(&t, "blk.0.ffn_norm.weight", 0, N_EMBD);
    tensor(&t, "blk.0.ffn_gate.weight", N_FF, N_EMBD);
    tensor(&t, "blk.0.ffn_up.weight", N_FF, N_EMBD);
    tensor(&t, "blk.0.ffn_down.weight", N_EMBD, N_FF);
    return gguf_begin_data(w) && tensor_data(&t) && gguf_end(w) && out_commit(out);
}

static int run(FileSet *fs, Arena *a, Diag *d, int argc, char **argv)
{
    int64_t i;

    if (argc == 2 && !strcmp(argv[1], "--list")) {
        for (int k = 0; k < N_PAYLOAD; k++)
            printf("%d %s\n", k, payload[k].name);
        return 0;
    }
    if (argc == 3 && !strcmp(argv[1], "--raw") && str_to_i64(str_of(argv[2]), &i) && i >= 0 && i < N_PAYLOAD) {
        Str s = payload_of(a, (int)i);

        return fwrite(s.p, 1, s.n, stdout) != s.n;
    }
    if (argc < 3 || argc > 4 || !str_to_i64(str_of(argv[1]), &i) || i < -1 || i >= N_PAYLOAD) {
        fputs("usage: hostile --list | --raw N | N OUT.gguf [chatml|bare|merges|none]\n", stderr);
        return 2;
    }
    return !write_model(fs, a, d, (int)i, argv[2], argc == 4 ? argv[3] : "chatml");
}

int main(int argc, char **argv)
{
    Arena *a = arena_new(NULL);
    FileSet *fs = files_new();
    int rc = run(fs, a, diag_new(a, stderr), argc, argv);

    files_close(fs);
    arena_free(a);
    return rc;
}
