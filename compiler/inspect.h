/* What is in a file, as a report for people or as JSON.  (cmd_inspect.c is the command around it.) */
#ifndef SN_INSPECT_H
#define SN_INSPECT_H

#include "compiler/import/model.h"
#include "ir/ir.h"

/* The report of a model file: where it comes from, hyperparameters, tokenizer, tensors by format and by role, bits per weight.
 * Text from the file is escaped, long values are cut.  JSON (schema 1) has all metadata but the elements of arrays, and every
 * tensor.  `all`: the text lists every tensor too.  The report is appended to out; false: no memory for the JSON (reported). */
bool inspect_model(Buf *out, Diag *d, Model *m, bool json, bool all);

/* The same for a Module: entries, functions, weights by format and layout, state, what the weights file holds. */
bool inspect_module(Buf *out, Diag *d, const Module *m, bool json, bool all);

#endif
