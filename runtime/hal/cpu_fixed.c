/* What this CPU can do, where there is nobody to ask: firmware is built for one chip.  A feature that has to be looked for is
 * lacking; targets of microcontrollers name none. */
#include "runtime/core/internal.h"

const char *NAME_cpu_lacks(const char *const *features)
{
    return *features;
}
