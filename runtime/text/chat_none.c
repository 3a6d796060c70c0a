/* Conversations of a model whose file has no chat template, or one that was not understood when it was compiled. */
#include "runtime/text/text.h"

bool NAME_has_chat(const NAME_Model *m)
{
    (void)m;
    return false;
}

NAME_Status NAME_chat(const NAME_Model *m, const NAME_Message *msgs, int n_msgs, bool add_generation_prompt,
                      char *out, size_t cap, size_t *n)
{
    (void)add_generation_prompt;
    if (!m || n_msgs < 0 || (!msgs && n_msgs) || (!out && cap) || !n)
        return NAME_E_ARG;
    *n = 0;
    return NAME_E_TEXT;
}
