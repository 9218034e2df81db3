@@
expression pmd, walk, pfns, n;
@@
 hmm_vma_walk_pmd(...)
 {
 <...
 if (pmd_bad(pmd)) {
-	if (hmm_range_need_fault(walk, pfns, n, 0))
-		return -EFAULT;
 	...
 }
 ...>
 }
