/* What the writers rely on; see check.c. */
#ifndef SN_CHECK_H
#define SN_CHECK_H

#include "ir/ir.h"

/* false after a report: the Module is not scheduled, is damaged, or says what cannot be written yet. */
bool codegen_check(const Module *m, Diag *d);

#endif
