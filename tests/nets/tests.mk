# Networks without tokens as C; run.sh says what is compared.
$(obj)/tests/nets/near: tests/nets/near.c
	@mkdir -p $(@D)
	$(V)$(CC) -std=c11 -O1 -Wall -Wextra -Wpedantic $< -o $@ -lm

check-nets: $(obj)/sinter $(obj)/tests/nets/near    ## networks of TensorFlow Lite as C, against recorded bytes (../shared/models too, where it is)
	$(V)tests/nets/run.sh $(obj) $(MODEL)

.PHONY: check-nets
