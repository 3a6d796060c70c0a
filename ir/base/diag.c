/* What a compilation tells its user.  One message is one call; it is printed at once and kept.
 *
 *     sinter: error: m.gguf: tensor 'blk.3.ffn_down.weight': type 97 is not a known format (file newer than this sinter?)
 *     sinter: error: t.yaml:3:7: ...           text files: line and column
 *     sinter: error: m.gguf: byte 1234: ...    binary files: offset
 *
 * Names of files and tensors come from outside, so everything that is printed passes through str_show: a file name or a
 * tensor's name cannot move the cursor or start a new line.  Only the text itself, written by us, may have several lines. */
#include "ir/base/base.h"

#include <stdlib.h>
#include <unistd.h>

struct Diag {
    Arena *a;
    FILE *out;
    Buf text;
    int n_errors, n_warnings, limit;
    int percent;                    /* that the progress bar shows now, -1: there is none */
};

Diag *diag_new(Arena *a, FILE *out)
{
    Diag *d = ARENA_NEW(a, Diag);

    d->a = a;
    d->out = out;
    d->text = buf_in(a);
    d->limit = 20;
    d->percent = -1;
    return d;
}

/* Each line escaped by itself; the newlines between them stay. */
static void put_lines(Diag *d, Str s)
{
    while (s.n) {
        const char *nl = memchr(s.p, '\n', s.n);
        size_t n = nl ? (size_t)(nl - s.p) : s.n;

        buf_puts(&d->text, str_show(d->a, (Str){ s.p, n }, SIZE_MAX));
        if (nl)
            buf_putc(&d->text, '\n');
        n += nl != NULL;
        s = (Str){ s.p + n, s.n - n };
    }
}

static void say(Diag *d, const char *severity, Loc at, const char *fmt, va_list ap)
{
    size_t start = d->text.n;

    if (d->percent >= 0) {          /* a message begins on a line of its own */
        fputc('\n', stderr);
        d->percent = -1;
    }
    buf_printf(&d->text, "sinter: %s: ", severity);
    if (at.file) {
        buf_puts(&d->text, str_show(d->a, str_of(at.file), SIZE_MAX));
        if (at.line > 0)
            buf_printf(&d->text, ":%d", at.line);
        if (at.line > 0 && at.col > 0)
            buf_printf(&d->text, ":%d", at.col);
        buf_puts(&d->text, ": ");
    }
    if (at.what) {
        buf_puts(&d->text, str_show(d->a, str_of(at.what), SIZE_MAX));
        buf_puts(&d->text, ": ");
    }
    if (at.off >= 0)
        buf_printf(&d->text, "byte %" PRId64 ": ", at.off);
    put_lines(d, str_of(str_vprintf(d->a, fmt, ap)));
    buf_putc(&d->text, '\n');
    if (d->out) {
        fwrite(d->text.p + start, 1, d->text.n - start, d->out);
        fflush(d->out);
    }
}

bool fail(Diag *d, Loc at, const char *fmt, ...)
{
    va_list ap;

    d->n_errors++;
    if (d->limit && d->n_errors > d->limit)
        return false;
    va_start(ap, fmt);
    say(d, "error", at, fmt, ap);
    va_end(ap);
    return false;
}

void warn(Diag *d, Loc at, const char *fmt, ...)
{
    va_list ap;

    d->n_warnings++;
    if (d->limit && d->n_warnings > d->limit)
        return;
    va_start(ap, fmt);
    say(d, "warning", at, fmt, ap);
    va_end(ap);
}

void note(Diag *d, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say(d, "note", NOWHERE, fmt, ap);
    va_end(ap);
}

int diag_n_errors(const Diag *d)
{
    return d->n_errors;
}

Str diag_text(const Diag *d)
{
    return buf_str(&d->text);
}

void diag_limit(Diag *d, int n)
{
    d->limit = n;
}

void bug_at(const char *src, int line, const char *fmt, ...)
{
    va_list ap;

    fprintf(stderr, "sinter: this is a bug in sinter, %s:%d: ", src, line);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, "\nsinter: please report it, with the command line and the input\n");
    abort();
}

void progress(Diag *d, const char *what, uint64_t done, uint64_t total)
{
    enum { WIDTH = 40 };
    int percent = total ? (int)((double)done / (double)total * 100) : 100;
    char bar[WIDTH + 1];

    if (!d->out || percent == d->percent || !isatty(fileno(d->out)))
        return;
    d->percent = percent;
    for (int i = 0; i < WIDTH; i++)
        bar[i] = i < percent * WIDTH / 100 ? '=' : ' ';
    bar[WIDTH] = 0;
    fprintf(d->out, "\r  %-24s [%s] %3d %%", what, bar, percent);
    if (done == total) {
        fputc('\n', d->out);
        d->percent = -1;
    }
    fflush(d->out);
}
