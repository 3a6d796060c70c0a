/* What every kernel file may use: fixed-width types, the annotation, the activation block, loads from packed bytes.
 *
 * Kernels are `static inline` or SN_APART, include this header and their ISA's intrinsics and nothing else, use no
 * function-like macro but SN_KERNEL, no #if inside a function and one declarator per declaration at file scope.  They are
 * compiled with -O3, -ffp-contract=off (a fused multiply-add is written where one is meant) and never with -ffast-math.
 * Packed weights and every integer in them are little-endian, and so are all machines that kernels exist for. */
#ifndef SN_KERNEL_H
#define SN_KERNEL_H

#include <stdint.h>

/* The contract of a kernel, `key=value` pairs:
 *
 *   op        dot row rmsnorm quant quant256 quant_i8 unpack gemm gemm_end bound score score4 mix mix4 max exp_sum store_f16
 *             and those of integer networks: image.h
 *   layout    of the packed weights (ir/layouts.def; of integer networks ir/image_layouts.h); dot, row, unpack and bound only
 *   x, kv     format of the activations, or of the cache's entries; of images how they lie
 *   panel     of images: how inputs lie between two kernels
 *   tile      rows x tokens of results
 *   isa       portable avx2 avx512vnni amx neon dotprod
 *   features  what a CPU must have, joined by +; none for its baseline
 *   order     the order of sums: kernels of one order give the same bits for the same output, whatever their tile
 *
 * Only the kernel reader sees it as an attribute (gcc does not know `annotate`). */
#ifdef SN_READER
#define SN_KERNEL(...) __attribute__((annotate("sn_kernel:" #__VA_ARGS__)))
#else
#define SN_KERNEL(...)
#endif

/* Asks for the line at p, into the first-level cache.  (gcc 12 takes a function that does nothing but prefetch for one without
 * effect and drops its calls, unless it is inlined before.) */
__attribute__((always_inline))
static inline void sn_ask(const uint8_t *p)
{
    __builtin_prefetch(p, 0, 3);
}

/* The same for n bytes. */
__attribute__((always_inline))
static inline void sn_ask_lines(const uint8_t *p, int n)
{
    for (int i = 0; i < n; i += 64)
        sn_ask(p + i);
}

/* How far ahead of what it reads a kernel of x86-64 asks, in bytes.  The target says so (`prefetch` of its `tuning`): in an emitted folder its
 * number stands here (codegen/kernels.c). */
enum { SN_LEAD = 8192 };

/* What to ask for while w is read.  Weights lie in the order in which they are used, so what is SN_LEAD bytes further on is needed that
 * much later, be it in this tile, the next one, another chunk's or another stage's; behind the last one asking does nothing.  next NULL:
 * what is at hand already; a tile's next tokens read it again. */
__attribute__((always_inline))
static inline const uint8_t *sn_ahead(const uint8_t *w, const uint8_t *next)
{
    return next ? w + SN_LEAD : w;
}

enum {
    SN_ROWS = 32,               /* rows of a tile of packed weights */
    SN_GROUP = 32,              /* columns that share a scale, in weights and in activations */
    SN_I8_BLOCK = 1088,         /* bytes of 32 x 32 weights: i8g64_r32k4 */
    SN_I4_BLOCK = 576,          /* i4g32_r32k4 */
    SN_I4M_BLOCK = 640          /* i4g32m_r32k4 */
};

/* 32 activations in 8 bits (format q8):  x[i] = d * q[i], -127 <= q[i] <= 127.
 *
 *     byte  0   4    8     12                          44
 *           | d | ds | sum | q[0]  q[1]  ...    q[31]  |        ds = d * sum(q), sum = sum(q): what minima and zero
 *                                                               points are multiplied with                           */
typedef struct {
    float d;
    float ds;
    int32_t sum;
    int8_t q[SN_GROUP];
} SnQ8;
_Static_assert(sizeof(SnQ8) == 44, "SnQ8 has no padding");   /* format q8g256: eight of them with the same d */

/* A group of activations in 8 bits of a row that meets panels (formats i8g64 .. i8g256); portable/gemm.c says how rows and panels lie. */
typedef struct {
    float d;
    int32_t sum;
} SnI8Scale;
_Static_assert(sizeof(SnI8Scale) == 8, "SnI8Scale has no padding");

enum {
    SN_I8_GROUP = 256,          /* most columns of a group */
    SN_TURN = 64                /* columns that are turned together */
};

/* The scales of such a row, and of a panel, which lie behind the codes. */
static inline const SnI8Scale *sn_i8_scales(const int8_t *x, int n_in)
{
    return (const SnI8Scale *)(const void *)(x + n_in);
}

static inline float *sn_panel_scales(const uint8_t *panel, int n_in)
{
    return (float *)(uintptr_t)(panel + SN_ROWS * n_in);
}

/* A kernel or helper that works on a whole tile, block or span stays a function of its own: inlined and unrolled into every
 * stage, the plain kernels of a model take 162 KB instead of 68, those of AVX-512 49 instead of 35, and are no faster. */
#define SN_APART __attribute__((noinline, unused))

/* Numbers that lie anywhere in packed bytes. */
static inline uint16_t sn_load_u16(const uint8_t *p)
{
    uint16_t v;

    __builtin_memcpy(&v, p, sizeof v);
    return v;
}

static inline uint32_t sn_load_u32(const uint8_t *p)
{
    uint32_t v;

    __builtin_memcpy(&v, p, sizeof v);
    return v;
}

/* A float's bits, and the float that has them. */
static inline uint32_t sn_bits(float f)
{
    uint32_t v;

    __builtin_memcpy(&v, &f, sizeof v);
    return v;
}

static inline float sn_float(uint32_t bits)
{
    float f;

    __builtin_memcpy(&f, &bits, sizeof f);
    return f;
}

/* Asks for n bytes at p, 64 at a time, into the second-level cache. */
static inline void sn_prefetch(const uint8_t *p, int n)
{
    for (int i = 0; i < n; i += 64)
        __builtin_prefetch(p + i, 0, 2);
}

#endif
