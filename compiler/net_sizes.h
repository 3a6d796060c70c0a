/* What a network takes: known from the Module, and, where the compiler of its board is at hand, from what it makes of it. */
#ifndef SN_NET_SIZES_H
#define SN_NET_SIZES_H

#include "compiler/compiler.h"

typedef struct {
    uint64_t weights;           /* packed for their kernels */
    uint64_t memory;            /* all that is written, inputs and outputs too */
    bool linked;                /* the rest is known: it was compiled */
    uint64_t flash;             /* weights, code, tables and start-up code */
    uint64_t stack, ram;        /* the deepest of NAME_run; memory, data and stack together */
    const char *deepest;        /* its functions, in words */
} NetSizes;

NetSizes net_sizes(const Module *m);
/* Adds what `make size` in an emitted folder says, and removes what it has made there.  Nothing where the target is no board or its compiler is missing. */
void net_sizes_measure(NetSizes *s, Arena *a, const Module *m, const char *dir);
void net_sizes_print(const Module *m, Arena *a, const NetSizes *s);
/* false after reports that name what is there at the peak. */
bool net_sizes_within(const NetSizes *s, const Module *m, Arena *a, Diag *d, const BuildOptions *o);

#endif
