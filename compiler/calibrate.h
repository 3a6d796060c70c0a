/* What this machine's memory gives, measured. */
#ifndef SN_CALIBRATE_H
#define SN_CALIBRATE_H

#include "compiler/compiler.h"

/* Read bandwidth of a block of so many bytes by n threads, each reading its own part again and again for about `ms` milliseconds; the
 * best of three.  MB/s (10^6 bytes); 0: no memory or no threads. */
int64_t read_bandwidth(uint64_t bytes, int n_threads, int ms);
int machine_cores(void);                                     /* that this process may use */

/* Fills in t's bandwidths and name ("calibrated") from measurements that take some seconds; notes what one thread reaches. */
void calibrate(Arena *a, Diag *d, Target *t);

#endif
