/* Two small hash maps for the passes over a Module: open addressing, linear probing, at most half full, doubled when fuller.
 * Nothing is ever taken out, so there are no tombstones. */
#include "ir/internal.h"

static size_t hash_ptr(const void *p)
{
    uint64_t x = (uint64_t)(uintptr_t)p;

    x ^= x >> 32;
    x *= 0x9E3779B97F4A7C15u;           /* 2^64 / golden ratio: spreads the low bits that alignment leaves equal */
    return (size_t)(x >> 17);
}

PtrMap ptrmap_in(Arena *a)
{
    return (PtrMap){ .a = a };
}

static PtrSlot *ptr_slot(const PtrMap *m, const void *key)
{
    size_t i = hash_ptr(key) & (m->cap - 1);

    while (m->slot[i].key && m->slot[i].key != key)
        i = (i + 1) & (m->cap - 1);
    return &m->slot[i];
}

void ptrmap_put(PtrMap *m, const void *key, void *value)
{
    PtrSlot *s;

    if (2 * (m->n + 1) > m->cap) {
        PtrMap bigger = { .a = m->a, .cap = m->cap ? 2 * m->cap : 64, .n = m->n };

        bigger.slot = ARENA_ARRAY(m->a, PtrSlot, bigger.cap);
        for (size_t i = 0; i < m->cap; i++)
            if (m->slot[i].key)
                *ptr_slot(&bigger, m->slot[i].key) = m->slot[i];
        *m = bigger;
    }
    s = ptr_slot(m, key);
    m->n += !s->key;
    *s = (PtrSlot){ key, value };
}

void *ptrmap_get(const PtrMap *m, const void *key)
{
    return m->cap ? ptr_slot(m, key)->value : NULL;
}

StrMap strmap_in(Arena *a)
{
    return (StrMap){ .a = a };
}

static StrSlot *str_slot(const StrMap *m, Str key)
{
    size_t i = (size_t)digest64(key.p, key.n) & (m->cap - 1);

    while (m->slot[i].key.p && !str_eq(m->slot[i].key, key))
        i = (i + 1) & (m->cap - 1);
    return &m->slot[i];
}

bool strmap_add(StrMap *m, Str key, void *value)
{
    StrSlot *s;

    if (2 * (m->n + 1) > m->cap) {
        StrMap bigger = { .a = m->a, .cap = m->cap ? 2 * m->cap : 64, .n = m->n };

        bigger.slot = ARENA_ARRAY(m->a, StrSlot, bigger.cap);
        for (size_t i = 0; i < m->cap; i++)
            if (m->slot[i].key.p)
                *str_slot(&bigger, m->slot[i].key) = m->slot[i];
        *m = bigger;
    }
    s = str_slot(m, key);
    if (s->key.p)
        return false;
    m->n++;
    *s = (StrSlot){ key, value };
    return true;
}

void *strmap_get(const StrMap *m, Str key)
{
    return m->cap ? str_slot(m, key)->value : NULL;
}
