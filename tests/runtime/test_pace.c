/* The pace of threads: if one of these fails, a program that shares its cores with others is slower
 * with several threads than with one, or stays slow when the others have gone.
 *
 * A pace is told what calls cost and nothing else, so time here is made of numbers that were
 * recorded: calls of SmolLM2-135M (Q4_0) on two cores, in microseconds, and how much of each was
 * wasted.  Calls of as many threads follow one another as they did then. */
#include "runtime/core/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <cmocka.h>

typedef struct { int us, wasted_us; } Cost;

/* two threads, nothing else runs */
static const Cost alone_2[] = {
    { 2717, 0 }, { 2625, 0 }, { 2863, 134 }, { 2450, 0 }, { 2788, 0 }, { 2787, 0 }, { 2776, 0 }, { 2659, 0 },
    { 2579, 0 }, { 2613, 0 }, { 2719, 41 }, { 2693, 47 }, { 2633, 0 }, { 2428, 0 }, { 2436, 0 }, { 2649, 0 },
    { 2694, 0 }, { 2679, 0 }, { 2399, 0 }, { 2369, 0 }, { 2611, 119 }, { 2598, 0 }, { 2829, 0 }, { 2604, 0 },
    { 2541, 0 }, { 2871, 178 }, { 2783, 17 }, { 2418, 0 }, { 2598, 62 }, { 2460, 42 }, { 2464, 0 }, { 2500, 0 },
    { 2615, 0 }, { 2548, 0 }, { 2716, 0 }, { 3679, 0 }, { 3165, 0 }, { 2915, 111 }, { 2350, 0 }, { 2541, 0 },
    { 3139, 0 }, { 2687, 0 }, { 2740, 0 }, { 2832, 0 }, { 2670, 0 }, { 2866, 56 }, { 2720, 50 }, { 2719, 0 },
};
/* one thread, another program keeps a core busy */
static const Cost beside_1[] = {
    { 3606, 0 }, { 3557, 0 }, { 5161, 1691 }, { 3552, 0 }, { 5932, 2389 }, { 5006, 1553 }, { 3369, 0 }, { 3354, 0 },
    { 3270, 0 }, { 3312, 0 }, { 3560, 79 }, { 3402, 0 }, { 3327, 0 }, { 3439, 0 }, { 3390, 0 }, { 3300, 0 },
    { 3387, 0 }, { 3243, 0 }, { 3514, 127 }, { 3196, 0 }, { 3399, 0 }, { 3117, 0 }, { 3340, 0 }, { 3278, 0 },
    { 3254, 75 }, { 3291, 0 }, { 3364, 0 }, { 3199, 0 }, { 3327, 0 }, { 3323, 0 }, { 3354, 0 }, { 3631, 0 },
    { 3520, 119 }, { 6192, 2191 }, { 3452, 0 }, { 3528, 0 }, { 3464, 0 }, { 3395, 79 }, { 3207, 0 }, { 3267, 0 },
    { 3185, 0 }, { 3240, 0 }, { 3551, 0 }, { 3290, 0 }, { 3293, 0 }, { 3365, 127 }, { 3316, 0 }, { 3230, 0 },
};
/* two threads and that program: both threads on one core, then each with a part of two */
static const Cost beside_2a[] = {
    { 6399, 1451 }, { 5054, 4889 }, { 4931, 443 }, { 4893, 187 }, { 5171, 5008 }, { 4834, 461 }, { 4497, 647 },
    { 3940, 772 }, { 3946, 928 }, { 3378, 512 }, { 3487, 190 }, { 3967, 526 }, { 3351, 0 }, { 3481, 3464 },
    { 3443, 0 }, { 3829, 3810 }, { 3976, 0 }, { 4490, 4212 }, { 7733, 3576 }, { 3659, 3542 }, { 2243, 0 },
    { 6260, 3977 }, { 6780, 4381 }, { 2311, 0 }, { 6283, 3979 }, { 2326, 0 }, { 3581, 0 }, { 3684, 3669 },
    { 3683, 3669 }, { 3651, 0 }, { 3950, 3812 }, { 3657, 0 }, { 3984, 3966 }, { 3711, 0 }, { 3875, 3857 },
    { 3663, 0 }, { 7481, 7460 }, { 4759, 220 }, { 4887, 1290 }, { 4055, 126 }, { 4262, 4175 }, { 3921, 189 },
    { 4014, 3926 }, { 4003, 0 }, { 3901, 3880 }, { 3910, 75 }, { 6316, 3089 }, { 3956, 116 },
};
/* the same, again */
static const Cost beside_2b[] = {
    { 3934, 705 }, { 3684, 585 }, { 3602, 396 }, { 3093, 0 }, { 3180, 3168 }, { 3104, 0 }, { 3273, 3260 },
    { 3246, 149 }, { 3135, 629 }, { 4880, 1910 }, { 4036, 798 }, { 3539, 205 }, { 3350, 3219 }, { 3233, 655 },
    { 3306, 158 }, { 3142, 0 }, { 3529, 3516 }, { 3322, 0 }, { 3221, 3208 }, { 3267, 130 }, { 3476, 3294 },
    { 3257, 788 }, { 3560, 542 }, { 3429, 168 }, { 3332, 0 }, { 3479, 3460 }, { 3360, 4 }, { 3391, 3375 },
    { 3546, 70 }, { 3393, 3376 }, { 3466, 192 }, { 3468, 3388 }, { 3653, 171 }, { 3146, 0 }, { 1900, 89 },
    { 1788, 0 }, { 3200, 0 }, { 1785, 0 }, { 1786, 0 }, { 3188, 0 }, { 4162, 1628 }, { 2699, 820 }, { 1873, 0 },
    { 3333, 0 }, { 1874, 0 }, { 5486, 3413 }, { 1941, 0 }, { 2776, 65 },
};
/* the same, again: two threads are now and then faster than one */
static const Cost beside_2c[] = {
    { 4886, 1129 }, { 4032, 411 }, { 3780, 3703 }, { 3721, 68 }, { 3510, 3414 }, { 3245, 79 }, { 3460, 3330 },
    { 3372, 2692 }, { 3595, 3119 }, { 5913, 5767 }, { 3882, 76 }, { 3763, 3747 }, { 2807, 0 }, { 3439, 69 },
    { 3287, 0 }, { 2247, 0 }, { 3419, 0 }, { 2640, 47 }, { 2089, 39 }, { 1950, 0 }, { 2751, 0 }, { 3125, 0 },
    { 1982, 0 }, { 2453, 0 }, { 3184, 0 }, { 2001, 0 }, { 3380, 0 }, { 2711, 0 }, { 2006, 0 }, { 1981, 0 },
    { 2893, 0 }, { 3270, 63 }, { 2314, 0 }, { 3431, 0 }, { 2780, 0 }, { 2128, 43 }, { 3356, 34 }, { 2250, 0 },
    { 5970, 3817 }, { 2127, 0 }, { 6277, 3936 }, { 3306, 1651 }, { 4327, 822 }, { 3658, 0 }, { 2293, 0 },
    { 2534, 58 }, { 4341, 0 }, { 3084, 47 },
};
/* eight threads, nothing else runs */
static const Cost crowd_8[] = {
    { 2630, 0 }, { 3554, 3505 }, { 3497, 3350 }, { 3065, 11 }, { 3424, 3348 }, { 3506, 1282 }, { 3393, 870 },
    { 3488, 558 }, { 5311, 2308 }, { 3874, 3691 }, { 3495, 3356 }, { 3267, 384 }, { 3402, 818 }, { 3537, 3400 },
    { 3968, 3493 }, { 3796, 732 }, { 3769, 723 }, { 2953, 0 }, { 2902, 2857 }, { 3238, 3189 }, { 3469, 3391 },
    { 3518, 317 }, { 3248, 3116 }, { 3570, 1849 }, { 3486, 3289 }, { 3764, 3578 }, { 2885, 2850 }, { 2878, 0 },
    { 3144, 3089 }, { 3269, 0 }, { 3342, 3124 }, { 3543, 976 }, { 3626, 790 }, { 3802, 3027 }, { 3841, 3019 },
    { 4394, 3934 }, { 5723, 2675 }, { 2883, 2824 }, { 3479, 0 }, { 3097, 3042 }, { 3537, 422 }, { 3478, 3293 },
    { 3581, 3383 }, { 2765, 2711 }, { 2821, 140 }, { 2995, 2936 }, { 3163, 3116 }, { 3136, 2948 },
};
#define LINE(a) { a, (int)(sizeof(a) / sizeof *(a)) }
typedef struct { const Cost *cost; int n; } Line;

/* What calls of 1 and of 2 threads cost; a number above costs what 8 threads do. */
typedef struct { Line one, two, more; } World;
static const World alone = { LINE(beside_1), LINE(alone_2), LINE(crowd_8) };
static const World beside[] = { { LINE(beside_1), LINE(beside_2a), LINE(crowd_8) },
                                { LINE(beside_1), LINE(beside_2b), LINE(crowd_8) },
                                { LINE(beside_1), LINE(beside_2c), LINE(crowd_8) } };

typedef struct {
    NAME_Pace pace;
    int at[3];                          /* calls of each kind so far */
    int64_t us;
    int n_calls, n_most;                /* those with all threads */
} Talk;

static Talk begin(int most)
{
    Talk t = { .us = 0 };

    NAME_pace_init(&t.pace, most);
    return t;
}

static Cost next_cost(Talk *t, const World *w, int n_threads)
{
    int k = n_threads > 2 ? 2 : n_threads - 1;
    const Line *l = k == 0 ? &w->one : k == 1 ? &w->two : &w->more;

    return l->cost[t->at[k]++ % l->n];
}

static void call(Talk *t, const World *w)
{
    Cost c = next_cost(t, w, t->pace.now);

    assert_in_range(t->pace.now, 1, t->pace.most);
    t->us += c.us;
    t->n_calls++;
    t->n_most += t->pace.now == t->pace.most;
    NAME_pace_note(&t->pace, (int64_t)c.us * 1000, (int64_t)c.wasted_us * 1000);
}

static int64_t time_of(const World *w, int most, int n_calls)
{
    Talk t = begin(most);

    for (int i = 0; i < n_calls; i++)
        call(&t, w);
    return t.us;
}

/* As long as calls with so many threads take, all of them. */
static int64_t time_with(const World *w, int n_threads, int n_calls)
{
    Talk t = begin(n_threads);
    int64_t us = 0;

    for (int i = 0; i < n_calls; i++)
        us += next_cost(&t, w, n_threads).us;
    return us;
}

static void test_nobody_else(void **state)
{
    Talk t = begin(2);

    (void)state;
    for (int i = 0; i < 2000; i++)
        call(&t, &alone);
    assert_int_equal(t.n_most, t.n_calls);
}

/* At most a tenth slower than one thread, from the first tokens on, wherever in the line of what
 * happens they begin; and nearly as fast in the long run. */
static void test_one_core_busy(void **state)
{
    (void)state;
    for (int k = 0; k < 3; k++)
        for (int shift = 0; shift < 48; shift += 3) {
            Talk t = begin(2);

            t.at[0] = 5 * shift;
            t.at[1] = shift;
            for (int i = 0; i < 128; i++)
                call(&t, &beside[k]);
            assert_true(t.us <= time_with(&beside[k], 1, 128) * 110 / 100);
            for (int i = 0; i < 1872; i++)
                call(&t, &beside[k]);
            assert_true(t.us <= time_with(&beside[k], 1, 2000) * 103 / 100);
        }
}

static void test_comes_and_goes(void **state)
{
    (void)state;
    for (int k = 0; k < 3; k++)
        for (int before = 100; before < 150; before += 7) {
            Talk t = begin(2);
            int64_t us;
            int n;

            for (int i = 0; i < before; i++)
                call(&t, &alone);
            us = t.us;
            for (int i = 0; i < 40; i++)
                call(&t, &beside[k]);
            assert_true(t.us - us <= time_with(&beside[k], 1, 40) * 125 / 100);
            for (int i = 0; i < 1000; i++)
                call(&t, &beside[k]);
            for (n = 0; n < 600 && (t.pace.now < 2 || t.pace.trying); n++)
                call(&t, &alone);
            assert_in_range(n, 0, 300);
            n = t.n_calls - t.n_most;
            for (int i = 0; i < 1000; i++)
                call(&t, &alone);
            assert_int_equal(t.n_calls - t.n_most, n);
        }
}

/* Eight threads where there are cores for two, if ever they are started. */
static void test_crowd(void **state)
{
    int64_t two = time_with(&alone, 2, 128);

    (void)state;
    assert_true(time_with(&alone, 8, 128) > two * 120 / 100);
    assert_true(time_of(&alone, 8, 128) <= two * 120 / 100);
    assert_true(time_of(&alone, 8, 2000) <= time_with(&alone, 2, 2000) * 103 / 100);
}

/* Threads for which there are no cores are left out, and no more of them than that, however long a
 * call is; one bad call in many is no reason. */
static void test_scale(void **state)
{
    (void)state;
    for (int64_t ns = 20000; ns < (int64_t)1 << 40; ns *= 7) {
        NAME_Pace p;
        int n_right = 0;

        NAME_pace_init(&p, 16);
        for (int i = 0; i < 500; i++) {
            assert_int_equal(p.now, 16);
            NAME_pace_note(&p, ns, i % 9 ? 0 : ns);
        }
        for (int i = 0; i < 500; i++) {
            int64_t wasted = p.now > 11 ? ns * 9 / 10 : 0;

            NAME_pace_note(&p, ns + wasted, wasted);
            n_right += p.now == 11;
        }
        assert_true(ns < 100000 ? p.now == 16 : n_right > 450);
    }
}

/* Whatever is wasted, the number that takes less time is kept; a call that something else held up
 * does not count for more than two. */
static void test_time_decides(void **state)
{
    (void)state;
    for (int us = 800; us <= 1250; us += 50) {
        NAME_Pace p;
        int n_two = 0;

        NAME_pace_init(&p, 2);
        for (int i = 0; i < 2000; i++) {
            n_two += p.now == 2;
            if (p.now == 2)
                NAME_pace_note(&p, us * 1000, i < 100 ? 600000 : 0);
            else
                NAME_pace_note(&p, p.n_calls == p.hold - 1 ? 50000000 : 1000000, 0);
        }
        assert_true(us < 1000 ? n_two > 1400 : us > 1125 ? n_two < 150 : true);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nobody_else), cmocka_unit_test(test_one_core_busy), cmocka_unit_test(test_comes_and_goes),
        cmocka_unit_test(test_crowd),       cmocka_unit_test(test_scale),         cmocka_unit_test(test_time_decides),
    };

    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
