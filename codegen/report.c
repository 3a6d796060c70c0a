/* report.html: one page that opens anywhere, with no script and nothing fetched.
 *
 *   1. the build: model, targets, sizes
 *   2. what one token reads: weight bytes by stage, as bars (decoding is bounded by them)
 *   3. the stages of each function in order: ops fused, kernels, chunks
 *   4. the arena: address against time, one box per buffer
 *   5. weights by layout
 *
 * Of a network (docs/networks.md): its stages with their kernels, and its memory.
 *
 * Pictures are inline SVG.  All text from the model comes through emit_html. */
#include "codegen/report.h"

#include "codegen/codegen.h"
#include "codegen/emit.h"
#include "codegen/net_map.h"
#include "ir/base/version.h"
#include "ir/stages.h"

typedef struct {
    const Module *m;
    Buf *b;
    Arena *a;
} Page;

static const char *html(Page *p, const char *s)
{
    return emit_html(p->a, str_of(s));
}

static const char *size_text(Page *p, uint64_t n)
{
    if (n < 10000)
        return str_printf(p->a, "%" PRIu64 " B", n);
    if (n < 10000000)
        return str_printf(p->a, "%" PRIu64 ".%" PRIu64 " kB", n / 1000, n % 1000 / 100);
    return str_printf(p->a, "%" PRIu64 ".%" PRIu64 " MB", n / 1000000, n % 1000000 / 100000);
}

static const char style[] =
    "<style>\n:root{color-scheme:light "
    "dark;--ink:#1d2330;--soft:#68707f;--line:#d9dde4;--paper:#fff;--a:#3566b8;--b:#c7743b;--c:#"
    "4f9465;"
    "--d:#8a5fae;--e:#b5485a;--f:#2f8f9a}\n@media(prefers-color-scheme:dark){:root{--ink:#e4e7ee;--"
    "soft:#98a1b3;--line:#394050;--paper:#161a22;"
    "--a:#7aa2ea;--b:#e09a63;--c:#7fc495;--d:#bd95dd;--e:#e58394;--f:#6cc3cd}}\n"
    "body{font:15px/1.5 "
    "system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:66rem;margin:2rem "
    "auto;padding:0 1.2rem}\n"
    "h1{font-size:1.7rem;margin:0 0 .2rem}h2{font-size:1.15rem;margin:2.4rem 0 "
    ".5rem;border-bottom:1px solid var(--line);padding-bottom:.25rem}\n"
    "h3{font-size:1rem;margin:1.4rem 0 "
    ".3rem}p{max-width:46rem}.soft{color:var(--soft)}code,td.n,.mono{font-family:ui-monospace,"
    "monospace;font-size:.86em}\n"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.28rem .7rem .28rem "
    "0;border-bottom:1px solid var(--line);"
    "vertical-align:top}th{font-weight:600;color:var(--soft);font-size:.85em}td.n,th.n{text-align:"
    "right}\n"
    ".cards{display:flex;flex-wrap:wrap;gap:.8rem;margin:1.2rem 0}.card{border:1px solid "
    "var(--line);border-radius:.5rem;padding:.6rem .9rem;"
    "min-width:8.5rem}.card "
    "b{display:block;font-size:1.25rem}\nsvg{display:block;max-width:100%;height:auto}svg "
    "text{font:11px system-ui,sans-serif;"
    "fill:var(--ink)}svg .soft{fill:var(--soft)}\n</style>\n";

static const char *const colour[] = { "var(--a)", "var(--b)", "var(--c)",
                                      "var(--d)", "var(--e)", "var(--f)" };

static void card(Page *p, const char *value, const char *what)
{
    buf_printf(p->b, "<div class=card><b>%s</b><span class=soft>%s</span></div>\n", html(p, value),
               html(p, what));
}

static void head(Page *p, const char *name)
{
    const Module *m = p->m;
    int64_t n_target = module_meta_int(m, "build.n_target", 0);
    uint64_t cache = 0;

    buf_printf(p->b,
               "<!doctype html>\n<html lang=en><head><meta charset=utf-8><meta name=viewport "
               "content=\"width=device-width\">\n<title>%s: "
               "how it was compiled</title>\n%s</head><body>\n",
               html(p, name), style);
    buf_printf(p->b, "<h1>%s</h1>\n<p class=soft>%s, compiled by sinter %s for", html(p, name),
               html(p, module_meta_str(m, "general.name", "a model")), SINTER_VERSION);
    for (int64_t i = 0; i < n_target; i++)
        buf_printf(p->b, "%s <b>%s</b>", i ? "," : "",
                   html(p, module_meta_str(m, str_printf(p->a, "target.%d.name", (int)i), "?")));
    buf_printf(p->b, ".<br><code>%s</code></p>\n<div class=cards>\n",
               html(p, module_meta_str(m, "build.command", "")));
    if (module_is_network(m)) {
        card(p, size_text(p, (uint64_t)module_meta_int(m, "packed_bytes", 0)), "weights, packed for their kernels");
        card(p, size_text(p, (uint64_t)module_meta_int(m, "arena_bytes", 0)), "memory, inputs and outputs in it");
        buf_puts(p->b, "</div>\n");
        return;
    }
    card(p, size_text(p, m->weights_bytes), "weights file");
    card(p, size_text(p, (uint64_t)module_meta_int(m, "arena_bytes", 0)), "arena (activations)");
    card(p, size_text(p, (uint64_t)module_meta_int(m, "scratch_bytes", 0)), "scratch per thread");
    for (int i = 0; i < m->n_state; i++) {
        Type t = m->state[i]->type;
        uint64_t bytes;

        t.dim[0] = dim_const((Module *)m, 1);
        if (type_bytes(t, &bytes))
            cache += bytes;
    }
    if (m->n_state)
        card(p, size_text(p, cache),
             str_printf(p->a, "cache per position (%d states)", m->n_state));
    buf_puts(p->b, "</div>\n");
}

/* ---- bytes by stage ---- */

static uint64_t stage_weight_bytes(const Op *s, const Op *call)
{
    uint64_t n = 0;

    for (int i = 0; i < s->n_in; i++) {
        const Value *v = s->in[i], *inner = s->region[0]->param[i];
        bool rows = false;

        if (call && v->kind == VAL_param && v->stands_for == VAL_weight)
            v = call->in[v->index];
        for (const Op *o = s->region[0]->first; o; o = o->next)
            rows = rows || (o->kind == OP_rows && o->in[0] == inner);
        if (v->kind == VAL_weight && !rows)
            n += v->weight->bytes;
    }
    return n;
}

typedef struct {
    const char *name;
    uint64_t bytes;
} Bar;

static void bars(Page *p, const Func *f)
{
    Bar bar[128];
    int n = 0;
    uint64_t max = 1, total = 0;

    for (const Op *o = f->body->first; o; o = o->next) {
        const Op *s = o->kind == OP_call ? o->callee->body->first : o;

        for (; s && n < 127; s = o->kind == OP_call ? s->next : NULL) {
            int k = 0;
            const char *name;

            if (s->kind != OP_fused)
                continue;
            name = op_str(s, "stage", "?");
            while (k < n && strcmp(bar[k].name, name))
                k++;
            if (k == n)
                bar[n++] = (Bar){ name, 0 };
            bar[k].bytes += stage_weight_bytes(s, o->kind == OP_call ? o : NULL);
        }
    }
    for (int i = 0; i < n; i++) {
        max = bar[i].bytes > max ? bar[i].bytes : max;
        total += bar[i].bytes;
    }
    buf_printf(p->b,
               "<p>Decoding a token reads every weight once, %s in all. Layers of one kind are "
               "added up.</p>\n"
               "<svg viewBox=\"0 0 900 %d\" role=img aria-label=\"weight bytes by stage\">\n",
               size_text(p, total), 26 * n + 8);
    for (int i = 0; i < n; i++) {
        int width = (int)(bar[i].bytes * 560 / max);

        buf_printf(p->b,
                   "<text x=190 y=%d text-anchor=end>%s</text><rect x=200 y=%d width=%d height=16 "
                   "rx=2 fill=\"%s\"/>"
                   "<text class=soft x=%d y=%d>%s%s</text>\n",
                   26 * i + 19, html(p, bar[i].name), 26 * i + 7, width > 1 ? width : 1,
                   colour[i % 6], 208 + width, 26 * i + 19, size_text(p, bar[i].bytes),
                   total ? str_printf(p->a, ", %" PRIu64 " %%", bar[i].bytes * 100 / total) : "");
    }
    buf_puts(p->b, "</svg>\n");
}

/* ---- stages ---- */

static void stage_row(Page *p, const Op *s)
{
    const Attr *chunks = op_attr(s, "chunks");
    int64_t sum = 0;
    const char *kernels[16];
    int n_kernel = 0;

    buf_printf(p->b, "<tr><td><b>%s</b><br><span class=soft>%s</span></td><td class=mono>",
               html(p, op_str(s, "stage", "?")), html(p, op_str(s, "kind", "")));
    for (const Op *o = s->region[0]->first; o && o->kind != OP_yield; o = o->next)
        buf_printf(p->b, "%s%s", o == s->region[0]->first ? "" : " &middot; ",
                   op_info[o->kind].name);
    buf_puts(p->b, "</td><td class=mono>");
    for (const Op *o = s->region[0]->first; o; o = o->next)
        for (int i = 0; i < o->n_attr; i++) {
            bool is_kernel = o->attr[i].kind == ATTR_str && strchr(o->attr[i].name, '.');
            const char *k = is_kernel ? str_z(p->a, o->attr[i].s) : NULL;

            for (int q = 0; k && q < n_kernel; q++)
                if (!strcmp(kernels[q], k))
                    k = NULL;
            if (k && n_kernel < 16) {
                buf_printf(p->b, "%s%s", n_kernel ? "<br>" : "", html(p, k));
                kernels[n_kernel++] = k;
            }
        }
    buf_puts(p->b, "</td><td class=n>");
    for (int i = 0; chunks && i < chunks->n_ints; i++)
        sum += chunks->ints[i];
    if (chunks)
        buf_printf(p->b, "%" PRId64, sum);
    else
        buf_printf(p->b, "per %" PRId64 " token%s", op_int(s, "tokens", 1),
                   op_int(s, "tokens", 1) == 1 ? "" : "s");
    buf_puts(p->b, "</td></tr>\n");
}

static void stages(Page *p, const Func *f, const char *title)
{
    buf_printf(p->b,
               "<h3>%s</h3>\n<table><tr><th>stage</th><th>ops fused in it</th><th>kernels</th><th "
               "class=n>chunks</th></tr>\n",
               html(p, title));
    for (const Op *o = f->body->first; o; o = o->next) {
        int n = 1;

        if (o->kind == OP_fused)
            stage_row(p, o);
        if (o->kind != OP_call)
            continue;
        for (const Op *q = o; q->next && q->next->kind == OP_call && q->next->callee == o->callee;
             q = q->next)
            n++;
        buf_printf(p->b, "<tr><td colspan=4>%d &times; <b>%s</b></td></tr>\n", n,
                   html(p, o->callee->name));
        for (; n > 1; n--)
            o = o->next;
    }
    buf_puts(p->b, "</table>\n");
}

/* ---- the arena ---- */

typedef struct {
    const char *name;
    int64_t at;
    uint64_t bytes;
    int begin, end;
} Box;

static void note_box(Box *box, int *n, int cap, const Value *v, int64_t place, int when)
{
    uint64_t bytes;

    if (place < 0 || !type_bytes(v->type, &bytes))
        return;
    for (int i = 0; i < *n; i++)
        if (box[i].at == place && box[i].bytes == bytes && when - box[i].end <= 64) {
            box[i].end = when;
            return;
        }
    if (*n < cap)
        box[(*n)++] = (Box){ v->name, place, bytes, when, when };
}

static void draw_boxes(Page *p, const Box *box, int n, const char *const *when, int t, double total, const char *name)
{
    buf_printf(p->b, "<p class=soft>%s from top to bottom.</p>\n", size_text(p, (uint64_t)total));
    buf_printf(p->b, "<svg viewBox=\"0 0 900 %d\" role=img aria-label=\"arena of %s\">\n", 400,
               html(p, name));
    for (int i = 0; i < t; i++)
        buf_printf(p->b, "<text class=soft x=%d y=326 transform=\"rotate(35 %d 326)\">%s</text>\n",
                   20 + i * 860 / t, 20 + i * 860 / t, html(p, when[i]));
    for (int i = 0; i < n; i++) {
        int x = 20 + box[i].begin * 860 / t, w = (box[i].end - box[i].begin + 1) * 860 / t - 2;
        int y = 8 + (int)(300.0 * (double)box[i].at / total),
            h = (int)(300.0 * (double)box[i].bytes / total);

        buf_printf(
            p->b,
            "<g><title>%s: %s at %" PRId64
            "</title><rect x=%d y=%d width=%d height=%d rx=2 fill=\"%s\" fill-opacity=.75 />",
            html(p, box[i].name), size_text(p, box[i].bytes), box[i].at, x, y, w, h > 2 ? h : 2,
            colour[i % 6]);
        if (h > 12 && w > 40)
            buf_printf(p->b, "<text x=%d y=%d>%s %s</text>", x + 5, y + (h < 24 ? h - 3 : 15),
                       html(p, box[i].name), size_text(p, box[i].bytes));
        buf_puts(p->b, "</g>\n");
    }
    buf_puts(p->b, "</svg>\n");
}

/* The stages of a network: their kernels, and where their results lie. */
static void network_stages(Page *p)
{
    NetMap map = net_map(p->m, p->a);

    buf_puts(p->b, "<table><tr><th>stage</th><th>ops fused in it</th><th>kernels</th><th class=n>bytes while it runs</th></tr>\n");
    for (int i = 0; i < map.n_stage; i++) {
        const Op *s = map.stage[i];
        bool any = false;

        buf_printf(p->b, "<tr><td><b>%s</b></td><td class=mono>", html(p, op_str(s, "stage", "?")));
        for (const Op *o = s->n_region ? s->region[0]->first : NULL; o && o->kind != OP_yield; o = o->next)
            buf_printf(p->b, "%s%s", o == s->region[0]->first ? "" : " &middot; ", op_info[o->kind].name);
        buf_puts(p->b, "</td><td class=mono>");
        for (int k = 0; k < s->n_attr; k++)
            if (s->attr[k].kind == ATTR_str && strchr(s->attr[k].name, '.')) {
                buf_printf(p->b, "%s%s", any ? "<br>" : "", html(p, str_z(p->a, s->attr[k].s)));
                any = true;
            }
        buf_printf(p->b, "%s</td><td class=n>%" PRId64 "</td></tr>\n", any ? "" : "plain loops", net_map_bytes(&map, i));
    }
    buf_puts(p->b, "</table>\n");
}

/* A network's memory: what lies over something else is drawn over it. */
static void network_map(Page *p)
{
    NetMap map = net_map(p->m, p->a);
    Box *box = ARENA_ARRAY(p->a, Box, map.n_place + 1);
    const char **when = ARENA_ARRAY(p->a, const char *, map.n_stage + 1);
    double total = (double)module_meta_int(p->m, "arena_bytes", 0);

    for (int i = 0; i < map.n_stage; i++)
        when[i] = op_str(map.stage[i], "stage", "?");
    for (int i = 0; i < map.n_place; i++) {
        const NetPlace *q = &map.place[i];
        int end = q->last < map.n_stage ? q->last : map.n_stage - 1;

        box[i] = (Box){ q->name, q->at, (uint64_t)q->bytes, q->first > 0 ? q->first : 0, end > 0 ? end : 0 };
    }
    if (!map.n_stage || total < 1)
        return;
    draw_boxes(p, box, map.n_place, when, map.n_stage, total, p->m->entry[0].name);
    buf_puts(p->b, "<table><tr><th>tensor</th><th class=n>from</th><th class=n>to</th><th>where</th></tr>\n");
    for (int i = 0; i < map.n_place; i++) {
        const NetPlace *q = &map.place[i];

        buf_printf(p->b, "<tr><td class=mono>%s</td><td class=n>%" PRId64 "</td><td class=n>%" PRId64 "</td><td>%s</td></tr>\n",
                   html(p, q->name), q->at, q->at + q->bytes - 1,
                   !q->v ? str_printf(p->a, "of %s alone", html(p, when[q->first])) : q->first < 0 ? "input" : html(p, net_map_over(&map, q->first, p->a)));
    }
    buf_puts(p->b, "</table>\n");
}

/* Address downwards, stages from left to right; a layer's stages are drawn once. */
static void arena_map(Page *p, const Func *f)
{
    Box box[256];
    const char *when[128];
    int n = 0, t = 0;
    const Func *drawn[16];
    int n_drawn = 0;
    double total = 1;

    for (const Op *o = f->body->first; o; o = o->next) {
        const Op *s = o;
        bool again = false;

        if (o->kind == OP_call) {
            for (int i = 0; i < n_drawn; i++)
                again = again || drawn[i] == o->callee;
            if (again || n_drawn == 16)
                continue;
            drawn[n_drawn++] = o->callee;
            s = o->callee->body->first;
        }
        for (; s; s = o->kind == OP_call ? s->next : NULL) {
            if (s->kind != OP_fused || t >= 127)
                continue;
            for (int i = 0; i < s->n_in; i++)
                note_box(box, &n, 256, s->in[i], op_attr(s, "in")->ints[i], t);
            for (int i = 0; i < s->n_out; i++)
                note_box(box, &n, 256, s->out[i], op_attr(s, "out")->ints[i], t);
            when[t++] = op_str(s, "stage", "?");
        }
    }
    if (!t)
        return;
    for (int i = 0; i < n; i++) /* the picture is as high as what this function uses of the arena */
        if (total < (double)box[i].at + (double)box[i].bytes)
            total = (double)box[i].at + (double)box[i].bytes;
    draw_boxes(p, box, n, when, t, total, f->name);
}

static void weights(Page *p)
{
    buf_puts(p->b, "<table><tr><th>layout</th><th>what it is</th><th class=n>tensors</th><th "
                   "class=n>bytes</th></tr>\n");
    for (int l = 0; l < N_LAYOUTS; l++) {
        uint64_t bytes = 0;
        int n = 0;

        for (int i = 0; i < p->m->n_weight; i++)
            if (p->m->weight[i]->layout == &layout_table[l]) {
                bytes += p->m->weight[i]->bytes;
                n++;
            }
        if (n)
            buf_printf(p->b,
                       "<tr><td class=mono>%s</td><td>%s</td><td class=n>%d</td><td "
                       "class=n>%s</td></tr>\n",
                       layout_table[l].name, html(p, layout_table[l].help), n, size_text(p, bytes));
    }
    buf_puts(p->b, "</table>\n");
}

void report_write(const Module *m, const char *name, Buf *out)
{
    Page p = { m, out, m->a };
    bool network = module_is_network(m);

    head(&p, name);
    if (m->n_entry && !network)
        buf_puts(out, "<h2>What one token reads</h2>\n");
    for (int i = 0; i < m->n_entry; i++)
        if (!strcmp(m->entry[i].name, "decode"))
            bars(&p, m->entry[i].func);
    if (network) {
        buf_puts(out, "<h2>Stages</h2>\n");
        network_stages(&p);
    } else if (m->n_entry)
        buf_puts(out, "<h2>Stages</h2>\n<p>A stage is what runs between two meetings of the "
                      "threads; a chunk is what one thread takes at a "
                      "time.</p>\n");
    for (int i = 0; i < m->n_entry && !network; i++)
        stages(&p, m->entry[i].func, m->entry[i].func->name);
    for (const Func *f = m->first_func; f && !network; f = f->next) {
        bool entry = false;

        for (int i = 0; i < m->n_entry; i++)
            entry = entry || m->entry[i].func == f;
        if (!entry)
            stages(&p, f, f->name);
    }
    if (network) {
        buf_puts(out, "<h2>The memory</h2>\n<p>Everything that is written, inputs and outputs too: address downwards, stages from left to right. A result may lie "
                      "over what its stage has read already: it runs in groups of rows, from the first or from the last.</p>\n");
        network_map(&p);
    } else if (m->n_entry)
        buf_puts(out, "<h2>The arena</h2>\n<p>Buffers between stages: address downwards, stages "
                      "from left to right. Two boxes never overlap; "
                      "a layer's stages are drawn once.</p>\n");
    for (int i = 0; i < m->n_entry && !network; i++) {
        buf_printf(out, "<h3>%s</h3>\n", html(&p, m->entry[i].name));
        arena_map(&p, m->entry[i].func);
    }
    buf_puts(out, "<h2>Weights</h2>\n");
    weights(&p);
    buf_puts(out, "</body></html>\n");
}
