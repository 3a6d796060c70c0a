# Networks without tokens as C; run.sh says what is compared.
$(obj)/tests/nets/near: tests/nets/near.c
	@mkdir -p $(@D)
	$(V)$(CC) -std=c11 -O1 -Wall -Wextra -Wpedantic $< -o $@ -lm

check-nets: $(obj)/sinter $(obj)/tests/nets/near    ## networks of TensorFlow Lite as C, against recorded bytes (../shared/models too, where it is)
	$(V)tests/nets/run.sh $(obj) $(MODEL)

PYTHON ?= python3
check-nets-random: $(obj)/sinter    ## the models of MLPerf Tiny as C against the package tflite_micro on random inputs, where it is (PYTHON=, N=1000)
	$(V)$(PYTHON) tests/nets/peer.py $(obj)/sinter $(obj)/nets-random $(N)

.PHONY: check-nets-random check-nets
