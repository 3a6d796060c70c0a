# Small models with recorded truth, and the goldens of real ones.  run.sh and golden.c say what is compared.
models_bin = $(addprefix $(obj)/tests/models/,mkmodel check_logits golden tflite)
models_lib = $(obj)/tests/models/cases.o $(obj)/libsinter.a

$(models_bin): $(obj)/tests/models/%: tests/models/%.c $(models_lib)
	@mkdir -p $(@D)
	$(V)$(CC) $(cflags) $(LDFLAGS) $< $(models_lib) $(libs) -o $@

check-models: $(obj)/sinter $(models_bin)    ## emitted programs against recorded logits (FULL=1: every case on every target)
	$(V)tests/models/run.sh $(obj)

check-story: $(obj)/sinter $(obj)/tests/models/golden    ## the sample models against their recorded outputs
	$(V)$(obj)/tests/models/golden --sinter $(obj)/sinter story pocket

check-real: $(obj)/sinter $(obj)/tests/models/golden    ## SmolLM2, Gemma and vocabularies against ../shared/golden, where they are
	$(V)$(obj)/tests/models/golden --sinter $(obj)/sinter smollm2 gemma gpt-2 llama-bpe

check-tflite: $(obj)/tests/models/tflite    ## models of TensorFlow Lite in the interpreter, against recorded bytes (../shared/models too, where it is)
	$(V)tests/models/tflite.sh $<

.PHONY: check-tflite check-models check-story check-real
