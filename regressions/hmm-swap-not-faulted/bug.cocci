@@
identifier entry, fault;
@@
 hmm_vma_handle_pte(...)
 {
 <...
 if (\(!non_swap_entry(entry)\|softleaf_is_swap(entry)\))
-	goto fault;
+{
+	*hmm_pfn = 0;
+	return 0;
+}
 ...>
 }
