# The runtime: what is copied into an emitted folder, with a toy model in the place of a real one.
rt = $(obj)/tests/runtime
rt_core = runtime/core/weights.c runtime/core/xxh64.c runtime/core/cpu.c runtime/core/session.c
rt_toy = tests/runtime/toy.c $(rt_core)
rt_test = tests/runtime/test_runtime.c $(rt_toy)
rt_text = runtime/text/tokenize.c runtime/text/sample.c runtime/text/chat.c
rt_cc = $(CC) -std=c11 -D_GNU_SOURCE -g -Wall -Wextra -Wpedantic -I. -I$(rt)
rt_dep = $(wildcard runtime/core/* runtime/text/*) $(wildcard tests/runtime/*.[ch]) $(rt)/NAME.weights
rt_asan = -O1 -fsanitize=address,undefined -fno-sanitize-recover=all
rt_libs = -lxxhash -lcmocka

$(rt)/mktoy: tests/runtime/mktoy.c tests/runtime/toy.h runtime/core/weights_format.h
	@mkdir -p $(@D)
	$(V)$(rt_cc) $< -lxxhash -o $@
$(rt)/NAME.weights: $(rt)/mktoy
	$(V)$< $(rt)

$(rt)/test: $(rt_dep)
	$(V)$(rt_cc) -O2 $(rt_test) runtime/core/threads.c $(rt_libs) -lpthread -o $@
$(rt)/test-asan: $(rt_dep)
	$(V)$(rt_cc) $(rt_asan) $(rt_test) runtime/core/threads.c $(rt_libs) -lpthread -o $@
$(rt)/test-tsan: $(rt_dep)
	$(V)$(rt_cc) -O1 -fsanitize=thread $(rt_test) runtime/core/threads.c $(rt_libs) -lpthread -o $@
$(rt)/test-one: $(rt_dep)
	$(V)$(rt_cc) $(rt_asan) -DNAME_THREADS=0 $(rt_test) runtime/core/threads_one.c $(rt_libs) -o $@
$(rt)/NAME: $(rt_dep)
	$(V)$(rt_cc) $(rt_asan) $(rt_toy) runtime/core/threads.c runtime/core/main.c -lpthread -o $@
$(rt)/NAME-text: $(rt_dep)
	$(V)$(rt_cc) $(rt_asan) -DNAME_HAS_TEXT=1 $(rt_toy) $(rt_text) runtime/core/threads.c runtime/core/main.c -lpthread -o $@
$(rt)/NAME-trace: $(rt_dep)
	$(V)$(rt_cc) $(rt_asan) -DNAME_TRACE $(rt_toy) runtime/core/threads.c runtime/core/main.c -lpthread -o $@
$(rt)/NAME-dream: $(rt_dep)
	$(V)$(rt_cc) $(rt_asan) -DTOY_DREAM $(rt_toy) runtime/core/threads.c runtime/core/main.c -lpthread -o $@

check-runtime: $(rt)/test $(rt)/test-asan $(rt)/test-tsan $(rt)/test-one $(rt)/NAME $(rt)/NAME-text $(rt)/NAME-trace $(rt)/NAME-dream   ## the runtime with a toy model: threads, sessions, weights, program
	$(V)$(rt)/test $(rt)
	$(V)$(rt)/test-asan $(rt)
	$(V)$(rt)/test-tsan $(rt)
	$(V)$(rt)/test-one $(rt)
	$(V)sh tests/runtime/program.sh $(rt)

.PHONY: check-runtime

check-samples: $(obj)/sinter    ## the samples build against an emitted folder and run
	$(V)sh tests/runtime/samples.sh $(obj)/sinter $(rt)/samples samples
.PHONY: check-samples
