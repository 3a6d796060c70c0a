/* Three hundred bytes that stand for a model's weights: 7 i, in 8 bits. */
#include <stdint.h>

#define ROW(i) (int8_t)((i) * 7), (int8_t)((i) * 7 + 7), (int8_t)((i) * 7 + 14), (int8_t)((i) * 7 + 21), (int8_t)((i) * 7 + 28)
#define ROWS(i) ROW(i), ROW((i) + 5), ROW((i) + 10), ROW((i) + 15), ROW((i) + 20)

extern const int8_t start_weights[300];
const int8_t start_weights[300] = { ROWS(0), ROWS(25), ROWS(50), ROWS(75), ROWS(100), ROWS(125), ROWS(150), ROWS(175), ROWS(200), ROWS(225), ROWS(250), ROWS(275) };
