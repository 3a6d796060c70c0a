# Firmware: folders for microcontrollers, built and run under QEMU.
$(obj)/tests/firmware/mkboard: tests/firmware/mkboard.c $(obj)/libsinter.a
	@mkdir -p $(@D)
	$(V)$(CC) $(cflags) $(LDFLAGS) $< $(obj)/libsinter.a $(libs) -o $@

$(obj)/tests/firmware/icount.so: tests/icount/icount.c
	@mkdir -p $(@D)
	$(V)$(CC) -O2 -Wall -Wextra -shared -fPIC -fvisibility=hidden $< -o $@

$(obj)/tests/firmware/kernel_cases: tests/firmware/kernel_cases.c tests/firmware/kernel_cases.h $(obj)/libsinter.a $(kernel_src)
	@mkdir -p $(@D)
	$(V)$(CC) $(cflags) -Wno-unused-function $(LDFLAGS) $< $(obj)/libsinter.a $(libs) -o $@

firmware_bin = $(obj)/sinter $(obj)/tests/firmware/mkboard $(obj)/tests/firmware/icount.so $(obj)/tests/nets/near
check-firmware: $(firmware_bin)      ## firmware for Cortex-M4, M55 and RV32, under QEMU
	$(V)tests/firmware/start.sh $(obj)
	$(V)tests/firmware/nets.sh $(obj)
	$(V)tests/firmware/place.sh $(obj)
	$(V)tests/firmware/tokens.sh $(obj)

check-firmware-slow: $(firmware_bin) ## firmware for every board, gcc and clang
	$(V)tests/firmware/start.sh $(obj) --all
	$(V)tests/firmware/nets.sh $(obj) --all
	$(V)tests/firmware/projects.sh $(obj)
	$(V)tests/firmware/tokens.sh $(obj) --all

mcu_kernels_bin = $(firmware_bin) $(obj)/tests/firmware/kernel_cases $(obj)/tools/kernel_reader
check-kernels-mcu: $(mcu_kernels_bin) ## kernels for microcontrollers against plain C, under QEMU
	$(V)tests/firmware/kernels.sh $(obj)

check-kernels-mcu-slow: $(mcu_kernels_bin) ## the same for every core, gcc and clang
	$(V)tests/firmware/kernels.sh $(obj) --all

.PHONY: check-firmware check-firmware-slow check-kernels-mcu check-kernels-mcu-slow

# No test: figures for docs/benchmarks-mcu.md.
MCU_MODELS ?= $(or $(SINTER_DATA),../shared)/models/mlperf-tiny
bench-mcu: $(firmware_bin)           ## networks on microcontrollers: instructions, RAM, flash (BENCH_DOCS=1: into docs/benchmarks-mcu.md)
	$(V)tests/bench/mcu.py --sinter $(obj)/sinter --count tests/firmware/count.sh --icount $(obj)/tests/firmware/icount.so --models $(MCU_MODELS) \
	    --work $(obj)/bench/mcu --flags "$(FLAGS)" $(if $(BENCH_DOCS),--docs docs/benchmarks-mcu.md)

.PHONY: bench-mcu
