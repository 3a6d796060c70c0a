/* Fixed-point arithmetic as gemmlowp and TensorFlow Lite do it, bit for bit: what integer ops are defined by, and what tables of functions
 * are made with.  A number with i integer bits is an int32_t in units of 2^(i - 31); 0 integer bits is Q0.31.
 * [github.com/google/gemmlowp, fixedpoint/fixedpoint.h; tensorflow/lite/kernels/internal/common.cc] */
#ifndef SN_FIXED_H
#define SN_FIXED_H

#include <stdbool.h>
#include <stdint.h>

/* The low 32 bits of v: sums wrap, as they do in every machine. */
int32_t fixed_wrap(int64_t v);
int32_t fixed_saturate(int64_t v);

/* a * b / 2^31 to nearest, halves up (also below zero); INT32_MIN squared is INT32_MAX.  [SaturatingRoundingDoublingHighMul] */
int32_t fixed_mul(int32_t a, int32_t b);

/* x / 2^n to nearest, halves away from zero; 0 <= n <= 62.  [RoundingDivideByPOT] */
int32_t fixed_shift(int32_t x, int n);

/* x m 2^(s - 31), -31 <= s <= 31, rounded twice or once (s <= 30).  [MultiplyByQuantizedMultiplier] */
int32_t fixed_rescale(int32_t x, int32_t m, int s, bool single);

/* The same with m rounded to 15 bits, once.  s <= 14.  [MultiplyByQuantizedMultiplier of int64_t] */
int32_t fixed_rescale_short(int32_t x, int32_t m, int s);

/* e^x of x <= 0 with 4 or 5 integer bits, as Q0.31.  [exp_on_negative_values] */
int32_t fixed_exp_negative(int32_t x, int integer_bits);

/* 1 / (1 + x) and (1 - x) / (1 + x) of 0 <= x < 1 in Q0.31.  [one_over_one_plus_x_for_x_in_0_1, one_minus_x_over_one_plus_x_for_x_in_0_1] */
int32_t fixed_reciprocal(int32_t x);
int32_t fixed_ratio(int32_t x);

/* 1 / square root of x: m 2^(*s - 31); of 0 as of 1.  x >= 0.  [GetInvSqrtQuantizedMultiplierExp] */
int32_t fixed_inverse_sqrt(int32_t x, int *s);

/* Of x with 4 integer bits, as Q0.31.  [logistic, tanh] */
int32_t fixed_logistic(int32_t x);
int32_t fixed_tanh(int32_t x);

#endif
