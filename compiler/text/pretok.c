/* Regular expressions -> automata over classes of code points.
 *
 *     expression --parse--> tree --Thompson--> NFA --ordered subsets--> DFA
 *
 * Sets of code points that occur in the expressions divide Unicode into classes whose members no expression tells apart (a few
 * dozen at most); the automaton reads classes.  To keep Perl's rule, a state of the DFA is an *ordered list* of NFA states, the
 * preferred path first (Cox, "Regular Expression Matching: the Virtual Machine Approach", 2009): when a path of the list has
 * matched, the paths after it are dropped, those before it go on and may still match longer.
 *
 * Whether a path has matched is decided when the next code point is known, so a lookahead of one code point costs nothing:
 * it is a condition on that code point.  Therefore acceptance stands on the transition: "before this class, the text read so far
 * is a match".  The end of the text is one more class, which no set contains. */
#include "compiler/text/pretok.h"

#include <utf8proc.h>

/* The expressions as published: gpt-2 in encoder.py of OpenAI's gpt-2; llama-bpe and qwen2 in the tokenizer.json of Llama 3 and
 * Qwen2; smollm is "digits apart" followed by gpt-2's (tokenizer.json of SmolLM2).  "default" is what files without a name mean. */
#define EXPR_GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
#define EXPR_LLAMA3(digits) "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" digits \
    "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

const PretokKind pretok_table[] = {
    { "smollm",    { "\\p{N}", EXPR_GPT2 },          false, false },
    { "gpt-2",     { EXPR_GPT2 },                    false, false },
    { "llama-bpe", { EXPR_LLAMA3("\\p{N}{1,3}") },   true,  true  },
    { "llama3",    { EXPR_LLAMA3("\\p{N}{1,3}") },   true,  true  },
    { "llama-v3",  { EXPR_LLAMA3("\\p{N}{1,3}") },   true,  true  },
    { "qwen2",     { EXPR_LLAMA3("\\p{N}") },        false, false },
    { NULL, { NULL }, false, false }
};

const PretokKind *pretok_find(Str name)
{
    for (const PretokKind *k = pretok_table; k->name; k++)
        if (str_is(name, k->name))
            return k;
    return NULL;
}

/* ---- sets of code points ------------------------------------------------------------------------------------------ */

enum { MAX_ITEMS = 24, MAX_SETS = 56 };

/* Part of a set: a range, general categories (a bit for each of utf8proc's), or white space; inverted if `neg`. */
typedef struct { enum { ITEM_range, ITEM_cats, ITEM_space } kind; bool neg; uint32_t lo, hi, cats; } Item;
typedef struct { bool neg; int n; Item item[MAX_ITEMS]; } Set;

/* Unicode's property White_Space (PropList.txt). */
static bool is_space(uint32_t c)
{
    return (c >= 9 && c <= 13) || c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) ||
           c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

static int category(uint32_t c)
{
    /* CJK extension I came with Unicode 15.1; tokenizers of today know it, utf8proc 2.8 (Unicode 15.0) does not. */
    if (c >= 0x2ebf0 && c <= 0x2ee5d)
        return UTF8PROC_CATEGORY_LO;
    return (int)utf8proc_category((utf8proc_int32_t)c);
}

static bool set_has(const Set *s, uint32_t c, int cat)
{
    for (int i = 0; i < s->n; i++) {
        const Item *it = &s->item[i];
        bool in = it->kind == ITEM_range ? c >= it->lo && c <= it->hi
                : it->kind == ITEM_cats  ? it->cats >> cat & 1
                :                          is_space(c);
        if (in != it->neg)
            return !s->neg;
    }
    return s->neg;
}

static bool set_eq(const Set *a, const Set *b)
{
    if (a->neg != b->neg || a->n != b->n)
        return false;
    for (int i = 0; i < a->n; i++) {
        const Item *x = &a->item[i], *y = &b->item[i];
        if (x->kind != y->kind || x->neg != y->neg || x->lo != y->lo || x->hi != y->hi || x->cats != y->cats)
            return false;
    }
    return true;
}

static uint32_t cats_of(Str name)
{
    static const struct { const char *name; uint32_t cats; } table[] = {
#define CAT(x) (1u << UTF8PROC_CATEGORY_##x)
        { "L", CAT(LU) | CAT(LL) | CAT(LT) | CAT(LM) | CAT(LO) },
        { "Lu", CAT(LU) }, { "Ll", CAT(LL) }, { "Lt", CAT(LT) }, { "Lm", CAT(LM) }, { "Lo", CAT(LO) },
        { "M", CAT(MN) | CAT(MC) | CAT(ME) }, { "Mn", CAT(MN) }, { "Mc", CAT(MC) }, { "Me", CAT(ME) },
        { "N", CAT(ND) | CAT(NL) | CAT(NO) }, { "Nd", CAT(ND) }, { "Nl", CAT(NL) }, { "No", CAT(NO) },
        { "P", CAT(PC) | CAT(PD) | CAT(PS) | CAT(PE) | CAT(PI) | CAT(PF) | CAT(PO) },
        { "S", CAT(SM) | CAT(SC) | CAT(SK) | CAT(SO) },
        { "Z", CAT(ZS) | CAT(ZL) | CAT(ZP) },
#undef CAT
    };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (str_is(name, table[i].name))
            return table[i].cats;
    return 0;
}

/* ---- the parser --------------------------------------------------------------------------------------------------- */

typedef struct Node Node;
struct Node {
    enum { N_empty, N_set, N_cat, N_alt, N_repeat, N_not_next } kind;
    int set;                    /* set, not_next */
    int lo, hi;                 /* repeat; hi -1: without end */
    Node *a, *b;
};

typedef struct {
    Arena *a;
    Diag *d;
    const char *expr;
    size_t at, n;
    bool fold;                  /* inside (?i:...) */
    int depth;
    Set *set;                   /* [MAX_SETS], of all expressions */
    int n_set;
} Parser;

static bool bad(Parser *p, const char *what)
{
    return fail(p->d, NOWHERE, "pre-tokenizer expression '%s', column %zu: %s", p->expr, p->at + 1, what);
}

static bool peek(const Parser *p, char c) { return p->at < p->n && p->expr[p->at] == c; }

static bool take(Parser *p, const char *s)
{
    size_t n = strlen(s);

    if (p->n - p->at < n || memcmp(p->expr + p->at, s, n))
        return false;
    p->at += n;
    return true;
}

static Node *node(Parser *p, int kind, Node *a, Node *b)
{
    Node *x = ARENA_NEW(p->a, Node);

    x->kind = kind;
    x->a = a;
    x->b = b;
    return x;
}

static Node *set_node(Parser *p, const Set *s, int kind)
{
    Node *x = node(p, kind, NULL, NULL);

    for (x->set = 0; x->set < p->n_set; x->set++)
        if (set_eq(&p->set[x->set], s))
            return x;
    if (p->n_set == MAX_SETS)
        return bad(p, "more different sets of characters than sinter can tell apart"), NULL;
    p->set[p->n_set++] = *s;
    return x;
}

static bool add_item(Parser *p, Set *s, Item it)
{
    if (s->n == MAX_ITEMS)
        return bad(p, "a class with more parts than sinter can hold");
    s->item[s->n++] = it;
    return true;
}

/* A character as itself; where case is folded, an ASCII letter brings its other case. */
static bool add_char(Parser *p, Set *s, uint32_t lo, uint32_t hi)
{
    uint32_t x = lo | 0x20;

    if (!add_item(p, s, (Item){ .kind = ITEM_range, .lo = lo, .hi = hi }))
        return false;
    if (!p->fold || lo != hi || x < 'a' || x > 'z')
        return true;
    return add_item(p, s, (Item){ .kind = ITEM_range, .lo = lo ^ 0x20, .hi = lo ^ 0x20 });
}

/* One code point of the expression, which is UTF-8. */
static bool literal(Parser *p, uint32_t *c)
{
    utf8proc_int32_t v;
    utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)p->expr + p->at, (utf8proc_ssize_t)(p->n - p->at), &v);

    if (n <= 0)
        return bad(p, "not valid UTF-8");
    p->at += (size_t)n;
    *c = (uint32_t)v;
    return true;
}

/* After a backslash: a class such as \s (an Item; *c = UINT32_MAX) or a character. */
static bool escape(Parser *p, Item *it, uint32_t *c)
{
    if (p->at >= p->n)
        return bad(p, "ends after a backslash");
    char e = p->expr[p->at++];

    *it = (Item){ 0 };
    *c = UINT32_MAX;
    if (e == 's' || e == 'S') {
        it->kind = ITEM_space;
        it->neg = e == 'S';
    } else if (e == 'd') {
        it->kind = ITEM_cats;
        it->cats = cats_of(STR("Nd"));
    } else if (e == 'p' || e == 'P') {
        const char *end = peek(p, '{') ? memchr(p->expr + p->at, '}', p->n - p->at) : NULL;

        if (!end)
            return bad(p, "\\p without {...}");
        Str name = { p->expr + p->at + 1, (size_t)(end - p->expr) - p->at - 1 };
        it->kind = ITEM_cats;
        it->neg = e == 'P';
        it->cats = cats_of(name);
        if (!it->cats)
            return bad(p, "this property of characters is not known");
        p->at = (size_t)(end - p->expr) + 1;
    } else {
        bool word = (e >= 'a' && e <= 'z') || (e >= 'A' && e <= 'Z') || (e >= '0' && e <= '9');

        *c = e == 'r' ? '\r' : e == 'n' ? '\n' : e == 't' ? '\t' : (uint32_t)(unsigned char)e;
        if ((word && !strchr("rnt", e)) || (unsigned char)e >= 0x80)
            return bad(p, "this escape is not known");
    }
    return true;
}

static bool parse_class(Parser *p, Set *s)
{
    s->neg = take(p, "^");
    while (!peek(p, ']')) {
        uint32_t lo = 0, hi = 0;
        Item it;

        if (p->at >= p->n)
            return bad(p, "a class without its ]");
        if (peek(p, '['))
            return bad(p, "a [ inside a class (write \\[)");
        if (take(p, "\\")) {
            if (!escape(p, &it, &lo))
                return false;
            if (lo == UINT32_MAX) {
                if (!add_item(p, s, it))
                    return false;
                continue;
            }
        } else if (!literal(p, &lo)) {
            return false;
        }
        hi = lo;
        if (peek(p, '-') && p->at + 1 < p->n && p->expr[p->at + 1] != ']') {
            p->at++;
            if (take(p, "\\") ? !escape(p, &it, &hi) || hi == UINT32_MAX : !literal(p, &hi))
                return bad(p, "a range without an end");
        }
        if (hi < lo)
            return bad(p, "a range that ends before it begins");
        if (!add_char(p, s, lo, hi))
            return false;
    }
    p->at++;
    return true;
}

static Node *parse_alt(Parser *p);

/* What can be in a class of its own: [...], an escape, a character. */
static bool parse_set(Parser *p, Set *s)
{
    uint32_t c = 0;
    Item it;

    *s = (Set){ 0 };
    if (take(p, "["))
        return parse_class(p, s);
    if (take(p, "\\")) {
        if (!escape(p, &it, &c))
            return false;
        return c == UINT32_MAX ? add_item(p, s, it) : add_char(p, s, c, c);
    }
    if (p->at < p->n && strchr(".^$*+?{})", p->expr[p->at]))
        return bad(p, "this construct is not known");
    return literal(p, &c) && add_char(p, s, c, c);
}

static Node *parse_atom(Parser *p)
{
    Set s;

    if (take(p, "(?!")) {
        if (!parse_set(p, &s))
            return NULL;
        if (!take(p, ")"))
            return bad(p, "a lookahead of more than one character is not known"), NULL;
        return set_node(p, &s, N_not_next);
    }
    if (take(p, "(")) {
        bool fold = p->fold;

        if (take(p, "?i:"))
            p->fold = true;
        else if (peek(p, '?') && !take(p, "?:"))
            return bad(p, "this kind of group is not known"), NULL;
        if (++p->depth > 100)
            return bad(p, "groups too deep"), NULL;
        Node *x = parse_alt(p);
        p->depth--;
        p->fold = fold;
        if (x && !take(p, ")"))
            return bad(p, "a group without its )"), NULL;
        return x;
    }
    return parse_set(p, &s) ? set_node(p, &s, N_set) : NULL;
}

static bool parse_count(Parser *p, int *out)
{
    size_t begin = p->at;

    for (*out = 0; p->at < p->n && p->expr[p->at] >= '0' && p->expr[p->at] <= '9'; p->at++)
        if ((*out = *out * 10 + p->expr[p->at] - '0') > 255)
            return bad(p, "a count above 255");
    return p->at > begin || bad(p, "a number is missing");
}

static Node *parse_repeat(Parser *p)
{
    Node *x = parse_atom(p);

    while (x && p->at < p->n && strchr("?*+{", p->expr[p->at])) {
        int lo = 0, hi = -1;
        char q = p->expr[p->at++];

        if (q == '?')
            hi = 1;
        else if (q == '+')
            lo = 1;
        else if (q == '{') {
            if (!parse_count(p, &lo))
                return NULL;
            hi = lo;
            if (take(p, ",")) {
                hi = -1;
                if (!peek(p, '}') && !parse_count(p, &hi))
                    return NULL;
            }
            if (!take(p, "}") || (hi >= 0 && hi < lo))
                return bad(p, "a count {n,m} that is not one"), NULL;
        }
        if (peek(p, '?') || peek(p, '+'))
            return bad(p, "lazy and possessive quantifiers are not known"), NULL;
        x = node(p, N_repeat, x, NULL);
        x->lo = lo;
        x->hi = hi;
    }
    return x;
}

static Node *parse_alt(Parser *p)
{
    Node *x = node(p, N_empty, NULL, NULL);

    while (p->at < p->n && !peek(p, '|') && !peek(p, ')')) {
        Node *y = parse_repeat(p);

        if (!y)
            return NULL;
        x = node(p, N_cat, x, y);
    }
    if (!take(p, "|"))
        return x;
    Node *y = parse_alt(p);
    return y ? node(p, N_alt, x, y) : NULL;
}

/* ---- the NFA ------------------------------------------------------------------------------------------------------ */

enum { MAX_NFA = 8192, MAX_DFA = 2048 };
typedef struct { enum { S_split, S_set, S_not_next, S_match } kind; int set, a, b; } NfaState;
typedef struct { NfaState *s; int n; } Nfa;

static int state(Nfa *f, int kind, int set, int a, int b)
{
    if (f->n < MAX_NFA)
        f->s[f->n++] = (NfaState){ .kind = kind, .set = set, .a = a, .b = b };
    return f->n - 1;
}

/* The states of x followed by state `to`; returns where they begin. */
static int build(Nfa *f, const Node *x, int to)
{
    switch (x->kind) {
    case N_empty:    return to;
    case N_set:      return state(f, S_set, x->set, to, 0);
    case N_not_next: return state(f, S_not_next, x->set, to, 0);
    case N_cat:      return build(f, x->a, build(f, x->b, to));
    case N_alt: {
        int a = build(f, x->a, to), b = build(f, x->b, to);
        return state(f, S_split, 0, a, b);
    }
    case N_repeat:
        if (x->hi < 0) {
            int loop = state(f, S_split, 0, 0, to), body = build(f, x->a, loop);
            f->s[loop].a = body;
            to = loop;
        } else {
            int after = to;
            for (int i = x->lo; i < x->hi && f->n < MAX_NFA; i++) {
                int body = build(f, x->a, to);
                to = state(f, S_split, 0, body, after);
            }
        }
        for (int i = 0; i < x->lo && f->n < MAX_NFA; i++)
            to = build(f, x->a, to);
        return to;
    }
    return to;
}

/* ---- the DFA ------------------------------------------------------------------------------------------------------ */

typedef struct { int n; uint16_t *list; } States;           /* NFA states in order of preference */

typedef struct {
    const Nfa *nfa;
    const bool *in;             /* [n_set][n_class + 1] */
    int n_column, column;
    uint32_t *seen, *queued;    /* [nfa->n]: the stamp of the transition that met it */
    uint32_t stamp;
    uint16_t *next;
    int n_next;
    int *stack;
} Stepper;

/* Follows one path up to the code point; true: it has matched before it. */
static bool follow(Stepper *st, int from)
{
    int n = 0;

    st->stack[n++] = from;
    while (n > 0) {
        int i = st->stack[--n];
        const NfaState *s = &st->nfa->s[i];

        if (st->seen[i] == st->stamp)
            continue;
        st->seen[i] = st->stamp;
        if (s->kind == S_match)
            return true;
        if (s->kind == S_split) {
            st->stack[n++] = s->b;
            st->stack[n++] = s->a;
            continue;
        }
        bool in = st->in[s->set * st->n_column + st->column];
        if (s->kind == S_not_next) {
            if (!in)
                st->stack[n++] = s->a;
        } else if (in && st->queued[s->a] != st->stamp) {
            st->queued[s->a] = st->stamp;
            st->next[st->n_next++] = (uint16_t)s->a;
        }
    }
    return false;
}

static bool dfa_build(Parser *p, const Nfa *nfa, int start, const bool *in, int n_class, PretokDfa *out)
{
    int n_column = n_class + 1, n = 1;
    States *st = ARENA_ARRAY(p->a, States, MAX_DFA);
    uint16_t *next = ARENA_ARRAY(p->a, uint16_t, (size_t)MAX_DFA * (size_t)n_column);
    Stepper step = { .nfa = nfa, .in = in, .n_column = n_column };

    step.seen = ARENA_ARRAY(p->a, uint32_t, nfa->n);
    step.queued = ARENA_ARRAY(p->a, uint32_t, nfa->n);
    step.next = ARENA_ARRAY(p->a, uint16_t, nfa->n);
    step.stack = ARENA_ARRAY(p->a, int, 2 * nfa->n + 2);
    st[0].n = 1;
    st[0].list = ARENA_NEW(p->a, uint16_t);
    st[0].list[0] = (uint16_t)start;
    for (int i = 0; i < n; i++)
        for (step.column = 0; step.column < n_column; step.column++) {
            bool match = false;
            int to = 0;

            step.stamp++;
            step.n_next = 0;
            for (int j = 0; j < st[i].n && !match; j++)
                match = follow(&step, st[i].list[j]);
            if (!step.n_next) {
                to = PRETOK_DEAD;
            } else {
                size_t bytes = (size_t)step.n_next * sizeof *step.next;

                while (to < n && (st[to].n != step.n_next || memcmp(st[to].list, step.next, bytes)))
                    to++;
                if (to == MAX_DFA)
                    return bad(p, "the automaton has too many states");
                if (to == n) {
                    st[n].n = step.n_next;
                    st[n].list = ARENA_ARRAY(p->a, uint16_t, step.n_next);
                    memcpy(st[n++].list, step.next, bytes);
                }
            }
            next[i * n_column + step.column] = (uint16_t)(to | (match ? PRETOK_ACCEPT : 0));
        }
    out->n_state = n;
    out->next = next;
    return true;
}

/* ---- classes ------------------------------------------------------------------------------------------------------ */

/* Divides Unicode by membership in the sets: out->page, class_of, n_class, and for each class one member (`member`). */
static bool classes(Parser *p, Pretok *out, uint32_t *member)
{
    uint64_t sig[256], last_sig = 0;
    uint8_t *page = ARENA_ARRAY(p->a, uint8_t, 256);
    bool *edge = ARENA_ARRAY(p->a, bool, 0x110001);         /* a range or white space begins or ends here */
    int last_cat = -1, last = 0;

    for (int i = 0; i < p->n_set; i++)
        for (int j = 0; j < p->set[i].n; j++)
            if (p->set[i].item[j].kind == ITEM_range) {
                edge[p->set[i].item[j].lo] = true;
                edge[p->set[i].item[j].hi + 1] = true;
            }
    for (uint32_t c = 0; c < 0x10000; c++)
        if (is_space(c))
            edge[c] = edge[c + 1] = true;
    out->page = ARENA_ARRAY(p->a, uint16_t, PRETOK_PAGES);
    out->class_of = ARENA_ARRAY(p->a, uint8_t, (size_t)PRETOK_PAGES * 256);
    out->n_page = out->n_class = 0;
    for (uint32_t c = 0; c < 0x110000; c++) {
        int cat = category(c);

        if (cat != last_cat || edge[c]) {                   /* otherwise it is of the class of the one before */
            uint64_t s = 0;

            for (int i = 0; i < p->n_set; i++)
                s |= (uint64_t)set_has(&p->set[i], c, cat) << i;
            last_cat = cat;
            if (!out->n_class || s != last_sig) {
                last_sig = s;
                for (last = 0; last < out->n_class && sig[last] != s; last++)
                    ;
                if (last == 256)
                    return bad(p, "more than 256 classes of characters");
                if (last == out->n_class) {
                    member[last] = c;
                    sig[out->n_class++] = s;
                }
            }
        }
        page[c & 255] = (uint8_t)last;
        if ((c & 255) == 255) {
            int i = 0;

            while (i < out->n_page && memcmp(out->class_of + 256 * i, page, 256))
                i++;
            if (i == out->n_page)
                memcpy(out->class_of + 256 * out->n_page++, page, 256);
            out->page[c >> 8] = (uint16_t)i;
        }
    }
    return true;
}

bool pretok_compile(Arena *a, Diag *d, const char *const *expr, int n, Pretok *out)
{
    Parser p = { .a = a, .d = d };
    Node *tree[PRETOK_MAX_STEPS];
    uint32_t member[256];

    p.set = ARENA_ARRAY(a, Set, MAX_SETS);
    *out = (Pretok){ .n_step = n };
    for (int i = 0; i < n; i++) {
        p.expr = expr[i];
        p.n = strlen(expr[i]);
        p.at = 0;
        tree[i] = parse_alt(&p);
        if (!tree[i])
            return false;
        if (p.at < p.n)
            return bad(&p, "a ) without its (");
    }
    if (!classes(&p, out, member))
        return false;

    int n_column = out->n_class + 1;
    bool *in = ARENA_ARRAY(a, bool, (size_t)p.n_set * (size_t)n_column + 1);
    for (int i = 0; i < p.n_set; i++)
        for (int c = 0; c < out->n_class; c++)
            in[i * n_column + c] = set_has(&p.set[i], member[c], category(member[c]));
    for (int i = 0; i < n; i++) {
        Nfa nfa = { .s = ARENA_ARRAY(a, NfaState, MAX_NFA) };
        int start = build(&nfa, tree[i], state(&nfa, S_match, 0, 0, 0));

        p.expr = expr[i];
        if (nfa.n == MAX_NFA)
            return bad(&p, "an expression too large");
        if (!dfa_build(&p, &nfa, start, in, out->n_class, &out->step[i]))
            return false;
    }
    return true;
}

size_t pretok_match(const Pretok *t, int step, const uint32_t *code_point, size_t n)
{
    size_t best = 0, at = 0;
    int s = 0;

    for (;;) {
        int column = t->n_class;

        if (at < n)
            column = t->class_of[t->page[code_point[at] >> 8] * 256 + (code_point[at] & 255)];
        uint16_t e = t->step[step].next[s * (t->n_class + 1) + column];
        if (e & PRETOK_ACCEPT)
            best = at;
        s = e & PRETOK_DEAD;
        if (s == PRETOK_DEAD || at == n)
            return best;
        at++;
    }
}
