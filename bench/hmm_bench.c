// SPDX-License-Identifier: GPL-2.0
/*
 * What a page costs through the ABI that hmmirror.ko and the kernel's test_hmm.ko have in
 * common, beside a memcpy() of the same bytes.
 *
 *	hmm_bench LABEL MIB[k] [REPEATS]
 *
 * Prints a line an operation: LABEL operation bytes best_ns median_ns. Huge pages are
 * disabled for the memory. Each repeat starts with memory that the CPU has just written and
 * a mirror that was just opened, so that the device faults all of it.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "test_abi.h"

#define MAX_REPEATS	64

enum op { OP_MEMCPY, OP_SNAPSHOT, OP_READ, OP_WRITE, OP_TO_DEVICE, OP_TO_SYSTEM, NR_OPS };

static const char * const op_names[NR_OPS] = {
	"memcpy", "snapshot", "read", "write", "to_device", "to_system",
};

static __u64 now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void *map_4k(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		err(2, "mmap of %zu bytes", size);
	/* EINVAL: the kernel has no huge pages */
	if (madvise(p, size, MADV_NOHUGEPAGE) && errno != EINVAL)
		err(2, "MADV_NOHUGEPAGE");
	return p;
}

static __u64 timed(int fd, unsigned long request, void *mem, void *buffer, size_t size)
{
	struct hmm_dmirror_cmd cmd = {
		.addr = (uintptr_t)mem,
		.ptr = (uintptr_t)buffer,
		.npages = size / sysconf(_SC_PAGESIZE),
	};
	__u64 start = now_ns();

	if (ioctl(fd, request, &cmd))
		err(2, "ioctl %#lx", request);
	start = now_ns() - start;
	if (cmd.cpages != cmd.npages)
		errx(2, "ioctl %#lx: %llu of %llu pages", request,
		     (unsigned long long)cmd.cpages, (unsigned long long)cmd.npages);
	return start;
}

/* Return: ns. Checks what it measured. */
static __u64 run(enum op op, size_t size)
{
	char *mem = map_4k(size), *buffer = map_4k(size);
	__u64 ns = 0;
	int fd;

	memset(mem, 0x5a, size);
	memset(buffer, 0xa5, size);
	fd = open("/dev/hmm_dmirror0", O_RDWR);
	if (fd < 0)
		err(2, "/dev/hmm_dmirror0");

	switch (op) {
	case OP_MEMCPY:
		ns = now_ns();
		memcpy(buffer, mem, size);
		ns = now_ns() - ns;
		break;
	case OP_SNAPSHOT:
		ns = timed(fd, HMM_DMIRROR_SNAPSHOT, mem, buffer, size);
		if (buffer[0] != HMM_DMIRROR_PROT_WRITE)
			errx(2, "snapshot says %#x", buffer[0]);
		break;
	case OP_READ:
		ns = timed(fd, HMM_DMIRROR_READ, mem, buffer, size);
		break;
	case OP_WRITE:
		ns = timed(fd, HMM_DMIRROR_WRITE, mem, buffer, size);
		break;
	case OP_TO_DEVICE:
		ns = timed(fd, HMM_DMIRROR_MIGRATE_TO_DEV, mem, buffer, size);
		break;
	case OP_TO_SYSTEM:
		timed(fd, HMM_DMIRROR_MIGRATE_TO_DEV, mem, buffer, size);
		ns = timed(fd, HMM_DMIRROR_MIGRATE_TO_SYS, mem, buffer, size);
		break;
	default:
		break;
	}
	if (op != OP_SNAPSHOT && memcmp(mem, buffer, size))
		errx(2, "%s: the data is wrong", op_names[op]);

	munmap(mem, size);
	munmap(buffer, size);
	close(fd);
	return ns;
}

static int by_value(const void *a, const void *b)
{
	__u64 x = *(const __u64 *)a, y = *(const __u64 *)b;

	return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
	__u64 ns[MAX_REPEATS];
	int repeats = 5, op, i;
	size_t size;
	char *unit;

	if (argc < 3 || argc > 4)
		errx(2, "usage: hmm_bench LABEL MIB[k] [REPEATS]");
	size = strtoul(argv[2], &unit, 0) << (*unit == 'k' ? 10 : 20);
	if (argc == 4)
		repeats = atoi(argv[3]);
	if (!size || repeats < 1 || repeats > MAX_REPEATS)
		errx(2, "size or repeats out of range");

	for (op = 0; op < NR_OPS; op++) {
		for (i = 0; i < repeats; i++)
			ns[i] = run(op, size);
		qsort(ns, repeats, sizeof(ns[0]), by_value);
		printf("%s %s %zu %llu %llu\n", argv[1], op_names[op], size,
		       (unsigned long long)ns[0], (unsigned long long)ns[repeats / 2]);
		fflush(stdout);
	}
	return 0;
}
