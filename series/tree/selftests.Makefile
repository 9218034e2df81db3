# SPDX-License-Identifier: GPL-2.0
# Tests of hmm_range_fault(), device memory and exclusive access on CONFIG_TEST_HMMIRROR.

@PROGRAMS@
LOCAL_HDRS := $(wildcard *.h common/*.h lib/*.h)

CFLAGS = -std=gnu11 -O2 -g -Wall -I. -Icommon -Ilib -I$(top_srcdir) $(EXTRA_CFLAGS) \
	 $(KHDR_INCLUDES)
LDLIBS += -lnuma

include ../../lib.mk

# what the programs share
SHARED := $(OUTPUT)/libhmmirror.a
OBJECTS := $(patsubst %.c,$(OUTPUT)/%.o,$(wildcard common/*.c lib/*.c))
EXTRA_CLEAN := $(SHARED) $(OBJECTS)

# the harness expects one file a program: it defines a global variable, and what main() calls
$(OBJECTS): CFLAGS += -Wno-unused-function -D_fixture_global=_fixture_$(*F)

$(OBJECTS): $(OUTPUT)/%.o: %.c $(LOCAL_HDRS)
	$(call msg,CC,,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -c $< -o $@

$(SHARED): $(OBJECTS)
	$(call msg,AR,,$@)
	$(Q)$(RM) $@
	$(Q)$(AR) rcs $@ $^

$(TEST_GEN_PROGS): $(SHARED)
