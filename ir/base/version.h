/* The version that emitted files and --version name. */
#ifndef SN_VERSION_H
#define SN_VERSION_H
#define SINTER_VERSION "0.1.0"
#endif
