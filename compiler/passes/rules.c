/* Rewriting by patterns: a matcher over the text of the pattern itself (they are a few dozen bytes
 * long), no compiled form.
 *
 * Rewriting ends because each rule makes the function smaller (asserted when a rule is applied). */
#include "compiler/passes/rules.h"

#include <assert.h>

const Rule rule_table[] = {
#define RULE(name, match, replacement) { #name, match, replacement },
#include "compiler/passes/rules.def"
    { NULL, NULL, NULL },
};

static void skip_space(const char **p)
{
    while (**p == ' ')
        (*p)++;
}

static Str word(const char **p)
{
    const char *begin = *p;

    while (**p && **p != ' ' && **p != ')' && **p != '(')
        (*p)++;
    return (Str){ begin, (size_t)(*p - begin) };
}

static int var_index(Str w)
{
    return w.p[1] == 'x' ? 0 : w.p[1] == 'y' ? 1 : 2;
}

/* Steps over one pattern. */
static void skip_pattern(const char **p)
{
    int depth = 0;

    skip_space(p);
    do {
        if (**p == '(') {
            depth++;
            (*p)++;
        } else if (**p == ')') {
            depth--;
            (*p)++;
        } else
            word(p);
        skip_space(p);
    } while (depth > 0);
}

static bool commutes(OpKind k)
{
    return k == OP_add || k == OP_mul || k == OP_max || k == OP_min;
}

/* Does v match the pattern at *p?  top: v's op may have other users (it is replaced as a whole). */
static bool match(const Region *r, const char **p, Value *v, Value **var, bool top)
{
    Op *o;
    OpKind kind;

    skip_space(p);
    if (**p == '?') {
        int i = var_index(word(p));

        if (var[i])
            return var[i] == v;
        var[i] = v;
        return true;
    }
    (*p)++; /* ( */
    kind = op_find(word(p));
    if (v->kind != VAL_result || v->op->kind != kind || v->op->parent != r)
        return false;
    o = v->op;
    if (!top && value_n_uses(r, v) != 1)
        return false;
    if (o->n_in == 2 && commutes(kind)) {
        const char *a = *p, *b = *p, *end = *p;
        Value *saved[MAX_PATTERN_VARS];

        skip_pattern(&b);
        end = b;
        skip_pattern(&end);
        memcpy(saved, var, sizeof saved);
        for (int swap = 0; swap < 2; swap++) {
            const char *pa = a, *pb = b;

            memcpy(var, saved, sizeof saved);
            if (match(r, &pa, o->in[swap], var, false) &&
                match(r, &pb, o->in[1 - swap], var, false)) {
                *p = end + 1; /* ) */
                return true;
            }
        }
        return false;
    }
    for (int i = 0; i < o->n_in; i++)
        if (!match(r, p, o->in[i], var, false))
            return false;
    skip_space(p);
    (*p)++; /* ) */
    return true;
}

/* NULL: an op of the pattern does not take these operands (`sub` with the smaller one in front). */
static Value *build(Region *r, Op *before, const char **p, Value *const *var)
{
    Value *in[4] = { NULL };
    int n = 0;
    OpKind kind;
    Type type;

    skip_space(p);
    if (**p == '?')
        return var[var_index(word(p))];
    (*p)++;
    kind = op_find(word(p));
    for (skip_space(p); **p != ')' && n < 4; skip_space(p))
        if (!(in[n++] = build(r, before, p, var)))
            return NULL;
    (*p)++;
    if (!op_fits(r, kind, in, n, NULL, 0, &type))
        return NULL;
    return op_new(r, before, kind, func_fresh_name(r->func, "v"), in, n, NULL, 0)->out[0];
}

Value *pattern_build(Region *r, Op *before, const char *pattern, Value *const *var)
{
    return build(r, before, &pattern, var);
}

static int n_ops_in(const char *pattern)
{
    int n = 0;

    for (; *pattern; pattern++)
        n += *pattern == '(';
    return n;
}

/* Removes o and, behind it, what only it used. */
static void remove_dead(Region *r, Op *o)
{
    Value *in[4];
    int n = o->n_in < 4 ? o->n_in : 4;

    memcpy(in, o->in, sizeof in[0] * (size_t)n);
    op_remove(o);
    for (int i = 0; i < n; i++)
        if (in[i]->kind == VAL_result && in[i]->op->parent == r &&
            !op_info[in[i]->op->kind].effect && in[i]->op->n_out == 1 &&
            value_n_uses(r, in[i]) == 0)
            remove_dead(r, in[i]->op);
}

int rules_apply(Func *f, int *count)
{
    Region *r = f->body;
    int n = 0;

    for (Op *o = r->first, *next; o; o = next) {
        bool again = false;

        next = o->next;
        if (!op_info[o->kind].c_expr)
            continue;
        for (const Rule *rule = rule_table; rule->name; rule++) {
            Value *var[MAX_PATTERN_VARS] = { NULL };
            const char *p = rule->match;
            Value *by;

            if (!match(r, &p, o->out[0], var, true))
                continue;
            assert(n_ops_in(rule->replacement) < n_ops_in(rule->match));
            by = pattern_build(r, o, rule->replacement, var);
            if (!by ||
                !type_eq(by->type,
                         o->out[0]->type)) /* broadcasting operands the other way round: leave it */
                continue;
            if (rule->replacement[0] == '(') { /* it was made just now; ?x was there before */
                by->op->from = by->op->from ? by->op->from : o->from;
                by->op->layer = o->layer;
                by->op->by = "canonicalize";
            }
            value_replace(r, o->out[0], by);
            remove_dead(r, o);
            n++;
            if (count)
                count[rule - rule_table]++;
            again = true;
            break;
        }
        if (again)
            next = r->first; /* what was made may match anew, and what was next may be gone */
    }
    return n;
}
