/* base: what everything stands on.  Memory, strings, diagnostics, digests, files.
 *
 *   arena.c   memory of one compilation, freed at once
 *   str.c     byte strings with a length, and buffers that grow
 *   diag.c    errors and warnings: which file, where in it, what is wrong, what to do
 *   digest.c  XXH3 128-bit digests in canonical byte order
 *   file.c    mapped input files; output written beside and renamed
 *   fill.c    the pure function that gives test models their weights
 *
 * Nothing here knows of models.  Nothing is global: a compilation owns one Arena, one Diag, one FileSet. */
#ifndef SN_BASE_H
#define SN_BASE_H

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#if defined(__GNUC__)
#define SN_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define SN_NORETURN __attribute__((noreturn))
#else
#define SN_PRINTF(f, a)
#define SN_NORETURN
#endif

/* ---- arena.c ---------------------------------------------------------------------------------------------------- */

typedef struct Arena Arena;
typedef struct { void *block; size_t used; } ArenaMark;

/* A new, empty arena, NULL when there is no memory at all.  `on_oom` is where allocation failures jump to (the one setjmp
 * in main); NULL: print and abort (tests). */
Arena *arena_new(jmp_buf *on_oom);
void arena_free(Arena *a);
/* A second arena of the same compilation, for what is rewound on its own: it jumps where `a` jumps, its allocations count as a's for
 * arena_fail_after, and arena_free(a) frees it too (it must not be freed by itself).  Never NULL. */
Arena *arena_child(Arena *a);

/* n * size zeroed bytes, aligned to 16.  Never NULL: an overflow or a lack of memory jumps to on_oom.
 * Under AddressSanitizer objects are separated by poisoned gaps. */
void *arena_alloc(Arena *a, size_t n, size_t size);
#define ARENA_NEW(a, T) ((T *)arena_alloc((a), 1, sizeof(T)))
#define ARENA_ARRAY(a, T, n) ((T *)arena_alloc((a), (size_t)(n), sizeof(T)))

/* Everything allocated after the mark is gone after the rewind. */
ArenaMark arena_mark(Arena *a);
void arena_rewind(Arena *a, ArenaMark m);

/* The n-th allocation from now fails (n >= 1; 0: none does).  For check-oom. */
void arena_fail_after(Arena *a, uint64_t n);
uint64_t arena_n_allocs(const Arena *a);

/* ---- str.c ------------------------------------------------------------------------------------------------------ */

/* A byte string: not terminated, may hold any byte, owned by somebody else (an arena, a mapped file, a literal). */
typedef struct { const char *p; size_t n; } Str;
#define STR(lit) ((Str){ (lit), sizeof(lit) - 1 })          /* of a literal */
#define STR_FMT "%.*s"
#define STR_ARG(s) (int)(s).n, (s).p                        /* printf("%.*s", STR_ARG(s)) */

Str str_of(const char *c);                                  /* of a terminated string; NULL gives the empty Str */
bool str_eq(Str a, Str b);
bool str_is(Str a, const char *c);
bool str_begins(Str a, const char *prefix);
bool str_ends(Str a, const char *suffix);
int str_cmp(Str a, Str b);                                  /* bytewise order, independent of locale */
Str str_copy(Arena *a, Str s);
char *str_z(Arena *a, Str s);                               /* a terminated copy (stops at the first NUL byte) */
char *str_printf(Arena *a, const char *fmt, ...) SN_PRINTF(2, 3);
char *str_vprintf(Arena *a, const char *fmt, va_list ap);
/* The text made safe to print in a message: control bytes and invalid UTF-8 as \xNN, cut after `max` bytes with "...". */
char *str_show(Arena *a, Str s, size_t max);
/* The row of `names` (NULL-terminated) nearest to `name` by edit distance, or NULL when none is near. */
const char *str_nearest(Str name, const char *const *names);

/* A buffer that grows in an arena. */
typedef struct { Arena *a; char *p; size_t n, cap; } Buf;
Buf buf_in(Arena *a);
void buf_put(Buf *b, const void *p, size_t n);
void buf_puts(Buf *b, const char *c);
void buf_putc(Buf *b, char c);
void buf_printf(Buf *b, const char *fmt, ...) SN_PRINTF(2, 3);
void buf_vprintf(Buf *b, const char *fmt, va_list ap);
char *buf_z(Buf *b);                                        /* terminated; valid until the next put */
Str buf_str(const Buf *b);

/* a * b and a + b without overflow: false (and *out unchanged) when the result does not fit. */
bool mul_ok(uint64_t a, uint64_t b, uint64_t *out);
bool add_ok(uint64_t a, uint64_t b, uint64_t *out);
static inline uint64_t align_up(uint64_t x, uint64_t to) { return (x + to - 1) / to * to; }

/* Numbers as text, the same under every locale: the shortest decimal that reads back as the same float / double, in the form of
 * Python's repr: always with a point or an exponent ("1.0", "1e-05"), or inf, -inf, nan. */
char *str_float(Arena *a, double x, bool is_f32);
/* Reads what the function above writes (also inf, -inf, nan); false when s is not wholly a number. */
bool str_to_double(Str s, double *out);
bool str_to_i64(Str s, int64_t *out);                       /* decimal or 0x..., with sign */

/* ---- diag.c ----------------------------------------------------------------------------------------------------- */

/* Where something is wrong.  Any part may be absent (NULL, -1, 0). */
typedef struct {
    const char *file;               /* as the user wrote it */
    const char *what;               /* e.g. "tensor 'blk.0.attn_q.weight'" */
    int64_t off;                    /* byte offset in a binary file, -1: none */
    int line, col;                  /* in a text file, from 1; 0: none */
} Loc;
#define NOWHERE ((Loc){ .off = -1 })
#define AT_FILE(f) ((Loc){ .file = (f), .off = -1 })
#define AT_LINE(f, l, c) ((Loc){ .file = (f), .off = -1, .line = (l), .col = (c) })
#define AT_OFF(f, o) ((Loc){ .file = (f), .off = (int64_t)(o) })
#define AT_WHAT(f, w) ((Loc){ .file = (f), .what = (w), .off = -1 })

typedef struct Diag Diag;           /* a sink of messages; it is in the arena given */
Diag *diag_new(Arena *a, FILE *out);                        /* out NULL: messages are only kept (tests, diag_text) */

/* Prints "sinter: error: FILE: PLACE: text" and counts it.  Always returns false: `return fail(...)`. */
bool fail(Diag *d, Loc at, const char *fmt, ...) SN_PRINTF(3, 4);
void warn(Diag *d, Loc at, const char *fmt, ...) SN_PRINTF(3, 4);
void note(Diag *d, const char *fmt, ...) SN_PRINTF(2, 3);   /* "sinter: note: ..." */
int diag_n_errors(const Diag *d);
Str diag_text(const Diag *d);                               /* everything said so far */
/* After `n` errors further ones are counted but not printed (0: no limit; the default is 20). */
void diag_limit(Diag *d, int n);

/* We are wrong: prints the message, asks for a report, aborts. */
void bug_at(const char *src, int line, const char *fmt, ...) SN_PRINTF(3, 4) SN_NORETURN;
#define bug(...) bug_at(__FILE__, __LINE__, __VA_ARGS__)

/* A progress bar on stderr when it is a terminal; nothing in a log.  done == total ends the line. */
void progress(Diag *d, const char *what, uint64_t done, uint64_t total);

/* ---- digest.c --------------------------------------------------------------------------------------------------- */

/* XXH3 128 bits, canonical (big-endian) byte order.  Guards against accidents, not against attackers. */
typedef struct { uint8_t b[16]; } Digest;
Digest digest_of(const void *p, size_t n);
typedef struct DigestState DigestState;
DigestState *digest_begin(Arena *a);
void digest_add(DigestState *s, const void *p, size_t n);
Digest digest_end(DigestState *s);
bool digest_eq(Digest a, Digest b);
bool digest_is_zero(Digest a);
char *digest_hex(Arena *a, Digest d);                       /* 32 lower-case digits */
bool digest_parse(Str hex, Digest *out);
uint64_t digest64(const void *p, size_t n);                 /* XXH3 64 bits, for chunks of the weights file */

/* ---- file.c ----------------------------------------------------------------------------------------------------- */

/* The files and mappings that a compilation has open; closed by main whatever happens (also after an out-of-memory jump). */
typedef struct FileSet FileSet;
FileSet *files_new(void);                                   /* malloc'd, so that it survives the arena */
void files_close(FileSet *fs);

typedef struct { const char *path; const uint8_t *p; uint64_t n; } Mapped;
/* Maps a file read-only.  Empty files give n = 0 and a valid p.  Directories, missing files etc. are reported. */
bool file_map(FileSet *fs, Arena *a, Diag *d, const char *path, Mapped *out);

/* Output is written to PATH.tmp-PID and renamed when complete; an abandoned one is removed by files_close. */
/* A device or a pipe as PATH is written in place. */
typedef struct OutFile OutFile;
OutFile *out_open(FileSet *fs, Arena *a, Diag *d, const char *path);    /* NULL after a report */
bool out_write(OutFile *o, const void *p, size_t n);        /* false: reported */
bool out_commit(OutFile *o);                                /* flush, close, rename; o is gone, also after a failure */
bool file_write(FileSet *fs, Arena *a, Diag *d, const char *path, Str text);       /* the three in one */
/* Makes the folders above path; what is already there is fine. */
bool file_make_parents(Arena *a, Diag *d, const char *path);

/* A folder filled beside and renamed into place as a whole: an interrupted build leaves the old one.  An existing folder is
 * replaced only if it is empty or holds a manifest.json of ours (one with a key or string that begins with "sinter within its
 * first 4 KiB); otherwise that is an error.  Missing parents are made. */
typedef struct OutDir OutDir;
OutDir *outdir_open(FileSet *fs, Arena *a, Diag *d, const char *path);
const char *outdir_path(OutDir *o);                         /* where to write: a folder beside the final one */
bool outdir_commit(OutDir *o);

const char *path_base(const char *path);                    /* the last component, with trailing slashes if it has any */
char *path_stem(Arena *a, const char *path);                /* the last component without its last extension */
char *path_dir(Arena *a, const char *path);                 /* all but the last component, "." if none */
char *path_join(Arena *a, const char *dir, const char *name);

/* ---- fill.c ----------------------------------------------------------------------------------------------------- */

/* Weights of test models as a pure function of (tensor name, index, seed), the same in C and in Python:
 *
 *     h0   = FNV-1a 64 of the bytes of the name
 *     z    = splitmix64(h0 ^ (seed * 0x9E3779B97F4A7C15 + index))      all mod 2^64
 *     u    = (z >> 40) - 2^23                                          24 bits, symmetric: -2^23 .. 2^23 - 1
 *     w    = base + scale * u / 2^23                                   scale and base are powers of two or small dyadic
 *                                                                      numbers, so that w is exact in f32 for |base| <= 1
 *     splitmix64(x): x += 0x9E3779B97F4A7C15; x = (x ^ x>>30) * 0xBF58476D1CE4E5B9;
 *                    x = (x ^ x>>27) * 0x94D049BB133111EB; return x ^ x>>31
 *
 * scale of a matrix [n_out, n_in]: the largest power of two <= 1.7 / sqrt(n_in) (unit variance in, about unit variance out);
 * of a vector: 2^-2 with base 1 for norms (name contains "norm"), 2^-3 with base 0 otherwise.  u is cut to its top 12 bits
 * (u & ~4095, towards -infinity) for vectors with base 1, so that the sum is exact. */
float fill_value(Str name, uint64_t index, uint64_t seed, float scale, float base);
void fill_scale(Str name, int rank, const int64_t *dim, float *scale, float *base);

#endif
