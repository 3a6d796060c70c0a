# Unit tests: every test_*.c is one cmocka program, linked with libsinter.a (the rule is in the Makefile).
check-unit: $(unit_bin)             ## cmocka programs of tests/unit
	$(V)bad=; for t in $(unit_bin); do $$t || bad="$$bad $$(basename $$t)"; done; \
	    [ -z "$$bad" ] || { echo "failed:$$bad"; exit 1; }

.PHONY: check-unit
