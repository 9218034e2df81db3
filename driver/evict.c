// SPDX-License-Identifier: GPL-2.0
/*
 * Device memory emptied. Kernels that know how give the device's pages by their
 * number. Those that don't, and huge pages when there is no huge page to bring
 * them to, are asked by way of a VMA: every address space there is, is searched.
 * A fork can have taken the pages into processes that never opened the device.
 */
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>

#include "compat/compat.h"
#include "hmmirror_drv.h"

/* A thread that has the address space of @process: the first may be gone. */
static struct task_struct *with_mm(struct task_struct *process)
{
	struct task_struct *thread;

	for_each_thread(process, thread)
		if (thread->mm && !(thread->flags & PF_KTHREAD))
			return thread;
	return NULL;
}

/* Return: up to @room tasks, referenced, are in @tasks; how many there are. */
static unsigned long list_tasks(struct task_struct **tasks, unsigned long room)
{
	struct task_struct *process, *task;
	unsigned long nr = 0;

	rcu_read_lock();
	for_each_process(process) {
		task = with_mm(process);
		if (!task)
			continue;
		if (nr < room) {
			get_task_struct(task);
			tasks[nr] = task;
		}
		nr++;
	}
	rcu_read_unlock();
	return nr;
}

/* Return: the next part that can have pages of the device; they are anonymous. */
static bool next_part(struct mm_struct *mm, unsigned long from, struct hmmirror_move *part)
{
	struct vm_area_struct *vma;

	if (mmap_read_lock_killable(mm))
		return false;
	while ((vma = find_vma(mm, from)) && !vma->anon_vma)
		from = vma->vm_end;
	if (vma) {
		part->addr = max(from, vma->vm_start);
		part->end = vma->vm_end;
	}
	mmap_read_unlock(mm);
	return vma;
}

static void evict_mm(struct hmmirror_device *device, struct mm_struct *mm)
{
	struct hmmirror finder = { .device = device, .mm = mm };
	struct hmmirror_move part = { .any_access = true };
	unsigned long from = 0;

	while (next_part(mm, from, &part)) {
		from = part.end;
		if (hmmirror_move(&finder, &part) == -EINTR)
			break;
		atomic64_add(part.migrated, &device->evicted);
	}
}

/* A page that is locked or busy stays, or one of a process that was just made. */
static void evict_by_vma(struct hmmirror_device *device)
{
	unsigned long room = 0, nr, i;
	struct task_struct **tasks = NULL;

	while ((nr = list_tasks(tasks, room)) > room) {
		for (i = 0; i < room; i++)
			put_task_struct(tasks[i]);
		kvfree(tasks);
		room = nr + nr / 4;
		tasks = kvmalloc_array(room, sizeof(*tasks), GFP_KERNEL);
		if (!tasks)
			return;
	}

	for (i = 0; i < nr; i++) {
		struct mm_struct *mm = get_task_mm(tasks[i]);

		put_task_struct(tasks[i]);
		if (!mm)
			continue;
		evict_mm(device, mm);
		mmput(mm);
		cond_resched();
	}
	kvfree(tasks);
}

/**
 * hmmirror_evict() - bring a range of the device's pages to system memory
 * @device: the device
 * @pfn: first page
 * @nr: pages
 *
 * A page that is locked or busy stays, and so do all when memory is short: ask
 * again. Others than those of the range may come home as well.
 */
void hmmirror_evict(struct hmmirror_device *device, unsigned long pfn, unsigned long nr)
{
	bool by_vma = !compat_has_device_range();

	if (!by_vma)
		atomic64_add(hmmirror_evict_range(device, pfn, nr, &by_vma), &device->evicted);
	if (by_vma)
		evict_by_vma(device);
}
