/* AMX (Sapphire Rapids and later servers): panels of 8-bit codes times many tokens' activations, in tiles of int32 sums.
 *
 * The contract is portable/gemm.c's and the results are its bits: integers are exact, and the float part has the same three
 * roundings a group.  Everything but `gemm` is avx512vnni's.
 *
 * A panel lies as tiles want it: 64 columns of 16 rows are 16 lines, 128 bytes apart.  Activations are read where they lie, 16
 * tokens at a time.  So a step of 64 columns of 32 tokens x 32 rows is four tiles loaded and four products, 16 cycles each:
 *
 *     tokens t .. t+15     A 4 |  C 0   C 1        for each group of columns: zero C, add products, store C, and while the next
 *            t+16 .. t+31  A 5 |  C 2   C 3        block's products are under way, scale these sums into acc
 *
 * The last tokens' tile begins early enough to end with the last token, so that some sums are computed twice, and used once.  Fewer
 * than 16 tokens make tiles of so many rows.
 *
 * A group of the panel (32 rows x 256 columns: 8 KB) stays in the first-level cache for all tokens. */
#include "../kernel.h"

/* Sums of one group that wait to be scaled. */
typedef struct {
    const int32_t *sums;                            /* [n][32] */
    const float *d;                                 /* [32]: the panel's scales of the group */
    const int8_t *scales;                           /* of token 0: its SnI8Scale of the group */
    float *acc;                                     /* of token 0 */
    int x_stride, acc_stride, first, n;             /* first: acc is not read, it counts as 0; n: tokens */
} SnSums;

static SN_APART void sn_add_sums_amx(const SnSums *p)
{
    const __m512 d0 = _mm512_loadu_ps(p->d), d1 = _mm512_loadu_ps(p->d + 16);
    const int x_stride = p->x_stride, acc_stride = p->acc_stride, n = p->n;
    const __mmask16 keep = p->first ? 0 : 0xffff;
    const int8_t *scales = p->scales;
    const int32_t *sums = p->sums;
    float *acc = p->acc;

    for (int t = 0; t < n; t++, sums += SN_ROWS, scales += x_stride, acc += acc_stride) {
        const SnI8Scale *s = (const SnI8Scale *)(const void *)scales;
        const __m512 v = _mm512_set1_ps(s->d);
        const __m512i middle = _mm512_set1_epi32(-128 * s->sum);
        const __m512 a = _mm512_maskz_loadu_ps(keep, acc), b = _mm512_maskz_loadu_ps(keep, acc + 16);
        const __m512 f = _mm512_cvtepi32_ps(_mm512_add_epi32(_mm512_loadu_si512(sums), middle));
        const __m512 g = _mm512_cvtepi32_ps(_mm512_add_epi32(_mm512_loadu_si512(sums + 16), middle));

        _mm512_storeu_ps(acc, _mm512_add_ps(a, _mm512_mul_ps(f, _mm512_mul_ps(d0, v))));
        _mm512_storeu_ps(acc + 16, _mm512_add_ps(b, _mm512_mul_ps(g, _mm512_mul_ps(d1, v))));
    }
}

/* 64 columns of 16 (two: 32) tokens x 32 rows added to the tiles; a and b are the tokens' activations, w the panel's codes. */
__attribute__((always_inline))
static inline void sn_add_step_amx(const int8_t *a, const int8_t *b, int x_stride, const uint8_t *w, int two)
{
    sn_tile_load_amx(4, a, x_stride);
    sn_tile_load_amx(6, w, 128);
    sn_tile_add_amx(0);
    sn_tile_load_amx(7, w + 64, 128);
    sn_tile_add_amx(1);
    if (two) {
        sn_tile_load_amx(5, b, x_stride);
        sn_tile_add_amx(2);
        sn_tile_add_amx(3);
    }
}

/* A group of so many columns, a multiple of 64. */
__attribute__((always_inline))
static inline void sn_add_group_amx(const int8_t *a, const int8_t *b, int x_stride, const uint8_t *w, int group, int two)
{
    sn_tile_zero_amx(0);
    sn_tile_zero_amx(1);
    if (two) {
        sn_tile_zero_amx(2);
        sn_tile_zero_amx(3);
    }
    #pragma GCC unroll 1
    for (int k = 0; k < group; k += 64)
        sn_add_step_amx(a + k, b + k, x_stride, w + 32 * k, two);
}

/* Tiles of 16 tokens, or of so many as there are; a shape that is there stays, because a new one takes as long as some ten products. */
static inline void sn_shape_tiles_amx(int rows)
{
    SnTiles shape = { .palette = 1 }, before;

    for (int i = 0; i < 8; i++) {
        shape.row_bytes[i] = 64;
        shape.rows[i] = (uint8_t)(i < 6 ? rows : 16);
    }
    sn_tiles_shape_amx(&before);
    if (_mm512_cmpneq_epi64_mask(_mm512_loadu_si512(&before), _mm512_loadu_si512(&shape)))
        sn_tiles_begin_amx(&shape);
}

SN_KERNEL(op=gemm, x=i8, tile=32x32, isa=amx, features=x86_64_v4+avx512vnni+amx_tile+amx_int8, order=groups)
static SN_APART void sn_gemm_i8_amx(float *acc, int acc_stride, const uint8_t *panel, const int8_t *x, int x_stride, int n_in,
                                    int group, int n)
{
    int32_t sums[32 * SN_ROWS] __attribute__((aligned(64)));
    SnSums due = { .n = 0 };

    if (n <= 0)
        return;
    sn_shape_tiles_amx(n < 16 ? n : 16);
    for (int c = 0; c < n_in; c += group) {
        const uint8_t *w = panel + SN_ROWS * c;

        for (int t = 0; t < n; t += 32) {
            const int tokens = n - t < 32 ? n - t : 32, two = tokens > 16;
            const int first = two || n < 16 ? t : t < n - 16 ? t : n - 16;          /* the first tile's first token */
            const int second = t + 16 < n - 16 ? t + 16 : n - 16;
            const int8_t *a = x + (intptr_t)x_stride * first + c, *b = x + (intptr_t)x_stride * second + c;

            if (two)
                sn_add_group_amx(a, b, x_stride, w, group, 1);
            else
                sn_add_group_amx(a, a, x_stride, w, group, 0);
            if (due.n)
                sn_add_sums_amx(&due);
            sn_tile_store_amx(0, sums, 128);
            sn_tile_store_amx(1, sums + 16, 128);
            if (two) {
                sn_tile_store_amx(2, sums + SN_ROWS * (second - first), 128);
                sn_tile_store_amx(3, sums + SN_ROWS * (second - first) + 16, 128);
            }
            due = (SnSums){ sums + SN_ROWS * (t - first), sn_panel_scales(panel, n_in) + c / group * SN_ROWS,
                            x + (intptr_t)x_stride * t + n_in + 8 * (c / group), acc + (intptr_t)acc_stride * t,
                            x_stride, acc_stride, c == 0, tokens };
        }
    }
    sn_add_sums_amx(&due);
}

SN_KERNEL(op=gemm_end, isa=amx, features=x86_64_v4+avx512vnni+amx_tile+amx_int8, order=exact)
static inline void sn_gemm_end_amx(void)
{
    sn_tiles_end_amx();
}
