@@
expression e;
@@
 hmm_vma_handle_pte(...)
 {
 <...
 e
-&& !is_zero_pfn(...)
 ...>
 }
