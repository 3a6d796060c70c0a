# Emitted folders: what a compiler, a linker, a hostile model and another CPU make of them.  run.sh says what is in each part.
emitted_bin = $(addprefix $(obj)/tests/emitted/,hostile compare)

$(emitted_bin): $(obj)/tests/emitted/%: tests/emitted/%.c $(obj)/libsinter.a
	@mkdir -p $(@D)
	$(V)$(CC) $(cflags) $(LDFLAGS) $< $(obj)/libsinter.a $(libs) -o $@

check-emitted: $(obj)/sinter $(emitted_bin)    ## emitted folders: names, warnings, same bytes, same logits, hostile models, sets
	$(V)tests/emitted/run.sh $(obj) names hostile lookup head sets folder numbers same exact

check-emitted-slow: $(obj)/sinter $(emitted_bin)    ## emitted folders under sanitizers, for other CPUs under QEMU, all payloads
	$(V)tests/emitted/run.sh $(obj) sanitize all-hostile cross

.PHONY: check-emitted check-emitted-slow
