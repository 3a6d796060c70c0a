/* Layouts: how a kernel reads packed weights.  One row each in layouts.def, where their bytes are drawn.
 *
 * A packed weight [n_out, n_in] is ceil(n_out / rows) tiles, one after another; a tile is n_in / cols tile blocks of
 * block_bytes (in a layout of two parts their first and second parts, with bounds of the rows between them).  Rows beyond n_out decode to 0. */
#ifndef SN_LAYOUTS_H
#define SN_LAYOUTS_H

#include "ir/formats.h"

/* Scales of a row: none; one half for a tile block; one half for a tile block and an integer for each group. */
typedef enum { SCALE_none, SCALE_f16, SCALE_f16_u8, SCALE_f16_i8 } LayoutScale;
/* What was added to a code to make it unsigned, or that there is a minimum. */
typedef enum {
    OFFSET_minimum = -1,
    OFFSET_none = 0,
    OFFSET_center1 = 1,
    OFFSET_center8 = 8,
    OFFSET_center16 = 16,
    OFFSET_center32 = 32,
    OFFSET_center128 = 128
} LayoutOffset;

typedef struct {
    const char *name;
    int bits, high_bits;            /* of a code, or of a value: in the first plane, and in the second one; 0 bits: base 3 */
    int group;                      /* weights with one scale */
    LayoutScale scale;
    LayoutOffset offset;
    int rows, cols;                 /* of a tile block; cols is 1 or a multiple of 32 */
    int block_bytes;
    const char *help;
} Layout;

typedef enum {
#define LAYOUT(name, ...) LAYOUT_##name,
#include "ir/layouts.def"
    N_LAYOUTS
} LayoutId;

extern const Layout layout_table[N_LAYOUTS];

const Layout *layout_find(Str name);                         /* NULL: no such layout */
/* The layout that holds a weight of this format in the fewest bytes; NULL: none (integers, activations). */
const Layout *layout_for_format(const Format *f);
/* The layout that is a tensor of f as it is; NULL: none (formats of blocks, halves). */
const Layout *layout_rowmajor(const Format *f);
/* Can rows of f be packed into l so that layout_row gives back exactly what f decodes to? */
bool layout_takes(const Layout *l, const Format *f);
/* The same if all codes are among those that l has, although f may have others (tq2_0's 2 d in base 3); and are those of n weights? */
bool layout_may_take(const Layout *l, const Format *f);
bool layout_holds(const Layout *l, const Format *f, const uint8_t *src, int64_t n);

/* The layout in which each row of a weight of this format is in one piece, for tables of which only rows are read; NULL: none does. */
const Layout *layout_rows_for(const Format *f);

/* The layout that holds a weight of this format in two parts, so that a head may be read in two stages; NULL: none does. */
const Layout *layout_split_for(const Format *f);
bool layout_is_split(const Layout *l);

/* Bytes of a tile, and of a whole weight.  n_in is a multiple of l->cols. */
uint64_t layout_tile_bytes(const Layout *l, int64_t n_in);
uint64_t layout_bytes(const Layout *l, int64_t n_out, int64_t n_in);

/* Transcodes n_rows rows (1 .. l->rows) of format f into one tile, losslessly; missing rows become zero.
 *
 *   tile         layout_tile_bytes(l, n_in) bytes, all written
 *   rows         the first source row; row i begins row_stride_bytes * i later
 *
 * layout_takes(l, f) must hold, or layout_may_take(l, f), and layout_holds of all rows. */
void layout_pack_tile(const Layout *l, const Format *f, uint8_t *tile, const uint8_t *rows, uint64_t row_stride_bytes,
                      int n_rows, int64_t n_in);
/* Row r (0 .. l->rows - 1) of a tile as n_in floats: the inverse. */
void layout_row(const Layout *l, float *y, const uint8_t *tile, int r, int64_t n_in);

#endif
