/* The loop: feed, choose, show, feed. */
#include "runtime/text/text.h"

/* Shows a token: its bytes in slices, so that a small buffer on the stack holds what becomes of them. */
static bool generate_show(const NAME_Model *m, NAME_Utf8 *u, int32_t id, NAME_OnToken *on_token, void *ctx)
{
    enum { SLICE = 80 };
    char text[3 * SLICE + 12];
    const char *p = "";
    size_t n = 0;

    if (NAME_is_control(m, id) || NAME_piece(m, id, &p, &n) != NAME_OK)
        n = 0;                                              /* a control token, or a model without a tokenizer */
    while (n > SLICE) {
        if (!on_token(ctx, id, text, NAME_utf8_push(u, p, SLICE, text)))
            return false;
        p += SLICE;
        n -= SLICE;
        id = -1;
    }
    return on_token(ctx, id, text, NAME_utf8_push(u, p, n, text));
}

NAME_Status NAME_generate(NAME_Session *s, const NAME_Model *m, NAME_Sampler *sampler, const int32_t *ids, int n, int max_new,
                          int n_vocab, float *logits, int32_t *work, NAME_OnToken *on_token, void *ctx, int *n_new)
{
    NAME_Utf8 u = { { 0 }, 0 };
    NAME_Status status;
    bool go = true;
    int made = 0;

    if (n_new)
        *n_new = 0;
    if (!s || !m || !sampler || !ids || n < 1 || max_new < 0 || n_vocab < 1 || !logits || !work || !on_token)
        return NAME_E_ARG;
    for (int i = n > NAME_SAMPLER_RING ? n - NAME_SAMPLER_RING : 0; i < n; i++)
        NAME_sampler_accept(sampler, ids[i]);
    NAME_want_best(s, NAME_sampler_best(sampler));
    status = NAME_eval(s, ids, n, logits, 1);
    while (status == NAME_OK && go && made < max_new) {
        int32_t id = NAME_sample(sampler, logits, n_vocab, work);

        if (NAME_is_end(m, id))
            break;
        NAME_sampler_accept(sampler, id);
        made++;
        go = generate_show(m, &u, id, on_token, ctx);
        if (go && made < max_new)
            status = NAME_next(s, id, max_new - made - 1, logits);
    }
    NAME_want_best(s, 0);
    if (status == NAME_E_CONTEXT && made)
        status = NAME_OK;                                   /* the context is full: the answer ends here */
    if (u.n && go) {
        char end[3];
        on_token(ctx, -1, end, NAME_utf8_end(&u, end));
    }
    if (n_new)
        *n_new = made;
    return status;
}
