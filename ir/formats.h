/* Formats: how numbers lie in memory, in files and between stages.  One row each in formats.def, the bytes drawn in
 * ir/formats/NAME.c.
 *
 * A row of a tensor is n / block blocks of `bytes` bytes, one after another, little-endian, without padding; n is always a
 * multiple of `block`. */
#ifndef SN_FORMATS_H
#define SN_FORMATS_H

#include "ir/base/base.h"

typedef enum {
#define FORMAT(name, ...) FMT_##name,
#include "ir/formats.def"
    N_FORMATS
} FormatId;

typedef enum { FORMAT_float, FORMAT_int, FORMAT_block } FormatKind;

enum {
    FORMAT_MAX_BLOCK = 256,         /* numbers in a block */
    FORMAT_MAX_BYTES = 352,         /* of a block */
    FORMAT_MAX_GROUPS = 16          /* groups of a block that have scales of their own */
};

/* Scales of one block.  d and m are halves as bits, +0 where there is no minimum; s and t small integers, one for each group, all 1
 * where the format has none. */
typedef struct {
    uint16_t d, m;
    int16_t s[FORMAT_MAX_GROUPS], t[FORMAT_MAX_GROUPS];
} FormatScales;

/* How a block format stores its weights as integers.  A block is cut into groups; for weight i of group g = i / group
 *
 *     w = (d * s[g]) * code            or            w = (d * s[g]) * code + m * t[g]             lo <= code <= hi
 *
 * All products are exact in a float (11 bits of a half, at most 8 of s or t, 8 of a code, and no more than 24 together), so that
 * decoding rounds once, in the sum, or not at all.  What layouts transcode from, without ever going through floats. */
typedef enum { SUBSCALES_none, SUBSCALES_u6, SUBSCALES_i8 } FormatSubscales;
typedef struct {
    int lo, hi;
    int group;                      /* weights with one s (and t): a divisor of the block; without s the block itself */
    FormatSubscales sub;            /* what s and t are: none (1), 0 .. 63, -128 .. 127 */
    bool has_min;
    void (*read)(const uint8_t *block, int *code, FormatScales *scales);        /* NULL: no such codes; else see format_codes */
} FormatCodes;

typedef struct Format Format;
struct Format {
    const char *name;
    int gguf_type;                  /* -1: no GGUF file holds it */
    int block;                      /* numbers per block */
    int bytes;                      /* per block */
    FormatKind kind;
    /* n numbers, n a multiple of block.  Neither pointer needs to be aligned for src and dst. */
    void (*decode)(float *y, const uint8_t *src, int64_t n);
    void (*encode)(uint8_t *dst, const float *x, int64_t n);
    const FormatCodes *codes;       /* NULL, or read NULL: not integer codes with half scales */
    const char *help;
};

extern const Format format_table[N_FORMATS];

/* The least and the largest number of an integer format of at most 32 bits. */
void format_int_range(const Format *f, int64_t *lo, int64_t *hi);

static inline bool format_has_codes(const Format *f) { return f->codes && f->codes->read; }
static inline FormatId format_id(const Format *f) { return (FormatId)(f - format_table); }
const Format *format_find(Str name);                         /* NULL: no such format */
const Format *format_of_gguf_type(uint32_t type);            /* NULL: no such format */
/* Names of all formats, NULL-terminated: for str_nearest and help. */
extern const char *const format_names[N_FORMATS + 1];

/* Bytes of n numbers.  false: n is not a multiple of the block, negative, or the size does not fit. */
bool format_bytes(const Format *f, int64_t n, uint64_t *out);

/* Activations for panels (i8g64 .. i8g256): rows of them begin at multiples of 64 bytes where they lie between stages. */
static inline bool format_is_i8(const Format *f) { return format_id(f) >= FMT_i8g64 && format_id(f) <= FMT_i8g256; }
/* The one with the most numbers in a group that cut rows of n evenly; NULL: n is no multiple of 64. */
const Format *format_i8(int64_t n);

/* Activations in 8 bits: blocks of 32 numbers, each with its d (q8), or eight with the same d (q8g256). */
enum { BLOCK_Q8 = 32 };
static inline bool format_is_q8(const Format *f) { return format_id(f) == FMT_q8 || format_id(f) == FMT_q8g256; }

/* The codes of one block (f->block of them) and its scales, every field of them.  false: f has no such codes. */
bool format_codes(const Format *f, const uint8_t *block, int *code, FormatScales *scales);

/* Bits of IEEE halves and bfloat16.  To float is exact (NaN keeps its payload); from float rounds to nearest, ties to even, large
 * values become infinite, NaN stays NaN and becomes quiet. */
float f16_to_f32(uint16_t h);
uint16_t f32_to_f16(float x);
float bf16_to_f32(uint16_t h);
uint16_t f32_to_bf16(float x);

#endif
