# The runtime: what is copied into an emitted folder, with a toy model in the place of a real one.
rt = $(obj)/tests/runtime
rt_core = runtime/core/weights.c runtime/hal/weights_file.c runtime/core/xxh64.c runtime/core/cpu.c runtime/core/session.c runtime/text/lookup.c
rt_toy = tests/runtime/toy.c $(rt_core)
rt_threads = runtime/core/threads.c runtime/core/pace.c
rt_test = tests/runtime/test_runtime.c $(rt_toy)
rt_text = runtime/text/words_bpe.c runtime/text/tokenize.c runtime/text/sample.c runtime/text/chat.c
rt_cc = $(CC) -std=c11 -D_GNU_SOURCE -g -Wall -Wextra -Wpedantic -I. -I$(rt)
rt_dep = $(wildcard runtime/core/* runtime/text/* runtime/hal/*) $(wildcard tests/runtime/*.[ch]) $(rt)/NAME.weights
rt_asan = -O1 -fsanitize=address,undefined -fno-sanitize-recover=all
rt_libs = -lxxhash -lcmocka

$(rt)/mktoy: tests/runtime/mktoy.c tests/runtime/toy.h runtime/core/weights_format.h
	@mkdir -p $(@D)
	$(V)$(rt_cc) $< -lxxhash -o $@
$(rt)/NAME.weights: $(rt)/mktoy
	$(V)$< $(rt)

$(rt)/test: $(rt_dep)
	$(V)$(rt_cc) -O2 $(rt_test) $(rt_threads) $(rt_libs) -lpthread -o $@
$(rt)/test-asan: $(rt_dep)
	$(V)$(rt_cc) $(rt_asan) $(rt_test) $(rt_threads) $(rt_libs) -lpthread -o $@
$(rt)/test-tsan: $(rt_dep)
	$(V)$(rt_cc) -O1 -fsanitize=thread $(rt_test) $(rt_threads) $(rt_libs) -lpthread -o $@
$(rt)/test-pace: $(rt_dep)
	$(V)$(rt_cc) $(rt_asan) tests/runtime/test_pace.c runtime/core/pace.c -lcmocka -o $@
$(rt)/test-one: $(rt_dep)
	$(V)$(rt_cc) $(rt_asan) -DNAME_THREADS=0 $(rt_test) runtime/core/threads_one.c $(rt_libs) -o $@
$(rt)/NAME: $(rt_dep)
	$(V)$(rt_cc) $(rt_asan) $(rt_toy) $(rt_threads) runtime/core/main.c -lpthread -o $@
$(rt)/NAME-text: $(rt_dep)
	$(V)$(rt_cc) $(rt_asan) -DNAME_HAS_TEXT=1 $(rt_toy) $(rt_text) $(rt_threads) runtime/core/main.c -lpthread -o $@
$(rt)/NAME-trace: $(rt_dep)
	$(V)$(rt_cc) $(rt_asan) -DNAME_TRACE $(rt_toy) $(rt_threads) runtime/core/main.c -lpthread -o $@
$(rt)/NAME-dream: $(rt_dep)
	$(V)$(rt_cc) $(rt_asan) -DTOY_DREAM $(rt_toy) $(rt_threads) runtime/core/main.c -lpthread -o $@

check-runtime: $(rt)/test $(rt)/test-asan $(rt)/test-tsan $(rt)/test-pace $(rt)/test-one $(rt)/NAME $(rt)/NAME-text $(rt)/NAME-trace $(rt)/NAME-dream   ## the runtime with a toy model: threads, sessions, weights, program
	$(V)$(rt)/test $(rt)
	$(V)$(rt)/test-asan $(rt)
	$(V)$(rt)/test-tsan $(rt)
	$(V)$(rt)/test-pace
	$(V)$(rt)/test-one $(rt)
	$(V)sh tests/runtime/program.sh $(rt)
	$(V)for text in 0 1; do for model in 0 1; do for threads in 0 1; do \
	    $(rt_cc) -O2 -Werror -DNAME_HAS_TEXT=$$text -DNAME_HAS_MODEL=$$model -DNAME_THREADS=$$threads -c runtime/core/main.c -o $(rt)/main.o || exit 1; \
	    done; done; done

.PHONY: check-runtime

check-samples: $(obj)/sinter    ## the samples build against an emitted folder and run
	$(V)sh tests/runtime/samples.sh $(obj)/sinter $(rt)/samples samples
.PHONY: check-samples

# The toy's program on other machines: the same ids as here, with one and with several threads.
$(rt)/NAME-aarch64 $(rt)/NAME-riscv64: $(rt)/NAME-%: $(rt_dep)
	$(V)$*-linux-gnu-gcc -std=c11 -D_GNU_SOURCE -O2 -static -I. -I$(rt) $(rt_toy) $(rt_threads) runtime/core/main.c -lpthread -o $@
check-runtime-qemu: $(rt)/NAME $(rt)/NAME-aarch64 $(rt)/NAME-riscv64   ## the runtime on aarch64 and riscv64, under QEMU
	$(V)$(rt)/NAME --ids 1,2,3 -n 20 --print-ids >$(rt)/ids.here
	$(V)n=0; for m in aarch64 riscv64; do for j in 1 2 7; do \
	    qemu-$$m $(rt)/NAME-$$m --weights $(rt)/NAME.weights --check-weights --ids 1,2,3 -n 20 --print-ids -j $$j >$(rt)/ids.there 2>/dev/null && \
	    cmp $(rt)/ids.here $(rt)/ids.there || { echo "FAILED: $$m -j $$j"; exit 1; }; n=$$((n + 1)); done; done; \
	    echo "$$n passed, 0 failed, 0 skipped"
.PHONY: check-runtime-qemu
