# sinter: build, test, demo.  `make help` lists the targets.
V ?= @
obj ?= build
CC ?= cc
CFLAGS ?= -g -O2          # the caller's
PREFIX ?= /usr/local
PKGS = yaml-0.1 jansson libxxhash libutf8proc
LLVM_CONFIG ?= $(firstword $(wildcard /usr/lib/llvm-19/bin/llvm-config /usr/lib/llvm-16/bin/llvm-config /usr/lib/llvm-14/bin/llvm-config) llvm-config)

pkg_cflags := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
pkg_libs := $(shell pkg-config --libs $(PKGS) 2>/dev/null)
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
runtime_src = $(sort $(wildcard runtime/core/*.[ch] runtime/text/*.[ch] runtime/hal/*.[ch] targets/*.yaml))
kernel_src = $(sort $(wildcard runtime/kernels/*.[ch] runtime/kernels/*/*.[ch]))
$(obj)/tools/embed: codegen/tools/embed.c
	@mkdir -p $(@D)
	$(V)$(CC) -std=c11 -O1 -Wall -Wextra $< -o $@
$(obj)/gen/embedded.c: $(obj)/tools/embed $(runtime_src)
	@mkdir -p $(@D)
	$(V)$(obj)/tools/embed $(runtime_src) > $@.tmp && mv $@.tmp $@
$(obj)/tools/kernel_reader: codegen/tools/kernel_reader.c
	@mkdir -p $(@D)
	$(V)$(CC) -std=c11 -D_GNU_SOURCE -O1 -g -Wall -Wextra -I$(shell $(LLVM_CONFIG) --includedir) $< -o $@ \
	    -L$(shell $(LLVM_CONFIG) --libdir) -Wl,-rpath,$(shell $(LLVM_CONFIG) --libdir) -lclang
$(obj)/gen/kernels_db.c: $(obj)/tools/kernel_reader $(kernel_src)
	@mkdir -p $(@D)
	$(V)$(obj)/tools/kernel_reader runtime/kernels > $@.tmp && mv $@.tmp $@

# Tests: every tests/unit/test_*.c is one cmocka program.
unit_bin = $(patsubst tests/unit/%.c,$(obj)/tests/unit/%,$(wildcard tests/unit/test_*.c))
$(obj)/tests/unit/%: tests/unit/%.c $(obj)/libsinter.a
	@mkdir -p $(@D)
	$(V)$(CC) $(cflags) $(LDFLAGS) $< $(obj)/libsinter.a $(libs) -lcmocka -o $@

include $(wildcard tests/*/tests.mk)

clean:                  ## remove what was built
	rm -rf build build-* sinter

-include $(shell find $(obj) -name '*.d' 2>/dev/null)
.PHONY: all clean help
.DELETE_ON_ERROR:
