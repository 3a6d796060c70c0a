/* What this machine gives, measured: bytes read and multiply-adds done. */
#ifndef SN_CALIBRATE_H
#define SN_CALIBRATE_H

#include "compiler/compiler.h"

/* How fast n threads read a block of so many bytes again and again, each its own part: the best of several ways to read, and of that
 * the median of several trials of about `ms` milliseconds each; some 25 trials in all.  A trial in which a thread did not have its
 * core to itself is repeated, a few times.  MB/s (10^6 bytes); 0: no memory or no threads. */
int64_t read_bandwidth(uint64_t bytes, int n_threads, int ms);

/* Reads n bytes once, each of n threads its own part, in the fastest way that needs no trial; the tail below 1 KB per thread is left out.
 * false: the threads could not be started. */
bool read_once(const void *p, size_t n, int n_threads);

/* 8-bit multiply-adds per ns times 100 of all n threads together: what the widest integer unit that this machine has reaches
 * when nothing is read.  *unit: its name ("avx512_vnni", "amx_int8", ...).  0: no unit that is known here. */
int64_t mac8_peak(int n_threads, int ms, const char **unit);

/* The middle of n > 0 measurements, or between the two middle ones; sorts them. */
double median(double *v, int n);

int machine_cores(void);                                     /* that this process may use */

/* Fills in t's bandwidths, multiply-adds and name ("calibrated") from measurements that take some seconds; notes what one thread
 * reaches.  ms: of a trial; 50 is well, less is for tests. */
void calibrate(Arena *a, Diag *d, Target *t, int ms);

#endif
