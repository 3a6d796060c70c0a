/* The frequencies of rotary position embeddings [Su et al. 2021, arXiv:2104.09864] and what
 * stretches them to longer contexts.  The angle of pair i at position p is p * freq[i].
 *
 *     freq[i] = theta^(-2i / n_rot) / divisor[i]
 *
 *   linear  freq[i] / factor                           [Chen et al. 2023, arXiv:2306.15595]
 *   llama3  divisors that come with the file, as the tensor rope_freqs.weight
 *   yarn    between the two by wavelength               [Peng et al. 2023, arXiv:2309.00071]
 *
 *             r[i]    = 1 where pair i turns at least beta_fast times within the original context,
 *                       0 where it turns at most beta_slow times, and on a line in between
 *             freq[i] = freq[i] / factor * (1 - ext r[i])  +  freq[i] * ext r[i]
 *             mscale  = attn_factor * (1 + 0.1 ln factor)      multiplies sine and cosine
 *
 *           the pair that turns b times is  n_rot ln(n_ctx_orig / (2 pi b)) / (2 ln theta),
 *           rounded outwards.
 *
 * The table becomes part of the emitted program, whose bits must not depend on the machine that
 * compiles it.  So logarithm and exponential are computed here from the four operations that
 * IEEE 754 rounds exactly, in a fixed order. */
#include "compiler/arch/arch.h"

static const double ln2_hi =
    0x1.62e42fefa3800p-1; /* ln 2 in two parts: k * ln2_hi is exact for |k| < 2^11 */
static const double ln2_lo = 0x1.ef35793c76730p-45;
static const double two_pi = 0x1.921fb54442d18p+2;

/* x = 2^k m with 1/sqrt 2 <= m < sqrt 2;  ln m = 2 (s + s^3/3 + s^5/5 + ..), s = (m - 1) / (m + 1),
 * |s| < 0.172. */
double rope_log(double x)
{
    double s, s2, sum = 0;
    int k = 0;

    for (; x >= 0x1.6a09e667f3bcdp+0; k++)
        x *= 0.5;
    for (; x < 0x1.6a09e667f3bcdp-1; k--)
        x *= 2;
    s = (x - 1) / (x + 1);
    s2 = s * s;
    for (int n = 25; n >= 1; n -= 2)                          /* 0.172^27 / 27 < 2^-70 */
        sum = sum * s2 + 1.0 / n;
    return k * ln2_hi + (2 * s * sum + k * ln2_lo);
}

/* e^x = 2^k e^r with |r| <= ln 2 / 2, e^r by its series; 0.35^18 / 18! < 2^-79.  0 and infinity
 * where a double ends. */
double rope_exp(double x)
{
    double r, sum = 1, kd;
    int k;

    if (x > 709.5)
        return 1 / 0.0;
    if (!(x > -708))
        return 0;
    k = (int)(x / (ln2_hi + ln2_lo) + (x < 0 ? -0.5 : 0.5));
    kd = k;
    r = (x - kd * ln2_hi) - kd * ln2_lo;
    for (int n = 17; n >= 1; n--)
        sum = 1 + sum * r / n;
    for (; k > 0; k--)
        sum *= 2;
    for (; k < 0; k++)
        sum *= 0.5;
    return sum;
}

static double floor_of(double x)
{
    double t = (double)(int64_t)x;                           /* callers have small numbers */

    return t > x ? t - 1 : t;
}

/* The (fractional) number of the pair that turns `turns` times within the original context. */
static double pair_of_turns(const RopeScaling *s, double turns)
{
    return s->n_rot * rope_log(s->n_ctx_orig / (turns * two_pi)) / (2 * rope_log(s->theta));
}

void rope_frequencies(const RopeScaling *s, const float *divisor, float *freq, double *mscale)
{
    double lo = 0, hi = 0;

    *mscale = 1;
    if (s->kind == ROPE_yarn) {
        lo = floor_of(pair_of_turns(s, s->beta_fast));
        hi = -floor_of(-pair_of_turns(s, s->beta_slow));
        lo = lo < 0 ? 0 : lo;
        hi = hi > s->n_rot - 1 ? s->n_rot - 1 : hi;
        *mscale = s->attn_factor * (1 + 0.1 * rope_log(s->factor));
    }
    for (int i = 0; i < s->n_rot / 2; i++) {
        double f = rope_exp(-2.0 * i / s->n_rot * rope_log(s->theta));

        if (divisor)
            f /= divisor[i];
        if (s->kind == ROPE_linear)
            f /= s->factor;
        if (s->kind == ROPE_yarn) {
            double width = hi - lo < 0.001 ? 0.001 : hi - lo, x = (i - lo) / width, r;

            x = x < 0 ? 0 : x > 1 ? 1 : x;
            r = (1 - x) * s->ext_factor;
            f = f / s->factor * (1 - r) + f * r;
        }
        freq[i] = (float)f;
    }
}
