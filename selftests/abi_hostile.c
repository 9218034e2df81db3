// SPDX-License-Identifier: GPL-2.0
/*
 * Arguments of the driver's ABI that an attacker would choose: addresses at the ends of the
 * address space and in the kernel, buffers that are read-only, on the device, or unmapped
 * during the call, and a mirror that another process got.
 *
 * The driver must never touch memory other than that of the process that opened the mirror,
 * and must survive a buffer that changes under it.
 */
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hmm_test.h"
#include "abi_calls.h"

#define GONE_MS	3000

FIXTURE(abi_hostile)
{
	struct abi_case c;
	size_t length;
};

FIXTURE_VARIANT(abi_hostile)
{
	const struct abi_call *call;
};

FIXTURE_VARIANT_ADD(abi_hostile, range)
{
	.call = &abi_range,
};

FIXTURE_VARIANT_ADD(abi_hostile, copy)
{
	.call = &abi_copy,
};

FIXTURE_VARIANT_ADD(abi_hostile, migrate)
{
	.call = &abi_migrate,
};

FIXTURE_VARIANT_ADD(abi_hostile, exclusive)
{
	.call = &abi_exclusive,
};

FIXTURE_SETUP(abi_hostile)
{
	ASSERT_EQ(0, abi_begin(&self->c, variant->call));
	self->length = ABI_PAGES * hmm_page_size();
}

FIXTURE_TEARDOWN(abi_hostile)
{
	abi_end(&self->c);
}

/* The kernel's answer, after a call that itself succeeded. */
static int answer(const struct abi_case *c)
{
	if (c->call == &abi_range)
		return c->arg.range.error;
	if (c->call == &abi_copy)
		return c->arg.copy.error;
	if (c->call == &abi_migrate)
		return c->arg.migrate.error;
	return c->arg.exclusive.error;
}

/* Nothing is ever mapped at address 0. */
TEST_F(abi_hostile, address_zero)
{
	if (!REQUIRE(abi_need(&self->c), self->c.why))
		return;
	*abi_addr(&self->c) = 0;
	if (variant->call == &abi_range)
		self->c.arg.range.default_flags = HMMIRROR_REQ_FAULT;
	ASSERT_EQ(0, abi_call(&self->c));
	ASSERT_GT(0, answer(&self->c));
	ASSERT_EQ(-1, hmm_pattern_check(self->c.memory, self->length, 1));
}

/* The last pages of the address space, and what is behind it. */
TEST_F(abi_hostile, end_of_address_space)
{
	__u64 end = hmm_address_space() - hmm_page_size();

	if (!REQUIRE(abi_need(&self->c), self->c.why))
		return;
	*abi_addr(&self->c) = end - self->length;
	if (variant->call == &abi_range)
		self->c.arg.range.default_flags = HMMIRROR_REQ_FAULT;
	/* nothing is mapped there, unless the stack's address is not randomized */
	if (hmm_in_core((void *)(uintptr_t)(end - self->length)) == -ENOMEM) {
		ASSERT_EQ(0, abi_call(&self->c));
		ASSERT_GT(0, answer(&self->c));
	}
	*abi_addr(&self->c) = end - self->length / 2;
	*abi_length(&self->c) = 1ULL << 57;
	ASSERT_EQ(-EINVAL, abi_call(&self->c));
	*abi_addr(&self->c) = 0xffffffffffffffffULL & -hmm_page_size();
	*abi_length(&self->c) = hmm_page_size();
	ASSERT_EQ(-EINVAL, abi_call(&self->c));
}

/* Direct map, text and modules of the kernel. */
TEST_F(abi_hostile, kernel_addresses)
{
	static const __u64 addresses[] = {
		0xffff800000000000ULL, 0xffff888000000000ULL, 0xff11000000000000ULL,
		0xffffffff81000000ULL, 0xffffffffc0000000ULL,
	};
	size_t i;

	if (!REQUIRE(abi_need(&self->c), self->c.why))
		return;
	for (i = 0; i < ARRAY_SIZE(addresses); i++) {
		*abi_addr(&self->c) = addresses[i];
		ASSERT_EQ(-EINVAL, abi_bad_call(&self->c));
	}
	*abi_addr(&self->c) = (uintptr_t)self->c.memory;
	for (i = 0; i < ARRAY_SIZE(addresses); i++) {
		*abi_pointer(&self->c) = addresses[i];
		ASSERT_EQ(-EFAULT, abi_call(&self->c));
	}
}

TEST_F(abi_hostile, readonly_buffer)
{
	if (!REQUIRE(abi_need(&self->c), self->c.why))
		return;
	ASSERT_EQ(0, mprotect(self->c.buffer, self->length, PROT_READ));
	ASSERT_EQ(-EFAULT, abi_call(&self->c));
	ASSERT_EQ(-1, hmm_pattern_check(self->c.buffer, self->length, 2));
}

/* The answers are written to the pages that the call is about. */
TEST_F(abi_hostile, buffer_in_the_range)
{
	if (!REQUIRE(abi_need(&self->c), self->c.why))
		return;
	*abi_pointer(&self->c) = (uintptr_t)self->c.memory;
	ASSERT_EQ(0, abi_call(&self->c));
	hmm_touch_write(self->c.memory, self->length);
	/* only the answers, all in the first page, have changed */
	ASSERT_EQ(-1, hmm_pattern_check(self->c.memory + hmm_page_size(),
					self->length - hmm_page_size(), 1));
}

TEST_F(abi_hostile, buffer_on_a_device)
{
	__u64 moved = 0;

	if (!REQUIRE(abi_need(&self->c), self->c.why))
		return;
	if (!REQUIRE(hmm_memory(self->c.fd) == HMMIRROR_MEMORY_NONE ? HMM_SKIP : 0,
		     "the kernel was built without CONFIG_DEVICE_PRIVATE"))
		return;
	ASSERT_EQ(0, hmm_to_device(self->c.fd, self->c.buffer, self->length, NULL,
				   &moved));
	ASSERT_EQ(ABI_PAGES, moved);
	ASSERT_EQ(0, abi_call(&self->c));
	hmm_touch_read(self->c.buffer, self->length);
	if (variant->call == &abi_copy)
		ASSERT_EQ(0, memcmp(self->c.buffer, self->c.memory, self->length));
}

static void *change_buffer(void *buffer)
{
	int i;

	for (i = 0; i < 20; i++) {
		madvise(buffer, ABI_PAGES * hmm_page_size(), MADV_DONTNEED);
		mprotect(buffer, ABI_PAGES * hmm_page_size(), i & 1 ? PROT_READ | PROT_WRITE :
			 PROT_NONE);
	}
	return NULL;
}

/*
 * The buffer is unmapped and mapped during the calls: each must succeed or fail with
 * EFAULT.
 */
TEST_F(abi_hostile, buffer_unmapped_meanwhile)
{
	union abi_arg arg = self->c.arg;
	pthread_t thread;
	int i, ret;

	if (!REQUIRE(abi_need(&self->c), self->c.why))
		return;
	ASSERT_EQ(0, pthread_create(&thread, NULL, change_buffer, self->c.buffer));
	for (i = 0; i < 20; i++) {
		self->c.arg = arg;
		ret = abi_call(&self->c);
		ASSERT_TRUE(!ret || ret == -EFAULT) TH_LOG("%d", ret);
	}
	ASSERT_EQ(0, pthread_join(thread, NULL));
	hmm_touch_read(self->c.memory, self->length);
}

FIXTURE(abi_hostile_fd)
{
	int sockets[2];
};

FIXTURE_SETUP(abi_hostile_fd)
{
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, self->sockets));
}

FIXTURE_TEARDOWN(abi_hostile_fd)
{
	close(self->sockets[0]);
}

/*
 * A mirror that was sent over a socket is of the sender's memory, not of the receiver's,
 * who has other data at the same address; until the sender's mm is gone.
 */
TEST_F(abi_hostile_fd, sent_over_socket)
{
	size_t length = hmm_page_size();
	char *memory = hmm_map_anon(length, 0), *buffer = hmm_map_anon(length, 0);
	int fd, i, ret = 0;
	char byte = 0;
	pid_t pid;

	ASSERT_NE(NULL, memory);
	ASSERT_NE(NULL, buffer);
	memset(memory, 'r', length);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		memset(memory, 's', length);
		close(self->sockets[0]);
		if (hmm_send_fd(self->sockets[1], hmm_open(0)))
			_exit(1);
		/* until the other process writes anything */
		_exit(read(self->sockets[1], &byte, 1) == 1 && memory[0] == 'w' ? 0 : 2);
	}
	close(self->sockets[1]);
	fd = hmm_receive_fd(self->sockets[0], 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, hmm_dev_read(fd, memory, buffer, length));
	ASSERT_EQ(-1, hmm_all_bytes(buffer, length, 's'));
	memset(buffer, 'w', length);
	ASSERT_EQ(0, hmm_dev_write(fd, memory, buffer, length));
	ASSERT_EQ(-1, hmm_all_bytes(memory, length, 'r'));
	ASSERT_EQ(1, write(self->sockets[0], &byte, 1));
	ASSERT_EQ(0, hmm_child_result(pid));

	for (i = 0; i < GONE_MS && ret != -ESRCH; i++) {
		ret = hmm_dev_read(fd, memory, buffer, length);
		usleep(1000);
	}
	ASSERT_EQ(-ESRCH, ret);
	ASSERT_EQ(-1, hmm_all_bytes(memory, length, 'r'));
	close(fd);
}

#include "hmm_main.h"
