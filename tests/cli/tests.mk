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

check-oom: $(obj)/tests/cli/oom $(obj)/tests/models/mkmodel    ## a build whose n-th allocation fails, for n until it succeeds
	$(V)d=$$(mktemp -d) && $(obj)/tests/models/mkmodel --cases tests/models/cases.json tied-q8_0 $$d/m.gguf && \
	    $(obj)/tests/cli/oom $$d/m.gguf $$d/out; s=$$?; rm -rf $$d; exit $$s

.PHONY: check-cli check-interp check-oom
