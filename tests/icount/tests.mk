# No test: figures for docs/targets.md.
bench-instructions: $(obj)/sinter $(obj)/tests/models/mkmodel      ## instructions of a token in a layer, on targets under QEMU
	$(V)tests/icount/icount.sh $(obj)

.PHONY: bench-instructions
