/* Places in one memory for the tensors of a network, where a stage may write over what it has read already.
 *
 * The input is what each stage does to its buffers, group of rows by group of rows, as ranges of bytes; the result is a place for each buffer and
 * the direction of each stage, such that the memory is small.  Nothing is known here of ops, strides or kernels.
 *
 * Time.  A stage runs its groups from the first to the last (down) or from the last to the first (up).  In each group all READ_FIRSTs are over before
 * anything is written; READs happen while it is written.  A byte of a buffer is alive from when it is written (or given) until it is read for the last time
 * (or for ever, if it is kept).  Two bytes lie in one place only if they are not alive at the same time. */
#ifndef SN_IMAGE_MEMORY_H
#define SN_IMAGE_MEMORY_H

#include "ir/base/base.h"

/* n_plane planes of plane_bytes each, which begin `step` bytes apart; one plane: one piece of memory. */
typedef struct {
    const char *name;           /* for messages */
    int64_t n_plane, plane_bytes, step;
    int64_t align;              /* of its first byte; >= 1 */
    int64_t before, after;      /* bytes in front of and behind it that kernels may read, whatever is there: they are in the memory, too */
    bool given;                 /* an input, a state: there before the first stage */
    bool kept;                  /* an output, a state: there after the last one */
    bool fixed;                 /* lies at `at` */
    int64_t at;                 /* the place of its first byte */
} MemBuffer;

typedef enum {
    MEM_READ,                   /* while the group writes */
    MEM_READ_FIRST,             /* before the group writes anything */
    MEM_READ_SAME,              /* while the group writes, but each byte before the byte in the same place of what is written (elementwise, in place):
                                 * the groups' ranges, and the buffers' planes, are those of what is written */
    MEM_WRITE,
    MEM_SCRATCH                 /* used from the stage's first group to its last (panels); the group does not matter */
} MemKind;

/* Bytes from .. to - 1 of every plane of a buffer. */
typedef struct {
    int stage, group, buffer;
    MemKind kind;
    int64_t from, to;
} MemTouch;

typedef struct {
    int n_group;                /* >= 1 */
    bool may_turn;              /* may run up; otherwise it runs as `up` says */
    bool up;                    /* the result */
} MemStage;

typedef struct {
    MemBuffer *buffer;
    int n_buffer;
    MemStage *stage;
    int n_stage;
    const MemTouch *touch;
    int n_touch;
} MemPlan;

/* Sets `at` of every buffer that is not fixed, and `up` of every stage that may turn.
 *
 * Buffers are placed one after another, each at the lowest place that what is placed already allows: in all orders where they are few, else in some
 * good ones and in changes of the best of these.  The same input gives the same result.
 *
 * Returns the bytes of the whole memory, `before` and `after` included.  Cannot fail. */
int64_t image_memory_place(MemPlan *p, Arena *scratch);

/* The least that any placing could need with the stages' directions as they are now: the most bytes that are alive at once.  *stage: where. */
int64_t image_memory_bound(const MemPlan *p, Arena *scratch, int *stage);

#endif
