/* The compiler: Model -> Module -> passes -> folder.
 *
 *   target.c      what is known of a chip (targets/NAME.yaml, embedded; or a file; or this machine: native)
 *   board.c       what is known of a board: memory, what lies where
 *   options.c     the options of a build as one table: command line, sinter.yaml and --help read the same rows
 *   arch/         Model -> Module, one file per family            (arch.h)
 *   passes/       Module -> Module, one file per pass             (passes.h)
 *   pipeline.c    the whole way from a path to a folder
 *   cost.c        turns work into time, in integers
 *   cmd_*.c       the commands; cmd.h is their table              (cmd.h)                                                     */
#ifndef SN_COMPILER_H
#define SN_COMPILER_H

#include "compiler/import/model.h"
#include "ir/ir.h"

/* ---- target.c ------------------------------------------------------------------------------------------------------ */

/* Memory of a board, and what is put there unless a build says otherwise.  Each of these lies in exactly one region:
 *
 *     start     the vector table (and what a boot ROM wants to find behind it); first in its region
 *     code      instructions; the first values of variables, if they are copied from there
 *     constants what the program only reads, but for the weights
 *     weights   weights and tables of the model
 *     data      variables, and the model's memory
 *     stack     grows down to the beginning of its region, so that what overflows it meets no variable
 *
 * What a board does not name lies where another thing does: start and constants with code, weights with constants, stack with data. */
typedef struct {
    const char *name;           /* a C identifier in small letters: the name of the region in the linker script */
    uint64_t base, bytes;
    const char *kind;           /* "flash": keeps what is programmed; "ram": on the chip; "external": behind a bus, slower */
    const char *const *holds;   /* NULL-terminated */
} BoardRegion;

typedef struct {
    BoardRegion *region;
    int n_region;
    const char *data;           /* first values of variables: "copied" by the start-up code, or "loaded" by a boot loader */
    uint32_t *header;           /* words behind the vector table, for a boot ROM */
    int n_header;
} Board;

/* A chip, as its YAML file describes it.  In the arena of the compilation; read-only once loaded. */
typedef struct {
    const char *name;           /* "x86_64-v4" */
    const char *help;           /* one line */
    const char *family;         /* "x86_64", "aarch64", "riscv64", "portable": one program runs on one family */
    const char *const *isa;     /* kernel sets in order of preference, NULL-terminated; the last is "portable" */
    const char *const *features;/* what the CPU must have, as the run-time check names them, NULL-terminated */
    const char *cc;             /* the compiler, e.g. "cc", "aarch64-linux-gnu-gcc" */
    const char *machine;        /* flags of every file, e.g. "-mcpu=cortex-m4 -mthumb"; "": none */
    const char *cflags;         /* flags of the ISA files only, e.g. "-march=x86-64-v4 -mavx512vnni" */
    const char *run;            /* a program that runs its binaries here ("qemu-aarch64 -cpu max -L ..."), "": directly */
    int n_threads;              /* default for -j; 0: as many as the machine has cores at run time */
    int64_t l1d_bytes, l2_bytes, llc_bytes;
    int64_t dram_mb_s, llc_mb_s;/* read bandwidth of all cores, MB/s; 0: unknown */
    int64_t mac8_per_ns;        /* 8-bit multiply-adds per ns and core, times 100; 0: unknown */
    struct {                    /* how work is cut; docs/adding-a-target.md.  Only `span` changes results (the order of attention's sums) */
        int64_t prefetch;       /* bytes that x86-64's kernels ask for before they read them */
        int64_t chunk;          /* bytes of weights of a chunk */
        int64_t span;           /* cache positions whose scores are held at a time */
        int64_t tokens;         /* tokens of a chunk of attention over a prompt */
    } tuning;
    const char *tested;         /* "run here", "run under QEMU", "linked only", "untested on hardware" */
    bool portable_only;         /* no ISA kernels: isa is just "portable" */
    const char *base;           /* of `native`: the known target that it is ("x86_64-v4"); otherwise NULL */
    const char *file;           /* the YAML file it was read from; NULL: one of sinter's own */
    const Board *board;         /* NULL: a chip or an instruction set, not a board */
} Target;

/* NULL after a report (an unknown name is answered with the nearest known one). */
const Target *target_load(FileSet *fs, Arena *a, Diag *d, const char *name_or_file);
/* The set "a,b,c": all of one family.  Returns the number, 0 after a report. */
int target_load_set(FileSet *fs, Arena *a, Diag *d, const char *names, const Target **out, int cap);
const char *const *target_names(Arena *a);                   /* of the embedded ones, sorted, NULL-terminated */
/* The target that `text` (a YAML file's) describes: what target_load does once it has the text.  Also for tests and fuzzing. */
const Target *target_parse(Arena *a, Diag *d, const char *file, Str text);
/* The best known target of this machine, with this machine's cache sizes; its name is "native". */
const Target *target_native(Arena *a, Diag *d);
/* Is `feature` (as in Target.features) there on the machine that runs sinter?  Unknown names: false. */
bool target_host_has(const char *feature);
const char *target_host_family(void);                        /* "x86_64", "aarch64", "riscv64", "portable" */
bool target_is_bare(const Target *t);                        /* a microcontroller: no operating system, no C library, one thread */
void target_print(Buf *out, const Target *t);                /* as YAML that target_parse reads back */

/* What codegen must know of target i, as metadata `target.I.` of the Module; of a board its memory, too (`board.`). */
void target_to_module(Module *m, int i, const Target *t);

/* ---- board.c ------------------------------------------------------------------------------------------------------- */

struct YamlNode;
/* The value of a target's key `board`; NULL after a report. */
const Board *board_read(Arena *a, Diag *d, const struct YamlNode *n);
void board_print(Buf *out, const Board *b);                  /* as YAML */
/* The board as metadata, so that codegen writes a folder for it from the Module alone. */
void board_to_module(Module *m, const Board *b);

/* ---- options ------------------------------------------------------------------------------------------------------- */

typedef enum { ACT_f32, ACT_q8, ACT_i8 } Act;
typedef struct {
    const char *model;          /* path */
    const char *target;         /* "native", "x86_64-v3,x86_64-v4", "FILE.yaml" */
    const char *out;            /* folder; NULL: ./STEM */
    const char *name;           /* C identifier; NULL: from out */
    Act act_decode, act_prefill;
    const Format *kv;           /* f16 or f32 */
    int64_t ctx;                /* 0: the model's own */
    int64_t batch;              /* most tokens computed at a time; 0: 256, of panels 512 */
    const Format *quant;        /* what weights are rounded to; NULL: they stay as they are */
    bool exact;                 /* only kernels with the portable ones' order of sums */
    bool link_weights;
    const char *place;          /* "conv_2d_0=qspi,hot=dtcm": what lies in which region of a board; NULL: as the board says */
    const char *project;        /* "plain", "cmake", "arduino", "zephyr"; NULL: plain */
    const char *spec;           /* "none": no code for it; "lookup": the program's default; NULL: it can, if asked */
    const char *head;           /* "two-stage": where it can be; "full", NULL: never */
    const char *emit;           /* "c" or "ir" */
    const char *depfile;        /* -MD: NULL none */
    const char *print_after;    /* pass name, "all", NULL */
    const char *fuse;           /* NULL: all that can be; "none": every op its own stage; or names (passes.h: fuse_text) */
    bool dry_run;
    uint64_t max_ram, max_flash;/* 0: no budget */
    const char *depends;        /* another file that the build read: sinter.yaml; NULL none */
    const char *digest;         /* what the model file's digest must be, 32 hex digits; NULL: anything */
    bool verbose;               /* a line per step even where standard error is no terminal */
    struct { bool act_decode, act_prefill, kv, fuse; } given;   /* named, be it with the default's value: config_load asks */
} BuildOptions;
BuildOptions build_options_default(void);

/* What setting an option came to.  `bad` and `later` leave a line in *why: what is allowed, or what is not there yet. */
typedef enum { SET_ok, SET_bad, SET_later } SetResult;

/* A row of a table of options.  The command line, sinter.yaml and --help read the same rows. */
typedef struct {
    const char *name;           /* "--act" */
    char letter;                /* 't' for -t, 0: none */
    const char *arg;            /* what it takes, as help shows it; NULL: nothing, it is a flag */
    const char *def;            /* its default in words; NULL: not worth saying */
    const char *help;           /* one line */
    /* Sets it in *b; value is "" for a flag.  NULL: the command reads it itself (cmd.h: arg_value). */
    SetResult (*set)(BuildOptions *b, Arena *a, const char *value, const char **why);
    bool later;                 /* belongs to a later version: known, shown so, refused */
} Option;
extern const Option build_option_table[];                    /* of `build`, ended by name NULL */
extern const Option run_option_table[];                      /* those of them that `run` takes: where nothing names the output */

/* The C identifier and the folder of a build: as given, or made from the folder's name, or from the model's.  A name that the emitted
 * folder needs for itself (main, runtime, text, ...) gets "_model" behind it. */
const char *build_name(Arena *a, const BuildOptions *o);
const char *build_out(Arena *a, const BuildOptions *o);
/* NULL if `name` may name a program, or why it may not. */
const char *bad_build_name(const char *name);

/* ---- config.c ------------------------------------------------------------------------------------------------------ */

/* The builds that a sinter.yaml asks for (its form: config.c, docs/commands.md).  What `line`, the command line, sets wins over the
 * file.  *out in the arena.  Returns their number, 0 after a report. */
int config_load(FileSet *fs, Arena *a, Diag *d, const char *file, const BuildOptions *line, BuildOptions **out);

/* What passes may see: read-only. */
typedef struct {
    const Target *const *target; int n_target;
    const BuildOptions *opt;
    Arena *scratch;
    FileSet *fs;
} Env;

/* ---- arch/ --------------------------------------------------------------------------------------------------------- */

typedef struct { const char *name; const char *help; bool (*build)(Module *m, const Model *model, const BuildOptions *o, Diag *d); } Arch;
extern const Arch arch_table[];                              /* ended by name NULL; name is general.architecture */
/* Makes the Module of a model: weights as views, state, one function `main`, entries decode (T=1) and prefill; meta; for a model without
 * tensors a Module with meta and tokenizer only.  NULL after reports. */
Module *arch_module(Arena *a, const Model *model, const BuildOptions *o, Diag *d);

/* ---- cost.c -------------------------------------------------------------------------------------------------------- */

/* Modelled time, in integers, so that every machine finds the same numbers: the longer of reading `bytes` at the target's bandwidth
 * and of `macs` multiply-adds on n_threads cores.  Picoseconds; 0: the target's figures are unknown. */
uint64_t cost_ps(const Target *t, uint64_t bytes, uint64_t macs, int n_threads);
/* The same of a part of something that reads `all_bytes` each time round: whether they stay in the last-level cache is a question of all. */
uint64_t cost_part_ps(const Target *t, uint64_t all_bytes, uint64_t bytes, uint64_t macs, int n_threads);
/* The same of reading `bytes` in n_chunk equal pieces, none of them shared: the thread with the most decides. */
uint64_t cost_uneven_ps(const Target *t, uint64_t bytes, int64_t n_chunk, int n_threads);
/* What a meeting of the threads between two stages costs: 120 to 330 ns on desktop and server cores that spin. */
enum { COST_MEETING_PS = 150000 };
/* Tokens per second, times 100, of a decode step that reads so many bytes; 0: unknown. */
/* With so many threads, how many of the n_head query heads should one chunk of attention take when one token is decoded?  A divisor of
 * `group`, the heads that share K and V, and at most `most`: heads of one chunk share what reading and converting an entry costs, but few
 * chunks leave threads idle.  An entry costs COST_KV_SHARED for all and COST_KV_HEAD for each: 128 positions of 64 dimensions took
 * 326, 465, 593 and 703 ns for 1 to 4 heads (AVX-512, Zen 5). */
enum { COST_KV_SHARED = 3, COST_KV_HEAD = 2 };
int64_t cost_heads(int64_t n_head, int64_t group, int64_t most, int n_threads);
uint64_t cost_tps_x100(const Target *t, uint64_t bytes_per_token, uint64_t macs_per_token, int n_threads);

/* ---- passes/ ------------------------------------------------------------------------------------------------------- */

typedef struct { const char *name; const char *help; bool (*run)(Module *m, const Env *env, Diag *d); } Pass;
extern const Pass pass_table[];                              /* in the order they run, ended by name NULL */
/* Runs the table (or only pass `only`), verifying after each; prints to stderr what --print-after asks for. */
bool passes_run(Module *m, const Env *env, Diag *d, const char *only);

/* ---- pipeline.c ---------------------------------------------------------------------------------------------------- */

/* From a model file or a .sir to a folder (or text for --emit ir).  Prints one line per step to stderr when it is a terminal or `verbose`. */
bool pipeline_build(FileSet *fs, Arena *a, Diag *d, const BuildOptions *o);
/* The same, and says why not: 0 done, 1 failed, 3 over the budget of --max-ram or --max-flash (reported, naming what grew). */
int pipeline_run(FileSet *fs, Arena *a, Diag *d, const BuildOptions *o);
/* A signal handler: the build stops at its next step, and main cleans up as after any failure. */
void pipeline_interrupt(int sig);
bool pipeline_interrupted(void);
/* The Module of a file before any target's choices: importer and arch for a model, parser for a .sir. */
Module *pipeline_module(FileSet *fs, Arena *a, Diag *d, const BuildOptions *o, const char *path);

#endif
