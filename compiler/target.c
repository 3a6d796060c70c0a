/* Targets: what is known of a chip.
 *
 * A target is a YAML file: one of sinter's own (targets/NAME.yaml, carried inside the executable)
 * or the user's.  The schema is strict, and every mistake is reported with its line and column.
 * `native` is the known target that asks most of the CPU among those that this CPU satisfies, with
 * the cache sizes of this machine.
 *
 * A feature is named as Linux names it in /proc/cpuinfo.  The table below says to which family it
 * belongs and how the machine that runs sinter is asked for it: by cpuid on x86 [Intel SDM vol. 2A,
 * CPUID] (AMX is tried, too: runtime/core/tiles.c), by the auxiliary vector on aarch64 [Linux, Documentation/arch/arm64/elf_hwcaps.rst] and
 * riscv64 [Linux, arch/riscv/include/uapi/asm/hwcap.h]. */
#include "compiler/compiler.h"
#include "codegen/codegen.h"
#include "compiler/yaml.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#include "runtime/core/tiles.c"                              /* asked as the emitted program asks */
#elif defined(__aarch64__) || defined(__riscv)
#include <sys/auxv.h>
#endif

/* ---- what sinter knows of families, kernel sets and features ----------------------------------------------------- */

/* family_names: cortex-m is Armv6-M to Armv8.1-M, riscv32 has no operating system either. */
static const char *const family_names[] = { "portable", "x86_64", "aarch64", "riscv64", "wasm32", "cortex-m", "riscv32", NULL };

typedef struct { const char *name, *family; } IsaName;
static const IsaName isa_names[] = {
    { "amx", "x86_64" },        { "avx512vnni", "x86_64" }, { "avxvnni", "x86_64" },
    { "avx2", "x86_64" },
    { "sve", "aarch64" },       { "i8mm", "aarch64" },   { "dotprod", "aarch64" },
    { "neon", "aarch64" },      { "rvv", "riscv64" },
    { "simd128", "wasm32" },    { "mve", "cortex-m" },   { "dsp", "cortex-m" },
    { "portable", NULL },                                    /* every family's last resort */
};

enum { EAX, EBX, ECX, EDX };
/* Bits of XCR0: which registers the system saves. */
enum { OS_nothing = 0, OS_ymm = 0x06, OS_zmm = 0xe6, OS_tile = 0x60000 };
typedef struct {
    const char *name, *family;
    uint32_t leaf, sub; /* x86: cpuid leaf and subleaf, register, bit; */
    int reg, bit;       /* elsewhere: a bit of AT_HWCAP (leaf 0) or AT_HWCAP2 (leaf 1) */
    uint32_t os;
} Feature;
static const Feature features[] = {
    { "sse4_2",      "x86_64", 1, 0, ECX, 20, OS_nothing }, { "popcnt",   "x86_64", 1, 0, ECX, 23, OS_nothing },
    { "avx",         "x86_64", 1, 0, ECX, 28, OS_ymm },     { "f16c",     "x86_64", 1, 0, ECX, 29, OS_ymm },
    { "fma",         "x86_64", 1, 0, ECX, 12, OS_ymm },     { "avx2",     "x86_64", 7, 0, EBX, 5, OS_ymm },
    { "movbe",       "x86_64", 1, 0, ECX, 22, OS_nothing }, { "bmi1",     "x86_64", 7, 0, EBX, 3, OS_nothing },
    { "bmi2",        "x86_64", 7, 0, EBX, 8, OS_nothing },  { "avx512f",  "x86_64", 7, 0, EBX, 16, OS_zmm },
    { "avx512dq",    "x86_64", 7, 0, EBX, 17, OS_zmm },     { "avx512cd", "x86_64", 7, 0, EBX, 28, OS_zmm },
    { "avx512bw",    "x86_64", 7, 0, EBX, 30, OS_zmm },     { "avx512vl", "x86_64", 7, 0, EBX, 31, OS_zmm },
    { "avx512_vnni", "x86_64", 7, 0, ECX, 11, OS_zmm },     { "avx_vnni", "x86_64", 7, 1, EAX, 4, OS_ymm },
    { "amx_tile",    "x86_64", 7, 0, EDX, 24, OS_tile },    { "amx_int8", "x86_64", 7, 0, EDX, 25, OS_tile },
    { "asimd",   "aarch64", 0, 0, 0, 1, OS_nothing },       { "asimdhp", "aarch64", 0, 0, 0, 10, OS_nothing },
    { "asimddp", "aarch64", 0, 0, 0, 20, OS_nothing },      { "sve",     "aarch64", 0, 0, 0, 22, OS_nothing },
    { "sve2",    "aarch64", 1, 0, 0, 1, OS_nothing },       { "svei8mm", "aarch64", 1, 0, 0, 9, OS_nothing },
    { "i8mm",    "aarch64", 1, 0, 0, 13, OS_nothing },      { "v",       "riscv64", 0, 0, 0, 'v' - 'a', OS_nothing },
};
enum {
    N_FEATURES = sizeof features / sizeof *features,
    N_ISA = sizeof isa_names / sizeof *isa_names
};

const char *target_host_family(void)
{
#if defined(__x86_64__)
    return "x86_64";
#elif defined(__aarch64__)
    return "aarch64";
#elif defined(__riscv) && __riscv_xlen == 64
    return "riscv64";
#else
    return "portable";
#endif
}

static bool host_has(const Feature *f)
{
#if defined(__x86_64__)
    uint32_t r[4] = { 0, 0, 0, 0 }, xcr0 = 0, high;

    if (f->os) {
        if (!__get_cpuid(1, &r[EAX], &r[EBX], &r[ECX], &r[EDX]) || !(r[ECX] >> 27 & 1))
            return false; /* no XGETBV: the system saves no wide registers */
        __asm__ volatile("xgetbv" : "=a"(xcr0), "=d"(high) : "c"(0));
        if ((xcr0 & f->os) != f->os)
            return false;
    }
    return __get_cpuid_count(f->leaf, f->sub, &r[EAX], &r[EBX], &r[ECX], &r[EDX]) &&
           (r[f->reg] >> f->bit & 1) && (f->os != OS_tile || tiles_work());
#elif defined(__aarch64__) || defined(__riscv)
    return getauxval(f->leaf ? AT_HWCAP2 : AT_HWCAP) >> f->bit & 1;
#else
    (void)f;
    return false;
#endif
}

bool target_host_has(const char *feature)
{
    for (int i = 0; i < N_FEATURES; i++)
        if (!strcmp(features[i].name, feature) && !strcmp(features[i].family, target_host_family()))
            return host_has(&features[i]);
    return false;
}

/* ---- reading ------------------------------------------------------------------------------------------------------- */

/* Names of files, flags and chips end up in Makefiles and messages: printable ASCII only. */
static bool printable(Diag *d, const YamlNode *n, const char *key, const char *s)
{
    for (; *s; s++)
        if (*s < 32 || *s > 126)
            return fail(d, n->at, "'%s' must be printable ASCII", key);
    return true;
}

static bool read_text(Arena *a, Diag *d, const YamlNode *map, const char *key, const char **out)
{
    const YamlNode *n = yaml_get(map, key);

    return !n || (yaml_str(a, d, n, key, out) && printable(d, n, key, *out));
}

static bool read_bytes(Diag *d, const YamlNode *map, const char *key, int64_t *out)
{
    const YamlNode *n = yaml_get(map, key);
    uint64_t v;

    if (!n)
        return true;
    if (!yaml_bytes(d, n, key, &v))
        return false;
    *out = (int64_t)v;
    return true;
}

static bool read_int(Diag *d, const YamlNode *map, const char *key, int64_t hi, int64_t *out)
{
    const YamlNode *n = yaml_get(map, key);

    return !n || yaml_int(d, n, key, 0, hi, out);
}

static bool read_part(Diag *d, const YamlNode *map, const char *key, const char *const *keys,
                      const YamlNode **out)
{
    *out = yaml_get(map, key);
    if (!*out)
        return true;
    if ((*out)->kind != YAML_map)
        return fail(d, (*out)->at, "'%s' must be a mapping: {%s: ...}", key, keys[0]);
    return yaml_only(d, *out, keys);
}

/* A size from lo to hi, of whole steps. */
static bool read_size(Diag *d, const YamlNode *map, const char *key, int64_t lo, int64_t hi, int64_t step, int64_t *out)
{
    const YamlNode *n = yaml_get(map, key);
    int64_t v = *out;

    if (!n)
        return true;
    if (!read_bytes(d, map, key, &v))
        return false;
    if (v < lo || v > hi || v % step)
        return fail(d, n->at, "'%s' must be a multiple of %" PRId64 " from %" PRId64 " to %" PRId64, key, step, lo, hi);
    *out = v;
    return true;
}

static bool read_tuning(Diag *d, const YamlNode *map, Target *t)
{
    return read_size(d, map, "prefetch", 0, PREFETCH_MOST, PREFETCH_STEP, &t->tuning.prefetch) &&
           read_size(d, map, "chunk", CHUNK_STEP, CHUNK_MOST, CHUNK_STEP, &t->tuning.chunk) &&
           read_size(d, map, "span", SPAN_STEP, SPAN_MOST, SPAN_STEP, &t->tuning.span) &&
           read_size(d, map, "tokens", 1, TOKENS_MOST, 1, &t->tuning.tokens);
}

static const char *const *known_isa(Arena *a, const char *family)
{
    const char **v = ARENA_ARRAY(a, const char *, N_ISA + 1);
    int n = 0;

    for (int i = 0; i < N_ISA; i++)
        if (!isa_names[i].family || !strcmp(isa_names[i].family, family))
            v[n++] = isa_names[i].name;
    return v;
}

static const char *const *known_features(Arena *a, const char *family)
{
    const char **v = ARENA_ARRAY(a, const char *, N_FEATURES + 1);
    int n = 0;

    for (int i = 0; i < N_FEATURES; i++)
        if (!strcmp(features[i].family, family))
            v[n++] = features[i].name;
    return v;
}

/* Every item of the list is one of `known`; the others are reported. */
static bool all_known(Diag *d, const YamlNode *list, const char *const *item,
                      const char *const *known, const char *what, const char *family)
{
    bool ok = true;

    for (int i = 0; item[i]; i++) {
        const char *near = str_nearest(str_of(item[i]), known);
        bool found = false;

        for (int k = 0; known[k] && !found; k++)
            found = !strcmp(item[i], known[k]);
        if (!found)
            ok = fail(d, list->child[i]->at,
                      "'%s' is not a %s of family %s that sinter knows%s%s%s", item[i], what,
                      family, near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
    }
    return ok;
}

static bool read_lists(Arena *a, Diag *d, const YamlNode *root, Target *t)
{
    const YamlNode *isa = yaml_get(root, "isa"), *feature = yaml_get(root, "features");
    int n = 0;

    if (!isa)
        return fail(
            d, root->at,
            "the key 'isa' is missing (a list of kernel sets, best first, e.g. [portable])");
    if (!yaml_strs(a, d, isa, "isa", &t->isa) ||
        !all_known(d, isa, t->isa, known_isa(a, t->family), "kernel set", t->family))
        return false;
    while (t->isa[n])
        n++;
    if (!n || strcmp(t->isa[n - 1], "portable"))
        return fail(d, isa->at,
                    "the list must end with 'portable' (not every kernel exists for every "
                    "instruction set)");
    t->portable_only = n == 1;
    if (!feature) {
        t->features = ARENA_ARRAY(a, const char *, 1);
        return true;
    }
    return yaml_strs(a, d, feature, "features", &t->features) &&
           all_known(d, feature, t->features, known_features(a, t->family), "feature", t->family);
}

static bool good_name(const char *s)
{
    size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

    return n > 0 && n <= 64 && !s[n] && s[0] != '.' && s[0] != '-';
}

const Target *target_parse(Arena *a, Diag *d, const char *file, Str text)
{
    static const char *const keys[] = { "name",     "help",  "family",    "isa",
                                        "features", "cc",    "cflags",    "run",
                                        "threads",  "cache", "bandwidth", "mac8_per_ns_x100",
                                        "tuning",   "tested", "machine",  "board", NULL };
    static const char *const cache_keys[] = { "l1d", "l2", "llc", NULL };
    static const char *const bandwidth_keys[] = { "dram", "llc", NULL };
    static const char *const tuning_keys[] = { "prefetch", "chunk", "span", "tokens", NULL };
    enum { MAX_MB_S = 100000000 };
    const YamlNode *root = yaml_read(a, d, file, text), *cache, *bandwidth, *tuning, *board;
    Target *t = ARENA_NEW(a, Target);
    int64_t n_threads = 0;
    bool known = false;

    if (!root || !yaml_only(d, root, keys))
        return NULL;
    *t = (Target){ .help = "",
                   .cc = "cc",
                   .machine = "",
                   .cflags = "-O3 -ffp-contract=off",
                   .run = "",
                   .tested = "untested on hardware",
                   .tuning = { PREFETCH_DEFAULT, CHUNK_DEFAULT, SPAN_DEFAULT, TOKENS_DEFAULT } };
    if (!read_text(a, d, root, "name", &t->name) || !read_text(a, d, root, "help", &t->help) ||
        !read_text(a, d, root, "family", &t->family) || !read_text(a, d, root, "cc", &t->cc) ||
        !read_text(a, d, root, "cflags", &t->cflags) || !read_text(a, d, root, "run", &t->run) ||
        !read_text(a, d, root, "tested", &t->tested) || !read_text(a, d, root, "machine", &t->machine) ||
        !read_int(d, root, "threads", 4096, &n_threads) ||
        !read_int(d, root, "mac8_per_ns_x100", 1000000000, &t->mac8_per_ns) ||
        !read_part(d, root, "cache", cache_keys, &cache) ||
        !read_part(d, root, "bandwidth", bandwidth_keys, &bandwidth) ||
        !read_part(d, root, "tuning", tuning_keys, &tuning))
        return NULL;
    if (cache &&
        (!read_bytes(d, cache, "l1d", &t->l1d_bytes) || !read_bytes(d, cache, "l2", &t->l2_bytes) ||
         !read_bytes(d, cache, "llc", &t->llc_bytes)))
        return NULL;
    if (bandwidth && (!read_int(d, bandwidth, "dram", MAX_MB_S, &t->dram_mb_s) ||
                      !read_int(d, bandwidth, "llc", MAX_MB_S, &t->llc_mb_s)))
        return NULL;
    if (tuning && !read_tuning(d, tuning, t))
        return NULL;
    t->n_threads = (int)n_threads;
    if (!t->name || !t->family) {
        fail(d, root->at, "the key '%s' is missing", t->name ? "family" : "name");
        return NULL;
    }
    if (!good_name(t->name)) {
        fail(d, yaml_get(root, "name")->at,
             "a target's name is made of letters, digits, '.', '_' and '-'");
        return NULL;
    }
    board = yaml_get(root, "board");
    if (board && !(t->board = board_read(a, d, board)))
        return NULL;
    for (int i = 0; family_names[i]; i++)
        known |= !strcmp(family_names[i], t->family);
    if (!known) {
        const char *near = str_nearest(str_of(t->family), family_names);

        fail(d, yaml_get(root, "family")->at,
             "unknown family '%s' (%s%s%sportable, x86_64, aarch64, riscv64, wasm32, cortex-m, riscv32)", t->family,
             near ? "did you mean '" : "", near ? near : "", near ? "'? there are " : "there are ");
        return NULL;
    }
    return read_lists(a, d, root, t) ? t : NULL;
}

/* ---- finding ------------------------------------------------------------------------------------------------------- */

/* The name of an embedded target file, in the arena; NULL when the file is something else. */
static const char *name_of(Arena *a, const Embedded *e)
{
    Str s = str_of(e->path);

    if (!str_begins(s, "targets/") || !str_ends(s, ".yaml"))
        return NULL;
    return str_printf(a, "%.*s", (int)(s.n - 8 - 5), s.p + 8);
}

static int by_name(const void *x, const void *y)
{
    return strcmp(*(const char *const *)x, *(const char *const *)y);
}

const char *const *target_names(Arena *a)
{
    const char **v;
    int n = 0;

    for (const Embedded *e = embedded_files; e->path; e++)
        n++;
    v = ARENA_ARRAY(a, const char *, n + 1);
    n = 0;
    for (const Embedded *e = embedded_files; e->path; e++) {
        v[n] = name_of(a, e);
        n += v[n] != NULL;
    }
    v[n] = NULL;
    qsort(v, (size_t)n, sizeof *v, by_name);
    return v;
}

static const Target *load_known(Arena *a, Diag *d, const char *name)
{
    const char *path = str_printf(a, "targets/%s.yaml", name);
    const Embedded *e = embedded_find(path);

    return target_parse(a, d, path, (Str){ e->text, e->n });
}

/* A word of a file of Linux on the i-th cache of the first core [Documentation/ABI/testing/sysfs-devices-system-cpu]; "": there is none. */
static void cache_word(int i, const char *what, char word[32])
{
    char path[96];
    FILE *f;

    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/%s", i, what);
    word[0] = 0;
    f = fopen(path, "r");
    if (!f)
        return;
    if (fscanf(f, "%31s", word) != 1)
        word[0] = 0;
    fclose(f);
}

/* Bytes of the data cache of a level as Linux says; without that as the C library does (which on AMD adds up the last caches of all
 * cores that the chip might have: 384 MB where this core has 32); or `otherwise`. */
static int64_t host_cache(int level, int name, int64_t otherwise)
{
    char word[32], *unit;
    long v;

    for (int i = 0; i < 8; i++) {
        cache_word(i, "level", word);
        if (atoi(word) != level)
            continue;
        cache_word(i, "type", word);
        if (!strcmp(word, "Instruction"))
            continue;
        cache_word(i, "size", word);
        v = strtol(word, &unit, 10);
        if (v > 0 && v < LONG_MAX >> 20)
            return (int64_t)v * (*unit == 'K' ? 1024 : *unit == 'M' ? 1024 * 1024 : 1);
    }
    v = name >= 0 ? sysconf(name) : 0;
    return v > 0 ? v : otherwise;
}

const Target *target_native(Arena *a, Diag *d)
{
    const char *const *names = target_names(a);
    const Target *best = NULL;
    Target *t;
    int best_n = -1, cache[3] = { -1, -1, -1 };

    for (int i = 0; names[i]; i++) {
        const Target *k = load_known(a, d, names[i]);
        int n = 0;
        bool fits = true;

        if (!k)
            return NULL;
        if (strcmp(k->family, "portable") && strcmp(k->family, target_host_family()))
            continue;
        for (; k->features[n]; n++)
            fits &= target_host_has(k->features[n]);
        n += strcmp(k->family, "portable") !=
             0; /* a target of the machine's family before any other */
        if (fits && n > best_n) {
            best = k;
            best_n = n;
        }
    }
    if (!best) {
        fail(d, NOWHERE, "no known target fits this machine");
        return NULL;
    }
    t = ARENA_NEW(a, Target);
    *t = *best;
    t->name = "native";
    t->base = best->name;
    t->cc = "cc";
    t->run = "";
    t->tested = "run here";
    t->help = str_printf(a, "this machine: %s", best->help);
#ifdef _SC_LEVEL1_DCACHE_SIZE
    cache[0] = _SC_LEVEL1_DCACHE_SIZE;
    cache[1] = _SC_LEVEL2_CACHE_SIZE;
    cache[2] = _SC_LEVEL3_CACHE_SIZE;
#endif
    t->l1d_bytes = host_cache(1, cache[0], t->l1d_bytes);
    t->l2_bytes = host_cache(2, cache[1], t->l2_bytes);
    t->llc_bytes = host_cache(3, cache[2], t->llc_bytes);
    return t;
}

static bool is_file_name(Str s)
{
    return memchr(s.p, '/', s.n) || str_ends(s, ".yaml") || str_ends(s, ".yml");
}

const Target *target_load(FileSet *fs, Arena *a, Diag *d, const char *name)
{
    const char *const *names = target_names(a);
    const char **all;
    const char *near;
    int n = 0;

    if (!strcmp(name, "native"))
        return target_native(a, d);
    if (is_file_name(str_of(name))) {
        Mapped map;
        Target *t;

        if (!file_map(fs, a, d, name, &map))
            return NULL;
        t = (Target *)target_parse(a, d, name, (Str){ (const char *)map.p, (size_t)map.n });
        if (t)
            t->file = name;
        return t;
    }
    for (; names[n]; n++)
        if (!strcmp(names[n], name))
            return load_known(a, d, name);
    all = ARENA_ARRAY(a, const char *, n + 2);
    memcpy(all, names, (size_t)n * sizeof *all);
    all[n] = "native";
    near = str_nearest(str_of(name), all);
    fail(d, NOWHERE,
         "there is no target '%s' (%s%s%s`sinter targets` lists them; a file's name ends in .yaml)",
         name, near ? "did you mean '" : "", near ? near : "", near ? "'? " : "");
    return NULL;
}

static int n_features(const Target *t)
{
    int n = 0;

    while (t->features && t->features[n])
        n++;
    return n;
}

/* The one that asks most of a CPU comes first, whatever the order they were named in: the program uses the first that it can. */
static void best_first(const Target **t, int n)
{
    for (int i = 1; i < n; i++)
        for (int k = i; k > 0 && n_features(t[k]) > n_features(t[k - 1]); k--) {
            const Target *swap = t[k];

            t[k] = t[k - 1];
            t[k - 1] = swap;
        }
}

int target_load_set(FileSet *fs, Arena *a, Diag *d, const char *names, const Target **out, int cap)
{
    int n = 0;

    for (const char *p = names;; p++) {
        size_t len = strcspn(p, ",");
        const char *name = str_printf(a, "%.*s", (int)len, p);

        if (n == cap)
            return fail(d, NOWHERE, "'%s' names too many targets for one program (at most %d)",
                        names, cap);
        if (!(out[n] = target_load(fs, a, d, name)))
            return 0;
        if (strcmp(out[n]->family, out[0]->family))
            return fail(
                d, NOWHERE,
                "'%s' and '%s' are of different families (%s and %s): one program runs on one "
                "(build them separately)",
                out[0]->name, out[n]->name, out[0]->family, out[n]->family);
        if (n && (out[0]->board || out[n]->board))
            return fail(d, NOWHERE, "'%s' is a board: firmware is built for one target (build them separately)",
                        out[0]->board ? out[0]->name : out[n]->name);
        for (int i = 0; i < n; i++)
            if (!strcmp(out[i]->name, out[n]->name))
                return fail(d, NOWHERE, "the target '%s' is named twice", name);
        n++;
        p += len;
        if (!*p) {
            best_first(out, n);
            return n;
        }
    }
}

/* ---- printing ------------------------------------------------------------------------------------------------------ */

/* A scalar that YAML reads back as the same text: in double quotes, with \" and \\ escaped. */
static void put_quoted(Buf *b, const char *s)
{
    buf_putc(b, '"');
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            buf_putc(b, '\\');
        buf_putc(b, *s);
    }
    buf_putc(b, '"');
}

static void put_field(Buf *b, const char *key, const char *value)
{
    buf_printf(b, "%s: ", key);
    put_quoted(b, value);
    buf_putc(b, '\n');
}

static void put_list(Buf *b, const char *key, const char *const *v)
{
    buf_printf(b, "%s: [", key);
    for (int i = 0; v[i]; i++)
        buf_printf(b, "%s%s", i ? ", " : "", v[i]);
    buf_puts(b, "]\n");
}

bool target_is_bare(const Target *t)
{
    return !strcmp(t->family, "cortex-m") || !strcmp(t->family, "riscv32");
}

void target_print(Buf *b, const Target *t)
{
    put_field(b, "name", t->name);
    put_field(b, "help", t->help);
    put_field(b, "family", t->family);
    put_list(b, "isa", t->isa);
    put_list(b, "features", t->features);
    put_field(b, "cc", t->cc);
    if (*t->machine)
        put_field(b, "machine", t->machine);
    put_field(b, "cflags", t->cflags);
    put_field(b, "run", t->run);
    buf_printf(b, "threads: %d\n", t->n_threads);
    buf_printf(b, "cache: {l1d: %" PRId64 ", l2: %" PRId64 ", llc: %" PRId64 "}\n", t->l1d_bytes,
               t->l2_bytes, t->llc_bytes);
    buf_printf(b, "bandwidth: {dram: %" PRId64 ", llc: %" PRId64 "}\n", t->dram_mb_s, t->llc_mb_s);
    buf_printf(b, "mac8_per_ns_x100: %" PRId64 "\n", t->mac8_per_ns);
    buf_printf(b, "tuning: {prefetch: %" PRId64 ", chunk: %" PRId64 ", span: %" PRId64 ", tokens: %" PRId64 "}\n",
               t->tuning.prefetch, t->tuning.chunk, t->tuning.span, t->tuning.tokens);
    put_field(b, "tested", t->tested);
    if (t->board)
        board_print(b, t->board);
}

static const char *words(Arena *a, const char *const *v)
{
    Buf b = buf_in(a);

    for (int i = 0; v[i]; i++)
        buf_printf(&b, "%s%s", i ? " " : "", v[i]);
    return buf_z(&b);
}

void target_to_module(Module *m, int i, const Target *t)
{
    const char *of = str_printf(m->a, "target.%d.", i);

    module_set_meta(m, str_printf(m->a, "%sname", of), attr_str("", t->name));
    module_set_meta(m, str_printf(m->a, "%sfamily", of), attr_str("", t->family));
    module_set_meta(m, str_printf(m->a, "%sisa", of), attr_str("", words(m->a, t->isa)));
    module_set_meta(m, str_printf(m->a, "%sfeatures", of), attr_str("", words(m->a, t->features)));
    module_set_meta(m, str_printf(m->a, "%scc", of), attr_str("", t->cc));
    if (*t->machine)
        module_set_meta(m, str_printf(m->a, "%smachine", of), attr_str("", t->machine));
    module_set_meta(m, str_printf(m->a, "%scflags", of), attr_str("", t->cflags));
    module_set_meta(m, str_printf(m->a, "%sprefetch", of), attr_int("", t->tuning.prefetch));
    if (t->board) {
        module_set_meta(m, str_printf(m->a, "%srun", of), attr_str("", t->run));
        board_to_module(m, t->board);
    }
}
