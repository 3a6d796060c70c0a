/* The kernel library as the kernel reader saw it when sinter was built: linked in, read-only.
 *
 * A *unit* is everything that one ISA may use: its own kernels and those it falls back on, down to the portable ones.  Its
 * *entities* are declarations (functions, tables, types, enums, constants) in the order in which a compiler must meet them,
 * each with its text and with what it needs; a *kernel* is an entity that has a contract (SN_KERNEL in runtime/kernels).
 *
 *     const KernelUnit *u = kernel_unit("avx512vnni");
 *     const KernelInfo *k = kernel_find(u, NULL, "dot", "i4g32m_r32k4", "q8", 1);
 *     const char *names[] = { k->name, "sn_silu" };
 *     bool *wanted = ARENA_ARRAY(a, bool, u->n_entities);
 *     if (!kernel_closure(u, names, 2, wanted))
 *         bug(...);
 *     kernel_emit(&out, u, wanted);
 */
#ifndef SN_KERNELS_H
#define SN_KERNELS_H

#include "ir/base/base.h"

typedef struct {
    const char *name;               /* the C function, e.g. sn_dot_i4g32m_r32k4_q8_avx512vnni */
    const char *op;                 /* dot row rmsnorm quant quant256 quant_i8 unpack gemm gemm_end bound score score4 mix mix4 max exp_sum store_f16 silu gelu_tanh; those of image.h */
    const char *layout;             /* "" where the op has none */
    const char *act;                /* activations (x=) or cache entries (kv=): q8 f32 f16; of images how they lie: any nhwc planar padded */
    const char *isa;                /* portable avx2 avx512vnni neon dotprod */
    const char *features;           /* "avx2+fma+f16c"; "" for the baseline */
    const char *order;              /* equal orders give equal bits whatever the tile */
    const char *panel;              /* of images: how inputs lie between two kernels (runtime/kernels/image.h); "" where there is none */
    int before, after, align, in_place; /* of images, likewise; 0 where the contract does not say */
    int tile_rows, tile_tokens;     /* 0 where the op has no tile */
    int entity;                     /* index into the unit's entities */
} KernelInfo;

typedef struct {
    const char *name;               /* "" for an enum or assertion without one */
    const char *kind;               /* function table typedef struct enum macro assert */
    const char *text;               /* with its leading comment, without the annotation; no newline at the end */
    const int *needs;               /* entities that its text refers to directly; all come from the same unit */
    int n_needs;
    int file;                       /* which of the unit's files it stands in */
} KernelEntity;

typedef struct {
    const char *header;             /* e.g. stdint.h */
    int file;                       /* a file that includes it, itself or through another */
} KernelInclude;

typedef struct {
    const char *isa;                /* its name: that of its best ISA */
    const char *const *isas;        /* the ISAs in it, best first, "portable" last, then NULL */
    const KernelInfo *kernels;
    int n_kernels;
    const KernelEntity *entities;
    int n_entities;
    const KernelInclude *includes;  /* system headers */
    int n_includes;
} KernelUnit;

/* What the reader printed: units, ended by one whose isa is NULL. */
extern const KernelUnit kernel_units[];

/* The unit of an ISA, or NULL. */
const KernelUnit *kernel_unit(const char *isa);
/* The unit of the first of the ISAs (NULL-terminated) that the library has kernels for, or NULL. */
const KernelUnit *kernel_unit_of(const char *const *isas);

/* The first kernel of that contract, trying `isas` (NULL-terminated, best first; NULL: the unit's own list) in turn.
 * layout or act NULL: any.  tile_tokens: exactly that many, 0: any.  NULL if there is none. */
const KernelInfo *kernel_find(const KernelUnit *u, const char *const *isas, const char *op, const char *layout,
                              const char *act, int tile_tokens);

/* Marks in `wanted` (n_entities flags, which may have marks already) the named entities and all that they transitively
 * need; an assertion is marked when everything it speaks of is.  False, and nothing marked, when a name is unknown. */
bool kernel_closure(const KernelUnit *u, const char *const *names, int n, bool *wanted);

/* Writes C that compiles by itself: the system headers that the marked entities' files include, then their texts in order.
 * The caller adds what surrounds it (a comment, an include guard).  lead: what SN_LEAD is to be, 0 or more; below 0: as in the library. */
void kernel_emit(Buf *out, const KernelUnit *u, const bool *wanted, int64_t lead);

#endif
