/* The memory of one compilation: a chain of blocks that grow, handed out from the front, freed all at once.
 *
 *     top -> [ header | object | object | ...free ] -> [ header | ... ] -> NULL
 *
 * An object begins at a multiple of 16 and is zeroed.  A mark is (top block, bytes used in it); rewinding frees the blocks
 * above.  Under AddressSanitizer a block begins poisoned, each object is unpoisoned on its own, and at least 16 poisoned
 * bytes follow it, so that an index past the end of an array is found although the arena is one piece of memory. */
#include "ir/base/base.h"

#include <stdlib.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) && !defined(ARENA_ASAN)
#define ARENA_ASAN 1
#endif

#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
enum { GAP = 16 };
static void poison(void *p, size_t n) { __asan_poison_memory_region(p, n); }
static void unpoison(void *p, size_t n) { __asan_unpoison_memory_region(p, n); }
#else
enum { GAP = 0 };
static void poison(void *p, size_t n) { (void)p; (void)n; }
static void unpoison(void *p, size_t n) { (void)p; (void)n; }
#endif

enum {
    ALIGN = 16,
    FIRST_BLOCK = 64 << 10,         /* a small command never needs a second block */
    LARGEST_BLOCK = 4 << 20         /* blocks double up to here; larger objects get a block of their own */
};

typedef struct Block Block;
struct Block {
    Block *below;
    size_t size, used;              /* bytes after the header */
    size_t pad;                     /* makes the header a multiple of 16 on 64-bit machines */
};

#define HEADER ((sizeof(Block) + ALIGN - 1) / ALIGN * ALIGN)

struct Arena {
    Block *top;
    jmp_buf *on_oom;
    size_t next_size;
    uint64_t n_allocs;
    uint64_t fail_in;               /* this many allocations from now one fails; 0: none */
    Arena *parent;                  /* of a child: counts for it too; NULL: none */
    Arena *child, *sibling;         /* freed with this one */
};

static uint8_t *block_data(Block *b)
{
    return (uint8_t *)b + HEADER;
}

static void out_of_memory(Arena *a, size_t bytes)
{
    if (a->on_oom)
        longjmp(*a->on_oom, 1);
    fprintf(stderr, "sinter: out of memory (%zu bytes wanted)\n", bytes);
    abort();
}

Arena *arena_new(jmp_buf *on_oom)
{
    Arena *a = calloc(1, sizeof *a);

    if (a) {
        a->on_oom = on_oom;
        a->next_size = FIRST_BLOCK;
    }
    return a;
}

Arena *arena_child(Arena *a)
{
    Arena *c = calloc(1, sizeof *c);

    if (!c)
        out_of_memory(a, sizeof *c);
    c->on_oom = a->on_oom;
    c->next_size = FIRST_BLOCK;
    c->parent = a->parent ? a->parent : a;
    c->sibling = c->parent->child;
    c->parent->child = c;
    return c;
}

static void free_top(Arena *a)
{
    Block *b = a->top;

    a->top = b->below;
    unpoison(block_data(b), b->size);
    free(b);
}

void arena_free(Arena *a)
{
    if (!a)
        return;
    for (Arena *c = a->child, *next; c; c = next) {
        next = c->sibling;
        arena_free(c);
    }
    while (a->top)
        free_top(a);
    free(a);
}

/* A block with room for `bytes`; NULL when there is no memory. */
static Block *add_block(Arena *a, size_t bytes)
{
    size_t size = bytes > a->next_size ? bytes : a->next_size;
    Block *b;

    if (size > SIZE_MAX - HEADER)
        return NULL;
    b = malloc(HEADER + size);
    if (!b)
        return NULL;
    b->below = a->top;
    b->size = size;
    b->used = 0;
    poison(block_data(b), size);
    a->top = b;
    if (a->next_size < LARGEST_BLOCK)
        a->next_size *= 2;
    return b;
}

void *arena_alloc(Arena *a, size_t n, size_t size)
{
    uint64_t bytes, room;
    Arena *counter = a->parent ? a->parent : a;
    Block *b = a->top;
    uint8_t *p;

    counter->n_allocs++;
    if (counter->fail_in && --counter->fail_in == 0)
        out_of_memory(a, n * size);
    if (!mul_ok(n, size, &bytes) || bytes > SIZE_MAX - GAP - ALIGN)
        out_of_memory(a, SIZE_MAX);
    room = align_up(bytes + GAP, ALIGN);
    if (room == 0)
        room = ALIGN;               /* two objects of no bytes still have different addresses */
    if (!b || b->size - b->used < room) {
        b = add_block(a, (size_t)room);
        if (!b)
            out_of_memory(a, (size_t)bytes);
    }
    p = block_data(b) + b->used;
    b->used += (size_t)room;
    unpoison(p, (size_t)bytes);
    memset(p, 0, (size_t)bytes);
    return p;
}

ArenaMark arena_mark(Arena *a)
{
    return (ArenaMark){ a->top, a->top ? a->top->used : 0 };
}

void arena_rewind(Arena *a, ArenaMark m)
{
    while (a->top && a->top != m.block)
        free_top(a);
    if (!a->top && m.block)
        bug("an arena is rewound to a mark that is already gone");
    if (a->top) {
        poison(block_data(a->top) + m.used, a->top->size - m.used);
        a->top->used = m.used;
    }
}

void arena_fail_after(Arena *a, uint64_t n)
{
    a->fail_in = n;
}

uint64_t arena_n_allocs(const Arena *a)
{
    return a->n_allocs;
}
