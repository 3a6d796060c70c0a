/* Scalar mathematics without libm: the same bits on every machine and with every compiler (no contraction, no tables).
 *
 * Everything here is straight-line code with selects instead of branches, so that compilers turn loops over it into vector
 * code.  Adding and subtracting a large constant rounds to an integer (half to even) and leaves it in the low mantissa
 * bits; -ffast-math would undo it.  Polynomials: fitted for this file, least maximum relative error (Lawson's weights on
 * Chebyshev points), then rounded. */
#include "../kernel.h"

/* first ? a : b without a branch: where a or b took float arithmetic, gcc would not make vector code of ?:, because the
 * arithmetic that is not wanted might trap.  Not as (a & mask) | (b & ~mask): of that, in a loop, gcc 12 makes an internal
 * error for SVE. */
static inline uint32_t sn_pick(int first, uint32_t a, uint32_t b)
{
    uint32_t mask = 0u - (uint32_t)first;

    return b ^ ((a ^ b) & mask);
}

/* -x, by its bit.  Of a c - b s beside b c + a s, as rope has them, gcc 12.0 to 12.2 makes a fused multiply-add where the CPU has one,
 * -ffp-contract=off or not (its bug 107647); of a c + b (-s), where it does not see the minus, it does not. */
static inline float sn_minus(float x)
{
    return sn_float(sn_bits(x) ^ 0x80000000u);
}

/* IEEE half to float: exact for every value; the payload of a NaN is kept. */
static inline float sn_f16_to_f32(uint16_t h)
{
    uint32_t rest = h & 0x7fffu;
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16;
    uint32_t bits = (rest << 13) + (112u << 23);                /* 112 = 127 - 15, the difference of the biases */
    uint32_t tiny = sn_bits((float)(int32_t)rest * 0x1p-24f);   /* exponent 0: a multiple of 2^-24 */

    bits = rest >= 0x7c00u ? bits + (112u << 23) : bits;        /* infinity and NaN have exponent 255 */
    return sn_float(sign | sn_pick(rest < 0x400u, tiny, bits));
}

/* Float to IEEE half, to nearest even; too large gives infinity, a NaN stays a (quiet) NaN. */
static inline uint16_t sn_f32_to_f16(float x)
{
    uint32_t bits = sn_bits(x);
    uint32_t rest = bits & 0x7fffffffu;
    uint32_t tiny = sn_bits(sn_float(rest) + 0.5f) - 0x3f000000u;               /* 0.5 has steps of 2^-24 */
    uint32_t normal = (rest + 0xfffu + (rest >> 13 & 1u) - (112u << 23)) >> 13; /* a carry may reach the exponent */
    uint32_t half = sn_pick(rest < 0x38800000u, tiny, normal);                  /* 2^-14 */

    half = rest >= 0x47800000u ? 0x7c00u : half;                                /* 2^16 */
    half = rest > 0x7f800000u ? 0x7e00u | rest >> 13 : half;
    return (uint16_t)((bits >> 16 & 0x8000u) | (half & 0x7fffu));
}

/* The upper half of a float, as a float. */
static inline float sn_bf16_to_f32(uint16_t h)
{
    return sn_float((uint32_t)h << 16);
}

/* To the upper half of a single, rounded to nearest even; NaN stays NaN. */
static inline uint16_t sn_f32_to_bf16(float x)
{
    uint32_t bits = sn_bits(x);

    if ((bits & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* e^x over the whole range, relative error below 2e-7; 0 below -104, infinity above 88.8, NaN for NaN.
 *
 * x = n ln 2 + r with |r| <= ln 2 / 2, n ln 2 subtracted in two pieces; e^r = 1 + r + r^2 P(r); then times 2^(n/2) twice,
 * so that subnormal results and those above 2^127 need no case of their own. */
static inline float sn_exp(float x)
{
    float t, n, r, p;
    int32_t k, half;

    x = sn_float(sn_pick(x < -104.0f, 0xc2d00000u, sn_bits(x)));       /* -104 */
    x = sn_float(sn_pick(x > 89.0f, 0x42b20000u, sn_bits(x)));         /* 89 */
    t = x * 1.44269504f + 12582912.0f;                          /* 1.5 * 2^23 */
    n = t - 12582912.0f;
    k = (int32_t)(sn_bits(t) - 0x4b400000u);
    r = x - n * 0.693145752f;                                   /* 15 bits: n times it is exact */
    r = r - n * 1.42860677e-6f;
    p = 0.00138145965f;
    p = p * r + 0.00836871751f;
    p = p * r + 0.041668389f;
    p = p * r + 0.166665211f;
    p = p * r + 0.49999994f;
    p = p * (r * r) + r + 1.0f;
    half = k >> 1;
    return p * sn_float((uint32_t)(half + 127) << 23) * sn_float((uint32_t)(k - half + 127) << 23);
}

/* 1 / (1 + e^-x) */
static inline float sn_sigmoid(float x)
{
    return 1.0f / (1.0f + sn_exp(-x));
}

/* x * sigmoid(x)                                                                                       [1702.03118] */
static inline float sn_silu(float x)
{
    return x / (1.0f + sn_exp(-x));
}

/* tanh, relative error below 4e-7: an odd polynomial up to 0.625, 1 - 2 / (e^2x + 1) beyond. */
static inline float sn_tanh(float x)
{
    float a = sn_float(sn_bits(x) & 0x7fffffffu);
    float u = x * x;
    float far = 1.0f - 2.0f / (sn_exp(2.0f * a) + 1.0f);
    float p;

    p = -0.00570497848f;
    p = p * u + 0.0206390787f;
    p = p * u + -0.0537397116f;
    p = p * u + 0.133314416f;
    p = p * u + -0.333332807f;
    p = p * u * x + x;
    return sn_float(sn_pick(a < 0.625f, sn_bits(p), sn_bits(far) | (sn_bits(x) & 0x80000000u)));
}

/* x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))  =  x sigmoid(2 sqrt(2/pi) (x + 0.044715 x^3))         [1606.08415] */
static inline float sn_gelu_tanh(float x)
{
    return x / (1.0f + sn_exp(-1.59576912f * (x + 0.044715f * x * x * x)));
}

/* 1 / sqrt(x) for a normal positive x, to about one unit of double: a first guess from the exponent, then Newton's steps,
 * each of which doubles the number of right digits (1, 3, 6, 12, 24 of them).  Infinity gives 0, NaN stays. */
static inline double sn_rsqrt(double x)
{
    double y, half = 0.5 * x;
    uint64_t bits;

    __builtin_memcpy(&bits, &x, sizeof bits);
    bits = 0x5fe6eb50c7b537a9u - (bits >> 1);                   /* guess within 3.5 % [Lomont 2003; Robertson 2012] */
    __builtin_memcpy(&y, &bits, sizeof y);
    for (int i = 0; i < 5; i++)
        y = y * (1.5 - half * y * y);
    return x > 0x1.fffffffffffffp+1023 ? 0.0 : y;
}

/* |x| */
static inline float sn_abs(float x)
{
    return sn_float(sn_bits(x) & 0x7fffffffu);
}

/* The square root, correctly rounded: the double product is right to 2e-16; NaN below 0. */
static inline float sn_sqrt(float x)
{
    uint32_t root = sn_bits((float)((double)x * sn_rsqrt((double)x)));

    root = sn_pick(sn_bits(x) == 0x7f800000u, 0x7f800000u, root);
    return sn_float(sn_pick(x < 0, 0x7fc00000u, root));
}

/* To the nearest integer, halves to even: adding 2^23 drops the fraction; above it there is none. */
static inline float sn_round(float x)
{
    uint32_t sign = sn_bits(x) & 0x80000000u;
    float a = sn_float(sn_bits(x) ^ sign), r = a + 8388608.0f;

    r = r - 8388608.0f;
    return sn_float(sn_pick(a < 8388608.0f, sn_bits(r) | sign, sn_bits(x)));
}

/* The largest integer that is not above x. */
static inline float sn_floor(float x)
{
    float r = sn_round(x);

    return sn_float(sn_pick(r > x, sn_bits(r - 1.0f), sn_bits(r)));
}

/* Natural logarithm, relative error below 3e-7: x = 2^k m, m from sqrt(1/2) to sqrt(2), and log m = 2 artanh(s), s = (m - 1) / (m + 1).
 * -infinity at 0, NaN below it. */
static inline float sn_log(float x)
{
    int tiny = x < 0x1p-126f;
    uint32_t bits = sn_bits(sn_float(sn_pick(tiny, sn_bits(x * 0x1p+24f), sn_bits(x))));
    int32_t k = (int32_t)(bits - 0x3f3504f3u) >> 23;            /* 0x3f3504f3: sqrt(1/2) */
    float m = sn_float(bits - ((uint32_t)k << 23)), f = m - 1.0f, s = f / (m + 1.0f), u = s * s, n = (float)(k - (tiny ? 24 : 0)), p;

    p = 0.0909090909f;
    p = p * u + 0.111111111f;
    p = p * u + 0.142857143f;
    p = p * u + 0.2f;
    p = p * u + 0.333333333f;
    p = (n * 1.42860677e-6f + 2.0f * s * u * p) + 2.0f * s;
    p = n * 0.693145752f + p;
    p = sn_float(sn_pick(sn_bits(x) == 0x7f800000u || x != x, sn_bits(x), sn_bits(p)));
    p = sn_float(sn_pick(x == 0, 0xff800000u, sn_bits(p)));
    return sn_float(sn_pick(x < 0, 0x7fc00000u, sn_bits(p)));
}

/* sin x and cos x, correctly rounded to float but for rare ties, |x| <= 1e7.
 *
 * x = n pi/2 + r: pi/2 in pieces of 30, 30 and 53 bits, so that n (24 bits) times the first two is exact. */
static inline void sn_sincos(double x, float *s, float *c)
{
    double t = x * 0.63661977236758134 + 6755399441055744.0;    /* 1.5 * 2^52 */
    double n = t - 6755399441055744.0;
    double r = x - n * 0x1.921fb54p+0;
    double u, p, q, sine, cosine;
    uint64_t k;

    __builtin_memcpy(&k, &t, sizeof k);
    r = r - n * 0x1.10b46118p-30;
    r = r - n * 0x1.313198a2e037p-61;
    u = r * r;
    p = -2.4761646648906177e-08;
    p = p * u + 2.755535769322255e-06;
    p = p * u + -0.00019841263822767494;
    p = p * u + 0.008333333325271704;
    p = p * u + -0.166666666666316;
    sine = r + r * u * p;
    q = 2.064749201664438e-09;
    q = q * u + -2.7555563330303266e-07;
    q = q * u + 2.4801580950871037e-05;
    q = q * u + -0.0013888888878227333;
    q = q * u + 0.04166666666660187;
    cosine = 1.0 - 0.5 * u + u * u * q;
    p = k & 1u ? cosine : sine;
    q = k & 1u ? sine : cosine;
    *s = (float)(k & 2u ? -p : p);
    *c = (float)((k + 1u) & 2u ? -q : q);
}
