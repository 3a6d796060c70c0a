/* How work is best cut on this machine (Target.tuning), measured. */
#ifndef SN_TUNE_H
#define SN_TUNE_H

#include "compiler/compiler.h"

/* Sets t->tuning to what is fastest here.  Builds small models with random weights for t in a temporary folder, a program for each
 * candidate, with this machine's C compiler, and runs them; tells on standard error what came out.  Takes most of a minute, 150 MB of memory
 * and four times that on disk; `quick`: a few seconds, tiny models, two candidates a number, for tests.
 *
 * Returns false after a report (no compiler, no room); t is as it was then.  t's family must be this machine's. */
bool tune(FileSet *fs, Arena *a, Diag *d, Target *t, bool quick);

#endif
