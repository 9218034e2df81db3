# SPDX-License-Identifier: GPL-2.0
#
# libhmmirror.a, for a Makefile that includes this:
#   HMM_LIB		the library, in $(OUTPUT)
#   HMM_LIB_CPPFLAGS	what those who include hmmirror_lib.h need
#   HMM_LIB_LDLIBS	what those who link it need

HMM_LIB_DIR := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))
HMM_LIB := $(OUTPUT)/libhmmirror.a
HMM_LIB_CPPFLAGS := -I$(HMM_LIB_DIR) -I$(HMM_LIB_DIR)/../driver/uapi
HMM_LIB_LDLIBS := -lnuma

HMM_LIB_SOURCES := $(sort $(wildcard $(HMM_LIB_DIR)/*.c))
HMM_LIB_HEADERS := $(wildcard $(HMM_LIB_DIR)/*.h \
		     $(HMM_LIB_DIR)/../driver/uapi/*.h)
HMM_LIB_OBJECTS := $(patsubst $(HMM_LIB_DIR)/%.c,$(OUTPUT)/lib/%.o, \
		     $(HMM_LIB_SOURCES))
HMM_LIB_CFLAGS := -std=gnu11 -O2 -g -Wall -Wextra -D_GNU_SOURCE=

$(OUTPUT)/lib/%.o: $(HMM_LIB_DIR)/%.c $(HMM_LIB_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(HMM_LIB_CFLAGS) $(HMM_LIB_CPPFLAGS) -c $< -o $@

$(HMM_LIB): $(HMM_LIB_OBJECTS)
	$(RM) $@
	$(AR) rcs $@ $^
