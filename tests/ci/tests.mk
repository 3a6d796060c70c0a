# Tests of the project itself (what a newcomer types), and the longer forms of other suites, for .ci/run.
ci_make = $(MAKE) --no-print-directory -j$(shell getconf _NPROCESSORS_ONLN)

check-readme: $(obj)/sinter     ## the README: its program builds and talks, its targets and links exist
	$(V)tests/ci/readme.sh $(obj)

check-demo:                     ## make demo, without a network, and as it is where SmolLM2 is in the cache
	$(V)MAKE='$(this_make)' tests/ci/demo.sh $(obj)

check-size: $(obj)/sinter       ## an emitted library has at most 96 KB of code and tables
	$(V)tests/size.sh $(obj)/sinter $(obj)/size
	@echo "1 passed, 0 failed, 0 skipped"

# Every program of the tests that is not built by another build folder's rules.
tests-bin: $(unit_bin) $(models_bin) $(fuzz_names:%=$(obj)/replay/%) $(obj)/tests/cli/interp_logits $(obj)/tests/text/text_tool

check-gcc check-clang: check-%: ## sinter and its tests build without a warning
	$(V)$(ci_make) obj=build-$* CC=$* CFLAGS='-g -O2 -Werror' all tests-bin
	$(V)$(MAKE) --no-print-directory obj=build-$* CC=$* CFLAGS='-g -O2 -Werror' check-unit

check-models-full: $(obj)/sinter $(models_bin)      ## every recorded case on every target
	$(V)FULL=1 tests/models/run.sh $(obj)

check-fuzz-long:                ## every fuzz target for FUZZ_SECONDS (30), two at a time
	$(V)$(MAKE) --no-print-directory -j2 obj=build-fuzz CC=$(FUZZ_CC) CFLAGS='-g -O1' \
	    SANITIZE=fuzzer-no-link,address,undefined $(fuzz_names:%=fuzz-%)
	@echo "$(words $(fuzz_names)) passed, 0 failed, 0 skipped"

.PHONY: check-readme check-demo check-size tests-bin check-gcc check-clang check-models-full check-fuzz-long
