# The command line as a user meets it, and the reference interpreter against recorded truth.
$(obj)/tests/cli/interp_logits: tests/cli/interp_logits.c $(obj)/libsinter.a
	@mkdir -p $(@D)
	$(V)$(CC) $(cflags) $(LDFLAGS) $< $(obj)/libsinter.a $(libs) -o $@

$(obj)/tests/cli/oom: tests/cli/oom.c $(obj)/libsinter.a
	@mkdir -p $(@D)
	$(V)$(CC) $(cflags) $(LDFLAGS) $< $(obj)/libsinter.a $(libs) -o $@

check-cli: $(obj)/sinter $(obj)/tests/models/mkmodel    ## usage errors, exit codes, help, JSON, sinter.yaml, depfiles, interrupts
	$(V)tests/cli/cli.sh $(obj)

check-interp: $(obj)/tests/cli/interp_logits $(obj)/tests/models/mkmodel $(obj)/tests/models/check_logits    ## the interpreter against recorded logits
	$(V)tests/cli/interp.sh $(obj)

# Memory runs out at every place of a build (oom.c), under AddressSanitizer and UBSan.  Above OOM_MOST places: at so many of them,
# others after every commit.
OOM_MOST ?= 2000
OOM_SEED ?= $(shell git rev-list --count HEAD 2>/dev/null || echo 0)

check-oom:      ## a build whose n-th allocation fails, for n until it succeeds
	$(V)$(MAKE) --no-print-directory -j2 obj=build-asan SANITIZE=address,undefined run-oom
run-oom: $(obj)/tests/cli/oom
	$(V)rm -rf $(obj)/tests/cli/oom.work
	$(V)$< --most $(OOM_MOST) --seed $(OOM_SEED) samples/model/story.gguf $(obj)/tests/cli/oom.work

.PHONY: check-cli check-interp check-oom run-oom
