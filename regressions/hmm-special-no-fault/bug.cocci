@@
expression walk, flags, ptep;
@@
 hmm_vma_handle_pte(...)
 {
 <...
-if (hmm_pte_need_fault(walk, flags, 0)) {
-	pte_unmap(ptep);
-	return -EFAULT;
-}
 ...>
 }
