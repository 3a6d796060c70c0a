/* Chat templates: a small part of Jinja, read far enough to recognise one shape of template.
 *
 *     {% for message in messages %}
 *       {% if loop.first and messages[0]['role'] != 'system' %}{{ SYSTEM }}{% endif %}     may be absent; also before the loop
 *       {{ HEAD + message['role'] + MID + message['content'] + TAIL }}
 *     {% endfor %}
 *     {% if add_generation_prompt %}{{ GEN }}{% endif %}                                  may be absent
 *
 * HEAD, MID, ... are any texts.  This is ChatML as published with SmolLM2, Qwen2, Yi, Hermes and many others, which differ in
 * quotes, white space, message.role or message['role'], output in one or several {{ }} or as bare text between tags, and in a
 * first `{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}`.
 *
 * The template is cut into tags and bare text (white space around tags is stripped as transformers has Jinja do it: trim_blocks
 * and lstrip_blocks, besides `-`), tags into words.  Statements are compared by their words; outputs become texts with two
 * markers in them.  What fits nowhere is reported as the construct that is not known.  Conditions with side effects on the shape
 * (tools, content that is a list, strip()) are not known, so a template is never rendered differently than Jinja would. */
#include "compiler/import/vocab.h"

/* ---- tags and words ----------------------------------------------------------------------------------------------- */

typedef enum { PART_text, PART_output, PART_statement } PartKind;
typedef struct { PartKind kind; Str s; bool trim_before, trim_after; } Part;

enum { MAX_PARTS = 64, MAX_WORDS = 64 };
/* A word: a name, a sign, or a string (its value, escapes resolved). */
typedef struct { bool is_string; Str s; } Word;

typedef struct {
    Arena *a;
    Part part[MAX_PARTS];
    int n_part, at;
    const char *unknown;
} Reader;

static bool is_white(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
static bool is_name(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; }

static bool unknown(Reader *r, const char *what, Str s)
{
    if (!r->unknown)
        r->unknown = str_printf(r->a, "%s \"%s\"", what, str_show(r->a, s, 60));
    return false;
}

/* Where the tag that begins at s.p[at] ends: after its closing braces, strings skipped.  0: nowhere. */
static size_t tag_end(Str s, size_t at, char close)
{
    char quote = 0;

    for (size_t i = at + 2; i + 1 < s.n; i++) {
        char c = s.p[i];

        if (quote) {
            if (c == '\\')
                i++;
            else if (c == quote)
                quote = 0;
        } else if (close != '#' && (c == '\'' || c == '"')) {
            quote = c;
        } else if (c == close && s.p[i + 1] == '}') {
            return i + 2;
        }
    }
    return 0;
}

static bool add_part(Reader *r, PartKind kind, Str s, bool before, bool after)
{
    if (r->n_part == MAX_PARTS)
        return unknown(r, "a template of more than 64 parts:", s);
    r->part[r->n_part++] = (Part){ kind, s, before, after };
    return true;
}

/* White space at tags: `-` strips all of it.  Without it, trim_blocks drops one newline after a statement and lstrip_blocks the
 * blanks between the beginning of a line and a statement. */
static void strip(Reader *r)
{
    for (int i = 0; i < r->n_part; i++) {
        Part *p = &r->part[i], *before = i > 0 ? p - 1 : NULL, *after = i + 1 < r->n_part ? p + 1 : NULL;
        Str s = p->s;

        if (p->kind != PART_text)
            continue;
        if (before && before->trim_after) {
            while (s.n && is_white(s.p[0]))
                s.p++, s.n--;
        } else if (before && before->kind == PART_statement && s.n) {
            size_t n = s.p[0] == '\n';
            s.p += n;
            s.n -= n;
        }
        if (after && after->trim_before) {
            while (s.n && is_white(s.p[s.n - 1]))
                s.n--;
        } else if (after && after->kind == PART_statement) {
            size_t n = s.n;
            while (n && (s.p[n - 1] == ' ' || s.p[n - 1] == '\t'))
                n--;
            if (!n ? !before || s.p != p->s.p : s.p[n - 1] == '\n')
                s.n = n;
        }
        p->s = s;
    }
}

static bool cut(Reader *r, Str s)
{
    size_t text = 0;

    for (size_t i = 0; i + 1 < s.n;) {
        char kind = s.p[i] == '{' ? s.p[i + 1] : 0;
        size_t end;

        if (kind != '{' && kind != '%' && kind != '#') {
            i++;
            continue;
        }
        end = tag_end(s, i, kind == '{' ? '}' : kind);
        if (!end)
            return unknown(r, "a tag that does not end:", (Str){ s.p + i, s.n - i });
        if (kind == '#')
            return unknown(r, "a comment:", (Str){ s.p + i, end - i });
        Str in = { s.p + i + 2, end - i - 4 };
        bool before = in.n && in.p[0] == '-', after = in.n > before && in.p[in.n - 1] == '-';
        if (in.n && (in.p[0] == '+' || in.p[in.n - 1] == '+'))
            return unknown(r, "white space control", (Str){ s.p + i, end - i });
        in.p += before;
        in.n -= (size_t)before + after;
        if (!add_part(r, PART_text, (Str){ s.p + text, i - text }, false, false) ||
            !add_part(r, kind == '{' ? PART_output : PART_statement, in, before, after))
            return false;
        i = text = end;
    }
    if (s.n > text && s.p[s.n - 1] == '\n')                 /* Jinja drops one newline at the end of a template */
        s.n--;
    if (!add_part(r, PART_text, (Str){ s.p + text, s.n - text }, false, false))
        return false;
    strip(r);
    int n = 0;
    for (int i = 0; i < r->n_part; i++)
        if (r->part[i].kind != PART_text || r->part[i].s.n)
            r->part[n++] = r->part[i];
    r->n_part = n;
    return true;
}

static int words(Reader *r, Str s, Word *w)
{
    int n = 0;

    for (size_t i = 0; i < s.n;) {
        if (is_white(s.p[i])) {
            i++;
            continue;
        }
        if (n == MAX_WORDS)
            return unknown(r, "a long expression:", s), -1;
        if (s.p[i] == '\'' || s.p[i] == '"') {
            char quote = s.p[i++];
            Buf b = buf_in(r->a);

            for (; i < s.n && s.p[i] != quote; i++) {
                char c = s.p[i];

                if (c == '\\' && i + 1 < s.n) {
                    c = s.p[++i];
                    if (!strchr("nrt\\'\"", c) || !c)
                        return unknown(r, "an escape in", s), -1;
                    c = c == 'n' ? '\n' : c == 'r' ? '\r' : c == 't' ? '\t' : c;
                }
                buf_putc(&b, c);
            }
            if (i++ >= s.n)
                return unknown(r, "a string that does not end:", s), -1;
            w[n++] = (Word){ true, buf_str(&b) };
            continue;
        }
        size_t begin = i;
        if (is_name(s.p[i]))
            while (i < s.n && is_name(s.p[i]))
                i++;
        else if (i + 1 < s.n && (s.p[i] == '!' || s.p[i] == '=') && s.p[i + 1] == '=')
            i += 2;
        else
            i++;
        w[n++] = (Word){ false, { s.p + begin, i - begin } };
    }
    return n;
}

/* ---- comparing statements ----------------------------------------------------------------------------------------- */

/* The words of a statement as one text, message.role and message['role'] alike, strings as 'value'. */
static Str normal(Reader *r, Str s)
{
    Word w[MAX_WORDS];
    int n = words(r, s, w);
    Buf b = buf_in(r->a);

    for (int i = 0; i < n; i++) {
        bool sign = !w[i].is_string && !is_name(w[i].s.p[0]);

        if (sign && w[i].s.p[0] == '[' && i + 2 < n && w[i + 1].is_string && str_is(w[i + 2].s, "]") && !w[i + 2].is_string) {
            buf_putc(&b, '.');
            buf_put(&b, w[i + 1].s.p, w[i + 1].s.n);
            i += 2;
            continue;
        }
        if (sign && (w[i].s.p[0] == '.' || w[i].s.p[0] == '[' || w[i].s.p[0] == ']')) {
            buf_put(&b, w[i].s.p, w[i].s.n);
            continue;
        }
        if (b.n && b.p[b.n - 1] != '.' && b.p[b.n - 1] != '[')
            buf_putc(&b, ' ');
        buf_puts(&b, w[i].is_string ? "'" : "");
        buf_put(&b, w[i].s.p, w[i].s.n);
        buf_puts(&b, w[i].is_string ? "'" : "");
    }
    return buf_str(&b);
}

/* The next part is a statement that reads like one of these (ended by NULL): taken. */
static bool statement(Reader *r, const char *const *forms)
{
    if (r->at >= r->n_part || r->part[r->at].kind != PART_statement)
        return false;
    Str s = normal(r, r->part[r->at].s);
    for (int i = 0; forms[i]; i++)
        if (str_is(s, forms[i])) {
            r->at++;
            return true;
        }
    return false;
}

static bool one(Reader *r, const char *form) { return statement(r, (const char *const[]){ form, NULL }); }

static bool expect(Reader *r, const char *form)
{
    if (one(r, form))
        return true;
    if (r->at >= r->n_part)
        return unknown(r, "no", str_of(form));
    return unknown(r, r->part[r->at].kind == PART_statement ? "the statement" : "the text", r->part[r->at].s);
}

/* ---- outputs ------------------------------------------------------------------------------------------------------ */

/* Markers in a text of an output; bytes that no UTF-8 has. */
#define ROLE "\xfe"
#define CONTENT "\xff"

static const char *find(Str s, char c) { return s.n ? memchr(s.p, c, s.n) : NULL; }
static Str rest(Str s, const char *from) { return (Str){ from, (size_t)(s.p + s.n - from) }; }
static bool has_marker(Str s) { return find(s, ROLE[0]) || find(s, CONTENT[0]); }

/* All text up to the next statement, appended to b. */
static bool outputs(Reader *r, Buf *b)
{
    for (; r->at < r->n_part && r->part[r->at].kind != PART_statement; r->at++) {
        Part *p = &r->part[r->at];
        Word w[MAX_WORDS];
        int n, i = 0;

        if (p->kind == PART_text) {
            if (has_marker(p->s))
                return unknown(r, "the text", p->s);
            buf_put(b, p->s.p, p->s.n);
            continue;
        }
        n = words(r, p->s, w);
        if (n <= 0)
            return unknown(r, "the output", p->s);
        for (;;) {
            bool message = !w[i].is_string && str_is(w[i].s, "message") && i + 2 < n && !w[i + 1].is_string;
            Str key = { NULL, 0 };

            if (message && w[i + 1].s.p[0] == '.' && !w[i + 2].is_string) {
                key = w[i + 2].s;
                i += 3;
            } else if (message && i + 3 < n && w[i + 1].s.p[0] == '[' && w[i + 2].is_string && str_is(w[i + 3].s, "]")) {
                key = w[i + 2].s;
                i += 4;
            }
            if (str_is(key, "role"))
                buf_puts(b, ROLE);
            else if (str_is(key, "content"))
                buf_puts(b, CONTENT);
            else if (!key.n && w[i].is_string && !has_marker(w[i].s))
                buf_put(b, w[i].s.p, w[i].s.n), i++;
            else
                return unknown(r, "the output", p->s);
            if (i == n)
                break;
            if (w[i].is_string || !str_is(w[i].s, "+") || ++i == n)
                return unknown(r, "the output", p->s);
        }
    }
    return true;
}

/* A text without markers, up to the next statement. */
static bool plain(Reader *r, Str *out)
{
    Buf b = buf_in(r->a);
    int at = r->at;

    if (!outputs(r, &b))
        return false;
    *out = buf_str(&b);
    if (has_marker(*out))
        return unknown(r, "the output", r->part[at].s);
    return true;
}

/* ---- the shape ---------------------------------------------------------------------------------------------------- */

static bool default_system(Reader *r, bool in_loop, Str *system)
{
    static const char *const inside[] = { "if loop.first and messages[0].role != 'system'",
        "if messages[0].role != 'system' and loop.first", NULL };
    static const char *const outside[] = { "if messages[0].role != 'system'", NULL };

    if (!statement(r, in_loop ? inside : outside))
        return true;
    return plain(r, system) && expect(r, "endif");
}

static bool recognise(Reader *r, ChatTemplate *t)
{
    Buf body = buf_in(r->a);
    Str before;

    if (one(r, "if not add_generation_prompt is defined") || one(r, "if add_generation_prompt is not defined"))
        if (!expect(r, "set add_generation_prompt = false") || !expect(r, "endif"))
            return false;
    if (!plain(r, &before))
        return false;
    if (before.n)
        return unknown(r, "the text", before);
    if (!default_system(r, false, &t->system) || !expect(r, "for message in messages") ||
        (!t->system.n && !default_system(r, true, &t->system)) || !outputs(r, &body))
        return false;
    Str s = buf_str(&body);
    const char *role = find(s, ROLE[0]), *content = role ? find(rest(s, role), CONTENT[0]) : NULL;
    if (!content || find(s, CONTENT[0]) != content || find(rest(s, role + 1), ROLE[0]) || find(rest(s, content + 1), CONTENT[0]))
        return !one(r, "endfor") && r->at < r->n_part
             ? unknown(r, "the statement", r->part[r->at].s)
             : unknown(r, "a loop that does not write", STR("role, then content, once each"));
    t->head = (Str){ s.p, (size_t)(role - s.p) };
    t->mid = (Str){ role + 1, (size_t)(content - role) - 1 };
    t->tail = rest(s, content + 1);
    if (!expect(r, "endfor"))
        return false;
    if (one(r, "if add_generation_prompt") && (!plain(r, &t->gen) || !expect(r, "endif")))
        return false;
    if (r->at < r->n_part)
        return unknown(r, r->part[r->at].kind == PART_statement ? "the statement" : "the text", r->part[r->at].s);
    return true;
}

/* Jinja reads every kind of line end as "\n". */
static Str unix_lines(Arena *a, Str s)
{
    Buf b = buf_in(a);

    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\r' && i + 1 < s.n && s.p[i + 1] == '\n')
            continue;
        buf_putc(&b, s.p[i] == '\r' ? '\n' : s.p[i]);
    }
    return buf_str(&b);
}

ChatTemplate template_recognise(Arena *a, Str text)
{
    Reader *r = ARENA_NEW(a, Reader);
    ChatTemplate t = { .unknown = "" };

    r->a = a;
    if (!text.n)
        return t;
    t.known = cut(r, unix_lines(a, text)) && recognise(r, &t) && !r->unknown;
    if (!t.known)
        t = (ChatTemplate){ .unknown = r->unknown ? r->unknown : "the template" };
    return t;
}
