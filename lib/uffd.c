// SPDX-License-Identifier: GPL-2.0
/* userfaultfd. */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hmm_buffer.h"
#include "hmm_uffd.h"

int hmm_uffd_register(void *addr, size_t length, __u64 mode, __u64 features)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	struct uffdio_register reg = {
		.range = { .start = (uintptr_t)addr, .len = length },
		.mode = mode,
	};
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK), ret;

	/* root is refused for no other reason */
	if (fd < 0)
		return -EOPNOTSUPP;
	/* 6.0 and 6.2 do not refuse a feature that they lack; they tell those that they have */
	if (ioctl(fd, UFFDIO_API, &api))
		ret = -errno;
	else if ((api.features & features) != features)
		ret = -EOPNOTSUPP;
	else if (ioctl(fd, UFFDIO_REGISTER, &reg))
		ret = -errno;
	else
		return fd;
	/* also the error for a mode that the kernel does not know */
	if (ret == -EINVAL)
		ret = -EOPNOTSUPP;
	close(fd);
	return ret;
}

int hmm_uffd_open(void *addr, size_t length)
{
	return hmm_uffd_register(addr, length, UFFDIO_REGISTER_MODE_MISSING, 0);
}

static int write_protect(int fd, void *addr, size_t length, __u64 mode)
{
	struct uffdio_writeprotect wp = {
		.range = { .start = (uintptr_t)addr, .len = length },
		.mode = mode,
	};

	return ioctl(fd, UFFDIO_WRITEPROTECT, &wp) ? -errno : 0;
}

int hmm_uffd_protect(int fd, void *addr, size_t length)
{
	return write_protect(fd, addr, length, UFFDIO_WRITEPROTECT_MODE_WP);
}

int hmm_uffd_unprotect(int fd, void *addr, size_t length)
{
	return write_protect(fd, addr, length, 0);
}

/* struct uffdio_move and UFFDIO_MOVE of newer headers */
struct move {
	__u64 dst;
	__u64 src;
	__u64 len;
	__u64 mode;
	__s64 move;
};

#define MOVE	_IOWR(UFFDIO, 0x05, struct move)

int hmm_uffd_move(int fd, void *to, void *from, size_t length, size_t *moved)
{
	int ret;

	*moved = 0;
	for (;;) {
		struct move move = {
			.dst = (uintptr_t)to + *moved,
			.src = (uintptr_t)from + *moved,
			.len = length - *moved,
		};

		ret = ioctl(fd, MOVE, &move) ? -errno : 0;
		if (move.move > 0)
			*moved += move.move;
		/* EAGAIN: a part was moved, or a page changed meanwhile */
		if (ret != -EAGAIN)
			return ret;
	}
}

int hmm_uffd_wait(int fd, int timeout_ms, void **addr)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	struct uffd_msg msg;
	int ret = poll(&poll_fd, 1, timeout_ms);

	if (ret < 0)
		return -errno;
	if (!ret)
		return -ETIMEDOUT;
	if (read(fd, &msg, sizeof(msg)) != sizeof(msg))
		return -EIO;
	if (msg.event != UFFD_EVENT_PAGEFAULT)
		return -EPROTO;
	*addr = (void *)(uintptr_t)(msg.arg.pagefault.address & ~(hmm_page_size() - 1));
	return 0;
}

int hmm_uffd_give(int fd, void *addr, const void *data)
{
	struct uffdio_copy copy = {
		.dst = (uintptr_t)addr,
		.src = (uintptr_t)data,
		.len = hmm_page_size(),
	};

	return ioctl(fd, UFFDIO_COPY, &copy) ? -errno : 0;
}

int hmm_uffd_wake(int fd, void *addr)
{
	struct uffdio_range range = { .start = (uintptr_t)addr, .len = hmm_page_size() };

	return ioctl(fd, UFFDIO_WAKE, &range) ? -errno : 0;
}
