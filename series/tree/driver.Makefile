# SPDX-License-Identifier: GPL-2.0
obj-$(CONFIG_TEST_HMMIRROR) += hmmirror.o

# also where the kernel is built for size: a walk handles a million entries a call
ccflags-y := -O2 -I$(src)

