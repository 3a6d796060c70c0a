# The commands that README.md and docs/ show are run (run.sh says how blocks are marked).
check-docs: $(obj)/sinter       ## the commands of README.md and docs/
	$(V)tests/docs/self.sh
	$(V)tests/docs/run.sh $(obj)/sinter

.PHONY: check-docs
