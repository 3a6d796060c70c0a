/* Jinja as chat templates use it: the tree of a template.  See jinja.c for the language, template.c for what becomes of it. */
#ifndef SN_JINJA_H
#define SN_JINJA_H

#include "ir/base/base.h"

typedef enum {
    E_str, E_int, E_bool, E_none,
    E_name,                     /* s */
    E_attr,                     /* a.s, a['s'] */
    E_index,                    /* a[b] */
    E_slice,                    /* a[b:c:d]; each may be NULL */
    E_call,                     /* a(arg...) */
    E_filter, E_test,           /* a | s(arg...), a is s(arg...) */
    E_list, E_dict,             /* arg...; of a dict key, value, key, value */
    E_not, E_neg,               /* a */
    E_and, E_or, E_add, E_sub, E_mul, E_div, E_mod, E_cat, E_eq, E_ne, E_lt, E_le, E_gt, E_ge, E_in,        /* a, b */
    E_choose                    /* a if b else c; c may be NULL */
} ExprKind;

typedef struct Expr Expr;
struct Expr {
    ExprKind kind;
    int line;
    Str s;
    int64_t i;
    Expr *a, *b, *c, *d;
    Expr **arg;                 /* of calls, filters and tests: positional ones, then those with names */
    Str *arg_name;              /* n 0: none */
    int n_arg;
};

typedef enum { S_text, S_output, S_if, S_for, S_set, S_set_block, S_macro, S_other } StmtKind;

typedef struct Stmt Stmt;
struct Stmt {
    StmtKind kind;
    int line;
    Str s;                      /* text; name of the loop's variable, of what is set; other: the statement's name */
    Str attr;                   /* set: s.attr; n 0: s */
    Expr *e;                    /* output, condition, what is iterated over, value; macro: arg_name and defaults (NULL: none) */
    Expr *filter;               /* for x in e if filter; NULL: none */
    Stmt *body, *other;         /* then or loop's body, else */
    Stmt *next;
};

/* Reads a template.  NULL: it is not one; *why says what is wrong and in which line.  Everything is in the arena. */
bool jinja_parse(Arena *a, Str text, Stmt **out, const char **why);

#endif
