# sinter: build, test, demo.  `make help` lists the targets; docs/building.md says more.
#
#   V=                  show the commands
#   obj=DIR             where everything is built (build); several such folders may exist at once
#   SANITIZE=a,b        -fsanitize=a,b for sinter and its tests
#   CC CFLAGS LDFLAGS   the caller's, as everywhere
V ?= @
# Tests call make for emitted folders, in every way that a user might: these makes begin afresh.  Variables set on the command line
# reach them as environment, not as overrides (obj is a name of theirs, too), and there is no jobserver that they are no part of.
MAKEOVERRIDES =
unexport MAKEFLAGS MFLAGS
obj ?= build
CFLAGS ?= -g -O2
PREFIX ?= /usr/local
PKGS = yaml-0.1 jansson libxxhash libutf8proc
# libclang, which reads the kernel library: the newest of Debian's (whose package has no llvm-config), or what llvm-config says.
LLVM ?= $(lastword $(sort $(patsubst %/include/clang-c/Index.h,%,$(wildcard /usr/lib/llvm-*/include/clang-c/Index.h))))
LLVM_CONFIG ?= llvm-config
llvm_include = $(or $(LLVM:%=%/include),$(shell $(LLVM_CONFIG) --includedir))
llvm_lib = $(or $(LLVM:%=%/lib),$(shell $(LLVM_CONFIG) --libdir))

# Nothing here fails where a package is missing, so that `make demo` and `make test` can install it and call make again.
pkg_cflags := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
pkg_libs := $(or $(shell pkg-config --libs $(PKGS) 2>/dev/null),-lyaml -ljansson -lxxhash -lutf8proc)
cflags = -std=c11 -D_GNU_SOURCE -Wall -Wextra -Wpedantic -MMD -MP -I. $(pkg_cflags) \
         $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-sanitize-recover=all) $(CFLAGS)
libs = $(pkg_libs) -lm -lpthread $(if $(SANITIZE),-fsanitize=$(SANITIZE))

# Sources are found, not listed: a new file in a folder is part of the build.
lib_src = $(wildcard ir/base/*.c ir/*.c ir/formats/*.c compiler/import/*.c compiler/arch/*.c compiler/passes/*.c \
          compiler/text/*.c codegen/*.c) $(filter-out compiler/main.c,$(wildcard compiler/*.c))
gen_src = $(obj)/gen/embedded.c $(obj)/gen/kernels_db.c
lib_obj = $(lib_src:%.c=$(obj)/%.o) $(gen_src:%.c=%.o)

all: $(obj)/sinter      ## build the compiler

$(obj)/sinter: $(obj)/compiler/main.o $(obj)/libsinter.a
	$(V)$(CC) $(cflags) $(LDFLAGS) $^ $(libs) -o $@
	$(V)[ $(obj) != build ] || ln -sf build/sinter sinter

$(obj)/libsinter.a: $(lib_obj)
	$(V)rm -f $@; ar rcs $@ $^

$(obj)/%.o: %.c
	@mkdir -p $(@D)
	$(V)$(CC) $(cflags) -c $< -o $@
$(obj)/gen/%.o: $(obj)/gen/%.c
	$(V)$(CC) $(cflags) -c $< -o $@

# What sinter carries inside: target descriptions, runtime sources (embedded.c), and the kernel library as the kernel reader
# saw it (kernels_db.c).  Both are made by small programs of codegen/tools.
runtime_src = $(sort $(wildcard runtime/core/*.[ch] runtime/text/*.[ch] runtime/hal/*.[ch] runtime/hal/*.awk targets/*.yaml))
kernel_src = $(sort $(wildcard runtime/kernels/*.[ch] runtime/kernels/*/*.[ch]))
$(obj)/tools/embed: codegen/tools/embed.c
	@mkdir -p $(@D)
	$(V)$(CC) -std=c11 -O1 -Wall -Wextra $< -o $@
$(obj)/gen/embedded.c: $(obj)/tools/embed $(runtime_src)
	@mkdir -p $(@D)
	$(V)$(obj)/tools/embed $(runtime_src) > $@.tmp && mv $@.tmp $@
$(obj)/tools/kernel_reader: codegen/tools/kernel_reader.c
	@mkdir -p $(@D)
	$(V)$(CC) -std=c11 -D_GNU_SOURCE -O1 -g -Wall -Wextra -I$(llvm_include) $< -o $@ \
	    -L$(llvm_lib) -Wl,-rpath,$(llvm_lib) -lclang
$(obj)/gen/kernels_db.c: $(obj)/tools/kernel_reader $(kernel_src)
	@mkdir -p $(@D)
	$(V)$(obj)/tools/kernel_reader runtime/kernels > $@.tmp && mv $@.tmp $@

# Tests: every tests/unit/test_*.c is one cmocka program.
unit_bin = $(patsubst tests/unit/%.c,$(obj)/tests/unit/%,$(wildcard tests/unit/test_*.c))
$(obj)/tests/unit/%: tests/unit/%.c $(obj)/libsinter.a
	@mkdir -p $(@D)
	$(V)$(CC) $(cflags) $(LDFLAGS) $< $(obj)/libsinter.a $(libs) -lcmocka -o $@

include $(wildcard tests/*/tests.mk)

# Suites of tests are targets; tests/suites.txt says which belong to what.  (make runs a line with its own name in it even under -n.)
this_make := $(MAKE)
run_suites = MAKE='$(this_make)' obj=$(obj) tests/run_suites.sh
demo:                   ## install what is missing, get a model, compile it, let it talk
	@MAKE='$(this_make)' tests/demo.sh $(obj)
test:                   ## install what is missing, then every test that takes no longer than a few minutes
	@tests/setup.sh test
	@$(run_suites) check test
check:                  ## the fast tests, under a minute
	@$(run_suites) check
check-asan:             ## the same under AddressSanitizer and UBSan
	$(V)$(MAKE) --no-print-directory check obj=build-asan SANITIZE=address,undefined

# Speed beside llama.cpp's, on the same files (tests/bench/bench.py; docs/benchmarks.md).  FLAGS: more words for `sinter build`;
# BUSY: the share of the machine, in percent, that others may take in a round; BENCH_JSON=1: figures, not a table.
THREADS ?= 1,2
ROUNDS ?= 7
BUSY ?= 4
FLAGS ?=
bench: $(obj)/sinter $(obj)/tests/bench/measure    ## speed beside llama.cpp  (MODELS="smollm2-q4_1 ..." THREADS=1,2 ROUNDS=7)
	$(V)tests/bench/bench.py --sinter $(obj)/sinter --measure $(obj)/tests/bench/measure --work $(obj)/bench \
	    --models "$(if $(filter command environment,$(origin MODELS)),$(MODELS))" --threads "$(THREADS)" --rounds $(ROUNDS) --busy $(BUSY) --flags "$(FLAGS)" \
	    $(if $(BENCH_JSON),--json) $(if $(BENCH_DOCS),--docs docs/benchmarks.md)
bench-ideas: $(obj)/sinter      ## what each idea is worth, on SmolLM2 (BENCH_DOCS=1: into docs/performance.md)
	$(V)model=$$(tests/fetch.sh --cached smollm2) || { echo "bench: SmolLM2 is not in the cache (tests/fetch.sh smollm2)"; exit 1; }; \
	tests/bench/ideas.py --sinter $(obj)/sinter --work $(obj)/bench --model "$$model" --rounds $(ROUNDS) --busy $(BUSY) \
	    $(if $(BENCH_DOCS),--docs docs/performance.md)
bench-docs:             ## make bench and make bench-ideas, written into docs/
	$(V)$(this_make) --no-print-directory bench BENCH_DOCS=1
	$(V)tests/bench/roofline.py docs/benchmarks.json docs/roofline.svg
	$(V)$(this_make) --no-print-directory bench-ideas BENCH_DOCS=1

REF ?= main
same-output: $(obj)/sinter      ## does every emitted byte equal what REF's sinter emits?  (REF=main)
	$(V)MAKE='$(this_make)' tests/same_output.sh $(obj) $(REF)

size: $(obj)/sinter     ## bytes of code and tables of an emitted library
	$(V)tests/size.sh $(obj)/sinter $(obj)/size

docs: docs-ops          ## write the parts of docs/ that are made from tables

install: $(obj)/sinter  ## into $(DESTDIR)$(PREFIX): sinter and its manual
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/doc/sinter
	install -m 755 $(obj)/sinter $(DESTDIR)$(PREFIX)/bin/sinter
	install -m 644 LICENSE README.md docs/*.md $(wildcard docs/*.svg) $(DESTDIR)$(PREFIX)/share/doc/sinter

clean:                  ## remove what was built
	rm -rf build build-* sinter

help:                   ## list the targets
	@cat $(MAKEFILE_LIST) | sed -n 's/^\([a-z-]*\):.*## /  \1\t/p' | expand -t 22

-include $(shell find $(obj) -name '*.d' 2>/dev/null)
.PHONY: all demo test check check-asan bench bench-ideas bench-docs same-output size docs install clean help
.DELETE_ON_ERROR:
