/* No threads: for systems without pthreads and atomics (-DNAME_THREADS=0).  Sessions have one
 * thread. */
#include "runtime/core/internal.h"

size_t NAME_pool_bytes(int n_threads)
{
    (void)n_threads;
    return 0;
}

NAME_Status NAME_pool_start(NAME_Pool **out, void *block, NAME_Worker *worker, int n_threads)
{
    (void)block;
    (void)worker;
    *out = NULL;
    return n_threads == 1 ? NAME_OK : NAME_E_THREADS;
}

void NAME_pool_run(NAME_Pool *p, NAME_EntryFn *entry, const NAME_Run *r)
{
    (void)p;                      /* never called: a session of one thread calls the entry itself */
    (void)entry;
    (void)r;
}

void NAME_pool_stop(NAME_Pool *p)
{
    (void)p;
}

int64_t NAME_wait_for(NAME_Crew *crew, uint64_t due)
{
    (void)crew;                         /* nobody else does anything */
    (void)due;
    return 0;
}

int NAME_default_threads(void)
{
    return 1;
}
