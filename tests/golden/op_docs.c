/* Prints the ops of ir/ops.def as Markdown, for docs/ir.md. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Formulas hold what Markdown takes for markup. */
static void text(const char *c)
{
    for (; *c; c++)
        printf(strchr("*_<>[]", *c) ? "\\%c" : "%c", *c);
}

static void op(const char *name, const char *operands, const char *attrs, int n_out, bool effect, const char *help)
{
    printf("**%s**%s%s%s", name, *operands ? " `" : "", operands, *operands ? "`" : "");
    if (*attrs)
        printf(" `{%s}`", attrs);
    printf(". ");
    text(help);
    printf("%s", help[strlen(help) - 1] == '.' ? "" : ".");
    if (n_out == 0 && effect)
        printf(" It has no result; it writes.");
    printf("\n\n");
}

int main(void)
{
#define OP(name, operands, attrs, n_out, effect, shape, c_expr, help) op(#name, operands, attrs, n_out, effect, help);
#include "ir/ops.def"
    return 0;
}
