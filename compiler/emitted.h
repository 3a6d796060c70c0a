/* An emitted folder, as `run`, `bench` and `verify` see it: its manifest, and the program that it builds. */
#ifndef SN_EMITTED_H
#define SN_EMITTED_H

#include "compiler/cmd.h"

typedef struct {
    const char *dir;
    const char *name;               /* of the model: the program is DIR/NAME */
    const char *program;
    const char *weights;            /* DIR/NAME.weights */
    const char *sir;                /* DIR/NAME.sir */
    int64_t bytes_per_token;        /* of weights that decoding reads */
    int64_t weights_bytes;
    bool linked;                    /* the weights are inside the program */
    const char *const *run;         /* words that start a program of another family here ("qemu-aarch64", ...); empty: none */
} Emitted;

/* Reads DIR/manifest.json.  false after a report (no such folder, not one of ours, of a family that does not run here). */
bool emitted_open(FileSet *fs, Arena *a, Diag *d, const char *dir, Emitted *out);

/* The same for who does not run it: a folder of any family; `run` is empty. */
bool emitted_read(FileSet *fs, Arena *a, Diag *d, const char *dir, Emitted *out);

/* `make` in the folder, quietly; what it printed is shown when it fails. */
bool emitted_make(Arena *a, Diag *d, const char *dir);

/* argv for the program: e->run, then the program, then `args` (NULL-terminated). */
const char *const *emitted_argv(Arena *a, const Emitted *e, const char *program, const char *const *args);

/* Runs the program; its standard error is shown when it fails.  false after a report. */
bool emitted_run(Arena *a, Diag *d, const Emitted *e, const char *program, const char *const *args, Str *out, Str *err);

/* The folder's program compiled with its trace on, in folder `tmp` (links to its sources).  NULL after a report. */
const char *emitted_make_traced(Args *args, const Emitted *e, const char *tmp);
/* Removes a folder of files. */
void emitted_remove_folder(const char *path);

/* `verify` of a network without tokens (verify_net.c); returns main's exit code. */
int verify_network(Args *args, const Emitted *e, Module *m);

/* n token ids of one digit, which every vocabulary has, for --ids. */
const char *emitted_ids(Arena *a, int64_t n);

/* Numbers of --stats json: v[i] for key[i], from the last line of the program's standard error that is a JSON object with all of the keys.
 * false: there is none. */
bool emitted_stats(Str err, const char *const *key, int n, double *v);

#endif
