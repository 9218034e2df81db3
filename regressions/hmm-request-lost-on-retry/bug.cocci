// The entry is the request too, until the walk is over.
@@
identifier hmm_pfn;
@@
 hmm_vma_handle_pte(..., unsigned long *hmm_pfn)
 {
 <...
+	*hmm_pfn = 0;
 migration_entry_wait(...);
 ...>
 }
