/* Chat templates: Jinja (jinja.c) -> the program that chat.c of the emitted program runs (tokenizer.h lists its operations).
 *
 * Most of a published template is about tools, images and documents.  Here a conversation is a list of messages, each a role and
 * a content that are strings, and nothing else is given: every other name is undefined.  So expressions are computed as far as
 * they are known while they are compiled, and a branch that can not be reached is not looked at further: it may use whatever it
 * likes.  What is left uses strings, small integers, messages and lists of them.
 *
 *     {% if tools %}...{% endif %}                          nothing
 *     {% if message.content is string %}A{% else %}B        A
 *     {% set role = 'model' if message.role == 'assistant' else message.role %}        LOOP variable, FIELD 0, STR, EQ, UNLESS, ...
 *
 * A variable is a constant as long as it is set where nothing is in doubt; before an `if` that is decided at run time, the
 * variables set inside it move into slots.  A loop has its own variables, which begin anew with each turn (Jinja's rule); fields
 * of a namespace are slots.  A variable whose value can not be compiled is an error only where it is used.
 *
 * What is not known is reported with the construct and its line.  Deviations from jinja2 on purpose: message.name of a message
 * that does not exist is undefined where jinja2 raises, unless name is role or content. */
#include "compiler/text/jinja.h"
#include "compiler/import/vocab.h"
#include "runtime/text/tokenizer.h"

#include <assert.h>

typedef enum { K_any, K_undefined, K_none, K_bool, K_int, K_str, K_message, K_list, K_seq, K_map, K_function } Kind;

/* What an expression gives: a constant (nothing was emitted), or a value of this kind on the stack.  maybe: or it is undefined. */
typedef struct {
    bool known, maybe;
    Kind kind;
    Str s;
    int64_t i;
    Expr *e;                    /* of seq and map: the literal */
} Result;

typedef struct {
    Str name, attr;             /* attr: of a namespace */
    int scope;
    enum { IN_constant, IN_slot, IN_namespace, IN_error } place;
    Result v;
    int slot;
    const char *why;            /* error */
} Variable;

enum { MAX_VARIABLES = 256, MAX_CODE = 1 << 16, MAX_NESTING = 250, MAX_EXPANDED = 1000 };

typedef struct {
    Arena *a;
    Stmt *all;
    Str bos, eos;
    bool has_bos, has_eos;
    uint32_t *code;             /* [MAX_CODE] */
    uint32_t n_code, label;     /* label: the last place that is jumped to */
    Str *text;                  /* [MAX_CODE] */
    uint32_t n_text;
    Variable var[MAX_VARIABLES];
    int n_var, n_slot, depth, nesting;
    int scope;                  /* of loops, macros and blocks around */
    int macro_scope;            /* inside a macro: its scope; those between it and the template's own are not seen */
    int n_loop, loop_base;      /* loops around; those of the macro's caller */
    int n_capture, n_expanded, loop_capture[NAME_CHAT_MAX_LOOPS + 1];
    uint32_t last_break[NAME_CHAT_MAX_LOOPS + 1], last_continue[NAME_CHAT_MAX_LOOPS + 1];   /* jumps, each knows the one before; 0: none */
    const char *why;
} Compiler;

static bool bad(Compiler *c, int line, const char *what, Str s)
{
    if (!c->why)
        c->why = str_printf(c->a, "line %d: %s%s%s", line, what, s.n ? " " : "", str_show(c->a, s, 60));
    return false;
}

static bool value(Compiler *c, Expr *e, Result *v);
static bool body(Compiler *c, Stmt *s);

/* ---- code --------------------------------------------------------------------------------------------------------- */

static bool emit(Compiler *c, int op, uint32_t arg, int grows, int line)
{
    if (c->n_code + 2 > MAX_CODE || arg >= 1u << 24)
        return bad(c, line, "the template is too long", STR(""));
    c->code[c->n_code++] = (uint32_t)op | arg << 8;
    c->depth += grows;
    return c->depth <= NAME_CHAT_MAX_STACK || bad(c, line, "an expression that is too deep", STR(""));
}

static uint32_t text_of(Compiler *c, Str s)
{
    for (uint32_t i = 0; i < c->n_text; i++)
        if (str_eq(c->text[i], s))
            return i;
    assert(c->n_text < MAX_CODE);
    c->text[c->n_text] = s;
    return c->n_text++;
}

/* A forward jump; land() sets where it goes. */
static bool jump(Compiler *c, int op, int grows, int line, uint32_t *at)
{
    *at = c->n_code;
    return emit(c, op, 0, grows, line);
}

static void land(Compiler *c, uint32_t at)
{
    c->code[at] = (c->code[at] & 255) | (c->n_code - at - 1) << 8;
    c->label = c->n_code;
}

/* Jumps of which each has, as its argument, the place of the one before. */
static void land_all(Compiler *c, uint32_t last)
{
    while (last) {
        uint32_t before = c->code[last] >> 8;

        land(c, last);
        last = before;
    }
}

static uint32_t push_of(Compiler *c, Result v)
{
    switch (v.kind) {
    case K_none: return NAME_CHAT_NONE;
    case K_bool: return NAME_CHAT_BOOL | (uint32_t)v.i << 8;
    case K_int:  return NAME_CHAT_INT | (uint32_t)(v.i + NAME_CHAT_ZERO) << 8;
    case K_str:  return NAME_CHAT_STR | text_of(c, v.s) << 8;
    case K_seq:  return NAME_CHAT_MESSAGES | 1u << 8;
    default:     return NAME_CHAT_UNDEFINED;
    }
}

static bool can_push(Compiler *c, Result v, int line)
{
    if ((v.kind == K_seq && v.e->n_arg) || v.kind == K_map || v.kind == K_function)
        return bad(c, line, "a list, dict or function as a value", STR(""));
    if (v.kind == K_int && (v.i <= -NAME_CHAT_ZERO || v.i >= NAME_CHAT_ZERO))
        return bad(c, line, "a large number", STR(""));
    return true;
}

/* A constant onto the stack; others are there. */
static bool push(Compiler *c, Result v, int line)
{
    if (!v.known)
        return true;
    uint32_t word = can_push(c, v, line) ? push_of(c, v) : 0;
    return !c->why && emit(c, (int)(word & 255), word >> 8, 1, line);
}

/* The same below what was emitted from `at` on.  Jumps are relative, and none crosses `at`. */
static bool push_below(Compiler *c, Result v, uint32_t at, int line)
{
    if (!v.known)
        return true;
    if (!push(c, v, line))
        return false;
    uint32_t word = c->code[c->n_code - 1];
    memmove(c->code + at + 1, c->code + at, (c->n_code - 1 - at) * sizeof *c->code);
    c->code[at] = word;
    return true;
}

/* Takes back what was emitted since, where only its being known matters. */
static void forget(Compiler *c, uint32_t n_code, int depth)
{
    c->n_code = n_code;
    c->depth = depth;
}

/* ---- values ------------------------------------------------------------------------------------------------------- */

static Result of_kind(Kind k) { return (Result){ .kind = k }; }
static Result undefined(void) { return (Result){ .known = true, .kind = K_undefined }; }
static Result of_bool(bool b) { return (Result){ .known = true, .kind = K_bool, .i = b }; }
static Result of_int(int64_t i) { return (Result){ .known = true, .kind = K_int, .i = i }; }
static Result of_str(Str s) { return (Result){ .known = true, .kind = K_str, .s = s }; }

static bool put(Result *v, Result x) { *v = x; return true; }

static Str joined(Arena *a, Str x, Str y)
{
    Buf b = buf_in(a);

    buf_put(&b, x.p, x.n);
    buf_put(&b, y.p, y.n);
    return buf_str(&b);
}

static bool truth(Result v)
{
    switch (v.kind) {
    case K_undefined: case K_none: return false;
    case K_bool: case K_int: return v.i != 0;
    case K_str: return v.s.n > 0;
    case K_seq: case K_map: return v.e->n_arg > 0;
    default: return true;
    }
}

static bool equal(Result a, Result b)
{
    bool numbers = (a.kind == K_bool || a.kind == K_int) && (b.kind == K_bool || b.kind == K_int);

    if (numbers)
        return a.i == b.i;
    return a.kind == b.kind && (a.kind == K_str ? str_eq(a.s, b.s) : a.kind == K_none || a.kind == K_undefined);
}

/* Two values can be equal only if they are of one kind. */
static bool may_equal(Result a, Result b)
{
    bool a_number = a.kind == K_bool || a.kind == K_int, b_number = b.kind == K_bool || b.kind == K_int;

    return a.kind == K_any || b.kind == K_any || a.maybe || b.maybe || a.kind == b.kind || (a_number && b_number);
}

static Variable *find(Compiler *c, Str name, Str attr)
{
    for (int i = c->n_var - 1; i >= 0; i--)
        if (str_eq(c->var[i].name, name) && str_eq(c->var[i].attr, attr) && (!c->var[i].scope || c->var[i].scope >= c->macro_scope))
            return &c->var[i];
    return NULL;
}

static bool load(Compiler *c, const Variable *x, int line, Result *v)
{
    if (x->place == IN_error) {
        c->why = c->why ? c->why : x->why;
        return false;
    }
    if (x->place == IN_namespace)
        return bad(c, line, "a namespace as a value", x->name);
    *v = x->v;
    return x->place == IN_constant || emit(c, NAME_CHAT_LOAD, (uint32_t)x->slot, 1, line);
}

static bool name(Compiler *c, Str s, int line, Result *v)
{
    Variable *x = find(c, s, STR(""));

    if (x)
        return load(c, x, line, v);
    if (str_is(s, "messages"))
        return put(v, of_kind(K_list)) && emit(c, NAME_CHAT_MESSAGES, 0, 1, line);
    if (str_is(s, "add_generation_prompt"))
        return put(v, of_kind(K_bool)) && emit(c, NAME_CHAT_ANSWER, 0, 1, line);
    if (str_is(s, "bos_token"))
        return put(v, c->has_bos ? of_str(c->bos) : undefined());
    if (str_is(s, "eos_token"))
        return put(v, c->has_eos ? of_str(c->eos) : undefined());
    if (str_is(s, "raise_exception") || str_is(s, "namespace") || str_is(s, "range") || str_is(s, "dict"))
        return put(v, (Result){ .known = true, .kind = K_function, .s = s });
    return put(v, undefined());
}

/* jinja2 would raise here. */
static bool fails(Compiler *c, int line, Result *v)
{
    return put(v, of_kind(K_any)) && emit(c, NAME_CHAT_FAIL, 0, 1, line);
}

static bool loop_field(Compiler *c, Expr *e, Result *v)
{
    static const struct { const char *name; int field; Kind kind; } fields[] = {
        { "index0", NAME_CHAT_LOOP_INDEX0, K_int }, { "index", NAME_CHAT_LOOP_INDEX, K_int },
        { "first", NAME_CHAT_LOOP_FIRST, K_bool }, { "last", NAME_CHAT_LOOP_LAST, K_bool },
        { "length", NAME_CHAT_LOOP_LENGTH, K_int }, { "revindex0", NAME_CHAT_LOOP_REVINDEX0, K_int },
        { "revindex", NAME_CHAT_LOOP_REVINDEX, K_int }, { "previtem", NAME_CHAT_LOOP_BEFORE, K_message },
        { "nextitem", NAME_CHAT_LOOP_AFTER, K_message } };

    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (str_is(e->s, fields[i].name)) {
            v->kind = fields[i].kind;
            v->maybe = v->kind == K_message;
            return emit(c, NAME_CHAT_LOOP, (uint32_t)fields[i].field, 1, e->line);
        }
    return bad(c, e->line, "the field of a loop", e->s);
}

/* The element of a literal that a constant key or index names. */
static bool element(Compiler *c, Result a, Result key, Result *v, bool *found)
{
    int n = a.kind == K_map ? a.e->n_arg / 2 : a.e->n_arg;

    *found = false;
    for (int i = 0; i < n; i++) {
        Result k = of_int(i);

        if (a.kind == K_map && !value(c, a.e->arg[2 * i], &k))
            return false;
        if (!k.known)
            return bad(c, a.e->line, "a dict whose keys are not constant", STR(""));
        if (equal(k, key) || (a.kind == K_seq && key.kind == K_int && key.i == i - n)) {
            *found = true;
            return value(c, a.kind == K_map ? a.e->arg[2 * i + 1] : a.e->arg[i], v);
        }
    }
    return put(v, undefined());
}

static bool attr(Compiler *c, Expr *e, Result *v)
{
    uint32_t at = c->n_code;
    int depth = c->depth;
    bool found;
    Result a = { 0 };

    if (e->a->kind == E_name) {
        Variable *x = find(c, e->a->s, STR(""));

        if (!x && c->n_loop > c->loop_base && str_is(e->a->s, "loop"))
            return loop_field(c, e, v);
        if (x && x->place == IN_namespace) {
            x = find(c, e->a->s, e->s);
            return x ? load(c, x, e->line, v) : put(v, undefined());
        }
    }
    if (!value(c, e->a, &a))
        return false;
    if (a.known && (a.kind == K_map || a.kind == K_seq))
        return element(c, a, of_str(e->s), v, &found);
    if (a.known && a.kind == K_undefined)
        return fails(c, e->line, v);
    if (a.kind == K_message || a.kind == K_any) {
        int field = str_is(e->s, "role") ? 0 : str_is(e->s, "content") ? 1 : 2;

        if (field < 2)
            return put(v, of_kind(K_str)) && emit(c, NAME_CHAT_FIELD, (uint32_t)field, 0, e->line);
        if (a.kind == K_any)
            return put(v, of_kind(K_any)) && emit(c, NAME_CHAT_FIELD, 2, 0, e->line);
    }
    forget(c, at, depth);
    return put(v, undefined());
}

/* ---- calls, filters, tests ---------------------------------------------------------------------------------------- */

static bool count_args(Compiler *c, const Expr *e, int lo, int hi)
{
    return (e->n_arg >= lo && e->n_arg <= hi) || bad(c, e->line, "other arguments than are known of", e->s.n ? e->s : e->a->s);
}

static bool is_ascii(Str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((uint8_t)s.p[i] >= 0x80)
            return false;
    return true;
}

/* a is on the stack or constant; pushes it and the argument, both strings. */
static bool with_string(Compiler *c, Result a, uint32_t at, Expr *arg)
{
    Result b = { 0 };

    if (!value(c, arg, &b) || !push(c, b, arg->line))
        return false;
    if (b.kind != K_str && b.kind != K_any)
        return bad(c, arg->line, "an argument that is not a string", STR(""));
    return push_below(c, a, at, arg->line);
}

static bool strip(Compiler *c, Expr *e, Result a, uint32_t at, uint32_t sides, Result *v)
{
    Result chars = { 0 };

    *v = of_kind(K_str);
    if (!e->n_arg)
        return push(c, a, e->line) && emit(c, NAME_CHAT_STRIP, sides | 4, 0, e->line);
    if (!count_args(c, e, 1, 1) || !value(c, e->arg[0], &chars))
        return false;
    if (!chars.known || chars.kind != K_str || !is_ascii(chars.s))
        return bad(c, e->line, "characters to strip that are not a constant string of ASCII", STR(""));
    return push(c, chars, e->line) && push_below(c, a, at, e->line) && emit(c, NAME_CHAT_STRIP, sides, -1, e->line);
}

/* Functions of strings that are known as methods and as filters.  *known false: s is none of them. */
static bool string_function(Compiler *c, Expr *e, Str s, Result a, uint32_t at, Result *v, bool *known)
{
    *known = true;
    if (str_is(s, "strip") || str_is(s, "trim"))
        return strip(c, e, a, at, 3, v);
    if (str_is(s, "lstrip") || str_is(s, "rstrip"))
        return strip(c, e, a, at, s.p[0] == 'l' ? 1 : 2, v);
    if (str_is(s, "startswith") || str_is(s, "endswith")) {
        if (!count_args(c, e, 1, 1) || !with_string(c, a, at, e->arg[0]))
            return false;
        return put(v, of_kind(K_bool)) && emit(c, s.p[0] == 's' ? NAME_CHAT_BEGINS : NAME_CHAT_ENDS, 0, -1, e->line);
    }
    if (str_is(s, "replace")) {
        Result b = { 0 };

        if (!count_args(c, e, 2, 2) || !with_string(c, a, at, e->arg[0]) || !value(c, e->arg[1], &b) || !push(c, b, e->line))
            return false;
        return put(v, of_kind(K_str)) && emit(c, NAME_CHAT_REPLACE, 0, -2, e->line);
    }
    if (a.known && a.kind == K_str && is_ascii(a.s) && (str_is(s, "upper") || str_is(s, "lower"))) {
        char *p = str_z(c->a, a.s);

        for (size_t i = 0; i < a.s.n; i++)
            if (s.p[0] == 'u' ? p[i] >= 'a' && p[i] <= 'z' : p[i] >= 'A' && p[i] <= 'Z')
                p[i] ^= 0x20;
        return put(v, of_str((Str){ p, a.s.n }));
    }
    if (str_is(s, "upper") || str_is(s, "lower"))
        return put(v, of_kind(K_str)) && push(c, a, e->line) && emit(c, NAME_CHAT_CASE, s.p[0] == 'u', 0, e->line);
    *known = false;
    return true;
}

static const Stmt *find_macro(const Stmt *s, Str name)
{
    const Stmt *found = NULL, *m;

    for (; s; s = s->next)
        if (s->kind == S_macro && str_eq(s->s, name))
            found = s;
        else if ((m = find_macro(s->body, name)) != NULL || (m = find_macro(s->other, name)) != NULL)
            found = m;
    return found;
}

/* The macro that an expression calls, NULL: it does not. */
static const Stmt *macro_of(Compiler *c, const Expr *e)
{
    return e->kind == E_call && e->a->kind == E_name && !find(c, e->a->s, STR("")) ? find_macro(c->all, e->a->s) : NULL;
}

/* What a scope had, to go back to. */
typedef struct { int scope, macro_scope, loop_base, n_var, n_slot; } Scope;

static Scope enter(Compiler *c)
{
    Scope was = { c->scope, c->macro_scope, c->loop_base, c->n_var, c->n_slot };

    c->scope++;
    return was;
}

static void leave(Compiler *c, Scope was)
{
    c->scope = was.scope;
    c->macro_scope = was.macro_scope;
    c->loop_base = was.loop_base;
    c->n_var = was.n_var;
    c->n_slot = was.n_slot;
}

static bool store(Compiler *c, Variable *x, Result v, int line);
static Variable *new_variable(Compiler *c, Str s, Str field, int line);

/* A macro's body, in place of a call that writes what it gives.  Arguments are computed once. */
static bool expand(Compiler *c, const Stmt *m, const Expr *call)
{
    Result args[16];
    int n = m->e->n_arg;
    bool ok = true;

    if (++c->n_expanded > MAX_EXPANDED || n > 16 || call->n_arg > n)
        return bad(c, call->line, "too many arguments, or too many calls, of the macro", m->s);
    Scope was = enter(c);
    int first = c->n_var;
    for (int i = 0; i < n && ok; i++) {
        Expr *given = m->e->arg[i];
        Variable *x;

        for (int j = 0; j < call->n_arg; j++)
            if (call->arg_name[j].n ? str_eq(call->arg_name[j], m->e->arg_name[i]) : j == i)
                given = call->arg[j];
        args[i] = undefined();
        ok = !given || value(c, given, &args[i]);
        if (!ok)
            break;
        /* It is not seen while the other arguments are computed. */
        if (!(x = new_variable(c, STR(""), STR(""), call->line)))
            return false;
        x->v = args[i];
        ok = args[i].known || store(c, x, args[i], call->line);
    }
    for (int i = 0; i < n && ok; i++)
        c->var[first + i].name = m->e->arg_name[i];
    c->macro_scope = c->scope;
    c->loop_base = c->n_loop;
    ok = ok && body(c, m->body);
    leave(c, was);
    return ok;
}

/* What is written between the two is a string. */
static bool begin_capture(Compiler *c, int line)
{
    if (c->n_capture++ == NAME_CHAT_MAX_CAPTURES)
        return bad(c, line, "calls of macros that are too deep", STR(""));
    return emit(c, NAME_CHAT_CAPTURE, 0, 0, line);
}

static bool end_capture(Compiler *c, Result *v, int line)
{
    c->n_capture--;
    return put(v, of_kind(K_str)) && emit(c, NAME_CHAT_CAPTURED, 0, 1, line);
}

static bool call(Compiler *c, Expr *e, Result *v)
{
    uint32_t at = c->n_code;
    Result a = { 0 };
    bool known;

    if (e->a->kind == E_attr) {
        Expr *m = e->a;

        if (!value(c, m->a, &a))
            return false;
        if (a.kind == K_message && str_is(m->s, "get") && e->n_arg >= 1 && e->arg[0]->kind == E_str) {
            Expr as_attr = { .kind = E_attr, .line = e->line, .a = m->a, .s = e->arg[0]->s };

            forget(c, at, c->depth - 1);
            if (str_is(as_attr.s, "role") || str_is(as_attr.s, "content"))
                return attr(c, &as_attr, v);
            return e->n_arg > 1 ? value(c, e->arg[1], v) : put(v, (Result){ .known = true, .kind = K_none });
        }
        if (a.kind == K_str || a.kind == K_any) {
            e->s = m->s;
            if (!string_function(c, e, m->s, a, at, v, &known))
                return false;
            if (known)
                return true;
        }
        if (a.known && a.kind == K_undefined)
            return fails(c, e->line, v);
        return bad(c, e->line, "the method", m->s);
    }
    if (e->a->kind == E_name && !find(c, e->a->s, STR(""))) {
        if (str_is(e->a->s, "raise_exception"))
            return fails(c, e->line, v);
        if (macro_of(c, e))
            return begin_capture(c, e->line) && expand(c, macro_of(c, e), e) && end_capture(c, v, e->line);
        if (!value(c, e->a, &a))
            return false;
        if (a.kind == K_undefined)
            return fails(c, e->line, v);
    }
    return bad(c, e->line, "a call of", e->a->s);
}

/* s.split(separator)[i] */
static bool split(Compiler *c, Expr *e, Result *v, bool *known)
{
    Expr *m = e->a->a;
    uint32_t at = c->n_code;
    Result a = { 0 }, i = { 0 };

    *known = e->a->kind == E_call && m->kind == E_attr && str_is(m->s, "split");
    if (!*known)
        return true;
    e->a->s = m->s;
    if (!count_args(c, e->a, 1, 2) || !value(c, m->a, &a) || !with_string(c, a, at, e->a->arg[0]))
        return false;
    if (e->a->n_arg == 2 && (e->a->arg[1]->kind != E_int || e->a->arg[1]->i != 1))
        return bad(c, e->line, "split() with another limit than 1", STR(""));
    at = c->n_code;
    if (!value(c, e->b, &i))
        return false;
    if (!i.known || i.kind != K_int || i.i < -1 || i.i > 1)
        return bad(c, e->line, "another part of split(...) than [0], [1] or [-1]", STR(""));
    bool once = e->a->n_arg == 2;
    uint32_t which = i.i == 0 ? NAME_CHAT_SPLIT_FIRST : i.i == 1 ? once ? NAME_CHAT_SPLIT_REST : NAME_CHAT_SPLIT_SECOND
                   : once ? NAME_CHAT_SPLIT_TAIL : NAME_CHAT_SPLIT_LAST;
    return put(v, of_kind(i.i == 1 ? K_any : K_str)) && emit(c, NAME_CHAT_SPLIT, which, -1, e->line);
}

static bool is_plain(Result v) { return v.kind != K_any && !v.maybe; }

static bool filter(Compiler *c, Expr *e, Result *v)
{
    uint32_t at = c->n_code, end;
    int depth = c->depth;
    Result a = { 0 }, b = { 0 };
    bool known;

    if (!value(c, e->a, &a))
        return false;
    if (str_is(e->s, "default") || str_is(e->s, "d")) {
        Result falsy = of_bool(false);

        if (!count_args(c, e, 0, 2) || (e->n_arg == 2 && !value(c, e->arg[1], &falsy)) || !falsy.known)
            return falsy.known ? false : bad(c, e->line, "a default that depends on the conversation", STR(""));
        if (a.known && (truth(falsy) ? !truth(a) : a.kind == K_undefined))
            return e->n_arg ? value(c, e->arg[0], v) : put(v, of_str(STR("")));
        if (a.known || (is_plain(a) && !truth(falsy)))
            return put(v, a);
        if (!jump(c, truth(falsy) ? NAME_CHAT_OR : NAME_CHAT_DEFAULT, -1, e->line, &end))
            return false;
        b = of_str(STR(""));
        if ((e->n_arg && !value(c, e->arg[0], &b)) || !push(c, b, e->line))
            return false;
        land(c, end);
        return put(v, of_kind(a.kind == b.kind ? a.kind : K_any));
    }
    if (a.known && a.kind == K_undefined && (str_is(e->s, "length") || str_is(e->s, "count")))
        return put(v, of_int(0));
    if (str_is(e->s, "length") || str_is(e->s, "count")) {
        if (a.known && (a.kind == K_seq || a.kind == K_map))
            return put(v, of_int(a.kind == K_seq ? a.e->n_arg : a.e->n_arg / 2));
        return put(v, of_kind(K_int)) && push(c, a, e->line) && emit(c, NAME_CHAT_LENGTH, 0, 0, e->line);
    }
    if (a.kind == K_str && (str_is(e->s, "string") || str_is(e->s, "safe")))
        return put(v, a);
    if (str_is(e->s, "string") && (a.kind == K_int || a.kind == K_bool || a.kind == K_any))
        return push(c, a, e->line) && push(c, of_str(STR("")), e->line) && put(v, of_kind(K_str)) &&
               emit(c, NAME_CHAT_CAT, 0, -1, e->line);
    if (a.kind == K_list && str_is(e->s, "list"))
        return put(v, a);
    if (a.kind == K_list && (str_is(e->s, "first") || str_is(e->s, "last"))) {
        v->kind = K_message;
        v->maybe = true;
        return push(c, of_int(e->s.p[0] == 'f' ? 0 : -1), e->line) && emit(c, NAME_CHAT_INDEX, 0, -1, e->line);
    }
    if (a.known && a.kind == K_undefined && str_is(e->s, "trim"))
        return put(v, of_str(STR("")));
    if (a.kind == K_any && str_is(e->s, "trim")) {          /* of what str() gives */
        if (!push(c, of_str(STR("")), e->line) || !emit(c, NAME_CHAT_CAT, 0, -1, e->line))
            return false;
        a = of_kind(K_str);
    }
    if (a.kind == K_str || a.kind == K_any) {
        if (!string_function(c, e, e->s, a, at, v, &known))
            return false;
        if (known)
            return true;
    }
    forget(c, at, depth);
    return bad(c, e->line, "the filter", e->s);
}

static bool test(Compiler *c, Expr *e, Result *v)
{
    enum { U = 1 << NAME_CHAT_IS_UNDEFINED, N = 1 << NAME_CHAT_IS_NONE, B = 1 << NAME_CHAT_IS_BOOL, I = 1 << NAME_CHAT_IS_INT,
           S = 1 << NAME_CHAT_IS_STR, M = 1 << NAME_CHAT_IS_MESSAGE, L = 1 << NAME_CHAT_IS_LIST };
    static const struct { const char *name; unsigned kinds; } tests[] = {
        { "defined", N | B | I | S | M | L }, { "undefined", U }, { "none", N }, { "string", S }, { "mapping", M },
        { "iterable", U | S | M | L }, { "sequence", U | S | M | L }, { "boolean", B }, { "integer", I }, { "number", B | I } };
    uint32_t at = c->n_code;
    int depth = c->depth;
    Result a = { 0 };

    if (e->n_arg == 1 && (str_is(e->s, "equalto") || str_is(e->s, "eq") || str_is(e->s, "ne") || str_is(e->s, "in"))) {
        Expr *as = ARENA_NEW(c->a, Expr);

        *as = (Expr){ .kind = str_is(e->s, "ne") ? E_ne : str_is(e->s, "in") ? E_in : E_eq, .line = e->line, .a = e->a, .b = e->arg[0] };
        return value(c, as, v);
    }
    if (e->n_arg)
        return bad(c, e->line, "the test", e->s);
    if (e->a->kind == E_name && str_is(e->s, "defined")) {              /* also of what has no value here */
        Variable *x = find(c, e->a->s, STR(""));

        if (x && (x->place == IN_error || x->place == IN_namespace))
            return put(v, of_bool(true));
    }
    if (!value(c, e->a, &a))
        return false;
    if (str_is(e->s, "true") || str_is(e->s, "false")) {
        if (a.known || (is_plain(a) && a.kind != K_bool)) {
            forget(c, at, depth);
            return put(v, of_bool(a.known && a.kind == K_bool && a.i == str_is(e->s, "true")));
        }
        return put(v, of_kind(K_bool)) &&
               emit(c, NAME_CHAT_IS, 1u << (str_is(e->s, "true") ? NAME_CHAT_IS_TRUE : NAME_CHAT_IS_FALSE), 0, e->line);
    }
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        static const unsigned bit[] = { [K_undefined] = U, [K_none] = N, [K_bool] = B, [K_int] = I, [K_str] = S, [K_message] = M,
                                        [K_list] = L, [K_seq] = L, [K_map] = M, [K_function] = 1u << 30 };

        if (!str_is(e->s, tests[i].name))
            continue;
        if (is_plain(a)) {
            forget(c, at, depth);
            return put(v, of_bool(a.kind == K_function ? str_is(e->s, "defined") : (tests[i].kinds & bit[a.kind]) != 0));
        }
        return put(v, of_kind(K_bool)) && emit(c, NAME_CHAT_IS, tests[i].kinds, 0, e->line);
    }
    return bad(c, e->line, "the test", e->s);
}

/* ---- operators ---------------------------------------------------------------------------------------------------- */

/* An expression of which only its truth matters: known, or a value on the stack. */
static bool condition(Compiler *c, Expr *e, Result *v)
{
    uint32_t at = c->n_code, end;
    int depth = c->depth;
    Result a = { 0 }, b = { 0 };

    if (e->kind == E_not) {
        if (!condition(c, e->a, &a))
            return false;
        if (a.known)
            return put(v, of_bool(!truth(a)));
        return put(v, of_kind(K_bool)) && emit(c, NAME_CHAT_NOT, 0, 0, e->line);
    }
    if (e->kind == E_and || e->kind == E_or) {
        bool decides = e->kind == E_or;                     /* the truth that makes the other one irrelevant */
        const char *why = c->why, *why_a;
        bool ok = condition(c, e->a, &a);

        if (ok && a.known)
            return truth(a) == decides ? put(v, of_bool(decides)) : condition(c, e->b, v);
        why_a = c->why;
        c->why = why;
        if (!ok)
            forget(c, at, depth);
        uint32_t after = c->n_code;
        int depth_after = c->depth;
        if (ok && !jump(c, decides ? NAME_CHAT_OR : NAME_CHAT_AND, -1, e->line, &end))
            return false;
        if (!condition(c, e->b, &b)) {
            c->why = ok ? c->why : why_a;
            return false;
        }
        if (b.known && truth(b) == decides) {               /* whatever a says, even where it is not understood */
            forget(c, at, depth);
            return put(v, of_bool(decides));
        }
        if (!ok) {
            c->why = why_a;
            return false;
        }
        if (b.known) {
            forget(c, after, depth_after);
            return put(v, a);
        }
        land(c, end);
        return put(v, of_kind(K_any));
    }
    return value(c, e, v);
}

/* `and` and `or` give one of their operands. */
static bool logic(Compiler *c, Expr *e, Result *v)
{
    bool is_or = e->kind == E_or;
    Result a = { 0 }, b = { 0 };
    uint32_t end;

    if (!value(c, e->a, &a))
        return false;
    if (a.known)
        return truth(a) == is_or ? put(v, a) : value(c, e->b, v);
    if (!jump(c, is_or ? NAME_CHAT_OR : NAME_CHAT_AND, -1, e->line, &end) || !value(c, e->b, &b) || !push(c, b, e->line))
        return false;
    land(c, end);
    return put(v, of_kind(a.kind == b.kind && !a.maybe && !b.maybe ? a.kind : K_any));
}

static bool choose(Compiler *c, Expr *e, Result *v)
{
    Result a = { 0 }, b = { 0 }, d = undefined();
    uint32_t no, end;

    if (!condition(c, e->b, &a))
        return false;
    if (a.known)
        return truth(a) ? value(c, e->a, v) : e->c ? value(c, e->c, v) : put(v, undefined());
    if (!jump(c, NAME_CHAT_UNLESS, -1, e->line, &no) || !value(c, e->a, &b) || !push(c, b, e->line) ||
        !jump(c, NAME_CHAT_JUMP, -1, e->line, &end))
        return false;
    land(c, no);
    if ((e->c && !value(c, e->c, &d)) || !push(c, d, e->line))
        return false;
    land(c, end);
    return put(v, of_kind(b.kind == d.kind && !b.maybe && !d.maybe ? b.kind : K_any));
}

static bool among(Compiler *c, Expr *e, Result a, Result list, uint32_t at, Result *v)
{
    int step = list.kind == K_map ? 2 : 1, n = 0;
    bool all = a.known;

    for (int i = 0; i < list.e->n_arg; i += step, n++) {
        Result x = { 0 };

        if (!value(c, list.e->arg[i], &x))
            return false;
        if (!x.known)
            return bad(c, e->line, "a list that depends on the conversation", STR(""));
        if (all && equal(a, x))
            return put(v, of_bool(true));
        if (!all && !push(c, x, e->line))
            return false;
    }
    if (all)
        return put(v, of_bool(false));
    (void)at;
    return put(v, of_kind(K_bool)) && emit(c, NAME_CHAT_AMONG, (uint32_t)n, -n, e->line);
}

static bool contains(Compiler *c, Expr *e, Result *v)
{
    uint32_t at = c->n_code, at_b;
    int depth = c->depth;
    Result a = { 0 }, b = { 0 };

    if (!value(c, e->a, &a))
        return false;
    at_b = c->n_code;
    if (!value(c, e->b, &b))
        return false;
    if (b.known && b.kind == K_undefined) {
        forget(c, at, depth);
        return put(v, of_bool(false));
    }
    if (b.known && (b.kind == K_seq || b.kind == K_map))
        return among(c, e, a, b, at, v);
    if (b.kind == K_message && a.known && a.kind == K_str) {
        bool has = str_is(a.s, "role") || str_is(a.s, "content");

        if (has && b.maybe)
            return put(v, of_kind(K_bool)) && emit(c, NAME_CHAT_IS, 1 << NAME_CHAT_IS_MESSAGE, 0, e->line);
        forget(c, at, depth);
        return put(v, of_bool(has));
    }
    if ((b.kind != K_str && b.kind != K_any) || (a.kind != K_str && a.kind != K_any))
        return bad(c, e->line, "`in` of something that is neither a string nor a constant list", STR(""));
    return push(c, b, e->line) && push_below(c, a, a.known ? at : at_b, e->line) && put(v, of_kind(K_bool)) &&
           emit(c, NAME_CHAT_IN, 0, -1, e->line);
}

static Result constant(Compiler *c, Expr *e, Result a, Result b, bool *ok)
{
    bool ints = a.kind == K_int && b.kind == K_int, strs = a.kind == K_str && b.kind == K_str;
    bool divides = e->kind == E_div || e->kind == E_mod;
    int64_t q;

    *ok = true;
    if (e->kind == E_eq || e->kind == E_ne)
        return of_bool(equal(a, b) == (e->kind == E_eq));
    if (strs && (e->kind == E_add || e->kind == E_cat))
        return of_str(joined(c->a, a.s, b.s));
    if (ints && !(divides && !b.i)) {
        q = divides ? a.i / b.i - (a.i % b.i != 0 && (a.i < 0) != (b.i < 0)) : 0;
        switch (e->kind) {
        case E_add: return of_int(a.i + b.i);
        case E_sub: return of_int(a.i - b.i);
        case E_mul: return of_int(a.i < INT32_MAX && b.i < INT32_MAX && a.i > -INT32_MAX && b.i > -INT32_MAX ? a.i * b.i : INT64_MAX);
        case E_div: return of_int(q);
        case E_mod: return of_int(a.i - q * b.i);
        case E_lt:  return of_bool(a.i < b.i);
        case E_le:  return of_bool(a.i <= b.i);
        case E_gt:  return of_bool(a.i > b.i);
        case E_ge:  return of_bool(a.i >= b.i);
        default:    break;
        }
    }
    *ok = false;
    return undefined();
}

static bool binary(Compiler *c, Expr *e, Result *v)
{
    static const struct { ExprKind e; int op; Kind kind; bool no, swap; } ops[] = {
        { E_add, NAME_CHAT_ADD, K_any, 0, 0 }, { E_sub, NAME_CHAT_SUB, K_int, 0, 0 }, { E_mul, NAME_CHAT_MUL, K_int, 0, 0 },
        { E_div, NAME_CHAT_DIV, K_int, 0, 0 }, { E_mod, NAME_CHAT_MOD, K_int, 0, 0 }, { E_cat, NAME_CHAT_CAT, K_str, 0, 0 },
        { E_eq, NAME_CHAT_EQ, K_bool, 0, 0 }, { E_ne, NAME_CHAT_EQ, K_bool, 1, 0 }, { E_lt, NAME_CHAT_LT, K_bool, 0, 0 },
        { E_le, NAME_CHAT_LE, K_bool, 0, 0 }, { E_gt, NAME_CHAT_LE, K_bool, 1, 0 }, { E_ge, NAME_CHAT_LT, K_bool, 1, 0 } };
    uint32_t at = c->n_code, at_b;
    int depth = c->depth, i = 0;
    Result a = { 0 }, b = { 0 };
    bool ok;

    if (!value(c, e->a, &a))
        return false;
    at_b = a.known ? at : c->n_code;
    if (!value(c, e->b, &b))
        return false;
    if (a.known && b.known) {
        *v = constant(c, e, a, b, &ok);
        if (ok)
            return true;
    }
    if ((e->kind == E_eq || e->kind == E_ne) && !may_equal(a, b)) {
        forget(c, at, depth);
        return put(v, of_bool(e->kind == E_ne));
    }
    while (ops[i].e != e->kind)
        i++;
    if (!push(c, b, e->line) || !push_below(c, a, at_b, e->line) || !emit(c, ops[i].op, 0, -1, e->line) ||
        (ops[i].no && !emit(c, NAME_CHAT_NOT, 0, 0, e->line)))
        return false;
    /* + of a string and anything else than a string fails. */
    Kind sum = a.kind == K_str || b.kind == K_str ? K_str : a.kind == K_int && b.kind == K_int ? K_int : K_any;
    return put(v, of_kind(e->kind == E_add ? sum : ops[i].kind));
}

static bool index_of(Compiler *c, Expr *e, Result *v)
{
    uint32_t at = c->n_code;
    Result a = { 0 }, i = { 0 };
    bool known;

    if (!split(c, e, v, &known) || known)
        return !c->why;
    if (!value(c, e->a, &a))
        return false;
    if (a.known && a.kind == K_undefined)
        return fails(c, e->line, v);
    if (!a.known)
        at = c->n_code;
    if (!value(c, e->b, &i))
        return false;
    if (a.known && (a.kind == K_seq || a.kind == K_map)) {
        if (!i.known)
            return bad(c, e->line, "an index that depends on the conversation into a constant", STR(""));
        return element(c, a, i, v, &known);
    }
    if ((a.kind != K_list && a.kind != K_any) || (i.kind != K_int && i.kind != K_any))
        return bad(c, e->line, "an index into something that is not a list of messages", STR(""));
    v->kind = K_message;
    v->maybe = true;
    return push(c, i, e->line) && push_below(c, a, at, e->line) && emit(c, NAME_CHAT_INDEX, 0, -1, e->line);
}

/* A bound of a slice. */
static bool bound(Compiler *c, Expr *e, int line)
{
    Result v = { .known = true, .kind = K_none };

    if (e && !value(c, e, &v))
        return false;
    return push(c, v, line);
}

static bool slice(Compiler *c, Expr *e, Result *v)
{
    Result a = { 0 }, step = of_int(1);

    if (!value(c, e->a, &a) || (e->d && !value(c, e->d, &step)))
        return false;
    if (a.kind != K_list && a.kind != K_any)
        return bad(c, e->line, "a slice of something that is not a list of messages", STR(""));
    if (!step.known || step.kind != K_int || (step.i != 1 && step.i != -1) || (step.i == -1 && (e->b || e->c)))
        return bad(c, e->line, "a slice with a step", STR(""));
    return push(c, a, e->line) && bound(c, e->b, e->line) && bound(c, e->c, e->line) && put(v, of_kind(K_list)) &&
           emit(c, NAME_CHAT_SLICE, step.i < 0, -2, e->line);
}

static bool value_in(Compiler *c, Expr *e, Result *v)
{
    Result a = { 0 };

    switch (e->kind) {
    case E_str:    return put(v, of_str(e->s));
    case E_int:    return put(v, of_int(e->i));
    case E_bool:   return put(v, of_bool(e->i));
    case E_none:   return put(v, (Result){ .known = true, .kind = K_none });
    case E_list:   return put(v, (Result){ .known = true, .kind = K_seq, .e = e });
    case E_dict:   return put(v, (Result){ .known = true, .kind = K_map, .e = e });
    case E_name:   return name(c, e->s, e->line, v);
    case E_attr:   return attr(c, e, v);
    case E_index:  return index_of(c, e, v);
    case E_slice:  return slice(c, e, v);
    case E_call:   return call(c, e, v);
    case E_filter: return filter(c, e, v);
    case E_test:   return test(c, e, v);
    case E_not:    return condition(c, e, v);
    case E_and: case E_or: return logic(c, e, v);
    case E_choose: return choose(c, e, v);
    case E_in:     return contains(c, e, v);
    case E_neg:
        if (!value(c, e->a, &a))
            return false;
        if (a.known && a.kind == K_int)
            return put(v, of_int(-a.i));
        return push(c, a, e->line) && put(v, of_kind(K_int)) && emit(c, NAME_CHAT_NEG, 0, 0, e->line);
    default:       return binary(c, e, v);
    }
}

static bool value(Compiler *c, Expr *e, Result *v)
{
    bool ok;

    *v = (Result){ 0 };
    if (++c->nesting > MAX_NESTING)
        return bad(c, e->line, "an expression that is too deep", STR(""));
    ok = value_in(c, e, v) && !c->why;
    c->nesting--;
    return ok;
}

/* ---- statements --------------------------------------------------------------------------------------------------- */

static bool write_text(Compiler *c, Str s, int line)
{
    if (!s.n)
        return true;
    if (c->n_code > c->label && (c->code[c->n_code - 1] & 255) == NAME_CHAT_WRITE) {
        s = joined(c->a, c->text[c->code[c->n_code - 1] >> 8], s);
        c->n_code--;
    }
    return emit(c, NAME_CHAT_WRITE, text_of(c, s), 0, line);
}

static bool write_value(Compiler *c, Expr *e, bool string);

/* Writes an expression.  Sums of strings are written one after another; false without a reason: it is not known to be one. */
static bool write_value_in(Compiler *c, Expr *e, bool string)
{
    const Stmt *macro = macro_of(c, e);
    Result v = { 0 };

    if (e->kind == E_add) {
        uint32_t n_code = c->n_code, label = c->label, word = n_code ? c->code[n_code - 1] : 0;
        int depth = c->depth, n_capture = c->n_capture, nesting = c->nesting;
        Scope was = { c->scope, c->macro_scope, c->loop_base, c->n_var, c->n_slot };

        if (write_value(c, e->a, true) && write_value(c, e->b, true))
            return true;
        forget(c, n_code, depth);
        leave(c, was);
        if (n_code)
            c->code[n_code - 1] = word;                     /* a text that was appended to */
        c->label = label;
        c->n_capture = n_capture;
        c->nesting = nesting;
        c->why = NULL;
    }
    if (macro)
        return expand(c, macro, e);
    if (e->kind == E_filter && str_is(e->s, "tojson")) {
        if (!value(c, e->a, &v))
            return false;
        if (e->n_arg || v.maybe || v.kind == K_message || v.kind == K_list || v.kind == K_seq || v.kind == K_map)
            return bad(c, e->line, "the filter tojson of something that is not a string", STR(""));
        return push(c, v, e->line) && emit(c, NAME_CHAT_JSON, 0, -1, e->line);
    }
    if (!value(c, e, &v) || (string && v.kind != K_str))
        return false;
    if (v.known && v.kind == K_str)
        return write_text(c, v.s, e->line);
    if (v.known && v.kind == K_undefined)
        return true;
    if (v.kind == K_message || v.kind == K_list || v.kind == K_seq)
        return bad(c, e->line, "a message or a list as text", STR(""));
    return push(c, v, e->line) && emit(c, NAME_CHAT_OUT, 0, -1, e->line);
}

static bool write_value(Compiler *c, Expr *e, bool string)
{
    bool ok;

    if (++c->nesting > MAX_NESTING)
        return bad(c, e->line, "an expression that is too deep", STR(""));
    ok = write_value_in(c, e, string);
    c->nesting--;
    return ok;
}

static Variable *new_variable(Compiler *c, Str s, Str field, int line)
{
    if (c->n_var == MAX_VARIABLES)
        return bad(c, line, "too many variables", STR("")), NULL;
    Variable *x = &c->var[c->n_var++];
    *x = (Variable){ .name = s, .attr = field, .scope = c->scope };
    return x;
}

/* The variable of this scope, made if there is none. */
static Variable *here(Compiler *c, Str s, Str field, int line)
{
    Variable *x = find(c, s, field);

    return x && x->scope == c->scope ? x : new_variable(c, s, field, line);
}

/* What is on the stack or constant goes into the variable's slot. */
static bool store(Compiler *c, Variable *x, Result v, int line)
{
    if (!push(c, v, line))
        return false;
    if (x->place != IN_slot) {
        if (c->n_slot == NAME_CHAT_MAX_SLOTS)
            return bad(c, line, "too many variables", STR(""));
        x->place = IN_slot;
        x->slot = c->n_slot++;
    }
    return emit(c, NAME_CHAT_STORE, (uint32_t)x->slot, -1, line);
}

/* Fields of a namespace that are set somewhere in s. */
static bool add_fields(Compiler *c, Stmt *s, Str ns)
{
    for (; s; s = s->next) {
        if (s->kind == S_set && s->attr.n && str_eq(s->s, ns) && !find(c, ns, s->attr)) {
            Variable *x = new_variable(c, ns, s->attr, s->line);

            if (!x || !store(c, x, undefined(), s->line))
                return false;
            x->v = of_kind(K_any);
        }
        if (!add_fields(c, s->body, ns) || !add_fields(c, s->other, ns))
            return false;
    }
    return true;
}

/* A variable that can not be compiled: an error where it is used. */
static void give_up_on(Compiler *c, Variable *x)
{
    x->place = IN_error;
    x->why = c->why;
    c->why = NULL;
}

static bool set_field(Compiler *c, Variable *x, Expr *e)
{
    uint32_t at = c->n_code;
    int depth = c->depth;
    Result v = { 0 };

    if (x->place == IN_error)
        return true;
    if (!value(c, e, &v) || !can_push(c, v, e->line)) {
        forget(c, at, depth);
        give_up_on(c, x);
        return true;
    }
    x->v = of_kind(K_any);
    return store(c, x, v, e->line);
}

static bool set_namespace(Compiler *c, Stmt *s)
{
    Variable *x = here(c, s->s, STR(""), s->line);

    if (!x)
        return false;
    x->place = IN_namespace;
    for (int i = 0; i < s->e->n_arg; i++) {
        if (!s->e->arg_name[i].n)
            return bad(c, s->line, "namespace() of something without a name", STR(""));
        if (!(x = here(c, s->s, s->e->arg_name[i], s->line)) || !set_field(c, x, s->e->arg[i]))
            return false;
    }
    return add_fields(c, c->all, s->s);
}

static bool in_doubt(const Variable *x) { return x->place == IN_slot && x->v.kind == K_any; }

/* A variable of this scope becomes what is on the stack or constant. */
static bool set_to(Compiler *c, Variable *x, Result v, int line)
{
    if (in_doubt(x))
        return store(c, x, v, line);
    x->v = v;
    if (v.known)
        x->place = IN_constant;
    return v.known || store(c, x, v, line);
}

static bool set(Compiler *c, Stmt *s)
{
    uint32_t at = c->n_code;
    int depth = c->depth;
    Variable *x;
    Result v = { 0 };

    if (s->e->kind == E_call && s->e->a->kind == E_name && str_is(s->e->a->s, "namespace") && !s->attr.n)
        return set_namespace(c, s);
    if (s->attr.n) {
        x = find(c, s->s, STR(""));
        if (!x || x->place != IN_namespace)
            return bad(c, s->line, "a field that is set of something else than a namespace:", s->s);
        return set_field(c, find(c, s->s, s->attr), s->e);
    }
    if (!value(c, s->e, &v)) {
        forget(c, at, depth);
        if (!(x = here(c, s->s, STR(""), s->line)))
            return false;
        give_up_on(c, x);
        return true;
    }
    if (!(x = here(c, s->s, STR(""), s->line)) || x->place == IN_error)
        return x != NULL && (forget(c, at, depth), true);
    return set_to(c, x, v, s->line);
}

/* Variables that are set in s, which may or may not be executed, move into slots. */
static bool doubt(Compiler *c, Stmt *s)
{
    for (; s; s = s->next) {
        if ((s->kind == S_set || s->kind == S_set_block) && !s->attr.n) {
            Variable *x = find(c, s->s, STR(""));
            bool is_namespace = s->kind == S_set && s->e->kind == E_call && s->e->a->kind == E_name && str_is(s->e->a->s, "namespace");

            if (x && x->place == IN_error && x->scope != c->scope) {
                const char *why = x->why;

                if (!(x = here(c, s->s, STR(""), s->line)))
                    return false;
                x->place = IN_error;
                x->why = why;
            }
            if (is_namespace && !x) {                       /* its fields are undefined if it is not made */
                if (!(x = here(c, s->s, STR(""), s->line)))
                    return false;
                x->place = IN_namespace;
                for (int i = 0; i < s->e->n_arg; i++) {
                    if (!(x = here(c, s->s, s->e->arg_name[i], s->line)) || !store(c, x, undefined(), s->line))
                        return false;
                    x->v = of_kind(K_any);
                }
                if (!add_fields(c, c->all, s->s))
                    return false;
                continue;
            }
            if (x && x->place == IN_namespace && is_namespace && x->scope == c->scope)
                continue;
            if (is_namespace || (x && x->place == IN_namespace))
                return bad(c, s->line, "a namespace that is made under a condition:", s->s);
            if (!x || (x->place != IN_error && !(x->scope == c->scope && in_doubt(x)))) {
                Result v = { 0 };

                if (!name(c, s->s, s->line, &v))
                    return false;
                if ((v.kind == K_seq && v.e->n_arg) || v.kind == K_map || v.kind == K_function) {      /* only what is inside could use it */
                    if (!(x = here(c, s->s, STR(""), s->line)))
                        return false;
                    x->place = IN_error;
                    x->why = str_printf(c->a, "line %d: a variable that may be a constant list or dict: %s", s->line,
                                        str_show(c->a, s->s, 60));
                    continue;
                }
                if (!(x = here(c, s->s, STR(""), s->line)) || !store(c, x, v, s->line))
                    return false;
                x->v = of_kind(K_any);
            }
        }
        if (s->kind == S_if && (!doubt(c, s->body) || !doubt(c, s->other)))
            return false;
    }
    return true;
}

static bool if_else(Compiler *c, Stmt *s)
{
    Result v = { 0 };
    uint32_t no, end = 0;

    if (!condition(c, s->e, &v))
        return false;
    if (v.known)
        return body(c, truth(v) ? s->body : s->other);
    if (!doubt(c, s->body) || !doubt(c, s->other) || !jump(c, NAME_CHAT_UNLESS, -1, s->line, &no) || !body(c, s->body) ||
        (s->other && !jump(c, NAME_CHAT_JUMP, 0, s->line, &end)))
        return false;
    land(c, no);
    if (s->other) {
        if (!body(c, s->other))
            return false;
        land(c, end);
    }
    return true;
}

static bool for_each(Compiler *c, Stmt *s)
{
    uint32_t begin, end;
    Result v = { 0 };
    Variable *x;

    if (!value(c, s->e, &v))
        return false;
    if (v.known && (v.kind == K_undefined || (v.kind == K_seq && !v.e->n_arg)))
        return body(c, s->other);
    if (v.kind != K_list && v.kind != K_any)
        return bad(c, s->line, "a loop over something that is not a list of messages:", s->s);
    if (s->filter || s->attr.n)
        return bad(c, s->line, s->filter ? "a loop with a condition:" : "a loop with two variables:", s->s);
    if (c->n_loop == NAME_CHAT_MAX_LOOPS || c->n_slot == NAME_CHAT_MAX_SLOTS)
        return bad(c, s->line, "loops too deep", STR(""));
    Scope was = enter(c);
    c->n_loop++;
    c->last_break[c->n_loop] = c->last_continue[c->n_loop] = 0;
    c->loop_capture[c->n_loop] = c->n_capture;
    if (!(x = new_variable(c, s->s, STR(""), s->line)))
        return false;
    x->place = IN_slot;
    x->v = of_kind(K_message);
    x->slot = c->n_slot++;
    if (!emit(c, NAME_CHAT_FOR, (uint32_t)x->slot, -1, s->line) || !jump(c, NAME_CHAT_JUMP, 0, s->line, &begin))
        return false;
    c->label = c->n_code;
    if (!body(c, s->body))
        return false;
    land_all(c, c->last_continue[c->n_loop]);
    if (!emit(c, NAME_CHAT_NEXT, c->n_code - begin, 0, s->line))
        return false;
    uint32_t breaks = c->last_break[c->n_loop--];
    leave(c, was);
    if (!s->other) {
        land(c, begin);
        land_all(c, breaks);
        return true;
    }
    if (!jump(c, NAME_CHAT_JUMP, 0, s->line, &end))
        return false;
    land(c, begin);
    if (!body(c, s->other))
        return false;
    land(c, end);
    land_all(c, breaks);
    return true;
}

static bool statement(Compiler *c, Stmt *s)
{
    Result v = { 0 };
    Variable *x;
    Scope was;

    switch (s->kind) {
    case S_text:   return write_text(c, s->s, s->line);
    case S_output: return write_value(c, s->e, false);
    case S_if:     return if_else(c, s);
    case S_for:    return for_each(c, s);
    case S_set:    return set(c, s);
    case S_macro:  return true;
    case S_set_block:
        if (s->attr.n)
            return bad(c, s->line, "a field that is set to a block:", s->s);
        if (!begin_capture(c, s->line))
            return false;
        was = enter(c);
        if (!body(c, s->body))
            return false;
        leave(c, was);
        return end_capture(c, &v, s->line) && (x = here(c, s->s, STR(""), s->line)) != NULL && set_to(c, x, v, s->line);
    case S_other:
        if ((str_is(s->s, "break") || str_is(s->s, "continue")) && c->n_loop > c->loop_base) {
            if (c->n_capture != c->loop_capture[c->n_loop])
                return bad(c, s->line, "a loop that is left inside a block that is set:", s->s);
            uint32_t *last = s->s.p[0] == 'b' ? &c->last_break[c->n_loop] : &c->last_continue[c->n_loop], before = *last;

            *last = c->n_code;
            return emit(c, s->s.p[0] == 'b' ? NAME_CHAT_BREAK : NAME_CHAT_JUMP, before, 0, s->line);
        }
        return str_is(s->s, "generation") ? body(c, s->body) : bad(c, s->line, "the statement", s->s);
    }
    return false;
}

static bool body(Compiler *c, Stmt *s)
{
    if (++c->nesting > MAX_NESTING)
        return bad(c, s ? s->line : 1, "statements too deep", STR(""));
    for (; s; s = s->next)
        if (!statement(c, s) || c->why)
            return false;
    c->nesting--;
    return true;
}

ChatTemplate template_compile(Arena *a, const Vocab *v)
{
    Compiler *c = ARENA_NEW(a, Compiler);
    ChatTemplate t = { .unknown = "" };

    if (!v->chat_template.n)
        return t;
    c->a = a;
    c->has_bos = v->bos >= 0;
    c->has_eos = v->eos >= 0;
    c->bos = c->has_bos ? v->token[v->bos] : STR("");
    c->eos = c->has_eos ? v->token[v->eos] : STR("");
    if (jinja_parse(a, v->chat_template, &c->all, &t.unknown)) {
        c->code = ARENA_ARRAY(a, uint32_t, MAX_CODE);
        c->text = ARENA_ARRAY(a, Str, MAX_CODE);
        if (body(c, c->all) && emit(c, NAME_CHAT_END, 0, 0, 1)) {
            assert(!c->depth);
            t = (ChatTemplate){ .known = true, .unknown = "", .code = c->code, .n_code = c->n_code, .text = c->text, .n_text = c->n_text };
        } else {
            t.unknown = c->why;
        }
    }
    return t;
}
