/* Panels of 8-bit codes with AVX2: contracts in portable/gemm.c.  The products are AVX-VNNI's (avxvnni_gemm.c): AVX2 alone multiplies
 * codes of 8 bits with their signs moved to the activations, 86 G multiply-adds a second where the four-token kernels of 4-bit codes
 * reach 113 (Zen 5), so there is no gemm.
 *
 * unpack: portable/gemm.c puts codes and scales to their places, which compilers make vectors of; a group is turned and rounded here. */
#include <immintrin.h>
#include "../kernel.h"

/* ---- unpack ---------------------------------------------------------------------------------------------------------------- */

/* Sums and differences of what is `h` apart among 8 vectors. */
__attribute__((always_inline))
static inline void sn_turn_vectors_avx2(__m256 *v, int h)
{
    for (int k = 0; k < 8; k++)
        if (!(k & h)) {
            const __m256 sum = _mm256_add_ps(v[k], v[k + h]);

            v[k + h] = _mm256_sub_ps(v[k], v[k + h]);
            v[k] = sum;
        }
}

/* SN_TURN columns of 8 rows, from their codes at p, turned: v[8 c + r].  Column c has d[SN_ROWS (c / sub)] and o.  Returns what max_bits
 * becomes. */
__attribute__((always_inline))
static inline __m256i sn_turn_codes_avx2(float *v, const uint8_t *p, const float *d, const float *o, int sub, __m256i max_bits)
{
    const __m256i byte = _mm256_set1_epi32(0xff);
    const __m256i positive = _mm256_set1_epi32(0x7fffffff);

    #pragma GCC unroll 1
    for (int c = 0; c < SN_TURN; c += 8) {
        const __m256 scale = _mm256_loadu_ps(d + SN_ROWS * (c / sub));
        const __m256 offset = _mm256_loadu_ps(o + SN_ROWS * (c / sub));
        __m256 w[8];

        for (int k = 0; k < 2; k++) {
            const __m256i u = _mm256_loadu_si256((const __m256i *)(const void *)(p + SN_ROWS * (c + 4 * k)));

            w[4 * k] = _mm256_cvtepi32_ps(_mm256_and_si256(u, byte));
            w[4 * k + 1] = _mm256_cvtepi32_ps(_mm256_and_si256(_mm256_srli_epi32(u, 8), byte));
            w[4 * k + 2] = _mm256_cvtepi32_ps(_mm256_and_si256(_mm256_srli_epi32(u, 16), byte));
            w[4 * k + 3] = _mm256_cvtepi32_ps(_mm256_srli_epi32(u, 24));
        }
        for (int k = 0; k < 8; k++)
            w[k] = _mm256_fmadd_ps(w[k], scale, offset);
        sn_turn_vectors_avx2(w, 1);
        sn_turn_vectors_avx2(w, 2);
        sn_turn_vectors_avx2(w, 4);
        for (int k = 0; k < 8; k++)
            _mm256_storeu_ps(v + 8 * (c + k), w[k]);
    }
    #pragma GCC unroll 1
    for (int c = 0; c < 8; c++) {
        __m256 w[8];

        for (int k = 0; k < 8; k++)
            w[k] = _mm256_loadu_ps(v + 8 * (8 * k + c));
        sn_turn_vectors_avx2(w, 1);
        sn_turn_vectors_avx2(w, 2);
        sn_turn_vectors_avx2(w, 4);
        for (int k = 0; k < 8; k++) {
            max_bits = _mm256_max_epi32(max_bits, _mm256_and_si256(_mm256_castps_si256(w[k]), positive));
            _mm256_storeu_ps(v + 8 * (8 * k + c), w[k]);
        }
    }
    return max_bits;
}

/* sn_round_panel, 8 rows at a time. */
static SN_APART void sn_round_avx2(uint8_t *panel, float *scale, const SnSubs *subs, int group, int sub)
{
    const __m256 middle = _mm256_set1_ps(12583040.0f);      /* 1.5 * 2^23 + 128: rounds, and leaves code + 128 in the low byte */
    const __m256i byte = _mm256_set1_epi32(0xff);
    float v[SN_I8_GROUP * 8];

    for (int r = 0; r < SN_ROWS; r += 8) {
        __m256i max_bits = _mm256_setzero_si256();
        __m256 max, sound, inverse;

        for (int c = 0; c < group; c += SN_TURN)
            max_bits = sn_turn_codes_avx2(v + 8 * c, panel + SN_ROWS * c + 4 * r, subs->d + SN_ROWS * (c / sub) + r,
                                          subs->o + SN_ROWS * (c / sub) + r, sub, max_bits);
        max = _mm256_castsi256_ps(max_bits);
        sound = _mm256_and_ps(_mm256_cmp_ps(max, _mm256_set1_ps(1e-30f), _CMP_GT_OQ),
                              _mm256_cmp_ps(max, _mm256_set1_ps(3.402823466e38f), _CMP_LE_OQ));
        inverse = _mm256_and_ps(sound, _mm256_div_ps(_mm256_set1_ps(127.0f), max));
        _mm256_storeu_ps(scale + r, _mm256_mul_ps(_mm256_div_ps(max, _mm256_set1_ps(127.0f)), _mm256_set1_ps(0.125f)));
        for (int c = 0; c < group; c += 4) {
            __m256i w[4];

            for (int j = 0; j < 4; j++)
                w[j] = _mm256_and_si256(byte, _mm256_castps_si256(_mm256_fmadd_ps(_mm256_and_ps(sound, _mm256_loadu_ps(v + 8 * (c + j))),
                                                                                  inverse, middle)));
            w[0] = _mm256_or_si256(w[0], _mm256_slli_epi32(w[1], 8));
            w[2] = _mm256_or_si256(w[2], _mm256_slli_epi32(w[3], 8));
            _mm256_storeu_si256((__m256i *)(void *)(panel + SN_ROWS * c + 4 * r), _mm256_or_si256(w[0], _mm256_slli_epi32(w[2], 16)));
        }
    }
}

SN_KERNEL(op=unpack, layout=i8g32_r32k4, isa=avx2, features=avx2+fma+f16c, order=exact)
static SN_APART void sn_unpack_i8g32_r32k4_avx2(uint8_t *panel, const uint8_t *w, int n_in, int group)
{
    sn_unpack_one_level(panel, w, n_in, group, 8, SN_I8_BLOCK, 1024, 128, 0, sn_round_avx2);
}

SN_KERNEL(op=unpack, layout=i4g32_r32k4, isa=avx2, features=avx2+fma+f16c, order=exact)
static SN_APART void sn_unpack_i4g32_r32k4_avx2(uint8_t *panel, const uint8_t *w, int n_in, int group)
{
    sn_unpack_one_level(panel, w, n_in, group, 4, SN_I4_BLOCK, 512, 8, 0, sn_round_avx2);
}

SN_KERNEL(op=unpack, layout=i4g32m_r32k4, isa=avx2, features=avx2+fma+f16c, order=exact)
static SN_APART void sn_unpack_i4g32m_r32k4_avx2(uint8_t *panel, const uint8_t *w, int n_in, int group)
{
    sn_unpack_one_level(panel, w, n_in, group, 4, SN_I4M_BLOCK, 512, 0, 1, sn_round_avx2);
}

SN_KERNEL(op=unpack, layout=i5g32_r32k4, isa=avx2, features=avx2+fma+f16c, order=exact)
static SN_APART void sn_unpack_i5g32_r32k4_avx2(uint8_t *panel, const uint8_t *w, int n_in, int group)
{
    sn_unpack_one_level(panel, w, n_in, group, 5, SN_I5_BLOCK, 640, 16, 0, sn_round_avx2);
}

SN_KERNEL(op=unpack, layout=i4g32ms_r32k4, isa=avx2, features=avx2+fma+f16c, order=exact)
static SN_APART void sn_unpack_i4g32ms_r32k4_avx2(uint8_t *panel, const uint8_t *w, int n_in, int group)
{
    sn_unpack_two_levels(panel, w, n_in, group, 4, SN_I4MS_BLOCK, SN_I4MS_SPAN, 512, sn_round_avx2);
}

SN_KERNEL(op=unpack, layout=i5g32ms_r32k4, isa=avx2, features=avx2+fma+f16c, order=exact)
static SN_APART void sn_unpack_i5g32ms_r32k4_avx2(uint8_t *panel, const uint8_t *w, int n_in, int group)
{
    sn_unpack_two_levels(panel, w, n_in, group, 5, SN_I5MS_BLOCK, SN_I5MS_SPAN, 640, sn_round_avx2);
}

SN_KERNEL(op=unpack, layout=i6g16s_r32k4, isa=avx2, features=avx2+fma+f16c, order=exact)
static SN_APART void sn_unpack_i6g16s_r32k4_avx2(uint8_t *panel, const uint8_t *w, int n_in, int group)
{
    sn_unpack_i6g16s(panel, w, n_in, group, sn_round_avx2);
}

SN_KERNEL(op=unpack, layout=i2g256_r32k4, isa=avx2, features=avx2+fma+f16c, order=exact)
static SN_APART void sn_unpack_i2g256_r32k4_avx2(uint8_t *panel, const uint8_t *w, int n_in, int group)
{
    sn_unpack_i2g256(panel, w, n_in, group, sn_round_avx2);
}

SN_KERNEL(op=unpack, layout=t5g256_r32k4, isa=avx2, features=avx2+fma+f16c, order=exact)
static SN_APART void sn_unpack_t5g256_r32k4_avx2(uint8_t *panel, const uint8_t *w, int n_in, int group)
{
    sn_unpack_t5g256(panel, w, n_in, group, sn_round_avx2);
}

/* ---- activations ----------------------------------------------------------------------------------------------------------- */

/* Sums and differences of lanes whose numbers differ in one bit: `other` has them exchanged, `sign` is -1 where the bit is set.  The
 * product is exact, so one operation adds here and subtracts there with the bits of either. */
static inline __m256 sn_turn8_avx2(__m256 v)
{
    v = _mm256_fmadd_ps(v, _mm256_setr_ps(1, -1, 1, -1, 1, -1, 1, -1), _mm256_permute_ps(v, 0xb1));
    v = _mm256_fmadd_ps(v, _mm256_setr_ps(1, 1, -1, -1, 1, 1, -1, -1), _mm256_permute_ps(v, 0x4e));
    return _mm256_fmadd_ps(v, _mm256_setr_ps(1, 1, 1, 1, -1, -1, -1, -1), _mm256_permute2f128_ps(v, v, 1));
}

/* 8 floats to codes, one in each 32-bit lane: the product is exact inside the multiply-add, and 1.5 * 2^23 rounds half to even. */
static inline __m256i sn_codes8_avx2(const float *v, __m256 inverse)
{
    const __m256 middle = _mm256_set1_ps(12582912.0f);

    return _mm256_sub_epi32(_mm256_castps_si256(_mm256_fmadd_ps(_mm256_loadu_ps(v), inverse, middle)), _mm256_castps_si256(middle));
}

SN_KERNEL(op=quant_i8, x=f32, isa=avx2, features=avx2+fma+f16c, order=exact)
static SN_APART void sn_quant_i8_avx2(int8_t *q, SnI8Scale *scale, const float *x, int n)
{
    const __m256i positive = _mm256_set1_epi32(0x7fffffff);
    __m256i max_bits = _mm256_setzero_si256();
    __m256i sum = _mm256_setzero_si256();
    float turned[SN_I8_GROUP];
    int32_t lane[8];
    int32_t most = 0;
    float max, inverse;

    for (int i = 0; i < n; i += SN_TURN) {
        __m256 v[8];

        for (int k = 0; k < 8; k++)
            v[k] = sn_turn8_avx2(_mm256_loadu_ps(x + i + 8 * k));
        for (int h = 1; h < 8; h *= 2)
            for (int k = 0; k < 8; k++)
                if (!(k & h)) {
                    const __m256 both = _mm256_add_ps(v[k], v[k + h]);

                    v[k + h] = _mm256_sub_ps(v[k], v[k + h]);
                    v[k] = both;
                }
        for (int k = 0; k < 8; k++) {
            max_bits = _mm256_max_epi32(max_bits, _mm256_and_si256(_mm256_castps_si256(v[k]), positive));
            _mm256_storeu_ps(turned + i + 8 * k, v[k]);
        }
    }
    _mm256_storeu_si256((__m256i *)(void *)lane, max_bits);
    for (int k = 0; k < 8; k++)
        most = lane[k] > most ? lane[k] : most;
    max = sn_float((uint32_t)most);
    inverse = sn_to_codes(max);
    for (int i = 0; i < n && !(inverse > 0); i += 8)
        _mm256_storeu_ps(turned + i, _mm256_setzero_ps());
    for (int i = 0; i < n; i += 32) {
        __m256i code[4];

        for (int k = 0; k < 4; k++) {
            code[k] = sn_codes8_avx2(turned + i + 8 * k, _mm256_set1_ps(inverse));
            sum = _mm256_add_epi32(sum, code[k]);
        }
        code[0] = _mm256_packs_epi16(_mm256_packs_epi32(code[0], code[1]), _mm256_packs_epi32(code[2], code[3]));
        _mm256_storeu_si256((__m256i *)(void *)(q + i), _mm256_permutevar8x32_epi32(code[0], _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7)));
    }
    _mm256_storeu_si256((__m256i *)(void *)lane, sum);
    scale->d = max / 127.0f * 0.125f;
    scale->sum = lane[0] + lane[1] + lane[2] + lane[3] + lane[4] + lane[5] + lane[6] + lane[7];
}
