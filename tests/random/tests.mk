# Random Modules through passes and the C writer, against the interpreter.  The seeds move on with every commit.
RANDOM_SEED ?= $(shell git rev-list --count HEAD 2>/dev/null || echo 1)
RANDOM_N ?= 8

$(obj)/tests/random/random_c: tests/random/random_c.c tests/random_module.h $(obj)/libsinter.a
	@mkdir -p $(@D)
	$(V)$(CC) $(cflags) $(LDFLAGS) $< $(obj)/libsinter.a $(libs) -o $@

check-random: $(obj)/tests/random/random_c      ## random Modules through the C writer (RANDOM_SEED, RANDOM_N)
	$(V)rm -rf $(obj)/tests/random/out
	$(V)$(obj)/tests/random/random_c $(obj)/tests/random/out $(RANDOM_SEED) $(RANDOM_N)

.PHONY: check-random
