# sinter against llama.cpp, in turn, on the same files (tests/bench/bench.py; docs/benchmarks.md).
$(obj)/tests/bench/measure: tests/bench/measure.c $(obj)/libsinter.a
	@mkdir -p $(@D)
	$(V)$(CC) $(cflags) $(LDFLAGS) $< $(obj)/libsinter.a $(libs) -o $@

check-bench: $(obj)/sinter $(obj)/tests/bench/measure   ## make bench itself, beside a llama.cpp of constant speed
	$(V)tests/bench/test.sh $(obj)

.PHONY: check-bench
