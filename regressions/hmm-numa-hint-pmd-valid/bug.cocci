// hmm_device_entry_from_pfn() did this for all answers with a page.
@@
expression pfn, cpu_flags;
@@
 hmm_vma_handle_pmd(...)
 {
 <...
-pfn | cpu_flags
+pfn | HMM_PFN_VALID | cpu_flags
 ...>
 }
