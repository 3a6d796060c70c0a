/* The runtime with a toy model: if one of these fails, an emitted program gives wrong tokens with
 * some number of threads, loses a conversation that was saved, runs on damaged weights, or hangs.
 *
 *   test_runtime FOLDER      where mktoy wrote the weights */
#include "tests/runtime/toy.h"
#include "runtime/core/weights_format.h"
#if defined(__x86_64__)
#include "runtime/core/tiles.c"
#endif

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#if NAME_THREADS
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#endif
#include <xxhash.h>

static char weights_path[4096], scratch_path[4096];
static NAME_Model model;

static uint32_t rng = 1;
static int below(int n)
{
    rng = rng * 1664525u + 1013904223u;
    return (int)((uint64_t)(rng >> 1) * (uint64_t)n >> 31);
}

static int32_t *random_ids(int n)
{
    int32_t *ids = malloc((size_t)n * sizeof *ids);

    for (int i = 0; i < n; i++)
        ids[i] = below(TOY_VOCAB);
    return ids;
}

/* A session in a block of its own, at an odd address, with guard bytes behind, whose threads all take
 * part, however few cores there are. */
enum { GUARD = 64 };
typedef struct { NAME_Session *s; uint8_t *block; size_t bytes; int shift; } Box;

static Box open_box(NAME_Options o)
{
    Box b = { NULL, NULL, NAME_session_bytes(o.n_ctx, o.n_threads), below(200) };

    assert_true(b.bytes > 0);
    o.flags |= NAME_ALL_THREADS;
    b.block = malloc((size_t)b.shift + b.bytes + GUARD);
    memset(b.block, 0xee, (size_t)b.shift + b.bytes + GUARD);
    assert_int_equal(NAME_session_open(&b.s, &model, b.block + b.shift, b.bytes, &o), NAME_OK);
    return b;
}

static void close_box(Box b)
{
    NAME_close(b.s);
    for (int i = 0; i < b.shift; i++)
        assert_int_equal(b.block[i], 0xee);
    for (int i = 0; i < GUARD; i++)
        assert_int_equal(b.block[(size_t)b.shift + b.bytes + (size_t)i], 0xee);
    free(b.block);
}

static void assert_logits(const float *have, const float *want, int n)
{
    assert_memory_equal(have, want, (size_t)n * TOY_VOCAB * sizeof(float));
}

/* Feeds ids[0..n-1] in random portions with random numbers of logits, and compares each row with
 * the reference. */
static void feed_randomly(NAME_Session *s, const int32_t *ids, int n, const float *want)
{
    float *rows = malloc((size_t)n * TOY_VOCAB * sizeof(float) + 1);

    for (int at = 0; at < n;) {
        int k = below(4) ? 1 + below(n - at) : 1, rows_n = below(2) ? below(k + 1) : k;

        memset(rows, 0, (size_t)n * TOY_VOCAB * sizeof(float));
        assert_int_equal(NAME_eval(s, ids + at, k, rows, rows_n), NAME_OK);
        at += k;
        assert_logits(rows, want + (size_t)(at - rows_n) * TOY_VOCAB, rows_n);
        assert_int_equal(NAME_n_past(s), at);
    }
    free(rows);
}

/* ---- hashes ---------------------------------------------------------------------------------- */

static void test_xxh64(void **state)
{
    uint8_t bytes[400];

    (void)state;
    for (int i = 0; i < 400; i++)
        bytes[i] = (uint8_t)below(256);
    for (size_t n = 0; n < 300; n++) {
        uint64_t seed = n % 3 ? (uint64_t)below(1 << 30) << 31 : 0;

        assert_true(NAME_xxh64(bytes + n % 7, n, seed) == XXH64(bytes + n % 7, n, seed));
    }
}

/* ---- the weights file ------------------------------------------------------------------------ */

static uint8_t *read_weights(size_t *n)
{
    FILE *f = fopen(weights_path, "rb");
    uint8_t *w = NULL;

    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    *n = (size_t)ftell(f);
    rewind(f);
    assert_int_equal(posix_memalign((void **)&w, 64, *n), 0);
    assert_int_equal(fread(w, 1, *n, f), *n);
    fclose(f);
    return w;
}

static void write_scratch(const void *p, size_t n)
{
    FILE *f = fopen(scratch_path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static void test_open(void **state)
{
    size_t n;
    uint8_t *w = read_weights(&n);
    uint64_t bytes;
    NAME_Model m;

    (void)state;
    assert_int_equal(NAME_open(&m, "/no/such/file"), NAME_E_FILE);
    assert_int_equal(errno, ENOENT);
    assert_null(m.w);
    assert_int_equal(NAME_open(&m, "/"), NAME_E_FILE);
    assert_int_equal(errno, EISDIR);
    assert_int_equal(NAME_open(&m, NULL), NAME_E_ARG);          /* nothing is linked in */
    assert_int_equal(NAME_open_memory(&m, w + 8, n - 8), NAME_E_ARG);
    assert_int_equal(NAME_open_memory(&m, NULL, n), NAME_E_ARG);
    assert_int_equal(NAME_open_memory(&m, w, n), NAME_OK);
    assert_string_equal(NAME_isa_name(&m), "plain");    /* "dream" comes first, but no CPU has it */
    assert_null(NAME_missing_feature());
    assert_int_equal(NAME_verify(&m), NAME_OK);
    assert_null(NAME_section(&m, "nothing", &bytes));
    assert_int_equal(bytes, 0);
    assert_int_equal(NAME_section(&m, TOY_BLOB, &bytes)[9], 81);
    assert_int_equal(bytes, TOY_BLOB_BYTES);
    NAME_close_model(&m);
    assert_null(m.w);
    free(w);
}

/* A file cut anywhere is refused, without reading past its end. */
static void test_truncated(void **state)
{
    size_t n;
    uint8_t *w = read_weights(&n);
    NAME_Model m;

    (void)state;
    for (size_t k = 0; k < n; k += k < 400 ? 1 : 1 + (size_t)below(20000)) {
        void *cut = NULL;                  /* of its exact size, so that ASan sees a read too far */

        write_scratch(w, k);
        assert_int_equal(NAME_open(&m, scratch_path), NAME_E_WEIGHTS);      /* also where nothing is left */
        assert_int_equal(posix_memalign(&cut, 64, k), 0);
        if (k)
            memcpy(cut, w, k);
        assert_int_equal(NAME_open_memory(&m, cut, k), NAME_E_WEIGHTS);
        free(cut);
    }
    w = realloc(w, n + 1);
    w[n] = 0;
    write_scratch(w, n + 1);
    assert_int_equal(NAME_open(&m, scratch_path), NAME_E_WEIGHTS);
    free(w);
}

/* Any changed byte is found: in the header and the tables when the file is opened, elsewhere
 * (padding too) by NAME_verify. */
static void test_damaged(void **state)
{
    size_t n;
    uint8_t *w = read_weights(&n);
    uint64_t header = ((NAME_WeightsFile *)(void *)w)->header_bytes;
    NAME_Model m;

    (void)state;
    for (size_t i = 0; i < n; i += i < header + 8 || i > n - 200 ? 1 : 1 + (size_t)below(60000)) {
        w[i] ^= (uint8_t)(1 << below(8));
        if (i < header)
            assert_int_equal(NAME_open_memory(&m, w, n), NAME_E_WEIGHTS);
        else {
            assert_int_equal(NAME_open_memory(&m, w, n), NAME_OK);
            assert_int_equal(NAME_verify(&m), NAME_E_WEIGHTS);
        }
        free(w);
        w = read_weights(&n);
    }
    free(w);
}

/* Sizes in the header that would overflow are refused before anything is computed with them. */
static void test_extreme_header(void **state)
{
    size_t n;
    uint8_t *w = read_weights(&n);
    NAME_WeightsFile *h = (void *)w;
    NAME_Model m;

    (void)state;
    h->header_bytes = UINT64_MAX - 7;
    assert_int_equal(NAME_open_memory(&m, w, n), NAME_E_WEIGHTS);
    h->header_bytes = 64;
    h->n_sections = UINT32_MAX;
    assert_int_equal(NAME_open_memory(&m, w, n), NAME_E_WEIGHTS);
    free(w);
}

/* ---- sessions -------------------------------------------------------------------------------- */

static void test_session_arguments(void **state)
{
    size_t bytes = NAME_session_bytes(100, 1);
    void *block = malloc(bytes);
    NAME_Session *s;
    NAME_Model closed = { NULL, 0, 0, 0 };
    int32_t ids[3] = { 1, 2, 3 };
    float row[TOY_VOCAB];

    (void)state;
    assert_int_equal(NAME_session_bytes(TOY_CTX + 1, 1), 0);
    assert_int_equal(NAME_session_bytes(-1, 1), 0);
    assert_int_equal(NAME_session_bytes(1, NAME_MAX_THREADS + 1), 0);
    assert_int_equal(NAME_session_bytes(0, 0), NAME_session_bytes(TOY_CTX, 1));
    assert_int_equal(
        NAME_session_open(&s, &model, block, bytes - 1, &(NAME_Options){ .n_ctx = 100 }),
        NAME_E_MEMORY);
    assert_null(s);
    /* NULL asks for the whole context */
    assert_int_equal(NAME_session_open(&s, &model, block, bytes, NULL), NAME_E_MEMORY);
    assert_int_equal(
        NAME_session_open(&s, &model, block, bytes, &(NAME_Options){ .n_ctx = TOY_CTX + 1 }),
        NAME_E_ARG);
    assert_int_equal(
        NAME_session_open(&s, &model, block, bytes, &(NAME_Options){ .n_ctx = 100, .flags = 64 }),
        NAME_E_ARG);
    assert_int_equal(NAME_session_open(&s, &closed, block, bytes, &(NAME_Options){ .n_ctx = 100 }),
                     NAME_E_ARG);
    assert_int_equal(NAME_session_open(&s, &model, block, bytes, &(NAME_Options){ .n_ctx = 100 }),
                     NAME_OK);
    assert_int_equal(NAME_n_ctx(s), 100);
    assert_int_equal(NAME_n_threads(s), 1);
    assert_int_equal(NAME_eval(s, ids, -1, NULL, 0), NAME_E_ARG);
    assert_int_equal(NAME_eval(s, ids, 3, row, 4), NAME_E_ARG);
    assert_int_equal(NAME_eval(s, ids, 3, NULL, 1), NAME_E_ARG);
    assert_int_equal(NAME_eval(s, NULL, 3, row, 1), NAME_E_ARG);
    ids[2] = TOY_VOCAB;
    assert_int_equal(NAME_eval(s, ids, 3, row, 1), NAME_E_ARG);
    ids[2] = -1;
    assert_int_equal(NAME_eval(s, ids, 3, row, 1), NAME_E_ARG);
    assert_int_equal(NAME_n_past(s), 0);
    assert_int_equal(NAME_eval(s, NULL, 0, NULL, 0), NAME_OK);
    assert_int_equal(NAME_rewind(s, 1), NAME_E_ARG);
    assert_int_equal(NAME_rewind(s, -1), NAME_E_ARG);
    assert_int_equal(NAME_rewind(s, 0), NAME_OK);
    NAME_close(s);
    NAME_close(NULL);
    free(block);
    for (int i = NAME_OK; i <= NAME_E_THREADS; i++)
        assert_true(strlen(NAME_status_text((NAME_Status)i)) > 3);
}

/* Whatever way the tokens go in, one by one or in portions, with any number of threads: the same
 * bits. */
static void test_eval(void **state)
{
    static const int n_threads[] = { 1, 2, 3, 7, 33 };
    int32_t *ids = random_ids(TOY_CTX);
    float *want = malloc(TOY_CTX * TOY_VOCAB * sizeof(float));

    (void)state;
    toy_reference(ids, TOY_CTX, want);
    for (int i = 0; i < (NAME_THREADS ? 5 : 1); i++)
        for (int round = 0; round < 4; round++) {
            Box b = open_box((NAME_Options){ .n_threads = n_threads[i],
                                             .flags = round == 3 ? NAME_ONE_BY_ONE : 0 });
            int n = round == 0 ? TOY_CTX : 1 + below(TOY_CTX - 1);

            feed_randomly(b.s, ids, n, want);
            if (n == TOY_CTX)
                assert_int_equal(NAME_eval(b.s, ids, 1, NULL, 0), NAME_E_CONTEXT);
            close_box(b);
        }
    free(ids);
    free(want);
}

static void test_rewind(void **state)
{
    Box b = open_box((NAME_Options){ .n_ctx = 120, .n_threads = NAME_THREADS ? 2 : 1 });
    int32_t *ids = random_ids(120);
    float *want = malloc(120 * TOY_VOCAB * sizeof(float));

    (void)state;
    toy_reference(ids, 120, want);
    feed_randomly(b.s, ids, 120, want);
    for (int round = 0; round < 20; round++) {
        int keep = below(NAME_n_past(b.s) + 1), n = below(121 - keep);

        assert_int_equal(NAME_rewind(b.s, keep), NAME_OK);
        for (int i = keep; i < 120; i++)
            ids[i] = below(TOY_VOCAB);
        toy_reference(ids, keep + n ? keep + n : 1, want);
        for (int at = keep; at < keep + n;) {
            float row[TOY_VOCAB];
            int k = 1 + below(keep + n - at);

            assert_int_equal(NAME_eval(b.s, ids + at, k, row, 1), NAME_OK);
            at += k;
            assert_logits(row, want + (size_t)(at - 1) * TOY_VOCAB, 1);
        }
    }
    close_box(b);
    free(ids);
    free(want);
}

static void test_save_load(void **state)
{
    Box a = open_box((NAME_Options){ .n_ctx = 100, .n_threads = NAME_THREADS ? 3 : 1 });
    Box b = open_box((NAME_Options){ .n_ctx = 60 }),
        tight = open_box((NAME_Options){ .n_ctx = 10 });
    int32_t *ids = random_ids(50);
    float *want = malloc(50 * TOY_VOCAB * sizeof(float)), row[TOY_VOCAB];
    uint8_t *saved;
    size_t n;

    (void)state;
    toy_reference(ids, 50, want);
    assert_int_equal(NAME_eval(a.s, ids, 40, NULL, 0), NAME_OK);
    n = NAME_save_bytes(a.s);
    saved = malloc(n + 1);
    saved[n] = 0x55;
    assert_int_equal(NAME_save(a.s, saved, n - 1), NAME_E_MEMORY);
    assert_int_equal(NAME_save(a.s, saved, n), NAME_OK);
    assert_int_equal(saved[n], 0x55);
    assert_int_equal(NAME_eval(b.s, ids + 3, 7, NULL, 0), NAME_OK); /* something to be replaced */
    for (size_t i = 0; i < n; i += 1 + i / 100) {
        saved[i] ^= 1;
        assert_int_equal(NAME_load(b.s, saved, n), NAME_E_WEIGHTS);
        saved[i] ^= 1;
    }
    for (size_t k = 0; k < n; k += 1 + k / 8) {
        void *cut = malloc(k ? k : 1);

        memcpy(cut, saved, k);
        assert_int_equal(NAME_load(b.s, cut, k), NAME_E_WEIGHTS);
        free(cut);
    }
    assert_int_equal(NAME_load(tight.s, saved, n), NAME_E_CONTEXT);
    assert_int_equal(NAME_n_past(tight.s), 0);
    assert_int_equal(NAME_n_past(b.s), 7);
    assert_int_equal(NAME_load(b.s, saved, n), NAME_OK);
    assert_int_equal(NAME_n_past(b.s), 40);
    assert_int_equal(NAME_eval(b.s, ids + 40, 10, row, 1), NAME_OK);
    assert_logits(row, want + 49 * TOY_VOCAB, 1);
    close_box(a);
    close_box(b);
    close_box(tight);
    free(saved);
    free(ids);
    free(want);
}

/* ---- guesses --------------------------------------------------------------------------------- */

/* A clock for guesses: what an evaluation takes is what its test says. */
static uint64_t fake_ns;
static uint64_t fake_now(void)
{
    return fake_ns;
}

/* Tokens of four kinds, in stretches: a phrase again and again, with a word changed now and then; a
 * copy of what was there before; tokens of which no pair comes twice; tokens by chance. */
static int32_t *repetitive_ids(int n)
{
    int32_t *ids = malloc((size_t)n * sizeof *ids);

    for (int at = 0; at < n;) {
        int kind = at ? below(4) : 3, len = 1 + below(60), period = 1 + below(9), from = at ? below(at) : 0;

        for (int i = 0; i < len && at < n; i++, at++) {
            int32_t again = i < period ? below(TOY_VOCAB) : ids[at - period];

            ids[at] = kind == 0   ? (below(12) ? again : below(TOY_VOCAB))
                      : kind == 1 ? ids[from + i]
                      : kind == 2 ? at % TOY_VOCAB
                                  : below(TOY_VOCAB);
        }
    }
    return ids;
}

/* A session that guesses, its second block at an odd address, with guard bytes behind. */
typedef struct { Box box; uint8_t *block; size_t bytes; int shift; } GuessBox;

static GuessBox open_guessing(NAME_Options o, uint64_t (*now)(void))
{
    GuessBox g;

    g.box = open_box(o);
    g.bytes = NAME_lookup_bytes(g.box.s);
    g.shift = below(100);
    g.block = malloc((size_t)g.shift + g.bytes + GUARD);
    memset(g.block, 0xee, (size_t)g.shift + g.bytes + GUARD);
    assert_int_equal(NAME_lookup_open(g.box.s, g.block + g.shift, g.bytes - 1, now), NAME_E_MEMORY);
    assert_int_equal(NAME_lookup_open(g.box.s, NULL, g.bytes, now), NAME_E_ARG);
    assert_int_equal(NAME_lookup_open(g.box.s, g.block + g.shift, g.bytes, now), NAME_OK);
    return g;
}

static void close_guessing(GuessBox g)
{
    for (int i = 0; i < g.shift; i++)
        assert_int_equal(g.block[i], 0xee);
    for (int i = 0; i < GUARD; i++)
        assert_int_equal(g.block[(size_t)g.shift + g.bytes + (size_t)i], 0xee);
    close_box(g.box);
    free(g.block);
}

/* Whatever comes, guessed or not, and whatever else is done with the session in between: the logits
 * are those of the tokens that it was given, the same bits. */
static void test_next_bits(void **state)
{
    float *want = malloc(TOY_CTX * TOY_VOCAB * sizeof(float)), row[TOY_VOCAB];
    int64_t accepted = 0, rejected = 0;

    (void)state;
    for (int round = 0; round < 24; round++) {
        int32_t *ids = repetitive_ids(TOY_CTX);
        int threads = NAME_THREADS ? 1 + round % 3 : 1, at = 0;
        GuessBox g = open_guessing((NAME_Options){ .n_threads = threads },
                                   round % 2 ? fake_now : NULL);
        NAME_Session *s = g.box.s;
        NAME_LookupCounts c;
        void *saved = NULL;
        size_t bytes = 0;
        int saved_at = 0;

        toy_reference(ids, TOY_CTX, want);
        while (at < TOY_CTX) {
            int what = below(40), n = 1 + below(20);

            fake_ns += (uint64_t)below(3) * 1000;
            if (what == 0 && n <= TOY_CTX - at) {
                assert_int_equal(NAME_eval(s, ids + at, n, row, 1), NAME_OK);
                at += n;
            } else if (what == 1 && at > 0) {
                at = 1 + below(at);
                assert_int_equal(NAME_rewind(s, at - 1), NAME_OK);
                assert_int_equal(NAME_next(s, ids[at - 1], n, row), NAME_OK);
            } else if (what == 2 && saved && below(2)) {    /* to what was some time ago, or is ahead */
                at = saved_at;
                assert_int_equal(NAME_load(s, saved, bytes), NAME_OK);
                continue;
            } else if (what == 2) {
                free(saved);
                bytes = NAME_save_bytes(s);
                saved = malloc(bytes);
                saved_at = at;
                assert_int_equal(NAME_save(s, saved, bytes), NAME_OK);
                continue;
            } else {
                assert_int_equal(NAME_next(s, ids[at], n, row), NAME_OK);
                at++;
            }
            assert_int_equal(NAME_n_past(s), at);
            assert_logits(row, want + (size_t)(at - 1) * TOY_VOCAB, 1);
        }
        assert_int_equal(NAME_next(s, ids[0], 5, row), NAME_E_CONTEXT);
        assert_int_equal(NAME_next(s, TOY_VOCAB, 5, row), NAME_E_CONTEXT);
        NAME_rewind(s, TOY_CTX - 1);
        assert_int_equal(NAME_next(s, TOY_VOCAB, 5, row), NAME_E_ARG);
        assert_int_equal(NAME_next(s, ids[TOY_CTX - 1], 5, row), NAME_OK);
        assert_logits(row, want + (size_t)(TOY_CTX - 1) * TOY_VOCAB, 1);
        c = NAME_lookup_counts(s);
        assert_true(c.accepted <= c.drafted);
        accepted += c.accepted;
        rejected += c.drafted - c.accepted;
        close_guessing(g);
        free(saved);
        free(ids);
    }
    assert_true(accepted > 200 && rejected > 50);       /* there was something to get wrong */
    free(want);
}

/* A phrase that comes again and again takes far fewer evaluations than tokens; a session that feeds
 * one by one, or whose caller wants no more, never guesses; without a block it cannot. */
static void test_next_passes(void **state)
{
    static const struct { int flags, more; bool guesses; } cases[] = {
        { 0, TOY_CTX, true }, { NAME_ONE_BY_ONE, TOY_CTX, false }, { 0, 0, false }
    };
    float row[TOY_VOCAB];
    Box plain = open_box((NAME_Options){ .n_threads = 1 });
    NAME_LookupCounts c = NAME_lookup_counts(plain.s);

    (void)state;
    assert_int_equal(NAME_next(plain.s, 1, 9, row), NAME_OK);
    assert_int_equal(c.passes + c.drafted + c.accepted, 0);
    close_box(plain);
    for (int i = 0; i < 3; i++) {
        GuessBox g = open_guessing((NAME_Options){ .n_threads = 1, .flags = cases[i].flags }, NULL);

        for (int at = 0; at < TOY_CTX; at++)
            assert_int_equal(NAME_next(g.box.s, at % 7, cases[i].more, row), NAME_OK);
        c = NAME_lookup_counts(g.box.s);
        if (cases[i].guesses)
            assert_true(c.passes < TOY_CTX / 8);    /* more than a phrase at a time */
        else
            assert_true(c.passes == TOY_CTX && c.drafted == 0);
        close_guessing(g);
    }
}

#if NAME_THREADS
static NAME_Session *cancels;
static void cancel_by_chance(const NAME_Worker *me, int chunk, int count, const uint8_t *next)
{
    (void)chunk;
    (void)count;
    (void)next;
    if (me->id == 0 && below(400) == 0)
        NAME_cancel(cancels);
}

/* Cancelled anywhere, also between tokens that are computed already: the context holds what was
 * reported as done, and the same token can be given again. */
static void test_next_cancel(void **state)
{
    float *want = malloc(TOY_CTX * TOY_VOCAB * sizeof(float)), row[TOY_VOCAB];
    int32_t ids[TOY_CTX];
    int n_cancelled = 0;

    (void)state;
    for (int at = 0; at < TOY_CTX; at++)
        ids[at] = at % 5;
    toy_reference(ids, TOY_CTX, want);
    for (int round = 0; round < 6; round++) {
        GuessBox g = open_guessing((NAME_Options){ .n_threads = 1 + round % 2 }, NULL);

        cancels = g.box.s;
        toy_before_chunk = cancel_by_chance;
        for (int at = 0; at < TOY_CTX; at++) {
            NAME_Status status;

            if (below(30) == 0)
                NAME_cancel(g.box.s);
            while ((status = NAME_next(g.box.s, ids[at], TOY_CTX, row)) == NAME_E_CANCELLED) {
                assert_int_equal(NAME_n_past(g.box.s), at);
                n_cancelled++;
            }
            assert_int_equal(status, NAME_OK);
            assert_int_equal(NAME_n_past(g.box.s), at + 1);
            assert_logits(row, want + (size_t)at * TOY_VOCAB, 1);
        }
        toy_before_chunk = NULL;
        close_guessing(g);
    }
    assert_true(n_cancelled > 20);
    free(want);
}
#endif

/* Time that a text of n tokens takes with guesses, where an evaluation of one token takes 1000 and
 * each guess adds `each`.  `next` makes the text: the token after ids[0 .. at-1], told whether
 * guesses were made for it. */
static uint64_t guessed_time(int n, uint64_t each, int32_t (*next)(const int32_t *ids, int at, bool guessed))
{
    void *block = NULL;
    int32_t *ids = malloc((size_t)n * sizeof *ids), draft[NAME_MAX_DRAFT];
    NAME_Lookup *l;

    assert_int_equal(posix_memalign(&block, 64, NAME_lookup_room(n)), 0);
    l = NAME_lookup_init(block, n, fake_now);
    fake_ns = 0;
    for (int at = 0; at < n;) {
        int k, used = 0;

        ids[at] = next(ids, at, false);
        NAME_lookup_append(l, &ids[at++], 1);
        k = NAME_lookup_draft(l, draft, n - at);
        assert_in_range(k, 0, n - at);
        fake_ns += 1000 + each * (uint64_t)k;
        NAME_lookup_computed(l, k);
        for (; used < k; used++) {
            int32_t id = next(ids, at, true);

            if (id != draft[used])
                break;
            ids[at] = id;
            NAME_lookup_append(l, &ids[at++], 1);
        }
        NAME_lookup_used(l, used);
    }
    free(block);
    free(ids);
    return fake_ns;
}

static int32_t again_and_again(const int32_t *ids, int at, bool guessed)
{
    (void)ids;
    (void)guessed;
    return at % 11;
}

/* Wherever tokens are guessed one that was never there comes, and wherever not it goes on as it
 * always did. */
static int32_t spiteful(const int32_t *ids, int at, bool guessed)
{
    (void)ids;
    return guessed ? 1000 + at : at % 11;
}

static int32_t by_chance(const int32_t *ids, int at, bool guessed)
{
    (void)ids;
    (void)at;
    (void)guessed;
    return below(6);                    /* so few that what came last was there before, often */
}

/* Of three tokens the last is one of two, by chance: up to there it pays to guess. */
static int32_t half_known(const int32_t *ids, int at, bool guessed)
{
    (void)ids;
    (void)guessed;
    return at % 3 < 2 ? at % 3 : 2 + below(2);
}

/* Repetitive at first, then never again what a guess says. */
static int32_t turning(const int32_t *ids, int at, bool guessed)
{
    return at < 3000 ? again_and_again(ids, at, guessed) : spiteful(ids, at, guessed);
}

/* What guessing is promised to cost: whatever the text, at most 3 % of the time; where it pays it
 * is used, and where an evaluation of many tokens takes as long as many evaluations it is left. */
static void test_guessed_time(void **state)
{
    const int n = 6000;
    const uint64_t alone = 6000 * 1000, most = alone * 103 / 100;

    (void)state;
    for (uint64_t each = 50; each <= 1600; each *= 2) {
        assert_true(guessed_time(n, each, spiteful) <= most);
        assert_true(guessed_time(n, each, by_chance) <= most);
        assert_true(guessed_time(n, each, turning) <= most);
        assert_true(guessed_time(n, each, again_and_again) <= most);
    }
    assert_true(guessed_time(n, 300, half_known) < alone * 3 / 4);
    assert_true(guessed_time(n, 150, again_and_again) < alone * 10 / 35);
    assert_true(guessed_time(n, 1000, again_and_again) >= alone);       /* nothing to win, and the clock is right */
}

/* ---- stages ---------------------------------------------------------------------------------- */

static int n_seen;
static const uint8_t *seen_next[64];
static int seen_chunk[64], seen_count[64];

static void remember(const NAME_Worker *me, int chunk, int count, const uint8_t *next)
{
    (void)me;
    if (n_seen < 64) {
        seen_chunk[n_seen] = chunk;
        seen_count[n_seen] = count;
        seen_next[n_seen++] = next;
    }
}

/* A stage's function is told what its thread reads next: the chunk after, and at the end what
 * comes after the stage. */
static void test_next(void **state)
{
    Box b = open_box((NAME_Options){ .n_ctx = 50 });
    int32_t ids[5] = { 1, 2, 3, 4, 5 };
    const uint8_t *embd;
    uint64_t bytes;

    (void)state;
    embd = NAME_section(&model, TOY_EMBD, &bytes);
    n_seen = 0;
    toy_before_chunk = remember;
    assert_int_equal(NAME_eval(b.s, ids, 5, NULL, 0), NAME_OK);
    toy_before_chunk = NULL;
    for (int c = 0; c < 5; c++) {
        assert_int_equal(seen_chunk[c], c);
        assert_int_equal(seen_count[c], c + 1);
        assert_ptr_equal(seen_next[c], c < 4 ? embd + (c + 1) * 1000 : model.w);
    }
    close_box(b);
}

#if NAME_THREADS
static void sleep_ms(double ms)
{
    struct timespec t = { (time_t)(ms / 1e3), (long)(ms * 1e6) % 1000000000 };

    nanosleep(&t, NULL);
}

static double clock_ms(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static _Atomic long n_computed;
static void count_chunk(const NAME_Worker *me, int chunk, int count, const uint8_t *next)
{
    (void)chunk;
    (void)next;
    assert_true(count >= 1);
    atomic_fetch_add(&n_computed, 1);
    if (me->id % 2 && count % 3 == 0)
        sched_yield();
}

/* Every chunk is computed once, however many threads want it. */
static void test_each_chunk_once(void **state)
{
    int32_t *ids = random_ids(40);

    (void)state;
    toy_before_chunk = count_chunk;
    for (int threads = 1; threads <= 9; threads += 2) {
        Box b = open_box((NAME_Options){ .n_ctx = 200, .n_threads = threads });

        for (int round = 0; round < 30; round++) {
            int n = 1 + below(16), o = below(2);
            float rows[TOY_VOCAB];
            long due = n + TOY_LAYERS * ((n + 2) / 3 + n * TOY_HEADS + n) + o * TOY_HEAD_CHUNKS;

            n_computed = 0;
            assert_int_equal(NAME_eval(b.s, ids, n, rows, o), NAME_OK);
            assert_int_equal(n_computed, due);
            NAME_rewind(b.s, 0);
        }
        close_box(b);
    }
    toy_before_chunk = NULL;
    free(ids);
}

static void oversleep(const NAME_Worker *me)
{
    if (me->id == 1)
        sleep_ms(30);
}

/* A thread that oversleeps before every stage is not waited for: 60 tokens x 11 stages x 30 ms
 * would be 20 seconds. */
static void test_late_thread(void **state)
{
    Box b = open_box((NAME_Options){ .n_threads = 3 });
    int32_t *ids = random_ids(200);
    float *want = malloc(200 * TOY_VOCAB * sizeof(float)), row[TOY_VOCAB];
    double begin = clock_ms(CLOCK_MONOTONIC);

    (void)state;
    toy_reference(ids, 200, want);
    toy_before_stage = oversleep;
    for (int at = 0, k; at < 200; at += k) {
        k = at < 60 ? 1 : 1 + below(200 - at);
        assert_int_equal(NAME_eval(b.s, ids + at, k, row, 1), NAME_OK);
        assert_logits(row, want + (size_t)(at + k - 1) * TOY_VOCAB, 1);
    }
    assert_true(clock_ms(CLOCK_MONOTONIC) - begin < 10000);
    close_box(b);
    toy_before_stage = NULL;            /* after the late thread has gone */
    free(ids);
    free(want);
}

/* Between calls threads sleep: they use no CPU. */
static void test_idle(void **state)
{
    Box b = open_box((NAME_Options){ .n_threads = 7 });
    int32_t ids[2] = { 1, 2 };
    double begin;

    (void)state;
    assert_int_equal(NAME_eval(b.s, ids, 2, NULL, 0), NAME_OK);
    sleep_ms(50);                                        /* those that came late go back to sleep */
    begin = clock_ms(CLOCK_PROCESS_CPUTIME_ID);
    sleep_ms(300);
    assert_true(clock_ms(CLOCK_PROCESS_CPUTIME_ID) - begin < 60);
    close_box(b);
}

static _Atomic int n_came;
static void come(const NAME_Run *r, NAME_Worker *me)
{
    (void)r;
    assert_true(me->id < 3);
    n_came++;
}

/* How often threads went to sleep during 300 jobs of two threads (and one of three), of `n` there are. */
static long sleeps_of(int n)
{
    NAME_Worker worker[24];
    NAME_Run r = { .n_threads = 2 };
    struct rusage before, after;
    void *block = NULL;
    NAME_Pool *pool;

    memset(worker, 0, sizeof worker);
    for (int i = 0; i < n; i++)
        worker[i].id = i;
    assert_int_equal(posix_memalign(&block, 64, NAME_pool_bytes(n)), 0);
    assert_int_equal(NAME_pool_start(&pool, block, worker, n), NAME_OK);
    getrusage(RUSAGE_SELF, &before);
    for (int i = 0; i < 300; i++) {
        r.n_threads = i == 200 ? 3 : 2;
        n_came = 0;
        NAME_pool_run(pool, come, &r);
        while (n_came < r.n_threads)
            sched_yield();
        sleep_ms(0.2);
    }
    getrusage(RUSAGE_SELF, &after);
    NAME_pool_stop(pool);
    free(block);
    return after.ru_nvcsw - before.ru_nvcsw;
}

/* A token that two threads compute does not wake twenty others. */
static void test_sleepers(void **state)
{
    long few = sleeps_of(3), many = sleeps_of(24);

    (void)state;
    assert_in_range(many, 300, 2 * few + 200);
}

/* ---- cancel ---------------------------------------------------------------------------------- */

static NAME_Session *to_cancel;
static _Atomic int cancel_in;                      /* chunks to go until the session is cancelled */

static void cancel_after(const NAME_Worker *me, int chunk, int count, const uint8_t *next)
{
    (void)me;
    (void)chunk;
    (void)count;
    (void)next;
    atomic_fetch_add(&n_computed, 1);
    if (atomic_fetch_sub(&cancel_in, 1) == 1)
        NAME_cancel(to_cancel);
}

/* Cancelled in any stage of any portion: it stops at once, and what was complete is right and can
 * be gone on from. */
static void test_cancel(void **state)
{
    int32_t *ids = random_ids(100);
    float *want = malloc(100 * TOY_VOCAB * sizeof(float)), row[TOY_VOCAB];

    (void)state;
    toy_reference(ids, 100, want);
    toy_before_chunk = cancel_after;
    for (int round = 0; round < 60; round++) {
        Box b = open_box((NAME_Options){ .n_ctx = 100, .n_threads = 1 + round % 4 });
        int at = 1 + below(1000), past;

        to_cancel = b.s;
        cancel_in = at;
        n_computed = 0;
        assert_int_equal(NAME_eval(b.s, ids, 100, row, 1), NAME_E_CANCELLED);
        if (round % 4 == 0)     /* others go on until they see the flag, however long its setter is kept from setting it */
            assert_true(n_computed <= at);
        past = NAME_n_past(b.s);
        assert_int_equal(past % TOY_MAX_TOKENS, 0);
        assert_int_equal(NAME_eval(b.s, ids + past, 100 - past, row, 1), NAME_OK);
        assert_logits(row, want + 99 * TOY_VOCAB, 1);
        close_box(b);
    }
    toy_before_chunk = NULL;
    free(ids);
    free(want);
}
#endif

static void test_cancel_before(void **state)
{
    Box b = open_box((NAME_Options){ .n_ctx = 20 });
    int32_t ids[3] = { 1, 2, 3 };

    (void)state;
    NAME_cancel(b.s);
    assert_int_equal(NAME_eval(b.s, ids, 3, NULL, 0), NAME_E_CANCELLED);
    assert_int_equal(NAME_n_past(b.s), 0);
    assert_int_equal(NAME_eval(b.s, ids, 3, NULL, 0), NAME_OK);         /* one call cancels once */
    NAME_cancel(b.s);
    NAME_uncancel(b.s);
    assert_int_equal(NAME_eval(b.s, ids, 3, NULL, 0), NAME_OK);
    close_box(b);
}

#if NAME_THREADS
/* ---- other people's threads ------------------------------------------------------------------ */

static void run_in_turn(void *pool, void (*fn)(void *arg, int i), void *arg, int n)
{
    ++*(int *)pool;
    for (int i = 0; i < n; i++)
        fn(arg, i);
}

static void run_backwards(void *pool, void (*fn)(void *arg, int i), void *arg, int n)
{
    ++*(int *)pool;
    for (int i = n; i-- > 0;)
        fn(arg, i);
}

typedef struct { void (*fn)(void *arg, int i); void *arg; int i; } Call;
static void *call(void *p)
{
    Call *c = p;

    c->fn(c->arg, c->i);
    return NULL;
}

static void run_at_once(void *pool, void (*fn)(void *arg, int i), void *arg, int n)
{
    pthread_t t[8];
    Call c[8];

    ++*(int *)pool;
    assert_true(n <= 8);
    for (int i = 0; i < n; i++) {
        c[i] = (Call){ fn, arg, i };
        assert_int_equal(pthread_create(&t[i], NULL, call, &c[i]), 0);
    }
    for (int i = 0; i < n; i++)
        pthread_join(t[i], NULL);
}

/* The host's pool may run its tasks at once, one after another, or backwards. */
static void test_host_pool(void **state)
{
    void (*const run[])(void *, void (*)(void *, int), void *, int) = { run_in_turn, run_backwards,
                                                                        run_at_once };
    int32_t *ids = random_ids(60);
    float *want = malloc(60 * TOY_VOCAB * sizeof(float));

    (void)state;
    toy_reference(ids, 60, want);
    for (int i = 0; i < 3; i++)
        for (int threads = 1; threads <= 8; threads += 3) {
            int calls = 0;
            Box b = open_box(
                (NAME_Options){ .n_ctx = 60, .n_threads = threads, .run = run[i], .pool = &calls });

            feed_randomly(b.s, ids, 60, want);
            assert_true(threads == 1 ? calls == 0 : calls > 0);
            close_box(b);
        }
    free(ids);
    free(want);
}

static _Atomic long n_slow;
static void slow_second(const NAME_Worker *me, int chunk, int count, const uint8_t *next)
{
    double begin = clock_ms(CLOCK_MONOTONIC);

    (void)next;
    if (me->id == 1) {
        n_slow++;
        sleep_ms(3);
    } else if (chunk == 0 && count == 1)
        while (clock_ms(CLOCK_MONOTONIC) - begin < 0.1)
            ;                           /* the other one comes in time */
}

/* A thread that holds up nearly every chunk it takes, as one does that has half of a core, is left
 * out after a few tokens, with threads of our own and with the host's; the logits are the same. */
static void test_slow_thread(void **state)
{
    int32_t *ids = random_ids(200);
    float *want = malloc(200 * TOY_VOCAB * sizeof(float)), row[TOY_VOCAB];
    size_t bytes = NAME_session_bytes(200, 2);
    void *block = malloc(bytes);

    (void)state;
    toy_reference(ids, 200, want);
    toy_before_chunk = slow_second;
    for (int lent = 0; lent < 2; lent++) {
        NAME_Options o = { .n_ctx = 200, .n_threads = 2, .run = lent ? run_at_once : NULL };
        int calls = 0;
        NAME_Session *s;

        o.pool = &calls;
        n_slow = 0;
        assert_int_equal(NAME_session_open(&s, &model, block, bytes, &o), NAME_OK);
        for (int at = 0; at < 200; at++) {
            assert_int_equal(NAME_eval(s, ids + at, 1, row, 1), NAME_OK);
            assert_logits(row, want + (size_t)at * TOY_VOCAB, 1);
        }
        NAME_close(s);
        /* of 200 calls with 9 stages or more each, a few and some trials; more where the machine has other
         * things to do, and a token alone takes as long as one that waits */
        assert_true(n_slow < 700);
        if (lent)
            assert_in_range(calls, 2, 150);
    }
    toy_before_chunk = NULL;
    free(block);
    free(ids);
    free(want);
}

typedef struct { int32_t *ids; float *want; } Talk;
static void *talk(void *p)
{
    Talk *t = p;
    uint8_t *block;
    size_t bytes = NAME_session_bytes(50, 2);

    for (int round = 0; round < 20; round++) {
        NAME_Session *s;
        float row[TOY_VOCAB];

        block = malloc(bytes);
        if (NAME_session_open(&s, &model, block, bytes,
                              &(NAME_Options){ .n_ctx = 50, .n_threads = 2 }))
            return t;
        for (int i = 0; i < 50; i++)
            if (NAME_eval(s, t->ids + i, 1, row, 1) ||
                memcmp(row, t->want + (size_t)i * TOY_VOCAB, sizeof row))
                return t;
        NAME_close(s);
        free(block);
    }
    return NULL;
}

/* Two conversations on one model in two threads do not notice each other. */
static void test_two_sessions(void **state)
{
    Talk t[2];
    pthread_t id[2];

    (void)state;
    for (int i = 0; i < 2; i++) {
        t[i].ids = random_ids(50);
        t[i].want = malloc(50 * TOY_VOCAB * sizeof(float));
        toy_reference(t[i].ids, 50, t[i].want);
    }
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&id[i], NULL, talk, &t[i]), 0);
    for (int i = 0; i < 2; i++) {
        void *wrong;

        pthread_join(id[i], &wrong);
        assert_null(wrong);
        free(t[i].ids);
        free(t[i].want);
    }
}

/* A process that is allowed one core starts one thread, also where more are asked for, unless they
 * are to take part in any case or are the host's. */
static void test_default_threads(void **state)
{
    static const struct { int n_threads, flags; bool lent; int has; } cases[] = {
        { 3, 0, false, 1 }, { 3, NAME_ALL_THREADS, false, 3 }, { 3, 0, true, 3 }, { 1, 0, false, 1 }
    };
    size_t bytes = NAME_session_bytes(20, 3);
    void *block = malloc(bytes);
    float row[TOY_VOCAB], want[2 * TOY_VOCAB];
    int32_t ids[2] = { 3, 4 };
    int calls = 0;
    cpu_set_t all, one;

    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    assert_in_range(NAME_default_threads(), 1, CPU_COUNT(&all));
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++)
        if (CPU_ISSET(i, &all))
            CPU_SET(i, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    assert_int_equal(NAME_default_threads(), 1);
    toy_reference(ids, 2, want);
    for (int i = 0; i < 4; i++) {
        NAME_Options o = { .n_ctx = 20, .n_threads = cases[i].n_threads, .flags = cases[i].flags };
        NAME_Session *s;

        o.run = cases[i].lent ? run_at_once : NULL;
        o.pool = &calls;
        assert_int_equal(NAME_session_open(&s, &model, block, bytes, &o), NAME_OK);
        assert_int_equal(NAME_n_threads(s), cases[i].has);
        for (int k = 0; k < 2; k++)
            assert_int_equal(NAME_eval(s, ids + k, 1, row, 1), NAME_OK);
        assert_logits(row, want + TOY_VOCAB, 1);
        NAME_close(s);
    }
    free(block);
    assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
}

#ifdef __linux__
static void make_file(const char *dir, const char *name, const char *text)
{
    char path[4400], command[4400];
    FILE *f;

    snprintf(command, sizeof command, "mkdir -p '%s'", dir);
    assert_int_equal(system(command), 0);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

/* A container with a quota of CPU time starts as many threads as that is cores, wherever in the
 * groups around it the quota stands, under both versions of cgroups. */
static void test_quota(void **state)
{
    char root[4200], self[4300], dir[4300], command[4300];

    (void)state;
    snprintf(root, sizeof root, "%s.cgroup", scratch_path);
    snprintf(self, sizeof self, "%s/self", root);
    assert_int_equal(NAME_quota_cores(self, root), 0);          /* no such system */
    make_file(root, "self", "4:memory:/x\n0::/a/b\n");
    assert_int_equal(NAME_quota_cores(self, root), 0);          /* no such files */
    snprintf(dir, sizeof dir, "%s/a/b", root);
    make_file(dir, "cpu.max", "max 100000\n");
    assert_int_equal(NAME_quota_cores(self, root), 0);
    make_file(dir, "cpu.max", "250000 100000\n");
    assert_int_equal(NAME_quota_cores(self, root), 3);
    snprintf(dir, sizeof dir, "%s/a", root);
    make_file(dir, "cpu.max", "20000 100000\n");
    assert_int_equal(NAME_quota_cores(self, root), 1);
    make_file(dir, "cpu.max", "99000000 100000\n");
    assert_int_equal(NAME_quota_cores(self, root), 3);
    make_file(dir, "cpu.max", "100000 0\n");                   /* nonsense is no quota */
    assert_int_equal(NAME_quota_cores(self, root), 3);
    make_file(root, "cpu.max", "200000 100000\n");
    assert_int_equal(NAME_quota_cores(self, root), 2);

    make_file(root, "self", "9:name=systemd:/\n5:cpuset:/z\n4:cpuacct,cpu:/c/d\nrubbish\n:");
    snprintf(dir, sizeof dir, "%s/cpu/c/d", root);
    make_file(dir, "cpu.cfs_quota_us", "-1\n");
    make_file(dir, "cpu.cfs_period_us", "50000\n");
    assert_int_equal(NAME_quota_cores(self, root), 0);
    make_file(dir, "cpu.cfs_quota_us", "200000\n");
    assert_int_equal(NAME_quota_cores(self, root), 4);
    snprintf(dir, sizeof dir, "%s/cpu", root);                  /* all that a container sees */
    make_file(dir, "cpu.cfs_quota_us", "100000\n");
    assert_int_equal(NAME_quota_cores(self, root), 4);          /* a quota without a period */
    make_file(dir, "cpu.cfs_period_us", "100000\n");
    assert_int_equal(NAME_quota_cores(self, root), 1);
    snprintf(command, sizeof command, "rm -r '%s'", root);
    assert_int_equal(system(command), 0);
}
#endif
#else
static void test_no_threads(void **state)
{
    void *block = malloc(NAME_session_bytes(10, 2));
    NAME_Session *s;

    (void)state;
    assert_int_equal(NAME_session_open(&s, &model, block, NAME_session_bytes(10, 2),
                                       &(NAME_Options){ .n_ctx = 10, .n_threads = 2 }),
                     NAME_E_THREADS);
    assert_null(s);
    assert_int_equal(NAME_default_threads(), 1);
    free(block);
}
#endif

/* ---- the CPU --------------------------------------------------------------------------------- */

static void test_cpu(void **state)
{
    static const char *const none[] = { NULL }, *const unknown[] = { "warp_drive", NULL };

    (void)state;
    assert_null(NAME_cpu_lacks(none));
    assert_string_equal(NAME_cpu_lacks(unknown), "warp_drive");
#if defined(__x86_64__)
    {
        static const char *const base[] = { "sse2", NULL };
        static const char *const names[] = { "avx",      "avx2",        "fma",      "f16c",
                                             "avx512f",  "avx512bw",    "avx512vl", "avx512dq",
                                             "avx512cd", "avx512_vnni", "avx_vnni", "sse4_2",
                                             "popcnt",   "bmi2",        "abm",      "movbe" };
        char line[8192] = "";
        FILE *f = fopen("/proc/cpuinfo", "r");

        assert_null(NAME_cpu_lacks(base));
        while (f && fgets(line, sizeof line, f) && strncmp(line, "flags", 5))
            ;
        if (f)
            fclose(f);
        for (size_t i = 0; i < sizeof names / sizeof *names && !strncmp(line, "flags", 5); i++) {
            const char *const one[] = { names[i], NULL };
            char word[64];

            line[strcspn(line, "\n")] = ' ';
            snprintf(word, sizeof word, " %s ", names[i]);
            /* the kernel agrees */
            assert_int_equal(NAME_cpu_lacks(one) == NULL, strstr(line, word) != NULL);
        }
    }
#endif
}

#if defined(__x86_64__) && defined(__linux__)
static volatile sig_atomic_t n_handled;

static void handle(int number)
{
    (void)number;
    n_handled++;
}

/* Trying AMX, which traps on most machines, is noticed by nobody: no signal, no child, the same mask, the same errno. */
static void test_tiles(void **state)
{
    static const char *const amx[] = { "amx_tile", "amx_int8", NULL };
    static const int numbers[] = { SIGILL, SIGSEGV, SIGCHLD };
    struct sigaction before[3], after, ours = { .sa_handler = handle };
    sigset_t mask, mask_after;

    (void)state;
    sigemptyset(&ours.sa_mask);
    for (int i = 0; i < 3; i++)
        assert_int_equal(sigaction(numbers[i], &ours, &before[i]), 0);
    sigprocmask(SIG_SETMASK, NULL, &mask);
    n_handled = 0;
    errno = 77;
    if (!NAME_cpu_lacks(amx))
        assert_true(tiles_work());
    assert_true(tiles_granted() || !tiles_tried());     /* what is not granted traps */
    assert_int_equal(errno, 77);
    assert_int_equal(n_handled, 0);
    assert_int_equal(waitpid(-1, NULL, WNOHANG | __WALL), -1);
    assert_int_equal(errno, ECHILD);
    sigprocmask(SIG_SETMASK, NULL, &mask_after);
    for (int i = 1; i < 32; i++)
        assert_int_equal(sigismember(&mask, i), sigismember(&mask_after, i));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(sigaction(numbers[i], &before[i], &after), 0);
        assert_ptr_equal(after.sa_handler, handle);
    }
}
#endif

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_xxh64),
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_extreme_header),
        cmocka_unit_test(test_session_arguments),
        cmocka_unit_test(test_eval),
        cmocka_unit_test(test_rewind),
        cmocka_unit_test(test_save_load),
        cmocka_unit_test(test_next_bits),
        cmocka_unit_test(test_next_passes),
        cmocka_unit_test(test_guessed_time),
        cmocka_unit_test(test_next),
        cmocka_unit_test(test_cancel_before),
        cmocka_unit_test(test_cpu),
#if defined(__x86_64__) && defined(__linux__)
        cmocka_unit_test(test_tiles),
#endif
#if NAME_THREADS
        cmocka_unit_test(test_each_chunk_once),
        cmocka_unit_test(test_late_thread),
        cmocka_unit_test(test_idle),
        cmocka_unit_test(test_sleepers),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_next_cancel),
        cmocka_unit_test(test_host_pool),
        cmocka_unit_test(test_slow_thread),
        cmocka_unit_test(test_two_sessions),
        cmocka_unit_test(test_default_threads),
#ifdef __linux__
        cmocka_unit_test(test_quota),
#endif
#else
        cmocka_unit_test(test_no_threads),
#endif
    };
    int failed;

    if (argc != 2)
        return 2;
    snprintf(weights_path, sizeof weights_path, "%s/NAME.weights", argv[1]);
    snprintf(scratch_path, sizeof scratch_path, "%s/damaged.%ld", argv[1], (long)getpid());
    if (NAME_open(&model, weights_path)) {
        fprintf(stderr, "%s: the toy's weights cannot be opened\n", weights_path);
        return 1;
    }
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    NAME_close_model(&model);
    remove(scratch_path);
    return failed != 0;
}
