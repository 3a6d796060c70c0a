/* If this fails, a network computes with bytes that it has overwritten itself, or takes more memory than it must.
 *
 * Every byte is followed: memory is an array that says which byte of which buffer was written there last.  The stages run in their directions, group
 * by group; what a group reads must still be there, before and (unless it is elementwise or read into a panel) after the group's writes. */
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "compiler/passes/image_memory.h"

enum { MAX_TOUCH = 40000, MAX_BUFFER = 300, MAX_STAGE = 120 };

/* ---- networks ---- */

typedef struct {
    MemPlan p;
    MemBuffer buffer[MAX_BUFFER];
    MemStage stage[MAX_STAGE];
    MemTouch touch[MAX_TOUCH];
    int h[MAX_BUFFER];          /* rows of an image */
    int64_t row[MAX_BUFFER];    /* bytes from row to row */
} Net;

static Net *net_new(void)
{
    Net *n = calloc(1, sizeof *n);

    assert_non_null(n);
    n->p = (MemPlan){ .buffer = n->buffer, .stage = n->stage, .touch = n->touch };
    return n;
}

/* An image of h rows; nhwc or lines: one plane. */
static int image(Net *n, int h, int64_t row, int planes, int64_t step)
{
    int b = n->p.n_buffer++;

    assert_true(b < MAX_BUFFER);
    n->buffer[b] = (MemBuffer){ .name = "image", .n_plane = planes, .plane_bytes = h * row, .step = planes == 1 ? h * row : step, .align = 1 };
    n->h[b] = h;
    n->row[b] = row;
    return b;
}

static void touch(Net *n, int stage, int group, int buffer, MemKind kind, int64_t from, int64_t to)
{
    assert_true(n->p.n_touch < MAX_TOUCH);
    n->touch[n->p.n_touch++] = (MemTouch){ stage, group, buffer, kind, from, to };
}

static int begin_stage(Net *n, int n_group, int64_t scratch)
{
    int s = n->p.n_stage++;

    assert_true(s < MAX_STAGE);
    n->stage[s] = (MemStage){ .n_group = n_group, .may_turn = true };
    if (scratch) {
        int b = image(n, 1, scratch, 1, 0);

        n->buffer[b].name = "panel";
        n->buffer[b].align = 4;
        touch(n, s, 0, b, MEM_SCRATCH, 0, scratch);
    }
    return s;
}

/* Rows [g * rows, ..) of y from the rows of x that a window of k rows at this stride sees. */
static int window(Net *n, int x, int y, int k, int stride, int pad_top, int rows, int64_t panel)
{
    int n_group = (n->h[y] + rows - 1) / rows, s = begin_stage(n, n_group, panel);

    for (int g = 0; g < n_group; g++) {
        int y0 = g * rows, y1 = y0 + rows < n->h[y] ? y0 + rows : n->h[y];
        int x0 = y0 * stride - pad_top, x1 = (y1 - 1) * stride - pad_top + k;

        x0 = x0 < 0 ? 0 : x0;
        x1 = x1 > n->h[x] ? n->h[x] : x1;
        touch(n, s, g, x, panel ? MEM_READ_FIRST : MEM_READ, x0 * n->row[x], x1 * n->row[x]);
        touch(n, s, g, y, MEM_WRITE, y0 * n->row[y], y1 * n->row[y]);
    }
    return s;
}

/* All of x, then all of y: fully connected, global pools. */
static int whole(Net *n, int x, int y)
{
    int s = begin_stage(n, 1, 0);

    touch(n, s, 0, x, MEM_READ, 0, n->buffer[x].plane_bytes);
    touch(n, s, 0, y, MEM_WRITE, 0, n->buffer[y].plane_bytes);
    return s;
}

static int sum(Net *n, int a, int b, int y)
{
    int s = begin_stage(n, 1, 0);

    touch(n, s, 0, a, MEM_READ_SAME, 0, n->buffer[a].plane_bytes);
    touch(n, s, 0, b, MEM_READ_SAME, 0, n->buffer[b].plane_bytes);
    touch(n, s, 0, y, MEM_WRITE, 0, n->buffer[y].plane_bytes);
    return s;
}

static int64_t place(Net *n)
{
    Arena *a = arena_new(0);
    int64_t bytes = image_memory_place(&n->p, a);

    arena_free(a);
    return bytes;
}

/* ---- following every byte ---- */

typedef struct {
    int buffer;
    int64_t byte;               /* counted without what lies between planes */
} Owner;

typedef struct {
    const MemPlan *p;
    Owner *owner;
    int64_t bytes;
    bool *written[MAX_BUFFER];  /* which bytes hold something that matters */
    const char *why;
} World;

static int64_t buffer_bytes(const MemBuffer *b)
{
    return (b->n_plane - 1) * b->step + b->plane_bytes;
}

static void put(World *w, int buffer, int64_t from, int64_t to)
{
    const MemBuffer *b = &w->p->buffer[buffer];

    for (int64_t i = 0; i < b->n_plane; i++)
        for (int64_t k = from; k < to; k++) {
            w->owner[b->at + i * b->step + k] = (Owner){ buffer, i * b->plane_bytes + k };
            w->written[buffer][i * b->plane_bytes + k] = true;
        }
}

/* Is every byte there?  same >= 0: or the byte of that buffer which is its place's. */
static bool there(const World *w, int buffer, int64_t from, int64_t to, int same)
{
    const MemBuffer *b = &w->p->buffer[buffer];

    for (int64_t i = 0; i < b->n_plane; i++)
        for (int64_t k = from; k < to; k++) {
            Owner o = w->owner[b->at + i * b->step + k];
            int64_t byte = i * b->plane_bytes + k;

            if (o.byte != byte || (o.buffer != buffer && o.buffer != same))
                return false;
        }
    return true;
}

static void run_group(World *w, int stage, int group)
{
    const MemPlan *p = w->p;
    int result = -1;

    for (int after = 0; after < 2; after++) {
        for (int i = 0; i < p->n_touch; i++) {
            const MemTouch *t = &p->touch[i];
            bool same = t->kind == MEM_READ_SAME && after;

            if (t->stage == stage && t->kind == MEM_SCRATCH && !there(w, t->buffer, t->from, t->to, -1))
                w->why = "a panel is overwritten";
            if (t->stage != stage || t->group != group || t->kind > MEM_READ_SAME || (after && t->kind == MEM_READ_FIRST))
                continue;
            if (!there(w, t->buffer, t->from, t->to, same ? result : -1))
                w->why = after ? "a group writes over what it is reading" : "what a group reads is not there";
        }
        for (int i = 0; !after && i < p->n_touch; i++)
            if (p->touch[i].stage == stage && p->touch[i].group == group && p->touch[i].kind == MEM_WRITE) {
                put(w, p->touch[i].buffer, p->touch[i].from, p->touch[i].to);
                result = p->touch[i].buffer;
            }
    }
}

/* NULL: all is well. */
static const char *follow(const MemPlan *p, int64_t bytes)
{
    World w = { .p = p, .bytes = bytes };

    for (int b = 0; b < p->n_buffer; b++) {
        const MemBuffer *x = &p->buffer[b];

        if (x->at < x->before || x->at % x->align || x->at + buffer_bytes(x) + x->after > bytes)
            return "a buffer is not aligned, or not in the memory";
    }
    w.owner = calloc((size_t)bytes + 1, sizeof *w.owner);
    assert_non_null(w.owner);
    for (int64_t i = 0; i < bytes; i++)
        w.owner[i].buffer = -2;
    for (int b = 0; b < p->n_buffer; b++) {
        w.written[b] = calloc((size_t)buffer_bytes(&p->buffer[b]) + 1, 1);
        assert_non_null(w.written[b]);
        if (p->buffer[b].given)
            put(&w, b, 0, p->buffer[b].plane_bytes);
    }
    for (int s = 0; s < p->n_stage; s++) {
        for (int i = 0; i < p->n_touch; i++)
            if (p->touch[i].stage == s && p->touch[i].kind == MEM_SCRATCH)
                put(&w, p->touch[i].buffer, p->touch[i].from, p->touch[i].to);
        for (int g = 0; g < p->stage[s].n_group; g++)
            run_group(&w, s, p->stage[s].up ? p->stage[s].n_group - 1 - g : g);
    }
    for (int b = 0; b < p->n_buffer; b++) {
        const MemBuffer *x = &p->buffer[b];

        for (int64_t k = 0; x->kept && k < x->n_plane * x->plane_bytes; k++) {
            Owner o = w.owner[x->at + k / x->plane_bytes * x->step + k % x->plane_bytes];

            if (w.written[b][k] && (o.buffer != b || o.byte != k))
                w.why = "a result is overwritten";
        }
        free(w.written[b]);
    }
    free(w.owner);
    return w.why;
}

static void check_net(Net *n, int64_t bytes, const char *what)
{
    const char *why = follow(&n->p, bytes);

    if (why) {
        fprintf(stderr, "%s: %s\n", what, why);
        for (int b = 0; b < n->p.n_buffer; b++)
            fprintf(stderr, "  %d %s: at %lld, %lld x %lld, step %lld\n", b, n->buffer[b].name, (long long)n->buffer[b].at,
                    (long long)n->buffer[b].n_plane, (long long)n->buffer[b].plane_bytes, (long long)n->buffer[b].step);
    }
    assert_null(why);
}

/* ---- the simulation sees what it is there to see ---- */

static void a_byte_too_near_is_noticed(void **state)
{
    /* A 3-row window at stride 1 over rows of 10 bytes, in place: the result must lie a row before the operand. */
    Net *n = net_new();
    int x = image(n, 8, 10, 1, 0), y = image(n, 8, 10, 1, 0);

    (void)state;
    n->buffer[x].given = n->buffer[y].kept = true;
    window(n, x, y, 3, 1, 1, 1, 16);
    n->stage[0].may_turn = false;
    n->buffer[2].fixed = true;                   /* the panel, out of the way */
    n->buffer[2].at = 200;
    n->buffer[x].fixed = n->buffer[y].fixed = true;
    n->buffer[x].at = 10;
    n->buffer[y].at = 0;
    assert_null(follow(&n->p, 300));
    n->buffer[y].at = 1;                         /* row 1 is written over the first byte of row 1 of x, which row 2 needs */
    assert_non_null(follow(&n->p, 300));
    n->buffer[y].at = 20;                        /* too high, top-down */
    assert_non_null(follow(&n->p, 300));
    n->stage[0].up = true;
    assert_null(follow(&n->p, 300));
    n->buffer[y].at = 19;
    assert_non_null(follow(&n->p, 300));
    n->buffer[2].at = 60;                        /* the panel over x */
    n->buffer[y].at = 20;
    assert_non_null(follow(&n->p, 300));
    free(n);
}

/* No row more than needed lies between a result and its operand. */
static void places_are_tight(void **state)
{
    for (int panel = 0; panel < 2; panel++)
        for (int k = 1; k <= 5; k += 2)
            for (int rows = 1; rows <= 3; rows++)
                for (int turn = 0; turn < 2; turn++) {
                    Net *n = net_new();
                    int x = image(n, 9, 10, 1, 0), y = image(n, 9, 10, 1, 0);
                    int64_t bytes;

                    n->buffer[x].given = n->buffer[y].kept = true;
                    window(n, x, y, k, 1, k / 2, rows, 0);
                    for (int i = 0; i < n->p.n_touch; i++)
                        if (panel && n->touch[i].kind == MEM_READ)
                            n->touch[i].kind = MEM_READ_FIRST;
                    n->stage[0].may_turn = turn;
                    bytes = place(n);
                    check_net(n, bytes, "one window");
                    /* Later groups need k / 2 rows of what this one has read; without a panel all that it reads must lie beside what it writes. */
                    assert_int_equal(bytes, 90 + 10 * (k / 2 + (panel ? 0 : rows)));
                    free(n);
                }
    (void)state;
}

/* ---- networks that are known ---- */

/* Ten tensors of 25 x 5 x 64, five of them in place of the one before, with a panel. */
static int64_t keywords(bool planar, int64_t row, int64_t step, int64_t panel, int64_t panel_0)
{
    Net *n = net_new();
    int in = image(n, 49, 10, 1, 0), x = image(n, 25, planar ? row : 64 * row, planar ? 64 : 1, step), pool, sums, out;
    int64_t bytes;
    int ups = 0;

    n->buffer[in].given = true;
    window(n, in, x, 10, 2, 4, 3, panel_0);
    for (int i = 0; i < 4; i++) {
        int y = image(n, 25, planar ? row : 64 * row, planar ? 64 : 1, step);

        window(n, x, y, 3, 1, 1, 3, panel);
        x = y;
    }
    pool = image(n, 1, 64, 1, 0);
    whole(n, x, pool);
    sums = image(n, 1, 12, 1, 0);
    whole(n, pool, sums);
    out = image(n, 1, 12, 1, 0);
    n->buffer[out].kept = true;
    sum(n, sums, sums, out);
    bytes = place(n);
    check_net(n, bytes, "kws");
    for (int s = 1; s <= 4; s++)
        ups += n->stage[s].up;
    assert_int_equal(ups, 2);                    /* one row up, one row down */
    free(n);
    return bytes;
}

static void keywords_fit(void **state)
{
    (void)state;
    /* By hand on the M4 (26 rows of 5 and 2 bytes more, panel of 1,920): 10,372 without input and output; here they are in it. */
    assert_true(keywords(true, 5, 132, 1920, 1200) <= 10372);
    assert_int_equal(keywords(false, 5, 0, 1920, 1200), 26 * 320 + 1920);
    /* M55: rows of 6; by hand 11,416 without the input. */
    assert_true(keywords(true, 6, 157, 1024, 768) <= 11416);
}

static void resnet_fits(void **state)
{
    Net *n = net_new();
    int in = image(n, 32, 96, 1, 0), a = image(n, 32, 512, 1, 0), b = image(n, 32, 512, 1, 0), c = image(n, 32, 512, 1, 0), r, s;
    int64_t bytes;

    (void)state;
    n->buffer[in].given = true;
    window(n, in, a, 3, 1, 1, 1, 864);
    window(n, a, b, 3, 1, 1, 1, 864);
    s = window(n, b, c, 3, 1, 1, 1, 864);        /* and the residual added: reads a where it writes c */
    for (int g = 0; g < 32; g++)
        touch(n, s, g, a, MEM_READ_SAME, 512 * g, 512 * g + 512);
    r = image(n, 1, 512, 1, 0);
    touch(n, s, 0, r, MEM_SCRATCH, 0, 512);
    for (int i = 0; i < 2; i++) {
        int h = i ? 8 : 16;
        int64_t row = 512;
        int d = image(n, h, row, 1, 0), e = image(n, h, row, 1, 0), f = image(n, h, row, 1, 0), g2 = image(n, h, row, 1, 0);

        window(n, c, d, 3, 2, 0, 1, 1152 + 576 * i);
        window(n, d, e, 3, 1, 1, 1, 1728);
        window(n, c, f, 1, 2, 0, 1, 512);
        sum(n, e, f, g2);
        c = g2;
    }
    n->buffer[c].kept = true;
    bytes = place(n);
    check_net(n, bytes, "ic");
    assert_true(bytes <= 2 * 16384 + 864 + 512);
    assert_int_equal(n->buffer[a].at, n->buffer[3].at);
    free(n);
}

static void wake_word_picture_fits(void **state)
{
    static const int out[13][3] = { { 48, 16, 1 }, { 24, 32, 2 }, { 24, 32, 1 }, { 12, 64, 2 }, { 12, 64, 1 }, { 6, 128, 2 }, { 6, 128, 1 },
                                    { 6, 128, 1 }, { 6, 128, 1 }, { 6, 128, 1 }, { 6, 128, 1 }, { 3, 256, 2 }, { 3, 256, 1 } };
    Net *n = net_new();
    int in = image(n, 96, 288, 1, 0), x = image(n, 48, 384, 1, 0), end, c = 8;
    int64_t bytes;

    (void)state;
    n->buffer[in].given = true;
    window(n, in, x, 3, 2, 0, 1, 54 * 12);
    for (int i = 0; i < 13; i++) {
        int h = out[i][0], y = image(n, h, h * out[i][1], 1, 0);

        window(n, x, y, 3, out[i][2], out[i][2] == 1, 1, 2 * h * c);
        x = y;
        c = out[i][1];
    }
    end = image(n, 1, 2, 1, 0);
    n->buffer[end].kept = true;
    whole(n, x, end);
    bytes = place(n);
    check_net(n, bytes, "vww");
    /* 16 channels of 48 x 48 bottom-up over 8 channels that begin in the same place, and a panel. */
    assert_int_equal(bytes, 48 * 768 + 768);
    free(n);
}

static void autoencoder_fits(void **state)
{
    Net *n = net_new();
    int x = image(n, 1, 640, 1, 0);
    static const int width[10] = { 128, 128, 128, 128, 8, 128, 128, 128, 128, 640 };
    int64_t bytes;

    (void)state;
    n->buffer[x].given = true;
    for (int i = 0; i < 10; i++) {
        int y = image(n, 1, width[i], 1, 0);

        whole(n, x, y);
        x = y;
    }
    n->buffer[x].kept = true;
    bytes = place(n);
    check_net(n, bytes, "ad");
    assert_int_equal(bytes, 768);
    free(n);
}

/* ---- random ones ---- */

static unsigned seed;

static int pick(int n)
{
    seed = seed * 1664525 + 1013904223;
    return (int)((seed >> 8) % (unsigned)n);
}

static int random_image(Net *n, int h)
{
    int planes = pick(2) ? 1 : 2 + pick(3);
    int64_t row = 1 + pick(7);
    int b = image(n, h, row, planes, planes == 1 ? 0 : h * row + pick(3) * row + pick(2));

    n->buffer[b].align = 1 << pick(3);
    n->buffer[b].before = pick(4) ? 0 : pick(5);
    n->buffer[b].after = pick(4) ? 0 : pick(17);
    return b;
}

static Net *random_net(int n_stage)
{
    Net *n = net_new();
    int images[MAX_STAGE + 1], n_image = 0;

    images[n_image++] = random_image(n, 4 + pick(12));
    n->buffer[images[0]].given = true;
    for (int i = 0; i < n_stage; i++) {
        int x = images[pick(3) ? n_image - 1 : pick(n_image)], y, k = 1 + pick(3), stride = 1 + pick(2), s;

        if (pick(4) == 0) {                      /* elementwise; planes that are not equally far apart cannot lie on one another */
            y = image(n, n->h[x], n->row[x], (int)n->buffer[x].n_plane, n->buffer[x].step + pick(2));
            s = sum(n, x, x, y);
        } else {
            y = random_image(n, (n->h[x] + stride - 1) / stride);
            s = window(n, x, y, k, stride, pick(k), 1 + pick(4), pick(2) ? 1 + pick(20) : 0);
        }
        n->stage[s].may_turn = pick(4) != 0;
        n->stage[s].up = pick(2);
        n->buffer[y].kept = pick(8) == 0;
        images[n_image++] = y;
    }
    n->buffer[images[n_image - 1]].kept = true;
    return n;
}

static void random_networks_keep_what_they_need(void **state)
{
    int64_t all = 0, without = 0;

    (void)state;
    for (int i = 0; i < 1500; i++) {
        Net *n;
        char what[64];
        int64_t bytes;

        seed = (unsigned)i * 7919 + 1;
        n = random_net(1 + pick(8));
        bytes = place(n);
        snprintf(what, sizeof what, "random network %d", i);
        check_net(n, bytes, what);
        all += bytes;
        for (int b = 0; b < n->p.n_buffer; b++)
            without += buffer_bytes(&n->buffer[b]);
        free(n);
    }
    assert_true(all < without * 2 / 3);          /* and something is gained */
}

static void the_same_network_lies_the_same(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        Net *a, *b;

        seed = (unsigned)i + 5;
        a = random_net(9);
        seed = (unsigned)i + 5;
        b = random_net(9);
        assert_int_equal(place(a), place(b));
        for (int k = 0; k < a->p.n_buffer; k++)
            assert_int_equal(a->buffer[k].at, b->buffer[k].at);
        free(a);
        free(b);
    }
}

static void a_hundred_stages_are_planned_at_once(void **state)
{
    Net *n = net_new();
    int x = image(n, 96, 96 * 8, 1, 0);
    clock_t before;
    int64_t bytes;

    (void)state;
    n->buffer[x].given = true;
    for (int i = 0; i < 100; i++) {
        int y = image(n, 96, 96 * (8 + i % 3), 1, 0);

        window(n, x, y, 3, 1, 1, 1, 500);
        x = y;
    }
    n->buffer[x].kept = true;
    before = clock();
    bytes = place(n);
    assert_true((double)(clock() - before) / CLOCKS_PER_SEC < 2);        /* 0.1 s; sanitizers take more */
    check_net(n, bytes, "a hundred stages");
    free(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_byte_too_near_is_noticed),
        cmocka_unit_test(places_are_tight),
        cmocka_unit_test(keywords_fit),
        cmocka_unit_test(resnet_fits),
        cmocka_unit_test(wake_word_picture_fits),
        cmocka_unit_test(autoencoder_fits),
        cmocka_unit_test(random_networks_keep_what_they_need),
        cmocka_unit_test(the_same_network_lies_the_same),
        cmocka_unit_test(a_hundred_stages_are_planned_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
