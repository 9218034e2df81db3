@@
identifier entry;
identifier test =~ "^(is_migration_entry|softleaf_is_migration)$";
statement S;
@@
 hmm_vma_handle_pte(...)
 {
 <...
-if (test(entry))
-	S
+if (test(entry)) {
+	*hmm_pfn = 0;
+	return 0;
+}
 ...>
 }
