/* report.html: what was fused, the memory map, cost by stage, as pictures in one file without scripts. */
#ifndef SN_REPORT_H
#define SN_REPORT_H

#include "ir/ir.h"

void report_write(const Module *m, const char *name, Buf *out);

#endif
