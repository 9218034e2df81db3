# SPDX-License-Identifier: GPL-2.0
# The one entry for make; each target is a front for what does the work.

KDIR ?= /lib/modules/$(shell uname -r)/build
# built from a copy: kbuild writes beside the source
BUILD ?= build

help:
	@echo 'make test            the suite on the default kernel, in QEMU'
	@echo 'make check           all tests and all static checks, on the default kernel'
	@echo 'make check-all       the same on every packaged kernel'
	@echo 'make bench           the benchmarks'
	@echo 'make module          $(BUILD)/driver/hmmirror.ko for KDIR=$(KDIR)'
	@echo 'make install         that module into the modules of KDIR'
	@echo 'make tests KSRC=DIR  the test programs into $(BUILD)/selftests'
	@echo 'make install-tests KSRC=DIR INSTALL_PATH=DIR'
	@echo '                     the test programs with a runner of their own'
	@echo 'make tarball KSRC=DIR  the same as $(BUILD)/hmmirror-kselftest.tar.gz'
	@echo 'make deb KSRC=DIR    the packages hmmirror-dkms and hmmirror-tests, into $(BUILD)/deb'
	@echo 'make series KSRC=DIR  a patch series against a kernel tree, into $(BUILD)/series'
	@echo 'make clean           removes $(BUILD); the cache stays'

test:
	@./run_tests.sh

check:
	@./run_tests.sh --check

check-all:
	@./run_tests.sh --check=all

bench:
	@./run_tests.sh --bench counts driver runner

module:
	mkdir -p $(BUILD)/driver
	cp -Rp driver/. $(BUILD)/driver/
	$(MAKE) -C $(BUILD)/driver KDIR=$(abspath $(KDIR))

# The headers of a distribution have no System.map, without which kbuild skips depmod and modprobe
# finds no module; nor the certificate that it signs with.
install: module
	$(MAKE) -C $(KDIR) M=$(abspath $(BUILD))/driver modules_install \
		$(if $(wildcard $(KDIR)/certs/signing_key.x509),,CONFIG_MODULE_SIG_ALL=)
	PATH="$$PATH:/usr/sbin:/sbin" depmod $(if $(INSTALL_MOD_PATH),-b $(INSTALL_MOD_PATH)) \
		"$$(cut -d'"' -f2 $(KDIR)/include/generated/utsrelease.h)"

tests: needs-ksrc
	mkdir -p $(BUILD)/selftests
	$(MAKE) -C selftests KSRC=$(abspath $(KSRC)) OUTPUT=$(abspath $(BUILD))/selftests

install-tests: needs-ksrc tests
	@test -n "$(INSTALL_PATH)" || { echo 'make: INSTALL_PATH=DIR is wanted' >&2; exit 2; }
	$(MAKE) -C selftests KSRC=$(abspath $(KSRC)) OUTPUT=$(abspath $(BUILD))/selftests \
		INSTALL_PATH=$(abspath $(INSTALL_PATH)) install

# for a lab that has a kernel and a module of its own
tarball: needs-ksrc
	rm -rf $(BUILD)/hmmirror-kselftest
	$(MAKE) install-tests INSTALL_PATH=$(BUILD)/hmmirror-kselftest
	tar -C $(BUILD) -czf $(BUILD)/hmmirror-kselftest.tar.gz hmmirror-kselftest

deb: needs-ksrc
	@packaging/make-deb.sh $(BUILD)/deb $(abspath $(KSRC))

series: needs-ksrc
	@python3 -m series $(abspath $(KSRC)) $(abspath $(BUILD))/series

needs-ksrc:
	@test -f "$(KSRC)/tools/testing/selftests/lib.mk" || \
		{ echo 'make: KSRC=DIR is wanted, a kernel source tree' >&2; exit 2; }

clean:
	rm -rf $(BUILD)

.PHONY: help test check check-all bench module install tests install-tests tarball deb series needs-ksrc clean
