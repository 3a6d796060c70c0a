# Unit tests: every test_*.c is one cmocka program, linked with libsinter.a (the rule is in the Makefile).
check-unit: $(unit_bin)             ## cmocka programs of tests/unit
	$(V)for t in $(unit_bin); do $$t || exit 1; done

.PHONY: check-unit
