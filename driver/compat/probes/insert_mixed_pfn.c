// SPDX-License-Identifier: GPL-2.0
/* A plain pfn instead of a pfn_t: newer than 6.12 */
#include <linux/mm.h>

vm_fault_t probe(struct vm_area_struct *vma);
vm_fault_t probe(struct vm_area_struct *vma)
{
	return vmf_insert_mixed(vma, 0, 0UL);
}
