# What the samples' Makefiles share.  DIR is a folder that `sinter build` wrote, of any model with a tokenizer.
#
# The samples are written for a model called `story`; the name of the model in DIR takes its place.
DIR ?= ../../build/story
NAME = $(basename $(notdir $(firstword $(wildcard $(DIR)/*.sir))))
CC ?= cc
CFLAGS ?= -O2 -Wall -Wextra
out = build

# $(call rename,NAME): story_ -> NAME_, story.h -> NAME.h
rename = sed 's/\bstory\([_.]\)/$(1)\1/g'

$(out)/.there:
	@test -n "$(NAME)" || { echo "$(DIR): not a folder that sinter wrote (make DIR=...)" >&2; exit 1; }
	@mkdir -p $(out) && touch $@

# The library of the model is built by the model's own Makefile.
library: $(out)/.there
	$(MAKE) -s -C $(DIR) lib$(NAME).a

clean:
	rm -rf $(out)
.PHONY: all library clean
