# sinter against llama.cpp, in turn, on the same files (tests/bench/bench.py; docs/benchmarks.md).
$(obj)/tests/bench/measure: tests/bench/measure.c $(obj)/libsinter.a
	@mkdir -p $(@D)
	$(V)$(CC) $(cflags) $(LDFLAGS) $< $(obj)/libsinter.a $(libs) -o $@
