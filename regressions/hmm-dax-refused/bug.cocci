@@
expression vma, addr, pte;
@@
 hmm_vma_handle_pte(...)
 {
 <...
 !vm_normal_page(vma, addr, pte) &&
-!pte_devmap(pte) &&
 !is_zero_pfn(...)
 ...>
 }
