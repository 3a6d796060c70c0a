/* Rewriting by patterns; see rules.def. */
#ifndef SN_RULES_H
#define SN_RULES_H

#include "ir/ir.h"

typedef struct { const char *name, *match, *replacement; } Rule;
extern const Rule rule_table[];                              /* ended by name NULL */

enum { MAX_PATTERN_VARS = 8 };

/* Applies rules everywhere in f until none matches.  Returns how often; count[i] (may be NULL) is raised for rule i. */
int rules_apply(Func *f, int *count);
/* Builds a pattern over given variables (?x is var[0], ?y var[1], ?z var[2]) at the end of a region: for tests of the rules.
 * NULL where an op does not take its operands. */
Value *pattern_build(Region *r, Op *before, const char *pattern, Value *const *var);

#endif
