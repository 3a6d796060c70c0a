# Golden tests: IR text in, IR text or a message out (run.sh says how they are written).
check-golden: $(obj)/sinter         ## every tests/golden/**/*.sir and the examples of docs/ir.md
	$(V)tests/golden/run.sh $(obj)/sinter

bless: $(obj)/sinter                ## rewrite the golden tests' expectations; read the diff like code
	$(V)tests/golden/run.sh --bless $(obj)/sinter
	$(V)tests/golden/emitted.sh $(obj)/sinter bless

check-written: $(obj)/sinter        ## the C written for the sample model is the C that was read
	$(V)tests/golden/emitted.sh $(obj)/sinter

# The ops' part of docs/ir.md is made from ir/ops.def.
docs-ops: $(obj)/tools/op_docs      ## write the table of ops into docs/ir.md
	$(V)$< > $(obj)/ops.md
	$(V)awk -v ops=$(obj)/ops.md '/^<!-- ops end -->/ { on = 0 } !on { print } \
	    /^<!-- ops begin/ { on = 1; while ((getline line < ops) > 0) print line }' docs/ir.md > $(obj)/ir.md
	$(V)cmp -s $(obj)/ir.md docs/ir.md || cp $(obj)/ir.md docs/ir.md

check-docs-ops: $(obj)/tools/op_docs
	$(V)$< > $(obj)/ops.md
	$(V)sed -n '/^<!-- ops begin/,/^<!-- ops end/p' docs/ir.md | sed '1d;$$d' | diff -u - $(obj)/ops.md || \
	    { echo "docs/ir.md is not what ir/ops.def says (make docs-ops)"; exit 1; }

check-golden: check-docs-ops

$(obj)/tools/op_docs: tests/golden/op_docs.c ir/ops.def
	@mkdir -p $(@D)
	$(V)$(CC) -std=c11 -O1 -Wall -Wextra -I. $< -o $@

.PHONY: check-golden check-written bless docs-ops check-docs-ops
