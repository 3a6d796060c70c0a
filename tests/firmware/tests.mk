# Firmware: folders for microcontrollers, built and run under QEMU.
$(obj)/tests/firmware/mkboard: tests/firmware/mkboard.c $(obj)/libsinter.a
	@mkdir -p $(@D)
	$(V)$(CC) $(cflags) $(LDFLAGS) $< $(obj)/libsinter.a $(libs) -o $@

$(obj)/tests/firmware/icount.so: tests/icount/icount.c
	@mkdir -p $(@D)
	$(V)$(CC) -O2 -Wall -Wextra -shared -fPIC -fvisibility=hidden $< -o $@

firmware_bin = $(obj)/sinter $(obj)/tests/firmware/mkboard $(obj)/tests/firmware/icount.so
check-firmware: $(firmware_bin)      ## firmware for Cortex-M4, M55 and RV32, under QEMU
	$(V)tests/firmware/start.sh $(obj)
	$(V)tests/firmware/tokens.sh $(obj)

check-firmware-slow: $(firmware_bin) ## firmware for every board, gcc and clang
	$(V)tests/firmware/start.sh $(obj) --all
	$(V)tests/firmware/tokens.sh $(obj) --all

.PHONY: check-firmware check-firmware-slow
