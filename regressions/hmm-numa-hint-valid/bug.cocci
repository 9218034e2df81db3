// hmm_device_entry_from_pfn() did this for all answers with a page.
@@
expression pte, cpu_flags;
@@
 hmm_vma_handle_pte(...)
 {
 <...
-pte_pfn(pte) | cpu_flags
+pte_pfn(pte) | HMM_PFN_VALID | cpu_flags
 ...>
 }
