// SPDX-License-Identifier: GPL-2.0
/*
 * Evicts all pages of a device, and removes its memory.
 *
 * The kernel takes pages of a device by number (migrate_device_range()). Where it can't, and
 * for huge pages when no huge page can be allocated, pages migrate by VMA: evict_mm() goes
 * through every address space. Processes that never opened the device may have its pages by
 * fork().
 */
#include <linux/delay.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>

#include "memory/chunk.h"
#include "memory/evict.h"
#include "memory/migrate.h"

/* Return: a thread of @process that still has its mm. The first thread may have exited. */
static struct task_struct *find_thread_with_mm(struct task_struct *process)
{
	struct task_struct *thread;

	for_each_thread(process, thread)
		if (thread->mm && !(thread->flags & PF_KTHREAD))
			return thread;
	return NULL;
}

/* @tasks: (out) up to @room tasks, each with a reference. Return: how many there are. */
static unsigned long list_tasks(struct task_struct **tasks, unsigned long room)
{
	struct task_struct *process, *task;
	unsigned long nr = 0;

	rcu_read_lock();
	for_each_process(process) {
		task = find_thread_with_mm(process);
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

/* Pages of a device are anonymous. @part: (out) the next VMA with an anon_vma. */
static bool find_next_part(struct mm_struct *mm, unsigned long from,
			   struct hmmirror_migrate_args *part)
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
	struct hmmirror_migrate_args part = { .any_access = true };
	unsigned long from = 0;

	while (find_next_part(mm, from, &part)) {
		from = part.end;
		if (hmmirror_migrate_range(device, mm, &part) == -EINTR)
			break;
		atomic64_add(part.migrated, &device->evicted);
	}
}

/* Misses pages that are locked or referenced, and those of a process that was just forked. */
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

/* Evicts what can migrate now. By VMA, that includes pages of other chunks. */
static void evict_range(struct hmmirror_device *device, unsigned long pfn, unsigned long nr)
{
	bool by_vma = false;

	if (compat_has_device_range())
		atomic64_add(hmmirror_migrate_all_to_ram(device, pfn, nr, &by_vma),
			     &device->evicted);
	if (by_vma || !compat_has_device_range())
		evict_by_vma(device);
}

/* Tries again and again, since a page may be locked or referenced for a while. */
static int empty_chunk(struct hmmirror_chunk *chunk)
{
	while (!hmmirror_chunk_is_empty(chunk)) {
		evict_range(chunk->device, hmmirror_chunk_pfn(chunk), hmmirror_chunk_pages(chunk));
		if (hmmirror_chunk_is_empty(chunk))
			break;
		if (fatal_signal_pending(current))
			return -EINTR;
		msleep(20);
	}
	return 0;
}

/**
 * hmmirror_devmem_release() - evict all pages of a device, and remove its memory
 * @device: the device
 *
 * Takes as long as pages are in use. A migration meanwhile adds new memory, and does not wait:
 * chunks are emptied without chunk_lock.
 *
 * Return: 0, or -EINTR when killed. The next call continues.
 */
int hmmirror_devmem_release(struct hmmirror_device *device)
{
	struct hmmirror_chunk *chunk, *next;
	LIST_HEAD(chunks);
	int ret = 0;

	hmmirror_chunks_close(device, &chunks);
	list_for_each_entry_safe(chunk, next, &chunks, list) {
		ret = empty_chunk(chunk);
		if (ret)
			break;
		hmmirror_chunk_remove(chunk);
	}
	hmmirror_chunks_return(device, &chunks);
	return ret;
}
