/* Fixed-point arithmetic: see fixed.h. */
#include "ir/fixed.h"

int32_t fixed_wrap(int64_t v)
{
    return (int32_t)(uint32_t)(uint64_t)v;
}

int32_t fixed_saturate(int64_t v)
{
    return (int32_t)(v > INT32_MAX ? INT32_MAX : v < INT32_MIN ? INT32_MIN : v);
}

int32_t fixed_mul(int32_t a, int32_t b)
{
    int64_t p = (int64_t)a * b;

    if (a == INT32_MIN && b == INT32_MIN)
        return INT32_MAX;
    return (int32_t)((p + (p >= 0 ? (int64_t)1 << 30 : 1 - ((int64_t)1 << 30))) / ((int64_t)1 << 31));
}

int32_t fixed_shift(int32_t x, int n)
{
    int64_t half = n ? (int64_t)1 << (n - 1) : 0, v = x;

    return (int32_t)(v >= 0 ? (v + half) >> n : -((-v + half) >> n));
}

int32_t fixed_rescale(int32_t x, int32_t m, int s, bool single)
{
    if (single) {
        int n = 31 - s;

        return n < 1 ? fixed_wrap((int64_t)x * m) : fixed_wrap(((int64_t)x * m + ((int64_t)1 << (n - 1))) >> n);
    }
    return fixed_shift(fixed_mul(fixed_wrap((int64_t)((uint64_t)(int64_t)x << (s > 0 ? s : 0))), m), s < 0 ? -s : 0);
}

int32_t fixed_rescale_short(int32_t x, int32_t m, int s)
{
    int64_t upper = m < 0x7fff0000 ? (m + (1 << 15)) >> 16 : 0x7fff;

    return fixed_saturate((x * upper + ((int64_t)1 << (14 - s))) >> (15 - s));
}

/* e^x of -1/4 <= x < 0 in Q0.31: Taylor's terms about -1/8.  [gemmlowp, exp_on_interval_between_negative_one_quarter_and_0_excl] */
static int32_t exp_quarter(int32_t x)
{
    const int32_t at_eighth = 1895147668;                   /* e^(-1/8) */
    const int32_t third = 715827883;
    int32_t y = fixed_wrap((int64_t)x + (1 << 28)), y2 = fixed_mul(y, y), y3 = fixed_mul(y2, y), y4 = fixed_mul(y2, y2);
    int32_t terms = fixed_shift(fixed_wrap((int64_t)fixed_mul(fixed_wrap((int64_t)fixed_shift(y4, 2) + y3), third) + y2), 1);

    return fixed_wrap((int64_t)at_eighth + fixed_mul(at_eighth, fixed_wrap((int64_t)y + terms)));
}

/* x is a multiple of 1/4 and the rest; the multiple's bits choose factors. */
int32_t fixed_exp_negative(int32_t x, int integer_bits)
{
    static const int32_t factor[] = {                       /* e^(-1/4), e^(-1/2), e^-1, e^-2 .. e^-16 in Q0.31 */
        1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242,
    };
    const int32_t quarter = 1 << (29 - integer_bits);
    int32_t rest = fixed_wrap((int64_t)(x & (quarter - 1)) - quarter), multiple = fixed_wrap((int64_t)rest - x);
    int32_t y = exp_quarter(fixed_saturate((int64_t)rest * (1 << integer_bits)));

    for (int i = 0; i < integer_bits + 2; i++)
        if (multiple & (int32_t)((uint32_t)quarter << i))
            y = fixed_mul(y, factor[i]);
    return x == 0 ? INT32_MAX : y;
}

/* 2 / (1 + x) in units of 2^-29, by Newton's method on half of 1 + x. */
static int32_t twice_reciprocal(int32_t x)
{
    int64_t sum = (int64_t)x + INT32_MAX;
    int32_t half = (int32_t)((sum + (sum >= 0 ? 1 : -1)) / 2);
    int32_t y = fixed_wrap((int64_t)1515870810 + fixed_mul(half, -1010580540));    /* 48/17 - 32/17 half */

    for (int i = 0; i < 3; i++) {
        int32_t error = fixed_wrap((int64_t)(1 << 29) - fixed_mul(half, y));

        y = fixed_wrap((int64_t)y + fixed_saturate((int64_t)fixed_mul(y, error) * 4));
    }
    return y;
}

int32_t fixed_reciprocal(int32_t x)
{
    return fixed_saturate((int64_t)twice_reciprocal(x) * 2);
}

int32_t fixed_ratio(int32_t x)
{
    return fixed_saturate(((int64_t)twice_reciprocal(x) - (1 << 29)) * 4);
}

/* -|x|, so that the least number has one. */
static int32_t minus_abs(int32_t x)
{
    return x > 0 ? -x : x;
}

int32_t fixed_logistic(int32_t x)
{
    int32_t y = fixed_reciprocal(fixed_exp_negative(minus_abs(x), 4));

    return x == 0 ? 1 << 30 : x > 0 ? y : INT32_MAX - y;
}

int32_t fixed_tanh(int32_t x)
{
    int32_t y = fixed_ratio(fixed_exp_negative(minus_abs(x), 5));    /* of 2 x: the same bits with an integer bit more */

    return x == 0 ? 0 : x > 0 ? y : -y;
}

/* v with a integer bits less, saturated: Rescale of gemmlowp by a left shift. */
static int32_t shift_up(int32_t v, int a)
{
    return fixed_saturate((int64_t)v * ((int64_t)1 << a));
}

/* x is brought to 1/4 .. 1 by pairs of bits; Newton's method from 1, five times: y (3 - x y^2) / 2, in numbers of 3 integer bits. */
int32_t fixed_inverse_sqrt(int32_t x, int *s)
{
    int right = 11, left = 0;
    int32_t y = 1 << 28, half;

    *s = 0;
    if (x <= 1)
        return INT32_MAX;
    for (; x >= 1 << 29; right++)
        x /= 4;
    while (x < 1 << (27 - 2 * left))
        left++;
    right -= left;
    half = fixed_shift((x << 2 * left) >> 1, 1);
    for (int i = 0; i < 5; i++) {
        int32_t y3 = shift_up(fixed_mul(fixed_mul(y, y), y), 6);

        y = shift_up(fixed_wrap((int64_t)fixed_mul(3 << 27, y) - fixed_mul(half, y3)), 3);
    }
    y = fixed_mul(y, 1518500250);                           /* half the root of 2 in Q0.31 */
    if (right < 0)
        return fixed_wrap((int64_t)((uint64_t)(int64_t)y << -right));
    *s = -right;
    return y;
}
