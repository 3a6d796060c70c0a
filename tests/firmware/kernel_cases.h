/* One case of a kernel for a microcontroller, as kernel_cases.c (host) writes it and kernels.c (board) reads it.  Numbers are little-endian.
 *
 *     CaseHead | weights | channels | second weights | second channels | x | b | y | want
 *
 * Each part up to a multiple of 4 bytes.  x, b and y have BESIDE bytes in front of element (0, 0, 0) and behind the last; the head's `align` more in front of
 * x and y.  `want` is all of y as it must be afterwards. */
#ifndef KERNEL_CASES_H
#define KERNEL_CASES_H

#include "runtime/kernels/image.h"

enum { CASE_BESIDE = 24, CASE_FIELDS = 56 };

typedef struct {
    char kernel[48], then[48];          /* the kernel; the dot behind a producer, or the producer before a dot; "" */
    int32_t op;                         /* CASE_... */
    int32_t step;                       /* positions or rows a call */
    int32_t total;                      /* of them; numbers, where there is no image */
    int32_t align;
    int32_t in_place;                   /* y is x; 2: y is b */
    int32_t panel_bytes;
    int32_t bytes[8];                   /* of the parts */
    uint8_t layer[CASE_FIELDS];         /* the descriptor behind its pointers; of SnAdd and SnSoftmax all */
    uint8_t second[CASE_FIELDS];        /* the pointwise convolution behind depthwise_panel */
} CaseHead;

enum { CASE_end, CASE_conv, CASE_pointwise, CASE_depthwise_panel, CASE_image, CASE_fully, CASE_add, CASE_softmax };

#endif
