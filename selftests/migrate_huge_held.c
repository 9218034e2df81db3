// SPDX-License-Identifier: GPL-2.0
/*
 * A huge page that is given up while it migrates, to a device or back. The migration is held
 * where the page table has a migration entry in its place, a PMD; on the way back it is one
 * of the device's page.
 *
 * Such an entry holds no reference, and the page is not in the reverse mapping for it. The
 * migration alone has the page, until it is over. On the way back it is held at its last
 * step only: where the kernel frees the page too early (zap-migrating-device-pmd), an
 * earlier one ends in a machine that hangs.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "huge_case.h"

#define LIMIT_MS	5000

FIXTURE(migrate_huge_held)
{
	struct huge_case h;
	struct hmm_call call;
};

FIXTURE_VARIANT(migrate_huge_held)
{
	const char *state;
	unsigned int flags;
	enum hmmirror_stage stage;
};

FIXTURE_VARIANT_ADD(migrate_huge_held, to_device_setup)
{
	.state = "thp_writable",
	.flags = TO_DEVICE | WHOLE,
	.stage = HMMIRROR_STAGE_SETUP,
};

FIXTURE_VARIANT_ADD(migrate_huge_held, to_device_copied)
{
	.state = "thp_writable",
	.flags = TO_DEVICE | WHOLE,
	.stage = HMMIRROR_STAGE_COPIED,
};

FIXTURE_VARIANT_ADD(migrate_huge_held, to_device_moved)
{
	.state = "thp_writable",
	.flags = TO_DEVICE | WHOLE,
	.stage = HMMIRROR_STAGE_MOVED,
};

FIXTURE_VARIANT_ADD(migrate_huge_held, to_system_moved)
{
	.state = "dev_huge",
	.flags = TO_SYSTEM | WHOLE,
	.stage = HMMIRROR_STAGE_MOVED,
};

FIXTURE_SETUP(migrate_huge_held)
{
	huge_begin(_metadata, &self->h);
	self->call.fd = self->h.fd;
	self->call.addr = self->h.addr;
	self->call.length = self->h.length;
	self->call.flags = variant->flags;
	self->call.outcomes = self->h.outcomes;
}

FIXTURE_TEARDOWN(migrate_huge_held)
{
	if (!self->h.setup_ret) {
		hmm_hold_release(self->h.fd);
		hmm_call_end(&self->call);
	}
	huge_end(_metadata, &self->h);
}

/* A huge page where the migration finds it; false if the test was skipped. */
#define MAKE_IT()							\
	({								\
		int __supported = REQUIRE(h->setup_ret, h->area.why);	\
									\
		if (__supported) {					\
			MAKE(variant->state, 1);			\
			if (variant->flags & TO_DEVICE)			\
				FILL(0);				\
		}							\
		__supported;						\
	})

/* Start the migration, and stop it at the stage. */
#define BEGIN()								\
	ASSERT_EQ(0, hmm_hold_migration(&self->call, variant->stage, LIMIT_MS))

#define END()								\
	do {								\
		ASSERT_EQ(HMMIRROR_HELD_NOW, hmm_hold_release(h->fd));	\
		ASSERT_EQ(0, hmm_call_end(&self->call));		\
	} while (0)

/* All of it is given up: the migration still has what the device has of it. */
TEST_F(migrate_huge_held, dontneed)
{
	struct huge_case *h = &self->h;
	long used;

	if (!MAKE_IT())
		return;
	BEGIN();
	used = USED();
	ASSERT_EQ(0, madvise(h->addr, h->length, MADV_DONTNEED));
	ASSERT_EQ(used, USED());
	END();
	ASSERT_EQ(0, USED());
	ASSERT_EQ(-1, hmm_all_bytes(h->addr, h->length, 0));
}

/* A half of it is given up, which splits the entry. */
TEST_F(migrate_huge_held, dontneed_half)
{
	struct huge_case *h = &self->h;
	size_t half = h->length / 2;
	long used;

	if (!MAKE_IT())
		return;
	BEGIN();
	used = USED();
	ASSERT_EQ(0, madvise(h->addr, half, MADV_DONTNEED));
	ASSERT_EQ(used, USED());
	END();
	ASSERT_EQ(-1, hmm_all_bytes(h->addr, half, 0));
	ASSERT_EQ(-1, hmm_pattern_check(h->addr + half, half, 0));
	ASSERT_EQ(0, USED());
}

/*
 * In a child: unmap the page when told to, tell of it, and wait to be killed. If it ended
 * now, that would end the hold: it has the mirror open, too.
 */
static void unmap_and_wait(struct huge_case *h, int socket)
{
	char fine;

	hmm_die_with_parent();
	if (read(socket, &fine, 1) != 1)
		_exit(1);
	fine = !munmap(h->addr, h->length);
	if (write(socket, &fine, 1) == 1)
		pause();
	_exit(1);
}

/* Another process, which shares the page since a fork, unmaps it. */
TEST_F(migrate_huge_held, other_unmaps)
{
	struct huge_case *h = &self->h;
	char fine = 1;
	int ends[2];
	pid_t child;
	long used;

	if (!MAKE_IT())
		return;
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
	child = fork();
	if (!child)
		unmap_and_wait(h, ends[1]);
	ASSERT_LT(0, child);
	BEGIN();
	used = USED();
	ASSERT_EQ(1, write(ends[0], &fine, 1));
	ASSERT_EQ(1, read(ends[0], &fine, 1));
	ASSERT_EQ(1, fine);
	ASSERT_EQ(used, USED());
	END();
	ASSERT_EQ(0, kill(child, SIGKILL));
	ASSERT_EQ(-SIGKILL, hmm_child_result(child));
	CHECK(0);
	FILL(1);
	CHECK(1);
	ASSERT_EQ(0, USED());
	close(ends[0]);
	close(ends[1]);
}

#include "hmm_main.h"
