// SPDX-License-Identifier: GPL-2.0
/* Areas: a window of address space, and what to undo afterwards. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hmm_area.h"
#include "hmm_buffer.h"
#include "hmm_process.h"
#include "hmm_system.h"

/*
 * Whether another mapping has made the table of the window's PMDs must not depend on
 * chance: where there is none, the walker handles the whole hole at once. The window
 * therefore starts behind a PUD boundary, and a page there makes the table.
 */
static char *map_window(size_t length, size_t align)
{
	char *addr = hmm_map_none(length, align > hmm_pud_size() ? align : hmm_pud_size());

	if (!addr)
		return NULL;
	if (mprotect(addr, hmm_page_size(), PROT_READ | PROT_WRITE)) {
		hmm_unmap(addr, length);
		return NULL;
	}
	hmm_touch_write(addr, hmm_page_size());
	return addr;
}

int hmm_area_begin(struct hmm_area *area, size_t length, size_t align)
{
	size_t pmd = hmm_pmd_size();
	char *addr;

	memset(area, 0, sizeof(*area));
	if (align < pmd)
		align = pmd;
	/* Reserve the space on either side too, so that no other mapping moves in. */
	addr = map_window(length + 2 * align, align);
	if (!addr)
		return -errno;
	area->guard = addr;
	area->guard_length = length + 2 * align;
	area->addr = addr + align;
	area->length = length;
	return 0;
}

void hmm_area_end(struct hmm_area *area)
{
	unsigned int i;

	for (i = 0; i < HMM_DEVICES; i++)
		if (area->device[i] > 0)
			close(area->device[i]);
	hmm_holder_end(area->child);
	hmm_unmap(area->guard, area->guard_length);
	while (area->undos) {
		struct hmm_undo *undo = &area->undo[--area->undos];

		undo->fn(area, undo);
	}
	memset(area, 0, sizeof(*area));
}

/* Forget the mirrors and children of the parent process. */
static void forget(struct hmm_area *area)
{
	unsigned int i;

	for (i = 0; i < HMM_DEVICES; i++) {
		if (area->device[i] > 0)
			close(area->device[i]);
		area->device[i] = 0;
	}
	area->child = 0;
}

int hmm_area_share(struct hmm_area *area, int child_side)
{
	int ret;

	if (child_side) {
		ret = hmm_fork_swap();
		if (ret)
			return hmm_fail(area, ret, "fork");
		forget(area);
		return 0;
	}
	hmm_holder_end(area->child);
	area->child = hmm_fork_holder();
	if (area->child >= 0)
		return 0;
	ret = area->child;
	area->child = 0;
	return hmm_fail(area, ret, "fork");
}

int hmm_skip(struct hmm_area *area, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	vsnprintf(area->why, sizeof(area->why), format, list);
	va_end(list);
	return HMM_SKIP;
}

int hmm_fail(struct hmm_area *area, int error, const char *format, ...)
{
	va_list list;
	int used;

	va_start(list, format);
	used = vsnprintf(area->why, sizeof(area->why), format, list);
	va_end(list);
	if (error && used >= 0 && (size_t)used < sizeof(area->why))
		snprintf(area->why + used, sizeof(area->why) - used, ": %s",
			 strerror(error < 0 ? -error : error));
	if (!error)
		return -EIO;
	return error < 0 ? error : -error;
}

struct hmm_undo *
hmm_area_undo(struct hmm_area *area,
	      void (*fn)(struct hmm_area *area, const struct hmm_undo *undo))
{
	struct hmm_undo *undo;

	if (area->undos == HMM_AREA_UNDOS)
		return NULL;
	undo = &area->undo[area->undos++];
	memset(undo, 0, sizeof(*undo));
	undo->fn = fn;
	return undo;
}

/* Of "always [madvise] never", the current choice is in brackets. */
static void current_choice(char *text)
{
	char *open = strchr(text, '['), *shut;

	if (!open)
		return;
	shut = strchr(open, ']');
	if (!shut)
		return;
	*shut = 0;
	memmove(text, open + 1, strlen(open + 1) + 1);
}

static void restore_knob(struct hmm_area *area, const struct hmm_undo *undo)
{
	(void)area;
	hmm_write_text(undo->path, undo->text);
}

int hmm_area_set_knob(struct hmm_area *area, const char *path,
		      const char *text)
{
	char before[64];
	struct hmm_undo *undo;
	int ret;

	ret = hmm_read_text(path, before, sizeof(before));
	if (ret)
		return ret;
	current_choice(before);
	if (!strcmp(before, text))
		return 0;
	undo = hmm_area_undo(area, restore_knob);
	if (!undo)
		return -ENOSPC;
	undo->path = path;
	snprintf(undo->text, sizeof(undo->text), "%s", before);
	return hmm_write_text(path, text);
}

static void restore_pool(struct hmm_area *area, const struct hmm_undo *undo)
{
	(void)area;
	hmm_hugetlb_set_pool(undo->size, undo->number);
}

int hmm_area_need_hugetlb(struct hmm_area *area, size_t size, long pages)
{
	long pool = hmm_hugetlb_pool(size), free = hmm_hugetlb_free(size);
	struct hmm_undo *undo;

	if (!hmm_hugetlb_has(size) || pool < 0)
		return hmm_skip(area, "no hugetlb pages of %zu KiB",
				size >> 10);
	if (free >= pages)
		return 0;
	/* To allocate so much contiguous memory at run time takes long and often fails. */
	if (size >> 30)
		return hmm_skip(area,
				"%ld free hugetlb pages of %zu MiB, want %ld (boot with hugepagesz=%zuG hugepages=%ld)",
				free, size >> 20, pages, size >> 30, pages);
	undo = hmm_area_undo(area, restore_pool);
	if (!undo)
		return hmm_fail(area, ENOSPC, "undo list");
	undo->size = size;
	undo->number = pool;
	hmm_hugetlb_set_pool(size, pool + pages - free);
	free = hmm_hugetlb_free(size);
	if (free < pages)
		return hmm_skip(area,
				"%ld free hugetlb pages of %zu KiB, want %ld",
				free, size >> 10, pages);
	return 0;
}

int hmm_area_scan_soon(struct hmm_area *area)
{
	/* since 5.13, and before */
	static const char *const knobs[][2] = {
		{ "/sys/kernel/debug/sched/numa_balancing/scan_delay_ms",
		  "/sys/kernel/debug/sched/numa_balancing/scan_period_min_ms" },
		{ "/proc/sys/kernel/numa_balancing_scan_delay_ms",
		  "/proc/sys/kernel/numa_balancing_scan_period_min_ms" },
	};
	int ret = -ENOENT, i;

	for (i = 0; i < 2 && ret == -ENOENT; i++) {
		ret = hmm_area_set_knob(area, knobs[i][0], "1");
		if (!ret)
			ret = hmm_area_set_knob(area, knobs[i][1], "1");
	}
	return ret;
}

static void close_file(struct hmm_area *area, const struct hmm_undo *undo)
{
	(void)area;
	close(undo->number);
}

int hmm_area_close_later(struct hmm_area *area, int fd)
{
	struct hmm_undo *undo = hmm_area_undo(area, close_file);

	if (!undo) {
		close(fd);
		return -ENOSPC;
	}
	undo->number = fd;
	return 0;
}

int hmm_area_map(struct hmm_area *area, char *addr, size_t length, int prot,
		 int flags, int fd)
{
	if (mmap(addr, length, prot, flags | MAP_FIXED, fd, 0) == MAP_FAILED)
		return hmm_fail(area, errno, "mmap of %zu bytes", length);
	return 0;
}

int hmm_area_map_small(struct hmm_area *area, char *addr, size_t length,
		       int prot)
{
	int ret = hmm_area_map(area, addr, length, prot,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1);

	if (ret)
		return ret;
	/* EINVAL: a kernel without huge pages, which is as good. */
	if (madvise(addr, length, MADV_NOHUGEPAGE) && errno != EINVAL)
		return hmm_fail(area, errno, "MADV_NOHUGEPAGE");
	return 0;
}

int hmm_area_begin_small(struct hmm_area *area, size_t length)
{
	int ret = hmm_area_begin(area, length, 0);

	return ret ? ret : hmm_area_map_small(area, area->addr, length,
					      PROT_READ | PROT_WRITE);
}
