/* Byte-level BPE: tokens and merges of the file -> symbols and merges.
 *
 * Merges are given as pairs of texts; here they become pairs of symbols.  Every text that a merge names or makes gets a symbol:
 * the token of that text, or a helper where there is none.  So the emitted program merges exactly as if it compared texts. */
#include "compiler/text/tables.h"

/* ---- GPT-2's alphabet --------------------------------------------------------------------------------------------- */

/* bytes_to_unicode() of gpt-2's encoder.py: printable bytes of Latin-1 stand for themselves, the others, in order, for the
 * characters from U+0100 on.  Here the other way round: byte[c] for c < 0x144, -1: not in the alphabet. */
static void alphabet(int16_t byte[0x144])
{
    int n = 0;

    memset(byte, -1, 0x144 * sizeof *byte);
    for (int b = 0; b < 256; b++)
        if ((b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || (b >= 0xae && b <= 0xff))
            byte[b] = (int16_t)b;
        else
            byte[0x100 + n++] = (int16_t)b;
}

/* The bytes that a text in the alphabet stands for; false: some of it is not in the alphabet.  out has room for s.n bytes. */
static bool spell(const int16_t *byte, Str s, uint8_t *out, uint32_t *n)
{
    *n = 0;
    for (size_t i = 0; i < s.n; i++) {
        uint32_t c = (uint8_t)s.p[i];

        if (c >= 0x80) {                                    /* all of the alphabet has at most two bytes */
            if (c < 0xc2 || c > 0xdf || i + 1 == s.n || ((uint8_t)s.p[i + 1] & 0xc0) != 0x80)
                return false;
            c = (c & 0x1f) << 6 | ((uint8_t)s.p[++i] & 0x3f);
        }
        if (c >= 0x144 || byte[c] < 0)
            return false;
        out[(*n)++] = (uint8_t)byte[c];
    }
    return true;
}

/* ---- tokens ------------------------------------------------------------------------------------------------------- */

static bool add_tokens(Maker *k, const int16_t *byte)
{
    const Vocab *v = k->v;
    uint32_t longest = 0;
    bool ok = true;

    for (int i = 0; i < v->n_token; i++)
        longest = v->token[i].n > longest ? (uint32_t)v->token[i].n : longest;
    uint8_t *buf = arena_alloc(k->a, longest + 1u, 1);
    for (int i = 0; i < v->n_token; i++) {
        Str text = v->token[i];
        uint32_t n = 0;
        bool named = v->type[i] != TOKEN_normal && v->type[i] != TOKEN_byte;    /* its text is a name, not spelled bytes */
        bool spelled = text.n && spell(byte, text, buf, &n);

        /* Where a name is written in the alphabet, merges may make it, unless the texts differ. */
        if (spelled && (!named || (n == text.n && !memcmp(buf, text.p, n))))
            ok &= symbol_add_token(k, i, buf, n);
        else
            symbol_new(k, (const uint8_t *)text.p, (uint32_t)text.n);
    }
    for (int b = 0; b < 256; b++) {
        uint8_t c = (uint8_t)b;
        k->of_byte[b] = symbol_of(k, &c, 1);
        k->spell[b] = k->of_byte[b] < (uint32_t)v->n_token ? k->of_byte[b] : NAME_TOK_NONE;
    }
    return ok;
}

/* ---- merges ------------------------------------------------------------------------------------------------------- */

static bool add_merges(Maker *k, const int16_t *byte)
{
    const Vocab *v = k->v;
    size_t longest = 0;
    bool ok = true;

    for (int i = 0; i < v->n_merge; i++)
        longest = v->merge[i].n > longest ? v->merge[i].n : longest;
    uint8_t *buf = arena_alloc(k->a, longest + 1, 1);
    merges_begin(k, (uint32_t)v->n_merge);
    for (int i = 0; i < v->n_merge; i++) {
        Str s = v->merge[i];
        const char *space = s.n ? memchr(s.p, ' ', s.n) : NULL;
        uint32_t n_left, n_right;

        if (!space || space == s.p || space == s.p + s.n - 1) {
            ok = fail(k->d, maker_at(k, KEY_MERGES, i), "\"%s\" is not two texts with a space between them",
                      str_show(k->a, s, 40));
            continue;
        }
        Str left = { s.p, (size_t)(space - s.p) }, right = { space + 1, s.n - left.n - 1 };
        if (!spell(byte, left, buf, &n_left) || !spell(byte, right, buf + n_left, &n_right)) {
            ok = fail(k->d, maker_at(k, KEY_MERGES, i), "\"%s\" is not written in the alphabet of byte-level BPE",
                      str_show(k->a, s, 40));
            continue;
        }
        uint32_t l = symbol_of(k, buf, n_left), r = symbol_of(k, buf + n_left, n_right);
        NAME_TokMerge *m = merge_slot(k, l, r);
        if (m->rank == NAME_TOK_NONE)                       /* of equal merges the first one counts */
            *m = (NAME_TokMerge){ l, r, (uint32_t)i, symbol_of(k, buf, n_left + n_right) };
        if (k->text.n > UINT32_MAX / 2)
            return fail(k->d, maker_at(k, KEY_MERGES, i), "the texts up to here have more than 2 GiB");
    }
    return ok;
}

bool bpe_symbols(Maker *k)
{
    int16_t byte[0x144];

    alphabet(byte);
    maker_begin(k, (uint32_t)k->v->n_token + 256 + 3 * (uint32_t)k->v->n_merge);     /* a merge makes at most three helpers */
    return add_tokens(k, byte) && add_merges(k, byte);
}
