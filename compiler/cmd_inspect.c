/* sinter inspect: what is in a model file, a .sir file or an emitted folder.
 *
 * A model is shown as its file has it, before any family has looked at it, so that files of unknown architectures can be looked at
 * too.  A folder is shown by its .sir file, the scheduled Module.  --ir prints the Module as text: of a model the one that its
 * family makes, before any pass.
 *
 * JSON is made by jansson, whose objects are not in the arena: everything that may allocate from the arena (and jump when it is
 * full) is done before the first of them is made. */
#include "compiler/inspect.h"

#include <dirent.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <utf8proc.h>

#include "compiler/cmd.h"

enum {
    SCHEMA = 1,                     /* of the JSON: raised when a key changes its meaning or goes */
    SHOWN = 96,                     /* bytes of a string that the report shows */
    SHOWN_ELEMENTS = 8,             /* of an array */
    KEY_WIDTH = 32
};

/* ---- numbers for people ------------------------------------------------------------------------- */

/* 1234567 as "1 234 567". */
static const char *spaced(Arena *a, uint64_t v)
{
    char *digits = str_printf(a, "%" PRIu64, v);
    size_t n = strlen(digits);
    Buf b = buf_in(a);

    for (size_t i = 0; i < n; i++) {
        if (i && (n - i) % 3 == 0)
            buf_putc(&b, ' ');
        buf_putc(&b, digits[i]);
    }
    return buf_z(&b);
}

/* x >= 0, rounded, with a point whatever the locale is */
static const char *one_decimal(Arena *a, double x)
{
    uint64_t tenths = x > 0 ? (uint64_t)(x * 10 + 0.5) : 0;

    return str_printf(a, "%" PRIu64 ".%" PRIu64, tenths / 10, tenths % 10);
}

static const char *two_decimals(Arena *a, double x)
{
    uint64_t v = x > 0 ? (uint64_t)(x * 100 + 0.5) : 0;

    return str_printf(a, "%" PRIu64 ".%02" PRIu64, v / 100, v % 100);
}

/* "93.2 MB (97 731 584 bytes)" */
static const char *size_text(Arena *a, uint64_t bytes)
{
    static const char *const unit[] = { "kB", "MB", "GB", "TB" };
    double x = (double)bytes / 1000;
    int i = 0;

    if (bytes < 1000)
        return str_printf(a, "%" PRIu64 " bytes", bytes);
    for (; x >= 1000 && i < 3; i++)
        x /= 1000;
    return str_printf(a, "%s %s (%s bytes)", one_decimal(a, x), unit[i], spaced(a, bytes));
}

/* ---- a model as text ---------------------------------------------------------------------------- */

static const char *element_text(Arena *a, const KeyValue *kv, uint64_t i)
{
    int64_t v;
    double x;

    if (kv->elem == META_str)
        return str_printf(a, "'%s'", str_show(a, kv_str(kv, i), SHOWN / 2));
    if (kv->elem == META_bool)
        return kv_int(kv, i, &v) && v ? "true" : "false";
    if (meta_is_int(kv->elem))
        return kv_int(kv, i, &v) ? str_printf(a, "%" PRId64, v) : "more than 2^63";
    return kv_float(kv, i, &x) ? str_float(a, x, kv->elem == META_f32) : "?";
}

static const char *value_text(Arena *a, const KeyValue *kv)
{
    Buf b = buf_in(a);

    if (kv->type == META_str) {
        const char *shown = str_show(a, kv_str(kv, 0), SHOWN);

        if (kv_str(kv, 0).n > SHOWN)
            return str_printf(a, "%s (%zu bytes)", shown, kv_str(kv, 0).n);
        return shown;
    }
    if (kv->type != META_array)
        return element_text(a, kv, 0);
    buf_printf(&b, "%" PRIu64 " x %s", kv->n, meta_type_name(kv->elem));
    for (uint64_t i = 0; i < kv->n && i < SHOWN_ELEMENTS; i++)
        buf_printf(&b, "%s%s", i ? ", " : ": ", element_text(a, kv, i));
    if (kv->n > SHOWN_ELEMENTS)
        buf_puts(&b, ", ...");
    return buf_z(&b);
}

/* The metadata whose keys begin with prefix, which is not repeated; every key is in one of the groups. */
static void print_group(Buf *out, const Model *m, const char *title, const char *prefix)
{
    Arena *a = m->a;
    bool any = false;

    for (uint64_t i = 0; i < m->n_kv; i++) {
        const KeyValue *kv = &m->kv[i];
        Str key = kv->key;

        if (!str_begins(key, prefix))
            continue;
        if (!any)
            buf_printf(out, "\n%s\n", title);
        any = true;
        key = (Str){ key.p + strlen(prefix), key.n - strlen(prefix) };
        buf_printf(out, "  %-*s  %s\n", KEY_WIDTH, str_show(a, key, SHOWN), value_text(a, kv));
    }
}

static void print_other_keys(Buf *out, const Model *m, const char *arch_prefix)
{
    bool any = false;

    for (uint64_t i = 0; i < m->n_kv; i++) {
        Str key = m->kv[i].key;

        if (str_begins(key, "general.") || str_begins(key, "tokenizer.") || str_begins(key, arch_prefix))
            continue;
        if (!any)
            buf_puts(out, "\nother metadata\n");
        any = true;
        buf_printf(out, "  %-*s  %s\n", KEY_WIDTH, str_show(m->a, key, SHOWN), value_text(m->a, &m->kv[i]));
    }
}

/* Sums over the tensors of a format. */
typedef struct { uint64_t n_tensor, n, bytes; } Sum;

static uint64_t tensor_n(const ModelTensor *t)
{
    uint64_t n = 1;

    for (int k = 0; k < t->rank; k++)
        n *= (uint64_t)t->dim[k];               /* the importer has checked the product */
    return n;
}

static Sum sum_formats(const Model *m, Sum by_format[N_FORMATS])
{
    Sum all = { 0, 0, 0 };

    for (uint64_t i = 0; i < m->n_tensor; i++) {
        const ModelTensor *t = &m->tensor[i];
        Sum *s = &by_format[format_id(t->fmt)];
        uint64_t n = tensor_n(t);

        s->n_tensor++;
        s->n += n;
        s->bytes += t->bytes;
        all.n_tensor++;
        all.n += n;
        all.bytes += t->bytes;
    }
    return all;
}

static double bpw(Sum s)
{
    return s.n ? (double)s.bytes * 8 / (double)s.n : 0;
}

static void print_sum(Buf *out, Arena *a, const char *name, Sum s, Sum all)
{
    buf_printf(out, "  %-8s %8s %16s %16s %7s %6s %%\n", name, spaced(a, s.n_tensor), spaced(a, s.n), spaced(a, s.bytes),
               two_decimals(a, bpw(s)), one_decimal(a, all.bytes ? 100.0 * (double)s.bytes / (double)all.bytes : 0));
}

static const char *shape_text(Arena *a, const ModelTensor *t)
{
    Buf b = buf_in(a);

    for (int k = 0; k < t->rank; k++)
        buf_printf(&b, "%s%" PRId64, k ? "," : "[", t->dim[k]);
    buf_putc(&b, ']');
    return buf_z(&b);
}

/* Tensors that differ only in the numbers of their names, in format and in shape are one line: "blk.N.attn_q.weight". */
typedef struct { Str role; const ModelTensor *t; uint64_t n; } Role;

static int by_role(const void *x, const void *y)
{
    const Role *a = x, *b = y;
    int c = str_cmp(a->role, b->role);

    if (c == 0)
        c = (a->t->fmt > b->t->fmt) - (a->t->fmt < b->t->fmt);
    if (c == 0)
        c = memcmp(a->t->dim, b->t->dim, sizeof a->t->dim);     /* dimensions beyond the rank are 0 */
    return c;
}

static int by_role_and_place(const void *x, const void *y)
{
    const Role *a = x, *b = y;
    int c = by_role(a, b);

    return c ? c : (a->t > b->t) - (a->t < b->t);
}

static int by_place(const void *x, const void *y)
{
    const Role *a = x, *b = y;

    return (a->t > b->t) - (a->t < b->t);
}

static Str role_of(Arena *a, Str name)
{
    Buf b = buf_in(a);

    for (size_t i = 0; i < name.n; i++) {
        bool digit = name.p[i] >= '0' && name.p[i] <= '9';
        bool starts = digit && (i == 0 || name.p[i - 1] == '.');

        if (starts) {
            size_t end = i;

            while (end < name.n && name.p[end] >= '0' && name.p[end] <= '9')
                end++;
            if (end == name.n || name.p[end] == '.') {
                buf_putc(&b, 'N');
                i = end - 1;
                continue;
            }
        }
        buf_putc(&b, name.p[i]);
    }
    return buf_str(&b);
}

static void print_roles(Buf *out, const Model *m)
{
    Arena *a = m->a;
    Role *r = ARENA_ARRAY(a, Role, m->n_tensor);
    uint64_t n = 0;

    for (uint64_t i = 0; i < m->n_tensor; i++)
        r[i] = (Role){ role_of(a, m->tensor[i].name), &m->tensor[i], 1 };
    qsort(r, m->n_tensor, sizeof *r, by_role_and_place);
    for (uint64_t i = 0; i < m->n_tensor; i++) {
        if (n && by_role(&r[n - 1], &r[i]) == 0)
            r[n - 1].n++;
        else
            r[n++] = r[i];
    }
    qsort(r, n, sizeof *r, by_place);
    buf_puts(out, "\n  tensors by role (N: the number of a layer)\n");
    for (uint64_t i = 0; i < n; i++) {
        const char *name = r[i].n > 1 ? str_show(a, r[i].role, SHOWN) : str_show(a, r[i].t->name, SHOWN);

        buf_printf(out, "  %6s x  %-*s  %-6s %s\n", spaced(a, r[i].n), KEY_WIDTH, name, r[i].t->fmt->name,
                   shape_text(a, r[i].t));
    }
}

static void print_tensors(Buf *out, const Model *m, bool all)
{
    Arena *a = m->a;
    Sum by_format[N_FORMATS] = { { 0, 0, 0 } }, sum = sum_formats(m, by_format);

    if (m->n_tensor == 0) {
        buf_puts(out, "\nno tensors: a vocabulary alone\n");
        return;
    }
    buf_printf(out, "\ntensors\n  %-8s %8s %16s %16s %7s %8s\n", "format", "tensors", "weights", "bytes", "bpw", "share");
    for (int i = 0; i < N_FORMATS; i++)
        if (by_format[i].n_tensor)
            print_sum(out, a, format_table[i].name, by_format[i], sum);
    print_sum(out, a, "all", sum, sum);
    if (!all) {
        print_roles(out, m);
        return;
    }
    buf_printf(out, "\n  %12s %12s  %-6s %-*s  shape\n", "offset", "bytes", "format", KEY_WIDTH, "name");
    for (uint64_t i = 0; i < m->n_tensor; i++) {
        const ModelTensor *t = &m->tensor[i];

        buf_printf(out, "  %12" PRIu64 " %12" PRIu64 "  %-6s %-*s  %s\n", t->off, t->bytes, t->fmt->name, KEY_WIDTH,
                   str_show(a, t->name, SHOWN), shape_text(a, t));
    }
}

/* "llama." of a llama; "\n" (which begins no sensible key) where the file does not say. */
static const char *arch_prefix(const Model *m, Str *arch)
{
    const KeyValue *kv = model_find(m, "general.architecture");

    *arch = kv && kv->type == META_str ? kv_str(kv, 0) : STR("");
    return arch->n ? str_printf(m->a, "%s.", str_z(m->a, *arch)) : "\n";
}

static void print_model(Buf *out, Model *m, bool all)
{
    Arena *a = m->a;
    Str arch;
    const char *prefix = arch_prefix(m, &arch);

    buf_printf(out, "%s: %s, %s\n  %-*s  %s\n", str_show(a, str_of(m->name), SHOWN), m->container, size_text(a, m->file.n),
               KEY_WIDTH, "digest (XXH3-128)", digest_hex(a, model_digest(m)));
    print_group(out, m, "model", "general.");
    print_group(out, m, str_printf(a, "hyperparameters of %s", str_show(a, arch, SHOWN)), prefix);
    print_group(out, m, "tokenizer", "tokenizer.");
    print_other_keys(out, m, prefix);
    print_tensors(out, m, all);
}

/* ---- JSON --------------------------------------------------------------------------------------- */

/* Makes a document out of what ctx points to, without the arena; NULL: no memory. */
typedef json_t *MakeJson(const void *ctx);

/* The document is made twice: once to learn its length, so that the arena's memory is there before the second begins. */
static bool put_json(Buf *out, Diag *d, MakeJson *make, const void *ctx)
{
    size_t flags = JSON_INDENT(2) | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(15);
    json_t *j = make(ctx);
    size_t n = j ? json_dumpb(j, NULL, 0, flags) : 0;
    char *text;
    bool ok;

    json_decref(j);
    if (n == 0)
        return fail(d, NOWHERE, "there is not enough memory to write JSON");
    text = arena_alloc(out->a, n, 1);
    j = make(ctx);
    ok = j && json_dumpb(j, text, n, flags) == n;
    json_decref(j);
    if (!ok)
        return fail(d, NOWHERE, "there is not enough memory to write JSON");
    buf_put(out, text, n);
    buf_putc(out, '\n');
    return true;
}

static bool set(json_t *object, const char *key, json_t *value)
{
    return json_object_set_new(object, key, value) == 0;
}

static json_t *jstr(Str s)
{
    return json_stringn_nocheck(s.n ? s.p : "", s.n);       /* UTF-8 already, see json_text */
}

static json_t *jint(uint64_t v)
{
    return json_integer((json_int_t)v);
}

static bool is_utf8(Str s)
{
    while (s.n) {
        utf8proc_int32_t c;
        utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)s.p, (utf8proc_ssize_t)s.n, &c);

        if (n < 1)
            return false;
        s = (Str){ s.p + n, s.n - (size_t)n };
    }
    return true;
}

/* As it is where it is UTF-8, with \xNN otherwise. */
static Str json_text(Arena *a, Str s)
{
    return is_utf8(s) ? s : str_of(str_show(a, s, SIZE_MAX));
}

/* A key of an object, which is terminated: without NUL bytes. */
static const char *json_key(Arena *a, Str s)
{
    return is_utf8(s) && !memchr(s.p, 0, s.n) ? str_z(a, s) : str_show(a, s, SIZE_MAX);
}

/* What the document needs of a key or a tensor, with the arena's work done. */
typedef struct { const char *key; Str text; double real; } ReadyKey;
typedef struct { Str file; Model *m; const ReadyKey *kv; const Str *name; const char *digest_hex; } ReadyModel;

static json_t *json_value(const KeyValue *kv, const ReadyKey *ready)
{
    json_t *array;
    int64_t v;

    if (kv->type == META_array) {
        array = json_object();
        if (array && set(array, "array_of", json_string(meta_type_name(kv->elem))) && set(array, "n", jint(kv->n)))
            return array;
        json_decref(array);
        return NULL;
    }
    if (kv->type == META_bool)
        return json_boolean(kv_int(kv, 0, &v) && v);
    if (meta_is_int(kv->type) && kv_int(kv, 0, &v))
        return json_integer(v);
    if ((kv->type == META_f32 || kv->type == META_f64) && isfinite(ready->real))
        return json_real(ready->real);
    return jstr(ready->text);       /* strings, and numbers that JSON does not have */
}

static json_t *json_metadata(const ReadyModel *r)
{
    json_t *o = json_object();

    for (uint64_t i = 0; o && i < r->m->n_kv; i++)
        if (!set(o, r->kv[i].key, json_value(&r->m->kv[i], &r->kv[i]))) {
            json_decref(o);
            return NULL;
        }
    return o;
}

static json_t *json_sum(const char *format, Sum s)
{
    json_t *o = json_object();

    if (o && set(o, "format", json_string(format)) && set(o, "tensors", jint(s.n_tensor)) && set(o, "weights", jint(s.n)) &&
        set(o, "bytes", jint(s.bytes)) && set(o, "bits_per_weight", json_real(bpw(s))))
        return o;
    json_decref(o);
    return NULL;
}

static json_t *json_formats(const ReadyModel *r)
{
    Sum by_format[N_FORMATS] = { { 0, 0, 0 } };
    json_t *list = json_array();

    sum_formats(r->m, by_format);
    for (int i = 0; list && i < N_FORMATS; i++)
        if (by_format[i].n_tensor && json_array_append_new(list, json_sum(format_table[i].name, by_format[i])) != 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static json_t *json_tensor(const ModelTensor *t, Str name)
{
    json_t *o = json_object(), *shape = json_array();
    bool ok = o && shape;

    for (int k = 0; ok && k < t->rank; k++)
        ok = json_array_append_new(shape, json_integer(t->dim[k])) == 0;
    ok = ok && set(o, "name", jstr(name)) && set(o, "format", json_string(t->fmt->name)) &&
         set(o, "offset", jint(t->off)) && set(o, "bytes", jint(t->bytes)) && set(o, "shape", json_incref(shape));
    json_decref(shape);
    if (!ok) {
        json_decref(o);
        return NULL;
    }
    return o;
}

static json_t *json_tensors(const ReadyModel *r)
{
    json_t *list = json_array();

    for (uint64_t i = 0; list && i < r->m->n_tensor; i++)
        if (json_array_append_new(list, json_tensor(&r->m->tensor[i], r->name[i])) != 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static json_t *make_model(const void *ctx)
{
    const ReadyModel *r = ctx;
    Sum by_format[N_FORMATS] = { { 0, 0, 0 } }, all = sum_formats(r->m, by_format);
    json_t *o = json_object();

    if (o && set(o, "schema", json_integer(SCHEMA)) && set(o, "kind", json_string("model")) && set(o, "file", jstr(r->file)) &&
        set(o, "container", json_string(r->m->container)) && set(o, "bytes", jint(r->m->file.n)) &&
        set(o, "digest", json_string(r->digest_hex)) && set(o, "metadata", json_metadata(r)) &&
        set(o, "formats", json_formats(r)) && set(o, "weights", jint(all.n)) && set(o, "weight_bytes", jint(all.bytes)) &&
        set(o, "bits_per_weight", json_real(bpw(all))) && set(o, "tensors", json_tensors(r)))
        return o;
    json_decref(o);
    return NULL;
}

static bool json_model(Buf *out, Diag *d, Model *m)
{
    Arena *a = m->a;
    ReadyKey *kv = ARENA_ARRAY(a, ReadyKey, m->n_kv);
    Str *name = ARENA_ARRAY(a, Str, m->n_tensor);
    ReadyModel r = { .m = m, .kv = kv, .name = name };

    for (uint64_t i = 0; i < m->n_kv; i++) {
        const KeyValue *from = &m->kv[i];

        kv[i].key = json_key(a, from->key);
        if (from->type == META_str)
            kv[i].text = json_text(a, kv_str(from, 0));
        else if (from->type == META_f32 || from->type == META_f64) {
            kv_float(from, 0, &kv[i].real);
            kv[i].text = str_of(str_float(a, kv[i].real, from->type == META_f32));
            if (isfinite(kv[i].real))                       /* 1e-05 and not the digits of the float behind it */
                str_to_double(kv[i].text, &kv[i].real);
        } else if (from->type != META_array) {
            kv[i].text = str_of(element_text(a, from, 0));
        }
    }
    for (uint64_t i = 0; i < m->n_tensor; i++)
        name[i] = json_text(a, m->tensor[i].name);
    r.file = json_text(a, str_of(m->name));
    r.digest_hex = digest_hex(a, model_digest(m));
    return put_json(out, d, make_model, &r);
}

bool inspect_model(Buf *out, Diag *d, Model *m, bool json, bool all)
{
    if (json)
        return json_model(out, d, m);
    print_model(out, m, all);
    return true;
}

/* ---- Modules ------------------------------------------------------------------------------------ */

static int count_ops(const Region *r)
{
    int n = 0;

    for (Op *o = r->first; o; o = op_walk(o, r))
        n++;
    return n;
}

/* Weights of one format and layout. */
typedef struct { const Format *fmt; const Layout *layout; Sum sum; } WeightSum;
enum { MAX_WEIGHT_SUMS = N_FORMATS * (N_LAYOUTS + 1) };

static int sum_weights(const Module *m, WeightSum out[MAX_WEIGHT_SUMS])
{
    int n = 0;

    for (int i = 0; i < m->n_weight; i++) {
        const Weight *w = m->weight[i];
        uint64_t bytes = w->bytes;
        int k = 0;

        if (!w->layout && !type_bytes(w->type, &bytes))
            bytes = 0;
        while (k < n && (out[k].fmt != w->type.fmt || out[k].layout != w->layout))
            k++;
        if (k == n)
            out[n++] = (WeightSum){ w->type.fmt, w->layout, { 0, 0, 0 } };
        out[k].sum.n_tensor++;
        out[k].sum.n += type_n(w->type) > 0 ? (uint64_t)type_n(w->type) : 0;
        out[k].sum.bytes += bytes;
    }
    return n;
}

static const char *ranges_text(Arena *a, const Entry *e)
{
    Buf b = buf_in(a);

    for (int i = 0; i < e->n_range; i++) {
        const SymRange *r = &e->range[i];

        if (r->lo == r->hi)
            buf_printf(&b, "%s%s=%" PRId64, i ? ", " : "", r->sym->name, r->lo);
        else
            buf_printf(&b, "%s%" PRId64 "<=%s<=%" PRId64, i ? ", " : "", r->lo, r->sym->name, r->hi);
    }
    return buf_z(&b);
}

static void print_module(Buf *out, const Module *m, bool all)
{
    Arena *a = m->a;
    WeightSum sums[MAX_WEIGHT_SUMS];
    int n_sums = sum_weights(m, sums);

    buf_printf(out, "%s: a Module, %d weights, %d states, %d entries\n", str_show(a, str_of(m->name), SHOWN), m->n_weight,
               m->n_state, m->n_entry);
    for (int i = 0; i < m->n_file; i++)
        buf_printf(out, "  file %-*s  %s, %s\n", KEY_WIDTH - 5, str_show(a, str_of(m->file[i].name), SHOWN),
                   digest_hex(a, m->file[i].digest), size_text(a, m->file[i].bytes));
    if (m->n_entry)
        buf_puts(out, "\nentries\n");
    for (int i = 0; i < m->n_entry; i++)
        buf_printf(out, "  %-*s  calls %s, %s\n", KEY_WIDTH, m->entry[i].name, m->entry[i].func->name,
                   ranges_text(a, &m->entry[i]));
    if (m->first_func)
        buf_puts(out, "\nfunctions\n");
    for (const Func *f = m->first_func; f; f = f->next)
        buf_printf(out, "  %-*s  %d ops%s%s\n", KEY_WIDTH, f->name, count_ops(f->body), f->note ? ": " : "",
                   f->note ? str_show(a, str_of(f->note), SHOWN) : "");
    if (m->n_weight)
        buf_printf(out, "\nweights\n  %-8s %-14s %8s %16s %16s %7s\n", "format", "layout", "weights", "numbers", "bytes", "bpw");
    for (int i = 0; i < n_sums; i++)
        buf_printf(out, "  %-8s %-14s %8s %16s %16s %7s\n", sums[i].fmt->name, sums[i].layout ? sums[i].layout->name : "-",
                   spaced(a, sums[i].sum.n_tensor), spaced(a, sums[i].sum.n), spaced(a, sums[i].sum.bytes),
                   two_decimals(a, bpw(sums[i].sum)));
    if (m->weights_bytes)
        buf_printf(out, "  weights file: %s\n", size_text(a, m->weights_bytes));
    for (int i = 0; all && i < m->n_weight; i++)
        buf_printf(out, "  %-*s  %-20s %s\n", KEY_WIDTH, str_show(a, str_of(m->weight[i]->name), SHOWN),
                   type_text(a, m->weight[i]->type), m->weight[i]->layout ? m->weight[i]->layout->name : "-");
    if (m->n_state)
        buf_puts(out, "\nstate of a session\n");
    for (int i = 0; i < m->n_state; i++) {
        uint64_t bytes = 0;

        if (!all && i >= SHOWN_ELEMENTS) {
            buf_printf(out, "  and %d more (--tensors lists them)\n", m->n_state - i);
            break;
        }
        type_bytes(m->state[i]->type, &bytes);
        buf_printf(out, "  %-*s  %-6s %-20s at most %s\n", KEY_WIDTH, m->state[i]->name, m->state[i]->kind,
                   type_text(a, m->state[i]->type), size_text(a, bytes));
    }
    if (m->n_blob)
        buf_puts(out, "\nsections\n");
    for (int i = 0; i < m->n_blob; i++)
        buf_printf(out, "  %-*s  %s\n", KEY_WIDTH, str_show(a, str_of(m->blob[i].name), SHOWN), size_text(a, m->blob[i].n));
}

/* All texts made ready before jansson is asked for anything. */
typedef struct { Str name; const char **range; const Module *m; Str *weight, *type; } ReadyModule;

static bool append(json_t *list, json_t *value)
{
    return json_array_append_new(list, value) == 0;
}

static json_t *json_entries(const ReadyModule *r)
{
    json_t *list = json_array();
    bool ok = list != NULL;

    for (int i = 0; ok && i < r->m->n_entry; i++)
        ok = append(list, json_pack("{s:s, s:s, s:s}", "name", r->m->entry[i].name, "function", r->m->entry[i].func->name,
                                    "range", r->range[i]));
    if (ok)
        return list;
    json_decref(list);
    return NULL;
}

static json_t *json_functions(const ReadyModule *r)
{
    json_t *list = json_array();
    bool ok = list != NULL;

    for (const Func *f = r->m->first_func; ok && f; f = f->next)
        ok = append(list, json_pack("{s:s, s:i}", "name", f->name, "ops", count_ops(f->body)));
    if (ok)
        return list;
    json_decref(list);
    return NULL;
}

static json_t *json_weights(const ReadyModule *r)
{
    json_t *list = json_array();
    bool ok = list != NULL;

    for (int i = 0; ok && i < r->m->n_weight; i++) {
        const Weight *w = r->m->weight[i];
        json_t *o = json_object();

        ok = o && set(o, "name", jstr(r->weight[i])) && set(o, "type", jstr(r->type[i])) &&
             set(o, "layout", w->layout ? json_string(w->layout->name) : json_null()) && set(o, "bytes", jint(w->bytes));
        if (ok)
            ok = append(list, o);
        else
            json_decref(o);
    }
    if (ok)
        return list;
    json_decref(list);
    return NULL;
}

static json_t *make_module(const void *ctx)
{
    const ReadyModule *r = ctx;
    json_t *o = json_object();

    if (o && set(o, "schema", json_integer(SCHEMA)) && set(o, "kind", json_string("module")) && set(o, "name", jstr(r->name)) &&
        set(o, "entries", json_entries(r)) && set(o, "functions", json_functions(r)) && set(o, "weights", json_weights(r)) &&
        set(o, "weights_file_bytes", jint(r->m->weights_bytes)))
        return o;
    json_decref(o);
    return NULL;
}

bool inspect_module(Buf *out, Diag *d, const Module *m, bool json, bool all)
{
    Arena *a = m->a;
    ReadyModule r = { .m = m };

    if (!json) {
        print_module(out, m, all);
        return true;
    }
    r.name = json_text(a, str_of(m->name));
    r.range = ARENA_ARRAY(a, const char *, m->n_entry);
    r.weight = ARENA_ARRAY(a, Str, m->n_weight);
    r.type = ARENA_ARRAY(a, Str, m->n_weight);
    for (int i = 0; i < m->n_entry; i++)
        r.range[i] = ranges_text(a, &m->entry[i]);
    for (int i = 0; i < m->n_weight; i++) {
        r.weight[i] = json_text(a, str_of(m->weight[i]->name));
        r.type[i] = str_of(type_text(a, m->weight[i]->type));
    }
    return put_json(out, d, make_module, &r);
}

/* ---- the command -------------------------------------------------------------------------------- */

/* The only .sir file of a folder that sinter wrote; NULL after a report. */
static const char *sir_of_folder(Arena *a, Diag *d, const char *path)
{
    DIR *dir = opendir(path);
    char found[256] = "";
    int n = 0;

    if (!dir) {
        fail(d, AT_FILE(path), "cannot be read (check its permissions)");
        return NULL;
    }
    for (struct dirent *e; (e = readdir(dir)) != NULL; )
        if (str_ends(str_of(e->d_name), ".sir") && strlen(e->d_name) < sizeof found && n++ == 0)
            memcpy(found, e->d_name, strlen(e->d_name) + 1);
    closedir(dir);
    if (n == 1)
        return path_join(a, path, found);
    if (n == 0)
        fail(d, AT_FILE(path), "holds no .sir file, so sinter did not write it (name a model or a .sir file)");
    else
        fail(d, AT_FILE(path), "holds %d .sir files (name one of them)", n);
    return NULL;
}

/* The Module of a .sir file alone: what its weights lie in need not be at hand to look at it. */
static Module *read_sir(const Args *args, const char *path)
{
    Mapped file;

    if (!file_map(args->fs, args->a, args->d, path, &file))
        return NULL;
    return module_parse(args->a, args->d, file.path, (Str){ (const char *)file.p, (size_t)file.n });
}

int cmd_inspect(Args *args)
{
    const char *path = args->pos[0];
    bool json = arg_value(args, "--json") != NULL, all = arg_value(args, "--tensors") != NULL, ok;
    Buf out = buf_in(args->a);
    struct stat st;

    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        path = sir_of_folder(args->a, args->d, path);
        if (!path)
            return EXIT_failed;
    }
    if (arg_value(args, "--ir") || str_ends(str_of(path), ".sir")) {
        Module *m = str_ends(str_of(path), ".sir") ? read_sir(args, path) :
                    pipeline_module(args->fs, args->a, args->d, &args->build, path);

        ok = m != NULL;
        if (ok && arg_value(args, "--ir"))
            module_print(m, &out);
        else if (ok)
            ok = inspect_module(&out, args->d, m, json, all);
    } else {
        Model *m = model_open(args->fs, args->a, args->d, path);

        ok = m && inspect_model(&out, args->d, m, json, all);
    }
    fwrite(out.p ? out.p : "", 1, out.n, stdout);
    return ok ? EXIT_done : EXIT_failed;
}
