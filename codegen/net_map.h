/* The memory of a scheduled network as a list: what lies where, from which stage to which; docs/networks.md says why things lie over one another. */
#ifndef SN_NET_MAP_H
#define SN_NET_MAP_H

#include "ir/net.h"

/* A tensor with all its reshapes, or what one stage alone uses.  Stages are counted from 0 in the order in which they run. */
typedef struct {
    const char *name;
    const Value *v;             /* NULL: a panel */
    int64_t at, bytes;          /* from its first byte to its last one, gaps between planes included */
    int first, last;            /* the stage that writes it, -1: an input; the last one that reads it, n_stage: a result of the network */
} NetPlace;

typedef struct {
    const Op **stage;
    int n_stage;
    NetPlace *place;
    int n_place;
} NetMap;

/* Of a Module that codegen_check has found sound. */
NetMap net_map(const Module *m, Arena *a);

/* Bytes that a stage needs: all that is there while it runs, what lies over something else counted once. */
int64_t net_map_bytes(const NetMap *map, int stage);
/* The stage that needs most. */
int net_map_peak(const NetMap *map);
/* "over x" where a stage's result lies on an operand, with the direction of its groups; "" where it does not. */
const char *net_map_over(const NetMap *map, int stage, Arena *a);

#endif
