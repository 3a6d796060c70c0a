# Tests of the kernel library and of its reader.  check-kernels runs what this machine's CPU can run; check-kernels-qemu
# cross-compiles and runs the other ISAs in an emulator.
kt = $(obj)/tests/kernels
# Loops are written out as far as in an emitted folder (codegen/project.c): more would hide spills.
kt_tight = $(shell $(1) -Werror --param=max-completely-peeled-insns=100 -E -x c /dev/null > /dev/null 2>&1 && echo --param=max-completely-peeled-insns=100)
kt_cc = -std=gnu11 -g -O3 -ffp-contract=off -Wall -Wextra -Wpedantic -Wno-unused-function -I.
kt_san = -O1 -fsanitize=address,undefined -fno-sanitize-recover=all

kt_file_portable = portable.c
kt_file_avx2 = x86_64_v3.c
kt_file_avxvnni = x86_64_avxvnni.c
kt_file_avx512vnni = x86_64_v4.c
kt_file_amx = x86_64_amx.c
kt_file_amx_emulated = ../../tests/kernels/amx_emulated.c
kt_file_neon = aarch64.c
kt_file_dotprod = aarch64_dotprod.c
kt_flags_avx2 = -march=x86-64-v3
kt_file_i8mm = aarch64_i8mm.c
kt_file_sve = aarch64_sve.c
kt_file_simd128 = wasm32.c
kt_file_rvv = riscv64_v.c
kt_flags_avxvnni = -march=x86-64-v3 -mavxvnni
kt_flags_avx512vnni = -march=x86-64-v4 -mavx512vnni
kt_flags_amx = $(kt_flags_avx512vnni) -mamx-tile -mamx-int8
kt_flags_amx_emulated = $(kt_flags_avx512vnni)
kt_flags_dotprod = -march=armv8.2-a+dotprod
kt_flags_i8mm = -march=armv8.2-a+dotprod+i8mm
kt_flags_sve = -march=armv8.2-a+dotprod+i8mm+sve
kt_flags_simd128 = -msimd128
kt_flags_rvv = -march=rv64gcv

kt_x86 = portable avx2 avxvnni avx512vnni amx amx_emulated
kt_host = $(if $(filter x86_64,$(shell uname -m)),$(kt_x86),portable)
kt_aarch64 = portable neon dotprod i8mm sve
AARCH64_CC ?= aarch64-linux-gnu-gcc
RISCV64_CC ?= riscv64-linux-gnu-gcc
WASM32_CC ?= clang --target=wasm32-wasi
# WebAssembly is tested where a C library and something that runs it are: wasi-libc, lld and node.
kt_wasm := $(and $(wildcard /usr/include/wasm32-wasi/stdio.h),$(shell command -v wasm-ld),$(shell command -v node))
RISCV64_V_CC ?= clang --target=riscv64-linux-gnu
QEMU_AARCH64 ?= qemu-aarch64
QEMU_RISCV64 ?= qemu-riscv64
KERNEL_CCS ?= $(foreach c,gcc clang,$(if $(shell command -v $(c)),$(c)))

# What the test of a unit is compiled with: $(call kt_def,UNIT)
kt_def = -DSN_UNIT='"runtime/kernels/$(kt_file_$(1))"' -DSN_UNIT_NAME='"$(1)"' -DSN_TABLE='"$(kt)/$(1).inc"' $(kt_flags_$(1))

$(kt)/list: $(obj)/tools/kernel_reader $(kernel_src)
	@mkdir -p $(@D)
	$(V)$(obj)/tools/kernel_reader runtime/kernels --list > $@.tmp && mv $@.tmp $@
$(kt)/%.inc: $(kt)/list tests/kernels/table.awk
	$(V)awk -v unit=$* -f tests/kernels/table.awk $< > $@.tmp && test -s $@.tmp && mv $@.tmp $@
# AMX's own kernels with its instructions in plain C, on every machine with AVX-512 VNNI.
$(kt)/amx_emulated.inc: $(kt)/amx.inc tests/kernels/amx_emulated.c
	$(V)grep '"amx"' $< > $@

# What carries out AMX's instructions where they trap, for programs as they are compiled.
$(kt)/amx_traps.so: tests/kernels/amx_traps.c
	@mkdir -p $(@D)
	$(V)$(CC) -std=c11 -O2 -Wall -Wextra -Wpedantic -shared -fPIC $< -o $@

$(kt)/main.o: tests/kernels/main.c runtime/core/tiles.c
	@mkdir -p $(@D)
	$(V)$(CC) -std=c11 -D_GNU_SOURCE -I. -O1 -Wall -Wextra -Wpedantic -c $< -o $@
$(kt)/test-%.o: $(kt)/%.inc tests/kernels/test_kernels.c tests/kernels/layouts.h $(kernel_src)
	$(V)$(CC) $(kt_cc) $(call kt_tight,$(CC)) $(call kt_def,$*) -c tests/kernels/test_kernels.c -o $@
$(kt)/san-%.o: $(kt)/%.inc tests/kernels/test_kernels.c tests/kernels/layouts.h $(kernel_src)
	$(V)$(CC) $(kt_cc) $(kt_san) $(call kt_def,$*) -c tests/kernels/test_kernels.c -o $@
$(kt)/test-%: $(kt)/test-%.o $(kt)/main.o
	$(V)$(CC) $^ -lm -o $@
$(kt)/san-%: $(kt)/san-%.o $(kt)/main.o
	$(V)$(CC) $(kt_san) $^ -lm -o $@
$(kt)/aarch64-%: $(kt)/%.inc tests/kernels/test_kernels.c tests/kernels/layouts.h tests/kernels/main.c $(kernel_src)
	$(V)$(AARCH64_CC) $(kt_cc) $(call kt_def,$*) -c tests/kernels/test_kernels.c -o $@.o
	$(V)$(AARCH64_CC) -static $@.o tests/kernels/main.c -lm -o $@
$(kt)/riscv64-%: $(kt)/%.inc tests/kernels/test_kernels.c tests/kernels/layouts.h tests/kernels/main.c $(kernel_src)
	$(V)$(RISCV64_CC) $(kt_cc) $(call kt_def,$*) -static tests/kernels/test_kernels.c tests/kernels/main.c -lm -o $@
$(kt)/riscv64-rvv: $(kt)/rvv.inc tests/kernels/test_kernels.c tests/kernels/layouts.h tests/kernels/main.c $(kernel_src)
	$(V)$(RISCV64_V_CC) $(kt_cc) $(call kt_def,rvv) -static tests/kernels/test_kernels.c tests/kernels/main.c -lm -o $@
$(kt)/wasm32-simd128: $(kt)/simd128.inc tests/kernels/test_kernels.c tests/kernels/layouts.h tests/kernels/main.c $(kernel_src)
	$(V)$(WASM32_CC) $(kt_cc) $(call kt_def,simd128) tests/kernels/test_kernels.c tests/kernels/main.c -lm -o $@

# The reader's tables: closure, search, and that what is emitted compiles by itself, nothing in it unused.
$(kt)/test-reader: tests/kernels/test_reader.c $(obj)/gen/kernels_db.o $(obj)/codegen/kernels.o \
                   $(patsubst %.c,$(obj)/%.o,$(wildcard ir/base/*.c))
	@mkdir -p $(@D)
	$(V)$(CC) $(cflags) $(LDFLAGS) $(filter %.c %.o,$^) $(libs) -lcmocka -o $@
$(kt)/emitted.ok: $(kt)/test-reader tests/kernels/emitted.sh
	$(V)rm -rf $(kt)/emitted && mkdir -p $(kt)/emitted && $< --write $(kt)/emitted
	$(V)sh tests/kernels/emitted.sh $(kt)/emitted $(KERNEL_CCS) && touch $@

check-kernels: $(if $(filter amx,$(kt_host)),$(kt)/amx_traps.so) $(kt_host:%=$(kt)/test-%) $(kt_host:%=$(kt)/san-%) $(kt)/test-reader $(kt)/emitted.ok   ## kernels of this machine's ISAs, against their twins
	$(V)$(kt)/test-reader
	$(V)sh tests/kernels/broken.sh $(obj)/tools/kernel_reader $(kt)/broken
	$(V)for u in $(kt_host); do $(kt)/test-$$u && $(kt)/san-$$u || exit 1; done
	$(V)$(if $(filter amx,$(kt_host)),AMX_TRAPS=1 LD_PRELOAD=$(abspath $(kt))/amx_traps.so $(kt)/test-amx)
	$(V)sh tests/kernels/spills.sh $(filter-out $(kt)/test-portable.o,$(kt_host:%=$(kt)/test-%.o))
	$(V)$(if $(filter amx,$(kt_host)),sh tests/kernels/amx.sh $(kt)/test-amx.o)

# Under RVV, what an instruction may leave undefined (lanes past the end, lanes without their mask) becomes ones.
check-kernels-qemu: $(kt_aarch64:%=$(kt)/aarch64-%) $(kt)/riscv64-portable $(kt)/riscv64-rvv $(if $(kt_wasm),$(kt)/wasm32-simd128)   ## kernels of the other ISAs, under QEMU
	$(V)for u in $(kt_aarch64); do $(QEMU_AARCH64) -cpu max $(kt)/aarch64-$$u || exit 1; done
	$(V)for vq in 1 2 3 8; do $(QEMU_AARCH64) -cpu max,sve-max-vq=$$vq,sve-default-vector-length=-1 $(kt)/aarch64-sve || exit 1; done
	$(V)$(QEMU_AARCH64) -cpu cortex-a53 $(kt)/aarch64-neon
	$(V)$(QEMU_AARCH64) -cpu cortex-a53 $(kt)/aarch64-dotprod | grep 'skipped, this CPU lacks asimddp'
	$(V)$(QEMU_RISCV64) $(kt)/riscv64-portable
	$(V)$(if $(kt_wasm),node tests/wasi.mjs $(kt)/wasm32-simd128,echo "kernels simd128: 0 passed, 0 failed, 1 skipped (wasi-libc, lld or node is missing)")
	$(V)for vlen in 128 256 512; do $(QEMU_RISCV64) -cpu rv64,v=true,vlen=$$vlen,vext_spec=v1.0,rvv_ta_all_1s=true,rvv_ma_all_1s=true $(kt)/riscv64-rvv || exit 1; done

$(kt)/bench-%: $(kt)/%.inc tests/kernels/bench_kernels.c tests/kernels/layouts.h $(kernel_src)
	$(V)$(CC) $(kt_cc) $(call kt_tight,$(CC)) $(call kt_def,$*) tests/kernels/bench_kernels.c -o $@
bench-kernels: $(kt_host:%=$(kt)/bench-%)      ## rates of the dot and attention kernels from the second-level cache
	$(V)for u in $(kt_host); do $(kt)/bench-$$u | grep _$$u; done

.PHONY: check-kernels check-kernels-qemu bench-kernels
.PRECIOUS: $(kt)/%.inc $(kt)/test-%.o $(kt)/san-%.o
