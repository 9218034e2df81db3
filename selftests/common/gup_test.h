/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The ABI of the kernel's own test of get_user_pages() (mm/gup_test.c), whose header is not
 * exported.
 */
#ifndef GUP_TEST_H
#define GUP_TEST_H

#include <errno.h>
#include <linux/types.h>
#include <stddef.h>
#include <sys/ioctl.h>

#define GUP_TEST	"/sys/kernel/debug/gup_test"
#define NO_GUP_TEST	"no gup_test (CONFIG_GUP_TEST, CONFIG_DEBUG_FS)"

struct gup_test {
	__u64 get_delta_usec;
	__u64 put_delta_usec;
	__u64 addr;
	__u64 size;
	__u32 nr_pages_per_call;
	__u32 gup_flags;
	__u32 test_flags;
	__u32 which_pages[8];
};

struct pin_longterm_test {
	__u64 addr;
	__u64 size;
	__u32 flags;
};

#define GUP_FAST	_IOWR('g', 1, struct gup_test)
#define PIN_FAST	_IOWR('g', 2, struct gup_test)
#define PIN_LONGTERM	_IOWR('g', 3, struct gup_test)
#define GUP_SLOW	_IOWR('g', 4, struct gup_test)
#define PIN_SLOW	_IOWR('g', 5, struct gup_test)
#define PIN_START	_IOW('g', 7, struct pin_longterm_test)
#define PIN_STOP	_IO('g', 8)
#define GUP_WRITE	0x1	/* FOLL_WRITE */

/*
 * One of the calls above. In 5.11 and 5.12 the struct has no test_flags, so that the number of the
 * call, in which its size is, is another. Return: that of ioctl()
 */
static inline int gup_test(int file, unsigned long call, struct gup_test *test)
{
	size_t size = offsetof(struct gup_test, test_flags) + sizeof(test->which_pages);
	int ret = ioctl(file, call, test);

	if (!ret || errno != EINVAL)
		return ret;
	return ioctl(file, _IOC(_IOC_DIR(call), _IOC_TYPE(call), _IOC_NR(call), size), test);
}

#endif /* GUP_TEST_H */
