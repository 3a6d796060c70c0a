/* Panels of 8-bit codes with NEON: contracts in portable/gemm.c.  The products are sdot's (dotprod_gemm.c).
 *
 * unpack: portable/gemm.c puts codes and scales to their places, which compilers make vectors of; a group is turned and rounded here. */
#include <arm_neon.h>
#include "../kernel.h"

/* ---- unpack ---------------------------------------------------------------------------------------------------------------- */

/* Sums and differences of what is `h` apart among n vectors. */
__attribute__((always_inline))
static inline void sn_turn_vectors_neon(float32x4_t *v, int n, int h)
{
    for (int k = 0; k < n; k++)
        if (!(k & h)) {
            const float32x4_t sum = vaddq_f32(v[k], v[k + h]);

            v[k + h] = vsubq_f32(v[k], v[k + h]);
            v[k] = sum;
        }
}

/* SN_TURN columns of 4 rows, from their codes at p, turned: v[4 c + r].  Column c has d[SN_ROWS (c / sub)] and o.  Returns what max_bits
 * becomes. */
__attribute__((always_inline))
static inline uint32x4_t sn_turn_codes_neon(float *v, const uint8_t *p, const float *d, const float *o, int sub, uint32x4_t max_bits)
{
    const uint32x4_t byte = vdupq_n_u32(0xff);

    #pragma GCC unroll 1
    for (int c = 0; c < SN_TURN; c += 8) {
        const float32x4_t scale = vld1q_f32(d + SN_ROWS * (c / sub));
        const float32x4_t offset = vld1q_f32(o + SN_ROWS * (c / sub));
        float32x4_t w[8];

        for (int k = 0; k < 2; k++) {
            const uint32x4_t u = vreinterpretq_u32_u8(vld1q_u8(p + SN_ROWS * (c + 4 * k)));

            w[4 * k] = vcvtq_f32_u32(vandq_u32(u, byte));
            w[4 * k + 1] = vcvtq_f32_u32(vandq_u32(vshrq_n_u32(u, 8), byte));
            w[4 * k + 2] = vcvtq_f32_u32(vandq_u32(vshrq_n_u32(u, 16), byte));
            w[4 * k + 3] = vcvtq_f32_u32(vshrq_n_u32(u, 24));
        }
        for (int k = 0; k < 8; k++)
            w[k] = vfmaq_f32(offset, w[k], scale);
        sn_turn_vectors_neon(w, 8, 1);
        sn_turn_vectors_neon(w, 8, 2);
        sn_turn_vectors_neon(w, 8, 4);
        for (int k = 0; k < 8; k++)
            vst1q_f32(v + 4 * (c + k), w[k]);
    }
    #pragma GCC unroll 1
    for (int c = 0; c < 8; c++) {
        float32x4_t w[8];

        for (int k = 0; k < 8; k++)
            w[k] = vld1q_f32(v + 4 * (8 * k + c));
        sn_turn_vectors_neon(w, 8, 1);
        sn_turn_vectors_neon(w, 8, 2);
        sn_turn_vectors_neon(w, 8, 4);
        for (int k = 0; k < 8; k++) {
            max_bits = vmaxq_u32(max_bits, vandq_u32(vreinterpretq_u32_f32(w[k]), vdupq_n_u32(0x7fffffff)));
            vst1q_f32(v + 4 * (8 * k + c), w[k]);
        }
    }
    return max_bits;
}

/* sn_round_panel, 4 rows at a time. */
static SN_APART void sn_round_neon(uint8_t *panel, float *scale, const SnSubs *subs, int group, int sub)
{
    const float32x4_t middle = vdupq_n_f32(12583040.0f);        /* 1.5 * 2^23 + 128: rounds, and leaves code + 128 in the low byte */
    const uint32x4_t byte = vdupq_n_u32(0xff);
    float v[SN_I8_GROUP * 4];

    for (int r = 0; r < SN_ROWS; r += 4) {
        uint32x4_t max_bits = vdupq_n_u32(0);
        uint32x4_t sound;
        float32x4_t max, inverse;

        for (int c = 0; c < group; c += SN_TURN)
            max_bits = sn_turn_codes_neon(v + 4 * c, panel + SN_ROWS * c + 4 * r, subs->d + SN_ROWS * (c / sub) + r,
                                          subs->o + SN_ROWS * (c / sub) + r, sub, max_bits);
        max = vreinterpretq_f32_u32(max_bits);
        sound = vandq_u32(vcgtq_f32(max, vdupq_n_f32(1e-30f)), vcleq_f32(max, vdupq_n_f32(3.402823466e38f)));
        inverse = vreinterpretq_f32_u32(vandq_u32(sound, vreinterpretq_u32_f32(vdivq_f32(vdupq_n_f32(127.0f), max))));
        vst1q_f32(scale + r, vmulq_n_f32(vdivq_f32(max, vdupq_n_f32(127.0f)), 0.125f));
        for (int c = 0; c < group; c += 4) {
            uint32x4_t w[4];

            for (int j = 0; j < 4; j++) {
                const float32x4_t x = vreinterpretq_f32_u32(vandq_u32(sound, vreinterpretq_u32_f32(vld1q_f32(v + 4 * (c + j)))));

                w[j] = vandq_u32(byte, vreinterpretq_u32_f32(vfmaq_f32(middle, x, inverse)));
            }
            w[0] = vorrq_u32(vorrq_u32(w[0], vshlq_n_u32(w[1], 8)), vorrq_u32(vshlq_n_u32(w[2], 16), vshlq_n_u32(w[3], 24)));
            vst1q_u8(panel + SN_ROWS * c + 4 * r, vreinterpretq_u8_u32(w[0]));
        }
    }
}

SN_KERNEL(op=unpack, layout=i8g32_r32k4, isa=neon, order=exact)
static SN_APART void sn_unpack_i8g32_r32k4_neon(uint8_t *panel, const uint8_t *w, int n_in, int group)
{
    sn_unpack_one_level(panel, w, n_in, group, 8, SN_I8_BLOCK, 1024, 128, 0, sn_round_neon);
}

SN_KERNEL(op=unpack, layout=i4g32_r32k4, isa=neon, order=exact)
static SN_APART void sn_unpack_i4g32_r32k4_neon(uint8_t *panel, const uint8_t *w, int n_in, int group)
{
    sn_unpack_one_level(panel, w, n_in, group, 4, SN_I4_BLOCK, 512, 8, 0, sn_round_neon);
}

SN_KERNEL(op=unpack, layout=i4g32m_r32k4, isa=neon, order=exact)
static SN_APART void sn_unpack_i4g32m_r32k4_neon(uint8_t *panel, const uint8_t *w, int n_in, int group)
{
    sn_unpack_one_level(panel, w, n_in, group, 4, SN_I4M_BLOCK, 512, 0, 1, sn_round_neon);
}

SN_KERNEL(op=unpack, layout=i5g32_r32k4, isa=neon, order=exact)
static SN_APART void sn_unpack_i5g32_r32k4_neon(uint8_t *panel, const uint8_t *w, int n_in, int group)
{
    sn_unpack_one_level(panel, w, n_in, group, 5, SN_I5_BLOCK, 640, 16, 0, sn_round_neon);
}

SN_KERNEL(op=unpack, layout=i4g32ms_r32k4, isa=neon, order=exact)
static SN_APART void sn_unpack_i4g32ms_r32k4_neon(uint8_t *panel, const uint8_t *w, int n_in, int group)
{
    sn_unpack_two_levels(panel, w, n_in, group, 4, SN_I4MS_BLOCK, SN_I4MS_SPAN, 512, sn_round_neon);
}

SN_KERNEL(op=unpack, layout=i5g32ms_r32k4, isa=neon, order=exact)
static SN_APART void sn_unpack_i5g32ms_r32k4_neon(uint8_t *panel, const uint8_t *w, int n_in, int group)
{
    sn_unpack_two_levels(panel, w, n_in, group, 5, SN_I5MS_BLOCK, SN_I5MS_SPAN, 640, sn_round_neon);
}

SN_KERNEL(op=unpack, layout=i6g16s_r32k4, isa=neon, order=exact)
static SN_APART void sn_unpack_i6g16s_r32k4_neon(uint8_t *panel, const uint8_t *w, int n_in, int group)
{
    sn_unpack_i6g16s(panel, w, n_in, group, sn_round_neon);
}

SN_KERNEL(op=unpack, layout=i2g256_r32k4, isa=neon, order=exact)
static SN_APART void sn_unpack_i2g256_r32k4_neon(uint8_t *panel, const uint8_t *w, int n_in, int group)
{
    sn_unpack_i2g256(panel, w, n_in, group, sn_round_neon);
}

SN_KERNEL(op=unpack, layout=t5g256_r32k4, isa=neon, order=exact)
static SN_APART void sn_unpack_t5g256_r32k4_neon(uint8_t *panel, const uint8_t *w, int n_in, int group)
{
    sn_unpack_t5g256(panel, w, n_in, group, sn_round_neon);
}

/* ---- activations ----------------------------------------------------------------------------------------------------------- */

/* The first two rounds of H: lanes whose numbers differ in one bit are exchanged; where the bit is set, the difference is taken.  The
 * product with 1 or -1 is exact, so one operation adds here and subtracts there with the bits of either. */
static inline float32x4_t sn_turn4_neon(float32x4_t v)
{
    static const float sign[8] = { 1, -1, 1, -1, 1, 1, -1, -1 };

    v = vfmaq_f32(vrev64q_f32(v), v, vld1q_f32(sign));
    return vfmaq_f32(vextq_f32(v, v, 2), v, vld1q_f32(sign + 4));
}

SN_KERNEL(op=quant_i8, x=f32, isa=neon, order=exact)
static SN_APART void sn_quant_i8_neon(int8_t *q, SnI8Scale *scale, const float *x, int n)
{
    const float32x4_t middle = vdupq_n_f32(12582912.0f);        /* 1.5 * 2^23: rounds half to even, the integer is in the low bits */
    uint32x4_t max_bits = vdupq_n_u32(0);
    int32x4_t sum = vdupq_n_s32(0);
    float turned[SN_I8_GROUP];
    float max, inverse;

    for (int i = 0; i < n; i += SN_TURN) {
        float32x4_t v[16];

        for (int k = 0; k < 16; k++)
            v[k] = sn_turn4_neon(vld1q_f32(x + i + 4 * k));
        sn_turn_vectors_neon(v, 16, 1);
        sn_turn_vectors_neon(v, 16, 2);
        sn_turn_vectors_neon(v, 16, 4);
        sn_turn_vectors_neon(v, 16, 8);
        for (int k = 0; k < 16; k++) {
            max_bits = vmaxq_u32(max_bits, vandq_u32(vreinterpretq_u32_f32(v[k]), vdupq_n_u32(0x7fffffff)));
            vst1q_f32(turned + i + 4 * k, v[k]);
        }
    }
    max = sn_float(vmaxvq_u32(max_bits));
    inverse = sn_to_codes(max);
    for (int i = 0; i < n && !(inverse > 0); i += 4)
        vst1q_f32(turned + i, vdupq_n_f32(0));
    for (int i = 0; i < n; i += 8) {
        int32x4_t code[2];

        for (int k = 0; k < 2; k++) {
            const float32x4_t v = vfmaq_n_f32(middle, vld1q_f32(turned + i + 4 * k), inverse);

            code[k] = vsubq_s32(vreinterpretq_s32_f32(v), vreinterpretq_s32_f32(middle));
            sum = vaddq_s32(sum, code[k]);
        }
        vst1_s8(q + i, vmovn_s16(vcombine_s16(vmovn_s32(code[0]), vmovn_s32(code[1]))));
    }
    scale->d = max / 127.0f * 0.125f;
    scale->sum = vaddvq_s32(sum);
}
