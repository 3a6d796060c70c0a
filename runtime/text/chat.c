/* A conversation as the text of a prompt.  The template was recognised when the model was compiled; what is left of it are five
 * texts in the tokenizer's tables:
 *
 *     [system]  then for each message  head ROLE mid CONTENT tail  and at the end  [gen]
 *
 * system is written where the first message is of another role than "system", gen where the model shall answer. */
#include "runtime/text/text.h"

#include "runtime/text/tokenizer.h"

#include <string.h>

typedef struct { char *out; size_t cap, n; } ChatOut;

static void chat_put(ChatOut *o, const char *p, size_t n)
{
    if (o->n < o->cap && n)
        memcpy(o->out + o->n, p, n < o->cap - o->n ? n : o->cap - o->n);
    o->n += n;
}

static void chat_put_text(ChatOut *o, const NAME_TokHeader *h, NAME_TokText t)
{
    chat_put(o, (const char *)h + t.off, t.n);
}

bool NAME_has_chat(const NAME_Model *m)
{
    const NAME_TokHeader *h = NAME_tok_tables(m);

    return h && h->chat;
}

NAME_Status NAME_chat(const NAME_Model *m, const NAME_Message *msgs, int n_msgs, bool add_generation_prompt,
                      char *out, size_t cap, size_t *n)
{
    const NAME_TokHeader *h = NAME_tok_tables(m);
    ChatOut o = { .out = out, .cap = cap };

    if (!m || n_msgs < 0 || (!msgs && n_msgs) || (!out && cap) || !n)
        return NAME_E_ARG;
    for (int i = 0; i < n_msgs; i++)
        if (!msgs[i].role || !msgs[i].content)
            return NAME_E_ARG;
    *n = 0;
    if (!h || !h->chat)
        return NAME_E_TEXT;
    if (n_msgs && strcmp(msgs[0].role, "system"))
        chat_put_text(&o, h, h->chat_system);
    for (int i = 0; i < n_msgs; i++) {
        chat_put_text(&o, h, h->chat_head);
        chat_put(&o, msgs[i].role, strlen(msgs[i].role));
        chat_put_text(&o, h, h->chat_mid);
        chat_put(&o, msgs[i].content, strlen(msgs[i].content));
        chat_put_text(&o, h, h->chat_tail);
    }
    if (add_generation_prompt)
        chat_put_text(&o, h, h->chat_gen);
    *n = o.n;
    return o.n > cap ? NAME_E_TEXT : NAME_OK;
}
