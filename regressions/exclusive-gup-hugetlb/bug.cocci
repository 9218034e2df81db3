@@
expression flags, vma;
@@
 check_vma_flags(...)
 {
 <...
-if ((flags & FOLL_SPLIT_PMD) && is_vm_hugetlb_page(vma))
-	return -EOPNOTSUPP;
 ...>
 }
