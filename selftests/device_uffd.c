// SPDX-License-Identifier: GPL-2.0
/*
 * userfaultfd and pages that a device has: UFFDIO_MOVE of them, and write protection that
 * must last while they go to the device, change their protection there and come back.
 *
 * UFFDIO_MOVE moves page table entries. It meets device-private, device-exclusive and
 * migration entries, as PTEs and as PMDs, where it looks for present pages. The bit of the
 * write protection has another place in an entry that is not present.
 */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "device_case.h"

#define PART		2	/* pages of a range, in the middle of it */
#define PART_PAGES	3
#define LIMIT_MS	5000

FIXTURE(device_uffd)
{
	struct device_case c;
	char *to;	/* where the pages are moved to */
	size_t room;
	int uffd;
};

FIXTURE_VARIANT(device_uffd)
{
	const char *state;
	int refused;	/* the kernel's answer to UFFDIO_MOVE; 0: moves them */
};

FIXTURE_VARIANT_ADD(device_uffd, private)
{
	.state = "dev_private",
	.refused = -EFAULT,
};

FIXTURE_VARIANT_ADD(device_uffd, huge)
{
	.state = "dev_huge",
	.refused = -ENOENT,
};

FIXTURE_VARIANT_ADD(device_uffd, coherent)
{
	.state = "dev_coherent",
	.refused = 0,
};

FIXTURE_VARIANT_ADD(device_uffd, exclusive)
{
	.state = "dev_exclusive",
	.refused = -EFAULT,
};

FIXTURE_SETUP(device_uffd)
{
	self->uffd = -1;
	device_begin(_metadata, &self->c, variant->state, DEVICE_AT_TABLE_START);
	self->room = 2 * hmm_pmd_size();
	self->to = hmm_map_anon(self->room, hmm_pmd_size());
	ASSERT_NE(NULL, self->to);
}

FIXTURE_TEARDOWN(device_uffd)
{
	if (self->uffd >= 0)
		close(self->uffd);
	hmm_unmap(self->to, self->room);
	device_end(_metadata, &self->c);
}

/* Register the destination of UFFDIO_MOVE. Return: for REQUIRE() */
static int begin_move(struct device_case *c, char *to, size_t length, int *uffd)
{
	if (c->setup_ret)
		return c->setup_ret;
	*uffd = hmm_uffd_register(to, length, UFFDIO_REGISTER_MODE_MISSING,
				  HMM_UFFD_FEATURE_MOVE);
	if (*uffd == -EOPNOTSUPP)
		return hmm_skip(&c->area, "no UFFDIO_MOVE");
	return *uffd < 0 ? hmm_fail(&c->area, *uffd, "userfaultfd") : 0;
}

/*
 * Moves pages: they arrive with their data; or they are refused as expected, and stay where
 * they are.
 */
static void move(struct __test_metadata *_metadata, struct _test_data_device_uffd *self,
		 size_t first, size_t pages, int refused)
{
	struct device_case *c = &self->c;
	size_t offset = first * c->page, length = pages * c->page, moved;

	ASSERT_EQ(refused, hmm_uffd_move(self->uffd, self->to + offset, c->addr + offset,
					 length, &moved))
		TH_LOG("%zu of %zu bytes were moved", moved, length);
	ASSERT_EQ(refused ? 0 : length, moved);
	if (!refused)
		ASSERT_EQ(-1, hmm_pattern_check_as(self->to + offset, c->addr + offset,
						   length, 0));
}

/*
 * Pages that no CPU can use are refused, though a CPU that touches them brings them back.
 * Nothing happens to them.
 */
TEST_F(device_uffd, move)
{
	struct device_case *c = &self->c;

	if (!REQUIRE(begin_move(c, self->to, self->room, &self->uffd), c->area.why))
		return;
	device_make(_metadata, c);
	move(_metadata, self, 0, c->pages, variant->refused);
	ASSERT_EQ(device_expected(c), device_used(_metadata, c));
	if (!variant->refused)
		return;
	device_check_kept(_metadata, c, c->addr, c->pages);
	CHECK_DATA(0);
}

/* Pages in the middle; the kernel has to split a huge page for that. */
TEST_F(device_uffd, move_part)
{
	struct device_case *c = &self->c;
	size_t behind = PART + PART_PAGES;

	if (!REQUIRE(begin_move(c, self->to, self->room, &self->uffd), c->area.why))
		return;
	device_make(_metadata, c);
	move(_metadata, self, PART, PART_PAGES, variant->refused ? -EFAULT : 0);
	ASSERT_EQ(device_expected(c), device_used(_metadata, c));
	if (variant->refused)
		device_check_kept(_metadata, c, c->addr, c->pages);
	ASSERT_EQ(-1, hmm_pattern_check(c->addr, PART * c->page, 0));
	ASSERT_EQ(-1, hmm_pattern_check(c->addr + behind * c->page,
					(c->pages - behind) * c->page, 0));
	if (variant->refused)
		CHECK_DATA(0);
}

/* Once a CPU has touched them, all kinds of pages can be moved. */
TEST_F(device_uffd, move_touched)
{
	struct device_case *c = &self->c;

	if (!REQUIRE(begin_move(c, self->to, self->room, &self->uffd), c->area.why))
		return;
	device_make(_metadata, c);
	CHECK_DATA(0);
	CHECK_CPU_USED(c->pages);
	move(_metadata, self, 0, c->pages, 0);
	ASSERT_EQ(c->coherent ? device_expected(c) : 0, device_used(_metadata, c));
	/* the pages can go to the device again from where they are */
	hmm_pattern_fill(self->to, c->length, 1);
	if (!c->exclusive)
		ASSERT_EQ(0, hmm_to_device(c->fd, self->to, c->length, NULL, NULL));
	ASSERT_EQ(-1, hmm_pattern_check(self->to, c->length, 1));
}

/* A thread that moves pages, made before a migration is held, or one that writes. */
struct helper {
	pthread_t thread;
	sem_t go;
	pid_t tid;
	int uffd;
	char *to;
	char *from;	/* NULL: write to @to */
	size_t length;
	size_t moved;
	int error;
};

static void *help(void *data)
{
	struct helper *helper = data;

	while (sem_wait(&helper->go))
		;
	__atomic_store_n(&helper->tid, syscall(SYS_gettid), __ATOMIC_SEQ_CST);
	if (helper->from)
		helper->error = hmm_uffd_move(helper->uffd, helper->to, helper->from,
					      helper->length, &helper->moved);
	else
		hmm_pattern_fill(helper->to, helper->length, 3);
	return NULL;
}

static void begin_help(struct __test_metadata *_metadata, struct helper *helper)
{
	ASSERT_EQ(0, sem_init(&helper->go, 0, 0));
	ASSERT_EQ(0, pthread_create(&helper->thread, NULL, help, helper));
}

/* UFFDIO_MOVE while the pages are held in a migration to system memory. */
FIXTURE(device_uffd_held)
{
	struct device_case c;
	struct hmm_call call;
	struct helper helper;
	char *to;
	int uffd;
};

FIXTURE_VARIANT(device_uffd_held)
{
	const char *state;
	int part;	/* of the pages: 1, all of them; 2, half of them */
};

FIXTURE_VARIANT_ADD(device_uffd_held, private)
{
	.state = "dev_private",
	.part = 1,
};

FIXTURE_VARIANT_ADD(device_uffd_held, huge)
{
	.state = "dev_huge",
	.part = 1,
};

FIXTURE_VARIANT_ADD(device_uffd_held, huge_half)
{
	.state = "dev_huge",
	.part = 2,
};

FIXTURE_SETUP(device_uffd_held)
{
	self->uffd = -1;
	device_begin(_metadata, &self->c, variant->state, DEVICE_AT_TABLE_START);
	self->to = hmm_map_anon(hmm_pmd_size(), hmm_pmd_size());
	ASSERT_NE(NULL, self->to);
	ASSERT_EQ(0, hmm_use_all_cpus());
}

FIXTURE_TEARDOWN(device_uffd_held)
{
	if (!self->c.setup_ret) {
		hmm_hold_release(self->c.fd);
		hmm_call_end(&self->call);
	}
	if (self->uffd >= 0)
		close(self->uffd);
	hmm_unmap(self->to, hmm_pmd_size());
	device_end(_metadata, &self->c);
}

/* It must wait for the migration, and then move the pages. */
TEST_F(device_uffd_held, move)
{
	struct device_case *c = &self->c;
	struct helper *helper = &self->helper;
	size_t length = c->length / variant->part;

	if (!REQUIRE(begin_move(c, self->to, hmm_pmd_size(), &self->uffd), c->area.why))
		return;
	device_make(_metadata, c);
	helper->uffd = self->uffd;
	helper->to = self->to;
	helper->from = c->addr;
	helper->length = length;
	begin_help(_metadata, helper);
	self->call.fd = c->fd;
	self->call.addr = c->addr;
	self->call.length = c->length;
	self->call.flags = HMMIRROR_MIGRATE_TO_SYSTEM | (c->huge ? HMMIRROR_MIGRATE_HUGE : 0);
	ASSERT_EQ(0, hmm_hold_migration(&self->call, HMMIRROR_STAGE_COPIED, LIMIT_MS));
	sem_post(&helper->go);
	ASSERT_EQ(1, hmm_thread_blocks(&helper->tid));
	ASSERT_EQ(HMMIRROR_HELD_NOW, hmm_hold_release(c->fd));
	ASSERT_EQ(0, hmm_call_end(&self->call));
	ASSERT_EQ(0, pthread_join(helper->thread, NULL));
	ASSERT_EQ(0, helper->error);
	ASSERT_EQ(length, helper->moved);
	ASSERT_EQ(-1, hmm_pattern_check_as(self->to, c->addr, length, 0));
	ASSERT_EQ(-1, hmm_pattern_check(c->addr + length, c->length - length, 0));
	ASSERT_EQ(0, device_used(_metadata, c));
}

/* Write protection of pages that go to a device. */
FIXTURE(device_uffd_wp)
{
	struct device_case c;
	struct helper helper;
	__u64 *entries;
	int uffd;
};

FIXTURE_VARIANT(device_uffd_wp)
{
	const char *state;
	const char *from;	/* before they are on the device */
};

FIXTURE_VARIANT_ADD(device_uffd_wp, private)
{
	.state = "dev_private",
	.from = "anon_writable",
};

FIXTURE_VARIANT_ADD(device_uffd_wp, huge)
{
	.state = "dev_huge",
	.from = "thp_writable",
};

FIXTURE_VARIANT_ADD(device_uffd_wp, coherent)
{
	.state = "dev_coherent",
	.from = "anon_writable",
};

FIXTURE_SETUP(device_uffd_wp)
{
	self->uffd = -1;
	device_begin(_metadata, &self->c, variant->state, DEVICE_AT_TABLE_START);
	self->entries = hmm_map_anon(self->c.pages * sizeof(__u64), 0);
	ASSERT_NE(NULL, self->entries);
	ASSERT_EQ(0, hmm_use_all_cpus());
}

FIXTURE_TEARDOWN(device_uffd_wp)
{
	if (self->uffd >= 0)
		close(self->uffd);
	hmm_unmap(self->entries, self->c.pages * sizeof(__u64));
	device_end(_metadata, &self->c);
}

/* Fill pages in system memory, and register them. Return: for REQUIRE() */
static int begin_wp(struct device_case *c, const char *from, int *uffd)
{
	int ret = c->setup_ret;
	__u64 entry = 0;

	if (!ret)
		ret = hmm_state_make_named(&c->area, from, c->offset, c->length);
	if (ret)
		return ret;
	*uffd = hmm_uffd_register(c->addr, c->length, UFFDIO_REGISTER_MODE_WP,
				  UFFD_FEATURE_PAGEFAULT_FLAG_WP);
	if (*uffd == -EOPNOTSUPP)
		return hmm_skip(&c->area, "no write protection by userfaultfd");
	if (*uffd < 0)
		return hmm_fail(&c->area, *uffd, "userfaultfd");
	/* older kernels protect pages and do not say so */
	ret = hmm_uffd_protect(*uffd, c->addr, c->length);
	if (!ret)
		ret = hmm_pagemap(c->addr, 1, &entry);
	if (!ret && !(entry & HMM_PM_UFFD_WP))
		return hmm_skip(&c->area, "pagemap does not show protection by userfaultfd");
	if (!ret)
		ret = hmm_uffd_unprotect(*uffd, c->addr, c->length);
	return ret ? hmm_fail(&c->area, ret, "protecting pages") : 0;
}

/* pagemap says of every page whether it is protected. */
static void check_protected(struct __test_metadata *_metadata,
			    struct _test_data_device_uffd_wp *self, int protected,
			    const char *when)
{
	struct device_case *c = &self->c;
	__u64 want = protected ? HMM_PM_UFFD_WP : 0;
	size_t i;

	ASSERT_EQ(0, hmm_pagemap(c->addr, c->pages, self->entries));
	for (i = 0; i < c->pages; i++) {
		ASSERT_EQ(want, self->entries[i] & HMM_PM_UFFD_WP)
			TH_LOG("page %zu %s: pagemap says %llx", i, when,
			       (unsigned long long)self->entries[i]);
	}
}

static void to_system(struct __test_metadata *_metadata, struct device_case *c)
{
	unsigned int huge = c->huge ? HMMIRROR_MIGRATE_HUGE : 0;
	__u64 migrated = 0;

	ASSERT_EQ(0, hmm_move(c->fd, HMMIRROR_MIGRATE_TO_SYSTEM | huge, c->addr, c->length, NULL,
			      &migrated));
	ASSERT_EQ(c->pages, migrated);
}

/* A write waits until the protection is lifted. */
static void check_write_waits(struct __test_metadata *_metadata,
			      struct _test_data_device_uffd_wp *self)
{
	struct device_case *c = &self->c;
	void *addr;

	self->helper.to = c->addr;
	self->helper.length = c->page;
	begin_help(_metadata, &self->helper);
	sem_post(&self->helper.go);
	ASSERT_EQ(0, hmm_uffd_wait(self->uffd, LIMIT_MS, &addr))
		TH_LOG("the write was not caught");
	ASSERT_EQ(c->addr, addr);
	ASSERT_EQ(0, hmm_uffd_unprotect(self->uffd, c->addr, c->length));
	ASSERT_EQ(0, pthread_join(self->helper.thread, NULL));
	ASSERT_EQ(-1, hmm_pattern_check(c->addr, c->page, 3));
	ASSERT_EQ(-1, hmm_pattern_check(c->addr + c->page, c->length - c->page, 0));
}

/* Protected in system memory, then to the device, mprotect() there, and back. */
TEST_F(device_uffd_wp, protected_before)
{
	struct device_case *c = &self->c;

	if (!REQUIRE(begin_wp(c, variant->from, &self->uffd), c->area.why))
		return;
	ASSERT_EQ(0, hmm_uffd_protect(self->uffd, c->addr, c->length));
	check_protected(_metadata, self, 1, "before it migrates");
	device_migrate(_metadata, c);
	ASSERT_EQ(device_expected(c), device_used(_metadata, c));
	check_protected(_metadata, self, 1, "on the device");
	ASSERT_EQ(0, mprotect(c->addr, c->length, PROT_READ));
	ASSERT_EQ(0, mprotect(c->addr, c->length, PROT_READ | PROT_WRITE));
	ASSERT_EQ(device_expected(c), device_used(_metadata, c));
	check_protected(_metadata, self, 1, "after mprotect()");
	to_system(_metadata, c);
	check_protected(_metadata, self, 1, "back in system memory");
	check_write_waits(_metadata, self);
}

/* Protected on the device; the CPU's write brings the page back, and must wait. */
TEST_F(device_uffd_wp, protected_on_device)
{
	struct device_case *c = &self->c;

	if (!REQUIRE(begin_wp(c, variant->from, &self->uffd), c->area.why))
		return;
	device_migrate(_metadata, c);
	ASSERT_EQ(device_expected(c), device_used(_metadata, c));
	check_protected(_metadata, self, 0, "on the device");
	ASSERT_EQ(0, hmm_uffd_protect(self->uffd, c->addr, c->length));
	check_protected(_metadata, self, 1, "protected there");
	ASSERT_EQ(0, mprotect(c->addr, c->length, PROT_READ));
	ASSERT_EQ(0, mprotect(c->addr, c->length, PROT_READ | PROT_WRITE));
	check_protected(_metadata, self, 1, "after mprotect()");
	ASSERT_EQ(device_expected(c), device_used(_metadata, c));
	check_write_waits(_metadata, self);
}

/* Nobody protects them: no page comes back protected. */
TEST_F(device_uffd_wp, not_protected)
{
	struct device_case *c = &self->c;

	if (!REQUIRE(begin_wp(c, variant->from, &self->uffd), c->area.why))
		return;
	device_migrate(_metadata, c);
	check_protected(_metadata, self, 0, "on the device");
	to_system(_metadata, c);
	check_protected(_metadata, self, 0, "back in system memory");
	hmm_pattern_fill(c->addr, c->length, 4);
	CHECK_DATA(4);
}

#include "hmm_main.h"
