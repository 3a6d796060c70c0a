/* Byte strings, buffers that grow, checked sizes, and numbers as text.
 *
 * Numbers never depend on the locale although printf and strtod do.  Writing: "%.*e" gives digits, some decimal point, digits
 * and an exponent; only the digits and the exponent are taken from it and the text is put together here, in the form that
 * Python's repr has (1.0, 0.25, 1e-05, 1e+16).  Reading: the text is turned into an integer with an exponent (12.5e3 is 125e2),
 * which has no decimal point and therefore means the same to strtod under every locale. */
#include "ir/base/base.h"

#include <math.h>
#include <stdlib.h>
#include <utf8proc.h>

/* ---- strings ---------------------------------------------------------------------------------- */

Str str_of(const char *c)
{
    return c ? (Str){ c, strlen(c) } : (Str){ "", 0 };
}

bool str_eq(Str a, Str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool str_is(Str a, const char *c)
{
    return str_eq(a, str_of(c));
}

bool str_begins(Str a, const char *prefix)
{
    size_t n = strlen(prefix);

    return a.n >= n && (n == 0 || memcmp(a.p, prefix, n) == 0);
}

bool str_ends(Str a, const char *suffix)
{
    size_t n = strlen(suffix);

    return a.n >= n && (n == 0 || memcmp(a.p + (a.n - n), suffix, n) == 0);
}

int str_cmp(Str a, Str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n ? memcmp(a.p, b.p, n) : 0;

    return c ? c : (a.n > b.n) - (a.n < b.n);
}

Str str_copy(Arena *a, Str s)
{
    char *p = arena_alloc(a, s.n + 1, 1);

    if (s.n)
        memcpy(p, s.p, s.n);
    return (Str){ p, s.n };
}

char *str_z(Arena *a, Str s)
{
    const char *end = s.n ? memchr(s.p, 0, s.n) : NULL;

    if (end)
        s.n = (size_t)(end - s.p);
    return (char *)str_copy(a, s).p;
}

char *str_vprintf(Arena *a, const char *fmt, va_list ap)
{
    va_list again;
    int n;
    char *p;

    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, ap);
    if (n < 0)
        bug("printf refuses the format '%s'", fmt);
    p = arena_alloc(a, (size_t)n + 1, 1);
    vsnprintf(p, (size_t)n + 1, fmt, again);
    va_end(again);
    return p;
}

char *str_printf(Arena *a, const char *fmt, ...)
{
    va_list ap;
    char *p;

    va_start(ap, fmt);
    p = str_vprintf(a, fmt, ap);
    va_end(ap);
    return p;
}

/* How many bytes at p are one character that is safe on a terminal; 0: the byte at p must be escaped.  Controls, format
 * characters (they can reverse the direction of text), surrogates, separators of lines and unassigned code points are not. */
static size_t printable(const char *p, size_t n)
{
    utf8proc_int32_t c;
    utf8proc_ssize_t len;

    if ((uint8_t)*p >= 0x20 && (uint8_t)*p < 0x7f)
        return 1;
    len = utf8proc_iterate((const utf8proc_uint8_t *)p, (utf8proc_ssize_t)(n < 4 ? n : 4), &c);
    if (len < 1)
        return 0;
    switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_CC: case UTF8PROC_CATEGORY_CF: case UTF8PROC_CATEGORY_CS: case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CO: case UTF8PROC_CATEGORY_ZL: case UTF8PROC_CATEGORY_ZP:
        return 0;
    default:
        return (size_t)len;
    }
}

char *str_show(Arena *a, Str s, size_t max)
{
    Buf b = buf_in(a);

    for (size_t i = 0; i < s.n; ) {
        size_t len = printable(s.p + i, s.n - i);

        if (i + (len ? len : 1) > max) {
            buf_puts(&b, "...");
            break;
        }
        if (len)
            buf_put(&b, s.p + i, len);
        else
            buf_printf(&b, "\\x%02x", (uint8_t)s.p[i]);
        i += len ? len : 1;
    }
    return buf_z(&b);
}

/* Edit distance with insertions, deletions, replacements and swaps of neighbours; more than `limit` is reported as limit + 1.
 * Three rows of the usual table are kept.  Both strings have at most MAX_NAME bytes. */
enum { MAX_NAME = 64 };

static int edit_distance(Str a, Str b, int limit)
{
    int row[3][MAX_NAME + 1];
    int *before = row[0], *above = row[1], *here = row[2];

    for (size_t j = 0; j <= b.n; j++)
        above[j] = (int)j;
    for (size_t i = 1; i <= a.n; i++) {
        int *spare = before;
        int best = here[0] = (int)i;

        for (size_t j = 1; j <= b.n; j++) {
            int d = above[j - 1] + (a.p[i - 1] != b.p[j - 1]);

            if (above[j] + 1 < d)
                d = above[j] + 1;
            if (here[j - 1] + 1 < d)
                d = here[j - 1] + 1;
            if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] && a.p[i - 2] == b.p[j - 1] && before[j - 2] + 1 < d)
                d = before[j - 2] + 1;
            here[j] = d;
            if (d < best)
                best = d;
        }
        if (best > limit)
            return limit + 1;
        before = above;
        above = here;
        here = spare;
    }
    return above[b.n];
}

const char *str_nearest(Str name, const char *const *names)
{
    const char *nearest = NULL;
    int limit = name.n < 3 ? 1 : (int)(name.n + 2) / 3;     /* a third of the letters may be wrong */

    if (name.n == 0 || name.n > MAX_NAME)
        return NULL;
    for (; *names; names++) {
        Str other = str_of(*names);
        int d;

        if (other.n > MAX_NAME)
            continue;
        d = edit_distance(name, other, limit);
        if (d <= limit) {
            nearest = *names;
            limit = d - 1;
            if (d == 0)
                break;
        }
    }
    return nearest;
}

/* ---- buffers ---------------------------------------------------------------------------------- */

Buf buf_in(Arena *a)
{
    return (Buf){ .a = a };
}

/* Room for n more bytes and a terminator. */
static void buf_room(Buf *b, size_t n)
{
    uint64_t want = 0;
    size_t cap = b->cap ? b->cap : 64;
    char *p;

    if (!add_ok(b->n, n, &want) || want >= SIZE_MAX / 2)
        arena_alloc(b->a, SIZE_MAX, 2);                     /* fails as every allocation that cannot be */
    if (want < b->cap)
        return;
    while (cap <= want)
        cap *= 2;
    p = arena_alloc(b->a, cap, 1);
    if (b->n)
        memcpy(p, b->p, b->n);
    b->p = p;
    b->cap = cap;
}

void buf_put(Buf *b, const void *p, size_t n)
{
    buf_room(b, n);
    if (n)
        memcpy(b->p + b->n, p, n);
    b->n += n;
}

void buf_puts(Buf *b, const char *c)
{
    buf_put(b, c, strlen(c));
}

void buf_putc(Buf *b, char c)
{
    buf_put(b, &c, 1);
}

void buf_vprintf(Buf *b, const char *fmt, va_list ap)
{
    va_list again;
    int n;

    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, ap);
    if (n < 0)
        bug("printf refuses the format '%s'", fmt);
    buf_room(b, (size_t)n);
    vsnprintf(b->p + b->n, (size_t)n + 1, fmt, again);
    va_end(again);
    b->n += (size_t)n;
}

void buf_printf(Buf *b, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    buf_vprintf(b, fmt, ap);
    va_end(ap);
}

char *buf_z(Buf *b)
{
    buf_room(b, 0);
    b->p[b->n] = 0;
    return b->p;
}

Str buf_str(const Buf *b)
{
    return (Str){ b->p ? b->p : "", b->n };
}

/* ---- sizes ------------------------------------------------------------------------------------ */

bool mul_ok(uint64_t a, uint64_t b, uint64_t *out)
{
    if (b && a > UINT64_MAX / b)
        return false;
    *out = a * b;
    return true;
}

bool add_ok(uint64_t a, uint64_t b, uint64_t *out)
{
    if (a > UINT64_MAX - b)
        return false;
    *out = a + b;
    return true;
}

/* ---- numbers ---------------------------------------------------------------------------------- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* A decimal number: 0.d1 d2 d3 ... times 10^point, the digits as ASCII.  17 digits are enough for every double. */
typedef struct { char digit[20]; int n; int point; } Decimal;

/* x > 0 with n significant digits, trailing zeros taken away */
static Decimal decimal_of(double x, int n)
{
    char text[64];
    Decimal d = { .n = 0 };
    const char *c = text;

    snprintf(text, sizeof text, "%.*e", n - 1, x);
    for (; *c && *c != 'e'; c++)
        if (is_digit(*c))
            d.digit[d.n++] = *c;
    d.point = *c ? atoi(c + 1) + 1 : 1;
    while (d.n > 1 && d.digit[d.n - 1] == '0')
        d.n--;
    return d;
}

/* Digits as an integer with an exponent: the same number for every locale. */
static void decimal_as_integer(const Decimal *d, char text[64])
{
    snprintf(text, 64, "%.*se%d", d->n, d->digit, d->point - d->n);
}

char *str_float(Arena *a, double x, bool is_f32)
{
    const char *sign = signbit(x) ? "-" : "";
    Decimal d;
    Buf b;

    if (isnan(x))
        return str_printf(a, "nan");
    if (isinf(x))
        return str_printf(a, "%sinf", sign);
    if (x == 0)
        return str_printf(a, "%s0.0", sign);
    x = fabs(x);
    if (is_f32)
        x = (float)x;
    for (int n = 1; ; n++) {        /* 9 and 17 digits always suffice, so this ends */
        char text[64];
        double back;

        d = decimal_of(x, n);
        decimal_as_integer(&d, text);
        back = strtod(text, NULL);
        if (is_f32 ? (float)back == (float)x && strtof(text, NULL) == (float)x : back == x)
            break;
        if (n == 17)
            break;
    }
    b = buf_in(a);
    buf_puts(&b, sign);
    if (d.point < -3 || d.point > 16) {                     /* d.ddde-XX */
        buf_put(&b, d.digit, 1);
        if (d.n > 1) {
            buf_putc(&b, '.');
            buf_put(&b, d.digit + 1, (size_t)d.n - 1);
        }
        buf_printf(&b, "e%c%02d", d.point - 1 < 0 ? '-' : '+', abs(d.point - 1));
        return buf_z(&b);
    }
    if (d.point <= 0)
        buf_puts(&b, "0.");
    for (int i = d.point; i < 0; i++)
        buf_putc(&b, '0');
    for (int i = 0; i < d.n || i < d.point; i++) {
        buf_putc(&b, i < d.n ? d.digit[i] : '0');
        if (i + 1 == d.point)
            buf_putc(&b, '.');
    }
    if (b.p[b.n - 1] == '.')
        buf_putc(&b, '0');
    return buf_z(&b);
}

bool str_to_double(Str s, double *out)
{
    enum { MAX_DIGITS = 800 };      /* more than 767 digits never change a double; the rest is counted, not kept */
    char text[MAX_DIGITS + 32];
    size_t i = 0;
    int n = 0;
    int64_t exp = 0, written = 0;
    bool minus, any = false, point = false, cut = false, exp_minus;

    minus = s.n > 0 && s.p[0] == '-';
    if (s.n > 0 && (s.p[0] == '-' || s.p[0] == '+'))
        i++;
    if (str_is((Str){ s.p + i, s.n - i }, "inf")) {
        *out = minus ? -INFINITY : INFINITY;
        return true;
    }
    if (str_is((Str){ s.p + i, s.n - i }, "nan")) {
        *out = NAN;
        return true;
    }
    for (; i < s.n; i++) {
        if (s.p[i] == '.' && !point) {
            point = true;
        } else if (is_digit(s.p[i])) {
            any = true;
            if (point)
                exp--;
            if (n == 0 && s.p[i] == '0')
                continue;           /* a leading zero */
            if (n < MAX_DIGITS) {
                text[n++] = s.p[i];
            } else {
                cut |= s.p[i] != '0';
                exp++;
            }
        } else {
            break;
        }
    }
    if (!any)
        return false;
    if (i < s.n && (s.p[i] == 'e' || s.p[i] == 'E')) {
        i++;
        exp_minus = i < s.n && s.p[i] == '-';
        if (i < s.n && (s.p[i] == '-' || s.p[i] == '+'))
            i++;
        if (i == s.n)
            return false;
        for (; i < s.n && is_digit(s.p[i]); i++)
            if (written < 1000000)
                written = written * 10 + (s.p[i] - '0');
        exp += exp_minus ? -written : written;
    }
    if (i != s.n)
        return false;
    if (n == 0) {
        *out = minus ? -0.0 : 0.0;
        return true;
    }
    if (cut)
        text[n - 1] |= 1;           /* '0' becomes '1' and so on: sticky, so that a tie is not seen as one */
    snprintf(text + n, sizeof text - (size_t)n, "e%" PRId64, exp);
    *out = strtod(text, NULL);
    if (minus)
        *out = -*out;
    return true;
}

bool str_to_i64(Str s, int64_t *out)
{
    size_t i = 0;
    uint64_t v = 0, base = 10;
    bool minus = s.n > 0 && s.p[0] == '-';

    if (s.n > 0 && (s.p[0] == '-' || s.p[0] == '+'))
        i++;
    if (s.n - i > 2 && s.p[i] == '0' && (s.p[i + 1] == 'x' || s.p[i + 1] == 'X')) {
        base = 16;
        i += 2;
    }
    if (i >= s.n)
        return false;
    for (; i < s.n; i++) {
        char c = s.p[i];
        uint64_t digit = is_digit(c) ? (uint64_t)(c - '0') :
                         c >= 'a' && c <= 'f' ? (uint64_t)(c - 'a' + 10) :
                         c >= 'A' && c <= 'F' ? (uint64_t)(c - 'A' + 10) : 99;

        if (digit >= base || !mul_ok(v, base, &v) || !add_ok(v, digit, &v))
            return false;
    }
    if (v > (uint64_t)INT64_MAX + minus)
        return false;
    *out = minus ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}
