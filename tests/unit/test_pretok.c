/* If these fail, text is cut into other words than the model was trained on, and answers get quietly worse.
 *
 * The automata are compared with a plain backtracking matcher, written here from the rules of Perl's regular expressions, on the
 * published expressions and on random ones. */
#include "tests/unit/test.h"

#include <stdlib.h>
#include <utf8proc.h>

#include "compiler/text/pretok.h"

/* ---- the plain matcher -------------------------------------------------------------------------------------------- */

typedef struct N N;
struct N { enum { SET, NOT_NEXT, CAT, ALT, REP, EMPTY } kind; N *a, *b; int lo, hi; const char *set; bool fold; };
/* What remains to be matched after the current node. */
typedef struct K { const N *n; int count; size_t from; const struct K *next; } K;

typedef struct { Arena *a; const char *p; bool fold; } Plain;
typedef struct { const uint32_t *c; size_t n; } Text;

static N *make(Plain *p, int kind, N *a, N *b)
{
    N *n = ARENA_NEW(p->a, N);

    n->kind = kind;
    n->a = a;
    n->b = b;
    n->fold = p->fold;
    return n;
}

/* One element of a set at *s; whether c is in it.  Expressions of this test are ASCII. */
static bool element_has(const char **s, uint32_t c, bool fold)
{
    uint32_t lo = (unsigned char)*(*s)++, hi;

    if (lo == '\\') {
        char e = *(*s)++;
        bool space = c != 0x1c && c != 0x1d && c != 0x1e && c != 0x1f &&
                     ((c >= 9 && c <= 13) || c == 0x85 || c == 0x2028 || c == 0x2029 ||
                      utf8proc_category((utf8proc_int32_t)c) == UTF8PROC_CATEGORY_ZS);
        if (e == 's' || e == 'S')
            return space == (e == 's');
        if (e == 'p') {
            const char *cat = utf8proc_category_string((utf8proc_int32_t)c);
            char want = (*s)[1];
            *s += 3;
            return *cat == want;
        }
        lo = e == 'n' ? '\n' : e == 'r' ? '\r' : (unsigned char)e;
    }
    hi = lo;
    if (**s == '-' && (*s)[1] != ']') {
        hi = (unsigned char)(*s)[1];
        *s += 2;
    }
    if (c >= lo && c <= hi)
        return true;
    return fold && c < 128 && ((c | 32) == (lo | 32)) && (c | 32) >= 'a' && (c | 32) <= 'z';
}

static bool set_has(const N *n, uint32_t c)
{
    const char *s = n->set;

    if (*s != '[')
        return element_has(&s, c, n->fold);
    bool neg = *++s == '^';
    s += neg;
    while (*s != ']')
        if (element_has(&s, c, n->fold))
            return !neg;
    return neg;
}

static N *parse_alt(Plain *p);

static N *parse_atom(Plain *p)
{
    if (!strncmp(p->p, "(?!", 3)) {
        p->p += 3;
        N *n = parse_atom(p);
        n->kind = NOT_NEXT;
        p->p++;
        return n;
    }
    if (*p->p == '(') {
        bool fold = p->fold;
        p->fold |= p->p[2] == 'i';
        p->p = strchr(p->p, ':') + 1;
        N *n = parse_alt(p);
        p->fold = fold;
        p->p++;
        return n;
    }
    N *n = make(p, SET, NULL, NULL);
    n->set = p->p;
    if (*p->p == '[')
        while (*p->p != ']')
            p->p += *p->p == '\\' ? 2 : 1;
    else if (*p->p == '\\' && p->p[1] == 'p')
        p->p += 4;
    else if (*p->p == '\\')
        p->p++;
    p->p++;
    return n;
}

static N *parse_alt(Plain *p)
{
    N *n = make(p, EMPTY, NULL, NULL);

    while (*p->p && *p->p != '|' && *p->p != ')') {
        N *x = parse_atom(p);

        while (*p->p && strchr("?*+{", *p->p)) {
            x = make(p, REP, x, NULL);
            x->lo = *p->p == '+';
            x->hi = *p->p == '?' ? 1 : 1000000;
            if (*p->p == '{') {
                char *end;
                x->lo = x->hi = (int)strtol(p->p + 1, &end, 10);
                if (*end == ',')
                    x->hi = (int)strtol(end + 1, &end, 10);
                p->p = end;
            }
            p->p++;
        }
        n = make(p, CAT, n, x);
    }
    if (*p->p != '|')
        return n;
    p->p++;
    return make(p, ALT, n, parse_alt(p));
}

static long run(Text t, const N *n, size_t at, const K *k);

static long repeat(Text t, const N *n, int count, size_t at, const K *k);

static long go_on(Text t, size_t at, const K *k)
{
    if (!k)
        return (long)at;
    if (k->n->kind != REP)
        return run(t, k->n, at, k->next);
    return k->from == at ? -1 : repeat(t, k->n, k->count, at, k->next);
}

static long repeat(Text t, const N *n, int count, size_t at, const K *k)
{
    if (count < n->hi) {
        K again = { n, count + 1, at, k };
        long r = run(t, n->a, at, &again);

        if (r >= 0)
            return r;
    }
    return count >= n->lo ? go_on(t, at, k) : -1;
}

static long run(Text t, const N *n, size_t at, const K *k)
{
    long r;

    switch (n->kind) {
    case EMPTY:    return go_on(t, at, k);
    case SET:      return at < t.n && set_has(n, t.c[at]) ? go_on(t, at + 1, k) : -1;
    case NOT_NEXT: return at < t.n && set_has(n, t.c[at]) ? -1 : go_on(t, at, k);
    case CAT:      return run(t, n->a, at, &(K){ n->b, 0, SIZE_MAX, k });
    case ALT:      return (r = run(t, n->a, at, k)) >= 0 ? r : run(t, n->b, at, k);
    case REP:      return repeat(t, n, 0, at, k);
    }
    return -1;
}

/* A REP that is a continuation is begun, not continued: wrap it. */
static N *wrap(Plain *p, N *n)
{
    if (n->a)
        n->a = wrap(p, n->a);
    if (n->b)
        n->b = wrap(p, n->b);
    return n->kind == REP ? make(p, CAT, make(p, EMPTY, NULL, NULL), n) : n;
}

/* ---- random ------------------------------------------------------------------------------------------------------- */

static uint64_t seed;

static uint32_t below(uint32_t n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((seed >> 33) % n);
}

static uint32_t random_char(void)
{
    static const uint32_t some[] = { 'a', 'b', 's', 'S', 't', 'l', 'L', 'e', 'r', 'v', '\'', ' ', ' ', '\n', '\r', '\t', '1', '2',
        0x0663, 0xbd, 0x2167, '.', '!', 0x85, 0xa0, 0x3000, 0x1c, 0xe9, 0x301, 0x4e2d, 0xac00, 0x1f642, 0x17f, 0xfffd, 0x2ebf0, 0 };

    return below(10) ? some[below(sizeof some / sizeof *some - 1)] : below(0x110000);
}

static void random_atom(Buf *b, int depth);

static void random_expr(Buf *b, int depth)
{
    int n_alt = 1 + (int)below(3);

    for (int i = 0; i < n_alt; i++) {
        buf_puts(b, i ? "|" : "");
        random_atom(b, depth);                              /* one that is not optional: no loop over nothing */
        for (int n = (int)below(3); n > 0; n--) {
            random_atom(b, depth);
            buf_puts(b, (const char *const[]){ "", "?", "*", "+", "{1,3}", "{2}", "" }[below(7)]);
        }
        if (!below(5))
            buf_puts(b, (const char *const[]){ "(?!a)", "(?!\\S)", "(?![ab])", "(?!\\p{N})" }[below(4)]);
    }
}

static void random_atom(Buf *b, int depth)
{
    static const char *const atoms[] = { "a", "b", " ", "1", "\\s", "\\S", "\\p{L}", "\\p{N}", "[ab]", "[^a]", "[^\\s\\p{L}]", "[a-t]" };

    if (depth > 0 && !below(3)) {
        buf_puts(b, below(4) ? "(?:" : "(?i:");
        random_expr(b, depth - 1);
        buf_puts(b, ")");
    } else {
        buf_puts(b, atoms[below(sizeof atoms / sizeof *atoms)]);
    }
}

/* ---- tests -------------------------------------------------------------------------------------------------------- */

/* false: the expression has no automaton of a size that is allowed. */
static bool compare(Arena *a, Diag *d, const char *expr, int n_texts, int max_len)
{
    Plain p = { .a = a, .p = expr };
    N *n = wrap(&p, parse_alt(&p));
    uint32_t c[64];
    Pretok t;

    if (!pretok_compile(a, d, &expr, 1, &t))
        return false;
    for (int i = 0; i < n_texts; i++) {
        Text text = { c, below((uint32_t)max_len + 1) };

        for (size_t j = 0; j < text.n; j++) {
            c[j] = random_char();
            if (c[j] >= 0x2ebf0 && c[j] <= 0x2ee5d)         /* pretok.c knows them as letters, utf8proc may not */
                c[j] = 'a';
        }
        long want = run(text, n, 0, NULL);
        size_t have = pretok_match(&t, 0, c, text.n);
        if (have != (want > 0 ? (size_t)want : 0))
            print_error("%s: %zu, want %ld\n", expr, have, want);
        assert_int_equal(have, want > 0 ? want : 0);
    }
    return true;
}

static void test_published(void **state)
{
    (void)state;
    Arena *a = arena_new(NULL);
    Diag *d = diag_new(a, NULL);

    seed = 1;
    for (const PretokKind *k = pretok_table; k->name; k++)
        for (int i = 0; i < PRETOK_MAX_STEPS && k->expr[i]; i++)
            assert_true(compare(a, d, k->expr[i], 4000, 12));
    arena_free(a);
}

static void test_random(void **state)
{
    (void)state;
    int n_compared = 0;

    seed = 2;
    for (int i = 0; i < 60; i++) {
        Arena *a = arena_new(NULL);
        Diag *d = diag_new(a, NULL);
        Buf b = buf_in(a);

        random_expr(&b, 2);
        n_compared += compare(a, d, buf_z(&b), 300, 9);
        arena_free(a);
    }
    assert_true(n_compared > 50);
}

/* The rule is the first match, not the longest; a lookahead counts the end of the text as "nothing follows". */
static void test_rules(void **state)
{
    (void)state;
    static const struct { const char *expr; const char *text; size_t want; } cases[] = {
        { "a|ab", "ab", 1 }, { "ab|a", "ab", 2 }, { "a?ab", "ab", 2 }, { "a{2}", "aaa", 2 }, { "a{2,}", "aaaa", 4 },
        { "a{1,3}", "aaaa", 3 }, { "\\s+(?!\\S)", "   x", 2 }, { "\\s+(?!\\S)", "   ", 3 }, { "\\s+(?!\\S)", " x", 0 },
        { "(?i:'s)", "'S", 2 }, { "[^a-c]+", "xyzb", 3 }, { "(a|b)+c", "abac", 4 }, { "(a|b)+c", "abab", 0 }, { "\\.", ".", 1 },
    };
    Arena *a = arena_new(NULL);
    Diag *d = diag_new(a, NULL);

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t c[16];
        size_t n = strlen(cases[i].text);
        Pretok t;

        for (size_t j = 0; j < n; j++)
            c[j] = (unsigned char)cases[i].text[j];
        assert_true(pretok_compile(a, d, &cases[i].expr, 1, &t));
        assert_int_equal(pretok_match(&t, 0, c, n), cases[i].want);
    }
    /* Folding is ASCII's, as in llama.cpp: U+017F is not an s. */
    const char *expr = "(?i:'s)";
    Pretok t;
    assert_true(pretok_compile(a, d, &expr, 1, &t));
    assert_int_equal(pretok_match(&t, 0, (uint32_t[]){ '\'', 0x17f }, 2), 0);
    arena_free(a);
}

static void test_errors(void **state)
{
    (void)state;
    static const struct { const char *expr, *says; } cases[] = {
        { "a(b", "without its )" }, { "a)b", "without its (" }, { "[ab", "without its ]" }, { "a{x}", "number is missing" },
        { "a{3,1}", "count" }, { "a*?", "lazy" }, { "*a", "not known" }, { "\\p{Greek}", "property" }, { "\\pL", "without {" },
        { "\\w", "escape" }, { "(?=a)", "group" }, { "(?!ab)", "lookahead" }, { "^a", "not known" }, { "a\\", "backslash" },
        { "[b-a]", "range" }, { "\xff", "UTF-8" }, { "a{999}", "above 255" }, { "((((a{255}){255}){255}){255})", "too large" },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Arena *a = arena_new(NULL);
        Diag *d = diag_new(a, NULL);
        Pretok t;

        assert_false(pretok_compile(a, d, &cases[i].expr, 1, &t));
        Str said = diag_text(d);
        if (!memmem(said.p, said.n, cases[i].says, strlen(cases[i].says)))
            print_error("%s: %.*s", cases[i].expr, STR_ARG(said));
        assert_non_null(memmem(said.p, said.n, cases[i].says, strlen(cases[i].says)));
        arena_free(a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published), cmocka_unit_test(test_random),
        cmocka_unit_test(test_rules), cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests_name("pretok", tests, NULL, NULL);
}
