// hmm_device_entry_from_pfn() did this for all answers with a page.
@@
identifier pfn, cpu_flags;
@@
 hmm_vma_walk_hugetlb_entry(...)
 {
 <...
-pfn | cpu_flags
+pfn | HMM_PFN_VALID | cpu_flags
 ...>
 }
