// SPDX-License-Identifier: GPL-2.0
#include <linux/mm.h>
#include <linux/hmm.h>

struct page *probe(struct vm_area_struct *vma);
struct page *probe(struct vm_area_struct *vma)
{
	return hmm_vma_alloc_locked_page(vma, 0);
}
