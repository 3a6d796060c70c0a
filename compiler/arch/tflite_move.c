/* Operators of TensorFlow Lite that move elements and compute nothing.  See tflite.h. */
#include "compiler/arch/tflite.h"

#include <math.h>

enum { MAX_PICKED = 1 << 16 };                  /* numbers of a table of places */

/* RESHAPE, SQUEEZE, EXPAND_DIMS: the output's shape says all. */
Value *tf_reshape(Build *b)
{
    const TfTensor *x = tf_in(b, 0), *y = tf_out(b);
    Value *v = tf_operand(b, 0);

    if (!v)
        return NULL;
    if (x->n != y->n || x->fmt != y->fmt)
        return tf_refuse(b, "its output does not have the input's elements");
    return tf_shaped(b, v, y->rank, y->dim);
}

/* Room for n places; of more than pick takes, for none: it refuses them. */
static int64_t *places(Build *b, int64_t n)
{
    return ARENA_ARRAY(b->m->a, int64_t, n < 1 || n > MAX_PICKED ? 1 : n);
}

/* x[.., at[k], ..] along an axis. */
static Value *pick(Build *b, Value *x, int axis, const int64_t *at, int64_t n)
{
    int32_t *index = ARENA_ARRAY(b->m->a, int32_t, n > MAX_PICKED ? 1 : n + 1);
    Attr a = attr_int("axis", axis);

    if (n > MAX_PICKED)
        return tf_refuse(b, "gives more rows than this compiler keeps a table for");
    for (int64_t i = 0; i < n; i++)
        index[i] = (int32_t)at[i];
    return tf_put_two(b, OP_gather, "", x, tf_int_weight(b, "at", index, (int)n), &a, 1);
}

Value *tf_spread(Build *b, Value *x, const TfTensor *to)
{
    int64_t dim[MAX_RANK];
    int more = x ? to->rank - x->type.rank : 0;

    if (!x || more < 0)
        return x ? tf_refuse(b, "has an operand of more dimensions than its output") : NULL;
    for (int i = 0; i < to->rank; i++) {
        dim[i] = i < more ? 1 : dim_hi(x->type.dim[i - more]);
        if (dim[i] != 1 && dim[i] != to->dim[i])
            return tf_refuse(b, "its operands' shapes do not broadcast to its output's");
    }
    x = tf_shaped(b, x, to->rank, dim);
    for (int i = 0; i < to->rank; i++)
        if (dim[i] == 1 && to->dim[i] > 1)
            x = pick(b, x, i, places(b, to->dim[i]), to->dim[i]);
    return x;
}

Value *tf_broadcast(Build *b)
{
    return tf_spread(b, tf_operand(b, 0), tf_out(b));
}

Value *tf_transpose(Build *b)
{
    Value *v = tf_operand(b, 0);
    int64_t perm[MAX_RANK];
    Attr a;

    if (!v)
        return NULL;
    if (tf_constant_ints(b, 1, MAX_RANK, perm) != v->type.rank)
        return tf_refuse(b, "its permutation does not have a number for each dimension");
    a = attr_ints("perm", perm, v->type.rank);
    return tf_put(b, OP_transpose, "", v, &a, 1);
}

/* Operand 1: before and after of each dimension. */
static bool paddings(Build *b, int64_t *both)
{
    const TfTensor *x = tf_in(b, 0);

    if (tf_constant_ints(b, 1, 2 * MAX_RANK, both) != 2 * x->rank)
        return tf_unsupported(b, "its paddings do not have two numbers for each dimension");
    for (int i = 0; i < 2 * x->rank; i++)
        if (both[i] < 0 || both[i] > 1 << 20)
            return tf_unsupported(b, "its paddings are below 0 or very large");
    return true;
}

Value *tf_pad(Build *b)
{
    const TfTensor *x = tf_in(b, 0), *fill = tf_in(b, 2);
    int64_t both[2 * MAX_RANK], before[MAX_RANK], after[MAX_RANK];
    double value = x->n_scale ? (double)x->zero[0] : 0;
    Value *v = tf_operand(b, 0);

    if (!v)
        return NULL;
    if (!paddings(b, both))
        return NULL;
    if (fill) {
        if (!fill->p || fill->n != 1 || fill->fmt != x->fmt || !(tf_is_f32(x) || tf_is_type(x, "i8") || tf_is_type(x, "i16")))
            return tf_refuse(b, "what it pads with is no constant number of its input's type");
        if (tf_is_f32(x)) {
            float f;

            fill->fmt->decode(&f, fill->p, 1);
            value = (double)f;
        } else
            value = tf_is_type(x, "i8") ? (double)(int8_t)fill->p[0] : (double)(int16_t)(fill->p[0] | fill->p[1] << 8);
    }
    for (int i = 0; i < x->rank; i++) {
        before[i] = both[2 * i];
        after[i] = both[2 * i + 1];
    }
    return tf_put(b, OP_pad, "", v,
               (Attr[]){ attr_ints("before", before, x->rank), attr_ints("after", after, x->rank), attr_float("value", value) }, 3);
}

/* Elements begin .. end of each dimension, one slice at a time. */
static Value *cut(Build *b, Value *v, const int64_t *begin, const int64_t *end, int rank)
{
    for (int i = 0; v && i < rank; i++) {
        Attr a[3] = { attr_int("axis", i), attr_int("begin", begin[i]), attr_int("end", end[i]) };

        if (begin[i] != 0 || v->type.rank <= i || v->type.dim[i] != dim_const(b->m, end[i]))
            v = tf_put(b, OP_slice, "cut", v, a, 3);
    }
    return v;
}

/* Where a strided slice of n elements begins and ends.  [strided_slice_logic.h: StartForAxis, StopForAxis] */
static void limits(int64_t n, int64_t step, bool all_before, bool all_after, bool one, int64_t *begin, int64_t *end)
{
    int64_t lo = step > 0 ? 0 : -1, hi = step > 0 ? n : n - 1;

    *begin = all_before ? (step > 0 ? lo : hi) : *begin < 0 ? *begin + n : *begin;
    *begin = *begin < lo ? lo : *begin > hi ? hi : *begin;
    *end = one ? *begin + 1 : all_after ? (step > 0 ? hi : lo) : *end < 0 ? *end + n : *end;
    *end = *end < lo ? lo : *end > n ? n : *end;
}

/* STRIDED_SLICE: dimensions with a step of 1 are cut, of the others elements are picked. */
Value *tf_strided_slice(Build *b)
{
    const TfTensor *x = tf_in(b, 0), *y = tf_out(b);
    int64_t begin[MAX_RANK], end[MAX_RANK], step[MAX_RANK], from[MAX_RANK], to[MAX_RANK];
    int before = tf_option(b, 0, 4, 0), after = tf_option(b, 1, 4, 0), one = tf_option(b, 4, 4, 0);
    Value *v = tf_operand(b, 0);

    if (!v)
        return NULL;
    if (tf_constant_ints(b, 1, MAX_RANK, begin) != x->rank || tf_constant_ints(b, 2, MAX_RANK, end) != x->rank ||
        tf_constant_ints(b, 3, MAX_RANK, step) != x->rank)
        return tf_refuse(b, "its limits are not constants, one for each dimension");
    if (tf_option(b, 2, 4, 0) || tf_option(b, 3, 4, 0))
        return tf_refuse(b, "has an ellipsis or a new axis, which is not supported");
    for (int i = 0; i < x->rank; i++) {
        if (step[i] == 0)
            return tf_refuse(b, "has a step of 0 (a damaged file?)");
        limits(x->dim[i], step[i], before >> i & 1, after >> i & 1, one >> i & 1, &begin[i], &end[i]);
        from[i] = step[i] == 1 ? begin[i] : 0;
        to[i] = step[i] == 1 ? end[i] : x->dim[i];
    }
    v = cut(b, v, from, to, x->rank);
    for (int i = 0; v && i < x->rank; i++) {
        int64_t n = (end[i] - begin[i] + step[i] - (step[i] > 0 ? 1 : -1)) / step[i], *at = places(b, n);

        if (step[i] == 1)
            continue;
        if (n < 1)
            return tf_refuse(b, "nothing is left of its input");
        for (int64_t k = 0; n <= MAX_PICKED && k < n; k++)
            at[k] = begin[i] + k * step[i];
        v = pick(b, v, i, at, n);
    }
    return v && y->n == type_n(v->type) ? tf_shaped_out(b, v) : v;
}

/* SLICE: begin and size, -1: to the end. */
Value *tf_slice(Build *b)
{
    const TfTensor *x = tf_in(b, 0);
    int64_t begin[MAX_RANK], end[MAX_RANK];
    Value *v = tf_operand(b, 0);

    if (!v)
        return NULL;
    if (tf_constant_ints(b, 1, MAX_RANK, begin) != x->rank || tf_constant_ints(b, 2, MAX_RANK, end) != x->rank)
        return tf_refuse(b, "its limits are not constants, one for each dimension");
    for (int i = 0; i < x->rank; i++)
        end[i] = end[i] < 0 ? x->dim[i] : begin[i] + end[i];
    return cut(b, v, begin, end, x->rank);
}

/* SPLIT (axis first) and SPLIT_V (sizes, then the axis). */
Value *tf_split(Build *b)
{
    bool sized = tf_op(b)->code == TF_SPLIT_V;
    int k_axis = sized ? 2 : 0, n = tf_op(b)->n_out, axis;
    const TfTensor *x = tf_in(b, !sized);
    Value *v = tf_operand(b, !sized);
    int64_t begin = 0, *size = ARENA_ARRAY(b->m->a, int64_t, n + 1);
    Attr a[3];

    if (!v || (axis = tf_axis_operand(b, k_axis, x->rank)) < 0)
        return NULL;
    if (sized ? tf_constant_ints(b, 1, n, size) != n : x->dim[axis] % n != 0)
        return tf_refuse(b, "its parts do not fit its outputs");
    for (int i = 0; i <= b->i_out; i++) {
        size[i] = !sized ? x->dim[axis] / n : size[i] < 0 ? b->g->tensor[tf_op(b)->out[i]].dim[axis] : size[i];
        begin += i < b->i_out ? size[i] : 0;
    }
    a[0] = attr_int("axis", axis);
    a[1] = attr_int("begin", begin);
    a[2] = attr_int("end", begin + size[b->i_out]);
    return tf_put(b, OP_slice, "", v, a, 3);
}

Value *tf_unpack(Build *b)
{
    const TfTensor *x = tf_in(b, 0);
    Value *v = tf_operand(b, 0);
    int axis = v ? tf_axis(b, tf_option(b, 1, 4, 0), x->rank) : -1;

    if (axis < 0)
        return NULL;
    return tf_shaped_out(b, tf_put(b, OP_slice, "cut", v,
                                   (Attr[]){ attr_int("axis", axis), attr_int("begin", b->i_out), attr_int("end", b->i_out + 1) }, 3));
}

/* Operands get a dimension of 1 where they are put side by side. */
Value *tf_pack(Build *b)
{
    const TfTensor *y = tf_out(b);
    int axis = tf_axis(b, tf_option(b, 1, 4, 0), y->rank), n = tf_op(b)->n_in;
    Value **v = ARENA_ARRAY(b->m->a, Value *, n + 1);
    int64_t dim[MAX_RANK];
    Attr a = attr_int("axis", axis);

    if (axis < 0)
        return NULL;
    for (int i = 0; i < y->rank; i++)
        dim[i] = i == axis ? 1 : y->dim[i];
    for (int i = 0; i < n; i++) {
        v[i] = tf_operand(b, i);
        if (v[i] && !tf_same_quant(tf_in(b, i), y))
            return tf_refuse(b, "its operands are not quantized like its output");
        v[i] = v[i] ? tf_shaped(b, v[i], y->rank, dim) : NULL;
    }
    return tf_put_many(b, OP_concat, "", v, n, &a, 1);
}

/* Operands of another scale than the output's are brought to it first.  [concatenation.cc refuses them; the reference does not] */
Value *tf_concatenation(Build *b)
{
    const TfOp *o = &b->g->op[b->i_op];
    const TfTensor *y = tf_out(b);
    Value **v = ARENA_ARRAY(b->m->a, Value *, o->n_in + 1);
    int axis = tf_option(b, 0, 4, 0);
    Attr a;

    if (tf_option(b, 1, 1, ACT_none) != ACT_none || axis < -y->rank || axis >= y->rank)
        return tf_refuse(b, "its axis is not one of its output, or it has a fused activation function");
    for (int i = 0; i < o->n_in; i++) {
        const TfTensor *x = tf_in(b, i);

        if (!(v[i] = tf_operand(b, i)))
            return NULL;
        if (!tf_same_quant(x, y))
            return tf_refuse(b, "its operands are not quantized like its output");
    }
    a = attr_int("axis", axis < 0 ? axis + y->rank : axis);
    return tf_put_many(b, OP_concat, "", v, o->n_in, &a, 1);
}

/* ---- places ----------------------------------------------------------------------------------------------------------- */

/* Rows of x by numbers that are a constant or are computed. */
Value *tf_gather(Build *b)
{
    const TfTensor *x = tf_in(b, 0), *index = tf_in(b, 1);
    Value *v = tf_operand(b, 0), *i = v ? tf_operand(b, 1) : NULL;
    int axis = i ? tf_axis(b, tf_option(b, 0, 4, 0), x->rank) : -1;
    Attr a = attr_int("axis", axis);

    if (axis < 0)
        return NULL;
    if (!tf_is_type(index, "i32") || tf_option(b, 1, 4, 0))
        return tf_refuse(b, "takes rows by INT32 numbers, and has no dimensions in common with them (batch_dims)");
    if (index->p)
        i = tf_weight_as(b, "at", index, 1, &index->n);
    return tf_shaped_out(b, tf_put_two(b, OP_gather, "", v, tf_shaped(b, i, 1, &index->n), &a, 1));
}

Value *tf_reverse(Build *b)
{
    const TfTensor *x = tf_in(b, 0);
    Value *v = tf_operand(b, 0);
    int64_t axes[MAX_RANK];
    int n = v ? tf_constant_ints(b, 1, MAX_RANK, axes) : -1;

    for (int i = 0; i < n; i++) {
        int axis = tf_axis(b, axes[i], x->rank);
        int64_t *at;

        if (axis < 0)
            return NULL;
        at = places(b, x->dim[axis]);
        for (int64_t k = 0; x->dim[axis] <= MAX_PICKED && k < x->dim[axis]; k++)
            at[k] = x->dim[axis] - 1 - k;
        v = pick(b, v, axis, at, x->dim[axis]);
    }
    return n < 0 ? NULL : v;
}

/* What lies outside is the inside mirrored, with the edge (SYMMETRIC) or without it (REFLECT). */
Value *tf_mirror_pad(Build *b)
{
    const TfTensor *x = tf_in(b, 0);
    int symmetric = tf_option(b, 0, 1, 0);
    int64_t both[2 * MAX_RANK];
    Value *v = tf_operand(b, 0);

    if (!v || !paddings(b, both))
        return NULL;
    for (int i = 0; i < x->rank; i++) {
        int64_t n = x->dim[i], total = both[2 * i] + n + both[2 * i + 1], *at = places(b, total);

        if (both[2 * i] > n - !symmetric || both[2 * i + 1] > n - !symmetric)
            return tf_refuse(b, "its paddings are larger than what they mirror");
        for (int64_t k = 0; total <= MAX_PICKED && k < total; k++) {
            int64_t from = k - both[2 * i];

            at[k] = from < 0 ? -from - (symmetric != 0) : from >= n ? 2 * n - 1 - from - !symmetric : from;
        }
        v = total == n ? v : pick(b, v, i, at, total);
    }
    return v;
}

/* [GetNearestNeighbor] */
static int64_t nearest(int64_t at, int64_t from, int64_t to, bool corners, bool half)
{
    float scale = corners && to > 1 ? (float)(from - 1) / (float)(to - 1) : (float)from / (float)to;
    float place = ((float)at + (half ? 0.5f : 0.0f)) * scale;
    int64_t i = (int64_t)(corners ? roundf(place) : floorf(place));

    return i > from - 1 ? from - 1 : half && i < 0 ? 0 : i;
}

Value *tf_resize(Build *b)
{
    bool bilinear = tf_op(b)->code == TF_RESIZE_BILINEAR;
    const TfTensor *x = tf_in(b, 0);
    int corners = tf_option(b, bilinear ? 2 : 0, 1, 0) != 0, half = tf_option(b, bilinear ? 3 : 1, 1, 0) != 0, n = 1;
    Value *v = tf_operand(b, 0);
    int64_t to[2];
    Attr a[3];

    if (!v)
        return NULL;
    if (x->rank != 4 || tf_constant_ints(b, 1, 2, to) != 2 || to[0] < 1 || to[1] < 1)
        return tf_refuse(b, "needs an image of four dimensions and a constant size");
    if (bilinear && corners && half)
        return tf_refuse(b, "has align_corners and half_pixel_centers, of which only one is possible");
    for (int i = 0; !bilinear && i < 2; i++) {
        int64_t *at = places(b, to[i]);

        for (int64_t k = 0; to[i] <= MAX_PICKED && k < to[i]; k++)
            at[k] = nearest(k, x->dim[1 + i], to[i], corners, half);
        v = pick(b, v, 1 + i, at, to[i]);
    }
    if (!bilinear)
        return v;
    a[0] = attr_ints("dims", to, 2);
    if (corners)
        a[n++] = attr_int("align_corners", 1);
    if (half)
        a[n++] = attr_int("half_pixel", 1);
    return tf_put(b, OP_resize, "", v, a, n);
}

/* ---- blocks: parts of one dimension become parts of another ------------------------------------------------------------ */

static Value *turned(Build *b, Value *v, const int64_t *dim, const int64_t *perm, int rank)
{
    Attr a = attr_ints("perm", perm, rank);

    return tf_put(b, OP_transpose, "", tf_shaped(b, v, rank, dim), &a, 1);
}

/* [N H, W, s, s C] <-> [N H, s, W, s C]: in both directions two dimensions change places. */
Value *tf_depth_and_space(Build *b)
{
    bool to_depth = tf_op(b)->code == TF_SPACE_TO_DEPTH;
    const TfTensor *x = tf_in(b, 0), *y = tf_out(b), *deep = to_depth ? y : x;
    int64_t s = tf_option(b, 0, 4, 1), dim[4];
    Value *v = tf_operand(b, 0);

    if (!v)
        return NULL;
    if (x->rank != 4 || y->rank != 4 || x->n != y->n || s < 1 || s > 1 << 10 || deep->dim[3] % (s * s) != 0)
        return tf_refuse(b, "needs an image of four dimensions, its output's shape, and blocks that divide them");
    dim[0] = deep->dim[0] * deep->dim[1];
    dim[1] = to_depth ? s : deep->dim[2];
    dim[2] = to_depth ? deep->dim[2] : s;
    dim[3] = deep->dim[3] / s;
    return tf_shaped_out(b, turned(b, v, dim, (int64_t[]){ 0, 2, 1, 3 }, 4));
}

/* What is padded is the zero point (TensorFlow Lite Micro of 2026 pads with what lies in a field that it does not set).
 * Images are cut into a grid of blocks, element (i, j) of all blocks becomes image (i s1 + j) N + n; or back.  The second operand are the block's
 * numbers of rows and columns (of rows alone, where there are no columns), the third what is padded before or cropped behind. */
Value *tf_batch_and_space(Build *b)
{
    bool to_batch = tf_op(b)->code == TF_SPACE_TO_BATCH_ND;
    const TfTensor *x = tf_in(b, 0), *y = tf_out(b);
    int64_t s[2] = { 1, 1 }, edge[4] = { 0 }, n = x->dim[0], h = x->dim[1], w = x->rank == 4 ? x->dim[2] : 1, c = x->dim[x->rank - 1];
    Value *v = tf_operand(b, 0);
    int n_block;

    if (!v)
        return NULL;
    n_block = tf_constant_ints(b, 1, 2, s);
    if (x->rank != n_block + 2 || y->rank != x->rank || tf_constant_ints(b, 2, 4, edge) != 2 * n_block || s[0] < 1 || s[1] < 1 || s[0] * s[1] > 1 << 20)
        return tf_refuse(b, "needs an image with one or two dimensions of space, and constant blocks and edges for them");
    if (n_block == 1)
        edge[2] = edge[3] = 0;
    v = tf_shaped(b, v, 4, (int64_t[]){ n, h, w, c });
    if (to_batch) {
        h += edge[0] + edge[1];
        w += edge[2] + edge[3];
        if (h % s[0] || w % s[1])
            return tf_refuse(b, "its blocks do not divide its input");
        if (h * w != x->dim[1] * (x->rank == 4 ? x->dim[2] : 1))
            v = tf_put(b, OP_pad, "edge", v, (Attr[]){ attr_ints("before", (int64_t[]){ 0, edge[0], edge[2], 0 }, 4),
                       attr_ints("after", (int64_t[]){ 0, edge[1], edge[3], 0 }, 4),
                       attr_float("value", x->n_scale ? (double)x->zero[0] : 0) }, 3);
        v = turned(b, v, (int64_t[]){ n, h, w / s[1], s[1], c }, (int64_t[]){ 3, 0, 1, 2, 4 }, 5);
        v = turned(b, v, (int64_t[]){ n * s[1], h / s[0], s[0], w / s[1] * c, 1 }, (int64_t[]){ 2, 0, 1, 3, 4 }, 5);
        return tf_shaped_out(b, v);
    }
    if (n % (s[0] * s[1]))
        return tf_refuse(b, "its blocks do not divide its input");
    n /= s[0];
    v = turned(b, v, (int64_t[]){ s[0], n, h, w * c, 1 }, (int64_t[]){ 1, 2, 0, 3, 4 }, 5);
    h *= s[0];
    n /= s[1];
    v = turned(b, v, (int64_t[]){ s[1], n, h, w, c }, (int64_t[]){ 1, 2, 3, 0, 4 }, 5);
    w *= s[1];
    v = cut(b, tf_shaped(b, v, 4, (int64_t[]){ n, h, w, c }), (int64_t[]){ 0, edge[0], edge[2], 0 },
            (int64_t[]){ n, h - edge[1], w - edge[3], c }, 4);
    return v ? tf_shaped_out(b, v) : NULL;
}
