/* The writer of emitted files and its doors; see emit.h. */
#include "codegen/emit.h"

Emit emit_new(Arena *a)
{
    return (Emit){ buf_in(a), 0, true };
}

static void put_lines(Emit *e, const char *s)
{
    for (; *s; s++) {
        if (e->at_line_begin && *s != '\n' && *s != '#')
            for (int i = 0; i < e->indent; i++)
                buf_puts(&e->b, "    ");
        e->at_line_begin = *s == '\n';
        buf_putc(&e->b, *s);
    }
}

void emit(Emit *e, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    put_lines(e, str_vprintf(e->b.a, fmt, ap));
    va_end(ap);
}

void emit_open(Emit *e, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    put_lines(e, str_vprintf(e->b.a, fmt, ap));
    va_end(ap);
    put_lines(e, "\n");
    e->indent++;
}

void emit_close(Emit *e, const char *tail)
{
    e->indent--;
    put_lines(e, "}");
    put_lines(e, tail);
    put_lines(e, "\n");
}

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

char *emit_str(Arena *a, Str s)
{
    Buf b = buf_in(a);

    buf_putc(&b, '"');
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (c == '\n')
            buf_puts(&b, "\\n");
        else if (c == '"' || c == '\\')
            buf_printf(&b, "\\%c", c);
        else if (c < 32 || c > 126 ||
                 c == '?') /* ? : a trigraph; octal escapes end after three digits */
            buf_printf(&b, "\\%03o", c);
        else
            buf_putc(&b, (char)c);
    }
    buf_putc(&b, '"');
    return buf_z(&b);
}

char *emit_comment(Arena *a, Str s)
{
    Buf b = buf_in(a);

    for (size_t i = 0; i < s.n && b.n < 120; i++) {
        char c = s.p[i];

        if (c < 32 || c > 126 || c == '\\' || c == '?' ||
            (c == '/' && b.n && b.p[b.n - 1] == '*') || (c == '*' && b.n && b.p[b.n - 1] == '/'))
            c = '_';
        buf_putc(&b, c);
    }
    if (b.n && (b.p[b.n - 1] == '*' || b.p[b.n - 1] == '/'))
        b.p[b.n - 1] = '_';
    return buf_z(&b);
}

static bool is_keyword(Str s)
{
    /* C11, C++ (headers are read by both) and what the emitted code itself uses */
    static const char *const words =
        " alignas alignof and and_eq asm auto bitand bitor bool break case catch char class compl "
        "const constexpr continue decltype "
        "default delete do double else enum explicit export extern false float for friend goto if "
        "inline int int8_t int32_t long main "
        "mutable namespace new noexcept not not_eq nullptr operator or or_eq private protected "
        "public register reinterpret_cast "
        "restrict return short signed size_t sizeof static static_assert struct switch template "
        "this thread_local throw true try "
        "typedef typeid typename uint8_t uint16_t union unsigned using virtual void volatile "
        "wchar_t while xor xor_eq linux unix "
        "c count i k layer me n next p r t u ";
    char probe[72];

    if (s.n > 64)
        return false;
    snprintf(probe, sizeof probe, " %.*s ", STR_ARG(s));
    return strstr(words, probe) != NULL;
}

char *emit_ident(Arena *a, Str s)
{
    Buf b = buf_in(a);

    for (size_t i = 0; i < s.n && b.n < 48; i++)
        buf_putc(&b, is_alnum(s.p[i]) ? s.p[i] : '_');
    if (!b.n || (b.p[0] >= '0' && b.p[0] <= '9') || b.p[0] == '_' || is_keyword(buf_str(&b)))
        return str_printf(a, "v_%s", buf_z(&b));
    return buf_z(&b);
}

static char *only(Arena *a, Str s, const char *also, size_t max)
{
    Buf b = buf_in(a);

    for (size_t i = 0; i < s.n && b.n < max; i++)
        buf_putc(&b, is_alnum(s.p[i]) || (s.p[i] && strchr(also, s.p[i])) ? s.p[i] : '_');
    return buf_z(&b);
}

char *emit_flags(Arena *a, Str s)
{
    return only(a, s, "._-+/=,: ", 1024);
}

char *emit_path(Arena *a, Str s)
{
    char *p = only(a, s, "._-", 64);

    if (p[0] == '.' || !p[0] || p[0] == '-')
        return str_printf(a, "_%s", p);
    return p;
}

/* The length of the valid UTF-8 sequence at s, 0 if there is none [RFC 3629]. */
static size_t utf8_length(const char *p, size_t n)
{
    const unsigned char *s = (const unsigned char *)p;
    size_t len = s[0] < 0x80                   ? 1
                 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
                 : s[0] >= 0xe0 && s[0] < 0xf0 ? 3
                 : s[0] >= 0xf0 && s[0] < 0xf5 ? 4
                                               : 0;

    if (!len || len > n)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return len;
}

char *emit_json(Arena *a, Str s)
{
    Buf b = buf_in(a);

    buf_putc(&b, '"');
    for (size_t i = 0; i < s.n;) {
        size_t len = utf8_length(s.p + i, s.n - i);
        unsigned char c = (unsigned char)s.p[i];

        if (!len) {
            buf_puts(&b, "\\ufffd");
            i++;
            continue;
        }
        if (len == 1 &&
            (c < 32 || c == 127 || c == '<' || c == '>' || c == '&')) /* safe inside <script> too */
            buf_printf(&b, "\\u%04x", c);
        else if (c == '"' || c == '\\')
            buf_printf(&b, "\\%c", c);
        else
            buf_put(&b, s.p + i, len);
        i += len;
    }
    buf_putc(&b, '"');
    return buf_z(&b);
}

char *emit_html(Arena *a, Str s)
{
    Buf b = buf_in(a);

    for (size_t i = 0; i < s.n;) {
        size_t len = utf8_length(s.p + i, s.n - i);
        unsigned char c = (unsigned char)s.p[i];

        if (!len) {
            buf_puts(&b, "&#xfffd;");
            i++;
            continue;
        }
        if ((c < 32 && c != '\n' && c != '\t') || c == 127 ||
            (len == 2 && c == 0xc2 && (unsigned char)s.p[i + 1] < 0xa0))
            buf_puts(&b, "&#xfffd;"); /* control characters, the second set of them too */
        else if (len == 1 && strchr("<>&\"'`=\n\t", c))
            buf_printf(&b, "&#%d;", c);
        else
            buf_put(&b, s.p + i, len);
        i += len;
    }
    return buf_z(&b);
}

bool is_c_ident(Str s)
{
    if (!s.n || s.n > 64 || (s.p[0] >= '0' && s.p[0] <= '9') || s.p[0] == '_' || is_keyword(s))
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (!is_alnum(s.p[i]) && s.p[i] != '_')
            return false;
    return true;
}
