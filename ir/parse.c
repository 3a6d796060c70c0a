/* Text -> Module: the language of docs/ir.md, by recursive descent with one token of lookahead.
 *
 * The text is hostile until it is parsed.  Nesting, operands, attributes and symbols are limited, sizes are checked before they are
 * multiplied, and every table that is searched per token is hashed, so the time is linear in the text.
 *
 * A mistake in the syntax ends the parse; a mistake in the meaning (an unknown op or value, a type that does not fit) is reported and
 * the parse goes on, so that all of them are seen at once.  Calls may name functions that come later: they are resolved at the end.
 * What comes out has been verified. */
#include "ir/internal.h"

enum { MAX_SYMS = 64, MAX_ENTRIES = 64, MAX_LAYER = 1 << 20 };

typedef enum { T_end, T_word, T_number, T_string, T_value, T_global, T_punct, T_bad } TokenKind;

/* word: text.  number: text.  string: bytes without escapes.  value, global: the name after % or @.  punct: one of ( ) { } [ ] , :
 * = + * / - or 'a' for -> and 'd' for .. */
typedef struct { TokenKind kind; Str s; char punct; size_t pos; int line, col; } Token;

typedef struct { Op *op; const char *callee; Loc at; } Pending;

typedef struct {
    Module *m;
    Arena *a;
    Diag *d;
    const char *file;
    Str text;
    size_t pos, line_start;
    int line;
    Token tok;
    int depth;
    StrMap globals, funcs, metas;
    Pending *pending;
    int n_pending;
} Parser;

/* ---- tokens --------------------------------------------------------------------------------------------------------- */

static Loc here(const Parser *p)
{
    return AT_LINE(p->file, p->tok.line, p->tok.col);
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static char at_pos(const Parser *p, size_t i)
{
    return i < p->text.n ? p->text.p[i] : 0;
}

static void skip_space(Parser *p)
{
    for (; p->pos < p->text.n; p->pos++) {
        char c = p->text.p[p->pos];

        if (c == '\n') {
            p->line += p->line < INT32_MAX;
            p->line_start = p->pos + 1;
        } else if (c == '#' || (c == '/' && at_pos(p, p->pos + 1) == '/')) {
            const char *end = memchr(p->text.p + p->pos, '\n', p->text.n - p->pos);

            p->pos = end ? (size_t)(end - p->text.p) - 1 : p->text.n - 1;
        } else if (c != ' ' && c != '\t' && c != '\r') {
            return;
        }
    }
}

static int hex_digit(char c)
{
    return is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* At the opening quote.  false after a report. */
static bool lex_string(Parser *p, Str *out)
{
    Buf b = buf_in(p->a);

    for (p->pos++; at_pos(p, p->pos) != '"'; p->pos++) {
        char c = at_pos(p, p->pos);

        if (p->pos >= p->text.n || c == '\n')
            return fail(p->d, here(p), "this string does not end on its line");
        if (c == '\\') {
            c = at_pos(p, ++p->pos);
            if (c == 'n') {
                c = '\n';
            } else if (c == 't') {
                c = '\t';
            } else if (c == 'x' && hex_digit(at_pos(p, p->pos + 1)) >= 0 && hex_digit(at_pos(p, p->pos + 2)) >= 0) {
                c = (char)(hex_digit(at_pos(p, p->pos + 1)) * 16 + hex_digit(at_pos(p, p->pos + 2)));
                p->pos += 2;
            } else if (c != '"' && c != '\\') {
                return fail(p->d, here(p), "this string has an escape that is not \\\" \\\\ \\n \\t or \\xNN");
            }
        }
        buf_putc(&b, c);
    }
    p->pos++;
    buf_z(&b);
    *out = buf_str(&b);
    return true;
}

/* digits [. digits] [e [sign] digits], or 0x digits; "1..256" is 1, then "..". */
static void lex_number(Parser *p)
{
    bool hex = at_pos(p, p->pos) == '0' && at_pos(p, p->pos + 1) == 'x';

    p->pos += hex ? 2 : 0;
    while (hex ? hex_digit(at_pos(p, p->pos)) >= 0 : is_digit(at_pos(p, p->pos)))
        p->pos++;
    if (hex)
        return;
    if (at_pos(p, p->pos) == '.' && at_pos(p, p->pos + 1) != '.')
        for (p->pos++; is_digit(at_pos(p, p->pos)); p->pos++)
            ;
    if (at_pos(p, p->pos) == 'e' || at_pos(p, p->pos) == 'E') {
        size_t i = p->pos + 1;

        i += at_pos(p, i) == '+' || at_pos(p, i) == '-';
        if (is_digit(at_pos(p, i)))
            for (p->pos = i; is_digit(at_pos(p, p->pos)); p->pos++)
                ;
    }
}

/* Reads the next token.  After a report it is T_bad, which no rule accepts. */
static void next(Parser *p)
{
    Token *t = &p->tok;
    size_t start;
    char c;

    skip_space(p);
    start = p->pos;
    *t = (Token){ .kind = T_bad, .pos = start, .line = p->line,
                  .col = start - p->line_start < INT32_MAX ? (int)(start - p->line_start) + 1 : INT32_MAX };
    if (start >= p->text.n) {
        t->kind = T_end;
        return;
    }
    c = p->text.p[start];
    if (is_letter(c)) {
        while (is_letter(at_pos(p, p->pos)) || is_digit(at_pos(p, p->pos)) ||
               (at_pos(p, p->pos) == '.' && at_pos(p, p->pos + 1) != '.'))
            p->pos++;
        t->kind = T_word;
    } else if (is_digit(c)) {
        lex_number(p);
        t->kind = T_number;
    } else if (c == '"') {
        if (lex_string(p, &t->s))
            t->kind = T_string;
        return;
    } else if (c == '%' || c == '@') {
        p->pos++;
        if (at_pos(p, p->pos) == '"') {
            if (!lex_string(p, &t->s))
                return;
        } else {
            while (is_letter(at_pos(p, p->pos)) || is_digit(at_pos(p, p->pos)) || at_pos(p, p->pos) == '.')
                p->pos++;
            t->s = (Str){ p->text.p + start + 1, p->pos - start - 1 };
        }
        if (t->s.n == 0)
            fail(p->d, here(p), "a name is missing after '%c'", c);
        else if (memchr(t->s.p, 0, t->s.n))
            fail(p->d, here(p), "a name with a NUL byte");
        else
            t->kind = c == '%' ? T_value : T_global;
        return;
    } else if (c && strchr("(){}[],:=+*/", c)) {
        t->punct = c;
        t->kind = T_punct;
        p->pos++;
    } else if (c == '-' || (c == '.' && at_pos(p, start + 1) == '.')) {
        t->kind = T_punct;
        t->punct = c == '.' ? 'd' : at_pos(p, start + 1) == '>' ? 'a' : '-';
        p->pos += t->punct == '-' ? 1 : 2;
    } else {
        p->pos++;
        fail(p->d, here(p), "the character '%s' has no meaning here", str_show(p->a, (Str){ p->text.p + start, 1 }, 8));
        return;
    }
    t->s = (Str){ p->text.p + start, p->pos - start };
}

static bool is_punct(const Parser *p, char c)
{
    return p->tok.kind == T_punct && p->tok.punct == c;
}

static bool is_word(const Parser *p, const char *w)
{
    return p->tok.kind == T_word && str_is(p->tok.s, w);
}

static bool take_punct(Parser *p, char c)
{
    if (!is_punct(p, c))
        return false;
    next(p);
    return true;
}

static bool take_word(Parser *p, const char *w)
{
    if (!is_word(p, w))
        return false;
    next(p);
    return true;
}

static bool unexpected(Parser *p, const char *want)
{
    switch (p->tok.kind) {
    case T_bad: return false;                               /* the lexer has reported it */
    case T_end: return fail(p->d, here(p), "the text ends where %s should be", want);
    case T_string: return fail(p->d, here(p), "a string where %s should be", want);
    case T_value: case T_global:
        return fail(p->d, here(p), "'%c%s' where %s should be", p->tok.kind == T_value ? '%' : '@',
                    str_show(p->a, p->tok.s, 40), want);
    default: return fail(p->d, here(p), "'%s' where %s should be", str_show(p->a, p->tok.s, 40), want);
    }
}

static bool want_punct(Parser *p, char c)
{
    return take_punct(p, c) ||
           unexpected(p, c == 'a' ? "'->'" : c == 'd' ? "'..'" : str_printf(p->a, "'%c'", c));
}

static bool want_word(Parser *p, const char *w)
{
    return take_word(p, w) || unexpected(p, str_printf(p->a, "'%s'", w));
}

/* A name as a terminated string in the arena. */
static bool want_name(Parser *p, TokenKind kind, const char *what, const char **out)
{
    if (p->tok.kind != kind && !(kind == T_word && p->tok.kind == T_string))
        return unexpected(p, what);
    if (p->tok.s.n == 0 || memchr(p->tok.s.p, 0, p->tok.s.n))
        return fail(p->d, here(p), "%s that is empty or has a NUL byte", what);
    *out = str_z(p->a, p->tok.s);
    next(p);
    return true;
}

static bool want_string(Parser *p, Str *out)
{
    if (p->tok.kind != T_string)
        return unexpected(p, "a string");
    *out = p->tok.s;
    next(p);
    return true;
}

static bool want_u64(Parser *p, uint64_t *out)
{
    uint64_t v = 0;

    if (p->tok.kind != T_number)
        return unexpected(p, "a number");
    for (size_t i = 0; i < p->tok.s.n; i++)
        if (!is_digit(p->tok.s.p[i]) || !mul_ok(v, 10, &v) || !add_ok(v, (uint64_t)(p->tok.s.p[i] - '0'), &v))
            return fail(p->d, here(p), "'%s' is not a whole number that fits 64 bits", str_show(p->a, p->tok.s, 40));
    *out = v;
    next(p);
    return true;
}

static bool want_int(Parser *p, int64_t lo, int64_t hi, int64_t *out)
{
    bool minus = take_punct(p, '-');
    Loc at = here(p);
    uint64_t v;

    if (!want_u64(p, &v))
        return false;
    if (v > (uint64_t)INT64_MAX + minus)
        return fail(p->d, at, "the number does not fit 64 bits");
    *out = minus ? (int64_t)(0 - v) : (int64_t)v;
    return (*out >= lo && *out <= hi) ||
           fail(p->d, at, "%" PRId64 " is not in %" PRId64 "..%" PRId64, *out, lo, hi);
}

/* KEY=number */
static bool want_key_u64(Parser *p, const char *key, uint64_t *out)
{
    return want_word(p, key) && want_punct(p, '=') && want_u64(p, out);
}

/* Counts nesting; leave() after it. */
static bool enter(Parser *p)
{
    return ++p->depth <= MAX_NESTING || fail(p->d, here(p), "nested more than %d deep", MAX_NESTING);
}

static void leave(Parser *p)
{
    p->depth--;
}

/* ---- dimensions and types --------------------------------------------------------------------------------------------- */

static bool parse_dim(Parser *p, Dim *out);

static bool parse_atom(Parser *p, Dim *out)
{
    if (p->tok.kind == T_number) {
        int64_t c;

        if (!want_int(p, 0, MAX_DIM, &c))
            return false;
        *out = dim_const(p->m, c);
        return true;
    }
    if (take_punct(p, '('))
        return parse_dim(p, out) && want_punct(p, ')');
    if (p->tok.kind == T_word || p->tok.kind == T_string) {
        Token name = p->tok;
        const Sym *s;

        next(p);
        if (name.kind == T_word && (str_is(name.s, "min") || str_is(name.s, "max")) && take_punct(p, '(')) {
            Dim a, b;

            if (!parse_dim(p, &a) || !want_punct(p, ',') || !parse_dim(p, &b) || !want_punct(p, ')'))
                return false;
            *out = str_is(name.s, "min") ? dim_min(p->m, a, b) : dim_max(p->m, a, b);
            return true;
        }
        s = module_find_sym(p->m, name.s);
        if (!s)
            return fail(p->d, AT_LINE(p->file, name.line, name.col), "the symbol '%s' is not declared (sym %s 1..256)",
                        str_show(p->a, name.s, 40), str_show(p->a, name.s, 40));
        *out = dim_sym(p->m, s);
        return true;
    }
    return unexpected(p, "a dimension");
}

static bool parse_term(Parser *p, Dim *out)
{
    if (!parse_atom(p, out))
        return false;
    for (int n = 0; is_punct(p, '*') || is_punct(p, '/'); n++) {
        bool times = is_punct(p, '*');
        int64_t c;

        next(p);
        if (n == MAX_DIM_TERMS)
            return fail(p->d, here(p), "a dimension with more than %d factors", MAX_DIM_TERMS);
        if (!want_int(p, !times, MAX_DIM, &c))
            return false;
        *out = times ? dim_mul(p->m, *out, c) : dim_div(p->m, *out, c);
    }
    return true;
}

static bool parse_dim(Parser *p, Dim *out)
{
    if (!enter(p) || !parse_term(p, out))
        return false;
    for (int n = 0; is_punct(p, '+') || is_punct(p, '-'); n++) {
        bool minus = is_punct(p, '-');
        int64_t c;
        Dim b;

        next(p);
        if (n == MAX_DIM_TERMS)
            return fail(p->d, here(p), "a dimension with more than %d terms", MAX_DIM_TERMS);
        if (minus) {
            if (!want_int(p, 0, MAX_DIM, &c))
                return false;
            b = dim_const(p->m, -c);
        } else if (!parse_term(p, &b)) {
            return false;
        }
        *out = dim_add(p->m, *out, b);
    }
    leave(p);
    return true;
}

static bool parse_type(Parser *p, Type *t)
{
    Loc at = here(p);

    *t = (Type){ 0 };
    if (p->tok.kind != T_word)
        return unexpected(p, "a type");
    t->fmt = format_find(p->tok.s);
    if (!t->fmt) {
        const char *near = str_nearest(p->tok.s, format_names);

        return fail(p->d, at, "unknown format '%s'%s%s%s", str_show(p->a, p->tok.s, 40), near ? " (did you mean '" : "",
                    near ? near : "", near ? "'?)" : "");
    }
    next(p);
    if (!want_punct(p, '['))
        return false;
    while (!is_punct(p, ']')) {
        if (t->rank == MAX_RANK)
            return fail(p->d, here(p), "a tensor has at most %d dimensions", MAX_RANK);
        if (!parse_dim(p, &t->dim[t->rank++]))
            return false;
        if (!is_punct(p, ']') && !want_punct(p, ','))
            return false;
    }
    next(p);
    return type_check(*t, p->d, at);
}

/* ---- attributes --------------------------------------------------------------------------------------------------------- */

static bool parse_number(Parser *p, Attr *a)
{
    bool minus = take_punct(p, '-');

    if (is_word(p, "inf") || is_word(p, "nan") ||
        (p->tok.kind == T_number && !str_begins(p->tok.s, "0x") &&
         (memchr(p->tok.s.p, '.', p->tok.s.n) || memchr(p->tok.s.p, 'e', p->tok.s.n) || memchr(p->tok.s.p, 'E', p->tok.s.n)))) {
        a->kind = ATTR_float;
        if (!str_to_double(p->tok.s, &a->f))
            return unexpected(p, "a number");
        a->f = minus ? -a->f : a->f;
        next(p);
        return true;
    }
    if (p->tok.kind != T_number)
        return unexpected(p, "a number");
    a->kind = ATTR_int;
    if (!str_to_i64((Str){ p->tok.s.p - minus, p->tok.s.n + minus }, &a->i))
        return fail(p->d, here(p), "'%s' does not fit 64 bits", str_show(p->a, p->tok.s, 40));
    next(p);
    return true;
}

static bool parse_ints(Parser *p, Attr *a)
{
    int64_t *v = NULL;

    a->kind = ATTR_ints;
    for (next(p); !is_punct(p, ']'); ) {
        Attr one = { 0 };
        Loc at = here(p);

        if (!parse_number(p, &one))
            return false;
        if (one.kind != ATTR_int)
            return fail(p->d, at, "a list holds whole numbers only");
        v = grow_array(p->a, v, a->n_ints, sizeof *v);
        v[a->n_ints++] = one.i;
        if (!is_punct(p, ']') && !want_punct(p, ','))
            return false;
    }
    a->ints = v;
    next(p);
    return true;
}

static bool parse_value(Parser *p, Attr *a)
{
    if (p->tok.kind == T_string) {
        a->kind = ATTR_str;
        a->s = p->tok.s;
        next(p);
        return true;
    }
    return is_punct(p, '[') ? parse_ints(p, a) : parse_number(p, a);
}

/* ---- declarations ------------------------------------------------------------------------------------------------------ */

static bool parse_module(Parser *p)
{
    const char *name;
    Str s = p->tok.s;

    if (p->tok.kind == T_string && s.n == 0) {
        next(p);
        p->m->name = "";
        return true;
    }
    if (!want_name(p, T_string, "the Module's name", &name))
        return false;
    p->m->name = name;
    return true;
}

static bool parse_file(Parser *p)
{
    Loc at = here(p);
    int64_t i;
    const char *name;
    Digest digest;
    size_t end;
    uint64_t bytes;

    if (!want_int(p, 0, INT32_MAX, &i) || !want_name(p, T_string, "the file's name", &name))
        return false;
    if (i != p->m->n_file)
        return fail(p->d, at, "files are numbered in order: %d comes here", p->m->n_file);
    if (!is_word(p, "digest"))
        return unexpected(p, "'digest'");
    next(p);
    if (!is_punct(p, '='))
        return unexpected(p, "'='");
    skip_space(p);
    for (end = p->pos; hex_digit(at_pos(p, end)) >= 0; end++)       /* a digest may begin with a digit or a letter */
        ;
    if (!digest_parse((Str){ p->text.p + p->pos, end - p->pos }, &digest)) {
        next(p);
        return fail(p->d, here(p), "a digest has 32 hexadecimal digits");
    }
    p->pos = end;
    next(p);
    if (!want_key_u64(p, "bytes", &bytes))
        return false;
    module_add_file(p->m, name, digest, bytes, NULL);
    return true;
}

static bool parse_meta(Parser *p)
{
    Loc at = here(p);
    const char *key;
    Attr v = { 0 };

    if (!want_name(p, T_string, "a key", &key) || !want_punct(p, '=') || !parse_value(p, &v))
        return false;
    v.name = key;
    if (!strmap_add(&p->metas, str_of(key), (void *)key))
        return fail(p->d, at, "the key '%s' is given twice", str_show(p->a, str_of(key), 80));
    p->m->meta = grow_array(p->a, p->m->meta, p->m->n_meta, sizeof *p->m->meta);
    p->m->meta[p->m->n_meta++] = (Meta){ key, v };
    return true;
}

static bool parse_range(Parser *p, int64_t *lo, int64_t *hi)
{
    Loc at = here(p);

    if (!want_int(p, 0, MAX_DIM, lo))
        return false;
    *hi = *lo;
    if (take_punct(p, 'd') && !want_int(p, 0, MAX_DIM, hi))
        return false;
    return *lo <= *hi || fail(p->d, at, "the range %" PRId64 "..%" PRId64 " is empty", *lo, *hi);
}

static bool parse_sym(Parser *p)
{
    Loc at = here(p);
    const char *name;
    int64_t lo, hi;

    if (!want_name(p, T_word, "a symbol", &name) || !parse_range(p, &lo, &hi))
        return false;
    if (module_find_sym(p->m, str_of(name)))
        return fail(p->d, at, "the symbol '%s' is declared twice", str_show(p->a, str_of(name), 40));
    if (p->m->n_sym == MAX_SYMS)
        return fail(p->d, at, "more than %d symbols", MAX_SYMS);
    module_sym(p->m, name, lo, hi);
    return true;
}

/* An integer of the weight's format. */
static bool fits_format(Parser *p, Loc at, const Format *f, const Attr *one)
{
    int64_t lo, hi;

    if (f->bytes > 4)
        return fail(p->d, at, "const is not written in %s", f->name);
    format_int_range(f, &lo, &hi);
    return (one->kind == ATTR_int && one->i >= lo && one->i <= hi) ||
           fail(p->d, at, "a number of %s is an integer in %" PRId64 "..%" PRId64, f->name, lo, hi);
}

static bool parse_const(Parser *p, WExpr *e)
{
    bool is_int = e->type.fmt->kind == FORMAT_int;
    float *v = NULL;
    int32_t *u = NULL;
    int n = 0;

    if (!is_punct(p, '['))
        return unexpected(p, "'['");
    for (next(p); !is_punct(p, ']'); ) {
        Attr one = { 0 };
        Loc at = here(p);

        if (!parse_number(p, &one))
            return false;
        if (n == INT32_MAX / 2)
            return fail(p->d, here(p), "too many numbers");
        if (is_int) {
            if (!fits_format(p, at, e->type.fmt, &one))
                return false;
            u = grow_array(p->a, u, n, sizeof *u);
            u[n++] = (int32_t)one.i;
        } else {
            v = grow_array(p->a, v, n, sizeof *v);
            v[n++] = one.kind == ATTR_int ? (float)one.i : (float)one.f;
        }
        if (!is_punct(p, ']') && !want_punct(p, ','))
            return false;
    }
    if (type_n(e->type) != n)
        return fail(p->d, here(p), "%d numbers for a weight of %" PRId64, n, type_n(e->type));
    e->value = v;
    e->ints = u;
    next(p);
    return true;
}

static bool parse_wexpr(Parser *p, Type t, WExpr **out)
{
    static const char *const kinds[] = { "view", "fill", "const", "convert", "permute_rows", "packed", NULL };
    Token kind = p->tok;
    WExpr *e = wexpr_new(p->m, W_view, t);
    bool ok = true;
    int k = 0;

    if (kind.kind != T_word)
        return unexpected(p, "a weight expression");
    while (kinds[k] && !str_is(kind.s, kinds[k]))
        k++;
    if (!kinds[k]) {
        const char *near = str_nearest(kind.s, kinds);

        return fail(p->d, here(p), "unknown weight expression '%s'%s%s%s", str_show(p->a, kind.s, 40),
                    near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
    }
    e->kind = (WExprKind)k;
    *out = e;
    if (!enter(p))
        return false;
    next(p);
    switch (e->kind) {
    case W_view: {
        uint64_t file = 0;

        ok = want_key_u64(p, "file", &file) && want_key_u64(p, "off", &e->off);
        e->file = file < INT32_MAX ? (int)file : INT32_MAX;
        break;
    }
    case W_fill:
        ok = want_string(p, &e->name) && want_key_u64(p, "seed", &e->seed);
        break;
    case W_const:
        ok = parse_const(p, e);
        break;
    case W_permute_rows: {
        uint64_t head_dim = 0;

        ok = want_word(p, "perm") && want_punct(p, '=') && want_word(p, "rope_half_to_pairs") &&
             want_key_u64(p, "head_dim", &head_dim);
        e->head_dim = head_dim <= (uint64_t)MAX_DIM ? (int64_t)head_dim : -1;
        break;
    }
    case W_packed:
        ok = want_key_u64(p, "off", &e->off);
        break;
    case W_convert:
        break;
    }
    if (ok && (e->kind == W_convert || e->kind == W_permute_rows)) {
        size_t expr;                                        /* the operand's type comes after it: find it first */
        Token first;
        int line;
        size_t line_start;
        Type inner;

        if (!want_punct(p, '('))
            return false;
        first = p->tok, expr = p->pos, line = p->line, line_start = p->line_start;
        for (int open = 0; ; next(p)) {                     /* skip to this level's ':' */
            if (p->tok.kind == T_end || p->tok.kind == T_bad)
                return unexpected(p, "':'");
            open += is_punct(p, '(') || is_punct(p, '[');
            open -= is_punct(p, ')') || is_punct(p, ']');
            if (open < 0 || (open == 0 && is_punct(p, ':')))
                break;
        }
        if (!want_punct(p, ':') || !parse_type(p, &inner))
            return false;
        p->tok = first, p->pos = expr, p->line = line, p->line_start = line_start;
        if (!parse_wexpr(p, inner, &e->a) || !want_punct(p, ':') || !parse_type(p, &inner) || !want_punct(p, ')'))
            return false;
    }
    leave(p);
    return ok;
}

static bool parse_layout(Parser *p, const Layout **out)
{
    const char *names[N_LAYOUTS + 1];
    const char *near;

    if (p->tok.kind != T_word)
        return unexpected(p, "a layout");
    *out = layout_find(p->tok.s);
    if (*out) {
        next(p);
        return true;
    }
    for (int i = 0; i < N_LAYOUTS; i++)
        names[i] = layout_table[i].name;
    names[N_LAYOUTS] = NULL;
    near = str_nearest(p->tok.s, names);
    return fail(p->d, here(p), "unknown layout '%s'%s%s%s", str_show(p->a, p->tok.s, 40), near ? " (did you mean '" : "",
                near ? near : "", near ? "'?)" : "");
}

static bool declare(Parser *p, Value *v, Loc at)
{
    return strmap_add(&p->globals, str_of(v->name), v) ||
           fail(p->d, at, "@%s is declared twice", str_show(p->a, str_of(v->name), 80));
}

static bool parse_weight(Parser *p)
{
    Loc at = here(p);
    const char *name;
    Type t;
    WExpr *e;
    Weight *w;

    if (!want_name(p, T_global, "the weight's @name", &name) || !want_punct(p, ':') || !parse_type(p, &t) || !want_punct(p, '='))
        return false;
    if (!parse_wexpr(p, t, &e) || !wexpr_check(p->m, e, p->d, at))
        return false;
    w = module_add_weight(p->m, name, t, e);
    if (take_word(p, "layout") &&
        (!want_punct(p, '=') || !parse_layout(p, &w->layout) || !want_key_u64(p, "off", &w->off) ||
         !want_key_u64(p, "stride", &w->tile_stride) || !want_key_u64(p, "bytes", &w->bytes)))
        return false;
    w->value->layout = w->layout;
    w->value->tile_stride = w->tile_stride;
    return declare(p, w->value, at);
}

static bool parse_state(Parser *p)
{
    Loc at = here(p);
    const char *name, *kind;
    WExpr *init = NULL;
    State *s;
    Type t;

    if (!want_name(p, T_global, "the state's @name", &name) || !want_punct(p, ':') || !parse_type(p, &t) ||
        !want_word(p, "kind") || !want_punct(p, '=') || !want_name(p, T_word, "a kind of state", &kind))
        return false;
    if (take_word(p, "init") && (!want_punct(p, '=') || !parse_wexpr(p, t, &init) || !wexpr_check(p->m, init, p->d, at)))
        return false;
    s = module_add_state(p->m, name, kind, t);
    s->init = init;
    return declare(p, s->value, at);
}

static bool parse_blob(Parser *p)
{
    Blob b = { 0 };

    if (!want_name(p, T_string, "the blob's name", &b.name) || !want_key_u64(p, "off", &b.off) ||
        !want_key_u64(p, "bytes", &b.n))
        return false;
    module_add_blob(p->m, b.name, NULL, b.n);
    p->m->blob[p->m->n_blob - 1].off = b.off;
    return true;
}

/* ---- functions --------------------------------------------------------------------------------------------------------- */

static bool parse_params(Parser *p, Region *r, StrMap *scope)
{
    if (!want_punct(p, '('))
        return false;
    while (!is_punct(p, ')')) {
        ValueKind role = take_word(p, "weight") ? VAL_weight : take_word(p, "state") ? VAL_state : VAL_result;
        Loc at = here(p);
        const char *name;
        Type t;
        Value *v;

        if (!want_name(p, T_value, "a parameter's %name", &name) || !want_punct(p, ':') || !parse_type(p, &t))
            return false;
        if (r->n_param == MAX_OPERANDS)
            return fail(p->d, at, "more than %d parameters", MAX_OPERANDS);
        v = region_add_param_named(r, name, t, role);
        if (!strmap_add(scope, str_of(name), v))
            fail(p->d, at, "%%%s is defined twice", str_show(p->a, str_of(name), 80));
        if (role == VAL_weight && take_word(p, "layout") &&
            (!want_punct(p, '=') || !parse_layout(p, &v->layout) || !want_key_u64(p, "stride", &v->tile_stride)))
            return false;
        if (!is_punct(p, ')') && !want_punct(p, ','))
            return false;
    }
    next(p);
    return true;
}

typedef struct { const char *name; Type type; Loc at; } Written;

/* %a, %b */
static bool parse_results(Parser *p, Written **out, int *n)
{
    Written *w = NULL;

    *n = 0;
    do {
        Loc at = here(p);

        if (*n == MAX_OPERANDS)
            return fail(p->d, at, "more than %d results", MAX_OPERANDS);
        w = grow_array(p->a, w, *n, sizeof *w);
        w[*n] = (Written){ .at = at };
        if (!want_name(p, T_value, "a result's %name", &w[*n].name))
            return false;
        ++*n;
    } while (take_punct(p, ','));
    *out = w;
    return want_punct(p, '=');
}

/* A value as an operand: NULL after a report where there is none of that name. */
static bool parse_operand(Parser *p, const StrMap *scope, bool top, Value **out)
{
    bool global = p->tok.kind == T_global;
    Value *v;

    if (!global && p->tok.kind != T_value)
        return unexpected(p, "an operand");
    v = strmap_get(global ? &p->globals : scope, p->tok.s);
    if (!v)
        fail(p->d, here(p), "%c%s is not defined%s", global ? '@' : '%', str_show(p->a, p->tok.s, 80),
             top || global ? "" : " in this region (pass it as an operand)");
    *out = v;
    next(p);
    return true;
}

static bool parse_operands(Parser *p, Op *o, const StrMap *scope)
{
    bool top = !o->parent->owner;
    Value **in = NULL;
    int n = 0;

    if (p->tok.kind == T_value || p->tok.kind == T_global)
        do {
            if (n == MAX_OPERANDS)
                return fail(p->d, here(p), "more than %d operands", MAX_OPERANDS);
            in = grow_array(p->a, in, n, sizeof *in);
            if (!parse_operand(p, scope, top, &in[n++]))
                return false;
        } while (take_punct(p, ','));
    o->in = in;
    o->n_in = n;
    return true;
}

static bool parse_attrs(Parser *p, Op *o)
{
    if (!take_punct(p, '{'))
        return true;
    while (!is_punct(p, '}')) {
        Loc at = here(p);
        Attr a = { 0 };

        if (!want_name(p, T_word, "an attribute", &a.name) || !want_punct(p, '=') || !parse_value(p, &a))
            return false;
        if (o->n_attr == MAX_ATTRS)
            return fail(p->d, at, "more than %d attributes", MAX_ATTRS);
        if (op_attr(o, a.name))
            fail(p->d, at, "attribute '%s' is given twice", str_show(p->a, str_of(a.name), 40));
        op_set_attr(o, a);
        if (!is_punct(p, '}') && !want_punct(p, ','))
            return false;
    }
    next(p);
    return true;
}

/* layer=3 from="attn_q" by="fuse" */
static bool parse_provenance(Parser *p, Op *o)
{
    for (;;) {
        int64_t layer;

        if (take_word(p, "layer")) {
            if (!want_punct(p, '=') || !want_int(p, 0, MAX_LAYER, &layer))
                return false;
            o->layer = (int)layer;
        } else if (take_word(p, "from")) {
            if (!want_punct(p, '=') || !want_name(p, T_string, "a name", &o->from))
                return false;
        } else if (take_word(p, "by")) {
            if (!want_punct(p, '=') || !want_name(p, T_string, "a pass", &o->by))
                return false;
        } else {
            return true;
        }
    }
}

/* Is what was written what the op's rule says?  Everything of the op has been read. */
static void check_op(Parser *p, Op *o, Loc at)
{
    int n = o->n_out;
    Type *t = ARENA_ARRAY(p->a, Type, n + 1);

    if (!op_check_table(o, p->d, at) || !op_result_types(o, t, &n, p->d, at))
        return;
    if (n != o->n_out) {
        fail(p->d, at, "'%s' has %d result%s, not %d", op_info[o->kind].name, n, n == 1 ? "" : "s", o->n_out);
        return;
    }
    for (int i = 0; i < n; i++)
        if (!type_eq(t[i], o->out[i]->type))
            fail(p->d, at, "'%s' gives %%%s the type %s, not %s", op_info[o->kind].name,
                 str_show(p->a, str_of(o->out[i]->name), 40), type_text(p->a, t[i]), type_text(p->a, o->out[i]->type));
}

static bool parse_body(Parser *p, Region *r, StrMap *scope);

static bool parse_op(Parser *p, Region *r, StrMap *scope)
{
    Written *out = NULL;
    int n_out = 0;
    int errors;
    const char *callee = NULL;
    Token name;
    OpKind kind;
    Loc at;
    Op *o;

    if (p->tok.kind == T_value && !parse_results(p, &out, &n_out))
        return false;
    name = p->tok;
    at = here(p);
    if (name.kind != T_word)
        return unexpected(p, "an op");
    errors = diag_n_errors(p->d);
    kind = op_find(name.s);
    if (kind == N_OPS) {
        const char *names[N_OPS + 1];
        const char *near;

        for (int i = 0; i < N_OPS; i++)
            names[i] = op_info[i].name;
        names[N_OPS] = NULL;
        near = str_nearest(name.s, names);
        fail(p->d, at, "unknown op '%s'%s%s%s", str_show(p->a, name.s, 40), near ? " (did you mean '" : "", near ? near : "",
             near ? "'?)" : "");
    }
    next(p);
    o = op_new_detached(p->m, kind == N_OPS ? OP_yield : kind, 0);
    op_insert(o, r, NULL);
    if (kind == OP_call && (!want_name(p, T_global, "the @name of a function", &callee) || !want_punct(p, '(')))
        return false;
    if (!parse_operands(p, o, scope) || (kind == OP_call && !want_punct(p, ')')) || !parse_attrs(p, o))
        return false;
    while (is_punct(p, '(')) {
        Region *inner;
        StrMap inner_scope = strmap_in(p->a);

        if (!enter(p))
            return false;
        if (o->n_region == 4)
            return fail(p->d, here(p), "more than 4 regions");
        inner = op_add_region(o);
        if (!parse_params(p, inner, &inner_scope) || !want_punct(p, '{') || !parse_body(p, inner, &inner_scope))
            return false;
        leave(p);
    }
    if (n_out && !want_punct(p, ':'))
        return false;
    for (int i = 0; i < n_out; i++) {
        Value *v;

        if ((i && !want_punct(p, ',')) || !parse_type(p, &out[i].type))
            return false;
        v = op_add_result_named(o, out[i].name, out[i].type);
        if (!strmap_add(scope, str_of(v->name), v))
            fail(p->d, out[i].at, "%%%s is defined twice", str_show(p->a, str_of(v->name), 80));
    }
    if (!parse_provenance(p, o))
        return false;
    if (kind == OP_call) {
        p->pending = grow_array(p->a, p->pending, p->n_pending, sizeof *p->pending);
        p->pending[p->n_pending++] = (Pending){ o, callee, at };
    } else if (diag_n_errors(p->d) == errors) {
        check_op(p, o, at);
    }
    return true;
}

/* The ops of a region up to its '}'. */
static bool parse_body(Parser *p, Region *r, StrMap *scope)
{
    while (!is_punct(p, '}'))
        if (!parse_op(p, r, scope))
            return false;
    next(p);
    return true;
}

static void check_returned(Parser *p, const Func *f, const Op *end, const Type *t, int n, Loc at)
{
    const char *name = str_show(p->a, str_of(f->name), 80);

    if (n != end->n_in)
        fail(p->d, at, "function @%s returns %d values, not %d", name, end->n_in, n);
    for (int i = 0; i < n && i < end->n_in; i++)
        if (end->in[i] && !type_eq(t[i], end->in[i]->type))
            fail(p->d, at, "function @%s returns %s, not %s", name, type_text(p->a, end->in[i]->type), type_text(p->a, t[i]));
}

static bool parse_func(Parser *p)
{
    Loc at = here(p);
    StrMap scope = strmap_in(p->a);
    const char *name;
    Type *t = NULL;
    int n = 0;
    bool written = false;
    const Op *end;
    Func *f;

    if (!want_name(p, T_global, "the function's @name", &name))
        return false;
    f = module_add_func(p->m, name);
    if (!strmap_add(&p->funcs, str_of(f->name), f))
        fail(p->d, at, "function @%s is defined twice", str_show(p->a, str_of(name), 80));
    if (!parse_params(p, f->body, &scope))
        return false;
    if (take_punct(p, 'a')) {
        written = true;
        if (!want_punct(p, '('))
            return false;
        while (!is_punct(p, ')')) {
            if (n == MAX_OPERANDS)
                return fail(p->d, here(p), "more than %d results", MAX_OPERANDS);
            t = grow_array(p->a, t, n, sizeof *t);
            if (!parse_type(p, &t[n++]) || (!is_punct(p, ')') && !want_punct(p, ',')))
                return false;
        }
        next(p);
    }
    if (take_word(p, "note") && (!want_punct(p, '=') || !want_name(p, T_string, "a note", &f->note)))
        return false;
    if (!want_punct(p, '{') || !parse_body(p, f->body, &scope))
        return false;
    end = f->body->last;
    if (!end || end->kind != OP_return)
        fail(p->d, at, "function @%s does not end with return", str_show(p->a, str_of(name), 80));
    else if (written)
        check_returned(p, f, end, t, n, at);
    return true;
}

static bool parse_entry(Parser *p)
{
    Loc at = here(p);
    Entry e = { 0 };
    Entry *made;
    Func *f;

    if (!want_name(p, T_word, "the entry's name", &e.name) || !want_punct(p, '('))
        return false;
    while (!is_punct(p, ')')) {
        Loc at_sym = here(p);
        const char *name;
        SymRange r;

        if (!want_name(p, T_word, "a symbol", &name) || !want_punct(p, '=') || !parse_range(p, &r.lo, &r.hi))
            return false;
        r.sym = module_find_sym(p->m, str_of(name));
        if (!r.sym)
            return fail(p->d, at_sym, "the symbol '%s' is not declared", str_show(p->a, str_of(name), 40));
        if (e.n_range == (int)(sizeof e.range / sizeof *e.range))
            return fail(p->d, at_sym, "an entry binds at most %d symbols", e.n_range);
        e.range[e.n_range++] = r;
        if (!is_punct(p, ')') && !want_punct(p, ','))
            return false;
    }
    next(p);
    if (!want_punct(p, '='))
        return false;
    if (p->tok.kind != T_global)
        return unexpected(p, "the @name of a function");
    f = strmap_get(&p->funcs, p->tok.s);
    if (!f)
        return fail(p->d, here(p), "function @%s is not defined (entries come after functions)", str_show(p->a, p->tok.s, 80));
    next(p);
    if (p->m->n_entry == MAX_ENTRIES)
        return fail(p->d, at, "more than %d entries", MAX_ENTRIES);
    made = module_add_entry(p->m, e.name, f);
    for (int i = 0; i < e.n_range; i++)
        entry_range(made, e.range[i].sym, e.range[i].lo, e.range[i].hi);
    return true;
}

/* ---- the whole ---------------------------------------------------------------------------------------------------------- */

typedef struct { const char *word; bool (*parse)(Parser *p); } Declaration;

static bool parse_weights_bytes(Parser *p)
{
    return want_u64(p, &p->m->weights_bytes);
}

static const Declaration declarations[] = {
    { "module", parse_module }, { "file", parse_file }, { "meta", parse_meta }, { "sym", parse_sym },
    { "weight", parse_weight }, { "state", parse_state }, { "blob", parse_blob }, { "func", parse_func },
    { "entry", parse_entry }, { "weights_bytes", parse_weights_bytes },
};
enum { N_DECLARATIONS = sizeof declarations / sizeof *declarations };

static bool parse_declaration(Parser *p)
{
    const char *words[N_DECLARATIONS + 1] = { NULL };
    const char *near;

    if (p->tok.kind != T_word)
        return unexpected(p, "a declaration (module, file, meta, sym, weight, state, blob, func, entry)");
    for (int i = 0; i < N_DECLARATIONS; i++) {
        words[i] = declarations[i].word;
        if (take_word(p, words[i]))
            return declarations[i].parse(p);
    }
    near = str_nearest(p->tok.s, words);
    return fail(p->d, here(p), "unknown declaration '%s'%s%s%s", str_show(p->a, p->tok.s, 40), near ? " (did you mean '" : "",
                near ? near : "", near ? "'?)" : "");
}

static void resolve_calls(Parser *p, bool sound)
{
    for (int i = 0; i < p->n_pending; i++) {
        Pending *c = &p->pending[i];

        c->op->callee = strmap_get(&p->funcs, str_of(c->callee));
        if (!c->op->callee) {
            enum { MAX_NEAR = 64 };
            const char *names[MAX_NEAR + 1] = { NULL };
            const char *near;
            int n = 0;

            for (const Func *f = p->m->first_func; f && n < MAX_NEAR; f = f->next)
                names[n++] = f->name;
            near = str_nearest(str_of(c->callee), names);
            fail(p->d, c->at, "function @%s is not defined%s%s%s", str_show(p->a, str_of(c->callee), 80),
                 near ? " (did you mean @" : "", near ? str_show(p->a, str_of(near), 80) : "", near ? "?)" : "");
            if (diag_n_errors(p->d) > 100)
                return;
            continue;
        }
        if (sound)                                          /* otherwise operands may be missing, here or in the callee */
            check_op(p, c->op, c->at);
    }
}

Module *module_parse(Arena *a, Diag *d, const char *file, Str text)
{
    Parser p = { .m = module_new(a, ""), .a = a, .d = d, .file = file, .text = text, .line = 1,
                 .globals = strmap_in(a), .funcs = strmap_in(a), .metas = strmap_in(a) };
    int errors = diag_n_errors(d);

    next(&p);
    while (p.tok.kind != T_end)
        if (!parse_declaration(&p))
            return NULL;
    resolve_calls(&p, diag_n_errors(d) == errors);
    if (diag_n_errors(d) > errors)
        return NULL;
    if (!module_verify(p.m, d)) {
        fail(d, AT_FILE(file), "the Module in this file does not verify");
        return NULL;
    }
    return p.m;
}
