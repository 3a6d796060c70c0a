/* The writer of emitted files: whole lines, indentation is its business; and the doors through which text from a model passes.
 *
 * Text from a model is hostile: names, tokens, templates and metadata may hold anything.  They reach an emitted file through one of the
 * doors below and in no other way; what a door returns is in the arena and safe in the place it is named after. */
#ifndef SN_EMIT_H
#define SN_EMIT_H

#include "ir/base/base.h"

typedef struct { Buf b; int indent; bool at_line_begin; } Emit;

Emit emit_new(Arena *a);
/* Formats text; each line of it gets the present indentation (none before an empty line, a label `#` of the preprocessor, or case). */
void emit(Emit *e, const char *fmt, ...) SN_PRINTF(2, 3);
void emit_open(Emit *e, const char *fmt, ...) SN_PRINTF(2, 3);      /* a line that ends in `{`; what follows is indented */
void emit_close(Emit *e, const char *tail);                         /* `}` and tail */

/* The doors. */
char *emit_str(Arena *a, Str s);        /* a C string literal with its quotes; no trigraphs, every odd byte as an octal escape */
char *emit_comment(Arena *a, Str s);    /* inside a C comment: printable ASCII, no comment end or begin, one line, at most 120 bytes */
char *emit_ident(Arena *a, Str s);      /* a C identifier: other bytes become _, keywords and leading digits get a _ in front */
char *emit_flags(Arena *a, Str s);      /* words of a Makefile or of CMake: only letters, digits, . _ - + / = , : and blanks, others become _ */
char *emit_json(Arena *a, Str s);       /* a JSON string with its quotes, valid UTF-8 */
char *emit_html(Arena *a, Str s);       /* text or attribute value of HTML */
char *emit_path(Arena *a, Str s);       /* one component of a file name: letters, digits, . _ -, not beginning with a dot, 1 to 64 bytes */
bool is_c_ident(Str s);                 /* an identifier, not a keyword, not reserved (no leading underscore), at most 64 bytes */

#endif
