/* XXH3 digests from the xxHash library, in its canonical byte order (big-endian), so that the hexadecimal digits are what
 * `xxh128sum` prints and are the same on every machine. */
#include "ir/base/base.h"

/* The state lives in an arena, so its size must be known here. */
#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

struct DigestState { XXH3_state_t *x; };

static Digest canonical(XXH128_hash_t h)
{
    XXH128_canonical_t c;
    Digest d;

    XXH128_canonicalFromHash(&c, h);
    _Static_assert(sizeof c.digest == sizeof d.b, "a digest is 16 bytes");
    memcpy(d.b, c.digest, sizeof d.b);
    return d;
}

Digest digest_of(const void *p, size_t n)
{
    return canonical(XXH3_128bits(p, n));
}

DigestState *digest_begin(Arena *a)
{
    enum { STATE_ALIGN = 64 };      /* what xxhash.h asks of its state; an arena gives 16 */
    DigestState *s = ARENA_NEW(a, DigestState);
    uint8_t *room = ARENA_ARRAY(a, uint8_t, sizeof *s->x + STATE_ALIGN);

    s->x = (XXH3_state_t *)(void *)(room + (STATE_ALIGN - (uintptr_t)room % STATE_ALIGN) % STATE_ALIGN);
    XXH3_INITSTATE(s->x);
    XXH3_128bits_reset(s->x);
    return s;
}

void digest_add(DigestState *s, const void *p, size_t n)
{
    if (n)
        XXH3_128bits_update(s->x, p, n);
}

Digest digest_end(DigestState *s)
{
    return canonical(XXH3_128bits_digest(s->x));
}

bool digest_eq(Digest a, Digest b)
{
    return memcmp(a.b, b.b, sizeof a.b) == 0;
}

bool digest_is_zero(Digest a)
{
    return digest_eq(a, (Digest){ { 0 } });
}

char *digest_hex(Arena *a, Digest d)
{
    char *hex = arena_alloc(a, 33, 1);

    for (int i = 0; i < 16; i++) {
        hex[2 * i] = "0123456789abcdef"[d.b[i] >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[d.b[i] & 15];
    }
    return hex;
}

bool digest_parse(Str hex, Digest *out)
{
    Digest d = { { 0 } };

    if (hex.n != 32)
        return false;
    for (int i = 0; i < 32; i++) {
        const char *digits = "0123456789abcdef";
        const char *at = hex.p[i] ? strchr(digits, hex.p[i]) : NULL;

        if (!at)
            return false;
        d.b[i / 2] = (uint8_t)(d.b[i / 2] << 4 | (at - digits));
    }
    *out = d;
    return true;
}

uint64_t digest64(const void *p, size_t n)
{
    return XXH3_64bits(p, n);
}
