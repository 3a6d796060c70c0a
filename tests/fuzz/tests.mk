# Fuzzing.  Every tests/fuzz/fuzz_NAME.c is a target for libFuzzer with seeds (and past findings) in tests/fuzz/corpus/NAME.
# `fuzz` runs each for FUZZ_SECONDS; what it finds on the way is kept in build-fuzz/corpus, a finding in build-fuzz/NAME-crash-*.
# `check-fuzz` runs the seeds alone, with any compiler.
FUZZ_CC ?= clang
FUZZ_SECONDS ?= 30
fuzz_names = $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))

fuzz:                   ## run every fuzz target for FUZZ_SECONDS (30)
	$(V)$(MAKE) --no-print-directory obj=build-fuzz CC=$(FUZZ_CC) CFLAGS='-g -O1' \
	    SANITIZE=fuzzer-no-link,address,undefined $(fuzz_names:%=fuzz-%)

$(obj)/fuzz/%: tests/fuzz/fuzz_%.c $(obj)/libsinter.a
	@mkdir -p $(@D)
	$(V)$(CC) $(cflags) $< $(obj)/libsinter.a $(libs) -fsanitize=fuzzer -o $@

$(fuzz_names:%=fuzz-%): fuzz-%: $(obj)/fuzz/%
	@mkdir -p $(obj)/corpus/$* tests/fuzz/corpus/$*
	$(V)$< -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=2048 -verbosity=0 -print_final_stats=1 \
	    -artifact_prefix=$(obj)/$*- $(obj)/corpus/$* tests/fuzz/corpus/$*

$(obj)/replay/%: tests/fuzz/fuzz_%.c tests/fuzz/replay.c $(obj)/libsinter.a
	@mkdir -p $(@D)
	$(V)$(CC) $(cflags) $(LDFLAGS) $< tests/fuzz/replay.c $(obj)/libsinter.a $(libs) -o $@

check-fuzz: $(fuzz_names:%=$(obj)/replay/%)    ## every fuzz target on its seeds and on what was once found
	$(V)for n in $(fuzz_names); do $(obj)/replay/$$n tests/fuzz/corpus/$$n || exit 1; done

.PHONY: fuzz check-fuzz $(fuzz_names:%=fuzz-%)
