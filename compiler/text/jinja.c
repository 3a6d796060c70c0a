/* Jinja -> tree.  The language: jinja.palletsprojects.com/templates, and for its grammar jinja2/lexer.py and parser.py.
 *
 *     text --cut--> texts, {{ outputs }}, {% statements %}, {# comments #} --tokens--> tree
 *
 * White space around tags is what transformers sets: trim_blocks (a newline behind a statement or comment goes) and lstrip_blocks
 * (so do blanks between the beginning of a line and a statement or comment), besides `-`, which takes all of it, and `+`, which
 * keeps it.  Statements that templates do not need (blocks, includes, filters over blocks) are kept as S_other: whether that
 * matters is decided where they would be executed. */
#include "compiler/text/jinja.h"

typedef enum { PART_text, PART_output, PART_statement, PART_comment } PartKind;
typedef struct {
    PartKind kind;
    Str s;
    int line;
    bool trim_before, trim_after, keep_before, keep_after;
} Part;

typedef enum { T_end, T_name, T_str, T_int, T_sign } TokenKind;
typedef struct { TokenKind kind; Str s; int64_t i; } Token;

typedef struct {
    Arena *a;
    Part *part;
    int n_part, cap_part, at;
    Token *tok;                 /* of the tag that is read */
    int n_tok, cap_tok, i_tok, line;
    int depth;
    const char *why;
} Parser;

enum { MAX_DEPTH = 200 };

static bool bad(Parser *p, int line, const char *what, Str s)
{
    if (!p->why)
        p->why = str_printf(p->a, "line %d: %s \"%s\"", line, what, str_show(p->a, s, 60));
    return false;
}

static bool is_white(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f'; }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_name(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_'; }

/* ---- tags --------------------------------------------------------------------------------------------------------- */

/* Where the tag that begins at s.p[at] ends: after its closing braces, strings skipped.  0: nowhere. */
static size_t tag_end(Str s, size_t at, char close)
{
    char quote = 0;
    int open = 0;               /* braces of dicts */

    for (size_t i = at + 2; i + 1 < s.n; i++) {
        char c = s.p[i];

        if (quote) {
            if (c == '\\')
                i++;
            else if (c == quote)
                quote = 0;
        } else if (close != '#' && (c == '\'' || c == '"')) {
            quote = c;
        } else if (c == close && s.p[i + 1] == '}' && !(close == '}' && open)) {
            return i + 2;
        } else if (close == '}' && (c == '{' || c == '}')) {
            open += c == '{' ? 1 : -1;
        }
    }
    return 0;
}

static void add_part(Parser *p, Part part)
{
    if (p->n_part == p->cap_part) {
        Part *old = p->part;

        p->cap_part = 2 * p->cap_part + 64;
        p->part = ARENA_ARRAY(p->a, Part, p->cap_part);
        if (p->n_part)
            memcpy(p->part, old, (size_t)p->n_part * sizeof *old);
    }
    p->part[p->n_part++] = part;
}

static void strip_text(Part *before, Part *text, Part *after)
{
    Str s = text->s;
    bool line_begins = !before;             /* the text's first byte is the first of a line */

    if (before && before->trim_after) {
        while (s.n && is_white(s.p[0]))
            s.p++, s.n--;
    } else if (before && before->kind != PART_output && !before->keep_after && s.n && s.p[0] == '\n') {
        s.p++, s.n--;
        line_begins = true;
    }
    if (after && after->trim_before) {
        while (s.n && is_white(s.p[s.n - 1]))
            s.n--;
    } else if (after && after->kind != PART_output && !after->keep_before) {
        size_t n = s.n;

        while (n && is_white(s.p[n - 1]) && s.p[n - 1] != '\n')
            n--;
        if (n ? s.p[n - 1] == '\n' : line_begins)
            s.n = n;
    }
    text->s = s;
}

static bool cut(Parser *p, Str s)
{
    size_t text = 0;
    int line = 1, text_line = 1;

    if (s.n && s.p[s.n - 1] == '\n')                        /* Jinja drops one newline at the end of a template */
        s.n--;
    for (size_t i = 0; i + 1 < s.n;) {
        char kind = s.p[i] == '{' ? s.p[i + 1] : 0;
        size_t end;

        if (kind != '{' && kind != '%' && kind != '#') {
            line += s.p[i++] == '\n';
            continue;
        }
        end = tag_end(s, i, kind == '{' ? '}' : kind);
        if (!end)
            return bad(p, line, "a tag that does not end:", (Str){ s.p + i, s.n - i });
        Part part = { kind == '{' ? PART_output : kind == '%' ? PART_statement : PART_comment, { s.p + i + 2, end - i - 4 }, line,
                      false, false, false, false };
        Str *in = &part.s;
        if (in->n && (in->p[0] == '-' || in->p[0] == '+')) {
            part.trim_before = in->p[0] == '-';
            part.keep_before = !part.trim_before;
            in->p++, in->n--;
        }
        if (in->n && (in->p[in->n - 1] == '-' || in->p[in->n - 1] == '+')) {
            part.trim_after = in->p[in->n - 1] == '-';
            part.keep_after = !part.trim_after;
            in->n--;
        }
        add_part(p, (Part){ PART_text, { s.p + text, i - text }, text_line, false, false, false, false });
        add_part(p, part);
        for (; i < end; i++)
            line += s.p[i] == '\n';
        text = end;
        text_line = line;
    }
    add_part(p, (Part){ PART_text, { s.p + text, s.n - text }, text_line, false, false, false, false });
    for (int i = 0; i < p->n_part; i += 2)
        strip_text(i ? &p->part[i - 1] : NULL, &p->part[i], i + 1 < p->n_part ? &p->part[i + 1] : NULL);
    int n = 0;
    for (int i = 0; i < p->n_part; i++)
        if (p->part[i].kind == PART_text ? p->part[i].s.n > 0 : p->part[i].kind != PART_comment)
            p->part[n++] = p->part[i];
    p->n_part = n;
    return true;
}

/* ---- words of a tag ----------------------------------------------------------------------------------------------- */

static void put_utf8(Buf *b, uint32_t c)
{
    if (c < 0x80) {
        buf_putc(b, (char)c);
        return;
    }
    if (c >= 0x800)
        buf_putc(b, (char)(0xe0 | c >> 12));
    buf_putc(b, (char)(c < 0x800 ? 0xc0 | c >> 6 : 0x80 | (c >> 6 & 63)));
    buf_putc(b, (char)(0x80 | (c & 63)));
}

/* \xNN and \uNNNN; *i is at the x or u, and then at the last digit. */
static bool hex(Str s, size_t *i, uint32_t *c)
{
    int n = s.p[*i] == 'x' ? 2 : 4;

    *c = 0;
    for (int k = 0; k < n; k++) {
        char x = *i + 1 < s.n ? s.p[++*i] : 0;
        int digit = is_digit(x) ? x - '0' : x >= 'a' && x <= 'f' ? x - 'a' + 10 : x >= 'A' && x <= 'F' ? x - 'A' + 10 : -1;

        if (digit < 0)
            return false;
        *c = *c << 4 | (uint32_t)digit;
    }
    return true;
}

/* A string's value, as Python's unicode-escape reads it. */
static bool string(Parser *p, Str s, size_t *at, Str *out)
{
    char quote = s.p[*at];
    Buf b = buf_in(p->a);
    size_t i = *at + 1;

    for (; i < s.n && s.p[i] != quote; i++) {
        static const char from[] = "nrtvfba\\'\"", to[] = "\n\r\t\v\f\b\a\\'\"";
        const char *e;
        uint32_t c;

        if (s.p[i] != '\\' || i + 1 == s.n) {
            buf_putc(&b, s.p[i]);
            continue;
        }
        i++;
        if (s.p[i] == '\n')
            continue;
        if (s.p[i] && (e = strchr(from, s.p[i])) != NULL) {
            buf_putc(&b, to[e - from]);
        } else if (s.p[i] == 'x' || s.p[i] == 'u') {
            if (!hex(s, &i, &c) || (c >= 0xd800 && c < 0xe000))
                return bad(p, p->line, "an escape in", s);
            put_utf8(&b, c);
        } else if (is_digit(s.p[i]) || s.p[i] == 'U' || s.p[i] == 'N') {
            return bad(p, p->line, "an escape in", s);
        } else {                                            /* not an escape: the backslash stays */
            buf_putc(&b, '\\');
            buf_putc(&b, s.p[i]);
        }
    }
    if (i >= s.n)
        return bad(p, p->line, "a string that does not end:", s);
    *at = i + 1;
    *out = buf_str(&b);
    return true;
}

static void add_token(Parser *p, TokenKind kind, Str s, int64_t v)
{
    if (p->n_tok == p->cap_tok) {
        Token *old = p->tok;

        p->cap_tok = 2 * p->cap_tok + 64;
        p->tok = ARENA_ARRAY(p->a, Token, p->cap_tok);
        if (p->n_tok)
            memcpy(p->tok, old, (size_t)p->n_tok * sizeof *old);
    }
    p->tok[p->n_tok++] = (Token){ kind, s, v };
}

static bool tokens(Parser *p, const Part *part)
{
    Str s = part->s;

    p->n_tok = p->i_tok = 0;
    p->line = part->line;
    for (size_t i = 0; i < s.n;) {
        size_t begin = i;
        char c = s.p[i], d = i + 1 < s.n ? s.p[i + 1] : 0;

        if (is_white(c)) {
            i++;
            continue;
        }
        if (c == '\'' || c == '"') {
            Str v;

            if (!string(p, s, &i, &v))
                return false;
            add_token(p, T_str, v, 0);
        } else if (is_digit(c)) {
            int64_t v = 0;

            for (; i < s.n && is_digit(s.p[i]); i++)
                if ((v = v * 10 + s.p[i] - '0') > INT32_MAX)
                    return bad(p, p->line, "a large number in", s);
            if (i < s.n && (is_name(s.p[i]) || (s.p[i] == '.' && i + 1 < s.n && is_digit(s.p[i + 1]))))
                return bad(p, p->line, "a number that is not an integer in", s);
            add_token(p, T_int, (Str){ s.p + begin, i - begin }, v);
        } else if (is_name(c)) {
            while (i < s.n && is_name(s.p[i]))
                i++;
            add_token(p, T_name, (Str){ s.p + begin, i - begin }, 0);
        } else {
            i += ((c == '=' || c == '!' || c == '<' || c == '>') && d == '=') || (c == '/' && d == '/') || (c == '*' && d == '*') ? 2 : 1;
            add_token(p, T_sign, (Str){ s.p + begin, i - begin }, 0);
        }
    }
    add_token(p, T_end, STR(""), 0);
    p->n_tok--;
    return true;
}

static const Token *peek(const Parser *p) { return &p->tok[p->i_tok]; }

static bool at_sign(const Parser *p, const char *s) { return peek(p)->kind == T_sign && str_is(peek(p)->s, s); }
static bool at_name(const Parser *p, const char *s) { return peek(p)->kind == T_name && str_is(peek(p)->s, s); }

static bool take(Parser *p, const char *s)
{
    bool yes = at_sign(p, s) || at_name(p, s);

    p->i_tok += yes;
    return yes;
}

static Str tag_text(const Parser *p) { return p->at ? p->part[p->at - 1].s : STR(""); }

static bool expect(Parser *p, const char *s)
{
    return take(p, s) || bad(p, p->line, str_printf(p->a, "no '%s' where it should be in", s), tag_text(p));
}

/* ---- expressions -------------------------------------------------------------------------------------------------- */

static Expr *new_expr(Parser *p, ExprKind kind, Expr *a, Expr *b)
{
    Expr *e = ARENA_NEW(p->a, Expr);

    e->kind = kind;
    e->line = p->line;
    e->a = a;
    e->b = b;
    return e;
}

static Expr *parse_choose(Parser *p);
static Expr *parse_unary(Parser *p, bool with_filter);

static bool add_arg(Parser *p, Expr *e, Expr *arg, Str name)
{
    if (e->n_arg % 8 == 0) {
        Expr **arg_was = e->arg;
        Str *name_was = e->arg_name;

        e->arg = ARENA_ARRAY(p->a, Expr *, e->n_arg + 8);
        e->arg_name = ARENA_ARRAY(p->a, Str, e->n_arg + 8);
        for (int i = 0; i < e->n_arg; i++)
            e->arg[i] = arg_was[i], e->arg_name[i] = name_was[i];
    }
    e->arg[e->n_arg] = arg;
    e->arg_name[e->n_arg++] = name;
    return arg != NULL;
}

/* After "(": arguments and ")". */
static bool parse_args(Parser *p, Expr *e)
{
    while (!take(p, ")")) {
        Str name = { NULL, 0 };

        if (peek(p)->kind == T_name && p->tok[p->i_tok + 1].kind == T_sign && str_is(p->tok[p->i_tok + 1].s, "=")) {
            name = peek(p)->s;
            p->i_tok += 2;
        }
        if (!add_arg(p, e, parse_choose(p), name))
            return false;
        if (!at_sign(p, ")") && !expect(p, ","))
            return false;
    }
    return true;
}

static Expr *parse_primary(Parser *p)
{
    Token t = *peek(p);
    Expr *e = NULL, *a = NULL;

    if (t.kind == T_end)
        return bad(p, p->line, "something is missing in", tag_text(p)), NULL;
    p->i_tok++;
    if (t.kind == T_str || t.kind == T_int) {
        e = new_expr(p, t.kind == T_str ? E_str : E_int, NULL, NULL);
        e->s = t.s;
        e->i = t.i;
        if (t.kind == T_str && peek(p)->kind == T_str) {    /* side by side they are one */
            Buf b = buf_in(p->a);

            buf_put(&b, t.s.p, t.s.n);
            for (; peek(p)->kind == T_str; p->i_tok++)
                buf_put(&b, peek(p)->s.p, peek(p)->s.n);
            e->s = buf_str(&b);
        }
        return e;
    }
    if (t.kind == T_name) {
        bool yes = str_is(t.s, "true") || str_is(t.s, "True");

        e = new_expr(p, E_name, NULL, NULL);
        e->s = t.s;
        if (yes || str_is(t.s, "false") || str_is(t.s, "False")) {
            e->kind = E_bool;
            e->i = yes;
        } else if (str_is(t.s, "none") || str_is(t.s, "None")) {
            e->kind = E_none;
        }
        return e;
    }
    if (str_is(t.s, "(")) {
        if (!at_sign(p, ")")) {
            if (!(a = parse_choose(p)))
                return NULL;
            if (take(p, ")"))
                return a;
        }
        e = new_expr(p, E_list, NULL, NULL);                /* a tuple */
        if (a && !add_arg(p, e, a, STR("")))
            return NULL;
        while (!take(p, ")"))
            if ((e->n_arg && !expect(p, ",")) || (!at_sign(p, ")") && !add_arg(p, e, parse_choose(p), STR(""))))
                return NULL;
        return e;
    }
    if (str_is(t.s, "[") || str_is(t.s, "{")) {
        bool dict = t.s.p[0] == '{';
        const char *close = dict ? "}" : "]";

        e = new_expr(p, dict ? E_dict : E_list, NULL, NULL);
        while (!take(p, close)) {
            if (!add_arg(p, e, parse_choose(p), STR("")))
                return NULL;
            if (dict && (!expect(p, ":") || !add_arg(p, e, parse_choose(p), STR(""))))
                return NULL;
            if (!at_sign(p, close) && !expect(p, ","))
                return NULL;
        }
        return e;
    }
    return bad(p, p->line, "an expression that is not understood:", tag_text(p)), NULL;
}

/* a[...] */
static Expr *parse_subscript(Parser *p, Expr *a)
{
    Expr *from = NULL, *e;

    if (!at_sign(p, ":") && !(from = parse_choose(p)))
        return NULL;
    if (take(p, ":")) {
        e = new_expr(p, E_slice, a, from);
        if (!at_sign(p, "]") && !at_sign(p, ":") && !(e->c = parse_choose(p)))
            return NULL;
        if (take(p, ":") && !at_sign(p, "]") && !(e->d = parse_choose(p)))
            return NULL;
    } else if (from->kind == E_str) {
        e = new_expr(p, E_attr, a, NULL);
        e->s = from->s;
    } else {
        e = new_expr(p, E_index, a, from);
    }
    return expect(p, "]") ? e : NULL;
}

static Expr *parse_postfix(Parser *p, Expr *e)
{
    while (e) {
        if (take(p, ".")) {
            Token t = *peek(p);

            if (t.kind != T_name && t.kind != T_int)
                return bad(p, p->line, "a name is missing in", tag_text(p)), NULL;
            p->i_tok++;
            e = new_expr(p, t.kind == T_name ? E_attr : E_index, e, NULL);
            e->s = t.s;
            if (t.kind == T_int) {
                e->b = new_expr(p, E_int, NULL, NULL);
                e->b->i = t.i;
            }
        } else if (take(p, "[")) {
            e = parse_subscript(p, e);
        } else if (take(p, "(")) {
            e = new_expr(p, E_call, e, NULL);
            if (!parse_args(p, e))
                return NULL;
        } else {
            break;
        }
    }
    return e;
}

/* a | filter, a is test, and calls of what came out. */
static Expr *parse_filters(Parser *p, Expr *e)
{
    while (e) {
        bool filter = take(p, "|");
        bool no;

        if (!filter && at_sign(p, "(")) {
            e = parse_postfix(p, e);
            continue;
        }
        if (!filter && !take(p, "is"))
            break;
        no = !filter && take(p, "not");
        e = new_expr(p, filter ? E_filter : E_test, e, NULL);
        if (peek(p)->kind != T_name)
            return bad(p, p->line, "a name is missing in", tag_text(p)), NULL;
        e->s = peek(p)->s;
        p->i_tok++;
        if (take(p, "(")) {
            if (!parse_args(p, e))
                return NULL;
        } else if (!filter && (peek(p)->kind == T_str || peek(p)->kind == T_int || at_sign(p, "[") || at_sign(p, "{") ||
                               (peek(p)->kind == T_name && !at_name(p, "else") && !at_name(p, "or") && !at_name(p, "and") &&
                                !at_name(p, "is") && !at_name(p, "if") && !at_name(p, "not") && !at_name(p, "in")))) {
            if (!add_arg(p, e, parse_postfix(p, parse_primary(p)), STR("")))
                return NULL;
        }
        if (no)
            e = new_expr(p, E_not, e, NULL);
    }
    return e;
}

static Expr *parse_unary(Parser *p, bool with_filter)
{
    Expr *e;

    if (++p->depth > MAX_DEPTH)
        return bad(p, p->line, "an expression that is too deep:", tag_text(p)), NULL;
    if (take(p, "-")) {
        e = parse_unary(p, false);
        e = e ? new_expr(p, E_neg, e, NULL) : NULL;
    } else {
        e = parse_postfix(p, parse_primary(p));
    }
    p->depth--;
    return e && with_filter ? parse_filters(p, e) : e;
}

/* Operators that bind alike, from the left: level 0 `+ -`, 1 `~`, 2 `* / %`. */
static Expr *parse_math(Parser *p, int level)
{
    static const struct { const char *sign; ExprKind kind; int level; } ops[] = {
        { "+", E_add, 0 }, { "-", E_sub, 0 }, { "~", E_cat, 1 }, { "*", E_mul, 2 }, { "//", E_div, 2 }, { "%", E_mod, 2 } };
    Expr *e;
    bool found = true;

    if (level == 3)
        return parse_unary(p, true);
    e = parse_math(p, level + 1);
    while (e && found) {
        found = false;
        for (int i = 0; i < 6 && !found; i++)
            if (ops[i].level == level && peek(p)->kind == T_sign && take(p, ops[i].sign)) {
                Expr *b = parse_math(p, level + 1);

                e = b ? new_expr(p, ops[i].kind, e, b) : NULL;
                found = true;
            }
    }
    return e;
}

static Expr *parse_compare(Parser *p)
{
    static const struct { const char *sign; ExprKind kind; } ops[] = {
        { "==", E_eq }, { "!=", E_ne }, { "<", E_lt }, { "<=", E_le }, { ">", E_gt }, { ">=", E_ge }, { "in", E_in } };
    Expr *e = parse_math(p, 0), *b;
    int n = 0;

    while (e) {
        bool no = at_name(p, "not") && p->tok[p->i_tok + 1].kind == T_name && str_is(p->tok[p->i_tok + 1].s, "in");
        int i = 0;

        p->i_tok += no;
        while (i < 7 && !take(p, ops[i].sign))
            i++;
        if (i == 7)
            break;
        if (n++)
            return bad(p, p->line, "a chain of comparisons in", tag_text(p)), NULL;
        b = parse_math(p, 0);
        e = b ? new_expr(p, ops[i].kind, e, b) : NULL;
        if (e && no)
            e = new_expr(p, E_not, e, NULL);
    }
    return e;
}

static Expr *parse_not(Parser *p)
{
    Expr *e;

    if (!take(p, "not"))
        return parse_compare(p);
    if (++p->depth > MAX_DEPTH)
        return bad(p, p->line, "an expression that is too deep:", tag_text(p)), NULL;
    e = parse_not(p);
    p->depth--;
    return e ? new_expr(p, E_not, e, NULL) : NULL;
}

static Expr *parse_logic(Parser *p, bool is_or)
{
    Expr *e = is_or ? parse_logic(p, false) : parse_not(p), *b;

    while (e && take(p, is_or ? "or" : "and")) {
        b = is_or ? parse_logic(p, false) : parse_not(p);
        e = b ? new_expr(p, is_or ? E_or : E_and, e, b) : NULL;
    }
    return e;
}

static Expr *parse_choose(Parser *p)
{
    Expr *e;

    if (++p->depth > MAX_DEPTH)
        return bad(p, p->line, "an expression that is too deep:", tag_text(p)), NULL;
    e = parse_logic(p, true);
    while (e && take(p, "if")) {
        Expr *b = parse_logic(p, true);

        e = b ? new_expr(p, E_choose, e, b) : NULL;
        if (e && take(p, "else") && !(e->c = parse_choose(p)))
            e = NULL;
    }
    p->depth--;
    return e;
}

/* ---- statements --------------------------------------------------------------------------------------------------- */

static Stmt *new_stmt(Parser *p, StmtKind kind)
{
    Stmt *s = ARENA_NEW(p->a, Stmt);

    s->kind = kind;
    s->line = p->line;
    return s;
}

static bool ended(Parser *p)
{
    return peek(p)->kind == T_end || bad(p, p->line, "more than was expected in", tag_text(p));
}

static bool parse_body(Parser *p, Stmt **out, const char *const *end);

/* After a body: "endNAME" has been read. */
static bool body_until(Parser *p, Stmt **out, const char *end)
{
    return parse_body(p, out, (const char *const[]){ end, NULL }) && (take(p, end), true);
}

/* After "if" or "elif". */
static Stmt *parse_if(Parser *p)
{
    static const char *const ends[] = { "elif", "else", "endif", NULL };
    Stmt *s = new_stmt(p, S_if);

    if (!(s->e = parse_choose(p)) || !ended(p) || !parse_body(p, &s->body, ends))
        return NULL;
    if (take(p, "elif"))
        return ++p->depth > MAX_DEPTH ? bad(p, p->line, "too many branches:", tag_text(p)), NULL
             : (s->other = parse_if(p)) != NULL ? p->depth--, s : NULL;
    if (take(p, "else"))
        return ended(p) && body_until(p, &s->other, "endif") ? s : NULL;
    return expect(p, "endif") ? s : NULL;
}

static Stmt *parse_for(Parser *p)
{
    static const char *const ends[] = { "else", "endfor", NULL };
    Stmt *s = new_stmt(p, S_for);

    s->s = peek(p)->s;
    if (peek(p)->kind != T_name)
        return bad(p, p->line, "a loop without a variable:", tag_text(p)), NULL;
    p->i_tok++;
    if (take(p, ",")) {                                     /* for key, value in ...: understood where it is executed */
        s->attr = peek(p)->s;
        if (peek(p)->kind != T_name)
            return bad(p, p->line, "a loop without a variable:", tag_text(p)), NULL;
        p->i_tok++;
    }
    if (!expect(p, "in") || !(s->e = parse_logic(p, true)) || (take(p, "if") && !(s->filter = parse_choose(p))) || !ended(p) ||
        !parse_body(p, &s->body, ends))
        return NULL;
    if (take(p, "else"))
        return ended(p) && body_until(p, &s->other, "endfor") ? s : NULL;
    return expect(p, "endfor") ? s : NULL;
}

static Stmt *parse_set(Parser *p)
{
    Stmt *s = new_stmt(p, S_set);

    s->s = peek(p)->s;
    if (peek(p)->kind != T_name)
        return bad(p, p->line, "not a name:", tag_text(p)), NULL;
    p->i_tok++;
    if (take(p, ".")) {
        s->attr = peek(p)->s;
        if (peek(p)->kind != T_name)
            return bad(p, p->line, "not a name:", tag_text(p)), NULL;
        p->i_tok++;
    }
    if (!take(p, "=")) {
        s->kind = S_set_block;
        return ended(p) && body_until(p, &s->body, "endset") ? s : NULL;
    }
    return (s->e = parse_choose(p)) != NULL && ended(p) ? s : NULL;
}

/* After "macro": its name and parameters. */
static bool parse_macro(Parser *p, Stmt *s)
{
    s->kind = S_macro;
    s->s = peek(p)->s;
    s->e = new_expr(p, E_call, NULL, NULL);
    if (peek(p)->kind != T_name)
        return bad(p, p->line, "a macro without a name:", tag_text(p));
    p->i_tok++;
    if (!expect(p, "("))
        return false;
    while (!take(p, ")")) {
        Str name = peek(p)->s;
        Expr *value = NULL;

        if (peek(p)->kind != T_name)
            return bad(p, p->line, "a parameter without a name:", tag_text(p));
        p->i_tok++;
        if (take(p, "=") && !(value = parse_choose(p)))
            return false;
        add_arg(p, s->e, value, name);
        if (!at_sign(p, ")") && !expect(p, ","))
            return false;
    }
    return ended(p);
}

/* What is not a statement of Jinja's core, or of no use here; with its body, if it has one. */
static Stmt *parse_other(Parser *p)
{
    static const char *const with_body[] = { "call", "filter", "generation", "block", "with", "autoescape", NULL };
    Stmt *s = new_stmt(p, S_other);

    s->s = peek(p)->s;
    if (peek(p)->kind != T_name)
        return bad(p, p->line, "not a statement:", tag_text(p)), NULL;
    if (take(p, "macro"))
        return parse_macro(p, s) && body_until(p, &s->body, "endmacro") ? s : NULL;
    for (int i = 0; with_body[i]; i++)
        if (at_name(p, with_body[i]))
            return body_until(p, &s->body, str_printf(p->a, "end%s", with_body[i])) ? s : NULL;
    return s;
}

/* Statements up to one that begins with a name of `end` (which is read and stands at its name), or to the template's end. */
static bool parse_body(Parser *p, Stmt **out, const char *const *end)
{
    Stmt *s;
    int line = p->line;

    if (++p->depth > MAX_DEPTH)
        return bad(p, p->line, "statements too deep:", tag_text(p));
    while (p->at < p->n_part) {
        const Part *part = &p->part[p->at++];

        if (part->kind == PART_text) {
            p->line = part->line;
            s = new_stmt(p, S_text);
            s->s = part->s;
        } else if (!tokens(p, part)) {
            return false;
        } else if (part->kind == PART_output) {
            s = new_stmt(p, S_output);
            if (!(s->e = parse_choose(p)) || !ended(p))
                return false;
        } else {
            for (int i = 0; end && end[i]; i++)
                if (at_name(p, end[i])) {
                    p->depth--;
                    return true;
                }
            s = take(p, "if") ? parse_if(p) : take(p, "for") ? parse_for(p) : take(p, "set") ? parse_set(p) : parse_other(p);
            if (!s)
                return false;
        }
        *out = s;
        out = &s->next;
    }
    p->depth--;
    while (end && end[1])
        end++;
    return !end || bad(p, line, "a statement without its", str_of(*end));
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

bool jinja_parse(Arena *a, Str text, Stmt **out, const char **why)
{
    Parser *p = ARENA_NEW(a, Parser);
    bool ok;

    p->a = a;
    p->line = 1;
    *out = NULL;
    ok = cut(p, unix_lines(a, text)) && parse_body(p, out, NULL);
    *why = p->why ? p->why : "";
    return ok && !p->why;
}
