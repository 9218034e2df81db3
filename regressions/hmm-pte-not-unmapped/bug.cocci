@@
expression ptep;
@@
 hmm_vma_handle_pte(...)
 {
 <...
-pte_unmap(ptep);
 return hmm_vma_fault(...);
 ...>
 }
