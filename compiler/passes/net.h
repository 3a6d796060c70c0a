/* What pack, schedule and memory do for networks without tokens; docs/scheduled.md says what they leave behind. */
#ifndef SN_PASSES_NET_H
#define SN_PASSES_NET_H

#include "compiler/passes/passes.h"
#include "ir/net.h"

bool net_pack(Module *m, const Env *env, Diag *d);           /* net_pack.c */
bool net_selftest(Module *m, const Env *env, Diag *d);       /* net_selftest.c: called by net_pack */
bool net_schedule(Module *m, const Env *env, Diag *d);       /* net_schedule.c */
bool net_memory(Module *m, const Env *env, Diag *d);         /* net_memory.c */

#endif
