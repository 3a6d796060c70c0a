/* The weights where there are no files: linked into the program, or wherever NAME_open_memory is told. */
#include "runtime/core/internal.h"
#include "runtime/hal/libc.h"

NAME_Status NAME_open(NAME_Model *m, const char *path)
{
    memset(m, 0, sizeof *m);
    if (path || !NAME_desc.linked)
        return NAME_E_ARG;
    return NAME_open_memory(m, NAME_desc.linked, (size_t)NAME_desc.weights_bytes);
}

void NAME_close_model(NAME_Model *m)
{
    memset(m, 0, sizeof *m);
}
