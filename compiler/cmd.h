/* The commands of `sinter`, as a table.
 *
 *   main.c         memory, files and signals of one run; calls command_run
 *   cmd_help.c     the table, reading a command line by it, and printing it as help
 *   cmd_NAME.c     one command each
 *
 * Exit status: 0 done, 1 failed, 2 wrong usage, 3 over a budget.  Results go to standard output, everything else to standard error.
 * Where a table is printed, --json prints {"schema": 1, ...} instead. */
#ifndef SN_CMD_H
#define SN_CMD_H

#include "compiler/compiler.h"
#include "ir/base/version.h"

enum { EXIT_done = 0, EXIT_failed = 1, EXIT_usage = 2, EXIT_over_budget = 3 };

typedef struct Command Command;

/* A command line, read by its command's tables.  In the arena. */
typedef struct {
    Arena *a;
    Diag *d;
    FileSet *fs;
    const Command *cmd;
    BuildOptions build;             /* the defaults, with every option that has a setter */
    const char **pos; int n_pos;    /* operands */
    const char **rest; int n_rest;  /* what follows the first operand and is not ours, or follows `--`: the program's (cmd->pass_rest) */
    const Option **given; const char **value; int n_given;   /* options without a setter, in order */
} Args;

struct Command {
    const char *name;
    const char *usage;              /* what follows the name: "MODEL [options]" */
    const char *help;               /* one line */
    const Option *options[2];       /* tables, NULL: no more */
    int min_pos, max_pos;           /* operands; max < 0: any number */
    bool pass_rest;                 /* unknown options behind the first operand belong to a program that it starts */
    int (*run)(Args *args);         /* the exit status; NULL: a later version's */
};
extern const Command command_table[];                        /* ended by name NULL */

/* The value of an option without setter: NULL when not given, "" for a flag; the last one where it is given twice. */
const char *arg_value(const Args *args, const char *name);
/* An integer option within [lo, hi]; `otherwise` when not given.  false after a report: return EXIT_usage. */
bool arg_int(const Args *args, const char *name, int64_t lo, int64_t hi, int64_t otherwise, int64_t *out);
/* Reports wrong usage and how to get help; always returns EXIT_usage. */
int usage_error(const Args *args, const char *fmt, ...) SN_PRINTF(2, 3);

/* Everything: argv as main got it.  Returns the exit status. */
int command_run(Arena *a, Diag *d, FileSet *fs, int argc, char **argv);

int cmd_build(Args *args);
int cmd_run(Args *args);
int cmd_inspect(Args *args);
int cmd_opt(Args *args);
int cmd_verify(Args *args);
int cmd_bench(Args *args);
int cmd_targets(Args *args);
int cmd_explain(Args *args);
int cmd_help(Args *args);

extern const Option inspect_option_table[], opt_option_table[], verify_option_table[], bench_option_table[],
                    targets_option_table[], explain_option_table[], no_option_table[];                    /* options.c */

/* ---- program.c: programs that sinter starts -------------------------------------------------------------------------- */

/* Runs argv[0] (looked up in PATH) and waits.  Standard output goes to *out when it is not NULL (at most 64 MiB; in the arena), standard
 * error to *err likewise; otherwise they are ours.  Returns the exit status, 128 + the signal that ended it, or -1 after a report. */
int program_run(Arena *a, Diag *d, const char *const *argv, Str *out, Str *err);

#endif
