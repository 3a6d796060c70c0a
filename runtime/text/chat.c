/* A conversation as the text of a prompt: runs the program that the chat template was compiled to (tokenizer.h lists its
 * operations).
 *
 * Nothing is allocated.  A string is a run of pieces, each a stretch of a message or of the template's own texts, so joining two
 * strings copies a few pointers.  Pieces lie in a pool, one run behind the other; what no variable holds is dropped after each
 * statement, and what a loop's own variables hold, after each turn. */
#include "runtime/text/text.h"

#include "runtime/text/tokenizer.h"

/* A template runs once for each message that a user writes: small code is worth more than fast code. */
#if defined __GNUC__
#define CHAT_COLD __attribute__((cold))
#else
#define CHAT_COLD
#endif

enum { CHAT_PIECES = 512 };

typedef struct { const char *p; size_t n; } ChatPiece;

/* kind: NAME_CHAT_IS_*.  Of a string: n pieces from `at` on.  Of a list: n messages from `at` on, each `step` after the other.
 * Else `at` is the number or the index of the message. */
typedef struct { int kind, at, n, step; } ChatValue;

typedef struct {
    ChatValue list;
    int i, slot, held;          /* held: pieces when it began */
    uint32_t begin;
} ChatLoop;

typedef struct {
    const NAME_TokHeader *h;
    const NAME_Message *msgs;
    int n_msgs;
    bool answer;
    char *out;
    size_t cap, n;
    const uint8_t *bos;         /* what is left of a BOS that the text may begin with */
    uint32_t n_bos, i_bos;
    NAME_Status status;
    ChatPiece piece[CHAT_PIECES];
    int n_piece, held;          /* held: by variables */
    ChatValue stack[NAME_CHAT_MAX_STACK + 1], slot[NAME_CHAT_MAX_SLOTS];
    int n_stack;
    ChatLoop loop[NAME_CHAT_MAX_LOOPS];
    int n_loop;
    ChatPiece captured[CHAT_PIECES];
    int n_captured, capture[NAME_CHAT_MAX_CAPTURES], n_capture;     /* where in captured each begins */
} Chat;

static CHAT_COLD void chat_copy(Chat *c, const char *p, size_t n)
{
    if (c->n < c->cap && n)
        memcpy(c->out + c->n, p, n < c->cap - c->n ? n : c->cap - c->n);
    c->n += n;
}

/* The text does not begin with the BOS that NAME_tokenize adds. */
static CHAT_COLD void chat_put(Chat *c, const char *p, size_t n)
{
    if (c->n_capture) {
        if (c->n_captured == CHAT_PIECES) {
            c->status = NAME_E_TEXT;
            return;
        }
        c->captured[c->n_captured].p = p;
        c->captured[c->n_captured++].n = n;
        return;
    }
    while (n && c->i_bos < c->n_bos) {
        if (*(const uint8_t *)p != c->bos[c->i_bos]) {
            chat_copy(c, (const char *)c->bos, c->i_bos);
            c->i_bos = c->n_bos = 0;
            break;
        }
        p++, n--;
        if (++c->i_bos == c->n_bos)
            c->i_bos = c->n_bos = 0;
    }
    chat_copy(c, p, n);
}

/* ---- strings ------------------------------------------------------------------------------------------------------ */

static CHAT_COLD ChatValue chat_of(int kind, int at)
{
    ChatValue v = { kind, at, 0, 0 };

    return v;
}

static CHAT_COLD ChatValue chat_fail(Chat *c)
{
    c->status = NAME_E_ARG;
    return chat_of(NAME_CHAT_IS_UNDEFINED, 0);
}

static CHAT_COLD void chat_add_piece(Chat *c, ChatValue *s, const char *p, size_t n)
{
    if (!n)
        return;
    if (c->n_piece == CHAT_PIECES) {
        c->status = NAME_E_TEXT;
        return;
    }
    c->piece[c->n_piece].p = p;
    c->piece[c->n_piece++].n = n;
    s->n++;
}

static CHAT_COLD ChatValue chat_new_string(Chat *c)
{
    ChatValue s = { NAME_CHAT_IS_STR, c->n_piece, 0, 0 };

    return s;
}

static CHAT_COLD ChatValue chat_string(Chat *c, const char *p, size_t n)
{
    ChatValue s = chat_new_string(c);

    chat_add_piece(c, &s, p, n);
    return s;
}

static CHAT_COLD size_t chat_length(const Chat *c, ChatValue s)
{
    size_t n = 0;

    for (int i = 0; i < s.n; i++)
        n += c->piece[s.at + i].n;
    return n;
}

/* Bytes from..to of s, added to the newest string. */
static CHAT_COLD void chat_add_part(Chat *c, ChatValue *to, ChatValue s, size_t from, size_t end)
{
    size_t at = 0;

    for (int i = 0; i < s.n && at < end && c->status == NAME_OK; i++) {
        ChatPiece x = c->piece[s.at + i];
        size_t lo = from > at ? from - at : 0, hi = end - at < x.n ? end - at : x.n;

        if (lo < hi)
            chat_add_piece(c, to, x.p + lo, hi - lo);
        at += x.n;
    }
}

static CHAT_COLD ChatValue chat_part(Chat *c, ChatValue s, size_t from, size_t end)
{
    ChatValue to = chat_new_string(c);

    chat_add_part(c, &to, s, from, end);
    return to;
}

/* Whether t stands in s at a byte. */
static CHAT_COLD bool chat_stands(const Chat *c, ChatValue s, ChatValue t, size_t at)
{
    int i = 0;

    while (i < s.n && at >= c->piece[s.at + i].n)
        at -= c->piece[s.at + i++].n;
    for (int k = 0; k < t.n; k++) {
        ChatPiece y = c->piece[t.at + k];

        while (y.n) {
            if (i == s.n)
                return false;
            ChatPiece x = c->piece[s.at + i];
            size_t n = x.n - at < y.n ? x.n - at : y.n;
            if (memcmp(x.p + at, y.p, n))
                return false;
            y.p += n;
            y.n -= n;
            at += n;
            if (at == x.n)
                i++, at = 0;
        }
    }
    return true;
}

/* Where t begins in s, from a byte on; SIZE_MAX: nowhere. */
static CHAT_COLD size_t chat_find(const Chat *c, ChatValue s, ChatValue t, size_t from)
{
    size_t n = chat_length(c, s), n_t = chat_length(c, t);

    for (; n_t <= n && from <= n - n_t; from++)
        if (chat_stands(c, s, t, from))
            return from;
    return SIZE_MAX;
}

/* str.isspace() of Python. */
static CHAT_COLD bool chat_is_white(uint32_t x)
{
    return (x >= 9 && x <= 13) || (x >= 0x1c && x <= 0x20) || x == 0x85 || x == 0xa0 || x == 0x1680 || (x >= 0x2000 && x <= 0x200a) ||
           x == 0x2028 || x == 0x2029 || x == 0x202f || x == 0x205f || x == 0x3000;
}

/* Whether the character of n bytes at p is stripped: white space, or one of ASCII among the pieces of chars. */
static CHAT_COLD bool chat_strips(const Chat *c, const char *p, size_t n, const ChatValue *chars)
{
    uint32_t x;
    int len = NAME_tok_char((const uint8_t *)p, n, &x);

    if (len < 1 || (size_t)len != n)
        return false;
    if (!chars)
        return chat_is_white(x);
    for (int i = 0; i < chars->n; i++)
        if (n == 1 && memchr(c->piece[chars->at + i].p, *p, c->piece[chars->at + i].n))
            return true;
    return false;
}

static CHAT_COLD ChatValue chat_strip(Chat *c, ChatValue s, const ChatValue *chars, uint32_t sides)
{
    ChatValue to = chat_new_string(c);
    int lo = 0, hi = s.n;
    size_t skip = 0, drop = 0;  /* bytes of the first and of the last piece */

    for (bool more = sides & 1; more && lo < hi;) {
        ChatPiece x = c->piece[s.at + lo];
        uint32_t code;
        int len = NAME_tok_char((const uint8_t *)x.p + skip, x.n - skip, &code);

        more = len > 0 && chat_strips(c, x.p + skip, (size_t)len, chars);
        skip += more ? (size_t)len : 0;
        if (more && skip == x.n)
            lo++, skip = 0;
    }
    for (bool more = sides & 2; more && lo < hi;) {
        ChatPiece x = c->piece[s.at + hi - 1];
        size_t first = hi - 1 == lo ? skip : 0, end = x.n - drop, at = end;

        do
            at--;
        while (at > first && end - at < 4 && ((uint8_t)x.p[at] & 0xc0) == 0x80);
        more = chat_strips(c, x.p + at, end - at, chars);
        drop += more ? end - at : 0;
        if (more && at == first)
            hi--, drop = 0;
    }
    for (int i = lo; i < hi && c->status == NAME_OK; i++) {
        ChatPiece x = c->piece[s.at + i];
        size_t from = i == lo ? skip : 0;

        chat_add_piece(c, &to, x.p + from, x.n - from - (i == hi - 1 ? drop : 0));
    }
    return to;
}

/* Part `which` of s.split(t). */
static CHAT_COLD ChatValue chat_split(Chat *c, ChatValue s, ChatValue t, uint32_t which)
{
    size_t n = chat_length(c, s), n_t = chat_length(c, t), from = 0, end;

    if (!n_t)
        return chat_fail(c);
    for (int i = 0;; i++, from = end + n_t) {
        end = chat_find(c, s, t, from);
        if (i == 1 && (which == NAME_CHAT_SPLIT_REST || which == NAME_CHAT_SPLIT_TAIL))
            return chat_part(c, s, from, n);
        if (i == (which == NAME_CHAT_SPLIT_SECOND) && which != NAME_CHAT_SPLIT_LAST && which <= NAME_CHAT_SPLIT_SECOND)
            return chat_part(c, s, from, end < n ? end : n);
        if (end == SIZE_MAX)
            return which == NAME_CHAT_SPLIT_SECOND || which == NAME_CHAT_SPLIT_REST ? chat_of(NAME_CHAT_IS_UNDEFINED, 0)
                                                                                    : chat_part(c, s, from, n);
    }
}

/* Letters of ASCII that change become pieces of their own. */
static CHAT_COLD ChatValue chat_case(Chat *c, ChatValue s, bool capitals)
{
    static const char small[] = "abcdefghijklmnopqrstuvwxyz", large[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    ChatValue to = chat_new_string(c);

    for (int i = 0; i < s.n; i++) {
        ChatPiece x = c->piece[s.at + i];
        size_t from = 0;

        for (size_t k = 0; k < x.n && c->status == NAME_OK; k++) {
            char a = x.p[k];

            if ((uint8_t)a >= 0x80)
                c->status = NAME_E_TEXT;                    /* other scripts have rules of their own */
            if (capitals ? a < 'a' || a > 'z' : a < 'A' || a > 'Z')
                continue;
            chat_add_piece(c, &to, x.p + from, k - from);
            chat_add_piece(c, &to, capitals ? &large[a - 'a'] : &small[a - 'A'], 1);
            from = k + 1;
        }
        if (c->status == NAME_OK)
            chat_add_piece(c, &to, x.p + from, x.n - from);
    }
    return to;
}

static CHAT_COLD ChatValue chat_replace(Chat *c, ChatValue s, ChatValue was, ChatValue is)
{
    ChatValue to = chat_new_string(c);
    size_t n = chat_length(c, s), n_was = chat_length(c, was), n_is = chat_length(c, is), from = 0, end;

    if (!n_was)
        return chat_fail(c);
    for (; (end = chat_find(c, s, was, from)) != SIZE_MAX && c->status == NAME_OK; from = end + n_was) {
        chat_add_part(c, &to, s, from, end);
        chat_add_part(c, &to, is, 0, n_is);
    }
    chat_add_part(c, &to, s, from, n);
    return to;
}

/* Characters. */
static CHAT_COLD int chat_count(const Chat *c, ChatValue s)
{
    int n = 0;

    for (int i = 0; i < s.n; i++)
        for (size_t k = 0; k < c->piece[s.at + i].n; k++)
            n += ((uint8_t)c->piece[s.at + i].p[k] & 0xc0) != 0x80;
    return n;
}

/* ---- values ------------------------------------------------------------------------------------------------------- */

static CHAT_COLD bool chat_true(const ChatValue *v)
{
    if (v->kind == NAME_CHAT_IS_BOOL || v->kind == NAME_CHAT_IS_INT)
        return v->at != 0;
    return v->kind == NAME_CHAT_IS_MESSAGE || ((v->kind == NAME_CHAT_IS_STR || v->kind == NAME_CHAT_IS_LIST) && v->n > 0);
}

static CHAT_COLD bool chat_is_number(ChatValue v) { return v.kind == NAME_CHAT_IS_INT || v.kind == NAME_CHAT_IS_BOOL; }

static CHAT_COLD bool chat_equal(const Chat *c, ChatValue a, ChatValue b)
{
    if (chat_is_number(a) && chat_is_number(b))
        return a.at == b.at;
    if (a.kind != b.kind)
        return false;
    if (a.kind == NAME_CHAT_IS_STR)
        return chat_length(c, a) == chat_length(c, b) && chat_stands(c, a, b, 0);
    if (a.kind == NAME_CHAT_IS_MESSAGE)
        return !strcmp(c->msgs[a.at].role, c->msgs[b.at].role) && !strcmp(c->msgs[a.at].content, c->msgs[b.at].content);
    return a.kind != NAME_CHAT_IS_LIST || (a.n == b.n && (!a.n || (a.at == b.at && a.step == b.step)));
}

/* What is written for a value, as Python's str(). */
static CHAT_COLD ChatValue chat_text(Chat *c, ChatValue v)
{
    static const char digits[] = "0123456789";
    unsigned x = v.at < 0 ? 0u - (unsigned)v.at : (unsigned)v.at, unit = 1;
    ChatValue s;

    if (v.kind == NAME_CHAT_IS_STR)
        return v;
    if (v.kind == NAME_CHAT_IS_UNDEFINED)
        return chat_new_string(c);
    if (v.kind == NAME_CHAT_IS_NONE)
        return chat_string(c, "None", 4);
    if (v.kind == NAME_CHAT_IS_BOOL)
        return v.at ? chat_string(c, "True", 4) : chat_string(c, "False", 5);
    if (v.kind != NAME_CHAT_IS_INT)
        return chat_fail(c);
    s = chat_string(c, "-", v.at < 0);
    while (x / unit >= 10)
        unit *= 10;
    for (; unit; unit /= 10)
        chat_add_piece(c, &s, digits + x / unit % 10, 1);
    return s;
}

/* Quotient that is rounded down, as in Python. */
static CHAT_COLD ChatValue chat_math(Chat *c, uint32_t op, ChatValue a, ChatValue b)
{
    int64_t x = a.at, y = b.at, q;

    if (!chat_is_number(a) || !chat_is_number(b) || ((op == NAME_CHAT_DIV || op == NAME_CHAT_MOD) && !y))
        return chat_fail(c);
    if (op == NAME_CHAT_LT || op == NAME_CHAT_LE)
        return chat_of(NAME_CHAT_IS_BOOL, op == NAME_CHAT_LT ? x < y : x <= y);
    q = op == NAME_CHAT_DIV || op == NAME_CHAT_MOD ? x / y - (x % y != 0 && (x < 0) != (y < 0)) : 0;
    x = op == NAME_CHAT_ADD ? x + y : op == NAME_CHAT_SUB ? x - y : op == NAME_CHAT_MUL ? x * y : op == NAME_CHAT_DIV ? q : x - q * y;
    return x > INT32_MAX || x < -INT32_MAX ? chat_fail(c) : chat_of(NAME_CHAT_IS_INT, (int)x);
}

static CHAT_COLD ChatValue chat_join(Chat *c, ChatValue a, ChatValue b)
{
    ChatValue s = chat_new_string(c);

    chat_add_part(c, &s, a, 0, SIZE_MAX);
    chat_add_part(c, &s, b, 0, SIZE_MAX);
    return s;
}

static CHAT_COLD ChatValue chat_index(Chat *c, ChatValue list, ChatValue i)
{
    if (list.kind != NAME_CHAT_IS_LIST || i.kind != NAME_CHAT_IS_INT)
        return chat_fail(c);
    i.at += i.at < 0 ? list.n : 0;
    return i.at < 0 || i.at >= list.n ? chat_of(NAME_CHAT_IS_UNDEFINED, 0) : chat_of(NAME_CHAT_IS_MESSAGE, list.at + i.at * list.step);
}

static CHAT_COLD ChatValue chat_slice(Chat *c, ChatValue list, ChatValue from, ChatValue to, bool backwards)
{
    int lo = from.kind == NAME_CHAT_IS_NONE ? 0 : from.at, hi = to.kind == NAME_CHAT_IS_NONE ? list.n : to.at;

    if (list.kind != NAME_CHAT_IS_LIST || (from.kind != NAME_CHAT_IS_NONE && from.kind != NAME_CHAT_IS_INT) ||
        (to.kind != NAME_CHAT_IS_NONE && to.kind != NAME_CHAT_IS_INT))
        return chat_fail(c);
    lo += lo < 0 ? list.n : 0;
    hi += hi < 0 ? list.n : 0;
    lo = lo < 0 ? 0 : lo;
    hi = hi > list.n ? list.n : hi;
    list.n = hi > lo ? hi - lo : 0;
    list.at += backwards ? (list.n - 1) * list.step : lo * list.step;
    list.step = backwards ? -list.step : list.step;
    return list;
}

static CHAT_COLD ChatValue chat_field(Chat *c, ChatValue v, uint32_t field)
{
    const char *p;

    if (v.kind != NAME_CHAT_IS_MESSAGE)
        return field < 2 || v.kind == NAME_CHAT_IS_UNDEFINED ? chat_fail(c) : chat_of(NAME_CHAT_IS_UNDEFINED, 0);
    if (field > 1)
        return chat_of(NAME_CHAT_IS_UNDEFINED, 0);
    p = field ? c->msgs[v.at].content : c->msgs[v.at].role;
    return chat_string(c, p, strlen(p));
}

static CHAT_COLD ChatValue chat_loop_field(const Chat *c, uint32_t field)
{
    const ChatLoop *l = &c->loop[c->n_loop - 1];
    int i = l->i, n = l->list.n;

    switch (field) {
    case NAME_CHAT_LOOP_INDEX0:    return chat_of(NAME_CHAT_IS_INT, i);
    case NAME_CHAT_LOOP_INDEX:     return chat_of(NAME_CHAT_IS_INT, i + 1);
    case NAME_CHAT_LOOP_FIRST:     return chat_of(NAME_CHAT_IS_BOOL, i == 0);
    case NAME_CHAT_LOOP_LAST:      return chat_of(NAME_CHAT_IS_BOOL, i + 1 == n);
    case NAME_CHAT_LOOP_LENGTH:    return chat_of(NAME_CHAT_IS_INT, n);
    case NAME_CHAT_LOOP_REVINDEX0: return chat_of(NAME_CHAT_IS_INT, n - 1 - i);
    case NAME_CHAT_LOOP_REVINDEX:  return chat_of(NAME_CHAT_IS_INT, n - i);
    default:                       break;
    }
    i += field == NAME_CHAT_LOOP_AFTER ? 1 : -1;
    return i < 0 || i >= n ? chat_of(NAME_CHAT_IS_UNDEFINED, 0) : chat_of(NAME_CHAT_IS_MESSAGE, l->list.at + i * l->list.step);
}

/* ---- the machine -------------------------------------------------------------------------------------------------- */

static CHAT_COLD ChatValue chat_pop(Chat *c) { return c->stack[--c->n_stack]; }

static CHAT_COLD void chat_write(Chat *c, ChatValue s)
{
    for (int i = 0; i < s.n; i++)
        chat_put(c, c->piece[s.at + i].p, c->piece[s.at + i].n);
}

/* json.dumps(v, ensure_ascii=False) of Python. */
static CHAT_COLD void chat_write_json(Chat *c, ChatValue v)
{
    static const char hex[] = "0123456789abcdef", from[] = "\"\\\n\r\t\b\f", to[] = "\"\\nrtbf";

    if (v.kind == NAME_CHAT_IS_NONE)
        chat_put(c, "null", 4);
    else if (v.kind == NAME_CHAT_IS_BOOL)
        chat_put(c, v.at ? "true" : "false", v.at ? 4 : 5);
    else if (v.kind == NAME_CHAT_IS_INT)
        chat_write(c, chat_text(c, v));
    else if (v.kind != NAME_CHAT_IS_STR)
        chat_fail(c);
    if (v.kind != NAME_CHAT_IS_STR)
        return;
    chat_put(c, "\"", 1);
    for (int i = 0; i < v.n; i++) {
        ChatPiece x = c->piece[v.at + i];
        size_t begin = 0;

        for (size_t k = 0; k < x.n; k++) {
            uint8_t a = (uint8_t)x.p[k];
            const char *e = a ? strchr(from, a) : NULL;

            if (a >= 0x20 && !e)
                continue;
            chat_put(c, x.p + begin, k - begin);
            begin = k + 1;
            if (e) {
                chat_put(c, "\\", 1);
                chat_put(c, to + (e - from), 1);
            } else {
                chat_put(c, "\\u00", 4);
                chat_put(c, hex + (a >> 4), 1);
                chat_put(c, hex + (a & 15), 1);
            }
        }
        chat_put(c, x.p + begin, x.n - begin);
    }
    chat_put(c, "\"", 1);
}

static CHAT_COLD ChatValue chat_end_capture(Chat *c)
{
    ChatValue s = chat_new_string(c);
    int begin = c->capture[--c->n_capture];

    for (int i = begin; i < c->n_captured && c->status == NAME_OK; i++)
        chat_add_piece(c, &s, c->captured[i].p, c->captured[i].n);
    c->n_captured = begin;
    return s;
}

/* The end of a loop's turn: pieces that variables from before the loop hold move down, the others go. */
static CHAT_COLD void chat_drop(Chat *c, const ChatLoop *l)
{
    int to = l->held;

    for (;;) {
        int at = INT32_MAX, n = 0;

        for (int i = 0; i < l->slot; i++)                   /* the lowest run that is not yet in its place */
            if (c->slot[i].kind == NAME_CHAT_IS_STR && c->slot[i].at >= to && c->slot[i].n && c->slot[i].at < at) {
                at = c->slot[i].at;
                n = c->slot[i].n;
            }
        if (!n)
            break;
        memmove(c->piece + to, c->piece + at, (size_t)n * sizeof *c->piece);
        for (int i = 0; i < l->slot; i++)
            if (c->slot[i].kind == NAME_CHAT_IS_STR && c->slot[i].at == at && c->slot[i].n)
                c->slot[i].at = to;
        to += n;
    }
    c->n_piece = c->held = to;
}

/* An operation of strings; the result.  s is below z on the stack, x below s. */
static CHAT_COLD ChatValue chat_of_strings(Chat *c, uint32_t op, uint32_t arg, ChatValue s, ChatValue z)
{
    size_t n_s, n_z;
    ChatValue x;

    if (s.kind != NAME_CHAT_IS_STR || z.kind != NAME_CHAT_IS_STR)
        return chat_fail(c);
    if (op == NAME_CHAT_STRIP)
        return chat_strip(c, s, arg & 4 ? NULL : &z, arg);
    if (op == NAME_CHAT_SPLIT)
        return chat_split(c, s, z, arg);
    if (op == NAME_CHAT_REPLACE) {
        x = chat_pop(c);
        return x.kind == NAME_CHAT_IS_STR ? chat_replace(c, x, s, z) : chat_fail(c);
    }
    n_s = chat_length(c, s);
    n_z = chat_length(c, z);
    if (op == NAME_CHAT_IN)
        return chat_of(NAME_CHAT_IS_BOOL, chat_find(c, z, s, 0) != SIZE_MAX);
    return chat_of(NAME_CHAT_IS_BOOL, n_z <= n_s && chat_stands(c, s, z, op == NAME_CHAT_ENDS ? n_s - n_z : 0));
}

/* Runs one operation that leaves a value, which it returns. */
static CHAT_COLD ChatValue chat_value(Chat *c, uint32_t op, uint32_t arg)
{
    const NAME_TokText *text = (const void *)NAME_tok_u32(c->h, c->h->chat_text_off);
    ChatValue v, z;
    bool found = false;

    switch (op) {
    case NAME_CHAT_UNDEFINED: return chat_of(NAME_CHAT_IS_UNDEFINED, 0);
    case NAME_CHAT_NONE:      return chat_of(NAME_CHAT_IS_NONE, 0);
    case NAME_CHAT_BOOL:      return chat_of(NAME_CHAT_IS_BOOL, (int)arg);
    case NAME_CHAT_ANSWER:    return chat_of(NAME_CHAT_IS_BOOL, c->answer);
    case NAME_CHAT_INT:       return chat_of(NAME_CHAT_IS_INT, (int)arg - NAME_CHAT_ZERO);
    case NAME_CHAT_STR:       return chat_string(c, (const char *)c->h + text[arg].off, text[arg].n);
    case NAME_CHAT_LOAD:      return c->slot[arg];
    case NAME_CHAT_LOOP:      return chat_loop_field(c, arg);
    case NAME_CHAT_CAPTURED:  return chat_end_capture(c);
    case NAME_CHAT_FAIL:      return chat_fail(c);
    case NAME_CHAT_MESSAGES:
        v = chat_of(NAME_CHAT_IS_LIST, 0);
        v.n = arg ? 0 : c->n_msgs;
        v.step = 1;
        return v;
    case NAME_CHAT_AMONG:
        for (v = c->stack[c->n_stack - 1 - (int)arg]; arg; arg--)
            found |= chat_equal(c, v, chat_pop(c));
        chat_pop(c);
        return chat_of(NAME_CHAT_IS_BOOL, found);
    default:
        break;
    }
    z = chat_pop(c);
    switch (op) {
    case NAME_CHAT_FIELD:
        return chat_field(c, z, arg);
    case NAME_CHAT_NOT:
        return chat_of(NAME_CHAT_IS_BOOL, !chat_true(&z));
    case NAME_CHAT_IS:
        found = (arg >> z.kind & 1) ||
                (z.kind == NAME_CHAT_IS_BOOL && (arg >> (z.at ? NAME_CHAT_IS_TRUE : NAME_CHAT_IS_FALSE) & 1));
        return chat_of(NAME_CHAT_IS_BOOL, found);
    case NAME_CHAT_NEG:
        return z.kind == NAME_CHAT_IS_INT ? chat_of(z.kind, -z.at) : chat_fail(c);
    case NAME_CHAT_LENGTH:
        return z.kind == NAME_CHAT_IS_LIST || z.kind == NAME_CHAT_IS_UNDEFINED ? chat_of(NAME_CHAT_IS_INT, z.n)
             : z.kind == NAME_CHAT_IS_STR ? chat_of(NAME_CHAT_IS_INT, chat_count(c, z)) : chat_fail(c);
    case NAME_CHAT_CASE:
        return z.kind == NAME_CHAT_IS_STR ? chat_case(c, z, arg) : chat_fail(c);
    default:
        break;
    }
    v = op == NAME_CHAT_STRIP && (arg & 4) ? z : chat_pop(c);
    switch (op) {
    case NAME_CHAT_EQ:
        return chat_of(NAME_CHAT_IS_BOOL, chat_equal(c, v, z));
    case NAME_CHAT_CAT:
        v = chat_text(c, v);
        return chat_join(c, v, chat_text(c, z));
    case NAME_CHAT_INDEX:
        return chat_index(c, v, z);
    case NAME_CHAT_SLICE:
        return chat_slice(c, chat_pop(c), v, z, arg);
    case NAME_CHAT_ADD:
        if (v.kind == NAME_CHAT_IS_STR && z.kind == NAME_CHAT_IS_STR)
            return chat_join(c, v, z);
        return chat_math(c, op, v, z);
    case NAME_CHAT_SUB: case NAME_CHAT_MUL: case NAME_CHAT_DIV: case NAME_CHAT_MOD: case NAME_CHAT_LT: case NAME_CHAT_LE:
        return chat_math(c, op, v, z);
    default:
        return chat_of_strings(c, op, arg, v, z);
    }
}

static CHAT_COLD void chat_run(Chat *c)
{
    const uint32_t *code = NAME_tok_u32(c->h, c->h->chat_code_off);
    const NAME_TokText *text = (const void *)NAME_tok_u32(c->h, c->h->chat_text_off);
    ChatValue v;

    for (uint32_t pc = 0; c->status == NAME_OK;) {
        uint32_t op = code[pc] & 255, arg = code[pc] >> 8;
        ChatLoop *l = c->n_loop ? &c->loop[c->n_loop - 1] : NULL;

        pc++;
        switch (op) {
        case NAME_CHAT_END:
            return;
        case NAME_CHAT_WRITE:
            chat_put(c, (const char *)c->h + text[arg].off, text[arg].n);
            break;
        case NAME_CHAT_OUT: case NAME_CHAT_JSON:
            v = chat_pop(c);
            if (op == NAME_CHAT_OUT)
                chat_write(c, chat_text(c, v));
            else
                chat_write_json(c, v);
            c->n_piece = c->held;
            break;
        case NAME_CHAT_CAPTURE:
            if (c->n_capture == NAME_CHAT_MAX_CAPTURES) {
                c->status = NAME_E_TEXT;
                return;
            }
            c->capture[c->n_capture++] = c->n_captured;
            c->held = c->n_piece;                           /* the stack may hold strings */
            break;
        case NAME_CHAT_STORE:
            c->slot[arg] = chat_pop(c);
            c->held = c->n_piece;
            break;
        case NAME_CHAT_JUMP:
            pc += arg;
            break;
        case NAME_CHAT_UNLESS:
            v = chat_pop(c);
            pc += chat_true(&v) ? 0 : arg;
            break;
        case NAME_CHAT_AND: case NAME_CHAT_OR: case NAME_CHAT_DEFAULT:
            v = c->stack[c->n_stack - 1];
            if (op == NAME_CHAT_AND ? !chat_true(&v) : op == NAME_CHAT_OR ? chat_true(&v) : v.kind != NAME_CHAT_IS_UNDEFINED)
                pc += arg;
            else
                c->n_stack--;
            break;
        case NAME_CHAT_FOR:
            v = chat_pop(c);
            if (v.kind != NAME_CHAT_IS_LIST)
                chat_fail(c);
            if (v.kind != NAME_CHAT_IS_LIST || !v.n)
                break;
            pc++;
            l = &c->loop[c->n_loop++];
            l->list = v;
            l->i = 0;
            l->slot = (int)arg;
            l->held = c->held;
            c->slot[arg] = chat_of(NAME_CHAT_IS_MESSAGE, v.at);
            break;
        case NAME_CHAT_NEXT: case NAME_CHAT_BREAK:
            chat_drop(c, l);
            if (op == NAME_CHAT_BREAK || ++l->i == l->list.n) {
                c->n_loop--;
                pc += op == NAME_CHAT_BREAK ? arg : 0;
                break;
            }
            c->slot[l->slot] = chat_of(NAME_CHAT_IS_MESSAGE, l->list.at + l->i * l->list.step);
            pc -= arg;
            break;
        default:
            v = chat_value(c, op, arg);
            c->stack[c->n_stack++] = v;
            break;
        }
    }
}

bool NAME_has_chat(const NAME_Model *m)
{
    const NAME_TokHeader *h = NAME_tok_tables(m);

    return h && h->n_chat_code;
}

NAME_Status NAME_chat(const NAME_Model *m, const NAME_Message *msgs, int n_msgs, bool add_generation_prompt,
                      char *out, size_t cap, size_t *n)
{
    const NAME_TokHeader *h = NAME_tok_tables(m);
    Chat c;

    if (!m || n_msgs < 0 || (!msgs && n_msgs) || (!out && cap) || !n)
        return NAME_E_ARG;
    for (int i = 0; i < n_msgs; i++)
        if (!msgs[i].role || !msgs[i].content)
            return NAME_E_ARG;
    *n = 0;
    if (!h || !h->n_chat_code)
        return NAME_E_TEXT;
    memset(&c, 0, sizeof c);
    c.h = h;
    c.msgs = msgs;
    c.n_msgs = n_msgs;
    c.answer = add_generation_prompt;
    c.out = out;
    c.cap = cap;
    if ((h->flags & NAME_TOK_ADD_BOS) && h->bos >= 0)
        c.bos = NAME_tok_text(h, (uint32_t)h->bos, &c.n_bos);
    chat_run(&c);
    chat_copy(&c, (const char *)c.bos, c.i_bos);            /* a text that is only the beginning of it */
    *n = c.n;
    return c.status != NAME_OK ? c.status : c.n > cap ? NAME_E_TEXT : NAME_OK;
}
