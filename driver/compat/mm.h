/* SPDX-License-Identifier: GPL-2.0 */
/* The mmap lock, VMAs by address, and user memory made ready for an access that can't fault. */
#ifndef HMMIRROR_COMPAT_MM_H
#define HMMIRROR_COMPAT_MM_H

#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/uaccess.h>

#ifndef HAVE_MMAP_LOCK
static inline int mmap_read_lock_killable(struct mm_struct *mm)
{
	return down_read_killable(&mm->mmap_sem);
}

static inline void mmap_read_unlock(struct mm_struct *mm)
{
	up_read(&mm->mmap_sem);
}

static inline int mmap_write_lock_killable(struct mm_struct *mm)
{
	return down_write_killable(&mm->mmap_sem);
}

static inline void mmap_write_unlock(struct mm_struct *mm)
{
	up_write(&mm->mmap_sem);
}
#endif

#ifndef HAVE_VMA_LOOKUP
static inline struct vm_area_struct *vma_lookup(struct mm_struct *mm, unsigned long addr)
{
	struct vm_area_struct *vma = find_vma(mm, addr);

	return vma && vma->vm_start <= addr ? vma : NULL;
}
#endif

#ifndef HAVE_FAULT_IN_WRITEABLE
/* Both return the bytes that can't be had, at the end of the range. */
static inline size_t fault_in_readable(const char __user *uaddr, size_t size)
{
	const char __user *end = uaddr + size;
	const char __user *p;
	char byte;

	for (p = uaddr; p < end; p = (const char __user *)PAGE_ALIGN((unsigned long)p + 1))
		if (get_user(byte, p))
			return end - p;
	(void)byte;
	return 0;
}

static inline size_t fault_in_writeable(char __user *uaddr, size_t size)
{
	char __user *end = uaddr + size;
	char __user *p;

	for (p = uaddr; p < end; p = (char __user *)PAGE_ALIGN((unsigned long)p + 1))
		if (put_user(0, p))
			return end - p;
	return 0;
}
#endif

#endif /* HMMIRROR_COMPAT_MM_H */
