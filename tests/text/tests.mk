# The text layer on real vocabularies.  Recorded tokenizations are in GOLDEN; the model files they name are looked for in the folders
# MODELS.  What is not there is skipped by name.  Unit tests of the text layer: tests/unit/test_text.c and test_pretok.c.
GOLDEN ?= ../shared/golden
MODELS ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/sinter

$(obj)/tests/text/text_tool: tests/text/text_tool.c $(obj)/libsinter.a $(wildcard runtime/text/*.[ch])
	@mkdir -p $(@D)
	$(V)$(CC) $(cflags) $(LDFLAGS) $< $(obj)/libsinter.a $(libs) -o $@

check-text: $(obj)/tests/text/text_tool     ## recorded tokenizations and chats of real models (MODELS="folders" to find them)
	$(V)sh tests/text/golden.sh $< $(GOLDEN) $(MODELS)

.PHONY: check-text
