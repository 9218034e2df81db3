// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel's own test ABI (lib/test_hmm_uapi.h), each call and each of its errors, as
 * hmm-tests.c of the kernel uses it.
 *
 * The kernel's tests run unmodified on this driver, so that every number, flag and error
 * must be the one that lib/test_hmm.c gives.
 */
#include "expect_kernel.h"
#include "hmm_test.h"

#define PAGES	8

FIXTURE(testabi)
{
	struct hmm_area area;
	struct hmm_dmirror_cmd cmd;
	size_t page;
	size_t length;
	char *buffer;
	int fd;
};

FIXTURE_SETUP(testabi)
{
	self->page = hmm_page_size();
	self->length = PAGES * self->page;
	self->buffer = hmm_map_anon(self->length, 0);
	ASSERT_NE(NULL, self->buffer);
	ASSERT_EQ(0, hmm_area_begin_small(&self->area, self->length));
	self->fd = hmm_area_device(&self->area, 0);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(testabi)
{
	hmm_unmap(self->buffer, self->length);
	hmm_area_end(&self->area);
}

TEST_F(testabi, read)
{
	hmm_pattern_fill(self->area.addr, self->length, 1);
	ASSERT_EQ(0, hmm_test_abi(self->fd, HMM_DMIRROR_READ, self->area.addr,
				  PAGES, self->buffer, &self->cmd));
	ASSERT_EQ(PAGES, self->cmd.cpages);
	ASSERT_EQ(1, self->cmd.faults);
	ASSERT_EQ(-1, hmm_pattern_check_as(self->buffer, self->area.addr,
					   self->length, 1));
	/* Now the mirror has it all. */
	ASSERT_EQ(0, hmm_test_abi(self->fd, HMM_DMIRROR_READ, self->area.addr,
				  PAGES, self->buffer, &self->cmd));
	ASSERT_EQ(PAGES, self->cmd.cpages);
	ASSERT_EQ(0, self->cmd.faults);
}

TEST_F(testabi, write)
{
	hmm_pattern_fill_as(self->buffer, self->area.addr, self->length, 2);
	ASSERT_EQ(0, hmm_test_abi(self->fd, HMM_DMIRROR_WRITE, self->area.addr,
				  PAGES, self->buffer, &self->cmd));
	ASSERT_EQ(PAGES, self->cmd.cpages);
	ASSERT_EQ(1, self->cmd.faults);
	ASSERT_EQ(-1, hmm_pattern_check(self->area.addr, self->length, 2));
}

TEST_F(testabi, write_readonly)
{
	hmm_pattern_fill(self->area.addr, self->length, 3);
	ASSERT_EQ(0, mprotect(self->area.addr, self->length, PROT_READ));
	ASSERT_EQ(-EPERM, hmm_test_abi(self->fd, HMM_DMIRROR_WRITE,
				       self->area.addr, PAGES, self->buffer,
				       NULL));
	ASSERT_EQ(-1, hmm_pattern_check(self->area.addr, self->length, 3));
}

/* On an error the struct is not written back: it does not tell what was done before. */
TEST_F(testabi, read_hole)
{
	hmm_pattern_fill(self->area.addr, self->length, 4);
	ASSERT_EQ(0, munmap(self->area.addr + 5 * self->page, self->page));
	self->cmd.cpages = 77;
	ASSERT_EQ(-EFAULT, hmm_test_abi(self->fd, HMM_DMIRROR_READ,
					self->area.addr, PAGES, self->buffer,
					NULL));
	ASSERT_EQ(77, self->cmd.cpages);
}

/* The bytes of a snapshot, for states that a process can make by itself. */
TEST_F(testabi, snapshot)
{
	unsigned char *got = (unsigned char *)self->buffer;
	char *at = self->area.addr;
	size_t page = self->page;
	int refused = expect_when(WHEN_REFUSED_EMPTY) ? HMM_DMIRROR_PROT_NONE :
							HMM_DMIRROR_PROT_ERROR;

	hmm_touch_read(at, page);
	hmm_pattern_fill(at + page, 2 * page, 5);
	ASSERT_EQ(0, mprotect(at + 2 * page, page, PROT_READ));
	ASSERT_EQ(0, munmap(at + 4 * page, page));
	ASSERT_EQ(0, mprotect(at + 5 * page, page, PROT_NONE));
	memset(got, 0xee, PAGES + 1);
	/*
	 * Old walkers fail at the zero page, unless they hide that, or at what can't be
	 * accessed.
	 */
	if (expect_when(WHEN_BY_MAPPING)) {
		ASSERT_EQ(expect_when(WHEN_ZERO_SPECIAL) &&
			  !expect_when(WHEN_SNAPSHOT_CUT) ? -EFAULT : -EPERM,
			  hmm_test_abi(self->fd, HMM_DMIRROR_SNAPSHOT, at,
				       PAGES, got, &self->cmd));
		return;
	}
	ASSERT_EQ(0, hmm_test_abi(self->fd, HMM_DMIRROR_SNAPSHOT, at, PAGES,
				  got, &self->cmd));
	ASSERT_EQ(PAGES, self->cmd.cpages);
	ASSERT_EQ(HMM_DMIRROR_PROT_ZERO | HMM_DMIRROR_PROT_READ, got[0]);
	ASSERT_EQ(HMM_DMIRROR_PROT_WRITE, got[1]);
	ASSERT_EQ(HMM_DMIRROR_PROT_READ, got[2]);
	ASSERT_EQ(HMM_DMIRROR_PROT_NONE, got[3]);
	ASSERT_EQ(refused, got[4]);
	ASSERT_EQ(refused, got[5]);
	ASSERT_EQ(HMM_DMIRROR_PROT_NONE, got[6]);
	ASSERT_EQ(0xee, got[PAGES]);
}

TEST_F(testabi, snapshot_huge)
{
	unsigned char *got = (unsigned char *)self->buffer;
	int pmd = expect_when(WHEN_ORDER) ? HMM_DMIRROR_PROT_PMD : 0;
	size_t i;

	hmm_area_end(&self->area);
	ASSERT_EQ(0, hmm_area_begin(&self->area, hmm_pmd_size(), 0));
	if (!REQUIRE(hmm_state_make_named(&self->area, "thp_writable", 0, hmm_pmd_size()),
		     self->area.why))
		return;
	self->fd = hmm_area_device(&self->area, 0);
	ASSERT_EQ(0, hmm_test_abi(self->fd, HMM_DMIRROR_SNAPSHOT,
				  self->area.addr + self->page, 300, got,
				  &self->cmd));
	ASSERT_EQ(300, self->cmd.cpages);
	for (i = 0; i < 300; i++)
		ASSERT_EQ(HMM_DMIRROR_PROT_WRITE | pmd, got[i]);
}

TEST_F(testabi, migrate)
{
	unsigned char got[PAGES];
	int other, i;

	if (!REQUIRE(hmm_area_memory(&self->area, 0), self->area.why))
		return;
	hmm_pattern_fill(self->area.addr, self->length, 6);
	ASSERT_EQ(0, hmm_test_abi(self->fd, HMM_DMIRROR_MIGRATE_TO_DEV,
				  self->area.addr, PAGES, self->buffer,
				  &self->cmd));
	ASSERT_EQ(PAGES, self->cmd.cpages);
	ASSERT_EQ(-1, hmm_pattern_check_as(self->buffer, self->area.addr,
					   self->length, 6));
	ASSERT_EQ(0, hmm_test_abi(self->fd, HMM_DMIRROR_SNAPSHOT,
				  self->area.addr, PAGES, got, NULL));
	for (i = 0; i < PAGES; i++)
		ASSERT_EQ(HMM_DMIRROR_PROT_DEV_PRIVATE_LOCAL |
			  HMM_DMIRROR_PROT_WRITE, got[i]);
	/* Another device does not see the pages. */
	other = hmm_area_device(&self->area, 1);
	ASSERT_LE(0, other);
	ASSERT_EQ(0, hmm_test_abi(other, HMM_DMIRROR_SNAPSHOT,
				  self->area.addr, PAGES, got, NULL));
	for (i = 0; i < PAGES; i++)
		ASSERT_EQ(HMM_DMIRROR_PROT_NONE, got[i]);

	ASSERT_EQ(0, hmm_test_abi(self->fd, HMM_DMIRROR_MIGRATE_TO_SYS,
				  self->area.addr, PAGES, self->buffer,
				  &self->cmd));
	ASSERT_EQ(PAGES, self->cmd.cpages);
	ASSERT_EQ(0, hmm_test_abi(self->fd, HMM_DMIRROR_SNAPSHOT,
				  self->area.addr, PAGES, got, NULL));
	for (i = 0; i < PAGES; i++)
		ASSERT_EQ(HMM_DMIRROR_PROT_WRITE, got[i]);
	ASSERT_EQ(-1, hmm_pattern_check(self->area.addr, self->length, 6));
}

TEST_F(testabi, migrate_hole)
{
	if (!REQUIRE(hmm_area_memory(&self->area, 0), self->area.why))
		return;
	hmm_pattern_fill(self->area.addr, self->length, 7);
	ASSERT_EQ(0, munmap(self->area.addr + 3 * self->page, self->page));
	ASSERT_EQ(-EINVAL, hmm_test_abi(self->fd, HMM_DMIRROR_MIGRATE_TO_DEV,
					self->area.addr, PAGES, self->buffer,
					NULL));
}

TEST_F(testabi, exclusive)
{
	if (!REQUIRE(hmm_area_feature(&self->area, HMMIRROR_FEAT_EXCLUSIVE), self->area.why))
		return;
	hmm_pattern_fill(self->area.addr, self->length, 8);
	ASSERT_EQ(0, hmm_test_abi(self->fd, HMM_DMIRROR_EXCLUSIVE,
				  self->area.addr, PAGES, self->buffer,
				  &self->cmd));
	ASSERT_EQ(PAGES, self->cmd.cpages);
	ASSERT_EQ(-1, hmm_pattern_check_as(self->buffer, self->area.addr,
					   self->length, 8));
	/* EPERM: the device has exclusive access to one of them. */
	ASSERT_EQ(-EPERM, hmm_test_abi(self->fd, HMM_DMIRROR_CHECK_EXCLUSIVE,
				       self->area.addr, PAGES, NULL, NULL));
	hmm_touch_read(self->area.addr, self->length);
	ASSERT_EQ(0, hmm_test_abi(self->fd, HMM_DMIRROR_CHECK_EXCLUSIVE,
				  self->area.addr, PAGES, NULL, NULL));
	ASSERT_EQ(-1, hmm_pattern_check(self->area.addr, self->length, 8));
}

/* The device's memory is released, and its pages migrate back. */
TEST_F(testabi, release)
{
	__u64 entry;
	int i;

	if (!REQUIRE(hmm_area_memory(&self->area, 0), self->area.why))
		return;
	hmm_pattern_fill(self->area.addr, self->length, 9);
	ASSERT_EQ(0, hmm_to_device(self->fd, self->area.addr, self->length,
				   NULL, NULL));
	ASSERT_EQ(0, hmm_pagemap_one(self->area.addr, &entry));
	ASSERT_NE(0, entry & HMM_PM_SWAP);
	ASSERT_EQ(0, hmm_test_abi(self->fd, HMM_DMIRROR_RELEASE,
				  self->area.addr, PAGES, NULL, NULL));
	for (i = 0; i < PAGES; i++) {
		ASSERT_EQ(0, hmm_pagemap_one(self->area.addr + i * self->page,
					     &entry));
		ASSERT_NE(0, entry & HMM_PM_PRESENT);
	}
	ASSERT_EQ(-1, hmm_pattern_check(self->area.addr, self->length, 9));
	/* And the device gets new memory when it is needed. */
	ASSERT_EQ(0, hmm_to_device(self->fd, self->area.addr, self->length,
				   NULL, NULL));
	ASSERT_EQ(0, hmm_pagemap_one(self->area.addr, &entry));
	ASSERT_NE(0, entry & HMM_PM_SWAP);
	ASSERT_EQ(-1, hmm_pattern_check(self->area.addr, self->length, 9));
}

/* Errors are the same for every call. */
FIXTURE(testabi_error)
{
	struct hmm_area area;
	char *buffer;
	size_t page;
	int fd;
};

FIXTURE_VARIANT(testabi_error)
{
	unsigned long request;
	int bufferless;
	enum hmmirror_feature feature;
};

FIXTURE_VARIANT_ADD(testabi_error, read)
{
	.request = HMM_DMIRROR_READ,
};

FIXTURE_VARIANT_ADD(testabi_error, write)
{
	.request = HMM_DMIRROR_WRITE,
};

FIXTURE_VARIANT_ADD(testabi_error, to_device)
{
	.request = HMM_DMIRROR_MIGRATE_TO_DEV,
	.feature = HMMIRROR_FEAT_DEVICE_PRIVATE,
};

FIXTURE_VARIANT_ADD(testabi_error, to_system)
{
	.request = HMM_DMIRROR_MIGRATE_TO_SYS,
	.feature = HMMIRROR_FEAT_DEVICE_PRIVATE,
	.bufferless = 1,
};

FIXTURE_VARIANT_ADD(testabi_error, snapshot)
{
	.request = HMM_DMIRROR_SNAPSHOT,
};

FIXTURE_VARIANT_ADD(testabi_error, exclusive)
{
	.request = HMM_DMIRROR_EXCLUSIVE,
	.feature = HMMIRROR_FEAT_EXCLUSIVE,
};

FIXTURE_VARIANT_ADD(testabi_error, check_exclusive)
{
	.request = HMM_DMIRROR_CHECK_EXCLUSIVE,
	.bufferless = 1,
};

FIXTURE_SETUP(testabi_error)
{
	self->page = hmm_page_size();
	self->buffer = hmm_map_anon(PAGES * self->page, 0);
	ASSERT_NE(NULL, self->buffer);
	ASSERT_EQ(0, hmm_area_begin_small(&self->area, PAGES * self->page));
	self->fd = hmm_area_device(&self->area, 0);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(testabi_error)
{
	hmm_unmap(self->buffer, PAGES * self->page);
	hmm_area_end(&self->area);
}

TEST_F(testabi_error, arguments)
{
	struct hmm_dmirror_cmd cmd;
	char *at = self->area.addr;

	/* unaligned address */
	ASSERT_EQ(-EINVAL, hmm_test_abi(self->fd, variant->request, at + 8, 1,
					self->buffer, &cmd));
	/* no pages */
	ASSERT_EQ(-EINVAL, hmm_test_abi(self->fd, variant->request, at, 0,
					self->buffer, &cmd));
	/* beyond the end of the address space */
	ASSERT_EQ(-EINVAL, hmm_test_abi(self->fd, variant->request, at,
					-1UL / self->page, self->buffer,
					&cmd));
	/* an argument that is not there */
	ASSERT_EQ(-EFAULT, hmm_ioctl(self->fd, variant->request, NULL));
}

TEST_F(testabi_error, buffer)
{
	if (!REQUIRE(hmm_area_feature(&self->area, variant->feature), self->area.why))
		return;
	hmm_pattern_fill(self->area.addr, PAGES * self->page, 1);
	ASSERT_EQ(0, munmap(self->buffer, PAGES * self->page));
	ASSERT_EQ(variant->bufferless ? 0 : -EFAULT,
		  hmm_test_abi(self->fd, variant->request, self->area.addr,
			       PAGES, self->buffer, NULL));
	self->buffer = NULL;
	ASSERT_EQ(-1, hmm_pattern_check(self->area.addr, PAGES * self->page,
					1));
}

TEST_F(testabi_error, no_such_call)
{
	struct hmm_dmirror_cmd cmd;
	unsigned long request = variant->request + 0x40;

	ASSERT_EQ(-EINVAL, hmm_test_abi(self->fd, request, self->area.addr, 1,
					self->buffer, &cmd));
}

#include "hmm_main.h"
