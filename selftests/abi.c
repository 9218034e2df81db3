// SPDX-License-Identifier: GPL-2.0
/*
 * The driver's own ABI: opening a device, the query, and the rules that hold for the
 * argument of every call.
 *
 * A struct that is too short or too long, an unknown flag, a reserved field that is set, an
 * address that overflows or can't be read: each must be refused with the right error, and a
 * refused call must change nothing, or a later version of the ABI could not give those bits
 * a meaning.
 */
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hmm_test.h"
#include "abi_calls.h"

FIXTURE(abi_open)
{
	int fd[2];
};

FIXTURE_SETUP(abi_open)
{
	self->fd[0] = -1;
	self->fd[1] = -1;
}

FIXTURE_TEARDOWN(abi_open)
{
	close(self->fd[0]);
	close(self->fd[1]);
}

/* Devices 0 and 1, with device-private memory, always exist. */
TEST_F(abi_open, all_devices)
{
	struct hmmirror_query query;
	unsigned int i;

	for (i = 0; i < HMM_DEVICES; i++) {
		self->fd[0] = hmm_open(i);
		if (i >= HMM_DEV_COHERENT && self->fd[0] == -ENOENT)
			continue;
		ASSERT_LE(0, self->fd[0]);
		memset(&query, 0, sizeof(query));
		ASSERT_EQ(0, hmm_ioctl_query(self->fd[0], &query));
		ASSERT_EQ(i, query.device);
		ASSERT_EQ(0, close(self->fd[0]));
	}
}

TEST_F(abi_open, no_such_device)
{
	ASSERT_EQ(-ENOENT, hmm_open(HMM_DEVICES));
}

/* Each open() makes a mirror of its own. */
TEST_F(abi_open, twice)
{
	struct hmmirror_stats stats[2];
	char *page = hmm_map_anon(hmm_page_size(), 0);
	__u64 entry;

	ASSERT_NE(NULL, page);
	self->fd[0] = hmm_open(0);
	self->fd[1] = hmm_open(0);
	ASSERT_LE(0, self->fd[0]);
	ASSERT_LE(0, self->fd[1]);
	ASSERT_EQ(0, hmm_entry(self->fd[0], page, &entry));
	ASSERT_EQ(0, hmm_stats(self->fd[0], 0, &stats[0]));
	ASSERT_EQ(0, hmm_stats(self->fd[1], 0, &stats[1]));
	ASSERT_LT(0, stats[0].walks);
	ASSERT_EQ(0, stats[1].walks);
}

/* Only root may use a driver that plants broken entries. */
TEST_F(abi_open, root_only)
{
	struct stat st;
	char path[32];
	unsigned int i;

	for (i = 0; i < HMM_DEVICES; i++) {
		snprintf(path, sizeof(path), "/dev/hmm_dmirror%u", i);
		if (stat(path, &st)) {
			ASSERT_EQ(ENOENT, errno);
			continue;
		}
		ASSERT_EQ(S_IFCHR | 0600, st.st_mode);
		ASSERT_EQ(0, st.st_uid);
		ASSERT_EQ(0, seteuid(HMM_NOBODY));
		EXPECT_EQ(-EACCES, hmm_open(i));
		ASSERT_EQ(0, seteuid(0));
	}
}

TEST_F(abi_open, mmap_too_long)
{
	static const off_t fixtures[] = {
		HMMIRROR_FIXTURE_PAGES, HMMIRROR_FIXTURE_SPECIAL, HMMIRROR_FIXTURE_PFNMAP,
		HMMIRROR_FIXTURE_IO,
	};
	struct hmmirror_query query = { 0 };
	int fd = hmm_open(0);
	size_t i;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, hmm_ioctl_query(fd, &query));
	for (i = 0; i < ARRAY_SIZE(fixtures); i++) {
		EXPECT_EQ(MAP_FAILED, mmap(NULL, query.max_range + hmm_page_size(), PROT_READ,
					   MAP_SHARED | MAP_NORESERVE, fd, fixtures[i]));
		EXPECT_EQ(EFBIG, errno);
	}
	close(fd);
}

/* A new mirror must not see what an earlier one mapped. */
TEST_F(abi_open, close_and_reopen)
{
	char *page = hmm_map_anon(hmm_page_size(), 0);
	__u64 entry;
	int i;

	ASSERT_NE(NULL, page);
	*page = 1;
	for (i = 0; i < 20; i++) {
		self->fd[0] = hmm_open(0);
		ASSERT_LE(0, self->fd[0]);
		ASSERT_EQ(0, hmm_mirror(self->fd[0], page, hmm_page_size(),
					&entry));
		ASSERT_EQ(0, entry);
		ASSERT_EQ(0, hmm_map(self->fd[0], page, hmm_page_size(),
				     HMMIRROR_REQ_ALL, &entry));
		ASSERT_NE(0, entry & HMMIRROR_PTE_WRITE);
		ASSERT_EQ(0, close(self->fd[0]));
	}
}

FIXTURE(abi_query)
{
	struct hmmirror_query query;
	int fd;
};

FIXTURE_SETUP(abi_query)
{
	self->fd = hmm_open(0);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(abi_query)
{
	close(self->fd);
}

TEST_F(abi_query, version)
{
	ASSERT_EQ(0, hmm_ioctl_query(self->fd, &self->query));
	ASSERT_EQ(HMMIRROR_ABI_VERSION, self->query.abi);
	ASSERT_EQ(sizeof(self->query), self->query.size);
	ASSERT_LE(1UL << 30, self->query.max_range);
	ASSERT_EQ(0, self->query.max_range % hmm_page_size());
}

/* A feature that is present has no reason, one that is absent has one. */
TEST_F(abi_query, reasons)
{
	__u64 known = (1ULL << HMMIRROR_FEAT_NR) - 1;
	unsigned int i;

	for (i = 0; i < HMMIRROR_FEAT_NR; i++) {
		memset(&self->query, 0x7f, sizeof(self->query));
		self->query.size = sizeof(self->query);
		self->query.flags = 0;
		self->query.ask = i;
		ASSERT_EQ(0, hmm_ioctl_query(self->fd, &self->query));
		ASSERT_EQ(known, self->query.known & known);
		ASSERT_EQ(0, self->query.features & ~self->query.known);
		ASSERT_NE(NULL, memchr(self->query.reason, 0,
				       sizeof(self->query.reason)));
		if (self->query.features & (1ULL << i))
			ASSERT_STREQ("", self->query.reason);
		if (!(self->query.features & (1ULL << i)))
			ASSERT_STRNE("", self->query.reason);
	}
}

TEST_F(abi_query, unknown_feature)
{
	self->query.ask = 63;
	ASSERT_EQ(-EINVAL, hmm_ioctl_query(self->fd, &self->query));
	self->query.ask = ~0U;
	ASSERT_EQ(-EINVAL, hmm_ioctl_query(self->fd, &self->query));
}

/* Every kernel that the driver builds for has this. */
TEST_F(abi_query, always_there)
{
	ASSERT_EQ(1, hmm_feature(self->fd, HMMIRROR_FEAT_RANGE, NULL, 0));
}

FIXTURE(abi_ioctl)
{
	int fd;
};

FIXTURE_SETUP(abi_ioctl)
{
	self->fd = hmm_open(0);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(abi_ioctl)
{
	close(self->fd);
}

TEST_F(abi_ioctl, unknown_number)
{
	struct hmmirror_query query = { .size = sizeof(query) };

	ASSERT_EQ(-ENOTTY, hmm_ioctl(self->fd, _IO(HMMIRROR_IOC_TYPE, 0xff),
				     &query));
}

TEST_F(abi_ioctl, unknown_type)
{
	struct hmmirror_query query = { .size = sizeof(query) };
	int ret = hmm_ioctl(self->fd, _IO(HMMIRROR_IOC_TYPE ^ 1, 0), &query);

	ASSERT_EQ(-ENOTTY, ret);
}

/* The number of a call, with another encoding of size and direction. */
TEST_F(abi_ioctl, other_encoding)
{
	struct hmmirror_query query = { .size = sizeof(query) };
	int ret = hmm_ioctl(self->fd, _IOWR(HMMIRROR_IOC_TYPE, 0,
					    struct hmmirror_query), &query);

	ASSERT_EQ(-ENOTTY, ret);
}

/* Every call; each test spoils good arguments. */
FIXTURE(abi)
{
	struct abi_case c;
};

FIXTURE_VARIANT(abi)
{
	const struct abi_call *call;
};

FIXTURE_VARIANT_ADD(abi, query)
{
	.call = &abi_query,
};

FIXTURE_VARIANT_ADD(abi, range)
{
	.call = &abi_range,
};

FIXTURE_VARIANT_ADD(abi, copy)
{
	.call = &abi_copy,
};

FIXTURE_VARIANT_ADD(abi, migrate)
{
	.call = &abi_migrate,
};

FIXTURE_VARIANT_ADD(abi, exclusive)
{
	.call = &abi_exclusive,
};

FIXTURE_VARIANT_ADD(abi, stats)
{
	.call = &abi_stats,
};

FIXTURE_SETUP(abi)
{
	ASSERT_EQ(0, abi_begin(&self->c, variant->call));
}

FIXTURE_TEARDOWN(abi)
{
	abi_end(&self->c);
}

TEST_F(abi, good)
{
	if (!REQUIRE(abi_need(&self->c), self->c.why))
		return;
	ASSERT_EQ(0, abi_call(&self->c));
}

TEST_F(abi, size_zero)
{
	self->c.arg.size = 0;
	ASSERT_EQ(-EINVAL, abi_bad_call(&self->c));
}

TEST_F(abi, size_short)
{
	self->c.arg.size = (variant->call->first_size ?: variant->call->size) - 1;
	ASSERT_EQ(-EINVAL, abi_bad_call(&self->c));
	self->c.arg.size = sizeof(__u32);
	ASSERT_EQ(-EINVAL, abi_bad_call(&self->c));
}

/* A program that was built when the struct was shorter: nothing is written behind that. */
TEST_F(abi, size_of_first_version)
{
	size_t first = variant->call->first_size;

	if (!first)
		SKIP(return, "the struct has not grown");
	if (!REQUIRE(abi_need(&self->c), self->c.why))
		return;
	self->c.arg.size = first;
	memset(self->c.arg.bytes + first, 0x5a, variant->call->size - first);
	ASSERT_EQ(0, abi_call(&self->c));
	ASSERT_EQ(-1, hmm_all_bytes(self->c.arg.bytes + first, variant->call->size - first,
				    0x5a));
}

TEST_F(abi, size_longer)
{
	if (!REQUIRE(abi_need(&self->c), self->c.why))
		return;
	self->c.arg.size = variant->call->size + 64;
	ASSERT_EQ(0, abi_call(&self->c));
	ASSERT_EQ(-1, hmm_all_bytes(self->c.arg.bytes +
				    variant->call->size, 64, 0));
}

TEST_F(abi, size_longer_with_content)
{
	self->c.arg.size = variant->call->size + 64;
	self->c.arg.bytes[variant->call->size + 63] = 1;
	ASSERT_EQ(-E2BIG, abi_bad_call(&self->c));
}

TEST_F(abi, unknown_flag)
{
	self->c.arg.flags |= 0x80000000U;
	ASSERT_EQ(-EINVAL, abi_bad_call(&self->c));
}

TEST_F(abi, bad_argument)
{
	/* A guard is behind the page: what the kernel maps there on its own could be read. */
	char *page = hmm_map_none(2 * hmm_page_size(), 0);
	int fd = self->c.fd;

	ASSERT_EQ(-EFAULT, hmm_ioctl(fd, variant->call->request, NULL));
	ASSERT_NE(NULL, page);
	ASSERT_EQ(-EFAULT, hmm_ioctl(fd, variant->call->request, page));
	/* The size can be read, the rest of the struct can't. */
	ASSERT_EQ(0, mprotect(page, hmm_page_size(), PROT_READ | PROT_WRITE));
	memcpy(page + hmm_page_size() - sizeof(__u32), &self->c.arg.size,
	       sizeof(__u32));
	ASSERT_EQ(-EFAULT, hmm_ioctl(fd, variant->call->request,
				     page + hmm_page_size() - sizeof(__u32)));
}

/* Calls that have a range. */
FIXTURE(abi_span)
{
	struct abi_case c;
};

FIXTURE_VARIANT(abi_span)
{
	const struct abi_call *call;
};

FIXTURE_VARIANT_ADD(abi_span, range)
{
	.call = &abi_range,
};

FIXTURE_VARIANT_ADD(abi_span, copy)
{
	.call = &abi_copy,
};

FIXTURE_VARIANT_ADD(abi_span, migrate)
{
	.call = &abi_migrate,
};

FIXTURE_VARIANT_ADD(abi_span, exclusive)
{
	.call = &abi_exclusive,
};

FIXTURE_SETUP(abi_span)
{
	ASSERT_EQ(0, abi_begin(&self->c, variant->call));
}

FIXTURE_TEARDOWN(abi_span)
{
	abi_end(&self->c);
}

TEST_F(abi_span, zero_length)
{
	*abi_length(&self->c) = 0;
	ASSERT_EQ(-EINVAL, abi_bad_call(&self->c));
}

/* A copy takes any alignment, all other calls need page alignment. */
TEST_F(abi_span, unaligned_addr)
{
	int bytes = variant->call == &abi_copy;

	*abi_addr(&self->c) += 8;
	*abi_length(&self->c) -= bytes ? 8 : 0;
	ASSERT_EQ(bytes ? 0 : -EINVAL, bytes ? abi_call(&self->c) :
		  abi_bad_call(&self->c));
}

TEST_F(abi_span, unaligned_length)
{
	int bytes = variant->call == &abi_copy;

	*abi_length(&self->c) -= 8;
	ASSERT_EQ(bytes ? 0 : -EINVAL, bytes ? abi_call(&self->c) :
		  abi_bad_call(&self->c));
}

TEST_F(abi_span, overflow)
{
	*abi_addr(&self->c) = -2 * hmm_page_size();
	*abi_length(&self->c) = 4 * hmm_page_size();
	ASSERT_EQ(-EINVAL, abi_bad_call(&self->c));
}

TEST_F(abi_span, length_of_all)
{
	*abi_length(&self->c) = -hmm_page_size();
	ASSERT_EQ(-EINVAL, abi_bad_call(&self->c));
}

/* No overflow, but above the end of every address space. */
TEST_F(abi_span, above_task_size)
{
	*abi_addr(&self->c) = 0xff00000000000000ULL;
	ASSERT_EQ(-EINVAL, abi_bad_call(&self->c));
}

TEST_F(abi_span, too_long)
{
	struct hmmirror_query query = { 0 };

	ASSERT_EQ(0, hmm_ioctl_query(self->c.fd, &query));
	/* without address space randomization the test's memory is close to the end */
	*abi_addr(&self->c) = hmm_pmd_size();
	*abi_length(&self->c) = query.max_range + hmm_page_size();
	ASSERT_EQ(-EFBIG, abi_bad_call(&self->c));
}

/*
 * A buffer that can't be accessed: nothing is done. A copy may find out when it is done in
 * part, and only reports the error.
 */
TEST_F(abi_span, bad_buffer)
{
	int copy = variant->call == &abi_copy;

	if (!REQUIRE(abi_need(&self->c), self->c.why))
		return;
	*abi_pointer(&self->c) = (uintptr_t)self->c.none;
	ASSERT_EQ(-EFAULT, copy ? abi_call(&self->c) :
		  abi_bad_call(&self->c));
	*abi_pointer(&self->c) = 0xff00000000000000ULL;
	ASSERT_EQ(-EFAULT, copy ? abi_call(&self->c) :
		  abi_bad_call(&self->c));
}

/* The mm that the mirror is of is gone. */
TEST_F(abi_span, opener_exits)
{
	if (!REQUIRE(abi_need(&self->c), self->c.why))
		return;
	ASSERT_EQ(-ESRCH, abi_call_orphan(&self->c, 0));
}

TEST_F(abi_span, opener_execs)
{
	if (!REQUIRE(abi_need(&self->c), self->c.why))
		return;
	ASSERT_EQ(-ESRCH, abi_call_orphan(&self->c, 1));
}

/* Calls with a reserved field. */
FIXTURE(abi_reserved)
{
	struct abi_case c;
};

FIXTURE_VARIANT(abi_reserved)
{
	const struct abi_call *call;
};

FIXTURE_VARIANT_ADD(abi_reserved, range)
{
	.call = &abi_range,
};

FIXTURE_VARIANT_ADD(abi_reserved, copy)
{
	.call = &abi_copy,
};

FIXTURE_VARIANT_ADD(abi_reserved, migrate)
{
	.call = &abi_migrate,
};

FIXTURE_SETUP(abi_reserved)
{
	ASSERT_EQ(0, abi_begin(&self->c, variant->call));
}

FIXTURE_TEARDOWN(abi_reserved)
{
	abi_end(&self->c);
}

TEST_F(abi_reserved, not_zero)
{
	self->c.arg.bytes[variant->call->reserved] = 1;
	ASSERT_EQ(-EINVAL, abi_bad_call(&self->c));
}

/* The driver searches no more than a page for what a newer program might have set. */
TEST_F(abi_reserved, size_above_a_page)
{
	size_t page = hmm_page_size();
	union abi_arg *arg;

	arg = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)arg);
	memcpy(arg, &self->c.arg, sizeof(*arg));
	arg->size = page + 8;
	ASSERT_EQ(-1, ioctl(self->c.fd, variant->call->request, arg));
	ASSERT_EQ(E2BIG, errno);
	if (!abi_need(&self->c)) {
		arg->size = page;
		ASSERT_EQ(0, ioctl(self->c.fd, variant->call->request, arg));
	}
	ASSERT_EQ(0, munmap(arg, 2 * page));
}

#include "hmm_main.h"
