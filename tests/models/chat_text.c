/* chat_text: a conversation rendered by the library of an emitted model named `model` (see
 * check_chat in golden.c).
 *
 *     chat_text WEIGHTS 0|1 [ROLE CONTENT]...         1: the text ends where an answer begins
 *
 * Prints the text, nothing added.  Exit 1: the library cannot render it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

int main(int argc, char **argv)
{
    static model_Message msg[64];
    static char text[1 << 16];
    model_Model m;
    model_Status e;
    size_t n = 0;
    int n_msg = 0;

    if (argc < 3 || argc % 2 == 0 || (argc - 3) / 2 > 64)
        return 2;
    for (int i = 3; i < argc; i += 2, n_msg++) {
        msg[n_msg].role = argv[i];
        msg[n_msg].content = argv[i + 1];
    }
    e = model_open(&m, argv[1]);
    if (e == model_OK) {
        /* First the length alone, then the text into exactly as much room. */
        e = model_chat(&m, msg, n_msg, argv[2][0] == '1', NULL, 0, &n);
        if (n > sizeof text || (n > 0 && e != model_E_TEXT)) {
            fprintf(stderr, "without room: status %d, %zu bytes\n", (int)e, n);
            return 1;
        }
        e = model_chat(&m, msg, n_msg, argv[2][0] == '1', text, n, &n);
    }
    if (e != model_OK) {
        fprintf(stderr, "%s\n", model_status_text(e));
        return 1;
    }
    fwrite(text, 1, n, stdout);
    return 0;
}
