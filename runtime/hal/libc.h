/* What of the C library the runtime uses, beyond what compilers need themselves: nothing that a chip without one (bare.h) lacks. */
#ifndef NAME_LIBC_H
#define NAME_LIBC_H

#include <string.h>

#endif
