/* A program for a board: goes on from a prompt, greedily, through a debugger or an emulator (semihosting).  What of it a product needs is in
 * `answer`: a model, a session in static memory, NAME_eval for the prompt, NAME_next for each token.
 *
 *     -n N          most tokens to generate (64)
 *     --ids 1,2,3   the prompt as token ids
 *     --print-ids   print ids instead of text
 *     -p TEXT       the prompt: the rest of the line */
#include "semihost.h"

enum { LINE_BYTES = 2048, MOST_IDS = 512 };

typedef struct {
    const char *text;                   /* NULL: there is none */
    int n_ids, n;
    bool print_ids;
} Request;

static NAME_Model model;
static uint8_t session_block[NAME_SESSION_BYTES];
static float logits[NAME_N_VOCAB];
static int32_t ids[MOST_IDS];
static char line[LINE_BYTES];

void fault(void);

/* What start-up code calls where the program is broken. */
void fault(void)
{
    semihost_print("NAME: a fault: broken code, or too little stack (make STACK=)\n");
    semihost_exit(1);
}

static int complain(const char *what)
{
    semihost_print("NAME: ");
    semihost_print(what);
    semihost_print("\n");
    return 2;
}

/* The next word of a line, ended by a zero; *at goes behind it.  NULL: there is none. */
static char *next_word(char **at)
{
    char *word;

    while (**at == ' ')
        (*at)++;
    word = *at;
    if (!*word)
        return NULL;
    while (**at && **at != ' ')
        (*at)++;
    if (**at)
        *(*at)++ = 0;
    return word;
}

/* A number that ends where the text ends, or a comma: *at goes there.  -1: there is none. */
static int number(const char **at)
{
    int v = 0;

    if (**at < '0' || **at > '9')
        return -1;
    for (; **at >= '0' && **at <= '9'; (*at)++)
        v = v < 10000000 ? 10 * v + (**at - '0') : v;
    return **at && **at != ',' ? -1 : v;
}

static bool read_ids(const char *p, Request *r)
{
    for (;; p++) {
        int id = p ? number(&p) : -1;

        if (id < 0 || r->n_ids == MOST_IDS)
            return false;
        ids[r->n_ids++] = id;
        if (!*p)
            return true;
    }
}

static bool read_request(Request *r)
{
    char *at = line, *word;

    if (!semihost_command_line(line, sizeof line))
        return true;
    next_word(&at);                     /* the program's name */
    while ((word = next_word(&at)) != NULL) {
        if (!strcmp(word, "--print-ids")) {
            r->print_ids = true;
        } else if (!strcmp(word, "-n")) {
            const char *value = next_word(&at);

            r->n = value ? number(&value) : -1;
            if (r->n < 0)
                return false;
        } else if (!strcmp(word, "--ids")) {
            if (!read_ids(next_word(&at), r))
                return false;
        } else if (!strcmp(word, "-p") && *at) {
            r->text = at;
            return true;
        } else {
            return false;
        }
    }
    return true;
}

#if NAME_HAS_TEXT
/* Pieces that are whole characters go out at once. */
static void print_token(NAME_Utf8 *u, int32_t id)
{
    enum { SLICE = 64 };
    const char *p;
    char out[3 * SLICE + 13];
    size_t n;

    if (NAME_is_control(&model, id) || NAME_piece(&model, id, &p, &n) != NAME_OK)
        return;
    for (; n > 0; p += n < SLICE ? n : SLICE, n -= n < SLICE ? n : SLICE) {
        out[NAME_utf8_push(u, p, n < SLICE ? n : SLICE, out)] = 0;
        semihost_print(out);
    }
}
#endif

/* The best logit's token; of equal ones the first. */
static int32_t best_token(void)
{
    int32_t best = 0;

    for (int32_t i = 1; i < NAME_N_VOCAB; i++)
        if (logits[i] > logits[best])
            best = i;
    return best;
}

static NAME_Status answer(const Request *r)
{
    NAME_Session *s;
    NAME_Status status = NAME_open(&model, NULL);
#if NAME_HAS_TEXT
    NAME_Utf8 u = { { 0 }, 0 };
#endif

    if (!status)
        status = NAME_session_open(&s, &model, session_block, sizeof session_block, NULL);
    if (!status)
        status = NAME_eval(s, ids, r->n_ids, logits, 1);
    for (int i = 0; i < r->n && !status; i++) {
        int32_t id = best_token();

#if NAME_HAS_TEXT
        if (NAME_is_end(&model, id))
            break;
        if (!r->print_ids)
            print_token(&u, id);
        else
#endif
        {
            semihost_print(i ? " " : "");
            semihost_print_number(id);
        }
        if (i + 1 < r->n)
            status = NAME_next(s, id, 0, logits);
    }
    semihost_print("\n");
    return status;
}

static int run(void)
{
    Request r = { NULL, 0, 64, false };
    NAME_Status status;

    if (!read_request(&r))
        return complain("wrong usage: [-n N] [--print-ids] [--ids 1,2,3 | -p TEXT to the end of the line]");
#if NAME_HAS_TEXT
    if (r.text) {
        size_t n = 0;

        status = NAME_open(&model, NULL);
        if (!status)
            status = NAME_tokenize(&model, r.text, strlen(r.text), NAME_TEXT_SPECIAL, ids, MOST_IDS, &n);
        if (status)
            return complain(NAME_status_text(status));
        r.n_ids = (int)n;
    }
#else
    if (r.text)
        return complain("there is no tokenizer in this program (--ids takes token ids)");
#endif
    r.n_ids = r.n_ids ? r.n_ids : 1;    /* token 0 */
    status = answer(&r);
    return status ? complain(NAME_status_text(status)) : 0;
}

int main(void)
{
    semihost_exit(run());
}
